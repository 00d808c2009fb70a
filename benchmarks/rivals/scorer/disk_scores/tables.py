"""A table of disks: one row per object and instant, in columns."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

NEEDED = ("t_us", "id", "x_px", "y_px")
KNOWN = ("speed_px_s", "speed_err_px_s", "heading_deg", "radius_px", "band", "spared")


class ScoreError(Exception):
    """What is wrong with a table or an argument, in one sentence."""


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of shape (n,), sorted by time, then id. Missing values are NaN; a missing band is -2. spared: 1 in rows
    of a truth that need not be found but may be: what is hidden."""

    t_us: NDArray[np.int64]
    id: NDArray[np.int64]
    x_px: NDArray[np.float64]
    y_px: NDArray[np.float64]
    speed_px_s: NDArray[np.float64]
    speed_err_px_s: NDArray[np.float64]
    heading_deg: NDArray[np.float64]
    radius_px: NDArray[np.float64]
    band: NDArray[np.int64]
    spared: NDArray[np.int64]

    @staticmethod
    def of(columns: Mapping[str, ArrayLike]) -> Table:
        """Raises ScoreError for columns that are missing or of different lengths, and for positions that are not
        finite."""
        for name in NEEDED:
            if name not in columns:
                raise ScoreError(f"the column '{name}' is missing; the table has: {', '.join(columns) or 'none'}")
        n = np.asarray(columns["t_us"]).size
        arrays: dict[str, NDArray[Any]] = {}
        for name in (*NEEDED, *KNOWN):
            values = np.asarray(columns.get(name, np.full(n, np.nan)), np.float64)
            if values.shape != (n,):
                raise ScoreError(f"the column '{name}' has {values.size} entries where 't_us' has {n}")
            arrays[name] = values
        for name in NEEDED:
            if not np.isfinite(arrays[name]).all():
                raise ScoreError(f"row {int(np.argmin(np.isfinite(arrays[name]))) + 1} has no {name}; fill it in")
        arrays["band"] = np.where(np.isnan(arrays["band"]), -2, arrays["band"])
        arrays["spared"] = np.nan_to_num(arrays["spared"])
        order = np.lexsort((arrays["id"], arrays["t_us"]))
        for name in arrays:
            kind = np.int64 if name in ("t_us", "id", "band", "spared") else np.float64
            arrays[name] = arrays[name][order].astype(kind)
        twice = (np.diff(arrays["t_us"]) == 0) & (np.diff(arrays["id"]) == 0)
        if twice.any():
            at = int(np.argmax(twice))
            raise ScoreError(f"object {arrays['id'][at]} has two rows at {arrays['t_us'][at]} us; keep one of them")
        return Table(**arrays)

    def __len__(self) -> int:
        return int(self.t_us.size)

    def filled(self, name: str, value: float) -> Table:
        """With this value where the column has none."""
        columns = {each: getattr(self, each) for each in (*NEEDED, *KNOWN)}
        return Table(**{**columns, name: np.where(np.isnan(columns[name]), value, columns[name])})

    def where(self, keep: NDArray[np.bool_]) -> Table:
        """The rows where `keep` (n,) is true."""
        return Table(**{name: getattr(self, name)[keep] for name in (*NEEDED, *KNOWN)})


def read_csv(path: str | Path) -> Table:
    """Raises ScoreError for a file that cannot be read as such a table."""
    try:
        with Path(path).open(newline="", encoding="utf-8") as handle:
            reader = csv.reader(handle)
            names = next(reader, [])
            lines = [line for line in reader if line]
    except (OSError, UnicodeDecodeError) as error:
        raise ScoreError(f"{path} cannot be read ({error}); check the path") from None
    columns: dict[str, list[float]] = {name: [] for name in names if name in (*NEEDED, *KNOWN)}
    for number, line in enumerate(lines, 2):
        if len(line) != len(names):
            raise ScoreError(f"{path}, line {number} has {len(line)} fields where the header has {len(names)}")
        for name, text in zip(names, line, strict=True):
            if name in columns:
                try:
                    columns[name].append(float(text) if text else np.nan)
                except ValueError:
                    raise ScoreError(f"{path}, line {number}: {name} is '{text}', not a number") from None
    try:
        return Table.of(columns)
    except ScoreError as error:
        raise ScoreError(f"{path}: {error}") from None
