"""Drawing on an RGB picture with Pillow: rings, dots, labels and a strip with legend and time.

Rings and dots are anti-aliased masks, made once per size, and only tails are drawn larger and
shrunk: doing so with the whole picture would cost several times the rest of a video frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from velocell.pictures.colors import BACKGROUND, TEXT, Color, mix

if TYPE_CHECKING:
    from PIL import Image

_STRIP: Color = mix(BACKGROUND, TEXT, 0.09)
_WIDEST_STAMP = "00000.000 s"
# Tails are drawn this many times larger and shrunk.
_FINE = 3


class Painter:
    """Pictures of a sensor (width, height) px, magnified `scale` times, above a strip.

    Positions are in sensor pixels, whose centres lie at integers; other lengths in canvas pixels.
    `legend`: (text, colour) from left to right; `note` stands before the time at the right.
    Use: `begin`, then any drawing, then `finish`, once per picture.
    """

    def __init__(self, size: tuple[int, int], scale: int, legend: Sequence[tuple[str, Color]], note: str = "") -> None:
        from PIL import Image, ImageDraw, ImageFont

        self.scale = scale
        self.width, self.height = size[0] * scale, size[1] * scale
        self._em = min(max(self.width // 42, 13), 22)
        self._label_em = min(max(scale + 8, 11), 20)
        self._font = ImageFont.load_default(size=self._em)
        self._label_font = ImageFont.load_default(size=self._label_em)
        self._taken: list[tuple[float, float, float, float]] = []
        self._note = f"{note}   " if note else ""
        self._strip = self._legend(legend)
        self._image = Image.new("RGB", (self.width, self.height + self._strip.height))
        self._draw = ImageDraw.Draw(self._image)

    def begin(self, picture: NDArray[np.uint8]) -> None:
        """Start from a picture (H, W, 3) of the sensor."""
        from PIL import Image

        small = Image.fromarray(picture)
        self._image.paste(small.resize((self.width, self.height), Image.Resampling.NEAREST), (0, 0))
        self._taken.clear()

    def ring(self, x: float, y: float, radius: float, color: Color) -> None:
        """A ring of `radius` sensor pixels."""
        thickness = max(1.5, self._label_em / 7)
        self._stamp(x, y, _ring_mask(round(2 * radius * self.scale) / 2, thickness), color)

    def dot(self, x: float, y: float, color: Color) -> None:
        """A small disk."""
        self._stamp(x, y, _dot_mask(self._label_em / 6), color)

    def tail(self, xs: NDArray[np.float64], ys: NDArray[np.float64], color: Color) -> None:
        """A line through points (n,), the newest first, that thins and fades towards the oldest."""
        from PIL import Image, ImageDraw

        across, down = self._place(xs, ys)
        thickness = self._label_em / 3
        left, top = int(across.min() - thickness), int(down.min() - thickness)
        size = int(across.max() + thickness) - left + 1, int(down.max() + thickness) - top + 1
        mask = Image.new("L", (size[0] * _FINE, size[1] * _FINE))
        draw = ImageDraw.Draw(mask)
        points = list(zip(((across - left) * _FINE).tolist(), ((down - top) * _FINE).tolist(), strict=True))
        for k in range(len(points) - 1, 0, -1):
            fresh = 1 - k / len(points)
            draw.line(points[k - 1 : k + 1], round(190 * fresh), max(1, round(thickness * fresh * _FINE)))
        self._image.paste(color, (left, top), mask.reduce(_FINE))

    def label(self, x: float, y: float, radius: float, text: str, color: Color) -> None:
        """Text above a circle of `radius` sensor pixels, or below; left out where another label is
        in the way of both."""
        across, down = self._place(x, y)
        reach, tall = radius * self.scale + self._label_em / 3, 1.2 * self._label_em
        half = self._label_font.getlength(text) / 2 + 2
        across = min(max(across, half), max(self.width - half, half))
        for top in (down - reach - tall, down + reach):
            box = (across - half, top, across + half, top + tall)
            if top >= 0 and top + tall <= self.height and not any(_overlap(box, other) for other in self._taken):
                self._taken.append(box)
                style: dict[str, Any] = {"font": self._label_font, "stroke_fill": BACKGROUND, "anchor": "mm"}
                fill, stroke = mix(color, (255, 255, 255), 0.35), max(self._label_em // 8, 1)
                self._draw.text((across, top + tall / 2), text, fill=fill, stroke_width=stroke, **style)
                return

    def finish(self, stamp: str) -> NDArray[np.uint8]:
        """The picture (H', W', 3) with its strip and the time at the strip's right."""
        # Over whatever was drawn beyond the sensor's lower edge.
        self._image.paste(self._strip, (0, self.height))
        place = (self.width - self._em, self.height + self._em)
        self._draw.text(place, self._note + stamp, font=self._font, fill=TEXT, anchor="rm")
        return np.array(self._image)

    def _place(self, x: Any, y: Any) -> tuple[Any, Any]:
        return (x + 0.5) * self.scale, (y + 0.5) * self.scale

    def _stamp(self, x: float, y: float, mask: Image.Image, color: Color) -> None:
        across, down = self._place(x, y)
        # Not `round`: it would shift circles to and fro, since it rounds halves to the even side.
        corner = math.floor(across - mask.width / 2 + 0.5), math.floor(down - mask.height / 2 + 0.5)
        self._image.paste(color, corner, mask)

    def _legend(self, entries: Sequence[tuple[str, Color]]) -> Image.Image:
        """The strip: as many lines as the entries need, the first leaving room for the time."""
        from PIL import Image, ImageDraw

        em, right = self._em, self.width - self._em
        placed: list[tuple[float, int, str, Color]] = []
        across, line = float(em), 0
        room = right - self._font.getlength(self._note + _WIDEST_STAMP)
        for text, color in entries:
            wide = 2.5 * em + self._font.getlength(text)
            if across + wide > (room if line == 0 else right) and (placed or room < wide):
                across, line = float(em), line + 1
            placed.append((across, line, text, color))
            across += wide
        strip = Image.new("RGB", (self.width, 2 * em + 2 * em * line), _STRIP)
        draw = ImageDraw.Draw(strip)
        for across, line, text, color in placed:
            down = em + 2 * em * line
            dot = _dot_mask(0.35 * em)
            strip.paste(color, (round(across), down - dot.height // 2), dot)
            draw.text((across + em, down), text, font=self._font, fill=TEXT, anchor="lm")
        return strip


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


@lru_cache(maxsize=256)
def _ring_mask(radius: float, thickness: float) -> Image.Image:
    distance = _distances(radius + thickness)
    return _mask(thickness / 2 + 0.5 - np.abs(distance - radius))


@lru_cache(maxsize=256)
def _dot_mask(radius: float) -> Image.Image:
    return _mask(radius + 0.5 - _distances(radius + 1))


def _distances(reach: float) -> NDArray[np.float64]:
    """Distance of each pixel from the middle of the smallest odd square that holds `reach`."""
    axis = np.arange(-np.ceil(reach), np.ceil(reach) + 1)
    return np.hypot(axis[:, None], axis[None, :])


def _mask(cover: NDArray[np.float64]) -> Image.Image:
    from PIL import Image

    return Image.fromarray(np.rint(np.clip(cover, 0, 1) * 255).astype(np.uint8))
