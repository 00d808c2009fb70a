"""Windows of a recording that need not fit into memory.

An uncompressed `.npz` (as Velocell writes it) is read window by window where it lies; any other file is decoded once,
block by block, into temporary files without a name, and read from there. Of the times every 65 536th is remembered.
Mapping files into memory was rejected: a file that is cut short while it is mapped ends the process.
"""

from __future__ import annotations

import errno
import os
import struct
import tempfile
import weakref
import zipfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell import formats
from velocell.data.recording import Recording
from velocell.errors import RecordingError, unreadable
from velocell.viewer.source import OnDisk

_INDEX_STEP = 1 << 16
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_SCALARS = ("width", "height", "start_us", "stop_us")
_SPOOLED: dict[str, Any] = {"t": np.int64, "x": np.uint16, "y": np.uint16, "p": np.bool_}


@dataclass(frozen=True)
class _Column:
    """One array inside a file: the open file, where its numbers begin, their type, how many."""

    file: int
    offset: int
    dtype: np.dtype[Any]
    length: int

    def read(self, first: int, last: int) -> NDArray[Any] | None:
        """The numbers first..last-1; None where the file has become shorter."""
        wanted = (last - first) * self.dtype.itemsize
        parts, have = [], 0
        while have < wanted:  # one read gives 2 GB at most
            part = os.pread(self.file, wanted - have, self.offset + first * self.dtype.itemsize + have)
            if not part:
                return None
            parts.append(part)
            have += len(part)
        return np.frombuffer(b"".join(parts), self.dtype)


