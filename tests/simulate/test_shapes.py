"""The table of shapes: a row is all that a new one needs, and the rows hold what they say."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from velocell.errors import SceneError
from velocell.simulate import Flicker, Scene, SceneObject, simulate
from velocell.simulate.shapes import SHAPES, Shape

Floats = NDArray[np.float64]


def diamond_distance(dx: Floats, dy: Floats, radius: Floats, normal: Floats) -> Floats:
    return np.abs(dx) + np.abs(dy)


def diamond_crossing(
    qx: Floats, qy: Floats, vx: Floats, vy: Floats, size: Floats, radius: Floats, normal: Floats
) -> tuple[Floats, Floats]:
    """A diamond is a square in the axes x + y, x - y."""
    return SHAPES["square"].crossing(qx + qy, qx - qy, vx + vy, vx - vy, size, radius, normal)


def test_a_new_shape_needs_one_row_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SHAPES, "diamond", Shape(diamond_distance, diamond_crossing))
    item = SceneObject(shape="diamond", x_px=15.2, y_px=30.4, radius_px=8, speed_px_s=200, heading_deg=10, contrast=2)
    recording, truth = simulate(Scene(80, 80, 200_000, objects=(item,), flicker=(Flicker(60, 70, 5, "diamond"),)))
    moved = recording.mask(recording.y < 60)
    travel = moved.t_us * 200e-6
    x, y = 15.2 + travel * np.cos(np.deg2rad(10)), 30.4 + travel * np.sin(np.deg2rad(10))
    assert np.abs(np.abs(moved.x - x) + np.abs(moved.y - y) - 8).max() < 0.55  # half the ramp, and rounding
    assert len(moved) == pytest.approx(2 * 2 * 8 * 2 * 200 * np.cos(np.deg2rad(10)) * 0.2, rel=0.03)
    patch = recording.mask(recording.y >= 60)
    assert (np.abs(patch.x - 60.0) + np.abs(patch.y - 70.0)).max() == 5
    assert set(truth.radius_px) == {8.0}
    with pytest.raises(SceneError, match="use one of disk, square, bar, edge, diamond"):
        SceneObject(shape="cat")
    with pytest.raises(SceneError, match="use disk or square or diamond"):
        Flicker(1, 1, shape="bar")


@pytest.mark.parametrize("name", SHAPES)
def test_crossing_and_distance_of_a_row_agree(name: str) -> None:
    """At the times of a crossing the distance is the size asked for, and a little later it is on the other side."""
    rng = np.random.default_rng(5)
    shape, n = SHAPES[name], 2_000
    qx, qy, vx, vy = rng.normal(0, 30, (4, n))
    radius, normal = np.full(n, 6.0), rng.uniform(0, 6, n)
    size = radius + rng.uniform(-1, 1, n)
    with np.errstate(invalid="ignore"):
        both = shape.crossing(qx, qy, vx, vy, size, radius, normal)
    for side, times in zip((-1, 1), both, strict=True):
        hit = np.flatnonzero(np.isfinite(times))
        assert hit.size > n / 10
        for later in (0.0, 1e-6):
            t = times[hit] + later
            d = shape.distance(qx[hit] - vx[hit] * t, qy[hit] - vy[hit] * t, radius[hit], normal[hit])
            if not later:
                assert np.abs(d - size[hit]).max() < 1e-6
        assert (np.sign(d - size[hit]) == side).mean() > 0.99
