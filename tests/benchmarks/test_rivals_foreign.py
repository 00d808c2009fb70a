"""Other people's code as rivals: what is ours around it always, and each of them where it is installed."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from places import ROOT

pytest.importorskip("velocell._native", reason="the C++ core is not built (pip install .)")
sys.path.insert(0, str(ROOT))

from benchmarks.rivals.foreign import running
from benchmarks.rivals.foreign.__main__ import main
from benchmarks.rivals.foreign.environments import CHILDREN, Environment
from benchmarks.rivals.foreign.running import run_child, slopes, tracks_of
from benchmarks.rivals.interface import Rival, RivalError, instants
from benchmarks.rivals.methods import rival
from velocell.data.bands import Bands
from velocell.data.recording import Recording

BANDS = Bands((40, 160, 640))
START_US = 7_000_000
SIZE = {"width": 160, "height": 80}
CHILD = """
import sys
sys.path.insert(0, {folder!r})
from common import Job
job = Job()
for t in job.instants:
    with job.clock():
        seen = job.until(t)
    job.row(t, 1, seen, int(job.events["p"][:seen].sum()), job.values["v"], 0)
job.close()
"""


def ring(speed: float, radius: float = 6.0, seed: int = 3, density: float = 2.0, seconds: float = 0.4) -> Recording:
    """A disk that goes right from x = 30: events on its outline, more where the outline moves along its normal."""
    rng = np.random.default_rng(seed)
    n = int(density * 4 * radius * speed * seconds)
    t = np.sort(rng.uniform(0, seconds, n))
    angle = np.arcsin(rng.uniform(-1, 1, n)) + np.pi * rng.integers(0, 2, n)
    x = np.rint(30 + speed * t + radius * np.cos(angle)).astype(int)
    y = np.rint(40 + radius * np.sin(angle)).astype(int)
    inside = (x >= 0) & (x < SIZE["width"])
    times = START_US + np.rint(t * 1e6).astype(np.int64)
    return Recording.from_arrays(
        times[inside], x[inside], y[inside], np.cos(angle[inside]) > 0, **SIZE, start_us=START_US,
        stop_us=START_US + round(seconds * 1e6),
    )  # fmt: skip


def pixels(times: list[int], x: list[int], y: list[int], stop_us: int) -> Recording:
    t = START_US + np.array(times)
    return Recording.from_arrays(
        t, x, y, np.ones(len(times), bool), **SIZE, start_us=START_US, stop_us=START_US + stop_us
    )


def installed(name: str) -> Rival:
    one = rival(name)
    reason = one.available()
    if reason:
        pytest.skip(f"{one.title}: {reason}")
    return one


@pytest.fixture
def child(tmp_path):
    def made(text: str = CHILD):
        path = tmp_path / "child.py"
        path.write_text(text.format(folder=str(CHILDREN)))
        return [sys.executable, str(path)]

    return made


def test_a_child_sees_the_events_up_to_each_instant_and_no_more(child):
    recording = ring(200)
    rows, meta = run_child(child(), recording, [json.dumps({"v": 60})])
    when = instants(recording)
    np.testing.assert_array_equal(rows[:, 0], when)
    np.testing.assert_array_equal(rows[:, 2], np.searchsorted(recording.t_us, when, side="right"))
    np.testing.assert_array_equal(rows[:, 3], [recording.p[: int(n)].sum() for n in rows[:, 2]])
    assert 0 <= meta["cpu_s"] < 1
    if sys.platform == "linux":
        assert 5 < meta["peak_mb"] < 60, "the child's own, not that of the process that started it"
    assert (tracks_of(rows, BANDS, 6, meta).band == 0).all()


def test_no_rows_are_no_rows_and_a_failure_is_one_sentence(child, monkeypatch):
    recording = ring(200)
    rows, _ = run_child(child("import sys\nsys.exit(0)"), recording)
    assert rows.shape == (0, 6)
    assert len(tracks_of(rows, BANDS, 6, {})) == 0
    with pytest.raises(RivalError, match="ended with 1: ValueError: no such picture"):
        run_child(child("raise ValueError('no such picture')"), recording)
    monkeypatch.setattr(running, "LONGEST_S", 0.5)
    with pytest.raises(RivalError, match="had not ended after 0"):
        run_child(child("import time\ntime.sleep(60)"), recording)
    long = Recording.from_arrays([0], [0], [0], **SIZE, start_us=0, stop_us=2**31)
    with pytest.raises(RivalError, match="longer than 35 minutes"):
        run_child(child(), long)


def test_slopes_are_those_of_a_fit_and_use_the_past_only():
    rng = np.random.default_rng(0)
    t = np.repeat(np.arange(20) * 5_000.0, 2)
    number = np.tile([4.0, 9.0], 20)
    x, y = rng.normal(0, 1, 40) + 1e-4 * t, rng.normal(0, 1, 40) - 2e-4 * t
    vx, vy = slopes(t, number, x, y, 40_000)
    for k in range(40):
        past = (number == number[k]) & (t <= t[k]) & (t >= t[k] - 40_000)
        if past.sum() < 3:
            assert np.isnan(vx[k])
            continue
        for values, found in ((x, vx), (y, vy)):
            assert found[k] == pytest.approx(np.polyfit(t[past] * 1e-6, values[past], 1)[0], rel=1e-6)
    later = t > 60_000
    changed = slopes(t, number, np.where(later, 0, x), y, 40_000)[0]
    np.testing.assert_array_equal(changed[~later], vx[~later])


def test_what_is_not_installed_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VELOCELL_RIVALS", str(tmp_path / "none"))
    for name in ("jaer_rct", "dv_processing", "eventcv", "dotie_original"):
        assert "not installed; `python -m benchmarks.rivals.foreign" in rival(name).available()
        with pytest.raises(RivalError, match="not installed"):
            rival(name).track(ring(200), 6, BANDS)
    assert main(["jaer"]) == 1
    assert "jaer: needs an installation of jAER" in capsys.readouterr().out
    assert main(["--source", f"jaer={tmp_path}"]) == 1
    assert "holds no jars" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        main(["jear"])
    assert stop.value.code == 2
    assert "there is no 'jear'" in capsys.readouterr().err


def test_a_folder_that_went_away_and_a_new_pin_are_noticed(tmp_path, monkeypatch):
    monkeypatch.setenv("VELOCELL_RIVALS", str(tmp_path / "cache"))
    home = tmp_path / "theirs"
    (home / "part").mkdir(parents=True)
    one = Environment("one", folder="part", what="one")
    assert one.make(home) is None
    assert one.missing() is None
    assert one.source == home
    assert one.make(None) is None
    assert "not installed" in Environment("one", ("other==1",), folder="part").missing()
    (home / "part").rmdir()
    assert "no longer holds part" in one.missing()


SOUND = {
    "eventcv": {"window_ms": 20.0, "min_age": 2, "speed_ms": 80, "min_area": 0.1, "coarse": 0.7},
    "dv_processing": {"speed_ms": 80, "window_ms": 10.0},
    "jaer_rct": {"locationMixingFactor": 0.05, "thresholdMassForVisibleCluster": 5, "speed_ms": 80, "size": 1.7},
    "dotie_original": {"speed_ms": 80},
}


@pytest.mark.parametrize("name", SOUND)
def test_one_clear_disk_is_followed(name):
    """A closed-form scene in which each must succeed: one disk, no noise."""
    one, speed = installed(name), 200.0
    recording = ring(speed)
    tracks = one.track(recording, 6, BANDS, SOUND[name])
    late = tracks.where(tracks.t_us > START_US + 120_000)
    off = np.hypot(late.x_px - (30 + speed * (late.t_us - START_US) * 1e-6), late.y_px - 40)
    assert np.unique(late.t_us[off < 3]).size > 0.9 * 56
    good = off < 3
    assert np.median(np.abs(late.speed_px_s[good] - speed)) < 0.15 * speed
    assert np.median(np.abs((late.heading_deg[good] + 180) % 360 - 180)) < 10
    again = one.track(recording, 6, BANDS, SOUND[name])
    np.testing.assert_array_equal(again.x_px, tracks.x_px)


def test_a_cluster_of_jaer_moves_by_its_mixing_factor():
    """From A, n events at B take a cluster to B + (A - B)(1 - m)^n: the papers' update, through the driver."""
    one, m = installed("jaer_rct"), 0.1
    n = 12
    times = [1_000 * k + 500 for k in range(40 + n)]
    recording = pixels(times, [60] * 40 + [64] * n, [40] * (40 + n), 54_000)
    values = {
        "locationMixingFactor": m, "useVelocity": False, "thresholdMassForVisibleCluster": 2, "size": 2.0,
        "speed_ms": 0,
    }  # fmt: skip
    tracks = one.track(recording, 6, BANDS, values)
    for t, seen in ((45_000, 5), (50_000, 10)):
        x = tracks.x_px[tracks.t_us == START_US + t]
        assert x == pytest.approx([64 - 4 * (1 - m) ** seen], abs=2e-3)


