"""The peak potential that a passing disk causes: rho(d) and Psi(L)."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from velocell.data.arrays import Floats
from velocell.network.template import Template


def passage_density(kernel: ArrayLike, radius: float, *, step: float = 0.1) -> tuple[Floats, Floats]:
    """(x, rho): kernel-weighted events per px of travel of a disk's edge against the offset x (px)
    of the disk's centre from the kernel's, averaged over directions and sub-pixel positions.

    kernel: (..., h, w), only its last two axes are used. Both arrays have shape (n,). A pixel at
    distance b from the path meets the edge where the centre is sqrt(R^2 - b^2) before and behind it.
    """
    weights = np.asarray(kernel, np.float64)
    weights = weights.reshape(-1, *weights.shape[-2:])[0]
    x, rho = _density(weights.shape, weights.tobytes(), radius, step)
    return x.copy(), rho.copy()


# Detection and calibration take turns, with the same kernels: one for each of a range of radii.
@lru_cache(maxsize=64)
def _density(shape: tuple[int, int], data: bytes, radius: float, step: float) -> tuple[Floats, Floats]:
    weights = np.frombuffer(data).reshape(shape)
    h, w = shape
    reach = math.hypot(h, w) / 2 + radius + 1
    x = np.arange(-reach, reach + step, step)
    row, column = np.nonzero(weights)
    weight = weights[row, column]
    px, py = column - (w - 1) / 2, row - (h - 1) / 2
    rho = np.zeros_like(x)
    # Of a kernel that is the same in a mirror and on its side, a quarter of the half turn shows all.
    headings = (np.arange(12 if _is_even(weights) else 48) + 0.5) / 48 * np.pi
    sideways = (np.arange(8) + 0.5)[:, None] / 8 - 0.5
    for heading in headings:
        along, beside = px * np.cos(heading) + py * np.sin(heading), py * np.cos(heading) - px * np.sin(heading)
        off2 = (beside - sideways) ** 2
        met = off2 < radius**2
        half = np.sqrt(radius**2 - off2[met])
        centre, met_weight = (np.broadcast_to(values, met.shape)[met] for values in (along + reach, weight))
        for at in (centre - half, centre + half):
            rho += np.bincount(np.rint(at / step).astype(int), met_weight, x.size)
    return x, rho / (headings.size * sideways.size * step)


def _is_even(weights: Floats) -> bool:
    turned = (weights[::-1], weights[:, ::-1], weights.T)
    return all(np.array_equal(weights, other) for other in turned)


def psi(
    kernel: ArrayLike,
    radius: float | Template,
    memory_px: ArrayLike,
    tick_px: ArrayLike = 0.0,
    *,
    best_phase: bool = False,
) -> Floats:
    """Psi(L) for each memory length L = v tau (px): shape of `memory_px`. Unit: events per px of travel.

    radius: of a disk, or the template that passes. tick_px: travel v dt within a tick, fitting `memory_px`.
    Events of one tick count alike and potentials exist at its end only, so that a long tick lowers the
    peak; 0 is the limit of short ticks. best_phase: of the neuron, of all on the path, that a tick suits best, instead
    of the mean over neurons; they differ where the travel within a tick comes near the width of the ring.
    """
    step = 0.1
    if isinstance(radius, Template):  # each heading has a peak of its own
        x, densities = radius.passage_densities(kernel, step=step)
    else:
        x, rho = passage_density(kernel, radius, step=step)
        densities = rho[None]
    lengths, ticks = np.broadcast_arrays(np.asarray(memory_px, np.float64), np.asarray(tick_px, np.float64))
    peaks = [
        float(np.mean([_peak(x, rho, length, tick, step, best_phase) for rho in densities]))
        for length, tick in zip(lengths.ravel(), ticks.ravel(), strict=True)
    ]
    return np.array(peaks).reshape(lengths.shape)


def _peak(x: Floats, rho: Floats, length: float, tick: float, step: float, best_phase: bool = False) -> float:
    # A first-order low-pass along the path, exact for rho constant within a step: how much of the
    # whole weight lies within each distance.
    distance = np.arange(x.size + 1) * step
    if tick < step:
        within = -np.expm1(-distance / length)
        return float(np.convolve(rho, np.diff(within))[: x.size].max())
    keep = math.exp(-tick / length)
    age = np.floor(distance / tick)
    within = 1 - keep**age * (1 - (1 - keep) * (distance / tick - age))
    v = np.convolve(rho, np.diff(within))[: x.size]
    if best_phase:
        return float(v.max())
    # The mean over where in a tick the passage falls.
    starts = x[0] + tick * (np.arange(8) + 0.5) / 8
    return float(np.mean([np.interp(np.arange(start, x[-1], tick), x, v).max() for start in starts]))
