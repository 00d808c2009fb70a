"""What a page gets about recording, network and curves, as plain values for JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.data.bands import Bands
from velocell.data.meta import version
from velocell.network import Network
from velocell.network.origin import told_by_stamps
from velocell.pictures.colors import EVENT, OFF, ON, OUTSIDE, band_color, hex_color
from velocell.results.counting import count
from velocell.studies.tuning import Tuning, predicted_peaks
from velocell.viewer.analysis import Analysis
from velocell.viewer.measuring import Measured
from velocell.viewer.pictures import plain
from velocell.viewer.run import Results, bin_edges
from velocell.viewer.settings import ONE_RADIUS, Settings, sliders
from velocell.viewer.source import Source
from velocell.viewer.view import SPAN_US

_CURVE_POINTS = 72
_CURVE_REACH = 6.0  # times slower than the slowest edge, and faster than the fastest


def rates(source: Source, edges_us: NDArray[np.int64]) -> dict[str, Any]:
    """The timeline's span, and events per second between its edges."""
    seconds = np.maximum(np.diff(edges_us), 1) * 1e-6
    rate = np.round(source.count(edges_us) / seconds, 1)
    return {"start_us": int(edges_us[0]), "stop_us": int(edges_us[-1]), "rate": rate.tolist()}


def activity(results: Results, edges_us: NDArray[np.int64]) -> list[list[int]]:
    """Spikes of the final channels between the edges, of blocks that lie between two edges each."""
    network = results.network
    bands = 0 if network.bands is None else len(network.bands)
    counts = np.zeros((bands, len(edges_us) - 1), np.int64)
    for block in results.between(int(edges_us[0]), int(edges_us[-1])):
        final = block.channel[block.layer == len(network.layers) - 1]
        place = int(np.searchsorted(edges_us, block.start_us, side="right")) - 1
        counts[:, max(place, 0)] += np.bincount(final[final < bands], minlength=bands)
    return [row.tolist() for row in counts]


def facts(source: Source, settings: Settings, speeds: tuple[float, ...]) -> dict[str, Any]:
    """What does not change: the recording, its event rate, what can be tuned, the colours of events, the lines that
    are counted."""
    return {
        "version": version(),
        "file": source.name,
        "title": source.title,
        "size": list(source.size),
        **rates(source, bin_edges(source)),
        "events": source.events,
        "polarity": source.polarity,
        "notes": list(source.notes),
        "knobs": sliders(),
        "speeds": list(speeds),
        "span_us": list(SPAN_US),
        "lines": [[line.x0, line.y0, line.x1, line.y1] for line in settings.lines],
        "colors": {"event": EVENT, "on": ON, "off": OFF, "outside": hex_color(OUTSIDE)},
    }


def analysis(now: Analysis, settings: Settings) -> dict[str, Any]:
    """Settings, and how far the analysis is with them."""
    results = now.results
    networks = () if results is None else results.networks
    return {
        "settings": settings.to_dict(),
        "shape": settings.shape,
        "assumed": list(settings.assumed),
        "mm": settings.plane is not None,
        "px_per_mm": None if settings.plane is None else settings.plane.px_per_mm,
        "fixed": [] if settings.shape is None else list(ONE_RADIUS),
        "bands": bands(settings.bands),
        "channels": channels(settings.bands, networks[0] if networks else None),
        "network": network_facts(networks),
        "measured": measured(now.measured),
        "stamps": told_by_stamps(networks[0]) if networks else None,
        "crowded": None if results is None else results.crowding.told,
        "analysed": analysed(results, settings),
        "counts": counts(now.whole),
        "doing": now.doing,
        "error": now.error,
    }


def counts(results: Results | None) -> list[dict[str, Any]]:
    """Crossings of each line by direction and band, zeros included."""
    if results is None or not results.settings.lines:
        return []
    return count(results.crossed, results.settings.lines, results.settings.bands.names)


def bands(wanted: Bands) -> list[dict[str, Any]]:
    """Name and colour of each band."""
    return [{"name": name, "color": hex_color(band_color(k, len(wanted)))} for k, name in enumerate(wanted.names)]


def channels(wanted: Bands, network: Network | None) -> list[dict[str, Any]]:
    """Every channel of every layer, with name and colour."""
    listed: list[dict[str, Any]] = []
    for number, layer in enumerate(() if network is None else network.layers):
        final = network is not None and number == len(network.layers) - 1
        for channel in range(layer.channels):
            color = hex_color(band_color(min(channel, len(wanted) - 1), len(wanted)))
            edge = wanted.edges[min(channel, len(wanted))]
            name = wanted.name(channel) if final else f"above {edge:g} px/s"
            listed.append({"layer": number, "channel": channel, "name": name, "color": color, "final": final})
    return listed


def network_facts(networks: tuple[Network, ...]) -> dict[str, Any] | None:
    """The numbers that people ask for: tick, radius, time constants, thresholds, size of the kernel; of several
    networks those of the one for the smallest radius, and their radii."""
    if not networks:
        return None
    network, first = networks[0], networks[0].layers[0]
    return {
        "dt_us": network.dt_us,
        "radius_px": network.radius_px,
        "radii_px": [item.radius_px for item in networks],
        "tau_us": np.round(first.neurons.tau_us, 1).tolist(),
        "v_th": np.round(first.neurons.v_th, 4).tolist(),
        "kernel": int(first.kernel.shape[-1]),
    }


def measured(found: Measured | None) -> dict[str, Any] | None:
    """What was measured on the recording."""
    if found is None:
        return None
    return {
        "share": found.share,
        "radius": found.radius,
        "too_sparse": found.too_sparse,
        "camera": found.motion.reason if found.motion is not None and found.motion.moves else None,
    }


def analysed(results: Results | None, settings: Settings) -> dict[str, Any] | None:
    """How far the results go, and whether they are of these settings."""
    if results is None:
        return None
    return {
        "from_us": results.from_us,
        "until_us": results.until_us,
        "complete": results.complete,
        "seconds": results.seconds,
        "current": results.settings is settings,
    }


def predicted_curves(network: Network) -> dict[str, Any]:
    """Peak potentials of layer 1 against the speed, in units of the thresholds. Needs bands and radius."""
    assert network.bands is not None
    assert network.radius_px is not None
    edges = network.bands.edges
    speeds = np.geomspace(edges[0] / _CURVE_REACH, edges[-1] * _CURVE_REACH, _CURVE_POINTS)
    peaks = predicted_peaks(network, speeds, network.radius_px, network.origin.crossings or 1.0)
    drive = peaks / network.layers[0].neurons.v_th[:, None]
    return {"speeds": np.round(speeds, 3).tolist(), "drive": np.round(drive, 4).tolist()}


def measured_curves(found: Tuning) -> dict[str, Any]:
    """Share of the stretches that each final channel answered."""
    return {
        "speeds": np.round(found.speeds, 3).tolist(),
        "shares": np.round(found.share_measured, 4).tolist(),
        "r2": plain(found.share_r2, 3),
    }
