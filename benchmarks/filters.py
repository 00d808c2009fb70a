"""What the input filters do to a noisy recording: `python -m benchmarks.filters [--seeds 5] [--out docs/filters.md]`.

First the filters: six disks, noise of 3 Hz/px, 20 hot pixels at 2 kHz. The same scene without noise and hot pixels
tells which events are signal. Every row is the mean over the seeds; nothing but bands and radius is given. Then what
the mask of hot pixels takes from scenes that have none.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from velocell import filters
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks
from velocell.pipeline import detect
from velocell.results.evaluate import evaluate
from velocell.simulate import Scene, SceneObject, random_scene, simulate

FIRST_SEED = 80_000
EDGES = (20.0, 80.0, 320.0, 1280.0)
RADIUS = 6.0

Filter = Callable[[Recording], Recording]


def masked(recording: Recording) -> Recording:
    return filters.mask_pixels(recording, filters.hot_pixels(recording))


def refractory(dead_us: int) -> Filter:
    return lambda recording: filters.refractory_filter(recording, dead_us)


def background(window_us: int) -> Filter:
    return lambda recording: filters.background_activity_filter(recording, window_us)


CASES: list[tuple[str, tuple[Filter, ...]]] = [
    ("none", ()),
    ("--mask-hot", (masked,)),
    ("--refractory 1ms", (refractory(1_000),)),
    ("--refractory 5ms", (refractory(5_000),)),
    ("--denoise 2ms", (background(2_000),)),
    ("--denoise 10ms", (background(10_000),)),
    ("--denoise 50ms", (background(50_000),)),
    ("--mask-hot --denoise 10ms", (masked, background(10_000))),
    ("--mask-hot --refractory 1ms --denoise 10ms", (masked, refractory(1_000), background(10_000))),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    columns = "filter | events | signal | the rest | Mev/s | recall | precision | band accuracy | worst seed"
    lines = [
        "# Input filters on a noisy recording",
        "",
        f"Made by `python -m benchmarks.filters --seeds {arguments.seeds}`: 320x240, six disks of R = {RADIUS:g} px at "
        "22 to 1150 px/s, noise 3 Hz/px, 20 hot pixels at 2 kHz. Events, signal, the rest: the share that is left.",
        "",
    ]
    for contrast in (1.0, 3.0):
        scenes = [_scene(FIRST_SEED + seed, contrast) for seed in range(arguments.seeds)]
        lines += [f"## Contrast {contrast:g}", "", f"| {columns} |", "|---" * (columns.count("|") + 1) + "|"]
        for name, applied in CASES:
            rows = np.array([_row(*scene, applied) for scene in scenes])
            left, speed, scores = rows[:, :3].mean(axis=0), np.median(rows[:, 3]), rows[:, 4:].mean(axis=0)
            cells = [f"{100 * share:.1f} %" for share in left] + [f"{speed:.1f}" if applied else ""]
            cells += [f"{score:.3f}" for score in (*scores, rows[:, -1].min())]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        lines.append("")
    lines += _harmless(arguments.seeds)
    text = "\n".join(lines)
    print(text)
    if arguments.out:
        arguments.out.write_text(text)


def _harmless(seeds: int) -> list[str]:
    """Scenes without hot pixels: every event that the mask takes is a loss."""

    def disks(seed: int, radius: float, contrast: float, speeds: tuple[float, float], noise_hz: float) -> Recording:
        crowd = random_scene(
            6, width=320, height=240, radius=radius, speeds=speeds, contrast=contrast, noise_hz=noise_hz, seed=seed,
            duration_us=2_000_000,
        )  # fmt: skip
        return simulate(crowd)[0]

    def trembling(seed: int, reach: float, contrast: float) -> Recording:
        disk = SceneObject(
            x_px=40 + seed % 7 / 7, y_px=30, radius_px=5, speed_px_s=60, contrast=contrast, orbit_radius_px=reach
        )
        return simulate(Scene(80, 60, 2_000_000, seed=seed, objects=(disk,)))[0]

    cases: list[tuple[str, Callable[[int, float], Recording]]] = [
        *(
            (f"R = {radius}, {low:g}-{high:g} px/s, noise {noise:g} Hz/px",
             lambda seed, contrast, r=radius, s=(low, high), n=noise: disks(seed, r, contrast, s, n))
            for radius in (3, 6, 12) for low, high in ((2, 15), (22, 1150)) for noise in (0, 0.2)
        ),
        *(
            (f"a disk of R = 5 on a circle of {reach:g} px",
             lambda seed, contrast, r=reach: trembling(seed, r, contrast))
            for reach in (0.2, 0.4, 1.0, 2.0)
        ),
    ]  # fmt: skip
    contrasts = (1.0, 3.0, 10.0)
    lines = [
        "## What the mask takes where nothing is hot (2 s)",
        "",
        "The share of the events. A disk that trembles by less than half a pixel is not followed with or without them.",
        "",
        f"| scene | {' | '.join(f'contrast {contrast:g}' for contrast in contrasts)} |",
        "|---" * (len(contrasts) + 1) + "|",
    ]
    for name, make in cases:
        shares = []
        for contrast in contrasts:
            made = [make(FIRST_SEED + seed, contrast) for seed in range(seeds)]
            shares.append(1 - sum(len(masked(one)) for one in made) / sum(map(len, made)))
        lines.append(f"| {name} | " + " | ".join(f"{100 * share:.2f} %" for share in shares) + " |")
    return [*lines, ""]


def _scene(seed: int, contrast: float) -> tuple[Recording, NDArray[np.bool_], Tracks]:
    """The noisy recording, which of its events are signal, and the truth."""
    quiet = random_scene(
        6, width=320, height=240, radius=RADIUS, speeds=(22, 1150), contrast=contrast, noise_hz=0, seed=seed
    )
    noisy = replace(quiet, noise_hz=3.0, hot_pixels=20, hot_rate_hz=2000.0)
    recording, truth = simulate(noisy)
    # Noise is drawn last, so that the scene without it has the very same other events.
    signal = np.isin(_keys(recording), _keys(simulate(quiet)[0]))
    return recording, signal, truth


def _keys(recording: Recording) -> NDArray[np.int64]:
    assert recording.p is not None
    pixel = recording.y.astype(np.int64) * recording.width + recording.x
    return (recording.t_us * 2 + recording.p) * recording.width * recording.height + pixel


def _row(recording: Recording, signal: NDArray[np.bool_], truth: Tracks, filters: tuple[Filter, ...]) -> list[float]:
    started = perf_counter()
    left = recording
    for step in filters:
        left = step(left)
    seconds = perf_counter() - started
    kept = np.isin(_keys(recording), _keys(left))
    scores = evaluate(detect(left, EDGES, RADIUS).tracks, truth, EDGES)
    return [
        len(left) / len(recording), kept[signal].mean(), kept[~signal].mean(), len(recording) / seconds / 1e6,
        scores.recall, scores.precision, scores.band_accuracy,
    ]  # fmt: skip


if __name__ == "__main__":
    main()
