"""Reading recordings: the format is found by a file's content, never by its name.

How a format plugs in stands in `source.py`; the list below is the only place that names them all.
"""

from __future__ import annotations

import re
import stat
import weakref
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from velocell.data.blocks import gathered
from velocell.data.budget import Budget
from velocell.data.recording import Recording
from velocell.errors import RecordingError
from velocell.formats import event_stream, nmnist, packed
from velocell.formats.aedat import aedat2, aedat4, aedat31
from velocell.formats.aedat.write import write_aedat4
from velocell.formats.arrays import mat, npy, npz
from velocell.formats.arrays import torch as torch_tensor
from velocell.formats.arrays.npz import write_npz
from velocell.formats.clock import UNITS
from velocell.formats.hdf5 import read as hdf5
from velocell.formats.hdf5.write import write_hdf5
from velocell.formats.prophesee import dat
from velocell.formats.prophesee import raw as prophesee
from velocell.formats.prophesee.write import write_dat, write_evt2, write_evt3
from velocell.formats.ros import events as rosbag
from velocell.formats.ros import folder
from velocell.formats.seek import kept, key_of
from velocell.formats.source import Opened, Source, file_errors
from velocell.formats.text import text
from velocell.formats.text.text import write_csv

__all__ = [
    "FORMATS",
    "WRITERS",
    "Source",
    "check_readable",
    "open_recording",
    "read",
    "write_aedat4",
    "write_csv",
    "write_dat",
    "write_evt2",
    "write_evt3",
    "write_hdf5",
    "write_npz",
]


class Format(Protocol):
    """One family of files. `matches` gets the first bytes of a regular file that is not empty."""

    NAME: str

    def matches(self, head: bytes, path: Path) -> bool: ...

    def open_file(
        self, path: Path, *, size: tuple[int, int] | None, frame_time_us: int, time_unit: str | None, budget: Budget
    ) -> Opened: ...


FORMATS: tuple[Format, ...] = (
    prophesee,
    dat,
    aedat4,
    aedat31,
    aedat2,
    event_stream,
    hdf5,
    rosbag,
    npz,
    npy,
    mat,
    torch_tensor,
    text,
    nmnist,
)

# What these hold may be in any unit.
_WITHOUT_UNIT: tuple[Format, ...] = (hdf5, npz, npy, mat, text)

# By the suffix of the output. A writer takes consecutive blocks, such as `Source.blocks` gives, and a path.
Writer = Callable[[Iterable[Recording], Path], None]
WRITERS: dict[str, Writer] = {
    ".npz": lambda blocks, path: write_npz(gathered(blocks), path),
    ".csv": lambda blocks, path: write_csv(gathered(blocks), path),
    ".raw": write_evt3,
    ".dat": write_dat,
    ".aedat4": write_aedat4,
    ".h5": write_hdf5,
    ".hdf5": write_hdf5,
}

_HEAD_BYTES = 1 << 12

# Files that people will try, so that the error can name what they have.
_FOREIGN = (
    (rb"(%[^\n]*\n)+[^\n]*[\x00-\x08]", "a Prophesee file"),
    (rb"#!AER-DAT", "an AEDAT file of version 1 or 3.0"),
    (rb"#ROSBAG V1", "a ROS bag of version 1"),
    (rb"MATLAB ", "a MATLAB file of an unknown version"),
    (
        rb"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19",
        "a torch file from before torch 1.6 (save it again with torch 1.6 or later)",
    ),
    (rb"\x80[\x02-\x05]", "a Python pickle, which could run code"),
    (rb"PK\x03\x04|PK\x05\x06", "a zip archive with neither NumPy arrays nor a torch tensor"),
    (rb"\x1f\x8b|BZh|\xfd7zXZ\x00|\x28\xb5\x2f\xfd", "a compressed file in a compressed file (unpack it first)"),
    (rb".{257}ustar", "a tar archive (unpack it first)"),
    (rb"\xff\xfe|\xfe\xff", "text in UTF-16 (save it as UTF-8)"),
)


