"""One rival on one scene: its rows, their figures, and what they cost."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rivals.interface import EVERY_US, Rival, RivalError, Values
from benchmarks.rivals.methods import rival as named
from benchmarks.rivals.scorer.disk_scores import Table, score
from benchmarks.rivals.tasks import STANDING, TASKS, SceneOf
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks

Run = dict[str, Any]


def run(rival: Rival, scene: SceneOf, values: Values, head_us: int | None = None) -> Run:
    """The figures of the scorer, and cpu_s, events, latency_ms. head_us: only so much of the scene's beginning."""
    recording, truth = scene.made
    if head_us is not None:
        recording = recording.head(head_us)
        truth = truth.where(truth.t_us < recording.stop_us)
    started = time.process_time()
    rows = rival.track(recording, scene.radius, scene.task.bands, values)
    cpu_s = float(rows.meta.get("cpu_s", time.process_time() - started))
    return {**scored(scene, recording, rows, truth, cpu_s), "cpu_s": round(cpu_s, 4), "events": len(recording)}


def scored(scene: SceneOf, recording: Recording, rows: Tracks, truth: Tracks, cpu_s: float = 0.0) -> Run:
    """latency_ms: of each object, from its appearance to its first right row, and the time that the events of a
    reporting interval take to be worked on."""
    inside = (rows.t_us >= recording.start_us) & (rows.t_us <= recording.stop_us)
    if scene.task.partial:  # where the truth says nothing, rows are neither right nor wrong
        inside &= _near(rows.t_us, truth.t_us)
    table = Table.of(_columns(rows.where(inside)))
    figures = score(
        table, Table.of(_columns(truth)), scene.task.edges, span_us=(recording.start_us, recording.stop_us),
        every_us=EVERY_US, radius_px=scene.radius,
    )  # fmt: skip
    busy_ms = cpu_s * 1e3 * EVERY_US / max(recording.duration_us, 1)
    figures["latency_ms"] = [round(first + busy_ms, 3) for first in figures.pop("first_rows_ms")]
    return figures


def _columns(table: Tracks) -> dict[str, np.ndarray]:
    return {name: values for name, values in table.columns().items() if values.dtype.kind in "iuf"}


def _near(t_us: np.ndarray, known_us: np.ndarray) -> np.ndarray:
    at = np.clip(np.searchsorted(known_us, t_us), 1, known_us.size - 1)
    return np.asarray(np.minimum(np.abs(t_us - known_us[at]), np.abs(t_us - known_us[at - 1])) <= EVERY_US)


# --- memory, in a process of its own ------------------------------------------------------------------


def peak_mb(name: str, values: Values) -> float:
    """By how much the peak of the resident memory grows while the rival works on 200 ms of the first scene of
    `separate`. Raises RivalError."""
    command = [sys.executable, "-m", "benchmarks.rivals.measure", name, json.dumps(dict(values))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).resolve().parents[2])
    if done.returncode:
        raise RivalError(f"{name} could not be measured in a process of its own: {done.stderr.strip()[-200:]}")
    return float(done.stdout)


def _peak_kb(anew: bool = False) -> int:
    """Of this process. anew: Linux counts it from now on, so that what the imports took does not hide the work."""
    status = Path("/proc/self/status")
    if status.exists():
        if anew:
            Path("/proc/self/clear_refs").write_text("5")
        return int(status.read_text().split("VmHWM:")[1].split()[0])
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    rival, values = named(sys.argv[1]), json.loads(sys.argv[2])
    scene = TASKS["separate"].scene(STANDING, 0)
    recording, _ = scene.made
    recording = recording.head(200_000)
    rival.track(recording.head(20_000), scene.radius, scene.task.bands, values)  # what it imports is there
    before = _peak_kb(anew=True)
    rows = rival.track(recording, scene.radius, scene.task.bands, values)
    print(float(rows.meta.get("peak_mb", (_peak_kb() - before) / 1024)))


if __name__ == "__main__":
    main()
