"""Tables in Parquet files, read in a process of its own (`apart.py`): a page of some bytes may state gigabytes."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from velocell.data import apart
from velocell.data.extras import install_line
from velocell.data.side_files import most_unpacked, parse_json
from velocell.errors import RecordingError, TableError, printable

_MEMORY_BYTES, _MEMORY_A_BYTE = 256 << 20, 3  # of the process that reads
_NEEDS = ("pyarrow.parquet", "pyarrow.compute")
_ROWS_AT_ONCE = 1 << 16
_LEAST_COLUMNS, _MOST_COLUMNS = 12, 1_000  # those that are missing are filled in
_MOST_META_BYTES = 16 << 20


def require_parquet(path: str | Path) -> None:
    """Raise TableError where the extra that reads and writes Parquet is not installed."""
    if importlib.util.find_spec("pyarrow") is None:
        raise TableError(f"{path} needs pyarrow; install it with: {install_line('parquet')}")


def read_parquet(path: Path) -> tuple[dict[str, ArrayLike], dict[str, Any]]:
    """Columns by name, numbers or texts, and the meta data. Raises TableError, ValueError."""
    require_parquet(path)
    n_bytes = path.stat().st_size
    request = {"path": str(path), "most_bytes": most_unpacked(path)}
    parts: list[list[NDArray[Any]]] = []
    try:
        answers = apart.messages(parquet_apart, request, _MEMORY_BYTES + _MEMORY_A_BYTE * n_bytes, _NEEDS)
        names, (meta,) = next(answers)
        for said, arrays in answers:
            parts.append([array.view(kind) for array, kind in zip(arrays, said["kinds"], strict=True)])
    except apart.Died as error:
        raise ValueError(printable(str(error))) from None
    except RecordingError as error:
        raise TableError(printable(str(error))) from None
    columns: dict[str, ArrayLike] = {name: np.concatenate([part.pop(0) for part in parts]) for name in names["names"]}
    return columns, parse_json(meta.tobytes())


def parquet_apart(request: dict[str, Any]) -> Iterator[apart.Message]:
    """The names of the columns and the meta data, then the rows; to be run in the other process."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pa.set_memory_pool(pa.system_memory_pool())  # others set gigabytes of addresses aside
    most_bytes = request["most_bytes"]
    file = pq.ParquetFile(request["path"])
    names = file.schema_arrow.names
    if len(names) > _MOST_COLUMNS or len(set(names)) < len(names):
        raise RecordingError(f"it has {len(names)} columns, some of one name or more than {_MOST_COLUMNS}")
    _check(8 * max(len(names), _LEAST_COLUMNS) * file.metadata.num_rows, most_bytes)
    meta = (file.schema_arrow.metadata or {}).get(b"velocell", b"{}")
    if len(meta) > _MOST_META_BYTES:
        raise RecordingError(f"its meta data has {len(meta)} bytes, more than {_MOST_META_BYTES}")
    yield {"names": names}, [np.frombuffer(meta, np.uint8)]
    taken = 0
    for batch in file.iter_batches(_ROWS_AT_ONCE, use_threads=False) if file.metadata.num_rows else [_nothing(file)]:
        arrays = []
        for name, column in zip(names, batch.columns, strict=True):
            arrays.append(_plain(name, column, most_bytes - taken))
            taken += arrays[-1].nbytes
            _check(taken, most_bytes)
        yield {"kinds": [array.dtype.str for array in arrays]}, [array.view(np.uint8) for array in arrays]


def _nothing(file: Any) -> Any:
    """A batch without rows."""
    import pyarrow as pa

    schema = file.schema_arrow
    return pa.RecordBatch.from_arrays([pa.array([], kind) for kind in schema.types], schema=schema)


def _plain(name: str, column: Any, most_bytes: int) -> NDArray[Any]:
    """Numbers, or texts of one length."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        longest = pc.max(pc.utf8_length(column)).as_py() or 1
        _check(4 * longest * len(column), most_bytes)
        return np.array(["" if text is None else text for text in column.to_pylist()], f"<U{longest}")
    if pa.types.is_boolean(column.type) and column.null_count:
        column = column.cast(pa.uint8())  # to have a place for what is missing
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan)
    values: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    if values.dtype.kind not in "iufbmM":
        raise RecordingError(f"the column {name!r} holds {column.type}, neither numbers nor text")
    return np.ascontiguousarray(values)


def _check(n_bytes: int, most_bytes: int) -> None:
    if n_bytes > most_bytes:
        raise RecordingError(
            f"it unpacks to {n_bytes >> 20} MB or more, and a file of its length may to {most_bytes >> 20} MB; write "
            "it as .csv, or in parts"
        )
