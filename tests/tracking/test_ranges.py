"""Several radii at once: which ones, spikes that say for which, objects of all sizes in one scene."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from velocell.calibration.formulas import calibrate
from velocell.calibration.measure import measured_on
from velocell.calibration.passes import Passes
from velocell.calibration.recipe import Recipe, bank_radii, bank_recipe
from velocell.calibration.search import Search
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.errors import CalibrationError, NetworkError
from velocell.network import Network
from velocell.pipeline import detect
from velocell.results.evaluate import evaluate
from velocell.simulate import Scene, SceneObject, random_scene, simulate
from velocell.tracking.detector import Detector
from velocell.tracking.rules import DEFAULTS, Rules

BANDS = (40.0, 160.0, 640.0, 1800.0)


@pytest.mark.parametrize(("smallest", "largest"), [(3.0, 15.0), (3.0, 3.2), (5.0, 40.0)])
def test_the_radii_reach_from_end_to_end_in_small_steps(smallest, largest):
    radii = np.array(bank_radii(smallest, largest))
    assert (radii[0], radii[-1]) == (pytest.approx(smallest), pytest.approx(largest))
    assert np.all(radii[1:] / radii[:-1] <= 1.221)
    # Half a step away, an outline still lies on the ring.
    for low, high in itertools.pairwise(radii):
        assert (high - low) / 2 < bank_recipe(low).ring_width_px / 2


@pytest.mark.parametrize("bounds", [(5.0, 3.0), (0.0, 3.0), (3.0, float("nan")), (4.0, 4.0)])
def test_what_is_no_range_is_refused(bounds):
    with pytest.raises(CalibrationError, match="from a smaller to a larger one"):
        bank_radii(*bounds)


def test_disks_of_all_sizes_cross_and_keep_their_ids():
    scene = random_scene(
        12, width=400, height=300, radius=(4, 10), speeds=(60, 1200), contrast=3, noise_hz=0.2, seed=95,
        duration_us=500_000, separate=False,
    )  # fmt: skip
    recording, truth = simulate(scene)
    found = detect(recording, BANDS, (3.5, 11.0))
    scores = evaluate(found.tracks, truth, BANDS)
    assert scores.recall > 0.97
    assert scores.precision > 0.98
    assert scores.band_accuracy > 0.94  # two of the twelve move at 9 and 14 % below an edge
    assert scores.id_switches <= 2
    for name in np.unique(truth.id):
        mine = truth.id == name
        last = found.tracks.t_us == truth.t_us[mine][-1]
        away = np.hypot(found.tracks.x_px[last] - truth.x_px[mine][-1], found.tracks.y_px[last] - truth.y_px[mine][-1])
        if away.size and away.min() < 1:
            radius = found.tracks.radius_px[last][away.argmin()]
            assert radius == pytest.approx(truth.radius_px[mine][0], rel=0.1)
    assert set(np.unique(found.spikes.radius_px)) <= {network.radius_px for network in found.networks}


@pytest.mark.parametrize("radius", [4.2, 7.3, 12.0])
def test_bands_begin_where_they_are_meant_to_between_two_radii_of_the_bank(radius):
    speeds = [edge * part for edge in (160, 640) for part in (0.96, 1.04)]
    disks = tuple(
        SceneObject(id=i, x_px=30, y_px=30 + 50 * i, radius_px=radius, speed_px_s=speed, contrast=3, bounce=True)
        for i, speed in enumerate(speeds)
    )
    recording, _ = simulate(Scene(320, 210, 700_000, seed=31, noise_hz=0.2, objects=disks))

    def accuracy(rules: Rules) -> float:
        tracks = detect(recording, BANDS, (3.0, 15.0), rules=rules, keep_spikes=False).tracks
        told = tracks.band == np.searchsorted(BANDS, np.array(speeds)[np.rint((tracks.y_px - 30) / 50).astype(int)]) - 1
        return float(told.mean())

    assert accuracy(DEFAULTS) > 0.97
    # The neurons alone, whose edges hold for the radii of their rings.
    assert accuracy(Rules().by_neurons()) < 0.9


def test_a_range_is_measured_by_every_other_ring_and_by_all_where_these_see_nothing():
    radii = bank_radii(3.0, 15.0)
    search = Search.of(BANDS, (3.0, 15.0))

    def passes_of(radius: float, contrast: float) -> tuple[list[int], tuple[Network, ...]]:
        scene = random_scene(
            4, width=160, height=120, radius=radius, speeds=(100, 600), contrast=contrast, noise_hz=0.2, seed=8,
            duration_us=600_000,
        )  # fmt: skip
        passes, counts = Passes(search), []
        see = passes.see
        passes.see = lambda networks, *given, **named: counts.append(len(networks)) or see(networks, *given, **named)
        networks = measured_on(simulate(scene)[0], search, passes)
        return counts, networks or ()

    few = len(radii[::2])
    counts, networks = passes_of(6.5, 3)
    assert set(counts) == {few}
    assert [network.radius_px for network in networks] == pytest.approx(radii)
    assert {network.origin.basis for network in networks} == {"measured"}
    assert len({network.origin.crossings for network in networks}) == 1
    counts, networks = passes_of(6.5, 0.2)  # nothing to be seen
    assert set(counts) == {few, len(radii)}
    assert networks == ()


def test_spikes_keep_their_radius(tmp_path):
    one = Spikes(*(np.array([3, 5], np.int32) for _ in range(5)), layers=2)
    both = Spikes.concatenate([one.for_radius(4.0), one.for_radius(3.0)])
    assert both.radius_px is not None
    assert both.radius_px.tolist() == [3.0, 4.0, 3.0, 4.0]
    assert both.of_layer(5).radius_px.tolist() == [3.0, 4.0]
    both.to_npz(tmp_path / "s.npz")
    assert Spikes.from_npz(tmp_path / "s.npz").same_as(both)
    assert Spikes.concatenate([one, one.for_radius(3.0)]).radius_px is None
    assert not both.same_as(Spikes.concatenate([one, one]))


def test_networks_that_do_not_go_together_are_refused():
    networks = [calibrate(BANDS, radius, dt_us=500) for radius in (4.0, 5.0)]
    with pytest.raises(NetworkError, match="the same bands and the same dt"):
        Detector([networks[0], calibrate(BANDS, 5.0, dt_us=200)], (64, 64))
    spikes = Spikes(np.array([5]), *(np.array([k], np.int32) for k in (9, 9, 0, 1)), layers=2)
    recording, _ = simulate(random_scene(1, width=64, height=64, radius=4, speeds=(100, 200), seed=1))
    with pytest.raises(NetworkError, match="for which radius"):
        Detector(networks, (64, 64)).step(recording, spikes, 1000)


@pytest.mark.parametrize("radius", [(3.0, 70.0), (3.0, 35.0), 60.0])
def test_radii_that_do_not_fit_the_sensor_are_refused_before_any_work(radius, monkeypatch):
    recording = Recording.from_arrays([0, 1], [5, 6], [5, 6], [0, 1], width=128, height=100)
    monkeypatch.setattr("velocell.pipeline.networks_in", lambda *_: pytest.fail("work was begun"))
    with pytest.raises(CalibrationError, match=r"needs kernels of \d+x\d+ px, larger than the 128x100 sensor"):
        detect(recording, (16, 62, 177, 500), radius)


@pytest.mark.parametrize(("radius", "recipe"), [(20.0, Recipe()), (7.3, Recipe()), ((3.0, 15.0), bank_recipe(15.0))])
def test_the_kernel_that_is_asked_room_for_is_the_one_that_is_made(radius, recipe):
    largest = radius[1] if isinstance(radius, tuple) else radius
    side = calibrate((16, 62, 177, 500), largest, recipe=recipe).layers[0].kernel.shape[-1]
    search = Search.of((16, 62, 177, 500), radius)
    search.check_size(side, side)
    with pytest.raises(CalibrationError, match=f"kernels of {side}x{side} px"):
        search.check_size(side - 1, side)
