"""Prophesee RAW files of EVT2, EVT2.1 and EVT3 words; the words are decoded by the C++ core (`native/evt.hpp`)."""

from __future__ import annotations

import re
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

NAME = "Prophesee RAW (EVT2, EVT2.1, EVT3)"

_VERSIONS = {"2.0": "EVT2", "2.1": "EVT2.1", "3.0": "EVT3"}
_FORMATS = {"EVT2": "EVT2", "EVT21": "EVT2.1", "EVT3": "EVT3"}
_VGA, _HD = (640, 480), (1280, 720)

# Cameras by the number that old headers have instead of a size: sensor, and words where the header has none.
_SYSTEMS: dict[int, tuple[tuple[int, int], str]] = {
    **dict.fromkeys((0x15, 0x17, 0x19, 0x1C, 0x1D, 0x21, 0x22, 0x23, 0x29), (_VGA, "EVT2")),
    0x28: (_VGA, "EVT3"),
    **dict.fromkeys((0x1A, 0x1F, 0x27), (_HD, "EVT2")),
    **dict.fromkeys((0x1E, 0x2E, 0x30, 0x31, 0x32), (_HD, "EVT3")),
}


def matches(head: bytes, path: Path) -> bool:
    header = prophesee_header.parse(head)
    fields = header.fields
    named = "evt" in fields or fields.get("format", "").startswith("EVT") or "system_id" in fields
    return named and not prophesee_header.is_dat(header)


def open_file(
    path: Path, *, size: tuple[int, int] | None, frame_time_us: int, time_unit: str | None, budget: Budget
) -> Opened:
    """The header has version and size; the time is the camera's own clock."""
    header = prophesee_header.read_header(path)
    version, why = _version(header, path)
    decoder = decoder_of(header, path)

    def resume(integrity: Integrity, place: Place | None) -> Iterator[tuple[Events, Place]]:
        return prophesee_header.decode(decoder, path, header, header.offset, integrity, place)

    stated, size_from = size_of(header, path, size)
    polarity = prophesee_header.NO_POLARITY not in header.fields
    return Opened(
        f"Prophesee RAW {version}", why, from_start(resume), stated, size_from, header.span, polarity, resume=resume
    )


def decoder_of(header: Header, path: Path) -> str:
    """Name of the decoder in the C++ core. Raises RecordingError for a header that does not say which words follow."""
    return _decoder(_version(header, path)[0], header)


def size_of(header: Header, path: Path, given: tuple[int, int] | None) -> tuple[tuple[int, int] | None, str]:
    """The sensor's size by the header, and the line that has it. Raises RecordingError where it contradicts itself."""
    # A size that is given settles what the header may say wrong.
    return (None, "") if given is not None and _contradicts(header) else _size(header, path)


def _version(header: Header, path: Path) -> tuple[str, str]:
    """EVT2, EVT2.1 or EVT3, and which line says so."""
    name, *_ = header.fields.get("format", "").split(";")
    number = header.fields.get("evt", "")
    by_format, by_number = _FORMATS.get(name), _VERSIONS.get(number)
    if (name and by_format is None) or (number and by_number is None):
        unread = shown(name if name and by_format is None else f"evt {number}")
        raise RecordingError(f"{path} is a Prophesee RAW file of format {unread}; EVT2, EVT2.1 and EVT3 are read")
    if by_format is not None and by_number is not None and by_format != by_number:
        raise RecordingError(
            f"{path}: the header says both {shown(name)} and {shown(f'evt {number}')}; remove what is wrong"
        )
    if by_format is not None:
        return by_format, f"as the header's line 'format {name}' says"
    if by_number is not None:
        return by_number, f"as the header's line 'evt {number}' says"
    system = _SYSTEMS.get(header.number("system_id") or 0)
    if system is None:
        raise RecordingError(f"{path} does not say which format its words have; add a line '% evt 3.0' (or 2.0)")
    return system[1], f"as cameras of system_ID {header.fields['system_id']} write"


def _decoder(version: str, header: Header) -> str:
    if version != "EVT2.1":
        return f"{version.capitalize()}Decoder"
    order = _options(header).get("endianness", header.fields.get("endianness", ""))
    # Prophesee's cameras before number 0x37 wrote the upper half first, and their files do not say so.
    system = header.number("system_id")
    old = not order and system is not None and system < 0x37 and "prophesee" in header.text.lower()
    return "Evt21SwappedDecoder" if order == "legacy" or old else "Evt21Decoder"


def _options(header: Header) -> dict[str, str]:
    """`format EVT3;height=720;width=1280` -> what stands after the name."""
    pairs = (part.partition("=") for part in header.fields.get("format", "").split(";")[1:])
    return {key.strip(): value.strip() for key, _, value in pairs}


def _sizes(header: Header) -> tuple[str, str]:
    options = _options(header)
    by_format = f"{options['width']}x{options['height']}" if {"width", "height"} <= set(options) else ""
    return header.fields.get("geometry", ""), by_format


def _contradicts(header: Header) -> bool:
    geometry, by_format = _sizes(header)
    known = [text for text in (geometry, by_format) if text]
    return len(set(known)) > 1 or any(re.fullmatch("[1-9][0-9]{0,4}x[1-9][0-9]{0,4}", text) is None for text in known)


def _size(header: Header, path: Path) -> tuple[tuple[int, int] | None, str]:
    geometry, by_format = _sizes(header)
    if geometry and by_format and geometry != by_format:
        raise RecordingError(
            f"{path}: the header says both {shown(geometry)} and {shown(by_format)}; give the true size with --size"
        )
    if geometry or by_format:
        line = "geometry" if geometry else "format"
        return parse_geometry(geometry or by_format, path), f"as the header's line '{line}' says"
    system = _SYSTEMS.get(header.number("system_id") or 0)
    if system is not None:
        return system[0], f"of cameras of system_ID {header.fields['system_id']}"
    return None, ""
