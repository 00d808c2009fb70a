"""The simulator against closed forms written down here a second time, from the definition of the scene."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from velocell.data.recording import Recording
from velocell.data.tracks import Tracks
from velocell.errors import SceneError
from velocell.simulate import Flicker, Scene, SceneObject, notebook_scene, random_scene, simulate

Floats = NDArray[np.float64]


def one(item: SceneObject, **settings: object) -> Scene:
    return replace(Scene(120, 90, 600_000, objects=(item,)), **settings)


def straight(item: SceneObject, t_us: Floats) -> tuple[Floats, Floats]:
    heading, travel = np.deg2rad(item.heading_deg), item.speed_px_s * (t_us - item.start_us) * 1e-6
    return item.x_px + travel * np.cos(heading), item.y_px + travel * np.sin(heading)


def coverage(item: SceneObject, dx: Floats, dy: Floats) -> Floats:
    """How much of the object a pixel at (dx, dy) from its centre sees, 0 to 1."""
    along = dx * np.cos(np.deg2rad(item.heading_deg)) + dy * np.sin(np.deg2rad(item.heading_deg))
    depth = {
        "disk": item.radius_px - np.sqrt(dx**2 + dy**2),
        "square": item.radius_px - np.maximum(abs(dx), abs(dy)),
        "bar": item.radius_px - abs(along),
        "edge": -along,
    }[item.shape]
    return np.clip(depth / item.edge_px + 0.5, 0, 1)


def level_spread(recording: Recording, item: SceneObject, x: Floats, y: Floats) -> Floats:
    """All events of a pixel must lie on levels k + u with one u: how far each is from its pixel's first.

    x, y: the object's centre at the times of the events.
    """
    level = item.contrast * coverage(item, recording.x - x, recording.y - y) % 1.0
    pixel = recording.y.astype(int) * recording.width + recording.x
    _, first, index = np.unique(pixel, return_index=True, return_inverse=True)
    apart = np.abs(level - level[first][index])
    return np.minimum(apart, 1 - apart)


@pytest.mark.parametrize("heading", [0.0, 33.0, 90.0, 200.0, 315.0])
@pytest.mark.parametrize("shape", ["disk", "square", "bar", "edge"])
def test_every_event_lies_on_a_level_of_its_pixel(shape: str, heading: float) -> None:
    item = SceneObject(
        shape=shape, x_px=60.3, y_px=44.6, radius_px=7.3, speed_px_s=70, heading_deg=heading, edge_px=1.5
    )
    recording, _ = simulate(one(item))
    assert len(recording) > 1000
    x, y = straight(item, recording.t_us.astype(float))
    assert level_spread(recording, item, x, y).max() < 0.001
    assert level_spread(recording, item, x + 0.3, y + 0.2).max() > 0.02, "the check itself must notice a wrong path"


@pytest.mark.parametrize("shape", ["disk", "square", "bar"])
def test_an_object_smaller_than_its_blur_never_reaches_the_upper_levels(shape: str) -> None:
    item = SceneObject(shape=shape, x_px=10, y_px=40.2, radius_px=0.3, heading_deg=10, speed_px_s=150, contrast=5)
    recording, _ = simulate(one(item))
    x, y = straight(item, recording.t_us.astype(float))
    assert len(recording) > 300
    assert level_spread(recording, item, x, y).max() < 0.002
    on = counts_of(recording, recording.p)
    assert on.max() == 4  # the middle sees 0.8 of the contrast


@pytest.mark.parametrize("shape", ["disk", "square", "bar", "edge"])
@pytest.mark.parametrize("dark", [False, True])
def test_polarity_tells_whether_the_pixel_is_being_covered(shape: str, dark: bool) -> None:
    item = SceneObject(shape=shape, x_px=20, y_px=40, radius_px=6, speed_px_s=100, heading_deg=20, dark=dark)
    recording, _ = simulate(one(item))
    t = recording.t_us.astype(float)
    depth = [
        coverage(item, recording.x - x, recording.y - y) for x, y in (straight(item, t - 50), straight(item, t + 50))
    ]
    assert np.array_equal(recording.p, (depth[1] > depth[0]) != dark)
    assert recording.p.mean() == pytest.approx(0.0 + (not dark) if shape == "edge" else 0.5, abs=0.02)


def counts_of(recording: Recording, keep: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Events per pixel (H, W) of those kept."""
    counts = np.zeros((recording.height, recording.width), np.int64)
    np.add.at(counts, (recording.y[keep], recording.x[keep]), 1)
    return counts


