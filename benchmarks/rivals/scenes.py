"""The scenes of the tasks: each makes a recording and its truth from a random generator.

Two generators: `velocell.simulate`, with ideal pixels and those of real sensors, and `benchmarks.trails`, which shares
nothing with it. `lanes` keeps disks apart without walls in their way: each has a lane across the picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.trails import TrailDisk
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks
from velocell.formats import read
from velocell.simulate import Flicker, Motion, Occluder, Scene, SceneObject, random_scene, simulate

Made = tuple[Recording, Tracks]
Maker = Callable[[np.random.Generator], Made]

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
RADIUS = 6.0
BACKGROUND_HZ = 0.1


def lanes(
    rng: np.random.Generator, count: int = 4, *, speeds: tuple[float, float] = (60, 900), contrast: float = 3.0,
    radius: float | tuple[float, float] = RADIUS, width: int = 240, lane_px: float = 40.0, duration_us: int = 500_000,
    slope_deg: float = 20.0, noise_hz: float = BACKGROUND_HZ, item: dict[str, Any] | None = None, **scene: Any,
) -> Scene:  # fmt: skip
    """Disks that go to and fro, each in its lane, at speeds even in their logarithm."""
    pace = np.exp((np.arange(count) + rng.uniform(0, 1, count)) / count * np.log(speeds[1] / speeds[0])) * speeds[0]
    rng.shuffle(pace)
    objects = []
    for k in range(count):
        r = float(rng.uniform(*radius)) if isinstance(radius, tuple) else radius
        top = k * lane_px - 0.5
        objects.append(
            SceneObject(
                id=k, radius_px=r, x_px=float(rng.uniform(r, width - 1 - r)),
                y_px=float(rng.uniform(top + r + 1, top + lane_px - r - 1)), speed_px_s=float(pace[k]),
                heading_deg=float(rng.uniform(-slope_deg, slope_deg) + 180 * rng.integers(2)), contrast=contrast,
                bounce=True, bounds=(-0.5, top, width - 0.5, top + lane_px), dark=bool(rng.integers(2)),
                **(item or {}),
            )
        )  # fmt: skip
    height = round(count * lane_px)
    return Scene(
        width, height, duration_us, seed=int(rng.integers(2**31)), noise_hz=noise_hz, objects=tuple(objects), **scene
    )


def disks(**settings: Any) -> Maker:
    """Settings of `lanes`."""
    return lambda rng: simulate(lanes(rng, **settings))


def crossing(rng: np.random.Generator) -> Made:
    scene = random_scene(
        7, width=200, height=160, duration_us=500_000, radius=RADIUS, speeds=(60, 500), contrast=3,
        noise_hz=BACKGROUND_HZ, seed=int(rng.integers(2**31)), separate=False,
    )  # fmt: skip
    return simulate(scene)


def appearing(rng: np.random.Generator) -> Made:
    """Each appears at a time of its own and stays for half a second at most."""
    scene = lanes(rng, duration_us=600_000)
    starts = rng.integers(40_000, 350_000, len(scene.objects))
    objects = [
        replace(item, start_us=int(start), stop_us=int(start) + 500_000)
        for item, start in zip(scene.objects, starts, strict=True)
    ]
    return simulate(replace(scene, objects=tuple(objects)))


def orbit(rng: np.random.Generator) -> Made:
    """One disk of R = 10 on a circle of 70 px at 4000 px/s."""
    start = float(rng.uniform(0, 2 * np.pi))
    disk = SceneObject(
        radius_px=10, x_px=119.5 + 70 * np.sin(start), y_px=89.5 - 70 * np.cos(start), speed_px_s=4_000,
        heading_deg=float(np.rad2deg(start)), orbit_radius_px=70, contrast=3,
    )  # fmt: skip
    return simulate(Scene(240, 180, 250_000, seed=int(rng.integers(2**31)), noise_hz=0.2, objects=(disk,)))


def accelerated(rng: np.random.Generator) -> Made:
    """Speeds that swing by 60 % up and down, once to three times a second, or that brake."""
    scene = lanes(rng, speeds=(120, 500), duration_us=700_000)
    objects = []
    for k, item in enumerate(scene.objects):
        hz, v = float(rng.uniform(1, 3)), item.speed_px_s
        swing = Motion(swing_px=0.6 * v / (2 * np.pi * hz), swing_hz=hz, swing_phase_deg=float(rng.uniform(0, 360)))
        objects.append(replace(item, motion=Motion(accel_px_s2=-v) if k % 3 == 2 else swing))
    return simulate(replace(scene, objects=tuple(objects)))


def occluded(rng: np.random.Generator) -> Made:
    """Three posts of 18 px stand before the lanes. What is hidden need not be found."""
    scene = lanes(rng, speeds=(120, 700), slope_deg=5)
    posts = tuple(Occluder(x, -1, x + 18, scene.height + 1) for x in np.array([50, 115, 180]) + rng.uniform(-12, 12, 3))
    recording, truth = simulate(replace(scene, occluders=posts))
    hidden = np.zeros(len(truth), np.bool_)
    for post in posts:
        reach = truth.radius_px
        hidden |= (truth.x_px > post.x0_px - reach / 2) & (truth.x_px < post.x1_px + reach / 2)
    return recording, Tracks.from_columns({**truth.columns(), "spared": hidden.astype(np.int64)})


def cluttered(rng: np.random.Generator, count: int = 4) -> Made:
    """Patches that flicker at 8 to 40 Hz, and a bar and two squares that move and are not wanted."""
    scene = lanes(rng, max(count, 1), speeds=(80, 700)) if count else lanes(rng)
    patches = tuple(
        Flicker(
            float(rng.uniform(10, 230)), float(rng.uniform(10, 150)), float(rng.uniform(3, 9)),
            str(rng.choice(["disk", "square"])), 2.0, float(rng.uniform(8, 40)),
        )
        for _ in range(4)
    )  # fmt: skip
    others = [
        SceneObject(id=90, shape="bar", x_px=20, y_px=90, radius_px=4, speed_px_s=300, heading_deg=8, target=False),
        *(
            SceneObject(
                id=91 + k, shape="square", radius_px=14, x_px=60 + 120 * k, y_px=50 + 60 * k, target=False, bounce=True,
                speed_px_s=float(rng.uniform(80, 300)), heading_deg=float(rng.uniform(0, 360)),
            )
            for k in range(2)
        ),
    ]  # fmt: skip
    wanted = scene.objects if count else ()
    return simulate(replace(scene, objects=(*wanted, *others), flicker=patches))


def nothing(rng: np.random.Generator) -> Made:
    """Clutter and noise, and no disk at all: every row is false."""
    recording, _ = cluttered(rng, 0)
    n = int(rng.poisson(0.5 * recording.width * recording.height * recording.duration_us * 1e-6))
    noise = (
        np.sort(rng.integers(0, recording.duration_us, n)), rng.integers(0, recording.width, n),
        rng.integers(0, recording.height, n), rng.random(n) < 0.5,
    )  # fmt: skip
    return _together(recording, noise), Tracks.empty()


def panned(rng: np.random.Generator) -> Made:
    """The camera pans: edges of a fixed texture of spots go by at 100 px/s behind the disks."""
    scene = lanes(rng, speeds=(200, 800))
    spots = tuple(
        SceneObject(
            id=200 + k, shape=str(rng.choice(["square", "disk"])), radius_px=float(rng.choice([2.5, 12.0, 20.0])),
            x_px=float(rng.uniform(-60, 240)), y_px=float(rng.uniform(0, 160)), speed_px_s=100, heading_deg=0,
            contrast=1.5, target=False,
        )
        for k in range(20)
    )  # fmt: skip
    return simulate(replace(scene, objects=(*scene.objects, *spots)))


def sensed(sensor: str, width: int, height: int, light_lux: float = 300.0, **more: Any) -> Maker:
    """Four disks, darker and brighter, as this sensor's pixels see them."""

    def make(rng: np.random.Generator) -> Made:
        objects = tuple(
            SceneObject(
                id=k, radius_px=RADIUS, x_px=width * (0.25 + 0.5 * (k % 2)), y_px=height * (0.25 + 0.5 * (k // 2)),
                bounce=True, speed_px_s=float(np.exp(rng.uniform(np.log(60), np.log(400)))),
                heading_deg=float(rng.uniform(0, 360)), brightness=0.4 if k % 2 else 2.5,
                bounds=((k % 2) * width / 2, (k // 2) * height / 2, (k % 2 + 1) * width / 2 - 1,
                        (k // 2 + 1) * height / 2 - 1),
            )
            for k in range(4)
        )  # fmt: skip
        scene = Scene(
            width, height, 700_000, seed=int(rng.integers(2**31)), sensor=sensor, light_lux=light_lux,
            lens_blur_px=0.7, objects=objects, **more,
        )  # fmt: skip
        return simulate(scene)

    return make


def trailing(rng: np.random.Generator) -> Made:
    """Three pictures one above the other, a disk with a trail in each, by the other generator."""
    disks = [
        TrailDisk(
            width=240, height=60, duration_us=700_000, radius_px=8, speed_px_s=float(np.exp(rng.uniform(4.4, 6.2))),
            events_on=5, events_off=3, trail_on_us=float(rng.uniform(3_000, 15_000)),
            trail_off_us=float(rng.uniform(2_000, 6_000)), noise_hz=0.3, dark=bool(rng.integers(2)),
            seed=int(rng.integers(2**31)),
        )
        for _ in range(3)
    ]  # fmt: skip
    parts, truths = [], []
    for k, disk in enumerate(disks):
        made, truth = disk.events(), disk.truth(1_000)
        parts.append((made.t_us, made.x, made.y + 60 * k, made.p))
        truths.append({**truth.columns(), "id": truth.id + k, "y_px": truth.y_px + 60.0 * k})
    columns = {name: np.concatenate([truth[name] for truth in truths]) for name in truths[0]}
    empty = Recording.from_arrays([], [], [], [], width=240, height=180, start_us=0, stop_us=700_000)
    return _together(empty, *parts), Tracks.from_columns(columns)


def real(name: str, truth: str = "", span_us: int = 2_000_000, skip_us: int = 0) -> Maker:
    """A part of a recording of `DATA`; always the same, whatever the seed. Without a truth it shows no disk."""

    def make(rng: np.random.Generator) -> Made:
        recording = read(DATA / name)
        first = recording.start_us + skip_us
        part = recording.between(first, first + span_us)
        if not truth:
            return part, Tracks.empty()
        table = Tracks.read(DATA / truth)
        return part, table.where((table.t_us >= part.start_us) & (table.t_us < part.stop_us))

    return make


def _together(recording: Recording, *parts: tuple[Any, ...]) -> Recording:
    columns = (recording.t_us, recording.x, recording.y, recording.p)
    t, x, y, p = (np.concatenate([own, *(part[k] for part in parts)]) for k, own in enumerate(columns))
    order = np.argsort(t, kind="stable")
    return Recording.from_arrays(
        t[order], x[order], y[order], p[order], width=recording.width, height=recording.height,
        start_us=recording.start_us, stop_us=recording.stop_us,
    )  # fmt: skip
