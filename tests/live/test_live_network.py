"""Live from dv-processing: its network writer, streams made by hand, and cameras that are played."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from aedat4_files import EVENTS, LATER, aedat4_file, packet, samples, table, triples, xml

from velocell import pipeline
from velocell.calibration.measure import network_for
from velocell.calibration.search import Search
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.data.tables import COLUMNS
from velocell.data.tracks import Tracks
from velocell.errors import OptionError, RecordingError, VelocellError
from velocell.formats import write_npz
from velocell.live import Settings, Source, Summary, arrivals, camera, loop, open_output, open_source, run, tcp
from velocell.network import Network
from velocell.simulate import Scene, SceneObject, simulate

BANDS = Bands((60.0, 240.0, 960.0))
MAIN = "from velocell.cli import main; main()"


@pytest.fixture(scope="module")
def recording() -> Recording:
    """A disk at 400 px/s on 160x120 in 350 ms."""
    item = SceneObject(id=0, x_px=10, y_px=60, speed_px_s=400)
    return simulate(Scene(160, 120, 350_000, seed=1, noise_hz=0.2, objects=(item,)))[0]


@pytest.fixture(scope="module")
def network(recording: Recording) -> Network:
    return network_for(recording, BANDS, 5.0)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no overload here."""
    monkeypatch.setattr(loop, "LAG_S", 1e9)


def tracks_of(source: Source, network: Network, out: Path, stop: Event | None = None) -> tuple[Tracks, Summary]:
    output = open_output(str(out))
    try:
        summary = run(source, Settings(Search.of(BANDS, 5.0, network=network)), output, stop or Event())
    finally:
        source.close()
        output.close()
    return Tracks.read(out), summary


def same_rows(found: Tracks, expected: Tracks) -> None:
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)


def events_of(source: Source, stop: Event | None = None) -> list[tuple[int, int, int, int]]:
    try:
        return [event for block in source.blocks(stop or Event()) for event in triples(block)]
    finally:
        source.close()


# --- the network writer itself ------------------------------------------------------------------------


SENDER = """
import os, sys, time
import dv_processing as dv
from velocell.formats import read
kind, address, compression, file = sys.argv[1:]
recording = read(file)
stream = dv.io.Stream.EventStream(0, "events", "camera", recording.size)
stream.setCompression(dv.CompressionType.__members__[compression])
where = (dv.Path(address),) if kind == "unix" else ("127.0.0.1", int(address))
writer = dv.io.NetworkWriter(*where, stream)
print("listens", flush=True)
while writer.getClientCount() < 1:
    time.sleep(0.001)
events = list(zip(*(getattr(recording, name).tolist() for name in ("t_us", "x", "y", "p")), strict=True))
for k in range(0, len(events), 97):
    store = dv.EventStore()
    for event in events[k : k + 97]:
        store.push_back(*event)
    writer.writeEvents(store)
    time.sleep(0.001)  # where about 1000 packets wait the writer drops some
time.sleep(0.5)
os._exit(0)  # the writer may wait for ever for its last reader
"""


