"""The tracker's cells of the sensor, which keep few tracks in themselves and more in lists: built and run on its own,
since rows hardly tell (tracks are entered anew before long)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NATIVE = HERE.parents[1] / "native"
COMPILER = shutil.which("c++")


@pytest.mark.skipif(COMPILER is None, reason="no C++ compiler (c++)")
def test_cells_hold_the_tracks_that_entered_and_did_not_leave(tmp_path):
    assert COMPILER is not None
    made = tmp_path / "cells"
    subprocess.run([COMPILER, "-std=c++20", "-O1", f"-I{NATIVE}", str(HERE / "cells.cpp"), "-o", str(made)], check=True)
    done = subprocess.run([str(made)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
