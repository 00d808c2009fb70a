"""Objects that rest or pass behind something keep their ids; others do not get them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from velocell.data.tables import FLAGS
from velocell.data.tracks import Tracks
from velocell.pipeline import detect
from velocell.results.evaluate import evaluate
from velocell.simulate import Occluder, Scene, SceneObject, random_scene, simulate
from velocell.tracking.rules import DEFAULTS, Rules

BANDS = (40.0, 160.0, 640.0, 1800.0)


def follow(scene: Scene, rules: Rules = DEFAULTS) -> Tracks:
    return detect(simulate(scene)[0], BANDS, 5.0, rules=rules, keep_spikes=False).tracks


def behind_a_post(width_px: float, speed: float, heading: float = 0.0, sensor: str = "ideal") -> Scene:
    passing = SceneObject(x_px=30, y_px=40.3, radius_px=5, speed_px_s=speed, heading_deg=heading)
    post = Occluder(120 - width_px / 2, -1, 120 + width_px / 2, 141)
    return Scene(
        260, 140, int(200e6 / speed), seed=3, noise_hz=0.1, objects=(passing,), occluders=(post,), sensor=sensor,
        light_lux=1000,
    )  # fmt: skip


def at_rest(rest_ms: int, speed: float = 200.0) -> Scene:
    way_us = int(100e6 / speed)
    stop, go = way_us, way_us + rest_ms * 1000
    resting = SceneObject(radius_px=5, path=((0, 30, 50), (stop, 130, 50), (go, 130, 50), (go + way_us, 230, 50)))
    return Scene(260, 100, go + way_us, seed=4, noise_hz=0.1, objects=(resting,))


@pytest.mark.parametrize(("width_px", "speed", "heading"), [(6, 500, 0), (12, 80, 20), (30, 200, 0), (45, 120, 20)])
def test_an_object_behind_a_post_keeps_its_id(width_px, speed, heading):
    tracks = follow(behind_a_post(width_px, speed, heading))
    assert set(tracks.id) == {0}
    assert tracks.x_px.max() > 180


@pytest.mark.parametrize("sensor", ["ideal", "davis346"])
@pytest.mark.parametrize("width_px", [8, 30])
def test_what_is_hidden_has_no_rows(width_px, sensor):
    scene = behind_a_post(width_px, 150, 10, sensor)
    tracks = follow(scene)
    assert (tracks.speed_px_s > 0).all()
    post = scene.occluders[0]
    # A part of it is seen until its centre is a radius behind the post's edge.
    assert not ((tracks.x_px > post.x0_px + 6) & (tracks.x_px < post.x1_px - 6)).any()


@pytest.mark.parametrize("heading", [0, 30, 90, 225])
def test_what_leaves_the_picture_has_no_rows_and_is_forgotten(heading):
    going = SceneObject(x_px=60, y_px=60, radius_px=5, speed_px_s=200, heading_deg=heading)
    tracks = follow(Scene(120, 120, 1_000_000, seed=7, noise_hz=0.1, objects=(going,)))
    assert (tracks.speed_px_s > 0).all()
    assert tracks.t_us[-1] < 550_000


@pytest.mark.parametrize("rest_ms", [50, 400, 1500])
def test_an_object_at_rest_keeps_its_id(rest_ms):
    assert set(follow(at_rest(rest_ms)).id) == {0}


def test_rows_at_rest_have_no_speed_and_a_falling_confidence():
    tracks = follow(at_rest(900), Rules(keep_s=1.5))
    resting = tracks.where((tracks.t_us > 500_000 + 25_000) & (tracks.t_us < 1_400_000))
    # One in each reporting interval, where it stopped, with the heading that it had.
    np.testing.assert_array_equal(resting.t_us, np.arange(530_000, 1_400_000, 5_000))
    np.testing.assert_array_equal(resting.speed_px_s, 0)
    np.testing.assert_array_equal(resting.band, -1)
    np.testing.assert_allclose(resting.x_px, 130, atol=1)
    np.testing.assert_allclose(resting.y_px, 50, atol=1)
    np.testing.assert_allclose((resting.heading_deg + 180) % 360, 180, atol=10)
    # In proportion to what is left of keep_s.
    left = 1 - (resting.t_us - 500_000) / 1.5e6
    np.testing.assert_allclose(resting.confidence / left, resting.confidence[0] / left[0], rtol=0.02)
    assert resting.confidence[0] > 0.9
    assert (np.diff(resting.speed_err_px_s) < 0).all()


@pytest.mark.parametrize("speed", [150.0, 380.0])
def test_what_brakes_keeps_its_rows_when_it_rests(speed):
    """Its neurons' answers are late there, and not in the band of its speed."""
    brake_us, rest_us = int(60e6 / speed), 300_000
    way = [(90e6 / speed + part * brake_us, 110 + 30 * (2 * part - part**2), 40) for part in np.linspace(0, 1, 31)]
    path = ((0, 20, 40), *way, (way[-1][0] + rest_us, 140, 40))
    braking = SceneObject(radius_px=5, path=tuple((float(t), float(x), float(y)) for t, x, y in path))
    scene = Scene(180, 80, int(path[-1][0]), seed=6, noise_hz=0.1, objects=(braking,))
    tracks = follow(scene)
    resting = tracks.where(tracks.t_us > way[-1][0])
    assert set(tracks.id) == {0}
    missing = rest_us / 5_000 - len(resting)
    assert missing <= 3
    np.testing.assert_allclose(resting.x_px, 140, atol=1.5)
    assert (resting.speed_px_s <= 2 * resting.speed_err_px_s).all()
    assert (resting.speed_px_s == 0).mean() > 0.8
    assert resting.confidence[-1] > 0.5


