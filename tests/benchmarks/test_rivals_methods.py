"""Every rival of our own: a scene where it must succeed, whose events are written down here, and its own rule.

The scene shares no generator with the benchmark: each pixel whose centre the outline of a disk passes gives events at
that instant, in closed form.
"""

from __future__ import annotations

import sys

import numpy as np
import pytest
from places import ROOT

pytest.importorskip("velocell._native", reason="the C++ core is not built (pip install .)")
pytest.importorskip("cv2", reason="OpenCV is not installed (pip install opencv-python-headless)")
sys.path.insert(0, str(ROOT))

from benchmarks.rivals.interface import RivalError
from benchmarks.rivals.methods import aeb, eros, flow, notebook, rivals
from benchmarks.rivals.parts import sort
from benchmarks.rivals.parts.clusters import dbscan
from benchmarks.rivals.parts.linking import Linker
from benchmarks.rivals.parts.pictures import correlated, faded, peaks, ring_kernel
from benchmarks.rivals.scorer.disk_scores import Table, score
from benchmarks.rivals.tuning import tuned
from velocell import engines
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks
from velocell.simulate import notebook_scene, simulate

OURS = ("aeb", "blob", "eros", "eventhough", "flow", "hough", "notebook", "rings", "sort", "velocell")
BANDS = Bands((40, 160, 640, 1800))
RADIUS, SPEED, DURATION_US = 6.0, 320.0, 400_000
WIDTH, HEIGHT, START, ROW = 160, 60, 12.0, 29.3


def lone_disk(events: int = 3) -> tuple[Recording, Tracks]:
    """The outline passes the pixel (x, y) when x_disk = x -+ sqrt(R^2 - (y - row)^2)."""
    x, y = (grid.ravel() for grid in np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT)))
    reach = RADIUS**2 - (y - ROW) ** 2
    x, y, half = x[reach > 0], y[reach > 0], np.sqrt(reach[reach > 0])
    t = np.concatenate([(x - half - START) / SPEED, (x + half - START) / SPEED]) * 1e6
    t = (t[:, None] + 400.0 * np.arange(events)).ravel()
    x, y = np.repeat(np.tile(x, 2), events), np.repeat(np.tile(y, 2), events)
    on = np.repeat(np.arange(2 * half.size) < half.size, events)
    inside = (t >= 0) & (t < DURATION_US)
    order = np.argsort(t[inside], kind="stable")
    t, x, y, on = (values[inside][order] for values in (t, x, y, on))
    recording = Recording.from_arrays(
        t.astype(np.int64), x, y, on, width=WIDTH, height=HEIGHT, start_us=0, stop_us=DURATION_US
    )
    at = np.arange(0, DURATION_US, 1_000)
    columns = {"x_px": START + SPEED * at * 1e-6, "y_px": ROW, "speed_px_s": SPEED, "radius_px": RADIUS}
    truth = {name: np.broadcast_to(np.asarray(value, float), at.shape) for name, value in columns.items()}
    zeros = np.zeros(at.size)
    return recording, Tracks.from_columns({"t_us": at, "id": zeros, "heading_deg": zeros, **truth})


# For whom the values that are tuned for many scenes are not those for this one.
SUITED = {
    "hough": {
        "window_ms": 3.663, "most_events": 8, "blur_px": 1.043, "dp": 1.5, "canny": 227.4, "votes": 4.5,
        "spread": 0.3717, "gate_radii": 1.563, "hits": 4, "age_ms": 46.27, "fit_px": 21.22,
    },
}  # fmt: skip


def values_of(name):
    if name in SUITED:
        return SUITED[name]
    try:
        return tuned(rivals()[name], "plain")
    except RivalError:
        return rivals()[name].defaults


def test_the_own_rivals_are_all_here():
    assert set(OURS) <= set(rivals())


