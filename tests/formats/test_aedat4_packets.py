"""AEDAT4's packets: the core's reader beside one in plain Python, whatever they hold and wherever they are damaged."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lz4.frame
import pytest
from aedat4_files import STREAMS, aedat4_file, packet, samples, table, xml
from hypothesis import given, settings
from hypothesis import strategies as st

from velocell import formats
from velocell._native import PacketReader, packet_elements
from velocell.errors import RecordingError
from velocell.formats.aedat import aedat4

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FILES = settings(max_examples=60)
PACK: list[Callable[[bytes], bytes]] = [bytes, lz4.frame.compress, lz4.frame.compress, zstd.compress, zstd.compress]
KINDS = {number: kind.encode() for number, kind, _ in STREAMS}
COUNTED = {b"IMUS": "imu_samples", b"TRIG": "triggers", b"FRME": "frames", b"EVTS": "other"}

# --- the reference: as the format is described, with Python's own bounds checks ---------------------------------------


def number(data: bytes, layout: str, at: int) -> int:
    if at < 0:
        raise struct.error("before the data")
    return int(struct.unpack_from(layout, data, at)[0])


def elements(data: bytes, kind: bytes, wanted: bool) -> tuple[int, int] | None:
    """None for a damaged packet."""
    try:
        if data[8:12] != kind:
            return None
        if kind == b"FRME":
            return 0, 0
        place = 4 + number(data, "<I", 4)
        fields = place - number(data, "<i", place)
        if number(data, "<H", fields) < 6 or (way := number(data, "<H", fields + 4)) == 0:
            return 0, 0
        vector = place + way + number(data, "<I", place + way)
        n = number(data, "<I", vector)
    except struct.error:
        return None
    return None if n and n * (16 if wanted else 4) > len(data) - vector - 4 else (vector + 4, n)


def events_of(data: bytes, first: int, n: int) -> list[tuple[int, ...]]:
    found = [struct.unpack_from("<qhhB", data, first + 16 * k) for k in range(n)]
    return [(t, x, y, p != 0) for t, x, y, p in found]


def reference(
    content: bytes, begin: int, end: int, unpack: Callable[[bytes], bytes]
) -> tuple[list[Any], dict[str, int]]:
    """The events of stream 0, and what is counted."""
    events: list[Any] = []
    counts: dict[str, int] = {}
    while begin < end:
        stream, length = struct.unpack_from("<ii", content, begin) if end - begin >= 8 else (-1, -1)
        if stream not in KINDS or not 0 <= length <= end - begin - 8:
            counts["trailing_bytes"] = end - begin
            break
        try:
            data = unpack(content[begin + 8 : begin + 8 + length])
            found = elements(data, KINDS[stream], stream == 0)
        except (RuntimeError, ValueError, EOFError, zstd.ZstdError):
            found = None
        begin += 8 + length
        if found is None:
            counts["damaged"] = counts.get("damaged", 0) + 1
        elif stream == 0:
            events += events_of(data, *found)
        else:
            n = 1 if KINDS[stream] == b"FRME" else found[1]
            counts[COUNTED[KINDS[stream]]] = counts.get(COUNTED[KINDS[stream]], 0) + n
    return events, {name: n for name, n in counts.items() if n}


def unpacked(compression: int, data: bytes) -> bytes:
    if compression == 0:
        return data
    one: Any = lz4.frame.LZ4FrameDecompressor() if compression < 3 else zstd.ZstdDecompressor()
    found = one.decompress(data)
    if not one.eof:
        raise ValueError("cut off")
    return bytes(found)


# --- files ------------------------------------------------------------------------------------------------------------


@st.composite
def contents(draw: st.DrawFn, number: int) -> bytes:
    kind = KINDS[number]
    whole = draw(st.integers(0, 9)) > 0
    if kind == b"FRME" or not whole:
        return table(draw(st.sampled_from(list(COUNTED))), draw(st.binary(max_size=60)))
    n = draw(st.integers(0, 40))
    if kind != b"EVTS":
        return samples(kind, n)
    t = draw(st.integers(0, 1_000))
    return packet([(t + k // 3, k % 320, k % 240, draw(st.integers(0, 255)) if k == 0 else k % 2) for k in range(n)])


@st.composite
def files(draw: st.DrawFn) -> tuple[int, list[tuple[int, bytes]], list[tuple[int, int]]]:
    """The number of a compression, packets as they stand in a file, and bytes to change from the first packet on."""
    compression = draw(st.integers(0, 4))
    numbers = draw(st.lists(st.sampled_from(list(KINDS)), max_size=12))
    packets = [(number, PACK[compression](draw(contents(number)))) for number in numbers]
    room = sum(8 + len(data) for _, data in packets)
    changes = draw(st.lists(st.tuples(st.integers(0, room - 1), st.integers(0, 255)), max_size=3)) if room else []
    return compression, packets, changes


def outcome(path: Path) -> Any:
    """Events, facts and faults; or the sentence."""
    try:
        found = formats.open_recording(path)
        blocks = list(found._opened.decode(found.integrity, None))
    except RecordingError as error:
        return str(error)
    return (
        [tuple(column.tolist() for column in block) for block in blocks],
        found.integrity.facts,
        found.integrity.faults,
    )


@FILES
@given(
    made=files(),
    room=st.sampled_from([16, 100, 1 << 18]),
    block=st.sampled_from([1, 30, 1 << 16]),
    enough=st.sampled_from([1, 1 << 22]),
)
def test_the_core_reads_what_plain_python_reads(tmp_path: Path, made: Any, room: int, block: int, enough: int) -> None:
    compression, packets, changes = made
    path = aedat4_file(tmp_path / "a.aedat4", packets, compression=compression, text=xml(STREAMS))
    content = bytearray(path.read_bytes())
    end = len(content) - 4
    begin = end - sum(8 + len(data) for _, data in packets)
    for at, value in changes:
        content[begin + at] = value
    path.write_bytes(content)
    events, counts = reference(bytes(content), begin, end, lambda data: unpacked(compression, data))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aedat4, "_ROOM", room)
        patch.setattr(aedat4, "_BLOCK", block)
        patch.setattr(aedat4, "_ENOUGH_BYTES", enough)
        by_library = outcome(path)
        patch.setattr(aedat4, "loaded", lambda name, most_bytes: None)
        assert outcome(path) == by_library
    if isinstance(by_library, str):
        assert "a packet of more than" in by_library
        return
    blocks, facts, faults = by_library
    assert [event for t, x, y, p in blocks for event in zip(t, x, y, p, strict=True)] == events
    assert facts | faults == counts


@settings(max_examples=300)
@given(data=st.data(), kind=st.sampled_from(list(COUNTED)), wanted=st.booleans())
def test_elements_are_found_as_in_plain_python(data: st.DataObject, kind: bytes, wanted: bool) -> None:
    content = bytearray(data.draw(contents(next(n for n, each in KINDS.items() if each == kind))))
    for _ in range(data.draw(st.integers(0, 3))):
        if content:
            content[data.draw(st.integers(0, min(len(content) - 1, 40)))] = data.draw(st.integers(0, 255))
    del content[len(content) - data.draw(st.integers(0, len(content))) :]
    assert packet_elements(memoryview(content), kind, wanted) == elements(bytes(content), kind, wanted)


def test_where_a_damaged_packet_begins_is_said(tmp_path: Path) -> None:
    packets = [(0, lz4.frame.compress(packet([(k, 1, 1, 1)]))) for k in range(50)]
    path = aedat4_file(tmp_path / "a.aedat4", packets, compression=1)
    begins = path.stat().st_size - 4 - sum(8 + len(data) for _, data in packets[30:])
    content = bytearray(path.read_bytes())
    content[begins + 12] ^= 255
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=f"1 damaged packets .the one at byte {begins}."):
        formats.read(path, strict=True)


def test_a_reader_is_not_used_twice_at_once() -> None:
    reader = PacketReader([(0, b"EVTS", True)], 100)
    content = struct.pack("<ii", 0, 4) + bytes(4)

    def again(packed: Any) -> bytes:
        reader.feed(memoryview(content), 12, again, enough_events=1, enough_bytes=1)
        return b""

    with pytest.raises(Exception, match="in use by another thread"):
        reader.feed(memoryview(content), 12, again, enough_events=1, enough_bytes=1)
    assert len(reader) == 0
