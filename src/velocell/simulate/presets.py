"""Whole scenes: the notebook's three disks, and disks at random."""

from __future__ import annotations

import math

import numpy as np

from velocell.errors import SceneError
from velocell.simulate.objects import SceneObject
from velocell.simulate.scene import Scene

Range = float | tuple[float, float]


def notebook_scene(seed: int = 0) -> Scene:
    """The notebook's recording, simulated: 50x50 px, 500 ms, three disks of 10 px on their own rows
    at 31.25, 125 and 250 px/s, bouncing at the borders, six events per edge crossing, a little noise."""
    starts = ((9.75, 9.5, 31.25), (10.125, 24.5, 125.0), (10.625, 39.5, 250.0))
    disks = tuple(
        SceneObject(id=i, x_px=x, y_px=y, radius_px=5.0, speed_px_s=speed, contrast=6.0, bounce=True)
        for i, (x, y, speed) in enumerate(starts)
    )
    return Scene(50, 50, 500_000, seed=seed, noise_hz=0.1, objects=disks)


def random_scene(
    count: int,
    *,
    width: int = 640,
    height: int = 480,
    duration_us: int = 1_000_000,
    radius: Range = 5.0,
    speeds: tuple[float, float] = (20.0, 2000.0),
    contrast: Range = 3.0,
    noise_hz: float = 0.1,
    seed: int = 0,
    separate: bool = True,
    gap_px: float = 4.0,
) -> Scene:
    """`count` bouncing disks at random places in random directions.

    radius (px) and contrast: one value, or (min, max), uniform and log-uniform in between.
    speeds: (min, max) in px/s, log-uniform. separate: each disk keeps to its own cell of a grid, outlines at
    least `gap_px` apart; else they cross freely. Raises SceneError where the disks do not fit: a cell
    must leave a disk room of four radii.
    """
    if count < 0:
        raise SceneError(f"count is {count}; it must be 0 or more")
    rng = np.random.default_rng(seed)
    radii = rng.uniform(*_span(radius, "radius"), count)
    speed = _log_uniform(rng, _span(speeds, "speeds"), count)
    contrasts = _log_uniform(rng, _span(contrast, "contrast"), count)
    heading = rng.uniform(0, 360, count)
    largest = float(radii.max(initial=0.0))
    if separate:
        boxes = _cells(count, width, height, largest, gap_px, rng)
    else:
        if count and min(width, height) < 4 * largest:
            raise SceneError(
                f"a disk of radius {largest:g} px has no room on a {width}x{height} sensor; make it smaller"
            )
        boxes = np.tile([-0.5, -0.5, width - 0.5, height - 0.5], (count, 1))
    disks = []
    for i in range(count):
        x0, y0, x1, y1 = (float(v) for v in boxes[i])
        r = float(radii[i])
        disks.append(
            SceneObject(
                id=i,
                x_px=float(rng.uniform(x0 + r, x1 - r)),
                y_px=float(rng.uniform(y0 + r, y1 - r)),
                radius_px=r,
                speed_px_s=float(speed[i]),
                heading_deg=float(heading[i]),
                contrast=float(contrasts[i]),
                bounce=True,
                bounds=(x0, y0, x1, y1),
            )
        )
    return Scene(width, height, duration_us, seed=seed, noise_hz=noise_hz, objects=tuple(disks))


def _span(value: Range, name: str) -> tuple[float, float]:
    low, high = value if isinstance(value, tuple | list) else (value, value)
    if not 0 < low <= high < math.inf:
        raise SceneError(f"{name} is {value}; give a number above 0 or (min, max) with min <= max")
    return float(low), float(high)


def _log_uniform(rng: np.random.Generator, span: tuple[float, float], count: int) -> np.ndarray:
    return np.asarray(np.exp(rng.uniform(np.log(span[0]), np.log(span[1]), count)))


def _cells(count: int, width: int, height: int, radius: float, gap: float, rng: np.random.Generator) -> np.ndarray:
    """Boxes (count, 4) of the grid with the largest smaller side, in random order, `gap` apart."""
    if not count:
        return np.empty((0, 4))
    columns = max(range(1, count + 1), key=lambda n: min(width / n, height / math.ceil(count / n)))
    rows = math.ceil(count / columns)
    w, h = width / columns, height / rows
    if min(w, h) - gap < 4 * radius:
        raise SceneError(
            f"{count} separate disks of radius {radius:g} px do not fit on a {width}x{height} sensor; "
            "use fewer or smaller disks, a larger sensor, or separate=False"
        )
    chosen = rng.permutation(columns * rows)[:count]
    x0, y0 = (chosen % columns) * w - 0.5 + gap / 2, (chosen // columns) * h - 0.5 + gap / 2
    return np.stack([x0, y0, x0 + w - gap, y0 + h - gap], axis=1)
