"""`velocell detect` around the detector: regions, defective pixels, the lens, real units, counting lines."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from velocell.cli.app import app
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks
from velocell.filters.hot_pixels import hot_pixels, mask_pixels
from velocell.filters.lens import Camera
from velocell.formats import write_npz
from velocell.simulate import Scene, SceneObject, notebook_scene, simulate

BANDS = "60,240,960"
LENS = [-0.25, 0.05, 0.0, 0.0]
MATRIX = [[150.0, 0, 79.5], [0, 150.0, 59.5], [0, 0, 1]]


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def ok(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr or result.exception
    return result


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """One disk across a sensor of 160x120 at 400 px/s along x on row 60, in 350 ms."""
    file = tmp_path_factory.mktemp("made") / "disk.npz"
    item = SceneObject(id=0, x_px=10, y_px=60, speed_px_s=400)
    write_npz(simulate(Scene(160, 120, 350_000, seed=1, noise_hz=0.2, objects=(item,)))[0], file)
    return file


def detect(file, out, *more):
    result = ok("detect", file, "--bands", BANDS, "-o", out, *more)
    return Tracks.read(out), result.stderr


# --- real units -------------------------------------------------------------------------------------


def test_a_scale_adds_columns(disk, tmp_path):
    tracks, _ = detect(disk, tmp_path / "t.csv", "--px-per-mm", 4)
    assert list(tracks.extra) == ["accel_px_s2", "flags", "x_mm", "y_mm", "speed_mm_s"]
    np.testing.assert_allclose(tracks.extra["x_mm"], tracks.x_px / 4, atol=1e-3)
    np.testing.assert_allclose(tracks.extra["speed_mm_s"], tracks.speed_px_s / 4, atol=1e-3)
    assert np.median(tracks.extra["speed_mm_s"]) == pytest.approx(100, rel=0.03)
    assert tracks.meta["settings"]["homography"][0][0] == 0.25


def test_a_homography_tells_the_speed_on_the_plane(disk, tmp_path):
    # X = 100 x / (200 - x), Y = 100 y / (200 - x): along the row y = 60 the plane recedes, and
    # dX/dx = 20000 / (200 - x)^2, dY/dx = 6000 / (200 - x)^2.
    (tmp_path / "h.json").write_text(json.dumps([[100, 0, 0], [0, 100, 0], [-1, 0, 200]]))
    tracks, _ = detect(disk, tmp_path / "t.parquet", "--homography", tmp_path / "h.json")
    settled = tracks.where(tracks.t_us > 50_000)
    np.testing.assert_allclose(settled.extra["x_mm"], 100 * settled.x_px / (200 - settled.x_px))
    expected = 400 * np.hypot(20_000, 6_000) / (200 - settled.x_px) ** 2
    np.testing.assert_allclose(np.median(settled.extra["speed_mm_s"] / expected), 1, rtol=0.03)
    assert settled.extra["speed_mm_s"].max() > 5 * settled.extra["speed_mm_s"].min()


def test_several_files_keep_the_columns(disk, tmp_path):
    tracks, _ = detect(disk, tmp_path / "t.csv", disk, "--px-per-mm", 2, "--count-line", "80,0,80,119")
    assert list(tracks.extra) == ["accel_px_s2", "flags", "x_mm", "y_mm", "speed_mm_s", "file"]
    rows = list(csv.DictReader((tmp_path / "t.csv.counts.csv").read_text().splitlines()))
    assert {row["file"] for row in rows} == {str(disk)}
    assert sum(int(row["crossings"]) for row in rows) == 2


# --- the lens -----------------------------------------------------------------------------------------


def test_the_lens_is_corrected_before_any_speed_is_computed(disk, tmp_path):
    # Bend the straight recording as the lens would, by looking up which corrected pixel each seen one shows.
    camera = Camera.of(MATRIX, LENS)
    with np.load(disk) as arrays:
        t, x, y, p = (arrays[name] for name in ("t", "x", "y", "p"))
    bent_x, bent_y = (np.rint(values).astype(int) for values in camera.seen(x, y))
    bent = tmp_path / "bent.npz"
    write_npz(Recording.from_arrays(t, bent_x, bent_y, p, width=160, height=120), bent)
    file = tmp_path / "camera.json"
    file.write_text(json.dumps({"K": MATRIX, "D": LENS, "image_width": 160, "image_height": 120}))
    raw, _ = detect(bent, tmp_path / "raw.csv")
    tracks, said = detect(bent, tmp_path / "t.csv", "--camera", file)

    def off(table):
        return np.abs(np.interp(table.t_us, [0, 350_000], [10, 150]) - table.x_px)

    assert off(raw).max() > 3
    assert off(tracks).max() < 1
    late = (tracks.t_us > 100_000) & (tracks.t_us < 330_000)
    np.testing.assert_allclose(tracks.speed_px_s[late], 400, rtol=0.05)
    assert "lens corrected with" in said
    assert "events fell outside the sensor and were dropped" in said
    assert tracks.meta["settings"]["camera"] == {"matrix": MATRIX, "distortion": [*LENS, 0, 0, 0, 0]}


# --- regions and pixels -----------------------------------------------------------------------------------


def test_regions_add_up(tmp_path):
    file = tmp_path / "rec.npz"
    write_npz(simulate(notebook_scene())[0], file)
    bands = ("--bands", "16,62,177,500", "-o", tmp_path / "t.csv")
    ok("detect", file, *bands, "--roi", "0,2,50,15", "--roi", "0,32,50,15")
    tracks = Tracks.read(tmp_path / "t.csv")
    assert sorted(np.unique(tracks.y_px.round(-1))) == [10, 40]
    assert tracks.meta["settings"]["roi"] == [[0, 2, 50, 15], [0, 32, 50, 15]]


@pytest.fixture(scope="module")
def hot(tmp_path_factory):
    """The disk with ten hot pixels at 2 kHz; the recording and its file."""
    item = SceneObject(id=0, x_px=15, y_px=30, speed_px_s=400, bounce=True)
    scene = Scene(80, 60, 300_000, seed=1, noise_hz=1, hot_pixels=10, hot_rate_hz=2000, objects=(item,))
    file = tmp_path_factory.mktemp("hot") / "hot.npz"
    recording = simulate(scene)[0]
    write_npz(recording, file)
    return recording, file


def test_hot_pixels_are_masked_unless_told_otherwise(hot, tmp_path):
    recording, file = hot
    pixels = hot_pixels(recording)
    left = len(mask_pixels(recording, pixels))
    tracks, said = detect(file, tmp_path / "t.csv")
    assert f"without {len(pixels)} hot pixels: {left} of {len(recording)} events left" in said
    assert np.unique(tracks.id).size == 1
    kept, said = detect(file, tmp_path / "t.csv", "--no-mask-hot")
    assert "hot pixels" not in said
    assert kept.meta["inputs"][0]["recording"]["events"] == len(recording)


def test_a_recording_without_hot_pixels_is_not_talked_about(disk, tmp_path):
    tracks, said = detect(disk, tmp_path / "t.csv")
    assert "hot pixels" not in said
    assert tracks.meta["settings"]["mask_hot"] is True


def test_pixels_of_a_list_are_ignored(hot, tmp_path):
    recording, file = hot
    pixels = hot_pixels(recording)
    (tmp_path / "hot.csv").write_text("x,y\n" + "".join(f"{x},{y}\n" for x, y in pixels[:4]))
    _, said = detect(file, tmp_path / "t.csv", "--ignore", tmp_path / "hot.csv")
    some = len(mask_pixels(recording, pixels[:4]))
    assert f"without 4 ignored pixels: {some} of {len(recording)} events left" in said
    assert f"without {len(pixels) - 4} hot pixels: {len(mask_pixels(recording, pixels))} of {some} events left" in said


# --- counting lines -------------------------------------------------------------------------------------


def test_crossings_are_counted_and_told(disk, tmp_path):
    lines = ("--count-line", "80,0,80,119", "--count-line", "0,20,159,20")
    _, said = detect(disk, tmp_path / "t.csv", *lines, "--band-names", "slow,fast")
    assert "line 80,0,80,119: 0 to the right, 1 to the left (1 fast)" in said
    assert "line 0,20,159,20: 0 to the right, 0 to the left" in said
    rows = list(csv.DictReader((tmp_path / "t.csv.counts.csv").read_text().splitlines()))
    assert list(rows[0]) == ["line", "x0", "y0", "x1", "y1", "direction", "band", "name", "crossings"]
    assert len(rows) == 2 * 2 * 3
    crossed = [(row["line"], row["direction"], row["band"], row["name"]) for row in rows if row["crossings"] != "0"]
    assert crossed == [("0", "to_left", "1", "fast")]


def test_on_stdout_the_counts_are_only_told(disk, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = ok("detect", disk, "--bands", BANDS, "-o", "-", "--count-line", "80,0,80,119")
    assert "1 to the left" in result.stderr
    assert result.stdout.startswith("t_us,id,")
    assert list(tmp_path.iterdir()) == []


# --- what is wrong ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--px-per-mm", "0"], "--px-per-mm must be a number above 0"),
        (["--px-per-mm", "2", "--homography", "sound.csv"], "both set the scale; give one of them"),
        (["--homography", "singular.csv"], "is singular"),
        (["--homography", "none.csv"], "cannot read none.csv"),
        (["--camera", "none.yml"], "cannot read none.yml"),
        (["--camera", "other.json"], "other.json is for a sensor of 640x480, not 160x120"),
        (["--roi", "0,0,9,9", "--roi", "150,0,20,20"], "region 150,0,20,20 reaches outside the 160x120 sensor"),
        (["--roi", "0,0,9"], "x,y,w,h"),
        (["--ignore", "none.csv"], "cannot read none.csv"),
        (["--ignore", "sound.csv"], "line 1 of sound.csv"),
        (["--ignore", "far.csv"], "pixel 200,3 to mask lies outside the 160x120 sensor"),
        (["--count-line", "1,2,3"], "x0,y0,x1,y1"),
        (["--count-line", "200,0,200,50"], "line 200,0,200,50 lies outside the 160x120 sensor"),
    ],
)
def test_one_sentence_and_nothing_written(disk, tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sound.csv").write_text("1,0,0\n0,1,0\n0,0,1\n")
    (tmp_path / "singular.csv").write_text("1,0,0\n2,0,0\n0,0,1\n")
    (tmp_path / "far.csv").write_text("200,3\n")
    (tmp_path / "other.json").write_text(json.dumps({"K": MATRIX, "D": LENS, "image_width": 640, "image_height": 480}))
    before = sorted(tmp_path.iterdir())
    result = run("detect", disk, "--bands", BANDS, "-o", "t.csv", *options)
    assert result.exit_code == 1
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before
