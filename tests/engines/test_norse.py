"""The Norse engine: the torch module by itself, and its agreement with the reference."""

from __future__ import annotations

import subprocess
import sys
import warnings
from copy import deepcopy
from itertools import pairwise

import numpy as np
import pytest
from agreement import assert_agree, assert_same
from hypothesis import given, settings
from hypothesis import strategies as st
from places import SHARED, needs
from strategies_network import cases, exact_cases

pytest.importorskip("torch", reason="the extra 'norse' is not installed")

import torch

from velocell import engines
from velocell.calibration.formulas import calibrate
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.engines import norse, stream
from velocell.engines.norse import SpikingNetwork
from velocell.errors import EngineError, NetworkError, RecordingError
from velocell.formats import read
from velocell.network import Layer, Network, TrailFilter
from velocell.network.architectures import parallel_channels, with_smoothing
from velocell.network.kernels import circular_kernel
from velocell.network.neurons import LIFBox
from velocell.simulate import notebook_scene, simulate

COURSE_FILE = SHARED / "2404_circle.dat"
BANDS = (16.0, 62.0, 177.0, 500.0)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Frames this small lose more by being shared among threads than they gain."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def scene() -> Recording:
    return simulate(notebook_scene())[0]


def as_spikes(layers: tuple[torch.Tensor, ...], *, start_us: int = 0) -> Spikes:
    """Responses (T, C, H, W) of every layer, 1 ms a tick, as a table."""
    parts = []
    for number, fired in enumerate(layers):
        tick, channel, y, x = (index.astype(np.int32) for index in np.nonzero(fired.numpy()))
        parts.append(Spikes(tick.astype(np.int64) * 1_000 + start_us, x, y, channel, np.full(x.size, number, np.int32)))
    return Spikes.concatenate(parts)


def frames_of(network: Network, recording: Recording) -> torch.Tensor:
    return torch.from_numpy(stream.input_maps(network, recording))


def exact(inputs: int = 1, *, trail: bool = False) -> Network:
    """Two layers whose arithmetic is exact in float32 for 12 ticks: whole weights, a = 1/2."""
    ring = np.round(circular_kernel(5.0, inside=-1.0))
    kernel = np.concatenate([ring] * inputs, axis=1) * np.arange(1, inputs + 1)[:, None, None]
    second = np.zeros((2, 2, 3, 3))
    second[0, 0] = second[1, 1] = 1.0
    second[0, 1] = -2.0
    layers = (
        Layer.from_arrays(
            np.repeat(ring, 2, axis=0) if trail else kernel, LIFBox([500.0, 500.0], [8.0, 14.0]), 1 + trail
        ),
        Layer.from_arrays(second, LIFBox([500.0, 500.0], 0.5)),
    )
    return Network(1_000, layers, TrailFilter((2_000, 500)) if trail else None)


@pytest.mark.parametrize("network", [exact(), exact(inputs=2), exact(trail=True)], ids=["merged", "two maps", "trail"])
def test_forward_and_engine_give_what_the_reference_gives(scene, network):
    seen = scene.between(200_000, 212_000)
    if network.layers[0].in_channels == 1:
        seen = seen.with_polarity("drop")
    expected = engines.run(network, seen, engine="reference")
    assert min(len(expected.of_layer(0)), len(expected.of_layer(1))) > 30
    assert engines.run(network, seen, engine="norse").same_as(expected)
    with torch.no_grad():
        layers = SpikingNetwork(network)(frames_of(network, seen), every_layer=True)
    assert as_spikes(layers, start_us=200_000).same_as(expected)


def test_forward_returns_one_response_per_final_channel(scene):
    network = calibrate(BANDS, 5.0, contrast=6.0)
    dense = torch.from_numpy(scene.with_polarity("drop").to_dense()[:80])
    module = SpikingNetwork(network)
    with torch.no_grad():
        responses = module(dense)
        layers = module(dense, every_layer=True)
    assert len(responses) == 3
    assert all(response.shape == (80, 50, 50) for response in responses)
    assert [layer.shape for layer in layers] == [(80, 4, 50, 50), (80, 3, 50, 50)]
    assert sum(int(response.sum()) for response in responses) > 30
    for k, response in enumerate(responses):
        assert torch.equal(response, layers[1][:, k])
        assert set(response.unique().tolist()) <= {0.0, 1.0}


