"""What the picture shows, and the picture itself as a message."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.data.spikes import Spikes
from velocell.errors import OptionError
from velocell.network import Network
from velocell.viewer import pictures, wire
from velocell.viewer.analysis import Results
from velocell.viewer.measuring import seen
from velocell.viewer.settings import number, within
from velocell.viewer.source import Source

SPAN_US = (100, 1_000_000)
"""Limits of the decay (or accumulation) time."""
TAIL_US = (0, 2_000_000)


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

    def changed(self, values: dict[str, Any], network: Network | None) -> View:
        """With new values by name. Raises VelocellError."""
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
                wanted[name] = None if value is None or network is None else int(number(value, "membrane"))
                if wanted[name] is not None and network is not None:
                    pictures.membrane_reach_us(network, wanted[name])  # raises where there is no such channel
            else:
                raise OptionError(f"the picture has no '{name}' of {value!r}; reload the page")
        return replace(self, **wanted)


def paint(source: Source, view: View, results: Results | None, at_us: int) -> bytes:
    """The picture of one instant, packed. Raises VelocellError where the events cannot be read."""
    header: dict[str, Any] = {"t_us": at_us, "size": list(source.size), "kind": "events", "objects": []}
    plane = None
    if view.membrane is not None and results is not None:
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
    events = seen(source.window(at_us - reach, at_us), results.settings)
    spikes = results.spikes(at_us - reach, at_us) if results.blocks else Spikes.empty()
    v = pictures.membrane(events, network, channel, spikes, at_us)
    return pictures.membrane_plane(v, float(network.layers[0].neurons.v_th[channel]))
