"""The viewer's parts, one by one: windows of files, pictures, settings, labels, the table of objects."""

from __future__ import annotations

import errno
import os
import shlex
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from viewer_tools import demo_recording, looking, opened, ready, unpacked

from velocell import engines
from velocell.calibration.formulas import calibrate
from velocell.calibration.measure import LOWEST_SHARE
from velocell.data.bands import Bands
from velocell.data.recording import Recording, time_surface
from velocell.data.tracks import Tracks
from velocell.demo import BANDS
from velocell.engines import reference
from velocell.errors import OptionError, RecordingError, VelocellError
from velocell.filters.chain import Cleaning
from velocell.formats import write_csv, write_npz
from velocell.pipeline import detect
from velocell.results.objects import objects
from velocell.viewer import opening, pictures, windowed, wire
from velocell.viewer.analysis import Recorded
from velocell.viewer.marks import Labels
from velocell.viewer.object_table import object_paths, object_table
from velocell.viewer.opening import Cleaned, open_source
from velocell.viewer.settings import SLIDERS, sliders
from velocell.viewer.source import InMemory, OnDisk
from velocell.viewer.windowed import stored


def events(polarity=True):
    rng = np.random.default_rng(1)
    t = np.sort(rng.integers(7_000, 107_000, 5000))
    x, y = rng.integers(0, 40, 5000), rng.integers(0, 30, 5000)
    p = rng.random(5000) < 0.5 if polarity else None
    return Recording.from_arrays(t, x, y, p, width=40, height=30, start_us=7_000, stop_us=107_000)


def same(one, other):
    names = ("t_us", "x", "y") if one.p is None else ("t_us", "x", "y", "p")
    return all(np.array_equal(getattr(one, n), getattr(other, n)) for n in names) and (
        (one.start_us, one.stop_us, one.size) == (other.start_us, other.stop_us, other.size)
    )


# --- windows of a file --------------------------------------------------------------------------------


@pytest.fixture
def in_windows(tmp_path, monkeypatch):
    """A recording and the same read in windows, with an index of few events."""
    monkeypatch.setattr(windowed, "_INDEX_STEP", 64)
    recording = events()
    write_npz(recording, tmp_path / "r.npz")
    return recording, stored(tmp_path / "r.npz")


@given(a=st.integers(0, 120_000), b=st.integers(0, 120_000))
def test_a_window_holds_what_the_whole_recording_holds_there(tmp_path_factory, a, b):
    folder = tmp_path_factory.getbasetemp() / "windows"
    recording = events()
    if not folder.exists():
        folder.mkdir()
        write_npz(recording, folder / "r.npz")
    file = stored(folder / "r.npz")
    window, expected = file.window(a, b), recording.between(a, b)
    assert all(np.array_equal(getattr(window, n), getattr(expected, n)) for n in ("t_us", "x", "y", "p"))
    if 7_000 <= a <= b <= 107_000:
        assert same(window, expected)


def test_windows_at_the_edges_and_counts(in_windows):
    recording, file = in_windows
    assert same(file.window(0, 1 << 40), recording)
    edges = np.linspace(recording.start_us, recording.stop_us, 38).astype(np.int64)
    expected = np.histogram(recording.t_us, [*edges[:-1], edges[-1] + 1])[0]
    assert np.array_equal(file.count(edges), expected)
    assert np.array_equal(InMemory(recording).count(edges), expected)
    assert (file.size, file.events, file.polarity) == ((40, 30), 5000, True)


@pytest.mark.parametrize("gap_s", [0, 1, 7, 3e7, 1.7e9])
def test_silence_of_years_is_passed_over(gap_s):
    t = np.array([5, 900_000, 1_000_004, 1_000_005], np.int64)
    t = np.concatenate([t, t + int(gap_s * 1e6) + 1_100_000])
    recording = Recording(t, *np.zeros((2, 8), np.uint16), None, 8, 8, start_us=0, stop_us=int(t[-1]) + 1)
    parts = list(Recorded(InMemory(recording)).parts())
    assert np.array_equal(np.concatenate([part.t_us for part in parts]), t)
    assert len(parts) <= 7
    assert all((part.start_us - recording.start_us) % 1_000_000 == 0 for part in parts)


