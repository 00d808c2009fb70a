"""How the speed of an object changes: braking, falling, swinging, stop and go."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from velocell.simulate.checks import check, finite, not_negative

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Motion:
    """The object's own clock g (s) runs from its start and stands still during `stops_us`. Along its path (the
    straight line, the orbit, the bounces) it has travelled

        s(g) = v g + accel g^2 / 2 + swing sin(2 pi swing_hz g + swing_phase)

    px, v being its `speed_px_s`; beside that it is moved by (ax, ay) g^2 / 2.

    accel_px_s2: along the path. Below 0 it brakes: where v + accel g reaches 0 it stays.
    ax_px_s2, ay_px_s2: gravity, wind; they bend the path (not with a bounce or an orbit).
    swing_px, swing_hz, swing_phase_deg: to and fro along the path; x_px, y_px is the middle of the swing. On an
        orbit, with v = 0, this is a pendulum.
    stops_us: [[from, to], ...] in the scene's time: it rests in [from, to).
    """

    accel_px_s2: float = 0.0
    ax_px_s2: float = 0.0
    ay_px_s2: float = 0.0
    swing_px: float = 0.0
    swing_hz: float = 1.0
    swing_phase_deg: float = 0.0
    stops_us: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        for name in ("accel_px_s2", "ax_px_s2", "ay_px_s2", "swing_px", "swing_phase_deg"):
            finite(getattr(self, name), name, "a motion")
        not_negative(self.swing_hz, "swing_hz", "a motion")
        for start, stop in self.stops_us:
            check(start < stop, f"a stop from {start:g} to {stop:g} us has no length; give [from, to] with from < to")
        for (_, before), (after, _) in pairwise(self.stops_us):
            check(before <= after, f"the stops_us that end at {before:g} and begin at {after:g} us overlap; sort them")

    @property
    def bends(self) -> bool:
        return bool(self.ax_px_s2 or self.ay_px_s2)

    def clock(self, t_s: Floats, start_s: float) -> tuple[Floats, NDArray[np.bool_]]:
        """The object's own time g at times t, and whether it runs."""
        g, runs = t_s - start_s, np.ones(np.shape(t_s), bool)
        for begin, end in np.reshape(self.stops_us, (-1, 2)) * 1e-6:
            begin = max(begin, start_s)
            g = g - np.clip(t_s - begin, 0.0, max(end - begin, 0.0))
            runs &= ~((t_s >= begin) & (t_s < end))
        return g, runs

    def travel(self, g: Floats, speed: float) -> tuple[Floats, Floats]:
        """s (px) and ds/dg (px/s) at the object's own times."""
        last = self.rest_after(speed)
        driven = np.minimum(g, last)
        s = speed * driven + 0.5 * self.accel_px_s2 * driven**2
        rate = np.where(g < last, speed + self.accel_px_s2 * driven, 0.0)
        if self.swing_px:
            turn = 2 * math.pi * self.swing_hz
            angle = turn * g + math.radians(self.swing_phase_deg)
            s, rate = s + self.swing_px * np.sin(angle), rate + self.swing_px * turn * np.cos(angle)
        return s, rate

    def rest_after(self, speed: float) -> float:
        """The own time (s) at which a braking object comes to rest; infinite for others."""
        return speed / -self.accel_px_s2 if self.accel_px_s2 < 0 else math.inf

    def kinks(self, start_s: float, speed: float) -> list[float]:
        """Times (s) at which the velocity jumps or its derivative does."""
        ends = [float(edge) * 1e-6 for stop in self.stops_us for edge in stop]
        rest = self.rest_after(speed)
        if math.isfinite(rest):
            at = start_s + rest
            for begin, end in np.reshape(self.stops_us, (-1, 2)) * 1e-6:
                if max(begin, start_s) < at:
                    at += max(end - max(begin, start_s), 0.0)
            ends.append(at)
        return ends
