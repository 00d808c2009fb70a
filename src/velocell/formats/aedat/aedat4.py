"""AEDAT4, as DV and dv-processing write it: packets of events, frames, IMU samples and triggers.

A FlatBuffer with an XML text describes the streams; each packet is a compressed FlatBuffer of one stream.
Packets are read one by one, so memory stays bounded and a damaged packet costs no other. dv-processing sends
the same header and packets by network, without the first line.

Rejected: the package `aedat`, which is right about intact files (the tests compare with it) but sets aside
whatever memory a damaged size field asks for, which ends the process, and gives up at the first damaged packet.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from velocell.data.blocks import Events
from velocell.data.budget import Budget, Meter, Unpack
from velocell.data.integrity import Integrity
from velocell.errors import RecordingError
from velocell.formats.seek import Place
from velocell.formats.source import Opened, from_start
from velocell.formats.unpack import MAX_BYTES, Oversized, loaded, unpacker
from velocell.formats.wording import bare

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

NAME = "AEDAT4"

MAGIC = b"#!AER-DAT4.0\r\n"
MAX_HEADER_BYTES = 1 << 20
COMPRESSIONS = ("none", "lz4", "lz4", "zstd", "zstd")
EVENT = np.dtype({"names": ["t", "x", "y", "p"], "formats": ["<i8", "<i2", "<i2", "u1"], "offsets": [0, 8, 10, 12],
                  "itemsize": 16})  # fmt: skip
# Streams that are counted: the identifier of their packets, and how many entries a packet has.
_COUNTED = {"IMUS": "imu_samples", "TRIG": "triggers", "FRME": "frames"}

_ROOM = 1 << 18  # bytes that are read at once, unless a packet has more
_BLOCK = 1 << 16  # events
_LEAD_BYTES = 8  # of a packet: the number of its stream, its length
_ENOUGH_BYTES = 1 << 22  # that are unpacked before it is asked whether the budget allows more

_NAME = "velocell span_us={:019d}:{:019d}{}"
_NAME_PATTERN = re.compile(r"velocell span_us=([0-9]{19}):([0-9]{19})( without_polarity)?")
_LATEST_US = 1 << 62


def matches(head: bytes, path: Path) -> bool:
    return head.startswith(MAGIC[:10])


def camera_name(start_us: int, stop_us: int, polarity: bool) -> str:
    """What Velocell writes as the name of the camera: what AEDAT4 has no other place for."""
    return _NAME.format(start_us, stop_us, "" if polarity else " without_polarity")


@dataclass(frozen=True)
class Stream:
    """One stream as the XML describes it; `kind` is the identifier of its packets, such as EVTS."""

    number: int
    kind: str
    name: str
    size: tuple[int, int] | None
    camera: str

    @cached_property
    def tag(self) -> bytes:
        """`kind` as packets have it."""
        return self.kind.encode("latin-1", "replace")


@dataclass(frozen=True)
class _Header:
    """compression: 0 to 4. first, last: the packets stand in these bytes. indexed: whether the file was closed well."""

    compression: int
    first: int
    last: int
    indexed: bool
    streams: dict[int, Stream]


def open_file(
    path: Path, *, size: tuple[int, int] | None, frame_time_us: int, time_unit: str | None, budget: Budget
) -> Opened:
    """The times are the file's own, mostly microseconds since 1970. Of several event streams the first is read."""
    header = _read_header(path)
    cameras = event_streams(header.streams)
    if not cameras:
        raise RecordingError(
            f"{path} is an AEDAT4 file without an event stream (it holds {held(header.streams)}); record events too"
        )
    chosen, *others = cameras
    notes = []
    if others:
        names = ", ".join(bare(stream.name) for stream in others)
        notes.append(f"event stream {bare(chosen.name)!r} is read; events of {names} are counted as other entries")

    def resume(integrity: Integrity, place: Place | None) -> Iterator[tuple[Events, Place]]:
        integrity.fault("unclosed", int(not header.indexed))
        first = header.first if place is None else place["at"]
        with path.open("rb", buffering=0) as handle:
            for events, at in _decode(handle, header, first, chosen.number, integrity, budget):
                yield events if polarity else events._replace(p=None), {"at": at}

    span, polarity = _own_facts(chosen.camera)
    why = f"by its first line; compression {COMPRESSIONS[header.compression]}"
    return Opened(
        "AEDAT4", why, from_start(resume), chosen.size, "as the file says", span, polarity, tuple(notes), resume=resume
    )


