"""Live that can be supervised: what it says of itself, and senders that come back."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from commands import call, ok
from live_streams import Source, free_port

from velocell.cli.live import _signals
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks
from velocell.errors import OptionError, RecordingError
from velocell.formats import read
from velocell.live import spif
from velocell.live.loop import Summary
from velocell.live.reconnecting import Reconnecting
from velocell.live.record import Recorded
from velocell.live.statuses import open_status
from velocell.live.supervised import Status, Watch, notify_systemd

MAIN = "from velocell.cli import main; main()"


def block(*times):
    return Recording.from_arrays(list(times), [1] * len(times), [1] * len(times), width=160, height=120)


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


def test_the_stream_is_kept_as_it_came(passing, tmp_path):
    recording = read(passing / "rec.npz")
    out = tmp_path / "kept.raw"
    ok("live", f"replay:{passing / 'rec.npz'}", "--network", passing / "net.toml", "--speed", "max", "--record", out,
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


# --- the whole command ---------------------------------------------------------------------------------------------


def test_a_service_from_start_to_sigterm(passing, tmp_path):
    """Events by UDP, a sender that begins anew, JSON on stderr, a status file, HUP, TERM."""
    recording = read(passing / "rec.npz")
    port, out, status = free_port(), tmp_path / "out.jsonl", tmp_path / "status.json"
    command = [sys.executable, "-c", MAIN, "live", f"udp://127.0.0.1:{port}", "--size", "160x120", "-o", str(out),
               "--network", str(passing / "net.toml"), "--log", "json", "--status", str(status), "--reconnect",
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
def test_bad_input_is_one_sentence(passing, tmp_path, monkeypatch, more, words):
    monkeypatch.chdir(tmp_path)
    result = call("live", f"replay:{passing / 'rec.npz'}", "--network", passing / "net.toml", "--speed", "max", *more)
    assert result.exit_code == 1
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert list(Path().iterdir()) == []


def test_errors_are_json_too(passing, tmp_path):
    result = call("live", "replay:gone.raw", "--network", passing / "net.toml", "--log", "json")
    assert json.loads(result.stderr)["level"] == "error"
    assert "velocell: error" in call("live", "replay:gone.raw", "--network", passing / "net.toml").stderr


def test_quiet_says_only_what_is_wrong(passing, tmp_path):
    result = ok("live", f"replay:{passing / 'rec.npz'}", "--network", passing / "net.toml", "--speed", "max", "-q",
                "-o", tmp_path / "x.jsonl")  # fmt: skip
    assert result.stderr == ""


def test_spif_words_of_this_test_are_those_of_the_program(passing):
    part = read(passing / "rec.npz").slice(0, 5)
    data = np.column_stack([words_of(part), part.t_us.astype(np.uint32)]).astype("<u4").tobytes()
    assert spif.decode(data, True).x.tolist() == part.x.tolist()
