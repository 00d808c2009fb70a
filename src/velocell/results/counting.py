"""Counting lines: how many objects cross, band by band and direction by direction.

Where two rows of an object lie on different sides of a line, it crossed on the straight way between
them, and the crossing is interpolated there. Positions jitter, so a change of side
counts once the object has left the line by a margin: by that much an object may jitter on the line and counts
once, or not at all where it turns back. At both ends of a track the side of the row itself counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.data.arrays import Floats
from velocell.data.tracks import Tracks
from velocell.data.units import parse_numbers
from velocell.errors import OptionError

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
            raise OptionError(f"the counting line {self} lies outside the {width}x{height} sensor; choose it within")

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
    number, from 0; band: that of the row nearest in time."""

    t_us: float
    line: int
    id: int
    x_px: float
    y_px: float
    band: int
    direction: str


def crossings(tracks: Tracks, lines: Sequence[Line], margin_px: float = MARGIN_PX) -> list[Crossing]:
    """All crossings, in the order of their times. Rows without a position are left out."""
    known = tracks.where(np.isfinite(tracks.x_px) & np.isfinite(tracks.y_px))
    order = np.argsort(known.id, kind="stable")
    found: list[Crossing] = []
    for rows in np.split(order, np.flatnonzero(np.diff(known.id[order])) + 1):
        for number, line in enumerate(lines):
            found += _of_object(known, rows, line, number, margin_px)
    return sorted(found, key=lambda crossing: (crossing.t_us, crossing.line, crossing.id))


def count(found: Sequence[Crossing], lines: Sequence[Line], bands: Sequence[str]) -> list[dict[str, Any]]:
    """Crossings per line, direction and band, zeros included: rows with line, x0, y0, x1, y1, direction, band, name,
    crossings. Band -1 is outside all bands. Lines count from 0."""
    numbers = Counter((crossing.line, crossing.direction, crossing.band) for crossing in found)
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


def _of_object(tracks: Tracks, rows: NDArray[np.intp], line: Line, number: int, margin: float) -> list[Crossing]:
    if not rows.size:
        return []
    across, along = line.beside(tracks.x_px[rows], tracks.y_px[rows])
    sure = np.abs(across) > margin
    sure[[0, -1]] = True
    sure &= across != 0
    steps = np.flatnonzero(sure)
    side = np.sign(across[steps])
    found = []
    for k in np.flatnonzero(np.diff(side)):
        begin, end = steps[k], steps[k + 1]
        # The last row that is still on the old side, and the one behind it.
        a = int(begin + np.flatnonzero(np.sign(across[begin:end]) == side[k])[-1])
        share = across[a] / (across[a] - across[a + 1])
        if not 0 <= along[a] + share * (along[a + 1] - along[a]) <= 1:
            continue
        before, after = rows[a], rows[a + 1]
        found.append(
            Crossing(
                t_us=float(tracks.t_us[before] + share * (tracks.t_us[after] - tracks.t_us[before])),
                line=number,
                id=int(tracks.id[before]),
                x_px=float(tracks.x_px[before] + share * (tracks.x_px[after] - tracks.x_px[before])),
                y_px=float(tracks.y_px[before] + share * (tracks.y_px[after] - tracks.y_px[before])),
                band=int(tracks.band[before if share < 0.5 else after]),
                direction=DIRECTIONS[0] if side[k] < 0 else DIRECTIONS[1],
            )
        )
    return found
