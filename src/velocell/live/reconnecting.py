"""A source that comes back: where its sender is gone, or began anew, it is opened again, with growing pauses.

The times of what comes then continue: where the sender's clock is not ahead of the last event, they are moved so that
the gap is as long as it was by our own clock.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from threading import Event
from typing import Any

from velocell.data.recording import Recording
from velocell.errors import RecordingError, VelocellError
from velocell.live.sources import Source

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0


class Reconnecting:
    """What `open_one` opens, again and again, until `blocks` is stopped. Raises VelocellError where another sensor size
    comes back."""

    def __init__(self, name: str, open_one: Callable[[], Source], say: Callable[[str], object], stop: Event) -> None:
        self.name, self._open, self._say = name, open_one, say
        self._source: Source | None = None
        self._lost: Counter[str] = Counter()
        self._notes: tuple[str, ...] = ()
        self._last_us: int | None = None
        self._last_at = 0.0
        self._shift_us = 0
        self.stop_us: int | None = None
        first = self._opened(stop)
        if first is None:
            raise RecordingError(f"{name}: stopped before a sender was there")
        self._source = first
        self.size = first.size
        self.waits = first.waits

    @property
    def meta(self) -> dict[str, Any]:
        return {} if self._source is None else self._source.meta

    @property
    def waited_s(self) -> float:
        return 0.0 if self._source is None else self._source.waited_s

    @property
    def heard_s(self) -> float | None:
        return None if self._source is None else self._source.heard_s

    def losses(self) -> dict[str, int]:
        now = {} if self._source is None else self._source.losses()
        return {**self._lost, **{what: n + self._lost[what] for what, n in now.items()}}

    def blocks(self, stop: Event) -> Iterator[Recording]:
        while True:
            assert self._source is not None
            why = "its sender is gone"
            try:
                yield from map(self._moved, self._source.blocks(stop))
            except RecordingError as error:
                why = str(error)
            if stop.is_set():
                return
            self._give_up()
            self._say(f"warning: {self.name}: {why}; connecting again")
            self._lost["connections lost"] += 1
            try:
                found = self._opened(stop)
            except KeyboardInterrupt:  # which breaks off the opening; what came before is still to be finished
                if not stop.is_set():
                    raise
                return
            if found is None:
                return
            self._source = found
            if found.size != self.size:
                raise RecordingError(
                    f"{self.name} came back with a sensor of {found.size[0]}x{found.size[1]} px instead of "
                    f"{self.size[0]}x{self.size[1]}; start live again"
                )
            self._shift_us, self._began = 0, True
            self._say(f"note: {self.name}: connected again")

    _began = False

    def _opened(self, stop: Event) -> Source | None:
        """The next one; None where it is stopped before there is one."""
        pause_s, said = FIRST_PAUSE_S, False
        while not stop.is_set():
            try:
                return self._open()
            except VelocellError as error:
                if not said:
                    self._say(f"warning: {error}; trying again")
                    said = True
            stop.wait(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        return None

    def _give_up(self) -> None:
        assert self._source is not None
        self._lost.update(self._source.losses())
        self._notes = self._source.notes()
        self._source.close()
        self._source = None

    def _moved(self, block: Recording) -> Recording:
        if not len(block):
            return block
        now = time.monotonic()
        if self._began and self._last_us is not None:
            self._began = False
            first_us = int(block.t_us[0])
            if first_us <= self._last_us:
                self._shift_us = self._last_us + round((now - self._last_at) * 1e6) - first_us
                self._say(
                    f"note: {self.name}: its clock began anew; times are moved by {self._shift_us} us to continue"
                )
        if self._shift_us:
            shift = self._shift_us
            block = replace(
                block, t_us=block.t_us + shift, start_us=block.start_us + shift, stop_us=block.stop_us + shift
            )
        self._last_us, self._last_at = int(block.t_us[-1]), now
        return block

    def notes(self) -> tuple[str, ...]:
        return self._notes if self._source is None else self._source.notes()

    def close(self) -> None:
        if self._source is not None:
            self._source.close()
