"""Arrays of times, coordinates and polarities as other people save them -> the columns of `Events`.

Names (`t_s`, `timestamps`, `xs` ...) follow the rules of texts (`text/layout.py`), units those of `clock.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.data.blocks import Events
from velocell.data.integrity import Integrity
from velocell.errors import RecordingError
from velocell.formats.clock import check_span, inferred_unit
from velocell.formats.seek import Place
from velocell.formats.text.layout import DECIMALS, named_columns

# Names that arrays have and columns of texts have not.
_AXIS = re.compile(r"([xy])(?:s|_?(?:coords?|coordinates?|pos|positions?|addr|addresses))")
_POLARITY = re.compile(r"ps|pols|polarities")
_LATEST = float(1 << 62)
_HALF_TURN = 1 << 31
_SAMPLE_PARTS, _SAMPLE_ROWS = 5, 1_000


@dataclass(frozen=True)
class Naming:
    """names: t, x, y and perhaps p -> what the file calls them. unit: of the times, where their name says it."""

    names: dict[str, str]
    unit: str | None


@dataclass(frozen=True)
class Unit:
    """Of the times of one recording; `why` says how it was found. stated: by the file or its reader, not inferred.

    offset_us is added to all times. shown: the file's own, where they were converted before.
    """

    name: str
    why: str
    stated: bool
    offset_us: int = 0
    shown: str | None = None


def sample(rows: Callable[[int, int], NDArray[Any]], n: int) -> NDArray[Any]:
    """Rows from all over an array of n, in order: the first ones alone may all have one time.

    rows: called with a first row and how many.
    """
    if n <= _SAMPLE_PARTS * _SAMPLE_ROWS:
        return rows(0, n)
    return np.concatenate([rows(n * k // _SAMPLE_PARTS, _SAMPLE_ROWS) for k in range(_SAMPLE_PARTS)])


def naming(names: Sequence[str]) -> Naming | None:
    """Which of some arrays are t, x, y and p; None where t, x and y do not each occur once."""
    found = named_columns([_singular(name) for name in names])
    if found is None:
        return None
    positions, _, unit = found
    return Naming({key: names[k] for key, k in positions.items()}, unit)


def _singular(name: str) -> str:
    if axis := _AXIS.fullmatch(name.lower()):
        return axis[1]
    return "p" if _POLARITY.fullmatch(name.lower()) else name


def unit_of(times: NDArray[Any], named: str | None, path: object, given: str | None = None, offset_us: int = 0) -> Unit:
    """As given, by the name of the array, or by some times of the recording. Raises RecordingError where unclear."""
    if given is not None:
        return Unit(given, "as given", True, offset_us)
    if named is not None:
        return Unit(named, "as named", True, offset_us)
    return Unit(*inferred_unit(Unwrapped()(times), path), False, offset_us)


class Unwrapped:
    """Times of a clock of 32 bits, piece by piece, without its wraps: a step back by half its turn or more is one."""

    def __init__(self) -> None:
        self.wraps = 0
        self.last: int | None = None

    def __call__(self, t: NDArray[Any]) -> NDArray[Any]:
        """The same, or int64 with the turns added. A clock that counts further is left alone."""
        if not t.size or t.dtype.kind not in "iu" or t.dtype.itemsize < 4:
            return t
        first = int(t[0])
        turned = first - (first if self.last is None else self.last) <= -_HALF_TURN
        self.last = int(t[-1])
        # Of most recordings, one comparison with the turn is all.
        if not (self.wraps or turned or int(t.max()) - int(t.min()) >= _HALF_TURN):
            return t
        if int(t.max()) >= 2 * _HALF_TURN or int(t.min()) < -_HALF_TURN:
            return t
        whole = t.astype(np.int64)
        turns = np.cumsum(np.diff(whole, prepend=whole[:1]) <= -_HALF_TURN) + self.wraps + int(turned)
        self.wraps = int(turns[-1])
        return whole + turns * (2 * _HALF_TURN)


class Blocks:
    """Blocks of one recording's arrays (n,) -> Events; 1 is ON, OFF is 0 or -1 but not both in one recording."""

    def __init__(self, unit: Unit, path: object, integrity: Integrity, place: Place | None = None):
        """place: where an earlier reading stood, as `place` says."""
        self._unit, self._path, self._integrity = unit, path, integrity
        self._off: int | None = None
        self._unwrapped = Unwrapped()
        self._first_us: int | None = None
        self._last_us: int | None = None
        self._gap_us = self._n = 0
        self._checked = unit.stated
        if place is not None:
            self._off, self._unwrapped.wraps, self._unwrapped.last = place["off"], place["wraps"], place["last"]
            self._checked = True  # on the way there

    def place(self) -> Place:
        """What has to be known to read the next block."""
        return {"off": self._off, "wraps": self._unwrapped.wraps, "last": self._unwrapped.last}

    def times(self, t: NDArray[Any]) -> NDArray[np.int64]:
        """One block of times alone, in microseconds; each block is to be given once, here or to `events`."""
        before = self._unwrapped.wraps
        t_us = microseconds(self._unwrapped(t), self._unit, self._path)
        self._integrity.fact("wraps", self._unwrapped.wraps - before)
        if not self._checked and t_us.size:
            self._first_us = int(t_us[0]) if self._first_us is None else self._first_us
            self._gap_us = max(self._gap_us, int(np.diff(t_us, prepend=self._last_us or t_us[0]).max()))
            self._n, self._last_us = self._n + len(t_us), int(t_us[-1])
            unit = self._unit.shown or self._unit.name
            check_span(unit, self._last_us - self._first_us, self._gap_us, self._n, self._path)
        return t_us

    def events(
        self, t: NDArray[Any] | None, x: NDArray[Any], y: NDArray[Any], p: NDArray[Any] | None,
        t_us: NDArray[np.int64] | None = None,
    ) -> Events:  # fmt: skip
        """One block; t_us: its times, where `times` gave them. Raises RecordingError for what cannot be events."""
        if t_us is None:
            assert t is not None
            t_us = self.times(t)
        return Events(
            t_us,
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
