"""Currents that the native engine counts in whole units of 16 bits, as it may where a kernel's weights allow it.

Counting must be as exact as the reference's sums, for as many events as one tick may hold, and beside weights that
cannot be counted.
"""

from __future__ import annotations

import numpy as np
import pytest
from agreement import assert_agree, assert_same

from velocell import engines
from velocell.data.recording import Recording
from velocell.network import Layer, Network, TrailFilter
from velocell.network.kernels import circular_kernel
from velocell.network.neurons import LIFBox

pytest.importorskip("velocell._native", reason="the C++ core is not built (pip install .)")

from velocell import _native

DT_US, A = 1_000, 0.5


@pytest.fixture(params=_native.patch_variants(), autouse=True)
def variant(request):
    _native.select_patch_variant(request.param)
    yield request.param
    _native.select_patch_variant(_native.patch_variants()[-1])


def lif(v_th) -> LIFBox:
    return LIFBox(A / (DT_US * 1e-6), v_th)


def at_once(counts: list[int], size: tuple[int, int] = (9, 5), place: tuple[int, int] = (4, 2)) -> Recording:
    """So many events in one pixel, in ticks that are 40 apart."""
    t_us = np.repeat(40 * DT_US * np.arange(len(counts)), counts)
    x, y = (np.full(t_us.size, at) for at in place)
    return Recording.from_arrays(t_us, x, y, width=size[0], height=size[1])


# 16 bits hold 255 events of 128 units and 64 of 511. A float holds no more than 2^24 units.
NUMBERS = [63, 64, 65, 255, 256, 257, 511, 512, 32_767, 32_768, 65_536, 70_000]


@pytest.mark.parametrize(("units", "events"), [(u, n) for u in (1, 128, 511) for n in NUMBERS if (n + 1) * u < 1 << 24])
@pytest.mark.parametrize("sign", [1, -1])
def test_no_number_of_events_overflows_a_count(units, events, sign):
    weight = units / 128
    # One event fewer does not reach the threshold. Of the neuron with negative weights, nothing may come.
    kernel = np.array([[weight, 0, 0, 1 / 128]]) if sign > 0 else np.array([[-weight, 0, 0, 1 / 128]])
    step = weight if sign > 0 else 1 / 128
    network = Network(DT_US, (Layer.from_arrays(kernel[None, None], lif(A * (events - 0.5) * step)),))
    expected = assert_same(network, at_once([events - 1, events, events + 1]), "native")
    assert sorted(set(expected.t_us.tolist())) == [40 * DT_US, 80 * DT_US]


@pytest.mark.parametrize("channels", [64, 65, 130])
def test_no_number_of_channels_that_one_event_passes_overflows_a_count(channels):
    """Each adds its patch of 511 units to the same current."""
    kernel = np.tile([[[511 / 128, 0, 1 / 128]]], (1, channels, 1, 1))
    layer = Layer.from_arrays(kernel, lif(A * (channels * 511 / 128 - 0.5)))
    network = Network(DT_US, (layer,), TrailFilter(tuple(range(channels)), flips=False))
    assert len(assert_same(network, at_once([1, 1]), "native")) == 2


def scattered(seed: int, events: int, size: tuple[int, int] = (300, 150)) -> Recording:
    """In two polarities, in bunches, many in each tick."""
    rng = np.random.default_rng(seed)
    centre = rng.integers(0, size, (4, 2))[rng.integers(0, 4, events)]
    place = np.clip(np.rint(rng.normal(centre, 6)), 0, (size[0] - 1, size[1] - 1)).astype(int)
    t_us = np.sort(rng.integers(0, 3 * DT_US, events))
    return Recording.from_arrays(
        t_us, place[:, 0], place[:, 1], rng.random(events) < 0.5, width=size[0], height=size[1]
    )


