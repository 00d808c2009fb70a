"""Events of iniVation's cameras as their ROS drivers write them, in messages of event_camera_msgs.

    libcaer      8 bytes an event: x, y and polarity in bits, then the camera's time in 31 bits, which goes back to 0
    libcaer_cmp  words of 16 bits: 4 of a kind, 12 of a value, relative to those before

Times add to the message's own. Both layouts are those of libcaer and of the ROS package event_camera_codecs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from velocell.data.blocks import Events

_TURN_US = 1 << 31
_TIME_HIGH, _TIME_LOW, _X, _Y, _BASE_Y, _EIGHT = range(6)
_BITS = np.arange(8)


def libcaer(data: bytes, base_us: int) -> Events:
    """The events of one message."""
    words, t = np.frombuffer(data, "<u4").reshape(-1, 2).T.astype(np.int64)
    # Within a message the camera's time goes back only where it begins anew.
    turns = np.cumsum(np.diff(t, prepend=t[:1]) < -_TURN_US // 2)
    return Events(t + turns * _TURN_US + base_us, words >> 17, words >> 2 & 0x7FFF, (words >> 1 & 1) != 0)


class Compressed:
    """The events of message after message; x goes on from one to the next."""

    def __init__(self, x: int = 0) -> None:
        self.x = x

    def __call__(self, data: bytes, base_us: int) -> Events:
        words = np.frombuffer(data, "<u2").astype(np.int64)
        kind, value = words >> 12, words & 0xFFF
        base = _last(kind == _BASE_Y, value, 0)
        # Eight rows each, one after the other.
        eights = np.cumsum(kind == _EIGHT)
        row = (base & 0x7FF) + 8 * (eights - 1 - _last(kind == _BASE_Y, eights, 0))
        x = _last(kind == _X, value, self.x) & 0x7FF
        t = (_last(kind == _TIME_HIGH, value, 0) << 12 | _last(kind == _TIME_LOW, value, 0)) + base_us
        self.x = int(x[-1]) if x.size else self.x
        several = (kind == _EIGHT)[:, None] & (value[:, None] >> _BITS & 1 != 0)
        single = kind == _Y
        # In the order of the words.
        n = np.where(single, 1, several.sum(axis=1))
        word = np.repeat(np.arange(len(words)), n)
        y = (value & 0x7FF)[word]
        of_eight = kind[word] == _EIGHT
        y[of_eight] = (row[:, None] + _BITS)[several]
        on = np.where(of_eight, base[word], value[word]) >> 11 & 1
        return Events(t[word], x[word], y, on != 0)


def _last(here: NDArray[np.bool_], values: NDArray[np.int64], before: int) -> NDArray[np.int64]:
    """For each word, the value of the last one that is of a kind; `before` where there was none."""
    at = np.maximum.accumulate(np.where(here, np.arange(len(here)), -1))
    return np.where(at < 0, before, values[at])