@pytest.mark.parametrize("heading", [0.0, 30.0, 75.0, 90.0, 135.0, 260.0])
@pytest.mark.parametrize(("shape", "contrast"), [("disk", 1), ("disk", 4), ("square", 3), ("bar", 2)])
def test_a_crossing_gives_contrast_events_on_each_side(shape: str, contrast: int, heading: float) -> None:
    # From outside, through the middle of the sensor, to outside.
    angle = np.deg2rad(heading)
    item = SceneObject(
        shape=shape, x_px=60 - 100 * np.cos(angle), y_px=45 - 100 * np.sin(angle), radius_px=8, heading_deg=heading,
        speed_px_s=400, contrast=contrast,
    )  # fmt: skip
    recording, _ = simulate(one(item))
    yy, xx = np.mgrid[:90, :120].astype(float)
    most = np.zeros((90, 120))
    for t in np.arange(50_000, 450_000, 1000.0):
        x, y = straight(item, t)
        most = np.maximum(most, coverage(item, xx - x, yy - y))
    for side in (recording.p, ~recording.p):
        counts = counts_of(recording, side)
        assert (counts[most == 1] == contrast).all()
        assert (counts >= np.floor(contrast * most)).all()
        assert (counts <= np.ceil(contrast * (most + 0.2))).all()  # the peak lies within 0.2 px of a sample
    assert (most == 1).sum() > 1000


@pytest.mark.parametrize("contrast", [0.4, 2.7])
def test_a_fractional_contrast_is_met_in_expectation(contrast: float) -> None:
    recording, _ = simulate(one(SceneObject(shape="edge", x_px=-1, speed_px_s=300, contrast=contrast)))
    counts = np.bincount(recording.y.astype(int) * 120 + recording.x, minlength=120 * 90)
    assert set(np.unique(counts)) == {int(contrast), int(contrast) + 1}
    assert counts.mean() == pytest.approx(contrast, abs=5 * 0.5 / np.sqrt(counts.size))


def test_a_sharp_leading_edge_arrives_when_geometry_says() -> None:
    item = SceneObject(x_px=10, y_px=40.3, radius_px=6, speed_px_s=125, contrast=1, edge_px=1e-6)
    recording, _ = simulate(one(item))
    rise = recording.p
    half_chord = np.sqrt(36 - (recording.y[rise].astype(float) - 40.3) ** 2)
    expected = (recording.x[rise] - 10 - half_chord) / 125 * 1e6
    assert np.abs(recording.t_us[rise] - expected).max() <= 1.01  # whole microseconds, and half a ramp
    assert rise.sum() > 500


def test_the_speed_can_be_read_from_the_events() -> None:
    item = SceneObject(shape="edge", x_px=5, y_px=0, speed_px_s=171.0, heading_deg=25, contrast=3)
    recording, _ = simulate(one(item))
    along = recording.x * np.cos(np.deg2rad(25)) + recording.y * np.sin(np.deg2rad(25))
    slope = np.polyfit(recording.t_us * 1e-6, along, 1)[0]
    assert slope == pytest.approx(171.0, rel=0.005)


def reflected(item: SceneObject, box: tuple[float, float, float, float], step_us: int, n: int) -> Floats:
    """A ball in a box by small steps: positions (n, 2) every `step_us`."""
    position = np.array([item.x_px, item.y_px])
    heading = np.deg2rad(item.heading_deg)
    step = np.array([np.cos(heading), np.sin(heading)]) * item.speed_px_s * step_us * 1e-6
    low, high = np.array(box[:2]), np.array(box[2:])
    path = []
    for _ in range(n):
        path.append(position.copy())
        position = position + step
        step = np.where((position < low) | (position > high), -step, step)
        position = np.where(position < low, 2 * low - position, position)
        position = np.where(position > high, 2 * high - position, position)
    return np.array(path)


