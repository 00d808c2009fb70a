"""The seek index of bags: of ROS 1, of ROS 2 as a folder of several files, and MCAP."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bags import Bag

from velocell import _native
from velocell.data.recording import Recording
from velocell.formats import open_recording, seek, source

COLUMNS = ("t_us", "x", "y", "p")
PER_MESSAGE = 100


def events(n: int = 6_000) -> Recording:
    """Over the place where the clock of EVT3 begins anew."""
    rng = np.random.default_rng(5)
    t = (1 << 24) - 50_000 + np.sort(rng.integers(0, 200_000, n))
    return Recording.from_arrays(
        t, rng.integers(0, 320, n), rng.integers(0, 240, n), rng.integers(0, 2, n), width=320, height=240
    )


def words(whole: Recording) -> list[bytes]:
    """EVT3, cut between any two words: the decoder goes on from message to message."""
    made = _native.Evt3Encoder().feed(whole.t_us, whole.x, whole.y, whole.p.view(np.uint8))
    return [made[first : first + 2 * PER_MESSAGE] for first in range(0, len(made), 2 * PER_MESSAGE)]


def put(bag: Bag, whole: Recording, encoding: str, number: int, of: int) -> None:
    """One of `of` parts of all messages, with others between them."""
    if encoding == "evt3":
        messages = words(whole)
    else:
        messages = [whole.slice(k, k + PER_MESSAGE) for k in range(0, len(whole), PER_MESSAGE)]
    share = -(-len(messages) // of)
    for each in messages[number * share : (number + 1) * share]:
        bag.packet(each) if encoding == "evt3" else bag.array(each)
        bag.text(100)


def folder_of(place: Path, kind: str, whole: Recording, encoding: str, files: int) -> Path:
    (place / "bag").mkdir(parents=True)
    names = []
    for number in range(files):
        (place / str(number)).mkdir()
        bag = Bag(place / str(number), kind)
        if number % 2:
            bag.text()  # so that the channels have other numbers than in the file before
        put(bag, whole, encoding, number, files)
        made = bag.close()
        names.append(f"part_{9 + number}{made.suffix}")
        made.rename(place / "bag" / names[-1])
    listed = "".join(f"    - {name}\n" for name in names)
    (place / "bag" / "metadata.yaml").write_text(f"bag:\n  version: 5\n  relative_file_paths:\n{listed}  topics: []\n")
    return place / "bag"


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(seek, "SPACING", 250)
    monkeypatch.setattr(source, "SMALLEST_BLOCK", 150)
    monkeypatch.setattr(source, "LARGEST_BLOCK", 300)


@pytest.mark.parametrize("encoding", ["evt3", "dvs_msgs"])
@pytest.mark.parametrize("kind", ["none", "lz4", "sqlite", "sqlite-message", "mcap", "mcap-zstd"])
def test_a_part_is_that_part_of_the_whole(tmp_path, kind, encoding):
    whole, index = events(), tmp_path / "index.json"
    if kind in ("none", "lz4"):
        bag = Bag(tmp_path, kind)
        put(bag, whole, encoding, 0, 1)
        path = bag.close()
    else:
        path = folder_of(tmp_path, kind, whole, encoding, 3)
    first = open_recording(path)
    assert first.unindexed is None
    read = first.read()
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(read, name), getattr(whole, name))
    assert first.marks.complete
    assert len(first.marks.places) >= 8
    assert {place["file"] for place in first.marks.places} == ({0} if path.suffix == ".bag" else {0, 1, 2})
    first.keep_index(index)
    for share in (0.0, 0.1, 0.35, 0.52, 0.9, 0.999):
        start_us = read.start_us + int(share * read.duration_us)
        again = open_recording(path, index=index)
        assert again.marks.complete
        met, resume = [], again._opened.resume

        def counted(integrity, place, met=met, resume=resume):
            for found, behind in resume(integrity, place):
                met.append(len(found.t_us))
                yield found, behind

        object.__setattr__(again._opened, "resume", counted)
        part, wanted = again.read(start_us), read.between(start_us)
        for name in COLUMNS:
            np.testing.assert_array_equal(getattr(part, name), getattr(wanted, name))
        assert sum(met) <= len(wanted) + 800  # of the blocks in which the part begins
        assert not again.integrity.faults


def test_the_index_of_a_folder_is_that_of_its_files(tmp_path):
    path, index = folder_of(tmp_path, "sqlite", events(1_000), "dvs_msgs", 2), tmp_path / "index.json"
    first = open_recording(path)
    first.read()
    first.keep_index(index)
    assert open_recording(path, index=index).marks.places
    second = path / "part_10.db3"
    data = bytearray(second.read_bytes())
    data[-20] ^= 1
    second.write_bytes(data)
    assert not open_recording(path, index=index).marks.places
