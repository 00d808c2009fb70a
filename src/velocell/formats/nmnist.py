"""N-MNIST's binary files, which N-Caltech101 uses too: entries of 40 bits, big-endian, without a header.

x 8 bits, y 8 bits, polarity 1 bit, microseconds 23 bits. Entries with y = 240 mean that 2^13 us went by.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from velocell.data.blocks import Events
from velocell.data.budget import Budget
from velocell.data.integrity import Integrity
from velocell.formats.source import Opened

NAME = "N-MNIST binary"

_ENTRY_BYTES = 5
_READ_ENTRIES = 1 << 16
_FEWEST_ENTRIES = 10
_OVERFLOW_ROW, _OVERFLOW_US = 240, 1 << 13
_SIDE = 34


def matches(head: bytes, path: Path) -> bool:
    """The files have no mark: every entry must lie on the largest sensor of these data sets, in order of time."""
    if path.stat().st_size % _ENTRY_BYTES or len(head) < _FEWEST_ENTRIES * _ENTRY_BYTES:
        return False
    x, y, _, stamps = _columns(head[: len(head) // _ENTRY_BYTES * _ENTRY_BYTES])
    overflow = y == _OVERFLOW_ROW
    t = (stamps + np.cumsum(overflow) * _OVERFLOW_US)[~overflow]
    ordered = len(t) > 0 and bool((t[1:] >= t[:-1]).all()) and t[-1] > t[0]
    return ordered and bool((x < 240).all()) and bool((y <= _OVERFLOW_ROW).all())


def open_file(
    path: Path, *, size: tuple[int, int] | None, frame_time_us: int, time_unit: str | None, budget: Budget
) -> Opened:
    """34x34 where no event lies beyond that."""

    def decode(integrity: Integrity, start_us: int | None) -> Iterator[Events]:
        base_us = 0
        for data in _pieces(path):
            x, y, p, stamps = _columns(data)
            overflow = y == _OVERFLOW_ROW
            turns = np.cumsum(overflow) * _OVERFLOW_US
            integrity.fact("wraps", int(np.count_nonzero(overflow)))
            t, base_us = stamps + base_us + turns, base_us + int(turns[-1])
            yield Events(t[~overflow], x[~overflow], y[~overflow], p[~overflow])

    small = all(max(int(x.max()), int(y.max())) < _SIDE for x, y, *_ in map(_columns, _pieces(path)))
    why = "by its entries, which are in order of time and on the sensor"
    return Opened("N-MNIST binary", why, decode, (_SIDE, _SIDE) if small else None, "of N-MNIST")


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as handle:
        while data := handle.read(_READ_ENTRIES * _ENTRY_BYTES):
            whole = len(data) // _ENTRY_BYTES * _ENTRY_BYTES
            if whole:
                yield data[:whole]


def _columns(data: bytes) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_], NDArray[np.int64]]:
    """x, y, p and the time stamps of whole entries."""
    entries = np.frombuffer(data, np.uint8).reshape(-1, _ENTRY_BYTES)
    high, middle, low = (entries[:, k].astype(np.int64) for k in (2, 3, 4))
    stamps = (high & 0x7F) << 16 | middle << 8 | low
    return entries[:, 0].copy(), entries[:, 1].copy(), (high & 0x80) != 0, stamps
