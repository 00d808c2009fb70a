"""The viewer on a stream, without a page: what is held, the cursor, tuning, overload, the end."""

from __future__ import annotations

import time
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from viewer_tools import Feed, demo_recording, later, looking, unpacked, until

from velocell import pipeline
from velocell.calibration.formulas import CROSSING_SHARE
from velocell.calibration.measure import network_for
from velocell.data.recording import Recording
from velocell.data.tables import COLUMNS
from velocell.data.tracks import Tracks
from velocell.demo import BANDS
from velocell.errors import OptionError, RecordingError
from velocell.network import Network
from velocell.viewer import run as run_module
from velocell.viewer import stream
from velocell.viewer.analysis import Analysis
from velocell.viewer.following import STREAM
from velocell.viewer.run import Along, Run
from velocell.viewer.session import Session
from velocell.viewer.stream import Stream


@pytest.fixture(scope="module")
def network():
    return network_for(demo_recording(), BANDS, 5.0)


@contextmanager
def streamed(settings=None, **more):
    """A feed, and a session on it."""
    feed = Feed()
    session = Session(Stream(feed), settings or looking(BANDS, contrast=3.0), kind=STREAM, **more)
    try:
        yield feed, session
    finally:
        session.close()
        assert feed.closed


def reached(session, t_us):
    """Once the analysis has shown what is earlier than `t_us`."""

    def done():
        state = session.state()
        assert state["error"] is None, state["error"]
        return state["analysed"] and state["analysed"]["until_us"] >= t_us and state["analysed"]["current"]

    until(done, f"an analysis until {t_us}")


def seen(session):
    return unpacked(session.picture())[0]


# --- what is held -----------------------------------------------------------------------------------


@pytest.fixture
def pages(monkeypatch):
    """Small pages, so that few events fill many."""
    monkeypatch.setattr(stream, "_PAGE_EVENTS", 256)
    monkeypatch.setattr(stream, "_PAGE_BYTES", 256 * 13)


def held(recording, span_us=3_000, end=True):
    """A stream that was given all of the recording."""
    feed = Feed(recording.size)
    feed.give(recording, span_us)
    made = Stream(feed)
    if end:
        feed.end()
        until(lambda: not made.growing, "the end")
    return made


@pytest.mark.parametrize("span_us", [700, 40_000])
def test_windows_and_counts_are_those_of_the_recording(pages, span_us):
    recording = demo_recording()
    made = held(recording, span_us)
    try:
        edges = np.sort(np.random.default_rng(1).integers(-10_000, 520_000, 60))
        np.testing.assert_array_equal(made.count(edges), np.diff(np.searchsorted(recording.t_us, edges)))
        for start, stop in [*zip(edges[::2], edges[1::2], strict=True), (0, 500_000), (7, 7)]:
            found, expected = made.window(int(start), int(stop)), recording.between(int(start), int(stop))
            for name in ("t_us", "x", "y", "p"):
                np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)
            assert found.size == expected.size
        assert (made.events, made.late) == (len(recording), 0)
    finally:
        made.close()