@pytest.mark.parametrize(("kind", "compression"), [("tcp", "NONE"), ("tcp", "LZ4"), ("unix", "ZSTD")])
def test_the_rows_of_a_stream_are_those_of_the_file(
    recording: Recording, network: Network, tmp_path: Path, kind: str, compression: str
) -> None:
    pytest.importorskip("dv_processing", reason="the extra 'dv' is not installed")
    write_npz(recording, tmp_path / "rec.npz")
    expected, _ = tracks_of(open_source(f"replay:{tmp_path / 'rec.npz'}", speed="max"), network, tmp_path / "f.jsonl")
    assert len(expected) > 40
    address = str(tmp_path / "socket") if kind == "unix" else str(free_port())
    command = [sys.executable, "-c", SENDER, kind, address, compression, str(tmp_path / "rec.npz")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as sender:
        assert sender.stdout is not None
        assert sender.stdout.readline() == b"listens\n"
        source = open_source(f"unix:{address}" if kind == "unix" else f"tcp://127.0.0.1:{address}")
        assert source.size == recording.size
        found, summary = tracks_of(source, network, tmp_path / "out.jsonl")
    assert (summary.events, summary.late, summary.dropped_ticks) == (len(recording), 0, 0)
    assert summary.notes[0] == f"{-(-len(recording) // 97)} packets"
    assert found.meta["time"] == "of the sender"
    same_rows(found, expected)


# --- streams made by hand -----------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(*pieces: bytes, end: str = "close") -> Iterator[str]:
    """A sender of these bytes to one reader; at the end it closes the connection, resets it or stays silent."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        over = Event()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                for piece in pieces:
                    connection.sendall(piece)
                    time.sleep(0.01)
                if end == "silent":
                    over.wait(20)
                elif end == "reset":
                    time.sleep(0.2)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
        over.set()
        thread.join(5)


def stream(tmp_path: Path, *packets: tuple[int, bytes], **more: Any) -> bytes:
    """The bytes of a file without its first line and its index are those of a stream."""
    return aedat4_file(tmp_path / "stream", list(packets), **more).read_bytes()[14:-4]


def as_sent(events: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, bool]]:
    return [(t, x, y, p == 1) for t, x, y, p in events]


def test_a_stream_in_any_parts(tmp_path: Path) -> None:
    data = stream(tmp_path, (0, packet(EVENTS)), (1, samples(b"IMUS", 7)), (3, table(b"FRME", b"")), (0, packet(LATER)))
    for cuts in ([], [3], [5, 700], range(50, len(data), 50)):
        pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        with served(*pieces) as address:
            source = open_source(address)
            assert source.size == (320, 240)
            assert events_of(source) == as_sent(EVENTS + LATER)
            assert source.notes() == ("4 packets", "the sender closed the connection", "7 IMU samples", "1 frames")


def test_the_end_in_the_middle_of_a_packet(tmp_path: Path) -> None:
    data = stream(tmp_path, (0, packet(EVENTS)), (0, packet(LATER)))
    with served(data[:-5]) as address:
        source = open_source(address)
        assert events_of(source) == as_sent(EVENTS)
        left = 8 + len(packet(LATER)) - 5
        assert source.notes()[2:] == (f"{left} bytes after the last whole entry; left out",)


def test_a_connection_that_breaks_off(tmp_path: Path) -> None:
    with served(stream(tmp_path, (0, packet(EVENTS))), end="reset") as address:
        source = open_source(address)
        assert events_of(source) == as_sent(EVENTS)
        assert source.notes()[1] == "the connection broke off: connection reset by peer"


def test_a_silent_sender_and_a_stop(tmp_path: Path) -> None:
    with served(stream(tmp_path, (0, packet(EVENTS))), end="silent") as address:
        source, stop = open_source(address), Event()
        found: list[Any] = []
        thread = Thread(target=lambda: found.extend(events_of(source, stop)))
        thread.start()
        time.sleep(0.3)
        assert thread.is_alive()
        stop.set()
        thread.join(5)
        assert not thread.is_alive()
        assert found == as_sent(EVENTS)
        assert source.notes() == ("1 packets",)


def test_damage_within_a_packet_costs_no_other(tmp_path: Path) -> None:
    with served(stream(tmp_path, (0, packet(EVENTS, b"TRIG")), (0, packet(LATER)))) as address:
        source = open_source(address)
        assert events_of(source) == as_sent(LATER)
        assert source.notes()[2:] == ("1 damaged packets; left out",)


def test_events_off_the_sensor_are_counted(tmp_path: Path) -> None:
    with served(stream(tmp_path, (0, packet([(1, 320, 0, 1), (2, -1, 0, 1), *LATER])))) as address:
        source = open_source(address)
        assert events_of(source) == as_sent(LATER)
        assert source.notes()[2:] == ("2 events outside the sensor; left out",)


@pytest.mark.parametrize("lead", [struct.pack("<ii", 9, 8), struct.pack("<ii", 0, -1), struct.pack("<ii", 0, 1 << 30)])
def test_what_is_no_packet_ends_it(tmp_path: Path, lead: bytes) -> None:
    with served(stream(tmp_path, (0, packet(EVENTS))) + lead, end="silent") as address:
        source = open_source(address)
        blocks = source.blocks(Event())
        assert triples(next(blocks)) == as_sent(EVENTS)
        with pytest.raises(RecordingError, match="sent bytes that are not a packet; check the sender and start"):
            next(blocks)
        source.close()


def test_a_clock_that_went_back(tmp_path: Path) -> None:
    first, again = [(2_000_000, 1, 1, 1)], [(999_999, 1, 1, 1)]
    data = stream(tmp_path, (0, packet(first)), (0, packet(again)))
    with served(data) as address:
        source, said = open_source(address), []
        source.say = said.append
        assert [event[0] for event in events_of(source)] == [2_000_000, 2_000_000]
    assert "the sender's clock went back by 1000001 us" in said[0]
    with served(stream(tmp_path, (0, packet(first)), (0, packet([(1_000_000, 1, 1, 1)])))) as address:
        assert len(events_of(open_source(address))) == 2


def test_packets_that_unfold_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """206 kB made 2.6 GB: each packet was small enough, all together were not."""
    monkeypatch.setattr(tcp, "_AT_ONCE", 100)
    many = packet([(k, 1, 1, 1) for k in range(80)])
    data = stream(tmp_path, *[(0, many)] * 10)
    with served(data) as address:
        source = open_source(address)
        lengths = [len(block) for block in source.blocks(Event())]
        source.close()
    assert sum(lengths) == 800
    assert max(lengths) <= 180
    monkeypatch.setattr(tcp, "_MOST_UNPACKED", 1_000)
    with served(data) as address, pytest.raises(RecordingError, match=r"sent bytes that are not a packet|more than"):
        events_of(open_source(address))


def test_a_sender_that_says_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "_SILENT_S", 0.01)
    with served(stream(tmp_path), end="silent") as address:
        source, said, stop = open_source(address), Event(), Event()
        source.say = lambda text: said.set()  # type: ignore[attr-defined]
        thread = Thread(target=lambda: list(source.blocks(stop)))
        thread.start()
        assert said.wait(10)
        stop.set()
        thread.join(10)
        source.close()


FRAMES = ((0, "FRME", "frames"), (1, "IMUS", "imu"))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"text": xml(FRAMES)}, r"carries no events \(it carries FRME, IMUS\); connect to an output of events"),
        ({"text": xml().replace("sizeX", "wide")}, "does not state the sensor's size; give it with --size"),
        ({"text": "<dv"}, r"is not a stream of dv-processing \(its header: its XML is not well formed"),
        ({"compression": 9}, r"is not a stream of dv-processing \(the unknown compression 9\)"),
    ],
)
def test_streams_without_events_or_size(tmp_path: Path, more: dict[str, Any], words: str) -> None:
    with served(stream(tmp_path, **more), end="silent") as address, pytest.raises(RecordingError, match=words):
        open_source(address)


def test_a_size_that_is_given_counts(tmp_path: Path) -> None:
    with served(stream(tmp_path, text=xml().replace("sizeX", "wide"))) as address:
        source = open_source(address, size=(640, 480))
        assert source.size == (640, 480)
        source.close()


@pytest.mark.parametrize(
    ("data", "end", "words"),
    [
        (b"SSH-2.0-Server\r\n", "silent", "a header of 759714643 bytes"),
        (b"", "close", "closed before the end of its header"),
        (struct.pack("<I", 100) + b"abc", "close", "closed before the end of its header"),
        (struct.pack("<I", 100) + bytes(100), "close", "its header: its identifier is not IOHE"),
        (b"", "silent", r"no header within 0\.3 s"),
        (struct.pack("<I", 100) + b"abc", "silent", r"no header within 0\.3 s"),
    ],
)
def test_senders_of_something_else(monkeypatch: pytest.MonkeyPatch, data: bytes, end: str, words: str) -> None:
    monkeypatch.setattr(tcp, "_PATIENCE_S", 0.3)
    words = rf"^tcp://\S+ is not a stream of dv-processing \({words}\); check"
    with served(data, end=end) as address, pytest.raises(RecordingError, match=words):
        open_source(address)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("tcp://127.0.0.1:{free}", "cannot connect to tcp://127.0.0.1:[0-9]+: connection refused; start the sender"),
        ("tcp://nowhere.invalid:80", "the host 'nowhere.invalid' is not known"),
        (f"tcp://{'a' * 70}.invalid:80", "the host 'a+.invalid' is not known"),
        ("tcp://127.0.0.1", "is not tcp://HOST:PORT, such as tcp://127.0.0.1:3333"),
        ("unix:{folder}/none", "cannot connect to unix:.*none: no such file or directory"),
    ],
)
def test_addresses_without_a_sender(tmp_path: Path, address: str, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        open_source(address.format(free=free_port(), folder=tmp_path))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_sender_is_silent(tmp_path: Path, network: Network, number: int) -> None:
    network.to_toml(tmp_path / "net.toml")
    out = tmp_path / "out.jsonl"
    later = [(100_000, 1, 1, 1)]
    with served(stream(tmp_path, (0, packet(EVENTS)), (0, packet(later))), end="silent") as address:
        command = [sys.executable, "-c", MAIN, "live", address, "--network", str(tmp_path / "net.toml"), "-o", str(out)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 20
        while not out.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(process.pid, number)
        _, told = process.communicate(timeout=10)
    assert process.returncode == (0 if number == signal.SIGTERM else 130)
    assert b"4 events, 0 rows" in told
    assert len(Tracks.read(out)) == 0


def test_slow_readers_let_the_sender_wait_and_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "_MOST_BYTES", 1 << 16)
    packets = [(0, packet([(1000 * k + n, n % 320, k % 240, 1) for n in range(500)])) for k in range(300)]
    with served(stream(tmp_path, *packets)) as address:
        source = open_source(address)
        times, most = [], 0
        for block in source.blocks(Event()):
            times += block.t_us.tolist()
            most = max(most, len(block))
            time.sleep(0.002)
        source.close()
    assert times == [1000 * k + n for k in range(300) for n in range(500)]
    assert most * 16 <= 1 << 16


# --- what waits ----------------------------------------------------------------------------------------


def test_what_waited_longest_is_left_out_and_counted() -> None:
    def receive(over: Event) -> Iterator[bytes]:
        for k in range(10):
            yield bytes([k]) * 10
        full.set()

    full = Event()
    waiting = arrivals.Arrivals(receive, 35, leave_out=True)
    taken = waiting.taken(Event())
    Thread(target=full.wait).start()
    items = [item for _, items in taken for item in items]
    assert len(items) + waiting.left_out == 10
    assert [item[0] for item in items] == sorted(item[0] for item in items)
    assert items[-1][0] == 9


def test_a_thread_is_over_when_the_reader_gives_up() -> None:
    ended = Event()

    def receive(over: Event) -> Iterator[bytes]:
        for _ in count():
            if over.is_set():
                ended.set()
                return
            yield b"x"

    taken = arrivals.Arrivals(receive, 100).taken(Event())
    next(taken)
    taken.close()
    assert ended.is_set()


# --- cameras that are played ---------------------------------------------------------------------------


class Played:
    """What dv-processing gives for a camera, of a recording; then the cable is out, or it is silent."""

    def __init__(self, recording: Recording, *, silent: bool = False):
        assert recording.p is not None
        self._events = np.zeros(
            len(recording), [("timestamp", "<i8"), ("x", "<i2"), ("y", "<i2"), ("polarity", "i1"), ("_", "V3")]
        )
        for name, column in (("timestamp", recording.t_us), ("x", recording.x), ("y", recording.y),
                             ("polarity", recording.p)):  # fmt: skip
            self._events[name] = column
        self.size, self._at, self._silent = recording.size, 0, silent
        self._frames, self._samples = [object(), object()], [[1, 2], [3]]

    def getEventResolution(self) -> tuple[int, int]:
        return self.size

    def isRunning(self) -> bool:
        return self._silent or self._at < len(self._events)

    def getNextEventBatch(self) -> Any:
        batch = self._events[self._at : self._at + 200]
        self._at += len(batch)
        return SimpleNamespace(numpy=lambda: batch) if len(batch) else None

    def isFrameStreamAvailable(self) -> bool:
        return True

    def isImuStreamAvailable(self) -> bool:
        return True

    def isTriggerStreamAvailable(self) -> bool:
        return False

    def getNextFrame(self) -> Any:
        return self._frames.pop() if self._frames else None

    def getNextImuBatch(self) -> Any:
        return self._samples.pop() if self._samples else None


def plug_in(monkeypatch: pytest.MonkeyPatch, cameras: dict[str, Any]) -> None:
    """dv-processing with these cameras, by serial number; an exception is raised when that one is opened."""

    def opened(descriptor: Any) -> Any:
        found = cameras[descriptor.serialNumber]
        if isinstance(found, Exception):
            raise found
        return found

    model = SimpleNamespace(name="DVXPLORER")
    listed = [SimpleNamespace(serialNumber=serial, cameraModel=model) for serial in cameras]
    package = SimpleNamespace(io=SimpleNamespace(camera=SimpleNamespace(discover=lambda: listed, open=opened)))
    monkeypatch.setitem(sys.modules, "dv_processing", package)


@pytest.mark.parametrize("name", ["", "DXA1", "DVXPLORER_DXA1"])
def test_a_camera_gives_the_rows_of_its_recording(
    recording: Recording, network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    plug_in(monkeypatch, {"DXA1": Played(recording), "DXA2": RuntimeError("the other one")})
    found, summary = tracks_of(open_source(f"camera:{name}"), network, tmp_path / "out.jsonl")
    expected = pipeline.detect(recording, network=network).tracks
    expected.write(tmp_path / "expected.jsonl")
    assert len(expected) > 40
    same_rows(found, Tracks.read(tmp_path / "expected.jsonl"))
    assert (found.meta["source"], found.meta["time"]) == ("camera:DVXPLORER_DXA1", "of the camera")
    assert summary.notes == ("0 batches dropped, too many waited", "the camera is gone", "3 IMU samples", "2 frames")


def test_a_silent_camera_and_a_stop(recording: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(monkeypatch, {"DXA1": Played(recording, silent=True)})
    source, stop = open_source("camera:"), Event()
    found: list[Any] = []
    thread = Thread(target=lambda: found.extend(events_of(source, stop)))
    thread.start()
    time.sleep(0.3)
    assert thread.is_alive()
    stop.set()
    thread.join(5)
    assert not thread.is_alive()
    assert len(found) == len(recording)


def test_cameras_that_cannot_be_used(recording: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    without = Played(recording)
    without.size = None
    error = RuntimeError("/project/discovery.hpp(88): open()\nRuntimeError: Access denied\nStacktrace:\n 0# 0x0")
    plug_in(monkeypatch, {"A": without, "B": error, "C": IndexError("vector::_M_range_check")})
    with pytest.raises(OptionError, match=r"^no camera 'D' was found; use camera:DVXPLORER_A, camera:DVXPLORER_B, cam"):
        open_source("camera:D")
    with pytest.raises(RecordingError, match=r"^camera:DVXPLORER_A gives no events"):
        open_source("camera:A")
    with pytest.raises(RecordingError, match=r"^cannot open camera:DVXPLORER_B: Access denied; check its cable"):
        open_source("camera:B")
    with pytest.raises(RecordingError, match=r"^cannot open camera:DVXPLORER_C: vector::_M_range_check; check"):
        open_source("camera:C")


def test_no_camera_here() -> None:
    dv = pytest.importorskip("dv_processing", reason="the extra 'dv' is not installed")
    if dv.io.camera.discover():
        pytest.skip("a camera is plugged in")
    with pytest.raises(OptionError, match=r"^no camera was found; check its cable"):
        open_source("camera:")


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dv_processing", None)
    with pytest.raises(VelocellError, match=r'reading a camera needs dv-processing .*pip install "dv-processing'):
        open_source("camera:")
    with served(stream(tmp_path, (0, packet(EVENTS)))) as address:  # network streams do not need it
        assert events_of(open_source(address)) == as_sent(EVENTS)


def test_what_a_camera_may_keep_waiting() -> None:
    assert camera._MOST_EVENTS * 16 <= 1 << 26
