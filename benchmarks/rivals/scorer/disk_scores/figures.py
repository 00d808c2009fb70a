"""The figures of one table of rows against one truth.

A row matches a true object within max(2 px, R/2) of where that is at the row's own time; nearest pairs first, one row
per object and instant, and the rows that remain are false.

recall: share of an object's steps of 10 ms with a matching row within 10 ms, from 30 ms and 2 px of way after its
    start, before which nothing can be known of it.
precision: share of the rows later than 30 ms that match; 1 without rows.
band_accuracy: share of the matching rows in the true band, of objects whose speed is not within 10 % of an edge.
quality: F1 of recall and precision, times the band accuracy: one number to rank by, and to tune by.
localisation_px: median distance of the matching rows. speed_error, heading_error_deg: medians over them, relative and
    in degrees. coverage: share of them whose stated one-sigma error of the speed holds the true speed.
idf1, hota: by the boxes around the disks, at the reporting instants, all of the truth (`boxes`).
false_tracks_per_10s: ids of which most rows later than 30 ms match nothing.
first_row_ms: for each object, from its appearance to its first matching row in the right band: the median.
    first_rows_ms: all of them; an object that never has one counts with all its time.
What nothing can be computed from is None. Where the truth says `spared`, an object need not be found, and rows on it
are neither right nor wrong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .boxes import idf1_and_hota
from .objects import Floats, TrueObject, true_objects
from .tables import ScoreError, Table

SETTLE_US, STEP_US, START_PX, EDGE_SHARE = 30_000, 10_000, 2.0, 0.10

FIGURES = (
    "quality", "recall", "precision", "band_accuracy", "localisation_px", "speed_error", "heading_error_deg",
    "coverage", "idf1", "hota", "false_tracks_per_10s", "first_row_ms",
)  # fmt: skip


def score(
    rows: Table, truth: Table, edges: Sequence[float], *, span_us: tuple[int, int], every_us: int = 5_000,
    radius_px: float = math.nan,
) -> dict[str, Any]:  # fmt: skip
    """span_us: of the recording. every_us: the reporting interval. radius_px: of rows and objects that state none (else
    that of the truth's first row). Raises ScoreError."""
    bounds = np.asarray(edges, np.float64)
    if bounds.size < 2 or not (np.diff(bounds) > 0).all():
        raise ScoreError("the bands need at least two rising edges in px/s, such as 40,160,640")
    if rows.t_us.size and (rows.t_us[0] < span_us[0] or rows.t_us[-1] > span_us[1]):
        raise ScoreError(
            f"rows lie outside the recording, {span_us[0]} to {span_us[1]} us; give those of this recording"
        )
    fallback = radius_px if math.isfinite(radius_px) else float(truth.radius_px[0]) if len(truth) else 1.0
    if math.isfinite(fallback):
        truth = truth.filled("radius_px", fallback)
        rows = rows.filled("radius_px", fallback)
    objects = true_objects(truth)
    match, distance = matched(rows, objects)
    counts = np.array([k < 0 or bool(objects[k].due(t)) for k, t in zip(match, rows.t_us, strict=True)], np.bool_)
    rows, match, distance = rows.where(counts), match[counts], distance[counts]
    hit = np.flatnonzero(match >= 0)
    true_speed = _of_match(objects, rows, match, hit, "speed_px_s")
    band = np.where(rows.band == -2, bands_of(rows.speed_px_s, bounds), rows.band)
    right, asked = _bands(band[hit], true_speed, bounds)
    late = rows.t_us > span_us[0] + SETTLE_US
    hits, steps = _recall(rows, objects, match)
    recall = hits / steps if steps else math.nan
    precision = (float((match[late] >= 0).mean()) if late.any() else math.nan) if len(rows) else 1.0
    accuracy = right.sum() / asked.sum() if asked.any() else math.nan
    moving = true_speed > 0
    off = np.abs(rows.speed_px_s[hit] - true_speed)
    turned = np.abs((rows.heading_deg[hit] - _heading(objects, rows, match, hit) + 180) % 360 - 180)
    stated = np.isfinite(rows.speed_err_px_s[hit]) & moving
    frames = np.arange(span_us[0] // every_us + 1, span_us[1] // every_us + 1) * every_us
    idf1, hota = idf1_and_hota(rows, objects, frames)
    first = _first_rows(objects, rows, match, hit[asked & right | ~asked], span_us[1])
    found = {
        "quality": quality(recall, precision, float(accuracy)),
        "recall": recall,
        "precision": precision,
        "band_accuracy": float(accuracy),
        "localisation_px": _median(distance[hit]),
        "speed_error": _median(off[moving] / true_speed[moving]),
        "heading_error_deg": _median(turned[moving]),
        "coverage": float((off <= rows.speed_err_px_s[hit])[stated].mean()) if stated.any() else math.nan,
        "idf1": idf1,
        "hota": hota,
        "false_tracks_per_10s": _false(rows.id[late], match[late] >= 0) / max(span_us[1] - span_us[0], 1) * 1e7,
        "first_row_ms": _median(first),
    }
    return {
        **{name: None if math.isnan(value) else round(value, 6) for name, value in found.items()},
        "first_rows_ms": [round(float(value), 3) for value in first],
        "rows": len(rows),
        "matched_rows": int(hit.size),
        "objects": len(objects),
    }


def quality(recall: float, precision: float, accuracy: float) -> float:
    """NaN without objects; 0 where nothing matches."""
    if math.isnan(recall):
        return math.nan
    both = recall + (0.0 if math.isnan(precision) else precision)
    if not both or not recall:
        return 0.0
    f1 = 2 * recall * precision / both if precision else 0.0
    return f1 * (1.0 if math.isnan(accuracy) else accuracy)


def bands_of(speed: Floats, edges: Floats) -> NDArray[np.int64]:
    band = np.searchsorted(edges, speed, side="right") - 1
    return np.where((band >= 0) & (band < edges.size - 1) & (speed == speed), band, -1)


def matched(rows: Table, objects: list[TrueObject]) -> tuple[NDArray[np.intp], Floats]:
    """Of each row: the number of the object that it matches, -1 for none, and the distance in px."""
    match, distance = np.full(len(rows), -1, np.intp), np.full(len(rows), np.nan)
    instants, of_row = np.unique(rows.t_us, return_inverse=True)
    row, number, away = (np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0))
    for k, item in enumerate(objects):
        x, y = item.place(instants)
        reach = np.where(item.here(instants), np.maximum(2.0, np.nan_to_num(item.at("radius_px", instants)) / 2), -1.0)
        gap = np.hypot(rows.x_px - x[of_row], rows.y_px - y[of_row])
        near = np.flatnonzero(gap <= reach[of_row])
        row, away = np.concatenate((row, near)), np.concatenate((away, gap[near]))
        number = np.concatenate((number, np.full(near.size, k)))
    taken: set[tuple[int, int]] = set()
    for i in np.argsort(away, kind="stable"):
        key = (int(of_row[row[i]]), int(number[i]))
        if match[row[i]] < 0 and key not in taken:
            taken.add(key)
            match[row[i]], distance[row[i]] = number[i], away[i]
    return match, distance


def _of_match(
    objects: list[TrueObject], rows: Table, match: NDArray[np.intp], hit: NDArray[np.intp], name: str
) -> Floats:
    values = np.full(len(rows), np.nan)
    for k in np.unique(match[hit]):
        own = hit[match[hit] == k]
        values[own] = objects[k].at(name, rows.t_us[own])
    return values[hit]


def _heading(objects: list[TrueObject], rows: Table, match: NDArray[np.intp], hit: NDArray[np.intp]) -> Floats:
    values = np.full(len(rows), np.nan)
    for k in np.unique(match[hit]):
        own = hit[match[hit] == k]
        values[own] = objects[k].heading(rows.t_us[own])
    return values[hit]


def _bands(band: NDArray[np.int64], speed: Floats, edges: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Of matching rows: whether the band is right, and whether that is asked."""
    near = (np.abs(speed[:, None] - edges) <= EDGE_SHARE * edges).any(axis=1)
    asked = ~near & ~np.isnan(speed)
    return asked & (band == bands_of(speed, edges)), asked


def _recall(rows: Table, objects: list[TrueObject], match: NDArray[np.intp]) -> tuple[int, int]:
    hits = steps = 0
    for k, item in enumerate(objects):
        t = np.arange(item.t_us[0] + SETTLE_US, item.t_us[-1] + 1, STEP_US)
        t = t[(item.travelled(t) >= START_PX) & item.due(t)]
        seen = rows.t_us[match == k]
        first = np.searchsorted(seen, t - STEP_US, side="left")
        steps, hits = steps + t.size, hits + int((np.searchsorted(seen, t + STEP_US, side="right") > first).sum())
    return hits, steps


def _first_rows(
    objects: list[TrueObject], rows: Table, match: NDArray[np.intp], good: NDArray[np.intp], stop_us: int
) -> Floats:
    first = []
    for k, item in enumerate(objects):
        seen = rows.t_us[good[match[good] == k]]
        last = seen[0] if seen.size else min(item.t_us[-1], stop_us)
        first.append((last - item.t_us[0]) / 1e3)
    return np.array(first, np.float64)


def _false(ids: NDArray[np.int64], good: NDArray[np.bool_]) -> int:
    _, number = np.unique(ids, return_inverse=True)
    return int((np.bincount(number, weights=good) < np.bincount(number) / 2).sum()) if ids.size else 0


def _median(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else math.nan
