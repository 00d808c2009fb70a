"""What can be saved from the page: table, counts, clip, network, labels, as bytes."""

from __future__ import annotations

import io
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from velocell.data.meta import made_by, of_recording, version
from velocell.data.tracks import Tracks
from velocell.errors import OptionError
from velocell.network import Network
from velocell.network.origin import of_networks
from velocell.results.counting import count, write_counts
from velocell.results.plane import with_real_units
from velocell.viewer.marks import Labels
from velocell.viewer.run import Results
from velocell.viewer.settings import Settings
from velocell.viewer.source import Source

LONGEST_CLIP_S = 60.0
"""Of video; a longer one is for `velocell detect --video`."""
CLIP_FPS = 25.0

_TABLES = ("csv", "jsonl", "parquet")
_CLIPS = ("mp4", "gif")


def found(
    what: str, kind: str, source: Source, results: Results | None, span_us: tuple[int, int], speed: float
) -> bytes:
    """Of the results: table, counts or a clip of the part that plays. Raises VelocellError."""
    if what not in ("table", "counts", "clip"):
        raise OptionError(f"'{what}' cannot be saved; use table, counts, clip, network or labels")
    if results is None:
        raise OptionError("nothing is found yet; wait for the first results")
    if what == "counts":
        return counts(results, kind)
    return table(source, results, kind) if what == "table" else clip(source, results, kind, *span_us, speed)


def table(source: Source, results: Results, kind: str) -> bytes:
    """The rows found so far: csv, jsonl or parquet; meta.json is the side file of the csv. Raises VelocellError."""
    meta = _meta(source, results)
    if kind == "meta.json":
        return _json(meta)
    tracks, settings = results.tracks(), results.settings
    if settings.search.template is not None:
        tracks = replace(tracks, extra={**tracks.extra, "name": np.full(len(tracks), settings.search.template.name)})
    if settings.plane is not None:
        tracks = with_real_units(tracks, settings.plane, source.size)
    return table_bytes(replace(tracks, meta=meta), kind)


def counts(results: Results, kind: str) -> bytes:
    """Who crossed the lines, as velocell detect writes it beside its table. Raises OptionError."""
    lines, bands = results.settings.lines, results.settings.bands
    if kind != "csv":
        raise OptionError(f"counts are saved as csv, not {kind}")
    if not lines:
        raise OptionError("there is no counting line; start velocell view with --count-line")
    text = io.StringIO()
    write_counts(text, count(results.crossed, lines, bands.names))
    return text.getvalue().encode()


def labels(marked: Labels, settings: Settings, source: Source, kind: str) -> bytes:
    """The marked objects as a table of tracks. Raises OptionError."""
    meta = made_by("view", labels=source.name)
    return table_bytes(marked.tracks(settings.bands, settings.search.every_us, meta), kind)


def table_bytes(tracks: Tracks, kind: str) -> bytes:
    if kind not in _TABLES:
        raise OptionError(f"a table is saved as {' or '.join(_TABLES)}, not {kind}")
    if kind == "jsonl":  # one download, so that its settings are in its first row
        text = io.StringIO()
        tracks.write_jsonl(text)
        return text.getvalue().encode()
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


def network_toml(networks: tuple[Network, ...], settings: Settings, source: Source) -> bytes:
    """The network, for velocell detect --network. Raises OptionError where a file cannot hold what is looked for."""
    if settings.shape is not None:
        raise OptionError(
            f"a file holds one network for disks of one radius, and the search is for {settings.shape}; move the "
            "radius, or use the command line that is shown"
        )
    network = networks[0]
    made = {"velocell": version(), "settings": _without_none(settings.to_dict()), "recording": source.name}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.toml"
        replace(network, origin=replace(network.origin, more={**network.origin.more, **made})).to_toml(path)
        return path.read_bytes()


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    """TOML knows no null."""
    return {name: "auto" if value is None else value for name, value in values.items()}


def _meta(source: Source, results: Results) -> dict[str, Any]:
    """As `velocell detect` notes it: version, settings, which part of which recording, the networks."""
    settings = results.settings
    part = replace(
        source.window(results.from_us, results.from_us),
        source=source.name, start_us=results.from_us, stop_us=results.until_us, notes=source.notes,
    )  # fmt: skip
    cleaned = replace(settings.cleaning, regions=settings.regions())
    used = {
        **settings.to_dict(),
        **settings.search.to_dict(),
        **cleaned.to_dict(),
        "homography": None if settings.plane is None else settings.plane.homography.tolist(),
        "count_lines": [str(line) for line in settings.lines],
    }
    recording = of_recording(part, results.events)
    return made_by("view", settings=used, inputs=[{"recording": recording, **of_networks(results.networks)}])


def _json(values: Any) -> bytes:
    return (json.dumps(values, indent=2) + "\n").encode()
