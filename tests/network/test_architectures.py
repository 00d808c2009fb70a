"""The notebook's standard forms: what each added layer lets through, spike by spike."""

from __future__ import annotations

import math

import numpy as np
import pytest

from velocell import engines
from velocell.calibration.formulas import calibrate
from velocell.calibration.recipe import Recipe
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.data.tracks import Tracks
from velocell.errors import NetworkError
from velocell.network import Network, architectures
from velocell.network.architectures import (
    parallel_channels,
    selective_layer,
    with_inhibition,
    with_selection,
    with_smoothing,
)
from velocell.network.kernels import centre_surround_kernel, circular_kernel, disk_kernel
from velocell.network.neurons import LIFBox
from velocell.results.evaluate import evaluate
from velocell.simulate import notebook_scene, simulate

DT_US = 1_000
SLOW, FAST = 0, 1


def counter() -> Network:
    """Two channels without memory: one event in a tick makes the slow one spike, two also the fast one."""
    return parallel_channels(np.ones((1, 1, 1, 1)), LIFBox(1e6 / DT_US, [0.5, 1.5]), DT_US)


def run(network: Network, events: list[tuple[int, int]], *, side: int = 31) -> list[set[tuple[int, int, int]]]:
    """Events (tick, x) in the middle row -> per layer the spikes (tick, x, channel) of that row."""
    ticks, x = np.array(sorted(events)).T
    recording = Recording.from_arrays(ticks * DT_US, x, np.full(x.size, side // 2), width=side, height=side)
    spikes = engines.run(network, recording, engine="reference")
    return [
        {
            (int(t) // DT_US, int(column), int(channel))
            for t, column, row, channel in zip(part.t_us, part.x, part.y, part.channel, strict=True)
            if row == side // 2
        }
        for part in (spikes.of_layer(number) for number in range(len(network.layers)))
    ]


def twice(*places: tuple[int, int]) -> list[tuple[int, int]]:
    return [*places, *places]


def test_parallel_channels_do_not_know_of_each_other():
    recording = simulate(notebook_scene())[0].with_polarity("drop").between(stop_us=100_000)
    kernel, rates, thresholds = circular_kernel(5.0), [20.0, 80.0, 250.0], [1.0, 4.0, 9.0]
    together = engines.run(parallel_channels(kernel, LIFBox(rates, thresholds), DT_US), recording, engine="reference")
    for channel, (rate, threshold) in enumerate(zip(rates, thresholds, strict=True)):
        alone = engines.run(parallel_channels(kernel, LIFBox(rate, threshold), DT_US), recording, engine="reference")
        assert len(alone) > 20
        chosen = together.channel == channel
        for name in ("t_us", "x", "y"):
            np.testing.assert_array_equal(getattr(together, name)[chosen], getattr(alone, name))


def test_inhibition_passes_everything_where_no_faster_channel_spikes():
    network = with_inhibition(counter(), reach_px=5, hold_us=10_000)
    before, after = run(network, [(1, 3), (1, 4), (2, 3), (9, 20), (10, 3)])
    assert after == before
    assert len(after) == 5


def test_inhibition_silences_the_slower_channel_within_its_reach():
    network = with_inhibition(counter(), reach_px=5.0, hold_us=10_000)
    before, after = run(network, [*twice((4, 15)), (4, 10), (4, 9), (4, 25)])
    assert {(4, x, SLOW) for x in (9, 10, 15, 25)} | {(4, 15, FAST)} == before
    assert after == {(4, 9, SLOW), (4, 25, SLOW), (4, 15, FAST)}


@pytest.mark.parametrize("hold_us", [5_000, 12_000])
def test_inhibition_lasts_for_its_hold(hold_us):
    # One veto leaves -3 a; a spike of the channel's own adds a and passes above a / 2, so it takes
    # exp(-t / hold) < 1/6.
    needed = math.ceil(hold_us / DT_US * math.log(6))
    for wait, passes in ((needed - 1, False), (needed, True)):
        _, after = run(with_inhibition(counter(), 3.0, hold_us), [*twice((1, 13)), (1 + wait, 15)])
        assert ((1 + wait, 15, SLOW) in after) is passes


def test_smoothing_wants_company_and_no_surround():
    network = with_smoothing(counter(), 2.5, 8.0, 20_000, weight=-0.5)
    assert run(network, [(1, 15)])[1] == set()
    assert run(network, [(1, 14), (1, 15)])[1] >= {(1, 14, SLOW), (1, 15, SLOW)}
    assert run(network, [(1, 14), (2, 15)])[1] != set()
    surrounded = [(1, 14), (1, 15), (1, 9), (1, 10), (1, 19), (1, 20)]
    assert not {(1, 14, SLOW), (1, 15, SLOW)} & run(network, surrounded)[1]


def test_smoothing_leaves_the_channels_apart():
    network = with_smoothing(counter(), 2.5, 8.0, 20_000)
    assert network.layers[1].groups == 2
    _, after = run(network, [*twice((1, 14)), (1, 15)])
    assert (1, 14, SLOW) in after
    assert not {spike for spike in after if spike[2] == FAST}


def test_selection_smooths_and_inhibits():
    network = with_selection(counter(), 2.5, 8.0, 5.0, 10_000)
    pair, fast = [(1, 14), (1, 15)], twice((1, 14), (1, 15))
    assert run(network, [(1, 14)])[1] == set()
    assert {channel for _, _, channel in run(network, pair)[1]} == {SLOW}
    assert {channel for _, _, channel in run(network, fast)[1]} == {FAST}


def test_each_channel_has_its_own_hold():
    a = with_inhibition(counter(), 3.0, [5_000, 20_000]).layers[1].neurons.decay(DT_US)
    np.testing.assert_allclose(a, -np.expm1([-1 / 5, -1 / 20]), rtol=1e-6)


def test_what_the_network_stands_for_stays():
    network = calibrate((16, 62, 177, 500), 5.0)
    grown = with_smoothing(network, 1.6, 5.0, 20_000)
    assert grown.bands is network.bands
    assert grown.trail_filter is network.trail_filter
    assert grown.layers[:2] == network.layers


def test_the_second_layer_of_a_calibration_is_a_selective_layer():
    recipe, radius = Recipe(), 6.0
    network = calibrate((20, 40, 80, 160), radius, recipe=recipe)
    built = selective_layer(
        centre_surround_kernel(recipe.centre_px, radius, weight=recipe.surround),
        recipe.veto * disk_kernel(recipe.veto_reach * radius),
        network.layers[1].neurons,
        channels=4,
    )
    np.testing.assert_array_equal(built.kernel, network.layers[1].kernel)


def measured_truth() -> tuple[Recording, Tracks]:
    recording, truth = simulate(notebook_scene())
    return recording.with_polarity("drop"), truth


def purity(network: Network, recording: Recording, truth: Tracks, edges: tuple[float, ...]) -> tuple[float, ...]:
    spikes: Spikes = engines.run(network, recording, engine="reference")
    values = evaluate(Tracks.empty(), truth, edges, spikes=spikes).purity
    assert None not in values
    return tuple(value for value in values if value is not None)


def test_only_inhibition_makes_the_slow_channel_selective():
    recording, truth = measured_truth()
    edges = (16.0, 62.0, 177.0, 500.0)
    first = calibrate(edges, 5.0, contrast=6.0).layers[0]
    neurons = LIFBox(first.neurons.tau_mem_inv[:3], first.neurons.v_th[:3])
    single = parallel_channels(first.kernel[:1], neurons, DT_US)
    hold_us = [20_000.0, 8_000.0, 3_000.0]
    slow = {
        "single": purity(single, recording, truth, edges)[0],
        "smoothing": purity(with_smoothing(single, 1.6, 5.0, hold_us), recording, truth, edges)[0],
        "inhibition": purity(with_inhibition(single, 10.0, hold_us), recording, truth, edges)[0],
        "both": purity(with_selection(single, 1.6, 5.0, 10.0, hold_us), recording, truth, edges)[0],
    }
    assert slow["single"] < 0.2
    assert slow["smoothing"] < 0.2
    assert slow["inhibition"] > 0.8
    assert slow["both"] > 0.98


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: with_inhibition(counter(), 3.0, 0.0), "one time above 0 us, or one for each of the 2 channels"),
        (lambda: with_inhibition(counter(), 3.0, [1.0, 2.0, 3.0]), "one for each of the 2 channels"),
        (lambda: with_smoothing(counter(), 3.0, 5.0, [1.0, -1.0]), "above 0 us"),
        (lambda: with_smoothing(counter(), 5.0, 3.0, 1.0), "0 < centre < surround"),
        (lambda: selective_layer(np.ones((1, 1)), np.ones((2, 2)), LIFBox([1.0, 1.0], 1.0)), "odd side"),
        (lambda: selective_layer(np.ones((1, 3)), np.ones((3, 3)), LIFBox([1.0, 1.0], 1.0)), "odd side"),
        (
            lambda: selective_layer(np.ones((1, 1)), np.ones((3, 3)), LIFBox([1.0, 1.0], 1.0), channels=1),
            "2 selective channels need at least as many before them, got 1",
        ),
    ],
)
def test_what_cannot_be_built_is_refused(build, message):
    with pytest.raises(NetworkError, match=message):
        build()


def test_docstring_names_every_form():
    forms = [name for name in vars(architectures) if name.startswith(("with_", "parallel_"))]
    assert len(forms) == 4
    assert all(name in (architectures.__doc__ or "") for name in forms)
