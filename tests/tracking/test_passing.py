"""Drops that fall across a slow disk: its path, its rows and its id outlast them."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from numpy.typing import NDArray

from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.data.tracks import Tracks
from velocell.network import Network
from velocell.pipeline import detect, network_for
from velocell.results.evaluate import evaluate
from velocell.simulate import Scene, SceneObject, simulate
from velocell.tracking.detector import Detector
from velocell.tracking.rules import DEFAULTS, Rules

BANDS = (40.0, 160.0, 640.0, 1800.0)
SPEED = 60.0


@lru_cache
def rain(seed: int, *, drops: bool = True) -> tuple[Recording, Tracks]:
    """One disk, and every 120 ms a small drop that falls across its way near where it is by then."""
    rng = np.random.default_rng(seed)
    disk = SceneObject(id=0, x_px=30, y_px=60, radius_px=5, speed_px_s=SPEED, contrast=3)
    falling = tuple(
        SceneObject(
            id=100 + i, x_px=30 + SPEED * (when + 0.1) + float(rng.uniform(-12, 12)), y_px=-10,
            radius_px=float(rng.uniform(1, 3)), speed_px_s=float(rng.uniform(400, 900)), heading_deg=90, contrast=2,
            start_us=round(1e6 * when), target=False,
        )
        for i, when in enumerate(np.arange(0.25, 1.3, 0.12))
    )  # fmt: skip
    return simulate(Scene(160, 120, 1_500_000, seed=seed, noise_hz=0.1, objects=(disk, *falling) if drops else (disk,)))


@pytest.fixture(scope="module")
def network() -> Network:
    return network_for(rain(1, drops=False)[0], BANDS, 5.0)


def worst(tracks: Tracks) -> float:
    """Largest relative error of a row's speed."""
    return float(np.abs(tracks.speed_px_s / SPEED - 1).max())


def near(tracks: Tracks) -> Tracks:
    """Rows on the disk, from some px of its way on."""
    x = 30 + SPEED * tracks.t_us * 1e-6
    return tracks.where((np.hypot(tracks.x_px - x, tracks.y_px - 60) < 5) & (tracks.t_us > 200_000))


@pytest.mark.parametrize("seed", [12, 21, 23, 24, 25, 26])
def test_a_slow_disk_goes_on_through_rain(network, seed):
    recording, truth = rain(seed)
    tracks = detect(recording, network=network, keep_spikes=False).tracks
    scores = evaluate(tracks, truth, BANDS)
    assert scores.recall >= 0.97
    assert scores.precision >= 0.97
    assert scores.band_accuracy >= 0.99
    assert np.unique(near(tracks).id).size == 1


def test_a_drop_is_no_turn(network):
    """Where events beyond the usual number make a turn as well, the speed is forgotten again and again."""

    def forgotten(turn_others: float) -> int:
        rules = Rules(turn_others=turn_others)
        found = (detect(rain(seed)[0], network=network, rules=rules, keep_spikes=False) for seed in (12, 21, 23))
        return sum(worst(near(one.tracks)) > 0.4 for one in found)

    assert forgotten(0) == 3
    assert forgotten(1.0) == 0


@pytest.mark.parametrize(("edge_px", "counts"), [(4.0, True), (6.0, False)])
def test_on_a_blurred_edge_no_events_are_those_of_others(network, edge_px, counts):
    """There the usual number is not known; a turn is seen as if nothing could pass by."""
    path = ((0, 30, 40), (600_000, 110, 40), (1_200_000, 110, 100))

    def rows(seed: int, turn_others: float) -> bytes:
        disk = SceneObject(id=0, radius_px=5, path=path, contrast=3, edge_px=edge_px)
        recording, _ = simulate(Scene(160, 130, 1_200_000, seed=seed, noise_hz=0.3, objects=(disk,)))
        tracks = detect(recording, network=network, rules=Rules(turn_others=turn_others), keep_spikes=False).tracks
        assert (tracks.t_us > 700_000).any()
        return b"".join(values.tobytes() for values in tracks.columns().values())

    assert any(rows(seed, 0) != rows(seed, 10) for seed in (1, 2)) == counts


def test_neurons_that_answer_to_a_drop_do_not_hide_a_slow_disk(network):
    """Their votes are for another band; an object that goes on as it did has its rows meanwhile."""
    recording, _ = rain(1, drops=False)
    final = detect(recording, network=network).spikes.final()
    crossed = (final.t_us > 700_000) & (final.t_us < 850_000)
    assert crossed.any()
    answers = replace(final, channel=np.where(crossed, 1, final.channel).astype(np.int32))

    def times_us(spikes: Spikes, rules: Rules = DEFAULTS) -> NDArray[np.int64]:
        return Detector(network, recording.size, rules=rules).step(recording, spikes, recording.stop_us - 1)["t_us"]

    rows = times_us(answers)
    assert np.diff(rows).max() == 5000
    assert rows[-1] > 1_400_000
    # Where it was never sure, or has just appeared, it must be as fast as the neurons say.
    assert np.diff(times_us(answers, Rules(rest_confidence=1.0))).max() > 20_000
    assert not len(times_us(replace(final, channel=np.full_like(final.channel, 2))))


def test_spikes_beside_a_ring_whose_events_are_there_move_nothing(network):
    """Those of a drop lie within a disk's reach; a fit that began anew there would have to find its speed again."""
    recording, _ = rain(1, drops=False)
    final = detect(recording, network=network).spikes.final()
    crossed = (final.t_us > 700_000) & (final.t_us < 850_000)
    beside = replace(final, y=np.where(crossed, final.y + 3, final.y).astype(np.int32))
    rows = Detector(network, recording.size).step(recording, beside, recording.stop_us - 1)
    late = rows["t_us"] > 690_000
    assert late.sum() > 150
    assert np.abs(rows["speed_px_s"][late] / SPEED - 1).max() < 0.05
    assert np.abs(rows["y_px"][late] - 60).max() < 0.2