@pytest.mark.parametrize("bounds", [None, (10.0, 20.0, 60.0, 70.0)])
def test_a_bouncing_disk_stays_inside_its_box_and_keeps_its_phases(bounds: tuple[float, ...] | None) -> None:
    item = SceneObject(
        x_px=30, y_px=40, radius_px=5, speed_px_s=900, heading_deg=37, bounce=True, bounds=bounds, contrast=2
    )
    recording, truth = simulate(one(item), truth_every_us=100)
    box = (15.0, 25.0, 55.0, 65.0) if bounds else (4.5, 4.5, 114.5, 84.5)
    expected = reflected(item, box, 100, len(truth))
    assert np.abs(np.stack([truth.x_px, truth.y_px], 1) - expected).max() < 1e-6
    x, y = (np.interp(recording.t_us, truth.t_us, axis) for axis in (truth.x_px, truth.y_px))
    # Between two samples around a bounce the interpolated truth is up to 0.05 px off; elsewhere two events
    # of a pixel, each rounded to 1 us, are 2 us * 900 px/s * 2 levels apart at most.
    assert np.quantile(level_spread(recording, item, x, y), 0.97) < 0.0036
    assert np.quantile(level_spread(recording, item, x + 0.1, y), 0.97) > 0.1
    moved = np.diff(np.stack([truth.x_px, truth.y_px], 1), axis=0)
    turned = (np.rad2deg(np.arctan2(moved[:, 1], moved[:, 0])) - truth.heading_deg[:-1] + 180) % 360 - 180
    assert np.mean(np.abs(turned) < 0.01) > 0.99
    assert len(recording) == pytest.approx(4 * 5 * 2 * 900 * 0.6, rel=0.02)


@pytest.mark.parametrize("orbit", [30.0, -30.0])
def test_an_orbit_is_a_circle_at_constant_speed(orbit: float) -> None:
    item = SceneObject(x_px=60, y_px=45, radius_px=6, speed_px_s=800, heading_deg=0, orbit_radius_px=orbit, contrast=2)
    scene = one(replace(item, y_px=45 - orbit))
    recording, truth = simulate(scene, truth_every_us=500)
    angle = truth.t_us * 1e-6 * 800 / 30
    assert truth.x_px == pytest.approx(60 + 30 * np.sin(angle), abs=1e-6)
    assert truth.y_px == pytest.approx(45 - orbit * np.cos(angle), abs=1e-6)
    assert truth.heading_deg == pytest.approx(np.rad2deg(angle * np.sign(orbit)) % 360, abs=1e-6)
    t = recording.t_us * 1e-6 * 800 / 30
    x, y = 60 + 30 * np.sin(t), 45 - orbit * np.cos(t)
    assert level_spread(recording, item, x, y).max() < 0.05
    assert len(recording) == pytest.approx(4 * 6 * 2 * 800 * 0.6, rel=0.02)


@pytest.mark.parametrize("path", [{"bounce": True, "heading_deg": 180.0}, {"orbit_radius_px": 20.0}])
def test_a_path_that_returns_to_its_start_leaves_every_pixel_as_it_was(path: dict[str, float]) -> None:
    length = 2 * 110 if "bounce" in path else 2 * np.pi * 20
    item = SceneObject(x_px=57, y_px=30.3, radius_px=5, speed_px_s=length / 0.2, contrast=2.5, edge_px=1.4, **path)
    recording, _ = simulate(one(item))  # three rounds
    on, off = counts_of(recording, recording.p), counts_of(recording, ~recording.p)
    assert np.array_equal(on, off)
    assert on.max() >= 6


def test_appearing_standing_and_vanishing_make_no_events() -> None:
    still = SceneObject(id=1, x_px=40, y_px=40, speed_px_s=0)
    recording, truth = simulate(one(still))
    assert len(recording) == 0
    assert len(truth) == 600
    moving = SceneObject(id=1, x_px=30, y_px=40, speed_px_s=100, contrast=2, start_us=200_500, stop_us=400_500)
    recording, truth = simulate(one(moving))
    assert recording.t_us[0] >= 200_500
    assert recording.t_us[-1] < 400_500
    assert (truth.t_us[0], truth.t_us[-1]) == (201_000, 400_000)
    rate = np.histogram(recording.t_us, bins=20, range=(200_500, 400_500))[0]
    assert rate[0] < 1.5 * rate.mean(), "no burst when it appears"
    assert (recording.start_us, recording.stop_us) == (0, 600_000)


def test_the_truth_lists_targets_while_their_centre_is_on_the_sensor() -> None:
    items = (
        SceneObject(id=3, x_px=-30.5, y_px=10, speed_px_s=100, radius_px=4),
        SceneObject(id=4, shape="bar", x_px=10, y_px=10),
        SceneObject(id=5, shape="square", x_px=50, y_px=60, target=False),
        SceneObject(id=9, shape="square", x_px=50, y_px=60, heading_deg=-90, speed_px_s=50),
    )
    recording, truth = simulate(Scene(120, 90, 600_000, objects=items))
    assert set(truth.id.tolist()) == {3, 9}
    first = truth.where(truth.id == 3)
    assert (first.t_us[0], first.t_us[-1]) == (300_000, 599_000)
    assert (first.x_px[0], first.speed_px_s[0], first.heading_deg[0], first.radius_px[0]) == (-0.5, 100, 0, 4)
    assert set(truth.heading_deg[truth.id == 9]) == {270.0}
    assert (truth.band == -1).all()
    assert recording.size == (120, 90)


