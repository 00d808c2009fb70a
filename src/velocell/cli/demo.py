"""`velocell demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from velocell.cli import options as o
from velocell.cli.progress import working


def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the results.")] = Path("velocell-demo"),
    engine: o.Engine = "native",
) -> None:
    """Simulate the notebook's three disks, find them, and compare with the truth."""
    from rich.console import Console

    from velocell.cli.show import confusion_table, objects_table, scores_table
    from velocell.demo import BANDS, RADIUS_PX, run_demo

    with working("simulating, detecting, drawing"):
        made = run_demo(out, engine=engine)
    console = Console()
    edges = ",".join(f"{edge:g}" for edge in BANDS.edges)
    console.print(objects_table(made.tracks, BANDS), scores_table(made.scores), confusion_table(made.scores, BANDS))
    for name, path in made.files.items():
        print(f"{name + ':':<11}{path}")
    print(
        f"the same by hand: velocell detect {made.files['recording']} --bands {edges} --radius {RADIUS_PX:g} -o my.csv"
    )
