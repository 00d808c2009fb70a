"""The detector on its own: rows follow from the past alone, however the stream is cut."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from velocell.calibration.formulas import calibrate
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.data.tables import COLUMNS, DETECTED
from velocell.data.tracks import Tracks
from velocell.engines import native
from velocell.errors import NetworkError, RecordingError
from velocell.network import Network
from velocell.results.evaluate import evaluate
from velocell.simulate import Scene, SceneObject, random_scene, simulate
from velocell.tracking.detector import Detector
from velocell.tracking.rules import DEFAULTS, Rules

EDGES = (20.0, 80.0, 320.0, 1280.0)
RADIUS = 5.0
EVERY_US = 5_000


@pytest.fixture(scope="module")
def network() -> Network:
    return calibrate(EDGES, RADIUS, crossing_share=1.0)


@pytest.fixture(scope="module")
def scene() -> tuple[Recording, Tracks]:
    return simulate(
        random_scene(4, width=150, height=120, duration_us=400_000, radius=RADIUS, speeds=(60, 900), seed=9_200)
    )


def follow(
    network: Network,
    recording: Recording,
    cuts_us: list[int] | None = None,
    every_us: int = EVERY_US,
    rules: Rules = DEFAULTS,
) -> Tracks:
    """Engine and detector side by side, cut at the given times; rows before the end of the recording."""
    detector = Detector(network, recording.size, every_us, rules=rules)
    state = native.init(network, recording.size)
    parts = []
    times = [recording.start_us, *(cuts_us or []), recording.stop_us]
    for start, stop in pairwise(times):
        chunk = recording.between(start, stop)
        state, spikes = native.step(network, state, chunk, stop)
        parts.append(detector.step(chunk, spikes, stop - (stop == recording.stop_us)))
    return Tracks.from_columns({name: np.concatenate([part[name] for part in parts]) for name in COLUMNS})


def assert_same_rows(left: Tracks, right: Tracks) -> None:
    """The same rows, bit by bit."""
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name), err_msg=name)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_crowd_gives_the_same_rows_however_it_is_cut(network: Network, seed: int) -> None:
    """Cells of many tracks, which begin and end within a step or between two."""
    crowd, _ = simulate(
        random_scene(40, width=110, height=90, duration_us=250_000, radius=RADIUS, speeds=(60, 900), seed=seed,
                     noise_hz=20.0, separate=False)
    )  # fmt: skip
    whole = follow(network, crowd)
    assert len(np.unique(whole.id)) > 10
    cuts = np.sort(np.random.default_rng(seed).choice(250_000, 60, replace=False)).tolist()
    assert_same_rows(follow(network, crowd, cuts), whole)


def before(tracks: Tracks, t_us: int) -> Tracks:
    return tracks.where(tracks.t_us < t_us)


def disk(width: int, height: int, duration_us: int, *, seed: int = 9_201, **values: Any) -> tuple[Recording, Tracks]:
    item = SceneObject(radius_px=RADIUS, **{"contrast": 3.0, **values})
    return simulate(Scene(width, height, duration_us, seed=seed, noise_hz=0.1, objects=(item,)))


# --- cutting, causality, time ---------------------------------------------------------------------------


@pytest.mark.parametrize("length_us", [100_000, 33_333, 5_000, 1_000, 777])
def test_the_way_of_cutting_changes_nothing(network, scene, length_us):
    recording, _ = scene
    whole = follow(network, recording)
    assert len(np.unique(whole.id)) == 4
    assert_same_rows(follow(network, recording, list(range(length_us, recording.stop_us, length_us))), whole)


def test_cuts_between_any_two_events_change_nothing(network, scene):
    recording, _ = scene
    rng = np.random.default_rng(9_202)
    cuts = np.unique(rng.choice(recording.t_us[1:], 150))
    assert_same_rows(follow(network, recording, cuts.tolist()), follow(network, recording))


@pytest.mark.parametrize("stop_us", [61_000, 123_456, 250_001, 355_000])
def test_rows_use_the_past_only(network, scene, stop_us):
    recording, _ = scene
    whole = follow(network, recording)
    part = follow(network, recording.between(stop_us=stop_us))
    assert len(part)
    assert_same_rows(part, before(whole, stop_us))
    # Another future after the same past: everything from then on upside down.
    late = recording.t_us >= stop_us
    other = replace(recording, y=np.where(late, recording.height - 1 - recording.y, recording.y).astype(np.uint16))
    assert_same_rows(before(follow(network, other), stop_us), part)
    assert follow(network, other).y_px[-1] != whole.y_px[-1]


@pytest.mark.parametrize("every_us", [1_000, 10_000, 7_777, 100_000])
def test_rows_come_at_multiples_of_the_interval(network, scene, every_us):
    recording, truth = scene
    tracks = follow(network, recording, every_us=every_us)
    assert len(tracks)
    assert np.all(tracks.t_us % every_us == 0)
    late = np.arange(1, -(-recording.stop_us // every_us)) * every_us
    late = late[late > 200_000]
    np.testing.assert_array_equal(np.unique(tracks.t_us[tracks.t_us > 200_000]), late)
    assert evaluate(tracks, truth, EDGES).precision >= 0.97


def test_the_interval_only_chooses_which_rows_are_shown(network, scene):
    recording, _ = scene
    often, seldom = follow(network, recording, every_us=1_000), follow(network, recording, every_us=20_000)
    shown = often.where((often.t_us % 20_000 == 0) & (often.t_us > 100_000))
    settled = seldom.where(seldom.t_us > 100_000)
    np.testing.assert_array_equal(shown.t_us, settled.t_us)
    np.testing.assert_allclose(shown.x_px, settled.x_px, atol=0.2)
    np.testing.assert_array_equal(shown.band, settled.band)


def test_a_clock_since_1970_loses_no_digit(network, scene):
    recording, _ = scene
    shift = 1_800_000_000_000_000  # a multiple of tick and interval
    late = replace(
        recording,
        t_us=recording.t_us + shift,
        start_us=recording.start_us + shift,
        stop_us=recording.stop_us + shift,
    )
    tracks = follow(network, late)
    assert_same_rows(replace(tracks, t_us=tracks.t_us - shift), follow(network, recording))


def test_a_silent_stream_gives_no_rows(network):
    detector = Detector(network, (50, 40))
    empty = Recording.from_arrays([], [], [], width=50, height=40, start_us=0, stop_us=1_000_000)
    columns = detector.step(empty, Spikes.empty(), 1_000_000)
    assert set(columns) == set(DETECTED)
    assert all(values.size == 0 for values in columns.values())


# --- what a row says -------------------------------------------------------------------------------------


def test_the_columns_of_a_row(network, scene):
    recording, truth = scene
    tracks = follow(network, recording).where(follow(network, recording).t_us > 150_000)
    scores = evaluate(tracks, truth, EDGES)
    assert scores.localisation_rms_px < 0.5
    assert scores.speed_error_median < 0.006
    assert scores.heading_error_median_deg < 3
    np.testing.assert_allclose(tracks.radius_px, RADIUS, rtol=0.05)
    assert np.all((tracks.confidence >= 0) & (tracks.confidence <= 1))
    assert np.median(tracks.confidence) > 0.8
    assert np.all((tracks.heading_deg >= 0) & (tracks.heading_deg < 360))


def test_the_stated_error_of_the_speed_is_on_the_safe_side(network):
    # Straight ways only, errors in units of the stated sigma. Simulated events are more regular than
    # independent ones, for which it is made.
    pulls = []
    for seed in range(9_210, 9_222):
        recording, _ = disk(
            160, 60, 600_000, seed=seed, x_px=12.0, y_px=28.0, speed_px_s=220.0, heading_deg=float(seed % 12) - 5
        )
        tracks = follow(network, recording)
        settled = tracks.where(tracks.t_us > 250_000)
        pulls.append((settled.speed_px_s[-1] - 220.0) / settled.speed_err_px_s[-1])
    assert 0.1 < np.sqrt(np.mean(np.square(pulls))) < 1.5, pulls


def test_the_band_is_the_neurons_answer(network, scene):
    recording, _ = scene
    state = native.init(network, recording.size)
    _, spikes = native.step(network, state, recording, recording.stop_us)
    # All spikes moved to channel 0: the table must follow them, whatever the trajectory says.
    claimed = replace(spikes, channel=np.where(spikes.layer == 1, 0, spikes.channel).astype(np.int32)).sorted()
    columns = Detector(network, recording.size).step(recording, claimed, recording.stop_us)
    assert len(columns["band"])
    assert set(columns["band"]) == {0}
    assert set(follow(network, recording).band) - {0}
    assert columns["confidence"][columns["speed_px_s"] > 120].max() <= 0.5, "band and trajectory disagree"


def test_without_spikes_of_the_final_layer_nothing_is_reported(network, scene):
    recording, _ = scene
    state = native.init(network, recording.size)
    _, spikes = native.step(network, state, recording, recording.stop_us)
    columns = Detector(network, recording.size).step(recording, spikes.of_layer(0), recording.stop_us)
    assert columns["t_us"].size == 0


@pytest.mark.parametrize("speed", [50.0, 250.0, 900.0])
def test_a_bounce_keeps_the_id(network, speed):
    span = int(2.3e6 * 60 / speed)
    recording, truth = disk(72, 40, span, x_px=10.0, y_px=17.0, speed_px_s=speed, heading_deg=8.0, bounce=True)
    tracks = follow(network, recording)
    assert set(tracks.id) == {0}
    scores = evaluate(tracks, truth, EDGES)
    assert (scores.id_switches, scores.false_tracks) == (0, 0)
    assert scores.recall >= 0.97
    # It went there and back.
    assert {round(float(np.cos(np.radians(h)))) for h in truth.heading_deg} == {-1, 1}
    right, left = (np.cos(np.radians(tracks.heading_deg)) * sign > 0.7 for sign in (1, -1))
    assert right.any()
    assert left.any()


def test_a_disk_that_leaves_ends_its_track(network):
    recording, truth = disk(90, 50, 800_000, x_px=12.0, y_px=24.0, speed_px_s=200.0, heading_deg=5.0)
    tracks = follow(network, recording)
    gone_us = int(truth.t_us[-1])
    assert 300_000 < gone_us < 500_000
    assert set(tracks.id) == {0}
    assert tracks.t_us[-1] >= gone_us - 2 * EVERY_US
    assert tracks.t_us[-1] <= gone_us + 2 * EVERY_US


def test_a_short_gap_in_the_events_keeps_the_id(network):
    recording, _ = disk(150, 60, 800_000, x_px=12.0, y_px=28.0, speed_px_s=150.0, heading_deg=3.0)
    gap = (recording.t_us > 400_000) & (recording.t_us < 400_000 + 2 / 150 * 1e6)
    tracks = follow(network, recording.mask(~gap))
    assert set(tracks.id) == {0}
    assert tracks.t_us[-1] == 795_000


def test_one_that_comes_later_is_another(network):
    first = SceneObject(id=0, radius_px=RADIUS, x_px=12.0, y_px=20.0, speed_px_s=200.0)
    second = replace(first, id=1, start_us=600_000)
    recording, truth = simulate(Scene(90, 41, 1_100_000, seed=9_203, objects=(first, second)))
    tracks = follow(network, recording)
    assert np.unique(tracks.id).tolist() == [0, 1]
    scores = evaluate(tracks, truth, EDGES)
    assert scores.id_switches == 0
    assert scores.recall >= 0.95


def test_a_disk_that_stops_is_at_rest_and_then_forgotten(network):
    # It makes no events any more, as if a camera saw a disk at rest.
    recording, _ = disk(120, 50, 900_000, x_px=12.0, y_px=24.0, speed_px_s=150.0, stop_us=400_000)
    tracks = follow(network, recording, rules=Rules(keep_s=0.3))
    late = tracks.where(tracks.t_us > 400_000 + 3 / 150 * 1e6)
    assert (late.speed_px_s == 0).all()
    assert late.t_us.max() == 700_000
    none = follow(network, recording, rules=Rules(keep_s=0))
    assert none.t_us.max() <= 400_000 + 8 / 150 * 1e6


@pytest.mark.parametrize(("channel", "followed"), [(0, True), (2, False)])
def test_what_does_not_keep_the_pace_of_its_band_is_not_reported(network, channel, followed):
    """Neurons that answer to flicker: their band says 320 px/s and more, the path says 40."""
    recording, _ = disk(80, 60, 600_000, x_px=20.0, y_px=30.0, speed_px_s=40.0, contrast=10.0)
    _, spikes = native.step(network, native.init(network, recording.size), recording, recording.stop_us)
    final = spikes.layer == spikes.layer.max()
    claimed = replace(spikes, channel=np.where(final, channel, spikes.channel).astype(spikes.channel.dtype))
    columns = Detector(network, recording.size, EVERY_US).step(recording, claimed, recording.stop_us - 1)
    assert (len(columns["id"]) > 20) is followed
    assert followed or len(columns["id"]) == 0


def test_passages_tell_share_and_radius(network):
    recording, _ = disk(160, 60, 700_000, x_px=12.0, y_px=28.0, speed_px_s=200.0, heading_deg=2.0)
    for kept in (1.0, 0.5):
        seen = recording.mask(np.random.default_rng(9_204).random(len(recording)) < kept)
        detector = Detector(calibrate(EDGES, RADIUS, crossing_share=0.9 * kept), recording.size)
        state = native.init(network, recording.size)
        _, spikes = native.step(network, state, seen, recording.stop_us)
        assert detector.passages().shape == (0, 9)
        detector.step(seen, spikes, recording.stop_us)
        shares, radii, contrasts, *_, odds, off, speed = detector.passages().T
        np.testing.assert_allclose(radii, RADIUS, rtol=0.03)
        # Three events per crossing: with half of them lost, 7 of 8 crossings still send one.
        np.testing.assert_allclose(shares, 1.0 if kept == 1 else 0.875, atol=0.1)
        np.testing.assert_allclose(contrasts, 3 * kept, rtol=0.1)
        assert (odds > 3).all(), "it is clearly a disk"
        # A ramp of 1 px is crossed somewhere in its width.
        np.testing.assert_allclose(off, 1 / np.sqrt(12), atol=0.06)
        np.testing.assert_allclose(speed, 200, rtol=0.05)


# --- refusals --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [{"bands": None}, {"radius_px": None}])
def test_a_network_without_bands_or_radius_is_refused(network, missing):
    with pytest.raises(NetworkError, match="detection needs a network with bands and a radius; calibrate one"):
        Detector(replace(network, **missing), (50, 50))


def test_events_of_another_sensor_are_refused(network):
    detector = Detector(network, (50, 40))
    with pytest.raises(RecordingError, match="events of a 60x40 sensor were given to a detector for 50x40"):
        detector.step(Recording.from_arrays([5], [50], [39], width=60, height=40), Spikes.empty(), 10)
