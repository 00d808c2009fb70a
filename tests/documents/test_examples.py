"""The examples run as they stand, and do what they say."""

from __future__ import annotations

import runpy
import sys

import pytest
from PIL import Image
from places import ROOT

from velocell.data.tracks import Tracks
from velocell.formats import write_npz
from velocell.simulate import notebook_scene, simulate

GALLERY = ROOT / "examples" / "gallery.py"
LEARN = ROOT / "examples" / "learn_kernel.py"
QUICKSTART = ROOT / "examples" / "quickstart.py"


@pytest.fixture
def started(tmp_path, monkeypatch, capsys):
    """Runs the quickstart in an empty folder with these arguments; returns what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", [str(QUICKSTART), *arguments])
        runpy.run_path(str(QUICKSTART), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_quickstart_finds_the_three_disks(started, tmp_path):
    printed = started()
    lines = sorted(printed.splitlines()[1:], key=lambda line: float(line.split(": ")[1].removesuffix(" px/s")))
    assert [line.split(", ")[-1].split(":")[0] for line in lines] == ["slow", "medium", "fast"]
    for line, speed in zip(lines, (31.25, 125.0, 250.0), strict=True):
        assert float(line.split(": ")[1].removesuffix(" px/s")) == pytest.approx(speed, rel=0.05)
    tracks = Tracks.read(tmp_path / "disks.csv")
    assert f"{len(tracks):,} rows" in printed
    assert len(set(tracks.id.tolist())) == 3
    assert (tmp_path / "disks.png").stat().st_size > 10_000
    assert (tmp_path / "disks.mp4").stat().st_size > 10_000
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "disks.csv",
        "disks.csv.meta.json",
        "disks.mp4",
        "disks.png",
    ]


def test_quickstart_reads_a_recording(started, tmp_path):
    recording, _ = simulate(notebook_scene(seed=3))
    write_npz(recording, tmp_path / "mine.npz")
    assert started("mine.npz").startswith(f"{len(recording):,} events")


def test_quickstart_stays_short():
    code = [line for line in QUICKSTART.read_text().splitlines() if line.strip() and not line.startswith("#")]
    assert len(code) <= 25


def test_a_kernel_is_learned_by_gradients(tmp_path, monkeypatch, capsys):
    """In small: all four rows and the figure; and a few steps from the ring lose less than the ring."""
    pytest.importorskip("torch", reason="the extra 'norse' is not installed")
    pytest.importorskip("cma", reason="the extra 'train' is not installed")
    few = ["--find", "disk", "--steps", "2", "--clips", "2", "--figure", str(tmp_path / "kernels.png")]
    monkeypatch.setattr(sys, "argv", [str(LEARN), *few])
    names = runpy.run_path(str(LEARN), run_name="__main__")
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split(" | ")[0] for row in rows] == [
        "| the ring", "| its numbers searched", "| learned from the ring", "| learned from noise"
    ]  # fmt: skip
    assert (tmp_path / "kernels.png").stat().st_size > 5_000
    own = names["clips"](6, "disk", 1)
    lost = [names["loss"](names["learned"](names["ring"](), own, steps), own).item() for steps in (0, 4)]
    assert lost[1] < 0.5 < lost[0]


def test_the_gallery_is_made_by_one_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(GALLERY), str(tmp_path / "new" / "gallery")])
    runpy.run_path(str(GALLERY), run_name="__main__")
    made = sorted((tmp_path / "new" / "gallery").iterdir())
    assert capsys.readouterr().out.split()
    assert len(made) == 11
    for path in made:
        with Image.open(path) as picture:
            colors = picture.convert("RGB").getcolors(1 << 22)
        assert len(colors) > 20, f"{path.name} is blank"
    shown = ROOT / "docs" / "images" / "gallery"
    assert [path.name for path in made] == sorted(path.name for path in shown.iterdir())
