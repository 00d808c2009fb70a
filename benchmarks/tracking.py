"""Objects, ids, figures and error bars on simulated scenes: `python -m benchmarks.tracking [--seeds 3] [--out FILE]`.

Recall, precision, IDF1 and switches are motmetrics' (`benchmarks/mot.py`), the figures of the rows are those of the
rows that it pairs. The seeds are used nowhere else; nothing but bands and radius is given.
`--radius 5` replaces the radius of every scene, `--only NAME` runs the scenes whose name has NAME in it. `--firsts`
makes another table: how far a new object has moved when it has its first row; there `--rule NAME=VALUE` changes rules.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks.mot import Paired, median, pair, travelled
from benchmarks.real import preset
from velocell.cli.values import bands_of, radius_of
from velocell.data.arrays import Floats
from velocell.data.bands import band_of
from velocell.data.tracks import Tracks
from velocell.errors import VelocellError
from velocell.pipeline import detect
from velocell.simulate import Scene, SceneObject, random_scene, simulate
from velocell.tracking.rules import Rules

FIRST_SEED = 95_000
BANDS = "40,160,640,1800"
AFTER_PX = 20.0  # of travel, for speed and heading
WITHIN_RADII = 1.5
RADII = (3, 4, 5, 6, 8, 10, 12, 15)


@dataclass(frozen=True)
class Case:
    """A scene by seed, and what the detector is told."""

    name: str
    scene: Callable[[int], Scene]
    bands: str
    radius: str
    every_us: int = 5_000
    appears: bool = False  # while the scene goes on, so that the first sight of an object tells something


def crowd(seed: int, radius: float | tuple[float, float] = (4, 14)) -> Scene:
    return random_scene(
        100, width=1280, height=720, radius=radius, speeds=(50, 1500), contrast=3, noise_hz=0.2, seed=seed,
        duration_us=2_000_000, separate=False,
    )  # fmt: skip


def apart(seed: int, radius: float = 5) -> Scene:
    return random_scene(
        20 if radius < 8 else 8, width=640, height=480, radius=radius, speeds=(50, 1500), contrast=3, noise_hz=0.2,
        seed=seed,
    )  # fmt: skip


def appearing(seed: int, radius: float = 5) -> Scene:
    """Disks that come one after the other; to appear makes no events."""
    rng = np.random.default_rng(seed)
    scene = apart(seed, radius)
    late = tuple(replace(item, start_us=int(rng.integers(50_000, 500_000))) for item in scene.objects)
    return replace(scene, objects=late)


def orbit(seed: int) -> Scene:
    """1163 rpm at 107 px from the centre: 13 000 px/s."""
    start = np.random.default_rng(seed).uniform(0, 2 * np.pi)
    disk = SceneObject(
        id=0, x_px=160 + 107 * float(np.cos(start)), y_px=140 + 107 * float(np.sin(start)), radius_px=15,
        speed_px_s=1163 / 60 * 2 * np.pi * 107, heading_deg=float(np.rad2deg(start)) + 90, contrast=3,
        orbit_radius_px=107,
    )  # fmt: skip
    return Scene(320, 280, 1_000_000, seed=seed, noise_hz=0.2, objects=(disk,))


CASES = [
    Case("100 disks, R = 4-14, crossing", crowd, BANDS, "3:15"),
    Case("100 disks, R = 5, crossing", partial(crowd, radius=5), BANDS, "5"),
    Case("20 disks, R = 5, apart", apart, BANDS, "5"),
    Case("20 disks, R = 5, appearing", appearing, BANDS, "5", 1_000, appears=True),
    *(
        Case(f"{sensor}, R = {r}", partial(preset, sensor=sensor, radius=r), "20,80,320,1280", f"{r}")
        for r in (3, 4, 7)
        for sensor in ("dvs128", "davis346", "gen4")
    ),
    Case("orbit, R = 15, 13 000 px/s", orbit, "3000,6000,20000", "15", 1_000),
    *(Case(f"radius {r}, stated", partial(apart, radius=r), BANDS, f"{r}") for r in RADII),
    *(Case(f"radius {r}, from a range", partial(apart, radius=r), BANDS, "3:15") for r in RADII),
]
FIRSTS = [
    *(Case(f"ideal, R = {r}", partial(appearing, radius=r), BANDS, f"{r}", 1_000) for r in (3, 5, 10)),
    *(
        Case(f"{sensor}, R = {r}", partial(preset, sensor=sensor, radius=r), "20,80,320,1280", f"{r}", 1_000)
        for sensor in ("dvs128", "davis346", "gen4")
        for r in (4, 7)
    ),
]
COLUMNS = {
    "recall": ".3f", "precision": ".3f", "IDF1": ".3f", "switches per object and 10 s": ".2f", "median px": ".2f",
    "rms px": ".2f", "speed": ".1%", "coverage": ".0%", "heading deg": ".1f", "radius": ".1%", "first, radii": ".2f",
    "within 1.5": ".0%", "x real time": ".2f",
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--radius")
    parser.add_argument("--only", default="")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--firsts", action="store_true")
    parser.add_argument("--rule", action="append", default=[])
    arguments = parser.parse_args()
    rules = Rules.parse(arguments.rule)
    lines = firsts_table(arguments.seeds, arguments.only, rules) if arguments.firsts else table(arguments)
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n")


def table(arguments: argparse.Namespace) -> list[str]:
    lines = [
        "# Tracking on simulated scenes",
        "",
        f"Made by `python -m benchmarks.tracking --seeds {arguments.seeds}`: contrast 3, noise 0.2 Hz/px, bands "
        f"{BANDS} px/s, means over the seeds. Speed (median error), coverage (rows whose 1-sigma error bar holds the "
        f"true speed) and heading (median error): after {AFTER_PX:g} px of travel. First: the travel, in radii, at the "
        f"first row with the right band and place (median), and the share of objects within {WITHIN_RADII:g}, where "
        "they appear while the scene goes on.",
        "",
        f"| scene | {' | '.join(COLUMNS)} |",
        "|---" * (len(COLUMNS) + 1) + "|",
    ]
    print("\n".join(lines), flush=True)
    for case in CASES:
        if arguments.only in case.name:
            told = replace(case, radius=arguments.radius or case.radius)
            lines.append(f"| {case.name} | {_cells(told, arguments.seeds)} |")
            print(lines[-1], flush=True)
    return lines


def firsts_table(seeds: int, only: str, rules: Rules) -> list[str]:
    """Rows each millisecond; objects on sensors begin with the recording, ideal ones while it goes on."""
    lines = [
        "| scene | objects | median | 90 % | 99 % | within 1 radius | right band too: median | within 1 radius |",
        "|---|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    for case in FIRSTS:
        if only not in case.name:
            continue
        radii = np.concatenate([_first_radii(case, FIRST_SEED + seed, rules) for seed in range(seeds)])
        within = np.mean(radii <= 1, axis=0)
        quantiles = np.quantile(radii, [0.5, 0.9, 0.99], axis=0, method="lower")
        lines.append(
            f"| {case.name} | {len(radii)} | {' | '.join(f'{q:.2f}' for q in quantiles[:, 0])} | {within[0]:.0%} | "
            f"{quantiles[0, 1]:.2f} | {within[1]:.0%} |"
        )
        print(lines[-1], flush=True)
    return lines


def _first_radii(case: Case, seed: int, rules: Rules) -> Floats:
    bands = bands_of(case.bands)
    recording, truth = simulate(case.scene(seed))
    found = detect(recording, bands, radius_of(case.radius), every_us=case.every_us, keep_spikes=False, rules=rules)
    return first_radii(found.tracks, truth, np.array(bands.edges))


def first_radii(tracks: Tracks, truth: Tracks, edges: Floats) -> Floats:
    """For each object (n, 2): its travel since it began to move, in radii, at its first row in the right place, and at
    the first in the right band too; infinite where there is none. A place is right within 2 px, or half a radius."""
    path, found = travelled(truth)[0] / truth.radius_px, []
    for name in np.unique(truth.id):
        of_it = np.flatnonzero(truth.id == name)
        at = of_it[np.searchsorted(truth.t_us[of_it], tracks.t_us).clip(max=of_it.size - 1)]
        off = np.hypot(tracks.x_px - truth.x_px[at], tracks.y_px - truth.y_px[at])
        right = (truth.t_us[at] == tracks.t_us) & (off <= np.maximum(2.0, truth.radius_px[at] / 2))
        band = right & (tracks.band == band_of(truth.speed_px_s[at], edges))
        found.append([path[at[rows]].min(initial=np.inf) for rows in (right, band)])
    return np.array(found)


def _cells(case: Case, seeds: int) -> str:
    try:
        rows = np.array([_score(case, FIRST_SEED + seed) for seed in range(seeds)])
    except VelocellError as error:
        return f"{error}" + " |" * (len(COLUMNS) - 1)
    means = [float(np.nanmean(row)) if np.isfinite(row).any() else np.nan for row in rows.T]
    return " | ".join(
        "-" if np.isnan(mean) else f"{mean:{form}}" for mean, form in zip(means, COLUMNS.values(), strict=True)
    )


def _score(case: Case, seed: int) -> list[float]:
    bands, radius = bands_of(case.bands), radius_of(case.radius)
    recording, truth = simulate(case.scene(seed))
    started = perf_counter()
    tracks = detect(recording, bands, radius, every_us=case.every_us, keep_spikes=False).tracks
    seconds = perf_counter() - started
    paired = pair(tracks, truth, case.every_us)
    first = firsts(paired, tracks, truth, np.array(bands.edges)) if case.appears else [np.nan, np.nan]
    return [*figures(paired, tracks, truth), *first, recording.duration_us / 1e6 / seconds]


def figures(paired: Paired, tracks: Tracks, truth: Tracks) -> list[float]:
    """The columns from recall to radius; NaN for what nothing tells."""
    mine, theirs = paired.rows, paired.truth_rows
    distance = np.hypot(tracks.x_px[mine] - truth.x_px[theirs], tracks.y_px[mine] - truth.y_px[theirs])
    off = np.abs(tracks.speed_px_s[mine] - truth.speed_px_s[theirs])
    turned = np.abs((tracks.heading_deg[mine] - truth.heading_deg[theirs] + 180) % 360 - 180)
    late = travelled(truth)[0][theirs] >= AFTER_PX
    shown = paired.figures
    return [
        shown["recall"], shown["precision"], shown["idf1"], shown["num_switches"] / paired.object_s * 10,
        median(distance), float(np.sqrt(np.mean(distance**2))) if distance.size else np.nan,
        median((off / truth.speed_px_s[theirs])[late]),
        float((off <= tracks.speed_err_px_s[mine])[late].mean()) if late.any() else np.nan,
        median(turned[late]), median(np.abs(tracks.radius_px[mine] / truth.radius_px[theirs] - 1)),
    ]  # fmt: skip


def firsts(paired: Paired, tracks: Tracks, truth: Tracks, edges: Floats) -> list[float]:
    """How far an object had moved, in radii, at its first row in the right place and band: the median, and the share
    of objects within WITHIN_RADII."""
    mine, theirs = paired.rows, paired.truth_rows
    found = theirs[tracks.band[mine] == band_of(truth.speed_px_s[theirs], edges)]
    radii = (travelled(truth)[0] / truth.radius_px)[found]
    first = np.array([radii[truth.id[found] == name].min(initial=np.inf) for name in np.unique(truth.id)])
    return [median(first), float((first <= WITHIN_RADII).mean())]


if __name__ == "__main__":
    main()
