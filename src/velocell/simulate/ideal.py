"""The ideal pixel: motion -> events, in closed form.

The log intensity that an object adds to a pixel is contrast * c, where c = clip((R - d)/e + 1/2, 0, 1)
falls from 1 to 0 over the edge's width e around the outline; d is the distance to the object's centre
in the object's own metric (`shapes`). A pixel has a random phase u in (0, 1) for each object and
emits one event whenever contrast * c crosses a level k + u, k = 0, 1, ...: ON when it rises, OFF when
it falls. The set of points with contrast * c above a level is convex and of the object's own shape,
of size d_l = R - e (level/contrast - 1/2), so that a straight path crosses it at two known times.

Rejected: sampling the intensity in small steps (needs 0.01 px to get the order of events right, 100
times slower), and thresholds that follow the last event (hysteresis; the count per crossing would
depend on the history of the pixel).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from velocell.data.arrays import Floats
from velocell.simulate.objects import Flicker, SceneObject
from velocell.simulate.paths import Segments, segments
from velocell.simulate.scene import Scene
from velocell.simulate.shapes import SHAPES, Shape

_BLOCK_PIXELS = 1 << 20

# Times in microseconds (float), flat pixel indices, polarities.
Events = tuple[Floats, NDArray[np.int64], NDArray[np.bool_]]


def ideal_events(scene: Scene, rng: np.random.Generator) -> Events:
    """The events of the objects and patches of a scene, in no order."""
    gain = _pixel_gain(scene, rng)
    salts = rng.integers(0, 2**63, len(scene.objects) + len(scene.flicker), dtype=np.uint64)
    parts = list(_object_events(scene, gain, salts))
    for patch, salt in zip(scene.flicker, salts[len(scene.objects) :], strict=True):
        parts.append(_flicker_events(scene, patch, gain, salt, rng.random()))
    t, pixel, on = join(parts)
    seen = ~_hidden(scene, pixel)
    return t[seen], pixel[seen], on[seen]


# --- moving objects -------------------------------------------------------------------------------


def _object_events(scene: Scene, gain: Floats | None, salts: NDArray[np.uint64]) -> Iterator[Events]:
    paths = segments(scene)
    shapes = np.array([item.shape for item in scene.objects])
    for name, shape in SHAPES.items():
        if not len(shapes):
            return
        of_shape = paths.take(shapes[paths.item] == name)
        for block, (number, x, y) in _swaths(scene, of_shape):
            yield from _crossings(scene, block, number, x, y, shape, gain, salts)


def _crossings(
    scene: Scene,
    block: Segments,
    number: NDArray[np.intp],
    x: NDArray[np.int64],
    y: NDArray[np.int64],
    shape: Shape,
    gain: Floats | None,
    salts: NDArray[np.uint64],
) -> Iterator[Events]:
    """Events of pixels (x, y), each seen from segment `number` of the block."""
    item = block.item[number]
    pixel = y * scene.width + x
    contrast = _per_object(scene, "contrast")[item]
    if gain is not None:
        contrast = contrast * gain[pixel]
    radius, edge = _per_object(scene, "radius_px")[item], _per_object(scene, "edge_px")[item]
    dark = np.array([o.dark for o in scene.objects])[item]
    normal = np.deg2rad(_per_object(scene, "heading_deg"))[item]
    phase = _phases(salts[item], pixel)
    (qx, qy), (vx, vy) = _squeezed(
        scene, item, (x - block.x0[number], y - block.y0[number]), (block.vx[number], block.vy[number])
    )
    span, start = block.span_s[number], block.start_s[number]
    for k in range(int(np.ceil(contrast.max(initial=0.0)))):
        level = k + phase
        reached = level < contrast
        with np.errstate(divide="ignore", invalid="ignore"):
            size = radius - edge * (level / contrast - 0.5)
            times = shape.crossing(qx, qy, vx, vy, size, radius, normal)
        for rising, t in zip((True, False), times, strict=True):
            keep = np.flatnonzero(reached & (t >= 0) & (t < span))
            yield (start[keep] + t[keep]) * 1e6, pixel[keep], dark[keep] != rising


def _squeezed(scene: Scene, item: NDArray[np.intp], *vectors: tuple[Floats, Floats]) -> list[tuple[Floats, Floats]]:
    """Vectors in the axes of each pixel's object, where its ellipse is a disk; unchanged without ellipses."""
    aspect = _per_object(scene, "aspect")
    if (aspect == 1).all():
        return list(vectors)
    axis = np.deg2rad(_per_object(scene, "axis_deg"))[item]
    c, s, short = np.cos(axis), np.sin(axis), aspect[item]
    round_ = short == 1
    squeezed = []
    for a, b in vectors:
        squeezed.append((np.where(round_, a, a * c + b * s), np.where(round_, b, (b * c - a * s) / short)))
    return squeezed


