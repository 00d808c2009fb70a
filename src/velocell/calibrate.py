"""From wanted speed bands and a radius to a Network: every number follows from a formula.

A disk moving at v drives a layer-1 neuron at its centre to the peak

    V(v) = n dt v Psi(v tau),    Psi(L) = max_x  integral_0^inf rho(x - s) exp(-s / L) ds / L

where rho(d) is the kernel-weighted number of events per pixel of travel at offset d between disk
and kernel, for one event per edge crossing, and n the events per edge crossing. A channel with
threshold V(v*) therefore fires above the speed v*: it is a high-pass. There is one such channel
per band edge; layer 2 takes band k from edge channel k unless a faster one answers.

The unknown contrast drops out because a trail filter lets about one event per edge crossing pass.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from velocell.architectures import selective_layer
from velocell.errors import CalibrationError
from velocell.kernels import centre_surround_kernel, circular_kernel, disk_kernel
from velocell.network import Bands, Layer, Network, TrailFilter
from velocell.neurons import LIFBox

Floats = NDArray[np.float64]

RING_WIDTH_PX = 2.0
MAX_DT_US = 1_000
CROSSING_SHARE = 0.85  # of all edge crossings that arrive through the trail filter, until measured


@dataclass(frozen=True)
class Recipe:
    """The free choices of a calibration; the defaults were studied in benchmarks/architectures.

    ring_width_px W, inside: the kernel. memory: tau of an edge channel, in units of Lc / v_c with
    Lc = pi W / 2. margin, margin_px: thresholds are raised by the factor margin + margin_px / R, since
    a potential of few events has peaks above its mean (margin_blind_px where a trail filter has to
    do without polarity and lets fewer through). trail_px: travel for which a pixel must
    have been silent, at the channel's own edge. hold: memory of layer 2, in Lc / v of the next edge.
    centre_px: radius of layer 2's centre; surround: its weight out to R. veto, veto_reach:
    weight and reach (in R) of the inhibition by faster channels.
    """

    ring_width_px: float = RING_WIDTH_PX
    inside: float = -0.5
    memory: float = 0.3
    margin: float = 1.02
    margin_px: float = 0.32
    margin_blind_px: float = 0.6
    trail_px: float = 3.0
    reset: float = -3.0
    hold: float = 0.4
    centre_px: float = 1.6
    surround: float = -0.15
    veto: float = -3.0
    veto_reach: float = 2.0


def passage_density(kernel: ArrayLike, radius: float, *, step: float = 0.1) -> tuple[Floats, Floats]:
    """(x, rho): kernel-weighted events per px of travel of a disk's edge against the offset x (px)
    of the disk's centre from the kernel's, averaged over directions and sub-pixel positions.

    kernel: (..., h, w), only its last two axes are used. Both arrays have shape (n,).
    """
    weights = np.asarray(kernel, np.float64)
    weights = weights.reshape(-1, *weights.shape[-2:])[0]
    x, rho = _density(weights.shape, weights.tobytes(), radius, step)
    return x.copy(), rho.copy()


# Detection and calibration take turns, mostly with the same kernel.
@lru_cache(maxsize=16)
def _density(shape: tuple[int, int], data: bytes, radius: float, step: float) -> tuple[Floats, Floats]:
    weights = np.frombuffer(data).reshape(shape)
    h, w = shape
    reach = math.hypot(h, w) / 2 + radius + 1
    x = np.arange(-reach, reach + step, step)
    rho = np.zeros_like(x)
    angles = np.arange(0.5, 720) / 720 * 2 * np.pi
    headings = np.radians([0.0, 11.0, 22.5, 34.0, 45.0])
    sideways = np.linspace(-0.5, 0.5, 4, endpoint=False) + 0.125
    for heading in headings:
        along = np.array([np.cos(heading), np.sin(heading)])
        for shift in sideways:
            # Points of the circle, as seen from the kernel; each edge element sweeps
            # R |cos| dtheta pixels per px of travel.
            px = x[:, None] * along[0] - shift * along[1] + radius * np.cos(angles)
            py = x[:, None] * along[1] + shift * along[0] + radius * np.sin(angles)
            swept = radius * np.abs(np.cos(angles - heading)) * (2 * np.pi / angles.size)
            column = np.floor(px + w / 2).astype(int)
            row = np.floor(py + h / 2).astype(int)
            inside = (column >= 0) & (column < w) & (row >= 0) & (row < h)
            values = np.where(inside, weights[np.clip(row, 0, h - 1), np.clip(column, 0, w - 1)], 0.0)
            rho += values @ swept
    return x, rho / (headings.size * sideways.size)


def psi(kernel: ArrayLike, radius: float, memory_px: ArrayLike) -> Floats:
    """Psi(L) for each memory length L = v tau (px): shape of `memory_px`. Unit: events per px of travel."""
    step = 0.1
    x, rho = passage_density(kernel, radius, step=step)
    lengths = np.asarray(memory_px, np.float64)
    peaks = []
    for length in lengths.ravel():
        # A first-order low-pass along the path, exact for rho constant within a step.
        keep = math.exp(-step / length)
        peaks.append(float(np.max(np.convolve(rho, (1 - keep) * keep ** np.arange(x.size))[: x.size])))
    return np.array(peaks).reshape(lengths.shape)


def choose_dt_us(fastest_px_s: float, ring_width_px: float = RING_WIDTH_PX) -> int:
    """Tick (us) in which the fastest edge moves at most half a ring width: 1, 2 or 5 times a power of ten."""
    longest = min(1e6 * ring_width_px / (2 * fastest_px_s), MAX_DT_US)
    if longest < 1:
        raise CalibrationError(
            f"bands up to {fastest_px_s:g} px/s need a dt below 1 us, the clock's step; choose slower bands"
        )
    decade = 10 ** math.floor(math.log10(longest))
    return int(max(m * decade for m in (1, 2, 5) if m * decade <= longest))


def calibrate(
    bands: Bands | Sequence[float],
    radius: float = 5.0,
    *,
    contrast: float | None = None,
    dt_us: int | None = None,
    polarity: bool = True,
    crossing_share: float = CROSSING_SHARE,
    recipe: Recipe = Recipe(),
) -> Network:
    """The network whose final channel k answers to disks of `radius` px in band k.

    bands: N+1 edges in px/s. contrast: events per pixel and edge crossing; left out, a trail filter
    makes it irrelevant (polarity: whether the recording has any, which the filter uses) and
    `crossing_share` is the share of crossings that arrive. dt_us: left out, from the fastest edge.
    Raises CalibrationError (or NetworkError) for values from which no network follows.
    """
    wanted = bands if isinstance(bands, Bands) else Bands(tuple(bands))
    _check(radius, wanted, contrast, dt_us, recipe)
    edges = np.array(wanted.edges)
    dt = choose_dt_us(edges[-1], recipe.ring_width_px) if dt_us is None else dt_us
    kernel = circular_kernel(radius, recipe.ring_width_px, inside=recipe.inside)
    corner_px = math.pi * recipe.ring_width_px / 2
    count = crossing_share if contrast is None else contrast

    tau_s = recipe.memory * corner_px / edges
    a = -np.expm1(-dt * 1e-6 / tau_s)
    blind = contrast is None and not polarity
    margin = recipe.margin + (recipe.margin_blind_px if blind else recipe.margin_px) / radius
    v_th = margin * count * dt * 1e-6 * edges * psi(kernel, radius, edges * tau_s)
    # Forward Euler with a = 1 - exp(-dt / tau) decays exactly as the time constant says.
    neurons = LIFBox(a / (dt * 1e-6), v_th, v_reset=recipe.reset * v_th)
    first = Layer.from_arrays(kernel, neurons, len(edges) if contrast is None else 1)
    trail = None if contrast is not None else TrailFilter(_silence_us(edges, radius, polarity, recipe), polarity)
    origin = {
        "bands": "as asked",
        "dt_us": "as asked" if dt_us else f"the fastest edge moves at most {recipe.ring_width_px / 2:g} px in it",
        "tau_mem_inv": f"{recipe.memory:g} of the time in which an edge at its speed crosses {corner_px:.3g} px",
        "v_th": f"{margin:.3g} n dt v Psi(v tau) with n = {count:g} events per edge crossing",
        "n": "as asked" if contrast is not None else "share of edge crossings that pass the trail filter",
    }
    return Network(dt, (first, _selective_layer(edges, dt, radius, recipe)), trail, wanted, float(radius), origin)


def _check(radius: float, bands: Bands, contrast: float | None, dt_us: int | None, recipe: Recipe) -> None:
    if not (math.isfinite(radius) and radius > 0):
        raise CalibrationError(f"the radius must be above 0 px, got {radius:g}")
    if radius < 1.5:
        raise CalibrationError(f"a disk of radius {radius:g} px is too small to be told from noise; use 1.5 px or more")
    if contrast is not None and not (math.isfinite(contrast) and contrast > 0):
        raise CalibrationError(f"the contrast must be above 0 events per pixel and edge crossing, got {contrast:g}")
    if dt_us is not None:
        if dt_us < 1:
            raise CalibrationError(f"dt must be at least 1 us, got {dt_us}")
        travel = bands.edges[-1] * dt_us * 1e-6
        if travel > recipe.ring_width_px:
            raise CalibrationError(
                f"in dt = {dt_us} us a disk at {bands.edges[-1]:g} px/s moves {travel:.3g} px, more than the ring's "
                f"{recipe.ring_width_px:g} px; use at most {choose_dt_us(bands.edges[-1], recipe.ring_width_px)} us"
            )


def _silence_us(edges: Floats, radius: float, polarity: bool, recipe: Recipe) -> tuple[int, ...]:
    """How long a pixel must have been silent, per edge channel.

    Without polarity the trailing edge must count although it follows the leading one by 2R at
    most, up to half as fast again as the band's upper edge; below 2 px of travel the events of one
    crossing no longer count as one.
    """
    travel = np.full(edges.size, recipe.trail_px)
    if not polarity:
        ratios = np.append(edges[1:] / edges[:-1], 1.5)
        travel = np.clip(2 * radius / (1.5 * ratios), 2.0, recipe.trail_px)
    return tuple(max(1, round(1e6 * px / edge)) for px, edge in zip(travel, edges, strict=True))


def _selective_layer(edges: Floats, dt_us: int, radius: float, recipe: Recipe) -> Layer:
    """Layer 2: channel k sees the centre of edge channel k and is silenced by all faster ones.

    The inhibition must last (a fast disk crosses the slower thresholds first) and reach beyond
    the step between two vetoes.
    """
    own = centre_surround_kernel(recipe.centre_px, max(radius, recipe.centre_px + 1), weight=recipe.surround)
    veto = recipe.veto * disk_kernel(recipe.veto_reach * radius)
    corner_px = math.pi * recipe.ring_width_px / 2
    a = -np.expm1(-dt_us * 1e-6 / (recipe.hold * corner_px / edges[1:]))
    # A threshold of a: more than one lone spike in the centre.
    return selective_layer(own, veto, LIFBox(a / (dt_us * 1e-6), a), channels=edges.size)
