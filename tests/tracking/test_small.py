"""The smallest disks, of 3 px, stated or among a range of sizes: one id each, also where they bounce."""

from __future__ import annotations

import pytest

from benchmarks.mot import pair
from velocell.pipeline import detect
from velocell.simulate import random_scene, simulate
from velocell.tracking.rules import Rules

BANDS = (40.0, 160.0, 640.0, 1800.0)


def figures(radius: float | tuple[float, float], seed: int, rules: Rules | None = None) -> dict[str, float]:
    scene = random_scene(
        6, width=400, height=240, radius=3, speeds=(400, 1500), contrast=3, noise_hz=0.2, seed=seed,
        duration_us=700_000,
    )  # fmt: skip
    recording, truth = simulate(scene)
    tracks = detect(recording, BANDS, radius, keep_spikes=False, rules=rules or Rules()).tracks
    return pair(tracks, truth, 5_000).figures


@pytest.mark.parametrize(("radius", "seed"), [(3.0, 5), (3.0, 7), ((3.0, 15.0), 7)])
def test_small_fast_disks_keep_their_ids_where_they_bounce(radius, seed):
    found = figures(radius, seed)
    assert found["recall"] > 0.97
    assert found["precision"] > 0.97
    assert found["idf1"] > 0.95


def test_after_a_bounce_the_neurons_answer_from_further_away_than_a_small_radius():
    near, usual = figures(3.0, 5, Rules(reach_px=1.5)), figures(3.0, 5)
    assert near["num_switches"] > usual["num_switches"]
    assert near["idf1"] < usual["idf1"] - 0.03
