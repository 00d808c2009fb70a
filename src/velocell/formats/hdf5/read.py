"""HDF5 recordings with h5py: any file with events as arrays t, x, y, p, as fields, or as a table (n, 3 or 4).

    DSEC, M3ED, TUM-VIE   a group with datasets t, x, y, p; `t_offset` is added to the times
    e2vid and others      a group with datasets ts, xs, ys, ps; attribute `sensor_resolution` (height, width)
    Metavision            CD/events with fields x, y, p, t; attribute `geometry`; EXT_TRIGGER/events
    MVSEC                 davis/left/events, a table; imu and image_raw beside it
    MATLAB 7.3            variables t, x, y, p, or a struct of them, or a matrix

Of several event arrays the first by name is read; the events of the others are counted. Datasets are read chunk
by chunk. Sizes that the file states are compared with the bytes it has before memory is set aside. The library follows
addresses in a file for ever where they make a circle, and its filters believe what a chunk says: so all this happens in
a process of its own (`data/apart.py`). Datasets whose values stand in other files are refused: they would carry
what any file of this machine holds into the events.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.data import apart
from velocell.data.blocks import Events
from velocell.data.budget import Budget
from velocell.data.extras import install_line
from velocell.data.integrity import Integrity
from velocell.errors import RecordingError
from velocell.formats import columns
from velocell.formats.arrays.tables import pictures
from velocell.formats.columns import Unit
from velocell.formats.hdf5.guard import chunk_bytes
from velocell.formats.hdf5.shapes import events_in_chunk, is_table, list_length, rows_of, table_length
from velocell.formats.packed import NamedPath
from velocell.formats.seek import Place
from velocell.formats.source import Opened
from velocell.formats.text.layout import inferred_columns
from velocell.formats.wording import bare

NAME = "HDF5 with events (DSEC, MVSEC, Metavision and alike; MATLAB 7.3)"

_MAGIC = b"\x89HDF\r\n\x1a\n"
_ECF = 0x8ECF
_MATLAB, _USER_BLOCK = b"MATLAB 7.3 MAT-file", 512  # which HDF5 begins behind
_TABLES = ("events", "event_data")
_CELLS = "#refs#/"  # of MATLAB
_BLOCK = 1 << 18
_MAX_CHUNK_BYTES = 128 << 20
_MEMORY_BYTES, _MEMORY_A_BYTE = 160 << 20, 3  # of the process that reads
_MAX_OBJECTS = 20_000
_SMALL = 10  # values of a dataset beside the events
_LATEST_US = 1 << 62
# Whatever h5py raises for a damaged file.
_DAMAGE = (OSError, RuntimeError, ValueError, TypeError, LookupError, OverflowError, SystemError, AttributeError)
# Datasets of other kinds, by the end of their name.
_COUNTED = {"imu": "imu_samples", "image_raw": "frames", "EXT_TRIGGER/events": "triggers"}


@dataclass(frozen=True)
class _Array:
    """Where events stand. datasets: t, x, y and perhaps p -> the dataset's name, and which field or column of it."""

    name: str
    datasets: dict[str, tuple[str, Any]]
    unit_name: str | None
    n: int
    how: str


@dataclass(frozen=True)
class _About:
    """What stands beside the events. counted: kinds and numbers of entries that are not read."""

    chosen: _Array
    unit: Unit
    counted: tuple[tuple[str, int], ...]
    size: tuple[int, int] | None
    size_from: str
    span: tuple[int, int] | None
    notes: tuple[str, ...]


def matches(head: bytes, path: Path) -> bool:
    return head.startswith(_MAGIC) or (head.startswith(_MATLAB) and head[_USER_BLOCK:].startswith(_MAGIC))


