"""`velocell batch`: many recordings, over many workers, that resumes."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from velocell import engines
from velocell.cli import options as o
from velocell.cli.given import given
from velocell.cli.guard import say
from velocell.cli.progress import rate_text
from velocell.cli.spread import spread
from velocell.data.units import parse_time_us
from velocell.errors import OptionError, VelocellError

# What is the batch's own, and no option of `detect`.
_OWN = (
    "inputs", "out", "scheduler", "workers", "retries", "timeout", "parts", "also", "json", "quiet", "config",
    "save-config",
)  # fmt: skip
_MOST_NAMED = 20
_MOST_WARNED = 10


@spread
def batch(
    context: typer.Context,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT", help="Files, folders, globs, @LIST with one of them a line, or addresses such as s3://..."
        ),
    ],
    out: Annotated[Path, o.output("--out", "-o", metavar="DIR", help="Folder of the results; an earlier one resumes.")],
    look_for: o.LookFor,
    part: o.Part,
    clean: o.Clean,
    measures: o.Measures,
    strict: o.Strict = False,
    also: Annotated[
        list[str] | None,
        o.output(
            "--also",
            metavar="csv|jsonl|spikes|report|video|objects",
            help="A further result for each recording, beside its Parquet table; can be repeated.",
        ),
    ] = None,
    fps: Annotated[float, o.output("--fps", help="Frames per second of the videos.")] = 25.0,
    slow_motion: Annotated[
        float | None, o.output("--slow-motion", metavar="N", help="Slow the videos down N times.")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler", metavar="tcp://HOST:PORT", help="A Dask scheduler; by default workers are started."
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", help="Processes here; by default one per core.", min=1)
    ] = None,
    parts: Annotated[
        int,
        typer.Option("--parts", metavar="N", help="Cut each recording in N, so that workers share a long one.", min=1),
    ] = 1,
    retries: Annotated[
        int,
        typer.Option(
            "--retries", metavar="N", help="Further attempts where a process died or a file broke off.", min=0
        ),
    ] = 2,
    timeout: Annotated[
        str | None, typer.Option("--timeout", metavar="TIME", help="Give a recording up after this long, such as 600s.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="What happened, as JSON on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only what went wrong.")] = False,
) -> None:
    """Find the objects in many recordings, over all cores or a Dask cluster; run again, it resumes."""
    from velocell.batch import cluster
    from velocell.batch.folder import Folder
    from velocell.batch.inputs import find_inputs
    from velocell.batch.run import Batch, run

    search = look_for.search()  # wrong values are refused before the work
    engines.load(search.engine)
    clean.cleaning(), measures.plane(), measures.lines(), part.times_us(), part.sensor
    cluster.require_cluster()
    found = find_inputs(inputs, out)
    if found.left_out and not quiet:
        kinds = ", ".join(f"{n} {suffix}" for suffix, n in found.left_out.most_common(5))
        say(f"left out of the folders: {kinds}; name such files, or a glob, to take them")
    count = workers or min(cluster.cores(), len(found.found) * parts)
    options = given(context, _OWN)
    job = Batch(
        _absolute(options, context),
        tuple(also or ()),
        _contents(options, context),
        retries=retries,
        timeout_s=None if timeout is None else _seconds(timeout),
        parts=parts,
        threads=1 if scheduler is not None else max(1, cluster.cores() // count),
    )
    total = len(found.found)

    def on_start(client: Any) -> None:
        if not quiet:
            say(f"{total} recordings; dashboard at {client.dashboard_link}")

    try:
        with _progress(total, quiet) as on_outcome:
            asked = workers if scheduler is not None else count
            outcomes = run(job, found, out, scheduler, asked, on_start, on_outcome)
    except KeyboardInterrupt:
        sources = {item.source for item in found.found}
        done = sum(outcome.source in sources for outcome in Folder(out).all_done())
        say(f"stopped; {done} of {total} done, the same command resumes")
        raise
    _tell(outcomes, out, as_json, quiet)


def _tell(outcomes: list[Any], out: Path, as_json: bool, quiet: bool) -> None:
    from velocell.batch.folder import TABLE

    bad = sorted((outcome for outcome in outcomes if outcome.status == "failed"), key=lambda outcome: outcome.name)
    resumed = sum(outcome.resumed for outcome in outcomes)
    if as_json:
        print(json.dumps({"out": str(out), "recordings": [outcome.to_dict() for outcome in outcomes]}, indent=1))
    for outcome in bad[:_MOST_NAMED]:
        named = "" if outcome.source in (outcome.error or "") else f"{outcome.source}: "
        say(f"warning: {named}{outcome.error}")
    warned = sorted(
        (each for each in outcomes if each.status == "done" and each.warnings()), key=lambda each: each.name
    )
    for outcome in warned[:_MOST_WARNED]:
        first, *more = outcome.warnings()
        say(f"warning: {outcome.name}: {first}" + (f" (and {len(more)} more)" if more else ""))
    if len(warned) > _MOST_WARNED:
        say(f"warning: {len(warned)} recordings had warnings, the first {_MOST_WARNED} are named; all: {out / TABLE}")
    if not quiet:
        done = [outcome for outcome in outcomes if outcome.status == "done"]
        objects = sum(outcome.objects or 0 for outcome in done)
        earlier = f", {resumed} of them in an earlier run" if resumed else ""
        say(f"{len(done)} of {len(outcomes)} recordings done{earlier}: {objects} objects; tables in {out / 'tracks'}")
    if bad:
        more = f" (the first {_MOST_NAMED} are named above)" if len(bad) > _MOST_NAMED else ""
        raise VelocellError(
            f"{len(bad)} of {len(outcomes)} recordings failed{more}; {out / 'batch.jsonl'} says why, and the same "
            "command tries them again"
        )


def _seconds(text: str) -> float:
    us = parse_time_us(text)
    if us <= 0:
        raise OptionError("--timeout must be more than 0")
    return us / 1e6


def _paths(context: typer.Context) -> Iterator[tuple[str, Path]]:
    """Options whose values are files, with each of them."""
    for name in given(context, _OWN):
        parameter = next(p for p in context.command.params if f"--{name}" in (*p.opts, *p.secondary_opts))
        held = context.params.get(parameter.name or "")
        for each in held if isinstance(held, list | tuple) else [held]:
            if isinstance(each, Path):
                yield name, each


def _absolute(options: dict[str, Any], context: typer.Context) -> dict[str, Any]:
    """With paths that mean the same to workers that stand somewhere else."""
    files = {str(path): str(path.resolve()) for _, path in _paths(context)}
    names = {name for name, _ in _paths(context)}
    return {
        name: ([files[each] for each in value] if isinstance(value, list) else files[value]) if name in names else value
        for name, value in options.items()
    }


def _contents(options: dict[str, Any], context: typer.Context) -> dict[str, str]:
    """Digests of the files that options name: other contents make other results."""
    from velocell.batch.fetch import digest_of

    return {f"--{name} {path.name}": digest_of(path) for name, path in _paths(context)}


@contextmanager
def _progress(total: int, quiet: bool) -> Iterator[Callable[[Any], None]]:
    """A bar where a person looks at it, else a line at each tenth."""
    started = time.perf_counter()
    counts: Counter[str] = Counter()

    def figures() -> str:
        seconds = max(time.perf_counter() - started, 1e-9)
        failed = f", {counts['failed']} failed" if counts["failed"] else ""
        return f"{counts['all']}/{total} files{failed}, {rate_text(counts['events'] / seconds)}"

    def took(outcome: Any) -> None:
        counts["all"] += 1
        counts["failed"] += outcome.status == "failed"
        counts["events"] += 0 if outcome.resumed else outcome.events or 0

    if quiet or not sys.stderr.isatty():

        def told(outcome: Any) -> None:
            took(outcome)
            if not quiet and (counts["all"] * 10 // total) > ((counts["all"] - 1) * 10 // total):
                left_s = (time.perf_counter() - started) / counts["all"] * (total - counts["all"])
                say(f"{figures()}, {left_s:.0f} s left")

        yield told
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(bar_width=20), TextColumn("{task.fields[figures]}", markup=False), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("batch", total=total, figures="")

        def shown(outcome: Any) -> None:
            took(outcome)
            bar.update(task, completed=counts["all"], figures=figures())

        yield shown
