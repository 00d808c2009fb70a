"""What real pixels see: ln(light) of a scene at any place and time.

Brightness is relative to the mean background; an object covers what is behind it, occluders cover objects. The pixel's
area, the lens and an object's own soft edge blur together: their variances add (a box of width w has w^2 / 12), and the
edge becomes the integral of a parabola of that variance, which is close to a Gaussian but ends (at sqrt(5) sigma).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from velocell.data.arrays import Floats
from velocell.simulate.objects import Flicker, SceneObject
from velocell.simulate.paths import lifetime_s, motion
from velocell.simulate.scene import Scene
from velocell.simulate.sensor import Pixel
from velocell.simulate.shapes import SHAPES

Ints = NDArray[np.int64]

# Camera shake along y is this much faster than along x, so that it fills a box and not a line.
SHAKE_RATIO = 1.37
# A ball: light from the sides, direction of the lamp (to the upper left and the front), size of its reflex.
_AMBIENT, _LAMP, _REFLEX = 0.35, (-0.45, -0.45, 0.771), 0.2
# Cells of the noise that a texture is made of; it repeats behind them.
_CELLS = 64
# Points a pixel at which the background is kept for whole frames; straight in between.
_FINE = 4


@dataclass(frozen=True)
class Picture:
    """The light of a scene for a pixel whose thresholds define what `contrast` means."""

    scene: Scene
    pixel: Pixel

    def ln_light(self, t_s: Floats, which: Ints, x: Ints, y: Ints, near: list[int]) -> Floats:
        """ln(lux) at pixels (x, y), each at the time t_s[which]; of the objects only `near` are drawn."""
        scene = self.scene
        sx, sy = self.shake(t_s)
        px, py = x - sx[which], y - sy[which]
        # At rest every pixel sees its own point of the background.
        bright = self.background(px, py) if scene.vibration_px else self._resting[y, x]
        for number in near:
            item = scene.objects[number]
            cx, cy, _, _ = motion(scene, item, t_s)
            self.draw(bright, item, px - cx[which], py - cy[which], self.there(item, t_s)[which])
        self._cover(bright, px, py)
        ln_patches = self._patches(t_s, which, px, py)
        ln: Floats = ln_patches + np.log(scene.light_lux * bright + self.pixel.dark_lux)
        return ln

    def frame(self, t_s: float, y0: int, y1: int) -> Floats:
        """ln(lux) of the rows [y0, y1) at a time, flat."""
        scene, at = self.scene, np.full(1, t_s)
        (sx,), (sy,) = self.shake(at)
        y, x = np.mgrid[y0:y1, : scene.width]
        px, py = x - sx, y - sy
        bright = self._still(y0, y1, float(sx), float(sy))
        for item in scene.objects:
            if not self.there(item, at):
                continue
            cx, cy = (float(v[0]) for v in motion(scene, item, at)[:2])
            reach = self.reach(item)
            box = (slice(None), slice(None))
            if math.isfinite(reach):
                box = (_around(cy + sy - y0, reach), _around(cx + sx, reach))
            self.draw(bright[box], item, px[box] - cx, py[box] - cy, True)
        self._cover(bright, px, py)
        patches = self._patches(at, np.zeros(bright.size, np.int64), px.ravel(), py.ravel())
        ln: Floats = patches + np.log(scene.light_lux * bright.ravel() + self.pixel.dark_lux)
        return ln

    def there(self, item: SceneObject, t_s: Floats) -> NDArray[np.bool_]:
        """Whether an object is there; it does not end with the scene."""
        begin, end = lifetime_s(self.scene, item)
        there: NDArray[np.bool_] = (t_s >= begin) & ((t_s < end) | (end >= self.scene.duration_us * 1e-6))
        return there

    def lamp(self, t_s: Floats) -> Floats:
        """What the lamp adds to ln(light)."""
        ln: Floats = np.log1p(self.scene.lamp_depth * np.sin(2 * math.pi * self.scene.lamp_hz * t_s))
        return ln

    def shake(self, t_s: Floats) -> tuple[Floats, Floats]:
        """How far the picture is moved, px."""
        turn = 2 * math.pi * self.scene.vibration_hz * t_s
        size = self.scene.vibration_px
        return size * np.sin(turn), size * np.sin(SHAKE_RATIO * turn)

    # --- background -------------------------------------------------------------------------------

    def background(self, x: Floats, y: Floats) -> Floats:
        scene = self.scene
        if scene.background == "flat":
            return np.ones(np.shape(x))
        spread = math.log(scene.background_ratio)
        if scene.background == "gradient":
            ln = spread * ((x + 0 * y + 0.5) / scene.width - 0.5)
        else:
            ln = spread / 2 * self._noise(x / scene.background_px, y / scene.background_px)
        bright: Floats = np.exp(ln)
        return bright

    def _still(self, y0: int, y1: int, sx: float, sy: float) -> Floats:
        """The background of rows [y0, y1), moved by (sx, sy): looked up, since trembling asks for it very often."""
        scene = self.scene
        if not scene.vibration_px:
            return self._resting[y0:y1].copy()
        fx, fy = (self._margin - sx) * _FINE, (self._margin - sy) * _FINE
        ix, iy = math.floor(fx), math.floor(fy)
        still = np.zeros((y1 - y0, scene.width))
        for down, wy in ((0, 1 - (fy - iy)), (1, fy - iy)):
            for right, wx in ((0, 1 - (fx - ix)), (1, fx - ix)):
                rows = slice(iy + down + y0 * _FINE, iy + down + (y1 - 1) * _FINE + 1, _FINE)
                columns = slice(ix + right, ix + right + (scene.width - 1) * _FINE + 1, _FINE)
                still += wx * wy * self._fine[rows, columns]
        return still

    @cached_property
    def _resting(self) -> Floats:
        y, x = np.mgrid[: self.scene.height, : self.scene.width].astype(np.float64)
        return self.background(x, y)

    @cached_property
    def _margin(self) -> int:
        return math.ceil(self.scene.vibration_px) + 1

    @cached_property
    def _fine(self) -> NDArray[np.float32]:
        """The background at _FINE points a pixel, `_margin` px beyond the sensor."""
        rows, columns = (
            np.arange((side + 2 * self._margin) * _FINE) / _FINE - self._margin
            for side in (self.scene.height, self.scene.width)
        )
        return self.background(columns[None, :], rows[:, None]).astype(np.float32)

    @cached_property
    def _lattice(self) -> Floats:
        return np.random.default_rng([self.scene.background_seed, 64]).normal(0.0, 1.0, (_CELLS, _CELLS))

    def _noise(self, x: Floats, y: Floats) -> Floats:
        """Smooth noise of standard deviation 1: the lattice, blended between its points."""
        x0, y0 = np.floor(x), np.floor(y)
        fx, fy = _smooth(x - x0), _smooth(y - y0)
        i, j = x0.astype(np.int64) % _CELLS, y0.astype(np.int64) % _CELLS
        i1, j1, n = (i + 1) % _CELLS, (j + 1) % _CELLS, self._lattice
        blended = (1 - fy) * ((1 - fx) * n[j, i] + fx * n[j, i1]) + fy * ((1 - fx) * n[j1, i] + fx * n[j1, i1])
        # The mean over a cell of the sum of the squared weights.
        weights: Floats = blended / _BLEND
        return weights

    # --- objects ----------------------------------------------------------------------------------

    def blur(self, edge_px: float) -> float:
        """From the middle of an edge to where it ends, px."""
        return math.sqrt(5 * (self.scene.lens_blur_px**2 + (edge_px**2 + 1) / 12))

    def reach(self, item: SceneObject) -> float:
        """Beyond this distance from its centre nothing of an object is seen."""
        return item.radius_px * SHAPES[item.shape].reach + self.blur(item.edge_px)

    def depth(self, item: SceneObject | Flicker, dx: Floats, dy: Floats) -> Floats:
        """How deep inside the outline, px."""
        radius = np.full(np.shape(dx), item.radius_px)
        if isinstance(item, Flicker):
            return radius - SHAPES[item.shape].distance(dx, dy, radius, np.zeros(np.shape(dx)))
        if item.aspect == 1:
            normal = np.full(np.shape(dx), math.radians(item.heading_deg))
            return radius - SHAPES[item.shape].distance(dx, dy, radius, normal)
        along, across = _turned(dx, dy, item.axis_deg)
        across = across / item.aspect
        d = np.hypot(along, across)
        # The distance in the ellipse's own metric, by its slope: px to first order.
        slope = np.hypot(along, across / item.aspect) / np.maximum(d, 1e-12)
        inside: Floats = (radius - d) / np.maximum(slope, 1.0)
        return inside

    def draw(self, bright: Floats, item: SceneObject, dx: Floats, dy: Floats, there: NDArray[np.bool_] | bool) -> None:
        """Paint an object over `bright`, dx and dy from its centre, where it is there."""
        half = self.blur(item.edge_px)
        cover = _smooth(np.clip(self.depth(item, dx, dy) / (2 * half) + 0.5, 0.0, 1.0)) * there
        look: Floats | float = self.brightness(item)
        if item.profile == "ball":
            look = look * _shade(dx / item.radius_px, dy / item.radius_px, item)
            reflex = (dx / item.radius_px - 0.7 * _LAMP[0]) ** 2 + (dy / item.radius_px - 0.7 * _LAMP[1]) ** 2
            look = look + item.highlight * np.exp(-reflex / (2 * _REFLEX**2))
        bright += cover * (look - bright)

    def brightness(self, item: SceneObject) -> float:
        if item.brightness is not None:
            return item.brightness
        unit = (self.pixel.threshold_on + self.pixel.threshold_off) / 2
        return math.exp(item.contrast * unit * (-1 if item.dark else 1))

    def _cover(self, bright: Floats, x: Floats, y: Floats) -> None:
        half = self.blur(0.0)
        for post in self.scene.occluders:
            cover = np.ones(np.shape(x))
            for depth in (x - post.x0_px, post.x1_px - x, y - post.y0_px, post.y1_px - y):
                cover = cover * _smooth(np.clip(depth / (2 * half) + 0.5, 0.0, 1.0))
            bright += cover * (post.brightness - bright)

    def _patches(self, t_s: Floats, which: Ints, x: Floats, y: Floats) -> Floats:
        """What the flickering patches add to ln(light)."""
        unit = (self.pixel.threshold_on + self.pixel.threshold_off) / 2
        ln = np.zeros(np.shape(which))
        for patch in self.scene.flicker:
            depth = self.depth(patch, x - patch.x_px, y - patch.y_px)
            cover = _smooth(np.clip(depth / (2 * self.blur(patch.edge_px)) + 0.5, 0.0, 1.0))
            swing = (1 - np.cos(2 * math.pi * patch.frequency_hz * t_s)) / 2
            ln += patch.contrast * unit * cover * swing[which]
        return ln


def _around(centre: float, reach: float) -> slice:
    return slice(max(math.floor(centre - reach), 0), max(math.ceil(centre + reach) + 1, 0))


def _smooth(u: Floats) -> Floats:
    """0 to 1, the integral of a parabola: variance of the step 1/20."""
    smooth: Floats = u * u * (3.0 - 2.0 * u)
    return smooth


# Root mean square over a cell of the weights that `_noise` blends with: (mean of f^2 + (1 - f)^2).
_BLEND = float(np.mean([_f**2 + (1 - _f) ** 2 for _f in _smooth((np.arange(1000) + 0.5) / 1000)]))


def _turned(dx: Floats, dy: Floats, axis_deg: float) -> tuple[Floats, Floats]:
    c, s = math.cos(math.radians(axis_deg)), math.sin(math.radians(axis_deg))
    return dx * c + dy * s, dy * c - dx * s


def _shade(u: Floats, v: Floats, item: SceneObject) -> Floats:
    """Lambert's law on a sphere of radius 1 (an ellipsoid's shade is that of the sphere it is pressed from)."""
    along, across = _turned(u, v, item.axis_deg)
    front = np.sqrt(np.maximum(1.0 - along**2 - (across / item.aspect) ** 2, 0.0))
    lit = np.maximum(u * _LAMP[0] + v * _LAMP[1] + front * _LAMP[2], 0.0)
    shade: Floats = _AMBIENT + (1 - _AMBIENT) * lit
    return shade
