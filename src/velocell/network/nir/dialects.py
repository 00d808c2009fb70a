"""What single frameworks demand of a NIR graph, where they do not run the neutral one, and why.

Each form was checked, spike by spike, with the framework's own importer (`tests/network/nir`, docs/nir.md). Common to
all: neurons that decay to 0 and restart at 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from velocell.data.arrays import Floats
from velocell.errors import NetworkError
from velocell.network.layers import Layer
from velocell.network.nir import graph as neutral
from velocell.network.nir import meta
from velocell.network.nir.needs import Graph, require_nir

if TYPE_CHECKING:
    from velocell.network.network import Network

_SNNTORCH_TICK_S = 1e-4  # written into its importer


@dataclass(frozen=True)
class Framework:
    """version: the one that was checked. needs: what its graph has that the neutral one has not. how: to load it, for
    a user who has the file as `net.nir`."""

    version: str
    needs: str
    how: str
    build: Callable[[Network, tuple[int, int]], Graph]


def export(network: Network, size: tuple[int, int], framework: str = meta.NEUTRAL) -> Graph:
    """The graph that a framework reads. Raises NetworkError for what does not map."""
    if framework != meta.NEUTRAL and framework not in FRAMEWORKS:
        raise NetworkError(f"framework '{framework}' is unknown; use one of {', '.join((meta.NEUTRAL, *FRAMEWORKS))}")
    neutral.check_size(network, size)
    if framework == meta.NEUTRAL:
        return neutral.to_graph(network, size)
    neutral.check_resets(network, framework)
    return FRAMEWORKS[framework].build(network, size)


def _norse(network: Network, size: tuple[int, int]) -> Graph:
    return neutral.to_graph(network, size)


def _snntorch(network: Network, size: tuple[int, int]) -> Graph:
    """Its importer takes a tick of 1e-4 s and one threshold a layer: tau is in such ticks, weights in thresholds."""

    def cell(layer: Layer, a: Floats) -> tuple[Floats, Any]:
        threshold = _finite(layer)
        tau = _maps(_SNNTORCH_TICK_S / a, size)
        zero = np.zeros_like(tau)
        return a / threshold, require_nir().LIF(
            tau=tau, r=tau / _SNNTORCH_TICK_S, v_leak=zero, v_threshold=np.ones_like(tau), v_reset=zero
        )

    return _in_a_row(network, size, "snntorch", cell, _SNNTORCH_TICK_S)


def _sinabs(network: Network, size: tuple[int, int]) -> Graph:
    """Its neurons decay by exp(-1 / tau) a tick and add the input as it is."""

    def cell(layer: Layer, a: Floats) -> tuple[Floats, Any]:
        tau = -1 / np.log1p(-a)[:, None, None]
        zero = np.zeros_like(tau)
        return a, require_nir().LIF(
            tau=tau, r=zero + 1, v_leak=zero, v_threshold=_finite(layer)[:, None, None], v_reset=zero
        )

    return _in_a_row(network, size, "sinabs", cell, 1.0)


def _in_a_row(
    network: Network,
    size: tuple[int, int],
    framework: str,
    cell: Callable[[Layer, Floats], tuple[Floats, Any]],
    tick: float,
) -> Graph:
    """Like the neutral graph. cell: of a layer and its decay, by what weights are multiplied, and the LIF."""
    nir = require_nir()
    width, height = size
    nodes: dict[str, Any] = {"input": nir.Input(np.array([network.layers[0].in_channels, height, width]))}
    for number, layer in enumerate(network.layers):
        gain, lif = cell(layer, _decay(network, number, framework, below_one=framework == "sinabs"))
        weights = neutral.odd_kernel(layer.dense_kernel()) * gain[:, None, None, None]
        nodes[f"conv_{number}"] = neutral.conv(weights.astype(np.float32), size)
        nodes[f"lif_{number}"] = lif
    nodes["output"] = nir.Output(np.array([network.layers[-1].channels, height, width]))
    names = list(nodes)
    edges = list(pairwise(names))
    said = meta.of(network, size, tick=tick, dialect=framework)
    return nir.NIRGraph(nodes, edges, metadata=said, type_check=False)


def _spikingjelly(network: Network, size: tuple[int, int]) -> Graph:
    """Its neurons take one value a node: a LIF for each channel, a convolution for each pair of channels. What several
    edges bring to a node adds up; the last convolutions, of 1x1, put the channels side by side again."""
    nir = require_nir()
    width, height = size
    first = network.layers[0].in_channels
    nodes: dict[str, Any] = {"input": nir.Input(np.array([first, height, width]))}
    edges: list[tuple[str, str]] = []

    def connect(source: str, target: str, weights: NDArray[np.float32]) -> None:
        name = f"conv_{source}_{target}"
        nodes[name] = neutral.conv(weights, size)
        edges.extend([(source, name), (name, target)])

    before = [("input", slice(0, first))]
    for number, layer in enumerate(network.layers):
        a = _decay(network, number, "spikingjelly", below_one=True)
        threshold = _finite(layer)
        weights = neutral.odd_kernel(layer.dense_kernel())
        names = [f"lif_{number}_{channel}" for channel in range(layer.channels)]
        for channel, name in enumerate(names):
            one = np.ones((1, height, width))
            nodes[name] = nir.LIF(
                tau=network.dt_us * 1e-6 / a[channel] * one,
                r=one,
                v_leak=0 * one,
                v_threshold=threshold[channel] * one,
                v_reset=0 * one,
            )
            for source, inputs in before:
                kernel = weights[channel : channel + 1, inputs]
                if kernel.any():
                    connect(source, name, np.ascontiguousarray(kernel))
        before = [(name, slice(channel, channel + 1)) for channel, name in enumerate(names)]
    beside = np.eye(len(before), dtype=np.float32)[:, :, None, None]
    # Its importer adds up what comes to a node, but not what comes to an output.
    nodes["channels"] = neutral.conv(beside, size)
    for channel, (source, _) in enumerate(before):
        connect(source, "channels", np.ascontiguousarray(beside[:, channel : channel + 1]))
    nodes["output"] = nir.Output(np.array([len(before), height, width]))
    edges.append(("channels", "output"))
    said = meta.of(network, size, tick=network.dt_us * 1e-6, dialect="spikingjelly")
    return nir.NIRGraph(nodes, edges, metadata=said)


def _decay(network: Network, number: int, framework: str, *, below_one: bool) -> Floats:
    """a, in float64 as the engines' float32 has it. Raises NetworkError where the framework has no such neuron."""
    neurons = network.layers[number].neurons
    a = neurons.decay(network.dt_us).astype(np.float64)
    if below_one and (a >= 1).any():
        raise NetworkError(
            f"layer {number} keeps nothing from tick to tick (dt * tau_mem_inv = 1), which {framework} cannot say; "
            "use a shorter dt"
        )
    if neurons.v_leak.any():
        raise NetworkError(
            f"layer {number} decays to {neurons.v_leak[neurons.v_leak != 0][0]:g}, which {framework} does not follow; "
            "subtract v_leak from all values of the layer"
        )
    return a


