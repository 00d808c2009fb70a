"""The course's network, tuned by hand: a ring, channels of LIF neurons, inhibition by faster ones; and linking."""

from __future__ import annotations

import cv2
import numpy as np

from benchmarks.rivals.interface import EVERY_US, Choice, Rival, Values, instants
from benchmarks.rivals.parts import linking
from benchmarks.rivals.parts.pictures import peaks
from velocell import __version__, engines
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.data.tracks import Tracks
from velocell.network.architectures import parallel_channels, with_inhibition
from velocell.network.kernels import circular_kernel
from velocell.network.network import Network
from velocell.network.neurons import LIFBox


def network(radius_px: float, bands: Bands, values: Values) -> Network:
    """A channel remembers the same way of the disks of its band, and fires at `level` events of each of the ring's 4 R
    pixels a px of way."""
    middle = np.sqrt(np.array(bands.edges[1:]) * np.array(bands.edges[:-1]))
    tau_us = float(values["memory_px"]) / middle * 1e6
    dt_us = int(min(1_000, max(tau_us.min() / 3, 50)))
    a = dt_us / tau_us
    events = float(values["level"]) * 4 * radius_px * float(values["memory_px"])
    neurons = LIFBox(1e6 / tau_us, a * events)
    first = parallel_channels(circular_kernel(radius_px, 2.0, inside=-float(values["inside"])), neurons, dt_us)
    return with_inhibition(first, 2 * radius_px, (float(values["hold"]) * np.pi / middle * 1e6).tolist())


def follow(recording: Recording, radius_px: float, bands: Bands, values: Values) -> Tracks:
    """Spikes of the last interval, blurred, channel by channel; the channel with most of them gives the band."""
    spikes = engines.run(network(radius_px, bands, values), recording).final()
    linker = linking.Linker(radius_px, bands, values)
    for t in instants(recording).tolist():
        linker.step(t, _places(spikes, t, recording, radius_px, float(values["spikes"])), EVERY_US / 2)
    return linker.table()


def _places(spikes: Spikes, t: int, recording: Recording, radius_px: float, least: float) -> np.ndarray:
    a, b = np.searchsorted(spikes.t_us, [t - EVERY_US, t])
    flat = spikes.y[a:b].astype(np.intp) * recording.width + spikes.x[a:b]
    counts = np.bincount(flat, minlength=recording.width * recording.height).astype(np.float32)
    blurred = cv2.blur(counts.reshape(recording.height, recording.width), (3, 3)) * 9
    return peaks(np.asarray(blurred, np.float32), least, radius_px)


RIVAL = Rival(
    name="notebook",
    title="The course's network",
    source="module 3 of the course, https://github.com/ncskth/phd-course; examples/time_surfaces.ipynb here",
    licence="Apache-2.0",
    version=f"Velocell {__version__}'s engine",
    how="its ring, channels and inhibition as in the notebook, thresholds and time constants set by hand, that is "
    "tuned; no trail filter, no calibration, no tracker of ours; linking of parts/linking.py",
    parameters={
        "memory_px": Choice(2.0, 0.5, 8.0, log=True),
        "level": Choice(1.0, 0.1, 6.0, log=True),
        "inside": Choice(0.5, 0.0, 1.0),
        "hold": Choice(0.8, 0.2, 3.0, log=True),
        "spikes": Choice(2.0, 1.0, 20.0, log=True),
        **linking.PARAMETERS,
    },
    user_set=4,
    follow=follow,
)
