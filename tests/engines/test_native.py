"""The native engine against the reference and against itself: cut anywhere, on any number of threads
and with any instruction set, from states that were copied or saved, and after long times."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from agreement import assert_agree, assert_same
from hypothesis import given, settings
from hypothesis import strategies as st
from places import SHARED
from strategies_network import cases, exact_cases, wide_cases

from velocell import engines
from velocell.calibration.formulas import calibrate
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.errors import EngineError, NetworkError, RecordingError
from velocell.formats import read
from velocell.network import Layer, Network, TrailFilter
from velocell.network.kernels import circular_kernel
from velocell.network.neurons import LIFBox
from velocell.simulate import notebook_scene, random_scene, simulate

pytest.importorskip("velocell._native", reason="the C++ core is not built (pip install .)")

from velocell import _native
from velocell.engines import native

COURSE_FILE = SHARED / "2404_circle.dat"
BANDS = (16.0, 62.0, 177.0, 500.0)


@pytest.fixture(scope="module")
def scene() -> Recording:
    return simulate(notebook_scene())[0]


@pytest.fixture(scope="module")
def busy() -> Recording:
    """Several tiles of disks, enough events for several threads and blocks."""
    return simulate(random_scene(40, width=400, height=300, duration_us=400_000, contrast=6.0, seed=5))[0]


@pytest.fixture(params=_native.patch_variants())
def variant(request):
    """Each instruction set this processor has, the one in use again afterwards."""
    _native.select_patch_variant(request.param)
    yield request.param
    _native.select_patch_variant(_native.patch_variants()[-1])


def one_pixel(events_us: list[int], *, a: float = 0.02, v_th: float = 1e3, dt_us: int = 1_000, **settings: float):
    """One neuron that sees these events with weight 1."""
    network = Network(dt_us, (Layer.from_arrays(np.ones((1, 1, 1, 1)), LIFBox(a / (dt_us * 1e-6), v_th, **settings)),))
    zero = np.zeros(len(events_us), np.int64)
    return network, Recording.from_arrays(np.array(events_us), zero, zero, width=1, height=1)


def run_in_parts(network: Network, recording: Recording, cuts_us: list[int], **options: int) -> Spikes:
    """With a step at each cut, promised by `until_us`, and the rest in a last one."""
    state, parts = native.init(network, recording.size, **options), []
    for start, stop in pairwise([recording.start_us, *sorted(cuts_us), recording.stop_us]):
        state, spikes = native.step(network, state, recording.between(start, stop), stop)
        parts.append(spikes)
    end_us = -(-recording.stop_us // network.dt_us) * network.dt_us
    state, spikes = native.step(network, state, recording.slice(0, 0), end_us)
    return Spikes.concatenate([*parts, spikes])


# --- the reference ------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=150)
@given(exact_cases())
def test_exact_networks_give_the_reference_s_spikes(case):
    assert_same(*case, "native")


@settings(deadline=None, max_examples=100)
@given(cases())
def test_networks_that_round_agree_up_to_rounding(case):
    assert_agree(*case, "native")


@settings(deadline=None, max_examples=25)
@given(wide_cases())
def test_sensors_of_several_tiles_give_the_reference_s_spikes(case):
    assert_same(*case, "native")


def test_every_instruction_set_gives_the_same_bits(variant, busy):
    network = calibrate(BANDS, 5.0)
    _native.select_patch_variant("baseline")
    expected = engines.run(network, busy)
    assert len(expected.of_layer(0)) > 10_000
    assert len(expected.of_layer(1)) > 1_000
    _native.select_patch_variant(variant)
    assert engines.run(network, busy).same_as(expected)


@settings(deadline=None, max_examples=30)
@given(case=exact_cases(), name=st.sampled_from(_native.patch_variants()))
def test_every_instruction_set_gives_the_reference_s_spikes(case, name):
    _native.select_patch_variant(name)
    try:
        assert_same(*case, "native")
    finally:
        _native.select_patch_variant(_native.patch_variants()[-1])


def test_an_unknown_instruction_set_is_refused():
    with pytest.raises(EngineError, match="no variant 'mmx'"):
        _native.select_patch_variant("mmx")


def test_the_course_s_recording_agrees():
    if not COURSE_FILE.exists():
        pytest.skip(f"{COURSE_FILE} is not there")
    recording = read(COURSE_FILE)
    agreement = assert_agree(calibrate(BANDS, 5.0, polarity=False), recording, "native")
    assert agreement.active > 500
    assert agreement.differing < 0.01 * agreement.active


def test_the_notebook_s_scene_agrees(scene):
    agreement = assert_agree(calibrate(BANDS, 5.0), scene, "native")
    assert agreement.active > 500
    assert agreement.differing < 0.01 * agreement.active


@pytest.mark.parametrize("planted", ["more", "less"])
def test_a_planted_error_is_caught(scene, monkeypatch, planted):
    network, seen = calibrate(BANDS, 5.0), scene.between(stop_us=80_000)

    def wrong(*arguments):
        state, spikes = native.step(*arguments)
        keep = np.ones(len(spikes), bool)
        keep[len(spikes) // 2] = planted == "more"
        kept = spikes.where(keep)
        extra = Spikes(np.array([50_000]), *(np.array([n], np.int32) for n in (3, 3, 0, 0)))
        return state, kept if planted == "less" else Spikes.concatenate([kept, extra], 2)

    assert_agree(network, seen, "native")
    fake = SimpleNamespace(init=native.init, step=wrong, copy=native.copy)
    load = engines.load
    monkeypatch.setattr(engines, "load", lambda name: fake if name == "native" else load(name))
    with pytest.raises(AssertionError, match="differently in tick"):
        assert_agree(network, seen, "native")


# --- kernels and neurons of every kind -----------------------------------------------------------------


@pytest.mark.parametrize("side", [1, 2, 7, 8, 9, 16, 17, 31, 33, 40, 57])
def test_kernels_of_any_size_reach_over_tiles(side):
    rng = np.random.default_rng(side)
    kernel = rng.integers(-3, 5, (2, 1, min(side, 50), side))
    kernel[:, 0, 0, 0] = 3
    second = np.zeros((1, 2, 3, side + 4))  # larger than the sensor is allowed behind layer 0
    second[0, 1, 1, :] = 1
    layers = (
        Layer.from_arrays(kernel, LIFBox(500.0, [1.0, side / 5])),
        Layer.from_arrays(second, LIFBox(500.0, 0.4)),
    )
    spikes = assert_same(Network(1_000, layers), around_a_corner(rng, 60), "native")
    assert len(spikes.of_layer(0)) > 50
    assert len(spikes.of_layer(1)) > 20
    assert spikes.x.min() < TILE_X < spikes.x.max()
    assert spikes.y.min() < TILE_Y < spikes.y.max()


@pytest.mark.parametrize("large", [19, 24, 25, 29, 33, 60])
def test_small_kernels_beside_large_ones_reach_over_tiles(variant, large):
    # An event comes to every tile that its largest patch reaches, also where a small one is far from it.
    rng = np.random.default_rng(large)
    kernel = np.zeros((3, 1, large, large))
    kernel[0, 0, 0, 0] = kernel[1, 0, -1, -1] = 2
    kernel[2, 0] = rng.integers(-2, 4, (large, large))
    beside = np.zeros((2, 3, large, large))
    beside[0, :, -2:, :2] = 1
    beside[1, 2] = rng.integers(-2, 3, (large, large))
    layers = (
        Layer.from_arrays(kernel, LIFBox(500.0, [0.9, 0.9, large / 8])),
        Layer.from_arrays(beside, LIFBox(500.0, [0.4, large / 9])),
    )
    spikes = assert_same(Network(1_000, layers), around_a_corner(rng, 80), "native")
    assert min(np.bincount(spikes.of_layer(0).channel, minlength=3)) > 15
    assert min(np.bincount(spikes.of_layer(1).channel, minlength=2)) > 20


TILE_X, TILE_Y = 256, 128
"""Where the engine's first tile ends, in px."""


