"""Service quality of `velocell live`: `python -m benchmarks.live [--seconds 60] [--out docs/...]`.

A process of its own sends SPIF words with times over loopback, 1 Mev/s: 20 disks on 640x480, as in the scene VGA-20
of `benchmarks.engine`, in packets of 128 events, each once the time of its last event has come. `velocell live`
reports every millisecond through a pipe to this process. Latency: from when the last packet with events before
an instant was sent to when the last line of that instant was here; the next packet, which tells live that the
instant is over, is part of it. Then overload: ten times what live manages on a replay of the same events as fast as it
can, and back. Last, the rows of `detect`, of a replay and of UDP are compared.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.engine import machine, vga_20
from velocell.calibration.measure import network_for
from velocell.data.recording import Recording
from velocell.data.tables import COLUMNS
from velocell.data.tracks import Tracks
from velocell.formats import read, write_npz

BANDS = (20.0, 93.0, 430.0, 2000.0)
EVERY_US = 1_000
PACKET_EVENTS = 128
LARGE_PACKET_EVENTS = 2_048  # where the sender could not keep up otherwise
LIVE = [sys.executable, "-c", "from velocell.cli import main; main()"]
LIMIT_MS = 5.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--overload-seconds", type=float, default=5.0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--send", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.send:
        send(**arguments.send)
        return
    text = report(vga_20(1_000_000), arguments.seconds, arguments.overload_seconds)
    print(text)
    if arguments.out:
        arguments.out.write_text(text)


def report(recording: Recording, seconds: float, overload_s: float) -> str:
    """The whole benchmark on one recording, as Markdown."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_npz(recording, folder / "rec.npz")
        network_for(recording, BANDS, 5.0).to_toml(folder / "net.toml")
        steady = run(folder, [(seconds, 1.0)])
        best = capacity(folder)
        factor = 10 * best / (len(recording) / recording.duration_us)
        loaded = run(folder, [(5.0, 1.0), (overload_s, factor), (5.0, 1.0)])
        same = same_rows(folder)
    return "\n".join(
        [
            f"Made by `python -m benchmarks.live --seconds {seconds:g}` on {os.cpu_count()} cores of "
            f"{machine()['processor']}, Python {platform.python_version()}.",
            "",
            *steady_lines(steady),
            "",
            *overload_lines(loaded, best, overload_s),
            "",
            same,
            "",
        ]
    )


# --- the sender ------------------------------------------------------------------------------------------


def send(rec: str, port: int, phases: list[list[float]], log: str, once: bool) -> None:
    """Send a recording over and over: phases of (seconds, rate), 1 being its own pace, through the same stream.

    once: only until the recording ends. Writes to `log`, for each packet, its first event's time in us and when it
    was sent, in ns of CLOCK_MONOTONIC.
    """
    recording = read(Path(rec))
    words, span_us = words_of(recording), recording.duration_us
    times = recording.t_us - recording.start_us
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect(("127.0.0.1", port))
    sent: list[tuple[int, int]] = []
    first, turn_us = 0, 0
    gc.disable()
    for seconds, rate in phases:
        size = PACKET_EVENTS if rate <= 4 else LARGE_PACKET_EVENTS
        began, began_us = time.monotonic_ns(), turn_us + int(times[first])
        until = began + int(seconds * 1e9)
        while (now := time.monotonic_ns()) < until:
            last = min(first + size, len(words)) - 1
            early_ns = ((turn_us + int(times[last]) - began_us) * 1000 / rate) - (now - began)
            if early_ns > 0:
                time.sleep(early_ns / 1e9)
                continue
            packet = words[first : last + 1].copy()
            packet[:, 1] += np.uint32(turn_us)
            sock.send(packet.data)
            sent.append((turn_us + int(recording.t_us[first]), now))
            first = last + 1
            if first == len(words):
                if once:
                    break
                first, turn_us = 0, turn_us + span_us
    np.save(log, np.array(sent, np.int64).reshape(-1, 2))


def words_of(recording: Recording) -> NDArray[np.uint32]:
    """(n, 2): each event's word and its time."""
    p = np.zeros(len(recording), np.uint32) if recording.p is None else recording.p.astype(np.uint32)
    event = recording.x.astype(np.uint32) << 16 | p << 15 | recording.y.astype(np.uint32)
    return np.column_stack((event, recording.t_us.astype(np.uint32)))


