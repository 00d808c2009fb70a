"""Progress on stderr, and only where a person looks at it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from velocell.data.recording import Recording


@contextmanager
def detection_progress(recording: Recording) -> Iterator[Callable[[Recording], None] | None]:
    """A bar that gets each part of the recording once it is done; None without a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=10),
        TextColumn("{task.percentage:.0f} % {task.fields[figures]}", markup=False),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        name = Path(recording.source).name
        task = bar.add_task(name, total=recording.duration_us, figures="calibrating")
        started, events, span_us = time.perf_counter(), 0, 0

        def done(block: Recording) -> None:
            nonlocal events, span_us
            events += len(block)
            span_us += block.duration_us
            figures = f"{events / 1e6:.1f} Mev, {_speed(events, span_us, time.perf_counter() - started)}"
            bar.update(task, completed=span_us, figures=figures)

        yield done


def speed_text(events: int, span_us: int, seconds: float) -> str:
    """`26000 events in 0.97 s (26.8 kev/s, 0.5 x real time)`."""
    return f"{events} events in {seconds:.2f} s ({_speed(events, span_us, seconds)})"


def _speed(events: int, span_us: int, seconds: float) -> str:
    seconds = max(seconds, 1e-9)
    return f"{rate_text(events / seconds)}, {span_us / 1e6 / seconds:.2g} x real time"


def rate_text(per_second: float) -> str:
    """`8.10 Mev/s`."""
    if per_second >= 1e6:
        return f"{per_second / 1e6:.2f} Mev/s"
    return f"{per_second / 1e3:.2f} kev/s" if per_second >= 1e3 else f"{per_second:.1f} ev/s"


@contextmanager
def working(what: str) -> Iterator[None]:
    """A sign of life while something takes long; nothing without a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield
