"""The schema of a table of tracks, and its files: CSV, JSON Lines, Parquet."""

from __future__ import annotations

import csv
import json
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from velocell.data.arrow import arrow_table
from velocell.data.checks import column
from velocell.data.files import replacing
from velocell.data.parquet import require_parquet
from velocell.data.side_files import parse_json
from velocell.errors import TableError

Columns = dict[str, NDArray[Any]]
_Row = TypeVar("_Row")

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
GROUP_ROWS = 1 << 17
"""Rows that are handed on at once, and make a row group in Parquet."""
_ROWS_AT_ONCE = 20_000
# What the column `flags` of a detection says, one bit each: the neurons answer for another band than that of the
# speed, beyond its error; the object is at rest; its outline crosses that of another object.
FLAGS = {"off_band": 1, "at_rest": 2, "crowded": 4}
DETECTED = (*COLUMNS, "accel_px_s2", "flags")  # the columns of a detection
REQUIRED = ("t_us", "id", "x_px", "y_px")
_DIGITS = {
    "x_px": 3,
    "y_px": 3,
    "speed_px_s": 3,
    "speed_err_px_s": 3,
    "heading_deg": 2,
    "radius_px": 3,
    "confidence": 3,
    "accel_px_s2": 1,
    "x_mm": 3,
    "y_mm": 3,
    "speed_mm_s": 3,
}


def converted(name: str, values: NDArray[Any], dtype: type[np.generic], missing: float) -> NDArray[Any]:
    """`values` as the column's type; what an integer column cannot hold is refused, not wrapped."""
    if not issubclass(dtype, np.integer) or values.size == 0 or values.dtype == dtype:
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


