"""Prophesee RAW and DAT: against slow decoders, faery, and the figures of real files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from places import SHARED
from strategies import EPOCH_US, assert_same_recording, read_or_refused, recordings

from velocell import _native, formats
from velocell.data.integrity import FACTS, FAULTS
from velocell.data.recording import Recording
from velocell.errors import RecordingError, VelocellError
from velocell.formats import open_recording, read, write_dat, write_evt2, write_evt3

# One folder serves all examples of a test; a busy machine may be slow.
WRITERS = {"evt2": write_evt2, "evt3": write_evt3, "dat": write_dat}

# --- slow decoders ------------------------------------------------------------------------------------

Event = tuple[int, int, int, bool]


class Unwrapped:
    """A counter of `turn` steps: back by half a turn or more is a wrap."""

    def __init__(self, turn: int) -> None:
        self.turn, self.turns, self.last = turn, 0, None

    def __call__(self, reading: int) -> int:
        if self.last is not None and self.last - reading >= self.turn // 2:
            self.turns += 1
        elif self.last is not None and reading - self.last > self.turn - 16 and self.turns:
            self.turns -= 1
        self.last = reading
        return self.turns * self.turn + reading


def slow_evt2(data: bytes) -> Iterator[Event]:
    clock, high = Unwrapped(1 << 28), None
    for word in np.frombuffer(data, "<u4").tolist():
        kind = word >> 28
        if kind == 8:
            high = clock(word & (1 << 28) - 1)
        elif kind in (0, 1) and high is not None:
            yield high << 6 | word >> 22 & 63, word >> 11 & 2047, word & 2047, kind == 1


def slow_evt21(data: bytes) -> Iterator[Event]:
    clock, high = Unwrapped(1 << 28), None
    for mask, word in np.frombuffer(data, "<u4").reshape(-1, 2).tolist():
        kind = word >> 28
        if kind == 8:
            high = clock(word & (1 << 28) - 1)
        elif kind in (0, 1) and high is not None:
            for bit in range(32):
                if mask >> bit & 1:
                    yield high << 6 | word >> 22 & 63, (word >> 11 & 2047) + bit, word & 2047, kind == 1


def slow_evt3(data: bytes) -> Iterator[Event]:
    clock = Unwrapped(1 << 12)
    high = now = y = base = None
    base_on = False
    for word in np.frombuffer(data, "<u2").tolist():
        kind, content = word >> 12, word & 4095
        if kind == 0x8:
            new = clock(content)
            if new != high:
                now = new << 12
            high = new
        elif kind == 0x6 and high is not None:
            now = high << 12 | content
        elif kind == 0x0:
            y = content & 2047
        elif kind == 0x2 and now is not None and y is not None:
            yield now, content & 2047, y, content >= 2048
        elif kind == 0x3:
            base, base_on = content & 2047, content >= 2048
        elif kind in (0x4, 0x5) and None not in (now, y, base):
            pixels = 12 if kind == 0x4 else 8
            for bit in range(pixels):
                if content >> bit & 1:
                    yield now, base + bit, y, base_on
            base += pixels


def slow_dat(data: bytes) -> Iterator[Event]:
    clock = Unwrapped(1 << 32)
    for time, address in np.frombuffer(data, "<u4").reshape(-1, 2).tolist():
        yield clock(time), address & 0x3FFF, address >> 14 & 0x3FFF, bool(address >> 28 & 1)


def slow_dat1(data: bytes) -> Iterator[Event]:
    clock = Unwrapped(1 << 32)
    for time, address in np.frombuffer(data, "<u4").reshape(-1, 2).tolist():
        yield clock(time), address & 0x1FF, address >> 9 & 0xFF, bool(address >> 17 & 1)


def fed(decoder: Any, pieces: Iterable[bytes]) -> list[Event]:
    found: list[Event] = []
    for piece in pieces:
        found += zip(*(column.tolist() for column in decoder.feed(piece)), strict=True)
    return found


DECODERS: dict[str, tuple[Callable[[], Any], Callable[[bytes], Iterator[Event]], int]] = {
    "evt2": (_native.Evt2Decoder, slow_evt2, 4),
    "evt2.1": (_native.Evt21Decoder, slow_evt21, 8),
    "evt3": (_native.Evt3Decoder, slow_evt3, 2),
    "dat1": (_native.Dat1Decoder, slow_dat1, 8),
    "dat2": (_native.Dat2Decoder, slow_dat, 8),
}


@pytest.mark.parametrize("name", DECODERS)
@settings(deadline=None)
@given(data=st.data())
def test_any_words_in_any_pieces(name: str, data: st.DataObject) -> None:
    make, slow, size = DECODERS[name]
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    count = data.draw(st.integers(0, 400))
    words = rng.integers(0, 256, count * size, np.uint8).reshape(count, size)
    if data.draw(st.booleans()):  # words that are events or times, mostly
        kinds = np.array([0x00, 0x10, 0x20, 0x30, 0x40, 0x60, 0x80], np.uint8)
        words[:, -1] = words[:, -1] & 0x0F | rng.choice(kinds, count)
    raw = words.tobytes() + b"\x80" * data.draw(st.integers(0, size - 1))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=5)))
    decoder = make()
    found = fed(decoder, (raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)))
    assert found == list(slow(raw[: count * size]))
    assert decoder.held == len(raw) - count * size


def test_masks_far_to_the_right_stay_there() -> None:
    words = [0x8000, 0x6000, 0x0000, 0x3000, *[0x4FFF] * 10_000]
    _, x, _, _ = _native.Evt3Decoder().feed(np.array(words, "<u2").tobytes())
    assert x[:12].tolist() == list(range(12))
    assert np.all(np.diff(x.astype(np.int64)) >= -11)
    assert x.max() > 2048


def evt3_times(*words: int) -> list[int]:
    """Of one event after each word."""
    t, _, _, _ = _native.Evt3Decoder().feed(
        np.array([part for word in words for part in (0, word, 0x2000)], "<u2").tobytes()
    )
    return list(t.tolist())


def test_the_low_time_starts_again_with_a_new_high_time_only() -> None:
    assert evt3_times(0x8001, 0x6005, 0x8001, 0x8002, 0x6007) == [4096, 4101, 4101, 8192, 8199]


def test_wraps_back_steps_and_gaps() -> None:
    turns = [high >> 12 for high in evt3_times(0x8FFF, 0x8000, 0x8FFF, 0x8000, 0x8FF0, 0x8FFF, 0x8000, 0x8FF1)]
    assert turns == [4095, 4096, 4095, 4096, 8176, 8191, 8192, 8177]
    # Nothing lies before the first turn; half a turn back is a wrap, less is a step back.
    assert [high >> 12 for high in evt3_times(0x8000, 0x8FFF, 0x8800, 0x8000)] == [0, 4095, 2048, 4096]


def test_every_word_is_counted() -> None:
    kinds = [0x2, 0x4, 0x8, 0x2, 0x0, 0x5, 0xA, 0x7, 0xE, 0xF, 0x1, 0x9, 0xB, 0xC, 0xD]
    decoder = _native.Evt3Decoder()
    words = np.array([kind << 12 | 3 for kind in kinds], "<u2")
    assert len(decoder.feed(words.tobytes())[0]) == 0
    counts = {"wraps": 0, "triggers": 1, "imu_samples": 0, "other": 3, "unknown": 5, "unplaced": 6}
    assert decoder.counts == counts
    decoder = _native.Evt2Decoder()
    words = np.array([kind << 28 for kind in (0, 1, 8, 0, 1, 2, 0xA, 0xA, 0xD, 0xE, 0xF)], "<u4")
    assert len(decoder.feed(words.tobytes())[0]) == 2
    counts = {"wraps": 0, "triggers": 2, "imu_samples": 1, "other": 2, "unknown": 1, "unplaced": 2}
    assert decoder.counts == counts
    assert set(counts) <= {*FACTS, *FAULTS}


# --- writing and reading ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WRITERS)
@given(recording=recordings())
def test_round_trip(tmp_path: Path, name: str, recording: Recording) -> None:
    path = tmp_path / "cam"
    WRITERS[name](recording, path)
    assert_same_recording(read(path, strict=True), recording)


STEPS = [0, 1, 63, 64, 4_095, 4_096, 1 << 23, (1 << 24) - 1, 1 << 24, 50_000_000, (1 << 31) - 1]


@pytest.mark.parametrize("name", WRITERS)
@given(
    steps=st.lists(st.sampled_from(STEPS), min_size=1, max_size=20),
    start=st.sampled_from([0, (1 << 24) - 1, (1 << 32) - 1, (1 << 34) - 1, EPOCH_US]),
    cut=st.integers(0, 20),
)
def test_gaps_and_wraps(tmp_path: Path, name: str, steps: list[int], start: int, cut: int) -> None:
    t = np.cumsum([start, *steps])
    n = np.arange(t.size)
    recording = Recording.from_arrays(t, n, 2 * n, n % 2, width=100, height=100)
    path = tmp_path / "cam"
    WRITERS[name]([recording.slice(0, cut), recording.slice(cut, t.size)], path)
    np.testing.assert_array_equal(read(path).t_us, t)
    assert_same_recording(read(path, strict=True), replace(recording, start_us=recording.slice(0, cut).start_us))


@pytest.mark.parametrize("name", ["evt2", "evt3"])
def test_a_gap_of_hours(tmp_path: Path, name: str) -> None:
    recording = Recording.from_arrays([5, 9, 40_000_000_000, 80_000_000_001], [1, 2, 3, 4], [1, 2, 3, 4], [0, 1, 0, 1])
    WRITERS[name](recording, tmp_path / "cam")
    assert read(tmp_path / "cam").t_us.tolist() == recording.t_us.tolist()


def test_what_a_format_cannot_hold(tmp_path: Path) -> None:
    path = tmp_path / "cam.raw"
    wide = Recording.from_arrays([1], [0], [0], width=2049, height=10)
    with pytest.raises(RecordingError, match=r"cam.raw: EVT3 holds sensors of up to 2048 px a side, not 2049x10"):
        write_evt3(wide, path)
    write_dat(wide, path)
    quiet = Recording.from_arrays([0, 1 << 31], [0, 0], [0, 0])
    with pytest.raises(RecordingError, match=r"there are no events for 2147 s before 2147483648 us, and DAT can only"):
        write_dat(quiet, path)
    assert read(path).size == (2049, 10)
    with pytest.raises(RecordingError, match="nothing to write"):
        write_dat([], path)
    with pytest.raises(VelocellError, match="no such file or directory"):
        write_evt2(quiet, tmp_path / "no" / "cam.raw")
    assert [entry.name for entry in tmp_path.iterdir()] == ["cam.raw"]


# --- real files ---------------------------------------------------------------------------------------

DIGESTS = {
    "sparklers_evt2.raw": ((640, 480), 521252, 913716224, 913812095, 21685464521, 128979953, 216346680, 185861),
    "hd_evt3.raw": ((1280, 720), 219596, 11718656, 11727457, 954917491, 159113225, 85638051, 115532),
    "ncars_td.dat": ((78, 42), 2009, 0, 99952, 98196680, 93457, 40463, 1350),
    "ncars_td2.dat": ((54, 61), 4407, 0, 99937, 239318661, 108033, 134194, 1671),
}


@pytest.mark.parametrize("name", DIGESTS)
def test_figures_of_real_files(name: str) -> None:
    source = open_recording(real(name), strict=True)
    recording = source.read()
    t, p = recording.t_us, recording.p
    assert p is not None
    figures = (len(t), t[0], t[-1], (t - t[0]).sum(), recording.x.sum(), recording.y.sum(), p.sum())
    assert (recording.size, *map(int, figures)) == DIGESTS[name]
    assert source.integrity.faults == {}


def real(name: str) -> Path:
    if not (SHARED / name).is_file():
        pytest.skip(f"{SHARED / name} is absent")
    return SHARED / name


def body(path: Path) -> tuple[bytes, bytes]:
    """Header lines and the rest, without the reader's help."""
    data, end = path.read_bytes(), 0
    while data[end : end + 2] == b"% ":
        end = data.index(b"\n", end) + 1
    return data[:end], data[end:]