def test_large_files_are_read_in_windows_whatever_their_format(tmp_path, monkeypatch):
    recording = events()
    write_npz(recording, tmp_path / "stored.npz")
    write_npz(recording, tmp_path / "packed.npz", compress=True)
    write_csv(recording, tmp_path / "text.csv")
    files = [tmp_path / name for name in ("stored.npz", "packed.npz", "text.csv")]
    assert all(isinstance(open_source(file), InMemory) for file in files)
    monkeypatch.setattr(opening, "WINDOWED_BYTES", 10_000)
    for file in files:
        large = open_source(file, size=(40, 30) if file.suffix == ".csv" else None)
        assert isinstance(large, Cleaned)
        window, expected = large.window(20_000, 60_000), recording.between(20_000, 60_000)
        assert all(np.array_equal(getattr(window, n), getattr(expected, n)) for n in ("t_us", "x", "y", "p"))
        assert large.check() is None
        file.unlink()
        assert "is no longer there" in large.check()
        assert len(large.window(0, 1 << 40)) == len(recording)


@pytest.mark.parametrize("least", [10, 1 << 40])
def test_hot_pixels_are_left_out_in_windows_too(tmp_path, monkeypatch, least):
    good = events()
    t = np.concatenate([good.t_us, np.linspace(7_000, 106_999, 900).astype(int)])
    x, y = (np.concatenate([values, np.full(900, hot)]) for values, hot in ((good.x, 17), (good.y, 11)))
    order = np.argsort(t, kind="stable")
    write_npz(Recording.from_arrays(t[order], x[order], y[order], width=40, height=30), tmp_path / "hot.npz")
    monkeypatch.setattr(opening, "WINDOWED_BYTES", least)
    opened_ = open_source(tmp_path / "hot.npz", cleaning=Cleaning())
    window = opened_.window(0, 1 << 40)
    assert not ((window.x == 17) & (window.y == 11)).any()
    assert len(window) == np.count_nonzero((good.x != 17) | (good.y != 11))
    assert "without 1 hot pixels" in opened_.notes[-1]
    plain = open_source(tmp_path / "hot.npz").window(0, 1 << 40)
    assert len(plain) == t.size


def test_the_benchmarks_large_file_is_a_recording(tmp_path):
    from benchmarks.viewer import write_repeated

    recording = demo_recording()
    one = 13 * len(recording) / 1e9
    assert write_repeated(recording, tmp_path / "large.npz", 4 * one) == 2  # seconds
    file = stored(tmp_path / "large.npz")
    assert file.events == 4 * len(recording)
    part = file.window(1_000_000, 1_500_000)
    assert np.array_equal(part.t_us, recording.t_us + 1_000_000)
    assert np.array_equal(part.x, recording.x)


def test_a_full_disk_while_decoding_is_told(tmp_path, monkeypatch):
    write_csv(events(), tmp_path / "text.csv")
    monkeypatch.setattr(opening, "WINDOWED_BYTES", 10)

    def full(blocks, files):
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(windowed, "_spool", full)
    with pytest.raises(RecordingError, match="free some space, or set TMPDIR"):
        open_source(tmp_path / "text.csv")


def test_a_file_cut_short_while_viewed_is_told(in_windows):
    _, file = in_windows
    os.truncate(file.name, Path(file.name).stat().st_size // 2)
    with pytest.raises(RecordingError, match="was cut short while it was viewed"):
        file.window(0, 1 << 40)


def test_a_file_that_vanishes_or_is_replaced_is_told_and_can_still_be_read(in_windows, tmp_path):
    recording, file = in_windows
    assert file.check() is None
    (tmp_path / "r.npz").rename(tmp_path / "away.npz")
    assert "is no longer there" in file.check()
    assert same(file.window(0, 1 << 40), recording)
    write_npz(recording, tmp_path / "r.npz")
    assert "was replaced by another file" in file.check()
    in_memory = InMemory(recording, OnDisk.now(tmp_path / "r.npz"))
    assert in_memory.check() is None
    with (tmp_path / "r.npz").open("ab") as more:
        more.write(b"more")
    assert "or changed; start velocell view again" in in_memory.check()
    (tmp_path / "r.npz").unlink()
    assert "continues with what was already read" in in_memory.check()


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({"t": [3, 2, 1], "x": [0, 0, 0], "y": [0, 0, 0], "width": 5, "height": 5}, "go back or are negative"),
        ({"t": [1, 2], "x": [0, 0], "y": [0, 0]}, "too large to infer the sensor size"),
        ({"t": [1, 2], "x": [0], "y": [0, 0]}, "arrays t, x and y of one length"),
        ({"t": np.zeros(0, int), "x": np.zeros(0, int), "y": np.zeros(0, int)}, "holds no events"),
        ({"a": [1]}, "arrays t, x and y of one length"),
    ],
)
def test_files_that_cannot_be_windows_are_refused(tmp_path, arrays, text):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(RecordingError, match=text):
        stored(tmp_path / "bad.npz")


