"""Damaged and hostile files of every format: `python -m benchmarks.fuzz --inputs 100000 --seed 0 [--keep DIR]`.

Every second input is well formed and asks for more than it holds (`fuzz_hostile.py`). Each other one is a small valid
file (`fuzz_seeds.py`) with one to four changes: cut off, bits flipped, bytes of another file put in, numbers set to the
largest there are, the first bytes of another format, words of a header mangled, a piece left out or repeated.
A worker process reads it as the commands do. What must come out is a recording, or one
sentence of a VelocellError that names the file. Failures are

    foreign   any other exception or a warning, an error of more than one line, or one that does not name the file
    wrong     a recording whose events are not in order of time, not on the sensor, or outside its span
    crash     the worker died
    hang      more than 5 s for one input
    memory    more than 300 MB above what a worker takes before it reads

Input k depends on k and --seed only, so --first k --inputs 1 --keep DIR makes it again; exit code 1 on any failure.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import random
import re
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.fuzz_hostile import MAKERS
from benchmarks.fuzz_seeds import Seed, all_seeds
from velocell import formats
from velocell.errors import VelocellError

SECONDS = 5.0
MEGABYTES = 300
_START_SECONDS = 60.0
PASSED = ("read", "refused")
FAILED = ("foreign", "wrong", "crash", "hang", "memory")
_LARGE = (
    b"\xff" * 4,
    b"\xff" * 8,
    b"\xff\xff\xff\x7f",
    b"\xff" * 7 + b"\x7f",
    b"\0" * 4,
    b"\0\0\0\x80",
    b"\0" * 7 + b"\x80",
)
_WORDS = (
    b"",
    b"-1",
    b"0",
    b"4294967295",
    b"99999999999999999999",
    b"1e400",
    b"nan",
    b"\xff\xfe",
    b"%s",
    b"\n",
    b" ",
    b"x",
)

Read = Callable[[Path, random.Random], None]


# --- inputs -------------------------------------------------------------------------------------------------


def damaged(content: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    """One to four changes; `others` are files to take bytes from."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        if not data:
            break
        rng.choice(_CHANGES)(data, others, rng)
    return bytes(data)


def _place(data: bytearray, rng: random.Random) -> int:
    """Anywhere, but half of the time near the start, where headers are."""
    return rng.randrange(min(len(data), 256) if rng.random() < 0.5 else len(data))


def _cut(data: bytearray, others: Sequence[bytes], rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def _flip(data: bytearray, others: Sequence[bytes], rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 2, 8))):
        data[_place(data, rng)] ^= 1 << rng.randrange(8)


def _overwrite(data: bytearray, others: Sequence[bytes], rng: random.Random) -> None:
    at, value = _place(data, rng), rng.choice((*_LARGE, rng.randbytes(4), rng.randbytes(8)))
    data[at : at + len(value)] = value


def _splice(data: bytearray, others: Sequence[bytes], rng: random.Random) -> None:
    other = rng.choice(others)
    first, at = rng.randrange(len(other)), _place(data, rng)
    piece = other[first : first + rng.choice((1, 8, 64, 512))]
    data[at : at + (len(piece) if rng.random() < 0.5 else 0)] = piece


def _other_magic(data: bytearray, others: Sequence[bytes], rng: random.Random) -> None:
    n = rng.choice((4, 8, 16, 64))
    data[:n] = rng.choice(others)[:n]


def _word(data: bytearray, others: Sequence[bytes], rng: random.Random) -> None:
    """A number or a word of a text, or the space between two, becomes another."""
    found = list(re.finditer(rb"[0-9]+|[A-Za-z_]{2,}|[ =,:;.\n]", bytes(data[:4096])))
    if found:
        match = rng.choice(found)
        data[match.start() : match.end()] = rng.choice(
            (*_WORDS, rng.choice(found)[0], str(rng.getrandbits(40)).encode())
        )


def _leave_out(data: bytearray, others: Sequence[bytes], rng: random.Random) -> None:
    at = _place(data, rng)
    del data[at : at + rng.choice((1, 2, 4, 16, 128))]


def _repeat(data: bytearray, others: Sequence[bytes], rng: random.Random) -> None:
    at = _place(data, rng)
    piece = data[at : at + rng.choice((1, 8, 32, 256))]
    data[at:at] = piece * rng.choice((1, 1, 3, 100))


_CHANGES = (_cut, _flip, _flip, _overwrite, _overwrite, _splice, _other_magic, _word, _word, _leave_out, _repeat)


class Inputs:
    """Input k: the formats take turns, one of a format's seeds is damaged; of both, every second is hostile."""

    def __init__(self, seeds: Sequence[Seed], seed: int, kind: str = "damaged") -> None:
        self._seed, self._kind = seed, kind
        self._families: dict[str, list[Seed]] = {}
        for one in seeds:
            self._families.setdefault(one.format, []).append(one)
        self._files = [one.file(one.content) for one in seeds]

    def make(self, k: int) -> tuple[str, bytes, random.Random]:
        """Format, content, and the source of chance for how it is read."""
        rng = random.Random(f"{self._seed} {k}")
        if self._kind == "hostile" or (self._kind == "both" and k % 2):
            turn = k if self._kind == "hostile" else k // 2
            name = list(MAKERS)[turn % len(MAKERS)]
            return name, MAKERS[name](rng), rng
        k = k // 2 if self._kind == "both" else k
        name = list(self._families)[k % len(self._families)]
        seed = rng.choice(self._families[name])
        return name, seed.file(damaged(seed.content, self._files, rng)), rng


