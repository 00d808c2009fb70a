"""Contrast and radius measured on the recording itself: detection and calibration take turns.

On the first stretch that has objects which deserve it (`stretch`, `passes`). The share of edge crossings that arrives
and the radius come from the usual ring; then come wider rings and the edges of the bands (`widths`, `edges`), where
what was seen asks for them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from velocell.calibration.formulas import CROSSING_SHARE, SMALLEST_PX, calibrate, choose_dt_us
from velocell.calibration.noise import NO_NOISE, Noise, measured_noise
from velocell.calibration.passes import Passes, Seen, Told
from velocell.calibration.recipe import Recipe, bank_radii, bank_recipe
from velocell.calibration.search import Search
from velocell.calibration.stretch import PROBE_US, stretches
from velocell.calibration.widths import Settled, is_plain, settled_edges, suited
from velocell.data.bands import Bands
from velocell.data.blocks import Footage
from velocell.data.recording import Recording
from velocell.data.stamps import NO_STEP, Step, time_step
from velocell.network import Network

_PROBES = 5
_SETTLING_US = 2_000_000  # of the passes; the rest is for the width of the ring and the edges
_SETTLED = 0.03
_MOST_SHARE = 2.0
# What thresholds are made for. Below, noise would fire; what comes above one event a crossing trails behind the edge.
_LEAST_SHARE, _MOST_USED = 0.2, 1.15
_SAME_RADIUS = 0.03
# Where a peak is lower than predicted, an object between two bands is in the wrong one, and one at the lowest edge is
# not found at all: dark disks of real pixels, 10 to 20 % above it. So that channel begins lower, by half of the tenth
# within which a band may be either. With all of it the wheel of a recorded car (data/two_cars_davis346) was lost.
LOWEST_SHARE = 0.95
_RADIUS_LIMIT = 1.25
# Bright disks look larger than dark ones, and may be followed alone at first: a ring for them would never show the
# others. So half of the way to a larger radius is left out, but no more than a ring of 2 px holds.
_LEFT_PX = 0.4
# Sizes of disks, in stated radii, that are looked for where that finds nothing: half to twice of what is stated. A disk
# between two of them is near enough to the ring of one. Where a radius is wrong, events may be missing as well.
_SIZES, _FEW_CROSSINGS = (0.6, 0.7, 0.82, 1.12, 1.31, 1.54, 1.8), 0.6
_RADIUS_FACTORS = (1.0, 0.87, 1.15)  # tried before: a few crossings of an object of about that size will do
_SURE_CROSSINGS = 400.0  # of all that was followed: 20 px of the way of one disk of R = 5, which shows all of them


def network_for(
    recording: Recording,
    bands: Bands | Sequence[float],
    radius: float,
    *,
    contrast: float | None = None,
    dt_us: int | None = None,
    engine: str = "native",
) -> Network:
    """Calibrate for disks of one radius; without a contrast, measure it and the radius (`networks_for`)."""
    return networks_for(recording, Search.of(bands, radius, contrast=contrast, dt_us=dt_us, engine=engine))[0]


def networks_for(recording: Recording, search: Search) -> tuple[Network, ...]:
    """Calibrate; without a contrast, measure on the first stretch of a second that has objects which share of the edge
    crossings arrives, and the radius, which may be stated half or twice as large as it is.

    One network for a radius or a template; those for all sizes in a range, calibrated together. Thresholds are
    proportional to that share and depend on the radius, and both can be read from any object that is
    followed. So detection and calibration take turns until they agree. recording: what the search sees of it.
    Raises CalibrationError (or NetworkError) for values from which no network follows.
    """
    return networks_in(recording, search)


def networks_in(footage: Footage, search: Search) -> tuple[Network, ...]:
    """`networks_for` what is read in blocks, of which the search sees its part."""
    found = stretches(map(search.seen, footage.peek()))
    return networks_on(found, search.seen(footage.head(PROBE_US)), search)


def networks_on(found: Iterable[Recording], first: Recording, search: Search) -> tuple[Network, ...]:
    """`networks_for` stretches that were found already; first: the first second, of which size, polarity and the step
    of the time stamps count where nothing can be measured."""
    safe = _Calibrated.on(first, search, NO_NOISE)
    stated = safe.networks(CROSSING_SHARE, search.start_px)
    stated[-1].check_size(*first.size)
    if search.contrast is not None:
        return stated
    passes = Passes(search)
    for stretch in found:
        del first  # it may be a large part of the memory
        first = stretch
        networks = measured_on(stretch, search, passes)
        if networks is not None:
            return networks
        if not passes.left:
            break
    stated = replace(safe, noise=measured_noise(first)).networks(CROSSING_SHARE, search.start_px)
    return tuple(_with(network, basis="too_sparse", looked_us=passes.made_us) for network in stated)


def measured_on(stretch: Recording, search: Search, passes: Passes) -> tuple[Network, ...] | None:
    """The networks that follow from what is seen in this stretch; None where nothing deserves to be measured.

    The radius is measured where one is stated. Where that finds nothing, radii a little off are tried, unless clutter
    hides what there is, and then disks of all other sizes are looked for.
    """
    making = _Calibrated.on(stretch, search, measured_noise(stretch))
    if isinstance(search.radius, tuple) and not search.templates:
        return _for_range(making, stretch, passes)
    for factor in _RADIUS_FACTORS if search.start_px else (0.0,):
        settled = _settled(making, stretch, passes, search.start_px * factor)
        if settled is not None or passes.blind:
            break
    if settled is None and search.start_px:
        other = _other(making, stretch, passes)
        settled = None if other is None else _settled(making, stretch, passes, other[1], share=other[0])
    if settled is None:
        return None
    networks = settled[0]
    if search.start_px:
        networks = (_with(_best(making, settled, stretch, passes), stated_radius_px=search.start_px),)
    return tuple(_with(network, looked_us=passes.made_us) for network in networks)


def _for_range(making: _Calibrated, stretch: Recording, passes: Passes) -> tuple[Network, ...] | None:
    """The networks for all sizes. Every other ring follows enough objects to measure their edges by, at half the cost;
    all of them look where these find none."""
    for rings in (replace(making, ring_step=2), making):
        settled = _settled(rings, stretch, passes, 0.0)
        if settled is not None:
            (network, *_), seen = settled
            assert network.origin.crossings is not None  # it is calibrated
            networks = (_measured(one, seen, stretch) for one in making.networks(network.origin.crossings, 0.0))
            return tuple(_with(one, looked_us=passes.made_us) for one in networks)
    return None


def _other(making: _Calibrated, stretch: Recording, passes: Passes) -> tuple[float, float] | None:
    """Share of edge crossings and radius of the disks that are there instead of those stated: of another size, or of
    which most events are missing. None where there are none for sure. One pass for all sizes at once."""
    if not passes.left or making.search.recipe != Recipe():
        return None
    sizes = (max(making.search.start_px * size, SMALLEST_PX) for size in _SIZES)
    looked = (making.networks(_FEW_CROSSINGS, size, bank_recipe(size))[0] for size in sorted(set(sizes)))
    networks = [network for network in looked if network.fits(*stretch.size)]
    told = passes.see(networks, stretch, soon=True).told
    if float(told.weight.sum()) < _SURE_CROSSINGS:
        return None
    return min(max(told.median("share"), _LEAST_SHARE), _MOST_USED), told.median("radius")


@dataclass(frozen=True)
class _Calibrated:
    """Makes networks from a share of edge crossings and a radius, all else being known. step: of the time stamps;
    noise: of the recording; ring_step: of all rings of a range, only every so many."""

    search: Search
    polarity: bool
    step: Step
    noise: Noise
    ring_step: int = 1

    @staticmethod
    def on(stretch: Recording, search: Search, noise: Noise) -> _Calibrated:
        return _Calibrated(search, stretch.p is not None, time_step(stretch), noise)

    def networks(self, share: float, radius_px: float, recipe: Recipe | None = None) -> tuple[Network, ...]:
        wanted = self.search if recipe is None else replace(self.search, recipe=recipe)
        made = networks_from(wanted, radius_px, polarity=self.polarity, share=share, step=self.step, noise=self.noise)
        return made[:: self.ring_step]


def _best(
    making: _Calibrated, settled: tuple[tuple[Network, ...], Seen], stretch: Recording, passes: Passes
) -> Network:
    """With the ring and the edges that suit what was seen."""
    ((network,), seen), search = settled, making.search
    share, radius = network.origin.crossings, network.radius_px
    assert share is not None  # it is calibrated
    assert radius is not None

    def wider(width_px: float) -> Network:
        made = making.networks(share, radius, replace(search.recipe, ring_width_px=width_px))[0]
        return _measured(made, seen, stretch)

    found = Settled(network, seen)
    if is_plain(network, search):
        found = suited(found, wider, stretch, passes)
    if search.recipe == Recipe():
        found = settled_edges(found, stretch, passes)
    return found.network


def networks_from(
    search: Search,
    radius_px: float,
    *,
    polarity: bool,
    share: float = CROSSING_SHARE,
    step: Step = NO_STEP,
    noise: Noise = NO_NOISE,
) -> tuple[Network, ...]:
    """The networks that follow from values alone: one for `radius_px` or a template, or those for all radii in a range.

    polarity: whether the events have one; share: of the edge crossings that arrive; step: of the time stamps;
    noise: of the recording. Raises as `networks_for`.
    """
    assert search.bands is not None  # a search without networks has them
    bands, dt_us, step = search.bands, search.dt_us, step.for_speeds(search.bands.edges[-1])
    if dt_us is None and (search.template is not None or isinstance(search.radius, tuple)):
        # All in the same ticks: what suits the narrowest ring suits the others.
        dt_us = choose_dt_us(bands.edges[-1], step_us=step.us)
    more: dict[str, Any] = {
        "dt_us": dt_us,
        "contrast": search.contrast,
        "polarity": polarity,
        "crossing_share": share,
        "step_us": step.us,
        "scanned": bool(step.scanned),
        "noise": noise,
        "lowest_share": LOWEST_SHARE if search.contrast is None else 1.0,
    }
    if search.template is not None:
        return (calibrate(bands, template=search.template, **more),)
    if isinstance(search.radius, tuple):
        return tuple(calibrate(bands, r, recipe=bank_recipe(r), **more) for r in bank_radii(*search.radius))
    return (calibrate(bands, radius_px, recipe=search.recipe, **more),)


def _settled(
    making: _Calibrated, stretch: Recording, passes: Passes, radius: float, *, share: float = CROSSING_SHARE
) -> tuple[tuple[Network, ...], Seen] | None:
    """The networks that agree with what they measure themselves in the stretch, and what they saw; None where they
    follow nothing that deserves it.

    radius, share: where to start; the radius is 0 where it is not measured.
    """
    stated, smallest, largest = radius, radius / _RADIUS_LIMIT, radius * _RADIUS_LIMIT
    best, least_off = None, math.inf
    for number in range(_PROBES):
        if not passes.left or (best is not None and passes.made_us >= _SETTLING_US):
            break
        trial = making.networks(share, radius)
        seen = passes.see(trial, stretch, soon=number == 0)
        if not len(seen.told):
            break
        seen_share, seen_radius = seen.told.median("share"), seen.told.suiting(stated)
        off_share = abs(seen_share / share - 1) / _SETTLED
        larger = max(seen_radius - stated, 0.0)
        target = min(max(seen_radius - min(larger / 2, _LEFT_PX), smallest), largest)
        off_radius = abs(target / radius - 1) / _SAME_RADIUS if radius else 0.0
        off = max(off_share, off_radius)
        # Far more events than edges that cross: flicker, which says nothing of any disk.
        if seen_share < _MOST_SHARE and off < least_off:
            best, least_off = (tuple(_measured(network, seen, stretch) for network in trial), seen), off
        if off < 1 and not seen.short:
            break
        before = share, radius
        share = min(max(seen_share, _LEAST_SHARE), _MOST_USED)
        if off_radius >= 1:
            radius = target
        if (share, radius) == before and not seen.short:
            break
    return best


def _measured(network: Network, seen: Seen, stretch: Recording) -> Network:
    """The network with what was measured in its origin."""
    told: Told = seen.told
    return _with(
        network,
        basis="measured",
        share=told.spread("share"),
        contrast=told.spread("contrast"),
        trails_ms=(1e3 * told.median("trail_on_s"), 1e3 * told.median("trail_off_s")),
        measured_us=(stretch.start_us, seen.stop_us),
    )


def _with(network: Network, **origin: Any) -> Network:
    return replace(network, origin=replace(network.origin, **origin))
