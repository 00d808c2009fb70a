"""Kernels: float32 receptive fields with the shape of a Conv2d weight, (1, 1, h, w).

A kernel's centre lies at ((w-1)/2, (h-1)/2): on a pixel for odd sizes, between pixels for even
ones, as the notebook's disks of 10 px need it. `anchor` says which pixel a response belongs to.
Edges are anti-aliased, so that a fractional radius is not rounded.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from velocell.errors import NetworkError

_SUBSAMPLES = 8
_MAX_SIDE = 1025


def anchor(side: int) -> int:
    """Pixels to the left of (above) the one that a response is written to, out of `side`.

    Padding `same` as torch defines it: (side - 1) // 2. With an even side the kernel's centre
    lies half a pixel to the right of (below) that pixel; `centre_offset` gives this half.
    """
    return (side - 1) // 2


def centre_offset(side: int) -> float:
    """Where the kernel's centre lies, relative to the pixel of its response: 0 or 0.5 px."""
    return (side - 1) / 2 - anchor(side)


def circular_kernel(
    radius: float, width: float = 2.0, *, inside: float = -0.5, outside: float = 0.0, even: bool = False
) -> NDArray[np.float32]:
    """A ring: +1 within width/2 of `radius` (px), `inside` (zero or negative) within it, and
    `outside` (zero or negative) over `width` px around it. Shape (1, 1, h, w), h = w.

    `even` centres it between pixels.
    """
    _check(radius > 0 and width > 0, f"a ring needs radius and width above 0 px, got {radius} and {width}")
    _check(
        inside <= 0 and outside <= 0, f"weights inside and outside a ring must not be positive, got {inside}, {outside}"
    )
    inner, outer = max(radius - width / 2, 0.0), radius + width / 2
    reach = outer + (width if outside else 0.0)
    side = _side(reach, even)
    distance = _distances(side)
    field = np.where(
        distance <= inner, inside, np.where(distance <= outer, 1.0, np.where(distance <= reach, outside, 0.0))
    )
    return _average(field, side)


def disk_kernel(radius: float, *, even: bool = False) -> NDArray[np.float32]:
    """+1 within `radius` px of the centre. Shape (1, 1, h, w)."""
    _check(radius > 0, f"a disk needs a radius above 0 px, got {radius}")
    side = _side(radius, even)
    return _average((_distances(side) <= radius).astype(float), side)


def centre_surround_kernel(
    centre: float, surround: float, *, weight: float = -0.15, even: bool = False
) -> NDArray[np.float32]:
    """+1 within `centre` px, `weight` (zero or negative) from there to `surround` px: it answers to
    activity in its middle only. Shape (1, 1, h, w)."""
    _check(0 < centre < surround, f"a centre-surround kernel needs 0 < centre < surround, got {centre} and {surround}")
    _check(weight <= 0, f"the surround's weight must not be positive, got {weight}")
    side = _side(surround, even)
    distance = _distances(side)
    return _average(np.where(distance <= centre, 1.0, np.where(distance <= surround, weight, 0.0)), side)


def template_kernel(image: ArrayLike, *, balance: bool = False) -> NDArray[np.float32]:
    """Any (h, w) array of finite weights as a kernel (1, 1, h, w), scaled to a largest weight of 1.

    `balance` subtracts the mean first, so that uniform input gives no answer.
    """
    weights = np.asarray(image, dtype=np.float64)
    _check(weights.ndim == 2 and weights.size > 0, f"a template must be a (h, w) array, got shape {weights.shape}")
    _check(bool(np.all(np.isfinite(weights))), "a template must hold finite weights")
    if balance:
        weights = weights - weights.mean()
    _check(weights.max() > 0, "a template needs at least one positive weight")
    scaled: NDArray[np.float32] = (weights / weights.max()).astype(np.float32)
    return scaled[None, None]


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise NetworkError(message)


def _side(reach: float, even: bool) -> int:
    """Smallest odd (or even) side whose pixels cover the circle of radius `reach`."""
    _check(reach <= _MAX_SIDE / 2, f"a kernel of {2 * reach:.0f} px is larger than {_MAX_SIDE} px")
    side = 2 * math.ceil(reach) if even else 2 * math.ceil(reach - 0.5) + 1
    return max(side, 1 + even)


def _distances(side: int) -> NDArray[np.float64]:
    """Distance from the centre of `side` x `side` pixels, at `_SUBSAMPLES`^2 points in each, of the upper left quarter
    with the pixels in the middle."""
    n = (side + 1) // 2 * _SUBSAMPLES
    coordinate = (np.arange(n) + 0.5) / _SUBSAMPLES - side / 2
    return np.hypot(coordinate[:, None], coordinate[None, :])


def _average(field: NDArray[np.float64], side: int) -> NDArray[np.float32]:
    """Of the pixels of such a quarter, and all that mirror it."""
    n = (side + 1) // 2
    pixels = field.reshape(n, _SUBSAMPLES, n, _SUBSAMPLES).mean(axis=(1, 3))
    place = np.minimum(np.arange(side), np.arange(side)[::-1])
    averaged: NDArray[np.float32] = pixels.astype(np.float32)[np.ix_(place, place)]
    return averaged[None, None]
