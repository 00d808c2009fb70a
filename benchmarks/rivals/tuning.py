"""Tunes rivals: `python -m benchmarks.rivals.tuning [NAME ...] [--trials N] [--family plain ...]`.

Random search, the same for all: the defaults, then sets drawn by a generator whose seed is that of the family and the
trial's number. Each is run on the first 300 ms of the family's training scenes, one after the other; a set that has
less than 0.8 of the best one's quality on the scenes so far is given up. Best is the highest mean quality
(`disk_scores`). What was tried stands in `tuned/NAME.json`, with a digest of the values, so that a file that was
changed afterwards is noticed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rivals.interface import Rival, RivalError, Values
from benchmarks.rivals.measure import run
from benchmarks.rivals.methods import rivals
from benchmarks.rivals.tasks import FAMILIES, SceneOf, training

FOLDER = Path(__file__).parent / "tuned"
HEAD_US, GIVE_UP = 300_000, 0.8
# Of each family, the same for every rival.
TRIALS = {"plain": 30, "fast": 30, "hard": 30, "sensors": 30}
OPTIMISER = "random search"


def digest(values: Values) -> str:
    return hashlib.sha256(json.dumps(dict(values), sort_keys=True).encode()).hexdigest()[:16]


def draws(rival: Rival, family: str, trials: int) -> list[dict[str, Any]]:
    """The defaults first."""
    seeds = [zlib.crc32(f"{family}/{k}".encode()) for k in range(1, trials)]
    return [rival.defaults, *(rival.draw(np.random.default_rng(seed)) for seed in seeds)]


def tune(
    rival: Rival, family: str, scenes: Sequence[SceneOf], trials: int, head_us: int | None = HEAD_US,
    before: dict[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The entry of a family: values, their digest and quality, and the log of all trials. before: an entry of fewer
    trials, which is continued."""
    log: list[dict[str, Any]] = list(before["log"]) if before else []
    best: dict[str, Any] = {"quality": -1.0, "qualities": {}}
    for entry in log:
        best = entry if entry["quality"] is not None and entry["quality"] > best["quality"] else best
    started = time.process_time() - (before["cpu_s"] if before else 0.0)
    for values in draws(rival, family, trials)[len(log) :]:
        qualities: dict[str, float] = {}
        for scene in scenes:
            qualities[scene.name] = run(rival, scene, values, head_us)["quality"] or 0.0
            if sum(qualities.values()) < GIVE_UP * sum(best["qualities"].get(name, 0.0) for name in qualities):
                break
        whole = len(qualities) == len(scenes)
        mean = round(float(np.mean(list(qualities.values()))), 6)
        log.append({"values": values, "qualities": qualities, "quality": mean if whole else None})
        best = log[-1] if whole and mean > best["quality"] else best
    return {
        "values": best["values"],
        "digest": digest(best["values"]),
        "quality": best["quality"],
        "cpu_s": round(time.process_time() - started, 1),
        "log": log,
    }


def write(rival: Rival, entries: dict[str, Any]) -> Path:
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{rival.name}.json"
    before = json.loads(path.read_text())["families"] if path.exists() else {}
    families = {name: entry for name, entry in {**before, **entries}.items() if name in FAMILIES}
    content = {
        "rival": rival.name, "version": rival.version, "optimiser": OPTIMISER, "head_us": HEAD_US,
        "families": families,
    }  # fmt: skip
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path


def tuned(rival: Rival, family: str) -> dict[str, Any]:
    """The values for a family; none of a rival without parameters. Raises RivalError for a file that is missing or not
    as the tuner wrote it."""
    path = FOLDER / f"{rival.name}.json"
    if not rival.parameters:
        return {}
    if not path.exists():
        raise RivalError(f"it has not been tuned; run python -m benchmarks.rivals.tuning {rival.name}")
    try:
        families = json.loads(path.read_text())["families"]
        if family not in families:
            raise RivalError(f"it has not been tuned for '{family}'; run the tuner with --family {family}")
        entry = families[family]
        values, log = entry["values"], entry["log"]
        best = max((one for one in log if one["quality"] is not None), key=lambda one: one["quality"])
        whole = entry["digest"] == digest(values) and values == best["values"] and entry["quality"] == best["quality"]
    except (ValueError, LookupError, TypeError) as error:
        raise RivalError(f"{path.name} is not a file of the tuner ({error!r}); tune {rival.name} again") from None
    if not whole:
        raise RivalError(f"{path.name}: the values of '{family}' are not the best of the log; tune {rival.name} again")
    return rival.checked(values)


def replayed(rival: Rival, family: str, scenes: Sequence[SceneOf] | None = None) -> float:
    """By how much the tuned values' quality on the first training scene differs from the log's. More than 0.02: the
    rival is not what was tuned."""
    values = tuned(rival, family)
    entry = json.loads((FOLDER / f"{rival.name}.json").read_text())["families"][family]
    scene = (scenes or training(family))[0]
    logged = next(one for one in entry["log"] if one["values"] == entry["values"])["qualities"][scene.name]
    return float(abs((run(rival, scene, values, HEAD_US)["quality"] or 0.0) - logged))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of rivals; all of them if none is given")
    parser.add_argument("--trials", type=int, help="for each family, instead of those of the standing files")
    parser.add_argument("--more", action="store_true", help="continue the logs that are there")
    parser.add_argument("--family", action="append", choices=list(FAMILIES))
    arguments = parser.parse_args(argv)
    unknown = [name for name in arguments.names if name not in rivals()]
    if unknown:
        sys.exit(f"there is no rival '{unknown[0]}'; there are: {', '.join(rivals())}")
    for family in arguments.family or FAMILIES:
        scenes = training(family)
        for name in arguments.names or rivals():
            rival = rivals()[name]
            if not rival.parameters:
                continue
            if rival.available():
                print(f"{name}: {rival.available()}", flush=True)
                continue
            path = FOLDER / f"{name}.json"
            known = json.loads(path.read_text()) if arguments.more and path.exists() else {}
            before = known["families"].get(family) if known.get("version") == rival.version else None
            entry = tune(rival, family, scenes, arguments.trials or TRIALS[family], HEAD_US, before)
            write(rival, {family: entry})
            print(f"{name:12s} {family:8s} {entry['quality']:.3f}  {entry['cpu_s']:.0f} CPU s", flush=True)


if __name__ == "__main__":
    main()
