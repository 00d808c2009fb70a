"""Scores and speeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from velocell.data.bands import Bands
from velocell.data.tracks import Tracks
from velocell.errors import VelocellError
from velocell.pictures.figures.style import (
    COLUMN_IN,
    INK,
    SMALL_PT,
    band_hex,
    grid,
    over_bands,
)
from velocell.results.objects import objects

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from velocell.results.scores import Scores

_BINS_PER_OCTAVE = 6


def plot_speeds(tracks: Tracks, *, bands: Bands) -> Figure:
    """How many objects had which speed (the median of their rows), in the colours of their bands, over the
    bands with their edges."""
    from matplotlib.ticker import MaxNLocator

    found = [item for item in objects(tracks) if item.speed_px_s > 0]
    speeds, predicted = np.array([item.speed_px_s for item in found]), np.array([item.band for item in found])
    low, high = min([bands.edges[0], *speeds]) / 1.3, max([bands.edges[-1], *speeds]) * 1.3
    ends = np.unique([low, *bands.edges, high])
    steps = [max(1, round(_BINS_PER_OCTAVE * math.log2(b / a))) for a, b in pairwise(ends)]
    # No bin reaches over an edge.
    bins = np.unique(
        np.concatenate([np.geomspace(a, b, n + 1) for (a, b), n in zip(pairwise(ends), steps, strict=True)])
    )
    figure, [[axes]] = grid(1, 1, (COLUMN_IN, 2.2))
    below = np.zeros(bins.size - 1)
    for band in (-1, *range(len(bands))):
        counts, _ = np.histogram(speeds[predicted == band], bins)
        axes.bar(bins[:-1], counts, np.diff(bins), below, align="edge", color=band_hex(band, len(bands)))
        below += counts
    over_bands(axes, bands)
    axes.set(ylabel="objects", xlim=(low, high))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    for name, (left, right) in zip(bands.names, pairwise(bands.edges), strict=True):
        middle = (left * right) ** 0.5
        axes.annotate(
            name, (middle, 1.02), xycoords=("data", "axes fraction"), ha="center", color=INK, fontsize=SMALL_PT
        )
    return figure


def plot_confusion(matrix: ArrayLike | Scores, names: Sequence[str]) -> Figure:
    """Rows of tracks by true band (down) and predicted band (across), as `evaluate` counts them; a row or column beyond
    the names is for what lies outside all bands. Takes the scores or their matrix."""
    counts = np.asarray(getattr(matrix, "confusion", matrix), dtype=np.float64)
    n = len(names)
    if counts.ndim != 2 or not set(counts.shape) <= {n, n + 1}:
        raise VelocellError(
            f"a confusion matrix of {n} bands must have {n} or {n + 1} rows and columns, got {counts.shape}"
        )
    down, across = ([*names, "outside"][:side] for side in counts.shape)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, [[axes]] = grid(1, 1, (0.62 * len(across) + 0.9, 0.45 * len(down) + 0.6))
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in zip(*np.nonzero(counts), strict=True):
        text = f"{counts[row, column]:,.0f}\n{_percent(share[row, column])}"
        ink = "white" if share[row, column] > 0.55 else INK
        axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=SMALL_PT)
    axes.set_xticks(range(len(across)), across)
    axes.set_yticks(range(len(down)), down)
    axes.set(xlabel="predicted band", ylabel="true band")
    axes.tick_params(length=0)
    return figure


def _percent(share: float) -> str:
    """A few of many are not none, and all but a few are not all."""
    return "<1%" if 0 < share < 0.005 else ">99%" if 0.995 <= share < 1 else f"{share:.0%}"
