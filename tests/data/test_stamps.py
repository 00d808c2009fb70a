"""The step of time stamps, against stamps made to have one; events spread within it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import SHARED

from velocell.data.recording import Recording
from velocell.data.stamps import NO_STEP, Spread, Step, is_coarse, time_step
from velocell.formats import read


def recording(t_us, seed=0, width=60, height=40) -> Recording:
    t = np.sort(np.asarray(t_us).astype(np.int64))
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, width, t.size), rng.integers(0, height, t.size)
    return Recording.from_arrays(t, x, y, np.arange(t.size) % 2, width=width, height=height)


def random_times(n: int, span_us: int = 2_000_000, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, span_us, n)


@pytest.mark.parametrize("events", [60, 1_000, 300_000])
@pytest.mark.parametrize("step", [7, 204, 1_000, 10_000])
@pytest.mark.parametrize("phase", [0, 333, 1_605_537_493_718_345])
def test_the_step_of_stamps_is_found(events, step, phase):
    t = random_times(events) // step * step + phase
    assert time_step(recording(t)) == Step(step)
    # Without it one would find a multiple or a part.
    assert np.all(np.diff(np.unique(t)) % step == 0)


@pytest.mark.parametrize("events", [0, 1, 20, 1_000, 300_000])
def test_stamps_of_a_microsecond_have_no_step(events):
    assert time_step(recording(random_times(events))) == NO_STEP == Step(1, "")


@pytest.mark.parametrize("step", [204, 1_000])
def test_a_few_odd_stamps_do_not_count(step):
    t = random_times(200_000)
    odd = np.random.default_rng(2).random(t.size) < 0.02
    assert time_step(recording(np.where(odd, t, t // step * step))) == Step(step)


@pytest.mark.parametrize("step", [204.08, 1e6 / 3000, 33_333.33])
def test_rounded_stamps_of_a_step_between_microseconds(step):
    t = np.rint(random_times(200_000) // step * step)
    assert time_step(recording(t)).us == round(step)


@pytest.mark.parametrize("lines", ["row", "column"])
def test_lines_that_are_scanned_have_a_step_of_their_own(lines):
    events, step = recording(random_times(30_000)), 1_000
    line, count = (events.y, events.height) if lines == "row" else (events.x, events.width)
    phase = line.astype(np.int64) * step // count
    t = (events.t_us - phase) // step * step + phase + step
    order = np.argsort(t, kind="stable")
    scanned = replace(events, t_us=t[order], x=events.x[order], y=events.y[order], p=None, stop_us=int(t.max()) + 1)
    assert time_step(scanned) == Step(step, lines)
    assert time_step(scanned).for_speeds(400) == NO_STEP  # .4 px in a step
    assert time_step(scanned).for_speeds(4_000) == Step(step, lines)


def test_what_is_coarse_depends_on_the_speed():
    assert not is_coarse(1_000, 500)
    assert is_coarse(1_000, 501)
    assert not is_coarse(1, 1e9)


@pytest.mark.skipif(not SHARED.is_dir(), reason="no recordings in ../shared/data")
@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("2404_circle.dat", Step(1_000)),  # a tensor of frames of 1 ms
        ("plane_circle.es", Step(1_000)),
        ("dvx_320x240.aedat4", Step(197, "column")),  # this chip scans its columns
        ("moving_camera_davis.aedat", NO_STEP),
        ("pendulum_dvs128.aedat", NO_STEP),
        ("ros1_evt3.bag", NO_STEP),
        ("sparklers_evt2.raw", NO_STEP),
    ],
)
def test_steps_of_real_cameras(name, step):
    assert time_step(read(SHARED / name)) == step


# --- spread -----------------------------------------------------------------------------------------


def in_parts(events: Recording, step: int, cuts: list[int]) -> Recording:
    """Spread part by part; the parts stop at `cuts`."""
    spread, found = Spread(step), []
    for begin, stop in zip([0, *cuts], [*cuts, events.stop_us], strict=True):
        found.append(spread(events.between(begin, stop), stop, at_end=stop == events.stop_us))
        if stop < events.stop_us:
            assert np.all(found[-1].t_us < stop)
    return replace(
        events,
        t_us=np.concatenate([part.t_us for part in found]),
        x=np.concatenate([part.x for part in found]),
        y=np.concatenate([part.y for part in found]),
        p=np.concatenate([part.p for part in found]),
    )


def test_events_are_spread_evenly_over_their_step():
    step = 1_000
    events = recording(random_times(200_000) // step * step, width=300, height=200)
    spread = Spread(step)(events, events.stop_us, at_end=True)
    assert np.all(np.diff(spread.t_us) >= 0)
    assert np.array_equal(np.bincount(spread.t_us // step), np.bincount(events.t_us // step))
    share = np.bincount(spread.t_us % step // 100, minlength=10) / len(spread)
    np.testing.assert_allclose(share, 0.1, atol=0.005)
    # Neither the row nor the column says when within the step.
    for side, place in ((200, spread.y), (300, spread.x)):
        means = np.bincount(place, spread.t_us % step, side) / np.bincount(place, minlength=side)
        assert np.all(np.abs(means - step / 2) < 6 * step / np.sqrt(12 * 200_000 / side / 1.5)), side


def test_times_between_events_of_a_pixel_stay():
    step = 1_000
    events = recording(random_times(20_000) // step * step, width=8, height=6)
    spread = Spread(step)(events, events.stop_us, at_end=True)
    for x in range(8):
        for y in range(6):
            before, after = (part.t_us[(part.x == x) & (part.y == y)] for part in (events, spread))
            assert np.array_equal(np.diff(before), np.diff(after))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 99_999), max_size=6), st.sampled_from([7, 204, 10_000]))
def test_where_a_stream_is_cut_changes_nothing(cuts, step):
    events = recording(random_times(3_000, 100_000) // step * step)
    events = replace(events, stop_us=100_000)
    whole = in_parts(events, step, [])
    parts = in_parts(events, step, sorted(set(cuts)))
    for name in ("t_us", "x", "y", "p"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))
