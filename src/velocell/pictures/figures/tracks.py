"""Figures about recordings, tracks, spikes and networks: each function returns a matplotlib Figure of its own.

They touch no global state. In a notebook `%matplotlib inline` shows them; `save_figure` writes them to a file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from velocell.colors import band_color
from velocell.errors import VelocellError
from velocell.figures import (
    COLUMN_IN,
    INK,
    LABEL_PT,
    PAGE_IN,
    PALE,
    SMALL_PT,
    band_hex,
    channel_hex,
    clock_origin_us,
    dress,
    grid,
    label_edges,
    legend,
    over_bands,
    time_label,
    title,
)
from velocell.figures import save_figure as save_figure
from velocell.network import Bands
from velocell.objects import objects, rows_by_object
from velocell.recording import Recording
from velocell.spikes import Spikes
from velocell.tracks import Tracks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from velocell.evaluate import Scores
    from velocell.tuning import Tuning

_TALL_IN = 2.9  # of the overview
# On a scene with more objects, labels and then circles hide what they mark.
_MOST_LABELS = 60
_MOST_CIRCLES = 300
_MOST_PIECES = 20_000
_MOST_DOTS = 20_000
_DOT_COLUMNS = 1_000
_BINS_PER_OCTAVE = 6


def plot_kernel(kernel: ArrayLike) -> Figure:
    """Weights (h, w), or a Conv2d weight (out, in, h, w) as one panel per pair of channels."""
    weights = np.asarray(kernel, dtype=np.float64)
    weights = weights[None, None] if weights.ndim == 2 else weights
    if weights.ndim != 4 or not weights.size:
        raise VelocellError(f"a kernel must have shape (h, w) or (out, in, h, w), got {weights.shape}")
    rows, columns = weights.shape[:2]
    figure, panels = grid(rows, columns, (1.5 * columns + 0.7, 1.4 * rows + 0.3))
    limit = float(np.abs(weights).max()) or 1.0
    for row in range(rows):
        for column in range(columns):
            axes = panels[row][column]
            image = axes.imshow(weights[row, column], cmap="RdBu_r", vmin=-limit, vmax=limit)
            axes.set(xticks=[], yticks=[])
            axes.spines[["top", "right"]].set_visible(True)
            if rows * columns > 1:
                axes.set_title(f"{column} $\\rightarrow$ {row}", fontsize=SMALL_PT)
    bar = figure.colorbar(image, ax=[axes for line in panels for axes in line], shrink=0.8)
    dress(bar.ax)
    bar.set_label("weight")
    return figure


def plot_responses(spikes: Spikes, size: tuple[int, int], *, names: Sequence[str], layer: int | None = None) -> Figure:
    """Where each channel of a layer (by default the final one) answered: one image of spike counts
    per channel, and all of them in one. size: (width, height) px."""
    part = _of_layer(spikes, layer, len(names))
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


def plot_xt(tracks: Tracks, truth: Tracks | None = None, *, band_names: Sequence[str]) -> Figure:
    """x and y (px) against time (s), coloured by band; the truth as broad grey lines beneath."""
    from matplotlib.lines import Line2D

    figure, panels = grid(2, 1, (COLUMN_IN, 3.4), sharex=True)
    handles = [
        Line2D([], [], color=band_hex(k, len(band_names)), lw=1.6, label=name) for k, name in enumerate(band_names)
    ]
    if (tracks.band == -1).any():
        handles.append(Line2D([], [], color=band_hex(-1, 1), lw=1.6, label="outside"))
    origin_us = clock_origin_us(tracks.t_us)
    for [axes], column in zip(panels, ("x_px", "y_px"), strict=True):
        if truth is not None:
            for rows in rows_by_object(truth):
                axes.plot(
                    (truth.t_us[rows] - origin_us) / 1e6, getattr(truth, column)[rows], color=PALE, lw=4, alpha=0.4
                )
        _lines(axes, tracks, (tracks.t_us - origin_us) / 1e6, getattr(tracks, column), len(band_names))
        axes.set_ylabel(f"{column[0]} (px)")
        axes.margins(x=0.01, y=0.08)
    if truth is not None:
        handles.append(Line2D([], [], color=PALE, lw=4, alpha=0.4, label="truth"))
    panels[1][0].invert_yaxis()
    panels[1][0].set_xlabel(time_label(origin_us))
    legend(panels[0][0], above=True, handles=handles, ncols=min(len(handles), 5))
    return figure


def plot_raster(spikes: Spikes, *, names: Sequence[str], layer: int | None = None) -> Figure:
    """Every spike of a layer (by default the final one): row of its neuron (px) against time (s),
    one panel per channel."""
    part = _of_layer(spikes, layer, len(names))
    figure, panels = grid(len(names), 1, (COLUMN_IN, 0.8 * len(names) + 0.5), sharex=True, sharey=True)
    origin_us = clock_origin_us(part.t_us)
    for channel, ([axes], name) in enumerate(zip(panels, names, strict=True)):
        chosen = part.channel == channel
        _dots(axes, part.t_us[chosen] - origin_us, part.y[chosen], band_hex(channel, len(names)))
        axes.set_ylabel(f"{name}\ny (px)")
    panels[-1][0].set_xlabel(time_label(origin_us))
    panels[-1][0].invert_yaxis()
    return figure


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


def plot_overview(recording: Recording, tracks: Tracks, spikes: Spikes | None = None, *, bands: Bands) -> Figure:
    """One page about a recording: where the objects went over all its events, their speeds over the
    bands, and the final layer's spikes, where given, by row and time."""
    from matplotlib.figure import Figure

    width, height = recording.size
    wide = min(_TALL_IN * max(width / height, 0.7), 0.55 * PAGE_IN)
    rows = 1 if spikes is None else 2
    figure = Figure(figsize=(PAGE_IN, _TALL_IN), layout="constrained")
    plan = figure.add_gridspec(rows, 2, width_ratios=(wide, PAGE_IN - wide), height_ratios=(3, 2)[:rows])
    origin_us = clock_origin_us(np.array([recording.start_us]))
    scene, speed = figure.add_subplot(plan[:, 0]), figure.add_subplot(plan[0, 1])
    _draw_scene(scene, recording, tracks, len(bands))
    _draw_speeds(speed, recording, tracks, bands, origin_us)
    if spikes is not None:
        final = _of_layer(spikes, None, len(bands))
        answers = figure.add_subplot(plan[1, 1], sharex=speed)
        for band in range(len(bands)):
            chosen = final.channel == band
            _dots(answers, final.t_us[chosen] - origin_us, final.y[chosen], band_hex(band, len(bands)))
        answers.set(ylim=(height - 0.5, -0.5), ylabel="spikes, y (px)")
        speed.tick_params(labelbottom=False)
    figure.axes[-1].set_xlabel(time_label(origin_us))
    for axes in figure.axes:
        dress(axes)
    return figure


