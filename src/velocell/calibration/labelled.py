"""What labelled paths tell of a recording: stretches of travel with a speed and the band they belong to,
the radius of the objects, and the share of their edge crossings that arrives.

Labels are a Tracks table: t_us, id, x_px, y_px, and speed_px_s or band or neither. A speed decides; where
there is none, the band does; where there is neither, the path tells the speed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from velocell.data.arrays import Floats
from velocell.data.bands import Bands
from velocell.data.history import pixel_history
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.data.tracks import Tracks
from velocell.errors import TableError
from velocell.results.objects import rows_by_object
from velocell.tracking.rules import ANSWER_SPIKES, DEFAULTS

STRETCH_PX = DEFAULTS.vote_memory_px  # the travel over which a detection takes its votes
_LEAD_PX = 4.0  # travel before anything can answer
_PAUSE = 10  # rows further apart than so many usual intervals: the object was away
_BIN_PX = 0.25
_FEWEST_EVENTS = 30


@dataclass(frozen=True, eq=False)
class Path:
    """One object's way without a pause; arrays (n,). travel: px since its start. radius: labelled, or NaN."""

    t_us: NDArray[np.int64]
    x: Floats
    y: Floats
    travel: Floats
    radius: float


@dataclass(frozen=True, eq=False)
class Stretches:
    """Pieces of STRETCH_PX of the labelled paths; arrays (n,).

    path: index of its path. speed: px/s along it. target: the band it belongs to, -1 below the lowest edge,
    N above the highest. clear: not near an edge. weight: every path weighs the same.
    """

    paths: list[Path]
    path: NDArray[np.intp]
    speed: Floats
    target: NDArray[np.intp]
    clear: NDArray[np.bool_]
    weight: Floats


def prepared(labels: Tracks, recording: Recording, bands: Bands) -> Tracks:
    """The labels as a truth for this recording: its time only, a speed in every row where one follows.

    Raises TableError where labels and recording cannot belong together.
    """
    if not len(labels):
        raise TableError("the labels are empty; label at least one object's way")
    if not (np.isfinite(labels.x_px) & np.isfinite(labels.y_px)).all():
        raise TableError("some labels have no position; give x_px and y_px in every row")
    if labels.band.max() >= len(bands):
        raise TableError(
            f"the labels tell band {labels.band.max()}, but there are {len(bands)} bands, 0 to {len(bands) - 1}; "
            "label with the bands asked for"
        )
    within = labels.where((labels.t_us >= recording.start_us) & (labels.t_us < recording.stop_us))
    if not len(within):
        raise TableError(
            f"the labels are from {labels.t_us[0]} to {labels.t_us[-1]} us and the recording from "
            f"{recording.start_us} to {recording.stop_us} us; give the labels of the same recording"
        )
    inside = (within.x_px > -0.5) & (within.x_px < recording.width - 0.5)
    inside &= (within.y_px > -0.5) & (within.y_px < recording.height - 0.5)
    if inside.mean() < 0.5:
        raise TableError(
            f"most labels lie outside the {recording.width}x{recording.height} sensor; give x_px and y_px in its pixels"
        )
    middle = np.sqrt(np.array(bands.edges[:-1]) * np.array(bands.edges[1:]))
    named = np.isnan(within.speed_px_s) & (within.band >= 0)
    return replace(within, speed_px_s=np.where(named, middle[within.band], within.speed_px_s))


