"""One true object at any instant."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .tables import Table

Floats = NDArray[np.float64]
Times = NDArray[np.int64]

PAUSE = 10  # samples further apart than this many usual ones: the object was away


class TrueObject:
    """Its samples, straight from one to the next. It is there until one sample after the last, but not in pauses."""

    def __init__(self, truth: Table, rows: NDArray[np.intp]) -> None:
        self.id = int(truth.id[rows[0]])
        self.t_us = truth.t_us[rows]
        self._columns = {name: getattr(truth, name)[rows] for name in ("x_px", "y_px", "speed_px_s", "radius_px")}
        self._heading = truth.heading_deg[rows]
        self._spared = truth.spared[rows] > 0
        self.step_us = float(np.median(np.diff(self.t_us))) if rows.size > 1 else 1.0
        x, y = self._columns["x_px"], self._columns["y_px"]
        self.path = np.concatenate(([0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))))
        missing = np.isnan(self._columns["speed_px_s"])
        if missing.any() and rows.size > 1:
            self._columns["speed_px_s"] = np.where(missing, self._own_speed(), self._columns["speed_px_s"])

    def _own_speed(self) -> Floats:
        """From the path over 10 ms, or a sample, to both sides."""
        t, reach = self.t_us.astype(np.float64), max(10_000.0, self.step_us)
        low, high = np.maximum(t - reach, t[0]), np.minimum(t + reach, t[-1])
        return np.asarray((np.interp(high, t, self.path) - np.interp(low, t, self.path)) / (high - low) * 1e6)

    def here(self, t_us: Times) -> NDArray[np.bool_]:
        before = np.searchsorted(self.t_us, t_us, side="right") - 1
        left = self.t_us[np.maximum(before, 0)]
        right = self.t_us[np.minimum(before + 1, self.t_us.size - 1)]
        away = (right - left > PAUSE * self.step_us) & (t_us - left >= self.step_us)
        return np.asarray((before >= 0) & (t_us < self.t_us[-1] + self.step_us) & ~away)

    def due(self, t_us: Times) -> NDArray[np.bool_]:
        """Where it is there and has to be found."""
        last = np.maximum(np.searchsorted(self.t_us, t_us, side="right") - 1, 0)
        return np.asarray(self.here(t_us) & ~self._spared[last])

    def at(self, name: str, t_us: Times) -> Floats:
        return np.asarray(np.interp(t_us, self.t_us, self._columns[name]), np.float64)

    def place(self, t_us: Times) -> tuple[Floats, Floats]:
        """Past the last sample it goes straight on."""
        x, y = self.at("x_px", t_us), self.at("y_px", t_us)
        if self.t_us.size > 1:
            late = np.maximum(t_us - self.t_us[-1], 0) / (self.t_us[-1] - self.t_us[-2])
            x = x + late * np.diff(self._columns["x_px"][-2:])
            y = y + late * np.diff(self._columns["y_px"][-2:])
        return x, y

    def heading(self, t_us: Times) -> Floats:
        """That of the last sample: angles do not interpolate."""
        return np.asarray(self._heading[np.maximum(np.searchsorted(self.t_us, t_us, side="right") - 1, 0)])

    def travelled(self, t_us: Times) -> Floats:
        return np.asarray(np.interp(t_us, self.t_us, self.path), np.float64)


def true_objects(truth: Table) -> list[TrueObject]:
    order = np.argsort(truth.id, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(truth.id[order])) + 1)
    return [TrueObject(truth, part) for part in parts if part.size]
