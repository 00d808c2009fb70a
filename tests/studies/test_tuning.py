"""Tuning curves: the potentials against the reference engine, the law, edges, files and errors."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from velocell.calibration.formulas import calibrate
from velocell.cli.app import app
from velocell.engines import reference, stream
from velocell.errors import NetworkError, OptionError, VelocellError
from velocell.simulate import Scene, SceneObject, simulate
from velocell.studies import passages
from velocell.studies.tuning import predicted_peaks, tuning

EDGES = (50, 100, 200, 400)
module = sys.modules["velocell.studies.tuning"]  # the package may export its function under the same name


@pytest.fixture(scope="module")
def network():
    return calibrate(EDGES, 5, crossing_share=1.0)


@pytest.fixture(scope="module")
def found(network):
    return tuning(network, contrast=1)


def test_potentials_are_those_of_the_reference(network):
    """Every neuron of a small scene, in every tick, by the engine that defines what a network does."""
    for wanted in (network, calibrate(EDGES, 5, contrast=3)):
        scene = Scene(
            40, 24, 200_000, noise_hz=1, objects=(SceneObject(x_px=2, y_px=11.3, speed_px_s=180, heading_deg=8),)
        )
        recording, _ = simulate(scene)
        trace = reference.membrane(wanted, recording, spiking=False)
        passed = passages.passed_events(wanted, recording)
        maps = stream.input_maps(wanted, recording)
        np.testing.assert_array_equal(passed.sum(axis=1), maps.sum(axis=(0, 2, 3)))
        x, y = np.array([12, 20, 27]), np.array([10, 12, 15])
        events = passages.Passage(recording, np.arange(len(recording)), passed)
        for channel, a in enumerate(wanted.layers[0].neurons.decay(wanted.dt_us).astype(float)):
            ticks, v, count = events.potential(wanted, channel, x, y, a)
            assert count == passed[channel % len(passed)].sum()
            np.testing.assert_allclose(v, trace[ticks, channel][:, y, x], atol=2e-4 * np.abs(v).max())
            when = np.repeat(np.arange(ticks[0], 200)[:, None], 3, axis=1)
            dense = passages.potentials_at(ticks, v, when, a)
            np.testing.assert_allclose(dense, trace[ticks[0] :, channel][:, y, x], atol=2e-4 * np.abs(v).max())


def test_leaky_integration_survives_many_time_constants():
    """Blocks of the scaled sum join up: against the plain recursion over 4000 time constants."""
    rng = np.random.default_rng(1)
    ticks, a = np.sort(rng.choice(20_000, 800, replace=False)), 0.2
    current = rng.normal(size=(800, 2))
    v, expected, at = np.zeros(2), [], dict(zip(ticks.tolist(), current, strict=True))
    for tick in range(ticks[-1] + 1):
        v = v + a * (at.get(tick, 0.0) - v)
        if tick in at:
            expected.append(v)
    np.testing.assert_allclose(passages.integrate(current, ticks, a)[1], expected, atol=1e-9)
    np.testing.assert_array_equal(passages.integrate(current, ticks, 1.0)[1], current)


def test_layer_1_follows_the_law(found, network):
    assert found.speeds.size >= 24
    assert (found.speeds[0], found.speeds[-1]) == (pytest.approx(25), pytest.approx(800))
    assert found.peak_r2 > 0.98
    # Not by one steep channel alone, nor by the fast end alone.
    near = np.abs(np.log(found.peak_measured / found.peak_predicted))[:, found.speeds > 50]
    assert np.median(near) < 0.05
    assert (found.peak_single >= found.peak_measured * 0.99).all()
    np.testing.assert_allclose(found.crossings, 1, atol=0.05)
    np.testing.assert_allclose(predicted_peaks(network, [100], 5, 2), 2 * predicted_peaks(network, [100], 5))


def test_final_channels_answer_within_their_bands(found):
    assert found.share_measured.shape == (3, found.speeds.size)
    assert (found.share_measured.sum(axis=0) <= 1 + 1e-9).all()
    for k in range(3):
        inside = (found.speeds > 1.2 * EDGES[k]) & (found.speeds < 0.85 * EDGES[k + 1])
        assert found.share_measured[k, inside].min() > 0.9
    np.testing.assert_allclose(found.edges, np.stack([EDGES[:-1], EDGES[1:]], axis=1), rtol=0.2)
    assert found.share_r2 > 0.95


def test_edges_are_where_half_of_the_maximum_is_crossed():
    speeds = np.array([1.0, 2, 4, 8, 16])
    edges = module.realised_edges(speeds, np.array([[0, 0.2, 0.8, 0.8, 0], [0, 0, 0, 0, 0], [1, 1, 0, 0, 0.0]]))
    np.testing.assert_allclose(edges, [[2 * 2 ** (1 / 3), 8 * 2**0.5], [np.nan, np.nan], [np.nan, 2 * 2**0.5]])


def test_same_seed_same_tuning_and_headings_take_turns(network):
    speeds = (60, 150, 300)
    one, two = (tuning(network, speeds=speeds, headings=(0, 45), seed=3).to_dict() for _ in range(2))
    assert one == two
    assert one["headings"] == [0, 45]
    lanes = passages.Lanes.plan(np.array(speeds, float), 5.0, (0, 45), 3)
    np.testing.assert_allclose(np.degrees(lanes.headings), [0, 45] * 3)


def test_contrast_is_the_networks_own_unless_given(network):
    assert module._events(calibrate(EDGES, 5, contrast=6), None) == (6, 0)
    assert module._events(network, None) == (3, 0)
    assert calibrate(EDGES, 5, crossing_share=0.6).origin.crossings == 0.6
    assert replace(network, origin={}).origin.crossings is None
    events, loss = module._events(calibrate(EDGES, 5, crossing_share=0.6), 2)
    assert (events, 1 - loss**2) == (2, pytest.approx(0.6))


def test_files_hold_what_was_found(found, tmp_path):
    for name in ("t.csv", "t.json"):
        found.write(tmp_path / name)
    rows = list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))
    assert len(rows) == (4 + 3) * found.speeds.size
    first = [row for row in rows if (row["layer"], row["channel"]) == ("1", "2")]
    np.testing.assert_allclose([float(row["measured"]) for row in first], found.peak_measured[2], rtol=1e-5)
    table = json.loads((tmp_path / "t.json").read_text())
    assert table["share_measured"] == found.share_measured.tolist()
    assert table["peak_r2"] == found.peak_r2


def test_figure_shows_prediction_and_measurement(found):
    from velocell.pictures.figures.tuning import plot_tuning_layers

    layer, final = plot_tuning_layers(found).axes
    for axes, predicted, measured in (
        (layer, found.peak_predicted, found.peak_measured),
        (final, found.share_predicted, found.share_measured),
    ):
        for k in range(len(predicted)):
            line, points = axes.lines[2 * k : 2 * k + 2]
            np.testing.assert_array_equal(line.get_ydata(), predicted[k])
            np.testing.assert_array_equal(points.get_ydata(), measured[k])
    assert [line.get_ydata()[0] for line in layer.lines[-4:]] == found.thresholds.tolist()


def test_errors_are_one_sentence(found, network, tmp_path):
    with pytest.raises(NetworkError, match="a network with speed bands; write one with velocell calibrate"):
        tuning(replace(network, bands=None))
    with pytest.raises(NetworkError, match="does not state its radius"):
        tuning(replace(network, radius_px=None))
    for wrong in ({"speeds": [2, 1]}, {"contrast": 0}, {"radius": -1}, {"headings": ()}, {"noise_hz": -1}):
        with pytest.raises(OptionError):
            tuning(network, **wrong)
    with pytest.raises(OptionError, match=r"suffix must be \.csv or \.json"):
        found.write(tmp_path / "t.xml")
    with pytest.raises(VelocellError, match="make the folder first"):
        found.write(tmp_path / "no" / "t.csv")


def test_command_writes_and_tells(network, tmp_path):
    network.to_toml(tmp_path / "net.toml")
    run = CliRunner().invoke(
        app, ["tuning", str(tmp_path / "net.toml"), "-o", str(tmp_path / "t.json"), "--sensitivity"]
    )
    assert run.exit_code == 0, run.stderr
    assert "requested" in run.stdout
    assert "50 - 100" in run.stdout
    table = json.loads((tmp_path / "t.json").read_text())
    assert set(table["variants"]) == {name for name, *_ in module._VARIANTS}
    assert all(name in run.stdout for name in table["variants"])
    # The directions are alike.
    flat = {name: np.array(edges, float) for name, edges in table["variants"].items()}
    np.testing.assert_allclose(flat["heading 45"], flat["heading 0"], rtol=0.15)
    bad = CliRunner().invoke(app, ["tuning", str(tmp_path / "net.toml"), "-o", str(tmp_path / "t.xml")])
    assert bad.exit_code == 1
    assert "suffix must be" in bad.stderr


def test_command_passes_noise_and_seed_on(network, tmp_path):
    network.to_toml(tmp_path / "net.toml")
    noisy = ["tuning", str(tmp_path / "net.toml"), "-o", str(tmp_path / "t.json"), "--noise", "0.5", "--seed", "7"]
    run = CliRunner().invoke(app, noisy)
    assert run.exit_code == 0, run.stderr
    for name, values in {"same": (0.5, 7), "quiet": (0, 7), "other": (0.5, 8)}.items():
        tuning(network, noise_hz=values[0], seed=values[1]).write(tmp_path / f"{name}.json")
        assert ((tmp_path / "t.json").read_text() == (tmp_path / f"{name}.json").read_text()) == (name == "same"), name
