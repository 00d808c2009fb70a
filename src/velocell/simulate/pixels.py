"""Real pixels: light -> events.

Only pixels that see a change are followed closely. An object is looked at whenever it has moved by _STEP_PX; at each
of these times the pixels along its outline (of a ball: all of it) get a sample of ln(light). Between its samples a
pixel's light is straight, and constant away from every outline. A trembling camera reaches all pixels: whole frames,
at times of their own. A lamp is the same for all: times and values. `_native.simulate_pixels` then runs each pixel
through what it sees (the equations: `sensor`). Bands of rows keep the samples within memory.

Rejected: whole frames at a fixed rate (640x480 with a disk at 2000 px/s needs 8000 frames a second to move by .25 px).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from velocell.data.arrays import Floats
from velocell.simulate.checks import check
from velocell.simulate.ideal import Events, join
from velocell.simulate.light import SHAKE_RATIO, Picture
from velocell.simulate.objects import Flicker, SceneObject
from velocell.simulate.paths import lifetime_s, motion
from velocell.simulate.scene import Scene
from velocell.simulate.sensor import Pixel
from velocell.simulate.shapes import SHAPES

# An outline moves at most this far between two looks.
_STEP_PX = 0.25
# A period of a lamp or of a patch has this many samples.
_PER_PERIOD = 16
# The speed of an object is integrated on a grid of at least this many points, no wider than this.
_POINTS, _POINT_S, _MOST_POINTS = 200, 2e-4, 100_000
_MOST_LOOKS = 4_000_000
# Candidates looked at in one go, and samples of one band of rows.
_BLOCK, _BAND_SAMPLES = 1 << 20, 4 << 20
# So many values of a whole frame take the memory of one sample.
_FRAMES_WEIGH = 4
# The noise's rate is that of this illuminance; it changes with the light by this factor at most.
_NOISE_LUX, _NOISE_FACTOR = 300.0, 4.0
_HOTTEST_HZ = 5_000.0
# Mismatch leaves a pixel at least this share of the threshold.
_LEAST_THRESHOLD = 0.2
# Objects near to one another are looked for in slices of time.
_SLICE_S = 0.01
# Places of the random streams; a stream does not depend on what others draw.
_THRESHOLDS, _LEAK, _OFFSET, _SPEED, _SHOT, _HOT, _JITTER = range(7)

Samples = tuple[NDArray[np.int32], Floats, NDArray[np.float32]]


def pixel_events(scene: Scene, pixel: Pixel) -> Events:
    """The events of all pixels, noise included, in no order."""
    picture = Picture(scene, pixel)
    looks = _all_looks(picture)
    boxes = _Boxes.of(picture, looks)
    frames = _frame_times(scene)
    pixels = _Pixels.of(scene, pixel)
    size = sum(look.size for look in looks) + frames.size * scene.width * scene.height // _FRAMES_WEIGH
    parts, start = [], []
    for y0, y1 in _bands(scene, size):
        start.append(picture.frame(0.0, y0, y1))
        columns = [_NOTHING, *_samples(picture, looks, boxes, y0, y1)]
        sampled, t, level = (np.concatenate(column) for column in zip(*columns, strict=True))
        levels = np.empty((frames.size, start[-1].size), np.float32)
        for number, when in enumerate(frames):
            levels[number] = picture.frame(float(when), y0, y1)
        parts.append(_band_events(picture, pixels, y0 * scene.width, start[-1], (sampled, t, level), (frames, levels)))
    parts.append(_shot_noise(scene, pixel, np.exp(np.concatenate(start))))
    parts.append(_hot_pixels(scene, pixel))
    t_us, where, on = join(parts)
    if pixel.jitter_us:
        t_us = t_us + _stream(scene, _JITTER).normal(0.0, pixel.jitter_us, t_us.size)
    in_time = (t_us >= 0) & (t_us < scene.duration_us)
    return t_us[in_time], where[in_time], on[in_time]


def _band_events(
    picture: Picture,
    pixels: _Pixels,
    first: int,
    start: Floats,
    samples: Samples,
    frames: tuple[Floats, NDArray[np.float32]],
) -> Events:
    """The events of the pixels from `first` on that start with ln(light) = `start`."""
    from velocell._native import simulate_pixels  # not with `import velocell`

    scene, pixel = picture.scene, picture.pixel
    lamp = _lamp_times(scene)
    band = slice(first, first + start.size)
    t_s, where, on = simulate_pixels(
        cutoff_per_lux=2 * math.pi * pixel.cutoff_hz_per_lux,
        cutoff_most=2 * math.pi * pixel.cutoff_hz,
        follower_on=2 * math.pi * pixel.follower_on_hz,
        follower_off=2 * math.pi * pixel.follower_off_hz,
        refractory=pixel.refractory_us * 1e-6,
        duration=scene.duration_us * 1e-6,
        start=start.astype(np.float32),
        threshold_on=pixels.threshold_on[band],
        threshold_off=pixels.threshold_off[band],
        leak=pixels.leak[band],
        offset=pixels.offset[band],
        speed=pixels.speed[band],
        pixel=samples[0],
        t=samples[1],
        level=samples[2],
        frame_t=frames[0],
        frame_level=frames[1],
        lamp_t=lamp,
        lamp_level=picture.lamp(lamp),
    )
    return t_s * 1e6, where.astype(np.int64) + first, on


def _stream(scene: Scene, place: int) -> np.random.Generator:
    return np.random.default_rng([scene.seed, place])


_NOTHING: Samples = (np.empty(0, np.int32), np.empty(0), np.empty(0, np.float32))


# --- what a pixel sees --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Looks:
    """When an object is looked at (s), where it is then (px), and which offsets from there are sampled."""

    number: int
    t: Floats
    x: Floats
    y: Floats
    offset_x: NDArray[np.int64]
    offset_y: NDArray[np.int64]
    whole: bool

    @property
    def size(self) -> int:
        return self.t.size * self.offset_x.size

    @staticmethod
    def at(picture: Picture, number: int, t: Floats, *, whole: bool) -> _Looks:
        """Along the outline, or of the whole object."""
        scene, item = picture.scene, picture.scene.objects[number]
        x, y, _, _ = motion(scene, item, t)
        x, y = _level_with_the_sensor(scene, item, x, y)
        sx, sy = picture.shake(t)
        size = math.ceil(_reach(picture, item))
        offset_y, offset_x = (axis.ravel() for axis in np.mgrid[-size : size + 1, -size : size + 1])
        depth = picture.depth(item, offset_x.astype(np.float64), offset_y.astype(np.float64))
        # The centre lies up to .71 px beside the pixel that the offsets count from.
        slack = 0.71 / item.aspect
        near = (depth >= _outside(picture, item) - slack) & (whole | (depth <= _inside(picture, item) + slack))
        return _Looks(number, t, x + sx, y + sy, offset_x[near], offset_y[near], whole)


def _outside(picture: Picture, item: SceneObject) -> float:
    """Depths from here to `_inside` are sampled: the blurred outline and a step on both sides."""
    return -picture.blur(item.edge_px) - _STEP_PX / item.aspect


def _inside(picture: Picture, item: SceneObject) -> float:
    return -_outside(picture, item)


def _reach(picture: Picture, item: SceneObject) -> float:
    """No sample lies farther from an object's centre."""
    reach = picture.reach(item) + 1.5
    return reach if math.isfinite(reach) else item.radius_px + 2.0 * (picture.scene.width + picture.scene.height)


