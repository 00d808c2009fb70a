"""A recording on a worker: whatever happens to its process, there is an outcome, and the next one is served."""

from __future__ import annotations

import json
import sys

import pytest

from velocell.batch.outcome import Outcome
from velocell.batch.run import _submitted
from velocell.batch.task import Child, run_one
from velocell.data.meta import version

# Stands in for the process that detects: does what a job's name says, and keeps count in a file.
SCRIPT = """
import json, os, signal, sys, time
for line in sys.stdin:
    job = json.loads(line)
    with open(job["source"], "a") as handle:
        handle.write(f"{os.getpid()}\\n")
    tries = len(open(job["source"]).readlines())
    if job["name"] == "dies" or (job["name"] == "once" and tries == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    if job["name"] == "exits":
        sys.exit(3)
    if job["name"] == "hangs":
        time.sleep(60)
    print(json.dumps({"name": job["name"], "source": job["source"], "status": "done", "rows": tries}), flush=True)
"""


@pytest.fixture
def ask(tmp_path):
    def run(name, **more):
        job = {
            "name": name, "source": str(tmp_path / name), "folder": str(tmp_path), "retries": 2, "timeout_s": None,
            "child": [sys.executable, "-c", SCRIPT], "velocell": version(), **more,
        }  # fmt: skip
        outcome = Outcome.of(run_one(job))
        tries = (tmp_path / name).read_text().split() if (tmp_path / name).exists() else []
        return outcome, tries

    return run


def test_one_process_serves_many(ask):
    first, tries = ask("a")
    second, others = ask("b")
    assert first.status == second.status == "done"
    assert tries == others  # the same process


def test_a_recording_that_kills_its_process_is_named_and_takes_no_other_along(ask):
    ask("a")
    outcome, tries = ask("dies")
    assert outcome.status == "failed"
    assert "ended by SIGKILL; there may have been too little memory" in outcome.error
    assert (len(set(tries)), outcome.attempts) == (3, 3)
    assert ask("b")[0].status == "done"


def test_a_process_that_dies_once_is_tried_again(ask):
    outcome, tries = ask("once")
    assert (outcome.status, outcome.rows, outcome.attempts, len(tries)) == ("done", 2, 2, 2)


def test_an_exit_without_an_answer_is_named(ask):
    assert "ended with code 3 without an answer" in ask("exits", retries=0)[0].error


def test_a_time_limit_ends_it_and_is_not_tried_again(ask):
    outcome, tries = ask("hangs", timeout_s=0.5)
    assert "it took longer than 0.5 s" in outcome.error
    assert len(tries) == 1
    assert ask("a")[0].status == "done"


def test_a_worker_of_another_version_does_nothing(ask):
    outcome, tries = ask("a", velocell="0.0.0")
    assert f"its worker runs Velocell {version()}, not 0.0.0" in outcome.error
    assert not tries


def test_outcomes_are_plain_values(ask):
    outcome, _ = ask("a")
    assert Outcome.of(json.loads(json.dumps(outcome.to_dict()))) == outcome
    assert "worker" not in outcome.line()


def test_what_dask_sets_for_memory_does_not_reach_the_process(monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "65536")
    monkeypatch.setenv("VELOCELL_TEST", "kept")
    code = "import json, os; input(); print(json.dumps(dict(os.environ)), flush=True)"
    child = Child((sys.executable, "-c", code))
    try:
        environment = child.ask({}, None)
    finally:
        child.end()
    assert "MALLOC_TRIM_THRESHOLD_" not in environment
    assert environment["VELOCELL_TEST"] == "kept"


STEPS = """
import json, sys
for line in sys.stdin:
    job = json.loads(line)
    with open(job["source"], "a") as handle:
        handle.write(f"{job['step']}{job['number']}\\n")
    failed = job["step"] == "part" and job["number"] == 1 and job["name"] == "bad"
    known = job["step"] == "together" or job["name"] == "known"
    answer = {"status": "failed", "error": "broken"} if failed else {"status": "done"}
    print(json.dumps({"name": job["name"], "source": job["source"], "outputs": {"tracks": "t"} if known else {},
                      **answer}), flush=True)
"""


class Client:
    """Does at once what Dask does somewhere; a future is its result."""

    def submit(self, run, *arguments, key, pure):
        assert not pure
        return run(*arguments)


@pytest.mark.parametrize(
    ("name", "parts", "status", "steps"),
    [
        ("good", 3, "done", "plan0 part0 part1 part2 together0"),
        ("good", 1, "done", "whole0"),
        ("bad", 3, "failed", "plan0 part0 part1 part2"),
        ("known", 3, "done", "plan0"),
    ],
)
def test_the_steps_of_a_recording_in_parts(tmp_path, name, parts, status, steps):
    job = {
        "name": name, "source": str(tmp_path / "log"), "folder": str(tmp_path), "retries": 0, "timeout_s": None,
        "child": [sys.executable, "-c", STEPS], "velocell": version(), "parts": parts,
    }  # fmt: skip
    outcome = Outcome.of(_submitted(Client(), job))
    assert outcome.status == status
    assert (tmp_path / "log").read_text().split() == steps.split()
