"""The native engine: one kernel patch per event, no frames (C++ core under `native/`).

What it needs of a network: v_th > v_leak and no bias, so that only pixels touched by an event can
start to spike. Work follows the events; the rest of the sensor costs nothing. The same spikes for
any number of threads and any way of cutting the stream.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from velocell import engines
from velocell.data.checks import column
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.engines import check_stream
from velocell.errors import EngineError, NetworkError
from velocell.network import Network

MAX_SPIKES = 1 << 25
"""Spikes one step may report (800 MB of arrays) unless `init` sets another limit."""

_INT64 = np.iinfo(np.int64)


@dataclass
class State:
    """Everything a stream needs to go on. `engine` is the C++ object, which a step changes in place;
    `network` is the one that it runs, None after `load` until the first step."""

    network: Network | None
    size: tuple[int, int]
    engine: Any


def init(network: Network, size: tuple[int, int], *, threads: int | None = None, max_spikes: int = MAX_SPIKES) -> State:
    """Membranes at v_leak, no events seen. `size` is (width, height).

    threads: at most so many; left out, what the environment's VELOCELL_THREADS says, otherwise one per core this
    process may use. max_spikes: a step that
    would report more raises EngineError.
    """
    network.check_size(*size)
    description = _description(network, size)
    with _memory(network, size):
        engine = _core().Engine(description, threads=_threads(threads), max_spikes=_whole(max_spikes, "max_spikes"))
    return State(network, size, engine)


def step(
    network: Network, state: State, events: Recording, until_us: int | None = None, *, final_only: bool = False
) -> tuple[State, Spikes]:
    """Run all ticks that `events` and `until_us` complete (see `velocell.engines`).

    A step that raises EngineError or is interrupted by Ctrl-C has ended within a tick: the state is
    spent then, and a copy made before must serve.
    """
    if network is not state.network:
        if not state.engine.runs(_description(network, state.size)):
            raise EngineError("this state belongs to another network; start with init")
        state.network = network
    check_stream(events, state.size, state.engine.next_us)
    if until_us is not None and not _INT64.min <= until_us <= _INT64.max:
        raise EngineError(f"until_us = {until_us} does not fit into 64 bits; give a time in microseconds")
    # A block without events, as a quiet stream gives it, says nothing of polarity.
    signs = np.zeros(0, np.bool_) if events.p is None and not len(events) else events.p
    p = None if signs is None else column(signs, np.bool_).view(np.uint8)
    with _memory(network, state.size, len(events)):
        t_us, x, y, channel, layer = state.engine.step(
            column(events.t_us, np.int64),
            column(events.x, np.uint16),
            column(events.y, np.uint16),
            p,
            until_us,
            final_only,
        )
    return state, Spikes(t_us, x, y, channel, layer, len(network.layers))


def prepare(state: State) -> None:
    """Set the memory of the whole state aside, which else is done where events come: a step then waits for that."""
    with _memory(state.network, state.size):
        state.engine.allocate()


def copy(state: State) -> State:
    with _memory(state.network, state.size):
        return State(state.network, state.size, state.engine.copy())


def save(state: State) -> bytes:
    """The state as bytes, for `load` on a machine of the same kind."""
    data: bytes = state.engine.save()
    return data


def load(data: bytes, *, threads: int | None = None, max_spikes: int = MAX_SPIKES) -> State:
    """The state that `save` wrote. Raises EngineError where `data` is something else or damaged."""
    with _memory(None, None):
        engine = _core().Engine.load(data, threads=_threads(threads), max_spikes=_whole(max_spikes, "max_spikes"))
    return State(None, engine.size, engine)


def _description(network: Network, size: tuple[int, int]) -> Any:
    trail = network.trail_filter
    silence_us = [] if trail is None else list(trail.silence_us)
    if max(network.dt_us, *silence_us, 0) > _INT64.max:
        raise NetworkError("dt and the trail filter's times must fit into 64 bits; use shorter ones")
    layers = [
        (
            layer.kernel,
            layer.groups,
            layer.neurons.decay(network.dt_us),
            layer.neurons.v_th,
            layer.neurons.v_leak,
            layer.neurons.v_reset,
        )
        for layer in network.layers
    ]
    width, height = size
    return _core().Network(
        width=width,
        height=height,
        dt_us=network.dt_us,
        silence_us=silence_us,
        flips=trail is not None and trail.flips,
        layers=layers,
    )


def _threads(threads: int | None) -> int:
    return engines.threads() if threads is None else _whole(threads, "threads")


def _whole(value: int, name: str) -> int:
    if not 1 <= value <= 1 << 31:
        raise EngineError(f"{name} must be at least 1, got {value}")
    return value


_TILE_PX, _NEURON_BYTES = (256, 128), 4.5
"""A sensor is held in tiles of this size; bytes of a neuron, with the room beside it (`native/engine/patch.hpp`)."""
_PIXEL_BYTES, _EVENT_BYTES, _SPIKE_BYTES = 8, 40, 60
"""Of a pixel's last event; of an event and a spike while a step runs: staged, listed by tile, sorted, reported."""


def needed_bytes(network: Network, size: tuple[int, int], events: int = 0) -> int:
    """About how much a step needs: all membranes, the trail filter, and `events` events with as many spikes."""
    width, height = (-(-side // tile) * tile for side, tile in zip(size, _TILE_PX, strict=True))
    neurons = width * height * sum(layer.channels for layer in network.layers)
    pixels = size[0] * size[1] if network.trail_filter is not None else 0
    return int(neurons * _NEURON_BYTES) + pixels * _PIXEL_BYTES + events * (_EVENT_BYTES + _SPIKE_BYTES)


class _memory:
    """Turns the core's MemoryError into an EngineError that says how much was needed, and with a remedy."""

    def __init__(self, network: Network | None, size: tuple[int, int] | None, events: int = 0) -> None:
        self._network, self._size, self._events = network, size, events

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or not issubclass(kind, MemoryError):
            return
        about, remedy = "", "feed shorter chunks"
        if self._network is not None and self._size is not None:
            n_bytes = needed_bytes(self._network, self._size, self._events)
            width, height = self._size
            about = f": {self._events} events on {width}x{height} px need about {max(n_bytes / 1e6, 1):.0f} MB"
            remedy += ", or take a smaller region"
        raise EngineError(f"there is not enough memory for this step{about}; {remedy}") from None


def _core() -> Any:
    try:
        from velocell import _native
    except ImportError as error:
        raise EngineError(f"the native engine is not built ({error}); build it with pip install .") from None
    return _native