def test_rows_at_rest_end_after_keep_s():
    scene = at_rest(900)
    short = follow(scene, Rules(keep_s=0.3))
    assert short.t_us[short.speed_px_s == 0].max() == pytest.approx(800_000, abs=10_000)
    assert set(short.id) == {0, 1}
    assert not (follow(scene, Rules(keep_s=0)).speed_px_s == 0).any()
    # Also where nothing else is there, until the recording ends.
    alone = replace(scene, duration_us=1_400_000, noise_hz=0)
    assert follow(alone).t_us[-1] == 1_395_000


def test_a_dark_one_is_no_bright_one():
    first = SceneObject(id=0, x_px=30, y_px=50, radius_px=5, speed_px_s=200, stop_us=400_000)
    second = SceneObject(id=1, x_px=110, y_px=50, radius_px=5, speed_px_s=200, start_us=600_000)
    same = Scene(260, 100, 1_000_000, seed=5, noise_hz=0.1, objects=(first, second))
    assert set(follow(same).id) == {0}
    other = replace(same, objects=(first, replace(second, dark=True)))
    assert set(follow(other).id) == {0, 1}
    assert set(follow(other, Rules(same_signature=2)).id) == {0}


def test_it_is_forgotten_after_keep_s():
    assert set(follow(at_rest(400), Rules(keep_s=0.2)).id) == {0, 1}
    assert set(follow(behind_a_post(30, 80), Rules(keep_s=0)).id) == {0, 1}


def test_one_that_comes_back_another_way_is_another_one():
    # It comes out where it went in, going back.
    first = SceneObject(id=0, x_px=30, y_px=50, radius_px=5, speed_px_s=200, stop_us=400_000)
    second = SceneObject(id=1, x_px=180, y_px=50, radius_px=5, speed_px_s=200, heading_deg=180, start_us=450_000)
    tracks = follow(Scene(260, 100, 900_000, seed=5, noise_hz=0.1, objects=(first, second)))
    assert np.unique(tracks.id).size == 2


@pytest.mark.parametrize("heading", [90, 180, 270])
def test_one_that_comes_out_of_a_post_another_way_is_another_one(heading):
    post = Occluder(105, -1, 135, 141)
    first = SceneObject(id=0, x_px=30, y_px=70, radius_px=5, speed_px_s=200, stop_us=450_000)
    start = {90: (145, 68), 180: (178, 70), 270: (145, 72)}[heading]
    second = SceneObject(
        id=1, x_px=start[0], y_px=start[1], radius_px=5, speed_px_s=200, heading_deg=heading, start_us=600_000
    )
    tracks = follow(Scene(260, 140, 1_000_000, seed=8, noise_hz=0.1, objects=(first, second), occluders=(post,)))
    assert np.unique(tracks.id).size == 2


@pytest.mark.parametrize("sensor", ["ideal", "davis346"])
@pytest.mark.parametrize("apart_px", [30, 45, 60])
def test_a_row_of_them_behind_a_post_keep_their_ids(apart_px, sensor):
    """The next one goes in while the one before comes out, or while both are hidden."""
    objects = tuple(SceneObject(id=k, x_px=100 - apart_px * k, y_px=50, radius_px=5, speed_px_s=200) for k in range(3))
    scene = Scene(
        300, 100, 1_300_000, seed=9, noise_hz=0.1, objects=objects, occluders=(Occluder(130, -1, 165, 101),),
        sensor=sensor, light_lux=1000,
    )  # fmt: skip
    tracks, truth = follow(scene), simulate(scene)[1]
    assert np.unique(tracks.id).size == 3
    scores = evaluate(tracks, truth, BANDS)
    assert scores.id_switches == 0
    assert set(scores.ids_per_object.values()) == {1}


def test_two_that_were_seen_at_once_stay_two():
    first = SceneObject(id=0, x_px=30, y_px=30, radius_px=5, speed_px_s=200, stop_us=500_000)
    second = SceneObject(id=1, x_px=60, y_px=52, radius_px=5, speed_px_s=200, start_us=300_000)
    tracks = follow(Scene(260, 100, 900_000, seed=6, noise_hz=0.1, objects=(first, second)))
    assert np.unique(tracks.id).size == 2


@pytest.mark.parametrize("seed", [20, 23, 31])
def test_what_bounces_leaves_no_object_at_rest_behind(seed):
    """A small disk turns within a px, so that a new track may grow and the old one be given up at the same look."""
    scene = random_scene(
        2, width=70, height=60, radius=3, speeds=(60, 600), contrast=3, noise_hz=0.2, seed=seed, duration_us=600_000
    )
    recording, _ = simulate(scene)
    tracks = detect(recording, (40, 160, 640), radius=3).tracks
    assert len(np.unique(tracks.id)) == 2
    assert (tracks.extra["flags"].astype(int) & FLAGS["at_rest"] > 0).sum() <= 2
