"""A matched ring in a window for each band, and linking."""

from __future__ import annotations

import numpy as np

from benchmarks.rivals.interface import Choice, Rival, Values
from benchmarks.rivals.parts import linking
from benchmarks.rivals.parts.pictures import correlated, counted, peaks, ring_kernel
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks


def follow(recording: Recording, radius_px: float, bands: Bands, values: Values) -> Tracks:
    """The window of a band holds the same way of its disks; of places within a radius the best ring counts."""
    kernel = ring_kernel(radius_px, float(values["width_px"]), float(values["inside"]))
    middle = np.sqrt(np.array(bands.edges[1:]) * np.array(bands.edges[:-1]))
    windows_us = float(values["travel_px"]) / middle * 1e6
    linker = linking.Linker(radius_px, bands, values)
    for pictures in zip(*(counted(recording, window) for window in windows_us), strict=True):
        found = []
        for window, (_, picture) in zip(windows_us, pictures, strict=True):
            answer = correlated(np.minimum(picture, 1), kernel)
            ring = peaks(answer, float(values["level"]), radius_px)
            found.append(np.column_stack((ring, np.full(len(ring), window / 2))))
        best = _best(np.concatenate(found), radius_px)
        linker.step(pictures[0][0], best[:, :2], best[:, 3])
    return linker.table()


def _best(found: np.ndarray, radius_px: float) -> np.ndarray:
    kept: list[np.ndarray] = []
    for one in found[np.argsort(-found[:, 2], kind="stable")]:
        if all(np.hypot(one[0] - other[0], one[1] - other[1]) > radius_px for other in kept):
            kept.append(one)
    return np.array(kept).reshape(-1, 4)


RIVAL = Rival(
    name="rings",
    title="Ring, a window per band",
    source="matched filter; a window for each speed as in Delbruck and Lang, Front. Neurosci. 7:223 (2013)",
    licence="Apache-2.0",
    version="1",
    how="written for this benchmark; linking of our own (parts/linking.py)",
    parameters={
        "travel_px": Choice(2.0, 0.5, 6.0, log=True),
        "width_px": Choice(2.5, 1.5, 4.5),
        "inside": Choice(0.5, 0.0, 1.5),
        "level": Choice(0.4, 0.15, 0.8),
        **linking.PARAMETERS,
    },
    user_set=1,
    follow=follow,
)