def joined_columns(parts: Sequence[Columns]) -> Columns:
    """Consecutive parts as one, with the columns of the first, which all must have. A lone part is returned itself."""
    return parts[0] if len(parts) == 1 else {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def write_table(path: str | Path, parts: Iterable[Columns], meta: dict[str, Any]) -> None:
    """Write rows by suffix: .csv or .jsonl (with the side file PATH.meta.json), or .parquet. parts: columns by name,
    the same in each, of at most GROUP_ROWS rows; one without columns is of no rows. Raises VelocellError."""
    suffix = Path(path).suffix.lower()
    if suffix in (".csv", ".jsonl"):
        # Both or none.
        with replacing(path) as part, replacing(f"{path}.meta.json") as side:
            with part.open("w", encoding="utf-8", newline="") as handle:
                if suffix == ".csv":
                    write_csv(handle, parts)
                else:
                    write_jsonl(handle, parts, None)  # a first line that is not a row would spoil pandas' reader
            side.write_text(json.dumps(meta, indent=2) + "\n", encoding="utf-8")
    elif suffix == ".parquet":
        _write_parquet(path, parts, meta)
    else:
        raise TableError(f"cannot write tracks to '{path}': the suffix must be .csv, .jsonl or .parquet")


def write_csv(handle: TextIO, parts: Iterable[Columns]) -> None:
    """CSV with a header line; missing values are empty."""
    writer = csv.writer(handle, lineterminator="\n")
    for number, part in enumerate(_alike(parts)):
        if number == 0:
            writer.writerow(part)
        for rows in _slices(part):
            lines = None if len(rows) < 2 else _lines(rows, ["", *[","] * (len(rows) - 1)], json=False)
            if lines is not None:
                handle.write(lines)
            else:
                writer.writerows(zip(*(as_text(name, values) for name, values in rows.items()), strict=True))


def _lines(rows: Columns, before: Sequence[str], *, json: bool) -> str | None:
    """The same text by the C++ core, which is faster; None where columns are not all of plain numbers. before: what
    stands before each field."""
    kinds = [np.float64 if values.dtype.kind == "f" else np.int64 for values in rows.values()]
    fits = (
        values.dtype.kind in "iuf" and np.can_cast(values.dtype, kind)
        for values, kind in zip(rows.values(), kinds, strict=True)
    )
    if not all(fits):
        return None
    from velocell._native import table_lines

    decimals = [_DIGITS.get(name, 6) if kind is np.float64 else -1 for name, kind in zip(rows, kinds, strict=True)]
    lines = table_lines(list(map(column, rows.values(), kinds)), decimals, before, json)
    return lines if isinstance(lines, str) else None


def write_jsonl(handle: TextIO, parts: Iterable[Columns], meta: dict[str, Any] | None) -> None:
    """One JSON object a row; missing values are null. meta: goes into the first row, as its key `meta`, since a line of
    its own would be a row to other readers; without rows it is a line of its own. None: it is somewhere else."""
    for part in _alike(parts):
        before = [f"{'{' if k == 0 else ', '}{json.dumps(name)}: " for k, name in enumerate(part)]
        for rows in _slices(part):
            lines = _lines(rows, before, json=True)
            if lines is None:
                fields = (as_json(name, values) for name, values in rows.items())
                lines = "".join(
                    "".join(chain.from_iterable(zip(before, row, strict=True))) + "}\n"
                    for row in zip(*fields, strict=True)
                )
            if meta is not None and lines:
                end = lines.index("}\n")  # a key that holds this has its \n written as an escape
                lines = f'{lines[:end]}, "meta": {json.dumps(meta)}{lines[end:]}'
                meta = None
            handle.write(lines)
    if meta is not None:
        handle.write(json.dumps({"meta": meta}) + "\n")


def _write_parquet(path: str | Path, parts: Iterable[Columns], meta: dict[str, Any]) -> None:
    """Each part is a row group."""
    require_parquet(path)
    import pyarrow.parquet as pq

    with replacing(path) as file, ExitStack() as stack:
        writer = None
        for part in _alike(parts):
            table = arrow_table(part, meta)
            if writer is None:
                writer = stack.enter_context(pq.ParquetWriter(file, table.schema))
            writer.write_table(table)


def _alike(parts: Iterable[Columns]) -> Iterator[Columns]:
    """Those with columns. Raises TableError where there are none, and where two have others: in a file they would
    stand below each other."""
    names: list[str] = []
    for part in parts:
        names = names or list(part)
        if part and list(part) != names:
            raise TableError(f"a part of a table has the columns {', '.join(part)}, the first one {', '.join(names)}")
        if part:
            yield part
    if not names:
        raise TableError("a table without columns cannot be written; give at least one part that has some")


def _slices(part: Columns) -> Iterator[Columns]:
    """Some rows at a time: as text they need many times their memory."""
    for first in range(0, len(next(iter(part.values()))), _ROWS_AT_ONCE):
        yield {name: values[first : first + _ROWS_AT_ONCE] for name, values in part.items()}


def as_text(name: str, values: NDArray[Any]) -> list[str]:
    if values.dtype.kind != "f":
        return [str(value) for value in values.tolist()]
    digits = _DIGITS.get(name, 6)
    return ["" if value != value else f"{value:.{digits}f}" for value in values.tolist()]


def as_json(name: str, values: NDArray[Any]) -> list[str]:
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


class _Gathered:
    """Columns of texts or values that come some rows at a time; as such they need many times the memory of numbers."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._rows = 0
        self._parts: dict[str, list[NDArray[Any]]] = {}
        self._others: dict[str, list[Any]] = {}  # as they came: a column is of texts where one value is

    def take(self, rows: dict[str, list[Any]], n: int) -> None:
        """n more rows; a column that begins here was missing before, one that is not given is missing here."""
        for name in rows.keys() - set(self.names):
            self._put(name, [None] * self._rows)
        self.names += [name for name in rows if name not in self.names]
        for name in self.names:
            self._put(name, rows.get(name, [None] * n))
        self._rows += n

    def _put(self, name: str, values: list[Any]) -> None:
        if name not in COLUMNS:
            self._others.setdefault(name, []).extend(values)
        else:
            parsed = _times(values) if name == "t_us" else _column(name, values)
            self._parts.setdefault(name, []).append(parsed)

    def columns(self) -> dict[str, ArrayLike]:
        return {
            name: np.concatenate(self._parts[name]) if name in COLUMNS else _column(name, self._others[name])
            for name in self.names
        }


def read_csv(path: Path) -> tuple[dict[str, ArrayLike], dict[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as handle:  # spreadsheets begin UTF-8 with a mark
        lines = csv.reader(handle)
        header = next(lines, None)
        if header is None:
            raise TableError("the table is empty, without a header line")
        if len(set(header)) != len(header):
            raise TableError(f"the header names a column twice: {', '.join(header)}")
        gathered = _Gathered()
        for rows in _batched(_complete(lines, len(header)), _ROWS_AT_ONCE):
            gathered.take({name: [row[i] for row in rows] for i, name in enumerate(header)}, len(rows))
    if not gathered.names:
        gathered.take({name: [] for name in header}, 0)
    side = Path(f"{path}.meta.json")
    return gathered.columns(), parse_json(side.read_bytes()) if side.is_file() else {}


def _complete(lines: Iterable[list[str]], fields: int) -> Iterator[list[str]]:
    """Those that are not empty, each with all its fields."""
    for number, row in enumerate((row for row in lines if row), start=2):
        if len(row) != fields:
            raise TableError(f"row {number} has {len(row)} fields where the header has {fields}")
        yield row


def read_jsonl(path: Path) -> tuple[dict[str, ArrayLike], dict[str, Any]]:
    # Streams hold their meta data themselves, in their first row; those of earlier versions in a line of its own.
    metas: list[dict[str, Any]] = []
    notes: list[str] = []
    gathered, n_lines = _Gathered(), 0
    with path.open("rb") as handle:
        for rows in _batched(_objects(handle, path, metas, notes), _ROWS_AT_ONCE):
            n_lines += len(rows)
            rows = [row for row in rows if row]
            # A file that was gone on with may have been begun by an earlier version, with fewer columns.
            names = dict.fromkeys([*gathered.names, *(name for row in rows for name in row)])
            values = {name: [row[name] if name in REQUIRED else row.get(name) for row in rows] for name in names}
            gathered.take(values, len(rows))
    side = Path(f"{path}.meta.json")
    if not n_lines and not side.is_file():
        raise TableError("the table is empty, without even a line of meta data")
    if not gathered.names:
        gathered.take({name: [] for name in COLUMNS}, 0)
    if not metas and side.is_file():
        metas = [parse_json(side.read_bytes())]
    meta = {**metas[0]} if metas else {}
    meta |= {name: more for name, more in (("appended", metas[1:]), ("notes", notes)) if more}
    return gathered.columns(), meta


def _objects(
    lines: Iterable[bytes], path: Path, metas: list[dict[str, Any]], notes: list[str]
) -> Iterator[dict[str, Any]]:
    """The rows, without their meta data, which go into `metas`."""
    begun_by_live, rows = False, 0
    for line in lines:
        if not line.strip():
            continue
        try:
            row = parse_json(line)
        except ValueError:
            # Only `velocell live` adds to a file line by line; any other table is damaged.
            if line.endswith(b"\n") or not begun_by_live:
                raise
            notes.append(f"the last line was incomplete and left out ({len(line)} bytes); its writer was stopped")
            warnings.warn(f"{path}: {notes[0]}", stacklevel=5)
            return
        if not isinstance(row, dict):
            raise TypeError("a line that is not an object")
        if "meta" in row:
            meta = row.pop("meta")
            metas.append(meta)
            begun_by_live |= rows == 0 and isinstance(meta, dict) and meta.get("command") == "live"
        rows += 1
        yield row


def _batched(rows: Iterable[_Row], n: int) -> Iterator[list[_Row]]:
    """Lists of n, the last of fewer."""
    rows = iter(rows)
    while part := list(islice(rows, n)):
        yield part