# --- which pixels -----------------------------------------------------------------------------------


def _reach(item: SceneObject, scene: Scene) -> float:
    """Distance from the centre beyond which a pixel sees nothing of the object, px."""
    outline, reach = item.radius_px + item.edge_px / 2, SHAPES[item.shape].reach
    return outline * reach if math.isfinite(reach) else outline + 2.0 * (scene.width + scene.height)


def _swaths(
    scene: Scene, paths: Segments
) -> Iterator[tuple[Segments, tuple[NDArray[np.intp], NDArray[np.int64], NDArray[np.int64]]]]:
    """Blocks of segments with the pixels that each may touch: (segment in the block, x, y).

    The swath of a steep segment is walked row by row, that of a flat one column by column, so that a
    slanted path costs no more than a level one.
    """
    reach = np.array([_reach(item, scene) for item in scene.objects])[paths.item]
    steep = np.abs(paths.vy) > np.abs(paths.vx)
    for is_steep in (False, True):
        chosen = np.flatnonzero(steep == is_steep)
        part, r = paths.take(steep == is_steep), reach[chosen]
        main, side = (scene.height, scene.width) if is_steep else (scene.width, scene.height)
        travel = np.hypot(part.vx, part.vy) * part.span_s
        estimate = np.minimum(travel + 2 * r, main) * np.minimum(3 * r, side) + 1
        block_of = (np.cumsum(estimate) // _BLOCK_PIXELS).astype(np.int64)
        edges = np.flatnonzero(np.diff(block_of, prepend=-1, append=-1))
        for first, last in pairwise(edges):
            block = part.take(slice(int(first), int(last)))
            a0, b0, va, vb = (
                (block.y0, block.x0, block.vy, block.vx) if is_steep else (block.x0, block.y0, block.vx, block.vy)
            )
            number, a, b = _walk(a0, b0, va, vb, block.span_s, r[first:last], main, side)
            yield block, ((number, b, a) if is_steep else (number, a, b))


def _walk(
    a0: Floats, b0: Floats, va: Floats, vb: Floats, span: Floats, reach: Floats, main: int, side: int
) -> tuple[NDArray[np.intp], NDArray[np.int64], NDArray[np.int64]]:
    """Pixels (segment, a, b) within `reach` of segments that run mainly along a, clipped to [0, main) x [0, side)."""
    a1, b1 = a0 + va * span, b0 + vb * span
    low = np.maximum(np.ceil(np.minimum(a0, a1) - reach), 0).astype(np.int64)
    high = np.minimum(np.floor(np.maximum(a0, a1) + reach), main - 1).astype(np.int64)
    number, a = _ranges(low, high)
    slope, speed = (vb / va)[number], np.hypot(va, vb)
    half = (reach * speed / np.abs(va))[number]
    centre = b0[number] + (a - a0[number]) * slope
    floor_b, top_b = (np.minimum(b0, b1) - reach)[number], (np.maximum(b0, b1) + reach)[number]
    low = np.maximum(np.ceil(np.maximum(centre - half, floor_b)), 0).astype(np.int64)
    high = np.minimum(np.floor(np.minimum(centre + half, top_b)), side - 1).astype(np.int64)
    line, b = _ranges(low, high)
    return number[line], a[line], b


def _ranges(low: NDArray[np.int64], high: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """All integers of the closed ranges, with the index of the range that each comes from."""
    count = np.maximum(high - low + 1, 0)
    index = np.repeat(np.arange(low.size), count)
    before = np.cumsum(count) - count
    return index, np.arange(index.size, dtype=np.int64) - before[index] + low[index]


# --- pixels ---------------------------------------------------------------------------------------


def _per_object(scene: Scene, name: str) -> Floats:
    return np.array([getattr(item, name) for item in scene.objects], np.float64)


def _pixel_gain(scene: Scene, rng: np.random.Generator) -> Floats | None:
    """Relative contrast of each pixel (H * W,); a pixel never drops below a tenth of the mean."""
    if not scene.threshold_mismatch:
        return None
    return np.maximum(rng.normal(1.0, scene.threshold_mismatch, scene.width * scene.height), 0.1)


def _phases(salt: NDArray[np.uint64] | np.uint64, pixel: NDArray[np.int64]) -> Floats:
    """A uniform number in (0, 1) for each object and pixel, the same on every segment of the path.

    A hash (splitmix64) in place of a table: objects touch few pixels of the sensor.
    """
    z = pixel.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + salt
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return ((z >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def _flicker_events(scene: Scene, patch: Flicker, gain: Floats | None, salt: np.uint64, start: float) -> Events:
    """Level crossings of contrast * c * (1 - cos(2 pi (f t + start))) / 2."""
    reach = patch.radius_px + patch.edge_px / 2
    columns = np.arange(max(np.ceil(patch.x_px - reach), 0), min(patch.x_px + reach, scene.width - 1) + 1e-9)
    rows = np.arange(max(np.ceil(patch.y_px - reach), 0), min(patch.y_px + reach, scene.height - 1) + 1e-9)
    y, x = (axis.ravel() for axis in np.meshgrid(rows, columns, indexing="ij"))
    radius = np.full(x.shape, patch.radius_px)
    distance = SHAPES[patch.shape].distance(x - patch.x_px, y - patch.y_px, radius, np.zeros(x.shape))
    pixel = (y * scene.width + x).astype(np.int64)
    swing = patch.contrast * np.clip((patch.radius_px - distance) / patch.edge_px + 0.5, 0, 1)
    if gain is not None:
        swing = swing * gain[pixel]
    phase = _phases(salt, pixel)
    period_us = 1e6 / patch.frequency_hz
    periods = np.arange(-1, np.ceil(scene.duration_us / period_us) + 1)
    parts = []
    for k in range(int(np.ceil(swing.max(initial=0.0)))):
        hit = k + phase < swing
        up = np.arccos(1 - 2 * (k + phase[hit]) / swing[hit]) / (2 * np.pi)
        for rising, share in ((True, up), (False, 1 - up)):
            t = ((periods[:, None] + share - start) * period_us).ravel()
            keep = (t >= 0) & (t < scene.duration_us)
            parts.append((t[keep], np.tile(pixel[hit], periods.size)[keep], np.full(int(keep.sum()), rising)))
    return join(parts)


def _hidden(scene: Scene, pixel: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Pixels whose centres lie behind an occluder."""
    y, x = np.divmod(pixel, scene.width)
    hidden = np.zeros(pixel.shape, np.bool_)
    for post in scene.occluders:
        hidden |= (x >= post.x0_px) & (x <= post.x1_px) & (y >= post.y0_px) & (y <= post.y1_px)
    return hidden


def join(parts: list[Events]) -> Events:
    if not parts:
        return np.empty(0), np.empty(0, np.int64), np.empty(0, np.bool_)
    t, pixel, on = (np.concatenate(column) for column in zip(*parts, strict=True))
    return t, pixel, on
