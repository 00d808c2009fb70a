"""How a format plugs in, and `Source`: an opened recording that is read block by block.

A format is a module with

    NAME                                      what it reads, for the list in error messages
    matches(head, path) -> bool               decided by content: `head` holds the first 4096 bytes
    open_file(path, *, size, frame_time_us, time_unit, budget) -> Opened

`open_file` reads what stands before the events and returns an `Opened`: facts, and a function that decodes
the events in blocks of whatever length suits the format, in the file's order. What all formats share
happens here: blocks are brought to a common length, checked against the sensor, put in order of time, cut
to [start, stop), and everything odd is counted or refused. So a decoder only decodes, and counts in the
`Integrity` that it is given what it meets beside events (`fact`) and what is damaged (`fault`). What it sets aside
or unpacks it asks the `Budget` for first; events and time are counted here.

A format that can go on decoding in the middle gives `resume` too, and a pass over the file makes a seek index
(`formats/seek.py`); one that cannot says in `unindexed` why.

A format whose files are small and cannot be read in part returns `whole(recording, name)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from velocell.data.blocks import Events, gathered, in_order, join_events, on_sensor, take
from velocell.data.budget import Budget, Meter
from velocell.data.integrity import Integrity
from velocell.data.recording import MAX_SENSOR_PX, Recording
from velocell.errors import RecordingError, printable, unreadable
from velocell.formats.seek import Marks, Place, key_of

SMALLEST_BLOCK = 1 << 15  # events; shorter blocks are joined, so that work per block does not count
LARGEST_BLOCK = 1 << 19  # longer ones are cut
# Cameras and their drivers give events some milliseconds late. A clock is set back by more, and seldom.
_LATEST_US, _MOST_RESETS = 100_000, 3


@cache
def _keep_what_is_freed() -> None:
    """Most C libraries give freed memory back to the system, which fills each page with zeros before it is used again:
    that takes longer than decoding. glibc keeps what is smaller than the largest piece that was ever freed."""
    bytes(8 << 20)


class _Timed(NamedTuple):
    """A block of events, how often its time steps back, and its earliest and latest time."""

    events: Events
    steps: int
    earliest_us: int
    latest_us: int

    @staticmethod
    def of(events: Events) -> _Timed:
        t = events.t_us
        if not len(t):
            return _Timed(events, 0, 0, 0)
        steps = int(np.count_nonzero(t[1:] < t[:-1]))
        earliest, latest = (t.min(), t.max()) if steps else (t[0], t[-1])
        return _Timed(events, steps, int(earliest), int(latest))


# Called with an Integrity to count in and a time before which events are not needed (None: all are);
# a decoder that can do so cheaply may leave out such events. Each call starts at the file's first event.
Decode = Callable[[Integrity, "int | None"], Iterator[Events]]
# Called with a place in place of the time, None for the start; each block comes with the place behind it.
Resume = Callable[[Integrity, "Place | None"], "Iterator[tuple[Events, Place | None]]"]


@dataclass(frozen=True)
class Opened:
    """What a format knows before it decodes events.

    name: format and version, such as "Prophesee RAW EVT3". why: by what it was recognised.
    size: (width, height) as the file says; None where it does not: then all events are looked at once.
    size_from: in words, where `size` stands. span: (start_us, stop_us), where the file states it.
    notes: what else a user should know. polarity: whether events have one. resume: decodes from a place in the middle;
    None where that cannot be done, and `unindexed` says why. skips: decode leaves out early events cheaply.
    """

    name: str
    why: str
    decode: Decode
    size: tuple[int, int] | None = None
    size_from: str = "as the file says"
    span: tuple[int, int] | None = None
    polarity: bool = True
    notes: tuple[str, ...] = ()
    recording: Recording | None = None
    resume: Resume | None = None
    unindexed: str = "its format can only be read from the start"
    skips: bool = False


def from_start(resume: Resume) -> Decode:
    """The `decode` of a format that has `resume`, and leaves nothing out."""

    def decode(integrity: Integrity, start_us: int | None) -> Iterator[Events]:
        return (events for events, _ in resume(integrity, None))

    return decode


def whole(recording: Recording, name: str) -> Opened:
    """For formats that are read at once; the recording is checked, and its notes say how it was read."""

    def decode(integrity: Integrity, start_us: int | None) -> Iterator[Events]:
        yield Events(recording.t_us, recording.x, recording.y, recording.p)

    format_, *notes = recording.notes
    span = (recording.start_us, recording.stop_us)
    polarity = recording.p is not None
    return Opened(name, format_, decode, recording.size, "", span, polarity, tuple(notes), recording)


class Source:
    """A recording opened for reading; memory stays bounded however long it is.

    path, format, why: what it is and by what that was recognised. width, height: the sensor in px; size_from
    says how it was found. polarity: whether events have one. remarks: what else the file says, in words.
    integrity: counts of what `blocks` met; complete once all are read. marks: the seek index; complete once all was
    read.

    Make one with `formats.open_recording`.
    """

    def __init__(
        self,
        path: Path,
        opened: Opened,
        budget: Budget,
        *,
        size: tuple[int, int] | None = None,
        strict: bool = False,
        marks: Marks | None = None,
        reading: dict[str, Any] | None = None,
    ):
        """budget: what reading may cost. size: (width, height) in place of what the file says. marks: the index of an
        earlier reading. reading: the options that decide what is read. Raises RecordingError."""
        self.path, self.format, self.why, self.polarity = path, opened.name, opened.why, opened.polarity
        self._name = printable(str(path))
        self.remarks = opened.notes
        self.integrity = Integrity(str(path), strict)
        self._opened, self._given, self._budget = opened, size is not None, budget
        self.marks, self._reading = Marks() if marks is None else marks, reading or {}
        self._at = 0  # bytes of the file that are decoded, where its format says so
        self.size_from = opened.size_from
        if size is not None:
            self.size_from = "as given"
            if opened.size is not None and opened.size != size:
                self.size_from += "; the file says {}x{}".format(*opened.size)
        elif opened.size is None:
            self.size_from = "inferred from the largest coordinates; give --size to set it"
        with file_errors(path):
            self.width, self.height = size or opened.size or self.marks.size or self._largest()
            if not (0 < self.width <= MAX_SENSOR_PX and 0 < self.height <= MAX_SENSOR_PX):
                raise RecordingError(
                    f"{path}: the sensor size {self.width}x{self.height} must be between 1 and {MAX_SENSOR_PX} px; "
                    "give the true size with --size"
                )
            budget.check_size(self.width, self.height)

    @cached_property
    def start_us(self) -> int:
        """Where the recording starts: as the file says, or its first event (0 where there is none)."""
        if self._opened.span is not None:
            return self._opened.span[0]
        if self.marks.start_us is not None:
            return self.marks.start_us
        with file_errors(self.path):
            first = next(self._ordered(Integrity(str(self.path)), None), None)
        self.marks.start_us = 0 if first is None else int(first.t_us[0])
        return self.marks.start_us

    def keep_index(self, file: Path) -> None:
        """Write what the passes so far have found: `open_recording(..., index=file)` takes it up. Raises VelocellError
        where it cannot be written."""
        self.marks.keep(file, self.key())

    def key(self) -> dict[str, Any]:
        """By what it is known again, without reading all of it. Raises RecordingError."""
        with file_errors(self.path):
            return key_of(self.path, self._reading)

    @property
    def unindexed(self) -> str | None:
        """In words, why a part in the middle is read from the start of the file; None where it is not."""
        return None if self._opened.resume is not None else self._opened.unindexed

    @property
    def notes(self) -> tuple[str, ...]:
        """In words: the format first, then what a user should know of size, content and repairs."""
        if self._opened.recording is not None:
            return self._opened.recording.notes
        # A size that only the file states needs no note.
        sized = (
            []
            if self._opened.size == (self.width, self.height)
            else [f"sensor size {self.width}x{self.height} {self.size_from}"]
        )
        return (f"{self.format}, {self.why}", *sized, *self.remarks, *self.integrity.notes())

    def blocks(self, start_us: int | None = None, stop_us: int | None = None) -> Iterator[Recording]:
        """The events in [start, stop), in order of time, as Recordings of some 100 000 events.

        The first block starts where the recording (or the requested part) starts, the last one stops where it
        stops, and there is at least one. Between them, blocks span just their events; one instant may go
        on in the next block. Each call reads the file again. Raises RecordingError.
        """
        self.integrity.clear()
        _keep_what_is_freed()
        with file_errors(self.path):
            yield from self._spanned(start_us, stop_us)

    def read(self, start_us: int | None = None, stop_us: int | None = None) -> Recording:
        """All blocks joined. Raises RecordingError."""
        if self._opened.recording is not None:
            return self._opened.recording.between(start_us, stop_us)
        with file_errors(self.path):
            whole = gathered(self.blocks(start_us, stop_us), lambda: self._at / max(self._budget.file_bytes, 1))
            return replace(whole, notes=self.notes)

    def _spanned(self, start_us: int | None, stop_us: int | None) -> Iterator[Recording]:
        """The blocks, the first and the last with the span of the part. One is held back to find the last."""
        span = self._opened.span
        begin = None if span is None else span[0]
        if start_us is not None:
            begin = max(start_us, self.start_us)
        end = None if span is None else span[1]
        held: Recording | None = None
        for events in self._ordered(self.integrity, start_us):
            first = 0 if start_us is None else int(np.searchsorted(events.t_us, start_us))
            last = len(events.t_us) if stop_us is None else int(np.searchsorted(events.t_us, stop_us))
            if last > first:
                if held is not None:
                    yield held
                held = self._block(events, first, last, begin if held is None else None)
            if stop_us is not None and last < len(events.t_us):
                end = max(int(events.t_us[-1]) + 1, end or 0)
                break
        else:
            if held is not None and span is not None:
                until_us = span[1] if stop_us is None else min(span[1], stop_us)
                self.integrity.ends(int(held.t_us[-1]), span, until_us)
                held = replace(held, notes=self.notes)
        if held is None:
            yield self._nothing(self.start_us if begin is None else begin, stop_us, end)
            return
        stop = max(held.stop_us, end or 0)
        yield replace(held, stop_us=stop if stop_us is None else min(stop, stop_us))

    def _block(self, events: Events, first: int, last: int, start_us: int | None) -> Recording:
        t, x, y, p = take(events, slice(first, last))
        start = int(t[0]) if start_us is None else min(start_us, int(t[0]))
        stop = int(t[-1]) + 1
        xs, ys = x.astype(np.uint16, copy=False), y.astype(np.uint16, copy=False)
        return Recording(t, xs, ys, p, self.width, self.height, start, stop, self._name, self.notes)

    def _nothing(self, begin: int, stop_us: int | None, end: int | None) -> Recording:
        none = np.zeros(0, np.int64)
        stop = max(begin, begin if end is None else end)
        stop = stop if stop_us is None else max(begin, min(stop, stop_us))
        p = none.astype(np.bool_) if self.polarity else None
        return Recording.from_arrays(
            none, none, none, p, width=self.width, height=self.height, start_us=begin, stop_us=stop,
            source=self._name, notes=self.notes,
        )  # fmt: skip

    def _ordered(self, integrity: Integrity, start_us: int | None) -> Iterator[Events]:
        """Blocks of events on the sensor, in order of time. One block is held back for what comes late."""
        held: Events | None = None
        last_us, emitted_us = None, 0  # of the file's order; before this nothing can be put any more
        was_reset: RecordingError | None = None
        for raw, steps, _, _ in _sized(self._on_sensor(integrity, start_us)):
            steps += last_us is not None and int(raw.t_us[0]) < last_us
            reset = _reset(raw.t_us, last_us) if steps else None
            if reset is not None:
                was_reset = self._was_reset(int(raw.t_us[reset]), int(raw.t_us[reset - 1]) if reset else last_us)
                raw = take(raw, slice(reset))  # what stands before it can be read
                if not reset:
                    break
            last_us = int(raw.t_us[-1])
            if steps:
                integrity.fault("back_steps", steps, f"the first before {last_us} us")
            block = in_order(raw) if steps else raw
            if held is not None:
                if block.t_us[0] < held.t_us[-1]:
                    both = in_order(join_events([held, block]))
                    cut = len(held.t_us)
                    held, block = take(both, slice(cut)), take(both, slice(cut, None))
                self._check_late(held, emitted_us)
                emitted_us = int(held.t_us[-1])
                yield held
            held = block
            if was_reset is not None:
                break
        if held is not None:
            self._check_late(held, emitted_us)
            yield held
        if was_reset is not None:
            raise was_reset

    def _was_reset(self, to_us: int, from_us: int | None) -> RecordingError:
        return RecordingError(
            f"{self.path}: the time steps back from {from_us} to {to_us} us and goes on from there: its clock was set "
            "back, or its events are not in order; read the part before it with --to, cut the file there, or sort it"
        )

    def _check_late(self, events: Events, emitted_us: int) -> None:
        first = int(events.t_us[0])
        if first < 0:
            raise RecordingError(
                f"{self.path}: the first time is {first} us; times must not be negative, so add an offset to all "
                "of them"
            )
        if first < emitted_us:
            raise RecordingError(
                f"{self.path}: the time steps back from {emitted_us} to {first} us, too far to put the events in "
                f"order; read the part before it with --to, or cut the file there"
            )

    def _on_sensor(self, integrity: Integrity, start_us: int | None) -> Iterator[_Timed]:
        span = self._opened.span
        for timed in self._metered(integrity, start_us):
            events = timed.events
            if span is not None and not span[0] <= timed.earliest_us <= timed.latest_us < span[1]:
                outside = (events.t_us < span[0]) | (events.t_us >= span[1])
                integrity.fault("outside_span", int(np.count_nonzero(outside)))
            inside = on_sensor(events, self.width, self.height)
            if inside is None:
                yield timed
                continue
            k = int(np.argmin(inside))
            where = f"the {self.width}x{self.height} sensor"
            first = f"the first is at x = {events.x[k]}, y = {events.y[k]}, {events.t_us[k]} us"
            if self._given:
                raise RecordingError(f"{self.path} has events outside {where}, {first}; give the true size with --size")
            integrity.fault("out_of_bounds", int(np.count_nonzero(~inside)), f"{where}; {first}")
            if inside.any():
                yield _Timed.of(take(events, inside))

    def _largest(self) -> tuple[int, int]:
        width = height = 1
        for events, *_ in self._metered(Integrity(str(self.path)), None):
            width = max(width, int(events.x.max()) + 1)
            height = max(height, int(events.y.max()) + 1)
        self.marks.size = width, height
        return width, height

    def _metered(self, integrity: Integrity, start_us: int | None) -> Iterator[_Timed]:
        """What the format decodes, without empty blocks; events and the time of decoding are counted."""
        meter = Meter(self._budget)
        for timed in self._decoded(integrity, start_us):
            meter.work()
            n = len(timed.events.t_us)
            meter.events(n)
            if n:
                yield timed
            meter.start()

    def _decoded(self, integrity: Integrity, start_us: int | None) -> Iterator[_Timed]:
        """From the last mark before `start_us`, else from the start; what is read from there makes the index."""
        resume, place = self._opened.resume, None if start_us is None else self.marks.place(start_us)
        if resume is None or (place is None and start_us is not None and self._opened.skips):
            yield from map(_Timed.of, self._opened.decode(integrity, start_us))
            return
        making = None if place is not None or self.marks.complete else Marks(size=self.marks.size)
        if making is not None:
            making.start_us, self.marks = self.marks.start_us, making
        for events, behind in resume(integrity, place):
            self._at = 0 if behind is None else behind.get("at", 0)
            timed = _Timed.of(events)
            if making is not None and len(events.t_us):
                making.add(len(events.t_us), timed.latest_us, behind)
            yield timed
        if making is not None:
            making.complete = True


def _reset(t_us: NDArray[np.int64], before_us: int | None) -> int | None:
    """The first event after a clock was set back; None where events are only late.

    Late ones are followed by a jump forward. Where the time steps back often, the events were never in order.
    """
    steps = np.diff(t_us, prepend=t_us[0] if before_us is None else before_us)
    back = np.flatnonzero(steps <= -_LATEST_US)
    if not 0 < len(back) <= _MOST_RESETS:
        return None
    for k in back.tolist():
        if not (steps[k:] >= -steps[k] // 2).any():
            return int(k)
    return None


def _sized(blocks: Iterator[_Timed]) -> Iterator[_Timed]:
    """The same events in blocks of SMALLEST_BLOCK to LARGEST_BLOCK; only the last may be shorter."""
    short: list[Events] = []
    n = 0
    for block in blocks:
        short.append(block.events)
        n += len(block.events.t_us)
        if n < SMALLEST_BLOCK:
            continue
        if len(short) == 1 and n <= LARGEST_BLOCK:
            yield block
        else:
            yield from map(_Timed.of, _pieces(join_events(short)))
        short, n = [], 0
    if n:
        yield _Timed.of(join_events(short))


def _pieces(events: Events) -> Iterator[Events]:
    for first in range(0, len(events.t_us), LARGEST_BLOCK):
        yield take(events, slice(first, first + LARGEST_BLOCK))


@contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Turn errors of the system into a RecordingError that names the file."""
    try:
        yield
    except OSError as error:
        raise RecordingError(unreadable(path, error)) from None
    except MemoryError:
        raise RecordingError(f"{path} does not fit into memory; cut it into parts") from None
