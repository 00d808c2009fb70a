"""The objects of a table of tracks: one line for each, from its rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.data.tracks import Tracks

_COMMON = 0.8  # length of the mean of all directions: 1 on a straight way, 0 to and fro


EVEN = 0.5  # confidence: as likely as not that it is an object
_BANDS = 1 << 30  # more than anyone has; two ids in front of it fit 64 bits


@dataclass(frozen=True)
class ObjectSummary:
    """One object of a table: its commonest band, the medians of its figures, its mean heading (degrees), times
    in microseconds; off_band: whether in most rows the neurons answer for another band. NaN where no row has the
    figure, and for the heading of an object that turned. Rows at rest (speed 0) count for the times and for `rows`
    alone, unless the object has no other.
    """

    id: int
    band: int
    speed_px_s: float
    speed_err_px_s: float
    heading_deg: float
    radius_px: float
    confidence: float
    first_us: int
    last_us: int
    rows: int
    off_band: bool


Found = ObjectSummary  # its earlier name


def rows_by_object(tracks: Tracks) -> list[NDArray[np.intp]]:
    """The rows of each object in order of time, ids rising."""
    order = np.argsort(tracks.id, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(tracks.id[order])) + 1)
    return [rows for rows in parts if rows.size]


class BandVotes:
    """The commonest band of each object, as `objects` has it, and who is never sure, of a table that comes in parts."""

    def __init__(self) -> None:
        self._votes: Counter[int] = Counter()  # rows of each object, of those that move or rest, in each band
        self._sure: set[int] = set()

    def add(self, tracks: Tracks) -> None:
        self._sure.update(tracks.id[~(tracks.confidence < EVEN)].tolist())
        # One number for each row, since whole columns are much slower to compare. Bands begin at -1.
        keys = (2 * tracks.id.astype(np.int64) + (tracks.speed_px_s != 0)) * _BANDS + tracks.band + 1
        values, rows = np.unique(keys, return_counts=True)
        for key, count in zip(values.tolist(), rows.tolist(), strict=True):
            self._votes[key] += count

    def bands(self) -> list[int]:
        """One for each object, ids rising; of equally common ones the slowest. Rows at rest count where there are no
        others."""
        best: dict[int, tuple[bool, int, int]] = {}
        for key, count in self._votes.items():
            who, place = divmod(key, _BANDS)
            vote = bool(who % 2), count, -(place - 1)
            best[who // 2] = max(vote, best.get(who // 2, vote))
        return [-slowness for _, (_, _, slowness) in sorted(best.items())]

    def doubtful(self) -> int:
        """How many objects have a confidence below EVEN in all of their rows. Who has no figure is not among them."""
        return len({key // _BANDS // 2 for key in self._votes} - self._sure)


def objects(tracks: Tracks) -> list[ObjectSummary]:
    """Ids rising; all at once, since the viewer asks after every change for tables of 100 000 rows."""
    ids, number, rows = np.unique(tracks.id, return_inverse=True, return_counts=True)
    if not ids.size:
        return []
    order = np.argsort(number, kind="stable")
    first = np.cumsum(rows) - rows
    moves = tracks.speed_px_s != 0
    moves |= np.bincount(number, weights=moves, minlength=ids.size)[number] == 0
    whose, known = number[moves], np.bincount(number[moves], minlength=ids.size)
    fields = zip(
        ids,
        _commonest(tracks.band[moves], whose, ids.size),
        _medians(tracks.speed_px_s[moves], whose, known),
        _medians(tracks.speed_err_px_s[moves], whose, known),
        _mean_headings(tracks.heading_deg[moves], whose, ids.size),
        _medians(tracks.radius_px[moves], whose, known),
        _medians(tracks.confidence[moves], whose, known),
        tracks.t_us[order[first]],
        tracks.t_us[order[first + rows - 1]],
        rows,
        2 * np.bincount(whose, weights=tracks.flagged("off_band")[moves], minlength=ids.size) > known,
        strict=True,
    )
    return [ObjectSummary(*(value.item() for value in values)) for values in fields]


def _commonest(bands: NDArray[np.integer[Any]], number: NDArray[np.intp], count: int) -> NDArray[np.integer[Any]]:
    """Of equally common ones the slowest."""
    values, which = np.unique(bands, return_inverse=True)
    votes = np.bincount(number * values.size + which, minlength=count * values.size)
    return np.asarray(values[votes.reshape(count, -1).argmax(axis=1)])


def _medians(values: NDArray[np.float64], number: NDArray[np.intp], rows: NDArray[np.intp]) -> NDArray[np.float64]:
    known = np.bincount(number[np.isfinite(values)], minlength=rows.size)
    ordered = values[np.lexsort((values, number))]  # NaN comes last in each group
    first = np.cumsum(rows) - rows
    below, above = (ordered[first + np.maximum(known - odd, 0) // 2] for odd in (1, 0))
    return np.where(known > 0, (below + above) / 2, np.nan)


def _mean_headings(degrees: NDArray[np.float64], number: NDArray[np.intp], count: int) -> NDArray[np.float64]:
    """Of directions, not of numbers: 359 and 1 make 0. 0 <= heading < 360; NaN without a common direction."""
    known = np.isfinite(degrees)
    angles, whose = np.radians(degrees[known]), number[known]
    among = np.maximum(np.bincount(whose, minlength=count), 1)
    across, down = (np.bincount(whose, part(angles), count) / among for part in (np.cos, np.sin))
    mean = np.degrees(np.arctan2(down, across)) % 360 % 360  # twice: a tiny negative angle gives 360 itself
    return np.where(np.hypot(across, down) < _COMMON, np.nan, mean)