def test_objects_without_overlap_simulate_as_if_alone() -> None:
    first = SceneObject(id=0, x_px=20, y_px=20, contrast=2, bounce=True)
    second = SceneObject(id=1, shape="square", x_px=20, y_px=70, heading_deg=10, contrast=5, edge_px=2)
    together, _ = simulate(Scene(200, 90, 300_000, objects=(first, second)))
    alone, _ = simulate(Scene(200, 90, 300_000, objects=(first,)))
    # The first object draws the same phases, whatever follows it.
    part = together.mask(together.y < 40)
    for name in ("t_us", "x", "y", "p"):
        assert np.array_equal(getattr(part, name), getattr(alone, name))
    # A slanted square is wider than its side: 2 R (cos + sin) across, n_c events on each side of it.
    across = 2 * 5 * (np.cos(np.deg2rad(10)) + np.sin(np.deg2rad(10)))
    assert len(together) - len(part) == pytest.approx(2 * across * 5 * 100 * 0.3, rel=0.02)


def test_the_same_seed_gives_the_same_events_and_another_one_others() -> None:
    scene = replace(
        random_scene(4, width=160, height=120, duration_us=200_000, seed=5),
        event_loss=0.1, jitter_us=100.0, hot_pixels=3, threshold_mismatch=0.1, flicker=(Flicker(20, 20),),
    )  # fmt: skip
    one_, two = simulate(scene)[0], simulate(scene)[0]
    other = simulate(replace(scene, seed=6))[0]
    for name in ("t_us", "x", "y", "p"):
        assert np.array_equal(getattr(one_, name), getattr(two, name))
    assert not np.array_equal(one_.t_us[:500], other.t_us[:500])


def test_noise_is_uniform_with_the_rate_asked_for() -> None:
    recording, truth = simulate(Scene(100, 80, 2_000_000, noise_hz=3.0))
    expected = 3.0 * 100 * 80 * 2
    assert len(truth) == 0
    assert len(recording) == pytest.approx(expected, abs=5 * np.sqrt(expected))
    for values, top in ((recording.x, 100), (recording.y, 80), (recording.t_us, 2e6), (recording.p, 2)):
        counts = np.histogram(values.astype(float), bins=2, range=(0, top))[0]
        assert counts[0] == pytest.approx(expected / 2, abs=5 * np.sqrt(expected / 2))


def test_hot_pixels_fire_at_their_rate_and_nothing_else_does() -> None:
    recording, _ = simulate(Scene(4, 3, 2_000_000, hot_pixels=7, hot_rate_hz=500))
    pixels, counts = np.unique(recording.y.astype(int) * 4 + recording.x, return_counts=True)
    assert pixels.size == 7
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000)


def test_event_loss_drops_its_share_evenly() -> None:
    scene = one(SceneObject(x_px=20, y_px=40, contrast=4))
    full, thinned = simulate(scene)[0], simulate(replace(scene, event_loss=0.3))[0]
    assert len(thinned) / len(full) == pytest.approx(0.7, abs=5 * np.sqrt(0.21 / len(full)))
    assert thinned.p.mean() == pytest.approx(0.5, abs=0.03)
    assert len(simulate(replace(scene, event_loss=1.0))[0]) == 0


def test_jitter_moves_times_by_its_standard_deviation_and_stays_in_the_span() -> None:
    scene = one(SceneObject(shape="edge", x_px=-0.5, speed_px_s=220, contrast=1, edge_px=1e-6))
    recording, _ = simulate(replace(scene, jitter_us=2_000.0))
    late = recording.t_us - (recording.x + 0.5) / 220 * 1e6
    inner = (recording.x > 5) & (recording.x < 115)
    assert late[inner].std() == pytest.approx(2_000, rel=0.05)
    assert np.abs(late[inner].mean()) < 100
    assert recording.t_us.min() >= 0
    assert recording.t_us.max() < 600_000


