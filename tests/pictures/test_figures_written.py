"""Figures as files from the command line: which there are, in what format, and what is refused before the work."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import call, ok

from velocell.calibration.formulas import calibrate
from velocell.demo import BANDS
from velocell.formats import write_npz
from velocell.simulate import Scene, notebook_scene, simulate

BEGINS = {"pdf": b"%PDF-", "svg": b"<?xml", "png": b"\x89PNG"}
EDGES = "16,62,177,500"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """rec.npz, empty.npz, net.toml."""
    made = tmp_path_factory.mktemp("figures")
    write_npz(simulate(notebook_scene())[0], made / "rec.npz")
    write_npz(simulate(Scene(30, 30, 100_000, noise_hz=1.0))[0], made / "empty.npz")
    calibrate(BANDS, 5.0).to_toml(made / "net.toml")
    return made


@pytest.mark.parametrize("suffix", ["pdf", "svg", "png"])
def test_a_tuning_is_drawn(here: Path, suffix: str) -> None:
    ok("tuning", here / "net.toml", "-o", here / f"t.{suffix}")
    assert (here / f"t.{suffix}").read_bytes().startswith(BEGINS[suffix])


def test_all_figures_of_a_detection(here: Path) -> None:
    words = [
        "detect",
        here / "rec.npz",
        "--bands",
        EDGES,
        "-o",
        here / "t.csv",
        "--figures",
        here / "fig",
        "--figure-type",
        "svg",
    ]
    result = ok(*words)
    names = {path.stem for path in (here / "fig").iterdir()}
    assert names == {"overview", "speeds", "positions", "responses", "kernel", "receptive_fields", "tuning"}
    for path in (here / "fig").iterdir():
        assert path.suffix == ".svg"
        assert path.read_bytes().startswith(BEGINS["svg"])
    assert "overview.svg, speeds.svg" in result.stderr


def test_what_there_is_nothing_of_is_left_out(here: Path) -> None:
    ok("detect", here / "empty.npz", "--network", here / "net.toml", "-o", here / "e.csv", "--figures", here / "none")
    names = {path.name for path in (here / "none").iterdir()}
    assert {"overview.pdf", "kernel.pdf", "tuning.pdf"} <= names
    assert not names & {"speeds.pdf", "positions.pdf"}


@pytest.mark.parametrize(
    ("figures", "told"), [("net.toml", "it is a file"), ("gone/fig", "there is no folder"), (".", None)]
)
def test_wrong_folders_are_told_before_the_work(
    here: Path, figures: str, told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(*_: object, **__: object) -> None:
        raise AssertionError("it began")

    monkeypatch.setattr("velocell.pipeline.findings", work)
    result = call("detect", here / "rec.npz", "--bands", EDGES, "-o", here / "x.csv", "--figures", here / figures)
    if told is None:
        assert isinstance(result.exception, AssertionError | SystemExit)
    else:
        assert (result.exit_code, told in result.stderr) == (1, True)


def test_figures_are_for_one_recording(here: Path) -> None:
    result = call(
        "detect", here / "rec.npz", here / "empty.npz", "--bands", EDGES, "-o", here / "x.csv", "--figures", here / "f"
    )
    assert "are for one recording" in result.stderr
