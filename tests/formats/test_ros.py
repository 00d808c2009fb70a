"""ROS bags and MCAP: a real bag, files written by the package rosbags, and damage."""

from __future__ import annotations

import bz2
import sqlite3
import struct
from pathlib import Path

import numpy as np
import pytest
from bags import ROS1, Bag
from hypothesis import given, settings
from hypothesis import strategies as st
from places import SHARED
from strategies import assert_same_recording, read_or_refused

from velocell import _native, formats
from velocell.data.recording import Recording
from velocell.errors import RecordingError
from velocell.formats.ros import records as bag_files

BAG = SHARED / "ros1_evt3.bag"
FILES = settings(max_examples=25)
ROS2 = ["sqlite", "sqlite-message", "mcap", "mcap-zstd"]


def recording(n: int = 300, seed: int = 1) -> Recording:
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, 50_000, n)) + 1_700_000_000_000_000
    return Recording.from_arrays(
        t, rng.integers(0, 320, n), rng.integers(0, 240, n), rng.integers(0, 2, n), width=320, height=240
    )


def test_the_recording() -> None:
    if not BAG.exists():
        pytest.skip("the recording ros1_evt3.bag is not here")
    source = formats.open_recording(BAG)
    events = source.read()
    assert (len(events), int(events.p.sum()), events.size) == (343474, 125183, (640, 480))
    assert 2_070_000 < events.duration_us < 2_090_000
    assert source.integrity.faults == {}


@pytest.mark.parametrize("kind", [*ROS1, *ROS2])
def test_dvs_msgs(tmp_path: Path, kind: str) -> None:
    bag, events = Bag(tmp_path, kind), recording()
    for first, last in ((0, 0), (0, 1), (1, 3), (3, 200), (200, 300)):
        bag.array(events.slice(first, last))
        bag.text()
    source = formats.open_recording(bag.close())
    assert_same_recording(source.read(), events)
    assert source.integrity.facts == {"other": 5}
    assert source.integrity.faults == {}


@pytest.mark.parametrize("kind", ["none", "sqlite", "mcap"])
@pytest.mark.parametrize("version", [2, 3])
def test_camera_words(tmp_path: Path, kind: str, version: int) -> None:
    bag, events = Bag(tmp_path, kind), recording()
    encoder = _native.Evt3Encoder() if version == 3 else _native.Evt2Encoder()
    t = events.t_us - events.t_us[0]
    words = encoder.feed(t, events.x, events.y, events.p.view(np.uint8))
    # The decoder goes on from message to message.
    for first in range(0, len(words), 200):
        bag.packet(words[first : first + 200], f"evt{version}")
    expected = Recording.from_arrays(t, events.x, events.y, events.p, width=320, height=240)
    assert_same_recording(formats.read(bag.close()), expected)


@pytest.mark.parametrize("kind", ["none", "sqlite"])
def test_mono(tmp_path: Path, kind: str) -> None:
    bag, events = Bag(tmp_path, kind), recording()
    base = int(events.t_us[0])
    for part in (events.slice(0, 100), events.slice(100, 300)):
        rows = zip(*(column.tolist() for column in (part.t_us, part.x, part.y, part.p)), strict=True)
        data = b"".join(struct.pack("<IHH", (t - base) * 1_000 + 400, x, y | p << 15) for t, x, y, p in rows)
        bag.packet(data, "mono", time_base=base * 1_000)
    assert_same_recording(formats.read(bag.close()), events)


def test_of_two_topics_the_first_is_read(tmp_path: Path) -> None:
    bag, events = Bag(tmp_path, "lz4"), recording()
    bag.array(events, "/right")
    bag.array(recording(seed=2), "/left")
    source = formats.open_recording(bag.close())
    assert_same_recording(source.read(), events)
    assert source.integrity.facts == {"other": 1}


@pytest.mark.parametrize("kind", ["none", "sqlite", "mcap"])
def test_bags_without_events(tmp_path: Path, kind: str) -> None:
    bag = Bag(tmp_path, kind)
    bag.text()
    refused(bag.close(), "holds no events .it holds messages of std_msgs/String.; record a topic of event_camera_msgs")


