"""The process in which a worker of `velocell batch` runs one recording after the other.

A job comes as a line of JSON on standard input, its outcome goes as a line to standard output. Where the input closes,
the worker is gone, and the process ends at once: what it has not finished stands in no final place.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import typer
import typer.main

from velocell.batch import fetch, folder
from velocell.batch.inputs import is_address, short_digest
from velocell.batch.outcome import Outcome
from velocell.cli import detect, guard, parts
from velocell.cli.given import words
from velocell.data.tracks import Tracks
from velocell.errors import VelocellError


def main() -> None:
    """Until standard input closes."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints is not an answer
    jobs: queue.SimpleQueue[str] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            jobs.put(line)
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    warnings.simplefilter("ignore")
    while True:
        outcome = answer(json.loads(jobs.get()))
        answers.write(json.dumps(outcome.to_dict()) + "\n")
        answers.flush()


def answer(job: dict[str, Any]) -> Outcome:
    """Run one recording, unless it is done; what fails is an outcome, too."""
    said: list[str] = []
    more: dict[str, Any] = {}
    os.environ["VELOCELL_THREADS"] = str(job.get("threads", 1))
    with guard.heard_by(said.append):
        try:
            return _run(job, said, more)
        except VelocellError as error:
            return _failed(job, str(error), said, more)
        except OSError as error:
            return _failed(job, guard.sentence(error), said, more, again=True)
        except Exception as error:  # one recording's fault must not be the others'
            return _failed(job, guard.sentence(error), said, more)


def _failed(job: dict[str, Any], why: str, said: list[str], more: dict[str, Any], *, again: bool = False) -> Outcome:
    return Outcome(
        job["name"], job["source"], "failed", why, said=_of_use(said), folder=job["folder"], again=again, **more
    )


def _of_use(said: list[str]) -> tuple[str, ...]:
    return tuple(text for text in said if text.startswith(("warning: ", "note: ")))


def _run(job: dict[str, Any], said: list[str], more: dict[str, Any]) -> Outcome:
    kept = folder.Folder(Path(job["folder"]))
    source, name, step = job["source"], job["name"], job.get("step", "whole")
    content = fetch.content_of(source)
    more |= {"bytes": content.size, "etag": content.etag}
    done = kept.done(name)
    if done is not None and done.bytes == content.size and content.etag is not None and done.etag == content.etag:
        return done
    kept.work.mkdir(exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f"{name[:40]}-", dir=kept.work))
    try:
        made = work / "made"
        made.mkdir()
        file = _file(job, kept, work, content)
        if step in ("whole", "plan"):
            more["sha256"] = fetch.digest_of(file)
            if done is not None and done.sha256 == more["sha256"]:
                shutil.rmtree(kept.parts(name), ignore_errors=True)
                return done
        if step == "plan":
            plan = partial(parts.plan, kept=kept, name=name, sha256=more["sha256"], parts=job["parts"])
            _command(job, file, made, plan)
        elif step == "part":
            _command(job, file, made, partial(parts.part, kept=kept, name=name, number=job["number"]))
        if step in ("plan", "part"):
            return Outcome(name, source, "done", folder=job["folder"], **more)
        way = parts.Together(kept, name) if step == "together" else None
        if way is not None:
            more["sha256"] = way.sha256
        found = _detected(job, file, made, way)
        outcome = kept.keep(Outcome(name, source, "done", said=_of_use(said), **more, **found), made)
        shutil.rmtree(kept.parts(name), ignore_errors=True)
        return outcome
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _file(job: dict[str, Any], kept: folder.Folder, work: Path, content: fetch.Content) -> Path:
    """The recording on this machine; what is at an address is copied, once for all its parts."""
    source = job["source"]
    if not is_address(source):
        return Path(source)
    if job.get("step", "whole") == "whole":
        place = work / "fetched"
        place.mkdir()
        return fetch.copied(source, content, place)
    place = kept.parts(job["name"]) / f"fetched-{short_digest(f'{content.size} {content.etag}')}"
    there = list(place.iterdir()) if place.is_dir() else []
    if job["step"] == "plan" and (not there or content.etag is None):
        place.parent.mkdir(parents=True, exist_ok=True)
        copied = fetch.copied(source, content, work)
        place.mkdir(exist_ok=True)
        there = [copied.replace(place / copied.name)]
    if not there:
        raise VelocellError(f"the copy of {source} is gone; run the same command again")
    return there[0]


def _detected(job: dict[str, Any], file: Path, made: Path, way: detect.Way | None) -> dict[str, Any]:
    """Run `detect`, with the further results that are wanted; figures of what was found."""
    table = made / folder.KINDS["tracks"]
    _command(job, file, made, partial(detect.run, way=way))
    if (counts := made / f"{table.name}.counts.csv").exists():
        counts.rename(made / folder.KINDS["counts"])
    return _figures(table, made, job["results"])


def _command(job: dict[str, Any], file: Path, made: Path, act: Callable[[detect.Job], None]) -> None:
    """Let `act` do what the options of `detect` ask for."""
    table = made / folder.KINDS["tracks"]
    options = [
        f"--{kind}={made / folder.KINDS[kind]}"
        for kind in ("spikes", "report", "video", "objects")
        if kind in job["results"]
    ]
    command = _detect()
    chosen = words(command, job["options"])
    here = Path.cwd()
    # A copy has a place of its own each time, which the results must not depend on.
    shown = file
    if is_address(job["source"]):
        os.chdir(file.parent)
        shown = Path(file.name)
    sys.argv = ["velocell", "detect", str(shown), "-o", folder.KINDS["tracks"], *chosen]
    try:
        command.main([str(shown), f"--out={table}", *chosen, *options], standalone_mode=False, obj=act)
    except Exception as error:
        if isinstance(error, VelocellError | OSError) or not hasattr(error, "format_message"):
            raise
        raise VelocellError(" ".join(error.format_message().split())) from None  # of an option's value
    finally:
        os.chdir(here)


@cache
def _detect() -> Any:
    """The command `detect`; to make it and its options' types anew for each recording would take 30 ms."""
    program = typer.Typer()
    program.command()(detect.detect)
    return typer.main.get_command(program)


def _figures(table: Path, made: Path, wanted: list[str]) -> dict[str, Any]:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    for suffix in ("csv", "jsonl"):
        if suffix in wanted:
            Tracks.read(table).write(made / f"table.{suffix}")
    file = pq.ParquetFile(table)
    meta = json.loads((file.schema_arrow.metadata or {}).get(b"velocell", b"{}"))
    told = (meta.get("inputs") or [meta])[0].get("recording", {})
    ids = pc.count_distinct(file.read(["id"])["id"]).as_py()
    start, stop = told.get("start_us"), told.get("stop_us")
    return {
        "rows": file.metadata.num_rows,
        "objects": ids,
        "events": told.get("events"),
        "duration_us": None if start is None or stop is None else stop - start,
    }


if __name__ == "__main__":
    main()
