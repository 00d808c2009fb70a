"""What a NIR graph cannot say of a Network, in its metadata: plain values, by names that other programs may use."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from velocell.data.bands import Bands
from velocell.data.meta import version
from velocell.errors import NetworkError
from velocell.network.layers import TrailFilter
from velocell.network.origin import Origin

if TYPE_CHECKING:
    from velocell.network.network import Network

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NEUTRAL = "generic"
_INPUT = {
    1: "events per pixel and tick, all polarities in one map",
    2: "events per pixel and tick: a map of OFF, a map of ON events",
}
_FILTERED = (
    "events per pixel and tick that pass the trail filter, one map a channel: an event passes channel c if its pixel "
    "had no event, passed or not, for silence_us[c], or if flips and its polarity differs from the pixel's last"
)


def of(network: Network, size: tuple[int, int], *, tick: float, dialect: str = NEUTRAL) -> dict[str, Any]:
    """tick: one tick in the graph's unit of time. Absent values are left out, as HDF5 has no word for them."""
    import tomli_w

    trail = network.trail_filter
    said: dict[str, Any] = {
        "velocell": version(),
        "dialect": dialect,
        "dt_us": network.dt_us,
        "tick": tick,
        "width": size[0],
        "height": size[1],
        "input": _FILTERED if trail is not None else _INPUT[network.layers[0].in_channels],
        "output": "1 where a final channel spikes in a tick; channel k is speed band k",
        "radius_px": network.radius_px,
        "events_per_crossing": network.origin.crossings,
        "origin": tomli_w.dumps(dict(network.origin)),
    }
    if network.bands is not None:
        said |= {"band_edges_px_s": np.array(network.bands.edges), "band_names": json.dumps(list(network.bands.names))}
    if trail is not None:
        said |= {"silence_us": np.array(trail.silence_us), "flips": int(trail.flips)}
    return {name: value for name, value in said.items() if value is not None}


@dataclass(frozen=True)
class Said:
    """What metadata say of a Network; nothing where a graph is of another program."""

    dt_us: int | None = None
    bands: Bands | None = None
    radius_px: float | None = None
    trail_filter: TrailFilter | None = None
    origin: Origin = field(default_factory=Origin)


def read(metadata: Any) -> Said:
    """Raises NetworkError for metadata of ours that make no sense, and for a dialect."""
    if not isinstance(metadata, dict) or "velocell" not in metadata:
        return Said()
    dialect = metadata.get("dialect", NEUTRAL)
    if dialect != NEUTRAL:
        raise NetworkError(
            f"the graph was written for {dialect}, whose weights and time constants are scaled; "
            "import the one that velocell export writes without --for"
        )
    try:
        edges, names, silence = (metadata.get(name) for name in ("band_edges_px_s", "band_names", "silence_us"))
        return Said(
            dt_us=int(metadata["dt_us"]),
            bands=None if edges is None else Bands(tuple(np.ravel(edges).tolist()), tuple(json.loads(names or "[]"))),
            radius_px=np.asarray(metadata["radius_px"]).item() if "radius_px" in metadata else None,
            trail_filter=None
            if silence is None
            else TrailFilter(tuple(int(us) for us in np.ravel(silence)), bool(metadata.get("flips", True))),
            origin=Origin.of(tomllib.loads(metadata.get("origin", ""))),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise NetworkError(f"the graph's metadata are damaged ({error!r}); export the network again") from None
