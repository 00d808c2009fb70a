"""`batch`: recordings in, results in a folder, over the workers of a Dask cluster."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from velocell.batch import cluster, folder
from velocell.batch.inputs import Inputs, find_inputs
from velocell.batch.outcome import Outcome
from velocell.batch.task import CHILD, run_one
from velocell.data.meta import version
from velocell.data.optional import number_text
from velocell.errors import OptionError, VelocellError

RESULTS = ("csv", "jsonl", "spikes", "report", "video", "objects")
_LOST = 3  # times that a recording is given out again after its worker was lost
_TABLE_S = 2.0


@dataclass(frozen=True)
class Batch:
    """A batch to run. options: those of `velocell detect`, by name without dashes. results: further files for each
    recording, of RESULTS. contents: digests of the files that the options name, by path. retries: attempts after one
    that ended in the process's death. timeout_s: for one recording, or one part of it. threads: of the engine, for
    each. parts: in how many pieces each recording is cut."""

    options: dict[str, Any]
    results: tuple[str, ...] = ()
    contents: dict[str, str] | None = None
    retries: int = 2
    timeout_s: float | None = None
    threads: int = 1
    parts: int = 1
    child: tuple[str, ...] = CHILD

    def __post_init__(self) -> None:
        if self.parts < 1:
            raise OptionError(f"a recording can be cut in 1 part or more, not in {self.parts}")
        for name in self.results:
            if name not in RESULTS:
                raise OptionError(f"'{name}' is not a result of a batch; choose of {', '.join(RESULTS)}")

    def settings(self) -> dict[str, Any]:
        """What makes the results what they are."""
        return {
            "velocell": version(),
            "options": self.options,
            "results": sorted(self.results),
            "contents": self.contents or {},
            "parts": self.parts,
        }

    def jobs(self, made: folder.Folder, inputs: Inputs) -> list[dict[str, Any]]:
        """What the workers get, as plain values."""
        same = {
            "folder": str(made.path), "options": self.options, "results": list(self.results), "retries": self.retries,
            "timeout_s": self.timeout_s, "child": list(self.child), "velocell": version(),
            "threads": self.threads, "parts": self.parts,
        }  # fmt: skip
        return [{**same, "name": name, "source": item.source} for item, name in made.named(inputs.found)]


def batch(
    inputs: Sequence[str | Path] | str | Path,
    out: str | Path,
    *,
    scheduler: Any = None,
    workers: int | None = None,
    results: Sequence[str] = (),
    retries: int = 2,
    timeout_s: float | None = None,
    parts: int = 1,
    **options: Any,
) -> list[Any]:
    """Futures of Dask, one for each recording, whose results are plain values of an `Outcome` (`Outcome.of`).

    They compose with any other graph: `client.submit(mine, future)`. A recording that cannot be read makes an outcome
    that says so, never a future that fails; what an earlier run has done is recognised by content.

    inputs: files, folders, globs, @lists, addresses that fsspec opens. out: the results' folder, which all workers must
    see. scheduler: a `distributed.Client`, the address of a scheduler, or None for `workers` processes here.
    results: further files for each, of `csv jsonl spikes report video objects`. parts: in how many pieces each
    recording is cut, which workers share. options: of `velocell detect`, with _
    for -: `bands=(16, 62, 177)`, `mask_hot=False`. The folder is not locked and `batch.jsonl` is not written;
    `velocell batch` does both. Raises VelocellError.
    """
    texts = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    job = Batch(_option_values(options), tuple(results), retries=retries, timeout_s=timeout_s, parts=parts)
    found = find_inputs(texts, Path(out))
    with folder.opened(Path(out), job.settings()) as made:
        jobs = job.jobs(made, found)
    client = scheduler if hasattr(scheduler, "submit") else cluster.connect(scheduler, workers, made.work)
    cluster.check_workers(client, str(made.path))
    return [_submitted(client, each) for each in jobs]


def run(
    job: Batch,
    inputs: Inputs,
    out: Path,
    scheduler: str | None = None,
    workers: int | None = None,
    on_start: Callable[[Any], object] = lambda client: None,
    on_outcome: Callable[[Outcome], object] = lambda outcome: None,
) -> list[Outcome]:
    """Everything, to the end; on_start is called with the client, on_outcome with each. Raises VelocellError."""
    with folder.opened(out, job.settings()) as made, cluster.client_for(scheduler, workers, made.work) as client:
        on_start(client)
        cluster.check_workers(client, str(made.path))
        jobs = job.jobs(made, inputs)
        known = {outcome.name: outcome for outcome in made.all_done()}
        outcomes: list[Outcome] = []
        written_s = time.monotonic()
        try:
            with _scheduler_errors():
                for outcome in _outcomes(client, jobs):
                    outcomes.append(outcome)
                    known[outcome.name] = outcome
                    made.log(outcome)
                    on_outcome(outcome)
                    if time.monotonic() - written_s > _TABLE_S:
                        made.write_table(known.values())
                        written_s = time.monotonic()
        finally:  # also where it is stopped
            made.write_table(known.values())
            made.write_counts(known.values())
        return outcomes


def _submitted(client: Any, job: dict[str, Any]) -> Any:
    """The future of a recording's outcome; of one in parts it is that of putting them together."""

    def submit(step: str, *before: Any, number: int = 0) -> Any:
        key = f"velocell-{step}-{job['name']}-{number}-{uuid.uuid4().hex[:8]}"
        return client.submit(run_one, {**job, "step": step, "number": number}, *before, key=key, pure=False)

    if job["parts"] == 1:
        return submit("whole")
    plan = submit("plan")
    return submit("together", *[submit("part", plan, number=number) for number in range(job["parts"])])


def _outcomes(client: Any, jobs: list[dict[str, Any]]) -> Iterator[Outcome]:
    """As they come. Where a worker was lost too often, the recording is given out again, some times."""
    from distributed import as_completed

    if not jobs:
        return
    asked = {_submitted(client, job): (job, 1) for job in jobs}
    coming = as_completed(list(asked))
    for future in coming:
        job, times = asked.pop(future)
        try:
            outcome = Outcome.of(future.result())
        except Exception as error:  # a lost worker, or what Dask could not send: never the recording's own fault
            if times < _LOST:
                again = _submitted(client, job)
                asked[again] = (job, times + 1)
                coming.add(again)
                continue
            why = f"its worker was lost {_LOST} times ({type(error).__name__}); run the batch again"
            outcome = Outcome(job["name"], job["source"], "failed", error=why, folder=job["folder"])
        future.release()
        yield replace(outcome, attempts=outcome.attempts + times - 1)


@contextmanager
def _scheduler_errors() -> Iterator[None]:
    try:
        yield
    except VelocellError:
        raise
    except OSError as error:
        from distributed.comm.core import CommClosedError

        if isinstance(error, CommClosedError):
            raise VelocellError(
                "the scheduler is gone; start it again and run the same command, which resumes"
            ) from None
        raise


def _option_values(options: dict[str, Any]) -> dict[str, Any]:
    """Options as a user of Python writes them, as the command line has them: names with -, numbers in a row as text."""
    values: dict[str, Any] = {}
    for name, value in options.items():
        if value is None:
            continue
        if isinstance(value, tuple | list) and all(isinstance(number, int | float) for number in value):
            value = (":" if name == "radius" else ",").join(number_text(number) for number in value)
        elif isinstance(value, tuple | list):
            value = [str(each) for each in value]
        elif not isinstance(value, bool):
            value = str(value)
        values[name.replace("_", "-")] = value
    return values
