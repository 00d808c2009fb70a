"""The reference engine: the definition of what a Network does, in plain NumPy.

Dense and slow on purpose: every neuron is updated in every tick, in float32. All other engines
are compared with this one. Ticks in which nothing can change any more are skipped; that is exact.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.engines import stream
from velocell.network import Layer, Network
from velocell.network.kernels import anchor
from velocell.network.neurons import LIFBox

copy = deepcopy


@dataclass
class State:
    """Membranes v per layer, float32 (C, H, W), and where the stream of events stands."""

    v: list[NDArray[np.float32]]
    stream: stream.Stream


def init(network: Network, size: tuple[int, int], *, threads: int | None = None) -> State:
    """Membranes at v_leak, no events seen. `size` is (width, height)."""
    width, height = size
    v = [
        np.broadcast_to(_column(layer.neurons.v_leak), (layer.channels, height, width)).copy()
        for layer in network.layers
    ]
    return State(v, stream.start(network, size))


def step(
    network: Network, state: State, events: Recording, until_us: int | None = None, *, final_only: bool = False
) -> tuple[State, Spikes]:
    """Run all ticks that `events` and `until_us` complete (see `velocell.engines`)."""
    spikes: list[Spikes] = []
    for idle, tick, maps in stream.ticks(network, state.stream, events, until_us):
        _idle(network, state, idle)
        if maps is not None:
            spikes.extend(_tick(network, state, maps, tick * network.dt_us))
    whole = Spikes.concatenate(spikes, len(network.layers))
    return state, whole.final() if final_only else whole


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


def _idle(network: Network, state: State, ticks: int) -> None:
    """Ticks without events: membranes decay towards v_leak, until nothing changes any more."""
    quiet = np.float32(0)
    for _ in range(ticks):
        before = [v.copy() for v in state.v]
        for layer, v in zip(network.layers, state.v, strict=True):
            _update(layer, network.dt_us, v, quiet)
        if all(np.array_equal(old, new) for old, new in zip(before, state.v, strict=True)):
            return


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
    state.stream.next_tick = int(first)
    for tick in range(first, stop):
        state, _ = step(network, state, recording.between(tick * dt, (tick + 1) * dt), (tick + 1) * dt)
        trace[tick - first] = state.v[layer]
    return trace


def _column(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return values[:, None, None]
