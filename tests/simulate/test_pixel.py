"""The simulated pixel against closed forms, and against a slow simulator that steps through whole frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from velocell._native import simulate_pixels
from velocell.data.recording import Recording
from velocell.simulate import Flicker, Occluder, Scene, SceneObject, pixels, simulate
from velocell.simulate.light import Picture
from velocell.simulate.sensor import Pixel

Floats = NDArray[np.float64]

QUIET: dict[str, object] = {
    "mismatch": 0.0, "cutoff_hz": 0.0, "follower_on_hz": 0.0, "follower_off_hz": 0.0, "cutoff_spread": 0.0,
    "refractory_us": 0.0, "jitter_us": 0.0, "leak_hz": 0.0, "shot_hz": 0.0, "hot_share": 0.0, "dark_lux": 0.0,
    "scan_us": 0.0, "bus_us": 0.0, "repeat_off": 0.0,
}  # fmt: skip


NO_FRAMES = {
    "frame_t": np.empty(0), "frame_level": np.empty((0, 1), np.float32),
    "lamp_t": np.empty(0), "lamp_level": np.empty(0),
}  # fmt: skip


def one_pixel(t: list[float], level: list[float], *, on: float = 0.2, off: float = 0.2, **settings: float) -> tuple:
    """(times in s, polarities) of a pixel that starts at ln(light) = 0, remembered exactly."""
    rules = {
        "cutoff_per_lux": 0.0, "cutoff_most": 0.0, "follower_on": 0.0, "follower_off": 0.0, "refractory": 0.0,
        "duration": 1.0, "leak": 0.0, "offset": 0.0, "speed": 1.0,
    } | settings  # fmt: skip
    rules |= NO_FRAMES
    for name in ("leak", "offset", "speed"):
        rules[name] = np.array([rules[name]], np.float32)
    times, pixel, up = simulate_pixels(
        **rules, start=np.zeros(1, np.float32), threshold_on=np.array([on], np.float32),
        threshold_off=np.array([off], np.float32), pixel=np.zeros(len(t), np.int32), t=np.array(t, float),
        level=np.array(level, np.float32),
    )  # fmt: skip
    assert (pixel == 0).all()
    return times, up


@pytest.mark.parametrize(
    ("change", "on", "off", "count"), [(1.5, 0.2, 0.4, 7), (-1.5, 0.2, 0.4, 3), (0.1, 0.2, 0.2, 0)]
)
def test_an_edge_gives_the_log_ratio_by_the_threshold(change: float, on: float, off: float, count: int) -> None:
    t, up = one_pixel([0.1, 0.2], [0.0, change], on=on, off=off)
    assert t.size == count == int(abs(change) / (on if change > 0 else off))
    assert (up == (change > 0)).all()
    # A ramp of 0.1 s: the k-th event where it has climbed k thresholds.
    step = on if change > 0 else off
    assert t == pytest.approx(0.1 + 0.1 * step / abs(change) * np.arange(1, count + 1), abs=1e-6)


def test_a_step_through_the_photoreceptor_has_its_time_constant() -> None:
    w = 2 * np.pi * 50
    t, up = one_pixel([0.1, 0.1 + 1e-7], [0.0, 2.0], on=0.1, cutoff_per_lux=1e9, cutoff_most=w)
    k = np.arange(1, 20)
    assert up.all()
    # The 20th threshold would be reached at infinity.
    assert t[:19] - 0.1 == pytest.approx(-np.log(1 - 0.1 * k / 2.0) / w, abs=0.01 / w)


def test_the_cutoff_goes_with_the_light_up_to_its_largest() -> None:
    def first(level: float, most: float) -> float:
        """Time of the first event after a step up from this level, in time constants of 1 Hz."""
        w = 2 * np.pi
        rules = {"cutoff_per_lux": w * 3, "cutoff_most": w * most}
        t, _ = one_pixel([0.0, 1e-9, 0.5, 0.5 + 1e-7], [0.0, level, level, level + 0.4], on=0.2, off=9.0, **rules)
        # The pixel remembers a multiple of its threshold.
        share = (0.2 - level % 0.2) / 0.4
        return float(t[t > 0.5][0] - 0.5) * w / -np.log(1 - share)

    # While it sees the light after the step.
    assert first(np.log(10.0), 1e5) == pytest.approx(1 / (3 * 10 * np.exp(0.4)), rel=0.03)
    assert first(np.log(100.0), 1e5) == pytest.approx(1 / (3 * 100 * np.exp(0.4)), rel=0.03)
    assert first(np.log(1000.0), 200.0) == pytest.approx(1 / 200, rel=0.03)


def test_the_buffer_makes_on_trains_longer_than_off_trains() -> None:
    w = 2 * np.pi
    t, up = one_pixel([0.1, 0.1 + 1e-7, 0.5, 0.5 + 1e-7], [0.0, 0.97, 0.97, 0.05], on=0.1, off=0.1, follower_on=w * 40,
                      follower_off=w * 200)  # fmt: skip
    # ON at .1 to .9 on the way to .97, OFF at .8 to .1 on the way to .05.
    assert np.ptp(t[up]) == pytest.approx(np.log(0.87 / 0.07) / (w * 40), rel=0.02)
    assert np.ptp(t[~up]) == pytest.approx(np.log(0.75 / 0.05) / (w * 200), rel=0.02)


def test_a_blind_pixel_loses_what_changes_meanwhile() -> None:
    t, _ = one_pixel([0.1, 0.2], [0.0, 1.0], on=0.1, refractory=0.015)
    # 10 a second: .01 s to the threshold, .015 s blind, then again from there.
    assert t == pytest.approx(0.11 + 0.025 * np.arange(4), abs=1e-6)


def test_leak_makes_on_events_at_its_rate_in_the_dark_and_adds_to_a_rise() -> None:
    t, up = one_pixel([], [], on=0.2, leak=0.2 * 25.5)
    assert up.all()
    assert t == pytest.approx(np.arange(1, 26) / 25.5, abs=1e-4)
    t, _ = one_pixel([0.0, 1.0], [0.0, 2.0], on=0.2, leak=0.2 * 5)
    assert t.size in (14, 15)


def test_arrays_that_do_not_fit_are_refused() -> None:
    names = ("start", "threshold_on", "threshold_off", "leak", "offset", "speed")
    with pytest.raises(ValueError, match="a pixel that does not exist"):
        simulate_pixels(
            cutoff_per_lux=0.0, cutoff_most=0.0, follower_on=0.0, follower_off=0.0, refractory=0.0, duration=1.0,
            **dict.fromkeys(names, np.ones(2, np.float32)), **NO_FRAMES,
            pixel=np.array([2], np.int32), t=np.array([0.1]), level=np.array([1.0], np.float32),
        )  # fmt: skip
    with pytest.raises(ValueError, match="samples differ in length"):
        one_pixel([0.1], [])


# --- whole scenes -------------------------------------------------------------------------------------


def scene_of(*items: SceneObject, **settings: object) -> Scene:
    values: dict[str, object] = {"sensor": "davis346", "sensor_settings": QUIET}
    return Scene(64, 48, 200_000, objects=items, **(values | settings))  # type: ignore[arg-type]


def stepped(scene: Scene, step_s: float) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """ON and OFF events per pixel and the mean time of them all: frame after frame, without interpolation."""
    pixel = scene.chip.pixel
    assert pixel is not None
    picture = Picture(scene, pixel)
    u = v = picture.frame(0.0, 0, scene.height)
    on, off, total = np.zeros(u.size, int), np.zeros(u.size, int), 0.0
    # What the pixels remember at first is drawn; the reference takes it from there.
    seen = v - pixels._Pixels.of(scene, pixel).offset
    for t in np.arange(step_s, scene.duration_us * 1e-6, step_s):
        ln = picture.frame(float(t), 0, scene.height) + picture.lamp(t)
        if pixel.cutoff_hz:
            w = 2 * np.pi * np.minimum(pixel.cutoff_hz_per_lux * np.exp(ln), pixel.cutoff_hz)
            u = u + (1 - np.exp(-w * step_s)) * (ln - u)
        else:
            u = ln
        if pixel.follower_on_hz:
            w = 2 * np.pi * np.where(u > v, pixel.follower_on_hz, pixel.follower_off_hz)
            v = v + (1 - np.exp(-w * step_s)) * (u - v)
        else:
            v = u
        up = np.maximum(np.floor((v - seen) / pixel.threshold_on), 0).astype(int)
        down = np.maximum(np.floor((seen - v) / pixel.threshold_off), 0).astype(int)
        seen = seen + up * pixel.threshold_on - down * pixel.threshold_off
        on, off, total = on + up, off + down, total + t * (up + down).sum()
    return on, off, total / max(on.sum() + off.sum(), 1)


SCENES = {
    "a disk": scene_of(SceneObject(x_px=10, y_px=24, radius_px=6, speed_px_s=150, brightness=3.0)),
    "a dark ellipse on a texture": scene_of(
        SceneObject(x_px=10, y_px=24, radius_px=7, aspect=0.6, axis_deg=30, speed_px_s=150, brightness=0.4),
        background="texture",
    ),
    "a ball": scene_of(
        SceneObject(x_px=10, y_px=24, radius_px=7, speed_px_s=150, brightness=1.5, profile="ball", highlight=4.0)
    ),
    "two that cross behind a post": scene_of(
        SceneObject(id=0, x_px=12, y_px=20, radius_px=6, speed_px_s=200, brightness=3.0),
        SceneObject(id=1, x_px=50, y_px=26, radius_px=5, speed_px_s=200, heading_deg=180, brightness=0.3),
        occluders=(Occluder(40, -1, 45, 30, brightness=2.0),),
    ),
    "slow pixels": scene_of(
        SceneObject(x_px=10, y_px=24, radius_px=6, speed_px_s=150, brightness=3.0),
        light_lux=20.0,
        sensor_settings=QUIET | {"cutoff_hz": 300.0, "follower_on_hz": 60.0, "follower_off_hz": 120.0},
    ),
    "a lamp": scene_of(SceneObject(x_px=10, y_px=24, radius_px=6, speed_px_s=150, brightness=3.0), lamp_depth=0.3),
    "trembling": scene_of(
        SceneObject(x_px=10, y_px=24, radius_px=6, speed_px_s=100, brightness=3.0),
        background="gradient", background_ratio=8.0, vibration_px=0.7, lens_blur_px=1.0,
    ),
    "appearing": scene_of(SceneObject(x_px=20, y_px=24, speed_px_s=0, brightness=3.0, start_us=50_000, stop_us=90_000)),
    "a patch that flickers": scene_of(flicker=(Flicker(20, 20, 6, frequency_hz=40, contrast=5),)),
    "an edge": scene_of(SceneObject(shape="edge", x_px=-400, y_px=900, heading_deg=20, speed_px_s=900, brightness=2.0)),
    "a bar": scene_of(SceneObject(shape="bar", x_px=-5, y_px=9, heading_deg=30, speed_px_s=300, brightness=2.0)),
}  # fmt: skip


@pytest.mark.parametrize("name", SCENES)
def test_samples_along_the_outlines_give_the_events_of_whole_frames(name: str) -> None:
    scene = SCENES[name]
    recording, _ = simulate(scene)
    on, off, mean = stepped(scene, 1e-4)
    assert on.sum() + off.sum() > 400
    for expected, side in ((on, recording.p), (off, ~recording.p)):
        counted = counts_of(recording, side)
        assert counted.sum() == pytest.approx(expected.sum(), rel=0.02, abs=5)
        # A signal that just reaches a threshold does so in one of the two only.
        assert (counted != expected).mean() < 0.03
    assert recording.t_us.mean() * 1e-6 == pytest.approx(mean, abs=3e-4)


def counts_of(recording: Recording, keep: NDArray[np.bool_]) -> NDArray[np.int64]:
    pixel = recording.y[keep].astype(int) * recording.width + recording.x[keep]
    return np.bincount(pixel, minlength=recording.width * recording.height)


def test_bands_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = replace(SCENES["two that cross behind a post"], sensor_settings={}, sensor="gen3")
    whole, _ = simulate(scene)
    monkeypatch.setattr(pixels, "_BAND_SAMPLES", 20_000)
    monkeypatch.setattr(pixels, "_BLOCK", 5_000)
    parts, _ = simulate(scene)
    for name in ("t_us", "x", "y", "p"):
        order = [np.lexsort((r.p, r.x, r.y, r.t_us)) for r in (whole, parts)]
        assert np.array_equal(getattr(whole, name)[order[0]], getattr(parts, name)[order[1]])


def test_thresholds_decide_how_many_events_each_polarity_has() -> None:
    disk = SceneObject(x_px=-12, y_px=24, radius_px=8, speed_px_s=500, brightness=4.0)
    settings = QUIET | {"threshold_on": 0.1, "threshold_off": 0.25}
    recording, _ = simulate(replace(scene_of(disk, sensor_settings=settings), duration_us=150_000))
    middle = recording.mask((np.abs(recording.y.astype(int) - 24) < 6) & (recording.x > 5) & (recording.x < 40))
    # From anywhere between the thresholds, -.25 to .1, up to ln 4; whole thresholds count. Then down by ln 4 less what
    # the last event left, up to .1: always five times .25.
    assert middle.p.sum() / (34 * 11) == pytest.approx((np.log(4) - 0.075) / 0.1 - 0.5, abs=0.1)
    assert (~middle.p).sum() == 5 * 34 * 11


def test_mismatch_spreads_the_counts() -> None:
    edge = SceneObject(shape="edge", x_px=-5, speed_px_s=800, brightness=np.exp(2.0))
    settings = QUIET | {"threshold_on": 0.1, "threshold_off": 0.2}
    recordings = [simulate(scene_of(edge, sensor_settings=settings | {"mismatch": m}))[0] for m in (0.0, 0.2)]
    plain, spread = (counts_of(recording, recording.p) for recording in recordings)
    # Between (2 - .2) / .1 and (2 + .1) / .1 thresholds, by what was remembered.
    assert set(np.unique(plain)) == {18, 19, 20}
    # The count is 2 / threshold, and 1 / x is skewed: E(1 / x^2) - E(1 / x)^2 of x ~ N(1, .2), by quadrature.
    x = np.random.default_rng(0).normal(1.0, 0.2, 100_000).clip(0.2)
    assert spread.std() == pytest.approx(20 * (1 / x).std(), rel=0.1)


def test_contrast_and_dark_mean_thresholds_where_no_brightness_is_given() -> None:
    pixel = Pixel(threshold_on=0.2, threshold_off=0.3)
    picture = Picture(Scene(9, 9, 1, sensor="gen4"), pixel)
    assert picture.brightness(SceneObject(contrast=4)) == pytest.approx(np.exp(4 * 0.25))
    assert picture.brightness(SceneObject(contrast=4, dark=True)) == pytest.approx(np.exp(-4 * 0.25))
    assert picture.brightness(SceneObject(contrast=4, brightness=0.7)) == 0.7


def test_blur_adds_variances() -> None:
    """The profile of a straight edge is the integral of a kernel whose variance is the sum of the three."""
    picture = Picture(Scene(200, 3, 1, sensor="gen4", lens_blur_px=1.5), Pixel(dark_lux=0.0))
    item = SceneObject(shape="edge", x_px=0.0, y_px=1, edge_px=3.0, brightness=2.0)
    x = np.arange(-20, 20, 0.01)
    bright = np.ones(x.size)
    picture.draw(bright, item, x, np.zeros(x.size), True)
    kernel = -np.gradient(bright, x)
    assert bright[0] == 2
    assert bright[-1] == 1
    assert (kernel * x**2).sum() / kernel.sum() == pytest.approx(1.5**2 + 3**2 / 12 + 1 / 12, rel=0.01)


def test_a_texture_has_the_contrast_asked_for() -> None:
    scene = Scene(400, 300, 1, sensor="gen4", background="texture", background_ratio=4.0, background_px=5.0)
    ln = Picture(scene, Pixel(dark_lux=0.0)).frame(0.0, 0, 300) - np.log(scene.light_lux)
    assert ln.std() == pytest.approx(np.log(4.0) / 2, rel=0.1)
    rows = ln.reshape(300, 400)
    near, far = (np.mean((rows[:, k:] - rows[:, :-k]) ** 2) / (2 * ln.var()) for k in (1, 20))
    assert near < 0.1
    assert far == pytest.approx(1.0, abs=0.1)
    other = Picture(replace(scene, background_seed=1), Pixel()).frame(0.0, 0, 300)
    assert abs(np.corrcoef(ln, other)[0, 1]) < 0.1
