"""Disks that pass alone over a network: where, what its final channels answer, and the potentials of layer 1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.data.arrays import Floats
from velocell.data.history import pixel_history
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.network import Network
from velocell.network.kernels import anchor
from velocell.simulate import Scene, SceneObject, simulate
from velocell.tracking.rules import ANSWER_SPIKES, DEFAULTS

PASSES = 2  # per speed
STRETCH_PX = DEFAULTS.vote_memory_px  # the travel over which a detection takes its votes
STRETCHES = 6
LEAD_PX = 16.0  # travel before the network has settled
TRAVEL_PX = LEAD_PX + STRETCH_PX * STRETCHES
_LARGEST_EXPONENT = 500.0


@dataclass(frozen=True, eq=False)
class Lanes:
    """Tiles of one sensor, each with one disk; arrays (lanes,). number: of the speed. headings in
    radians. x0, y0: where the disk starts. tile: (width, height) px. columns: tiles side by side."""

    speeds: Floats
    number: NDArray[np.intp]
    headings: Floats
    x0: Floats
    y0: Floats
    tile: tuple[int, int]
    columns: int
    radius: float

    @staticmethod
    def plan(speeds: Floats, radius: float, headings: Sequence[float], seed: int) -> Lanes:
        rng = np.random.default_rng(seed)
        count = max(PASSES, len(headings))
        number = np.repeat(np.arange(speeds.size), count)
        angle = np.radians(np.tile(np.resize(np.asarray(headings, np.float64), count), speeds.size))
        margin = 2.5 * radius + 7
        w = math.ceil(TRAVEL_PX * np.abs(np.cos(angle)).max() + 2 * margin)
        h = math.ceil(TRAVEL_PX * np.abs(np.sin(angle)).max() + 2 * margin)
        columns = max(1, math.ceil(math.sqrt(number.size * h / w)))
        row, column = np.divmod(np.arange(number.size), columns)
        phase = rng.uniform(-0.5, 0.5, (2, number.size))
        x0 = (column + 0.5) * w - 0.5 * TRAVEL_PX * np.cos(angle) + phase[0]
        y0 = (row + 0.5) * h - 0.5 * TRAVEL_PX * np.sin(angle) + phase[1]
        return Lanes(speeds[number], number, angle, x0, y0, (w, h), columns, radius)

    def record(self, contrast: float, loss: float, noise_hz: float, seed: int) -> Recording:
        """All passages at once; `loss` is the share of lost events."""
        objects = [
            SceneObject(
                id=i,
                x_px=float(self.x0[i]),
                y_px=float(self.y0[i]),
                radius_px=self.radius,
                speed_px_s=float(v),
                heading_deg=math.degrees(self.headings[i]),
                contrast=contrast,
                stop_us=max(1, round(1e6 * TRAVEL_PX / v)),
            )
            for i, v in enumerate(self.speeds)
        ]
        rows = -(-self.speeds.size // self.columns)
        scene = Scene(
            self.columns * self.tile[0],
            rows * self.tile[1],
            max(o.stop_us or 1 for o in objects),
            seed=seed,
            noise_hz=noise_hz,
            event_loss=loss,
            objects=tuple(objects),
        )
        return simulate(scene, truth_every_us=scene.duration_us)[0]

    def of(self, x: NDArray[np.integer[Any]], y: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
        """The lane of each pixel."""
        return y // self.tile[1] * self.columns + x // self.tile[0]

    def shares(self, spikes: Spikes, bands: int) -> Floats:
        """(N, n): share of the stretches that each final channel answered."""
        final = spikes.final()
        lane = self.of(final.x, final.y).astype(np.intp)
        known = (lane < self.speeds.size) & (final.channel < bands)
        lane, channel, t = lane[known], final.channel[known], final.t_us[known]
        stretch = np.floor((t * 1e-6 * self.speeds[lane] - LEAD_PX) / STRETCH_PX).astype(np.intp)
        use = (stretch >= 0) & (stretch < STRETCHES)
        votes = np.zeros((self.speeds.size, STRETCHES, bands))
        np.add.at(votes, (lane[use], stretch[use], channel[use]), 1)
        won = (votes == votes.max(axis=2, keepdims=True)) & (votes >= ANSWER_SPIKES)
        won = won / np.maximum(won.sum(axis=2, keepdims=True), 1)
        total = np.zeros((self.number[-1] + 1, bands))
        np.add.at(total, self.number, won.mean(axis=1))
        return total.T / np.bincount(self.number)

    def potentials(self, network: Network, recording: Recording) -> tuple[Floats, Floats, Floats]:
        """(C, n) each: peak of the mean passage, mean peak of single passages, events per edge crossing."""
        neurons = network.layers[0].neurons
        decay = neurons.decay(network.dt_us).astype(np.float64)
        inputs = passed_events(network, recording)
        lane = self.of(recording.x, recording.y)
        order = np.argsort(lane, kind="stable")
        bounds = np.searchsorted(lane[order], np.arange(self.speeds.size + 1))
        offset = np.arange(-self.radius - 3, self.radius + 8, 0.25)
        mean = np.zeros((neurons.channels, self.number[-1] + 1, offset.size))
        single, arrived = np.zeros(mean.shape[:2]), np.zeros(mean.shape[:2])
        for i, n in enumerate(self.number):
            events = Passage(recording, order[bounds[i] : bounds[i + 1]], inputs)
            x, y, centre_us = self.neurons(i)
            when = (centre_us + 1e6 * offset[:, None] / self.speeds[i]) // network.dt_us
            for c in range(neurons.channels):
                ticks, v, count = events.potential(network, c, x, y, decay[c])
                single[c, n] += v.max(axis=0, initial=0.0).mean()
                arrived[c, n] += count / (4 * self.radius * TRAVEL_PX)
                if ticks.size:
                    mean[c, n] += potentials_at(ticks, v, when.astype(np.int64), decay[c]).mean(axis=1)
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
class Passage:
    """The events of one lane: `rows` of the recording, `inputs` (C_in, events) as `passed_events` gives it."""

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
        ticks, v = integrate(current, self.recording.t_us[rows] // network.dt_us, a)
        return ticks, v, rows.size


def potentials_at(ticks: NDArray[np.int64], v: Floats, when: NDArray[np.int64], a: float) -> Floats:
    """Potentials (times, neurons) at the ticks `when` (times, neurons), from those at ticks with events."""
    row = np.searchsorted(ticks, when, side="right") - 1
    gap = when - ticks[row]
    decayed = v[row, np.arange(v.shape[1])] * (1 - a) ** np.maximum(gap, 0).astype(np.float64)
    return np.where(row >= 0, decayed, 0.0)


def passed_events(network: Network, recording: Recording) -> NDArray[np.bool_]:
    """(C_in, events): which events reach which input map of layer 0."""
    trail, maps = network.trail_filter, network.layers[0].in_channels
    assert recording.p is not None
    if trail is None:
        return np.stack([recording.p == bool(k) for k in range(2)]) if maps == 2 else np.ones((1, len(recording)), bool)
    silent_us, flipped = pixel_history(recording)
    return np.stack([(silent_us >= needed) | (trail.flips & flipped) for needed in trail.silence_us])


def integrate(current: Floats, tick: NDArray[np.int64], a: float) -> tuple[NDArray[np.int64], Floats]:
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
