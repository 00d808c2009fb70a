"""What a network is: neurons, kernels, layers, how they are wired, and where each number came from.

`network.py` states what happens in one tick; the engines run it.
"""

from velocell.data.bands import Bands
from velocell.network.layers import Layer, TrailFilter
from velocell.network.network import Network
from velocell.network.neurons import LIFBox

__all__ = ["Bands", "LIFBox", "Layer", "Network", "TrailFilter"]
