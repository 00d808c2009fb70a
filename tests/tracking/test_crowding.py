"""Tentative tracks have limited room in a place, so that clutter costs a bounded time per event; that is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from velocell.calibration import calibrate
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.data.tables import COLUMNS
from velocell.data.tracks import Tracks
from velocell.live.loop import Summary
from velocell.network import Network
from velocell.results.evaluate import evaluate
from velocell.simulate import Scene, SceneObject, simulate
from velocell.tracking.detector import Crowding, Detector
from velocell.tracking.online import Online, respond
from velocell.tracking.rules import Rules

EDGES = (40.0, 160.0, 640.0)
NAMES = ("t_us", "x", "y", "channel", "layer")


@pytest.fixture(scope="module")
def network() -> Network:
    return calibrate(EDGES, 5.0, crossing_share=0.85)


def disk(**changed: float) -> SceneObject:
    return replace(SceneObject(x_px=60, y_px=50, radius_px=5, speed_px_s=150, contrast=3.0, bounce=True), **changed)


def seen(*objects: SceneObject) -> tuple[Recording, Tracks]:
    return simulate(Scene(160, 100, 800_000, seed=3, noise_hz=0.5, objects=objects))


def clutter(*, per_ms: int, seed: int = 0, around_px: float = 18) -> Spikes:
    """Spikes of the slowest band around the place where the disk begins, without any event."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(-around_px, around_px, (per_ms, 2)) + np.array([60, 50])
    t = np.repeat(np.arange(800), per_ms) * 1000
    x, y = np.tile(places, (800, 1)).round().astype(np.int32).T
    return Spikes(t, x, y, np.zeros(t.size, np.int32), np.full(t.size, 1, np.int32), 2)


def follow(recording: Recording, network: Network, more: Spikes | None, **rules: float) -> tuple[Tracks, Crowding]:
    """The rows of a tracker that is given more spikes than the network's."""
    own = Spikes.concatenate([part for _, part, _ in respond(Online(network, recording.size), recording.blocks())])
    spikes = own.final()
    if more is not None:
        columns = [np.concatenate([getattr(part, name) for part in (own.final(), more)]) for name in NAMES]
        order = np.argsort(columns[0], kind="stable")
        spikes = Spikes(*(column[order] for column in columns), own.layers)
    detector = Detector(network, recording.size, rules=Rules(**rules))
    rows = detector.step(recording, spikes, recording.stop_us - 1)
    return Tracks.from_columns(rows), detector.crowding


def test_without_clutter_there_is_room_and_nothing_is_told(network):
    recording, _ = seen(disk())
    rows, crowding = follow(recording, network, None)
    assert crowding.births >= 1
    assert crowding.crowded == 0
    assert crowding.told is None
    unlimited, _ = follow(recording, network, None, max_tentative_tracks=100_000)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(rows, name), getattr(unlimited, name))


def test_clutter_finds_no_room_which_is_told_and_a_limit_bounds_it(network):
    recording, truth = seen(disk())
    rows, crowding = follow(recording, network, clutter(per_ms=60))
    assert 0.5 * crowding.births < crowding.crowded <= crowding.births
    assert crowding.told is not None
    assert f"{round(100 * crowding.crowded / crowding.births)} % of them came too many" in crowding.told
    assert "rule max_tentative_tracks" in crowding.told
    _, unlimited = follow(recording, network, clutter(per_ms=60), max_tentative_tracks=100_000)
    assert unlimited.crowded == 0
    # Found a little later, since more is asked of it in such a place.
    assert evaluate(rows, truth, EDGES).recall >= 0.85


def test_more_is_asked_of_a_track_in_a_full_place(network):
    recording, truth = seen(disk())
    easy, hard = (follow(recording, network, clutter(per_ms=60), jammed_odds=odds)[0] for odds in (0, 100))
    assert evaluate(easy, truth, EDGES).recall > 0.85
    assert len(hard) < len(easy) / 2
    free, _ = follow(recording, network, None, jammed_odds=100)
    assert evaluate(free, truth, EDGES).recall > 0.9


def test_less_is_asked_there_where_events_lie_close_to_the_ring(network):
    """A clear disk is found as soon as one whose place is free; where scatter counts for nothing it waits."""
    recording, _ = seen(disk())

    def found_us(**rules: float) -> int:
        return int(follow(recording, network, clutter(per_ms=60), jammed_travel_px=40, **rules)[0].t_us[0])

    free = int(follow(recording, network, None)[0].t_us[0])
    assert found_us(jammed_scatter=0.001) > free + 200_000
    assert found_us() < free + 100_000


def test_room_is_given_by_merit(network):
    """All room is taken before the disk comes; where none is ever given up, it is found only once it
    has left the clutter."""
    recording, truth = seen(disk(start_us=400_000))

    def recall(give_way_px: float) -> float:
        rules = {"max_tentative_tracks": 2, "give_way_px": give_way_px}
        found = [follow(recording, network, clutter(per_ms=8, seed=seed), **rules)[0] for seed in range(4)]
        return float(np.mean([evaluate(rows, truth, EDGES).recall for rows in found]))

    assert recall(1000) + 0.1 < recall(5)
    assert recall(5) > 0.8


@pytest.mark.parametrize(
    ("births", "crowded", "told"), [(0, 0, None), (1000, 10, None), (1000, 11, "1 %"), (1000, 999, "100 %")]
)
def test_a_few_that_are_too_many_are_no_news(births, crowded, told):
    sentence = Crowding(births, crowded).told
    assert sentence is None if told is None else told in (sentence or "")
    # Live says it at the end.
    assert (sentence or "; ") in str(Summary(crowding=Crowding(births, crowded)))
