"""The figures of `summarise`, counted again on a dense picture of the sensor."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from velocell.data.recording import Recording
from velocell.studies.summary import summarise

WIDTH, HEIGHT = 7, 5


def recording(counts, gap_us=100):
    """So many events in each pixel of `counts` (HEIGHT, WIDTH)."""
    y, x = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices(counts.shape))
    return Recording.from_arrays(np.arange(x.size) * gap_us, x, y, width=WIDTH, height=HEIGHT)


def hot(counts):
    """By definition: 20 events, and more than ten times the second busiest neighbour."""
    framed = np.pad(counts, 1)
    found = 0
    for y in range(HEIGHT):
        for x in range(WIDTH):
            around = sorted(np.delete(framed[y : y + 3, x : x + 3].ravel(), 4))
            found += counts[y, x] >= 20 and counts[y, x] > 10 * max(around[6], 1)
    return found


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from([0, 0, 0, 1, 2, 19, 20, 30, 300]), min_size=WIDTH * HEIGHT, max_size=WIDTH * HEIGHT))
def test_pixels_with_events_and_hot_ones(values):
    counts = np.array(values).reshape(HEIGHT, WIDTH)
    summary = summarise(recording(counts))
    assert summary.active_pixels == np.count_nonzero(counts)
    assert summary.hot_pixels == hot(counts)


def test_a_busy_region_is_not_hot_but_a_busy_pixel_is():
    counts = np.full((HEIGHT, WIDTH), 50)
    assert summarise(recording(counts)).hot_pixels == 0
    counts[2, 3] = 5_000
    assert summarise(recording(counts)).hot_pixels == 1


@given(st.lists(st.integers(0, 2_000_000), min_size=1, max_size=60))
def test_the_busiest_ten_milliseconds(times):
    t_us = np.sort(times)
    zeros = np.zeros(t_us.size, int)
    told = summarise(Recording.from_arrays(t_us, zeros, zeros, width=1, height=1))
    assert told.peak_rate == 100 * np.bincount(t_us // 10_000).max()
    silences = np.diff(t_us)
    assert told.gaps == (silences >= 100_000).sum()
    assert told.longest_gap_us == (silences.max() if told.gaps else 0)


def test_a_clock_that_jumps_by_years_costs_nothing():
    told = summarise(Recording.from_arrays([0, 1 << 60], [0, 0], [0, 0], width=65_536, height=65_536))
    assert (told.peak_rate, told.gaps, told.longest_gap_us) == (100, 1, 1 << 60)


def test_an_empty_recording_has_a_summary():
    told = summarise(Recording.from_arrays([], [], [], width=4, height=3, start_us=5, stop_us=5))
    assert (told.events, told.mean_rate, told.peak_rate, told.first_us, told.hot_pixels) == (0, 0, 0, None, 0)
