"""What `velocell detect` takes of memory for long recordings, and of time for silent ones.

    python -m benchmarks.memory [--million 14 140] [--hd]

A scene is written over and over as EVT3, by our own writer, until the file has so many events: 60 disks on 640x480,
1.3 Mev/s, or with --hd HD-300 (1280x720, 2.7 Mev/s). Then ten hours and a year of silence and a little noise, in which
three disks pass now and then, and ten hours of noise alone (`--million` without a number: these alone). Each is one
`velocell detect` in a process of its own; peak of its resident memory.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.engine import hd_300
from velocell.data.blocks import joined
from velocell.data.recording import Recording
from velocell.formats import write_evt3, write_npz
from velocell.simulate import notebook_scene, random_scene, simulate

# Hours, s between passes (0: none), noise in Hz.
SPARSE = {"10 hours": (10, 600, 2.0), "a year": (8760, 7 * 86_400, 0.05), "10 hours of noise": (10, 0, 42.0)}

PROGRAM = "from velocell.cli import main; main()"
# On Linux a process begins with the peak of the one that starts it: a small one does, not this one, that has the scene.
STARTER = """
import os, sys
process = os.posix_spawn(sys.executable, [sys.executable, "-c", *sys.argv[1:]], os.environ)
_, status, used = os.wait4(process, 0)
print(status, used.ru_utime + used.ru_stime, used.ru_maxrss)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--million", type=float, nargs="*", default=[14.0, 140.0])
    parser.add_argument("--hd", action="store_true")
    arguments = parser.parse_args()
    scene = hd_300(1_000_000) if arguments.hd else random_scene(
        60, width=640, height=480, duration_us=2_000_000, radius=5, speeds=(20, 2000), contrast=2, noise_hz=0.5, seed=5,
        separate=False,
    )  # fmt: skip
    print("| recording | million events | CPU s | peak MB |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        events, _ = simulate(scene)
        for million in arguments.million:
            path = Path(folder, "long.raw")
            write_evt3(again_and_again(events, round(million * 1e6)), path)
            show(f"{events.width}x{events.height}", million, path, "20,93,430,2000")
        for name, (hours, every_s, noise_hz) in SPARSE.items():
            recording = sparse(hours, every_s, noise_hz)
            path = Path(folder, "sparse.npz")
            write_npz(recording, path)
            show(name, len(recording) / 1e6, path, "16,62,177,500")


def again_and_again(events: Recording, n: int) -> Iterator[Recording]:
    for k in range(-(-n // len(events))):
        yield later(events, k * events.duration_us)


def later(events: Recording, by_us: int) -> Recording:
    return replace(events, t_us=events.t_us + by_us, start_us=events.start_us + by_us, stop_us=events.stop_us + by_us)


def sparse(hours: int, every_s: int, noise_hz: float) -> Recording:
    passes, _ = simulate(notebook_scene())
    starts = range(0, hours * 3600, every_s) if every_s else ()
    whole = joined([later(passes, second * 1_000_000) for second in starts] or [passes.slice(0, 0)])
    rng = np.random.default_rng(1)
    n = int(hours * 3600 * noise_hz)
    t = np.concatenate([whole.t_us, rng.integers(0, hours * 3_600_000_000, n)])
    x, y = (np.concatenate([seen, rng.integers(0, 50, n)]) for seen in (whole.x, whole.y))
    assert whole.p is not None
    p = np.concatenate([whole.p, rng.random(n) < 0.5])
    order = np.argsort(t, kind="stable")
    return Recording.from_arrays(t[order], x[order], y[order], p[order], width=50, height=50)


def show(name: str, million: float, path: Path, bands: str) -> None:
    command = ["detect", str(path), "--bands", bands, "-o", str(path.with_suffix(".csv"))]
    started = time.perf_counter()
    starter = [sys.executable, "-c", STARTER, PROGRAM, *command]
    said = subprocess.run(starter, stdout=subprocess.PIPE, text=True, check=True).stdout
    status, cpu_s, peak_kb = said.split()
    if int(status):
        raise SystemExit(f"detect failed on {name} after {time.perf_counter() - started:.1f} s")
    print(f"| {name} | {million:.1f} | {float(cpu_s):.1f} | {int(peak_kb) / 1024:.0f} |", flush=True)


if __name__ == "__main__":
    main()
