"""The native engine: one kernel patch per event, no frames (C++ core under `native/`).

What it needs of a network: v_th > v_leak and no bias, so that only pixels touched by an event can
start to spike. Work per event and channel is one scaled kernel patch; the rest of the sensor costs
nothing. The same spikes for any number of threads and any way of cutting the stream.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from velocell.engines import check_stream
from velocell.errors import EngineError, NetworkError
from velocell.network import Network
from velocell.recording import Recording
from velocell.spikes import Spikes

if TYPE_CHECKING:
    from velocell._native import Engine

MAX_SPIKES = 1 << 25
"""Spikes one step may report (800 MB of arrays) unless `init` is told otherwise."""

_INT64 = np.iinfo(np.int64)


@dataclass
class State:
    """Everything a stream needs to go on. `engine` is the C++ object; a step works in place."""

    network: Network
    size: tuple[int, int]
    engine: Engine


def init(network: Network, size: tuple[int, int], *, threads: int | None = None, max_spikes: int = MAX_SPIKES) -> State:
    """Membranes at v_leak, no events seen. `size` is (width, height).

    threads: at most so many; left out, one per core this process may use. max_spikes: a step that
    would report more raises EngineError.
    """
    width, height = size
    network.check_size(width, height)
    if threads is None:
        threads = _cores()
    if threads < 1 or max_spikes < 1:
        raise EngineError(f"threads and max_spikes must be at least 1, got {threads} and {max_spikes}")
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
    engine = _core().Engine(
        width=width,
        height=height,
        dt_us=network.dt_us,
        silence_us=silence_us,
        flips=trail is not None and trail.flips,
        layers=layers,
        threads=threads,
        max_spikes=max_spikes,
    )
    return State(network, (width, height), engine)


def step(network: Network, state: State, events: Recording, until_us: int | None = None) -> tuple[State, Spikes]:
    """Run all ticks that `events` and `until_us` complete (see `velocell.engines`)."""
    check_stream(events, state.size, state.engine.next_us)
    if until_us is not None and not _INT64.min <= until_us <= _INT64.max:
        raise EngineError(f"until_us = {until_us} does not fit into 64 bits; give a time in microseconds")
    p = None if events.p is None else _column(events.p, np.bool_).view(np.uint8)
    columns = state.engine.step(
        _column(events.t_us, np.int64), _column(events.x, np.uint16), _column(events.y, np.uint16), p, until_us
    )
    t_us, x, y, channel, layer = columns
    return state, Spikes(t_us, x, y, channel, layer, len(network.layers))


def copy(state: State) -> State:
    return State(state.network, state.size, state.engine.copy())


def _column(values: NDArray[Any], dtype: type[np.generic]) -> NDArray[Any]:
    return np.ascontiguousarray(values, dtype)


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def _core() -> Any:
    try:
        from velocell import _native
    except ImportError as error:
        raise EngineError(f"the native engine is not built ({error}); build it with pip install .") from None
    return _native
