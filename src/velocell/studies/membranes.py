"""Membranes of single neurons, as the reference engine computes them, for looking at.

A neuron sees no further than the kernels before it reach, so that each is run on the small part of the
sensor around it: exactly the same potential at a small part of the cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from velocell.data.recording import Recording
from velocell.engines import reference, run
from velocell.errors import NetworkError, RecordingError
from velocell.filters.reshape import cut_out
from velocell.network import Network

Neuron = tuple[int, int, int]
"""channel, x, y."""

_MOST_BYTES = 1 << 30


@dataclass(frozen=True, eq=False)
class Traces:
    """Membrane potentials of N neurons of one layer after each of n ticks.

    t_us (n,): first microsecond of each tick. v, float32 (N, n), after the reset. v_th, float32 (N,).
    spikes_us: of each neuron, the ticks in which it spiked.
    """

    layer: int
    neurons: tuple[Neuron, ...]
    t_us: NDArray[np.int64]
    v: NDArray[np.float32]
    v_th: NDArray[np.float32]
    spikes_us: tuple[NDArray[np.int64], ...]


def membrane_traces(network: Network, recording: Recording, neurons: Sequence[Neuron], *, layer: int = 0) -> Traces:
    """Run the network on the recording and keep the potentials of some neurons (channel, x, y) of a layer.

    Membranes start at rest, so begin somewhat before what is to be seen. Raises NetworkError for a layer or
    channel that is not there, RecordingError for a neuron outside the sensor or a recording that is too long.
    """
    if not 0 <= layer < len(network.layers):
        raise NetworkError(f"layer {layer} does not exist; the network has layers 0 to {len(network.layers) - 1}")
    channels = network.layers[layer].channels
    if not neurons:
        raise NetworkError("name at least one neuron: (channel, x, y)")
    ticks = -(-recording.stop_us // network.dt_us) - recording.start_us // network.dt_us
    reach = sum(max(item.kernel.shape[2:]) // 2 + 1 for item in network.layers[: layer + 1])
    if 4 * ticks * channels * (2 * reach + 1) ** 2 > _MOST_BYTES:
        raise RecordingError(f"{ticks} ticks are too many to keep all potentials; take a shorter part (between)")
    traces, spikes = [], []
    for channel, x, y in neurons:
        if not 0 <= channel < channels:
            raise NetworkError(f"channel {channel} of layer {layer} does not exist; it has {channels} channels")
        if not (0 <= x < recording.width and 0 <= y < recording.height):
            raise RecordingError(f"neuron {x},{y} lies outside the {recording.width}x{recording.height} sensor")
        left, wide = _around(x, reach, recording.width)
        top, tall = _around(y, reach, recording.height)
        around = cut_out(recording, left, top, wide, tall)
        traces.append(reference.membrane(network, around, layer=layer)[:, channel, y - top, x - left])
        found = run(network, around, engine="reference").of_layer(layer)
        mine = (found.channel == channel) & (found.x == x - left) & (found.y == y - top)
        spikes.append(found.t_us[mine])
    t_us = (recording.start_us // network.dt_us + np.arange(ticks)) * network.dt_us
    v_th = network.layers[layer].neurons.v_th[[channel for channel, _, _ in neurons]]
    return Traces(layer, tuple(neurons), t_us, np.array(traces), v_th, tuple(spikes))


def _around(at: int, reach: int, side: int) -> tuple[int, int]:
    """First pixel and length of what lies within `reach`, of full length where the sensor has room."""
    length = min(2 * reach + 1, side)
    return min(max(at - reach, 0), side - length), length
