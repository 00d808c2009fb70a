"""Filters against their definitions, event by event."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moving_pictures import panned
from typer.testing import CliRunner

from velocell import pipeline
from velocell.cli.app import app
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks
from velocell.errors import OptionError, RecordingError
from velocell.filters.hot_pixels import hot_among, hot_pixels, mask_pixels
from velocell.filters.noise import background_activity_filter, refractory_filter
from velocell.formats import write_npz
from velocell.simulate import Scene, SceneObject, simulate

WIDTH, HEIGHT = 5, 4
BANDS = (60.0, 240.0, 960.0)


@st.composite
def recordings(draw):
    """Few pixels and times, so that events meet in both; polarity carries each event's number modulo 2."""
    events = draw(
        st.lists(st.tuples(st.integers(0, 60), st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1)), max_size=60)
    )
    rows = np.array(sorted(events, key=lambda event: event[0])).reshape(-1, 3).astype(int)
    return Recording.from_arrays(
        rows[:, 0] + draw(st.sampled_from([0, 7])), rows[:, 1], rows[:, 2], np.arange(len(rows)) % 2,
        width=WIDTH, height=HEIGHT, start_us=0, stop_us=100,
    )  # fmt: skip


def kept(recording, rule):
    """The recording's events for which rule(earlier events, event) holds; events are (t, x, y)."""
    events = list(zip(recording.t_us.tolist(), recording.x.tolist(), recording.y.tolist(), strict=True))
    return recording.mask(np.array([rule(events[:i], event) for i, event in enumerate(events)], bool))


