"""Along which side of a dataset its events stand.

MATLAB writes every list as a matrix, (1, n) or (n, 1), and every matrix turned: (n, 4) as (4, n).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.formats.hdf5.guard import check_chunks


def list_length(dataset: Any) -> int | None:
    """Of a list, also as a matrix of one row or column; None for anything else."""
    shape = dataset.shape
    if len(shape) == 1:
        return int(shape[0])
    return int(max(shape)) if len(shape) == 2 and min(shape) == 1 else None


def is_table(dataset: Any) -> bool:
    """Whether it may be (n, 3 or 4), or turned, with at least one row."""
    shape = dataset.shape
    return len(shape) == 2 and min(shape) > 0 and (shape[1] in (3, 4) or _is_turned(dataset))


def table_length(dataset: Any) -> int:
    return int(dataset.shape[1 if _is_turned(dataset) else 0])


def rows_of(dataset: Any, first: int, n: int) -> NDArray[Any]:
    """Events first..first+n-1: (n,) of a list or of fields, (n, k) of a table. Raises ValueError for chunks that state
    a wrong length."""
    if len(dataset.shape) < 2 or not _is_turned(dataset):
        check_chunks(dataset, first, n)
        rows: NDArray[Any] = dataset[first : first + n]
        return rows if rows.ndim < 2 or rows.shape[1] > 1 else rows[:, 0]
    check_chunks(dataset, 0, int(dataset.shape[0]))
    rows = np.asarray(dataset[:, first : first + n])
    return rows[0] if len(rows) == 1 else rows.T


def events_in_chunk(dataset: Any) -> int:
    """1 where it has no chunks."""
    if dataset.chunks is None:
        return 1
    return int(dataset.chunks[1 if len(dataset.shape) == 2 and _is_turned(dataset) else 0])


def _is_turned(dataset: Any) -> bool:
    rows, columns = dataset.shape
    return (rows == 1 < columns) or (rows in (3, 4) and columns > 4)
