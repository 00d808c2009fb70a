"""Any shape as receptive field: a template's outline, its kernel and what its passage sends.

A template is the silhouette of an object that moves without turning. Where its outline passes, pixels
send events; so the kernel is a band along the outline, and the law of `calibrate` holds with the
template's own rho instead of a disk's.
"""

from __future__ import annotations

import io
import math
import struct
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from velocell.data.arrays import Floats
from velocell.data.side_files import read_array, read_bytes
from velocell.errors import OptionError

ANGLES = 360
_FINE = 4  # samples per px
_HEADINGS, _PLACES = 16, 4
_SMALLEST_PX = 9  # pixels of a silhouette
_LARGEST_PX = 512  # a side of it
_MOST_PX, _MOST_BYTES = 1 << 22, 16 << 20  # of a picture
_PICTURES = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
_AT_ONCE = 1 << 22  # points looked at


@dataclass(frozen=True, eq=False)
class Template:
    """A silhouette: mask (h, w), True inside the object; its centre is the mask's centre of mass."""

    mask: NDArray[np.bool_]
    name: str = "template"

    @staticmethod
    def of(image: ArrayLike, name: str = "template") -> Template:
        """From an array (h, w): what differs from its border by more than half of the largest difference.

        Raises OptionError for an image without a silhouette.
        """
        values = np.asarray(image, np.float64)
        if values.ndim != 2 or not values.size or not np.isfinite(values).all():
            raise OptionError(f"template '{name}' must be a picture or an array (h, w) of finite values")
        border = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
        difference = np.abs(values - np.median(border))
        if difference.max() == 0:
            raise OptionError(f"template '{name}' is blank; draw the object dark on light or light on dark")
        mask = difference > difference.max() / 2
        if mask.sum() < _SMALLEST_PX:
            raise OptionError(f"template '{name}' has {mask.sum()} px; an object needs {_SMALLEST_PX} at least")
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        mask = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        if max(mask.shape) > _LARGEST_PX:
            h, w = mask.shape
            raise OptionError(f"template '{name}' is {w}x{h} px; an object may have up to {_LARGEST_PX} px a side")
        return Template(mask, name)

    @staticmethod
    def read(path: str | Path) -> Template:
        """From a picture (anything Pillow reads) or a .npy array; one pixel is one pixel of the sensor."""
        file = Path(path)
        if not file.exists():
            raise OptionError(f"template '{file}' does not exist; check the path")
        try:
            array = read_array(file, _MOST_BYTES) if file.suffix == ".npy" else _picture(file)
            return replace(Template.of(array, str(file)), name=file.stem)
        # Of damaged pictures Pillow raises what it likes.
        except (OSError, ValueError, SyntaxError, ArithmeticError, LookupError, EOFError, struct.error) as error:
            why = " ".join(str(error).split())
            raise OptionError(f"template '{file}' is not a picture ({why}); give a .png or a .npy array") from None

    @cached_property
    def centre(self) -> tuple[float, float]:
        """Centre of mass (x, y), px in the mask."""
        y, x = np.nonzero(self.mask)
        return float(x.mean()), float(y.mean())

    @cached_property
    def outline(self) -> Floats:
        """(ANGLES,): distance in px from the centre to the outermost outline, per degree (0 = +x, 90 = +y)."""
        reach = math.hypot(*self.mask.shape)
        distance = np.arange(0, reach, 1 / _FINE)
        angle = np.radians(np.arange(ANGLES) * 360 / ANGLES)
        inside = self.covers(distance * np.cos(angle)[:, None], distance * np.sin(angle)[:, None])
        last = np.where(inside.any(axis=1), inside.shape[1] - 1 - inside[:, ::-1].argmax(axis=1), 0)
        return np.maximum(distance[last] + 0.5 / _FINE, 0.5)

    @property
    def radius_px(self) -> float:
        """Mean distance of the outline from the centre."""
        return float(self.outline.mean())

    @cached_property
    def crossings_px(self) -> float:
        """Pixels whose edge the outline crosses per px of travel, averaged over headings; 4 R for a disk."""
        kernel = np.ones((1, 1, *(2 * math.ceil(self.outline.max()) + 5,) * 2))
        x, rho = self.passage_densities(kernel)
        return float(rho[:, np.abs(x) < 1].mean())

    @cached_property
    def _smooth(self) -> Floats:
        """The mask without its pixels' corners, which an object does not have; 2 px of margin."""
        field = np.pad(self.mask.astype(np.float64), 2)
        for axis in (0, 1):
            field = (np.roll(field, 1, axis) + 2 * field + np.roll(field, -1, axis)) / 4
        return field

    def covers(self, x: Floats, y: Floats) -> NDArray[np.bool_]:
        """Whether points, px from the centre, lie in the object."""
        h, w = self._smooth.shape
        column = np.clip(x + self.centre[0] + 2, 0, w - 1.001)
        row = np.clip(y + self.centre[1] + 2, 0, h - 1.001)
        left, top = column.astype(int), row.astype(int)
        dx, dy = column - left, row - top
        upper = self._smooth[top, left] * (1 - dx) + self._smooth[top, left + 1] * dx
        lower = self._smooth[top + 1, left] * (1 - dx) + self._smooth[top + 1, left + 1] * dx
        inside: NDArray[np.bool_] = upper * (1 - dy) + lower * dy > 0.5
        return inside

    def kernel(self, width: float, inside: float) -> NDArray[np.float32]:
        """+1 within width / 2 px of the outline (holes included), `inside` within the object, as (1, 1, side, side)."""
        half = math.ceil(self.outline.max() + width / 2)
        side = 2 * half + 1
        fine = (np.arange(side * _FINE) + 0.5) / _FINE - side / 2
        covered = self.covers(*np.meshgrid(fine, fine))
        near = np.zeros_like(covered)
        reach = round(width / 2 * _FINE)
        for dy in range(-reach, reach + 1):
            for dx in range(-reach, reach + 1):
                if dx * dx + dy * dy <= reach * reach:
                    near |= covered != np.roll(covered, (dy, dx), axis=(0, 1))
        field = np.where(near, 1.0, np.where(covered, inside, 0.0))
        weights = field.reshape(side, _FINE, side, _FINE).mean(axis=(1, 3))
        kernel: NDArray[np.float32] = weights.astype(np.float32)
        return kernel[None, None]

    def passage_densities(self, kernel: ArrayLike, *, step: float = 0.1) -> tuple[Floats, Floats]:
        """(x (n,), rho (headings, n)) as `calibrate.passage_density` gives them for a disk, heading by heading."""
        weights = np.asarray(kernel, np.float64)
        weights = weights.reshape(-1, *weights.shape[-2:])[0]
        x, rho = _densities(self, weights.shape, weights.tobytes(), step)
        return x.copy(), rho.copy()


