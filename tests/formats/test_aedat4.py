"""AEDAT4: real files against their digests and the package `aedat`, files of dv-processing, damage and bombs."""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lz4.frame
import numpy as np
import pytest
from aedat4_files import EVENTS, LATER, STREAMS, aedat4_file, packet, samples, table, triples, xml
from hypothesis import given, settings
from hypothesis import strategies as st
from places import SHARED
from strategies import assert_same_recording, read_or_refused, recordings

from velocell import formats
from velocell.data.recording import Recording
from velocell.errors import RecordingError
from velocell.formats.aedat import aedat4
from velocell.formats.aedat.write import write_aedat4

FILES = settings(max_examples=25)
# n, first time, sum of times from the first, of x, of y, of polarity; triggers, IMU samples, frames
DIGESTS = {
    "dvx_320x240.aedat4": (111954, 1605537493718345, 31685685498, 18342405, 15105898, 55023, 0, 475, 0),
    "davis_346x260.aedat4": (117667, 1633953690975950, 7327758848, 17676033, 10498046, 72363, 15, 130, 3),
}


def shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"the recording {name} is not here")
    return path


# --- small files made by hand -------------------------------------------------------------------------


def test_a_file_made_by_hand(tmp_path: Path) -> None:
    packets = [(0, packet(EVENTS)), (1, samples(b"IMUS", 7)), (2, samples(b"TRIG", 3)), (3, table(b"FRME", b""))]
    source = formats.open_recording(aedat4_file(tmp_path / "a", [*packets, (0, packet([])), (0, packet(LATER))]))
    assert triples(source.read()) == [(t, x, y, p == 1) for t, x, y, p in EVENTS + LATER]
    assert (source.width, source.height, source.start_us, source.polarity) == (320, 240, 10, True)
    assert source.integrity.facts == {"imu_samples": 7, "triggers": 3, "frames": 1}
    assert source.integrity.faults == {}


def test_of_two_event_streams_the_first_is_read_and_the_other_counted(tmp_path: Path) -> None:
    path = aedat4_file(tmp_path / "a", [(4, packet(LATER)), (0, packet(EVENTS))], text=xml(STREAMS))
    source = formats.open_recording(path)
    assert len(source.read()) == 3
    assert source.integrity.facts == {"other": 2}
    assert any("'left' is read; events of right" in note for note in source.notes)


# --- real files and other packages --------------------------------------------------------------------


@pytest.mark.parametrize("name", DIGESTS)
def test_digests(name: str) -> None:
    source = formats.open_recording(shared(name))
    recording = source.read()
    t, first = recording.t_us, int(recording.t_us[0])
    counted = tuple(source.integrity.to_dict()[key] for key in ("triggers", "imu_samples", "frames"))
    sums = (int((t - first).sum()), int(recording.x.sum()), int(recording.y.sum()), int(recording.p.sum()))
    assert (len(recording), first, *sums, *counted) == DIGESTS[name]
    assert source.integrity.faults == {}


@pytest.mark.parametrize("name", DIGESTS)
def test_the_package_aedat_agrees(name: str) -> None:
    aedat = pytest.importorskip("aedat", reason="the package aedat is not installed")
    recording = formats.read(shared(name))
    packets = [packet["events"] for packet in aedat.Decoder(str(SHARED / name)) if "events" in packet]
    for ours, theirs in (("t_us", "t"), ("x", "x"), ("y", "y"), ("p", "p")):
        np.testing.assert_array_equal(getattr(recording, ours), np.concatenate([one[theirs] for one in packets]))


@pytest.mark.parametrize("compression", ["NONE", "LZ4", "LZ4_HIGH", "ZSTD", "ZSTD_HIGH"])
def test_files_of_dv_processing(tmp_path: Path, compression: str) -> None:
    dv = pytest.importorskip("dv_processing", reason="the extra 'dv' is not installed")
    rng = np.random.default_rng(3)
    t = np.sort(rng.integers(0, 10**6, 5_000)) + 1_700_000_000_000_000
    x, y, p = rng.integers(0, 640, 5_000), rng.integers(0, 480, 5_000), rng.integers(0, 2, 5_000) == 1
    store = dv.EventStore()
    for event in zip(t.tolist(), x.tolist(), y.tolist(), p.tolist(), strict=True):
        store.push_back(*event)
    path = tmp_path / "a.aedat4"
    config = dv.io.MonoCameraWriter.DVSConfig("camera", (640, 480), dv.CompressionType.__members__[compression])
    writer = dv.io.MonoCameraWriter(str(path), config)
    writer.writeEvents(store)
    writer.writeTrigger(dv.Trigger(int(t[9]), dv.TriggerType.TIMESTAMP_RESET))
    del writer
    source = formats.open_recording(path)
    assert_same_recording(source.read(), Recording.from_arrays(t, x, y, p, width=640, height=480))
    assert source.integrity.facts == {"triggers": 1}


