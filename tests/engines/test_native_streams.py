"""The native engine against itself: cut anywhere, on any number of threads, from states that were copied or saved,
after long times, and beside the threads and signals of Python."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from native_streams import BANDS, one_pixel, run_in_parts
from strategies_network import cases

from velocell import engines
from velocell.calibration.formulas import calibrate
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.errors import EngineError, RecordingError
from velocell.network import Layer, Network
from velocell.network.neurons import LIFBox

pytest.importorskip("velocell._native", reason="the C++ core is not built (pip install .)")

from velocell.engines import native

# --- streams -------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(case=cases(), data=st.data())
def test_a_stream_may_be_cut_anywhere(case, data):
    network, recording = case
    whole = engines.run(network, recording)
    times = st.integers(recording.start_us, recording.stop_us)
    cuts = data.draw(st.lists(times, max_size=5), "cuts")
    assert run_in_parts(network, recording, cuts).same_as(whole)
    # By events, without promises: a tick stays open until a later event comes.
    state, parts = native.init(network, recording.size), []
    positions = sorted(data.draw(st.lists(st.integers(0, len(recording)), max_size=4), "positions"))
    for first, last in pairwise([0, *positions, len(recording)]):
        state, spikes = native.step(network, state, recording.slice(first, last))
        parts.append(spikes)
    end_us = -(-recording.stop_us // network.dt_us) * network.dt_us
    parts.append(native.step(network, state, recording.slice(0, 0), end_us)[1])
    assert Spikes.concatenate(parts).same_as(whole)


@pytest.mark.parametrize("threads", [1, 2, 5, 8 * (os.cpu_count() or 1)])  # the last more than there are cores
@pytest.mark.parametrize("cuts_us", [[], [1, 70_500, 70_501, 250_000]])
def test_threads_and_cuts_change_nothing(busy, threads, cuts_us):
    network = calibrate(BANDS, 5.0)
    assert len(busy) > 40_000
    expected = run_in_parts(network, busy, [], threads=1)
    assert len(expected) > 10_000
    assert run_in_parts(network, busy, cuts_us, threads=threads).same_as(expected)


def test_blocks_change_nothing(busy):
    # 100 us a tick makes more ticks than one block of work holds.
    network = calibrate((1_000, 3_000, 9_000), 5.0, dt_us=100)
    stretched = replace(busy, t_us=busy.t_us * 2, stop_us=busy.stop_us * 2)
    expected = engines.run(network, stretched)
    assert len(expected) > 500
    assert run_in_parts(network, stretched, [n * 9_990 for n in range(1, 80)]).same_as(expected)


def test_until_us_before_waiting_events_runs_only_the_ticks_before():
    network, recording = one_pixel([500, 1_500, 2_500, 3_500], a=1.0, v_th=0.5)
    state = native.init(network, recording.size)
    nothing = recording.slice(0, 0)
    for events, until_us, expected in [
        (recording, 0, []),
        (nothing, 1_999, [0]),
        (nothing, 1_000, []),  # a promise already kept
        (nothing, None, [1_000, 2_000]),  # the last event's time
        (nothing, 10**18, [3_000]),
        (nothing, -5, []),
    ]:
        state, spikes = native.step(network, state, events, until_us)
        assert spikes.t_us.tolist() == expected
    with pytest.raises(RecordingError, match="has already run to"):
        native.step(network, state, recording)


def test_quiet_hours_cost_nothing_and_change_nothing():
    day_us = 86_400_000_000
    times = [0, 1_000, 5 * day_us, 5 * day_us + 1_000, 2_000 * day_us]
    network, recording = one_pixel(times, a=0.5, v_th=0.7)
    started = time.process_time()
    assert engines.run(network, recording).t_us.tolist() == [1_000, 5 * day_us + 1_000]
    assert time.process_time() - started < 60


@settings(deadline=None, max_examples=40)
@given(a=st.sampled_from([1e-4, 0.02, 0.3, 0.75, 0.999, 1.0]), tick=st.integers(0, 2**45), gap=st.integers(0, 300))
def test_what_is_left_after_a_gap_is_right(a, tick, gap):
    # One event, a gap, one more: the threshold lies just above and just below what they make together.
    left = a * (1 - a) ** gap
    for share, expected in [(1 + 1e-5, 0), (1 - 1e-5, 1)]:
        network, _ = one_pixel([], a=a, v_th=(left * (1 - a) + a) * share)
        times = [tick * 1_000, (tick + gap + 1) * 1_000]
        recording = Recording.from_arrays(times, [0, 0], [0, 0], width=1, height=1)
        spikes = engines.run(network, recording)
        if left * (1 - a) > 1e-4 * a:
            assert len(spikes) == expected


def test_thresholds_are_right_after_an_hour_of_stream():
    # Events all the time for an hour, none enough to spike; at its end many at once, with the threshold
    # just above and just below what they make with all that came before.
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.integers(1, 60, 121_000)) * 1_000
    times = np.append(times, [times[-1] + 2_000] * 40)
    assert times[-1] > 3_600_000_000
    for a in (1e-3, 0.02, 0.3):
        exact_a, v, last = float(np.float32(a)), 0.0, 0
        peaks = []
        for t in (times // 1_000).tolist():
            v = v * (1 - exact_a) ** (t - last) + exact_a
            last = t
            peaks.append(v)
        assert max(peaks[:-40]) < 0.9 * v
        for share, expected in [(1 + 5e-6, []), (1 - 5e-6, [times[-1]])]:
            network, recording = one_pixel(times.tolist(), a=a, v_th=v * share)
            spikes = run_in_parts(network, recording, [n * 10**9 for n in range(4)])
            assert spikes.t_us.tolist() == expected


def test_memory_does_not_grow_with_the_stream(busy):
    network = calibrate(BANDS, 5.0)
    state, used = native.init(network, busy.size), []
    for start in range(0, 400_000, 100_000):
        part = busy.between(start, start + 100_000)
        state, _ = native.step(network, state, part, start + 100_000)
        used.append((state.engine.membrane_bytes, len(native.save(state)) // 1_000))
    tiles = 4 * 3 * 128 * 144 * 7 * 4  # 4 x 3 tiles, 7 channels, float32
    assert used[0] == used[-1]
    assert 0 < used[0][0] < 1.1 * tiles


def test_copies_and_saved_states_go_their_own_way(busy):
    network = calibrate(BANDS, 5.0)
    first, second = busy.between(0, 200_500), busy.between(200_500, 400_000)
    state, _ = native.step(network, native.init(network, busy.size), first)
    twin, saved = native.copy(state), native.save(state)
    _, expected = native.step(network, state, second, 400_000)
    assert len(expected) > 1_000
    assert native.step(network, twin, second, 400_000)[1].same_as(expected)
    loaded = native.load(saved)
    assert native.save(loaded) == saved
    assert loaded.size == busy.size
    equal = replace(network, radius_px=4.0)  # nothing the engine runs
    assert native.step(equal, loaded, second, 400_000)[1].same_as(expected)
    other = native.load(saved, threads=1, max_spikes=100)
    with pytest.raises(EngineError, match="spikes more often"):
        native.step(network, other, second, 400_000)


def test_an_event_changes_only_its_own_state():
    network, recording = one_pixel([0, 1_000], a=0.5, v_th=0.6)
    state = native.init(network, recording.size)
    twin = native.copy(state)
    native.step(network, state, recording, 5_000)
    assert len(native.step(network, twin, recording.slice(1, 2), 5_000)[1]) == 0


# --- threads and signals of Python ------------------------------------------------------------------------


def heavy(box: int = 300) -> tuple[Network, Recording]:
    """Seconds of work in a single tick, around `box` times `box` pixels."""
    rng = np.random.default_rng(0)
    n = 400_000
    recording = Recording.from_arrays(
        np.zeros(n, np.int64), rng.integers(0, box, n), rng.integers(0, box, n), width=300, height=300
    )
    return Network(1_000, (Layer.from_arrays(rng.random((1, 1, 201, 201)), LIFBox(20.0, 1e30)),)), recording


def loud() -> tuple[Network, Recording]:
    """Little to add, many millions of spikes to sort and pass on."""
    rng = np.random.default_rng(0)
    n = 100_000
    recording = Recording.from_arrays(
        np.sort(rng.integers(0, 400_000, n)), rng.integers(0, 640, n), rng.integers(0, 480, n), width=640, height=480
    )
    return Network(1_000, (Layer.from_arrays(np.ones((1, 1, 9, 9)), LIFBox([20.0] * 8, 1e-9)),)), recording


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("box", [300, 20])  # 20: one tile has all the work, the calling thread may have none
def test_ctrl_c_ends_a_step_soon(threads, box):
    network, recording = heavy(box)
    state = native.init(network, recording.size, threads=threads)
    answered = interrupted_after(0.05, lambda: native.step(network, state, recording, 10_000))
    assert answered < 5
    with pytest.raises(EngineError, match="cut short"):
        native.step(network, state, recording)


@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_ends_a_step_of_many_spikes_soon(threads):
    network, recording = loud()
    state = native.init(network, recording.size, threads=threads, max_spikes=1 << 30)
    assert interrupted_after(0.05, lambda: native.step(network, state, recording, 10**6)) < 5
    with pytest.raises(EngineError, match="cut short"):
        native.step(network, state, recording)


def interrupted_after(delay: float, work: Callable[[], object]) -> float:
    """Seconds from Ctrl-C to the end of `work`, which must end by it."""
    sent = []

    def interrupt() -> None:
        time.sleep(delay)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        work()
    answered = time.monotonic()
    thread.join()
    return answered - sent[0]


def test_other_threads_run_meanwhile_but_not_on_the_same_state():
    network, recording = heavy()
    recording = recording.slice(0, 100_000)
    state = native.init(network, recording.size, threads=1)
    thread = threading.Thread(target=native.step, args=(network, state, recording, 10_000))
    thread.start()
    refused = []
    while thread.is_alive():
        try:
            native.copy(state)
        except EngineError as error:
            refused.append(str(error))
        time.sleep(0.001)
    thread.join()
    assert len(refused) > 5
    assert all("in use by another thread" in text for text in refused)
    native.copy(state)


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_a_quiet_block_need_not_say_whether_it_has_polarity(engine):
    network = calibrate((60, 240, 960), 5.0)
    assert network.trail_filter is not None
    assert network.trail_filter.flips
    chosen = engines.load(engine)
    state = chosen.init(network, (60, 50))
    quiet = Recording.from_arrays([], [], [], width=60, height=50)
    state, spikes = chosen.step(network, state, quiet, 10_000)
    assert len(spikes) == 0
    some = Recording.from_arrays([10_500], [3], [4], width=60, height=50)
    with pytest.raises(RecordingError, match="needs polarity but the recording has none"):
        chosen.step(network, state, some, 20_000)
