"""A run: engine and detector over a source, block by block, and what it has found.

How far a run goes, and what of it is kept, is decided by a `Pace`: `Whole` for a recording, `Along` for a stream.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from velocell.calibration.learning import Learner
from velocell.calibration.search import Search
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.data.tables import DETECTED, joined_columns
from velocell.data.tracks import Tracks
from velocell.live.loop import LAG_S, gone_us
from velocell.network import Network
from velocell.results.counting import Gate
from velocell.tracking.detector import NO_CROWDING, Crowding
from velocell.tracking.online import BLOCK_US
from velocell.viewer.settings import Settings
from velocell.viewer.source import Source

AHEAD_US = 10_000_000
"""How far a run goes beyond the cursor; the rest follows as it is played."""
RESULT_BYTES = 128 << 20
"""Rows and spikes that are kept; beyond, the oldest go."""
LEAD_US = (200_000, 1_000_000)
"""How long before the cursor a run begins that does not begin at the start."""
LAG_US = round(LAG_S * 1e6)
"""A run that stays further behind a stream than this leaves events out."""
BINS = 600
"""Bins of the timeline."""

_CATCH_UP_S = 1.0  # for so long it may try to catch up first
_SPIKE_BYTES = 14


# --- what is found ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Block:
    """A piece of a run: rows of the table by column, and all spikes, packed: arrays (n,) sorted by t_us.

    events: how many the network was given.
    """

    start_us: int
    stop_us: int
    rows: dict[str, NDArray[Any]]
    t_us: NDArray[np.int64]
    x: NDArray[np.uint16]
    y: NDArray[np.uint16]
    channel: NDArray[np.uint8]
    layer: NDArray[np.uint8]
    events: int = 0

    def bytes_(self) -> int:
        return self.t_us.size * _SPIKE_BYTES + sum(column.nbytes for column in self.rows.values())


def packed(start_us: int, stop_us: int, rows: dict[str, NDArray[Any]], spikes: Spikes, events: int) -> Block:
    small = (np.uint16, np.uint16, np.uint8, np.uint8)
    names = ("x", "y", "channel", "layer")
    x, y, channel, layer = (getattr(spikes, n).astype(kind) for n, kind in zip(names, small, strict=True))
    kept = {name: np.array(rows[name]) for name in DETECTED}
    return Block(start_us, stop_us, kept, spikes.t_us, x, y, channel, layer, events)


def joined(blocks: list[Block]) -> Block:
    """Consecutive blocks as one."""
    rows = joined_columns([block.rows for block in blocks])
    names = ("t_us", "x", "y", "channel", "layer")
    t_us, x, y, channel, layer = (np.concatenate([getattr(block, name) for block in blocks]) for name in names)
    events = sum(block.events for block in blocks)
    return Block(blocks[0].start_us, blocks[-1].stop_us, rows, t_us, x, y, channel, layer, events)


@dataclass(frozen=True, eq=False)
class Results:
    """What a run has found in [from_us, until_us). `activity` (bands, BINS): spikes of the final channels.
    crossed: how many crossed a line since the run began, by line, direction and band.

    provisional: a longer run follows. seconds: from the request to the first result at the cursor. crowding: how often
    candidates for objects were too many.
    """

    settings: Settings
    networks: tuple[Network, ...]
    from_us: int
    until_us: int
    blocks: tuple[Block, ...]
    activity: NDArray[np.int64]
    crossed: Counter[tuple[int, str, int]]
    provisional: bool = False
    complete: bool = False
    seconds: float | None = None
    crowding: Crowding = NO_CROWDING

    @property
    def network(self) -> Network:
        """The network; of several, the one for the smallest radius."""
        return self.networks[0]

    @property
    def events(self) -> int:
        """How many the network was given."""
        return sum(block.events for block in self.blocks)

    def tracks(self) -> Tracks:
        if not self.blocks:  # a stream has begun, its first block has not been seen
            return Tracks.empty()
        return Tracks.from_columns(joined_columns([block.rows for block in self.blocks]))

    def between(self, start_us: int, stop_us: int) -> list[Block]:
        """The blocks that touch [start, stop)."""
        return [block for block in self.blocks if block.stop_us > start_us and block.start_us < stop_us]

    def spikes(self, start_us: int | None = None, stop_us: int | None = None) -> Spikes:
        """All spikes of the blocks that touch the span."""
        start, stop = self.from_us if start_us is None else start_us, self.until_us if stop_us is None else stop_us
        layers = len(self.network.layers)
        parts = []
        for block in self.between(start, stop):
            x, y, channel, layer = (v.astype(np.int32) for v in (block.x, block.y, block.channel, block.layer))
            parts.append(Spikes(block.t_us, x, y, channel, layer, layers))
        return Spikes.concatenate(parts, layers)


class Kept:
    """The blocks of a run that are still held, the oldest first."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.bytes_ = 0

    def add(self, block: Block) -> None:
        self.blocks.append(block)
        self.bytes_ += block.bytes_()

    def join(self, since_us: int) -> None:
        """Those that end later become one."""
        first = next(k for k, block in enumerate(self.blocks) if block.stop_us > since_us)
        self.blocks[first:] = [joined(self.blocks[first:])]

    def forget(self, gone: Callable[[Block], bool]) -> None:
        """The oldest, as long as they are `gone`; the last one stays."""
        while len(self.blocks) > 1 and gone(self.blocks[0]):
            self.bytes_ -= self.blocks.pop(0).bytes_()