@pytest.mark.parametrize(("name", "slow"), [("sparklers_evt2.raw", slow_evt2), ("hd_evt3.raw", slow_evt3)])
def test_real_files_and_the_slow_decoders(name: str, slow: Callable[[bytes], Iterator[Event]]) -> None:
    _, words = body(real(name))
    expected = list(slow(words[:200_000]))
    recording = read(real(name)).slice(0, len(expected))
    assert len(expected) > 10_000
    assert recording.p is not None
    columns = (recording.t_us, recording.x, recording.y, recording.p)
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == expected


# --- other programs -----------------------------------------------------------------------------------


@pytest.fixture
def faery() -> Any:
    return pytest.importorskip("faery", reason="faery is not installed")


def busy(n: int = 3_000, start: int = 1_000_000) -> Recording:
    rng = np.random.default_rng(5)
    t = start + np.sort(rng.integers(0, 400_000, n))
    return Recording.from_arrays(t, rng.integers(0, 320, n), rng.integers(0, 240, n), rng.integers(0, 2, n),
                                 width=320, height=240)  # fmt: skip


@pytest.mark.parametrize("name", WRITERS)
def test_faery_reads_what_is_written(tmp_path: Path, faery: Any, name: str) -> None:
    recording = busy()
    path = tmp_path / ("cam.dat" if name == "dat" else "cam.raw")
    WRITERS[name](recording, path)
    stream = faery.events_stream_from_file(path)
    assert stream.dimensions() == recording.size
    events = stream.to_array()
    for field, column in (("t", recording.t_us), ("x", recording.x), ("y", recording.y), ("on", recording.p)):
        np.testing.assert_array_equal(events[field], column)


