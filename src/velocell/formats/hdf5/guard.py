"""What of a damaged HDF5 file would end or stop this process, found before h5py meets it.

The HDF5 library follows addresses in a file for ever where they make a circle, and the filters LZ4, Bitshuffle and
Blosc believe what a chunk says of its own length. Rejected: reading in a process of its own, which takes a third of
a second to start for every file, damaged or not.
"""

from __future__ import annotations

import math
import os
import signal
import struct
import sys
import threading
import warnings
from collections.abc import Callable
from itertools import product
from typing import Any

_CPU_SECONDS, _LONGEST_SECONDS = 2, 60
_CRASHES = ("SIGSEGV", "SIGABRT", "SIGFPE", "SIGILL", "SIGBUS")
_BLOSC, _LZ4, _BITSHUFFLE = 32001, 32004, 32008


def rehearsed(work: Callable[[], object]) -> str:
    """Run `work` in a copy of this process: "" where it returns or raises, else how it failed, in words.

    Nothing is tried where a copy of the process is not safe: outside Linux, and where other threads run.
    """
    if sys.platform != "linux" or threading.active_count() > 1:
        return ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads that libraries have started
        child = os.fork()
    if not child:
        _work_and_exit(work)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if ended == -signal.SIGXCPU:
        return "its parts refer to each other in a circle"
    # Anything else, such as a signal from outside, says nothing about the file.
    return "reading it crashes" if ended < 0 and signal.Signals(-ended).name in _CRASHES else ""


def _work_and_exit(work: Callable[[], object]) -> None:
    import resource

    try:
        null = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(null, stream)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGSEGV, signal.SIGXCPU, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        # Not by the clock: a slow disk is not a circle.
        resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS + 1))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.alarm(_LONGEST_SECONDS)
        work()
    finally:
        # Nothing of the parent is flushed or cleaned up here.
        os._exit(0)


def chunk_bytes(dataset: Any) -> int:
    """Of one chunk once it is unpacked; 0 for a dataset without chunks."""
    return math.prod(map(int, dataset.chunks or (0,))) * int(dataset.dtype.itemsize)


def check_chunks(dataset: Any, first: int, n: int) -> None:
    """The chunks of rows first..first+n-1. Raises ValueError where one states a length other than its own."""
    if dataset.chunks is None:
        return
    plist = dataset.id.get_create_plist()
    filters = plist.get_nfilters()
    last = plist.get_filter(filters - 1)[0] if filters else None
    if last not in (_BLOSC, _LZ4, _BITSHUFFLE):
        return
    size = chunk_bytes(dataset)
    rows, *others = zip(dataset.shape, dataset.chunks, strict=True)
    starts = range(first // rows[1] * rows[1], min(first + n, rows[0]), rows[1])
    for place in product(starts, *(range(0, length, chunk) for length, chunk in others)):
        if dataset.id.get_chunk_info_by_coord(place).byte_offset is None:
            continue
        mask, data = dataset.id.read_direct_chunk(place)
        # A set bit: this filter was left out.
        if not mask >> (filters - 1) & 1 and not _sound(last, data, size):
            raise ValueError("a chunk states a wrong length")


def _sound(number: int, data: bytes, size: int) -> bool:
    """`size`: of the chunk in bytes; a checksum may add four."""
    if len(data) < 16:
        return False
    if number == _BLOSC:
        unpacked, block, packed = struct.unpack_from("<III", data, 4)
        return packed == len(data) and unpacked in (size, size + 4) and 0 < block <= unpacked
    unpacked, block = struct.unpack_from(">QI", data)
    return unpacked in (size, size + 4)
