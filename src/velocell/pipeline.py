"""The whole story on one page: Recording -> network -> spikes -> Tracks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from velocell.calibration.measure import networks_for
from velocell.data.bands import Bands
from velocell.data.recording import Polarity, Recording
from velocell.data.spikes import Spikes
from velocell.data.tables import COLUMNS
from velocell.data.tracks import Tracks
from velocell.errors import OptionError, RecordingError
from velocell.network import Network
from velocell.network.origin import of_detection
from velocell.network.template import Template
from velocell.tracking.detection import Detection
from velocell.tracking.detector import as_networks
from velocell.tracking.online import EVERY_US, follow


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
        too_sparse = network[0].origin.too_sparse
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
    tracks = Tracks.from_columns(columns, of_detection(recording, networks))
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
        Tracks.from_columns(joined, of_detection(recording, networks)),
        Spikes.concatenate([detection.spikes for detection in found]),
        networks,
        any(detection.too_sparse for detection in found),
    )
