"""The whole way on simulated scenes: what is found, what is left alone, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from velocell import engines
from velocell.calibration.formulas import calibrate
from velocell.data.recording import Recording
from velocell.data.tables import COLUMNS, DETECTED
from velocell.data.tracks import Tracks
from velocell.errors import CalibrationError, EngineError, NetworkError, OptionError, RecordingError
from velocell.pipeline import detect
from velocell.results.evaluate import evaluate
from velocell.results.scores import Scores
from velocell.simulate import Flicker, Scene, SceneObject, random_scene, simulate
from velocell.tracking.detection import Detection
from velocell.tracking.online import BLOCK_US, Online, follow

OCTAVES = (20.0, 80.0, 320.0, 1280.0)  # two octaves a band
EDGES = (60.0, 240.0, 960.0)


def scored(radius: float, contrast: float, seed: int, *, polarity: bool, noise_hz: float = 0.2) -> Scores:
    """Separate disks at random, found with nothing given but radius and bands."""
    scene = random_scene(
        4, width=200, height=150, duration_us=600_000, radius=radius, speeds=(22, 1150), contrast=contrast,
        noise_hz=noise_hz, seed=seed,
    )  # fmt: skip
    recording, truth = simulate(scene)
    if not polarity:
        recording = recording.with_polarity("drop")
    found = detect(recording, OCTAVES, radius)
    return evaluate(found.tracks, truth, OCTAVES, spikes=found.spikes)


def assert_found(scores: list[Scores]) -> None:
    """The project's figures for separate disks, as a mean over scenes."""
    recall, precision, band = (
        float(np.mean([getattr(score, name) for score in scores])) for name in ("recall", "precision", "band_accuracy")
    )
    assert recall >= 0.95, recall
    assert precision >= 0.95, precision
    assert band >= 0.97, band
    assert sum(score.false_tracks for score in scores) == 0


@pytest.mark.parametrize("contrast", [1.0, 3.0, 10.0])
@pytest.mark.parametrize(("radius", "scenes"), [(4.0, 2), (8.0, 2), (12.0, 1)])
def test_separate_disks_are_found(radius, scenes, contrast):
    assert_found([scored(radius, contrast, 9_500 + number, polarity=True) for number in range(scenes)])


@pytest.mark.parametrize(("radius", "contrast", "scenes"), [(4.0, 3.0, 2), (8.0, 1.0, 2), (12.0, 10.0, 1)])
def test_separate_disks_are_found_without_polarity(radius, contrast, scenes):
    assert_found([scored(radius, contrast, 9_510 + number, polarity=False) for number in range(scenes)])


def test_channels_answer_to_their_own_band():
    # Speeds of this scene: 34, 113, 447 and 454 px/s.
    scores = scored(6.0, 3.0, 9_521, polarity=True)
    assert len(scores.purity) == 3
    assert all(purity is not None and purity >= 0.97 for purity in scores.purity), scores.purity


def test_the_comparison_can_fail():
    # A radius three times too large, and bands that are not the ones scored, must not pass for found.
    scene = random_scene(4, width=200, height=150, duration_us=600_000, radius=5.0, speeds=(22, 1150), seed=9_530)
    recording, truth = simulate(scene)
    with pytest.raises(AssertionError):
        assert_found([evaluate(detect(recording, OCTAVES, 15.0).tracks, truth, OCTAVES)])
    shifted = detect(recording, [edge / 4 for edge in OCTAVES], 5.0).tracks
    with pytest.raises(AssertionError):
        assert_found([evaluate(shifted, truth, OCTAVES)])


# --- nothing moves, or nothing that is a disk -----------------------------------------------------------


def still(seed: int, **values: Any) -> Scene:
    return Scene(160, 120, 600_000, seed=seed, **values)


def with_object(seed: int, **values: Any) -> Scene:
    item = SceneObject(target=False, contrast=3.0, heading_deg=float(seed % 40) - 20, **values)
    return still(seed, noise_hz=0.2, objects=(item,))


