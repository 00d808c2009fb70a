"""`velocell export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from velocell.cli.guard import say
from velocell.cli.outputs import check_distinct, check_output
from velocell.data.meta import version
from velocell.data.tracks import Tracks
from velocell.data.units import parse_size
from velocell.errors import TableError


def export(
    tracks: Annotated[Path, typer.Argument(metavar="TRACKS", help="Table that velocell detect or simulate wrote.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="OUT", help="By suffix: .txt is MOTChallenge, .json is COCO.")
    ],
    fps: Annotated[
        float | None,
        typer.Option("--fps", metavar="N", help="Frames per second; by default one frame for each time in the table."),
    ] = None,
    size: Annotated[
        str | None, typer.Option("--size", metavar="WxH", help="Sensor size in px, if the table does not state it.")
    ] = None,
) -> None:
    """Write tracks for other tools: boxes frame by frame, in MOTChallenge or COCO format."""
    from velocell.results import exports

    check_output(out, exports.SUFFIXES, "an export")
    check_distinct([out], [tracks])
    table = Tracks.read(tracks)
    wanted = None if size is None else parse_size(size)
    try:
        if out.suffix.lower() == ".txt":
            cut = exports.write_mot(out, table, fps=fps, velocell=version())
        else:
            cut = exports.write_coco(out, table, size=wanted, fps=fps, velocell=version())
    except TableError as error:
        raise TableError(f"{tracks}: {error}") from None
    say(
        f"{len(cut.rows)} boxes in {cut.count} frames at {cut.fps:g} frames/s, the first at {cut.start_us} us, in {out}"
    )
