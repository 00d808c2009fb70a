"""Chunks of an HDF5 file that state a length other than their own.

The filters LZ4, Bitshuffle and Blosc believe what a chunk says of its own length.
"""

from __future__ import annotations

import math
import struct
from itertools import product
from typing import Any

_BLOSC, _LZ4, _BITSHUFFLE = 32001, 32004, 32008


def chunk_bytes(dataset: Any) -> int:
    """Of one chunk once it is unpacked; 0 for a dataset without chunks."""
    return math.prod(map(int, dataset.chunks or (0,))) * int(dataset.dtype.itemsize)


def check_chunks(dataset: Any, first: int, n: int) -> None:
    """The chunks of rows first..first+n-1. Raises ValueError where one states a length other than its own."""
    if dataset.chunks is None:
        return
    plist = dataset.id.get_create_plist()
    filters = plist.get_nfilters()
    last = plist.get_filter(filters - 1)[0] if filters else None
    if last not in (_BLOSC, _LZ4, _BITSHUFFLE):
        return
    size = chunk_bytes(dataset)
    rows, *others = zip(dataset.shape, dataset.chunks, strict=True)
    starts = range(first // rows[1] * rows[1], min(first + n, rows[0]), rows[1])
    for place in product(starts, *(range(0, length, chunk) for length, chunk in others)):
        if dataset.id.get_chunk_info_by_coord(place).byte_offset is None:
            continue
        mask, data = dataset.id.read_direct_chunk(place)
        # A set bit: this filter was left out.
        if not mask >> (filters - 1) & 1 and not _sound(last, data, size):
            raise ValueError("a chunk states a wrong length")


def _sound(number: int, data: bytes, size: int) -> bool:
    """`size`: of the chunk in bytes; a checksum may add four."""
    if len(data) < 16:
        return False
    if number == _BLOSC:
        unpacked, block, packed = struct.unpack_from("<III", data, 4)
        return packed == len(data) and unpacked in (size, size + 4) and 0 < block <= unpacked
    unpacked, block = struct.unpack_from(">QI", data)
    return unpacked in (size, size + 4)
