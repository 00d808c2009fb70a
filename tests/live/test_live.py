"""Live: sources, the loop and its outputs, on loopback and with short recordings."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from threading import Event, Thread
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from velocell import pipeline
from velocell.calibration.measure import network_for
from velocell.calibration.search import Search
from velocell.cli.app import app
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.data.tables import COLUMNS
from velocell.data.tracks import Tracks
from velocell.errors import OptionError, RecordingError
from velocell.formats import read, write_dat, write_evt2, write_evt3, write_npz
from velocell.live import Settings, loop, open_output, open_source, run, sources, spif, udp
from velocell.live.loop import LAG_S
from velocell.live.timeline import Timeline
from velocell.network import Network
from velocell.simulate import Scene, SceneObject, simulate

BANDS = Bands((60.0, 240.0, 960.0))
MAIN = "from velocell.cli import main; main()"


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def shell(*arguments, **more):
    command = [sys.executable, "-c", MAIN, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with one disk at 400 px/s on 160x120 in 350 ms as rec.npz, a network, and what detect finds."""
    folder = tmp_path_factory.mktemp("live")
    item = SceneObject(id=0, x_px=10, y_px=60, speed_px_s=400)
    recording = simulate(Scene(160, 120, 350_000, seed=1, noise_hz=0.2, objects=(item,)))[0]
    write_npz(recording, folder / "rec.npz")
    network = network_for(recording, BANDS, 5.0)
    network.to_toml(folder / "net.toml")
    pipeline.detect(recording, network=network).tracks.write(folder / "expected.jsonl")
    return folder


@pytest.fixture(scope="module")
def expected(made):
    tracks = Tracks.read(made / "expected.jsonl")
    assert len(tracks) > 40
    return tracks


def same_rows(found, expected):
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)


def packets(recording, *, timed, events=60):
    """As AEStream packs them, written here a second time: x, y, polarity, and the times in words of their own."""
    for first in range(0, len(recording), events):
        data = b""
        for k in range(first, min(first + events, len(recording))):
            word = int(recording.x[k]) << 16 | int(recording.p[k]) << 15 | int(recording.y[k])
            if timed:
                data += word.to_bytes(4, "little") + (int(recording.t_us[k]) % 2**32).to_bytes(4, "little")
            else:
                data += (word | 1 << 31).to_bytes(4, "little")
        yield data


# --- words ------------------------------------------------------------------------------------------


def test_words_decode_as_they_were_packed(made):
    recording = read(made / "rec.npz")
    for timed in (True, False):
        sent = list(packets(recording, timed=timed))
        assert {spif.has_times(data) for data in sent} == {timed}
        events = spif.decode(b"".join(sent), timed)
        np.testing.assert_array_equal(events.x, recording.x)
        np.testing.assert_array_equal(events.y, recording.y)
        np.testing.assert_array_equal(events.p, recording.p)
        np.testing.assert_array_equal(events.t_us, recording.t_us if timed else 0)


@pytest.mark.parametrize("data", [b"", b"abc", b"\0\0\0\0", b"\0\0\0\x80" + b"\0\0\0\0", bytes(8) + b"\0\0\0\x80" * 2])
def test_a_packet_of_no_one_kind_is_none(data):
    assert spif.has_times(data) is None


def test_times_go_on_over_a_turn_and_back_a_little():
    true = np.array([2**32 - 5, 2**32 - 1, 2**32 + 3, 2**32 - 2, 2**32 + 9])
    np.testing.assert_array_equal(spif.unwrapped(true % 2**32, None)[:2], true[:2])
    np.testing.assert_array_equal(spif.unwrapped(true % 2**32, 2**32 - 9), true)
    np.testing.assert_array_equal(spif.unwrapped(true % 2**32, 2**33 - 9), true + 2**32)


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


# --- UDP --------------------------------------------------------------------------------------------------


class Collected:
    """An output that keeps the lines."""

    def __init__(self):
        self.lines, self.meta, self.started = [], None, False

    def write(self, columns, meta):
        self.meta = self.meta or meta
        self.lines.append(columns)

    def finish(self, meta):
        self.meta = self.meta or meta

    def column(self, name):
        return np.concatenate([part[name] for part in self.lines if name in part])


