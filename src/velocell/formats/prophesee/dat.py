"""Prophesee DAT files of version 1 and 2; the entries are decoded by the C++ core (`native/dat.hpp`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from velocell.data.blocks import Events
from velocell.data.budget import Budget
from velocell.data.integrity import Integrity
from velocell.errors import RecordingError
from velocell.formats.prophesee import header as prophesee_header
from velocell.formats.prophesee.header import Header, parse_geometry
from velocell.formats.seek import Place
from velocell.formats.source import Opened, from_start
from velocell.formats.wording import shown

NAME = "Prophesee DAT, version 1 and 2"

_KINDS = {0x00: "Event2D", 0x0C: "EventCD"}
_OTHER_KINDS = {0x0E: "external triggers", 0x28: "optical flow"}
_ENTRY_BYTES = 8


def matches(head: bytes, path: Path) -> bool:
    return prophesee_header.is_dat(prophesee_header.parse(head))


def open_file(
    path: Path, *, size: tuple[int, int] | None, frame_time_us: int, time_unit: str | None, budget: Budget
) -> Opened:
    """Two bytes after the header are the kind and the length of the entries; the clock has 32 bits."""
    header = prophesee_header.read_header(path)
    with path.open("rb") as handle:
        handle.seek(header.offset)
        described = handle.read(2)
    version = version_of(header, described, path)

    def resume(integrity: Integrity, place: Place | None) -> Iterator[tuple[Events, Place]]:
        return prophesee_header.decode(f"Dat{version}Decoder", path, header, header.offset + 2, integrity, place)

    stated = size_of(header, path) if size is None else None
    line = "says" if "version" in header.fields else "leaves open"
    why = f"as the header {line}, entries of kind {_KINDS[described[0]]}"
    polarity = prophesee_header.NO_POLARITY not in header.fields
    return Opened(
        f"Prophesee DAT {version}", why, from_start(resume), stated, "as the header says", header.span, polarity,
        resume=resume,
    )  # fmt: skip


def version_of(header: Header, described: bytes, path: Path) -> str:
    """ "1" or "2"; `described` are the two bytes after the header. Raises RecordingError where no events follow."""
    version = header.fields.get("version", "1")
    if version not in ("1", "2"):
        raise RecordingError(f"{path} is a DAT file of version {shown(version)}; versions 1 and 2 are read")
    if len(described) < 2:
        raise RecordingError(f"{path} ends in its header; copy or record it again")
    kind, entry_bytes = described
    if kind not in _KINDS or entry_bytes != _ENTRY_BYTES:
        held = _OTHER_KINDS.get(kind, f"entries of kind {kind} and {entry_bytes} bytes")
        raise RecordingError(f"{path} holds {held}, not events; give the file with the events (EventCD)")
    return version


def size_of(header: Header, path: Path) -> tuple[int, int] | None:
    """The sensor's size, where the header has it."""
    width, height = header.fields.get("width"), header.fields.get("height")
    return None if width is None or height is None else parse_geometry(f"{width}x{height}", path)
