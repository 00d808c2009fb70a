"""What a network remembers: runs that begin so long before a cut go on as the whole does, in every engine."""

from __future__ import annotations

import numpy as np
import pytest

from velocell import engines
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.network import memory
from velocell.network.network import Layer, Network, TrailFilter
from velocell.network.neurons import LIFBox

SIZE = (24, 18)
CUT_US, STOP_US = 260_000, 360_000


def network(rng: np.random.Generator) -> Network:
    """Two layers and a trail filter, all at random, with memories of some ticks to some ten."""
    first = LIFBox(rng.uniform(60, 300, 2), rng.uniform(0.15, 0.6, 2), 0, rng.uniform(-0.5, 0, 2))
    second = LIFBox(rng.uniform(150, 400, 2), rng.uniform(0.1, 0.3, 2), 0, rng.uniform(-0.5, 0, 2))
    layers = (
        Layer.from_arrays(rng.uniform(-0.4, 1, (2, 1, 3, 3)), first, 2),
        Layer.from_arrays(rng.uniform(-0.4, 1, (2, 2, 5, 5)), second),
    )
    return Network(1_000, layers, TrailFilter((9_000, 4_000)))


def recording(rng: np.random.Generator, n: int = 6_000) -> Recording:
    t = np.sort(rng.integers(0, STOP_US, n))
    x, y = rng.integers(0, SIZE[0], n), rng.integers(0, SIZE[1], n)
    return Recording.from_arrays(t, x, y, rng.integers(0, 2, n), width=SIZE[0], height=SIZE[1], stop_us=STOP_US)


def spikes_of(engine: str, made: Network, events: Recording, until_us: int = STOP_US) -> Spikes:
    run = engines.load(engine)
    return run.step(made, run.init(made, SIZE), events, until_us)[1]


@pytest.mark.parametrize("engine", ["native", "reference", "norse"])
def test_a_run_that_has_settled_goes_on_as_the_whole(engine):
    if engine == "norse":
        pytest.importorskip("norse")
    outcomes = {}
    for seed in range(5 if engine == "native" else 1):
        rng = np.random.default_rng(seed)
        made, events = network(rng), recording(rng)
        whole = spikes_of(engine, made, events)
        assert (whole.t_us >= CUT_US).sum() > 100
        for share in (0.1, 0.3, 0.6, 1.0) if engine == "native" else (0.1, 1.0):
            begin_us = CUT_US - int(share * memory.run_in_us(made)) // 1_000 * 1_000
            late = spikes_of(engine, made, events.between(begin_us))
            settled = memory.settled([made], whole, late, begin_us, CUT_US)
            same = late.where(late.t_us >= CUT_US).same_as(whole.where(whole.t_us >= CUT_US))
            assert same or not settled
            outcomes.setdefault(share, []).append((settled, same))
    assert all(settled for settled, _ in outcomes[1.0])
    assert not any(settled for settled, _ in outcomes[0.1])
    assert not all(same for _, same in outcomes[0.1])  # without the run-in it goes wrong


def test_the_memory_is_the_time_in_which_float32_forgets():
    """Against the definition, tick by tick: 2^7 thresholds fall below half an ulp of one."""
    made = network(np.random.default_rng(0))
    for layer, channels in zip(made.layers, memory.memory_us(made), strict=True):
        for a, needed_us in zip(layer.neurons.decay(made.dt_us), channels, strict=True):
            left, ticks = 2.0**7, 0
            while left > 2.0**-25:
                left *= 1 - float(a)
                ticks += 1
            assert needed_us == ticks * made.dt_us


def test_a_membrane_that_is_driven_evenly_is_seen_not_to_settle():
    """One spike in three ticks, for ever: its phase depends on where a run begins."""
    neurons = LIFBox([500.0], [0.8], 0, 0)
    made = Network(1_000, (Layer.from_arrays(np.ones((1, 1, 1, 1)), neurons),))
    t = np.arange(0, STOP_US, 1_000)
    events = Recording.from_arrays(t, np.full(t.size, 3), np.full(t.size, 4), width=8, height=8, stop_us=STOP_US)
    run = engines.load("native")

    def spikes(begin_us: int) -> Spikes:
        return run.step(made, run.init(made, (8, 8)), events.between(begin_us), STOP_US)[1]

    whole, needed_us = spikes(0), memory.run_in_us(made)
    assert np.unique(np.diff(whole.t_us)).tolist() == [3_000]
    begins = [(CUT_US - needed_us) // 3_000 * 3_000 + k * 1_000 for k in range(-3, 0)]
    found = [memory.settled([made], whole, spikes(begin_us), begin_us, CUT_US) for begin_us in begins]
    assert found == [True, False, False]


def test_a_wrong_spike_within_the_memory_is_seen_one_before_it_is_not():
    made = Network(1_000, (Layer.from_arrays(np.ones((1, 1, 1, 1)), LIFBox([100.0], [0.25], 0, 0)),))
    needed_us = int(memory.agreement_us(made)[0][0])

    def spike(t_us: int) -> Spikes:
        one = np.array([1], np.int32)
        return Spikes(np.array([t_us]), one, one, 0 * one, 0 * one, 1)

    start_us = CUT_US - 2 * needed_us
    for at_us, settled in ((CUT_US - needed_us, False), (CUT_US - 1_000, False), (CUT_US - needed_us - 1_000, True)):
        assert memory.settled([made], spike(at_us), Spikes.empty(1), start_us, CUT_US) is settled
        assert memory.settled([made], spike(at_us), spike(at_us), start_us, CUT_US)
    assert not memory.settled([made], spike(0), spike(0), CUT_US - needed_us + 1, CUT_US)  # begun too late
