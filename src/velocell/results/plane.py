"""Real units: from pixels to millimetres on the plane on which the objects move.

A homography H takes a pixel to the plane: (X, Y, 1) ~ H (x, y, 1), in mm. A camera that looks straight
down needs only its scale, `Plane.of_scale`. Speeds go through the derivative of that map at the object:

    w = H[2] . (x, y, 1);   J = ((H[0, :2] - X H[2, :2]) / w, (H[1, :2] - Y H[2, :2]) / w);   v_mm = |J v_px|

Where a lens is corrected too, that comes first: pixels are then those of the corrected picture.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from velocell.data.arrays import Floats
from velocell.data.side_files import read_array, read_json, read_text, read_toml
from velocell.data.tracks import Tracks
from velocell.errors import OptionError, unreadable

COLUMNS_MM = ("x_mm", "y_mm", "speed_mm_s")
_SINGULAR = 1e-10  # of the determinant, rows and columns of length 1


@dataclass(frozen=True, eq=False)
class Plane:
    """homography: (3, 3), from pixels (x right, y down, centres at integers) to mm; source: in words, where from."""

    homography: Floats
    source: str = "the homography"

    @staticmethod
    def of(homography: ArrayLike, source: str = "the homography") -> Plane:
        """Check the numbers. Raises OptionError for other shapes and for a map that has no inverse."""
        try:
            h = np.asarray(homography, np.float64)
        except (ValueError, TypeError):
            h = np.empty(0)
        if h.shape != (3, 3) or not np.isfinite(h).all():
            raise OptionError(f"{source} must be 3 rows of 3 finite numbers, from pixels to mm")
        scaled = h
        # Lengths differ by many orders between the columns of a sound homography; that is not singular.
        with np.errstate(invalid="ignore"):
            for _ in range(10):
                scaled = scaled / np.linalg.norm(scaled, axis=0)
                scaled = scaled / np.linalg.norm(scaled, axis=1, keepdims=True)
            share = abs(np.linalg.det(scaled))
        if not share > _SINGULAR:
            raise OptionError(
                f"{source} is singular: it maps the whole picture to one line; measure four points of which no three "
                "lie on a line"
            )
        return Plane(h, source)

    @staticmethod
    def of_scale(px_per_mm: float) -> Plane:
        """A plane that is parallel to the sensor. Raises OptionError for a scale that is not above 0."""
        if not (np.isfinite(px_per_mm) and px_per_mm > 0):
            raise OptionError(f"--px-per-mm must be a number above 0, got {px_per_mm:g}")
        return Plane(np.diag([1 / px_per_mm, 1 / px_per_mm, 1.0]), f"{px_per_mm:g} px per mm")

    @property
    def px_per_mm(self) -> float | None:
        """The scale, the same everywhere; None where it is not."""
        scale = float(self.homography[0, 0])
        if scale <= 0 or not np.array_equal(self.homography, np.diag([scale, scale, 1.0])):
            return None
        return 1 / scale

    @staticmethod
    def read(path: str | Path) -> Plane:
        """A 3x3 matrix from .npy, .csv (three lines of three numbers), .json (three lists, or a table with the key
        `homography`) or .toml (the key `homography`). Raises OptionError."""
        file = Path(path)
        if file.suffix.lower() not in _READERS:
            raise OptionError(f"cannot read a homography from '{path}': the suffix must be .json, .toml, .csv or .npy")
        try:
            values = _READERS[file.suffix.lower()](file)
        except OSError as error:
            raise OptionError(unreadable(path, error)) from None
        except (ValueError, TypeError, LookupError, EOFError, csv.Error) as error:
            raise OptionError(f"{path} is not a readable homography ({error}); write 3 rows of 3 numbers") from None
        return Plane.of(values, f"the homography in {path}")

    def to_mm(self, x_px: ArrayLike, y_px: ArrayLike) -> tuple[Floats, Floats]:
        """Positions on the plane, mm; arrays of shape (n,)."""
        x, y, w = self._apply(x_px, y_px)
        with np.errstate(divide="ignore", invalid="ignore"):
            return x / w, y / w

    def speed_mm_s(self, x_px: ArrayLike, y_px: ArrayLike, speed_px_s: ArrayLike, heading_deg: ArrayLike) -> Floats:
        """Speeds on the plane, mm/s, of objects at x, y that move so in the picture; arrays of shape (n,).

        NaN where the speed or the heading is missing; 0 needs no heading.
        """
        speed, angle = np.asarray(speed_px_s, np.float64), np.deg2rad(np.asarray(heading_deg, np.float64))
        vx = np.where(speed == 0, 0.0, speed * np.cos(angle))
        vy = np.where(speed == 0, 0.0, speed * np.sin(angle))
        h = self.homography
        _, _, w = self._apply(x_px, y_px)
        x_mm, y_mm = self.to_mm(x_px, y_px)
        with np.errstate(divide="ignore", invalid="ignore"):
            along_x = ((h[0, 0] - x_mm * h[2, 0]) * vx + (h[0, 1] - x_mm * h[2, 1]) * vy) / w
            along_y = ((h[1, 0] - y_mm * h[2, 0]) * vx + (h[1, 1] - y_mm * h[2, 1]) * vy) / w
        return np.asarray(np.hypot(along_x, along_y))

    def on_plane(self, x_px: ArrayLike, y_px: ArrayLike, size: tuple[int, int]) -> NDArray[np.bool_]:
        """Whether a pixel is on the side of the horizon on which the middle of the sensor of `size` lies."""
        _, _, middle = self._apply((size[0] - 1) / 2, (size[1] - 1) / 2)
        return np.asarray(self._apply(x_px, y_px)[2] * middle > 0)

    def _apply(self, x_px: ArrayLike, y_px: ArrayLike) -> tuple[Floats, Floats, Floats]:
        x, y = np.asarray(x_px, np.float64), np.asarray(y_px, np.float64)
        first, second, third = (row[0] * x + row[1] * y + row[2] for row in self.homography)
        return first, second, third


def with_real_units(tracks: Tracks, plane: Plane, size: tuple[int, int]) -> Tracks:
    """The table with the columns x_mm, y_mm and speed_mm_s behind its own; size: (width, height) of the sensor.

    They are missing beyond the horizon, where the plane has no points.
    """
    x, y = tracks.x_px, tracks.y_px
    x_mm, y_mm = plane.to_mm(x, y)
    speed = plane.speed_mm_s(x, y, tracks.speed_px_s, tracks.heading_deg)
    there = plane.on_plane(x, y, size)
    columns = {
        name: np.where(there, values, np.nan) for name, values in zip(COLUMNS_MM, (x_mm, y_mm, speed), strict=True)
    }
    return replace(tracks, extra={**tracks.extra, **columns})


def _from_csv(file: Path) -> Any:
    return [[float(cell) for cell in row] for row in csv.reader(read_text(file).splitlines()) if row]


def _from_json(file: Path) -> Any:
    found = read_json(file)
    return found["homography"] if isinstance(found, dict) else found


def _from_toml(file: Path) -> Any:
    return read_toml(file)["homography"]


def _from_npy(file: Path) -> Any:
    return read_array(file)


_READERS: dict[str, Callable[[Path], Any]] = {
    ".csv": _from_csv,
    ".json": _from_json,
    ".toml": _from_toml,
    ".npy": _from_npy,
}
