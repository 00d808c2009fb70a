"""The messages of ROS 1 bags, ROS 2 bags (SQLite) and MCAP files, in the order of the file.

Records are read one by one, without the index at the end, so memory stays bounded and a bag that was cut off is read
up to there. Rejected: the package `rosbags` (the tests write with it), which needs the index of a ROS 1 bag, unpacks
without a limit and turns every event into a Python object.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sized
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from velocell.data.budget import Budget, Meter, Unpack
from velocell.data.integrity import Integrity
from velocell.errors import RecordingError
from velocell.formats.ros import sqlite
from velocell.formats.ros.message import Known, Message
from velocell.formats.unpack import MAX_BYTES, Oversized, unpacker
from velocell.formats.wording import bare

ROS1, MCAP, SQLITE = b"#ROSBAG V2.0\n", b"\x89MCAP0\r\n", b"SQLite format 3\x00"
_ROS1 = "ros1"
_MAX_HEADER_BYTES = 1 << 20
_LOOK_RECORDS = 4_096  # between two looks at the clock
_MOST_CHANNELS, _LONGEST_NAME = 10_000, 4_096


def messages(
    path: Path,
    integrity: Integrity,
    budget: Budget,
    known: Known | None = None,
    behind: tuple[int, int] | None = None,
) -> Iterator[Message]:
    """All messages of a file that starts with one of the marks above; damage is counted in `integrity`.

    behind: go on behind the message of which `Message.behind` says so. known: what the file has said of its channels by
    then; what it says further is added. Raises RecordingError beyond the budget."""
    known = known or Known()
    meter = Meter(budget)
    most_bytes = budget.piece(MAX_BYTES)
    with path.open("rb") as handle:
        mark = handle.read(16)
        if mark.startswith(SQLITE):
            yield from sqlite.messages(path, integrity, meter, most_bytes, None if behind is None else behind[0])
            return
        walk = _Walk(handle, path.stat().st_size, integrity, meter, most_bytes)
        walk.position = len(ROS1) if mark.startswith(ROS1) else len(MCAP)
        if behind is not None:
            walk.position, walk.passed = behind
        yield from _ros1(walk, known) if mark.startswith(ROS1) else _mcap(walk, known)


@dataclass
class _Walk:
    """Where in the file the next record starts, and what is known of the compressions. passed: so many messages of the
    record there are left out; an earlier reading had them."""

    handle: IO[bytes]
    last: int
    integrity: Integrity
    meter: Meter
    most_bytes: int
    position: int = 0
    passed: int = 0
    unpackers: dict[str, Unpack] = field(default_factory=dict)

    def take(self, n: int) -> bytes | None:
        """The next n bytes; None, and the rest is counted as unreadable, where the file has fewer."""
        if not 0 <= n <= self.last - self.position:
            self.stop()
            return None
        if n > self.most_bytes:
            raise self.oversized()
        self.meter.unpacked(n)  # what is passed over takes time as well
        self.handle.seek(self.position)
        self.position += n
        return self.handle.read(n)

    def new(self, found: Iterator[Message]) -> Iterator[Message]:
        """Of a record's messages those that are not passed over."""
        passed, self.passed = self.passed, 0
        return (message for message in found if message.behind[1] > passed)

    def stop(self) -> None:
        self.integrity.fault("trailing_bytes", self.last - self.position, f"from byte {self.position}")
        self.position = self.last

    def unpacked(self, name: str, packed: bytes) -> bytes | None:
        """The content of a chunk; None where it is damaged, which is counted."""
        try:
            if name not in self.unpackers:
                self.unpackers[name] = self.meter.unpacking(unpacker(name, self.most_bytes))
            return bytes(self.unpackers[name](packed))
        except KeyError:
            what = f"chunks of the unknown compression {bare(name)}"
            raise RecordingError(f"{self.integrity.source} has {what}; write it again with lz4 or zstd") from None
        except Oversized:
            raise self.oversized() from None
        except ValueError:
            self.damaged()
            return None

    def damaged(self) -> None:
        self.integrity.fault("damaged", 1, f"the one before byte {self.position}")

    def oversized(self) -> RecordingError:
        return RecordingError(
            f"{self.integrity.source} has a record of more than {self.most_bytes >> 20} MiB; write it again in smaller "
            "chunks"
        )


