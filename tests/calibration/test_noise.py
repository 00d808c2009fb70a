"""Noise: measured among what moves, as frequent as it was simulated; thresholds that it neither fires nor moves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from velocell import engines
from velocell.calibration.edges import scaled
from velocell.calibration.formulas import calibrate
from velocell.calibration.measure import networks_for
from velocell.calibration.noise import NO_NOISE, Noise, floor, measured_noise
from velocell.calibration.search import Search
from velocell.data.recording import Recording
from velocell.engines.reference import membrane
from velocell.network import Network
from velocell.network.origin import Origin
from velocell.simulate import Scene, SceneObject, random_scene, simulate

BANDS = (40.0, 160.0, 640.0, 1800.0)


def disks(noise_hz: float, seconds: float = 0.7, seed: int = 71) -> Scene:
    objects = tuple(
        SceneObject(id=i, x_px=60, y_px=20 + 40 * i, speed_px_s=speed, bounce=True)
        for i, speed in enumerate((60, 120, 250, 900))
    )
    return Scene(200, 160, round(1e6 * seconds), seed=seed, noise_hz=noise_hz, objects=objects)


def among_rain(noise_hz: float) -> Scene:
    """Forty drops at a time on 200x160 px: every cell has some in each half second."""
    rain = random_scene(40, width=200, height=160, radius=(1, 2), speeds=(300, 900), seed=5, separate=False)
    more = tuple(replace(item, bounce=True, target=False) for item in rain.objects)
    return replace(disks(noise_hz), objects=more)


@pytest.mark.parametrize("noise_hz", [0.3, 3.0, 10.0, 40.0])
def test_noise_is_measured_beside_what_moves(noise_hz):
    found = measured_noise(simulate(disks(noise_hz))[0])
    assert found.hz == pytest.approx(noise_hz, rel=0.15 if noise_hz < 1 else 0.05)
    assert found.flips == pytest.approx(0.5, abs=0.2 if noise_hz < 1 else 0.02)


def test_rain_is_not_noise():
    assert measured_noise(simulate(among_rain(0.0))[0]).hz < 1
    assert measured_noise(simulate(among_rain(10.0))[0]).hz == pytest.approx(10, rel=0.25)


def texture(hz: float, rows: int = 64, wide: int = 48, us: int = 500_000) -> Recording:
    """Edges 1 to 11 px apart, a little shifted from row to row, move to the right: so many in a pixel and second."""
    rng = np.random.default_rng(4)
    shift = np.cumsum(rng.uniform(-0.5, 0.5, rows))
    place = np.cumsum(rng.uniform(1, 11, round(2e-6 * hz * us) + 2 * wide))
    y, x, k = (part.ravel() for part in np.mgrid[:rows, :wide, : place.size])
    t = np.rint(1e6 * (x + shift[y] - shift.min() + place[k] - wide - 8) / (6 * hz)).astype(np.int64)
    keep = (t >= 0) & (t < us)
    order = np.argsort(t[keep], kind="stable")
    t, x, y, p = (part[keep][order] for part in (t, x, y, k % 2 == 0))
    return Recording.from_arrays(t, x, y, p, width=wide, height=rows, stop_us=us)


@pytest.mark.parametrize("polarity", [True, False])
def test_a_moving_texture_is_not_noise(polarity):
    """It fills the picture, and no cell is ever left alone: every edge goes on to the next pixel."""
    moving = texture(30.0)
    assert len(moving) == pytest.approx(30 * 48 * 64 / 2, rel=0.1)
    assert measured_noise(moving if polarity else replace(moving, p=None)).hz < 2


def test_without_events_or_polarity():
    recording = simulate(disks(5.0))[0]
    assert measured_noise(recording.slice(0, 0)) == NO_NOISE
    assert measured_noise(replace(recording, p=None)).flips == 0


def alone(hz: float, seed: int = 3):
    return simulate(Scene(100, 100, 1_000_000, seed=seed, noise_hz=hz))[0]


@pytest.mark.parametrize("hz", [5.0, 40.0])
def test_the_base_of_a_threshold_is_the_mean_potential_that_noise_makes(hz):
    network = calibrate(BANDS, 5.0, dt_us=1000, noise=Noise(hz, 0.5))
    recording = simulate(Scene(40, 40, 600_000, seed=3, noise_hz=hz))[0]
    potentials = membrane(network, recording, spiking=False)[300:, :, 8:-8, 8:-8]
    np.testing.assert_allclose(potentials.mean(axis=(0, 2, 3)), floor(network), rtol=0.08)
    assert (floor(network) > 0).all()


@pytest.mark.parametrize("hz", [10.0, 40.0, 100.0])
def test_noise_alone_seldom_fires(hz):
    """A spike costs 14 events, and all noise spikes are to cost less than what noise does. Without its base a threshold
    lies within the noise."""
    recording, engine = alone(hz), engines.load("native")

    def spikes(network: Network) -> int:
        _, found = engine.step(network, engine.init(network, recording.size), recording, recording.stop_us)
        return len(found.of_layer(0))

    assert spikes(calibrate(BANDS, 5.0, noise=Noise(hz, 0.5))) < 0.04 * len(recording)
    if hz >= 40:
        assert spikes(calibrate(BANDS, 5.0)) > 0.1 * len(recording), "what the scene would do to usual thresholds"


@pytest.mark.parametrize("noise_hz", [0.1, 10.0])
def test_the_share_of_crossings_is_that_without_noise(noise_hz):
    origin = networks_for(simulate(disks(noise_hz, 1.0))[0], Search.of(BANDS, 5.0))[0].origin
    assert origin.crossings == pytest.approx(1.06, rel=0.1)
    assert origin.noise is not None
    assert origin.noise[0] == pytest.approx(noise_hz, rel=0.4 if noise_hz < 1 else 0.05)
    assert "events per pixel and second where nothing moves" in origin["noise"]
    assert Origin.of(dict(origin)) == origin


def test_moved_edges_keep_the_base():
    network = calibrate(BANDS, 5.0, noise=Noise(10.0, 0.5))
    half = scaled(network, np.full(4, 0.5))
    for name in ("v_th", "v_reset"):
        above, before = (getattr(item.layers[0].neurons, name) - floor(network) for item in (half, network))
        np.testing.assert_allclose(above, 0.5 * before, rtol=1e-5)