# --- reading, in a worker -----------------------------------------------------------------------------------


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


class Wrong(Exception):
    """A recording that is none."""


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


def work(connection: Connection, inputs: Inputs, numbers: range, read: Read) -> None:
    """Read inputs one by one and tell of each."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # where filters of HDF5 complain
    warnings.simplefilter("error")
    _load_readers()
    _limit_memory()
    connection.send(None)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "input"
        for k in numbers:
            name, content, rng = inputs.make(k)
            path.write_bytes(content)
            connection.send((k, name, *outcome_of(read, path, rng)))
    connection.close()


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


def _limit_memory() -> None:
    status = Path("/proc/self/status")
    if not status.is_file():  # elsewhere such a limit has no effect
        return
    import resource

    taken = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmSize"))
    resource.setrlimit(resource.RLIMIT_AS, ((taken << 10) + MEGABYTES * 1_000_000,) * 2)


# --- counting, in the parent --------------------------------------------------------------------------------


@dataclass
class Tally:
    """counts: by format, then by outcome. failures: (number, format, outcome, words)."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    failures: list[tuple[int, str, str, str]] = field(default_factory=list)

    def add(self, k: int, name: str, outcome: str, words: str) -> None:
        self.counts.setdefault(name, Counter())[outcome] += 1
        if outcome not in PASSED:
            self.failures.append((k, name, outcome, words))


def run(inputs: Inputs, numbers: range, *, read: Read = read_file, seconds: float = SECONDS) -> Tally:
    """Read the inputs of these numbers; a worker that dies or hangs is replaced."""
    tally, left = Tally(), numbers
    while left:
        left = left[_one_worker(inputs, left, read, seconds, tally) :]
    return tally


def _one_worker(inputs: Inputs, numbers: range, read: Read, seconds: float, tally: Tally) -> int:
    """How many of the inputs are done: all, or those up to the one at which the worker failed."""
    context: Any = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(False)
    process = context.Process(target=work, args=(theirs, inputs, numbers, read), daemon=True)
    process.start()
    theirs.close()
    done = 0
    try:
        if not ours.poll(_START_SECONDS):
            raise TimeoutError("a worker does not start")
        ours.recv()
        for k in numbers:
            if not ours.poll(seconds):
                tally.add(k, inputs.make(k)[0], "hang", f"more than {seconds} s")
                return done + 1
            try:
                tally.add(*ours.recv())
            except EOFError:
                process.join()
                tally.add(k, inputs.make(k)[0], "crash", f"exit code {process.exitcode}")
                return done + 1
            done += 1
        return done
    finally:
        process.kill()
        process.join()
        ours.close()


def table(tally: Tally) -> list[str]:
    """A row for each format, and one for all."""
    shown = [*PASSED, *FAILED]
    lines = [f"| format | inputs | {' | '.join(shown)} |", "|---" * (len(shown) + 2) + "|"]
    total: Counter[str] = Counter()
    for name, counts in sorted(tally.counts.items()):
        lines.append(f"| {name} | {counts.total()} | {' | '.join(str(counts[each]) for each in shown)} |")
        total += counts
    return [*lines, f"| all | {total.total()} | {' | '.join(str(total[each]) for each in shown)} |"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--kind", choices=("both", "damaged", "hostile"), default="both")
    parser.add_argument("--formats", help="only these, separated by commas")
    parser.add_argument("--keep", type=Path, help="folder for inputs that fail")
    arguments = parser.parse_args()
    seeds, without = all_seeds()
    if arguments.formats:
        seeds = [one for one in seeds if one.format in arguments.formats.split(",")]
    inputs, started = Inputs(seeds, arguments.seed, arguments.kind), perf_counter()
    tally = run(inputs, range(arguments.first, arguments.first + arguments.inputs))
    print(f"Made by `python -m benchmarks.fuzz --inputs {arguments.inputs} --seed {arguments.seed}` on "
          f"{platform.machine()}: {len(seeds)} seeds, {perf_counter() - started:.0f} s."
          + (f" Without {', '.join(without)}." if without else ""))  # fmt: skip
    print("", *table(tally), sep="\n")
    for k, name, outcome, words in tally.failures:
        print(f"{k} {name} {outcome}: {words[:300]!r}", file=sys.stderr)
        if arguments.keep:
            arguments.keep.mkdir(parents=True, exist_ok=True)
            (arguments.keep / f"{k}-{outcome}").write_bytes(inputs.make(k)[1])
    sys.exit(bool(tally.failures))


if __name__ == "__main__":
    main()
