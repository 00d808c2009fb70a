"""The neutral NIR graph of a Network: input -> (Conv2d -> LIF) a layer -> output, and back.

NIR's LIF (Pedersen et al., Nature Communications 2024) is tau dv/dt = v_leak - v + r I, which forward Euler with the
tick dt and r = 1 turns into the LIFBox of `neurons.py` with a = dt / tau. tau is in seconds and float64; all values are
maps (C, H, W), as a graph has no broadcasting. Kernels are written without groups, which importers mishandle, and with
odd sides, since only these have an integer padding that keeps the size.

A graph has no tick, no bands and no trail filter: they are in its metadata (`meta.py`). Input are the maps that
layer 0 sees in a tick: event counts, behind the trail filter where there is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from velocell.data.arrays import Floats
from velocell.data.bands import Bands
from velocell.errors import NetworkError
from velocell.network.kernels import anchor
from velocell.network.layers import Layer, TrailFilter
from velocell.network.neurons import LIFBox
from velocell.network.nir import meta
from velocell.network.nir.needs import Graph, require_nir
from velocell.network.origin import Origin

if TYPE_CHECKING:
    from velocell.network.network import Network

_NEVER_LEAKS = 2.0**-30  # the decay of an IF: nothing in float32, and weights divided by it are exact


def to_graph(network: Network, size: tuple[int, int]) -> Graph:
    """The neutral graph for a sensor of (width, height).

    It states v_reset, which Norse, snnTorch and Sinabs do not read. Raises NetworkError for a size that does not fit.
    """
    nir = require_nir()
    check_size(network, size)
    width, height = size
    nodes: dict[str, Any] = {"input": nir.Input(np.array([network.layers[0].in_channels, height, width]))}
    for number, layer in enumerate(network.layers):
        weights = odd_kernel(layer.dense_kernel())
        nodes[f"conv_{number}"] = conv(weights, size, made_from(layer))
        nodes[f"lif_{number}"] = _lif(layer.neurons, size)
    nodes["output"] = nir.Output(np.array([network.layers[-1].channels, height, width]))
    names = list(nodes)
    edges = list(pairwise(names))
    return nir.NIRGraph(nodes, edges, metadata=meta.of(network, size, tick=network.dt_us * 1e-6))


def check_size(network: Network, size: tuple[int, int]) -> None:
    if min(size) < 1:
        raise NetworkError(f"a sensor has a width and a height of at least 1 px, got {size[0]}x{size[1]}")
    network.check_size(*size)


def check_resets(network: Network, who: str) -> None:
    """Raise NetworkError where a neuron restarts elsewhere than at 0."""
    for number, layer in enumerate(network.layers):
        odd = layer.neurons.v_reset[layer.neurons.v_reset != 0]
        if odd.size:
            raise NetworkError(
                f"layer {number} resets to {odd[0]:g}, which {who} does not follow; use its portable form, "
                "velocell export --portable"
            )


def odd_kernel(kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """(C_out, C_in, h, w) as a square with an odd side, with zeros around, which moves nothing: NIR infers shapes from
    the height alone."""
    h, w = kernel.shape[2:]
    side = max(h, w) // 2 * 2 + 1
    return np.pad(kernel, [(0, 0), (0, 0), *(_margins(each, side) for each in (h, w))])


def _margins(side: int, full: int) -> tuple[int, int]:
    """Zeros before and after: the pixel that a response belongs to becomes the middle."""
    before = full // 2 - anchor(side)
    return before, full - side - before


def made_from(layer: Layer) -> dict[str, Any]:
    """What a dense kernel with odd sides no longer shows of a layer."""
    return {"groups": layer.groups, "sides": np.array(layer.kernel.shape[2:])}


def conv(weights: NDArray[np.float32], size: tuple[int, int], metadata: dict[str, Any] | None = None) -> Any:
    """A `nir.Conv2d` that keeps the size, without bias: zeros, as importers read one."""
    h, w = weights.shape[2:]
    return require_nir().Conv2d(
        input_shape=size[::-1],
        weight=weights,
        stride=1,
        padding=(h // 2, w // 2),
        dilation=1,
        groups=1,
        bias=np.zeros(weights.shape[0], np.float32),
        metadata=metadata or {},
    )


def _lif(neurons: LIFBox, size: tuple[int, int]) -> Any:
    shape = (neurons.channels, *size[::-1])

    def maps(values: NDArray[Any]) -> NDArray[Any]:
        return np.broadcast_to(values[:, None, None], shape)

    return require_nir().LIF(
        tau=maps(1 / neurons.tau_mem_inv),
        r=maps(np.ones(neurons.channels, np.float32)),
        v_leak=maps(neurons.v_leak),
        v_threshold=maps(neurons.v_th),
        v_reset=maps(neurons.v_reset),
        # 1 / tau, which two roundings need not give back.
        metadata={"tau_mem_inv": neurons.tau_mem_inv},
    )


@dataclass(frozen=True)
class Parts:
    """What a Network is made from; its fields are the Network's."""

    dt_us: int
    layers: tuple[Layer, ...]
    trail_filter: TrailFilter | None
    bands: Bands | None
    radius_px: float | None
    origin: Origin