def test_what_is_no_archive_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "bad.npz").write_bytes(b"nothing of the kind")
    with pytest.raises(RecordingError, match="cannot be read in windows"):
        stored(tmp_path / "bad.npz")
    with pytest.raises(RecordingError, match="check the path"):
        stored(tmp_path / "none.npz")


# --- pictures -----------------------------------------------------------------------------------------


def test_the_surface_is_the_librarys_time_surface():
    recording, tau = events(polarity=False), 8_000.0
    at = recording.start_us + 60_000
    plane = pictures.event_plane(recording, at, "surface", tau, polarity=True)
    exact = time_surface(recording, tau, at - 1)
    level = np.where(plane > 0, (plane.astype(float) - 1) / (pictures.LEVELS - 1), 0)
    young = exact > np.exp(-pictures.FADE_TAUS) * 1.001
    assert young.sum() > 100
    assert np.abs(level - exact)[young].max() <= 0.5 / (pictures.LEVELS - 1) + 1e-6
    assert np.array_equal(plane > 0, exact >= np.exp(-(4 * tau - 1) / tau))


def test_counts_rise_by_half_of_what_is_left():
    recording = Recording.from_arrays([0, 10, 20, 30, 900], [1, 1, 1, 2, 3], [0, 0, 0, 0, 0], width=5, height=1)
    plane = pictures.event_plane(recording, 100, "accumulate", 100, polarity=False)
    assert plane[0].tolist() == [0, round(127 * 0.875), round(127 * 0.5), 0, 0]


def test_polarity_is_that_of_the_last_event():
    recording = Recording.from_arrays([0, 10, 20], [1, 1, 2], [0, 0, 0], [True, False, True], width=4, height=1)
    for mode in ("surface", "accumulate"):
        shown = pictures.event_plane(recording, 30, mode, 50, polarity=True)
        assert (shown[0] & pictures.ON > 0).tolist() == [False, False, True, False]
        assert not (pictures.event_plane(recording, 30, mode, 50, polarity=False) & pictures.ON).any()


def test_events_at_the_cursor_and_after_are_not_shown():
    recording = Recording.from_arrays([5, 10], [0, 1], [0, 0], width=2, height=1)
    assert (pictures.event_plane(recording, 10, "surface", 100, polarity=False)[0] > 0).tolist() == [True, False]


@pytest.mark.parametrize("density", [0.02, 0.9])
def test_a_picture_survives_the_wire(density):
    rng = np.random.default_rng(3)
    plane = np.where(rng.random((30, 41)) < density, rng.integers(1, 255, (30, 41)), 0).astype(np.uint8)
    wide, small = np.array([[1, 300], [2, 7]], np.uint16), np.array([[0, 3], [9, 255]], np.uint8)
    dots = pictures.Dots(*wide, *small)
    header, back, spikes = unpacked(wire.pack({"t_us": 1 << 51, "size": [41, 30], "ü": "ß"}, plane, dots))
    assert np.array_equal(back, plane)
    assert header["plane"] == ("sparse" if density < 0.2 else "dense")
    assert (header["t_us"], header["ü"]) == (1 << 51, "ß")
    assert {name: values.tolist() for name, values in spikes.items()} == {
        "x": [1, 300], "y": [2, 7], "index": [0, 3], "age": [9, 255],
    }  # fmt: skip
    assert unpacked(wire.pack({"size": [41, 30]}, None, pictures.NO_DOTS))[1] is None


@pytest.fixture(scope="module")
def found():
    """The analysed demo: session and results."""
    with opened() as session:
        yield ready(session), session._analysis.results


def test_dots_are_the_spikes_of_the_chosen_channels(found):
    _, results = found
    whole, at, span = results.spikes(), 250_000, 9_000
    dots = pictures.spike_dots(results, [(1, 2), (0, 1)], at, span)
    start = at - pictures.FADE_TAUS * span
    for index, (layer, channel) in enumerate([(1, 2), (0, 1)]):
        keep = (whole.layer == layer) & (whole.channel == channel) & (whole.t_us >= start) & (whole.t_us < at)
        mine = dots.index == index
        assert mine.sum() == keep.sum() > 0
        assert sorted(zip(dots.x[mine], dots.y[mine], strict=True)) == sorted(
            zip(whole.x[keep], whole.y[keep], strict=True)
        )
    assert pictures.spike_dots(results, [], at, span) is pictures.NO_DOTS


