"""Where events come from. A source has

name, size, meta      what it is, (width, height) in px, and what the output should say of it, with the first block
waits                 whether the sender waits while we work; else overload has to be shed
stop_us               where the stream ended, once it has; None: after its last event
waited_s              how long the oldest packet of the last block had to wait for us
heard_s               when something came in last, of the steady clock, also of what waits to be decoded; None where
                      nothing has, or only blocks show it
blocks(stop)          events in blocks, once; until the end or until the event `stop` is set, which it notices
                      within POLL_S. A block without events says by its `stop_us` that time has passed
losses()              how much was lost so far, by what it was; may be asked by another thread
notes(), close()      counts of what it met, in words; the end, after `blocks` has ended or was closed
"""

from __future__ import annotations

import math
import os
import select
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from velocell.data.blocks import Events
from velocell.data.integrity import Integrity
from velocell.data.recording import Recording
from velocell.errors import OptionError, RecordingError
from velocell.filters.hot_pixels import PixelCounts
from velocell.formats import open_recording
from velocell.formats.prophesee import dat
from velocell.formats.prophesee import header as prophesee_header
from velocell.formats.prophesee import raw as prophesee
from velocell.live.blocks import POLL_S, as_blocks, pieces
from velocell.live.camera import Camera
from velocell.live.tcp import Tcp
from velocell.live.udp import Udp

_READ_BYTES = 1 << 18
_HEADER_BYTES = 1 << 16


class Source(Protocol):
    """What every source offers; see above."""

    name: str
    size: tuple[int, int]
    waits: bool

    @property
    def meta(self) -> dict[str, Any]: ...
    @property
    def waited_s(self) -> float: ...
    @property
    def heard_s(self) -> float | None: ...
    @property
    def stop_us(self) -> int | None: ...
    def blocks(self, stop: Event) -> Iterator[Recording]: ...
    def losses(self) -> dict[str, int]: ...
    def notes(self) -> tuple[str, ...]: ...
    def close(self) -> None: ...


def open_source(
    text: str,
    *,
    size: tuple[int, int] | None = None,
    frame_time_us: int = 1_000,
    time_unit: str | None = None,
    speed: str = "1",
    every_us: int = 5_000,
    part_us: tuple[int, int | None] = (0, None),
    budget: float = 1.0,
    sender: str | None = None,
) -> Source:
    """`replay:FILE`, `-` (stdin), `udp://`, `tcp://HOST:PORT`, `unix:PATH` or `camera:NAME`. Raises VelocellError.

    speed: of a replay, a factor or `max`; a paced replay comes in blocks of `every_us`. part_us: from and to, from the
    start of a replayed recording; a stream has no start to count from. time_unit, budget: as of
    `open_recording`. sender: of udp://, the only one to follow.
    """
    scheme, colon, rest = text.partition(":")
    if part_us != (0, None) and scheme != "replay":
        raise OptionError(
            f"--from and --to choose a part of a recording, but {text} is a stream; drop them, or record "
            "it and use replay:FILE"
        )
    if sender is not None and scheme != "udp":
        raise OptionError(f"--sender chooses among those that send to udp://HOST:PORT, which {text} is not; drop it")
    if text == "-":
        return Stdin(size)
    if scheme == "replay" and colon:
        return Replay(Path(rest), size, frame_time_us, _speed(speed), every_us, part_us, budget, time_unit)
    if scheme == "udp" and colon:
        return Udp(text, size, sender)
    if scheme in ("tcp", "unix") and colon:
        return Tcp(text, size)
    if scheme == "camera" and colon:
        return Camera(text, size)
    raise OptionError(
        f"'{text}' is not a source; use replay:FILE, udp://HOST:PORT, tcp://HOST:PORT, unix:PATH, camera: "
        "or - for stdin"
    )


def _speed(text: str) -> float:
    try:
        speed = math.inf if text == "max" else float(text)
    except ValueError:
        speed = 0.0
    if not speed > 0:
        raise OptionError(f"--speed '{text}' must be a number above 0, or max")
    return speed


