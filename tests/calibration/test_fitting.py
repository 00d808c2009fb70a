"""Calibration on labels: what is measured around the paths, which deviations it repairs, what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from places import SHARED, needs
from typer.testing import CliRunner

from velocell.calibration import fitting
from velocell.calibration import labelled as labels
from velocell.calibration.edges import boundary
from velocell.calibration.fitting import fit
from velocell.calibration.formulas import calibrate
from velocell.calibration.measure import network_for
from velocell.cli.app import app
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks
from velocell.errors import TableError
from velocell.formats import read, write_npz
from velocell.network import Network
from velocell.pipeline import detect
from velocell.results.evaluate import evaluate
from velocell.results.scores import Scores
from velocell.simulate import Scene, SceneObject, notebook_scene, random_scene, simulate

EDGES = (42.0, 85.0, 170.0, 340.0, 680.0)
BANDS = Bands(EDGES)
EVERY_US = 10_000
CIRCLES = SHARED / "2404_circle.dat"


def made(seed: int = 301, contrast: float = 3.0) -> tuple[Recording, Tracks]:
    """Eight disks of R = 6 px and their labels every 10 ms."""
    scene = random_scene(
        8, width=320, height=240, radius=6, speeds=(46, 620), contrast=contrast, noise_hz=0.5, seed=seed
    )
    return simulate(scene, truth_every_us=EVERY_US)


def losing(recording: Recording, truth: Tracks, loss: float, above: float) -> Recording:
    """The recording without `loss` of the events around objects faster than `above` px/s."""
    rng, keep = np.random.default_rng(5), np.ones(len(recording), bool)
    for i in np.unique(truth.id):
        path = truth.where(truth.id == i)
        if path.speed_px_s[0] > above:
            dx = recording.x - np.interp(recording.t_us, path.t_us, path.x_px)
            dy = recording.y - np.interp(recording.t_us, path.t_us, path.y_px)
            keep &= (np.hypot(dx, dy) > path.radius_px[0] + 3) | (rng.random(len(recording)) >= loss)
    return recording.mask(keep)


def without(table: Tracks, *names: str, **columns: object) -> Tracks:
    kept = {name: values for name, values in table.columns().items() if name not in names}
    return Tracks.from_columns({**kept, **columns})


def figure(scores: Scores) -> float:
    return float(scores.recall * scores.precision * np.nan_to_num(scores.band_accuracy))


# --- what the labels tell -----------------------------------------------------------------------------


def test_stretches_have_the_speeds_and_bands_of_the_objects():
    _, truth = made()
    cut = labels.stretches(truth, BANDS)
    speeds = np.array([truth.speed_px_s[truth.id == i][0] for i in range(8)])
    assert len(cut.paths) == 8
    np.testing.assert_array_equal(cut.target, BANDS.of_speed(speeds)[cut.path])
    # A bounce cuts a corner: most stretches have none.
    assert np.median(np.abs(cut.speed / speeds[cut.path] - 1)) < 1e-6
    np.testing.assert_allclose(np.bincount(cut.path, cut.weight), 1)
    travelled = speeds * 0.99
    assert (np.abs(np.bincount(cut.path) - (travelled - 4) / 8) < 2.5).all()


def test_a_pause_makes_two_paths():
    _, truth = made()
    gone = truth.where((truth.t_us < 300_000) | (truth.t_us > 600_000))
    assert len(labels.stretches(gone, BANDS).paths) == 16


def test_speed_decides_before_band_and_band_before_path():
    recording, truth = made()
    band = np.where(truth.id == 0, 3, -1)
    only_band = labels.prepared(without(truth, "speed_px_s", band=band), recording, BANDS)
    assert set(only_band.speed_px_s[truth.id == 0]) == {np.sqrt(EDGES[3] * EDGES[4])}
    assert np.isnan(only_band.speed_px_s[truth.id > 0]).all()
    cut, from_speed = labels.stretches(only_band, BANDS), labels.stretches(truth, BANDS)
    assert (cut.target[cut.path == 0] == 3).all()
    rest = cut.path > 0
    assert (cut.target[rest] == from_speed.target[rest]).mean() > 0.95  # corners are slower along the labels
    both = labels.prepared(without(truth, band=band), recording, BANDS)
    np.testing.assert_array_equal(both.speed_px_s, truth.speed_px_s)


@pytest.mark.parametrize("expected", [4.0, 6.0, 9.0])
def test_radius_and_crossings_are_those_of_the_scene(expected):
    recording, truth = made(contrast=2.0)
    cut = labels.stretches(without(truth, "radius_px"), BANDS)
    around = labels.surroundings(cut.paths, recording, 2.6 * expected)
    radius = labels.measured_radius(around, cut.paths, expected)
    assert radius == pytest.approx(6, abs=0.1)
    assert np.median(labels.crossing_shares(cut, around, radius, every=True)) == pytest.approx(2, rel=0.1)
    assert np.median(labels.crossing_shares(cut, around, radius, every=False)) == pytest.approx(1, rel=0.1)
    halved = recording.mask(np.random.default_rng(1).random(len(recording)) < 0.5)
    fewer = labels.crossing_shares(cut, labels.surroundings(cut.paths, halved, 12), radius, every=True)
    assert np.median(fewer) == pytest.approx(1, rel=0.1)


def test_told_bands_are_those_of_the_detection():
    recording, truth = made()
    cut = labels.stretches(truth, BANDS)
    network = network_for(recording, EDGES, 6.0)
    told = labels.told_bands(cut, detect(recording, network=network).spikes, 4, 6.0)
    assert (told == cut.target)[cut.clear].mean() > 0.97
    # Bands far above and far below everything.
    for edges, expected in (((900, 1800, 3600), -1), ((5, 10, 20), 2)):
        other = calibrate(edges, 6.0, crossing_share=0.97)
        told = labels.told_bands(cut, detect(recording, network=other).spikes, 2, 6.0)
        assert (told == expected).mean() > 0.9


@pytest.mark.parametrize(
    ("above", "preferred", "expected"),
    [
        ([0, 0, 0, 1, 1, 1], 30, 30),  # between 20 and 40
        ([0, 0, 0, 1, 1, 1], 15, 20 * 1.1),
        ([0, 0, 0, 1, 1, 1], 90, 40 / 1.1),
        ([0, 1, 0, 1, 1, 1], 30, 30),  # one exception
        ([1, 1, 1, 1, 1, 1], 5, 5),
        ([1, 1, 1, 1, 1, 1], 50, 5 / 1.1),
        ([0, 0, 0, 0, 0, 0], 5, 160 * 1.1),
    ],
)
def test_boundary_parts_with_least_wrong_and_stays_where_it_can(above, preferred, expected):
    speed = np.array([5.0, 10, 20, 40, 80, 160])
    found = boundary(speed, np.array(above, bool), np.ones(6), preferred)
    assert found == pytest.approx(expected)


# --- what it repairs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("stated", [2.0, 15.0])  # calibration by itself mends less
def test_a_wrong_radius_is_put_right(stated):
    recording, truth = made()
    found = fit(recording, truth, EDGES, stated)
    assert found.network.radius_px == pytest.approx(6, abs=0.1)
    assert figure(found.before) < 0.6
    assert figure(found.after) > 0.98
    again = detect(recording, network=found.network)
    assert evaluate(again.tracks, truth, EDGES).band_accuracy > 0.98
    assert found.network.origin["stated_radius_px"] == stated
    assert "to 1.0000" in found.network.origin["on_labels"]


def test_a_wrong_contrast_is_put_right():
    recording, truth = made()
    found = fit(recording, truth, EDGES, 6.0, contrast=6.0)
    assert found.network.trail_filter is None
    assert found.before.band_accuracy < 0.1
    assert figure(found.after) > 0.98
    assert "n = 3.0" in found.network.origin["v_th"] or "n = 2.9" in found.network.origin["v_th"]


@pytest.mark.parametrize("seed", [301, 302])
def test_event_loss_that_differs_by_speed_is_made_up_for(seed):
    recording, truth = made(seed)
    lossy = losing(recording, truth, 0.6, above=200)
    found = fit(lossy, truth, EDGES, 6.0)
    # Where the measured edges are right already, nothing is left to gain.
    assert figure(found.after) > min(figure(found.before) + 0.03, 0.99)
    assert found.after.band_accuracy > 0.95
    factors = found.network.origin["edge_factors"]
    assert factors[0] > factors[-1]  # the fast edges are lowered against the slow ones
    # Labels by band only, and without a radius, are as good.
    named = without(truth, "speed_px_s", "radius_px", band=BANDS.of_speed(truth.speed_px_s))
    assert fit(lossy, named, EDGES, 6.0).after.band_accuracy > 0.9


def test_labelled_bands_move_the_edges():
    """Who labels disks of 100 px/s as band 0 wants an edge above them, whatever the number says."""
    objects = tuple(
        SceneObject(id=i, x_px=12 + 3 * i, y_px=20 + 40 * i, radius_px=6, speed_px_s=v, contrast=3, bounce=True)
        for i, v in enumerate((60.0, 100.0, 180.0, 250.0))
    )
    recording, truth = simulate(
        Scene(240, 160, 1_000_000, seed=303, noise_hz=0.3, objects=objects), truth_every_us=EVERY_US
    )
    table = without(truth, "speed_px_s", band=np.where(truth.id < 2, 0, 1))
    found = fit(recording, table, EDGES[:3], 6.0)
    told = detect(recording, network=found.network).tracks
    slow = told.where(np.abs(told.y_px - 60) < 6)
    assert found.before.band_accuracy < 0.8 < 0.9 < found.after.band_accuracy
    assert np.median(slow.speed_px_s) == pytest.approx(100, rel=0.05)
    assert (slow.band == 0).mean() > 0.9


@pytest.mark.parametrize("seed", range(304, 308))
def test_on_its_own_labels_a_fit_is_never_worse(seed):
    rng = np.random.default_rng(seed)
    recording, truth = made(seed, contrast=float(rng.choice([1.0, 3.0])))
    lossy = losing(recording, truth, float(rng.uniform(0, 0.9)), above=float(rng.uniform(60, 400)))
    # Careless labels: every third row, some px off.
    table = truth.where(truth.t_us % 30_000 == 0)
    off = without(table, x_px=table.x_px + rng.normal(0, 1, len(table)), y_px=table.y_px + rng.normal(0, 1, len(table)))
    found = fit(lossy.with_polarity(rng.choice(["drop", "both"])), off, EDGES, float(rng.uniform(4.5, 8)))
    assert figure(found.after) >= figure(found.before)


@needs(CIRCLES)
def test_the_notebooks_recording_with_a_radius_stated_far_too_large():
    truth = Tracks.read(CIRCLES.with_suffix(".truth.csv"))
    found = fit(read(CIRCLES), truth, (16, 62, 177, 500), 15.0)  # more than calibration mends by itself
    assert figure(found.before) < 0.1
    assert figure(found.after) > 0.99
    assert found.network.radius_px == pytest.approx(5, abs=0.15)


def test_what_cannot_be_bettered_stays():
    recording, truth = simulate(notebook_scene(seed=310), truth_every_us=EVERY_US)
    found = fit(recording, truth, (16, 62, 177, 500), 5.0)
    assert found.after == found.before
    assert found.network.origin["on_labels"].startswith("kept as the recording alone gives it")
    assert "edge_factors" not in found.network.origin


def test_a_worse_network_is_not_taken(monkeypatch):
    """The guard, not good luck: with thresholds planted ten times too high nothing changes."""
    recording, truth = simulate(notebook_scene(seed=311), truth_every_us=EVERY_US)
    monkeypatch.setattr(fitting, "_measured", lambda *_: calibrate((16, 62, 177, 500), 5.0, crossing_share=10))
    found = fit(recording, truth, (16, 62, 177, 500), 4.6)
    assert figure(found.after) >= figure(found.before) > 0.9


# --- what it refuses ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.where(t.id < 0), "the labels are empty"),
        (lambda t: without(t, t_us=t.t_us + 10**9), r"labels are from 10\d+ to 10\d+ us and the recording from 0 to"),
        (lambda t: without(t, x_px=t.x_px + 4000), "lie outside the 320x240 sensor"),
        (lambda t: without(t, x_px=np.where(t.id == 0, np.nan, t.x_px)), "no position"),
        (lambda t: without(t, band=np.full(len(t), 4)), "labels tell band 4, but there are 4 bands, 0 to 3"),
        (lambda t: t.where(t.t_us < 5_000), "no labelled object moves for 12 px, so that the labels tell no speed"),
        (lambda t: without(t, speed_px_s=t.speed_px_s * 100), "no labelled object moves within the bands, 42 to 680"),
        (lambda t: without(t, x_px=319 - t.x_px, y_px=t.y_px[::-1]), "no events around"),
        (lambda t: without(t, t_us=t.t_us[::-1]), "no events around|only .* events per edge crossing"),
    ],
)
def test_labels_of_something_else_are_refused(change, message):
    recording, truth = made()
    with pytest.raises(TableError, match=message):
        fit(recording, change(truth), EDGES, 6.0)


# --- the command --------------------------------------------------------------------------------------


def test_command_shows_before_and_after_and_writes_the_network(tmp_path):
    recording, truth = simulate(replace(notebook_scene(seed=312)), truth_every_us=EVERY_US)
    write_npz(recording, tmp_path / "rec.npz")
    truth.write(tmp_path / "labels.csv")
    out = str(tmp_path / "net.toml")
    bands = ["calibrate", "--bands", "16,62,177,500", "--radius", "15", "-o", out]
    given = ["--recording", str(tmp_path / "rec.npz"), "--labels", str(tmp_path / "labels.csv")]
    done = CliRunner().invoke(app, [*bands, *given])
    assert done.exit_code == 0, done.stderr
    lines = {line.split("  ")[0].strip(): line.split() for line in done.stdout.splitlines()}
    assert lines["figure"][1:3] == ["before", "after"]
    told = {}
    for name in ("recall", "precision", "band accuracy"):
        before, after = (0.0 if word == "-" else float(word) for word in lines[name][len(name.split()) :][:2])
        assert after > 0.95
        told[name] = before
    assert told["recall"] < 0.7  # a radius of 15 px finds little of disks of 5
    network = Network.from_toml(out)
    assert network.radius_px == pytest.approx(5, abs=0.1)
    assert network.origin["settings"]["labels"] == given[-1]
    assert network.origin["labels"].startswith("3 objects")
    bad = CliRunner().invoke(app, [*bands, *given[2:]])
    assert bad.exit_code == 1
    assert "need their recording" in bad.stderr
