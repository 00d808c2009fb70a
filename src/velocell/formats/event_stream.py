"""Event Stream (.es), version 2, with DVS or ATIS events; decoded by the C++ core (`native/event_stream.hpp`).

The format counts y upwards, here y counts downwards.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from velocell.data.blocks import Events
from velocell.data.budget import Budget
from velocell.data.integrity import Integrity
from velocell.errors import RecordingError
from velocell.formats.seek import Place
from velocell.formats.source import Opened, from_start

NAME = "Event Stream (.es) with DVS or ATIS events"

_MAGIC = b"Event Stream"
_HEADER_BYTES = 20
_READ_BYTES = 1 << 18
_DVS, _ATIS = 1, 2
_OTHER_TYPES = {0: "generic events", 3: "display events", 4: "color events"}


def matches(head: bytes, path: Path) -> bool:
    return head.startswith(_MAGIC)


def open_file(
    path: Path, *, size: tuple[int, int] | None, frame_time_us: int, time_unit: str | None, budget: Budget
) -> Opened:
    """The times count from 0. The file states the size."""
    with path.open("rb") as handle:
        header = handle.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES:
        raise RecordingError(f"{path} ends in its header; copy or record it again")
    *version, kind, width, height = struct.unpack("<4B2H", header[len(_MAGIC) :])
    if version[0] != 2:
        number = ".".join(map(str, version))
        raise RecordingError(f"{path} is an Event Stream file of version {number}; version 2 is read")
    if kind not in (_DVS, _ATIS):
        held = _OTHER_TYPES.get(kind, f"events of type {kind}")
        raise RecordingError(f"{path} is an Event Stream file of {held}; DVS and ATIS events are read")

    def resume(integrity: Integrity, place: Place | None) -> Iterator[tuple[Events, Place]]:
        yield from _decode(path, kind == _ATIS, height, integrity, place)

    why = f"by its first bytes, with {'ATIS' if kind == _ATIS else 'DVS'} events"
    return Opened("Event Stream 2", why, from_start(resume), (width, height), "as the file says", resume=resume)


def _decode(
    path: Path, atis: bool, height: int, integrity: Integrity, place: Place | None
) -> Iterator[tuple[Events, Place]]:
    from velocell._native import AtisStreamDecoder, DvsStreamDecoder  # not loaded just to show a command's help

    decoder = AtisStreamDecoder() if atis else DvsStreamDecoder()
    crossings, at = 0, _HEADER_BYTES
    if place is not None:
        decoder.restore(place["state"])
        at = place["at"]
    with path.open("rb", buffering=0) as handle:
        handle.seek(at)
        while data := handle.read(_READ_BYTES):
            t, x, y, p = decoder.feed(data)
            # Signed: y beyond the height must stay outside.
            now = decoder.counts["other"]
            integrity.fact("other", now - crossings)
            crossings = now
            behind = {"at": handle.tell() - decoder.held, "state": decoder.state()}
            yield Events(t, x, np.subtract(height - 1, y, dtype=np.int32), p), behind
        integrity.fault("trailing_bytes", decoder.held, f"the file has {handle.tell()} bytes")
