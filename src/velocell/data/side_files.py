"""Small files beside a recording: networks, scenes, camera files, matrices. They are read whole, if they are small."""

from __future__ import annotations

import io
import json
import math
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_BYTES = 4 << 20
# What a table may unpack to: a constant, and a multiple of its length. What Velocell writes unpacks to 2 to 6 times it.
_UNPACKED, _UNPACKED_A_BYTE = 64 << 20, 8
_TOO_DEEP = "it is nested too deeply"
_LONG_KEY = re.compile(r"""(?<![\w"'-])(?:[\w"'-]+[ \t]*\.[ \t]*){100}""")


def read_bytes(path: str | Path, most_bytes: int = MAX_BYTES) -> bytes:
    """All of a file. Raises OSError, and ValueError for a file that is larger or no regular one."""
    file = Path(path)
    if file.exists() and not file.is_file():
        if file.is_dir():
            raise ValueError("it is a folder")
        raise ValueError("it is not a regular file")
    with file.open("rb") as handle:
        data = handle.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise ValueError(f"it is larger than {most_bytes >> 20} MiB")
    return data


def most_unpacked(path: str | Path) -> int:
    """Bytes that the table in a file of this length may unpack to."""
    return _UNPACKED + _UNPACKED_A_BYTE * Path(path).stat().st_size


def read_text(path: str | Path, most_bytes: int = MAX_BYTES) -> str:
    """The same as UTF-8 with line ends as here; a mark that spreadsheets write first is left out."""
    return read_bytes(path, most_bytes).decode("utf-8-sig").replace("\r\n", "\n")


def read_json(path: str | Path) -> Any:
    """Raises OSError, ValueError."""
    return parse_json(read_text(path))


def parse_json(text: str | bytes) -> Any:
    """Raises ValueError, for a text that is nested too deeply as well."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None


def read_toml(path: str | Path) -> dict[str, Any]:
    """Raises OSError, ValueError."""
    text = read_text(path)
    # Python's reader takes the square of a key's length.
    if _LONG_KEY.search(text):
        raise ValueError(_TOO_DEEP)
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None


def read_array(path: str | Path, most_bytes: int = MAX_BYTES) -> NDArray[Any]:
    """A .npy file. Raises OSError, ValueError, for one that claims more values than it has as well."""
    handle = io.BytesIO(read_bytes(path, most_bytes))
    if np.lib.format.read_magic(handle) != (1, 0):
        raise ValueError("it is of another version than 1.0")
    shape, _, dtype = np.lib.format.read_array_header_1_0(handle)
    if math.prod(shape) * dtype.itemsize > most_bytes:
        raise ValueError(f"it claims an array of shape {shape}")
    if dtype.kind not in "iufb":
        raise ValueError(f"it holds {dtype}, not numbers")
    handle.seek(0)
    array: NDArray[Any] = np.lib.format.read_array(handle, allow_pickle=False)
    return array
