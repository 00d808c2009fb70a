"""Where in a recording something happens: the stretches that are worth measuring on.

A quiet start, noise alone, or a single early event say nothing. What moves leaves many events in a small place, what
is noise leaves about as many everywhere. Rejected: the first second with events, which one stray event can make an
empty one; the rate of all events, in which noise hides a disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from velocell.data.blocks import joined, pieces
from velocell.data.recording import Recording
from velocell.tracking.online import BLOCK_US

PROBE_US = 1_000_000  # so long is a stretch, at most
MOST_EVENTS = 1 << 20  # and so many events it has, about: few passes see more (`passes.MOST_WORK`)
_CELL = 16  # px
_SIGMAS, _LEAST = 6.0, 10  # beyond the usual cell, and events in all
_AT_ONCE = 1 << 18  # events
_MANY_BLOCKS = 32  # in which it is worth to see whether anything gathers at all


def is_busy(events: Recording) -> bool:
    """Whether some place of 16x16 px has far more events than the usual one."""
    if len(events) <= _LEAST:
        return False
    columns, rows = -(-events.width // _CELL), -(-events.height // _CELL)
    counts = np.bincount(_cells(events), minlength=columns * rows)
    usual = float(np.median(counts))
    return bool(counts.max() > usual + _SIGMAS * np.sqrt(usual) + _LEAST)


def gathers(events: Recording) -> bool:
    """Whether some place of 16x16 px has so many events within a stretch that it may be busy: where not, no part of
    them is."""
    if len(events) <= _LEAST:
        return False
    cell = _cells(events)
    order = np.argsort(cell, kind="stable")
    cell, t_us = cell[order], events.t_us[order]
    close = t_us[_LEAST:] - t_us[:-_LEAST] < PROBE_US + BLOCK_US
    return bool((close & (cell[_LEAST:] == cell[:-_LEAST])).any())


def _cells(events: Recording) -> NDArray[np.int32]:
    columns = -(-events.width // _CELL)
    return (events.y // _CELL).astype(np.int32) * np.int32(columns) + events.x // _CELL


class _Block:
    """The events of 100 ms, in parts of what the stream brought. calm: the piece of the stream in which they lie, if
    nothing gathers in it."""

    __slots__ = ("calm", "events", "number", "parts", "stop_us")

    def __init__(self, number: int, calm: int | None) -> None:
        self.number, self.calm = number, calm
        self.events, self.stop_us = 0, (number + 1) * BLOCK_US
        self.parts: list[tuple[Recording, int, int]] = []

    def add(self, piece: Recording, first: int, last: int) -> None:
        self.parts.append((piece, first, last))
        self.events += last - first


class Finder:
    """Takes consecutive parts of a stream, however they are cut, and finds the stretches in which something happens,
    each from where that begins.

    The stream is looked at in blocks of 100 ms; something slow or faint may need a whole stretch to be noticed. What
    has been seen and is not worth measuring on is forgotten. A silence ends a stretch.
    """

    def __init__(self) -> None:
        self._open: _Block | None = None
        self._held: list[_Block] = []
        self._begun, self._events = False, 0
        self._first_us: int | None = None  # of the stream
        self._stop_us = 0
        self._pieces = 0

    def feed(self, part: Recording) -> Iterator[Recording]:
        """Stretches that this part completes, as they are asked for."""
        self._first_us = part.start_us if self._first_us is None else self._first_us
        for piece in pieces(part, _AT_ONCE):
            yield from self._take(piece)
        self._stop_us = part.stop_us
        if self._open is not None and part.stop_us >= self._open.stop_us:
            yield from self._close()

    def end(self) -> Iterator[Recording]:
        """The stretch that the end of the stream cuts short."""
        if self._open is not None:
            self._open.stop_us = self._stop_us
            yield from self._close()
        yield from self._cut_short()

    def _take(self, piece: Recording) -> Iterator[Recording]:
        """Events of a piece, block by block."""
        number = piece.t_us // BLOCK_US
        starts = np.flatnonzero(np.diff(number, prepend=-1))
        self._pieces += 1
        calm = None if starts.size < _MANY_BLOCKS or gathers(piece) else self._pieces
        stops, number = np.append(starts[1:], len(piece)), number[starts]
        silences = np.flatnonzero(np.diff(number) > 1)
        if calm is not None and silences.size > 1:  # what is calm between two silences is forgotten
            of_use = np.r_[: silences[0] + 1, silences[-1] + 1 : number.size]
            starts, stops, number = starts[of_use], stops[of_use], number[of_use]
        for block, first, last in zip(number.tolist(), starts.tolist(), stops.tolist(), strict=True):
            if self._open is not None and block != self._open.number:
                yield from self._close()
            if self._open is None:
                self._open = _Block(block, calm)
            self._open.add(piece, first, last)

    def _close(self) -> Iterator[Recording]:
        """Take the open block."""
        block, self._open = self._open, None
        assert block is not None  # there is one
        if self._held and block.number > self._held[-1].number + 1:
            yield from self._cut_short()
        if not self._begun and block.events > _LEAST and is_busy(self._joined([block])):
            self._hold([])
            self._begun = True
        self._held.append(block)
        self._events += block.events
        if block.stop_us - self._held[0].number * BLOCK_US < PROBE_US and self._events < MOST_EVENTS:
            return
        whole = self._worth()
        self._hold([] if whole is not None else self._held[len(self._held) // 2 + 1 :])
        if whole is not None:
            yield whole

    def _cut_short(self) -> Iterator[Recording]:
        whole = self._worth()
        self._hold([])
        if whole is not None:
            yield whole

    def _hold(self, blocks: list[_Block]) -> None:
        self._held, self._begun = blocks, False
        self._events = sum(block.events for block in blocks)

    def _worth(self) -> Recording | None:
        """What is held, where something happens in it."""
        if not self._begun:
            calm = {block.calm for block in self._held}
            if self._events <= _LEAST or (len(calm) == 1 and None not in calm):
                return None
        whole = self._joined(self._held)
        return whole if self._begun or is_busy(whole) else None

    def _joined(self, blocks: Sequence[_Block]) -> Recording:
        whole = joined([piece.slice(first, last) for block in blocks for piece, first, last in block.parts])
        start_us = max(blocks[0].number * BLOCK_US, self._first_us or 0)
        return replace(whole, start_us=start_us, stop_us=blocks[-1].stop_us)


def stretches(blocks: Iterable[Recording]) -> Iterator[Recording]:
    """Those of consecutive blocks; read no further than they are asked for."""
    finder = Finder()
    for block in blocks:
        yield from finder.feed(block)
    yield from finder.end()
