"""`Detection`: what networks find in a whole recording."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.data.tables import COLUMNS
from velocell.data.tracks import Tracks
from velocell.network import Network
from velocell.network.origin import of_detection
from velocell.tracking.detector import NO_CROWDING, Crowding
from velocell.tracking.online import Online, follow


@dataclass(frozen=True)
class Detection:
    """What `detect` found: the table, every layer's spikes (empty unless asked for), the networks used, one
    for each radius.

    too_sparse: contrast and radius should have been measured on the recording, but nothing in it could
    be followed for long enough, so they are assumed. crowding: how often candidates for objects were too many.
    """

    tracks: Tracks
    spikes: Spikes
    networks: tuple[Network, ...]
    too_sparse: bool = False
    crowding: Crowding = NO_CROWDING

    @property
    def network(self) -> Network:
        """The network used; of several, the one for the smallest radius."""
        return self.networks[0]

    def _repr_html_(self) -> str:
        return self.tracks._repr_html_() + self.network._repr_html_()


def detection(
    online: Online,
    recording: Recording,
    *,
    keep_spikes: bool = True,
    on_block: Callable[[Recording], object] | None = None,
) -> Detection:
    """Run all of a recording. keep_spikes: hand the spikes on, which may be many. on_block: called with each part that
    is done."""
    rows: list[dict[str, Any]] = []
    spikes: list[Spikes] = []
    for found, answered in follow(online, recording, on_block):
        rows.append(found)
        if keep_spikes:
            spikes.append(answered)
    columns = {name: np.concatenate([part.pop(name) for part in rows]) for name in COLUMNS}
    tracks = Tracks.from_columns(columns, of_detection(recording, online.networks))
    return Detection(tracks, Spikes.concatenate(spikes), online.networks, crowding=online.detector.crowding)