@given(order=st.permutations(range(12)))
def test_events_come_in_any_order_and_leave_in_theirs_or_are_counted_as_late(order):
    feed = Feed((20, 20))
    made = Stream(feed)
    try:
        for k in order:  # an event each 500 us, its place says which
            feed.give(Recording.from_arrays([5_000 + 500 * k], [k], [k], [True], width=20, height=20))
        feed.end()
        until(lambda: not made.growing, "the end")
        events = made.window(0, 100_000)
        assert (np.diff(events.t_us) >= 0).all()
        np.testing.assert_array_equal(events.t_us, 5_000 + 500 * events.x.astype(int))
        kept, newest, late = set(), -1, 0
        for k in order:  # a second account of what is late: of a millisecond before that of the newest event
            if newest < 0:
                first = (5_000 + 500 * k) // 1_000
            settled = first if newest < 0 else max(first, (5_000 + 500 * newest) // 1_000)
            if (5_000 + 500 * k) // 1_000 < settled:
                late += 1
            else:
                kept.add(k)
            newest = max(newest, k)
        assert (set(events.x.tolist()), made.late) == (kept, late)
        assert made.notes[-1] == f"{late} events late, left out"
    finally:
        made.close()


@pytest.mark.parametrize(("bytes_", "us"), [(13 * 256 * 8, 30_000_000), (1 << 28, 50_000)])
def test_what_is_old_or_too_much_is_forgotten(pages, monkeypatch, bytes_, us):
    monkeypatch.setattr(stream, "HOLD_BYTES", bytes_)
    monkeypatch.setattr(stream, "HOLD_US", us)
    recording = demo_recording()
    made = held(recording)
    try:
        assert made.stop_us == 500_000
        assert 0 < made.start_us == max(made.start_us, 500_000 - us)
        assert len(made._pages) * 256 * 13 <= max(bytes_, 256 * 13 * (2 + len(recording.between(450_000)) // 256))
        kept = made.window(0, 500_000)
        np.testing.assert_array_equal(kept.t_us, recording.between(made.start_us).t_us)
        assert kept.start_us == made.start_us
        assert len(made.window(0, made.start_us)) == 0
    finally:
        made.close()


def test_silence_and_blocks_without_events():
    feed = Feed()
    made = Stream(feed)
    try:
        feed.give(demo_recording().between(0, 20_000))
        until(lambda: made.stop_us >= 19_000, "the events")
        made._heard_s -= 3
        assert made.silent_s >= 3
        feed.give(Recording.from_arrays([], [], [], width=50, height=50, start_us=90_000, stop_us=90_000), 1_000_000)
        feed._blocks.put(Recording.from_arrays([], [], [], width=50, height=50, start_us=90_000))
        until(lambda: made.stop_us == 90_000, "time that passes")
        assert made.silent_s >= 3
        feed.give(later(demo_recording().between(0, 5_000), 100_000))
        until(lambda: made.silent_s < 3, "an event")
    finally:
        made.close()


# --- the analysis and the cursor ----------------------------------------------------------------------


def test_the_rows_are_those_of_detect(network):
    expected = pipeline.detect(demo_recording(), network=network).tracks
    with streamed(looking(BANDS, network=network)) as (feed, session):
        feed.give(demo_recording(), 1_700)
        feed.end()
        until(lambda: (session.state()["analysed"] or {}).get("complete"), "the end")
        found = session._analysis.whole.tracks()
        for name in COLUMNS:
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)
        assert len(session.results()["objects"]) == 3


def test_the_picture_follows_the_stream():
    with streamed() as (feed, session):
        state = session.state()
        assert (state["live"]["begun"], state["live"]["following"], state["analysed"]) == (False, True, None)
        assert seen(session)["objects"] == []
        for stop in (200_000, 400_000):
            feed.give(demo_recording().between(stop - 200_000, stop))
            reached(session, stop - 10_000)
            until(lambda stop=stop: seen(session)["t_us"] >= stop - 10_000, "its picture")
            header = seen(session)
            assert header["t_us"] <= stop
            assert len(header["objects"]) >= 2
        assert session.state()["live"]["begun"]
        timeline = session.timeline()
        assert timeline["stop_us"] - timeline["start_us"] == min(stream.SPANS_US)  # the least that holds it
        assert sum(timeline["rate"]) / 10 == pytest.approx(session.source.events)
        final = session._analysis.whole.spikes().of_layer(1)
        assert [sum(row) for row in timeline["activity"]] == np.bincount(final.channel, minlength=3)[:3].tolist()


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_it_pauses_looks_back_and_returns():
    clock = Clock()
    with streamed(clock=clock) as (feed, session):
        feed.give(demo_recording().between(0, 300_000))
        reached(session, 290_000)
        session.handle({"do": "pause"})
        paused = session.at_us()
        feed.give(demo_recording().between(300_000, 400_000))
        reached(session, 390_000)
        assert (session.at_us(), session.state()["playing"]) == (paused, False)
        session.handle({"do": "seek", "t_us": 150_000})
        header = seen(session)
        assert header["t_us"] == 150_000
        assert len(header["objects"]) == 3
        session.handle({"do": "play"})
        clock.now += 0.1
        assert session.at_us() == 250_000
        assert not session.state()["live"]["following"]
        session.handle({"do": "follow"})
        assert session.at_us() >= 390_000
        assert session.state()["live"]["following"]
        with pytest.raises(OptionError, match="a live stream cannot be played faster"):
            session.handle({"do": "set_speed", "speed": 2})
        assert session.state()["live"]["following"]
        session.handle({"do": "set_speed", "speed": 0.1})
        for _ in range(3):
            assert not session.state()["live"]["following"]
            assert session.state()["speed"] == 0.1
            clock.now += 0.5
            assert 390_000 <= session.at_us() <= session.source.stop_us
        session.handle({"do": "set_speed", "speed": 10})
        clock.now += 0.01
        session.at_us()
        assert session.state()["live"]["following"]  # it has caught up


def test_a_cursor_in_what_is_forgotten_moves_to_what_is_held(monkeypatch, pages):
    monkeypatch.setattr(stream, "HOLD_US", 100_000)
    with streamed() as (feed, session):
        feed.give(demo_recording().between(0, 100_000))
        reached(session, 90_000)
        session.player.pause()
        session.player.seek(0)
        feed.give(demo_recording().between(100_000, 400_000))
        until(lambda: session.at_us() >= 295_000, "a cursor that moves on")
        reached(session, 390_000)
        assert session._analysis.results.from_us >= 200_000  # results are forgotten with the events
        assert session.state()["playing"] is False


def test_part_of_it_can_be_played_in_a_loop():
    clock = Clock()
    with streamed(clock=clock) as (feed, session):
        feed.give(demo_recording().between(0, 300_000))
        reached(session, 290_000)
        session.handle({"do": "loop", "on": True, "start_us": 100_000, "stop_us": 150_000})
        session.player.play()
        session.player.seek(140_000)
        clock.now += 0.02
        assert session.at_us() == 110_000
        with pytest.raises(OptionError, match="has no length"):
            session.player.loop(True, 150_000, 150_000)
        session.player.follow()
        assert not session.state()["part"]
        assert session.at_us() >= 290_000


# --- tuning -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("back", [False, True])
def test_an_edge_that_is_moved_moves_the_objects_from_then_on(back):
    with streamed() as (feed, session):
        feed.give(demo_recording().between(0, 300_000))
        reached(session, 290_000)
        if back:
            session.player.pause()
            session.player.seek(200_000)
        bands = {item["id"]: item["band"] for item in seen(session)["objects"]}
        assert 2 in bands.values()  # the fastest disk
        session.tuning.tune(edges=[16, 62, 177, 200])
        feed.give(demo_recording().between(300_000, 500_000))
        reached(session, 480_000)
        assert all(item["band"] != 2 for item in seen(session)["objects"])
        assert session.at_us() == 200_000 if back else session.at_us() >= 480_000


def test_a_value_that_cannot_be_changes_nothing():
    with streamed() as (feed, session):
        feed.give(demo_recording())
        reached(session, 480_000)
        before = session.settings
        with pytest.raises(OptionError, match=r"radius 400 px is outside 1.5 to 40 px"):
            session.handle({"do": "tune", "radius": 400})
        assert session.settings is before
        reached(session, 490_000)


def test_contrast_is_measured_on_the_newest_second():
    with streamed(looking(BANDS)) as (feed, session):
        for k in range(4):
            feed.give(later(demo_recording(), 500_000 * k))
        until(
            lambda: session.state()["measured"] and session._analysis.measured.key and not session.state()["doing"],
            "a measurement",
        )
        probe = Recording.from_arrays(
            *(np.concatenate([getattr(later(demo_recording(), t), name) for t in (0, 500_000)])
              for name in ("t_us", "x", "y", "p")), width=50, height=50,
        )  # fmt: skip
        expected = network_for(probe, BANDS, 5.0).origin.crossings
        assert expected != CROSSING_SHARE
        assert session.state()["measured"]["share"] == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("mask", [True, False])
def test_hot_pixels_are_masked_once_a_second_has_been_seen(mask):
    quiet = demo_recording()
    t = np.arange(0, 500_000, 500)
    both = Recording.from_arrays(
        *(np.concatenate(pair)[np.argsort(np.concatenate([quiet.t_us, t]), kind="stable")]
          for pair in ((quiet.t_us, t), (quiet.x, t * 0 + 2), (quiet.y, t * 0 + 40), (quiet.p, t > 0))),
        width=50, height=50, stop_us=500_000,
    )  # fmt: skip
    with streamed(looking(BANDS, contrast=3.0, mask_hot=mask)) as (feed, session):
        for k in range(3):
            feed.give(later(both, 500_000 * k))
        until(lambda: len(session.source.hot) == mask and session.state()["analysed"], "the hot pixel")
        reached(session, 1_490_000)
        feed.give(later(both, 1_500_000))
        reached(session, 1_990_000)
        new = session.source.window(1_500_000, 2_000_000)
        assert np.count_nonzero((new.x == 2) & (new.y == 40)) == (0 if mask else pytest.approx(1000, abs=50))
        assert ("without 1 hot pixels" in session.state()["live"]["notes"]) is mask


def test_the_command_line_is_that_of_the_loop():
    with streamed(looking(BANDS, region=(1, 1, 20, 20))) as (_, session):
        assert session.state()["command"] == (
            "velocell live udp://127.0.0.1:3333 --size 50x50 --bands 16,62,177,500 --radius 5 --roi 1,1,20,20 "
            "-o tracks.jsonl"
        )


# --- overload, errors, the end --------------------------------------------------------------------------


def test_an_analysis_that_stays_behind_leaves_events_out(network, monkeypatch):
    made = held(demo_recording(), end=False)
    try:
        until(lambda: made.stop_us == 499_000, "the events")
        settings = looking(BANDS)
        run = Run(made, settings, (network,), 0, Along(made, settings.search, network.dt_us))
        dropped = run.keep_up()  # it may try to catch up first
        run.step()
        assert (run.until_us, dropped) == (100_000, 0)
        monkeypatch.setattr(run_module, "_CATCH_UP_S", -1.0)
        dropped = run.keep_up()
        run.step()
        gap_us = (499_000 - run_module.LAG_US // 2) // network.dt_us * network.dt_us
        assert run.until_us == gap_us
        assert dropped == len(demo_recording().between(100_000, gap_us))
        while run.goes_on(0):
            run.keep_up()
            run.step()
        assert run.until_us > 490_000
        spikes = run.results().spikes()
        assert ((spikes.t_us < 100_000 + network.dt_us) | (spikes.t_us >= gap_us)).all()
        assert (spikes.t_us >= gap_us).any()
    finally:
        made.close()


def test_pages_are_told_what_was_left_out(monkeypatch):
    monkeypatch.setattr(run_module, "_CATCH_UP_S", -1.0)
    with streamed() as (feed, session):
        feed.give(demo_recording().between(0, 100_000))
        reached(session, 90_000)
        feed.give(demo_recording().between(100_000, 450_000), 1_000_000)
        reached(session, 440_000)
        assert session.state()["live"]["dropped"] > 1_000
        assert session.state()["live"]["notes"] == ["7 packets lost by the system", "0 events late, left out"]


def test_a_stream_that_is_never_caught_up_with_is_measured_all_the_same(monkeypatch):
    monkeypatch.setattr(Run, "goes_on", lambda run, at_us: True)
    monkeypatch.setattr(Run, "keep_up", lambda run: 1)
    monkeypatch.setattr(Analysis, "_step", lambda analysis, run, at_us: time.sleep(0.01))
    with streamed() as (feed, session):
        for k in range(3):
            feed.give(later(demo_recording(), k * 500_000))
        until(lambda: session._analysis._way.looked, "the look for hot pixels")


def test_at_its_end_the_stream_can_still_be_looked_at(tmp_path):
    with streamed() as (feed, session):
        feed.give(demo_recording())
        feed.end()
        until(lambda: (session.state()["analysed"] or {}).get("complete"), "the end")
        until(lambda: not session.state()["playing"], "the cursor's end")
        state = session.state()
        assert (state["live"]["growing"], state["live"]["following"], state["file"]) == (False, False, None)
        assert session.at_us() == 500_000
        session.player.seek(250_000)
        assert len(seen(session)["objects"]) == 3
        session.tuning.tune(radius=6)
        until(lambda: session.state()["analysed"]["current"], "other settings")
        (tmp_path / "rows.csv").write_bytes(session.save("table", "csv"))
        assert len(Tracks.read(tmp_path / "rows.csv"))
        (tmp_path / "net.toml").write_bytes(session.save("network", "toml"))
        assert Network.from_toml(tmp_path / "net.toml").bands == BANDS


def test_an_error_of_the_source_is_told_and_what_is_held_stays():
    with streamed() as (feed, session):
        feed.give(demo_recording())
        feed.end(RecordingError("udp://127.0.0.1:3333: the sender's clock went back by 7 us; start live again"))
        until(lambda: session.state()["file"], "the sentence")
        assert "clock went back" in session.state()["file"]
        reached(session, 490_000)
        session.player.seek(250_000)
        assert len(seen(session)["objects"]) == 3


def test_a_source_that_never_begins_can_be_closed():
    started = time.monotonic()
    with streamed() as (_, session):
        session.player.pause()
        assert session.at_us() == 0
        assert session.results() == {}
        with pytest.raises(OptionError, match="nothing is found yet"):
            session.save("table", "csv")
    assert time.monotonic() - started < 20
