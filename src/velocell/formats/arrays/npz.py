"""NumPy `.npz` archives with the arrays t (us, sorted), x, y, optional p; scalars width, height.

Recordings that Velocell writes also hold start_us and stop_us, the span they cover.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from velocell.data.blocks import Events
from velocell.data.budget import Budget
from velocell.data.files import replacing
from velocell.data.integrity import Integrity
from velocell.data.recording import Recording
from velocell.errors import RecordingError
from velocell.formats import columns
from velocell.formats.arrays.archive import array_header, is_zip, member_names, opened, read_bytes
from velocell.formats.source import Opened
from velocell.formats.wording import bare

NAME = "NumPy .npz with arrays t (us), x, y and optional p"

# The first name is the one this module writes; the others are accepted where only one is present.
_NAMES = {
    "t": ("t", "t_us", "ts", "timestamp", "timestamps"),
    "x": ("x", "xs"),
    "y": ("y", "ys"),
    "p": ("p", "polarity", "pol", "ps"),
}
_SCALARS = ("width", "height", "start_us", "stop_us")
_BLOCK = 1 << 17


def matches(head: bytes, path: Path) -> bool:
    return is_zip(head) and any(name.endswith(".npy") for name in member_names(path))


def open_file(path: Path, *, size: tuple[int, int] | None, frame_time_us: int, budget: Budget) -> Opened:
    with opened(path) as archive:
        present = {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}
        names = _event_arrays(present, path)
        headers = {key: _header(archive, path, name) for key, name in names.items()}
        _check_lengths(headers, path)
        budget.check_events(headers["t"].shape[0])
        scalars = {name: _scalar(archive, path, name) for name in _SCALARS if name in present}
    unused = ", ".join(map(bare, sorted(present.difference(names.values(), _SCALARS))))

    def decode(integrity: Integrity, start_us: int | None) -> Iterator[Events]:
        blocks = columns.Blocks(columns.Unit("us", "as named"), path)
        with opened(path) as archive, ExitStack() as handles:
            arrays = {key: handles.enter_context(header.opened(archive)) for key, header in headers.items()}
            for first in range(0, headers["t"].shape[0], _BLOCK):
                n = min(_BLOCK, headers["t"].shape[0] - first)
                found = {key: headers[key].rows(handle, n) for key, handle in arrays.items()}
                _check_whole(found["t"], path)
                yield blocks.events(found["t"], found["x"], found["y"], found.get("p"))

    return Opened(
        "NumPy archive",
        "times in microseconds",
        decode,
        _pair(scalars, "width", "height", path),
        span=_pair(scalars, "start_us", "stop_us", path),
        polarity="p" in headers,
        notes=(f"arrays not used: {unused}",) if unused else (),
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


@dataclass(frozen=True)
class _Header:
    """What a member says about its array, read before any memory is set aside for it."""

    member: zipfile.ZipInfo
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int

    @contextmanager
    def opened(self, archive: zipfile.ZipFile) -> Iterator[IO[bytes]]:
        """The member, at its first number."""
        with archive.open(self.member) as handle:
            handle.read(self.offset)
            yield handle

    def rows(self, handle: IO[bytes], n: int) -> NDArray[Any]:
        """The next n numbers, in an array (n,)."""
        return read_bytes(handle, n * self.dtype.itemsize).view(self.dtype)


def _header(archive: zipfile.ZipFile, path: Path, name: str) -> _Header:
    member = archive.getinfo(f"{name}.npy")
    with archive.open(member) as handle:
        shape, _, dtype, offset = array_header(handle)
    if dtype.kind not in "iubf":
        what = "Python objects, which could run code and are not read" if dtype.hasobject else f"{dtype}, not numbers"
        raise RecordingError(f"{path}: array '{name}' holds {what}; save integers")
    # Python integers: a shape made to overflow cannot pass as a small one.
    count = 1
    for length in shape:
        count *= length
    if count * dtype.itemsize != member.file_size - offset:
        raise ValueError(f"'{name}' has {member.file_size - offset} bytes of data for an array of shape {shape}")
    return _Header(member, shape, dtype, offset)


def _event_arrays(present: set[str], path: Path) -> dict[str, str]:
    """Which array is t, x, y and p."""
    if {"channel", "layer"} <= present:
        raise RecordingError(f"{path} holds spikes of a network, not a recording; give the recording they came from")
    names = {}
    for key, aliases in _NAMES.items():
        found = [alias for alias in aliases if alias in present]
        if key in found or len(found) == 1:
            names[key] = key if key in found else found[0]
        elif found:
            raise RecordingError(f"{path} has several arrays for {key}: {', '.join(found)}; keep one and name it {key}")
        elif key != "p":
            listed = ", ".join(map(bare, sorted(present)[:8]))
            raise RecordingError(f"{path} has no array '{key}', only {listed}; save t (microseconds), x, y and p")
    return names


def _check_lengths(headers: dict[str, _Header], path: Path) -> None:
    """Before reading: a large array beside a short one costs nothing."""
    for key, header in headers.items():
        if len(header.shape) != 1:
            raise RecordingError(
                f"{path}: {key} must be one-dimensional, got shape {header.shape}; save one array for each"
            )
    lengths = {key: header.shape[0] for key, header in headers.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{key} {length}" for key, length in lengths.items())
        raise RecordingError(f"{path}: the arrays must have one entry per event, got lengths {listed}; save them again")


def _scalar(archive: zipfile.ZipFile, path: Path, name: str) -> int:
    header = _header(archive, path, name)
    values = np.empty(0)
    if header.shape in ((), (1,)):
        with header.opened(archive) as handle:
            values = header.rows(handle, 1)
    if values.size != 1 or not np.isfinite(values[0]) or values[0] != np.floor(values[0]):
        raise RecordingError(f"{path}: '{name}' must be one whole number; save it as an integer")
    return int(values[0])


def _pair(scalars: dict[str, int], one: str, other: str, path: Path) -> tuple[int, int] | None:
    if (one in scalars) != (other in scalars):
        raise RecordingError(f"{path} has only one of '{one}' and '{other}'; save both or none")
    return (scalars[one], scalars[other]) if one in scalars else None


def _check_whole(t: NDArray[Any], path: Path) -> None:
    # A comparison with NaN is false, so NaN is refused too.
    if t.dtype.kind == "f" and not ((t == np.floor(t)) & (np.abs(t) <= 2**53)).all():
        raise RecordingError(f"{path}: t must be whole numbers (times in microseconds); round or rescale them")
