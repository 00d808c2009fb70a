"""Defective pixels: found by how much more often they fire than their neighbours, and masked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from velocell.data.recording import Recording
from velocell.errors import RecordingError
from velocell.filters.noise import AROUND

_HOT_EVENTS = 20
_HOT_TIMES = 10
_COUNTABLE = 8  # pixels per event
_COUNTED_PIXELS = 1 << 24  # of larger sensors only the pixels with events are kept
_AT_ONCE = 1 << 16  # events, pixels


def hot_pixels(recording: Recording) -> NDArray[np.int64]:
    """The defective pixels: at least 20 events, and more than ten times those of the second busiest neighbour.

    Rows (x, y), shape (k, 2), sorted by y and x.
    """
    return _places(hot_among(*pixel_counts(recording), recording.width), recording.width)


def _places(pixel: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    return np.column_stack((pixel % width, pixel // width))


def mask_pixels(recording: Recording, pixels: ArrayLike) -> Recording:
    """Drop all events of `pixels`: rows (x, y), shape (k, 2). Raises RecordingError for pixels outside the sensor."""
    wanted = np.asarray(pixels, np.int64).reshape(-1, 2)
    outside = ((wanted < 0) | (wanted >= recording.size)).any(axis=1)
    if outside.any():
        x, y = wanted[np.argmax(outside)]
        raise RecordingError(f"pixel {x},{y} to mask lies outside the {recording.width}x{recording.height} sensor")
    masked = np.zeros((recording.height, recording.width), np.bool_)
    masked[wanted[:, 1], wanted[:, 0]] = True
    return recording.mask(~masked[recording.y, recording.x])


def pixel_counts(recording: Recording) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The pixels with any event, as sorted numbers y * width + x, and their events; two arrays (k,)."""
    if recording.width * recording.height > _COUNTABLE * max(len(recording), 1):
        numbers = recording.y.astype(np.int64) * recording.width + recording.x
        return np.unique(numbers, return_counts=True)
    # Sorting takes ten times as long, where the sensor is not mostly empty. In parts: numbers of all events at
    # once would take more memory than the recording.
    counts = np.zeros(recording.width * recording.height, np.int64)
    for first in range(0, len(recording), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        numbers = recording.y[part].astype(np.int64) * recording.width + recording.x[part]
        counts += np.bincount(numbers, minlength=counts.size)
    pixel = np.flatnonzero(counts)
    return pixel, counts[pixel]


class PixelCounts:
    """`pixel_counts` of a recording that comes in blocks."""

    def __init__(self, width: int, height: int) -> None:
        self._width = width
        self._dense = np.zeros(width * height, np.int64) if width * height <= _COUNTED_PIXELS else None
        self._pixel = self._count = np.zeros(0, np.int64)

    def add(self, block: Recording) -> None:
        if self._dense is not None:
            np.add.at(self._dense, block.pixels(), 1)
            return
        pixel, count = pixel_counts(block)
        self._pixel, place = np.unique(np.concatenate([self._pixel, pixel]), return_inverse=True)
        self._count = np.bincount(place, np.concatenate([self._count, count])).astype(np.int64)

    def counts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Pixels with events, sorted, and their events."""
        if self._dense is None:
            return self._pixel, self._count
        pixel = np.flatnonzero(self._dense)
        return pixel, self._dense[pixel]

    def hot(self) -> NDArray[np.int64]:
        """As `hot_pixels`."""
        return _places(hot_among(*self.counts(), self._width), self._width)


def hot_among(pixel: NDArray[np.int64], count: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    """The rule of `hot_pixels` on `pixel_counts`: which of the numbers `pixel` are hot."""
    often = np.flatnonzero(count >= _HOT_EVENTS)
    dense = None
    if often.size and pixel[-1] < _COUNTABLE * pixel.size:
        dense = np.zeros(pixel[-1] + 1, np.int64)
        dense[pixel] = count

    def counted(wanted: NDArray[np.int64]) -> NDArray[np.int64]:
        if dense is not None:
            inside = (wanted >= 0) & (wanted < dense.size)
            return np.where(inside, dense[np.where(inside, wanted, 0)], 0)
        at = np.minimum(np.searchsorted(pixel, wanted), pixel.size - 1)
        return np.where(pixel[at] == wanted, count[at], 0)

    parts = [often[first : first + _AT_ONCE] for first in range(0, often.size, _AT_ONCE)]
    return np.concatenate([pixel[:0], *(_hot_of(pixel[part], count[part], counted, width) for part in parts)])


def _hot_of(
    pixel: NDArray[np.int64],
    count: NDArray[np.int64],
    counted: Callable[[NDArray[np.int64]], NDArray[np.int64]],
    width: int,
) -> NDArray[np.int64]:
    """Which of these are. counted: the events of pixels, by number."""
    column = pixel % width
    busiest, second = np.zeros_like(count), np.zeros_like(count)
    for dx, dy in AROUND:
        its = counted(pixel + (dy * width + dx))
        if dx:
            its[column == (0 if dx < 0 else width - 1)] = 0
        second = np.maximum(second, np.minimum(busiest, its))
        busiest = np.maximum(busiest, its)
    # The second busiest: defects that touch in pairs are still hot, while the outline of something that
    # trembles on the spot, where each pixel has two busy neighbours, is not.
    return pixel[count > _HOT_TIMES * np.maximum(second, 1)]
