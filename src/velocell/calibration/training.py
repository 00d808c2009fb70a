"""A search over the numbers of the Recipe: which ones suit labelled or simulated recordings.

The Recipe is searched, not the weights: thresholds go on following what is measured on each recording. CMA-ES (Hansen,
arXiv:1604.00772, package `cma`) needs no gradient; those of a surrogate had the wrong sign for thresholds.

Examples are in three groups: some to search on, some to choose among what was found (and to stop early), some that
nobody looked at until the end; they tell what was gained. Where nothing was gained on the last, the usual recipe stays.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from velocell.calibration.measure import networks_for, networks_from
from velocell.calibration.recipe import Recipe
from velocell.calibration.search import Search
from velocell.data.arrays import Floats
from velocell.data.extras import install_line
from velocell.data.recording import Recording
from velocell.data.side_files import parse_json
from velocell.data.stamps import time_step
from velocell.data.tracks import Tracks
from velocell.errors import CalibrationError
from velocell.network import Network
from velocell.results.evaluate import evaluate
from velocell.tracking.detection import detection
from velocell.tracking.online import Online
from velocell.tracking.rules import JUDGED_PX


@dataclass(frozen=True)
class Range:
    """Limits of a number of the Recipe, and the step that the search starts with."""

    low: float
    high: float
    step: float


RANGES = {
    "ring_width_px": Range(1.2, 4.0, 0.3),
    "inside": Range(-2.0, 0.0, 0.15),
    "outside": Range(-1.5, 0.0, 0.15),
    "memory": Range(0.1, 0.8, 0.06),
    "margin": Range(0.6, 1.6, 0.06),
    "margin_peaks": Range(0.0, 1.5, 0.1),
    "margin_blur": Range(-0.6, 0.4, 0.06),
    "margin_px": Range(-1.2, 1.0, 0.15),
    "margin_trail": Range(0.8, 1.4, 0.04),
    "trail_px": Range(1.5, 6.0, 0.5),
    "hold": Range(0.1, 1.2, 0.08),
    "centre_px": Range(0.8, 3.0, 0.2),
    "surround": Range(-0.6, 0.0, 0.05),
    "veto": Range(-10.0, -1.0, 0.6),
    "veto_reach": Range(1.0, 3.0, 0.2),
}
"""What is searched; resets are not, so that a portable network stays one."""


@dataclass(frozen=True)
class Objective:
    """What counts, with its weight: of recall, precision, band accuracy and purity, what is missing to 1; of a
    negative, false tracks, up to `most_false`."""

    recall: float = 1.0
    precision: float = 1.0
    band: float = 2.0
    purity: float = 0.5
    negative: float = 1.0
    most_false: int = 20

    def loss(self, found: Figures) -> float:
        if found.negative:
            return self.negative * min(found.false_tracks, self.most_false) / self.most_false
        parts = ((self.recall, found.recall), (self.precision, found.precision), (self.band, found.band))
        lost = sum(weight * (1 - value) for weight, value in (*parts, (self.purity, found.purity)))
        return lost + self.negative * min(found.false_tracks, self.most_false) / self.most_false


@dataclass(frozen=True)
class Figures:
    """Of one example, or means over several; false_tracks: of all. What could not be told counts as 0."""

    recall: float
    precision: float
    band: float
    purity: float
    false_tracks: float
    negative: bool = False

    @staticmethod
    def mean(several: Sequence[Figures]) -> Figures:
        """Of those that are no negatives; false tracks of all are added up."""
        positive = [one for one in several if not one.negative]
        values = np.array([(one.recall, one.precision, one.band, one.purity) for one in positive])
        recall, precision, band, purity = values.mean(axis=0).tolist()
        return Figures(recall, precision, band, purity, sum(one.false_tracks for one in several))


@dataclass(frozen=True, eq=False)
class Example:
    """A recording and its objects; without any, it is a negative: what is followed there is false."""

    recording: Recording
    truth: Tracks | None


@dataclass(frozen=True, eq=False)
class Trained:
    """recipe: the one that was found, or the usual one where it was not better. before, after: on the held-out
    examples. improved: whether the held-out loss fell. evaluations: recipes that were tried."""

    recipe: Recipe
    before: Figures
    after: Figures
    improved: bool
    evaluations: int


_ALONE = 3.0  # steps that each number is moved by itself before the search

Progress = Callable[[int, float, float], object]
"""Called after each generation with the evaluations so far, the best loss and the usual recipe's."""