def event_streams(streams: dict[int, Stream]) -> list[Stream]:
    """Those of events, by their number."""
    return [stream for _, stream in sorted(streams.items()) if stream.kind == "EVTS"]


def held(streams: dict[int, Stream]) -> str:
    """The kinds of streams, in words."""
    return ", ".join(sorted({bare(stream.kind) for stream in streams.values()})) or "nothing"


def _own_facts(camera: str) -> tuple[tuple[int, int] | None, bool]:
    """Span and polarity of a file that Velocell wrote; none and True of any other."""
    match = _NAME_PATTERN.fullmatch(camera)
    if match is None:
        return None, True
    start, stop = int(match[1]), int(match[2])
    return (start, stop) if start <= stop < _LATEST_US else None, match[3] is None


def _decode(
    handle: FileIO, header: _Header, position: int, chosen: int, integrity: Integrity, budget: Budget
) -> Iterator[tuple[Events, int]]:
    """From the packet at `position` on, some in a block; each block with the position of the next packet."""
    from velocell._native import PacketReader  # not loaded just to show a command's help

    most_bytes, meter = budget.piece(MAX_BYTES), Meter(budget)
    packed_by = COMPRESSIONS[header.compression]
    unpack = None if packed_by == "none" else loaded(packed_by, most_bytes) or unpacker(packed_by, most_bytes)
    streams = header.streams
    reader = PacketReader([(each.number, each.tag, each.number == chosen) for each in streams.values()], most_bytes)
    handle.seek(position)
    ahead = _Ahead(handle)
    while position < header.last:
        try:
            state, used, place = reader.feed(
                ahead.view, header.last - position, unpack, enough_events=_BLOCK, enough_bytes=_ENOUGH_BYTES
            )
        except Oversized:
            raise _too_large(integrity.source, most_bytes) from None
        meter.unpacked(reader.unpacked)
        for number, n in reader.take_counts().items():
            integrity.fact(_COUNTED.get(streams[number].kind, "other"), n)
        if state == "damaged":
            integrity.fault("damaged", 1, f"the one at byte {position + place}")
        position += used
        ahead.pass_over(used)
        if state == "large":
            raise _too_large(integrity.source, most_bytes)
        if state == "foreign" or (state == "more" and not ahead.reach(place)):
            integrity.fault("trailing_bytes", header.last - position, f"from byte {position}")
            break
        if len(reader) >= _BLOCK:
            yield Events(*reader.take()), position
    if len(reader):
        yield Events(*reader.take()), position


