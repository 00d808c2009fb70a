"""Lamps in detect and live: found, filtered, told; the rows are the same, and wrong words get one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import call, ok

from velocell.data.tracks import Tracks
from velocell.formats import write_npz
from velocell.simulate import Flicker, Scene, SceneObject, simulate

LOOK_FOR = ("--bands", "40,160,640", "--radius", 5)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    disk = SceneObject(x_px=20, y_px=30, radius_px=5, speed_px_s=150, contrast=3.0, bounce=True)
    lamp = Flicker(60, 30, 9, shape="square", contrast=2.0, frequency_hz=120.0)
    scene = Scene(120, 60, 1_200_000, seed=6, noise_hz=0.5, objects=(disk,), flicker=(lamp,))
    path = tmp_path_factory.mktemp("lamps") / "lit.npz"
    write_npz(simulate(scene)[0], path)
    return path


def test_detect_and_live_filter_the_same_lamp_and_say_so(file, tmp_path):
    table, lines = tmp_path / "tracks.csv", tmp_path / "tracks.jsonl"
    detected = ok("detect", file, *LOOK_FOR, "-o", table)
    assert f"note: {file}: flicker of 120.0 Hz: " in detected.stderr
    live = ok("live", f"replay:{file}", "--speed", "max", *LOOK_FOR, "-o", lines)
    assert "us on flicker of 120.0 Hz is filtered" in live.stderr
    assert "; flicker of 120.0 Hz filtered, " in live.stderr
    rows, streamed = Tracks.read(table), Tracks.read(lines)
    assert len(rows) > 100
    np.testing.assert_array_equal(rows.t_us, streamed.t_us)
    np.testing.assert_allclose(rows.x_px, streamed.x_px, atol=0.01)


def test_off_filters_nothing_and_a_stated_frequency_is_taken(file, tmp_path):
    for text, said in (("off", False), ("120Hz", True)):
        found = ok("detect", file, *LOOK_FOR, "--flicker", text, "-o", tmp_path / "tracks.csv")
        assert ("flicker of 120.0 Hz" in found.stderr) == said


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("100", "is not a frequency with its unit"),
        ("3kHz", "between 40 and 1000 Hz"),
        ("12Hz", "between 40 and 1000 Hz"),
    ],
)
@pytest.mark.parametrize("command", [("detect",), ("live",)])
def test_a_frequency_without_unit_or_beyond_the_band_is_one_sentence(file, tmp_path, command, text, sentence):
    source = file if command == ("detect",) else f"replay:{file}"
    result = call(
        *command, source, *LOOK_FOR, "--flicker", text, "-o", tmp_path / f"x.{'csv' if source == file else 'jsonl'}"
    )
    assert result.exit_code == 1
    assert sentence in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())
