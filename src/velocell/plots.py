"""Figures: each function returns a matplotlib Figure of its own and touches no global state.

In a notebook `%matplotlib inline` shows them; `save_figure` writes them to a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from velocell.colors import band_color, hex_color
from velocell.errors import VelocellError
from velocell.files import replacing
from velocell.network import Bands
from velocell.recording import Recording
from velocell.spikes import Spikes
from velocell.tracks import Tracks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

    from velocell.tuning import Tuning

_INK = "#2b3038"
_PALE = "#9aa2ae"
_TALL = 4.8


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure by suffix: .png, .svg, .pdf, ... Raises VelocellError for an unknown one."""
    suffix = Path(path).suffix[1:].lower()
    known = figure.canvas.get_supported_filetypes()
    if suffix not in known:
        raise VelocellError(
            f"cannot write a figure to '{path}': the suffix must be one of .{', .'.join(sorted(known))}"
        )
    with replacing(path) as part:
        figure.savefig(part, format=suffix, dpi=150)


def plot_kernel(kernel: ArrayLike) -> Figure:
    """Weights (h, w), or a Conv2d weight (out, in, h, w) as one panel per pair of channels."""
    weights = np.asarray(kernel, dtype=np.float64)
    weights = weights[None, None] if weights.ndim == 2 else weights
    if weights.ndim != 4 or not weights.size:
        raise VelocellError(f"a kernel must have shape (h, w) or (out, in, h, w), got {weights.shape}")
    rows, columns = weights.shape[:2]
    figure, panels = _grid(rows, columns, (2.4 * columns + 1.2, 2.2 * rows + 0.4))
    limit = float(np.abs(weights).max()) or 1.0
    for row in range(rows):
        for column in range(columns):
            axes = panels[row][column]
            image = axes.imshow(weights[row, column], cmap="RdBu_r", vmin=-limit, vmax=limit)
            axes.set(xticks=[], yticks=[])
            axes.spines[["top", "right"]].set_visible(True)
            if rows * columns > 1:
                axes.set_title(f"{column} $\\rightarrow$ {row}", fontsize=9)
    figure.colorbar(image, ax=[axes for line in panels for axes in line], label="weight", shrink=0.8)
    return figure


def plot_responses(spikes: Spikes, size: tuple[int, int], *, names: Sequence[str], layer: int | None = None) -> Figure:
    """Where each channel of a layer (by default the final one) answered: one image of spike counts
    per channel, and all of them in one. size: (width, height) px."""
    part = _of_layer(spikes, layer, len(names))
    width, height = size
    counts = np.zeros((len(names), height, width))
    np.add.at(counts, (part.channel, part.y, part.x), 1.0)
    aspect = min(max(height / width, 0.4), 2.0)
    figure, [panels] = _grid(1, len(names) + 1, (2.6 * (len(names) + 1), 2.6 * aspect + 0.7))
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
        axes.set_title(f"{name}: {count:,.0f} spikes", fontsize=10)
    return figure


def plot_xt(tracks: Tracks, truth: Tracks | None = None, *, band_names: Sequence[str]) -> Figure:
    """x and y (px) against time (s), coloured by band; the truth as broad grey lines beneath."""
    from matplotlib.lines import Line2D

    figure, panels = _grid(2, 1, (8, 5.5), sharex=True)
    handles = [Line2D([], [], color=_hex(k, len(band_names)), lw=2, label=name) for k, name in enumerate(band_names)]
    if (tracks.band == -1).any():
        handles.append(Line2D([], [], color=_hex(-1, 1), lw=2, label="outside"))
    for [axes], column in zip(panels, ("x_px", "y_px"), strict=True):
        if truth is not None:
            for rows in _objects(truth):
                axes.plot(truth.t_us[rows] / 1e6, getattr(truth, column)[rows], color=_PALE, lw=5, alpha=0.4)
        _lines(axes, tracks, tracks.t_us / 1e6, getattr(tracks, column), len(band_names))
        axes.set_ylabel(f"{column[0]} (px)")
        axes.margins(x=0.01, y=0.08)
    if truth is not None:
        handles.append(Line2D([], [], color=_PALE, lw=5, alpha=0.4, label="truth"))
    panels[1][0].invert_yaxis()
    panels[1][0].set_xlabel("time (s)")
    panels[0][0].legend(handles=handles, frameon=False, ncols=6, loc="lower left", bbox_to_anchor=(0, 1))
    return figure


