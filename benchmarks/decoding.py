"""Speed and memory of reading files: `python -m benchmarks.decoding [--out docs/decoding.md]`.

5 million random events on 640x480 in 5 s, written by Velocell, read on one core. Next to it in the same run
faery, where it is installed and reads the format; both walk through the blocks of the file (`stream`) or put all
events into arrays (`arrays`). With --others FOLDER, more readers of camera formats, in environments of their own.
Then a file of 1 GB is streamed in a process of its own, for the peak of its memory, and its end is read alone.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from itertools import repeat
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks import decoding_others
from benchmarks.decoding_others import READERS
from velocell import formats
from velocell.data.recording import Recording

SIZE = (640, 480)
SPAN_US = 5_000_000
SEED = 4


@dataclass(frozen=True)
class Case:
    """A format to write; theirs: whether faery reads it."""

    name: str
    suffix: str
    write: Callable[[Any, Path], None]
    theirs: bool = True


def small_packets(blocks: Any, path: Path, compression: Any = "lz4") -> None:
    """AEDAT4 with some 500 events a packet, as cameras send them; `events` are one in a microsecond."""
    formats.write_aedat4((part for block in blocks for part in block.chunks(500)), path, compression=compression)


CASES = [
    Case("EVT2", ".raw", formats.write_evt2),
    Case("EVT3", ".raw", formats.write_evt3),
    Case("DAT 2", ".dat", formats.write_dat),
    *(
        Case(suffix[1:].upper(), suffix, formats.WRITERS[suffix], suffix == ".aedat4")
        for suffix in formats.WRITERS
        if suffix not in (".raw", ".dat", ".h5")
    ),
    Case("AEDAT4, 500 a packet", ".aedat4", small_packets),
    Case("AEDAT4, zstd", ".aedat4", partial(formats.write_aedat4, compression="zstd")),
    Case("AEDAT4, zstd, 500 a packet", ".aedat4", partial(small_packets, compression="zstd")),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--megabytes", type=int, default=1_000, help="size of the file for the memory; 0: none")
    parser.add_argument("--formats", default="EVT2;EVT3;DAT 2;NPZ;CSV;AEDAT4;HDF5", help="with ; between")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--others", type=Path, metavar="FOLDER", help="other readers, in environments in this folder")
    parser.add_argument("--install", action="store_true", help="with --others: make the environments that are missing")
    parser.add_argument("--stream", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stream:
        print(*streamed(arguments.stream))
        return
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    wanted = arguments.formats.split(";")
    if arguments.others and arguments.install:
        decoding_others.install(arguments.others)
    text = report(
        [case for case in CASES if case.name in wanted], arguments.events, arguments.runs, arguments.megabytes,
        arguments.others,
    )  # fmt: skip
    print(text)
    if arguments.out:
        arguments.out.write_text(text + other_sections(arguments.out))


def other_sections(path: Path) -> str:
    """What stands in a report behind these tables, from the first heading of a section on."""
    before = path.read_text() if path.is_file() else ""
    at = before.find("\n## ")
    return before[at:] if at >= 0 else ""


def report(cases: list[Case], n: int, runs: int, megabytes: int, others: Path | None = None) -> str:
    """others: a folder of other readers' environments."""
    from benchmarks.engine import machine  # would count in the memory of what is streamed

    faery = _faery()
    lines = [
        "# Reading files",
        "",
        f"Made by `python -m benchmarks.decoding`: {n / 1e6:g} million random events, {SIZE[0]}x{SIZE[1]}, one core of "
        f"{machine()['processor']}, faery {faery[1] if faery else 'not installed'}. Million events per second: "
        f"median of {runs} runs (lowest to highest).",
        "",
        "| format | MB | stream | faery | arrays | faery |",
        "|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        recording = events(n)
        for case in cases:
            path = Path(folder) / f"cam{case.suffix}"
            case.write([recording], path)
            module = faery[0] if faery and case.theirs else None
            lines.append(
                f"| {case.name} | {path.stat().st_size / 1e6:.1f} | " + " | ".join(_row(path, module, n, runs)) + " |"
            )
            path.unlink()
        if others is not None:
            lines += [
                "",
                *beside_others([case for case in cases if case.name in READERS], Path(folder), others, n, runs),
            ]
        if megabytes:
            lines += [
                "",
                *memory(cases, Path(folder), megabytes),
                "",
                *skipping([case for case in cases if case.suffix in (".raw", ".dat")], Path(folder), megabytes, runs),
            ]
    return "\n".join([*lines, ""])


def events(n: int, start_us: int = 0) -> Recording:
    rng = np.random.default_rng(SEED)
    t = start_us + np.sort(rng.integers(0, SPAN_US, n))
    x, y = rng.integers(0, SIZE[0], n, np.uint16), rng.integers(0, SIZE[1], n, np.uint16)
    return Recording.from_arrays(t, x, y, rng.integers(0, 2, n, np.uint8), width=SIZE[0], height=SIZE[1])


def _row(path: Path, faery: Any, n: int, runs: int) -> list[str]:
    def ours() -> int:
        return sum(map(len, formats.open_recording(path).blocks()))

    def theirs() -> int:
        return sum(map(len, faery.events_stream_from_file(path)))

    walks: list[Callable[[], int] | None] = [
        ours,
        theirs if faery else None,
        lambda: len(formats.read(path)),
        (lambda: len(faery.events_stream_from_file(path).to_array())) if faery else None,
    ]
    rates: list[list[float]] = [[] for _ in walks]
    # Turn by turn, so that a machine that gets slower does so for all.
    for _ in range(runs + 1):
        for walk, found in zip(walks, rates, strict=True):
            if walk is not None:
                started = perf_counter()
                assert walk() == n
                found.append(n / (perf_counter() - started) / 1e6)
    warm = [found[1:] for found in rates]
    return [f"{median(found):.0f} ({min(found):.0f} to {max(found):.0f})" if found else "-" for found in warm]


def _faery() -> tuple[Any, str] | None:
    try:
        import faery
    except ImportError:
        return None
    return faery, metadata.version("faery")


def beside_others(cases: list[Case], folder: Path, others: Path, n: int, runs: int) -> list[str]:
    """Rows for each reader of each of these formats."""
    paths = {case.name: folder / f"beside{k}{case.suffix}" for k, case in enumerate(cases)}
    for case in cases:
        case.write([events(n)], paths[case.name])
    lines = decoding_others.section(others, paths, n, runs)
    for path in paths.values():
        path.unlink()
    return lines


def memory(cases: list[Case], folder: Path, megabytes: int) -> list[str]:
    """Rows for a file of that size each."""
    lines = [
        f"Streaming a file of {megabytes} MB in a process of its own; the peak includes Python and NumPy.",
        "",
        "| format | million events | s | peak MB |",
        "|---|---|---|---|",
    ]
    for case in cases:
        path = folder / f"large{case.suffix}"
        _write_large(case, path, megabytes)
        command = [sys.executable, "-m", "benchmarks.decoding", "--stream", str(path)]
        n, seconds, peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        path.unlink()
        lines.append(f"| {case.name} | {int(n) / 1e6:.0f} | {float(seconds):.1f} | {float(peak):.0f} |")
    return lines


def skipping(cases: list[Case], folder: Path, megabytes: int, runs: int) -> list[str]:
    """Rows for a part at the very end of a file of that size."""
    lines = [
        f"The last millisecond of a file of {megabytes} MB (`--from`): all before it is decoded and left out. Median "
        f"of {runs} runs.",
        "",
        "| format | million events a second | s for 1 GB |",
        "|---|---|---|",
    ]
    for case in cases:
        path = folder / f"long{case.suffix}"
        copies = _write_large(case, path, megabytes)
        seconds = []
        for _ in range(runs):
            started = perf_counter()
            found = sum(map(len, formats.open_recording(path).blocks(copies * SPAN_US - 1_000)))
            seconds.append(perf_counter() - started)
            assert 0 < found < 1_000
        size = path.stat().st_size
        path.unlink()
        lines.append(f"| {case.name} | {copies / median(seconds):.0f} | {median(seconds) / size * 1e9:.2f} |")
    return lines


def _write_large(case: Case, path: Path, megabytes: int) -> int:
    """A file of about that size; how many times it repeats a million events in SPAN_US."""
    block = events(1_000_000)
    case.write([block], path)
    copies = max(megabytes * 1_000_000 // path.stat().st_size, 1)
    case.write(_repeated(block, copies), path)
    return copies


def _repeated(block: Recording, copies: int) -> Any:
    for k, part in enumerate(repeat(block, copies)):
        t = part.t_us + k * SPAN_US
        yield Recording(t, part.x, part.y, part.p, *SIZE, int(t[0]), int(t[-1]) + 1)


def streamed(path: Path) -> tuple[int, float, float]:
    """Events, seconds, and the largest resident size in MB (of 1000 kB)."""
    started = perf_counter()
    n = sum(map(len, formats.open_recording(path).blocks()))
    seconds = perf_counter() - started
    status = Path("/proc/self/status")
    if status.is_file():  # getrusage would tell the parent's peak where that was higher
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return n, seconds, int(line.split()[1]) / 1e3
    return n, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    main()