def around_a_corner(rng: np.random.Generator, n: int) -> Recording:
    """Events around the point where four tiles meet, and at the sensor's edges."""
    x = np.where(np.arange(n) % 4 > 0, rng.integers(TILE_X - 15, TILE_X + 15, n), rng.integers(0, 300, n))
    y = np.where(np.arange(n) % 4 > 0, rng.integers(TILE_Y - 15, TILE_Y + 15, n), rng.integers(0, 170, n))
    return Recording.from_arrays(np.sort(rng.integers(0, 8_000, n)), x, y, width=300, height=170)


@pytest.mark.parametrize("side", [1, 5, 17, 23])
def test_nothing_spikes_beyond_the_sensor_s_edge(variant, side):
    # Patches are padded to whole blocks: wherever the edge lies within one, the padding must stay silent.
    network = Network(1_000, (Layer.from_arrays(np.ones((1, 1, side, side)), LIFBox(500.0, 0.1)),))
    for width in range(124, 147):
        x = np.arange(width - 12, width)
        recording = Recording.from_arrays(np.arange(12) * 1_000, x, x % 30, width=width, height=30)
        spikes = assert_same(network, recording, "native")
        assert spikes.x.max() == width - 1
        turned = Recording.from_arrays(recording.t_us, recording.y, recording.x, width=30, height=width)
        assert assert_same(network, turned, "native").y.max() == width - 1


