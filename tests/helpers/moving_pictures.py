"""Recordings of whole pictures that move: a texture that passes, one that trembles, one under a flickering lamp."""

from __future__ import annotations

import numpy as np

from velocell.data.recording import Recording


def panned(from_us: int = 0, duration_us: int = 1_000_000, speed_px_s: int = 200) -> Recording:
    """A random texture of 8 px patches moves past the whole sensor, from `from_us` on; some noise before."""
    rng = np.random.default_rng(7)
    width, height = 150, 100
    texture = np.kron(rng.integers(0, 2, (13, 80)), np.ones((8, 8), int))[:height]
    steps = np.arange((duration_us - from_us) * speed_px_s // 1_000_000)
    when = from_us + steps * 1_000_000 // speed_px_s
    parts = []
    for t, shift in zip(when, steps, strict=True):
        y, x = np.nonzero(texture[:, shift + 1 : shift + 1 + width] != texture[:, shift : shift + width])
        parts.append(np.column_stack((np.full(x.size, t), x, y)))
    n = 3 * width * height
    noise = (rng.integers(0, duration_us, n), rng.integers(0, width, n), rng.integers(0, height, n))
    rows = np.concatenate([*parts, np.column_stack(noise)])
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    return Recording.from_arrays(*rows.T, width=width, height=height, start_us=0, stop_us=duration_us)


def trembling(amplitude_px: float = 0.5, hz: float = 20.0, lamp: float = 0.0, duration_us: int = 600_000) -> Recording:
    """A fine texture that swings along x and y, or one that stands still under a lamp that flickers: a pixel gives an
    event where the logarithm of its light has changed by a quarter. Noise of 1 Hz/px."""
    rng = np.random.default_rng(9)
    width, height, step_us = 120, 90, 1_000
    waves = rng.normal(size=(60, 2)) * 0.9  # rad/px
    phases = rng.uniform(0, 2 * np.pi, 60)
    y, x = np.mgrid[:height, :width]
    at = waves[:, 0, None, None] * x + waves[:, 1, None, None] * y + phases[:, None, None]
    sines, cosines = np.sin(at) * 0.12, np.cos(at) * 0.12
    level, rows = None, []
    for t in range(0, duration_us, step_us):
        swing = amplitude_px * np.sin(2 * np.pi * hz * t * 1e-6 * np.array([1.0, 1.13]))
        turn = waves @ swing
        light = np.tensordot(np.cos(turn), sines, 1) + np.tensordot(np.sin(turn), cosines, 1)
        light = light + lamp * np.sin(2 * np.pi * 100 * t * 1e-6)
        level = light if level is None else level
        for on, changed in ((1, light - level > 0.25), (0, level - light > 0.25)):
            py, px = np.nonzero(changed)
            rows.append(np.column_stack((np.full(px.size, t), px, py, np.full(px.size, on))))
            level = np.where(changed, light, level)
    n = int(width * height * duration_us * 1e-6)
    noise = (rng.integers(0, duration_us, n), rng.integers(0, width, n), rng.integers(0, height, n))
    rows.append(np.column_stack((*noise, rng.integers(0, 2, n))))
    events = np.concatenate(rows)
    events = events[np.argsort(events[:, 0], kind="stable")]
    return Recording.from_arrays(*events.T, width=width, height=height, start_us=0, stop_us=duration_us)
