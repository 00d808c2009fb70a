"""Ids and detections as the field scores them: MOTA, fragmentations, IDF1, HOTA, frame by frame.

At every frame a true object and a row may pair as far as their boxes overlap (intersection over union). MOTA, switches
and fragmentations (Bernardin and Stiefelhagen 2008) and IDF1 (Ristani 2016) ask for .5; HOTA (Luiten 2021) is the mean
over .05 to .95. All are as TrackEval defines them, so that its figures of the exported tables are these.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from velocell.data.arrays import Floats
from velocell.results.assignment import best_pairs
from velocell.results.exports import Frames

THRESHOLD = 0.5
ALPHAS = np.arange(0.05, 0.99, 0.05)
_EPS = float(np.finfo(np.float64).eps)
_BOX = ("x_px", "y_px", "radius_px")
_HOLDS = 1000.0  # beyond any overlap: who was paired one frame before stays so


@dataclass(frozen=True)
class MotFigures:
    """mota, idf1, hota: 1 is perfect. switches: changes of the id on an object. fragmentations: how often an object is
    found again after it was lost. NaN, or 0 of what is counted, without true objects."""

    mota: float
    idf1: float
    hota: float
    switches: int
    fragmentations: int


NO_FIGURES = MotFigures(np.nan, np.nan, np.nan, 0, 0)


@dataclass(frozen=True)
class _Frame:
    """truth, rows: whose boxes they are, counted from 0; overlap: (truth, rows) from 0 to 1."""

    truth: NDArray[np.intp]
    rows: NDArray[np.intp]
    overlap: Floats


def mot_figures(tracks: Frames, truth: Frames) -> MotFigures:
    """Both in the same frames. Pairing is theirs: the box of an object is the square around the disk."""
    frames = list(_frames(tracks, truth))
    true_rows, told_rows = _counts(frames, truth, tracks)
    if not true_rows.size:
        return NO_FIGURES
    mota, switches, fragmentations = _clear(frames, true_rows)
    return MotFigures(
        mota, _idf1(frames, true_rows, told_rows), _hota(frames, true_rows, told_rows), switches, fragmentations
    )


def _frames(tracks: Frames, truth: Frames) -> Iterator[_Frame]:
    sides = []
    for cut in (truth, tracks):
        order = np.argsort(cut.frame, kind="stable")
        number = np.unique(cut.rows.id, return_inverse=True)[1]
        sides.append((cut.frame[order], number[order], [getattr(cut.rows, name)[order] for name in _BOX]))
    for frame in np.union1d(sides[0][0], sides[1][0]).tolist():
        spans = [slice(*np.searchsorted(side[0], [frame, frame + 1])) for side in sides]
        (x0, y0, r0), (x1, y1, r1) = (
            [values[span] for values in side[2]] for side, span in zip(sides, spans, strict=True)
        )
        reach = r0[:, None] + r1
        least = 2 * np.minimum(r0[:, None], r1)
        both = np.ones_like(reach)
        for at, other in ((x0, x1), (y0, y1)):
            both = both * np.clip(reach - np.abs(at[:, None] - other), 0, least)
        union = 4 * (r0[:, None] ** 2 + r1**2) - both
        yield _Frame(sides[0][1][spans[0]], sides[1][1][spans[1]], both / union)


def _counts(frames: list[_Frame], truth: Frames, tracks: Frames) -> tuple[Floats, Floats]:
    """Rows of each true object and of each id."""
    true_rows = np.zeros(np.unique(truth.rows.id).size)
    told_rows = np.zeros(np.unique(tracks.rows.id).size)
    for frame in frames:
        true_rows[frame.truth] += 1
        told_rows[frame.rows] += 1
    return true_rows, told_rows


def _clear(frames: list[_Frame], true_rows: Floats) -> tuple[float, int, int]:
    """MOTA, switches, fragmentations. Switches are against the last id ever; only that of the frame before is held."""
    last, before = np.full(true_rows.size, -1), np.full(true_rows.size, -1)
    matched = false = switches = 0
    found = np.zeros(true_rows.size, np.int64)  # how often after a frame without
    for frame in frames:
        if not frame.truth.size or not frame.rows.size:
            # As in TrackEval: a frame without rows, or without objects, ends no pairing.
            false += frame.rows.size
            continue
        holds = frame.rows == before[frame.truth][:, None]
        near = frame.overlap >= THRESHOLD - _EPS
        i, j = best_pairs(np.where(near, frame.overlap + _HOLDS * holds, 0.0))
        objects, ids = frame.truth[i], frame.rows[j]
        switches += int(((last[objects] >= 0) & (last[objects] != ids)).sum())
        found[objects] += before[objects] < 0
        last[objects] = ids
        before[:] = -1
        before[objects] = ids
        matched += objects.size
        false += frame.rows.size - objects.size
    total = true_rows.sum()
    return float((matched - false - switches) / total), switches, int((found[found > 0] - 1).sum())


def _idf1(frames: list[_Frame], true_rows: Floats, told_rows: Floats) -> float:
    """Over the best one-to-one choice of an id for each object."""
    common = np.zeros((true_rows.size, told_rows.size))
    for frame in frames:
        np.add.at(common, np.ix_(frame.truth, frame.rows), frame.overlap >= THRESHOLD)
    return float(2 * common[best_pairs(common)].sum() / (true_rows.sum() + told_rows.sum()))


def _hota(frames: list[_Frame], true_rows: Floats, told_rows: Floats) -> float:
    common = np.zeros((true_rows.size, told_rows.size))
    for frame in frames:
        union = frame.overlap.sum(axis=0) + frame.overlap.sum(axis=1)[:, None] - frame.overlap
        shares = np.divide(frame.overlap, union, out=np.zeros_like(union), where=union > _EPS)
        np.add.at(common, np.ix_(frame.truth, frame.rows), shares)
    either = true_rows[:, None] + told_rows
    alignment = common / (either - common)
    paired = np.zeros((ALPHAS.size, *common.shape))
    for frame in frames:
        i, j = best_pairs(alignment[np.ix_(frame.truth, frame.rows)] * frame.overlap)
        enough = frame.overlap[i, j] >= ALPHAS[:, None] - _EPS
        # Within a frame no pair comes twice.
        paired[:, frame.truth[i], frame.rows[j]] += enough
    hits = paired.sum(axis=(1, 2))
    detection = hits / (true_rows.sum() + told_rows.sum() - hits)
    association = (paired * (paired / np.maximum(1, either - paired))).sum(axis=(1, 2)) / np.maximum(1, hits)
    return float(np.sqrt(detection * association).mean())
