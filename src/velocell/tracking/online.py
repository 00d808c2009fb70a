"""Network, engine and detector on one stream: the loop that files, streams and the page share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np

from velocell import engines
from velocell.data.blocks import ahead, changes, steps
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.data.stamps import Spread
from velocell.data.tables import joined_columns
from velocell.network import Network
from velocell.network.template import Template
from velocell.tracking.detector import Crowding, Detector, as_networks
from velocell.tracking.rules import DEFAULTS, EVERY_RATIO, Rules

EVERY_US = 5_000
BLOCK_US = 100_000  # events are handed on in steps of this length, so that memory stays bounded
ALLOT_US = 20_000  # stretches for which it is decided at once which networks see an event
MOST_ALLOTTED = 64  # networks; a bit each
STEPS_AHEAD = 2  # of the engine before the detector, so that neither waits where a step costs one of them more
FEWEST_EVENTS = 1 << 13  # in a step; where little happens it is longer, since each costs the same


class Online:
    """One network, or several for several radii, and a detector, fed with consecutive blocks of events.

    Each step takes the events of [where the step before stopped, stop_us). At the end of a stream its last tick is
    run although it may be cut short, and the instant at which it stops, which is no part of it, gets no row.

    Of several networks each need not see all: what is on the ring of an object that is followed is for those of about
    its size (`Detector.allotment`). Where objects are at the start of a stretch of `ALLOT_US` decides on the stretch
    behind it, if the two before that have events, too: so a stream gives the same however it is cut, and networks and
    detector can work side by side.

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
        self._size, self._final_only = size, final_only
        # Each network sees few events of a step: side by side they keep more cores busy than one after the other.
        threads = engines.threads()
        side_by_side = min(threads, len(self.networks))
        self._threads = ThreadPoolExecutor(side_by_side) if side_by_side > 1 else None
        self._threads_each = threads // side_by_side
        self._begin(self.networks)
        self._coming: list[tuple[int, tuple[Network, ...]]] = []
        self.changes: list[tuple[int, tuple[Network, ...]]] = []
        self._expected = 0  # of these, by the detector
        self._allots = 1 < len(self.networks) <= MOST_ALLOTTED and rules.allot_ratio < EVERY_RATIO
        self._allotments: dict[int, Callable[[Recording], list[Recording]]] = {}  # by number of the stretch
        self._stretch, self._in_a_row = -1, 0  # the last one with events; how many up to it have some
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

    @property
    def stretch_us(self) -> int | None:
        """Of several networks, the length of the stretches that begin at its multiples: `respond` takes no more than
        one at a time, and is at most one ahead of `locate`. None where each network sees all: a single one, or more
        than `MOST_ALLOTTED`, or by the rules."""
        return -(-ALLOT_US // self.dt_us) * self.dt_us if self._allots else None

    def prepare(self) -> None:
        """Before the first events: do what an engine would else do when they come."""
        ready = getattr(self._engine, "prepare", None)
        if ready is not None:
            for state in self._states:
                ready(state)

    def _begin(self, networks: tuple[Network, ...]) -> None:
        """Use these from now on, with fresh states."""
        self.networks = networks
        self._states = [self._engine.init(network, self._size, threads=self._threads_each) for network in networks]
        order = np.argsort([network.radius_px or 0.0 for network in networks], kind="stable")
        self._ranks = np.argsort(order).tolist()  # by radius, as an allotment has its parts

    def step(self, events: Recording, stop_us: int, *, at_end: bool = False) -> tuple[dict[str, Any], Spikes]:
        """Rows (columns by name) and the spikes of all layers (or the last) and networks."""
        rows, answers = [], []
        for part, until_us in self._stretches(events, stop_us):
            ends = at_end and until_us == stop_us
            answers.append(self.respond(part, until_us, at_end=ends))
            rows.append(self.locate(part, answers[-1], until_us, at_end=ends))
        return joined_columns(rows), answers[0] if len(answers) == 1 else Spikes.concatenate(answers)

    def _stretches(self, events: Recording, stop_us: int) -> Iterator[tuple[Recording, int]]:
        """Events up to `stop_us`, cut where it is decided anew which networks see them; a silence is no stretch of its
        own."""
        if self.stretch_us is not None and len(events):
            cuts = events.t_us[changes(events.t_us, self.stretch_us)] // self.stretch_us * self.stretch_us
            for cut_us in cuts.tolist():
                yield events.between(stop_us=cut_us), cut_us
                events = events.between(cut_us)
        yield events, stop_us

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
            events = events.between(at_us)
            self.changes.append((at_us, networks))
            self._begin(networks)
        answers.append(self._respond(events, stop_us, at_end))
        return answers[0] if len(answers) == 1 else Spikes.concatenate(answers)

    def _respond(self, events: Recording, stop_us: int, at_end: bool) -> Spikes:
        def answer(network: Network, state: Any, part: Recording) -> tuple[Any, Spikes]:
            until_us = -(-stop_us // network.dt_us) * network.dt_us if at_end else stop_us
            return self._engine.step(network, state, part, until_us, final_only=self._final_only)

        given = (answer, self.networks, self._states, self._parts(events))
        found = list(map(*given) if self._threads is None else self._threads.map(*given))
        self._states = [state for state, _ in found]
        if len(found) == 1:
            return found[0][1]
        told = zip(found, self.networks, strict=True)
        return Spikes.concatenate([spikes.for_radius(network.radius_px or 0.0) for (_, spikes), network in told])

    def _parts(self, events: Recording) -> list[Recording]:
        """What each network sees of events of one stretch."""
        allotted = None
        if self.stretch_us is not None and len(events):
            first, last = (int(t_us) // self.stretch_us for t_us in events.t_us[[0, -1]])
            if first != self._stretch:
                self._in_a_row = self._in_a_row + 1 if first == self._stretch + 1 else 1
            if first != last:
                self._in_a_row = 1
            self._stretch = last
            # Else the detector may or may not have been where it is decided, which must not matter.
            if self._in_a_row >= 3:
                allotted = self._allotments.get(last)
        if allotted is None:
            return [events] * len(self.networks)
        parts = allotted(events)
        return [parts[rank] for rank in self._ranks]

    def locate(self, events: Recording, spikes: Spikes, stop_us: int, *, at_end: bool = False) -> dict[str, Any]:
        """The second half: rows, columns by name. Where the stamps are coarse, the detector sees events spread within
        their steps."""
        if self._spread is not None:
            events = self._spread(events, stop_us, at_end=at_end)
        rows: list[dict[str, Any]] = []
        decisions = [] if at_end else self._decisions(events.start_us, stop_us)
        for at_us, happens in sorted([*self._exchanges(stop_us), *decisions], key=itemgetter(0)):
            # What the detector is told or asked, it is at the same instant, however a stream is cut.
            rows.append(self.detector.step(events.between(stop_us=at_us), spikes.between(stop_us=at_us), at_us))
            events, spikes = events.between(at_us), spikes.between(at_us)
            happens()
        rows.append(self.detector.step(events, spikes, stop_us - at_end))
        return joined_columns(rows)

    def _exchanges(self, stop_us: int) -> Iterator[tuple[int, Callable[[], None]]]:
        """When the detector is to expect other networks."""
        while self._expected < len(self.changes) and self.changes[self._expected][0] < stop_us:
            at_us, networks = self.changes[self._expected]
            self._expected += 1
            yield at_us, partial(self.detector.expect, networks)

    def _decisions(self, start_us: int, stop_us: int) -> Iterator[tuple[int, Callable[[], None]]]:
        """When it is decided what the networks see of the stretch behind the one that begins then: the last two times
        that count for what comes."""
        if (length := self.stretch_us) is None:
            return
        last = stop_us // length
        for number in (last - 1, last):
            if start_us < number * length <= stop_us:
                yield number * length, partial(self._allot, number + 1)

    def _allot(self, number: int) -> None:
        assert self.stretch_us is not None
        begin_us = number * self.stretch_us
        self._allotments = {k: kept for k, kept in self._allotments.items() if k >= number - 1}
        self._allotments[number] = self.detector.allotment(begin_us, begin_us + self.stretch_us)


def follow(
    online: Online,
    blocks: Iterable[Recording],
    on_block: Callable[[Recording], object] | None = None,
    *,
    ends: bool = True,
) -> Iterator[tuple[dict[str, Any], Spikes]]:
    """All of what comes in consecutive blocks; yields rows (columns by name) and spikes, step by step. on_block: called
    with each step that is done. ends: whether the stream does behind the last block, which else stops with a tick."""
    # All leave Python's lock: a block is read and the engine works on next steps while the detector looks at this one.
    most = STEPS_AHEAD if online.stretch_us is None else 1
    for step, spikes, at_end in ahead(respond(online, blocks, FEWEST_EVENTS), most):
        rows = online.locate(step, spikes, step.stop_us, at_end=at_end and ends)
        if on_block is not None:
            on_block(step)
        yield rows, spikes


def respond(online: Online, blocks: Iterable[Recording], fewest: int = 1) -> Iterator[tuple[Recording, Spikes, bool]]:
    """What comes in consecutive blocks step by step (`data.blocks.steps`), with the spikes of all layers (and of all
    networks), and whether it is the last."""
    stretch_us = online.stretch_us
    cut = steps(blocks, BLOCK_US, fewest) if stretch_us is None else steps(blocks, stretch_us)
    for step, at_end in cut:
        yield step, online.respond(step, step.stop_us, at_end=at_end), at_end
