"""How the objects move: exact positions, and the straight segments that the events are made from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from velocell.data.arrays import Floats
from velocell.data.tracks import Tracks
from velocell.simulate.objects import SceneObject
from velocell.simulate.scene import Scene, centre_box
from velocell.simulate.shapes import SHAPES

# Largest distance between a curve and the chords that stand for it.
_SAG_PX = 0.01
# So often a path of varied speed is looked at, and slower than this is at rest.
_LOOK_S = 1e-4
_REST_PX_S = 1e-6


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


def motion(scene: Scene, item: SceneObject, t_s: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """x, y (px), heading (degrees, 0 to 360) and speed (px/s) of an object at times (n,) in seconds.

    The heading of an object at rest is the one it stopped with, or starts with.
    """
    if item.path:
        return _along_path(item, t_s)
    if item.motion is None:
        travel, rate = (t_s - item.start_us * 1e-6) * item.speed_px_s, None
    else:
        g, runs = item.motion.clock(t_s, item.start_us * 1e-6)
        travel, rate = item.motion.travel(g, item.speed_px_s)
    x, y, heading = _on_course(scene, item, travel)
    if item.motion is None or rate is None:
        return x, y, heading, np.full(x.shape, float(item.speed_px_s))
    if not item.motion.bends:
        return x, y, np.where(rate < 0, heading + 180, heading) % 360.0, np.abs(rate) * runs
    ax, ay = item.motion.ax_px_s2, item.motion.ay_px_s2
    vx, vy = rate * np.cos(np.deg2rad(heading)) + ax * g, rate * np.sin(np.deg2rad(heading)) + ay * g
    speed = np.hypot(vx, vy)
    turned = np.where(speed > 0, np.rad2deg(np.arctan2(vy, vx)) % 360.0, heading)
    return x + 0.5 * ax * g * g, y + 0.5 * ay * g * g, turned, speed * runs


def _on_course(scene: Scene, item: SceneObject, travel: Floats) -> tuple[Floats, Floats, Floats]:
    """Position and heading after so many px along the line, the orbit or the bounces."""
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


def _along_path(item: SceneObject, t_s: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    t, x, y = np.array(item.path).T
    t = t * 1e-6
    vx, vy = np.diff(x) / np.diff(t), np.diff(y) / np.diff(t)
    speed, heading = np.hypot(vx, vy), np.rad2deg(np.arctan2(vy, vx)) % 360.0
    moving = np.flatnonzero(speed > 0)
    # A leg at rest keeps the heading of the last one that moves, or of the first.
    last = np.searchsorted(moving, np.arange(speed.size), side="right") - 1
    heading = heading[moving[np.maximum(last, 0)]] if moving.size else np.zeros(speed.size)
    leg = np.clip(np.searchsorted(t, t_s, side="right") - 1, 0, speed.size - 1)
    on_the_way = (t_s >= t[0]) & (t_s < t[-1])
    return np.interp(t_s, t, x), np.interp(t_s, t, y), heading[leg], np.where(on_the_way, speed[leg], 0.0)


def segments(scene: Scene) -> Segments:
    """The paths of all objects while they are there; objects at rest have none."""
    parts = []
    for number, item in enumerate(scene.objects):
        corners = _corner_times(scene, item)
        if corners.size < 2:
            continue
        x, y, _, _ = motion(scene, item, corners)
        span = np.diff(corners)
        index = np.full(span.size, number, np.intp)
        pieces = Segments(index, corners[:-1], span, x[:-1], y[:-1], np.diff(x) / span, np.diff(y) / span)
        parts.append(pieces.take(np.hypot(pieces.vx, pieces.vy) > _REST_PX_S) if varies(item) else pieces)
    if not parts:
        none = np.empty(0)
        return Segments(np.empty(0, np.intp), none, none, none, none, none, none)
    names = Segments.__dataclass_fields__
    return Segments(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


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
        x, y, heading, speed = motion(scene, item, np.asarray(t_us * 1e-6, np.float64))
        inside = (x >= -0.5) & (x < scene.width - 0.5) & (y >= -0.5) & (y < scene.height - 0.5)
        n = int(inside.sum())
        number, radius = np.full(n, float(item.id)), np.full(n, item.radius_px)
        values = (t_us[inside], number, x[inside], y[inside], speed[inside], heading[inside], radius)
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
    if stop <= start or not moves(item):
        return np.empty(0)
    if varies(item):
        return _corners_of_varied(scene, item, start, stop)
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


def _corners_of_varied(scene: Scene, item: SceneObject, start: float, stop: float) -> Floats:
    """Times between which the chord stays within _SAG_PX of the path, in place and in time; kinks among them."""
    steps = int(np.clip((stop - start) / _LOOK_S, 1_000, 50_000))
    t = np.linspace(start, stop, steps + 1)
    x, y, _, _ = motion(scene, item, t)
    bend = np.hypot(np.diff(x, 2), np.diff(y, 2))
    # A chord over h departs by a h^2 / 8 from a path with acceleration a; a is bend / step^2.
    density = np.sqrt(np.concatenate((bend[:1], bend, bend[-1:])) / (8 * _SAG_PX))
    count = np.concatenate(([0.0], np.cumsum((density[1:] + density[:-1]) / 2)))
    inner = np.interp(np.arange(1, np.ceil(count[-1])), count, t)
    kinks = [t_us * 1e-6 for t_us, *_ in item.path]
    if item.motion is not None:
        kinks += item.motion.kinks(item.start_us * 1e-6, item.speed_px_s)
        kinks += _walls(scene, item, t) if item.bounce else []
    times = np.unique(np.concatenate(([start, stop], inner, kinks)))
    times = times[(times >= start) & (times <= stop)]
    return times[np.concatenate(([True], np.diff(times) > 1e-9))]


def _walls(scene: Scene, item: SceneObject, t: Floats) -> list[float]:
    """When an object of varied speed meets the walls, by bisection between the times t."""
    x0, y0, x1, y1 = centre_box(scene, item)
    heading = np.deg2rad(item.heading_deg)
    found: list[float] = []
    for first, along, low, high in ((item.x_px, np.cos(heading), x0, x1), (item.y_px, np.sin(heading), y0, y1)):
        cells = _cells(item, t, first - low, along, high - low)
        crossed = np.flatnonzero(np.diff(cells))
        before, after, of = t[crossed], t[crossed + 1], cells[crossed]
        for _ in range(40):
            middle = (before + after) / 2
            same = _cells(item, middle, first - low, along, high - low) == of
            before, after = np.where(same, middle, before), np.where(same, after, middle)
        found += after.tolist()
    return found


def _cells(item: SceneObject, t: Floats, first: float, along: float, span: float) -> Floats:
    """Which copy of the box the unfolded path is in."""
    assert item.motion is not None
    g, _ = item.motion.clock(t, item.start_us * 1e-6)
    cells: Floats = np.floor((first + along * item.motion.travel(g, item.speed_px_s)[0]) / span)
    return cells


def moves(item: SceneObject) -> bool:
    return bool(item.path or item.speed_px_s or item.motion)


def varies(item: SceneObject) -> bool:
    """Its speed is not the same all the time."""
    return bool(item.path or item.motion)
