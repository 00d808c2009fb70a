"""The options that commands share: names and help, grouped as the help shows them, and what they mean.

An option of detect, live and view is a field of one of the dataclasses here, and its line in the method that makes
a value of them; `spread` puts the fields into each command.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer

from velocell.calibration.recipe import Recipe
from velocell.calibration.search import Search
from velocell.cli.values import bands_of, network_of, number_of, radius_of, time_of
from velocell.data.units import parse_region, parse_size, parse_time_us
from velocell.engines import ENGINES
from velocell.errors import OptionError
from velocell.filters.chain import Cleaning
from velocell.filters.flicker import parse_flicker
from velocell.filters.lens import Camera
from velocell.filters.regions import read_pixels
from velocell.network.template import Template
from velocell.results.counting import Line
from velocell.results.plane import Plane
from velocell.tracking.rules import DEFAULTS, Rules

# The same as data.recording.Polarity; written out, since the help lists the choices.
PolarityChoice = Literal["both", "on", "off", "merge", "drop"]
POLARITY_HELP = (
    "Events to use: merge and both use all, and the trail filter their polarity; on and off use only those; drop uses "
    "all and forgets polarity."
)


def look_for(*names: str, **more: Any) -> Any:
    """An option in the panel of what to look for."""
    return typer.Option(*names, rich_help_panel="What to look for", **more)


def part(*names: str, **more: Any) -> Any:
    """An option in the panel of the recording."""
    return typer.Option(*names, rich_help_panel="The recording", **more)


def output(*names: str, **more: Any) -> Any:
    """An option in the panel of the output."""
    return typer.Option(*names, rich_help_panel="Output", **more)


Edges = Annotated[
    str | None,
    look_for("--bands", metavar="EDGES", help="Band edges in px/s: 16,62,177,500 makes three bands, 0 the slowest."),
]
BandNames = Annotated[
    str | None, look_for("--band-names", metavar="NAMES", help="One for each band, such as slow,medium,fast.")
]
Radius = Annotated[
    str | None, look_for("--radius", metavar="PX", help="Radius of the disks in px, or a range 3:15; 5 if not given.")
]
Contrast = Annotated[
    str,
    look_for("--contrast", metavar="N", help="Events per pixel and edge crossing; auto works for any contrast."),
]
Dt = Annotated[str, look_for("--dt", metavar="TIME", help="Time step, such as 1ms; auto derives it from the bands.")]
RecipeFile = Annotated[
    Path | None,
    look_for("--recipe", metavar="TOML", help="Free choices of the calibration, as velocell train writes them."),
]
Polarity = Annotated[PolarityChoice, part("--polarity", help=POLARITY_HELP)]
Size = Annotated[str | None, part("--size", metavar="WxH", help="Sensor size in px, if the file does not state it.")]
FrameTime = Annotated[str, part("--frame-time", metavar="TIME", help="Duration of a frame in a tensor file.")]
TimeUnit = Annotated[
    Literal["s", "ms", "us", "ns"] | None,
    part("--time-unit", help="Unit of the times in text or arrays, if the file does not state it."),
]
Strict = Annotated[bool, part("--strict", help="Refuse a damaged recording instead of repairing it and saying so.")]
BudgetTimes = Annotated[
    float,
    part("--budget", metavar="N", help="Allow N times the memory, events and work that a file of its length may cost."),
]
From = Annotated[str | None, part("--from", metavar="TIME", help="Skip this much at the start of the recording.")]
To = Annotated[
    str | None,
    part("--to", metavar="TIME", help="Stop this long after the recording's start. Times stay those of the file."),
]
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="NAME",
        help=f"Engine that runs the network: {', '.join(ENGINES)}.",
        autocompletion=lambda: list(ENGINES),
    ),
]


@dataclass(frozen=True)
class LookFor:
    """What to look for, and how."""

    bands: Edges = None
    band_names: BandNames = None
    radius: Radius = None
    template: Annotated[
        list[Path] | None,
        look_for("--template", metavar="FILE", help="Picture of a shape to find instead of disks; can be repeated."),
    ] = None
    contrast: Contrast = "auto"
    dt: Dt = "auto"
    network: Annotated[
        Path | None,
        look_for("--network", metavar="TOML", help="Use a network from velocell calibrate."),
    ] = None
    recipe: RecipeFile = None
    rule: Annotated[
        list[str] | None,
        look_for("--rule", metavar="NAME=VALUE", help="Set a rule of the tracker; can be repeated."),
    ] = None
    keep: Annotated[
        str | None,
        look_for(
            "--keep",
            metavar="TIME",
            help="How long an object that rests or is hidden keeps its id, and one at rest its rows; 2s if not given.",
        ),
    ] = None
    polarity: Polarity = "merge"
    every: Annotated[str, output("--every", metavar="TIME", help="Time between two reports.")] = "5ms"
    engine: Engine = "native"

    def search(self) -> Search:
        """Raises VelocellError."""
        every_us = parse_time_us(self.every)
        if every_us < 1:
            raise OptionError("--every must be at least 1us")
        how: dict[str, Any] = {
            "polarity": self.polarity,
            "every_us": every_us,
            "engine": self.engine,
            "rules": self._rules(),
        }
        if self.template and self.radius is not None:
            raise OptionError("--template brings its own size; drop --radius")
        if self.network is not None:
            self._check_network_alone(self.network)
            network = network_of(self.network)
            assert network.radius_px is not None
            return Search(network.bands, network.radius_px, dt_us=network.dt_us, networks=(network,), **how)
        if self.bands is None:
            raise OptionError(
                "detection needs speed bands or a network; give --bands 16,62,177,500 or --network net.toml"
            )
        radius = radius_of(self.radius or "5")
        if self.recipe is not None:
            self._check_one_radius(self.recipe, radius)
            how["recipe"] = Recipe.from_toml(self.recipe)
        return Search(
            bands_of(self.bands, self.band_names),
            radius,
            contrast=None if self.contrast == "auto" else number_of(self.contrast, "--contrast", " or auto"),
            dt_us=None if self.dt == "auto" else parse_time_us(self.dt),
            templates=tuple(Template.read(path) for path in self.template or ()),
            **how,
        )

    def _rules(self) -> Rules:
        rules = Rules.parse(self.rule or ())
        if self.keep is None:
            return rules
        if rules.keep_s != DEFAULTS.keep_s:
            raise OptionError("--keep and --rule keep_s both say how long an id is kept; give one of them")
        keep_us = time_of(self.keep, "--keep")
        if keep_us < 0:
            raise OptionError(f"--keep is {self.keep}; it must be 0s, to keep no id, or more")
        return replace(rules, keep_s=keep_us / 1e6)

    def _check_one_radius(self, recipe: Path, radius: float | tuple[float, float]) -> None:
        if self.template or isinstance(radius, tuple):
            other = "--template" if self.template else "a range of --radius"
            raise OptionError(f"{recipe} is for disks of one radius, and {other} has choices of its own; drop one")

    def _check_network_alone(self, network: Path) -> None:
        given = {"--bands": self.bands, "--band-names": self.band_names, "--radius": self.radius}
        given["--template"] = ", ".join(map(str, self.template)) if self.template else None
        given["--recipe"] = None if self.recipe is None else str(self.recipe)
        given |= {name: text for name, text in (("--dt", self.dt), ("--contrast", self.contrast)) if text != "auto"}
        extra = [name for name, text in given.items() if text is not None]
        if extra:
            raise OptionError(f"{network} already sets what {' and '.join(extra)} would set; drop one of the two")


@dataclass(frozen=True)
class Part:
    """How to read a recording, and which part of it."""

    size: Size = None
    frame_time: FrameTime = "1ms"
    time_unit: TimeUnit = None
    start: From = None
    stop: To = None
    budget: BudgetTimes = 1.0

    @property
    def sensor(self) -> tuple[int, int] | None:
        return None if self.size is None else parse_size(self.size)

    @property
    def frame_time_us(self) -> int:
        return parse_time_us(self.frame_time)

    def times_us(self) -> tuple[int, int | None]:
        """From and to, from the recording's start; to is None for its end. Raises OptionError."""
        from_us = 0 if self.start is None else parse_time_us(self.start)
        to_us = None if self.stop is None else parse_time_us(self.stop)
        if from_us < 0 or (to_us is not None and to_us <= from_us):
            raise OptionError("--from must not be negative and --to must be later than it")
        return from_us, to_us


