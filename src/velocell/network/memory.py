"""How much of the past a network's spikes depend on: what has to be run before a cut, so that nothing is lost by it.

A membrane forgets by the factor 1 - a in each tick. A difference between two of them is gone for good once float32
rounds it away beside the threshold, 2^-25 of it; membranes are never farther apart than some hundred thresholds, 2^7
(a reset lies 3 to 10 below, inhibition drives them further). So after

    M = 32 / log2(1 / (1 - a)) ticks

without a spike in one of them that the other has not, two membranes are the same: either they got the same input all
the time, or a spike in both reset both. What the trail filter lets through depends on its longest silence.

A run that begins late with membranes at rest spikes wrongly at first. Wrong spikes become rare as differences shrink:
after the time in which 2^7 thresholds become 2^-13 of one, 20 bits, a hundred thousand spikes hold about one that is
wrong. Then both runs have to agree for M, in all layers before another one for as long as that one's M too, so that it
has the same input. The run-in is

    longest silence + max over layers l of (20 bits of each layer up to l, and the longest M of l and those behind it)

That is how long it usually takes. Whether both runs have agreed is looked at for each cut (`settled`), since no length
could be enough for any input: a membrane that is driven evenly for ever keeps its phase for ever.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from velocell.data.spikes import Spikes
from velocell.network.network import Network

FORGOTTEN_BITS = 32.0
SETTLING_BITS = 20.0


def memory_us(network: Network, bits: float = FORGOTTEN_BITS) -> list[NDArray[np.float64]]:
    """For each layer, of its channels (C,): how long until a membrane has forgotten so many bits, in microseconds."""
    found = []
    for layer in network.layers:
        a = np.minimum(layer.neurons.decay(network.dt_us).astype(np.float64), 1.0)
        with np.errstate(divide="ignore"):
            ticks = np.ceil(bits * math.log(2) / -np.log1p(-a))
        found.append(np.maximum(ticks, 1.0) * network.dt_us)
    return found


def agreement_us(network: Network) -> list[NDArray[np.float64]]:
    """For each layer, of its channels (C,): how long two runs must have agreed to go on alike, in microseconds. The
    layers behind it depend on its spikes for as long as they remember."""
    found: list[NDArray[np.float64]] = []
    behind = 0.0
    for memory in reversed(memory_us(network)):
        found.insert(0, np.maximum(memory, behind))
        behind = max(behind, float(memory.max()))
    return found


def silence_us(network: Network) -> int:
    """How much of the past decides what the trail filter lets through."""
    return 0 if network.trail_filter is None else max(network.trail_filter.silence_us)


def run_in_us(network: Network) -> int:
    """How much of the recording before a cut has to be run, in microseconds: whole ticks."""
    settling, longest = 0.0, 0.0
    for slow, agreed in zip(memory_us(network, SETTLING_BITS), agreement_us(network), strict=True):
        settling += float(slow.max())
        longest = max(longest, settling + float(agreed.max()))
    dt = network.dt_us
    return math.ceil((silence_us(network) + longest) / dt) * dt


def that_matter(networks: Sequence[Network], spikes: Spikes, cut_us: int) -> Spikes:
    """Those spikes before a cut by which two runs are compared."""
    keep = np.zeros(len(spikes), np.bool_)
    for network in networks:
        for number, agreed in enumerate(agreement_us(network)):
            of_layer = (spikes.layer == number) & (spikes.t_us < cut_us)
            since_us = cut_us - agreed[np.minimum(spikes.channel, agreed.size - 1)]
            keep |= of_layer & (spikes.t_us >= since_us)
    return spikes.where(keep)


def settled(networks: Sequence[Network], one: Spikes, other: Spikes, start_us: int, cut_us: int) -> bool:
    """Whether two runs that gave these spikes go on alike from `cut_us` on: in each channel of each layer no spike
    within `agreement_us` before it is in one of them alone. start_us: where the later run began."""
    for network in networks:
        if start_us + silence_us(network) > cut_us - max(float(agreed.max()) for agreed in agreement_us(network)):
            return False
    differing = _only_in_one(that_matter(networks, one, cut_us), that_matter(networks, other, cut_us))
    return not len(differing)


def _only_in_one(one: Spikes, other: Spikes) -> Spikes:
    """Those that are not in both; no spike is twice in one of them."""
    both = Spikes.concatenate([one, other])
    same = np.ones(max(len(both) - 1, 0), np.bool_)
    for values in both.columns().values():
        same &= np.diff(values) == 0
    alone = np.ones(len(both), np.bool_)
    alone[1:] &= ~same
    alone[:-1] &= ~same
    return both.where(alone)
