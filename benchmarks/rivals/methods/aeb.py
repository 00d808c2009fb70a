"""An asynchronous event blob tracker: a Kalman filter that every event updates, with several targets."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from benchmarks.rivals.interface import Choice, Rival, Values, instants
from benchmarks.rivals.parts.rows import Rows
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks


@dataclass
class Blob:
    """x, y (px), vx, vy (px/s) at t (s), and their covariance, alike along both axes: a (px2), b, c (px2/s2).
    events: taken so far; rate: of late, per s."""

    x: float
    y: float
    t: float
    a: float
    c: float
    vx: float = 0.0
    vy: float = 0.0
    b: float = 0.0
    events: int = 0
    rate: float = 0.0
    born: float = 0.0
    name: int = -1

    def update(self, x: float, y: float, t: float, accel2: float, noise: float, fade_s: float) -> None:
        """Predict to t with white acceleration (spectral density accel2), then the event as a measured place."""
        dt = t - self.t
        self.x, self.y, self.t = self.x + self.vx * dt, self.y + self.vy * dt, t
        self.a += dt * (2 * self.b + dt * self.c) + accel2 * dt**3 / 3
        self.b += dt * self.c + accel2 * dt * dt / 2
        self.c += accel2 * dt
        gain, pull = self.a / (self.a + noise), self.b / (self.a + noise)
        dx, dy = x - self.x, y - self.y
        self.x, self.y, self.vx, self.vy = (
            self.x + gain * dx,
            self.y + gain * dy,
            self.vx + pull * dx,
            self.vy + pull * dy,
        )
        self.c -= pull * self.b
        self.a, self.b = self.a * (1 - gain), self.b * (1 - gain)
        self.events, self.rate = self.events + 1, self.rate * math.exp(-dt / fade_s) + 1 / fade_s


class Tracker:
    def __init__(self, recording: Recording, radius_px: float, bands: Bands, values: Values) -> None:
        self.radius = radius_px
        self.gate2 = (float(values["gate_radii"]) * radius_px) ** 2
        self.noise = float(values["noise"]) * radius_px**2 / 2  # of points on a circle, per axis
        self.accel2 = float(values["accel"]) ** 2
        self.spawn, self.within = int(values["spawn"]), float(values["spawn_ms"]) * 1e-3
        self.age, self.fade = float(values["age_ms"]) * 1e-3, 0.02
        self.speed = math.sqrt(bands.edges[0] * bands.edges[-1])
        self.blobs: list[Blob] = []
        self.names = 0
        self.cell = radius_px * 2
        self.waiting: dict[tuple[int, int], list[tuple[float, float, float]]] = {}
        self.hits = int(values["events"])

    def event(self, t: float, x: float, y: float) -> None:
        best, nearest = None, self.gate2
        for blob in self.blobs:
            ahead = t - blob.t
            dx, dy = x - blob.x - blob.vx * ahead, y - blob.y - blob.vy * ahead
            away = dx * dx + dy * dy
            if away < nearest:
                best, nearest = blob, away
        if best is not None:
            best.update(x, y, t, self.accel2, self.noise, self.fade)
            return
        key = (int(x / self.cell), int(y / self.cell))
        here = self.waiting.setdefault(key, [])
        here.append((t, x, y))
        if len(here) >= self.spawn:
            if t - here[-self.spawn][0] <= self.within:
                middle = np.mean(here[-self.spawn :], axis=0)
                spread = self.radius**2
                self.blobs.append(Blob(float(middle[1]), float(middle[2]), t, spread, self.speed**2, born=t))
                here.clear()
            else:
                del here[: -self.spawn]

    def report(self, t: float) -> list[Blob]:
        """Blobs with news, the older of two that have met."""
        kept: list[Blob] = []
        for blob in sorted((b for b in self.blobs if t - b.t <= self.age), key=lambda b: b.born):
            if all(math.hypot(blob.x - other.x, blob.y - other.y) > self.radius for other in kept):
                kept.append(blob)
        self.blobs = kept
        told = [blob for blob in kept if blob.events >= self.hits]
        for blob in told:
            if blob.name < 0:
                blob.name, self.names = self.names, self.names + 1
        return told


def follow(recording: Recording, radius_px: float, bands: Bands, values: Values) -> Tracks:
    tracker, rows = Tracker(recording, radius_px, bands, values), Rows(bands, radius_px)
    ts, xs, ys = (recording.t_us * 1e-6).tolist(), recording.x.tolist(), recording.y.tolist()
    times = instants(recording)
    first = 0
    for t, to in zip(times.tolist(), np.searchsorted(recording.t_us, times, side="right").tolist(), strict=True):
        for event in zip(ts[first:to], xs[first:to], ys[first:to], strict=True):
            tracker.event(*event)
        first = to
        for blob in tracker.report(t * 1e-6):
            ahead = t * 1e-6 - blob.t
            rows.add(t, blob.name, blob.x + blob.vx * ahead, blob.y + blob.vy * ahead, blob.vx, blob.vy)
    return rows.table()


RIVAL = Rival(
    name="aeb",
    title="Asynchronous event blob",
    source="Wang et al., Asynchronous blob tracker for event cameras, IEEE Trans. Robotics 40 (2024), "
    "https://arxiv.org/abs/2307.10593",
    licence="Apache-2.0",
    version="1",
    how="reimplemented from its description (the authors' code is for academic use only): constant velocity, every "
    "event a measurement of the centre; the shape is the stated circle and is not estimated; births from crowded cells"
    " are ours",
    parameters={
        "gate_radii": Choice(1.6, 1.1, 3.0),
        "noise": Choice(4.0, 0.5, 60.0, log=True),
        "accel": Choice(500.0, 20.0, 20_000.0, log=True),
        "spawn": Choice(12, 4, 60, log=True, whole=True),
        "spawn_ms": Choice(15.0, 3.0, 80.0, log=True),
        "age_ms": Choice(20.0, 5.0, 80.0, log=True),
        "events": Choice(40, 10, 300, log=True, whole=True),
    },
    user_set=4,
    follow=follow,
)
