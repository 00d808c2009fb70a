"""The viewer in a real Chromium: `python -m benchmarks.viewer [--out bench] [--soak 600] [--large 3] [--live 60]`.

Pictures per second while playing, how soon a moved band edge is seen, and the program's memory over a long time.
Program and browser share the machine's cores, as they do for a user; the browser draws without a graphics
card. A picture counts once the page has drawn it into its canvas. `--live`: a program of its own sends 1 Mev/s by
UDP, in packets of 512 bytes, each event stamped with the clock's time and sent no earlier than that; the lag of a
picture is the clock's time when it has been drawn less the time of the newest events in it.

Needs Debian's chromium and chromium-driver.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.engine import BANDS, SEED, Row, hd_300, machine, show, vga_20
from velocell.data.recording import Recording
from velocell.formats import write_npz
from velocell.simulate import random_scene, simulate

_DRAG = """
const done = arguments[arguments.length - 1], edge = arguments[0];
const { store, tuner, stage } = window.velocell, results = store.results, started = performance.now();
const edges = [...store.state.settings.bands.edges];
edges[1] = edge;
tuner.ask.tune({ edges });
let current = null, seen = null;
(function look() {
  const { settings, analysed } = store.state, now = performance.now() - started;
  if (settings.bands.edges[1] === edge && analysed.current) {
    current ??= stage.drawn.count;
    if (seen === null && stage.drawn.count > current) seen = now;
    if (seen !== null && analysed.complete && store.results !== results) return done([seen, now]);
  }
  if (now > 20000) return done(null);
  setTimeout(look, 1);
})();
"""


_WATCH_LAG = """
const { stage, store } = window.velocell, draw = stage.draw.bind(stage);
window.lags = [];
let last = null;
stage.draw = (...canvas) => {
  draw(...canvas);
  const { picture } = stage;
  if (!picture || picture === last || !store.state.live.following) return;
  last = picture;
  const now = (performance.timeOrigin + performance.now()) * 1000, turn = 2 ** 32;
  window.lags.push([((now % turn) - (picture.t_us % turn) + turn) % turn, picture.objects.length]);
};
"""
_STREAM_EVENTS = 1_000_000
_PACKET_EVENTS = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("bench"))
    parser.add_argument("--seconds", type=float, default=10, help="of counting pictures, per scene")
    parser.add_argument("--soak", type=float, default=0, help="seconds of playing while the memory is watched")
    parser.add_argument("--large", type=float, default=0, help="GB of a recording that is viewed in windows")
    parser.add_argument("--live", type=float, default=0, help="seconds of a stream of 1 Mev/s, and nothing else")
    parser.add_argument("--send", type=int, metavar="PORT", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.send:
        send(arguments.send)
        return
    result: Row = {"machine": machine()}
    print(f"{result['machine']['processor']}, {result['machine']['cores']} cores\n")
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        if arguments.live:
            result["live"] = [live(browser, arguments.live)]
            show("A stream of 1 Mev/s, 640x480, from the sender's clock to the canvas", result["live"])
            save(arguments.out / "viewer_live.json", result)
            return
        files = scenes(Path(folder))
        result["pictures"] = [playing(browser, name, file, arguments.seconds) for name, file in files.items()]
        show("Pictures while playing in a window of 1440x900", result["pictures"])
        result["tuning"] = [tuning(browser, name, files[name]) for name in ("VGA, 0.5 Mev", "VGA-20, 1 Mev")]
        show(
            "From moving a band edge to seeing the new objects at the cursor, and to the table of the whole second",
            result["tuning"],
        )
        if arguments.large:
            result["large"] = [large(browser, Path(folder), arguments.large)]
            show("A recording that is larger than what is kept in memory", result["large"])
        if arguments.soak:
            result["soak"] = [soak(browser, files["HD-300, 2.6 Mev/s"], arguments.soak)]
            show("Memory of the program while it plays in a loop, with an edge moved every 5 s", result["soak"])
    save(arguments.out / "viewer.json", result)


def save(file: Path, result: Row) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result, indent=2) + "\n")


def scenes(folder: Path) -> dict[str, Path]:
    """Name -> recording."""
    quiet, _ = simulate(
        random_scene(20, width=640, height=480, radius=5, speeds=(20, 2000), contrast=3, noise_hz=0.1, seed=SEED)
    )
    made: dict[str, Recording] = {
        "VGA, 0.5 Mev": quiet,
        "VGA-20, 1 Mev": vga_20(1_000_000).between(stop_us=1_000_000),
        "HD-300, 2.6 Mev/s": simulate(hd_300(2_000_000))[0],
    }
    files = {name: folder / f"scene{k}.npz" for k, name in enumerate(made)}
    for name, recording in made.items():
        write_npz(recording, files[name])
    return files


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser without a window."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1440,900"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    driver.set_script_timeout(60)
    try:
        yield driver
    finally:
        driver.quit()


@contextmanager
def viewer(browser: Any, file: Path | str, *more: str, wait_for: str = "analysed") -> Iterator[subprocess.Popen[str]]:
    """The program, with its page open and what is waited for there."""
    code = "from velocell.cli import main; main()"
    edges = ",".join(f"{edge:g}" for edge in BANDS)
    command = [sys.executable, "-c", code, "view", str(file), "--bands", edges, "--no-browser", "--port", "0", *more]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as program:
        try:
            assert program.stderr is not None
            found = re.search(r"http://\S+", program.stderr.readline())
            if found is None:
                raise RuntimeError("velocell view did not start")
            while True:
                try:
                    browser.get(found.group())
                    break
                except Exception:
                    time.sleep(0.2)
            while not browser.execute_script("return window.velocell?.store.state?." + wait_for):
                time.sleep(0.1)
            yield program
        finally:
            browser.get("about:blank")
            program.send_signal(2)
            program.wait(30)


def pictures(browser: Any) -> int:
    return int(browser.execute_script("return window.velocell.stage.drawn.count"))


def settle(browser: Any) -> None:
    """Until nothing is left to analyse near the cursor."""
    quiet = 0
    while quiet < 5:
        time.sleep(0.2)
        at = browser.execute_script("const s = window.velocell.store.state; return [s.doing, s.analysed.until_us]")
        time.sleep(0.2)
        now = browser.execute_script("const s = window.velocell.store.state; return [s.doing, s.analysed.until_us]")
        quiet = quiet + 1 if at == now and not now[0] else 0


def playing(browser: Any, name: str, file: Path, seconds: float) -> Row:
    with viewer(browser, file) as program:
        settle(browser)
        rates = []
        for _ in range(5):
            begin, started = pictures(browser), time.perf_counter()
            time.sleep(seconds / 5)
            rates.append((pictures(browser) - begin) / (time.perf_counter() - started))
        size = browser.execute_script("return window.velocell.store.facts.size.join('x')")
        speed = browser.execute_script("return window.velocell.store.state.speed")
        return {
            "scene": name, "size": size, "played at": f"{speed:g}x", "pictures/s": float(np.median(rates)),
            "min": min(rates), "max": max(rates), "program MB": memory_mb(program.pid),
        }  # fmt: skip


def tuning(browser: Any, name: str, file: Path) -> Row:
    with viewer(browser, file):
        settle(browser)
        browser.execute_script("document.querySelector('#play').click()")
        found = [browser.execute_async_script(_DRAG, edge) for edge in np.linspace(94, 140, 24).round().tolist()]
        seen, whole = np.array([pair for pair in found[2:] if pair is not None]).T
        return {
            "scene": name, "moves": seen.size, "seen after, median ms": float(np.median(seen)), "min": seen.min(),
            "p90": float(np.quantile(seen, 0.9)), "whole second after, median ms": float(np.median(whole)),
            "whole p90": float(np.quantile(whole, 0.9)),
        }  # fmt: skip


def soak(browser: Any, file: Path, seconds: float) -> Row:
    """Memory (MB) at ten moments, evenly spread, while a band's edge is moved every 5 s."""
    with viewer(browser, file) as program:
        started, edges = time.perf_counter(), np.linspace(80, 160, 17).tolist()
        samples: list[tuple[float, float]] = []
        while (now := time.perf_counter() - started) < seconds:
            move = f"window.velocell.tuner.ask.tune({{edges: [20, {edges[len(samples) % 17]}, 430, 2000]}})"
            browser.execute_script(move)
            time.sleep(5)
            samples.append((now, memory_mb(program.pid)))
        row: Row = {"seconds": round(seconds), "pictures": pictures(browser)}
        for tenth in range(1, 11):
            row[f"most MB to {10 * tenth} %"] = round(max(mb for at, mb in samples if at <= seconds * tenth / 10))
        return row | {"MB at the end": round(samples[-1][1])}


