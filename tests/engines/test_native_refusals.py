"""What the native engine refuses, and what it says where memory is short."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from native_streams import BANDS, one_pixel

from velocell import engines
from velocell.calibration.formulas import calibrate
from velocell.data.recording import Recording
from velocell.errors import EngineError, NetworkError, RecordingError
from velocell.network import Layer, Network, TrailFilter
from velocell.network.kernels import circular_kernel
from velocell.network.neurons import LIFBox

pytest.importorskip("velocell._native", reason="the C++ core is not built (pip install .)")

from velocell import _native
from velocell.engines import native


def test_states_that_are_damaged_or_something_else_are_refused(scene):
    network = calibrate(BANDS, 5.0)
    state, _ = native.step(network, native.init(network, scene.size), scene.between(stop_us=50_500))
    saved = native.save(state)
    rng = np.random.default_rng(0)
    for position in [0, 8, 12, *rng.integers(16, len(saved), 20).tolist()]:
        wrong = bytearray(saved)
        wrong[position] ^= 1 << int(rng.integers(8))
        with pytest.raises(EngineError, match=r"damaged|another version"):
            native.load(bytes(wrong))
    for wrong in (b"", b"velocell", saved[:-1], saved + b"0", saved[:1000]):
        with pytest.raises(EngineError, match="not a saved state"):
            native.load(wrong)


def sealed(body: bytes) -> bytes:
    """With the check sum that `save` would write: only the content is wrong."""
    total = 0xCBF29CE484222325
    for byte in body:
        total = (total ^ byte) * 0x100000001B3 % 2**64
    return body + total.to_bytes(8, sys.byteorder)


def test_a_sealed_state_with_wrong_content_is_refused():
    network, recording = one_pixel([0, 1_500], a=0.5)
    state, _ = native.step(network, native.init(network, (1, 1)), recording)
    body = native.save(state)[:-8]
    assert native.save(native.load(sealed(body))) == sealed(body)
    for position in range(8, len(body)):
        for value in (0xFF, 0x7F, body[position] + 1):
            wrong = sealed(body[:position] + bytes([value % 256]) + body[position + 1 :])
            try:
                loaded = native.load(wrong)
                native.step(network, loaded, recording.slice(0, 0), 10_000)
            except (EngineError, NetworkError, RecordingError):
                continue


def test_a_state_runs_its_own_network_only(scene):
    network = calibrate(BANDS, 5.0)
    state = native.init(network, scene.size)
    with pytest.raises(EngineError, match="another network"):
        native.step(calibrate(BANDS, 6.0), state, scene)
    with pytest.raises(EngineError, match="another network"):
        native.step(calibrate(BANDS, 6.0), native.load(native.save(state)), scene)
    native.step(network, state, scene)


@pytest.mark.parametrize("options", [{"threads": 0}, {"threads": -1}, {"max_spikes": 0}, {"threads": 1 << 40}])
def test_impossible_options_are_refused(options):
    network, _ = one_pixel([])
    with pytest.raises(EngineError, match=f"{next(iter(options))} must be at least 1"):
        native.init(network, (4, 4), **options)


LITTLE_MEMORY = """
import resource, sys
import numpy as np
from velocell.data.recording import Recording
from velocell.engines import native
from velocell.errors import EngineError
from velocell.network import Layer, Network
from velocell.network.neurons import LIFBox
network = Network(1_000, (Layer.from_arrays(np.ones((1, 1, 1, 1)), LIFBox([20.0] * 16, 1.5)),))
state = native.init(network, (4096, 4096), threads=1)
edge = np.arange(0, 4096, 128)
x, y = (grid.ravel() for grid in np.meshgrid(edge, edge))
every = Recording.from_arrays(np.zeros(x.size, np.int64), x, y, width=4096, height=4096)
now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + (200 << 20), now + (200 << 20)))
try:
    native.step(network, state, every, 10_000)
except EngineError as error:
    print(error)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit is Linux's")
@pytest.mark.skipif("libasan" in os.environ.get("LD_PRELOAD", ""), reason="the sanitizer hangs where it gets no memory")
def test_without_enough_memory_it_is_said_how_much_is_needed():
    done = subprocess.run([sys.executable, "-c", LITTLE_MEMORY], capture_output=True, text=True, check=True)
    said = re.fullmatch(
        r"there is not enough memory for this step: 1024 events on 4096x4096 px need about (\d+) MB; feed "
        r"shorter chunks, or take a smaller region\n",
        done.stdout,
    )
    assert said is not None, done.stdout + done.stderr
    assert 1_000 < float(said[1]) < 1_500  # 16 channels of 4096x4096 px, 4 bytes each, are 1074 MB


