"""SPIF words, as AEStream sends them by UDP: 32 bits, little-endian, one event each.

    bit 31      0: the next word is the event's time in microseconds, modulo 2^32; 1: it has none
    bits 30..16 x        bit 15 polarity (1 = ON)        bits 14..0 y

A packet holds events of one kind, with times or without.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from velocell.data.blocks import Events

_NO_TIME = 1 << 31


def has_times(packet: bytes) -> bool | None:
    """Whether the events of a packet carry times; None where it is not a packet of whole events of one kind."""
    if not packet or len(packet) % 4:
        return None
    words = np.frombuffer(packet, "<u4")
    if words[0] & _NO_TIME:
        return False if bool((words & _NO_TIME).all()) else None
    return True if words.size % 2 == 0 and not (words[::2] & _NO_TIME).any() else None


def decode(packets: bytes, timed: bool) -> Events:
    """Packets of one kind, one after the other. Times are as sent, below 2^32, or 0 where there are none."""
    words = np.frombuffer(packets, "<u4")
    events = words[::2] if timed else words
    t = words[1::2].astype(np.int64) if timed else np.zeros(events.size, np.int64)
    x, y = (events >> 16) & 0x7FFF, events & 0x7FFF
    return Events(t, x.astype(np.uint16), y.astype(np.uint16), (events & 0x8000) != 0)


def unwrapped(t: NDArray[np.int64], last_us: int | None) -> NDArray[np.int64]:
    """Times of 32 bits -> times that go on after `last_us`; a step of less than half a turn is as it looks."""
    first = int(t[0]) if last_us is None else last_us
    steps = np.diff(t, prepend=first % (1 << 32))
    half = 1 << 31
    return np.asarray(first + np.cumsum((steps + half) % (1 << 32) - half), np.int64)
