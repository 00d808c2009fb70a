"""A part of a file, read block by block, is what the whole gives at once."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from velocell.data.blocks import joined
from velocell.data.recording import Recording
from velocell.errors import RecordingError
from velocell.filters import camera_motion
from velocell.filters.chain import Cleaning
from velocell.filters.reading import FilePart, cleaned, read_part
from velocell.formats import open_recording, source, write_npz

SIZE = (64, 48)


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Noise and a hot pixel, with a silence in it, in blocks of few events."""
    monkeypatch.setattr(source, "SMALLEST_BLOCK", 200)
    monkeypatch.setattr(source, "LARGEST_BLOCK", 500)
    rng = np.random.default_rng(3)
    t = np.sort(np.concatenate([rng.integers(0, 1_500_000, 6_000), rng.integers(9_000_000, 9_400_000, 3_000)]))
    x, y = rng.integers(0, SIZE[0], t.size), rng.integers(0, SIZE[1], t.size)
    x[::20], y[::20] = 9, 11
    events = Recording.from_arrays(t, x, y, rng.integers(0, 2, t.size), width=64, height=48, stop_us=9_700_000)
    write_npz(events, tmp_path / "a.npz")
    return tmp_path / "a.npz"


CHAINS = {
    "as it is": Cleaning(mask_hot=False),
    "hot": Cleaning(),
    "all": Cleaning(
        ignore=np.array([[3, 4], [9, 9]]),
        refractory_us=40_000,
        denoise_us=30_000,
        regions=((2, 3, 40, 30), (8, 8, 20, 40)),
    ),
}
PARTS = {"whole": (0, None), "from": (400_000, None), "to": (0, 1_200_000), "both": (300_000, 9_200_000)}


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
@pytest.mark.parametrize("cleaning", CHAINS.values(), ids=CHAINS)
def test_blocks_are_the_whole(file, cleaning, part):
    wanted = cleaned(read_part(open_recording(file), *part), cleaning, str(file))
    piecewise = FilePart(open_recording(file), cleaning, *part)
    found = piecewise.whole()
    for name in ("t_us", "x", "y", "p"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
    outline, events = piecewise.outline()
    assert events == len(wanted)
    for name in ("width", "height", "start_us", "stop_us", "source", "notes"):
        assert getattr(found, name) == getattr(outline, name) == getattr(wanted, name)
    assert piecewise.motion == camera_motion(wanted)
    head = piecewise.head(1_000_000)
    first = wanted.head(1_000_000)
    np.testing.assert_array_equal(head.t_us, first.t_us)
    assert (head.start_us, head.stop_us) == (first.start_us, first.stop_us)


def test_blocks_hold_little_of_it(file):
    assert max(map(len, FilePart(open_recording(file), Cleaning()).blocks())) <= 700


def test_the_beginning_is_bounded_too(file, monkeypatch):
    monkeypatch.setattr("velocell.filters.reading.HEAD_EVENTS", 1_000)
    head = FilePart(open_recording(file), Cleaning()).head(1_000_000)
    assert 500 <= len(head) <= 1_500
    assert head.stop_us < 1_000_000
    assert head.t_us[-1] < head.stop_us


@pytest.mark.parametrize(
    ("cleaning", "part", "words"),
    [
        (Cleaning(), (20_000_000, None), "lies after the end of .*, which lasts"),
        (Cleaning(), (2_000_000, 3_000_000), "no events in that part"),
        (Cleaning(denoise_us=1), (0, None), "the filters leave no events"),
        (Cleaning(regions=((0, 0, 1, 1),)), (0, 20_000), "no events in that part"),
    ],
)
def test_where_nothing_is_left_a_sentence_says_why(file, cleaning, part, words):
    with pytest.raises(RecordingError, match=words):
        list(FilePart(open_recording(file), cleaning, *part).blocks())
    with pytest.raises(RecordingError, match=words):
        cleaned(read_part(open_recording(file), *part), cleaning, str(file))


def test_the_camera_is_watched_once(file, monkeypatch):
    """However often the file is read, and not for what only looks at its beginning."""
    module = sys.modules[camera_motion.__module__]
    watched = []
    add = module.MotionWatch.add
    monkeypatch.setattr(module.MotionWatch, "add", lambda self, block: watched.append(len(block)) or add(self, block))
    part = FilePart(open_recording(file), Cleaning())
    next(part.blocks())
    peeked = joined(list(part.peek()))
    assert not watched
    assert len(peeked) == len(part.whole())
    watched.clear()
    part = FilePart(open_recording(file), Cleaning())
    whole = len(part.whole())
    first = part.motion
    assert sum(watched) == whole
    list(part.blocks())
    assert sum(watched) == whole
    assert part.motion == first


def test_the_camera_is_watched_with_bounded_memory(monkeypatch):
    """Trembling is looked at in every second, fourth, ... event where they are many, however they come."""
    module = sys.modules[camera_motion.__module__]
    monkeypatch.setattr(module, "_HELD_EVENTS", 1 << 12)
    rng = np.random.default_rng(4)
    n = 60_000
    t = np.sort(rng.integers(0, 1_000_000, n))
    events = Recording.from_arrays(
        t, rng.integers(0, 64, n), rng.integers(0, 48, n), (t // 3_000) % 2, width=64, height=48, stop_us=1_000_000
    )
    whole, parts = module.MotionWatch(events), module.MotionWatch(events)
    whole.add(events)
    for first in range(0, n, 777):
        parts.add(events.slice(first, first + 777))
        assert all(look._kept <= 1 << 12 for look in parts._looks if look.kind == "trembles")
    assert parts.motion() == whole.motion() == camera_motion(events)
