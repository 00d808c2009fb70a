"""Where something happens in a recording: the same stretches however the stream is cut."""

from __future__ import annotations

import numpy as np
import pytest

from velocell.calibration.stretch import PROBE_US, Finder, gathers, is_busy, stretches
from velocell.data.recording import Recording
from velocell.simulate import Scene, SceneObject, simulate

SIZE = {"width": 160, "height": 120}


def disk(start_us: int, stop_us: int, noise_hz: float = 0.2, seed: int = 7) -> Recording:
    item = SceneObject(x_px=60, y_px=60, speed_px_s=200, bounce=True, start_us=start_us)
    return simulate(Scene(**SIZE, duration_us=stop_us, seed=seed, noise_hz=noise_hz, objects=(item,)))[0]


def noise(hz: float, seconds: float, seed: int = 7) -> Recording:
    return simulate(Scene(**SIZE, duration_us=round(1e6 * seconds), seed=seed, noise_hz=hz))[0]


@pytest.mark.parametrize("hz", [0.1, 1.0, 10.0])
def test_noise_is_not_busy_and_a_disk_in_it_is(hz):
    for seed in range(8):
        assert not is_busy(noise(hz, 1.0, seed))
        assert not is_busy(noise(hz, 0.1, seed))
        assert is_busy(disk(0, 1_000_000, hz, seed))


@pytest.mark.parametrize("start_us", [0, 1_250_000, 3_333_333])
def test_a_stretch_begins_where_something_happens(start_us):
    recording = disk(start_us, start_us + 2_500_000)
    found = list(stretches([recording]))
    assert abs(found[0].start_us - start_us) <= 100_000
    assert all(part.duration_us <= PROBE_US for part in found)
    assert sum(map(len, found)) > 0.9 * (len(recording) - len(recording.between(stop_us=start_us)))


def test_a_slow_faint_disk_is_noticed_within_a_second_or_two():
    item = SceneObject(x_px=60, y_px=60, speed_px_s=25, contrast=1.0)
    scene = Scene(**SIZE, duration_us=3_000_000, seed=3, noise_hz=3.0, objects=(item,))
    recording = simulate(scene)[0]
    assert not is_busy(recording.between(stop_us=100_000)), "the case is none"
    assert next(stretches([recording])).start_us < 1_000_000


@pytest.mark.parametrize("before_s", [2, 3000])
def test_one_stray_event_long_before_the_others_does_not_matter(before_s):
    rest, later = disk(0, 1_200_000), before_s * 1_000_000
    columns = [
        np.concatenate(([first], column)) for first, column in ((0, rest.t_us + later), (9, rest.x), (9, rest.y))
    ]
    recording = Recording.from_arrays(*columns, np.append(True, rest.p), **SIZE)
    assert next(stretches([recording])).start_us == later


def test_a_silence_ends_a_stretch():
    early, late = disk(0, 300_000), disk(0, 300_000, seed=8)
    columns = [np.concatenate((getattr(early, name), getattr(late, name))) for name in ("x", "y", "p")]
    t_us = np.concatenate((early.t_us, late.t_us + 5_000_000))
    found = list(stretches([Recording.from_arrays(t_us, *columns, **SIZE)]))
    assert [part.start_us for part in found] == [int(early.t_us[0]), 5_000_000]
    assert found[0].stop_us <= 300_000


def test_nothing_is_found_where_nothing_happens():
    assert not list(stretches([noise(1.0, 3.2)]))
    assert not list(stretches([Recording.from_arrays([], [], [], **SIZE)]))


@pytest.mark.parametrize("span_us", [5_000, 33_333, 700_000])
def test_however_the_stream_is_cut_the_stretches_are_the_same(span_us):
    recording = disk(1_250_000, 4_800_000)
    finder, found = Finder(), []
    for part in recording.chunks(span_us):
        found += finder.feed(part)
    found += finder.end()
    expected = list(stretches([recording]))
    assert [(part.start_us, len(part)) for part in found] == [(part.start_us, len(part)) for part in expected]
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine.t_us, theirs.t_us)
        np.testing.assert_array_equal(mine.x, theirs.x)


def test_what_gathers_nowhere_holds_no_stretch_that_is_busy():
    for seed in range(4):
        sparse = noise(0.005, 40.0, seed)
        assert not gathers(sparse)
        assert not any(is_busy(part) for part in sparse.chunks(PROBE_US))
        assert gathers(disk(0, 1_000_000, 0.005, seed))


@pytest.mark.parametrize("span_us", [50_000, None])
def test_long_noise_is_passed_over_and_what_follows_is_found(span_us):
    before, busy = noise(0.01, 300.0), disk(0, 1_000_000)
    columns = [np.concatenate((getattr(before, name), getattr(busy, name))) for name in ("x", "y", "p")]
    t_us = np.concatenate((before.t_us, busy.t_us + 300_000_000))
    recording = Recording.from_arrays(t_us, *columns, **SIZE)
    found = list(stretches([recording] if span_us is None else recording.chunks(span_us)))
    assert [part.start_us for part in found] == [300_000_000]
    assert len(found[0]) == len(busy)
