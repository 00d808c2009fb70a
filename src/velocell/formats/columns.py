"""Arrays of times, coordinates and polarities as other people save them -> the columns of `Events`.

Names (`t_s`, `timestamps`, `xs` ...) and units follow the rules of texts (`text_layout.py`): whole numbers are
microseconds, or nanoseconds where they are too large for that; numbers with decimals are seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.data.blocks import Events
from velocell.errors import RecordingError
from velocell.formats.text.layout import DECIMALS, inferred_unit, named_columns

_PLURALS = {"xs": "x", "ys": "y", "ps": "p", "polarities": "p"}
_LATEST = float(1 << 62)
_SAMPLE_PARTS, _SAMPLE_ROWS = 5, 1_000


@dataclass(frozen=True)
class Naming:
    """names: t, x, y and perhaps p -> what the file calls them. unit: of the times, where their name says it."""

    names: dict[str, str]
    unit: str | None


@dataclass(frozen=True)
class Unit:
    """Of the times of one recording; `why` says how it was found. offset_us is added to all times."""

    name: str
    why: str
    offset_us: int = 0


def sample(rows: Callable[[int, int], NDArray[Any]], n: int) -> NDArray[Any]:
    """Rows from all over an array of n, in order: the first ones alone may all have one time.

    rows: called with a first row and how many.
    """
    if n <= _SAMPLE_PARTS * _SAMPLE_ROWS:
        return rows(0, n)
    return np.concatenate([rows(n * k // _SAMPLE_PARTS, _SAMPLE_ROWS) for k in range(_SAMPLE_PARTS)])


def naming(names: Sequence[str]) -> Naming | None:
    """Which of some arrays are t, x, y and p; None where t, x and y do not each occur once."""
    found = named_columns([_PLURALS.get(name.lower(), name) for name in names])
    if found is None:
        return None
    positions, _, unit = found
    return Naming({key: names[k] for key, k in positions.items()}, unit)


def unit_of(times: NDArray[Any], named: str | None, offset_us: int = 0) -> Unit:
    """By the name of the array, or by some times of the recording."""
    if named is not None:
        return Unit(named, "as named", offset_us)
    return Unit(*inferred_unit(times.astype(np.float64)), offset_us)


class Blocks:
    """Blocks of one recording's arrays (n,) -> Events; 1 is ON, OFF is 0 or -1 but not both in one recording."""

    def __init__(self, unit: Unit, path: object):
        self._unit, self._path = unit, path
        self._off: int | None = None

    def events(self, t: NDArray[Any], x: NDArray[Any], y: NDArray[Any], p: NDArray[Any] | None) -> Events:
        """One block. Raises RecordingError for what cannot be events."""
        return Events(
            microseconds(t, self._unit, self._path),
            _pixels(x, "x", self._path),
            _pixels(y, "y", self._path),
            None if p is None else self._on(p),
        )

    def _on(self, p: NDArray[Any]) -> NDArray[np.bool_]:
        on: NDArray[np.bool_] = p == 1
        if p.dtype.kind == "b" or on.all():
            return on
        off = float(p[np.argmin(on)])
        if off not in (0, -1) or not (on | (p == off)).all() or self._off not in (None, off):
            raise RecordingError(f"{self._path}: p must hold only 0 and 1, or only -1 and 1; convert it first")
        self._off = int(off)
        return on


def microseconds(t: NDArray[Any], unit: Unit, path: object) -> NDArray[np.int64]:
    """Rounded to whole microseconds; halves to the even one."""
    decimals = DECIMALS[unit.name]
    if t.dtype.kind in "iub":
        if t.dtype.kind == "u" and t.size and int(t.max()) >= 1 << 62:
            raise RecordingError(f"{path} holds times beyond 2^62; check the array of times")
        whole = t.astype(np.int64)
        if decimals < 0:
            whole //= 10**-decimals
        elif decimals and whole.size and max(-int(whole.min()), int(whole.max())) >= (1 << 62) // 10**decimals:
            raise RecordingError(f"{path} holds times beyond 2^62 us; check the array of times")
        else:
            whole *= 10**decimals
        return whole + np.int64(unit.offset_us)
    scaled = np.rint(t.astype(np.float64) * 10.0**decimals)
    # A comparison with NaN is false, so NaN is refused too.
    if not (np.abs(scaled) < _LATEST).all():
        raise RecordingError(f"{path} holds times that are not numbers or beyond 2^62 us; check the array of times")
    return scaled.astype(np.int64) + np.int64(unit.offset_us)


def _pixels(values: NDArray[Any], name: str, path: object) -> NDArray[np.integer[Any]]:
    if values.dtype.kind == "f":
        if not ((values == np.floor(values)) & (np.abs(values) < 1 << 30)).all():
            raise RecordingError(f"{path}: {name} must be whole numbers of pixels; round it first")
        return values.astype(np.int32)
    return values.astype(np.uint8) if values.dtype.kind == "b" else values
