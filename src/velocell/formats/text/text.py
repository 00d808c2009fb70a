"""CSV and other text, one event a line; columns, separator and unit of time are found by content.

A first line of names (`t,x,y,p` in any order, `t_us`, `t_s` or `t_ns` to state the unit) settles
what the numbers leave open. Rejected: guessing a unit from the event rate, which is silently
wrong for quiet scenes.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
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
from velocell.formats.seek import Place
from velocell.formats.source import Opened, from_start
from velocell.formats.text.layout import DECIMALS, Layout, find_layout, is_number, split, with_numbers
from velocell.formats.wording import shown

NAME = "CSV or text with t, x, y and optional p"

_HEAD_BYTES = 1 << 18
_BLOCK_BYTES = 4 << 20
_LONGEST_LINE = 1 << 16
_SHAPES = 32
_WRITTEN_ROWS = 1 << 16


def matches(head: bytes, path: Path) -> bool:
    return bool(head.strip()) and re.search(rb"[\x00-\x08\x0e-\x1f\x7f]", head) is None


def open_file(
    path: Path, *, size: tuple[int, int] | None, frame_time_us: int, time_unit: str | None, budget: Budget
) -> Opened:
    with path.open("rb") as handle:
        head = handle.read(_HEAD_BYTES)
    layout = find_layout(head, len(head) < _HEAD_BYTES, path, time_unit)

    def resume(integrity: Integrity, place: Place | None) -> Iterator[tuple[Events, Place]]:
        """Raises RecordingError, with line number and text for a row that cannot be read."""
        # The times of a line are in microseconds already.
        unit = columns.Unit("us", "as read", layout.unit_stated, shown=layout.unit)
        blocks = columns.Blocks(unit, path, integrity, place)
        at, line = (layout.offset, layout.first_line) if place is None else (place["at"], place["line"])
        with path.open("rb") as handle:
            handle.seek(at)
            last_us: int | None = None if place is None else place["last_us"]
            for number, data, last in _blocks(handle, line, path):
                found = _read_block(data, number, layout, path)
                events = blocks.events(found["t"], found["x"], found["y"], found.get("p"))
                last_us = int(found["t"][-1]) if found["t"].size else last_us
                number += data.count(b"\n") + bool(data)
                at = handle.tell() - len(last)
                yield events, {"at": at, "line": number, "last_us": last_us, **blocks.place()}
                if last:
                    found = _read_last(last, number, layout, path, last_us, integrity)
                    events = blocks.events(found["t"], found["x"], found["y"], found.get("p"))
                    yield events, {"at": handle.tell(), "line": number + 1, "last_us": last_us, **blocks.place()}

    why, *notes = layout.notes
    return Opened(
        "CSV or text",
        why,
        from_start(resume),
        layout.size,
        "from the first lines",
        layout.span,
        "p" in layout.columns,
        tuple(notes),
        resume=resume,
    )


def write_csv(recording: Recording, path: str | Path) -> None:
    """Write `t_us,x,y,p` (p as 0/1, absent without polarity) under a comment line with size and span.

    An existing file is replaced only once the new one is complete. Raises VelocellError where it
    cannot be written.
    """
    columns: list[NDArray[Any]] = [recording.t_us, recording.x, recording.y]
    names = ["t_us", "x", "y"]
    if recording.p is not None:
        columns.append(recording.p.view(np.uint8))
        names.append("p")
    row = ",".join(["%d"] * len(columns)) + "\n"
    with replacing(path) as part, part.open("w", encoding="ascii", newline="") as handle:
        handle.write(f"# width {recording.width} height {recording.height}")
        handle.write(f" start_us {recording.start_us} stop_us {recording.stop_us}\n{','.join(names)}\n")
        for first in range(0, len(recording), _WRITTEN_ROWS):
            values = zip(*(column[first : first + _WRITTEN_ROWS].tolist() for column in columns), strict=True)
            handle.write("".join([row % value for value in values]))


def _blocks(handle: IO[bytes], number: int, path: Path) -> Iterator[tuple[int, bytes, bytes]]:
    """Pieces of some MB, cut at line ends: number of the first line, bytes, and a last line that has no end. number: of
    the line at the handle."""
    while piece := handle.read(_BLOCK_BYTES):
        rest = handle.readline(_LONGEST_LINE)
        if len(rest) == _LONGEST_LINE and not rest.endswith(b"\n"):
            raise RecordingError(f"{path} has a line of more than {_LONGEST_LINE} characters; write one event per line")
        data, _, last = (piece + rest).rpartition(b"\n")
        yield number, data, last
        number += data.count(b"\n") + 1


def _read_last(
    line: bytes, number: int, layout: Layout, path: Path, last_us: int | None, integrity: Integrity
) -> dict[str, NDArray[Any]]:
    """The last line, where it has no end: it may have been cut anywhere, which is counted; nothing of it where it is no
    event, or one before the last."""
    nothing = {name: np.zeros(0, np.int64) for name in layout.columns}
    if not line.split(layout.comment.encode())[0].strip():
        return nothing
    try:
        found = _read_block(line, number, layout, path)
    except RecordingError:
        if last_us is None:
            raise
        found = nothing
    if not found["t"].size or (last_us is not None and int(found["t"][0]) < last_us):
        integrity.fault("trailing_bytes", len(line), f"line {number} was cut")
        return nothing
    integrity.fact("unended")
    return found


def _read_block(data: bytes, first_line: int, layout: Layout, path: Path) -> dict[str, NDArray[Any]]:
    """In three ways, each for what the one before leaves; where they can, they say the same."""
    if layout.words:
        data = with_numbers(data)
    plain = _read_plain(data, layout)
    if plain is not None:
        return plain
    text = data.decode("latin-1")
    if layout.separator is not None:
        text = text.replace(f"{layout.separator} ", layout.separator)
    lines = text.split("\n")
    fast = _read_fast(lines, layout)
    return _read_exactly(lines, first_line, layout, path) if fast is None else fast


def _read_plain(data: bytes, layout: Layout) -> dict[str, NDArray[Any]] | None:
    """The C++ core, for numbers written plainly (`native/text.hpp`); None for anything else."""
    from velocell._native import text_columns  # not loaded just to show a command's help

    if layout.with_decimals:
        return None
    roles = ["-"] * layout.n_columns
    for name, k in layout.columns.items():
        roles[k] = name
    found: Any = text_columns(data, "".join(roles), layout.separator or "", layout.comment, DECIMALS[layout.unit])
    if found is None:
        return None
    columns: dict[str, NDArray[Any]] = dict(zip("txyp", found, strict=True))
    return {name: columns[name] for name in layout.columns}


def _read_exactly(lines: list[str], first_line: int, layout: Layout, path: Path) -> dict[str, NDArray[Any]]:
    """The definition of what a line means; it also names the line that means nothing."""
    rows: list[tuple[int, ...]] = []
    for number, line in enumerate(lines, first_line):
        content = line.split(layout.comment)[0].strip()
        if not content:
            continue
        fields = split(content, layout.separator)
        try:
            if len(fields) != layout.n_columns:
                raise ValueError(f"{layout.n_columns} fields are needed, got {len(fields)}")
            rows.append(tuple(_value(name, fields[k], layout.unit) for name, k in layout.columns.items()))
        except ValueError as error:
            raise RecordingError(
                f"{path} line {number} ({shown(line)}) is not an event: {error}; correct or remove it"
            ) from None
    return {
        name: np.array([row[k] for row in rows], np.int64 if name == "t" else np.int32)
        for k, name in enumerate(layout.columns)
    }


def _value(name: str, text: str, unit: str) -> int:
    if not is_number(text):
        raise ValueError(f"{name} is {shown(text)}, not a number")
    decimal = Decimal(text)
    if decimal and decimal.adjusted() > 18:
        raise ValueError(f"{name} is too large")
    if name == "t":
        value = int(decimal.scaleb(DECIMALS[unit]).to_integral_value(ROUND_HALF_UP))
        if abs(value) >= 1 << 62:
            raise ValueError("t is too large")
        return value
    if decimal != decimal.to_integral_value():
        raise ValueError(f"{name} is {shown(text)}, not a whole number")
    if abs(decimal) >= 1 << 31:
        raise ValueError(f"{name} is too large")
    if name == "p" and decimal not in (-1, 0, 1):
        raise ValueError(f"p is {shown(text)}, not 0 or 1 (or -1 or 1)")
    return int(decimal)


def _read_fast(lines: list[str], layout: Layout) -> dict[str, NDArray[Any]] | None:
    """The same by way of numpy.loadtxt; None for a block with anything out of the ordinary."""
    dtypes = {"t": "i8" if layout.whole_times else f"S{layout.time_characters}", "x": "i4", "y": "i4", "p": "i1"}
    fields = [("", "S1")] * layout.n_columns
    for name, k in layout.columns.items():
        fields[k] = (name, "f8" if name in layout.with_decimals else dtypes[name])
    with warnings.catch_warnings():
        # An integer written as 3.0 warns; only comments in a block warns too, and is fine.
        warnings.simplefilter("error", DeprecationWarning)
        warnings.simplefilter("ignore", UserWarning)
        try:
            table = np.loadtxt(lines, np.dtype(fields), comments=layout.comment, delimiter=layout.separator, ndmin=1)
        except (ValueError, DeprecationWarning):
            return None
    columns: dict[str, NDArray[Any]] = {}
    for name in layout.columns:
        values = table[name] if name != "t" else _times_us(table["t"], layout)
        if values is not None and values.dtype.kind == "f":
            values = _whole(values)
        if values is None or (name == "p" and values.size and not -1 <= values.min() <= values.max() <= 1):
            return None
        columns[name] = np.ascontiguousarray(values)
    return columns


def _whole(values: NDArray[Any]) -> NDArray[np.int32] | None:
    # A comparison with NaN is false.
    good = (values == np.floor(values)) & (np.abs(values) < 1 << 31)
    return values.astype(np.int32) if good.all() else None


def _times_us(values: NDArray[Any], layout: Layout) -> NDArray[np.int64] | None:
    decimals = DECIMALS[layout.unit]
    if values.dtype.kind != "S":
        # Nanoseconds: to the nearest microsecond.
        return values if decimals == 0 else (values + 500) // 1_000
    return _decimal_times(values, decimals) if decimals >= 0 else None


def _decimal_times(texts: NDArray[np.bytes_], places: int) -> NDArray[np.int64] | None:
    """Texts such as `1605537493.718345` times 10**places, rounded half up, in integers only: a
    double has no room for more digits than that.

    Rows written alike (same length, point and exponent) are converted together. None for anything
    else, such as signs, and for a text that fills its field and may be cut.
    """
    # One row a character, so that each step below walks through memory once.
    characters = np.ascontiguousarray(texts).view(np.uint8).reshape(texts.size, -1).T.copy()
    if characters[-1].any():
        return None
    value = np.empty(texts.size, np.int64)
    left = np.arange(texts.size)
    for _ in range(_SHAPES):
        if not left.size:
            return value
        first = characters[:, 0].tobytes().rstrip(b"\0")
        if not is_number(first.decode("latin-1")):
            return None
        mantissa, _, exponent = first.partition(b"e")
        point = mantissa.find(b".")
        alike = (characters[len(first) - 1] != 0) & (characters[len(first)] == 0)
        alike &= characters[point] == ord(".") if point >= 0 else (characters != ord(".")).all(axis=0)
        for k in range(len(mantissa), len(first)):
            alike &= characters[k] == first[k]
        everything = bool(alike.all())
        shape = (characters if everything else characters[:, alike])[: len(mantissa)]
        converted = _decimals_alike(shape, point, places + int(exponent or 0))
        if converted is None:
            return None
        value[left if everything else left[alike]] = converted
        left, characters = left[~alike], characters[:, ~alike]
    return None


def _decimals_alike(characters: NDArray[np.uint8], point: int, places: int) -> NDArray[np.int64] | None:
    """The same for texts (characters, n) of one length with their point at one place (-1: none)."""
    digits = characters - np.uint8(ord("0"))
    if point >= 0:
        digits = np.delete(digits, point, axis=0)
    # So many digits stand left of the point once it has moved.
    whole = (point if point >= 0 else len(digits)) + places
    if digits.size == 0 or digits.max() > 9 or whole > 18:
        return None
    value = np.zeros(digits.shape[1], np.int64)
    for digit in digits[: max(whole, 0)]:
        value *= 10
        value += digit
    value *= 10 ** max(whole - len(digits), 0)
    if 0 <= whole < len(digits):
        value += digits[whole] >= 5
    return value
