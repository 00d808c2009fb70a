"""Calibration adjusted to a recording whose objects are labelled.

The formulas of `calibrate` need a radius and the events per edge crossing; both are measured around the
labelled paths, the latter for each band edge from the objects that move about as fast, since a camera may lose more
events of fast objects than of slow ones. What is then still told wrongly shows where each edge lies in truth: between
the speeds of the stretches that are told to lie below it and above it. With that speed v' the threshold is
multiplied by V(v) / V(v'), V(v) = v Psi(v tau), v the edge where the labels put it.

Every network is scored on the labels (recall x precision x band accuracy), and the best is kept, the
recording's own calibration among them: on its own labels a fit is never worse.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from velocell.calibration import labelled as labels
from velocell.calibration.edges import boundary, factor, scaled
from velocell.calibration.formulas import calibrate
from velocell.calibration.labelled import Stretches
from velocell.calibration.measure import network_for
from velocell.data.arrays import Floats, weighted_quantile
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks
from velocell.errors import TableError
from velocell.network import Network
from velocell.network.origin import Labelled
from velocell.results.evaluate import evaluate
from velocell.results.scores import Scores
from velocell.tracking.detection import detection
from velocell.tracking.online import Online
from velocell.tracking.rules import DEFAULTS, JUDGED_PX

_TRIES = 4  # corrections of the thresholds, each a pass over the labelled part
_FEWEST_CROSSINGS = 0.05  # per edge crossing; what gives fewer is no labelled object
_OCTAVES = 0.7  # objects so far from an edge count little for it
_NUDGE = 1.06


@dataclass(frozen=True, eq=False)
class Fitted:
    """before: of the network that the recording gives without labels. after: of `network`."""

    network: Network
    before: Scores
    after: Scores


def fit(
    recording: Recording,
    table: Tracks,
    bands: Bands | Sequence[float],
    radius: float = 5.0,
    *,
    contrast: float | None = None,
    dt_us: int | None = None,
    engine: str = "native",
) -> Fitted:
    """A network for the bands (px/s) whose radius, events per edge crossing and thresholds suit the labelled objects.

    table: t_us, id, x_px, y_px; speed_px_s, or band, or neither, then the path tells the speed. radius,
    contrast, dt_us: as for `calibrate`; the first two are where the measurement starts. Raises TableError
    where the labels cannot be of this recording, or tell no band; other VelocellErrors as `calibrate`.
    """
    wanted = bands if isinstance(bands, Bands) else Bands(tuple(bands))
    truth = labels.prepared(table, recording, wanted)
    cut = labels.stretches(truth, wanted)
    part = recording.between(int(truth.t_us[0]), int(truth.t_us[-1]) + 1)
    own = network_for(recording, wanted, radius, contrast=contrast, dt_us=dt_us, engine=engine)
    trials = _Trials(part, truth, cut, engine)
    asked = np.array(wanted.edges)
    before = best = trials.of(own, asked)
    best = _better(best, trials.of(_measured(recording, cut, radius, contrast, dt_us, own), asked))
    step = 1.0
    for _ in range(_TRIES):
        factors, edges = _corrections(best, cut, wanted)
        if (factors == 1).all():
            break
        tried = trials.of(scaled(best.network, factors**step), best.edges * (edges / best.edges) ** step)
        step = step if tried.figure > best.figure else step / 2
        best = _better(best, tried)
    origin = replace(
        best.network.origin,
        stated_radius_px=radius,
        labelled=Labelled(
            objects=int(np.unique(truth.id).size),
            stretches=int(cut.path.size),
            stretch_px=labels.STRETCH_PX,
            before=before.figures,
            after=best.figures,
            kept=best is before,
        ),
    )
    return Fitted(replace(best.network, origin=origin), before.scores, best.scores)


@dataclass(frozen=True, eq=False)
class _Trial:
    """A network, where its edges are thought to be (px/s), its scores on the labels, what it tells of each stretch."""

    network: Network
    edges: Floats
    scores: Scores
    told: NDArray[np.intp]

    @property
    def figures(self) -> tuple[float, float, float]:
        return self.scores.recall, self.scores.precision, self.scores.band_accuracy

    @property
    def figure(self) -> float:
        return math.prod(0.0 if math.isnan(part) else part for part in self.figures)


@dataclass(frozen=True, eq=False)
class _Trials:
    recording: Recording
    truth: Tracks
    cut: Stretches
    engine: str

    def of(self, network: Network, edges: Floats) -> _Trial:
        online = Online(network, self.recording.size, engine=self.engine, rules=DEFAULTS.by_neurons(JUDGED_PX))
        found = detection(online, self.recording)
        assert network.bands is not None
        assert network.radius_px is not None
        scores = evaluate(found.tracks, self.truth, network.bands.edges)
        told = labels.told_bands(self.cut, found.spikes, len(network.bands), network.radius_px)
        return _Trial(network, edges, scores, told)


def _better(best: _Trial, other: _Trial) -> _Trial:
    return other if other.figure > best.figure else best


def _measured(
    recording: Recording, cut: Stretches, radius: float, contrast: float | None, dt_us: int | None, own: Network
) -> Network:
    """The calibration for the radius and the events per edge crossing around the labelled paths. own: what the
    recording alone gives."""
    bands = own.bands
    assert bands is not None  # it is calibrated
    stated = np.array([path.radius for path in cut.paths])
    stated = stated[np.isfinite(stated)]
    expected = float(np.median(stated)) if stated.size else radius
    around = labels.surroundings(cut.paths, recording, 2.6 * max(expected, stated.max(initial=0)))
    size = labels.measured_radius(around, cut.paths, expected)
    seen = labels.crossing_shares(cut, around, size, every=contrast is not None)
    edges = np.array(bands.edges)
    octaves = np.log2(cut.speed / edges[:, None])
    n = np.array([weighted_quantile(seen, cut.weight * np.exp(-0.5 * (row / _OCTAVES) ** 2), 0.5) for row in octaves])
    if n.min() < _FEWEST_CROSSINGS:
        raise TableError(
            f"only {n.min():.2g} events per edge crossing lie around the labelled paths; "
            "check that the labels are of this recording, in its pixels and on its clock"
        )
    middle = float(np.exp(np.log(n).mean()))
    network = calibrate(
        bands,
        size,
        contrast=None if contrast is None else middle,
        dt_us=dt_us,
        polarity=recording.p is not None,
        crossing_share=middle,
        step_us=own.origin.step_us or 1,
        scanned=own.origin.scanned,
    )
    origin = replace(network.origin, radius_from_labels=True, basis="labels")
    return scaled(replace(network, origin=origin), n / middle)


def _corrections(trial: _Trial, cut: Stretches, bands: Bands) -> tuple[Floats, Floats]:
    """By what each threshold should be multiplied, so that the stretches are told as labelled, and where that
    puts the edges."""
    use = cut.clear
    speed, weight = cut.speed[use], cut.weight[use]
    factors, edges = np.ones(len(bands.edges)), np.array(bands.edges)
    for k, edge in enumerate(bands.edges):
        edges[k] = boundary(speed, cut.target[use] >= k, weight, edge)
        real = boundary(speed, trial.told[use] >= k, weight, trial.edges[k])
        if real != edges[k]:
            factors[k] = factor(trial.network, k, edges[k], real)
        else:  # the edge parts them best where it is, but misses more on one side
            missed = (cut.target[use] >= k).astype(int) - (trial.told[use] >= k)
            factors[k] = _NUDGE ** -np.sign(round(float(weight @ missed), 2))
    return factors, edges
