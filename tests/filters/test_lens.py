"""Lens correction against OpenCV, and camera files as OpenCV and ROS write them."""

from __future__ import annotations

import numpy as np
import pytest

from velocell.data.recording import Recording
from velocell.errors import OptionError
from velocell.filters.lens import Camera, undistort

cv2 = pytest.importorskip("cv2", reason="opencv-python-headless is not installed")

SIZE = (160, 120)
MATRIX = np.array([[150.0, 0, 77.6], [0, 147.5, 62.7], [0, 0, 1]])
LENSES = {
    "barrel": [-0.3, 0.1, 0.001, -0.002, -0.02],
    "pincushion": [0.2, 0.05, 0.003, 0.001],
    "rational": [0.1, -0.02, 0.001, 0.002, 0.01, 0.05, 0.02, 0.001],
    "strong": [-0.45, 0.2, 0, 0, 0],
}
# Where the fixed-point iteration of OpenCV ends, long before 5000 steps.
ENOUGH = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 5000, 1e-13)
GRID = [values.ravel().astype(float) for values in np.mgrid[: SIZE[1], : SIZE[0]][::-1]]


def opencv_file(path, matrix=MATRIX, distortion=(), names=("camera_matrix", "distortion_coefficients"), **more):
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    for name, value in more.items():
        storage.write(name, value)
    storage.write(names[0], np.asarray(matrix, float))
    storage.write(names[1], np.asarray(distortion, float))
    storage.release()
    return path


@pytest.mark.parametrize("lens", LENSES)
def test_the_model_is_opencvs(lens):
    camera = Camera.of(MATRIX, LENSES[lens])
    normal = np.column_stack([*((v - c) / f for v, c, f in zip(GRID, (77.6, 62.7), (150.0, 147.5), strict=True))])
    points = np.column_stack((normal, np.ones(len(normal))))
    expected, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), MATRIX, np.array(LENSES[lens], float))
    np.testing.assert_allclose(np.column_stack(camera.seen(*GRID)), expected[:, 0], atol=1e-9)


@pytest.mark.parametrize("lens", LENSES)
def test_its_inverse_is_opencvs_too(lens):
    camera = Camera.of(MATRIX, LENSES[lens])
    points = np.column_stack(GRID)[:, None]
    expected = cv2.undistortPoints(points, MATRIX, np.array(LENSES[lens], float), P=MATRIX, criteria=ENOUGH)[:, 0]
    found = np.column_stack(camera.corrected(*GRID))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    # A planted error is seen.
    wrong = Camera.of(MATRIX, [LENSES[lens][0] + 0.001, *LENSES[lens][1:]])
    assert np.abs(np.column_stack(wrong.corrected(*GRID)) - expected).max() > 1e-3


def test_what_the_lens_never_shows_has_no_place():
    # With k1 = -0.5 nothing is seen beyond r = (2/3) sqrt(2/3) = 0.544, where the picture folds over.
    camera = Camera.of(MATRIX, [-0.5, 0, 0, 0])
    r = np.linspace(-2, 2, 4001)
    x = 77.6 + 150.0 * r
    found, _ = camera.corrected(x, np.full(r.size, 62.7))
    known = np.isfinite(found)
    np.testing.assert_array_equal(known, np.abs(r) < 2 / 3 * np.sqrt(2 / 3))
    np.testing.assert_allclose(camera.seen(found[known], np.full(known.sum(), 62.7))[0], x[known], atol=1e-6)
    assert (np.abs(found[known] - 77.6) < 150 * np.sqrt(2 / 3)).all()


def test_events_move_and_those_that_leave_are_told():
    camera = Camera.of(MATRIX, LENSES["barrel"], source="lens.yml")
    rng = np.random.default_rng(0)
    n = 5000
    x, y = rng.integers(0, SIZE[0], n), rng.integers(0, SIZE[1], n)
    recording = Recording.from_arrays(
        np.arange(n), x, y, np.arange(n) % 2, width=160, height=120, start_us=0, stop_us=n
    )
    found = undistort(recording, camera)
    points = np.column_stack((x, y)).astype(float)[:, None]
    exact = cv2.undistortPoints(points, MATRIX, np.array(LENSES["barrel"]), P=MATRIX, criteria=ENOUGH)[:, 0]
    to = np.rint(exact)
    stay = (to >= 0).all(axis=1) & (to[:, 0] < 160) & (to[:, 1] < 120)
    assert 0 < (~stay).sum() < n / 2
    np.testing.assert_array_equal(found.t_us, np.flatnonzero(stay))
    np.testing.assert_array_equal(np.column_stack((found.x, found.y)), to[stay])
    np.testing.assert_array_equal(found.p, (np.arange(n) % 2 == 1)[stay])
    assert (found.size, found.start_us, found.stop_us) == (SIZE, 0, n)
    lost = n - len(found)
    assert (
        found.notes[-1]
        == f"lens corrected with lens.yml: {lost} of {n} events fell outside the sensor and were dropped"
    )


