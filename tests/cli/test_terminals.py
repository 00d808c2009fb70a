"""What people type and where they read it: terminals of any encoding, options that do not fit, swapped arguments."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import Result
from typer.main import get_command
from typer.testing import CliRunner

from velocell.cli import guard
from velocell.cli.app import app
from velocell.formats import write_npz
from velocell.simulate import Scene, SceneObject, simulate

BANDS = "60,240,960"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk in 100 ms with its truth, and a table of it."""
    folder = tmp_path_factory.mktemp("terminals")
    disk = SceneObject(id=0, x_px=10, y_px=24, speed_px_s=400)
    recording, truth = simulate(Scene(64, 48, 100_000, seed=1, objects=(disk,)))
    write_npz(recording, folder / "rec.npz")
    truth.write(folder / "truth.csv")
    result = run("detect", folder / "rec.npz", "--bands", BANDS, "-o", folder / "t.csv")
    assert result.exit_code == 0, result.stderr
    return folder


def run(*words: object, encoding: str = "utf-8") -> Result:
    return CliRunner(charset=encoding).invoke(app, [str(word) for word in words])


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_every_table_in_every_encoding(here: Path, encoding: str) -> None:
    info = run("info", here / "rec.npz", encoding=encoding)
    assert info.exit_code == 0, info.stderr
    assert ("\u2588" in info.stdout) == (encoding == "utf-8")
    scores = run("evaluate", here / "t.csv", here / "truth.csv", "--bands", BANDS, encoding=encoding)
    assert scores.exit_code == 0, scores.stderr
    for name in ("detect", "live", "view"):
        assert run(name, "--help", encoding=encoding).exit_code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="names are in UTF-16 there")
def test_a_name_that_stdout_cannot_show(here: Path, tmp_path: Path) -> None:
    file = tmp_path / "m\u00fcnze \u786c\u5e01.npz"
    os.link(here / "rec.npz", file)
    code = "from velocell.cli import main; main()"
    command = [sys.executable, "-c", code, "info", str(file)]
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, env=env)
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"m\xfcnze\u786c\u5e01.npz" in b"".join(done.stdout.split())


def test_debug_behind_any_command(tmp_path: Path) -> None:
    for name in get_command(app).commands:  # type: ignore[attr-defined]
        assert "--debug" in run(name, "--help").stdout
    with pytest.raises(Exception, match=r"cannot read .*none\.csv"):
        CliRunner().invoke(app, ["info", str(tmp_path / "none.csv"), "--debug"], catch_exceptions=False)


def test_truth_and_tracks_the_wrong_way_round(here: Path) -> None:
    swapped = run("evaluate", here / "truth.csv", here / "t.csv", "--bands", BANDS)
    assert swapped.exit_code == 1
    assert "t.csv is a table of detections and" in swapped.stderr
    assert "the truth comes second" in swapped.stderr
    # Two tables of detections may be compared.
    assert run("evaluate", here / "t.csv", here / "t.csv", "--bands", BANDS).exit_code == 0


def test_options_that_do_not_fit(here: Path, tmp_path: Path) -> None:
    words = ("detect", here / "rec.npz", "--bands", BANDS, "-o", tmp_path / "t.csv")
    slow = run(*words, "--every", "1s")
    assert "warning: " in slow.stderr
    assert "--every 1s is longer than the recording (100ms), so nothing is reported" in slow.stderr.replace("\n", " ")
    assert len(list(csv.reader((tmp_path / "t.csv").read_text().splitlines()))) == 1
    for one in ("on", "off"):
        assert f"--polarity {one} only one edge of a disk is seen" in run(*words, "--polarity", one).stderr
    assert "warning" not in run(*words).stderr


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    for name in ("detect", "info", "view"):
        words = ["--bands", BANDS, "-o", str(tmp_path / "t.csv")] if name == "detect" else []
        result = run(name, tmp_path, *words)
        assert result.exit_code == 1
        assert f"{tmp_path} is a folder; name a file in it" in result.stderr.replace("\n", "")


def test_each_line_on_stderr_is_written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads say things at any time; between a line and its break another one's could come."""
    pieces: list[str] = []

    class Kept:
        def write(self, text: str) -> int:
            pieces.append(text)
            return len(text)

        def flush(self) -> None:
            pass

    monkeypatch.setattr(sys, "stderr", Kept())
    guard.say("note: a")
    guard.speak(log="json")
    try:
        guard.say("note: b")
    finally:
        guard.speak()
    assert pieces[0] == "velocell: note: a\n"
    assert [json.loads(piece)["text"] for piece in pieces[1:] if piece.endswith("\n")] == ["b"]
