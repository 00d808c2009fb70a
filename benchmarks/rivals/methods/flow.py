"""Normal flow by planes fitted to the surface of active events, clusters of it, and linking."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.rivals.interface import EVERY_US, Choice, Rival, Values, instants
from benchmarks.rivals.parts import linking
from benchmarks.rivals.parts.clusters import dbscan
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks

Floats = NDArray[np.float64]

_NEVER = -1e12


def follow(recording: Recording, radius_px: float, bands: Bands, values: Values) -> Tracks:
    """The outline of a disk shows its normal flow in all directions, so that the cluster's least squares give the whole
    velocity: no aperture problem."""
    half = 2
    last = np.full((recording.height + 2 * half, recording.width + 2 * half), _NEVER)
    window = float(values["window_ms"]) * 1e3
    least, eps = int(values["least"]), float(values["eps_radii"]) * radius_px
    linker = linking.Linker(radius_px, bands, values)
    known = np.empty((0, 6))  # t, x, y, nx, ny, speed along n
    times = instants(recording)
    first = 0
    for t, to in zip(times.tolist(), np.searchsorted(recording.t_us, times, side="right").tolist(), strict=True):
        x, y = recording.x[first:to].astype(np.intp), recording.y[first:to].astype(np.intp)
        last[y + half, x + half] = recording.t_us[first:to]
        first = to
        fresh = last[half:-half, half:-half] > t - EVERY_US
        fy, fx = np.nonzero(fresh)
        known = np.concatenate((known, _flows(last, fx, fy, half, float(values["memory_ms"]) * 1e3, bands)))
        known = known[known[:, 0] > t - window]
        label = dbscan(known[:, 1:3], eps, least)
        groups = [known[label == k] for k in range(label.max(initial=-1) + 1)]
        found = np.array([_object(group, t) for group in groups]).reshape(-1, 4)
        linker.step(t, found[:, :2], 0.0, found[:, 2:])
    return linker.table()


def _flows(last: Floats, x: NDArray[np.intp], y: NDArray[np.intp], half: int, memory_us: float, bands: Bands) -> Floats:
    """Planes t = a x + b y + c through the newest times around each pixel (x, y), by least squares: rows of t, x, y,
    the unit normal and the speed 1 / |(a, b)| along it."""
    offsets = np.arange(-half, half + 1)
    dx, dy = (grid.ravel() for grid in np.meshgrid(offsets, offsets))
    t = last[y[:, None] + half + dy, x[:, None] + half + dx]
    own = last[y + half, x + half]
    near = np.abs(t - own[:, None]) < memory_us
    age = np.where(near, t - own[:, None], 0.0) * 1e-6
    n = np.maximum(near.sum(axis=1), 1)
    mx, my, mt = (near * dx).sum(axis=1) / n, (near * dy).sum(axis=1) / n, age.sum(axis=1) / n
    cx, cy, ct = near * (dx - mx[:, None]), near * (dy - my[:, None]), near * (age - mt[:, None])
    xx, yy, xy = (cx * cx).sum(axis=1), (cy * cy).sum(axis=1), (cx * cy).sum(axis=1)
    xt, yt = (cx * ct).sum(axis=1), (cy * ct).sum(axis=1)
    det = xx * yy - xy * xy
    with np.errstate(all="ignore"):
        a, b = (yy * xt - xy * yt) / det, (xx * yt - xy * xt) / det
        steep = np.hypot(a, b)
        left = ct - a[:, None] * cx - b[:, None] * cy
        explained = 1 - (left**2).sum(axis=1) / (ct**2).sum(axis=1)
        speed = 1 / steep
        good: NDArray[np.bool_] = (n >= 6) & (det > 1) & (explained > 0.5) & (speed < 2 * bands.edges[-1])
        flows = np.column_stack((own, x, y, a / steep, b / steep, speed))
    return flows[good]


def _object(group: Floats, t_us: float) -> tuple[float, float, float, float]:
    """x, y, vx, vy of a cluster at t. The second time without what lies far from the first solution."""
    normal, speed = group[:, 3:5], group[:, 5]
    use = np.ones(len(group), np.bool_)
    v: Floats = np.zeros(2)
    for _ in range(2):
        v = np.asarray(np.linalg.lstsq(normal[use], speed[use], rcond=None)[0], np.float64)
        off = np.abs(normal @ v - speed)
        use = off <= 2 * np.median(off) + 1e-9
    places = group[:, 1:3] + (t_us - group[:, :1]) * 1e-6 * v
    middle = (np.quantile(places, 0.05, axis=0) + np.quantile(places, 0.95, axis=0)) / 2
    return float(middle[0]), float(middle[1]), float(v[0]), float(v[1])


RIVAL = Rival(
    name="flow",
    title="Plane-fit flow + clusters",
    source="Benosman et al., Event-based visual flow, IEEE TNNLS 25 (2014), https://doi.org/10.1109/TNNLS.2013.2273537"
    "; DBSCAN: Ester et al., KDD 1996",
    licence="Apache-2.0",
    version="1",
    how="flow reimplemented from its description, planes fitted every 5 ms to all pixels with new events instead of at "
    "each event; clusters, their velocity from normal flows and linking of our own",
    parameters={
        "memory_ms": Choice(20.0, 3.0, 100.0, log=True),
        "window_ms": Choice(15.0, 5.0, 60.0, log=True),
        "eps_radii": Choice(0.5, 0.2, 1.5, log=True),
        "least": Choice(8, 3, 30, log=True, whole=True),
        **linking.PARAMETERS,
    },
    user_set=3,
    follow=follow,
)
