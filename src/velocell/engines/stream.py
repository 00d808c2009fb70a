"""What the frame-based engines share: a stream of events cut into ticks, and its input maps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from velocell.data.recording import Recording
from velocell.engines import check_stream
from velocell.errors import RecordingError
from velocell.network import Network

_NEVER = np.iinfo(np.int64).min // 2


@dataclass
class Stream:
    """Where a stream stands: what the trail filter remembers per pixel (H, W), the events of the
    tick that is still open, the next tick to run. `size` is (width, height)."""

    size: tuple[int, int]
    last_us: NDArray[np.int64]
    last_p: NDArray[np.bool_]
    next_tick: int | None = None
    pending: list[Recording] = field(default_factory=list)


def start(network: Network, size: tuple[int, int]) -> Stream:
    """No events seen yet."""
    width, height = size
    network.check_size(width, height)
    return Stream(size, np.full((height, width), _NEVER), np.zeros((height, width), bool))


def ticks(
    network: Network, stream: Stream, events: Recording, until_us: int | None = None
) -> Iterator[tuple[int, int, NDArray[np.float32] | None]]:
    """Cut what `events` and `until_us` complete into ticks.

    Yields (idle, tick, maps): so many ticks without events, then tick number `tick` with its event
    counts, float32 (C_in, H, W). The last one has no maps: only idle ticks are left.
    """
    dt = network.dt_us
    check_stream(events, stream.size, 0 if stream.next_tick is None else stream.next_tick * dt)
    parts = [*stream.pending, events]
    t_us = np.concatenate([part.t_us for part in parts])
    if t_us.size and (np.diff(t_us) < 0).any():
        raise RecordingError("times go back between two chunks; chunks must follow in time")
    last_us = int(t_us[-1]) if t_us.size else 0
    stop_tick = (last_us if until_us is None else until_us) // dt
    x, y, p = _columns(network, parts)
    if stream.next_tick is None and t_us.size:
        stream.next_tick = int(t_us[0] // dt)
    first = stream.next_tick if stream.next_tick is not None else stop_tick
    ready = int(np.searchsorted(t_us, stop_tick * dt))
    numbers = t_us[:ready] // dt
    bounds = np.append(np.flatnonzero(np.diff(numbers, prepend=-1)), ready)
    tick = first
    for begin, end in pairwise(bounds):
        number = int(numbers[begin])
        maps = _input_maps(network, stream, t_us[begin:end], x[begin:end], y[begin:end], p[begin:end])
        yield number - tick, number, maps
        tick = number + 1
    if stream.next_tick is not None:
        stream.next_tick = max(stop_tick, first)
    stream.pending = [part for part in (_rest(part, stop_tick * dt) for part in parts) if len(part)]
    yield max(stop_tick - tick, 0), max(stop_tick, tick), None


def input_maps(network: Network, recording: Recording) -> NDArray[np.float32]:
    """What layer 0 sees in every tick of the recording's span, float32 (T, C_in, H, W): event counts
    behind the trail filter where the network has one. For small recordings: the result is dense."""
    dt = network.dt_us
    first, stop = recording.start_us // dt, -(-recording.stop_us // dt)
    dense = np.zeros((stop - first, network.layers[0].in_channels, recording.height, recording.width), np.float32)
    for _, tick, maps in ticks(network, start(network, recording.size), recording, stop * dt):
        if maps is not None:
            dense[tick - first] = maps
    return dense


def needs_polarity(network: Network) -> bool:
    """True where the network cannot run on a recording without polarity."""
    if network.trail_filter is not None:
        return network.trail_filter.flips
    return network.layers[0].in_channels == 2


def _rest(part: Recording, from_us: int) -> Recording:
    return part.slice(int(np.searchsorted(part.t_us, from_us)), len(part))


def _columns(network: Network, parts: list[Recording]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    x = np.concatenate([part.x for part in parts]).astype(np.intp)
    y = np.concatenate([part.y for part in parts]).astype(np.intp)
    if needs_polarity(network) and any(part.p is None and len(part) for part in parts):
        raise RecordingError("this network needs polarity but the recording has none; calibrate with polarity merge")
    p = np.concatenate([np.zeros(len(part), bool) if part.p is None else part.p for part in parts])
    return x, y, p


def _input_maps(
    network: Network,
    stream: Stream,
    t_us: NDArray[np.int64],
    x: NDArray[np.intp],
    y: NDArray[np.intp],
    p: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """Event counts of one tick, float32 (C_in, H, W)."""
    maps = np.zeros((network.layers[0].in_channels, *stream.last_us.shape), np.float32)
    trail = network.trail_filter
    if trail is None:
        plane = p.astype(np.intp) if maps.shape[0] == 2 else np.zeros_like(x)
        np.add.at(maps, (plane, y, x), np.float32(1))
        return maps
    silence_us = np.array(trail.silence_us)
    for t, column, row, on in zip(t_us, x, y, p, strict=True):
        passed = t - stream.last_us[row, column] >= silence_us
        if trail.flips and on != stream.last_p[row, column]:
            passed[:] = True
        maps[passed, row, column] += 1
        stream.last_us[row, column] = t
        stream.last_p[row, column] = on
    return maps
