"""RGB frames -> mp4 or gif, through PyAV."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from velocell.data.files import replacing
from velocell.errors import VelocellError
from velocell.pictures.video.frames import Frames
from velocell.pictures.video.overlay import check_fps

if TYPE_CHECKING:
    from av.container import OutputContainer

_H264_OPTIONS = {"crf": "18", "preset": "veryfast"}
_H264 = ("libx264", "libopenh264")  # the second is not under the GPL
_BITS_PER_PX = 0.2  # in each frame
_BT709 = 1
# A gif shows whole hundredths of a second, and browsers slow down frames shorter than two.
_GIF_MAX_FPS = 50
_GIF_SAMPLE_FRAMES = 32


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
        encode(str(part), suffix[1:], frames, fps)


def encode(
    target: str | io.BytesIO,
    format: str,
    frames: Iterable[Frames],
    fps: float,
    quality: dict[str, str] = _H264_OPTIONS,
) -> None:
    """Stream frames into a file or buffer; `quality` is of an mp4. Raises VelocellError."""
    try:
        import av
    except ImportError as error:
        raise VelocellError(f"writing videos needs PyAV ({error}); install it with: pip install av") from None

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

    encoder = next((name for name in _H264 if name in av.codecs_available), None)
    if encoder is None:
        raise VelocellError(
            f"this build of PyAV has no H.264 encoder ({' or '.join(_H264)}); install av from PyPI or write a .gif"
        )
    height, width = size
    margin = ((0, height % 2), (0, width % 2), (0, 0))
    stream: Any = container.add_stream(encoder, rate=rate, options=quality if encoder == "libx264" else {})
    if encoder != "libx264":  # which knows no constant quality
        stream.bit_rate = int(_BITS_PER_PX * width * height * rate)
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