def listen(made, sent, *, pause_s=0.0005, polarity="merge", wait_s=0.3, first=(), beside=()):
    """Send packets to a source on a free port; the summary and the output."""
    port = free_port()
    source = open_source(f"udp://127.0.0.1:{port}", size=(160, 120))
    stop, output, done = Event(), Collected(), []
    settings = Settings(Search.of(BANDS, 5.0, network=Network.from_toml(made / "net.toml"), polarity=polarity))
    thread = Thread(target=lambda: done.append(run(source, settings, output, stop)))
    thread.start()
    strangers = iter(beside)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
    ):
        for data in first:
            other.sendto(data, ("127.0.0.1", port))
            time.sleep(0.05)
        for k, data in enumerate(sent):
            sender.sendto(data, ("127.0.0.1", port))
            if k >= 5 and (odd := next(strangers, None)) is not None:
                other.sendto(odd, ("127.0.0.1", port))
            time.sleep(pause_s)
    time.sleep(wait_s)
    stop.set()
    thread.join(10)
    source.close()
    return done[0], output


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_packets_with_times_give_the_rows_of_detect(made, expected):
    recording = read(made / "rec.npz")
    summary, output = listen(made, packets(recording, timed=True))
    assert summary.events == len(recording)
    assert "; 0 packets lost by the system" in str(summary)
    assert (summary.late, summary.dropped_ticks) == (0, 0)
    np.testing.assert_array_equal(output.column("t_us"), expected.t_us)
    np.testing.assert_allclose(output.column("x_px"), expected.x_px, atol=6e-4)
    assert output.meta["time"] == "of the sender"


def test_rows_go_out_once_an_event_after_their_instant_has_come(made, expected, monkeypatch):
    """Nothing but the time that is due ends the gathering of packets here."""
    monkeypatch.setattr(udp, "_DUE_S", 1e9)
    recording = read(made / "rec.npz")
    last = (1 << 16 | 1).to_bytes(4, "little") + recording.stop_us.to_bytes(4, "little")
    summary, output = listen(made, [*packets(recording, timed=True), last], pause_s=0.001)
    assert summary.events == len(recording) + 1
    t_us = expected.t_us[expected.t_us < recording.stop_us]
    np.testing.assert_array_equal(output.column("t_us")[: t_us.size], t_us)
    assert len(output.lines) > 0.8 * np.unique(t_us).size, "as they came, not all at the end"


@given(st.integers(0, 10**7), st.integers(1, 20_000), st.integers(1, 3_000))
def test_what_is_due_is_the_first_event_that_completes_an_interval(tick, every_us, dt_us):
    next_us = tick * dt_us
    due_us = loop.due_us(next_us, every_us, dt_us)

    def completes(newest_us):
        return newest_us // dt_us * dt_us // every_us > next_us // every_us

    assert completes(due_us)
    assert due_us > next_us
    assert not completes(due_us - 1)


def test_times_of_the_stream_are_known_as_the_sender_has_them():
    line = Timeline(True, 0.0, None, lambda text: None)
    assert line.of_sender(5) is None
    word = (5).to_bytes(4, "little")
    for sent_us in (2**32 - 10, 2**32 - 1, 20, *[2**31] * 65, *range(1000, 1100)):
        (t_us,) = line.times([(0.0, word + sent_us.to_bytes(4, "little"))])
        if t_us.size:
            assert line.of_sender(int(t_us[0])) == sent_us
    assert line.of_sender(int(t_us[0]) + 2**32) == 1099
    assert Timeline(False, 0.0, 7, lambda text: None).of_sender(9) is None


def test_packets_without_times_count_when_they_arrive(made):
    recording = read(made / "rec.npz")
    sent = list(packets(recording, timed=False))
    summary, output = listen(made, sent, pause_s=recording.duration_us / 1e6 / len(sent))
    assert summary.events == len(recording)
    assert output.meta["time"] == "of arrival"
    assert abs(output.column("t_us").max() / 1e6 - time.time()) < 60


def test_late_and_damaged_packets_are_counted_and_left_out(made, expected):
    sent = list(packets(read(made / "rec.npz"), timed=True))
    odd = [sent[0], b"abc", b"\0\0\0\x80", (5).to_bytes(4, "little") + (2**31 - 1).to_bytes(4, "little")]
    summary, output = listen(made, [*sent, *odd])
    assert summary.late == len(sent[0]) // 8
    assert "1 damaged packets; left out" in str(summary)
    assert "1 with times among those without, or the other way round" in str(summary)
    assert "1 with a time far off, left out" in str(summary)
    np.testing.assert_array_equal(output.column("t_us"), expected.t_us)


def far(start_us):
    return [(5).to_bytes(4, "little") + (start_us + 1000 * k).to_bytes(4, "little") for k in range(200)]


def test_a_long_silence_is_gone_over(made):
    summary, _ = listen(made, [*far(1_000_000), *far(1_000_000_000)])
    assert 300 < summary.events < 400
    assert summary.events + 64 == 400


