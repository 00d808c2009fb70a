"""EventCV's tracker: connected components of event counts, matched from frame to frame.

Runs as published in an environment of its own (`foreign/children/eventcv_child.py`): `from_numpy`, `count`,
`resize`, `background_activity_filter` and `Tracker` of the package. Ours are the frames' span, how coarse they are (the
leading and the trailing edge of a disk are one component on a coarse grid only), and the lead: the centroid of a window
lies behind the object, and the package's velocity carries it `lead` windows ahead. Speeds are the package's
own (px per frame), or the slope of its positions where the tuner prefers that.
"""

from __future__ import annotations

import json

import numpy as np

from benchmarks.rivals.foreign.environments import CHILDREN, ENVIRONMENTS
from benchmarks.rivals.foreign.running import run_child, tracks_of
from benchmarks.rivals.interface import Choice, Rival, Values
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks

HOME = ENVIRONMENTS["eventcv"]


def follow(recording: Recording, radius_px: float, bands: Bands, values: Values) -> Tracks:
    area, coarse = np.pi * radius_px**2, max(1.0, float(values["coarse"]) * radius_px)
    own = {
        "window_us": round(float(values["window_ms"]) * 1e3),
        "lead": float(values["lead"]),
        "connectivity": int(values["connectivity"]),
        "coarse": coarse,
        "min_area": max(1, round(float(values["min_area"]) * area / coarse**2)),
        "max_distance": float(values["max_distance"]) * radius_px / coarse,
        "max_missed": int(values["max_missed"]),
        "min_age": int(values["min_age"]),
        "noise_ms": float(values["noise_ms"]),
    }
    command = [str(HOME.python), str(CHILDREN / "eventcv_child.py")]
    rows, meta = run_child(command, recording, [json.dumps(own)])
    return tracks_of(rows, bands, radius_px, meta, window_ms=float(values["speed_ms"]))


RIVAL = Rival(
    name="eventcv",
    title="EventCV tracker",
    source="EventLAB team, EventCV, https://eventcv.net",
    licence="Apache-2.0",
    version="1.0.8",
    how="as published; the frames' span, their coarse grid and the lead over a part of the span are ours",
    follow=follow,
    parameters={
        "window_ms": Choice(20.0, 1.0, 60.0, log=True),
        "lead": Choice(0.5, 0.0, 1.0),
        "coarse": Choice(0.4, 0.1, 1.5, log=True),
        "connectivity": Choice(8, options=(4, 8)),
        "min_area": Choice(0.1, 0.01, 1.0, log=True),
        "max_distance": Choice(2.0, 0.5, 8.0, log=True),
        "max_missed": Choice(3, 0, 10, whole=True),
        "min_age": Choice(1, 1, 6, whole=True),
        "noise_ms": Choice(0.0, options=(0.0, 1.0, 2.0, 5.0, 10.0)),
        "speed_ms": Choice(0, options=(0, 20, 40, 80, 160)),
    },
    user_set=5,
    missing=HOME.missing,
)