def from_graph(graph: Graph, *, dt_us: int | None = None) -> Parts:
    """The Network of a graph of Conv2d and LIF or IF in a row. dt_us: its tick, where the metadata does not state it.

    Raises NetworkError for what our engines do not run, by the node's name.
    """
    nir = require_nir()
    said = meta.read(graph.metadata)
    dt = said.dt_us if dt_us is None else dt_us
    if dt is None:
        raise NetworkError("the graph does not state its tick; give it with --dt, such as --dt 1ms")
    chain = _chain(graph)
    layers = []
    for conv_name, cell_name in zip(chain[::2], chain[1::2], strict=True):
        kernel, cell = _Kernel.of(conv_name, graph.nodes[conv_name]), graph.nodes[cell_name]
        channels = kernel.weights.shape[0]
        neurons, gain = (_if_neurons if isinstance(cell, nir.IF) else _lif_neurons)(cell_name, cell, channels, dt)
        with np.errstate(over="ignore"):
            weights = (kernel.weights * gain[:, None, None, None]).astype(np.float32)
        layers.append(kernel.layer(weights, neurons))
    return Parts(dt, tuple(layers), said.trail_filter, said.bands, said.radius_px, said.origin)


def _chain(graph: Graph) -> list[str]:
    """Names of Conv2d and LIF or IF in turns, from the input to the output. Raises NetworkError."""
    nir = require_nir()
    known = (nir.Input, nir.Output, nir.Conv2d, nir.LIF, nir.IF)
    for name, node in graph.nodes.items():
        if not isinstance(node, known):
            raise NetworkError(
                f"node '{name}' is a {type(node).__name__}; only graphs of Conv2d with LIF or IF can be run: "
                "leave it out, or fold it into a convolution"
            )
    after: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for source, target in graph.edges:
        for name in (source, target):
            if name not in after:
                raise NetworkError(f"an edge names the node '{name}', which the graph does not have")
        after[source].append(target)
    begins = [name for name, node in graph.nodes.items() if isinstance(node, nir.Input)]
    if len(begins) != 1:
        raise NetworkError(f"the graph has {len(begins)} inputs; a network has one")
    chain: list[str] = []
    wanted = "a Conv2d"
    name = begins[0]
    for _ in range(len(after)):
        if len(after[name]) != 1:
            raise NetworkError(
                f"node '{name}' leads to {len(after[name])} others; layers must follow one another in a row"
            )
        name = after[name][0]
        node = graph.nodes[name]
        if isinstance(node, nir.Output) and wanted == "a Conv2d" and chain:
            break
        if isinstance(node, nir.Conv2d) != (wanted == "a Conv2d") or isinstance(node, nir.Output | nir.Input):
            raise NetworkError(f"node '{name}' is a {type(node).__name__} where {wanted} is needed")
        chain.append(name)
        wanted = "a LIF or IF" if isinstance(node, nir.Conv2d) else "a Conv2d"
    left = set(after) - {*chain, begins[0], name}
    if left or not isinstance(graph.nodes[name], nir.Output):
        odd = sorted(left or {name})[0]
        raise NetworkError(
            f"node '{odd}' does not lie between input and output; layers must follow one another in a row"
        )
    return chain