def stretches(truth: Tracks, bands: Bands, near: float = 0.10) -> Stretches:
    """The paths of a truth table, cut into stretches. near: share of an edge within which a speed belongs to
    neither side. Raises TableError where there is none whose band is known."""
    paths: list[Path] = []
    of_path: list[int] = []
    speed: list[float] = []
    wanted: list[float] = []
    for rows in _pieces(truth):
        path = _path(truth, rows)
        begins = np.arange(_LEAD_PX, path.travel[-1] - STRETCH_PX + 1e-9, STRETCH_PX)
        if not begins.size:
            continue
        t_us = np.interp([begins, begins + STRETCH_PX], path.travel, path.t_us)
        along = STRETCH_PX * 1e6 / np.maximum(t_us[1] - t_us[0], 1)
        # Interpolation passes missing speeds on.
        told = np.interp(t_us.mean(axis=0), path.t_us, truth.speed_px_s[rows])
        of_path += [len(paths)] * begins.size
        speed += along.tolist()
        wanted += np.where(np.isnan(told), along, told).tolist()
        paths.append(path)
    edges, value = np.array(bands.edges), np.array(wanted)
    if not paths:
        raise TableError(
            f"no labelled object moves for {_LEAD_PX + STRETCH_PX:g} px, so that the labels tell no speed and no band; "
            "label longer ways"
        )
    target = np.searchsorted(edges, value, side="right") - 1
    if not ((target >= 0) & (target < len(bands))).any():
        raise TableError(
            f"no labelled object moves within the bands, {edges[0]:g} to {edges[-1]:g} px/s: labelled are "
            f"{value.min():.3g} to {value.max():.3g} px/s; give bands that suit them"
        )
    path_of = np.array(of_path, np.intp)
    clear = ~(np.abs(value[:, None] - edges) <= near * edges).any(axis=1)
    weight = 1 / np.bincount(path_of)[path_of]
    return Stretches(paths, path_of, np.array(speed), target, clear, weight)


@dataclass(frozen=True, eq=False)
class Surroundings:
    """Events around one path; arrays (m,). away: px from the object's centre. travel: px of it at that time.
    silent_us: since the pixel's last event. flipped: of other polarity than that."""

    away: Floats
    travel: Floats
    silent_us: NDArray[np.int64]
    flipped: NDArray[np.bool_]


def surroundings(paths: list[Path], recording: Recording, reach_px: float) -> list[Surroundings]:
    """The events within `reach_px` of each path."""
    silent, flipped = pixel_history(recording)
    found = []
    for path in paths:
        first, last = np.searchsorted(recording.t_us, [path.t_us[0], path.t_us[-1] + 1])
        rows = np.arange(first, last)
        away, travel = _beside(path, recording.t_us[rows], recording.x[rows], recording.y[rows])
        near = away < reach_px
        rows = rows[near]
        found.append(Surroundings(away[near], travel[near], silent[rows], flipped[rows]))
    return found


def measured_radius(around: list[Surroundings], paths: list[Path], expected: float) -> float:
    """Where the events around the paths lie, in px from the centre: median over the paths.

    expected: what labels or user say; half of it to twice is looked at, `around` must reach 2.5 times as far.
    Raises TableError where hardly any path has a ring of events around it.
    """
    found = []
    for path, events in zip(paths, around, strict=True):
        centre = path.radius if math.isfinite(path.radius) and path.radius < 2 * expected else expected
        edge = np.arange(0, 2.5 * centre + _BIN_PX, _BIN_PX)
        counts = np.histogram(events.away, edge)[0].astype(np.float64)
        r = (edge[1:] + edge[:-1]) / 2
        outer = r > 2.2 * centre
        excess = counts - r * counts[outer].sum() / r[outer].sum()
        smooth = np.convolve(excess, np.ones(7) / 7, mode="same")
        searched = (r >= 0.5 * centre) & (r <= 2 * centre)
        mode = r[searched][smooth[searched].argmax()]
        ring = np.abs(r - mode) <= max(1.5, 0.2 * mode)
        inside = np.maximum(excess[ring], 0)
        if excess[ring].sum() > max(_FEWEST_EVENTS, 5 * math.sqrt(counts[ring].sum())):
            found.append(float((r[ring] * inside).sum() / inside.sum()))
    if 2 * len(found) < len(paths):
        raise TableError(
            f"there are no events around {len(paths) - len(found)} of {len(paths)} labelled paths; "
            "check that the labels are of this recording, in its pixels and on its clock"
        )
    return float(np.median(found))


