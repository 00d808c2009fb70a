"""The viewer's session, driven without a browser: playing, tuning, saving, and what may go wrong."""

from __future__ import annotations

import csv
import io
import json
import os
import threading
import time

import numpy as np
import pytest
from typer.testing import CliRunner
from viewer_tools import demo_recording, looking, opened, ready, unpacked, until

from velocell.calibration.measure import network_for
from velocell.cli.app import app
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks
from velocell.demo import BANDS
from velocell.errors import OptionError, RecordingError, VelocellError
from velocell.formats import write_npz
from velocell.network import Network
from velocell.simulate import Scene, random_scene, simulate
from velocell.viewer import analysis, curves, measuring, windowed
from velocell.viewer import run as run_module
from velocell.viewer.opening import open_source
from velocell.viewer.session import Session
from velocell.viewer.source import InMemory
from velocell.viewer.windowed import stored


class Clock:
    """A clock that a test turns."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def session():
    with opened() as made:
        yield ready(made)


def objects(session):
    return session.results()["objects"]


# --- playing ------------------------------------------------------------------------------------------


def test_the_cursor_follows_the_clock_and_the_loop():
    clock = Clock()
    with opened(clock=clock) as session:
        session.player.set_speed(0.1)
        session.player.play()
        clock.now += 1
        assert session.at_us() == 100_000
        session.player.set_speed(0.5)
        clock.now += 0.5
        assert session.at_us() == 350_000
        clock.now += 0.5
        assert session.at_us() == 100_000  # 600 ms into 500
        session.player.pause()
        clock.now += 9
        assert session.at_us() == 100_000
        session.player.loop(True, 200_000, 300_000)
        assert session.at_us() == 200_000
        session.player.play()
        clock.now += 0.5
        assert session.at_us() == 250_000
        session.player.seek(400_000)  # outside the part: the part is dropped
        assert session.state()["span"] == [0, 500_000]


def test_without_a_loop_it_stops_at_the_end_and_plays_again_from_the_start():
    clock = Clock()
    with opened(clock=clock) as session:
        session.player.loop(False)
        session.player.play()
        clock.now += 99
        assert session.at_us() == 500_000
        assert not session.state()["playing"]
        session.player.play()
        assert session.at_us() == 0


def test_steps_go_by_intervals_or_ticks_and_stay_inside(session):
    session.player.seek(101_234)
    session.step(1)
    assert session.at_us() == 105_000
    session.step(-2)
    assert session.at_us() == 95_000
    session.step(1, fine=True)
    assert session.at_us() == 96_000
    session.step(-10_000)
    assert session.at_us() == 0
    session.player.seek(1e12)
    assert session.at_us() == 500_000


def test_a_short_recording_begins_slowly_a_long_one_in_real_time():
    with opened() as session:
        assert session.player.speed == 0.1
    t = np.arange(0, 60_000_000, 10_000)
    long = Recording.from_arrays(t, t % 50, t % 40, width=50, height=50)
    with opened(long) as session:
        assert session.player.speed == 1.0


@pytest.mark.parametrize(
    "message",
    [
        {"do": "seek", "t_us": "x"}, {"do": "seek"}, {"do": "set_speed", "speed": 100}, {"do": "set_speed"},
        {"do": "step", "steps": 1e400}, {"do": "loop", "on": True, "start_us": 9, "stop_us": 3}, {"do": "close"},
        {"do": "_changed"}, {"do": ["play"]}, {}, [], 7, None, {"do": "show", "mode": "?"},
        {"do": "show", "channels": [1]}, {"do": "show", "channels": [[-1, -5]]},
        {"do": "show", "channels": [[0, 1]] * 300},
        {"do": "tune", "edges": [True, 2]}, {"do": "tune", "region": [0, 0, float("nan"), 9]},
        {"do": "tune", "radius": -1}, {"do": "set_speed", "speed": None},
        {"do": "show", "membrane": 77}, {"do": "show", "span_us": 0}, {"do": "jump", "id": 99},
        {"do": "mark", "id": 0, "x": 1000, "y": 0}, {"do": "play", "more": 1},
    ],
)  # fmt: skip
def test_what_a_page_must_not_ask_is_refused_and_changes_nothing(session, message):
    before = session.state()
    with pytest.raises(VelocellError):
        session.handle(message)
    after = session.state()
    assert {**after, "revision": 0} == {**before, "revision": 0}


def test_commands_reach_their_methods(session):
    session.handle({"do": "seek", "t_us": 123_000})
    session.handle({"do": "show", "mode": "accumulate", "span_us": 3000})
    assert session.at_us() == 123_000
    assert session.state()["view"]["mode"] == "accumulate"


# --- pictures -----------------------------------------------------------------------------------------


def test_the_picture_shows_objects_events_and_spikes(session):
    session.player.seek(300_000)
    header, plane, spikes = unpacked(session.picture())
    assert (header["t_us"], header["size"], len(header["objects"])) == (300_000, [50, 50], 3)
    assert {item["band"] for item in header["objects"]} == {0, 1, 2}
    assert plane.any()
    assert spikes["x"].size > 0
    session.shown.show(events=False, tracks=False, channels=[])
    header, plane, spikes = unpacked(session.picture())
    assert (plane, header["objects"], spikes["x"].size) == (None, [], 0)
    session.shown.show(events=True, membrane=1)
    header, plane, _ = unpacked(session.picture())
    assert header["kind"] == "membrane"
    assert plane.min() < 128 < plane.max()


def test_tabs_share_a_picture_and_changes_make_a_new_one(session):
    session.player.seek(300_000)
    first = session.picture()
    assert session.picture() is first
    session.shown.show(polarity=True)
    assert session.picture() is not first


def test_a_moving_cursor_makes_new_pictures():
    clock = Clock()
    with opened(clock=clock) as session:
        ready(session).player.play()
        first = session.picture()
        clock.now += 0.001
        assert session.picture() is first  # too young to be made again
        clock.now += 0.1
        assert session.picture() is not first


# --- tuning -------------------------------------------------------------------------------------------


def test_the_objects_stand_in_the_bands_they_move_in(session):
    assert sorted(item["band"] for item in objects(session)) == [0, 1, 2]


def test_an_edge_that_is_moved_moves_the_objects_into_another_band(session):
    session.tuning.tune(edges=[16, 62, 300, 500])
    ready(session)
    bands = {round(item["speed"]): item["band"] for item in objects(session)}
    assert bands == {31: 0, 125: 1, 250: 1}


def test_the_network_is_the_one_that_the_command_line_makes(session):
    expected = network_for(demo_recording(), BANDS, 5.0)
    network = session._analysis.results.network
    assert network.radius_px == expected.radius_px
    for one, other in zip(network.layers, expected.layers, strict=True):
        assert np.allclose(one.neurons.v_th, other.neurons.v_th, rtol=1e-4)


def test_the_command_line_that_is_shown_makes_the_table_that_is_saved(tmp_path, monkeypatch):
    write_npz(demo_recording(), tmp_path / "r.npz")
    monkeypatch.chdir(tmp_path)
    with opened(open_source("r.npz"), looking(Bands((16, 70, 170, 500)), radius=5.2)) as session:
        ready(session)
        session.tuning.tune(region=[0, 0, 50, 35])
        ready(session)
        # Once the settings rest, contrast and radius are measured for them.
        until(lambda: session._analysis.measured.key == measuring.key_of(session.settings), "the measurement")
        ready(session)
        command = session.state()["command"].split()
        saved = session.save("table", "csv").decode()
    assert CliRunner().invoke(app, command[1:]).exit_code == 0
    names = ("t_us", "id", "band")
    ours, theirs = (list(csv.DictReader(io.StringIO(text))) for text in (saved, (tmp_path / "tracks.csv").read_text()))
    assert len(ours) == len(theirs) > 100
    for one, other in zip(ours, theirs, strict=True):
        assert [one[n] for n in names] == [other[n] for n in names]
        assert float(one["x_px"]) == pytest.approx(float(other["x_px"]), abs=0.1)


def test_a_value_that_cannot_be_leaves_everything_as_it_was(session):
    before = objects(session)
    for values in ({"radius": 900}, {"edges": [62, 16]}, {"dt_us": 5000}, {"centre_px": 5, "radius": 39}):
        with pytest.raises(VelocellError):
            session.tuning.tune(**values)
    assert session.settings == session.tuning.initial
    assert objects(ready(session)) == before


def test_reset_goes_back_and_keeps_the_region(session):
    session.tuning.tune(edges=[16, 100, 500], threshold=2.0, region=[0, 0, 50, 20])
    assert [c["name"] for c in ready(session).state()["channels"] if c["final"]] == ["slow", "fast"]
    session.tuning.reset()
    ready(session)
    assert session.settings.bands == BANDS
    assert session.settings.threshold == 1
    assert [round(item["speed"]) for item in objects(session)] == [31]
    assert len(session.shown.view.channels) == 3


def test_a_region_restricts_what_is_found(session):
    session.tuning.tune(region=[0, 30, 50, 20])
    assert [item["band"] for item in objects(ready(session))] == [2]
    session.tuning.tune(region=None)
    assert len(objects(ready(session))) == 3


def test_many_changes_in_a_row_end_with_the_last(session):
    for edge in range(63, 120):
        session.tuning.tune(edges=[16, edge, 177, 500])
        time.sleep(0.001)
    ready(session)
    assert session._analysis.results.settings.bands.edges == (16, 119, 177, 500)


def test_results_keep_coming_while_a_slider_is_dragged(session):
    """A change must not stop the run before it, else nothing is seen until the mouse rests."""
    seen, stop = set(), time.monotonic() + 20
    edge = 62.0
    while len(seen) < 5 and time.monotonic() < stop:
        edge = edge + 0.25 if edge < 150 else 62.0
        session.tuning.tune(edges=[16, edge, 177, 500])
        seen.add(session._analysis.results.settings.bands.edges)
        time.sleep(0.001)
    assert len(seen) >= 5


def test_far_from_the_start_a_short_run_around_the_cursor_comes_first(monkeypatch):
    monkeypatch.setattr(analysis, "QUICK_EVENTS", 3_000)
    shown = []
    with opened() as session:
        ready(session).player.seek(450_000)
        session._analysis._on_change = lambda: shown.append(session._analysis.results)
        session.tuning.tune(threshold=1.1)
        ready(session)
    first = next(r for r in shown if r.settings.threshold == 1.1)
    assert first.provisional
    assert 0 < first.from_us < 450_000 < first.until_us
    assert (shown[-1].from_us, shown[-1].until_us, shown[-1].complete) == (0, 500_000, True)


def test_curves_are_predicted_and_measured(session):
    curves = session.curves()
    drive, speeds = np.array(curves["drive"]), np.array(curves["speeds"])
    assert curves["measured"] is None
    for channel, edge in enumerate(BANDS.edges):
        crossing = np.interp(1.0, drive[channel], speeds)
        assert edge * 0.6 < crossing < edge * 1.15
    session._curves.measure_curves()
    measured = until(lambda: session.curves()["measured"], "the measurement")
    shares = np.array(measured["shares"])
    assert shares.shape == (3, len(measured["speeds"]))
    middle = np.argmin(np.abs(np.array(measured["speeds"]) - 110))
    assert shares[:, middle].argmax() == 1
    session.tuning.tune(radius=6)
    ready(session)
    assert session.curves()["measured"] is None  # they were of another network


def test_curves_that_cannot_be_measured_are_told_and_the_analysis_goes_on(session, monkeypatch):
    def fails(network):
        raise MemoryError

    monkeypatch.setattr(curves, "tuning", fails)
    session._curves.measure_curves()
    until(lambda: "not enough memory" in (session.state()["error"] or ""), "the sentence")
    session.jump(session.results()["objects"][0]["id"])
    assert session._analysis._wanted is session.settings
    assert session.state()["doing"] == ""


def test_a_network_that_was_given_is_run_as_it_stands(tmp_path):
    given = network_for(demo_recording(), BANDS, 5.0, contrast=6.0)
    given.to_toml(tmp_path / "net.toml")
    network = Network.from_toml(tmp_path / "net.toml")
    settings = looking(BANDS, network=network, network_file="net.toml")
    with opened(settings=settings) as session:
        ready(session)
        assert session._analysis.results.network is network
        assert "--network net.toml" in session.state()["command"]
        session.tuning.tune(radius=5.5)
        ready(session)
        assert session._analysis.results.network is not network
        session.tuning.reset()
        ready(session)
        assert session._analysis.results.network is network


# --- saving -------------------------------------------------------------------------------------------


def test_what_is_saved_can_be_read(session, tmp_path):
    for kind in ("csv", "jsonl"):
        (tmp_path / f"t.{kind}").write_bytes(session.save("table", kind))
        table = Tracks.read(tmp_path / f"t.{kind}")
        assert len(table) == len(session._analysis.results.tracks()) > 200
    meta = json.loads(session.save("table", "meta.json"))
    assert (meta["command"], meta["settings"]["radius"]) == ("view", 5.0)
    assert meta["inputs"][0]["recording"]["events"] == len(demo_recording())
    session.tuning.tune(veto=-5)
    ready(session)
    (tmp_path / "net.toml").write_bytes(session.save("network", "toml"))
    read = Network.from_toml(tmp_path / "net.toml")
    assert np.allclose(read.layers[1].kernel, session._analysis.results.network.layers[1].kernel)
    assert read.origin["settings"]["veto"] == -5


def test_a_clip_shows_the_part_that_loops(session):
    import av

    session.player.set_speed(0.1)
    session.player.loop(True, 100_000, 200_000)
    with av.open(io.BytesIO(session.save("clip", "mp4"))) as clip:
        frames = sum(1 for _ in clip.decode(video=0))
    assert frames == 25  # 100 ms at 0.1x and 25 pictures a second
    session.player.loop(True, 100_000, 110_000)
    assert session.save("clip", "gif").startswith(b"GIF8")


def test_a_clip_that_would_be_too_long_and_unknown_kinds_are_refused(session, monkeypatch):
    monkeypatch.setattr("velocell.viewer.export.LONGEST_CLIP_S", 2.0)
    for what, kind, text in (
        ("clip", "mp4", "would last 5 s, more than 2 s"),
        ("clip", "avi", "saved as mp4 or gif"),
        ("table", "xls", "saved as csv or jsonl or parquet"),
        ("labels", "csv", "nothing is marked yet"),
        ("everything", "zip", "'everything' cannot be saved"),
    ):
        with pytest.raises(OptionError, match=text):
            session.save(what, kind)


def test_labels_are_saved_as_a_table_of_tracks(session, tmp_path):
    session.player.seek(20_000)
    session.mark(3, 15.6, 39.5)
    session.player.seek(120_000)
    session.handle({"do": "mark", "id": 3, "x": 40.6, "y": 39.5, "radius": 5})
    session.handle({"do": "mark", "id": 4, "x": 1, "y": 1})
    session.handle({"do": "unmark", "undo": True})
    (tmp_path / "labels.csv").write_bytes(session.save("labels", "csv"))
    table = Tracks.read(tmp_path / "labels.csv")
    assert set(table.id) == {3}
    assert np.allclose(table.speed_px_s, 250, rtol=1e-3)
    assert set(table.band) == {2}


# --- what may go wrong --------------------------------------------------------------------------------


def test_a_recording_in_which_nothing_moves_gives_an_empty_table():
    noise, _ = simulate(Scene(60, 50, 400_000, seed=3, noise_hz=2.0))
    with opened(noise) as session:
        ready(session)
        assert objects(session) == []
        assert session.state()["measured"]["too_sparse"]
        header, _, _ = unpacked(session.picture())
        assert header["objects"] == []
        session.player.seek(200_000)
        assert unpacked(session.picture())[1].any()


def test_a_file_cut_short_is_told_and_the_session_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(windowed, "_INDEX_STEP", 1024)
    write_npz(demo_recording(), tmp_path / "r.npz")
    data = (tmp_path / "r.npz").read_bytes()
    with opened(stored(tmp_path / "r.npz")) as session:
        ready(session)
        session.player.seek(300_000)
        good = session.picture()
        os.truncate(tmp_path / "r.npz", 20_000)
        session.shown.show(span_us=16_000)
        with pytest.raises(RecordingError, match="was cut short while it was viewed"):
            session.picture()
        session.tuning.tune(threshold=1.2)
        assert "was cut short" in until(lambda: session.state()["error"], "the error")
        with (tmp_path / "r.npz").open("r+b") as handle:
            handle.write(data)
        session.shown.show(span_us=15_000)
        assert unpacked(session.picture())[0]["t_us"] == unpacked(good)[0]["t_us"]
        session.tuning.tune(threshold=1.3)
        ready(session)
        (tmp_path / "r.npz").unlink()
        session.look_after()
        assert "is no longer there" in session.state()["file"]


def test_an_error_in_the_background_is_told_and_other_settings_work(session, monkeypatch):
    real = analysis.Run.step

    def broken(run):
        if run.settings.threshold == 1.5:
            raise ZeroDivisionError("planted")
        real(run)

    monkeypatch.setattr(analysis.Run, "step", broken)
    session.tuning.tune(threshold=1.5)
    assert "internal error (ZeroDivisionError: planted)" in until(lambda: session.state()["error"], "the error")
    session.tuning.tune(threshold=1.4)
    ready(session)
    assert session.state()["error"] is None


def test_memory_is_bounded_and_older_parts_are_found_again(monkeypatch):
    """With room for a part of the results only, the rest is dropped, and made again when it is looked at."""
    recording, _ = simulate(random_scene(2, width=100, height=80, duration_us=6_000_000, radius=5, speeds=(30, 300)))
    monkeypatch.setattr(run_module, "RESULT_BYTES", 40_000)
    with opened(recording) as session:
        for second in (1, 2, 3, 4, 5):
            session.player.seek(second * 1_000_000)
            session.picture()
            until(lambda t=second: session._analysis.results and session._analysis.results.until_us > t * 1_000_000)
        results = until(lambda: session._analysis.results, "results")
        assert results.from_us > 0
        assert sum(block.bytes_() for block in results.blocks) < 400_000
        session.player.seek(500_000)
        session.picture()
        until(lambda: session._analysis.results.from_us <= 500_000 <= session._analysis.results.until_us, "the start")


def test_a_session_ends_its_thread():
    with opened() as session:
        names = {thread.name for thread in threading.enumerate()}
        assert "velocell-analysis" in names
        closed = session._analysis._worker.thread
    assert not closed.is_alive()


def test_a_session_that_cannot_be_is_refused_at_once():
    with pytest.raises(VelocellError, match="sensor"):
        Session(InMemory(demo_recording()), looking(BANDS, radius=39))
