"""`Tracks`: one table type for ground truth and for detections."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from velocell.errors import TableError
from velocell.files import replacing
from velocell.showing import shown

# name -> (dtype, value where it is missing). Floats are missing as NaN; -1 is "outside all bands".
COLUMNS: dict[str, tuple[type[np.generic], float]] = {
    "t_us": (np.int64, 0),
    "id": (np.int32, -1),
    "x_px": (np.float64, np.nan),
    "y_px": (np.float64, np.nan),
    "band": (np.int32, -1),
    "speed_px_s": (np.float64, np.nan),
    "speed_err_px_s": (np.float64, np.nan),
    "heading_deg": (np.float64, np.nan),
    "radius_px": (np.float64, np.nan),
    "confidence": (np.float64, np.nan),
}
_ROWS_AT_ONCE = 20_000
REQUIRED = ("t_us", "id", "x_px", "y_px")
_DIGITS = {
    "x_px": 3,
    "y_px": 3,
    "speed_px_s": 3,
    "speed_err_px_s": 3,
    "heading_deg": 2,
    "radius_px": 3,
    "confidence": 3,
    "x_mm": 3,
    "y_mm": 3,
    "speed_mm_s": 3,
}


@dataclass(frozen=True, eq=False)
class Tracks:
    """One row per object and reporting instant, sorted by (t_us, id); arrays of shape (n,).

    t_us int64; id int32; x_px, y_px: where the object is at t_us (pixel centres at integers);
    band int32 (-1 = outside all bands); speed_px_s and its 1-sigma error; heading_deg, 0 = +x,
    90 = +y (down); radius_px; confidence 0..1. Missing floats are NaN. `extra` holds further
    columns by name, in order, such as x_mm, y_mm, speed_mm_s (`geometry.with_real_units`). `meta`
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
            arrays[name] = _converted(name, values, dtype, missing)
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

    def _repr_html_(self) -> str:
        return shown(self)

    def columns(self) -> dict[str, NDArray[Any]]:
        """All columns by name, the standard ones first."""
        return {**{name: getattr(self, name) for name in COLUMNS}, **self.extra}

    def where(self, keep: NDArray[np.bool_]) -> Tracks:
        """The rows where `keep` (n,) is true."""
        return Tracks.from_columns({name: values[keep] for name, values in self.columns().items()}, self.meta)

    def write(self, path: str | Path) -> None:
        """Write by suffix: .csv (with the side file PATH.meta.json), .jsonl or .parquet."""
        suffix = Path(path).suffix.lower()
        if suffix == ".csv":
            with replacing(path) as part, part.open("w", encoding="utf-8", newline="") as handle:
                self.write_csv(handle)
            with replacing(f"{path}.meta.json") as part:
                part.write_text(json.dumps(self.meta, indent=2) + "\n", encoding="utf-8")
        elif suffix == ".jsonl":
            with replacing(path) as part, part.open("w", encoding="utf-8") as handle:
                self.write_jsonl(handle)
        elif suffix == ".parquet":
            self._write_parquet(path)
        else:
            raise TableError(f"cannot write tracks to '{path}': the suffix must be .csv, .jsonl or .parquet")

    def write_csv(self, handle: TextIO) -> None:
        """CSV with a header line; missing values are empty."""
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(self.columns())
        for part in self._slices():
            writer.writerows(zip(*(_as_text(name, values) for name, values in part.items()), strict=True))

    def write_jsonl(self, handle: TextIO, *, with_meta: bool = True) -> None:
        """One JSON object a row; missing values are null. The first line is {"meta": ...}."""
        if with_meta:
            handle.write(json.dumps({"meta": self.meta}) + "\n")
        for part in self._slices():
            # Twice as fast as to let json walk through a dict for each row.
            line = "{" + ", ".join(json.dumps(name).replace("%", "%%") + ": %s" for name in part) + "}\n"
            texts = (_as_json(name, values) for name, values in part.items())
            handle.writelines(line % row for row in zip(*texts, strict=True))

    def _slices(self) -> Iterator[dict[str, NDArray[Any]]]:
        """The columns, some rows at a time: as text they need many times their memory."""
        for first in range(0, len(self), _ROWS_AT_ONCE):
            yield {name: values[first : first + _ROWS_AT_ONCE] for name, values in self.columns().items()}

    def _write_parquet(self, path: str | Path) -> None:
        require_parquet(path)
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = {
            name: pa.array(values, mask=np.isnan(values)) if values.dtype.kind == "f" else pa.array(values)
            for name, values in self.columns().items()
        }
        table = pa.table(columns).replace_schema_metadata({"velocell": json.dumps(self.meta)})
        with replacing(path) as part:
            pq.write_table(table, part)

    @staticmethod
    def read(path: str | Path) -> Tracks:
        """Read a table that `write` made, or any CSV with the required columns. Raises TableError.

        Where a program was killed while it wrote JSON Lines, the torn last line is left out, with a warning and
        a note in `meta["notes"]`. The meta data of outputs that were gone on with are in `meta["appended"]`.
        """
        file = Path(path)
        readers = {".csv": _read_csv, ".jsonl": _read_jsonl, ".parquet": _read_parquet}
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


