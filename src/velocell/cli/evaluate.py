"""`velocell evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from velocell.cli.info import Json
from velocell.cli.values import bands_of
from velocell.data.spikes import Spikes
from velocell.data.tracks import Tracks
from velocell.errors import TableError

Edges = Annotated[str, typer.Option("--bands", metavar="EDGES", help="Edges in px/s, such as 16,62,177,500.")]


def evaluate(
    tracks: Annotated[Path, typer.Argument(metavar="TRACKS", help="Table that velocell detect wrote.")],
    truth: Annotated[Path, typer.Argument(metavar="TRUTH", help="Table of the true positions and speeds.")],
    bands: Edges,
    spikes: Annotated[
        Path | None, typer.Option("--spikes", metavar="NPZ", help="Spikes; adds the purity of the channels.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare a table of tracks with the truth."""
    from velocell.results.evaluate import evaluate as compare

    wanted = bands_of(bands)
    table, true = Tracks.read(tracks), Tracks.read(truth)
    if _measured(true) and not _measured(table):
        raise TableError(f"{truth} is a table of detections and {tracks} is not; the truth comes second")
    if np.unique(table.extra.get("file", [])).size > 1:
        raise TableError(f"{tracks} holds the objects of several files; detect and evaluate them one by one")
    answers = None if spikes is None else Spikes.from_npz(spikes)
    scores = compare(table, true, wanted.edges, spikes=answers)
    if as_json:
        print(scores.to_json())
        return
    from rich.console import Console

    from velocell.cli.show import confusion_table, scores_table

    Console().print(scores_table(scores), confusion_table(scores, wanted))


def _measured(table: Tracks) -> bool:
    """Whether it was made from events: only then do rows have a confidence, or speeds an error."""
    return bool(np.isfinite(table.confidence).any() or np.isfinite(table.speed_err_px_s).any())