def open_recording(
    path: str | Path,
    *,
    size: tuple[int, int] | None = None,
    frame_time_us: int = 1_000,
    time_unit: str | None = None,
    strict: bool = False,
    budget: float = 1.0,
    index: str | Path | None = None,
) -> Source:
    """Open a recording in any of `FORMATS`, to read it block by block, whole or in part.

    size: (width, height) in pixels, in place of what the file says or leaves open.
    frame_time_us: period of the frames in files that hold frames instead of times.
    time_unit: s, ms, us or ns, in place of what the names of a text or of arrays say or leave open.
    strict: refuse what would be repaired otherwise (see `integrity.FAULTS`).
    budget: how many times the memory, events and work that a file of this length usually may cost (`data/budget.py`).
    index: a file that `Source.keep_index` wrote; where it is of this very recording, parts are opened without decoding
    what is before them. One of another recording, or of this one before it changed, is as good as none.
    Raises RecordingError: one sentence with the file's name, what is wrong and what to do.
    """
    file = Path(path)
    with file_errors(file):
        allowed = Budget.of(file, budget)
        head = _head(file)
        reading = {"size": size, "frame_time_us": frame_time_us, "time_unit": time_unit}
        marks = None if index is None else kept(Path(index), key_of(file, reading))
        how = packed.kind_of(head)
        if how is None:
            opened = _opened(file, head, size, frame_time_us, time_unit, allowed)
            return Source(file, opened, allowed, size=size, strict=strict, marks=marks, reading=reading)
        inside, remove = packed.unpacked(file, how, allowed)
        try:
            opened = _opened(inside, _head(inside), size, frame_time_us, time_unit, allowed)
            named = replace(opened, name=f"{opened.name} packed by {how}")
            source = Source(file, named, allowed, size=size, strict=strict, marks=marks, reading=reading)
        except BaseException:
            remove()
            raise
        weakref.finalize(source, remove)
        return source


def check_readable(path: str | Path) -> None:
    """Raise RecordingError where nothing can be read at a path: a folder, a FIFO, an empty file."""
    file = Path(path)
    with file_errors(file):
        _head(file)


def _opened(
    file: Path, head: bytes, size: tuple[int, int] | None, frame_time_us: int, time_unit: str | None, budget: Budget
) -> Opened:
    """By the format that `head` shows. Raises RecordingError."""
    for known in FORMATS if head else (rosbag,):
        if known.matches(head, file):
            _check_time_unit(time_unit, known, file)
            return known.open_file(file, size=size, frame_time_us=frame_time_us, time_unit=time_unit, budget=budget)
    readable = "; ".join(known.NAME for known in FORMATS)
    raise RecordingError(f"{file} is {_guess(head)}, which this version does not read; it reads: {readable}")


def read(
    path: str | Path,
    *,
    size: tuple[int, int] | None = None,
    frame_time_us: int = 1_000,
    time_unit: str | None = None,
    strict: bool = False,
    budget: float = 1.0,
) -> Recording:
    """All of a recording at once; arguments and errors as of `open_recording`."""
    source = open_recording(
        path, size=size, frame_time_us=frame_time_us, time_unit=time_unit, strict=strict, budget=budget
    )
    return source.read()


def _check_time_unit(time_unit: str | None, known: Format, file: Path) -> None:
    if time_unit is None:
        return
    if time_unit not in UNITS:
        raise RecordingError(f"the unit of time is {time_unit!r}; it must be one of {', '.join(UNITS)}")
    if known not in _WITHOUT_UNIT:
        raise RecordingError(
            f"{file}: the format of this file ({known.NAME}) sets the unit of its times; drop --time-unit"
        )


def _head(file: Path) -> bytes:
    # Opening a FIFO would wait for its writer.
    kind = file.stat().st_mode
    if folder.is_bag(file):
        return b""
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
