"""NIR graphs: there and back bit for bit, what does not map, and the same spikes in Norse by its own importer."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import nir
import nir_frameworks
import numpy as np
import pytest
from commands import call, ok
from hypothesis import given, settings
from strategies_network import cases

from velocell.calibration.formulas import calibrate
from velocell.data.recording import Recording
from velocell.engines import run
from velocell.errors import NetworkError
from velocell.network import Layer, LIFBox, Network
from velocell.network.architectures import parallel_channels
from velocell.network.nir import dialects, file
from velocell.simulate import random_scene, simulate
from velocell.studies import deployed

BANDS = (40.0, 160.0, 640.0)
SIZE = (40, 30)
FEW = settings(max_examples=12)


@pytest.fixture(scope="module")
def network() -> Network:
    return calibrate(BANDS, 3.0).portable()


@pytest.fixture(scope="module")
def recording() -> Recording:
    scene = random_scene(
        2, width=44, height=30, radius=3, speeds=(60, 500), contrast=3, noise_hz=0.2, seed=4, duration_us=60_000
    )
    return simulate(scene)[0]


def text(network: Network, path: Path) -> str:
    network.to_toml(path)
    return path.read_text()


# --- there and back -----------------------------------------------------------------------------------


@FEW
@given(cases())
def test_any_network_comes_back_bit_for_bit(tmp_path: Path, case: tuple[Network, Recording]) -> None:
    network, recording = case
    network.to_nir(recording.size, tmp_path / "net.nir")
    again = Network.from_nir(tmp_path / "net.nir")
    assert text(again, tmp_path / "again.toml") == text(network, tmp_path / "net.toml")


@pytest.mark.parametrize("seed", range(4))
def test_a_graph_that_another_program_wrote_runs_alike(seed: int) -> None:
    """Without our metadata: no groups, no even kernels, the tick by option."""
    rng = np.random.default_rng(seed)
    first = Layer.from_arrays(rng.integers(1, 4, (2, 1, 2, 3)), LIFBox(500.0, [1.5, 0.5], [0.25, 0], [-1, 0]))
    second = Layer.from_arrays(rng.integers(1, 4, (4, 1, 4, 1)), LIFBox([500.0, 1000, 500, 500], 1.0), groups=2)
    network = Network(1000, (first, second))
    t_us, x, y = np.sort(rng.integers(0, 12_000, 60)), rng.integers(0, 9, 60), rng.integers(0, 7, 60)
    seen = Recording.from_arrays(t_us, x, y, width=9, height=7)
    graph = network.to_nir(seen.size)
    graph.metadata = {}
    for node in graph.nodes.values():
        node.metadata = {}
    again = Network.from_nir(graph, dt_us=1000)
    assert again.layers[1].groups == 1
    a, b = (run(each, seen, engine="reference") for each in (network, again))
    assert len(a) > 20
    for name in ("t_us", "layer", "channel", "y", "x"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_what_a_network_knows_comes_back(network: Network, tmp_path: Path) -> None:
    network.to_nir(SIZE, tmp_path / "net.nir")
    again = Network.from_nir(tmp_path / "net.nir")
    assert (again.bands, again.radius_px, again.trail_filter) == (network.bands, 3.0, network.trail_filter)
    assert dict(again.origin) == dict(network.origin)
    said = nir.read(tmp_path / "net.nir").metadata
    assert said["dt_us"] == network.dt_us
    assert said["band_edges_px_s"].tolist() == list(BANDS)
    assert (said["width"], said["height"]) == SIZE


def test_an_if_adds_up_without_leaking() -> None:
    graph = _graph(nir.IF(r=_maps(1), v_threshold=_maps(2.5), v_reset=_maps(0)))
    again = Network.from_nir(graph, dt_us=1000)
    # Three events, far apart: an integrator spikes with the third and starts anew.
    t_us = np.array([0, 400_000, 900_000, 950_000, 970_000])
    seen = Recording.from_arrays(t_us, np.full(5, 2), np.full(5, 2), width=4, height=4)
    for engine in ("reference", "native"):
        assert run(again, seen, engine=engine).t_us.tolist() == [900_000]


# --- what does not map --------------------------------------------------------------------------------


def _maps(value: float, channels: int = 1, size: tuple[int, int] = (4, 4)) -> Any:
    return np.full((channels, *size), value, np.float32)


def _lif(**changed: Any) -> Any:
    values = {"tau": _maps(0.01), "r": _maps(1), "v_leak": _maps(0), "v_threshold": _maps(0.05)}
    return nir.LIF(**{**values, **changed})


def _conv(**changed: Any) -> Any:
    values: dict[str, Any] = {
        "input_shape": (4, 4), "weight": np.ones((1, 1, 1, 1), np.float32), "stride": 1, "padding": 0,
        "dilation": 1, "groups": 1, "bias": np.zeros(1),
    }  # fmt: skip
    return nir.Conv2d(**{**values, **changed})


def _graph(cell: Any, conv: Any = None, more: Any = None) -> Any:
    nodes = {"in": nir.Input(np.array([1, 4, 4])), "k": _conv() if conv is None else conv, "cell": cell}
    if more is not None:
        nodes["more"] = more
    nodes["out"] = nir.Output(np.array([1, 4, 4]))
    names = list(nodes)
    return nir.NIRGraph(nodes, list(pairwise(names)), type_check=False)


ODD = {
    "a Flatten": (_graph(_lif(), more=nir.Flatten(input_type={"input": np.array([1, 4, 4])})), "'more' is a Flatten"),
    "two neurons": (_graph(_lif(), more=_lif()), "'more' is a LIF where a Conv2d is needed"),
    "a stride": (_graph(_lif(), _conv(stride=2)), "'k' has a stride of"),
    "a padding": (_graph(_lif(), _conv(padding=1)), "'k' has a padding of"),
    "a bias": (_graph(_lif(), _conv(bias=np.ones(1))), "'k' has a bias"),
    "a shape": (_graph(_lif(), _conv(input_shape=None, weight=np.ones((1, 1)))), "'k' has weights of shape"),
    "a tau below 0": (_graph(_lif(tau=_maps(-1))), "'cell' has a time constant"),
    "a tau below dt": (_graph(_lif(tau=_maps(1e-5))), "'cell': dt \\* tau_mem_inv"),
    "places": (_graph(_lif(tau=np.linspace(1, 2, 16).reshape(1, 4, 4))), "'cell' has another tau in every place"),
    "an IF with r": (_graph(nir.IF(r=_maps(7), v_threshold=_maps(1), v_reset=_maps(0))), "'cell' has r = 7"),
}


@pytest.mark.parametrize("what", ODD)
def test_an_unsupported_graph_is_refused_by_the_name_of_its_node(what: str) -> None:
    graph, sentence = ODD[what]
    with pytest.raises(NetworkError, match=sentence):
        Network.from_nir(graph, dt_us=1000)


def test_branches_and_other_dialects_are_refused(network: Network) -> None:
    graph = _graph(_lif())
    graph.edges.append(("in", "cell"))
    with pytest.raises(NetworkError, match="'in' leads to 2 others"):
        Network.from_nir(graph, dt_us=1000)
    with pytest.raises(NetworkError, match="was written for spikingjelly"):
        Network.from_nir(network.to_nir(SIZE, framework="spikingjelly"))


def test_what_a_framework_cannot_say_is_refused_by_name(network: Network) -> None:
    for name in set(dialects.FRAMEWORKS) - {"norse"}:
        with pytest.raises(NetworkError, match=rf"layer 0 resets to .* {name} does not follow.*--portable"):
            calibrate(BANDS, 3.0).to_nir(SIZE, framework=name)
        leaking = Layer.from_arrays(np.ones((1, 1, 3, 3)), LIFBox(50.0, 0.5, 0.1, 0.0))
        with pytest.raises(NetworkError, match=f"decays to 0.1, which {name}"):
            Network(1000, (leaking,)).to_nir(SIZE, framework=name)
    memoryless = parallel_channels(np.ones((1, 1, 3, 3)), LIFBox(1000.0, 0.5), 1000)
    with pytest.raises(NetworkError, match="keeps nothing from tick to tick"):
        memoryless.to_nir(SIZE, framework="sinabs")
    with pytest.raises(NetworkError, match="framework 'brian' is unknown; use one of generic, norse"):
        network.to_nir(SIZE, framework="brian")


def test_files_that_are_no_graph_are_refused_with_one_sentence(tmp_path: Path) -> None:
    bad = tmp_path / "bad.nir"
    for content in (b"", b"\x89HDF\r\n\x1a\n" + bytes(200), b"text"):
        bad.write_bytes(content)
        with pytest.raises(NetworkError, match=r"bad\.nir is not a NIR graph"):
            Network.from_nir(bad)
    with h5py.File(bad, "w") as handle:
        handle.create_dataset("node", shape=(1 << 40,), dtype="f8", chunks=(1 << 10,))
    with pytest.raises(NetworkError, match="more than 1024 MiB"):
        file.read(bad)
    with h5py.File(bad, "w") as handle:
        handle["node"] = h5py.ExternalLink("/etc/passwd", "/")
    with pytest.raises(NetworkError, match="links"):
        file.read(bad)


# --- the same spikes ----------------------------------------------------------------------------------


def test_norse_gives_the_same_spikes_and_sees_a_weight_that_is_off(
    network: Network, recording: Recording, tmp_path: Path
) -> None:
    network.to_nir(recording.size, tmp_path / "net.nir", framework="norse")
    maps, wanted = nir_frameworks.expected(network, recording)
    assert wanted.sum() > 30
    found = nir_frameworks.fired("norse", tmp_path / "net.nir", maps, network.dt_us)
    assert (found != wanted).sum() == 0
    nir_frameworks.one_weight_off(network, recording).to_nir(recording.size, tmp_path / "off.nir", framework="norse")
    assert (nir_frameworks.fired("norse", tmp_path / "off.nir", maps, network.dt_us) != wanted).any()


def test_the_portable_form_only_moves_resets_and_thresholds_on_the_edge() -> None:
    plain = calibrate(BANDS, 3.0)
    moved = plain.portable()
    assert not any(layer.neurons.v_reset.any() for layer in moved.layers)
    np.testing.assert_array_equal(moved.layers[0].neurons.v_th, plain.layers[0].neurons.v_th)
    np.testing.assert_array_equal(moved.layers[1].neurons.v_th, plain.layers[1].neurons.v_th * np.float32(1 + 1 / 64))
    assert moved.portable().layers[1].neurons.v_th.tolist() == moved.layers[1].neurons.v_th.tolist()


# --- what it costs on a chip --------------------------------------------------------------------------


def test_sizes_are_counted() -> None:
    kernel = np.array([[[[1.0, 0.0, -0.5]]], [[[1.0, 1.0, 1.0]]]])
    counted = Network(1000, (Layer.from_arrays(kernel, LIFBox(500.0, [0.5, 0.6])),))
    (layer,) = deployed.sizes(counted, (10, 7))
    assert (layer.neurons, layer.synapses, layer.fan_in) == (140, 5 * 70, 3)
    assert (layer.kernel, layer.weights, layer.values, layer.on_edge) == ((3, 1), (-0.5, 1.0), 2, (0,))


def test_short_weights_are_whole_steps_and_their_loss_is_counted(network: Network, recording: Recording) -> None:
    for bits in (8, 4):
        short = deployed.rounded(network, bits)
        for layer in short.layers:
            steps = layer.kernel / np.abs(layer.kernel).max(axis=(1, 2, 3), keepdims=True) * (2 ** (bits - 1) - 1)
            np.testing.assert_allclose(steps, np.round(steps), atol=1e-3)
    same = deployed.change(network, network, recording)
    assert same.differing == 0
    assert same.before > 30
    lost = deployed.change(network, deployed.rounded(network, 4), recording)
    assert lost.differing > deployed.change(network, deployed.rounded(network, 8), recording).differing >= 0


# --- the commands -------------------------------------------------------------------------------------


def test_export_and_import_at_the_command_line(network: Network, recording: Recording, tmp_path: Path) -> None:
    net, graph, again, seen = (tmp_path / name for name in ("net.toml", "net.nir", "again.toml", "seen.npz"))
    network.to_toml(net)
    columns = {name: getattr(recording, name) for name in ("x", "y", "p", "width", "height")}
    np.savez(seen, t=recording.t_us, **columns)
    said = ok("export", net, "-o", graph, "--check", seen)
    assert "8-bit weights" in said.stdout
    with np.load(tmp_path / "net.golden.npz") as golden:
        maps, wanted = nir_frameworks.expected(network, recording)
        (ticks, *_), spikes = golden["shape"], golden["spike_index"]
        assert (golden["input_count"].sum(), len(spikes)) == (maps[:ticks].sum(), wanted[:ticks].sum())
        np.testing.assert_array_equal(spikes[np.lexsort(spikes.T[::-1])], np.argwhere(wanted))
    ok("import", graph, "-o", again)
    assert again.read_text() == net.read_text()


def test_export_tells_a_network_from_a_table(network: Network, tmp_path: Path) -> None:
    net = tmp_path / "net.toml"
    network.to_toml(net)
    for arguments, sentence in (
        ((net, "-o", tmp_path / "net.nir"), "give it with --size"),
        ((net, "-o", tmp_path / "net.txt"), "the suffix must be .nir"),
        ((net, "-o", tmp_path / "net.nir", "--fps", "9"), "is a network, and --fps"),
        ((tmp_path / "t.csv", "-o", tmp_path / "t.txt", "--for", "norse"), "is a table, and --for"),
        ((net, "-o", tmp_path / "net.nir", "--size", "8x8"), "larger than the 8x8 sensor"),
    ):
        result = call("export", *arguments)
        assert result.exit_code == 1
        assert sentence in result.stderr
    assert list(tmp_path.iterdir()) == [net]


def test_import_asks_for_what_a_graph_does_not_state(tmp_path: Path) -> None:
    file.write(tmp_path / "net.nir", _graph(_lif()))
    result = call("import", tmp_path / "net.nir", "-o", tmp_path / "net.toml")
    assert (result.exit_code, "give it with --dt" in result.stderr) == (1, True)
    said = ok("import", tmp_path / "net.nir", "-o", tmp_path / "net.toml", "--dt", "1ms", "--radius", "3")
    assert "will ask for --bands" in said.stderr
    assert Network.from_toml(tmp_path / "net.toml").radius_px == 3
