"""Rows as they come, and the table of them."""

from __future__ import annotations

import numpy as np

from velocell.data.bands import Bands
from velocell.data.tracks import Tracks


class Rows:
    """Collects rows; the band follows from the speed, where none is given."""

    def __init__(self, bands: Bands, radius_px: float) -> None:
        self._bands, self._radius = bands, radius_px
        self._rows: list[tuple[float, ...]] = []

    def add(self, t_us: int, name: int, x: float, y: float, vx: float, vy: float, band: int | None = None) -> None:
        self._rows.append((t_us, name, x, y, vx, vy, -2 if band is None else band))

    def table(self) -> Tracks:
        if not self._rows:
            return Tracks.empty()
        t, name, x, y, vx, vy, band = np.array(self._rows, np.float64).T
        speed = np.hypot(vx, vy)
        return Tracks.from_columns({
            "t_us": t, "id": name, "x_px": x, "y_px": y, "speed_px_s": speed,
            "band": np.where(band == -2, self._bands.of_speed(speed), band),
            "heading_deg": np.rad2deg(np.arctan2(vy, vx)) % 360, "radius_px": np.full(t.size, self._radius),
            "confidence": np.ones(t.size),
        })  # fmt: skip
