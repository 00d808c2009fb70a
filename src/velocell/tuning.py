"""What each channel answers at each speed: predicted by the formulas, measured on simulated passages.

Layer 1, its threshold taken away, should peak at V(v) = n dt v Psi(v tau) (`calibrate`), n being the
events per edge crossing. The final channels should answer between the edges of their bands and
nowhere else. Both are compared with disks of the network's radius that pass alone, each at one speed
and on a path of its own with a random sub-pixel phase.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from velocell import engines
from velocell.calibrate import psi
from velocell.errors import NetworkError, OptionError
from velocell.files import replacing
from velocell.kernels import anchor
from velocell.network import Bands, Network
from velocell.recording import MAX_SENSOR_PX, Recording
from velocell.simulate import Scene, SceneObject, simulate
from velocell.spikes import Spikes

Floats = NDArray[np.float64]

SUFFIXES = (".png", ".csv", ".json")
VOTES = 1
PASSES = 2  # per speed
STRETCH_PX = 8.0  # the travel over which a detection takes its votes
STRETCHES = 6
_PER_OCTAVE = 12
_FEWEST = 24
_CONTRAST = 3.0
LEAD_PX = 16.0  # travel before the network has settled
TRAVEL_PX = LEAD_PX + STRETCH_PX * STRETCHES
_LARGEST_EXPONENT = 500.0


@dataclass(frozen=True, eq=False)
class Tuning:
    """Responses of C channels of layer 1 and N final channels to n speeds.

    speeds (n,), px/s. peak_predicted, peak_measured (C, n): highest potential of a layer-1 neuron on
    the path of the disk, threshold removed; measured is the mean over neurons. thresholds (C,).
    share_predicted, share_measured (N, n): share of the stretches of 8 px of travel in which the
    final channel had more spikes than any other. edges (N, 2), px/s: where that share crosses half of
    its maximum, NaN where it does not within `speeds`. contrast, radius_px, headings, crossings:
    of the disks; `crossings` is n.
    """

    bands: Bands
    speeds: Floats
    peak_predicted: Floats
    peak_measured: Floats
    peak_single: Floats
    thresholds: Floats
    share_predicted: Floats
    share_measured: Floats
    edges: Floats
    contrast: float
    radius_px: float
    headings: tuple[float, ...]
    crossings: Floats

    @property
    def peak_r2(self) -> float:
        """R^2 of predicted against measured peaks, all channels of layer 1 together."""
        return _r2(self.peak_predicted, self.peak_measured)

    @property
    def share_r2(self) -> float:
        """R^2 of predicted against measured shares, all final channels together."""
        return _r2(self.share_predicted, self.share_measured)


def assumed_crossings(network: Network) -> float | None:
    """Events per edge crossing that the thresholds were made for, as `calibrate` noted; None where it is unknown."""
    found = re.search(r"\bn = ([0-9.e+-]+)", str(network.origin.get("v_th", "")))
    return float(found.group(1)) if found else None


def tuning(
    network: Network,
    *,
    speeds: ArrayLike | None = None,
    contrast: float | None = None,
    headings: Sequence[float] = (0.0,),
    radius: float | None = None,
    noise_hz: float = 0.0,
    seed: int = 0,
    engine: str = "native",
) -> Tuning:
    bands, size = _sought(network, radius)
    edges = np.array(bands.edges)
    if speeds is None:
        octaves = math.log2(4 * edges[-1] / edges[0])
        speeds = np.geomspace(edges[0] / 2, edges[-1] * 2, max(_FEWEST, round(_PER_OCTAVE * octaves)))
    v = np.asarray(speeds, np.float64)
    assumed = assumed_crossings(network)
    if network.trail_filter is None:
        events = contrast or assumed or _CONTRAST
        crossings, loss = events, 0.0
    else:
        events = contrast or _CONTRAST
        crossings = 1.0 if assumed is None else assumed
        loss = max(1 - crossings, 0.0) ** (1 / events)
    lanes = _Lanes.plan(v, size, headings, seed)
    recording = lanes.record(events, loss, noise_hz, seed)
    share = lanes.shares(engines.run(network, recording, engine=engine), len(bands))
    peaks, single, arrived = lanes.potentials(network, recording)
    return Tuning(
        bands, v, predicted_peaks(network, v, size, arrived), peaks, single,
        network.layers[0].neurons.v_th.astype(np.float64), _steps(v, edges), share,
        _realised(v, share), events, size, tuple(headings), arrived,
    )


def predicted_peaks(network: Network, speeds: Floats, radius: float, crossings: ArrayLike) -> Floats:
    first = network.layers[0]
    kernel = first.dense_kernel()
    weights = kernel.sum(axis=1) if network.trail_filter is not None else kernel.mean(axis=1)
    a = first.neurons.decay(network.dt_us).astype(np.float64)
    with np.errstate(divide="ignore"):
        tau_s = -network.dt_us * 1e-6 / np.log1p(-a)
    rows = [psi(weights[c], radius, np.maximum(speeds * tau_s[c], 1e-3)) for c in range(first.channels)]
    return np.asarray(crossings) * network.dt_us * 1e-6 * speeds * np.array(rows)


def _sought(network, radius):
    return network.bands, float(radius or network.radius_px)


def _steps(v, edges):
    return ((v >= edges[:-1, None]) & (v < edges[1:, None])).astype(float)


@dataclass(frozen=True, eq=False)
class _Lanes:
    speeds: Floats  # per lane
    number: NDArray[np.intp]  # of the speed
    headings: Floats  # radians
    x0: Floats
    y0: Floats
    tile: tuple[int, int]
    columns: int
    radius: float

    @staticmethod
    def plan(speeds: Floats, radius: float, headings: Sequence[float], seed: int) -> _Lanes:
        rng = np.random.default_rng(seed)
        count = PASSES * math.ceil(len(headings) / PASSES)
        number = np.repeat(np.arange(speeds.size), count)
        angle = np.radians(np.resize(np.asarray(headings, float), number.size))
        margin = 2.5 * radius + 7
        w = math.ceil(TRAVEL_PX * np.abs(np.cos(angle)).max() + 2 * margin)
        h = math.ceil(TRAVEL_PX * np.abs(np.sin(angle)).max() + 2 * margin)
        columns = max(1, math.ceil(math.sqrt(number.size * h / w)))
        row, column = np.divmod(np.arange(number.size), columns)
        phase = rng.uniform(-0.5, 0.5, (2, number.size))
        x0 = (column + 0.5) * w - 0.5 * TRAVEL_PX * np.cos(angle) + phase[0]
        y0 = (row + 0.5) * h - 0.5 * TRAVEL_PX * np.sin(angle) + phase[1]
        return _Lanes(speeds[number], number, angle, x0, y0, (w, h), columns, radius)

    def record(self, contrast: float, loss: float, noise_hz: float, seed: int) -> Recording:
        objects = [
            SceneObject(
                id=i, x_px=float(self.x0[i]), y_px=float(self.y0[i]), radius_px=self.radius, speed_px_s=float(v),
                heading_deg=math.degrees(self.headings[i]), contrast=contrast, stop_us=max(1, round(1e6 * TRAVEL_PX / v)),
            ) for i, v in enumerate(self.speeds)
        ]
        rows = -(-self.speeds.size // self.columns)
        scene = Scene(self.columns * self.tile[0], rows * self.tile[1], max(o.stop_us or 1 for o in objects),
            seed=seed, noise_hz=noise_hz, event_loss=loss, objects=tuple(objects))
        return simulate(scene, truth_every_us=scene.duration_us)[0]

    def of(self, x, y):
        return y // self.tile[1] * self.columns + x // self.tile[0]

    def shares(self, spikes: Spikes, bands: int) -> Floats:
        final = spikes.final()
        lane = self.of(final.x, final.y).astype(np.intp)
        known = lane < self.speeds.size
        lane, channel, t = lane[known], final.channel[known], final.t_us[known]
        stretch = np.floor((t * 1e-6 * self.speeds[lane] - LEAD_PX) / STRETCH_PX).astype(np.intp)
        use = (stretch >= 0) & (stretch < STRETCHES)
        votes = np.zeros((self.speeds.size, STRETCHES, bands))
        np.add.at(votes, (lane[use], stretch[use], channel[use]), 1)
        won = (votes == votes.max(axis=2, keepdims=True)) & (votes >= VOTES)
        won = won / np.maximum(won.sum(axis=2, keepdims=True), 1)
        total = np.zeros((self.number[-1] + 1, bands))
        np.add.at(total, self.number, won.mean(axis=1))
        return total.T / np.bincount(self.number)

    def potentials(self, network: Network, recording: Recording) -> tuple[Floats, Floats, Floats]:
        """(C, n) each: peak of the mean passage, mean peak of single passages, events per edge crossing."""
        neurons = network.layers[0].neurons
        decay = neurons.decay(network.dt_us).astype(np.float64)
        inputs = _inputs(network, recording)
        lane = self.of(recording.x, recording.y)
        order = np.argsort(lane, kind="stable")
        bounds = np.searchsorted(lane[order], np.arange(self.speeds.size + 1))
        offset = np.arange(-self.radius - 3, self.radius + 8, 0.25)
        mean = np.zeros((neurons.channels, self.number[-1] + 1, offset.size))
        single, arrived = np.zeros(mean.shape[:2]), np.zeros(mean.shape[:2])
        for i, n in enumerate(self.number):
            events = _Passage(recording, order[bounds[i] : bounds[i + 1]], inputs)
            x, y, centre_us = self.neurons(i)
            when = (centre_us + 1e6 * offset[:, None] / self.speeds[i]) // network.dt_us
            for c in range(neurons.channels):
                ticks, v, count = events.potential(network, c, x, y, decay[c])
                single[c, n] += v.max(axis=0, initial=0.0).mean()
                arrived[c, n] += count / (4 * self.radius * TRAVEL_PX)
                if ticks.size:
                    mean[c, n] += _at(ticks, v, when.astype(np.int64), decay[c]).mean(axis=1)
        passes, leak = np.bincount(self.number), neurons.v_leak[:, None]
        return leak + mean.max(axis=2) / passes, leak + single / passes, arrived / passes

    def neurons(self, lane: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
        """Pixels x, y on a lane's path, and when (us) the disk is nearest to each."""
        along = np.arange(LEAD_PX, TRAVEL_PX - STRETCH_PX, 3)
        ux, uy = math.cos(self.headings[lane]), math.sin(self.headings[lane])
        x = np.rint(self.x0[lane] + ux * along).astype(np.intp)
        y = np.rint(self.y0[lane] + uy * along).astype(np.intp)
        travel = ux * (x - self.x0[lane]) + uy * (y - self.y0[lane])
        return x, y, 1e6 * travel / self.speeds[lane]


