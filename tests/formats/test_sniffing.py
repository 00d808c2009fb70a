"""formats.read: the content decides, and what is no recording gets one helpful sentence."""

from __future__ import annotations

import builtins
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from places import SHARED
from strategies import assert_same_recording

from velocell import formats
from velocell.data.recording import Recording
from velocell.errors import RecordingError

RECORDING = Recording.from_arrays([5, 9, 9], [1, 2, 3], [4, 5, 6], [0, 1, 1], width=20, height=10)


def refused(path: Path, message: str) -> str:
    with pytest.raises(RecordingError, match=message) as caught:
        formats.read(path)
    text = str(caught.value)
    assert path.name in text
    assert "\n" not in text
    return text


@pytest.mark.parametrize("name", ["a.npz", "a.csv", "a.dat", "a", "a.raw"])
def test_content_decides_not_the_name(tmp_path: Path, name: str) -> None:
    formats.write_npz(RECORDING, tmp_path / name)
    assert_same_recording(formats.read(tmp_path / name), RECORDING)
    formats.write_csv(RECORDING, tmp_path / name)
    assert_same_recording(formats.read(str(tmp_path / name)), RECORDING)


def test_source_is_the_path_as_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    formats.write_npz(RECORDING, "cam.npz")
    assert formats.read("cam.npz").source == "cam.npz"
    (tmp_path / "link").symlink_to("cam.npz")
    assert_same_recording(formats.read("link"), RECORDING)


def test_exactly_one_format_takes_a_file(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    formats.write_npz(RECORDING, tmp_path / "a.npz")
    formats.write_csv(RECORDING, tmp_path / "a.csv")
    torch.save(torch.ones(2, 3, 4), tmp_path / "a.pt")
    takers = []
    for path in sorted(tmp_path.iterdir()):
        head = path.read_bytes()[:4096]
        takers.append([known.NAME for known in formats.FORMATS if known.matches(head, path)])
    assert [len(taker) for taker in takers] == [1, 1, 1]
    assert len({taker[0] for taker in takers}) == 3


@pytest.mark.parametrize(
    ("head", "guess"),
    [
        (b"% date 2024\n\x00\x01\x02\x80", "a Prophesee file"),
        (b"#ROSBAG V1.2\n\x45\x00", "a ROS bag of version 1"),
        (b"\x80\x04\x95\x05\x00\x00", "a Python pickle, which could run code"),
        ("t,x,y\n1,2,3\n".encode("utf-16"), r"text in UTF-16 \(save it as UTF-8\)"),
        (bytes(range(256)), "of an unknown format"),
    ],
)
def test_foreign_formats(tmp_path: Path, head: bytes, guess: str) -> None:
    (tmp_path / "cam.bin").write_bytes(head)
    text = refused(tmp_path / "cam.bin", f"cam.bin is {guess}, which this version does not read; it reads: ")
    for known in formats.FORMATS:
        assert known.NAME in text


def test_other_zip_archives(tmp_path: Path) -> None:
    shutil.make_archive(str(tmp_path / "cam"), "zip", tmp_path)
    refused(tmp_path / "cam.zip", "a zip archive with neither NumPy arrays nor a torch tensor")


def test_places_without_a_recording(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere.npz", "cannot read .*: no such file or directory; check the path")
    refused(tmp_path, "is a folder; name a file in it")
    (tmp_path / "empty.npz").touch()
    refused(tmp_path / "empty.npz", "is empty; copy or record it again")
    refused(tmp_path / "empty.npz" / "deeper", "not a directory; check the path")
    refused(Path("/dev/null"), "is not a regular file")
    # Opening it would wait for ever for somebody to write.
    os.mkfifo(tmp_path / "fifo")
    refused(tmp_path / "fifo", "is not a regular file")
    refused(tmp_path / ("n" * 300), "file name too long")


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    formats.write_npz(RECORDING, tmp_path / "cam.npz")

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "cam.npz")

    monkeypatch.setattr(Path, "open", denied)
    refused(tmp_path / "cam.npz", "permission denied; check the path")


def test_not_enough_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    formats.write_npz(RECORDING, tmp_path / "cam.npz")

    def full(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(np, "empty", full)
    refused(tmp_path / "cam.npz", "does not fit into memory; cut it into parts")


def test_read_without_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = SHARED / "2404_circle.dat"
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    original = builtins.__import__

    def watched(name: str, *rest: object) -> object:
        assert name.split(".")[0] not in ("torch", "pickle", "_pickle"), f"{name} was imported"
        return original(name, *rest)

    # pickletools only describes pickles, but it imports pickle for its opcodes.
    __import__("pickletools")
    monkeypatch.delitem(sys.modules, "velocell.formats.arrays.pickle", raising=False)
    monkeypatch.setattr(builtins, "__import__", watched)
    assert len(formats.read(path)) == 25_948


@pytest.mark.parametrize("path", sorted(SHARED.glob("*.*")), ids=lambda path: path.name)
def test_shared_recordings(path: Path) -> None:
    """What is no recording is never taken for one."""
    guesses = {".md": "neither an event nor a header", ".csv": "neither an event nor a header"}
    if path.suffix in guesses:
        refused(path, guesses[path.suffix])
    else:
        assert len(formats.read(path)) > 2_000
