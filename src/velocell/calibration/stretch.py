"""Where in a recording something happens: the stretches that are worth measuring on.

A quiet start, noise alone, or a single early event say nothing. What moves leaves many events in a small place, what
is noise leaves about as many everywhere. Rejected: the first second with events, which one stray event can make an
empty one; the rate of all events, in which noise hides a disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from velocell.data.blocks import joined
from velocell.data.recording import Recording
from velocell.tracking.online import BLOCK_US

PROBE_US = 1_000_000  # so long is a stretch, at most
MOST_EVENTS = 1 << 21  # and so many events it has, about
_CELL = 16  # px
_SIGMAS, _LEAST = 6.0, 10.0  # beyond the usual cell, and events in all


def is_busy(events: Recording) -> bool:
    """Whether some place of 16x16 px has far more events than the usual one."""
    if len(events) <= _LEAST:
        return False
    columns, rows = -(-events.width // _CELL), -(-events.height // _CELL)
    cell = (events.y // _CELL).astype(np.int32) * columns + events.x // _CELL
    counts = np.bincount(cell, minlength=columns * rows)
    usual = float(np.median(counts))
    return bool(counts.max() > usual + _SIGMAS * np.sqrt(usual) + _LEAST)


class Finder:
    """Takes consecutive parts of a stream, however they are cut, and finds the stretches in which something happens,
    each from where that begins.

    The stream is looked at in blocks of 100 ms; something slow or faint may need a whole stretch to be noticed. What
    has been seen and is not worth measuring on is forgotten. A silence ends a stretch.
    """

    def __init__(self) -> None:
        self._block: list[Recording] = []  # parts of the block that is still open
        self._held: list[Recording] = []
        self._begun = False
        self._first_us: int | None = None  # of the stream

    def feed(self, part: Recording) -> list[Recording]:
        """Stretches that this part completes."""
        self._first_us = part.start_us if self._first_us is None else self._first_us
        found = []
        for piece in lively(part):
            if self._block and piece.start_us >= self._block_stop_us:
                found += self._close(self._block_stop_us)
            self._block.append(piece)
        if self._block and part.stop_us >= self._block_stop_us:
            found += self._close(self._block_stop_us)
        return found

    @property
    def _block_stop_us(self) -> int:
        return (self._block[0].start_us // BLOCK_US + 1) * BLOCK_US

    def end(self) -> list[Recording]:
        """The stretch that the end of the stream cuts short."""
        found = self._close(self._block[-1].stop_us) if self._block else []
        if self._held and (self._begun or is_busy(joined(self._held))):
            found.append(joined(self._held))
        self._held, self._begun = [], False
        return found

    def _close(self, stop_us: int) -> list[Recording]:
        """Take the open block, which ends there."""
        start_us = max(self._block[0].start_us // BLOCK_US * BLOCK_US, self._first_us or 0)
        block, self._block = replace(joined(self._block), start_us=start_us, stop_us=stop_us), []
        found = []
        if self._held and start_us > self._held[-1].stop_us:  # after a silence
            found += self.end()
        if not self._begun and is_busy(block):
            self._held, self._begun = [], True
        self._held.append(block)
        span_us = block.stop_us - self._held[0].start_us // BLOCK_US * BLOCK_US
        if span_us < PROBE_US and sum(map(len, self._held)) < MOST_EVENTS:
            return found
        whole = joined(self._held)
        if self._begun or is_busy(whole):
            found.append(whole)
            self._held = []
        else:
            self._held = self._held[len(self._held) // 2 + 1 :]
        self._begun = False
        return found


def stretches(blocks: Iterable[Recording]) -> Iterator[Recording]:
    """Those of consecutive blocks; read no further than they are asked for."""
    finder = Finder()
    for block in blocks:
        yield from finder.feed(block)
    yield from finder.end()


def lively(recording: Recording) -> Iterator[Recording]:
    """Its parts in the 100 ms between two multiples of that, without those that are silent."""
    start_us = recording.start_us
    while start_us < recording.stop_us:
        at = int(np.searchsorted(recording.t_us, start_us))
        if at == len(recording):
            return
        start_us = max(start_us, int(recording.t_us[at]) // BLOCK_US * BLOCK_US)
        stop_us = min((start_us // BLOCK_US + 1) * BLOCK_US, recording.stop_us)
        yield recording.between(start_us, stop_us)
        start_us = stop_us
