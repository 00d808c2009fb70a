"""The table of objects and their paths, as the page draws them."""

from __future__ import annotations

from typing import Any

import numpy as np

from velocell.data.tracks import Tracks
from velocell.results.objects import Found, rows_by_object
from velocell.viewer.pictures import plain

MOST_OBJECTS = 2_000
_MOST_POINTS = 12_000
_POINTS_EACH = 240


def object_table(found: list[Found]) -> list[dict[str, Any]]:
    """One entry per object; of more than 2000 those with the most rows are listed."""
    chosen = sorted(sorted(found, key=lambda item: -item.rows)[:MOST_OBJECTS], key=lambda item: item.id)
    return [
        {
            "id": item.id,
            "band": item.band,
            "speed": plain(item.speed_px_s, 1),
            "error": plain(item.speed_err_px_s, 1),
            "radius": plain(item.radius_px, 2),
            "confidence": plain(item.confidence, 2),
            "from_us": item.first_us,
            "to_us": item.last_us,
            "rows": item.rows,
        }
        for item in chosen
    ]


def object_paths(tracks: Tracks, found: list[Found]) -> list[dict[str, Any]]:
    """For the x-t plot: per object t_us, x and y, thinned so that all have 12 000 points at most."""
    each = max(2, min(_POINTS_EACH, _MOST_POINTS // max(len(found), 1)))
    paths = []
    for item, rows in zip(found[:MOST_OBJECTS], rows_by_object(tracks), strict=False):
        kept = rows if rows.size <= each else rows[np.linspace(0, rows.size - 1, each).astype(np.intp)]
        paths.append(
            {
                "id": item.id,
                "t": tracks.t_us[kept].tolist(),
                "x": np.round(tracks.x_px[kept], 1).tolist(),
                "y": np.round(tracks.y_px[kept], 1).tolist(),
                "band": item.band,
            }
        )
    return paths
