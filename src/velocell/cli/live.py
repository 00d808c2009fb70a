"""`velocell live`: objects in a stream while it arrives."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event
from typing import Annotated, Any

import typer

from velocell.cli import options as o
from velocell.cli.counts import write_counts
from velocell.cli.guard import say
from velocell.cli.outputs import check_distinct, check_output
from velocell.cli.spread import spread
from velocell.errors import OptionError
from velocell.results.counting import Gate

_SWITCH_S = 0.0005  # the first second is measured beside the rest, which must not wait for it


@spread
def live(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="replay:FILE, udp:// or tcp://HOST:PORT, camera:, -.")
    ],
    look_for: o.LookFor,
    part: o.Part,
    clean: o.Clean,
    measures: o.Measures,
    out: Annotated[
        str, o.output("--out", "-o", metavar="OUT", help="JSON Lines: a .jsonl file, udp://HOST:PORT or -.")
    ] = "-",
    speed: Annotated[
        str,
        typer.Option(
            "--speed", metavar="N|max", help="Speed of a replay: a factor, or max; 1 is the recording's own pace."
        ),
    ] = "1",
    sender: Annotated[
        str | None,
        typer.Option(
            "--sender",
            metavar="ADDRESS",
            help="Of udp://: follow only this address, or address:port; by default the first sender is followed.",
        ),
    ] = None,
    append: Annotated[
        bool, typer.Option("--append", help="Continue an earlier output instead of replacing it.")
    ] = False,
) -> None:
    """Find the objects in a stream as it arrives: from a camera, or from a recording played at its own pace."""
    from velocell.live import Settings, open_output, open_source, run

    search = look_for.search()
    if len(search.templates) > 1:
        raise OptionError("live looks for one shape at a time; give one --template, or run live once for each")
    settings = Settings(search, clean.cleaning(), measures.plane(), measures.lines())
    counts = _checked(source, out, bool(settings.lines))
    events = open_source(
        source,
        size=part.sensor,
        frame_time_us=part.frame_time_us,
        speed=speed,
        every_us=search.every_us,
        part_us=part.times_us(),
        budget=part.budget,
        sender=sender,
    )
    assert search.bands is not None
    names = search.bands.names

    def on_count(gate: Gate) -> None:
        if counts is not None:
            write_counts(counts, [(None, gate.counts)], gate.lines, names)

    with closing(events), closing(open_output(out, append=append, say=say)) as output, _stopping() as stop:
        summary = run(events, settings, output, stop, say, on_count)
        interrupted = stop.is_set()
    say(f"{source}: {summary}")
    if interrupted:
        raise KeyboardInterrupt


def _checked(source: str, out: str, counted: bool) -> Path | None:
    """Where crossings are counted: beside an output that is a file. Raises VelocellError for outputs that cannot be."""
    if out == "-" or "://" in out:
        return None
    counts = Path(f"{out}.counts.csv") if counted else None
    check_output(Path(out), (".jsonl",), "rows")
    if counts is not None:
        check_output(counts, (".csv",), "counts")
    check_distinct([Path(out), *([counts] if counts else [])], [Path(source.removeprefix("replay:"))])
    return counts


@contextmanager
def _stopping() -> Iterator[Event]:
    """An event that Ctrl-C and SIGTERM set, so that the work ends between two steps; a second one breaks it off."""
    stop = Event()

    def on_signal(number: int, frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    interval = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)
    # What is loaded by now stays, and is not looked through for garbage again and again.
    gc.collect()
    gc.freeze()
    try:
        yield stop
    finally:
        gc.unfreeze()
        sys.setswitchinterval(interval)
        for number, handler in before.items():
            signal.signal(number, handler)
