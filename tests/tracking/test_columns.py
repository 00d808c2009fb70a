"""The columns of a detection beyond the standard ones: acceleration, and what the flags say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from velocell.calibration import calibrate
from velocell.data.tables import COLUMNS, FLAGS
from velocell.data.tracks import Tracks
from velocell.network import Network
from velocell.pipeline import detect
from velocell.results.objects import objects
from velocell.simulate import Scene, SceneObject, simulate
from velocell.tracking.detector import Detector
from velocell.tracking.online import Online, respond
from velocell.tracking.rules import DEFAULTS, Rules

BANDS = (40.0, 160.0, 640.0, 1800.0)


def changing(g: float, speed: float) -> Tracks:
    """A disk that goes to the right, faster and faster (or slower) by g px/s^2, for 0.6 s."""
    t_us = np.arange(0, 600_001, 2_000)
    x_px = 20 + speed * t_us * 1e-6 + g * (t_us * 1e-6) ** 2 / 2
    path = tuple((int(t), float(x), 30.2) for t, x in zip(t_us, x_px, strict=True))
    scene = Scene(300, 60, 600_000, seed=5, noise_hz=0.1, objects=(SceneObject(radius_px=5, path=path),))
    return detect(simulate(scene)[0], BANDS, 5.0, keep_spikes=False).tracks


@pytest.mark.parametrize(("g", "speed"), [(900.0, 120.0), (-700.0, 600.0)])
def test_a_change_of_speed_is_reported(g, speed):
    tracks = changing(g, speed)
    accel = tracks.extra["accel_px_s2"]
    known = np.isfinite(accel)
    assert known.mean() > 0.7
    assert np.median(accel[known]) == pytest.approx(g, rel=0.1)


def test_a_steady_speed_has_no_acceleration():
    tracks = changing(0, 300)
    assert np.isfinite(tracks.extra["accel_px_s2"]).mean() < 0.2


def test_the_new_columns_follow_the_standard_ones_and_survive_a_file(tmp_path):
    tracks = changing(900, 120)
    assert list(tracks.columns()) == [*COLUMNS, "accel_px_s2", "flags"]
    for name in ("a.csv", "a.jsonl"):
        tracks.write(tmp_path / name)
        again = Tracks.read(tmp_path / name)
        np.testing.assert_allclose(again.extra["accel_px_s2"], tracks.extra["accel_px_s2"], atol=0.06)
        np.testing.assert_array_equal(again.flagged("off_band"), tracks.flagged("off_band"))


def follow_with_channels(network: Network, shift: int, rules: Rules = DEFAULTS) -> Tracks:
    """A disk at 500 px/s in the middle band, whose spikes are taken for those of another band."""
    item = SceneObject(x_px=20, y_px=30.2, radius_px=5, speed_px_s=500)
    recording, _ = simulate(Scene(300, 60, 500_000, seed=5, objects=(item,)))
    parts = [part for _, part, _ in respond(Online([network], recording.size), recording.blocks())]
    detector = Detector(network, recording.size, rules=rules)
    spikes = parts[0].concatenate(parts)
    spikes = replace(spikes, channel=(spikes.channel + (spikes.layer == 1) * shift).astype(np.int32))
    return Tracks.from_columns(detector.step(recording, spikes, recording.stop_us))


def test_where_the_neurons_contradict_the_speed_its_band_is_stated_and_marked():
    given = calibrate(BANDS, 5.0, crossing_share=1.0)
    network = replace(given, origin=replace(given.origin, basis="measured"))
    right, wrong = (follow_with_channels(network, shift) for shift in (0, 1))
    assert (right.band == 1).sum() > 50
    assert right.flagged("off_band")[10:].mean() < 0.1
    # What is stated is the band of the speed, once that is known.
    assert wrong.flagged("off_band")[10:].all()
    assert (wrong.band[10:] == 1).all()
    # Of a network that was not calibrated on a recording the neurons have the last word.
    for voted in (follow_with_channels(network, 1, Rules().by_neurons()), follow_with_channels(given, 1)):
        assert (voted.band == 2).sum() > 50
        assert voted.flagged("off_band")[voted.band == 2][10:].all()
    assert not objects(right)[0].off_band
    assert objects(wrong)[0].off_band


def test_rest_and_crowds_are_marked():
    stop = SceneObject(radius_px=5, path=((0, 30, 40), (400_000, 130, 40), (900_000, 130, 40)))
    cross = SceneObject(id=1, radius_px=5, path=((0, 80, 0), (400_000, 82, 80)))
    tracks = detect(simulate(Scene(200, 120, 900_000, seed=4, objects=(stop, cross)))[0], BANDS, 5.0).tracks
    assert tracks.flagged("at_rest").any()
    np.testing.assert_array_equal(tracks.flagged("at_rest"), tracks.speed_px_s == 0)
    crowded = tracks.t_us[tracks.flagged("crowded")]
    apart = np.hypot(*(np.interp(crowded, (0, 400_000), ends) for ends in ((-50, 48), (40, -40))))
    assert crowded.size
    assert apart.max() < 2 * 5 + 12


def test_a_table_without_flags_has_none():
    tracks = Tracks.from_columns({"t_us": [0], "id": [0], "x_px": [1.0], "y_px": [1.0]})
    assert all(not tracks.flagged(name).any() for name in FLAGS)
    assert not objects(tracks)[0].off_band
