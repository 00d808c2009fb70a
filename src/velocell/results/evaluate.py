"""Tracks (and spikes) against the truth, by the contract's scoring.

A row matches the nearest true object within max(2 px, R/2) at its own time; at one instant an object
takes one row, the nearest, and further rows on it are false. The truth is interpolated linearly between
its samples. A sample stands for the time up to the next one, so that an object lives until one
sample after its last; longer pauses of the samples (an object out of sight) are not part of its life.

Where a figure has nothing to be computed from it is NaN (null in JSON): recall without true objects,
errors without matches. The precision of an empty table is 1: nothing false was said.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from velocell.data.arrays import Floats
from velocell.data.bands import band_of
from velocell.data.meta import recording_span
from velocell.data.spikes import Spikes
from velocell.data.tracks import Tracks
from velocell.errors import OptionError, TableError
from velocell.results.exports import frames_of
from velocell.results.mot import NO_FIGURES, MotFigures, mot_figures
from velocell.results.objects import rows_by_object
from velocell.results.scores import Scores

SETTLE_US = 30_000  # rows and steps before this are not held against a detector
STEP_US = 10_000  # recall is asked every 10 ms, with 10 ms of tolerance
START_TRAVEL_PX = 2.0  # an object that has not moved cannot have been seen
PURITY_FROM_US = 100_000
_PAUSE_SAMPLES = 10  # samples further apart than so many usual intervals: the object was away
_SPEED_WINDOW_US = 10_000  # a speed that the truth lacks comes from the path this far to both sides


def evaluate(
    tracks: Tracks,
    truth: Tracks,
    band_edges: Sequence[float],
    *,
    spikes: Spikes | None = None,
    edge_margin: float = 0.10,
) -> Scores:
    """Score `tracks` (and the final layer of `spikes`) against `truth`.

    band_edges: N + 1 rising speeds in px/s. edge_margin: band accuracy leaves out rows of objects whose
    true speed is within this share of an edge. Raises TableError for positions that are not finite, tables
    that share no time, an object that appears twice in the truth at one time, and bands that the edges do not have;
    OptionError for edges that do not rise.
    """
    edges = _check_edges(band_edges)
    bands = edges.size - 1
    _check_tables(tracks, truth, bands)
    objects = _objects(truth)
    start_us = int(truth.t_us[0]) if len(truth) else 0
    match, distance = _match(tracks, objects)
    hit = np.flatnonzero(match >= 0)
    true_speed = _at_rows(objects, tracks.t_us[hit], match[hit], _Object.speed)
    settled = tracks.t_us > start_us + SETTLE_US
    hits, steps = _recall(tracks, objects, match)
    confusion = _confusion(tracks.band[hit], true_speed, edges, edge_margin)
    switches, ids = _identities(tracks, objects, match)
    boxes = _mot(tracks, truth)
    errors = distance[hit]
    relative = np.abs(tracks.speed_px_s[hit] - true_speed)[true_speed > 0] / true_speed[true_speed > 0]
    turned = tracks.heading_deg[hit] - _at_rows(objects, tracks.t_us[hit], match[hit], _Object.heading)
    return Scores(
        recall=hits / steps if steps else math.nan,
        precision=_precision(match, settled),
        band_accuracy=float(np.trace(confusion) / confusion.sum()) if confusion.any() else math.nan,
        confusion=tuple(tuple(int(n) for n in row) for row in confusion),
        purity=() if spikes is None else _purity(spikes, objects, edges, start_us + PURITY_FROM_US),
        localisation_median_px=_median(errors),
        localisation_rms_px=float(np.sqrt(np.mean(errors**2))) if errors.size else math.nan,
        speed_error_median=_median(relative),
        heading_error_median_deg=_median(np.abs((turned + 180.0) % 360.0 - 180.0)),
        id_switches=sum(switches.values()),
        switches_per_object=switches,
        ids_per_object=ids,
        fragmentations=boxes.fragmentations,
        mota=boxes.mota,
        idf1=boxes.idf1,
        hota=boxes.hota,
        false_tracks=_false_tracks(tracks.id[settled], match[settled] >= 0),
        rows=len(tracks),
        matched_rows=int(hit.size),
        scored_rows=int(settled.sum()),
        objects=len(objects),
        steps=steps,
    )


class _Object:
    """One object of the truth, to be asked at any times (n,)."""

    def __init__(self, truth: Tracks, rows: NDArray[np.intp]) -> None:
        self.id = int(truth.id[rows[0]])
        self.t_us, self.x, self.y = truth.t_us[rows], truth.x_px[rows], truth.y_px[rows]
        self.radius_px, self.heading_deg = truth.radius_px[rows], truth.heading_deg[rows]
        self.interval = float(np.median(np.diff(self.t_us))) if rows.size > 1 else 1.0
        self.path = np.concatenate(([0.0], np.cumsum(np.hypot(np.diff(self.x), np.diff(self.y)))))
        self.speed_px_s = self._speeds(truth.speed_px_s[rows])

    def here(self, t_us: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the object exists at these times."""
        before = np.searchsorted(self.t_us, t_us, side="right") - 1
        left = self.t_us[np.maximum(before, 0)]
        right = self.t_us[np.minimum(before + 1, self.t_us.size - 1)]
        away = (right - left > _PAUSE_SAMPLES * self.interval) & (t_us - left >= self.interval)
        return np.asarray((before >= 0) & (t_us < self.t_us[-1] + self.interval) & ~away)

    def position(self, t_us: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Where the object is; past its last sample it goes straight on."""
        x, y = np.interp(t_us, self.t_us, self.x), np.interp(t_us, self.t_us, self.y)
        if self.t_us.size > 1:
            late = np.maximum(t_us - self.t_us[-1], 0) / (self.t_us[-1] - self.t_us[-2])
            x, y = x + late * (self.x[-1] - self.x[-2]), y + late * (self.y[-1] - self.y[-2])
        return x, y

    def radius(self, t_us: NDArray[np.int64]) -> Floats:
        """Radius in px, 0 where the truth has none."""
        return np.nan_to_num(np.interp(t_us, self.t_us, self.radius_px), nan=0.0)

    def speed(self, t_us: NDArray[np.int64]) -> Floats:
        return np.interp(t_us, self.t_us, self.speed_px_s)

    def heading(self, t_us: NDArray[np.int64]) -> Floats:
        """That of the last sample: angles do not interpolate, and a bounce turns at once."""
        return self.heading_deg[np.maximum(np.searchsorted(self.t_us, t_us, side="right") - 1, 0)]

    def travelled(self, t_us: NDArray[np.int64]) -> Floats:
        """Length of the path since the first sample, px."""
        return np.interp(t_us, self.t_us, self.path)

    def _speeds(self, stated: Floats) -> Floats:
        """The table's speeds; where one is missing, it follows from the path over 10 ms to both sides."""
        missing = np.isnan(stated)
        if self.t_us.size < 2 or not missing.any():
            return stated
        t, reach = self.t_us.astype(np.float64), max(_SPEED_WINDOW_US, self.interval)
        low, high = np.maximum(t - reach, t[0]), np.minimum(t + reach, t[-1])
        derived = (np.interp(high, t, self.path) - np.interp(low, t, self.path)) / (high - low) * 1e6
        return np.where(missing, derived, stated)


def _objects(truth: Tracks) -> list[_Object]:
    """The truth, object by object, ids rising."""
    return [_Object(truth, rows) for rows in rows_by_object(truth)]


def _match(tracks: Tracks, objects: list[_Object]) -> tuple[NDArray[np.intp], Floats]:
    """For each row: index of the object it matches (-1 for none), and the distance in px."""
    n = len(tracks)
    best, index = np.full(n, np.inf), np.full(n, -1, np.intp)
    # Many rows share an instant: ask the truth once for each.
    instants, of_row = np.unique(tracks.t_us, return_inverse=True)
    for number, item in enumerate(objects):
        alive = np.flatnonzero(item.here(instants)[of_row])
        x, y = item.position(instants)
        reach = np.maximum(2.0, item.radius(instants) / 2)
        at = of_row[alive]
        distance = np.hypot(tracks.x_px[alive] - x[at], tracks.y_px[alive] - y[at])
        closer = (distance <= reach[at]) & (distance < best[alive])
        rows = alive[closer]
        best[rows], index[rows] = distance[closer], number
    order = np.lexsort((best, index, of_row))
    same = (np.diff(of_row[order]) == 0) & (np.diff(index[order]) == 0)
    index[order[1:][same]] = -1
    return index, best


def _at_rows(
    objects: list[_Object],
    t_us: NDArray[np.int64],
    index: NDArray[np.intp],
    what: Callable[[_Object, NDArray[np.int64]], Floats],
) -> Floats:
    """`what` of object index[i] at t_us[i]."""
    values = np.full(t_us.size, np.nan)
    for number in np.unique(index):
        rows = index == number
        values[rows] = what(objects[number], t_us[rows])
    return values


def _precision(match: NDArray[np.intp], settled: NDArray[np.bool_]) -> float:
    if not match.size:
        return 1.0
    return float((match[settled] >= 0).mean()) if settled.any() else math.nan


def _recall(tracks: Tracks, objects: list[_Object], match: NDArray[np.intp]) -> tuple[int, int]:
    hits = steps = 0
    for number, item in enumerate(objects):
        first, last = int(item.t_us[0]), int(item.t_us[-1])
        t = np.arange(first + SETTLE_US, last + 1, STEP_US)
        t = t[(item.travelled(t) >= START_TRAVEL_PX) & item.here(t)]
        seen = tracks.t_us[match == number]
        steps += t.size
        from_, to = np.searchsorted(seen, t - STEP_US, side="left"), np.searchsorted(seen, t + STEP_US, side="right")
        hits += int((to > from_).sum())
    return hits, steps


def _confusion(predicted: NDArray[np.int32], speed: Floats, edges: Floats, margin: float) -> NDArray[np.int64]:
    """Counts (N + 1, N + 1), rows = true band, columns = predicted band, last = outside."""
    bands = edges.size - 1
    near = (np.abs(speed[:, None] - edges) <= margin * edges).any(axis=1)
    keep = ~near & ~np.isnan(speed)
    true = band_of(speed[keep], edges) % (bands + 1)
    counts = np.zeros((bands + 1, bands + 1), np.int64)
    np.add.at(counts, (true, predicted[keep] % (bands + 1)), 1)
    return counts


def _identities(
    tracks: Tracks, objects: list[_Object], match: NDArray[np.intp]
) -> tuple[dict[int, int], dict[int, int]]:
    """Changes of id, and number of different ids, by true id."""
    switches, ids = {}, {}
    for number, item in enumerate(objects):
        seen = tracks.id[match == number]
        switches[item.id] = int((np.diff(seen) != 0).sum())
        ids[item.id] = int(np.unique(seen).size)
    return switches, ids


def _mot(tracks: Tracks, truth: Tracks) -> MotFigures:
    """Over the frames that both would be exported in, from the first row of either or an earlier start on."""
    if not len(truth):
        return NO_FIGURES
    if not len(tracks):
        return MotFigures(0.0, 0.0, 0.0, 0, 0)
    starts = [int(table.t_us[0]) for table in (tracks, truth)]
    starts += [span[0] for table in (tracks, truth) if (span := recording_span(table.meta))]
    try:
        told = frames_of(tracks, origin_us=min(starts))
        return mot_figures(told, frames_of(truth, like=told))
    except TableError:  # no radii, or uneven times
        return NO_FIGURES


def _false_tracks(ids: NDArray[np.int32], matched: NDArray[np.bool_]) -> int:
    names, index = np.unique(ids, return_inverse=True)
    good, rows = np.bincount(index, weights=matched, minlength=names.size), np.bincount(index, minlength=names.size)
    return int((good < rows / 2).sum())


def _purity(spikes: Spikes, objects: list[_Object], edges: Floats, from_us: int) -> tuple[float | None, ...]:
    """Share of each final channel's spikes near an object whose speed lies in the channel's band."""
    bands = edges.size - 1
    final = spikes.final()
    late = final.t_us > from_us
    t_us, x, y, channel = final.t_us[late], final.x[late], final.y[late], final.channel[late]
    pure = np.zeros(t_us.size, np.bool_)
    instants, of_spike = np.unique(t_us, return_inverse=True)
    for item in objects:
        band = np.where(item.here(instants), band_of(item.speed(instants), edges), -1)
        cx, cy = item.position(instants)
        reach = np.maximum(3.0, item.radius(instants) / 2)
        rows = np.flatnonzero(~pure & (band[of_spike] == channel))
        at = of_spike[rows]
        pure[rows] = np.hypot(x[rows] - cx[at], y[rows] - cy[at]) <= reach[at]
    return tuple(float(pure[channel == k].mean()) if (channel == k).any() else None for k in range(bands))


def _check_edges(band_edges: Sequence[float]) -> Floats:
    edges = np.asarray(band_edges, np.float64)
    rising = (
        edges.ndim == 1 and edges.size >= 2 and bool(np.all(np.isfinite(edges))) and bool(np.all(np.diff(edges) > 0))
    )
    if not rising or edges[0] < 0:
        raise OptionError(
            f"bands {','.join(f'{edge:g}' for edge in edges.ravel())} must be at least two rising speeds in px/s, "
            "such as 16,62,177,500"
        )
    return edges


def _check_tables(tracks: Tracks, truth: Tracks, bands: int) -> None:
    for name, table in (("tracks", tracks), ("truth", truth)):
        bad = ~(np.isfinite(table.x_px) & np.isfinite(table.y_px))
        if bad.any():
            row = int(np.argmax(bad))
            raise TableError(f"{int(bad.sum())} rows of the {name} have no position, the first at {table.t_us[row]} us")
    if len(tracks) and len(truth) and (tracks.t_us[0] > truth.t_us[-1] or tracks.t_us[-1] < truth.t_us[0]):
        raise TableError(
            f"the tracks are from {tracks.t_us[0]} to {tracks.t_us[-1]} us and the truth from {truth.t_us[0]} to "
            f"{truth.t_us[-1]} us; give the truth of the same recording"
        )
    wrong = (tracks.band < -1) | (tracks.band >= bands)
    if wrong.any():
        raise TableError(
            f"the tracks use band {int(tracks.band[wrong][0])}, but there are {bands} bands, 0 to {bands - 1}; "
            "give the bands they were made with"
        )
    twice = (np.diff(truth.t_us) == 0) & (np.diff(truth.id) == 0)
    if twice.any():
        row = int(np.argmax(twice))
        raise TableError(
            f"object {truth.id[row]} appears twice in the truth at {truth.t_us[row]} us; keep one row of it"
        )


def _median(values: Floats) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else math.nan
