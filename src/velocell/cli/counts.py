"""Who crossed the lines, as a table beside the table of tracks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from velocell.data.files import replacing
from velocell.results import counting
from velocell.results.counting import Crossing, Line, count

Crossed = Sequence[Crossing] | Counter[tuple[int, str, int]]


def write_counts(
    path: Path, found: Sequence[tuple[Path | None, Crossed]], lines: Sequence[Line], bands: Sequence[str]
) -> None:
    """One row per line, direction and band. found: crossings, of several recordings each behind its file."""
    rows = [
        {**({} if file is None else {"file": str(file)}), **row}
        for file, crossed in found
        for row in count(crossed, lines, bands)
    ]
    with replacing(path) as part, part.open("w", encoding="utf-8", newline="") as handle:
        counting.write_counts(handle, rows)
