"""From places at instants to tracks with speeds: the common linking of all rivals that find places only.

At each instant places and tracks, which go straight on, are paired by the Hungarian method (SciPy) within a gate. Speed
and position are those of a straight line through the last places of a track (least squares), over `fit_px` of its way.
Norfair and trackpy do the same with more options; neither estimates a speed, and trackpy links afterwards only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from benchmarks.rivals.interface import EVERY_US, Choice, Values
from benchmarks.rivals.parts.rows import Rows
from velocell.data.bands import Bands
from velocell.data.tracks import Tracks

Floats = NDArray[np.float64]

PARAMETERS = {
    "gate_radii": Choice(0.8, 0.3, 2.0, log=True),
    "hits": Choice(3, 2, 8, whole=True),
    "age_ms": Choice(20.0, 5.0, 60.0, log=True),
    "fit_px": Choice(8.0, 2.0, 30.0, log=True),
}
_LONGEST_US = 150_000
_FAR = 1e6
_NEWEST = 0.3  # share of the newest of velocities that are seen


@dataclass
class Track:
    """times, places: of what was found, newest last. lost: instants without since."""

    name: int
    times: list[float]
    places: list[tuple[float, float]]
    x: float = 0.0
    y: float = 0.0
    vx: float = 0.0
    vy: float = 0.0
    at_us: float = 0.0
    lost: int = 0
    seen_v: tuple[float, float] | None = None

    def where(self, t_us: float) -> tuple[float, float]:
        ahead = (t_us - self.at_us) * 1e-6
        return self.x + self.vx * ahead, self.y + self.vy * ahead

    def fit(self, fit_px: float) -> None:
        """The straight line through the last places: at least three, and as many as `fit_px` of way hold."""
        t = np.array(self.times[-60:]) * 1e-6
        x, y = np.array(self.places[-60:]).T
        way = np.hypot(x[-1] - x, y[-1] - y)
        near = (way <= fit_px) & (t[-1] - t <= _LONGEST_US * 1e-6)
        near[-3:] = True
        first = t.size - int(np.argmin(near[::-1])) if not near.all() else 0
        t, x, y = t[first:], x[first:], y[first:]
        middle = t.mean()
        spread = float(((t - middle) ** 2).sum())
        if spread > 0:
            self.vx, self.vy = float(((t - middle) * x).sum()) / spread, float(((t - middle) * y).sum()) / spread
        self.at_us = self.times[-1]
        ahead = t[-1] - middle
        self.x, self.y = float(x.mean() + self.vx * ahead), float(y.mean() + self.vy * ahead)

    def see(self, vx: float, vy: float) -> None:
        before = self.seen_v or (vx, vy)
        self.seen_v = before[0] + _NEWEST * (vx - before[0]), before[1] + _NEWEST * (vy - before[1])
        self.vx, self.vy = self.seen_v


class Linker:
    """`step` takes what was found at an instant; `table` gives the rows of tracks that were found `hits` times."""

    def __init__(self, radius_px: float, bands: Bands, values: Values) -> None:
        self._gate = float(values["gate_radii"]) * radius_px
        self._hits, self._fit = int(values["hits"]), float(values["fit_px"])
        self._age = max(round(float(values["age_ms"]) * 1e3 / EVERY_US), 1)
        # How far a place may be from the only one before it, whose speed nobody knows.
        self._first = self._gate + bands.edges[-1] * EVERY_US * 1e-6
        self._rows = Rows(bands, radius_px)
        self._tracks: list[Track] = []
        self._names = 0

    def step(self, t_us: int, places: Floats, lag_us: Floats | float = 0.0, velocities: Floats | None = None) -> None:
        """places: (n, 2 or more) of x, y. lag_us: they are where the objects were so long before t. velocities: (n, 2)
        of those that see them, whose running mean then takes the place of the fitted ones."""
        when = t_us - np.broadcast_to(np.asarray(lag_us, np.float64), len(places))
        for track, k in self._paired(places, when):
            track.lost = -1 if k >= 0 else track.lost
            if k >= 0 and when[k] > track.times[-1]:
                track.times.append(float(when[k]))
                track.places.append((float(places[k, 0]), float(places[k, 1])))
                track.fit(self._fit)
                if velocities is not None:
                    track.see(*velocities[k])
        for track in self._tracks:
            track.lost += 1
        self._tracks = [track for track in self._tracks if track.lost <= (self._age if len(track.times) > 1 else 1)]
        for k in self._free:
            x, y = float(places[k, 0]), float(places[k, 1])
            self._tracks.append(Track(-1, [float(when[k])], [(x, y)], x, y, at_us=float(when[k])))
        for track in self._tracks:
            if len(track.times) >= self._hits:
                if track.name < 0:
                    track.name, self._names = self._names, self._names + 1
                self._rows.add(t_us, track.name, *track.where(t_us), track.vx, track.vy)

    def _paired(self, places: Floats, when: Floats) -> list[tuple[Track, int]]:
        self._free = list(range(len(places)))
        if not (len(places) and self._tracks):
            return []
        cost = np.full((len(self._tracks), len(places)), _FAR)
        for i, track in enumerate(self._tracks):
            ahead = (when - track.at_us) * 1e-6
            gap = np.hypot(places[:, 0] - track.x - track.vx * ahead, places[:, 1] - track.y - track.vy * ahead)
            near = gap <= (self._gate if len(track.times) > 1 else self._first)
            # Who was found more often has the first choice.
            cost[i, near] = gap[near] + (0 if len(track.times) >= self._hits else self._first)
        i, j = linear_sum_assignment(cost)
        good = cost[i, j] < _FAR
        taken = set(j[good].tolist())
        self._free = [k for k in self._free if k not in taken]
        return [(self._tracks[a], int(b)) for a, b in zip(i[good], j[good], strict=True)]

    def table(self) -> Tracks:
        return self._rows.table()
