"""`velocell batch`: are its results those of `detect` alone, also killed and resumed, and what does it cost?

    python -m benchmarks.batch --recordings 300 --damaged 20 --moments 10
    python -m benchmarks.batch --cost --recordings 20 --seconds 5

The first makes recordings, some of them damaged, and compares every table with that of `detect`; it kills the program
with SIGKILL at random moments, and once a worker. The second compares the time of `detect`, which reads the recordings
in one process, with that of one worker and of two; CPU seconds are those of all processes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from velocell.data.tracks import Tracks
from velocell.formats import write_npz
from velocell.simulate import random_scene, simulate

BANDS = "40,160,640"
MAIN = [sys.executable, "-c", "from velocell.cli import main; main()"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--recordings", type=int, default=300)
    parser.add_argument("--damaged", type=int, default=20, help="of them")
    parser.add_argument("--seconds", type=float, default=0.5, help="length of a recording")
    parser.add_argument("--moments", type=int, default=10, help="times the program is killed")
    parser.add_argument("--cost", action="store_true", help="measure time instead")
    parser.add_argument("--repeats", type=int, default=3, help="of the measurement of time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        damaged = 0 if options.cost else options.damaged
        busy: dict[str, Any] = {"width": 640, "height": 480, "noise_hz": 0.5} if options.cost else {}
        make(place / "in", options.recordings, damaged, options.seconds, **busy)
        result = (
            cost(place, options.repeats)
            if options.cost
            else safety(place, options.recordings, damaged, options.moments)
        )
    print(json.dumps(result, indent=1))


def make(
    folder: Path,
    count: int,
    damaged: int,
    seconds: float,
    *,
    width: int = 200,
    height: int = 150,
    noise_hz: float = 0.1,
) -> None:
    """Recordings with three disks; the damaged ones are cut off."""
    folder.mkdir()
    every = count // damaged if damaged else count + 1
    for k in range(count):
        scene = random_scene(
            3, width=width, height=height, duration_us=round(seconds * 1e6), radius=5.0, speeds=(50, 500),
            noise_hz=noise_hz, seed=k,
        )  # fmt: skip
        path = folder / f"r{k:04}.npz"
        write_npz(simulate(scene)[0], path)
        if k % every == every - 1 and k // every < damaged:
            path.write_bytes(path.read_bytes()[: 1000 + 10 * k])


def safety(place: Path, count: int, damaged: int, moments: int) -> dict[str, object]:
    started = time.perf_counter()
    code, said = finish(start(place, "whole"))
    seconds = time.perf_counter() - started
    whole = contents(place / "whole")
    lines = [json.loads(line) for line in (place / "whole" / "batch.jsonl").read_text().splitlines()]
    failed = [line["name"] for line in lines if line["status"] == "failed"]
    found: dict[str, object] = {
        "recordings": count,
        "exit_code": code,
        "done": len(lines) - len(failed),
        "failed_named": sum(name in said for name in failed),
        "failed": len(failed),
        "as_detect_alone": alike(place, lines),
        "seconds": round(seconds, 1),
    }
    chance = np.random.default_rng(0)
    killed = 0
    for moment in sorted(chance.uniform(0.05, 0.95, moments)):
        process = start(place, "killed")
        time.sleep(moment * seconds / max(moments, 1) * 2 + 2)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        finish(process)
    finish(start(place, "killed"))
    found |= {"killed_at": killed, "killed_and_resumed_same_bytes": contents(place / "killed") == whole}
    process = start(place, "lost")
    time.sleep(seconds / 3)
    kill_worker(process.pid)
    finish(process)
    return found | {"worker_killed_same_bytes": contents(place / "lost") == whole}


def start(place: Path, out: str, *more: str) -> subprocess.Popen[str]:
    words = ["batch", str(place / "in"), "-o", str(place / out), "--bands", BANDS, *more]
    return subprocess.Popen([*MAIN, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, said = process.communicate()
    return process.returncode, said


def kill_worker(pid: int) -> None:
    """One of the workers, with the recording that it has."""
    import psutil

    for child in psutil.Process(pid).children(recursive=True):
        if "velocell.cli.child" in child.cmdline():
            worker = child.parent()
            if worker is not None:
                worker.kill()
            return


def contents(folder: Path) -> dict[str, bytes]:
    """Everything but the log of attempts, which has times."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name not in ("log.jsonl", ".lock")
    }


def alike(place: Path, lines: list[dict[str, object]]) -> int:
    """How many tables are, byte for byte, those that `detect` writes."""
    same = 0
    for line in lines:
        if line["status"] == "done":
            assert isinstance(line["outputs"], dict)
            Tracks.read(place / "whole" / line["outputs"]["tracks"]).write(place / "batch.csv")
            subprocess.run(
                [*MAIN, "detect", str(line["source"]), "-o", str(place / "alone.csv"), "--bands", BANDS],
                check=True, capture_output=True,
            )  # fmt: skip
            files = (
                (place / f"{name}.csv{end}").read_bytes() for end in ("", ".meta.json") for name in ("batch", "alone")
            )
            first, second, meta, other = files
            same += first == second and meta == other
    return same


def cost(place: Path, repeats: int) -> dict[str, object]:
    files = sorted(map(str, (place / "in").iterdir()))
    ways = {
        "detect": [*MAIN, "detect", *files, "-o", str(place / "all.parquet"), "--bands", BANDS],
        "one_worker": [*MAIN, "batch", *files, "-o", str(place / "out"), "--bands", BANDS, "--workers", "1"],
        "two_workers": [*MAIN, "batch", *files, "-o", str(place / "out"), "--bands", BANDS, "--workers", "2"],
    }
    # Compiled modules, as an installed package has them.
    environment = {**os.environ, "VELOCELL_THREADS": "1", "PYTHONDONTWRITEBYTECODE": ""}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, words in ways.items():
            shutil.rmtree(place / "out", ignore_errors=True)
            before, started = _cpu(), time.perf_counter()
            subprocess.run(words, check=True, capture_output=True, env=environment)
            times[name].append((time.perf_counter() - started, _cpu() - before))
    medians = {name: np.median(np.array(each), axis=0) for name, each in times.items()}
    return {
        "recordings": len(files),
        "wall_s": {name: round(float(each[0]), 1) for name, each in medians.items()},
        "cpu_s": {name: round(float(each[1]), 1) for name, each in medians.items()},
        "two_workers_times_one": round(float(medians["one_worker"][0] / medians["two_workers"][0]), 2),
        "cpu_over_detect": round(float(medians["one_worker"][1] / medians["detect"][1] - 1), 3),
    }


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
