"""AEDAT4 files made by hand."""

from __future__ import annotations

import struct
from pathlib import Path

from velocell.data.recording import Recording

EVENTS = [(10, 1, 2, 1), (11, 3, 0, 0), (11, 319, 239, 1)]
LATER = [(500, 7, 8, 0), (600, 9, 10, 1)]


def table(kind: bytes, vector: bytes) -> bytes:
    """A FlatBuffer, its size first: one table whose only field is a vector."""
    body = struct.pack("<I4sHHHHiI", 16, kind, 6, 8, 4, 0, 8, 8) + bytes(4) + vector
    return struct.pack("<I", len(body)) + body


def packet(events: list[tuple[int, int, int, int]], kind: bytes = b"EVTS") -> bytes:
    packed = b"".join(struct.pack("<qhhB3x", *event) for event in events)
    return table(kind, struct.pack("<I", len(events)) + packed)


def samples(kind: bytes, n: int) -> bytes:
    """A packet of n tables, of which only the number matters here."""
    return table(kind, struct.pack("<I", n) + bytes(4 * n))


STREAM = """<node name="{number}"><attr key="typeIdentifier">{kind}</attr><attr key="originalOutputName">{name}</attr>
<node name="info"><attr key="sizeX">320</attr><attr key="sizeY">240</attr></node></node>"""
STREAMS = (
    (0, "EVTS", "left"),
    (1, "IMUS", "imu"),
    (2, "TRIG", "triggers"),
    (3, "FRME", "frames"),
    (4, "EVTS", "right"),
)


def xml(streams: tuple[tuple[int, str, str], ...] = STREAMS[:4]) -> str:
    nodes = "".join(STREAM.format(number=number, kind=kind, name=name) for number, kind, name in streams)
    return f'<dv><node name="outInfo">{nodes}</node></dv>'


def aedat4_file(path: Path, packets: list[tuple[int, bytes]], *, compression: int = 0, text: str | None = None) -> Path:
    text = xml() if text is None else text
    pieces = [struct.pack("<ii", number, len(data)) + data for number, data in packets]
    string = struct.pack("<I", len(text.encode())) + text.encode() + b"\0"
    # The table's fields: compression, where the index stands, the text.
    body = struct.pack("<I4sHHHHHxxiiqI", 20, b"IOHE", 10, 20, 4, 8, 16, 12, compression, -7, 4)
    header = body + string
    last = 18 + len(header) + sum(map(len, pieces))
    header = header.replace(struct.pack("<q", -7), struct.pack("<q", last), 1)
    path.write_bytes(b"#!AER-DAT4.0\r\n" + struct.pack("<I", len(header)) + header + b"".join(pieces) + b"FTAB")
    return path


def triples(recording: Recording) -> list[tuple[int, int, int, int]]:
    return list(zip(*(getattr(recording, name).tolist() for name in ("t_us", "x", "y", "p")), strict=True))
