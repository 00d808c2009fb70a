"""NIR files run by other frameworks, each with its own importer: maps (T, C, H, W) -> final spikes, bool (T, C, H, W).

What a framework needs beyond its importer stands in its function, so that nothing is hidden.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from velocell.data.recording import Recording
from velocell.engines import run
from velocell.engines.stream import input_maps
from velocell.network import Network
from velocell.studies.deployed import change

Maps = npt.NDArray[np.float32]
Fired = npt.NDArray[np.bool_]


def expected(network: Network, recording: Recording) -> tuple[Maps, Fired]:
    """The maps that layer 0 sees, and the final spikes of the reference engine."""
    maps = input_maps(network, recording)
    spikes = run(network, recording, engine="reference").final()
    wanted = np.zeros((len(maps), network.layers[-1].channels, recording.height, recording.width), bool)
    ticks = spikes.t_us // network.dt_us - recording.start_us // network.dt_us
    wanted[ticks, spikes.channel, spikes.y, spikes.x] = True
    return maps, wanted


def one_weight_off(network: Network, recording: Recording) -> Network:
    """With one weight of layer 0 that is 1 % smaller: the first, in the order of a fixed shuffle, that a final spike
    depends on. Most do not: a ring has many weights, and few potentials pass a threshold by so little."""
    layer = network.layers[0]
    places = np.random.default_rng(0).permutation(np.argwhere(layer.kernel))
    for place in places:
        kernel = layer.kernel.copy()
        kernel[tuple(place)] *= np.float32(0.99)
        off = replace(network, layers=(replace(layer, kernel=kernel), *network.layers[1:]))
        if change(network, off, recording).differing:
            return off
    raise AssertionError(f"no spike depends on 1 % of one of {len(places)} weights; look longer")


def fired(framework: str, path: Path, maps: Maps, dt_us: int) -> Fired:
    """Final spikes of the file, run by a framework."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs, of what they call themselves
        return _RUN[framework](path, maps, dt_us)


def norse(path: Path, maps: Maps, dt_us: int) -> Fired:
    import nir
    import norse.torch

    network = norse.torch.from_nir(nir.read(path), dt=dt_us * 1e-6)
    return _ticks(network, maps)


def snntorch(path: Path, maps: Maps, dt_us: int) -> Fired:
    import nir
    from snntorch.import_nir import import_from_nir

    with contextlib.redirect_stdout(io.StringIO()):  # it prints as it goes
        network = import_from_nir(nir.read(path))
    return _ticks(network, maps)


def spikingjelly(path: Path, maps: Maps, dt_us: int) -> Fired:
    import nir
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    return _ticks(import_from_nir(nir.read(path), dt=dt_us * 1e-6), maps)


def sinabs(path: Path, maps: Maps, dt_us: int) -> Fired:
    import nir
    import torch
    from sinabs.activation import MembraneReset, SingleSpike
    from sinabs.layers import LIFSqueeze
    from sinabs.nir import from_nir

    network = from_nir(nir.read(path, type_check=False), batch_size=1)
    for module in network.modules():
        if isinstance(module, LIFSqueeze):  # its importer leaves several spikes a tick and a subtraction
            module.spike_fn, module.reset_fn = SingleSpike, MembraneReset()
    with torch.no_grad():
        spikes, _ = network(torch.from_numpy(maps))
    return np.asarray(spikes.numpy() > 0)


_RUN: dict[str, Callable[[Path, Maps, int], Fired]] = {
    "norse": norse,
    "snntorch": snntorch,
    "spikingjelly": spikingjelly,
    "sinabs": sinabs,
}


def _ticks(network: Any, maps: Maps) -> Fired:
    import torch

    found, state = [], None
    with torch.no_grad():
        for frame in torch.from_numpy(maps):
            spikes, state = network(frame[None], state)
            found.append(np.asarray(spikes.numpy()[0] > 0))
    return np.stack(found)
