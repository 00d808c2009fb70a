"""Pictures as arrays: event counts and responses -> RGB frames, uint8, (T, H, W, 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.errors import VelocellError
from velocell.pictures.colors import Color, band_color

Frames = NDArray[np.uint8]


def as_array(frames: Any) -> NDArray[Any]:
    """A NumPy array of a NumPy array, a torch tensor (dense or sparse) or a sequence of either."""
    if isinstance(frames, list | tuple):
        parts = [as_array(frame) for frame in frames]
        if len({part.shape for part in parts}) != 1:
            raise VelocellError("frames must all have the same shape; pass one array of shape (T, H, W)")
        return np.stack(parts)
    if hasattr(frames, "detach"):
        frames = frames.detach().cpu().to_dense()
    return np.asarray(frames)


def events_to_frames(frames: Any, polarity: bool = False) -> Frames:
    """Event counts as pictures: (T, H, W) or (T, 2, H, W) -> (T, H, W, 3), the largest value 255.

    Grey, the two polarities summed; with `polarity` the first plane (OFF) is red and the second (ON)
    green. Takes NumPy arrays and torch tensors, dense or sparse. Raises VelocellError for other
    shapes and for values that are not finite.
    """
    counts = as_array(frames)
    if counts.ndim not in (3, 4) or (counts.ndim == 4 and counts.shape[1] != 2) or counts.dtype.kind not in "buif":
        raise VelocellError(f"frames must be numbers of shape (T, H, W) or (T, 2, H, W), got shape {counts.shape}")
    counts = counts.astype(np.float32)
    if not np.all(np.isfinite(counts)):
        raise VelocellError("frames must hold finite event counts; replace NaN and infinity first")
    if counts.ndim == 4 and not polarity:
        counts = np.abs(counts).sum(axis=1)
    counts = np.clip(counts, 0, None)
    largest = counts.max(initial=0.0)
    levels = np.rint(counts * (255.0 / largest if largest else 0.0)).astype(np.uint8)
    if levels.ndim == 3:
        return np.repeat(levels[..., None], 3, axis=-1)
    return np.stack([levels[:, 0], levels[:, 1], np.zeros_like(levels[:, 0])], axis=-1)


def superimpose(events: Any, responses: Any, *, colors: Sequence[Color] | None = None, dilate: int = 1) -> Frames:
    """Events in grey and the spikes of C channels over them in colours -> (T, H, W, 3).

    events (T, H, W) or (T, 2, H, W); responses: C arrays of shape (T, H, W), a spike wherever the
    value is above 0, grown by `dilate` px to be seen; colors: one (r, g, b) per channel, by default
    those of the bands. Where channels meet, the later (faster) one is seen. Raises VelocellError.
    """
    picture = events_to_frames(events) // 2
    channels = [as_array(response) for response in responses]
    colors = [band_color(k, len(channels)) for k in range(len(channels))] if colors is None else colors
    if len(colors) != len(channels):
        raise VelocellError(f"give one colour per channel, got {len(colors)} colours for {len(channels)} channels")
    for number, (response, color) in enumerate(zip(channels, colors, strict=True)):
        if response.shape != picture.shape[:3]:
            raise VelocellError(
                f"the response of channel {number} has shape {response.shape} where the events have "
                f"{picture.shape[:3]}; give arrays of shape (T, H, W)"
            )
        picture[_grown(response > 0, dilate)] = color
    return picture


def _grown(spikes: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    """(T, H, W) with every true pixel grown to a square of 2 by + 1 px."""
    height, width = spikes.shape[1:]
    padded = np.pad(spikes, ((0, 0), (by, by), (by, by)))
    shifts = range(2 * by + 1)
    rows = np.logical_or.reduce([padded[:, i : i + height] for i in shifts])
    return np.asarray(np.logical_or.reduce([rows[:, :, i : i + width] for i in shifts]))


def magnify(picture: NDArray[Any], factor: int) -> NDArray[Any]:
    """(..., H, W, 3) with every pixel repeated `factor` times down and across."""
    if factor == 1:
        return picture
    return np.repeat(np.repeat(picture, factor, axis=-3), factor, axis=-2)