# --- live, watched ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Watched:
    """sent: (n, 2) packets (first t_us, ns); lines: (k, 2) instants (t_us, ns), in order; memory: (m, 2) (ns, MB)."""

    sent: NDArray[np.int64]
    lines: NDArray[np.int64]
    memory: NDArray[np.float64]
    told: str
    code: int

    def count(self, what: str) -> int:
        """The number before these words in what live told at its end."""
        found = re.search(rf"(\d+) {re.escape(what)}", self.told)
        if found is None:
            raise RuntimeError(f"live did not tell '{what}': {self.told}")
        return int(found[1])

    def latencies_ms(self) -> NDArray[np.float64]:
        """(n, 2): when the last packet before an instant was sent, in s since the first one, and ms to its last line.

        Of the instants that have lines.
        """
        instants = np.unique(self.lines[:, 0])
        done = self.lines[np.searchsorted(self.lines[:, 0], instants, side="right") - 1, 1]
        packet = np.searchsorted(self.sent[:, 0], instants) - 1
        known = packet >= 0
        sent = self.sent[packet[known], 1]
        return np.column_stack(((sent - self.sent[0, 1]) / 1e9, (done[known] - sent) / 1e6))


def run(folder: Path, phases: Sequence[tuple[float, float]]) -> Watched:
    """`velocell live` while the sender goes through the phases."""
    recording = read(folder / "rec.npz")
    port = free_port()
    lines: list[tuple[int, int]] = []
    memory: list[tuple[int, float]] = []
    gc.disable()  # here as in the sender: a pause of who measures would count as one of live
    with listening(folder, port, recording.size, "-") as live:
        reader = Thread(target=_read_lines, args=(live.stdout, lines))
        reader.start()
        sender = sending(folder, port, phases)
        while sender.poll() is None:
            memory.append((time.monotonic_ns(), resident_mb(live.pid)))
            time.sleep(0.25)
        time.sleep(0.5)
        live.terminate()
        reader.join()
        told = live.stderr.read().decode() if live.stderr else ""
    gc.enable()
    code = live.returncode
    return Watched(np.load(folder / "sent.npy"), np.array(lines).reshape(-1, 2), np.array(memory), told, code)


def _read_lines(pipe: Any, lines: list[tuple[int, int]]) -> None:
    """(t_us, ns) for each instant of which lines came with a read; its last entry counts."""
    rest = b""
    while data := os.read(pipe.fileno(), 1 << 20):
        now = time.monotonic_ns()
        whole, _, rest = (rest + data).rpartition(b"\n")
        lines.extend((int(t_us), now) for t_us in dict.fromkeys(re.findall(rb'^{"t_us": (\d+)', whole, re.MULTILINE)))


def listening(folder: Path, port: int, size: tuple[int, int], out: str) -> subprocess.Popen[bytes]:
    """A `velocell live` that listens by now."""
    command = [
        *LIVE, "live", f"udp://127.0.0.1:{port}", "--size", f"{size[0]}x{size[1]}", "--network",
        str(folder / "net.toml"), "--every", f"{EVERY_US}us", "-o", out,
    ]  # fmt: skip
    live = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for _ in range(600):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                time.sleep(0.5)  # the network's state is made next
                return live
        time.sleep(0.05)
    raise RuntimeError("velocell live does not listen")


def sending(
    folder: Path, port: int, phases: Sequence[tuple[float, float]], once: bool = False
) -> subprocess.Popen[bytes]:
    what: dict[str, Any] = {
        "once": once,
        "rec": str(folder / "rec.npz"),
        "port": port,
        "phases": phases,
        "log": str(folder / "sent.npy"),
    }
    return subprocess.Popen([sys.executable, "-m", "benchmarks.live", "--send", json.dumps(what)])


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1e3
    return float("nan")


def capacity(folder: Path) -> float:
    """Events per us of a replay as fast as it goes, without the start of the program."""
    seconds = []
    for speed_s in (0, 1):
        command = [
            *LIVE,
            "live",
            f"replay:{folder / 'rec.npz'}",
            "--network",
            str(folder / "net.toml"),
            "--speed",
            "max",
        ]
        command += ["--every", f"{EVERY_US}us"] if speed_s else ["--every", f"{EVERY_US}us", "--help"]
        began = time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds.append(time.monotonic() - began)
    return len(read(folder / "rec.npz")) / max(seconds[1] - seconds[0], 1e-3) / 1e6


# --- what is told ---------------------------------------------------------------------------------------------


