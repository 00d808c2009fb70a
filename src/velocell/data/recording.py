"""`Recording`: the events of a camera, sorted in time, on a sensor of known size."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from velocell.data.checks import as_polarity, check_coordinates, check_frames, check_times, event_counts, whole_numbers
from velocell.data.html import animated, shown
from velocell.errors import RecordingError

if TYPE_CHECKING:
    from velocell.data.spikes import Spikes
    from velocell.data.tracks import Tracks
    from velocell.pictures.video.clip import Clip

Polarity = Literal["both", "on", "off", "merge", "drop"]

MAX_SENSOR_PX = 65_536
_DENSE_LIMIT_BYTES = 8 << 30
_LATEST_US = 1 << 62


@dataclass(frozen=True, eq=False)
class Recording:
    """Events in the order of their times. Arrays have shape (n,).

    t_us: int64, microseconds, the file's own clock, never re-zeroed, never decreasing.
    x, y: uint16, pixels; x to the right, y downwards, pixel centres at integers.
    p: bool, True = ON (brighter); None where the recording has no polarity.
    width, height: sensor size in pixels.
    start_us, stop_us: the span the recording covers, [start, stop); events alone do not show
        how long it was quiet before the first and after the last.
    source, notes: where it came from, and in words how format and size were inferred or repaired.

    Build one with `Recording.from_arrays`, which checks; the constructor trusts its caller.
    """

    t_us: NDArray[np.int64]
    x: NDArray[np.uint16]
    y: NDArray[np.uint16]
    p: NDArray[np.bool_] | None
    width: int
    height: int
    start_us: int = 0
    stop_us: int = 0
    source: str = ""
    notes: tuple[str, ...] = field(default=())

    @staticmethod
    def from_arrays(
        t_us: ArrayLike,
        x: ArrayLike,
        y: ArrayLike,
        p: ArrayLike | None = None,
        *,
        width: int | None = None,
        height: int | None = None,
        start_us: int | None = None,
        stop_us: int | None = None,
        source: str = "",
        notes: tuple[str, ...] = (),
    ) -> Recording:
        """Check arrays of shape (n,) and make a Recording of them.

        Without `width` and `height` the sensor is the smallest that holds all events, and
        `notes` says so. Arrays that have the right type already are kept, not copied. Raises
        RecordingError for arrays of different length, times that are negative, not whole or go
        back, events outside the sensor or outside [start_us, stop_us).
        """
        where = f" in {source}" if source else ""
        t = whole_numbers(t_us, "t", where)
        xs, ys = whole_numbers(x, "x", where), whole_numbers(y, "y", where)
        if not t.shape == xs.shape == ys.shape:
            raise RecordingError(
                f"t, x and y{where} must have one entry per event, got lengths {t.size}, {xs.size} and {ys.size}"
            )
        t = t.astype(np.int64, copy=False)
        check_times(t, where)
        if width is None or height is None:
            width, height = (max(int(values.max()) + 1, 1) if values.size else 1 for values in (xs, ys))
            inferred = f"sensor size {width}x{height} inferred from the largest coordinates; give --size to set it"
            notes = (*notes, inferred)
        if not (0 < width <= MAX_SENSOR_PX and 0 < height <= MAX_SENSOR_PX):
            raise RecordingError(
                f"sensor size {width}x{height}{where} must be between 1 and {MAX_SENSOR_PX} px; "
                "check the coordinates or give the true size with --size"
            )
        for name, values, bound in (("x", xs, width), ("y", ys, height)):
            check_coordinates(values, name, bound, f"{where} lie outside the {width}x{height} sensor")
        start = (int(t[0]) if t.size else 0) if start_us is None else int(start_us)
        stop = (int(t[-1]) + 1 if t.size else start) if stop_us is None else int(stop_us)
        if start > stop or (t.size and (start > t[0] or stop <= t[-1])):
            raise RecordingError(f"events{where} lie outside the span [{start}, {stop}) us; widen the span")
        return Recording(
            t,
            xs.astype(np.uint16, copy=False),
            ys.astype(np.uint16, copy=False),
            None if p is None else as_polarity(p, t.size, where),
            int(width),
            int(height),
            start,
            stop,
            source,
            notes,
        )

    def __len__(self) -> int:
        return int(self.t_us.size)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.width, self.height

    @property
    def duration_us(self) -> int:
        return self.stop_us - self.start_us

    def slice(self, first: int, last: int) -> Recording:
        """Events first..last-1 (views, no copies); the span shrinks to those events."""
        t = self.t_us[first:last]
        start = int(t[0]) if t.size else self.start_us
        stop = int(t[-1]) + 1 if t.size else start
        p = None if self.p is None else self.p[first:last]
        return replace(self, t_us=t, x=self.x[first:last], y=self.y[first:last], p=p, start_us=start, stop_us=stop)

    def between(self, start_us: int | None = None, stop_us: int | None = None) -> Recording:
        """The part of the recording in [start, stop), times unchanged."""
        start = self.start_us if start_us is None else max(start_us, self.start_us)
        stop = self.stop_us if stop_us is None else min(stop_us, self.stop_us)
        stop = max(start, stop)
        first, last = np.searchsorted(self.t_us, [start, stop])
        return replace(self.slice(int(first), int(last)), start_us=start, stop_us=stop)

    def head(self, span_us: int) -> Recording:
        """The first `span_us` microseconds."""
        return self.between(stop_us=self.start_us + span_us)

    def blocks(self) -> Iterator[Recording]:
        """All of it, as what is read from a file gives it in blocks (`data.blocks.Footage`)."""
        yield self

    peek = blocks

    def outline(self) -> tuple[Recording, int]:
        """The recording without its events, and how many they are."""
        return replace(self.slice(0, 0), start_us=self.start_us, stop_us=self.stop_us), len(self)

    def chunks(self, span_us: int) -> Iterator[Recording]:
        """Consecutive parts of `span_us` microseconds, quiet ones included, cut at its multiples."""
        if span_us < 1:
            raise RecordingError(f"parts of a recording must last at least 1 us, got {span_us}")
        start = self.start_us
        while start < self.stop_us:
            stop = min((start // span_us + 1) * span_us, self.stop_us)
            yield self.between(start, stop)
            start = stop

    def pixels(self) -> NDArray[np.int32]:
        """The number of each event's pixel, y * width + x. Shape (n,)."""
        return self.y.astype(np.int32) * np.int32(self.width) + self.x

    def mask(self, keep: NDArray[np.bool_]) -> Recording:
        """The events where `keep` (n,) is true; the span stays."""
        p = None if self.p is None else self.p[keep]
        return replace(self, t_us=self.t_us[keep], x=self.x[keep], y=self.y[keep], p=p)

    def crop(self, x: int, y: int, w: int, h: int) -> Recording:
        """Keep the events inside a region; pixels keep their coordinates, the sensor its size."""
        if x < 0 or y < 0 or x + w > self.width or y + h > self.height:
            raise RecordingError(
                f"region {x},{y},{w},{h} reaches outside the {self.width}x{self.height} sensor; choose one inside it"
            )
        return self.mask((self.x >= x) & (self.x < x + w) & (self.y >= y) & (self.y < y + h))

    def with_polarity(self, polarity: Polarity) -> Recording:
        """`both`: unchanged. `drop`: all events, without polarity. `on`, `off`: only those events.

        `merge` is the old name of `drop`, deprecated: elsewhere it keeps polarity. Raises RecordingError for other
        names, and where events of one polarity are requested but the recording has none.
        """
        if polarity == "both":
            return self
        if polarity == "merge":
            warnings.warn(
                "with_polarity('merge') drops polarity; say 'drop'. In detect, 'merge' keeps it for the trail filter",
                DeprecationWarning,
                stacklevel=2,
            )
        if polarity in ("drop", "merge"):
            return replace(self, p=None)
        if polarity not in ("on", "off"):
            raise RecordingError(f"polarity '{polarity}' is unknown; use both, on, off, merge or drop")
        if self.p is None:
            raise RecordingError(
                f"polarity '{polarity}' was requested but {self.source or 'the recording'} has none; use merge"
            )
        return self.mask(self.p if polarity == "on" else ~self.p)

    def _repr_html_(self) -> str:
        return shown(self)

    def animate(self, tracks: Tracks | None = None, spikes: Spikes | None = None, **settings: Any) -> Clip:
        """A video that plays in a notebook; settings: of `velocell.animate`. Raises VelocellError."""
        clip: Clip = animated(self, tracks, spikes, **settings)
        return clip

    def to_dense(self, dt_us: int = 1_000, *, binary: bool = False) -> NDArray[np.float32]:
        """Event counts per tick and pixel: float32 of shape (T, H, W), or (T, 2, H, W) with polarity
        (channel 0 = OFF, 1 = ON). Tick n holds floor(t_us / dt_us) = n; frame 0 is the tick of
        `start_us`. `binary` gives 1 wherever there was any event.
        """
        if dt_us < 1:
            raise RecordingError(f"dt must be at least 1 us, got {dt_us}")
        first = self.start_us // dt_us
        ticks = max(-(-self.stop_us // dt_us) - first, 0)
        shape: tuple[int, ...] = (ticks, self.height, self.width)
        index: tuple[NDArray[Any], ...] = (self.t_us // dt_us - first, self.y, self.x)
        if self.p is not None:
            shape = (ticks, 2, self.height, self.width)
            index = (index[0], self.p.astype(np.intp), self.y, self.x)
        if 4 * int(np.prod(shape, dtype=np.int64)) > _DENSE_LIMIT_BYTES:
            raise RecordingError(
                f"a dense tensor of shape {shape} would need more than {_DENSE_LIMIT_BYTES >> 30} GiB; "
                "use a longer dt or a shorter part (between)"
            )
        dense = np.zeros(shape, np.float32)
        if binary:
            dense[index] = 1.0
        else:
            np.add.at(dense, index, np.float32(1.0))
        return dense

    @staticmethod
    def from_dense(frames: ArrayLike, dt_us: int = 1_000, *, start_us: int = 0, source: str = "") -> Recording:
        """Frames of shape (T, H, W) or (T, 2, H, W) (OFF, ON) of non-negative whole counts -> events.

        A count of n makes n events at that pixel, all at the tick's first microsecond. Accepts
        NumPy arrays and dense CPU torch tensors.
        """
        dense = np.asarray(frames)
        check_frames(dense.shape, source)
        index = np.nonzero(dense)
        return Recording.from_counts(index, dense[index], dense.shape, dt_us, start_us=start_us, source=source)

    @staticmethod
    def from_counts(
        index: Sequence[NDArray[np.integer[Any]]],
        counts: NDArray[Any],
        shape: tuple[int, ...],
        dt_us: int = 1_000,
        *,
        start_us: int = 0,
        source: str = "",
        notes: tuple[str, ...] = (),
    ) -> Recording:
        """The sparse form of `from_dense`: one array (n,) of indices per axis of `shape`, and counts (n,).

        The entries come in any order; several for one pixel and frame add up.
        """
        where = f" in {source}" if source else ""
        check_frames(shape, source)
        stop_us = start_us + shape[0] * dt_us
        if dt_us < 1 or abs(start_us) > _LATEST_US or stop_us > _LATEST_US:
            raise RecordingError(
                f"{shape[0]} frames{where} of {dt_us} us each do not fit; the frame time must be at least 1 us and the "
                "total less than 2^62 us"
            )
        for axis, (positions, bound) in enumerate(zip(index, shape, strict=True)):
            if positions.size and not (positions.min() >= 0 and positions.max() < bound):
                raise RecordingError(
                    f"indices{where} lie outside the shape {shape} in dimension {axis}; save the tensor again"
                )
        repeats = event_counts(counts, where)
        if repeats.size and not (repeats == 1).all():
            index = [np.repeat(positions, repeats) for positions in index]
        if np.any(index[0][1:] < index[0][:-1]):
            order = np.lexsort(tuple(reversed(index)))
            index = [positions[order] for positions in index]
        return Recording.from_arrays(
            index[0].astype(np.int64) * dt_us + start_us,
            index[-1],
            index[-2],
            index[1] if len(shape) == 4 else None,
            width=shape[-1],
            height=shape[-2],
            start_us=start_us,
            stop_us=stop_us,
            source=source,
            notes=notes,
        )


def time_surface(recording: Recording, tau_us: float, at_us: int) -> NDArray[np.float32]:
    """Exponentially decayed time surface: exp(-(at - t_last) / tau) of each pixel's last event at
    or before `at_us`, 0 where there was none.

    Shape (H, W), or (2, H, W) (OFF, ON) where the recording has polarity; merge first for one
    surface. After Lagorce et al., HOTS, IEEE TPAMI 2017, equation 2.
    """
    if not 0 < tau_us < np.inf:
        raise RecordingError(f"tau of a time surface must be positive and finite, got {tau_us} us")
    part = recording.between(stop_us=at_us + 1)
    planes = 1 if recording.p is None else 2
    last_us = np.full((planes, recording.height, recording.width), -np.inf)
    plane = np.zeros(len(part), np.intp) if part.p is None else part.p.astype(np.intp)
    # Times never decrease, so the largest is the last.
    np.maximum.at(last_us, (plane, part.y, part.x), part.t_us.astype(np.float64))
    surface = np.exp((last_us - at_us) / tau_us).astype(np.float32)
    return surface[0] if recording.p is None else surface