class Replay:
    """A recording, at its own pace times `speed`."""

    waits, waited_s, heard_s = True, 0.0, None

    def __init__(
        self,
        path: Path,
        size: tuple[int, int] | None,
        frame_time_us: int,
        speed: float,
        every_us: int,
        part_us: tuple[int, int | None] = (0, None),
        budget: float = 1.0,
        time_unit: str | None = None,
    ):
        self._file = open_recording(path, size=size, frame_time_us=frame_time_us, time_unit=time_unit, budget=budget)
        from_us, to_us = part_us
        self._start_us = self._file.start_us + from_us if from_us else None
        self._stop_us = None if to_us is None else self._file.start_us + to_us
        self._speed, self._every_us = speed, every_us
        self._started: float | None = None
        self.name, self.size = f"replay:{path}", (self._file.width, self._file.height)
        self.meta: dict[str, Any] = {"time": "of the recording"}
        self.stop_us: int | None = None

    def known(self, span_us: int, prepare: Callable[[Recording], Recording]) -> tuple[NDArray[np.int64], Recording]:
        """Of a file all is there before it is played: its hot pixels (k, 2), in blocks that were prepared for that, and
        its first `span_us`."""
        counts = PixelCounts(*self.size)
        start_us: int | None = None
        for block in self._file.blocks(self._start_us, self._stop_us):
            start_us = block.start_us if start_us is None else start_us
            if len(block := prepare(block)):
                counts.add(block)
        start_us = self._file.start_us if start_us is None else start_us
        stop_us = start_us + span_us if self._stop_us is None else min(start_us + span_us, self._stop_us)
        return counts.hot(), self._file.read(self._start_us, stop_us)

    def ahead(self) -> Iterator[Recording]:
        """All blocks as they are in the file, before it is played."""
        return self._file.blocks(self._start_us, self._stop_us)

    def blocks(self, stop: Event) -> Iterator[Recording]:
        for block in self._file.blocks(self._start_us, self._stop_us):
            for part in [block] if self._speed == math.inf else self._paced(block, stop):
                if stop.is_set():
                    return
                yield part
            self.stop_us = block.stop_us

    def _paced(self, block: Recording, stop: Event) -> Iterator[Recording]:
        """Parts of one reporting interval, each at its time."""
        for part in pieces(block, self._every_us):
            now = time.monotonic() - part.start_us / 1e6 / self._speed
            self._started = now if self._started is None else self._started
            stop.wait(max(0.0, self._started - now + part.duration_us / 1e6 / self._speed))
            yield part

    def losses(self) -> dict[str, int]:
        return {}

    def notes(self) -> tuple[str, ...]:
        return self._file.notes

    def close(self) -> None:
        pass


class Stdin:
    """The bytes of a Prophesee RAW (EVT2, EVT2.1, EVT3) or DAT file, as they come; the header says which."""

    name, waits, waited_s, heard_s = "stdin", True, 0.0, None
    stop_us: int | None = None

    def __init__(self, size: tuple[int, int] | None):
        self._fd = sys.stdin.fileno()
        if stat.S_ISDIR(os.fstat(self._fd).st_mode):
            raise RecordingError("stdin is a folder; pipe the bytes of a recording into it")
        self._integrity = Integrity(self.name)
        self.meta: dict[str, Any] = {"time": "of the camera"}
        head, header = self._header()
        where = Path(self.name)
        if prophesee_header.is_dat(header):
            head = self._at_least(head, header.offset + 2)
            version = dat.version_of(header, head[header.offset : header.offset + 2], where)
            decoder, stated, offset = (
                f"Dat{version}Decoder",
                dat.size_of(header, where) if size is None else None,
                header.offset + 2,
            )
        elif prophesee.matches(head, where):
            decoder, stated = prophesee.decoder_of(header, where), prophesee.size_of(header, where, size)[0]
            offset = header.offset
        else:
            raise RecordingError("stdin is not a Prophesee RAW or DAT stream; save other formats and use replay:FILE")
        if size is None and stated is None:
            raise RecordingError("the header on stdin does not state the sensor's size; give it with --size")
        self.size = size or stated or (0, 0)
        import velocell._native as core

        self._decoder = getattr(core, decoder)()
        self._tally = prophesee_header.Tally(self._decoder, self._integrity)
        self._begin = head[offset:]
        self._base_us = header.number(prophesee_header.BASE) or 0
        self._polarity = prophesee_header.NO_POLARITY not in header.fields

    def _header(self) -> tuple[bytes, prophesee_header.Header]:
        head = b""
        while True:
            header = prophesee_header.parse(head)
            rest = head[header.offset :]
            whole = b"% end" in head[: header.offset] or (len(rest) > 1 and not rest.startswith(b"% "))
            if whole or len(head) >= _HEADER_BYTES or not (data := os.read(self._fd, _READ_BYTES)):
                return head, header
            head += data

    def _at_least(self, head: bytes, n: int) -> bytes:
        while len(head) < n and (data := os.read(self._fd, _READ_BYTES)):
            head += data
        return head

    def blocks(self, stop: Event) -> Iterator[Recording]:
        data: bytes | None = self._begin
        while data or data is None:
            if data:
                t, x, y, p = self._decoder.feed(data)
                events = Events(t + np.int64(self._base_us), x, y, p if self._polarity else None)
                self._tally.update("")
                yield from as_blocks(events, self.size, self._integrity)
            data = self._next(stop)
        self._integrity.fault("trailing_bytes", self._decoder.held)

    def _next(self, stop: Event) -> bytes | None:
        """Some bytes, none at the end, None while there are none."""
        if stop.is_set():
            return b""
        ready, _, _ = select.select([self._fd], [], [], POLL_S)
        return os.read(self._fd, _READ_BYTES) if ready else None

    def losses(self) -> dict[str, int]:
        return {}

    def notes(self) -> tuple[str, ...]:
        return self._integrity.notes()

    def close(self) -> None:
        pass
