"""Where the edges of a calibrated network's bands lie, for `benchmarks.architectures`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from velocell import engines
from velocell.calibration.formulas import calibrate
from velocell.calibration.measure import network_for
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.network import Network
from velocell.studies.passages import LEAD_PX, TRAVEL_PX, Lanes
from velocell.studies.tuning import realised_edges

Floats = NDArray[np.float64]

BANDS = (50.0, 100.0, 200.0)
NOISE_HZ = 0.2
TOLERANCE = 0.10
WORDS = """## Where the edges lie

The speed at which a final channel's spikes per px of travel cross half of their maximum, over the requested edge: bands
50, 100, 200 px/s, noise 0.2 Hz/px, contrast given (`--contrast`) or left to the recording. From the smallest to the
largest of the bands' edges, medians over {seeds} seeds and directions; in brackets the same for each direction
alone ({headings} degrees).
"""


def realised_table(
    radii: Sequence[float], contrasts: Sequence[float], headings: Sequence[float], seeds: Sequence[int]
) -> str:
    names = [f"contrast {contrast:g}" for contrast in contrasts]
    lines = [WORDS.format(seeds=len(seeds), headings=", ".join(f"{heading:g}" for heading in headings))]
    lines += [f"| R (px), contrast | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    within = total = 0
    for radius in radii:
        cells: dict[str, list[str]] = {"given": [], "not given": []}
        for contrast in contrasts:
            for key, found in realised(radius, contrast, headings, seeds).items():
                both, by_heading = np.nanmedian(found, axis=(0, 1)), np.nanmedian(found, axis=0)
                cells[key].append(f"{_span(both)} ({_span(by_heading)})")
                within += int((np.abs(both - 1) <= TOLERANCE).sum())
                total += both.size
        lines += [f"| {radius:g}, {key} | {' | '.join(texts)} |" for key, texts in cells.items()]
    lines += ["", f"Within {TOLERANCE:.0%}: {within} of {total} edges.", ""]
    return "\n".join(lines)


def realised(radius: float, contrast: float, headings: Sequence[float], seeds: Sequence[int]) -> dict[str, Floats]:
    """Realised over asked edges (seeds, headings, N, 2), with the contrast given and not."""
    speeds = _speeds()
    measured = _measured(radius, contrast, seeds[0])
    networks = {"given": calibrate(BANDS, radius, contrast=contrast), "not given": measured}
    found: dict[str, list[Floats]] = {key: [] for key in networks}
    for seed in seeds:
        lanes = Lanes.plan(speeds, radius, headings, seed)
        recording = lanes.record(contrast, 0.0, NOISE_HZ, seed)
        for key, network in networks.items():
            found[key].append(_edges(network, lanes, recording, len(headings)))
    return {key: np.array(parts) for key, parts in found.items()}


def spikes_per_px(lanes: Lanes, spikes: Spikes, bands: int) -> Floats:
    """(N, lanes): spikes of each final channel per px of travel, after the network has settled."""
    final = spikes.final()
    lane = lanes.of(final.x, final.y).astype(np.intp)
    known = (lane < lanes.speeds.size) & (final.channel < bands)
    lane, channel, t_us = lane[known], final.channel[known], final.t_us[known]
    travel = t_us * 1e-6 * lanes.speeds[lane]
    use = (travel >= LEAD_PX) & (travel < TRAVEL_PX)
    counts = np.zeros((bands, lanes.speeds.size))
    np.add.at(counts, (channel[use], lane[use]), 1)
    return counts / (TRAVEL_PX - LEAD_PX)


def _speeds() -> Floats:
    """Around each edge, and in the middle of the bands, where the answer is largest."""
    around = [edge * ratio for edge in BANDS for ratio in (0.78, 0.88, 0.96, 1.04, 1.14, 1.26)]
    return np.array(sorted([*around, *((low * high) ** 0.5 for low, high in pairwise(BANDS))]))


def _measured(radius: float, contrast: float, seed: int) -> Network:
    """A network for an unknown contrast: the share of crossings is measured on disks within the bands, the radius
    is the requested one."""
    lanes = Lanes.plan(np.geomspace(1.2 * BANDS[0], 0.9 * BANDS[-1], 12), radius, (0.0,), seed)
    share = network_for(lanes.record(contrast, 0.0, NOISE_HZ, seed), BANDS, radius).origin.crossings
    assert share is not None
    return calibrate(BANDS, radius, crossing_share=share)


def _edges(network: Network, lanes: Lanes, recording: Recording, headings: int) -> Floats:
    """(headings, N, 2)"""
    bands = len(BANDS) - 1
    spikes = engines.run(network, recording, engine="native")
    counts = spikes_per_px(lanes, spikes, bands).reshape(bands, lanes.number[-1] + 1, -1)
    speeds, asked = np.unique(lanes.speeds), np.array(list(pairwise(BANDS)))
    return np.array([realised_edges(speeds, counts[:, :, heading]) / asked for heading in range(headings)])


def _span(values: Floats) -> str:
    known = values[np.isfinite(values)]
    return f"{known.min():.2f}-{known.max():.2f}" if known.size else "none"
