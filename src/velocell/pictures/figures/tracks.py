"""Figures about recordings, tracks, spikes and networks: each function returns a matplotlib Figure of its own.

They touch no global state. In a notebook `%matplotlib inline` shows them; `save_figure` writes them to a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.data.tracks import Tracks
from velocell.pictures.figures.spikes import draw_dots, layer_spikes
from velocell.pictures.figures.style import (
    COLUMN_IN,
    INK,
    PAGE_IN,
    PALE,
    SMALL_PT,
    band_hex,
    clock_origin_us,
    dress,
    grid,
    label_edges,
    legend,
    time_label,
    title,
)
from velocell.results.objects import rows_by_object

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_TALL_IN = 2.9  # of the overview
# On a scene with more objects, labels and then circles hide what they mark.
_MOST_LABELS = 60
_MOST_CIRCLES = 300
_MOST_PIECES = 20_000


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
        final = layer_spikes(spikes, None, len(bands))
        answers = figure.add_subplot(plan[1, 1], sharex=speed)
        for band in range(len(bands)):
            chosen = final.channel == band
            draw_dots(answers, final.t_us[chosen] - origin_us, final.y[chosen], band_hex(band, len(bands)))
        answers.set(ylim=(height - 0.5, -0.5), ylabel="spikes, y (px)")
        speed.tick_params(labelbottom=False)
    figure.axes[-1].set_xlabel(time_label(origin_us))
    for axes in figure.axes:
        dress(axes)
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
    """One line per object, each piece in the colour of the band at its end; none where an
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
