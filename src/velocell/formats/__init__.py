"""Reading recordings: the format is found by a file's content, never by its name.

A format is a module with `NAME`, `matches(head, path)` and `read(path, *, size, frame_time_us)`;
the list below is the only place that names them all.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Protocol

from velocell.errors import RecordingError
from velocell.formats import npz, text, torch_tensor
from velocell.formats.npz import write_npz
from velocell.formats.text import write_csv
from velocell.recording import Recording

__all__ = ["FORMATS", "read", "write_csv", "write_npz"]


class Format(Protocol):
    """One family of files. `matches` gets the first bytes of a regular file that is not empty."""

    NAME: str

    def matches(self, head: bytes, path: Path) -> bool: ...

    def read(self, path: Path, *, size: tuple[int, int] | None, frame_time_us: int) -> Recording: ...


FORMATS: tuple[Format, ...] = (npz, torch_tensor, text)

_HEAD_BYTES = 1 << 12

# Files that people will try, so that the error can tell them what they have.
_FOREIGN = (
    (rb"% (evt |format EVT)|(%[^\n]*\n)+?% (evt |format EVT)", "a Prophesee RAW file"),
    (rb"(%[^\n]*\n)*?% Data file containing", "a Prophesee DAT file"),
    (rb"(%[^\n]*\n)+[^\n]*[\x00-\x08]", "a Prophesee file"),
    (rb"#!AER-DAT4", "an AEDAT4 file"),
    (rb"#!AER-DAT", "an AEDAT file of version 1 to 3"),
    (rb"Event Stream", "an Event Stream file"),
    (rb"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (rb"#ROSBAG V", "a ROS 1 bag"),
    (rb"SQLite format 3\x00", "an SQLite database, as ROS 2 bags are"),
    (rb"\x89MCAP0", "an MCAP file"),
    (rb"\x93NUMPY", "a single NumPy array (.npy)"),
    (rb"MATLAB ", "a MATLAB file"),
    (
        rb"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19",
        "a torch file from before torch 1.6 (save it again with torch 1.6 or later)",
    ),
    (rb"\x80[\x02-\x05]", "a Python pickle, which could run code"),
    (rb"PK\x03\x04|PK\x05\x06", "a zip archive with neither NumPy arrays nor a torch tensor"),
    (rb"\x1f\x8b|BZh|\xfd7zXZ\x00|\x28\xb5\x2f\xfd", "a compressed file (unpack it first)"),
    (rb"\xff\xfe|\xfe\xff", "text in UTF-16 (save it as UTF-8)"),
)


def read(path: str | Path, *, size: tuple[int, int] | None = None, frame_time_us: int = 1_000) -> Recording:
    """Read a recording in any of `FORMATS`.

    size: (width, height) in pixels, in place of what the file says or leaves open.
    frame_time_us: period of the frames in files that hold frames instead of times.
    Raises RecordingError: one sentence with the file's name, what is wrong and what to do.
    """
    file = Path(path)
    try:
        head = _head(file)
        for known in FORMATS:
            if known.matches(head, file):
                return known.read(file, size=size, frame_time_us=frame_time_us)
    except OSError as error:
        raise RecordingError(f"cannot read {file}: {(error.strerror or str(error)).lower()}; check the path") from None
    except MemoryError:
        raise RecordingError(f"{file} does not fit into memory; cut it into parts") from None
    readable = "; ".join(known.NAME for known in FORMATS)
    raise RecordingError(f"{file} is {_guess(head)}, which this version does not read; it reads: {readable}")


def _head(file: Path) -> bytes:
    # Opening a FIFO would wait for its writer.
    kind = file.stat().st_mode
    if stat.S_ISDIR(kind):
        raise RecordingError(f"{file} is a folder; name a file in it")
    if not stat.S_ISREG(kind):
        raise RecordingError(f"{file} is not a regular file; save the recording to a file first")
    with file.open("rb") as handle:
        head = handle.read(_HEAD_BYTES)
    if not head:
        raise RecordingError(f"{file} is empty; copy or record it again")
    return head


def _guess(head: bytes) -> str:
    names = (name for pattern, name in _FOREIGN if re.match(pattern, head, re.DOTALL))
    return next(names, "of an unknown format")
