"""`Detection`: what was found, and with which networks."""

from __future__ import annotations

from dataclasses import dataclass

from velocell.data.spikes import Spikes
from velocell.data.tracks import Tracks
from velocell.network import Network


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
