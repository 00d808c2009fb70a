"""AEDAT 3.1, as cAER and libcaer write it: packets of 28 bytes header and entries of one kind.

Packets are read one by one. y counts downwards, as here.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from velocell.data.blocks import Events
from velocell.data.budget import Budget
from velocell.data.integrity import Integrity
from velocell.errors import RecordingError
from velocell.formats.source import LARGEST_BLOCK, Opened
from velocell.formats.wording import bare, shown

NAME = "AEDAT 3.1"

_MAGIC = b"#!AER-DAT3.1"
_END = b"#!END-HEADER\r\n"
_MAX_HEADER_BYTES = 1 << 20
_PACKET = struct.Struct("<hhiiiiii")
_SPECIAL, _POLARITY = 0, 1
_COUNTED = {2: "frames", 3: "imu_samples", 4: "imu_samples"}
# Kinds of special entries that are edges and pulses at an external input or of a generator.
_TRIGGERS = (2, 3, 4, 6, 7, 8)
_SENSORS = {"DVS128": (128, 128), "DAVIS128": (128, 128), "DAVIS208": (208, 192), "DAVIS240": (240, 180),
            "DAVIS346": (346, 260), "DAVIS640": (640, 480), "DAVISRGB": (640, 480)}  # fmt: skip


class _Packet(NamedTuple):
    """The header of a packet; offset: of the time in its entries. Only `number` of `capacity` entries are in use."""

    kind: int
    source: int
    entry_bytes: int
    offset: int
    overflow: int
    capacity: int
    number: int
    valid: int


def matches(head: bytes, path: Path) -> bool:
    return head.startswith(_MAGIC)


def open_file(
    path: Path, *, size: tuple[int, int] | None, frame_time_us: int, time_unit: str | None, budget: Budget
) -> Opened:
    """The header names the camera. Of several cameras the first is read; the events of others are counted."""
    with path.open("rb") as handle:
        header = handle.read(_MAX_HEADER_BYTES)
    end = header.find(_END)
    if end < 0:
        raise RecordingError(f"{path} ends in its header, or the header is damaged; copy or record it again")
    lines = header[:end].decode("latin-1").split("\r\n")
    format_ = next((line.partition(":")[2].strip() for line in lines if line.startswith("#Format:")), "RAW")
    if format_ != "RAW":
        raise RecordingError(f"{path} is an AEDAT 3.1 file of format {shown(format_)}; only RAW is read")
    found = (re.match(r"#Source ([0-9]{1,4}): *(.*)", line) for line in lines)
    sources = {int(match[1]): match[2].strip() for match in found if match is not None}
    chosen = min(sources, default=None)
    camera = "" if chosen is None else sources[chosen]
    known = next((sensor for name, sensor in _SENSORS.items() if camera.upper().startswith(name)), None)
    notes = []
    if len(sources) > 1:
        notes.append(f"source {chosen}, {bare(camera)}, is read; events of others are counted as other entries")

    def decode(integrity: Integrity, start_us: int | None) -> Iterator[Events]:
        with path.open("rb") as handle:
            yield from _decode(handle, end + len(_END), path.stat().st_size, chosen, integrity)

    return Opened("AEDAT 3.1", "by its first line", decode, known, f"of a {bare(camera)}", notes=tuple(notes))


def _decode(handle: IO[bytes], position: int, last: int, chosen: int | None, integrity: Integrity) -> Iterator[Events]:
    overflow = None
    while position < last:
        handle.seek(position)
        described = handle.read(_PACKET.size)
        packet = _Packet(*_PACKET.unpack(described)) if len(described) == _PACKET.size else None
        # Without right lengths there is no way to find the next packet.
        if packet is None or not _plausible(packet, last - position - _PACKET.size):
            integrity.fault("trailing_bytes", last - position, f"from byte {position}")
            return
        position += _PACKET.size + packet.capacity * packet.entry_bytes
        if packet.kind not in (_POLARITY, _SPECIAL) or (chosen is not None and packet.source != chosen):
            integrity.fact(_COUNTED.get(packet.kind, "other"), packet.number)
            continue
        if packet.entry_bytes != 8 or packet.overflow < 0:
            integrity.fault("damaged", 1, f"the one before byte {position}")
            continue
        integrity.fact("wraps", 0 if overflow is None else max(packet.overflow - overflow, 0))
        overflow = packet.overflow
        yield from _entries(handle, packet, integrity)


def _plausible(packet: _Packet, room: int) -> bool:
    if packet.kind < 0 or packet.entry_bytes < 1 or not 0 <= packet.number <= packet.capacity:
        return False
    return packet.capacity * packet.entry_bytes <= min(room, 1 << 40)


def _entries(handle: IO[bytes], packet: _Packet, integrity: Integrity) -> Iterator[Events]:
    """Polarity: bit 0 valid, bit 1 ON, bits 2-16 y, bits 17-31 x. Special: bit 0 valid, bits 1-7 kind."""
    for first in range(0, packet.number, LARGEST_BLOCK):
        n = min(LARGEST_BLOCK, packet.number - first)
        entries = np.frombuffer(handle.read(8 * n), [("data", "<u4"), ("t", "<i4")])
        data = entries["data"]
        if packet.kind == _SPECIAL:
            triggers = int(np.count_nonzero(np.isin(data >> 1 & 0x7F, _TRIGGERS)))
            integrity.fact("triggers", triggers)
            integrity.fact("other", n - triggers)
            continue
        valid = (data & 1) != 0
        integrity.fact("other", n - int(np.count_nonzero(valid)))
        data = data[valid]
        t = entries["t"][valid].astype(np.int64) + (packet.overflow << 31)
        yield Events(t, (data >> 17).astype(np.uint16), (data >> 2 & 0x7FFF).astype(np.uint16), (data & 2) != 0)
