"""Scenes in which objects hide, rest, cross, turn and meet the border, and what became of their ids: rows of
`python -m benchmarks.world --only ids`.

A seed draws one scene of a kind: the width of the post, how long the rest is, speeds from 80 to 500 px/s, headings,
dark or bright. IDF1, switches and fragmentations are motmetrics' (`benchmarks/mot.py`). What a post covers need not be
found, but may be. Posts have counting lines before, under and just behind them, each of which is crossed once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.mot import pair
from velocell.data.tracks import Tracks
from velocell.results.counting import Line, crossings
from velocell.simulate import Motion, Occluder, Scene, SceneObject

EVERY_US = 5_000
WIDTH, HEIGHT = 346, 260
RADIUS = 5.0
COLUMNS = {
    "IDF1": ".4f", "recall": ".3f", "precision": ".3f", "switches": ".2f", "fragments": ".2f", "one id each": ".1%",
    "lines counted once": ".1%",
}  # fmt: skip


def _scene(seed: int, sensor: str, duration_s: float, *objects: SceneObject, posts: tuple[Occluder, ...] = ()) -> Scene:
    return Scene(
        WIDTH, HEIGHT, int(1e6 * duration_s), seed=seed, objects=objects, occluders=posts, sensor=sensor,
        light_lux=1000, noise_hz=0.2 if sensor == "ideal" else 0.0,
    )  # fmt: skip


def _speed(rng: np.random.Generator, low: float = 80, high: float = 500) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _look(rng: np.random.Generator) -> dict[str, Any]:
    return {"radius_px": RADIUS, "dark": bool(rng.random() < 0.5)}


def post(seed: int, sensor: str) -> Scene:
    """A disk passes behind a post of 6 to 45 px."""
    rng = np.random.default_rng(seed)
    width, speed, tilt = rng.uniform(6, 45), _speed(rng), np.deg2rad(rng.uniform(-25, 25))
    left, right = 173 - width / 2, 173 + width / 2
    x, y = 173 - 120 * np.cos(tilt), 130 + rng.uniform(-20, 20) - 120 * np.sin(tilt)
    disk = SceneObject(
        x_px=float(x), y_px=float(y), speed_px_s=speed, heading_deg=float(np.rad2deg(tilt)), **_look(rng)
    )
    return _scene(seed, sensor, 240 / speed, disk, posts=(Occluder(left, -1, right, HEIGHT),))


def rest(seed: int, sensor: str) -> Scene:
    """A disk stops at once, rests for 50 ms to 1.9 s, and goes on, some of them another way."""
    rng = np.random.default_rng(seed)
    pause, speed, turn = _speed(rng, 0.05, 1.9), _speed(rng), np.deg2rad(rng.choice([0, 0, 60, 180]))
    stop, go = 110 / speed, 110 / speed + pause
    end = ((go + 90 / speed) * 1e6, float(173 + 90 * np.cos(turn)), float(130 + 90 * np.sin(turn)))
    path = ((0.0, 63.0, 130.0), (stop * 1e6, 173.0, 130.0), (go * 1e6, 173.0, 130.0), end)
    return _scene(seed, sensor, go + 90 / speed, SceneObject(path=path, **_look(rng)))


def brake(seed: int, sensor: str) -> Scene:
    """It brakes over 10 to 60 px, rests for .1 to 1.5 s, and speeds up again."""
    rng = np.random.default_rng(seed)
    pause, speed, way = _speed(rng, 0.1, 1.5), _speed(rng, 120), rng.uniform(10, 60)
    slow_s, steps = 2 * way / speed, np.linspace(0, 1, 61)
    ramp_t, ramp_x = slow_s * steps, way * (2 * steps - steps**2)
    t = np.concatenate(([0], 90 / speed + ramp_t))
    x = np.concatenate(([53], 143 + ramp_x))
    back_t = t[-1] + pause + ramp_t
    t = np.concatenate((t, back_t, [back_t[-1] + 60 / speed]))
    x = np.concatenate((x, x[-1] + way - ramp_x[::-1], [x[-1] + way + 60]))
    path = tuple((float(a), float(b), 130.0) for a, b in zip(t * 1e6, x, strict=True))
    return _scene(seed, sensor, float(t[-1]), SceneObject(path=path, **_look(rng)))


def crossing(seed: int, sensor: str) -> Scene:
    """Two disks meet at one place, from two sides."""
    rng = np.random.default_rng(seed)
    first, between = rng.uniform(0, 360), rng.uniform(40, 180) * rng.choice([-1, 1])
    speed, other = _speed(rng), _speed(rng)
    meets = min(100 / speed, 100 / other)
    objects = [
        SceneObject(
            id=k, x_px=float(173 - v * meets * np.cos(angle)), y_px=float(130 - v * meets * np.sin(angle)),
            speed_px_s=v, heading_deg=float(np.rad2deg(angle)), **_look(rng),
        )
        for k, (v, angle) in enumerate([(speed, np.deg2rad(first)), (other, np.deg2rad(first + between))])
    ]  # fmt: skip
    return _scene(seed, sensor, 2 * meets, *objects)


def border(seed: int, sensor: str) -> Scene:
    """Disks bounce off the picture's borders, and one slides along a border with a part outside."""
    rng = np.random.default_rng(seed)
    bouncing = [
        SceneObject(
            id=k, x_px=float(rng.uniform(40, 300)), y_px=float(60 + 80 * k), speed_px_s=_speed(rng),
            heading_deg=float(rng.uniform(0, 360)), bounce=True, bounds=(-0.5, 20.0 + 80 * k, 345.5, 100.0 + 80 * k),
            **_look(rng),
        )
        for k in range(2)
    ]  # fmt: skip
    v = _speed(rng)
    sliding = SceneObject(id=2, x_px=30, y_px=float(259 - rng.uniform(2, 5)), speed_px_s=v, **_look(rng))
    return _scene(seed, sensor, min(280 / v, 1.5), *bouncing, sliding)