def test_forward_starts_afresh_every_time(scene):
    network = calibrate(BANDS, 5.0, contrast=6.0)
    dense = torch.from_numpy(scene.with_polarity("drop").to_dense()[:60])
    module = SpikingNetwork(network)
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(module(dense), module(dense), strict=True))


@pytest.mark.parametrize("form", [torch.Tensor.to_sparse, torch.Tensor.int, torch.Tensor.double])
def test_frames_come_in_any_form_of_torch(scene, form):
    network = parallel_channels(circular_kernel(5.0), LIFBox([20.0, 80.0], [1.0, 4.0]), 1_000)
    dense = torch.from_numpy(scene.with_polarity("drop").to_dense()[:40])
    module = SpikingNetwork(network)
    with torch.no_grad():
        expected, given = module(dense), module(form(dense))
    assert all(torch.equal(a, b) for a, b in zip(expected, given, strict=True))
    assert expected[0].sum() > 0


@pytest.mark.parametrize("sides", [(4, 4), (3, 4), (4, 3), (1, 2)])
def test_even_kernels_lie_where_the_reference_puts_them(sides):
    rng = np.random.default_rng(0)
    kernel = rng.integers(-1, 3, (2, 1, *sides))
    network = parallel_channels(kernel, LIFBox([500.0, 500.0], 0.9), 1_000)
    n = 120
    recording = Recording.from_arrays(
        np.sort(rng.integers(0, 8_000, n)), rng.integers(0, 9, n), rng.integers(0, 7, n), width=9, height=7
    )
    expected = engines.run(network, recording, engine="reference")
    assert len(expected) > 20
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert engines.run(network, recording, engine="norse").same_as(expected)
        with torch.no_grad():
            layers = SpikingNetwork(network)(frames_of(network, recording), every_layer=True)
    assert as_spikes(layers).same_as(expected)


@pytest.mark.parametrize("one_dnn", [True, False])
@pytest.mark.parametrize("windows", [1, 7, 50 * 50 * 3])
def test_whatever_is_convolved_at_once_the_spikes_are_those_of_the_whole(scene, monkeypatch, one_dnn, windows):
    """windows: of how many pixels at most torch's own convolution writes them out, here of 6x4 weights and 2 inputs."""
    rng = np.random.default_rng(2)
    first = Layer.from_arrays(np.round(rng.normal(0, 2, (2, 1, 5, 5))), LIFBox([500.0, 500.0], [3.0, 5.0]))
    second = Layer.from_arrays(np.round(rng.normal(0, 2, (2, 2, 6, 4))), LIFBox([500.0, 500.0], [1.0, 2.0]))
    network = Network(1_000, (first, second))
    frames = torch.from_numpy(scene.between(200_000, 212_000).with_polarity("drop").to_dense(1_000))
    with torch.no_grad():
        whole = SpikingNetwork(network)(frames, every_layer=True)
    assert min(int(layer.sum()) for layer in whole) > 100
    sizes = []
    monkeypatch.setattr(norse, "_BYTES_AT_ONCE", windows * 6 * 4 * 2 * 4)
    convolve = torch.nn.Conv2d.forward

    def watched(self, maps):
        result = convolve(self, maps)
        sizes.append(result[:, 0].numel() * self.weight[0].nbytes)
        return result

    monkeypatch.setattr(torch.nn.Conv2d, "forward", watched)
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", one_dnn)
    with torch.no_grad():
        parts = SpikingNetwork(network)(frames, every_layer=True)
    assert all(torch.equal(a, b) for a, b in zip(whole, parts, strict=True))
    one_row = 50 * 6 * 4 * 2 * 4
    assert one_dnn or max(sizes) <= max(norse._BYTES_AT_ONCE, one_row)


def test_gradients_reach_every_kernel_and_the_frames(scene):
    network = calibrate(BANDS, 5.0, contrast=6.0)
    dense = torch.from_numpy(scene.with_polarity("drop").to_dense()[:60]).requires_grad_()
    module = SpikingNetwork(network)
    sum(response.sum() for response in module(dense)).backward()
    gradients = {name: parameter.grad for name, parameter in module.named_parameters()}
    assert set(gradients) == {"layers.0.conv.weight", "layers.1.conv.weight"}
    for gradient in (*gradients.values(), dense.grad):
        assert gradient is not None
        assert torch.isfinite(gradient).all()
        assert gradient.abs().sum() > 0


