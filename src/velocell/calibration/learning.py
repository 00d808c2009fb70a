"""What is measured once is measured again while a stream or file goes on: light and focus change.

Every `RENEW_US` of the stream's time, on the newest stretch that has objects; sooner where nothing could be measured
yet, and more and more seldom where that remains so. What is looked at is at most a fifth of all. Where what is measured
differs, the networks are exchanged `AFTER_US` behind that stretch: never by what comes later, and at the same instant
in a file as in a stream.

The share of edge crossings and the noise are measured, and taken as they are. The width of the ring and where the edges
lie are choices; where they alone differ, the network in use has to do worse on that stretch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np

from velocell.calibration.measure import measured_on
from velocell.calibration.noise import floor
from velocell.calibration.passes import Passes
from velocell.calibration.search import Search
from velocell.calibration.stretch import PROBE_US, Finder
from velocell.calibration.widths import Settled, suits_better
from velocell.data.recording import Recording
from velocell.network import Network
from velocell.tracking.online import BLOCK_US

RENEW_US = 10_000_000
AFTER_US = 1_000_000
MOST_WAIT_US = 160_000_000  # where nothing could be measured again and again
PER_LOOK = 4  # so long it waits, per time that calibration looked at
_CHANGED = 0.12  # of the share of edge crossings; what is measured of one scene differs by a third of it
_RESIZED = 0.2  # of the radius: disks further off are not followed (rules min_radius, max_radius)


class Adopts(Protocol):
    """Takes other networks up; see `Online.adopt`."""

    def adopt(self, networks: Sequence[Network], at_us: int) -> None: ...


def has_changed(mine: Network, fresh: Network) -> bool:
    """Whether what was measured afresh asks for another network: the share of edge crossings, the radius, or the noise
    that the thresholds lie above."""
    now, before = fresh.origin.crossings, mine.origin.crossings
    if now is None or before is None or mine.origin.basis == "too_sparse":
        return True
    if abs(math.log(now / before)) > _CHANGED:
        return True
    if abs(math.log((fresh.radius_px or 1.0) / (mine.radius_px or 1.0))) > _RESIZED:
        return True
    share = [floor(network) / network.layers[0].neurons.v_th for network in (mine, fresh)]
    return bool(np.abs(share[1] - share[0]).max() > _CHANGED)


def is_other(mine: Network, fresh: Network) -> bool:
    """Whether the width of the ring or the edges were chosen otherwise."""
    if fresh.origin.ring_width_px != mine.origin.ring_width_px:
        return True
    ones = (1.0,) * fresh.layers[0].channels
    now, before = (np.array(network.origin.edge_factors or ones) for network in (fresh, mine))
    return bool(np.abs(np.log(now / before)).max() > _CHANGED)


class Learner:
    """When to measure again, and what follows. networks: in use. Takes the stream from its start, as the search sees
    it."""

    def __init__(self, search: Search, networks: Sequence[Network]) -> None:
        self._search, self.networks = search, tuple(networks)
        self._finder = Finder()
        self._next_us: int | None = None
        origin = networks[0].origin
        self._hope_us = PROBE_US // 2  # half of what it waits where nothing can be measured
        self._wait_us = max(0 if origin.too_sparse else RENEW_US, PER_LOOK * origin.looked_us)

    def due(self, part: Recording) -> Iterator[Recording]:
        """The stretches that are to be measured now, as they come; when the next one is depends on what `measure` shows
        of one. What comes before that is not held."""
        while self._search.measures:
            if self._next_us is not None and part.start_us < self._next_us:
                if part.stop_us <= self._next_us:
                    self._finder = Finder()
                    return
                part = part.between(self._next_us)
            for stretch in self._finder.feed(part):
                if self._next_us is None:
                    self._next_us = stretch.start_us // BLOCK_US * BLOCK_US + self._wait_us
                if stretch.start_us >= self._next_us:
                    yield stretch
                if stretch.stop_us <= self._next_us:
                    self._finder = Finder()
                    break
            else:
                return

    def measure(self, stretch: Recording) -> tuple[Network, ...] | None:
        """The networks to use from `AFTER_US` behind the stretch on; None to leave those in use."""
        passes, known = Passes(self._search), not self.networks[0].origin.too_sparse
        fresh = measured_on(stretch, self._search, passes)
        if fresh is None and not known:
            self._hope_us = min(2 * self._hope_us, MOST_WAIT_US)
        least_us = self._hope_us if fresh is None and not known else RENEW_US
        used = fresh if fresh is not None and self._is_for(fresh, stretch, passes) else None
        self._next_us = stretch.stop_us + max(least_us, PER_LOOK * passes.made_us)
        self.networks = self.networks if used is None else used
        return used

    def _is_for(self, fresh: tuple[Network, ...], stretch: Recording, passes: Passes) -> bool:
        """Whether these are to be used from now on."""
        mine = self.networks
        if fresh[0].dt_us != mine[0].dt_us or len(fresh) != len(mine):
            return False
        return has_changed(mine[0], fresh[0]) or self._does_worse(fresh, stretch, passes)

    def _does_worse(self, fresh: tuple[Network, ...], stretch: Recording, passes: Passes) -> bool:
        """Whether the network in use does, on this stretch, than one whose ring or edges were chosen otherwise."""
        if not is_other(self.networks[0], fresh[0]) or not passes.left:
            return False
        mine = Settled(self.networks[0], passes.see(self.networks, stretch))
        other = Settled(fresh[0], passes.see(fresh, stretch, until_us=mine.seen.stop_us))
        return suits_better(other, mine)

    def renew(self, online: Adopts, part: Recording) -> None:
        """Measure where it is time, and let `online`, which comes to `part` next, use what differs."""
        for stretch in self.due(part):
            fresh = self.measure(stretch)
            if fresh is not None:
                online.adopt(fresh, max(stretch.stop_us + AFTER_US, part.start_us))


def learning(
    blocks: Iterable[Recording], online: Adopts, networks: Sequence[Network], search: Search
) -> Iterator[Recording]:
    """The blocks of a file, while `online` runs over them and its networks are exchanged where the scene changes."""
    learner = Learner(search, networks)
    for block in blocks:
        learner.renew(online, block)
        yield block
