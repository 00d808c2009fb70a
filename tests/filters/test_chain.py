"""Cleaning: one order for whole recordings, streams and windows."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import recordings

from velocell import Recording
from velocell.errors import OptionError, RecordingError
from velocell.filters import background_activity_filter, hot_pixels, mask_pixels, refractory_filter
from velocell.filters.chain import Cleaning
from velocell.filters.lens import Camera

SIZE = (20, 15)
LENS = Camera.of([[15, 0, 9.5], [0, 15, 7], [0, 0, 1]], [0.1, -0.05, 0, 0], SIZE)


def busy(seed: int, n: int = 600) -> Recording:
    """Events at random, often at the same pixels and times."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, 3_000, n))
    x, y = rng.integers(0, SIZE[0], n), rng.integers(0, SIZE[1], n)
    return Recording.from_arrays(t, x, y, rng.random(n) < 0.5, width=SIZE[0], height=SIZE[1], stop_us=3_000)


def same(found: Recording, expected: Recording) -> None:
    for name in ("t_us", "x", "y", "p"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)


cleanings = st.builds(
    Cleaning,
    ignore=st.lists(st.tuples(st.integers(0, 19), st.integers(0, 14)), max_size=3).map(
        lambda pixels: np.array(pixels, np.int64).reshape(-1, 2)
    ),
    mask_hot=st.just(False),
    flicker=st.sampled_from(["auto", "off", 1000.0, 800.0]),
    refractory_us=st.none() | st.integers(1, 400),
    denoise_us=st.none() | st.integers(1, 400),
    camera=st.sampled_from([None, LENS]),
    regions=st.sampled_from([(), ((2, 3, 10, 9),), ((0, 0, 5, 5), (10, 2, 6, 8))]),
)


@given(cleanings, st.integers(0, 50), st.lists(st.integers(0, 3_000), max_size=6))
@settings(deadline=None, max_examples=60)
def test_a_stream_gives_what_the_whole_gives_however_it_is_cut(cleaning, seed, cuts):
    recording = busy(seed)
    clean, parts = cleaning.stream(SIZE), []
    edges = [0, *sorted(cuts), 3_000]
    for start, stop in pairwise(edges):
        parts.append(clean(recording.between(start, stop)))
    whole = cleaning.apply(recording)
    for name in ("t_us", "x", "y", "p"):
        np.testing.assert_array_equal(np.concatenate([getattr(part, name) for part in parts]), getattr(whole, name))


@given(cleanings, st.integers(0, 50), st.integers(0, 2_500), st.integers(1, 900))
@settings(deadline=None, max_examples=60)
def test_a_window_needs_only_its_lead(cleaning, seed, start, span):
    recording, stop = busy(seed), start + span
    window = cleaning.apply(recording.between(start - cleaning.lead_us, stop)).between(start, stop)
    same(window, cleaning.apply(recording).between(start, stop))


def test_the_order_is_ignored_hot_refractory_denoise_lens_regions():
    recording = busy(7)
    hot = np.array([[3, 3], [4, 4]])
    cleaning = Cleaning(np.array([[1, 1]]), True, 100, 200, LENS, ((2, 2, 12, 10),))
    by_hand = mask_pixels(mask_pixels(recording, [[1, 1]]), hot)
    by_hand = background_activity_filter(refractory_filter(by_hand, 100), 200)
    seen = replace(cleaning, ignore=cleaning.ignore[:0], mask_hot=False, refractory_us=None, denoise_us=None)
    same(cleaning.apply(recording, hot), seen.apply(by_hand))
    # Another order gives something else: the test can tell.
    other = refractory_filter(background_activity_filter(mask_pixels(mask_pixels(recording, [[1, 1]]), hot), 200), 100)
    assert len(seen.apply(other)) != len(seen.apply(by_hand))


def test_notes_say_what_each_step_left():
    recording = busy(3)
    notes = Cleaning(np.array([[1, 1]]), refractory_us=50, denoise_us=1_000, camera=LENS).apply(recording).notes
    assert [note.partition(":")[0] for note in notes[:3]] == [
        "without 1 ignored pixels", "refractory filter of 50us", "background-activity filter of 1ms",
    ]  # fmt: skip
    assert notes[3].startswith("lens corrected with")


def test_hot_pixels_are_those_of_the_rest_without_ignored_ones():
    noisy = busy(5)
    loud = Recording.from_arrays(np.arange(0, 3_000, 10), np.full(300, 8), np.full(300, 8), width=20, height=15)
    t = np.concatenate([noisy.t_us, loud.t_us])
    order = np.argsort(t, kind="stable")
    x, y = (np.concatenate([getattr(noisy, n), getattr(loud, n)])[order] for n in ("x", "y"))
    recording = Recording.from_arrays(t[order], x, y, width=20, height=15)
    assert hot_pixels(recording).tolist() == [[8, 8]]
    same(Cleaning().apply(recording), mask_pixels(recording, [[8, 8]]))
    stream = Cleaning().stream(SIZE)
    stream.hot = hot_pixels(recording)
    same(stream(recording), mask_pixels(recording, [[8, 8]]))
    assert stream.hot_events == np.count_nonzero((recording.x == 8) & (recording.y == 8))


@given(recordings())
@settings(deadline=None, max_examples=30)
def test_nothing_asked_for_changes_nothing(recording):
    assert Cleaning(mask_hot=False).apply(recording) is recording
    assert Cleaning(mask_hot=False).lead_us == 0


def test_what_cannot_be_is_told_before_the_work():
    recording = busy(1)
    with pytest.raises(RecordingError, match="pixel 20,3 to mask lies outside the 20x15 sensor"):
        Cleaning(np.array([[20, 3]])).check(recording)
    with pytest.raises(RecordingError, match="reaches outside the 20x15 sensor"):
        Cleaning(regions=((0, 0, 21, 2),)).check(recording)
    with pytest.raises(OptionError, match="dead time of the refractory filter must be at least 1 us"):
        Cleaning(refractory_us=0).stream(SIZE)
    with pytest.raises(OptionError, match="window of the background-activity filter must be at least 1 us"):
        Cleaning(denoise_us=0).stream(SIZE)