@FILES
@given(recording=recordings(), compression=st.sampled_from(["lz4", "zstd", "none"]))
def test_round_trip(tmp_path: Path, recording: Recording, compression: Any) -> None:
    path = tmp_path / "a.aedat4"
    write_aedat4(recording, path, compression=compression)
    assert_same_recording(formats.read(path), recording)
    write_aedat4(recording.chunks(1_000), path, compression=compression)
    assert_same_recording(formats.read(path), recording)


@pytest.mark.parametrize("compression", ["lz4", "zstd", "none"])
@pytest.mark.parametrize("n", [1, 3, 40_000])
def test_dv_processing_reads_what_is_written(tmp_path: Path, n: int, compression: Any) -> None:
    dv = pytest.importorskip("dv_processing", reason="the extra 'dv' is not installed")
    rng = np.random.default_rng(n)
    t = np.sort(rng.integers(0, 10**6, n)) + 1_700_000_000_000_000
    x, y, p = rng.integers(0, 20, n), rng.integers(0, 10, n), rng.integers(0, 2, n)
    path = tmp_path / "a.aedat4"
    write_aedat4(Recording.from_arrays(t, x, y, p, width=20, height=10), path, compression=compression)
    capture = dv.io.MonoCameraRecording(str(path))
    assert tuple(capture.getEventResolution()) == (20, 10)
    # It finds the middle by the index at the end of the file.
    assert capture.getEventsTimeRange(int(t[n // 2]), int(t[-1]) + 1).size() == np.sum(t >= t[n // 2])
    batches = iter(capture.getNextEventBatch, None)
    events = np.concatenate([batch.numpy() for batch in batches])
    for name, expected in (("timestamp", t), ("x", x), ("y", y), ("polarity", p)):
        np.testing.assert_array_equal(events[name], expected)


def test_the_package_aedat_reads_what_is_written(tmp_path: Path) -> None:
    aedat = pytest.importorskip("aedat", reason="the package aedat is not installed")
    recording = Recording.from_arrays([5, 9, 9], [1, 2, 3], [4, 5, 6], [0, 1, 1], width=20, height=10)
    write_aedat4(recording, tmp_path / "a.aedat4")
    (packet,) = aedat.Decoder(str(tmp_path / "a.aedat4"))
    assert [tuple(event) for event in packet["events"].tolist()] == triples(recording)


# --- what cannot be written -----------------------------------------------------------------------------


def test_refusals_of_the_writer(tmp_path: Path) -> None:
    large = Recording.from_arrays([5], [1], [4], [1], width=40_000, height=10)
    with pytest.raises(RecordingError, match="up to 32768 px a side, not 40000x10"):
        write_aedat4(large, tmp_path / "a.aedat4")
    with pytest.raises(RecordingError, match="there is nothing to write"):
        write_aedat4([], tmp_path / "a.aedat4")
    with pytest.raises(RecordingError, match="'zip' is unknown; use lz4, zstd, none"):
        write_aedat4(large, tmp_path / "a.aedat4", compression="zip")
    assert list(tmp_path.iterdir()) == []


# --- damage ---------------------------------------------------------------------------------------------


def refused(path: Path, message: str, **options: Any) -> None:
    with pytest.raises(RecordingError, match=message) as caught:
        formats.read(path, **options)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


def three_packets(path: Path) -> tuple[Path, list[int]]:
    """An LZ4 file, and where its packets start."""
    packed = [lz4.frame.compress(packet(events)) for events in (EVENTS, LATER, [(900, 0, 0, 0)])]
    aedat4_file(path, [(0, data) for data in packed], compression=1)
    starts = [path.read_bytes().index(data) - 8 for data in packed]
    return path, starts


def test_a_damaged_packet_costs_no_other(tmp_path: Path) -> None:
    path, starts = three_packets(tmp_path / "a.aedat4")
    data = bytearray(path.read_bytes())
    data[starts[1] + 12] ^= 255
    path.write_bytes(data)
    source = formats.open_recording(path)
    assert source.read().t_us.tolist() == [10, 11, 11, 900]
    assert source.integrity.faults == {"damaged": 1}
    refused(path, f"1 damaged packets .*byte {starts[1]}", strict=True)


def test_the_package_aedat_gives_up_at_a_damaged_packet(tmp_path: Path) -> None:
    aedat = pytest.importorskip("aedat", reason="the package aedat is not installed")
    path, starts = three_packets(tmp_path / "a.aedat4")
    data = bytearray(path.read_bytes())
    data[starts[1] + 12] ^= 255
    path.write_bytes(data)
    read = []
    with pytest.raises(RuntimeError):
        read.extend(len(packet["events"]) for packet in aedat.Decoder(str(path)))
    assert sum(read) < 4


@pytest.mark.parametrize("length", [-1, 2**31 - 1, 10_000])
def test_a_wrong_length_ends_the_recording_there(tmp_path: Path, length: int) -> None:
    path, starts = three_packets(tmp_path / "a.aedat4")
    data = bytearray(path.read_bytes())
    data[starts[1] + 4 : starts[1] + 8] = struct.pack("<i", length)
    path.write_bytes(data)
    source = formats.open_recording(path)
    assert len(source.read()) == 3
    assert source.integrity.faults == {"trailing_bytes": len(data) - 4 - starts[1]}


def test_cut_at_any_byte(tmp_path: Path) -> None:
    path, starts = three_packets(tmp_path / "a.aedat4")
    whole = path.read_bytes()
    for length in range(14, len(whole) - 4):
        path.write_bytes(whole[:length])
        if length < starts[0]:
            refused(path, "ends in its header")
            continue
        source = formats.open_recording(path)
        ends = [*starts[1:], len(whole) - 4]
        assert len(source.read()) == sum(n for n, end in zip((3, 2, 1), ends, strict=True) if end <= length)
        assert any("no index at its end" in note for note in source.notes)
        start = max(start for start in (*starts, ends[-1]) if start <= length)
        assert source.integrity.to_dict()["trailing_bytes"] == length - start


@pytest.mark.parametrize("compression", [1, 3])
def test_a_packet_that_unfolds_to_gigabytes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: int
) -> None:
    monkeypatch.setattr(aedat4, "MAX_BYTES", 1 << 20)
    zeros = packet([(0, 0, 0, 0)] * 100_000)
    if compression == 1:
        packed = lz4.frame.compress(zeros)
    elif sys.version_info >= (3, 14):
        from compression import zstd

        packed = zstd.compress(zeros)
    else:
        from backports import zstd

        packed = zstd.compress(zeros)
    assert len(packed) < 1 << 14
    path = aedat4_file(tmp_path / "a", [(0, packed)], compression=compression)
    refused(path, "a packet of more than 1 MiB; write it again in smaller packets")
    refused(aedat4_file(path, [(0, zeros)]), "a packet of more than 1 MiB; write it again in smaller packets")
    monkeypatch.undo()
    assert len(formats.read(aedat4_file(path, [(0, packed)], compression=compression))) == 100_000


@pytest.mark.parametrize("vector", [struct.pack("<I", 2**32 - 1), struct.pack("<I", 3) + bytes(47), b""])
def test_a_vector_longer_than_its_packet_is_damage(tmp_path: Path, vector: bytes) -> None:
    path = aedat4_file(tmp_path / "a", [(0, table(b"EVTS", vector)), (0, packet(LATER))])
    source = formats.open_recording(path)
    assert len(source.read()) == 2
    assert source.integrity.faults == {"damaged": 1}


def headers() -> Iterator[tuple[str, dict[str, Any]]]:
    yield "has the unknown compression 9", {"compression": 9}
    yield "without an event stream .it holds IMUS", {"text": xml(STREAMS[1:2])}
    yield "without an event stream .it holds nothing", {"text": "<dv></dv>"}
    yield "its XML is not well formed", {"text": "<dv>"}
    yield "its XML has declarations", {"text": '<!DOCTYPE a [<!ENTITY b "c">]><dv>&b;</dv>'}
    yield "a stream has no number", {"text": xml(((-1, "EVTS", "a"),))}


@pytest.mark.parametrize(("message", "options"), list(headers()))
def test_headers_that_tell_nothing(tmp_path: Path, message: str, options: dict[str, Any]) -> None:
    refused(aedat4_file(tmp_path / "a", [(0, packet(EVENTS))], **options), message)


def test_other_versions_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"#!AER-DAT4.7\r\n" + bytes(100))
    refused(path, "an AEDAT4 file of version 4.7; version 4.0 is read")


def test_without_a_size_the_sensor_is_inferred(tmp_path: Path) -> None:
    text = xml().replace('<attr key="sizeX">320</attr>', "")
    recording = formats.read(aedat4_file(tmp_path / "a", [(0, packet(LATER))], text=text))
    assert recording.size == (10, 11)


@FILES
@given(data=st.data())
def test_mutations_end_in_a_recording_or_one_sentence(tmp_path: Path, data: st.DataObject) -> None:
    path, _ = three_packets(tmp_path / "a.aedat4")
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(10, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    read_or_refused(path)
