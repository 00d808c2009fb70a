"""Times of the packets of one sender: unwrapped, in step, and never backwards for long.

One packet says nothing: what does not fit is left out, until so many packets in a row agree with each other. Then the
stream goes on from where it is: to later times as they are, to earlier ones shifted, since what was found cannot be
taken back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from velocell.data.blocks import Events
from velocell.live import spif

FAR_US = 10_000_000  # a time this far from the newest is astray,
AGREED = 64  # unless so many packets in a row agree
_TURN = 1 << 32

Packet = tuple[float, bytes]
"""When it arrived, in seconds of the steady clock; and what it holds."""


class Together(NamedTuple):
    """Events of several packets. back_steps: how often the time goes back; size: (width, height) that holds them."""

    events: Events
    back_steps: int
    size: tuple[int, int]


class Timeline:
    """timed: whether events carry times; without, the time of arrival counts. epoch_s: what is added to arrivals.
    after_us: the newest time so far, of another sender. say: gets a sentence when the stream is in step again."""

    def __init__(self, timed: bool, epoch_s: float, after_us: int | None, say: Callable[[str], object]) -> None:
        self.timed, self.newest_us = timed, after_us
        self.astray = self.other = 0
        self._epoch_s, self._say = epoch_s, say
        self._raw_us: int | None = None  # the newest time as the sender has it
        self._shift_us = 0
        self._far, self._far_us = 0, 0
        self._other = 0  # in a row

    def alike(self, packets: list[Packet]) -> list[Packet]:
        """Those with times, or those without, as the first packet was; many others in a row change that. Until then
        `other` counts them."""
        good = []
        for packet in packets:
            kind = spif.has_times(packet[1])
            if kind is not None and kind is not self.timed:
                self._other += 1
                if self._other > AGREED:
                    self._change(kind)
                else:
                    self.other += 1
            if kind is self.timed:
                good.append(packet)
                self._other = 0
        return good

    def in_step(self, packets: list[Packet]) -> Together | None:
        """All packets at once, as is faster, where all have times and go on from where the stream is."""
        if not self.timed or self._far or self._raw_us is None:
            return None
        from velocell._native import spif_in_step

        found: Any = spif_in_step(
            [data for _, data in packets], newest_us=self._raw_us, shift_us=self._shift_us, far_us=FAR_US
        )
        if found is None:
            return None
        t_us, x, y, p, self._raw_us, back_steps, width, height = found
        self.newest_us = max(self.newest_us or 0, self._raw_us + self._shift_us)
        self._other = 0
        return Together(Events(t_us, x, y, p), back_steps, (width, height))

    def times(self, packets: list[Packet]) -> list[NDArray[np.int64]]:
        """Of each packet's events; none of those that do not go on from where the stream is."""
        if not self.timed:
            return [self._arrived(at, len(data) // 4) for at, data in packets]
        return [self._of(data) for _, data in packets]

    def of_sender(self, t_us: int) -> int | None:
        """A time of the stream as the sender has it, of 32 bits; None where its events have no times, or none yet."""
        return None if not self.timed or self._raw_us is None else (t_us - self._shift_us) % _TURN

    def _change(self, timed: bool) -> None:
        way = "with" if timed else "without"
        self._say(f"events come {way} times now; the stream goes on from where it was")
        self.timed, self._raw_us, self._shift_us, self._other = timed, None, 0, 0
        self._far = 0

    def _arrived(self, at_s: float, n: int) -> NDArray[np.int64]:
        return np.full(n, self._placed(int((at_s + self._epoch_s) * 1e6)), np.int64)

    def _placed(self, first_us: int) -> int:
        """The first time of a sender, or after it changed: shifted where the stream is further already."""
        if self._raw_us is None and self.newest_us is not None and first_us + self._shift_us <= self.newest_us:
            self._shift_us = self.newest_us + 1 - first_us
        self._raw_us = first_us if self._raw_us is None else max(self._raw_us, first_us)
        self.newest_us = max(first_us + self._shift_us, self.newest_us or 0)
        return first_us + self._shift_us

    def _of(self, data: bytes) -> NDArray[np.int64]:
        t = spif.unwrapped(spif.decode(data, True).t_us, self._raw_us)
        first_us = int(t[0])
        if self._raw_us is None:
            self._placed(first_us)
        assert self._raw_us is not None
        ahead_us = first_us - self._raw_us
        if abs(ahead_us) <= FAR_US:
            self._far = 0
        else:
            near = abs((first_us - self._far_us + _TURN // 2) % _TURN - _TURN // 2) <= FAR_US
            self._far, self._far_us = (self._far + 1 if near else 1), first_us
            if self._far <= AGREED:
                self.astray += 1
                return t[:0]
            self._jump(first_us, ahead_us)
        self._raw_us = max(int(t.max()), self._raw_us)
        self.newest_us = max(self._raw_us + self._shift_us, self.newest_us or 0)
        return t + self._shift_us

    def _jump(self, first_us: int, ahead_us: int) -> None:
        """Many packets agree on another time."""
        self._far = 0
        if ahead_us < 0:
            assert self._raw_us is not None
            self._shift_us += -ahead_us
            self._raw_us = first_us
            self._say(f"the sender's clock went back by {-ahead_us} us; from here on that is added to its times")
        else:
            self._say(f"the sender's clock went ahead by {ahead_us} us")
