"""Pictures of the events up to an instant: counted in a window, or faded by their age."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.rivals.interface import EVERY_US, instants
from velocell.data.recording import Recording

Picture = NDArray[np.float32]

cv2.setNumThreads(1)


def counted(recording: Recording, window_us: float) -> Iterator[tuple[int, Picture]]:
    """(t, events of each pixel in (t - window, t]) at each instant."""
    place = recording.y.astype(np.intp) * recording.width + recording.x
    times = instants(recording)
    first = np.searchsorted(recording.t_us, times - round(window_us), side="right")
    last = np.searchsorted(recording.t_us, times, side="right")
    for t, a, b in zip(times.tolist(), first.tolist(), last.tolist(), strict=True):
        yield t, _picture(recording, np.bincount(place[a:b], minlength=recording.width * recording.height))


def faded(recording: Recording, tau_us: float) -> Iterator[tuple[int, Picture]]:
    """(t, sum of exp(-age / tau) of each pixel's events) at each instant."""
    place = recording.y.astype(np.intp) * recording.width + recording.x
    times = instants(recording)
    last = np.searchsorted(recording.t_us, times, side="right")
    picture = np.zeros(recording.width * recording.height)
    before = 0
    for t, b in zip(times.tolist(), last.tolist(), strict=True):
        weights = np.exp((recording.t_us[before:b] - t) / tau_us)
        picture = picture * np.exp(-EVERY_US / tau_us)
        picture += np.bincount(place[before:b], weights, minlength=picture.size)
        before = b
        yield t, _picture(recording, picture)


def _picture(recording: Recording, flat: NDArray[np.generic]) -> Picture:
    return flat.astype(np.float32).reshape(recording.height, recording.width)


def peaks(answer: Picture, least: float, apart_px: float) -> NDArray[np.float64]:
    """Local maxima of at least `least`, none within `apart_px` of a higher one: (n, 3) of x, y and height, the place to
    a fraction of a pixel by the centre of mass of the 3x3 pixels around."""
    side = 2 * max(int(apart_px * 0.7), 1) + 1  # a square within the circle, which is quick to look through
    top = cv2.dilate(answer, np.ones((side, side), np.uint8))
    y, x = np.nonzero((answer >= top) & (answer >= least))
    order = np.argsort(-answer[y, x], kind="stable")
    kept: list[tuple[float, float, float]] = []
    for i in order[:200]:
        if all(np.hypot(x[i] - a, y[i] - b) > apart_px for a, b, _ in kept):
            kept.append((float(x[i]), float(y[i]), float(answer[y[i], x[i]])))
    return np.array([_finer(answer, *peak) for peak in kept]).reshape(-1, 3)


def _finer(answer: Picture, x: float, y: float, height: float) -> tuple[float, float, float]:
    i, j = int(x), int(y)
    part = answer[max(j - 1, 0) : j + 2, max(i - 1, 0) : i + 2]
    if part.shape != (3, 3):
        return x, y, height
    mass = part - min(float(part.min()), height - 1e-6)
    total = float(mass.sum())
    if total <= 0:  # a plateau
        return x, y, height
    across = float(mass[:, 2].sum() - mass[:, 0].sum()) / total
    return x + across, y + float(mass[2].sum() - mass[0].sum()) / total, height


def ring_kernel(radius: float, width: float, inside: float) -> Picture:
    """+1 / n on the n pixels within width/2 of the circle, -inside / m on the m pixels within it."""
    reach = int(np.ceil(radius + width / 2))
    offset = np.arange(-reach, reach + 1.0)
    distance = np.hypot(offset[:, None], offset)
    ring = np.abs(distance - radius) <= width / 2
    within = distance < radius - width / 2
    kernel = ring / ring.sum() - inside * within / max(within.sum(), 1)
    return np.asarray(kernel, np.float32)


def correlated(picture: Picture, kernel: Picture) -> Picture:
    """Zeros beyond the border."""
    return np.asarray(cv2.filter2D(picture, cv2.CV_32F, kernel, borderType=cv2.BORDER_CONSTANT), np.float32)
