"""Lamps: found where one lights the picture, left out without what moves, and never seen in what only comes back."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from velocell import _native
from velocell.data import blocks
from velocell.data.recording import Recording
from velocell.errors import OptionError
from velocell.filters import flicker
from velocell.filters.chain import Cleaning
from velocell.filters.flicker import LOOK_US, PERIODS, Flicker, Lamp, _Held, find_lamps, parse_flicker
from velocell.pipeline import detect
from velocell.results.evaluate import evaluate
from velocell.simulate import Flicker as Patch
from velocell.simulate import Scene, SceneObject, simulate

EDGES = (40.0, 160.0, 640.0)


def window(hz: float, **changed: float) -> Patch:
    return replace(Patch(80, 60, 14, shape="square", contrast=2.0, frequency_hz=hz), **changed)


def lit(hz: float = 100.0, *, seconds: float = 1.0, seed: int = 4, objects: tuple[SceneObject, ...] = ()) -> Scene:
    """A window that flickers, in a quarter of the picture's height."""
    return Scene(160, 120, round(1e6 * seconds), seed=seed, noise_hz=0.5, objects=objects, flicker=(window(hz),))


def events(scene: Scene) -> Recording:
    return simulate(scene)[0]


def later(recording: Recording, by_us: int) -> Recording:
    return replace(
        recording, t_us=recording.t_us + by_us, start_us=recording.start_us + by_us, stop_us=recording.stop_us + by_us
    )


def joined(first: Recording, then: Recording) -> Recording:
    columns = [np.concatenate([getattr(part, name) for part in (first, then)]) for name in ("t_us", "x", "y", "p")]
    return Recording.from_arrays(*columns, width=first.width, height=first.height, stop_us=then.stop_us)


def same(found: Recording, expected: Recording) -> None:
    for name in ("t_us", "x", "y", "p"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)


# --- finding ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hz", [50.0, 100.0, 119.4, 240.0, 960.0])
def test_a_lamp_is_found_with_its_frequency_and_its_cells(hz):
    (lamp,) = find_lamps([events(lit(hz, seed=int(hz)))])
    assert lamp.hz == pytest.approx(hz, abs=0.15)
    inside = {(column, row) for column in range(4, 6) for row in range(3, 5)}  # 66 to 94 px, 46 to 74 px
    assert lamp.cells is not None
    assert inside <= lamp.cells <= {(column, row) for column in range(3, 7) for row in range(1, 6)}


