"""The viewer on a stream: what a session holds instead of what it holds for a recording.

Results are made in steps of a reporting interval. New settings begin a short while before the newest events, or
before the cursor where that looks back. An analysis that falls behind leaves events out, the oldest first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from velocell.calibration.stretch import PROBE_US
from velocell.data.recording import Recording
from velocell.filters.hot_pixels import hot_pixels, mask_pixels
from velocell.viewer import describe
from velocell.viewer.analysis import QUICK_EVENTS, SETTLE_S, Analysis
from velocell.viewer.kind import Kind
from velocell.viewer.measuring import Measured, key_of
from velocell.viewer.player import Clock, Follower, OnChange, Plays
from velocell.viewer.run import LAG_US, LEAD_US, Along, Pace, Results, Run
from velocell.viewer.settings import Settings
from velocell.viewer.stream import HOLD_US, Stream

_AGAIN_S = 10.0  # where the newest second was too sparse to measure, another one is tried after so long
_TABLE_S = 2.0
_TELL_S = 0.25  # pages get the stream's state this often


class Streamed:
    """How an analysis goes along with a stream. looked: whether its hot pixels were looked for."""

    publish_s, tell_s, rest_s, measures_first = 0.0, _TELL_S, _TELL_S, False

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.looked = False

    def begun(self) -> bool:
        return self._stream.stop_us > self._stream.start_us

    def at_us(self, asked_us: int | None, until_us: int) -> int:
        if asked_us is not None:
            return max(asked_us, self._stream.start_us)
        stop = self._stream.stop_us
        return min(stop, max(until_us, stop - LAG_US))

    def lost(self, run: Run, at_us: int, follows: bool) -> bool:
        """Whether the run does not hold the cursor and another one could, or its next events are gone."""
        return run.until_us < self._stream.start_us or (not follows and at_us < run.began_us)

    def begin(self, at_us: int, dt_us: int, *, follows: bool, quick: bool) -> tuple[int, int | None]:
        lead = LEAD_US[1]
        if follows:
            events = int(self._stream.count(np.array([at_us - lead, at_us]))[0])
            lead = max(LEAD_US[0], min(lead, round(lead * QUICK_EVENTS / max(events, 1))))
        return max(self._stream.start_us, at_us - lead) // dt_us * dt_us, None

    def pace(self, settings: Settings, dt_us: int, stop_us: int | None) -> Pace:
        return Along(self._stream, settings.search, dt_us)

    def reached(self, run: Run, at_us: int) -> bool:
        return run.until_us >= at_us or run.complete

    def look(self, settings: Settings) -> None:
        """For hot pixels, once a second has been seen."""
        if self.looked or not settings.cleaning.mask_hot:
            return
        first = self._stream.first_second()
        if first is not None:
            self.looked = True
            self._stream.mask(hot_pixels(first))

    def probe(self) -> Recording:
        """The newest second, without what hot pixels gave before they were known."""
        stop = self._stream.stop_us
        newest = self._stream.window(stop - PROBE_US, stop)
        # Behind a lens that was corrected, it is unknown which pixel an event came from.
        return newest if self._stream.moves_pixels else mask_pixels(newest, self._stream.hot)

    def parts(self) -> list[Recording]:
        return [self.probe()]

    def measures_at(self, known: Measured, wanted: Settings, asked_s: float, tried_s: float) -> float | None:
        if self._stream.stop_us - self._stream.start_us < PROBE_US:
            return None
        if known.key != key_of(wanted):
            return asked_s + SETTLE_S
        return tried_s + _AGAIN_S if known.too_sparse and self._stream.growing else None

    def keeps(self, fresh: Measured, known: Measured, wanted: Settings) -> bool:
        """Where nearly the same was measured; ids go on."""
        return fresh.agrees(known, wanted)


class StreamPage:
    """What a page gets of a stream, in addition to what it gets of any source."""

    table_s = _TABLE_S

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def facts(self, results: Results | None) -> dict[str, Any]:
        return {**self.timeline(results), "live": True, "hold_us": HOLD_US}

    def state(self, settings: Settings, player: Plays, analysis: Analysis) -> dict[str, Any]:
        stream = self._stream
        live = {
            "following": player.following,
            "growing": stream.growing,
            "begun": stream.stop_us > stream.start_us,
            "newest_us": stream.stop_us,
            "silent_s": round(stream.silent_s, 1),
            "dropped": analysis.dropped,
            "late": stream.late,
            "notes": list(stream.notes),
        }
        return {"command": settings.command(stream.name, stream.size), "file": stream.failure, "live": live}

    def timeline(self, results: Results | None) -> dict[str, Any]:
        """The newest part of the stream: its edges, event rates, and spikes of the bands."""
        edges = self._stream.edges()
        activity = [] if results is None else describe.activity(results, edges)
        held = {"held_us": self._stream.start_us, "first_us": self._stream.first_us, "activity": activity}
        return {**describe.rates(self._stream, edges), **held}

    def close(self) -> None:
        self._stream.close()


def _analysis(stream: Stream, on_change: Callable[[], None]) -> Analysis:
    analysis = Analysis(stream, Streamed(stream), on_change)
    stream.listen(analysis.wake)
    return analysis


def _player(stream: Stream, analysis: Analysis, *, playing: bool, clock: Clock, on_change: OnChange) -> Plays:
    """It follows, whether or not a recording would play."""
    return Follower(stream, analysis.newest_us, clock=clock, on_change=on_change)


STREAM = Kind(_analysis, _player, StreamPage)
"""What a `Session` on a `Stream` holds."""
