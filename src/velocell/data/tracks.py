"""`Tracks`: one table type for ground truth and for detections."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from velocell.data.arrow import arrow_table, pandas_frame, polars_frame
from velocell.data.html import shown
from velocell.data.parquet import read_parquet
from velocell.data.tables import (
    COLUMNS,
    FLAGS,
    GROUP_ROWS,
    REQUIRED,
    converted,
    read_csv,
    read_jsonl,
    write_csv,
    write_jsonl,
    write_table,
)
from velocell.errors import TableError


@dataclass(frozen=True, eq=False)
class Tracks:
    """One row per object and reporting instant, sorted by (t_us, id); arrays of shape (n,).

    t_us int64; id int32; x_px, y_px: where the object is at t_us (pixel centres at integers);
    band int32 (-1 = outside all bands); speed_px_s and its 1-sigma error; heading_deg, 0 = +x,
    90 = +y (down); radius_px; confidence 0..1. Missing floats are NaN. `extra` holds further
    columns by name, in order: of a detection accel_px_s2, by how much the speed grows, NaN where that is not
    significant, and flags (`flagged`); x_mm, y_mm, speed_mm_s (`plane.with_real_units`). `meta`
    travels with the table: version and settings.
    """

    t_us: NDArray[np.int64]
    id: NDArray[np.int32]
    x_px: NDArray[np.float64]
    y_px: NDArray[np.float64]
    band: NDArray[np.int32]
    speed_px_s: NDArray[np.float64]
    speed_err_px_s: NDArray[np.float64]
    heading_deg: NDArray[np.float64]
    radius_px: NDArray[np.float64]
    confidence: NDArray[np.float64]
    extra: dict[str, NDArray[Any]] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def from_columns(columns: Mapping[str, ArrayLike], meta: dict[str, Any] | None = None) -> Tracks:
        """Columns by name; t_us, id, x_px and y_px are required, the other standard ones are
        filled as missing, unknown ones become `extra`. Raises TableError."""
        for name in REQUIRED:
            if name not in columns:
                raise TableError(f"a table of tracks needs the column '{name}', got {', '.join(columns) or 'none'}")
        n = np.asarray(columns["t_us"]).size
        arrays: dict[str, NDArray[Any]] = {}
        for name, (dtype, missing) in COLUMNS.items():
            values = np.asarray(columns[name]) if name in columns else np.full(n, missing)
            if values.shape != (n,):
                raise TableError(f"column '{name}' has {values.size} entries where 't_us' has {n}")
            arrays[name] = converted(name, values, dtype, missing)
        extra = {name: np.asarray(values) for name, values in columns.items() if name not in COLUMNS}
        steps, ids = np.diff(arrays["t_us"]), np.diff(arrays["id"])
        if not ((steps > 0) | ((steps == 0) & (ids >= 0))).all():
            order = np.lexsort((arrays["id"], arrays["t_us"]))
            arrays = {name: values[order] for name, values in arrays.items()}
            extra = {name: values[order] for name, values in extra.items()}
        return Tracks(**arrays, extra=extra, meta=dict(meta or {}))

    @staticmethod
    def empty(meta: dict[str, Any] | None = None) -> Tracks:
        return Tracks.from_columns({name: np.empty(0) for name in COLUMNS}, meta)

    def __len__(self) -> int:
        return int(self.t_us.size)

    def __repr__(self) -> str:
        if not len(self):
            return "Tracks(no rows)"
        span = f"{self.t_us[0] / 1e6:g} to {self.t_us[-1] / 1e6:g} s"
        more = f", {', '.join(self.extra)}" if self.extra else ""
        return f"Tracks({len(self)} rows, {np.unique(self.id).size} objects, {span}{more})"

    def by_object(self) -> Iterator[tuple[int, Tracks]]:
        """Each object's id with its rows in order of time, ids rising."""
        order = np.argsort(self.id, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(self.id[order])) + 1):
            if rows.size:
                columns = {name: values[rows] for name, values in self.columns().items()}
                yield int(self.id[rows[0]]), Tracks.from_columns(columns, self.meta)

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame` with the meta data in its `attrs`. Raises TableError where pandas is not installed."""
        return pandas_frame(self.columns(), self.meta)

    def to_polars(self) -> Any:
        """A `polars.DataFrame`; missing values are null. Raises TableError where polars is not installed."""
        return polars_frame(self.columns())

    def to_arrow(self) -> Any:
        """A `pyarrow.Table`, as in a Parquet file of it. Raises TableError where pyarrow is not installed."""
        return arrow_table(self.columns(), self.meta)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Arrow's PyCapsule interface: what speaks it takes a table as it is, as `polars.DataFrame(tracks)` does."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def _repr_html_(self) -> str:
        return shown(self)

    def columns(self) -> dict[str, NDArray[Any]]:
        """All columns by name, the standard ones first."""
        return {**{name: getattr(self, name) for name in COLUMNS}, **self.extra}

    def flagged(self, name: str) -> NDArray[np.bool_]:
        """Rows (n,) with this flag of `tables.FLAGS`: "off_band", "at_rest" or "crowded"; none without the column."""
        if "flags" not in self.extra:
            return np.zeros(len(self), np.bool_)
        return np.asarray(self.extra["flags"].astype(np.int64) & FLAGS[name], np.bool_)

    def where(self, keep: NDArray[np.bool_]) -> Tracks:
        """The rows where `keep` (n,) is true."""
        return Tracks.from_columns({name: values[keep] for name, values in self.columns().items()}, self.meta)

    def write(self, path: str | Path) -> None:
        """Write by suffix: .csv or .jsonl (with the side file PATH.meta.json), or .parquet."""
        write_table(path, self.parts(), self.meta)

    def write_csv(self, handle: TextIO) -> None:
        """CSV with a header line; missing values are empty."""
        write_csv(handle, self.parts())

    def write_jsonl(self, handle: TextIO, *, with_meta: bool = True) -> None:
        """One JSON object a row; missing values are null. The first row has the meta data, as its key `meta`."""
        write_jsonl(handle, self.parts(), self.meta if with_meta else None)

    def parts(self) -> Iterator[dict[str, NDArray[Any]]]:
        """The columns, a group of rows at a time, and at least one, which may be empty."""
        for first in range(0, max(len(self), 1), GROUP_ROWS):
            yield {name: values[first : first + GROUP_ROWS] for name, values in self.columns().items()}

    @staticmethod
    def read(path: str | Path) -> Tracks:
        """Read a table that `write` made, or any CSV with the required columns. Raises TableError.

        Where a program was killed while it wrote JSON Lines, the torn last line is left out, with a warning and
        a note in `meta["notes"]`. The meta data of outputs that were gone on with are in `meta["appended"]`.
        """
        file = Path(path)
        readers = {".csv": read_csv, ".jsonl": read_jsonl, ".parquet": read_parquet}
        if file.suffix.lower() not in readers:
            raise TableError(f"cannot read tracks from '{path}': the suffix must be .csv, .jsonl or .parquet")
        if not file.is_file():
            raise TableError(f"{path} does not exist or is not a file; check the path")
        try:
            columns, meta = readers[file.suffix.lower()](file)
            return Tracks.from_columns(columns, meta)
        except TableError as error:
            raise TableError(f"{path}: {error}") from None
        except (ValueError, TypeError, LookupError, OverflowError, OSError, csv.Error) as error:
            raise TableError(f"{path} is not a readable table of tracks ({error}); check that it is complete") from None
