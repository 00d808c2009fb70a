"""`velocell convert`: a recording from one format to another, whole or in part, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, cast

import typer

from velocell import formats
from velocell.cli import options as o
from velocell.cli.guard import say
from velocell.cli.outputs import check_distinct, check_output
from velocell.cli.progress import working
from velocell.cli.reading import open_events
from velocell.cli.spread import spread
from velocell.data.recording import Recording
from velocell.data.units import format_time, parse_region
from velocell.errors import OptionError, RecordingError
from velocell.filters import reshape
from velocell.formats import Source

_EVT = {"2": formats.write_evt2, "3": formats.write_evt3}

Step = Callable[[Recording], Recording]


@spread
def convert(
    file: Annotated[Path, typer.Argument(metavar="IN", help="A recording in any supported format.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help=f"One of {', '.join(formats.WRITERS)}.")],
    part: o.Part,
    evt: Annotated[
        str | None, typer.Option("--evt", metavar="2|3", help="EVT version of a .raw file; 3 by default.")
    ] = None,
    crop: Annotated[
        str | None, typer.Option("--crop", metavar="x,y,w,h", help="Only this region; its corner becomes pixel 0,0.")
    ] = None,
    flip: Annotated[
        str | None, typer.Option("--flip", metavar="x|y|xy", help="Mirror left-right (x), top-down (y).")
    ] = None,
    downsample: Annotated[
        int | None, typer.Option("--downsample", metavar="N", help="Merge NxN pixels into one; all events are kept.")
    ] = None,
    strict: o.Strict = False,
) -> None:
    """Write a recording in another format, chosen by the suffix of OUT, without loss.

    Changes are made in this order: --from and --to, --crop, --flip, --downsample.
    """
    check_output(out, tuple(formats.WRITERS), "a recording")
    check_distinct([out], [file])
    write = formats.WRITERS[out.suffix.lower()]
    if evt is not None:
        if out.suffix.lower() != ".raw" or evt not in _EVT:
            raise OptionError(f"--evt {evt} does not fit {out}; use 2 or 3, with a .raw file")
        write = _EVT[evt]
    from_us, to_us = part.times_us()
    work = _Work(open_events(file, part, strict), from_us, to_us, tuple(_steps(crop, flip, downsample)))
    with working(f"writing {out}"):
        write(work.blocks(), out)
    for note in work.source.integrity.notes():
        say(f"note: {file}: {note}")
    say(f"{work.events} events in {format_time(work.duration_us)} on {work.size[0]}x{work.size[1]} px in {out}")


def _steps(crop: str | None, flip: str | None, factor: int | None) -> Iterator[Step]:
    if crop is not None:
        region = parse_region(crop)
        yield lambda block: reshape.cut_out(block, *region)
    if flip is not None:
        axes = cast(reshape.Axes, flip)  # `reshape.flip` refuses others
        yield lambda block: reshape.flip(block, axes)
    if factor is not None:
        yield lambda block: reshape.downsample(block, factor)


@dataclass
class _Work:
    """What is written; times from the recording's start. events, size and duration_us describe it."""

    source: Source
    from_us: int
    to_us: int | None
    steps: tuple[Step, ...]
    events: int = 0
    size: tuple[int, int] = field(default=(0, 0))
    duration_us: int = 0

    def blocks(self) -> Iterator[Recording]:
        """Raises RecordingError where the requested part is empty."""
        whole = self.from_us == 0 and self.to_us is None
        start_us = None if whole else self.source.start_us + self.from_us
        stop_us = None if self.to_us is None else self.source.start_us + self.to_us
        began_us: int | None = None
        for block in self.source.blocks(start_us, stop_us):
            for step in self.steps:
                block = step(block)
            began_us = block.start_us if began_us is None else began_us
            self.events += len(block)
            self.size, self.duration_us = block.size, block.stop_us - began_us
            yield block
        if not self.events and not (whole and not self.steps):
            raise RecordingError(
                f"{self.source.path} has no events in that part; choose another time or a larger region"
            )
