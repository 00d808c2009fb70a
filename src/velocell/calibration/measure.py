"""Contrast and radius measured on the recording itself: detection and calibration take turns."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.calibration.formulas import CROSSING_SHARE, calibrate, choose_dt_us
from velocell.calibration.recipe import Recipe, bank_radii, bank_recipe
from velocell.calibration.search import Search
from velocell.calibration.widths import settled_edges, suited
from velocell.data.arrays import Floats, weighted_quantile
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.data.stamps import NO_STEP, Step, time_step
from velocell.network import Network
from velocell.network.origin import Spread
from velocell.tracking.online import BLOCK_US, EVERY_US, respond

PROBE_US = 1_000_000  # the share of edge crossings is measured on this much of the recording
_PROBES = 5
_ENOUGH = 50  # objects, for a median
_SETTLED = 0.03
_MOST_SHARE = 2.0
# What thresholds are made for. Below, noise would fire; what comes above one event a crossing trails behind the edge.
_LEAST_SHARE, _MOST_USED = 0.2, 1.15
_SAME_RADIUS = 0.03
_RADIUS_LIMIT = 1.25
_RADIUS_FACTORS = (1.0, 0.87, 1.15)


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
    """Calibrate; without a contrast, measure on the first second which share of the edge crossings
    arrives, and the radius, which may be stated up to a fifth wrong.

    One network for a radius or a template; those for all sizes in a range, calibrated together. Thresholds are
    proportional to that share and depend on the radius, and both can be read from any object that is
    followed. So detection and calibration take turns until they agree. recording: what the search sees of it.
    Raises CalibrationError (or NetworkError) for values from which no network follows.
    """
    several = search.template is not None or isinstance(search.radius, tuple)
    # As of a stream, of which only so much is there when it is measured.
    step = time_step(recording.between(stop_us=recording.start_us + PROBE_US))

    def calibrated(share: float, measured_px: float, recipe: Recipe = search.recipe) -> tuple[Network, ...]:
        wanted = replace(search, recipe=recipe)
        return networks_from(wanted, measured_px, polarity=recording.p is not None, share=share, step=step)

    def with_recipe(recipe: Recipe, probe: Recording) -> Network | None:
        made = _settled(partial(calibrated, recipe=recipe), probe, search, search.one_radius())
        return None if made is None else made[0]

    stated = calibrated(CROSSING_SHARE, 0.0 if isinstance(search.radius, tuple) else search.radius)
    stated[-1].check_size(*recording.size)
    if search.contrast is not None:
        return stated
    if several:
        return _settled(calibrated, recording, search, 0.0) or tuple(map(_assumed, stated))
    for factor in _RADIUS_FACTORS:  # the others only where the stated radius finds nothing
        settled = _settled(calibrated, recording, search, search.one_radius() * factor)
        if settled is not None:
            probe = recording.between(stop_us=recording.start_us + PROBE_US)
            best = suited(settled[0], with_recipe, probe, search)
            return (_with(settled_edges(best, probe, search), stated_radius_px=search.radius),)
    return (_assumed(stated[0]),)


def networks_from(
    search: Search, radius_px: float, *, polarity: bool, share: float = CROSSING_SHARE, step: Step = NO_STEP
) -> tuple[Network, ...]:
    """The networks that follow from values alone: one for `radius_px` or a template, or those for all radii in a range.

    polarity: whether the events have one; share: of the edge crossings that arrive; step: of the time stamps.
    Raises as `networks_for`.
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
    }
    if search.template is not None:
        return (calibrate(bands, template=search.template, **more),)
    if isinstance(search.radius, tuple):
        return tuple(calibrate(bands, r, recipe=bank_recipe(r), **more) for r in bank_radii(*search.radius))
    return (calibrate(bands, radius_px, recipe=search.recipe, **more),)


def _settled(
    calibrated: Callable[[float, float], tuple[Network, ...]], recording: Recording, search: Search, radius: float
) -> tuple[Network, ...] | None:
    """The networks that agree with what they measure themselves on the first second; None where they follow
    nothing.

    calibrated: makes them from a share of edge crossings and a radius. radius: where to start, 0 where it is not
    measured.
    """
    probe = recording.between(stop_us=recording.start_us + PROBE_US)
    share, smallest, largest = CROSSING_SHARE, radius / _RADIUS_LIMIT, radius * _RADIUS_LIMIT
    best, least_off = None, math.inf
    for _ in range(_PROBES):
        trial = calibrated(share, radius)
        passages = _passages(trial, probe, search)
        if not len(passages):
            break
        seen_share, seen_radius = (weighted_quantile(passages[:, k], passages[:, 3], 0.5) for k in range(2))
        off_share = abs(seen_share / share - 1) / _SETTLED
        off_radius = abs(seen_radius / radius - 1) / _SAME_RADIUS if radius else 0.0
        off = max(off_share, off_radius)
        # Far more events than edges that cross: flicker, which tells nothing of any disk.
        if seen_share < _MOST_SHARE and off < least_off:
            best, least_off = tuple(_measured(network, passages) for network in trial), off
        if off < 1:
            break
        before = share, radius
        share = min(max(seen_share, _LEAST_SHARE), _MOST_USED)
        if off_radius >= 1:
            radius = min(max(seen_radius, smallest), largest)
        if (share, radius) == before:
            break
    return best


def _assumed(network: Network) -> Network:
    """The network, whose origin says that nothing could be measured."""
    return _with(network, basis="too_sparse")


def _measured(network: Network, passages: NDArray[np.float64]) -> Network:
    """The network with what was measured in its origin."""
    share, contrast = (_spread(passages[:, k], passages[:, 3]) for k in (0, 2))
    trails_ms = tuple(1e3 * weighted_quantile(passages[:, k], passages[:, 3], 0.5) for k in (4, 5))
    return _with(network, basis="measured", share=share, contrast=contrast, trails_ms=trails_ms)


def _spread(values: Floats, weights: Floats) -> Spread:
    low, middle, high = (weighted_quantile(values, weights, part) for part in (0.25, 0.5, 0.75))
    return Spread(middle, low, high, len(values))


def _with(network: Network, **origin: Any) -> Network:
    return replace(network, origin=replace(network.origin, **origin))


def _passages(networks: Sequence[Network], recording: Recording, search: Search) -> NDArray[np.float64]:
    online = replace(search, every_us=EVERY_US).online(networks, recording.size)
    for step, spikes, _ in respond(online, recording.blocks()):
        online.locate(step, spikes, step.stop_us)
        # Whatever happens in it, a stretch of BLOCK_US is used to its end.
        if step.stop_us % BLOCK_US == 0 and len(online.detector.passages()) >= _ENOUGH:
            break
    passages = online.detector.passages()
    return passages[passages[:, 3] > 0]