@pytest.mark.parametrize("name", OURS)
def test_it_finds_a_lone_disk_and_its_speed(name):
    recording, truth = lone_disk()
    rows = rivals()[name].track(recording, RADIUS, BANDS, values_of(name))
    figures = score(
        Table.of({name: column for name, column in rows.columns().items() if column.dtype.kind in "if"}),
        Table.of(truth.columns()),
        BANDS.edges,
        span_us=(0, DURATION_US),
    )
    assert figures["recall"] > 0.8
    assert figures["band_accuracy"] > 0.9
    assert figures["speed_error"] < 0.1
    assert figures["localisation_px"] < 1.5
    again = rivals()[name].track(recording, RADIUS, BANDS, values_of(name))
    assert all(
        np.array_equal(a, b, equal_nan=True)
        for a, b in zip(rows.columns().values(), again.columns().values(), strict=True)
    )


@pytest.mark.parametrize("name", OURS)
def test_rows_rest_on_events_up_to_their_instant_only(name):
    recording, _ = lone_disk()
    rival, values = rivals()[name], values_of(name)
    whole = rival.track(recording, RADIUS, BANDS, values)
    early = rival.track(recording.head(250_000), RADIUS, BANDS, values)
    until = 240_000
    cut, rest = early.where(early.t_us <= until), whole.where(whole.t_us <= until)
    assert len(cut) == len(rest) > 20
    assert np.allclose(cut.x_px, rest.x_px, atol=1e-6)
    assert np.allclose(cut.speed_px_s, rest.speed_px_s, atol=1e-4)


# --- the rule of each, by another way -------------------------------------------------------------------


def test_eros_fades_what_lies_around_an_event_and_nothing_else():
    surface, fade = np.zeros((9, 9), np.float32), np.float32(0.5)
    eros.set_events(surface, [3, 4, 3], [3, 3, 3], 1, fade)  # a margin of 1: pixel (3, 3) is [4, 4]
    assert surface[4, 4] == 1.0
    assert surface[4, 5] == 0.5
    assert np.count_nonzero(surface) == 2


def test_votes_are_those_of_every_event_by_itself():
    rng = np.random.default_rng(0)
    t = np.sort(rng.integers(1, 20_000, 60))
    x, y = rng.integers(12, 28, (2, 60))
    recording = Recording.from_arrays(t, x, y, width=40, height=40, start_us=0, stop_us=20_000)
    circle = ring_kernel(5, 2, 0)
    at, picture = list(faded(recording, 7_000.0))[-1]
    votes = correlated(picture, circle)
    expected = np.zeros((40, 40))
    half = circle.shape[0] // 2
    for one in range(60):
        weight = np.exp((t[one] - at) / 7_000)
        expected[y[one] - half : y[one] + half + 1, x[one] - half : x[one] + half + 1] += weight * circle
    assert at == 20_000
    assert np.allclose(votes, expected, atol=1e-5)


def test_peaks_are_the_middles_of_rings():
    picture = np.zeros((60, 90), np.float32)
    y, x = np.mgrid[:60, :90]
    for cx, cy in ((20, 30), (60, 25)):
        picture[np.abs(np.hypot(x - cx, y - cy) - 6) < 0.8] = 1
    picture[np.hypot(x - 80, y - 50) < 3] = 1  # a spot, no ring
    found = peaks(correlated(picture, ring_kernel(6, 2, 0.5)), 0.4, 6)
    assert np.allclose(np.sort(found[:, 0]), [20, 60], atol=0.2)
    assert len(found) == 2


def test_sort_is_a_kalman_filter_and_keeps_the_ids_of_disks_that_cross():
    values = {**rivals()["sort"].defaults, "iou": 0.3}
    tracker = sort.Sort(6.0, BANDS, values)
    for k in range(60):
        t = k * 0.005
        tracker.step(k * 5_000, np.array([[20 + 200 * t, 40.0], [80 - 200 * t, 43.0]]))
    rows = tracker.table()
    late = rows.where(rows.t_us >= 100_000)
    assert set(late.id.tolist()) == {0, 1}
    assert np.allclose(late.speed_px_s, 200, rtol=0.02)
    first, second = late.where(late.id == 0), late.where(late.id == 1)
    assert (np.diff(first.x_px) * np.diff(second.x_px) < 0).all()


