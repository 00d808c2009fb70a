"""Objects marked by mouse, as a table of tracks for `calibrate --labels` and `evaluate`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from velocell.data.bands import Bands
from velocell.data.tracks import Tracks
from velocell.errors import OptionError

MOST_MARKS = 20_000


@dataclass(frozen=True)
class Mark:
    """Where the centre of an object is at one time."""

    id: int
    t_us: int
    x_px: float
    y_px: float
    radius_px: float


class Labels:
    """Marks by object. Between two marks an object moves in a straight line at constant speed."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        self._marks: dict[tuple[int, int], Mark] = {}
        self._undo: list[dict[tuple[int, int], Mark]] = []

    def __len__(self) -> int:
        return len(self._marks)

    def add(self, id_: int, t_us: int, x: float, y: float, radius: float) -> None:
        """Mark object `id_` at a time; another mark of it at that time is replaced. Raises OptionError."""
        width, height = self._size
        if not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
            raise OptionError(f"the mark at {x:.1f}, {y:.1f} lies outside the {width}x{height} sensor; click inside")
        if not 0 <= id_ < 1 << 31 or not (math.isfinite(radius) and radius > 0):
            raise OptionError(f"an object needs an id from 0 on and a radius above 0 px, got {id_} and {radius}")
        if len(self._marks) >= MOST_MARKS:
            raise OptionError(f"there are {MOST_MARKS} marks already; save them and clear")
        self._remember()
        self._marks[id_, t_us] = Mark(id_, t_us, x, y, radius)

    def forget(self, id_: int | None, undo: bool) -> None:
        """What a page asks for: take the last change back, or forget an object, or all."""
        if undo:
            self.undo()
        elif id_ is None:
            self.clear()
        else:
            self.remove(int(id_))

    def remove(self, id_: int) -> None:
        """Forget an object."""
        self._remember()
        self._marks = {key: mark for key, mark in self._marks.items() if mark.id != id_}

    def clear(self) -> None:
        self._remember()
        self._marks = {}

    def undo(self) -> None:
        """Take the last change back."""
        if self._undo:
            self._marks = self._undo.pop()

    def next_id(self) -> int:
        return max((mark.id for mark in self._marks.values()), default=-1) + 1

    def to_dict(self) -> list[dict[str, Any]]:
        """The marks, by object and time."""
        return [
            {"id": m.id, "t_us": m.t_us, "x": round(m.x_px, 2), "y": round(m.y_px, 2), "radius": round(m.radius_px, 2)}
            for m in self._sorted()
        ]

    def tracks(self, bands: Bands, every_us: int, meta: dict[str, Any]) -> Tracks:
        """Rows at the multiples of `every_us` between the marks of each object, and at the marks' own
        instant where there is only one. Raises OptionError without marks."""
        if not self._marks:
            raise OptionError("nothing is marked yet; click on objects in the picture first")
        columns: dict[str, list[Any]] = {name: [] for name in ("t_us", "id", "x_px", "y_px", "radius_px")}
        speeds: list[Any] = []
        headings: list[Any] = []
        for id_ in sorted({mark.id for mark in self._marks.values()}):
            marks = [mark for mark in self._sorted() if mark.id == id_]
            t, x, y, r = (np.array([getattr(m, n) for m in marks]) for n in ("t_us", "x_px", "y_px", "radius_px"))
            when = np.arange(-(-t[0] // every_us) * every_us, t[-1] + 1, every_us) if t.size > 1 else t
            if not when.size:  # two marks within one interval
                when = t
            columns["t_us"] += when.tolist()
            columns["id"] += [id_] * when.size
            for name, values in (("x_px", x), ("y_px", y), ("radius_px", r)):
                columns[name] += np.interp(when, t, values).tolist()
            leg = np.clip(np.searchsorted(t, when, side="right") - 1, 0, max(t.size - 2, 0))
            speed, heading = _legs(t, x, y)
            speeds += speed[leg].tolist()
            headings += heading[leg].tolist()
        band = bands.of_speed(np.array(speeds, np.float64))
        return Tracks.from_columns({**columns, "speed_px_s": speeds, "heading_deg": headings, "band": band}, meta)

    def _sorted(self) -> list[Mark]:
        return [self._marks[key] for key in sorted(self._marks)]

    def _remember(self) -> None:
        self._undo = [*self._undo[-99:], dict(self._marks)]


def _legs(t: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """Speed (px/s) and heading (degrees) between consecutive marks; NaN for a single one."""
    if t.size < 2:
        return np.array([np.nan]), np.array([np.nan])
    seconds = np.diff(t) * 1e-6
    vx, vy = np.diff(x) / seconds, np.diff(y) / seconds
    return np.hypot(vx, vy), np.degrees(np.arctan2(vy, vx)) % 360
