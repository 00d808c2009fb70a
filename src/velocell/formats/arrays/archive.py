"""Reading members of a zip archive that may be damaged or made to do harm.

`.npz` files and torch tensors are both zip archives; what an archive holds decides which it is.
"""

from __future__ import annotations

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
from velocell.formats.wording import bare, shown

MAX_PACKED_BYTES = 4 << 30
_READ_BYTES = 1 << 18


def is_zip(head: bytes) -> bool:
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive at `path`; whatever fails inside the block for damaged bytes becomes a RecordingError."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except ARCHIVE_DAMAGE as error:
        raise RecordingError(
            f"{path} is a zip archive that is damaged or incomplete ({_short(error)}); copy or save the file again"
        ) from None


def member_names(path: Path) -> list[str]:
    with opened(path) as archive:
        return archive.namelist()


def check_packed_size(path: Path, member: zipfile.ZipInfo) -> None:
    """Refuse a compressed member that would unpack to more than the limit."""
    if member.compress_type != zipfile.ZIP_STORED and member.file_size > MAX_PACKED_BYTES:
        raise RecordingError(
            f"{path}: {shown(member.filename)} would unpack to {member.file_size / 2**30:.1f} GiB, more than the limit "
            f"of {MAX_PACKED_BYTES >> 30} GiB; save the file without compression"
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
    reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a header that Python finds odd, which says nothing about the events
        return *reader(handle), handle.tell()


def _short(error: BaseException) -> str:
    return bare(" ".join(str(error).split()) or type(error).__name__, 120)