def _finite(layer: Layer) -> Floats:
    threshold = layer.neurons.v_th.astype(np.float64)
    if not np.isfinite(threshold).all():
        raise NetworkError("a channel with an infinite v_th never spikes; leave it out")
    return threshold


def _maps(values: Floats, size: tuple[int, int]) -> Floats:
    return np.broadcast_to(values[:, None, None], (values.size, *size[::-1]))


FRAMEWORKS = {
    "norse": Framework(
        "1.1.0",
        "the neutral graph",
        "norse.torch.from_nir(nir.read('net.nir'), dt=dt_us * 1e-6)",
        _norse,
    ),
    "snntorch": Framework(
        "1.0.0",
        "tau in ticks of 1e-4 s, which its importer assumes; r = tau / dt; weights times a / v_th, as it has one "
        "threshold a layer; with r = 1 and several tau it takes the first",
        "snntorch.import_nir.import_from_nir(nir.read('net.nir'))",
        _snntorch,
    ),
    "spikingjelly": Framework(
        "2.0.0",
        "a LIF for each channel and a convolution for each pair, as each node has one tau and threshold",
        "spikingjelly.activation_based.nir_exchange.import_from_nir(nir.read('net.nir'), dt=dt_us * 1e-6)",
        _spikingjelly,
    ),
    "sinabs": Framework(
        "3.1.3",
        "tau in ticks, -1 / ln(1 - a); weights times a; parameters of shape (C, 1, 1); SingleSpike and MembraneReset "
        "set by hand, as its importer sets MultiSpike and MembraneSubtract",
        "sinabs.nir.from_nir(nir.read('net.nir', type_check=False), batch_size=1)",
        _sinabs,
    ),
}
