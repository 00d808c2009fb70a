"""What `velocell train` gains: before and after, on scenes and bars with seeds that it never saw.

    python -m benchmarks.training [--radius 3] [--polarity drop] [--contrast 3] [--negatives] [--most 100] [--out FILE]

Bars are as thick as the disks and no disks: what is followed there is false. --negatives trains on some, too.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from velocell.calibration.recipe import Recipe
from velocell.calibration.search import Search
from velocell.calibration.training import Example, Figures, train
from velocell.data.recording import Polarity
from velocell.pipeline import find
from velocell.results.evaluate import evaluate
from velocell.simulate import Scene, SceneObject, random_scene, simulate

BANDS = (40.0, 160.0, 640.0)
_SPEEDS = (44.0, 580.0)
_TRAINED_ON, _BARS, _UNSEEN = range(100, 109), range(200, 203), range(300, 305)
_WIDTH, _HEIGHT, _DURATION_US = 160, 120, 500_000
_NOISE_HZ = 0.2


@dataclass(frozen=True)
class Task:
    """What is looked for."""

    radius: float
    polarity: Polarity
    contrast: float

    def search(self, recipe: Recipe) -> Search:
        return Search.of(BANDS, self.radius, polarity=self.polarity, recipe=recipe)

    def disks(self, seed: int) -> Example:
        """Six disks whose speeds lie in the bands."""
        scene = random_scene(
            6, width=_WIDTH, height=_HEIGHT, duration_us=_DURATION_US, radius=self.radius, speeds=_SPEEDS,
            contrast=self.contrast, noise_hz=_NOISE_HZ, seed=seed,
        )  # fmt: skip
        recording, truth = simulate(scene)
        return Example(self.search(Recipe()).seen(recording), truth)

    def bars(self, seed: int) -> Example:
        """Two bars across the sensor, in random directions."""
        rng = np.random.default_rng(seed)
        objects = tuple(
            SceneObject(
                id=number, shape="bar", radius_px=self.radius, x_px=rng.uniform(20, 140), y_px=rng.uniform(20, 100),
                speed_px_s=float(np.exp(rng.uniform(*np.log(_SPEEDS)))), heading_deg=rng.uniform(0, 360),
                contrast=self.contrast, target=False,
            )
            for number in range(2)
        )  # fmt: skip
        scene = Scene(
            width=_WIDTH, height=_HEIGHT, duration_us=_DURATION_US, objects=objects, noise_hz=_NOISE_HZ, seed=seed
        )
        return Example(self.search(Recipe()).seen(simulate(scene)[0]), None)

    def found(self, one: Example, recipe: Recipe) -> Figures:
        """As `velocell detect --recipe` finds it."""
        found = find(one.recording, self.search(recipe))
        if one.truth is None:
            return Figures(0, 0, 0, 0, len(set(found.tracks.id.tolist())), negative=True)
        scores = evaluate(found.tracks, one.truth, BANDS, spikes=found.spikes)
        purity = float(np.mean([share for share in scores.purity if share is not None]))
        return Figures(scores.recall, scores.precision, scores.band_accuracy, purity, scores.false_tracks)

    def row(self, recipe: Recipe) -> dict[str, object]:
        """Means and the worst band accuracy on five unseen scenes; false tracks on each of five unseen ones of bars."""
        on_disks = [self.found(self.disks(seed), recipe) for seed in _UNSEEN]
        on_bars = [self.found(self.bars(seed), recipe) for seed in _UNSEEN]
        mean = asdict(Figures.mean(on_disks))
        del mean["negative"]
        return {
            **mean, "worst_band": min(one.band for one in on_disks), "of_bars": [one.false_tracks for one in on_bars]
        }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--radius", type=float, default=3.0)
    parser.add_argument("--polarity", choices=("merge", "drop"), default="drop")
    parser.add_argument("--contrast", type=float, default=3.0)
    parser.add_argument("--negatives", action="store_true")
    parser.add_argument("--most", type=int, default=100)
    parser.add_argument("--out", type=Path, default=Path("training.json"))
    given = parser.parse_args()
    task, usual = Task(given.radius, given.polarity, given.contrast), Recipe()
    examples = [task.disks(seed) for seed in _TRAINED_ON]
    examples += [task.bars(seed) for seed in _BARS] if given.negatives else []
    began = time.process_time()
    trained = train(examples, task.search(usual), most=given.most)
    result: dict[str, object] = {
        "given": {name: str(value) for name, value in vars(given).items()},
        "tries": trained.evaluations,
        "processor_s": round(time.process_time() - began, 1),
        "improved": trained.improved,
        "chosen_on_unseen": {"usual": asdict(trained.before), "trained": asdict(trained.after)},
        "usual": task.row(usual),
        "trained": task.row(trained.recipe),
        "outside -0.6 alone": task.row(replace(usual, outside=-0.6)),
    }
    given.out.write_text(json.dumps(result, indent=1))
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
