"""EROS, the surface of PUCK, with a ring on it, and linking."""

from __future__ import annotations

import numpy as np

from benchmarks.rivals.interface import Choice, Rival, Values, instants
from benchmarks.rivals.parts import linking
from benchmarks.rivals.parts.pictures import Picture, correlated, peaks, ring_kernel
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks


def follow(recording: Recording, radius_px: float, bands: Bands, values: Values) -> Tracks:
    """Each event sets its pixel to 1 and fades the k x k pixels around it by decay^(1/k): what moves wipes its own
    trail, whatever its speed."""
    half = int(values["half_px"])
    side = 2 * half + 1
    fade = np.float32(float(values["decay"]) ** (1 / side))
    kernel = ring_kernel(radius_px, float(values["width_px"]), float(values["inside"]))
    surface = np.zeros((recording.height + 2 * half, recording.width + 2 * half), np.float32)
    seen = surface[half : half + recording.height, half : half + recording.width]
    linker = linking.Linker(radius_px, bands, values)
    xs, ys = recording.x.tolist(), recording.y.tolist()
    times = instants(recording)
    first = 0
    for t, last in zip(times.tolist(), np.searchsorted(recording.t_us, times, side="right").tolist(), strict=True):
        set_events(surface, xs[first:last], ys[first:last], half, fade)
        first = last
        answer = correlated(seen, kernel)
        linker.step(t, peaks(answer, float(values["level"]), radius_px), float(values["lag_ms"]) * 1e3)
    return linker.table()


def set_events(surface: Picture, xs: list[int], ys: list[int], half: int, fade: np.float32) -> None:
    """One after the other; the surface has a margin of `half` px on all sides."""
    side = 2 * half + 1
    for x, y in zip(xs, ys, strict=True):
        surface[y : y + side, x : x + side] *= fade
        surface[y + half, x + half] = 1.0


RIVAL = Rival(
    name="eros",
    title="EROS (PUCK) + ring",
    source="Gava et al., PUCK: parallel surface and convolution-kernel tracking for event-based cameras, 2022, "
    "https://arxiv.org/abs/2205.07657; their code (BSD-3, one target): https://github.com/event-driven-robotics/PUCK",
    licence="Apache-2.0",
    version="1",
    how="reimplemented from its description; several targets: peaks of a ring's answer over the whole surface and "
    "linking of our own, where PUCK searches around one target",
    parameters={
        "half_px": Choice(3, 1, 6, whole=True),
        "decay": Choice(0.3, 0.05, 0.8),
        "width_px": Choice(2.5, 1.5, 4.5),
        "inside": Choice(0.5, 0.0, 1.5),
        "level": Choice(0.15, 0.03, 0.6, log=True),
        "lag_ms": Choice(0.0, 0.0, 10.0),
        **linking.PARAMETERS,
    },
    user_set=2,
    follow=follow,
)
