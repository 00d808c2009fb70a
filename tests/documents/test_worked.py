"""The page on a real recording says what the recording gives."""

from __future__ import annotations

import csv
import re

import pytest
from commands import call
from places import ROOT, SHARED

RECORDING = SHARED / "two_cars_davis346.aedat4"
COURSE_FILE = SHARED / "2404_circle.dat"
PAGE = (ROOT / "docs" / "worked.md").read_text(encoding="utf-8")
TRUE_PX_S = 104  # by contrast maximisation, as its readme says


def test_the_wheel_has_the_speed_of_its_car(tmp_path, monkeypatch):
    if not RECORDING.exists():
        pytest.skip(f"{RECORDING.name} is not here")
    (tmp_path / "sample.aedat4").symlink_to(RECORDING)
    monkeypatch.chdir(tmp_path)
    command = re.search(r"velocell (detect sample\.aedat4 .+)", PAGE)[1].replace(" --report cars.html", "")
    result = call(*command.split())
    assert result.exit_code == 0, result.stderr
    printed = re.search(r"```text\n(.+?)```", PAGE, re.S)[1].splitlines()
    (stated,) = csv.DictReader(printed)
    (found,) = csv.DictReader((tmp_path / "wheels.csv").read_text(encoding="utf-8").splitlines())
    speed, error = float(found["speed_px_s"]), float(found["speed_err_px_s"])
    assert abs(speed - TRUE_PX_S) < 2 * error < TRUE_PX_S / 4
    assert float(stated["speed_px_s"]) == pytest.approx(speed, abs=error)
    assert int(stated["rows"]) == pytest.approx(int(found["rows"]), rel=0.1)


def test_the_courses_recording_has_the_scores_of_the_page(tmp_path, monkeypatch):
    if not COURSE_FILE.exists():
        pytest.skip(f"{COURSE_FILE.name} is not here")
    (tmp_path / COURSE_FILE.name).symlink_to(COURSE_FILE)
    monkeypatch.chdir(tmp_path)
    assert call(*re.search(r"velocell (detect 2404_circle\.dat .+)", PAGE)[1].split()).exit_code == 0
    exec(re.search(r"```python\n(.+?)```", PAGE, re.S)[1], {})
    result = call(*re.search(r"velocell (evaluate .+)", PAGE)[1].split())
    assert result.exit_code == 0, result.stderr
    found = {figure: float(value) for figure, value in re.findall(r"(\S[^\n]*?)  +([\d.]+)", result.stdout)}
    stated = {figure: float(value) for figure, value in re.findall(r"^\| (\w[^|]*) \| ([\d.]+)", PAGE, re.M)}
    assert len(stated) == 8
    assert {figure: found[figure] for figure in stated} == pytest.approx(stated, rel=0.03, abs=0.05)