def require_parquet(path: str | Path) -> None:
    """Raise TableError where the extra that reads and writes Parquet is not installed."""
    if importlib.util.find_spec("pyarrow") is None:
        raise TableError(f"{path} needs pyarrow; install it with: pip install 'velocell[parquet]'")


def _converted(name: str, values: NDArray[Any], dtype: type[np.generic], missing: float) -> NDArray[Any]:
    """`values` as the column's type; what an integer column cannot hold is refused, not wrapped."""
    if not issubclass(dtype, np.integer) or values.size == 0:
        return values.astype(dtype)
    if values.dtype.kind == "f":
        if name not in REQUIRED:
            values = np.where(np.isnan(values), missing, values)
        if not (values == np.floor(values)).all():
            raise TableError(f"column '{name}' must hold whole numbers; round them")
    limits = np.iinfo(dtype)
    if values.min() < limits.min or values.max() > limits.max:
        raise TableError(f"column '{name}' holds numbers beyond {limits.max}; use smaller ones")
    return values.astype(dtype)


def _as_text(name: str, values: NDArray[Any]) -> list[str]:
    if values.dtype.kind != "f":
        return [str(value) for value in values.tolist()]
    digits = _DIGITS.get(name, 6)
    return ["" if value != value else f"{value:.{digits}f}" for value in values.tolist()]


def _as_json(name: str, values: NDArray[Any]) -> list[str]:
    if values.dtype.kind in "iu":
        return [str(value) for value in values.tolist()]
    if values.dtype.kind != "f":
        return [json.dumps(value) for value in values.tolist()]
    digits = _DIGITS.get(name, 6)
    if np.isinf(values).any():
        return ["null" if value != value else json.dumps(round(value, digits)) for value in values.tolist()]
    return ["null" if value != value else repr(round(value, digits)) for value in values.tolist()]


def _column(name: str, texts: list[Any]) -> NDArray[Any]:
    missing = COLUMNS.get(name, (np.float64, np.nan))[1]
    try:
        return np.array([missing if text in ("", None) else float(text) for text in texts], dtype=np.float64)
    except (TypeError, ValueError):
        if name in COLUMNS:
            raise
        return np.array(["" if text is None else str(text) for text in texts])


def _times(texts: list[Any]) -> NDArray[np.int64]:
    # int64 does not fit in a double: camera clocks in microseconds since 1970 would round.
    times = [int(text) for text in texts]
    if any(isinstance(text, float) and text != time for text, time in zip(texts, times, strict=True)):
        raise TableError("column 't_us' must hold whole numbers; round them")
    return np.array(times, dtype=np.int64)


def _read_csv(path: Path) -> tuple[dict[str, ArrayLike], dict[str, Any]]:
    # Spreadsheets begin UTF-8 with a mark.
    rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    if not rows:
        raise TableError("the table is empty, without a header line")
    header, body = rows[0], [row for row in rows[1:] if row]
    if len(set(header)) != len(header):
        raise TableError(f"the header names a column twice: {', '.join(header)}")
    for number, row in enumerate(body, start=2):
        if len(row) != len(header):
            raise TableError(f"row {number} has {len(row)} fields where the header has {len(header)}")
    side = Path(f"{path}.meta.json")
    meta = json.loads(side.read_text(encoding="utf-8")) if side.is_file() else {}
    texts = {name: [row[i] for row in body] for i, name in enumerate(header)}
    return {n: _times(v) if n == "t_us" else _column(n, v) for n, v in texts.items()}, meta


def _read_jsonl(path: Path) -> tuple[dict[str, ArrayLike], dict[str, Any]]:
    *whole, last = path.read_bytes().split(b"\n")
    rows = [json.loads(line) for line in whole if line.strip()]
    notes = []
    try:
        rows += [json.loads(last)] if last.strip() else []
    except ValueError:
        # Only `velocell live` adds to a file line by line; any other table is damaged.
        first = rows[0]["meta"] if rows and "meta" in rows[0] else {}
        if "command" not in first or first["command"] != "live":
            raise
        notes = [f"the last line was torn and left out ({len(last)} bytes): its writer was stopped"]
        warnings.warn(f"{path}: {notes[0]}", stacklevel=3)
    if not rows:
        raise TableError("the table is empty, without even a line of meta data")
    metas = [row["meta"] for row in rows if "meta" in row]
    rows = [row for row in rows if "meta" not in row]
    meta = {**metas[0]} if metas else {}
    meta |= {name: more for name, more in (("appended", metas[1:]), ("notes", notes)) if more}
    names = list(rows[0]) if rows else list(COLUMNS)
    texts = {name: [row[name] for row in rows] for name in names}
    return {n: _times(v) if n == "t_us" else _column(n, v) for n, v in texts.items()}, meta


def _read_parquet(path: Path) -> tuple[dict[str, ArrayLike], dict[str, Any]]:
    require_parquet(path)
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    meta = json.loads((table.schema.metadata or {}).get(b"velocell", b"{}"))
    return {name: table[name].to_numpy() for name in table.column_names}, meta
