"""What can be saved from the page: table, clip, network, labels, as bytes."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from velocell.data.meta import version
from velocell.data.tracks import Tracks
from velocell.errors import OptionError
from velocell.network import Network
from velocell.network.origin import of_network
from velocell.viewer.analysis import Results
from velocell.viewer.settings import Settings
from velocell.viewer.source import Source

LONGEST_CLIP_S = 60.0
"""Of video; a longer one is for `velocell detect --video`."""
CLIP_FPS = 25.0

_TABLES = ("csv", "jsonl", "parquet")
_CLIPS = ("mp4", "gif")


def table(source: Source, results: Results, kind: str) -> bytes:
    """The rows found so far: csv, jsonl or parquet; meta.json is the side file of the csv. Raises VelocellError."""
    meta = _meta(source, results)
    if kind == "meta.json":
        return _json(meta)
    return table_bytes(replace(results.tracks(), meta=meta), kind)


def table_bytes(tracks: Tracks, kind: str) -> bytes:
    if kind not in _TABLES:
        raise OptionError(f"a table is saved as {' or '.join(_TABLES)}, not {kind}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"tracks.{kind}"
        tracks.write(path)
        return path.read_bytes()


def clip(source: Source, results: Results, kind: str, start_us: int, stop_us: int, speed: float) -> bytes:
    """Tracks and spikes over the events of [start, stop), as a video played at `speed`. Raises VelocellError."""
    from velocell.pictures.video.clip import write_overlay

    if kind not in _CLIPS:
        raise OptionError(f"a clip is saved as {' or '.join(_CLIPS)}, not {kind}")
    start, stop = max(start_us, results.from_us), min(stop_us, results.until_us)
    if stop <= start:
        raise OptionError("nothing is found yet in this part; wait until the line over the timeline has passed it")
    seconds = (stop - start) * 1e-6 / speed
    if seconds > LONGEST_CLIP_S:
        raise OptionError(
            f"this clip would last {seconds:.0f} s, more than {LONGEST_CLIP_S:.0f} s; play faster, loop over a shorter "
            "part, or use velocell detect --video"
        )
    tracks = results.tracks()
    tracks = tracks.where((tracks.t_us >= start) & (tracks.t_us <= stop))
    bands = results.settings.bands
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"clip.{kind}"
        write_overlay(
            path, source.window(start, stop), tracks, results.spikes(start, stop), band_names=bands.names,
            fps=CLIP_FPS, slow_motion=1 / speed,
        )  # fmt: skip
        return path.read_bytes()


def network_toml(network: Network, settings: Settings, source: Source) -> bytes:
    """The network, for velocell detect --network."""
    made = {"velocell": version(), "settings": _without_none(settings.to_dict()), "recording": source.name}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.toml"
        replace(network, origin=replace(network.origin, more={**network.origin.more, **made})).to_toml(path)
        return path.read_bytes()


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    """TOML knows no null."""
    return {name: "auto" if value is None else value for name, value in values.items()}


def _meta(source: Source, results: Results) -> dict[str, Any]:
    """As `velocell detect` notes it: version, settings, which part of which recording, the network."""
    part = np.array([results.from_us, results.until_us])
    recording = {
        "file": source.name,
        "width": source.size[0],
        "height": source.size[1],
        "start_us": results.from_us,
        "stop_us": results.until_us,
        "events": int(source.count(part)[0]),
        "notes": list(source.notes),
    }
    return {
        "velocell": version(),
        "command": "view",
        "settings": results.settings.to_dict(),
        "inputs": [{"recording": recording, "network": of_network(results.network)}],
    }


def _json(values: Any) -> bytes:
    return (json.dumps(values, indent=2) + "\n").encode()
