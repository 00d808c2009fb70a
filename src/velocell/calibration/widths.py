"""How wide the ring should be: as the events of the objects scatter.

The potential of a neuron is predicted for a sharp disk of the stated radius. Where edges are blurred, pixels slow or
unequal, or objects not quite round, the events of one edge crossing lie beside the ring, the peak is lower than
predicted, and objects are taken for slower than they are or not seen at all. A ring of 3 instead of 2 px holds them.

What decides is the recording itself: with which ring more rows have a band that agrees with their own measured speed.
Where both do equally well, as for sharp disks, the ring stays at 2 px. Rejected: always 3 px, since neighbours and
noise are told apart less well; the scatter of the followed objects' events, since those that do not fit are not
followed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.calibration.recipe import Recipe
from velocell.calibration.search import Search
from velocell.data.recording import Recording
from velocell.network import Network
from velocell.tracking.online import EVERY_US, respond

WIDE_PX = 3.0
_NEAR_EDGE = 0.1  # speeds so near to an edge may go to either band
_BETTER = 1.1
_FEWEST_ROWS, _RIGHT = 40, 0.8  # of the wide ring: 200 ms of one object; agreeing, of those that agree or not


def suited(found: Network, settle: Callable[[Recipe], Network | None], probe: Recording, search: Search) -> Network:
    """`found`, a network for disks, or the one with a wider ring where that suits the recording better.

    settle: measures with another recipe, None where nothing is followed. probe: the part of the recording that is
    measured. A recipe or stamps that ask for a width of their own are left alone.
    """
    if search.recipe != Recipe() or found.origin.step_us is not None:
        return found
    wide = settle(replace(search.recipe, ring_width_px=WIDE_PX))
    if wide is None:
        return found
    agree, differ = judged(wide, probe, search)
    if agree < _FEWEST_ROWS or agree < _RIGHT * (agree + differ):
        return found
    before, differed = judged(found, probe, search)
    return wide if agree - differ > _BETTER * max(before - differed, 0) else found


def judged(network: Network, probe: Recording, search: Search) -> tuple[int, int]:
    """Rows whose band is that of their measured speed, and rows where it is another one; those near an edge are
    neither."""
    assert network.bands is not None  # it is calibrated
    edges = np.array(network.bands.edges)
    online = replace(search, every_us=EVERY_US).online(network, probe.size)
    agree = differ = 0
    for block, spikes in respond(online, probe):
        rows: dict[str, NDArray[Any]] = online.locate(block, spikes, block.stop_us)
        speed, band = rows["speed_px_s"], rows["band"]
        clear = (np.abs(speed[:, None] / edges - 1) > _NEAR_EDGE).all(axis=1)
        right = (band >= 0) & (np.searchsorted(edges, speed, side="right") - 1 == band)
        agree += int((clear & right).sum())
        differ += int((clear & ~right).sum())
    return agree, differ
