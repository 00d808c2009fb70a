"""`Detection`: what networks find in a whole recording; `Findings`: the same piece by piece, while it is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from velocell.data.blocks import Footage
from velocell.data.spikes import Spikes
from velocell.data.tracks import Tracks
from velocell.network import Network
from velocell.network.origin import of_detection
from velocell.tracking.detector import NO_CROWDING, Crowding
from velocell.tracking.online import Online, follow

Changes = tuple[tuple[int, tuple[Network, ...]], ...]


@dataclass(frozen=True)
class Detection:
    """What `detect` found: the table, every layer's spikes (empty unless asked for), the networks used, one
    for each radius.

    too_sparse: contrast and radius should have been measured on the recording, but nothing in it, however many its
    events, was clearly a disk of the radius and could be followed for long enough, so they are assumed. crowding: how
    many spikes belonged to no track (`births`), and how many of them came where candidates for objects were too many
    (`crowded`); its `told` is a sentence where that may have cost objects, else None.
    """

    tracks: Tracks
    spikes: Spikes
    networks: tuple[Network, ...]
    too_sparse: bool = False
    crowding: Crowding = NO_CROWDING
    changes: Changes = ()

    @property
    def network(self) -> Network:
        """The network used; of several, the one for the smallest radius."""
        return self.networks[0]

    def _repr_html_(self) -> str:
        return self.tracks._repr_html_() + self.network._repr_html_()


class Ran(Protocol):
    """What an `Online` tells in the end, or who speaks for one."""

    @property
    def changes(self) -> Sequence[tuple[int, tuple[Network, ...]]]: ...

    @property
    def crowding(self) -> Crowding: ...


@dataclass(frozen=True)
class Findings:
    """What comes out while a recording is read.

    networks: those used. pieces: rows (columns of Tracks by name) and spikes, in order of time; memory
    stays bounded as long as nobody keeps them. onlines: at work on them. too_sparse: as of `Detection`.
    """

    networks: tuple[Network, ...]
    pieces: Iterator[tuple[dict[str, Any], Spikes]]
    onlines: tuple[Ran, ...]
    too_sparse: bool = False

    @property
    def changes(self) -> Changes:
        """As of `Detection`, in what has come so far; of several templates none are kept."""
        return tuple(self.onlines[0].changes) if len(self.onlines) == 1 else ()

    @property
    def crowding(self) -> Crowding:
        """How often candidates for objects were too many, in what has come so far."""
        found = [online.crowding for online in self.onlines]
        return Crowding(sum(one.births for one in found), sum(one.crowded for one in found))

    def whole(self, footage: Footage, *, keep_spikes: bool = True) -> Detection:
        """All of it. footage: what it was found in. keep_spikes: hand the spikes on, which may be many."""
        rows: list[dict[str, Any]] = []
        spikes: list[Spikes] = []
        for found, answered in self.pieces:
            # Of a silence nothing is kept.
            if len(found["id"]) or not rows:
                rows.append(found)
            if keep_spikes and (len(answered) or not spikes):
                spikes.append(answered)
        columns = {name: np.concatenate([part.pop(name) for part in rows]) for name in list(rows[0])}
        tracks = Tracks.from_columns(columns, of_detection(*footage.outline(), self.networks, self.changes))
        return Detection(
            tracks, Spikes.concatenate(spikes), self.networks, self.too_sparse, self.crowding, self.changes
        )


def detection(online: Online, footage: Footage) -> Detection:
    """All that a network (or several) finds in all of a recording."""
    return Findings(online.networks, follow(online, footage.blocks()), (online,)).whole(footage)