def open_file(
    path: Path, *, size: tuple[int, int] | None, frame_time_us: int, time_unit: str | None, budget: Budget
) -> Opened:
    """The times are the file's own: `t_offset` is added where there is one."""
    _imported(path)  # once here, so that a copy of this process has it
    asked = {
        "path": os.fspath(path),
        "shown": str(path),
        "time_unit": time_unit,
        "most_bytes": budget.piece(_MAX_CHUNK_BYTES),
    }
    about = next(_answers({**asked, "events": False}, path, budget))[0]

    def read(integrity: Integrity, start_us: int | None, place: Place | None) -> Iterator[tuple[Events, Place]]:
        for kind, n in about["counted"]:
            integrity.fact(kind, n)
        answers = _answers({**asked, "events": True, "start_us": start_us, "place": place}, path, budget)
        next(answers)
        for said, (t, x, y, *p) in answers:
            integrity.fact("wraps", said["wraps"])
            yield Events(t, x, y, p[0] if p else None), said["place"]

    def decode(integrity: Integrity, start_us: int | None) -> Iterator[Events]:
        return (events for events, _ in read(integrity, start_us, None))

    def resume(integrity: Integrity, place: Place | None) -> Iterator[tuple[Events, Place]]:
        return read(integrity, None, place)

    size_, span = (None if pair is None else (pair[0], pair[1]) for pair in (about["size"], about["span"]))
    notes = tuple(about["notes"])
    return Opened(
        "HDF5", about["why"], decode, size_, about["size_from"], span, about["polarity"], notes, resume=resume,
        skips=True,
    )  # fmt: skip


def _answers(request: dict[str, Any], path: Path, budget: Budget) -> Iterator[apart.Message]:
    """What `read_apart` gives, from the other process. Raises RecordingError."""
    memory_bytes = int(budget.times * (_MEMORY_BYTES + _MEMORY_A_BYTE * budget.file_bytes))
    try:
        yield from apart.messages(read_apart, request, memory_bytes, ("h5py",))
    except apart.Died as error:
        raise RecordingError(
            f"{path} is an HDF5 file that is damaged ({bare(str(error), 120)}); copy it again"
        ) from None


def read_apart(request: dict[str, Any]) -> Iterator[apart.Message]:
    """What stands beside the events, then the events if they are asked for; to be run in the other process."""
    path = NamedPath.of(request["path"], request["shown"])
    about = _describe(path, request["most_bytes"], request["time_unit"])
    chosen = about.chosen
    said = {
        "why": f"by its first bytes; {chosen.how} in {bare(chosen.name)}",
        "counted": about.counted,
        "size": about.size,
        "size_from": about.size_from,
        "span": about.span,
        "polarity": "p" in chosen.datasets,
        "notes": about.notes,
    }
    yield said, []
    if request["events"]:
        with _opened(path) as opened:
            met = Integrity(str(path))
            for events, place in _decode(opened, chosen, about.unit, request, path, met):
                told = {"wraps": met.facts.pop("wraps", 0), "place": place}
                yield told, [column for column in events if column is not None]


def _describe(path: Path, most_bytes: int, time_unit: str | None) -> _About:
    """most_bytes: of a chunk; larger ones are refused. time_unit: as given."""
    with _opened(path) as file:
        chosen, more, others = _find(file, path, most_bytes)
        if chosen is None:
            _refuse_pictures(file, path)
            raise RecordingError(
                f"{path} is an HDF5 file without arrays t, x and y of one length; save the events as datasets "
                "events/t, events/x, events/y and events/p"
            )
        for name in {name for name, _ in chosen.datasets.values()}:
            _check(file[name], path, most_bytes)
        offset_us, offset_from = _offset(file, chosen, path)
        times = columns.sample(lambda first, n: _rows(file, chosen, first, n, only="t")["t"], chosen.n)
        stated, size_from = _size(file, chosen, path)
        span = _span(file)
        # Only Velocell writes a span, and microseconds with it.
        named = chosen.unit_name if span is None else "us"
        unit = columns.unit_of(times, named, path, time_unit, offset_us)
    notes = [f"times read as {unit.name}, {unit.why}{offset_from}"]
    if more:
        names = ", ".join(bare(name) for name, _ in more)
        notes.append(f"events in {bare(chosen.name)} are read; those in {names} are counted as other entries")
    counted = (*others, *(("other", n) for _, n in more))
    return _About(chosen, unit, counted, stated, size_from, span, tuple(notes))


