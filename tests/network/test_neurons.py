"""LIFBox parameters: units, the decay a = dt / tau, and what is refused."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from velocell.errors import NetworkError
from velocell.network.neurons import LIFBox


def test_scalars_and_arrays_are_broadcast_to_one_value_per_channel():
    neurons = LIFBox([100.0, 50.0, 25.0], 2.0, [0.0, 0.1, 0.2], -1.0)
    assert neurons.channels == 3
    for name, dtype in (("tau_mem_inv", np.float64), ("v_th", np.float32), ("v_leak", np.float32)):
        assert getattr(neurons, name).shape == (3,)
        assert getattr(neurons, name).dtype == dtype
    np.testing.assert_array_equal(neurons.v_reset, np.float32([-1, -1, -1]))
    np.testing.assert_allclose(neurons.tau_us, [10_000, 20_000, 40_000])
    assert LIFBox(100, 1).channels == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_are_copied(dtype):
    values = {name: np.array([2.0, 3.0], dtype) for name in ("tau_mem_inv", "v_th", "v_leak", "v_reset")}
    values["v_leak"] -= 2
    neurons = LIFBox(**values)
    for name, array in values.items():
        array += 90
        assert getattr(neurons, name).max() <= 3, name


@settings(deadline=None)
@given(tau_us=st.floats(1, 1e7), dt_us=st.integers(1, 1_000_000))
def test_the_rate_is_in_per_second_and_the_tick_in_microseconds(tau_us, dt_us):
    neurons = LIFBox(1e6 / tau_us, 1.0)
    np.testing.assert_allclose(neurons.tau_us, tau_us, rtol=1e-12)
    a = dt_us / tau_us
    if a > 1.0001:
        with pytest.raises(NetworkError, match=r"must lie in \(0, 1\]"):
            neurons.decay(dt_us)
    elif a < 0.9999:
        assert neurons.decay(dt_us).dtype == np.float32
        np.testing.assert_allclose(neurons.decay(dt_us), a, rtol=1e-6)


@pytest.mark.parametrize("a", [0.001, 0.02, 0.3, 0.9])
def test_a_leaky_integrator_decays_as_the_closed_form_says(a):
    # A first-order filter by Euler keeps (1 - a) a tick, which is exp(-dt / tau) for tau = -dt / ln(1 - a).
    decay = float(LIFBox(a / 1e-3, 1.0).decay(1_000)[0])
    v, v_leak = 7.0, 0.5
    for _ in range(30):
        v += decay * (v_leak - v)
    tau_us = -1_000 / math.log1p(-a)
    assert v == pytest.approx(v_leak + 6.5 * math.exp(-30_000 / tau_us), rel=1e-4)


def test_a_short_tick_approaches_the_exact_exponential():
    # Forward Euler: an error of first order in dt.
    errors = []
    for dt_us in (2_000, 1_000, 500, 250):
        decay = float(LIFBox(100.0, 1.0).decay(dt_us)[0])
        errors.append(math.exp(-2) - (1 - decay) ** (20_000 // dt_us))
    assert errors[-1] < 0.01
    ratios = [first / second for first, second in pairwise(errors)]
    assert ratios == pytest.approx([2, 2, 2], rel=0.1)


def test_a_of_one_is_allowed_and_has_no_memory():
    assert LIFBox(1000.0, 1.0).decay(1_000)[0] == 1


@pytest.mark.parametrize("rate", [1000.001, 2000, 1e9, 0, -1, -1e-30])
def test_decay_outside_its_range_is_refused(rate):
    neurons = LIFBox([10.0, rate], 1.0)
    with pytest.raises(
        NetworkError, match=r"must lie in \(0, 1\], got .* for dt = 1000 us; choose a shorter dt"
    ) as error:
        neurons.decay(1_000)
    assert f"{rate * 1e-3:g}" in str(error.value), "the message must give the worst value, not a good one"


def test_an_infinite_threshold_is_a_leaky_integrator_that_never_spikes():
    assert np.isposinf(LIFBox(100, np.inf).v_th).all()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (([1.0, 2.0], [1.0, 2.0, 3.0]), "one value per channel, got 2, 3, 1, 1 values"),
        (([[1.0, 2.0]], 1.0), "one per channel"),
        ((np.nan, 1.0), "finite"),
        ((np.inf, 1.0), "finite"),
        ((1.0, np.nan), "finite"),
        ((1.0, -np.inf), "finite"),
        ((1.0, 1.0, np.inf), "finite"),
        ((1.0, 1.0, 0.0, -np.inf), "finite"),
        ((1.0, 0.0), "v_th must lie above v_leak"),
        ((1.0, [1.0, -1.0]), "v_th must lie above v_leak"),
        ((1.0, 1.0, 1.5), "v_th must lie above v_leak"),
        ((1.0, 1.0, 0.0, 1.5), "v_reset must not lie above v_th"),
    ],
)
def test_refusals(values, words):
    with pytest.raises(NetworkError, match=words):
        LIFBox(*values)


def test_a_reset_to_the_threshold_itself_is_allowed():
    # Strictly above fires: a neuron reset to v_th stays silent without input.
    assert LIFBox(1.0, 1.0, 0.0, 1.0).v_reset[0] == 1


@pytest.mark.parametrize("values", [(1.0, 1e-50, 0.0), (1.0, 1.0 + 1e-12, 1.0)])
def test_a_threshold_that_float32_does_not_keep_above_the_leak_is_refused(values):
    with pytest.raises(NetworkError, match="v_th must lie above v_leak"):
        LIFBox(*values)


@pytest.mark.parametrize("values", [(1.0, 1.0, -1e39), (1.0, 1.0, 0.0, -1e39)])
def test_values_beyond_float32_are_refused(values):
    with pytest.raises(NetworkError, match="finite"):
        LIFBox(*values)


def test_a_decay_that_float32_rounds_to_zero_is_refused():
    with pytest.raises(NetworkError, match=r"must lie in \(0, 1\]"):
        LIFBox(1e-50, 1.0).decay(1_000)
