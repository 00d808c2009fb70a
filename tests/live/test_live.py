"""Live: files and streams of bytes, the loop and its ends, on loopback and with short recordings."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from threading import Event, Thread
from types import SimpleNamespace

import numpy as np
import pytest
from live_streams import BANDS, Collected, same_rows
from typer.testing import CliRunner

from velocell import pipeline
from velocell.calibration.measure import network_for
from velocell.calibration.search import Search
from velocell.cli.app import app
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks
from velocell.engines import native
from velocell.formats import read, write_dat, write_evt2, write_evt3, write_npz
from velocell.live import Settings, loop, open_output, run, sources
from velocell.live.loop import LAG_S
from velocell.network import Network
from velocell.simulate import Scene, SceneObject, simulate

MAIN = "from velocell.cli import main; main()"


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def shell(*arguments, **more):
    command = [sys.executable, "-c", MAIN, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


# --- replay and stdin: the rows of detect --------------------------------------------------------------


@pytest.mark.parametrize("speed", ["max", "5"])
def test_a_replay_gives_the_rows_of_detect(made, expected, tmp_path, speed):
    out = tmp_path / "out.jsonl"
    result = call("live", f"replay:{made / 'rec.npz'}", "--network", made / "net.toml", "--speed", speed, "-o", out)
    assert result.exit_code == 0, result.stderr
    same_rows(Tracks.read(out), expected)
    assert f"{len(expected)} rows, 1 objects; 0 events late" in result.stderr
    assert Tracks.read(out).meta["time"] == "of the recording"


def test_rows_come_at_other_intervals_too(made, tmp_path):
    recording = read(made / "rec.npz")
    network = network_for(recording, BANDS, 5.0, dt_us=500)
    network.to_toml(tmp_path / "net.toml")
    for every_us in (1_000, 20_000):
        table = pipeline.detect(recording, network=network, every_us=every_us).tracks
        table.write(tmp_path / "expected.jsonl")
        result = call(
            "live", f"replay:{made / 'rec.npz'}", "--network", tmp_path / "net.toml", "--speed", "20",
            "--every", f"{every_us}us", "-o", tmp_path / "out.jsonl",
        )  # fmt: skip
        assert result.exit_code == 0, result.stderr
        assert len(table) > 5
        same_rows(Tracks.read(tmp_path / "out.jsonl"), Tracks.read(tmp_path / "expected.jsonl"))


def parts_of(made, write, file):
    """The bytes of a file, with the header in two parts and words cut."""
    write([read(made / "rec.npz")], file)
    data = file.read_bytes()
    return data[:7], data[7:300], data[300:5001], data[5001:]


def test_bytes_on_stdin_give_the_rows_of_detect(made, expected, tmp_path):
    process = shell("live", "-", "--network", made / "net.toml", stdin=subprocess.PIPE)
    for part in parts_of(made, write_evt3, tmp_path / "rec.raw"):
        process.stdin.write(part)
        process.stdin.flush()
        time.sleep(0.02)
    out, told = process.communicate()
    assert process.returncode == 0, told
    (tmp_path / "out.jsonl").write_bytes(out)
    same_rows(Tracks.read(tmp_path / "out.jsonl"), expected)


def from_stdin(monkeypatch, parts, *arguments):
    """`live -` in this process, with a pipe in place of stdin."""
    there, here = os.pipe()

    def feed():
        with os.fdopen(here, "wb", buffering=0) as pipe:
            for part in parts:
                pipe.write(part)
                time.sleep(0.02)

    with os.fdopen(there, "rb") as pipe:
        monkeypatch.setattr(sources, "sys", SimpleNamespace(stdin=pipe))
        feeding = Thread(target=feed)
        feeding.start()
        result = call("live", "-", *arguments)
        feeding.join()
    return result


@pytest.mark.parametrize(("write", "suffix"), [(write_evt2, "raw"), (write_dat, "dat")])
def test_other_formats_on_stdin_give_the_rows_of_detect(made, expected, tmp_path, monkeypatch, write, suffix):
    parts = parts_of(made, write, tmp_path / f"rec.{suffix}")
    out = tmp_path / "out.jsonl"
    result = from_stdin(monkeypatch, parts, "--network", made / "net.toml", "-o", out)
    assert result.exit_code == 0, result.stderr
    same_rows(Tracks.read(out), expected)


def test_rows_go_out_by_udp(made, expected):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        target = f"udp://127.0.0.1:{receiver.getsockname()[1]}"
        result = call(
            "live", f"replay:{made / 'rec.npz'}", "--network", made / "net.toml", "--speed", "max", "-o", target
        )
        assert result.exit_code == 0, result.stderr
        lines = [json.loads(receiver.recv(1 << 16)) for _ in range(len(expected))]
    assert lines[0]["meta"]["command"] == "live"
    assert [line["t_us"] for line in lines] == expected.t_us.tolist()


# --- overload, in the loop itself ---------------------------------------------------------------------------


class Slow:
    """A source whose packets wait too long from one block to another."""

    name, size, meta, waits, stop_us = "slow", (160, 120), {"time": "of a test"}, False, None

    def __init__(self, recording, overload):
        self._recording, self._overload, self.waited_s = recording, overload, 0.0

    def blocks(self, stop):
        for k, block in enumerate(self._recording.chunks(20_500)):
            self.waited_s = 2 * LAG_S if k in self._overload else 0.0
            yield block

    def notes(self):
        return ()


def test_overload_sheds_whole_ticks_and_says_so(made):
    recording = read(made / "rec.npz")
    network = network_for(recording, BANDS, 5.0, dt_us=1_000)
    settings = Settings(Search.of(BANDS, 5.0, network=network))
    runs = {}
    for overload in ((), (5, 6)):
        output = Collected()
        runs[overload] = run(Slow(recording, overload), settings, output, Event()), output
    (none, _), (some, output) = runs.values()
    assert (none.dropped_ticks, none.dropped_events) == (0, 0)
    # From the tick that the block before left open to that in which the overload's last event lies.
    first, last = (int(recording.t_us[recording.t_us < us].max()) // 1_000 for us in (5 * 20_500, 7 * 20_500))
    assert some.dropped_ticks == last - first
    lost = (recording.t_us >= first * 1_000) & (recording.t_us < last * 1_000)
    assert some.dropped_events == np.count_nonzero(lost)
    assert some.events == len(recording)
    times = output.column("t_us")
    assert (np.diff(times) >= 0).all()
    assert times[-1] > 300_000


@pytest.mark.parametrize("waits", [False, True])
def test_what_is_needed_is_there_before_events_come_unless_their_sender_waits(made, monkeypatch, waits):
    seen = []
    monkeypatch.setattr(native, "prepare", lambda state: seen.append("prepared"))

    class Source(Slow):
        def blocks(self, stop):
            seen.append("asked for events")
            yield from super().blocks(stop)

    source = Source(read(made / "rec.npz"), ())
    source.waits = waits
    settings = Settings(Search.of(BANDS, 5.0, network=Network.from_toml(made / "net.toml")))
    run(source, settings, Collected(), Event())
    assert seen == [*([] if waits else ["prepared"]), "asked for events"]


# --- calibration on the way -----------------------------------------------------------------------------------


def test_the_first_second_is_measured_and_the_network_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "Replay", Event)  # of a stream nothing is known ahead
    item = SceneObject(id=0, x_px=15, y_px=30, speed_px_s=200, bounce=True)
    recording = simulate(Scene(80, 60, 1_600_000, seed=2, noise_hz=0.2, objects=(item,)))[0]
    write_npz(recording, tmp_path / "rec.npz")
    out = tmp_path / "out.jsonl"
    result = call("live", f"replay:{tmp_path / 'rec.npz'}", "--bands", "60,240,960", "--speed", "max", "-o", out)
    assert result.exit_code == 0, result.stderr
    assert "the network was replaced by one calibrated on the first second" in result.stderr
    tracks = Tracks.read(out)
    assert tracks.meta["settings"]["contrast"].startswith("measured on the first second")
    before, after = tracks.id[tracks.t_us < 1_000_000], tracks.id[tracks.t_us > 1_300_000]
    assert before.size
    assert after.size
    assert after.min() > before.max()


# --- ends and errors ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_with_a_complete_file_and_a_summary(made, expected, tmp_path, number):
    out = tmp_path / "out.jsonl"
    process = shell("live", f"replay:{made / 'rec.npz'}", "--network", made / "net.toml", "--speed", "0.1", "-o", out)
    for _ in range(400):
        if out.is_file() and out.read_bytes().count(b"\n") > 5:
            break
        time.sleep(0.02)
    process.send_signal(number)
    _, told = process.communicate(timeout=10)
    assert process.returncode == (0 if number == signal.SIGTERM else 130)  # as services expect
    found = Tracks.read(out)
    assert 5 <= len(found) < len(expected)
    assert f"{len(found)} rows" in told.decode()
    same_rows(found.where(found.t_us < found.t_us.max()), expected.where(expected.t_us < found.t_us.max()))


def test_what_was_reported_survives_a_kill(made, tmp_path):
    out = tmp_path / "out.jsonl"
    process = shell("live", f"replay:{made / 'rec.npz'}", "--network", made / "net.toml", "--speed", "0.1", "-o", out)
    while not (out.is_file() and out.read_bytes().count(b"\n") > 5):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert len(Tracks.read(out)) >= 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tcp://127.0.0.1"], "is not tcp://HOST:PORT, such as tcp://127.0.0.1:3333"),
        (["serial:1"], "'serial:1' is not a source; use replay:FILE"),
        (["replay:none.npz"], "cannot read none.npz"),
        (["replay:."], "is a folder"),
        (["replay:fifo"], "is not a regular file"),
        (["replay:rec.npz", "--speed", "0"], "--speed '0' must be a number above 0"),
        (["replay:rec.npz", "--speed", "fast"], "--speed 'fast' must be"),
        (["replay:rec.npz", "--every", "0us"], "--every must be at least 1us"),
        (["replay:rec.npz", "-o", "out.csv"], "the suffix must be .jsonl"),
        (["replay:rec.npz", "-o", "udp://127.0.0.1"], "is not udp://HOST:PORT"),
        (["udp://127.0.0.1:99999", "--size", "9x9"], "is not udp://HOST:PORT"),
        (["udp://127.0.0.1:3333"], "does not state the sensor's size; give it with --size"),
    ],
)
def test_one_sentence_and_nothing_written(made, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rec.npz").write_bytes((made / "rec.npz").read_bytes())
    os.mkfifo(tmp_path / "fifo")
    before = sorted(tmp_path.iterdir())
    result = call("live", *arguments, "--network", made / "net.toml")
    assert result.exit_code == 1
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_a_port_in_use_is_told(made):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"udp://127.0.0.1:{taken.getsockname()[1]}"
        result = call("live", address, "--size", "160x120", "--network", made / "net.toml")
    assert result.exit_code == 1
    assert f"cannot listen on {address}: address already in use" in result.stderr


@pytest.mark.parametrize("data", [b"", b"t,x,y\n1,2,3\n", b"% evt 3.0\n% end\n" + bytes(8)])
def test_other_bytes_on_stdin_are_refused(made, monkeypatch, data):
    result = from_stdin(monkeypatch, [data], "--network", made / "net.toml")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1
    assert "stdin" in result.stderr


def test_an_empty_stream_leaves_a_readable_table(made, tmp_path):
    output = open_output(str(tmp_path / "out.jsonl"))
    quiet = Recording.from_arrays([], [], [], width=160, height=120)
    summary = run(Slow(quiet, ()), Settings(Search(BANDS, 5.0, contrast=1.0)), output, Event())
    output.close()
    assert (tmp_path / "out.jsonl").read_text().count("\n") == 1
    assert summary.events == 0
    assert len(Tracks.read(tmp_path / "out.jsonl")) == 0
