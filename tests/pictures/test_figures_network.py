"""Receptive fields and membrane traces: against the engine and against brute force."""

from __future__ import annotations

import numpy as np
import pytest

from velocell import Bands, Layer, LIFBox, Network, Recording
from velocell.calibration.formulas import calibrate
from velocell.engines import reference, run
from velocell.errors import NetworkError, RecordingError
from velocell.pictures.figures.neurons import composed_field, edge_field, plot_receptive_fields, plot_traces
from velocell.pictures.figures.style import INK, SMALL_PT
from velocell.simulate import notebook_scene, simulate
from velocell.studies.membranes import membrane_traces

BANDS = Bands((16, 62, 177, 500))


@pytest.fixture(scope="module")
def network():
    return calibrate(BANDS, 5.0)


@pytest.fixture(scope="module")
def recording():
    return simulate(notebook_scene())[0].between(stop_us=120_000)


@pytest.mark.parametrize("layer", [0, 1])
def test_traces_are_the_engines_potentials_and_spikes(network, recording, layer):
    whole = reference.membrane(network, recording, layer=layer)
    spikes = run(network, recording, engine="reference").of_layer(layer)
    # In the middle, at both ends of the sensor, and one that spikes.
    busy = (int(spikes.channel[0]), int(spikes.x[0]), int(spikes.y[0]))
    neurons = [(0, 25, 25), (1, 0, 0), (2, 49, 40), busy]
    found = membrane_traces(network, recording, neurons, layer=layer)
    assert found.v.shape == (4, 120)
    for k, (channel, x, y) in enumerate(neurons):
        np.testing.assert_array_equal(found.v[k], whole[:, channel, y, x])
        mine = (spikes.channel == channel) & (spikes.x == x) & (spikes.y == y)
        np.testing.assert_array_equal(found.spikes_us[k], spikes.t_us[mine])
        assert found.v_th[k] == network.layers[layer].neurons.v_th[channel]
    assert len(found.spikes_us[3])
    np.testing.assert_array_equal(found.t_us, np.arange(0, 120_000, 1_000))


def test_traces_of_a_part_keep_its_times(network, recording):
    part = recording.between(50_300, 60_100)
    found = membrane_traces(network, part, [(0, 25, 25)])
    np.testing.assert_array_equal(found.t_us, np.arange(50_000, 61_000, 1_000))


def test_what_cannot_be_traced_is_told(network, recording):
    with pytest.raises(NetworkError, match="layer 2 does not exist; the network has layers 0 to 1"):
        membrane_traces(network, recording, [(0, 1, 1)], layer=2)
    with pytest.raises(NetworkError, match="channel 3 of layer 1 does not exist; it has 3 channels"):
        membrane_traces(network, recording, [(3, 1, 1)], layer=1)
    with pytest.raises(NetworkError, match="at least one neuron"):
        membrane_traces(network, recording, [])
    with pytest.raises(RecordingError, match="50,1 lies outside the 50x50 sensor"):
        membrane_traces(network, recording, [(0, 50, 1)])
    long = Recording.from_arrays([0, 9 * 10**9], [0, 0], [0, 0], width=50, height=50)
    with pytest.raises(RecordingError, match="take a shorter part"):
        membrane_traces(network, long, [(0, 1, 1)])


def test_traces_are_drawn_with_threshold_and_spikes(network, recording):
    found = membrane_traces(network, recording, [(2, 30, 39), (3, 30, 39)])
    figure = plot_traces(found, names=BANDS.names)
    for k, axes in enumerate(figure.axes):
        membrane, threshold, marks = axes.lines
        np.testing.assert_array_equal(membrane.get_xydata(), np.stack([found.t_us / 1e6, found.v[k]], axis=-1))
        assert set(threshold.get_ydata()) == {float(found.v_th[k])}
        np.testing.assert_array_equal(marks.get_xdata(), found.spikes_us[k] / 1e6)
        assert axes.get_ylim()[0] < found.v[k].min()
        assert axes.get_ylim()[1] > found.v_th[k]
    assert len(found.spikes_us[0])
    assert [axes.get_ylabel() for axes in figure.axes] == ["fast\nv", "above\nv"]
    assert figure.axes[1].lines[0].get_color() == INK


def test_composed_field_is_what_two_correlations_do():
    rng = np.random.default_rng(1)
    first = Layer.from_arrays(rng.normal(size=(2, 1, 3, 3)), LIFBox([10, 20], 1), groups=1)
    second = Layer.from_arrays(rng.normal(size=(2, 2, 5, 5)), LIFBox([10, 20], 1))
    network = Network(1_000, (first, second))
    events = np.zeros((1, 15, 15), np.float32)
    for channel in range(2):
        field = composed_field(network, channel)
        assert field.shape == (7, 7)
        for row in range(7):
            for column in range(7):
                # What reaches the neuron in the middle from an event at this place.
                events[:] = 0
                events[0, 7 + row - 3, 7 + column - 3] = 1
                middle = reference.correlate(events, first)
                middle[1 - channel] = 0
                answer = reference.correlate(middle, second)[channel, 7, 7]
                assert answer == pytest.approx(field[row, column], abs=1e-5)


def test_edge_field_fades_with_the_membrane(network):
    for channel in range(4):
        x, t, weights = edge_field(network, channel)
        kernel = network.layers[0].dense_kernel()[channel, channel]
        np.testing.assert_allclose(weights[0], kernel.sum(axis=0))
        np.testing.assert_array_equal(x, np.arange(-6, 7))
        assert t[-1] == pytest.approx(3 * network.layers[0].neurons.tau_us[channel] / 1e3)
        np.testing.assert_allclose(weights[-1], weights[0] * np.exp(-3))


def test_fields_are_drawn_for_each_channel(network):
    figure = plot_receptive_fields(network, channel=1)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == [
        "first layer", "final layer, itself", "both as one", "final layer, faster",
        "slow, from 16 px/s", "medium, from 62 px/s", "fast, from 177 px/s", "above, from 500 px/s",
    ]  # fmt: skip
    panel = next(axes for axes in figure.axes if axes.get_title() == "medium, from 62 px/s")
    leading = panel.lines[1].get_xydata()
    assert leading[0].tolist() == [5, 0]
    # A disk's edge that goes to the right was further left before.
    assert np.diff(leading[[0, -1]], axis=0)[0] == pytest.approx([-0.062 * leading[-1, 1], leading[-1, 1]])
    # The fastest of the bands has the above-channel left to be vetoed by; the above-channel itself is no final one.
    assert len([a for a in plot_receptive_fields(network, channel=2).axes if a.get_title()]) == 8
    with pytest.raises(NetworkError, match="channel 3 does not exist; the final layer has channels 0 to 2"):
        plot_receptive_fields(network, channel=3)


def test_a_single_layer_without_bands_has_one_field_and_its_times():
    bare = Network(1_000, (Layer.from_arrays(np.ones((1, 2, 3, 5)), LIFBox([10, 20], 1)),))
    figure = plot_receptive_fields(bare)
    assert [axes.get_title() for axes in figure.axes if axes.get_title()] == ["first layer", "channel 0", "channel 1"]
    labels = [label for axes in figure.axes for label in axes.get_xticklabels()]
    assert {label.get_fontsize() for label in labels} == {SMALL_PT}
