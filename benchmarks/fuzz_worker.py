"""The process in which `benchmarks/fuzz.py` reads its inputs, with limits; and what its parent knows of it."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from velocell import formats
from velocell.errors import VelocellError

SECONDS = 5.0  # of CPU
MEGABYTES, TIMES = 300, 3  # beside what the worker has: for any file, and how many times its length
PASSED = ("read", "refused")
FAILED = ("foreign", "wrong", "crash", "hang", "memory")
_START_SECONDS = 120.0
_PATIENCE = 12  # times SECONDS by the clock: other programs want the processor as well

Read = Callable[[Path, random.Random], None]


class Wrong(Exception):
    """A recording that is none."""


def read_file(path: Path, rng: random.Random) -> None:
    """In one of the ways of the commands: whole or in part, strict or not, with a size or without."""
    size = (640, 480) if rng.random() < 0.25 else None
    source = formats.open_recording(path, size=size, strict=rng.random() < 0.25)
    start, stop = rng.choice([(None, None), (None, None), (source.start_us + 9_000, source.start_us + 20_000)])
    before = -1
    for block in source.blocks(start, stop):
        t = block.t_us
        if len(t) and not (
            block.start_us <= t[0] and t[-1] < block.stop_us and before <= t[0] and (np.diff(t) >= 0).all()
        ):
            raise Wrong(f"times {t[:5]} in [{block.start_us}, {block.stop_us}) after {before}")
        if len(t) and not (int(block.x.max()) < source.width and int(block.y.max()) < source.height):
            raise Wrong("an event outside the sensor")
        before = int(t[-1]) if len(t) else before


def outcome_of(read: Read, path: Path, rng: random.Random) -> tuple[str, str]:
    """Of PASSED or FAILED, and what happened in words."""
    try:
        read(path, rng)
    except VelocellError as error:
        words = str(error)
        if "does not fit into memory" in words:
            return "memory", words
        return ("refused" if path.name in words and words.isprintable() else "foreign"), words
    except Wrong as error:
        return "wrong", str(error)
    except MemoryError as error:
        return "memory", repr(error)
    except Exception as error:
        return "foreign", f"{type(error).__name__}: {error}"
    return "read", ""


# --- the worker ---------------------------------------------------------------------------------------------


def work(connection: Connection, read: Read, seconds: float) -> None:
    """Read the files whose paths come, and tell of each: outcome, words, and by how many bytes it grew."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # where filters of HDF5 complain
    warnings.simplefilter("error")
    _load_readers()
    taken = _taken()
    connection.send(None)
    while (job := connection.recv()) is not None:
        path, rng = job
        _limit_memory(taken.get("VmSize", 0), path)
        before_s = _cpu_s()
        outcome, words = outcome_of(read, path, rng)
        used_s = _cpu_s() - before_s
        if used_s > seconds:
            outcome, words = "hang", f"{used_s:.1f} s; {outcome}: {words}"
        connection.send((outcome, words, _taken().get("VmHWM", 0) - taken.get("VmRSS", 0)))


def _load_readers() -> None:
    """What readers import late counts as the worker's own memory."""
    for name in (
        "lz4.frame",
        "backports.zstd",
        "compression.zstd",
        "sqlite3",
        "h5py",
        "hdf5plugin",
        "velocell._native",
    ):
        try:
            __import__(name)
        except ImportError:
            continue


def _cpu_s() -> float:
    """Of this process, and of those that it started and that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _taken() -> dict[str, int]:
    """Bytes by the kernel's names; nothing where it does not count so."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return {}
    fields = (line.split() for line in status.read_text().splitlines() if line.startswith("Vm"))
    return {name.rstrip(":"): int(kib) << 10 for name, kib, *_ in fields}


def _limit_memory(taken: int, path: Path) -> None:
    if not taken:  # elsewhere such a limit has no effect
        return
    import resource

    most = taken + MEGABYTES * 1_000_000 + TIMES * path.stat().st_size
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))


# --- its parent ---------------------------------------------------------------------------------------------


class Worker:
    """A worker process, which is replaced once it has died or does not answer.

    peak: by how many bytes one has grown at most.
    """

    def __init__(self, read: Read, seconds: float) -> None:
        self._read, self._seconds = read, seconds
        self._process: Any = None
        self._ours: Any = None
        self._until_s = 0.0
        self.peak = 0

    def begin(self, path: Path, rng: random.Random) -> None:
        """Have it read a file. Raises TimeoutError where no worker starts."""
        if self._process is None:
            context: Any = multiprocessing.get_context("spawn")
            self._ours, theirs = context.Pipe()
            self._process = context.Process(target=work, args=(theirs, self._read, self._seconds), daemon=True)
            self._process.start()
            theirs.close()
            if not self._ours.poll(_START_SECONDS):
                raise TimeoutError("a worker does not start")
            self._ours.recv()
        self._ours.send((path, rng))
        self._until_s = time.monotonic() + _PATIENCE * self._seconds

    def outcome(self) -> tuple[str, str]:
        """Of the file that it reads."""
        if not self._ours.poll(max(0.0, self._until_s - time.monotonic())):
            self.end()
            return "hang", f"no end after {_PATIENCE * self._seconds:g} s"
        try:
            outcome, words, grown = self._ours.recv()
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            self.end()
            return "crash", f"exit code {code}"
        self.peak = max(self.peak, grown)
        return str(outcome), str(words)

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._ours.close()
            self._process = None