def _check_names(known: Sized, source: str, *names: Sized) -> None:
    """Refuse a bag with more channels, or longer names, than anyone records: they are held in memory."""
    if len(known) >= _MOST_CHANNELS:
        raise RecordingError(f"{source} has more than {_MOST_CHANNELS} channels; record the topic of events alone")
    if any(len(name) > _LONGEST_NAME for name in names):
        raise ValueError("a name is too long")


# --- ROS 1: a record is a header of fields name=value, and data; each behind its length ------------------

_CHUNK, _CONNECTION, _DATA = 5, 7, 2


def _ros1(walk: _Walk, known: Known) -> Iterator[Message]:
    while walk.position < walk.last:
        start = walk.position
        fields = _ros1_header(walk)
        if fields is None:
            return
        length = walk.take(4)
        if length is None:
            return
        n = struct.unpack("<I", length)[0]
        kind = fields.get("op", b"\0")[0]
        if kind not in (_CHUNK, _CONNECTION, _DATA):
            if n > walk.last - walk.position:
                walk.position = start
                walk.stop()
                return
            walk.position += n
            continue
        data = walk.take(n)
        if data is None:
            return
        if kind == _CHUNK:
            content = walk.unpacked(fields.get("compression", b"none").decode("latin-1"), data)
            yield from walk.new(_ros1_chunk(content or b"", walk, known, start))
        else:
            yield from _ros1_record(kind, fields, data, walk, known, (walk.position, 0))


def _ros1_chunk(content: bytes, walk: _Walk, known: Known, start: int) -> Iterator[Message]:
    try:
        position = number = met = 0
        while position < len(content):
            fields, position = _ros1_fields(content, position)
            n = struct.unpack_from("<I", content, position)[0]
            data = content[position + 4 : position + 4 + n]
            if len(data) < n:
                raise ValueError("the record is cut off")
            position += 4 + n
            number += 1
            if number % _LOOK_RECORDS == 0:
                walk.meter.work()
            met += fields["op"][0] == _DATA
            yield from _ros1_record(fields["op"][0], fields, data, walk, known, (start, met))
    except (struct.error, ValueError, LookupError):
        walk.damaged()


def _ros1_record(
    kind: int, fields: dict[str, bytes], data: bytes, walk: _Walk, known: Known, behind: tuple[int, int]
) -> Iterator[Message]:
    try:
        number = struct.unpack("<I", fields.get("conn", b""))[0]
        if kind == _CONNECTION:
            about, _ = _ros1_fields(struct.pack("<I", len(data)) + data, 0)
            topic = about.get("topic", fields.get("topic", b""))
            _check_names(known.channels, walk.integrity.source, topic, about["type"])
            known.channels[number] = (topic.decode("utf-8", "replace"), about["type"].decode("latin-1"), _ROS1)
        elif kind == _DATA:
            yield Message(*known.channels[number], data, behind)
    except (struct.error, ValueError, LookupError):
        walk.damaged()


def _ros1_header(walk: _Walk) -> dict[str, bytes] | None:
    start = walk.position
    length = walk.take(4)
    if length is None:
        return None
    n = struct.unpack("<I", length)[0]
    data = walk.take(n) if n <= _MAX_HEADER_BYTES else None
    if data is not None:
        try:
            return _ros1_fields(length + data, 0)[0]
        except (struct.error, ValueError):
            pass
    elif walk.position == walk.last:
        return None
    # Without right lengths there is no way to find the next record.
    walk.position = start
    walk.stop()
    return None