def live(browser: Any, seconds: float) -> Row:
    """Lags of the pictures drawn in `seconds`, once contrast and radius are measured."""
    port = free_port()
    with (
        viewer(browser, f"udp://127.0.0.1:{port}", "--size", "640x480", wait_for="live") as program,
        subprocess.Popen([sys.executable, "-m", "benchmarks.viewer", "--send", str(port)]) as sender,
    ):
        try:
            while not browser.execute_script("return window.velocell.store.state.doing"):
                time.sleep(0.05)  # measuring begins
            time.sleep(35)  # and what is held fills up
            began = memory_mb(program.pid)
            before = browser.execute_script("return window.velocell.store.state.live.dropped")
            browser.execute_script(_WATCH_LAG)
            started = time.perf_counter()
            time.sleep(seconds)
            lags = np.array(browser.execute_script("return window.lags"))
            passed = time.perf_counter() - started
            state = browser.execute_script("return window.velocell.store.state")
            rate = browser.execute_script("return window.velocell.store.facts.rate")
            memory = memory_mb(program.pid)
        finally:
            sender.kill()
    lag_ms, objects = lags[:, 0] / 1000, lags[:, 1]
    return {
        "s": round(seconds), "Mev/s": float(np.median(rate[-100:-2])) / 1e6, "pictures/s": len(lags) / passed,
        "lag, median ms": float(np.median(lag_ms)), "p95": float(np.quantile(lag_ms, 0.95)), "max": float(lag_ms.max()),
        "objects, median": float(np.median(objects)), "not analysed": state["live"]["dropped"] - before,
        "late": state["live"]["late"], "MB at first": round(began), "MB at the end": round(memory),
        "notes": "; ".join(state["live"]["notes"]),
    }  # fmt: skip


