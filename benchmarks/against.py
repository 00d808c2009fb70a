"""Two commits in one run: `python -m benchmarks.engine --against REV [--runs 9] [--out bench] [--page FILE]`.

REV is checked out into a temporary worktree and built there by pip, for a folder of its own. Then both states do the
works of `benchmarks.works` in turns, each in a process of its own: what slows the machine slows both. A ratio is the
user CPU time of REV over that of the installed state, of one turn; its median and its range are what is stated.
Results go to OUT/against.json and, as a section, into FILE.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[1]
HEADING = "## Two commits in one run"
SCENE = {"disks": 100, "size": (1280, 720), "duration_us": 400_000, "rows": 20_000, "range_us": 500_000}
# User CPU time of a turn at least: the system tells user from system time by samples, some milliseconds apart.
LEAST_S = 0.3
Row = dict[str, Any]


def main(rev: str, runs: int, out: Path, page: Path | None, scene: Row | None = None) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        commit, package = built(rev, folder)
        result = compared(commit, package, folder, runs, scene or SCENE)
    out.mkdir(parents=True, exist_ok=True)
    (out / "against.json").write_text(json.dumps(result, indent=2) + "\n")
    text = section(result)
    print(text)
    if page is not None:
        page.write_text(with_section(page.read_text(), text))


def built(rev: str, folder: Path) -> tuple[str, Path]:
    """The commit's short name, and the folder with its package. Exits with a sentence where there is none."""
    asked = ["git", "rev-parse", "--verify", "--short=12", f"{rev}^{{commit}}"]
    found = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True)
    if found.returncode:
        sys.exit(f"benchmarks.engine: --against {rev} names no commit here; `git log` shows them")
    commit, tree, package = found.stdout.strip(), folder / "tree", folder / "package"
    subprocess.run(["git", "worktree", "add", "--quiet", "--detach", str(tree), commit], cwd=ROOT, check=True)
    try:
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(package),
                   f"--config-settings=build-dir={folder / 'build'}", str(tree)]  # fmt: skip
        environment = os.environ | {"PIP_CONSTRAINT": str(ROOT / "constraints.txt")}
        if subprocess.run(install, env=environment).returncode:
            sys.exit(f"benchmarks.engine: {commit} could not be built; pip says above why")
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, check=True)
    return commit, package


def compared(commit: str, package: Path | None, folder: Path, runs: int, scene: Row, least_s: float = LEAST_S) -> Row:
    from benchmarks import works
    from benchmarks.engine import machine
    from benchmarks.instructions import commit as here

    events = works.make(folder, **scene)
    rows = []
    for threads in (1, 2):
        with worker(folder, threads, package, least_s) as theirs, worker(folder, threads, None, least_s) as ours:
            for name in ours.names:
                # What does not depend on threads once only; what the older state does not have not at all.
                if name in theirs.names and (threads == 1 or name.startswith("engine")):
                    rows.append(_row(name, threads, ours, theirs, runs))
    return {"machine": machine(), "commit": here(), "against": commit, "runs": runs, "events": events, "rows": rows}


class Worker:
    """A process that does one work when it is told its name."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert process.stdout is not None
        self.names = json.loads(process.stdout.readline() or "[]")

    def seconds(self, name: str) -> float:
        """Of user CPU time."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(name + "\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())


@contextmanager
def worker(folder: Path, threads: int, package: Path | None, least_s: float) -> Iterator[Worker]:
    """Of the state in `package`, or of the installed one."""
    environment = dict(os.environ)
    python = [sys.executable]
    if package is not None:
        # Without site (-S) an editable install cannot take its place.
        python.append("-S")
        paths = [str(package), str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))]
        environment["PYTHONPATH"] = os.pathsep.join(paths)
    program = [*python, "-m", "benchmarks.against", str(folder), str(threads), str(least_s)]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(program, cwd=ROOT, env=environment, **pipes) as process:
        try:
            made = Worker(process)
            if not made.names:
                sys.exit("benchmarks.engine: that state cannot do these works; its process says above why")
            yield made
        finally:
            assert process.stdin is not None
            process.stdin.close()


def _row(name: str, threads: int, ours: Worker, theirs: Worker, runs: int) -> Row:
    pairs = [(ours.seconds(name), theirs.seconds(name)) for _ in range(runs + 1)][1:]
    ratios = [their / max(our, 1e-6) for our, their in pairs]
    return {
        "work": name, "threads": threads, "user s": median(our for our, _ in pairs),
        "user s before": median(their for _, their in pairs), "ratio": median(ratios),
        "least": min(ratios), "most": max(ratios),
    }  # fmt: skip


def section(result: Row) -> str:
    machine = result["machine"]
    lines = [
        HEADING,
        "",
        f"Made by `python -m benchmarks.engine --against {result['against']} --runs {result['runs']}`: that commit and "
        f"{result['commit']} in turns, {result['runs']} each, on {result['events'] / 1e6:.2f} million events; user CPU "
        "seconds, and how many times as long the older one takes: median, least and most of the turns. "
        f"{machine['processor']}, {machine['cores']} cores.",
        "",
        "| work | threads | s | s before | ratio | least | most |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        figures = " | ".join(f"{value:.3g}" for value in list(row.values())[2:])
        lines.append(f"| {row['work']} | {row['threads']} | {figures} |")
    return "\n".join([*lines, ""])


def with_section(page: str, text: str) -> str:
    """The page with this section in place of the old one, or at its end."""
    old = re.compile(rf"^{re.escape(HEADING)}\n.*?(?=^## |\Z)", re.M | re.S)
    if old.search(page):
        # A following section keeps its empty line before it.
        return old.sub(lambda found: text + ("\n" if found.end() < len(page) else ""), page)
    return page.rstrip("\n") + "\n\n" + text


def work(folder: Path, threads: int, least_s: float) -> None:
    """In a worker: each line names a work; the answer is its user CPU time in seconds, the mean of some repetitions."""
    from benchmarks import works

    known = works.works(folder, threads)
    print(json.dumps(list(known)), flush=True)
    for line in sys.stdin:
        spent, times = 0.0, 0
        while times == 0 or spent < least_s:
            run = known[line.rstrip("\n")]()
            before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
            run()
            spent += resource.getrusage(resource.RUSAGE_SELF).ru_utime - before
            times += 1
        print(spent / times, flush=True)


def arguments_of(parser: argparse.ArgumentParser) -> None:
    """What `benchmarks.engine` takes for this."""
    parser.add_argument("--against", metavar="REV", help="compare with another commit instead, in one run")
    parser.add_argument("--page", type=Path, help="with --against: put the table into this page, too")


if __name__ == "__main__":
    work(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