@dataclass(frozen=True)
class Clean:
    """What is taken out before anything looks."""

    roi: Annotated[
        list[str] | None,
        part("--roi", metavar="x,y,w,h", help="Only events in this region (px); can be repeated."),
    ] = None
    ignore: Annotated[
        Path | None,
        part("--ignore", metavar="CSV", help="Drop the events of the pixels in this file, one x,y per line."),
    ] = None
    mask_hot: Annotated[
        bool, part("--mask-hot/--no-mask-hot", help="Drop the events of hot pixels, as velocell info counts them.")
    ] = True
    flicker: Annotated[
        str,
        part("--flicker", metavar="auto|off|HZ", help="Filter lamps: those that are found, none, or a given 100Hz."),
    ] = "auto"
    refractory: Annotated[
        str | None,
        part("--refractory", metavar="TIME", help="Drop events within this time after another at the same pixel."),
    ] = None
    denoise: Annotated[
        str | None,
        part("--denoise", metavar="TIME", help="Keep only events within this time after one at a neighbouring pixel."),
    ] = None
    camera: Annotated[
        Path | None,
        part("--camera", metavar="FILE", help="Correct the lens by an OpenCV camera file: .yml, .json or .xml."),
    ] = None

    def cleaning(self) -> Cleaning:
        """Raises VelocellError."""
        return Cleaning(
            ignore=np.empty((0, 2), np.int64) if self.ignore is None else read_pixels(self.ignore),
            mask_hot=self.mask_hot,
            flicker=parse_flicker(self.flicker),
            refractory_us=None if self.refractory is None else parse_time_us(self.refractory),
            denoise_us=None if self.denoise is None else parse_time_us(self.denoise),
            camera=None if self.camera is None else Camera.read(self.camera),
            regions=tuple(parse_region(text) for text in self.roi or ()),
        )