def test_a_kernel_larger_than_its_weights_acts_where_they_are():
    kernel = np.zeros((1, 1, 9, 11))
    kernel[0, 0, 0, 10] = 1.0
    network = Network(1_000, (Layer.from_arrays(kernel, LIFBox(1_000.0, 0.5)),))
    recording = Recording.from_arrays([0], [10], [10], width=30, height=30)
    spikes = assert_same(network, recording, "native")
    assert (spikes.x.tolist(), spikes.y.tolist()) == ([5], [14])


def test_many_channels_of_different_kernels_and_input_sets():
    # More sets of channels than there are shared buffers, and more sources for one channel than are added at once.
    rng = np.random.default_rng(1)
    first = rng.integers(-2, 4, (24, 1, 3, 3))
    second = np.zeros((20, 24, 3, 3))
    for out in range(20):
        second[out, out : out + 5, 1, 1] = 1
        second[out, rng.integers(0, 24), rng.integers(0, 3), :] = -1
    layers = (Layer.from_arrays(first, LIFBox([500.0] * 24, 1.1)), Layer.from_arrays(second, LIFBox([500.0] * 20, 0.6)))
    n = 80
    recording = Recording.from_arrays(
        np.sort(rng.integers(0, 9_000, n)), rng.integers(0, 30, n), rng.integers(0, 20, n), width=30, height=20
    )
    spikes = assert_same(Network(1_000, layers), recording, "native")
    assert len(spikes.of_layer(1)) > 100


def test_a_filter_with_many_channels_that_share_a_kernel():
    rng = np.random.default_rng(2)
    n, channels = 150, 20
    network = Network(
        1_000,
        (Layer.from_arrays(rng.integers(0, 3, (1, 1, 3, 3)), LIFBox([500.0] * channels, 1.6), channels),),
        TrailFilter(tuple(int(s) for s in rng.permutation(channels) * 400), flips=False),
    )
    recording = Recording.from_arrays(
        np.sort(rng.integers(0, 10_000, n)), rng.integers(0, 6, n), rng.integers(0, 6, n), width=6, height=6
    )
    spikes = assert_same(network, recording, "native")
    assert len(set(np.bincount(spikes.channel, minlength=channels))) > 3


def test_an_infinite_threshold_never_spikes_and_a_reset_at_the_threshold_does_not_repeat():
    network, recording = one_pixel([1_000, 2_000, 3_000], a=0.5, v_th=np.inf)
    assert len(assert_same(network, recording, "native")) == 0
    network, recording = one_pixel([1_000, 6_000, 9_000], a=0.5, v_th=0.25, v_reset=0.25)
    assert assert_same(network, recording, "native").t_us.tolist() == [1_000, 6_000, 9_000]


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_weights_of_any_scale(scale):
    rng = np.random.default_rng(3)
    kernel = rng.integers(-2, 5, (2, 1, 5, 5)) * np.float32(scale)
    n = 80
    recording = Recording.from_arrays(
        np.sort(rng.integers(0, 60_000, n)), rng.integers(0, 12, n), rng.integers(0, 12, n), width=12, height=12
    )
    neurons = LIFBox([60.0, 300.0], [0.3 * scale, 0.5 * scale], v_reset=-0.1 * scale)
    assert assert_agree(Network(1_000, (Layer.from_arrays(kernel, neurons),)), recording, "native").active > 20


@settings(deadline=None, max_examples=30)
@given(a=st.floats(1e-6, 1.0), v_th=st.floats(0.2, 3.0), seed=st.integers(0, 1_000))
def test_one_neuron_follows_the_recursion_in_double_precision(a, v_th, seed):
    rng = np.random.default_rng(seed)
    ticks = np.sort(rng.integers(0, 4_000, 40))
    network, recording = one_pixel((ticks * 1_000).tolist(), a=a, v_th=v_th * a, v_reset=-0.3 * a)
    exact_a, v, margin = float(np.float32(a)), 0.0, np.inf
    v_th, reset = float(network.layers[0].neurons.v_th[0]), float(network.layers[0].neurons.v_reset[0])
    expected = []
    for tick in range(ticks[-1] + 1):
        v += exact_a * (np.count_nonzero(ticks == tick) - v)
        margin = min(margin, abs(v / v_th - 1))
        if v > v_th:
            expected.append(tick * 1_000)
            v = reset
    if margin > 2e-6:
        assert engines.run(network, recording).t_us.tolist() == expected


