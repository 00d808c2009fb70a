"""Bad recordings at the command line: one sentence that names the file, exit code 1, and soon."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from benchmarks.fuzz_seeds import Seed, all_seeds
from velocell import formats
from velocell.cli.app import app
from velocell.data.recording import Recording
from velocell.formats import source

SEEDS = [seed for seed in all_seeds()[0] if seed.pack is None]
MAIN = "from velocell.cli import main; main()"
FILES = settings(max_examples=60)


def refused(path: Path, *words: str, command: tuple[str, ...] = ("info",)) -> str:
    """The sentence without the name of the file."""
    result = CliRunner().invoke(app, [command[0], str(path), *command[1:]])
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("velocell: error: ")
    assert str(path) in line
    assert all(word in line for word in words), line
    return line


def told_or_refused(path: Path) -> None:
    result = CliRunner().invoke(app, ["info", str(path)])
    assert result.exit_code in (0, 1), result.output
    if result.exit_code:
        (line,) = result.stderr.splitlines()
        assert line.startswith("velocell: error: ")
        assert path.name in line


@FILES
@given(seed=st.sampled_from(SEEDS), part=st.floats(0, 1, exclude_max=True))
def test_cut_off_anywhere(tmp_path: Path, seed: Seed, part: float) -> None:
    path = tmp_path / "cut"
    path.write_bytes(seed.content[: int(part * len(seed.content))])
    told_or_refused(path)


@pytest.mark.parametrize("name", sorted({seed.format for seed in SEEDS} - {"CSV", "N-MNIST"}))
def test_without_its_first_bytes_nothing_is_known(tmp_path: Path, name: str) -> None:
    content = next(seed.content for seed in SEEDS if seed.format == name)
    (tmp_path / "a").write_bytes(b"\x01\xfe\x02\xfd" + content[4:])
    refused(tmp_path / "a", "of an unknown format, which this version does not read; it reads: ")


@FILES
@given(seed=st.sampled_from(SEEDS), part=st.floats(0, 1, exclude_max=True), length=st.sampled_from([4, 8]))
def test_sizes_of_four_billion_and_more(tmp_path: Path, seed: Seed, part: float, length: int) -> None:
    content = bytearray(seed.content)
    at = int(part * len(content))
    content[at : at + length] = b"\xff" * length
    (tmp_path / "a").write_bytes(content)
    told_or_refused(tmp_path / "a")


# --- times ------------------------------------------------------------------------------------------------

DAY_US = 86_400_000_000


def recording(*times: int) -> Recording:
    n = len(times)
    return Recording.from_arrays(times, np.arange(n) % 9, np.arange(n) % 7, np.arange(n) % 2, width=9, height=7)


@pytest.mark.parametrize("suffix", [".npz", ".raw", ".csv", ".h5"])
def test_a_jump_of_days_is_told(tmp_path: Path, suffix: str) -> None:
    if suffix == ".h5":
        pytest.importorskip("h5py", reason="the extra 'hdf5' is not installed")
    path = tmp_path / f"a{suffix}"
    formats.WRITERS[suffix]([recording(5, 9, 30 * DAY_US)], path)
    result = CliRunner().invoke(app, ["info", str(path)])
    assert result.exit_code == 0
    assert "the longest 2592000.000 s from 9 us" in " ".join(result.stdout.split())


def test_a_jump_back_of_days_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over more events than are held back to be put in order."""
    monkeypatch.setattr(source, "SMALLEST_BLOCK", 1_000)
    monkeypatch.setattr(source, "LARGEST_BLOCK", 1_000)
    n = 10_000
    t = np.r_[30 * DAY_US + np.arange(n), np.arange(n)]
    events = np.zeros(2 * n, [("t", "<i8"), ("x", "<u2"), ("y", "<u2")])
    events["t"] = t
    np.save(tmp_path / "a.npy", events)
    refused(tmp_path / "a.npy", "the time steps back from", "cut the file there")


# --- bombs ------------------------------------------------------------------------------------------------


def claiming(name: str, size: int) -> bytes:
    """A zip archive with a small packed member that says it unpacks to `size` bytes."""
    header = np.lib.format.magic(1, 0) + struct.pack("<H", 118)
    header += f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({size - 128},), }}".encode().ljust(117) + b"\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, header + bytes(1_000))
        for other in ("x.npy", "y.npy"):
            if name.endswith(".npy"):
                archive.writestr(other, header + bytes(1_000))
    data = buffer.getvalue()
    # In the list at the end: the length once unpacked.
    at = -1
    data = bytearray(data)
    while (at := data.find(b"PK\x01\x02", at + 1)) >= 0:
        struct.pack_into("<I", data, at + 24, size)
    return bytes(data)


