"""A part of a recording in a file, read and cleaned; where nothing is left of it, a sentence says why."""

from __future__ import annotations

from velocell.data.recording import Recording
from velocell.data.units import format_time
from velocell.errors import RecordingError
from velocell.filters.chain import Cleaning
from velocell.formats import Source


def read_part(source: Source, from_us: int = 0, to_us: int | None = None) -> Recording:
    """The events from `from_us` to `to_us` after the recording's start. Raises RecordingError where the file holds no
    events, or ends before the part."""
    recording = source.read(*span_of(source.start_us, from_us, to_us))
    if not len(recording):
        whole = recording if from_us == 0 and to_us is None else source.read()
        if not len(whole):
            raise RecordingError(f"{source.path} holds no events; check that it was recorded and saved in full")
        check_from(from_us, whole.duration_us, str(source.path))
    return recording


def span_of(start_us: int, from_us: int, to_us: int | None) -> tuple[int | None, int | None]:
    """The times of a file between which a part lies, None for its own start and end."""
    return start_us + from_us if from_us else None, None if to_us is None else start_us + to_us


def check_from(from_us: int, duration_us: int, name: str) -> None:
    """Raise RecordingError where a part begins after the end."""
    if from_us >= duration_us:
        raise RecordingError(
            f"--from {format_time(from_us)} lies after the end of {name}, which lasts "
            f"{format_time(duration_us)}; choose an earlier time"
        )


def cleaned(recording: Recording, cleaning: Cleaning, name: str) -> Recording:
    """The recording, cleaned; name: what it is called in a sentence. Raises VelocellError where nothing is left."""
    cleaning.check(recording)
    if len(recording):
        recording = cleaning.pixels(recording)
        if not len(recording):
            raise RecordingError(f"the filters leave no events of {name}; use fewer, or a longer --denoise")
    recording = cleaning.picture(recording)
    if not len(recording):
        raise RecordingError(f"{name} has no events in that part; choose a longer time or a larger region")
    return recording
