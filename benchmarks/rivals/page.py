"""The page: a result in words, tables and one figure. Its first paragraph says where a rival is ahead."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rivals import results
from benchmarks.rivals.results import COMPARED, OURS
from benchmarks.rivals.tasks import FAMILIES
from benchmarks.rivals.tuning import FOLDER, TRIALS

WORDS = {
    "recall": "recall", "precision": "precision", "band_accuracy": "band accuracy", "idf1": "IDF1", "hota": "HOTA",
    "speed_error": "speed error", "heading_error_deg": "heading error (deg)", "localisation_px": "localisation (px)",
    "false_tracks_per_10s": "false tracks per 10 s", "first_row_ms": "first right row (ms)", "coverage": "coverage",
    "quality": "quality",
}  # fmt: skip
SHARES = ("quality", "recall", "precision", "band_accuracy", "idf1", "hota", "coverage")


def write_page(result: dict[str, Any], path: Path) -> None:
    """Writes the figure, too."""
    picture = path.parent / "images" / f"{path.stem}.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    draw(result, picture)
    path.write_text("\n".join(lines(result, f"images/{picture.name}")) + "\n")


def lines(result: dict[str, Any], picture: str) -> Iterable[str]:
    titles = {one["name"]: one["title"] for one in result["rivals"]}
    yield from ("# Against the rest", "", _behind(result, titles), "")
    yield from (_introduction(result), "", f"![Quality of each method on each task]({picture})", "")
    yield from ("## The methods", "", *_ranking(result), "")
    yield from ("## Figures, mean over the tasks with disks", "", *_figures(result), "")
    yield from ("## Quality, task by task", "", *_tasks(result, titles), "")
    if result["ahead"]:
        yield from ("## Where a rival is ahead, beyond the spread", "", *_ahead(result, titles), "")
    if result["own_scene"]:
        yield from ("## Tuned on the scene itself", "", *_own(result, titles), "")
    yield from ("## What each is, and how it was tuned", "", *_sources(result), "")
    yield from (FIXED.format(command=result["made"]["command"]),)


# --- words --------------------------------------------------------------------------------------------


def _behind(result: dict[str, Any], titles: dict[str, str]) -> str:
    if not result["ahead"]:
        return "No rival is ahead of Velocell beyond the spread, on any task or figure of this run."
    tasks = {one["name"]: one["title"] for one in result["tasks"]}
    parts = []
    main = [one for one in result["ahead"] if one["figure"] in ("recall", "precision", "band_accuracy", "idf1")]
    for task in dict.fromkeys(one["task"] for one in main):
        cells = [
            f"{WORDS[one['figure']]} {_value(one['figure'], one['theirs'])} ({titles[one['rival']]}) against "
            f"{_value(one['figure'], one['ours'])}"
            for one in main
            if one["task"] == task
        ]
        parts.append(f"*{tasks[task]}*: {', '.join(cells)}")
    others = sorted({WORDS[one["figure"]] for one in result["ahead"] if one not in main})
    text = "No rival is ahead of Velocell in recall, precision, band accuracy or IDF1 beyond the spread."
    if parts:
        by = "by more than the spread over the scenes" if result["made"]["scenes"] > 1 else "on one scene a task"
        text = f"**Where a rival is ahead of Velocell** {by}: {'; '.join(parts)}."
    if others:
        text += f" On some tasks a rival is also ahead in {', '.join(others)}: the table further down has all of them."
    return text


def _introduction(result: dict[str, Any]) -> str:
    made = result["made"]
    away = [f"{one['title']} ({one['missing']})" for one in result["rivals"] if one["missing"]]
    text = (
        f"Made by `{made['command']}` with Velocell {made['velocell']} on {made['date']} ({made['machine']}, Python "
        f"{made['python']}; processor cores were shared with other work, so times are of the CPU): "
        f"{len(result['tasks'])} tasks, {_scenes(result)} (draw `{made['draw']}`; recordings once). "
        "Every method gets the events, one radius and the bands, and reports every 5 ms; rows at an instant rest on "
        "events up to it. Quality is F1 of recall and precision, times band accuracy; what each figure means is in "
        "`benchmarks/rivals/scorer`."
    )
    if away:
        text += f" Not run here: {'; '.join(away)}."
    return text


def _scenes(result: dict[str, Any]) -> str:
    count = result["made"]["scenes"]
    return f"{count} scenes each" if count > 1 else "one scene each, so that no spread is known"


FIXED = """## Run it yourself

    make rivals
    python -m benchmarks.rivals --quick --out bench/rivals --page bench/rivals/rivals.md
    python -m benchmarks.rivals --seeds 2027-01 --out bench/rivals
    python -m benchmarks.rivals.tuning blob --trials 12

