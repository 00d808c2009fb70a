"""Streams for the native engine, and how it runs over one in parts."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.engines import native
from velocell.network import Layer, Network
from velocell.network.neurons import LIFBox

BANDS = (16.0, 62.0, 177.0, 500.0)


def one_pixel(
    events_us: list[int], *, a: float = 0.02, v_th: float = 1e3, dt_us: int = 1_000, **settings: float
) -> tuple[Network, Recording]:
    """One neuron that sees these events with weight 1."""
    network = Network(dt_us, (Layer.from_arrays(np.ones((1, 1, 1, 1)), LIFBox(a / (dt_us * 1e-6), v_th, **settings)),))
    zero = np.zeros(len(events_us), np.int64)
    return network, Recording.from_arrays(np.array(events_us), zero, zero, width=1, height=1)


def run_in_parts(network: Network, recording: Recording, cuts_us: list[int], **options: int) -> Spikes:
    """With a step at each cut, promised by `until_us`, and the rest in a last one."""
    state, parts = native.init(network, recording.size, **options), []
    for start, stop in pairwise([recording.start_us, *sorted(cuts_us), recording.stop_us]):
        state, spikes = native.step(network, state, recording.between(start, stop), stop)
        parts.append(spikes)
    end_us = -(-recording.stop_us // network.dt_us) * network.dt_us
    state, spikes = native.step(network, state, recording.slice(0, 0), end_us)
    return Spikes.concatenate([*parts, spikes])
