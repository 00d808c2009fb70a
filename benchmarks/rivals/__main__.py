"""The benchmark: `python -m benchmarks.rivals [--quick] [--seeds NAME] [--scenes 3] [--out FOLDER] [--page FILE]`.

Every rival that can run here is run with its tuned values on every task; the figures are the scorer's. The result is
`rivals.json` in the folder of --out, as `rivals.schema.json` says; --page writes the page, and its figure to `images/`
beside it. --quick: one scene a task. --seeds: the name of a draw of test scenes, such as 2027-01.
--tasks and --rivals take names and run those only. --from FILE makes the page of a result that is there.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.rivals import audit, results
from benchmarks.rivals.interface import Rival, RivalError
from benchmarks.rivals.measure import peak_mb, run
from benchmarks.rivals.methods import rivals
from benchmarks.rivals.page import write_page
from benchmarks.rivals.tasks import STANDING, TASKS, Task, of_test
from benchmarks.rivals.tuning import digest, tune, tuned
from velocell import __version__

OWN_TASKS = ("contrast1", "frames", "trails")
OWN_TRIALS = 6


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", default=STANDING, metavar="NAME")
    parser.add_argument("--scenes", type=int, default=3)
    parser.add_argument("--tasks", type=_names)
    parser.add_argument("--rivals", type=_names)
    parser.add_argument("--out", type=Path, default=Path("bench/rivals"))
    parser.add_argument("--page", type=Path)
    parser.add_argument("--own", action="store_true", help="tune on some scenes themselves, too: an upper bound")
    parser.add_argument("--resume", action="store_true", help="keep the runs of a benchmark that was stopped")
    parser.add_argument("--from", dest="source", type=Path)
    arguments = parser.parse_args(argv)
    try:
        if arguments.source:
            result = results.read(arguments.source)
        else:
            result = measure(arguments, shlex.join(sys.argv[1:] if argv is None else argv))
            arguments.out.mkdir(parents=True, exist_ok=True)
            (arguments.out / "rivals.json").write_text(json.dumps(results.checked(result), indent=1) + "\n")
        if arguments.page:
            write_page(result, arguments.page)
    except RivalError as error:
        sys.exit(f"rivals: {error}")


def _names(text: str) -> list[str]:
    return text.split(",")


def _chosen(known: dict[str, Any], wanted: list[str] | None, what: str) -> list[Any]:
    for name in wanted or ():
        if name not in known:
            raise RivalError(f"there is no {what} '{name}'; there are: {', '.join(known)}")
    return [one for name, one in known.items() if wanted is None or name in wanted]


def measure(arguments: argparse.Namespace, command: str) -> dict[str, Any]:
    scenes = 1 if arguments.quick else arguments.scenes
    if scenes < 1:
        raise RivalError(f"--scenes {scenes} is not a number of scenes; give 1 or more")
    tasks: list[Task] = _chosen(TASKS, arguments.tasks, "task")
    families = list(dict.fromkeys(task.family for task in tasks))
    entries, values = _entries(_chosen(rivals(), arguments.rivals, "rival"), families)
    able = [rivals()[one["name"]] for one in entries if one["missing"] is None]
    if not able:
        raise RivalError(f"no rival can run here: {entries[0]['missing']}")
    runs: results.Runs = []
    kept = Kept(arguments.out / "runs.jsonl", arguments.resume)
    for task in tasks:
        if task.missing():
            continue
        for number, scene in enumerate(of_test(task, arguments.seeds, scenes)):
            for rival in able:
                chosen = values[rival.name][task.family]
                key = f"{scene.name} {rival.name} {rival.version} {digest(chosen)}"
                one = kept.get(key) or kept.keep(key, run(rival, scene, chosen))
                runs.append({"rival": rival.name, "task": task.name, "scene": number, **one})
        print(f"{task.name}: {_line(runs, task, able)}", file=sys.stderr, flush=True)
    suspicious = [sentence for one in runs if (sentence := audit.too_good(one))]
    for entry in entries:
        if entry["missing"] is None:
            entry.update(results.costs(runs, entry["name"]))
            entry["peak_mb"] = round(peak_mb(entry["name"], values[entry["name"]][families[0]]), 1)
    own = own_scenes(able, tasks if arguments.own else [], arguments.seeds)
    return {
        "made": {
            "command": f"python -m benchmarks.rivals {command}".strip(), "velocell": __version__,
            "python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}",
            "draw": arguments.seeds, "scenes": scenes, "date": datetime.date.today().isoformat(),
        },
        "rivals": entries,
        "tasks": [
            {
                "name": task.name, "title": task.title, "family": task.family, "bands": list(task.edges),
                "radii": list(task.radii), "missing": task.missing(),
            }
            for task in tasks
        ],
        "runs": runs,
        "rows": results.rows(runs),
        "ranks": results.ranks(runs, [rival.name for rival in able]),
        "ahead": results.ahead(runs),
        "own_scene": own,
        "suspicious": suspicious,
    }  # fmt: skip


class Kept:
    """Runs that are kept on the way, so that a benchmark that was stopped continues with --resume."""

    def __init__(self, path: Path, resume: bool) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().splitlines() if resume and path.exists() else []
        self._runs: dict[str, dict[str, Any]] = {line["key"]: line["run"] for line in map(json.loads, lines)}
        if not resume:
            path.unlink(missing_ok=True)

    def get(self, key: str) -> dict[str, Any] | None:
        return self._runs.get(key)

    def keep(self, key: str, run: dict[str, Any]) -> dict[str, Any]:
        with self._path.open("a") as handle:
            handle.write(json.dumps({"key": key, "run": run}) + "\n")
        return run


def _entries(chosen: list[Rival], families: list[str]) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """What the table says of each rival, and its values by family. One that cannot run, or was not tuned, says why."""
    entries, values = [], {}
    for rival in chosen:
        reason = rival.available()
        try:
            values[rival.name] = {} if reason else {family: tuned(rival, family) for family in families}
        except RivalError as error:
            reason = str(error)
        entries.append({
            "name": rival.name, "title": rival.title, "source": rival.source, "licence": rival.licence,
            "version": rival.version, "how": rival.how, "user_set": rival.user_set, "parameters": len(rival.parameters),
            "missing": reason,
            "digests": {family: digest(one) for family, one in values.get(rival.name, {}).items() if not reason},
        })  # fmt: skip
    return entries, values


def _line(runs: results.Runs, task: Task, able: list[Rival]) -> str:
    figure = "false_tracks_per_10s" if task.empty else "quality"
    means = [results.figures_of(results.of(runs, rival.name, task.name)).get(figure) for rival in able]
    return "  ".join(
        f"{rival.name} {mean['mean']:.3f}" if mean else f"{rival.name} -"
        for rival, mean in zip(able, means, strict=True)
    )


def own_scenes(able: list[Rival], tasks: list[Task], draw: str) -> list[dict[str, Any]]:
    """Tuned on the very scene: an upper bound of what its parameters can give, on one scene of some tasks."""
    found = []
    for task in (task for task in tasks if task.name in OWN_TASKS):
        scene = of_test(task, draw, 1)[0]
        for rival in able:
            trials = OWN_TRIALS if rival.parameters else 1
            entry = tune(rival, task.family, [scene], trials, None)
            best = max(entry["quality"], run(rival, scene, tuned(rival, task.family))["quality"] or 0.0)
            found.append({"rival": rival.name, "task": task.name, "quality": best, "trials": trials})
    return found


if __name__ == "__main__":
    main()
