"""What Recording, Network, Tracks and Spikes look like in a notebook: a small picture and the facts.

Each picture is drawn by itself (Pillow, SVG): quickly, of bounded size whatever the data, and readable on light and
dark pages. All text is escaped: file names and names of bands are other people's.
"""

from __future__ import annotations

import base64
import html
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.data.html import shown
from velocell.data.meta import band_names_of, sensor_size
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.data.tracks import Tracks
from velocell.data.units import format_time
from velocell.network import Network
from velocell.pictures.colors import BACKGROUND, EVENT, OFF, ON, Color, band_color, hex_color
from velocell.pictures.words import (
    MOST_ROWS,
    band_name,
    bands_text,
    count_text,
    degrees_text,
    number_text,
    span_text,
    with_error,
)
from velocell.results.objects import objects, rows_by_object

_SIDE_PX = 240
_RASTER_PX = (140, 75)
_RASTER_SCALE = 2
_SEEN = 1_000_000  # more events or spikes are thinned for the picture, evenly
_RATE_BINS = 60
_MOST_NOTES = 6
_MOST_PATHS = 150
_POINTS_EACH = 40
_MOST_CHARACTERS = 160
_POSITIVE: Color = (239, 191, 58)
_NEGATIVE: Color = (63, 127, 224)


# --- the four kinds -----------------------------------------------------------------------------------


@shown.register
def _(recording: Recording) -> str:
    n, seconds = len(recording), recording.duration_us / 1e6
    facts = [
        ("events", f"{n:,}"),
        ("sensor", f"{recording.width} x {recording.height} px"),
        ("time", span_text(recording.start_us, recording.stop_us)),
        ("rate", f"{number_text(n / seconds)} events/s" if seconds else "-"),
        ("polarity", "none" if recording.p is None else f"{np.count_nonzero(recording.p) / max(n, 1):.0%} ON"),
    ]
    if recording.source:
        facts.insert(0, ("source", recording.source))
    facts += [("", note) for note in recording.notes[:_MOST_NOTES]]
    if len(recording.notes) > _MOST_NOTES:
        facts.append(("", f"and {len(recording.notes) - _MOST_NOTES} more notes"))
    return _card("Recording", [_events_picture(recording)], facts, [_rates(recording)])


@shown.register
def _(network: Network) -> str:
    facts = [("tick", format_time(network.dt_us))]
    if network.bands is not None:
        facts.append(("bands", bands_text(network.bands)))
    if network.radius_px is not None:
        facts.append(("radius", f"{network.radius_px:.4g} px"))
    if network.trail_filter is not None:
        silences = ", ".join(f"{us / 1e3:.3g}" for us in network.trail_filter.silence_us[:MOST_ROWS])
        flips = " or another polarity" if network.trail_filter.flips else ""
        facts.append(("trail filter", f"{silences} ms of silence{flips}"))
    head = ("layer", "channel", "kernel (px)", "time constant (ms)", "threshold")
    rows: list[Sequence[object]] = []
    pictures: list[str] = []
    for number, layer in enumerate(network.layers):
        height, width = layer.kernel.shape[2:]
        for channel in range(layer.channels):
            if len(rows) <= MOST_ROWS:
                tau, v_th = layer.neurons.tau_us[channel] / 1e3, layer.neurons.v_th[channel]
                rows.append((number, channel, f"{width} x {height}", f"{tau:.3g}", f"{v_th:.4g}"))
        if len(pictures) < 4:
            pictures += [_kernel_picture(kernel, f"layer {number}") for kernel in _different(layer.kernel, 2)]
    more = sum(layer.channels for layer in network.layers) - MOST_ROWS
    return _card("Network", pictures[:4], facts, [_table(head, rows[:MOST_ROWS], more, "channels")])


@shown.register
def _(tracks: Tracks) -> str:
    names = band_names_of(tracks)
    found = objects(tracks)
    counts = Counter(item.band for item in found)
    facts = [("objects", f"{len(found):,}"), ("rows", f"{len(tracks):,}")]
    if len(tracks):
        facts.append(("time", span_text(int(tracks.t_us[0]), int(tracks.t_us[-1]))))
    for band in sorted(counts)[:MOST_ROWS]:
        speeds = tracks.speed_px_s[(tracks.band == band) & np.isfinite(tracks.speed_px_s)]
        span = f", {speeds.min():.3g} to {speeds.max():.3g} px/s" if speeds.size else ""
        facts.append((band_name(names, band), count_text(counts[band], "object") + span))
    if tracks.extra:
        facts.append(("also", ", ".join(list(tracks.extra)[:MOST_ROWS])))
    rows = [
        (
            item.id,
            band_name(names, item.band),
            with_error(item.speed_px_s, item.speed_err_px_s),
            degrees_text(item.heading_deg),
            number_text(item.radius_px),
            f"{item.first_us / 1e6:.3f} to {item.last_us / 1e6:.3f}",
        )
        for item in found[:MOST_ROWS]
    ]
    head = ("id", "band", "speed (px/s)", "heading (deg)", "radius (px)", "time (s)")
    table = _table(head, rows, len(found) - MOST_ROWS, "objects")
    return _card("Tracks", [_paths_picture(tracks, len(names))], facts, [table])


