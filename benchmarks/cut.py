"""A long recording cut in parts against `detect` on the whole: `python -m benchmarks.cut --seconds 90 --parts 8`.

Both run at the same time, each in processes of their own: `detect` in one, the steps of the recording in parts one
after the other. Given are seconds of CPU, which other work on the machine hardly changes, and what they come to on two
cores: `detect` at best, with its two threads always busy, and the parts shared by two workers. With --wall both are
timed by the clock too, in turn. Compared are spikes and rows, and the scores of both tables; measured are the most
memory of each step's process, and how long a part in the middle takes to open.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from velocell.batch.folder import opened
from velocell.batch.inputs import find_inputs
from velocell.batch.run import Batch
from velocell.batch.stitch import pairs
from velocell.batch.task import CHILD
from velocell.data.spikes import Spikes
from velocell.data.tracks import Tracks
from velocell.formats import open_recording, write_evt3
from velocell.results.evaluate import evaluate
from velocell.simulate import random_scene, simulate

BANDS = "20,60,180,500"
MAIN = [sys.executable, "-c", "from velocell.cli import main; main()"]
# The kernel's count for a child that is gone starts with what its parent held; a process's own does not.
MEASURED = """
from velocell.cli import main
try:
    main()
finally:
    print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=90.0, help="of the recording; 90 s are 340 MB")
    parser.add_argument("--parts", type=int, default=8)
    parser.add_argument("--wall", type=int, default=0, metavar="N", help="time both by the clock too, N times in turn")
    parser.add_argument("--keep", type=Path, help="a folder for the files, kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = options.keep or Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        path, truth = made(place, options.seconds)
        found = compared(place, path, truth, options.parts)
        if options.wall:
            found |= timed(place, path, options.parts, options.wall)
        print(json.dumps(found, indent=1))


def made(place: Path, seconds: float) -> tuple[Path, Path]:
    """40 disks and noise, 0.7 million events a second, as EVT3, and the truth; taken up where they are there."""
    path, truth = place / f"long-{seconds:g}.raw", place / f"long-{seconds:g}.truth.csv"
    if not (path.exists() and truth.exists()):
        scene = random_scene(
            40, width=640, height=480, duration_us=int(seconds * 1e6), speeds=(20.0, 480.0), noise_hz=1.0, seed=3
        )
        recording, known = simulate(scene, truth_every_us=10_000)
        write_evt3([recording], path)
        known.write(truth)
    return path, truth


def compared(place: Path, path: Path, truth: Path, parts: int) -> dict[str, Any]:
    whole_csv, whole_npz = place / "whole.csv", place / "whole.npz"
    words = [
        sys.executable,
        "-c",
        MEASURED,
        "detect",
        str(path),
        "-o",
        str(whole_csv),
        "--bands",
        BANDS,
        "--spikes",
        str(whole_npz),
    ]
    environment = {**os.environ, "VELOCELL_THREADS": "1"}
    detect = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert detect.stdout is not None
    job = Batch({"bands": BANDS}, ("spikes",), parts=parts)
    with opened(place / "out", job.settings()) as folder:
        (each,) = job.jobs(folder, find_inputs([path], place / "out"))
        steps = [("plan", 0), *(("part", k) for k in range(parts)), ("together", 0)]
        cost = [(step, *run_step({**each, "step": step, "number": k})) for step, k in steps]
    memory, cpu_s = megabytes(detect.stdout.read()), used(detect)
    plan, together = cost[0][2], cost[-1][2]
    each_part = [cpu for step, _, cpu, _ in cost if step == "part"]
    outcome = cost[-1][1]
    print(json.dumps({"detect": cpu_s, "steps": [(s, c, m) for s, _, c, m in cost]}), file=sys.stderr)
    tables = Tracks.read(whole_csv), Tracks.read(place / "out" / outcome["outputs"]["tracks"])
    spikes = Spikes.from_npz(whole_npz), Spikes.from_npz(place / "out" / outcome["outputs"]["spikes"])
    on_two = plan + shared(each_part, 2) + together
    index = next((place / "out" / "index").iterdir())
    return {
        "MB": round(path.stat().st_size / 1e6),
        "events": outcome["events"],
        "spikes": len(spikes[0]),
        "same_spikes": spikes[0].same_as(spikes[1]),
        "cut": tables[1].meta["inputs"][0]["cut"],
        "cpu_s": {"detect": cpu_s, "plan": plan, "parts": each_part, "together": together},
        "two_workers_over_detect": {
            "on_one_core": round(on_two / cpu_s, 2), "on_two_always_busy": round(2 * on_two / cpu_s, 2),
        },
        "memory_MB": {"detect": memory, **{step: max(m for s, _, _, m in cost if s == step) for step, *_ in cost}},
        "rows": differences(*tables),
        "scores": [scores(table, truth) for table in tables],
        "open_ms": opening(path, index),
    }  # fmt: skip


def run_step(job: dict[str, Any]) -> tuple[dict[str, Any], float, float]:
    """Its outcome, seconds of CPU and memory in MB, in a process as a worker starts it."""
    child = subprocess.Popen(CHILD, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(json.dumps(job) + "\n")
    child.stdin.flush()
    outcome: dict[str, Any] = json.loads(child.stdout.readline())
    if outcome["error"]:
        raise SystemExit(outcome["error"])
    memory = megabytes(Path(f"/proc/{child.pid}/status").read_text())
    child.stdin.close()
    return outcome, used(child), memory


def megabytes(status: str) -> int:
    """The most memory that a process held, of its `status` in Linux."""
    return round(int(status.split("VmHWM:")[1].split()[0]) / 1024)


def used(process: subprocess.Popen[Any]) -> float:
    """Seconds of CPU, once it is gone."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return round(usage.ru_utime + usage.ru_stime, 1)


def shared(times: list[float], workers: int) -> float:
    """When the last of these is done, each taken by the worker that is free first."""
    free = [0.0] * workers
    for each in times:
        free.sort()
        free[0] += each
    return max(free)


def differences(whole: Tracks, cut: Tracks) -> dict[str, Any]:
    """Rows of both at the same instants and of the same objects, and how far apart they are."""
    # Objects are known by where they are at every tenth of a second.
    seldom = [{k: v[t.t_us % 100_000 == 0] for k, v in t.columns().items()} for t in (whole, cut)]
    same = pairs(*seldom)
    at = {(t, i): k for k, (t, i) in enumerate(zip(whole.t_us.tolist(), whole.id.tolist(), strict=True))}
    found = [at.get((t, same.get(i, -1)), -1) for t, i in zip(cut.t_us.tolist(), cut.id.tolist(), strict=True)]
    index = np.array(found)
    both = np.flatnonzero(index >= 0)
    apart = np.hypot(cut.x_px[both] - whole.x_px[index[both]], cut.y_px[both] - whole.y_px[index[both]])
    return {
        "whole": len(whole),
        "cut": len(cut),
        "objects": [int(np.unique(table.id).size) for table in (whole, cut)],
        "of_the_whole_with_the_same_id": round(both.size / len(whole), 5),
        "equal": round(float(np.mean(apart == 0)), 5),
        "apart_px": {f"{q:g}": round(float(np.quantile(apart, q)), 4) for q in (0.5, 0.9, 0.99, 0.999)},
        "other_band": round(float(np.mean(cut.band[both] != whole.band[index[both]])), 5),
    }


def scores(table: Tracks, truth: Path) -> dict[str, float]:
    found = evaluate(table, Tracks.read(truth), [float(edge) for edge in BANDS.split(",")])
    return {name: round(getattr(found, name), 4) for name in ("recall", "precision", "band_accuracy")}


def opening(path: Path, index: Path) -> dict[str, float]:
    """To the first events of a part in the middle, the best of five: with the index, and without."""
    source = open_recording(path, index=index)
    middle_us = source.marks.before_us[len(source.marks.before_us) // 2] + 1
    times: dict[str, list[float]] = {"index": [], "none": []}
    for name, used_index, repeats in (("index", index, 5), ("none", None, 1)):
        for _ in range(repeats):
            started = time.perf_counter()
            next(open_recording(path, index=used_index).blocks(middle_us, middle_us + 1_000))
            times[name].append(1e3 * (time.perf_counter() - started))
    return {name: round(min(each), 1) for name, each in times.items()}


def timed(place: Path, path: Path, parts: int, repeats: int) -> dict[str, Any]:
    """Seconds by the clock, in turn."""
    import shutil

    ways = {
        "detect": [*MAIN, "detect", str(path), "-o", str(place / "wall.csv"), "--bands", BANDS],
        "batch": [*MAIN, "batch", str(path), "-o", str(place / "wall"), "--bands", BANDS, "--parts", str(parts),
                  "--workers", "2"],
    }  # fmt: skip
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, words in ways.items():
            shutil.rmtree(place / "wall", ignore_errors=True)
            started = time.perf_counter()
            subprocess.run(words, check=True, capture_output=True)
            taken[name].append(round(time.perf_counter() - started, 1))
    return {"wall_s": taken, "wall_ratio": round(float(np.median(taken["batch"]) / np.median(taken["detect"])), 2)}


if __name__ == "__main__":
    main()
