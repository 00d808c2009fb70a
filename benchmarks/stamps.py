"""Coarse time stamps: `python -m benchmarks.stamps [--seeds 3] [--out FILE]`.

Scenes of separate disks, their stamps cut down to a step, scored against the truth as it was. `frames`: one event of a
pixel and step at most, in the order of the pixels; `rows`: each row is read once a step, at its own time. Every row is
the mean over the seeds; bands and radius are given, the step is measured.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from velocell.data.recording import Recording
from velocell.data.stamps import time_step
from velocell.data.units import format_time
from velocell.pipeline import detect
from velocell.results.evaluate import evaluate
from velocell.simulate import random_scene, simulate

FIRST_SEED = 81_000
WIDE = (40.0, 160.0, 640.0, 2200.0)
SLOW = (10.0, 40.0, 100.0, 220.0)


def floored(recording: Recording, step_us: int) -> Recording:
    start = recording.start_us // step_us * step_us
    return replace(recording, t_us=recording.t_us // step_us * step_us, start_us=start)


def frames(recording: Recording, step_us: int) -> Recording:
    cut = floored(recording, step_us)
    pixel = cut.y.astype(np.int64) * cut.width + cut.x
    order = np.lexsort((pixel, cut.t_us))
    last = np.append((np.diff(cut.t_us[order]) != 0) | (np.diff(pixel[order]) != 0), True)
    return _picked(cut, order[last])


def rows(recording: Recording, step_us: int) -> Recording:
    phase = recording.y.astype(np.int64) * step_us // recording.height
    t_us = (recording.t_us - phase) // step_us * step_us + phase + step_us
    late = replace(recording, t_us=t_us, stop_us=recording.stop_us + step_us)
    return _picked(late, np.argsort(t_us, kind="stable"))


def _picked(recording: Recording, which: np.ndarray) -> Recording:
    p = None if recording.p is None else recording.p[which]
    return replace(recording, t_us=recording.t_us[which], x=recording.x[which], y=recording.y[which], p=p)


READOUTS = {"": floored, " frames": frames, " rows": rows}
Case = tuple[float, tuple[float, float], tuple[float, ...], int, str]
CASES: list[Case] = [
    *((radius, (60.0, 2000.0), WIDE, step, "") for radius in (6.0, 8.0) for step in (1, 204, 1_000)),
    (6.0, (60.0, 2000.0), WIDE, 1_000, " frames"),
    (6.0, (60.0, 2000.0), WIDE, 1_000, " rows"),
    (6.0, (700.0, 2000.0), WIDE, 1_000, ""),
    (6.0, (15.0, 190.0), SLOW, 1, ""),
    (6.0, (15.0, 190.0), SLOW, 10_000, ""),
]
LIMITS = [
    (radius, (top / 6, 0.9 * top), (top / 32, top / 8, top / 2, top), 1_000, "")
    for radius in (4.0, 6.0, 10.0)
    for top in (2200.0, 3000.0, 4500.0, 6000.0)
]


def row(case: Case, seeds: int) -> str:
    radius, speeds, bands, step_us, readout = case
    found = []
    step = None
    for seed in range(seeds):
        scene = random_scene(
            4, width=320, height=240, radius=radius, speeds=speeds, contrast=3, noise_hz=0.2, seed=FIRST_SEED + seed
        )
        recording, truth = simulate(scene)
        cut = READOUTS[readout](recording, step_us)
        step = time_step(cut)
        tracks = detect(cut, bands, radius, keep_spikes=False).tracks
        scores = evaluate(tracks, truth, bands)
        values = (scores.recall, scores.precision, scores.band_accuracy)
        found.append((*values, scores.localisation_median_px, 100 * scores.speed_error_median))
    recall, precision, band, place, speed = np.nanmean(found, axis=0)
    assert step is not None
    measured = format_time(step.us) + (f", {step.scanned}" if step.scanned else "")
    way = speeds[1] * step_us * 1e-6
    return (
        f"| {radius:g} | {speeds[0]:.0f}-{speeds[1]:.0f} | {format_time(step_us)}{readout} | {measured} | {way:.2g} | "
        f"{recall:.3f} | {precision:.3f} | {band:.3f} | {place:.2f} | {speed:.1f} % |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    columns = "R px | px/s | stamps | measured | px a step | recall | precision | band accuracy | median px | speed"
    head = [f"| {columns} |", "|---" * (columns.count("|") + 1) + "|"]
    lines = ["# Coarse time stamps", "", f"Made by `python -m benchmarks.stamps --seeds {arguments.seeds}`.", ""]
    for title, cases in (("Steps", CASES), ("How far a step may reach", LIMITS)):
        lines += [f"## {title}", "", *head, *(row(case, arguments.seeds) for case in cases), ""]
    text = "\n".join(lines)
    print(text)
    if arguments.out:
        arguments.out.write_text(text)


if __name__ == "__main__":
    main()