@pytest.mark.parametrize("seed", range(3))
def test_layers_of_many_spikes_in_a_tick_agree(seed):
    """Units of two kinds, whose sums several channels share, and spikes side by side that come as one event."""
    ring = circular_kernel(5.0, 2.2)
    second = np.zeros((3, 3, 13, 13))
    for out in range(3):
        second[out, out, 5:8, 5:8] = 1.0
        second[out, out + 1 :] = -3 * ring
    layers = (
        Layer.from_arrays(np.broadcast_to(ring, (3, 2, 13, 13)), lif([1.0, 3.0, 9.0])),
        Layer.from_arrays(second, lif([0.4, 0.9, 1.9])),
    )
    spikes = assert_same(Network(DT_US, layers), scattered(seed, 3_000), "native")
    assert (np.bincount(spikes.layer) > 500).all()


@pytest.mark.parametrize("memoryless", [[], [0], [1], [2], [0, 2], [1, 4], [5]])
def test_channels_that_see_the_same_are_updated_by_their_own_numbers(memoryless):
    """Six of them, some without memory, with one patch for all."""
    a = np.full(6, A)
    a[memoryless] = 1.0
    kernel = np.broadcast_to(circular_kernel(3.0, 2.0), (6, 1, 9, 9))
    neurons = LIFBox(a / (DT_US * 1e-6), a * [2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
    recording = scattered(4, 2_000, (70, 50))
    spikes = assert_same(Network(DT_US, (Layer.from_arrays(kernel, neurons),)), recording, "native")
    assert len(np.unique(np.bincount(spikes.channel, minlength=6))) == 6


@pytest.mark.parametrize("seed", range(3))
def test_weights_that_can_be_counted_beside_others_agree(seed):
    rng = np.random.default_rng(seed)
    counted = rng.integers(-60, 120, (7, 7)) / 64
    first = np.stack([[counted, rng.normal(0.2, 0.5, (7, 7))], [counted, counted]])
    second = np.stack([[counted, 0.15 * counted], [-counted, counted]])
    layers = (Layer.from_arrays(first, lif([3.0, 5.0])), Layer.from_arrays(second, lif([1.0, 2.0])))
    recording = scattered(seed + 10, 2_500, (60, 40))
    assert assert_agree(Network(DT_US, layers), recording, "native").active > 500


def test_a_weight_that_is_a_little_off_is_not_counted_as_if_it_were_not():
    """One bit of a float beside a multiple of the unit: only a sum of floats can tell."""
    off = np.nextafter(np.float32(1.0), np.float32(2.0))
    recording = at_once([3])
    for weight, fires in ((1.0, False), (off, True)):
        network = Network(DT_US, (Layer.from_arrays(np.array([[[[weight, 1 / 128, 0]]]]), lif(A * 3.0)),))
        assert (len(engines.run(network, recording, engine="native")) > 0) == fires
        assert_same(network, recording, "native")


@pytest.mark.parametrize("channels", [2, 4, 7, 9])
@pytest.mark.parametrize("weight", [0.5, 0.3], ids=["counted", "floats"])
def test_channels_agree_where_some_see_events_that_others_do_not(channels, weight):
    """Their blocks are updated apart from those that all channels see alike; there are more spikes in a tick than are
    sorted by comparison."""
    kernel = np.einsum("oi,yx->oiyx", np.eye(channels), [[1, weight], [weight, weight]]).astype(np.float32)
    network = Network(
        DT_US,
        (Layer.from_arrays(kernel, lif(np.linspace(0.3, 0.6, channels) * A)),),
        TrailFilter(tuple(600 * k for k in range(channels, 0, -1)), flips=False),
    )
    rng = np.random.default_rng(channels)
    first, again = rng.integers(0, (300, 150), (3000, 2)), rng.integers(0, (300, 150), (3000, 2))
    again[::8] = first[::8]  # soon after, which not all channels see
    t_us = np.concatenate([np.sort(rng.integers(at, at + DT_US, 3000)) for at in (0, DT_US)])
    x, y = np.concatenate([first, again]).T
    expected = assert_same(network, Recording.from_arrays(t_us, x, y, width=300, height=150), "native")
    assert np.bincount(expected.t_us // DT_US)[1] > 1000
