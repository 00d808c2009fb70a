"""dv-processing's MeanShiftTracker, seeded by its own blob detector."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import dv_processing as dv
import numpy as np
from common import Job


def smoother(pixels: int) -> Callable[[Any], Any]:
    """A box blur of the detector's picture, the hook that the package has for it."""

    def blurred(picture: Any) -> Any:
        if pixels <= 0:
            return picture
        size = 2 * pixels + 1
        image: Any = np.asarray(picture, np.float32)
        for axis in (0, 1):
            pad = [(pixels + 1, pixels) if k == axis else (0, 0) for k in (0, 1)]
            total = np.cumsum(np.pad(image, pad, mode="edge"), axis=axis)
            ends = [slice(None), slice(None)]
            starts = [slice(None), slice(None)]
            ends[axis], starts[axis] = slice(size, None), slice(None, -size)
            image = (total[tuple(ends)] - total[tuple(starts)]) / size
        return np.clip(np.rint(image), 0, 255).astype(np.asarray(picture).dtype)

    return blurred


def store(part: Any) -> Any:
    events = dv.EventStore()
    for t, x, y, p in part.tolist():
        events.push_back(zero + t, x, y, bool(p))
    return events


zero = 1_000_000  # a clock that does not begin at 0, where the package knows no earlier event
job = Job()
values = job.values
bandwidth, window = int(values["bandwidth"]), int(values["window_us"])
coarse = values["coarse"]
small = tuple(int(np.ceil(pixels / coarse)) for pixels in job.size)
detector = dv.features.EventFeatureBlobDetector(small, values["pyramid"], smoother(values["blur_px"]))
tracker = dv.features.MeanShiftTracker(small, bandwidth, timedelta(microseconds=window), values["step"], 1.0, 0.01, 200)
tracker.setDetector(detector)
tracker.setMaxTracks(values["max_tracks"])
tracker.setRedetectionStrategy(
    dv.features.UpdateIntervalRedetection(timedelta(microseconds=int(values["redetect_us"])))
)
noise = (
    dv.noise.BackgroundActivityNoiseFilter(job.size, timedelta(microseconds=int(values["noise_us"])))
    if values["noise_us"]
    else None
)
rolling = dv.EventStore()
done = 0
for t in job.instants:
    stop = job.until(t)
    fed, done = store(job.events[done:stop]), stop
    with job.clock():
        if noise:
            noise.accept(fed)
            fed = noise.generateEvents()
        # The detector sees what was accepted last, so that is the latest `batch`; the surface keeps the newest times.
        if not fed.isEmpty():
            rolling.add(fed)
        rolling = rolling.sliceTime(max(zero, zero + t - int(values["batch_us"])), zero + t + 1)
        if rolling.isEmpty():
            continue
        tracker.accept(dv.scale(rolling, coarse, coarse) if coarse > 1 else rolling)
        found = tracker.runTracking()
        if found is None:
            continue
        recent = job.events[job.until(t - window) : stop]
        kept: list[tuple[float, float]] = []
        lost: list[int] = []
        # The tracker itself never drops a track: one without events around it, and one on an older one, are told to it.
        for point in sorted(found.keypoints, key=lambda point: point.class_id):
            x, y = ((place + 0.5) * coarse - 0.5 for place in point.pt)
            around = np.count_nonzero(np.hypot(recent["x"] - x, recent["y"] - y) <= bandwidth * coarse)
            double = any(np.hypot(x - u, y - v) < bandwidth * coarse for u, v in kept)
            if double or around < values["min_events"]:
                lost.append(point.class_id)
            else:
                kept.append((x, y))
                job.row(t, point.class_id, x, y)
        if lost:
            tracker.removeTracks(lost)
job.close()
