"""What the channels answer: where, and when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from velocell.data.spikes import Spikes
from velocell.errors import VelocellError
from velocell.pictures.colors import band_color
from velocell.pictures.figures.style import (
    COLUMN_IN,
    LABEL_PT,
    PAGE_IN,
    band_hex,
    clock_origin_us,
    grid,
    time_label,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_MOST_DOTS = 20_000
_DOT_COLUMNS = 1_000


def plot_responses(spikes: Spikes, size: tuple[int, int], *, names: Sequence[str], layer: int | None = None) -> Figure:
    """Where each channel of a layer (by default the final one) answered: one image of spike counts
    per channel, and all of them in one. size: (width, height) px."""
    part = layer_spikes(spikes, layer, len(names))
    width, height = size
    counts = np.zeros((len(names), height, width))
    np.add.at(counts, (part.channel, part.y, part.x), 1.0)
    aspect = min(max(height / width, 0.4), 2.0)
    side = PAGE_IN / (len(names) + 1)
    figure, [panels] = grid(1, len(names) + 1, (PAGE_IN, side * aspect + 0.55), sharex=True, sharey=True)
    strength = np.sqrt(counts / max(counts.max(), 1.0))[..., None]
    colors = np.array([band_color(k, len(names)) for k in range(len(names))]) / 255
    # Mixed as inks on white paper, so that no channel hides another.
    inks = strength * (1 - colors[:, None, None, :])
    for axes, ink, name, count in zip(
        panels,
        [*inks, inks.sum(axis=0)],
        [*names, "all"],
        [*counts.sum(axis=(1, 2)), counts.sum()],
        strict=True,
    ):
        axes.imshow(np.clip(1 - ink, 0, 1))
        axes.spines[["top", "right"]].set_visible(True)
        axes.set_title(f"{name}: {count:,.0f} spikes", fontsize=LABEL_PT)
        axes.set_xlabel("x (px)")
    panels[0].set_ylabel("y (px)")
    return figure


def plot_raster(spikes: Spikes, *, names: Sequence[str], layer: int | None = None) -> Figure:
    """Every spike of a layer (by default the final one): row of its neuron (px) against time (s),
    one panel per channel."""
    part = layer_spikes(spikes, layer, len(names))
    figure, panels = grid(len(names), 1, (COLUMN_IN, 0.8 * len(names) + 0.5), sharex=True, sharey=True)
    origin_us = clock_origin_us(part.t_us)
    for channel, ([axes], name) in enumerate(zip(panels, names, strict=True)):
        chosen = part.channel == channel
        draw_dots(axes, part.t_us[chosen] - origin_us, part.y[chosen], band_hex(channel, len(names)))
        axes.set_ylabel(f"{name}\ny (px)")
    panels[-1][0].set_xlabel(time_label(origin_us))
    panels[-1][0].invert_yaxis()
    return figure


def draw_dots(axes: Axes, t_us: NDArray[np.int64], y: NDArray[np.int32], color: str) -> None:
    if t_us.size > _MOST_DOTS:
        # Those that would lie on each other, at the resolution of print, are drawn once.
        column = (t_us - t_us[0]) * _DOT_COLUMNS // max(int(t_us[-1] - t_us[0]), 1)
        _, kept = np.unique(column * (int(y.max()) + 1) + y, return_index=True)
        t_us, y = t_us[kept], y[kept]
    axes.plot(t_us / 1e6, y, ls="", marker=".", ms=2, mew=0, color=color, rasterized=True)


def layer_spikes(spikes: Spikes, layer: int | None, channels: int) -> Spikes:
    part = spikes.final() if layer is None else spikes.of_layer(layer)
    if len(part) and int(part.channel.max()) >= channels:
        raise VelocellError(
            f"layer {part.layer[0]} has spikes of channel {part.channel.max()} but {channels} are named; name all"
        )
    return part
