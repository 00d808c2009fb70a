"""The allocator of the C library, asked to hold on to less; on other systems nothing is done.

A long detection frees and takes the same few arrays again and again, in two threads. Left alone, glibc gives each
thread a heap of its own and keeps what calibration needed for a moment, and raises the size from which an array has
pages of its own, which go back to the system with it: a half more memory, for no speed.
"""

from __future__ import annotations

import ctypes
from typing import Any

_ARENA_MAX, _MMAP_THRESHOLD, _TRIM_THRESHOLD = -8, -3, -1  # M_ARENA_MAX, ... of malloc.h
_OWN_PAGES = 1 << 20  # bytes


def share_heap() -> None:
    """All threads of this process that have no heap yet take memory from one, and large arrays have pages of their own:
    for a program, not for a library."""
    if (mallopt := _of_libc("mallopt")) is not None:
        mallopt(_ARENA_MAX, 1)
        mallopt(_MMAP_THRESHOLD, _OWN_PAGES)
        mallopt(_TRIM_THRESHOLD, 4 * _OWN_PAGES)


def trim_heap() -> None:
    """Give what is free back to the system."""
    if (trim := _of_libc("malloc_trim")) is not None:
        trim(0)


def _of_libc(name: str) -> Any:
    try:
        return getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError, TypeError):
        return None