class Windowed:
    """A recording of any size, of which only windows are in memory. Made by `stored` and `spooled`."""

    growing = False

    def __init__(
        self, path: Path, columns: Mapping[str, _Column], scalars: Mapping[str, int], notes: tuple[str, ...],
        changed: Callable[[], str | None],
    ) -> None:  # fmt: skip
        """columns: t, x, y and perhaps p. scalars: width and height; start_us and stop_us where the file has
        them. Raises RecordingError where these cannot be a recording."""
        self._path, self._columns, self._changed = path, columns, changed
        self.name, self.title, self.notes = str(path), path.name, notes
        self.polarity, self.events = "p" in columns, columns["t"].length
        if not self.events:
            raise RecordingError(f"{path} holds no events; check that it was recorded and saved in full")
        if "width" not in scalars or "height" not in scalars:
            raise RecordingError(f"{path} is too large to infer the sensor size from; save it with width and height")
        self.size = (scalars["width"], scalars["height"])
        starts = range(0, self.events, _INDEX_STEP)
        self._index = np.array([self._read("t", n, n + 1)[0] for n in starts], dtype=np.int64)
        last_us = int(self._read("t", self.events - 1, self.events)[0])
        if (np.diff(self._index) < 0).any() or last_us < self._index[-1] or self._index[0] < 0:
            raise RecordingError(f"times in {path} go back or are negative; sort the events by time")
        self.start_us = scalars.get("start_us", int(self._index[0]))
        self.stop_us = scalars.get("stop_us", last_us + 1)

    def window(self, start_us: int, stop_us: int) -> Recording:
        start = min(max(start_us, self.start_us), self.stop_us)
        stop = max(start, min(stop_us, self.stop_us))
        return self._between(self._search(start), self._search(stop), start, stop)

    def head(self, most: int, start_us: int, stop_us: int) -> Recording:
        """The first events of [start, stop), `most` at most."""
        first, last = self._search(start_us), self._search(stop_us)
        return self._between(first, min(last, first + most), start_us, stop_us)

    def count(self, edges_us: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.diff([self._search(int(edge)) for edge in edges_us])

    def check(self) -> str | None:
        return self._changed()

    def _between(self, first: int, last: int, start_us: int, stop_us: int) -> Recording:
        p = self._read("p", first, last).astype(np.bool_) if self.polarity else None
        t, x, y = (self._read(name, first, last) for name in "txy")
        return Recording.from_arrays(
            t, x, y, p, width=self.size[0], height=self.size[1], start_us=start_us, stop_us=stop_us, source=self.name
        )

    def _search(self, t_us: int) -> int:
        """How many events are earlier than `t_us`."""
        block = int(np.searchsorted(self._index, t_us)) - 1
        if block < 0:
            return 0
        first = block * _INDEX_STEP
        return first + int(np.searchsorted(self._read("t", first, min(first + _INDEX_STEP, self.events)), t_us))

    def _read(self, name: str, first: int, last: int) -> NDArray[Any]:
        values = self._columns[name].read(first, last)
        if values is None:
            raise RecordingError(f"{self._path} was cut short while it was viewed; save it again and open it anew")
        return values


def stored(path: str | Path) -> Windowed:
    """An uncompressed `.npz`, read where it lies. Raises RecordingError where it cannot be read so."""
    path = Path(path)
    try:
        here, file = OnDisk.now(path), os.open(path, os.O_RDONLY)
    except OSError as error:
        raise RecordingError(unreadable(path, error)) from None
    keeper = _Descriptor(file)
    try:
        columns, scalars = _layout(file, path)
    except (zipfile.BadZipFile, ValueError, KeyError, OSError, struct.error) as error:
        raise RecordingError(f"{path} cannot be read in windows ({error}); save it with velocell convert") from None

    def changed(keep: object = keeper) -> str | None:  # the file stays open as long as this does
        return here.changed("the file it has open")

    return Windowed(path, columns, scalars, ("NumPy archive, read window by window",), changed)


def spooled(
    path: Path, size: tuple[int, int] | None, frame_time_us: int, budget: float = 1.0, time_unit: str | None = None
) -> Windowed:
    """Any recording, decoded once into temporary files that vanish with the program. Raises RecordingError."""
    here = OnDisk.now(path)
    recording = formats.open_recording(path, size=size, frame_time_us=frame_time_us, time_unit=time_unit, budget=budget)
    names = [name for name in _SPOOLED if name != "p" or recording.polarity]
    try:
        with ExitStack() as stack:
            files = {name: stack.enter_context(tempfile.TemporaryFile()) for name in names}
            start_us, stop_us, events = _spool(recording.blocks(), files)
            keepers = {name: _Descriptor(os.dup(file.fileno())) for name, file in files.items()}
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise RecordingError(
            f"{path} does not fit into {tempfile.gettempdir()} (13 bytes per event); free some space, or set TMPDIR to "
            "a larger disk"
        ) from None
    columns = {name: _Column(keeper.file, 0, np.dtype(_SPOOLED[name]), events) for name, keeper in keepers.items()}
    scalars = {"width": recording.width, "height": recording.height, "start_us": start_us, "stop_us": stop_us}

    def changed(keep: object = keepers) -> str | None:  # the columns stay open as long as this does
        return here.changed("what was already read")

    return Windowed(path, columns, scalars, recording.notes, changed)


def _spool(blocks: Iterable[Recording], files: Mapping[str, Any]) -> tuple[int, int, int]:
    """Write the columns of all blocks; start, stop and number of events."""
    start_us, stop_us, events = None, 0, 0
    for block in blocks:
        for name, file in files.items():
            values = block.t_us if name == "t" else getattr(block, name)
            file.write(np.ascontiguousarray(values, _SPOOLED[name]).tobytes())
        start_us = block.start_us if start_us is None else start_us
        stop_us, events = block.stop_us, events + len(block)
    for file in files.values():
        file.flush()
    return start_us or 0, stop_us, events


class _Descriptor:
    """Closes a file once nobody refers to it."""

    def __init__(self, file: int) -> None:
        self.file = file
        weakref.finalize(self, os.close, file)


def is_stored(file: Path) -> bool:
    """Whether it is an archive of Velocell's own (only they have a span) whose t, x and y are not compressed."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = {info.filename: info for info in archive.infolist()}
    except (zipfile.BadZipFile, OSError):
        return False
    names = [f"{name}.npy" for name in "txy"]
    # The times of others may be in another unit, or wrap.
    return "start_us.npy" in members and all(
        name in members and members[name].compress_type == zipfile.ZIP_STORED for name in names
    )


def _layout(file: int, path: Path) -> tuple[dict[str, _Column], dict[str, int]]:
    """The columns t, x, y, p and the scalars of an archive."""
    columns: dict[str, _Column] = {}
    scalars: dict[str, int] = {}
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            name = info.filename.removesuffix(".npy")
            if name in _SCALARS:
                with archive.open(info) as handle:
                    scalars[name] = int(np.lib.format.read_array(handle, allow_pickle=False).reshape(-1)[0])
            elif name in _SPOOLED:
                columns[name] = _column(file, archive, info)
    if not {"t", "x", "y"} <= columns.keys() or len({column.length for column in columns.values()}) != 1:
        raise ValueError("it needs the arrays t, x and y of one length")
    return columns, scalars


def _column(file: int, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Column:
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{info.filename} is compressed")
    magic, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(os.pread(file, _LOCAL_HEADER.size, info.header_offset))
    if magic != b"PK\x03\x04":
        raise ValueError("the archive is damaged")
    with archive.open(info) as handle:
        version = np.lib.format.read_magic(handle)
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = reader(handle)
        header = handle.tell()
    if len(shape) != 1 or dtype.kind not in "iub":
        raise ValueError(f"{info.filename} is not a list of whole numbers")
    offset = info.header_offset + _LOCAL_HEADER.size + name_bytes + extra_bytes + header
    return _Column(file, offset, dtype, shape[0])
