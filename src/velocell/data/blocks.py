"""Blocks of events: taken apart, put in order, joined, cut into the steps in which they are worked on."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from velocell.data.recording import Recording

T = TypeVar("T")

STEP_EVENTS = 1 << 16
"""A step of this many events ends at the next instant, or soon after."""
_SPARE, _MOST_TIMES = 1.1, 8.0  # room for what is expected, and for what has come already
PAUSE_S = 0.001  # of who works beside others, after some tenths of a millisecond
_TIMES_PER_SEARCH = 32  # that are divided in the time of one


class Footage(Protocol):
    """What is read in blocks, as often as it is asked for: a `Recording`, or a part of a file."""

    @property
    def size(self) -> tuple[int, int]: ...
    def head(self, span_us: int) -> Recording:
        """What comes in the first `span_us`."""
        ...

    def blocks(self) -> Iterator[Recording]:
        """Consecutive blocks, at least one; the first starts where the whole does, the last stops where it stops."""
        ...

    def peek(self) -> Iterator[Recording]:
        """The same, to look at some of what comes first: nothing is found out about the whole."""
        ...

    def outline(self) -> tuple[Recording, int]:
        """Span, sensor, source and notes, without events, and how many events there were; complete once all blocks
        were read."""
        ...


class Events(NamedTuple):
    """Decoded events, not yet checked. Arrays (n,): t_us int64, x and y unsigned or signed integers, p bool."""

    t_us: NDArray[np.int64]
    x: NDArray[np.integer[Any]]
    y: NDArray[np.integer[Any]]
    p: NDArray[np.bool_] | None


def on_sensor(events: Events, width: int, height: int) -> NDArray[np.bool_] | None:
    """Which events lie on the sensor; None where all do."""
    x, y = events.x, events.y
    if all(v.max() < side and (v.dtype.kind == "u" or v.min() >= 0) for v, side in ((x, width), (y, height))):
        return None
    inside: NDArray[np.bool_] = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return inside


def in_order(events: Events) -> Events:
    """By time; events of one time keep their order."""
    return take(events, np.argsort(events.t_us, kind="stable"))


def take(events: Events, which: Any) -> Events:
    """The events that an index, a mask or a slice selects."""
    p = None if events.p is None else events.p[which]
    return Events(events.t_us[which], events.x[which], events.y[which], p)


def joined(blocks: Sequence[Recording]) -> Recording:
    """Consecutive blocks, at least one, as one Recording over the span of all."""
    t, x, y, p = join_events([Events(block.t_us, block.x, block.y, block.p) for block in blocks])
    return replace(
        blocks[0],
        t_us=t,
        x=x.astype(np.uint16, copy=False),
        y=y.astype(np.uint16, copy=False),
        p=p,
        stop_us=blocks[-1].stop_us,
        notes=blocks[-1].notes,
    )


def gathered(blocks: Iterable[Recording], share: Callable[[], float] = lambda: 0.0) -> Recording:
    """The same for blocks as they come: none is kept beside the result. share: how much of the whole has come so far,
    from which follows how much room to make, or 0 where that is not known; what is never filled takes no memory."""
    first = block = None
    room: list[NDArray[Any]] = []
    n = 0
    for block in blocks:
        first = block if first is None else first
        if not len(block):
            continue
        columns = [block.t_us, block.x, block.y, *(() if block.p is None else (block.p,))]
        stop = n + len(block)
        if not room or stop > room[0].size:
            part = share()
            times = min(_SPARE / part, _MOST_TIMES) if part > 0 else 2.0
            room = [_larger(column, n, max(int(stop * times), stop)) for column in room or columns]
        for column, values in zip(room, columns, strict=True):
            column[n:stop] = values
        n = stop
    if first is None or block is None:
        raise ValueError("there must be a block")
    whole = replace(first, stop_us=block.stop_us, notes=block.notes)
    if not room:
        return whole
    for column in room:
        column.resize(n, refcheck=False)
    t_us, x, y, *p = room
    return replace(whole, t_us=t_us, x=x, y=y, p=p[0] if p else None)


def _larger(column: NDArray[Any], n: int, size: int) -> NDArray[Any]:
    """Room for so many numbers, the first n of them those of the column."""
    room = np.empty(size, column.dtype)
    room[:n] = column[:n]
    return room


def join_events(blocks: list[Events]) -> Events:
    """One after the other. Whether events have a polarity is for blocks with events to say."""
    blocks = [block for block in blocks if len(block.t_us)] or blocks[:1]
    if len(blocks) == 1:
        return blocks[0]
    t, x, y = (np.concatenate([block[k] for block in blocks]) for k in range(3))
    p = None if blocks[0].p is None else np.concatenate([block.p for block in blocks if block.p is not None])
    return Events(t, x, y, p)


def apart(blocks: Iterable[Recording], events: int = 1 << 12) -> Iterator[Recording]:
    """Consecutive blocks, joined to this many events or more, for who works on them beside what must not wait.
    Behind each there is a pause: NumPy holds Python's lock most of the time, and who keeps losing it falls behind."""
    held: list[Recording] = []
    n = 0
    for block in blocks:
        held.append(block)
        n += len(block)
        if n >= events:
            yield joined(held)
            held, n = [], 0
            time.sleep(PAUSE_S)
    if held:
        yield joined(held)