def _decode(
    file: Any, array: _Array, unit: Unit, request: dict[str, Any], path: Path, integrity: Integrity
) -> Iterator[tuple[Events, Place]]:
    """request: `start_us`, before which whole blocks are left out, or the `place` from which to go on."""
    start_us, place = request["start_us"], request["place"]
    block = _block_rows(file, array)
    blocks = columns.Blocks(unit, path, integrity, place)
    for first in range(0 if place is None else place["row"], array.n, block):
        n = min(block, array.n - first)
        if start_us is not None and array.n > block:
            # The times alone tell whether the rest is needed.
            t_us = blocks.times(_rows(file, array, first, n, only="t")["t"])
            if int(t_us.max()) < start_us:
                continue
            found = _rows(file, array, first, n, only="xyp")
            events = blocks.events(None, found["x"], found["y"], found.get("p"), t_us)
        else:
            found = _rows(file, array, first, n)
            events = blocks.events(found["t"], found["x"], found["y"], found.get("p"))
        yield events, {"row": first + n, **blocks.place()}


def _rows(file: Any, array: _Array, first: int, n: int, only: str = "txyp") -> dict[str, NDArray[Any]]:
    """Rows first..first+n-1 of each array; fields of one dataset are read at once."""
    wanted = {key: place for key, place in array.datasets.items() if key in only}
    read = {name: rows_of(file[name], first, n) for name in {name for name, _ in wanted.values()}}
    return {
        key: np.ascontiguousarray(read[name] if part is None else read[name][part])
        for key, (name, part) in wanted.items()
    }


