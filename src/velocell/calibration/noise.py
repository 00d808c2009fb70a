"""Noise: how many events come where nothing moves, and what they do to a calibration.

Noise adds to every potential. A neuron with the weights K whose pixels have noise events at random times has the mean
potential mu = dt rate sum(K), whatever its memory, and its threshold must lie so much higher: a slow channel waits long
for the events of a slow edge, and sums up noise meanwhile. It must also lie so far above the mean that noise alone
seldom fires it: the spread of the potential follows from Campbell's theorem for shot noise (N. R. Campbell, Proc.
Cambridge Phil. Soc. 15, 1909).

Noise also takes crossings away: behind a trail filter the first event of an edge crossing passes only if its pixel has
been silent, or if the event before had the other polarity. That is the same share of which noise itself passes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from velocell.data.arrays import Floats
from velocell.data.history import NEVER_US, pixel_history
from velocell.data.recording import Recording

if TYPE_CHECKING:
    from velocell.network import Network

CELL_PX = 16
_QUIET, _BELOW = 0.25, 0.67  # so much lies below the mean of a normal distribution by so many standard deviations
_EVENTS, _MOST_MOMENTS = 20, 200  # of noise in a cell and moment, about; moments in a stretch
_MOST_EVENTS = 50_000  # are looked at for their polarity
_NEXT, _APART = 1, 6  # px: what an edge comes to soon, and what it does not
_SOON = 0.5  # of the time between two events of a pixel
_PAIRED, _PAIRED_AMONG = 4_000, 1 << 17  # events whose neighbours are looked at, of so many
_COST = 14  # events that a spike costs, about
_MOST_COST = 0.1  # of what noise spikes cost, by what noise events cost


@dataclass(frozen=True)
class Noise:
    """Events where nothing moves: hz, per pixel and second; flips, the share of them whose pixel had one of the other
    polarity before, 0 where there is no polarity."""

    hz: float = 0.0
    flips: float = 0.0

    def passing(self, silence_us: ArrayLike) -> Floats:
        """Share of the events that pass a trail filter with this silence (us): of noise, and of what begins among it.
        Events at random times are apart by at least T with probability exp(-hz T)."""
        rested = np.exp(-self.hz * 1e-6 * np.asarray(silence_us, np.float64))
        return np.asarray(self.flips + (1 - self.flips) * rested)


NO_NOISE = Noise()


def measured_noise(stretch: Recording) -> Noise:
    """That of the quiet quarter of the cells of 16x16 px, each for a moment: short enough that what moves, even rain,
    leaves some of them alone, and long enough for some events of noise.

    Of a Poisson number with the mean m a quarter of the draws lies below about m - .67 sqrt(m). Where a texture fills
    the picture no cell is ever left alone: what follows edges does not count (`_following`).
    """
    seconds = (stretch.stop_us - stretch.start_us) * 1e-6
    if not len(stretch) or seconds <= 0:
        return NO_NOISE
    columns, rows = -(-stretch.width // CELL_PX), -(-stretch.height // CELL_PX)
    cell = (stretch.y // CELL_PX).astype(np.int32) * columns + stretch.x // CELL_PX
    counts = np.bincount(cell, minlength=columns * rows) * _wholes(stretch.size, columns, rows)
    used = np.flatnonzero(counts)
    moments = int(np.clip(np.median(counts[used]) / _EVENTS, 1, _MOST_MOMENTS))
    moment = ((stretch.t_us - stretch.start_us) * (moments * 1e-6 / seconds)).astype(np.int32)
    numbers = np.bincount(cell * np.int32(moments) + np.minimum(moment, moments - 1), minlength=counts.size * moments)
    each = numbers.reshape(-1, moments) * _wholes(stretch.size, columns, rows)[:, None]
    low = float(np.quantile(each[used], _QUIET))
    root = (_BELOW + math.sqrt(_BELOW**2 + 4 * low)) / 2
    hz = root**2 / CELL_PX**2 * moments / seconds if low else 0.0
    if hz:
        some = stretch.slice(0, min(len(stretch), _PAIRED_AMONG))
        calm = numbers[(cell * np.int32(moments) + np.minimum(moment, moments - 1))[: len(some)]] <= max(low, 1.0)
        hz *= 1 - _following(some, calm, hz)
    if stretch.p is None:
        return Noise(hz)
    quiet = (counts <= np.quantile(counts[used], _QUIET))[cell]
    # Whole pixels: those of every second, third... row.
    every = max(1, math.ceil(int(quiet.sum()) / _MOST_EVENTS))
    silent_us, flipped = pixel_history(stretch.mask(quiet & (stretch.y % every == 0)))
    again = silent_us != NEVER_US
    return Noise(hz, float(flipped[again].mean()) if again.any() else 0.5)


def _following(events: Recording, calm: NDArray[np.bool_], hz: float) -> float:
    """How many events each of those that are `calm` draws after it, 0 to 1: 0 for noise of this rate, 1 for edges.

    Noise comes to the neighbours of a pixel as often soon after its event as it comes to pixels some way off. An edge
    that crosses one crosses some of them next, with the same polarity. Two standard errors are taken off.
    """
    t_us = events.t_us - events.t_us[0]
    span_us = int(t_us[-1]) + 1
    soon_us = int(min(_SOON * 1e6 / hz, span_us / 4))
    chosen = np.flatnonzero(calm & (t_us < span_us - soon_us))
    if not chosen.size:
        return 0.0
    chosen = chosen[:: max(1, chosen.size // _PAIRED)]
    width, height = events.size
    wide, p = width + 2 * _APART, np.int64(0) if events.p is None else events.p.astype(np.int64)
    # The place in a wider picture, then the time: one number that is sorted.
    place = (p * (height + 2 * _APART) + events.y + _APART) * wide + events.x + _APART
    ends = span_us + soon_us + 1
    keys = place * ends + t_us
    mine, x, y = keys[chosen], events.x[chosen].astype(np.int64), events.y[chosen].astype(np.int64)
    keys.sort()

    def drawn(px: int) -> tuple[int, int]:
        """Events at so many px from each, soon after it; pixels that were looked at."""
        found = looked = 0
        for dx, dy in ((i, j) for i in (-px, 0, px) for j in (-px, 0, px) if i or j):
            inside = (x + dx >= 0) & (x + dx < width) & (y + dy >= 0) & (y + dy < height)
            there = (mine + (dy * wide + dx) * ends)[inside]
            upto = np.searchsorted(keys, there + soon_us, side="right")
            found += int((upto - np.searchsorted(keys, there, side="right")).sum())
            looked += int(inside.sum())
        return found, max(looked, 1)

    (near, beside), (far, away) = drawn(_NEXT), drawn(_APART)
    more = near / beside - far / away
    error = math.sqrt(near + 1) / beside + math.sqrt(far + 1) / away
    return float(np.clip(8 * (more - 2 * error), 0.0, 1.0))


def _wholes(size: tuple[int, int], columns: int, rows: int) -> Floats:
    """By how much a whole cell is larger than each, where the border cuts it, (cells,)."""
    wide = np.minimum(size[0] - CELL_PX * np.arange(columns), CELL_PX)
    high = np.minimum(size[1] - CELL_PX * np.arange(rows), CELL_PX)
    return np.asarray(CELL_PX**2 / (high[:, None] * wide)).ravel()


def base_potential(kernel_sum: ArrayLike, hz: ArrayLike, dt_us: int) -> Floats:
    """The mean of neurons whose weights sum to `kernel_sum`, each pixel having noise events of this rate; 0 where the
    inside of a large ring outweighs it: noise then lowers potentials, but a threshold must not follow it below 0."""
    return np.asarray(np.maximum(kernel_sum, 0.0) * np.asarray(hz) * (dt_us * 1e-6))


def least_threshold(kernel: ArrayLike, hz: float, tau_s: float, dt_us: int) -> float:
    """What noise alone crosses so seldom that the spikes cost a tenth of what its events cost. kernel: weights of one
    channel; hz: of the noise that reaches it, per pixel.

    Sums of shot noise are nearly normal; their skewness counts as in the expansion of Cornish and Fisher (1938).
    """
    if hz <= 0:
        return 0.0
    weights, a = np.asarray(kernel, np.float64), -math.expm1(-dt_us * 1e-6 / tau_s)
    events = hz * dt_us * 1e-6
    # Each event leaves a, a (1 - a), a (1 - a)^2, ... of its weight behind.
    second, third = (events * float((weights**n).sum()) * a**n / (1 - (1 - a) ** n if a < 1 else 1.0) for n in (2, 3))
    sigma = math.sqrt(second)
    # Potentials a time constant apart are independent.
    seldom = min(_MOST_COST / _COST * hz * tau_s, 0.1)
    z = NormalDist().inv_cdf(1 - seldom)
    sigmas = z + (z * z - 1) / 6 * max(third, 0.0) / sigma**3
    return float(weights.sum()) * events + sigmas * sigma


def floor(network: Network) -> Floats:
    """The mean potentials (C,) that the noise makes in layer 1 for which the network was calibrated."""
    noise, trail = network.origin.noise, network.trail_filter
    sums = network.layers[0].kernel.sum(axis=(1, 2, 3), dtype=np.float64)
    if noise is None or trail is None:
        return np.zeros_like(sums)
    hz, flips = noise
    return base_potential(sums, hz * Noise(hz, flips).passing(trail.silence_us), network.dt_us)