def cut_at(blocks: Sequence[Recording], until_us: int) -> tuple[Recording, list[Recording]]:
    """The events before `until_us` of blocks (at least one) that may overlap in time, in order of time, and the rest,
    which may be a block without events."""
    whole = joined(blocks)
    if (np.diff(whole.t_us) < 0).any():
        order = np.argsort(whole.t_us, kind="stable")
        p = None if whole.p is None else whole.p[order]
        whole = replace(whole, t_us=whole.t_us[order], x=whole.x[order], y=whole.y[order], p=p)
    k = int(np.searchsorted(whole.t_us, until_us))
    return whole.slice(0, k), [whole.slice(k, len(whole))]


def steps(blocks: Iterable[Recording], span_us: int, fewest: int = 1) -> Iterator[tuple[Recording, bool]]:
    """Consecutive blocks cut anew, at multiples of `span_us`, each behind at least `fewest` events; and which of them
    is the last.

    A silence is part of the step that follows it, the one at the end of the last: work follows events, never empty
    time. Where much happens a step ends earlier, so that memory is bounded too (STEP_EVENTS).
    """
    held: list[Recording] = []  # of the step that is open
    n, begin_us = 0, None
    last = block = None
    for block in blocks:
        begin_us = block.start_us if begin_us is None else begin_us
        for piece in pieces(block, max(STEP_EVENTS // 4, 1)):
            t_us = piece.t_us
            if last is not None and n >= STEP_EVENTS and t_us[0] > last:
                yield _step(held, begin_us, int(t_us[0])), False
                held, n, begin_us = [], 0, int(t_us[0])
            cuts = changes(t_us, span_us, last)
            first = 0
            while (k := int(np.searchsorted(cuts, first + max(fewest - n, 0)))) < cuts.size:
                at = int(cuts[k])
                before_us = int(t_us[at - 1]) if at else int(last or 0)
                stop_us = (before_us // span_us + 1) * span_us
                yield _step([*held, piece.slice(first, at)], begin_us, stop_us), False
                held, n, begin_us, first = [], 0, stop_us, at
            held.append(piece.slice(first, len(piece)))
            n, last = n + len(piece) - first, int(t_us[-1])
    if block is not None and begin_us is not None:
        yield _step(held or [block], begin_us, max(block.stop_us, begin_us)), True


def changes(t_us: NDArray[np.int64], span_us: int, before_us: int | None = None) -> NDArray[np.intp]:
    """The places at which times that do not fall, at least one, come to another multiple of `span_us` than the one
    before. before_us: the time before the first one, if there is any."""
    first, last = int(t_us[0] if before_us is None else before_us) // span_us, int(t_us[-1]) // span_us
    if last - first > t_us.size // _TIMES_PER_SEARCH:  # a silence has many
        window = t_us // span_us
        return np.flatnonzero(np.diff(window, prepend=first))
    at = np.searchsorted(t_us, np.arange(first + 1, last + 1, dtype=np.int64) * span_us)
    return at[np.diff(at, prepend=-1) > 0]


def ahead(items: Iterator[T], most: int = 1) -> Iterator[T]:
    """The items, made in a thread while others are in use: at most `most` that nobody has asked for yet."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        coming = deque(thread.submit(next, items, None) for _ in range(most))
        try:
            while (item := coming.popleft().result()) is not None:
                coming.append(thread.submit(next, items, None))
                yield item
        finally:  # nobody waits for what nobody wants any more
            for one in coming:
                one.cancel()


def pieces(block: Recording, events: int) -> Iterator[Recording]:
    """At most that number of events at a time; nothing where there are none."""
    return (block.slice(first, first + events) for first in range(0, len(block), events))


def _step(parts: list[Recording], start_us: int, stop_us: int) -> Recording:
    return replace(joined(parts), start_us=start_us, stop_us=stop_us)
