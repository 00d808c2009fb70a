"""The picture changed, the events kept: a part of the sensor, mirrored, or with larger pixels.

Each is a function Recording -> Recording with a sensor of its own; times, order and span stay, so that a recording may
be changed block by block.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from velocell.data.recording import Recording
from velocell.errors import OptionError

Axes = Literal["x", "y", "xy"]


def cut_out(recording: Recording, x: int, y: int, w: int, h: int) -> Recording:
    """The events of a region; its corner becomes pixel 0,0, and the sensor w x h.

    `Recording.crop` leaves the coordinates as they are. Raises RecordingError for a region outside the sensor.
    """
    part = recording.crop(x, y, w, h)
    return replace(part, x=part.x - np.uint16(x), y=part.y - np.uint16(y), width=w, height=h)


def flip(recording: Recording, axes: Axes) -> Recording:
    """Mirrored: left and right change places (`x`), or top and bottom (`y`), or both."""
    if axes not in ("x", "y", "xy"):
        raise OptionError(f"--flip '{axes}' must be x, y or xy")
    x = np.uint16(recording.width - 1) - recording.x if "x" in axes else recording.x
    y = np.uint16(recording.height - 1) - recording.y if "y" in axes else recording.y
    return replace(recording, x=x, y=y)


def downsample(recording: Recording, factor: int) -> Recording:
    """Squares of factor x factor pixels become one; every event stays. At the right and lower edge they may be cut."""
    if factor < 1:
        raise OptionError(f"--downsample must be at least 1, got {factor}")
    return replace(
        recording,
        x=recording.x // np.uint16(min(factor, 65_535)),
        y=recording.y // np.uint16(min(factor, 65_535)),
        width=-(-recording.width // factor),
        height=-(-recording.height // factor),
    )
