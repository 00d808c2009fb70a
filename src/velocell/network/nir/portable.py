"""The form of a network that every framework runs alike: resets to 0, and no threshold on the knife's edge.

Where what one event adds equals the threshold, one ulp or >= in place of > decides about the spike.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from velocell.network.layers import Layer
from velocell.network.neurons import LIFBox

if TYPE_CHECKING:
    from velocell.network.network import Network

_NEAR = 1e-3  # of the threshold
_APART = 1 + 1 / 64  # exact in float32, so that the new threshold is another one in every program


def portable(network: Network) -> Network:
    """With resets to 0, and thresholds that one event reaches exactly a 64th higher. The spikes are not quite those of
    the network before."""
    return replace(network, layers=tuple(_portable(layer, network.dt_us) for layer in network.layers))


def _portable(layer: Layer, dt_us: int) -> Layer:
    old = layer.neurons
    raised = np.isin(np.arange(layer.channels), on_edge(layer, dt_us))
    # Of the way from v_leak, from where one event lifts the membrane.
    threshold = np.where(raised, old.v_leak + (old.v_th - old.v_leak) * np.float32(_APART), old.v_th)
    return replace(layer, neurons=LIFBox(old.tau_mem_inv, threshold, old.v_leak, np.minimum(0, threshold)))


def on_edge(layer: Layer, dt_us: int) -> tuple[int, ...]:
    """Channels in which one event lands on the threshold itself."""
    neurons = layer.neurons
    rise = neurons.decay(dt_us)[:, None] * layer.kernel.reshape(layer.channels, -1)
    needed = (neurons.v_th - neurons.v_leak)[:, None]
    with np.errstate(invalid="ignore"):
        near = (np.abs(rise - needed) < _NEAR * needed).any(axis=1)
    return tuple(int(channel) for channel in np.flatnonzero(near & np.isfinite(neurons.v_th)))
