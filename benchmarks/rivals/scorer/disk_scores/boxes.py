"""IDF1 (Ristani et al. 2016) and HOTA (Luiten et al. 2021), frame by frame, by the boxes around the disks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from .objects import Floats, TrueObject
from .tables import Table

ALPHAS = np.arange(0.05, 0.99, 0.05)
_EPS = float(np.finfo(np.float64).eps)


def idf1_and_hota(rows: Table, objects: list[TrueObject], frames: NDArray[np.int64]) -> tuple[float, float]:
    """frames: the instants that count. NaN without true objects, and without radii."""
    if np.isnan(rows.radius_px).any() or any(np.isnan(item.at("radius_px", item.t_us)).any() for item in objects):
        return np.nan, np.nan
    names, number = np.unique(rows.id, return_inverse=True)
    shape = (len(objects), names.size)
    common, shares = np.zeros(shape), np.zeros(shape)
    true_rows, told_rows = np.zeros(shape[0]), np.zeros(shape[1])
    pairs: list[tuple[NDArray[np.intp], NDArray[np.intp], Floats]] = []
    there = np.array([item.due(frames) for item in objects]).reshape(shape[0], frames.size)
    places = np.array([(*item.place(frames), item.at("radius_px", frames)) for item in objects])
    for k, t in enumerate(frames.tolist()):
        mine = np.arange(*np.searchsorted(rows.t_us, [t, t + 1]))
        true, told = np.flatnonzero(there[:, k]), number[mine]
        true_rows[true] += 1
        told_rows[told] += 1
        if not (true.size and told.size):
            continue
        overlap = _overlap(places[true, :, k], np.stack((rows.x_px, rows.y_px, rows.radius_px), axis=1)[mine])
        at = np.ix_(true, told)
        common[at] += overlap >= 0.5
        union = overlap.sum(axis=0) + overlap.sum(axis=1)[:, None] - overlap
        shares[at] += np.divide(overlap, union, out=np.zeros_like(overlap), where=union > _EPS)
        pairs.append((true, told, overlap))
    if not true_rows.sum():
        return np.nan, np.nan
    i, j = linear_sum_assignment(-common)
    idf1 = 2 * common[i, j].sum() / (true_rows.sum() + told_rows.sum())
    return float(idf1), _hota(pairs, shares, true_rows, told_rows)


def _overlap(true: Floats, told: Floats) -> Floats:
    """Intersection over union of squares (n, 3) and (m, 3) of x, y, half a side: (n, m)."""
    both = np.ones((len(true), len(told)))
    for axis in (0, 1):
        low = np.maximum((true[:, axis] - true[:, 2])[:, None], told[:, axis] - told[:, 2])
        high = np.minimum((true[:, axis] + true[:, 2])[:, None], told[:, axis] + told[:, 2])
        both *= np.clip(high - low, 0, None)
    return np.asarray(both / (4 * true[:, 2, None] ** 2 + 4 * told[:, 2] ** 2 - both))


def _hota(
    pairs: list[tuple[NDArray[np.intp], NDArray[np.intp], Floats]], shares: Floats, true_rows: Floats, told_rows: Floats
) -> float:
    either = true_rows[:, None] + told_rows
    alignment = shares / np.maximum(either - shares, _EPS)
    paired = np.zeros((ALPHAS.size, *shares.shape))
    for true, told, overlap in pairs:
        i, j = linear_sum_assignment(-alignment[np.ix_(true, told)] * overlap)
        enough = overlap[i, j] >= ALPHAS[:, None] - _EPS
        paired[:, true[i], told[j]] += enough
    hits = paired.sum(axis=(1, 2))
    detection = hits / (true_rows.sum() + told_rows.sum() - hits)
    together = (paired * paired / np.maximum(1, either - paired)).sum(axis=(1, 2))
    return float(np.sqrt(detection * together / np.maximum(1, hits)).mean())
