"""Tracks for other tools: MOTChallenge text and COCO JSON.

Both speak of frames and boxes. Frames count from an origin, the recording's own start, so that the truth and the
tracks of one recording have the same frames, wherever their first rows are. A frame is an instant of the table's own
interval (of a simulated truth, which is finer, that of the usual reports), or, at a wanted frame rate, a multiple of
its period after the origin, where positions are interpolated. The box is the square around the disk. Here pixel
centres lie at integers; there the left border of the first pixel is 0 (COCO) or 1 (MOTChallenge), and that format
counts frames and ids from 1 too: its id is ours + 1.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.data.files import replacing
from velocell.data.meta import recording_name, recording_span, sensor_size, stated_band_names
from velocell.data.tables import COLUMNS, joined_columns
from velocell.data.tracks import Tracks
from velocell.data.units import format_time
from velocell.errors import OptionError, TableError
from velocell.results.objects import rows_by_object

SUFFIXES = (".txt", ".json")
FRAME_US = 5_000  # the usual reporting interval
_AWAY = 3  # reporting intervals without a row: nothing is interpolated in between


@dataclass(frozen=True, eq=False)
class Frames:
    """Rows by frame. frame: (n,) from 0; rows: of those frames, in their order; fps, start_us: frame k is at
    start_us + k / fps; count: frames up to the last row; origin_us: from where they count, at most one frame before
    start_us; before: rows of the table that lie before it and are left out."""

    frame: NDArray[np.int64]
    rows: Tracks
    fps: float
    start_us: int
    count: int
    origin_us: int
    before: int = 0


def frames_of(
    tracks: Tracks, fps: float | None = None, origin_us: int | None = None, like: Frames | None = None
) -> Frames:
    """Cut a table into frames: at its own interval, at `fps` frames per second, or into the same ones as `like`.

    origin_us: where frame 0 begins, on the recording's clock; the start of the recording, where the table states it, or
    else its first row. Raises TableError for an empty table, objects without a radius, several recordings in one
    table, no rows after the origin and, without a rate, instants that are not evenly spaced; OptionError for a rate
    that is not above 0 and for an origin after the recording's end.
    """
    if fps is not None and not (np.isfinite(fps) and fps > 0):
        raise OptionError(f"--fps must be above 0, got {fps:g}")
    _check(tracks)
    span = recording_span(tracks.meta)
    start, stop = span or (int(tracks.t_us[0]), int(tracks.t_us[-1]))
    origin = start if origin_us is None else origin_us
    if origin > stop:
        raise OptionError(
            f"the origin, {format_time(origin)}, lies after the end of the recording, {format_time(stop)}; "
            "give an earlier --origin, on the recording's clock"
        )
    late = tracks.where(tracks.t_us >= origin)
    if not len(late):
        raise TableError(f"the table has no rows from the origin {format_time(origin)} on; give an earlier --origin")
    before = len(tracks) - len(late)
    steps = np.diff(np.unique(late.t_us))
    own_us = FRAME_US if _is_fine_truth(tracks) else None
    if like is not None:
        first, rate = like.start_us, like.fps
    elif fps is not None:
        first, rate = origin, fps
    elif own_us is not None:
        first, rate = -(-origin // own_us) * own_us, 1e6 / own_us
    elif steps.size and not (steps % steps.min()).any():
        step = int(steps.min())
        first = origin + (int(late.t_us[0]) - origin) % step
        frame = (late.t_us - first) // step
        return Frames(frame, late, 1e6 / step, first, int(frame[-1]) + 1, origin, before)
    else:
        raise TableError("the instants of the table are not evenly spaced; give the frame rate with --fps")
    away_us = _AWAY * float(np.median(steps)) if steps.size else 0.0
    frame, rows = _resampled(late, rate, first, away_us)
    if not len(rows):
        raise TableError(f"no object has rows on both sides of a frame at {rate:g} frames/s; give a higher rate")
    return Frames(frame, rows, rate, first, int(frame.max()) + 1, origin, before)


def check_same_recording(tracks: Tracks, truth: Tracks) -> None:
    """Raise TableError for two tables that cannot be of one recording: of other sensors, names, or times."""
    spans = [f"{table.t_us[0]} to {table.t_us[-1]} us" if len(table) else "" for table in (tracks, truth)]
    apart = all(spans) and (tracks.t_us[0] > truth.t_us[-1] or truth.t_us[0] > tracks.t_us[-1])
    sizes = ["{}x{} px".format(*size) if (size := sensor_size(table.meta)) else "" for table in (tracks, truth)]
    names = [recording_name(table.meta) for table in (tracks, truth)]
    for one, other in (sizes, names, spans if apart else ("", "")):
        if one and other and one != other:
            raise TableError(f"the tables are of two recordings, {one} and {other}; give those of one recording")


def _check(tracks: Tracks) -> None:
    if not len(tracks):
        raise TableError("the table has no rows; there is nothing to export")
    if np.unique(tracks.extra.get("file", [])).size > 1:
        raise TableError("the table holds the objects of several files; detect and export them one by one")
    unknown = ~(np.isfinite(tracks.x_px) & np.isfinite(tracks.y_px) & (tracks.radius_px > 0))
    if unknown.any():
        raise TableError(
            f"{int(unknown.sum())} rows have no position or radius, the first at {tracks.t_us[np.argmax(unknown)]} us; "
            "boxes need both"
        )


def _is_fine_truth(tracks: Tracks) -> bool:
    """Whether a simulated truth has rows more often than there are usual reports."""
    steps = np.diff(np.unique(tracks.t_us))
    return bool("scene" in tracks.meta and steps.size and steps.min() < FRAME_US)


def write_mot(
    path: str | Path,
    tracks: Tracks,
    *,
    fps: float | None = None,
    origin_us: int | None = None,
    like: Frames | None = None,
    velocell: str = "",
) -> Frames:
    """MOTChallenge: a line `frame,id,left,top,width,height,confidence,-1,-1,-1` per object and frame.

    The side file PATH.meta.json states the frame rate, the origin, the time of frame 1 and where the table came
    from. fps, origin_us, like: as in `frames_of`. Raises TableError, OptionError.
    """
    cut = frames_of(tracks, fps, origin_us, like)
    rows = cut.rows
    side = 2 * rows.radius_px
    left, top = rows.x_px - rows.radius_px + 1.5, rows.y_px - rows.radius_px + 1.5
    confidence = np.where(np.isnan(rows.confidence), 1.0, rows.confidence)
    columns = [values.tolist() for values in (cut.frame + 1, rows.id + 1, left, top, side, side, confidence)]
    meta = {"velocell": velocell, "format": "MOTChallenge", **_timing(cut), "tracks": tracks.meta}
    with replacing(path) as part, replacing(f"{path}.meta.json") as beside:
        with part.open("w", encoding="ascii", newline="") as handle:
            for frame, name, *box, sure in zip(*columns, strict=True):
                handle.write(f"{frame},{name},{','.join(f'{value:.3f}' for value in box)},{sure:.3f},-1,-1,-1\n")
        beside.write_text(json.dumps(meta, indent=2) + "\n", encoding="utf-8")
    return cut


def write_coco(
    path: str | Path,
    tracks: Tracks,
    *,
    size: tuple[int, int] | None = None,
    fps: float | None = None,
    origin_us: int | None = None,
    like: Frames | None = None,
    bands: Sequence[str] | None = None,
    velocell: str = "",
) -> Frames:
    """COCO: one image per frame, one annotation per object in it (`track_id` is our id), bands as categories.

    size: (width, height) of the sensor, bands: their names; both are taken from the table's meta data
    where it has them. Category k + 1 is band k, the last one "outside". fps, origin_us, like: as in `frames_of`.
    Raises TableError, OptionError.
    """
    width, height = size or _size(tracks.meta)
    cut = frames_of(tracks, fps, origin_us, like)
    rows = cut.rows
    most = int(rows.band.max()) + 1
    names = list(bands if bands is not None else stated_band_names(tracks.meta) or [f"band {k}" for k in range(most)])
    if len(names) < most:
        raise TableError(f"the table uses band {most - 1}, but only {len(names)} bands are named; name all of them")
    images = [
        {
            "id": k + 1, "video_id": 1, "frame_id": k, "file_name": f"{k + 1:06d}.png", "width": width,
            "height": height, "t_us": round(cut.start_us + k * 1e6 / cut.fps),
        }
        for k in range(cut.count)
    ]  # fmt: skip
    side = 2 * rows.radius_px
    boxes = np.column_stack((rows.x_px - rows.radius_px + 0.5, rows.y_px - rows.radius_px + 0.5, side, side))
    category = np.where(rows.band < 0, len(names), rows.band) + 1
    score = np.where(np.isnan(rows.confidence), 1.0, rows.confidence)
    columns = (cut.frame + 1, category, rows.id, score.round(3), boxes.round(3))
    annotations = [
        {
            "id": number, "image_id": image, "category_id": kind, "track_id": name, "bbox": box,
            "area": round(box[2] * box[3], 3), "iscrowd": 0, "score": sure,
        }
        for number, (image, kind, name, sure, box) in enumerate(zip(*(c.tolist() for c in columns), strict=True), 1)
    ]  # fmt: skip
    table = {
        "info": {"description": "tracks of velocell", "velocell": velocell, **_timing(cut), "tracks": tracks.meta},
        "videos": [{"id": 1, "name": Path(path).stem, "width": width, "height": height, "fps": cut.fps}],
        "images": images,
        "annotations": annotations,
        "categories": [{"id": k, "name": name} for k, name in enumerate([*names, "outside"], 1)],
    }
    with replacing(path) as part, part.open("w", encoding="utf-8") as handle:
        json.dump(table, handle)
        handle.write("\n")
    return cut


def _timing(cut: Frames) -> dict[str, Any]:
    return {"fps": cut.fps, "origin_us": cut.origin_us, "first_frame_us": cut.start_us, "frames": cut.count}


def _resampled(tracks: Tracks, fps: float, start_us: int, away_us: float) -> tuple[NDArray[np.int64], Tracks]:
    """Frame numbers and rows at the frames' times, from `start_us` on; floats are interpolated, the rest is of the row
    before."""
    parts = []
    for rows in rows_by_object(tracks):
        since = (tracks.t_us[rows] - start_us).astype(np.float64)
        frame = np.arange(max(np.ceil(since[0] * fps / 1e6 - 1e-9), 0), np.floor(since[-1] * fps / 1e6 + 1e-9) + 1)
        at = frame * 1e6 / fps
        before = np.maximum(np.searchsorted(since, at, side="right") - 1, 0)
        after = np.minimum(before + 1, rows.size - 1)
        near = (since[after] - since[before] <= away_us) | (at - since[before] < 1)
        columns: dict[str, NDArray[Any]] = {}
        for name in COLUMNS:
            values = getattr(tracks, name)[rows]
            columns[name] = (np.interp(at, since, values) if values.dtype.kind == "f" else values[before])[near]
        columns["t_us"] = np.rint(start_us + at[near]).astype(np.int64)
        columns["frame"] = frame[near].astype(np.int64)
        parts.append(columns)
    table = Tracks.from_columns(joined_columns(parts))
    return table.extra["frame"], table


def _size(meta: dict[str, Any]) -> tuple[int, int]:
    size = sensor_size(meta)
    if size is None:
        raise TableError("the table does not state the size of the sensor; give --size WxH")
    return size