@pytest.mark.parametrize("polarity", [True, False])
@pytest.mark.parametrize("events_each", [100, 5_000, 1 << 20])
def test_busy_pixels_are_counted_part_by_part(events_each, polarity):
    whole = events(lit())
    whole = whole if polarity else replace(whole, p=None)
    busy = flicker._busy([whole.slice(k, k + events_each) for k in range(0, len(whole), events_each)])
    assert busy is not None
    sign = np.zeros(len(whole), np.int64) if whole.p is None else whole.p.astype(np.int64)
    place = whole.y.astype(np.int64) * whole.width + whole.x
    counts = np.zeros((2, whole.width * whole.height), np.int64)
    for s, pixel in zip(sign.tolist(), place.tolist(), strict=True):
        counts[s, pixel] += 1
    seconds = (int(whole.t_us[-1]) + 1 - int(whole.t_us[0])) * 1e-6
    often = (counts >= max(3.0, flicker._BUSY_HZ * seconds)).any(axis=0)
    assert 0 < often.sum() < often.size / 4
    every = -(-int(often[place].sum()) // flicker._ENOUGH)
    assert busy.share == 1 / every < 1
    kept = often[place] & ((whole.x.astype(np.int64) + 7 * whole.y) % every == 0)
    np.testing.assert_array_equal(busy.events.t_us, whole.t_us[kept])
    np.testing.assert_array_equal(busy.events.x, whole.x[kept])


def test_two_lamps_are_two():
    scene = replace(lit(100.0), flicker=(window(100.0, x_px=40), window(72.0, x_px=120)))
    found = {round(lamp.hz) for lamp in find_lamps([events(scene)])}
    assert found == {72, 100}


def wheel(turns_hz: float, count: int = 1) -> Scene:
    angles = 2 * np.pi * np.arange(count) / count
    disks = tuple(
        SceneObject(
            id=i, x_px=80 + 20 * np.cos(angle), y_px=60 + 20 * np.sin(angle), radius_px=4, contrast=2.0,
            speed_px_s=2 * np.pi * 20 * turns_hz, heading_deg=90 + float(np.degrees(angle)), orbit_radius_px=20,
        )
        for i, angle in enumerate(angles)
    )  # fmt: skip
    return Scene(160, 120, 1_000_000, seed=3, noise_hz=0.5, objects=disks)


def belt(speed: float, gap: float) -> Scene:
    count = int(speed / gap) + 10
    disks = (
        SceneObject(id=i, x_px=150 - gap * i, y_px=60, radius_px=4, contrast=2.0, speed_px_s=speed)
        for i in range(count)
    )
    return Scene(160, 120, 1_000_000, seed=3, noise_hz=0.5, objects=tuple(disks))


NO_LAMPS = {
    "noise": lambda: Scene(160, 120, 1_000_000, seed=1, noise_hz=30.0),
    "a wheel of 50 turns/s": partial(wheel, 50.0),
    "a wheel of 30 turns/s with two": partial(wheel, 30.0, 2),
    "a belt that brings 50 a second": partial(belt, 1500.0, 30.0),
    "a disk that goes to and fro": lambda: Scene(
        160, 120, 1_000_000, seed=2, objects=(SceneObject(x_px=20, y_px=60, speed_px_s=600, bounce=True),)
    ),
}


@pytest.mark.parametrize("name", NO_LAMPS)
def test_what_comes_back_at_a_pixel_is_no_lamp(name):
    recording = events(NO_LAMPS[name]())
    assert find_lamps([recording]) == ()
    assert Flicker(recording.size)(recording) is recording


def test_it_is_the_phase_that_tells_a_wheel_from_a_lamp(monkeypatch):
    recording = events(wheel(50.0))
    monkeypatch.setattr(flicker, "_IN_PHASE", 0.0)
    assert [round(lamp.hz) for lamp in find_lamps([recording])] == [50]


# --- the comb ---------------------------------------------------------------------------------------------------------


def by_hand(recording: Recording, hz: float) -> np.ndarray:
    """Which events stay, from the comb's own words."""
    bins = (recording.t_us * (16 * hz / 1e6)).astype(np.int64)
    signs = np.zeros(len(recording), int) if recording.p is None else recording.p.astype(int)
    before: dict[tuple[int, int, int], set[int]] = {}
    stays = np.ones(len(recording), bool)
    for i, (bin_, x, y, sign) in enumerate(zip(bins.tolist(), recording.x, recording.y, signs, strict=True)):
        past = before.setdefault((int(x), int(y), int(sign)), set())
        hits = sum(any(bin_ - 16 * k + d in past for d in (-1, 0, 1)) for k in range(1, PERIODS))
        off = sum(bin_ - 16 * k + 8 in past for k in range(1, PERIODS))
        stays[i] = not (hits >= 4 and (recording.p is None or off <= hits - 4))
        past.add(bin_)
    return stays


@given(st.integers(0, 1000), st.booleans(), st.floats(0.0, 0.4))
@settings(deadline=None, max_examples=30)
def test_the_comb_is_what_its_words_say(seed, polarity, jitter):
    rng = np.random.default_rng(seed)
    t = np.concatenate([1e4 * (np.arange(40) + phase + jitter * rng.normal(size=40)) for phase in (0.2, 0.6)])
    t = np.sort(np.concatenate([t, rng.uniform(0, 4e5, 60)]).clip(0)).astype(np.int64)
    x, y, p = rng.integers(0, 3, t.size), rng.integers(0, 2, t.size), rng.random(t.size) < 0.5
    recording = Recording.from_arrays(t, x, y, p if polarity else None, width=20, height=18)
    found = Flicker(recording.size, 100.0)(recording)
    expected = recording.mask(by_hand(recording, 100.0))
    for name in ("t_us", "x", "y"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)


def test_the_comb_wants_a_sensor_and_a_period():
    for wrong in ({"period_us": 0.0}, {"width": 0}, {"least": 8}):
        with pytest.raises(ValueError, match="a comb needs"):
            _native.Comb(**{"width": 4, "height": 4, "period_us": 1e4, "least": 4, **wrong})


# --- leaving them out -------------------------------------------------------------------------------------------------


def test_a_lamp_goes_and_what_moves_through_its_light_stays():
    disks = (
        SceneObject(id=0, x_px=20, y_px=60, radius_px=5, speed_px_s=150, contrast=3.0, bounce=True),
        SceneObject(id=1, x_px=60, y_px=100, radius_px=5, speed_px_s=80, contrast=3.0, bounce=True),
    )
    scene = lit(seconds=1.5, objects=disks)
    recording, truth = simulate(scene)
    alone = events(replace(scene, flicker=()))
    left = Cleaning().apply(recording)
    # All of the disks' events but those in its light while it makes some itself; of its own, the first five periods'.
    assert len(alone) * 0.85 < len(left) < len(alone) + 0.05 * len(recording)
    assert len(recording) > 3 * len(left)
    assert any(note.startswith("flicker of 100.0 Hz: ") for note in left.notes)
    found = evaluate(detect(left, EDGES, 5.0, keep_spikes=False).tracks, truth, EDGES)
    assert found.recall >= 0.9
    assert found.precision >= 0.97


def test_away_from_the_lamp_nothing_is_touched():
    recording = events(lit(seconds=1.5))
    left = Cleaning().apply(recording)
    far = [part.mask((part.x < 30) | (part.x > 130)) for part in (recording, left)]
    same(far[1], far[0])
    assert Cleaning(flicker="off").apply(recording) is recording


def test_a_lamp_that_is_switched_on_later_is_filtered_from_the_next_second_on():
    dark = events(replace(lit(), flicker=(), duration_us=2_000_000))
    recording = joined(dark, later(events(lit(seconds=2.4)), dark.stop_us))
    found = Flicker(recording.size)
    left = found(recording)
    assert [round(lamp.hz) for lamp in found.lamps] == [100]
    same(left.between(0, 3_000_000), recording.between(0, 3_000_000))
    then = left.between(3_100_000, None), recording.between(3_100_000, None)
    assert len(then[0]) < 0.1 * len(then[1])


class Later:
    """An executor that does its work when it is told to."""

    def __init__(self) -> None:
        self.waiting = []

    def submit(self, work, *given):
        self.waiting.append((Future(), lambda: work(*given)))
        return self.waiting[-1][0]

    def work(self) -> None:
        for future, work in self.waiting:
            future.set_result(work())
        self.waiting.clear()


def test_where_blocks_must_not_wait_a_lamp_is_filtered_once_a_thread_has_found_it(monkeypatch):
    pauses = []
    monkeypatch.setattr(blocks.time, "sleep", pauses.append)
    recording = joined(events(lit(seconds=1.4)), later(events(lit(seconds=2.0)), 1_400_000))
    found, expected = Flicker(recording.size), Flicker(recording.size)
    expected(recording)
    found.thread = Later()
    for end_us in range(100_000, 3_400_000, 100_000):
        part = recording.between(end_us - 100_000, end_us)
        left = found(part)
        if end_us <= 1_800_000:
            assert left is part
            assert len(found.thread.waiting) == (end_us > 1_000_000)
        elif end_us > 2_000_000:
            assert len(left) < 0.3 * len(part)
        if end_us == 1_800_000:
            assert not pauses
            found.thread.work()
            assert pauses, "who looks beside others lets them go on"
    assert found.lamps == expected.lamps
    assert len(found.thread.waiting) == 1, "the first second after a lamp was found is looked at"


@given(st.lists(st.integers(0, 2_600_000), max_size=5), st.booleans())
@settings(deadline=None, max_examples=5)
def test_it_does_not_matter_where_a_stream_is_cut(cuts, known):
    recording = _two_seconds()
    lamps = find_lamps([recording.between(0, LOOK_US)]) if known else ()
    whole, parts = Flicker(recording.size, known=lamps), Flicker(recording.size, known=lamps)
    expected = whole(recording)
    found = [parts(recording.between(a, b)) for a, b in pairwise([0, *sorted(cuts), 2_600_000])]
    for name in ("t_us", "x", "y", "p"):
        np.testing.assert_array_equal(
            np.concatenate([getattr(part, name) for part in found]), getattr(expected, name), name
        )
    assert parts.left_out == whole.left_out > 0


@pytest.mark.parametrize("events_each", [300, 3_000], ids=["several at once", "one by one"])
@pytest.mark.parametrize("polarity", [True, False])
def test_what_is_held_of_a_second_is_what_came_and_keeps_no_block(events_each, polarity, monkeypatch):
    monkeypatch.setattr(flicker, "_HELD_EVENTS", 2_000)
    recording = _two_seconds().slice(100, 10_000)
    recording = recording if polarity else replace(recording, p=None)
    parts = [recording.slice(k, k + events_each) for k in range(0, len(recording), events_each)]
    held = _Held()
    for part in parts:
        held.take(part)
    assert 3 < len(held) < 6
    assert [len(part) for part in held[1:]] == [len(part) for part in held][1:]
    for name in ("t_us", "x", "y", *(["p"] if polarity else [])):
        came, found = getattr(recording, name), [getattr(part, name) for part in held]
        np.testing.assert_array_equal(np.concatenate(found), came, name)
        assert not any(np.shares_memory(part, came) for part in found)
    assert all((part.p is not None) == polarity for part in held)


_made: list[Recording] = []


def _two_seconds() -> Recording:
    if not _made:
        _made.append(events(replace(lit(seconds=2.6), flicker=(window(100.0, radius_px=3),))))
    return _made[0]


def test_a_stated_frequency_is_filtered_everywhere_from_the_start():
    recording = events(lit(seconds=0.5))
    left = Cleaning(flicker=100.0).apply(recording)
    assert len(left) < 0.2 * len(recording)
    assert len(Cleaning(flicker=130.0).apply(recording)) > 0.9 * len(recording)


@pytest.mark.parametrize(
    ("text", "wanted"), [("auto", "auto"), ("off", "off"), ("100Hz", 100.0), ("59.94 hz", 59.94), ("1kHz", 1000.0)]
)
def test_what_is_wanted_is_read(text, wanted):
    assert parse_flicker(text) == wanted
    assert Cleaning(flicker=wanted).flicker == wanted


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("100", "--flicker '100' is not a frequency with its unit; write auto, off, or one such as 100Hz or 1kHz"),
        ("on", "--flicker 'on' is not a frequency"),
        ("-100Hz", "--flicker '-100Hz' is not a frequency"),
        ("5kHz", r"a flicker of 5000 Hz cannot be filtered; choose auto, off, or a frequency between 40 and 1000 Hz"),
        ("5Hz", "a flicker of 5 Hz cannot be filtered"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(text, sentence):
    with pytest.raises(OptionError, match=sentence):
        parse_flicker(text)


def test_lamps_of_unknown_kinds_are_refused_in_the_library():
    for wrong in ("on", float("nan"), 0.0, 1e9):
        with pytest.raises(OptionError, match="cannot be filtered"):
            Cleaning(flicker=wrong)
    assert Lamp(100.0, None).lead_us == 80_000
