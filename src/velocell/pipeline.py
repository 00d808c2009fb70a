"""The whole story on one page: Recording -> network -> spikes -> Tracks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from velocell import engines, provenance
from velocell.calibrate import CROSSING_SHARE, bank_radii, bank_recipe, calibrate, choose_dt_us
from velocell.detect import Detector, as_networks
from velocell.errors import OptionError, RecordingError
from velocell.network import Bands, Network
from velocell.recording import Polarity, Recording
from velocell.shapes import Template
from velocell.spikes import Spikes
from velocell.tracks import COLUMNS, Tracks

T = TypeVar("T")

EVERY_US = 5_000
BLOCK_US = 100_000  # events are handed on in blocks of this length, so that memory stays bounded
PROBE_US = 1_000_000  # the share of edge crossings is measured on this much of the recording
NOT_MEASURED = "assumed: nothing was followed from which to measure the share of edge crossings"
_PROBES = 5
_ENOUGH = 50  # objects, for a median
_SETTLED = 0.03
_MOST_SHARE = 1.4
_SAME_RADIUS = 0.03
_RADIUS_LIMIT = 1.25
_RADIUS_FACTORS = (1.0, 0.87, 1.15)


@dataclass(frozen=True)
class Detection:
    """What `detect` found: the table, every layer's spikes (empty unless asked for), the networks used, one
    for each radius.

    too_sparse: contrast and radius should have been measured on the recording, but nothing in it could
    be followed for long enough, so they are assumed.
    """

    tracks: Tracks
    spikes: Spikes
    networks: tuple[Network, ...]
    too_sparse: bool = False

    @property
    def network(self) -> Network:
        """The network used; of several, the one for the smallest radius."""
        return self.networks[0]

    def _repr_html_(self) -> str:
        return self.tracks._repr_html_() + self.network._repr_html_()


def detect(
    recording: Recording,
    bands: Bands | Sequence[float] | None = None,
    radius: float | tuple[float, float] = 5.0,
    *,
    contrast: float | None = None,
    dt_us: int | None = None,
    every_us: int = EVERY_US,
    polarity: Polarity = "merge",
    template: Template | None = None,
    network: Network | Sequence[Network] | None = None,
    engine: str = "native",
    keep_spikes: bool = True,
    on_block: Callable[[Recording], object] | None = None,
) -> Detection:
    """Find disks of `radius` px in a recording and tell in which of the `bands` (px/s) each moves.

    A pair of radii is a range: several networks look for disks of all sizes in it. A `template` is looked for
    instead of disks: any silhouette that moves without turning.

    Left out, `contrast` is taken from the recording. `polarity`: `merge` and `both` feed all events to
    the network, whose trail filter, where the recording has polarity, uses it to tell two edges
    apart; `on` and `off` select; `recording.with_polarity("merge")` drops it altogether. A given
    `network` replaces the calibration.
    `on_block` is called with each part of the recording that is done, for a progress bar.
    Raises VelocellError for values or recordings from which nothing can follow.
    """
    if every_us < 1:
        raise OptionError(f"the reporting interval must be at least 1 us, got {every_us}")
    # One input map sees both polarities; a trail filter still uses them to tell two edges apart.
    seen = recording if polarity in ("merge", "both") else recording.with_polarity(polarity)
    if not len(seen):
        raise RecordingError(f"{recording.source or 'the recording'} has no events; there is nothing to detect in it")
    too_sparse = False
    if network is None:
        if bands is None:
            raise OptionError("detection needs speed bands or a network; give --bands or --network")
        network = networks_for(seen, bands, radius, contrast=contrast, dt_us=dt_us, template=template, engine=engine)
        too_sparse = network[0].origin["n"] == NOT_MEASURED
    networks = as_networks(network)
    rows: list[dict[str, Any]] = []
    spikes: list[Spikes] = []
    for found, answered in follow(
        networks, seen, every_us=every_us, template=template, engine=engine, on_block=on_block
    ):
        rows.append(found)
        if keep_spikes:
            spikes.append(answered)
    columns = {name: np.concatenate([part.pop(name) for part in rows]) for name in COLUMNS}
    tracks = Tracks.from_columns(columns, provenance.of_detection(recording, networks))
    return Detection(tracks, Spikes.concatenate(spikes), networks, too_sparse)


def detect_shapes(
    recording: Recording, bands: Bands | Sequence[float], templates: Sequence[Template], **settings: Any
) -> Detection:
    """Look for several shapes, one after the other; the tracks' extra column `name` tells which.

    settings: of `detect`. Ids go on from shape to shape. Where two templates are alike, an object may be
    followed as both.
    """
    found = [detect(recording, bands, template=template, **settings) for template in templates]
    columns = []
    first = 0
    for template, detection in zip(templates, found, strict=True):
        tracks = detection.tracks
        names = np.full(len(tracks), template.name)
        columns.append({**tracks.columns(), "id": tracks.id + first, "name": names})
        first += int(tracks.id.max(initial=-1)) + 1
    joined = {name: np.concatenate([part[name] for part in columns]) for name in columns[0]}
    networks = tuple(network for detection in found for network in detection.networks)
    return Detection(
        Tracks.from_columns(joined, provenance.of_detection(recording, networks)),
        Spikes.concatenate([detection.spikes for detection in found]),
        networks,
        any(detection.too_sparse for detection in found),
    )


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
            return replace(settled[0], origin={**settled[0].origin, "stated_radius_px": radius})
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
        networks = tuple(_told(network, passages) for network in trial)
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
    """The network, whose origin tells that nothing could be measured."""
    return replace(network, origin={**network.origin, "n": NOT_MEASURED})


def _told(network: Network, passages: NDArray[np.float64]) -> Network:
    """The network with what was measured in its origin: median, quartiles, number of objects."""
    low, middle, high = np.percentile(passages, [25, 50, 75], axis=0)

    def text(column: int) -> str:
        spread = f"{low[column]:.3g} to {high[column]:.3g}"
        return f"{middle[column]:.3g} ({spread}, the quartiles of {len(passages)} objects)"

    measured = {
        "n": f"share of edge crossings that pass the trail filter, measured: {text(0)}",
        "contrast": f"events per pixel and edge crossing, measured: {text(2)}; the trail filter makes it irrelevant",
    }
    return replace(network, origin={**network.origin, **measured})


def _passages(
    network: Network | Sequence[Network], recording: Recording, engine: str, template: Template | None
) -> NDArray[np.float64]:
    detector = Detector(network, recording.size, EVERY_US, template)
    for block, spikes in respond(network, recording, engine):
        detector.step(block, spikes, block.stop_us)
        if len(detector.passages()) >= _ENOUGH:
            break
    return detector.passages()
