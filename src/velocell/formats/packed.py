"""Recordings that are packed as a whole: .gz, .bz2, .xz, .zst around any format.

Most formats jump within their file, so it is unpacked into a temporary one, piece by piece and within the budget of the
packed file. It is removed with the `Source` that reads it.
"""

from __future__ import annotations

import errno
import gzip
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from velocell.data.budget import Budget, Meter
from velocell.errors import RecordingError, VelocellError

try:
    import lzma
except ImportError:  # some Pythons are built without
    lzma = None  # type: ignore[assignment]

_PIECE = 1 << 20
_MOST_DICTIONARY = 256 << 20  # of .xz; xz -9 takes 64 MB
_MARKS = {b"\x1f\x8b\x08": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


class NamedPath(type(Path())):  # type: ignore[misc]
    """A path that is opened in one place and shown under the name of another."""

    _shown: str | None = None

    @staticmethod
    def of(place: str | Path, shown: str | Path) -> NamedPath:
        path = NamedPath(place)
        path._shown = str(shown)
        return path

    def __fspath__(self) -> str:
        return str(super().__str__())

    def __str__(self) -> str:
        return self.__fspath__() if self._shown is None else self._shown


def kind_of(head: bytes) -> str | None:
    """By what the whole file is packed; None where it is not."""
    return next((kind for mark, kind in _MARKS.items() if head.startswith(mark)), None)


def unpacked(path: Path, kind: str, budget: Budget) -> tuple[Path, Callable[[], None]]:
    """The content, as a file that is shown as `path`, and what removes it. Raises VelocellError."""
    folder = tempfile.mkdtemp(prefix="velocell-")

    def remove() -> None:
        shutil.rmtree(folder, ignore_errors=True)

    try:
        inside = Path(folder) / (path.stem or "recording")
        _unpack(path, kind, inside, Meter(budget))
    except BaseException:
        remove()
        raise
    return NamedPath.of(inside, path), remove


@contextmanager
def plain(path: Path, budget: Budget) -> Iterator[Path]:
    """A file, unpacked for a while where it is packed. Raises VelocellError."""
    with path.open("rb") as handle:
        kind = kind_of(handle.read(8))
    if kind is None:
        yield path
        return
    inside, remove = unpacked(path, kind, budget)
    try:
        yield inside
    finally:
        remove()


def _unpack(path: Path, kind: str, target: Path, meter: Meter) -> None:
    with path.open("rb") as packed, target.open("wb") as handle:
        pieces = _pieces(packed, kind)
        while True:
            try:
                piece = next(pieces, None)
            except (ValueError, EOFError, OSError, zlib.error) as error:
                raise RecordingError(f"{path} is a damaged {kind} file ({str(error)[:80]}); copy it again") from None
            if piece is None:
                break
            meter.unpacked(len(piece))
            try:
                handle.write(piece)
                handle.flush()
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                    raise
                raise VelocellError(
                    f"{path} does not fit unpacked into {tempfile.gettempdir()}; free some space, or set TMPDIR to a "
                    "larger disk"
                ) from None


def _pieces(packed: IO[bytes], kind: str) -> Iterator[bytes]:
    """Raises ValueError, EOFError, OSError or zlib.error for damaged data."""
    if kind == "gzip":
        with gzip.GzipFile(fileobj=packed) as file:
            yield from iter(lambda: file.read(_PIECE), b"")
        return
    make = _decompressor(kind)
    decompressor, rest = make(), b""
    while True:
        data = rest or (packed.read(_PIECE) if decompressor.needs_input else b"")
        rest = b""
        if not data and decompressor.needs_input:
            raise EOFError("it is cut off")
        try:
            yield decompressor.decompress(data, _PIECE)
        except Exception as error:
            raise ValueError(str(error)) from None
        if decompressor.eof:
            # Files may be put one behind the other; zeros may fill the end.
            rest = (decompressor.unused_data or packed.read(_PIECE)).lstrip(b"\0" if kind == "xz" else b"")
            if not rest:
                return
            decompressor = make()


def _decompressor(kind: str) -> Callable[[], Any]:
    if kind == "bzip2":
        import bz2

        return bz2.BZ2Decompressor
    if kind == "xz":
        if lzma is None:
            raise ValueError("this Python is built without lzma")
        return lambda: lzma.LZMADecompressor(memlimit=_MOST_DICTIONARY)
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd.ZstdDecompressor
