"""Calibration and detection on coarse stamps: what stays as it is, what follows from the step, how well it goes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from velocell.calibration.formulas import calibrate, choose_dt_us
from velocell.calibration.measure import networks_for
from velocell.calibration.search import Search
from velocell.cli.app import app
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks
from velocell.errors import CalibrationError
from velocell.formats import write_npz
from velocell.network import Network
from velocell.network.kernels import circular_kernel
from velocell.network.origin import Origin, told_by_stamps
from velocell.pipeline import detect
from velocell.results.evaluate import evaluate
from velocell.simulate import Scene, SceneObject, random_scene, simulate

WIDE = (40.0, 160.0, 640.0, 2200.0)


def floored(recording: Recording, step_us: int) -> Recording:
    return replace(recording, t_us=recording.t_us // step_us * step_us)


@pytest.fixture(scope="module")
def scene() -> tuple[Recording, Tracks]:
    return simulate(
        random_scene(4, width=240, height=180, radius=6, speeds=(150, 2000), contrast=3, noise_hz=0.2, seed=90_100,
                     duration_us=600_000)
    )  # fmt: skip


def same(one: Network, other: Network) -> bool:
    layers = zip(one.layers, other.layers, strict=True)
    return (
        one.dt_us == other.dt_us
        and one.trail_filter == other.trail_filter
        and one.origin == other.origin
        and all(
            np.array_equal(a.kernel, b.kernel)
            and np.array_equal(a.neurons.v_th, b.neurons.v_th)
            and np.array_equal(a.neurons.tau_mem_inv, b.neurons.tau_mem_inv)
            for a, b in layers
        )
    )


# --- the network ------------------------------------------------------------------------------------


@pytest.mark.parametrize("step_us", [1, 2, 10, 50])
@pytest.mark.parametrize("contrast", [None, 3.0])
def test_fine_stamps_change_nothing(step_us, contrast):
    assert same(calibrate(WIDE, 6, contrast=contrast), calibrate(WIDE, 6, contrast=contrast, step_us=step_us))


def test_the_tick_never_falls_below_the_step():
    assert choose_dt_us(2200) == 200
    assert choose_dt_us(2200, step_us=1_000) == 1_000
    assert choose_dt_us(2200, step_us=204) == 204
    assert choose_dt_us(500, step_us=204) == 4 * 204  # of 1 ms: as many stamps in each tick
    assert choose_dt_us(500, step_us=10) == 1_000


def test_rings_are_as_wide_as_their_band_is_smeared():
    network = calibrate(WIDE, 6, step_us=1_000)
    assert network.dt_us == 1_000
    assert network.origin.step_us == 1_000
    # Up to .16 and .64 px in a step: as ever; up to 2.2 and, beyond the bands, 1.5 times that.
    kernels = network.layers[0].kernel[:, 0]
    for kernel, width in zip(kernels, (2.0, 2.0, 2.2, 3.3), strict=True):
        expected = circular_kernel(6.0, width)[0, 0]
        margin = (kernel.shape[0] - expected.shape[0]) // 2
        np.testing.assert_array_equal(kernel, np.pad(expected, margin))
    assert network.trail_filter is not None
    assert all(us % 1_000 == 0 and us >= 2_000 for us in network.trail_filter.silence_us)
    fine = calibrate(WIDE, 6)
    np.testing.assert_array_equal(network.layers[1].kernel, fine.layers[1].kernel)


def test_a_step_may_be_the_tick_where_as_long_a_tick_would_be_refused():
    with pytest.raises(CalibrationError, match="in dt = 1000 us a disk at 2200 px/s moves"):
        calibrate(WIDE, 6, dt_us=1_000)
    with pytest.raises(CalibrationError, match="in dt = 2000 us"):
        calibrate(WIDE, 6, dt_us=2_000, step_us=1_000)
    assert calibrate(WIDE, 6, dt_us=1_000, step_us=1_000).dt_us == 1_000


def test_the_origin_says_what_the_step_allows(tmp_path):
    network = calibrate(WIDE, 6, step_us=1_000)
    assert told_by_stamps(network) == (
        "stamps come in steps of 1ms, in which 2200 px/s make 2.2 px; disks of 6 px can be followed at up to 4000 px/s"
    )
    told = told_by_stamps(calibrate(WIDE, 2.5, step_us=1_000))
    assert told is not None
    assert "disks of 2.5 px are missed above about 1900 px/s" in told
    assert told_by_stamps(calibrate(WIDE, 6)) is None
    network.to_toml(tmp_path / "net.toml")
    again = Network.from_toml(tmp_path / "net.toml").origin
    assert again.step_us == 1_000
    assert again == network.origin
    assert isinstance(again, Origin)


# --- detection --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dt_us", [None, 1_000])
def test_frames_of_a_millisecond_lose_nothing(scene, dt_us):
    recording, truth = scene
    found = detect(floored(recording, 1_000), WIDE, 6.0, dt_us=dt_us)
    scores = evaluate(found.tracks, truth, WIDE)
    assert found.network.origin.step_us == 1_000
    assert scores.recall >= 0.95
    assert scores.precision >= 0.98
    assert scores.band_accuracy >= 0.97
    assert scores.localisation_median_px < 0.3


def test_without_the_step_they_would(scene):
    # The network for fine stamps, on coarse ones: the test above can fail.
    recording, truth = scene
    network = calibrate(WIDE, 6.0, crossing_share=1.06)
    scores = evaluate(detect(floored(recording, 1_000), network=network).tracks, truth, WIDE)
    assert scores.recall < 0.8


def test_slow_disks_in_frames_of_ten_milliseconds():
    bands = (10.0, 40.0, 100.0, 220.0)
    disks = random_scene(3, width=160, height=120, radius=6, speeds=(30, 190), contrast=3, seed=90_300)
    recording, truth = simulate(disks)
    scores = evaluate(detect(floored(recording, 10_000), bands, 6.0).tracks, truth, bands)
    assert scores.recall >= 0.95
    assert scores.band_accuracy >= 0.97


def test_scanned_rows_are_not_spread(scene):
    recording, truth = scene
    step = 1_000
    phase = recording.y.astype(np.int64) * step // recording.height
    t = (recording.t_us - phase) // step * step + phase + step
    order = np.argsort(t, kind="stable")
    scanned = replace(
        recording, t_us=t[order], x=recording.x[order], y=recording.y[order], p=recording.p[order], stop_us=602_000
    )
    found = detect(scanned, WIDE, 6.0)
    scores = evaluate(found.tracks, truth, WIDE)
    assert (found.network.origin.step_us, found.network.origin.scanned) == (1_000, True)
    assert scores.recall >= 0.95
    assert scores.band_accuracy >= 0.97


def test_the_command_and_a_stream_say_so_and_agree(tmp_path):
    disk = SceneObject(id=0, x_px=30, y_px=40, radius_px=6, speed_px_s=1500, heading_deg=25, bounce=True)
    recording = floored(simulate(Scene(160, 120, 400_000, seed=5, objects=(disk,)))[0], 1_000)
    file, table, lines = tmp_path / "frames.npz", tmp_path / "t.csv", tmp_path / "t.jsonl"
    write_npz(recording, file)
    look = ["--bands", "40,160,640,2200", "--radius", "6"]
    result = CliRunner().invoke(app, ["detect", str(file), *look, "--dt", "1ms", "-o", str(table)])
    assert result.exit_code == 0, result.stderr
    assert "note: " in result.stderr
    assert "stamps come in steps of 1ms, in which 2200 px/s make 2.2 px" in result.stderr
    result = CliRunner().invoke(app, ["live", f"replay:{file}", *look, "--speed", "max", "-o", str(lines)])
    assert result.exit_code == 0, result.stderr
    assert "stamps come in steps of 1ms" in result.stderr
    detected, streamed = Tracks.read(table), Tracks.read(lines)
    assert len(detected) > 50
    np.testing.assert_array_equal(detected.t_us, streamed.t_us)
    np.testing.assert_allclose(detected.x_px, streamed.x_px)
    assert "looked at" not in streamed.meta["camera"]
    result = CliRunner().invoke(app, ["info", str(file)])
    assert "in steps of 1ms" in result.stdout


def test_the_step_is_measured_on_what_the_search_sees(scene):
    recording, _ = scene
    coarse = networks_for(floored(recording, 1_000), Search.of(WIDE, 6.0, contrast=3.0))[0]
    assert coarse.origin.step_us == 1_000
    assert networks_for(recording, Search.of(WIDE, 6.0, contrast=3.0))[0].origin.step_us is None
