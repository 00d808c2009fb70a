"""Network and detector in the background: the newest settings first, the part that is looked at first.

One thread does all of it. New settings never interrupt a run before it has shown something at the
cursor, so that a dragged slider is followed by results, not by restarts. Where the cursor is far from
the start, a short provisional run around it comes first. A run stays a little ahead of the cursor and
forgets its oldest part beyond a limit of memory.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell import engines
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.data.tables import COLUMNS
from velocell.data.tracks import Tracks
from velocell.errors import VelocellError
from velocell.network import Network
from velocell.tracking.detector import Detector
from velocell.tracking.online import BLOCK_US
from velocell.viewer.measuring import Measured, Measuring, key_of, measurable, measure, seen, unmeasured
from velocell.viewer.settings import Settings
from velocell.viewer.source import Source

AHEAD_US = 10_000_000
"""How far a run goes beyond the cursor; the rest follows as it is played."""
RESULT_BYTES = 128 << 20
"""Rows and spikes that are kept; beyond, the oldest go."""
BINS = 600
"""Bins of the timeline."""

QUICK_EVENTS = 250_000
"""A run of more is preceded by a provisional one of at most so many."""
LEAD_US = (200_000, 1_000_000)
"""How long before the cursor a provisional run begins."""
SETTLE_S = 0.6
"""Settings that rested for so long are measured again."""

_NEAR_US = 10_000_000  # a cursor no further from the start than this is reached from the start
_PUBLISH_S = 0.15
_SPIKE_BYTES = 14


@dataclass(frozen=True, eq=False)
class Block:
    """A piece of a run: rows of the table by column, and all spikes, packed: arrays (n,) sorted by t_us."""

    start_us: int
    stop_us: int
    rows: dict[str, NDArray[Any]]
    t_us: NDArray[np.int64]
    x: NDArray[np.uint16]
    y: NDArray[np.uint16]
    channel: NDArray[np.uint8]
    layer: NDArray[np.uint8]

    def bytes_(self) -> int:
        return self.t_us.size * _SPIKE_BYTES + sum(column.nbytes for column in self.rows.values())


@dataclass(frozen=True, eq=False)
class Results:
    """What a run has found in [from_us, until_us). `activity` (bands, BINS): spikes of the final channels.

    provisional: a longer run follows. seconds: from the request to the first result at the cursor.
    """

    settings: Settings
    network: Network
    from_us: int
    until_us: int
    blocks: tuple[Block, ...]
    activity: NDArray[np.int64]
    provisional: bool = False
    complete: bool = False
    seconds: float | None = None

    def tracks(self) -> Tracks:
        columns = {name: np.concatenate([block.rows[name] for block in self.blocks]) for name in COLUMNS}
        return Tracks.from_columns(columns) if self.blocks else Tracks.empty()

    def between(self, start_us: int, stop_us: int) -> list[Block]:
        """The blocks that touch [start, stop)."""
        return [block for block in self.blocks if block.stop_us > start_us and block.start_us < stop_us]

    def spikes(self, start_us: int | None = None, stop_us: int | None = None) -> Spikes:
        """All spikes of the blocks that touch the span."""
        start, stop = self.from_us if start_us is None else start_us, self.until_us if stop_us is None else stop_us
        layers = len(self.network.layers)
        parts = []
        for block in self.between(start, stop):
            x, y, channel, layer = (v.astype(np.int32) for v in (block.x, block.y, block.channel, block.layer))
            parts.append(Spikes(block.t_us, x, y, channel, layer, layers))
        return Spikes.concatenate(parts, layers)


def packed(start_us: int, stop_us: int, rows: dict[str, NDArray[Any]], spikes: Spikes) -> Block:
    small = (np.uint16, np.uint16, np.uint8, np.uint8)
    columns = (getattr(spikes, n).astype(kind) for n, kind in zip(("x", "y", "channel", "layer"), small, strict=True))
    return Block(start_us, stop_us, {name: np.array(rows[name]) for name in COLUMNS}, spikes.t_us, *columns)


class Run:
    """Engine and detector over a source, block by block, to its end or, provisionally, to `stop_us`."""

    def __init__(
        self, source: Source, settings: Settings, network: Network, start_us: int, stop_us: int | None = None
    ) -> None:
        self.settings, self.network = settings, network
        self.from_us = self.until_us = start_us
        self.provisional, self.stop_us = stop_us is not None, source.stop_us if stop_us is None else stop_us
        self.seconds: float | None = None
        self.blocks: list[Block] = []
        self.edges_us = bin_edges(source)
        self.activity = np.zeros((0 if network.bands is None else len(network.bands), BINS), np.int64)
        self._source = source
        self._engine = engines.load("native")
        self._state = self._engine.init(network, source.size)
        self._detector = Detector(network, source.size, settings.every_us)
        self._bytes = 0

    @property
    def complete(self) -> bool:
        return self.until_us >= self.stop_us

    def next_us(self) -> int:
        """Where the next step ends."""
        return min((self.until_us // BLOCK_US + 1) * BLOCK_US, self.stop_us)

    def step(self) -> None:
        """One block further."""
        start, stop = self.until_us, self.next_us()
        at_end = stop == self._source.stop_us and not self._source.growing
        events = self._events(start, stop)
        # As in pipeline.respond and follow: the last tick is run although it may be cut short.
        until = -(-stop // self.network.dt_us) * self.network.dt_us if at_end else stop
        self._state, spikes = self._engine.step(self.network, self._state, events, until)
        rows = self._detector.step(events, spikes, stop - at_end)
        self._keep(start, stop, rows, spikes)
        self.until_us = stop

    def _events(self, start_us: int, stop_us: int) -> Recording:
        """What the network is given of [start, stop)."""
        return seen(self._source.window(start_us, stop_us), self.settings)

    def results(self) -> Results:
        complete = self.complete and not self.provisional
        return Results(
            self.settings, self.network, self.from_us, self.until_us, tuple(self.blocks), self.activity.copy(),
            self.provisional, complete, self.seconds,
        )  # fmt: skip

    def _keep(self, start: int, stop: int, rows: dict[str, NDArray[Any]], spikes: Spikes) -> None:
        final = spikes.of_layer(len(self.network.layers) - 1)
        known = final.channel < self.activity.shape[0]
        bins = np.searchsorted(self.edges_us, final.t_us[known], side="right") - 1
        np.add.at(self.activity, (final.channel[known], bins.clip(0, BINS - 1)), 1)
        block = packed(start, stop, rows, spikes)
        self.blocks.append(block)
        self._bytes += block.bytes_()

    def goes_on(self, at_us: int) -> bool:
        """Whether to step on with the cursor at `at_us`: not too far ahead, not beyond the memory."""
        if self.complete or self.until_us >= at_us + AHEAD_US:
            return False
        while self._bytes > RESULT_BYTES and len(self.blocks) > 1 and self.blocks[0].stop_us < at_us - LEAD_US[1]:
            self._bytes -= self.blocks.pop(0).bytes_()
            self.from_us = self.blocks[0].start_us
        return self._bytes <= RESULT_BYTES or self.until_us <= at_us + BLOCK_US


class Analysis:
    """Runs what `request` asks for; `on_change` is called from the thread.

    results: the latest. whole: the latest that is not provisional. measured: on the recording. error: why
    the last request failed. doing: in words, what takes longer.
    """

    def __init__(self, source: Source, on_change: Callable[[], None]) -> None:
        self._source, self._on_change = source, on_change
        self._wake = threading.Condition()
        self._wanted: Settings | None = None
        self._asked_s = 0.0
        self._at_us = source.start_us
        self._closed = False
        self._run: Run | None = None
        self._published_s = 0.0
        self._jobs: list[Callable[[], None]] = []
        self.results: Results | None = None
        self.whole: Results | None = None
        self.measured: Measured | None = None
        self._measuring: Measuring | None = None
        self._fresh: Measured | Exception | None = None
        self.error: str | None = None
        self.doing = ""
        self._thread = threading.Thread(target=self._work, name="velocell-analysis", daemon=True)
        self._thread.start()

    def request(self, settings: Settings, at_us: int) -> None:
        """Analyse with these settings; the cursor stands at `at_us`."""
        with self._wake:
            self._wanted, self._at_us, self._asked_s = settings, at_us, time.perf_counter()
            self.error = None
            self._wake.notify()

    def watch(self, at_us: int) -> None:
        """The cursor has moved."""
        with self._wake:
            self._at_us = at_us
            self._wake.notify()

    def submit(self, job: Callable[[], None]) -> None:
        """Run something else in the thread, between two blocks."""
        with self._wake:
            self._jobs.append(job)
            self._wake.notify()

    def close(self) -> None:
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join()
        if self._measuring is not None:
            self._measuring.join()

    def _work(self) -> None:
        while not self._closed:
            try:
                waited = self._once()
            except VelocellError as error:
                self._fail(str(error))
            except MemoryError:
                self._fail("there is not enough memory for this; choose a smaller region or a shorter part")
            except Exception as error:
                self._fail(f"an internal error ({type(error).__name__}: {error}); please report it")
            else:
                if waited is not None:
                    with self._wake:
                        if not (self._closed or self._jobs or self._fresh or self._due()):
                            self._wake.wait(waited or None)

    def _once(self) -> float | None:
        """Do one piece of work; returns how long nothing else is to be done (0: until woken), None: go on."""
        with self._wake:
            wanted, at_us, job = self._wanted, self._at_us, self._jobs.pop(0) if self._jobs else None
            fresh, self._fresh = (None, self._fresh) if job is not None else (self._fresh, None)
        if job is not None:
            job()
            return None
        if wanted is None:
            return 0
        if self.measured is None:
            self._measure_first(wanted)
        if fresh is not None:
            self._compare(fresh, wanted)
        run = self._run
        if run is None or run.settings is not wanted or not run.from_us <= at_us <= run.until_us + _NEAR_US:
            self._begin(wanted, at_us)
            return None
        if run.complete and run.provisional:
            self._start(wanted, self._anchor(at_us))
            return None
        if run.goes_on(at_us):
            self._step(run, at_us)
            return None
        if self.results is None or self.results.until_us != run.until_us:
            self._publish(run)
        return self._idle(wanted)

    def _idle(self, wanted: Settings) -> float:
        """Measure again once the settings rest."""
        if self._measuring is not None:
            return 0
        if self.doing:
            self._say("")
        if self.measured is None or self.measured.key == key_of(wanted) or not measurable(wanted):
            return 0
        rest = self._asked_s + SETTLE_S - time.perf_counter()
        if rest > 0:
            return rest
        self._say("measuring contrast and radius")
        self._measuring = Measuring(self._source, wanted, self._measure_done)
        return 0

    def _measure_first(self, wanted: Settings) -> None:
        """Before anything is shown: what is shown first should be right."""
        self.measured = unmeasured(wanted, self._source)
        if measurable(wanted):
            self._say("measuring contrast and radius")
            self.measured = measure(self._source, wanted)
            self._say("")

    def _measure_done(self, found: Measured | Exception) -> None:
        with self._wake:
            self._fresh = found
            self._wake.notify()

    def _compare(self, fresh: Measured | Exception, wanted: Settings) -> None:
        """Take what was measured; where another network follows from it, begin again."""
        self._measuring = None
        if isinstance(fresh, Exception):
            raise fresh
        if fresh.key != key_of(wanted) or self.measured is None:
            return
        if not fresh.agrees(self.measured, wanted):
            self._run = None
        self.measured = fresh
        self._say("")

    def _due(self) -> bool:
        return self._wanted is not None and (self._run is None or self._run.settings is not self._wanted)

    def _begin(self, wanted: Settings, at_us: int) -> None:
        """A new run: a provisional one first where the whole would take long to reach the cursor."""
        anchor = self._anchor(at_us)
        ahead = min(at_us + BLOCK_US, self._source.stop_us)
        events = int(self._source.count(np.array([anchor, ahead]))[0])
        if events > QUICK_EVENTS and self._run is not None:
            lead = max(LEAD_US[0], min(LEAD_US[1], round((ahead - anchor) * QUICK_EVENTS / events)))
            begin = max(anchor, at_us - lead)
            if begin > anchor:
                self._start(wanted, begin, ahead)
                return
        self._start(wanted, anchor)

    def _anchor(self, at_us: int) -> int:
        start = self._source.start_us
        return start if at_us - start <= _NEAR_US else at_us - LEAD_US[1]

    def _start(self, wanted: Settings, start_us: int, stop_us: int | None = None) -> None:
        network = self.network(wanted)
        network.check_size(*self._source.size)
        self._run = Run(self._source, wanted, network, start_us, stop_us)
        if self.results is not None and self.results.settings is wanted:
            self._run.seconds = self.results.seconds  # of the first that was shown

    def _step(self, run: Run, at_us: int) -> None:
        run.step()
        now = time.perf_counter()
        reached = run.until_us > at_us or run.complete
        if reached and run.seconds is None:
            run.seconds = now - self._asked_s
        elif now - self._published_s < _PUBLISH_S and not run.complete:
            return
        # Until the new run reaches the cursor the old one is worth more, unless there is none.
        shown = self.results
        if reached or shown is None or (shown.settings is run.settings and not shown.provisional):
            self._publish(run)

    def _publish(self, run: Run) -> None:
        self.results, self._published_s = run.results(), time.perf_counter()
        if not run.provisional:
            self.whole = self.results
        self._on_change()

    def network(self, settings: Settings) -> Network:
        """The network for these settings, with what was measured. Raises VelocellError."""
        return (self.measured or unmeasured(settings)).network(settings, polarity=self._source.polarity)

    def _say(self, doing: str) -> None:
        self.doing = doing
        self._on_change()

    def _fail(self, sentence: str) -> None:
        """Say it, and go on waiting for other settings."""
        self.error, self.doing = sentence, ""
        with self._wake:
            if self._run is None or self._run.settings is not self._wanted:
                self._wanted = None if self._run is None else self._run.settings
            else:
                self._wanted = None
        self._on_change()


def bin_edges(source: Source) -> NDArray[np.int64]:
    """The timeline's edges (BINS + 1,) in microseconds."""
    return np.linspace(source.start_us, source.stop_us, BINS + 1).astype(np.int64)
