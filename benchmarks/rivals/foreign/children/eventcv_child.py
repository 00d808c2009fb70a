"""EventCV's Tracker on event counts of a sliding window, one frame per instant."""

import eventcv
import numpy as np
from common import Job

job = Job()
values = job.values
window, lead = values["window_us"], values["lead"]
tracker = eventcv.Tracker(
    connectivity=values["connectivity"], min_area=values["min_area"], max_distance=values["max_distance"],
    max_missed=values["max_missed"],
)  # fmt: skip
small = tuple(max(1, round(pixels / values["coarse"])) for pixels in job.size)
grow = tuple(pixels / few for pixels, few in zip(job.size, small, strict=True))
rate, ahead = 1e6 / job.every, lead * window * 1e-6
all_events = np.stack([job.events[name].astype(np.int64) for name in ("x", "y", "t", "p")], axis=1)
for t in job.instants:
    part = all_events[job.until(t - window) : job.until(t)]
    with job.clock():
        if not len(part):
            continue
        stream = eventcv.from_numpy(part, sensor_size=job.size, time_unit="us")
        if values["noise_ms"] > 0:
            stream = stream.background_activity_filter(round(1e3 * values["noise_ms"]))
        stream = stream.resize(*small) if small != job.size else stream
        for track in tracker.update(stream.count()):
            if track["missed"] or track["age"] < values["min_age"]:
                continue
            (x, y), (vx, vy) = track["centroid"], track["velocity"]
            x, y = (x + 0.5) * grow[0] - 0.5, (y + 0.5) * grow[1] - 0.5
            vx, vy = vx * grow[0] * rate, vy * grow[1] * rate
            job.row(t, track["id"], x + vx * ahead, y + vy * ahead, vx, vy)
job.close()
