"""Writing AEDAT4, without loss.

    #!AER-DAT4.0, a header that names the stream and says where the index stands, packets, the index

Header, packets and index are FlatBuffers, their length first. What AEDAT4 has no place for stands in the name of the
camera, which other readers only show: the span, and that the recording has no polarity (all events are ON then).

Rejected: dv-processing writes in a thread of its own and ends the process where the disk is full.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from velocell.data.files import replacing
from velocell.data.recording import Recording
from velocell.errors import RecordingError
from velocell.formats.aedat.aedat4 import COMPRESSIONS, EVENT, MAGIC, camera_name

Compression = Literal["lz4", "zstd", "none"]

_LARGEST = 1 << 15
_PACKET = 1 << 14
_XML = """<dv version="2.0"><node name="outInfo" path="/outInfo/"><node name="0" path="/outInfo/0/">
<attr key="compression" type="string">{compression}</attr>
<attr key="originalModuleName" type="string">velocell</attr>
<attr key="originalOutputName" type="string">events</attr>
<attr key="typeDescription" type="string">Array of events (polarity ON/OFF).</attr>
<attr key="typeIdentifier" type="string">EVTS</attr>
<node name="info" path="/outInfo/0/info/"><attr key="sizeX" type="int">{width}</attr>
<attr key="sizeY" type="int">{height}</attr><attr key="source" type="string">{camera}</attr></node></node></node></dv>
"""


def write_aedat4(
    recording: Recording | Iterable[Recording], path: str | Path, *, compression: Compression = "lz4"
) -> None:
    """Write a recording, or its consecutive blocks, as AEDAT4.

    An existing file is replaced only once the new one is complete. Raises VelocellError where it cannot be
    written, RecordingError where the format cannot hold it: sensors of more than 32768 px a side.
    """
    if compression not in get_args(Compression):
        raise RecordingError(f"compression {compression!r} is unknown; use {', '.join(get_args(Compression))}")
    blocks = iter([recording] if isinstance(recording, Recording) else recording)
    first = next(blocks, None)
    if first is None:
        raise RecordingError(f"cannot write {path}: there is nothing to write")
    if max(first.size) > _LARGEST:
        raise RecordingError(
            f"cannot write {path}: AEDAT4 holds sensors of up to {_LARGEST} px a side, not {first.width}x"
            f"{first.height}; crop or downsample it, or write .npz"
        )
    pack = _packer(compression)
    with replacing(path) as part, part.open("wb") as handle:
        if not handle.seekable():
            raise RecordingError(f"cannot write {path}: this format needs a regular file; name one")
        handle.write(_header(first, first.stop_us, compression, 0))
        index: list[tuple[int, ...]] = []
        last = first
        while True:
            for k in range(0, len(last), _PACKET):
                events = _events(last, slice(k, k + _PACKET))
                data = pack(_buffer(b"EVTS", len(events), events.tobytes()))
                bounds = (int(events["t"][0]), int(events["t"][-1]))
                index.append((0, len(data), handle.tell() + 8, len(events), *bounds))
                handle.write(struct.pack("<ii", 0, len(data)) + data)
            block = next(blocks, None)
            if block is None:
                break
            last = block
        at = handle.tell()
        handle.write(pack(_index(index)))
        # Now that all is known; it keeps its length.
        handle.seek(0)
        handle.write(_header(first, last.stop_us, compression, at))


def _packer(compression: Compression) -> Callable[[bytes], bytes]:
    if compression == "lz4":
        import lz4.frame

        compress: Callable[[bytes], bytes] = lz4.frame.compress
        return compress
    if compression == "none":
        return lambda data: data
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd.compress


def _events(block: Recording, part: slice) -> np.ndarray[Any, np.dtype[Any]]:
    t = block.t_us[part]
    events = np.zeros(len(t), EVENT)
    events["t"], events["x"], events["y"] = t, block.x[part], block.y[part]
    events["p"] = 1 if block.p is None else block.p[part]
    return events


def _header(first: Recording, stop_us: int, compression: Compression, index_at: int) -> bytes:
    camera = camera_name(first.start_us, stop_us, first.p is not None)
    text = _XML.format(compression=compression.upper(), width=first.width, height=first.height, camera=camera).encode()
    # A table's fields: compression, where the index stands, the text. Each table begins with the way back to the list
    # of its fields: its own length, that of the table, and where in the table each field stands.
    fields = struct.pack("<HHHHH", 10, 20, 4, 12, 8)
    table = struct.pack("<iiIq", len(fields), COMPRESSIONS.index(compression), 12, index_at)
    body = struct.pack("<I4s6x", 24, b"IOHE") + fields + table + struct.pack("<I", len(text)) + text + b"\0"
    return MAGIC + struct.pack("<I", len(body)) + body


def _buffer(kind: bytes, n: int, elements: bytes) -> bytes:
    """A table whose only field is a vector."""
    body = struct.pack("<I4sHHHHiII", 16, kind, 0, 6, 8, 4, 6, 4, n) + elements
    return struct.pack("<I", len(body)) + body


_ENTRY = struct.Struct("<iiiqqqq4x")  # of the index; the way to the list of its fields first
_VECTOR_AT = 32  # where the elements of a `_buffer` stand


def _index(packets: list[tuple[int, ...]]) -> bytes:
    """Of each packet: stream, length, where its data stands, events, first and last time."""
    fields = struct.pack("<HHHHHHH", 14, 44, 12, 4, 20, 28, 36)
    fields_at = _VECTOR_AT + 4 * len(packets)
    # An entry's numbers of 8 bytes stand at multiples of 8, the first 12 bytes behind its beginning.
    padding = bytes((4 - fields_at - len(fields)) % 8)
    way = len(fields) + len(padding)
    first = fields_at + way - _VECTOR_AT
    # The vector's elements are ways too, each from its own place.
    ways = np.arange(len(packets)) * (_ENTRY.size - 4) + first
    entries = b"".join(_ENTRY.pack(way + k * _ENTRY.size, *packet) for k, packet in enumerate(packets))
    return _buffer(b"FTAB", len(packets), ways.astype("<u4").tobytes() + fields + padding + entries)
