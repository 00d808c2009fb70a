"""Speed of the engines: `python -m benchmarks.engine [--out bench] [--quick | --against REV]`, or `make bench`.

The contract's scenes, seeded. Times are medians over the runs with the spread (min to max); Norse, the
dense reference of the field, runs in the same process for a stated number of ticks, and its time per
tick is multiplied by the ticks. Results go to stdout as Markdown, to OUT/engine.json (described by
engine.schema.json, against which it is checked) and to OUT/engine.png (what the cost follows). With --against REV
another commit is compared with this one instead (`benchmarks.against`); with --steps only the steps of 1 ms are timed.
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
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np

from benchmarks import against
from benchmarks.engine_plot import plot_curves
from velocell import __version__
from velocell.calibration.formulas import calibrate
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks
from velocell.engines import native
from velocell.network import Layer, Network
from velocell.network.architectures import with_selection
from velocell.network.kernels import circular_kernel
from velocell.network.neurons import LIFBox
from velocell.pictures.figures.style import save_figure
from velocell.results.evaluate import evaluate
from velocell.simulate import random_scene, simulate
from velocell.tracking.detector import Detector

BANDS = (20.0, 93.0, 430.0, 2000.0)
SEED = 11
STEPS = "VGA-20, network and detection in steps of 1 ms"
SCHEMA = Path(__file__).with_name("engine.schema.json")
Row = dict[str, Any]


@dataclass(frozen=True)
class Effort:
    """How much is run; the tests take little of everything."""

    runs: int = 5
    scene_us: int = 1_000_000
    norse_ticks: int = 20
    norse_size: tuple[int, int] = (1280, 720)  # the part of the sensor that Norse runs; a dense cost goes by its area
    curve_events: int = 200_000
    step_events_per_s: int = 1_000_000
    detect_us: int = 10_000_000  # 0: not at all


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("bench"))
    parser.add_argument("--runs", type=int, default=Effort.runs)
    parser.add_argument("--norse-ticks", type=int, default=Effort.norse_ticks)
    parser.add_argument("--quick", action="store_true", help="without the end-to-end run of 10 s")
    parser.add_argument("--steps", action="store_true", help="the steps of 1 ms alone, nothing is written")
    against.arguments_of(parser)
    arguments = parser.parse_args()
    if arguments.steps:
        show(STEPS, step_rows(Effort()))
        return
    if arguments.against is not None:
        against.main(arguments.against, arguments.runs, arguments.out, arguments.page)
        return
    effort = Effort(runs=arguments.runs, norse_ticks=arguments.norse_ticks)
    write(measure(replace(effort, detect_us=0) if arguments.quick else effort), arguments.out)


def measure(effort: Effort) -> Row:
    """Every part, shown as it comes; the result is what engine.schema.json describes."""
    result: Row = {"machine": machine(), "runs": effort.runs}
    print(f"{result['machine']['processor']}, {result['machine']['cores']} cores, median of {effort.runs} runs\n")
    hd, _ = simulate(hd_300(effort.scene_us))
    result["engine"] = engine_rows(hd, effort.runs)
    show(f"HD-300, 1280x720, 300 disks, {effort.scene_us * 1e-6:g} s", result["engine"])
    result["norse"] = norse_rows(hd, effort, result["engine"])
    show("Norse, dense, the same networks", result["norse"])
    result["curves"] = curve_rows(effort)
    show("What the cost follows (layer 1)", result["curves"])
    result["step"] = step_rows(effort)
    show(STEPS, result["step"])
    if effort.detect_us:
        result["detect"] = detect_rows(effort.detect_us, min(effort.runs, 3))
        show(f"detect, end to end, from an uncompressed npz: {effort.detect_us * 1e-6:g} s of HD-300", result["detect"])
    return result


def write(result: Row, out: Path) -> None:
    check(result)
    out.mkdir(parents=True, exist_ok=True)
    (out / "engine.json").write_text(json.dumps(result, indent=2) + "\n")
    save_figure(plot_curves(result["curves"]), out / "engine.png")


def check(result: Row) -> None:
    """Raises jsonschema.ValidationError where a result is not what the schema says."""
    jsonschema.validate(result, json.loads(SCHEMA.read_text()))


def hd_300(duration_us: int) -> Any:
    return random_scene(
        300, width=1280, height=720, duration_us=duration_us, radius=5, speeds=(20, 2000), contrast=1,
        noise_hz=0.1, seed=SEED, separate=False,
    )  # fmt: skip


def vga_20(events_per_s: int) -> Recording:
    """Two seconds of 20 disks; the contrast is raised until the stream carries so many events."""
    contrast = 1.0
    while True:
        recording, _ = simulate(
            random_scene(20, width=640, height=480, duration_us=2_000_000, radius=5, speeds=(20, 2000),
                         contrast=contrast, noise_hz=0.1, seed=SEED, separate=False)
        )  # fmt: skip
        if len(recording) >= 2 * events_per_s:
            return recording
        contrast *= 1.02 * 2 * events_per_s / len(recording)


def three_channels(dt_us: int = 1000, side_radius: float = 5.0, channels: int = 3) -> Network:
    """One layer as in the notebook: a 13x13 ring, channels of different time constants and thresholds."""
    kernel = circular_kernel(side_radius, 2.2)
    a = np.geomspace(0.02, 0.3, channels)
    v_th = np.geomspace(1.0, 6.0, channels)
    return Network(dt_us, (Layer.from_arrays(kernel, LIFBox(a / (dt_us * 1e-6), v_th)),))


def two_layers() -> Network:
    """The same with inhibition and smoothing behind it, without a trail filter."""
    return with_selection(three_channels(), centre_px=1.6, surround_px=5.0, reach_px=10.0, hold_us=15_000)


NETWORKS: dict[str, Callable[[], Network]] = {
    "layer 1, three channels": three_channels,
    "two layers, three channels": two_layers,
    "two layers, trail filter (detect)": lambda: calibrate(BANDS, 5.0, crossing_share=1.0),
}


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
    return [
        native_row(name, network(), recording, threads, runs)
        for name, network in NETWORKS.items()
        for threads in (1, 2)
    ]


def norse_rows(recording: Recording, effort: Effort, rows: list[Row]) -> list[Row]:
    """The networks without a trail filter, which Norse does not have; none where it is not installed.

    torch has two convolutions on a CPU, oneDNN's and its own; on some processors one is several times slower, so that
    both run one tick, and the faster one then runs them all.
    """
    try:
        import torch

        from velocell.engines.norse import SpikingNetwork
    except ImportError:
        return []
    (width, height), ticks, result = effort.norse_size, effort.norse_ticks, []
    for name in list(NETWORKS)[:2]:
        network = NETWORKS[name]()
        dense = recording.between(stop_us=ticks * network.dt_us).to_dense(network.dt_us).sum(axis=1)
        frames = torch.from_numpy(np.ascontiguousarray(dense[:, :height, :width]))
        module = SpikingNetwork(network)
        area = recording.width * recording.height / (width * height)
        for threads in (1, 2):
            torch.set_num_threads(threads)
            one = {name: norse_seconds(module, frames[:1], name, 1) for name in ("oneDNN", "torch")}
            faster, slower = sorted(one, key=one.__getitem__)
            per_tick = norse_seconds(module, frames, faster, 3) * area / ticks
            whole = per_tick * recording.duration_us / network.dt_us
            ratio = whole / next(r["seconds"] for r in rows if (r["network"], r["threads"]) == (name, threads))
            result.append({"network": name, "threads": threads, "ticks run": ticks, "convolution": faster,
                           "s per tick": per_tick, "with the other": one[slower] * area,
                           "s for the scene": whole, "native is faster by": ratio})  # fmt: skip
    return result


def norse_seconds(module: Any, frames: Any, convolution: str, runs: int) -> float:
    import torch

    torch.backends.mkldnn.enabled = convolution == "oneDNN"  # type: ignore[assignment]
    try:
        with torch.no_grad():
            return float(np.median(seconds_of(partial(module, frames), runs)))
    finally:
        torch.backends.mkldnn.enabled = True  # type: ignore[assignment]


def curve_rows(effort: Effort) -> list[Row]:
    """One quantity at a time is varied around the same case: uniform events of 1 s on 640x360."""
    rng = np.random.default_rng(SEED)
    n = effort.curve_events

    def uniform(events: int) -> Recording:
        t = np.sort(rng.integers(0, 1_000_000, events))
        x, y = rng.integers(0, 640, events), rng.integers(0, 360, events)
        return Recording.from_arrays(t, x, y, width=640, height=360, start_us=0, stop_us=1_000_000)

    few, many = uniform(n), uniform(10 * n)
    cases = [("events", events, uniform(events), three_channels(), 1) for events in (n // 10, n // 3, n, 3 * n)]
    cases.append(("events", 10 * n, many, three_channels(), 1))
    # The same place for the same event: only the sensor around it grows.
    for width, height in ((640, 360), (960, 540), (1280, 720), (2560, 1440)):
        cases.append(("pixels", width * height, replace(few, width=width, height=height), three_channels(), 1))
    for radius in (1.0, 3.0, 5.0, 10.0, 20.0):
        network = three_channels(side_radius=radius)
        cases.append(("kernel side", network.layers[0].kernel.shape[-1], few, network, 1))
    cases += [("channels", channels, few, three_channels(channels=channels), 1) for channels in (1, 2, 3, 6, 12)]
    cases += [("threads", threads, many, three_channels(), threads) for threads in (1, 2, 3, 4)]
    rows = []
    for varied, value, recording, network, threads in cases:
        row = native_row("", network, recording, threads, effort.runs)
        rows.append({"varied": varied, "value": int(value), "events": len(recording), "threads": threads}
                    | {key: row[key] for key in ("Mev/s", "min", "max", "seconds")})  # fmt: skip
    return rows


def step_rows(effort: Effort) -> list[Row]:
    recording = vga_20(effort.step_events_per_s)
    network = calibrate(BANDS, 5.0, crossing_share=1.0)
    rows = []
    for threads in (1, 2):
        state = native.init(network, recording.size, threads=threads)
        detector = Detector(network, recording.size, 1000)
        times = []
        for block in recording.chunks(1000):
            started = time.perf_counter()
            state, spikes = native.step(network, state, block, block.stop_us, final_only=True)  # as live does
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
recording, truth = simulate(hd_300(int(sys.argv[2])))
write_npz(recording, sys.argv[1] + "/hd.npz")
truth.write(sys.argv[1] + "/truth.csv")
print(len(recording))
"""