@pytest.mark.parametrize("version", ["evt2", "evt3", "dat1", "dat2"])
def test_what_faery_writes_is_read(tmp_path: Path, faery: Any, version: str) -> None:
    path = tmp_path / ("cam.dat" if version.startswith("dat") else "cam.raw")
    recording = busy()
    write_evt2(recording, tmp_path / "source.raw")
    # faery counts from the first event where it writes.
    faery.events_stream_from_file(tmp_path / "source.raw").to_file(path, version=version)
    again = read(path, strict=True)
    assert again.size == recording.size
    np.testing.assert_array_equal(again.t_us - again.t_us[0], recording.t_us - recording.t_us[0])
    for field in ("x", "y", "p"):
        np.testing.assert_array_equal(getattr(again, field), getattr(recording, field))


def test_faery_is_late_in_evt3(faery: Any) -> None:
    """Its low time does not start from 0 when the high time changes; three other decoders agree with ours."""
    path = real("hd_evt3.raw")
    theirs, ours = faery.events_stream_from_file(path).to_array(), read(path)
    np.testing.assert_array_equal(theirs["x"], ours.x)
    late = theirs["t"].astype(np.int64) - ours.t_us
    assert theirs["t"][-1] == 11_727_467
    assert 0 < np.count_nonzero(late) < 0.05 * late.size