def test_an_unknown_encoding(tmp_path: Path) -> None:
    bag = Bag(tmp_path, "none")
    bag.packet(b"1234", "trigger")
    refused(bag.close(), "encoded as trigger; record them as evt3, mono, libcaer or libcaer_cmp")


# --- cameras of iniVation -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["none", "sqlite", "mcap"])
def test_libcaer(tmp_path: Path, kind: str) -> None:
    """The camera's clock goes back to 0 within the second message, and the driver's with the third."""
    bag, events = Bag(tmp_path, kind), recording()
    base = int(events.t_us[0])
    turn = 1 << 31
    for first, last, turns in ((0, 100, 0), (100, 200, 0), (200, 300, 1)):
        part = events.slice(first, last)
        clock = part.t_us - base + turn - (int(events.t_us[150]) - base)
        words = part.x.astype(np.int64) << 17 | part.y.astype(np.int64) << 2 | part.p.astype(np.int64) << 1 | 1
        data = np.stack([words, clock % turn], 1).astype("<u4").tobytes()
        start = base - turn + int(events.t_us[150]) - base + turns * turn
        bag.packet(data, "libcaer", time_base=start * 1_000)
    assert_same_recording(formats.read(bag.close()), events)


def compressed(part: Recording, base_us: int, *, vectors: bool) -> bytes:
    """Words of 4 bits of kind and 12 of value: high and low times, x, y; a first row, and bits of eight rows."""
    words: list[int] = []
    rows = zip(*(column.tolist() for column in (part.t_us - base_us, part.x, part.y, part.p)), strict=True)
    for t, x, y, on in rows:
        words += [0x0000 | t >> 12, 0x1000 | t & 0xFFF, 0x2000 | x]
        if vectors and y >= 9:
            # Of the second eight rows, the second.
            words += [0x4000 | on << 11 | y - 9, 0x5000, 0x5000 | 2]
        else:
            words += [0x3000 | on << 11 | y]
    return np.array(words, "<u2").tobytes()


@pytest.mark.parametrize("vectors", [False, True])
def test_libcaer_cmp(tmp_path: Path, vectors: bool) -> None:
    bag, events = Bag(tmp_path, "sqlite"), recording()
    for first in range(0, 300, 100):
        part = events.slice(first, first + 100)
        base = int(part.t_us[0])
        bag.packet(compressed(part, base, vectors=vectors), "libcaer_cmp", time_base=base * 1_000 + 7)
    assert_same_recording(formats.read(bag.close()), events)


def test_libcaer_cmp_several_at_once(tmp_path: Path) -> None:
    """Eight rows each, one group after the other, and x from the message before."""
    bag = Bag(tmp_path, "sqlite")
    words = [0x0001, 0x1002, 0x2005, 0x4800 | 16, 0x5081, 0x5001, 0x3003, 0x1003, 0x5002, 0x4000 | 9, 0x50FF]
    bag.packet(np.array(words, "<u2").tobytes(), "libcaer_cmp", time_base=1_000_000)
    bag.packet(np.array([0x3807], "<u2").tobytes(), "libcaer_cmp", time_base=9_000_000)
    found = formats.read(bag.close())
    t = [1000 + 4098] * 4 + [1000 + 4099] * 9 + [9_000]
    y = [16, 23, 24, 3, 33, *range(9, 17), 7]
    on = [1, 1, 1, 0, 1, *[0] * 8, 1]
    assert (found.t_us.tolist(), found.y.tolist(), found.p.tolist()) == (t, y, [bool(one) for one in on])
    assert set(found.x.tolist()) == {5}


# --- folders --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ROS2)
def test_a_folder_is_a_bag(tmp_path: Path, kind: str) -> None:
    bag, events = Bag(tmp_path, kind), recording()
    bag.array(events)
    folder = bag.close().parent
    assert_same_recording(formats.read(folder), events)


