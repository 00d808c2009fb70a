"""`velocell view udp://...` and its like: the command, the messages of the server, and a sender on loopback."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from typer.testing import CliRunner
from viewer_tools import Feed, demo_recording, later, served, unpacked, until
from websockets.sync.client import connect

from velocell.cli.app import app
from velocell.formats import write_npz
from velocell.viewer.stream import Stream


def call(*arguments):
    return CliRunner().invoke(app, ["view", *map(str, arguments), "--no-browser"])


@contextmanager
def udp_port():
    """A port that is taken."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def test_a_udp_port_in_use_is_told_in_a_sentence():
    with udp_port() as port:
        result = call(f"udp://127.0.0.1:{port}", "--size", "50x50")
    assert result.exit_code == 1
    assert f"cannot listen on udp://127.0.0.1:{port}: address already in use; choose another port" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("udp://127.0.0.1:3333",), "give it with --size, such as 640x480"),
        (("udp://127.0.0.1:99999", "--size", "50x50"), "is not udp://HOST:PORT"),
        (("-",), "stdin cannot be viewed"),
        (("replay:none.npz",), "none.npz"),
        (("smoke://127.0.0.1:3333",), "'smoke://127.0.0.1:3333' is not a source"),
        (("udp://127.0.0.1:0", "--size", "50x50"), "is not udp://HOST:PORT"),
    ],
)
def test_sources_that_cannot_be_are_told_in_a_sentence(arguments, text):
    result = call(*arguments)
    assert result.exit_code == 1
    assert text in result.stderr
    assert result.stderr.count("\n") == 1


def test_settings_that_do_not_fit_the_sensor_free_the_port_again():
    with udp_port() as port:
        pass
    result = call(f"udp://127.0.0.1:{port}", "--size", "20x20", "--radius", "30")
    assert result.exit_code == 1
    assert "sensor" in result.stderr
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", port))


def test_a_file_whose_name_looks_like_a_source_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scan:3.bin").write_bytes(b"\x01\x02\x03" * 100)
    result = call("scan:3.bin")
    assert result.exit_code == 1
    assert "is no source" not in result.stderr


def heard(socket_, kinds):
    """The messages by kind, until one of each has come."""
    found = {}
    while kinds - found.keys():
        message = socket_.recv(timeout=30)
        content = {"kind": "picture", "bytes": message} if isinstance(message, bytes) else json.loads(message)
        found[content["kind"]] = content
    return found


def test_a_page_is_told_of_the_stream_as_it_goes_on():
    feed = Feed()
    with served(opener=lambda: Stream(feed)) as server:
        address = f"ws://127.0.0.1:{server.port}/ws"
        with (
            connect(address, max_size=None, compression=None, ping_interval=None) as one,
            connect(address, compression=None, ping_interval=None) as other,
        ):
            first = heard(one, {"facts", "state", "timeline"})
            assert first["facts"]["live"]
            assert not first["state"]["live"]["begun"]
            feed.give(demo_recording())
            until(lambda: heard(one, {"state"})["state"]["live"]["begun"], "the beginning")
            assert heard(one, {"results", "timeline"})["timeline"]["held_us"] == 0
            one.send(json.dumps({"do": "seek", "t_us": 250_000}))
            one.send(json.dumps({"do": "picture"}))
            until(lambda: not heard(other, {"state"})["state"]["live"]["following"], "the other page to hear of it")
            assert unpacked(heard(one, {"picture"})["picture"]["bytes"])[0]["t_us"] <= 500_000
            one.send(json.dumps({"do": "tune", "radius": 4000}))
            assert "outside 1.5 to 40 px" in heard(one, {"refused"})["refused"]["text"]
            one.send(json.dumps({"do": "follow"}))
            until(lambda: heard(other, {"state"})["state"]["live"]["following"], "following again")
        # Both have gone; the stream goes on, and a page that comes later finds it.
        feed.give(later(demo_recording(), 500_000))
        with connect(address, max_size=None, compression=None, ping_interval=None) as third:
            until(lambda: heard(third, {"state"})["state"]["live"]["newest_us"] >= 990_000, "what came since")


@contextmanager
def command(*arguments):
    """The program, and where its page is."""
    code = "from velocell.cli import main; main()"
    words = [sys.executable, "-c", code, "view", *map(str, arguments), "--no-browser", "--port", "0", "--no-token"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as program:
        try:
            port = int(re.search(r"http://127\.0\.0\.1:(\d+)", program.stderr.readline()).group(1))
            until(lambda: _listens(port), "the page")
            yield port
        finally:
            program.send_signal(2)
            assert program.wait(30) == 130
        assert "Traceback" not in program.stderr.read()


def _listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def test_the_command_shows_what_is_sent_by_udp():
    recording = demo_recording()
    words = np.empty((len(recording), 2), "<u4")
    words[:, 0] = recording.x.astype("<u4") << 16 | recording.p.astype("<u4") << 15 | recording.y
    words[:, 1] = recording.t_us
    stop = threading.Event()

    def send():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            while not stop.is_set():
                for first in range(0, len(words), 60):
                    sock.sendto(words[first : first + 60].tobytes(), ("127.0.0.1", udp))
                    stop.wait(0.001)
                words[:, 1] += 500_000

    with udp_port() as udp:
        pass
    with command(f"udp://127.0.0.1:{udp}", "--size", "50x50") as port:
        sender = threading.Thread(target=send)
        sender.start()
        try:
            with connect(f"ws://127.0.0.1:{port}/ws", max_size=None, compression=None, ping_interval=None) as page:
                found = heard(page, {"facts"})
                assert (found["facts"]["title"], found["facts"]["size"]) == (f"udp://127.0.0.1:{udp}", [50, 50])
                until(lambda: heard(page, {"results"})["results"]["objects"], "objects")
                notes = heard(page, {"state"})["state"]["live"]["notes"]
                assert any("packets lost by the system" in note for note in notes)
        finally:
            stop.set()
            sender.join()


def test_the_command_replays_a_file(tmp_path):
    write_npz(demo_recording(), tmp_path / "r.npz")
    with (
        command(f"replay:{tmp_path / 'r.npz'}") as port,
        connect(f"ws://127.0.0.1:{port}/ws", max_size=None, compression=None, ping_interval=None) as page,
    ):
        until(lambda: not heard(page, {"state"})["state"]["live"]["growing"], "the end")
