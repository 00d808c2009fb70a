"""SORT (Bewley et al. 2016): a Kalman filter of constant velocity a box, paired by the overlap of boxes.

All boxes have the same size here, since the radius is stated; so the state is x, y, vx, vy of the centre.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from benchmarks.rivals.interface import EVERY_US, Choice, Values
from benchmarks.rivals.parts.rows import Rows
from velocell.data.bands import Bands
from velocell.data.tracks import Tracks

Floats = NDArray[np.float64]

PARAMETERS = {
    "iou": Choice(0.3, 0.05, 0.6),
    "max_age": Choice(3, 1, 12, whole=True),
    "min_hits": Choice(3, 1, 8, whole=True),
    "measured_px": Choice(0.7, 0.1, 2.0, log=True),
    "accel_px_s2": Choice(3_000.0, 100.0, 100_000.0, log=True),
}
_DT = EVERY_US * 1e-6
_MOVE = np.array([[1, 0, _DT, 0], [0, 1, 0, _DT], [0, 0, 1, 0], [0, 0, 0, 1.0]])
_PUSH = np.array([[_DT**2 / 2, 0], [0, _DT**2 / 2], [_DT, 0], [0, _DT]])


class Box:
    def __init__(self, x: float, y: float, speed_px_s: float) -> None:
        self.name, self.hits, self.lost = -1, 1, 0
        self.state = np.array([x, y, 0, 0])
        self.cov = np.diag([1, 1, speed_px_s**2, speed_px_s**2])

    def predict(self, noise: Floats) -> None:
        self.state = _MOVE @ self.state
        self.cov = _MOVE @ self.cov @ _MOVE.T + noise

    def update(self, place: Floats, measured: float) -> None:
        gain = self.cov[:, :2] @ np.linalg.inv(self.cov[:2, :2] + measured**2 * np.eye(2))
        self.state = self.state + gain @ (place - self.state[:2])
        self.cov = self.cov - gain @ self.cov[:2]
        self.hits, self.lost = self.hits + 1, 0


class Sort:
    """`step` takes what was found at an instant."""

    def __init__(self, radius_px: float, bands: Bands, values: Values) -> None:
        self._side, self._bands, self._values = 2 * radius_px, bands, values
        self._noise = float(values["accel_px_s2"]) ** 2 * _PUSH @ _PUSH.T
        self._rows, self._boxes, self._names = Rows(bands, radius_px), list[Box](), 0

    def step(self, t_us: int, places: Floats, lag_us: float = 0.0) -> None:
        for box in self._boxes:
            box.predict(self._noise)
        free = set(range(len(places)))
        if self._boxes and len(places):
            at = np.array([box.state[:2] for box in self._boxes])
            share = np.clip(1 - np.abs(at[:, None] - places[None, :, :2]) / self._side, 0, None).prod(axis=2)
            iou = share / (2 - share)
            for i, j in zip(*linear_sum_assignment(-iou), strict=True):
                if iou[i, j] >= float(self._values["iou"]):
                    self._boxes[i].update(places[j, :2], float(self._values["measured_px"]))
                    free.discard(int(j))
                    self._boxes[i].lost = -1
        for box in self._boxes:
            box.lost += 1
        self._boxes = [box for box in self._boxes if box.lost <= int(self._values["max_age"])]
        typical = float(np.sqrt(self._bands.edges[0] * self._bands.edges[-1]))
        self._boxes += [Box(float(places[k, 0]), float(places[k, 1]), typical) for k in sorted(free)]
        for box in self._boxes:
            if box.hits >= int(self._values["min_hits"]):
                if box.name < 0:
                    box.name, self._names = self._names, self._names + 1
                x, y, vx, vy = box.state.tolist()
                self._rows.add(t_us, box.name, x + vx * lag_us * 1e-6, y + vy * lag_us * 1e-6, vx, vy)

    def table(self) -> Tracks:
        return self._rows.table()
