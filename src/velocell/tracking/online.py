"""Network, engine and detector on one stream: the loop that files, streams and the page share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from velocell import engines
from velocell.data.blocks import steps
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.data.stamps import Spread
from velocell.network import Network
from velocell.network.template import Template
from velocell.tracking.detector import Crowding, Detector, as_networks
from velocell.tracking.rules import DEFAULTS, Rules

T = TypeVar("T")

EVERY_US = 5_000
BLOCK_US = 100_000  # events are handed on in steps of this length, so that memory stays bounded
FEWEST_EVENTS = 1 << 13  # in a step; where little happens it is longer, since each costs the same


class Online:
    """One network, or several for several radii, and a detector, fed with consecutive blocks of events.

    Each step takes the events of [where the step before stopped, stop_us). At the end of a stream its last tick is
    run although it may be cut short, and the instant at which it stops, which is no part of it, gets no row.

    changes: the networks that were exchanged so far, and from when on (us) each is used.
    """

    def __init__(
        self,
        networks: Network | Sequence[Network],
        size: tuple[int, int],
        *,
        every_us: int = EVERY_US,
        template: Template | None = None,
        engine: str = "native",
        rules: Rules = DEFAULTS,
        final_only: bool = False,
    ) -> None:
        """size: (width, height) of the sensor; every_us: reporting interval; template: the shape to follow, if not a
        disk. final_only: give the spikes of the last layer alone, which are all that the detector needs. Raises
        VelocellError for an unknown engine or networks that do not fit."""
        self.networks = as_networks(networks)
        self._engine = engines.load(engine)
        self._states = [self._engine.init(network, size) for network in self.networks]
        self._size, self._final_only = size, final_only
        self._coming: list[tuple[int, tuple[Network, ...]]] = []
        self.changes: list[tuple[int, tuple[Network, ...]]] = []
        self._expected = 0  # of these, by the detector
        self.detector = Detector(self.networks, size, every_us, template, rules)
        origin = self.networks[0].origin
        # Lines that are scanned spread the events of an object themselves.
        self._spread = None if origin.step_us is None or origin.scanned else Spread(origin.step_us)

    @property
    def dt_us(self) -> int:
        """The tick, the same for all networks."""
        return self.networks[0].dt_us

    @property
    def crowding(self) -> Crowding:
        """As of its detector."""
        return self.detector.crowding

    def step(self, events: Recording, stop_us: int, *, at_end: bool = False) -> tuple[dict[str, Any], Spikes]:
        """Rows (columns by name) and the spikes of all layers (or the last) and networks."""
        spikes = self.respond(events, stop_us, at_end=at_end)
        return self.locate(events, spikes, stop_us, at_end=at_end), spikes

    def adopt(self, networks: Network | Sequence[Network], at_us: int) -> None:
        """From the tick on that begins at `at_us` or next after it, other networks, as many, of the same tick. Who is
        followed stays followed. What was to come at that time or later does not."""
        at_us = -(-at_us // self.dt_us) * self.dt_us
        self._coming = [*(one for one in self._coming if one[0] < at_us), (at_us, as_networks(networks))]

    def respond(self, events: Recording, stop_us: int, *, at_end: bool = False) -> Spikes:
        """The first half of a step: the networks' spikes."""
        answers = []
        while self._coming and self._coming[0][0] < stop_us:
            at_us, networks = self._coming.pop(0)
            at_us = max(at_us, events.start_us)
            answers.append(self._respond(events.between(stop_us=at_us), at_us, False))
            events, self.networks = events.between(at_us), networks
            self.changes.append((at_us, networks))
            self._states = [self._engine.init(network, self._size) for network in networks]
        answers.append(self._respond(events, stop_us, at_end))
        return answers[0] if len(answers) == 1 else Spikes.concatenate(answers)

    def _respond(self, events: Recording, stop_us: int, at_end: bool) -> Spikes:
        answers = []
        for i, network in enumerate(self.networks):
            until_us = -(-stop_us // network.dt_us) * network.dt_us if at_end else stop_us
            self._states[i], spikes = self._engine.step(
                network, self._states[i], events, until_us, final_only=self._final_only
            )
            answers.append(spikes)
        if len(answers) == 1:
            return answers[0]
        told = zip(answers, self.networks, strict=True)
        return Spikes.concatenate([spikes.for_radius(network.radius_px or 0.0) for spikes, network in told])

    def locate(self, events: Recording, spikes: Spikes, stop_us: int, *, at_end: bool = False) -> dict[str, Any]:
        """The second half: rows, columns by name. Where the stamps are coarse, the detector sees events spread within
        their steps."""
        if self._spread is not None:
            events = self._spread(events, stop_us, at_end=at_end)
        rows: list[dict[str, Any]] = []
        while self._expected < len(self.changes) and self.changes[self._expected][0] < stop_us:
            # What the detector is told changes at the same instant, however a stream is cut.
            at_us, networks = self.changes[self._expected]
            self._expected += 1
            rows.append(self.detector.step(events.between(stop_us=at_us), spikes.between(stop_us=at_us), at_us))
            events, spikes = events.between(at_us), spikes.between(at_us)
            self.detector.expect(networks)
        rows.append(self.detector.step(events, spikes, stop_us - at_end))
        return rows[0] if len(rows) == 1 else {name: np.concatenate([part[name] for part in rows]) for name in rows[0]}


def follow(
    online: Online,
    blocks: Iterable[Recording],
    on_block: Callable[[Recording], object] | None = None,
    *,
    ends: bool = True,
) -> Iterator[tuple[dict[str, Any], Spikes]]:
    """All of what comes in consecutive blocks; yields rows (columns by name) and spikes, step by step. on_block: called
    with each step that is done. ends: whether the stream does behind the last block, which else stops with a tick."""
    # Both leave Python's lock: the engine works on the next step while the detector looks at this one.
    for step, spikes, at_end in one_ahead(respond(online, blocks, FEWEST_EVENTS)):
        rows = online.locate(step, spikes, step.stop_us, at_end=at_end and ends)
        if on_block is not None:
            on_block(step)
        yield rows, spikes


def respond(online: Online, blocks: Iterable[Recording], fewest: int = 1) -> Iterator[tuple[Recording, Spikes, bool]]:
    """What comes in consecutive blocks step by step (`data.blocks.steps`), with the spikes of all layers (and of all
    networks), and whether it is the last."""
    for step, at_end in steps(blocks, BLOCK_US, fewest):
        yield step, online.respond(step, step.stop_us, at_end=at_end), at_end


def one_ahead(items: Iterator[T]) -> Iterator[T]:
    """The items, each made in a thread while the one before is in use."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item
