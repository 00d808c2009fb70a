"""What live gives out beside rows: messages and counts, in new files and to brokers that come back."""

from __future__ import annotations

import gc
import json
import os
import shutil
import socket
import subprocess
import time
import weakref
from collections import Counter
from threading import Event

import pytest
from commands import call, ok
from live_streams import BANDS, Source, free_port

from velocell.calibration.search import Search
from velocell.cli.live import Supervision, _Job
from velocell.data.tracks import Tracks
from velocell.errors import OptionError, VelocellError
from velocell.formats import write_npz
from velocell.live import Settings, open_output
from velocell.live.loop import gone_us
from velocell.live.rotation import Rotation
from velocell.results.counting import Gate, Line, crossings
from velocell.simulate import Scene, SceneObject, simulate
from velocell.tracking.rules import Rules

META = {"velocell": "0", "command": "live"}
LINE = "80,0,80,120"


def rows(*ids, t_us=5_000):
    n = len(ids)
    return {"t_us": [t_us] * n, "id": list(ids), "x_px": [1.5] * n, "y_px": [2.5] * n}


# --- messages ---------------------------------------------------------------------------------------------------


def test_messages_are_those_of_the_truth(passing, tmp_path):
    out = tmp_path / "m.jsonl"
    ok("live", f"replay:{passing / 'rec.npz'}", "--network", passing / "net.toml", "--speed", "max", "--messages", out,
       "--count-line", LINE, "--px-per-mm", "4")  # fmt: skip
    found = [json.loads(line) for line in out.read_text().splitlines()]
    truth = Tracks.read(passing / "truth.csv")
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


def test_counts_go_on_with_the_rows(passing, tmp_path):
    out, counts = tmp_path / "app.jsonl", tmp_path / "app.jsonl.counts.csv"
    status = tmp_path / "status.json"
    command = ["live", f"replay:{passing / 'rec.npz'}", "--network", passing / "net.toml", "--speed", "max", "-o", out,
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
    network = (passing / "net.toml").read_text()
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


def test_messages_beside_rows(passing, tmp_path):
    rows_too = ok("live", f"replay:{passing / 'rec.npz'}", "--network", passing / "net.toml", "--speed", "max", "-o",
                  "-", "--messages", tmp_path / "m.jsonl")  # fmt: skip
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
