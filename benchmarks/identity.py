"""Ids where objects hide, rest, cross, turn and meet the border: `python -m benchmarks.identity [--seeds 20] [--out FILE]`.

Each case is a family of scenes; a seed draws one of them: the width of the post, how long the rest is, speeds from 80 to
500 px/s, headings, dark and bright. IDF1, switches and fragmentations are motmetrics' (`benchmarks/mot.py`). What is
covered by a post need not be found, but may be. Posts have counting lines before, under and just behind them, which
the object must cross exactly once each. Nothing but bands and radius is given; the seeds are used nowhere else.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.mot import pair
from velocell.data.tracks import Tracks
from velocell.pipeline import detect
from velocell.results.counting import Line, crossings
from velocell.simulate import Motion, Occluder, Scene, SceneObject, simulate

FIRST_SEED = 97_000
BANDS = (40.0, 160.0, 640.0, 1800.0)
EVERY_US = 5_000
SENSORS = ("ideal", "davis346")
WIDTH, HEIGHT = 346, 260
RADIUS = 5.0


@dataclass(frozen=True)
class Pass:
    """A scene, and lines each of which is crossed once."""

    scene: Scene
    lines: tuple[Line, ...] = ()


def _scene(seed: int, sensor: str, duration_s: float, *objects: SceneObject, posts: tuple[Occluder, ...] = ()) -> Scene:
    noise = {"noise_hz": 0.2} if sensor == "ideal" else {}
    return Scene(
        WIDTH, HEIGHT, int(1e6 * duration_s), seed=seed, objects=objects, occluders=posts, sensor=sensor, light_lux=1000,
        **noise,
    )  # fmt: skip


def _speed(rng: np.random.Generator, low: float = 80, high: float = 500) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _look(rng: np.random.Generator) -> dict[str, Any]:
    return {"radius_px": RADIUS, "dark": bool(rng.random() < 0.5)}


def post(seed: int, sensor: str) -> Pass:
    """A disk passes behind a post of 6 to 45 px."""
    rng = np.random.default_rng(seed)
    width, speed, tilt = rng.uniform(6, 45), _speed(rng), np.deg2rad(rng.uniform(-25, 25))
    left, right = 173 - width / 2, 173 + width / 2
    x, y = 173 - 120 * np.cos(tilt), 130 + rng.uniform(-20, 20) - 120 * np.sin(tilt)
    disk = SceneObject(
        x_px=float(x), y_px=float(y), speed_px_s=speed, heading_deg=float(np.rad2deg(tilt)), **_look(rng)
    )
    places = (left - 8, left - 1, left + width / 3, 173.0, right - 1, right + 1, right + 6)
    lines = tuple(Line(float(at), -1, float(at), HEIGHT) for at in places)
    return Pass(_scene(seed, sensor, 240 / speed, disk, posts=(Occluder(left, -1, right, HEIGHT),)), lines)


def rest(seed: int, sensor: str) -> Pass:
    """A disk stops at once, rests for 50 ms to 1.9 s, and goes on, some of them another way."""
    rng = np.random.default_rng(seed)
    pause, speed, turn = _speed(rng, 0.05, 1.9), _speed(rng), np.deg2rad(rng.choice([0, 0, 60, 180]))
    stop, go = 110 / speed, 110 / speed + pause
    ends = (173 + 90 * np.cos(turn), 130 + 90 * np.sin(turn))
    path = ((0, 63, 130), (stop * 1e6, 173, 130), (go * 1e6, 173, 130), ((go + 90 / speed) * 1e6, *map(float, ends)))
    return Pass(_scene(seed, sensor, go + 90 / speed, SceneObject(path=path, **_look(rng))))


def brake(seed: int, sensor: str) -> Pass:
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
    return Pass(_scene(seed, sensor, float(t[-1]), SceneObject(path=path, **_look(rng))))


def crossing(seed: int, sensor: str) -> Pass:
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
    return Pass(_scene(seed, sensor, 2 * meets, *objects))


def border(seed: int, sensor: str) -> Pass:
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
    return Pass(_scene(seed, sensor, min(280 / v, 1.5), *bouncing, sliding))


def pendulum(seed: int, sensor: str) -> Pass:
    """A bob swings at .5 to 2 Hz, over 25 to 100 px to either side."""
    rng = np.random.default_rng(seed)
    hz, swing = _speed(rng, 0.5, 2), rng.uniform(25, 100)
    motion = Motion(swing_px=float(swing), swing_hz=hz, swing_phase_deg=float(rng.uniform(0, 360)))
    bob = SceneObject(
        x_px=173, y_px=130, speed_px_s=0, motion=motion, heading_deg=float(rng.uniform(0, 30)), **_look(rng)
    )
    return Pass(_scene(seed, sensor, 2.0, bob))


CASES: dict[str, Callable[[int, str], Pass]] = {f.__name__: f for f in (post, rest, brake, crossing, border, pendulum)}
COLUMNS = {
    "IDF1": ".4f", "worst": ".3f", "recall": ".3f", "precision": ".3f", "switches": ".0f", "fragments": ".0f",
    "one id": ".0%", "lines": ".0f", "missed": ".0f", "twice": ".0f",
}  # fmt: skip


def covered(scene: Scene, truth: Tracks) -> NDArray[np.bool_]:
    """Rows of a truth whose disk an occluder covers, even in part, or covered until 4 px ago."""
    hidden = np.zeros(len(truth), bool)
    for item in scene.occluders:
        dx = np.maximum(np.maximum(item.x0_px - truth.x_px, truth.x_px - item.x1_px), 0)
        dy = np.maximum(np.maximum(item.y0_px - truth.y_px, truth.y_px - item.y1_px), 0)
        hidden |= np.hypot(dx, dy) < truth.radius_px + 4
    return hidden


def score(one: Pass) -> dict[str, float]:
    """The figures of one scene: COLUMNS by name."""
    recording, truth = simulate(one.scene)
    tracks = detect(recording, BANDS, RADIUS, keep_spikes=False).tracks
    figures = pair(tracks, truth, EVERY_US, covered(one.scene, truth)).figures
    found = crossings(tracks, one.lines)
    times = np.bincount([item.line for item in found], minlength=len(one.lines)) if one.lines else np.zeros(0)
    ids = np.unique(tracks.id).size == np.unique(truth.id).size
    return {
        "IDF1": figures["idf1"], "worst": figures["idf1"], "recall": figures["recall"],
        "precision": figures["precision"], "switches": figures["num_switches"],
        "fragments": figures["num_fragmentations"], "one id": float(ids), "lines": float(times.size),
        "missed": float((times == 0).sum()), "twice": float((times > 1).sum()),
    }  # fmt: skip


def rows(cases: list[str], seeds: int) -> Iterator[tuple[str, str, dict[str, float]]]:
    """Case, sensor and the figures over the seeds: means, the worst IDF1, and sums of what is counted."""
    join = {"worst": np.min} | dict.fromkeys(("switches", "fragments", "lines", "missed", "twice"), np.sum)
    for name in cases:
        for sensor in SENSORS:
            all_ = [score(CASES[name](FIRST_SEED + seed, sensor)) for seed in range(seeds)]
            yield name, sensor, {c: float(join.get(c, np.mean)([one[c] for one in all_])) for c in COLUMNS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", default="")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    lines = [
        "# Ids where objects hide, rest, cross and turn",
        "",
        f"Made by `python -m benchmarks.identity --seeds {arguments.seeds}`: disks of R = {RADIUS:g}, speeds 80 to 500 px/s, "
        "means over the seeds; sums of switches, fragments and lines. One id: scenes with as many ids as objects. Lines: "
        "before, under and just behind the post; missed, twice: how many of them were not crossed once.",
        "",
        f"| scene | sensor | {' | '.join(COLUMNS)} |",
        "|---" * (len(COLUMNS) + 2) + "|",
    ]
    print("\n".join(lines), flush=True)
    for name, sensor, figures in rows([name for name in CASES if arguments.only in name], arguments.seeds):
        cells = " | ".join(f"{figures[column]:{form}}" for column, form in COLUMNS.items())
        lines.append(f"| {name} | {sensor} | {cells} |")
        print(lines[-1], flush=True)
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
