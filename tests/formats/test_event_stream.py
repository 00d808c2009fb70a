"""Event Stream: a real file against its digest, streams made by hand, and damage."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import SHARED
from strategies import read_or_refused

from velocell import formats
from velocell.errors import RecordingError

PLANE = SHARED / "plane_circle.es"
FILES = settings(max_examples=25)
Stamped = list[tuple[int, int, int, int]]


def header(kind: int = 1, width: int = 20, height: int = 10, version: tuple[int, int, int] = (2, 0, 0)) -> bytes:
    return b"Event Stream" + struct.pack("<4B2H", *version, kind, width, height)


def dvs(events: Stamped) -> bytes:
    """Written after the specification: 127 us for each byte 0xff before an event."""
    stream, now = b"", 0
    for t, x, y, p in events:
        full, rest = divmod(t - now, 127)
        stream += b"\xff" * full + struct.pack("<BHH", rest << 1 | p, x, y)
        now = t
    return stream


def atis(events: Stamped, crossing: int = 0) -> bytes:
    """63 us for each step of the two lowest bits of a byte that starts with six ones."""
    stream, now = b"", 0
    for t, x, y, p in events:
        full, rest = divmod(t - now, 63)
        steps, last = divmod(full, 3)
        stream += b"\xff" * steps + (bytes([0xFC | last]) if last else b"")
        stream += struct.pack("<BHH", rest << 2 | p << 1 | crossing, x, y)
        now = t
    return stream


EVENTS = [(0, 1, 2, 1), (126, 3, 0, 0), (253, 19, 9, 1), (100_000, 0, 0, 0), (100_000, 4, 5, 1)]


def read(path: Path, data: bytes) -> Stamped:
    path.write_bytes(data)
    recording = formats.read(path)
    columns = (recording.t_us, recording.x, recording.y, recording.p)
    return list(zip(*(np.asarray(column).astype(int).tolist() for column in columns), strict=True))


def flipped(events: Stamped, height: int = 10) -> Stamped:
    """The file counts y upwards."""
    return [(t, x, height - 1 - y, p) for t, x, y, p in events]


def test_digest() -> None:
    if not PLANE.exists():
        pytest.skip("the recording plane_circle.es is not here")
    source = formats.open_recording(PLANE)
    recording = source.read()
    sums = (int(column.sum()) for column in (recording.t_us - recording.t_us[0], recording.x, recording.y, recording.p))
    assert (len(recording), *sums) == (473225, 200862071000, 72946016, 56007796, 270001)
    assert recording.size == (320, 240)
    assert source.integrity.faults == {}


@FILES
@given(
    events=st.lists(
        st.tuples(st.integers(0, 5_000), st.integers(0, 19), st.integers(0, 9), st.integers(0, 1)), max_size=20
    ).map(sorted),
    kind=st.sampled_from([1, 2]),
)
def test_streams_made_by_hand(tmp_path: Path, events: Stamped, kind: int) -> None:
    stream = dvs(events) if kind == 1 else atis(events)
    assert read(tmp_path / "a", header(kind) + stream) == flipped(events)


def test_resets_between_events_say_nothing(tmp_path: Path) -> None:
    assert read(tmp_path / "a", header() + b"\xfe" * 5 + dvs(EVENTS) + b"\xfe") == flipped(EVENTS)
    assert read(tmp_path / "a", header(2) + b"\xfc" * 5 + atis(EVENTS) + b"\xfc") == flipped(EVENTS)


def test_threshold_crossings_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(header(2) + atis(EVENTS) + atis([(1, 2, 3, 0), (70, 2, 3, 1)], crossing=1))
    source = formats.open_recording(tmp_path / "a")
    assert len(source.read()) == 5
    assert source.integrity.facts == {"other": 2}


@pytest.mark.parametrize("read_bytes", [1, 2, 3, 7])
def test_events_across_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_bytes: int) -> None:
    monkeypatch.setattr("velocell.formats.event_stream._READ_BYTES", read_bytes)
    assert read(tmp_path / "a", header() + dvs(EVENTS)) == flipped(EVENTS)


def test_cut_at_any_byte(tmp_path: Path) -> None:
    path, whole = tmp_path / "a.es", header() + dvs(EVENTS[:3])
    for length in range(12, len(whole)):
        path.write_bytes(whole[:length])
        if length < 20:
            with pytest.raises(RecordingError, match="ends in its header"):
                formats.read(path)
            continue
        source = formats.open_recording(path)
        left = source.read()
        # The third event has an overflow byte before it.
        assert len(left) == sum(end <= length for end in (25, 30, 36))
        assert source.integrity.to_dict()["trailing_bytes"] == length - max(
            end for end in (20, 25, 30, 31, 36) if end <= length
        )


def test_events_outside_the_sensor_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(header() + dvs([(1, 0, 10, 1), (2, 20, 0, 1), (3, 19, 9, 0), (4, 0, 65_535, 0)]))
    source = formats.open_recording(tmp_path / "a")
    assert source.read().t_us.tolist() == [3]
    assert source.integrity.faults == {"out_of_bounds": 3}
    # A row alone: it becomes one below 0, x and the largest y are on the sensor.
    (tmp_path / "a").write_bytes(header() + dvs([(1, 0, 10, 1), (3, 19, 9, 0)]))
    source = formats.open_recording(tmp_path / "a")
    assert source.read().t_us.tolist() == [3]
    assert source.integrity.faults == {"out_of_bounds": 1}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (header(version=(1, 0, 0)), "version 1.0.0; version 2 is read"),
        (header(kind=0), "a file of generic events|file of generic events; DVS and ATIS"),
        (header(kind=4), "file of color events"),
        (header(kind=9), "file of events of type 9"),
        (header(width=0), "sensor size 0x10 must be"),
    ],
)
def test_other_streams_are_named(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a").write_bytes(data + dvs(EVENTS))
    with pytest.raises(RecordingError, match=message):
        formats.read(tmp_path / "a")


@FILES
@given(kind=st.sampled_from([1, 2]), body=st.binary(max_size=200))
def test_any_bytes_end_in_a_recording_or_one_sentence(tmp_path: Path, kind: int, body: bytes) -> None:
    path = tmp_path / "a.es"
    path.write_bytes(header(kind) + body)
    read_or_refused(path)