def _all_looks(picture: Picture) -> list[_Looks]:
    looks = []
    duration = picture.scene.duration_us * 1e-6
    for number, item in enumerate(picture.scene.objects):
        looks.append(_Looks.at(picture, number, _look_times(picture, item), whole=item.profile != "flat"))
        # Appearing and vanishing: the last microsecond before and the time itself.
        jumps = [edge for edge in lifetime_s(picture.scene, item) if 0 < edge < duration]
        if jumps:
            times = np.array([time for edge in jumps for time in (edge - 1e-6, edge)])
            looks.append(_Looks.at(picture, number, times, whole=True))
    return looks


def _level_with_the_sensor(scene: Scene, item: SceneObject, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """A shape without ends looks the same from every point along it: the one closest to the sensor's middle."""
    if SHAPES[item.shape].closed:
        return x, y
    nx, ny = math.cos(math.radians(item.heading_deg)), math.sin(math.radians(item.heading_deg))
    middle_x, middle_y = (scene.width - 1) / 2, (scene.height - 1) / 2
    ahead = (x - middle_x) * nx + (y - middle_y) * ny
    return middle_x + ahead * nx, middle_y + ahead * ny


def _look_times(picture: Picture, item: SceneObject) -> Floats:
    """Times (s) between which the object moves by _STEP_PX at most, with those at which its speed jumps."""
    scene = picture.scene
    begin, end = lifetime_s(scene, item)
    if end <= begin:
        return np.empty(0)
    points = int(np.clip((end - begin) / _POINT_S, _POINTS, _MOST_POINTS))
    t = np.linspace(begin, end, points + 1)
    speed = motion(scene, item, t)[3]
    travelled = np.concatenate(([0.0], np.cumsum((speed[1:] + speed[:-1]) / 2 * np.diff(t))))
    travelled += _shake_speed(scene) * (t - begin)
    check(
        travelled[-1] < _MOST_LOOKS * _STEP_PX,
        f"object {item.id} travels {travelled[-1]:g} px in this scene, too far for a sensor that sees light; "
        "slow it down, shorten the scene or use the ideal pixel",
    )
    steps = np.interp(np.arange(0.0, travelled[-1] + _STEP_PX, _STEP_PX), travelled, t)
    jumps = [1e-6 * when for when, *_ in item.path]
    if item.motion is not None:
        jumps += item.motion.kinks(begin, item.speed_px_s)
    times = np.unique(np.concatenate((steps, jumps, [begin, end])))
    return times[(times >= begin) & ((times < end) | (end >= scene.duration_us * 1e-6)) & (times <= end)]


def _shake_speed(scene: Scene) -> float:
    """Largest speed of a trembling camera's picture, px/s."""
    return 2 * math.pi * scene.vibration_hz * scene.vibration_px * math.hypot(1.0, SHAKE_RATIO)


def _frame_times(scene: Scene) -> Floats:
    """When all pixels are sampled: a trembling camera moves the background under all of them."""
    if not scene.vibration_px or (scene.background == "flat" and not scene.occluders):
        return np.empty(0)
    sharp = _STEP_PX if scene.occluders else 2 * _STEP_PX
    step = min(sharp / _shake_speed(scene), 1 / (scene.vibration_hz * SHAKE_RATIO * _PER_PERIOD))
    return _grid(scene, step)


def _lamp_times(scene: Scene) -> Floats:
    return _grid(scene, 1 / (scene.lamp_hz * _PER_PERIOD)) if scene.lamp_depth else np.empty(0)


def _grid(scene: Scene, step_s: float) -> Floats:
    duration = scene.duration_us * 1e-6
    check(
        duration < _MOST_LOOKS * step_s,
        f"a scene of {duration:g} s is too long for changes that need steps of {step_s:g} s; "
        "shorten it or slow them down",
    )
    return np.linspace(0.0, duration, math.ceil(duration / step_s) + 1)


def _bands(scene: Scene, samples: int) -> list[tuple[int, int]]:
    """Rows [y0, y1) that have about _BAND_SAMPLES samples."""
    count = max(min(math.ceil(samples / _BAND_SAMPLES), scene.height), 1)
    edges = np.linspace(0, scene.height, count + 1).round().astype(int)
    return [(int(y0), int(y1)) for y0, y1 in pairwise(edges)]


def _samples(picture: Picture, looks: list[_Looks], boxes: _Boxes, y0: int, y1: int) -> Iterator[Samples]:
    """(pixel in the band, t, ln(light)) of the rows [y0, y1)."""
    for look in looks:
        size = np.abs(look.offset_y).max(initial=0) + 1
        rows = np.flatnonzero((look.y > y0 - size) & (look.y < y1 + size))
        for block in np.array_split(rows, max(math.ceil(rows.size * look.offset_x.size / _BLOCK), 1)):
            if block.size:
                yield _object_samples(picture, look, block, boxes, y0, y1)
    for patch in picture.scene.flicker:
        yield from _patch_samples(picture, patch, y0, y1)


def _patch_samples(picture: Picture, patch: Flicker, y0: int, y1: int) -> Iterator[Samples]:
    scene = picture.scene
    reach = patch.radius_px * SHAPES[patch.shape].reach + picture.blur(patch.edge_px) + scene.vibration_px
    columns = np.arange(max(math.floor(patch.x_px - reach), 0), min(math.ceil(patch.x_px + reach) + 1, scene.width))
    rows = np.arange(max(math.floor(patch.y_px - reach), y0), min(math.ceil(patch.y_px + reach) + 1, y1))
    y, x = (axis.ravel() for axis in np.meshgrid(rows, columns, indexing="ij"))
    times = _grid(scene, 1 / (patch.frequency_hz * _PER_PERIOD))
    for t in np.array_split(times, max(math.ceil(times.size * x.size / _BLOCK), 1)):
        which, place = (axis.ravel() for axis in np.indices((t.size, x.size)))
        level = picture.ln_light(t, which, x[place], y[place], list(range(len(scene.objects))))
        pixel = ((y - y0) * scene.width + x).astype(np.int32)
        yield pixel[place], t[which], level.astype(np.float32)


def _object_samples(
    picture: Picture, look: _Looks, block: NDArray[np.intp], boxes: _Boxes, y0: int, y1: int
) -> Samples:
    scene, item = picture.scene, picture.scene.objects[look.number]
    t, at_x, at_y = look.t[block], look.x[block], look.y[block]
    x = np.rint(at_x).astype(np.int64)[:, None] + look.offset_x
    y = np.rint(at_y).astype(np.int64)[:, None] + look.offset_y
    which, place = np.nonzero((x >= 0) & (x < scene.width) & (y >= y0) & (y < y1))
    x, y = x[which, place], y[which, place]
    depth = picture.depth(item, x - at_x[which], y - at_y[which])
    seen = (depth >= _outside(picture, item)) & (look.whole | (depth <= _inside(picture, item)))
    which, x, y = which[seen], x[seen], y[seen]
    level = picture.ln_light(t, which, x, y, boxes.drawn_between(t[0], t[-1], look.number))
    return ((y - y0) * scene.width + x).astype(np.int32), t[which], level.astype(np.float32)


@dataclass(frozen=True)
class _Boxes:
    """Which objects can be seen where an object is: boxes of all objects, (n, slices) each, px."""

    low_x: Floats
    high_x: Floats
    low_y: Floats
    high_y: Floats
    slice_s: float

    @staticmethod
    def of(picture: Picture, looks: list[_Looks]) -> _Boxes:
        scene = picture.scene
        slices = math.ceil(scene.duration_us * 1e-6 / _SLICE_S)
        low, high = np.full((2, len(scene.objects), slices), np.inf), np.full((2, len(scene.objects), slices), -np.inf)
        borders = np.arange(slices, dtype=np.float64) * _SLICE_S
        for look in looks:
            item = scene.objects[look.number]
            reach = picture.reach(item) + scene.vibration_px + 1.5
            x, y, _, _ = motion(scene, item, borders)
            places = np.concatenate(((look.t / _SLICE_S).astype(int).clip(0, slices - 1), np.arange(slices)))
            for axis, values in enumerate((np.concatenate((look.x, x)), np.concatenate((look.y, y)))):
                np.minimum.at(low[axis, look.number], places, values - reach)
                np.maximum.at(high[axis, look.number], places, values + reach)
        return _Boxes(low[0], high[0], low[1], high[1], _SLICE_S)

    def drawn_between(self, begin: float, end: float, number: int) -> list[int]:
        """Objects, in their order, that may lie where object `number` is in [begin, end]."""
        last = int(end / self.slice_s) + 1
        first = min(int(begin / self.slice_s), self.low_x.shape[1] - 1)  # the scene's very end is of the last slice
        low_x, high_x = self.low_x[:, first:last].min(1), self.high_x[:, first:last].max(1)
        low_y, high_y = self.low_y[:, first:last].min(1), self.high_y[:, first:last].max(1)
        apart = (
            (low_x > high_x[number]) | (high_x < low_x[number]) | (low_y > high_y[number]) | (high_y < low_y[number])
        )
        return [int(other) for other in np.flatnonzero(~apart)]


# --- pixels and their noise -------------------------------------------------------------------------


@dataclass(frozen=True)
class _Pixels:
    """What differs from pixel to pixel, arrays (H * W,): thresholds and first offset of ln(light), leak per second,
    a factor of the cutoffs."""

    threshold_on: NDArray[np.float32]
    threshold_off: NDArray[np.float32]
    leak: NDArray[np.float32]
    offset: NDArray[np.float32]
    speed: NDArray[np.float32]

    @staticmethod
    def of(scene: Scene, pixel: Pixel) -> _Pixels:
        n = scene.width * scene.height
        spread = np.maximum(1 + pixel.mismatch * _stream(scene, _THRESHOLDS).normal(size=(2, n)), _LEAST_THRESHOLD)
        on, off = pixel.threshold_on * spread[0], pixel.threshold_off * spread[1]
        leak = pixel.leak_hz * on * _lognormal(_stream(scene, _LEAK), pixel.leak_spread, n)
        # After a long rest leak has brought a pixel anywhere to the next ON event; without leak anywhere is anywhere.
        offset = _stream(scene, _OFFSET).uniform(0.0 if pixel.leak_hz else -off, on)
        speed = np.exp(pixel.cutoff_spread * _stream(scene, _SPEED).normal(size=n))
        return _Pixels(*(values.astype(np.float32) for values in (on, off, leak, offset, speed)))


def _lognormal(rng: np.random.Generator, spread: float, n: int) -> Floats:
    """Factors of mean 1; spread: standard deviation of their logarithms."""
    factors: Floats = np.exp(spread * rng.normal(size=n) - spread * spread / 2)
    return factors


def _shot_noise(scene: Scene, pixel: Pixel, lux: Floats) -> Events:
    """Clusters of events of alternating polarity, at rates that differ widely between the pixels."""
    rng, n = _stream(scene, _SHOT), scene.width * scene.height
    if not pixel.shot_hz:
        return join([])
    dim = np.clip(np.sqrt(_NOISE_LUX / lux), 1 / _NOISE_FACTOR, _NOISE_FACTOR)
    rate = pixel.shot_hz / (1 + pixel.shot_more) * dim * _lognormal(rng, pixel.shot_spread, n)
    clusters = rng.poisson(np.minimum(rate, _HOTTEST_HZ) * scene.duration_us * 1e-6)
    where = np.repeat(np.arange(n), clusters)
    begin, on = rng.random(where.size) * scene.duration_us, rng.random(where.size) < pixel.shot_on
    length = rng.geometric(1 / (1 + pixel.shot_more), where.size)
    cluster = np.repeat(np.arange(where.size), length)
    place = np.arange(cluster.size) - (np.cumsum(length) - length)[cluster]
    gaps = np.where(place > 0, pixel.refractory_us + rng.exponential(pixel.shot_gap_us, cluster.size), 0.0)
    since = np.cumsum(gaps)
    since -= since[(np.cumsum(length) - length)[cluster]]
    return begin[cluster] + since, where[cluster], on[cluster] ^ (place % 2 == 1)


def _hot_pixels(scene: Scene, pixel: Pixel) -> Events:
    rng, n = _stream(scene, _HOT), scene.width * scene.height
    hot = np.flatnonzero(rng.random(n) < pixel.hot_share)
    rate = np.minimum(pixel.hot_hz * 10.0 ** rng.normal(size=hot.size), _HOTTEST_HZ)
    where = np.repeat(hot, rng.poisson(rate * scene.duration_us * 1e-6))
    return rng.random(where.size) * scene.duration_us, where, np.ones(where.size, np.bool_)
