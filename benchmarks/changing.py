"""Scenes in which the speed of a disk changes, and how well its row says so: rows of `python -m benchmarks.world
--only speed`.

A seed draws one scene of a kind: gravity, braking, the radius of a circle, the frequency of a pendulum. Speed, heading
and their errors are compared in all rows that are paired with the truth, but within 10 ms of a jump and where the
object moves with less than 20 px/s, which is below the lowest band.
"""

from __future__ import annotations

import numpy as np

from benchmarks.mot import pair, travelled
from velocell.data.tracks import Tracks
from velocell.simulate import Motion, Scene, SceneObject

EVERY_US = 5_000
WIDTH, HEIGHT = 346, 260
COLUMNS = {
    "recall": ".3f", "precision": ".3f", "speed": ".1%", "speed, p95": ".1%", "1 sigma": ".0%", "2 sigma": ".0%",
    "heading": ".1f", "ids": ".2f",
}  # fmt: skip
_AFTER_PX, _SLOWEST, _JUMP_US = 10.0, 20.0, 10_000


def _scene(seed: int, sensor: str, duration_s: float, **item: object) -> Scene:
    rng = np.random.default_rng(seed + 1)
    disk = SceneObject(radius_px=5.0, dark=bool(rng.random() < 0.5), **item)  # type: ignore[arg-type]
    return Scene(
        WIDTH, HEIGHT, int(1e6 * duration_s), seed=seed, objects=(disk,), sensor=sensor, light_lux=1000,
        noise_hz=0.2 if sensor == "ideal" else 0.0,
    )  # fmt: skip


def fall(seed: int, sensor: str) -> Scene:
    rng = np.random.default_rng(seed)
    g = float(rng.uniform(600, 1500))
    return _scene(
        seed, sensor, np.sqrt(2 * 200 / g), x_px=float(rng.uniform(60, 280)), y_px=30, speed_px_s=30, heading_deg=90,
        motion=Motion(ay_px_s2=g),
    )  # fmt: skip


def throw(seed: int, sensor: str) -> Scene:
    rng = np.random.default_rng(seed)
    g, heading = float(rng.uniform(500, 1000)), float(rng.uniform(-75, -45))
    return _scene(seed, sensor, 0.9, x_px=60, y_px=230, speed_px_s=450, heading_deg=heading, motion=Motion(ay_px_s2=g))


def braking(seed: int, sensor: str) -> Scene:
    rng = np.random.default_rng(seed)
    v = float(rng.uniform(300, 600))
    brake = -(v**2) / (2 * 250)
    return _scene(
        seed, sensor, 0.8 * v / -brake, x_px=40, y_px=float(rng.uniform(60, 200)), speed_px_s=v,
        motion=Motion(accel_px_s2=brake),
    )  # fmt: skip


def circle(seed: int, sensor: str) -> Scene:
    rng = np.random.default_rng(seed)
    v, radius = float(rng.uniform(150, 500)), float(rng.uniform(30, 90))
    return _scene(seed, sensor, 1.0, x_px=173, y_px=130 - radius, speed_px_s=v, orbit_radius_px=radius)


def spring(seed: int, sensor: str, hz: tuple[float, float] = (1.0, 2.0)) -> Scene:
    """To and fro on a line, harmonically."""
    rng = np.random.default_rng(seed)
    swing = Motion(swing_px=float(rng.uniform(40, 80)), swing_hz=float(rng.uniform(*hz)))
    return _scene(
        seed, sensor, 2.0, x_px=173, y_px=130, speed_px_s=0, heading_deg=float(rng.uniform(0, 180)), motion=swing
    )


def pendulum(seed: int, sensor: str) -> Scene:
    """On an arc, .5 to 2 Hz."""
    rng = np.random.default_rng(seed)
    swing = Motion(swing_px=float(rng.uniform(60, 100)), swing_hz=float(rng.uniform(0.5, 2.0)))
    return _scene(
        seed, sensor, 2.0, x_px=173, y_px=130, speed_px_s=0, heading_deg=0, orbit_radius_px=-180, motion=swing
    )


def stop_and_go(seed: int, sensor: str) -> Scene:
    rng = np.random.default_rng(seed)
    v = float(rng.uniform(150, 300))
    stops = tuple((1e6 * (0.3 + k * 0.4), 1e6 * (0.3 + k * 0.4 + rng.uniform(0.05, 0.15))) for k in range(2))
    return _scene(seed, sensor, 1.2, x_px=30, y_px=130, speed_px_s=v, motion=Motion(stops_us=stops))


def slowdown(seed: int, sensor: str) -> Scene:
    """Exponentially, as in a fluid."""
    rng = np.random.default_rng(seed)
    v, tau = float(rng.uniform(400, 900)), float(rng.uniform(0.2, 0.35))
    t_us = np.arange(0, 900_001, 2_000)
    x = 40 + v * tau * (1 - np.exp(-t_us * 1e-6 / tau))
    return _scene(seed, sensor, 0.9, path=tuple((int(t), float(at), 130.3) for t, at in zip(t_us, x, strict=True)))


KINDS = {
    "fall": fall, "throw": throw, "braking": braking, "circle": circle, "spring": spring, "pendulum": pendulum,
    "stop and go": stop_and_go, "exponential slowdown": slowdown,
}  # fmt: skip


def figures(scene: Scene, tracks: Tracks, truth: Tracks) -> list[float]:
    """The columns of COLUMNS."""
    paired = pair(tracks, truth, EVERY_US)
    mine, theirs = paired.rows, paired.truth_rows
    jumps = np.array([time for item in scene.objects if item.motion for stop in item.motion.stops_us for time in stop])
    t_us, speed = truth.t_us[theirs], truth.speed_px_s[theirs]
    kept = (travelled(truth)[0][theirs] >= _AFTER_PX) & (speed > _SLOWEST) & (tracks.speed_px_s[mine] > 0)
    if jumps.size:
        kept &= np.abs(t_us[:, None] - jumps).min(axis=1) > _JUMP_US
    mine, theirs, speed = mine[kept], theirs[kept], speed[kept]
    off, error = np.abs(tracks.speed_px_s[mine] - speed), tracks.speed_err_px_s[mine]
    turned = np.abs((tracks.heading_deg[mine] - truth.heading_deg[theirs] + 180) % 360 - 180)
    if not mine.size:
        return [paired.figures["recall"], paired.figures["precision"], *[np.nan] * 5, 0.0]
    return [
        paired.figures["recall"], paired.figures["precision"], float(np.median(off / speed)),
        float(np.quantile(off / speed, 0.95)), float((off <= error).mean()), float((off <= 2 * error).mean()),
        float(np.median(turned)), float(np.unique(tracks.id[mine]).size),
    ]  # fmt: skip
