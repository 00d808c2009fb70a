"""Unpacking data of files that may be damaged or made to do harm: never to more than a limit."""

from __future__ import annotations

import bz2
import sys
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from velocell.data.budget import Packed, Unpack

if TYPE_CHECKING:
    from velocell._native import Unpacker

MAX_BYTES = 128 << 20
_FIRST_BYTES = 1 << 18


class Oversized(Exception):
    """What was packed is larger than the limit."""


def unpacker(name: str, most_bytes: int = MAX_BYTES) -> Unpack:
    """The inverse of a compression: none, lz4, zstd or bz2. It raises ValueError on damage, and Oversized beyond
    `most_bytes`."""
    if name == "none":
        return lambda packed: packed
    if name == "bz2":
        return _Bounded(bz2.BZ2Decompressor, ValueError, most_bytes)
    if name == "lz4":
        import lz4.frame

        return _Bounded(lz4.frame.LZ4FrameDecompressor, RuntimeError, most_bytes)
    if name != "zstd":
        raise KeyError(name)
    zstd = _zstd()
    return _Bounded(zstd.ZstdDecompressor, zstd.ZstdError, most_bytes)


def loaded(name: str, most_bytes: int) -> Unpacker | None:
    """The same, of lz4 or zstd, for the core, which then calls the library itself; None where that cannot be done.

    What these libraries offer Python sets memory aside for each packet anew and copies what it has unpacked: for small
    packets that takes longer than to unpack them. Their own functions are found in the module that Python has loaded,
    but not on Windows, nor where it was built without showing them.
    """
    from velocell._native import loaded_unpacker

    if name == "lz4":
        import lz4.frame

        module = sys.modules.get(f"{lz4.frame.__name__}._frame")
    else:
        module = sys.modules.get(f"{_zstd().__name__}._zstd") or sys.modules.get("_zstd")
    file = getattr(module, "__file__", None)
    return None if file is None else loaded_unpacker(file, name, most_bytes)


def _zstd() -> ModuleType:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


class _Bounded:
    """Piece by piece: room for the limit would be set aside at once, which takes longer than the unpacking.

    The first piece has room for a little more than what was unpacked last, since packets are much alike: one that
    comes in one piece need not be joined.
    """

    def __init__(self, decompressor: Callable[[], Any], damage: type[Exception], most_bytes: int) -> None:
        self._decompressor, self._damage, self._most_bytes = decompressor, damage, most_bytes
        self._first_bytes = _FIRST_BYTES

    def __call__(self, packed: Packed) -> bytes:
        decompressor = self._decompressor()
        pieces: list[bytes] = []
        n, room = 0, min(self._first_bytes, self._most_bytes)
        while not decompressor.eof:
            if n >= self._most_bytes:
                raise Oversized
            if pieces and (decompressor.needs_input or not pieces[-1]):
                raise ValueError("it is cut off")
            try:
                pieces.append(decompressor.decompress(b"" if pieces else packed, max_length=room))
            except (self._damage, OSError, EOFError) as error:
                raise ValueError(str(error)) from None
            n += len(pieces[-1])
            room = min(2 * room, self._most_bytes - n)
        self._first_bytes = max(_FIRST_BYTES, n + n // 8)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