def _picture(file: Path) -> NDArray[np.uint8]:
    """Its brightness (h, w), on white where it is transparent. Raises whatever Pillow raises."""
    from PIL import Image

    try:
        # Formats that run no program of their own, as PostScript does.
        with Image.open(io.BytesIO(read_bytes(file, _MOST_BYTES)), formats=_PICTURES) as image:
            if image.width * image.height > _MOST_PX:
                raise ValueError(f"it has {image.width}x{image.height} px, more than {_MOST_PX}")
            flat = Image.new("RGBA", image.size, "white")
            flat.alpha_composite(image.convert("RGBA"))
            return np.asarray(flat.convert("L"))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(str(error)) from None


# Detection and calibration take turns, with the same template and kernel.
@lru_cache(maxsize=8)
def _densities(template: Template, shape: tuple[int, int], data: bytes, step: float) -> tuple[Floats, Floats]:
    weights = np.frombuffer(data).reshape(shape)
    h, w = shape
    reach = math.hypot(h, w) / 2 + float(template.outline.max()) + 1
    x = np.arange(-reach, reach + step, step)
    row, column = np.nonzero(weights)
    px, py = column - (w - 1) / 2, row - (h - 1) / 2
    rho = np.zeros((_HEADINGS, x.size))
    most = max(1, _AT_ONCE // x.size)
    parts = [slice(first, first + most) for first in range(0, row.size, most)]
    places = np.random.default_rng(0).uniform(-0.5, 0.5, (_HEADINGS, _PLACES, 2))  # within a pixel
    for number, heading in enumerate((np.arange(_HEADINGS) + 0.5) / _HEADINGS * 2 * np.pi):
        for dx, dy in places[number]:
            along, down = x * np.cos(heading), x * np.sin(heading)
            for part in parts:
                inside = template.covers(px[part, None] - dx - along, py[part, None] - dy - down)
                rho[number, 1:] += weights[row[part], column[part]] @ (inside[:, 1:] != inside[:, :-1])
    return x, rho / (_PLACES * step)
