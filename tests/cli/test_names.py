"""Names of files that are not plain text: escaped on the terminal, and no reason to lose what was found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from velocell.data.recording import Recording
from velocell.errors import printable
from velocell.formats import write_npz

MAIN = "from velocell.cli import main; main()"
BANDS = ["--bands", "40,160,640", "--radius", "5"]


def test_printable() -> None:
    assert printable("a\x1b[31m\tb\nc\udcff") == "a\\x1b[31m b c\\udcff"
    assert printable("größe µs 目") == "größe µs 目"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
@pytest.mark.parametrize("arguments", [["info"], ["detect", *BANDS, "-o", "out.csv", "--report", "r.html"],
                                       ["convert", "out.csv"]])  # fmt: skip
def test_a_name_of_any_bytes(tmp_path: Path, arguments: list[str]) -> None:
    rng = np.random.default_rng(1)
    t = np.sort(rng.integers(0, 100_000, 2_000))
    x, y = rng.integers(0, 60, (2, 2_000))
    write_npz(Recording.from_arrays(t, x, y, width=60, height=60), tmp_path / "plain.npz")
    name = b"\xff\x1b[31m.npz"
    (tmp_path / "plain.npz").rename(tmp_path / os.fsdecode(name))
    command, *rest = arguments
    ended = subprocess.run(
        [sys.executable, "-c", MAIN, command, os.fsdecode(name), *rest], cwd=tmp_path, capture_output=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert b"\x1b" not in ended.stderr + ended.stdout
    assert b"internal error" not in ended.stderr


def test_the_table_is_there_where_the_report_fails(tmp_path: Path) -> None:
    """What cost the work is written first."""
    rng = np.random.default_rng(1)
    t = np.sort(rng.integers(0, 100_000, 2_000))
    x, y = rng.integers(0, 60, (2, 2_000))
    write_npz(Recording.from_arrays(t, x, y, width=60, height=60), tmp_path / "a.npz")
    code = "from velocell.pictures import report\ndef no(*_, **__): raise OSError(28, 'no space')\n"
    code += "report.write_report = no\n"
    ended = subprocess.run(
        [sys.executable, "-c", code + MAIN, "detect", "a.npz", *BANDS, "-o", "out.csv", "--report", "r.html"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    assert "no space" in ended.stderr
    assert (tmp_path / "out.csv").read_text().startswith("t_us,")
