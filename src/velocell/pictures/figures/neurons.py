"""Figures about what single neurons see and do: receptive fields and membrane traces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from velocell.data.arrays import Floats
from velocell.errors import NetworkError, VelocellError
from velocell.network import Network
from velocell.pictures.figures.style import (
    COLUMN_IN,
    INK,
    LABEL_PT,
    PAGE_IN,
    SMALL_PT,
    band_hex,
    channel_hex,
    clock_origin_us,
    dress,
    grid,
    legend,
    time_label,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.image import AxesImage

    from velocell.studies.membranes import Traces


_MEMORIES = 3.0  # time constants that a field is shown back
_FIELD_ROWS = 120
_TWO_COLOURS = "RdBu_r"


def composed_field(network: Network, channel: int) -> Floats:
    """How a final neuron of `channel` weighs events around it, if all layers before it were linear and only its
    own channel counted: the kernels of the channel, layer by layer, convolved; float64 (h, w)."""
    field = _own_kernel(network, 0, channel)
    for layer in range(1, len(network.layers)):
        field = _convolved(field, _own_kernel(network, layer, channel))
    return field


def edge_field(network: Network, channel: int) -> tuple[Floats, Floats, Floats]:
    """How a first-layer neuron weighs an upright edge that was x px beside it, t ms ago: the kernel's column sums,
    fading with the membrane. x (w,), t (n,) up to three time constants, weights (n, w)."""
    columns = _own_kernel(network, 0, channel).sum(axis=0)
    tau_ms = float(network.layers[0].neurons.tau_us[channel]) / 1e3
    t = np.linspace(0, _MEMORIES * tau_ms, _FIELD_ROWS)
    x = np.arange(columns.size) - (columns.size - 1) / 2
    return x, t, np.exp(-t / tau_ms)[:, None] * columns


def plot_receptive_fields(network: Network, channel: int = 0) -> Figure:
    """What neurons see. Above, in space, for one channel: the first layer's kernel, the final layer's weights on the
    same channel, both as one, and its weights on faster channels. Below, in space and time, for each channel of the
    first layer: an upright edge beside the neuron, and how long ago; lines: both edges of a disk that
    passes at the speed from which the channel answers.
    """
    from matplotlib.figure import Figure

    if not 0 <= channel < network.layers[-1].channels:
        raise NetworkError(
            f"channel {channel} does not exist; the final layer has channels 0 to {network.layers[-1].channels - 1}"
        )
    fields = _spatial_fields(network, channel)
    channels = network.layers[0].channels
    figure = Figure(figsize=(PAGE_IN, 4.0), layout="constrained")
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=(1.12, 1))[:, 0]
    panels = above.subplots(1, len(fields), squeeze=False)[0]
    for axes, (name, weights) in zip(panels, fields, strict=True):
        image = _draw_weights(axes, weights)
        axes.set_title(name, fontsize=LABEL_PT)
        axes.set_xlabel("x (px)")
    panels[0].set_ylabel("y (px)")
    _bar(above, image, list(panels), shrink=0.7)
    panels = below.subplots(1, channels, squeeze=False)[0]
    for k, axes in enumerate(panels):
        image = _draw_edges(axes, network, k)
        axes.set_xlabel("x of an edge (px)")
    panels[0].set_ylabel("before now (ms)")
    _bar(below, image, list(panels))
    return figure


def plot_traces(traces: Traces, *, names: Sequence[str]) -> Figure:
    """Membrane potentials of neurons, one panel for each, with their thresholds (dashed) and spikes (ticks above).
    names: of the channels; one beyond them only vetoes."""
    figure, panels = grid(len(traces.neurons), 1, (COLUMN_IN, 0.75 * len(traces.neurons) + 0.65), sharex=True)
    origin_us = clock_origin_us(traces.t_us)
    time_s = (traces.t_us - origin_us) / 1e6
    for k, ([axes], (channel, x, y)) in enumerate(zip(panels, traces.neurons, strict=True)):
        color, v_th = channel_hex(channel, names), float(traces.v_th[k])
        axes.plot(time_s, traces.v[k], color=color, lw=0.9, label="membrane")
        axes.axhline(v_th, color=INK, lw=0.7, ls="--", label="threshold")
        spike_s = (traces.spikes_us[k] - origin_us) / 1e6
        low = min(float(traces.v[k].min(initial=0)), 0.0)
        axes.plot(spike_s, np.full(spike_s.shape, 1.2 * v_th), ls="", marker="|", ms=5, color=INK, label="spikes")
        name = names[channel] if channel < len(names) else "above"
        axes.set(ylim=(1.1 * low, 1.4 * v_th), ylabel=f"{name}\nv")
        place: Any = (1.01, 0.5)
        style: dict[str, Any] = {"rotation": 270, "va": "center", "color": INK, "fontsize": SMALL_PT}
        axes.annotate(f"at {x}, {y} px", place, xycoords="axes fraction", **style)
    panels[-1][0].set_xlabel(time_label(origin_us))
    legend(panels[0][0], above=True, ncols=3)
    figure.align_ylabels()
    return figure


def _spatial_fields(network: Network, channel: int) -> list[tuple[str, Floats]]:
    """Name and weights (h, w) of each panel."""
    fields = [("first layer", _own_kernel(network, 0, channel))]
    if len(network.layers) == 1:
        return fields
    last = len(network.layers) - 1
    fields.append(("final layer, itself", _own_kernel(network, last, channel)))
    fields.append(("both as one", composed_field(network, channel)))
    faster = network.layers[last].dense_kernel()[channel, channel + 1 :]
    if faster.any():
        fields.append(("final layer, faster", faster[0].astype(np.float64)))
    return fields


def _own_kernel(network: Network, layer: int, channel: int) -> Floats:
    """(h, w): of the first layer all inputs together, of others the weights on the same channel."""
    kernel = network.layers[layer].dense_kernel()[channel].astype(np.float64)
    if layer == 0:
        return np.asarray(kernel.sum(axis=0))
    return np.asarray(kernel[channel])


def _convolved(field: Floats, kernel: Floats) -> Floats:
    """Full convolution: of two correlations, one after the other, the kernel of both as one."""
    height, width = field.shape
    full = np.zeros((height + kernel.shape[0] - 1, width + kernel.shape[1] - 1))
    for row, column in zip(*np.nonzero(kernel), strict=True):
        full[row : row + height, column : column + width] += kernel[row, column] * field
    return full


def _draw_weights(axes: Axes, weights: Floats) -> AxesImage:
    """Centred on the neuron, in units of the largest weight."""
    dress(axes)
    axes.spines[["top", "right"]].set_visible(True)
    limit = float(np.abs(weights).max()) or 1.0
    height, width = weights.shape
    extent = (-width / 2, width / 2, height / 2, -height / 2)
    return axes.imshow(weights / limit, cmap=_TWO_COLOURS, vmin=-1, vmax=1, extent=extent)


def _draw_edges(axes: Axes, network: Network, channel: int) -> AxesImage:
    dress(axes)
    axes.spines[["top", "right"]].set_visible(True)
    x, t, weights = edge_field(network, channel)
    extent: Any = (x[0] - 0.5, x[-1] + 0.5, t[0], t[-1])
    limit = float(np.abs(weights).max()) or 1.0
    image = axes.imshow(
        weights / limit, cmap=_TWO_COLOURS, vmin=-1, vmax=1, extent=extent, origin="lower", aspect="auto"
    )
    heading = f"channel {channel}"
    bands, radius = network.bands, network.radius_px
    if bands is not None and radius is not None and channel < len(bands.edges):
        speed, name = bands.edges[channel], bands.name(channel) if channel < len(bands) else "above"
        heading = f"{name}, from {speed:g} px/s"
        for edge in (-radius, radius):
            axes.plot(edge - speed * t / 1e3, t, color=INK, lw=0.9)
    axes.set(xlim=extent[:2], ylim=extent[2:])
    axes.set_title(heading, fontsize=LABEL_PT)
    return image


def _bar(figure: SubFigure, image: AxesImage, panels: list[Axes], *, shrink: float = 1.0) -> None:
    bar = figure.colorbar(image, ax=panels, ticks=[-1, 0, 1], pad=0.01, aspect=25 * shrink, shrink=shrink)
    dress(bar.ax)
    bar.set_label("weight (of the largest)")


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
