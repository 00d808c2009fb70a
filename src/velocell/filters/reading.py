"""A part of a recording in a file, read and cleaned; where nothing is left of it, a sentence says why.

At once, or block by block (`FilePart`): what has to be known of all of it before it is cleaned, its hot pixels, is
counted in a pass of its own, so that memory stays bounded. Decoding takes a hundredth of the time of a detection.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.data.blocks import gathered, joined
from velocell.data.heap import trim_heap
from velocell.data.recording import Recording
from velocell.data.units import format_time
from velocell.errors import RecordingError, printable
from velocell.filters.camera_motion import CameraMotion, MotionWatch
from velocell.filters.chain import NOTHING, Cleaning, Stream
from velocell.filters.flicker import LOOK_US, LOOKED_AT, Found, Lamp
from velocell.filters.hot_pixels import PixelCounts
from velocell.formats import Source

HEAD_EVENTS = 1 << 20
"""What comes first is held as far as these events."""


@dataclass(frozen=True, eq=False)
class Decision:
    """What the filters need to know of a whole part of a file, and what it is like, so that a piece of it can be read
    alone. hot: pixels (k, 2). lamps: of the first second; found: those that came later (`Flicker.found`).
    start_us, stop_us: of the part. events: that the filters left. notes: of the whole. motion: of the camera."""

    hot: NDArray[np.int64]
    lamps: tuple[Lamp, ...]
    found: tuple[Found, ...]
    start_us: int
    stop_us: int
    events: int
    notes: tuple[str, ...]
    motion: CameraMotion

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "hot": self.hot.tolist(), "lamps": _plain(self.lamps),
            "found": [[at_us, _plain(lamps)] for at_us, lamps in self.found], "start_us": self.start_us,
            "stop_us": self.stop_us, "events": self.events, "notes": list(self.notes),
            "motion": [self.motion.share, self.motion.kind],
        }  # fmt: skip

    @staticmethod
    def of(values: dict[str, Any]) -> Decision:
        """The inverse."""
        return Decision(
            np.array(values["hot"], np.int64).reshape(-1, 2),
            _lamps(values["lamps"]),
            tuple((at_us, _lamps(lamps)) for at_us, lamps in values["found"]),
            values["start_us"],
            values["stop_us"],
            values["events"],
            tuple(values["notes"]),
            CameraMotion(*values["motion"]),
        )


def _plain(lamps: Sequence[Lamp]) -> list[Any]:
    return [[lamp.hz, None if lamp.cells is None else sorted(lamp.cells)] for lamp in lamps]


def _lamps(values: list[Any]) -> tuple[Lamp, ...]:
    return tuple(
        Lamp(hz, None if cells is None else frozenset((column, row) for column, row in cells)) for hz, cells in values
    )


class FilePart:
    """A part of a recording in a file, cleaned, which is read block by block as often as it is asked for.

    Looks through all of it when it is made, unless a decision says what was found before. duration_us: of the part.
    Raises VelocellError, as `read_part` and `cleaned` do; where the filters leave nothing, once that is known.
    """

    def __init__(
        self,
        source: Source,
        cleaning: Cleaning,
        from_us: int = 0,
        to_us: int | None = None,
        decision: Decision | None = None,
    ) -> None:
        self._source, self._cleaning = source, cleaning
        self._span = span_of(source.start_us, from_us, to_us)
        self.size = (source.width, source.height)
        self._found: tuple[Found, ...] | None = None
        self._motion: CameraMotion | None = None
        if decision is not None:
            self._take_up(decision)
            return
        counts = PixelCounts(*self.size) if cleaning.mask_hot else None
        unignored = self._raw()
        start_us, found = None, 0
        for block in source.blocks(*self._span):
            if start_us is None:
                start_us = block.start_us
                cleaning.check(block)
            found += len(block)
            if counts is not None and len(block):
                counts.add(unignored(block))
        assert start_us is not None  # there is always a block
        nothing = block.mask(np.zeros(len(block), np.bool_))  # a slice would hold the block
        self._outline = replace(nothing, start_us=start_us, stop_us=block.stop_us, notes=source.notes)
        del block
        if not found:
            self._tell_nothing(from_us, to_us)
        self._hot = np.empty((0, 2), np.int64) if counts is None else counts.hot()
        self._lamps = self._found_lamps() if cleaning.flicker == "auto" else ()
        self._events = self._filtered = 0

    @property
    def source(self) -> str:
        return str(self._source.path)

    @property
    def duration_us(self) -> int:
        return self._outline.duration_us

    @property
    def motion(self) -> CameraMotion:
        """How the camera moves, by the events that the filters leave; known once all blocks were read."""
        assert self._motion is not None
        return self._motion

    def outline(self) -> tuple[Recording, int]:
        """Span, sensor, source and notes, without events, and how many events the filters left; complete once all
        blocks were read."""
        return self._outline, self._events

    def head(self, span_us: int) -> Recording:
        """What comes in the first `span_us`, cleaned; no more than HEAD_EVENTS events."""
        stop_us = min(self._outline.start_us + span_us, self._outline.stop_us)
        blocks, n = [], 0
        for block in self._read(stop_us):
            blocks.append(block)
            n += len(block)
            if n >= HEAD_EVENTS:
                stop_us = int(block.t_us[-1])
                break
        whole = joined(blocks)
        del blocks
        trim_heap()
        return replace(whole.between(stop_us=stop_us), start_us=self._outline.start_us, stop_us=stop_us)

    def blocks(self) -> Iterator[Recording]:
        """Consecutive blocks, at least one, over the span of the part. Raises VelocellError."""
        watch = MotionWatch(self._outline) if self._motion is None else None
        for block in self.peek():
            yield block
            if watch is not None:  # who asks for no more blocks does not pay for it
                watch.add(block)
        self._motion = self._motion if watch is None else watch.motion()

    def peek(self) -> Iterator[Recording]:
        """The same blocks, without watching how the camera moves."""
        events = 0
        for block in self._read():
            events += len(block)
            yield block
        self._events = events
        if not events:
            raise RecordingError((_no_events if self._filtered else _filtered_out)(self.source))

    def decision(self) -> Decision:
        """What a reader of a piece of it needs to know; known once all blocks were read."""
        assert self._found is not None
        nothing, events = self.outline()
        found, (start_us, stop_us) = self._found, (nothing.start_us, nothing.stop_us)
        return Decision(self._hot, self._lamps, found, start_us, stop_us, events, nothing.notes, self.motion)

    def between(self, start_us: int, stop_us: int) -> Iterator[Recording]:
        """The blocks of a piece of it, as they are within the whole: what comes before is read as far as the filters
        remember. Nothing before is decoded where the source has an index. Known once all blocks were read, or by a
        decision."""
        assert self._found is not None
        known = [lamp.lead_us for lamps in (self._lamps, *(lamps for _, lamps in self._found)) for lamp in lamps]
        first_us = start_us - self._cleaning.lead_us - max(known, default=0)
        begin_us = None if first_us <= self._outline.start_us else first_us
        filters, seen = self._streams(self._found)
        held: Recording | None = None
        for block in self._source.blocks(begin_us if begin_us is not None else self._span[0], stop_us):
            left = seen(filters(block))
            if block.stop_us <= start_us:
                continue
            if held is not None:
                yield held
            held = left.between(start_us)
        if held is None:
            held = replace(self._outline, start_us=start_us, stop_us=start_us)
        yield replace(held, stop_us=max(stop_us, held.start_us))

    def whole(self) -> Recording:
        """All of it at once, for what cannot do without."""
        return replace(gathered(self.blocks()), notes=self._outline.notes)

    def _read(self, stop_us: int | None = None) -> Iterator[Recording]:
        """The blocks of the part, or of its beginning, cleaned."""
        (filters, seen), filtered = self._streams(), 0
        start_us, end_us = self._span
        for block in self._source.blocks(start_us, end_us if stop_us is None else stop_us):
            block = filters(block)
            filtered += len(block)
            yield seen(block)
        if stop_us is None:
            notes = (*self._source.notes, *filters.notes(), *seen.notes())
            self._filtered, self._outline = filtered, replace(self._outline, notes=notes)
            self._found = tuple(filters.flicker.found)

    def _streams(self, found: Sequence[Found] | None = None) -> tuple[Stream, Stream]:
        """What cleans the camera's pixels, and what the picture. found: lamps that need not be looked for."""
        filters = replace(self._cleaning, camera=None, regions=()).stream(self.size)
        picture = replace(NOTHING, camera=self._cleaning.camera, regions=self._cleaning.regions)
        filters.hot = self._hot
        filters.flicker.know(self._lamps)
        if found is not None:
            filters.flicker.follow(found)
        return filters, picture.stream(self.size)

    def _take_up(self, decision: Decision) -> None:
        self._hot, self._lamps, self._found = decision.hot, decision.lamps, decision.found
        self._events = self._filtered = decision.events
        self._motion = decision.motion
        none = np.zeros(0, np.int64)
        p = none.astype(np.bool_) if self._source.polarity else None
        self._outline = replace(
            Recording.from_arrays(none, none, none, p, width=self.size[0], height=self.size[1]),
            start_us=decision.start_us,
            stop_us=decision.stop_us,
            source=printable(self.source),
            notes=decision.notes,
        )

    def _raw(self) -> Stream:
        """What the other filters are given, but for hot pixels."""
        return replace(NOTHING, ignore=self._cleaning.ignore).stream(self.size)

    def _found_lamps(self) -> tuple[Lamp, ...]:
        """Those of the first second."""
        raw, seen, start_us = self._raw(), [], self._outline.start_us
        raw.hot = self._hot
        for block in self._source.blocks(start_us, min(start_us + LOOK_US, self._outline.stop_us)):
            seen.append(raw(block))
            if sum(map(len, seen)) >= LOOKED_AT:
                break
        return self._cleaning.lamps(joined(seen))

    def _tell_nothing(self, from_us: int, to_us: int | None) -> None:
        """Raises: the file holds no events, or not in this part."""
        if from_us or to_us is not None:
            span = [(block.start_us, block.stop_us, len(block)) for block in self._source.blocks()]
            if any(n for _, _, n in span):
                check_from(from_us, span[-1][1] - span[0][0], self.source)
                raise RecordingError(_no_events(self.source))
        raise RecordingError(_none_at_all(self.source))


def read_part(source: Source, from_us: int = 0, to_us: int | None = None) -> Recording:
    """The events from `from_us` to `to_us` after the recording's start. Raises RecordingError where the file holds no
    events, or ends before the part."""
    recording = source.read(*span_of(source.start_us, from_us, to_us))
    if not len(recording):
        whole = recording if from_us == 0 and to_us is None else source.read()
        if not len(whole):
            raise RecordingError(_none_at_all(str(source.path)))
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
            raise RecordingError(_filtered_out(name))
    recording = cleaning.picture(recording)
    if not len(recording):
        raise RecordingError(_no_events(name))
    return recording


def _none_at_all(name: str) -> str:
    return f"{name} holds no events; check that it was recorded and saved in full"


def _no_events(name: str) -> str:
    return f"{name} has no events in that part; choose a longer time or a larger region"


def _filtered_out(name: str) -> str:
    return f"the filters leave no events of {name}; use fewer, or a longer --denoise"
