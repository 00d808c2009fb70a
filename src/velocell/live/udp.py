"""SPIF words by UDP. A thread takes packets off the socket while the rest works; memory is bounded.

The thread is the C++ core's: one of Python's would wait for the lock at each packet, for longer than packets take.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.data.blocks import Events
from velocell.data.integrity import Integrity
from velocell.data.recording import Recording
from velocell.errors import OptionError, RecordingError, reason
from velocell.live import spif
from velocell.live.address import parse_address, resolved
from velocell.live.blocks import POLL_S, as_blocks

_HELD_BYTES = 1 << 25  # of packets that wait; the oldest give way
_BLOCK_BYTES = 1 << 22  # taken at once: what overload leaves out is decoded first, and needs memory for that
_GATHER_S = 0.0005  # work per packet would cost more than work per event
_RECEIVE_BUFFER = 1 << 23
_FAR_US = 10_000_000  # a time this far from the newest is astray,
_AGREED = 64  # unless so many packets in a row are, the same way
_SO_RXQ_OVFL = 40  # Linux: each packet comes with the count of those the system dropped


class Udp:
    """Listens on HOST:PORT; `size` is needed, since the packets do not hold it. Raises OptionError.

    Whether events carry times is decided by the first packet; without, the time of arrival counts, in us since 1970.
    """

    waits = False
    stop_us: int | None = None

    def __init__(self, text: str, size: tuple[int, int] | None):
        host, port = parse_address(text)
        if size is None:
            raise OptionError(f"{text} does not state the sensor's size; give it with --size, such as 640x480")
        self.name, self.size = text, size
        self.meta: dict[str, Any] = {}
        self.waited_s = 0.0
        family, address = resolved(host, port)
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.bind(address)
        except OSError as error:
            self._socket.close()
            why = reason(error)
            raise OptionError(f"cannot listen on {text}: {why}; choose another port or address") from None
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)
            self._counts_losses = True
        except OSError:
            self._counts_losses = False
        self._integrity = Integrity(text)
        self._receiver: Any = None
        self._timed: bool | None = None
        self._newest_us: int | None = None
        self._far = self._astray = self._packets = self._unlike = 0
        # Arrival in us since 1970, of a clock that never steps.
        self._epoch_s = time.time() - time.monotonic()

    def blocks(self, stop: Event) -> Iterator[Recording]:
        from velocell._native import UdpReceiver

        self._receiver = receiver = UdpReceiver(self._socket.fileno(), _HELD_BYTES)
        while not stop.is_set():
            if not receiver.wait(POLL_S):
                if receiver.error:
                    why = os.strerror(receiver.error).lower()
                    raise RecordingError(f"{self.name} gives no more packets: {why}; start live again")
                if self._timed is False:
                    now = int((time.monotonic() + self._epoch_s - POLL_S) * 1e6)
                    yield Recording.from_arrays([], [], [], width=self.size[0], height=self.size[1], start_us=now)
                continue
            time.sleep(_GATHER_S)
            yield from self._taken(receiver.take(_BLOCK_BYTES))
        receiver.stop()
        while packets := receiver.take(_BLOCK_BYTES):
            yield from self._taken(packets)

    def _taken(self, packets: list[tuple[float, bytes]]) -> Iterator[Recording]:
        """Packets, as one block."""
        self.waited_s = time.monotonic() - packets[0][0]
        self._packets += len(packets)
        if self._timed is None:
            self._timed = next((kind for _, data in packets if (kind := spif.has_times(data)) is not None), None)
            self.meta = {"time": "of the sender" if self._timed else "of arrival"}
        good = self._alike(packets)
        usual = self._in_step([data for _, data in good])
        times = [self._times(at, data) for at, data in good] if usual is None else usual
        events = spif.decode(
            b"".join(data for (_, data), t in zip(good, times, strict=True) if t.size), self._timed is True
        )
        if len(events.x):
            t_us = np.concatenate(times)
            yield from as_blocks(Events(t_us, events.x, events.y, events.p), self.size, self._integrity)

    def _alike(self, packets: list[tuple[float, bytes]]) -> list[tuple[float, bytes]]:
        """Those with times, or those without, as the first packet was; many others in a row end the stream."""
        good = []
        for at, data in packets:
            kind = spif.has_times(data)
            if kind is not None and kind is self._timed:
                good.append((at, data))
                self._unlike = 0
            else:
                self._unlike += kind is not None
        self._integrity.fault("damaged", len(packets) - len(good))
        if self._unlike > _AGREED:
            before, now = ("with", "without") if self._timed else ("without", "with")
            raise RecordingError(
                f"{self.name}: events come {now} times, but the first ones came {before} them; start live again"
            )
        return good

    def _in_step(self, packets: list[bytes]) -> list[NDArray[np.int64]] | None:
        """Times of each packet's events, taken together since that is faster; None where one is far off."""
        if not self._timed or self._far or not packets:
            return None
        t = spif.unwrapped(spif.decode(b"".join(packets), True).t_us, self._newest_us)
        before = np.maximum.accumulate(np.append(t[0] if self._newest_us is None else self._newest_us, t))
        if np.abs(t - before[:-1]).max() > _FAR_US:
            return None
        self._newest_us = int(before[-1])
        return np.split(t, np.cumsum([len(data) // 8 for data in packets[:-1]], dtype=np.intp))

    def _times(self, arrived_s: float, data: bytes) -> NDArray[np.int64]:
        """Of a packet's events; none where they do not go on from where the stream is and the packet is left out.

        Many such packets in a row, all ahead, move the stream forwards.
        """
        if not self._timed:
            return np.full(len(data) // 4, int((arrived_s + self._epoch_s) * 1e6), np.int64)
        t = spif.unwrapped(spif.decode(data, True).t_us, self._newest_us)
        ahead_us = 0 if self._newest_us is None else int(t[0]) - self._newest_us
        way = 0 if abs(ahead_us) <= _FAR_US else 1 if ahead_us > 0 else -1
        self._far = self._far + way if self._far * way > 0 else way
        if self._far < -_AGREED:
            raise RecordingError(f"{self.name}: the sender's clock went back by {-ahead_us} us; start live again")
        if way and self._far <= _AGREED:
            self._astray += 1
            return t[:0]
        self._far = 0
        self._newest_us = max(int(t.max()), self._newest_us or 0)
        return t

    def notes(self) -> tuple[str, ...]:
        waited = self._receiver
        lost, overflow = (waited.lost, waited.overflow) if waited else (0, 0)
        losses = "packets lost by the system: unknown, this system does not count them"
        if self._counts_losses:
            losses = f"{lost} packets lost by the system"
        dropped = f"{overflow} packets dropped, too many waited; {self._astray} with a time far off, left out"
        return (f"{self._packets} packets", losses, dropped, *self._integrity.notes())

    def close(self) -> None:
        if self._receiver is not None:
            self._receiver.stop()
        self._socket.close()
