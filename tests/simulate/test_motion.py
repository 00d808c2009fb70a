"""Motions of varied speed, ellipses and occluders: the truth against formulas, the events against the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from velocell.data.tracks import Tracks
from velocell.simulate import Motion, Occluder, Scene, SceneObject, simulate
from velocell.simulate.ideal import ideal_events

Floats = NDArray[np.float64]


def one(item: SceneObject, **settings: object) -> Scene:
    return replace(Scene(120, 90, 600_000, objects=(item,)), **settings)  # type: ignore[arg-type]


def truth_of(item: SceneObject) -> tuple[Tracks, Floats]:
    _, truth = simulate(one(item))
    return truth, truth.t_us * 1e-6


def off_level(scene: Scene) -> Floats:
    """How far (px) the ideal pixel's events are from the outline that the truth puts there (sharp edges)."""
    (item,) = scene.objects
    t, pixel, _ = ideal_events(scene, np.random.default_rng(0))
    _, truth = simulate(scene, truth_every_us=20)
    y, x = np.divmod(pixel, scene.width)
    assert t.size > 200
    cx, cy = (np.interp(t, truth.t_us, values) for values in (truth.x_px, truth.y_px))
    angle = np.deg2rad(item.axis_deg)
    along = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
    across = (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
    return np.abs(np.hypot(along, across / item.aspect) - item.radius_px)


SHARP = SceneObject(x_px=30, y_px=45, radius_px=6, speed_px_s=100, contrast=1, edge_px=1e-6)

MOTIONS = {
    "speeding up": replace(SHARP, x_px=10, motion=Motion(accel_px_s2=200)),
    "braking to rest": replace(SHARP, motion=Motion(accel_px_s2=-400)),
    "falling": replace(SHARP, y_px=20, speed_px_s=60, motion=Motion(ax_px_s2=30, ay_px_s2=300)),
    "swinging": replace(SHARP, x_px=60, speed_px_s=0, heading_deg=30, motion=Motion(swing_px=20, swing_hz=4)),
    "a pendulum": replace(
        SHARP, x_px=60, speed_px_s=0, orbit_radius_px=-50, motion=Motion(swing_px=25, swing_hz=3, swing_phase_deg=90)
    ),
    "stop and go": replace(SHARP, motion=Motion(stops_us=((100_000, 250_000), (300_000, 310_000)))),
    "bouncing while it brakes": replace(SHARP, speed_px_s=600, heading_deg=40, bounce=True, motion=Motion(-900.0)),
    "by way points": replace(SHARP, path=((50_000, 20, 20), (200_000, 80, 30), (300_000, 80, 30), (500_000, 30, 70))),
    "an ellipse": replace(SHARP, heading_deg=20, aspect=0.6, axis_deg=70),
    "an ellipse on an orbit": replace(SHARP, x_px=60, y_px=20, orbit_radius_px=25, aspect=0.7, speed_px_s=300),
}  # fmt: skip


@pytest.mark.parametrize("name", MOTIONS)
def test_events_lie_on_the_outline_where_the_truth_is(name: str) -> None:
    scene = one(MOTIONS[name])
    assert off_level(scene).max() < 0.03


def test_the_check_notices_a_wrong_path() -> None:
    scene = one(MOTIONS["speeding up"])
    t, pixel, _ = ideal_events(scene, np.random.default_rng(0))
    x = 10 + 100 * t * 1e-6  # without the acceleration
    assert np.abs(np.hypot(pixel % 120 - x, pixel // 120 - 45) - 6).max() > 10


def test_speeding_up_and_braking_follow_the_formula() -> None:
    truth, t = truth_of(MOTIONS["speeding up"])
    assert truth.x_px == pytest.approx(10 + 100 * t + 100 * t**2, abs=1e-9)
    assert truth.speed_px_s == pytest.approx(100 + 200 * t, abs=1e-9)
    truth, t = truth_of(MOTIONS["braking to rest"])
    g = np.minimum(t, 0.25)
    assert truth.x_px == pytest.approx(30 + 100 * g - 200 * g**2, abs=1e-9)
    assert truth.speed_px_s == pytest.approx(np.maximum(100 - 400 * t, 0), abs=1e-9)
    assert (truth.speed_px_s[t >= 0.25] == 0).all()
    assert set(truth.heading_deg) == {0.0}
    recording, _ = simulate(one(MOTIONS["braking to rest"]))
    assert recording.t_us.max() < 250_000


def test_a_fall_is_a_parabola() -> None:
    truth, t = truth_of(MOTIONS["falling"])
    assert truth.x_px == pytest.approx(30 + 60 * t + 15 * t**2, abs=1e-9)
    assert truth.y_px == pytest.approx(20 + 150 * t**2, abs=1e-9)
    assert truth.speed_px_s == pytest.approx(np.hypot(60 + 30 * t, 300 * t), abs=1e-9)
    assert truth.heading_deg == pytest.approx(np.rad2deg(np.arctan2(300 * t, 60 + 30 * t)), abs=1e-9)


def test_a_swing_is_a_sine_and_turns_round() -> None:
    truth, t = truth_of(MOTIONS["swinging"])
    s = 20 * np.sin(2 * np.pi * 4 * t)
    assert truth.x_px == pytest.approx(60 + s * np.cos(np.deg2rad(30)), abs=1e-9)
    assert truth.y_px == pytest.approx(45 + s * np.sin(np.deg2rad(30)), abs=1e-9)
    assert truth.speed_px_s == pytest.approx(np.abs(160 * np.pi * np.cos(2 * np.pi * 4 * t)), abs=1e-6)
    there = np.cos(2 * np.pi * 4 * t) > 0.01
    back = np.cos(2 * np.pi * 4 * t) < -0.01
    assert truth.heading_deg[there] == pytest.approx(30.0)
    assert truth.heading_deg[back] == pytest.approx(210.0)


def test_a_pendulum_hangs_on_its_string() -> None:
    truth, t = truth_of(MOTIONS["a pendulum"])
    # 50 px around the point above the bob's rest position (an orbit to the left turns round a point above).
    assert np.hypot(truth.x_px - 60, truth.y_px - (45 - 50)) == pytest.approx(50.0, abs=1e-9)
    assert np.rad2deg(np.arctan2(truth.x_px - 60, truth.y_px + 5)) == pytest.approx(
        np.rad2deg(25 / 50 * np.cos(2 * np.pi * 3 * t)), abs=1e-9
    )


def test_stops_hold_the_clock() -> None:
    truth, t = truth_of(MOTIONS["stop and go"])
    g = t - np.clip(t - 0.1, 0, 0.15) - np.clip(t - 0.3, 0, 0.01)
    assert truth.x_px == pytest.approx(30 + 100 * g, abs=1e-9)
    us = truth.t_us
    rest = ((us >= 100_000) & (us < 250_000)) | ((us >= 300_000) & (us < 310_000))
    assert (truth.speed_px_s == np.where(rest, 0.0, 100.0)).all()
    recording, _ = simulate(one(MOTIONS["stop and go"]))
    assert not ((recording.t_us > 100_001) & (recording.t_us < 249_999)).any()


def test_way_points_are_met_and_legs_are_straight() -> None:
    truth, _ = truth_of(MOTIONS["by way points"])
    t = truth.t_us / 1000  # ms
    at = {when: np.flatnonzero(truth.t_us == when)[0] for when in (50_000, 200_000, 300_000, 500_000)}
    assert [(truth.x_px[k], truth.y_px[k]) for k in at.values()] == [(20, 20), (80, 30), (80, 30), (30, 70)]
    first, last = (t >= 50) & (t < 200), (t >= 300) & (t < 500)
    assert truth.speed_px_s[first] == pytest.approx(np.hypot(60, 10) / 0.15)
    assert truth.speed_px_s[last] == pytest.approx(np.hypot(50, 40) / 0.2)
    assert truth.heading_deg[last] == pytest.approx(np.rad2deg(np.arctan2(40, -50)))
    assert (truth.speed_px_s[~(first | last)] == 0).all()
    assert truth.heading_deg[(t >= 200) & (t < 300)] == pytest.approx(np.rad2deg(np.arctan2(10, 60)))


@pytest.mark.parametrize("name", MOTIONS)
def test_the_speed_column_is_the_derivative_of_the_position(name: str) -> None:
    _, truth = simulate(one(MOTIONS[name]), truth_every_us=10)
    t = truth.t_us * 1e-6
    vx, vy = np.gradient(truth.x_px, t), np.gradient(truth.y_px, t)
    speed = np.hypot(vx, vy)
    # At kinks the difference spans two speeds.
    assert np.quantile(np.abs(speed - truth.speed_px_s), 0.999) < 0.5
    fast = truth.speed_px_s > 5
    turned = np.rad2deg(np.arctan2(vy, vx)) - truth.heading_deg
    assert np.quantile(np.abs((turned[fast] + 180) % 360 - 180), 0.999) < 0.5


def test_an_ellipse_is_as_wide_as_it_says() -> None:
    item = SceneObject(x_px=60, y_px=-30, radius_px=12, aspect=0.5, heading_deg=90, speed_px_s=400, contrast=1)
    for sensor in ("ideal", "gen4"):
        settings = {} if sensor == "ideal" else {"leak_hz": 0.0, "shot_hz": 0.0, "hot_share": 0.0}
        scene = replace(one(replace(item, contrast=4)), duration_us=400_000, sensor=sensor, sensor_settings=settings)
        recording, _ = simulate(scene)
        width = np.ptp(recording.x.astype(int)) + 1
        assert width == pytest.approx(24, abs=3)
        turned, _ = simulate(replace(scene, objects=(replace(item, contrast=4, axis_deg=90.0),)))
        assert np.ptp(turned.x.astype(int)) + 1 == pytest.approx(12, abs=3)


@pytest.mark.parametrize("sensor", ["ideal", "gen4"])
def test_an_occluder_hides_what_is_behind_it(sensor: str) -> None:
    settings = {} if sensor == "ideal" else {"leak_hz": 0.0, "shot_hz": 0.0, "hot_share": 0.0}
    item = SceneObject(x_px=10, y_px=45, radius_px=8, speed_px_s=150, contrast=4)
    scene = one(item, sensor=sensor, sensor_settings=settings)
    free, _ = simulate(scene)
    post = Occluder(50.5, -1, 62.5, 91)
    hidden, truth = simulate(replace(scene, occluders=(post,)))
    behind = (hidden.x > 52) & (hidden.x < 61)
    assert not behind.any()
    assert ((free.x > 52) & (free.x < 61)).sum() > 500
    assert len(hidden.mask(hidden.x < 49)) == len(free.mask(free.x < 49))
    assert len(truth) == 600, "the truth knows where it is"
