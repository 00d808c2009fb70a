"""`velocell simulate`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from velocell import formats
from velocell.cli.guard import say
from velocell.cli.outputs import TABLES, check_distinct, check_output
from velocell.cli.progress import working
from velocell.data.meta import made_by

NOTEBOOK = "notebook"


def simulate(
    scene: Annotated[
        str,
        typer.Argument(metavar="SCENE", help=f"A scene file (.toml), or '{NOTEBOOK}' for the notebook's three disks."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="REC", help="Recording: .npz or .csv.")],
    truth: Annotated[
        Path | None,
        typer.Option("--truth", metavar="T", help="Table of the true positions: .csv, .jsonl, .parquet."),
    ] = None,
) -> None:
    """Turn a scene of moving shapes into events and ground truth; the scene holds the seed."""
    from velocell.simulate import Scene, notebook_scene
    from velocell.simulate import simulate as run

    check_output(out, (".npz", ".csv"), "a recording")
    outputs = [out]
    if truth is not None:
        check_output(truth, TABLES, "tracks")
        outputs.append(truth)
    check_distinct(outputs, [Path(scene)])
    wanted = notebook_scene() if scene == NOTEBOOK else Scene.from_toml(scene)
    with working(f"simulating {scene}"):
        recording, table = run(wanted)
    if truth is not None:
        meta = made_by("simulate", scene=wanted.to_dict())
        replace(table, meta=meta).write(truth)
    (formats.write_npz if out.suffix.lower() == ".npz" else formats.write_csv)(recording, out)
    seconds = recording.duration_us / 1e6
    say(f"{len(recording)} events in {seconds:g} s on {recording.width}x{recording.height} px in {out}")
