"""A supervised `velocell live` under everything that happens to a service: `python -m benchmarks.soak --minutes 30`.

A sender of its own sends disks that cross a line as UDP packets at a steady rate. Meanwhile: rotation each minute, an
MQTT broker (mosquitto) restarted twice, the sender restarted (its clock begins anew), silence of 20 s, and a disk that
is full for 10 s (a small tmpfs, where one may be mounted; needs root). In the end SIGTERM. `right` has what is judged:
everything is said within 2 s, no line is torn, memory stays, the exit code is 0, events sent are those taken and those
counted as lost, at each second within 2 s of being sent, all that was lost was said, and rows found are those in the
files and those counted as not written. Where ticks are dropped for lack of a core, messages need not count all that
crossed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np

from velocell.simulate import Scene, SceneObject, simulate

SIZE = (320, 240)
MAIN = [sys.executable, "-c", "from velocell.cli import main; main()"]
LINE = "160,0,160,239"
PACKET = 128  # events
DISK_MB = 512  # holds four files of 50 MB, one a minute
WITHIN_S = 2.0  # a loss is counted and said
MORE_MEMORY = 1.1  # in the last quarter than in the second; the first one has what is measured at the start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=300e3, help="events per second")
    parser.add_argument("--rotate", default="60s")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(Soak(Path(folder), options.minutes * 60, options.rate, options.rotate).run(), indent=1))


def scene(rate: float) -> tuple[Any, int]:
    """One second of four disks at 200 to 320 px/s that cross x = 160 once each, and noise up to the rate; and how many
    crossings there are."""
    disks = tuple(
        SceneObject(id=k, x_px=20.0, y_px=30.0 + 60 * k, radius_px=5.0, speed_px_s=200.0 + 40 * k, bounce=False)
        for k in range(4)
    )
    quiet = simulate(Scene(*SIZE, 1_000_000, seed=1, objects=disks))[0]
    noise_hz = max(0.0, rate - len(quiet)) / (SIZE[0] * SIZE[1])
    return simulate(Scene(*SIZE, 1_000_000, seed=1, objects=disks, noise_hz=min(noise_hz, 4.0)))[0], len(disks)


class Sender:
    """Sends the second again and again at its pace, on a clock that begins at 0; sends = how many seconds went out."""

    def __init__(self, recording: Any, port: int) -> None:
        recording = recording.slice(0, len(recording) // PACKET * PACKET)  # so that each packet is full
        words = recording.x.astype(np.uint32) << 16 | recording.p.astype(np.uint32) << 15 | recording.y
        self._words, self._t = words, recording.t_us
        self._to = ("127.0.0.1", port)
        self.seconds = self.events = 0
        self.sent: list[tuple[float, int]] = []  # when, and how many events were sent by then
        self._stop = Event()
        self._thread: Thread | None = None

    def start(self) -> None:
        self._stop.clear()
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """At the end of a second."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        began, turn = time.monotonic(), 0
        cuts = np.arange(0, len(self._t), PACKET)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            while not self._stop.is_set():
                for first in cuts.tolist():
                    t = self._t[first : first + PACKET] + turn * 1_000_000
                    wait = began + float(t[0]) / 1e6 - time.monotonic()
                    if wait > 0.002:
                        time.sleep(wait)
                    data = np.column_stack([self._words[first : first + PACKET], (t % 2**32).astype(np.uint32)])
                    sock.sendto(data.astype("<u4").tobytes(), self._to)
                    self.events += len(t)
                    if not self.sent or time.monotonic() - self.sent[-1][0] > 0.1:
                        self.sent.append((time.monotonic(), self.events))
                turn += 1
                self.seconds += 1


