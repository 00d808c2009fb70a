"""The native engine against the reference, with every instruction set, kernels and neurons of every kind."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from agreement import assert_agree, assert_same
from hypothesis import given, settings
from hypothesis import strategies as st
from native_streams import BANDS, one_pixel
from places import SHARED
from strategies_network import cases, exact_cases, wide_cases

from velocell import engines
from velocell.calibration.formulas import calibrate
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.errors import EngineError
from velocell.formats import read
from velocell.network import Layer, Network, TrailFilter
from velocell.network.neurons import LIFBox

pytest.importorskip("velocell._native", reason="the C++ core is not built (pip install .)")

from velocell import _native
from velocell.engines import native

COURSE_FILE = SHARED / "2404_circle.dat"


@pytest.fixture(params=_native.patch_variants())
def variant(request):
    """Each instruction set this processor has, the one in use again afterwards."""
    _native.select_patch_variant(request.param)
    yield request.param
    _native.select_patch_variant(_native.patch_variants()[-1])


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