def test_what_is_needed_is_what_the_core_holds(busy):
    network = calibrate(BANDS, 5.0)
    state, _ = native.step(network, native.init(network, busy.size), busy)
    assert 1 < native.needed_bytes(network, busy.size) / state.engine.membrane_bytes < 1.2


def test_memory_set_aside_in_advance_is_all_that_is_needed_and_changes_no_spike(busy):
    network = calibrate(BANDS, 5.0)
    middle_us = busy.start_us + busy.duration_us // 2
    plain, ready = native.init(network, busy.size), native.init(network, busy.size)
    assert ready.engine.membrane_bytes == 0
    native.prepare(ready)
    held = ready.engine.membrane_bytes
    for part, stop_us in ((busy.between(stop_us=middle_us), middle_us), (busy.between(middle_us), busy.stop_us)):
        plain, expected = native.step(network, plain, part, stop_us)
        ready, spikes = native.step(network, ready, part, stop_us)
        assert len(spikes)
        assert spikes.same_as(expected)
        native.prepare(ready)
    assert ready.engine.membrane_bytes == held >= plain.engine.membrane_bytes


def test_kernels_larger_than_the_sensor_are_refused():
    network = Network(1_000, (Layer.from_arrays(circular_kernel(5.0), LIFBox(20.0, 1.0)),))
    with pytest.raises(NetworkError, match="larger than the 12x40 sensor"):
        native.init(network, (12, 40))
    native.init(network, (13, 13))


@pytest.mark.parametrize("size", [(0, 5), (5, -1), (70_000, 5)])
def test_impossible_sensors_are_refused(size):
    network, _ = one_pixel([])
    with pytest.raises(NetworkError):
        native.init(network, size)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a": 0.0}, r"outside \(0, 1\]"),
        ({"a": 1.5}, r"outside \(0, 1\]"),
        ({"a": np.nan}, r"outside \(0, 1\]"),
        ({"v_th": 0.0}, "v_leak below v_th"),
        ({"v_th": np.nan}, "v_leak below v_th"),
        ({"v_leak": np.nan}, "v_leak below v_th"),
        ({"v_leak": np.inf}, "v_leak below v_th"),
        ({"v_reset": 2.0}, "v_reset not above v_th"),
        ({"kernel": np.full((1, 1, 1, 1), np.nan)}, "not finite"),
        ({"kernel": np.zeros((1, 1, 1, 1))}, "without any weight"),
        ({"kernel": np.ones((1, 1, 1, 9))}, "larger than the sensor"),
        ({"kernel": np.ones((1, 3, 1, 1))}, "1 input map"),
        ({"kernel": np.ones((2, 1, 1, 1))}, "one value of each neuron parameter"),
        ({"kernel": np.ones((0, 1, 1, 1))}, "impossible shape"),
        ({"groups": 0}, "impossible shape"),
        ({"groups": -3}, "impossible shape"),
        ({"groups": 2}, "impossible shape"),
        ({"groups": 1 << 30, "kernel": np.ones((1, 8, 1, 1))}, "impossible shape"),
        ({"silence_us": [1, 2]}, "one map per filter channel"),
        ({"silence_us": [-1]}, "between 0 us and"),
        ({"dt_us": 0}, "dt must lie between"),
        ({"dt_us": 1 << 60}, "dt must lie between"),
        ({"second": True}, "expects another number of channels"),
    ],
)
def test_the_core_trusts_nobody(change, message):
    """What Network and Layer already refuse, handed to the core directly."""
    number = {"a": 0.5, "v_th": 1.0, "v_leak": 0.0, "v_reset": 0.0}
    given = number | {"kernel": np.ones((1, 1, 1, 1)), "groups": 1, "dt_us": 1_000, "silence_us": [], "second": False}
    given |= change
    columns = [np.array([given[name]], np.float32) for name in number]
    layer = (given["kernel"].astype(np.float32), given["groups"], *columns)
    behind = (np.ones((1, 4, 1, 1), np.float32), 1, *columns)
    network = _native.Network(
        width=8, height=8, dt_us=given["dt_us"], silence_us=given["silence_us"], flips=False,
        layers=[layer, behind] if given["second"] else [layer],
    )  # fmt: skip
    with pytest.raises(NetworkError, match=message):
        _native.Engine(network, threads=1, max_spikes=1)


