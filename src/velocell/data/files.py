"""Writing files so that nothing half-written ever stands under the final name."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from velocell.errors import VelocellError, reason

try:
    import lzma
except ImportError:  # some Pythons are built without
    lzma = None  # type: ignore[assignment]

# Whatever zipfile, zlib and numpy.lib.format raise for a damaged archive; RuntimeError: an encrypted one.
ARCHIVE_DAMAGE: tuple[type[Exception], ...] = (
    *((lzma.LZMAError,) if lzma is not None else ()),
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    tokenize.TokenError,
)
_WRITE_ERRORS = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EISDIR,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.EIO,
    errno.EFBIG,
)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name once the block ends without an error.

    The temporary name keeps the suffix, since many writers choose the format by it. Raises
    VelocellError where the folder is missing, vanishes, is not writable or the disk is full; an existing
    file is then left as it was. A symbolic link stays one: the file it points to is replaced. The permissions of an
    existing file are kept, a new one has the usual ones. What stands under the final name is on the disk, also where
    the machine loses power.
    A device or FIFO cannot be replaced and is written directly.
    """
    final = Path(path)
    target = Path(os.path.realpath(final))
    try:
        if target.is_dir():
            # Said now, not once the work is done.
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        direct = target.exists() and not target.is_file()
        part = target if direct else _temporary(target)
    except OSError as error:
        raise VelocellError(f"cannot write {final}: {_reason(error)}") from None
    try:
        yield part
        if direct:
            return
        if target.exists():
            part.chmod(stat.S_IMODE(target.stat().st_mode))
        _to_disk(part)
        part.replace(target)
        _to_disk(target.parent)
    except OSError as error:
        if not direct and not target.parent.is_dir():
            raise VelocellError(f"cannot write {final}: its folder is gone; make it again") from None
        if error.errno in _WRITE_ERRORS:
            raise VelocellError(f"cannot write {final}: {_reason(error)}") from None
        raise
    finally:
        if not direct:
            with suppress(OSError):
                part.unlink()


def _temporary(target: Path) -> Path:
    """A new, empty file, with the permissions that the system gives to new files."""
    while True:
        part = target.parent / f".{target.stem}-{secrets.token_hex(6)}{target.suffix}"
        try:
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666))
        except FileExistsError:
            continue
        return part


def _to_disk(path: Path) -> None:
    """Wait until the content of a file, or the names in a folder, are written. Some systems cannot for folders."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES):
            raise
    finally:
        os.close(handle)


def _reason(error: OSError) -> str:
    remedy = {
        errno.ENOSPC: "free some space or choose another folder",
        errno.EDQUOT: "free some space or choose another folder",
        errno.ENOENT: "make the folder first",
        errno.EISDIR: "name a file, not a folder",
        errno.EACCES: "choose a folder that you can write to",
    }.get(error.errno or 0, "choose another place")
    # Libraries put more words around what the system says.
    said = os.strerror(error.errno).lower() if error.errno else reason(error)
    return f"{said}; {remedy}"
