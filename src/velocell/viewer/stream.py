"""A live source as the viewer's source: the newest part of the stream is held, the rest forgotten.

A thread takes blocks off the source and copies them into pages of equal size. Times are settled in steps of a
millisecond: once an event of a later millisecond has come, what comes for earlier ones is late and left out.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell import live
from velocell.calibration.stretch import PROBE_US
from velocell.data.blocks import cut_at, joined
from velocell.data.recording import Recording
from velocell.filters.chain import Cleaning
from velocell.filters.flicker import told
from velocell.tracking.online import BLOCK_US
from velocell.viewer.worker import failed

HOLD_US = 30_000_000
SPANS_US = (1_000_000, 2_000_000, 5_000_000, 10_000_000, 20_000_000, HOLD_US)
"""So much of the stream is held,"""
HOLD_BYTES = 256 << 20
"""unless its events (13 bytes each) take more than this: about 20 million."""
SETTLE_US = 1_000

_PAGE_EVENTS = 1 << 16
_PAGE_BYTES = 13 * _PAGE_EVENTS
_GATHER_S = 0.004
_PROBE_EVENTS = 1 << 22  # of the first second so many are enough to find hot pixels
_TELL_US = 5_000  # listeners hear of new events at most this often, in the stream's time


class _Page:
    """Columns that are filled from the front; what was once read never changes."""

    def __init__(self) -> None:
        self.n = 0
        self.t = np.empty(_PAGE_EVENTS, np.int64)
        self.x, self.y = np.empty((2, _PAGE_EVENTS), np.uint16)
        self.p = np.empty(_PAGE_EVENTS, np.bool_)

    def append(self, block: Recording, first: int) -> int:
        """Take the block's events from `first` on, as many as fit; the first that did not."""
        last = min(len(block), first + _PAGE_EVENTS - self.n)
        here = slice(self.n, self.n + last - first)
        self.t[here], self.x[here], self.y[here] = block.t_us[first:last], block.x[first:last], block.y[first:last]
        if block.p is not None:
            self.p[here] = block.p[first:last]
        self.n = here.stop
        return last


_NOTHING = _Page()


class _Pages:
    """Columns of events in order of time, in pages; the oldest page can be dropped. Not for two threads at once."""

    def __init__(self) -> None:
        self._pages: deque[_Page] = deque()

    def __len__(self) -> int:
        return len(self._pages)

    def append(self, block: Recording) -> None:
        taken = 0
        while taken < len(block):
            if not self._pages or self._pages[-1].n == _PAGE_EVENTS:
                self._pages.append(_Page())
            taken = self._pages[-1].append(block, taken)

    def forget(self, start_us: int) -> int:
        """Drop pages that are earlier, and the oldest ones of too many; from when on all events are there."""
        while self._pages:
            oldest = self._pages[0]
            last_us = int(oldest.t[oldest.n - 1])
            if last_us >= start_us and len(self._pages) * _PAGE_BYTES <= HOLD_BYTES:
                break
            start_us = max(start_us, last_us + 1)
            self._pages.popleft()
        return start_us

    def now(self) -> list[tuple[_Page, int]]:
        """The pages and how full they are; what is in them stays as it is."""
        return [(page, page.n) for page in self._pages]


