"""Calibration against simulated passages: the tuning law, the high-pass, the choice of dt, what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from velocell import engines
from velocell.calibration.formulas import CROSSING_SHARE, MAX_DT_US, calibrate, choose_dt_us
from velocell.calibration.peaks import passage_density, psi
from velocell.calibration.recipe import Recipe
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.errors import CalibrationError, NetworkError
from velocell.network import Network
from velocell.network.kernels import centre_surround_kernel, circular_kernel, disk_kernel
from velocell.simulate import Scene, SceneObject, simulate

EDGES = (60.0, 240.0, 960.0)
PSI_ERROR = 0.03  # against simulated passages


def passage(radius: float, speed: float, heading: float, reach: float, *, seed: int, **disk: float) -> Recording:
    """A disk that crosses the middle of a square sensor on a straight line, from `reach` px before it
    to `reach` px behind it. `shift`: how far beside the middle it passes, px."""
    shift = disk.pop("shift", 0.0)
    middle = math.ceil(reach + radius) + 2
    ux, uy = math.cos(math.radians(heading)), math.sin(math.radians(heading))
    item = SceneObject(
        x_px=middle - reach * ux - shift * uy,
        y_px=middle - reach * uy + shift * ux,
        radius_px=radius,
        speed_px_s=speed,
        heading_deg=heading,
        **disk,
    )
    side = 2 * middle + 1
    return simulate(Scene(side, side, int(2e6 * reach / speed), seed=seed, objects=(item,)))[0]


# --- the tuning law ---------------------------------------------------------------------------------


def simulated_psi(kernel: np.ndarray, radius: float, lengths: np.ndarray, passages: int = 40) -> np.ndarray:
    """Psi by its meaning: a leaky integrator in the middle of the sensor sums what simulated disks send
    it through the kernel; its mean over directions, as a function of where the disk is, and that peak."""
    weights = kernel[0, 0].astype(np.float64)
    side, half = weights.shape[0], weights.shape[0] // 2
    speed, contrast = 100.0, 1.0
    reach = half + radius + 2
    place = np.arange(-reach, reach, 0.1)
    total = np.zeros((lengths.size, place.size))
    rng = np.random.default_rng(9_001)
    for number in range(passages):
        events = passage(
            radius, speed, rng.uniform(0, 360), reach, seed=number,
            shift=rng.uniform(-0.5, 0.5), contrast=contrast, edge_px=0.05,
        )  # fmt: skip
        column, row = (
            values.astype(int) - size // 2 + half
            for values, size in zip((events.x, events.y), events.size, strict=True)
        )
        seen = (column >= 0) & (column < side) & (row >= 0) & (row < side)
        weight = weights[row[seen], column[seen]] / contrast
        since = place - (events.t_us[seen, None] * 1e-6 * speed - reach)
        for i, length in enumerate(lengths):
            decayed = np.where(since >= 0, np.exp(-np.maximum(since, 0) / length), 0) / length
            total[i] += weight @ decayed
    peaks: np.ndarray = total.max(axis=1) / passages
    return peaks


@pytest.mark.parametrize(("radius", "width"), [(3.5, 2.0), (5.0, 2.0), (8.0, 2.0), (5.0, 3.0)])
def test_psi_is_what_simulated_disks_do(radius, width):
    kernel = circular_kernel(radius, width, inside=-0.5)
    lengths = np.array([0.94, 3.0, 10.0])
    np.testing.assert_allclose(psi(kernel, radius, lengths), simulated_psi(kernel, radius, lengths), rtol=PSI_ERROR)


@pytest.mark.parametrize("radius", [4.0, 5.0, 8.0])
def test_psi_near_the_hand_formula(radius):
    # For a ring without inhibition; theory.md gives it an error of 10 to 40 %.
    lengths = np.array([0.5, 1.0, 2.0, 5.0, 10.0, 20.0])
    by_hand = 4 * radius * -np.expm1(-math.pi / lengths)
    ratio = by_hand / psi(circular_kernel(radius, 2.0, inside=0.0), radius, lengths)
    assert np.all((ratio > 0.7) & (ratio < 1.4)), ratio


def test_psi_falls_with_memory_and_rises_with_the_radius():
    lengths = np.geomspace(0.2, 50, 12)
    assert np.all(np.diff(psi(circular_kernel(5.0), 5.0, lengths)) < 0)
    peaks = [float(psi(circular_kernel(radius), radius, 1.0)) for radius in (3.0, 5.0, 8.0, 12.0)]
    assert np.all(np.diff(peaks) > 0)
    assert psi(circular_kernel(5.0), 5.0, lengths.reshape(3, 4)).shape == (3, 4)


@pytest.mark.parametrize("radius", [3.0, 5.0, 8.0])
def test_all_of_a_passage_counts_each_pixel_twice(radius):
    kernel = circular_kernel(radius, 2.0, inside=-0.5)
    x, density = passage_density(kernel, radius)
    # Every pixel nearer to the path than the radius is crossed by both edges, whatever the way between.
    weights = kernel[0, 0].astype(np.float64)
    place = np.arange(weights.shape[0]) - weights.shape[0] // 2
    totals = []
    for heading in np.radians(np.arange(0.5, 90)):
        beside = place[:, None] * math.cos(heading) - place[None, :] * math.sin(heading)
        totals += [2 * weights[np.abs(beside - shift) < radius].sum() for shift in np.arange(-0.5, 0.5, 0.1)]
    assert density.sum() * (x[1] - x[0]) == pytest.approx(np.mean(totals), abs=0.03 * np.abs(weights).sum())


def test_a_kernel_that_is_alike_on_all_sides_needs_fewer_headings():
    kernel = circular_kernel(4.0, 2.0, outside=-0.3)
    _, density = passage_density(kernel, 4.0)
    uneven = kernel.copy()
    uneven[..., 0, 0] = 1e-12  # nothing, but all headings are taken
    _, whole = passage_density(uneven, 4.0)
    np.testing.assert_allclose(density, whole, atol=1e-9)
    bar = np.zeros((1, 1, 9, 9))
    bar[..., 4, :] = 1.0  # alike in a mirror, but not on its side
    lies, stands = (passage_density(one, 4.0)[1] for one in (bar, bar.swapaxes(-1, -2)))
    np.testing.assert_allclose(lies, stands, atol=0.1 * stands.max())


def test_only_the_last_axes_of_a_kernel_count():
    kernel = circular_kernel(3.0)
    for form in (kernel, kernel[0, 0], np.repeat(kernel, 3, axis=0)):
        assert psi(form, 3.0, 2.0) == psi(kernel, 3.0, 2.0)


# --- the high-pass ----------------------------------------------------------------------------------


def spikes_per_px(network: Network, radius: float, speed: float, channel: int, contrast: float) -> list[float]:
    """Layer-1 spikes of one channel per px of travel, for a few directions."""
    reach = 4 * radius
    found = []
    for heading in (3.0, 20.0, 45.0, 257.0):
        events = passage(radius, speed, heading, reach, seed=9_000 + int(heading), contrast=contrast)
        spikes = engines.run(network, events).of_layer(0)
        found.append(float((spikes.channel == channel).sum() / (2 * reach)))
    return found


@pytest.mark.parametrize(
    ("radius", "contrast"), [(4.0, 1.0), (4.0, 3.0), (4.0, 10.0), (8.0, 1.0), (8.0, 10.0), (12.0, 3.0)]
)
def test_a_channel_fires_above_its_edge_and_is_silent_below(radius, contrast):
    network = calibrate(EDGES, radius, crossing_share=1.0)
    for channel, edge in enumerate(EDGES):
        below = spikes_per_px(network, radius, 0.55 * edge, channel, contrast)
        above = spikes_per_px(network, radius, 1.4 * edge, channel, contrast)
        # A few spikes where the disk appears: the first event of every pixel passes the trail filter.
        assert max(below) * 8 * radius <= 6, (edge, below)
        assert min(above) > 0.7, (edge, above)


@pytest.mark.parametrize("contrast", [1.0, 6.0])
def test_the_high_pass_of_a_stated_contrast(contrast):
    network = calibrate(EDGES, 5.0, contrast=contrast)
    assert network.trail_filter is None
    for channel, edge in enumerate(EDGES):
        assert max(spikes_per_px(network, 5.0, 0.6 * edge, channel, contrast)) <= 0.03
        assert min(spikes_per_px(network, 5.0, 1.4 * edge, channel, contrast)) > 0.5


def test_a_wrong_contrast_shifts_the_edge():
    # The confound: without the trail filter a channel cannot tell contrast from speed.
    network = calibrate(EDGES, 5.0, contrast=2.0)
    assert min(spikes_per_px(network, 5.0, 0.6 * EDGES[1], 1, 8.0)) > 0.7
    assert max(spikes_per_px(network, 5.0, 1.4 * EDGES[1], 1, 0.8)) <= 0.02


# --- what a calibration is made of --------------------------------------------------------------------


def test_the_form_of_the_network():
    network = calibrate((16, 62, 177, 500), 5.0)
    first, second = network.layers
    assert (first.channels, first.groups, second.channels, second.groups) == (4, 4, 3, 1)
    assert network.bands == Bands((16, 62, 177, 500))
    assert network.radius_px == 5.0
    assert network.trail_filter is not None
    assert network.trail_filter.silence_us == tuple(round(3e6 / edge) for edge in (16, 62, 177, 500))
    for channel in range(4):
        np.testing.assert_array_equal(first.kernel[channel], circular_kernel(5.0, 2.0, inside=-0.5)[0])
    # Channel k of layer 2: the middle of edge channel k, nothing of slower ones, against all faster ones.
    own, veto = centre_surround_kernel(1.6, 5.0, weight=-0.15)[0, 0], -3 * disk_kernel(10.0)[0, 0]
    margin = (veto.shape[0] - own.shape[0]) // 2
    for band in range(3):
        for channel in range(4):
            expected = np.pad(own, margin) if channel == band else veto if channel > band else np.zeros_like(veto)
            np.testing.assert_array_equal(second.kernel[band, channel], expected)


def test_memories_follow_the_edges():
    recipe = Recipe()
    network = calibrate(EDGES, 5.0)
    corner = math.pi * recipe.ring_width_px / 2
    for layer, share, edges in zip(network.layers, (recipe.memory, recipe.hold), (EDGES, EDGES[1:]), strict=True):
        # What a membrane keeps of a tick is exp(-dt / tau), whatever Euler's time constant is called.
        keep = 1 - layer.neurons.decay(network.dt_us).astype(np.float64)
        np.testing.assert_allclose(-network.dt_us * 1e-6 / np.log(keep), share * corner / np.array(edges), rtol=1e-4)


LAW = Recipe(margin=1.0, margin_peaks=0.0, margin_blur=0.0, margin_px=0.0, margin_trail=1.0)


def thresholds(recipe: Recipe = LAW, **settings) -> np.ndarray:
    return calibrate(EDGES, 5.0, recipe=recipe, **settings).layers[0].neurons.v_th


def test_thresholds_follow_contrast_and_share():
    base = thresholds(contrast=1.0)
    np.testing.assert_allclose(thresholds(contrast=4.5), 4.5 * base, rtol=1e-6)
    np.testing.assert_allclose(thresholds(crossing_share=0.5), base / 2, rtol=1e-6)
    np.testing.assert_allclose(thresholds(), CROSSING_SHARE * base, rtol=1e-6)


def test_thresholds_are_the_law_with_a_margin():
    edges, dt = np.array(EDGES), 1e-3
    memory_px = np.full(3, LAW.memory * math.pi * LAW.ring_width_px / 2)
    kernel = circular_kernel(5.0, LAW.ring_width_px, inside=LAW.inside)
    law = 2.0 * dt * edges * psi(kernel, 5.0, memory_px, edges * dt)
    np.testing.assert_allclose(thresholds(contrast=2.0, dt_us=1_000), law, rtol=1e-5)
    raised = Recipe(margin=1.1, margin_peaks=0.3, margin_blur=-0.1, margin_px=0.5, margin_trail=1.4)
    peaks = 0.3 / math.sqrt(5) / (1 + edges * dt / LAW.ring_width_px)
    made = thresholds(raised, contrast=2.0, dt_us=1_000)
    np.testing.assert_allclose(made, (1.1 + 0.1 + (peaks - 0.1) / 2) * law, rtol=1e-5)
    made = thresholds(raised, crossing_share=2.0, dt_us=1_000)
    np.testing.assert_allclose(made, 1.4 * (1.1 + 0.1 + peaks - 0.1) * law, rtol=1e-5)


def test_a_long_tick_lowers_the_peak():
    kernel = circular_kernel(5.0)
    ticks = np.array([0.0, 0.1, 0.17, 0.3, 0.5, 1.0])
    peaks = psi(kernel, 5.0, 0.94, ticks)
    assert np.all(np.diff(peaks) < 0)
    np.testing.assert_allclose(peaks[:4], peaks[0], rtol=0.01)
    # All events of a tick of 30 px at once: their share of the tick is what is left of rho.
    x, rho = passage_density(kernel, 5.0)
    whole = max(np.convolve(rho, np.full(300, 1 / 300))[: x.size])
    assert float(psi(kernel, 5.0, 1e-3, 30.0)) < whole


def test_one_lone_spike_is_not_enough_for_the_second_layer():
    network = calibrate(EDGES, 5.0)
    second = network.layers[1]
    # A spike in the middle adds a times the kernel's largest weight, 1; it takes more than that.
    np.testing.assert_allclose(second.neurons.v_th, second.neurons.decay(network.dt_us), rtol=1e-6)
    assert second.kernel.max() == 1


@pytest.mark.parametrize("factor", [2, 10])
def test_only_travel_counts_not_time(factor):
    slow = calibrate(EDGES, 6.0, dt_us=1_000)
    fast = calibrate([factor * edge for edge in EDGES], 6.0, dt_us=1_000 // factor)
    for one, other in zip(slow.layers, fast.layers, strict=True):
        np.testing.assert_allclose(one.neurons.v_th, other.neurons.v_th, rtol=1e-5)
        np.testing.assert_allclose(one.neurons.decay(1_000), other.neurons.decay(1_000 // factor), rtol=1e-5)
        np.testing.assert_array_equal(one.kernel, other.kernel)


def test_without_polarity_the_second_edge_must_count():
    # The trailing edge of a disk of radius R follows the leading one by at most 2 R.
    for radius in (2.0, 3.0, 5.0, 12.0):
        network = calibrate((16, 62, 177, 500), radius, polarity=False)
        trail = network.trail_filter
        assert trail is not None
        assert not trail.flips
        travel = np.array(trail.silence_us) * 1e-6 * np.array(network.bands.edges)
        assert np.all((travel > 1.99) & (travel < 3.01))
        ratio = np.array([62 / 16, 177 / 62, 500 / 177])
        assert np.all((travel[:3] * 1.5 * ratio <= 2 * radius * 1.01) | (travel[:3] < 2.01))


def test_a_recipe_changes_what_it_names():
    plain, other = calibrate(EDGES, 5.0), calibrate(EDGES, 5.0, recipe=Recipe(inside=-1.0, veto=-5.0, trail_px=4.0))
    assert other.layers[0].kernel.min() == -1
    assert other.layers[1].kernel.min() == -5
    assert plain.layers[1].kernel.min() == -3
    assert other.trail_filter.silence_us[0] == round(4e6 / EDGES[0])


def test_origin_says_where_the_numbers_come_from():
    asked = calibrate(EDGES, 5.0, contrast=2.5, dt_us=500).origin
    assert asked["dt_us"] == asked["n"] == "as asked"
    assert "n = 2.5 events" in asked["v_th"]
    chosen = calibrate(EDGES, 5.0).origin
    assert "moves at most" in chosen["dt_us"]
    assert "trail filter" in chosen["n"]


# --- dt ---------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(speed=st.floats(0.1, 5e5), width=st.floats(1, 4))
def test_dt_is_the_longest_round_number_that_is_short_enough(speed, width):
    dt_us = choose_dt_us(speed, width)
    longest = min(1e6 * width / (2 * speed), MAX_DT_US)
    mantissa = str(dt_us).rstrip("0")
    assert mantissa in ("1", "2", "5")
    assert dt_us <= longest
    assert dt_us * (2.5 if mantissa == "2" else 2) > longest


def test_dt_of_some_bands():
    assert calibrate((16, 62, 177, 500), 5.0).dt_us == min(2_000, MAX_DT_US)
    assert calibrate((1_000, 13_000), 10.0).dt_us == 50
    assert calibrate((20, 2_000), 5.0).dt_us == 500
    assert calibrate((20, 2_000), 5.0, dt_us=100).dt_us == 100


# --- refusals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"bands": (62, 16)}, NetworkError, "at least two increasing speeds above 0 px/s, got 62, 16"),
        ({"bands": (16, 16)}, NetworkError, "increasing"),
        ({"bands": (16,)}, NetworkError, "at least two"),
        ({"bands": ()}, NetworkError, "got none"),
        ({"bands": (0, 16)}, NetworkError, "above 0 px/s"),
        ({"bands": (16, 3e6)}, CalibrationError, "bands up to 3e\\+06 px/s need a dt below 1 us"),
        ({"bands": (20, 100, 105)}, CalibrationError, r"from 100 to 105 px/s is too narrow.*at least 1\.\d+ times"),
        ({"radius": 0}, CalibrationError, "radius must be above 0 px, got 0"),
        ({"radius": -5}, CalibrationError, "radius must be above 0 px, got -5"),
        ({"radius": math.nan}, CalibrationError, "above 0 px, got nan"),
        ({"radius": math.inf}, CalibrationError, "above 0 px, got inf"),
        ({"radius": 1.0}, CalibrationError, "too small to be told from noise; use 1.5 px or more"),
        ({"radius": 600}, NetworkError, "larger than 1025 px"),
        ({"contrast": 0}, CalibrationError, "contrast must be 0.001 events per pixel and edge crossing or more, got 0"),
        ({"contrast": -2}, CalibrationError, "got -2"),
        ({"contrast": math.nan}, CalibrationError, "got nan"),
        ({"contrast": math.inf}, CalibrationError, "got inf"),
        ({"dt_us": 0}, CalibrationError, "dt must be at least 1 us, got 0"),
        ({"dt_us": -5}, CalibrationError, "dt must be at least 1 us, got -5"),
        ({"dt_us": 5_000}, CalibrationError, r"500 px/s moves 2.5 px, more than the ring's 2 px; use at most \d+ us"),
    ],
)
def test_refusals(values, error, words):
    with pytest.raises(error, match=words) as caught:
        calibrate(**{"bands": (16, 62, 177, 500), "radius": 5.0, **values})
    assert "\n" not in str(caught.value)
