"""What a picture of one instant consists of: events or a membrane as one byte a pixel, spikes, objects."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.data.tables import joined_columns
from velocell.errors import NetworkError
from velocell.network import Network
from velocell.network.kernels import anchor
from velocell.studies.passages import passed_events
from velocell.viewer.run import Results

Mode = Literal["surface", "accumulate"]

LEVELS = 127
ON = 128
"""Bit of an event's byte that says ON."""
FADE_TAUS = 4.0
"""After so many time constants an event (or a spike) is no longer drawn."""

_MOST_SPIKES = 60_000
_TAIL_POINTS = 16
_TAIL_RADII = 6.0
_HOLD = 1.5


def event_plane(events: Recording, at_us: int, mode: Mode, span_us: float, *, polarity: bool) -> NDArray[np.uint8]:
    """Events before `at_us` as bytes (H, W): 0 nothing, else a level of 1 to 127, and bit 7 for ON.

    `surface`: the exponentially decayed time surface, span_us its time constant, over FADE_TAUS of
    them. `accumulate`: counts over span_us, each event half of what is left to the highest level. Where
    there is no polarity, or it is not wanted, bit 7 is never set.
    """
    stop_us = at_us
    part = events.between(round(at_us - span_us * (FADE_TAUS if mode == "surface" else 1)), stop_us)
    plane = np.zeros(events.height * events.width, np.uint8)
    pixel = part.y.astype(np.intp) * events.width + part.x
    if mode == "surface":
        # The level falls to 1 where the decay ends; of several events of a pixel NumPy keeps the last.
        levels = np.exp((part.t_us - (at_us - 1)) / span_us, dtype=np.float32)
        value = np.rint(1 + (LEVELS - 1) * levels).astype(np.uint8)
    else:
        counts = np.bincount(pixel, minlength=plane.size)[pixel] if pixel.size else np.zeros(0, np.intp)
        value = np.rint(LEVELS * (1 - 0.5**counts)).astype(np.uint8)
    if polarity and part.p is not None:
        value |= part.p.astype(np.uint8) << 7
    plane[pixel] = value
    return plane.reshape(events.height, events.width)


@dataclass(frozen=True, eq=False)
class Dots:
    """Spikes to draw, arrays (n,), the oldest first. index: place in the list of channels; age 0 (new) to 255."""

    x: NDArray[np.uint16]
    y: NDArray[np.uint16]
    index: NDArray[np.uint8]
    age: NDArray[np.uint8]


NO_DOTS = Dots(*(np.zeros(0, np.uint16),) * 2, *(np.zeros(0, np.uint8),) * 2)


def spike_dots(results: Results, shown: list[tuple[int, int]], at_us: int, span_us: float) -> Dots:
    """Spikes of the channels `shown`, (layer, channel) each, that have not faded at `at_us`.

    Of more than 60 000 the newest are taken.
    """
    start_us = at_us - FADE_TAUS * span_us
    parts = []
    layers = max((layer for layer, _ in shown), default=-1) + 1
    channels = max((channel for _, channel in shown), default=-1) + 1
    place = np.full((layers + 1, channels + 1), -1, np.int16)  # the last row and column are for what is not shown
    for number, (layer, channel) in enumerate(shown):
        place[layer, channel] = number
    for block in results.between(math.floor(start_us), at_us) if shown else []:
        first, last = np.searchsorted(block.t_us, [start_us, at_us])
        index = place[np.minimum(block.layer[first:last], layers), np.minimum(block.channel[first:last], channels)]
        keep = index >= 0
        age = np.minimum((at_us - block.t_us[first:last][keep]) / (FADE_TAUS * span_us) * 255, 255)
        parts.append((block.x[first:last][keep], block.y[first:last][keep], index[keep], age))
    if not parts:
        return NO_DOTS
    columns = [np.concatenate(column)[-_MOST_SPIKES:] for column in zip(*parts, strict=True)]
    return Dots(columns[0], columns[1], columns[2].astype(np.uint8), columns[3].astype(np.uint8))