def test_faery_guesses_sizes(faery: Any) -> None:
    path = real("sparklers_evt2.raw")
    assert faery.events_stream_from_file(path).dimensions() == (1280, 720)
    source = open_recording(path)
    assert (source.width, source.height) == (640, 480)
    assert source.size_from == "of cameras of system_ID 21"


# --- headers ------------------------------------------------------------------------------------------


def words2(*words: int) -> bytes:
    return np.array(words, "<u4").tobytes()


def evt2(t: int, x: int, y: int, on: int = 1) -> int:
    return on << 28 | (t & 63) << 22 | x << 11 | y


def made(path: Path, header: str, data: bytes) -> Path:
    path.write_bytes(header.encode() + data)
    return path


HIGH = 0x8 << 28
ONE = words2(HIGH, evt2(5, 30, 20))


@pytest.mark.parametrize(
    ("header", "size", "how"),
    [
        ("% evt 2.0\n% geometry 640x480\n% end\n", (640, 480), "as the header's line 'geometry' says"),
        ("% format EVT2;height=720;width=1280\n% end\n", (1280, 720), "as the header's line 'format' says"),
        ("% evt 2.0\r\n% geometry 64x48\r\n", (64, 48), "as the header's line 'geometry' says"),
        ("% date 2020\n% system_ID 28\n", (640, 480), "of cameras of system_ID 28"),
        ("% system_ID 21\n% evt 2.0\n", (640, 480), "of cameras of system_ID 21"),
        ("% evt 2.0\n", (31, 21), "inferred from the largest coordinates; give --size to set it"),
        ("% evt 2.0\n% system_ID 99\n", (31, 21), "inferred from the largest coordinates; give --size to set it"),
    ],
)
def test_where_the_size_stands(tmp_path: Path, header: str, size: tuple[int, int], how: str) -> None:
    path = made(tmp_path / "cam.raw", header, ONE)
    source = open_recording(path)
    assert (source.width, source.height, source.size_from) == (*size, how)
    assert source.read().t_us.tolist() == [5]
    assert any("sensor size" in note for note in source.read().notes) == ("inferred" in how)
    given_size = open_recording(path, size=(1000, 900))
    assert (given_size.width, given_size.height) == (1000, 900)
    assert given_size.size_from.startswith("as given")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("% evt 4.0\n", "format 'evt 4.0'; EVT2, EVT2.1 and EVT3 are read"),
        ("% format HISTO3D\n% evt 9\n", "format 'HISTO3D'"),
        ("% evt 2.0\n% format EVT3\n", "says both 'EVT3' and 'evt 2.0'; remove what is wrong"),
        ("% system_ID 99\n", "does not say which format its words have; add a line"),
        ("% evt 2.0\n% geometry 640x480\n% format EVT2;width=1280;height=720\n", "says both '640x480' and '1280x720'"),
        ("% evt 2.0\n% geometry big\n", "size 'big' is not WIDTHxHEIGHT; give it with --size"),
        ("% evt 2.0\n% geometry 0x9\n", "0x9 must be between 1 and 65536 px"),
        ("% evt 2.0\n% geometry 4000000000x4000000000\n", "must be between 1 and 65536 px"),
        ("% Data file containing Event2D events.\n% Version 3\n", "version '3'; versions 1 and 2 are read"),
        ("% Data file containing Event2D events.\n% Version 2\n", "entries of kind 0 and 0 bytes, not events"),
        ("% Data file containing CD events.\n% Version 2\n\x0e\x08", "holds external triggers, not events"),
        ("% Data file containing CD events.\n% Version 2\n\x0c\x10", "entries of kind 12 and 16 bytes"),
    ],
)
def test_headers_that_are_refused(tmp_path: Path, header: str, message: str) -> None:
    path = made(tmp_path / "cam.raw", header, b"\0" * 16)
    with pytest.raises(RecordingError, match=message) as caught:
        read(path)
    assert "cam.raw" in str(caught.value)
    if "--size" in message:
        assert read(path, size=(640, 480)).size == (640, 480)


