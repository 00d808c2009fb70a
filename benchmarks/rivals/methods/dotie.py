"""DOTIE: one layer of spiking neurons isolates what is fast, its spikes are clustered; and linking."""

from __future__ import annotations

import cv2
import numpy as np

from benchmarks.rivals.interface import EVERY_US, Choice, Rival, Values, instants
from benchmarks.rivals.parts import linking
from benchmarks.rivals.parts.clusters import dbscan
from benchmarks.rivals.parts.pictures import Picture
from velocell.data.arrays import Floats
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks

TICK_US = 1_000


def follow(recording: Recording, radius_px: float, bands: Bands, values: Values) -> Tracks:
    side, weight, leak = int(values["side_px"]), np.float32(values["weight"]), np.float32(values["leak"])
    eps, least = float(values["eps_radii"]) * radius_px, int(values["least"])
    keep_us = round(float(values["window_ms"])) * TICK_US
    place = recording.y.astype(np.intp) * recording.width + recording.x
    v = np.zeros((recording.height, recording.width), np.float32)
    linker = linking.Linker(radius_px, bands, values)
    spikes: list[tuple[int, np.ndarray]] = []
    for t in instants(recording).tolist():
        edges = np.searchsorted(recording.t_us, np.arange(t - EVERY_US, t + 1, TICK_US), side="right")
        for k, (a, b) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True), 1):
            events = np.bincount(place[a:b], minlength=v.size).reshape(v.shape).astype(np.float32)
            v, where = tick(v, events, side, weight, leak)
            spikes.append((t - EVERY_US + k * TICK_US, where))
        spikes = [(at, where) for at, where in spikes if at > t - keep_us]
        points = np.concatenate([where for _, where in spikes])
        label = dbscan(points, eps, least)
        groups = [points[label == k] for k in range(label.max(initial=-1) + 1)]
        boxes = [(group.min(axis=0) + group.max(axis=0)) / 2 for group in groups]
        linker.step(t, np.array(boxes).reshape(-1, 2), keep_us / 2)
    return linker.table()


def tick(v: Picture, events: Picture, side: int, weight: np.float32, leak: np.float32) -> tuple[Picture, Floats]:
    """v <- leak v + weight (the events in side x side px); a spike (x, y) where v reaches 1, and there v <- 0."""
    v = leak * v + weight * np.asarray(cv2.boxFilter(events, -1, (side, side), normalize=False), np.float32)
    y, x = np.nonzero(v >= 1)
    v[y, x] = 0
    return v, np.column_stack((x, y)).astype(np.float64)


RIVAL = Rival(
    name="dotie",
    title="DOTIE + linking",
    source="Nagaraj et al., DOTIE - Detecting Objects through Temporal Isolation of Events using a Spiking Architecture"
    ", ICRA 2023, https://arxiv.org/abs/2210.00975",
    licence="Apache-2.0",
    version="1",
    how="reimplemented from its description: one layer, DBSCAN, middles of the boxes; linking of our own. The layer "
    "keeps what is faster than its leak allows, so one layer serves one lowest speed",
    parameters={
        "side_px": Choice(3, options=(1, 3, 5)),
        "weight": Choice(0.2, 0.03, 1.0, log=True),
        "leak": Choice(0.7, 0.2, 0.99),
        "window_ms": Choice(5, 1, 20, whole=True, log=True),
        "eps_radii": Choice(0.6, 0.2, 1.5, log=True),
        "least": Choice(6, 2, 40, log=True, whole=True),
        **linking.PARAMETERS,
    },
    user_set=4,
    follow=follow,
)
