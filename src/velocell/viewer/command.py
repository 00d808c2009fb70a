"""The command line that makes the table on show without the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from velocell.calibration.search import Search
from velocell.data.bands import Bands
from velocell.data.units import format_time
from velocell.filters.chain import Cleaning
from velocell.filters.regions import Region
from velocell.results.counting import Line
from velocell.tracking.online import EVERY_US
from velocell.tracking.rules import DEFAULTS


@dataclass(frozen=True)
class Told:
    """What the command line said and values do not know: names of files, the scale and how the file is read, as the
    words that say it again.
    """

    network: str = "net.toml"
    template: str = "template.png"
    ignore: str = "ignore.csv"
    plane: tuple[str, ...] = ()
    reading: tuple[str, ...] = ()


def source_words(file: str, told: Told, live_size: tuple[int, int] | None) -> list[str]:
    """The command, and what it reads. live_size: of a live source's sensor, (width, height)."""
    if live_size is None:
        return ["velocell", "detect", file, *told.reading]
    if file.startswith("replay:"):
        return ["velocell", "live", file, *told.reading]
    return ["velocell", "live", file, "--size", "{}x{}".format(*live_size)]


def shape_words(search: Search, told: Told) -> list[str]:
    """What to look for, where the command calibrates itself."""
    assert search.bands is not None
    words = ["--bands", ",".join(map(number_text, search.bands.edges))]
    if search.bands.names != Bands(search.bands.edges).names:
        words += ["--band-names", ",".join(search.bands.names)]
    if search.template is not None:
        words += ["--template", told.template]
    elif isinstance(search.radius, tuple):
        words += ["--radius", ":".join(map(number_text, search.radius))]
    else:
        words += ["--radius", number_text(search.radius)]
    if search.contrast is not None:
        words += ["--contrast", number_text(search.contrast)]
    if search.dt_us is not None:
        words += ["--dt", format_time(search.dt_us)]
    return words


def cleaning_words(cleaning: Cleaning, regions: Sequence[Region], told: Told) -> list[str]:
    """What is taken out; regions: those that count in the end."""
    words = [] if cleaning.mask_hot else ["--no-mask-hot"]
    if len(cleaning.ignore):
        words += ["--ignore", told.ignore]
    for name, us in (("--refractory", cleaning.refractory_us), ("--denoise", cleaning.denoise_us)):
        words += [] if us is None else [name, format_time(us)]
    if cleaning.camera is not None:
        words += ["--camera", cleaning.camera.source]
    for region in regions:
        words += ["--roi", ",".join(map(str, region))]
    return words


def how_words(search: Search) -> list[str]:
    """Polarity, interval, rules and engine."""
    words = [] if search.polarity == "merge" else ["--polarity", search.polarity]
    if search.every_us != EVERY_US:
        words += ["--every", format_time(search.every_us)]
    usual = DEFAULTS.to_dict()
    for name, value in search.rules.to_dict().items():
        words += [] if value == usual[name] else ["--rule", f"{name}={number_text(value)}"]
    return words if search.engine == "native" else [*words, "--engine", search.engine]


def line_words(lines: Sequence[Line]) -> list[str]:
    each = [",".join(map(number_text, (line.x0, line.y0, line.x1, line.y1))) for line in lines]
    return [word for text in each for word in ("--count-line", text)]


def number_text(value: float) -> str:
    """The shortest text that is read back as the same number."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value)
