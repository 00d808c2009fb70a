"""Network and detector in the background: the newest settings first, the part that is looked at first.

One thread does all of it. New settings never interrupt a run before it has shown something at the
cursor, so that a dragged slider is followed by results, not by restarts. A run stays a little ahead of the cursor and
forgets its oldest part beyond a limit of memory. What differs for a stream is a `Way` that the analysis holds.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np

from velocell.calibration.stretch import PROBE_US
from velocell.data.recording import Recording
from velocell.network import Network
from velocell.tracking.online import BLOCK_US
from velocell.viewer.measuring import Measured, Meter, Probing, key_of
from velocell.viewer.run import LEAD_US, Pace, Results, Run, Whole
from velocell.viewer.settings import Settings
from velocell.viewer.source import Source
from velocell.viewer.worker import Worker

QUICK_EVENTS = 250_000
"""A run of more is preceded by a provisional one of at most so many."""
SETTLE_S = 0.6
"""Settings that rested for so long are measured again."""

_NEAR_US = 10_000_000  # a cursor no further from the start than this is reached from the start
_PUBLISH_S = 0.15


class Way(Probing, Protocol):
    """How an analysis goes about a source.

    publish_s: shortest time between two results of an incomplete run. tell_s: shortest time between two notices.
    rest_s: with nothing to do it looks again after this time; 0: only when something happens.
    """

    publish_s: float
    tell_s: float
    rest_s: float

    def begun(self) -> bool:
        """Whether there is anything to analyse yet."""
        ...

    def at_us(self, asked_us: int | None, until_us: int) -> int:
        """Where the cursor is; None: at the newest instant that can be shown, with results until `until_us`."""
        ...

    def lost(self, run: Run, at_us: int, follows: bool) -> bool:
        """Whether another run is needed to show the cursor."""
        ...

    def begin(self, at_us: int, dt_us: int, *, follows: bool, quick: bool) -> tuple[int, int | None]:
        """Where a run begins and, if it is provisional, ends; quick: whether it may be."""
        ...

    def pace(self, settings: Settings, dt_us: int, stop_us: int | None) -> Pace: ...

    def reached(self, run: Run, at_us: int) -> bool:
        """Whether a run shows the cursor."""
        ...

    def look(self, settings: Settings) -> None:
        """Learn what is to be known of the source itself, in an idle moment."""
        ...


class Recorded:
    """All of a recording, from its start; far from that, from a while before the cursor.

    Where that takes long a provisional run around the cursor comes first.
    """

    publish_s, tell_s, rest_s, measures_first = _PUBLISH_S, 0.0, 0.0, True

    def __init__(self, source: Source) -> None:
        self._source = source

    def begun(self) -> bool:
        return True

    def at_us(self, asked_us: int | None, until_us: int) -> int:
        return until_us if asked_us is None else asked_us

    def lost(self, run: Run, at_us: int, follows: bool) -> bool:
        return not run.from_us <= at_us <= run.until_us + _NEAR_US

    def begin(self, at_us: int, dt_us: int, *, follows: bool, quick: bool) -> tuple[int, int | None]:
        start, stop = self._source.start_us, self._source.stop_us
        anchor = start if at_us - start <= _NEAR_US else at_us - LEAD_US[1]
        ahead = min(at_us + BLOCK_US, stop)
        events = int(self._source.count(np.array([anchor, ahead]))[0]) if quick else 0
        if events > QUICK_EVENTS:
            lead = max(LEAD_US[0], min(LEAD_US[1], round((ahead - anchor) * QUICK_EVENTS / events)))
            begin = max(anchor, at_us - lead)
            if begin > anchor:
                return begin, ahead
        return anchor, None

    def pace(self, settings: Settings, dt_us: int, stop_us: int | None) -> Pace:
        return Whole(self._source.stop_us if stop_us is None else stop_us)

    def reached(self, run: Run, at_us: int) -> bool:
        return run.until_us > at_us or run.complete

    def look(self, settings: Settings) -> None:
        pass

    def probe(self) -> Recording:
        return self._source.window(self._source.start_us, self._source.start_us + PROBE_US)

    def parts(self) -> Iterator[Recording]:
        at, stop = self._source.start_us, self._source.stop_us
        while at < stop:
            part = self._source.window(at, min(at + PROBE_US, stop))
            yield part
            at += PROBE_US
            if not len(part):
                at = self._next_event(at)

    def _next_event(self, at_us: int) -> int:
        """A whole number of probes after `at_us`, with the next event in the probe that begins there; silences of
        years take no time."""
        starts = range(at_us, self._source.stop_us, PROBE_US)

        def has_begun(start_us: int) -> bool:
            return bool(self._source.count(np.array([at_us, start_us + PROBE_US]))[0])

        return at_us + bisect_left(starts, True, key=has_begun) * PROBE_US

    def measures_at(self, known: Measured, wanted: Settings, asked_s: float, tried_s: float) -> float | None:
        return None if known.key == key_of(wanted) else asked_s + SETTLE_S

    def keeps(self, fresh: Measured, known: Measured, wanted: Settings) -> bool:
        """Never: what is found is to be exactly what the command line finds."""
        return False


class Analysis:
    """Runs what `request` asks for; `on_change` is called from the thread.

    results: the latest. whole: the latest that is not provisional. error: why the last request failed. doing: in
    words, what takes longer. dropped: events left out to keep up with a stream.
    """

    def __init__(self, source: Source, way: Way, on_change: Callable[[], None]) -> None:
        self._source, self._way, self._on_change = source, way, on_change
        self._wanted: Settings | None = None
        self._asked_s = self._published_s = self._told_s = 0.0
        self._asked_us: int | None = source.start_us
        self._run: Run | None = None
        self._shown: Run | None = None  # the one whose results are on show
        self.results: Results | None = None
        self.whole: Results | None = None
        self.error: str | None = None
        self.doing, self.dropped = "", 0
        self._worker = Worker(self._once, self._due, self._fail, "velocell-analysis")
        self._meter = Meter(way, self._say, self._worker.wake)
        self.submit, self.wake = self._worker.submit, self._worker.wake
        self._worker.start()

    @property
    def measured(self) -> Measured | None:
        """What was measured on the source, or is assumed."""
        return self._meter.known

    def request(self, settings: Settings, at_us: int | None) -> None:
        """Analyse with these settings; the cursor stands at `at_us`, None: at the newest events."""
        with self._worker.lock:
            self._wanted, self._asked_us, self._asked_s = settings, at_us, time.perf_counter()
            self.error = None
            self._worker.lock.notify()

    def watch(self, at_us: int | None) -> None:
        """The cursor has moved; None: it stays at the newest events."""
        with self._worker.lock:
            self._asked_us = at_us
            self._worker.lock.notify()

    def newest_us(self) -> int:
        """The newest instant that can be shown with its objects, or without them where these are late."""
        return self._way.at_us(None, 0 if self.results is None else self.results.until_us)

    def networks(self, settings: Settings) -> tuple[Network, ...]:
        """The networks for these settings, with what was measured. Raises VelocellError."""
        start = self._source.start_us
        polarity = settings.search.seen(self._source.window(start, start)).p is not None
        return self._meter.networks_for(settings, polarity=polarity)

    def close(self) -> None:
        self._worker.close()
        self._meter.close()

    # --- the thread ---------------------------------------------------------------------------------

    def _once(self) -> float | None:
        """Do one piece of work; returns how long nothing else is to be done (0: until woken), None: go on."""
        with self._worker.lock:
            wanted, asked_us = self._wanted, self._asked_us
        if self._way.rest_s:
            self._tell()
        if wanted is None or not self._way.begun():
            return self._way.rest_s
        self._meter.begin(wanted)
        if self._meter.due and self._meter.take(wanted):
            self._run = None
        at_us, follows = self._at_us(asked_us), asked_us is None
        run = self._run
        if run is None or run.settings is not wanted or self._way.lost(run, at_us, follows):
            self._begin(wanted, at_us, follows, quick=run is not None)
            return None
        if run.complete and run.provisional:
            self._begin(wanted, at_us, follows, quick=False)
            return None
        if run.goes_on(at_us):
            dropped = run.keep_up() if follows else 0
            self.dropped += dropped
            self._step(run, at_us)
            if dropped:
                self._idle(wanted)  # an idle moment may never come
            return None
        shown = self.results
        if shown is None or shown.until_us != run.until_us or (run.complete and not shown.complete):
            self._publish(run)
        return self._idle(wanted)

    def _at_us(self, asked_us: int | None) -> int:
        return self.newest_us() if asked_us is None else self._way.at_us(asked_us, 0)

    def _due(self) -> bool:
        run, wanted = self._run, self._wanted
        if wanted is None:
            return False
        if run is None or self._meter.due:
            return self._way.begun()
        return run.settings is not wanted or run.goes_on(self._at_us(self._asked_us))

    def _begin(self, wanted: Settings, at_us: int, follows: bool, *, quick: bool) -> None:
        networks = self.networks(wanted)
        networks[-1].check_size(*self._source.size)
        dt_us = networks[0].dt_us
        start, stop = self._way.begin(at_us, dt_us, follows=follows, quick=quick)
        pace = self._way.pace(wanted, dt_us, stop)
        self._run = Run(self._source, wanted, networks, start, pace, provisional=stop is not None)
        if self.results is not None and self.results.settings is wanted:
            self._run.seconds = self.results.seconds  # of the first that was shown

    def _step(self, run: Run, at_us: int) -> None:
        run.step()
        now = time.perf_counter()
        reached = self._way.reached(run, at_us)
        if reached and run.seconds is None:
            run.seconds = now - self._asked_s
        elif now - self._published_s < self._way.publish_s and not run.complete:
            return
        # Until the new run reaches the cursor the old one is worth more, unless there is none.
        if reached or self.results is None or self._shown is run:
            self._publish(run)

    def _idle(self, wanted: Settings) -> float:
        """What there is time for now; returns for how long nothing else is to be done."""
        self._way.look(wanted)
        if self.doing and not self._meter.measuring:
            self._say("")
        left_s, rest_s = self._meter.again(wanted, self._asked_s), self._way.rest_s
        return rest_s if left_s is None else min(left_s, rest_s or left_s)

    # --- telling ------------------------------------------------------------------------------------

    def _publish(self, run: Run) -> None:
        self.results, self._shown, self._published_s = run.results(), run, time.perf_counter()
        if not run.provisional:
            self.whole = self.results
        self._tell()

    def _tell(self) -> None:
        if time.monotonic() - self._told_s >= self._way.tell_s:
            self._told_s = time.monotonic()
            self._on_change()

    def _say(self, doing: str) -> None:
        self.doing = doing
        self._on_change()

    def _fail(self, sentence: str) -> None:
        """Say it, and go on waiting for other settings."""
        self.error, self.doing = sentence, ""
        with self._worker.lock:
            if self._run is None or self._run.settings is not self._wanted:
                self._wanted = None if self._run is None else self._run.settings
            else:
                self._wanted = None
        self._on_change()
