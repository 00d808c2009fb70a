"""Speeds that change with the place: against paths in closed form, whose edge crossings are placed here and not by the
simulator, each .3 px off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from velocell.calibration import calibrate
from velocell.data.arrays import Floats
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.data.tracks import Tracks
from velocell.tracking.detector import Detector
from velocell.tracking.rules import DEFAULTS, Rules

EDGES = (40.0, 160.0, 640.0, 1800.0)
WIDTH, HEIGHT, RADIUS, Y, OFF_PX = 300, 40, 5.0, 20.3, 0.3
NO_FIELD = Rules(field_memory_px=1)  # what was two px ago is forgotten


@dataclass(frozen=True)
class Path:
    """Along x: place (px) and velocity (px/s) at a time (s), up to `stop_s`."""

    place: Callable[[Floats], Floats]
    velocity: Callable[[Floats], Floats]
    stop_s: float


def spring(swing_px: float, hz: float) -> Path:
    turn = 2 * np.pi * hz
    return Path(
        lambda t: 150 + swing_px * np.sin(turn * t), lambda t: swing_px * turn * np.cos(turn * t), 2.0
    )  # fmt: skip


def slowdown(speed: float, tau_s: float) -> Path:
    return Path(
        lambda t: 30 + speed * tau_s * (1 - np.exp(-t / tau_s)), lambda t: speed * np.exp(-t / tau_s), 3 * tau_s
    )  # fmt: skip


def fall(g: float) -> Path:
    return Path(lambda t: 30 + 30 * t + g * t**2 / 2, lambda t: 30 + g * t, float(np.sqrt(2 * 200 / g)))


PATHS = {"spring": spring(60, 1.4), "slow spring": spring(80, 0.6), "slowdown": slowdown(700, 0.25), "fall": fall(900)}


def crossings(path: Path, seed: int) -> Recording:
    """One event for each pixel that an edge crosses: ON ahead, OFF behind, where the edge is OFF_PX off (one sigma)."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, path.stop_s, 40_001)
    at = path.place(t)
    turns = np.flatnonzero(np.diff(np.sign(path.velocity(t)))) + 1
    events = []
    for part in np.split(np.arange(t.size), turns):
        if part.size < 2:
            continue
        way = np.sign(at[part[-1]] - at[part[0]])
        for y in range(int(Y - RADIUS), int(Y + RADIUS) + 2):
            if abs(y - Y) >= RADIUS:
                continue
            half = np.sqrt(RADIUS**2 - (y - Y) ** 2)
            for ahead in (1, -1):
                x = np.arange(WIDTH)
                # A sloping edge that is off by so much is off by more along x.
                centre = x - ahead * way * half + rng.normal(0, OFF_PX, WIDTH) * RADIUS / max(half, 1)
                met = (centre - at[part[0]]) * way > 0
                met &= (at[part[-1]] - centre) * way > 0
                order = part if way > 0 else part[::-1]
                when = np.interp(centre[met], at[order], t[order])
                events.append(np.stack([when, x[met], np.full(met.sum(), y), np.full(met.sum(), ahead > 0)]))
    when, x, y, on = np.concatenate(events, axis=1)[:, np.argsort(np.concatenate(events, axis=1)[0], kind="stable")]
    return Recording.from_arrays(
        (1e6 * when).astype(np.int64), x.astype(np.uint16), y.astype(np.uint16), on.astype(bool), width=WIDTH,
        height=HEIGHT, start_us=0, stop_us=int(1e6 * path.stop_s),
    )  # fmt: skip


def rows(path: Path, rules: Rules = DEFAULTS, seed: int = 1) -> Tracks:
    """What the detector makes of the crossings, and of a spike each 2 ms at the true place, in the true band."""
    recording = crossings(path, seed)
    network = calibrate(EDGES, RADIUS, crossing_share=1.0)
    t_us = np.arange(0, recording.stop_us, 2_000) // network.dt_us * network.dt_us
    place, speed = path.place(t_us * 1e-6), np.abs(path.velocity(t_us * 1e-6))
    band: NDArray[np.int64] = np.clip(np.searchsorted(EDGES, speed, side="right") - 1, 0, 2)
    whole = np.ones(t_us.size, np.int32)
    spikes = Spikes(
        t_us, np.round(place).astype(np.int32), whole * round(Y), band.astype(np.int32), whole * 1, len(network.layers)
    )
    detector = Detector(network, recording.size, 5_000, rules=rules)
    return Tracks.from_columns(detector.step(recording, spikes, recording.stop_us - 1))


def errors(path: Path, found: Tracks, from_s: float = 0.0) -> tuple[Floats, Floats]:
    """Of the rows after 10 px and above 20 px/s: how far the speed is off, and how much it may be, over the speed."""
    t = found.t_us * 1e-6
    speed = np.abs(path.velocity(t))
    fine = np.linspace(0, path.stop_s, 4001)
    way = np.interp(t, fine, np.concatenate([[0], np.cumsum(np.abs(np.diff(path.place(fine))))]))
    kept = (way > 10) & (speed > 20) & (found.speed_px_s > 0) & (t > from_s)
    off = np.abs(found.speed_px_s[kept] - speed[kept]) / speed[kept]
    return off, found.speed_err_px_s[kept] / speed[kept]


@pytest.mark.parametrize("kind", PATHS)
def test_speeds_are_right_to_two_per_cent_and_their_errors_hold(kind):
    path = PATHS[kind]
    found = rows(path)
    assert np.unique(found.id).size == 1
    off, error = errors(path, found)
    assert off.size > 0.8 * path.stop_s / 5e-3
    assert np.median(off) < 0.02
    assert (off <= 2 * error).mean() > 0.88
    # From the second time on the place is known, and what it does there.
    known, _ = errors(path, found, path.stop_s / 2)
    assert np.quantile(known, 0.95) < 0.065


@pytest.mark.parametrize("kind", ["spring", "slow spring"])
def test_without_the_field_it_lags(kind):
    path = PATHS[kind]
    known, _ = errors(path, rows(path), 1.0)
    lagging, _ = errors(path, rows(path, NO_FIELD), 1.0)
    assert np.quantile(lagging, 0.95) > 2 * np.quantile(known, 0.95)


def test_a_steady_speed_has_no_field():
    """What is learned of a steady one does not make it worse."""
    steady = Path(lambda t: 30 + 200 * t, lambda t: np.full_like(t, 200.0), 1.2)
    off, error = errors(steady, rows(steady))
    plain, _ = errors(steady, rows(steady, NO_FIELD))
    assert np.median(off) < 0.006
    assert np.median(off) < 1.2 * np.median(plain)
    assert (off <= 2 * error).mean() > 0.9
