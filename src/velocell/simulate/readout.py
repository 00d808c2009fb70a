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
    readout: Readout, width: int, height: int, t: Floats, pixel: Ints, on: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[Floats, Ints]:
    """The stamps (us) of events at times t (us) of pixels (flat index), and which of the events each of them is.

    Repeated events come twice, events that a scan has no room for not at all; in no order.
    """
    index = np.arange(t.size)
    line, lines = (pixel // width, height) if readout.lines == "row" else (pixel % width, width)
    if readout.scan_us:
        scan = _scans(readout.scan_us, line / lines, t)
        if readout.hold:
            index = _first_of_each_scan(scan, t, pixel)
        t = (scan[index] + line[index] / lines) * readout.scan_us
    if readout.bus_us:
        t = _queued(readout.bus_us, line[index], t)
    if readout.repeat_on or readout.repeat_off:
        shares = np.where(on[index], readout.repeat_on, readout.repeat_off)
        twice = np.flatnonzero(rng.random(t.size) < shares)
        late = rng.uniform(1.0, _REPEAT_US, twice.size)
        t, index = np.concatenate((t, t[twice] + late)), np.concatenate((index, index[twice]))
    if readout.stamp_us > 1:
        t = np.floor(t / readout.stamp_us) * readout.stamp_us
    return t, index


def _scans(scan_us: float, share: Floats, t: Floats) -> Ints:
    """The number of the scan that reads an event: the first in which its line, at `share` of it, is still to come."""
    number: Ints = np.ceil(t / scan_us - share).astype(np.int64)
    return number


def _first_of_each_scan(scan: Ints, t: Floats, pixel: Ints) -> Ints:
    order = np.lexsort((t, scan, pixel))
    p, n = pixel[order], scan[order]
    first = np.ones(t.size, np.bool_)
    first[1:] = (p[1:] != p[:-1]) | (n[1:] != n[:-1])
    return np.sort(order[first])


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
