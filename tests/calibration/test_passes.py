"""What a pass shows, and how many there may be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from velocell.calibration import calibrate, passes
from velocell.calibration.measure import measured_on, networks_for, networks_from
from velocell.calibration.passes import MOST_US, VAIN_US, Passes, Told
from velocell.calibration.search import Search
from velocell.pipeline import detect
from velocell.simulate import Scene, SceneObject, random_scene, simulate

BANDS = (40.0, 160.0, 640.0, 1800.0)
SEARCH = Search.of(BANDS, 5.0)


def passage(share=1.0, crossings=500.0, odds=4.0):
    return [share, 5.0, 3.0, crossings, 0.001, 0.002, odds, 0.3, 200.0]


def disks(seconds=1.0, noise_hz=0.1, seed=71):
    """Four disks in lanes of their own, at 60 to 900 px/s."""
    objects = tuple(
        SceneObject(id=i, x_px=60, y_px=30 + 60 * i, speed_px_s=speed, bounce=True)
        for i, speed in enumerate((60, 120, 250, 900))
    )
    return simulate(Scene(320, 240, round(1e6 * seconds), seed=seed, noise_hz=noise_hz, objects=objects))[0]


def test_what_is_hardly_a_disk_says_nothing():
    told = Told.of(np.array([passage(1.0), passage(0.3, 5000, odds=0.5), passage(0.3, 5000, odds=-2)]), SEARCH)
    assert len(told) == 1
    assert told.median("share") == 1.0
    assert not len(Told.of(np.empty((0, 9)), SEARCH))


def test_a_fast_object_does_not_speak_for_all():
    told = Told.of(np.array([passage(1.1), passage(1.1), passage(1.1), passage(0.7, 30_000)]), SEARCH)
    assert told.median("share") == 1.1
    assert not told.enough(), "three objects of 500 crossings and one that counts as 1000"
    assert Told.of(np.array([passage(crossings=900.0)] * 3), SEARCH).enough()


@pytest.mark.parametrize("soon", [True, False])
def test_a_pass_gives_the_rows_and_passages_of_a_run(soon):
    recording, network = disks(), calibrate(BANDS, 5.0, crossing_share=1.1)
    counted = Passes(SEARCH)
    seen = counted.see(network, recording, soon=soon)
    assert seen.short is soon
    assert seen.stop_us == (200_000 if soon else 700_000)
    assert (counted.made, counted.made_us) == (1, seen.stop_us)
    tracks = detect(recording, network=network).tracks
    tracks = tracks.where(tracks.t_us <= seen.stop_us)
    np.testing.assert_allclose(seen.speed, tracks.speed_px_s)
    np.testing.assert_array_equal(seen.band, tracks.band)
    np.testing.assert_array_equal(seen.t_us, tracks.t_us)
    # A short pass shows little of each.
    np.testing.assert_allclose(seen.told.share, 1.1, atol=0.08 if soon else 0.05)
    np.testing.assert_allclose(np.median(seen.told.share), 1.1, atol=0.02)


def test_a_pass_over_clutter_ends_early(monkeypatch):
    recording, network = disks(noise_hz=30), calibrate(BANDS, 5.0, crossing_share=0.4)
    monkeypatch.setattr(passes, "MOST_WORK", 300_000)
    assert Passes(SEARCH).see(network, recording).stop_us <= 200_000


def test_passes_are_counted_and_limited():
    """Those that see nothing end early, and there are fewer of them: room for two looks at two stretches."""
    quiet, some = simulate(Scene(64, 64, 1_000_000, noise_hz=1.0))[0], disks()
    for recording, most_us, each_us in ((quiet, VAIN_US, 700_000), (some, MOST_US, 700_000)):
        counted = Passes(SEARCH)
        while counted.left:
            counted.see(calibrate(BANDS, 5.0), recording)
        assert most_us <= counted.made_us < most_us + 1_000_000
        assert counted.made_us == each_us * counted.made
    assert VAIN_US > 3 * 700_000


def test_several_networks_at_once_are_as_many_looks():
    quiet = simulate(Scene(64, 64, 1_000_000, noise_hz=1.0))[0]
    counted = Passes(SEARCH)
    counted.see([calibrate(BANDS, radius) for radius in (4.0, 5.0, 6.0, 7.0)], quiet)
    assert counted.made_us == 700_000
    assert not counted.left


def test_the_networks_of_a_range_are_one_look():
    quiet = simulate(Scene(64, 64, 1_000_000, noise_hz=1.0))[0]
    search = Search.of(BANDS, (4.0, 7.0))
    counted = Passes(search)
    networks = networks_from(search, 0.0, polarity=True)
    assert len(networks) > 3
    while counted.left:
        counted.see(networks, quiet)
    assert counted.made_us == 4 * 700_000


@pytest.mark.parametrize(("radius", "times"), [(5.0, 1.0), (30.0, 3.0)])
def test_a_pass_ends_by_the_weights_that_its_events_add(monkeypatch, radius, times):
    """Where noise leads to no spike, by events: those of a large kernel cost more."""
    quiet = simulate(Scene(128, 128, 1_000_000, noise_hz=10.0))[0]
    monkeypatch.setattr(passes, "MOST_WORK", len(quiet) // 4)
    monkeypatch.setattr(passes, "_JUDGED_US", 10_000_000)
    network = calibrate(BANDS, radius, crossing_share=30.0)
    assert network.layers[0].kernel.size == pytest.approx(times * passes._WEIGHTS, rel=0.1 if times > 1 else 0.9)
    seen = Passes(SEARCH).see(network, quiet)
    assert seen.stop_us == pytest.approx(250_000 / times, abs=100_000)


def test_passes_that_see_nothing_are_limited_by_their_work(monkeypatch):
    """A texture has many events, of which a stretch is short."""
    monkeypatch.setattr(passes, "VAIN_WORK", 2_000)
    quiet = simulate(Scene(64, 64, 1_000_000, noise_hz=1.0))[0]
    counted = Passes(SEARCH)
    assert measured_on(quiet, SEARCH, counted) is None
    assert counted.made == 1, "other sizes are not looked for any more"
    assert not counted.left
    counted.see(calibrate(BANDS, 5.0), disks())
    assert counted.left, "it has seen something"


@pytest.mark.parametrize("noise_hz", [0.1, 7.0])
def test_sharp_disks_take_two_passes(noise_hz, monkeypatch):
    made = []
    see = Passes.see
    monkeypatch.setattr(Passes, "see", lambda self, *a, **k: made.append(1) or see(self, *a, **k))
    network = networks_for(disks(noise_hz=noise_hz), SEARCH)[0]
    assert len(made) == 2
    assert network.origin.crossings == pytest.approx(1.1, abs=0.06), "noise adds little"


@pytest.mark.parametrize(("what", "noise_hz"), [("nothing", 10.0), ("drops", 0.1)])
def test_where_nothing_deserves_it_the_values_are_safe(what, noise_hz):
    """Noise, and drops of R = 1 to 2 alone: assumed values, a word of it, and hardly a row."""
    scene = Scene(200, 150, 2_000_000, seed=9, noise_hz=noise_hz)
    if what == "drops":
        rain = random_scene(60, width=200, height=150, radius=(1, 2), speeds=(300, 900), seed=5, separate=False)
        scene = replace(scene, objects=tuple(replace(item, bounce=True, target=False) for item in rain.objects))
    found = detect(simulate(scene)[0], BANDS, 5.0)
    assert found.too_sparse
    assert found.network.origin.crossings == 0.85
    assert "nothing was followed" in found.network.origin["n"]
    assert len(found.tracks) < 20


@pytest.mark.parametrize("start_us", [1_200_000, 3_000_000])
def test_a_late_start_is_measured_where_it_is(start_us):
    recording = disks(1.2)
    late = replace(recording, t_us=recording.t_us + start_us, start_us=0, stop_us=recording.stop_us + start_us)
    origin = networks_for(late, SEARCH)[0].origin
    assert origin.basis == "measured"
    first_us, last_us = origin.measured_us
    assert start_us - 100_000 <= first_us <= start_us + 100_000 < last_us <= first_us + 1_000_000
    assert "on what was followed from" in origin["measured"]
    assert origin.of(dict(origin)) == origin


@pytest.mark.parametrize(("radii", "stated", "found"), [((4.7, 5.5), 5.0, 5.0), ((5.6, 5.7), 5.0, 5.33)])
def test_a_radius_between_those_of_the_objects_stays(radii, stated, found):
    """Bright disks look larger than dark ones; a radius that suits neither moves, to a larger one half of the way."""
    objects = tuple(
        SceneObject(id=i, x_px=60, y_px=30 + 60 * i, speed_px_s=speed, bounce=True, radius_px=radii[i % 2])
        for i, speed in enumerate((60, 120, 250, 900))
    )
    recording = simulate(Scene(320, 240, 1_000_000, seed=5, noise_hz=0.1, objects=objects))[0]
    assert networks_for(recording, Search.of(BANDS, stated))[0].radius_px == pytest.approx(found, abs=0.1)


def test_a_ring_suits_all_sizes_that_are_seen():
    def told(*sized):
        """Of objects with these radii and weights."""
        radius, weight = (np.array(column, float) for column in zip(*sized, strict=True))
        return Told(np.ones_like(radius), *(radius, *3 * (np.ones_like(radius),)), weight)

    fast_and_bright = told((7.55, 1000), (7.6, 1000), (7.6, 1000), (6.75, 260), (6.8, 250))
    assert fast_and_bright.suiting(7.0) == 7.0  # both kinds within a tenth of it
    assert fast_and_bright.suiting(6.0) == pytest.approx((6.75 + 7.6) / 2)
    assert fast_and_bright.median("radius") == 7.6
    assert told((7.6, 1000)).suiting(7.0) == 7.0  # the dark ones may not be followed yet
    assert told((7.9, 1000)).suiting(7.0) == 7.9
