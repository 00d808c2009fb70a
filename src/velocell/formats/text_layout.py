"""How a text of events is laid out: header, separator, columns and unit, found in its first lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from velocell.errors import RecordingError

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
_WHOLE = re.compile(r"[-+]?\d+", re.ASCII)
# t_us, time[us], timestamp(s)
_COLUMN_NAME = re.compile(r"([a-z]+)(?:\s*[_\[(]\s*(s|ms|us|µs|ns)[\])]?)?")
_SIZE = re.compile(r"\bwidth\W{1,3}(\d{1,6})\b.*\bheight\W{1,3}(\d{1,6})\b", re.IGNORECASE)
_SPAN = re.compile(r"\bstart_us (\d{1,18}) stop_us (\d{1,18})\b")
_SAMPLE_ROWS = 5_000
# A coordinate cannot be larger; a time in nanoseconds since 1970 is not smaller.
_LARGEST_COORDINATE = 65_535
_EPOCH_NS = 1e17
# Of two possible time columns, the one that runs this much further is the time.
_CLEARLY = 4


@dataclass(frozen=True)
class Layout:
    """columns: name -> position. first_line counts from 1; offset in bytes. size: (width, height).

    unit_stated: the file names the unit of time. whole_times: times are integers, in microseconds
    or nanoseconds. with_decimals: columns other than t that are written with decimals.
    """

    columns: dict[str, int]
    n_columns: int
    separator: str | None
    comment: str
    unit: str
    unit_stated: bool
    whole_times: bool
    with_decimals: frozenset[str]
    first_line: int
    offset: int
    size: tuple[int, int] | None
    span: tuple[int, int] | None
    notes: tuple[str, ...]


@dataclass
class _Preamble:
    """What stands before the first event; names and unit are those of a header."""

    comment: str = "#"
    header: list[str] | None = None
    header_line: int = 0
    size: tuple[int, int] | None = None
    span: tuple[int, int] | None = None
    separator: str | None = None
    first_line: int = 1
    offset: int = 0


def find_layout(head: bytes, complete: bool, path: Path) -> Layout:
    """The layout of a text that begins with `head`; `complete`: nothing comes after it.

    Raises RecordingError for a text that is no table of events, and for one that leaves open what
    its columns are.
    """
    preamble = _Preamble()
    rows = _sample_rows(head, complete, preamble, path)
    n_columns = len(rows[0]) if rows else len(preamble.header or "txy")
    table = np.array([[float(text) for text in row] for row in rows], np.float64).reshape(len(rows), n_columns)
    unit = None
    if preamble.header is not None:
        columns, unit = _named_columns(preamble.header)
        how = f"named in line {preamble.header_line}"
    else:
        columns, how = _inferred_columns(table, path), "found by their values"
    texts = {name: [row[k] for row in rows] for name, k in columns.items()}
    whole = {name: all(map(_WHOLE.fullmatch, column)) for name, column in texts.items()}
    chosen, why = _unit(table[:, columns["t"]]) if unit is None else (unit, "as the header says")
    order = " ".join(sorted(columns, key=lambda name: columns[name]))
    notes = [f"text, columns {order} {how}", f"times read as {chosen}, {why}"]
    if preamble.size is not None:
        notes.append("sensor size {}x{} from the first lines".format(*preamble.size))
    return Layout(
        columns=columns,
        n_columns=n_columns,
        separator=preamble.separator,
        comment=preamble.comment,
        unit=chosen,
        unit_stated=unit is not None,
        whole_times=whole["t"] and chosen in ("us", "ns"),
        with_decimals=frozenset(name for name in columns if name != "t" and not whole[name]),
        first_line=preamble.first_line,
        offset=preamble.offset,
        size=preamble.size,
        span=preamble.span,
        notes=tuple(notes),
    )


def split(content: str, separator: str | None) -> list[str]:
    return [field.strip() for field in content.split(separator)]


def is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None


def shown(text: str) -> str:
    """A line as it can stand in an error message."""
    return ascii(text if len(text) <= 60 else f"{text[:57]}...")


def _lines(head: bytes, complete: bool) -> Iterator[tuple[int, int, str]]:
    """(number, offset in bytes, text) of each whole line."""
    offset = 3 if head.startswith(b"\xef\xbb\xbf") else 0
    pieces = head[offset:].split(b"\n")
    if not complete:
        pieces.pop()
    for number, piece in enumerate(pieces, 1):
        yield number, offset, piece.decode("latin-1").strip()
        offset += len(piece) + 1


def _sample_rows(head: bytes, complete: bool, preamble: _Preamble, path: Path) -> list[list[str]]:
    """Fill in the preamble; the fields of the first well-formed rows."""
    rows: list[list[str]] = []
    end = 0
    for number, offset, line in _lines(head, complete):
        end = offset + len(line)
        if line[:1] in ("#", "%") and not rows:
            _read_comment(line, number, preamble)
        if not line or line[0] in ("#", "%"):
            continue
        if not rows and not _begins_events(line, number, preamble, path):
            continue
        if not rows:
            preamble.separator, preamble.first_line, preamble.offset = _separator(line), number, offset
        fields = split(line.split(preamble.comment)[0], preamble.separator)
        if rows and (len(fields) != len(rows[0]) or not all(map(is_number, fields))):
            # Reading the file names the line.
            break
        rows.append(fields)
        if len(rows) == _SAMPLE_ROWS:
            break
    if not rows:
        preamble.offset = max(end, len(head))
        if preamble.header is None and preamble.size is None:
            raise RecordingError(f"{path} is a text without events; write one event a line, as t,x,y,p")
    return rows