# --- streams -------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(case=cases(), data=st.data())
def test_a_stream_may_be_cut_anywhere(case, data):
    network, recording = case
    whole = engines.run(network, recording)
    times = st.integers(recording.start_us, recording.stop_us)
    cuts = data.draw(st.lists(times, max_size=5), "cuts")
    assert run_in_parts(network, recording, cuts).same_as(whole)
    # By events, without promises: a tick stays open until a later event comes.
    state, parts = native.init(network, recording.size), []
    positions = sorted(data.draw(st.lists(st.integers(0, len(recording)), max_size=4), "positions"))
    for first, last in pairwise([0, *positions, len(recording)]):
        state, spikes = native.step(network, state, recording.slice(first, last))
        parts.append(spikes)
    end_us = -(-recording.stop_us // network.dt_us) * network.dt_us
    parts.append(native.step(network, state, recording.slice(0, 0), end_us)[1])
    assert Spikes.concatenate(parts).same_as(whole)


@pytest.mark.parametrize("threads", [1, 2, 5, 8 * (os.cpu_count() or 1)])  # the last more than there are cores
@pytest.mark.parametrize("cuts_us", [[], [1, 70_500, 70_501, 250_000]])
def test_threads_and_cuts_change_nothing(busy, threads, cuts_us):
    network = calibrate(BANDS, 5.0)
    assert len(busy) > 40_000
    expected = run_in_parts(network, busy, [], threads=1)
    assert len(expected) > 10_000
    assert run_in_parts(network, busy, cuts_us, threads=threads).same_as(expected)


def test_blocks_change_nothing(busy):
    # 100 us a tick makes more ticks than one block of work holds.
    network = calibrate((1_000, 3_000, 9_000), 5.0, dt_us=100)
    stretched = replace(busy, t_us=busy.t_us * 2, stop_us=busy.stop_us * 2)
    expected = engines.run(network, stretched)
    assert len(expected) > 500
    assert run_in_parts(network, stretched, [n * 9_990 for n in range(1, 80)]).same_as(expected)


def test_until_us_before_waiting_events_runs_only_the_ticks_before():
    network, recording = one_pixel([500, 1_500, 2_500, 3_500], a=1.0, v_th=0.5)
    state = native.init(network, recording.size)
    nothing = recording.slice(0, 0)
    for events, until_us, expected in [
        (recording, 0, []),
        (nothing, 1_999, [0]),
        (nothing, 1_000, []),  # a promise already kept
        (nothing, None, [1_000, 2_000]),  # the last event's time
        (nothing, 10**18, [3_000]),
        (nothing, -5, []),
    ]:
        state, spikes = native.step(network, state, events, until_us)
        assert spikes.t_us.tolist() == expected
    with pytest.raises(RecordingError, match="has already run to"):
        native.step(network, state, recording)


def test_quiet_hours_cost_nothing_and_change_nothing():
    day_us = 86_400_000_000
    times = [0, 1_000, 5 * day_us, 5 * day_us + 1_000, 2_000 * day_us]
    network, recording = one_pixel(times, a=0.5, v_th=0.7)
    started = time.process_time()
    assert engines.run(network, recording).t_us.tolist() == [1_000, 5 * day_us + 1_000]
    assert time.process_time() - started < 60


@settings(deadline=None, max_examples=40)
@given(a=st.sampled_from([1e-4, 0.02, 0.3, 0.75, 0.999, 1.0]), tick=st.integers(0, 2**45), gap=st.integers(0, 300))
def test_what_is_left_after_a_gap_is_right(a, tick, gap):
    # One event, a gap, one more: the threshold lies just above and just below what they make together.
    left = a * (1 - a) ** gap
    for share, expected in [(1 + 1e-5, 0), (1 - 1e-5, 1)]:
        network, _ = one_pixel([], a=a, v_th=(left * (1 - a) + a) * share)
        times = [tick * 1_000, (tick + gap + 1) * 1_000]
        recording = Recording.from_arrays(times, [0, 0], [0, 0], width=1, height=1)
        spikes = engines.run(network, recording)
        if left * (1 - a) > 1e-4 * a:
            assert len(spikes) == expected


def test_thresholds_are_right_after_an_hour_of_stream():
    # Events all the time for an hour, none enough to spike; at its end many at once, with the threshold
    # just above and just below what they make with all that came before.
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.integers(1, 60, 121_000)) * 1_000
    times = np.append(times, [times[-1] + 2_000] * 40)
    assert times[-1] > 3_600_000_000
    for a in (1e-3, 0.02, 0.3):
        exact_a, v, last = float(np.float32(a)), 0.0, 0
        peaks = []
        for t in (times // 1_000).tolist():
            v = v * (1 - exact_a) ** (t - last) + exact_a
            last = t
            peaks.append(v)
        assert max(peaks[:-40]) < 0.9 * v
        for share, expected in [(1 + 5e-6, []), (1 - 5e-6, [times[-1]])]:
            network, recording = one_pixel(times.tolist(), a=a, v_th=v * share)
            spikes = run_in_parts(network, recording, [n * 10**9 for n in range(4)])
            assert spikes.t_us.tolist() == expected


def test_memory_does_not_grow_with_the_stream(busy):
    network = calibrate(BANDS, 5.0)
    state, used = native.init(network, busy.size), []
    for start in range(0, 400_000, 100_000):
        part = busy.between(start, start + 100_000)
        state, _ = native.step(network, state, part, start + 100_000)
        used.append((state.engine.membrane_bytes, len(native.save(state)) // 1_000))
    tiles = 4 * 3 * 128 * 144 * 7 * 4  # 4 x 3 tiles, 7 channels, float32
    assert used[0] == used[-1]
    assert 0 < used[0][0] < 1.1 * tiles


def test_copies_and_saved_states_go_their_own_way(busy):
    network = calibrate(BANDS, 5.0)
    first, second = busy.between(0, 200_500), busy.between(200_500, 400_000)
    state, _ = native.step(network, native.init(network, busy.size), first)
    twin, saved = native.copy(state), native.save(state)
    _, expected = native.step(network, state, second, 400_000)
    assert len(expected) > 1_000
    assert native.step(network, twin, second, 400_000)[1].same_as(expected)
    loaded = native.load(saved)
    assert native.save(loaded) == saved
    assert loaded.size == busy.size
    equal = replace(network, radius_px=4.0)  # nothing the engine runs
    assert native.step(equal, loaded, second, 400_000)[1].same_as(expected)
    other = native.load(saved, threads=1, max_spikes=100)
    with pytest.raises(EngineError, match="spikes more often"):
        native.step(network, other, second, 400_000)


def test_an_event_changes_only_its_own_state():
    network, recording = one_pixel([0, 1_000], a=0.5, v_th=0.6)
    state = native.init(network, recording.size)
    twin = native.copy(state)
    native.step(network, state, recording, 5_000)
    assert len(native.step(network, twin, recording.slice(1, 2), 5_000)[1]) == 0


# --- what is refused -----------------------------------------------------------------------------------


def test_states_that_are_damaged_or_something_else_are_refused(scene):
    network = calibrate(BANDS, 5.0)
    state, _ = native.step(network, native.init(network, scene.size), scene.between(stop_us=50_500))
    saved = native.save(state)
    rng = np.random.default_rng(0)
    for position in [0, 8, 12, *rng.integers(16, len(saved), 20).tolist()]:
        wrong = bytearray(saved)
        wrong[position] ^= 1 << int(rng.integers(8))
        with pytest.raises(EngineError, match=r"damaged|another version"):
            native.load(bytes(wrong))
    for wrong in (b"", b"velocell", saved[:-1], saved + b"0", saved[:1000]):
        with pytest.raises(EngineError, match="not a saved state"):
            native.load(wrong)


def sealed(body: bytes) -> bytes:
    """With the check sum that `save` would write: only the content is wrong."""
    total = 0xCBF29CE484222325
    for byte in body:
        total = (total ^ byte) * 0x100000001B3 % 2**64
    return body + total.to_bytes(8, sys.byteorder)


def test_a_sealed_state_with_wrong_content_is_refused():
    network, recording = one_pixel([0, 1_500], a=0.5)
    state, _ = native.step(network, native.init(network, (1, 1)), recording)
    body = native.save(state)[:-8]
    assert native.save(native.load(sealed(body))) == sealed(body)
    for position in range(8, len(body)):
        for value in (0xFF, 0x7F, body[position] + 1):
            wrong = sealed(body[:position] + bytes([value % 256]) + body[position + 1 :])
            try:
                loaded = native.load(wrong)
                native.step(network, loaded, recording.slice(0, 0), 10_000)
            except (EngineError, NetworkError, RecordingError):
                continue


def test_a_state_runs_its_own_network_only(scene):
    network = calibrate(BANDS, 5.0)
    state = native.init(network, scene.size)
    with pytest.raises(EngineError, match="another network"):
        native.step(calibrate(BANDS, 6.0), state, scene)
    with pytest.raises(EngineError, match="another network"):
        native.step(calibrate(BANDS, 6.0), native.load(native.save(state)), scene)
    native.step(network, state, scene)


@pytest.mark.parametrize("options", [{"threads": 0}, {"threads": -1}, {"max_spikes": 0}, {"threads": 1 << 40}])
def test_impossible_options_are_refused(options):
    network, _ = one_pixel([])
    with pytest.raises(EngineError, match=f"{next(iter(options))} must be at least 1"):
        native.init(network, (4, 4), **options)


LITTLE_MEMORY = """
import resource, sys
import numpy as np
from velocell.data.recording import Recording
from velocell.engines import native
from velocell.errors import EngineError
from velocell.network import Layer, Network
from velocell.network.neurons import LIFBox
network = Network(1_000, (Layer.from_arrays(np.ones((1, 1, 1, 1)), LIFBox([20.0] * 16, 1.5)),))
state = native.init(network, (4096, 4096), threads=1)
edge = np.arange(0, 4096, 128)
x, y = (grid.ravel() for grid in np.meshgrid(edge, edge))
every = Recording.from_arrays(np.zeros(x.size, np.int64), x, y, width=4096, height=4096)
now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + (200 << 20), now + (200 << 20)))
try:
    native.step(network, state, every, 10_000)
except EngineError as error:
    print(error)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit is Linux's")
@pytest.mark.skipif("libasan" in os.environ.get("LD_PRELOAD", ""), reason="the sanitizer hangs where it gets no memory")
def test_without_enough_memory_it_is_said_how_much_is_needed():
    done = subprocess.run([sys.executable, "-c", LITTLE_MEMORY], capture_output=True, text=True, check=True)
    said = re.fullmatch(
        r"there is not enough memory for this step: 1024 events on 4096x4096 px need about (\d+) MB; feed "
        r"shorter chunks, or take a smaller region\n",
        done.stdout,
    )
    assert said is not None, done.stdout + done.stderr
    assert 1_000 < float(said[1]) < 1_500  # 16 channels of 4096x4096 px, 4 bytes each, are 1074 MB


def test_what_is_needed_is_what_the_core_holds(busy):
    network = calibrate(BANDS, 5.0)
    state, _ = native.step(network, native.init(network, busy.size), busy)
    assert 1 < native.needed_bytes(network, busy.size) / state.engine.membrane_bytes < 1.2


def test_memory_set_aside_in_advance_is_all_that_is_needed_and_changes_no_spike(busy):
    network = calibrate(BANDS, 5.0)
    middle_us = busy.start_us + busy.duration_us // 2
    plain, ready = native.init(network, busy.size), native.init(network, busy.size)
    assert ready.engine.membrane_bytes == 0
    native.prepare(ready)
    held = ready.engine.membrane_bytes
    for part, stop_us in ((busy.between(stop_us=middle_us), middle_us), (busy.between(middle_us), busy.stop_us)):
        plain, expected = native.step(network, plain, part, stop_us)
        ready, spikes = native.step(network, ready, part, stop_us)
        assert len(spikes)
        assert spikes.same_as(expected)
        native.prepare(ready)
    assert ready.engine.membrane_bytes == held >= plain.engine.membrane_bytes


def test_kernels_larger_than_the_sensor_are_refused():
    network = Network(1_000, (Layer.from_arrays(circular_kernel(5.0), LIFBox(20.0, 1.0)),))
    with pytest.raises(NetworkError, match="larger than the 12x40 sensor"):
        native.init(network, (12, 40))
    native.init(network, (13, 13))


@pytest.mark.parametrize("size", [(0, 5), (5, -1), (70_000, 5)])
def test_impossible_sensors_are_refused(size):
    network, _ = one_pixel([])
    with pytest.raises(NetworkError):
        native.init(network, size)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a": 0.0}, r"outside \(0, 1\]"),
        ({"a": 1.5}, r"outside \(0, 1\]"),
        ({"a": np.nan}, r"outside \(0, 1\]"),
        ({"v_th": 0.0}, "v_leak below v_th"),
        ({"v_th": np.nan}, "v_leak below v_th"),
        ({"v_leak": np.nan}, "v_leak below v_th"),
        ({"v_leak": np.inf}, "v_leak below v_th"),
        ({"v_reset": 2.0}, "v_reset not above v_th"),
        ({"kernel": np.full((1, 1, 1, 1), np.nan)}, "not finite"),
        ({"kernel": np.zeros((1, 1, 1, 1))}, "without any weight"),
        ({"kernel": np.ones((1, 1, 1, 9))}, "larger than the sensor"),
        ({"kernel": np.ones((1, 3, 1, 1))}, "1 input map"),
        ({"kernel": np.ones((2, 1, 1, 1))}, "one value of each neuron parameter"),
        ({"kernel": np.ones((0, 1, 1, 1))}, "impossible shape"),
        ({"groups": 0}, "impossible shape"),
        ({"groups": -3}, "impossible shape"),
        ({"groups": 2}, "impossible shape"),
        ({"groups": 1 << 30, "kernel": np.ones((1, 8, 1, 1))}, "impossible shape"),
        ({"silence_us": [1, 2]}, "one map per filter channel"),
        ({"silence_us": [-1]}, "between 0 us and"),
        ({"dt_us": 0}, "dt must lie between"),
        ({"dt_us": 1 << 60}, "dt must lie between"),
        ({"second": True}, "expects another number of channels"),
    ],
)
def test_the_core_trusts_nobody(change, message):
    """What Network and Layer already refuse, handed to the core directly."""
    number = {"a": 0.5, "v_th": 1.0, "v_leak": 0.0, "v_reset": 0.0}
    given = number | {"kernel": np.ones((1, 1, 1, 1)), "groups": 1, "dt_us": 1_000, "silence_us": [], "second": False}
    given |= change
    columns = [np.array([given[name]], np.float32) for name in number]
    layer = (given["kernel"].astype(np.float32), given["groups"], *columns)
    behind = (np.ones((1, 4, 1, 1), np.float32), 1, *columns)
    network = _native.Network(
        width=8, height=8, dt_us=given["dt_us"], silence_us=given["silence_us"], flips=False,
        layers=[layer, behind] if given["second"] else [layer],
    )  # fmt: skip
    with pytest.raises(NetworkError, match=message):
        _native.Engine(network, threads=1, max_spikes=1)


def test_numbers_beyond_64_bits_are_refused():
    network, recording = one_pixel([0])
    state = native.init(network, (1, 1))
    with pytest.raises(EngineError, match="does not fit into 64 bits"):
        native.step(network, state, recording, 1 << 63)
    with pytest.raises(NetworkError, match="fit into 64 bits"):
        native.init(replace(network, trail_filter=TrailFilter((1 << 70,))), (1, 1))
    slow = Network(1 << 70, (Layer.from_arrays(np.ones((1, 1, 1, 1)), LIFBox(1e-18, 1.0)),))
    with pytest.raises(NetworkError, match="fit into 64 bits"):
        native.init(slow, (1, 1))
    with pytest.raises(RecordingError, match="2\\^56 us"):
        native.step(network, state, Recording.from_arrays([1 << 57], [0], [0], width=1, height=1))


def unchecked(t, x, y, p=None, width=8, height=8) -> Recording:
    """A Recording that nobody checked."""
    return Recording(np.asarray(t), np.asarray(x), np.asarray(y), p, width, height, 0, 10_000)


U16 = np.uint16


@pytest.mark.parametrize(
    ("events", "message"),
    [
        (unchecked([0], np.array([8], U16), np.array([0], U16)), "outside the 8x8 sensor"),
        (unchecked([0], np.array([0], U16), np.array([65_535], U16)), "outside the 8x8 sensor"),
        (unchecked([5, 4], np.zeros(2, U16), np.zeros(2, U16)), "times go back"),
        (unchecked([-1], np.zeros(1, U16), np.zeros(1, U16)), "has already run to|times go back"),
        (unchecked([0, 1], np.zeros(1, U16), np.zeros(2, U16)), "one entry per event"),
        (unchecked([0], np.zeros(1, U16), np.zeros(1, U16), np.zeros(3, bool)), "one entry per event"),
        (unchecked([0], np.array([-1]), np.zeros(1, U16)), "of their types"),
        (unchecked([0.5], np.zeros(1, U16), np.zeros(1, U16)), "of their types"),
        (unchecked([[0]], np.zeros((1, 1), U16), np.zeros((1, 1), U16)), "one-dimensional"),
        (unchecked([0], np.zeros(1, U16), np.zeros(1, U16), width=9), "9x8 sensor follow"),
    ],
)
def test_events_that_cannot_be_are_refused_and_change_nothing(events, message):
    network, _ = one_pixel([], a=1.0, v_th=0.5)
    state = native.init(network, (8, 8))
    before = native.save(state)
    with pytest.raises(RecordingError, match=message):
        native.step(network, state, events)
    assert native.save(state) == before


def test_arrays_in_any_memory_order_are_read_right():
    network, _ = one_pixel([], a=1.0, v_th=0.5)
    table = np.arange(40, dtype=np.int64).reshape(10, 4)
    x = (np.arange(30, dtype=U16) % 8)[::3]
    events = unchecked(table[:, 0] * 1_000, x, x[::-1])
    spikes = native.step(network, native.init(network, (8, 8)), events, 10**6)[1]
    assert spikes.t_us.tolist() == (table[:, 0] * 1_000).tolist()
    assert spikes.x.tolist() == x.tolist()
    assert spikes.y.tolist() == x[::-1].tolist()


def test_a_chunk_before_waiting_events_is_refused():
    network, recording = one_pixel([1_100, 1_900])
    state, _ = native.step(network, native.init(network, (1, 1)), recording)
    with pytest.raises(RecordingError, match="times go back"):
        native.step(network, state, recording)


def test_a_network_that_sees_polarity_needs_it():
    first = Layer.from_arrays(np.ones((1, 2, 1, 1)), LIFBox(500.0, 1.0))
    _, recording = one_pixel([0])
    for network in (Network(1_000, (first,)), replace(one_pixel([])[0], trail_filter=TrailFilter((5,)))):
        with pytest.raises(RecordingError, match="needs polarity"):
            native.step(network, native.init(network, (1, 1)), recording)


def test_more_spikes_than_allowed_end_a_step_by_name(busy):
    network = calibrate(BANDS, 5.0)
    state = native.init(network, busy.size, max_spikes=1_000)
    spare = native.copy(state)
    with pytest.raises(EngineError, match="spikes more often than one step may report"):
        native.step(network, state, busy)
    for use in (lambda: native.step(network, state, busy), lambda: native.save(state)):
        with pytest.raises(EngineError, match="cut short"):
            use()
    assert 0 < len(native.step(network, spare, busy.slice(0, 1_000), 10_000)[1]) <= 1_000


def test_a_missing_core_is_an_error_that_names_the_remedy(monkeypatch):
    import velocell

    monkeypatch.setitem(sys.modules, "velocell._native", None)
    monkeypatch.delattr(velocell, "_native", raising=False)
    network, recording = one_pixel([0])
    with pytest.raises(EngineError, match=r"not built .*pip install \."):
        engines.run(network, recording)


# --- threads and signals of Python ------------------------------------------------------------------------


def heavy(box: int = 300) -> tuple[Network, Recording]:
    """Seconds of work in a single tick, around `box` times `box` pixels."""
    rng = np.random.default_rng(0)
    n = 400_000
    recording = Recording.from_arrays(
        np.zeros(n, np.int64), rng.integers(0, box, n), rng.integers(0, box, n), width=300, height=300
    )
    return Network(1_000, (Layer.from_arrays(rng.random((1, 1, 201, 201)), LIFBox(20.0, 1e30)),)), recording


def loud() -> tuple[Network, Recording]:
    """Little to add, many millions of spikes to sort and pass on."""
    rng = np.random.default_rng(0)
    n = 100_000
    recording = Recording.from_arrays(
        np.sort(rng.integers(0, 400_000, n)), rng.integers(0, 640, n), rng.integers(0, 480, n), width=640, height=480
    )
    return Network(1_000, (Layer.from_arrays(np.ones((1, 1, 9, 9)), LIFBox([20.0] * 8, 1e-9)),)), recording


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("box", [300, 20])  # 20: one tile has all the work, the calling thread may have none
def test_ctrl_c_ends_a_step_soon(threads, box):
    network, recording = heavy(box)
    state = native.init(network, recording.size, threads=threads)
    answered = interrupted_after(0.05, lambda: native.step(network, state, recording, 10_000))
    assert answered < 5
    with pytest.raises(EngineError, match="cut short"):
        native.step(network, state, recording)


@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_ends_a_step_of_many_spikes_soon(threads):
    network, recording = loud()
    state = native.init(network, recording.size, threads=threads, max_spikes=1 << 30)
    assert interrupted_after(0.05, lambda: native.step(network, state, recording, 10**6)) < 5
    with pytest.raises(EngineError, match="cut short"):
        native.step(network, state, recording)


def interrupted_after(delay: float, work: Callable[[], object]) -> float:
    """Seconds from Ctrl-C to the end of `work`, which must end by it."""
    sent = []

    def interrupt() -> None:
        time.sleep(delay)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        work()
    answered = time.monotonic()
    thread.join()
    return answered - sent[0]


def test_other_threads_run_meanwhile_but_not_on_the_same_state():
    network, recording = heavy()
    recording = recording.slice(0, 100_000)
    state = native.init(network, recording.size, threads=1)
    thread = threading.Thread(target=native.step, args=(network, state, recording, 10_000))
    thread.start()
    refused = []
    while thread.is_alive():
        try:
            native.copy(state)
        except EngineError as error:
            refused.append(str(error))
        time.sleep(0.001)
    thread.join()
    assert len(refused) > 5
    assert all("in use by another thread" in text for text in refused)
    native.copy(state)


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_a_quiet_block_need_not_say_whether_it_has_polarity(engine):
    network = calibrate((60, 240, 960), 5.0)
    assert network.trail_filter is not None
    assert network.trail_filter.flips
    chosen = engines.load(engine)
    state = chosen.init(network, (60, 50))
    quiet = Recording.from_arrays([], [], [], width=60, height=50)
    state, spikes = chosen.step(network, state, quiet, 10_000)
    assert len(spikes) == 0
    some = Recording.from_arrays([10_500], [3], [4], width=60, height=50)
    with pytest.raises(RecordingError, match="needs polarity but the recording has none"):
        chosen.step(network, state, some, 20_000)
