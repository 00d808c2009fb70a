"""`Recording`: the events of a camera, sorted in time, on a sensor of known size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from velocell.errors import RecordingError

Polarity = Literal["both", "on", "off", "merge"]

MAX_SENSOR_PX = 65_536
_DENSE_LIMIT_BYTES = 8 << 30


@dataclass(frozen=True, eq=False)
class Recording:
    """Events in the order of their times. Arrays have shape (n,).

    t_us: int64, microseconds, the file's own clock, never re-zeroed, never decreasing.
    x, y: uint16, pixels; x to the right, y downwards, pixel centres at integers.
    p: bool, True = ON (brighter); None where the recording has no polarity.
    width, height: sensor size in pixels.
    start_us, stop_us: the span the recording covers, [start, stop); events alone cannot tell
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
        `notes` says so. Raises RecordingError for arrays of different length, times that are
        negative, not whole or go back, and events outside the sensor.
        """
        where = f" in {source}" if source else ""
        t = _whole_numbers(t_us, "t", where)
        xs, ys = _whole_numbers(x, "x", where), _whole_numbers(y, "y", where)
        if not t.shape == xs.shape == ys.shape:
            raise RecordingError(
                f"t, x and y{where} must have one entry per event, got lengths {t.size}, {xs.size} and {ys.size}"
            )
        if t.size:
            _check_times(t, where)
        if width is None or height is None:
            width = int(xs.max()) + 1 if xs.size else 1
            height = int(ys.max()) + 1 if ys.size else 1
            notes = (
                *notes,
                f"sensor size {width}x{height} inferred from the largest coordinates; give --size to set it",
            )
        if not (0 < width <= MAX_SENSOR_PX and 0 < height <= MAX_SENSOR_PX):
            raise RecordingError(f"sensor size {width}x{height}{where} must be between 1 and {MAX_SENSOR_PX} px")
        for name, values, bound in (("x", xs, width), ("y", ys, height)):
            outside = (values < 0) | (values >= bound)
            if outside.any():
                first = int(np.argmax(outside))
                raise RecordingError(
                    f"{int(outside.sum())} events{where} lie outside the {width}x{height} sensor, the first is number "
                    f"{first} with {name} = {values[first]}; give the true size with --size"
                )
        polarity = None if p is None else _as_polarity(p, t.size, where)
        start = (int(t[0]) if t.size else 0) if start_us is None else int(start_us)
        stop = (int(t[-1]) + 1 if t.size else start) if stop_us is None else int(stop_us)
        return Recording(
            t, xs.astype(np.uint16), ys.astype(np.uint16), polarity, int(width), int(height), start, stop, source, notes
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

    def chunks(self, span_us: int) -> Iterator[Recording]:
        """Consecutive parts of `span_us` microseconds, quiet ones included, cut at its multiples."""
        start = self.start_us
        while start < self.stop_us:
            stop = min((start // span_us + 1) * span_us, self.stop_us)
            yield self.between(start, stop)
            start = stop

    def mask(self, keep: NDArray[np.bool_]) -> Recording:
        """The events where `keep` (n,) is true; the span stays."""
        p = None if self.p is None else self.p[keep]
        return replace(self, t_us=self.t_us[keep], x=self.x[keep], y=self.y[keep], p=p)

    def crop(self, x: int, y: int, w: int, h: int) -> Recording:
        """Keep the events inside a region; pixels keep their coordinates, the sensor its size."""
        if x < 0 or y < 0 or x + w > self.width or y + h > self.height:
            raise RecordingError(
                f"region {x},{y},{w},{h} reaches outside the {self.width}x{self.height} sensor; choose it within"
            )
        return self.mask((self.x >= x) & (self.x < x + w) & (self.y >= y) & (self.y < y + h))

    def with_polarity(self, polarity: Polarity) -> Recording:
        """`both`: unchanged. `merge`: all events, polarity dropped. `on`, `off`: only those events."""
        if polarity == "both":
            return self
        if polarity == "merge":
            return replace(self, p=None)
        if polarity not in ("on", "off"):
            raise RecordingError(f"polarity '{polarity}' is unknown; use both, on, off or merge")
        if self.p is None:
            raise RecordingError(
                f"polarity '{polarity}' was asked for but {self.source or 'the recording'} has none; use merge"
            )
        return self.mask(self.p if polarity == "on" else ~self.p)

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
        if dense.ndim not in (3, 4) or (dense.ndim == 4 and dense.shape[1] != 2):
            raise RecordingError(f"frames must have shape (T, H, W) or (T, 2, H, W), got {dense.shape}")
        if not np.all(np.isfinite(dense)) or (dense < 0).any() or (dense != np.floor(dense)).any():
            raise RecordingError("frames must hold non-negative whole event counts")
        index = np.nonzero(dense)
        counts = dense[index].astype(np.int64)
        repeated = [np.repeat(axis, counts) for axis in index]
        t_us = repeated[0].astype(np.int64) * dt_us + start_us
        return Recording.from_arrays(
            t_us,
            repeated[-1],
            repeated[-2],
            repeated[1] if dense.ndim == 4 else None,
            width=dense.shape[-1],
            height=dense.shape[-2],
            start_us=start_us,
            stop_us=start_us + dense.shape[0] * dt_us,
            source=source,
        )


def time_surface(recording: Recording, tau_us: float, at_us: int) -> NDArray[np.float32]:
    """Exponentially decayed time surface: exp(-(at - t_last) / tau) of each pixel's last event at
    or before `at_us`, 0 where there was none.

    Shape (H, W), or (2, H, W) (OFF, ON) where the recording has polarity; merge first for one
    surface. After Lagorce et al., HOTS, IEEE TPAMI 2017, equation 2.
    """
    if not tau_us > 0:
        raise RecordingError(f"tau of a time surface must be positive, got {tau_us} us")
    part = recording.between(stop_us=at_us + 1)
    planes = 1 if recording.p is None else 2
    last_us = np.full((planes, recording.height, recording.width), -np.inf)
    plane = np.zeros(len(part), np.intp) if part.p is None else part.p.astype(np.intp)
    # Times never decrease, so the largest is the last.
    np.maximum.at(last_us, (plane, part.y, part.x), part.t_us.astype(np.float64))
    surface = np.exp((last_us - at_us) / tau_us).astype(np.float32)
    return surface[0] if recording.p is None else surface


def _whole_numbers(values: ArrayLike, name: str, where: str) -> NDArray[np.int64]:
    array = np.asarray(values)
    if array.ndim != 1:
        raise RecordingError(f"{name}{where} must be one-dimensional, got shape {array.shape}")
    if array.dtype.kind in "iub":
        return array.astype(np.int64, copy=False)
    if array.dtype.kind != "f":
        raise RecordingError(f"{name}{where} must be numbers, got {array.dtype}")
    if not np.all(np.isfinite(array)) or np.any(array != np.floor(array)) or np.any(np.abs(array) > 2**53):
        raise RecordingError(f"{name}{where} must be whole numbers (times in microseconds)")
    return array.astype(np.int64)


def _check_times(t: NDArray[np.int64], where: str) -> None:
    if t[0] < 0:
        raise RecordingError(f"the first time{where} is {t[0]} us; times must not be negative")
    back = np.diff(t) < 0
    if back.any():
        first = int(np.argmax(back)) + 1
        raise RecordingError(
            f"times{where} go back {int(back.sum())} times, first at event {first} "
            f"({t[first - 1]} -> {t[first]} us); sort the events by time"
        )


def _as_polarity(p: ArrayLike, n: int, where: str) -> NDArray[np.bool_]:
    array = np.asarray(p)
    if array.shape != (n,):
        raise RecordingError(f"p{where} must have one entry per event, got shape {array.shape} for {n} events")
    if array.dtype == np.bool_:
        return array
    if not np.isin(array, (-1, 0, 1)).all():
        raise RecordingError(f"p{where} must hold 0/1 (or -1/1) only")
    return np.asarray(array > 0)
