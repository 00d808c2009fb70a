"""The command line that makes the table on show without the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from velocell.calibration.search import Search
from velocell.data.bands import Bands
from velocell.data.optional import number_text
from velocell.data.units import format_time
from velocell.results.counting import Line


@dataclass(frozen=True)
class CommandParts:
    """Words of the command line that the values do not hold: names of files, the scale, and how the file is read."""

    network: str = "net.toml"
    template: str = "template.png"
    ignore: str = "ignore.csv"
    plane: tuple[str, ...] = ()
    reading: tuple[str, ...] = ()


def source_words(file: str, parts: CommandParts, live_size: tuple[int, int] | None) -> list[str]:
    """The command, and what it reads. live_size: of a live source's sensor, (width, height)."""
    if live_size is None:
        return ["velocell", "detect", file, *parts.reading]
    if file.startswith("replay:"):
        return ["velocell", "live", file, *parts.reading]
    return ["velocell", "live", file, "--size", "{}x{}".format(*live_size)]


def shape_words(search: Search, parts: CommandParts) -> list[str]:
    """What to look for, where the command calibrates itself."""
    assert search.bands is not None
    words = ["--bands", ",".join(map(number_text, search.bands.edges))]
    if search.bands.names != Bands(search.bands.edges).names:
        words += ["--band-names", ",".join(search.bands.names)]
    if search.template is not None:
        words += ["--template", parts.template]
    elif isinstance(search.radius, tuple):
        words += ["--radius", ":".join(map(number_text, search.radius))]
    else:
        words += ["--radius", number_text(search.radius)]
    if search.contrast is not None:
        words += ["--contrast", number_text(search.contrast)]
    if search.dt_us is not None:
        words += ["--dt", format_time(search.dt_us)]
    return words


def line_words(lines: Sequence[Line]) -> list[str]:
    each = [",".join(map(number_text, (line.x0, line.y0, line.x1, line.y1))) for line in lines]
    return [word for text in each for word in ("--count-line", text)]