def heard(sent, before=(), **how):
    """Blocks of packets, and what is said; `before`: packets that strangers send first."""
    stop, blocks, said = Event(), [], []
    source = open_source(f"udp://127.0.0.1:{(port := free_port())}", size=(160, 120), **how)
    source.say = said.append

    def listen_():
        blocks.extend(block for block in source.blocks(stop) if len(block))

    thread = Thread(target=listen_)
    thread.start()
    with ExitStack() as stack:
        for part in (*([data] for data in before), sent):
            sender = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            for data in part:
                sender.sendto(data, ("127.0.0.1", port))
                time.sleep(0.0002)
    time.sleep(0.3)
    stop.set()
    thread.join(10)
    source.close()
    return blocks, said


UNTIMED = [(1 << 31 | 5).to_bytes(4, "little")]


def test_a_clock_that_went_back_goes_on_from_where_it_was():
    blocks, said = heard([*far(1_000_000_000)[:20], *far(1_000_000)])
    t = np.concatenate([block.t_us for block in blocks])
    assert len(t) == 20 + 200 - 64
    assert (np.diff(t) >= 0).all()
    assert t[20] - t[19] < 1_000
    assert "the sender's clock went back by 99" in said[0]


def test_times_ahead_and_one_behind_do_not_end_the_stream(made):
    near, ahead = far(1_000_000_000), far(2_000_000_000)
    summary, _ = listen(made, [*near[:20], *ahead[:60], *far(1_000_000)[:30], *UNTIMED * 30, *near[20:40]])
    assert summary.events == 40
    assert "90 with a time far off" in str(summary)
    assert "30 with times among those without, or the other way round" in str(summary)
    assert "damaged" not in str(summary)


@pytest.mark.parametrize("first", [True, False])
def test_packets_of_the_other_kind_are_followed_once_many_agree(first):
    timed, untimed = far(1_000_000), UNTIMED * 200
    one, other = (timed, untimed) if first else (untimed, timed)
    blocks, said = heard([*one[:5], *other[:30], *one[5:10], *other])
    t = np.concatenate([block.t_us for block in blocks])
    assert len(t) == 10 + 200 - 64
    assert (np.diff(t) >= 0).all()
    assert f"come {'without' if first else 'with'} times now" in said[0]


def random_packets(n, rng=None):
    rng = rng or np.random.default_rng(5)
    return [rng.bytes(int(rng.integers(1, 200))) for _ in range(n)]


ATTACKS = {
    "one stray packet first": lambda: ([far(3_000_000_000)[0]], []),
    "others far ahead": lambda: ([], far(3_000_000_000)),
    "others without times": lambda: ([], UNTIMED * 200),
    "random packets": lambda: (random_packets(3), random_packets(300)),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_strangers_change_no_row(made, expected, attack):
    recording = read(made / "rec.npz")
    first, beside = ATTACKS[attack]()
    sent = list(packets(recording, timed=True))
    summary, output = listen(made, sent, first=first, beside=beside)
    assert summary.events == len(recording)
    np.testing.assert_array_equal(output.column("t_us"), expected.t_us)
    np.testing.assert_allclose(output.column("x_px"), expected.x_px, atol=6e-4)
    if beside:
        assert "packets of other senders, left out" in str(summary)


def test_a_named_sender_alone_is_followed():
    near = far(1_000_000)[:50]
    blocks, _ = heard(near, before=far(2_000_000)[:3], sender="127.0.0.1")
    assert sum(map(len, blocks)) == 50
    blocks, _ = heard(near, sender="127.0.0.2")
    assert not blocks
    for wrong in ("nobody", "127.0.0.1:99999", "1.2.3:5"):
        with pytest.raises(OptionError, match="is not an address"):
            open_source("udp://127.0.0.1:9", size=(9, 9), sender=wrong)
    with pytest.raises(OptionError, match="drop it"):
        open_source("tcp://127.0.0.1:9", size=(9, 9), sender="127.0.0.1")


def test_another_sender_takes_over_after_silence(monkeypatch):
    monkeypatch.setattr("velocell.live.udp._SILENT_S", 0.1)
    stop, blocks, said = Event(), [], []
    source = open_source(f"udp://127.0.0.1:{(port := free_port())}", size=(160, 120))
    source.say = said.append
    thread = Thread(target=lambda: blocks.extend(block for block in source.blocks(stop) if len(block)))
    thread.start()
    for start_us in (50_000_000, 1_000_000):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for data in far(start_us)[:20]:
                sender.sendto(data, ("127.0.0.1", port))
            time.sleep(0.4)
    stop.set()
    thread.join(10)
    source.close()
    t = np.concatenate([block.t_us for block in blocks])
    assert len(t) == 40
    assert (np.diff(t) > 0).all()
    assert "fell silent" in said[0]


def test_a_socket_that_fails_is_told():
    source = open_source(f"udp://localhost:{free_port()}", size=(160, 120))
    assert source._socket.family == socket.AF_INET
    source._socket.close()
    source._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)  # gives no packets
    with pytest.raises(RecordingError, match="gives no more packets"):
        list(source.blocks(Event()))
    source.close()


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