def test_a_header_alone(tmp_path: Path) -> None:
    empty = read(made(tmp_path / "a.raw", "% evt 3.0\n% geometry 64x48\n% end\n", b""))
    assert (len(empty), empty.size) == (0, (64, 48))
    with pytest.raises(RecordingError, match="ends in its header"):
        read(made(tmp_path / "a.dat", "% Data file containing CD events.\n% Version 2\n", b""))


def test_data_that_looks_like_a_header(tmp_path: Path) -> None:
    # 0x2025 is the column 37: the bytes "% ".
    words = np.array([0x2025, 0x8000, 0x0007, 0x6003, 0x2025], "<u2").tobytes()
    recording = read(made(tmp_path / "a.raw", "% evt 3.0\n% geometry 64x48\n", words))
    assert recording.x.tolist() == [37]
    recording = read(made(tmp_path / "b.raw", "% evt 3.0\n% geometry 64x48\n% end\n", b"% x\n" + words))
    assert recording.x.tolist() == [37]


@pytest.mark.parametrize(
    ("header", "swapped"),
    [
        ("% evt 2.1\n", False),
        ("% format EVT21;endianness=legacy;height=48;width=64\n", True),
        ("% format EVT21;height=48;width=64\n% endianness little\n", False),
        ("% format EVT21;height=48;width=64\n% endianness legacy\n", True),
        ("% evt 2.1\n% integrator_name Prophesee\n% system_ID 49\n", True),
        ("% evt 2.1\n% integrator_name Prophesee\n% system_ID 64\n", False),
    ],
)
def test_evt21_in_both_orders(tmp_path: Path, header: str, swapped: bool) -> None:
    halves = np.array([[0, HIGH | 1], [0b101, evt2(9, 32, 7)]], "<u4")
    data = (halves[:, ::-1] if swapped else halves).tobytes()
    recording = read(made(tmp_path / "cam.raw", header, data))
    assert recording.t_us.tolist() == [73, 73]
    assert recording.x.tolist() == [32, 34]
    assert recording.y.tolist() == [7, 7]


