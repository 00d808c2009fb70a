"""How well detection works on simulated scenes: `python -m benchmarks.accuracy [--seeds 5] [--out docs/accuracy.md]`.

Separate disks at random places, directions and speeds, scored by `velocell.evaluate`. The seeds are
used nowhere else. Every row is the mean over the seeds; nothing but bands and radius is given.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from velocell.data.recording import Recording
from velocell.errors import VelocellError
from velocell.pipeline import detect
from velocell.results.evaluate import evaluate
from velocell.results.scores import Scores
from velocell.simulate import Flicker, Scene, SceneObject, random_scene, simulate

FIRST_SEED = 70_000
LIMITS = """
## Limits seen elsewhere

- Speeds within 10 % of a band's edge go to either band.
- Contrast and radius are measured on the first second that has objects; where nothing is followed, a warning says so
  and guesses stand in. The stated radius may be from half to 1.6 times the true one; a warning
  says where it differs by a fifth or more.
- Pixels stuck at kHz rates have to be masked, as `velocell detect` does: with noise of 3 Hz/px, 20 of them at 2 kHz
  halve the precision of such a scene (`python -m benchmarks.filters`).
- `--contrast N` builds a network without trail filter; it is right for disks of that contrast only.
- Where 300 disks cross freely on 1280x720, about 2 % of the steps are missed (`python -m benchmarks.engine`).
- Flickering patches, squares and disks of another size make few or no false tracks, a bar about 2R thick looks like
  disks.
