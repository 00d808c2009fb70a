"""How a text of events is laid out: header, separator, columns and unit, found in its first lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from velocell.errors import RecordingError
from velocell.formats.clock import inferred_unit
from velocell.formats.wording import shown

# Power of ten that turns a unit into microseconds.
DECIMALS = {"s": 6, "ms": 3, "us": 0, "ns": -3}

_ORDERS = ("txyp", "xypt", "xytp", "txy")
_NAMES = {
    **dict.fromkeys(("t", "ts", "time", "timestamp", "timestamps"), "t"),
    "x": "x",
    "y": "y",
    **dict.fromkeys(("p", "pol", "polarity", "on"), "p"),
}
_HEADER_REMEDY = "name the columns in a first line, such as t_us,x,y,p or t_s,x,y,p"
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_EXPONENT = re.compile(r"[-+]?\d\.(\d+)[eE]([-+]?\d{1,2})", re.ASCII)
_LOST = 3  # no clock has a last digit of 10^3 us or more
_WHOLE = re.compile(r"[-+]?\d+", re.ASCII)
# t_us, time [us], timestamp(s), x [px]; both letters that are read as micro
_COLUMN_NAME = re.compile(r"([a-z]+)(?:\s*[_\[(]\s*(s|ms|us|µs|\u03bcs|ns|px|pixels?)\s*[\])]?)?")
_MICRO = str.maketrans("µ\u03bc", "uu")
_SIZE = re.compile(r"\bwidth\W{1,3}(\d{1,6})\b.*\bheight\W{1,3}(\d{1,6})\b", re.IGNORECASE)
# Metavision's first line is %geometry:1280,720
_GEOMETRY = re.compile(r"%\s*geometry\s*[:=]\s*(\d{1,6})\s*[,x]\s*(\d{1,6})\s*", re.IGNORECASE)
_POLARITY = re.compile(rb"\b(true|on)\b|\b(?:false|off)\b", re.IGNORECASE)
_SPAN = re.compile(r"\bstart_us (\d{1,18}) stop_us (\d{1,18})\b")
_SAMPLE_ROWS = 5_000
# A coordinate cannot be larger.
_LARGEST_COORDINATE = 65_535
# Of two possible time columns, the one that runs this much further is the time.
_CLEARLY = 4


_ROOM = 4


@dataclass(frozen=True)
class Layout:
    """columns: name -> position. first_line counts from 1; offset in bytes. size: (width, height).

    unit_stated: the file names the unit of time. whole_times: times are integers, in microseconds
    or nanoseconds. with_decimals: columns other than t that are written with decimals.
    words: polarities are written as True and False, or ON and OFF.
    time_characters: how many characters to keep of a time; later ones may be longer.
    """

    columns: dict[str, int]
    n_columns: int
    separator: str | None
    comment: str
    unit: str
    unit_stated: bool
    whole_times: bool
    with_decimals: frozenset[str]
    words: bool
    time_characters: int
    first_line: int
    offset: int
    size: tuple[int, int] | None
    span: tuple[int, int] | None
    notes: tuple[str, ...]


@dataclass
class _Preamble:
    """What stands before the first event."""

    columns: dict[str, int] | None = None
    n_columns: int = 3
    unit: str | None = None
    header_line: int = 0
    comment: str = "#"
    size: tuple[int, int] | None = None
    span: tuple[int, int] | None = None
    separator: str | None = None
    words: bool = False
    first_line: int = 1
    offset: int = 0


def find_layout(head: bytes, complete: bool, path: Path, time_unit: str | None = None) -> Layout:
    """The layout of a text that begins with `head`; `complete`: nothing comes after it. time_unit: as given.

    Raises RecordingError for a text that is not a table of events, and for one that leaves open what
    its columns are.
    """
    preamble, rows = _read_head(head, complete, path)
    if complete and not head.endswith(b"\n") and 1 < len(rows) < _SAMPLE_ROWS:
        rows.pop()  # it may have been cut
    if not rows and not complete:
        raise RecordingError(f"{path} has no event in its first {len(head)} bytes; shorten the text before the events")
    if not rows and preamble.columns is None and preamble.size is None:
        raise RecordingError(f"{path} is a text without events; write one event a line, under a first line t_us,x,y,p")
    if rows and preamble.columns is not None and len(rows[0]) != preamble.n_columns:
        raise RecordingError(
            f"{path} line {preamble.first_line} has {len(rows[0])} fields where line {preamble.header_line} names "
            f"{preamble.n_columns}; name every column"
        )
    n_columns = len(rows[0]) if rows else preamble.n_columns
    table = np.array(rows, np.str_).reshape(len(rows), n_columns).astype(np.float64)
    if preamble.columns is not None:
        columns, how = preamble.columns, f"named in line {preamble.header_line}"
    else:
        columns, how = inferred_columns(table, path) if rows else {"t": 0, "x": 1, "y": 2}, "found by their values"
    named = time_unit or preamble.unit
    if named is not None:
        unit, why = named, "as named" if time_unit is None else "as given"
    else:
        unit, why = inferred_unit(table[:, columns["t"]], path)
    _check_digits([row[columns["t"]] for row in rows], unit, path)
    whole = {name for name, k in columns.items() if all(_WHOLE.fullmatch(row[k]) for row in rows)}
    notes = [
        f"columns {' '.join(sorted(columns, key=columns.__getitem__))} {how}",
        f"times read as {unit}, {why}",
    ]
    return Layout(
        columns=columns,
        n_columns=n_columns,
        separator=preamble.separator,
        comment=preamble.comment,
        unit=unit,
        unit_stated=named is not None,
        whole_times="t" in whole and unit in ("us", "ns"),
        with_decimals=frozenset("xyp") & columns.keys() - whole,
        words=preamble.words,
        time_characters=max((len(row[columns["t"]]) for row in rows), default=0) + _ROOM,
        first_line=preamble.first_line,
        offset=preamble.offset,
        size=preamble.size,
        span=preamble.span,
        notes=tuple(notes),
    )


def _check_digits(times: list[str], unit: str, path: Path) -> None:
    """Refuse times whose last digits are gone: a spreadsheet writes 1700000000000000 as 1.70000E+15."""
    shapes = [found for text in times if (found := _EXPONENT.fullmatch(text))]
    lost = [found[0] for found in shapes if DECIMALS[unit] + int(found[2]) - len(found[1]) >= _LOST]
    if 2 * len(lost) > len(times):
        raise RecordingError(
            f"{path}: times such as {shown(lost[0])} have lost their last digits; save them as whole numbers of us"
        )


def split(content: str, separator: str | None) -> list[str]:
    return [field.strip() for field in content.split(separator)]


def with_numbers(data: bytes) -> bytes:
    """The same with 1 and 0 for polarities in words: True, False, ON, OFF in any letters."""
    return _POLARITY.sub(lambda found: b"1" if found[1] else b"0", data)


def is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None


def _read_head(head: bytes, complete: bool, path: Path) -> tuple[_Preamble, list[list[str]]]:
    """The preamble, and the fields of the events up to the first malformed line."""
    preamble = _Preamble()
    rows: list[list[str]] = []
    for number, offset, line in _lines(head, complete):
        if not line:
            continue
        if line[0] in "#%":
            if not rows:
                _read_comment(line, number, preamble)
            continue
        if not rows:
            if _belongs_to_preamble(line, number, preamble, path):
                continue
            preamble.separator, preamble.first_line, preamble.offset = _separator(line), number, offset
            preamble.words = _POLARITY.search(line.encode()) is not None
        content = line.split(preamble.comment)[0]
        if preamble.words:
            content = with_numbers(content.encode()).decode()
        fields = split(content, preamble.separator)
        if not all(map(is_number, fields)) or (rows and len(fields) != len(rows[0])):
            if not rows:
                raise RecordingError(f"{path} line {number} ({shown(line)}) is not an event; correct or remove it")
            # Reading the file names the line.
            break
        rows.append(fields)
        if len(rows) == _SAMPLE_ROWS:
            break
    if not rows:
        preamble.offset = len(head)
    return preamble, rows


def _lines(head: bytes, complete: bool) -> Iterator[tuple[int, int, str]]:
    """(number, offset in bytes, text) of each whole line."""
    offset = 3 if head.startswith(b"\xef\xbb\xbf") else 0
    pieces = head[offset:].split(b"\n")
    if not complete:
        pieces.pop()
    for number, piece in enumerate(pieces, 1):
        yield number, offset, _decoded(piece).strip()
        offset += len(piece) + 1


def _decoded(piece: bytes) -> str:
    """A header may say µs in either encoding."""
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return piece.decode("latin-1")


def _separator(line: str) -> str | None:
    """None: any white space."""
    return next((separator for separator in (";", ",") if separator in line), None)


def _read_comment(line: str, number: int, preamble: _Preamble) -> None:
    preamble.comment = line[0]
    if found := _SIZE.search(line) or _GEOMETRY.fullmatch(line):
        preamble.size = int(found[1]), int(found[2])
    if found := _SPAN.search(line):
        preamble.span = int(found[1]), int(found[2])
    content = line.strip("#% ")
    names = named_columns(split(content, _separator(content)))
    # numpy.savetxt writes its header as a comment; prose is not one.
    if names is not None and len(names[0]) == names[1]:
        preamble.columns, preamble.n_columns, preamble.unit = names
        preamble.header_line = number


def _belongs_to_preamble(line: str, number: int, preamble: _Preamble, path: Path) -> bool:
    """Take in a header, or a first line `width height`; False for an event."""
    fields = split(line, _separator(line))
    if len(fields) == 2 and all(map(_WHOLE.fullmatch, fields)) and preamble.size is None:
        preamble.size = int(fields[0]), int(fields[1])
        return True
    if any(map(is_number, fields)):
        return False
    names = named_columns([field.strip("\"'") for field in fields])
    if names is None:
        raise RecordingError(
            f"{path} line {number} ({shown(line)}) is neither an event nor a header with t, x and y, each once; "
            f"{_HEADER_REMEDY}"
        )
    preamble.columns, preamble.n_columns, preamble.unit = names
    preamble.header_line = number
    return True


def named_columns(fields: list[str]) -> tuple[dict[str, int], int, str | None] | None:
    """(columns, number of fields, unit of time) of a header; None where t, x and y do not each occur once."""
    columns: dict[str, int] = {}
    unit = None
    for k, field in enumerate(fields):
        match = _COLUMN_NAME.fullmatch(field.lower())
        name = _NAMES.get(match[1]) if match else None
        unit_of = match[2].translate(_MICRO) if match and match[2] else None
        if name is None or (unit_of is not None and (name == "t") != (unit_of in DECIMALS)):
            continue
        if unit_of not in (None, *DECIMALS) and "_" in field:
            continue  # x_px is a table of tracks'
        if name in columns:
            return None
        columns[name] = k
        if name == "t":
            unit = unit_of
    return (columns, len(fields), unit) if {"t", "x", "y"} <= columns.keys() else None


def inferred_columns(table: NDArray[np.float64], path: Path, remedy: str = _HEADER_REMEDY) -> dict[str, int]:
    """Name -> position of the columns of a table (n, 3 or 4), by their values. Raises RecordingError with `remedy`."""
    orders = [order for order in _ORDERS if len(order) == table.shape[1] and _fits(order, table)]
    spans = {order: float(np.ptp(table[:, order.index("t")])) for order in orders}
    if len(orders) > 1:
        longest = max(orders, key=spans.__getitem__)
        orders = [order for order in orders if order == longest or spans[order] * _CLEARLY >= spans[longest]]
    if len(orders) != 1:
        problem = (
            f"its events can be read as {' or '.join(' '.join(order) for order in orders)}"
            if orders
            else "a time must never decrease, x and y must be whole numbers, and p 0/1 or -1/1"
        )
        raise RecordingError(f"cannot tell which columns of {path} are t, x, y and p: {problem}; {remedy}")
    return {name: k for k, name in enumerate(orders[0])}


def _fits(order: str, table: NDArray[np.float64]) -> bool:
    columns = dict(zip(order, table.T, strict=True))
    # A number such as 1e999 is infinite.
    if not np.isfinite(columns["t"]).all() or np.any(np.diff(columns["t"]) < 0):
        return False
    for name in "xy":
        if np.any(columns[name] != np.floor(columns[name])) or np.any(np.abs(columns[name]) > _LARGEST_COORDINATE):
            return False
    seen = set(np.unique(columns["p"])) if "p" in columns else set()
    return seen <= {0, 1} or seen <= {-1, 1}
