"""The messages of a ROS 2 bag in SQLite: the tables topics and messages.

A database is a program: views, generated columns and virtual tables compute, joins multiply, sorting fills the memory.
So only plain tables are read, one after the other, and SQLite asks here whether to go on while it works.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from velocell.data.budget import Meter
from velocell.data.integrity import Integrity
from velocell.errors import RecordingError
from velocell.formats.ros.message import Message
from velocell.formats.unpack import Oversized, unpacker
from velocell.formats.wording import bare

_ZSTD = b"\x28\xb5\x2f\xfd"
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0 AND name IN ('topics', 'messages')"
_NEEDED = {"topics": {"id", "name", "type", "serialization_format"}, "messages": {"id", "topic_id", "data"}}
_TOPICS = "SELECT id, name, type, serialization_format FROM topics LIMIT ?"
_MESSAGES = "SELECT {0}, topic_id, CASE WHEN length(data) <= ? THEN data END FROM messages {1} ORDER BY {0}"
_MOST_TOPICS, _LONGEST_NAME = 10_000, 4_096
_STEPS = 20_000  # of SQLite's machine between two questions whether to go on: about a millisecond
_LENGTH_LIMIT = 0  # SQLITE_LIMIT_LENGTH


def messages(
    path: Path, integrity: Integrity, meter: Meter, most_bytes: int, after: int | None = None
) -> Iterator[Message]:
    """Behind the row `after`. Messages may be packed one by one with zstd. Raises RecordingError beyond the budget."""
    import sqlite3

    watch = _Watch(meter)
    try:
        base = sqlite3.connect(f"file:{quote(os.fspath(path.absolute()))}?mode=ro&immutable=1", uri=True)
        try:
            base.set_progress_handler(watch, _STEPS)
            base.execute("PRAGMA trusted_schema = OFF")
            if hasattr(base, "setlimit"):
                base.setlimit(_LENGTH_LIMIT, most_bytes)
            order = _checked(base, path)
            topics = _topics(base, path, integrity)
            unpack = meter.unpacking(unpacker("zstd", most_bytes))
            later, bounds = ("", ()) if after is None else (f"WHERE {order} > ?", (after,))
            for row, topic_id, data in base.execute(_MESSAGES.format(order, later), (most_bytes, *bounds)):
                if topic_id not in topics or not isinstance(data, bytes):
                    integrity.fault("damaged")
                    continue
                if data.startswith(_ZSTD):
                    try:
                        data = unpack(data)
                    except (ValueError, Oversized):
                        integrity.fault("damaged")
                        continue
                yield Message(*topics[topic_id], data, (row, 0))
        finally:
            base.close()
    # Of a damaged schema, SQLite's message may not be text.
    except (sqlite3.Error, UnicodeDecodeError) as error:
        if watch.refusal is not None:
            raise watch.refusal from None
        # What was read before stands.
        integrity.fault("damaged", 1, bare(str(error)))


class _Watch:
    """Whether SQLite may go on, asked while it works; `refusal` once it may not."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self.refusal: RecordingError | None = None

    def __call__(self) -> int:
        try:
            self._meter.work()
        except RecordingError as error:
            self.refusal = error
        return int(self.refusal is not None)


def _checked(base: Any, path: Path) -> str:
    """The column that orders the messages without sorting. Raises RecordingError for anything but plain tables."""
    if {name for (name,) in base.execute(_TABLES)} != set(_NEEDED):
        raise _no_bag(path)
    order = "rowid"
    for table, needed in _NEEDED.items():
        columns = list(base.execute(f"PRAGMA table_xinfo({table})"))
        found = {name for _, name, *_ in columns}
        if not needed <= found:
            raise _no_bag(path)
        if any(hidden and name in needed for _, name, _, _, _, _, hidden in columns):
            raise RecordingError(
                f"{path}: the table {table} has columns that are computed, which no recorder writes; record it again"
            )
        keys = [(name, type_) for _, name, type_, _, _, key, _ in columns if key]
        if table == "messages" and keys == [("id", "INTEGER")]:
            order = "id"
    return order


def _topics(base: Any, path: Path, integrity: Integrity) -> dict[Any, tuple[str, str, str]]:
    """By id: name, type and encoding. Raises RecordingError."""
    topics: dict[Any, tuple[str, str, str]] = {}
    for number, (topic_id, *texts) in enumerate(base.execute(_TOPICS, (_MOST_TOPICS + 1,))):
        if number == _MOST_TOPICS:
            raise RecordingError(f"{path} has more than {_MOST_TOPICS} topics; record the topic of events alone")
        plain = all(isinstance(text, str) and len(text) <= _LONGEST_NAME for text in texts)
        if not plain or topic_id in topics:
            integrity.fault("damaged")
            continue
        topics[topic_id] = (texts[0], texts[1], texts[2])
    return topics


def _no_bag(path: Path) -> RecordingError:
    return RecordingError(f"{path} is an SQLite database, but not a ROS 2 bag; give the bag's .db3 file")