def test_objects_stand_where_the_table_says_and_between(found):
    _, results = found
    tracks = results.tracks()
    rows = {int(i): k for k, i in enumerate(tracks.id) if tracks.t_us[k] == 300_000}
    later = {int(i): k for k, i in enumerate(tracks.id) if tracks.t_us[k] == 305_000}
    assert len(rows) == 3
    found_, tails = pictures.objects_at(results, 300_000, 100_000)
    for item in found_:
        k = rows[item["id"]]
        mine, tails = tails[: item["tail"]], tails[item["tail"] :]
        assert (item["x"], item["y"]) == pytest.approx((tracks.x_px[k], tracks.y_px[k]), abs=0.006)
        assert (item["band"], item["speed"]) == (tracks.band[k], pytest.approx(tracks.speed_px_s[k], abs=0.06))
        assert tuple(mine[0]) == pytest.approx((item["x"], item["y"]), abs=0.006)
        assert 2 <= len(mine) <= 16
        past = tracks.where((tracks.id == item["id"]) & (tracks.t_us >= 200_000) & (tracks.t_us <= 300_000))
        for x, y in mine:
            assert np.hypot(past.x_px - x, past.y_px - y).min() < 0.01
    assert not len(tails)
    for item in pictures.objects_at(results, 302_500, 0)[0]:
        a, b = rows[item["id"]], later[item["id"]]
        assert item["x"] == pytest.approx((tracks.x_px[a] + tracks.x_px[b]) / 2, abs=0.006)
    assert pictures.objects_at(results, 0, 100_000)[0] == []


@pytest.mark.parametrize("at_us", [137_000, 60_400])
def test_the_membrane_is_that_of_the_reference_engine(found, at_us):
    _, results = found
    network, recording = results.network, demo_recording()
    until = at_us // network.dt_us * network.dt_us
    state, _ = reference.step(network, reference.init(network, recording.size), recording.between(stop_us=until), until)
    for channel in range(network.layers[0].channels):
        exact = state.v[0][channel] - network.layers[0].neurons.v_leak[channel]
        seen = recording.between(at_us - pictures.membrane_reach_us(network, channel), at_us)
        v = pictures.membrane(seen, network, channel, results.spikes(), at_us)
        # What is older than four time constants is left out.
        assert np.abs(v - exact).max() < 0.04 * network.layers[0].neurons.v_th[channel]
        assert np.corrcoef(v.ravel(), exact.ravel())[0, 1] > 0.999


def test_the_membrane_without_resets_would_be_another(found):
    """The comparison above can fail."""
    _, results = found
    network, recording = results.network, demo_recording()
    none = results.spikes().of_layer(7)
    seen = recording.between(137_000 - pictures.membrane_reach_us(network, 0), 137_000)
    v = pictures.membrane(seen, network, 0, none, 137_000)
    exact = pictures.membrane(seen, network, 0, results.spikes(), 137_000)
    assert np.abs(v - exact).max() > 0.3 * network.layers[0].neurons.v_th[0]
    levels = pictures.membrane_plane(np.array([[0, 2.0, -9.0, 99.0]], np.float32), 2.0)
    assert levels.tolist() == [[128, 255, 1, 255]]


# --- the table of objects -----------------------------------------------------------------------------


def test_the_objects_are_summed_up_as_a_loop_would(found):
    _, results = found
    tracks = results.tracks()
    for item in object_table(objects(tracks)):
        mine = tracks.where(tracks.id == item["id"])
        assert item["speed"] == pytest.approx(np.median(mine.speed_px_s), rel=0.01)
        assert item["radius"] == pytest.approx(np.median(mine.radius_px), abs=0.05)
        assert (item["from_us"], item["to_us"], item["rows"]) == (mine.t_us[0], mine.t_us[-1], len(mine))
        assert item["band"] == np.bincount(mine.band + 1).argmax() - 1
    assert [item["band"] for item in sorted(object_table(objects(tracks)), key=lambda item: item["speed"])] == [0, 1, 2]


