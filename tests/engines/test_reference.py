"""The reference engine against a second implementation: plain loops over ticks, float64, scipy's correlation."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import correlate as ndimage_correlate
from strategies_network import exact_cases

from velocell import engines
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.engines import reference, stream
from velocell.errors import EngineError, NetworkError, RecordingError
from velocell.network import Layer, Network, TrailFilter
from velocell.network.kernels import circular_kernel
from velocell.network.neurons import LIFBox

DT_US = 1_000
HALF = 500.0  # 1/s: a = 1/2 in a tick of 1 ms, exact in float32

Spike = tuple[int, int, int, int, int]


# --- the second implementation ----------------------------------------------------------------------


def passed(network: Network, recording: Recording) -> np.ndarray:
    """(n, C_in): whether an event reaches each input map, from the definition, one pair at a time."""
    n, inputs = len(recording), network.layers[0].in_channels
    trail = network.trail_filter
    if trail is None:
        if inputs == 1:
            return np.ones((n, 1), bool)
        return np.stack([~recording.p, recording.p], axis=1)
    through = np.ones((n, inputs), bool)
    for i in range(n):
        earlier = [j for j in range(i) if recording.x[j] == recording.x[i] and recording.y[j] == recording.y[i]]
        if not earlier:
            continue
        flipped = trail.flips and recording.p[i] != recording.p[earlier[-1]]
        silent_us = int(recording.t_us[i] - recording.t_us[earlier[-1]])
        through[i] = [flipped or silent_us >= needed for needed in trail.silence_us]
    return through


def frames(network: Network, recording: Recording) -> np.ndarray:
    """What layer 0 sees, (T, C_in, H, W), from the tick of `start_us` on."""
    first = recording.start_us // network.dt_us
    ticks = math.ceil(recording.stop_us / network.dt_us) - first
    dense = np.zeros((ticks, network.layers[0].in_channels, recording.height, recording.width))
    for i, through in enumerate(passed(network, recording)):
        for channel in np.flatnonzero(through):
            tick = recording.t_us[i] // network.dt_us - first
            dense[tick, channel, recording.y[i], recording.x[i]] += 1
    return dense


def convolved(maps: np.ndarray, layer: Layer) -> np.ndarray:
    kernel = layer.kernel.astype(np.float64)
    h, w = kernel.shape[2:]
    # scipy centres an even side one pixel further than padding `same` does.
    shift = (-(1 - h % 2), -(1 - w % 2))
    out = np.zeros((layer.channels, *maps.shape[1:]))
    inputs, outputs = kernel.shape[1], layer.channels // layer.groups
    for channel in range(layer.channels):
        for k in range(inputs):
            seen = maps[channel // outputs * inputs + k]
            out[channel] += ndimage_correlate(seen, kernel[channel, k], mode="constant", origin=shift)
    return out


def simulate_by_hand(network: Network, recording: Recording) -> tuple[list[Spike], list[np.ndarray]]:
    """All spikes (t, layer, channel, y, x), and each layer's membranes after every tick, (T, C, H, W)."""
    dt_us, dt_s = network.dt_us, network.dt_us * 1e-6
    shape = (recording.height, recording.width)
    v = [np.tile(layer.neurons.v_leak.astype(float)[:, None, None], (1, *shape)) for layer in network.layers]
    found: list[Spike] = []
    traces: list[list[np.ndarray]] = [[] for _ in network.layers]
    first = recording.start_us // dt_us
    for tick, maps in enumerate(frames(network, recording), first):
        for number, layer in enumerate(network.layers):
            current = convolved(maps, layer)
            fired = np.zeros_like(v[number])
            for c in range(layer.channels):
                n = layer.neurons
                a = dt_s * n.tau_mem_inv[c]
                v[number][c] = v[number][c] + a * (n.v_leak[c] - v[number][c] + current[c])
                fired[c] = v[number][c] > n.v_th[c]
                v[number][c][fired[c] > 0] = n.v_reset[c]
            for c, y, x in np.argwhere(fired):
                found.append((tick * dt_us, number, int(c), int(y), int(x)))
            traces[number].append(v[number].copy())
            maps = fired
    return sorted(found), [np.array(trace) for trace in traces]


