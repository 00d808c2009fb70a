"""The viewer on a stream: the analysis keeps up with it, the session's cursor follows it or looks back.

Results are made in steps of a reporting interval. New settings begin a short while before the newest events, or
before the cursor where that looks back. An analysis that falls behind leaves events out, the oldest first.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.calibration.measure import PROBE_US
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.data.tables import COLUMNS
from velocell.errors import OptionError
from velocell.filters.hot_pixels import hot_pixels, mask_pixels
from velocell.live.loop import LAG_S
from velocell.network import Network
from velocell.tracking.online import BLOCK_US
from velocell.viewer import describe
from velocell.viewer.analysis import (
    LEAD_US,
    QUICK_EVENTS,
    RESULT_BYTES,
    SETTLE_S,
    Analysis,
    Block,
    Results,
    Run,
    packed,
)
from velocell.viewer.measuring import Measuring, key_of, measurable, unmeasured
from velocell.viewer.session import COMMANDS, SPEEDS, Session
from velocell.viewer.settings import Settings, within
from velocell.viewer.source import InMemory
from velocell.viewer.stream import Stream

LAG_US = round(LAG_S * 1e6)
"""An analysis that stays further behind the stream than this leaves events out."""

_CATCH_UP_S = 1.0  # for so long it may try to catch up first
_AGAIN_S = 10.0  # where the newest second was too sparse to measure, another one is tried after so long
_TABLE_S = 2.0
_TELL_S = 0.25  # pages are told of the stream's state so often


class _LiveRun(Run):
    """A run that has no end while its source grows; what is no longer held is forgotten."""

    def __init__(self, source: Stream, settings: Settings, network: Network, start_us: int) -> None:
        super().__init__(source, settings, network, start_us)
        self.began_us = start_us
        self._stream, self._gap_us = source, 0
        self._in_time_s = time.monotonic()

    @property
    def complete(self) -> bool:
        return not self._stream.growing and self.until_us >= self._stream.stop_us

    def next_us(self) -> int:
        if self._gap_us > self.until_us:
            return self._gap_us
        stop = self._stream.stop_us
        if self._stream.growing:
            stop = self._ticks(stop)
        return min((self.until_us // BLOCK_US + 1) * BLOCK_US, stop)

    def goes_on(self, at_us: int) -> bool:
        behind = self._stream.stop_us - self.until_us
        return behind > (self.settings.every_us if self._stream.growing else 0) and self.next_us() > self.until_us

    def keep_up(self) -> int:
        """Leave out what has waited too long, to be called before a step; how many events that are."""
        now = time.monotonic()
        if self._stream.stop_us - self.until_us < LAG_US:
            self._in_time_s = now
        elif now > self._in_time_s + _CATCH_UP_S:
            self._in_time_s = now
            self._gap_us = self._ticks(self._stream.stop_us - LAG_US // 2)
            return int(self._stream.count(np.array([self.until_us, self._gap_us]))[0])
        return 0

    def _ticks(self, t_us: int) -> int:
        return t_us // self.network.dt_us * self.network.dt_us

    def _events(self, start_us: int, stop_us: int) -> Recording:
        if stop_us <= self._gap_us:
            stop_us = start_us
        return super()._events(start_us, stop_us)

    def _keep(self, start: int, stop: int, rows: dict[str, NDArray[Any]], spikes: Spikes) -> None:
        """Steps are short; those of a whole block become one."""
        self.blocks.append(packed(start, stop, rows, spikes))
        self._bytes += self.blocks[-1].bytes_()
        if stop % BLOCK_US == 0:
            first = next(k for k, block in enumerate(self.blocks) if block.stop_us > stop - BLOCK_US)
            self.blocks[first:] = [_joined(self.blocks[first:])]
        oldest = self._stream.start_us
        while len(self.blocks) > 1 and (self.blocks[0].stop_us <= oldest or self._bytes > RESULT_BYTES):
            self._bytes -= self.blocks.pop(0).bytes_()
            self.from_us = self.blocks[0].start_us


def _joined(blocks: list[Block]) -> Block:
    rows = {name: np.concatenate([block.rows[name] for block in blocks]) for name in COLUMNS}
    columns = (np.concatenate([getattr(b, name) for b in blocks]) for name in ("t_us", "x", "y", "channel", "layer"))
    return Block(blocks[0].start_us, blocks[-1].stop_us, rows, *columns)


class LiveAnalysis(Analysis):
    """Runs along a stream. following: whether the cursor does; else it looks back to where `watch` says.
    dropped: events that were left out to keep up."""

    _run: _LiveRun | None
    _source: Stream

    def __init__(self, source: Stream, on_change: Callable[[], None]) -> None:
        self.following, self.dropped, self._looked = True, 0, False
        self._told_s = self._tried_s = 0.0
        super().__init__(source, on_change)
        source.listen(self._notify)

    def cursor_us(self) -> int:
        """The newest instant that can be shown with its objects, or without them where these are late."""
        stop = self._source.stop_us
        until = 0 if self.results is None else self.results.until_us
        return min(stop, max(until, stop - LAG_US))

    def _notify(self) -> None:
        with self._wake:
            self._wake.notify()

    def _once(self) -> float | None:
        with self._wake:
            wanted, job = self._wanted, self._jobs.pop(0) if self._jobs else None
            fresh, self._fresh = (None, self._fresh) if job is not None else (self._fresh, None)
        if job is not None:
            job()
            return None
        self._tell()
        if wanted is None or self._source.stop_us == self._source.start_us:
            return _TELL_S
        self.measured = self.measured or unmeasured(wanted)
        if fresh is not None:
            self._compare(fresh, wanted)
        at_us = self.cursor_us() if self.following else max(self._at_us, self._source.start_us)
        run = self._run
        if run is None or run.settings is not wanted or self._lost(run, at_us):
            self._begin(wanted, at_us)
            return None
        if run.goes_on(at_us):
            behind = run.keep_up() if self.following else 0
            self.dropped += behind
            self._step(run, at_us)
            if behind:
                self._measure(wanted)  # an idle moment may never come
            return None
        if run.complete and (self.results is None or not self.results.complete):
            self._publish(run)
        self._measure(wanted)
        return _TELL_S

    def _newest(self) -> Recording:
        stop = self._source.stop_us
        return mask_pixels(self._source.window(stop - PROBE_US, stop), self._source.hot)

    def _lost(self, run: _LiveRun, at_us: int) -> bool:
        """Whether the run does not hold the cursor and another one could, or its next events are gone."""
        if run.until_us < self._source.start_us:
            return True
        return not self.following and at_us < run.began_us

    def _due(self) -> bool:
        return super()._due() or (self._wanted is not None and self._run is not None and self._run.goes_on(0))

    def _begin(self, wanted: Settings, at_us: int) -> None:
        lead = LEAD_US[1]
        if self.following:
            events = int(self._source.count(np.array([at_us - lead, at_us]))[0])
            lead = max(LEAD_US[0], min(lead, round(lead * QUICK_EVENTS / max(events, 1))))
        network = self.network(wanted)
        network.check_size(*self._source.size)
        start = max(self._source.start_us, at_us - lead)
        self._run = _LiveRun(self._source, wanted, network, start // network.dt_us * network.dt_us)

    def _step(self, run: Run, at_us: int) -> None:
        run.step()
        reached = run.until_us >= at_us or run.complete
        if reached and run.seconds is None:
            run.seconds = time.perf_counter() - self._asked_s
        if reached or self.results is None or self.results.settings is run.settings:
            self._publish(run)

    def _publish(self, run: Run) -> None:
        self.results = self.whole = run.results()
        self._tell()

    def _tell(self) -> None:
        if time.monotonic() - self._told_s >= _TELL_S:
            self._told_s = time.monotonic()
            self._on_change()

    def _measure(self, wanted: Settings) -> None:
        """On the newest second: once its hot pixels; contrast and radius once the settings rest, in the background."""
        if self._source.stop_us - self._source.start_us < PROBE_US:
            return
        if wanted.mask_hot and not self._looked:
            self._looked = True
            self._source.hot = hot_pixels(self._newest())
        known, now = self.measured, time.perf_counter()
        done = known is not None and known.key == key_of(wanted) and not (known.too_sparse and self._source.growing)
        if self._measuring is not None or done or not measurable(wanted):
            return
        rested = now > self._asked_s + SETTLE_S
        if known is not None and known.key == key_of(wanted):
            rested = now > self._tried_s + _AGAIN_S
        if rested:
            self._tried_s = now
            self.doing = "measuring contrast and radius"
            self._measuring = Measuring(InMemory(self._newest()), wanted, self._measure_done)


class LiveSession(Session):
    """A stream on show. While `following`, the cursor is at its newest instant; else as in a recording, within
    what is held."""

    source: Stream
    _analysis: LiveAnalysis
    commands = COMMANDS | {"follow"}

    def __init__(self, source: Stream, settings: Settings, **more: Any) -> None:
        self.following = True
        self._made: tuple[Any, float, dict[str, Any]] = (None, 0.0, {})
        super().__init__(source, settings, analysis=LiveAnalysis, **{**more, "playing": True})
        self.speed = 1.0

    def close(self) -> None:
        self.source.close()
        super().close()

    def at_us(self) -> int:
        with self._lock:
            source = self.source
            if self.following:
                edge = self._analysis.cursor_us()
                if not source.growing and edge >= source.stop_us:
                    self._look_back(edge)
                    self.playing = False
                    self._changed()
                return edge
            self._at_us = max(self._at_us, source.start_us)
            if self.playing and source.growing and self._part is None:
                t, edge = self._at_us + (self._clock() - self._since_s) * 1e6 * self.speed, self._analysis.cursor_us()
                if t >= edge:
                    if self.speed < 1:  # the stream will move away from it
                        self._at_us, self._since_s = edge, self._clock()
                    else:
                        self.follow()
                    return edge
            return max(super().at_us(), source.start_us)

    def follow(self) -> None:
        """To the newest instant, and along with it."""
        with self._lock:
            self._part, self.speed = None, 1.0
            self.following = self._analysis.following = self.playing = True
            self._changed()

    def play(self) -> None:
        with self._lock:
            if self.source.growing and self._part is None and self._at_us >= self._analysis.cursor_us():
                self.follow()
            elif not self.following:
                super().play()

    def pause(self) -> None:
        with self._lock:
            self._look_back(self.at_us())
            self.playing = False
            super().pause()

    def seek(self, t_us: float) -> None:
        with self._lock:
            self._look_back(self.at_us())
            super().seek(t_us)

    def set_speed(self, speed: float) -> None:
        with self._lock:
            wanted = within(speed, (SPEEDS[0], SPEEDS[-1]), "speed")
            if not self.following:
                super().set_speed(wanted)
            elif wanted > 1:
                raise OptionError("a stream comes no faster than it comes; scrub back to play what is held faster")
            elif wanted < 1:
                self._look_back(self.at_us())
                self.speed = wanted
                self._changed()

    def loop(self, on: bool, start_us: float | None = None, stop_us: float | None = None) -> None:
        with self._lock:
            if start_us is not None or stop_us is not None:
                self._look_back(self.at_us())
            super().loop(on, start_us, stop_us)

    def _look_back(self, at_us: int) -> None:
        if self.following:
            self.following = self._analysis.following = False
            self._at_us, self._since_s = at_us, self._clock()
            self._analysis.watch(at_us)

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), **self.timeline(), "live": True}

    def state(self) -> dict[str, Any]:
        analysis, source = self._analysis, self.source
        live = {
            "following": self.following,
            "growing": source.growing,
            "begun": source.stop_us > source.start_us,
            "newest_us": source.stop_us,
            "silent_s": round(source.silent_s, 1),
            "dropped": analysis.dropped,
            "late": source.late,
            "notes": list(source.notes),
        }
        command = self.settings.command(source.name, source.size)
        return {**super().state(), "command": command, "file": source.failure, "live": live}

    def results(self) -> dict[str, Any]:
        """As of a recording; while it follows, made anew only now and then: it takes a while."""
        now, key = time.monotonic(), (self.following, self.settings)
        if self._made[0] != key or not self._made[2] or now > self._made[1] + _TABLE_S:
            self._made = key, now, super().results()
        return self._made[2]

    def timeline(self) -> dict[str, Any]:
        """The newest part of the stream: its edges, event rates, and spikes of the bands."""
        edges = self.source.edges()
        results: Results | None = self._analysis.whole
        activity = [] if results is None else describe.activity(results, edges)
        held = {"held_us": self.source.start_us, "first_us": self.source.first_us, "activity": activity}
        return {**describe.rates(self.source, edges), **held}