def crossing_shares(cut: Stretches, around: list[Surroundings], radius: float, *, every: bool) -> Floats:
    """(n,): edge crossings seen on each stretch, of the 4 R per px of travel. every: count all their events,
    and not the first of each crossing only."""
    gate = DEFAULTS.wide_gate(radius)
    found = np.zeros(cut.path.size)
    for number, events in enumerate(around):
        mine = np.flatnonzero(cut.path == number)
        piece = _piece(events.travel)
        use = (np.abs(events.away - radius) < gate) & (piece >= 0) & (piece < mine.size)
        speed = cut.speed[mine][piece[use]]
        if not every:
            use[use] = events.flipped[use] | (events.silent_us[use] * 1e-6 * speed >= DEFAULTS.silence_px)
        found[mine] = np.bincount(piece[use], minlength=mine.size) / (4 * radius * STRETCH_PX)
    return found


def told_bands(cut: Stretches, spikes: Spikes, bands: int, radius: float) -> NDArray[np.intp]:
    """(n,): what a network says of each stretch, -1 below the lowest edge to N above the highest.

    The final channel with most spikes near the path; where none has two, the fastest channel of layer 1 that does.
    """
    final, first = (_votes(cut, part, bands + 1, radius) for part in (spikes.final(), spikes.of_layer(0)))
    final[:, bands] = 0
    heard = first >= ANSWER_SPIKES
    fastest = np.where(heard.any(axis=1), bands - heard[:, ::-1].argmax(axis=1), -1)
    return np.where(final.max(axis=1) >= ANSWER_SPIKES, final.argmax(axis=1), fastest)


def _votes(cut: Stretches, spikes: Spikes, channels: int, radius: float) -> NDArray[np.int64]:
    counts = np.zeros((cut.path.size, channels), np.int64)
    for number, path in enumerate(cut.paths):
        mine = np.flatnonzero(cut.path == number)
        rows = slice(*np.searchsorted(spikes.t_us, [path.t_us[0], path.t_us[-1] + 1]))
        away, travel = _beside(path, spikes.t_us[rows], spikes.x[rows], spikes.y[rows])
        piece = _piece(travel)
        channel = spikes.channel[rows]
        use = (away <= max(3.0, radius / 2)) & (piece >= 0) & (piece < mine.size) & (channel < channels)
        np.add.at(counts, (mine[piece[use]], channel[use]), 1)
    return counts


def _beside(
    path: Path, t_us: NDArray[np.int64], x: NDArray[np.integer], y: NDArray[np.integer]
) -> tuple[Floats, Floats]:
    """Distance from the path's object at these times, and its travel by then, px."""
    away = np.hypot(x - np.interp(t_us, path.t_us, path.x), y - np.interp(t_us, path.t_us, path.y))
    return away, np.interp(t_us, path.t_us, path.travel)


def _piece(travel: Floats) -> NDArray[np.intp]:
    """Number of the stretch of a path, negative before the first."""
    return np.floor((travel - _LEAD_PX) / STRETCH_PX).astype(np.intp)


def _pieces(truth: Tracks) -> list[NDArray[np.intp]]:
    """Rows of each object without a pause."""
    found = []
    for rows in rows_by_object(truth):
        gaps = np.diff(truth.t_us[rows])
        longest = _PAUSE * (np.median(gaps) if gaps.size else 0)
        found += np.split(rows, np.flatnonzero(gaps > longest) + 1)
    return [rows for rows in found if rows.size > 1]


def _path(truth: Tracks, rows: NDArray[np.intp]) -> Path:
    t_us, x, y = truth.t_us[rows], truth.x_px[rows], truth.y_px[rows]
    travel = np.concatenate(([0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))))
    known = truth.radius_px[rows]
    known = known[np.isfinite(known)]
    return Path(t_us, x, y, travel, float(np.median(known)) if known.size else math.nan)
