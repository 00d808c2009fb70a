"""What arrays of events must be like before they become a `Recording`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from velocell.errors import RecordingError

if TYPE_CHECKING:
    pass

_COUNT_LIMIT = 1 << 28
_BLOCK = 1 << 18


def check_frames(shape: tuple[int, ...], source: str) -> None:
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[1] != 2):
        where = f" in {source}" if source else ""
        raise RecordingError(f"frames{where} must have shape (T, H, W) or (T, 2, H, W), got {shape}; reshape them")


def event_counts(counts: NDArray[Any], where: str) -> NDArray[np.int64]:
    numbers = counts.dtype.kind in "iubf" and bool(np.isfinite(counts).all())
    if not numbers or (counts < 0).any() or (counts != np.floor(counts)).any():
        raise RecordingError(f"frames{where} must hold event counts: whole numbers, none below 0; convert them first")
    total = float(counts.sum(dtype=np.float64))
    if total > _COUNT_LIMIT:
        raise RecordingError(
            f"frames{where} hold {total:.3g} events, more than {_COUNT_LIMIT}; the values must be event counts, "
            "not brightness"
        )
    return counts.astype(np.int64)


def blocks(n: int) -> Iterator[slice]:
    """Checks go block by block: whole-size temporaries would double the memory of a large recording."""
    return (slice(first, first + _BLOCK) for first in range(0, n, _BLOCK))


def whole_numbers(values: ArrayLike, name: str, where: str) -> NDArray[Any]:
    """`values` as a one-dimensional array of whole numbers, of whatever type they have."""
    array = np.asarray(values)
    if array.ndim != 1:
        raise RecordingError(f"{name}{where} must be one-dimensional, got shape {array.shape}")
    if not array.size:
        return array.astype(np.int64)
    if array.dtype.kind in "iub":
        return array
    if array.dtype.kind != "f":
        raise RecordingError(f"{name}{where} must be numbers, got {array.dtype}; save integers")
    for block in blocks(array.size):
        part = array[block]
        # A comparison with NaN is false, so NaN is refused too.
        if not ((part == np.floor(part)) & (np.abs(part) <= 2**53)).all():
            raise RecordingError(f"{name}{where} must be whole numbers (times in microseconds); round or rescale them")
    return array


def check_times(t: NDArray[np.int64], where: str) -> None:
    if t.size and t[0] < 0:
        raise RecordingError(
            f"the first time{where} is {t[0]} us; times must not be negative, so add an offset to all of them"
        )
    count, first = 0, 0
    for block in blocks(t.size - 1):
        back = t[1:][block] < t[:-1][block]
        if count == 0 and back.any():
            first = block.start + int(np.argmax(back)) + 1
        count += int(np.count_nonzero(back))
    if count:
        raise RecordingError(
            f"times{where} go back at {count} of {t.size} events, first at number {first} "
            f"({t[first - 1]} -> {t[first]} us); sort the events by time"
        )


def check_coordinates(values: NDArray[Any], name: str, bound: int, problem: str) -> None:
    count, first = 0, 0
    for block in blocks(values.size):
        part = values[block]
        outside = (part < 0) | (part >= bound)
        if count == 0 and outside.any():
            first = block.start + int(np.argmax(outside))
        count += int(np.count_nonzero(outside))
    if count:
        raise RecordingError(
            f"{count} of {values.size} events{problem}, the first is number {first} with {name} = {values[first]}; "
            "give the true size with --size"
        )


def as_polarity(p: ArrayLike, n: int, where: str) -> NDArray[np.bool_]:
    array = np.asarray(p)
    if array.shape != (n,):
        raise RecordingError(f"p{where} must have one entry per event, got shape {array.shape} for {n} events")
    if array.dtype == np.bool_:
        return array
    found = np.zeros(3, np.bool_)
    for block in blocks(n):
        part = array[block]
        seen = [np.asarray(part == value) for value in (-1, 0, 1)]
        if not np.logical_or.reduce(seen).all():
            raise RecordingError(f"p{where} must hold only 0 and 1, or only -1 and 1; convert it first")
        found |= [bool(one.any()) for one in seen]
    if found[0] and found[1]:
        raise RecordingError(f"p{where} holds -1 and 0, so it is unclear which one is OFF; use 0 and 1, or -1 and 1")
    return array.view(np.bool_) if array.dtype == np.uint8 else np.asarray(array == 1)


def column(values: NDArray[Any], dtype: type[np.generic]) -> NDArray[Any]:
    """As the core takes it; a Recording from `from_arrays` needs no copy. Never wraps a number around."""
    flags = values.flags
    if values.dtype == dtype and values.ndim == 1 and flags.c_contiguous and flags.aligned:
        return values  # a step of a millisecond has a dozen of them, and what follows takes microseconds for each
    if values.ndim != 1 or not np.can_cast(values.dtype, dtype, "safe"):
        raise RecordingError(
            f"a recording's arrays must be one-dimensional and of their types, got {values.dtype} of shape "
            f"{values.shape} for {np.dtype(dtype)}; build it with Recording.from_arrays"
        )
    return np.require(values, dtype, ["C", "A"])
