"""The judge of engines judged: what it must refuse, and what it must let pass."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from agreement import assert_agree, assert_same

from velocell import engines
from velocell.calibration.formulas import calibrate
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.network import Layer, Network
from velocell.network.neurons import LIFBox
from velocell.simulate import notebook_scene, simulate

NAMES = ("t_us", "x", "y", "channel", "layer")


@pytest.fixture
def told(monkeypatch):
    """Makes these spikes the answer of the engine 'native', whether that is built or not."""
    load = engines.load

    def tell(spikes: Spikes) -> None:
        fake = SimpleNamespace(init=lambda *_: None, step=lambda *_: (None, spikes), copy=None)
        monkeypatch.setattr(engines, "load", lambda name: fake if name == "native" else load(name))

    return tell


def columns(spikes: Spikes) -> dict[str, np.ndarray]:
    return {name: getattr(spikes, name).copy() for name in NAMES}


def one_neuron(threshold: float, layers: int = 1) -> tuple[Network, Recording]:
    """Each layer passes every event on; the last one has this threshold. Events of tick 1 and tick 3."""
    kernel = np.ones((1, 1, 1, 1))
    chain = [*[0.5] * (layers - 1), threshold]
    network = Network(1_000, tuple(Layer.from_arrays(kernel, LIFBox(1_000.0, v_th)) for v_th in chain))
    return network, Recording.from_arrays([1_000, 3_000], [2, 2], [2, 2], width=5, height=5)


def spikes_at(*rows: tuple[int, int]) -> Spikes:
    """Rows (tick, layer) of the neuron that sees the events."""
    tick, layer = np.array(rows, np.int64).reshape(-1, 2).T
    place = np.full(tick.size, 2, np.int32)
    return Spikes(tick * 1_000, place, place, np.zeros(tick.size, np.int32), layer.astype(np.int32))


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("mistake", ["one more", "one less", "one earlier"])
def test_a_planted_wrong_spike_is_found(told, mistake, layer):
    network, recording = calibrate((16, 62, 177, 500), 5.0), simulate(notebook_scene())[0].between(stop_us=60_000)
    right = engines.run(network, recording, engine="reference")
    told(right)
    assert assert_agree(network, recording, "native").differing == 0
    assert_same(network, recording, "native")
    index, wrong = np.flatnonzero(right.layer == layer)[-1], columns(right)
    if mistake == "one more":
        extra = {"t_us": 30_000, "x": 0, "y": 0, "channel": 0, "layer": layer}
        wrong = {name: np.append(values, np.array(extra[name], values.dtype)) for name, values in wrong.items()}
    elif mistake == "one less":
        wrong = {name: np.delete(values, index) for name, values in wrong.items()}
    else:
        wrong["t_us"][index] -= 20_000
    told(Spikes(**wrong).sorted())
    with pytest.raises(AssertionError, match=rf"of layer {layer} differently in tick"):
        assert_agree(network, recording, "native")
    with pytest.raises(AssertionError, match="where the reference has"):
        assert_same(network, recording, "native")


def test_a_neuron_at_its_threshold_may_be_told_either_way(told, capsys):
    network, recording = one_neuron(threshold=1.0)
    assert len(engines.run(network, recording, engine="reference")) == 0
    told(spikes_at((1, 0)))
    assert assert_agree(network, recording, "native").differing == 1
    assert "1 of 1 active neurons differ (100.00%)" in capsys.readouterr().out
    with pytest.raises(AssertionError):
        assert_same(network, recording, "native")


@pytest.mark.parametrize(("threshold", "agrees"), [(1.0 + 1e-3, False), (1.0 + 1e-5, True)])
def test_how_near_is_near(told, threshold, agrees):
    network, recording = one_neuron(threshold)
    told(spikes_at((3, 0)))
    if agrees:
        assert_agree(network, recording, "native")
    else:
        with pytest.raises(AssertionError, match="differently in tick 2"):  # ticks count from the recording's first
            assert_agree(network, recording, "native")


def test_only_the_first_difference_of_a_neuron_counts(told):
    # The reference spikes in neither tick. Told to have spiked in tick 1 (no margin), the neuron may go its own way.
    network, recording = one_neuron(threshold=1.0)
    recording = Recording.from_arrays([1_000, 3_000], [2, 2], [2, 2], width=5, height=5, stop_us=9_000)
    told(spikes_at((1, 0), (5, 0)))
    assert_agree(network, recording, "native")
    told(spikes_at((5, 0)))
    with pytest.raises(AssertionError, match="of layer 0 differently in tick 4"):
        assert_agree(network, recording, "native")


def test_what_a_neuron_behind_a_difference_does_is_not_judged(told):
    network, recording = one_neuron(threshold=0.25, layers=2)
    assert len(engines.run(network, recording, engine="reference")) == 4
    first = Network(network.dt_us, (Layer.from_arrays(np.ones((1, 1, 1, 1)), LIFBox(1_000.0, 1.0)), network.layers[1]))
    assert len(engines.run(first, recording, engine="reference")) == 0
    told(spikes_at((1, 0), (1, 1)))
    assert assert_agree(first, recording, "native").differing == 2
    told(spikes_at((1, 1)))
    with pytest.raises(AssertionError, match="of layer 1 differently in tick 0"):
        assert_agree(first, recording, "native")


@pytest.mark.parametrize(
    ("spikes", "message"),
    [
        (spikes_at((3, 0), (1, 0)), "canonical order"),
        (spikes_at((1, 0), (1, 0)), "told twice"),
        (spikes_at((1, 0), (1, 1)), "layers that do not exist"),
    ],
)
def test_tables_that_are_no_answer_are_refused(told, spikes, message):
    network, recording = one_neuron(threshold=0.5)
    told(spikes)
    with pytest.raises(AssertionError, match=message):
        assert_agree(network, recording, "native")
