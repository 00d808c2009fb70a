"""What is measured once is measured again, and used where the scene changed; never by what comes later."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from velocell.calibration import calibrate, learning
from velocell.calibration.edges import scaled
from velocell.calibration.learning import AFTER_US, Learner, has_changed, is_other
from velocell.calibration.measure import networks_for
from velocell.calibration.noise import Noise
from velocell.calibration.passes import Passes, Seen, Told
from velocell.calibration.recipe import Recipe
from velocell.calibration.search import Search
from velocell.data.recording import Recording
from velocell.pipeline import detect, find
from velocell.results.evaluate import evaluate
from velocell.simulate import Scene, SceneObject, simulate

BANDS = (40.0, 160.0, 640.0, 1800.0)
SEARCH = Search.of(BANDS, 5.0)
SPEEDS = (60, 120, 250, 900)


@pytest.fixture(autouse=True)
def often(monkeypatch):
    """Every second instead of every ten, whatever it costs."""
    monkeypatch.setattr(learning, "RENEW_US", 1_000_000)
    monkeypatch.setattr(learning, "PER_LOOK", 0)


def scene(seconds: float, lost: float = 0.0, seed: int = 81) -> Scene:
    objects = tuple(
        SceneObject(id=i, x_px=60, y_px=30 + 60 * i, speed_px_s=speed, bounce=True, contrast=1.0 if lost else 4.0)
        for i, speed in enumerate(SPEEDS)
    )
    return Scene(320, 240, round(1e6 * seconds), seed=seed, noise_hz=0.1, objects=objects, event_loss=lost)


def dimmed(lost: float = 0.45):
    """3 s in which every crossing is seen, then 3 s in which hardly half of them are; positions go on."""
    bright, truth = simulate(scene(6))
    dim, _ = simulate(scene(6, lost))
    parts = bright.between(stop_us=3_000_000), dim.between(start_us=3_000_000)
    columns = [np.concatenate([getattr(part, name) for part in parts]) for name in ("t_us", "x", "y", "p")]
    return Recording.from_arrays(*columns, width=320, height=240, start_us=0, stop_us=6_000_000), truth


@pytest.fixture(scope="module")
def changing():
    return dimmed()


def test_a_network_follows_the_light(changing):
    recording, truth = changing
    found = find(recording, SEARCH, keep_spikes=False)
    # Measured from 3 to 4 s, used from 5 s on.
    after = truth.where(truth.t_us > 5_100_000)
    late = found.tracks.where(found.tracks.t_us > 5_100_000)
    first = found.networks[0]
    assert first.origin.crossings > 1
    kept = detect(recording, network=first, keep_spikes=False).tracks
    scores, before = (evaluate(rows, after, BANDS) for rows in (late, kept.where(kept.t_us > 5_100_000)))
    assert scores.recall >= 0.97
    assert scores.band_accuracy >= 0.97
    assert scores.band_accuracy > before.band_accuracy + 0.1 or scores.recall > before.recall + 0.1

    def ids(start_us, stop_us):
        return set(found.tracks.id[(found.tracks.t_us >= start_us) & (found.tracks.t_us < stop_us)].tolist())

    assert len(ids(4_950_000, 5_000_000)) >= 2
    assert ids(4_950_000, 5_000_000) <= ids(5_000_000, 5_050_000), "who is followed stays followed"


def test_nothing_is_known_before_it_is_seen(changing):
    recording, _ = changing
    whole = find(recording, SEARCH, keep_spikes=False).tracks
    short = find(recording.between(stop_us=4_000_000), SEARCH, keep_spikes=False).tracks
    early = whole.where(whole.t_us < 4_000_000)
    for name in ("t_us", "id", "band", "x_px", "speed_px_s"):
        np.testing.assert_array_equal(getattr(early, name), getattr(short, name))


@pytest.mark.parametrize("span_us", [5_000, 170_000])
def test_however_the_stream_is_cut_it_is_measured_at_the_same_time(changing, span_us):
    recording, _ = changing
    networks = networks_for(recording, SEARCH)

    def due(parts):
        learner = Learner(SEARCH, networks)
        found = [stretch for part in parts for stretch in learner.due(part)]
        return [(stretch.start_us, len(stretch)) for stretch in found]

    expected = due(recording.chunks(100_000))
    assert len(expected) >= 2
    assert due(recording.chunks(span_us)) == expected


def test_the_same_scene_changes_nothing():
    recording, _ = simulate(scene(4))
    learner = Learner(SEARCH, networks_for(recording, SEARCH))
    measured = [learner.measure(stretch) for part in recording.chunks(100_000) for stretch in learner.due(part)]
    assert measured
    assert not any(measured)


def test_where_nothing_was_measured_hope_fades_until_something_is(monkeypatch):
    monkeypatch.setattr(learning, "PER_LOOK", 4)
    quiet = simulate(Scene(320, 240, 1_000_000, seed=3, noise_hz=5.0))[0]
    learner = Learner(SEARCH, networks_for(quiet, SEARCH))
    waits = []
    for _ in range(12):
        assert learner.measure(quiet) is None
        waits.append(learner._next_us - quiet.stop_us)
    assert waits == sorted(waits)
    looked_us = 2_580_000  # at three radii, each as long as shows that it sees nothing, and shorter for other sizes
    assert waits[0] == 4 * looked_us, "a fifth of the time is looked at"
    assert waits[-1] == learning.MOST_WAIT_US
    found = learner.measure(simulate(scene(1))[0])
    assert found is not None
    assert learner.networks is found


@pytest.mark.parametrize("noise_hz", [0.1, 7.0])
def test_at_most_a_fifth_of_the_time_is_looked_at(noise_hz, monkeypatch):
    looked = []
    see = Passes.see

    def counted(self, networks, stretch, **more):
        seen = see(self, networks, stretch, **more)
        looked.append(seen.stop_us - stretch.start_us)
        return seen

    monkeypatch.setattr(Passes, "see", counted)
    monkeypatch.setattr(learning, "RENEW_US", 10_000_000)
    monkeypatch.setattr(learning, "PER_LOOK", 4)
    find(simulate(replace(scene(10), noise_hz=noise_hz))[0], SEARCH, keep_spikes=False)
    assert 0 < sum(looked) <= 2_000_000


def test_of_a_long_recording_no_more_than_a_stretch_is_held(monkeypatch):
    monkeypatch.setattr(learning, "RENEW_US", 10_000_000)
    rng = np.random.default_rng(5)
    learner, found = Learner(SEARCH, [calibrate(BANDS, 5.0)]), []

    def part(second: int) -> Recording:
        """50 000 events, most of them in one place."""
        t_us = 1_000_000 * second + np.sort(rng.integers(0, 1_000_000, 50_000))
        x, y = rng.integers(0, 320, t_us.size), rng.integers(0, 240, t_us.size)
        x[::2], y[::2] = x[::2] // 20, y[::2] // 20
        return Recording.from_arrays(t_us, x, y, x > y, width=320, height=240, stop_us=1_000_000 * (second + 1))

    tracemalloc.start()
    try:
        for second in range(20):
            for stretch in learner.due(part(second)):
                found.append(stretch.start_us // 1_000_000)
                learner._next_us = stretch.stop_us + learning.RENEW_US
        held, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == [10]
    assert most < 6_000_000, "a second of it, and what making it takes; all of it is 13 MB"
    assert held < 1_000_000


def test_what_counts_as_a_change():
    mine = calibrate(BANDS, 5.0, crossing_share=1.0)
    measured = replace(mine, origin=replace(mine.origin, basis="measured"))
    assert not has_changed(measured, calibrate(BANDS, 5.0, crossing_share=1.08))
    assert has_changed(measured, calibrate(BANDS, 5.0, crossing_share=0.85))
    assumed = replace(mine, origin=replace(mine.origin, basis="too_sparse"))
    assert has_changed(assumed, mine)
    assert AFTER_US == 1_000_000


def test_noise_that_comes_or_goes_is_a_change():
    def network(hz):
        return calibrate(BANDS, 5.0, crossing_share=1.0, noise=Noise(hz, 0.5))

    assert has_changed(network(0.1), network(10.0))
    assert has_changed(network(10.0), network(0.1))
    assert not has_changed(network(5.0), network(6.0))


@pytest.mark.parametrize(
    ("mine_right", "fresh_right", "used"), [(0.6, 1.0, True), (1.0, 0.6, False), (0.97, 0.99, False), (0.97, 1.0, True)]
)
@pytest.mark.parametrize("other", ["ring", "edges"])
def test_another_ring_or_edge_is_used_where_the_one_in_use_does_worse(
    mine_right, fresh_right, used, other, monkeypatch
):
    mine = calibrate(BANDS, 5.0, crossing_share=1.0)
    wide = calibrate(BANDS, 5.0, crossing_share=1.0, recipe=Recipe(ring_width_px=4.0))
    fresh = wide if other == "ring" else scaled(mine, np.array([0.8, 0.8, 0.8, 1.0]))
    assert is_other(mine, fresh)
    assert not is_other(mine, mine)
    assert not has_changed(mine, fresh), "the share of crossings and the noise are the same"

    def see(self, networks, stretch, **_):
        """A hundred rows at 300 px/s, of which some are told to be in band 1, the others in band 0."""
        right = fresh_right if networks[0] is fresh else mine_right
        band = np.where(np.arange(100) < 100 * right, 1, 0).astype(np.int32)
        told = Told.of(np.empty((0, 9)), SEARCH)
        return Seen(
            told, stretch.t_us[:100], np.full(100, 300.0), np.full(100, 3.0), band, stretch.stop_us, short=False
        )

    monkeypatch.setattr(Passes, "see", see)
    monkeypatch.setattr(learning, "measured_on", lambda *_: (fresh,))
    learner = Learner(SEARCH, (mine,))
    found = learner.measure(simulate(scene(0.1))[0])
    assert (found == (fresh,)) is used
    assert learner.networks == ((fresh,) if used else (mine,))


def test_the_table_says_from_when_on_which_network_was_used(changing):
    recording, _ = changing
    found = find(recording, SEARCH, keep_spikes=False)
    (from_us, networks), *_ = found.changes
    assert from_us == 5_000_000
    told = found.tracks.meta["changes"][0]
    assert told["from_us"] == from_us
    assert told["network"]["origin"] == dict(networks[0].origin)
    assert found.tracks.meta["network"]["origin"] == dict(found.networks[0].origin), "those it began with"
    assert "changes" not in find(recording.between(stop_us=2_000_000), SEARCH, keep_spikes=False).tracks.meta