def test_dat_of_version_1(tmp_path: Path) -> None:
    entries = np.array([[7, 303 | 239 << 9 | 1 << 17], [8, 0]], "<u4").tobytes()
    camera = "% Date today\n% Data file containing TD events.\n% system_ID 49\n% format EVT3;height=720;width=1280\n"
    for lines in ("% Data file containing TD events.\n", "% Version 1\n", camera):
        recording = read(made(tmp_path / "cam.dat", lines, b"\x00\x08" + entries))
        assert (recording.t_us.tolist(), recording.x.tolist(), recording.y.tolist()) == ([7, 8], [303, 0], [239, 0])
        assert recording.p is not None
        assert recording.p.tolist() == [True, False]


# --- what is repaired, and what is refused --------------------------------------------------------------

FAULTY = {
    "back_steps": words2(HIGH | 2, evt2(0, 1, 1), HIGH | 1, evt2(0, 2, 2), HIGH | 3, evt2(0, 3, 3)),
    "out_of_bounds": words2(HIGH, evt2(1, 1, 1), evt2(2, 64, 2), evt2(3, 3, 3)),
    "unplaced": words2(evt2(1, 9, 9), HIGH, evt2(1, 1, 1), evt2(3, 3, 3)),
    "unknown": words2(HIGH, evt2(1, 1, 1), 0x2 << 28, evt2(3, 3, 3)),
    "trailing_bytes": words2(HIGH, evt2(1, 1, 1), evt2(3, 3, 3)) + b"\x80\x00\x80",
}


@pytest.mark.parametrize("fault", FAULTY)
def test_faults_are_repaired_and_told_or_refused(tmp_path: Path, fault: str) -> None:
    path = made(tmp_path / "cam.raw", "% evt 2.0\n% geometry 64x48\n% end\n", FAULTY[fault])
    source = open_recording(path)
    recording = source.read()
    assert source.integrity.faults == {fault: 3 if fault == "trailing_bytes" else 1}
    assert any(FAULTS[fault] in note for note in recording.notes)
    assert np.all(np.diff(recording.t_us) >= 0)
    assert recording.x.tolist() == ([2, 1, 3] if fault == "back_steps" else [1, 3])
    with pytest.raises(RecordingError, match=rf"cam.raw has \d {FAULTS[fault].partition(';')[0]}.*without --strict"):
        read(path, strict=True)


def test_events_outside_a_given_size_are_refused(tmp_path: Path) -> None:
    path = made(tmp_path / "cam.raw", "% evt 2.0\n% geometry 64x48\n% end\n", FAULTY["out_of_bounds"])
    with pytest.raises(RecordingError, match=r"outside the 10x10 sensor, the first is at x = 64, y = 2, 2 us"):
        read(path, size=(10, 10))


def test_facts_are_counted(tmp_path: Path) -> None:
    words = words2(HIGH | (1 << 28) - 1, evt2(0, 1, 1), 0xA << 28, 0xE << 28, 0xF << 28, HIGH, evt2(0, 2, 2))
    source = open_recording(made(tmp_path / "cam.raw", "% evt 2.0\n% geometry 64x48\n% end\n", words), strict=True)
    assert source.read().t_us.tolist() == [(1 << 34) - 64, 1 << 34]
    assert source.integrity.facts == {"wraps": 1, "triggers": 1, "other": 2}
    assert source.integrity.to_dict()["triggers"] == 1


def far_back(n: int) -> bytes:
    """n events in a row, then one whose time lies before them all."""
    return words2(HIGH | 2, *[evt2(0, 1, 1)] * n, HIGH | 1, evt2(0, 2, 2))


def test_back_steps_across_blocks(tmp_path: Path) -> None:
    header = "% evt 2.0\n% geometry 64x48\n% end\n"
    recording = read(made(tmp_path / "cam.raw", header, far_back(70_000)))
    assert recording.x[0] == 2
    assert len(recording) == 70_001
    with pytest.raises(RecordingError, match="the time steps back from 128 to 64 us, too far"):
        read(made(tmp_path / "cam.raw", header, far_back(300_000)))


