"""A matched ring in one window, and SORT."""

from __future__ import annotations

import numpy as np

from benchmarks.rivals.interface import Choice, Rival, Values
from benchmarks.rivals.parts import sort
from benchmarks.rivals.parts.pictures import correlated, counted, peaks, ring_kernel
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks


def follow(recording: Recording, radius_px: float, bands: Bands, values: Values) -> Tracks:
    window_us = float(values["window_ms"]) * 1e3
    kernel = ring_kernel(radius_px, float(values["width_px"]), float(values["inside"]))
    tracker = sort.Sort(radius_px, bands, values)
    for t, picture in counted(recording, window_us):
        answer = correlated(np.minimum(picture, 1), kernel)
        tracker.step(t, peaks(answer, float(values["level"]), radius_px), window_us / 2)
    return tracker.table()


RIVAL = Rival(
    name="sort",
    title="Ring + SORT",
    source="Bewley et al., Simple online and realtime tracking, ICIP 2016, https://arxiv.org/abs/1602.00763",
    licence="Apache-2.0",
    version="1",
    how="reimplemented from its description (the authors' code is GPL-3); boxes have one size, velocity starts at 0 "
    "with the bands' middle speed as its standard deviation; places from a matched ring",
    parameters={
        "window_ms": Choice(15.0, 3.0, 80.0, log=True),
        "width_px": Choice(2.5, 1.5, 4.5),
        "inside": Choice(0.5, 0.0, 1.5),
        "level": Choice(0.4, 0.15, 0.8),
        **sort.PARAMETERS,
    },
    user_set=3,
    follow=follow,
)