@dataclass(frozen=True)
class Measures:
    """What is made of the rows: real units, and who crosses a line."""

    px_per_mm: Annotated[
        float | None,
        output(
            "--px-per-mm", metavar="N", help="Add x_mm, y_mm, speed_mm_s, if the camera looks straight at the plane."
        ),
    ] = None
    homography: Annotated[
        Path | None,
        output(
            "--homography", metavar="FILE", help="The same with a 3x3 matrix from px to mm: .json, .toml, .csv, .npy."
        ),
    ] = None
    count_line: Annotated[
        list[str] | None,
        output(
            "--count-line",
            metavar="x0,y0,x1,y1",
            help="Count objects that cross this line, in OUT.counts.csv (batch: DIR/counts.csv); to_right is to your "
            "right as you walk from x0,y0 to x1,y1. Can be repeated.",
        ),
    ] = None

    def plane(self) -> Plane | None:
        """Raises OptionError."""
        if self.px_per_mm is not None and self.homography is not None:
            raise OptionError("--px-per-mm and --homography both set the scale; give one of them")
        if self.px_per_mm is not None:
            return Plane.of_scale(self.px_per_mm)
        return None if self.homography is None else Plane.read(self.homography)

    def lines(self) -> tuple[Line, ...]:
        """Raises OptionError."""
        return tuple(Line.parse(text) for text in self.count_line or ())


def given_words() -> list[str]:
    """The command as it was typed."""
    return ["velocell", *sys.argv[1:]]