def plot_speeds(tracks: Tracks, *, bands: Bands) -> Figure:
    """How many objects had which speed (the median of their rows), in the colours of their bands, over the
    bands with their edges."""
    from matplotlib.ticker import MaxNLocator

    found = [item for item in objects(tracks) if item.speed_px_s > 0]
    speeds, told = np.array([item.speed_px_s for item in found]), np.array([item.band for item in found])
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
        counts, _ = np.histogram(speeds[told == band], bins)
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
    """Rows of tracks by true band (down) and told band (across), as `evaluate` counts them; a row or column beyond
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
    axes.set(xlabel="told band", ylabel="true band")
    axes.tick_params(length=0)
    return figure


def _percent(share: float) -> str:
    """A few of many are not none, and all but a few are not all."""
    return "<1%" if 0 < share < 0.005 else ">99%" if 0.995 <= share < 1 else f"{share:.0%}"


def plot_membrane(t_us: ArrayLike, v: ArrayLike, *, v_th: float, spikes_us: ArrayLike = ()) -> Figure:
    """A neuron's voltage (n,) against time (n,) in microseconds, its threshold and its spikes."""
    times, voltage = np.asarray(t_us, dtype=np.int64), np.asarray(v, dtype=np.float64)
    origin_us = clock_origin_us(times)
    time_s = (times - origin_us) / 1e6
    if time_s.shape != voltage.shape or voltage.ndim != 1:
        raise VelocellError(f"times and voltages must have the same length, got {time_s.shape} and {voltage.shape}")
    figure, [[axes]] = grid(1, 1, (COLUMN_IN, 1.8))
    axes.plot(time_s, voltage, color=band_hex(0, 3), lw=1, label="membrane voltage")
    axes.axhline(v_th, color=INK, lw=1, ls="--", label="threshold")
    spike_s = (np.asarray(spikes_us) - origin_us) / 1e6
    axes.plot(spike_s, np.full(spike_s.shape, v_th), ls="", marker="v", ms=3.5, color=band_hex(2, 3), label="spikes")
    axes.set_xlabel(time_label(origin_us))
    axes.set_ylabel("v")
    legend(axes, above=True, ncols=3)
    return figure