STILL: dict[str, Callable[[int], Scene]] = {
    "noise": lambda seed: still(seed, noise_hz=3.0),
    "hot pixels": lambda seed: still(seed, noise_hz=0.2, hot_pixels=30, hot_rate_hz=200),
    "slower than all bands": lambda seed: with_object(seed, x_px=60, y_px=60, radius_px=5, speed_px_s=15, bounce=True),
}
OTHER: dict[str, Callable[[int], Scene]] = {
    "slow edge": lambda seed: with_object(seed, shape="edge", x_px=10, y_px=60, speed_px_s=100),
    "fast edge": lambda seed: with_object(seed, shape="edge", x_px=10, y_px=60, speed_px_s=600),
    "large disk": lambda seed: with_object(seed, x_px=60, y_px=60, radius_px=20, speed_px_s=300, bounce=True),
}


def rows_of(scene: Scene, *, polarity: bool) -> int:
    recording = simulate(scene)[0]
    return len(detect(recording if polarity else recording.with_polarity("drop"), EDGES, 5.0).tracks)


@pytest.mark.parametrize("polarity", [True, False])
@pytest.mark.parametrize("name", STILL)
def test_where_nothing_moves_the_table_is_empty(name, polarity):
    assert rows_of(STILL[name](9_600), polarity=polarity) == 0


@pytest.mark.parametrize("polarity", [True, False])
@pytest.mark.parametrize("name", OTHER)
def test_what_is_no_disk_of_this_radius_is_left_alone(name, polarity):
    rows = [rows_of(OTHER[name](seed), polarity=polarity) for seed in (9_600, 9_601)]
    assert np.mean(rows) <= 4, rows  # of 119 instants


def flickering(seed: int) -> Recording:
    rng = np.random.default_rng(seed)
    patches = tuple(
        Flicker(
            x_px=float(rng.uniform(20, 140)),
            y_px=float(rng.uniform(20, 100)),
            radius_px=float(rng.uniform(3, 15)),
            contrast=float(rng.uniform(1, 5)),
            frequency_hz=float(rng.uniform(5, 60)),
        )
        for _ in range(8)
    )
    return simulate(still(seed, noise_hz=0.2, flicker=patches))[0]


def test_flicker_gives_almost_no_rows():
    rows = []
    for seed in range(9_610, 9_613):
        recording = flickering(seed)
        for seen in (recording, recording.with_polarity("drop")):
            rows.append(len(detect(seen, EDGES, 5.0).tracks))
    # Eight patches of 5 to 60 Hz in each, 119 instants; most tables are empty.
    assert np.median(rows) <= 2, rows
    assert np.mean(rows) <= 15, rows


# --- what goes in and comes out ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scene() -> tuple[Recording, Tracks]:
    return simulate(random_scene(3, width=140, height=100, duration_us=350_000, speeds=(100, 900), seed=9_540))


@pytest.fixture(scope="module")
def found(scene: tuple[Recording, Tracks]) -> Detection:
    return detect(scene[0], OCTAVES, 5.0)


def assert_same_rows(left: Tracks, right: Tracks) -> None:
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name), err_msg=name)


def test_rows_are_inside_the_recording(scene, found):
    recording, _ = scene
    assert np.all(found.tracks.t_us % 5_000 == 0)
    assert found.tracks.t_us.max() == 345_000, "the instant at which the recording stops is no part of it"
    assert found.tracks.t_us.min() >= 5_000
    assert set(found.tracks.band) <= {-1, 0, 1, 2}
    assert found.spikes.layer.max() == 1
    assert found.spikes.t_us.max() < recording.stop_us


@pytest.mark.parametrize("every_us", [1_000, 50_000])
def test_the_interval_is_respected(scene, found, every_us):
    recording, _ = scene
    tracks = detect(recording, network=found.network, every_us=every_us).tracks
    late = tracks.where(tracks.t_us >= 150_000)
    np.testing.assert_array_equal(np.unique(late.t_us), np.arange(150_000, 350_000, every_us))


def test_a_given_network_replaces_the_calibration(scene, found):
    recording, _ = scene
    again = detect(recording, network=found.network)
    assert again.network is found.network
    assert_same_rows(again.tracks, found.tracks)
    assert again.spikes.same_as(found.spikes)


