"""The demo: files that are what their names say, and scores that match them."""

from __future__ import annotations

import av
import pytest
from PIL import Image
from typer.testing import CliRunner

from velocell.cli.app import app
from velocell.data.tracks import Tracks
from velocell.demo import BANDS
from velocell.formats import read
from velocell.results.evaluate import evaluate


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("demo") / "new" / "folder"


@pytest.fixture(scope="module")
def said(folder):
    result = CliRunner().invoke(app, ["demo", "--out", str(folder)])
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_it_shows_three_objects_their_scores_and_the_files(said, folder):
    for text in ("slow", "medium", "fast", "recall", "true band", "tracks.csv", "overview.png", "tracks.mp4"):
        assert text in said
    assert sorted(path.name for path in folder.iterdir()) == [
        "overview.png", "recording.npz", "tracks.csv", "tracks.csv.meta.json", "tracks.gif", "tracks.mp4",
        "truth.csv", "truth.csv.meta.json",
    ]  # fmt: skip


def test_table_and_truth_give_the_scores_shown(said, folder):
    tracks, truth = Tracks.read(folder / "tracks.csv"), Tracks.read(folder / "truth.csv")
    scores = evaluate(tracks, truth, BANDS.edges)
    assert scores.recall > 0.95
    assert scores.precision > 0.95
    assert scores.band_accuracy > 0.9
    assert f"{scores.band_accuracy:.4f}" in said
    assert tracks.meta["command"] == "demo"
    assert tracks.meta["scene"]["seed"] == 0
    assert read(folder / "recording.npz").size == (50, 50)


def test_picture_and_video_can_be_opened(said, folder):
    with Image.open(folder / "overview.png") as picture:
        assert min(picture.size) > 300
    with av.open(folder / "tracks.mp4") as video:
        assert sum(1 for _ in video.decode(video=0)) == 125
    with Image.open(folder / "tracks.gif") as clip:
        assert clip.n_frames == 100