def _draw_scene(axes: Axes, recording: Recording, tracks: Tracks, bands: int) -> None:
    """All events in grey, every object's way in the colours of its bands and, of not too many, where it was last."""
    from matplotlib.patches import Circle

    counts = np.zeros((recording.height, recording.width))
    np.add.at(counts, (recording.y, recording.x), 1.0)
    # Few hot pixels must not turn everything else white.
    limit = max(float(np.percentile(counts, 99.5)), 1.0)
    axes.imshow(counts, cmap="Greys", vmin=0, vmax=2.5 * limit)
    _lines(axes, tracks, tracks.x_px, tracks.y_px, bands)
    ways = rows_by_object(tracks)
    for rows in ways if len(ways) <= _MOST_CIRCLES else ():
        last = rows[-1]
        color, place = band_hex(int(tracks.band[last]), bands), (float(tracks.x_px[last]), float(tracks.y_px[last]))
        if np.isfinite(tracks.radius_px[last]):
            axes.add_patch(Circle(place, float(tracks.radius_px[last]), fill=False, color=color, lw=1.4))
        if len(ways) > _MOST_LABELS:
            continue
        box = {"boxstyle": "round,pad=0.2", "fc": color, "ec": "white", "lw": 0.6}
        style: dict[str, Any] = {
            "ha": "center",
            "va": "center",
            "color": "white",
            "fontsize": SMALL_PT,
            "fontweight": "bold",
        }
        axes.annotate(f"#{tracks.id[last]}", place, bbox=box, **style)
    axes.set(xlim=(-0.5, recording.width - 0.5), ylim=(recording.height - 0.5, -0.5), xlabel="x (px)", ylabel="y (px)")
    title(axes, f"{len(recording):,} events in {recording.duration_us / 1e6:g} s")


def _draw_speeds(axes: Axes, recording: Recording, tracks: Tracks, bands: Bands, origin_us: int) -> None:
    stop_us = max(recording.stop_us, recording.start_us + 1)
    start_s, stop_s = (recording.start_us - origin_us) / 1e6, (stop_us - origin_us) / 1e6
    for band, (low, high) in enumerate(pairwise(bands.edges)):
        color = band_hex(band, len(bands))
        axes.axhspan(low, high, color=color, alpha=0.12, lw=0)
        place: Any = (1.01, (low * high) ** 0.5)
        axes.annotate(
            bands.names[band], place, xycoords=("axes fraction", "data"), va="center", color=INK, fontsize=SMALL_PT
        )
    _lines(axes, tracks, (tracks.t_us - origin_us) / 1e6, tracks.speed_px_s, len(bands))
    known = tracks.speed_px_s[tracks.speed_px_s > 0]
    low, high = min([bands.edges[0], *known]), max([bands.edges[-1], *known])
    axes.set(yscale="log", ylim=(low / 1.1, high * 1.1), xlim=(start_s, stop_s), ylabel="speed (px/s)")
    label_edges(axes.yaxis, bands)
    count = len(np.unique(tracks.id))
    title(axes, f"{count} object{'' if count == 1 else 's'} tracked")


def _lines(axes: Axes, tracks: Tracks, across: NDArray[Any], down: NDArray[Any], bands: int) -> None:
    """One line per object, each piece in the colour of the band told at its end; none where an
    object was lost for longer than three reporting intervals."""
    from matplotlib.collections import LineCollection

    instants = np.unique(tracks.t_us)
    longest_us = 3 * float(np.median(np.diff(instants))) if instants.size > 1 else 0.0
    # More pieces than can be seen take long to draw: every second, third, ... row will do.
    step = -(-len(tracks) // _MOST_PIECES) or 1
    points = np.stack([across, down], axis=-1)
    pieces, colors = [], []
    for rows in rows_by_object(tracks):
        for first, last in pairwise(rows[::step].tolist()):
            if tracks.t_us[last] - tracks.t_us[first] <= step * longest_us:
                pieces.append(points[[first, last]])
                colors.append(band_hex(int(tracks.band[last]), bands))
    axes.add_collection(LineCollection(pieces, colors=colors, linewidths=1.6, capstyle="round"))
    axes.autoscale_view()


def _dots(axes: Axes, t_us: NDArray[np.int64], y: NDArray[np.int32], color: str) -> None:
    if t_us.size > _MOST_DOTS:
        # Those that would lie on each other, at the resolution of print, are drawn once.
        column = (t_us - t_us[0]) * _DOT_COLUMNS // max(int(t_us[-1] - t_us[0]), 1)
        _, kept = np.unique(column * (int(y.max()) + 1) + y, return_index=True)
        t_us, y = t_us[kept], y[kept]
    axes.plot(t_us / 1e6, y, ls="", marker=".", ms=2, mew=0, color=color, rasterized=True)


def _of_layer(spikes: Spikes, layer: int | None, channels: int) -> Spikes:
    part = spikes.final() if layer is None else spikes.of_layer(layer)
    if len(part) and int(part.channel.max()) >= channels:
        raise VelocellError(
            f"layer {part.layer[0]} has spikes of channel {part.channel.max()} but {channels} are named; name all"
        )
    return part