The page above was made by `{command}`. `--seeds` names a draw: scenes follow from its name, so a new set a month is a
new name, and nobody can have tuned on it. `--tasks` and `--rivals` run some only. One rival is one module,
`benchmarks/rivals/methods/NAME.py`; [dependencies](dependencies.md) says what some of them need.

## The scenes without Velocell, and your own method

    python -m benchmarks.rivals.dataset --out bench/scenes
    python -m benchmarks.rivals.dataset --check bench/scenes
    pip install ./benchmarks/rivals/scorer

The first line writes all scenes as HDF5 (events) and CSV (truth), with SHA-256 checksums and a data card; the second
says whether they are still what they were. The scorer is a package of its own that needs NumPy and SciPy only:
`disk-scores ROWS.csv TRUTH.csv --bands 40,160,640,1800`. To hand in a method, open an issue with the rows of each
scene as CSV (`SCENE.csv`, columns as in the data card), the parameters and how they were found, and the address of the
code; `python -m benchmarks.rivals.dataset --score FOLDER bench/scenes` gives the figures that go into this table:

| method | by | draw | quality | recall | precision | band accuracy | speed error | IDF1 | parameters |
|---|---|---|---|---|---|---|---|---|---|
| none yet | | | | | | | | | |
"""


# --- tables -------------------------------------------------------------------------------------------


def table(head: list[str], body: Iterable[list[str]]) -> list[str]:
    return [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {' | '.join(row)} |" for row in body)]


def _value(figure: str, value: float | None) -> str:
    if value is None:
        return "-"
    if figure == "speed_error":
        return f"{value:.1%}"
    return f"{value:.3f}" if figure in SHARES else f"{value:.2f}" if figure == "localisation_px" else f"{value:.1f}"


def _number(value: float | None, form: str) -> str:
    return format(value, form) if results.known(value) else "-"


def _order(result: dict[str, Any]) -> list[str]:
    return [one["rival"] for one in result["ranks"]]


def _ranking(result: dict[str, Any]) -> list[str]:
    entries = {one["name"]: one for one in result["rivals"]}
    body = []
    for rank in result["ranks"]:
        one = entries[rank["rival"]]
        rate = one.get("events_per_s")
        body.append([
            one["title"], f"{rank['mean']:.1f} ({rank['low']:.1f}-{rank['high']:.1f})", str(one["user_set"]),
            str(one["parameters"]), "-" if rate is None else f"{rate / 1e6:.2f}",
            _number(one.get("latency_median_ms"), ".0f"), _number(one.get("latency_p99_ms"), ".0f"),
            _number(one.get("peak_mb"), ".1f"),
        ])  # fmt: skip
    head = [
        "method", "mean rank (95 %)", "to be set by a user", "parameters", "Mev per CPU s", "latency, median (ms)",
        "latency, 99 % (ms)", "memory (MB)",
    ]  # fmt: skip
    note = (
        "Mean rank over the tasks by quality (without disks: by false tracks), with the interval of a bootstrap over "
        "tasks and scenes. To be set: parameters beside radius and bands that another camera or other objects ask "
        "for. Latency: from an object's appearance to its first row in the right place and band, and the time that "
        "the events of an interval of 5 ms take to be worked on; one that is never found counts with all its time. "
        "Memory: what the peak grows by."
    )
    return [*table(head, body), "", note]


def _figures(result: dict[str, Any]) -> list[str]:
    titles = {one["name"]: one["title"] for one in result["rivals"]}
    names = ["quality", *COMPARED, "coverage"]
    body = []
    for rival in _order(result):
        own = [row["figures"] for row in result["rows"] if row["rival"] == rival and "quality" in row["figures"]]
        cells = []
        for name in names:
            means = [figures[name]["mean"] for figures in own if name in figures]
            spreads = [
                figures[name]["spread"] for figures in own if name in figures and figures[name]["spread"] is not None
            ]
            spread = f" ±{_value(name, float(np.mean(spreads)))}" if spreads and name in ("quality", "recall") else ""
            cells.append(f"{_value(name, float(np.mean(means)))}{spread}" if means else "-")
        body.append([titles[rival], *cells])
    head = ["method", *(WORDS[name] for name in names)]
    note = (
        "After ±: standard deviation over the scenes of a task, mean over the tasks. Errors are medians of the rows "
        "that match, so that a method that finds little may have small ones. Coverage: one-sigma errors of the speed "
        "that hold the truth."
    )
    return [*table(head, body), "", note]


def _tasks(result: dict[str, Any], titles: dict[str, str]) -> list[str]:
    names = _order(result)
    figures = {(row["rival"], row["task"]): row["figures"] for row in result["rows"]}
    body = []
    for task in result["tasks"]:
        if task["missing"]:
            body.append([task["title"], task["missing"], *[""] * (len(names) - 1)])
            continue
        cells = []
        empty = not any("quality" in figures.get((name, task["name"]), {}) for name in names)
        for name in names:
            one = figures.get((name, task["name"]), {}).get("false_tracks_per_10s" if empty else "quality")
            if one is None:
                cells.append("-")
            elif empty:
                cells.append(f"{one['mean']:.1f} false")
            else:
                cells.append(f"{one['mean']:.3f}" + ("" if one["spread"] is None else f" ±{one['spread']:.3f}"))
        body.append([task["title"], *cells])
    note = "Where there is no disk: false tracks per 10 s. All figures of all tasks and scenes: `rivals.json`."
    return [*table(["task", *(titles[name] for name in names)], body), "", note]


# Why a rival is ahead on a task, as far as it was looked for.
REASONS = {
    "contrast10": "rows begin when an object has moved 1.2 px and looks like a disk; what begins where events crowd is "
    "sooner, and has false tracks elsewhere",
    "mixed": "a stated radius chooses a size: disks of another one are left out where some of that size are there. "
    "With `--radius 4:9` recall, precision and band accuracy are 1.000 in these three scenes",
    "slow": "the same way takes a slow disk longer; until then it has no row",
    "sparse75": "with few events it takes longer until something looks like a disk for sure",
    "clutter": "a disk that crosses a patch of flicker shares its place with too many candidates, and ends of bars "
    "look like disks",
    "texture": "edges of a texture beside a disk answer with it; where its speed is not sure, the neurons' band stays",
    "course": "a disk that comes back after it left the picture is another one",
    "pendulum": "the bob is not a disk: two edges, closer together than they are long, of changing length. Rules that "
    "find it also find hands and legs, as the rivals do that find it (`no disk` above)",
}


def _ahead(result: dict[str, Any], titles: dict[str, str]) -> list[str]:
    tasks = {one["name"]: one["title"] for one in result["tasks"]}
    body = [
        [
            tasks[one["task"]], WORDS[one["figure"]], _value(one["figure"], one["ours"]),
            f"{_value(one['figure'], one['theirs'])} ({titles[one['rival']]})", str(one["rivals_ahead"]),
            f"`--tasks {one['task']} --rivals {OURS},{one['rival']}`",
        ]
        for one in result["ahead"]
    ]  # fmt: skip
    note = (
        "The mean difference over the same scenes is larger than its standard deviation and than what says anything "
        "(`results.COMPARED`). Precision, bands and errors count only where the rival finds at least half of what we "
        "find."
    )
    known = {one["task"]: REASONS[one["task"]] for one in result["ahead"] if one["task"] in REASONS}
    reasons = ["Why, as far as it was looked for:", "", *(f"- *{tasks[name]}*: {why}." for name, why in known.items())]
    head = ["task", "figure", "Velocell", "best rival", "rivals ahead", "to see it"]
    return [*table(head, body), "", note, *(["", *reasons] if known else [])]


def _own(result: dict[str, Any], titles: dict[str, str]) -> list[str]:
    figures = {(row["rival"], row["task"], row["scene"]): row["quality"] for row in result["runs"]}
    tasks = list(dict.fromkeys(one["task"] for one in result["own_scene"]))
    found = {(one["rival"], one["task"]): one for one in result["own_scene"]}
    body = []
    for name in _order(result):
        cells = []
        for task in tasks:
            one = found.get((name, task))
            cells.append("-" if one is None else f"{figures[name, task, 0] or 0:.3f} / {one['quality']:.3f}")
        body.append([titles[name], *cells])
    names = {one["name"]: one["title"] for one in result["tasks"]}
    note = (
        "Quality on one scene: tuned elsewhere / tuned on this very scene, an upper bound that no user has. "
        f"{max(one['trials'] for one in result['own_scene'])} trials each, beside the values tuned elsewhere."
    )
    return [*table(["method", *(names[task] for task in tasks)], body), "", note]


def _sources(result: dict[str, Any]) -> list[str]:
    body = []
    budget = "; ".join(f"{family}, {FAMILIES[family]}: {trials}" for family, trials in TRIALS.items())
    for one in result["rivals"]:
        body.append([one["title"], one["source"], one["licence"], one["version"], one["how"], _tuning(one["name"])])
    note = (
        f"Tuning: random search, the same number of trials for all ({budget}), on training scenes that no test has; "
        "log and values in `benchmarks/rivals/tuned`. In the last column: the quality reached on them."
    )
    return [*table(["method", "source", "licence", "version", "how", "tuning"], body), "", note]


def _tuning(name: str) -> str:
    path = FOLDER / f"{name}.json"
    if not path.exists():
        return "not tuned"
    families = json.loads(path.read_text())["families"]
    return ", ".join(f"{family}: {entry['quality']:.2f}" for family, entry in families.items())


# --- figure -------------------------------------------------------------------------------------------


def draw(result: dict[str, Any], path: Path) -> None:
    """Rows are tasks, columns methods, best rank to the left; what is dark is good."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    names = _order(result)
    titles = {one["name"]: one["title"] for one in result["rivals"]}
    figures = {(row["rival"], row["task"]): row["figures"] for row in result["rows"]}
    tasks = [task for task in result["tasks"] if any("quality" in figures.get((n, task["name"]), {}) for n in names)]
    cells = [[figures.get((name, task["name"]), {}).get("quality", {}) for name in names] for task in tasks]
    values = np.array([[cell.get("mean", np.nan) for cell in row] for row in cells]).reshape(len(tasks), len(names))
    figure, axes = plt.subplots(figsize=(2.6 + 0.62 * len(names), 1.8 + 0.26 * len(tasks)), layout="constrained")
    axes.imshow(values, cmap="YlGnBu", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(names)), [titles[name] for name in names], rotation=38, ha="right", fontsize=8)
    axes.set_yticks(range(len(tasks)), [task["title"] for task in tasks], fontsize=8)
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            best = value >= np.nanmax(values[i]) - 0.005
            axes.text(
                j, i, f"{value:.2f}".lstrip("0"), ha="center", va="center", fontsize=7,
                color="white" if value > 0.6 else "black", fontweight="bold" if best else "normal",
            )  # fmt: skip
    axes.set_title("quality: F1 of recall and precision, times band accuracy; bold: best of the task", fontsize=9)
    axes.tick_params(length=0)
    figure.savefig(path, dpi=110)
    plt.close(figure)
