"""`objects.csv`: a table of tracks with one row for each object."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.data.files import replacing
from velocell.data.tables import COLUMNS, as_text
from velocell.data.tracks import Tracks
from velocell.results.counting import Line, crossings
from velocell.results.objects import objects

Columns = dict[str, NDArray[Any]]


def object_table(tracks: Tracks, lines: Sequence[Line] = ()) -> Columns:
    """Columns of one entry for each object, ids rising.

    id; name, where the table has names; first_us, last_us; rows; path_px: the way it went, the integral of its speed
    (the sum of steps between positions would add up their jitter); speed_px_s: path over time, the mean speed, and
    speed_err_px_s: the root mean square of its rows' errors, since these share events and do not average out; band:
    the commonest; radius_px, confidence: medians; heading_deg: the mean, NaN of one that turned; path_mm and
    speed_mm_s in the table's real units, where it has them; crossings_0 and so on: how often it crossed each line.
    """
    found = objects(tracks)
    ids = np.array([each.id for each in found], np.int32)
    number = np.searchsorted(ids, tracks.id)
    order = np.lexsort((tracks.t_us, number))
    t_us, which = tracks.t_us[order], number[order]
    path, duration_s = _integral(tracks.speed_px_s[order], t_us, which, ids.size)
    columns: Columns = {"id": ids}
    if "name" in tracks.extra:
        first_rows = np.searchsorted(which, np.arange(ids.size))
        columns["name"] = tracks.extra["name"][order][first_rows]
    medians = {name: np.array([getattr(each, name) for each in found], np.float64) for name in _SUMMARISED}
    columns |= {
        "first_us": np.array([each.first_us for each in found], np.int64),
        "last_us": np.array([each.last_us for each in found], np.int64),
        "rows": np.array([each.rows for each in found], np.int64),
        "path_px": path,
        "speed_px_s": _mean(path, duration_s, medians["speed_px_s"]),
        "speed_err_px_s": _root_mean_square(tracks.speed_err_px_s[order], which, ids.size),
        "heading_deg": medians["heading_deg"],
        "band": np.array([each.band for each in found], np.int32),
        "radius_px": medians["radius_px"],
        "confidence": medians["confidence"],
    }
    if "speed_mm_s" in tracks.extra:
        speeds = np.asarray(tracks.extra["speed_mm_s"], np.float64)[order]
        columns["path_mm"], duration_s = _integral(speeds, t_us, which, ids.size)
        columns["speed_mm_s"] = _mean(
            columns["path_mm"], duration_s, speeds[np.searchsorted(which, np.arange(ids.size))]
        )
    counted = Counter((crossing.line, crossing.id) for crossing in crossings(tracks, lines)) if lines else Counter()
    for line in range(len(lines)):
        columns[f"crossings_{line}"] = np.array([counted[line, int(id_)] for id_ in ids], np.int64)
    return columns


def write_objects(path: str | Path, tracks: Tracks, lines: Sequence[Line] = ()) -> int:
    """The same as CSV with a header line, missing values empty; how many objects there are. Raises VelocellError."""
    columns = object_table(tracks, lines)
    with replacing(path) as part, part.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*(_texts(name, values) for name, values in columns.items()), strict=True))
    return len(columns["id"])


_SUMMARISED = ("speed_px_s", "heading_deg", "radius_px", "confidence")


def _texts(name: str, values: NDArray[Any]) -> list[str]:
    """Lengths with as many digits as the positions they are made of."""
    return as_text(name if name in COLUMNS else "x_px", values)


def _integral(
    speed: NDArray[np.float64], t_us: NDArray[np.int64], which: NDArray[np.intp], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each object's speed over time, by the trapezoidal rule between its rows that have one; and over what time."""
    known = np.isfinite(speed)
    speed, t_us, which = speed[known], t_us[known], which[known]
    inside = which[1:] == which[:-1]
    step_s = np.where(inside, np.diff(t_us) / 1e6, 0.0)
    between = (speed[1:] + speed[:-1]) / 2
    path = np.bincount(which[1:], between * step_s, count).astype(np.float64)
    return path, np.bincount(which[1:], step_s, count).astype(np.float64)


def _mean(
    path: NDArray[np.float64], duration_s: NDArray[np.float64], single: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Of an object with one row its own speed."""
    return np.where(duration_s > 0, path / np.where(duration_s > 0, duration_s, 1.0), single)


def _root_mean_square(values: NDArray[np.float64], which: NDArray[np.intp], count: int) -> NDArray[np.float64]:
    known = np.isfinite(values)
    among = np.bincount(which[known], minlength=count)
    squares = np.bincount(which[known], values[known] ** 2, count)
    return np.where(among > 0, np.sqrt(squares / np.maximum(among, 1)), np.nan)