def test_without_distortion_nothing_changes():
    recording = Recording.from_arrays([1, 2], [0, 159], [0, 119], width=160, height=120)
    found = undistort(recording, Camera.of(MATRIX, [0, 0, 0, 0]))
    assert (found.x.tolist(), found.y.tolist()) == ([0, 159], [0, 119])


@pytest.mark.parametrize("suffix", ["yml", "yaml", "json", "xml"])
@pytest.mark.parametrize(
    "names", [("camera_matrix", "distortion_coefficients"), ("cameraMatrix", "distCoeffs"), ("K", "D")]
)
def test_opencv_files_are_read(tmp_path, suffix, names):
    more = {"calibration_time": "Mon 1 Jan: noon", "image_width": 160, "image_height": 120, "avg_error": 0.25}
    path = opencv_file(tmp_path / f"c.{suffix}", distortion=[LENSES["barrel"]], names=names, **more)
    camera = Camera.read(path)
    np.testing.assert_array_equal(camera.matrix, MATRIX)
    np.testing.assert_array_equal(camera.distortion, [*LENSES["barrel"], 0, 0, 0])
    assert (camera.size, camera.source) == (SIZE, str(path))


def test_fourteen_coefficients_are_fine_while_the_last_six_are_zero(tmp_path):
    path = opencv_file(tmp_path / "c.yml", distortion=[*LENSES["rational"], *[0] * 6])
    np.testing.assert_array_equal(Camera.read(path).distortion, LENSES["rational"])
    with pytest.raises(OptionError, match="thin-prism or tilt"):
        Camera.read(opencv_file(tmp_path / "c.yml", distortion=[*LENSES["rational"], 0, 0.01, 0, 0]))


ROS = """image_width: 160
image_height: 120
camera_name: left
camera_matrix:
  rows: 3
  cols: 3
  data: [150.0, 0, 77.6, 0, 147.5, 62.7, 0, 0, 1]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.3, 0.1, 0.001, -0.002, -2e-2]
"""
LISTED = """K: [[150, 0, 77.6],
    [0, 147.5, 62.7], [0, 0, 1]]
D:
- -0.3
- 0.1
- 0.001
- -0.002
- -0.02
"""


@pytest.mark.parametrize("text", [ROS, ROS.replace("\n", "\r\n"), LISTED])
def test_camera_files_of_ros_and_by_hand_are_read(tmp_path, text):
    path = tmp_path / "c.yaml"
    path.write_bytes(text.encode())
    camera = Camera.read(path)
    np.testing.assert_array_equal(camera.matrix, MATRIX)
    np.testing.assert_array_equal(camera.distortion[:5], LENSES["barrel"])


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("c.txt", "", "suffix must be .yml, .yaml, .json or .xml"),
        ("none.yml", None, "cannot read .*no such file"),
        ("c.yml", "a: 1\n", "c.yml has no camera_matrix; it has a"),
        ("c.yml", "", "has no camera_matrix; it has nothing"),
        ("c.yml", LISTED.partition("D:")[0], "has no distortion_coefficients"),
        ("c.yml", ROS.replace("-2e-2", "soon"), "not a readable camera file"),
        ("c.yml", ROS.replace("plumb_bob", "equidistant"), "fisheye"),
        ("c.yml", ROS.replace("[150.0", "[-150.0"), "fx and fy above 0"),
        ("c.yml", ROS.replace("[150.0, 0", "[150.0, 3"), "camera matrix of .*c.yml must be"),
        ("c.yml", ROS.replace(", -0.002, -2e-2", ""), "4, 5 or 8 distortion coefficients"),
        ("c.json", "[1, 2]", "not a readable camera file"),
        ("c.json", "{", "not a readable camera file"),
        ("c.xml", "<a>", "not a readable camera file"),
    ],
)
def test_what_is_no_camera_is_told_in_one_sentence(tmp_path, name, text, words):
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(OptionError, match=words):
        Camera.read(path)


def test_a_camera_of_another_size_is_refused():
    recording = Recording.from_arrays([1], [0], [0], width=50, height=40)
    with pytest.raises(OptionError, match="the camera is for a sensor of 160x120, not 50x40"):
        undistort(recording, Camera.of(MATRIX, [0, 0, 0, 0], SIZE))