def test_objects_without_speeds_and_empty_tables():
    assert object_table(objects(Tracks.empty())) == []
    assert object_paths(Tracks.empty(), []) == []
    bare = Tracks.from_columns({"t_us": [1, 2], "id": [4, 4], "x_px": [1, 2], "y_px": [0, 0]})
    (item,) = object_table(objects(bare))
    assert (item["speed"], item["band"], item["rows"]) == (None, -1, 2)


def test_paths_are_thinned_and_keep_their_ends():
    n = 5000
    table = Tracks.from_columns({"t_us": np.arange(n), "id": np.zeros(n), "x_px": np.arange(n), "y_px": np.zeros(n)})
    (path,) = object_paths(table, objects(table))
    assert len(path["t"]) <= 240
    assert (path["t"][0], path["t"][-1], path["x"][-1]) == (0, n - 1, n - 1)


# --- settings -----------------------------------------------------------------------------------------


def test_untouched_settings_make_the_network_that_calibrate_makes():
    settings = looking(BANDS, radius=6)
    built, direct = (
        settings.networks(polarity=True, share=0.9)[0],
        calibrate(BANDS, 6, crossing_share=0.9, lowest_share=LOWEST_SHARE),
    )
    assert settings.is_plain()
    for one, other in zip(built.layers, direct.layers, strict=True):
        assert np.array_equal(one.kernel, other.kernel)
        assert np.array_equal(one.neurons.v_th, other.neurons.v_th)


@pytest.mark.parametrize("name", SLIDERS)
def test_every_slider_changes_the_network(name):
    before = looking(BANDS)
    slider = SLIDERS[name]
    value = {"contrast": 3.0, "dt_us": 500, "inside": -1.5, "veto": -8.0, "surround": -0.6}.get(name)
    if value is None:
        value = min(before.value(name) * 1.5, slider.high)
    after = before.changed({name: value}, (50, 50))
    one, other = before.networks(polarity=True)[0], after.networks(polarity=True)[0]

    def numbers(network):
        parts = [network.dt_us, network.radius_px]
        for layer in network.layers:
            parts += [layer.kernel.sum(), layer.kernel.size, *layer.neurons.v_th, *layer.neurons.tau_mem_inv]
        return np.array(parts, float)

    a, b = numbers(one), numbers(other)
    assert a.size != b.size or not np.allclose(a, b, rtol=1e-6)


def test_threshold_and_time_constant_are_factors():
    plain, changed = looking(BANDS), looking(BANDS, threshold=2.0, memory=1.5)
    one = looking(BANDS, memory=1.5).networks(polarity=True)[0].layers[0].neurons
    two = changed.networks(polarity=True)[0].layers[0].neurons
    assert np.allclose(two.v_th, 2 * one.v_th)
    assert np.allclose(two.v_reset, 2 * one.v_reset)
    slow = plain.networks(polarity=True)[0].layers[0].neurons
    # Exact decay in a tick, so the factor holds for the time constant that it stands for.
    decays = [np.log1p(-neurons.decay(1000).astype(float)) for neurons in (slow, one)]
    assert np.allclose(decays[0] / decays[1], 1.5, rtol=1e-5)
    assert not changed.is_plain()


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"radius": 900}, "radius 900 px is outside 1.5 to 40 px; choose a value in that range"),
        ({"radius": "5"}, "radius must be a number"),
        ({"radius": None}, "radius must be a number"),
        ({"threshold": float("nan")}, "threshold must be a number"),
        ({"edges": [100, 50]}, "increasing speeds"),
        ({"edges": [1] * 20}, "at most 8 bands"),
        ({"edges": "16,62"}, "list of speeds"),
        ({"region": [0, 0, 60, 10]}, "reaches outside the 50x50 sensor"),
        ({"region": [1, 2, 3]}, "a region is x, y, width, height"),
        ({"colour": 1}, "no setting 'colour'"),
    ],
)
def test_values_that_cannot_be_are_refused_in_a_sentence(values, text):
    with pytest.raises(VelocellError, match=text):
        looking(BANDS).changed(values, (50, 50))


def test_names_of_bands_stay_with_their_number():
    named = looking(Bands((10, 20, 30), ("a", "b")))
    assert named.changed({"edges": [10, 25, 30]}, (9, 9)).bands.names == ("a", "b")
    assert named.changed({"edges": [10, 20, 30, 40]}, (9, 9)).bands.names == ("slow", "medium", "fast")


