"""Tracks drawn over their recording: one RGB picture per video frame."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.data.tracks import Tracks
from velocell.errors import VelocellError
from velocell.pictures.colors import BACKGROUND, EVENT, OFF, ON, OUTSIDE, Color, band_color
from velocell.pictures.video.painter import Painter
from velocell.results.objects import rows_by_object

# A tail reaches back over this much video, so that its length shows the speed, and not further
# than this many radii, so that fast objects in real time do not fill the picture.
_TAIL_S = 0.6
_TAIL_RADII = 5.0
_TAIL_SAMPLES = 32
# Events and spikes fade with this time constant in video frames, but no faster than this many
# microseconds: in strong slow motion one frame holds too few events to show an outline.
_FADE_FRAMES = 1.0
_FADE_MIN_US = 4_000.0
SILENCE_S = 10.0
"""Longer silences are cut to this, in seconds of video."""


def overlay_length(recording: Recording, *, fps: float = 25, slow_motion: float = 1.0) -> int:
    """How many frames `render_tracks` makes where nothing is left out: one per 1 / (fps slow_motion) seconds of
    recording."""
    return max(1, math.ceil(round(recording.duration_us / _window_us(fps, slow_motion), 6)))


def frame_ends(
    recording: Recording, tracks: Tracks, *, fps: float = 25, slow_motion: float = 1.0
) -> Iterator[NDArray[np.int64]]:
    """When the frames of `render_tracks` end (us), in groups between which a silence was left out: one without events
    and rows is shown for SILENCE_S of video."""
    window_us = _window_us(fps, slow_motion)
    length, rest = overlay_length(recording, fps=fps, slow_motion=slow_motion), math.ceil(SILENCE_S * fps)
    # The frames in which something happens, and the first; each is followed by so much silence at most.
    shown = [((t_us - recording.start_us) / window_us).astype(np.int64) for t_us in (recording.t_us, tracks.t_us)]
    busy = np.unique(np.concatenate([[0], *shown]).clip(0, length - 1))
    groups = np.split(busy, np.flatnonzero(np.diff(busy) > rest + 1) + 1)
    for group in groups:
        frames = np.arange(group[0], min(group[-1] + rest, length - 1) + 1)
        ends_us = recording.start_us + np.rint(window_us * (frames + 1)).astype(np.int64)
        yield np.minimum(ends_us, recording.stop_us)


def render_tracks(
    recording: Recording,
    tracks: Tracks,
    spikes: Spikes | None = None,
    *,
    band_names: Sequence[str],
    fps: float = 25,
    slow_motion: float = 1.0,
    scale: int | None = None,
) -> Iterator[NDArray[np.uint8]]:
    """Frames (H', W', 3) of a video: events, the final layer's spikes and the tracks over them.

    A video frame lasts 1/fps s of video and 1/(fps slow_motion) s of recording; of a silence longer than SILENCE_S
    of video the rest is left out, and the clock jumps (`frame_ends`). It shows the events
    up to its end, fading, and each object as it is then: circle, tail over the last 0.6 s of video
    (so its length shows the speed), id and speed, in the colour of its band. `scale`: canvas pixels
    per pixel, by default such that the picture is 640 to 1280 px wide where the sensor allows.
    Raises VelocellError, at the call.
    """
    if scale is not None and scale < 1:
        raise VelocellError(f"the scale of a video must be at least 1, got {scale}")
    window_us = _window_us(fps, slow_motion)
    colors = [band_color(band, len(band_names)) for band in range(len(band_names))]
    legend = list(zip(band_names, colors, strict=True))
    if (tracks.band == -1).any():
        legend.append(("outside all bands", OUTSIDE))
    fade_us = max(_FADE_FRAMES * window_us, _FADE_MIN_US)
    layers = [_fading_events(recording, fade_us)]
    if spikes is not None and len(spikes):
        layers.append(_fading_spikes(spikes, colors, recording.size, fade_us))
    note = "" if slow_motion == 1 else f"{slow_motion:g}x slower" if slow_motion > 1 else f"{1 / slow_motion:g}x faster"
    painter = Painter(recording.size, scale or automatic_scale(recording.size), legend, note)
    ends_us = itertools.chain.from_iterable(
        group.tolist() for group in frame_ends(recording, tracks, fps=fps, slow_motion=slow_motion)
    )
    paths = _paths(tracks, len(band_names))
    return _draw(ends_us, layers, paths, painter, _TAIL_S * 1e6 / slow_motion)


def _draw(
    ends_us: Iterator[int], layers: list[_Fading], paths: list[_Path], painter: Painter, tail_us: float
) -> Iterator[NDArray[np.uint8]]:
    for end_us in ends_us:
        picture = np.full((*layers[0].last_us.shape, 3), BACKGROUND, np.float32)
        for layer in layers:
            layer.paint(picture, end_us)
        painter.begin(np.rint(picture).astype(np.uint8))
        seen = [(path, row) for path in paths if (row := path.row(end_us)) >= 0]
        for path, row in seen:
            path.paint_tail(painter, row, end_us, tail_us)
        for path, row in seen:
            path.paint(painter, row, end_us)
        yield painter.finish(f"{end_us / 1e6:.3f} s")


def check_fps(fps: float) -> None:
    """Raise VelocellError for a frame rate that no video can have."""
    if not 0.1 <= fps <= 1000:
        raise VelocellError(f"the frame rate must be between 0.1 and 1000 frames per second, got {fps}")


def _window_us(fps: float, slow_motion: float) -> float:
    """Microseconds of recording that one video frame lasts."""
    check_fps(fps)
    if not 1e-6 <= slow_motion <= 1e6:
        raise VelocellError(f"slow motion must be a positive factor such as 10, got {slow_motion}")
    return 1e6 / (fps * slow_motion)


def automatic_scale(size: tuple[int, int]) -> int:
    """Canvas pixels per pixel of a sensor (width, height)."""
    return max(1, min(1280 // size[0], 800 // size[1]))


@dataclass
class _Fading:
    """Points in time and space: each pixel shines in the colour of its last point, and fades.

    t_us (n,) sorted; pixel (n,) flat index; kind (n,) row of colors (k, 3); last_us and last_kind
    (H, W) are of the `done` points painted so far.
    """

    t_us: NDArray[np.int64]
    pixel: NDArray[np.intp]
    kind: NDArray[np.intp]
    colors: NDArray[np.float32]
    fade_us: float
    last_us: NDArray[np.float64]
    last_kind: NDArray[np.intp]
    done: int = 0

    def paint(self, picture: NDArray[np.float32], end_us: int) -> None:
        """Mix all points before `end_us`, which never goes back, into a picture (H, W, 3)."""
        new = slice(self.done, int(np.searchsorted(self.t_us, end_us)))
        self.done = new.stop
        # Of several assignments to one pixel NumPy keeps the last, which is the latest.
        self.last_us.ravel()[self.pixel[new]] = self.t_us[new]
        self.last_kind.ravel()[self.pixel[new]] = self.kind[new]
        lit = self.last_us > end_us - 4 * self.fade_us
        strength = np.exp((self.last_us[lit] - end_us) / self.fade_us)[:, None].astype(np.float32)
        picture[lit] += strength * (self.colors[self.last_kind[lit]] - picture[lit])


def _fading(
    points: Recording | Spikes, kind: NDArray[Any], colors: Sequence[Color], size: tuple[int, int], fade_us: float
) -> _Fading:
    width, height = size
    pixel = points.y.astype(np.intp) * width + points.x
    last_us, last_kind = np.full((height, width), -np.inf), np.zeros((height, width), np.intp)
    return _Fading(points.t_us, pixel, kind.astype(np.intp), np.array(colors, np.float32), fade_us, last_us, last_kind)


def _fading_events(recording: Recording, fade_us: float) -> _Fading:
    kind = np.full(len(recording), 2) if recording.p is None else recording.p
    return _fading(recording, kind, (OFF, ON, EVENT), recording.size, fade_us)


def _fading_spikes(spikes: Spikes, colors: list[Color], size: tuple[int, int], fade_us: float) -> _Fading:
    final = spikes.final()
    band_color(int(final.channel.max(initial=-1)), len(colors))  # raises where there are more channels than bands
    if int(final.x.max(initial=-1)) >= size[0] or int(final.y.max(initial=-1)) >= size[1]:
        raise VelocellError(f"spikes lie outside the {size[0]}x{size[1]} sensor; they belong to another recording")
    return _fading(final, final.channel, colors, size, fade_us)


@dataclass(frozen=True)
class _Path:
    """The rows of one object, sorted by time; arrays of shape (n,), one colour per row."""

    id: int
    colors: list[Color]
    hold_us: float
    t_us: NDArray[np.int64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    speed: NDArray[np.float64]
    radius: NDArray[np.float64]

    def row(self, at_us: int) -> int:
        """The row with the object's state at a time; -1 where it was not tracked."""
        row = int(np.searchsorted(self.t_us, at_us, side="right")) - 1
        return row if row >= 0 and at_us - self.t_us[row] < self.hold_us else -1

    def paint(self, painter: Painter, row: int, at_us: int) -> None:
        x, y = float(np.interp(at_us, self.t_us, self.x)), float(np.interp(at_us, self.t_us, self.y))
        radius, speed, color = float(self.radius[row]), float(self.speed[row]), self.colors[row]
        painter.dot(x, y, color)
        if math.isfinite(radius):
            painter.ring(x, y, radius, color)
        text = f"#{self.id}" + (f"  {speed:.0f} px/s" if math.isfinite(speed) else "")
        painter.label(x, y, radius if math.isfinite(radius) else 0.0, text, color)

    def paint_tail(self, painter: Painter, row: int, at_us: int, tail_us: float) -> None:
        times = np.linspace(at_us, max(at_us - tail_us, self.t_us[0]), _TAIL_SAMPLES)
        xs, ys = np.interp(times, self.t_us, self.x), np.interp(times, self.t_us, self.y)
        travel = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(xs), np.diff(ys)))])
        keep = travel <= _TAIL_RADII * np.nan_to_num(self.radius[row], nan=5.0)
        painter.tail(xs[keep], ys[keep], self.colors[row])


def _paths(tracks: Tracks, bands: int) -> list[_Path]:
    palette = {band: band_color(band, bands) for band in np.unique(tracks.band).tolist()}
    instants = np.unique(tracks.t_us)
    # A row stands until the next is due, and half an interval longer: reporting may be late by a tick.
    hold_us = 1.5 * float(np.median(np.diff(instants))) if instants.size > 1 else math.inf
    paths = []
    for rows in rows_by_object(tracks):
        colors = [palette[band] for band in tracks.band[rows].tolist()]
        x, y, speed, radius = (c[rows] for c in (tracks.x_px, tracks.y_px, tracks.speed_px_s, tracks.radius_px))
        paths.append(_Path(int(tracks.id[rows[0]]), colors, hold_us, tracks.t_us[rows], x, y, speed, radius))
    return paths