def objects_at(results: Results, at_us: int, tail_us: int) -> tuple[list[dict[str, Any]], NDArray[np.float32]]:
    """The objects at one instant, and their tails, (n, 2): one after the other, `tail` points of each object, the
    newest first.

    Positions between two rows are interpolated; where rows stop, an object stays for 1.5 intervals.
    """
    every_us = results.settings.search.every_us
    parts = [block.rows for block in results.between(at_us - max(tail_us, 2 * every_us), at_us + 2 * every_us)]
    rows = joined_columns(parts) if parts else {}
    if not parts or not rows["id"].size:
        return [], np.zeros((0, 2), np.float32)
    order = np.lexsort((rows["t_us"], rows["id"]))
    rows = {name: values[order] for name, values in rows.items()}
    t, xy = rows["t_us"], np.column_stack((rows["x_px"], rows["y_px"]))
    first = np.flatnonzero(np.diff(rows["id"], prepend=-1))
    size = np.diff(np.append(first, t.size))
    row = first - 1 + np.add.reduceat((t <= at_us).astype(np.intp), first)  # the last one up to now
    keep = (row >= first) & (at_us - t[np.maximum(row, 0)] < _HOLD * every_us)
    first, size, row = first[keep], size[keep], row[keep]
    after = np.minimum(row + 1, first + size - 1)
    share = np.clip((at_us - t[row]) / np.maximum(t[after] - t[row], 1), 0, 1)[:, None]
    here = xy[row] + share * (xy[after] - xy[row])
    radius = np.nan_to_num(rows["radius_px"][row], nan=5.0)
    step = max(1, math.ceil(tail_us / every_us / (_TAIL_POINTS - 1)))
    past = row[:, None] - step * np.arange(_TAIL_POINTS - 1)
    known = (past >= first[:, None]) & (t[np.maximum(past, 0)] >= at_us - tail_us)
    points = np.concatenate([here[:, None], xy[np.maximum(past, 0)]], axis=1)
    travel = np.cumsum(np.linalg.norm(np.diff(points, axis=1), axis=2), axis=1)
    seen = np.column_stack((np.ones(row.size, bool), known & (travel <= _TAIL_RADII * radius[:, None])))
    seen = np.logical_and.accumulate(seen, axis=1)
    columns = (row, *here.round(2).T, radius.round(2), seen.sum(axis=1))
    plane = results.settings.plane
    speed_mm = (
        np.full(t.size, np.nan)
        if plane is None
        else plane.speed_mm_s(xy[:, 0], xy[:, 1], rows["speed_px_s"], rows["heading_deg"])
    )
    found = [
        {
            "id": int(rows["id"][k]), "x": x, "y": y, "band": int(rows["band"][k]), "radius": size_px, "tail": n,
            "speed": plain(rows["speed_px_s"][k], 1), "heading": plain(rows["heading_deg"][k], 1),
            **({} if plane is None else {"speed_mm": plain(speed_mm[k], 2)}),
        }
        for k, x, y, size_px, n in zip(*(column.tolist() for column in columns), strict=True)
    ]  # fmt: skip
    return found, points[seen].astype(np.float32)


def plain(value: Any, digits: int) -> float | None:
    """Rounded, for JSON, which knows no NaN."""
    return round(float(value), digits) if math.isfinite(value) else None


def membrane_reach_us(network: Network, channel: int) -> int:
    """How far back (us) the potential of a channel of layer 0 depends on events that still count."""
    first, trail = network.layers[0], network.trail_filter
    if not 0 <= channel < first.channels:
        raise NetworkError(f"layer 1 has the channels 0 to {first.channels - 1}, not {channel}")
    a = float(first.neurons.decay(network.dt_us)[channel])
    ticks = 1 if a == 1 else math.ceil(-FADE_TAUS / math.log1p(-a)) + 1
    return ticks * network.dt_us + max(() if trail is None else trail.silence_us, default=0)


def membrane(events: Recording, network: Network, channel: int, spikes: Spikes, at_us: int) -> NDArray[np.float32]:
    """v - v_leak (H, W) of a channel of layer 0 after all ticks that end at or before `at_us`.

    events, spikes: of the last `membrane_reach_us` at least. A neuron's potential is the decayed sum of what came
    since its last spike, plus what is left of the reset; so nothing needs to be run again.
    """
    ticks_us = at_us // network.dt_us * network.dt_us
    events, layer = events.between(stop_us=ticks_us), network.layers[0]
    if events.p is None:
        events = Recording.from_arrays(
            events.t_us, events.x, events.y, np.zeros(len(events), np.bool_), width=events.width, height=events.height
        )
    tick = events.t_us // network.dt_us
    last_tick = ticks_us // network.dt_us - 1
    keep = 1 - float(layer.neurons.decay(network.dt_us)[channel])
    spiked = (spikes.layer == 0) & (spikes.channel == channel) & (spikes.t_us < ticks_us)
    shape = events.height, events.width
    since = np.full(shape, -1, np.int64)
    np.maximum.at(since, (spikes.y[spiked], spikes.x[spiked]), spikes.t_us[spiked] // network.dt_us)
    reset = float(layer.neurons.v_reset[channel] - layer.neurons.v_leak[channel])
    v = np.where(since >= 0, reset * keep ** np.maximum(last_tick - since, 0).astype(np.float64), 0.0)
    passed = passed_events(network, events)
    for plane, weights in enumerate(layer.dense_kernel()[channel]):
        rows = np.flatnonzero(passed[plane])
        drive = (1 - keep) * keep ** (last_tick - tick[rows]).astype(np.float64)
        _scatter(v, events.x[rows], events.y[rows], tick[rows], drive, weights, since)
    return v.astype(np.float32)


def _scatter(
    v: NDArray[np.float64],
    x: NDArray[np.uint16],
    y: NDArray[np.uint16],
    tick: NDArray[np.int64],
    drive: NDArray[np.float64],
    weights: NDArray[np.float32],
    since: NDArray[np.int64],
) -> None:
    """Add each event's kernel patch, but only to neurons that have not spiked since."""
    height, width = v.shape
    flat, since = v.reshape(-1), since.reshape(-1)
    tops, lefts = anchor(weights.shape[0]), anchor(weights.shape[1])
    for i, j in zip(*np.nonzero(weights), strict=True):
        row, column = y.astype(np.intp) + (tops - i), x.astype(np.intp) + (lefts - j)
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        target = row[inside] * width + column[inside]
        late = tick[inside] > since[target]
        np.add.at(flat, target[late], float(weights[i, j]) * drive[inside][late])


def membrane_plane(v: NDArray[np.float32], threshold: float) -> NDArray[np.uint8]:
    """Potentials as bytes: 128 at rest, 255 at the threshold, 1 as far below rest."""
    levels: NDArray[np.uint8] = np.rint(128 + 127 * np.clip(v / threshold, -1, 1)).astype(np.uint8)
    return levels
