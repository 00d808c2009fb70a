"""ROS 1 bags, ROS 2 bags (a folder, or a .db3 in it) and MCAP files with the events of event_camera_msgs or dvs_msgs.

    event_camera_msgs/EventPacket   camera words of EVT3, EVT2 or EVT2.1: the time is the camera's own clock;
    (event_array_msgs/EventArray)   or "mono", "libcaer", "libcaer_cmp": the time is the message's time_base plus the
                                    entry's
    dvs_msgs/EventArray             one entry per event, with ROS's time
    (prophesee_event_msgs)

Of several event topics the first in the file is read; what the others hold is counted. A seek index goes on behind any
message: in a file of the bag, with what that file has said of its channels, and with the decoder as it was then.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from velocell.data.blocks import Events
from velocell.data.budget import Budget
from velocell.data.integrity import Integrity
from velocell.errors import RecordingError
from velocell.formats import packed
from velocell.formats.prophesee.header import Tally
from velocell.formats.ros import folder
from velocell.formats.ros import records as bag_files
from velocell.formats.ros.libcaer import Compressed, libcaer
from velocell.formats.ros.message import Known, Message
from velocell.formats.seek import Place
from velocell.formats.source import Opened, from_start
from velocell.formats.wording import bare

NAME = "ROS 1 and 2 bags and MCAP with event_camera_msgs or dvs_msgs"

_PACKETS = ("event_camera_msgs/EventPacket", "event_array_msgs/EventArray")
_ARRAYS = ("dvs_msgs/EventArray", "prophesee_event_msgs/EventArray")
_COUNTED = {
    "sensor_msgs/Imu": "imu_samples",
    "sensor_msgs/Image": "frames",
    "sensor_msgs/CompressedImage": "frames",
}
# Camera words: their decoder in the C++ core, and their length in bytes.
_WORDS = {"evt3": ("Evt3Decoder", 2), "evt2": ("Evt2Decoder", 4), "evt21": ("Evt21Decoder", 8)}
# Entries with times of their own: bytes of each.
_ENTRIES = {"mono": 8, "libcaer": 8, "libcaer_cmp": 2}
_MOST_KINDS = 100  # named where there are no events
_CDR_MARK = b"\x00\x01"  # little-endian
_ROS1_EVENT = np.dtype([("x", "<u2"), ("y", "<u2"), ("s", "<u4"), ("ns", "<u4"), ("p", "u1")])
# An entry of 13 bytes, aligned to 4 from the second on: x stands in the two bytes before its row, y at its start.
_CDR_EVENT = np.dtype({"names": ["y", "y0", "s", "ns", "p", "x"], "formats": ["<u2", "<u2", "<u4", "<u4", "u1", "<u2"],
                       "offsets": [0, 2, 4, 8, 12, 14], "itemsize": 16})  # fmt: skip
_MONO = np.dtype([("dt", "<u4"), ("x", "<u2"), ("yp", "<u2")])


def matches(head: bytes, path: Path) -> bool:
    return head.startswith((bag_files.ROS1, bag_files.MCAP, bag_files.SQLITE)) or folder.is_bag(path)


@dataclass(frozen=True)
class _Content:
    """A message of events: camera words or entries, still packed."""

    width: int
    height: int
    encoding: str
    time_base_ns: int
    n: int
    data: bytes


def open_file(
    path: Path, *, size: tuple[int, int] | None, frame_time_us: int, time_unit: str | None, budget: Budget
) -> Opened:
    """The first message of events has topic, encoding and size."""
    topic, kind, first, others = _first(path, budget)
    if first.encoding not in (*_WORDS, *_ENTRIES, "ros1", "cdr"):
        raise RecordingError(
            f"{path}: the events of topic {bare(topic)} are encoded as {bare(first.encoding)}; record them as "
            "evt3, mono, libcaer or libcaer_cmp"
        )

    def resume(integrity: Integrity, place: Place | None) -> Iterator[tuple[Events, Place | None]]:
        yield from _decode(path, topic, first.encoding, integrity, budget, place)

    encoding = "" if kind in _ARRAYS else f", encoded as {first.encoding}"
    name = {bag_files.ROS1[:4]: "ROS 1 bag", bag_files.MCAP[:4]: "MCAP", bag_files.SQLITE[:4]: "ROS 2 bag"}[others]
    known = (first.width, first.height) if first.width and first.height else None
    why = f"by its first bytes; {kind} of topic {bare(topic)}{encoding}"
    return Opened(name, why, from_start(resume), known, "as the messages say", resume=resume)


def _first(path: Path, budget: Budget) -> tuple[str, str, _Content, bytes]:
    """Topic, type and content of the first message of events, and the first four bytes of the file."""
    met: dict[str, None] = {}
    passed = Integrity(str(path))
    for _, message in _messages(path, passed, budget, Known()):
        kind = _kind(message)
        if len(met) < _MOST_KINDS:
            met[kind] = None
        if kind in _PACKETS or kind in _ARRAYS:
            try:
                content = _content(message)
            except (struct.error, ValueError):
                continue
            with packed.plain(folder.files(path)[0], budget) as plain, plain.open("rb") as handle:
                return message.topic, kind, content, handle.read(4)
    left = passed.faults.get("trailing_bytes", 0)
    if left and not met:
        raise RecordingError(
            f"{path} is cut off (or damaged) within its first chunk: {left} bytes are left after its last whole entry, "
            "and no message is before them; copy it again in full"
        )
    held = f"messages of {', '.join(bare(kind) for kind in sorted(met)[:8])}" if met else "no messages"
    raise RecordingError(
        f"{path} holds no events (it holds {held}); record a topic of event_camera_msgs/EventPacket or "
        "dvs_msgs/EventArray"
    )


def _decode(
    path: Path, topic: str, encoding: str, integrity: Integrity, budget: Budget, place: Place | None
) -> Iterator[tuple[Events, Place | None]]:
    from velocell import _native  # not loaded just to show a command's help

    name, word_bytes = _WORDS.get(encoding, ("", _ENTRIES.get(encoding, 1)))
    decoder = getattr(_native, name)() if name else None
    if decoder is not None and place is not None:
        decoder.restore(place["state"])
    compressed = Compressed(0 if place is None else place["x"])
    known = Known() if place is None else Known.of(place["known"])
    tally = None if decoder is None else Tally(decoder, integrity)
    for number, (file, message) in enumerate(_messages(path, integrity, budget, known, place)):
        kind = _kind(message)
        if kind not in _PACKETS and kind not in _ARRAYS:
            integrity.fact(_COUNTED.get(kind, "other"))
            continue
        try:
            content = _content(message)
            if message.topic != topic:
                integrity.fact("other")
                continue
            if content.encoding != encoding or len(content.data) % word_bytes:
                raise ValueError("the encoding changes, or a word is cut off")
            events = _entries(content, compressed) if decoder is None else None
        except (struct.error, ValueError):
            integrity.fault("damaged", 1, f"message {number}")
            continue
        if decoder is not None and tally is not None:
            events = Events(*decoder.feed(content.data))
            tally.update(f"in message {number}")
        if events is not None:
            state = [] if decoder is None else decoder.state()
            about = known.to_dict()
            behind = {"file": file, "behind": message.behind, "known": about, "state": state, "x": compressed.x}
            yield events, None if about is None else behind


def _messages(
    path: Path, integrity: Integrity, budget: Budget, known: Known, place: Place | None = None
) -> Iterator[tuple[int, Message]]:
    """Of all files of a bag, one after the other, each with its file's number; from a place on. known: what the file
    that is read has said of its channels. Raises RecordingError."""
    first, behind = (0, None) if place is None else (place["file"], tuple(place["behind"]))
    for number, file in enumerate(folder.files(path)[first:], start=first):
        if number != first:
            known.channels.clear()
            known.schemas.clear()
        with packed.plain(file, budget) as plain:
            for message in bag_files.messages(plain, integrity, budget, known, behind):
                yield number, message
        behind = None


def _kind(message: Message) -> str:
    return message.type.replace("/msg/", "/")


# --- contents -----------------------------------------------------------------------------------------------


class _Fields:
    """Reads one value after the other; CDR aligns each to its size."""

    def __init__(self, message: Message) -> None:
        self.data, self.cdr = message.data, message.encoding == "cdr"
        if self.cdr and self.data[:2] != _CDR_MARK:
            raise ValueError("the message is not little-endian CDR")
        if message.encoding not in ("cdr", "ros1"):
            raise ValueError("the message is of an unknown serialization")
        self.start = self.position = 4 if self.cdr else 0

    def number(self, format_: str) -> int:
        n = struct.calcsize(format_)
        if self.cdr:
            self.position += -(self.position - self.start) % n
        value = struct.unpack_from(format_, self.data, self.position)[0]
        self.position += n
        return int(value)

    def bytes(self, n: int) -> bytes:
        data = self.data[self.position : self.position + n]
        if len(data) < n:
            raise ValueError("the message is cut off")
        self.position += n
        return data

    def text(self) -> str:
        return self.bytes(self.number("<I")).rstrip(b"\0").decode("latin-1")


def _content(message: Message) -> _Content:
    """Raises struct.error or ValueError for a damaged message."""
    fields = _Fields(message)
    if not fields.cdr:
        fields.number("<I")  # of the header: its number; then the time in seconds and nanoseconds
    fields.number("<I")
    fields.number("<I")
    fields.text()
    height, width = fields.number("<I"), fields.number("<I")
    if _kind(message) in _PACKETS:
        fields.number("<Q")
        time_base = fields.number("<Q")
        encoding = fields.text()
        if fields.number("<B"):
            raise ValueError("the events are big-endian")
        n = fields.number("<I")
        return _Content(width, height, encoding, time_base, n, fields.bytes(n))
    n = fields.number("<I")
    length = 13 * n if not fields.cdr or n < 2 else 16 * n - 3
    return _Content(width, height, message.encoding, 0, n, fields.bytes(length))


def _entries(content: _Content, compressed: Compressed) -> Events:
    """The events of a message that holds no camera words."""
    if content.time_base_ns >= 1 << 62:
        raise ValueError("the time is beyond 2^62 ns")
    if content.encoding == "mono":
        entries = np.frombuffer(content.data, _MONO, len(content.data) // _MONO.itemsize)
        t = (entries["dt"].astype(np.int64) + content.time_base_ns) // 1_000
        return Events(t, entries["x"].copy(), entries["yp"] & 0x7FFF, entries["yp"] >= 0x8000)
    if content.encoding in _ENTRIES:
        decode = libcaer if content.encoding == "libcaer" else compressed
        return decode(content.data, content.time_base_ns // 1_000)
    if content.encoding == "ros1":
        entries = np.frombuffer(content.data, _ROS1_EVENT, content.n)
        x, y = entries["x"].copy(), entries["y"].copy()
    else:
        entries = np.frombuffer(content.data.ljust(16 * content.n, b"\0"), _CDR_EVENT, content.n)
        x, y = np.roll(entries["x"], 1), entries["y"].copy()
        x[:1], y[:1] = entries["y"][:1], entries["y0"][:1]
    t = entries["s"].astype(np.int64) * 1_000_000 + entries["ns"] // 1_000
    return Events(t, x, y, entries["p"] != 0)
