"""What `velocell train` gains: before and after, on scenes that it never saw.

    python -m benchmarks.training CASE [--seeds 5] [--most 300] [--out docs/training.md]

Each seed searches on scenes of its own, with a random search of its own; all are judged on the same unseen scenes, as
`velocell detect --recipe` finds what is there. Where `train` says that nothing was gained on what it held out, the
row is that of the usual recipe, as its file is.

disks: R = 3, contrast 3, without polarity; and the same recipes in noise of 2 Hz/px.
bars: R = 5, and scenes of two bars, as thick as the disks, without disks: what is followed there is false.
dim: R = 5, a davis346 at 5 lux.
pendulum: the first half of a recording of ../shared/data, judged on the second.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.real import DATA, PENDULUM_BANDS, score_pendulum
from velocell.calibration.search import Search
from velocell.calibration.training import Example, train
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks
from velocell.formats import read
from velocell.pipeline import find
from velocell.results.evaluate import evaluate
from velocell.simulate import Scene, SceneObject, random_scene, simulate

BANDS = (40.0, 160.0, 640.0)
_SPEEDS = (44.0, 580.0)
_UNSEEN = range(300, 305)
_WIDTH, _HEIGHT, _DURATION_US = 160, 120, 500_000
_NOISE_HZ, _LOUD_HZ, _DIM_LUX = 0.2, 2.0, 5.0

Seen = tuple[Recording, Tracks | None]


@dataclass(frozen=True)
class Case:
    """search: what is looked for. examples: of a seed. unseen: by the name of a column, what is judged on."""

    search: Search
    examples: Callable[[int], list[Seen]]
    unseen: dict[str, Callable[[], list[Seen]]]


def disks(seed: int, radius: float, contrast: float, noise_hz: float = _NOISE_HZ) -> Seen:
    """Six disks whose speeds lie in the bands."""
    return simulate(
        random_scene(
            6, width=_WIDTH, height=_HEIGHT, duration_us=_DURATION_US, radius=radius, speeds=_SPEEDS,
            contrast=contrast, noise_hz=noise_hz, seed=seed,
        )
    )  # fmt: skip


def bars(seed: int, radius: float) -> Seen:
    """Two bars across the sensor, in random directions."""
    rng = np.random.default_rng(seed)
    objects = tuple(
        SceneObject(
            id=number, shape="bar", radius_px=radius, x_px=rng.uniform(20, 140), y_px=rng.uniform(20, 100),
            speed_px_s=float(np.exp(rng.uniform(*np.log(_SPEEDS)))), heading_deg=rng.uniform(0, 360),
            contrast=3.0, target=False,
        )
        for number in range(2)
    )  # fmt: skip
    scene = Scene(
        width=_WIDTH, height=_HEIGHT, duration_us=_DURATION_US, objects=objects, noise_hz=_NOISE_HZ, seed=seed
    )
    return simulate(scene)[0], None


def dim(seed: int) -> Seen:
    """Five disks, darker and brighter than the background, before a sensor that sees them late and in noise."""
    plain = random_scene(
        5, width=_WIDTH, height=_HEIGHT, duration_us=_DURATION_US, radius=5.0, speeds=_SPEEDS, noise_hz=0, seed=seed
    )
    looks = [replace(one, brightness=0.35 if number % 2 else 2.5) for number, one in enumerate(plain.objects)]
    return simulate(
        replace(plain, objects=tuple(looks), sensor="davis346", light_lux=_DIM_LUX, lens_blur_px=0.7)
    )  # fmt: skip


def halves() -> tuple[list[Seen], list[Seen]]:
    """The pendulum: three parts of the first half of its labels, and the second half."""
    seen, truth = read(DATA / "pendulum_dvs128.aedat"), Tracks.read(DATA / "pendulum_dvs128.truth.csv")
    start, stop = int(truth.t_us[0]), int(truth.t_us[-1]) + 1
    cuts = [start + (stop - start) * sixth // 6 for sixth in (0, 1, 2, 3, 6)]
    parts: list[Seen] = [
        (seen.between(begin, end), truth.where((truth.t_us >= begin) & (truth.t_us < end)))
        for begin, end in pairwise(cuts)
    ]
    return parts[:3], parts[3:]


def cases() -> dict[str, Case]:
    def many(make: Callable[..., Seen], seeds: range = _UNSEEN) -> list[Seen]:
        return [make(seed) for seed in seeds]

    def own(seed: int, count: int) -> range:
        """Seeds of training scenes, others for each search."""
        return range(1000 * (seed + 1), 1000 * (seed + 1) + count)

    small, usual = partial(disks, radius=3.0, contrast=3.0), partial(disks, radius=5.0, contrast=3.0)
    thick, loud = partial(bars, radius=5.0), partial(small, noise_hz=_LOUD_HZ)
    return {
        "disks": Case(
            Search.of(BANDS, 3.0, polarity="drop"),
            lambda seed: many(small, own(seed, 9)),
            {"unseen scenes": partial(many, small), "the same, noise of 2 Hz/px": partial(many, loud)},
        ),
        "bars": Case(
            Search.of(BANDS, 5.0),
            lambda seed: many(usual, own(seed, 9)) + many(thick, own(seed, 9)),
            {"unseen scenes of disks": partial(many, usual), "unseen scenes of bars": partial(many, thick)},
        ),
        "dim": Case(Search.of(BANDS, 5.0), lambda seed: many(dim, own(seed, 9)), {"unseen scenes": partial(many, dim)}),
        "pendulum": Case(
            Search.of(PENDULUM_BANDS, 5.0), lambda _: halves()[0], {"second half": lambda: halves()[1]}
        ),
    }  # fmt: skip


def row(search: Search, unseen: list[Seen]) -> str:
    """Cells: means over what is judged on (band: also the worst), false tracks of all; as `detect` finds them."""
    found, false, matched = [], 0, []
    for seen, truth in unseen:
        tracks = find(search.seen(seen), search)
        if truth is None:
            false += len(set(tracks.tracks.id.tolist()))
            continue
        assert search.bands is not None
        scores = evaluate(tracks.tracks, truth, search.bands.edges, spikes=tracks.spikes)
        pure = [share for share in scores.purity if share is not None]
        found.append((scores.recall, scores.precision, scores.band_accuracy, np.mean(pure) if pure else np.nan))
        false += scores.false_tracks
        matched.append(score_pendulum(tracks.tracks, truth)["matched"])
    if not found:
        return f"| | | | | {false} |"
    means = np.nanmean(np.array(found), axis=0)
    worst = f" ({min(one[2] for one in found):.3f})" if len(found) > 1 else ""
    cells = [f"{value:.3f}" for value in means]
    cells[2] += worst
    if len(unseen) == 1:
        cells[0] += f"; {matched[0]:.0%} of its instants"
    return f"| {' | '.join(cells)} | {false} |"


def lines_of(name: str, seeds: int, most: int) -> Iterator[str]:
    """The table, line by line."""
    case = cases()[name]
    judged = {title: make() for title, make in case.unseen.items()}
    recipes = [("usual", "", case.search.recipe)]
    for seed in range(seeds):
        examples = [Example(case.search.seen(seen), truth) for seen, truth in case.examples(seed)]
        began = time.process_time()
        trained = train(examples, case.search, most=most, seed=seed)
        seconds = f"{time.process_time() - began:.0f} s, {trained.evaluations} tries"
        kept = "" if trained.improved else ", kept the usual"
        recipes.append((f"seed {seed}{kept}", seconds, trained.recipe))
    if name == "bars":
        recipes.append(("`outside = -0.6` alone", "", replace(case.search.recipe, outside=-0.6)))
    yield "| judged on | recipe | search | recall | precision | band (worst) | purity | false tracks |"
    yield "|---" * 8 + "|"
    for title, unseen in judged.items():
        for which, seconds, recipe in recipes:
            yield f"| {title} | {which} | {seconds} {row(replace(case.search, recipe=recipe), unseen)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=("disks", "bars", "dim", "pendulum"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--most", type=int, default=300)
    parser.add_argument("--out", type=Path, help="the page; its text around the table of the case stays as it is")
    given = parser.parse_args()
    lines = []
    for line in lines_of(given.case, given.seeds, given.most):
        lines.append(line)
        print(line, flush=True)
    if given.out:
        page, begin, end = given.out.read_text(), f"<!-- python -m benchmarks.training {given.case} -->", "<!-- end -->"
        before, mark, rest = page.partition(begin)
        _, mark_of_end, after = rest.partition(end)
        if not (mark and mark_of_end):
            parser.error(f"{given.out} lacks the lines '{begin}' and '{end}'")
        given.out.write_text(f"{before}{begin}\n" + "\n".join(lines) + f"\n{end}{after}")


if __name__ == "__main__":
    main()
