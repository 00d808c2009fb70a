"""Options that several commands share, and what their texts mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from velocell import formats
from velocell.engines import ENGINES
from velocell.errors import NetworkError, OptionError, RecordingError
from velocell.network import Bands, Network
from velocell.recording import Recording
from velocell.units import parse_numbers, parse_size, parse_time_us

# The same as recording.Polarity; written out, since the help lists the choices.
PolarityChoice = Literal["both", "on", "off", "merge"]

SOUGHT = "What to look for"
PART = "The recording"
OUTPUT = "Output"

BandsOption = Annotated[
    str | None,
    typer.Option(
        "--bands",
        metavar="EDGES",
        help="Edges in px/s: 16,62,177,500 makes three bands, the slowest is band 0.",
        rich_help_panel=SOUGHT,
    ),
]
NamesOption = Annotated[
    str | None,
    typer.Option("--band-names", metavar="NAMES", help="Such as slow,medium,fast.", rich_help_panel=SOUGHT),
]
RadiusOption = Annotated[
    str | None,
    typer.Option("--radius", metavar="PX", help="Radius of the disks in px, 5 if not given.", rich_help_panel=SOUGHT),
]
TemplateOption = Annotated[str | None, typer.Option("--template", hidden=True)]
DtOption = Annotated[
    str,
    typer.Option("--dt", metavar="TIME", help="Tick, such as 1ms; auto follows the bands.", rich_help_panel=SOUGHT),
]
ContrastOption = Annotated[
    str,
    typer.Option(
        "--contrast",
        metavar="N",
        help="Events per pixel and edge crossing; auto leaves it to the recording.",
        rich_help_panel=SOUGHT,
    ),
]
PolarityOption = Annotated[
    PolarityChoice,
    typer.Option("--polarity", help="Events to use; merge ignores polarity.", rich_help_panel=PART),
]
SizeOption = Annotated[
    str | None,
    typer.Option("--size", metavar="WxH", help="Sensor size in px.", rich_help_panel=PART),
]
FrameTimeOption = Annotated[
    str,
    typer.Option("--frame-time", metavar="TIME", help="Period of the frames in a tensor file.", rich_help_panel=PART),
]
EngineOption = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="NAME",
        help=f"What runs the network: {', '.join(ENGINES)}.",
        autocompletion=lambda: list(ENGINES),
    ),
]


def read_events(file: Path, size: str | None, frame_time: str) -> Recording:
    """The recording in a file. Raises RecordingError where it holds no events."""
    wanted = None if size is None else parse_size(size)
    recording = formats.read(file, size=wanted, frame_time_us=parse_time_us(frame_time))
    if not len(recording):
        raise RecordingError(f"{file} holds no events; check that it was recorded and saved in full")
    return recording


@dataclass(frozen=True)
class Sought:
    """What to look for, from which a network follows, or a ready `network` that brings its own."""

    bands: Bands
    radius: float
    contrast: float | None
    dt_us: int | None
    network: Network | None = None


def sought(
    bands: str | None,
    names: str | None,
    radius: str | None,
    contrast: str,
    dt: str,
    network: Path | None = None,
    template: str | None = None,
) -> Sought:
    """The texts of the options -> values. Raises VelocellError."""
    if template is not None:
        raise OptionError("--template is not available yet; give the radius of a disk with --radius")
    if network is not None:
        given = {"--bands": bands, "--band-names": names, "--radius": radius}
        given |= {name: text for name, text in (("--dt", dt), ("--contrast", contrast)) if text != "auto"}
        extra = [name for name, text in given.items() if text is not None]
        if extra:
            raise OptionError(f"{network} already says what {' and '.join(extra)} would; drop either")
        return _of_network(network)
    if bands is None:
        raise OptionError("detection needs speed bands or a network; give --bands 16,62,177,500 or --network net.toml")
    named = tuple(name.strip() for name in names.split(",")) if names is not None else ()
    return Sought(
        bands=Bands(parse_numbers(bands, "--bands"), named),
        radius=_radius(radius or "5"),
        contrast=None if contrast == "auto" else _number(contrast, "--contrast", " or auto"),
        dt_us=None if dt == "auto" else parse_time_us(dt),
    )


def _of_network(path: Path) -> Sought:
    network = Network.from_toml(path)
    if network.bands is None or network.radius_px is None:
        raise NetworkError(f"{path} says neither bands nor radius; write a network with velocell calibrate")
    return Sought(network.bands, network.radius_px, None, network.dt_us, network)


def _radius(text: str) -> float:
    if ":" in text:
        raise OptionError(f"a range of radii is not available yet; give one instead of --radius {text}")
    return _number(text, "--radius", " of pixels, such as 5")


def _number(text: str, option: str, more: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise OptionError(f"{option} '{text}' must be a number{more}") from None
