"""Live that can be supervised: what it says and gives out, new files, senders and brokers that come back."""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import weakref
from collections import Counter
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from commands import call, ok

from velocell.calibration.measure import network_for
from velocell.calibration.search import Search
from velocell.cli.live import Supervision, _Job, _signals
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks
from velocell.errors import OptionError, RecordingError, VelocellError
from velocell.formats import read, write_npz
from velocell.live import Settings, open_output, spif
from velocell.live.loop import Summary, gone_us
from velocell.live.reconnecting import Reconnecting
from velocell.live.record import Recorded
from velocell.live.rotation import Rotation
from velocell.live.statuses import open_status
from velocell.live.supervised import Status, Watch, notify_systemd
from velocell.results.counting import Gate, Line, crossings
from velocell.simulate import Scene, SceneObject, simulate
from velocell.tracking.rules import Rules

BANDS = Bands((60.0, 240.0, 960.0))
MAIN = "from velocell.cli import main; main()"
META = {"velocell": "0", "command": "live"}
LINE = "80,0,80,120"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with three disks that pass x = 80 in 600 ms as rec.npz, and a network."""
    folder = tmp_path_factory.mktemp("supervised")
    disks = [SceneObject(id=k, x_px=10, y_px=25 + 35 * k, speed_px_s=200 + 90 * k, bounce=False) for k in range(3)]
    recording, truth = simulate(Scene(160, 120, 600_000, seed=1, noise_hz=0.2, objects=tuple(disks)))
    write_npz(recording, folder / "rec.npz")
    truth.write(folder / "truth.csv")
    network_for(recording, BANDS, 5.0).to_toml(folder / "net.toml")
    return folder


def rows(*ids, t_us=5_000):
    n = len(ids)
    return {"t_us": [t_us] * n, "id": list(ids), "x_px": [1.5] * n, "y_px": [2.5] * n}


class Source:
    """Gives the blocks that it is made of, then waits for the end; the losses are what a test says."""

    name, size, waits, waited_s, stop_us = "udp://somewhere", (160, 120), False, 0.001, None
    heard_s = None

    def __init__(self, *blocks, error=None, stays=False):
        self.meta, self.lost, self._blocks, self._error, self._stays = {}, {}, blocks, error, stays
        self.closed = False

    def blocks(self, stop):
        yield from self._blocks
        if self._error is not None:
            raise self._error
        if self._stays:
            stop.wait()

    def losses(self):
        return self.lost

    def notes(self):
        return ()

    def close(self):
        self.closed = True


def block(*times):
    return Recording.from_arrays(list(times), [1] * len(times), [1] * len(times), width=160, height=120)


# --- messages ---------------------------------------------------------------------------------------------------


def test_messages_are_those_of_the_truth(made, tmp_path):
    out = tmp_path / "m.jsonl"
    ok("live", f"replay:{made / 'rec.npz'}", "--network", made / "net.toml", "--speed", "max", "--messages", out,
       "--count-line", LINE, "--px-per-mm", "4")  # fmt: skip
    found = [json.loads(line) for line in out.read_text().splitlines()]
    truth = Tracks.read(made / "truth.csv")
    true = crossings(truth, [Line.parse(LINE)])
    kinds = [message["message"] for message in found]
    assert kinds.count("appeared") == kinds.count("left") == 3
    crossed = [message for message in found if message["message"] == "crossed"]
    assert len(crossed) == len(true) == 3
    for message, crossing in zip(sorted(crossed, key=lambda m: m["t_us"]), true, strict=True):
        assert abs(message["t_us"] - crossing.t_us) < 10_000
        assert message["direction"] == crossing.direction
        assert message["x_px"] == pytest.approx(80, abs=0.01)
        speed = 200 + 90 * crossing.id
        assert message["speed_px_s"] == pytest.approx(speed, rel=0.05)
        assert message["speed_mm_s"] == pytest.approx(speed / 4, rel=0.05)
        assert message["name"] == ("slow" if message["band"] == 0 else message["name"])
    order = {id_: [m["message"] for m in found if m["id"] == id_] for id_ in {m["id"] for m in found}}
    assert all(kinds == ["appeared", "crossed", "left"] for kinds in order.values())
    assert {message.get("reason") for message in found if message["message"] == "left"} == {"stopped"}
    assert not any("reason" in message for message in found if message["message"] != "left")
    assert not list(tmp_path.glob("*.counts.csv"))  # no rows were asked for


def test_counts_go_on_with_the_rows(made, tmp_path):
    out, counts = tmp_path / "app.jsonl", tmp_path / "app.jsonl.counts.csv"
    status = tmp_path / "status.json"
    command = ["live", f"replay:{made / 'rec.npz'}", "--network", made / "net.toml", "--speed", "max", "-o", out,
               "--append", "--status", status]  # fmt: skip
    lines = ["--count-line", LINE, "--count-line", "40,120,40,0"]

    def counted():
        return [int(line.rsplit(",", 1)[1]) for line in counts.read_text().splitlines()[1:]]

    told = ok(*command, *lines).stderr
    assert f"line {LINE}: 0 to the right, 3 to the left; line 40,120,40,0: 3 to the right, 0 to the left" in told
    once = counted()
    assert sum(once) == 6
    ok(*command, *lines)
    assert counted() == [2 * n for n in once]
    # What a run says of itself is since its start.
    each = json.loads(status.read_text())["crossings"]
    assert each == [{"line": 0, "to_right": 0, "to_left": 3}, {"line": 1, "to_right": 3, "to_left": 0}]
    before = out.read_bytes(), counts.read_bytes()
    network = (made / "net.toml").read_text()
    (tmp_path / "other.toml").write_text(network.replace("960.0", "961.0"))
    for more, words in (
        (lines[:2], "it counts other lines or bands"),
        ([*lines, "--network", tmp_path / "other.toml"], "it counts bands with the edges 60.0,240.0,960.0"),
    ):
        result = call(*command, *more)
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
        assert f"cannot continue {counts}: {words}" in result.stderr
        assert (out.read_bytes(), counts.read_bytes()) == before
    counts.unlink()
    assert f"note: there is no {counts}, so crossings are counted from here on" in ok(*command, *lines).stderr
    assert counted() == once


def test_two_hundred_objects_are_counted_one_by_one(tmp_path):
    """Five lanes of forty each, a new object every 200 ms, each at the speed of its lane."""
    line, items = "50,0,50,119", []
    for k in range(200):
        lane, start_us, speed = k % 5, 200_000 * (k // 5) + 37_000 * (k % 5), 150.0 + 30 * (k % 5)
        items.append(SceneObject(id=k, x_px=20, y_px=12 + 24 * lane, radius_px=4, speed_px_s=speed, bounce=False,
                                 start_us=start_us, stop_us=start_us + round(60e6 / speed)))  # fmt: skip
    recording, truth = simulate(Scene(100, 120, 8_600_000, seed=3, objects=tuple(items), noise_hz=0.2))
    write_npz(recording, tmp_path / "rec.npz")
    ok("live", f"replay:{tmp_path / 'rec.npz'}", "--bands", "60,400", "--radius", "4", "--contrast", "3", "--speed",
       "max", "--messages", tmp_path / "m.jsonl", "--count-line", line)  # fmt: skip
    found = [json.loads(text) for text in (tmp_path / "m.jsonl").read_text().splitlines()]
    kinds = Counter(message["message"] for message in found)
    assert kinds == {"appeared": 200, "crossed": 200, "left": 200}
    newest_us, away_us = int(recording.t_us[-1]), gone_us(Rules())
    for message in found:
        if message["message"] == "left":  # who went shortly before the end may have been hidden
            gone = message["t_us"] < newest_us - away_us - 10_000
            assert not gone or message["reason"] == "gone"
            assert gone or message["t_us"] < newest_us - away_us + 10_000 or message["reason"] == "stopped"
    assert {message["reason"] for message in found if message["message"] == "left"} == {"gone", "stopped"}
    true = crossings(truth, [Line.parse(line)])
    crossed = sorted((round(m["y_px"] / 24 - 0.5), m["t_us"]) for m in found if m["message"] == "crossed")
    expected = sorted((round(each.y_px / 24 - 0.5), each.t_us) for each in true)
    assert [lane for lane, _ in crossed] == [lane for lane, _ in expected]
    assert max(abs(t - at) for (_, t), (_, at) in zip(crossed, expected, strict=True)) < 10_000
    assert {m["direction"] for m in found if m["message"] == "crossed"} == {each.direction for each in true}


def test_messages_beside_rows(made, tmp_path):
    rows_too = ok("live", f"replay:{made / 'rec.npz'}", "--network", made / "net.toml", "--speed", "max", "-o", "-",
                  "--messages", tmp_path / "m.jsonl")  # fmt: skip
    assert len(rows_too.stdout.splitlines()) > 100
    assert (tmp_path / "m.jsonl").read_text().count('"appeared"') == 3


# --- new files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "every_s", "size"),
    [("1h", 3600, None), ("30min", 1800, None), ("1.5GB", None, 1_500_000_000), ("2d,10kB", 172_800, 10_000)],
)
def test_rotation_is_read(text, every_s, size):
    rotation = Rotation.parse(text)
    assert (rotation.every_s, rotation.bytes) == (every_s, size)


@pytest.mark.parametrize("text", ["1", "soon", "0s", "0GB", "1XB", ""])
def test_a_wrong_rotation_is_one_sentence(text):
    with pytest.raises(OptionError):
        Rotation.parse(text)


def test_a_new_file_begins_at_a_size_and_no_line_is_lost(tmp_path):
    out = tmp_path / "out.jsonl"
    output = open_output(str(out), rotation=Rotation(bytes=600))
    for k in range(20):
        output.write(rows(k, t_us=5_000 * (k + 1)), META)
    output.close()
    files = sorted(tmp_path.iterdir(), key=lambda path: (path == out, path.stat().st_mtime_ns, path.name))
    assert len(files) > 4
    tables = [Tracks.read(path) for path in files]
    assert all(table.meta["command"] == "live" for table in tables)  # each file begins with its meta data
    assert sorted(id_ for table in tables for id_ in table.id.tolist()) == list(range(20))


def test_hup_begins_a_new_file_whoever_moved_the_old_one(tmp_path):
    out, rotation = tmp_path / "out.jsonl", Rotation()
    output = open_output(str(out), rotation=rotation)
    output.write(rows(0), META)
    out.rename(tmp_path / "out.jsonl.1")  # as logrotate does
    rotation.now.set()
    output.write(rows(1, t_us=10_000), META)
    rotation.now.set()
    output.write(rows(2, t_us=15_000), META)
    output.close()
    moved = tmp_path / "out.jsonl.1"
    own = next(path for path in tmp_path.iterdir() if path not in (out, moved))
    moved.rename(tmp_path / "moved.jsonl")
    assert [Tracks.read(path).id.tolist() for path in (tmp_path / "moved.jsonl", own, out)] == [[0], [1], [2]]


def test_a_full_disk_loses_rows_that_are_counted_and_no_line_is_torn(tmp_path, monkeypatch):
    out = tmp_path / "out.jsonl"
    output = open_output(str(out))
    output.keeps = False
    output.write(rows(0), META)
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:10]) if len(data) > 10 else _full())
    output.write(rows(1, 2, t_us=10_000), META)
    assert output.all_losses()["rows not written"] == 2
    assert "no space left" in output.trouble
    monkeypatch.undo()
    output.write(rows(3, t_us=15_000), META)
    output.close()
    assert Tracks.read(out).id.tolist() == [0, 3]
    assert output.trouble == ""


def _full():
    raise OSError(28, "No space left on device")


def test_counts_that_find_no_place_are_said_once_and_nothing_is_held(tmp_path, monkeypatch):
    """An error that is kept keeps the events of all who called, some hundred kilobytes for each crossing."""
    held, said = [], []

    def refuse(*_):
        error = VelocellError("cannot write counts: no space left on device")
        held.append(weakref.ref(error))
        raise error

    monkeypatch.setattr("velocell.cli.live.write_counts", refuse)
    monkeypatch.setattr("velocell.cli.live.say", said.append)
    settings = Settings(Search.of(BANDS.edges), lines=(Line.parse(LINE),))
    job = _Job("udp://x", settings, None, "1", None, "-", None, False, Supervision(), tmp_path / "c.csv", Counter())
    on_count, gate = job._counting(Source()), Gate(settings.lines)
    for _ in range(3):
        on_count(gate)
    gc.collect()
    assert [ref() for ref in held] == [None] * 3
    assert said == [
        "warning: cannot write counts: no space left on device; the counts are written with the next crossing"
    ]
    monkeypatch.setattr("velocell.cli.live.write_counts", lambda *_: None)
    on_count(gate)
    monkeypatch.setattr("velocell.cli.live.write_counts", refuse)
    on_count(gate)
    assert len(said) == 2


# --- what is said while it matters -----------------------------------------------------------------------------------


def test_losses_and_silence_are_told_once_each():
    source, said, given = Source(), [], []
    watch = Watch(source, said.append, silence_s=0.01, publish=[given.append])
    summary = Summary(events=100, rows=5)
    watch.counts = lambda: summary
    watch.look()
    assert said == []
    time.sleep(0.02)  # longer than the silence that is allowed
    watch.look()
    watch.look()
    assert len(said) == 1
    assert "no events for" in said[0]
    assert not given[-1].healthy
    summary.events, summary.dropped_ticks, source.lost = 200, 7, {"packets lost by the system": 3}
    watch.look()
    watch.look()
    assert said[1:] == [
        "note: udp://somewhere: events come again",
        "warning: udp://somewhere: lost within the last second: 3 packets lost by the system, 7 ticks dropped",
    ]
    source.lost = {"packets lost by the system": 5}
    watch.look()
    assert said[-1].endswith("2 packets lost by the system")
    assert given[-1].losses["ticks dropped"] == 7


def test_silence_is_told_by_who_receives_whatever_still_waits():
    source, said, given = Source(), [], []
    watch = Watch(source, said.append, silence_s=5.0, publish=[given.append])
    summary = Summary()
    watch.counts = lambda: summary
    for age_s in (0.1, 4.0, 6.0, 7.0, 0.0):
        summary.events += 100  # what waits is still worked off
        source.heard_s = time.monotonic() - age_s
        watch.look()
        if age_s == 4.0:
            assert said == []
    assert [text.partition(": ")[0] for text in said] == ["warning", "note"]
    assert "no events for 6.0 s" in said[0]
    assert [status.healthy for status in given] == [True, True, False, False, True]
    assert [round(status.last_event_s) for status in given] == [0, 4, 6, 7, 0]


@pytest.mark.parametrize(
    ("error", "why"), [(None, "ended"), (OSError(28, "No space left"), "ended: [Errno 28] No space left")]
)
def test_the_last_status_says_that_it_has_ended(error, why):
    given, before = [], datetime.now(timezone.utc)
    watch = Watch(Source(), print, publish=[given.append])
    with suppress(OSError), watch:
        watch.look()
        if error is not None:
            raise error
    assert [status.state for status in given] == ["running", "ended"]
    assert [(status.healthy, status.why) for status in given] == [(True, ""), (False, why)]
    first, last = (datetime.fromisoformat(status.at.replace("Z", "+00:00")) for status in given)
    assert before - timedelta(milliseconds=1) <= first <= last <= datetime.now(timezone.utc)


def test_a_status_that_nobody_takes_is_said_once_and_ends_nothing():
    def refuse(status):
        raise OSError(13, "Permission denied")

    said = []
    watch = Watch(Source(), said.append, publish=[refuse])
    watch.look()
    watch.look()
    assert said == ["warning: the status cannot be given out: permission denied"]


def test_the_status_as_a_file_a_packet_and_pages(tmp_path):
    status = Status(
        "udp://x",
        events=10,
        last_event_s=0.5,
        losses={"packets": 2},
        healthy=False,
        why="no events for 9 s",
        crossings=({"line": 0, "to_right": 1, "to_left": 3},),
    )
    file = open_status(str(tmp_path / "s.json"))
    file(status)
    assert json.loads((tmp_path / "s.json").read_text())["events"] == 10
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        packets = open_status(f"udp://127.0.0.1:{receiver.getsockname()[1]}")
        packets(status)
        assert json.loads(receiver.recv(65536))["why"] == "no events for 9 s"
        packets.close()
    pages = open_status(f"http://127.0.0.1:{free_port()}")
    try:
        pages(status)
        assert json.loads(page(pages, "status"))["losses"] == {"packets": 2}
        assert page(pages, "health") == "503 no events for 9 s\n"
        pages(Status("udp://x"))
        assert page(pages, "health") == "ok\n"
        assert page(pages, "else").startswith("404 ")
        pytest.importorskip("prometheus_client")
        pages(status)
        text = page(pages, "metrics")
        assert "velocell_events_total 10.0" in text
        assert 'velocell_lost_total{what="packets"} 2.0' in text
        assert 'velocell_crossings_total{direction="to_left",line="0"} 3.0' in text
        with pytest.raises(OptionError, match=r"cannot listen on http.*choose another port"):
            open_status(f"http://127.0.0.1:{pages.port}")
    finally:
        pages.close()


def page(pages, name):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{pages.port}/{name}", timeout=5) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return f"{error.code} {error.read().decode()}"


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def test_systemd_is_notified(tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        notify_systemd("READY=1")
        assert receiver.recv(100) == b"READY=1"
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify_systemd("READY=1")  # nobody waits


# --- senders that come back, and what is kept of them -------------------------------------------------------------


def test_a_sender_that_began_anew_is_gone_on_with():
    said, stop = [], Event()
    sources = [
        Source(block(100, 900), error=RecordingError("the clock went back")),
        Source(block(50, 60), block(70)),
        Source(block(5_000_000_000), stays=True),
    ]
    sources[0].lost = {"packets": 2}
    sources[1].lost = {"packets": 1}
    opened = iter(sources)
    source = Reconnecting("udp://x", lambda: next(opened), said.append, stop)
    times = []
    for part in source.blocks(stop):
        times += part.t_us.tolist()
        if len(times) == 6:
            stop.set()
    assert times[:2] == [100, 900]
    assert 900 < times[2] < times[3] < times[4]
    assert times[3] - times[2] == 10
    assert times[5] == 5_000_000_000  # ahead of it all: as the sender says
    assert source.losses() == {"packets": 3, "connections lost": 2}
    assert sum("connecting again" in text for text in said) == 2
    assert sources[0].closed
    assert sources[1].closed


def test_it_waits_for_a_sender_and_can_be_stopped():
    def nobody():
        stop.set()
        raise OptionError("cannot connect to tcp://x")

    said, stop = [], Event()
    with pytest.raises(RecordingError, match="stopped before a sender was there"):
        Reconnecting("tcp://x", nobody, said.append, stop)
    assert said == ["warning: cannot connect to tcp://x; trying again"]


def test_a_signal_breaks_off_an_opening_and_what_came_before_is_finished():
    """A sender that accepts and says nothing holds up nobody."""
    stop = Event()

    def broken():
        stop.set()
        raise KeyboardInterrupt

    ways = iter((lambda: Source(block(5)), broken))
    source = Reconnecting("udp://x", lambda: next(ways)(), lambda text: None, stop)
    assert [block.t_us.tolist() for block in source.blocks(stop)] == [[5]]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_gently_but_while_it_opens(number):
    with _signals() as signals:
        signals.opening.set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    with _signals() as signals:
        signal.raise_signal(number)
        assert signals.stop.is_set()
        assert signals.came == [number]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)


def test_a_peer_that_is_silent_does_not_hold_up_the_end(tmp_path):
    """It would be refused after five seconds, with another exit code."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        options = ["--bands", "60,240", "--radius", "5", "-o", str(tmp_path / "a.jsonl")]
        command = [sys.executable, "-c", MAIN, "live", address, *options]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as live, server.accept()[0]:
            live.send_signal(signal.SIGINT)
            _, said = live.communicate(timeout=60)
    assert live.returncode == 130
    assert said == b""


