"""A scene -> its events and the truth: the pixels, then what disturbs all of them alike, then the readout."""

from __future__ import annotations

import numpy as np

from velocell.data.recording import Recording
from velocell.data.tracks import Tracks
from velocell.errors import SceneError
from velocell.simulate.ideal import Events, ideal_events, join
from velocell.simulate.paths import truth
from velocell.simulate.pixels import pixel_events
from velocell.simulate.readout import read_out
from velocell.simulate.scene import Scene
from velocell.simulate.sensor import Readout


def simulate(scene: Scene, *, truth_every_us: int = 1_000) -> tuple[Recording, Tracks]:
    """Events with polarity in [0, duration) and the truth, sampled every `truth_every_us`.

    The truth has the columns t_us, id, x_px, y_px, speed_px_s, heading_deg, radius_px; `band` stays
    -1, since it depends on the bands. Raises SceneError for an interval below 1 us.
    """
    if truth_every_us < 1:
        raise SceneError(f"truth_every_us is {truth_every_us}; it must be at least 1")
    rng = np.random.default_rng(scene.seed)
    chip = scene.chip
    t, pixel, on = ideal_events(scene, rng) if chip.pixel is None else pixel_events(scene, chip.pixel)
    if scene.event_loss:
        keep = rng.random(t.size) >= scene.event_loss
        t, pixel, on = t[keep], pixel[keep], on[keep]
    if scene.jitter_us:
        t = t + rng.normal(0.0, scene.jitter_us, t.size)
    t, pixel, on = join([(t, pixel, on), _noise(scene, rng), _hot(scene, rng)])
    t = np.clip(t, 0, scene.duration_us - 1)
    if chip.readout != Readout():
        t, index = read_out(chip.readout, scene.width, scene.height, t, pixel, on, rng)
        in_time = t < scene.duration_us
        t, pixel, on = t[in_time], pixel[index[in_time]], on[index[in_time]]
    t_us = t.astype(np.int64)
    order = np.argsort(t_us, kind="stable")
    y, x = np.divmod(pixel[order], scene.width)
    recording = Recording.from_arrays(
        t_us[order],
        x,
        y,
        on[order],
        width=scene.width,
        height=scene.height,
        start_us=0,
        stop_us=scene.duration_us,
        source=f"simulated scene, seed {scene.seed}",
    )
    return recording, truth(scene, truth_every_us)


def _noise(scene: Scene, rng: np.random.Generator) -> Events:
    pixels = scene.width * scene.height
    n = int(rng.poisson(scene.noise_hz * pixels * scene.duration_us * 1e-6))
    return rng.random(n) * scene.duration_us, rng.integers(0, pixels, n), rng.random(n) < 0.5


def _hot(scene: Scene, rng: np.random.Generator) -> Events:
    where = rng.choice(scene.width * scene.height, scene.hot_pixels, replace=False)
    counts = rng.poisson(scene.hot_rate_hz * scene.duration_us * 1e-6, scene.hot_pixels)
    pixel = np.repeat(where, counts)
    return rng.random(pixel.size) * scene.duration_us, pixel, rng.random(pixel.size) < 0.5
