"""Where the edges of the bands really lie, and thresholds that put them where they were asked for.

A threshold follows from what a sharp disk of the stated size does. Objects that look larger than they are, pixels that
are slow or a camera that trembles move the edges a little. What shows it is that a band contradicts the speed of the
same row: the two come from different sources. Every edge lies between the speeds of the rows that are told to lie below
it and above it; with that speed v' the threshold is multiplied by V(v) / V(v'), V(v) = v Psi(v tau), v the requested
edge.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from velocell.calibration.noise import floor
from velocell.calibration.peaks import psi
from velocell.data.arrays import Floats
from velocell.network import Layer, Network
from velocell.network.neurons import LIFBox

LARGEST_FACTOR = 3.0
MOST_OFF = 2.0  # an edge that seems further off than that is not moved: the rows are wrong, not the edge
_BESIDE = 1.1  # how far beyond the last wrong speed an edge is put, at most


def boundary(speed: Floats, above: NDArray[np.bool_], weight: Floats, preferred: float) -> float:
    """The speed that parts those above from those below with least weight on the wrong side: `preferred`
    where it is as good as any, else a little beyond the nearest ones."""
    values = np.unique(speed)
    # Boundary i lies below values[i]; the last one is above all.
    position = np.searchsorted(values, speed)
    high = np.bincount(position, weight * above, values.size)
    low = np.bincount(position, weight * ~above, values.size)
    wrong = np.append(0, np.cumsum(high)) + np.append(np.cumsum(low[::-1])[::-1], 0)
    best = np.flatnonzero(wrong <= wrong.min() + 1e-9)
    at = int(np.searchsorted(values, preferred))
    if at in best:
        return preferred
    nearest = int(best[np.abs(best - at).argmin()])
    bounds = np.concatenate(([0.0], values, [np.inf]))
    low_end, high_end = bounds[nearest], bounds[nearest + 1]
    halfway = math.sqrt(high_end / low_end) if low_end else math.inf
    beyond = min(_BESIDE, halfway)
    return float(low_end * beyond if nearest > at else high_end / beyond)


def factor(network: Network, channel: int, wanted: float, real: float) -> float:
    """What the threshold of an edge channel is to be multiplied by: its edge moves from `real` to `wanted` px/s."""
    first, dt_s = network.layers[0], network.dt_us * 1e-6
    assert network.radius_px is not None
    memory_s = -dt_s / np.log1p(-first.neurons.decay(network.dt_us).astype(np.float64))
    kernel = first.dense_kernel().sum(axis=1)[channel]
    v = np.array([wanted, real])
    asked, found = v * psi(kernel, network.radius_px, v * memory_s[channel], v * dt_s)
    return float(np.clip(asked / found, 1 / LARGEST_FACTOR, LARGEST_FACTOR))


def scaled(network: Network, factors: Floats) -> Network:
    """The thresholds of layer 1 (and its resets, which go with them) multiplied, channel by channel, above what noise
    makes."""
    first, old, base = network.layers[0], network.layers[0].neurons, floor(network)
    v_th, v_reset = (base + (values - base) * factors for values in (old.v_th, old.v_reset))
    neurons = LIFBox(old.tau_mem_inv, v_th, old.v_leak, v_reset)
    layers = (Layer.from_arrays(first.kernel, neurons, first.groups), *network.layers[1:])
    total = factors * np.array(network.origin.edge_factors or np.ones(factors.size))
    origin = replace(network.origin, edge_factors=tuple(round(float(item), 4) for item in total))
    return replace(network, layers=layers, origin=origin)


def moved(network: Network, speed: Floats, band: NDArray[np.int32]) -> Network:
    """The network with its edges where rows of these speeds (px/s) and bands ask for them."""
    assert network.bands is not None
    edges = np.array(network.bands.edges)
    factors = np.ones(edges.size)
    told = (band >= 0) & (speed > 0)
    for k in range(1, edges.size - 1):
        real = boundary(speed[told], band[told] >= k, np.ones(int(told.sum())), edges[k])
        if real != edges[k] and edges[k] / MOST_OFF < real < edges[k] * MOST_OFF:
            factors[k] = factor(network, k, edges[k], real)
    # Below the lowest edge there are no rows; what moves its neighbour moves it as well. The highest one only vetoes.
    if edges.size > 2:
        factors[0] = factors[1]
    return scaled(network, factors)
