"""From spikes and events to rows of a Tracks table, online.

The final layer's spikes say where a disk is and in which band it moves; raw events around them
say to a fraction of a pixel where it is and, along its path, how fast. The work per event is in
the C++ core (`native/tracker.hpp`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.errors import NetworkError, RecordingError
from velocell.kernels import centre_offset
from velocell.network import Network
from velocell.recording import Recording
from velocell.spikes import Spikes


class Detector:
    """Follows disks through a stream; rows come at every multiple of `every_us`.

    Feed it consecutive parts of a recording with the spikes of the same time. A row at time t
    uses only events and spikes before t.
    """

    def __init__(self, network: Network, size: tuple[int, int], every_us: int = 5_000) -> None:
        from velocell._native import Tracker

        if network.bands is None or network.radius_px is None:
            raise NetworkError("detection needs a network with bands and a radius; calibrate one")
        self._final_layer = len(network.layers) - 1
        self._size = size
        self._tracker = Tracker(
            width=size[0],
            height=size[1],
            every_us=every_us,
            dt_us=network.dt_us,
            radius=network.radius_px,
            edges=list(network.bands.edges),
            offset=centre_offset(network.layers[0].kernel.shape[-1]),
        )

    def step(self, events: Recording, spikes: Spikes, until_us: int) -> dict[str, NDArray[Any]]:
        """Rows (columns of Tracks by name) of all reporting instants up to `until_us`."""
        if events.size != self._size:
            width, height = self._size
            raise RecordingError(
                f"events of a {events.width}x{events.height} sensor were given to a detector for {width}x{height}"
            )
        final = spikes.of_layer(self._final_layer)
        columns: dict[str, NDArray[Any]] = self._tracker.step(
            events.t_us,
            events.x,
            events.y,
            None if events.p is None else events.p.view(np.uint8),
            final.t_us,
            final.x,
            final.y,
            final.channel,
            until_us,
        )
        return columns

    def passages(self) -> NDArray[np.float64]:
        """What the objects that were followed for 5 px tell of the recording, shape (n, 3): the share
        of their edge crossings that was seen, their radius in px, events per edge crossing."""
        return np.array(self._tracker.passages(), np.float64).reshape(-1, 3)
