"""MATLAB files of version 5 to 7.2, with SciPy: variables t, x, y and p, a struct of them, or a matrix (n, 3 or 4).

SciPy unpacks whole variables, so this happens in a process of its own with a limit of memory (`data/apart.py`).
Files of version 7.3 are HDF5 and are read as such.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
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
from velocell.formats.packed import NamedPath
from velocell.formats.source import Opened
from velocell.formats.text.layout import inferred_columns
from velocell.formats.wording import bare

NAME = "MATLAB up to 7.2 with t, x, y and optional p"

_MAGIC = b"MATLAB 5.0 MAT-file"
_BLOCK = 1 << 18
_DEPTH = 4  # of structs in structs
_TABLES = ("events", "event_data")
_MEMORY_BYTES, _MEMORY_A_BYTE = 256 << 20, 24
_REMEDY = "save the variables t, x, y and p, one list each"


@dataclass(frozen=True)
class _Found:
    """Arrays (n,) of t, x, y and perhaps p. others: how many events stand in further ones."""

    arrays: dict[str, NDArray[Any]]
    unit: str | None
    how: str
    others: int = 0


def matches(head: bytes, path: Path) -> bool:
    return head.startswith(_MAGIC)


def open_file(
    path: Path, *, size: tuple[int, int] | None, frame_time_us: int, time_unit: str | None, budget: Budget
) -> Opened:
    try:
        import scipy.io  # noqa: F401 (is it there?)
    except ImportError as error:
        raise RecordingError(
            f"reading {path}, a MATLAB file, needs SciPy ({error}); install it with: {install_line('mat')}, or "
            "save with -v7.3"
        ) from None
    asked = {"path": os.fspath(path), "shown": str(path), "time_unit": time_unit, "most_bytes": budget.held}
    about = next(_answers({**asked, "events": False}, path, budget))[0]

    def decode(integrity: Integrity, start_us: int | None) -> Iterator[Events]:
        integrity.fact("other", about["others"])
        answers = _answers({**asked, "events": True}, path, budget)
        next(answers)
        for said, (t, x, y, *p) in answers:
            integrity.fact("wraps", said["wraps"])
            yield Events(t, x, y, p[0] if p else None)

    notes = tuple(about["notes"])
    return Opened("MATLAB 5", about["why"], decode, polarity=about["polarity"], notes=notes)


def _answers(request: dict[str, Any], path: Path, budget: Budget) -> Iterator[apart.Message]:
    """What `read_apart` gives, from the other process. Raises RecordingError."""
    memory_bytes = int(budget.times * (_MEMORY_BYTES + _MEMORY_A_BYTE * budget.file_bytes))
    try:
        yield from apart.messages(read_apart, request, memory_bytes, ("scipy.io",))
    except apart.Died as error:
        raise RecordingError(
            f"{path} is a MATLAB file that is damaged ({bare(str(error), 120)}); copy it again"
        ) from None


def read_apart(request: dict[str, Any]) -> Iterator[apart.Message]:
    """What stands beside the events, then the events if they are asked for; to be run in the other process."""
    path = NamedPath.of(request["path"], request["shown"])
    found = _find(_variables(path), path)
    t = found.arrays["t"]
    unit = columns.unit_of(columns.sample(lambda first, n: t[first : first + n], len(t)), found.unit, path,
                           request["time_unit"])  # fmt: skip
    notes = [f"times read as {unit.name}, {unit.why}"]
    if len(t) and min(int(found.arrays[name].min()) for name in "xy") == 1:
        notes.append("x and y begin at 1, as MATLAB counts, and are taken as they stand")
    said = {"why": f"by its first bytes; {found.how}", "others": found.others, "polarity": "p" in found.arrays}
    yield {**said, "notes": notes}, []
    if request["events"]:
        met = Integrity(str(path))
        blocks = columns.Blocks(unit, path, met)
        for first in range(0, len(t), _BLOCK):
            part = {name: values[first : first + _BLOCK] for name, values in found.arrays.items()}
            events = blocks.events(part["t"], part["x"], part["y"], part.get("p"))
            yield {"wraps": met.facts.pop("wraps", 0)}, [column for column in events if column is not None]


def _variables(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of numbers by name; those of a struct under its name and a dot."""
    import scipy.io

    found: dict[str, NDArray[Any]] = {}

    def collect(name: str, value: Any, depth: int) -> None:
        if not isinstance(value, np.ndarray) or depth > _DEPTH:
            return
        if value.dtype.names is not None and value.size == 1:
            for field in value.dtype.names:
                collect(f"{name}.{field}", value.reshape(-1)[0][field], depth + 1)
        elif value.dtype.kind in "iubf":
            found[name] = value

    for name, value in scipy.io.loadmat(path).items():
        if not name.startswith("__"):
            collect(name, value, 0)
    return found


def _find(variables: dict[str, NDArray[Any]], path: Path) -> _Found:
    """The events. Raises RecordingError."""
    groups: dict[str, dict[str, NDArray[Any]]] = {}
    for name, values in variables.items():
        group, _, leaf = name.rpartition(".")
        if values.ndim == 2 and 1 in values.shape:
            groups.setdefault(group, {})[leaf] = values.reshape(-1)
    found = [one for group, members in sorted(groups.items()) if (one := _named(group, members)) is not None]
    if found:
        first, *others = found
        return _Found(first.arrays, first.unit, first.how, sum(len(one.arrays["t"]) for one in others))
    tables = {name: values for name, values in variables.items() if values.ndim == 2 and {3, 4} & {*values.shape}}
    named = [name for name in tables if name.rpartition(".")[2] in _TABLES]
    chosen = named or list(tables)
    if len(chosen) != 1:
        raise _nothing(variables, chosen, path)
    table = tables[chosen[0]]
    table = table if table.shape[1] in (3, 4) else table.T
    if not len(table):
        raise RecordingError(f"{path}: {bare(chosen[0])} is a matrix without rows; {_REMEDY}")
    rows = columns.sample(lambda first, n: table[first : first + n], len(table))
    positions = inferred_columns(rows.astype(np.float64), path, _REMEDY)
    order = " ".join(sorted(positions, key=positions.__getitem__))
    arrays = {key: np.ascontiguousarray(table[:, k]) for key, k in positions.items()}
    return _Found(arrays, None, f"columns {order}, by their values, in {bare(chosen[0])}")


def _named(group: str, members: dict[str, NDArray[Any]]) -> _Found | None:
    named = columns.naming(list(members))
    if named is None:
        return None
    arrays = {key: members[leaf] for key, leaf in named.names.items()}
    if len({len(values) for values in arrays.values()}) != 1:
        return None
    listed = ", ".join(named.names.values())
    return _Found(arrays, named.unit, f"{listed} in {bare(group)}" if group else f"variables {listed}")


def _nothing(variables: dict[str, NDArray[Any]], chosen: list[str], path: Path) -> RecordingError:
    if chosen:
        listed = ", ".join(map(bare, chosen[:8]))
        return RecordingError(f"{path} has several matrices that may hold events: {listed}; keep one, or {_REMEDY}")
    for name, values in variables.items():
        if values.ndim > 2:
            return RecordingError(f"{path}: {bare(name)} is {pictures(values.shape, values.dtype)}; {_REMEDY}")
    listed = ", ".join(map(bare, sorted(variables)[:8])) or "no numbers"
    return RecordingError(f"{path} is a MATLAB file without t, x and y of one length (it holds {listed}); {_REMEDY}")