def test_numbers_beyond_64_bits_are_refused():
    network, recording = one_pixel([0])
    state = native.init(network, (1, 1))
    with pytest.raises(EngineError, match="does not fit into 64 bits"):
        native.step(network, state, recording, 1 << 63)
    with pytest.raises(NetworkError, match="fit into 64 bits"):
        native.init(replace(network, trail_filter=TrailFilter((1 << 70,))), (1, 1))
    slow = Network(1 << 70, (Layer.from_arrays(np.ones((1, 1, 1, 1)), LIFBox(1e-18, 1.0)),))
    with pytest.raises(NetworkError, match="fit into 64 bits"):
        native.init(slow, (1, 1))
    with pytest.raises(RecordingError, match="2\\^56 us"):
        native.step(network, state, Recording.from_arrays([1 << 57], [0], [0], width=1, height=1))


def unchecked(t, x, y, p=None, width=8, height=8) -> Recording:
    """A Recording that nobody checked."""
    return Recording(np.asarray(t), np.asarray(x), np.asarray(y), p, width, height, 0, 10_000)


U16 = np.uint16


@pytest.mark.parametrize(
    ("events", "message"),
    [
        (unchecked([0], np.array([8], U16), np.array([0], U16)), "outside the 8x8 sensor"),
        (unchecked([0], np.array([0], U16), np.array([65_535], U16)), "outside the 8x8 sensor"),
        (unchecked([5, 4], np.zeros(2, U16), np.zeros(2, U16)), "times go back"),
        (unchecked([-1], np.zeros(1, U16), np.zeros(1, U16)), "has already run to|times go back"),
        (unchecked([0, 1], np.zeros(1, U16), np.zeros(2, U16)), "one entry per event"),
        (unchecked([0], np.zeros(1, U16), np.zeros(1, U16), np.zeros(3, bool)), "one entry per event"),
        (unchecked([0], np.array([-1]), np.zeros(1, U16)), "of their types"),
        (unchecked([0.5], np.zeros(1, U16), np.zeros(1, U16)), "of their types"),
        (unchecked([[0]], np.zeros((1, 1), U16), np.zeros((1, 1), U16)), "one-dimensional"),
        (unchecked([0], np.zeros(1, U16), np.zeros(1, U16), width=9), "9x8 sensor follow"),
    ],
)
def test_events_that_cannot_be_are_refused_and_change_nothing(events, message):
    network, _ = one_pixel([], a=1.0, v_th=0.5)
    state = native.init(network, (8, 8))
    before = native.save(state)
    with pytest.raises(RecordingError, match=message):
        native.step(network, state, events)
    assert native.save(state) == before


def test_arrays_in_any_memory_order_are_read_right():
    network, _ = one_pixel([], a=1.0, v_th=0.5)
    table = np.arange(40, dtype=np.int64).reshape(10, 4)
    x = (np.arange(30, dtype=U16) % 8)[::3]
    events = unchecked(table[:, 0] * 1_000, x, x[::-1])
    spikes = native.step(network, native.init(network, (8, 8)), events, 10**6)[1]
    assert spikes.t_us.tolist() == (table[:, 0] * 1_000).tolist()
    assert spikes.x.tolist() == x.tolist()
    assert spikes.y.tolist() == x[::-1].tolist()


def test_a_chunk_before_waiting_events_is_refused():
    network, recording = one_pixel([1_100, 1_900])
    state, _ = native.step(network, native.init(network, (1, 1)), recording)
    with pytest.raises(RecordingError, match="times go back"):
        native.step(network, state, recording)


def test_a_network_that_sees_polarity_needs_it():
    first = Layer.from_arrays(np.ones((1, 2, 1, 1)), LIFBox(500.0, 1.0))
    _, recording = one_pixel([0])
    for network in (Network(1_000, (first,)), replace(one_pixel([])[0], trail_filter=TrailFilter((5,)))):
        with pytest.raises(RecordingError, match="needs polarity"):
            native.step(network, native.init(network, (1, 1)), recording)


def test_more_spikes_than_allowed_end_a_step_by_name(busy):
    network = calibrate(BANDS, 5.0)
    state = native.init(network, busy.size, max_spikes=1_000)
    spare = native.copy(state)
    with pytest.raises(EngineError, match="spikes more often than one step may report"):
        native.step(network, state, busy)
    for use in (lambda: native.step(network, state, busy), lambda: native.save(state)):
        with pytest.raises(EngineError, match="cut short"):
            use()
    assert 0 < len(native.step(network, spare, busy.slice(0, 1_000), 10_000)[1]) <= 1_000


def test_a_missing_core_is_an_error_that_names_the_remedy(monkeypatch):
    import velocell

    monkeypatch.setitem(sys.modules, "velocell._native", None)
    monkeypatch.delattr(velocell, "_native", raising=False)
    network, recording = one_pixel([0])
    with pytest.raises(EngineError, match=r"not built .*pip install \."):
        engines.run(network, recording)
