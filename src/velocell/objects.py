"""The objects of a table of tracks: one line for each, from its rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from velocell.tracks import Tracks

_COMMON = 0.8  # length of the mean of all directions: 1 on a straight way, 0 to and fro


@dataclass(frozen=True)
class Found:
    """One object of a table: its commonest band, the medians of its figures, its mean heading (degrees), times
    in microseconds. NaN where no row tells, and the heading where the object turned.
    """

    id: int
    band: int
    speed_px_s: float
    speed_err_px_s: float
    heading_deg: float
    radius_px: float
    first_us: int
    last_us: int
    rows: int


def rows_by_object(tracks: Tracks) -> list[NDArray[np.intp]]:
    """The rows of each object in order of time, ids rising."""
    order = np.argsort(tracks.id, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(tracks.id[order])) + 1)
    return [rows for rows in parts if rows.size]


def objects(tracks: Tracks) -> Iterator[Found]:
    """Object by object, ids rising."""
    for rows in rows_by_object(tracks):
        bands, votes = np.unique(tracks.band[rows], return_counts=True)
        yield Found(
            id=int(tracks.id[rows[0]]),
            band=int(bands[votes.argmax()]),
            speed_px_s=_median(tracks.speed_px_s[rows]),
            speed_err_px_s=_median(tracks.speed_err_px_s[rows]),
            heading_deg=_mean_heading(tracks.heading_deg[rows]),
            radius_px=_median(tracks.radius_px[rows]),
            first_us=int(tracks.t_us[rows[0]]),
            last_us=int(tracks.t_us[rows[-1]]),
            rows=int(rows.size),
        )


def _median(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")


def _mean_heading(degrees: NDArray[np.float64]) -> float:
    """Of directions, not of numbers: 359 and 1 make 0. 0 <= heading < 360; NaN without a common direction."""
    angles = np.radians(degrees[np.isfinite(degrees)])
    if not angles.size:
        return float("nan")
    across, down = np.cos(angles).mean(), np.sin(angles).mean()
    if np.hypot(across, down) < _COMMON:
        return float("nan")
    return float(np.degrees(np.arctan2(down, across)) % 360 % 360)  # twice: a tiny negative angle gives 360 itself
