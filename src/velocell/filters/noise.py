"""What a camera adds to the scene, and how to take it out: noise, bursts, defective pixels, its own motion.

Each filter is a function Recording -> Recording; the span stays. Raw events count: whether an event
stays depends on the events that came, never on which of them a filter kept. So the result does not
depend on where a stream is cut into batches, and arrays are enough to compute it. Polarity is ignored.
Mask hot pixels first: they would vouch for the noise beside them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from velocell.errors import OptionError, RecordingError
from velocell.recording import Recording

_HOT_EVENTS = 20
_HOT_TIMES = 10
NEVER_US = np.iinfo(np.int64).max // 2
_COUNTABLE = 8  # pixels per event
_COUNTED_PIXELS = 1 << 24  # of larger sensors only the pixels with events are kept
_AT_ONCE = 1 << 20  # events
_AROUND = [(dx, dy) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dx or dy]

_CAMERA_WINDOW_US = 50_000
_CAMERA_WINDOWS = 60
_CAMERA_BLOCK_PX = 16
_ACTIVE_PIXELS = 0.25  # of a block: one edge at 80 px/s, or noise of 6 Hz/px
_ACTIVE_BLOCKS = 0.5
_MOVING_TIME = 0.2  # a flash is shorter


def background_activity_filter(recording: Recording, window_us: int, neighbours: int = 1) -> Recording:
    """Keep the event (t, x, y) if at least `neighbours` of the 8 pixels around it had an event before
    it in the recording's order, at a time >= t - window_us.

    The pixel itself does not count, so a hot pixel cannot vouch for itself. After T. Delbruck,
    "Frame-free dynamic digital vision", Proc. Int. Symp. on Secure-Life Electronics, 2008.
    Raises OptionError for a window below 1 us or a number of neighbours outside 1 to 8.
    """
    if window_us < 1:
        raise OptionError(f"the window of the background-activity filter must be at least 1 us, got {window_us}")
    if not 1 <= neighbours <= 8:
        raise OptionError(f"between 1 and 8 neighbours can be asked for, got {neighbours}")
    t, stride = recording.t_us, recording.width + 2  # a frame of one pixel, so that neighbours never wrap
    pixel = (recording.y.astype(np.int64) + 1) * stride + recording.x + 1
    steps = [dy * stride + dx for dx, dy in _AROUND]
    # Time is cut into bins of one window. An earlier event in the same bin is in the window whenever it
    # was, so each pixel's first one tells all; of the bins before, each pixel's last one tells all.
    ends = np.flatnonzero(np.diff(t // window_us, append=-1)) + 1 if len(recording) else np.zeros(0, np.intp)
    first = np.zeros((recording.height + 2) * stride, np.int64)  # event number + 1; 0 for none
    until = np.zeros_like(first)  # the end of the window of the last event, exclusive
    keep = np.zeros(len(recording), np.bool_)
    number = np.arange(1, len(recording) + 1)
    begin = 0
    for end in ends.tolist():
        here, now, order = pixel[begin:end], t[begin:end], number[begin:end]
        first[here[::-1]] = order[::-1]  # of several values for one pixel, the last one written stays
        seen = np.zeros(here.size, np.int8)
        for step in steps:
            beside = here + step
            there = first[beside]
            seen += ((there > begin) & (there < order)) | (until[beside] > now)
        keep[begin:end] = seen >= neighbours
        until[here] = now + (window_us + 1)
        begin = end
    return recording.mask(keep)


def refractory_filter(recording: Recording, dead_us: int) -> Recording:
    """Drop the event if the event before it at the same pixel came less than `dead_us` earlier.

    That event counts even if it was dropped itself (a paralysable dead time): a pixel that never rests
    gives one event. Raises OptionError for a dead time below 1 us.
    """
    if dead_us < 1:
        raise OptionError(f"the dead time of the refractory filter must be at least 1 us, got {dead_us}")
    return recording.mask(pixel_history(recording)[0] >= dead_us)


def pixel_history(recording: Recording) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(silent_us, flipped), each (n,): time since the event before at the same pixel, and whether its polarity was
    the other one. A pixel's first event comes after NEVER_US and flips nothing."""
    # By pixel, then in the recording's order. Sorting 16-bit keys twice is faster than 64-bit ones once.
    order = np.lexsort((recording.x, recording.y))
    x, y = recording.x[order], recording.y[order]
    same = (x[1:] == x[:-1]) & (y[1:] == y[:-1])
    silent = np.full(len(recording), NEVER_US, np.int64)
    silent[order[1:]] = np.where(same, np.diff(recording.t_us[order]), NEVER_US)
    flipped = np.zeros(len(recording), np.bool_)
    if recording.p is not None:
        p = recording.p[order]
        flipped[order[1:]] = same & (p[1:] != p[:-1])
    return silent, flipped


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
            np.add.at(self._dense, block.y.astype(np.int32) * np.int32(block.width) + block.x, 1)
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
    column = pixel[often] % width
    around = np.zeros((8, often.size), np.int64)
    for row, (dx, dy) in zip(around, _AROUND, strict=True):
        wanted = pixel[often] + dy * width + dx
        at = np.minimum(np.searchsorted(pixel, wanted), pixel.size - 1)
        beside = (column + dx >= 0) & (column + dx < width) & (pixel[at] == wanted)
        row[beside] = count[at[beside]]
    # The second busiest: defects that touch in pairs are still hot, while the outline of something that
    # trembles on the spot, where each pixel has two busy neighbours, is not.
    second = np.sort(around, axis=0)[6]
    hot: NDArray[np.int64] = pixel[often[count[often] > _HOT_TIMES * np.maximum(second, 1)]]
    return hot


def camera_motion(recording: Recording) -> float:
    """The share of the time in which most of the sensor is active, as it is where the camera moves.

    Time is cut at the multiples of 50 ms, the sensor into blocks of 16x16 px. A block is active while
    a quarter of its pixels have events; most of the sensor is active while more than half of its
    blocks are. Noise reaches that at about 6 Hz/px, and a light that flickers over the whole picture does too.
    Of long recordings 60 windows are looked at, spread evenly.
    """
    if not len(recording):
        return 0.0
    first, stop = recording.start_us // _CAMERA_WINDOW_US, -(-recording.stop_us // _CAMERA_WINDOW_US)
    windows = np.unique(np.linspace(first, stop - 1, min(stop - first, _CAMERA_WINDOWS)).astype(np.int64))
    begins, ends = np.searchsorted(recording.t_us, [windows * _CAMERA_WINDOW_US, (windows + 1) * _CAMERA_WINDOW_US])
    width, height = recording.size
    columns = np.arange(0, width, _CAMERA_BLOCK_PX)
    rows = np.arange(0, height, _CAMERA_BLOCK_PX)
    needed = _ACTIVE_PIXELS * np.outer(np.diff(rows, append=height), np.diff(columns, append=width))
    # So many events a window needs at the very least; the quiet ones, most of all, are not looked at.
    fewest = np.sort(needed, axis=None)[: needed.size // 2 + 1].sum()
    busy = 0
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        if end - begin >= fewest:
            active = np.zeros((height, width), np.int32)
            active[recording.y[begin:end], recording.x[begin:end]] = 1
            pixels = np.add.reduceat(np.add.reduceat(active, rows, axis=0), columns, axis=1)
            busy += int(np.mean(pixels >= needed) > _ACTIVE_BLOCKS)
    return busy / windows.size


def is_moving_camera(recording: Recording) -> bool:
    """Whether most of the sensor is active for more than a fifth of the time; see `camera_motion`."""
    return camera_motion(recording) > _MOVING_TIME
