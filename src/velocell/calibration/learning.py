"""What is measured once is measured again while a stream or file goes on: light and focus change.

Every `RENEW_US` of the stream's time, on the newest stretch that has objects; sooner where nothing could be measured
yet, and more and more seldom where that remains so. What is looked at is at most a fifth of all. Where what is measured
differs, the networks are exchanged `AFTER_US` behind that stretch: never by what comes later, and at the same instant
in a file as in a stream.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from velocell.calibration.measure import measured_on
from velocell.calibration.passes import Passes
from velocell.calibration.search import Search
from velocell.calibration.stretch import PROBE_US, Finder
from velocell.data.blocks import steps
from velocell.data.recording import Recording
from velocell.network import Network
from velocell.tracking.online import BLOCK_US, Online

RENEW_US = 10_000_000
AFTER_US = 1_000_000
MOST_WAIT_US = 160_000_000  # where nothing could be measured again and again
PER_LOOK = 4  # so long it waits, per time that calibration looked at
_CHANGED = 0.12  # of the share of edge crossings; what is measured of one scene differs by a third of it


def has_changed(mine: Network, fresh: Network) -> bool:
    """Whether a fresh measurement asks for another network."""
    now, before = fresh.origin.crossings, mine.origin.crossings
    if now is None or before is None or mine.origin.basis == "too_sparse":
        return True
    return abs(math.log(now / before)) > _CHANGED


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

    def feed(self, part: Recording) -> Recording | None:
        """A stretch that is to be measured now, if there is one; when the next one is depends on what it shows."""
        if not self._search.measures:
            return None
        due = None
        for stretch in self._finder.feed(part):
            if self._next_us is None:
                self._next_us = stretch.start_us // BLOCK_US * BLOCK_US + self._wait_us
            if stretch.start_us >= self._next_us:
                due = stretch
        return due

    def measure(self, stretch: Recording) -> tuple[Network, ...] | None:
        """The networks to use from `AFTER_US` behind the stretch on; None to leave those in use."""
        passes, known = Passes(self._search), not self.networks[0].origin.too_sparse
        fresh = measured_on(stretch, self._search, passes)
        if fresh is None and not known:
            self._hope_us = min(2 * self._hope_us, MOST_WAIT_US)
        least_us = self._hope_us if fresh is None and not known else RENEW_US
        self._next_us = stretch.stop_us + max(least_us, PER_LOOK * passes.made_us)
        if fresh is None or fresh[0].dt_us != self.networks[0].dt_us or len(fresh) != len(self.networks):
            return None
        if not has_changed(self.networks[0], fresh[0]):
            return None
        self.networks = fresh
        return fresh

    def renew(self, online: Online, part: Recording) -> None:
        """Measure where it is time, and let `online`, which comes to `part` next, use what differs."""
        stretch = self.feed(part)
        fresh = None if stretch is None else self.measure(stretch)
        if stretch is not None and fresh is not None:
            online.adopt(fresh, max(stretch.stop_us + AFTER_US, part.start_us))


def learning(blocks: Iterable[Recording], online: Online, search: Search) -> Iterator[Recording]:
    """The blocks of a file, while `online` runs over them and its networks are exchanged where the scene changes."""
    learner = Learner(search, online.networks)
    for block in blocks:
        for part, _ in steps([block], AFTER_US) if search.measures else [(block, True)]:
            learner.renew(online, part)
            yield part
