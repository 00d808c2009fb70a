"""Which connectivity separates speeds: `python -m benchmarks.architectures [--out docs/architectures.md] [--quick]`.

Disks of R = 6 px pass alone, each at one speed, over networks that differ in one thing
(`benchmarks.connectivities`) and over linear differences of channels (`benchmarks.differences`); the same networks
then drive the detection of other scenes. Last, where the edges of the calibrated network's bands lie for other
radii and contrasts. The seeds are used nowhere else. The figure goes to `images/` beside the table.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import differences
from benchmarks.band_edges import realised_table, spikes_per_px
from benchmarks.connectivities import GROUPS, OURS, Connectivity
from benchmarks.differences import DIFFERENCES, Difference
from velocell import engines
from velocell.calibration.formulas import choose_dt_us
from velocell.calibration.measure import network_for
from velocell.calibration.recipe import RING_WIDTH_PX
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.data.tracks import Tracks
from velocell.network.kernels import circular_kernel
from velocell.pictures.colors import band_color, hex_color
from velocell.pictures.figures.style import save_figure
from velocell.pipeline import detect
from velocell.results.evaluate import evaluate
from velocell.results.scores import Scores
from velocell.simulate import random_scene, simulate
from velocell.studies.passages import LEAD_PX, TRAVEL_PX, Lanes
from velocell.studies.tuning import realised_edges
from velocell.tracking.rules import Rules

Floats = NDArray[np.float64]

FIRST_SEED = 90_000
OCTAVES = (42.0, 85.0, 170.0, 340.0, 680.0)
WIDE = (20.0, 80.0, 320.0, 1280.0)
RADIUS, NOISE_HZ = 6.0, 0.5
CONTRASTS = (1.0, 3.0)
NEAR = 0.10  # of an edge: speeds there may go to either band
SHOWN = ("one layer", "smoothing only", "next faster", "both directions", OURS, DIFFERENCES[0].name)
COLUMNS = (
    "connectivity", "right", "wrong", "purity", "edges off by", "directions", "recall", "band accuracy", "wide bands",
)  # fmt: skip
WORDS = """Made by `python -m benchmarks.architectures --seeds {seeds}`.

Disks of R = 6 px, octave bands (42, 85, 170, 340, 680 px/s), noise 0.5 Hz/px, contrast unknown; figures for contrast
1 / contrast 3.

- right, wrong: share of the stretches of 8 px of travel that the right channel wins (at least two spikes, more than any
  other channel), speeds within the bands; that a wrong one wins, all speeds from 25 to 1100 px/s; none within 10 % of
  an edge.
- purity: share of a final channel's spikes that lie on a disk of its band, mean over the channels.
- edges off by: how far the speeds at which a channel's spikes per px of travel cross half of their maximum lie from the
  bands' edges, median; a channel that does not cross it counts as infinitely far.
- directions: the largest deviation of a channel's answer in one direction (0, 30, 45, 90 degrees) from its mean.
- recall, band accuracy: `velocell.detect` with this network on six disks at random (`velocell.evaluate`); wide bands:
  band accuracy with 20, 80, 320, 1280 px/s, contrast 3.
"""
FINDINGS = """## What it says

- Only inhibition by faster channels makes a channel a band-pass. Smoothing alone leaves every channel a high-pass; no
  linear difference is narrow enough for octaves, since its answers spread over several of them.
- For disks that pass alone the next faster channel vetoes as well as all of them; ours keeps all, in case one between
  is silent. In both directions the slowest channel, which always answers, silences the rest.
- A veto has to reach beyond 1.5 R and to outweigh several spikes: -0.5 and -1 leak. A longer hold
  (0.8) is a little purer at contrast 1; here no disk follows another's way, which is what a long hold spoils.
- Smoothing and inhibition in one layer are as good as in two; a deep refractory of that layer brings the edges nearer
  to the requested ones. The reset of layer 1 matters only far above an edge, where faster channels veto anyway.
- Without weights inside the ring, or with a shorter memory, single disks are classified as well or a little better;
  these scenes contain only disks.
