"""The scenes as a dataset: `python -m benchmarks.rivals.dataset --out FOLDER [--seeds NAME] [--scenes 3]`.

For each scene `NAME.h5` (group `events`: t, x, y, p; attributes width, height, start_us, stop_us, radius_px, bands) and
`NAME.truth.csv`; `scenes.csv` lists them, `SHA256SUMS` has their checksums, `README.md` is the data card. `--check
FOLDER` compares the checksums. `--score ROWS FOLDER` scores tables `ROWS/NAME.csv`, as JSON on stdout. Recordings of
other people are not among them.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rivals.interface import EVERY_US, RivalError
from benchmarks.rivals.scorer.disk_scores import ScoreError, read_csv, score
from benchmarks.rivals.tasks import FAMILIES, STANDING, TASKS, SceneOf, of_test, training
from velocell import __version__
from velocell.data.tracks import Tracks

TRUTH = ("t_us", "id", "x_px", "y_px", "speed_px_s", "heading_deg", "radius_px", "spared")
CARD = """# Moving disks and their speeds

Simulated scenes of an event camera, made by `python -m benchmarks.rivals.dataset --seeds {draw} --scenes {scenes}` of
Velocell {version} (Apache-2.0; the scenes: CC0-1.0). To find: where each disk is, every 5 ms, how fast it moves and in
which speed band; known beforehand: one radius and the edges of the bands.

- `SCENE.h5`: `events/t` (us, int64), `events/x`, `events/y` (uint16, y down), `events/p` (1 = brighter); attributes
  `width`, `height`, `start_us`, `stop_us`, `bands`, `radius_px` (as stated to the methods, wrong on purpose in some).
- `SCENE.truth.csv`: {columns}; every ms. spared = 1: hidden, need not be found. No rows: there is no disk.
- `scenes.csv`: scene, task, what it shows, split (`train` or `test`), radius, bands, span, events.
- Rows to hand in: `SCENE.csv` with t_us, id, x_px, y_px and, where known, band (0 is the slowest, -1 none), speed_px_s,
  speed_err_px_s, heading_deg, radius_px.

