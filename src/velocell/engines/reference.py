"""The reference engine: the definition of what a Network does, in plain NumPy.

Dense and slow on purpose: every neuron is updated in every tick, in float32. All other engines
are compared with this one. Ticks in which nothing can change any more are skipped; that is exact.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from velocell.engines import check_stream
from velocell.errors import RecordingError
from velocell.kernels import anchor
from velocell.network import Layer, Network
from velocell.neurons import LIFBox
from velocell.recording import Recording
from velocell.spikes import Spikes

_NEVER = np.iinfo(np.int64).min // 2

copy = deepcopy


@dataclass
class State:
    """Membranes v per layer, float32 (C, H, W); what the trail filter remembers per pixel; the
    events of the tick that is still open; the next tick to run."""

    size: tuple[int, int]
    v: list[NDArray[np.float32]]
    last_us: NDArray[np.int64]
    last_p: NDArray[np.bool_]
    next_tick: int | None = None
    pending: list[Recording] = field(default_factory=list)


def init(network: Network, size: tuple[int, int]) -> State:
    """Membranes at v_leak, no events seen. `size` is (width, height)."""
    width, height = size
    network.check_size(width, height)
    v = [
        np.broadcast_to(_column(layer.neurons.v_leak), (layer.channels, height, width)).copy()
        for layer in network.layers
    ]
    return State(size, v, np.full((height, width), _NEVER), np.zeros((height, width), bool))


def step(network: Network, state: State, events: Recording, until_us: int | None = None) -> tuple[State, Spikes]:
    """Run all ticks that `events` and `until_us` complete (see `velocell.engines`)."""
    dt = network.dt_us
    check_stream(events, state.size, 0 if state.next_tick is None else state.next_tick * dt)
    parts = [*state.pending, events]
    t_us = np.concatenate([part.t_us for part in parts])
    if t_us.size and (np.diff(t_us) < 0).any():
        raise RecordingError("times go back between two chunks; chunks must follow in time")
    last_us = int(t_us[-1]) if t_us.size else 0
    stop_tick = (last_us if until_us is None else until_us) // dt
    x, y, p = _columns(network, parts)
    if state.next_tick is None and t_us.size:
        state.next_tick = int(t_us[0] // dt)
    first = state.next_tick if state.next_tick is not None else stop_tick
    ready = int(np.searchsorted(t_us, stop_tick * dt))
    spikes: list[Spikes] = []
    ticks = t_us[:ready] // dt
    starts = np.flatnonzero(np.diff(ticks, prepend=-1))
    tick = first
    for start, end in zip(starts, np.append(starts[1:], ready), strict=True):
        _idle(network, state, tick, int(ticks[start]))
        tick = int(ticks[start])
        maps = _input_maps(network, state, t_us[start:end], x[start:end], y[start:end], p[start:end])
        spikes.extend(_tick(network, state, maps, tick * dt))
        tick += 1
    _idle(network, state, tick, stop_tick)
    if state.next_tick is not None:
        state.next_tick = max(stop_tick, first)
    state.pending = [part for part in (_rest(part, stop_tick * dt) for part in parts) if len(part)]
    return state, Spikes.concatenate(spikes)


def _rest(part: Recording, from_us: int) -> Recording:
    return part.slice(int(np.searchsorted(part.t_us, from_us)), len(part))


def _columns(network: Network, parts: list[Recording]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    x = np.concatenate([part.x for part in parts]).astype(np.intp)
    y = np.concatenate([part.y for part in parts]).astype(np.intp)
    if needs_polarity(network) and any(part.p is None for part in parts):
        raise RecordingError("this network sees polarity but the recording has none; calibrate with polarity merge")
    p = np.concatenate([np.zeros(len(part), bool) if part.p is None else part.p for part in parts])
    return x, y, p


def needs_polarity(network: Network) -> bool:
    """True where the network cannot run on a recording without polarity."""
    if network.trail_filter is not None:
        return network.trail_filter.flips
    return network.layers[0].in_channels == 2


def _input_maps(
    network: Network,
    state: State,
    t_us: NDArray[np.int64],
    x: NDArray[np.intp],
    y: NDArray[np.intp],
    p: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """Event counts of one tick, float32 (C_in, H, W)."""
    maps = np.zeros((network.layers[0].in_channels, *state.last_us.shape), np.float32)
    trail = network.trail_filter
    if trail is None:
        plane = p.astype(np.intp) if maps.shape[0] == 2 else np.zeros_like(x)
        np.add.at(maps, (plane, y, x), np.float32(1))
        return maps
    silence_us = np.array(trail.silence_us)
    for t, column, row, on in zip(t_us, x, y, p, strict=True):
        passed = t - state.last_us[row, column] >= silence_us
        if trail.flips and on != state.last_p[row, column]:
            passed[:] = True
        maps[passed, row, column] += 1
        state.last_us[row, column] = t
        state.last_p[row, column] = on
    return maps


def _tick(network: Network, state: State, maps: NDArray[np.float32], t_us: int) -> list[Spikes]:
    """One tick through all layers; returns the spikes of each."""
    found = []
    for number, layer in enumerate(network.layers):
        fired = _update(layer, network.dt_us, state.v[number], correlate(maps, layer))
        channel, y, x = (index.astype(np.int32) for index in np.nonzero(fired))
        if channel.size:
            found.append(Spikes(np.full(channel.size, t_us), x, y, channel, np.full(channel.size, number, np.int32)))
        maps = fired.astype(np.float32)
    return found


def _update(
    layer: Layer, dt_us: int, v: NDArray[np.float32], current: NDArray[np.float32] | np.float32
) -> NDArray[np.bool_]:
    """v <- v + a (v_leak - v + I); spike where v > v_th; reset. In place; returns the spikes (C, H, W)."""
    neurons = layer.neurons
    v += _column(neurons.decay(dt_us)) * (_column(neurons.v_leak) - v + current)
    fired = v > _column(neurons.v_th)
    np.copyto(v, _column(neurons.v_reset), where=fired)
    return fired


def correlate(maps: NDArray[np.float32], layer: Layer) -> NDArray[np.float32]:
    """Cross-correlation, zero padding, `same` size: (C_in, H, W) -> (C_out, H, W), float32.

    Adds one mirrored kernel patch per active input pixel, in the order (channel, y, x).
    """
    kernel = layer.dense_kernel()
    h, w = kernel.shape[2:]
    above, left = h - 1 - anchor(h), w - 1 - anchor(w)
    current = np.zeros((layer.channels, maps.shape[1] + h - 1, maps.shape[2] + w - 1), np.float32)
    mirrored = kernel[:, :, ::-1, ::-1]
    for channel, y, x in zip(*np.nonzero(maps), strict=True):
        current[:, y : y + h, x : x + w] += maps[channel, y, x] * mirrored[:, channel]
    return current[:, above : above + maps.shape[1], left : left + maps.shape[2]]


def _idle(network: Network, state: State, tick: int, stop_tick: int) -> None:
    """Ticks without events: membranes decay towards v_leak, until nothing changes any more."""
    quiet = np.float32(0)
    while tick < stop_tick:
        before = [v.copy() for v in state.v]
        for layer, v in zip(network.layers, state.v, strict=True):
            _update(layer, network.dt_us, v, quiet)
        if all(np.array_equal(old, new) for old, new in zip(before, state.v, strict=True)):
            return
        tick += 1


def membrane(network: Network, recording: Recording, *, layer: int = 0, spiking: bool = True) -> NDArray[np.float32]:
    """Membrane potentials of a layer after every tick of the recording, float32 (T, C, H, W).

    `spiking=False` gives the response of leaky integrators in its place: no threshold, no reset
    in that layer. For small recordings: the result is dense.
    """
    if not spiking:
        chosen = network.layers[layer]
        integrators = LIFBox(chosen.neurons.tau_mem_inv, np.inf, chosen.neurons.v_leak)
        silent = Layer(chosen.kernel, integrators, chosen.groups)
        network = Network(network.dt_us, (*network.layers[:layer], silent), network.trail_filter)
    state = init(network, recording.size)
    dt = network.dt_us
    first, stop = recording.start_us // dt, -(-recording.stop_us // dt)
    trace = np.empty((stop - first, *state.v[layer].shape), np.float32)
    state.next_tick = int(first)
    for tick in range(first, stop):
        state, _ = step(network, state, recording.between(tick * dt, (tick + 1) * dt), (tick + 1) * dt)
        trace[tick - first] = state.v[layer]
    return trace


def _column(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return values[:, None, None]
