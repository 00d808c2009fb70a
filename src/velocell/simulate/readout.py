"""Events of pixels -> events of a camera: who waits for whom, and which stamp they get.

The same steps for the ideal pixel and for real ones; with the default readout only whole microseconds remain.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from velocell.simulate.sensor import Readout

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# A repeated event comes within this time.
_REPEAT_US = 5.0


def read_out(
    readout: Readout, width: int, height: int, t: Floats, pixel: Ints, rng: np.random.Generator
) -> tuple[Floats, Ints]:
    """The stamps (us) of events at times t (us) of pixels (flat index), and which event each of them is.

    Repeated events come twice, events that a scan has no room for not at all; in no order.
    """
    index = np.arange(t.size)
    line, lines = (pixel // width, height) if readout.lines == "row" else (pixel % width, width)
    if readout.scan_us:
        index = _first_of_each_scan(readout.scan_us, line / lines, t, pixel)
        t = _scanned(readout.scan_us, line[index] / lines, t[index])
    elif readout.group_us:
        t = _grouped(readout.group_us, line, t)
    if readout.bus_us:
        t = _queued(readout.bus_us, line[index], t)
    if readout.repeat_share:
        twice = np.flatnonzero(rng.random(t.size) < readout.repeat_share)
        late = rng.uniform(1.0, _REPEAT_US, twice.size)
        t, index = np.concatenate((t, t[twice] + late)), np.concatenate((index, index[twice]))
    if readout.stamp_us > 1:
        t = np.floor(t / readout.stamp_us) * readout.stamp_us
    return t, index


def _scan(scan_us: float, share: Floats, t: Floats) -> Ints:
    """The number of the scan that reads an event: the first in which its line, at `share` of it, is still to come."""
    number: Ints = np.ceil(t / scan_us - share).astype(np.int64)
    return number


def _scanned(scan_us: float, share: Floats, t: Floats) -> Floats:
    stamps: Floats = (_scan(scan_us, share, t) + share) * scan_us
    return stamps


def _first_of_each_scan(scan_us: float, share: Floats, t: Floats, pixel: Ints) -> Ints:
    """A pixel holds one event until it is read: of several in a scan, the first."""
    number = _scan(scan_us, share, t)
    order = np.lexsort((t, number, pixel))
    p, n = pixel[order], number[order]
    first = np.ones(t.size, np.bool_)
    first[1:] = (p[1:] != p[:-1]) | (n[1:] != n[:-1])
    return np.sort(order[first])


def _grouped(group_us: float, line: Ints, t: Floats) -> Floats:
    """Events of a line within `group_us` of its first unread one are read with it, at the end of that time."""
    order = np.lexsort((t, line))
    stamps = t.copy()
    at, of = t[order], line[order]
    begins = np.ones(t.size, np.bool_)
    # A gap longer than the group's time begins one for certain; within a run they are cut one after the other.
    begins[1:] = (of[1:] != of[:-1]) | (np.diff(at) > group_us)
    starts = np.flatnonzero(begins)
    run_end = np.append(starts[1:], t.size)
    while starts.size:
        counts = _until(at, starts, run_end, at[starts] + group_us) - starts
        member = np.repeat(np.arange(starts.size), counts)
        inside = np.arange(member.size) - np.repeat(np.cumsum(counts) - counts, counts) + starts[member]
        stamps[order[inside]] = (at[starts] + group_us)[member]
        going = starts + counts < run_end
        starts, run_end = (starts + counts)[going], run_end[going]
    return stamps


def _until(values: Floats, low: Ints, high: Ints, limit: Floats) -> Ints:
    """For each range [low, high) of rising values: the first index whose value is above the limit."""
    low, high = low.copy(), high.copy()
    while (low < high).any():
        middle = (low + high) // 2
        open_ = low < high
        below = open_ & (values[np.minimum(middle, values.size - 1)] <= limit)
        low, high = np.where(below, middle + 1, low), np.where(open_ & ~below, middle, high)
    return low


def _queued(bus_us: float, line: Ints, t: Floats) -> Floats:
    """Lines take the bus one after the other: what is ready at t leaves at max(t, when the one before left + bus)."""
    order = np.lexsort((line, t))
    at, of = t[order], line[order]
    new = np.ones(t.size, np.bool_)
    new[1:] = (at[1:] != at[:-1]) | (of[1:] != of[:-1])
    turn = np.cumsum(new) - 1.0
    ready = at[new]
    leaves = np.maximum.accumulate(ready - bus_us * np.arange(ready.size)) + bus_us * np.arange(ready.size)
    queued = np.empty(t.size)
    queued[order] = leaves[turn.astype(np.int64)]
    return queued