def _block_rows(file: Any, array: _Array) -> int:
    """Whole chunks: part of one would be unpacked again and again."""
    longest = max(events_in_chunk(file[name]) for name, _ in array.datasets.values())
    return max(_BLOCK // longest, 1) * longest


# --- finding the events -----------------------------------------------------------------------------------


def _find(file: Any, path: Path, most_bytes: int) -> tuple[_Array | None, list[tuple[str, int]], list[tuple[str, int]]]:
    """The events to read; names and lengths of other event arrays; kinds and numbers of entries of other kinds.

    Arrays that name their columns come before tables, whose columns their values must tell.
    """
    import h5py

    datasets: dict[str, Any] = {}

    def visit(name: str, thing: Any) -> bool | None:
        if isinstance(thing, h5py.Dataset):
            datasets[name] = thing
        return True if len(datasets) > _MAX_OBJECTS else None

    file.visititems(visit)
    found: list[_Array] = []
    tables: list[str] = []
    groups: dict[str, dict[str, Any]] = {}
    for name, dataset in sorted(datasets.items()):
        group, _, leaf = name.rpartition("/")
        if dataset.shape is None or dataset.size is None or name.startswith(_CELLS):
            continue
        if len(dataset.shape) == 1 and dataset.dtype.names:
            found += _by_fields(name, dataset)
        elif list_length(dataset) is not None and dataset.dtype.kind in "iubf":
            groups.setdefault(group, {})[leaf] = dataset
        elif is_table(dataset) and dataset.dtype.kind in "iuf":
            tables.append(name)
    for group, members in groups.items():
        found += _by_datasets(group, members)
    others = [
        (kind, int(dataset.shape[0]))
        for name, dataset in datasets.items()
        for end, kind in _COUNTED.items()
        if dataset.shape and f"/{name}".endswith(f"/{end}")
    ]
    found.sort(key=lambda array: array.name)
    # Many things are tables; events are the one that says so, or the only one.
    events = [name for name in tables if name.rpartition("/")[2] in _TABLES]
    tables = events or (tables if len(tables) == 1 else [])
    if not found and tables:
        found.append(_by_columns(tables[0], file[tables.pop(0)], path, most_bytes))
    more = [(array.name, array.n) for array in found[1:]] + [(name, table_length(file[name])) for name in tables]
    return (found[0] if found else None), more, others


def _by_fields(name: str, dataset: Any) -> list[_Array]:
    named = columns.naming(dataset.dtype.names)
    if named is None or any(dataset.dtype[field].kind not in "iubf" for field in named.names.values()):
        return []
    where = {key: (name, field) for key, field in named.names.items()}
    return [_Array(name, where, named.unit, int(dataset.shape[0]), "fields")]


def _by_columns(name: str, dataset: Any, path: Path, most_bytes: int) -> _Array:
    _check(dataset, path, most_bytes)
    remedy = "save the events as datasets events/t, events/x, events/y and events/p"
    table = columns.sample(lambda first, n: rows_of(dataset, first, n), table_length(dataset))
    positions = inferred_columns(table.astype(np.float64), path, remedy)
    order = " ".join(sorted(positions, key=positions.__getitem__))
    where = {key: (name, (slice(None), k)) for key, k in positions.items()}
    return _Array(name, where, None, table_length(dataset), f"columns {order}, by their values,")


def _by_datasets(group: str, members: dict[str, Any]) -> list[_Array]:
    named = columns.naming(list(members))
    lengths = set() if named is None else {list_length(members[leaf]) for leaf in named.names.values()}
    if named is None or len(lengths) != 1:
        return []
    prefix = f"{group}/" if group else ""
    where = {key: (prefix + leaf, None) for key, leaf in named.names.items()}
    n = lengths.pop() or 0
    return [_Array(group or "the root", where, named.unit, n, f"datasets {', '.join(named.names.values())}")]


# --- what the file says beside them -----------------------------------------------------------------------


def _offset(file: Any, array: _Array, path: Path) -> tuple[int, str]:
    """`t_offset` in microseconds, beside the events or at the root, and words for it."""
    group = next(iter(array.datasets.values()))[0].rpartition("/")[0]
    for name in dict.fromkeys((f"{group}/t_offset", "t_offset")):
        dataset = _own(file, name, path)
        if dataset is None:
            continue
        if dataset.size != 1 or dataset.dtype.kind not in "iu":
            raise RecordingError(f"{path}: {name} is not a whole number of microseconds; correct or remove it")
        offset = int(np.asarray(dataset[()]).reshape(-1)[0])
        if abs(offset) >= _LATEST_US:
            raise RecordingError(f"{path}: {name} is beyond 2^62 us; correct or remove it")
        return offset, f"; {name} = {offset} us is added"
    return 0, ""


def _size(file: Any, array: _Array, path: Path) -> tuple[tuple[int, int] | None, str]:
    """(width, height) by the attributes of the events, of the groups around them and of the file."""
    place = file[next(iter(array.datasets.values()))[0]]
    while True:
        found = _size_of(place.attrs)
        if found is not None:
            return found
        stated = _own(place, "calib/resolution", path)
        resolution = np.asarray(() if stated is None else stated)
        if resolution.shape == (2,) and resolution.dtype.kind in "iu":
            return (int(resolution[0]), int(resolution[1])), "as the dataset calib/resolution says"
        if place.name == "/":
            return None, ""
        place = place.parent


def _size_of(attributes: Any) -> tuple[tuple[int, int], str] | None:
    geometry = attributes.get("geometry")
    text = geometry.decode("latin-1") if isinstance(geometry, bytes) else str(geometry)
    match = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", text)
    if match is not None:
        return (int(match[1]), int(match[2])), "as the attribute geometry says"
    resolution = np.asarray(attributes.get("sensor_resolution", ()))
    if resolution.shape in ((2,), (3,)) and resolution.dtype.kind in "iu":
        return (int(resolution[1]), int(resolution[0])), "as the attribute sensor_resolution says"
    sides = [np.asarray(attributes.get(name, ())) for name in ("width", "height")]
    if all(side.size == 1 and side.dtype.kind in "iu" for side in sides):
        width, height = (int(side.reshape(-1)[0]) for side in sides)
        return (width, height), "as the attributes width and height say"
    return None


def _span(file: Any) -> tuple[int, int] | None:
    """What Velocell writes, for what other layouts have no place for."""
    ends = [np.asarray(file.attrs.get(name, ())) for name in ("start_us", "stop_us")]
    if not all(end.shape == () and end.dtype.kind in "iu" for end in ends):
        return None
    start, stop = map(int, ends)
    return (start, stop) if start <= stop < _LATEST_US else None


# --- opening, and distrust --------------------------------------------------------------------------------


def _imported(path: Path) -> Any:
    """h5py with its filters. Raises RecordingError."""
    try:
        import h5py
    except ImportError as error:
        raise RecordingError(
            f"reading {path}, an HDF5 file, needs h5py ({error}); install it with: {install_line('hdf5')}"
        ) from None
    # `_check` says where one is missing.
    with suppress(ImportError):
        import hdf5plugin  # noqa: F401 (registers its filters)
    return h5py


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The open file; whatever fails inside the block for damaged bytes becomes a RecordingError."""
    h5py = _imported(path)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except RecordingError:
        raise
    except _DAMAGE as error:
        reason = bare(" ".join(str(error).split()), 120)
        raise RecordingError(f"{path} is an HDF5 file that is damaged or cut off ({reason}); copy it again") from None


def _check(dataset: Any, path: Path, most_bytes: int) -> None:
    """Refuse a dataset that needs a filter that is missing, and one that says more than the file holds."""
    import h5py

    _check_own(dataset, path)
    plist = dataset.id.get_create_plist()
    for k in range(plist.get_nfilters()):
        number, *_, name = plist.get_filter(k)
        if not h5py.h5z.filter_avail(number):
            _refuse_filter(int(number), bytes(name), path)
    n = int(dataset.size)
    if dataset.chunks is None:
        stored = n if dataset.id.get_storage_size() >= n * dataset.dtype.itemsize else 0
    else:
        if chunk_bytes(dataset) > most_bytes:
            raise RecordingError(
                f"{path}: {bare(dataset.name)} is stored in pieces of more than {most_bytes >> 20} MiB; write "
                "it again in smaller chunks"
            )
        stored = dataset.id.get_num_chunks() * (chunk_bytes(dataset) // dataset.dtype.itemsize)
    if stored < n:
        raise RecordingError(
            f"{path}: {bare(dataset.name)} has {n} values, but the file holds {stored} of them; copy it again"
        )


def _check_own(dataset: Any, path: Path) -> None:
    """Refuse values that stand in other files."""
    if dataset.external or dataset.is_virtual:
        raise RecordingError(
            f"{path}: {bare(dataset.name)} has its values in other files, which are not opened; save one file with "
            "all of them"
        )


def _own(place: Any, name: str, path: Path) -> Any:
    """The small dataset of that name in a group; None where there is none, or where a link leads to another file."""
    import h5py

    if not hasattr(place, "keys"):
        return None
    for part in name.strip("/").split("/"):
        if not isinstance(place, h5py.Group) or not isinstance(place.get(part, getlink=True), h5py.HardLink):
            return None
        place = place[part]
    if not isinstance(place, h5py.Dataset) or not place.size or place.size >= _SMALL:
        return None
    _check_own(place, path)
    return place


def _refuse_pictures(file: Any, path: Path) -> None:
    """Say what frames and voxel grids are."""

    def visit(name: str, thing: Any) -> str | None:
        many = len(getattr(thing, "shape", None) or ()) > 2
        return f"{path}: {bare(name)} is {pictures(thing.shape, thing.dtype)}; give a file of events" if many else None

    if found := file.visititems(visit):
        raise RecordingError(found)


def _refuse_filter(number: int, name: bytes, path: Path) -> None:
    if number == _ECF:
        raise RecordingError(
            f"{path} is packed with Metavision's ECF filter, which no Python package provides; build it from "
            "Prophesee's hdf5_ecf and name its folder in HDF5_PLUGIN_PATH, or give the RAW file"
        )
    words = bare(name.decode("latin-1").strip("\0")) or f"number {number}"
    raise RecordingError(
        f"{path} is packed with the HDF5 filter {words}, which is missing; install the known ones with: "
        f"{install_line('hdf5')}"
    )