class _Ahead:
    """What was read of a file and not used yet."""

    def __init__(self, handle: FileIO) -> None:
        self._handle, self._room = handle, memoryview(bytearray(_ROOM))
        self.view = self._room[:0]

    def pass_over(self, n: int) -> None:
        self.view = self.view[n:]

    def reach(self, n: int) -> bool:
        """Read on until there are n bytes; False where the file ends before. Small packets are read together, of a
        large one all and the lead of the next, so that little has to be moved."""
        room = self._room if n + _LEAD_BYTES <= len(self._room) else memoryview(bytearray(n + n // 8 + _LEAD_BYTES))
        k = len(self.view)
        room[:k] = self.view
        until = n + _LEAD_BYTES if n > _ROOM // 4 else len(room)
        while k < n:
            more = self._handle.readinto(room[k:until])
            if not more:
                return False
            k += more
        self._room, self.view = room, room[:k]
        return True


def packet_events(
    unpack: Unpack,
    packed: bytes,
    stream: Stream,
    wanted: bool,
    integrity: Integrity,
    at: str = "",
    most_bytes: int = MAX_BYTES,
) -> NDArray[Any] | None:
    """The events of a packet of a wanted stream; else it is counted, as a damaged one is, at the place `at`.

    most_bytes: what `unpack` is limited to. Raises RecordingError for a packet that is larger.
    """
    from velocell._native import packet_elements

    try:
        data = unpack(packed)
        found = packet_elements(data, stream.tag, wanted)
    except Oversized:
        raise _too_large(integrity.source, most_bytes) from None
    except ValueError:
        found = None
    if found is None:
        integrity.fault("damaged", 1, at)
        return None
    first, n = found
    if not wanted:
        integrity.fact(_COUNTED.get(stream.kind, "other"), 1 if stream.kind == "FRME" else n)
    return np.frombuffer(data, EVENT, n, first) if n and wanted else None


def as_events(events: NDArray[Any]) -> Events:
    """Of what `packet_events` gives, also of several packets in a row."""
    return Events(events["t"].astype(np.int64), events["x"].copy(), events["y"].copy(), events["p"] != 0)


def _too_large(source: str, most_bytes: int) -> RecordingError:
    return RecordingError(
        f"{source} has a packet of more than {most_bytes >> 20} MiB; write it again in smaller packets"
    )


# --- the header -----------------------------------------------------------------------------------------


def _read_header(path: Path) -> _Header:
    file_bytes = path.stat().st_size
    with path.open("rb") as handle:
        start = handle.read(len(MAGIC) + 4)
        if not start.startswith(MAGIC):
            raise RecordingError(f"{path} is an AEDAT4 file of version {bare(_version(start))}; version 4.0 is read")
        length = struct.unpack("<I", start[len(MAGIC) :])[0] if len(start) == len(MAGIC) + 4 else file_bytes
        if length > min(MAX_HEADER_BYTES, file_bytes - len(start)):
            raise RecordingError(f"{path} ends in its header, or the header is damaged; copy or record it again")
        data = start[-4:] + handle.read(length)
    first = len(MAGIC) + 4 + length
    try:
        kind, last, streams = described(data)
    except ValueError as error:
        raise RecordingError(
            f"{path} is an AEDAT4 file with a damaged header ({bare(str(error))}); copy or record it again"
        ) from None
    if not 0 <= kind < len(COMPRESSIONS):
        raise RecordingError(f"{path} has the unknown compression {kind}; write it with lz4, zstd or none")
    indexed = first <= last < file_bytes
    return _Header(kind, first, last if indexed else file_bytes, indexed, streams)


def described(data: bytes) -> tuple[int, int, dict[int, Stream]]:
    """Contents of a header, its length first: number of the compression, place of the index, -1 without; streams.

    Raises ValueError.
    """
    try:
        if data[8:12] != b"IOHE":
            raise ValueError("its identifier is not IOHE")
        table = 4 + _number(data, "<I", 4)
        compression, index, text = (_field(data, table, k) for k in range(3))
        kind = 0 if compression is None else _number(data, "<i", compression)
        last = -1 if index is None else _number(data, "<q", index)
        return kind, last, {} if text is None else _streams(_text(data, text))
    except struct.error as error:
        raise ValueError(str(error)) from None


def _version(start: bytes) -> str:
    return start[len("#!AER-DAT") :].split(b"\r")[0].decode("latin-1")


def _text(data: bytes, field: int) -> str:
    first = field + _number(data, "<I", field)
    n = _number(data, "<I", first)
    if first + 4 + n > len(data):
        raise ValueError("its text is cut off")
    return data[first + 4 : first + 4 + n].decode("utf-8")


def _streams(text: str) -> dict[int, Stream]:
    """The streams by their number. Raises ValueError."""
    from xml.etree import ElementTree

    # Declarations can make a text of a few bytes unfold to gigabytes.
    if "<!" in text:
        raise ValueError("its XML has declarations")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"its XML is not well formed: {error}") from None
    streams = {}
    for outputs in root.iter("node"):
        if outputs.get("name") != "outInfo":
            continue
        for node in outputs.findall("node"):
            number, known = node.get("name", ""), _attributes(node)
            info = node.find("node[@name='info']")
            sizes = {} if info is None else _attributes(info)
            if not number.isdecimal() or len(number) > 9:
                raise ValueError("a stream has no number")
            wide, high = (sizes.get(key, "") for key in ("sizeX", "sizeY"))
            size = (int(wide), int(high)) if all(v.isdecimal() and len(v) < 6 for v in (wide, high)) else None
            name = known.get("originalOutputName", number)
            streams[int(number)] = Stream(
                int(number), known.get("typeIdentifier", ""), name, size, sizes.get("source", "")
            )
    return streams


def _attributes(node: Element) -> dict[str, str]:
    return {attr.get("key", ""): attr.text or "" for attr in node.findall("attr")}


# --- FlatBuffers --------------------------------------------------------------------------------------


def _number(data: bytes, format_: str, position: int) -> int:
    """One number, bounds checked: struct.error outside of the data."""
    if position < 0:
        raise struct.error("an offset leads before the data")
    return int(struct.unpack_from(format_, data, position)[0])


def _field(data: bytes, table: int, index: int) -> int | None:
    """Where a field of the table at `table` stands; None where it has its default value."""
    fields = table - _number(data, "<i", table)
    if 2 * index + 6 > _number(data, "<H", fields):
        return None
    offset = _number(data, "<H", fields + 4 + 2 * index)
    return table + offset if offset else None
