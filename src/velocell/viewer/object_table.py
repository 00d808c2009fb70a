"""The table of objects and their paths, as the page draws them."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from velocell.data.tracks import Tracks
from velocell.results.objects import ObjectSummary, objects, rows_by_object
from velocell.results.plane import with_real_units
from velocell.viewer.pictures import plain
from velocell.viewer.run import Results

MOST_OBJECTS = 2_000
_MOST_POINTS = 12_000
_POINTS_EACH = 240


class ObjectTable:
    """What a page gets of the objects; made anew where results are, but at most this often with the same key."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._made: tuple[Any, Results | None, float, dict[str, Any]] = (None, None, 0.0, {})

    def of(self, results: Results | None, key: Any, size: tuple[int, int]) -> dict[str, Any]:
        """Objects, their paths, and the activity of the bands; size: (width, height) of the sensor."""
        made_key, made_of, made_s, made = self._made
        now = time.monotonic()
        if results is not made_of and not (made and made_key == key and now < made_s + self._every_s):
            made = {} if results is None else _shown(results, size)
            self._made = (key, results, now, made)
        return made


def _shown(results: Results, size: tuple[int, int]) -> dict[str, Any]:
    tracks, plane = results.tracks(), results.settings.plane
    found = objects(tracks)
    table = object_table(found)
    if plane is not None:
        mm = with_real_units(tracks, plane, size).extra["speed_mm_s"]
        speeds = {item.id: item.speed_px_s for item in objects(replace(tracks, speed_px_s=mm))}
        table = [{**row, "speed_mm": plain(speeds[row["id"]], 2)} for row in table]
    return {"objects": table, "paths": object_paths(tracks, found), "activity": results.activity.tolist()}


def object_table(found: list[ObjectSummary]) -> list[dict[str, Any]]:
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
            "off_band": item.off_band,
        }
        for item in chosen
    ]


def object_paths(tracks: Tracks, found: list[ObjectSummary]) -> list[dict[str, Any]]:
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
