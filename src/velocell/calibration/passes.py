"""Passes of engine and detector over one stretch of a recording: what calibration sees, counted and capped.

A pass gives everything that any part of the calibration needs, so that none is made twice: what the followed objects
tell of the recording, and the speeds and bands of all rows.

The objects that say anything are those that are clearly what is looked for. Each counts by the crossings that were
seen, fewer where noise is as frequent, up to a number, and by how probable it is that it is one: a raindrop, a shadow
or noise that was followed for a while has log odds of a disk below 1, a disk in noise of 10 Hz/px has 3 and more.
Rejected: to take the noise around off the crossings; at 10 Hz/px that leaves a tenth too few.

What a pass costs is the events, of which a network takes about 7 million a second or, of a large radius, 35 thousand
million weights, and the spikes of the final layer, each of which is worth 14 events to the detector. It ends after
`MOST_WORK` of these. Rejected: events alone; of a lamp's many events hardly any leads to a spike, and in rain a
third do, and to look for R = 30 costs three times as much as for R = 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.calibration.noise import NO_NOISE, Noise
from velocell.calibration.recipe import bank_radii
from velocell.calibration.search import Search
from velocell.data.arrays import Floats, weighted_quantile
from velocell.data.blocks import ahead
from velocell.data.heap import trim_heap
from velocell.data.recording import Recording
from velocell.network import Network
from velocell.network.origin import Spread
from velocell.tracking.detector import as_networks
from velocell.tracking.online import EVERY_US, respond
from velocell.tracking.rules import Rules

MOST_US = 3_500_000  # that all passes last together, of the recording's time
VAIN_US = 2_400_000  # the same while they have seen nothing that deserves to be measured; with more networks, less
MOST_WORK = 1_500_000  # events of one pass, about
VAIN_WORK = 3 * MOST_WORK  # of all passes while they have seen nothing
_SPIKE_WORK, _WEIGHTS = 14, 5_000  # events; weights that cost one
ENOUGH_OBJECTS = 50  # for a median
ENOUGH_CROSSINGS = 2_500.0  # the share is then known to 2 %, of at least three objects
_SOON_CROSSINGS = 2_100.0  # of at least three objects, too
_MOST_CROSSINGS = 1_000.0  # that an object counts by: a few fast ones are not to speak for all
_SIZED_CROSSINGS = 250.0  # tell a radius to .02 px, with .3 px of scatter
_ALIKE = 1.1  # simulated DAVIS346 and Gen4: bright disks look up to 9 % larger than they are, dark ones 5 % smaller
_SIZES_LEFT = 0.1  # of the weight on either side: one object may be wrong
_SOON_US, _JUDGED_US = 200_000, 700_000  # before a pass may end that has seen enough (or nothing), to measure and judge


_CROWDED = 0.5  # of the births; so many come where clutter leaves no room


@dataclass(frozen=True, eq=False)
class Told:
    """What the objects tell that are clearly what is looked for, arrays (n,): the share of their edge crossings that
    passes the trail filter, their radius (px), events per edge crossing, how long after its first event the other ON
    and OFF events of a crossing come (s), and the weight that each has."""

    share: Floats
    radius: Floats
    contrast: Floats
    trail_on_s: Floats
    trail_off_s: Floats
    weight: Floats

    @staticmethod
    def of(passages: Floats, search: Search, noise: Noise = NO_NOISE) -> Told:
        """Of `Detector.passages`; what is hardly a disk is left out. noise: does not count."""
        rules = search.rules
        clear = 1 / (1 + np.exp(-rules.confidence_odds_slope * (passages[:, 6] - rules.even_odds)))
        weight = np.minimum(passages[:, 3], _MOST_CROSSINGS) * clear
        kept = (weight > 0) & (clear >= 0.5)
        share, radius, contrast, _, trail_on_s, trail_off_s = passages[kept, :6].T
        if noise.hz:
            share = _without_noise(share, radius, passages[kept, 8], noise, rules)
        return Told(share, radius, contrast, trail_on_s, trail_off_s, weight[kept])

    def __len__(self) -> int:
        return self.weight.size

    def enough(self, crossings: float = ENOUGH_CROSSINGS) -> bool:
        return len(self) >= ENOUGH_OBJECTS or float(self.weight.sum()) >= crossings

    def median(self, name: str) -> float:
        """Weighted, of a column."""
        return float(weighted_quantile(getattr(self, name), self.weight, 0.5))

    def suiting(self, start_px: float) -> float:
        """The radius, in px, of a ring that suits all sizes: `start_px` where they are within a tenth of it, else the
        middle between the smallest and the largest.

        Bright disks of real pixels look larger than dark ones, and a ring as large as either loses the other, the more
        so if it is slow; and those of one kind may not be followed yet. Rejected: the median, which is that of the
        faster ones."""
        weight = np.minimum(self.weight, _SIZED_CROSSINGS)
        low, high = (float(weighted_quantile(self.radius, weight, part)) for part in (_SIZES_LEFT, 1 - _SIZES_LEFT))
        alike = start_px / _ALIKE < low and high < start_px * _ALIKE
        return start_px if alike else (low + high) / 2

    def spread(self, name: str) -> Spread:
        low, middle, high = (weighted_quantile(getattr(self, name), self.weight, part) for part in (0.25, 0.5, 0.75))
        return Spread(middle, low, high, len(self))


def _without_noise(share: Floats, radius: Floats, speed: Floats, noise: Noise, rules: Rules) -> Floats:
    """The share of edge crossings that would pass if there were no noise. radius: px; speed: px/s.

    Per px of travel a disk crosses 4 R pixels, and its gate, of 4 pi R g px, has the noise events of a time 1 / v: of
    those before its edges the usual share passes, of those behind them, which have just been crossed, what changes
    polarity.
    """
    gate = np.array([rules.wide_gate(r) for r in radius])
    speed = np.maximum(speed, 1e-3)
    passing = noise.passing(1e6 * rules.silence_px / speed)
    of_noise = np.pi * gate * noise.hz * (passing + noise.flips) / 2 / speed
    return np.asarray(np.maximum(share - of_noise, 0.0) / passing)


@dataclass(frozen=True, eq=False)
class Seen:
    """What a pass gave. t_us, speed and its error (px/s) and band: of all rows. stop_us: how far it went. short: it
    ended where there was enough to measure by."""

    told: Told
    t_us: NDArray[np.int64]
    speed: Floats
    error: Floats
    band: NDArray[np.int32]
    stop_us: int
    short: bool


class Passes:
    """Passes over stretches of a recording, as the search sees it. made: how many so far, and how long the stretches
    were together, made_us. blind: the last one saw nothing that deserves to be measured for clutter."""

    def __init__(self, search: Search) -> None:
        # What the neurons vote for is what is calibrated, also where a speed changes.
        rules = search.rules.by_neurons()
        self._search = replace(search, every_us=EVERY_US, rules=rules)
        self.made, self.made_us = 0, 0
        self.blind = self._seen = False
        self._work = self._vain_us = 0
        radius = search.radius
        self._usual = len(bank_radii(*radius)) if isinstance(radius, tuple) and not search.templates else 1  # networks

    @property
    def left(self) -> bool:
        """Whether there may be another one."""
        if self._seen:
            return self.made_us < MOST_US
        return self._vain_us < VAIN_US and self._work < VAIN_WORK

    def see(
        self,
        networks: Network | Sequence[Network],
        stretch: Recording,
        *,
        soon: bool = False,
        until_us: int | None = None,
    ) -> Seen:
        """soon: end as soon as enough was followed to measure the recording by it. until_us: go no further than that,
        where it is to be compared with another pass."""
        self.made += 1
        first = as_networks(networks)[0].origin.noise
        noise = NO_NOISE if first is None else Noise(*first)
        online = self._search.online(networks, stretch.size, final_only=True)
        event_work = sum(max(network.layers[0].kernel.size / _WEIGHTS, 1.0) for network in online.networks)
        rows: list[dict[str, NDArray[Any]]] = []
        work, stop_us, short = 0.0, stretch.start_us, False
        told = Told.of(online.detector.passages(), self._search, noise)
        for block, spikes, at_end in ahead(respond(online, stretch.between(stop_us=until_us).blocks())):
            rows.append(online.locate(block, spikes, block.stop_us, at_end=at_end))
            stop_us = block.stop_us
            work += event_work * len(block) + _SPIKE_WORK * len(spikes.final())
            told = Told.of(online.detector.passages(), self._search, noise)
            short = soon and told.enough(_SOON_CROSSINGS) and stop_us - stretch.start_us >= _SOON_US and not at_end
            vain = not any(len(part["t_us"]) for part in rows)
            judged = (told.enough() or vain) and stop_us - stretch.start_us >= _JUDGED_US
            if short or judged or work >= MOST_WORK:
                break
        self.made_us += stop_us - stretch.start_us
        self._vain_us += len(online.networks) * (stop_us - stretch.start_us) // self._usual
        self._work += round(work)
        self._seen |= len(told) > 0
        self.blind = not len(told) and online.crowding.crowded > _CROWDED * online.crowding.births
        del online  # a membrane for each pixel and channel
        trim_heap()
        names = ("t_us", "speed_px_s", "speed_err_px_s", "band")
        t_us, speed, error, band = (np.concatenate([part[name] for part in rows]) for name in names)
        return Seen(told, t_us, speed, error, band, stop_us, short)
