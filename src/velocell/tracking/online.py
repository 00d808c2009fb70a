"""Engine and detector side by side, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from velocell import engines
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.network import Network
from velocell.network.template import Template
from velocell.tracking.detector import Detector, as_networks

T = TypeVar("T")
EVERY_US = 5_000
BLOCK_US = 100_000  # events are handed on in blocks of this length, so that memory stays bounded


def follow(
    network: Network | Sequence[Network],
    recording: Recording,
    *,
    every_us: int = EVERY_US,
    template: Template | None = None,
    engine: str = "native",
    on_block: Callable[[Recording], object] | None = None,
) -> Iterator[tuple[dict[str, Any], Spikes]]:
    """Run network and detector side by side; yields rows (columns by name) and spikes, block by block."""
    detector = Detector(network, recording.size, every_us, template)
    # Both leave Python's lock: the engine works on the next block while the detector looks at this one.
    for block, spikes in _one_ahead(respond(network, recording, engine)):
        # The instant at which the recording stops is no part of it and gets no row.
        at_end = block.stop_us == recording.stop_us
        found = detector.step(block, spikes, block.stop_us - at_end)
        if on_block is not None:
            on_block(block)
        yield found, spikes


def respond(
    network: Network | Sequence[Network], recording: Recording, engine: str = "native"
) -> Iterator[tuple[Recording, Spikes]]:
    """The recording block by block, each with the spikes of all layers (and of all networks)."""
    chosen, networks = engines.load(engine), as_networks(network)
    states = [chosen.init(item, recording.size) for item in networks]
    for block in recording.chunks(BLOCK_US):
        answers = []
        for i, item in enumerate(networks):
            until_us = block.stop_us
            if until_us == recording.stop_us:  # the last tick is run although it may be cut short
                until_us = -(-until_us // item.dt_us) * item.dt_us
            states[i], spikes = chosen.step(item, states[i], block, until_us)
            answers.append(spikes if item.radius_px is None else spikes.for_radius(item.radius_px))
        yield block, spikes if len(networks) == 1 else Spikes.concatenate(answers)


def _one_ahead(items: Iterator[T]) -> Iterator[T]:
    """The items, each made in a thread while the one before is in use."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item
