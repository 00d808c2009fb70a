"""The whole story on one page: file -> blocks of events -> filters -> networks -> spikes -> tracking -> Tracks.

Whatever is read in blocks (`data.blocks.Footage`) goes through it: a `Recording`, or a part of a file that is larger
than memory (`filters.reading.FilePart`). The networks are calibrated on the first second that has objects; then all
of it is followed, step by step. `findings` gives rows and spikes as they come, `find` and `detect` keep them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from velocell.calibration.learning import learning
from velocell.calibration.measure import network_for, networks_for, networks_in
from velocell.calibration.search import Search
from velocell.data.bands import Bands
from velocell.data.blocks import Footage, ahead
from velocell.data.heap import trim_heap
from velocell.data.recording import Polarity, Recording
from velocell.data.spikes import Spikes
from velocell.data.tables import Columns, joined_columns
from velocell.data.tracks import Tracks
from velocell.errors import RecordingError
from velocell.filters.chain import NOTHING
from velocell.filters.reading import FilePart
from velocell.formats import open_recording
from velocell.network import Network
from velocell.network.template import Template
from velocell.tracking.detection import Detection, Findings
from velocell.tracking.online import EVERY_US, follow
from velocell.tracking.rules import DEFAULTS, Rules

__all__ = ["Detection", "Findings", "detect", "detect_shapes", "find", "findings", "network_for", "networks_for"]


def detect(
    recording: Recording | FilePart | str | Path,
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

    The path of a file in any format, or a part of it, is read block by block, so that it may be larger than memory; the
    rows are kept, and the spikes where they are asked for.
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
    if isinstance(recording, str | Path):
        recording = FilePart(open_recording(recording), NOTHING)
    return find(recording, search, keep_spikes=keep_spikes, on_block=on_block)


def find(
    footage: Footage,
    search: Search,
    *,
    keep_spikes: bool = True,
    on_block: Callable[[Recording], object] | None = None,
) -> Detection:
    """`detect` for a `Search`. Of several templates one after the other is looked for; the tracks' extra column `name`
    says which, ids go on from one to the next, and where two are alike an object may be followed as both."""
    found = findings(footage, search, keep_spikes=keep_spikes, on_block=on_block)
    return found.whole(footage, keep_spikes=keep_spikes)


def findings(
    footage: Footage,
    search: Search,
    *,
    keep_spikes: bool = True,
    on_block: Callable[[Recording], object] | None = None,
) -> Findings:
    """What is found, piece by piece; of several templates all at once, in one piece. keep_spikes: with the spikes of
    all layers, else with those of the last or none. Raises VelocellError, also while the pieces come: that a file holds
    nothing may show at its end."""
    if not search.templates:
        return _findings(footage, search, keep_spikes, on_block)
    found = [_findings(footage, one, keep_spikes, on_block) for one in search.each()]
    whole = [one.whole(footage, keep_spikes=keep_spikes) for one in found]
    columns = _with_names(search.templates, [one.tracks for one in whole])
    spikes = Spikes.concatenate([one.spikes for one in whole])
    return Findings(
        tuple(network for one in found for network in one.networks),
        iter([(columns, spikes)]),
        tuple(online for one in found for online in one.onlines),
        any(one.too_sparse for one in found),
    )


def calibrated(footage: Footage, search: Search) -> tuple[Network, ...]:
    """The networks with which a search begins. Raises VelocellError."""
    search.check_size(*footage.size)
    if not any(len(search.seen(block)) for block in footage.peek()):
        name = footage.outline()[0].source or "the recording"
        raise RecordingError(f"{name} has no events; there is nothing to detect in it")
    networks = search.networks or networks_in(footage, search)
    trim_heap()
    return networks


def _findings(
    footage: Footage, search: Search, keep_spikes: bool, on_block: Callable[[Recording], object] | None
) -> Findings:
    networks = calibrated(footage, search)
    online = search.online(networks, footage.size, final_only=not keep_spikes)
    pieces = follow(online, learning(ahead(map(search.seen, footage.blocks())), online, networks, search), on_block)
    return Findings(networks, pieces, (online,), search.measures and networks[0].origin.too_sparse)


def detect_shapes(
    recording: Recording, bands: Bands | Sequence[float], templates: Sequence[Template], **settings: Any
) -> Detection:
    """`find` for several shapes in the `bands` (px/s). settings: of `detect`, by name."""
    progress = {name: settings.pop(name) for name in ("keep_spikes", "on_block") if name in settings}
    search = replace(Search.of(bands, **settings), templates=tuple(templates))
    return find(recording, search, **progress)


def _with_names(templates: Sequence[Template], found: Sequence[Tracks]) -> Columns:
    """All rows as one table, each with the name of its template; ids go on from one to the next."""
    columns = []
    first = 0
    for template, tracks in zip(templates, found, strict=True):
        names = np.full(len(tracks), template.name)
        columns.append({**tracks.columns(), "id": tracks.id + first, "name": names})
        first += int(tracks.id.max(initial=-1)) + 1
    return joined_columns(columns)
