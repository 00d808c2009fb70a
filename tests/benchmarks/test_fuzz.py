"""The fuzzer: a short run finds nothing, and every kind of failure that is planted in a reader is found."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks import fuzz, fuzz_sides, fuzz_worker
from benchmarks.fuzz_hostile import MAKERS
from benchmarks.fuzz_seeds import Seed, all_seeds
from velocell.errors import RecordingError

CONTENT = b"0123456789" * 10
# By the first byte of an input: what a reader could do.
PLANTED = ("read", "refused", "foreign", "wrong", "crash", "hang", "memory", "foreign", "foreign", "foreign")


def planted(path: Path, rng: random.Random) -> None:
    kind = path.read_bytes()[0]
    if kind == 1:
        raise RecordingError(f"{path} is refused")
    if kind == 2:
        raise ZeroDivisionError
    if kind == 3:
        raise fuzz_worker.Wrong
    if kind == 4:
        os.abort()
    if kind == 5:
        time.sleep(60)
    if kind == 6:
        np.ones(fuzz_worker.MEGABYTES * 1_000_000, np.uint8)
    if kind == 7:
        raise RecordingError("of what file?")
    if kind == 8:
        raise RecordingError(f"{path}\nbreaks the line")
    if kind == 9:
        np.float64(1) / np.float64(0)


class Kinds:
    """Inputs whose first byte is their number."""

    def make(self, k: int) -> tuple[str, bytes, random.Random]:
        return "any", bytes([k]), random.Random(0)


def test_every_planted_failure_is_found() -> None:
    tally = fuzz.run(Kinds(), range(len(PLANTED)), read=planted, seconds=0.25)
    failed = {k: outcome for k, _, outcome, _ in tally.failures}
    assert failed == {k: outcome for k, outcome in enumerate(PLANTED) if outcome not in fuzz_worker.PASSED}
    assert tally.counts["any"] == {outcome: PLANTED.count(outcome) for outcome in PLANTED}
    assert fuzz.table(tally)[2] == "| any | 10 | 1 | 1 | 4 | 1 | 1 | 1 | 1 |"


@pytest.fixture(scope="module")
def seeds() -> list[Seed]:
    return all_seeds()[0]


def test_a_short_run(seeds: list[Seed]) -> None:
    inputs = fuzz.Inputs(seeds, 3)
    tally = fuzz.run(inputs, range(360))
    assert tally.failures == []
    assert sum(counts.total() for counts in tally.counts.values()) == 360
    assert set(tally.counts) == {seed.format for seed in seeds}
    # It reaches past the first bytes, and does damage.
    assert all(sum(counts[kind] for counts in tally.counts.values()) > 60 for kind in fuzz_worker.PASSED)


def test_the_seeds_are_valid(seeds: list[Seed], tmp_path: Path) -> None:
    for seed in seeds:
        (tmp_path / "a").write_bytes(seed.file(seed.content))
        # Neither strict nor with another size nor a part.
        outcome, words = fuzz_worker.outcome_of(fuzz_worker.read_file, tmp_path / "a", random.Random(5))
        # A table whose columns are told by their values has large coordinates, which are too many pixels by default.
        assert outcome == "read" or "asks for a sensor of 17213x17213 px" in words, seed.format
    source = random.Random(5)
    assert source.random() >= 0.25
    assert source.random() >= 0.25


def test_an_input_depends_on_its_number_and_the_seed(seeds: list[Seed], monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = fuzz.Inputs(seeds, 1), fuzz.Inputs(seeds, 2)
    # Archives know the time, to two seconds.
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(10**9))
    again = fuzz.Inputs(seeds, 1)
    made = [one.make(k)[:2] for k in range(40)]
    assert made == [again.make(k)[:2] for k in reversed(range(40))][::-1]
    assert made != [other.make(k)[:2] for k in range(40)]
    assert len({content for _, content in made}) > 35


def test_every_change_changes() -> None:
    for change in set(fuzz._CHANGES):
        found = set()
        for k in range(20):
            data = bytearray(CONTENT)
            change(data, [b"another file with words and so on" * 20], random.Random(k))
            found.add(bytes(data))
        assert len(found - {CONTENT}) > 2, change


def test_a_short_run_of_hostile_files_finds_nothing(seeds: list[Seed]) -> None:
    tally = fuzz.run(fuzz.Inputs(seeds, 1, "hostile"), range(2 * len(MAKERS)))
    assert not tally.failures
    assert set(tally.counts) == set(MAKERS)


def test_a_short_run_of_files_beside_a_recording_finds_nothing(tmp_path: Path) -> None:
    seeds = list(fuzz_sides.side_seeds())
    assert {seed.format for seed in seeds} == set(fuzz_sides.READERS)
    for seed in seeds:
        path = tmp_path / f"a {seed.format}"
        path.write_bytes(seed.content)
        assert fuzz_worker.outcome_of(fuzz_sides.read_side, path, random.Random(0)) == ("read", ""), seed.format
    inputs = fuzz.Inputs(seeds, 2, "both", fuzz_sides.MAKERS)
    tally = fuzz.run(inputs, range(4 * len(seeds)), read=fuzz_sides.read_side)
    assert not tally.failures
    assert len(tally.counts) > len(seeds)
