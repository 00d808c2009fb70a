"""AEDAT 2.0, as jAER and v2e write it: entries of 32 bits address and 32 bits microseconds, big-endian.

What an address means depends on the camera. jAER mirrors x, and counts y upwards; here y counts downwards.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.data.blocks import Events
from velocell.data.budget import Budget
from velocell.data.integrity import Integrity
from velocell.errors import RecordingError
from velocell.formats.seek import Place
from velocell.formats.source import Opened, from_start
from velocell.formats.wording import shown

NAME = "AEDAT 2.0 of DVS128 and DAVIS cameras"

_MAGIC = b"#!AER-DAT2.0"
_END = b"#End Of ASCII Header\r\n"
_MAX_HEADER_BYTES = 1 << 20
_ENTRY_BYTES = 8
_READ_ENTRIES = 1 << 17
_TURN = 1 << 32

_DAVIS = {"128": (128, 128), "208": (208, 192), "240": (240, 180), "346": (346, 260), "640": (640, 480)}

# Addresses (n,) and the sensor's size -> which are events, and x, y, p of those; the others are counted.
Interpret = Callable[[NDArray[np.uint32], tuple[int, int], Integrity], tuple[NDArray[np.bool_], "Pixels"]]
Pixels = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.bool_]]


@dataclass(frozen=True)
class _Camera:
    name: str
    size: tuple[int, int]
    interpret: Interpret


def matches(head: bytes, path: Path) -> bool:
    return head.startswith(_MAGIC)


def open_file(
    path: Path, *, size: tuple[int, int] | None, frame_time_us: int, time_unit: str | None, budget: Budget
) -> Opened:
    """The header names the camera; where it does not, as v2e's files, the given size decides. Times of 32 bits."""
    with path.open("rb") as handle:
        header = handle.read(_MAX_HEADER_BYTES)
    offset = _header_bytes(header)
    line = re.search(rb"^# ?AEChip: *([^\r\n]+)", header[:offset], re.MULTILINE)
    chip = "" if line is None else line[1].decode("latin-1").strip()
    camera = _camera(chip, size, path)

    def resume(integrity: Integrity, place: Place | None) -> Iterator[tuple[Events, Place]]:
        yield from _decode(path, place or {"at": offset, "base": 0, "last": -1}, camera, integrity)

    return Opened(
        "AEDAT 2.0", "by its first line", from_start(resume), camera.size, f"of a {camera.name}", resume=resume
    )


def _header_bytes(header: bytes) -> int:
    """Lines that start with # and hold text; the entries follow without a mark in older files."""
    end = header.find(_END)
    if end >= 0:
        return end + len(_END)
    lines = re.match(rb"(#[\t\x20-\x7e\x80-\xff]*\r?\n)*", header)
    return 0 if lines is None else lines.end()


def _camera(chip: str, size: tuple[int, int] | None, path: Path) -> _Camera:
    name = chip.rpartition(".")[2].upper()
    davis = re.search(r"C?DAVIS(128|208|240|346|640)?(?![0-9])", name)
    # A name that only begins alike is another chip: jAER's DVS1280 has its own layout of addresses.
    if name in ("DVS128", "TMPDIFF128"):
        return _Camera("DVS128", (128, 128), _dvs128)
    if davis is not None and (davis[1] or name.startswith("CDAVIS")):
        return _Camera(f"DAVIS{davis[1] or 640}", _DAVIS[davis[1] or "640"], _davis)
    if name == "SBRET10":
        return _Camera("DAVIS240", _DAVIS["240"], _davis)
    if chip:
        raise RecordingError(
            f"{path} is from the camera {shown(chip)}; AEDAT 2.0 is read only for DVS128 and DAVIS cameras"
        )
    if size == (128, 128):
        return _Camera("DVS128, by the given size", size, _dvs128)
    if size is not None and size in _DAVIS.values():
        return _Camera("DAVIS, by the given size", size, _davis)
    raise RecordingError(
        f"{path} does not name its camera; give the size of a DVS128 or DAVIS with --size, such as 128x128 or 346x260"
    )


def _decode(path: Path, place: Place, camera: _Camera, integrity: Integrity) -> Iterator[tuple[Events, Place]]:
    base, last = place["base"], place["last"]
    with path.open("rb") as handle:
        handle.seek(place["at"])
        while data := handle.read(_READ_ENTRIES * _ENTRY_BYTES):
            n = len(data) // _ENTRY_BYTES
            integrity.fault("trailing_bytes", len(data) % _ENTRY_BYTES, f"the file has {handle.tell()} bytes")
            entries = np.frombuffer(data, ">u4", 2 * n).reshape(n, 2)
            stamps = entries[:, 1].astype(np.int64)
            # A step back by half a turn or more is a wrap of the counter; a shorter one stays a step back.
            steps = np.diff(stamps, prepend=stamps[:1] if last < 0 else last)
            turns = np.cumsum(steps <= -(_TURN // 2))
            t = stamps + base + turns * _TURN
            if n:
                integrity.fact("wraps", int(turns[-1]))
                base, last = base + int(turns[-1]) * _TURN, int(stamps[-1])
            chosen, (x, y, p) = camera.interpret(entries[:, 0].astype(np.uint32), camera.size, integrity)
            yield Events(t[chosen], x, y, p), {"at": handle.tell(), "base": base, "last": last}


def _dvs128(
    address: NDArray[np.uint32], size: tuple[int, int], integrity: Integrity
) -> tuple[NDArray[np.bool_], Pixels]:
    """Bit 0: OFF. Bits 1-7: x, mirrored. Bits 8-14: y, upwards. Bit 15: an external signal."""
    chosen = (address & 0x8000) == 0
    integrity.fact("triggers", int(np.count_nonzero(~chosen)))
    address = address[chosen]
    return chosen, _pixels(address >> 1 & 0x7F, address >> 8 & 0x7F, (address & 1) == 0, size)


def _davis(
    address: NDArray[np.uint32], size: tuple[int, int], integrity: Integrity
) -> tuple[NDArray[np.bool_], Pixels]:
    """Bit 31: a pixel of a frame, with bits 10 and 11 a word of an IMU sample. Without it an event, with bit 10
    an external signal. Bit 11: ON. Bits 12-21: x, mirrored. Bits 22-30: y, upwards."""
    other = (address & 0x8000_0000) != 0
    external = ~other & ((address & 0x400) != 0)
    imu = (address & 0x8000_0C00) == 0x8000_0C00
    # An IMU sample is seven words, the first with number 0; the last pixel of a frame is read out at 0, 0.
    integrity.fact("imu_samples", int(np.count_nonzero(imu & ((address >> 28 & 7) == 0))))
    integrity.fact("frames", int(np.count_nonzero((address & 0xFFFF_FC00) == 0x8000_0400)))
    integrity.fact("triggers", int(np.count_nonzero(external)))
    chosen = ~(other | external)
    address = address[chosen]
    return chosen, _pixels(address >> 12 & 0x3FF, address >> 22 & 0x1FF, (address & 0x800) != 0, size)


def _pixels(x: NDArray[Any], y: NDArray[Any], p: NDArray[np.bool_], size: tuple[int, int]) -> Pixels:
    width, height = size
    return width - 1 - x.astype(np.int32), height - 1 - y.astype(np.int32), p
