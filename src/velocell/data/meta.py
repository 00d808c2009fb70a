"""Where a result came from: version, settings, input and network, as plain values for JSON and TOML."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from typing import Any

from velocell.network import Network
from velocell.recording import Recording


def version() -> str:
    """Of the installed package; a source tree that was never installed has none."""
    try:
        return metadata.version("velocell")
    except metadata.PackageNotFoundError:
        return "not installed"


def of_detection(recording: Recording, networks: Sequence[Network]) -> dict[str, Any]:
    """What a table of tracks was made from."""
    return {"recording": of_recording(recording), **of_networks(networks)}


def of_networks(networks: Sequence[Network]) -> dict[str, Any]:
    """The network, and the radii where there are several for one detection."""
    made: dict[str, Any] = {"network": of_network(networks[0])}
    return made if len(networks) == 1 else {**made, "radii_px": [network.radius_px for network in networks]}


def of_recording(recording: Recording) -> dict[str, Any]:
    """Which recording, or part of one: file, span and size, and how they were found."""
    return {
        "file": recording.source,
        "width": recording.width,
        "height": recording.height,
        "start_us": recording.start_us,
        "stop_us": recording.stop_us,
        "events": len(recording),
        "notes": list(recording.notes),
    }


def of_network(network: Network) -> dict[str, Any]:
    """What a network looks for and where its numbers came from; the network itself has a TOML form."""
    bands = network.bands
    return {
        "dt_us": network.dt_us,
        "radius_px": network.radius_px,
        "bands": None if bands is None else {"edges_px_s": list(bands.edges), "names": list(bands.names)},
        "origin": network.origin,
    }
