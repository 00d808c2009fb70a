"""Real units against a camera that is simulated: points on a plane, seen in perspective."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from velocell.data.tracks import Tracks
from velocell.errors import OptionError
from velocell.results.plane import COLUMNS_MM, Plane, with_real_units

SIZE = (640, 480)
# A camera 2 m above the plane, 30 degrees down: its pose and lens, as textbooks have them.
LENS = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])
TILT = np.deg2rad(120)
TURN = np.array([[1, 0, 0], [0, np.cos(TILT), -np.sin(TILT)], [0, np.sin(TILT), np.cos(TILT)]])
EYE = np.array([0.0, 0, 2000])


def seen(x_mm, y_mm):
    """Where the camera sees points of the plane, px."""
    points = np.column_stack((x_mm, y_mm, np.zeros(len(x_mm)))) - EYE
    u, v, w = LENS @ TURN @ points.T
    assert (w > 0).all()
    return u / w, v / w


def plane():
    columns = np.column_stack((TURN[:, 0], TURN[:, 1], -TURN @ EYE))
    return Plane.of(np.linalg.inv(LENS @ columns))


def test_positions_are_those_of_the_plane():
    x, y = np.array([0.0, -500, 800, 300]), np.array([3000.0, 2500, 4000, 2000])
    np.testing.assert_allclose(plane().to_mm(*seen(x, y)), (x, y), atol=1e-6)


@given(st.floats(-800, 800), st.floats(2000, 6000), st.floats(0, 360), st.floats(1, 5000))
def test_speeds_are_those_of_the_plane(x, y, heading, speed):
    # The truth moves on the plane; what the picture shows comes from differences of its positions.
    step_s = 1e-6
    x, y = np.array([x, x]), np.array([y, y])
    way = np.array([-0.5, 0.5]) * speed * step_s
    u, v = seen(x + way * np.cos(np.deg2rad(heading)), y + way * np.sin(np.deg2rad(heading)))
    du, dv = np.diff(u)[0] / step_s, np.diff(v)[0] / step_s
    found = plane().speed_mm_s([u.mean()], [v.mean()], [np.hypot(du, dv)], [np.rad2deg(np.arctan2(dv, du))])
    np.testing.assert_allclose(found, [speed], rtol=1e-3, atol=1e-3)


def test_a_scale_divides():
    flat = Plane.of_scale(4.0)
    assert [v.tolist() for v in flat.to_mm([8, 40], [0, -4])] == [[2, 10], [0, -1]]
    np.testing.assert_allclose(flat.speed_mm_s([8, 9], [0, 7], [100, 10], [33, 271]), [25, 2.5])


def test_a_missing_heading_leaves_no_speed_but_standing_needs_none():
    found = plane().speed_mm_s([320, 320, 320], [400, 400, 400], [50, 0, np.nan], [np.nan, np.nan, 10])
    assert np.isnan(found).tolist() == [True, False, True]
    assert found[1] == 0


def table(x, y):
    n = len(x)
    return Tracks.from_columns({
        "t_us": np.arange(n), "id": np.zeros(n), "x_px": x, "y_px": y, "speed_px_s": np.full(n, 100.0),
        "heading_deg": np.zeros(n), "note": np.arange(n),
    })  # fmt: skip


def test_the_columns_come_behind_the_others_and_survive_a_file(tmp_path):
    found = with_real_units(table([100.0, 200], [300.0, 400]), plane(), SIZE)
    assert list(found.columns())[-4:] == ["note", *COLUMNS_MM]
    found.write(tmp_path / "t.csv")
    again = Tracks.read(tmp_path / "t.csv")
    for name in COLUMNS_MM:
        np.testing.assert_allclose(again.extra[name], found.extra[name], atol=5e-4)


def test_beyond_the_horizon_there_is_nothing():
    # A camera that looks only 5 degrees down has the horizon at y = 240 - 500 tan 5 = 196.3 px.
    tilt = np.deg2rad(95)
    turn = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    look = Plane.of(np.linalg.inv(LENS @ np.column_stack((turn[:, 0], turn[:, 1], -turn @ EYE))))
    found = with_real_units(table([320.0, 320, 320], [195.0, 198, 300]), look, SIZE)
    for name in COLUMNS_MM:
        assert np.isnan(found.extra[name]).tolist() == [True, False, False]
    assert found.extra["y_mm"][1] > found.extra["y_mm"][2] > 0
    # The sign of a homography means nothing.
    flipped = with_real_units(table([320.0], [300.0]), Plane.of(-look.homography), SIZE)
    np.testing.assert_allclose(flipped.extra["y_mm"], found.extra["y_mm"][2:])


VALUES = plane().homography


def written(path):
    if path.suffix == ".npy":
        np.save(path, VALUES)
    elif path.suffix == ".csv":
        path.write_text("\n".join(",".join(map(repr, row)) for row in VALUES.tolist()) + "\n")
    elif path.suffix == ".toml":
        path.write_text(f"homography = {VALUES.tolist()}\n")
    else:
        path.write_text(json.dumps(VALUES.tolist() if path.stem == "bare" else {"homography": VALUES.tolist()}))
    return path


@pytest.mark.parametrize("name", ["h.npy", "h.csv", "h.toml", "h.json", "bare.json"])
def test_homography_files(tmp_path, name):
    np.testing.assert_array_equal(Plane.read(written(tmp_path / name)).homography, VALUES)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("h.txt", "", "suffix must be .json, .toml, .csv or .npy"),
        ("none.csv", None, "cannot read .*no such file"),
        ("h.csv", "1,0,0\n0,1,0\n", "h.csv must be 3 rows of 3 finite numbers"),
        ("h.csv", "1,0,0\n0,1,0\n0,0\n", "must be 3 rows of 3 finite numbers"),
        ("h.csv", "1,0,0\n0,1,0\n0,0,nan\n", "must be 3 rows of 3 finite numbers"),
        ("h.csv", "1,0,0\n0,1,0\n0,0,one\n", "not a readable homography"),
        ("h.csv", "1,2,3\n2,4,6\n0,0,1\n", "is singular"),
        ("h.csv", "0,0,0\n0,1,0\n0,0,1\n", "is singular"),
        ("h.csv", "1e-3,2e3,3\n4e-3,8e3,12\n1e-9,0,1\n", "is singular"),
        ("h.json", "{}", "not a readable homography"),
        ("h.json", '[["a", 0, 0], [0, 1, 0], [0, 0, 1]]', "must be 3 rows"),
        ("h.toml", "homography = 3", "must be 3 rows"),
        ("h.toml", "homography =", "not a readable homography"),
        ("h.npy", "what", "not a readable homography"),
    ],
)
def test_what_is_no_homography_is_told_in_one_sentence(tmp_path, name, text, words):
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(OptionError, match=words):
        Plane.read(path)


@pytest.mark.parametrize("scale", [0, -2, np.inf, np.nan])
def test_a_scale_above_nought(scale):
    with pytest.raises(OptionError, match="--px-per-mm must be a number above 0"):
        Plane.of_scale(scale)


@pytest.mark.parametrize("factor", [1e-9, 1e9])
def test_a_sound_homography_is_not_singular_whatever_its_scale(factor):
    Plane.of(VALUES * factor)
    Plane.of(np.diag([1e-6, 1e-6, 1]) @ VALUES)