def test_threshold_mismatch_spreads_the_counts_of_the_pixels() -> None:
    scene = one(SceneObject(shape="edge", x_px=-1, speed_px_s=300, contrast=10))
    recording, _ = simulate(replace(scene, threshold_mismatch=0.2))
    counts = np.bincount(recording.y.astype(int) * 120 + recording.x, minlength=120 * 90)
    assert counts.mean() == pytest.approx(10, abs=0.1)
    assert counts.std() == pytest.approx(2.0, abs=0.15)  # 10 * 0.2, and a little from rounding to levels


@pytest.mark.parametrize("shape", ["disk", "square"])
def test_flicker_repeats_in_place(shape: str) -> None:
    patch = Flicker(30, 20, radius_px=6, shape=shape, contrast=2, frequency_hz=50, edge_px=1e-6)
    recording, truth = simulate(Scene(60, 40, 1_000_000, flicker=(patch,)))
    yy, xx = np.mgrid[:40, :60]
    inside = np.hypot(xx - 30, yy - 20) < 6 if shape == "disk" else np.maximum(abs(xx - 30), abs(yy - 20)) < 6
    counts = counts_of(recording, np.ones(len(recording), bool))
    assert len(truth) == 0
    # 50 swings, up and down, two levels each; a pixel exactly on the ramp's middle sees half of it.
    assert (counts[inside] == 50 * 2 * 2).all()
    assert np.abs(counts[~inside]).max() <= 100
    rises = recording.mask(recording.p & (recording.x == 30) & (recording.y == 20))
    assert np.abs(np.diff(rises.t_us[::2]) - 20_000).max() <= 1


def test_the_notebook_scene_is_the_notebook() -> None:
    recording, truth = simulate(notebook_scene())
    assert recording.size == (50, 50)
    assert recording.stop_us == 500_000
    assert len(truth) == 1500
    assert [sorted(set(truth.y_px[truth.id == i])) for i in range(3)] == [[9.5], [24.5], [39.5]]
    assert [truth.speed_px_s[truth.id == i][0] for i in range(3)] == [31.25, 125.0, 250.0]
    # 4 R v T n_c events of the disks, 0.1 Hz/px of noise; the recording itself has 25 948.
    assert len(recording) == pytest.approx(4 * 5 * 406.25 * 0.5 * 6 + 125, rel=0.02)


def nearest_outlines(truth: Tracks) -> float:
    gap = np.inf
    for t in np.unique(truth.t_us):
        now = truth.where(truth.t_us == t)
        apart = (
            np.hypot(now.x_px[:, None] - now.x_px, now.y_px[:, None] - now.y_px)
            - now.radius_px[:, None]
            - now.radius_px
        )
        np.fill_diagonal(apart, np.inf)
        gap = min(gap, float(apart.min()))
    return gap


