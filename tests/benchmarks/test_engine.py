"""The engine's benchmark on very little of everything: it runs, and its JSON is what the schema says."""

from __future__ import annotations

import json
import sys

import pytest
from places import ROOT

pytest.importorskip("velocell._native", reason="the C++ core is not built (pip install .)")
sys.path.insert(0, str(ROOT))

import jsonschema

from benchmarks import engine

LITTLE = engine.Effort(
    runs=1,
    scene_us=20_000,
    norse_ticks=1,
    norse_size=(160, 90),
    curve_events=300,
    step_events_per_s=20_000,
    detect_us=300_000,
)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return engine.measure(LITTLE)


def test_the_result_is_what_the_schema_says(result, tmp_path):
    engine.write(result, tmp_path)
    assert json.loads((tmp_path / "engine.json").read_text()) == result
    assert (tmp_path / "engine.png").stat().st_size > 10_000
    assert len({row["varied"] for row in result["curves"]}) == 5


@pytest.mark.parametrize(
    "spoil",
    [
        lambda result: result.pop("machine"),
        lambda result: result["engine"].pop(),
        lambda result: result["engine"][0].update(seconds=-1),
        lambda result: result["curves"][0].update(varied="weather"),
        lambda result: result["step"][0].update(extra=1),
        lambda result: result["detect"][0].update(recall=1.01),
    ],
)
def test_a_spoilt_result_is_refused_and_not_written(result, spoil, tmp_path):
    copy = json.loads(json.dumps(result))
    spoil(copy)
    with pytest.raises(jsonschema.ValidationError):
        engine.write(copy, tmp_path / "bench")
    assert not (tmp_path / "bench").exists()