def test_a_component_of_eventcv_is_the_mean_of_its_pixels():
    """A solid square of 5 px that steps 2 px a frame: centroid and velocity are known exactly."""
    one = installed("eventcv")
    times, x, y = [], [], []
    for frame in range(8):
        for k in range(25):
            times.append(5_000 * frame + 2_000 + k)
            x.append(40 + 2 * frame + k % 5)
            y.append(30 + k // 5)
    values = {"window_ms": 4.9, "lead": 0.0, "coarse": 0.1, "min_age": 1, "speed_ms": 0}
    tracks = one.track(pixels(times, x, y, 40_001), 5, BANDS, values)
    frame = (tracks.t_us - START_US) // 5_000 - 1
    np.testing.assert_allclose(tracks.x_px, 42 + 2 * frame, atol=1e-4)
    np.testing.assert_allclose(tracks.y_px, 32, atol=1e-4)
    np.testing.assert_allclose(tracks.speed_px_s, 400, rtol=1e-4)
    assert np.unique(tracks.id).size == 1
    assert len(tracks) == 7


def test_a_mean_shift_of_dv_processing_ends_at_the_middle():
    """A spot that flickers where it stands: the mode is its middle."""
    one = installed("dv_processing")
    rng = np.random.default_rng(1)
    t = np.sort(rng.integers(0, 300_000, 9_000))
    r, angle = 3 * np.sqrt(rng.uniform(0, 1, t.size)), rng.uniform(0, 2 * np.pi, t.size)
    x, y = np.rint(80 + r * np.cos(angle)), np.rint(40 + r * np.sin(angle))
    tracks = one.track(pixels(t.tolist(), x.astype(int).tolist(), y.astype(int).tolist(), 300_000), 6, BANDS)
    late = tracks.where(tracks.t_us > START_US + 150_000)
    assert np.unique(late.id).size == 1
    assert len(late) == 30
    assert np.hypot(late.x_px - 80, late.y_px - 40).max() < 1.5


def test_a_neuron_of_dotie_passes_what_is_dense_only():
    """Its own weights, 0.15 around 0.2: an event on each of nine pixels makes 1.4 > 1 in the middle; one alone, 0.2."""
    one = installed("dotie_original")
    times, x, y = [], [], []
    for frame in range(8):
        for k in range(49):
            times.append(5_000 * frame + 2_000 + k)
            x.append(100 + k % 7)
            y.append(30 + k // 7)
            times.append(times[-1])
            x.append(3 + 5 * (k % 7))
            y.append(20 + 5 * (k // 7))
    values = {"weight": 0.15, "centre": 0.2, "beta": 0.3, "min_samples": 5, "min_diagonal": 1.0, "speed_ms": 20}
    order = np.argsort(times, kind="stable")
    recording = pixels(
        np.array(times)[order].tolist(), np.array(x)[order].tolist(), np.array(y)[order].tolist(), 41_000
    )
    tracks = one.track(recording, 5, BANDS, values)
    assert len(tracks)
    assert np.abs(tracks.x_px - 103).max() < 0.6
    assert np.abs(tracks.y_px - 33).max() < 0.6
