"""Writing files so that nothing half-written ever stands under the final name."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from velocell.errors import VelocellError


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name once the block ends without an error.

    The temporary name keeps the suffix, since many writers choose the format by it. Raises
    VelocellError where the folder is missing, not writable or the disk is full; an existing
    file is then left as it was.
    """
    final = Path(path)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{final.stem}-", suffix=final.suffix, dir=final.parent)
    except OSError as error:
        raise VelocellError(f"cannot write {final}: {_reason(error)}") from None
    os.close(handle)
    part = Path(name)
    try:
        yield part
        # mkstemp makes private files; the result should be as readable as any other.
        mask = os.umask(0)
        os.umask(mask)
        part.chmod(0o666 & ~mask)
        part.replace(final)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EISDIR, errno.EACCES, errno.EIO, errno.EFBIG):
            raise VelocellError(f"cannot write {final}: {_reason(error)}") from None
        raise
    finally:
        part.unlink(missing_ok=True)


def _reason(error: OSError) -> str:
    remedy = {
        errno.ENOSPC: "free some space or choose another folder",
        errno.EDQUOT: "free some space or choose another folder",
        errno.ENOENT: "make the folder first",
        errno.EISDIR: "name a file, not a folder",
        errno.EACCES: "choose a folder that you may write to",
    }.get(error.errno or 0, "choose another place")
    return f"{(error.strerror or str(error)).lower()}; {remedy}"
