"""Tuning curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from velocell.data.bands import Bands
from velocell.errors import VelocellError
from velocell.pictures.figures.style import (
    COLUMN_IN,
    INK,
    PAGE_IN,
    SMALL_PT,
    band_hex,
    channel_hex,
    grid,
    legend,
    over_bands,
    title,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from velocell.studies.tuning import Tuning


def plot_tuning(speeds: ArrayLike, responses: ArrayLike, *, bands: Bands, names: Sequence[str] = ()) -> Figure:
    """Responses (C, n) of C channels to n speeds (px/s), over the bands. `names` of the channels are
    by default those of the bands."""
    names = names or bands.names
    speed, response = np.asarray(speeds, dtype=np.float64), np.asarray(responses, dtype=np.float64)
    if response.shape != (len(names), speed.size):
        expected = (len(names), speed.size)
        raise VelocellError(f"responses must have shape {expected} (channels, speeds), got {response.shape}")
    figure, [[axes]] = grid(1, 1, (COLUMN_IN, 2.4))
    for k, name in enumerate(names):
        axes.plot(speed, response[k], color=band_hex(k, len(names)), lw=1.4, marker="o", ms=2.5, label=name)
    over_bands(axes, bands)
    axes.set(ylabel="response", ylim=(0, None))
    legend(axes, above=True, ncols=len(names))
    return figure


def plot_tuning_layers(tuning: Tuning) -> Figure:
    """Predicted (lines) and measured (points) responses of layer 1 and of the final channels against
    speed, over the bands; layer 1 with the thresholds (dashed)."""
    figure, [panels] = grid(1, 2, (PAGE_IN, 2.5))
    names = tuning.bands.names
    shown = (
        (tuning.peak_predicted, tuning.peak_measured, "peak potential without threshold", tuning.peak_r2),
        (tuning.share_predicted, tuning.share_measured, "share of passes answered", tuning.share_r2),
    )
    for axes, (predicted, measured, label, r2) in zip(panels, shown, strict=True):
        for k in range(len(measured)):
            color = channel_hex(k, names)
            axes.plot(tuning.speeds, predicted[k], color=color, lw=1.2)
            name = names[k] if k < len(names) else "above"
            axes.plot(tuning.speeds, measured[k], color=color, ls="", marker="o", ms=2.5, mew=0, label=name)
        over_bands(axes, tuning.bands)
        axes.set_ylabel(label)
        title(axes, f"$R^2$ = {r2:.3f}")
    # Named beside their thresholds: a legend would have curves behind it.
    for k, threshold in enumerate(tuning.thresholds):
        panels[0].axhline(threshold, color=channel_hex(k, names), lw=0.8, ls="--")
        place: Any = (1.01, threshold)
        name = names[k] if k < len(names) else "above"
        panels[0].annotate(name, place, xycoords=("axes fraction", "data"), va="center", color=INK, fontsize=SMALL_PT)
    panels[0].set_yscale("log")
    return figure
