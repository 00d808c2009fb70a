"""Counting lines: how many objects cross, band by band and direction by direction.

Where two rows of an object lie on different sides of a line, it crossed on the straight way between
them, and the crossing is interpolated there. Positions jitter, so a change of side
counts once the object has left the line by a margin: by that much an object may jitter on the line and counts
once, or not at all where it turns back. At both ends of a track the side of the row itself counts.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from velocell.data.arrays import Floats
from velocell.data.side_files import read_text
from velocell.data.tracks import Tracks
from velocell.data.units import parse_numbers
from velocell.errors import OptionError, reason
from velocell.results.objects import rows_by_object

MARGIN_PX = 1.0
DIRECTIONS = ("to_right", "to_left")


@dataclass(frozen=True)
class Line:
    """From (x0, y0) to (x1, y1), in px. Who walks along it on the screen has its right and its left side."""

    x0: float
    y0: float
    x1: float
    y1: float

    @staticmethod
    def parse(text: str) -> Line:
        """`"x0,y0,x1,y1"`. Raises OptionError for anything else and for a line without length."""
        values = parse_numbers(text, "--count-line")
        if len(values) != 4 or values[:2] == values[2:]:
            raise OptionError(f"--count-line '{text}' must be x0,y0,x1,y1 of two different points in px")
        return Line(*values)

    def check(self, size: tuple[int, int]) -> None:
        """Raise OptionError where no part of the line can be crossed on a sensor of (width, height)."""
        width, height = size
        # Clip the segment to the sensor, side by side.
        first, last = 0.0, 1.0
        for start, end, most in ((self.x0, self.x1, width - 0.5), (self.y0, self.y1, height - 0.5)):
            ends = [(bound - start) / (end - start) for bound in (-0.5, most)] if end != start else []
            if ends:
                first, last = max(first, min(ends)), min(last, max(ends))
            elif not -0.5 <= start <= most:
                last = -1.0
        if first > last:
            raise OptionError(
                f"the counting line {self} lies outside the {width}x{height} sensor; choose one inside it"
            )

    def __str__(self) -> str:
        return f"{self.x0:g},{self.y0:g},{self.x1:g},{self.y1:g}"

    def beside(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Distance from the line, in px, to the right above 0; and the share of the way along it, 0 to 1."""
        dx, dy = self.x1 - self.x0, self.y1 - self.y0
        length = float(np.hypot(dx, dy))
        across = (dx * (y - self.y0) - dy * (x - self.x0)) / length
        along = (dx * (x - self.x0) + dy * (y - self.y0)) / length**2
        return across, along


@dataclass(frozen=True)
class Crossing:
    """One object over one line: when (us) and where (px), interpolated; direction: one of DIRECTIONS; line: its
    number, from 0; band: that of the row nearest in time, of those that are not at rest."""

    t_us: float
    line: int
    id: int
    x_px: float
    y_px: float
    band: int
    direction: str


def crossings(tracks: Tracks, lines: Sequence[Line], margin_px: float = MARGIN_PX) -> list[Crossing]:
    """All crossings, in the order of their times. Rows without a position are left out."""
    gate = Gate(lines, margin_px)
    found = [*gate.feed(tracks), *gate.finish()]
    return sorted(found, key=lambda crossing: (crossing.t_us, crossing.line, crossing.id))


class Gate:
    """Lines that objects cross, fed with consecutive parts of a table. counts: crossings so far, by line, direction
    and band."""

    def __init__(self, lines: Sequence[Line], margin_px: float = MARGIN_PX) -> None:
        self.lines = tuple(lines)
        self.counts: Counter[tuple[int, str, int]] = Counter()
        self._margin = margin_px
        self._objects: dict[int, list[_Side | None]] = {}
        self._last_us: dict[int, int] = {}

    def feed(self, tracks: Tracks) -> list[Crossing]:
        """What the rows complete, object by object."""
        if not self.lines:
            return []
        known = tracks.where(np.isfinite(tracks.x_px) & np.isfinite(tracks.y_px))
        beside = [line.beside(known.x_px, known.y_px) for line in self.lines]
        found: list[Crossing] = []
        for rows in rows_by_object(known):
            id_ = int(known.id[rows[0]])
            sides = self._objects.setdefault(id_, [None] * len(self.lines))
            begins = id_ not in self._last_us
            for number, (across, along) in enumerate(beside):
                for k, row in enumerate(rows.tolist()):
                    at = _Row(
                        int(known.t_us[row]), float(known.x_px[row]), float(known.y_px[row]), int(known.band[row]),
                        float(across[row]), float(along[row]), bool(known.speed_px_s[row] == 0),
                    )  # fmt: skip
                    side = sides[number]
                    if side is None:
                        # At both ends of a track the side of the row itself counts.
                        if at.across and ((begins and k == 0) or abs(at.across) > self._margin):
                            sides[number] = _Side(at)
                    else:
                        found += side.step(at, id_, number, sure=abs(at.across) > self._margin)
            self._last_us[id_] = int(known.t_us[rows[-1]])
        return self._counted(found)

    def finish(self, before_us: int | None = None) -> list[Crossing]:
        """The ends of all tracks, or of those without a row since `before_us`; they are forgotten."""
        gone = [id_ for id_, t in self._last_us.items() if before_us is None or t < before_us]
        found: list[Crossing] = []
        for id_ in gone:
            del self._last_us[id_]
            for number, side in enumerate(self._objects.pop(id_)):
                if side is not None:
                    found += side.step(side.last, id_, number, sure=side.last.across != 0)
        return self._counted(found)

    def _counted(self, found: list[Crossing]) -> list[Crossing]:
        self.counts.update((crossing.line, crossing.direction, crossing.band) for crossing in found)
        return found


