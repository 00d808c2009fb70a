"""Accumulate events, find blobs with OpenCV, link."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from benchmarks.rivals.interface import Choice, Rival, Values
from benchmarks.rivals.parts import linking
from benchmarks.rivals.parts.pictures import counted
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks


def follow(recording: Recording, radius_px: float, bands: Bands, values: Values) -> Tracks:
    """Pixels with enough events in the window; gaps are closed, insides filled; blobs of about the disk's area."""
    window_us = float(values["window_ms"]) * 1e3
    area = np.pi * radius_px**2
    wanted: Any = cv2.SimpleBlobDetector.Params()
    wanted.minThreshold, wanted.maxThreshold, wanted.thresholdStep = 127, 129, 1
    wanted.minRepeatability, wanted.minDistBetweenBlobs = 1, radius_px
    wanted.filterByColor, wanted.blobColor = True, 255
    wanted.filterByArea = True
    wanted.minArea, wanted.maxArea = float(values["least_area"]) * area, float(values["most_area"]) * area
    wanted.filterByCircularity, wanted.minCircularity = True, float(values["circularity"])
    wanted.filterByInertia = wanted.filterByConvexity = False
    detector = cv2.SimpleBlobDetector.create(wanted)
    close = np.ones((int(values["close_px"]),) * 2, np.uint8)
    linker = linking.Linker(radius_px, bands, values)
    for t, picture in counted(recording, window_us):
        lit = (picture >= int(values["events"])).astype(np.uint8) * 255
        lit = np.asarray(cv2.medianBlur(lit, 3), np.uint8) if values["median"] else lit
        outlines, _ = cv2.findContours(cv2.morphologyEx(lit, cv2.MORPH_CLOSE, close), cv2.RETR_EXTERNAL, 2)
        filled = cv2.drawContours(np.zeros_like(lit), outlines, -1, 255, cv2.FILLED)
        found = [key.pt for key in detector.detect(filled)]
        linker.step(t, np.array(found, np.float64).reshape(-1, 2), window_us / 2)
    return linker.table()


RIVAL = Rival(
    name="blob",
    title="Blob + linking",
    source="OpenCV's SimpleBlobDetector, https://github.com/opencv/opencv",
    licence="Apache-2.0",
    version=f"OpenCV {cv2.__version__}",
    how="OpenCV's detector as published, on accumulated events; linking of our own (parts/linking.py)",
    parameters={
        "window_ms": Choice(20.0, 3.0, 80.0, log=True),
        "events": Choice(1, 1, 4, whole=True),
        "median": Choice(False, options=(False, True)),
        "close_px": Choice(3, 1, 7, whole=True),
        "least_area": Choice(0.5, 0.2, 1.0),
        "most_area": Choice(3.0, 1.5, 6.0),
        "circularity": Choice(0.5, 0.1, 0.85),
        **linking.PARAMETERS,
    },
    user_set=3,
    follow=follow,
)
