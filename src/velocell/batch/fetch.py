"""A recording's bytes, wherever they lie: local files as they are, those at addresses copied, piece by piece."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from velocell.batch.inputs import file_system, is_address
from velocell.errors import RecordingError, unreadable
from velocell.formats.ros import folder as bags

_PIECE = 1 << 24
_READ = 1 << 20
_PATIENCE = 8  # times that one piece is asked for, after 0.1, 0.2, ... 12.8 s


@dataclass(frozen=True)
class Content:
    """What a source holds now: `etag` is its server's digest, None where there is no server or it gives none."""

    size: int
    etag: str | None = None


def digest_of(path: Path) -> str:
    """SHA-256 of a file; of a bag of ROS 2 that of its files one after the other. Raises RecordingError."""
    digest = hashlib.sha256()
    try:
        for file in _files(path):
            with file.open("rb") as handle:
                while data := handle.read(_READ):
                    digest.update(data)
        return digest.hexdigest()
    except OSError as error:
        raise RecordingError(unreadable(path, error)) from None


def content_of(source: str) -> Content:
    """Size and etag, without reading it. Raises RecordingError."""
    if not is_address(source):
        try:
            return Content(sum(file.stat().st_size for file in _files(Path(source))))
        except OSError as error:
            raise RecordingError(unreadable(Path(source), error)) from None
    system, path = file_system(source)
    system.invalidate_cache()
    info = _again(lambda: system.info(path), source)
    etag = next((info[key] for key in ("ETag", "etag", "md5Hash", "content_md5") if info.get(key)), None)
    if info.get("size") is None:
        raise RecordingError(f"{source}: its server does not state how long it is; copy the file first")
    return Content(int(info["size"]), None if etag is None else str(etag).strip('"'))


def copied(source: str, content: Content, folder: Path) -> Path:
    """The file at an address, copied into the folder under its own name. Where the connection breaks, the copy goes on
    from where it was. Raises RecordingError."""
    system, path = file_system(source)
    target = folder / (path.rstrip("/").rpartition("/")[2] or "recording")
    with target.open("wb") as handle:
        for first in range(0, content.size, _PIECE):
            last = min(first + _PIECE, content.size)
            handle.write(_again(lambda first=first, last=last: _piece(system, path, first, last), source))
    return target


def _piece(system: Any, path: str, first: int, last: int) -> bytes:
    data: bytes = system.cat_file(path, start=first, end=last)
    if len(data) != last - first:
        raise OSError(f"{len(data)} bytes came instead of {last - first}")
    return data


def _again(ask: Any, source: str) -> Any:
    """What `ask` gives, also where its connection breaks some times."""
    for k in range(_PATIENCE):
        try:
            return ask()
        except FileNotFoundError:
            raise RecordingError(f"{source} does not exist; check the address") from None
        except PermissionError:
            raise RecordingError(f"{source} may not be read with these credentials; check them") from None
        except Exception as error:  # of any of fsspec's systems; they have no common class
            if k == _PATIENCE - 1:
                why = " ".join(str(error).split())[:200] or type(error).__name__
                raise OSError(f"{source} cannot be read: {why}") from None
            time.sleep(0.1 * 2**k)
    raise AssertionError


def _files(path: Path) -> list[Path]:
    """What a recording consists of. Raises RecordingError where a bag lacks a file."""
    return [path / bags.INDEX, *bags.files(path)] if bags.is_bag(path) else [path]