def test_a_bag_in_several_files(tmp_path: Path) -> None:
    """The decoder goes on from file to file, in the order of the list."""
    events = recording()
    t = events.t_us - events.t_us[0]
    words = _native.Evt3Encoder().feed(t, events.x, events.y, events.p.view(np.uint8))
    (tmp_path / "bag").mkdir()
    for number, part in enumerate((words[:300], words[300:])):
        (tmp_path / str(number)).mkdir()
        bag = Bag(tmp_path / str(number), "sqlite")
        bag.packet(part)
        bag.close().rename(tmp_path / "bag" / f"part_{9 + number}.db3")
    index = tmp_path / "bag" / "metadata.yaml"
    index.write_text("bag:\n  version: 5\n  relative_file_paths:\n    - part_9.db3\n    - part_10.db3\n  topics: []\n")
    expected = Recording.from_arrays(t, events.x, events.y, events.p, width=320, height=240)
    assert_same_recording(formats.read(tmp_path / "bag"), expected)
    (tmp_path / "bag" / "part_10.db3").unlink()
    refused(tmp_path / "bag", "lacks its file 'part_10.db3'; copy the whole folder")
    index.write_text("bag: {}\n")
    refused(tmp_path / "bag", "metadata.yaml lists no files")
    index.unlink()
    refused(tmp_path / "bag", "is a folder; name a file in it")


def refused(path: Path, message: str) -> None:
    with pytest.raises(RecordingError, match=message) as caught:
        formats.read(path)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


# --- damage ---------------------------------------------------------------------------------------------


def damaged(path: Path, data: bytes) -> formats.Source:
    path.write_bytes(data)
    return formats.open_recording(path)


@pytest.mark.parametrize("fault", ["serialization", "encoding", "cut word", "big-endian"])
def test_a_damaged_message_costs_no_other(tmp_path: Path, fault: str) -> None:
    bag, events = Bag(tmp_path, "mcap"), recording()
    words = _native.Evt3Encoder().feed(events.t_us - events.t_us[0], events.x, events.y, events.p.view(np.uint8))
    bag.packet(words)
    if fault == "encoding":
        bag.packet(words, "evt2")
    elif fault == "cut word":
        bag.packet(words[:11])
    elif fault == "big-endian":
        bag.packet(words, is_bigendian=True)
    else:
        bag.packet(b"mark the spot!!!")
    bag.text()
    path = bag.close()
    data = path.read_bytes()
    if fault == "serialization":
        # The length of the events, more than the message has.
        at = data.index(b"mark the spot!!!") - 4
        data = data[:at] + struct.pack("<I", 2**32 - 1) + data[at + 4 :]
    source = damaged(path, data)
    assert len(source.read()) == len(events)
    assert source.integrity.faults == {"damaged": 1}


def in_three_chunks(folder: Path, kind: str) -> tuple[Path, Recording]:
    bag, events = Bag(folder, kind), recording(300)
    for first in range(0, 300, 100):
        bag.array(events.slice(first, first + 100))
        bag.text(1_100_000)
    return bag.close(), events


@pytest.mark.parametrize("kind", ["none", "lz4", "mcap"])
def test_cut_off(tmp_path: Path, kind: str) -> None:
    """Without the index at the end; the package rosbags does not open such a bag of ROS 1."""
    path, events = in_three_chunks(tmp_path, kind)
    source = damaged(path, path.read_bytes()[:2_500_000])
    assert_same_recording(source.read(), events.slice(0, 200))
    assert set(source.integrity.faults) == {"trailing_bytes"}
    if kind in ROS1:
        from rosbags.rosbag1 import Reader, ReaderError

        with pytest.raises(ReaderError):
            Reader(path).open()


@pytest.mark.parametrize("kind", ["none", "lz4", "mcap"])
def test_cut_off_within_the_first_chunk(tmp_path: Path, kind: str) -> None:
    bag = Bag(tmp_path, kind)
    bag.array(recording(300))
    path = bag.close()
    data = path.read_bytes()
    # The first chunk is what is large; an MCAP begins with its own header, ROS 1 with 4096 bytes of it.
    path.write_bytes(data[: 4_500 if kind in ROS1 else 900])
    refused(path, r"is cut off .or damaged. within its first chunk: \d+ bytes are left after its last whole entry")


def test_a_damaged_chunk_costs_no_other(tmp_path: Path) -> None:
    path, events = in_three_chunks(tmp_path, "bz2")
    data = bytearray(path.read_bytes())
    second = [at for at in range(len(data)) if data.startswith(b"BZh9", at)][1]
    data[second + 4 : second + 10] = bytes(6)
    source = damaged(path, data)
    kept = np.r_[0:100, 200:300]
    assert source.read().t_us.tolist() == events.t_us[kept].tolist()
    assert source.integrity.faults == {"damaged": 1}


