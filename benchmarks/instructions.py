"""Instructions counted on a fixed small scene: `python -m benchmarks.instructions [--accept] [--if-possible]`.

Times tell of 5 % on a quiet machine only; instructions do on any. Valgrind's callgrind counts them for the pieces of
`benchmarks.works`, on one thread. Callgrind knows no AVX-512, so the kernels are those for AVX2, where the processor
has it, or what every compiler makes. A work that takes more than 5 % more instructions than in the last entry of the
history by the same compiler, instruction set, Python and NumPy makes this exit with 1, and without an entry unless
`--accept` says that it is meant so; otherwise an entry is added. What instructions do not show: memory that is slow.

On Debian: apt-get install valgrind. perf, where it may count, is not used: what it counts follows the processor.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HISTORY = Path(__file__).with_name("instructions.jsonl")
MOST = 1.05  # times the last entry's
SAME = ("compiler", "instruction_set", "python", "numpy")
# A scene of 0.1 s: some million instructions are counted in seconds.
SCENE = {"disks": 20, "size": (320, 240), "duration_us": 100_000, "rows": 2_000}
ROOT = Path(__file__).parents[1]

# Called from the process that is counted; nothing but the work itself is instrumented.
TOGGLE = """
#include <valgrind/callgrind.h>
void begin(void) { CALLGRIND_START_INSTRUMENTATION; CALLGRIND_ZERO_STATS; }
void end(const char* name) { CALLGRIND_DUMP_STATS_AT(name); CALLGRIND_STOP_INSTRUMENTATION; }
"""

Entry = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--history", type=Path, default=HISTORY)
    parser.add_argument("--accept", action="store_true", help="add an entry even where more instructions are taken")
    parser.add_argument("--if-possible", action="store_true", help="exit with 0 where they cannot be counted here")
    parser.add_argument("--inside", nargs=2, type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        inside(*arguments.inside)
        return
    reason = missing()
    if reason:
        print(f"instructions: skipped, {reason}", file=sys.stderr)
        sys.exit(0 if arguments.if_possible else 1)
    entry = counted()
    last = last_like(entry, arguments.history)
    print(table(entry, last))
    slower = beyond(entry, last)
    for name in slower:
        at = last["commit"] if last else ""
        print(f"instructions: {name} takes more than {100 * (MOST - 1):.0f} % more than at {at}", file=sys.stderr)
    if not slower or arguments.accept:
        append(entry, last, arguments.history)
    sys.exit(1 if slower and not arguments.accept else 0)


def missing() -> str:
    """Why instructions cannot be counted here; empty where they can."""
    if shutil.which("valgrind") is None:
        return "no valgrind; on Debian: apt-get install valgrind"
    compiler = compiler_of_c()
    if compiler is None:
        return "no C compiler (cc)"
    asked = [compiler, "-E", "-include", "valgrind/callgrind.h", "-x", "c", os.devnull]
    if subprocess.run(asked, capture_output=True).returncode:
        return "no valgrind/callgrind.h, which comes with valgrind"
    return ""


def compiler_of_c() -> str | None:
    return shutil.which(os.environ.get("CC", "cc"))


def counted() -> Entry:
    """Instructions of each work, and what else an entry has."""
    import numpy as np

    from benchmarks import works
    from velocell import _native

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        works.make(folder, **SCENE)  # type: ignore[arg-type]
        library = folder / "toggle.so"
        built = [str(compiler_of_c()), "-O1", "-shared", "-fPIC", "-x", "c", "-", "-o", str(library)]
        subprocess.run(built, input=TOGGLE, text=True, check=True)
        program = [
            "valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={folder}/out",
            sys.executable, "-m", "benchmarks.instructions", "--inside", str(folder), str(library),
        ]  # fmt: skip
        single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VELOCELL_THREADS"), "1")
        environment = os.environ | single | {"PYTHONHASHSEED": "0"}
        subprocess.run(program, cwd=ROOT, env=environment, check=True)
        instruction_set = (folder / "instruction_set").read_text()
        counts = dict(count_of(path) for path in sorted(folder.glob("out.*")))
    return {
        "commit": commit(), "compiler": getattr(_native, "compiler", "unknown"), "instruction_set": instruction_set,
        "python": platform.python_version(), "numpy": np.__version__, "counts": counts,
    }  # fmt: skip


def inside(folder: Path, library: Path) -> None:
    """In the process that valgrind runs: each work once for what is loaded at first use, then counted."""
    from benchmarks import works
    from velocell import _native

    toggle = ctypes.CDLL(str(library))
    variants = [name for name in _native.patch_variants() if name != "avx512"]
    _native.select_patch_variant(variants[-1])
    (folder / "instruction_set").write_text(variants[-1])
    gc.disable()
    for name, prepare in works.works(folder, threads=1).items():
        prepare()()
        run = prepare()
        toggle.begin()
        run()
        toggle.end(name.encode())


def count_of(path: Path) -> tuple[str, int]:
    """Name and instructions of one dump of callgrind."""
    text = path.read_text()
    name = re.search(r"^desc: Trigger: Client Request: (.*)$", text, re.M)
    total = re.search(r"^(?:summary|totals): (\d+)", text, re.M)
    if name is None or total is None:
        raise ValueError(f"{path} is no dump of callgrind that was asked for")
    return name[1], int(total[1])


def commit() -> str:
    """The short name of the commit, with -dirty where files differ from it."""
    asked = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def last_like(entry: Entry, history: Path) -> Entry | None:
    """The last entry that can be compared with this one."""
    lines = history.read_text().splitlines() if history.is_file() else []
    alike = [e for e in map(json.loads, lines) if all(e[key] == entry[key] for key in SAME)]
    return alike[-1] if alike else None


def beyond(entry: Entry, last: Entry | None) -> list[str]:
    """The works that take too many instructions more than in the last entry."""
    before = {} if last is None else last["counts"]
    return [name for name, count in entry["counts"].items() if count > MOST * before.get(name, count)]


def append(entry: Entry, last: Entry | None, history: Path) -> None:
    """A line more; none where the last one says the same."""
    if last is not None and (last["commit"], last["counts"]) == (entry["commit"], entry["counts"]):
        return
    with history.open("a") as handle:
        handle.write(json.dumps(entry) + "\n")


def table(entry: Entry, last: Entry | None) -> str:
    lines = [
        f"{entry['commit']}: {entry['compiler']}, {entry['instruction_set']}, Python {entry['python']}, NumPy "
        f"{entry['numpy']}; compared with {'nothing: the first such entry' if last is None else last['commit']}.",
        "",
        "| work | million instructions | times the last |",
        "|---|---|---|",
    ]
    before = {} if last is None else last["counts"]
    for name, count in entry["counts"].items():
        ratio = f"{count / before[name]:.3f}" if name in before else "-"
        lines.append(f"| {name} | {count / 1e6:.2f} | {ratio} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