@dataclass(frozen=True)
class _Kernel:
    """A Conv2d node as it can become a layer: weights (C_out, C_in / groups, h, w), and what made_from kept of it."""

    name: str
    weights: NDArray[np.float32]
    groups: int
    kept_groups: int
    kept_sides: tuple[int, ...]

    @staticmethod
    def of(name: str, node: Any) -> _Kernel:
        weights = np.asarray(node.weight)
        if weights.ndim != 4 or weights.size == 0 or not np.issubdtype(weights.dtype, np.number):
            raise NetworkError(f"node '{name}' has weights of shape {weights.shape}; a Conv2d has (C_out, C_in, h, w)")
        for what in ("stride", "dilation"):
            if np.any(np.asarray(getattr(node, what)) != 1):
                raise NetworkError(f"node '{name}' has a {what} of {_plain(getattr(node, what))}; only 1 can be run")
        sides = np.array(weights.shape[2:])
        fits = (
            node.padding == "same"
            if isinstance(node.padding, str)
            else np.all(np.asarray(node.padding) * 2 + 1 == sides)
        )
        if not fits:
            raise NetworkError(
                f"node '{name}' has a padding of {_plain(node.padding)} around a kernel of {sides[1]}x{sides[0]}; maps "
                "must keep their size: pad half of an odd kernel"
            )
        if node.bias is not None and np.any(np.asarray(node.bias) != 0):
            raise NetworkError(f"node '{name}' has a bias, an input without events, which no engine runs; remove it")
        kept = node.metadata if isinstance(node.metadata, dict) else {}
        groups = _whole(kept.get("groups"), 1)
        kept_sides = tuple(int(v) for v in np.ravel(kept.get("sides", sides)) if np.ndim(v) == 0)
        return _Kernel(name, weights.astype(np.float32), int(np.ravel(node.groups)[0]), groups, kept_sides)

    def layer(self, weights: NDArray[np.float32], neurons: LIFBox) -> Layer:
        """With the groups and the sides that it was made from, where the weights still allow them."""
        layer = Layer.from_arrays(weights, neurons, self.groups)
        h, w = weights.shape[2:]
        sides = self.kept_sides
        if len(sides) == 2 and h == w and min(sides) >= 1 and max(sides) in (h, h - 1):
            top, left = (_margins(side, h)[0] for side in sides)
            cut = weights[:, :, top : top + sides[0], left : left + sides[1]]
            if np.count_nonzero(cut) == np.count_nonzero(weights):
                weights = cut
        inputs, outputs = layer.in_channels, layer.channels
        if self.groups == 1 and self.kept_groups > 1 and inputs % self.kept_groups == 0 == outputs % self.kept_groups:
            per_in, per_out = inputs // self.kept_groups, outputs // self.kept_groups
            first = np.arange(outputs) // per_out * per_in
            grouped = np.stack([weights[out, begin : begin + per_in] for out, begin in enumerate(first)])
            small = Layer.from_arrays(grouped, neurons, self.kept_groups)
            if np.array_equal(small.dense_kernel(), weights):
                return small
        return Layer.from_arrays(weights, neurons, self.groups)


def _lif_neurons(name: str, node: Any, channels: int, dt_us: int) -> tuple[LIFBox, Floats]:
    """Neurons, and by what each channel's weights are to be multiplied."""
    values = {
        what: _per_channel(name, node, what, channels) for what in ("tau", "r", "v_leak", "v_threshold", "v_reset")
    }
    if not (values["tau"] > 0).all():
        raise NetworkError(f"node '{name}' has a time constant of {values['tau'].min():g} s; it must be above 0")
    rates = 1 / values["tau"]
    kept = node.metadata.get("tau_mem_inv") if isinstance(node.metadata, dict) else None
    if isinstance(kept, np.ndarray) and kept.shape == rates.shape and np.array_equal(1 / kept, values["tau"]):
        rates = kept
    try:
        neurons = LIFBox(rates, values["v_threshold"], values["v_leak"], values["v_reset"])
        neurons.decay(dt_us)
    except NetworkError as error:
        raise NetworkError(f"node '{name}': {error}") from None
    return neurons, values["r"]


def _if_neurons(name: str, node: Any, channels: int, dt_us: int) -> tuple[LIFBox, Floats]:
    """An IF adds its weighted input to v: r = 1 with some programs, r = 1 / dt with those that follow NIR's
    dv/dt = r I. As a LIF it leaks less than float32 can tell."""
    r = _per_channel(name, node, "r", channels)
    dt_s = dt_us * 1e-6
    if not (np.allclose(r, 1) or np.allclose(r * dt_s, 1)):
        raise NetworkError(f"node '{name}' has r = {r[0]:g}; an IF can be run with r = 1 or r = 1 / dt = {1 / dt_s:g}")
    threshold, reset = (_per_channel(name, node, what, channels) for what in ("v_threshold", "v_reset"))
    try:
        neurons = LIFBox(_NEVER_LEAKS / dt_s, threshold, 0.0, reset)
    except NetworkError as error:
        raise NetworkError(f"node '{name}': {error}") from None
    return neurons, np.full(channels, 1 / _NEVER_LEAKS)


def _per_channel(name: str, node: Any, what: str, channels: int) -> Floats:
    """A parameter (C,) of a node that has it as one number, per channel, or the same all over a channel's map."""
    values = np.asarray(getattr(node, what))
    if not np.issubdtype(values.dtype, np.number) or np.iscomplexobj(values):
        raise NetworkError(f"node '{name}' has a {what} that is not a number")
    if values.size == 1:
        return np.full(channels, float(values.ravel()[0]))
    if values.shape[0] != channels:
        raise NetworkError(f"node '{name}' has a {what} of shape {values.shape} behind {channels} channels")
    flat = values.reshape(channels, -1)
    if (flat != flat[:, :1]).any():
        raise NetworkError(f"node '{name}' has another {what} in every place; our neurons have one value a channel")
    return flat[:, 0].astype(np.float64)


def _whole(value: Any, otherwise: int) -> int:
    return int(value) if isinstance(value, int | np.integer) and value > 0 else otherwise


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else np.asarray(value).tolist()
