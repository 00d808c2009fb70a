"""Videos: RGB frames -> mp4 or gif through PyAV's wheel, and HTML5 video in a notebook."""

from __future__ import annotations

import base64
import io
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from velocell.errors import VelocellError
from velocell.files import replacing
from velocell.frames import Frames, as_array, events_to_frames, magnify
from velocell.network import default_band_names
from velocell.overlay import automatic_scale, check_fps, overlay_length, render_tracks
from velocell.recording import Recording
from velocell.spikes import Spikes
from velocell.tracks import Tracks

if TYPE_CHECKING:
    from av.container import OutputContainer
    from matplotlib.figure import Figure

_H264_OPTIONS = {"crf": "18", "preset": "veryfast"}
_BT709 = 1
# A gif shows whole hundredths of a second, and browsers slow down frames shorter than two.
_GIF_MAX_FPS = 50
_GIF_SAMPLE_FRAMES = 32
_DISPLAY_PX = 480
# A clip in a page: enough to see, small enough to be kept in a notebook or sent by mail.
_CLIP_OPTIONS = {"crf": "23", "preset": "veryfast"}
CLIP_S = 10.0
CLIP_BYTES = 8_000_000
_SLOWED_TO_S = 5.0


def write_video(path: str | Path, frames: Iterable[Frames], *, fps: float) -> None:
    """Write frames (H, W, 3) uint8, one after the other, to .mp4 (H.264) or .gif.

    Odd sides of an mp4 get one more row or column, which H.264 needs. A gif has at most 50 frames
    a second: above, it keeps every second, third, ... frame, and its speed. Raises VelocellError
    for another suffix, no frames, frames of different shapes, or a frame rate outside 0.1 to 1000.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (".mp4", ".gif"):
        raise VelocellError(f"cannot write a video to '{path}': the suffix must be .mp4 or .gif")
    check_fps(fps)
    with replacing(path) as part:
        _encode(str(part), suffix[1:], frames, fps)


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
        _encode(buffer, "mp4", self._pictures(), 1000 / self.interval)
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
        """As a video of at most about CLIP_BYTES bytes; where more happens than they can tell, it is less sharp."""
        buffer = io.BytesIO()
        _encode(buffer, "mp4", self._pictures(), self.fps, self._small())
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
    # A wrong frame rate or factor is told here, not when the notebook shows the clip.
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


def band_names_of(tracks: Tracks | None, spikes: Spikes | None = None) -> tuple[str, ...]:
    """The bands' names as the table knows them, otherwise as many as are in use, by number."""
    told = {} if tracks is None else tracks.meta
    for source in (told, *_listed(told.get("inputs"))):
        bands = _named(_named(source, "network"), "bands")
        if names := _listed(_named(bands, "names")):
            return tuple(str(name) for name in names)
    highest = -1 if tracks is None else int(tracks.band.max(initial=-1))
    highest = highest if spikes is None else max(highest, int(spikes.channel.max(initial=-1)))
    return default_band_names(highest + 1)


def _named(value: Any, name: str) -> Any:
    """Of a table that anybody may have written."""
    return value.get(name) if isinstance(value, dict) else None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


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


def _encode(
    target: str | io.BytesIO,
    format: str,
    frames: Iterable[Frames],
    fps: float,
    quality: dict[str, str] = _H264_OPTIONS,
) -> None:
    """Stream frames into a file or buffer; `quality` is of an mp4."""
    import av

    stream = _checked(frames)
    first = next(stream, None)
    if first is None:
        raise VelocellError("there are no frames to write; pass at least one")
    rate = Fraction(fps).limit_denominator(1000)
    # The index at the front lets a browser play while it loads; it takes a second pass over the file.
    options = {"movflags": "faststart"} if format == "mp4" and isinstance(target, str) else {}
    with av.open(target, "w", format=format, options=options) as container:
        pictures = itertools.chain([first], stream)
        if format == "mp4":
            _encode_mp4(container, pictures, first.shape[:2], rate, quality)
        else:
            _encode_gif(container, pictures, first.shape[:2], rate)


