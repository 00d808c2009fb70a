"""Which pixels count: regions of interest, and pixels to leave out."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from velocell.data.recording import Recording
from velocell.data.side_files import read_text
from velocell.errors import OptionError, unreadable

_MOST_BYTES = 64 << 20  # of a list of pixels

Region = tuple[int, int, int, int]


def crop_to(recording: Recording, regions: Sequence[Region]) -> Recording:
    """Keep the events inside any of the regions (x, y, w, h), in px; pixels keep their coordinates, the sensor its
    size. Raises RecordingError for a region that reaches outside the sensor."""
    if len(regions) == 1:
        return recording.crop(*regions[0])
    inside = np.zeros((recording.height, recording.width), np.bool_)
    for x, y, w, h in regions:
        recording.slice(0, 0).crop(x, y, w, h)  # the check
        inside[y : y + h, x : x + w] = True
    return recording.mask(inside[recording.y, recording.x])


def read_pixels(path: str | Path) -> NDArray[np.int64]:
    """A CSV file with x,y of one pixel per line, with or without the heading x,y -> rows (x, y), shape (k, 2).

    Raises OptionError, with the number of the line, for anything else.
    """
    try:
        # Spreadsheets begin UTF-8 with a mark.
        rows = list(csv.reader(read_text(path, _MOST_BYTES).splitlines()))
    except OSError as error:
        raise OptionError(unreadable(path, error)) from None
    except (UnicodeDecodeError, csv.Error):
        raise OptionError(f"{path} is not a CSV file of pixels; write x,y of one pixel per line") from None
    pixels: list[tuple[int, int]] = []
    for number, row in enumerate(rows, start=1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (number == 1 and [cell.lower() for cell in cells] == ["x", "y"]):
            continue
        if len(cells) != 2 or not all(cell.isascii() and cell.isdigit() and len(cell) < 10 for cell in cells):
            raise OptionError(f"line {number} of {path} is '{','.join(row)}'; write x,y of one pixel per line")
        pixels.append((int(cells[0]), int(cells[1])))
    return np.array(pixels, np.int64).reshape(-1, 2)