def test_a_network_file_gives_the_same_rows(scene, found, tmp_path):
    found.network.to_toml(tmp_path / "net.toml")
    again = detect(scene[0], network=type(found.network).from_toml(tmp_path / "net.toml"))
    assert_same_rows(again.tracks, found.tracks)


def test_a_truncated_recording_gives_the_same_rows_up_to_there(scene, found):
    recording, _ = scene
    for stop_us in (100_000, 212_345, 300_001):
        part = detect(recording.between(stop_us=stop_us), network=found.network).tracks
        assert_same_rows(part, found.tracks.where(found.tracks.t_us < stop_us))


def test_blocks_follow_one_another(scene, found):
    recording, _ = scene
    seen: list[Recording] = []
    detect(recording, network=found.network, on_block=seen.append)
    assert seen[0].start_us == 0
    assert [block.start_us for block in seen[1:]] == [block.stop_us for block in seen[:-1]]
    assert all(block.stop_us % BLOCK_US == 0 for block in seen[:-1])
    assert seen[-1].stop_us == recording.stop_us
    assert sum(len(block) for block in seen) == len(recording)
    parts = list(follow(Online(found.network, recording.size), recording.blocks()))
    np.testing.assert_array_equal(np.concatenate([rows["x_px"] for rows, _ in parts]).size, len(found.tracks))
    assert sum(len(spikes) for _, spikes in parts) == len(found.spikes)


@pytest.mark.parametrize("stop_us", [200_000, 234_567, 300_001])
def test_all_ticks_are_run_also_the_last_one(scene, found, stop_us):
    part = scene[0].between(stop_us=stop_us)
    assert detect(part, network=found.network).spikes.same_as(engines.run(found.network, part))


def test_spikes_are_left_out_on_request(scene, found):
    lean = detect(scene[0], network=found.network, keep_spikes=False)
    assert len(lean.spikes) == 0
    assert_same_rows(lean.tracks, found.tracks)


def test_engines_agree_on_the_rows(found):
    recording = simulate(random_scene(1, width=60, height=50, duration_us=150_000, speeds=(150, 200), seed=9_541))[0]
    native, reference = (detect(recording, network=found.network, engine=name) for name in ("native", "reference"))
    assert len(native.tracks)
    assert_same_rows(native.tracks, reference.tracks)


def test_polarity_chooses_events(scene):
    recording, _ = scene
    for polarity in ("on", "off"):
        chosen = detect(recording, OCTAVES, 5.0, polarity=polarity)
        by_hand = detect(recording.with_polarity(polarity), OCTAVES, 5.0)
        assert_same_rows(chosen.tracks, by_hand.tracks)
    assert_same_rows(*(detect(recording, OCTAVES, 5.0, polarity=name).tracks for name in ("merge", "both")))


def test_a_stated_contrast_needs_no_trail_filter(scene):
    recording, truth = scene
    found = detect(recording, OCTAVES, 5.0, contrast=3.0)
    assert found.network.trail_filter is None
    scores = evaluate(found.tracks, truth, OCTAVES)
    assert scores.recall >= 0.9
    assert scores.band_accuracy >= 0.9


def test_half_of_the_events_may_be_missing():
    # The share of crossings that arrive is measured; without it every disk would seem slower.
    recording, truth = simulate(
        random_scene(4, width=200, height=150, duration_us=700_000, speeds=(30, 1100), contrast=1.0, seed=9_550)
    )
    kept = recording.mask(np.random.default_rng(9_551).random(len(recording)) < 0.6)
    found = detect(kept, OCTAVES, 5.0)
    blind = detect(kept, network=calibrate(OCTAVES, 5.0, crossing_share=1.0))
    scores = evaluate(found.tracks, truth, OCTAVES)
    assert scores.band_accuracy >= 0.95
    assert scores.recall >= 0.85
    assert evaluate(blind.tracks, truth, OCTAVES).recall < scores.recall
    assert evaluate(blind.tracks, truth, OCTAVES).band_accuracy < 0.8