def assert_same(found, expected):
    for name in ("t_us", "x", "y", "p"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert (found.start_us, found.stop_us, found.size) == (expected.start_us, expected.stop_us, expected.size)


@settings(deadline=None)
@given(recordings(), st.integers(1, 40), st.integers(1, 3))
def test_background_activity_filter_is_its_definition(recording, window_us, neighbours):
    def supported(earlier, event):
        t, x, y = event
        beside = {(u, v) for s, u, v in earlier if s >= t - window_us and max(abs(u - x), abs(v - y)) == 1}
        return len(beside) >= neighbours

    assert_same(background_activity_filter(recording, window_us, neighbours), kept(recording, supported))


def test_background_activity_at_the_edge_of_the_window_and_of_the_sensor():
    # x = 0 one row further down lies beside x = 4 in memory only; the diagonal neighbour counts.
    recording = Recording.from_arrays(
        [0, 10, 21, 32], [4, 0, 1, 2], [0, 1, 2, 3], width=WIDTH, height=HEIGHT, start_us=0, stop_us=50
    )
    assert background_activity_filter(recording, 11).t_us.tolist() == [21, 32]
    assert background_activity_filter(recording, 10).t_us.tolist() == []


@settings(deadline=None)
@given(recordings(), st.integers(1, 40))
def test_refractory_filter_is_its_definition(recording, dead_us):
    def rested(earlier, event):
        before = [s for s, *pixel in earlier if pixel == list(event[1:])]
        return not before or event[0] - before[-1] >= dead_us

    assert_same(refractory_filter(recording, dead_us), kept(recording, rested))


def test_a_pixel_that_never_rests_gives_one_event():
    zeros = np.zeros(10, int)
    recording = Recording.from_arrays(np.arange(10) * 100, zeros, zeros)
    assert refractory_filter(recording, 101).t_us.tolist() == [0]
    assert len(refractory_filter(recording, 100)) == 10


def test_hot_pixels_are_found_and_masked():
    scene = Scene(40, 30, 1_000_000, seed=4, noise_hz=3, hot_pixels=6, hot_rate_hz=2000)
    recording, _ = simulate(scene)
    counts = np.bincount(recording.y.astype(int) * 40 + recording.x, minlength=1200)
    hot = np.flatnonzero(counts > 500)
    assert hot.size == 6
    np.testing.assert_array_equal(hot_pixels(recording), np.column_stack((hot % 40, hot // 40)))
    clean = mask_pixels(recording, hot_pixels(recording))
    assert len(clean) == len(recording) - counts[hot].sum()
    assert hot_pixels(clean).shape == (0, 2)
    assert mask_pixels(clean, []).t_us.size == len(clean)


def test_pairs_of_defects_are_hot_but_an_outline_is_not():
    counts = np.zeros((9, 9), int)
    counts[1, 1:3] = 500  # a pair
    counts[5, 4:8] = counts[6:8, 7] = 500  # a line around a corner
    y, x = np.nonzero(counts)
    y, x = np.repeat(y, 500), np.repeat(x, 500)
    recording = Recording.from_arrays(np.arange(x.size), x, y, width=9, height=9)
    assert hot_pixels(recording).tolist() == [[1, 1], [2, 1], [4, 5], [7, 7]]


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([0, 0, 0, 1, 19, 20, 30, 250]), min_size=30, max_size=30), st.integers(1, 5), st.booleans()
)
def test_hot_pixels_are_their_definition(values, step, shifted):
    """step: of so many pixels only one is there at all, as on a sensor that is mostly empty."""
    counts = np.zeros(30 * step**3 + 10, np.int64)
    counts[int(shifted) : 30 * step**3 : step**3] = np.array(values)[
        : len(counts[int(shifted) : 30 * step**3 : step**3])
    ]
    width = 5 * step
    picture = np.pad(counts[: counts.size // width * width].reshape(-1, width), 1)
    counts = picture[1:-1, 1:-1].ravel()
    wanted = []
    for number in np.flatnonzero(counts >= 20):
        y, x = divmod(int(number), width)
        around = np.delete(picture[y : y + 3, x : x + 3].ravel(), 4)
        if counts[number] > 10 * max(np.sort(around)[-2], 1):
            wanted.append(int(number))
    pixel = np.flatnonzero(counts)
    assert hot_among(pixel, counts[pixel], width).tolist() == wanted


def test_what_cannot_be_is_refused():
    recording = Recording.from_arrays([1], [2], [3], width=WIDTH, height=HEIGHT)
    with pytest.raises(OptionError, match="window of the background-activity filter must be at least 1 us, got 0"):
        background_activity_filter(recording, 0)
    with pytest.raises(OptionError, match="the number of neighbours must be between 1 and 8"):
        background_activity_filter(recording, 5, 9)
    with pytest.raises(OptionError, match="dead time of the refractory filter must be at least 1 us, got -3"):
        refractory_filter(recording, -3)
    for pixel in ((5, 0), (0, 4), (-1, 0)):
        with pytest.raises(RecordingError, match=f"pixel {pixel[0]},{pixel[1]} to mask lies outside the 5x4 sensor"):
            mask_pixels(recording, [(0, 0), pixel])


# --- in `velocell detect` --------------------------------------------------------------------------


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    warnings = [line for line in result.stderr.splitlines() if line.startswith("velocell: warning: ")]
    return result, warnings


def test_the_command_filters_and_tells(tmp_path):
    disk = SceneObject(id=0, x_px=15, y_px=30, speed_px_s=400, bounce=True)
    recording, _ = simulate(Scene(80, 60, 300_000, seed=1, noise_hz=3, hot_pixels=5, hot_rate_hz=2000, objects=(disk,)))
    file, table = tmp_path / "noisy.npz", tmp_path / "t.csv"
    write_npz(recording, file)
    filters = ("--mask-hot", "--refractory", "1ms", "--denoise", "4ms")
    result, warnings = run("detect", file, "--bands", "60,240,960", "-o", table, *filters)
    assert result.exit_code == 0, result.stderr
    assert warnings == []
    masked = mask_pixels(recording, hot_pixels(recording))
    rested = refractory_filter(masked, 1_000)
    clean = background_activity_filter(rested, 4_000)
    for text in (
        f"without 5 hot pixels: {len(masked)} of {len(recording)} events left",
        f"refractory filter of 1ms: {len(rested)} of {len(masked)} events left",
        f"background-activity filter of 4ms: {len(clean)} of {len(rested)} events left",
    ):
        assert text in result.stderr
    meta = Tracks.read(table).meta
    assert meta["inputs"][0]["recording"]["events"] == len(clean)
    assert [meta["settings"][name] for name in ("mask_hot", "refractory_us", "denoise_us")] == [True, 1_000, 4_000]
    np.testing.assert_array_equal(Tracks.read(table).band, pipeline.detect(clean, BANDS).tracks.band)


def test_filters_that_leave_nothing_are_an_error(tmp_path):
    file = tmp_path / "rare.npz"
    write_npz(Recording.from_arrays([0, 5000], [3, 30], [3, 30], width=40, height=40), file)
    result, _ = run("detect", file, "--bands", "60,240", "-o", tmp_path / "t.csv", "--denoise", "1ms")
    assert result.exit_code == 1
    assert "the filters leave no events of" in result.stderr
    result, _ = run("detect", file, "--bands", "60,240", "-o", tmp_path / "t.csv", "--denoise", "0us")
    assert result.exit_code == 1
    assert "must be at least 1 us, got 0" in result.stderr


def test_a_moving_camera_is_warned_about(tmp_path):
    file = tmp_path / "panned.npz"
    write_npz(panned(duration_us=200_000), file)
    result, warnings = run("detect", file, "--bands", "60,240,960", "-o", tmp_path / "t.csv", "--contrast", "1")
    assert result.exit_code == 0, result.stderr
    assert len(warnings) == 1
    assert "the picture as a whole shifts, as where the camera moves" in warnings[0]


def test_a_recording_too_sparse_to_measure_is_warned_about(tmp_path):
    scene = Scene(60, 40, 200_000, seed=3, noise_hz=0.2)
    recording, _ = simulate(scene)
    file, network = tmp_path / "sparse.npz", tmp_path / "net.toml"
    write_npz(recording, file)
    arguments = ("detect", file, "-o", tmp_path / "t.csv")
    result, warnings = run(*arguments, "--bands", "60,240,960")
    assert result.exit_code == 0, result.stderr
    assert len(warnings) == 1
    assert warnings[0].endswith(
        "nothing that is clearly a disk of R = 5 px was followed, so contrast and radius are assumed; check --radius "
        "(half of the width) and --bands, or give --contrast"
    )
    # Where nothing had to be measured there is nothing to warn about.
    assert run(*arguments, "--bands", "60,240,960", "--contrast", "3")[1] == []
    detection = pipeline.detect(recording, BANDS)
    assert detection.too_sparse
    detection.network.to_toml(network)
    assert run(*arguments, "--network", network)[1] == []
