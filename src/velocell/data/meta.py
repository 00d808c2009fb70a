"""Where a result came from: version, settings, input and network, as plain values for JSON and TOML."""

from __future__ import annotations

from functools import cache
from typing import Any

from velocell.data.bands import default_band_names
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.data.tracks import Tracks


@cache  # to look it up takes a millisecond
def version() -> str:
    """Of the installed package; a source tree that was never installed has none."""
    from importlib import metadata

    try:
        return metadata.version("velocell")
    except metadata.PackageNotFoundError:
        return "not installed"


def of_recording(recording: Recording, events: int | None = None) -> dict[str, Any]:
    """Which recording, or part of one: file, span and size, and how they were found. events: how many there are,
    where the recording itself does not hold them."""
    return {
        "file": recording.source,
        "width": recording.width,
        "height": recording.height,
        "start_us": recording.start_us,
        "stop_us": recording.stop_us,
        "events": len(recording) if events is None else events,
        "notes": list(recording.notes),
    }


def made_by(command: str, **more: Any) -> dict[str, Any]:
    """How every table begins to say where it is from: version and command, then `more`."""
    return {"velocell": version(), "command": command, **more}


def sensor_size(meta: dict[str, Any]) -> tuple[int, int] | None:
    """(width, height) in px, from what a table of detections or of truth says about itself; None where it does not."""
    for place in (*(_named(source, "recording") for source in _sources(meta)), meta.get("scene")):
        width, height = _named(place, "width"), _named(place, "height")
        if isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0:
            return width, height
    return None


def recording_span(meta: dict[str, Any]) -> tuple[int, int] | None:
    """When the whole recording that a table is of starts, and when the part that was looked at stops, in us; None where
    the table does not say so."""
    duration = _named(meta.get("scene"), "duration_us")
    if isinstance(duration, int):
        return 0, duration
    skipped = _named(meta.get("settings"), "from_us")
    for source in _sources(meta):
        start, stop = (_named(_named(source, "recording"), name) for name in ("start_us", "stop_us"))
        if isinstance(start, int) and isinstance(stop, int):
            return start - (skipped if isinstance(skipped, int) else 0), stop
    return None


def recording_name(meta: dict[str, Any]) -> str:
    """Of the one recording that a table is of, as it was given; "" where it does not say so."""
    names = [_named(_named(source, "recording"), "file") for source in _sources(meta)]
    known = [name for name in names if isinstance(name, str)]
    return known[0] if len(known) == 1 else ""


def stated_band_names(meta: dict[str, Any]) -> tuple[str, ...]:
    """The bands' names as a table knows them; none where it does not."""
    for source in _sources(meta):
        bands = _named(_named(source, "network"), "bands")
        if names := _listed(_named(bands, "names")):
            return tuple(str(name) for name in names)
    return ()


def band_names_of(tracks: Tracks | None, spikes: Spikes | None = None) -> tuple[str, ...]:
    """The bands' names as the table knows them, otherwise as many as are in use, by number."""
    if names := stated_band_names({} if tracks is None else tracks.meta):
        return names
    highest = -1 if tracks is None else int(tracks.band.max(initial=-1))
    highest = highest if spikes is None else max(highest, int(spikes.channel.max(initial=-1)))
    return default_band_names(highest + 1)


def _sources(meta: dict[str, Any]) -> list[Any]:
    """What a table was made from: itself says it, or each of its inputs."""
    return [meta, *_listed(meta.get("inputs"))]


def _named(value: Any, name: str) -> Any:
    """Of a table that anybody may have written."""
    return value.get(name) if isinstance(value, dict) else None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