def pendulum(seed: int, sensor: str) -> Scene:
    """A bob swings at .5 to 2 Hz, over 25 to 100 px to either side."""
    rng = np.random.default_rng(seed)
    hz, swing = _speed(rng, 0.5, 2), rng.uniform(25, 100)
    motion = Motion(swing_px=float(swing), swing_hz=hz, swing_phase_deg=float(rng.uniform(0, 360)))
    bob = SceneObject(
        x_px=173, y_px=130, speed_px_s=0, motion=motion, heading_deg=float(rng.uniform(0, 30)), **_look(rng)
    )
    return _scene(seed, sensor, 2.0, bob)


KINDS = {
    "post of 6-45 px": post, "rest of 50 ms-1.9 s": rest, "brake, rest, go on": brake, "two cross": crossing,
    "borders": border, "pendulum of .5-2 Hz": pendulum,
}  # fmt: skip


def covered(scene: Scene, truth: Tracks) -> NDArray[np.bool_]:
    """Rows of a truth whose disk an occluder covers, even in part, or covered until 4 px ago."""
    hidden = np.zeros(len(truth), bool)
    for item in scene.occluders:
        dx = np.maximum(np.maximum(item.x0_px - truth.x_px, truth.x_px - item.x1_px), 0)
        dy = np.maximum(np.maximum(item.y0_px - truth.y_px, truth.y_px - item.y1_px), 0)
        hidden |= np.hypot(dx, dy) < truth.radius_px + 4
    return hidden


def lines_of(scene: Scene) -> list[Line]:
    """Counting lines before, under and just behind each post."""
    return [
        Line(float(at), -1, float(at), HEIGHT)
        for post in scene.occluders
        for x0, x1 in [(post.x0_px, post.x1_px)]
        for at in (x0 - 8, x0 - 1, x0 + (x1 - x0) / 3, (x0 + x1) / 2, x1 - 1, x1 + 1, x1 + 6)
    ]


def id_figures(scene: Scene, tracks: Tracks, truth: Tracks) -> list[float]:
    """In the order of COLUMNS: switches and fragments are numbers a scene, the last two are 0 or 1, or shares."""
    figures = pair(tracks, truth, EVERY_US, covered(scene, truth)).figures
    lines = lines_of(scene)
    found = crossings(tracks, lines)
    times = [sum(item.line == number for item in found) for number in range(len(lines))]
    return [
        figures["idf1"], figures["recall"], figures["precision"], figures["num_switches"],
        figures["num_fragmentations"], float(np.unique(tracks.id).size == np.unique(truth.id).size),
        float(np.mean(np.array(times) == 1)) if lines else np.nan,
    ]  # fmt: skip
