"""What real pixels do to a moving disk: trails behind its edges, one polarity, a border, changing speed; and what is no
disk at all. The generator of trails shares nothing with the simulator."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from places import CASES, SHARED, needs

from benchmarks.mot import pair
from benchmarks.real import DISKLESS_BANDS, figures, ideal, trail
from benchmarks.trails import TrailDisk
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks
from velocell.formats import read
from velocell.pipeline import detect
from velocell.simulate import Scene, SceneObject, simulate
from velocell.tracking.rules import Rules

BANDS = (75.0, 150.0, 600.0)
LEAST_LAG_PX = -0.8
NAMES = ("recall", "precision", "band", "switches", "lag", "along", "across", "speed", "one", "two", "heading")


def score(tracks: Tracks, truth: Tracks, bands: tuple[float, ...] = BANDS, every_us: int = 5_000) -> dict[str, float]:
    return dict(zip(NAMES, figures(tracks, truth, bands, every_us), strict=False))


@pytest.mark.parametrize("trail_px", [0, 8, 16, 24])
def test_trails_do_not_bend_the_path(trail_px):
    recording, truth = trail(41, trail_px=trail_px, duration_us=1_500_000)
    found = score(detect(recording, BANDS, 8.0).tracks, truth)
    assert found["recall"] >= 0.95
    assert found["precision"] >= 0.98
    assert found["across"] <= 0.3
    assert found["lag"] >= LEAST_LAG_PX
    assert found["speed"] <= 0.02
    assert found["heading"] <= 2


def test_the_length_of_trails_is_measured_and_stated():
    short, long = (detect(trail(41, trail_px=px, duration_us=800_000)[0], BANDS, 8.0).network.origin for px in (3, 8))
    for origin in (short, long):
        on, off = origin.trails_ms
        assert on > 1.2 * off  # drawn 2.5 times as long; a silence of 3 px ends a trail early
        assert f"{on:.3g} ms (ON)" in origin["trails"]
    assert min(long.trails_ms) > min(short.trails_ms)
    assert long.trails_ms[0] > 1.3 * short.trails_ms[0]


def test_the_old_fit_to_every_event_fails():
    recording, truth = trail(41, trail_px=16, duration_us=1_500_000)
    found = score(detect(recording, BANDS, 8.0, rules=Rules(crossing_px=100)).tracks, truth)
    assert found["lag"] < LEAST_LAG_PX


@needs(CASES / "trail8_r8_v300.npz")
def test_the_recorded_trail():
    tracks = detect(read(CASES / "trail8_r8_v300.npz"), BANDS, 8.0).tracks
    late = tracks.t_us > 100_000
    assert abs(np.median(tracks.speed_px_s[late]) / 300 - 1) < 0.02
    assert np.sqrt(np.mean((tracks.y_px[late] - 60.3) ** 2)) < 0.3
    assert np.unique(tracks.t_us).size > 0.95 * 2_000_000 / 5_000


def test_a_fast_disk_with_the_trails_of_a_real_one():
    disk = TrailDisk(
        320, 280, 150_000, radius_px=15, speed_px_s=13_094, orbit_px=107, events_on=18, events_off=9,
        trail_on_us=3_000, trail_off_us=1_100, noise_hz=0.1, seed=3,
    )  # fmt: skip
    bands = (3000.0, 6000.0, 20000.0)
    tracks, truth = detect(disk.events(), bands, 15.0, every_us=1_000).tracks, disk.truth(1_000)
    found = score(tracks, truth, bands, 1_000)
    assert found["recall"] >= 0.95
    assert found["band"] >= 0.95
    assert found["speed"] <= 0.02
    assert found["heading"] <= 3
    assert np.hypot(found["along"], found["across"]) <= 1


@pytest.mark.parametrize("polarity", ["on", "off"])
def test_half_a_ring_is_enough(polarity):
    recording, truth = simulate(ideal(42))
    bands = (20.0, 80.0, 320.0, 1280.0)
    found = score(detect(recording, bands, 6.0, polarity=polarity).tracks, truth, bands)
    assert found["recall"] >= 0.95
    assert found["precision"] >= 0.98
    assert found["band"] >= 0.95


def test_heading_and_place_hold_in_a_bend():
    turning = SceneObject(x_px=80, y_px=50, radius_px=6, speed_px_s=200, heading_deg=90, orbit_radius_px=20)
    recording, truth = simulate(Scene(140, 120, 1_000_000, seed=5, noise_hz=0.1, objects=(turning,)))
    found = score(detect(recording, (50, 100, 400), 6.0).tracks, truth, (50, 100, 400))
    assert found["heading"] <= 2
    assert found["across"] <= 0.2
    assert found["speed"] <= 0.01
    assert found["two"] >= 0.8


@needs(CASES / "fall.toml")
def test_a_falling_disk_has_the_speed_of_its_instant():
    recording, truth = simulate(Scene.from_toml(CASES / "fall.toml"))
    tracks = detect(recording, (40, 160, 640, 1800), 5.0).tracks
    assert len(np.unique(tracks.id)) == 1
    theirs = np.searchsorted(truth.t_us, tracks.t_us)
    off = np.abs(tracks.speed_px_s / truth.speed_px_s[theirs] - 1)
    assert np.median(off) < 0.02


def test_errors_of_speeds_hold_for_unlike_pixels():
    for seed, more in ((43, {"trail_px": 6}), (44, {"trail_px": 0, "noise_hz": 2.0})):
        recording, truth = trail(seed, duration_us=1_500_000, **more)
        found = score(detect(recording, BANDS, 8.0).tracks, truth)
        assert found["one"] >= 0.55
        assert found["two"] >= 0.85


def test_the_confidence_is_low_where_there_is_no_disk():
    # An edge that ends at the sensor's border looks like a part of a ring.
    edge = SceneObject(shape="edge", x_px=10, y_px=60, speed_px_s=400, heading_deg=12, contrast=3, target=False)
    tracks = detect(simulate(Scene(160, 120, 500_000, seed=3, noise_hz=0.2, objects=(edge,)))[0], BANDS, 5.0).tracks
    assert len(tracks) <= 10
    assert np.all(tracks.confidence <= 0.8)


def test_rows_with_a_high_confidence_are_right():
    recording, truth = simulate(ideal(45, noise_hz=2.0))
    bands = (20.0, 80.0, 320.0, 1280.0)
    tracks = detect(recording, bands, 6.0).tracks
    sure = tracks.where(tracks.confidence >= 0.8)
    assert len(sure) > 0.8 * len(tracks)
    assert score(sure, truth, bands)["precision"] >= 0.98


DISKLESS = ("cup_dvs128.aedat", "gestures_dvs128.aedat4", "davis_346x260.aedat4", "sparklers_evt2.raw")


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs(SHARED / name)) for name in DISKLESS])
def test_real_scenes_without_disks_have_hardly_any_tracks(name):
    recording = read(SHARED / name)
    tracks = detect(recording, DISKLESS_BANDS, 5.0, keep_spikes=False).tracks
    assert len(np.unique(tracks.id)) <= 1 + recording.duration_us // 10_000_000


def test_noise_alone_has_none():
    still = Scene(160, 120, 600_000, seed=7, sensor="davis346", sensor_settings={"shot_hz": 5.0, "shot_spread": 1.5})
    recording = simulate(still)[0]
    assert isinstance(recording, Recording)
    assert len(detect(recording, BANDS, 5.0).tracks) == 0
    assert len(detect(replace(recording, p=None), BANDS, 5.0).tracks) == 0


SPEEDS = (60.0, 70.0, 80.0, 90.0, 100.0)


def off_at_first(seed, start_error_px):
    """Of disks of a DAVIS346 that go steadily along lanes of their own: share of the rows from 12 to 45 px of way
    whose speed is more than 5 % off."""
    objects = tuple(
        SceneObject(id=i, x_px=40, y_px=30 + 40 * i, radius_px=6, speed_px_s=v, brightness=0.35 if i % 2 else 2.5)
        for i, v in enumerate(SPEEDS)
    )
    scene = Scene(346, 240, 600_000, seed=seed, objects=objects, sensor="davis346", light_lux=1000, lens_blur_px=0.7)
    rules = Rules(start_error_px=start_error_px)
    tracks = detect(simulate(scene)[0], (20.0, 180.0, 700.0), 6.0, rules=rules, keep_spikes=False).tracks
    speed = np.array(SPEEDS)[np.round((tracks.y_px - 30) / 40).astype(int)]
    way = tracks.t_us * 1e-6 * speed
    off = np.abs(tracks.speed_px_s / speed - 1)[(way > 12) & (way < 45)]
    assert off.size > 100
    return float((off > 0.05).mean())


def test_what_real_pixels_show_at_first_is_no_acceleration():
    assert np.mean([off_at_first(seed, Rules().start_error_px) for seed in (1, 3)]) < 0.22
    assert np.mean([off_at_first(seed, 0.0) for seed in (1, 3)]) > 0.25


def test_what_neurons_miss_is_kept_by_its_events():
    """Disks of .6 of the background's brightness: neurons are silent for 10 px and more of their way."""
    objects = tuple(
        SceneObject(id=i, x_px=30, y_px=30 + 60 * i, radius_px=9, speed_px_s=v, brightness=0.6)
        for i, v in enumerate((60.0, 120.0, 280.0, 500.0))
    )
    scene = Scene(346, 240, 1_000_000, seed=4, objects=objects, sensor="davis346", light_lux=100, lens_blur_px=0.9)
    recording, truth = simulate(scene)

    def shown(rules: Rules) -> float:
        tracks = detect(recording, (20.0, 80.0, 320.0, 1280.0), 9.0, rules=rules, keep_spikes=False).tracks
        return pair(tracks, truth, 5_000).figures["recall"]

    assert shown(Rules()) > 0.9
    assert shown(Rules(quiet_px=10)) < 0.6
