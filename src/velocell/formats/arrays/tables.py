"""Which arrays of an archive hold t, x, y and p, and how their rows are read one block after the other.

t, x, y, p under any names of `columns.naming`   one array each, (n,)
xy beside t                                      (n, 2)
events, event_data or any one array              fields t, x, y, p; or a table (n, 3 or 4), or (3 or 4, n)
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from velocell.errors import RecordingError
from velocell.formats import columns
from velocell.formats.arrays.archive import read_bytes
from velocell.formats.text.layout import inferred_columns
from velocell.formats.wording import bare

Rows = Callable[[int], NDArray[Any]]

_PAIRS = ("xy", "coords")
_LENGTHS_AT = 26  # in the header of a member: of its name and of what follows it
_FEW = 4_096  # rows, that give away the columns of a table
_REMEDY = "save t, x, y and p as one array each"


@dataclass(frozen=True)
class Header:
    """What a member of an archive says about its array, read before any memory is set aside for it."""

    member: zipfile.ZipInfo
    shape: tuple[int, ...]
    by_column: bool
    dtype: np.dtype[Any]
    offset: int

    @property
    def turned(self) -> bool:
        """A table whose columns are rows: (4, n) in C order is stored as (n, 4) column by column is."""
        return len(self.shape) == 2 and self.shape[0] in (3, 4) and self.shape[1] > 4

    @property
    def n(self) -> int:
        """Rows."""
        return (self.shape[-1] if self.turned else self.shape[0]) if self.shape else 1

    @property
    def width(self) -> int:
        """Columns of a table; 1 of a list."""
        return 1 if len(self.shape) != 2 else self.shape[0 if self.turned else 1]

    @contextmanager
    def opened(self, archive: zipfile.ZipFile, first: int = 0) -> Iterator[Rows]:
        """A function that gives the next rows from row `first` on, (n,) or (n, width); first: 0 where the member is
        compressed."""
        apart = len(self.shape) == 2 and self.by_column != self.turned
        with ExitStack() as stack:
            handles: list[IO[bytes]] = []
            for k in range(self.width if apart else 1):
                skipped = self.offset + k * self.n * self.dtype.itemsize
                if first:
                    # The archive's own handle would read all that is before, to check it.
                    handle: IO[bytes] = stack.enter_context(Path(str(archive.filename)).open("rb"))
                    skipped += _data_offset(handle, self.member)
                    skipped += first * self.dtype.itemsize * (1 if apart else self.width)
                else:
                    handle = stack.enter_context(archive.open(self.member))
                handle.seek(skipped)
                handles.append(handle)

            def rows(n: int) -> NDArray[Any]:
                if apart:
                    found = [read_bytes(handle, n * self.dtype.itemsize).view(self.dtype) for handle in handles]
                    return np.stack(found, axis=1)
                whole = read_bytes(handles[0], n * self.width * self.dtype.itemsize).view(self.dtype)
                return whole if len(self.shape) != 2 else whole.reshape(n, self.width)

            yield rows


def _data_offset(handle: IO[bytes], member: zipfile.ZipInfo) -> int:
    """Where a member's bytes begin: behind a header of its own, whose last parts differ in length."""
    handle.seek(member.header_offset + _LENGTHS_AT)
    name, extra = struct.unpack("<HH", handle.read(4))
    return int(member.header_offset + _LENGTHS_AT + 4 + name + extra)