def test_linking_fits_straight_lines_and_puts_late_places_where_the_object_is():
    values = {name: choice.default for name, choice in rivals()["rings"].parameters.items()}
    linker = Linker(6.0, BANDS, values)
    for k in range(40):
        t = k * 5_000
        linker.step(t, np.array([[10 + 300 * (t - 8_000) * 1e-6, 20.0]]), 8_000.0)
    rows = linker.table()
    assert np.allclose(rows.x_px, 10 + 300 * rows.t_us * 1e-6, atol=1e-6)
    assert np.allclose(rows.speed_px_s, 300)
    assert np.unique(rows.id).size == 1


def test_flow_of_a_straight_edge_is_its_speed_along_its_normal():
    """An edge whose normal points 30 degrees down, at 250 px/s: t = (x cos + y sin) / v."""
    angle, speed = np.deg2rad(30), 250.0
    y, x = np.mgrid[:24, :24]
    last = 1e6 * (x * np.cos(angle) + y * np.sin(angle)) / speed
    rows = flow._flows(last, np.array([10, 12]), np.array([9, 11]), 2, 1e6, BANDS)
    assert np.allclose(rows[:, 3], np.cos(angle))
    assert np.allclose(rows[:, 4], np.sin(angle))
    assert np.allclose(rows[:, 5], speed)


def test_flow_of_a_circle_gives_the_whole_velocity():
    v, angles = np.array([120.0, -90.0]), np.linspace(0, 2 * np.pi, 40, endpoint=False)
    normal = np.column_stack((np.cos(angles), np.sin(angles)))
    normal *= np.sign(normal @ v)[:, None]
    places = 50 + 6 * np.column_stack((np.cos(angles), np.sin(angles)))
    group = np.column_stack((np.full(40, 1e4), places, normal, normal @ v))
    x, y, vx, vy = flow._object(group, 20_000)
    assert np.allclose((vx, vy), v)
    assert np.allclose((x, y), 50 + 0.01 * v, atol=0.2)


def test_a_blob_is_updated_as_a_kalman_filter_written_with_matrices():
    blob = aeb.Blob(10.0, 20.0, 0.0, 4.0, 90_000.0)
    state, cov = np.array([10.0, 0.0]), np.diag([4.0, 90_000.0])
    rng = np.random.default_rng(1)
    t = 0.0
    for _ in range(50):
        dt, x = float(rng.uniform(1e-4, 1e-3)), float(rng.normal(10, 3))
        t += dt
        blob.update(x, 20.0, t, 500.0**2, 9.0, 0.02)
        move = np.array([[1, dt], [0, 1]])
        noise = 500.0**2 * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
        state, cov = move @ state, move @ cov @ move.T + noise
        gain = cov[:, 0] / (cov[0, 0] + 9.0)
        state, cov = state + gain * (x - state[0]), cov - np.outer(gain, cov[0])
    assert np.allclose((blob.x, blob.vx), state, rtol=1e-9)
    assert np.allclose((blob.a, blob.b, blob.c), (cov[0, 0], cov[0, 1], cov[1, 1]), rtol=1e-9)


def test_dbscan_is_that_of_its_definition():
    rng = np.random.default_rng(3)
    points = np.concatenate([rng.normal(0, 1, (40, 2)), rng.normal(20, 1, (40, 2)), [[10.0, 10.0]]])
    label = dbscan(points, 1.5, 4)
    near = np.hypot(*(points[:, None] - points).transpose(2, 0, 1)) <= 1.5
    core = near.sum(axis=1) >= 4
    assert label[-1] == -1
    assert (label[core] >= 0).all()
    assert ((label == -1) == ~(near & core).any(axis=1)).all()
    assert len(set(label[:40][label[:40] >= 0]) & set(label[40:80][label[40:80] >= 0])) == 0


def test_the_course_network_answers_each_disk_in_its_own_channel():
    recording, _ = simulate(notebook_scene())
    bands = Bands((16, 62, 177, 500))
    values = {**rivals()["notebook"].defaults, "level": 2.0}
    spikes = engines.run(notebook.network(5.0, bands, values), recording).final()
    late = spikes.t_us > 100_000
    assert late.any()
    row = np.searchsorted([17, 32], spikes.y[late])  # the disk of each spike: 0 is the slow one
    assert (row == spikes.channel[late]).mean() > 0.9