def test_a_chunk_that_unfolds_to_gigabytes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bag_files, "MAX_BYTES", 1 << 20)
    packed = bz2.compress(bytes(1 << 22))
    fields = b"".join(struct.pack("<I", len(field)) + field for field in (b"op=\x05", b"compression=bz2", b"size=1234"))
    path = tmp_path / "a.bag"
    path.write_bytes(
        b"#ROSBAG V2.0\n" + struct.pack("<I", len(fields)) + fields + struct.pack("<I", len(packed)) + packed
    )
    refused(path, "a record of more than 1 MiB; write it again in smaller chunks")
    path.write_bytes(path.read_bytes().replace(b"=bz2", b"=zip"))
    refused(path, "chunks of the unknown compression zip; write it again")


@pytest.mark.parametrize(
    "data",
    [
        b"#ROSBAG V2.0\n" + struct.pack("<I", 2**32 - 1) + bytes(50),
        b"#ROSBAG V2.0\n" + struct.pack("<II", 4, 2**32 - 1) + bytes(50),
        b"#ROSBAG V2.0\n" + struct.pack("<II4sI", 8, 4, b"op=\x05", 2**32 - 1) + bytes(50),
        b"\x89MCAP0\r\n" + struct.pack("<BQ", 6, 2**64 - 1) + bytes(50),
        b"\x89MCAP0\r\n" + struct.pack("<BQ", 5, 30) + bytes(50),
        b"\x89MCAP0\r\n",
        b"SQLite format 3\x00" + bytes(90),
    ],
)
def test_sizes_that_cannot_be(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.bag").write_bytes(data)
    left = "is cut off .or damaged. within its first chunk"
    refused(
        tmp_path / "a.bag",
        left if len(data) in range(50, 100) and not data.startswith(b"SQL") else "it holds no messages",
    )


def test_another_database_is_no_bag(tmp_path: Path) -> None:
    base = sqlite3.connect(tmp_path / "a.db3")
    base.execute("CREATE TABLE topics (id, name, type, serialization_format)")
    # A view could compute for ever.
    base.execute("CREATE VIEW messages AS SELECT 1 AS id, 1 AS topic_id, x'00' AS data")
    base.commit()
    refused(tmp_path / "a.db3", "an SQLite database, but not a ROS 2 bag")
    base.execute("DROP VIEW messages")
    base.execute("CREATE TABLE messages (id, topic_id)")
    base.commit()
    base.close()
    refused(tmp_path / "a.db3", "an SQLite database, but not a ROS 2 bag")


def test_a_schema_that_is_no_text(tmp_path: Path) -> None:
    """SQLite quotes it in its message, which is then no text either."""
    base = sqlite3.connect(tmp_path / "a.db3")
    base.execute("CREATE TABLE topics (id, name, type, serialization_format)")
    base.execute("CREATE TABLE messages (id, topic_id, data)")
    base.commit()
    base.close()
    data = (tmp_path / "a.db3").read_bytes().replace(b"CREATE TABLE messages", b"CREATE \xff\xfe\xff\xfe\xff messages")
    (tmp_path / "a.db3").write_bytes(data)
    refused(tmp_path / "a.db3", "holds no events .it holds no messages")


@pytest.fixture(scope="module")
def small_bags(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    made = []
    for kind in ("none", "lz4", "sqlite", "mcap", "mcap-zstd"):
        bag = Bag(tmp_path_factory.mktemp("bag"), kind)
        bag.array(recording(5))
        bag.text()
        bag.array(recording(5, seed=2))
        made.append(bag.close().read_bytes())
    return made


@FILES
@given(data=st.data())
def test_mutations_end_in_a_recording_or_one_sentence(
    tmp_path: Path, small_bags: list[bytes], data: st.DataObject
) -> None:
    content = bytearray(data.draw(st.sampled_from(small_bags)))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(16, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "a.bag"
    path.write_bytes(content[: data.draw(st.integers(20, len(content)))])
    read_or_refused(path)
