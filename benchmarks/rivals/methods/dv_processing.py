"""dv-processing's MeanShiftTracker on its blob detector: iniVation's own library.

Runs as published in an environment of its own (`foreign/children/dv_child.py`). The tracker climbs a surface of event
times with an Epanechnikov kernel from each track's last place; its detector seeds new tracks every `redetect_ms` from
OpenCV's SimpleBlobDetector, whose settings the Python interface does not reach, on the latest `batch_ms`. A track keeps
the width of its blob as its kernel, so events are put on a coarser grid (the package's `scale`), on which a disk is a
spot; the picture is blurred in the hook that the detector has for it. The package's weightMultiplier cancels out and is
not tuned. It ends no track and has no velocity: that a track without events, and one that sits on an older one, are
dropped (the package's removeTracks), that speeds are slopes of positions, and that these are carried ahead by
`lead_ms`, is ours, so that it can take part at all.
"""

from __future__ import annotations

import json

from benchmarks.rivals.foreign.environments import CHILDREN, ENVIRONMENTS
from benchmarks.rivals.foreign.running import run_child, tracks_of
from benchmarks.rivals.interface import Choice, Rival, Values
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks

HOME = ENVIRONMENTS["dv_processing"]


def follow(recording: Recording, radius_px: float, bands: Bands, values: Values) -> Tracks:
    coarse = max(1.0, float(values["coarse"]) * radius_px)
    own = {
        "coarse": coarse,
        "bandwidth": max(2, round(float(values["bandwidth"]) * radius_px / coarse)),
        "window_us": round(float(values["window_ms"]) * 1e3),
        "batch_us": round(float(values["batch_ms"]) * 1e3),
        "redetect_us": round(float(values["redetect_ms"]) * 1e3),
        "noise_us": round(float(values["noise_ms"]) * 1e3),
        **{name: values[name] for name in ("step", "pyramid", "blur_px", "min_events")},
        "max_tracks": 30,
    }
    rows, meta = run_child([str(HOME.python), str(CHILDREN / "dv_child.py")], recording, [json.dumps(own)])
    window, lead = float(values["speed_ms"]), float(values["lead_ms"])
    return tracks_of(rows, bands, radius_px, meta, window_ms=window, lead_ms=lead)


RIVAL = Rival(
    name="dv_processing",
    title="dv-processing mean shift",
    source="iniVation, dv-processing, MeanShiftTracker, https://dv-processing.inivation.com",
    licence="Apache-2.0",
    version="2.0.4",
    how="as published; the ends of tracks, and speeds from positions, are ours",
    follow=follow,
    parameters={
        "coarse": Choice(0.5, 0.1, 1.0, log=True),
        "bandwidth": Choice(2.0, 0.7, 5.0, log=True),
        "window_ms": Choice(20.0, 2.0, 100.0, log=True),
        "step": Choice(0.5, 0.1, 1.0),
        "batch_ms": Choice(15.0, 5.0, 60.0, log=True),
        "redetect_ms": Choice(20.0, 5.0, 100.0, log=True),
        "pyramid": Choice(0, options=(0, 1)),
        "blur_px": Choice(1, options=(0, 1, 2, 3)),
        "min_events": Choice(5, 1, 60, log=True, whole=True),
        "noise_ms": Choice(0, options=(0, 2, 5, 10)),
        "lead_ms": Choice(5.0, 0.0, 20.0),
        "speed_ms": Choice(40, options=(20, 40, 80, 160)),
    },
    user_set=5,
    missing=HOME.missing,
)
