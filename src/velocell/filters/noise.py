"""Noise and bursts: filters by what the pixel itself and those around it did before.

Each is a function Recording -> Recording for a whole recording, and a class for a stream that comes in blocks; the span
stays. Raw events count: whether an event stays depends on the events that came, never on which of them a
filter kept, and never on where a stream is cut into blocks. Polarity is ignored. Mask hot pixels first: they
would vouch for the noise beside them.
"""

from __future__ import annotations

import numpy as np

from velocell.data.history import NEVER_US, pixel_history
from velocell.data.recording import Recording
from velocell.errors import OptionError

AROUND = [(dx, dy) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dx or dy]


def background_activity_filter(recording: Recording, window_us: int, neighbours: int = 1) -> Recording:
    """Keep the event (t, x, y) if at least `neighbours` of the 8 pixels around it had an event before
    it in the recording's order, at a time >= t - window_us.

    The pixel itself does not count, so a hot pixel cannot vouch for itself. After T. Delbruck,
    "Frame-free dynamic digital vision", Proc. Int. Symp. on Secure-Life Electronics, 2008.
    Raises OptionError for a window below 1 us or a number of neighbours outside 1 to 8.
    """
    return BackgroundActivity(recording.size, window_us, neighbours)(recording)


class BackgroundActivity:
    """`background_activity_filter` for consecutive blocks of a sensor of (width, height)."""

    def __init__(self, size: tuple[int, int], window_us: int, neighbours: int = 1) -> None:
        if window_us < 1:
            raise OptionError(f"the window of the background-activity filter must be at least 1 us, got {window_us}")
        if not 1 <= neighbours <= 8:
            raise OptionError(f"the number of neighbours must be between 1 and 8, got {neighbours}")
        width, height = size
        self._window_us, self._neighbours = window_us, neighbours
        self._stride = width + 2  # a frame of one pixel, so that neighbours never wrap
        self._first = np.zeros((height + 2) * self._stride, np.int64)  # event number + 1; 0 for none
        self._until = np.zeros_like(self._first)  # the end of the window of the last event, exclusive
        self._events = self._begin = 0  # events so far; events before the current bin
        self._bin = -1

    def __call__(self, block: Recording) -> Recording:
        """The block's events that stay. Blocks must follow each other in time."""
        t, window_us, stride = block.t_us, self._window_us, self._stride
        pixel = (block.y.astype(np.int64) + 1) * stride + block.x + 1
        steps = [dy * stride + dx for dx, dy in AROUND]
        first, until = self._first, self._until
        # Time is cut into bins of one window. An earlier event in the same bin is in the window whenever it
        # was, so each pixel's first one suffices; of the bins before, each pixel's last one suffices.
        bins = t // window_us
        ends = np.flatnonzero(np.diff(bins, append=-1)) + 1 if len(block) else np.zeros(0, np.intp)
        keep = np.zeros(len(block), np.bool_)
        number = np.arange(1, len(block) + 1) + self._events
        begin = 0
        for end in ends.tolist():
            here, now, order = pixel[begin:end], t[begin:end], number[begin:end]
            if bins[begin] != self._bin:
                self._bin, self._begin = int(bins[begin]), self._events
            backwards = here[::-1]
            new = first[backwards] <= self._begin
            first[backwards[new]] = order[::-1][new]  # of several values for one pixel, the last one written stays
            seen = np.zeros(here.size, np.int8)
            for step in steps:
                beside = here + step
                there = first[beside]
                seen += ((there > self._begin) & (there < order)) | (until[beside] > now)
            keep[begin:end] = seen >= self._neighbours
            until[here] = now + (window_us + 1)
            self._events += end - begin
            begin = end
        return block.mask(keep)


def refractory_filter(recording: Recording, dead_us: int) -> Recording:
    """Drop the event if the event before it at the same pixel came less than `dead_us` earlier.

    That event counts even if it was dropped itself (a paralysable dead time): a pixel that never rests
    gives one event. Raises OptionError for a dead time below 1 us.
    """
    _check_dead_time(dead_us)
    return recording.mask(pixel_history(recording)[0] >= dead_us)


class Refractory:
    """`refractory_filter` for consecutive blocks of a sensor of (width, height)."""

    def __init__(self, size: tuple[int, int], dead_us: int) -> None:
        _check_dead_time(dead_us)
        self._dead_us, self._width = dead_us, size[0]
        self._last = np.zeros(size[0] * size[1], np.int64)  # time of each pixel's last event + 1; 0 for none

    def __call__(self, block: Recording) -> Recording:
        """The block's events that stay. Blocks must follow each other in time."""
        silent_us, _ = pixel_history(block)
        pixel = block.y.astype(np.int64) * self._width + block.x
        first = np.flatnonzero(silent_us == NEVER_US)
        before = self._last[pixel[first]]
        silent_us[first] = np.where(before > 0, block.t_us[first] + 1 - before, NEVER_US)
        self._last[pixel] = block.t_us + 1
        return block.mask(silent_us >= self._dead_us)


def _check_dead_time(dead_us: int) -> None:
    if dead_us < 1:
        raise OptionError(f"the dead time of the refractory filter must be at least 1 us, got {dead_us}")
