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
from dataclasses import dataclass

import numpy as np

from velocell.calibration.edges import moved
from velocell.calibration.passes import Passes, Seen
from velocell.calibration.recipe import Recipe
from velocell.calibration.search import Search
from velocell.data.recording import Recording
from velocell.network import Network

WIDTHS_PX = (3.0, 4.0)
_FEW_WRONG, _HARDLY_ANY = 0.02, 0.005  # share of the rows whose band is wrong, below which edges, and widths, stay
# Speeds so near to an edge may go to either band. With two errors of a speed too few rows of slow pixels can be judged,
# and rings too wide win (recall of simulated DAVIS346 .99 -> .96); with one, wrong speeds of blurred disks choose.
_NEAR_EDGE, _NEAR_SIGMAS = 0.1, 1.5
_BETTER = 1.1
_FEWEST_ROWS = 40  # 200 ms of one object
# Of the rows of a wider ring: most agree, or they are not many more than before. Else it sees what is not there.
_RIGHT, _MANY_MORE = 0.8, 1.3


@dataclass(frozen=True, eq=False)
class Settled:
    """A network, and what was seen with it."""

    network: Network
    seen: Seen


def suited(found: Settled, wider: Callable[[float], Network], stretch: Recording, passes: Passes) -> Settled:
    """`found`, for disks, or with a wider ring where that suits the recording better.

    wider: the network with a ring of that width in px, all else being equal. stretch: what it was measured on. Where
    nearly all bands agree with their speeds, no other width is tried.
    """
    best = found
    for width in WIDTHS_PX:
        agree, differ = judged(best)
        if (agree >= _FEWEST_ROWS and differ <= _HARDLY_ANY * (agree + differ)) or not passes.left:
            break
        network = wider(width)
        wide = Settled(network, passes.see(network, stretch, until_us=best.seen.stop_us))
        if suits_better(wide, best):
            best = wide
    return best


def suits_better(other: Settled, found: Settled) -> bool:
    """Whether another network, that was seen no longer than `found`, sees clearly more rows whose bands and speeds
    agree, and is sound: most do, or it does not see many more than there were."""
    agree, differ = judged(found, other.seen.stop_us)
    right, wrong = judged(other)
    sound = right >= _RIGHT * (right + wrong) or right + wrong <= _MANY_MORE * (agree + differ)
    # Or no fewer agree, and hardly any differ any more, for which others are tried at all.
    clean = wrong <= _HARDLY_ANY * (right + wrong) < differ and right >= agree
    return right >= _FEWEST_ROWS and (clean or (sound and right - wrong > _BETTER * max(agree - differ, 0)))


def settled_edges(found: Settled, stretch: Recording, passes: Passes) -> Settled:
    """`found` with its band edges where the speeds of the rows ask for them, if they then agree better."""
    agree, differ = judged(found)
    if differ <= _FEW_WRONG * (agree + differ) or not passes.left:
        return found
    network = moved(found.network, found.seen.speed, found.seen.band)
    if np.array_equal(network.layers[0].neurons.v_th, found.network.layers[0].neurons.v_th):
        return found
    better = Settled(network, passes.see(network, stretch, until_us=found.seen.stop_us))
    until_us = better.seen.stop_us
    agree, differ = judged(found, until_us)
    right, wrong = judged(better, until_us)
    return better if right - wrong > agree - differ else found


def is_plain(found: Network, search: Search) -> bool:
    """Whether its width and edges may be chosen here: not with a recipe of its own, nor where stamps ask for one."""
    return search.recipe == Recipe() and found.origin.step_us is None


def judged(found: Settled, until_us: int | None = None) -> tuple[int, int]:
    """Rows (up to a time) whose band is that of their measured speed, and rows where it is another one; those near an
    edge, or whose error reaches one, are neither."""
    assert found.network.bands is not None  # it is calibrated
    edges = np.array(found.network.bands.edges)
    speed, band = found.seen.speed, found.seen.band
    near = np.maximum(_NEAR_EDGE * edges, _NEAR_SIGMAS * found.seen.error[:, None])
    clear = (np.abs(speed[:, None] - edges) > near).all(axis=1)
    if until_us is not None:
        clear &= found.seen.t_us <= until_us
    right = (band >= 0) & (np.searchsorted(edges, speed, side="right") - 1 == band)
    return int((clear & right).sum()), int((clear & ~right).sum())
