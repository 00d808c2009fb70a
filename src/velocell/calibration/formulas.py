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
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from velocell.calibration.noise import NO_NOISE, Noise, base_potential, least_threshold
from velocell.calibration.peaks import psi
from velocell.calibration.recipe import RING_WIDTH_PX, Recipe
from velocell.data.arrays import Floats
from velocell.data.bands import Bands
from velocell.data.stamps import is_coarse
from velocell.errors import CalibrationError
from velocell.network import Layer, Network, TrailFilter
from velocell.network.architectures import selective_layer
from velocell.network.kernels import centre_surround_kernel, circular_kernel, disk_kernel
from velocell.network.neurons import LIFBox
from velocell.network.origin import Origin
from velocell.network.template import Template

MAX_DT_US = 1_000
_MANY = 20  # stamps in a tick: one more or less is nothing
SMALLEST_PX = 1.5  # of a disk's radius; a smaller one is not told from noise
LEAST_CONTRAST = 1e-3  # events per pixel and crossing; below, nothing can be told from noise
_SEPARABLE = 2.5 / 0.85  # standard deviations, in terms of speed: such bands were still answered in simulated passages
_BEYOND = 1.5  # edges: up to here the topmost channel is made for
CROSSING_SHARE = 0.85  # of all edge crossings that arrive through the trail filter, until measured


