"""AEDAT 2.0 and 3.1: a real file against its digest, files made after the specifications, and damage."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import SHARED
from strategies import read_or_refused

from velocell import formats
from velocell.errors import RecordingError

SHORT = SHARED / "dvs128_short.aedat"
FILES = settings(max_examples=25)
Stamped = list[tuple[int, int, int, int]]


def events_of(path: Path, **options: Any) -> Stamped:
    recording = formats.read(path, **options)
    columns = (recording.t_us, recording.x, recording.y, recording.p)
    return list(zip(*(np.asarray(column).astype(int).tolist() for column in columns), strict=True))


def refused(path: Path, message: str, **options: Any) -> None:
    with pytest.raises(RecordingError, match=message) as caught:
        formats.read(path, **options)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


# --- AEDAT 2.0 ------------------------------------------------------------------------------------------

DVS128, DAVIS346 = "ch.unizh.ini.jaer.chip.retina.DVS128", "eu.seebetter.ini.chips.davis.Davis346blue"


def aedat2(path: Path, entries: Sequence[tuple[int, int]], chip: str = DVS128, end: bytes = b"") -> Path:
    lines = b"#!AER-DAT2.0\r\n# This is a raw AE data file\r\n" + (f"# AEChip: {chip}\r\n".encode() if chip else b"")
    path.write_bytes(lines + end + b"".join(struct.pack(">II", *entry) for entry in entries))
    return path


def dvs128(t: int, x: int, y: int, p: int) -> tuple[int, int]:
    return ((127 - y) << 8 | (127 - x) << 1 | (1 - p), t)


def davis346(t: int, x: int, y: int, p: int) -> tuple[int, int]:
    """As v2e packs them."""
    return ((345 - x) << 12 | (259 - y) << 22 | p << 11, t)


EVENTS = [(5, 0, 0, 1), (5, 127, 1, 0), (900, 64, 127, 1)]


def test_digest() -> None:
    if not SHORT.exists():
        pytest.skip("the recording dvs128_short.aedat is not here")
    source = formats.open_recording(SHORT)
    recording = source.read()
    t = recording.t_us
    found = (len(t), int(t[0]), int(t[-1]), int((t - t[0]).sum()), int(recording.p.sum()))
    assert found == (130114, 113476330, 119657829, 426368484004, 74991)
    assert recording.size == (128, 128)
    assert source.integrity.faults == {}
    # The stored addresses, decoded once more: bits 1-7 and 8-14, both counted from the other side.
    data = SHORT.read_bytes()
    address = np.frombuffer(data[data.index(b"#End Of ASCII Header\r\n") + 22 :], ">u4")[::2]
    np.testing.assert_array_equal(127 - recording.x.astype(int), address // 2 % 128)
    np.testing.assert_array_equal(127 - recording.y.astype(int), address // 256 % 128)


@pytest.mark.parametrize("end", [b"", b"#End Of ASCII Header\r\n"])
@pytest.mark.parametrize(("chip", "pack"), [(DVS128, dvs128), (DAVIS346, davis346)])
def test_cameras(tmp_path: Path, chip: str, pack: Any, end: bytes) -> None:
    path = aedat2(tmp_path / "a", [pack(*event) for event in EVENTS], chip, end)
    assert events_of(path) == EVENTS
    assert formats.read(path).size == ((128, 128) if pack is dvs128 else (346, 260))


@pytest.mark.parametrize(
    ("chip", "size"),
    [("a.DAVIS240C", (240, 180)), ("a.DAViS240", (240, 180)), ("a.SBret10", (240, 180)), ("a.Davis640", (640, 480)),
     ("a.CDAVIS", (640, 480)), ("a.Davis208PixelParade", (208, 192)), ("a.Davis128", (128, 128))],
)  # fmt: skip
def test_sizes_of_cameras(tmp_path: Path, chip: str, size: tuple[int, int]) -> None:
    assert formats.read(aedat2(tmp_path / "a", [(0, 1)], chip)).size == size


def test_without_a_camera_the_given_size_tells(tmp_path: Path) -> None:
    path = aedat2(tmp_path / "a", [davis346(*event) for event in EVENTS], chip="")
    refused(path, "does not name its camera; give the size")
    refused(path, "does not name its camera; give the size", size=(300, 200))
    assert events_of(path, size=(346, 260)) == EVENTS
    assert events_of(aedat2(path, [dvs128(*event) for event in EVENTS], chip=""), size=(128, 128)) == EVENTS
    refused(
        aedat2(path, [], chip="ch.unizh.Cochlea"), "'ch.unizh.Cochlea'; AEDAT 2.0 is read only for DVS128 and DAVIS"
    )


@pytest.mark.parametrize("chip", ["DVS1280x720SD", "DVS128andCochleaAMS1b", "Davis1280", "DVS132S", "DAVIS3460"])
def test_a_name_that_only_begins_alike_is_another_chip(tmp_path: Path, chip: str) -> None:
    refused(aedat2(tmp_path / "a", [dvs128(1, 2, 3, 1)], chip=f"ch.unizh.ini.jaer.chip.retina.{chip}"), f"'.*{chip}'")


def test_what_is_no_event_is_counted(tmp_path: Path) -> None:
    imu = [(0x8000_0C00 | k << 28, 10) for k in range(7)]
    pixels = [(0x8000_0000 | y << 22 | x << 12 | read << 10, 11) for read in (0, 1) for y in (1, 0) for x in (1, 0)]
    pixels.append((0x8000_0000, 11))  # the first reading of the next frame, which never ends
    path = aedat2(tmp_path / "a", [*imu, *pixels, (1 << 10, 12), davis346(*EVENTS[0])], DAVIS346)
    source = formats.open_recording(path)
    assert len(source.read()) == 1
    assert source.integrity.facts == {"imu_samples": 1, "frames": 1, "triggers": 1}
    source = formats.open_recording(aedat2(path, [(0x8000, 1), dvs128(*EVENTS[0])]))
    assert len(source.read()) == 1
    assert source.integrity.facts == {"triggers": 1}


def test_the_clock_wraps_also_between_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stamps = [2**32 - 5, 3, 9, 2**32 - 1, 0, 0]
    path = aedat2(tmp_path / "a", [dvs128(t, 1, 2, 1) for t in stamps])
    expected = [2**32 - 5, 2**32 + 3, 2**32 + 9, 2**33 - 1, 2**33, 2**33]
    for n in (1, 2, 4, 100):
        monkeypatch.setattr("velocell.formats.aedat.aedat2._READ_ENTRIES", n)
        source = formats.open_recording(path)
        assert source.read().t_us.tolist() == expected
        assert source.integrity.facts == {"wraps": 2}


def test_a_cut_entry_is_counted(tmp_path: Path) -> None:
    path = aedat2(tmp_path / "a", [dvs128(*event) for event in EVENTS])
    path.write_bytes(path.read_bytes()[:-3])
    source = formats.open_recording(path)
    assert len(source.read()) == 2
    assert source.integrity.faults == {"trailing_bytes": 5}
    refused(path, "5 bytes after the last whole entry", strict=True)


# --- AEDAT 3.1 ------------------------------------------------------------------------------------------


def packet(
    type_: int, entries: bytes, entry_bytes: int = 8, source: int = 1, overflow: int = 0, **changes: int
) -> bytes:
    n = len(entries) // entry_bytes
    fields = {"kind": type_, "source": source, "bytes": entry_bytes, "offset": 4, "overflow": overflow,
              "capacity": n, "number": n, "valid": n} | changes  # fmt: skip
    return struct.pack("<hhiiiiii", *fields.values()) + entries


def polarity(events: Stamped, valid: int = 1) -> bytes:
    return b"".join(struct.pack("<Ii", x << 17 | y << 2 | p << 1 | valid, t) for t, x, y, p in events)


def aedat31(path: Path, *packets: bytes, source: str = "#Source 1: DAVIS240C\r\n", format_: str = "RAW") -> Path:
    header = f"#!AER-DAT3.1\r\n#Format: {format_}\r\n{source}#Start-Time: 2020-01-01\r\n#!END-HEADER\r\n"
    path.write_bytes(header.encode() + b"".join(packets))
    return path


def test_polarity_packets(tmp_path: Path) -> None:
    later = [(7, 239, 179, 1)]
    path = aedat31(tmp_path / "a", packet(1, polarity(EVENTS)), packet(1, polarity(later), overflow=2))
    assert events_of(path) == [*EVENTS, (7 + 2 * 2**31, 239, 179, 1)]
    source = formats.open_recording(path)
    assert (source.width, source.height) == (240, 180)
    source.read()
    assert source.integrity.facts == {"wraps": 2}


def test_other_packets_are_counted(tmp_path: Path) -> None:
    special = b"".join(struct.pack("<Ii", kind << 1 | 1, 5) for kind in (0, 1, 2, 3, 4, 5, 8))
    path = aedat31(
        tmp_path / "a",
        packet(0, special),
        packet(2, bytes(36), 36),
        packet(3, bytes(72), 36),
        packet(4, bytes(48), 48),
        packet(7, bytes(24), 12),
        packet(1, polarity(EVENTS[:1], valid=0) + polarity(EVENTS)),
        packet(1, polarity(EVENTS), source=2),
    )
    source = formats.open_recording(path)
    assert len(source.read()) == 3
    assert source.integrity.facts == {"triggers": 4, "frames": 1, "imu_samples": 3, "other": 3 + 2 + 1 + 3}


def test_of_two_cameras_the_first_is_read(tmp_path: Path) -> None:
    both = "#Source 2: DVS128\r\n#Source 1: DAVIS346B\r\n"
    path = aedat31(tmp_path / "a", packet(1, polarity(EVENTS), source=2), packet(1, polarity(EVENTS[:1])), source=both)
    source = formats.open_recording(path)
    assert len(source.read()) == 1
    assert (source.width, source.height) == (346, 260)
    assert any("source 1, DAVIS346B, is read" in note for note in source.notes)


def test_without_a_known_camera_the_size_is_inferred(tmp_path: Path) -> None:
    path = aedat31(tmp_path / "a", packet(1, polarity(EVENTS)), source="")
    assert formats.read(path).size == (128, 128)


def test_damage(tmp_path: Path) -> None:
    good = packet(1, polarity(EVENTS))
    for bad in ({"bytes": 4, "capacity": 6, "number": 6}, {"overflow": -1}):
        source = formats.open_recording(aedat31(tmp_path / "a", packet(1, polarity(EVENTS), **bad), good))
        assert len(source.read()) == 3
        assert source.integrity.faults == {"damaged": 1}
    for bad in ({"number": 4}, {"capacity": 2**31 - 1}, {"bytes": 0}, {"bytes": -8}, {"number": -1}, {"kind": -1}):
        wrong = packet(1, polarity(EVENTS), **bad)
        source = formats.open_recording(aedat31(tmp_path / "a", good, wrong, good))
        assert len(source.read()) == 3
        assert source.integrity.faults == {"trailing_bytes": len(wrong + good)}


def test_cut_at_any_byte(tmp_path: Path) -> None:
    path = aedat31(tmp_path / "a", packet(1, polarity(EVENTS)), packet(1, polarity(EVENTS[:1])))
    whole = path.read_bytes()
    first = whole.index(b"#!END-HEADER\r\n") + 14
    for length in range(12, len(whole)):
        path.write_bytes(whole[:length])
        if length < first:
            refused(path, "ends in its header")
            continue
        source = formats.open_recording(path)
        assert len(source.read()) == (3 if length >= first + 28 + 24 else 0)
        assert source.integrity.to_dict()["trailing_bytes"] in (length - first, length - first - 52)


def test_other_formats_are_named(tmp_path: Path) -> None:
    refused(aedat31(tmp_path / "a", format_="Serial-TS"), "of format 'Serial-TS'; only RAW is read")
    (tmp_path / "a").write_bytes(b"#!AER-DAT3.0\r\n" + bytes(50))
    refused(tmp_path / "a", "AEDAT file of version 1 or 3.0")


# --- both -------------------------------------------------------------------------------------------------


@FILES
@given(data=st.data())
def test_mutations_end_in_a_recording_or_one_sentence(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "a.aedat"
    if data.draw(st.booleans()):
        aedat2(path, [davis346(*event) for event in EVENTS], DAVIS346)
    else:
        aedat31(path, packet(1, polarity(EVENTS)), packet(0, bytes(16)), packet(1, polarity(EVENTS)))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(10, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    read_or_refused(path)