def test_a_step_along_the_gradient_raises_the_answers():
    torch.manual_seed(0)
    frames = (torch.rand(30, 12, 12) < 0.2).float()
    module = SpikingNetwork(parallel_channels(circular_kernel(2.0), LIFBox(200.0, 3.0), 1_000))
    optimiser = torch.optim.SGD(module.parameters(), lr=1e-3)
    counts = []
    for _ in range(5):
        optimiser.zero_grad()
        answers = module(frames)[0].sum()
        (-answers).backward()
        optimiser.step()
        counts.append(float(answers.detach()))
    assert counts[-1] > counts[0] > 0


def test_an_endless_threshold_makes_a_leaky_integrator():
    module = SpikingNetwork(parallel_channels(np.ones((1, 1, 3, 3)), LIFBox(200.0, np.inf), 1_000))
    frames = torch.ones(10, 5, 5, requires_grad=True)
    (response,) = module(frames)
    response.sum().backward()
    assert not response.any()
    assert frames.grad is not None
    assert torch.isfinite(frames.grad).all()


@pytest.mark.parametrize("dt_us", [m * 10**k for k in range(5) for m in (1, 2, 5)])
@pytest.mark.parametrize("a", [0.5, 0.25, 1.0])
def test_norses_own_product_gives_the_decay(dt_us, a):
    network = Network(dt_us, (Layer.from_arrays(np.ones((1, 1, 1, 1)), LIFBox(a / (dt_us * 1e-6), 1.0)),))
    layer = SpikingNetwork(network).layers[0]
    assert layer.cell.dt == dt_us * 1e-6
    assert (layer.cell.dt * layer.tau_mem_inv).item() == np.float32(a)
    np.testing.assert_allclose(layer.tau_mem_inv.numpy().ravel(), network.layers[0].neurons.tau_mem_inv, rtol=1e-6)


def test_the_neurons_have_their_norse_names_and_one_value_per_channel():
    neurons = LIFBox([50.0, 100.0], [2.0, 3.0], [0.5, 0.0], [0.25, -1.0])
    module = SpikingNetwork(parallel_channels(np.ones((1, 1, 3, 3)), neurons, 1_000))
    module(torch.zeros(1, 4, 4))
    values = module.layers[0].cell.p
    for name in ("tau_mem_inv", "v_th", "v_leak", "v_reset"):
        assert getattr(values, name).shape == (2, 1, 1)
        np.testing.assert_allclose(getattr(values, name).ravel().numpy(), getattr(neurons, name), rtol=1e-6)


def test_everything_follows_to_another_device(scene):
    """The meta device computes shapes only, and refuses tensors of another device as a GPU does."""
    network = with_smoothing(parallel_channels(circular_kernel(5.0), LIFBox([20.0, 80.0], 1.0), 1_000), 1.6, 5.0, 9e3)
    module = SpikingNetwork(network).to("meta")
    responses = module(torch.zeros(4, 20, 20))
    assert all(response.device.type == "meta" and response.shape == (4, 20, 20) for response in responses)


def test_parameters_and_neurons_are_saved_and_restored():
    small = parallel_channels(circular_kernel(2.0), LIFBox([20.0, 80.0], [1.0, 4.0]), 1_000)
    other = parallel_channels(2 * circular_kernel(2.0), LIFBox([30.0, 90.0], [2.0, 5.0]), 1_000)
    module, copy = SpikingNetwork(small), SpikingNetwork(other)
    copy.load_state_dict(module.state_dict())
    frames = (torch.rand(30, 12, 12, generator=torch.Generator().manual_seed(1)) < 0.2).float()
    for again in (copy, deepcopy(module)):
        assert all(torch.equal(a, b) for a, b in zip(module(frames), again(frames), strict=True))
    assert module(frames)[0].sum() > 0


@pytest.mark.parametrize(
    ("contrast", "shape", "message"),
    [
        (6.0, (5, 3, 50, 50), r"shape \(T, 1, H, W\) or \(T, H, W\), got \(5, 3, 50, 50\)"),
        (6.0, (50, 50), r"got \(50, 50\)"),
        (6.0, (0, 50, 50), "no frames"),
        (
            None,
            (5, 50, 50),
            r"shape \(T, 4, H, W\), got \(5, 50, 50\); a network with a trail filter sees .*input_maps",
        ),
    ],
)
def test_frames_of_another_shape_are_refused(contrast, shape, message):
    module = SpikingNetwork(calibrate(BANDS, 5.0, contrast=contrast))
    with pytest.raises(NetworkError, match=message):
        module(torch.zeros(shape))