def as_list(spikes: Spikes) -> list[Spike]:
    columns = (spikes.t_us, spikes.layer, spikes.channel, spikes.y, spikes.x)
    return [tuple(int(v) for v in row) for row in zip(*columns, strict=True)]


# --- random networks whose arithmetic is exact in float32 ---------------------------------------------


@settings(max_examples=120, deadline=None)
@given(case=exact_cases())
def test_spikes_are_those_of_plain_loops(case):
    network, recording = case
    expected, traces = simulate_by_hand(network, recording)
    assert as_list(engines.run(network, recording, engine="reference")) == expected
    for number in range(len(network.layers)):
        np.testing.assert_array_equal(reference.membrane(network, recording, layer=number), traces[number])


@settings(max_examples=80, deadline=None)
@given(case=exact_cases(), data=st.data())
def test_a_stream_may_be_cut_anywhere(case, data):
    network, recording = case
    whole = engines.run(network, recording, engine="reference")
    inside = st.integers(recording.start_us, recording.stop_us)
    cuts = sorted(data.draw(st.lists(inside, max_size=6), label="cuts"))
    promised = data.draw(st.booleans(), label="promised")
    end_us = -(-recording.stop_us // network.dt_us) * network.dt_us
    state = reference.init(network, recording.size)
    parts = []
    for start, stop in pairwise([recording.start_us, *cuts, recording.stop_us]):
        chunk = recording.between(start, stop)
        state, spikes = reference.step(network, state, chunk, stop if promised else None)
        parts.append(spikes)
        # A copy goes its own way: what it does leaves the state as it is.
        reference.step(network, reference.copy(state), recording.between(stop), end_us)
    _, spikes = reference.step(network, state, recording.between(recording.stop_us), end_us)
    assert Spikes.concatenate([*parts, spikes]).same_as(whole)


@settings(max_examples=50, deadline=None)
@given(case=exact_cases())
def test_input_maps_are_those_of_the_definition(case):
    network, recording = case
    np.testing.assert_array_equal(stream.input_maps(network, recording), frames(network, recording))


def test_the_comparison_can_fail():
    network, recording = one_pixel(1.0), events([(0, 0)])
    good = engines.run(network, recording, engine="reference")
    assert as_list(good) == simulate_by_hand(network, recording)[0] != []
    moved = Spikes(good.t_us + DT_US, good.x, good.y, good.channel, good.layer)
    assert as_list(moved) != simulate_by_hand(network, recording)[0]


# --- by hand ------------------------------------------------------------------------------------------


def one_pixel(weight: float, rate: float = HALF, threshold: float = 0.25, **neurons: float) -> Network:
    return Network(DT_US, (Layer.from_arrays(np.full((1, 1, 1, 1), weight), LIFBox(rate, threshold, **neurons)),))


def events(places: list[tuple[int, int]], *, side: int = 5, stop_us: int | None = None) -> Recording:
    """Events (t in us, x) in the middle row."""
    t, x = np.array(sorted(places)).T
    return Recording.from_arrays(
        t, x, np.full(x.size, side // 2), width=side, height=side, start_us=0, stop_us=stop_us or int(t[-1]) + 1
    )


def test_the_threshold_is_strict():
    # One event of weight 1 with a = 1/2 lifts v to exactly 0.5.
    recording = events([(0, 2)])
    assert len(engines.run(one_pixel(1.0, threshold=0.5), recording, engine="reference")) == 0
    below = float(np.nextafter(np.float32(0.5), np.float32(0)))
    assert len(engines.run(one_pixel(1.0, threshold=below), recording, engine="reference")) == 1


def test_all_events_of_a_tick_count_before_the_threshold():
    kernel = np.array([[[[-1.0, 1.0, 0.0]]]])
    network = Network(DT_US, (Layer.from_arrays(kernel, LIFBox(HALF, 0.25)),))
    assert as_list(engines.run(network, events([(0, 2)]), engine="reference")) == [(0, 0, 0, 2, 2)]
    # The later event of the same tick, one pixel to the left, takes back what the first one gave.
    assert as_list(engines.run(network, events([(0, 2), (999, 1)]), engine="reference")) == [(0, 0, 0, 2, 1)]
    assert len(engines.run(network, events([(0, 2), (1_000, 1)]), engine="reference")) == 2


def test_a_pixel_spikes_once_a_tick_and_is_reset():
    network = one_pixel(1.0, v_reset=-1.0)
    recording = events([(0, 2)] * 9 + [(1_000, 2)])
    assert as_list(engines.run(network, recording, engine="reference")) == [(0, 0, 0, 2, 2)]
    trace = reference.membrane(network, recording)[:, 0, 2, 2]
    np.testing.assert_array_equal(trace, [-1.0, 0.0])


def test_the_next_layer_sees_spikes_of_the_same_tick():
    first = Layer.from_arrays(np.ones((1, 1, 1, 1)), LIFBox(HALF, 0.25))
    second = Layer.from_arrays(np.array([[[[0.0, 0.0, 1.0]]]]), LIFBox(HALF, 0.25))
    third = Layer.from_arrays(np.ones((1, 1, 1, 1)), LIFBox(HALF, 0.25))
    spikes = engines.run(Network(DT_US, (first, second, third)), events([(3_456, 3)]), engine="reference")
    # Cross-correlation: the weight at the right end carries a spike to the left.
    assert as_list(spikes) == [(3_000, 0, 0, 2, 3), (3_000, 1, 0, 2, 2), (3_000, 2, 0, 2, 2)]


@pytest.mark.parametrize("gap", [1, 2, 7, 100, 3_000])
def test_a_quiet_gap_decays_as_tick_by_tick(gap):
    network = one_pixel(1.0, rate=0.5, threshold=1e6)
    recording = events([(0, 2), (gap * DT_US, 2)])
    state, _ = reference.step(network, reference.init(network, recording.size), recording, (gap + 1) * DT_US)
    a, v = np.float32(0.0005), np.float32(0)
    for tick in range(gap + 1):
        v = np.float32(v + a * (np.float32(0) - v + np.float32(tick in (0, gap))))
    assert state.v[0][0, 2, 2] == v
    assert v == pytest.approx(0.0005 * (1 + 0.9995**gap), rel=1e-4)


def test_a_gap_of_a_year_takes_no_time_and_keeps_nothing():
    network = one_pixel(1.0, rate=20.0, threshold=0.0201, v_leak=-0.5)
    year_us = 365 * 86_400 * 1_000_000
    base = events([(5, 2)] * 27)
    later = events([(year_us, 2)] * 27)
    state, first = reference.step(network, reference.init(network, base.size), base)
    state, second = reference.step(network, state, later, year_us + DT_US)
    np.testing.assert_allclose(state.v[0][0, 0, 0], -0.5, atol=1e-6)
    # 27 events lift v from -0.5 by 0.54, just over the threshold; both times the same.
    assert len(first) == 0, "the first tick was still open"
    assert second.t_us.tolist() == [0, year_us // DT_US * DT_US]


def test_a_tick_stays_open_while_events_of_its_last_microsecond_may_come():
    network, last = one_pixel(1.0, threshold=0.75), events([(1_999, 2)])
    state, spikes = reference.step(network, reference.init(network, last.size), last)
    assert len(spikes) == 0
    state, spikes = reference.step(network, state, last)
    assert len(spikes) == 0
    _, spikes = reference.step(network, state, last.slice(0, 0), 2_000)
    assert as_list(spikes) == [(1_000, 0, 0, 2, 2)], "two events together pass the threshold"


def test_off_and_on_events_are_two_input_maps():
    kernel = np.zeros((2, 2, 1, 1))
    kernel[0, 0] = kernel[1, 1] = 1
    network = Network(DT_US, (Layer.from_arrays(kernel, LIFBox([HALF, HALF], 0.25)),))
    recording = Recording.from_arrays([0, 0], [1, 3], [0, 0], [False, True], width=5, height=5)
    spikes = engines.run(network, recording, engine="reference")
    assert [(s[2], s[4]) for s in as_list(spikes)] == [(0, 1), (1, 3)], "OFF is map 0, ON is map 1"
    with pytest.raises(RecordingError, match="needs polarity but the recording has none"):
        engines.run(network, recording.with_polarity("drop"), engine="reference")


def test_a_trail_filter_that_flips_needs_polarity():
    layer = Layer.from_arrays(np.ones((1, 1, 1, 1)), LIFBox(HALF, 0.25))
    recording = events([(0, 1)])
    with pytest.raises(RecordingError, match="calibrate with polarity merge"):
        engines.run(Network(DT_US, (layer,), TrailFilter((5,), True)), recording, engine="reference")
    assert len(engines.run(Network(DT_US, (layer,), TrailFilter((5,), False)), recording, engine="reference")) == 1


def test_the_trail_filter_by_hand():
    # One pixel; what passes the channels with 1 and 3 ms of silence.
    t = [0, 500, 1_500, 1_600, 4_600, 4_600, 5_000]
    p = [True, True, True, False, False, False, False]
    recording = Recording.from_arrays(t, [0] * 7, [0] * 7, p, width=3, height=3)
    layer = Layer.from_arrays(np.ones((2, 1, 1, 1)), LIFBox([HALF] * 2, 1e6), 2)
    network = Network(DT_US, (layer,), TrailFilter((1_000, 3_000)))
    maps = stream.input_maps(network, recording)[:, :, 0, 0]
    # 0: first event; 500: too soon; 1500: 1 ms after; 1600: flips; 4600: 3 ms after, then its twin; 5000: too soon
    assert maps.tolist() == [[1, 1], [2, 1], [0, 0], [0, 0], [1, 1], [0, 0]]
    without = Network(DT_US, (layer,), TrailFilter((1_000, 3_000), flips=False))
    maps = stream.input_maps(without, recording)[:, :, 0, 0]
    assert maps.tolist() == [[1, 1], [1, 0], [0, 0], [0, 0], [1, 1], [0, 0]]


# --- membranes ----------------------------------------------------------------------------------------


def test_a_membrane_decays_by_the_closed_form():
    kernel = circular_kernel(2.0, 2.0, inside=-0.5)
    network = Network(DT_US, (Layer.from_arrays(kernel, LIFBox([20.0, 100.0], 1e6, [0.0, 2.0])),))
    recording = events([(2_500, 4)], side=9, stop_us=20_000)
    trace = reference.membrane(network, recording)
    assert trace.shape == (20, 2, 9, 9)
    assert trace.dtype == np.float32
    for channel, (a, leak) in enumerate([(0.02, 0.0), (0.1, 2.0)]):
        np.testing.assert_array_equal(trace[:2, channel], leak)
        # One event paints the mirrored kernel around itself; here kernel and sensor fit onto each other.
        painted = np.zeros((9, 9))
        side, middle = kernel.shape[-1], kernel.shape[-1] // 2
        painted[4 - middle : 4 - middle + side, 4 - middle : 4 - middle + side] = kernel[0, 0, ::-1, ::-1]
        for n in range(18):
            expected = leak + painted * a * (1 - a) ** n
            np.testing.assert_allclose(trace[2 + n, channel], expected, rtol=1e-4, atol=1e-6)


def test_a_leaky_integrator_ignores_the_threshold_of_its_layer_only():
    first = Layer.from_arrays(np.ones((1, 1, 1, 1)), LIFBox(HALF, 0.25))
    second = Layer.from_arrays(np.full((1, 1, 1, 1), 4.0), LIFBox(HALF, 0.25, 1 / 8, -3.0))
    network = Network(DT_US, (first, second))
    recording = events([(0, 2), (1_000, 2), (3_000, 2)], stop_us=6_000)
    free = reference.membrane(network, recording, spiking=False)[:, 0, 2, 2]
    np.testing.assert_array_equal(free, [1 / 2, 3 / 4, 3 / 8, 11 / 16, 11 / 32, 11 / 64])
    np.testing.assert_array_equal(reference.membrane(network, recording)[:, 0, 2, 2], [0] * 6)
    # Layer 1 sees the spikes of a layer 0 that still has its threshold: one in ticks 0, 1 and 3.
    deep = reference.membrane(network, recording, layer=1, spiking=False)[:, 0, 2, 2]
    v, expected = 1 / 8, []
    for current in (4, 4, 0, 4, 0, 0):
        v += (1 / 8 - v + current) / 2
        expected.append(v)
    np.testing.assert_array_equal(deep, expected)


def test_a_leaky_integrator_is_the_exponential_in_the_limit_of_short_ticks():
    # Events at 3 and 7 ms, tau = 10 ms: in units of a, v = sum of exp(-(t - t_i) / tau).
    tau_s, at_s = 0.010, np.array([0.003, 0.007])
    recording = events([(3_000, 2), (7_000, 2)], stop_us=20_000)
    for dt_us, error in ((1_000, 0.06), (100, 0.006), (10, 0.0006)):
        layer = Layer.from_arrays(np.ones((1, 1, 1, 1)), LIFBox(1 / tau_s, 1e6))
        network = Network(dt_us, (layer,))
        trace = reference.membrane(network, recording, spiking=False)[:, 0, 2, 2] / (dt_us * 1e-6 / tau_s)
        t = np.arange(trace.size) * dt_us * 1e-6
        since = t[:, None] - at_s
        exact = np.where(since >= -1e-9, np.exp(-since / tau_s), 0).sum(axis=1)
        np.testing.assert_allclose(trace, exact, atol=1.2 * error)


def test_membranes_of_a_part_of_a_recording():
    network = one_pixel(1.0, threshold=9.0)
    recording = events([(2_100, 1), (4_900, 3)], stop_us=7_001).between(1_500, 7_001)
    trace = reference.membrane(network, recording)
    assert trace.shape[0] == 7, "ticks 1 to 7, the first and last cut short"
    assert [np.argmax(trace[:, 0, 2, x] > 0) + 1 for x in (1, 3)] == [2, 4]


def test_a_recording_without_events_gives_no_spikes_and_flat_membranes():
    network = one_pixel(1.0, v_leak=-1.0)
    empty = Recording.from_arrays([], [], [], width=5, height=4, start_us=3_000, stop_us=9_000)
    assert len(engines.run(network, empty, engine="reference")) == 0
    np.testing.assert_array_equal(reference.membrane(network, empty), np.full((6, 1, 4, 5), -1.0))


# --- refusals -----------------------------------------------------------------------------------------


def test_a_chunk_that_goes_back_is_refused():
    network = one_pixel(1.0)
    for first, second in (([(2_500, 1)], [(1_900, 1)]), ([(2_500, 1)], [(2_400, 1)])):
        state, _ = reference.step(network, reference.init(network, (5, 5)), events(first))
        with pytest.raises(RecordingError, match="chunks must follow in time"):
            reference.step(network, state, events(second))
    # A promise counts as well, although no event came.
    state, _ = reference.step(network, reference.init(network, (5, 5)), events([(500, 1)]), 8_000)
    with pytest.raises(RecordingError, match="start at 7999 us but the network has already run to 8000 us"):
        reference.step(network, state, events([(7_999, 1)]))
    # Time that was run stays run, whatever a later promise says.
    state, _ = reference.step(network, state, events([(8_000, 1)]).slice(0, 0), 3_000)
    with pytest.raises(RecordingError, match="start at 7999 us but the network has already run to 8000 us"):
        reference.step(network, state, events([(7_999, 1)]))


def test_a_chunk_of_another_sensor_is_refused():
    network = one_pixel(1.0)
    state = reference.init(network, (5, 5))
    with pytest.raises(RecordingError, match="events of a 7x7 sensor follow those of 5x5"):
        reference.step(network, state, events([(0, 1)], side=7))


def test_a_kernel_larger_than_the_sensor_is_refused():
    network = Network(DT_US, (Layer.from_arrays(np.ones((1, 1, 3, 9)), LIFBox(HALF, 1.0)),))
    with pytest.raises(NetworkError, match="9x3 px, larger than the 8x8 sensor"):
        reference.init(network, (8, 8))


def test_an_unknown_engine_is_refused_by_name():
    with pytest.raises(EngineError, match="engine 'fast' is unknown; use one of native, reference, norse"):
        engines.load("fast")
