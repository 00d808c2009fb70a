"""The lines `% key value` before the binary part of Prophesee's files, and how its words are fed to a decoder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from velocell.data.blocks import Events
from velocell.data.integrity import Integrity
from velocell.errors import RecordingError
from velocell.formats.seek import Place
from velocell.formats.wording import shown

_MAX_HEADER_BYTES = 1 << 16
_READ_BYTES = 1 << 19
_LARGEST_TIME = 1 << 62
# An empty line of the header: the binary part may begin with the same bytes, but not with those of another line too.
_BARE = re.compile(rb"%\r?\n(?=%[ \r\n])")

# What Velocell itself writes, for what the format has no place for. Other readers skip these lines.
SPAN, BASE, NO_POLARITY = "velocell_span_us", "velocell_time_base_us", "velocell_without_polarity"


@dataclass(frozen=True)
class Header:
    """fields: value by key in small letters. text: all lines. offset: of the binary part, in bytes."""

    fields: dict[str, str]
    text: str
    offset: int

    def number(self, key: str) -> int | None:
        """The value of `key` as a whole number that is not negative; None where there is none."""
        value = self.fields.get(key, "")
        return int(value) if re.fullmatch(r"[0-9]{1,18}", value) else None

    @property
    def span(self) -> tuple[int, int] | None:
        match = re.fullmatch(r"([0-9]{1,19}):([0-9]{1,19})", self.fields.get(SPAN, ""))
        span = None if match is None else (int(match[1]), int(match[2]))
        return span if span is not None and span[0] <= span[1] < _LARGEST_TIME else None


def parse(head: bytes) -> Header:
    """Lines up to `% end`, or to the first line that is not one."""
    fields, lines, offset = {}, [], 0
    while head.startswith(b"% ", offset) or _BARE.match(head, offset):
        end = head.find(b"\n", offset)
        line = head[offset:end].rstrip(b"\r")
        if end < 0 or re.search(rb"[^\t\x20-\xff]", line):
            break
        offset = end + 1
        text = line[2:].decode("latin-1").strip()
        if text == "end":
            break
        lines.append(text)
        key, _, value = text.partition(" ")
        fields[key.lower()] = value.strip()
    return Header(fields, "\n".join(lines), offset)


def is_dat(header: Header) -> bool:
    """Whether DAT entries follow, not RAW words; DAT headers may repeat what the camera's own said."""
    fields = header.fields
    return fields.get("data", "").startswith("file containing") or ("version" in fields and "evt" not in fields)


def read_header(path: Path) -> Header:
    with path.open("rb") as handle:
        head = handle.read(_MAX_HEADER_BYTES)
    header = parse(head)
    if len(head) == _MAX_HEADER_BYTES and b"\n" not in head[header.offset :] and head.startswith(b"% ", header.offset):
        raise RecordingError(f"{path} has a header of more than {_MAX_HEADER_BYTES} bytes; shorten it")
    return header


def parse_geometry(text: str, path: Path) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{1,18})x([0-9]{1,18})", text)
    if match is None:
        raise RecordingError(f"{path}: the header's size {shown(text)} is not WIDTHxHEIGHT; give it with --size")
    return int(match[1]), int(match[2])


class Tally:
    """Carries what a decoder of the C++ core has counted since the last time into an Integrity."""

    def __init__(self, decoder: Any, integrity: Integrity) -> None:
        self._decoder, self._integrity = decoder, integrity
        self._before: dict[str, int] = decoder.counts

    def update(self, at: str) -> None:
        now, before = self._decoder.counts, self._before
        for name in ("wraps", "triggers", "imu_samples", "other"):
            self._integrity.fact(name, now[name] - before[name])
        for name in ("unplaced", "unknown"):
            self._integrity.fault(name, now[name] - before[name], at)
        self._before = now


def decode(
    name: str, path: Path, header: Header, offset: int, integrity: Integrity, place: Place | None = None
) -> Iterator[tuple[Events, Place]]:
    """Feed the bytes from `offset` on to the decoder `name` of the C++ core, and count what it counts. place: where an
    earlier one stood; each block comes with the place behind it."""
    import velocell._native as core  # not loaded just to show a command's help

    base_us = header.number(BASE) or 0
    decoder = getattr(core, name)()
    tally = Tally(decoder, integrity)
    at = offset
    if place is not None:
        decoder.restore(place["state"])
        at = place["at"]
    with path.open("rb", buffering=0) as handle:
        handle.seek(at)
        while data := handle.read(_READ_BYTES):
            t, x, y, p = decoder.feed(data)
            tally.update(f"between bytes {at} and {at + len(data)}")
            at += len(data)
            if base_us:
                t += np.int64(base_us)
            found = Events(t, x, y, None if NO_POLARITY in header.fields else p)
            yield found, {"at": at - decoder.held, "state": decoder.state()}
    integrity.fault("trailing_bytes", decoder.held, f"the file has {at} bytes")