def plot_raster(spikes: Spikes, *, names: Sequence[str], layer: int | None = None) -> Figure:
    """Every spike of a layer (by default the final one): row of its neuron (px) against time (s),
    one panel per channel."""
    part = _of_layer(spikes, layer, len(names))
    figure, panels = _grid(len(names), 1, (8, 1.5 * len(names) + 0.8), sharex=True, sharey=True)
    for channel, ([axes], name) in enumerate(zip(panels, names, strict=True)):
        chosen = part.channel == channel
        _dots(axes, part.t_us[chosen], part.y[chosen], _hex(channel, len(names)))
        axes.set_ylabel(f"{name}\ny (px)")
    panels[-1][0].set_xlabel("time (s)")
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
    figure, [[axes]] = _grid(1, 1, (7, 4))
    for k, name in enumerate(names):
        axes.plot(speed, response[k], color=_hex(k, len(names)), lw=2, marker="o", ms=3.5, label=name)
    _over_bands(axes, bands)
    axes.set(ylabel="response", ylim=(0, None))
    axes.legend(frameon=False)
    return figure


def plot_tuning_layers(tuning: Tuning) -> Figure:
    """Predicted (lines) and measured (points) responses of layer 1 and of the final channels against
    speed, over the bands; layer 1 with the thresholds (dashed)."""
    figure, [panels] = _grid(1, 2, (12, 4))
    names = tuning.bands.names
    shown = (
        (tuning.peak_predicted, tuning.peak_measured, "peak potential without threshold", tuning.peak_r2),
        (tuning.share_predicted, tuning.share_measured, "share of passes answered", tuning.share_r2),
    )
    for axes, (predicted, measured, label, r2) in zip(panels, shown, strict=True):
        for k in range(len(measured)):
            color = _hex(k, len(names)) if k < len(names) else _INK
            axes.plot(tuning.speeds, predicted[k], color=color, lw=1.5)
            name = names[k] if k < len(names) else "above"
            axes.plot(tuning.speeds, measured[k], color=color, ls="", marker="o", ms=4, label=name)
        _over_bands(axes, tuning.bands)
        axes.set_ylabel(label)
        axes.set_title(f"$R^2$ = {r2:.3f}", loc="left", fontsize=10)
    for k, threshold in enumerate(tuning.thresholds):
        panels[0].axhline(threshold, color=_hex(k, len(names)) if k < len(names) else _INK, lw=0.8, ls="--")
    panels[0].set_yscale("log")
    panels[0].legend(frameon=False)
    return figure


def _over_bands(axes: Axes, bands: Bands) -> None:
    """A logarithmic axis of speeds with the bands behind it."""
    for k, (low, high) in enumerate(pairwise(bands.edges)):
        axes.axvspan(low, high, color=_hex(k, len(bands)), alpha=0.1, lw=0)
    axes.set_xscale("log")
    _label_edges(axes.xaxis, bands)
    axes.set_xlabel("speed (px/s)")