@shown.register
def _(spikes: Spikes) -> str:
    facts = [("spikes", f"{len(spikes):,}")]
    if len(spikes):
        facts.append(("time", span_text(int(spikes.t_us[0]), int(spikes.t_us[-1]))))
    if spikes.layers:
        facts.append(("layers", str(spikes.layers)))
    if spikes.radius_px is not None:
        facts.append(("radii", ", ".join(f"{r:.3g}" for r in np.unique(spikes.radius_px)[:MOST_ROWS]) + " px"))
    pairs, counts = np.unique(spikes.layer.astype(np.int64) << 32 | spikes.channel.astype(np.int64), return_counts=True)
    rows = [
        (pair >> 32, pair & 0xFFFFFFFF, f"{count:,}")
        for pair, count in zip(pairs[:MOST_ROWS].tolist(), counts[:MOST_ROWS].tolist(), strict=True)
    ]
    table = _table(("layer", "channel", "spikes"), rows, pairs.size - MOST_ROWS, "channels")
    return _card("Spikes", [_raster_picture(spikes)], facts, [table])


# --- pictures -----------------------------------------------------------------------------------------


def _events_picture(recording: Recording) -> str:
    """Where the events are; a pixel shines the brighter the more it had, in the colours of its polarities."""
    every = slice(None, None, -(-max(len(recording), 1) // _SEEN))
    factor = -(-max(recording.size) // _SIDE_PX)
    width, height = -(-recording.width // factor), -(-recording.height // factor)
    pixel = (recording.y[every].astype(np.intp) // factor) * width + recording.x[every] // factor
    counts = np.bincount(pixel, minlength=width * height).reshape(height, width)
    active = counts[counts > 0]
    level = 1 - np.exp(-counts / max(float(np.percentile(active, 80)) if active.size else 1.0, 1.0))
    color = np.broadcast_to(np.array(EVENT, float), (height, width, 3))
    if recording.p is not None:
        on = np.bincount(pixel, recording.p[every], minlength=width * height).reshape(height, width)
        share = (on / np.maximum(counts, 1))[..., None]
        color = np.array(ON, float) * share + np.array(OFF, float) * (1 - share)
    background = np.array(BACKGROUND, float)
    # Half again as bright: alone on a small picture, events may be louder than under tracks.
    picture = background + level[..., None] * (np.minimum(1.5 * color, 255) - background)
    return _png(picture, _shown_size(width, height), "events")


def _kernel_picture(weights: NDArray[np.float32], caption: str) -> str:
    limit = float(np.abs(weights).max()) or 1.0
    background = np.array(BACKGROUND, float)
    share = (weights / limit)[..., None]
    picture = np.where(
        share > 0,
        background + share * (np.array(_POSITIVE, float) - background),
        background - share * (np.array(_NEGATIVE, float) - background),
    )
    step = -(-max(weights.shape) // _SIDE_PX)
    height, width = picture[::step, ::step].shape[:2]
    return _png(picture[::step, ::step], _shown_size(width, height, 110), caption)


def _paths_picture(tracks: Tracks, bands: int) -> str:
    """Every object's way, in the colour of its bands; of many objects the first."""
    first = np.isin(tracks.id, np.unique(tracks.id)[:_MOST_PATHS])
    part = tracks.where(first & np.isfinite(tracks.x_px) & np.isfinite(tracks.y_px))
    width, height = _extent(tracks.meta, part)
    wide, tall = _shown_size(width, height)
    lines = []
    for rows in rows_by_object(part):
        if rows.size > _POINTS_EACH:
            rows = rows[np.linspace(0, rows.size - 1, _POINTS_EACH).astype(np.intp)]
        xs, ys = (part.x_px[rows] + 0.5) * wide / width, (part.y_px[rows] + 0.5) * tall / height
        color = _color(int(part.band[rows[-1]]), bands)
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
        lines.append(f'<polyline points="{points}" stroke="{color}"/>')
        lines.append(f'<circle cx="{xs[-1]:.1f}" cy="{ys[-1]:.1f}" r="3" fill="{color}" stroke="none"/>')
    return (
        f'<svg role="img" aria-label="paths" width="{wide}" height="{tall}" '
        f'viewBox="0 0 {wide} {tall}"><rect width="{wide}" height="{tall}" fill="{hex_color(BACKGROUND)}"/>'
        f'<g fill="none" stroke-width="2" stroke-linejoin="round" stroke-linecap="round">{"".join(lines)}</g></svg>'
    )


def _raster_picture(spikes: Spikes) -> str:
    """The final layer's spikes: row of the neuron against time."""
    final = spikes.final()
    wide, tall = _RASTER_PX
    picture = np.empty((tall, wide, 3))
    picture[:] = BACKGROUND
    if len(final):
        every = slice(None, None, -(-len(final) // _SEEN))
        t, y, channel = final.t_us[every], final.y[every], final.channel[every]
        across = (t - t[0]) * (wide - 1) // max(int(t[-1] - t[0]), 1)
        down = y.astype(np.int64) * (tall - 1) // max(int(y.max()), 1)
        used, which = np.unique(channel, return_inverse=True)
        colors = np.array([band_color(k, len(used)) for k in range(len(used))], float)
        picture[down, across] = colors[which]
    return _png(picture, (wide * _RASTER_SCALE, tall * _RASTER_SCALE), "final layer: row over time")


def _rates(recording: Recording) -> str:
    """Events per time as a row of bars in the colour of the page's text."""
    edges = np.linspace(recording.start_us, max(recording.stop_us, recording.start_us + 1), _RATE_BINS + 1)
    counts = np.diff(np.searchsorted(recording.t_us, edges))
    tall = counts / max(int(counts.max()), 1) * 28
    bars = "".join(
        f'<rect x="{4 * k}" y="{30 - bar:.1f}" width="3" height="{bar:.1f}"/>' for k, bar in enumerate(tall.tolist())
    )
    busiest = number_text(float(counts.max()) / (edges[1] - edges[0]) * 1e6)
    return (
        f'<svg role="img" aria-label="event rate" width="{4 * _RATE_BINS}" '
        f'height="31" fill="currentColor" fill-opacity="0.55">{bars}<rect y="30" width="100%" height="1"/></svg>'
        f'<div style="opacity:.7">event rate over time, {busiest} events/s at most</div>'
    )


def _png(picture: NDArray[Any], shown: tuple[int, int], caption: str) -> str:
    """An image (H, W, 3), 0..255, shown with sharp pixels."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.rint(picture).astype(np.uint8)).save(buffer, "png")
    data = base64.b64encode(buffer.getvalue()).decode()
    return (
        f'<figure style="margin:0"><img alt="{_text(caption)}" width="{shown[0]}" height="{shown[1]}" '
        f'style="image-rendering:pixelated;max-width:none" src="data:image/png;base64,{data}">'
        f'<figcaption style="opacity:.7;font-size:11px">{_text(caption)}</figcaption></figure>'
    )


def _shown_size(width: float, height: float, side: int = _SIDE_PX) -> tuple[int, int]:
    """As large as fits into a square, at least a few pixels to both sides."""
    factor = side / max(width, height)
    return max(round(width * factor), 8), max(round(height * factor), 8)


def _different(kernels: NDArray[np.float32], most: int) -> list[NDArray[np.float32]]:
    """The first few 2-D kernels with weights that are not alike."""
    found: list[NDArray[np.float32]] = []
    for weights in kernels.reshape(-1, *kernels.shape[2:])[:256]:
        if weights.any() and not any(np.array_equal(weights, other) for other in found):
            found.append(weights)
        if len(found) == most:
            break
    return found


def _extent(meta: dict[str, Any], tracks: Tracks) -> tuple[float, float]:
    """The sensor's size, where the table knows it and the objects are on it; else as far as they go."""
    if (size := sensor_size(meta)) is not None:
        return float(size[0]), float(size[1])
    width, height = (max(float(values.max(initial=0)) + 1, 1.0) for values in (tracks.x_px, tracks.y_px))
    return width, height


# --- words --------------------------------------------------------------------------------------------


def _card(title: str, pictures: Sequence[str], facts: Iterable[tuple[str, str]], more: Iterable[str]) -> str:
    """Pictures at the left, facts at the right; colours and font are the page's own."""
    lines = "".join(f'<div style="opacity:.7">{_text(name)}</div><div>{_text(value)}</div>' for name, value in facts)
    return (
        '<div class="velocell" style="display:flex;flex-wrap:wrap;gap:8px 20px;align-items:flex-start;'
        'font-size:13px;line-height:1.45">'
        f'<div style="display:flex;flex-wrap:wrap;gap:8px;max-width:{_SIDE_PX + 60}px">{"".join(pictures)}</div>'
        f'<div style="max-width:640px"><div style="font-weight:600;font-size:14px">{_text(title)}</div>'
        f'<div style="display:grid;grid-template-columns:max-content auto;gap:0 12px;margin:4px 0 8px">{lines}</div>'
        f"{''.join(more)}</div></div>"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[object]], more: int, what: str) -> str:
    """A table with a line about the `more` things that it leaves out; nothing without rows."""
    if not rows:
        return ""
    cell = 'style="text-align:left;padding:1px 12px 1px 0"'
    top = "".join(f"<th {cell}>{_text(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td {cell}>{_text(value)}</td>" for value in row) + "</tr>" for row in rows)
    left_out = f'<div style="opacity:.7">and {more:,} more {what}</div>' if more > 0 else ""
    rows_html = f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody>"
    return f'<table style="border-collapse:collapse;margin:0">{rows_html}</table>{left_out}'


def _text(value: object) -> str:
    """Of bounded length, and nothing in it is HTML."""
    words = str(value)
    words = words if len(words) <= _MOST_CHARACTERS else f"{words[: _MOST_CHARACTERS - 1]}…"
    return html.escape(words)


def _color(band: int, bands: int) -> str:
    return hex_color(band_color(max(band, -1), max(bands, band + 1)))
