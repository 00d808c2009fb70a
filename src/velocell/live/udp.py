"""SPIF words by UDP. A thread takes packets off the socket while the rest works; memory is bounded."""

from __future__ import annotations

import socket
import struct
import time
from collections import deque
from collections.abc import Iterator
from threading import Event, Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.errors import OptionError, RecordingError
from velocell.formats.source import Events
from velocell.integrity import Integrity
from velocell.live import spif
from velocell.live.address import parse_address, resolved
from velocell.live.blocks import POLL_S, as_blocks
from velocell.recording import Recording

_MOST_PACKETS = 1 << 17  # held at once: 64 MB of packets of 512 bytes
_LARGEST_PACKET = 1 << 16
_GATHER_S = 0.0005  # work per packet would cost more than work per event
_RECEIVE_BUFFER = 1 << 23
_FAR_US = 10_000_000  # a time this far from the newest is astray,
_AGREED = 64  # unless so many packets in a row are
_SO_RXQ_OVFL = 40  # Linux: each packet comes with the count of those the system dropped


class Udp:
    """Listens on HOST:PORT; `size` is needed, since the packets do not tell it. Raises OptionError.

    Whether events carry times is decided by the first packet; without, the time of arrival counts, in us since 1970.
    """

    waits = False
    stop_us: int | None = None

    def __init__(self, text: str, size: tuple[int, int] | None):
        host, port = parse_address(text)
        if size is None:
            raise OptionError(f"{text} does not tell the sensor's size; give it with --size, such as 640x480")
        self.name, self.size = text, size
        self.meta: dict[str, Any] = {}
        self.waited_s = 0.0
        family, address = resolved(host, port)
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.bind(address)
        except OSError as error:
            self._socket.close()
            reason = (error.strerror or str(error)).lower()
            raise OptionError(f"cannot listen on {text}: {reason}; choose another port or address") from None
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)
            self._lost: int | None = 0
        except OSError:
            self._lost = None
        self._socket.settimeout(POLL_S)
        self._integrity = Integrity(text)
        self._queue: deque[tuple[float, bytes]] = deque()
        self._arrived = Event()
        self._timed: bool | None = None
        self._newest_us: int | None = None
        self._far = self._astray = self._overflow = self._packets = 0
        # Arrival in us since 1970, of a clock that never steps.
        self._epoch_s = time.time() - time.monotonic()

    def blocks(self, stop: Event) -> Iterator[Recording]:
        thread = Thread(target=self._receive, args=(stop,), daemon=True)
        thread.start()
        while not stop.is_set():
            if not self._arrived.wait(POLL_S):
                if self._timed is False:
                    now = int((time.monotonic() + self._epoch_s - POLL_S) * 1e6)
                    yield Recording.from_arrays([], [], [], width=self.size[0], height=self.size[1], start_us=now)
                continue
            time.sleep(_GATHER_S)
            self._arrived.clear()
            yield from self._taken()
        thread.join()
        yield from self._taken()

    def _receive(self, stop: Event) -> None:
        while not stop.is_set():
            try:
                data, ancillary, _, _ = self._socket.recvmsg(_LARGEST_PACKET, 64)
            except TimeoutError:
                continue
            except OSError:  # closed, after an error elsewhere
                return
            for _, kind, value in ancillary:
                if kind == _SO_RXQ_OVFL:
                    self._lost = struct.unpack("I", value[:4])[0]
            if len(self._queue) >= _MOST_PACKETS:
                self._queue.popleft()
                self._overflow += 1
            self._queue.append((time.monotonic(), data))
            self._arrived.set()

    def _taken(self) -> Iterator[Recording]:
        """All packets that wait, as one block."""
        packets = [self._queue.popleft() for _ in range(len(self._queue))]
        if not packets:
            return
        self.waited_s = time.monotonic() - packets[0][0]
        self._packets += len(packets)
        if self._timed is None:
            self._timed = next((kind for _, data in packets if (kind := spif.has_times(data)) is not None), None)
            self.meta = {"time": "of the sender" if self._timed else "of arrival"}
        good = [(at, data) for at, data in packets if spif.has_times(data) is self._timed is not None]
        self._integrity.fault("damaged", len(packets) - len(good))
        times = [self._times(at, data) for at, data in good]
        events = spif.decode(
            b"".join(data for (_, data), t in zip(good, times, strict=True) if t.size), self._timed is True
        )
        if len(events.x):
            t_us = np.concatenate(times)
            yield from as_blocks(Events(t_us, events.x, events.y, events.p), self.size, self._integrity)

    def _times(self, arrived_s: float, data: bytes) -> NDArray[np.int64]:
        """Of a packet's events; none where they do not go on from where the stream is and the packet is left out.

        Many such packets in a row, all ahead, move the stream forwards.
        """
        if not self._timed:
            return np.full(len(data) // 4, int((arrived_s + self._epoch_s) * 1e6), np.int64)
        t = spif.unwrapped(spif.decode(data, True).t_us, self._newest_us)
        ahead_us = 0 if self._newest_us is None else int(t[0]) - self._newest_us
        self._far = self._far + 1 if abs(ahead_us) > _FAR_US else 0
        if self._far > _AGREED and ahead_us < 0:
            raise RecordingError(f"{self.name}: the sender's clock went back by {-ahead_us} us; start live again")
        if 0 < self._far <= _AGREED:
            self._astray += 1
            return t[:0]
        self._newest_us = max(int(t.max()), self._newest_us or 0)
        return t

    def notes(self) -> tuple[str, ...]:
        lost = "packets lost by the system: not told by this system"
        if self._lost is not None:
            lost = f"{self._lost} packets lost by the system"
        dropped = f"{self._overflow} packets dropped, too many waited; {self._astray} with a time far off, left out"
        return (f"{self._packets} packets", lost, dropped, *self._integrity.notes())

    def close(self) -> None:
        self._socket.close()
