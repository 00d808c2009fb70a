"""Recordings as the command line opens, cuts and cleans them."""

from __future__ import annotations

from pathlib import Path

from velocell import formats
from velocell.cli.options import Part
from velocell.data.recording import Recording
from velocell.filters.chain import Cleaning
from velocell.filters.reading import FilePart, read_part
from velocell.formats import Source


def open_events(file: Path, part: Part, strict: bool = False, index: Path | None = None) -> Source:
    """The recording in a file, not yet read; index: its seek index, if it has one. Raises RecordingError."""
    return formats.open_recording(
        file,
        size=part.sensor,
        frame_time_us=part.frame_time_us,
        time_unit=part.time_unit,
        strict=strict,
        budget=part.budget,
        index=index,
    )


def read_events(file: Path, part: Part, strict: bool = False) -> Recording:
    """The events of the part. Raises RecordingError where the file holds no events, or ends before the part."""
    return read_part(open_events(file, part, strict), *part.times_us())


def open_part(file: Path, part: Part, cleaning: Cleaning, strict: bool = False) -> FilePart:
    """The part, cleaned, to be read block by block. Raises VelocellError where nothing is left."""
    return FilePart(open_events(file, part, strict), cleaning, *part.times_us())