@dataclass(frozen=True)
class Place:
    """Where one of t, x, y and p stands: the array, and which field or column of it."""

    array: str
    part: Any = None

    def of(self, rows: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(rows if self.part is None else rows[self.part])


@dataclass(frozen=True)
class Found:
    """places: t, x, y and perhaps p. unit: of the times, where a name says it. n: events. how: in words."""

    places: dict[str, Place]
    unit: str | None
    n: int
    how: str


def find(headers: Mapping[str, Header], path: Path, first: Callable[[Header, int], NDArray[Any]]) -> Found:
    """The events of an archive. first: gives the first rows of an array. Raises RecordingError."""
    if {"channel", "layer"} <= headers.keys():
        raise RecordingError(f"{path} holds spikes of a network, not a recording; give the recording they came from")
    named = _named(headers, path)
    if named is not None:
        return named
    whole = [name for name, header in headers.items() if _may_hold_events(header)]
    chosen = [name for name in whole if name in ("events", "event_data")] or whole
    if len(chosen) != 1:
        raise _nothing(headers, chosen, path)
    return _whole(chosen[0], headers[chosen[0]], path, first)


def _named(headers: Mapping[str, Header], path: Path) -> Found | None:
    """One array for each, or xy and t."""
    # The names that Velocell writes win over others for the same: t beside timestamps.
    own = {name for name in ("t", "x", "y", "p") if name in headers}
    roles: dict[str, list[str]] = {}
    for name in headers:
        key = _role(name)
        if key is not None and (name in own or key not in own):
            roles.setdefault(key, []).append(name)
    for key, names in roles.items():
        if len(names) > 1:
            raise RecordingError(
                f"{path} has several arrays for {key}: {', '.join(map(bare, names))}; keep one and name it {key}"
            )
    places = {key: Place(roles[key][0]) for key in "txyp" if key in roles}
    pair = next((name for name in _PAIRS if name in headers and headers[name].shape[1:] == (2,)), None)
    if pair is not None and "t" in places and not {"x", "y"} & places.keys():
        places |= {"x": Place(pair, (slice(None), 0)), "y": Place(pair, (slice(None), 1))}
    if not {"t", "x", "y"} <= places.keys():
        return None
    used = {key: headers[place.array] for key, place in places.items()}
    _check_lists(used, {key: place.array for key, place in places.items()}, pair, path)
    named = columns.naming([places["t"].array, "x", "y"])
    return Found(places, None if named is None else named.unit, used["t"].n, "arrays " + _listed(places))


def _role(name: str) -> str | None:
    """t, x, y or p by the name of one array; None for another."""
    for key in "txyp":
        others = [other for other in "txy" if other != key]
        found = columns.naming([name, *others])
        if found is not None and found.names.get(key) == name:
            return key
    return None


def _check_lists(used: Mapping[str, Header], names: Mapping[str, str], pair: str | None, path: Path) -> None:
    """Before reading: a large array beside a short one costs nothing."""
    for key, header in used.items():
        if header.dtype.kind not in "iubf":
            what = f"{header.dtype}, not numbers"
            if header.dtype.hasobject:
                what = "Python objects, which could run code and are not read"
            raise RecordingError(f"{path}: array '{bare(names[key])}' holds {what}; save integers")
        if len(header.shape) != 1 and names[key] != pair:
            raise RecordingError(
                f"{path}: {key} must be one-dimensional, got shape {header.shape}; save one array for each"
            )
    lengths = {key: header.shape[0] for key, header in used.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{key} {length}" for key, length in lengths.items())
        raise RecordingError(f"{path}: the arrays must have one entry per event, got lengths {listed}; save them again")


def _may_hold_events(header: Header) -> bool:
    if header.dtype.hasobject:
        return False
    if header.dtype.names is not None:
        return len(header.shape) == 1 and columns.naming(header.dtype.names) is not None
    return header.dtype.kind in "iuf" and len(header.shape) == 2 and header.width in (3, 4)


def _whole(name: str, header: Header, path: Path, first: Callable[[Header, int], NDArray[Any]]) -> Found:
    """One array that holds all."""
    if header.dtype.names is not None:
        named = columns.naming(header.dtype.names)
        assert named is not None
        if any(header.dtype[field].kind not in "iubf" or header.dtype[field].shape for field in named.names.values()):
            raise RecordingError(f"{path}: array '{bare(name)}' has fields that are not numbers; {_REMEDY}")
        places = {key: Place(name, field) for key, field in named.names.items()}
        return Found(places, named.unit, header.n, f"fields of the array {bare(name)}")
    if not header.n:
        raise RecordingError(f"{path}: array '{bare(name)}' is a table without rows; {_REMEDY}")
    positions = inferred_columns(first(header, _FEW).astype(np.float64), path, _REMEDY)
    places = {key: Place(name, (slice(None), k)) for key, k in positions.items()}
    order = " ".join(sorted(positions, key=positions.__getitem__))
    return Found(places, None, header.n, f"columns {order} of the array {bare(name)}, by their values")


def _nothing(headers: Mapping[str, Header], chosen: list[str], path: Path) -> RecordingError:
    if chosen:
        listed = ", ".join(map(bare, chosen[:8]))
        return RecordingError(f"{path} has several arrays that may hold events: {listed}; keep one, or {_REMEDY}")
    for name, header in headers.items():
        if header.dtype.hasobject:
            return RecordingError(
                f"{path}: array '{bare(name)}' holds Python objects, which could run code and are not read; {_REMEDY}"
            )
    for name, header in headers.items():
        if len(header.shape) > 2:
            return RecordingError(f"{path}: array '{bare(name)}' is {pictures(header.shape, header.dtype)}; {_REMEDY}")
    key = next(key for key in "txy" if all(_role(name) != key for name in headers))
    listed = ", ".join(map(bare, sorted(headers)[:8])) or "nothing"
    return RecordingError(f"{path} has no array '{key}', only {listed}; {_REMEDY}")


def pictures(shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
    """What an array of three and more dimensions is, in words."""
    kind = "a voxel grid, or frames" if dtype.kind == "f" else "a stack of frames"
    return f"an array of shape {shape}, {kind} in which events were counted, not a list of events"


def _listed(places: Mapping[str, Place]) -> str:
    return ", ".join(dict.fromkeys(place.array for place in places.values()))
