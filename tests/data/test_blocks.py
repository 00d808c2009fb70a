"""Consecutive blocks, cut anew into the steps in which they are worked on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, pairwise
from threading import Semaphore, active_count

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from velocell.data import blocks
from velocell.data.blocks import ahead, apart, changes, gathered, joined, steps
from velocell.data.recording import Recording

SPAN_US = 100


def recording(times: list[int], stop_us: int) -> Recording:
    x = np.arange(len(times)) % 7
    return Recording.from_arrays(sorted(times), x, x, x % 2, width=8, height=8, start_us=0, stop_us=stop_us)


def cut_into(whole: Recording, bounds: list[int]) -> list[Recording]:
    """As a file gives it: blocks span their events, the first begins and the last ends where the recording does."""
    edges = [0, *sorted(bound % (len(whole) + 1) for bound in bounds), len(whole)]
    parts = [whole.slice(first, last) for first, last in pairwise(edges)]
    parts[0] = replace(parts[0], start_us=whole.start_us)
    parts[-1] = replace(parts[-1], stop_us=whole.stop_us)
    return parts


@given(st.lists(st.integers(0, 5_000), max_size=60), st.lists(st.integers(0, 60), max_size=9), st.integers(1, 20))
def test_blocks_apart_are_all_there_with_a_pause_behind_so_many_events(times, bounds, events):
    whole = recording(times, 6_000)
    pauses: list[float] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks.time, "sleep", pauses.append)
        parts = list(apart(cut_into(whole, bounds), events))
    assert all(len(part) >= events for part in parts[:-1])
    assert pauses == [blocks.PAUSE_S] * sum(len(part) >= events for part in parts)
    again = joined(parts)
    assert (again.start_us, again.stop_us) == (0, 6_000)
    for name in ("t_us", "x", "y", "p"):
        np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))


@given(
    st.lists(st.integers(0, 5_000), max_size=60),
    st.lists(st.integers(0, 60), max_size=6),
    st.integers(1, 20),
    st.integers(2, 30),
    st.integers(1, 2_000),
)
def test_steps_are_the_recording_cut_anew(times, bounds, fewest, most, rest_us):
    whole = recording(times, max(times, default=0) + rest_us)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "STEP_EVENTS", most)
        found = list(steps(cut_into(whole, bounds), SPAN_US, fewest))
    parts = [step for step, _ in found]
    assert [last for _, last in found] == [False] * (len(found) - 1) + [True]
    again = joined(parts)
    for name in ("t_us", "x", "y", "p"):
        np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))
    assert (parts[0].start_us, parts[-1].stop_us) == (whole.start_us, whole.stop_us)
    assert [part.start_us for part in parts[1:]] == [part.stop_us for part in parts[:-1]]
    for part in parts:
        assert not len(part) or (part.start_us <= part.t_us[0] and part.t_us[-1] < part.stop_us)
    for part in parts[:-1]:
        at_window = part.stop_us % SPAN_US == 0 and len(part) >= fewest
        assert at_window or len(part) >= most
        assert len(np.unique(part.t_us[most:])) <= 1 or len(part) <= 2 * most  # a full one ends soon


@given(
    st.lists(st.integers(0, 10_000), min_size=1, max_size=200), st.none() | st.integers(-300, 0), st.integers(1, 4_000)
)
def test_changes_are_where_the_quotient_changes(times, before_us, span_us):
    t_us = np.sort(np.array(times, np.int64))
    quotients = [t // span_us for t in ([] if before_us is None else [before_us]) + t_us.tolist()]
    wanted = [k for k, (a, b) in enumerate(pairwise(quotients), int(before_us is None)) if a != b]
    assert changes(t_us, span_us, before_us).tolist() == wanted


def test_a_silence_is_part_of_a_step_however_long_it_is():
    year_us = 365 * 86_400_000_000
    whole = recording([5, 6, year_us], year_us + 50_000_000)
    found = [(step.start_us, step.stop_us, len(step)) for step, _ in steps([whole], SPAN_US)]
    assert found == [(0, 100, 2), (100, year_us + 50_000_000, 1)]


def test_there_is_a_step_where_there_are_no_events():
    ((step, last),) = steps([recording([], 700)], SPAN_US)
    assert (step.start_us, step.stop_us, len(step), last) == (0, 700, 0, True)


def test_a_full_step_ends_within_the_stretch(monkeypatch):
    monkeypatch.setattr(blocks, "STEP_EVENTS", 4)
    found = [len(step) for step, _ in steps([recording(list(range(50)), 100)], SPAN_US)]
    assert sum(found) == 50
    assert max(found) <= 8


class Counted:
    """Numbers, made while nobody looks; `made` is raised for each."""

    def __init__(self, n: int) -> None:
        self.n, self.begun, self.made = n, 0, Semaphore(0)

    def __iter__(self) -> Iterator[int]:
        for number in range(self.n):
            self.begun += 1
            yield number
            self.made.release()  # the next one was asked for


@pytest.mark.parametrize("most", [1, 3])
def test_as_many_items_are_made_ahead_as_are_allowed(most: int) -> None:
    items = Counted(10)
    coming = ahead(iter(items), most)
    assert next(coming) == 0
    for _ in range(most):
        assert items.made.acquire(timeout=60)
    # No more than what was allowed, although nobody holds it up: the thread ends with what it was given.
    coming.close()
    assert items.begun == most + 1
    assert list(ahead(iter(Counted(5)), most)) == [0, 1, 2, 3, 4]
    assert list(ahead(iter(Counted(0)), most)) == []


def test_what_was_made_before_an_error_comes_before_it() -> None:
    def failing() -> Iterator[int]:
        yield from (1, 2)
        raise ValueError("damaged")

    coming = ahead(failing(), 3)
    assert [next(coming), next(coming)] == [1, 2]
    with pytest.raises(ValueError, match="damaged"):
        next(coming)


def test_threads_end_with_those_who_ask() -> None:
    before = active_count()
    coming = ahead(iter(Counted(10)), 3)
    next(coming)
    assert active_count() == before + 1
    coming.close()
    assert active_count() == before


TIMES = st.lists(st.integers(0, 5_000), max_size=60)
SHARES = st.lists(st.sampled_from([0.0, 1e-12, 0.03, 0.5, 1.0]), min_size=1)


@given(TIMES, st.lists(st.integers(0, 60), max_size=9), SHARES, st.booleans())
def test_blocks_that_are_gathered_are_those_that_are_joined(times, bounds, shares, polarity):
    whole = recording(times, 6_000)
    whole = whole if polarity else replace(whole, p=None)
    parts = cut_into(replace(whole, notes=("a note",)), bounds)
    said = iter(cycle(shares))
    one, other = gathered(iter(parts), lambda: next(said)), joined(parts)
    assert (one.size, one.start_us, one.stop_us, one.notes) == (other.size, other.start_us, other.stop_us, other.notes)
    for name in ("t_us", "x", "y", "p"):
        mine, its = getattr(one, name), getattr(other, name)
        assert (mine is None) == (its is None)
        np.testing.assert_array_equal(mine, its)
        assert mine is None or (mine.dtype == its.dtype and mine.size == len(times))


def test_there_must_be_a_block_to_gather():
    with pytest.raises(ValueError, match="must be a block"):
        gathered(iter([]))
