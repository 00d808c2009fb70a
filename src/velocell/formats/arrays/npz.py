"""NumPy `.npz` archives: arrays t, x, y and perhaps p, one array with fields or columns; width, height.

Recordings that Velocell writes hold t in us, x, y, p, the size, and start_us and stop_us, the span they cover.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.data.blocks import Events
from velocell.data.budget import Budget
from velocell.data.files import replacing
from velocell.data.integrity import Integrity
from velocell.data.recording import Recording
from velocell.errors import RecordingError
from velocell.formats import columns
from velocell.formats.arrays.archive import array_header, is_zip, member_names, opened
from velocell.formats.arrays.tables import Header, find
from velocell.formats.clock import is_small_whole
from velocell.formats.seek import Place
from velocell.formats.source import Opened, from_start
from velocell.formats.wording import bare

NAME = "NumPy .npz with arrays, fields or columns t, x, y and optional p"

_SCALARS = ("width", "height", "start_us", "stop_us")
_BLOCK = 1 << 17
_SAMPLE = 1 << 16  # rows from the start: an archive is unpacked in order


def matches(head: bytes, path: Path) -> bool:
    return is_zip(head) and any(name.endswith(".npy") for name in member_names(path))


def open_file(
    path: Path, *, size: tuple[int, int] | None, frame_time_us: int, time_unit: str | None, budget: Budget
) -> Opened:
    with opened(path) as archive:
        present = {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}
        scalars = {name: _scalar(archive, path, name) for name in _SCALARS if name in present}
        span = _pair(scalars, "start_us", "stop_us", path)
        headers = {name: _header(archive, path, name) for name in sorted(present.difference(_SCALARS))}
        found = find(headers, path, lambda header, n: _first(archive, header, n))
        budget.check_events(found.n)
        times = _first(archive, headers[found.places["t"].array], _SAMPLE)
        t = found.places["t"].of(times)
        # Velocell's own layout has microseconds: with a span, which nobody else writes, or whole ones beside a size.
        own = span is not None or ({"width", "height"} <= present and is_small_whole(t))
        unit = columns.unit_of(t, "us" if own else found.unit, path, time_unit)
    used = {place.array for place in found.places.values()}
    unused = ", ".join(map(bare, sorted(present.difference(used, _SCALARS))))

    def resume(integrity: Integrity, place: Place | None) -> Iterator[tuple[Events, Place]]:
        blocks = columns.Blocks(unit, path, integrity, place)
        row = 0 if place is None else place["row"]
        with opened(path) as archive, ExitStack() as handles:
            readers = {name: handles.enter_context(headers[name].opened(archive, row)) for name in used}
            for first in range(row, found.n, _BLOCK):
                rows = {name: read(min(_BLOCK, found.n - first)) for name, read in readers.items()}
                t, x, y, p = (
                    found.places[key].of(rows[found.places[key].array]) if key in found.places else None
                    for key in "txyp"
                )
                assert x is not None
                assert y is not None
                yield blocks.events(t, x, y, p), {"row": first + _BLOCK, **blocks.place()}

    packed = any(headers[name].member.compress_type != zipfile.ZIP_STORED for name in used)
    return Opened(
        "NumPy archive",
        found.how,
        from_start(resume),
        _pair(scalars, "width", "height", path),
        span=span,
        polarity="p" in found.places,
        notes=(f"times read as {unit.name}, {unit.why}", *((f"arrays not used: {unused}",) if unused else ())),
        resume=None if packed else resume,
        unindexed="its arrays are compressed, and can only be unpacked from the start",
    )


def write_npz(recording: Recording, path: str | Path, *, compress: bool = False) -> None:
    """Write t (int64), x, y (uint16), p (bool, where there is polarity), the size and the span.

    Stored by default: reading a compressed file takes several times longer. An existing file is
    replaced only once the new one is complete. Raises VelocellError where it cannot be written.
    """
    arrays: dict[str, Any] = {"t": recording.t_us, "x": recording.x, "y": recording.y}
    if recording.p is not None:
        arrays["p"] = recording.p
    arrays |= {name: np.int64(getattr(recording, name)) for name in _SCALARS}
    with replacing(path) as part, part.open("wb") as handle:
        (np.savez_compressed if compress else np.savez)(handle, **arrays)


def _header(archive: zipfile.ZipFile, path: Path, name: str) -> Header:
    member = archive.getinfo(f"{name}.npy")
    with archive.open(member) as handle:
        shape, by_column, dtype, offset = array_header(handle)
    # Python integers: a shape made to overflow cannot pass as a small one.
    count = 1
    for length in shape:
        count *= length
    if not dtype.hasobject and count * dtype.itemsize != member.file_size - offset:
        raise ValueError(f"'{name}' has {member.file_size - offset} bytes of data for an array of shape {shape}")
    return Header(member, shape, by_column, dtype, offset)


def _first(archive: zipfile.ZipFile, header: Header, n: int) -> NDArray[Any]:
    with header.opened(archive) as rows:
        return rows(min(n, header.n))


def _scalar(archive: zipfile.ZipFile, path: Path, name: str) -> int:
    header = _header(archive, path, name)
    values = np.empty(0)
    if header.shape in ((), (1,)) and header.dtype.kind in "iubf":
        values = _first(archive, header, 1)
    if values.size != 1 or not np.isfinite(values[0]) or values[0] != np.floor(values[0]):
        raise RecordingError(f"{path}: '{name}' must be one whole number; save it as an integer")
    return int(values[0])


def _pair(scalars: dict[str, int], one: str, other: str, path: Path) -> tuple[int, int] | None:
    if (one in scalars) != (other in scalars):
        raise RecordingError(f"{path} has only one of '{one}' and '{other}'; save both or none")
    return (scalars[one], scalars[other]) if one in scalars else None
