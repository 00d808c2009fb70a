"""The whole story on one page: Recording -> network -> spikes -> Tracks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from velocell.calibration.measure import network_for, networks_for
from velocell.calibration.search import Search
from velocell.data.bands import Bands
from velocell.data.recording import Polarity, Recording
from velocell.data.spikes import Spikes
from velocell.data.tracks import Tracks
from velocell.errors import RecordingError
from velocell.network import Network
from velocell.network.origin import of_detection
from velocell.network.template import Template
from velocell.tracking.detection import Detection, detection
from velocell.tracking.detector import Crowding
from velocell.tracking.online import EVERY_US
from velocell.tracking.rules import DEFAULTS, Rules

__all__ = ["Detection", "detect", "detect_shapes", "find", "network_for", "networks_for"]


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
    rules: Rules = DEFAULTS,
    keep_s: float | None = None,
    keep_spikes: bool = True,
    on_block: Callable[[Recording], object] | None = None,
) -> Detection:
    """Find disks of `radius` px in a recording, and in which of the `bands` (px/s) each moves.

    A pair of radii is a range: several networks look for disks of all sizes in it. A `template` is looked for
    instead of disks: any silhouette that moves without turning.

    Left out, `contrast` is taken from the recording. `polarity`: `merge` and `both` feed all events to
    the network, whose trail filter uses polarity, where there is one, to separate two edges; `on` and `off`
    select; `drop` forgets it. A given `network` replaces the calibration. rules: the tracker's thresholds and
    memories, by name. keep_s: how long an object that rests or is hidden keeps its id, and one at rest its rows, in
    seconds; that of the rules if not given. keep_spikes: keep the spikes of all layers in the result. on_block:
    called with each part of the recording that is done, for a progress bar.
    Raises VelocellError for values or recordings from which nothing can follow.
    """
    search = Search.of(
        bands,
        radius,
        contrast=contrast,
        dt_us=dt_us,
        every_us=every_us,
        polarity=polarity,
        template=template,
        network=network,
        engine=engine,
        rules=rules,
        keep_s=keep_s,
    )
    return _find_one(recording, search, keep_spikes, on_block)


def find(
    recording: Recording,
    search: Search,
    *,
    keep_spikes: bool = True,
    on_block: Callable[[Recording], object] | None = None,
) -> Detection:
    """`detect` for a `Search`. Of several templates one after the other is looked for; the tracks' extra column `name`
    says which, ids go on from one to the next, and where two are alike an object may be followed as both."""
    found = [_find_one(recording, one, keep_spikes, on_block) for one in search.each()]
    return _joined(recording, search.templates, found) if search.templates else found[0]


def detect_shapes(
    recording: Recording, bands: Bands | Sequence[float], templates: Sequence[Template], **settings: Any
) -> Detection:
    """`find` for several shapes in the `bands` (px/s). settings: of `detect`, by name."""
    progress = {name: settings.pop(name) for name in ("keep_spikes", "on_block") if name in settings}
    search = replace(Search.of(bands, **settings), templates=tuple(templates))
    return find(recording, search, **progress)


def _find_one(
    recording: Recording, search: Search, keep_spikes: bool, on_block: Callable[[Recording], object] | None
) -> Detection:
    seen = search.seen(recording)
    if not len(seen):
        raise RecordingError(f"{recording.source or 'the recording'} has no events; there is nothing to detect in it")
    networks = search.networks or networks_for(seen, search)
    found = detection(search.online(networks, seen.size), seen, keep_spikes=keep_spikes, on_block=on_block)
    tracks = replace(found.tracks, meta=of_detection(recording, networks))
    return replace(found, tracks=tracks, too_sparse=search.measures and networks[0].origin.too_sparse)


def _joined(recording: Recording, templates: Sequence[Template], found: Sequence[Detection]) -> Detection:
    columns = []
    first = 0
    for template, part in zip(templates, found, strict=True):
        names = np.full(len(part.tracks), template.name)
        columns.append({**part.tracks.columns(), "id": part.tracks.id + first, "name": names})
        first += int(part.tracks.id.max(initial=-1)) + 1
    joined = {name: np.concatenate([part[name] for part in columns]) for name in columns[0]}
    networks = tuple(network for part in found for network in part.networks)
    return Detection(
        Tracks.from_columns(joined, of_detection(recording, networks)),
        Spikes.concatenate([part.spikes for part in found]),
        networks,
        any(part.too_sparse for part in found),
        Crowding(*(sum(getattr(part.crowding, name) for part in found) for name in ("births", "crowded"))),
    )