def test_a_given_network_is_used_until_something_it_fixes_is_tuned():
    network = calibrate(BANDS, 5.0)
    settings = looking(BANDS, network=network, network_file="net.toml")
    assert settings.networks(polarity=True)[0] is network
    assert "--network net.toml" in settings.command("r.npz")
    assert settings.changed({"region": [0, 0, 9, 9]}, (50, 50)).search.networks == (network,)
    assert settings.changed({"radius": 7}, (50, 50)).search.networks == ()


def test_the_command_line_names_what_was_changed():
    settings = looking(BANDS).changed(
        {"edges": [16, 70, 177, 500], "contrast": 3, "dt_us": 250, "region": [1, 2, 30, 40]}, (50, 50)
    )
    words = shlex.split(settings.command("a file.npz"))
    assert words[:3] == ["velocell", "detect", "a file.npz"]
    for option, value in (("--bands", "16,70,177,500"), ("--contrast", "3"), ("--dt", "250us"), ("--roi", "1,2,30,40")):
        assert words[words.index(option) + 1] == value
    assert "--no-mask-hot" in looking(BANDS, mask_hot=False).command("r.npz")
    assert "--network" in looking(BANDS, veto=-5).command("r.npz")


def test_the_sliders_stand_where_a_calibration_stands():
    for slider in sliders():
        value = slider["default"]
        assert (value is None) == slider["auto"]
        assert value is None or slider["low"] <= value <= slider["high"]


# --- labels -------------------------------------------------------------------------------------------


def test_between_two_marks_an_object_moves_in_a_straight_line():
    labels = Labels((100, 80))
    labels.add(4, 100_000, 10.0, 20.0, 5.0)
    labels.add(4, 200_000, 40.0, 60.0, 7.0)
    table = labels.tracks(Bands((100, 400, 600)), 5_000, {})
    assert len(table) == 21
    k = int(np.searchsorted(table.t_us, 150_000))
    assert (table.x_px[k], table.y_px[k], table.radius_px[k]) == (25.0, 40.0, 6.0)
    assert set(np.round(table.speed_px_s, 6)) == {500.0}
    assert set(table.band) == {1}
    assert table.heading_deg[0] == pytest.approx(np.degrees(np.arctan2(40, 30)))


def test_marks_can_be_replaced_undone_and_forgotten(tmp_path):
    labels = Labels((100, 80))
    labels.add(0, 5, 1, 1, 5)
    labels.add(0, 5, 2, 2, 5)
    assert [mark["x"] for mark in labels.to_dict()] == [2]
    labels.undo()
    assert [mark["x"] for mark in labels.to_dict()] == [1]
    labels.add(1, 9, 3, 3, 5)
    assert labels.next_id() == 2
    labels.remove(0)
    assert [mark["id"] for mark in labels.to_dict()] == [1]
    (single,) = labels.tracks(BANDS, 5_000, {}).t_us
    assert single == 9
    labels.clear()
    with pytest.raises(OptionError, match="nothing is marked yet"):
        labels.tracks(BANDS, 5_000, {})


@pytest.mark.parametrize(("x", "id_", "radius"), [(100, 0, 5), (-3, 0, 5), (5, -1, 5), (5, 0, 0)])
def test_marks_that_cannot_be_are_refused(x, id_, radius):
    with pytest.raises(OptionError):
        Labels((100, 80)).add(id_, 0, x, 10, radius)


def test_labels_of_the_true_path_score_as_truth(tmp_path):
    """Marks on a disk that does not turn make a table that the detection matches."""
    from velocell.results.evaluate import evaluate

    recording = demo_recording().between(20_000, 120_000).crop(0, 35, 50, 15)
    found = detect(recording, BANDS, 5.0)
    labels = Labels((50, 50))
    labels.add(0, 20_000, 10.625 + 5.0, 39.5, 5.0)
    labels.add(0, 120_000, 10.625 + 30.0, 39.5, 5.0)
    scores = evaluate(found.tracks, labels.tracks(BANDS, 1_000, {}), BANDS.edges)
    assert (scores.precision, scores.band_accuracy) == (1.0, 1.0)
    assert scores.recall > 0.9


def test_engines_agree_on_what_the_viewer_runs(found):
    """The session's blocks give the spikes that one run over the whole recording gives."""
    _, results = found
    assert results.spikes().same_as(engines.run(results.network, demo_recording()))
