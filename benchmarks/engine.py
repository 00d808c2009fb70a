"""Speed of the engines: `python -m benchmarks.engine [--out bench] [--quick]`, or `make bench`.

The contract's scenes, seeded. Times are medians over the runs with the spread (min to max); Norse, the
dense reference of the field, runs in the same process for a stated number of ticks, and its time per
tick is multiplied by the ticks. Results go to stdout as Markdown and to OUT/engine.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from velocell import __version__
from velocell.calibrate import calibrate
from velocell.detect import Detector
from velocell.engines import native
from velocell.evaluate import evaluate
from velocell.kernels import circular_kernel
from velocell.network import Layer, Network
from velocell.neurons import LIFBox
from velocell.recording import Recording
from velocell.simulate import random_scene, simulate
from velocell.tracks import Tracks

BANDS = (20.0, 93.0, 430.0, 2000.0)
SEED = 11
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("bench"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--norse-ticks", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="one second of each scene, no end-to-end run of 10 s")
    arguments = parser.parse_args()
    result: Row = {"machine": machine(), "runs": arguments.runs}
    print(f"{result['machine']['processor']}, {result['machine']['cores']} cores, median of {arguments.runs} runs\n")
    hd, _ = simulate(hd_300(1))
    result["engine"] = engine_rows(hd, arguments.runs)
    show("HD-300, 1280x720, 300 disks, 1 s", result["engine"])
    result["norse"] = norse_rows(hd, arguments.norse_ticks, result["engine"])
    show("Norse, dense, the first layer of the same network", result["norse"])
    result["scaling"] = scaling_rows(arguments.runs)
    show("What the cost follows (layer 1, three channels, one thread)", result["scaling"])
    result["step"] = step_rows()
    show("VGA-20, network and detection in steps of 1 ms", result["step"])
    if not arguments.quick:
        result["detect"] = detect_rows(3)
        show("detect, end to end, from an uncompressed npz: 10 s of HD-300", result["detect"])
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "engine.json").write_text(json.dumps(result, indent=2) + "\n")
    plot(result["scaling"], arguments.out / "scaling.png")


def hd_300(seconds: int) -> Any:
    return random_scene(
        300, width=1280, height=720, duration_us=seconds * 1_000_000, radius=5, speeds=(20, 2000), contrast=1,
        noise_hz=0.1, seed=SEED, separate=False,
    )  # fmt: skip


def vga_20() -> Recording:
    """20 disks; the contrast is raised until the stream carries 1 Mev/s."""
    contrast = 1.0
    while True:
        recording, _ = simulate(
            random_scene(20, width=640, height=480, duration_us=2_000_000, radius=5, speeds=(20, 2000),
                         contrast=contrast, noise_hz=0.1, seed=SEED, separate=False)
        )  # fmt: skip
        if len(recording) >= 2_000_000:
            return recording
        contrast *= 1.02 * 2_000_000 / len(recording)


def three_channels(dt_us: int = 1000, side_radius: float = 5.0, channels: int = 3) -> Network:
    """One layer as in the notebook: a 13x13 ring, channels of different time constants and thresholds."""
    kernel = circular_kernel(side_radius, 2.2)
    a = np.geomspace(0.02, 0.3, channels)
    v_th = np.geomspace(1.0, 6.0, channels)
    return Network(dt_us, (Layer.from_arrays(kernel, LIFBox(a / (dt_us * 1e-6), v_th)),))


def seconds_of(run: Callable[[], object], runs: int) -> list[float]:
    run()
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return times


def native_row(name: str, network: Network, recording: Recording, threads: int, runs: int) -> Row:
    spikes = 0

    def run() -> None:
        nonlocal spikes
        state = native.init(network, recording.size, threads=threads)
        spikes = len(native.step(network, state, recording, recording.stop_us)[1])

    times = seconds_of(run, runs)
    median = float(np.median(times))
    return {
        "network": name, "threads": threads, "Mev/s": len(recording) / median / 1e6,
        "min": len(recording) / max(times) / 1e6, "max": len(recording) / min(times) / 1e6,
        "x real time": recording.duration_us * 1e-6 / median, "spikes": spikes, "seconds": median,
    }  # fmt: skip


def engine_rows(recording: Recording, runs: int) -> list[Row]:
    networks = {
        "layer 1, three channels": three_channels(),
        "two layers, trail filter (detect)": calibrate(BANDS, 5.0, crossing_share=1.0),
    }
    return [native_row(n, net, recording, threads, runs) for n, net in networks.items() for threads in (1, 2)]


def norse_rows(recording: Recording, ticks: int, rows: list[Row]) -> list[Row]:
    try:
        import torch

        from velocell.engines.norse import SpikingNetwork
    except ImportError:
        return [{"norse": "not installed"}]
    network = three_channels()
    frames = torch.from_numpy(recording.between(stop_us=ticks * 1000).to_dense(1000).sum(axis=1))
    result = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        module = SpikingNetwork(network)
        with torch.no_grad():
            times = seconds_of(lambda: module(frames), 3)  # noqa: B023
        per_tick = float(np.median(times)) / ticks
        whole = per_tick * recording.duration_us / network.dt_us
        ratio = whole / next(row["seconds"] for row in rows if row["threads"] == threads)
        result.append({"threads": threads, "ticks run": ticks, "s per tick": per_tick, "s for 1 s": whole,
                       "native is faster by": ratio})  # fmt: skip
    return result


def scaling_rows(runs: int) -> list[Row]:
    rng = np.random.default_rng(SEED)

    def uniform(events: int, width: int, height: int) -> Recording:
        t = np.sort(rng.integers(0, 1_000_000, events))
        # The same place for the same event: only the sensor around it grows.
        x, y = rng.integers(0, 640, events), rng.integers(0, 360, events)
        return Recording.from_arrays(t, x, y, width=width, height=height, start_us=0, stop_us=1_000_000)

    few = uniform(200_000, 640, 360)
    large = replace(few, width=1280, height=720)
    cases = [
        ("200 kev, 640x360", few, three_channels()),
        ("the same events, 1280x720", large, three_channels()),
        ("2 Mev, 640x360", uniform(2_000_000, 640, 360), three_channels()),
        ("kernel 23x23", few, three_channels(side_radius=10.0)),
        ("kernel 43x43", few, three_channels(side_radius=20.0)),
        ("8 channels", few, three_channels(channels=8)),
    ]
    base = 0.0
    rows = []
    for name, recording, network in cases:
        row = native_row(name, network, recording, 1, runs)
        base = base or row["seconds"]
        rows.append({"case": name, "Mev/s": row["Mev/s"], "seconds": row["seconds"], "cost": row["seconds"] / base})
    return rows


def step_rows() -> list[Row]:
    recording = vga_20()
    network = calibrate(BANDS, 5.0, crossing_share=1.0)
    rows = []
    for threads in (1, 2):
        state = native.init(network, recording.size, threads=threads)
        detector = Detector(network, recording.size, 1000)
        times = []
        for block in recording.chunks(1000):
            started = time.perf_counter()
            state, spikes = native.step(network, state, block, block.stop_us)
            detector.step(block, spikes, block.stop_us)
            times.append(1e3 * (time.perf_counter() - started))
        p50, p99 = np.quantile(times, (0.5, 0.99))
        rows.append({"threads": threads, "Mev/s": len(recording) / recording.duration_us, "p50 ms": float(p50),
                     "p99 ms": float(p99), "max ms": max(times)})  # fmt: skip
    return rows


MAKE_HD = """
import sys
from benchmarks.engine import hd_300
from velocell.formats import write_npz
from velocell.simulate import simulate
recording, truth = simulate(hd_300(10))
write_npz(recording, sys.argv[1] + "/hd.npz")
truth.write(sys.argv[1] + "/truth.csv")
print(len(recording))
"""


def detect_rows(runs: int) -> list[Row]:
    """The whole command in a process of its own, so that peak memory is its own."""
    with tempfile.TemporaryDirectory() as folder:
        # Simulated elsewhere: a child's peak memory starts with what its parent holds.
        made = subprocess.run([sys.executable, "-c", MAKE_HD, folder], check=True, capture_output=True, text=True)
        events = int(made.stdout)
        bands = ",".join(f"{edge:g}" for edge in BANDS)
        command = ["detect", f"{folder}/hd.npz", "--radius", "5", "--bands", bands, "-o", f"{folder}/out.csv"]
        program = [sys.executable, "-c", "from velocell.cli import main; main()", *command]
        rows = []
        for _ in range(runs):
            started = time.perf_counter()
            process = subprocess.Popen(program, stderr=subprocess.DEVNULL)
            _, _, usage = os.wait4(process.pid, 0)
            rows.append((time.perf_counter() - started, usage.ru_maxrss / 1024))
        seconds, peak = (float(value) for value in np.median(rows, axis=0))
        scores = evaluate(Tracks.read(f"{folder}/out.csv"), Tracks.read(f"{folder}/truth.csv"), BANDS)
    return [{"Mev/s": events / seconds / 1e6, "seconds": seconds, "peak MB": peak, "recall": scores.recall,
             "precision": scores.precision, "band accuracy": scores.band_accuracy}]  # fmt: skip


def machine() -> Row:
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        processor = names[0] if names else processor
    return {
        "processor": processor, "cores": os.cpu_count(), "system": platform.platform(),
        "python": platform.python_version(), "numpy": np.__version__, "velocell": __version__,
    }  # fmt: skip


def show(title: str, rows: list[Row]) -> None:
    print(f"## {title}\n\n| " + " | ".join(rows[0]) + " |\n" + "|---" * len(rows[0]) + "|")
    for row in rows:
        print("| " + " | ".join(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values()) + " |")
    print(flush=True)


def plot(rows: list[Row], path: Path) -> None:
    from matplotlib.figure import Figure

    from velocell.plots import save_figure

    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.add_subplot()
    axes.barh([row["case"] for row in rows][::-1], [row["cost"] for row in rows][::-1])
    axes.set_xlabel("cost against the first case")
    save_figure(figure, path)


if __name__ == "__main__":
    main()