def train(
    examples: Sequence[Example],
    search: Search,
    *,
    objective: Objective = Objective(),
    most: int = 400,
    patience: int = 12,
    seed: int = 0,
    journal: Path | None = None,
    progress: Progress | None = None,
    client: Any = None,
) -> Trained:
    """Search for a recipe; examples are dealt to the three groups in turn, so give three at least.

    search: bands, radius and the rest of what is looked for. most: recipes tried. patience: generations without a
    better one on the second group. journal: a file of losses; where it exists, what it holds is not computed again.
    client: a `distributed.Client` whose workers try the recipes of a generation; the result is the same. Raises
    CalibrationError where there are too few examples with objects.
    """
    cma = _optimiser()
    _check(examples)
    groups = [[_Case.of(one, search) for one in examples[first::3]] for first in range(3)]
    usual = search.recipe
    log = _Journal.of(journal, seed)
    trial = _Trial(search, objective)
    best, best_loss, left = usual, trial.loss(groups[1], usual), patience
    first_loss = best_loss
    searched, chosen = (_computing(trial, cases, client) for cases in groups[:2])
    alone, start = _start(usual, partial(log.losses, searched), most)
    if alone is not usual:
        (loss,) = log.losses(chosen, [alone], counts=False)
        best, best_loss = (alone, loss) if loss < best_loss else (best, best_loss)
    evolution = cma.CMAEvolutionStrategy(start, 1.0, {"seed": seed + 1, "verbose": -9, "popsize": 10})
    while log.evaluations < most and left > 0 and not evolution.stop():
        asked = evolution.ask()
        evolution.tell(asked, log.losses(searched, [recipe_at(point, usual) for point in asked]))
        recipe = recipe_at(evolution.result.xfavorite, usual)
        (loss,) = log.losses(chosen, [recipe], counts=False)
        best, best_loss, left = (recipe, loss, patience) if loss < best_loss else (best, best_loss, left - 1)
        if progress is not None:
            progress(log.evaluations, best_loss, first_loss)
    before, after = (trial.as_detected(groups[2], recipe) for recipe in (usual, best))
    losses = [float(np.mean([objective.loss(one) for one in found])) for found in (before, after)]
    better = losses[1] < losses[0]
    kept = best if better else usual
    return Trained(kept, Figures.mean(before), Figures.mean(after), better, log.evaluations)


Losses = Callable[[Sequence[Recipe]], Iterable[float]]
"""Of some recipes, in their order, as they become known."""


def _computing(trial: _Trial, cases: Sequence[_Case], client: Any) -> Losses:
    """Here one after the other, or on a client's workers."""
    if client is None:
        return lambda recipes: (trial.loss(cases, recipe) for recipe in recipes)
    there = client.scatter(list(cases), broadcast=True, hash=False)

    def compute(recipes: Sequence[Recipe]) -> Iterator[float]:
        futures = [client.submit(_loss, trial, recipe, *there, pure=False) for recipe in recipes]
        return (future.result() for future in futures)

    return compute


def _loss(trial: _Trial, recipe: Recipe, *cases: _Case) -> float:
    return trial.loss(cases, recipe)


def _start(usual: Recipe, losses: Callable[[Sequence[Recipe]], list[float]], most: int) -> tuple[Recipe, Floats]:
    """Of the usual recipe and those with a single number moved the one with the least loss, and its place: where one
    number is the answer, the search, which moves all of them at once, hardly finds it."""
    here = np.array([_place(name, getattr(usual, name)) for name in RANGES])
    tried = [(usual, here)]
    for number, (name, limits) in enumerate(RANGES.items()):
        for way in (-_ALONE, _ALONE):
            there = here.copy()
            there[number] = np.clip(here[number] + way, _place(name, limits.low), _place(name, limits.high))
            if there[number] != here[number]:
                tried.append((replace(usual, **{name: float(there[number] * limits.step)}), there))
    return tried[int(np.argmin(losses([recipe for recipe, _ in tried[:most]])))]


def _optimiser() -> Any:
    try:
        import cma
    except ImportError as error:
        raise CalibrationError(
            f"training needs the package cma ({error}); install it with: {install_line('train')}"
        ) from None
    return cma


def recipe_at(point: Floats, usual: Recipe) -> Recipe:
    """The Recipe at a place of the search, in steps from 0 as `_place` gives them, cut to the limits."""
    values = {}
    for (name, limits), place in zip(RANGES.items(), point, strict=True):
        values[name] = float(np.clip(place * limits.step, limits.low, limits.high))
    return replace(usual, **values)


