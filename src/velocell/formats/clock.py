"""The unit of a recording's times, where it is not stated: by their size, their spacing and how far they run.

A camera's clock counts microseconds, so times that need six decimals are seconds, and whole ones microseconds; what
could as well be another unit is refused with the option that settles it. The rate of events never chooses a unit: a
quiet scene would be read wrong in silence. It may only raise the doubt.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.errors import RecordingError

UNITS = ("s", "ms", "us", "ns")
DAY_US = 86_400_000_000

_EPOCH_NS = 1e17  # nanoseconds since 1970 are beyond it, microseconds are not
_COARSE = 3  # decimals: times in steps of 0.001 are seconds of a slow clock or milliseconds of a camera's
_FINEST = 9  # decimals: seconds in nanoseconds
_LONG = 100.0  # in the file's own unit, whatever it is: a hundred seconds, or a tenth if it is 1000 times smaller
_MANY = 100  # events
_LONG_US, _QUIET_HZ = 1_000_000_000, 1_000  # nanoseconds taken for microseconds look so


def is_small_whole(times: NDArray[Any]) -> bool:
    """Whether they are whole numbers, too small for nanoseconds since 1970."""
    return times.dtype.kind in "iu" and bool((times < _EPOCH_NS).all())


def unclear(path: object, why: str) -> RecordingError:
    """The sentence for times whose unit could be one or another."""
    return RecordingError(
        f"{path}: the unit of its times is unclear: {why}; give it with --time-unit s, ms, us or ns, or name the "
        "times t_s, t_ms, t_us or t_ns"
    )


def inferred_unit(times: NDArray[Any], path: object) -> tuple[str, str]:
    """The unit of some times of a recording, in order, and why. Raises RecordingError where it is doubtful."""
    values = times.astype(np.float64)
    if not values.size or not np.isfinite(values).all():
        return "us", "since they are whole numbers"  # what is not a number is refused where it is read
    places, long = _decimals(values, times.dtype), float(np.ptp(values)) >= _LONG
    if places == 0:
        return _of_whole(values, path)
    if places is None and long:
        raise unclear(path, f"numbers with decimals that run over {np.ptp(values):.6g} may be s, ms or us")
    if places is not None and places <= _COARSE:
        raise unclear(path, f"with {places} decimals they may be s of a slow clock, or ms or us of a fast one")
    return "s", "since they have decimals"


def check_span(unit: str, span_us: int, gap_us: int, n: int, path: object) -> None:
    """After n events that span so long, with a longest gap: whether what was inferred still holds.

    Raises RecordingError.
    """
    # One jump of the clock says nothing about its unit.
    span_us -= gap_us if n >= _MANY else 0
    if span_us > DAY_US:
        raise unclear(path, f"they span more than a day if they are in {unit}")
    if unit == "us" and span_us > _LONG_US and n * 1_000_000 < _QUIET_HZ * span_us:
        raise unclear(path, f"{n} events in {span_us / 1e6:.0f} s if they are in us; they may be in ns")


def _of_whole(values: NDArray[np.float64], path: object) -> tuple[str, str]:
    if values.max() >= _EPOCH_NS:
        return "ns", "since they are too large for anything else"
    if np.ptp(values) >= _LONG * 1e6 and not np.any(values % 1_000):
        raise unclear(path, "all are multiples of 1000, so they may be ns of a clock of 1 us, or us of one of 1 ms")
    return "us", "since they are whole numbers"


def _decimals(values: NDArray[np.float64], dtype: np.dtype[Any]) -> int | None:
    """How many the times need; None where they have no last one."""
    room = np.finfo(dtype).eps if dtype.kind == "f" else np.finfo(np.float64).eps
    for places in range(_FINEST + 1):
        scaled = values * 10.0**places
        off = np.abs(scaled - np.rint(scaled))
        # Rounded to the nearest double (or float), as a quotient or a text gives it.
        allowed = np.minimum(4 * room * np.abs(scaled), 0.3) if places else 0.0
        if np.all(off <= allowed):
            return places
    return None