class Stream:
    """What is held of a live source, cleaned, as `viewer.source.Source` describes it; start and stop move.

    hot: pixels (n, 2) whose events are left out from now on. moves_pixels: whether a lens is corrected.
    late: events of times that were settled, left out. failure: why the source ended, if not by itself.
    `listen` sets what is called for new events and of the end, from the stream's thread.
    """

    def __init__(self, source: live.Source, cleaning: Cleaning | None = None) -> None:
        cleaning = Cleaning() if cleaning is None else cleaning
        self.name, self.title, self.size = source.name, source.name, source.size
        self.growing, self.late, self.polarity = True, 0, True
        self.start_us = self.stop_us = self.first_us = 0
        self.failure: str | None = None
        self.moves_pixels = cleaning.camera is not None
        self._source, self._stop, self._lock = source, Event(), Lock()
        self._cleaning, self._clean = cleaning, cleaning.stream(source.size)
        self._pages = _Pages()
        self._waiting: list[Recording] = []
        self._first: list[Recording] | None = [] if cleaning.mask_hot else None  # of the first second, as they came
        self._newest_us: int | None = None
        self._heard_s = time.monotonic()
        self._listener: Callable[[], None] = lambda: None
        self._thread = Thread(target=self._take, name="velocell-stream", daemon=True)
        self._thread.start()

    @property
    def events(self) -> int:
        """How many are held."""
        with self._lock:
            return sum(n for _, n in self._pages.now())

    @property
    def notes(self) -> tuple[str, ...]:
        hot = (f"without {len(self.hot)} hot pixels",) if len(self.hot) else ()
        lamps = self._clean.flicker.lamps
        lit = (f"{told(lamps)} filtered, {self._clean.flicker.left_out} events",) if lamps else ()
        return (*self._source.notes(), f"{self.late} events late, left out", *hot, *lit)

    @property
    def hot(self) -> NDArray[np.int64]:
        return self._clean.hot

    def mask(self, pixels: NDArray[np.int64]) -> None:
        """Leave the events of these pixels (n, 2) out from now on."""
        self._clean.hot = pixels

    def first_second(self) -> Recording | None:
        """Once it is over, and only once, its events as they came, to find hot pixels among them."""
        first = self._first
        if not first or not self._over(first):
            return None
        self._first = None
        return self._cleaning.without_ignored(joined(list(first)))

    def _over(self, first: list[Recording]) -> bool:
        return self.stop_us - self.first_us >= PROBE_US or sum(map(len, first)) >= _PROBE_EVENTS

    @property
    def silent_s(self) -> float:
        """How long nothing has come."""
        return time.monotonic() - self._heard_s

    def listen(self, listener: Callable[[], None]) -> None:
        self._listener = listener

    def window(self, start_us: int, stop_us: int) -> Recording:
        with self._lock:
            pages = self._pages.now()
            held = self.start_us, self.stop_us
        start = min(max(start_us, held[0]), held[1])
        stop = max(start, min(stop_us, held[1]))
        parts: list[list[Any]] = []
        for page, n in pages:
            if n and page.t[0] < stop and page.t[n - 1] >= start:
                first, last = np.searchsorted(page.t[:n], [start, stop])
                parts.append([column[first:last] for column in (page.t, page.x, page.y, page.p)])
        parts = parts or [[column[:0] for column in (_NOTHING.t, _NOTHING.x, _NOTHING.y, _NOTHING.p)]]
        t, x, y, p = parts[0] if len(parts) == 1 else (np.concatenate(column) for column in zip(*parts, strict=True))
        # Sorted and inside the sensor already: from_arrays would look at every event once more.
        width, height = self.size
        return Recording(t, x, y, p if self.polarity else None, width, height, start, stop, self.name)

    def count(self, edges_us: NDArray[np.int64]) -> NDArray[np.int64]:
        with self._lock:
            pages = self._pages.now()
        below = np.zeros(len(edges_us), np.int64)
        for page, n in pages:
            below += np.searchsorted(page.t[:n], edges_us)
        return np.diff(below)

    def edges(self) -> NDArray[np.int64]:
        """Of the timeline, in steps of the analysis' blocks, up to now: from the first event of a stream that has
        ended, of one that goes on the least of SPANS_US that holds it."""
        stop = -(-self.stop_us // BLOCK_US) * BLOCK_US
        there = max(stop - self.first_us // BLOCK_US * BLOCK_US, BLOCK_US)
        span = next((us for us in SPANS_US if us >= there), HOLD_US) if self.growing else min(there, HOLD_US)
        return np.arange(stop - span, stop + 1, BLOCK_US)

    def check(self) -> str | None:
        return self.failure

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._source.close()

    # --- the thread ---------------------------------------------------------------------------------

    def _take(self) -> None:
        told_us = 0
        try:
            for block in self._source.blocks(self._stop):
                self.feed(block)
                if self.stop_us >= told_us + _TELL_US:
                    told_us = self.stop_us
                    self._listener()
                if not self._source.waits:  # larger blocks cost less, and leave more for the rest of the program
                    self._stop.wait(_GATHER_S)
        except Exception as error:
            self.failure = failed(error)
        if self._newest_us is not None:
            self._settle(max(self._source.stop_us or 0, self._newest_us + 1))
        self.growing = False
        self._listener()

    def feed(self, block: Recording) -> None:
        """Take a block; one without events says that time has passed."""
        newest_us = int(block.t_us[-1]) if len(block) else block.stop_us
        if self._newest_us is None:
            if not len(block):
                return
            self.polarity = block.p is not None
            self.start_us = self.stop_us = self.first_us = int(block.t_us[0]) // SETTLE_US * SETTLE_US
        if len(block):
            self._heard_s = time.monotonic()
            late = int(np.searchsorted(block.t_us, self.stop_us))
            self.late += late
            self._waiting.append(block.slice(late, len(block)))
        self._newest_us = max(newest_us, self._newest_us or 0)
        settled_us = self._newest_us // SETTLE_US * SETTLE_US
        if settled_us > self.stop_us:
            self._settle(settled_us)

    def _settle(self, until_us: int) -> None:
        """What waits and is earlier goes into the pages; what is too old or too much goes out of them."""
        if self._waiting:
            ready, self._waiting = cut_at(self._waiting, until_us)
            if (first := self._first) is not None and not self._over(first):
                first.append(ready)
            ready = self._clean(ready)
        else:
            ready = Recording.from_arrays([], [], [], width=self.size[0], height=self.size[1])
        with self._lock:
            self._pages.append(ready)
            self.start_us = self._pages.forget(max(self.start_us, until_us - HOLD_US))
            self.stop_us = until_us
