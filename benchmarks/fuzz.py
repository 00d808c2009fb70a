"""Damaged and hostile files of every format: `python -m benchmarks.fuzz --inputs 100000 --seed 0 [--keep DIR]`.

Every second input is well formed and asks for more than it holds (`fuzz_hostile.py`). Each other one is a small valid
file (`fuzz_seeds.py`) with one to four changes: cut off, bits flipped, bytes of another file put in, numbers set to the
largest there are, the first bytes of another format, words of a header mangled, a piece left out or repeated.
A worker process (`fuzz_worker.py`) reads it as the commands do; inputs are made here, without its limits. What must
come out is a recording, or one sentence of a VelocellError that names the file. Failures are

    foreign   any other exception or a warning, an error of more than one line, or one that does not name the file
    wrong     a recording whose events are not in order of time, not on the sensor, or outside its span
    crash     the worker died
    hang      more than 5 s of CPU for one input, or 60 s without an end
    memory    more than 300 MB and three times the length of the file above what a worker takes before it reads

Input k depends on k and --seed only, so --first k --inputs 1 --keep DIR makes it again; exit code 1 on any failure.
"""

from __future__ import annotations

import argparse
import platform
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Protocol

from benchmarks import fuzz_hostile, fuzz_sides
from benchmarks.fuzz_hostile import Make
from benchmarks.fuzz_seeds import Seed, all_seeds
from benchmarks.fuzz_sides import read_side, side_seeds
from benchmarks.fuzz_worker import FAILED, PASSED, SECONDS, Read, Worker, read_file

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

    def __init__(
        self, seeds: Sequence[Seed], seed: int, kind: str = "damaged", makers: Mapping[str, Make] = fuzz_hostile.MAKERS
    ) -> None:
        self._seed, self._kind, self._makers = seed, kind, makers
        self._families: dict[str, list[Seed]] = {}
        for one in seeds:
            self._families.setdefault(one.format, []).append(one)
        self._files = [one.file(one.content) for one in seeds]

    def make(self, k: int) -> tuple[str, bytes, random.Random]:
        """Format, content, and the source of chance for how it is read."""
        rng = random.Random(f"{self._seed} {k}")
        if self._kind == "hostile" or (self._kind == "both" and k % 2):
            turn = k if self._kind == "hostile" else k // 2
            name = list(self._makers)[turn % len(self._makers)]
            return name, self._makers[name](rng), rng
        k = k // 2 if self._kind == "both" else k
        name = list(self._families)[k % len(self._families)]
        seed = rng.choice(self._families[name])
        return name, seed.file(damaged(seed.content, self._files, rng)), rng


# --- counting -----------------------------------------------------------------------------------------------


class Maker(Protocol):
    """What makes input k: its format, its content, and the source of chance for how it is read."""

    def make(self, k: int) -> tuple[str, bytes, random.Random]: ...


@dataclass
class Tally:
    """counts: by format, then by outcome. failures: (number, format, outcome, words). peak: by how many bytes a worker
    has grown at most."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    failures: list[tuple[int, str, str, str]] = field(default_factory=list)
    peak: int = 0

    def add(self, k: int, name: str, outcome: str, words: str) -> None:
        self.counts.setdefault(name, Counter())[outcome] += 1
        if outcome not in PASSED:
            self.failures.append((k, name, outcome, words))


def run(inputs: Maker, numbers: range, *, read: Read = read_file, seconds: float = SECONDS) -> Tally:
    """Read the inputs of these numbers. The next one is made while the worker reads one."""
    tally, worker = Tally(), Worker(read, seconds)
    begun: tuple[int, str] | None = None
    with tempfile.TemporaryDirectory() as folder:
        try:
            for k in numbers:
                name, content, rng = inputs.make(k)
                path = Path(folder) / f"input{k % 2} {name}"
                path.write_bytes(content)
                if begun is not None:
                    tally.add(*begun, *worker.outcome())
                worker.begin(path, rng)
                begun = k, name
            if begun is not None:
                tally.add(*begun, *worker.outcome())
        finally:
            worker.end()
    tally.peak = worker.peak
    return tally


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
    parser.add_argument("--formats", help="only these, separated by commas; what has no format so named is left out")
    parser.add_argument("--sides", action="store_true", help="files beside a recording (fuzz_sides.py) in its place")
    parser.add_argument("--keep", type=Path, help="folder for inputs that fail")
    arguments = parser.parse_args()
    seeds, without = (list(side_seeds()), []) if arguments.sides else all_seeds()
    makers = fuzz_sides.MAKERS if arguments.sides else fuzz_hostile.MAKERS
    if arguments.formats:
        wanted = arguments.formats.split(",")
        seeds = [one for one in seeds if one.format in wanted]
        makers = {name: make for name, make in makers.items() if set(wanted) & {name, *name.split(", ")}}
    inputs, started = Inputs(seeds, arguments.seed, arguments.kind, makers), perf_counter()
    numbers = range(arguments.first, arguments.first + arguments.inputs)
    tally = run(inputs, numbers, read=read_side if arguments.sides else read_file)
    print(f"Made by `python -m benchmarks.fuzz --inputs {arguments.inputs} --seed {arguments.seed}` on "
          f"{platform.machine()}: {len(seeds)} seeds, {perf_counter() - started:.0f} s; "
          f"a worker grew by {tally.peak / 1e6:.0f} MB at most."
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
