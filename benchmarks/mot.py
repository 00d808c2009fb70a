"""Tracks against the truth by motmetrics, the public package behind the MOTChallenge figures.

At every instant at which the tracks have a row, or ought to, an object and a row may pair within max(2 px, R/2).
An object that has moved less than 2 px, or is younger than 30 ms, cannot have been seen: it need not be found, but
may be. Pairing, recall, precision, IDF1 and switches are the package's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from velocell.data.arrays import Floats
from velocell.data.tracks import Tracks
from velocell.errors import TableError
from velocell.results.evaluate import SETTLE_US, START_TRAVEL_PX

METRICS = ("recall", "precision", "idf1", "mota", "num_switches", "num_fragmentations")


@dataclass(frozen=True)
class Paired:
    """figures: of METRICS by name. rows, truth_rows: numbers (n,) of the rows of both tables that pair.
    object_s: how long the objects were there, all together."""

    figures: dict[str, float]
    rows: NDArray[np.intp]
    truth_rows: NDArray[np.intp]
    object_s: float


def median(values: Floats) -> float:
    """Of those that are known; NaN where none is."""
    known = values[~np.isnan(values)]
    return float(np.median(known)) if known.size else np.nan


def travelled(truth: Tracks) -> tuple[Floats, NDArray[np.int64]]:
    """For each row of a truth: the length of the object's path up to it, in px, and its age, in us."""
    path, age = np.zeros(len(truth)), np.zeros(len(truth), np.int64)
    for name in np.unique(truth.id):
        rows = np.flatnonzero(truth.id == name)
        path[rows[1:]] = np.cumsum(np.hypot(np.diff(truth.x_px[rows]), np.diff(truth.y_px[rows])))
        age[rows] = truth.t_us[rows] - truth.t_us[rows[0]]
    return path, age


def pair(tracks: Tracks, truth: Tracks, every_us: int, spared: NDArray[np.bool_] | None = None) -> Paired:
    """Score `tracks`, reported every `every_us`, against `truth`, which must have rows at those instants.

    spared: (n,) rows of the truth that need not be found either.

    Raises TableError for tables of different recordings.
    """
    import motmetrics

    instants = np.unique(truth.t_us)
    instants = instants[(instants % every_us == 0) & (instants > truth.t_us[0] + SETTLE_US)]
    if not instants.size or not (np.isin(tracks.t_us, truth.t_us).any() or not len(tracks)):
        raise TableError("tracks and truth have no instant in common; they are not of the same recording")
    path, age = travelled(truth)
    due = (path >= START_TRAVEL_PX) & (age >= SETTLE_US)
    if spared is not None:
        due &= ~spared
    accumulator = motmetrics.MOTAccumulator()
    row_of: dict[tuple[int, int], int] = {}
    truth_of: dict[tuple[int, int], int] = {}
    for t in instants.tolist():
        mine = np.arange(*np.searchsorted(tracks.t_us, [t, t + 1]))
        theirs = np.arange(*np.searchsorted(truth.t_us, [t, t + 1]))
        distance = np.hypot(truth.x_px[theirs, None] - tracks.x_px[mine], truth.y_px[theirs, None] - tracks.y_px[mine])
        distance[distance > np.maximum(2.0, truth.radius_px[theirs, None] / 2)] = np.nan
        asked = due[theirs] | np.isfinite(distance).any(axis=1)
        theirs, distance = theirs[asked], distance[asked]
        accumulator.update(truth.id[theirs].tolist(), tracks.id[mine].tolist(), distance, frameid=t)
        row_of |= {(t, int(tracks.id[row])): int(row) for row in mine}
        truth_of |= {(t, int(truth.id[row])): int(row) for row in theirs}
    figures = motmetrics.metrics.create().compute(
        accumulator, metrics=list(METRICS), name="all", return_dataframe=False
    )
    events = accumulator.mot_events.reset_index()
    events = events[events["Type"].isin(["MATCH", "SWITCH"])]
    times = events["FrameId"].to_numpy(np.int64).tolist()
    rows = [row_of[t, int(name)] for t, name in zip(times, events["HId"], strict=True)]
    truths = [truth_of[t, int(name)] for t, name in zip(times, events["OId"], strict=True)]
    seen_s = float(np.isin(truth.t_us, instants).sum()) * every_us / 1e6
    return Paired(
        {name: float(value) for name, value in figures.items()},
        np.array(rows, np.intp),
        np.array(truths, np.intp),
        seen_s,
    )