DETECT = """
import atexit, pathlib, sys
from velocell.cli import main
peak = sys.argv.pop(1)
atexit.register(lambda: pathlib.Path(peak).write_text(pathlib.Path("/proc/self/status").read_text()))
main()
"""


def detect_rows(duration_us: int, runs: int) -> list[Row]:
    """The whole command in a process of its own, which tells its peak memory itself (Linux): what the
    system tells a parent starts with what the parent holds."""
    with tempfile.TemporaryDirectory() as folder:
        made = subprocess.run(
            [sys.executable, "-c", MAKE_HD, folder, str(duration_us)], check=True, capture_output=True, text=True
        )
        events = int(made.stdout)
        bands = ",".join(f"{edge:g}" for edge in BANDS)
        status = Path(folder, "status")
        command = ["detect", f"{folder}/hd.npz", "--radius", "5", "--bands", bands, "-o", f"{folder}/out.csv"]
        program = [sys.executable, "-c", DETECT, str(status), *command]
        times, peaks = [], []
        for _ in range(runs):
            started = time.perf_counter()
            subprocess.run(program, check=True, stderr=subprocess.DEVNULL)
            times.append(time.perf_counter() - started)
            line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
            peaks.append(float(line.split()[1]) / 1024)
        seconds = float(np.median(times))
        scores = evaluate(Tracks.read(f"{folder}/out.csv"), Tracks.read(f"{folder}/truth.csv"), BANDS)
    return [{"Mev/s": events / seconds / 1e6, "seconds": seconds, "peak MB": float(np.median(peaks)),
             "recall": scores.recall, "precision": scores.precision,
             "band accuracy": scores.band_accuracy}]  # fmt: skip


def machine() -> Row:
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        processor = names[0] if names else processor
    return {
        "processor": processor, "cores": os.cpu_count(), "system": platform.platform(),
        "python": platform.python_version(), "numpy": np.__version__,
        "norse": version_of("norse"), "velocell": __version__,
    }  # fmt: skip


def version_of(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def show(title: str, rows: list[Row]) -> None:
    print(f"## {title}\n")
    if rows:
        print("| " + " | ".join(rows[0]) + " |\n" + "|---" * len(rows[0]) + "|")
    for row in rows:
        print("| " + " | ".join(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values()) + " |")
    print(flush=True)


if __name__ == "__main__":
    main()