def steady_lines(found: Watched) -> list[str]:
    late = found.latencies_ms()[:, 1]
    memory = found.memory[:, 1]
    settled = memory[len(memory) // 4 :]
    return [
        "| 1 Mev/s | |",
        "|---|---|",
        f"| packets sent, lost by the system, dropped | {len(found.sent)}, {found.count('packets lost')}, "
        f"{found.count('packets dropped')} |",
        f"| ticks dropped, events late | {found.count('ticks')}, {found.count('events late')} |",
        f"| instants with lines | {len(late)} |",
        f"| latency p50, p99, max | {_ms(*np.percentile(late, [50, 99, 100]))} |",
        f"| memory after a quarter of the time, at the end, at most | {settled[0]:.0f}, {settled[-1]:.0f}, "
        f"{memory.max():.0f} MB |",
    ]


def overload_lines(found: Watched, best: float, overload_s: float) -> list[str]:
    when, late = found.latencies_ms().T
    began, ended = 5.0, 5.0 + overload_s
    back_s = recovery_s(when, late, ended)
    during = (found.sent[:, 1] - found.sent[0, 1]) / 1e9
    rate = LARGE_PACKET_EVENTS * np.count_nonzero((during >= began) & (during < ended)) / overload_s / 1e6
    memory = found.memory[:, 1]
    return [
        "| overload | |",
        "|---|---|",
        f"| what live manages, what was sent | {best:.1f}, {rate:.1f} Mev/s |",
        f"| ticks dropped | {found.count('ticks')} ({found.count('events) dropped')} events) |",
        f"| packets lost by the system, dropped | {found.count('packets lost')}, {found.count('packets dropped')} |",
        f"| back below {LIMIT_MS:g} ms after | {back_s:.2f} s |",
        f"| memory before, at most, at the end | {memory[max(len(memory) // 4, 0)]:.0f}, {memory.max():.0f}, "
        f"{memory[-1]:.0f} MB |",
        f"| exit code | {found.code} (stopped by SIGTERM) |",
    ]


def recovery_s(when: NDArray[np.float64], late: NDArray[np.float64], ended: float) -> float:
    """From the overload's end until 99 of 100 instants in a row are below the limit; infinite if they never are."""
    after = np.flatnonzero(when >= ended)
    for k in after:
        here = late[k : k + 100]
        if here.size == 100 and np.count_nonzero(here > LIMIT_MS) <= 1:
            return float(when[k] - ended)
    return float("inf")


def _ms(*values: float) -> str:
    return ", ".join(f"{value:.2f}" for value in values) + " ms"


# --- the same rows ------------------------------------------------------------------------------------------------


def same_rows(folder: Path) -> str:
    """Compare the file, its replay and its events by UDP, at half the pace, once none of them was lost or dropped."""
    network = ["--network", str(folder / "net.toml"), "--every", f"{EVERY_US}us", "--no-mask-hot"]
    for command in (["detect", f"{folder / 'rec.npz'}"], ["live", f"replay:{folder / 'rec.npz'}", "--speed", "max"]):
        out = folder / f"{command[0]}.jsonl"
        subprocess.run([*LIVE, *command, *network, "-o", str(out)], check=True, capture_output=True)
    for _ in range(5):  # a machine that is busy with other work may stop a program for long
        told = by_udp(folder)
        lost = {
            what: int(re.findall(rf"(\d+) {what}", told)[0]) for what in ("packets lost", "packets dropped", "ticks")
        }
        if not any(lost.values()):
            break
    else:
        return f"File, replay and UDP: not compared, since each time something was lost or dropped: {told}"
    file, replay, udp = (Tracks.read(folder / f"{name}.jsonl") for name in ("detect", "live", "udp"))
    # UDP does not tell where the stream ends, so instants after its last event have no rows.
    end_us = int(udp.t_us.max(initial=0))
    tables = [table.where(table.t_us < end_us) for table in (file, replay, udp)]
    verdict = "the same" if all(equal(tables[0], table) for table in tables) else "DIFFERENT"
    return f"File, replay and UDP, where nothing was lost: {verdict} rows up to {end_us} us ({len(tables[0])})."


def by_udp(folder: Path) -> str:
    """Rows of the recording sent once, in udp.jsonl; what live told at its end."""
    port = free_port()
    live = listening(folder, port, read(folder / "rec.npz").size, str(folder / "udp.jsonl"))
    sending(folder, port, [(60.0, 0.5)], once=True).wait()
    time.sleep(0.5)
    live.terminate()
    return live.communicate()[1].decode()


def equal(one: Tracks, other: Tracks) -> bool:
    return len(one) == len(other) and all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=COLUMNS[name][0] is np.float64)
        for name in COLUMNS
    )


if __name__ == "__main__":
    main()
