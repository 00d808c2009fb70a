"""Other readers of camera formats beside ours, for `benchmarks.decoding --others FOLDER`.

Each library has a virtual environment of its own in FOLDER, named after it; `--install` makes those that are missing,
with pip. All read in turns, each in a process of its own on one core (`decoding_worker.py`): what slows the machine
slows all. One that has no environment, or cannot read a file, is named with the reason.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

WORKER = Path(__file__).with_name("decoding_worker.py")
# By format: who reads it.
READERS = {
    "EVT2": ("velocell", "faery", "eventcv"),
    "EVT3": ("velocell", "evt3", "faery", "eventcv"),
    "DAT 2": ("velocell", "faery", "eventcv"),
    "AEDAT4": ("velocell", "dv-processing", "faery", "eventcv"),
    "AEDAT4, 500 a packet": ("velocell", "dv-processing", "faery", "eventcv"),
    "AEDAT4, zstd": ("velocell", "dv-processing", "faery", "eventcv"),
    "AEDAT4, zstd, 500 a packet": ("velocell", "dv-processing", "faery", "eventcv"),
}
WALKS = ("stream", "arrays")


def install(folder: Path) -> None:
    """An environment for each library that has none, in `folder`."""
    for library in sorted({name for names in READERS.values() for name in names} - {"velocell"}):
        if not _python(folder / library).exists():
            venv.create(folder / library, with_pip=True)
            pip = [str(_python(folder / library)), "-m", "pip", "install", "--quiet", library]
            if subprocess.run(pip).returncode:
                print(f"{library} could not be installed; pip says above why", file=sys.stderr)


def _python(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


@dataclass
class Reader:
    """A library, the process that reads with it, and its rates so far in million events: of wall and CPU time.

    reason: why it is left out, where it is.
    """

    library: str
    process: subprocess.Popen[str] | None = None
    reason: str = ""
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def read(self, n: int) -> None:
        """Once; n: how many events there are."""
        if self.process is None or self.process.stdin is None or self.process.stdout is None:
            return
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
            found, seconds, cpu_s = self.process.stdout.readline().split()
        except (ValueError, BrokenPipeError):
            self.process, self.reason = None, "it ended with an error, above"
            return
        if int(found) != n:
            self.process, self.reason = None, f"it gives {found} events of {n}"
            return
        self.wall.append(n / float(seconds) / 1e6)
        self.cpu.append(n / max(float(cpu_s), 1e-6) / 1e6)


def readers(folder: Path, libraries: Iterable[str], path: Path, walk: str) -> list[Reader]:
    """One for each library that can be started."""
    made = []
    for library in libraries:
        python = Path(sys.executable) if library == "velocell" else _python(folder / library)
        if not python.exists():
            made.append(Reader(library, reason=f"no environment {library} in the folder; --install makes it"))
            continue
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        made.append(Reader(library, subprocess.Popen([str(python), str(WORKER), library, str(path), walk], **pipes)))
    return made


def section(folder: Path, paths: dict[str, Path], n: int, runs: int) -> list[str]:
    """Lines of a report; paths: by format, files of n events each."""
    lines = [
        "Beside other readers, each in a process and an environment of its own, in turns on the same core. Million "
        f"events per second of wall time, and of CPU time (user and system): median of {runs} runs (lowest to "
        f"highest). {', '.join(_versions(folder, paths))}.",
        "",
        "| format | reader | stream | stream, CPU | arrays | arrays, CPU |",
        "|---|---|---|---|---|---|",
    ]
    left_out = []
    for name, path in paths.items():
        walks = [_walked(folder, READERS[name], path, walk, n, runs) for walk in WALKS]
        for found in zip(*walks, strict=True):
            reasons = {reader.reason for reader in found if reader.reason}
            left_out += [f"{name}: {found[0].library} is left out, {reason}." for reason in sorted(reasons)]
            rates = " | ".join(_rate(rates) for reader in found for rates in (reader.wall[1:], reader.cpu[1:]))
            lines.append(f"| {name} | {found[0].library} | {rates} |")
    return [*lines, "", *left_out] if left_out else lines


def _versions(folder: Path, names: Iterable[str]) -> list[str]:
    """Of the libraries that are there."""
    libraries = sorted({library for name in names for library in READERS[name]} - {"velocell"})
    ask = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
    found = []
    for library in libraries:
        if _python(folder / library).exists():
            said = subprocess.run([str(_python(folder / library)), "-c", ask, library], capture_output=True, text=True)
            found.append(f"{library} {said.stdout.strip()}")
    return found or ["None of them is there"]


def _walked(folder: Path, libraries: Iterable[str], path: Path, walk: str, n: int, runs: int) -> list[Reader]:
    started = readers(folder, libraries, path, walk)
    processes = [reader.process for reader in started if reader.process is not None]
    try:
        for _ in range(runs + 1):
            for reader in started:
                reader.read(n)
    finally:
        for process in processes:
            process.communicate()
    return started


def _rate(found: list[float]) -> str:
    return f"{median(found):.0f} ({min(found):.0f} to {max(found):.0f})" if found else "-"