def _checked(frames: Iterable[Frames]) -> Iterator[Frames]:
    shape: tuple[int, ...] | None = None
    for number, frame in enumerate(frames):
        shape = shape or frame.shape
        if frame.shape != shape or frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or not frame.size:
            raise VelocellError(
                f"frame {number} must be uint8 of shape (H, W, 3) like the first, got {frame.dtype} of {frame.shape}"
            )
        yield frame


def _encode_mp4(
    container: OutputContainer,
    frames: Iterator[Frames],
    size: tuple[int, int],
    rate: Fraction,
    quality: dict[str, str],
) -> None:
    import av
    from av.video.reformatter import ColorRange, Colorspace

    if "libx264" not in av.codecs_available:
        raise VelocellError("this build of PyAV has no H.264 encoder (libx264); install av from PyPI or write a .gif")
    height, width = size
    margin = ((0, height % 2), (0, width % 2), (0, 0))
    stream = container.add_stream("libx264", rate=rate, options=quality)
    stream.height, stream.width = height + height % 2, width + width % 2
    stream.pix_fmt = "yuv420p"
    # Said in the file, since players otherwise guess the matrix by the picture's size and shift colours.
    context = stream.codec_context
    context.colorspace = context.color_primaries = context.color_trc = _BT709
    context.color_range = ColorRange.MPEG
    for number, frame in enumerate(frames):
        picture = av.VideoFrame.from_ndarray(np.pad(frame, margin, mode="edge"), format="rgb24").reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        picture.pts, picture.time_base = number, 1 / rate
        container.mux(stream.encode(picture))
    container.mux(stream.encode())


def _encode_gif(container: OutputContainer, frames: Iterator[Frames], size: tuple[int, int], rate: Fraction) -> None:
    """One palette for all frames: the encoder then stores only what changes between them."""
    import av

    every = math.ceil(rate / _GIF_MAX_FPS)
    frames = itertools.islice(frames, 0, None, every)
    sample = list(itertools.islice(frames, _GIF_SAMPLE_FRAMES))
    chosen, nearest = _palette(sample)
    colors = np.zeros((256, 4), np.uint8)  # alpha, red, green, blue; the last one stays transparent
    colors[: len(chosen)] = np.insert(chosen, 0, 255, axis=1)
    stream = container.add_stream("gif", rate=rate / every)
    stream.height, stream.width = size
    stream.pix_fmt = "pal8"
    for number, frame in enumerate(itertools.chain(sample, frames)):
        paletted: Any = nearest[_cells(frame)], colors
        picture = av.VideoFrame.from_ndarray(paletted, format="pal8")
        picture.pts, picture.time_base = number, every / rate
        container.mux(stream.encode(picture))
    container.mux(stream.encode())


def _cells(frame: Frames) -> NDArray[np.uint16]:
    """Which of 32 x 32 x 32 cells of the colour space each pixel of (H, W, 3) lies in: (H, W)."""
    red, green, blue = np.moveaxis(frame.astype(np.uint16) >> 3, -1, 0)
    cells: NDArray[np.uint16] = red << 10 | green << 5 | blue
    return cells


def _palette(sample: list[Frames]) -> tuple[Frames, Frames]:
    """At most 255 colours (n, 3), and for each colour cell (32768,) the index of its nearest one.

    64 colours are evenly spread, for what comes after the sample; the others come from the sample,
    where a colour counts once however many pixels it covers: a label matters as much as the background.
    """
    from PIL import Image

    levels = (np.arange(32, dtype=np.uint8) << 3) + 4
    color = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    seen = np.zeros(len(color), bool)
    for frame in sample:
        cells = _cells(frame)
        seen[cells], color[cells] = True, frame
    spread = np.stack(np.meshgrid(*[np.array([0, 85, 170, 255], np.uint8)] * 3), axis=-1).reshape(-1, 3)
    found, room = color[seen], 255 - len(spread)
    if len(found) > room:
        reduced = Image.fromarray(found[None]).quantize(room, method=Image.Quantize.MEDIANCUT)
        found = np.array(reduced.getpalette(), np.uint8).reshape(-1, 3)[:room]
    chosen = np.concatenate([found, spread])
    wanted, have = color.astype(np.float32), chosen.astype(np.float32)
    distance = (have**2).sum(axis=1) - 2 * wanted @ have.T
    return chosen, distance.argmin(axis=1).astype(np.uint8)
