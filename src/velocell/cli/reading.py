"""Recordings as the command line opens, cuts and cleans them."""

from __future__ import annotations

from pathlib import Path

from velocell import formats
from velocell.cli.options import Part
from velocell.data.recording import Recording
from velocell.data.units import format_time
from velocell.errors import RecordingError
from velocell.filters.chain import Cleaning
from velocell.formats import Source


def open_events(file: Path, part: Part, strict: bool = False) -> Source:
    """The recording in a file, not yet read. Raises RecordingError."""
    return formats.open_recording(file, size=part.sensor, frame_time_us=part.frame_time_us, strict=strict)


def read_events(file: Path, part: Part, strict: bool = False) -> Recording:
    """The events of the part. Raises RecordingError where the file holds no events, or ends before the part."""
    source, (from_us, to_us) = open_events(file, part, strict), part.times_us()
    start_us = source.start_us
    recording = source.read(start_us + from_us if from_us else None, None if to_us is None else start_us + to_us)
    if not len(recording):
        whole = recording if from_us == 0 and to_us is None else source.read()
        if not len(whole):
            raise RecordingError(f"{file} holds no events; check that it was recorded and saved in full")
        if from_us >= whole.duration_us:
            raise RecordingError(
                f"--from {format_time(from_us)} lies after the end of {file}, which lasts "
                f"{format_time(whole.duration_us)}; choose an earlier time"
            )
    return recording


def read_cleaned(file: Path, part: Part, cleaning: Cleaning, strict: bool = False) -> Recording:
    """The same, cleaned. Raises VelocellError where nothing is left."""
    recording = read_events(file, part, strict)
    cleaning.check(recording)
    if len(recording):
        recording = cleaning.pixels(recording)
        if not len(recording):
            raise RecordingError(f"the filters leave no events of {file}; use fewer, or a longer --denoise")
    recording = cleaning.picture(recording)
    if not len(recording):
        raise RecordingError(f"{file} has no events in that part; choose a longer time or a larger region")
    return recording
