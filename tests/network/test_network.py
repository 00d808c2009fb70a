"""Networks: shapes that fit together, speed bands, and a TOML form that keeps every bit."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from velocell.calibration.formulas import calibrate
from velocell.data.bands import Bands
from velocell.errors import NetworkError, VelocellError
from velocell.network import Layer, Network, TrailFilter
from velocell.network.kernels import centre_surround_kernel, circular_kernel
from velocell.network.neurons import LIFBox

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EDGES = (16.0, 62.0, 177.0, 500.0)

# Any float32, subnormal ones included; infinite only where allowed.
SINGLES = st.floats(-(2.0**100), 2.0**100, width=32)


@st.composite
def layers(draw: st.DrawFn, in_channels: int) -> Layer:
    groups = draw(st.sampled_from([n for n in (1, 2, 3) if in_channels % n == 0]))
    out = groups * draw(st.integers(1, 2))
    shape = (out, in_channels // groups, draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    count = math.prod(shape)
    weights = np.array(draw(st.lists(SINGLES, min_size=count, max_size=count)), np.float32)
    weights[0] = draw(SINGLES.filter(bool))
    leak = np.array(draw(st.lists(SINGLES, min_size=out, max_size=out)), np.float32)
    above = np.nextafter(leak, np.float32(np.inf))
    threshold = np.maximum(np.array(draw(st.lists(SINGLES | st.just(math.inf), min_size=out, max_size=out))), above)
    reset = np.minimum(np.array(draw(st.lists(SINGLES, min_size=out, max_size=out)), np.float32), threshold)
    rate = draw(st.lists(st.floats(1e-3, 1e4), min_size=out, max_size=out))
    return Layer.from_arrays(weights.reshape(shape), LIFBox(rate, threshold, leak, reset), groups)


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Networks of one to three layers, with all that a network can have; dt is at most 100 us."""
    trail = None
    inputs = draw(st.integers(1, 2))
    if draw(st.booleans()):
        inputs = draw(st.integers(1, 4))
        times = draw(st.lists(st.integers(0, 10**9), min_size=inputs, max_size=inputs))
        trail = TrailFilter(tuple(times), draw(st.booleans()))
    found: list[Layer] = []
    for _ in range(draw(st.integers(1, 3))):
        found.append(draw(layers(found[-1].channels if found else inputs)))
    bands = None
    if draw(st.booleans()):
        edges = draw(st.lists(st.floats(1e-3, 1e6), min_size=2, max_size=found[-1].channels + 1, unique=True))
        names = draw(st.lists(st.text(min_size=1), min_size=len(edges) - 1, max_size=len(edges) - 1, unique=True))
        bands = Bands(tuple(sorted(edges)), tuple(names))
    origin = draw(st.dictionaries(st.text(), st.text() | st.floats(allow_nan=False) | st.integers(0, 9), max_size=3))
    radius = draw(st.none() | st.floats(0.1, 500))
    return Network(draw(st.integers(1, 100)), tuple(found), trail, bands, radius, origin)


def assert_same_network(left: Network, right: Network) -> None:
    """Every number the same, bit by bit."""
    for name in ("dt_us", "trail_filter", "bands", "radius_px", "origin"):
        assert getattr(left, name) == getattr(right, name), name
    assert len(left.layers) == len(right.layers)
    for one, other in zip(left.layers, right.layers, strict=True):
        assert one.groups == other.groups
        pairs = [(one.kernel, other.kernel)]
        pairs += [(getattr(one.neurons, n), getattr(other.neurons, n)) for n in one.neurons.__dataclass_fields__]
        for first, second in pairs:
            assert (first.dtype, first.shape) == (second.dtype, second.shape)
            # 0.0 and -0.0 are the same weight; all else by its bits.
            assert (first + 0.0).tobytes() == (second + 0.0).tobytes()


