"""How the objects move: exact positions, and the straight segments that the events are made from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from velocell.simulate.scene import Scene, SceneObject, centre_box
from velocell.simulate.shapes import SHAPES, Floats
from velocell.tracks import Tracks

# Largest distance between an orbit and the chords that stand for it.
_SAG_PX = 0.01


@dataclass(frozen=True)
class Segments:
    """Straight pieces of the objects' paths; arrays of shape (n,).

    item: index of the object in the scene. start_s, span_s: when it begins and how long it takes.
    x0, y0: position at its start (px). vx, vy: velocity (px/s).
    """

    item: NDArray[np.intp]
    start_s: Floats
    span_s: Floats
    x0: Floats
    y0: Floats
    vx: Floats
    vy: Floats

    def take(self, index: slice | NDArray[np.bool_]) -> Segments:
        return Segments(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


def lifetime_s(scene: Scene, item: SceneObject) -> tuple[float, float]:
    stop = scene.duration_us if item.stop_us is None else min(item.stop_us, scene.duration_us)
    return item.start_us * 1e-6, stop * 1e-6


def motion(scene: Scene, item: SceneObject, t_s: Floats) -> tuple[Floats, Floats, Floats]:
    """x, y (px) and heading (degrees, 0 to 360) of an object at times (n,) in seconds."""
    travel = (t_s - item.start_us * 1e-6) * item.speed_px_s
    heading = np.deg2rad(item.heading_deg)
    if item.orbit_radius_px:
        radius = item.orbit_radius_px
        angle = heading + travel / radius
        x = item.x_px + radius * (np.sin(angle) - np.sin(heading))
        y = item.y_px - radius * (np.cos(angle) - np.cos(heading))
        return x, y, np.rad2deg(angle) % 360.0
    ux, uy = np.cos(heading), np.sin(heading)
    x, y = item.x_px + ux * travel, item.y_px + uy * travel
    sx, sy = np.ones_like(x), np.ones_like(y)
    if item.bounce:
        x_lo, y_lo, x_hi, y_hi = centre_box(scene, item)
        (x, sx), (y, sy) = _fold(x, x_lo, x_hi), _fold(y, y_lo, y_hi)
    return x, y, np.rad2deg(np.arctan2(uy * sy, ux * sx)) % 360.0


def segments(scene: Scene) -> Segments:
    """The paths of all objects while they are there; objects at rest have none."""
    parts = []
    for number, item in enumerate(scene.objects):
        corners = _corner_times(scene, item)
        if corners.size < 2 or item.speed_px_s == 0:
            continue
        x, y, _ = motion(scene, item, corners)
        span = np.diff(corners)
        index = np.full(span.size, number, np.intp)
        parts.append((index, corners[:-1], span, x[:-1], y[:-1], np.diff(x) / span, np.diff(y) / span))
    if not parts:
        none = np.empty(0)
        return Segments(np.empty(0, np.intp), none, none, none, none, none, none)
    return Segments(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def truth(scene: Scene, every_us: int) -> Tracks:
    """Where the target objects are, every `every_us`, while their centres are inside the sensor."""
    columns: dict[str, list[NDArray[np.float64]]] = {
        name: [] for name in ("t_us", "id", "x_px", "y_px", "speed_px_s", "heading_deg", "radius_px")
    }
    for item in scene.objects:
        if not item.target or not SHAPES[item.shape].closed:
            continue
        stop = scene.duration_us if item.stop_us is None else min(item.stop_us, scene.duration_us)
        t_us = np.arange(-(-item.start_us // every_us) * every_us, stop, every_us)
        x, y, heading = motion(scene, item, np.asarray(t_us * 1e-6, np.float64))
        inside = (x >= -0.5) & (x < scene.width - 0.5) & (y >= -0.5) & (y < scene.height - 0.5)
        n = int(inside.sum())
        constant = (np.full(n, float(item.id)), np.full(n, item.speed_px_s), np.full(n, item.radius_px))
        values = (t_us[inside], constant[0], x[inside], y[inside], constant[1], heading[inside], constant[2])
        for column, part in zip(columns.values(), values, strict=True):
            column.append(part)
    if not columns["t_us"]:
        return Tracks.empty({"scene": scene.to_dict()})
    return Tracks.from_columns({n: np.concatenate(v) for n, v in columns.items()}, {"scene": scene.to_dict()})


def _fold(position: Floats, low: float, high: float) -> tuple[Floats, Floats]:
    """Reflect a free coordinate into [low, high]; also the sign of its direction of motion."""
    span = high - low
    phase = (position - low) % (2 * span)
    back = phase > span
    return low + np.where(back, 2 * span - phase, phase), np.where(back, -1.0, 1.0)


def _corner_times(scene: Scene, item: SceneObject) -> Floats:
    """Start, turns and end of a path, in seconds, rising."""
    start, stop = lifetime_s(scene, item)
    if stop <= start or item.speed_px_s == 0:
        return np.empty(0)
    if item.orbit_radius_px:
        radius = abs(item.orbit_radius_px)
        step = 2 * np.arccos(max(1 - _SAG_PX / radius, 0.0)) * radius / item.speed_px_s
        return np.linspace(start, stop, int(np.ceil((stop - start) / step)) + 1)
    turns = [np.array([start, stop])]
    if item.bounce:
        box = centre_box(scene, item)
        heading = np.deg2rad(item.heading_deg)
        for first, direction, low, high in (
            (item.x_px, np.cos(heading), box[0], box[2]),
            (item.y_px, np.sin(heading), box[1], box[3]),
        ):
            speed = direction * item.speed_px_s
            if abs(speed) * (stop - start) < 1e-9:
                continue
            # The free coordinate meets a wall wherever it is low plus a multiple of the box's side.
            ends = sorted(((first - low) / (high - low), (first + speed * (stop - start) - low) / (high - low)))
            walls = low + (high - low) * np.arange(np.ceil(ends[0]), np.floor(ends[1]) + 1)
            turns.append(start + (walls - first) / speed)
    times = np.unique(np.concatenate(turns))
    times = times[(times >= start) & (times <= stop)]
    # Two walls met at once (a corner) differ by rounding only.
    return times[np.concatenate(([True], np.diff(times) > 1e-12))]
