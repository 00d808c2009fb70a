"""Opening a file for the page: a part of it, cleaned; read at once, or in windows where it is large."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from velocell import formats
from velocell.data.recording import Recording
from velocell.errors import RecordingError
from velocell.filters.chain import NOTHING, Cleaning
from velocell.filters.hot_pixels import hot_pixels, mask_pixels
from velocell.filters.reading import check_from, cleaned, read_part, span_of
from velocell.viewer.source import InMemory, OnDisk
from velocell.viewer.windowed import Windowed, is_stored, spooled, stored

WINDOWED_BYTES = 256 << 20
"""Files from this size on are read in windows."""

_SAMPLE_EVENTS = 1 << 22  # in a large file, hot pixels are looked for among this many events from the start

Part = tuple[int, "int | None"]
"""From and to, in microseconds from the recording's start; to is None for its end."""


def open_source(
    path: str | Path,
    *,
    size: tuple[int, int] | None = None,
    frame_time_us: int = 1_000,
    time_unit: str | None = None,
    cleaning: Cleaning | None = None,
    part_us: Part = (0, None),
    budget: float = 1.0,
) -> InMemory | Cleaned:
    """The recording in a file, in windows where it is large. cleaning: what is left out, nothing if not given.
    Raises VelocellError."""
    file = Path(path)
    cleaning = NOTHING if cleaning is None else cleaning
    if file.is_file() and file.stat().st_size >= WINDOWED_BYTES:
        as_it_lies = size is None and time_unit is None and is_stored(file)
        large = stored(file) if as_it_lies else spooled(file, size, frame_time_us, budget, time_unit)
        return Cleaned(large, cleaning, part_us)
    here = OnDisk.now(file) if file.is_file() else None
    source = formats.open_recording(file, size=size, frame_time_us=frame_time_us, time_unit=time_unit, budget=budget)
    events = read_part(source, *part_us)
    return InMemory(cleaned(events, cleaning, str(file)), here, file.name)


class Cleaned:
    """A part of a large recording, cleaned window by window; each is begun so early that its events are those that
    the whole part gives. Events are counted before the cleaning. Raises VelocellError where the part is empty."""

    growing = False

    def __init__(self, file: Windowed, cleaning: Cleaning, part_us: Part = (0, None)) -> None:
        self.name, self.title, self.size, self.polarity = file.name, file.title, file.size, file.polarity
        start, stop = span_of(file.start_us, *part_us)
        check_from(part_us[0], file.stop_us - file.start_us, file.name)
        self.start_us = file.start_us if start is None else start
        self.stop_us = file.stop_us if stop is None else min(stop, file.stop_us)
        self._file = file
        # The lens is worked out once, not for each window.
        self._filters = replace(cleaning, camera=None, regions=())
        self._picture = replace(NOTHING, camera=cleaning.camera, regions=cleaning.regions).stream(file.size)
        sample = file.head(_SAMPLE_EVENTS, self.start_us, self.stop_us)
        if not len(sample):
            raise RecordingError(f"{file.name} has no events in that part; choose a longer time or a larger region")
        cleaning.check(sample)
        self._hot = hot_pixels(cleaning.without_ignored(sample)) if cleaning.mask_hot else np.zeros((0, 2), np.int64)
        self._lamps = cleaning.lamps(mask_pixels(cleaning.without_ignored(sample), self._hot))
        self._lead_us = cleaning.lead_us + max((lamp.lead_us for lamp in self._lamps), default=0)
        new = self._filters.pixels(sample, self._hot, self._lamps).notes[len(sample.notes) :]
        basis = f"by the first {len(sample)} events"
        self.notes = (*file.notes, *(f"{note.partition(':')[0]}, {basis}" for note in new))

    @property
    def events(self) -> int:
        return int(self.count(np.array([self.start_us, self.stop_us]))[0])

    def window(self, start_us: int, stop_us: int) -> Recording:
        start = min(max(start_us, self.start_us), self.stop_us)
        stop = max(start, min(stop_us, self.stop_us))
        events = self._file.window(max(start - self._lead_us, self.start_us), stop)
        return self._picture(self._filters.pixels(events, self._hot, self._lamps).between(start, stop))

    def count(self, edges_us: NDArray[np.int64]) -> NDArray[np.int64]:
        return self._file.count(np.clip(edges_us, self.start_us, self.stop_us))

    def check(self) -> str | None:
        return self._file.check()
