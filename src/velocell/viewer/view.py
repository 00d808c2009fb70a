"""What the picture shows, and the picture itself as a message."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.data.bands import Bands
from velocell.data.spikes import Spikes
from velocell.errors import OptionError
from velocell.network import Network
from velocell.viewer import pictures, wire
from velocell.viewer.analysis import Analysis
from velocell.viewer.player import Clock, OnChange, Plays
from velocell.viewer.run import Results
from velocell.viewer.settings import Settings, number, within
from velocell.viewer.source import Source

SPAN_US = (100, 1_000_000)
"""Limits of the decay (or accumulation) time."""
TAIL_US = (0, 2_000_000)

_FRAME_S = 0.012  # a picture this young serves every tab


@dataclass(frozen=True)
class View:
    """mode, span_us: how long events stay. channels: (layer, channel) of the responses that are shown.

    membrane: a channel of layer 0 whose potential is shown instead of events. tail_us: length of the tails.
    """

    mode: pictures.Mode = "surface"
    span_us: float = 15_000.0
    events: bool = True
    polarity: bool = False
    tracks: bool = True
    tail_us: int = 250_000
    channels: tuple[tuple[int, int], ...] = ()
    membrane: int | None = None

    def changed(self, values: dict[str, Any], networks: tuple[Network, ...]) -> View:
        """With new values by name; networks: those on show, none yet. Raises VelocellError."""
        wanted: dict[str, Any] = {}
        for name, value in values.items():
            if name in ("events", "polarity", "tracks"):
                wanted[name] = bool(value)
            elif name == "mode" and value in ("surface", "accumulate"):
                wanted[name] = value
            elif name == "span_us":
                wanted[name] = within(value, SPAN_US, "decay", " us")
            elif name == "tail_us":
                wanted[name] = int(within(value, TAIL_US, "tail", " us"))
            elif name == "channels" and isinstance(value, list):
                wanted[name] = tuple((int(layer), int(channel)) for layer, channel in value)
                if len(value) > 255 or not all(0 <= part <= 255 for pair in wanted[name] for part in pair):
                    raise OptionError(f"there are no such channels to show: {value!r:.60}; reload the page")
            elif name == "membrane":
                wanted[name] = None if value is None or not networks else int(number(value, "membrane"))
                if wanted[name] is not None:
                    _check_membrane(networks, wanted[name])
            else:
                raise OptionError(f"the picture has no '{name}' of {value!r}; reload the page")
        return replace(self, **wanted)


class Shown:
    """What the picture shows of a source, and which object is highlighted; the same on all pages.

    on_change is called on every change."""

    commands = ("show", "select")

    def __init__(self, source: Source, analysis: Analysis, bands: Bands, *, clock: Clock, on_change: OnChange) -> None:
        self.view = View()
        self.selected: int | None = None
        self._source, self._analysis, self._clock, self._on_change = source, analysis, clock, on_change
        self._lock, self._painting = threading.RLock(), threading.Lock()
        self._painted: tuple[tuple[Any, ...], float, bytes] | None = None
        self.answers(bands)

    def show(self, **values: Any) -> None:
        """Change the view: any of mode, span_us, events, polarity, tracks, tail_us, channels, membrane."""
        with self._lock:
            results = self._analysis.results
            self.view = self.view.changed(values, () if results is None else results.networks)
            self._on_change()

    def select(self, id: int | None) -> None:
        """Highlight an object, or none."""
        with self._lock:
            self.selected = None if id is None else int(id)
            self._on_change()

    def answers(self, bands: Bands) -> None:
        """Show the answers of all bands, and no membrane."""
        with self._lock:
            channels = tuple((1, channel) for channel in range(len(bands)))
            self.view = replace(self.view, channels=channels, membrane=None)

    def state(self) -> dict[str, Any]:
        view = {**asdict(self.view), "channels": [list(pair) for pair in self.view.channels]}
        return {"view": view, "selected": self.selected}

    def picture(self, player: Plays, settings: Settings, revision: int) -> bytes:
        """What is to be seen now, as `wire.pack` packs it; revision: another one, another picture."""
        with self._painting:
            at_us, playing, view, results = player.at_us(), player.playing, self.view, self._analysis.results
            # The results themselves, not their id: that may be another's once they are gone.
            key = (revision, settings.region) if playing else (at_us, view, results, settings.region)
            now, painted = self._clock(), self._painted
            if painted is not None and painted[0] == key and (not playing or now - painted[1] < _FRAME_S):
                return painted[2]
            self._analysis.watch(None if player.following else at_us)
            message = paint(self._source, view, results, at_us)
            self._painted = (key, now, message)
            return message


def paint(source: Source, view: View, results: Results | None, at_us: int) -> bytes:
    """The picture of one instant, packed. Raises VelocellError where the events cannot be read."""
    header: dict[str, Any] = {"t_us": at_us, "size": list(source.size), "kind": "events", "objects": []}
    plane = None
    if view.membrane is not None and results is not None and len(results.networks) == 1:
        plane = _membrane(source, view.membrane, results, at_us)
        header["kind"] = "membrane"
    elif view.events:
        taus = pictures.FADE_TAUS if view.mode == "surface" else 1
        events = source.window(round(at_us - taus * view.span_us), at_us)
        plane = pictures.event_plane(events, at_us, view.mode, view.span_us, polarity=view.polarity)
    if results is None:
        return wire.pack(header, plane, pictures.NO_DOTS)
    tails = None
    if view.tracks:
        header["objects"], tails = pictures.objects_at(results, at_us, view.tail_us)
    dots = pictures.spike_dots(results, list(view.channels), at_us, view.span_us)
    return wire.pack(header, plane, dots, tails)


def _membrane(source: Source, channel: int, results: Results, at_us: int) -> NDArray[np.uint8]:
    network = results.network
    channel = min(channel, network.layers[0].channels - 1)  # the view may be ahead of the results
    reach = pictures.membrane_reach_us(network, channel)
    events = results.settings.seen(source.window(at_us - reach, at_us))
    spikes = results.spikes(at_us - reach, at_us) if results.blocks else Spikes.empty()
    v = pictures.membrane(events, network, channel, spikes, at_us)
    return pictures.membrane_plane(v, float(network.layers[0].neurons.v_th[channel]))


def _check_membrane(networks: tuple[Network, ...], channel: int) -> None:
    """Raise VelocellError where there is no such channel, or where several networks look together."""
    if len(networks) > 1:
        raise OptionError("membranes are shown of one network; move the radius to look for disks of one radius")
    pictures.membrane_reach_us(networks[0], channel)
