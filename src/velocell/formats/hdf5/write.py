"""Writing HDF5 in DSEC's layout: events/t, x, y, p, ms_to_idx and t_offset; size and span as attributes.

`t` counts from `t_offset`, the recording's start; ms_to_idx[k] is the first event at or after k ms. A recording
without polarity has no events/p, one of more than a day no ms_to_idx.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from velocell.data.extras import install_line
from velocell.data.files import replacing
from velocell.data.recording import Recording
from velocell.errors import RecordingError

_CHUNK = 1 << 17
_DAY_MS = 86_400_000
_TYPES = {"t": np.int64, "x": np.uint16, "y": np.uint16, "p": np.uint8}


def write_hdf5(recording: Recording | Iterable[Recording], path: str | Path, *, compress: bool = True) -> None:
    """Write a recording, or its consecutive blocks, as HDF5. Needs the extra `hdf5`.

    Packed with gzip, which every HDF5 reader has. An existing file is replaced only once the new one is complete.
    Raises VelocellError where it cannot be written.
    """
    try:
        import h5py
    except ImportError as error:
        raise RecordingError(f"writing HDF5 needs h5py ({error}); install it with: {install_line('hdf5')}") from None
    blocks = iter([recording] if isinstance(recording, Recording) else recording)
    first = next(blocks, None)
    if first is None:
        raise RecordingError(f"cannot write {path}: there is nothing to write")
    with replacing(path) as part:
        if part.exists() and not part.is_file():
            raise RecordingError(f"cannot write {path}: this format needs a regular file; name one")
        with part.open("r+b", buffering=0) as handle:
            disk = _Disk(handle)
            try:
                with h5py.File(disk, "w") as file:
                    _write(file, disk, chain([first], blocks), compress=compress)
            except Exception:
                if disk.error is None:
                    raise
            disk.check()


class _Disk(io.RawIOBase):
    """A file for HDF5, which cannot be closed, and crashes in the end, once a write has failed.

    So the first error is kept, and nothing is written from then on, as if all were well.
    """

    def __init__(self, handle: io.RawIOBase) -> None:
        self._handle = handle
        self.error: OSError | None = None

    def check(self) -> None:
        """Raise the error that was kept."""
        if self.error is not None:
            raise self.error

    def write(self, data: Any) -> int:
        view = memoryview(data)
        sent = 0
        try:
            while sent < len(view) and self.error is None:
                sent += self._handle.write(view[sent:]) or 0
        except OSError as error:
            self.error = error
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        try:
            if self.error is None:
                self._handle.truncate(size)
        except OSError as error:
            self.error = error
        return size or 0

    def readinto(self, room: Any) -> int | None:
        return self._handle.readinto(room)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._handle.seek(offset, whence)

    def tell(self) -> int:
        return self._handle.tell()


def _write(file: Any, disk: _Disk, blocks: Iterator[Recording], *, compress: bool) -> None:
    first = next(blocks)
    packing = {"compression": "gzip", "compression_opts": 1, "shuffle": True} if compress else {}
    names = "txy" if first.p is None else "txyp"
    datasets = {
        name: file.create_dataset(f"events/{name}", (0,), _TYPES[name], maxshape=(None,), chunks=(_CHUNK,), **packing)
        for name in names
    }
    _append(datasets, first, first.start_us)
    last = first
    for last in blocks:
        disk.check()
        _append(datasets, last, first.start_us)
    file["t_offset"] = np.int64(first.start_us)
    disk.check()  # of what failed nothing can be read back
    _write_index(file, packing)
    file.attrs.update(
        {"width": first.width, "height": first.height, "start_us": first.start_us, "stop_us": last.stop_us}
    )


def _write_index(file: Any, packing: dict[str, Any]) -> None:
    """ms_to_idx, of the times that are in the file; part by part, since a silence of hours has millions of entries."""
    t = file["events/t"]
    n_ms = int(t[-1]) // 1_000 + 1 if len(t) else 0
    if n_ms > _DAY_MS:
        return
    chunks = (min(max(n_ms, 1), _CHUNK),)
    index = file.create_dataset("ms_to_idx", (n_ms,), np.uint64, maxshape=(None,), chunks=chunks, **packing)
    done = 0
    for first in range(0, len(t), _CHUNK):
        part = t[first : first + _CHUNK]
        last_ms = int(part[-1]) // 1_000
        for ms in range(done, last_ms + 1, _CHUNK):
            marks = np.arange(ms, min(ms + _CHUNK, last_ms + 1), dtype=np.int64)
            index[ms : ms + marks.size] = first + np.searchsorted(part, 1_000 * marks)
        done = last_ms + 1


def _append(datasets: dict[str, Any], block: Recording, offset_us: int) -> None:
    n = len(block)
    if not n:
        return
    t = block.t_us - offset_us
    values = {"t": t, "x": block.x, "y": block.y, "p": block.p}
    for name, dataset in datasets.items():
        dataset.resize((dataset.shape[0] + n,))
        dataset[-n:] = values[name]