Two generators: ideal and physical pixels with closed-form outlines, and one that shares nothing with it (task
`trails`). Limits: flat disks before flat or textured ground, no lens, no sensor fault but hot pixels and noise; half a
second each. Not for: how well a method does on your camera. Nothing in it is of people.
"""


def write(folder: Path, draw: str, scenes: int) -> list[str]:
    """Names of the scenes. Raises RivalError."""
    import h5py

    folder.mkdir(parents=True, exist_ok=True)
    listed = []
    for split, scene in _scenes(draw, scenes):
        recording, truth = scene.made
        with h5py.File(folder / f"{scene.name}.h5", "w", libver="earliest") as file:
            group = file.create_group("events")
            polarity = np.zeros(len(recording), np.uint8) if recording.p is None else recording.p.astype(np.uint8)
            columns = {"t": recording.t_us, "x": recording.x, "y": recording.y, "p": polarity}
            for name, values in columns.items():
                group.create_dataset(name, data=values, compression="gzip", track_times=False)
            file.attrs.update(
                width=recording.width, height=recording.height, start_us=recording.start_us, stop_us=recording.stop_us,
                radius_px=scene.radius, bands=np.array(scene.task.edges),
            )  # fmt: skip
        _write_truth(folder / f"{scene.name}.truth.csv", truth)
        listed.append([
            scene.name, scene.task.name, scene.task.title, split, f"{scene.radius:g}",
            " ".join(f"{edge:g}" for edge in scene.task.edges), recording.start_us, recording.stop_us, len(recording),
        ])  # fmt: skip
        print(scene.name, file=sys.stderr, flush=True)
    with (folder / "scenes.csv").open("w", newline="", encoding="utf-8") as handle:
        lines = csv.writer(handle, lineterminator="\n")
        lines.writerow(("scene", "task", "title", "split", "radius_px", "bands", "start_us", "stop_us", "events"))
        lines.writerows(listed)
    card = CARD.format(draw=draw, scenes=scenes, version=__version__, columns=", ".join(TRUTH))
    (folder / "README.md").write_text(card, encoding="utf-8")
    files = sorted(path.name for path in folder.iterdir() if path.name != "SHA256SUMS")
    (folder / "SHA256SUMS").write_text("".join(f"{_sum(folder / name)}  {name}\n" for name in files))
    return [str(row[0]) for row in listed]


def _scenes(draw: str, count: int) -> list[tuple[str, SceneOf]]:
    made = [task for task in TASKS.values() if not task.file]
    train = [("train", scene) for family in FAMILIES for scene in training(family)]
    return train + [("test", scene) for task in made for scene in of_test(task, draw, count)]


def _write_truth(path: Path, truth: Tracks) -> None:
    columns = {"spared": np.zeros(len(truth), np.int64), **truth.columns()}
    with path.open("w", newline="", encoding="utf-8") as handle:
        lines = csv.writer(handle, lineterminator="\n")
        lines.writerow(TRUTH)
        whole = ("t_us", "id", "spared")
        parts = [columns[n].tolist() if n in whole else [f"{v:.4f}" for v in columns[n]] for n in TRUTH]
        lines.writerows(zip(*parts, strict=True))


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check(folder: Path) -> int:
    """How many files are as they were made. Raises RivalError for the first that is not."""
    sums = folder / "SHA256SUMS"
    if not sums.exists():
        raise RivalError(f"{folder} has no SHA256SUMS; make the dataset with python -m benchmarks.rivals.dataset --out")
    lines = [line.split("  ", 1) for line in sums.read_text().splitlines() if line]
    for wanted, name in lines:
        if not (folder / name).exists():
            raise RivalError(f"{folder / name} is missing; make the dataset anew")
        if _sum(folder / name) != wanted:
            raise RivalError(f"the checksum of {folder / name} differs from SHA256SUMS; make the dataset anew")
    return len(lines)


def scores(rows: Path, folder: Path) -> dict[str, Any]:
    """Of each scene of the test that has a table in `rows`. Raises RivalError."""
    check(folder)
    with (folder / "scenes.csv").open(newline="", encoding="utf-8") as handle:
        listed = [line for line in csv.DictReader(handle) if line["split"] == "test"]
    found = {}
    for line in listed:
        path = rows / f"{line['scene']}.csv"
        if path.exists():
            truth = read_csv(folder / f"{line['scene']}.truth.csv")
            edges = [float(edge) for edge in line["bands"].split()]
            span = (int(line["start_us"]), int(line["stop_us"]))
            found[line["scene"]] = score(
                read_csv(path), truth, edges, span_us=span, every_us=EVERY_US, radius_px=float(line["radius_px"])
            )
    if not found:
        raise RivalError(f"{rows} has no table of a scene, such as {listed[0]['scene']}.csv")
    return found


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--check", type=Path, metavar="FOLDER")
    parser.add_argument("--score", type=Path, nargs=2, metavar=("ROWS", "FOLDER"))
    parser.add_argument("--seeds", default=STANDING, metavar="NAME")
    parser.add_argument("--scenes", type=int, default=3)
    arguments = parser.parse_args(argv)
    try:
        if arguments.check:
            print(f"{check(arguments.check)} files are as they were made")
        elif arguments.score:
            print(json.dumps(scores(*arguments.score), indent=1))
        elif arguments.out:
            print(f"{len(write(arguments.out, arguments.seeds, arguments.scenes))} scenes in {arguments.out}")
        else:
            parser.error("give --out FOLDER, --check FOLDER or --score ROWS FOLDER")
    except (RivalError, ScoreError) as error:
        sys.exit(f"dataset: {error}")


if __name__ == "__main__":
    main()
