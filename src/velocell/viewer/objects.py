"""The table of objects and their paths, from rows of tracks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.tracks import Tracks
from velocell.viewer.pictures import plain

MOST_OBJECTS = 2_000
_MOST_POINTS = 12_000
_POINTS_EACH = 240


def object_table(tracks: Tracks, bands: int) -> list[dict[str, Any]]:
    """One entry per object, ids rising: its commonest band and the medians of its figures.

    Of more than 2000 those with the most rows are listed.
    """
    if not len(tracks):
        return []
    ids, number, rows = np.unique(tracks.id, return_inverse=True, return_counts=True)
    order = np.argsort(number, kind="stable")
    first = np.concatenate([[0], np.cumsum(rows)[:-1]])
    votes = np.zeros((ids.size, bands + 1), np.int64)
    np.add.at(votes, (number, tracks.band + 1), 1)
    band = votes.argmax(axis=1) - 1
    medians = {
        name: _medians(getattr(tracks, name), number, rows)
        for name in ("speed_px_s", "speed_err_px_s", "radius_px", "confidence")
    }
    begins, ends = tracks.t_us[order][first], tracks.t_us[order][first + rows - 1]
    chosen = np.sort(np.argsort(-rows, kind="stable")[:MOST_OBJECTS])
    return [
        {
            "id": int(ids[k]),
            "band": int(band[k]),
            "speed": plain(medians["speed_px_s"][k], 1),
            "error": plain(medians["speed_err_px_s"][k], 1),
            "radius": plain(medians["radius_px"][k], 2),
            "confidence": plain(medians["confidence"][k], 2),
            "from_us": int(begins[k]),
            "to_us": int(ends[k]),
            "rows": int(rows[k]),
        }
        for k in chosen.tolist()
    ]


def _medians(values: NDArray[np.float64], number: NDArray[np.intp], rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """The lower median of each group; NaN sorts last and counts for nothing."""
    known = np.bincount(number, np.isfinite(values), rows.size).astype(np.intp)
    ordered = values[np.lexsort((values, number))]
    first = np.concatenate([[0], np.cumsum(rows)[:-1]])
    middle = ordered[first + np.maximum(known - 1, 0) // 2]
    return np.where(known > 0, middle, np.nan)


def object_paths(tracks: Tracks) -> list[dict[str, Any]]:
    """For the x-t plot: per object t_us, x and y, thinned so that all have 12 000 points at most."""
    order = np.argsort(tracks.id, kind="stable")
    groups = [g for g in np.split(order, np.flatnonzero(np.diff(tracks.id[order])) + 1) if g.size]
    each = max(2, min(_POINTS_EACH, _MOST_POINTS // max(len(groups), 1)))
    paths = []
    for rows in groups[:MOST_OBJECTS]:
        if rows.size > each:
            rows = rows[np.linspace(0, rows.size - 1, each).astype(np.intp)]
        paths.append(
            {
                "id": int(tracks.id[rows[0]]),
                "t": tracks.t_us[rows].tolist(),
                "x": np.round(tracks.x_px[rows], 1).tolist(),
                "y": np.round(tracks.y_px[rows], 1).tolist(),
                "band": int(np.bincount(tracks.band[rows] + 1).argmax()) - 1,
            }
        )
    return paths
