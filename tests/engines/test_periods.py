"""Membranes are kept relative to a power of two that changes every hundred ticks or so. In short steps each block of
pixels follows such a change when it is next touched, in long ones all do at once: nothing that anyone could see."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import assert_agree

from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.network import Layer, Network
from velocell.network.kernels import circular_kernel
from velocell.network.neurons import LIFBox

pytest.importorskip("velocell._native", reason="the C++ core is not built (pip install .)")

from velocell import _native
from velocell.engines import native

DT_US = 1_000
# In ticks: 66, 186 and 965 of the first three; the last one has no memory.
NETWORK = Network(
    DT_US,
    (
        Layer.from_arrays(circular_kernel(3.0, 2.0), LIFBox([632.0, 300.0, 66.6, 1000.0], [0.6, 0.5, 0.12, 2.0])),
        Layer.from_arrays(0.4 * np.ones((2, 4, 3, 3)), LIFBox([632.0, 100.0], [0.3, 0.1])),
    ),
)


def pulses(seed: int, width: int = 300, height: int = 20) -> Recording:
    """Bunches of events at few places, that come again after less than a period, one, two and many."""
    rng = np.random.default_rng(seed)
    ticks = np.cumsum(rng.choice([1, 2, 30, 65, 66, 67, 132, 190, 400, 2_000], 120))
    places = rng.integers(5, (width - 5, height - 5), (6, 2))[rng.integers(0, 6, ticks.size)]
    events = np.repeat(np.arange(ticks.size), rng.integers(4, 40, ticks.size))
    at = np.clip(places[events] + np.rint(rng.normal(0, 2.5, (events.size, 2))).astype(int), 0, (width - 1, height - 1))
    return Recording.from_arrays(ticks[events] * DT_US, at[:, 0], at[:, 1], width=width, height=height)


def run(recording: Recording, step_ticks: int, network: Network = NETWORK) -> tuple[Spikes, bytes]:
    """The spikes of steps of so many ticks, and the state behind them."""
    state, parts = native.init(network, recording.size, threads=1), []
    stop_us = int(recording.t_us[-1]) + DT_US
    for start in range(0, stop_us, step_ticks * DT_US):
        end = min(start + step_ticks * DT_US, stop_us)
        part = recording.between(start, end)
        if len(part):
            parts.append(native.step(network, state, part, end)[1])
    return Spikes.concatenate(parts), native.save(native.step(network, state, recording.slice(0, 0), stop_us)[0])


@pytest.mark.parametrize("name", _native.patch_variants())
@pytest.mark.parametrize("seed", range(4))
def test_short_steps_give_the_spikes_and_the_state_of_a_long_one(seed, name):
    _native.select_patch_variant(name)
    try:
        recording = pulses(seed)
        # Of a long stretch each block has many ticks; with one in each step, all changes wait.
        whole, state = run(recording, 1_000_000)
        short, short_state = run(recording, 1)
    finally:
        _native.select_patch_variant(_native.patch_variants()[-1])
    assert len(whole) > 300
    assert short.same_as(whole)
    assert short_state == state


def test_a_state_that_was_copied_or_saved_between_two_changes_continues():
    recording = pulses(9)
    middle = int(recording.t_us[len(recording) // 2])
    state = native.init(NETWORK, recording.size, threads=1)
    for t_us in np.unique(recording.t_us[recording.t_us < middle]).tolist():
        native.step(NETWORK, state, recording.between(t_us, t_us + DT_US), t_us + DT_US)
    rest = recording.between(middle, recording.stop_us)
    copied, loaded = native.copy(state), native.load(native.save(state))
    spikes = native.step(NETWORK, copied, rest)[1]
    assert len(spikes) > 100
    assert native.step(NETWORK, loaded, rest)[1].same_as(spikes)
    assert native.step(NETWORK, state, rest)[1].same_as(spikes)


@pytest.mark.parametrize("step_ticks", [1, 1_000])
def test_nothing_is_left_of_a_period_that_was_skipped(step_ticks):
    """Two events in the last tick of the first period, two in the first tick of the third one: three are needed."""
    rate = -np.log2(1 - 0.632)
    last, first = int(96 / rate), int(np.ceil(2 * 96 / rate))
    network = Network(DT_US, (Layer.from_arrays(np.ones((1, 1, 1, 1)), LIFBox([632.0], [0.632 * 2.2])),))
    # Elsewhere events in many ticks, so that a long step is one of many.
    ticks = np.array([last, last, first, first, *range(first + 1, first + 40)])
    x = np.r_[np.zeros(4, int), np.full(39, 8)]
    recording = Recording.from_arrays(ticks * DT_US, x, np.zeros_like(x), width=9, height=1)
    assert len(run(recording, step_ticks, network)[0]) == 0
    three = Recording.from_arrays(np.full(3, last * DT_US), [0, 0, 0], [0, 0, 0], width=9, height=1)
    assert len(run(three, step_ticks, network)[0]) == 1


def test_they_agree_with_the_reference():
    recording = pulses(5, 24, 20)
    early = recording.between(0, 900 * DT_US)
    assert assert_agree(NETWORK, early, "native").active > 100