def send(port: int) -> None:
    """VGA-20 over and over, as SPIF words with times, at its own pace until killed."""
    recording = vga_20(_STREAM_EVENTS)
    words = np.empty((len(recording), 2), "<u4")
    assert recording.p is not None
    words[:, 0] = recording.x.astype("<u4") << 16 | recording.p.astype("<u4") << 15 | recording.y
    edges = np.arange(0, len(recording), _PACKET_EVENTS)[1:]
    target, base_us = ("127.0.0.1", port), time.time_ns() // 1000
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        while True:
            t_us = recording.t_us + base_us
            words[:, 1] = t_us % (1 << 32)
            first = 0
            while first < len(edges):
                due = int(np.searchsorted(t_us[edges - 1], time.time_ns() // 1000, side="right"))
                for edge in edges[first:due].tolist():
                    sock.sendto(words[edge - _PACKET_EVENTS : edge].tobytes(), target)
                first = max(first, due)
                time.sleep(0.001)
            base_us += recording.duration_us


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def large(browser: Any, folder: Path, gigabytes: float) -> Row:
    """One second of HD-300 over and over, as one stored file; the cursor jumps all over it."""
    file = folder / "large.npz"
    seconds = write_repeated(simulate(hd_300(1_000_000))[0], file, gigabytes)
    started = time.perf_counter()
    with viewer(browser, file) as program:
        opened, waits, most = time.perf_counter() - started, [], 0.0
        browser.execute_script("document.querySelector('#play').click()")
        for share in (0.1, 0.9, 0.5, 0.99, 0.3, 0.7):
            before, begin = pictures(browser), time.perf_counter()
            browser.execute_script(f"window.velocell.timeline.ask.seek({share * seconds * 1e6})")
            while pictures(browser) == before:
                time.sleep(0.005)
            waits.append(time.perf_counter() - begin)
            time.sleep(3)
            most = max(most, memory_mb(program.pid))
        row = {
            "GB": file.stat().st_size / 1e9, "Mev": seconds * 2.6, "s until the first page": opened,
            "s until a jump is seen": float(np.median(waits)), "most MB": most,
        }  # fmt: skip
    file.unlink()
    return row


def write_repeated(recording: Recording, file: Path, gigabytes: float) -> int:
    """Write the recording n times, one after the other, without holding more than one; the length in seconds."""
    copies = max(1, round(gigabytes * 1e9 / (13 * len(recording))))
    n = copies * len(recording)
    columns: dict[str, Any] = {"t": recording.t_us, "x": recording.x, "y": recording.y, "p": recording.p}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, values in columns.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as handle:
                header = {"descr": values.dtype.str, "fortran_order": False, "shape": (n,)}
                np.lib.format.write_array_header_1_0(handle, header)
                for copy in range(copies):
                    shifted = values + copy * recording.duration_us if name == "t" else values
                    handle.write(shifted.tobytes())
        spans = {"width": recording.width, "height": recording.height, "start_us": 0}
        for name, value in {**spans, "stop_us": copies * recording.duration_us}.items():
            with archive.open(f"{name}.npy", "w") as handle:
                np.lib.format.write_array(handle, np.array(value, np.int64))
    return copies * recording.duration_us // 1_000_000


def memory_mb(pid: int) -> float:
    """Resident memory of a process (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024


if __name__ == "__main__":
    main()
