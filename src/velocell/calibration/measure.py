"""Contrast and radius measured on the recording itself: detection and calibration take turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.calibration.formulas import CROSSING_SHARE, calibrate, choose_dt_us
from velocell.calibration.recipe import bank_radii, bank_recipe
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.network import Network
from velocell.network.origin import Spread
from velocell.network.template import Template
from velocell.tracking.detector import Detector
from velocell.tracking.online import EVERY_US, respond

PROBE_US = 1_000_000  # the share of edge crossings is measured on this much of the recording
_PROBES = 5
_ENOUGH = 50  # objects, for a median
_SETTLED = 0.03
_MOST_SHARE = 1.4
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
    """Calibrate; without a contrast, measure on the first second which share of the edge crossings
    arrives, and the radius, which may be stated up to a fifth wrong.

    Thresholds are proportional to that share and depend on the radius, and both can be read from
    any object that is followed. So detection and calibration take turns until they agree.
    """
    wanted = bands if isinstance(bands, Bands) else Bands(tuple(bands))

    def calibrated(share: float, true_radius: float) -> tuple[Network, ...]:
        seen = recording.p is not None
        return (calibrate(wanted, true_radius, contrast=contrast, dt_us=dt_us, polarity=seen, crossing_share=share),)

    (stated,) = calibrated(CROSSING_SHARE, radius)
    stated.check_size(*recording.size)
    if contrast is not None:
        return stated
    for factor in _RADIUS_FACTORS:  # the others only where the stated radius finds nothing
        settled = _settled(calibrated, recording, engine, radius=radius * factor)
        if settled is not None:
            return _with(settled[0], stated_radius_px=radius)
    return _assumed(stated)


def networks_for(
    recording: Recording,
    bands: Bands | Sequence[float],
    radius: float | tuple[float, float],
    *,
    contrast: float | None = None,
    dt_us: int | None = None,
    template: Template | None = None,
    engine: str = "native",
) -> tuple[Network, ...]:
    """The network for a radius (`network_for`) or a template, or those for all sizes in a range, calibrated
    together. Raises CalibrationError for a range that is none.
    """
    if template is None and not isinstance(radius, tuple):
        return (network_for(recording, bands, radius, contrast=contrast, dt_us=dt_us, engine=engine),)
    wanted = bands if isinstance(bands, Bands) else Bands(tuple(bands))
    # All in the same ticks: what suits the narrowest ring suits the others.
    dt = choose_dt_us(wanted.edges[-1]) if dt_us is None else dt_us

    def calibrated(share: float, _: float) -> tuple[Network, ...]:
        given: dict[str, Any] = {"contrast": contrast, "dt_us": dt, "polarity": recording.p is not None}
        if not isinstance(radius, tuple):
            return (calibrate(wanted, crossing_share=share, template=template, **given),)
        return tuple(
            calibrate(wanted, one, crossing_share=share, recipe=bank_recipe(one), **given)
            for one in bank_radii(*radius)
        )

    stated = calibrated(CROSSING_SHARE, 0)
    stated[-1].check_size(*recording.size)
    if contrast is not None:
        return stated
    return _settled(calibrated, recording, engine, template=template) or tuple(map(_assumed, stated))


def _settled(
    calibrated: Callable[[float, float], tuple[Network, ...]],
    recording: Recording,
    engine: str,
    *,
    radius: float = 0,
    template: Template | None = None,
) -> tuple[Network, ...] | None:
    """The networks that agree with what they measure themselves on the first second; None where they follow
    nothing.

    calibrated: makes them from a share of edge crossings and, where one is given here, a radius.
    """
    probe = recording.between(stop_us=recording.start_us + PROBE_US)
    share, smallest, largest = CROSSING_SHARE, radius / _RADIUS_LIMIT, radius * _RADIUS_LIMIT
    networks = None
    for _ in range(_PROBES):
        trial = calibrated(share, radius)
        passages = _passages(trial, probe, engine, template)
        if not len(passages):
            break
        networks = tuple(_measured(network, passages) for network in trial)
        seen_share, seen_radius, _ = (float(value) for value in np.median(passages, axis=0))
        same_radius = not radius or abs(seen_radius / radius - 1) < _SAME_RADIUS
        same_share = abs(seen_share / share - 1) < _SETTLED
        share = seen_share
        if same_radius and same_share:
            break
        if not same_radius:
            radius = min(max(seen_radius, smallest), largest)
    # Far more events than edges that cross: flicker, which tells nothing of any disk.
    return networks if share < _MOST_SHARE else None


def _assumed(network: Network) -> Network:
    """The network, whose origin says that nothing could be measured."""
    return _with(network, basis="too_sparse")


def _measured(network: Network, passages: NDArray[np.float64]) -> Network:
    """The network with what was measured in its origin."""
    low, middle, high = np.percentile(passages, [25, 50, 75], axis=0)
    share, _, contrast = (
        Spread(float(middle[k]), float(low[k]), float(high[k]), len(passages)) for k in range(passages.shape[1])
    )
    return _with(network, basis="measured", share=share, contrast=contrast)


def _with(network: Network, **origin: Any) -> Network:
    return replace(network, origin=replace(network.origin, **origin))


def _passages(
    network: Network | Sequence[Network], recording: Recording, engine: str, template: Template | None
) -> NDArray[np.float64]:
    detector = Detector(network, recording.size, EVERY_US, template)
    for block, spikes in respond(network, recording, engine):
        detector.step(block, spikes, block.stop_us)
        if len(detector.passages()) >= _ENOUGH:
            break
    return detector.passages()