def choose_dt_us(fastest_px_s: float, ring_width_px: float = RING_WIDTH_PX, step_us: int = 1) -> int:
    """Tick (us) in which the fastest edge moves at most half a ring width: 1, 2 or 5 times a power of ten.

    step_us: of the recording's stamps. The tick is never shorter; where it holds few stamps, it holds equally many.
    """
    longest = min(1e6 * ring_width_px / (2 * fastest_px_s), MAX_DT_US)
    if longest < 1:
        raise CalibrationError(
            f"bands up to {fastest_px_s:g} px/s need a dt below 1 us, the clock's step; choose slower bands"
        )
    decade = 10 ** math.floor(math.log10(longest))
    dt = int(max(m * decade for m in (1, 2, 5) if m * decade <= longest))
    return dt if dt >= _MANY * step_us else max(dt // step_us * step_us, step_us)


def calibrate(
    bands: Bands | Sequence[float],
    radius: float = 5.0,
    *,
    contrast: float | None = None,
    dt_us: int | None = None,
    polarity: bool = True,
    crossing_share: float = CROSSING_SHARE,
    template: Template | None = None,
    recipe: Recipe = Recipe(),
    step_us: int = 1,
    scanned: bool = False,
    noise: Noise = NO_NOISE,
    lowest_share: float = 1.0,
) -> Network:
    """The network whose final channel k answers to disks of `radius` px in band k, or to a `template`.

    bands: N+1 edges in px/s. contrast: events per pixel and edge crossing; left out, a trail filter
    makes it irrelevant (polarity: whether the recording has any, which the filter uses) and
    `crossing_share` is the share of crossings that arrive. dt_us: left out, from the fastest edge. step_us: of the
    recording's stamps, scanned: line by line (`stamps.time_step`); where objects move visibly in it, each channel's
    ring is as wide as its band smears it. noise: what comes where nothing moves; behind a trail filter thresholds lie
    so much higher. lowest_share: of the lowest edge, where its channel begins to fire.
    Raises CalibrationError (or NetworkError) for values from which no network follows.
    """
    wanted = bands if isinstance(bands, Bands) else Bands(tuple(bands))
    radius = radius if template is None else template.radius_px
    _check(radius, wanted, contrast, dt_us, recipe, step_us)
    edges = np.array(wanted.edges)
    # Not longer for a wider ring: networks that take each other's place have one tick.
    dt = choose_dt_us(edges[-1], min(recipe.ring_width_px, RING_WIDTH_PX), step_us) if dt_us is None else dt_us
    widths = _ring_widths(edges, radius, recipe, step_us)
    kernels = [_kernel(template or radius, width, recipe.inside, recipe.outside) for width in widths.tolist()]
    corner_px = math.pi * recipe.ring_width_px / 2
    count = crossing_share if contrast is None else contrast

    tau_s = recipe.memory * (math.pi * widths / 2) / edges
    a = -np.expm1(-dt * 1e-6 / tau_s)
    # Events of one stamp come together, be they of one tick or of the first of several.
    together_us = max(dt, step_us)
    begins = edges * np.append(lowest_share, np.ones(edges.size - 1))
    tick_px = begins * together_us * 1e-6
    margin = _margin(contrast, radius, tick_px / widths, recipe)
    # Where stamps are coarse, long travel within a tick is that of the neuron which suits it best; shorter travel is
    # what the margins were fitted with.
    best = (tick_px > recipe.ring_width_px / 2) & is_coarse(step_us, wanted.edges[-1])
    channels = zip(widths.tolist(), (begins * tau_s).tolist(), tick_px.tolist(), best.tolist(), strict=True)
    peaks = np.array([_psi(template or radius, recipe.inside, recipe.outside, *channel) for channel in channels])
    silence_us = _silence_us(edges, radius, polarity, recipe, step_us)
    passing, base = np.ones(edges.size), np.zeros(edges.size)
    if contrast is None:
        passing = noise.passing(silence_us)
        base = base_potential([kernel.sum() for kernel in kernels], noise.hz * passing, dt)
    peaks *= margin * count * passing * tick_px * (a / -np.expm1(-together_us * 1e-6 / tau_s))
    if contrast is None:
        alone = zip(kernels, noise.hz * passing, tau_s, strict=True)
        peaks = np.maximum(peaks, np.array([least_threshold(k, hz, tau, dt) for k, hz, tau in alone]) - base)
    # Forward Euler with a = 1 - exp(-dt / tau) decays exactly as the time constant says.
    neurons = LIFBox(a / (dt * 1e-6), base + peaks, v_reset=base + recipe.reset * peaks)
    first = Layer.from_arrays(_stacked(kernels), neurons, len(edges) if contrast is None else 1)
    trail = None if contrast is not None else TrailFilter(silence_us, polarity)
    origin = Origin(
        crossings=float(count),
        basis="assumed" if contrast is None else "given",
        margin=(float(margin[0]), float(margin[-1])),
        memory=recipe.memory,
        corner_px=corner_px,
        ring_width_px=recipe.ring_width_px,
        dt_given=bool(dt_us),
        step_us=step_us if is_coarse(step_us, wanted.edges[-1]) else None,
        scanned=scanned and is_coarse(step_us, wanted.edges[-1]),
        noise=(noise.hz, noise.flips) if contrast is None and noise.hz else None,
    )
    return Network(dt, (first, _selective_layer(edges, dt, radius, recipe)), trail, wanted, float(radius), origin)


def _ring_widths(edges: Floats, radius: float, recipe: Recipe, step_us: int) -> Floats:
    """px, per edge channel. In one step of the stamps a disk smears its ring along its way: the kernel is as wide as
    that at the band's upper edge (the topmost channel, which only vetoes, half as fast again), up to the radius."""
    if not is_coarse(step_us, float(edges[-1])):
        return np.full(edges.size, recipe.ring_width_px)
    smear = np.append(edges[1:], _BEYOND * edges[-1]) * step_us * 1e-6
    return np.clip(smear, recipe.ring_width_px, max(radius, recipe.ring_width_px))


# Channels are alike, and detection and calibration take turns with the same radii: what depends on these alone is kept
# for as many as calibration looks for at once.
@lru_cache(maxsize=64)
def _psi(
    shape: Template | float, inside: float, outside: float, width: float, memory_px: float, tick_px: float, best: bool
) -> float:
    return float(psi(_kernel(shape, width, inside, outside), shape, memory_px, tick_px, best_phase=best))


@lru_cache(maxsize=8)
def _kernel(shape: Template | float, width: float, inside: float, outside: float) -> NDArray[np.float32]:
    if isinstance(shape, Template):
        return shape.kernel(width, inside)
    return circular_kernel(shape, width, inside=inside, outside=outside)


def _stacked(kernels: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Kernels (1, 1, side, side) of several odd sides as one (channels, 1, side, side)."""
    side = max(kernel.shape[-1] for kernel in kernels)
    grown = [np.pad(k, [(0, 0), (0, 0), *[((side - k.shape[-1]) // 2,) * 2] * 2]) for k in kernels]
    return np.concatenate(grown)


def answer_width(radius: float, contrast: float | None = None) -> float:
    """Standard deviation of the logarithm of a channel's peak over passages at one speed.

    contrast: events per edge crossing, None behind a trail filter, where some are missing at random.
    Fitted to simulated passages (R = 3 to 20 px, 1 to 10 events).
    """
    return (0.1 if contrast is None else 0.085 / contrast) / math.sqrt(radius) + 0.005


def _margin(contrast: float | None, radius: float, tick_widths: Floats, recipe: Recipe) -> Floats:
    """By how much each threshold lies above the mean peak; tick_widths: travel within a tick, in ring widths, per
    channel."""
    peaks = recipe.margin_peaks / (math.sqrt(radius) * (1 + tick_widths))
    few = (peaks + recipe.margin_blur) / (1.0 if contrast is None else contrast)
    margin = recipe.margin + few + recipe.margin_px / radius
    return np.asarray(margin * recipe.margin_trail if contrast is None else margin)


def _check(
    radius: float, bands: Bands, contrast: float | None, dt_us: int | None, recipe: Recipe, step_us: int
) -> None:
    if not (math.isfinite(radius) and radius > 0):
        raise CalibrationError(f"the radius must be above 0 px, got {radius:g}")
    if radius < SMALLEST_PX:
        raise CalibrationError(
            f"a disk of radius {radius:g} px is too small to be told from noise; use {SMALLEST_PX:g} px or more"
        )
    if contrast is not None and not (math.isfinite(contrast) and contrast >= LEAST_CONTRAST):
        raise CalibrationError(
            f"the contrast must be {LEAST_CONTRAST:g} events per pixel and edge crossing or more, got {contrast:g}"
        )
    # Between two edges a channel must get from hardly ever to nearly always; V grows a little slower than v.
    attainable = math.exp(_SEPARABLE * answer_width(radius, contrast))
    for low, high in zip(bands.edges, bands.edges[1:], strict=False):
        if high / low < attainable:
            raise CalibrationError(
                f"the band from {low:g} to {high:g} px/s is too narrow: for disks of {radius:g} px its upper edge must "
                f"be at least {attainable:.3g} times the lower one; make it wider"
            )
    if dt_us is not None:
        if dt_us < 1:
            raise CalibrationError(f"dt must be at least 1 us, got {dt_us}")
        travel = bands.edges[-1] * dt_us * 1e-6
        if travel > recipe.ring_width_px and dt_us > step_us:
            raise CalibrationError(
                f"in dt = {dt_us} us a disk at {bands.edges[-1]:g} px/s moves {travel:.3g} px, more than the ring's "
                f"{recipe.ring_width_px:g} px; use at most {choose_dt_us(bands.edges[-1], recipe.ring_width_px)} us"
            )


def _silence_us(edges: Floats, radius: float, polarity: bool, recipe: Recipe, step_us: int) -> tuple[int, ...]:
    """How long a pixel must have been silent, per edge channel.

    Without polarity the trailing edge must count although it follows the leading one by 2R at
    most, up to half as fast again as the band's upper edge; below 2 px of travel the events of one
    crossing no longer count as one.
    """
    travel = np.full(edges.size, recipe.trail_px)
    if not polarity:
        ratios = np.append(edges[1:] / edges[:-1], _BEYOND)
        travel = np.clip(2 * radius / (1.5 * ratios), 2.0, recipe.trail_px)
    silence = [max(1, round(1e6 * px / edge)) for px, edge in zip(travel, edges, strict=True)]
    if is_coarse(step_us, float(edges[-1])):
        # Events of one crossing may lie on both sides of a step's end: two steps apart they are of two.
        silence = [max(-(-us // step_us), 2) * step_us for us in silence]
    return tuple(silence)


def _selective_layer(edges: Floats, dt_us: int, radius: float, recipe: Recipe) -> Layer:
    """Layer 2: channel k sees the centre of edge channel k and is silenced by all faster ones.

    The inhibition must last (a fast disk crosses the slower thresholds first) and reach beyond
    the step between two vetoes.
    """
    own = _centre(recipe.centre_px, max(radius, recipe.centre_px + 1), recipe.surround)
    veto = recipe.veto * _disk(recipe.veto_reach * radius)
    corner_px = math.pi * recipe.ring_width_px / 2
    a = -np.expm1(-dt_us * 1e-6 / (recipe.hold * corner_px / edges[1:]))
    # A threshold of a: more than one lone spike in the centre.
    return selective_layer(own, veto, LIFBox(a / (dt_us * 1e-6), a, v_reset=recipe.refractory * a), channels=edges.size)


@lru_cache(maxsize=8)
def _centre(radius: float, surround: float, weight: float) -> NDArray[np.float32]:
    return centre_surround_kernel(radius, surround, weight=weight)


@lru_cache(maxsize=8)
def _disk(radius: float) -> NDArray[np.float32]:
    return disk_kernel(radius)
