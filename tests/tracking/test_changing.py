"""Objects whose speed changes: speed, heading and place of a row belong to one instant, and the stated errors hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks import changing
from velocell.calibration import calibrate
from velocell.pipeline import detect
from velocell.results.evaluate import evaluate
from velocell.simulate import simulate
from velocell.tracking.rules import DEFAULTS, Rules

BANDS = (40.0, 160.0, 640.0, 1800.0)
STEADY = Rules(steady_prior=1000, acceleration_sigmas=100)  # every acceleration is taken for none


def figures(kind: str, seed: int, rules: Rules = DEFAULTS) -> dict[str, float]:
    scene = changing.KINDS[kind](seed, "ideal")
    recording, truth = simulate(scene)
    network = calibrate(BANDS, 5.0, crossing_share=1.0)
    found = detect(recording, network=network, rules=rules, keep_spikes=False)
    return dict(zip(changing.COLUMNS, changing.figures(scene, found.tracks, truth), strict=True))


@pytest.mark.parametrize(
    ("kind", "most"), [("fall", 0.005), ("throw", 0.02), ("spring", 0.02), ("exponential slowdown", 0.02)]
)
def test_the_speed_is_that_of_the_instant(kind, most):
    found = figures(kind, 7)
    assert found["speed"] < most
    assert found["speed, p95"] < 0.06
    assert found["2 sigma"] > 0.9
    assert found["heading"] < 1
    assert found["ids"] == 1
    assert found["recall"] > 0.95
    assert figures(kind, 7, STEADY)["speed"] > 2 * found["speed"]


def test_the_error_grows_where_an_acceleration_is_not_believed():
    told = figures("fall", 7, STEADY)["2 sigma"]
    assert told > 0.95
    assert figures("fall", 7, replace(STEADY, doubt_sigmas=100))["2 sigma"] < told - 0.3


def test_what_goes_round_by_itself_stays_one_object_with_rows():
    """At the turning points of a spring it is slower than its band."""
    found = figures("spring", 8)
    assert found["ids"] == 1
    assert found["recall"] > 0.98


def test_the_band_of_what_brakes_is_that_of_its_speed_now():
    """The neurons' votes are some px old, in which it has left their band."""
    scene = changing.KINDS["braking"](3, "ideal")
    recording, truth = simulate(scene)
    network = calibrate(BANDS, 5.0, crossing_share=1.0)
    network = replace(network, origin=replace(network.origin, basis="measured"))

    def accuracy(rules: Rules) -> float:
        return evaluate(detect(recording, network=network, rules=rules).tracks, truth, BANDS).band_accuracy

    assert accuracy(DEFAULTS) > 0.97
    assert accuracy(Rules().by_neurons()) < accuracy(DEFAULTS) - 0.03
