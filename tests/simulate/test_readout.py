"""Stamps, scans, queues and repeats; the presets; noise; what is refused."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from velocell.data.recording import Recording
from velocell.errors import SceneError
from velocell.simulate import Motion, Occluder, Scene, SceneObject, random_scene, simulate
from velocell.simulate.readout import read_out
from velocell.simulate.sensor import PRESETS, Pixel, Readout, sensor_named

Floats = NDArray[np.float64]

DISK = SceneObject(x_px=20, y_px=30, radius_px=8, speed_px_s=400, contrast=4)
IDEAL = Scene(100, 60, 150_000, objects=(DISK,))


def drawn(n: int = 5_000, seed: int = 0) -> tuple[Floats, NDArray[np.int64], NDArray[np.bool_]]:
    """Events all over a sensor of 20x10 in 50 ms."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 50_000, n), rng.integers(0, 200, n), rng.random(n) < 0.5


def out(
    readout: Readout, t: Floats, pixel: NDArray[np.int64], on: NDArray[np.bool_]
) -> tuple[Floats, NDArray[np.int64]]:
    return read_out(readout, 20, 10, t, pixel, on, np.random.default_rng(1))


@pytest.mark.parametrize("step", [200, 1000])
def test_stamps_come_in_steps(step: int) -> None:
    plain, _ = simulate(IDEAL)
    coarse, truth = simulate(replace(IDEAL, sensor_settings={"stamp_us": step}))
    assert np.array_equal(coarse.t_us, plain.t_us // step * step)
    assert set(coarse.t_us % step) == {0}
    assert np.array_equal(np.sort(coarse.x), np.sort(plain.x))
    assert len(truth) == 150


@pytest.mark.parametrize("lines", ["row", "column"])
def test_a_scan_reads_lines_in_turn_and_their_events_share_the_stamp(lines: str) -> None:
    t, pixel, on = drawn()
    stamps, index = out(Readout(scan_us=250.0, lines=lines), t, pixel, on)
    line, count = (pixel[index] // 20, 10) if lines == "row" else (pixel[index] % 20, 20)
    phase = stamps / 250.0 - line / count
    assert phase == pytest.approx(np.rint(phase), abs=1e-6)
    wait = stamps - t[index]
    assert wait.min() >= 0
    assert wait.max() < 250
    assert wait.mean() == pytest.approx(125, abs=6)
    # A pixel has one event a scan, the first.
    seen = set(zip(pixel[index].tolist(), np.rint(phase).tolist(), strict=True))
    assert len(seen) == index.size < t.size
    kept = np.isin(np.arange(t.size), index)
    scan = np.ceil(t / 250.0 - (pixel // 20 / 10 if lines == "row" else pixel % 20 / 20))
    for lost in np.flatnonzero(~kept)[:50]:
        rivals = kept & (pixel == pixel[lost]) & (scan == scan[lost])
        assert t[rivals].max() <= t[lost]
    # Who does not hold loses nothing.
    assert out(Readout(scan_us=250.0, lines=lines, hold=False), t, pixel, on)[1].size == t.size


def test_lines_queue_for_the_bus() -> None:
    t, pixel, on = drawn(2_000)
    stamps, index = out(Readout(bus_us=20.0), t, pixel, on)
    order = np.lexsort((pixel // 20, t))
    leaves, free = [], 0.0
    for event in order:  # the definition, one by one
        leaves.append(max(t[event], free))
        free = leaves[-1] + 20.0
    assert stamps[order] == pytest.approx(np.array(leaves))
    assert np.array_equal(index, np.arange(t.size))
    # Of one line at one time: together.
    together, _ = out(Readout(bus_us=20.0), np.zeros(6), np.array([0, 1, 2, 40, 41, 20]), np.ones(6, bool))
    assert together.tolist() == [0, 0, 0, 40, 40, 20]


def test_repeats_come_soon_after_with_the_same_pixel_and_polarity() -> None:
    t, pixel, on = drawn(20_000)
    stamps, index = out(Readout(repeat_on=0.1, repeat_off=0.3), t, pixel, on)
    again = index[t.size :]
    assert on[again].sum() / on.sum() == pytest.approx(0.1, abs=0.015)
    assert (~on[again]).sum() / (~on).sum() == pytest.approx(0.3, abs=0.02)
    late = stamps[t.size :] - t[again]
    assert late.min() >= 1
    assert late.max() <= 5


# --- presets ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "ideal"])
def test_each_preset_makes_its_own_events_of_any_scene(name: str) -> None:
    scene = replace(random_scene(3, width=128, height=96, duration_us=200_000, seed=2), sensor=name)
    recording, truth = simulate(scene)
    again, _ = simulate(scene)
    other, _ = simulate(replace(scene, seed=3))
    for column in ("t_us", "x", "y", "p"):
        assert np.array_equal(getattr(recording, column), getattr(again, column))
    assert not np.array_equal(recording.t_us[:200], other.t_us[:200])
    assert np.array_equal(truth.x_px, simulate(replace(scene, sensor="ideal"))[1].x_px)
    assert len(recording) > 2_000
    assert recording.t_us[-1] < 200_000


def test_a_fast_dark_disk_leaves_the_trails_of_a_real_gen3() -> None:
    """Recorded: 18 ON events in 2.35 ms behind the disk, 9 OFF events in .92 ms before it."""
    disk = SceneObject(x_px=20, y_px=30, radius_px=15, speed_px_s=13_000, brightness=0.05)
    scene = Scene(300, 60, 30_000, sensor="gen3", light_lux=1_000, lens_blur_px=0.7, objects=(disk,))
    recording, _ = simulate(scene)
    path = recording.mask((np.abs(recording.y.astype(int) - 30) < 5) & (recording.x > 60) & (recording.x < 250))
    spread: dict[bool, list[float]] = {True: [], False: []}
    counts: dict[bool, list[int]] = {True: [], False: []}
    for x in range(100, 200, 3):
        for y in range(26, 35):
            pixel = path.mask((path.x == x) & (path.y == y))
            for on in (True, False):
                t = pixel.t_us[pixel.p == on]
                counts[on].append(t.size)
                spread[on].append(float(np.ptp(t)))
    assert np.median(counts[True]) == pytest.approx(18, abs=3)
    assert np.median(counts[False]) == pytest.approx(9, abs=2)
    assert np.median(spread[True]) == pytest.approx(2_350, rel=0.25)
    assert np.median(spread[False]) == pytest.approx(920, rel=0.25)
    assert np.median(spread[True]) / np.median(spread[False]) == pytest.approx(2.5, rel=0.25)


def test_a_scanned_preset_shares_stamps_along_columns() -> None:
    recording, _ = simulate(replace(IDEAL, sensor="dvxplorer"))
    stamp, first = np.unique(recording.t_us, return_index=True)
    lengths = np.diff(np.append(first, len(recording)))
    shared = np.flatnonzero(lengths > 1)
    assert shared.size > 50
    columns = [np.ptp(recording.x[first[k] : first[k] + lengths[k]].astype(int)) for k in shared]
    assert max(columns) <= 1  # 100 columns in 197 us: a stamp of 1 us may hold the end of one
    assert stamp.size < len(recording)


# --- noise --------------------------------------------------------------------------------------------


def dark_room(**settings: object) -> Recording:
    quiet = {f.name: 0.0 for f in fields(Pixel) if f.name in ("leak_hz", "shot_hz", "hot_share", "jitter_us")}
    quiet |= {"scan_us": 0.0, "bus_us": 0.0, "repeat_off": 0.0}
    return simulate(Scene(120, 100, 4_000_000, sensor="gen3", sensor_settings=quiet | settings))[0]


def per_pixel(recording: Recording) -> NDArray[np.int64]:
    pixel = recording.y.astype(int) * recording.width + recording.x
    return np.bincount(pixel, minlength=recording.width * recording.height)


def test_a_still_scene_without_noise_is_silent() -> None:
    assert len(dark_room()) == 0


def test_shot_noise_is_heavy_tailed() -> None:
    even = dark_room(shot_hz=0.5, shot_spread=0.0, shot_more=0.0, shot_on=0.3)
    counts = per_pixel(even)
    assert counts.mean() == pytest.approx(2.0, rel=0.02)
    assert counts.var() == pytest.approx(counts.mean(), rel=0.05)  # Poisson
    assert even.p.mean() == pytest.approx(0.3, abs=0.01)
    heavy = dark_room(shot_hz=0.5, shot_spread=2.0, shot_more=0.0)
    counts = np.sort(per_pixel(heavy))[::-1]
    # A lognormal of spread s has Phi(s - z) of its sum in its upper share 1 - Phi(z); z = 2.326 for 1 %.
    assert counts[:120].sum() / counts.sum() == pytest.approx(0.372, abs=0.08)
    assert counts.mean() == pytest.approx(2.0, rel=0.2)
    assert np.median(counts) == 0


def test_shot_noise_comes_in_pairs() -> None:
    single, pairs = (dark_room(shot_hz=0.5, shot_spread=0.0, shot_more=more) for more in (0.0, 1.0))
    assert len(pairs) == pytest.approx(len(single), rel=0.05)
    fano = []
    for recording in (single, pairs):
        windows = np.bincount(recording.t_us // 10_000, minlength=400)
        fano.append(windows.var() / windows.mean())
    # Of clusters of a geometric length with mean m: E(n^2) / E(n) = 2 m - 1.
    assert fano[0] == pytest.approx(1.0, abs=0.25)
    assert fano[1] == pytest.approx(3.0, abs=0.75)
    order = np.lexsort((pairs.t_us, pairs.y.astype(int) * pairs.width + pairs.x))
    t, p, pixel = pairs.t_us[order], pairs.p[order], (pairs.y.astype(int) * pairs.width + pairs.x)[order]
    close = (pixel[1:] == pixel[:-1]) & (np.diff(t) < 5_000)
    assert close.sum() > 1_000
    assert (p[1:] != p[:-1])[close].mean() > 0.95


def test_shot_noise_grows_in_the_dark() -> None:
    settings = {"shot_hz": 0.5, "shot_spread": 0.0, "leak_hz": 0.0, "hot_share": 0.0}
    scene = Scene(120, 100, 1_000_000, sensor="gen3", sensor_settings=settings)
    bright, dim = (len(simulate(replace(scene, light_lux=lux))[0]) for lux in (300.0, 75.0))
    assert dim / bright == pytest.approx(2.0, rel=0.05)


def test_leak_is_on_only_and_hot_pixels_are_few() -> None:
    leak = dark_room(leak_hz=1.0, leak_spread=0.5)
    assert leak.p.all()
    assert per_pixel(leak).mean() == pytest.approx(4.0, rel=0.05)
    hot = dark_room(hot_share=0.01, hot_hz=20.0)
    counts = per_pixel(hot)
    assert (counts > 0).sum() == pytest.approx(120, abs=40)
    assert np.median(counts[counts > 0]) == pytest.approx(80, rel=0.8)


# --- what is refused ----------------------------------------------------------------------------------

HEAD = "width = 50\nheight = 40\nduration_us = 1000\n"
REAL = HEAD + "sensor = 'davis346'\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "sensor = 'dvs64'\n", "sensor of the scene is 'dvs64'; use one of ideal, dvs128, davis346, dvxplorer"),
        (REAL + "[sensor_settings]\nthreshold_on = 0\n", "threshold_on of the sensor is 0; it must be above 0"),
        (REAL + "[sensor_settings]\nthreshold_off = -0.1\n", "threshold_off of the sensor is -0.1; it must be above 0"),
        (REAL + "[sensor_settings]\ncutoff_hz = 1e6\n", "cutoff_hz of the sensor is 1e[+]06 Hz, which steps of"),
        (REAL + "[sensor_settings]\nfollower_on_hz = 0\n", "follower_on_hz and follower_off_hz .* belong together"),
        (REAL + "[sensor_settings]\nthreshold = 1\n", "unknown key 'threshold' in sensor_settings of davis346"),
        (REAL + "[sensor_settings]\nleak_hz = 'a'\n", "'leak_hz' in sensor_settings must be a number, got 'a'"),
        (REAL + "[sensor_settings]\nhold = 1\n", "'hold' in sensor_settings must be true or false, got 1"),
        (REAL + "[sensor_settings]\nlines = 'spiral'\n", "lines of the sensor is 'spiral'; use row or column"),
        (REAL + "[sensor_settings]\nstamp_us = 0.5\n", "stamp_us of the sensor is 0.5; it must be a whole number"),
        (REAL + "[sensor_settings]\nhot_share = 2\n", "hot_share of the sensor is 2; it must be between 0 and 1"),
        (REAL + "[sensor_settings]\nshot_hz = inf\n", "shot_hz of the sensor is inf; it must be a finite number"),
        (REAL + "sensor_settings = 3\n", r"'sensor_settings' in the scene must be a table"),
        (HEAD + "[sensor_settings]\nleak_hz = 1\n", "unknown key 'leak_hz' in sensor_settings of ideal"),
        (REAL + "threshold_mismatch = 0.1\n", "threshold_mismatch is for the ideal pixel; give davis346 a mismatch in"),
        (REAL + "light_lux = 0\n", "light_lux is 0.0; a scene without light has no events, give it more"),
        (REAL + "light_lux = inf\n", "light_lux of the scene is inf"),
        (REAL + "[sensor_settings]\nthreshold_on = 1e-9\n", "threshold_on of the sensor is 1e-09, finer than"),
        (REAL + "[sensor_settings]\nleak_hz = 1e9\n", "leak_hz of the sensor is 1e[+]09, more than a pixel can fire"),
        (REAL + "lamp_hz = 1e6\n", "lamp_hz of the scene is 1e[+]06; it must be at most 10000"),
        (REAL + "background = 'sky'\n", "background of the scene is 'sky'; use one of flat, gradient, texture"),
        (REAL + "background_ratio = 0.5\n", "background_ratio is 0.5; it is the brightest by the darkest"),
        (REAL + "lamp_depth = 1\n", "lamp_depth is 1.0; it must be at least 0 and below 1"),
        (REAL + "vibration_px = -1\n", "vibration_px of the scene is -1.0; it must be 0 or more"),
        (HEAD + "lens_blur_px = 1\n", "so it takes no lens_blur_px; choose another sensor"),
        (HEAD + "background = 'texture'\n", "the ideal pixel does not see light, so it takes no background"),
        (HEAD + "[[objects]]\nid = 3\nbrightness = 2\n", "so it takes no brightness of object 3"),
        (HEAD + "[[objects]]\naspect = 1.5\n", "aspect of object 0 is 1.5; it is the short half-axis by the long one"),
        (HEAD + "[[objects]]\naspect = 0.5\nshape = 'bar'\n", "aspect of object 0 is for disks only"),
        (REAL + "[[objects]]\nprofile = 'cube'\n", "profile of object 0 is 'cube'; use one of flat, ball"),
        (REAL + "[[objects]]\nhighlight = 2\n", "highlight of object 0 needs profile = 'ball'"),
        (REAL + "[[objects]]\nbrightness = 0\n", "brightness of object 0 is 0.0; it must be above 0"),
        (HEAD + "[[objects]]\npath = [[0, 1, 1]]\n", "path of object 0 has one point; give two or more"),
        (HEAD + "[[objects]]\npath = [[9, 1, 1], [9, 2, 2]]\n", "path of object 0 goes back in time from 9 to 9 us"),
        (HEAD + "[[objects]]\npath = [1, 2]\n", r"'path' in \[\[objects\]\] number 1 must be a list \[\[t"),
        (HEAD + "[[objects]]\nbounce = true\nx_px = 20\ny_px = 20\nmotion = {ax_px_s2 = 1}\n", "object 0 cannot fall"),
        (HEAD + "[[objects]]\nmotion = {speed = 1}\n", r"unknown key 'speed' in the motion of \[\[objects\]\]"),
        (HEAD + "[[objects]]\nmotion = 3\n", r"'motion' in \[\[objects\]\] number 1 must be a table"),
        (HEAD + "[[objects]]\nmotion = {stops_us = [[5, 5]]}\n", "a stop from 5 to 5 us has no length"),
        (HEAD + "[[objects]]\nmotion = {stops_us = [[1, 5], [4, 9]]}\n", "the stops_us that end at 5 and begin"),
        (HEAD + "[[occluders]]\nx0_px = 5\ny0_px = 1\nx1_px = 5\ny1_px = 9\n", "an occluder from .* has no area"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_a_sentence(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "scene.toml"
    path.write_text(text)
    with pytest.raises(SceneError, match=message) as caught:
        Scene.from_toml(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("scene", "message"),
    [
        (Scene(50, 40, 1_000_000, sensor="gen3", objects=(SceneObject(speed_px_s=1e7),)), "object 0 travels 1e[+]07"),
        (Scene(50, 40, 10**9, sensor="gen3", lamp_depth=0.1, lamp_hz=1000.0), "a scene of 1000 s is too long"),
    ],
)  # fmt: skip
def test_what_would_take_for_ever_is_refused(scene: Scene, message: str) -> None:
    with pytest.raises(SceneError, match=message):
        simulate(scene)


def test_everything_goes_through_toml_and_back(tmp_path: Path) -> None:
    scene = Scene(
        80, 60, 50_000, sensor="gen4",
        sensor_settings={"leak_hz": 0.5, "lines": "column", "hold": False, "stamp_us": 5},
        light_lux=50.0, background="texture", lens_blur_px=0.5, lamp_depth=0.1, vibration_px=0.2,
        occluders=(Occluder(1.0, 2.0, 3.0, 4.5, brightness=2.0),),
        objects=(
            SceneObject(id=0, motion=Motion(accel_px_s2=-5.0, stops_us=((10.0, 20.0), (30.0, 40.0))), aspect=0.5),
            SceneObject(id=1, path=((0.0, 1.0, 2.0), (9.0, 3.0, 4.0)), brightness=0.5, profile="ball", highlight=3.0),
        ),
    )  # fmt: skip
    scene.to_toml(tmp_path / "scene.toml")
    assert Scene.from_toml(tmp_path / "scene.toml") == scene
    assert Scene.from_dict(scene.to_dict()) == scene


def test_settings_replace_what_the_preset_says() -> None:
    sensor = sensor_named("gen3", {"threshold_on": 0.5, "stamp_us": 1000})
    assert sensor.pixel is not None
    assert sensor.pixel == replace(PRESETS["gen3"].pixel, threshold_on=0.5)
    assert sensor.readout == replace(PRESETS["gen3"].readout, stamp_us=1000)
