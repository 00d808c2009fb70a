"""What a network costs on a chip, and what a chip's short weights cost the network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.engines import run
from velocell.engines.stream import input_maps
from velocell.network import Layer, Network
from velocell.network.nir.portable import on_edge

BITS = (8, 4)


@dataclass(frozen=True)
class LayerSize:
    """neurons and synapses on a sensor of some size; fan_in: synapses of one neuron; kernel: (width, height);
    weights: the smallest and the largest that is not 0; values: how many different ones. on_edge: channels in which
    one event lands on the threshold itself, so that rounding decides about the spike."""

    neurons: int
    synapses: int
    fan_in: int
    kernel: tuple[int, int]
    weights: tuple[float, float]
    values: int
    on_edge: tuple[int, ...]


def sizes(network: Network, size: tuple[int, int]) -> tuple[LayerSize, ...]:
    """Of each layer on a sensor of (width, height); synapses over its border are counted too."""
    found = []
    for layer in network.layers:
        kernel = layer.dense_kernel()
        used = kernel[kernel != 0]
        per_channel = np.count_nonzero(kernel, axis=(1, 2, 3))
        found.append(
            LayerSize(
                neurons=layer.channels * size[0] * size[1],
                synapses=int(per_channel.sum()) * size[0] * size[1],
                fan_in=int(per_channel.max()),
                kernel=(kernel.shape[3], kernel.shape[2]),
                weights=(float(used.min()), float(used.max())),
                values=int(np.unique(used).size),
                on_edge=on_edge(layer, network.dt_us),
            )
        )
    return tuple(found)


def rounded(network: Network, bits: int) -> Network:
    """With weights of so many bits: whole multiples of a step, one for each channel, up to 2^(bits - 1) - 1 of them."""
    return replace(network, layers=tuple(_rounded(layer, bits) for layer in network.layers))


def _rounded(layer: Layer, bits: int) -> Layer:
    most = 2 ** (bits - 1) - 1
    largest = np.abs(layer.kernel).max(axis=(1, 2, 3), keepdims=True)
    step = np.where(largest > 0, largest / most, 1).astype(np.float32)
    return replace(layer, kernel=(np.round(layer.kernel / step) * step).astype(np.float32))


@dataclass(frozen=True)
class Change:
    """Final spikes before and after, and how many are on one side only."""

    before: int
    after: int
    differing: int

    @property
    def share(self) -> float:
        return self.differing / self.before if self.before else float(self.after > 0)


def change(network: Network, other: Network, recording: Recording, *, engine: str = "native") -> Change:
    """How the final spikes of two networks differ on a recording."""
    first, second = (_final(run(each, recording, engine=engine)) for each in (network, other))
    return Change(len(first), len(second), np.setxor1d(first, second).size)


def _final(spikes: Spikes) -> NDArray[np.void]:
    last = spikes.final()
    columns = [getattr(last, name).astype(np.int64) for name in ("t_us", "channel", "y", "x")]
    return np.ascontiguousarray(np.stack(columns, axis=1)).view([(name, np.int64) for name in "tcyx"]).ravel()


def golden(network: Network, recording: Recording) -> dict[str, NDArray[Any]]:
    """What a copy of the network elsewhere has to reproduce: what layer 0 sees and what the final layer answers.

    `shape` is (ticks, C_in, height, width) of the input; `input_index` (n, 4) and `input_count` (n,) are its values
    that are not 0, `spike_index` (m, 4) the final spikes, as (tick, channel, y, x). Ticks count from the recording's
    start, where every membrane is at v_leak. The spikes are those of the reference engine.
    """
    maps = input_maps(network, recording)
    index = np.argwhere(maps)
    spikes = run(network, recording, engine="reference").final()
    ticks = spikes.t_us // network.dt_us - recording.start_us // network.dt_us
    return {
        "shape": np.array(maps.shape),
        "dt_us": np.array(network.dt_us),
        "input_index": index.astype(np.int32),
        "input_count": maps[tuple(index.T)],
        "spike_index": np.stack([ticks, spikes.channel, spikes.y, spikes.x], axis=1).astype(np.int32),
    }