@pytest.mark.parametrize("name", ["t.npy", "archive/data.pkl"])
def test_archives_that_unpack_to_gigabytes(tmp_path: Path, name: str) -> None:
    (tmp_path / "a").write_bytes(claiming(name, 0xFFFFFFF0))
    refused(tmp_path / "a")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_packed_files_of_no_format_are_refused(tmp_path: Path, pack) -> None:
    (tmp_path / "a").write_bytes(pack(bytes(1 << 24)))
    refused(tmp_path / "a", "unknown format")


def test_a_bag_chunk_that_unpacks_to_gigabytes(tmp_path: Path) -> None:
    packed = bz2.compress(bytes(129 << 20), 1)
    fields = b"".join(struct.pack("<I", len(field)) + field for field in (b"op=\x05", b"compression=bz2"))
    chunk = struct.pack("<I", len(fields)) + fields + struct.pack("<I", len(packed)) + packed
    (tmp_path / "a.bag").write_bytes(b"#ROSBAG V2.0\n" + chunk)
    refused(tmp_path / "a.bag", "a record of more than 32 MiB")


# --- HDF5 and bags ----------------------------------------------------------------------------------------


def test_hdf5_without_its_filter(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="the extra 'hdf5' is not installed")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in "txyp":
            plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plist.set_chunk((4,))
            plist.set_filter(0x8ECF, h5py.h5z.FLAG_OPTIONAL, ())
            space = h5py.h5s.create_simple((4,))
            h5py.h5d.create(file.id, name.encode(), h5py.h5t.NATIVE_INT64, space, plist)
    refused(tmp_path / "a.h5", "ECF filter", "HDF5_PLUGIN_PATH")


def test_hdf5_cut_off(tmp_path: Path) -> None:
    content = next(seed.content for seed in SEEDS if seed.format == "HDF5")
    for length in range(8, len(content), len(content) // 9):
        (tmp_path / "a.h5").write_bytes(content[:length])
        refused(tmp_path / "a.h5", "damaged or cut off")


@pytest.mark.parametrize("mark", [b"#ROSBAG V2.0\n", b"\x89MCAP0\r\n"])
def test_a_bag_without_events(tmp_path: Path, mark: bytes) -> None:
    (tmp_path / "a").write_bytes(mark)
    refused(tmp_path / "a", "holds no events (it holds no messages)", "record a topic of event_camera_msgs")


# --- AEDAT4 -----------------------------------------------------------------------------------------------


def test_aedat4_cut_between_packets(tmp_path: Path) -> None:
    """All packets there are can be read; that others are missing is told, or refused."""
    content = next(seed.content for seed in SEEDS if seed.format == "AEDAT4")
    path = tmp_path / "a.aedat4"
    path.write_bytes(content)
    whole = CliRunner().invoke(app, ["info", "--strict", str(path)])
    assert whole.exit_code == 0
    header = struct.unpack_from("<I", content, 14)[0]
    first = 18 + header
    path.write_bytes(content[: first + 8 + struct.unpack_from("<i", content, first + 4)[0]])
    told = CliRunner().invoke(app, ["info", str(path)])
    assert told.exit_code == 0
    assert "there is no index at its end" in " ".join(told.stdout.split())
    refused(path, "there is no index at its end", command=("info", "--strict"))


# --- places that are no file ------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["info"], ["detect", "--bands", "16,62"], ["convert"]])
def test_a_fifo_that_nobody_writes_to(tmp_path: Path, command: list[str]) -> None:
    """In a process of its own: it must not wait."""
    os.mkfifo(tmp_path / "fifo")
    out = {"info": [], "detect": ["-o", "out.csv"], "convert": ["out.npz"]}[command[0]]
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", MAIN, command[0], "fifo", *command[1:], *out],
        capture_output=True, text=True, timeout=30, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "velocell: error: fifo is not a regular file; save the recording to a file first\n"
    assert time.monotonic() - started < 15
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fifo"]


def test_a_folder_an_empty_file_and_none(tmp_path: Path) -> None:
    refused(tmp_path, "is a folder; name a file in it")
    (tmp_path / "empty").touch()
    refused(tmp_path / "empty", "is empty; copy or record it again")
    refused(tmp_path / "none", "no such file or directory; check the path")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(SEEDS[0].content)
    (tmp_path / "a").chmod(0)
    refused(tmp_path / "a", "permission denied; check the path")