# --- streaming ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Recording]:
    recording = busy(300_000)
    path = tmp_path_factory.mktemp("long") / "cam.raw"
    write_evt3(recording, path)
    return path, recording


def test_blocks_are_bounded_and_in_order(long: tuple[Path, Recording]) -> None:
    path, recording = long
    source = open_recording(path)
    blocks = list(source.blocks())
    assert len(blocks) > 3
    assert max(map(len, blocks)) < 200_000
    assert [block.start_us for block in blocks[1:]] == [int(block.t_us[0]) for block in blocks[1:]]
    for field in ("t_us", "x", "y", "p"):
        np.testing.assert_array_equal(np.concatenate([getattr(b, field) for b in blocks]), getattr(recording, field))
    # Again from the start, and the counts are not added up.
    assert sum(map(len, source.blocks())) == len(recording)


@pytest.mark.parametrize("part", [(None, None), (1_100_000, None), (None, 1_100_000), (1_100_001, 1_100_003), (0, 5),
                                  (1_399_999, 9_000_000), (9_000_000, None), (1_200_000, 1_200_000)])  # fmt: skip
def test_parts_in_time(long: tuple[Path, Recording], part: tuple[int | None, int | None]) -> None:
    path, recording = long
    assert_same_recording(open_recording(path).read(*part), recording.between(*part))


def test_a_part_does_not_meet_what_comes_after_it(tmp_path: Path) -> None:
    header = "% evt 2.0\n% geometry 64x48\n% end\n"
    path = made(tmp_path / "cam.raw", header, words2(HIGH, *[evt2(5, 1, 1)] * 200_000) + far_back(300_000))
    assert len(open_recording(path, strict=True).read(0, 6)) == 200_000


# --- damage -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WRITERS)
def test_truncated_at_any_byte(tmp_path: Path, name: str) -> None:
    recording = busy(40)
    WRITERS[name](recording, tmp_path / "cam")
    data = (tmp_path / "cam").read_bytes()
    lengths = []
    for length in range(1, len(data)):
        (tmp_path / "cam").write_bytes(data[:length])
        part = read_or_refused(tmp_path / "cam")
        if part is not None:
            lengths.append(len(part))
            np.testing.assert_array_equal(part.t_us, recording.t_us[: len(part)])
            np.testing.assert_array_equal(part.x, recording.x[: len(part)])
    assert lengths == sorted(lengths)
    assert {0, 20, 39} <= set(lengths)


@pytest.mark.parametrize("name", WRITERS)
@given(changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=8))
def test_mutated(tmp_path: Path, name: str, changes: list[tuple[int, int]]) -> None:
    path = tmp_path / "cam"
    WRITERS[name](busy(60), path)
    data = bytearray(path.read_bytes())
    for place, value in changes:
        data[place % len(data)] = value
    path.write_bytes(data)
    recording = read_or_refused(path)
    if recording is not None:
        assert np.all(np.diff(recording.t_us) >= 0)
        assert (recording.x < recording.width).all()
        assert (recording.y < recording.height).all()


HEADS = [
    b"% evt 2.0\n",
    b"% evt 2.1\n",
    b"% evt 3.0\n% geometry 9x9\n",
    b"% Version 2\n\x0c\x08",
    b"% Version 1\n\x00\x08",
]


@given(head=st.sampled_from(HEADS), rest=st.binary(max_size=300))
def test_garbage_after_a_header(tmp_path: Path, head: bytes, rest: bytes) -> None:
    assume(not rest.startswith(b"% "))
    (tmp_path / "cam").write_bytes(head + rest)
    read_or_refused(tmp_path / "cam")


def test_exactly_one_format_takes_them(tmp_path: Path) -> None:
    for name, write in WRITERS.items():
        write(busy(5), tmp_path / name)
        head = (tmp_path / name).read_bytes()[:4096]
        takers = [known.NAME for known in formats.FORMATS if known.matches(head, tmp_path / name)]
        assert len(takers) == 1, takers


def test_a_header_without_end(tmp_path: Path) -> None:
    path = made(tmp_path / "cam.raw", "% evt 3.0\n% " + "x" * 70_000, b"\n")
    with pytest.raises(RecordingError, match="has a header of more than 65536 bytes"):
        read(path)
