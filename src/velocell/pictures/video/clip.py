"""Videos: RGB frames -> mp4 or gif through PyAV's wheel, and HTML5 video in a notebook."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from velocell.data.files import replacing
from velocell.data.html import animated
from velocell.data.meta import band_names_of
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.data.tracks import Tracks
from velocell.errors import VelocellError
from velocell.pictures.video.encode import encode, write_video
from velocell.pictures.video.frames import Frames, as_array, events_to_frames, magnify
from velocell.pictures.video.overlay import automatic_scale, check_fps, overlay_length, render_tracks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DISPLAY_PX = 480
# A clip in a page: enough to see, small enough to be kept in a notebook or sent by mail.
_CLIP_OPTIONS = {"crf": "23", "preset": "veryfast"}
CLIP_S = 10.0
CLIP_BYTES = 8_000_000
_SLOWED_TO_S = 5.0


def write_overlay(
    path: str | Path,
    recording: Recording,
    tracks: Tracks,
    spikes: Spikes | None = None,
    *,
    band_names: Sequence[str],
    fps: float = 25,
    slow_motion: float = 1.0,
    scale: int | None = None,
) -> None:
    """Write what `render_tracks` draws to .mp4 or .gif."""
    pictures = render_tracks(
        recording, tracks, spikes, band_names=band_names, fps=fps, slow_motion=slow_motion, scale=scale
    )
    write_video(path, pictures, fps=fps)


@dataclass(frozen=True, eq=False)
class Animation:
    """Frames (T, H, W, 3) uint8 that a notebook shows as an HTML5 video, `interval` ms each."""

    frames: Frames
    interval: float
    scale: int

    def save(self, path: str | Path) -> None:
        """Write to .mp4, .gif or .html. Raises VelocellError."""
        if Path(path).suffix.lower() == ".html":
            _write_page(path, self._repr_html_())
        else:
            write_video(path, self._pictures(), fps=1000 / self.interval)

    def _pictures(self) -> Iterator[Frames]:
        return (magnify(frame, self.scale) for frame in self.frames)

    def _repr_html_(self) -> str:
        buffer = io.BytesIO()
        encode(buffer, "mp4", self._pictures(), 1000 / self.interval)
        return player(buffer.getvalue(), self.frames.shape[2] * self.scale)


@dataclass(frozen=True, eq=False)
class Clip:
    """A recording with what was found in it, as a video: a notebook plays it where it stands.

    It lasts as long as `fps` and `slow_motion` say, at most CLIP_S seconds: `recording` is what it shows, the
    start of one of `duration_us`. Nothing is drawn before it is needed.
    """

    recording: Recording
    duration_us: int
    tracks: Tracks
    spikes: Spikes | None
    band_names: tuple[str, ...]
    fps: float
    slow_motion: float
    scale: int | None = None

    @property
    def note(self) -> str:
        """What part is shown, and how fast, as a sentence for below the picture."""
        speed = "in real time" if self.slow_motion == 1 else f"{self.slow_motion:g} times slower"
        if self.slow_motion < 1:
            speed = f"{1 / self.slow_motion:g} times faster"
        shown, whole = self.recording.duration_us / 1e6, self.duration_us / 1e6
        part = f"all {whole:g} s" if shown == whole else f"the first {shown:g} s of {whole:g} s"
        return f"{part}, {speed}"

    def save(self, path: str | Path) -> None:
        """Write to .mp4, .gif or .html. Raises VelocellError."""
        if Path(path).suffix.lower() == ".html":
            _write_page(path, self._repr_html_())
        else:
            write_video(path, self._pictures(), fps=self.fps)

    def mp4(self) -> bytes:
        """As a video of at most about CLIP_BYTES bytes; where more happens than they can hold, it is less sharp."""
        buffer = io.BytesIO()
        encode(buffer, "mp4", self._pictures(), self.fps, self._small())
        return buffer.getvalue()

    def _small(self) -> dict[str, str]:
        rate = int(0.9 * 8 * CLIP_BYTES / CLIP_S)
        return {**_CLIP_OPTIONS, "maxrate": str(rate), "bufsize": str(rate)}

    def _pictures(self) -> Iterator[Frames]:
        return render_tracks(
            self.recording,
            self.tracks,
            self.spikes,
            band_names=self.band_names,
            fps=self.fps,
            slow_motion=self.slow_motion,
            scale=self.scale,
        )

    def _repr_html_(self) -> str:
        scale = self.scale or automatic_scale(self.recording.size)
        return f"<figure style='margin:0'>{player(self.mp4(), self.recording.width * scale)}" + (
            f"<figcaption style='font-size:90%;opacity:.75'>{self.note}</figcaption></figure>"
        )


@animated.register
def animate(
    recording: Recording,
    tracks: Tracks | None = None,
    spikes: Spikes | None = None,
    *,
    band_names: Sequence[str] = (),
    fps: float = 25,
    slow_motion: float | None = None,
    scale: int | None = None,
) -> Clip:
    """Show a recording as a video in a notebook, with the tracks and the final layer's spikes over its events.

    band_names: by default those that the table knows. slow_motion: by default such that a short recording lasts
    5 s. scale: canvas pixels per pixel, by default 640 to 1280 px in all where the sensor allows. The
    first 10 s are shown (`Clip.note` says so); `write_overlay` writes all of it. Raises VelocellError.
    """
    slower = automatic_slow_motion(recording) if slow_motion is None else slow_motion
    # A wrong frame rate or factor raises here, not when the notebook shows the clip.
    overlay_length(recording, fps=fps, slow_motion=slower)
    longest_us = max(int(CLIP_S * 1e6 / slower), 1)
    part = recording.between(stop_us=recording.start_us + longest_us)
    rows = Tracks.empty() if tracks is None else tracks.where(tracks.t_us < part.stop_us)
    answers = None if spikes is None else spikes.final()
    names = tuple(band_names) or band_names_of(tracks, answers)
    return Clip(part, recording.duration_us, rows, answers, names, fps, slower, scale)


def automatic_slow_motion(recording: Recording) -> float:
    """How many times slower a short recording is shown, so that it lasts about 5 s."""
    if recording.duration_us == 0:
        return 1
    return min(max(1, math.ceil(_SLOWED_TO_S * 1e6 / recording.duration_us)), 1_000_000)


def player(mp4: bytes, width: int) -> str:
    """HTML that plays a video, which it holds itself; never wider than the page."""
    data = base64.b64encode(mp4).decode()
    source = f'<source type="video/mp4" src="data:video/mp4;base64,{data}">'
    style = "max-width:100%;height:auto"
    return f'<video controls loop autoplay muted playsinline style="{style}" width="{width}">{source}</video>'


def _write_page(path: str | Path, body: str) -> None:
    page = f'<!DOCTYPE html>\n<meta charset="utf-8">\n<title>Velocell</title>\n{body}\n'
    with replacing(path) as part:
        part.write_text(page, encoding="utf-8")


def animate_frames(frames: Any, figure: Figure | None = None, interval: float = 20, **kwargs: Any) -> Animation:
    """Show frames as a video in a notebook; the result also has `save(path)`.

    frames: (T, H, W), shown in grey from 0 to their largest value, or (T, H, W, 3) RGB, integers
    0..255 or floats 0..1; NumPy or torch. interval: ms per frame. Pixels are magnified by a whole
    factor to about 480 px; a matplotlib `figure`, or `figsize` and `dpi` as for plt.subplots, give
    another width. Raises VelocellError.
    """
    pictures = as_array(frames)
    if pictures.ndim == 3:
        pictures = events_to_frames(pictures)
    elif pictures.ndim != 4 or pictures.shape[-1] != 3:
        raise VelocellError(
            f"frames must have shape (T, H, W) or (T, H, W, 3), got {pictures.shape}; see events_to_frames"
        )
    if 0 in pictures.shape:
        raise VelocellError("there are no frames to show; pass at least one")
    if not (math.isfinite(interval) and interval > 0):
        raise VelocellError(f"the interval must be a positive number of milliseconds per frame, got {interval}")
    check_fps(1000 / interval)
    wanted_px: float = _DISPLAY_PX
    if figure is None and kwargs:
        from matplotlib.figure import Figure

        figure = Figure(**kwargs)
    if figure is not None:
        wanted_px = figure.get_size_inches()[0] * figure.dpi
    scale = max(1, round(wanted_px / pictures.shape[2]))
    return Animation(_as_bytes(pictures), interval, scale)


def _as_bytes(pictures: NDArray[Any]) -> Frames:
    if pictures.dtype.kind == "f":
        pictures = np.rint(np.nan_to_num(pictures) * 255)
    levels: Frames = np.clip(pictures, 0, 255).astype(np.uint8)
    return levels