class Soak:
    def __init__(self, folder: Path, seconds: float, rate: float, rotate: str) -> None:
        self.folder, self.seconds, self.rotate = folder, seconds, rotate
        self.recording, self.crossings = scene(rate)
        self.said: list[tuple[float, dict[str, Any]]] = []
        self.memory: list[float] = []
        self.delays: dict[str, float] = {}
        self.looks: list[tuple[float, int]] = []  # when, and how many events were taken or counted as lost by then
        self.disk = folder / "disk"
        self.disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(self.disk)]
        self.small = subprocess.run(mount, capture_output=True, check=False).returncode == 0

    def run(self) -> dict[str, Any]:
        udp, mqtt, http = (free_port() for _ in range(3))
        broker = self.broker(mqtt)
        command = [
            *MAIN, "live", f"udp://127.0.0.1:{udp}", "--size", "{}x{}".format(*SIZE), "--bands", "50,240,1000",
            "--contrast", "3", "-o", str(self.disk / "rows.jsonl"), "--rotate", self.rotate, "--messages", f"mqtt://127.0.0.1:{mqtt}/belt",
            "--count-line", LINE, "--reconnect", "--log", "json", "--status", f"http://127.0.0.1:{http}",
            "--heartbeat", "10s", "--status", str(self.folder / "status.json"),
        ]  # fmt: skip
        messages = self.listener(mqtt)
        ready = self.systemd()
        environment = {**os.environ, "NOTIFY_SOCKET": str(self.folder / "notify")}
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        Thread(target=self._listen, args=(process,), daemon=True).start()
        sender = Sender(self.recording, udp)
        try:
            if not ready.wait(60):  # packets before that have no port to go to
                raise SystemExit(f"live did not start: {[each['text'] for _, each in self.said]}")
            Thread(target=self._look, args=(process,), daemon=True).start()
            sender.start()
            broker = self.happenings(process, sender, broker, mqtt)
            sender.stop()
            time.sleep(4)  # the last ones leave
            process.send_signal(signal.SIGTERM)
            code = process.wait(30)
            time.sleep(3)
            return self.result(code, sender)
        finally:
            process.kill()
            messages.loop_stop()
            broker.terminate()
            broker.wait()
            if self.small:
                subprocess.run(["umount", "-l", str(self.disk)], check=False)

    def systemd(self) -> Event:
        """Listens as systemd does: an event that is set at READY=1; signs of life are noted."""
        sock, ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), Event()
        sock.bind(str(self.folder / "notify"))
        self.alive: list[float] = []

        def listen() -> None:
            while True:
                said = sock.recv(4096)
                if said == b"READY=1":
                    ready.set()
                if b"WATCHDOG=1" in said:
                    self.alive.append(time.monotonic())

        Thread(target=listen, daemon=True).start()
        return ready

    def happenings(self, process: Any, sender: Sender, broker: Any, mqtt: int) -> Any:
        """Everything that happens, spread over the time."""
        step = self.seconds / 7
        self.pass_by(process, step)
        for _ in range(2):
            self.expect("the broker is gone", "broker away", broker.terminate)
            broker.wait()
            time.sleep(5)
            broker = self.broker(mqtt)
            self.pass_by(process, step)
        sender.stop()
        self.expect("no events for", "silence of 5 s", lambda: None, most=20)
        time.sleep(max(0.0, 20 - self.delays.get("silence of 5 s", 0.0)))
        self.expect("is followed from here on", "sender restarted", sender.start)
        self.pass_by(process, step)
        if self.small:
            filler = self.disk / "filler"
            self.expect("rows not written", "disk full", lambda: fill(filler), most=15)
            time.sleep(10)
            filler.unlink()
        self.pass_by(process, step)
        return broker

    def pass_by(self, process: Any, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(1)
            if process.poll() is not None:
                raise SystemExit(f"live ended: {self.said[-1:]}")
            if self.small:  # as somebody who clears up would
                for old in sorted(self.disk.glob("rows.2*.jsonl"))[:-3]:
                    self.check(old)
                    old.unlink()
            pages = int(Path(f"/proc/{process.pid}/statm").read_text(encoding="ascii").split()[1])
            self.memory.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)

    torn = torn_log = files = rows = 0

    def check(self, path: Path) -> None:
        self.files += 1
        data = path.read_bytes()
        lines = data.splitlines()
        try:
            good = data[-1:] in (b"\n", b"") and all("t_us" in json.loads(line) for line in lines)
        except ValueError:
            good = False
        self.torn += not good
        self.rows += len(lines)

    def expect(self, words: str, name: str, act: Any, most: float = 10.0) -> None:
        known = len(self.said)
        act()
        began = time.monotonic()  # a disk is full once it was filled
        while time.monotonic() < began + most:
            at = next((at for at, each in self.said[known:] if words in each["text"]), None)
            if at is not None:
                self.delays[name] = round(max(0.0, at - began), 2)
                return
            time.sleep(0.05)
        self.delays[name] = float("inf")

    def _listen(self, process: Any) -> None:
        for line in process.stderr:
            try:
                said = json.loads(line)
            except ValueError:
                self.torn_log += 1
                continue
            self.said.append((time.monotonic(), said))

    def _look(self, process: Any) -> None:
        """At what it gives out of itself."""
        while process.poll() is None:
            with suppress(OSError, ValueError):
                counted = accounted(self.status())
                self.looks.append((time.monotonic(), counted))
            time.sleep(0.2)

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "status.json").read_text(encoding="utf-8"))
        return found

    def broker(self, port: int) -> subprocess.Popen[bytes]:
        config = self.folder / "mosquitto.conf"
        config.write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\nuser root\nmax_queued_messages 0\n"
            f"persistence_location {self.folder}/\n"
        )
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        process = subprocess.Popen([program, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(1)
        return process

    def listener(self, port: int) -> Any:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        client = Client(CallbackAPIVersion.VERSION2, client_id="soak", clean_session=False)
        client.reconnect_delay_set(1, 1)
        client.on_connect = lambda client, *_: client.subscribe("belt", qos=1)
        self.got: dict[tuple[Any, ...], int] = {}

        def on_message(client: Any, data: Any, message: Any) -> None:
            told = json.loads(message.payload)
            key = (told["message"], told["id"], told["t_us"])
            self.got[key] = self.got.get(key, 0) + 1  # quality of service 1: at least once

        client.on_message = on_message
        client.connect("127.0.0.1", port)
        client.loop_start()
        return client

    def result(self, code: int, sender: Sender) -> dict[str, Any]:
        for path in self.disk.glob("rows*.jsonl"):
            self.check(path)
        kinds = [key[0] for key in self.got]
        last = self.status()
        lost = {what: n for what, n in last["losses"].items() if n}
        behind_s = longest_behind(sender.sent, self.looks)
        memory = [round(max(part)) for part in np.array_split(self.memory, 4)]
        more_s = {"silence of 5 s": 5.0}
        right = {
            "said": all(delay <= more_s.get(what, 0.0) + WITHIN_S for what, delay in self.delays.items()),
            "counted": behind_s <= WITHIN_S,
            "all_events": accounted(last) == sender.events,
            "all_losses_said": said_lost([each["text"] for _, each in self.said]) == lost,
            "rows": self.rows + last["losses"]["rows not written"] == last["rows"],
            "memory": memory[3] <= MORE_MEMORY * memory[1],
            "no_line_torn": not self.torn and not self.torn_log,
            "exit_code": code == 0,
        }
        return {
            "right": right, "behind_s": round(behind_s, 2),
            "seconds": round(self.seconds), "events_per_s": len(self.recording), "exit_code": code,
            "longest_without_sign_of_life_s": round(float(np.diff(self.alive).max()), 2),
            "files": self.files, "torn_files": self.torn, "said_after_s": self.delays,
            "memory_mb_by_quarter": memory,
            "crossings_sent": self.crossings * sender.seconds, "crossed": kinds.count("crossed"),
            "appeared": kinds.count("appeared"), "left": kinds.count("left"),
            "last_said": self.said[-1][1]["text"] if self.said else "",
            "events_sent": sender.events, "events_taken": last["events"], "rows_found": last["rows"],
            "rows_in_files": self.rows, "lost": lost, "load": os.getloadavg()[1],
            "warnings": sum(each["level"] == "warning" for _, each in self.said), "small_disk": self.small,
        }  # fmt: skip


def accounted(status: dict[str, Any]) -> int:
    """Events that were taken, or stood in packets that are counted as lost."""
    lost = status["losses"]
    names = ("packets lost by the system", "packets dropped", "packets astray", "packets damaged")
    return int(status["events"]) + PACKET * sum(int(lost.get(name, 0)) for name in names)


def longest_behind(sent: list[tuple[float, int]], looks: list[tuple[float, int]]) -> float:
    """For how long at most something had been sent that was not yet counted as taken or as lost."""
    times, events = np.array([at for at, _ in sent]), np.array([n for _, n in sent])
    longest = 0.0
    for at, counted in looks:
        open_since = np.flatnonzero((events > counted) & (times < at))
        longest = max(longest, at - float(times[open_since[0]])) if open_since.size else longest
    return longest


def said_lost(texts: list[str]) -> dict[str, int]:
    """The sums of what was said while it ran, and of what the end adds."""
    sums: dict[str, int] = {}
    for text in texts:
        _, mark, lost = text.partition("lost within the last second: ")
        for part in lost.split(", ") if mark else ():
            n, _, what = part.partition(" ")
            sums[what] = sums.get(what, 0) + int(n)
    return sums


def fill(path: Path) -> None:
    """All the space that there is."""
    with path.open("wb", buffering=0) as handle, suppress(OSError):
        while handle.write(bytes(1 << 16)):
            pass


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


if __name__ == "__main__":
    main()
