"""The page on a real recording says what the recording gives."""

from __future__ import annotations

import csv
import re

import pytest
from commands import call
from places import ROOT, SHARED

RECORDING = SHARED / "two_cars_davis346.aedat4"
TRUE_PX_S = 104  # by contrast maximisation, as its readme says


def test_the_wheel_has_the_speed_of_its_car(tmp_path, monkeypatch):
    if not RECORDING.exists():
        pytest.skip(f"{RECORDING.name} is not here")
    page = (ROOT / "docs" / "worked.md").read_text(encoding="utf-8")
    (tmp_path / "sample.aedat4").symlink_to(RECORDING)
    monkeypatch.chdir(tmp_path)
    command = re.search(r"velocell (detect sample\.aedat4 .+)", page)[1].replace(" --report cars.html", "")
    result = call(*command.split())
    assert result.exit_code == 0, result.stderr
    printed = re.search(r"```text\n(.+?)```", page, re.S)[1].splitlines()
    (stated,) = csv.DictReader(printed)
    (found,) = csv.DictReader((tmp_path / "wheels.csv").read_text(encoding="utf-8").splitlines())
    speed, error = float(found["speed_px_s"]), float(found["speed_err_px_s"])
    assert abs(speed - TRUE_PX_S) < 2 * error < TRUE_PX_S / 4
    assert float(stated["speed_px_s"]) == pytest.approx(speed, abs=error)
    assert int(stated["rows"]) == pytest.approx(int(found["rows"]), rel=0.1)