def test_a_radius_may_be_stated_a_little_wrong():
    recording, truth = simulate(
        random_scene(3, width=180, height=120, duration_us=500_000, radius=6.0, speeds=(60, 900), seed=9_560)
    )
    for stated in (5.2, 7.0):
        found = detect(recording, OCTAVES, stated)
        # A ring for a larger radius goes half of the way.
        assert found.network.radius_px == pytest.approx(6.0, rel=0.08)
        assert found.network.origin["stated_radius_px"] == stated
        assert_found([evaluate(found.tracks, truth, OCTAVES)])


def test_a_recording_that_starts_late_keeps_its_clock(scene, found):
    recording, _ = scene
    shift = 1_800_000_000_000_000
    late = Recording.from_arrays(
        recording.t_us + shift,
        recording.x,
        recording.y,
        recording.p,
        width=recording.width,
        height=recording.height,
        start_us=shift,
        stop_us=recording.stop_us + shift,
    )
    tracks = detect(late, OCTAVES, 5.0).tracks
    np.testing.assert_array_equal(tracks.t_us - shift, found.tracks.t_us)
    np.testing.assert_array_equal(tracks.x_px, found.tracks.x_px)


def test_the_table_says_what_made_it(scene, found):
    assert found.tracks.meta["network"]["radius_px"] == found.network.radius_px
    assert found.tracks.meta["recording"]["events"] == len(scene[0])


# --- refusals -----------------------------------------------------------------------------------------------


def few(side: int = 60) -> Recording:
    return Recording.from_arrays([0, 10, 20_000], [5, 6, 7], [5, 5, 5], width=side, height=side)


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"bands": None}, OptionError, "needs speed bands or a network; give --bands or --network"),
        ({"every_us": 0}, OptionError, "reporting interval must be at least 1 us, got 0"),
        ({"every_us": -5}, OptionError, "got -5"),
        ({"bands": (62, 16)}, NetworkError, "increasing speeds"),
        ({"radius": 0}, CalibrationError, "radius must be above 0 px"),
        ({"radius": -1}, CalibrationError, "radius must be above 0 px"),
        ({"radius": 30}, CalibrationError, "larger than the 60x60 sensor; choose a smaller radius"),
        ({"contrast": 0}, CalibrationError, "contrast must be 0.001"),
        ({"dt_us": 100_000}, CalibrationError, "more than the ring's 2 px"),
        ({"engine": "fast"}, EngineError, "engine 'fast' is unknown"),
        ({"polarity": "on"}, RecordingError, "polarity 'on' was requested but the recording has none"),
        ({"polarity": "sideways"}, RecordingError, "polarity 'sideways' is unknown"),
    ],
)
def test_refusals(values, error, words):
    with pytest.raises(error, match=words) as caught:
        detect(few(), **{"bands": (16, 62, 177, 500), "radius": 5.0, **values})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("stop_us", [0, 50_000])
def test_a_recording_without_events_is_refused(stop_us):
    empty = Recording.from_arrays([], [], [], width=60, height=60, start_us=0, stop_us=stop_us, source="quiet.npz")
    with pytest.raises(RecordingError, match=r"quiet\.npz has no events"):
        detect(empty, (16, 62, 177, 500))


def test_a_chosen_polarity_without_events_is_refused():
    recording = Recording.from_arrays([1, 2], [3, 4], [3, 4], [False, False], width=60, height=60)
    with pytest.raises(RecordingError, match=r"no (on )?events"):
        detect(recording, (16, 62, 177, 500), polarity="on")


def test_a_network_without_bands_is_refused(found):
    with pytest.raises(NetworkError, match="needs a network with bands and a radius"):
        detect(few(), network=replace(found.network, bands=None))


def test_a_network_that_needs_polarity_is_refused_without_it(found):
    with pytest.raises(RecordingError, match="needs polarity but the recording has none"):
        detect(few(), network=found.network)


def test_a_single_event_gives_an_empty_table():
    tracks = detect(few(), (16, 62, 177, 500)).tracks
    assert len(tracks) == 0
    assert set(tracks.columns()) == set(DETECTED)
