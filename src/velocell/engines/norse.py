"""The Norse engine: a `torch.nn.Module` of Conv2d and Norse's own LIFBoxCell, frame by frame.

What it needs: torch and Norse (the extra `norse`), and time: every neuron is updated in every tick.
What it gives: gradients, by Norse's surrogate for the spike, and in `SpikingNetwork` any device of
torch. (A GPU's convolutions may be rounded to TF32 by torch's settings; the engine runs on the CPU.)
Memory: `forward` holds its input, its result and, without gradients, some ticks in between.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from velocell.data.extras import install_line
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.engines import stream
from velocell.errors import EngineError, NetworkError
from velocell.network import Layer, Network
from velocell.network.kernels import anchor

try:
    import torch

    with warnings.catch_warnings():
        # Norse still compiles parts that are not used here with torch.jit.script, which warns.
        warnings.simplefilter("ignore", DeprecationWarning)
        from norse.torch.functional.lif_box import (
            LIFBoxFeedForwardState,
            LIFBoxParameters,
        )
        from norse.torch.module.lif_box import LIFBoxCell
except (ImportError, OSError, RuntimeError) as error:  # torch and torchvision of different builds raise the latter two
    raise EngineError(
        f"the norse engine needs torch and Norse ({error}); install them with: {install_line('norse')}"
    ) from None

Membranes = list[LIFBoxFeedForwardState | None]

# Without oneDNN (switched off, or other numbers than float32) torch's convolution first writes out each pixel's window:
# 5 GB for a tick of 21x21x3 weights on 1280x720. So it gets parts whose windows take no more than this, and layers no
# more ticks at a time than their currents do.
_BYTES_AT_ONCE = 1 << 27

copy = deepcopy


class SpikingNetwork(torch.nn.Module):
    """A Network as a torch module: one Conv2d and one LIFBoxCell per layer.

    The kernels are parameters; the neurons' values are buffers of shape (C, 1, 1) under their Norse
    names, tau_mem_inv in 1/s. Everything follows `.to(device)`. The trail filter is not part of it:
    where the network has one, `forward` expects frames that have passed it
    (`velocell.engines.stream.input_maps`).
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(SpikingLayer(layer, network.dt_us) for layer in network.layers)
        self.in_channels = network.layers[0].in_channels

    def forward(self, frames: torch.Tensor, *, every_layer: bool = False) -> tuple[torch.Tensor, ...]:
        """Event counts (T, H, W), or (T, C_in, H, W), dense or sparse -> the response of every final
        channel, each (T, H, W): 1 where it spiked. `every_layer` gives each layer's responses
        instead, (T, C, H, W). Membranes start at v_leak.
        """
        maps = self._maps(frames)
        layers = self._layers()
        states: Membranes = [None] * len(layers)
        found: list[list[torch.Tensor]] = [[] for _ in layers]
        at_once = max(1, _BYTES_AT_ONCE // (maps[0, 0].nbytes * max(layer.conv.out_channels for layer in layers)))
        for first in range(0, len(maps), at_once):
            some = maps[first : first + at_once]
            for number, layer in enumerate(layers):
                # Nothing feeds back, so each layer may run through some ticks before the next one starts.
                responses: list[torch.Tensor] = []
                for current in layer.current(some):
                    fired, states[number] = layer(current, states[number])
                    responses.append(fired)
                some = torch.stack(responses)
                if every_layer or layer is layers[-1]:
                    found[number].append(some)
        return tuple(map(torch.cat, found)) if every_layer else torch.cat(found[-1]).unbind(dim=1)

    def tick(self, maps: torch.Tensor, states: Membranes) -> tuple[list[torch.Tensor], Membranes]:
        """One tick: event counts (C_in, H, W) and the membranes of every layer (None at the start)
        -> the spikes of every layer, each (C, H, W), and the membranes after it."""
        spikes: list[torch.Tensor] = []
        after: Membranes = []
        for layer, state in zip(self._layers(), states, strict=True):
            maps, state = layer(layer.current(maps), state)
            spikes.append(maps)
            after.append(state)
        return spikes, after

    def _layers(self) -> list[SpikingLayer]:
        return cast("list[SpikingLayer]", list(self.layers))

    def _maps(self, frames: torch.Tensor) -> torch.Tensor:
        dense = frames.to_dense() if frames.layout != torch.strided else frames
        if dense.ndim == 3:
            dense = dense.unsqueeze(1)
        if dense.ndim != 4 or dense.shape[1] != self.in_channels:
            allowed = " or (T, H, W)" if self.in_channels == 1 else ""
            raise NetworkError(
                f"frames must have shape (T, {self.in_channels}, H, W){allowed}, got {tuple(frames.shape)}; "
                "a network with a trail filter sees velocell.engines.stream.input_maps"
            )
        if not len(dense):
            raise NetworkError("there are no frames; pass at least one")
        return dense.to(next(self.parameters()))


class SpikingLayer(torch.nn.Module):
    """Conv2d (padding `same`, no bias), then Norse's LIFBoxCell with one set of values per channel."""

    tau_mem_inv: torch.Tensor
    v_th: torch.Tensor
    v_leak: torch.Tensor
    v_reset: torch.Tensor

    def __init__(self, layer: Layer, dt_us: int) -> None:
        super().__init__()
        h, w = layer.kernel.shape[2:]
        # By hand, since torch warns of padding `same` with even sides, and so that parts of a picture can be convolved.
        self.pad = torch.nn.ZeroPad2d((anchor(w), w - 1 - anchor(w), anchor(h), h - 1 - anchor(h)))
        self.conv = torch.nn.Conv2d(layer.in_channels, layer.channels, (h, w), groups=layer.groups, bias=False)
        self.conv.weight.data = torch.from_numpy(layer.kernel.copy())
        self.cell = LIFBoxCell(dt=dt_us * 1e-6)
        neurons = layer.neurons
        self.register_buffer("tau_mem_inv", _column(_rates(neurons.decay(dt_us), dt_us)))
        for name in ("v_th", "v_leak", "v_reset"):
            self.register_buffer(name, _column(getattr(neurons, name)))

    def current(self, maps: torch.Tensor) -> torch.Tensor:
        """Input (C_in, H, W) of one tick, or (T, C_in, H, W) of many -> what drives the neurons, with C channels."""
        many = maps if maps.ndim == 4 else maps.unsqueeze(0)
        ticks, rows = self._at_once(many)
        driven = torch.cat([self._in_rows(many[k : k + ticks], rows) for k in range(0, len(many), ticks)])
        return driven if maps.ndim == 4 else driven[0]

    def _in_rows(self, maps: torch.Tensor, rows: int) -> torch.Tensor:
        """Convolved so many rows at a time, with those around them that their windows reach."""
        padded, reach = self.pad(maps), self.conv.kernel_size[0] - 1
        parts = [self.conv(padded[:, :, y : y + rows + reach]) for y in range(0, maps.shape[2], rows)]
        return torch.cat(parts, dim=2)

    def _at_once(self, maps: torch.Tensor) -> tuple[int, int]:
        """How many ticks, and rows of each, are convolved together."""
        ticks, _, height, width = maps.shape
        one_dnn = torch.backends.mkldnn.enabled and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        if maps.device.type != "cpu" or (one_dnn and maps.dtype == torch.float32):
            return ticks, height
        fit = _BYTES_AT_ONCE // (self.conv.weight[0].nbytes * width)
        return max(1, fit // height), min(height, max(1, fit))

    def forward(
        self, current: torch.Tensor, state: LIFBoxFeedForwardState | None
    ) -> tuple[torch.Tensor, LIFBoxFeedForwardState]:
        """Current (C, H, W) of one tick and the membranes -> spikes (C, H, W) and the membranes after them."""
        # Norse keeps its parameters outside of torch's book-keeping, so they would not follow to another device.
        self.cell.p = LIFBoxParameters(
            tau_mem_inv=self.tau_mem_inv, v_th=self.v_th, v_leak=self.v_leak, v_reset=self.v_reset
        )
        spikes, after = self.cell(current, state)
        return spikes, after


def _rates(decay: NDArray[np.float32], dt_us: int) -> NDArray[np.float32]:
    """1/tau in 1/s such that Norse's float32 product dt * tau_mem_inv comes out as `decay`, or next to it."""
    dt = np.float32(dt_us * 1e-6)
    nearest = decay / dt
    candidates = np.stack([np.nextafter(nearest, np.float32(0)), nearest, np.nextafter(nearest, np.float32(np.inf))])
    best = np.argmin(np.abs(candidates * dt - decay), axis=0)
    rates: NDArray[np.float32] = candidates[best, np.arange(decay.size)]
    return rates


def _column(values: NDArray[np.float32]) -> torch.Tensor:
    return torch.from_numpy(values.copy())[:, None, None]


@dataclass
class State:
    """The module, the membranes of its layers (None before the first tick), where the stream stands."""

    module: SpikingNetwork
    membranes: Membranes
    stream: stream.Stream


def init(network: Network, size: tuple[int, int], *, threads: int | None = None) -> State:
    """Membranes at v_leak, no events seen. `size` is (width, height)."""
    begun = stream.start(network, size)
    return State(SpikingNetwork(network), [None] * len(network.layers), begun)


def step(
    network: Network, state: State, events: Recording, until_us: int | None = None, *, final_only: bool = False
) -> tuple[State, Spikes]:
    """Run all ticks that `events` and `until_us` complete (see `velocell.engines`)."""
    found: list[Spikes] = []
    with torch.no_grad():
        for idle, tick, maps in stream.ticks(network, state.stream, events, until_us):
            _idle(network, state, idle)
            if maps is not None:
                spikes, state.membranes = state.module.tick(torch.from_numpy(maps), state.membranes)
                found.extend(_collect(spikes, tick * network.dt_us))
    whole = Spikes.concatenate(found, len(network.layers))
    return state, whole.final() if final_only else whole


def _idle(network: Network, state: State, ticks: int) -> None:
    """Ticks without events, until nothing changes any more. Without events nothing can spike."""
    width, height = state.stream.size
    quiet = torch.zeros(network.layers[0].in_channels, height, width)
    for _ in range(ticks):
        before = state.membranes
        if before[0] is None:
            return
        _, state.membranes = state.module.tick(quiet, before)
        if all(
            old is not None and new is not None and torch.equal(old.v, new.v)
            for old, new in zip(before, state.membranes, strict=True)
        ):
            return


def _collect(layers: Sequence[torch.Tensor], t_us: int) -> list[Spikes]:
    """Responses (C, H, W) of one tick as tables."""
    found = []
    for number, fired in enumerate(layers):
        channel, y, x = fired.nonzero().numpy().astype(np.int32).T
        if channel.size:
            found.append(Spikes(np.full(channel.size, t_us), x, y, channel, np.full(channel.size, number, np.int32)))
    return found