def test_a_stream_may_be_cut_anywhere(scene):
    network = calibrate(BANDS, 5.0)
    part = scene.between(stop_us=60_000)
    whole = engines.run(network, part, engine="norse")
    assert len(whole) > 100
    for span_us in (700, 13_333):
        state, found = norse.init(network, part.size), []
        for chunk in part.chunks(span_us):
            state, spikes = norse.step(network, state, chunk, chunk.stop_us)
            found.append(spikes)
        assert Spikes.concatenate(found).same_as(whole)


def test_a_copy_of_a_state_is_a_value(scene):
    network = calibrate(BANDS, 5.0)
    early, late = scene.between(stop_us=40_000), scene.between(40_000, 70_000)
    state, _ = norse.step(network, norse.init(network, scene.size), early, 40_000)
    kept = norse.copy(state)
    _, first = norse.step(network, state, late, 70_000)
    _, again = norse.step(network, kept, late, 70_000)
    assert len(first) > 10
    assert first.same_as(again)


def test_silence_lasts_until_nothing_changes():
    """After a long silence the membranes are where forward's are, after as many ticks."""
    network = parallel_channels(np.ones((1, 1, 1, 1)), LIFBox(100.0, 0.25, -0.125, 0.0), 1_000)
    t_us = np.array([0, 3, 40, 5_000, 5_001]) * 1_000
    recording = Recording.from_arrays(t_us, np.ones(5, int), np.ones(5, int), width=3, height=3)
    expected = engines.run(network, recording, engine="reference")
    assert engines.run(network, recording, engine="norse").same_as(expected)
    quick = parallel_channels(np.ones((1, 1, 1, 1)), LIFBox(100.0, 0.15, 0.0, 0.0), 1_000)
    assert (
        len(engines.run(quick, recording, engine="norse")) == len(engines.run(quick, recording, engine="reference")) > 0
    )


def test_chunks_that_go_back_are_refused(scene):
    network = calibrate(BANDS, 5.0)
    state, _ = norse.step(network, norse.init(network, scene.size), scene.between(stop_us=40_000), 40_000)
    with pytest.raises(RecordingError, match="chunks must follow in time"):
        norse.step(network, state, scene.between(20_000, 30_000))


@pytest.mark.parametrize("missing", ["torch", "norse"])
def test_without_the_extra_the_engine_says_what_to_install(missing, monkeypatch):
    for name in [name for name in sys.modules if name == "velocell.engines.norse" or name.split(".")[0] == missing]:
        if name.split(".")[0] != "torch":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    said = rf'needs torch and Norse \(.*{missing}.*pip install "torch.* pip install --no-deps "norse'
    with pytest.raises(EngineError, match=said):
        engines.load("norse")


def test_nothing_loads_torch_until_the_engine_is_asked_for():
    code = "import sys, velocell.engines, velocell.pipeline; print('torch' in sys.modules)"
    for text, loaded in ((code, "False"), (code.replace("; print", "; velocell.engines.load('norse'); print"), "True")):
        result = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
        assert result.stdout.strip() == loaded


# --- agreement with the reference ---------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(case=exact_cases())
def test_exact_networks_give_the_same_spikes(case):
    assert_same(*case, "norse")


@settings(max_examples=60, deadline=None)
@given(case=cases())
def test_random_networks_agree(case):
    assert_agree(*case, "norse")


@settings(max_examples=30, deadline=None)
@given(case=cases(), data=st.data())
def test_random_networks_may_be_cut_anywhere(case, data):
    network, recording = case
    whole = engines.run(network, recording, engine="norse")
    cuts = data.draw(st.lists(st.integers(recording.start_us, recording.stop_us), max_size=4), label="cuts")
    end_us = -(-recording.stop_us // network.dt_us) * network.dt_us
    state, found = norse.init(network, recording.size), []
    for start, stop in pairwise([recording.start_us, *sorted(cuts), recording.stop_us]):
        until_us = end_us if stop == recording.stop_us else stop
        state, spikes = norse.step(network, norse.copy(state), recording.between(start, stop), until_us)
        found.append(spikes)
    assert Spikes.concatenate(found).same_as(whole)


@needs(COURSE_FILE)
@pytest.mark.parametrize("contrast", [None, 6.3])
def test_engines_agree_on_the_courses_recording(contrast):
    network = calibrate(BANDS, 5.0, contrast=contrast, polarity=False)
    agreement = assert_agree(network, read(COURSE_FILE), "norse")
    assert agreement.active > 1_000
    assert agreement.differing < 0.01 * agreement.active
