"""Whether the camera itself moves."""

from __future__ import annotations

import numpy as np

from velocell.data.recording import Recording

_CAMERA_WINDOW_US = 50_000
_CAMERA_WINDOWS = 60
_CAMERA_BLOCK_PX = 16
_ACTIVE_PIXELS = 0.25  # of a block: one edge at 80 px/s, or noise of 6 Hz/px
_ACTIVE_BLOCKS = 0.5
_MOVING_TIME = 0.2  # a flash is shorter


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