- Without polarity and at R = 3 to 4 px the edges of bands lie up to a quarter too low at contrast 3.
"""
WIDE = (20.0, 80.0, 320.0, 1280.0)
OCTAVES = (42.0, 85.0, 170.0, 340.0, 680.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    lines = [
        "# Accuracy on simulated scenes",
        "",
        f"Made by `python -m benchmarks.accuracy --seeds {arguments.seeds}`.",
        "",
    ]
    lines += _table("Bands two octaves wide (20, 80, 320, 1280 px/s), noise 0.2 Hz/px", _wide_rows(), arguments.seeds)
    lines += _table(
        "Octave bands (42, 85, 170, 340, 680 px/s), R = 6 px, noise 0.5 Hz/px", _octave_rows(), arguments.seeds
    )
    lines += _table("One thing wrong at a time (two octaves, R = 6 px, contrast 3)", _stress_rows(), arguments.seeds)
    lines += _negatives(arguments.seeds)
    text = "\n".join(lines) + LIMITS
    print(text)
    if arguments.out:
        arguments.out.write_text(text)


Case = tuple[str, Callable[[int], Scene], tuple[float, ...], float, Callable[[Recording], Recording]]


def _same(recording: Recording) -> Recording:
    return recording


def _wide(seed: int, radius: float = 6, contrast: float | tuple[float, float] = 3, noise_hz: float = 0.2) -> Scene:
    return random_scene(
        6 if radius < 10 else 4, width=320, height=240, radius=radius, speeds=(22, 1150), contrast=contrast,
        noise_hz=noise_hz, seed=seed,
    )  # fmt: skip


def _wide_rows() -> list[Case]:
    return [
        (f"R = {radius}, contrast {contrast}{', polarity dropped' if blind else ''}",
         partial(_wide, radius=radius, contrast=contrast), WIDE, radius,
         (lambda recording: recording.with_polarity("drop")) if blind else _same)
        for radius in (4, 8, 12) for contrast in (1, 3, 10) for blind in (False, True)
    ]  # fmt: skip


def _octave_rows() -> list[Case]:
    def scene(seed: int, contrast: float) -> Scene:
        return random_scene(
            6, width=320, height=240, radius=6, speeds=(46, 620), contrast=contrast, noise_hz=0.5, seed=seed
        )

    return [(f"contrast {c}", partial(scene, contrast=c), OCTAVES, 6.0, _same) for c in (1, 3, 10)]


def _stress_rows() -> list[Case]:
    return [
        ("nothing", lambda seed: _wide(seed), WIDE, 6.0, _same),
        ("stated radius 15 % too small", lambda seed: _wide(seed), WIDE, 5.1, _same),
        ("stated radius 15 % too large", lambda seed: _wide(seed), WIDE, 6.9, _same),
        ("stated radius half of the true one", lambda seed: _wide(seed), WIDE, 3.0, _same),
        ("stated radius 1.6 times the true one", lambda seed: _wide(seed), WIDE, 9.6, _same),
        ("half of the events lost", lambda seed: replace(_wide(seed), event_loss=0.5), WIDE, 6.0, _same),
        ("noise 3 Hz/px", lambda seed: _wide(seed, noise_hz=3.0), WIDE, 6.0, _same),
        ("time jitter 1 ms", lambda seed: replace(_wide(seed), jitter_us=1000), WIDE, 6.0, _same),
        ("contrasts 1 to 10 in one scene", lambda seed: _wide(seed, contrast=(1, 10)), WIDE, 6.0, _same),
    ]


def _table(title: str, cases: list[Case], seeds: int) -> list[str]:
    columns = "scene | recall | precision | band accuracy | worst seed | purity | median px | rms px | speed | switches"
    lines = [f"## {title}", "", f"| {columns} |", "|---" * (columns.count("|") + 1) + "|"]
    for name, scene, edges, radius, prepare in cases:
        found = [_score(scene(FIRST_SEED + seed), edges, radius, prepare) for seed in range(seeds)]
        lines.append(f"| {name} | " + " | ".join(_cells(found)) + " |")
    return [*lines, ""]


def _score(scene: Scene, edges: tuple[float, ...], radius: float, prepare: Callable[[Recording], Recording]) -> Scores:
    recording, truth = simulate(scene)
    found = detect(prepare(recording), edges, radius)
    return evaluate(found.tracks, truth, edges, spikes=found.spikes)


def _cells(scores: list[Scores]) -> list[str]:
    def mean(name: str) -> float:
        return float(np.nanmean([getattr(score, name) for score in scores]))

    purities = [p for score in scores for p in score.purity if p is not None]
    return [
        f"{mean('recall'):.3f}", f"{mean('precision'):.3f}", f"{mean('band_accuracy'):.3f}",
        f"{min(score.band_accuracy for score in scores):.3f}", f"{np.median(purities):.3f}",
        f"{mean('localisation_median_px'):.2f}", f"{mean('localisation_rms_px'):.2f}",
        f"{100 * mean('speed_error_median'):.1f} %", f"{mean('id_switches'):.1f}",
    ]  # fmt: skip


def _negatives(seeds: int) -> list[str]:
    """Scenes without any disk of the wanted size: every track is false."""
    radius, edges, ms = 5.0, (60.0, 240.0, 960.0), 2_000

    def moving(shape: str, size: float, seed: int) -> Scene:
        rng = np.random.default_rng(seed)
        thing = SceneObject(
            id=0, shape=shape, x_px=50, y_px=120, radius_px=size, speed_px_s=float(rng.uniform(80, 900)),
            heading_deg=float(rng.uniform(-30, 30)), bounce=shape != "edge", target=False,
        )  # fmt: skip
        return Scene(320, 240, ms * 1000, seed=seed, noise_hz=0.2, objects=(thing,))

    def flicker(seed: int) -> Scene:
        rng = np.random.default_rng(seed)
        lamps = tuple(
            Flicker(float(rng.uniform(20, 300)), float(rng.uniform(20, 220)), float(rng.uniform(3, 15)),
                    contrast=3, frequency_hz=float(rng.uniform(5, 60)))
            for _ in range(5)
        )  # fmt: skip
        return Scene(320, 240, ms * 1000, seed=seed, noise_hz=0.2, flicker=lamps)

    scenes: list[tuple[str, Callable[[int], Scene]]] = [
        ("noise 3 Hz/px", lambda seed: Scene(320, 240, ms * 1000, seed=seed, noise_hz=3.0)),
        ("five flickering patches, 5-60 Hz", flicker),
        ("a straight edge", lambda seed: moving("edge", 200, seed)),
        ("a square of side 6R", lambda seed: moving("square", 3 * radius, seed)),
        ("a disk of 3R", lambda seed: moving("disk", 3 * radius, seed)),
    ]
    lines = [
        "## Scenes without a disk (320x240, R = 5 px, lowest edge 60 px/s)",
        "",
        "| scene | false tracks per 10 s |",
        "|---|---|",
    ]
    for name, scene in scenes:
        count = 0
        for seed in range(seeds):
            try:
                count += np.unique(detect(simulate(scene(FIRST_SEED + seed))[0], edges, radius).tracks.id).size
            except VelocellError as error:
                name = f"{name} ({error})"
        lines.append(f"| {name} | {count / (seeds * ms / 10_000):.1f} |")
    return [*lines, ""]


if __name__ == "__main__":
    main()
