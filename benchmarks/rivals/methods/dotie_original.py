"""DOTIE by its authors' code: one spiking layer that lets fast edges pass, and DBSCAN around what it passes.

Source: M. Nagaraj, C. M. Liyanagedera, K. Roy, DOTIE: Detecting objects through temporal isolation of events using a
spiking architecture, ICRA 2023. `foreign/children/dotie_child.py` calls the functions of the repository (which the user
names by `--source dotie=PATH`) and snnTorch's neuron; the loop of its scripts, the link of boxes from frame to frame
and the speeds (slopes of positions) are ours. The repository's settings are for cars in MVSEC at 2 ms a frame (boxes
with a diagonal of 48 px and more), so all of them are tuned here, in units of the radius where they are lengths.
"""

from __future__ import annotations

import json

from benchmarks.rivals.foreign.environments import CHILDREN, ENVIRONMENTS
from benchmarks.rivals.foreign.running import run_child, tracks_of
from benchmarks.rivals.interface import Choice, Rival, Values
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks

HOME = ENVIRONMENTS["dotie"]


def follow(recording: Recording, radius_px: float, bands: Bands, values: Values) -> Tracks:
    own = {
        **{name: values[name] for name in ("weight", "centre", "beta", "min_samples")},
        "frame_us": round(float(values["frame_ms"]) * 1e3),
        "neighbourhood": max(1, round(float(values["neighbourhood"]) * radius_px)),
        "eps": float(values["eps"]) * radius_px,
        "min_diagonal": float(values["min_diagonal"]) * radius_px,
        "reach": float(values["reach"]) * radius_px,
        "forget_us": 1e3 * float(values["forget_ms"]),
    }
    command = [str(HOME.python), str(CHILDREN / "dotie_child.py"), str(HOME.source)]
    rows, meta = run_child(command, recording, [json.dumps(own)])
    return tracks_of(rows, bands, radius_px, meta, window_ms=float(values["speed_ms"]))


RIVAL = Rival(
    name="dotie_original",
    title="DOTIE, its authors' functions",
    source="Nagaraj, Liyanagedera and Roy, ICRA 2023",
    licence="CC0-1.0",
    version="repository of September 2023, snnTorch 1.0.0",
    how="its published functions; the loop, links and speeds are ours",
    follow=follow,
    parameters={
        "frame_ms": Choice(5.0, options=(1.0, 2.0, 2.5, 5.0)),
        "weight": Choice(0.5, 0.03, 1.0, log=True),
        "centre": Choice(1.2, 0.03, 1.5, log=True),
        "beta": Choice(0.7, 0.0, 0.98),
        "neighbourhood": Choice(0.7, 0.3, 3.0, log=True),
        "eps": Choice(1.3, 0.2, 3.0, log=True),
        "min_samples": Choice(5, 2, 30, log=True, whole=True),
        "min_diagonal": Choice(1.0, 0.2, 2.5, log=True),
        "reach": Choice(1.5, 0.4, 5.0, log=True),
        "forget_ms": Choice(30.0, 5.0, 100.0, log=True),
        "speed_ms": Choice(40, options=(20, 40, 80, 160)),
    },
    user_set=6,
    missing=HOME.missing,
)
