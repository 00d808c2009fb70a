"""What can move in a scene: one row a shape, and all that the simulator knows of it stands there.

A shape is a convex set of points. Its distance d, in the shape's own metric, is below R inside, R on the
outline and above R outside (Euclid for a disk, the larger of |dx|, |dy| for a square, the distance along the
normal for a bar). A new shape is a row of `SHAPES`, with a function for its distance and one for its crossing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from velocell.data.arrays import Floats


@dataclass(frozen=True)
class Shape:
    """A row of the table.

    distance: (dx, dy, radius, normal) -> d of pixels at dx, dy (px) from the centre of a shape of `radius`
        (px) whose first heading is `normal` (radians); arrays of one shape, or what broadcasts to one.
    crossing: (qx, qy, vx, vy, size, radius, normal) -> when (s) pixels at q (px) from the centre at time 0
        are covered and freed by the set d <= size of a shape of `radius` that moves with v (px/s); NaN for
        never. Arrays (n,).
    reach: beyond this many radii from the centre lies nothing of it; infinite: it crosses the whole sensor.
    kept: so many radii its centre keeps away from the walls when it bounces.
    """

    distance: Callable[[Floats, Floats, Floats, Floats], Floats]
    crossing: Callable[[Floats, Floats, Floats, Floats, Floats, Floats, Floats], tuple[Floats, Floats]]
    reach: float = 1.0
    kept: float = 1.0

    @property
    def closed(self) -> bool:
        """Has an outline all round, so that it has a centre: it is listed in the truth, and a patch can have it."""
        return math.isfinite(self.reach)


# --- disk -------------------------------------------------------------------------------------------


def _from_centre(dx: Floats, dy: Floats, radius: Floats, normal: Floats) -> Floats:
    distance: Floats = np.hypot(dx, dy)
    return distance


def _disk(
    qx: Floats, qy: Floats, vx: Floats, vy: Floats, size: Floats, radius: Floats, normal: Floats
) -> tuple[Floats, Floats]:
    speed2 = vx * vx + vy * vy
    nearest = (qx * vx + qy * vy) / speed2
    beside2 = (qx * vy - qy * vx) ** 2 / speed2
    half = np.sqrt(np.where(size > 0, size * size - beside2, -1.0) / speed2)
    return nearest - half, nearest + half


# --- square -----------------------------------------------------------------------------------------


def _along_the_sides(dx: Floats, dy: Floats, radius: Floats, normal: Floats) -> Floats:
    distance: Floats = np.maximum(np.abs(dx), np.abs(dy))
    return distance


def _square(
    qx: Floats, qy: Floats, vx: Floats, vy: Floats, size: Floats, radius: Floats, normal: Floats
) -> tuple[Floats, Floats]:
    x_in, x_out = _slab(qx, vx, size)
    y_in, y_out = _slab(qy, vy, size)
    covered, freed = np.maximum(x_in, y_in), np.minimum(x_out, y_out)
    missed = ~(covered < freed)
    return np.where(missed, np.nan, covered), np.where(missed, np.nan, freed)


# --- bar and edge -----------------------------------------------------------------------------------


def _from_the_middle(dx: Floats, dy: Floats, radius: Floats, normal: Floats) -> Floats:
    distance: Floats = np.abs(_along(dx, dy, normal))
    return distance


def _bar(
    qx: Floats, qy: Floats, vx: Floats, vy: Floats, size: Floats, radius: Floats, normal: Floats
) -> tuple[Floats, Floats]:
    ahead, speed = _along(qx, qy, normal), _along(vx, vy, normal)
    return _slab(ahead, speed, size)


def _ahead(dx: Floats, dy: Floats, radius: Floats, normal: Floats) -> Floats:
    return _along(dx, dy, normal) + radius


def _edge(
    qx: Floats, qy: Floats, vx: Floats, vy: Floats, size: Floats, radius: Floats, normal: Floats
) -> tuple[Floats, Floats]:
    ahead, speed = _along(qx, qy, normal), _along(vx, vy, normal)
    t = (ahead - (size - radius)) / speed
    return np.where(speed > 0, t, np.nan), np.where(speed < 0, t, np.nan)


def _along(x: Floats, y: Floats, normal: Floats) -> Floats:
    along: Floats = x * np.cos(normal) + y * np.sin(normal)
    return along


def _slab(offset: Floats, speed: Floats, size: Floats) -> tuple[Floats, Floats]:
    """When |offset - speed t| falls below and rises above `size`; infinite (of either sign) at rest."""
    first, second = (offset - size) / speed, (offset + size) / speed
    met = size > 0
    return np.where(met, np.minimum(first, second), np.nan), np.where(met, np.maximum(first, second), np.nan)


# --- the table --------------------------------------------------------------------------------------

SHAPES: dict[str, Shape] = {
    "disk": Shape(_from_centre, _disk),
    "square": Shape(_along_the_sides, _square, reach=math.sqrt(2)),
    "bar": Shape(_from_the_middle, _bar, reach=math.inf),
    "edge": Shape(_ahead, _edge, reach=math.inf, kept=0.0),
}


def closed_shapes() -> list[str]:
    return [name for name, shape in SHAPES.items() if shape.closed]