def plot_overview(recording: Recording, tracks: Tracks, spikes: Spikes | None = None, *, bands: Bands) -> Figure:
    """One page about a recording: where the objects went over all its events, their speeds over the
    bands, and the final layer's spikes, where given, by row and time."""
    from matplotlib.figure import Figure

    width, height = recording.size
    wide = _TALL * min(max(width / height, 0.7), 1.6)
    rows = 1 if spikes is None else 2
    figure = Figure(figsize=(wide + 6.0, _TALL), layout="constrained")
    plan = figure.add_gridspec(rows, 2, width_ratios=(wide, 5.4), height_ratios=(3, 2)[:rows])
    scene, speed = figure.add_subplot(plan[:, 0]), figure.add_subplot(plan[0, 1])
    _draw_scene(scene, recording, tracks, len(bands))
    _draw_speeds(speed, recording, tracks, bands)
    if spikes is not None:
        final = _of_layer(spikes, None, len(bands))
        answers = figure.add_subplot(plan[1, 1], sharex=speed)
        for band in range(len(bands)):
            chosen = final.channel == band
            _dots(answers, final.t_us[chosen], final.y[chosen], _hex(band, len(bands)))
        answers.set(ylim=(height - 0.5, -0.5), ylabel="spikes, y (px)")
        speed.tick_params(labelbottom=False)
    figure.axes[-1].set_xlabel("time (s)")
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def plot_confusion(matrix: ArrayLike, names: Sequence[str]) -> Figure:
    """Rows of tracks by true band (down) and told band (across); a row or column beyond the names
    is for what lies outside all bands."""
    counts = np.asarray(matrix, dtype=np.float64)
    n = len(names)
    if counts.ndim != 2 or not set(counts.shape) <= {n, n + 1}:
        raise VelocellError(
            f"a confusion matrix of {n} bands must have {n} or {n + 1} rows and columns, got {counts.shape}"
        )
    down, across = ([*names, "outside"][:side] for side in counts.shape)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, [[axes]] = _grid(1, 1, (1.1 * len(across) + 1.4, 0.8 * len(down) + 1.0))
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in zip(*np.nonzero(counts), strict=True):
        text = f"{counts[row, column]:,.0f}\n{share[row, column]:.0%}"
        ink = "white" if share[row, column] > 0.55 else _INK
        axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=9)
    axes.set_xticks(range(len(across)), across)
    axes.set_yticks(range(len(down)), down)
    axes.set(xlabel="told band", ylabel="true band")
    axes.tick_params(length=0)
    return figure


def plot_membrane(t_us: ArrayLike, v: ArrayLike, *, v_th: float, spikes_us: ArrayLike = ()) -> Figure:
    """A neuron's voltage (n,) against time (n,) in microseconds, its threshold and its spikes."""
    time_s, voltage = np.asarray(t_us) / 1e6, np.asarray(v, dtype=np.float64)
    if time_s.shape != voltage.shape or voltage.ndim != 1:
        raise VelocellError(f"times and voltages must have the same length, got {time_s.shape} and {voltage.shape}")
    figure, [[axes]] = _grid(1, 1, (8, 3))
    axes.plot(time_s, voltage, color=_hex(0, 3), lw=1.4, label="membrane voltage")
    axes.axhline(v_th, color=_INK, lw=1, ls="--", label="threshold")
    spike_s = np.asarray(spikes_us) / 1e6
    axes.plot(spike_s, np.full(spike_s.shape, v_th), ls="", marker="v", ms=5, color=_hex(2, 3), label="spikes")
    axes.set_xlabel("time (s)")
    axes.set_ylabel("v")
    axes.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)
    return figure


def _draw_scene(axes: Axes, recording: Recording, tracks: Tracks, bands: int) -> None:
    """All events in grey, every object's way in the colours of its bands, and where it was last."""
    from matplotlib.patches import Circle

    counts = np.zeros((recording.height, recording.width))
    np.add.at(counts, (recording.y, recording.x), 1.0)
    # Few hot pixels must not turn everything else white.
    limit = max(float(np.percentile(counts, 99.5)), 1.0)
    axes.imshow(counts, cmap="Greys", vmin=0, vmax=2.5 * limit)
    _lines(axes, tracks, tracks.x_px, tracks.y_px, bands)
    for rows in _objects(tracks):
        last = rows[-1]
        color, place = _hex(int(tracks.band[last]), bands), (float(tracks.x_px[last]), float(tracks.y_px[last]))
        if np.isfinite(tracks.radius_px[last]):
            axes.add_patch(Circle(place, float(tracks.radius_px[last]), fill=False, color=color, lw=2))
        box = {"boxstyle": "round,pad=0.25", "fc": color, "ec": "white"}
        style: dict[str, Any] = {"ha": "center", "va": "center", "color": "white", "fontsize": 8, "fontweight": "bold"}
        axes.annotate(f"#{tracks.id[last]}", place, bbox=box, **style)
    axes.set(xlim=(-0.5, recording.width - 0.5), ylim=(recording.height - 0.5, -0.5), xlabel="x (px)", ylabel="y (px)")
    axes.set_title(f"{len(recording):,} events in {recording.duration_us / 1e6:g} s", loc="left", fontsize=10)


