"""Linear differences of channels, for `benchmarks.architectures`: no spikes, no thresholds between the layers.

A channel low-pass filters the kernel-weighted events by a chain of first-order stages: one is the leaky
neuron, several with mu_k = sigma_max c^(k-K) sqrt(1 - 1/c^2) are Lindeberg's time-causal limit kernel
(https://doi.org/10.1007/s10851-015-0613-9). Its peak, over the largest that any speed
gives, rises from 0 to 1 with speed; a band is the difference of the peaks of two scales, the larger one
c times the smaller. The scales are placed so that each difference is largest in the middle of its band.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from velocell.calibration.peaks import passage_density
from velocell.data.recording import Recording
from velocell.network.kernels import anchor
from velocell.studies.passages import Lanes

Floats = NDArray[np.float64]

_STEP_PX = 0.1


@dataclass(frozen=True)
class Difference:
    """stages: time constants of the chain for a scale of 1. ratio: of the two scales."""

    name: str
    stages: tuple[float, ...]
    ratio: float


def limit_kernel(c: float, stages: int) -> tuple[float, ...]:
    """Time constants of the stages for sigma_max = 1, shortest first."""
    levels = [c ** (k - stages) for k in range(1, stages + 1)]
    return (levels[0], *(level * math.sqrt(1 - c**-2) for level in levels[1:]))


DIFFERENCES = [
    Difference("difference of two leaky channels", (1.0,), math.sqrt(2)),
    Difference("difference of limit kernels, c = sqrt 2", limit_kernel(math.sqrt(2), 8), math.sqrt(2)),
    Difference("difference of limit kernels, c = 2", limit_kernel(2, 4), 2.0),
]


def answers(
    wanted: Difference,
    lanes: Lanes,
    recording: Recording,
    kernel: NDArray[np.float32],
    edges: Sequence[float],
    dt_us: int,
) -> Floats:
    """(N, lanes): the answer of each band's difference to each passage, largest about 1."""
    middle = np.sqrt(np.array(edges[:-1]) * np.array(edges[1:]))
    lengths, difference, full = _law(wanted, kernel, lanes.radius)
    long_s, best = lengths[difference.argmax()] / middle, difference.max()
    found = np.empty((middle.size, lanes.speeds.size))
    order = np.argsort(lanes.of(recording.x, recording.y), kind="stable")
    bounds = np.searchsorted(lanes.of(recording.x, recording.y)[order], np.arange(lanes.speeds.size + 1))
    for i in range(lanes.speeds.size):
        currents = _currents(lanes, recording, order[bounds[i] : bounds[i + 1]], kernel, i, dt_us)
        for k, scale_s in enumerate(long_s):
            slow, fast = (
                _peaks(currents, np.array(wanted.stages) * scale * 1e6 / dt_us).mean()
                for scale in (scale_s, scale_s / wanted.ratio)
            )
            found[k, i] = (slow - fast) / full / best
    return found


def octaves(wanted: Difference, kernel: NDArray[np.float32], radius: float) -> float:
    """Full width at half maximum of the law around its largest value, over all speeds."""
    lengths, difference, _ = _law(wanted, kernel, radius)
    below = np.flatnonzero(difference < difference.max() / 2)
    top = np.searchsorted(below, difference.argmax())
    return float(np.log2(lengths[below[top]] / lengths[below[top - 1]]))


def _law(wanted: Difference, kernel: NDArray[np.float32], radius: float) -> tuple[Floats, Floats, float]:
    """Memory lengths v * scale (px) of the slower channel, the difference of the peaks at each, and the largest
    peak of all lengths, for one event per edge crossing."""
    _, rho = passage_density(kernel, radius, step=_STEP_PX)
    lengths = np.geomspace(0.1, 400, 120)
    stages = np.array(wanted.stages) / _STEP_PX
    peaks = np.array([_peaks(rho[:, None] * _STEP_PX, stages * px)[0] for px in lengths])
    full = float(peaks.max())
    return lengths, (peaks - np.interp(lengths / wanted.ratio, lengths, peaks)) / full, full


def _currents(
    lanes: Lanes, recording: Recording, rows: NDArray[np.intp], kernel: NDArray[np.float32], lane: int, dt_us: int
) -> Floats:
    """Kernel-weighted events (ticks, neurons) of neurons on a lane's path."""
    weights = kernel[0, 0]
    h, w = weights.shape
    x, y, _ = lanes.neurons(lane)
    dx = recording.x[rows].astype(np.intp)[:, None] - x + anchor(w)
    dy = recording.y[rows].astype(np.intp)[:, None] - y + anchor(h)
    inside = (dx >= 0) & (dx < w) & (dy >= 0) & (dy < h)
    current = np.where(inside, weights[dy.clip(0, h - 1), dx.clip(0, w - 1)], 0.0)
    ticks = recording.t_us[rows] // dt_us
    dense = np.zeros((int(ticks.max(initial=0)) + 1, x.size))
    np.add.at(dense, ticks, current)
    return dense


def _peaks(current: Floats, stages: Floats) -> Floats:
    """Largest value of each column (ticks, n) behind a chain of stages (ticks), whose own impulse response has a
    largest value of 1."""
    size = 1 << math.ceil(math.log2(current.shape[0] + 8 * stages.sum() + 2))
    # A stage that keeps exp(-1 / mu) of itself in a tick.
    keep = np.exp(-1 / stages)[:, None]
    passes = ((1 - keep) / (1 - keep * np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size))).prod(axis=0)
    through = np.fft.irfft(np.fft.rfft(current, size, axis=0) * passes[:, None], size, axis=0)
    return np.asarray(through.max(axis=0) / np.fft.irfft(passes, size).max())
