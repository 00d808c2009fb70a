"""Shared by the children that are Python: NumPy only, run by the other environment's Python."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

EVENT = np.dtype([("t", "<i4"), ("x", "<i2"), ("y", "<i2"), ("p", "u1")])


class Job:
    """EVENTS WIDTH HEIGHT FIRST_US EVERY_US LAST_US VALUES, the last as JSON."""

    def __init__(self) -> None:
        path, width, height, first, every, last, values = sys.argv[1:8]
        self.events = np.fromfile(path, EVENT)
        self.size = (int(width), int(height))
        self.instants = range(int(first), int(last) + 1, int(every))
        self.every = int(every)
        self.values: dict[str, Any] = json.loads(values)
        self.lines: list[str] = []
        self.spent = 0.0

    def until(self, t: int) -> int:
        """Number of events up to the instant t, t itself included."""
        return int(np.searchsorted(self.events["t"], t, side="right"))

    def clock(self) -> _Clock:
        return _Clock(self)

    def row(self, t: int, number: int, x: float, y: float, vx: float | str = "", vy: float | str = "") -> None:
        self.lines.append(f"{t},{number},{x},{y},{vx},{vy}")

    def close(self) -> None:
        print("\n".join(self.lines))
        print(f"cpu_s={self.spent:.6f}", file=sys.stderr)
        # Not ru_maxrss, which begins with the size of the process that started this one.
        status = Path("/proc/self/status")
        for line in status.read_text().splitlines() if status.exists() else ():
            if line.startswith("VmHWM:"):
                print(f"peak_mb={int(line.split()[1]) / 1024:.1f}", file=sys.stderr)


class _Clock:
    """Adds the processor time of a block to the job's."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def __enter__(self) -> None:
        self.begun = time.process_time()

    def __exit__(self, *_: object) -> None:
        self.job.spent += time.process_time() - self.begun
