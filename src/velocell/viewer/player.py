"""Playing: where the cursor is, how fast it moves, over which part; in a recording, and along a stream.

`Session` holds one of them and asks for nothing but what `Plays` names.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from velocell.errors import OptionError
from velocell.viewer.settings import number, within
from velocell.viewer.source import Source

SPEEDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_SPEED_LIMITS = (SPEEDS[0], SPEEDS[-1])

Clock = Callable[[], float]
"""In seconds."""
OnChange = Callable[[], object]
"""Called on every change."""


class Plays(Protocol):
    """What moves the cursor. Times in microseconds of the source's clock; wrong values raise VelocellError.

    commands: the methods that a page may call by name. following: whether the cursor stays at the newest events.
    """

    commands: frozenset[str]
    following: bool

    @property
    def playing(self) -> bool: ...
    @property
    def speed(self) -> float: ...
    @property
    def span(self) -> tuple[int, int]:
        """The part [start, stop) that is played: one that was chosen, or all."""
        ...

    def at_us(self) -> int:
        """Where the cursor stands now."""
        ...

    def play(self) -> None: ...
    def pause(self) -> None: ...
    def seek(self, t_us: float) -> None: ...
    def set_speed(self, speed: float) -> None: ...
    def loop(self, on: bool, start_us: float | None = None, stop_us: float | None = None) -> None: ...

    def state(self) -> dict[str, Any]:
        """What a page gets."""
        ...


COMMANDS = frozenset(("play", "pause", "seek", "set_speed", "loop"))


class Player:
    """A cursor in what a source holds, by a clock that says seconds. on_change is called on every change."""

    commands, following = COMMANDS, False

    def __init__(self, source: Source, *, playing: bool, clock: Clock, on_change: OnChange) -> None:
        self._source, self._clock, self._on_change = source, clock, on_change
        self._lock = threading.RLock()
        self.playing, self.speed, self.looping = playing, start_speed(source), True
        self.part: tuple[int, int] | None = None
        self._at_us, self._since_s = source.start_us, clock()

    @property
    def span(self) -> tuple[int, int]:
        return self.part or (self._source.start_us, self._source.stop_us)

    @property
    def resting_us(self) -> int:
        """Where the cursor was put, or last began to move."""
        return self._at_us

    def moved_us(self) -> float:
        """Where the clock has taken it since, whatever ends there."""
        return self._at_us + (self._clock() - self._since_s) * 1e6 * self.speed if self.playing else self._at_us

    def put(self, t_us: int) -> None:
        """Put the cursor somewhere; what plays goes on from there."""
        with self._lock:
            self._at_us, self._since_s = t_us, self._clock()

    def at_us(self) -> int:
        with self._lock:
            if not self.playing:
                return self._at_us
            (start, stop), t = self.span, self.moved_us()
            if t >= stop:
                if not self.looping:
                    self.playing, self._at_us = False, stop
                    self._on_change()
                    return stop
                t = start + (t - start) % max(stop - start, 1)
                self.put(int(t))
            return int(t)

    def play(self) -> None:
        with self._lock:
            start, stop = self.span
            self.put(self._at_us if start <= self._at_us < stop else start)
            self.playing = True
            self._on_change()

    def pause(self) -> None:
        with self._lock:
            self._at_us = self.at_us()
            self.playing = False
            self._on_change()

    def seek(self, t_us: float) -> None:
        with self._lock:
            self.put(int(min(max(number(t_us, "time"), self._source.start_us), self._source.stop_us)))
            if not self.span[0] <= self._at_us <= self.span[1]:
                self.part = None
            self._on_change()

    def set_speed(self, speed: float) -> None:
        with self._lock:
            self.put(self.at_us())
            self.speed = within(speed, _SPEED_LIMITS, "speed")
            self._on_change()

    def loop(self, on: bool, start_us: float | None = None, stop_us: float | None = None) -> None:
        """Whether to begin again at the end, of a part [start, stop) or of everything."""
        source = self._source
        with self._lock:
            self.put(self.at_us())
            start = source.start_us if start_us is None else max(int(number(start_us, "time")), source.start_us)
            stop = source.stop_us if stop_us is None else min(int(number(stop_us, "time")), source.stop_us)
            if stop <= start and (start_us, stop_us) != (None, None):
                raise OptionError("the part to loop over has no length; drag over the timeline")
            self.looping = bool(on)
            self.part = None if start_us is None and stop_us is None else (start, stop)
            self._at_us = min(max(self._at_us, start), stop)
            self._on_change()

    def state(self) -> dict[str, Any]:
        at_us = self.at_us()
        return {"playing": self.playing, "t_us": at_us, **self.choices()}

    def choices(self) -> dict[str, Any]:
        """What a page gets, except the cursor."""
        part = self.part is not None
        return {"speed": self.speed, "loop": self.looping, "span": list(self.span), "part": part}


class Follower:
    """A cursor at the newest instant of a stream that can be shown, `newest_us`; or, looking back, in what is held."""

    commands = COMMANDS | {"follow"}

    def __init__(self, source: Source, newest_us: Callable[[], int], *, clock: Clock, on_change: OnChange) -> None:
        self._source, self._newest_us, self._on_change = source, newest_us, on_change
        self._lock = threading.RLock()
        self._back = Player(source, playing=True, clock=clock, on_change=on_change)
        self._back.speed = 1.0
        self.following = True

    @property
    def playing(self) -> bool:
        return self.following or self._back.playing

    @property
    def speed(self) -> float:
        return self._back.speed

    @property
    def span(self) -> tuple[int, int]:
        return self._back.span

    def at_us(self) -> int:
        with self._lock:
            source, back = self._source, self._back
            if self.following:
                edge = self._newest_us()
                if not source.growing and edge >= source.stop_us:
                    self._look_back(edge)
                    back.playing = False
                    self._on_change()
                return edge
            if back.moved_us() < source.start_us:  # it is no longer held
                back.put(source.start_us)
            if back.playing and source.growing and back.part is None:
                edge = self._newest_us()
                if back.moved_us() >= edge:
                    if back.speed < 1:  # the stream will move away from it
                        back.put(edge)
                    else:
                        self.follow()
                    return edge
            return max(back.at_us(), source.start_us)

    def follow(self) -> None:
        """To the newest instant, and along with it."""
        with self._lock:
            self._back.part, self._back.speed = None, 1.0
            self.following = self._back.playing = True
            self._on_change()

    def play(self) -> None:
        with self._lock:
            back = self._back
            if self._source.growing and back.part is None and back.resting_us >= self._newest_us():
                self.follow()
            elif not self.following:
                back.play()

    def pause(self) -> None:
        with self._lock:
            at_us = self.at_us()
            self.following = self._back.playing = False
            self._back.put(at_us)
            self._on_change()

    def seek(self, t_us: float) -> None:
        with self._lock:
            self._look_back(self.at_us())
            self._back.seek(t_us)

    def set_speed(self, speed: float) -> None:
        with self._lock:
            wanted, at_us = within(speed, _SPEED_LIMITS, "speed"), self.at_us()
            if self.following and wanted > 1:
                raise OptionError("a live stream cannot be played faster; scrub back to play older events faster")
            if not self.following or wanted < 1:
                self.following, self._back.speed = False, wanted
                self._back.put(at_us)
                self._on_change()

    def loop(self, on: bool, start_us: float | None = None, stop_us: float | None = None) -> None:
        with self._lock:
            if start_us is not None or stop_us is not None:
                self._look_back(self.at_us())
            self._back.loop(on, start_us, stop_us)

    def state(self) -> dict[str, Any]:
        at_us = self.at_us()
        return {"playing": self.playing, "t_us": at_us, **self._back.choices()}

    def _look_back(self, at_us: int) -> None:
        if self.following:
            self.following = False
            self._back.put(at_us)


def start_speed(source: Source) -> float:
    """Real time, or slow enough that the recording lasts five seconds."""
    seconds = (source.stop_us - source.start_us) * 1e-6
    return max((speed for speed in SPEEDS if speed <= 1 and seconds / speed >= 5), default=SPEEDS[0])