def layer(inputs: int = 1, outputs: int = 1, groups: int = 1, side: int = 3) -> Layer:
    kernel = np.arange(1, outputs * inputs // groups * side * side + 1, dtype=np.float32)
    return Layer.from_arrays(
        kernel.reshape(outputs, inputs // groups, side, side), LIFBox([10.0] * outputs, 1.0), groups
    )


# --- layers -----------------------------------------------------------------------------------------


def test_a_single_kernel_serves_all_channels():
    made = Layer.from_arrays(circular_kernel(3), LIFBox([1.0, 2.0, 3.0], 1.0))
    assert made.kernel.shape == (3, 1, 9, 9)
    assert (made.channels, made.in_channels) == (3, 1)
    for channel in range(3):
        np.testing.assert_array_equal(made.kernel[channel], circular_kernel(3)[0])


@pytest.mark.parametrize(("inputs", "outputs", "groups"), [(1, 1, 1), (2, 4, 1), (2, 4, 2), (4, 4, 4), (6, 3, 3)])
def test_dense_kernel_connects_what_the_groups_connect(inputs, outputs, groups):
    made = layer(inputs, outputs, groups)
    dense = made.dense_kernel()
    assert dense.shape == (outputs, inputs, 3, 3)
    # What groups mean: cut inputs and outputs into equal runs; run g of one sees run g of the other.
    for g in range(groups):
        for out in range(outputs // groups):
            for into in range(inputs):
                mine = into // (inputs // groups) == g
                row = g * outputs // groups + out
                expected = made.kernel[row, into % (inputs // groups)] if mine else np.zeros((3, 3))
                np.testing.assert_array_equal(dense[row, into], expected)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Layer.from_arrays(np.ones((3, 3)), LIFBox(1, 1)), r"shape \(C_out, C_in, h, w\), got \(3, 3\)"),
        (lambda: Layer.from_arrays(np.ones((1, 0, 3, 3)), LIFBox(1, 1)), r"got \(1, 0, 3, 3\)"),
        (lambda: Layer.from_arrays(np.full((1, 1, 1, 1), np.nan), LIFBox(1, 1)), "finite weights"),
        (lambda: Layer.from_arrays(np.zeros((1, 1, 3, 3)), LIFBox(1, 1)), "without any weight never responds"),
        (lambda: Layer.from_arrays(np.ones((2, 1, 3, 3)), LIFBox([1] * 3, 1)), "2 output channels .* got 3"),
        (lambda: Layer.from_arrays(np.ones((3, 1, 3, 3)), LIFBox([1] * 3, 1), 2), "groups = 2 must divide the 3"),
        (lambda: Layer.from_arrays(np.ones((1, 1, 3, 3)), LIFBox(1, 1), 0), "groups = 0 must divide"),
        (lambda: TrailFilter(()), "one per channel"),
        (lambda: TrailFilter((1, -1)), r"at least 0 us, one per channel, got \(1, -1\)"),
        (lambda: Network(0, (layer(),)), "dt must be at least 1 us, got 0"),
        (lambda: Network(1, ()), "at least one layer"),
        (lambda: Network(1, (layer(1, 2), layer(3, 1))), "layer 1 expects 3 input channels but layer 0 has 2"),
        (lambda: Network(1, (layer(3),)), r"layer 0 can see 1 input map \(merged\) or 2 \(OFF, ON\), not 3"),
        (lambda: Network(1, (layer(2),), TrailFilter((1,))), "expects 2 input maps but the trail filter makes 1"),
        (lambda: Network(1, (layer(),), bands=Bands((1, 2, 3))), "2 bands need as many final channels, got 1"),
        (lambda: Network(200_000, (layer(),)), r"dt \* tau_mem_inv must lie in \(0, 1\], got 2 for dt = 200000 us"),
    ],
)
def test_refusals(make, words):
    with pytest.raises(NetworkError, match=words):
        make()


def test_two_final_channels_more_than_bands_are_allowed():
    assert Network(1, (layer(1, 4),), bands=Bands((1, 2, 3))).bands is not None


def test_a_kernel_larger_than_the_sensor_is_refused():
    network = Network(1, (layer(side=9),))
    network.check_size(9, 9)
    for size in ((8, 20), (20, 8)):
        with pytest.raises(NetworkError, match=rf"9x9 px, larger than the {size[0]}x{size[1]} sensor"):
            network.check_size(*size)


# --- bands ------------------------------------------------------------------------------------------


def test_bands_are_closed_below_and_open_above():
    bands = Bands(EDGES)
    assert len(bands) == 3
    speeds = [0, 15.999, 16, 61.999, 62, 176.9, 177, 499.999, 500, 1e9, math.nan, math.inf, -5]
    assert bands.of_speed(speeds).tolist() == [-1, -1, 0, 0, 1, 1, 2, 2, -1, -1, -1, -1, -1]
    assert bands.of_speed(100).dtype == np.int32


def test_band_names():
    assert Bands(EDGES).names == ("slow", "medium", "fast")
    assert Bands((1, 2)).names == ("band 0",)
    assert Bands((1, 2, 3)).names == ("slow", "fast")
    assert Bands((1, 2, 3, 4, 5)).names == ("band 0", "band 1", "band 2", "band 3")
    named = Bands((1, 2, 3), ("snail", "hare"))
    assert [named.name(band) for band in (0, 1, -1, 2)] == ["snail", "hare", "outside", "outside"]
    assert Bands([1, 2]).edges == (1.0, 2.0)


@pytest.mark.parametrize(
    ("edges", "words"),
    [
        ((), "at least two increasing speeds above 0 px/s, got none"),
        ((5,), "got 5"),
        ((5, 5), "got 5, 5"),
        ((5, 4), "got 5, 4"),
        ((0, 4), "got 0, 4"),
        ((-1, 4), "got -1, 4"),
        ((1, 4, 3), "got 1, 4, 3"),
        ((1, math.inf), "got 1, inf"),
        ((math.nan, 1), "got nan, 1"),
    ],
)
def test_bands_that_do_not_rise_are_refused(edges, words):
    with pytest.raises(NetworkError, match=words):
        Bands(edges)


@pytest.mark.parametrize("names", [("a",), ("a", "a"), ("a", "b", "c")])
def test_band_names_must_be_as_many_and_differ(names):
    with pytest.raises(NetworkError, match=f"2 bands need as many different names, got {', '.join(names)}"):
        Bands((1, 2, 3), names)


# --- TOML -------------------------------------------------------------------------------------------


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[*settings.default.suppress_health_check, HealthCheck.data_too_large],
)
@given(network=networks())
def test_toml_keeps_every_bit(tmp_path_factory, network):
    path = tmp_path_factory.mktemp("toml") / "net.toml"
    network.to_toml(path)
    assert_same_network(Network.from_toml(path), network)


@pytest.mark.parametrize("contrast", [None, 3.0])
def test_toml_keeps_a_calibrated_network(tmp_path, contrast):
    network = calibrate(EDGES, 5.0, contrast=contrast)
    network.to_toml(tmp_path / "net.toml")
    assert_same_network(Network.from_toml(tmp_path / "net.toml"), network)
    # Twice the same text: nothing drifts.
    Network.from_toml(tmp_path / "net.toml").to_toml(tmp_path / "again.toml")
    assert (tmp_path / "again.toml").read_bytes() == (tmp_path / "net.toml").read_bytes()


def test_toml_is_readable(tmp_path):
    calibrate(EDGES, 5.0).to_toml(tmp_path / "net.toml")
    data = tomllib.loads((tmp_path / "net.toml").read_text())
    assert data["bands"] == {"edges_px_s": list(EDGES), "names": ["slow", "medium", "fast"]}
    assert len(data["kernels"]) == 3, "ring, centre-surround and veto, each written once"
    assert len(data["layers"][0]["connections"]) == 4
    assert data["layers"][0]["v_th"][0] < data["layers"][0]["v_th"][1] < 10


def test_toml_tells_kernels_apart_that_begin_alike(tmp_path):
    kernel = np.zeros((3, 1, 2, 2))
    kernel[:, 0, 0] = 1, 2
    kernel[1, 0, 1] = 3, 4
    network = Network(1, (Layer.from_arrays(kernel, LIFBox([1.0] * 3, 1.0)),))
    network.to_toml(tmp_path / "net.toml")
    assert_same_network(Network.from_toml(tmp_path / "net.toml"), network)


def test_the_comparison_of_networks_can_fail():
    network = calibrate(EDGES, 5.0)
    first, second = network.layers
    kernel = first.kernel.copy()
    kernel[0, 0, 3, 3] = np.nextafter(kernel[0, 0, 3, 3], np.float32(9))
    neurons = first.neurons
    changed_neurons = LIFBox(neurons.tau_mem_inv, np.nextafter(neurons.v_th, np.float32(9)))
    for planted in (
        replace(network, layers=(replace(first, kernel=kernel), second)),
        replace(network, layers=(replace(first, neurons=changed_neurons), second)),
        replace(network, dt_us=network.dt_us - 1),
        replace(network, trail_filter=TrailFilter((1, 2, 3, 4))),
        replace(network, origin={}),
    ):
        with pytest.raises(AssertionError):
            assert_same_network(planted, network)


def text_of(tmp_path: Path, network: Network) -> str:
    network.to_toml(tmp_path / "good.toml")
    return (tmp_path / "good.toml").read_text()


BROKEN = {
    "empty": (None, "", "not a network of format 1"),
    "no TOML": (None, "a = [", "not a readable network"),
    "other TOML": (None, "[scene]\nwidth = 3", "not a network of format 1"),
    "other version": ("velocell_network = 1", "velocell_network = 2", "not a network of format 1"),
    "missing dt": ("dt_us =", "dt =", "not a complete network"),
    "dt as text": ("dt_us = 2000", 'dt_us = "2ms"', "dt_us|complete"),
    "dt as fraction": ("dt_us = 2000", "dt_us = 0.5", "dt"),
    "dt too long": ("dt_us = 2000", "dt_us = 2000000", r"dt \* tau_mem_inv"),
    "negative dt": ("dt_us = 2000", "dt_us = -1", "dt must be at least 1 us"),
    "no layers": ("[[layers]]", "[[other]]", "not a complete network"),
    "layers a number": (None, "velocell_network = 1\ndt_us = 1\nlayers = 3\n[kernels]", "not a complete network"),
    "no kernels": (None, "velocell_network = 1\ndt_us = 1\nlayers = []", "not a complete network"),
    "layers empty": (None, "velocell_network = 1\ndt_us = 1\nlayers = []\n[kernels]", "at least one layer"),
    "kernel not there": ('kernel = "kernel_0"', 'kernel = "kernel_9"', "not a complete network"),
    "channel not there": ("out = 0", "out = 7", "not a complete network"),
    "weight a word": ('    "1 2 3"', '    "1 x 3"', "not a complete network"),
    "weight not finite": ('    "1 2 3"', '    "1 nan 3"', "finite weights"),
    "weights not a text": ('    "1 2 3"', "    123", "not a complete network"),
    "ragged kernel": ('    "1 2 3"', '    "1 2"', "not a complete network"),
    "shape of three": (r"shape = [", "shape = [3, 3, 3]\nwas = [", "a kernel cannot have the shape"),
    "shape negative": (r"shape = [", "shape = [1, 1, -3, 3]\nwas = [", "a kernel cannot have the shape"),
    "shape huge": (r"shape = [", "shape = [100000, 100000, 100000, 100000]\nwas = [", "a kernel cannot have the shape"),
    "shape overflowing": (
        r"shape = [",
        "shape = [4294967296, 4294967296, 4294967296, 4]\nwas = [",
        "a kernel cannot have the shape",
    ),
    "shape of words": (r"shape = [", 'shape = ["a", 1, 1, 1]\nwas = [', "shape"),
    "thresholds missing": ("v_th =", "v =", "not a complete network"),
    "threshold a word": ("v_th = [\n    1.0", 'v_th = [\n    "high"', "not a complete network"),
    "threshold too low": ("v_th = [\n    1.0", "v_th = [\n    -1.0", "v_th must lie above v_leak"),
    "groups a text": ("groups = 1", 'groups = "one"', "groups|complete"),
    "groups zero": ("groups = 1", "groups = 0", "groups = 0"),
    "bands fall": ("16.0", "1600.0", "at least two increasing speeds"),
    "bands without names": ("names = [", "called = [", "not a complete network"),
    "bands a number": (None, None, "not a complete network"),
    "trail filter incomplete": ("flips = true", "flip = true", "not a complete network"),
    "trail time negative": ("    5000,", "    -5000,", "at least 0 us"),
    "trail time a text": ("    5000,", '    "5ms",', "silence_us|complete"),
    "dt neither": ("dt_us = 2000", "dt_us = 2000.5", "dt_us|complete"),
    "dt a truth": ("dt_us = 2000", "dt_us = true", "dt_us|complete"),
    "groups a fraction": ("groups = 1", "groups = 1.0", "groups|complete"),
    "channel counted from behind": ("out = 0", "out = -1", "connection|complete"),
    "kernel of one row": ('    "1 2 3",\n    "4 5 6",\n    "7 8 9",', '    "1 2 3",', "connection|complete"),
    "flips a text": ("flips = true", 'flips = "no"', "flips|complete"),
    "trail time a fraction": ("    5000,", "    5000.5,", "silence_us|complete"),
    "names of numbers": ('"band 0"', "7", "names|complete"),
    "radius negative": ("radius_px = 5.0", "radius_px = -5.0", "radius"),
    "radius no number": ("radius_px = 5.0", "radius_px = nan", "radius"),
    "radius a text": ("radius_px = 5.0", 'radius_px = "five"', "must be a number of px"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_refused_in_one_sentence(tmp_path, name):
    old, new, words = BROKEN[name]
    network = Network(
        2_000,
        (Layer.from_arrays(np.arange(1, 10).reshape(1, 1, 3, 3), LIFBox(10.0, 1.0)),),
        TrailFilter((5_000,)),
        Bands((16.0, 62.0)),
        5.0,
    )
    good = text_of(tmp_path, network)
    text = new if old is None else good.replace(old, new)
    if name == "bands a number":
        text = good.replace("[bands]", "bands = 3\n[other]")
    assert text != good
    path = tmp_path / "broken.toml"
    path.write_text(text)
    with pytest.raises(NetworkError, match=words) as error:
        Network.from_toml(path)
    message = str(error.value)
    assert str(path) in message
    assert "\n" not in message


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir(), lambda p: p.write_bytes(b"\xff\xfe\x00")])
def test_what_cannot_be_read_is_refused(tmp_path, make):
    path = tmp_path / "net.toml"
    make(path)
    with pytest.raises(NetworkError, match=r"net\.toml (does not exist|is not a readable network)"):
        Network.from_toml(path)


@settings(max_examples=150, deadline=None)
@given(at=st.floats(0, 1), change=st.binary(max_size=4), drop=st.integers(0, 30))
def test_damaged_files_give_a_network_or_one_sentence(tmp_path_factory, at, change, drop):
    folder = tmp_path_factory.getbasetemp() / "damaged"
    folder.mkdir(exist_ok=True)
    good = folder / "good.toml"
    if not good.exists():
        ring = Layer.from_arrays(circular_kernel(1.5), LIFBox([10.0, 20.0], 1.0))
        smooth = Layer.from_arrays(centre_surround_kernel(1, 2), LIFBox([10.0, 20.0], 1.0), 2)
        Network(1_000, (ring, smooth), None, Bands((1.0, 2.0, 3.0))).to_toml(good)
    data = good.read_bytes()
    place = int(at * len(data))
    path = folder / "net.toml"
    path.write_bytes(data[:place] + change + data[place + drop :])
    try:
        Network.from_toml(path)
    except NetworkError as error:
        message = str(error)
        assert str(path) in message
        assert "\n" not in message


def test_a_network_that_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(VelocellError, match="cannot write"):
        calibrate(EDGES, 5.0).to_toml(tmp_path / "missing" / "net.toml")
    assert list(tmp_path.iterdir()) == []