def _draw_speeds(axes: Axes, recording: Recording, tracks: Tracks, bands: Bands) -> None:
    start_s, stop_s = recording.start_us / 1e6, max(recording.stop_us, recording.start_us + 1) / 1e6
    for band, (low, high) in enumerate(pairwise(bands.edges)):
        color = _hex(band, len(bands))
        axes.axhspan(low, high, color=color, alpha=0.12, lw=0)
        place: Any = (1.01, (low * high) ** 0.5)
        axes.annotate(bands.names[band], place, xycoords=("axes fraction", "data"), va="center", color=_INK, fontsize=9)
    _lines(axes, tracks, tracks.t_us / 1e6, tracks.speed_px_s, len(bands))
    known = tracks.speed_px_s[tracks.speed_px_s > 0]
    low, high = min([bands.edges[0], *known]), max([bands.edges[-1], *known])
    axes.set(yscale="log", ylim=(low / 1.1, high * 1.1), xlim=(start_s, stop_s), ylabel="speed (px/s)")
    _label_edges(axes.yaxis, bands)
    objects = len(np.unique(tracks.id))
    axes.set_title(f"{objects} object{'' if objects == 1 else 's'} tracked", loc="left", fontsize=10)


def _grid(
    rows: int, columns: int, inches: tuple[float, float], *, sharex: bool = False, sharey: bool = False
) -> tuple[Figure, list[list[Axes]]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=inches, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=sharex, sharey=sharey)
    for axes in panels.flat:
        axes.spines[["top", "right"]].set_visible(False)
    return figure, panels.tolist()


def _hex(band: int, bands: int) -> str:
    return hex_color(band_color(band, bands))


def _label_edges(axis: Axis, bands: Bands) -> None:
    """Ticks of a logarithmic axis at the bands' edges, in plain numbers."""
    from matplotlib.ticker import FixedLocator, NullLocator

    axis.set_major_locator(FixedLocator(bands.edges))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter("{x:g}")


def _objects(tracks: Tracks) -> list[NDArray[np.intp]]:
    """The rows of each object, in order of time."""
    order = np.argsort(tracks.id, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(tracks.id[order])) + 1)
    return [rows for rows in parts if rows.size]


def _lines(axes: Axes, tracks: Tracks, across: NDArray[Any], down: NDArray[Any], bands: int) -> None:
    """One line per object, each piece in the colour of the band told at its end; none where an
    object was lost for longer than three reporting intervals."""
    from matplotlib.collections import LineCollection

    instants = np.unique(tracks.t_us)
    longest_us = 3 * float(np.median(np.diff(instants))) if instants.size > 1 else 0.0
    points = np.stack([across, down], axis=-1)
    pieces, colors = [], []
    for rows in _objects(tracks):
        for first, last in pairwise(rows.tolist()):
            if tracks.t_us[last] - tracks.t_us[first] <= longest_us:
                pieces.append(points[[first, last]])
                colors.append(_hex(int(tracks.band[last]), bands))
    axes.add_collection(LineCollection(pieces, colors=colors, linewidths=2, capstyle="round"))
    axes.autoscale_view()


def _dots(axes: Axes, t_us: NDArray[np.int64], y: NDArray[np.int32], color: str) -> None:
    axes.plot(t_us / 1e6, y, ls="", marker=".", ms=3, color=color, rasterized=True)


def _of_layer(spikes: Spikes, layer: int | None, channels: int) -> Spikes:
    part = spikes.final() if layer is None else spikes.of_layer(layer)
    if len(part) and int(part.channel.max()) >= channels:
        raise VelocellError(
            f"layer {part.layer[0]} has spikes of channel {part.channel.max()} but {channels} are named; name all"
        )
    return part
