"""What clutter costs: `python -m benchmarks.clutter [--seconds 5] [--runs 1] [--only WORD] [--out docs/clutter.md]`.

Scenes and recordings in which far more events come from texture, flicker or lamps than from any disk, run as `velocell
detect` runs them: read block by block, cleaned, calibrated, followed. Times are of the CPU (user, all threads), so
that they hold on a machine that is shared; a row is the median of `--runs`. The first row is for comparison: nothing
but disks. Recordings from `../shared/data` that are shorter than `--seconds` are repeated one after the other.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from velocell import formats, pipeline
from velocell.calibration.search import Search
from velocell.data.arrays import Floats
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks
from velocell.filters.chain import Cleaning
from velocell.filters.reading import FilePart
from velocell.formats import open_recording, write_npz
from velocell.results.evaluate import evaluate
from velocell.simulate import Flicker, Scene, random_scene, simulate
from velocell.tracking.detector import Crowding
from velocell.tracking.rules import DEFAULTS, Rules

SEED = 96_000
BANDS = (40.0, 160.0, 640.0, 1800.0)
RADIUS = 5.0
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
WIDTH, HEIGHT = 320, 240


@dataclass(frozen=True)
class Case:
    """make: a recording of so many seconds, with its truth where disks are in it."""

    name: str
    make: Callable[[float], tuple[Recording, Tracks | None]]
    radius: float = RADIUS


@dataclass(frozen=True)
class Cost:
    """Of one run: CPU seconds to look through the file, to calibrate, and to follow; what came of it."""

    opened_s: float
    calibrated_s: float
    followed_s: float
    tracks: Tracks
    crowding: Crowding

    @property
    def total_s(self) -> float:
        return self.opened_s + self.calibrated_s + self.followed_s


# --- the clutter ------------------------------------------------------------------------------------------------------


def disks(seconds: float, *more: Flicker, count: int = 4, noise_hz: float = 0.2) -> tuple[Recording, Tracks]:
    scene = random_scene(
        count, width=WIDTH, height=HEIGHT, radius=RADIUS, speeds=(60, 900), contrast=3, noise_hz=noise_hz, seed=SEED,
        duration_us=round(1e6 * seconds),
    )  # fmt: skip
    return simulate(Scene(**{**vars(scene), "flicker": more}))


def crossing(seconds: float) -> tuple[Recording, Tracks]:
    """Nothing but disks: a hundred, on a larger sensor."""
    scene = random_scene(
        100, width=640, height=480, radius=RADIUS, speeds=(60, 900), contrast=3, noise_hz=0.2, seed=SEED,
        duration_us=round(1e6 * seconds), separate=False,
    )  # fmt: skip
    return simulate(scene)


def texture(seconds: float, speed: float = 120.0, spot_px: float = 6.0, levels: float = 3.0) -> tuple[Recording, None]:
    """A soft random texture that fills the picture moves through it from right to left: each pixel gives an event at
    each whole level that the texture crosses there; levels: twice its standard deviation."""
    rng = np.random.default_rng(SEED)
    blur = np.exp(-0.5 * (np.arange(-32, 33) / (spot_px / 2)) ** 2)
    level: Floats = rng.standard_normal((HEIGHT + 64, round(WIDTH + speed * seconds) + 66))
    for axis in (0, 1):
        level = np.asarray(np.apply_along_axis(np.convolve, axis, level, blur, "valid"), np.float64)
    level *= levels / 2 / level.std()
    floor = np.floor(level).astype(np.int64)
    steps = np.diff(floor, axis=1)
    where, row, on = [], [], []
    for k in range(1, int(np.abs(steps).max()) + 1):
        at = np.nonzero(np.abs(steps) >= k)
        up = steps[at] > 0
        crossed = np.where(up, floor[:, :-1][at] + k, floor[:, :-1][at] - k + 1)
        where.append(at[1] + (crossed - level[:, :-1][at]) / np.diff(level, axis=1)[at])
        row.append(at[0])
        on.append(up)
    place, y, p = (np.concatenate(parts) for parts in (where, row, on))
    parts = []
    for column in range(WIDTH):
        us = (np.asarray(place, np.float64) - column) * (1e6 / speed)
        seen = (us >= 0) & (us < 1e6 * seconds)
        parts.append((us[seen].astype(np.int64), np.full(int(seen.sum()), column, np.uint16), y[seen], p[seen]))
    t, x, y, p = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(t, kind="stable")
    return (
        Recording.from_arrays(
            t[order], x[order], y[order], p[order], width=WIDTH, height=HEIGHT, stop_us=round(1e6 * seconds)
        ),
        None,
    )


def flicker(seconds: float) -> tuple[Recording, Tracks]:
    """Twelve patches between 5 and 60 Hz, most of them slower than any lamp."""
    rng = np.random.default_rng(SEED)
    patches = (
        Flicker(rng.uniform(20, 300), rng.uniform(20, 220), rng.uniform(5, 15), frequency_hz=rng.uniform(5, 60))
        for _ in range(12)
    )
    return disks(seconds, *patches)


def large_patches(seconds: float) -> tuple[Recording, None]:
    """Three patches of 30 px, of 20, 33 and 46 Hz, and no disk."""
    patches = tuple(Flicker(60 + 100 * k, 60 + 80 * (k % 2), 30, frequency_hz=20 + 13 * k) for k in range(3))
    return simulate(Scene(WIDTH, HEIGHT, round(1e6 * seconds), seed=SEED, noise_hz=0.2, flicker=patches))[0], None


def lamp(seconds: float) -> tuple[Recording, Tracks]:
    """A tenth of the pixels under a lamp of 100 Hz."""
    return disks(seconds, Flicker(160, 120, 43.8, shape="square", contrast=2.0, frequency_hz=100.0))


def repeated(name: str) -> Callable[[float], tuple[Recording, None]]:
    def make(seconds: float) -> tuple[Recording, None]:
        once = formats.read(DATA / name)
        times = max(int(np.ceil(1e6 * seconds / once.duration_us)), 1)
        t = np.concatenate([once.t_us - once.start_us + k * once.duration_us for k in range(times)])
        x, y, p = (None if column is None else np.tile(column, times) for column in (once.x, once.y, once.p))
        assert x is not None
        assert y is not None
        return Recording.from_arrays(t, x, y, p, width=once.width, height=once.height), None

    return make


CASES = (
    Case("100 disks that cross", crossing),
    Case("texture that moves", texture),
    Case("flicker, 12 patches of 5-60 Hz", flicker),
    Case("flicker, 3 patches of 60 px", large_patches),
    Case("the same, disks of R = 30 wanted", large_patches, 30.0),
    Case("lamp of 100 Hz on a tenth", lamp),
    Case("hands (gestures_dvs128.aedat4)", repeated("gestures_dvs128.aedat4")),
    Case("moving camera (moving_camera_davis.aedat)", repeated("moving_camera_davis.aedat")),
)


# --- running ----------------------------------------------------------------------------------------------------------


def cpu_s() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def run(path: Path, radius: float, rules: Rules = DEFAULTS, cleaning: Cleaning | None = None) -> Cost:
    """Detect in a file, as the command line does."""
    started = cpu_s()
    part = FilePart(open_recording(path), Cleaning() if cleaning is None else cleaning)
    opened = cpu_s()
    found = pipeline.findings(part, Search.of(BANDS, radius, rules=rules), keep_spikes=False)
    calibrated = cpu_s()
    columns = [columns for columns, _ in found.pieces]
    followed = cpu_s()
    joined = {name: np.concatenate([one[name] for one in columns]) for name in columns[0]}
    return Cost(
        opened - started, calibrated - opened, followed - calibrated, Tracks.from_columns(joined), found.crowding
    )


def row(case: Case, seconds: float, runs: int, folder: Path) -> str:
    recording, truth = case.make(seconds)
    path, events, lasts = folder / "scene.npz", len(recording), recording.duration_us * 1e-6
    write_npz(recording, path)
    del recording
    costs = sorted((run(path, case.radius) for _ in range(runs)), key=lambda cost: cost.total_s)
    cost = costs[len(costs) // 2]
    scores = None if truth is None or not len(truth) else evaluate(cost.tracks, truth, BANDS)
    share = cost.crowding.crowded / max(cost.crowding.births, 1)
    cells = [
        f"{events / 1e6:.2f} M", f"{events / cost.total_s / 1e6:.2f}", f"{cost.total_s / lasts:.2f}",
        f"{100 * cost.calibrated_s / cost.total_s:.0f} %", f"{100 * share:.0f} %",
        "" if scores is None else f"{scores.recall:.3f}", "" if scores is None else f"{scores.precision:.3f}",
        f"{10 * np.unique(cost.tracks.id).size / lasts:.1f}" if scores is None else "",
    ]  # fmt: skip
    return f"| {case.name} | {' | '.join(cells)} |"


COLUMNS = (
    "scene", "events", "Mev/s", "CPU s per s", "calibrating", "crowded", "recall", "precision", "false tracks per 10 s",
)  # fmt: skip


ABOUT = (
    "The recording of hands has 25 thousand events a second: what it costs is by its time (the ticks of the network,",
    "calibrating, the looks at tracks), not by its events. A texture that fills the picture differs from noise in what",
    "comes next to each event; where places are full of candidates, a track must look like a disk for some way (rules",
    "`jammed_odds`, `jammed_travel_px`). Some spots of a texture are as round as disks, and move like them.",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--only", default="", help="rows whose name has this in it")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    lines = [
        "# What clutter costs", "",
        f"Made by `python -m benchmarks.clutter --seconds {arguments.seconds:g}`: `velocell detect` as a whole,",
        "on scenes of 320x240 px (the first: 640x480) and on recordings, with four disks where recall is given.",
        "Mev/s: million events by CPU second (user). Calibrating: share of the CPU time. Crowded: of the spikes that",
        "belong to no track, the share that finds no room for a tentative one (rule `max_tentative_tracks`).",
        "",
        f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|",
    ]  # fmt: skip
    print("\n".join(lines), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            if arguments.only in case.name:
                lines.append(row(case, arguments.seconds, arguments.runs, Path(folder)))
                print(lines[-1], flush=True)
    lines += ["", *ABOUT]
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
