"""The notebook's standard forms of a Network, each a plain function.

    parallel_channels     one convolution, N channels of neurons side by side       (its Network)
    with_inhibition       + a layer: a channel is silenced by faster ones nearby    (its Network2)
    with_smoothing        + a layer: a channel keeps the middle of its answers      (its task 3.2)
    with_selection        + a layer that does both                                  (what `calibrate` builds)

Channels are sorted by speed: channel k + 1 answers to faster disks than channel k. Each `with_`
adds one layer behind those that are there, and keeps everything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from velocell.errors import NetworkError
from velocell.network.kernels import centre_surround_kernel, disk_kernel
from velocell.network.layers import Layer
from velocell.network.network import Network
from velocell.network.neurons import LIFBox

VETO = -3.0  # weight of one faster spike against one of the channel's own; 10 changes little
SURROUND = -0.15


def parallel_channels(kernel: ArrayLike, neurons: LIFBox, dt_us: int) -> Network:
    """One convolution, then every channel of `neurons` sees its result.

    kernel: (1, C_in, h, w), a Conv2d weight; C_in = 1 for merged polarities, 2 for (OFF, ON).
    """
    return Network(dt_us, (Layer.from_arrays(kernel, neurons),))


def with_inhibition(
    network: Network, reach_px: float, hold_us: float | Sequence[float], *, weight: float = VETO
) -> Network:
    """Channel k passes its own spikes on unless a faster channel spiked within `reach_px` of them.

    The veto fades with the time constant `hold_us`, one for all channels or one each. It must last,
    since a fast disk crosses the thresholds of the slow channels first, and reach further than the
    disk moves between two spikes of the faster channel.
    """
    neurons = _neurons(network, hold_us, threshold=0.5)
    return _with(network, selective_layer(np.ones((1, 1)), weight * disk_kernel(reach_px), neurons))


def with_smoothing(
    network: Network,
    centre_px: float,
    surround_px: float,
    memory_us: float | Sequence[float],
    *,
    weight: float = SURROUND,
) -> Network:
    """A channel spikes where spikes of its own lie within `centre_px` and none around, out to `surround_px`.

    They add up over `memory_us`, one for all channels or one each; a lone one is not enough.
    """
    neurons = _neurons(network, memory_us, threshold=1.0)
    kernel = centre_surround_kernel(centre_px, surround_px, weight=weight)
    return _with(network, Layer.from_arrays(kernel, neurons, groups=neurons.channels))


def with_selection(
    network: Network,
    centre_px: float,
    surround_px: float,
    reach_px: float,
    hold_us: float | Sequence[float],
    *,
    weight: float = SURROUND,
    veto: float = VETO,
) -> Network:
    """Smoothing and inhibition in one layer; its neurons' memory is the hold of the veto."""
    own = centre_surround_kernel(centre_px, surround_px, weight=weight)
    neurons = _neurons(network, hold_us, threshold=1.0)
    return _with(network, selective_layer(own, veto * disk_kernel(reach_px), neurons))


def selective_layer(own: ArrayLike, veto: ArrayLike, neurons: LIFBox, *, channels: int | None = None) -> Layer:
    """Channel k sees channel k before it through the kernel `own` and every faster one through `veto`.

    own, veto: (..., h, w), square with odd sides. neurons: one channel per output. channels: of the
    layer before, by default as many; further ones only veto. The Layer's kernel has shape
    (outputs, channels, side, side).
    """
    outputs = neurons.channels
    inputs = outputs if channels is None else channels
    if inputs < outputs:
        raise NetworkError(f"{outputs} selective channels need at least as many before them, got {inputs}")
    kernels = [_square(own), _square(veto)]
    side = max(kernel.shape[0] for kernel in kernels)
    centre, around = (np.pad(kernel, (side - kernel.shape[0]) // 2) for kernel in kernels)
    weights = np.zeros((outputs, inputs, side, side), np.float32)
    for channel in range(outputs):
        weights[channel, channel] = centre
        weights[channel, channel + 1 :] = around
    return Layer.from_arrays(weights, neurons)


def _with(network: Network, layer: Layer) -> Network:
    return replace(network, layers=(*network.layers, layer))


def _neurons(network: Network, memory_us: float | Sequence[float], *, threshold: float) -> LIFBox:
    """Neurons for a layer behind the last one, channel by channel, that decay by exp(-dt / memory) in
    a tick; the threshold is in units of what one spike adds where the kernel is 1."""
    channels = network.layers[-1].channels
    tau_us = np.asarray(memory_us, np.float64)
    if tau_us.shape not in ((), (channels,)) or not (tau_us > 0).all():
        raise NetworkError(f"give one time above 0 us, or one for each of the {channels} channels, got {memory_us}")
    a = np.broadcast_to(-np.expm1(-network.dt_us / tau_us), channels)
    return LIFBox(a / (network.dt_us * 1e-6), threshold * a)


def _square(kernel: ArrayLike) -> NDArray[np.float32]:
    weights = np.asarray(kernel, np.float32)
    if weights.ndim < 2 or weights.size != weights.shape[-1] ** 2 or weights.shape[-1] % 2 == 0:
        raise NetworkError(f"a kernel between channels must be square with an odd side, got shape {weights.shape}")
    return weights.reshape(weights.shape[-2:])
