"""What a rival must be, and that wrong ones are noticed."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from places import ROOT

pytest.importorskip("velocell._native", reason="the C++ core is not built (pip install .)")
sys.path.insert(0, str(ROOT))

from benchmarks.rivals.interface import EVERY_US, Choice, Rival, RivalError, instants
from benchmarks.rivals.methods import rival, rivals
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks

BANDS = Bands((40, 160, 640))
QUIET = Recording.from_arrays([3_000], [1], [1], width=8, height=8, start_us=0, stop_us=20_000)


def a_rival(**changes) -> Rival:
    entries = {"name": "none", "title": "None", "source": "", "licence": "", "version": "", "how": ""}
    nothing = {"follow": lambda *_: Tracks.empty(), "parameters": {"level": Choice(2.0, 1.0, 8.0, log=True)}}
    return Rival(**{**entries, **nothing, **changes})


def test_every_rival_says_where_it_comes_from():
    assert next(iter(rivals())) == "velocell"
    for name, one in rivals().items():
        assert all((one.title, one.source, one.licence, one.version, one.how)), name
        assert 0 <= one.user_set <= len(one.parameters), name
        assert one.checked({}) == one.defaults


def test_drawn_values_are_allowed_and_a_seed_draws_the_same():
    choices = {
        "log": Choice(2.0, 0.01, 100.0, log=True),
        "whole": Choice(2, 1, 3, whole=True),
        "logwhole": Choice(4, 1, 64, log=True, whole=True),
        "either": Choice("a", options=("a", "b")),
    }
    one = a_rival(parameters=choices)
    draws = [one.draw(np.random.default_rng(seed)) for seed in range(200)]
    assert all(one.checked(values) == values for values in draws)
    assert draws[7] == one.draw(np.random.default_rng(7))
    assert {values["whole"] for values in draws} == {1, 2, 3}
    assert {values["either"] for values in draws} == {"a", "b"}
    assert 0.4 < np.mean([values["log"] < 1 for values in draws]) < 0.6


@pytest.mark.parametrize(
    ("values", "words"),
    [({"levle": 2.0}, "has no parameter 'levle'"), ({"level": 0.5}, "outside"), ({"level": "2"}, "outside")],
)
def test_wrong_values_are_one_sentence(values, words):
    with pytest.raises(RivalError, match=words) as caught:
        a_rival().track(QUIET, 5.0, BANDS, values)
    assert "\n" not in str(caught.value)


def test_a_rival_that_is_not_installed_says_so():
    away = a_rival(missing=lambda: "no Java is installed; apt-get install default-jdk brings it")
    assert "Java" in away.available()
    with pytest.raises(RivalError, match="no Java"):
        away.track(QUIET, 5.0, BANDS)
    with pytest.raises(RivalError, match="there is no rival 'nobody'"):
        rival("nobody")


def test_instants_are_multiples_of_the_interval_on_the_recordings_clock():
    part = Recording.from_arrays([7_500], [1], [1], width=8, height=8, start_us=7_000, stop_us=22_000)
    assert instants(part).tolist() == [10_000, 15_000, 20_000]
    assert instants(QUIET).tolist() == [EVERY_US, 10_000, 15_000, 20_000]


def test_a_range_from_which_nothing_can_be_drawn_is_refused():
    for bad in ({"low": 3.0, "high": 1.0}, {"low": -1.0, "high": 4.0, "log": True}, {"low": 3.0, "high": 4.0}):
        with pytest.raises(RivalError):
            Choice(2.0, **bad)
