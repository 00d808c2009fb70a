"""Accumulate events, find circles with OpenCV, link."""

from __future__ import annotations

import cv2
import numpy as np

from benchmarks.rivals.interface import Choice, Rival, Values
from benchmarks.rivals.parts import linking
from benchmarks.rivals.parts.pictures import counted
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks


def follow(recording: Recording, radius_px: float, bands: Bands, values: Values) -> Tracks:
    """The outline is a bright ring, whose gradients point inwards and outwards; both sides vote."""
    window_us = float(values["window_ms"]) * 1e3
    linker = linking.Linker(radius_px, bands, values)
    spread = float(values["spread"])
    for t, picture in counted(recording, window_us):
        grey = cv2.GaussianBlur(np.minimum(picture, float(values["most_events"])), (0, 0), float(values["blur_px"]))
        scaled = (grey * (255 / max(float(grey.max()), 1e-6))).astype(np.uint8)
        circles = cv2.HoughCircles(
            scaled, cv2.HOUGH_GRADIENT, float(values["dp"]), radius_px, param1=float(values["canny"]),
            param2=float(values["votes"]), minRadius=int(radius_px * (1 - spread)),
            maxRadius=int(np.ceil(radius_px * (1 + spread))),
        )  # fmt: skip
        places = np.empty((0, 2)) if circles is None else circles.reshape(-1, circles.shape[-1])[:60, :2]
        linker.step(t, places.astype(np.float64), window_us / 2)
    return linker.table()


RIVAL = Rival(
    name="hough",
    title="HoughCircles + linking",
    source="OpenCV's HoughCircles, https://github.com/opencv/opencv",
    licence="Apache-2.0",
    version=f"OpenCV {cv2.__version__}",
    how="OpenCV's detector as published, on accumulated events; linking of our own (parts/linking.py)",
    parameters={
        "window_ms": Choice(20.0, 3.0, 80.0, log=True),
        "most_events": Choice(2, 1, 8, whole=True),
        "blur_px": Choice(1.0, 0.5, 2.5),
        "dp": Choice(1.0, options=(1.0, 1.5, 2.0)),
        "canny": Choice(100.0, 30.0, 300.0, log=True),
        "votes": Choice(9.0, 4.0, 25.0, log=True),
        "spread": Choice(0.3, 0.1, 0.5),
        **linking.PARAMETERS,
    },
    user_set=3,
    follow=follow,
)
