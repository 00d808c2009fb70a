"""The options of detect and calibrate: names and help, grouped as the help shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from velocell.engines import ENGINES

# The same as recording.Polarity; written out, since the help lists the choices.
PolarityChoice = Literal["both", "on", "off", "merge"]


def _sought(*names: str, **more: Any) -> Any:
    return typer.Option(*names, rich_help_panel="What to look for", **more)


def _part(*names: str, **more: Any) -> Any:
    return typer.Option(*names, rich_help_panel="The recording", **more)


def _output(*names: str, **more: Any) -> Any:
    return typer.Option(*names, rich_help_panel="Output", **more)


Files = Annotated[list[Path], typer.Argument(metavar="FILE", help="Recordings, of any format that is read.")]

BandEdges = Annotated[
    str | None,
    _sought("--bands", metavar="EDGES", help="In px/s: 16,62,177,500 makes three bands, the slowest is band 0."),
]
BandNames = Annotated[str | None, _sought("--band-names", metavar="NAMES", help="Such as slow,medium,fast.")]
Radius = Annotated[
    str | None, _sought("--radius", metavar="PX", help="Radius of the disks in px, or a range 3:15; 5 if not given.")
]
Templates = Annotated[
    list[Path] | None,
    _sought("--template", metavar="FILE", help="Picture of another shape to find; again for a second one."),
]
Contrast = Annotated[
    str,
    _sought("--contrast", metavar="N", help="Events per pixel and edge crossing; auto leaves it to the recording."),
]
Dt = Annotated[str, _sought("--dt", metavar="TIME", help="Tick, such as 1ms; auto follows the bands.")]
NetworkFile = Annotated[
    Path | None,
    _sought("--network", metavar="TOML", help="A network from velocell calibrate, instead of calibrating."),
]

Polarity = Annotated[PolarityChoice, _part("--polarity", help="Events to use; merge and both are all of them.")]
Size = Annotated[str | None, _part("--size", metavar="WxH", help="Sensor size in px, where the file does not say.")]
FrameTime = Annotated[str, _part("--frame-time", metavar="TIME", help="Period of the frames in a tensor file.")]
Strict = Annotated[
    bool, _part("--strict", help="Refuse a damaged recording, instead of repairing what is certain and saying so.")
]
From = Annotated[str | None, _part("--from", metavar="TIME", help="Skip this much of the recording.")]
To = Annotated[
    str | None,
    _part("--to", metavar="TIME", help="Stop this long after the recording's start. Rows keep the file's times."),
]
Regions = Annotated[
    list[str] | None, _part("--roi", metavar="x,y,w,h", help="Only events in this region (px); can be repeated.")
]
Ignore = Annotated[Path | None, _part("--ignore", metavar="CSV", help="Drop the events of these pixels, x,y per line.")]
MaskHot = Annotated[
    bool, _part("--mask-hot/--no-mask-hot", help="Drop the events of hot pixels, as velocell info counts them.")
]
Refractory = Annotated[
    str | None, _part("--refractory", metavar="TIME", help="Drop events this soon after one at the same pixel.")
]
Denoise = Annotated[
    str | None, _part("--denoise", metavar="TIME", help="Keep only events this soon after one at a pixel beside.")
]

CameraFile = Annotated[
    Path | None,
    _part("--camera", metavar="FILE", help="Correct the lens: an OpenCV camera file, .yml, .json or .xml."),
]

PxPerMm = Annotated[
    float | None,
    _output("--px-per-mm", metavar="N", help="Add x_mm, y_mm, speed_mm_s, for a camera that looks straight at it."),
]
Homography = Annotated[
    Path | None,
    _output("--homography", metavar="FILE", help="The same by a 3x3 matrix from px to mm: .json, .toml, .csv, .npy."),
]
CountLines = Annotated[
    list[str] | None,
    _output("--count-line", metavar="x0,y0,x1,y1", help="Count who crosses, in OUT.counts.csv; can be repeated."),
]
Table = Annotated[str, _output("--out", "-o", metavar="OUT", help="Table: .csv, .jsonl, .parquet; - is CSV on stdout.")]
Every = Annotated[str, _output("--every", metavar="TIME", help="Reporting interval.")]
Video = Annotated[Path | None, _output("--video", metavar="MP4", help="Tracks over the events: .mp4, .gif.")]
Fps = Annotated[float, _output("--fps", help="Frames per second of the video.")]
SlowMotion = Annotated[
    float | None,
    _output("--slow-motion", metavar="N", help="Slow the video down N times; by default until it lasts 5 s."),
]
Report = Annotated[
    Path | None,
    _output("--report", metavar="HTML", help="One page that holds the figures, a clip, the table and the settings."),
]
SpikeFile = Annotated[Path | None, _output("--spikes", metavar="NPZ", help="Spikes of all layers.")]

Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="NAME",
        help=f"What runs the network: {', '.join(ENGINES)}.",
        autocompletion=lambda: list(ENGINES),
    ),
]