def _place(name: str, value: float) -> float:
    return value / RANGES[name].step


def _check(examples: Sequence[Example]) -> None:
    with_objects = [one for one in examples[:3] if one.truth is not None and len(one.truth)]
    if len(with_objects) < 3:
        raise CalibrationError(
            f"training needs three parts with objects, to search, to choose and to judge, got {len(with_objects)}; "
            "give more recordings, longer labels or --simulate"
        )
    objects = sum(len(set(one.truth.id.tolist())) for one in examples if one.truth is not None)
    if objects < 2:
        raise CalibrationError("training needs two objects at least; label more of them")


@dataclass(frozen=True, eq=False)
class _Case:
    """An example, and what the usual recipe measures in it: the share of edge crossings and the radius."""

    example: Example
    share: float
    radius_px: float

    @staticmethod
    def of(example: Example, search: Search) -> _Case:
        network = networks_for(example.recording, search)[0]
        assert network.origin.crossings is not None  # it is calibrated
        assert network.radius_px is not None
        return _Case(example, network.origin.crossings, network.radius_px)


@dataclass(frozen=True)
class _Trial:
    search: Search
    objective: Objective

    def loss(self, cases: Sequence[_Case], recipe: Recipe) -> float:
        """Mean over examples, with the measured share and radius; a recipe from which no network follows loses all."""
        try:
            found = [self.figures(case, self._network(case, recipe)) for case in cases]
            return float(np.mean([self.objective.loss(one) for one in found]))
        except CalibrationError:
            return 10.0

    def as_detected(self, cases: Sequence[_Case], recipe: Recipe) -> list[Figures]:
        """As `velocell detect --recipe` does it, with all that it measures."""
        search = replace(self.search, recipe=recipe)
        return [self.figures(case, networks_for(case.example.recording, search)[0]) for case in cases]

    def _network(self, case: _Case, recipe: Recipe) -> Network:
        seen = case.example.recording
        search = replace(self.search, recipe=recipe)
        (network,) = networks_from(
            search, case.radius_px, polarity=seen.p is not None, share=case.share, step=time_step(seen)
        )
        return network

    def figures(self, case: _Case, network: Network) -> Figures:
        seen, truth = case.example.recording, case.example.truth
        rules = self.search.rules.by_neurons(JUDGED_PX)  # what is trained is the neurons
        found = detection(Online(network, seen.size, engine=self.search.engine, rules=rules), seen)
        if truth is None:
            return Figures(0, 0, 0, 0, len(set(found.tracks.id.tolist())), negative=True)
        assert network.bands is not None
        scores = evaluate(found.tracks, truth, network.bands.edges, spikes=found.spikes)
        pure = [share for share in scores.purity if share is not None]
        values = (scores.recall, scores.precision, scores.band_accuracy, float(np.mean(pure)) if pure else 0.0)
        recall, precision, band, purity = (0.0 if math.isnan(value) else value for value in values)
        return Figures(recall, precision, band, purity, scores.false_tracks)


@dataclass
class _Journal:
    """Losses in the order in which they were asked for; the search asks alike for one seed, so they serve again."""

    path: Path | None
    known: list[float]
    evaluations: int = 0
    asked: int = 0

    @staticmethod
    def of(path: Path | None, seed: int) -> _Journal:
        if path is None or not path.exists():
            if path is not None:
                path.write_text(json.dumps({"velocell_training": 1, "seed": seed}) + "\n")
            return _Journal(path, [])
        try:
            head, *lines = path.read_text().splitlines()
            if parse_json(head) != {"velocell_training": 1, "seed": seed}:
                raise ValueError("it was begun with another seed")
            return _Journal(path, [float(line) for line in lines])
        except (ValueError, OSError) as error:
            raise CalibrationError(f"{path} cannot be resumed ({error}); remove it to begin anew") from None

    def losses(self, compute: Losses, recipes: Sequence[Recipe], *, counts: bool = True) -> list[float]:
        self.evaluations += counts * len(recipes)
        found = self.known[self.asked : self.asked + len(recipes)]
        self.asked += len(recipes)
        for value in compute(recipes[len(found) :]):
            if self.path is not None:
                with self.path.open("a") as handle:
                    handle.write(f"{value!r}\n")
            found.append(value)
        return found