- Time constants that do not follow the edges (a limit kernel's) keep the edges but let wrong channels through.

"""


@dataclass(frozen=True)
class Size:
    """How much is run."""

    seeds: int
    speeds: int
    headings: tuple[float, ...]
    groups: dict[str, list[Connectivity]]
    radii: tuple[float, ...]
    contrasts: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Passes:
    """Disks that pass alone, all of one contrast; share: of the edge crossings that arrive."""

    contrast: float
    share: float
    speeds: Floats
    lanes: list[Lanes]
    recordings: list[Recording]


@dataclass(frozen=True, eq=False)
class Answers:
    """Of N bands to n speeds in H directions: counts (N, n, H), spikes per px of travel; won (N, n), the share of
    stretches; purity by channel."""

    counts: Floats
    won: Floats
    purity: Floats


@dataclass(frozen=True, eq=False)
class Crowd:
    """A scene for detection: share and radius as `network_for` measures them."""

    recording: Recording
    truth: Tracks
    edges: tuple[float, ...]
    share: float
    radius: float


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true", help="a few of everything, to see that it runs")
    arguments = parser.parse_args(argv)
    if arguments.quick:
        few = {"A few": [c for group in GROUPS.values() for c in group if c.name in SHOWN]}
        size = Size(1, 14, (0.0,), few, (5.0,), (3.0,))
    else:
        size = Size(arguments.seeds, 36, (0.0, 30.0, 45.0, 90.0), GROUPS, (3, 5, 10, 20, 40), (1, 3, 12))
    text, curves, speeds = study(size)
    picture = f"{arguments.out.stem if arguments.out else 'architectures'}.png"
    text += f"\n\n![Answers against speed](images/{picture})\n\n{FINDINGS}"
    text += realised_table(size.radii, size.contrasts, size.headings, range(FIRST_SEED, FIRST_SEED + size.seeds))
    print(text)
    if arguments.out:
        (arguments.out.parent / "images").mkdir(exist_ok=True)
        draw(curves, speeds, arguments.out.parent / "images" / picture)
        arguments.out.write_text(text)


def study(size: Size) -> tuple[str, dict[str, Floats], Floats]:
    """The table, the answers (N, n) to be drawn by name, the speeds (n,)."""
    speeds = np.geomspace(25, 1100, size.speeds)
    crowds = {
        key: [_crowd(key[0], key[1], FIRST_SEED + seed) for seed in range(size.seeds)]
        for key in ((OCTAVES, CONTRASTS[0]), (OCTAVES, CONTRASTS[1]), (WIDE, CONTRASTS[1]))
    }
    passes = []
    for contrast in CONTRASTS:
        lanes = [Lanes.plan(speeds, RADIUS, size.headings, FIRST_SEED + seed) for seed in range(size.seeds)]
        recordings = [one.record(contrast, 0.0, NOISE_HZ, FIRST_SEED + seed) for seed, one in enumerate(lanes)]
        share = float(np.median([crowd.share for crowd in crowds[OCTAVES, contrast]]))
        passes.append(Passes(contrast, share, speeds, lanes, recordings))
    lines = ["# Connectivities compared", "", WORDS.format(seeds=size.seeds)]
    curves = {}
    for title, group in size.groups.items():
        lines += _head(title)
        for wanted in group:
            found = [_answers(wanted, scene, len(size.headings)) for scene in passes]
            detected = [[_detected(wanted, crowd) for crowd in several] for several in crowds.values()]
            lines.append(_row(wanted.name, speeds, found, detected))
            curves[wanted.name] = found[-1].counts.mean(axis=2)
    lines += _head("Linear differences of channels, without neurons")
    for linear in DIFFERENCES:
        found = [_linear_answers(linear, scene, len(size.headings)) for scene in passes]
        lines.append(_row(linear.name, speeds, found, []))
        curves[linear.name] = found[-1].counts.mean(axis=2)
    lines += ["", _octaves(curves, speeds)]
    return "\n".join(lines), curves, speeds


# --- what the networks answer --------------------------------------------------------------------------


def _answers(wanted: Connectivity, scene: Passes, headings: int) -> Answers:
    network = wanted.build(OCTAVES, RADIUS, scene.share)
    bands, parts = len(OCTAVES) - 1, []
    for lanes, recording in zip(scene.lanes, scene.recordings, strict=True):
        spikes = engines.run(network, recording, engine="native")
        counts = spikes_per_px(lanes, spikes, bands).reshape(bands, scene.speeds.size, -1)
        parts.append(Answers(counts[:, :, :headings], lanes.shares(spikes, bands), _purity(lanes, spikes)))
    return _mean(parts)


def _purity(lanes: Lanes, spikes: Spikes) -> Floats:
    """(N,): share of each final channel's spikes on a disk of its band; NaN for a silent one. Disks near an edge are
    left out, and so is the time before the network has settled."""
    final = spikes.final()
    lane = lanes.of(final.x, final.y).astype(np.intp)
    keep = np.flatnonzero((lane < lanes.speeds.size) & (final.channel < len(OCTAVES) - 1))
    lane, channel = lane[keep], final.channel[keep]
    travel = final.t_us[keep] * 1e-6 * lanes.speeds[lane]
    x = lanes.x0[lane] + travel * np.cos(lanes.headings[lane])
    y = lanes.y0[lane] + travel * np.sin(lanes.headings[lane])
    away = np.hypot(final.x[keep] - x, final.y[keep] - y)
    on_disk = (away <= max(3.0, lanes.radius / 2)) & (travel < TRAVEL_PX)
    right = on_disk & (Bands(OCTAVES).of_speed(lanes.speeds)[lane] == channel)
    use = (travel >= LEAD_PX) & ~_near_an_edge(lanes.speeds)[lane]
    return np.array([
        right[use & (channel == k)].mean() if (use & (channel == k)).any() else np.nan for k in range(len(OCTAVES) - 1)
    ])  # fmt: skip


def _linear_answers(wanted: Difference, scene: Passes, headings: int) -> Answers:
    """A difference wins a passage where it is above half of its own maximum, and largest among those."""
    kernel, dt_us = circular_kernel(RADIUS, RING_WIDTH_PX), choose_dt_us(OCTAVES[-1])
    parts = []
    for lanes, recording in zip(scene.lanes, scene.recordings, strict=True):
        level = differences.answers(wanted, lanes, recording, kernel, OCTAVES, dt_us)
        shaped = level.reshape(len(level), scene.speeds.size, -1)
        relative = level / shaped.mean(axis=2).max(axis=1)[:, None]
        won = (relative == relative.max(axis=0)) & (relative >= 0.5)
        nothing = np.full(len(level), np.nan)
        parts.append(Answers(shaped[:, :, :headings], won.reshape(shaped.shape).mean(axis=2), nothing))
    return _mean(parts)


def _mean(parts: list[Answers]) -> Answers:
    counts, won, purity = (np.array([getattr(part, name) for part in parts]) for name in ("counts", "won", "purity"))
    known = np.isfinite(purity)
    shares = np.where(known, purity, 0).sum(axis=0) / np.where(known.any(axis=0), known.sum(axis=0), np.nan)
    return Answers(counts.mean(axis=0), won.mean(axis=0), shares)


# --- what a detection makes of it ----------------------------------------------------------------------


def _crowd(edges: tuple[float, ...], contrast: float, seed: int) -> Crowd:
    scene = random_scene(
        6, width=320, height=240, radius=RADIUS, speeds=(1.1 * edges[0], 0.9 * edges[-1]), contrast=contrast,
        noise_hz=NOISE_HZ, seed=seed,
    )  # fmt: skip
    recording, truth = simulate(scene)
    network = network_for(recording, edges, RADIUS)
    share, radius = network.origin.crossings, network.radius_px
    assert share is not None
    assert radius is not None
    return Crowd(recording, truth, edges, share, radius)


def _detected(wanted: Connectivity, crowd: Crowd) -> Scores:
    network = wanted.build(crowd.edges, crowd.radius, crowd.share)
    found = detect(crowd.recording, network=network, rules=Rules().by_neurons(), keep_spikes=False)
    return evaluate(found.tracks, crowd.truth, crowd.edges)


# --- table and figure ----------------------------------------------------------------------------------


def _near_an_edge(speeds: Floats) -> NDArray[np.bool_]:
    edges = np.array(OCTAVES)
    return np.asarray((np.abs(speeds[:, None] - edges) <= NEAR * edges).any(axis=1))


def _head(title: str) -> list[str]:
    return ["", f"## {title}", "", f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]


def _row(name: str, speeds: Floats, found: list[Answers], detected: list[list[Scores]]) -> str:
    figures = np.array([_figures(speeds, answers) for answers in found])  # (contrasts, figures)
    forms = ("{:.3f}", "{:.3f}", "{:.3f}", "{:.0%}", "{:.0%}")
    cells = [" / ".join(_text(form, v) for v in column) for form, column in zip(forms, figures.T, strict=True)]
    if detected:
        octaves = detected[:-1]
        for figure in ("recall", "band_accuracy"):
            cells.append(" / ".join(_text("{:.3f}", _average(scores, figure)) for scores in octaves))
        cells.append(_text("{:.3f}", _average(detected[-1], "band_accuracy")))
    else:
        cells += ["-"] * 3
    return f"| {name} | " + " | ".join(cells) + " |"


def _figures(speeds: Floats, answers: Answers) -> list[float]:
    """right, wrong, purity, edges off by, directions."""
    bands = len(OCTAVES) - 1
    band, clear = Bands(OCTAVES).of_speed(speeds), ~_near_an_edge(speeds)
    own = band == np.arange(bands)[:, None]
    inside = clear & (band >= 0)
    right = answers.won[own & inside].mean()
    wrong = np.where(own, 0, answers.won).sum(axis=0)[clear].mean()
    asked = np.array(list(pairwise(OCTAVES)))
    off = np.abs(realised_edges(speeds, answers.counts.mean(axis=2)) / asked - 1)
    by_heading = np.array([answers.counts[k][own[k] & inside].mean(axis=0) for k in range(bands)])
    with np.errstate(invalid="ignore"):
        turned = np.abs(by_heading / by_heading.mean(axis=1, keepdims=True) - 1).max()
    purity = answers.purity[np.isfinite(answers.purity)]
    return [
        right,
        wrong,
        purity.mean() if purity.size else np.nan,
        float(np.median(np.nan_to_num(off, nan=np.inf))),
        turned,
    ]


def _average(scores: list[Scores], name: str) -> float:
    values = np.array([getattr(score, name) for score in scores])
    return float(values[np.isfinite(values)].mean()) if np.isfinite(values).any() else np.nan


def _text(form: str, value: float) -> str:
    return form.format(value) if np.isfinite(value) else "-"


def _octaves(curves: dict[str, Floats], speeds: Floats) -> str:
    edges = realised_edges(speeds, curves[OURS])
    ours = float(np.nanmedian(np.log2(edges[:, 1] / edges[:, 0])))
    kernel = circular_kernel(RADIUS, RING_WIDTH_PX)
    words = [f"{wanted.name} {differences.octaves(wanted, kernel, RADIUS):.1f}" for wanted in DIFFERENCES]
    return (
        f"Full width at half maximum in octaves, for bands of 1 octave: {OURS} {ours:.1f}; by their law, over all "
        f"speeds,\n{', '.join(words)}."
    )


def draw(curves: dict[str, Floats], speeds: Floats, path: Path) -> None:
    """Each channel's answer against speed, over the bands, for the connectivities in SHOWN."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, NullLocator

    bands = len(OCTAVES) - 1
    colors = [hex_color(band_color(k, bands)) for k in range(bands)]
    figure = Figure(figsize=(11, 5.2), layout="constrained")
    panels = figure.subplots(2, 3, sharex=True, sharey=True)
    for axes, name in zip(panels.flat, SHOWN, strict=True):
        for color, (low, high), curve in zip(colors, pairwise(OCTAVES), curves[name], strict=True):
            axes.axvspan(low, high, color=color, alpha=0.12, lw=0)
            axes.plot(speeds, curve / max(curve.max(), 1e-9), color=color, lw=2)
        axes.set(xscale="log", ylim=(0, 1.05), xlim=(speeds[0], speeds[-1]))
        axes.set_title(name, loc="left", fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.set_major_locator(FixedLocator(OCTAVES))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter("{x:g}")
    figure.supxlabel("speed (px/s)", fontsize=10)
    figure.supylabel("answer, of the channel's largest", fontsize=10)
    save_figure(figure, path)


if __name__ == "__main__":
    main()
