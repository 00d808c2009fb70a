"""`velocell info`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from velocell.cli import options as o
from velocell.cli.progress import working
from velocell.cli.reading import open_events

Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]


def info(
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    size: o.Size = None,
    frame_time: o.FrameTime = "1ms",
    time_unit: o.TimeUnit = None,
    strict: o.Strict = False,
    budget: o.BudgetTimes = 1.0,
    as_json: Json = False,
) -> None:
    """Say what a recording is, how that was inferred, and what looks odd in it."""
    from velocell.studies.summary import summarise

    with working(f"reading {file}"):
        summary = summarise(open_events(file, o.Part(size, frame_time, time_unit, budget=budget), strict))
    if as_json:
        print(json.dumps(summary.to_dict(), indent=2))
        return
    from rich.console import Console

    from velocell.cli.show import summary_table

    Console().print(summary_table(summary))
