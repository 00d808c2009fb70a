"""Disks whose edges leave trails of events: a generator that shares nothing with `velocell.simulate`.

Each pixel that the outline passes gives its first event at that instant and the others later, over a time that does
not depend on the disk's speed, as the slow pixels of real cameras do. The leading and the trailing edge have opposite
polarity; trails of ON events may last longer and hold more events than those of OFF events.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from velocell.data.arrays import Floats
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks

_STEP_PX = 0.1


@dataclass(frozen=True)
class TrailDisk:
    """A disk of `radius_px` at `speed_px_s` in a picture of (width, height): on a circle of `orbit_px` around its
    middle, or along its middle row, turning round at the borders where orbit_px is 0.

    events_on, events_off: per crossing. trail_on_us, trail_off_us: mean time of the last of them after the first.
    """

    width: int = 240
    height: int = 120
    duration_us: int = 2_000_000
    radius_px: float = 8.0
    speed_px_s: float = 300.0
    orbit_px: float = 0.0
    events_on: int = 6
    events_off: int = 6
    trail_on_us: float = 0.0
    trail_off_us: float = 0.0
    dark: bool = True
    noise_hz: float = 0.0
    seed: int = 0

    def path(self, t_us: Floats) -> tuple[Floats, Floats, Floats]:
        """x, y (px) and heading (degrees) at these times."""
        way = self.speed_px_s * t_us * 1e-6
        if self.orbit_px:
            angle = way / self.orbit_px + 0.37 * self.seed
            x, y = (
                (self.width - 1) / 2 + self.orbit_px * np.cos(angle),
                (self.height - 1) / 2 + self.orbit_px * np.sin(angle),
            )
            return x, y, (np.rad2deg(angle) + 90) % 360
        room = self.width - 1 - 2 * (self.radius_px + 4)
        phase = (way + 13.3 * self.seed) % (2 * room)
        there = phase < room
        x = self.radius_px + 4 + np.where(there, phase, 2 * room - phase)
        return x, np.full_like(x, (self.height - 1) / 2 + 0.3), np.where(there, 0.0, 180.0)

    def events(self) -> Recording:
        rng = np.random.default_rng(self.seed)
        t, pixel, enters = self._crossings()
        bright = enters != self.dark
        parts = [
            self._trains(rng, t[bright == on], pixel[bright == on], on, count, trail)
            for on, count, trail in (
                (True, self.events_on, self.trail_on_us),
                (False, self.events_off, self.trail_off_us),
            )
        ]  # fmt: skip
        n = rng.poisson(self.noise_hz * self.width * self.height * self.duration_us * 1e-6)
        parts.append(
            (rng.uniform(0, self.duration_us, n), rng.integers(0, self.width * self.height, n), rng.random(n) < 0.5)
        )
        times, pixels, on = (np.concatenate(column) for column in zip(*parts, strict=True))
        inside = (times >= 0) & (times < self.duration_us)
        order = np.argsort(times[inside], kind="stable")
        times, pixels, on = times[inside][order], pixels[inside][order], on[inside][order]
        return Recording(
            times.astype(np.int64), (pixels % self.width).astype(np.uint16), (pixels // self.width).astype(np.uint16),
            on, self.width, self.height, start_us=0, stop_us=self.duration_us,
        )  # fmt: skip

    def truth(self, every_us: int = 5_000) -> Tracks:
        t = np.arange(every_us, self.duration_us, every_us)
        x, y, heading = self.path(t.astype(np.float64))
        n = t.size
        return Tracks.from_columns({
            "t_us": t, "id": np.zeros(n, np.int32), "x_px": x, "y_px": y, "speed_px_s": np.full(n, self.speed_px_s),
            "heading_deg": heading, "radius_px": np.full(n, self.radius_px), "confidence": np.ones(n),
        })  # fmt: skip

    def _crossings(self) -> tuple[Floats, NDArray[np.int64], NDArray[np.bool_]]:
        """Times (us), pixels and whether the disk comes there, of all crossings of pixel centres by the outline."""
        step_us = 1e6 * _STEP_PX / self.speed_px_s
        t = np.arange(0, self.duration_us, step_us)
        xs, ys, _ = self.path(t)
        reach = int(np.ceil(self.radius_px)) + 2
        dx, dy = (grid.ravel() for grid in np.meshgrid(np.arange(-reach, reach + 1), np.arange(-reach, reach + 1)))
        found: list[tuple[Floats, NDArray[np.int64], NDArray[np.bool_]]] = []
        for k in range(t.size - 1):
            px, py = dx + round(xs[k]), dy + round(ys[k])
            off0 = np.hypot(px - xs[k], py - ys[k]) - self.radius_px
            off1 = np.hypot(px - xs[k + 1], py - ys[k + 1]) - self.radius_px
            hit = ((off0 > 0) != (off1 > 0)) & (px >= 0) & (py >= 0) & (px < self.width) & (py < self.height)
            part = off0[hit] / (off0[hit] - off1[hit])
            found.append((t[k] + part * step_us, (py * self.width + px)[hit], off0[hit] > 0))
        times, pixels, enters = (np.concatenate(column) for column in zip(*found, strict=True))
        return times, pixels, enters

    @staticmethod
    def _trains(
        rng: np.random.Generator, t: Floats, pixel: NDArray[np.int64], on: bool, count: int, trail_us: float
    ) -> tuple[Floats, NDArray[np.int64], NDArray[np.bool_]]:
        later = rng.exponential(trail_us / 2.5, (t.size, count)) if trail_us else rng.uniform(0, 300, (t.size, count))
        later[:, 0] = rng.uniform(0, 250, t.size)
        later[:, 1:] += later[:, :1]
        return (t[:, None] + later).ravel(), np.repeat(pixel, count), np.full(t.size * count, on)
