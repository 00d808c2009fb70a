"""MOTChallenge and COCO files against what their readers make of them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from velocell.cli.app import app
from velocell.data.tracks import Tracks
from velocell.errors import OptionError, TableError
from velocell.results.exports import FRAME_US, frames_of, write_coco, write_mot
from velocell.simulate import Scene, SceneObject, simulate
from velocell.tracking.online import EVERY_US

T0 = 10**15 + 1_000
BANDS = {"edges_px_s": [1, 2, 3], "names": ["lo", "hi"]}
META = {"inputs": [{"recording": {"width": 64, "height": 48}, "network": {"bands": BANDS}}]}


def table(**changes):
    """Object 0 in every frame of 5 ms, moving 2 px a frame; object 3 in frames 2 and 3."""
    columns = {
        "t_us": T0 + 5_000 * np.array([0, 1, 2, 3, 4, 2, 3]), "id": [0] * 5 + [3] * 2,
        "x_px": [10, 12, 14, 16, 18, 30, 30], "y_px": [20] * 5 + [5, 6], "band": [0, 0, 0, 1, 1, -1, -1],
        "radius_px": [4.0] * 5 + [2.5] * 2, "confidence": [0.5] * 5 + [np.nan] * 2,
    }  # fmt: skip
    return Tracks.from_columns({**columns, **changes}, META)


# The reader of motmetrics subtracts a tuple from a table, which pandas will read otherwise one day.
@pytest.mark.filterwarnings("ignore:Operation with tuple:DeprecationWarning")
def test_mot_is_what_motmetrics_reads(tmp_path):
    motmetrics = pytest.importorskip("motmetrics", reason="motmetrics is not installed")
    path = tmp_path / "t.txt"
    write_mot(path, table(), velocell="1.2")
    found = motmetrics.io.loadtxt(str(path), fmt="mot15-2D").reset_index()
    assert found["FrameId"].tolist() == [1, 2, 3, 3, 4, 4, 5]
    assert found["Id"].tolist() == [1, 1, 1, 4, 1, 4, 1]
    # Its reader takes 1 off: pixel borders from 0, where the centre of the first pixel is 0.5.
    first = found.iloc[0]
    assert [first[name] for name in ("X", "Y", "Width", "Height", "Confidence")] == [6.5, 16.5, 8, 8, 0.5]
    assert found[found["Id"] == 4]["Confidence"].tolist() == [1, 1]
    meta = json.loads((tmp_path / "t.txt.meta.json").read_text())
    assert (meta["fps"], meta["first_frame_us"], meta["frames"], meta["velocell"]) == (200, T0, 5, "1.2")
    assert meta["tracks"] == META


def test_coco_has_what_its_readers_ask_for(tmp_path):
    path = tmp_path / "t.json"
    write_coco(path, table())
    found = json.loads(path.read_text())
    assert [(item["id"], item["t_us"], item["width"], item["height"]) for item in found["images"]] == [
        (k + 1, T0 + 5_000 * k, 64, 48) for k in range(5)
    ]
    assert found["categories"] == [{"id": 1, "name": "lo"}, {"id": 2, "name": "hi"}, {"id": 3, "name": "outside"}]
    assert (found["info"]["fps"], found["videos"][0]["fps"]) == (200, 200)
    boxes = found["annotations"]
    assert [box["id"] for box in boxes] == list(range(1, 8))
    assert [(box["image_id"], box["track_id"], box["category_id"]) for box in boxes] == [
        (1, 0, 1), (2, 0, 1), (3, 0, 1), (3, 3, 3), (4, 0, 2), (4, 3, 3), (5, 0, 2),
    ]  # fmt: skip
    assert boxes[0] == {
        "id": 1, "image_id": 1, "category_id": 1, "track_id": 0, "bbox": [6.5, 16.5, 8.0, 8.0], "area": 64.0,
        "iscrowd": 0, "score": 0.5,
    }  # fmt: skip
    # Every box refers to an image and a category that exist.
    assert {box["image_id"] for box in boxes} <= {item["id"] for item in found["images"]}


def test_size_and_names_from_the_caller_come_first(tmp_path):
    write_coco(tmp_path / "t.json", table(), size=(100, 90), bands=("a", "b"))
    found = json.loads((tmp_path / "t.json").read_text())
    assert found["images"][0]["width"] == 100
    assert [item["name"] for item in found["categories"]] == ["a", "b", "outside"]


def test_a_frame_rate_interpolates():
    cut = frames_of(table(), 400)
    mine = cut.rows.id == 0
    assert (cut.fps, cut.count, cut.start_us) == (400, 9, T0)
    np.testing.assert_array_equal(cut.frame[mine], np.arange(9))
    np.testing.assert_allclose(cut.rows.x_px[mine], 10 + np.arange(9))
    np.testing.assert_array_equal(cut.rows.band[mine], [0] * 6 + [1] * 3)
    np.testing.assert_array_equal(cut.rows.t_us, T0 + 2_500 * cut.frame)
    np.testing.assert_array_equal(cut.frame[~mine], [4, 5, 6])
    slow = frames_of(table(), 1e6 / 15_000)
    np.testing.assert_allclose(slow.rows.x_px, [10, 16, 30])
    assert slow.count == 2


def test_nothing_is_interpolated_where_the_object_was_away():
    times = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 8, 9])
    tracks = table(
        t_us=T0 + 5_000 * times, id=[0] * 10 + [1] * 4, x_px=times, y_px=times, band=times * 0, radius_px=[2] * 14,
        confidence=[1] * 14,
    )  # fmt: skip
    cut = frames_of(tracks, 400)
    assert cut.frame[cut.rows.id == 1].tolist() == [0, 1, 2, 16, 17, 18]


@pytest.mark.parametrize(
    ("changes", "fps", "error", "words"),
    [
        ({"radius_px": [4.0] * 6 + [np.nan]}, None, TableError, "1 rows have no position or radius, the first at"),
        ({"radius_px": [0.0] + [4] * 6}, None, TableError, "boxes need both"),
        (
            {"t_us": T0 + np.array([0, 5, 10, 15, 21, 10, 15])},
            None,
            TableError,
            "not evenly spaced; give the frame rate",
        ),
        ({"t_us": [T0] * 7, "id": range(7)}, None, TableError, "give the frame rate with --fps"),
        ({"file": ["a"] * 5 + ["b"] * 2}, None, TableError, "several files; detect and export them one by one"),
        ({}, 0, OptionError, "--fps must be above 0, got 0"),
        ({}, np.nan, OptionError, "--fps must be above 0"),
    ],
)
def test_what_has_no_frames_is_told(changes, fps, error, words):
    with pytest.raises(error, match=words):
        frames_of(table(**changes), fps)


def test_an_empty_table_and_unknown_sizes_are_told(tmp_path):
    with pytest.raises(TableError, match="no rows; there is nothing to export"):
        write_mot(tmp_path / "t.txt", Tracks.empty())
    bare = Tracks.from_columns(table().columns())
    with pytest.raises(TableError, match="does not state the size of the sensor; give --size"):
        write_coco(tmp_path / "t.json", bare)
    with pytest.raises(TableError, match="uses band 1, but only 1 bands are named"):
        write_coco(tmp_path / "t.json", bare, size=(9, 9), bands=["a"])
    assert list(tmp_path.iterdir()) == []
    write_coco(tmp_path / "t.json", bare, size=(9, 9))
    names = [item["name"] for item in json.loads((tmp_path / "t.json").read_text())["categories"]]
    assert names == ["band 0", "band 1", "outside"]


# --- `velocell export` -----------------------------------------------------------------------------


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_command_exports_truth_and_detections(tmp_path):
    disk = SceneObject(id=4, x_px=15, y_px=20, speed_px_s=100)
    _, truth = simulate(Scene(64, 48, 200_000, objects=(disk,)))
    truth.write(tmp_path / "truth.csv")
    table().write(tmp_path / "tracks.jsonl")
    result = run("export", tmp_path / "truth.csv", "-o", tmp_path / "gt.txt")
    assert result.exit_code == 0, result.stderr
    assert "40 boxes in 40 frames at 200 frames/s, the first at 0 us" in result.stderr
    assert (tmp_path / "gt.txt").read_text().startswith("1,5,11.500,16.500,10.000,10.000,1.000,-1,-1,-1\n")
    result = run("export", tmp_path / "truth.csv", "-o", tmp_path / "gt.json", "--fps", 100)
    assert result.exit_code == 0, result.stderr
    assert len(json.loads((tmp_path / "gt.json").read_text())["annotations"]) == 20
    result = run("export", tmp_path / "tracks.jsonl", "-o", tmp_path / "t.json", "--size", "70x50")
    assert result.exit_code == 0, result.stderr
    assert json.loads((tmp_path / "t.json").read_text())["images"][0]["width"] == 70


def stated(**changes):
    """The table, of a recording that began 12.5 ms before its first row and is 100 ms long."""
    meta = {"inputs": [{"recording": {"file": "a.raw", "width": 64, "height": 48, "start_us": T0 - 12_500}}]}
    meta["inputs"][0]["recording"]["stop_us"] = T0 + 87_500
    return replace(table(**changes), meta=meta)


def test_frames_count_from_the_start_of_the_recording():
    cut = frames_of(stated())
    # The rows lie 2.5 ms after the beginning of their frames: 0 is at 2.5 ms.
    assert (cut.origin_us, cut.start_us, cut.count) == (T0 - 12_500, T0 - 10_000, 7)
    np.testing.assert_array_equal(cut.frame, [2, 3, 4, 4, 5, 5, 6])
    np.testing.assert_array_equal(cut.rows.x_px, table().x_px)
    # A part of it that begins 10 ms later: the same frames.
    part = stated()
    part.meta["inputs"][0]["recording"]["start_us"] += 10_000
    part.meta["settings"] = {"from_us": 10_000}
    np.testing.assert_array_equal(frames_of(part).frame, cut.frame)
    # At a rate they are multiples of its period after the origin, and positions are those of that time.
    rated = frames_of(stated(), 200)
    mine = rated.rows.id == 0
    assert rated.start_us == T0 - 12_500
    np.testing.assert_array_equal(rated.frame[mine], [3, 4, 5, 6])
    np.testing.assert_allclose(rated.rows.x_px[mine], [11, 13, 15, 17])
    # Without a word about the recording, from the first row on.
    assert frames_of(table()).origin_us == T0


def test_an_origin_is_kept_to():
    cut = frames_of(stated(), origin_us=T0 + 6_000)
    assert (cut.origin_us, cut.start_us, cut.before) == (T0 + 6_000, T0 + 10_000, 2)
    np.testing.assert_array_equal(cut.frame, [0, 0, 1, 1, 2])
    early = frames_of(stated(), origin_us=0)
    assert early.frame[0] == T0 // 5_000
    with pytest.raises(OptionError, match=r"lies after the end of the recording, .*; give an earlier --origin"):
        frames_of(stated(), origin_us=T0 + 87_501)
    with pytest.raises(TableError, match=r"no rows from the origin .* on; give an earlier --origin"):
        frames_of(stated(), origin_us=T0 + 80_000)


def test_a_simulated_truth_has_the_frames_of_the_usual_reports():
    assert FRAME_US == EVERY_US
    disk = SceneObject(x_px=15, y_px=20, speed_px_s=100, start_us=7_300)
    truth = simulate(Scene(64, 48, 200_000, objects=(disk,)))[1]
    cut = frames_of(truth)
    assert (cut.fps, cut.origin_us, cut.start_us, cut.frame[0]) == (200, 0, 0, 2)
    np.testing.assert_array_equal(cut.rows.t_us, np.arange(10_000, 200_000, 5_000))
    assert frames_of(truth, 1000).frame[0] == 8
    bare = replace(truth, meta={})
    assert (frames_of(bare).fps, frames_of(bare).frame[0]) == (1000, 0)


def test_the_command_writes_the_truth_in_the_same_frames(tmp_path):
    disk = SceneObject(id=4, x_px=15, y_px=20, speed_px_s=100)
    _, truth = simulate(Scene(64, 48, 200_000, objects=(disk,)))
    truth.write(tmp_path / "truth.csv")
    rows = truth.where((truth.t_us % 4_000 == 0) & (truth.t_us >= 20_000))
    replace(rows, meta={}).write(tmp_path / "tracks.csv")
    options = ["--truth", tmp_path / "truth.csv", "--origin", "10ms", "-o", tmp_path / "t.txt"]
    result = run("export", tmp_path / "tracks.csv", *options)
    assert result.exit_code == 0, result.stderr
    found, true = ((tmp_path / name).read_text().splitlines() for name in ("t.txt", "t.truth.txt"))
    # From 10 ms on every 4 ms, at the rows' times: 12, 16, 20 ms.
    assert found[0].startswith("3,5,13.500")
    assert true[2:] == found


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"width": 70}, "of two recordings, 70x48 px and 64x48 px; give those of one recording"),
        ({"file": "b.raw"}, "of two recordings, b.raw and a.raw; give those of one recording"),
        ({"later": True}, "give those of one recording"),
    ],
)
def test_tables_of_two_recordings_are_refused(tmp_path, changed, words):
    other = stated()
    if changed.pop("later", False):
        other = replace(other, t_us=other.t_us + 10**9)
    other.meta["inputs"][0]["recording"] |= changed
    other.write(tmp_path / "tracks.csv")
    stated().write(tmp_path / "truth.csv")
    result = run("export", tmp_path / "tracks.csv", "--truth", tmp_path / "truth.csv", "-o", tmp_path / "t.txt")
    assert result.exit_code == 1
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.glob("t.*"))


def test_what_is_wrong_with_the_truth_leaves_nothing_behind(tmp_path):
    stated().write(tmp_path / "tracks.csv")
    stated(radius_px=[np.nan] * 7).write(tmp_path / "truth.csv")
    result = run("export", tmp_path / "tracks.csv", "--truth", tmp_path / "truth.csv", "-o", tmp_path / "t.txt")
    assert result.exit_code == 1
    assert "7 rows have no position or radius" in result.stderr
    assert not list(tmp_path.glob("t.*"))


def test_the_command_tells_what_is_wrong(tmp_path):
    table(radius_px=[np.nan] * 7).write(tmp_path / "t.csv")
    for out, words in (
        ("t.mp4", "suffix must be .txt or .json"),
        ("t.txt", "t.csv: 7 rows have no position or radius"),
        ("t.txt --origin 5", "--origin '5' is not a time; write a number with us, ms, s or min"),
    ):
        result = run("export", tmp_path / "t.csv", "-o", *(tmp_path / out).as_posix().split(" "))
        assert result.exit_code == 1
        assert words in result.stderr
        assert result.stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.csv", "t.csv.meta.json"]