# --- how far ------------------------------------------------------------------------------------------


class Pace(Protocol):
    """How far a run goes, and what it keeps. gone_us: an object without a row for so long crosses no line any more;
    None: tracks end with the run."""

    @property
    def gone_us(self) -> int | None: ...

    def complete(self, until_us: int) -> bool: ...

    def next_us(self, until_us: int) -> int:
        """Where the next step ends."""
        ...

    def leaves_out(self, stop_us: int) -> bool:
        """Whether the step that ends there goes without its events."""
        ...

    def goes_on(self, kept: Kept, until_us: int, at_us: int) -> bool:
        """Whether to step on with the cursor at `at_us`; what is too much is forgotten."""
        ...

    def stepped(self, kept: Kept, until_us: int) -> None:
        """A step was done."""
        ...

    def keep_up(self, until_us: int) -> int:
        """To be called before a step: how many events that have waited too long are left out."""
        ...


class Whole:
    """To `stop_us`; not too far ahead of the cursor, not beyond the memory."""

    gone_us = None

    def __init__(self, stop_us: int) -> None:
        self._stop_us = stop_us

    def complete(self, until_us: int) -> bool:
        return until_us >= self._stop_us

    def next_us(self, until_us: int) -> int:
        return min((until_us // BLOCK_US + 1) * BLOCK_US, self._stop_us)

    def leaves_out(self, stop_us: int) -> bool:
        return False

    def goes_on(self, kept: Kept, until_us: int, at_us: int) -> bool:
        if self.complete(until_us) or until_us >= at_us + AHEAD_US:
            return False
        kept.forget(lambda block: kept.bytes_ > RESULT_BYTES and block.stop_us < at_us - LEAD_US[1])
        return kept.bytes_ <= RESULT_BYTES or until_us <= at_us + BLOCK_US

    def stepped(self, kept: Kept, until_us: int) -> None:
        pass

    def keep_up(self, until_us: int) -> int:
        return 0


class Along:
    """Along a source that grows, in steps of a reporting interval; what it does not hold any more is forgotten."""

    def __init__(self, source: Source, search: Search, dt_us: int) -> None:
        self._source, self._every_us, self._dt_us = source, search.every_us, dt_us
        self.gone_us = gone_us(search.rules)
        self._gap_us = 0
        self._in_time_s = time.monotonic()

    def complete(self, until_us: int) -> bool:
        return not self._source.growing and until_us >= self._source.stop_us

    def next_us(self, until_us: int) -> int:
        if self._gap_us > until_us:
            return self._gap_us
        stop = self._source.stop_us
        if self._source.growing:
            stop = self._ticks(stop)
        return min((until_us // BLOCK_US + 1) * BLOCK_US, stop)

    def leaves_out(self, stop_us: int) -> bool:
        return stop_us <= self._gap_us

    def goes_on(self, kept: Kept, until_us: int, at_us: int) -> bool:
        behind = self._source.stop_us - until_us
        return behind > (self._every_us if self._source.growing else 0) and self.next_us(until_us) > until_us

    def stepped(self, kept: Kept, until_us: int) -> None:
        """Steps are short; those of a whole block become one."""
        if until_us % BLOCK_US == 0:
            kept.join(until_us - BLOCK_US)
        oldest = self._source.start_us
        kept.forget(lambda block: block.stop_us <= oldest or kept.bytes_ > RESULT_BYTES)

    def keep_up(self, until_us: int) -> int:
        now = time.monotonic()
        if self._source.stop_us - until_us < LAG_US:
            self._in_time_s = now
        elif now > self._in_time_s + _CATCH_UP_S:
            self._in_time_s = now
            self._gap_us = self._ticks(self._source.stop_us - LAG_US // 2)
            return int(self._source.count(np.array([until_us, self._gap_us]))[0])
        return 0

    def _ticks(self, t_us: int) -> int:
        return t_us // self._dt_us * self._dt_us


# --- the run ------------------------------------------------------------------------------------------


class Run:
    """Engine and detector over a source from `start_us` on, at a pace. provisional: another run follows at its end."""

    def __init__(
        self,
        source: Source,
        settings: Settings,
        networks: tuple[Network, ...],
        start_us: int,
        pace: Pace,
        *,
        provisional: bool = False,
    ) -> None:
        self.settings, self.networks, self.provisional = settings, networks, provisional
        self.began_us = self.until_us = start_us
        self.seconds: float | None = None
        bands = networks[0].bands
        self._source, self._pace, self._kept = source, pace, Kept()
        self._online = settings.search.online(networks, source.size)
        # What was tuned by hand is not measured again.
        learns = settings.is_plain() and not networks[0].origin.too_sparse
        self._learner = Learner(settings.search, networks) if learns else None
        self._gate = Gate(settings.lines)
        self._edges_us = bin_edges(source)
        self._activity = np.zeros((0 if bands is None else len(bands), BINS), np.int64)

    @property
    def from_us(self) -> int:
        """From where on results are held."""
        blocks = self._kept.blocks
        return blocks[0].start_us if blocks else self.began_us

    @property
    def complete(self) -> bool:
        return self._pace.complete(self.until_us)

    def goes_on(self, at_us: int) -> bool:
        """Whether to step on with the cursor at `at_us`."""
        return self._pace.goes_on(self._kept, self.until_us, at_us)

    def keep_up(self) -> int:
        """To be called before a step: how many events that have waited too long are left out."""
        return self._pace.keep_up(self.until_us)

    def step(self) -> None:
        """One block further."""
        start, stop = self.until_us, self._pace.next_us(self.until_us)
        at_end = stop == self._source.stop_us and not self._source.growing
        events = self._events(start, start if self._pace.leaves_out(stop) else stop)
        seen = replace(self.settings.search.seen(events), start_us=start, stop_us=stop)
        if self._learner is not None:
            self._learner.renew(self._online, seen)
        rows, spikes = self._online.step(seen, stop, at_end=at_end)
        self.networks = self._online.networks
        final = spikes.of_layer(len(self.networks[0].layers) - 1)
        known = final.channel < self._activity.shape[0]
        bins = np.searchsorted(self._edges_us, final.t_us[known], side="right") - 1
        np.add.at(self._activity, (final.channel[known], bins.clip(0, BINS - 1)), 1)
        self._count(rows, stop)
        self._kept.add(packed(start, stop, rows, spikes, len(events)))
        self.until_us = stop
        self._pace.stepped(self._kept, stop)

    def results(self) -> Results:
        complete = self.complete and not self.provisional
        if complete:
            self._gate.finish()
        return Results(
            self.settings, self.networks, self.from_us, self.until_us, tuple(self._kept.blocks),
            self._activity.copy(), Counter(self._gate.counts), self.provisional, complete, self.seconds,
            self._online.detector.crowding,
        )  # fmt: skip

    def _events(self, start_us: int, stop_us: int) -> Recording:
        return self.settings.within(self._source.window(start_us, stop_us))

    def _count(self, rows: dict[str, NDArray[Any]], stop_us: int) -> None:
        """Who has crossed a line."""
        if self.settings.lines and len(rows["id"]):
            self._gate.feed(Tracks.from_columns(rows))
        if self._pace.gone_us is not None:
            self._gate.finish(stop_us - self._pace.gone_us)


def bin_edges(source: Source) -> NDArray[np.int64]:
    """The timeline's edges (BINS + 1,) in microseconds."""
    return np.linspace(source.start_us, source.stop_us, BINS + 1).astype(np.int64)
