"""Ids of the parts of a recording -> ids of the whole.

Two parts have rows of the same instants before a cut: the earlier one's last ones, and those of the later one's run-in.
Objects are paired by where they are at these instants; who is paired keeps the earlier id. Other objects get the next
free id, in the order in which they appear.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.data.tables import Columns
from velocell.results.assignment import best_pairs

INSTANTS = 20
"""Reporting instants before a cut at which objects are compared."""
_GATE_PX, _GATE_RADII = 2.0, 0.5  # how far apart two rows of one object may be: as rows and truth in `evaluate`


def pairs(earlier: Columns, later: Columns) -> dict[int, int]:
    """Ids of the later rows -> ids of the earlier rows, of objects that are the same. Columns of tracks."""
    one, other = np.unique(earlier["id"]), np.unique(later["id"])
    score = np.zeros((one.size, other.size))
    for t_us in np.intersect1d(earlier["t_us"], later["t_us"]):
        a, b = ({name: values[rows["t_us"] == t_us] for name, values in rows.items()} for rows in (earlier, later))
        apart = np.hypot(a["x_px"][:, None] - b["x_px"], a["y_px"][:, None] - b["y_px"])
        gate = np.maximum(_GATE_PX, _GATE_RADII * np.fmax(a["radius_px"][:, None], b["radius_px"]))
        near = np.maximum(1 - apart / gate, 0)
        np.add.at(score, np.ix_(np.searchsorted(one, a["id"]), np.searchsorted(other, b["id"])), near)
    rows, columns = best_pairs(score)
    return dict(zip(other[columns].tolist(), one[rows].tolist(), strict=True))


class Ids:
    """Gives rows of one part after the other their ids in the whole."""

    def __init__(self) -> None:
        self._next = 0
        self._of: dict[int, int] = {}

    def go_on(self, same: dict[int, int]) -> None:
        """From now on rows of the next part come. same: its ids -> ids of the part before (`pairs`)."""
        self._of = {later: self._of[earlier] for later, earlier in same.items() if earlier in self._of}

    def __call__(self, ids: NDArray[np.integer[Any]]) -> NDArray[np.int32]:
        """The ids of rows in order of time."""
        found, first, back = np.unique(ids, return_index=True, return_inverse=True)
        for place in np.argsort(first, kind="stable"):
            own = int(found[place])
            if own not in self._of:
                self._of[own] = self._next
                self._next += 1
        return np.array([self._of[own] for own in found.tolist()], np.int32)[back]
