"""Whether two engines agree, by the rules of the contract.

The reference is the definition. Where arithmetic is exact, spikes must be the same. Elsewhere
rounding may tip a neuron that ends a tick within `TOLERANCE` of its threshold, and from then on it
goes its own way, and so may those behind it: so only a neuron's first difference is judged, and
only where nothing it could have seen differed before.
"""

from __future__ import annotations

from dataclasses import dataclass
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from velocell import engines
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.engines import reference
from velocell.network import Layer, Network

# How near to the threshold a neuron may be told differently, relative to the largest of v_th and the
# voltages of its channel. Rounding errors of one tick are about 1e-7; they add up over a memory.
TOLERANCE = {"norse": 2e-5, "native": 1e-4}


@dataclass(frozen=True)
class Agreement:
    """How many neurons spiked in either engine, and how many of them differ."""

    active: int
    differing: int

    def __str__(self) -> str:
        return f"{self.differing} of {self.active} active neurons differ ({self.differing / max(self.active, 1):.2%})"


def assert_same(network: Network, recording: Recording, engine: str) -> Spikes:
    """Every spike as in the reference, for networks whose arithmetic is exact."""
    expected = engines.run(network, recording, engine="reference")
    found = engines.run(network, recording, engine=engine)
    _check_form(found)
    assert found.same_as(expected), f"{engine} has {len(found)} spikes where the reference has {len(expected)}"
    return expected


def assert_agree(network: Network, recording: Recording, engine: str) -> Agreement:
    """First differences only where the reference's |v - v_th| is below the tolerance; prints their share."""
    found = engines.run(network, recording, engine=engine)
    _check_form(found)
    margins = _margins(network, recording)
    expected = _dense(network, recording, engines.run(network, recording, engine="reference"))
    given = _dense(network, recording, found)
    differing, seen = 0, None
    for number, (layer, margin) in enumerate(zip(network.layers, margins, strict=True)):
        differs = expected[number] != given[number]
        places = np.argwhere(differs.any(axis=0))
        differing += len(places)
        for place in places:
            tick = int(np.argmax(differs[(slice(None), *place)]))
            near = margin[(tick, *place)] <= TOLERANCE[engine]
            assert near or _excused(seen, layer, tick, place), (
                f"{engine} tells neuron (channel, y, x) = {tuple(place.tolist())} of layer {number} differently "
                f"in tick {tick}, where the reference is {margin[(tick, *place)]:.2g} of its scale from the threshold"
            )
        seen = differs
    active = sum(int((a | b).any(axis=0).sum()) for a, b in zip(expected, given, strict=True))
    result = Agreement(active, differing)
    print(f"{engine}: {result}")
    return result


def _excused(seen: NDArray[np.bool_] | None, layer: Layer, tick: int, place: NDArray[np.intp]) -> bool:
    """Whether anything differed before within the kernel's reach of this neuron."""
    if seen is None:
        return False
    h, w = layer.kernel.shape[2:]
    _, y, x = place
    return bool(seen[: tick + 1, :, max(y - h, 0) : y + h + 1, max(x - w, 0) : x + w + 1].any())


def _check_form(spikes: Spikes) -> None:
    """In canonical order, none twice."""
    assert spikes.sorted().same_as(spikes), "spikes are not in canonical order"
    rows = np.stack([spikes.t_us, spikes.layer, spikes.channel, spikes.y, spikes.x])
    assert not (np.diff(rows, axis=1) == 0).all(axis=0).any(), "a spike is told twice"


def _span(network: Network, recording: Recording) -> tuple[int, int]:
    return recording.start_us // network.dt_us, -(-recording.stop_us // network.dt_us)


def _dense(network: Network, recording: Recording, spikes: Spikes) -> list[NDArray[np.bool_]]:
    """Spikes of each layer as (T, C, H, W)."""
    first, stop = _span(network, recording)
    found = []
    for number, layer in enumerate(network.layers):
        part = spikes.of_layer(number)
        fired = np.zeros((stop - first, layer.channels, recording.height, recording.width), bool)
        fired[part.t_us // network.dt_us - first, part.channel, part.y, part.x] = True
        found.append(fired)
    assert sum(int(fired.sum()) for fired in found) == len(spikes), "spikes of layers that do not exist"
    return found


def _margins(network: Network, recording: Recording) -> list[NDArray[np.float32]]:
    """|v - v_th| before the reset, of each layer, (T, C, H, W), relative to the scale of its channel."""
    voltages: list[list[NDArray[np.float32]]] = [[] for _ in network.layers]
    numbers = {id(layer): number for number, layer in enumerate(network.layers)}
    update = reference._update

    def watched(layer: Layer, dt_us: int, v: NDArray[np.float32], current: NDArray[np.float32]) -> NDArray[np.bool_]:
        a, leak = (values[:, None, None] for values in (layer.neurons.decay(dt_us), layer.neurons.v_leak))
        voltages[numbers[id(layer)]].append(v + a * (leak - v + current))
        return update(layer, dt_us, v, current)

    first, stop = _span(network, recording)
    state = reference.init(network, recording.size)
    state.stream.next_tick = first
    dt = network.dt_us
    with patch.object(reference, "_update", watched):
        for tick in range(first, stop):
            state, _ = reference.step(network, state, recording.between(tick * dt, (tick + 1) * dt), (tick + 1) * dt)
    margins = []
    for layer, trace in zip(network.layers, voltages, strict=True):
        v, v_th = np.array(trace), layer.neurons.v_th
        assert len(v) == stop - first
        scale = np.maximum(np.abs(v).max(axis=(0, 2, 3)), np.abs(v_th))
        margins.append(np.abs(v - v_th[:, None, None]) / scale[:, None, None])
    return margins
