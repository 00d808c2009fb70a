"""Recordings as the command line opens them."""

from __future__ import annotations

from pathlib import Path

from velocell import formats
from velocell.data.recording import Recording
from velocell.data.units import format_time, parse_size, parse_time_us
from velocell.errors import RecordingError
from velocell.formats import Source


def open_events(file: Path, size: str | None, frame_time: str, strict: bool = False) -> Source:
    """The recording in a file, not yet read. Raises RecordingError."""
    wanted = None if size is None else parse_size(size)
    return formats.open_recording(file, size=wanted, frame_time_us=parse_time_us(frame_time), strict=strict)


def read_events(
    file: Path,
    size: str | None,
    frame_time: str,
    from_us: int = 0,
    to_us: int | None = None,
    strict: bool = False,
) -> Recording:
    """The events in a file, or those of a part: times from the recording's start.

    Raises RecordingError where the file holds no events, or ends before the part.
    """
    source = open_events(file, size, frame_time, strict)
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
