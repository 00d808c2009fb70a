"""Engines: ways of running a Network. Each is a module with

    init(network, size, *, threads=None) -> state
    step(network, state, events, until_us=None, *, final_only=False) -> (state, spikes)
    copy(state) -> state

and, where it saves the first steps time, prepare(state), which sets aside what they would.
`size` is (width, height). threads: at most so many, of an engine that has threads of its own. A step takes events that
follow those of the step before and runs every tick that is complete: all ticks that end at or before `until_us`, a
promise that no earlier event will come (left out: the last event's time). Events of an unfinished tick wait in the
state, so a stream may be cut anywhere and gives the same spikes. A step may consume its state; `copy` makes a value of
it. With `final_only` the spikes of the last layer alone are given, which are far fewer.
"""

from __future__ import annotations

import importlib
import os
from typing import Any, Protocol, cast

from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.errors import EngineError, RecordingError
from velocell.network import Network


class Engine(Protocol):
    """What every engine module offers."""

    def init(self, network: Network, size: tuple[int, int], *, threads: int | None = None) -> Any: ...
    def step(
        self,
        network: Network,
        state: Any,
        events: Recording,
        until_us: int | None = None,
        *,
        final_only: bool = False,
    ) -> tuple[Any, Spikes]: ...
    def copy(self, state: Any) -> Any: ...


ENGINES = ("native", "reference", "norse")

THREADS = "VELOCELL_THREADS"  # of the environment


def threads() -> int:
    """How many threads may work at once: what the environment's VELOCELL_THREADS says, otherwise one per core that this
    process may use. Raises EngineError."""
    if (text := os.environ.get(THREADS)) is not None:
        if not text.isdecimal() or not 1 <= int(text) <= 1 << 31:
            raise EngineError(f"{THREADS}='{text}' must be a number of threads, such as 1")
        return int(text)
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def load(name: str) -> Engine:
    """The engine of that name. Raises EngineError for an unknown one or where it is not installed."""
    if name not in ENGINES:
        raise EngineError(f"engine '{name}' is unknown; use one of {', '.join(ENGINES)}")
    module: Any = importlib.import_module(f"velocell.engines.{name}")
    return cast(Engine, module)


def run(network: Network, recording: Recording, *, engine: str = "native") -> Spikes:
    """All spikes of all layers, in canonical order; every tick of the recording's span is run."""
    chosen = load(engine)
    end_us = -(-recording.stop_us // network.dt_us) * network.dt_us
    _, spikes = chosen.step(network, chosen.init(network, recording.size), recording, end_us)
    return spikes


def check_stream(events: Recording, size: tuple[int, int], not_before_us: int) -> None:
    """Raise RecordingError where a chunk has another sensor size or starts before time already run."""
    if events.size != size:
        raise RecordingError(f"events of a {events.width}x{events.height} sensor follow those of {size[0]}x{size[1]}")
    if len(events) and events.t_us[0] < not_before_us:
        raise RecordingError(
            f"events start at {events.t_us[0]} us but the network has already run to {not_before_us} us; "
            "chunks must follow in time"
        )
