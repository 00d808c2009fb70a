"""The world as it is: `python -m benchmarks.world [--seeds 3] [--only WORD] [--quick] [--out docs/world.md]`.

Four clear disks of R = 5 in four lanes, each row with one thing more in the picture: rain, shadows, noise, a lamp, a
late start. Each row is run with the ideal pixel and with `davis346`. Nothing but bands and radius is given to the
detector, and it runs as `velocell detect` does: hot pixels are masked, contrast and radius are measured.

A row is a `World`; a table is a `Section` with rows, columns and a function that gives their figures. A new kind of
question is a new `Section` in `SECTIONS`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks import changing, identity
from velocell.calibration.search import Search
from velocell.data.arrays import Floats
from velocell.data.blocks import Events, in_order, join_events
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks
from velocell.errors import VelocellError
from velocell.filters.chain import Cleaning
from velocell.pipeline import find
from velocell.results.evaluate import evaluate
from velocell.simulate import Flicker, Scene, SceneObject, simulate

FIRST_SEED = 83_000
BANDS = (40.0, 160.0, 640.0, 1800.0)
RADIUS = 5.0
SENSORS = ("ideal", "davis346")
WIDTH, HEIGHT, LANE_PX = 320, 240, 60
SPEEDS = ((48, 70), (200, 400), (750, 1300), (80, 140))  # px/s, of the four disks: none near an edge of the bands

Make = Callable[[int, str], Scene]


@dataclass(frozen=True)
class Run:
    """What one row gave on one seed. lookalikes: disks that are no targets, but are nothing else either."""

    tracks: Tracks
    truth: Tracks
    lookalikes: Tracks | None
    seconds: float
    seconds_seen: float
    scene: Scene | None = None


@dataclass(frozen=True)
class World:
    """A row. scene: by seed and sensor. changed: what is done to the recording and its truth before it is seen.

    lookalikes: ids of objects that are no targets but cannot be told from one by what a sensor sees; rows on them are
    neither right nor wrong. why: said under the table."""

    name: str
    scene: Make
    changed: Callable[[Recording, Tracks], tuple[Recording, Tracks]] | None = None
    bands: tuple[float, ...] = BANDS
    radius: float = RADIUS
    lookalikes: frozenset[int] = frozenset()
    why: str = ""


@dataclass(frozen=True)
class Section:
    """A table. columns: with their formats. figures: of a run, in their order."""

    title: str
    about: str
    worlds: Sequence[World]
    columns: dict[str, str]
    figures: Callable[[World, Run], list[float]]
    sensors: tuple[str, ...] = SENSORS


# --- the four disks, and what else is in the picture ------------------------------------------------------------------


def four(seed: int, sensor: str, *, seconds: float = 1.5, start_us: int = 0, contrast: float = 3.0) -> Scene:
    """Four disks that go to and fro, each in a lane of its own, half of them dark."""
    rng = np.random.default_rng(seed)
    lanes = rng.permutation(4)
    disks = tuple(
        SceneObject(
            id=i, x_px=float(rng.uniform(20, WIDTH - 20)), y_px=float(30 + LANE_PX * lanes[i]), radius_px=RADIUS,
            speed_px_s=float(np.exp(rng.uniform(*np.log(span)))), heading_deg=float(rng.choice([0.0, 180.0])),
            contrast=contrast, dark=bool(rng.integers(2)), bounce=True, start_us=start_us,
        )
        for i, span in enumerate(SPEEDS)
    )  # fmt: skip
    scene = Scene(WIDTH, HEIGHT, round(1e6 * seconds), seed=seed, noise_hz=0.1, objects=disks)
    # A preset brings its own noise, and a lens.
    return scene if sensor == "ideal" else replace(scene, sensor=sensor, light_lux=1_000, lens_blur_px=0.7, noise_hz=0)


def with_objects(scene: Scene, more: Sequence[SceneObject]) -> Scene:
    return replace(scene, objects=(*scene.objects, *more))


def falling(
    seed: int, sensor: str, *, radii: tuple[float, float], speeds: tuple[float, float], per_s: float
) -> Scene:  # fmt: skip
    """Rain or snow: small disks that fall through the picture, slanting, bright."""
    scene = four(seed, sensor)
    rng = np.random.default_rng([seed, 1])
    fall_s = (HEIGHT + 20) / np.mean(speeds)
    seconds = scene.duration_us * 1e-6
    count = int(rng.poisson(per_s * (seconds + fall_s)))
    heading = float(rng.uniform(75, 105))
    drops = []
    for i in range(count):
        when = float(rng.uniform(-fall_s, seconds))
        speed = float(rng.uniform(*speeds))
        # Those that have been falling before the recording begins are on their way.
        y = -10.0 + speed * max(-when, 0.0)
        if y > HEIGHT + 10:
            continue
        drops.append(
            SceneObject(
                id=1000 + i, x_px=float(rng.uniform(-20, WIDTH + 20)), y_px=y, radius_px=float(rng.uniform(*radii)),
                speed_px_s=speed, heading_deg=heading, contrast=2.0, start_us=max(0, round(1e6 * when)), target=False,
            )
        )  # fmt: skip
    return with_objects(scene, drops)


def rain(seed: int, sensor: str, per_s: float = 100) -> Scene:
    return falling(seed, sensor, radii=(1, 3), speeds=(300, 900), per_s=per_s)


def snow(seed: int, sensor: str, per_s: float = 25) -> Scene:
    """About a hundred flakes at a time."""
    return falling(seed, sensor, radii=(1, 2.5), speeds=(20, 80), per_s=per_s)


def beside(item: SceneObject, number: int, **changed: object) -> SceneObject:
    """What follows a disk 14 px below it."""
    reach = float(changed.get("radius_px", item.radius_px)) - item.radius_px  # type: ignore[arg-type]
    bounds = (-0.5 - reach, -0.5, WIDTH - 0.5 + reach, HEIGHT - 0.5)
    y = item.y_px + 14
    return replace(item, id=400 + number, y_px=y, target=False, bounds=bounds, **changed)  # type: ignore[arg-type]


BESIDE = frozenset(range(400, 404))


def shadows(seed: int, sensor: str, contrast: float = 1.0, edge_px: float = 4.0) -> Scene:
    scene = four(seed, sensor)
    return with_objects(
        scene,
        [
            beside(item, i, radius_px=5.5, contrast=contrast, edge_px=edge_px, dark=True)
            for i, item in enumerate(scene.objects)
        ],
    )


def reflection(seed: int, sensor: str) -> Scene:
    """On a shining floor: sharp, and a third as strong."""
    scene = four(seed, sensor)
    return with_objects(scene, [beside(item, i, contrast=1.0) for i, item in enumerate(scene.objects)])


def second_shape(seed: int, sensor: str, half_px: float = 9.0) -> Scene:
    """Two squares, between the lanes."""
    scene = four(seed, sensor)
    rng = np.random.default_rng([seed, 2])
    squares = [
        SceneObject(
            id=500 + i, shape="square", x_px=float(rng.uniform(40, WIDTH - 40)), y_px=float(60 + 120 * i),
            radius_px=half_px, speed_px_s=float(rng.uniform(80, 600)), bounce=True, target=False,
        )
        for i in range(2)
    ]  # fmt: skip
    return with_objects(scene, squares)


def noisy(seed: int, sensor: str, hz: float) -> Scene:
    return replace(four(seed, sensor), noise_hz=hz)


def lamp(seed: int, sensor: str, hz: float = 100.0) -> Scene:
    """Ten windows between the lanes, a tenth of the pixels, that flicker."""
    places = [(50 + 73 * column, 60 * (row + 1)) for row in range(3) for column in range(4)][:10]
    patches = tuple(Flicker(x, y, 13.5, shape="square", contrast=3.0, frequency_hz=hz) for x, y in places)
    return replace(four(seed, sensor), flicker=patches)


def late(seed: int, sensor: str, start_s: float) -> Scene:
    return four(seed, sensor, seconds=start_s + 1.5, start_us=round(1e6 * start_s))


def stray(recording: Recording, truth: Tracks, before_s: float) -> tuple[Recording, Tracks]:
    """One event of a pixel in the middle, so long before all others."""
    later = round(1e6 * before_s)
    rest = Events(recording.t_us + later, recording.x, recording.y, recording.p)
    one = Events(
        np.zeros(1, np.int64), np.full(1, WIDTH // 2, np.uint16), np.full(1, HEIGHT // 2, np.uint16), np.ones(1, bool)
    )
    t, x, y, p = in_order(join_events([one, rest]))
    whole = Recording.from_arrays(
        t, x, y, p, width=recording.width, height=recording.height, start_us=0, stop_us=recording.stop_us + later
    )
    return whole, replace(truth, t_us=truth.t_us + later)


WORLDS = (
    World("four disks", four),
    World("rain, 100 drops/s", rain),
    World("rain, 300 drops/s", partial(rain, per_s=300)),
    World("snow, 100 flakes", snow),
    World("soft shadows, contrast 1", shadows),
    World("soft shadows, contrast .3", partial(shadows, contrast=0.3)),
    World("a reflection of each", reflection, lookalikes=BESIDE),
    World("two squares of 18 px", second_shape),
    World("noise 3 Hz/px", partial(noisy, hz=3.0)),
    World("noise 7 Hz/px", partial(noisy, hz=7.0)),
    World("noise 10 Hz/px", partial(noisy, hz=10.0)),
    World("lamp of 100 Hz on a tenth", lamp),
    World("starts after 1.2 s", partial(late, start_s=1.2)),
    World("starts after 3 s", partial(late, start_s=3.0)),
    World("a stray event 2 s before", four, changed=partial(stray, before_s=2.0)),
    World("a stray event 3000 s before", four, changed=partial(stray, before_s=3000.0)),
)


def figures(world: World, run: Run) -> list[float]:
    """Recall and band accuracy of the targets; precision, where lookalikes count as objects; time."""
    scores = evaluate(run.tracks, run.truth, world.bands)
    kept = scores if run.lookalikes is None else evaluate(run.tracks, run.lookalikes, world.bands)
    return [scores.recall, kept.precision, scores.band_accuracy, run.seconds / run.seconds_seen]


def ids(world: World, run: Run) -> list[float]:
    assert run.scene is not None
    return identity.id_figures(run.scene, run.tracks, run.truth)


def speeds(world: World, run: Run) -> list[float]:
    assert run.scene is not None
    return changing.figures(run.scene, run.tracks, run.truth)


SECTIONS = (
    Section(
        "Calibration among rain, shadows, noise and lamps",
        "Recall and band accuracy are those of the four disks. A reflection is itself a disk of that size, and nothing "
        "that a sensor sees sets it apart: it is rightly followed, and precision counts it as an object.",
        WORLDS,
        {"recall": ".3f", "precision": ".3f", "band": ".3f", "s per s": ".2f"},
        figures,
    ),
    Section(
        "Posts, rests, crossings, borders: ids",
        "Disks of R = 5 at 80 to 500 px/s, another scene for each seed. IDF1, recall, precision, switches and "
        "fragments (of a scene) are motmetrics'; what a post covers need not be found. Seven counting lines lie "
        "before, under and just behind the post, and each is crossed once.",
        tuple(World(name, make) for name, make in identity.KINDS.items()),
        identity.COLUMNS,
        ids,
    ),
    Section(
        "Changing speed",
        "One disk of R = 5, another scene for each seed. Speed: median and 95 % of the error of a row; 1 and 2 sigma: "
        "rows whose stated error, once or twice, holds the truth; heading: median error in degrees. Left out: the "
        "first 10 px, 10 ms around a jump, and rows in which the object moves with less than 20 px/s.",
        tuple(World(name, make) for name, make in changing.KINDS.items()),
        changing.COLUMNS,
        speeds,
    ),
)


# --- running ----------------------------------------------------------------------------------------------------------


def run(world: World, seed: int, sensor: str) -> Run:
    """Detect in one scene as the command line does."""
    scene = world.scene(seed, sensor)
    recording, truth = simulate(scene)
    alike = None
    if world.lookalikes:
        marked = tuple(replace(item, target=item.target or item.id in world.lookalikes) for item in scene.objects)
        alike = simulate(replace(scene, objects=marked))[1]
    if world.changed is not None:
        recording, truth = world.changed(recording, truth)
    started = perf_counter()
    found = find(Cleaning().apply(recording), Search.of(world.bands, world.radius), keep_spikes=False)
    return Run(found.tracks, truth, alike, perf_counter() - started, scene.duration_us * 1e-6, scene)


def row(section: Section, world: World, seeds: Sequence[int], sensor: str) -> str:
    """The mean over the seeds, as a line of the table."""
    try:
        rows = np.array([section.figures(world, run(world, seed, sensor)) for seed in seeds])
    except VelocellError as error:
        return f"| {world.name} | {sensor} | {error}{' |' * len(section.columns)}"
    means = [(_mean(values), form) for values, form in zip(rows.T, section.columns.values(), strict=True)]
    cells = ["-" if np.isnan(mean) else f"{mean:{form}}" for mean, form in means]
    return f"| {world.name} | {sensor} | {' | '.join(cells)} |"


def _mean(values: Floats) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else np.nan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=FIRST_SEED, help="the first seed")
    parser.add_argument("--only", default="", help="rows whose name or section has this in it")
    parser.add_argument("--quick", action="store_true", help="one seed of the ideal pixel")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + (1 if arguments.quick else arguments.seeds))
    lines = ["# True to the world", "", f"Made by `python -m benchmarks.world --seeds {len(seeds)}`, means over seeds."]
    print("\n".join(lines), flush=True)
    for section in SECTIONS:
        wanted = [world for world in section.worlds if arguments.only in world.name or arguments.only in section.title]
        if not wanted:
            continue
        names = ["scene", "sensor", *section.columns]
        head = ["", f"## {section.title}", "", section.about, "", f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
        lines += head
        print("\n".join(head), flush=True)
        for world in wanted:
            for sensor in section.sensors[: 1 if arguments.quick else None]:
                lines.append(row(section, world, seeds, sensor))
                print(lines[-1], flush=True)
        lines += [line for world in wanted if world.why for line in ("", f"{world.name}: {world.why}")]
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