@given(count=st.integers(2, 12), seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_separate_disks_never_touch(count: int, seed: int) -> None:
    scene = random_scene(
        count, width=320, height=240, duration_us=300_000, radius=(3, 9), speeds=(50, 2000), contrast=(1, 10), seed=seed
    )
    _, truth = simulate(replace(scene, noise_hz=0.0), truth_every_us=20_000)
    assert nearest_outlines(truth) >= 4 - 1e-9
    assert len(truth) == 15 * count, "all of them stay on the sensor"
    for item in scene.objects:
        x0, y0, x1, y1 = item.bounds
        assert x0 >= -0.5
        assert y0 >= -0.5
        assert x1 <= 319.5
        assert y1 <= 239.5
        assert 3 <= item.radius_px <= 9
        assert 50 <= item.speed_px_s <= 2000
        assert 1 <= item.contrast <= 10


def test_crossing_disks_do_touch() -> None:
    scene = random_scene(12, width=120, height=90, duration_us=300_000, separate=False)
    assert nearest_outlines(simulate(scene, truth_every_us=20_000)[1]) < 0


def test_disks_that_do_not_fit_are_refused() -> None:
    with pytest.raises(SceneError, match="100 separate disks of radius 20 px do not fit on a 320x240 sensor"):
        random_scene(100, width=320, height=240, radius=20)
    with pytest.raises(SceneError, match="no room on a 30x30 sensor"):
        random_scene(1, width=30, height=30, radius=20, separate=False)
    with pytest.raises(SceneError, match="speeds is"):
        random_scene(1, speeds=(100, 50))


FULL = Scene(
    80, 60, 1_000_000, seed=3, noise_hz=0.2, hot_pixels=2, hot_rate_hz=50.0, jitter_us=10.0, event_loss=0.1,
    threshold_mismatch=0.05,
    objects=(
        SceneObject(id=1, shape="square", x_px=20, y_px=30.25, bounce=True, bounds=(0.0, 5.0, 60.0, 55.0), dark=True),
        SceneObject(id=2, x_px=40.0, y_px=30.0, orbit_radius_px=-7.5, start_us=10, stop_us=999, target=False),
    ),
    flicker=(Flicker(5.0, 6.0, shape="square", frequency_hz=99.5),),
)  # fmt: skip


@pytest.mark.parametrize("scene", [FULL, notebook_scene(4), random_scene(7, seed=1), Scene(1, 1, 1)])
def test_toml_round_trip(tmp_path: Path, scene: Scene) -> None:
    scene.to_toml(tmp_path / "scene.toml")
    assert Scene.from_toml(tmp_path / "scene.toml") == scene
    assert Scene.from_dict(scene.to_dict()) == scene


HEAD = "width = 50\nheight = 40\nduration_us = 1000\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("width = 50\nheight = 40\n", "the scene lacks the key 'duration_us'"),
        (HEAD + "colour = 1\n", "unknown key 'colour' in the scene; allowed are width, height, duration_us, seed"),
        (HEAD + "[[objects]]\nspeed = 1\n", r"unknown key 'speed' in \[\[objects\]\] number 1; allowed are id, shape"),
        (HEAD + "[[objects]]\nradius_px = -1\n", "radius_px of object 0 is -1.0; it must be above 0"),
        (HEAD + "[[objects]]\nx_px = nan\n", "x_px of object 0 is nan; it must be a finite number"),
        (HEAD + "[[objects]]\nshape = 'cat'\n", "shape of object 0 is 'cat'; use one of disk, square, bar, edge"),
        (HEAD + "[[objects]]\nid = 1.5\n", r"'id' in \[\[objects\]\] number 1 must be a whole number, got 1.5"),
        (HEAD + "[[objects]]\ndark = 1\n", "'dark' .* must be true or false, got 1"),
        (HEAD + "[[objects]]\nspeed_px_s = true\n", "'speed_px_s' .* must be a number, got True"),
        (HEAD + "[[objects]]\nbounds = [1, 2]\n", "'bounds' .* must be four numbers"),
        (HEAD + "[[objects]]\nbounds = [1, 2, 3, 4]\n", "bounds of object 0 have no effect without bounce"),
        (HEAD + "[[objects]]\nbounce = true\n", "object 0 starts at .* outside the box of its centre"),
        (HEAD + "[[objects]]\nbounce = true\nradius_px = 25\n", "object 0 of radius 25 px has no room"),
        (HEAD + "[[objects]]\nbounce = true\norbit_radius_px = 9\n", "object 0 cannot both bounce and orbit"),
        (HEAD + "[[objects]]\n[[objects]]\n", "object id 0 is used 2 times"),
        (HEAD + "[[objects]]\nstart_us = 9\nstop_us = 9\n", "stop_us of object 0 is 9; it must be later"),
        (HEAD + "[[flicker]]\nx_px = 1\n", r"\[\[flicker\]\] number 1 lacks the key 'y_px'"),
        (HEAD + "[[flicker]]\nx_px = 1\ny_px = 1\nshape = 'bar'\n", "use disk or square"),
        (HEAD + "objects = 3\n", r"'objects' must be tables written as \[\[objects\]\]"),
        (HEAD + "event_loss = 1.5\n", "event_loss is 1.5; it must be between 0 and 1"),
        (HEAD + "noise_hz = -1\n", "noise_hz of the scene is -1.0; it must be 0 or more"),
        (HEAD + "hot_pixels = 2001\n", "the sensor has only 2000 pixels"),
        ("width = 0\nheight = 40\nduration_us = 1000\n", "width is 0; it must be between 1 and"),
        ("width = 10\nheight = 40\nduration_us = 0\n", "duration_us is 0; it must be at least 1"),
        ("width = = 3", "is not valid TOML"),
    ],
)
def test_a_wrong_scene_is_refused_with_the_key(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "scene.toml"
    path.write_text(text)
    with pytest.raises(SceneError, match=message) as caught:
        Scene.from_toml(path)
    assert str(path) in str(caught.value)


def test_the_truth_needs_a_sampling_interval() -> None:
    with pytest.raises(SceneError, match="truth_every_us is 0"):
        simulate(notebook_scene(), truth_every_us=0)


def test_a_missing_scene_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match=r"cannot read .*none.toml: no such file"):
        Scene.from_toml(tmp_path / "none.toml")
