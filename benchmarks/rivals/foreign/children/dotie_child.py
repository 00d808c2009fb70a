"""DOTIE's spiking layer and clustering, by the functions of its authors' repository.

Called with the repository's folder before the other arguments. Of theirs: `recover_fast_inputs`, `convert_to_3chnl`,
`get_boundaries_DOTIE`, and snnTorch's Leaky. Their scripts are loops over a file of MVSEC with windows, so the loop is
ours: the same convolution, neuron and order of calls. `pytorchyolo`, which their module imports for a comparison that
is not run here, is an empty module.
"""

from __future__ import annotations

import sys
import types

sys.path.insert(0, sys.argv.pop(1))
yolo = types.ModuleType("pytorchyolo")
vars(yolo).update(detect=None, models=None)
sys.modules["pytorchyolo"] = yolo

import numpy as np  # noqa: E402
import snntorch  # noqa: E402
import torch  # noqa: E402
from Clustering_techniques import get_boundaries_DOTIE  # noqa: E402
from common import Job  # noqa: E402
from visual_helpers import convert_to_3chnl, recover_fast_inputs  # noqa: E402

torch.set_num_threads(1)
job = Job()
values = job.values
layer = torch.nn.Conv2d(1, 1, kernel_size=3, stride=1, padding=1, bias=False)
layer.weight = torch.nn.Parameter(torch.full_like(layer.weight, values["weight"]))
with torch.no_grad():
    layer.weight[0, 0, 1, 1] = values["centre"]
neuron = snntorch.Leaky(beta=values["beta"], reset_mechanism="subtract")
membrane = neuron.init_leaky()
width, height = job.size
frame_us = values["frame_us"]
tracks: dict[int, tuple[float, float, int]] = {}  # id: (x, y, t)
born = 0
start, boxes = 0, None
due = 0
for stop in range(frame_us, job.instants[-1] + 1, frame_us) if len(job.instants) else ():
    part = job.events[job.until(start) : job.until(stop)]
    start = stop
    counts = np.bincount(part["y"].astype(np.int64) * width + part["x"], minlength=width * height)
    frame = counts.reshape(height, width)
    last = due < len(job.instants) and stop + frame_us > job.instants[due]
    with job.clock(), torch.no_grad():
        spikes, membrane = neuron(layer(torch.from_numpy(frame.astype(np.float32))[None, None]), membrane)
        if not last:
            continue
        fired = np.where(spikes.squeeze(0).squeeze(0).numpy() > 0, 255, 0).astype(np.uint8)
        shown = (frame * (255 / max(int(frame.max()), 1))).astype(np.uint8)
        fast = recover_fast_inputs(shown, fired, recovery_neighborhood=values["neighbourhood"])
        boxes = get_boundaries_DOTIE(
            convert_to_3chnl(fast), eps_val=values["eps"], min_samples_val=values["min_samples"],
            mindiagonalsquared=values["min_diagonal"] ** 2,
        )  # fmt: skip
        places = [((x0 + x1) / 2, (y0 + y1) / 2) for x0, y0, x1, y1 in boxes or ()]
    # DOTIE finds boxes in one frame; that the nearest box within `reach` goes on with an id is ours.
    now = job.instants[due]
    due += 1
    pairs = sorted(
        (np.hypot(x - u, y - v), number, k)
        for number, (u, v, _) in tracks.items()
        for k, (x, y) in enumerate(places)
    )  # fmt: skip
    taken, used = {}, set()
    for gap, number, k in pairs:
        if gap <= values["reach"] and number not in used and k not in taken:
            taken[k] = number
            used.add(number)
    for k, (x, y) in enumerate(places):
        if k not in taken:
            born += 1
            taken[k] = born
        tracks[taken[k]] = (x, y, now)
        job.row(now, taken[k], x, y)
    tracks = {number: track for number, track in tracks.items() if now - track[2] <= values["forget_us"]}
job.close()
