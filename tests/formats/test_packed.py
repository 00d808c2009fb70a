"""Recordings that are packed as a whole, around any format: what is in them, their budget, and damage."""

from __future__ import annotations

import bz2
import gc
import gzip
import io
import lzma
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from disks import files_up_to
from strategies import assert_same_recording

from velocell import formats
from velocell.data.recording import Recording
from velocell.errors import RecordingError, VelocellError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda data: zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1}),
}
RNG = np.random.default_rng(1)
RECORDING = Recording.from_arrays(
    np.arange(3_000) * 7, RNG.integers(0, 64, 3_000), RNG.integers(0, 48, 3_000), RNG.integers(0, 2, 3_000),
    width=64, height=48,
)  # fmt: skip


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Temporary files go here, and none may stay."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def written(suffix: str, folder: Path) -> bytes:
    if suffix == ".h5":
        pytest.importorskip("h5py", reason="the extra 'hdf5' is not installed")
    formats.WRITERS[suffix]([RECORDING], folder / f"plain{suffix}")
    return (folder / f"plain{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", [".csv", ".npz", ".raw", ".dat", ".aedat4", ".h5"])
def test_around_any_format(tmp_path: Path, temporary: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}.xz"
    path.write_bytes(lzma.compress(written(suffix, tmp_path)))
    source = formats.open_recording(path)
    assert_same_recording(source.read(), RECORDING)
    assert_same_recording(source.read(), RECORDING)
    assert source.path == path
    assert "packed by xz" in source.notes[0]
    del source
    gc.collect()
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("how", PACKERS)
@pytest.mark.parametrize("pieces", [1, 2])
def test_packers(tmp_path: Path, how: str, pieces: int) -> None:
    """Files may be put one behind the other."""
    data = written(".csv", tmp_path)
    cut = len(data) // pieces
    parts = [data[:cut], data[cut:]] if pieces == 2 else [data]
    (tmp_path / "a").write_bytes(b"".join(map(PACKERS[how], parts)))
    assert_same_recording(formats.read(tmp_path / "a"), RECORDING)


def refused(path: Path, message: str) -> None:
    with pytest.raises(VelocellError, match=message) as caught:
        formats.read(path)
    assert str(path) in str(caught.value)
    assert "temporary" not in str(caught.value).replace(str(path.parent), "").split(" unpacked into ")[0]


@pytest.mark.parametrize("how", PACKERS)
def test_damage(tmp_path: Path, temporary: Path, how: str) -> None:
    path = tmp_path / "a"
    data = PACKERS[how](written(".csv", tmp_path))
    for damaged in (data[: len(data) // 2], data[:300] + bytes(200) + data[500:]):
        path.write_bytes(damaged)
        refused(path, "is a damaged .* file .*; copy it again")
    path.write_bytes(PACKERS[how](b""))
    refused(path, "is empty; copy or record it again")
    path.write_bytes(PACKERS[how](b"%PDF-1.4 \x00\x01"))
    refused(path, "is of an unknown format")
    path.write_bytes(PACKERS[how](data))
    refused(path, "is a compressed file in a compressed file")
    assert list(temporary.iterdir()) == []


def test_errors_name_the_packed_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"t_us,x,y\n1,2,3\n2,3,oh\n"))
    refused(path, r"a\.csv\.gz line 3")


def test_a_tar_archive(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.csv"))
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(buffer.getvalue()))
    refused(tmp_path / "a.tar.gz", "is a tar archive")


def test_what_unfolds_to_too_much(tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("velocell.data.budget._UNPACKED", 1 << 20)
    path = tmp_path / "a"
    for how in PACKERS:
        path.write_bytes(PACKERS[how](bytes(1 << 21)))
        refused(path, "asks for unpacked data of .*--budget")
    assert list(temporary.iterdir()) == []


def test_a_dictionary_that_needs_much_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("velocell.formats.packed._MOST_DICTIONARY", 1 << 20)
    (tmp_path / "a").write_bytes(lzma.compress(b"t_us,x,y\n1,2,3\n"))  # 8 MB
    refused(tmp_path / "a", "is a damaged xz file .*emory")


def test_a_full_disk(tmp_path: Path, temporary: Path) -> None:
    (tmp_path / "a").write_bytes(gzip.compress(written(".csv", tmp_path)))
    with files_up_to(10_000):
        refused(tmp_path / "a", "does not fit unpacked into .*set TMPDIR to a larger disk")
    assert list(temporary.iterdir()) == []


def test_the_size_is_asked_for_by_the_packed_name(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"t_us,x,y\n1,2,3\n"))
    with pytest.raises(RecordingError, match=r"a\.gz has events outside"):
        formats.read(tmp_path / "a.gz", size=(2, 2))
