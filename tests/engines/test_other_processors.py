"""The engine on a processor that this machine is not: the same spikes, bit by bit.

`elsewhere.cpp` and the engine's sources, built by a cross compiler, run in an emulator: that shows that the kernels of
that processor are right, and nothing of their speed. On Debian: apt-get install g++-aarch64-linux-gnu qemu-user.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from places import ROOT

from velocell.calibration.formulas import calibrate
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.network import Layer, Network
from velocell.network.kernels import circular_kernel
from velocell.network.neurons import LIFBox
from velocell.simulate import random_scene, simulate

pytest.importorskip("velocell._native", reason="the C++ core is not built (pip install .)")

from velocell import _native
from velocell.engines import native

COMPILER, EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64"
FLAGS = ["-std=c++20", "-ffp-contract=off", "-fno-math-errno", "-Wall", "-Wextra", "-Werror", "-Wno-psabi",
         "-DNDEBUG", "-DVELOCELL_ARM64", f"-I{ROOT / 'native'}"]  # fmt: skip

pytestmark = [
    pytest.mark.skipif(
        shutil.which(program) is None, reason=f"{program} is not there; on Debian: apt-get install {package}"
    )
    for program, package in ((COMPILER, "g++-aarch64-linux-gnu"), (EMULATOR, "qemu-user"))
] + [pytest.mark.skipif(sys.byteorder != "little", reason="the program reads what is written here")]


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    """Everything but the kernels in one piece and unoptimised, which is built sooner."""
    folder = tmp_path_factory.mktemp("aarch64")
    engine = ROOT / "native" / "engine"
    kernels = [engine / "patch_baseline.cpp", engine / "patch_neon.cpp"]
    others = [*engine.glob("*.cpp"), ROOT / "tests" / "engines" / "elsewhere.cpp"]
    whole = folder / "whole.cpp"
    whole.write_text("".join(f'#include "{name}"\n' for name in others if not name.name.startswith("patch_")))
    objects = []
    for source, level in (*((kernel, "-O3") for kernel in kernels), (whole, "-O0")):
        objects.append(str(folder / f"{source.stem}.o"))
        subprocess.run([COMPILER, level, *FLAGS, "-c", str(source), "-o", objects[-1]], check=True)
    made = folder / "elsewhere"
    subprocess.run([COMPILER, "-static", *objects, "-o", str(made), "-pthread"], check=True)
    return made


@pytest.fixture(scope="module")
def recording() -> Recording:
    """Several tiles, the last ones narrow."""
    return simulate(random_scene(12, width=310, height=140, duration_us=40_000, contrast=4.0, seed=5))[0]


def packed(network: Network, recording: Recording) -> bytes:
    """As elsewhere.cpp reads it."""
    trail = network.trail_filter
    silences = [] if trail is None else list(trail.silence_us)
    flips = trail is not None and trail.flips
    parts = [np.array([*recording.size, network.dt_us, len(silences), *silences, flips, len(network.layers)], "<i8")]
    for layer in network.layers:
        neurons = layer.neurons
        out, inputs, h, w = layer.kernel.shape
        parts.append(np.array([out, inputs * layer.groups, h, w, layer.groups], "<i8"))
        columns = (neurons.decay(network.dt_us), neurons.v_th, neurons.v_leak, neurons.v_reset)
        parts += [np.asarray(values, "<f4") for values in (layer.kernel, *columns)]
    p = np.zeros(len(recording), bool) if recording.p is None else recording.p
    parts += [np.array([len(recording)], "<i8"), recording.t_us, recording.x, recording.y, p.view(np.uint8)]
    return b"".join(np.ascontiguousarray(part).tobytes() for part in parts)


def unpacked(data: bytes, layers: int) -> tuple[Spikes, bytes]:
    n = int(np.frombuffer(data, "<i8", 1)[0])
    columns = np.frombuffer(data, "<i4", 4 * n, 8 + 8 * n).reshape(4, n)
    return Spikes(np.frombuffer(data, "<i8", n, 8), *columns, layers), data[8 + 24 * n :]


def elsewhere(program: Path, variant: str, network: Network, recording: Recording) -> tuple[Spikes, bytes]:
    """The spikes of a step, and the state behind it."""
    asked = [EMULATOR, str(program), variant]
    done = subprocess.run(asked, input=packed(network, recording), capture_output=True, check=True)
    return unpacked(done.stdout, len(network.layers))


def here(network: Network, recording: Recording) -> tuple[Spikes, bytes]:
    _native.select_patch_variant("baseline")
    try:
        state, spikes = native.step(network, native.init(network, recording.size, threads=1), recording)
    finally:
        _native.select_patch_variant(_native.patch_variants()[-1])
    return spikes, native.save(state)


NETWORKS = {
    "trail filter, two layers": lambda: calibrate((16.0, 62.0, 177.0, 500.0), 5.0),
    # Rows of several units of weights; a channel without memory.
    "wide, one layer": lambda: Network(
        1_000, (Layer.from_arrays(circular_kernel(17.0, 2.2), LIFBox([1000.0, 50.0, 5.0], [0.5, 4.0, 9.0])),)
    ),
}


def test_it_has_kernels_of_its_own(program):
    names = subprocess.run([EMULATOR, str(program)], capture_output=True, text=True, check=True).stdout.split()
    assert names == ["baseline", "neon"]


@pytest.mark.parametrize("network", NETWORKS.values(), ids=list(NETWORKS))
@pytest.mark.parametrize("variant", ["baseline", "neon"])
def test_its_spikes_and_membranes_are_those_of_this_machine(program, recording, network, variant):
    network = network()
    spikes, state = here(network, recording)
    assert len(spikes) > 1_000
    found, found_state = elsewhere(program, variant, network, recording)
    assert found.same_as(spikes)
    assert found_state == state
    # Some events a pixel aside, and the comparison says so.
    moved = replace(recording, x=recording.x.copy())
    moved.x[:200] ^= 1
    other, other_state = elsewhere(program, variant, network, moved)
    assert not other.same_as(spikes)
    assert other_state != state


def test_what_it_refuses_it_says(program):
    done = subprocess.run([EMULATOR, str(program), "sse"], input=b"", capture_output=True, text=False)
    assert done.returncode == 1
    assert b"has no variant 'sse'" in done.stderr
