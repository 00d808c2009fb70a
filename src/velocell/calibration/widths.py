"""How wide the ring should be: as the events of the objects scatter.

The potential of a neuron is predicted for a sharp disk of the stated radius. Where edges are blurred, pixels slow or
unequal, or objects not quite round, the events of one edge crossing lie beside the ring, the peak is lower than
predicted, and objects are taken for slower than they are or not seen at all. A ring of 3 or 4 instead of 2 px holds
them.

What decides is the recording itself: with which ring more rows have a band that agrees with their own measured speed.
Where they do equally well, as for sharp disks, the ring stays at 2 px. Rejected: always 3 px, since neighbours and
noise are told apart less well; the scatter of the followed objects' events, since those that do not fit are not
followed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.calibration.edges import moved
from velocell.calibration.recipe import Recipe
from velocell.calibration.search import Search
from velocell.data.arrays import Floats
from velocell.data.recording import Recording
from velocell.network import Network
from velocell.tracking.online import EVERY_US, respond

WIDTHS_PX = (3.0, 4.0)
MOST_EVENTS = 400_000  # that the widths are tried on
_FEW_WRONG = 0.02  # share of the rows whose band is wrong, below which edges stay
_NEAR_EDGE = 0.1  # speeds so near to an edge may go to either band
_BETTER = 1.1
_FEWEST_ROWS = 40  # 200 ms of one object
# Of the rows of a wider ring: most agree, or they are not many more than before. Else it sees what is not there.
_RIGHT, _MANY_MORE = 0.8, 1.3

Settle = Callable[[Recipe, Recording], Network | None]


def suited(found: Network, settle: Settle, probe: Recording, search: Search) -> Network:
    """`found`, a network for disks, or one with a wider ring where that suits the recording better.

    settle: measures with another recipe on a recording, None where nothing is followed. probe: what `found` was
    measured on. A recipe or stamps that ask for a width of their own are left alone.
    """
    if search.recipe != Recipe() or found.origin.step_us is not None:
        return found
    probe = _first_events(probe)
    best, (agree, differ) = found, judged(found, probe, search)
    rows = agree + differ
    for width in WIDTHS_PX:
        wide = settle(replace(search.recipe, ring_width_px=width), probe)
        if wide is None:
            continue
        right, wrong = judged(wide, probe, search)
        told = right + wrong
        sound = right >= _FEWEST_ROWS and (right >= _RIGHT * told or told <= _MANY_MORE * rows)
        if sound and right - wrong > _BETTER * max(agree - differ, 0):
            best, agree, differ = wide, right, wrong
    return best


def settled_edges(found: Network, probe: Recording, search: Search) -> Network:
    """`found` with its band edges where the speeds of the rows ask for them, if they then agree better.

    probe: what it was measured on. A recipe of its own is left alone.
    """
    if search.recipe != Recipe():
        return found
    probe = _first_events(probe)
    speed, band = told(found, probe, search)
    agree, differ = _counted(found, speed, band)
    if differ <= _FEW_WRONG * (agree + differ):
        return found
    better = moved(found, speed, band)
    right, wrong = judged(better, probe, search)
    return better if right - wrong > agree - differ else found


def _first_events(probe: Recording) -> Recording:
    return probe.between(stop_us=int(probe.t_us[MOST_EVENTS])) if len(probe) > MOST_EVENTS else probe


def judged(network: Network, probe: Recording, search: Search) -> tuple[int, int]:
    """Rows whose band is that of their measured speed, and rows where it is another one; those near an edge are
    neither."""
    return _counted(network, *told(network, probe, search))


def told(network: Network, probe: Recording, search: Search) -> tuple[Floats, NDArray[np.int32]]:
    """Speed (px/s) and band of all rows."""
    online = replace(search, every_us=EVERY_US).online(network, probe.size)
    rows: list[dict[str, NDArray[Any]]] = [
        online.locate(block, spikes, block.stop_us, at_end=at_end)
        for block, spikes, at_end in respond(online, probe.blocks())
    ]
    speed, band = (np.concatenate([part[name] for part in rows]) for name in ("speed_px_s", "band"))
    return speed, band


def _counted(network: Network, speed: Floats, band: NDArray[np.int32]) -> tuple[int, int]:
    assert network.bands is not None  # it is calibrated
    edges = np.array(network.bands.edges)
    clear = (np.abs(speed[:, None] / edges - 1) > _NEAR_EDGE).all(axis=1)
    right = (band >= 0) & (np.searchsorted(edges, speed, side="right") - 1 == band)
    return int((clear & right).sum()), int((clear & ~right).sum())
