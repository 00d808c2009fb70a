"""Ways to connect the second layer and to set the first, for `benchmarks.architectures`.

All start from the same calibration; each changes one thing. The first layer has one channel per band edge,
the topmost of which only vetoes; a final channel beyond the bands counts for nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from velocell.calibration.formulas import calibrate
from velocell.calibration.peaks import psi
from velocell.calibration.recipe import Recipe
from velocell.network import Layer, Network
from velocell.network.architectures import with_inhibition, with_selection, with_smoothing
from velocell.network.neurons import LIFBox

OURS = "all faster (ours)"


@dataclass(frozen=True)
class Connectivity:
    """changes: of the Recipe. rewire: what becomes of the calibrated network."""

    name: str
    changes: dict[str, float] = field(default_factory=dict)
    rewire: Callable[[Network, Recipe], Network] = lambda network, _: network

    def build(self, edges: Sequence[float], radius: float, share: float) -> Network:
        recipe = replace(Recipe(), **self.changes)
        return self.rewire(calibrate(edges, radius, crossing_share=share, recipe=recipe), recipe)


def _one_layer(network: Network, _: Recipe) -> Network:
    return replace(network, layers=network.layers[:1])


def _memory_us(network: Network, recipe: Recipe) -> list[float]:
    """The hold of each channel's veto, Lc / v of the next edge; the topmost channel has none, and takes its own."""
    assert network.bands is not None
    edges = [*network.bands.edges[1:], network.bands.edges[-1]]
    return [1e6 * recipe.hold * math.pi * recipe.ring_width_px / 2 / edge for edge in edges]


def _inhibited(network: Network, recipe: Recipe) -> Network:
    assert network.radius_px is not None
    reach = recipe.veto_reach * network.radius_px
    return with_inhibition(network, reach, _memory_us(network, recipe), weight=recipe.veto)


def _smoothed(network: Network, recipe: Recipe) -> Network:
    assert network.radius_px is not None
    memory = _memory_us(network, recipe)
    return with_smoothing(network, recipe.centre_px, network.radius_px, memory, weight=recipe.surround)


def _selected(network: Network, recipe: Recipe) -> Network:
    assert network.radius_px is not None
    first, reach = _one_layer(network, recipe), recipe.veto_reach * network.radius_px
    memory = _memory_us(network, recipe)
    return with_selection(
        first, recipe.centre_px, network.radius_px, reach, memory, weight=recipe.surround, veto=recipe.veto
    )


def _vetoed_by(inhibits: Callable[[int, int], bool]) -> Callable[[Network, Recipe], Network]:
    """inhibits(j, k): whether channel j of layer 1 silences final channel k."""

    def rewire(network: Network, _: Recipe) -> Network:
        selective = network.layers[1]
        weights = selective.kernel.copy()
        veto = weights[0, 1].copy()
        for k in range(weights.shape[0]):
            for j in range(weights.shape[1]):
                if j != k:
                    weights[k, j] = veto if inhibits(j, k) else 0
        return replace(network, layers=(network.layers[0], Layer.from_arrays(weights, selective.neurons)))

    return rewire


def _limit_kernel_times(network: Network, recipe: Recipe) -> Network:
    """Time constants in the ratio sqrt 2 of a limit kernel, down from that of the fastest edge; the edges stay."""
    assert network.bands is not None
    assert network.radius_px is not None
    first, edges = network.layers[0], np.array(network.bands.edges)
    steps = np.arange(edges.size)[::-1]
    tau_s = recipe.memory * math.pi * recipe.ring_width_px / 2 / edges[-1] * math.sqrt(2) ** steps
    own_s = recipe.memory * math.pi * recipe.ring_width_px / 2 / edges
    tick_px = edges * network.dt_us * 1e-6
    kernel = first.dense_kernel().sum(axis=1)[0]
    change = psi(kernel, network.radius_px, edges * tau_s, tick_px) / psi(
        kernel, network.radius_px, edges * own_s, tick_px
    )
    old = first.neurons
    a = -np.expm1(-network.dt_us * 1e-6 / tau_s)
    neurons = LIFBox(a / (network.dt_us * 1e-6), old.v_th * change, old.v_leak, old.v_reset * change)
    return replace(network, layers=(Layer.from_arrays(first.kernel, neurons, first.groups), *network.layers[1:]))


def _with(name: str, **changes: float) -> Connectivity:
    return Connectivity(name, changes)


GROUPS: dict[str, list[Connectivity]] = {
    "Which layers": [
        Connectivity("one layer", rewire=_one_layer),
        Connectivity("smoothing only", rewire=lambda n, r: _smoothed(_one_layer(n, r), r)),
        Connectivity("inhibition only", rewire=lambda n, r: _inhibited(_one_layer(n, r), r)),
        Connectivity("inhibition, then smoothing", rewire=lambda n, r: _smoothed(_inhibited(_one_layer(n, r), r), r)),
        Connectivity("smoothing, then inhibition", rewire=lambda n, r: _inhibited(_smoothed(_one_layer(n, r), r), r)),
        Connectivity("both in one layer, reset to 0", rewire=_selected),
        _with(OURS),
    ],
    "Who inhibits whom (smoothing in the same layer)": [
        _with("nobody", veto=0.0),
        Connectivity("all slower", rewire=_vetoed_by(lambda j, k: j < k)),
        Connectivity("next faster", rewire=_vetoed_by(lambda j, k: j == k + 1)),
        Connectivity("both directions", rewire=_vetoed_by(lambda j, k: j != k)),
        Connectivity("next of both directions", rewire=_vetoed_by(lambda j, k: abs(j - k) == 1)),
    ],
    "The second layer's numbers (ours: reach 2 R, hold 0.4, veto -3, surround -0.15, centre 1.6 px, refractory -10)": [
        *(_with(f"reach {reach:g} R", veto_reach=reach) for reach in (1.0, 1.5, 3.0)),
        *(_with(f"hold {hold:g}", hold=hold) for hold in (0.2, 0.8, 1.2)),
        *(_with(f"veto {veto:g}", veto=veto) for veto in (-0.5, -1.0, -10.0)),
        *(_with(f"surround {weight:g}", surround=weight) for weight in (0.0, -0.3)),
        *(_with(f"centre {px:g} px", centre_px=px) for px in (1.0, 2.4)),
        *(_with(f"refractory {level:g}", refractory=level) for level in (0.0, -3.0)),
    ],
    "The first layer's numbers (ours: inside -0.5, memory 0.3, reset -3)": [
        *(_with(f"inside {weight:g}", inside=weight) for weight in (0.0, -1.0)),
        *(_with(f"memory {memory:g}", memory=memory) for memory in (0.2, 0.5)),
        *(_with(f"reset {level:g}", reset=level) for level in (0.0, -1.0)),
        Connectivity("time constants of a limit kernel, c = sqrt 2", rewire=_limit_kernel_times),
    ],
}