@dataclass(frozen=True)
class _Row:
    t_us: int
    x: float
    y: float
    band: int
    across: float
    along: float
    rests: bool


class _Side:
    """On which side of one line an object is for certain; what it did since then."""

    def __init__(self, row: _Row) -> None:
        self._before = self.last = row  # the last row on that side, the last one of all
        self._after: _Row | None = None  # the one behind `_before`

    def step(self, row: _Row, id_: int, line: int, *, sure: bool) -> list[Crossing]:
        """The crossing that a row completes, if it does."""
        self.last = row
        if np.sign(row.across) == np.sign(self._before.across):
            self._before, self._after = row, None
            return []
        self._after = self._after or row
        if not sure:
            return []
        a, b = self._before, self._after
        self._before, self._after = row, None
        share = a.across / (a.across - b.across)
        near = a if share < 0.5 else b
        if near.rests:  # it has no band
            near = b if near is a else a
        if not 0 <= a.along + share * (b.along - a.along) <= 1:
            return []
        return [
            Crossing(
                t_us=a.t_us + share * (b.t_us - a.t_us),
                line=line,
                id=id_,
                x_px=a.x + share * (b.x - a.x),
                y_px=a.y + share * (b.y - a.y),
                band=near.band,
                direction=DIRECTIONS[0] if a.across < 0 else DIRECTIONS[1],
            )
        ]


def count(
    found: Sequence[Crossing] | Counter[tuple[int, str, int]], lines: Sequence[Line], bands: Sequence[str]
) -> list[dict[str, Any]]:
    """Crossings, or their counts, per line, direction and band, zeros included: rows with line, x0, y0, x1, y1,
    direction, band, name, crossings. Band -1 is outside all bands. Lines count from 0."""
    numbers = found
    if not isinstance(numbers, Counter):
        numbers = Counter((crossing.line, crossing.direction, crossing.band) for crossing in numbers)
    return [
        {
            "line": number,
            "x0": line.x0,
            "y0": line.y0,
            "x1": line.x1,
            "y1": line.y1,
            "direction": direction,
            "band": band,
            "name": name,
            "crossings": numbers[number, direction, band],
        }
        for number, line in enumerate(lines)
        for direction in DIRECTIONS
        for band, name in [*enumerate(bands), (-1, "outside")]
    ]


def totals(counts: Counter[tuple[int, str, int]], lines: Sequence[Line]) -> list[dict[str, int]]:
    """Of all bands: for each line its number `line`, `to_right` and `to_left`."""
    sums = Counter[tuple[int, str]]()
    for (line, direction, _), n in counts.items():
        sums[line, direction] += n
    return [{"line": k, **{name: sums[k, name] for name in DIRECTIONS}} for k in range(len(lines))]


def write_counts(handle: TextIO, rows: Sequence[dict[str, Any]]) -> None:
    """Rows of `count`, at least one, as CSV with a header line."""
    writer = csv.DictWriter(handle, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def read_counts(path: str | Path, lines: Sequence[Line], bands: Sequence[str]) -> Counter[tuple[int, str, int]]:
    """What `write_counts` wrote for these lines and bands. Raises OptionError for a file of others."""

    def refuse(what: str) -> OptionError:
        return OptionError(f"cannot continue {path}: {what}; name another file or drop --append")

    expected = count((), lines, bands)
    try:
        rows = list(csv.reader(io.StringIO(read_text(path))))
        header, held = tuple(rows[0]), [row for row in rows[1:] if row]
        if header != tuple(expected[0]):
            raise refuse("it is not a table of crossings, of one source")
        if [row[:-1] for row in held] != [[str(value) for value in row.values()][:-1] for row in expected]:
            raise refuse(f"it counts other lines or bands than {' and '.join(map(str, lines))}, {', '.join(bands)}")
        numbers = [int(row[-1]) for row in held]
    except OSError as error:
        raise refuse(reason(error)) from None
    except (ValueError, LookupError, csv.Error):
        raise refuse("it is not a table of crossings") from None
    if min(numbers) < 0:
        raise refuse("it holds a negative count")
    return Counter(
        {
            (int(row["line"]), str(row["direction"]), int(row["band"])): n
            for row, n in zip(expected, numbers, strict=True)
        }
    )
