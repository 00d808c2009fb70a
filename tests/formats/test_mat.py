"""MATLAB files, of version 5 by SciPy and of version 7.3 by h5py: variables, structs, matrices, and damage."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from strategies import read_or_refused

from velocell import formats
from velocell.errors import RecordingError

N = 500
RNG = np.random.default_rng(1)
T = np.sort(RNG.integers(0, 400_000, N)) + 1_000
X, Y, P = RNG.integers(0, 320, N), RNG.integers(0, 240, N), RNG.integers(0, 2, N)
TABLE = np.stack([T, X, Y, P], 1)
LAYOUTS: dict[str, dict[str, Any]] = {
    "variables": {"t": T, "x": X, "y": Y, "p": P},
    "doubles": {"t": T.astype(float), "x": X.astype(float), "y": Y.astype(float), "p": P.astype(float)},
    "struct": {"TD": {"ts": T, "x": X, "y": Y, "p": 2 * P - 1}},
    "matrix": {"events": TABLE, "other": np.zeros((7, 4))},
    "any matrix": {"recorded": TABLE.astype(float)},
    "order": {"events": TABLE[:, [1, 2, 0, 3]]},
}


def save5(path: Path, variables: dict[str, Any], *, pack: bool = False) -> None:
    scipy_io = pytest.importorskip("scipy.io", reason="the extra 'mat' is not installed")
    scipy_io.savemat(path, variables, do_compression=pack)


def save73(path: Path, variables: dict[str, Any]) -> None:
    """As MATLAB does: behind 512 bytes of its own, lists as matrices of one row, matrices turned."""
    h5py = pytest.importorskip("h5py", reason="the extra 'hdf5' is not installed")
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            for leaf, values in value.items() if isinstance(value, dict) else [("", value)]:
                array = np.asarray(values)
                place = f"{name}/{leaf}" if leaf else name
                file.create_dataset(place, data=array[None] if array.ndim == 1 else array.T, compression="gzip")
    with path.open("r+b") as handle:
        handle.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


SAVE = {"5": save5, "7.3": save73}


@pytest.mark.parametrize("version", SAVE)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(tmp_path: Path, version: str, layout: str) -> None:
    SAVE[version](tmp_path / "a.mat", LAYOUTS[layout])
    found = formats.read(tmp_path / "a.mat")
    assert found.p is not None
    for ours, theirs in ((found.t_us, T), (found.x, X), (found.y, Y), (found.p, P)):
        np.testing.assert_array_equal(ours, theirs)


def test_packed_columns_and_the_unit(tmp_path: Path) -> None:
    save5(tmp_path / "a.mat", {"t": T[:, None] / 1e6, "x": X[:, None], "y": Y[:, None]}, pack=True)
    found = formats.read(tmp_path / "a.mat")
    assert found.t_us.tolist() == T.tolist()
    assert found.p is None
    assert "times read as s, since they have decimals" in found.notes
    save5(tmp_path / "a.mat", {"t_ns": T, "x": X + 1, "y": Y + 1})
    found = formats.read(tmp_path / "a.mat")
    assert found.t_us.tolist() == (T // 1_000).tolist()
    assert "x and y begin at 1, as MATLAB counts, and are taken as they stand" in found.notes
    assert formats.read(tmp_path / "a.mat", time_unit="us").t_us.tolist() == T.tolist()


def test_of_two_cameras_the_first_is_read(tmp_path: Path) -> None:
    sides = {"x": X[:9], "y": Y[:9], "t": T[:9]}
    save5(tmp_path / "a.mat", {"left": {"x": X, "y": Y, "t": T}, "right": sides})
    source = formats.open_recording(tmp_path / "a.mat")
    assert len(source.read()) == N
    assert source.integrity.facts == {"other": 9}


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"a": TABLE, "b": TABLE}, "several matrices that may hold events: a, b; keep one"),
        ({"frames": np.zeros((5, 6, 7))}, r"frames is an array of shape \(5, 6, 7\), a voxel grid, or frames"),
        ({"name": "text", "t": T, "x": X}, r"without t, x and y of one length \(it holds t, x\)"),
        ({"t": T, "x": X, "y": Y[:5]}, "without t, x and y of one length"),
        ({"events": np.zeros((0, 4))}, "without"),
    ],
)
def test_what_holds_no_events(tmp_path: Path, variables: dict[str, Any], message: str) -> None:
    save5(tmp_path / "a.mat", variables)
    with pytest.raises(RecordingError, match=message):
        formats.read(tmp_path / "a.mat")


def test_without_scipy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save5(tmp_path / "a.mat", LAYOUTS["variables"])
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(RecordingError, match='pip install "scipy'):
        formats.read(tmp_path / "a.mat")


@pytest.mark.parametrize("pack", [False, True])
def test_damage(tmp_path: Path, pack: bool) -> None:
    path = tmp_path / "a.mat"
    save5(path, LAYOUTS["struct"], pack=pack)
    data = path.read_bytes()
    for cut in (100, 130, 1_000, len(data) - 3):
        path.write_bytes(data[:cut])
        with pytest.raises(RecordingError, match=r"a\.mat"):
            formats.read(path)
    rng = np.random.default_rng(2)
    for _ in range(12):
        changed = bytearray(data)
        for at in rng.integers(20, len(data), 3):
            changed[at] = rng.integers(0, 256)
        path.write_bytes(changed)
        read_or_refused(path)
