"""A single NumPy array (.npy): fields or columns t, x, y and optional p."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.data.blocks import Events
from velocell.data.budget import Budget
from velocell.data.files import ARCHIVE_DAMAGE
from velocell.data.integrity import Integrity
from velocell.errors import RecordingError
from velocell.formats import columns
from velocell.formats.arrays.archive import array_header
from velocell.formats.arrays.tables import pictures
from velocell.formats.source import Opened
from velocell.formats.text.layout import inferred_columns
from velocell.formats.wording import bare

NAME = "NumPy .npy with fields or columns t, x, y and optional p"

_MAGIC = b"\x93NUMPY"
_BLOCK = 1 << 17
_REMEDY = "save an array with the fields t, x, y and p, or a .npz"


@dataclass(frozen=True)
class _Array:
    """What the header says. Rows are read in blocks, so that no array is ever held whole."""

    path: Path
    shape: tuple[int, ...]
    by_column: bool
    dtype: np.dtype[Any]
    offset: int

    def rows(self, first: int, n: int) -> NDArray[Any]:
        """Rows first..first+n-1: (n,) of a structured array, (n, k) of a table."""
        n = min(n, self.shape[0] - first)
        width = self.shape[1] if len(self.shape) == 2 else 1
        with self.path.open("rb") as handle:
            if not self.by_column:
                handle.seek(self.offset + first * width * self.dtype.itemsize)
                return self._read(handle, n * width).reshape(n, *self.shape[1:])
            table = np.empty((n, width), self.dtype)
            for k in range(width):
                handle.seek(self.offset + (k * self.shape[0] + first) * self.dtype.itemsize)
                table[:, k] = self._read(handle, n)
            return table

    def _read(self, handle: Any, n: int) -> NDArray[Any]:
        data = handle.read(n * self.dtype.itemsize)
        if len(data) < n * self.dtype.itemsize:
            raise RecordingError(f"{self.path} became shorter while it was read; read it again")
        return np.frombuffer(data, self.dtype)


def matches(head: bytes, path: Path) -> bool:
    return head.startswith(_MAGIC)


def open_file(
    path: Path, *, size: tuple[int, int] | None, frame_time_us: int, time_unit: str | None, budget: Budget
) -> Opened:
    """Fields are found by their names, columns of a table (n, 3 or 4), or turned, by their values."""
    array = _array(path)
    if len(array.shape) > 2:
        raise RecordingError(f"{path} is {pictures(array.shape, array.dtype)}; {_REMEDY}")
    sample = columns.sample(array.rows, array.shape[0])
    if array.dtype.names is not None:
        named = columns.naming(array.dtype.names)
        if named is None or len(array.shape) != 1:
            fields = ", ".join(map(bare, array.dtype.names))
            raise RecordingError(f"{path} is an array of shape {array.shape} with the fields {fields}; {_REMEDY}")
        where: dict[str, Any] = dict(named.names)
        how, unit_name = "fields", named.unit
        if any(array.dtype[field].kind not in "iubf" or array.dtype[field].shape for field in where.values()):
            raise RecordingError(f"{path} has fields that are not numbers; {_REMEDY}")
    else:
        if len(array.shape) != 2 or array.shape[1] not in (3, 4):
            raise RecordingError(f"{path} is an array of shape {array.shape}, not a list of events; {_REMEDY}")
        if not len(sample):
            raise RecordingError(f"{path} is a table without rows; {_REMEDY}")
        positions = inferred_columns(sample.astype(np.float64), path, _REMEDY)
        where = {name: (slice(None), k) for name, k in positions.items()}
        how, unit_name = f"columns {' '.join(sorted(positions, key=positions.__getitem__))}, by their values", None
    unit = columns.unit_of(sample[where["t"]], unit_name, path, time_unit)

    def decode(integrity: Integrity, start_us: int | None) -> Iterator[Events]:
        blocks = columns.Blocks(unit, path, integrity)
        for first in range(0, array.shape[0], _BLOCK):
            rows = array.rows(first, _BLOCK)
            found = {name: np.ascontiguousarray(rows[where[name]]) for name in where}
            yield blocks.events(found["t"], found["x"], found["y"], found.get("p"))

    notes = (f"times read as {unit.name}, {unit.why}",)
    return Opened("NumPy array", f"by its first bytes; {how}", decode, polarity="p" in where, notes=notes)


def _array(path: Path) -> _Array:
    """The header, checked against the length of the file before any memory is set aside."""
    try:
        with path.open("rb") as handle:
            shape, by_column, dtype, offset = array_header(handle)
    except ARCHIVE_DAMAGE as error:
        reason = bare(" ".join(str(error).split()), 120)
        raise RecordingError(f"{path} is a NumPy array with a damaged header ({reason}); save it again") from None
    if dtype.hasobject:
        raise RecordingError(f"{path} holds Python objects, which could run code and are not read; save numbers")
    if dtype.names is None and dtype.kind not in "iubf":
        raise RecordingError(f"{path} holds {dtype}, not numbers; {_REMEDY}")
    count = 1
    for length in shape:
        count *= length
    found = path.stat().st_size - offset
    if not shape or dtype.itemsize == 0 or count * dtype.itemsize != found:
        raise RecordingError(
            f"{path} has {found} bytes for an array of shape {shape}, which needs {count * dtype.itemsize}; "
            "copy or save it again"
        )
    by_column = by_column and len(shape) == 2
    # A table whose columns are rows: (4, n) row by row is stored as (n, 4) column by column is.
    if len(shape) == 2 and shape[0] in (3, 4) and shape[1] > 4:
        shape, by_column = shape[::-1], not by_column
    return _Array(path, shape, by_column, dtype, offset)
