"""The lens: what it bends is straightened, event by event, before anything looks for a speed.

The model is OpenCV's (docs.opencv.org, "Camera calibration and 3D reconstruction"), in coordinates
x = (column - cx) / fx, y = (row - cy) / fy of the corrected picture, r2 = x^2 + y^2:

    radial = (1 + k1 r2 + k2 r2^2 + k3 r2^3) / (1 + k4 r2 + k5 r2^2 + k6 r2^3)
    seen_x = x radial + 2 p1 x y + p2 (r2 + 2 x^2)
    seen_y = y radial + p1 (r2 + 2 y^2) + 2 p2 x y

The corrected picture keeps the camera matrix, so that its middle keeps its scale. Where each pixel goes is
computed once; the events then cost one look-up each.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import ArrayLike, NDArray

from velocell.data.arrays import Floats
from velocell.data.recording import Recording
from velocell.data.side_files import read_json, read_text
from velocell.errors import OptionError, unreadable

_STEPS = 50
_TABLE_PX = 1 << 20
_SOLVED_PX = 1e-3
# As OpenCV's samples, its calibration tools and ROS name them; compared without case and underscores.
_MATRIX_NAMES = ("cameramatrix", "k", "mtx", "intrinsicmatrix", "intrinsics")
_DISTORTION_NAMES = ("distortioncoefficients", "distortioncoeffs", "distcoeffs", "distortion", "dist", "d")
_WIDTH_NAMES = ("imagewidth", "width")
_HEIGHT_NAMES = ("imageheight", "height")
_OTHER_MODELS = ("equidistant", "fisheye", "kannalabrandt")


@dataclass(frozen=True, eq=False)
class Camera:
    """matrix: (3, 3), in px; distortion: (8,), k1 k2 p1 p2 k3 k4 k5 k6; size: (width, height) in px of the
    pictures that it was calibrated with, None where unknown; source: the file."""

    matrix: Floats
    distortion: Floats
    size: tuple[int, int] | None = None
    source: str = "the camera"

    @staticmethod
    def of(
        matrix: ArrayLike, distortion: ArrayLike, size: tuple[int, int] | None = None, source: str = "the camera"
    ) -> Camera:
        """Check the values: 9 of the matrix; 4, 5 or 8 coefficients, or more with zeros behind. Raises OptionError."""
        k = np.asarray(matrix, np.float64).ravel()
        d = np.asarray(distortion, np.float64).ravel()
        if k.size != 9 or not np.isfinite(k).all() or k[0] <= 0 or k[4] <= 0 or k[[1, 3, 6, 7]].any() or k[8] != 1:
            raise OptionError(f"the camera matrix of {source} must be [fx 0 cx; 0 fy cy; 0 0 1] with fx and fy above 0")
        if d.size < 4 or not np.isfinite(d).all():
            raise OptionError(f"{source} must have 4, 5 or 8 distortion coefficients k1 k2 p1 p2 k3 k4 k5 k6")
        if d[8:].any():
            raise OptionError(
                f"{source} has thin-prism or tilt coefficients, which are not supported; calibrate without them"
            )
        full = np.zeros(8)
        full[: min(d.size, 8)] = d[:8]
        return Camera(k.reshape(3, 3), full, size, source)

    @staticmethod
    def read(path: str | Path) -> Camera:
        """A camera file as OpenCV or ROS write it: .yml, .yaml, .json or .xml. Raises OptionError."""
        file = Path(path)
        if file.suffix.lower() not in _READERS:
            raise OptionError(f"cannot read a camera from '{path}': the suffix must be .yml, .yaml, .json or .xml")
        try:
            fields = {_plain(name): value for name, value in _READERS[file.suffix.lower()](file).items()}
            sides = [_first(fields, names) for names in (_WIDTH_NAMES, _HEIGHT_NAMES)]
            width, height = (None if side is None else int(float(side)) for side in sides)
        except OSError as error:
            raise OptionError(unreadable(path, error)) from None
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, ElementTree.ParseError) as error:
            raise OptionError(f"{path} is not a readable camera file ({error}); write it with OpenCV") from None
        model = str(fields.get("distortionmodel", ""))
        if _plain(model) in _OTHER_MODELS or _truth(fields.get("fisheyemodel")):
            raise OptionError(f"{path} uses a fisheye model, which is not supported; calibrate with the standard one")
        matrix, distortion = _first(fields, _MATRIX_NAMES), _first(fields, _DISTORTION_NAMES)
        for what, value in (("camera_matrix", matrix), ("distortion_coefficients", distortion)):
            if not isinstance(value, np.ndarray):
                raise OptionError(f"{path} has no {what}; it has {', '.join(fields) or 'nothing'}")
        size = None if width is None or height is None else (width, height)
        return Camera.of(matrix, distortion, size, str(path))

    def seen(self, x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
        """Where the lens puts what belongs at x, y (px); both of one shape."""
        (fx, _, cx), (_, fy, cy), _ = self.matrix
        u, v, _ = self._bent((np.asarray(x, np.float64) - cx) / fx, (np.asarray(y, np.float64) - cy) / fy)
        return u * fx + cx, v * fy + cy

    def corrected(self, x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
        """The inverse of `seen`; NaN where the model puts nothing there."""
        (fx, _, cx), (_, fy, cy), _ = self.matrix
        at_u = (np.asarray(x, np.float64) - cx) / fx
        at_v = (np.asarray(y, np.float64) - cy) / fy
        u, v = at_u.copy(), at_v.copy()
        # Newton's method: the usual fixed-point iteration does not end for strong lenses.
        with np.errstate(all="ignore"):
            for _ in range(_STEPS):
                bent_u, bent_v, (uu, uv, vu, vv) = self._bent(u, v)
                off_u, off_v, scale = bent_u - at_u, bent_v - at_v, uu * vv - uv * vu
                step_u, step_v = (vv * off_u - uv * off_v) / scale, (uu * off_v - vu * off_u) / scale
                u, v = u - step_u, v - step_v
                if not (np.hypot(step_u * fx, step_v * fy) > 1e-9).any():
                    break
            bent_u, bent_v, (uu, uv, vu, vv) = self._bent(u, v)
            solved = np.hypot((bent_u - at_u) * fx, (bent_v - at_v) * fy) < _SOLVED_PX
            # A picture folded over itself has a second solution, seen in a mirror.
            solved &= (uu * vv > uv * vu) & (uu + vv > 0)
        return np.where(solved, u * fx + cx, np.nan), np.where(solved, v * fy + cy, np.nan)

    def table(self, width: int, height: int) -> NDArray[np.int64]:
        """Where each pixel goes: y * width + x of the nearest corrected pixel, -1 for off the sensor; (height, width).

        Raises OptionError where the camera was calibrated on another size.
        """
        if self.size not in (None, (width, height)):
            was = "x".join(map(str, self.size or ()))
            raise OptionError(f"{self.source} is for a sensor of {was}, not {width}x{height}; calibrate at this size")
        rows = max(1, _TABLE_PX // width)  # at once, so that a large sensor does not fill the memory
        return np.concatenate([self._rows(first, min(first + rows, height), width, height)
                               for first in range(0, height, rows)])  # fmt: skip

    def _rows(self, first: int, last: int, width: int, height: int) -> NDArray[np.int64]:
        row, column = np.mgrid[first:last, :width]
        x, y = (np.rint(values) for values in self.corrected(column, row))
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        return np.where(inside, np.where(inside, y, 0) * width + np.where(inside, x, 0), -1).astype(np.int64)

    def _bent(self, x: Floats, y: Floats) -> tuple[Floats, Floats, tuple[Floats, Floats, Floats, Floats]]:
        """seen_x, seen_y, and their derivatives d seen_x/dx, d seen_x/dy, d seen_y/dx, d seen_y/dy."""
        k1, k2, p1, p2, k3, k4, k5, k6 = self.distortion
        r2 = x * x + y * y
        above, below = 1 + r2 * (k1 + r2 * (k2 + r2 * k3)), 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
        radial = above / below
        by_r2 = (k1 + r2 * (2 * k2 + r2 * 3 * k3) - radial * (k4 + r2 * (2 * k5 + r2 * 3 * k6))) / below
        seen_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
        seen_y = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
        across = 2 * x * y * by_r2 + 2 * p1 * x + 2 * p2 * y
        xx = radial + 2 * x * x * by_r2 + 2 * p1 * y + 6 * p2 * x
        yy = radial + 2 * y * y * by_r2 + 6 * p1 * y + 2 * p2 * x
        return seen_x, seen_y, (xx, across, across, yy)


def undistort(recording: Recording, camera: Camera) -> Recording:
    """Every event at its corrected pixel; those that leave the sensor are dropped, and the notes say how many.

    Positions are rounded to pixels, so two pixels may become one. Mask defective pixels first: they
    move with the rest. Raises OptionError for a camera of another sensor size.
    """
    return Undistortion(camera, recording.size)(recording)


class Undistortion:
    """`undistort` for blocks of a sensor of (width, height): where each pixel goes is computed once."""

    def __init__(self, camera: Camera, size: tuple[int, int]) -> None:
        self._camera, self._table = camera, camera.table(*size)

    def __call__(self, block: Recording) -> Recording:
        to = self._table[block.y, block.x]
        stay = to >= 0
        left, pixel = block.mask(stay), to[stay]
        x, y = (pixel % block.width).astype(np.uint16), (pixel // block.width).astype(np.uint16)
        return replace(left, x=x, y=y, notes=(*block.notes, self.note(len(block), len(left))))

    def note(self, before: int, left: int) -> str:
        """What was done, in words."""
        lost, source = before - left, self._camera.source
        return f"lens corrected with {source}: {lost} of {before} events fell outside the sensor and were dropped"


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _first(fields: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((fields[name] for name in names if name in fields), None)


def _truth(value: Any) -> bool:
    return str(value).lower() in ("1", "true")


def _from_json(file: Path) -> dict[str, Any]:
    table = read_json(file)
    if not isinstance(table, dict):
        raise ValueError("it is not a table of names and values")
    return {name: _from_plain(value) for name, value in table.items()}


def _from_plain(value: Any) -> Any:
    if isinstance(value, dict) and "data" in value:
        value = value["data"]
    return np.array(value, np.float64) if isinstance(value, list) else value


def _from_xml(file: Path) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    text = read_text(file)
    # Declarations can make a text of a few bytes unfold to gigabytes.
    if "<!" in text:
        raise ValueError("its XML has declarations")
    for item in ElementTree.fromstring(text):
        data = item.find("data")
        fields[item.tag] = (item.text or "").strip() if data is None else _numbers(data.text or "")
    return fields


def _from_yaml(file: Path) -> dict[str, Any]:
    """The part of YAML that OpenCV and ROS write: names without indentation, and lists of numbers."""
    fields: dict[str, Any] = {}
    for name, text in _yaml_entries(read_text(file)):
        value: Any = text.strip()
        listed = re.search(r"\bdata\s*:\s*\[([^\]]*)\]", value) or re.search(r"\bdata\s*:\s*((?:-\s+\S+\s*)+)", value)
        if listed is not None:
            value = _numbers(listed[1])
        elif value[:1] in ("[", "-") and not (re.match(r"-?[\d.]", value) and len(value.split()) == 1):
            value = _numbers(value)
        fields[name] = value
    return fields


def _yaml_entries(text: str) -> list[tuple[str, str]]:
    """Names that begin a line, each with the rest of it and the lines below that belong to it."""
    entries: list[tuple[str, list[str]]] = []
    open_ = False
    for line in text.split("\n"):
        begun = re.match(r"([A-Za-z_]\w*)[ \t]*:", line)
        if begun is not None:
            entries.append((begun[1], [line[begun.end() :]]))
            open_ = True
        elif open_ and line[:1] in ("", " ", "\t", "-", "]"):
            entries[-1][1].append(line)
        else:
            open_ = False
    return [(name, "\n".join(lines)) for name, lines in entries]


def _numbers(text: str) -> Floats:
    words = [word for word in re.split(r"[\s,\[\]]+", text) if word not in ("", "-")]
    return np.array([float(word) for word in words])


_READERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    ".json": _from_json,
    ".xml": _from_xml,
    ".yml": _from_yaml,
    ".yaml": _from_yaml,
}
