"""files.replacing: the final name holds the old file or the new one, never a part."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path

import pytest

from velocell import formats
from velocell.data import files
from velocell.data.files import replacing
from velocell.data.recording import Recording
from velocell.errors import VelocellError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out.csv"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_new_file(path: Path) -> None:
    with replacing(path) as part:
        assert part.parent == path.parent
        assert part.suffix == ".csv"
        part.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert names(path.parent) == ["out.csv"]


def test_permissions_are_the_usual_ones(path: Path) -> None:
    (path.parent / "plain").touch()
    with replacing(path) as part:
        part.write_text("new")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((path.parent / "plain").stat().st_mode)


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), FileNotFoundError(errno.ENOENT, "an input")])
def test_an_error_inside_leaves_the_old_file(path: Path, error: BaseException) -> None:
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as part:
            part.write_text("half")
            raise error

    with pytest.raises(type(error)) as caught:
        fail()
    assert caught.value is error
    assert path.read_text() == "old"
    assert names(path.parent) == ["out.csv"]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.ENOSPC, "no space left on device; free some space or choose another folder"),
        (errno.EDQUOT, "quota exceeded; free some space"),
        (errno.EIO, "input/output error; choose another place"),
        (errno.EROFS, "read-only file system; choose another place"),
        (errno.EACCES, "permission denied; choose a folder that you can write to"),
    ],
)
def test_errors_of_the_disk(path: Path, code: int, message: str) -> None:
    path.write_text("old")
    with pytest.raises(VelocellError, match=f"cannot write .*out.csv: .*{message}"), replacing(path):
        raise OSError(code, os.strerror(code))
    assert path.read_text() == "old"


def test_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(VelocellError, match="no such file or directory; make the folder first"):
        replacing(tmp_path / "nowhere" / "out.csv").__enter__()
    with pytest.raises(VelocellError, match="is a directory; name a file, not a folder"):
        replacing(tmp_path).__enter__()
    (tmp_path / "file").touch()
    with pytest.raises(VelocellError, match="not a directory"):
        replacing(tmp_path / "file" / "out.csv").__enter__()

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(files.os, "open", denied)
    with pytest.raises(VelocellError, match="permission denied; choose a folder that you can write to"):
        replacing(tmp_path / "out.csv").__enter__()
    assert names(tmp_path) == ["file"]


def test_a_link_stays_a_link(path: Path) -> None:
    path.write_text("old")
    link = path.parent / "link.csv"
    link.symlink_to("out.csv")
    with replacing(link) as part:
        part.write_text("new")
    assert link.is_symlink()
    assert path.read_text() == "new"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_devices_are_written_not_replaced() -> None:
    with replacing("/dev/null") as part:
        part.write_text("gone")
    with pytest.raises(VelocellError, match="cannot write /dev/full: no space left on device; free some space"):
        formats.write_csv(Recording.from_arrays([1], [2], [3]), "/dev/full")
    for device in ("/dev/null", "/dev/full"):
        assert Path(device).is_char_device()


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are those of POSIX")
def test_permissions_are_kept_and_the_mask_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv"
    path.write_text("old")
    path.chmod(0o640)
    monkeypatch.setattr(os, "umask", None)  # it holds for all threads of the process
    with replacing(path) as part:
        part.write_text("new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o640)
    (tmp_path / "plain").write_text("as the system makes it")
    with replacing(tmp_path / "b.csv") as part:
        part.write_text("new")
    assert (tmp_path / "b.csv").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_content_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def noted(handle: int) -> None:
        synced.append("file" if stat.S_ISREG(os.fstat(handle).st_mode) else "folder")
        assert (tmp_path / "a").exists() == (synced[-1] == "folder")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    with replacing(tmp_path / "a") as part:
        part.write_text("new")
    assert synced == ["file", "folder"]