@dataclass(frozen=True, eq=False)
class _Passage:
    """The events of one lane: `rows` of the recording, `inputs` (C_in, events) as `_inputs` gives it."""

    recording: Recording
    rows: NDArray[np.intp]
    inputs: NDArray[np.bool_]

    def potential(
        self, network: Network, channel: int, x: NDArray[np.intp], y: NDArray[np.intp], a: float
    ) -> tuple[NDArray[np.int64], Floats, int]:
        """Ticks with events, potentials (ticks, neurons) of leaky integrators at x, y, how many events arrived."""
        kernel = network.layers[0].dense_kernel()[channel].astype(np.float64)
        h, w = kernel.shape[1:]
        planes = np.flatnonzero(kernel.any(axis=(1, 2)))
        seen = [self.rows[self.inputs[plane][self.rows]] for plane in planes]
        rows = np.concatenate(seen)
        plane = np.repeat(planes, [part.size for part in seen])[:, None]
        dx = self.recording.x[rows][:, None] - x + anchor(w)
        dy = self.recording.y[rows][:, None] - y + anchor(h)
        inside = (dx >= 0) & (dx < w) & (dy >= 0) & (dy < h)
        current = np.where(inside, kernel[plane, dy.clip(0, h - 1), dx.clip(0, w - 1)], 0.0)
        ticks, v = _leaky(current, self.recording.t_us[rows] // network.dt_us, a)
        return ticks, v, rows.size


def _at(ticks: NDArray[np.int64], v: Floats, when: NDArray[np.int64], a: float) -> Floats:
    """Potentials (times, neurons) at the ticks `when` (times, neurons), from those at ticks with events."""
    row = np.searchsorted(ticks, when, side="right") - 1
    gap = when - ticks[row]
    decayed = v[row, np.arange(v.shape[1])] * (1 - a) ** np.maximum(gap, 0).astype(np.float64)
    return np.where(row >= 0, decayed, 0.0)


def _inputs(network: Network, recording: Recording) -> NDArray[np.bool_]:
    """(C_in, events): which events reach which input map of layer 0."""
    trail, maps = network.trail_filter, network.layers[0].in_channels
    assert recording.p is not None
    if trail is None:
        return np.stack([recording.p == bool(k) for k in range(2)]) if maps == 2 else np.ones((1, len(recording)), bool)
    pixel = recording.y.astype(np.int64) * recording.width + recording.x
    order = np.argsort(pixel, kind="stable")
    same = np.diff(pixel[order], prepend=-1) == 0
    silent = np.diff(recording.t_us[order], prepend=0)
    passed = np.empty((maps, len(recording)), bool)
    flipped = np.diff(recording.p[order].astype(np.int8), prepend=0) != 0
    for c, needed in enumerate(trail.silence_us):
        passed[c, order] = ~same | (silent >= needed) | (trail.flips & flipped)
    return passed


def _leaky(current: Floats, tick: NDArray[np.int64], a: float) -> tuple[NDArray[np.int64], Floats]:
    """Ticks with input, potentials (ticks, neurons) above v_leak after each; current (events, neurons)."""
    order = np.argsort(tick, kind="stable")
    ticks, begin = np.unique(tick[order], return_index=True)
    if not ticks.size:
        return ticks, np.zeros((0, current.shape[1]))
    drive = a * np.add.reduceat(current[order], begin, axis=0)
    if a == 1:
        return ticks, drive
    phase = -math.log1p(-a) * (ticks - ticks[0])
    v = np.empty_like(drive)
    carried, before = np.zeros(drive.shape[1]), 0.0
    for rows in np.split(np.arange(ticks.size), np.flatnonzero(np.diff(phase // _LARGEST_EXPONENT)) + 1):
        grown = np.exp(phase[rows] - phase[rows[0]])[:, None]
        carried = carried * math.exp(before - phase[rows[0]])
        v[rows] = (carried + np.cumsum(drive[rows] * grown, axis=0)) / grown
        carried, before = v[rows[-1]], phase[rows[-1]]
    return ticks, v


def _realised(speeds: Floats, shares: Floats) -> Floats:
    edges = np.full((len(shares), 2), np.nan)
    log = np.log(speeds)
    for k, share in enumerate(shares):
        half = share.max() / 2
        above = np.flatnonzero(share >= half)
        if half == 0:
            continue
        for side, (inner, outer) in enumerate(((above[0], above[0] - 1), (above[-1], above[-1] + 1))):
            if 0 <= outer < speeds.size:
                part = (share[inner] - half) / (share[inner] - share[outer])
                edges[k, side] = math.exp(log[inner] + part * (log[outer] - log[inner]))
    return edges


def _r2(predicted: Floats, measured: Floats) -> float:
    spread = float(np.sum((measured - measured.mean()) ** 2))
    return 1 - float(np.sum((measured - predicted) ** 2)) / spread if spread else math.nan
