"""`velocell export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from velocell.cli.export_network import NEUTRAL, export_network
from velocell.cli.guard import say
from velocell.cli.outputs import check_distinct, check_output
from velocell.cli.values import time_of
from velocell.data.meta import recording_span, sensor_size, version
from velocell.data.tracks import Tracks
from velocell.data.units import parse_size
from velocell.errors import OptionError, TableError

if TYPE_CHECKING:
    from velocell.results.exports import Frames


def export(
    tracks: Annotated[
        Path,
        typer.Argument(
            metavar="TRACKS|NETWORK",
            help="Table that velocell detect or simulate wrote; or, by its suffix .toml, a network.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="OUT", help="By suffix: .txt is MOTChallenge, .json is COCO; .nir for a network."
        ),
    ],
    fps: Annotated[
        float | None,
        typer.Option("--fps", metavar="N", help="Frames per second; by default one frame for each time in the table."),
    ] = None,
    origin: Annotated[
        str | None,
        typer.Option(
            "--origin",
            metavar="TIME",
            help="Where frames count from, on the recording's clock; its own start if not given.",
        ),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(
            "--truth", metavar="TABLE", help="Truth of the same recording; written in the same frames, as OUT.truth."
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--size", metavar="WxH", help="Sensor size in px, if the table does not state it; a network never does."
        ),
    ] = None,
    framework: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="FRAMEWORK",
            help="Of a network: norse, snntorch, spikingjelly or sinabs, where one of them is to read it; "
            "generic if not given.",
        ),
    ] = None,
    portable: Annotated[
        bool,
        typer.Option(
            "--portable",
            help="Of a network: reset to 0 and keep thresholds off what one event reaches, as frameworks need it.",
        ),
    ] = False,
    check: Annotated[
        Path | None,
        typer.Option(
            "--check",
            metavar="RECORDING",
            help="Of a network: write what it sees and answers on 500 ticks of this recording, as OUT.golden.npz.",
        ),
    ] = None,
) -> None:
    """Write tracks or a network for other tools.

    A table of tracks becomes boxes frame by frame, in MOTChallenge or COCO format. A network (.toml) becomes a NIR
    graph (.nir) for spiking frameworks and chips, and what it would cost there is shown.
    """
    from velocell.results import exports

    if tracks.suffix.lower() == ".toml":
        if fps is not None or origin is not None or truth is not None:
            raise OptionError(f"{tracks} is a network, and --fps, --origin and --truth are for tables; leave them out")
        export_network(tracks, out, framework or NEUTRAL, size, check, portable)
        return
    if framework is not None or check is not None or portable:
        raise OptionError(f"{tracks} is a table, and --for, --check and --portable are for networks; leave them out")

    check_output(out, exports.SUFFIXES, "an export")
    beside = out.with_suffix(f".truth{out.suffix}")
    check_distinct([out, *([beside] if truth is not None else [])], [tracks, *([truth] if truth is not None else [])])
    how: dict[str, Any] = {"fps": fps, "origin_us": None if origin is None else time_of(origin, "--origin")}
    wanted = None if size is None else parse_size(size)
    table = Tracks.read(tracks)
    answers = None if truth is None else Tracks.read(truth)
    if answers is not None:
        exports.check_same_recording(table, answers)
        exports.frames_of(answers, like=exports.frames_of(table, **how))  # errors come before the work
    cut = _write(out, tracks, table, wanted, how)
    if answers is not None:
        assert truth is not None
        _write(beside, truth, answers, wanted or sensor_size(table.meta), {"like": cut})


def _write(out: Path, source: Path, table: Tracks, size: tuple[int, int] | None, how: dict[str, Any]) -> Frames:
    from velocell.results import exports

    try:
        if out.suffix.lower() == ".txt":
            cut = exports.write_mot(out, table, **how, velocell=version())
        else:
            cut = exports.write_coco(out, table, size=size, **how, velocell=version())
    except TableError as error:
        raise TableError(f"{source}: {error}") from None
    stated = recording_span(table.meta) is not None or "like" in how or how["origin_us"] is not None
    left = f"; {cut.before} rows before the origin are left out" if cut.before else ""
    row = "" if stated else " (the first row, since the table does not state when its recording starts)"
    say(
        f"{len(cut.rows)} boxes in {cut.count} frames at {cut.fps:g} frames/s, the first at {cut.start_us} us, "
        f"counted from {cut.origin_us} us{row}, in {out}{left}"
    )
    return cut
