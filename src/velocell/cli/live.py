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
from velocell.cli.guard import say
from velocell.cli.outputs import check_distinct, check_output
from velocell.cli.values import sought
from velocell.data.units import parse_size, parse_time_us
from velocell.errors import OptionError

_SWITCH_S = 0.0005  # the first second is measured beside the rest, which must not wait for it


def live(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="replay:FILE, udp:// or tcp://HOST:PORT, camera:, -.")
    ],
    out: Annotated[
        str, typer.Option("--out", "-o", metavar="OUT", help="JSON Lines: a .jsonl file, udp://HOST:PORT or -.")
    ] = "-",
    bands: o.BandEdges = None,
    band_names: o.BandNames = None,
    radius: o.Radius = None,
    template: o.Templates = None,
    contrast: o.Contrast = "auto",
    dt: o.Dt = "auto",
    network: o.NetworkFile = None,
    polarity: o.Polarity = "merge",
    size: o.Size = None,
    frame_time: o.FrameTime = "1ms",
    mask_hot: o.MaskHot = True,
    speed: Annotated[
        str, typer.Option("--speed", metavar="N|max", help="Pace of a replay, 1 is the recording's.")
    ] = "1",
    every: o.Every = "5ms",
    append: Annotated[
        bool, typer.Option("--append", help="Go on with an earlier output, instead of replacing it.")
    ] = False,
    engine: o.Engine = "native",
) -> None:
    """Find the objects in a stream while it arrives: a camera's, or a recording played at its own pace."""
    from velocell.live import Settings, open_output, open_source, run

    wanted = sought(bands, band_names, radius, contrast, dt, network, template)
    if len(wanted.templates) > 1:
        raise OptionError("live looks for one shape; give one --template, and run live once for each")
    every_us = parse_time_us(every)
    if every_us < 1:
        raise OptionError("--every must be at least 1us")
    if out != "-" and "://" not in out:
        check_output(Path(out), (".jsonl",), "rows")
        check_distinct([Path(out)], [Path(source.removeprefix("replay:"))])
    settings = Settings(
        bands=wanted.bands,
        radius=wanted.radius,
        contrast=wanted.contrast,
        dt_us=wanted.dt_us,
        network=wanted.network,
        every_us=every_us,
        polarity=polarity,
        engine=engine,
        template=wanted.templates[0] if wanted.templates else None,
        mask_hot=mask_hot,
    )
    read_size = None if size is None else parse_size(size)
    events = open_source(
        source, size=read_size, frame_time_us=parse_time_us(frame_time), speed=speed, every_us=every_us
    )
    with closing(events), closing(open_output(out, append=append, say=say)) as output, _stopping() as stop:
        summary = run(events, settings, output, stop, say)
        interrupted = stop.is_set()
    say(f"{source}: {summary}")
    if interrupted:
        raise KeyboardInterrupt


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
