"""The exported network in other frameworks, by their own importers: the spikes of engine `reference`, all of them.

`make interop` installs them into build/interop and runs this; with `make test` alone it is Norse's turn only
(`test_nir.py`).
"""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

import nir_frameworks
import numpy as np
import pytest
from places import SHARED

from velocell import formats
from velocell.calibration.formulas import calibrate
from velocell.data.recording import Recording
from velocell.network import Network
from velocell.network.architectures import parallel_channels, with_inhibition
from velocell.network.kernels import circular_kernel
from velocell.network.neurons import LIFBox
from velocell.network.nir import dialects
from velocell.simulate import notebook_scene, random_scene, simulate

pytestmark = pytest.mark.skipif("VELOCELL_INTEROP" not in os.environ, reason="make interop runs these")

NOTEBOOK = (16.0, 62.0, 177.0, 500.0)
WIDE = (20.0, 80.0, 320.0, 1280.0)


def _notebook() -> Recording:
    """The notebook's own recording where it is there, else its simulated twin."""
    own = SHARED / "2404_circle.dat"
    seen = formats.read(own) if own.is_file() else simulate(notebook_scene())[0]
    return seen.between(0, 200_000)


def _scene(radius: float, contrast: float) -> Recording:
    scene = random_scene(
        4, width=64, height=48, radius=radius, speeds=(30, 1000), contrast=contrast, noise_hz=0.5, seed=71,
        duration_us=100_000, separate=False,
    )  # fmt: skip
    return simulate(scene)[0]


def _by_hand() -> Network:
    """The notebook's Network2: three channels, each silenced by the faster ones."""
    neurons = LIFBox([20.0, 200.0, 300.0], [1.6, 7.5, 16.0])
    return with_inhibition(parallel_channels(circular_kernel(4.5), neurons, 1_000), 10.0, 20_000)


CASES = {
    "notebook, selective": lambda: (_notebook(), calibrate(NOTEBOOK, 5.0, polarity=False)),
    "notebook, Network2": lambda: (_notebook(), _by_hand()),
    "contrast 1": lambda: (_scene(4, 1), calibrate(WIDE, 4.0)),
    "contrast 3": lambda: (_scene(3, 3), calibrate(WIDE, 3.0, polarity=False)),
    "contrast 10, no filter": lambda: (_scene(5, 10), calibrate(WIDE, 5.0, contrast=10.0)),
}


@pytest.mark.parametrize("framework", dialects.FRAMEWORKS)
@pytest.mark.parametrize("case", CASES)
def test_the_spikes_are_the_same_and_one_percent_of_one_weight_is_seen(
    framework: str, case: str, tmp_path: Path
) -> None:
    seen, network = CASES[case]()
    network = network.portable()
    maps, wanted = nir_frameworks.expected(network, seen)
    assert wanted.sum() > 50
    network.to_nir(seen.size, tmp_path / "net.nir", framework=framework)
    differing = nir_frameworks.fired(framework, tmp_path / "net.nir", maps, network.dt_us) != wanted
    off = nir_frameworks.one_weight_off(network, seen)
    off.to_nir(seen.size, tmp_path / "off.nir", framework=framework)
    found = nir_frameworks.fired(framework, tmp_path / "off.nir", maps, network.dt_us)
    print(
        f"{case} | {framework} {version(framework)} | {len(maps)} ticks | {wanted.sum()} spikes | "
        f"{differing.sum()} differ | {(found != wanted).sum()} with one weight off"
    )
    assert not differing.any()
    assert (found != wanted).any()
    np.testing.assert_array_equal(found, nir_frameworks.expected(off, seen)[1])
