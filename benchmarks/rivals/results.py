"""From runs to the table: means and spreads, ranks, and where a rival is ahead."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.rivals.interface import RivalError
from benchmarks.rivals.tasks import TASKS

Floats = NDArray[np.float64]
Runs = list[dict[str, Any]]

SCHEMA = Path(__file__).parent / "rivals.schema.json"
OURS = "velocell"

# Name, whether more is better, and the least difference of means that says anything.
COMPARED = {
    "recall": (True, 0.01), "precision": (True, 0.01), "band_accuracy": (True, 0.01), "idf1": (True, 0.01),
    "hota": (True, 0.01), "speed_error": (False, 0.003), "heading_error_deg": (False, 0.5),
    "localisation_px": (False, 0.05), "false_tracks_per_10s": (False, 2.0), "first_row_ms": (False, 5.0),
}  # fmt: skip
SHOWN = ("quality", *COMPARED, "coverage")
# What is right of few rows is compared only with a rival that finds at least half of what we find.
_OF_ROWS = ("precision", "band_accuracy", "speed_error", "heading_error_deg", "localisation_px")
_RESAMPLES = 2_000


def figures_of(runs: Runs) -> dict[str, dict[str, float | int | None]]:
    """Mean, spread (standard deviation over the scenes) and number of each figure that the runs have."""
    found: dict[str, dict[str, float | int | None]] = {}
    for name in SHOWN:
        values = np.array([run[name] for run in runs if run[name] is not None], np.float64)
        if values.size:
            spread = round(float(values.std(ddof=1)), 6) if values.size > 1 else None
            found[name] = {"mean": round(float(values.mean()), 6), "spread": spread, "scenes": int(values.size)}
    return found


def rows(runs: Runs) -> list[dict[str, Any]]:
    """One for each rival and task, in the order in which they were run."""
    keys = dict.fromkeys((run["rival"], run["task"]) for run in runs)
    return [{"rival": rival, "task": task, "figures": figures_of(of(runs, rival, task))} for rival, task in keys]


def of(runs: Runs, rival: str, task: str | None = None) -> Runs:
    return [run for run in runs if run["rival"] == rival and task in (None, run["task"])]


def costs(runs: Runs, rival: str) -> dict[str, float | None]:
    """Events per CPU second over all scenes; latency over all objects that appear."""
    own = of(runs, rival)
    busy = sum(run["cpu_s"] for run in own)
    latency = np.array([value for run in own for value in run["latency_ms"]])
    return {
        "events_per_s": round(sum(run["events"] for run in own) / busy) if busy else None,
        "latency_median_ms": round(float(np.median(latency)), 1) if latency.size else None,
        "latency_p99_ms": round(float(np.quantile(latency, 0.99)), 1) if latency.size else None,
    }


def goodness(runs: Runs, names: list[str]) -> tuple[list[str], list[Floats]]:
    """Tasks that all `names` were run on, and of each (rivals, scenes): the quality, or less the false tracks where
    there is no disk."""
    tasks, parts = [], []
    for task in dict.fromkeys(run["task"] for run in runs):
        own = [of(runs, name, task) for name in names]
        if len({len(part) for part in own}) == 1 and own[0]:
            figure = "false_tracks_per_10s" if TASKS[task].empty else "quality"
            sign = -1.0 if TASKS[task].empty else 1.0
            tasks.append(task)
            parts.append(sign * np.array([[run[figure] or 0.0 for run in part] for part in own]))
    return tasks, parts


def ranks(runs: Runs, names: list[str]) -> list[dict[str, Any]]:
    """Mean rank of each rival over the tasks (1 is best; equals share), with the 95 % interval of a bootstrap that
    draws tasks, and scenes within each."""
    _, parts = goodness(runs, names)
    if not parts:
        return []
    plain = np.mean([_ranked(part.mean(axis=1)) for part in parts], axis=0)
    rng = np.random.default_rng(0)
    drawn = np.empty((_RESAMPLES, len(names)))
    for k in range(_RESAMPLES):
        chosen = rng.integers(len(parts), size=len(parts))
        scenes = [parts[i][:, rng.integers(parts[i].shape[1], size=parts[i].shape[1])] for i in chosen]
        drawn[k] = np.mean([_ranked(part.mean(axis=1)) for part in scenes], axis=0)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    found = [
        {"rival": name, "mean": round(float(m), 3), "low": round(float(a), 3), "high": round(float(b), 3)}
        for name, m, a, b in zip(names, plain, low, high, strict=True)
    ]
    return sorted(found, key=lambda one: one["mean"])


def _ranked(values: Floats) -> Floats:
    """1 for the highest; equals have the mean of their ranks."""
    values = values.round(6)
    return np.asarray([(values > v).sum() + ((values == v).sum() + 1) / 2 for v in values], np.float64)


def ahead(runs: Runs) -> list[dict[str, Any]]:
    """Where a rival is better than we are beyond the spread: the mean difference over the same scenes is larger than
    its standard deviation, and than what says anything. Of each task and figure the best such rival."""
    found = []
    names = [name for name in dict.fromkeys(run["rival"] for run in runs) if name != OURS]
    for task in dict.fromkeys(run["task"] for run in runs):
        ours = of(runs, OURS, task)
        for figure, (more, least) in COMPARED.items():
            leads = []
            for name in names:
                theirs = of(runs, name, task)
                lead = _lead(ours, theirs, figure, more)
                if lead is not None and lead[0] > max(lead[1], least):
                    leads.append((lead[0], name, theirs))
            if leads:
                gain, name, theirs = max(leads, key=lambda one: one[0])
                mean = [figures_of(part).get(figure, {}).get("mean") for part in (ours, theirs)]
                found.append({
                    "task": task, "figure": figure, "rival": name, "ours": mean[0], "theirs": mean[1],
                    "rivals_ahead": len(leads), "lead": round(gain, 6),
                })  # fmt: skip
    return found


def _lead(ours: Runs, theirs: Runs, figure: str, more: bool) -> tuple[float, float] | None:
    """Mean and standard deviation of how much better they are, over scenes that both have; where we have nothing,
    because we found nothing, recall says so already."""
    if len(ours) != len(theirs) or not ours:
        return None
    few = [(b["recall"] or 0) < (a["recall"] or 0) / 2 for a, b in zip(ours, theirs, strict=True)]
    if figure in _OF_ROWS and any(few):
        return None
    pairs = [(a[figure], b[figure]) for a, b in zip(ours, theirs, strict=True)]
    known = [(b - a) * (1 if more else -1) for a, b in pairs if a is not None and b is not None]
    if not known:
        return None
    return float(np.mean(known)), float(np.std(known, ddof=1)) if len(known) > 1 else 0.0


def checked(result: dict[str, Any]) -> dict[str, Any]:
    """Raises RivalError for a result that is not what the schema says, or has rows of rivals that it does not name."""
    import jsonschema

    try:
        jsonschema.validate(result, json.loads(SCHEMA.read_text()))
    except jsonschema.ValidationError as error:
        where = "/".join(map(str, error.absolute_path)) or "the whole"
        first = error.message.splitlines()[0][:200]
        raise RivalError(f"the result does not follow {SCHEMA.name} at {where}: {first}") from None
    known = {one["name"] for one in result["rivals"]}
    stray = next((row["rival"] for row in result["rows"] if row["rival"] not in known), None)
    if stray is not None:
        raise RivalError(f"the result has rows of '{stray}', which is not among its rivals; make it anew")
    return result


def read(path: Path) -> dict[str, Any]:
    """Raises RivalError."""
    try:
        return checked(json.loads(path.read_text()))
    except OSError as error:
        raise RivalError(f"{path} cannot be read ({error.strerror}); check the path") from None
    except ValueError:
        raise RivalError(f"{path} is not JSON; give the result of python -m benchmarks.rivals") from None


def known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
