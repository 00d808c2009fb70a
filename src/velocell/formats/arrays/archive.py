"""Reading members of a zip archive that may be damaged or made to do harm.

`.npz` files and torch tensors are both zip archives; what an archive holds decides which it is.
"""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from velocell.data.files import ARCHIVE_DAMAGE
from velocell.errors import RecordingError
from velocell.formats.wording import bare

MAX_HEADER_BYTES = 1 << 16  # of an array: what NumPy writes has some 100
_LARGEST_INDEX = 1 << 20  # bytes of the list of members, of which a recording has a dozen
_TAIL_BYTES = 1 << 17  # the end of an archive with the longest remark
_READ_BYTES = 1 << 18


def is_zip(head: bytes) -> bool:
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive at `path`; whatever fails inside the block for damaged bytes becomes a RecordingError."""
    try:
        _check_index(path)
        with zipfile.ZipFile(path) as archive:
            yield archive
    except ARCHIVE_DAMAGE as error:
        raise RecordingError(
            f"{path} is a zip archive that is damaged or incomplete ({_short(error)}); copy or save the file again"
        ) from None


def member_names(path: Path) -> list[str]:
    with opened(path) as archive:
        return archive.namelist()


def _check_index(path: Path) -> None:
    """Refuse an archive with a list of members that would fill the memory: Python reads it whole."""
    n_bytes = path.stat().st_size
    with path.open("rb") as handle:
        handle.seek(max(0, n_bytes - _TAIL_BYTES))
        tail = handle.read(_TAIL_BYTES)
    end, large = tail.rfind(b"PK\x05\x06"), tail.rfind(b"PK\x06\x06")
    length = 0
    if 0 <= end <= len(tail) - 16:
        length = struct.unpack_from("<I", tail, end + 12)[0]
    if length == 0xFFFFFFFF and 0 <= large <= len(tail) - 48:
        length = struct.unpack_from("<Q", tail, large + 40)[0]
    if length > _LARGEST_INDEX:
        raise RecordingError(
            f"{path} is a zip archive whose list of members has {length} bytes, more than {_LARGEST_INDEX}; save t, x, "
            "y and p alone"
        )


def read_bytes(handle: IO[bytes], n: int) -> NDArray[np.uint8]:
    """The next n bytes as an array (n,). Small pieces, so that nothing is held twice."""
    data = np.empty(n, np.uint8)
    view = data.data
    for first in range(0, n, _READ_BYTES):
        wanted = min(_READ_BYTES, n - first)
        piece = handle.read(wanted)
        if len(piece) != wanted:
            raise EOFError(f"{n - first - len(piece)} bytes are missing")
        view[first : first + wanted] = piece
    return data


def array_header(handle: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, whether column by column, type, and length in bytes of the header of an .npy at the handle's place."""
    version = np.lib.format.read_magic(handle)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"array version {version} is unknown")
    field = "<H" if version == (1, 0) else "<I"
    stated = handle.read(struct.calcsize(field))
    n = struct.unpack(field, stated)[0]
    if n > MAX_HEADER_BYTES:
        raise ValueError(f"its header has {n} bytes, more than {MAX_HEADER_BYTES}")
    text = handle.read(n)
    reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a header that Python finds odd, which says nothing about the events
        shape, by_column, dtype = reader(io.BytesIO(stated + text))
    whole = tuple(int(length) for length in shape)  # True counts as one
    if any(length < 0 for length in whole):
        raise ValueError(f"a shape of {shape}")
    return whole, by_column, dtype, handle.tell()


def _short(error: BaseException) -> str:
    return bare(" ".join(str(error).split()) or type(error).__name__, 120)