def _ros1_fields(data: bytes, position: int) -> tuple[dict[str, bytes], int]:
    """The fields of the header at `position`, and where it ends. Raises struct.error or ValueError."""
    last = position + 4 + struct.unpack_from("<I", data, position)[0]
    if last > len(data):
        raise ValueError("the header is cut off")
    position += 4
    fields = {}
    while position < last:
        n = struct.unpack_from("<I", data, position)[0]
        name, mark, value = data[position + 4 : position + 4 + n].partition(b"=")
        if not mark or position + 4 + n > last:
            raise ValueError("a field is damaged")
        fields[name.decode("latin-1")] = value
        position += 4 + n
    return fields, last


# --- MCAP: a record is a byte for its kind, its length in 8 bytes, and data ---------------------------------

_MESSAGE = 0x05


def _mcap(walk: _Walk, known: Known) -> Iterator[Message]:
    channels = _Channels(walk.integrity.source, known)
    while walk.position < walk.last:
        start = walk.position
        described = walk.take(9)
        if described is None:
            return
        kind, n = struct.unpack("<BQ", described)
        if n > walk.last - walk.position:
            walk.position = start
            walk.stop()
            return
        if kind == 0x0F:
            return
        if kind not in (0x03, 0x04, 0x05, 0x06):
            walk.position += n
            continue
        data = walk.take(n)
        assert data is not None
        try:
            if kind != 0x06:
                yield from channels.record(kind, data, (walk.position, 0))
                continue
            name, packed = _mcap_chunk(data)
            content = walk.unpacked(name or "none", packed) or b""
            yield from walk.new(_mcap_records(content, channels, walk.meter, start))
        except (struct.error, ValueError, KeyError):
            walk.damaged()


def _mcap_chunk(data: bytes) -> tuple[str, bytes]:
    """Compression and content: they stand behind two times, the size and a checksum."""
    name, position = _mcap_text(data, 28)
    n = struct.unpack_from("<Q", data, position)[0]
    packed = data[position + 8 : position + 8 + n]
    if len(packed) < n:
        raise ValueError("the chunk is cut off")
    return name, packed


def _mcap_records(content: bytes, channels: _Channels, meter: Meter, start: int) -> Iterator[Message]:
    position = number = met = 0
    while position < len(content):
        kind, n = struct.unpack_from("<BQ", content, position)
        data = content[position + 9 : position + 9 + n]
        if len(data) < n:
            raise ValueError("the record is cut off")
        if kind == 0:
            raise ValueError("a record without a kind")
        position += 9 + n
        number += 1
        if number % _LOOK_RECORDS == 0:
            meter.work()
        met += kind == _MESSAGE
        yield from channels.record(kind, data, (start, met))


def _mcap_text(data: bytes, position: int) -> tuple[str, int]:
    n = struct.unpack_from("<I", data, position)[0]
    if position + 4 + n > len(data):
        raise ValueError("a text is cut off")
    return data[position + 4 : position + 4 + n].decode("utf-8", "replace"), position + 4 + n


class _Channels:
    """Schemas and channels met so far: what a message's channel number means."""

    def __init__(self, source: str, known: Known) -> None:
        self._source = source
        self._schemas, self._channels = known.schemas, known.channels

    def record(self, kind: int, data: bytes, behind: tuple[int, int]) -> Iterator[Message]:
        """Take in a schema or a channel, or give a message. Raises struct.error, ValueError or KeyError."""
        if kind == 0x03:
            name = _mcap_text(data, 2)[0]
            _check_names(self._schemas, self._source, name)
            self._schemas[struct.unpack_from("<H", data)[0]] = name
        elif kind == 0x04:
            number, schema = struct.unpack_from("<HH", data)
            topic, position = _mcap_text(data, 4)
            _check_names(self._channels, self._source, topic)
            self._channels[number] = (topic, self._schemas.get(schema, ""), _mcap_text(data, position)[0])
        elif kind == _MESSAGE:
            yield Message(*self._channels[struct.unpack_from("<H", data)[0]], data[22:], behind)