def test_the_stream_is_kept_as_it_came(made, tmp_path):
    recording = read(made / "rec.npz")
    out = tmp_path / "kept.raw"
    ok("live", f"replay:{made / 'rec.npz'}", "--network", made / "net.toml", "--speed", "max", "--record", out,
       "--roi", "0,0,10,10", "-o", tmp_path / "x.jsonl")  # fmt: skip
    kept = read(out)
    for name in ("t_us", "x", "y", "p"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(recording, name))


def test_what_comes_late_is_not_recorded_and_counted(tmp_path):
    source = Recorded(Source(block(100, 200), block(150, 300)), tmp_path / "kept.raw")
    assert sum(map(len, source.blocks(Event()))) == 4
    source.close()
    assert read(tmp_path / "kept.raw").t_us.tolist() == [100, 200, 300]
    assert source.losses() == {"events not recorded": 1}


# --- a real broker -------------------------------------------------------------------------------------------------

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
with_broker = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed; apt-get install mosquitto")


def broker(port, folder):
    config = folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {folder}/\n"
        "user root\nmax_queued_messages 0\n"
    )
    process = subprocess.Popen([MOSQUITTO, "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return process
        except OSError:
            time.sleep(0.02)
    raise AssertionError("the broker does not start")


def end(process):
    process.terminate()
    process.wait(10)


@with_broker
def test_rows_reach_a_broker_that_is_away_for_a_while(tmp_path):
    mqtt = pytest.importorskip("paho.mqtt.client")
    port, said, got = free_port(), [], []
    server = broker(port, tmp_path)
    listener = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="listener", clean_session=False)
    listener.reconnect_delay_set(1, 1)
    listening, away, back = Event(), Event(), Event()
    listener.on_connect = lambda client, *_: client.subscribe("belt/#", qos=1)
    listener.on_subscribe = lambda *_: listening.set()
    listener.on_message = lambda client, data, message: got.append((message.topic, json.loads(message.payload)))
    listener.connect("127.0.0.1", port)
    listener.loop_start()

    def say(text):
        said.append(text)
        (away if "is gone" in text else back).set()

    output = open_output(f"mqtt://127.0.0.1:{port}/belt", say=say)
    try:
        assert listening.wait(10)
        output.write(rows(0), META)
        end(server)
        assert away.wait(10)
        output.write(rows(1, 2, t_us=10_000), META)
        server = broker(port, tmp_path)
        assert back.wait(30)
        output.write(rows(3, t_us=15_000), META)
        output.close()
        until = time.monotonic() + 20
        while len({row["id"] for _, row in got if "id" in row}) < 4 and time.monotonic() < until:
            time.sleep(0.02)
    finally:
        listener.disconnect()
        listener.loop_stop()
        end(server)
    assert ("belt/meta", {"meta": META}) in got
    assert {row["id"] for topic, row in got if topic == "belt"} == {0, 1, 2, 3}
    assert output.all_losses() == {"rows not written": 0, "messages to the broker": 0}
    assert [text.partition(":")[0] for text in said] == ["warning", "note"]


@with_broker
def test_a_broker_that_refuses_is_one_sentence(tmp_path):
    pytest.importorskip("paho.mqtt.client")
    port = free_port()
    config = tmp_path / "closed.conf"
    server = broker(port, tmp_path)
    end(server)
    (tmp_path / "passwords").write_text("")
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {tmp_path}/passwords\nuser root\n"
    )
    server = subprocess.Popen([MOSQUITTO, "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.02)
        with pytest.raises(OptionError, match=r"the MQTT broker at .* refuses: not authorized"):
            open_output(f"mqtt://a:b@127.0.0.1:{port}/belt")
    finally:
        end(server)
    with pytest.raises(OptionError, match="no MQTT broker answers at"):
        open_output(f"mqtt://127.0.0.1:{port}/belt")


# --- the whole command ---------------------------------------------------------------------------------------------


def test_a_service_from_start_to_sigterm(made, tmp_path):
    """Events by UDP, a sender that begins anew, JSON on stderr, a status file, HUP, TERM."""
    recording = read(made / "rec.npz")
    port, out, status = free_port(), tmp_path / "out.jsonl", tmp_path / "status.json"
    command = [sys.executable, "-c", MAIN, "live", f"udp://127.0.0.1:{port}", "--size", "160x120", "-o", str(out),
               "--network", str(made / "net.toml"), "--log", "json", "--status", str(status), "--reconnect",
               "--record", str(tmp_path / "kept.raw")]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    lines = []
    reader = Thread(target=lambda: lines.extend(process.stderr), daemon=True)
    reader.start()
    try:
        wait_for(status.exists)
        send(recording, port, 100_000_000, until=lambda: out.exists() and out.read_text().count("\n") > 3)
        process.send_signal(signal.SIGHUP)
        # Another socket is another sender, which is followed once the first has fallen silent.
        changed = "is followed from here on"
        send(recording, port, 0, until=lambda: any(changed in line for line in lines))
        send(recording, port, 0, until=lambda: len(list(tmp_path.glob("out*.jsonl"))) == 2)
        wait_for(lambda: json.loads(status.read_text())["events"] > 0)
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(20)
    reader.join(5)
    process.stderr.close()
    said = [json.loads(line) for line in lines]
    assert code == 0, said
    assert {"at", "level", "text"} == set(said[0])
    assert said[-1]["level"] == "info"
    for path in tmp_path.glob("out*.jsonl"):
        assert path.read_text().endswith("\n")
        assert len(Tracks.read(path)) > 0
    assert len(read(tmp_path / "kept.raw")) > 1000
    last = json.loads(status.read_text())
    assert (last["state"], last["healthy"], last["why"]) == ("ended", False, "ended")


def wait_for(ready, most_s=30):
    until = time.monotonic() + most_s
    while not ready():
        assert time.monotonic() < until
        time.sleep(0.02)


def send(recording, port, from_us, until):
    """As AEStream would, its clock beginning at `from_us`, the recording again and again until something is there."""
    stop = time.monotonic() + 30
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        while not until():
            assert time.monotonic() < stop
            for first in range(0, len(recording), 100):
                part = recording.slice(first, min(first + 100, len(recording)))
                t_us = (part.t_us + from_us).astype(np.uint32)
                sock.sendto(np.column_stack([words_of(part), t_us]).astype("<u4").tobytes(), ("127.0.0.1", port))
                if first % 2000 == 0:
                    time.sleep(0.005)
            from_us += recording.duration_us


def words_of(part):
    return part.x.astype(np.uint32) << 16 | part.p.astype(np.uint32) << 15 | part.y


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--rotate", "soon", "-o", "x.jsonl"), "--rotate 'soon' must be a time or a size"),
        (("--rotate", "1h", "-o", "-"), "--rotate begins new files, and - is not a file"),
        (("--messages", "-", "-o", "-"), "--out and --messages both go to stdout"),
        (("--status", "ftp://x"), "'ftp://x' is not a place for the status"),
        (("--status", "http://127.0.0.1"), "is not http://HOST:PORT"),
        (("--reconnect",), "--reconnect is for senders that come back"),
        (("--record", "x.csv"), "the suffix must be .raw"),
        (("-o", "mqtt://127.0.0.1"), "is not mqtt://HOST"),
        (("-o", "gopher://x"), "'gopher://x' is not an output"),
    ],
)
def test_bad_input_is_one_sentence(made, tmp_path, monkeypatch, more, words):
    monkeypatch.chdir(tmp_path)
    result = call("live", f"replay:{made / 'rec.npz'}", "--network", made / "net.toml", "--speed", "max", *more)
    assert result.exit_code == 1
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert list(Path().iterdir()) == []


def test_errors_are_json_too(made, tmp_path):
    result = call("live", "replay:gone.raw", "--network", made / "net.toml", "--log", "json")
    assert json.loads(result.stderr)["level"] == "error"
    assert "velocell: error" in call("live", "replay:gone.raw", "--network", made / "net.toml").stderr


def test_quiet_says_only_what_is_wrong(made, tmp_path):
    result = ok("live", f"replay:{made / 'rec.npz'}", "--network", made / "net.toml", "--speed", "max", "-q", "-o",
                tmp_path / "x.jsonl")  # fmt: skip
    assert result.stderr == ""


def test_spif_words_of_this_test_are_those_of_the_program(made):
    part = read(made / "rec.npz").slice(0, 5)
    data = np.column_stack([words_of(part), part.t_us.astype(np.uint32)]).astype("<u4").tobytes()
    assert spif.decode(data, True).x.tolist() == part.x.tolist()
