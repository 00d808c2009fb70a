"""Events of a dv-processing network writer, by TCP or a UNIX socket.

The stream has the header and the packets of an AEDAT4 file and is read as such. Rejected: `dv.io.NetworkReader`,
which loses packets without a word where it is asked too slowly, and all that wait once the sender is gone.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import numpy as np

from velocell.data.integrity import Integrity
from velocell.data.recording import Recording
from velocell.errors import RecordingError, reason
from velocell.formats.aedat import aedat4
from velocell.formats.unpack import unpacker
from velocell.live.address import connected
from velocell.live.arrivals import Arrivals
from velocell.live.blocks import POLL_S, as_blocks

_PATIENCE_S = 5.0  # for the connection, and for its header, which a writer sends at once
_MOST_BYTES = 1 << 26
_MOST_UNPACKED = 1 << 25  # of a packet: 2 million events; cameras send some thousand at a time
_AT_ONCE = 1 << 21  # events decoded before they go on
_SILENT_S = 5.0  # until it is said
_KEEPALIVE = (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))  # seconds, seconds, times
_READ_BYTES = 1 << 18
_BACK_US = 1_000_000  # a sender that begins anew; less is events out of order


class Tcp:
    """Connects to `tcp://HOST:PORT` or `unix:PATH`, which sends the sensor's size. Raises VelocellError.

    dv-processing's writer does not wait for its readers: what they do not take piles up in its memory. So all is
    taken at once, and overload is shed here, where it is counted.
    """

    waits, waited_s = False, 0.0
    stop_us: int | None = None

    def __init__(self, text: str, size: tuple[int, int] | None):
        self.name = text
        self.meta: dict[str, Any] = {"time": "of the sender"}
        self._integrity = Integrity(text)
        self._socket = connected(text, _PATIENCE_S)
        try:
            compression, self._streams = self._header()
            cameras = aedat4.event_streams(self._streams)
            if not cameras:
                held = aedat4.held(self._streams)
                raise RecordingError(f"{text} carries no events (it carries {held}); connect to an output of events")
            if size is None and cameras[0].size is None:
                raise RecordingError(f"{text} does not state the sensor's size; give it with --size, such as 640x480")
        except BaseException:
            self._socket.close()
            raise
        self.size = size or cameras[0].size or (0, 0)
        self._chosen = cameras[0].number
        self._unpack = unpacker(compression, _MOST_UNPACKED)
        self.say: Callable[[str], object] = lambda sentence: None
        _keep_alive(self._socket)
        self._socket.settimeout(POLL_S)
        self._arrivals = Arrivals(self._receive, _MOST_BYTES)
        self._packets = 0
        self._end = ""
        self._newest_us: int | None = None
        self._shift_us = 0

    def blocks(self, stop: Event) -> Iterator[Recording]:
        for waited_s, packets in self._arrivals.taken(stop):
            self.waited_s = waited_s
            self._packets += len(packets)
            for events in self._gathered(packets, stop):
                yield from as_blocks(aedat4.as_events(events), self.size, self._integrity)

    def _gathered(self, packets: list[bytes], stop: Event) -> Iterator[Any]:
        """The events of packets, together up to a limit: packed they are small, whatever they unfold to."""
        events: list[Any] = []
        n = 0
        for packet in packets:
            if stop.is_set():
                break
            part = self._decoded(packet)
            if part is not None:
                events.append(part)
                n += len(part)
            if n >= _AT_ONCE:
                yield np.concatenate(events)
                events, n = [], 0
        if events:
            yield np.concatenate(events)

    def _decoded(self, packet: bytes) -> Any:
        """The events of a packet, None of others. Where the sender's clock went back, times go on from the newest."""
        number = struct.unpack_from("<i", packet)[0]
        stream = self._streams[number]
        events = aedat4.packet_events(self._unpack, packet[8:], stream, number == self._chosen, self._integrity, "",
            _MOST_UNPACKED)  # fmt: skip
        if events is not None:
            first_us = int(events["t"][0]) + self._shift_us
            back_us = (first_us if self._newest_us is None else self._newest_us) - first_us
            if back_us > _BACK_US:
                self._shift_us += back_us
                self.say(
                    f"{self.name}: the sender's clock went back by {back_us} us; that is added to its times from now on"
                )
            if self._shift_us:
                events = events.copy()
                events["t"] += self._shift_us
            self._newest_us = max(int(events["t"].max()), self._newest_us or 0)
        return events

    def _receive(self, over: Event) -> Iterator[bytes]:
        data = bytearray()
        heard_s, silent = time.monotonic(), False
        while not over.is_set():
            try:
                more = self._socket.recv(_READ_BYTES)
            except TimeoutError:
                if not silent and time.monotonic() - heard_s > _SILENT_S:
                    silent = True
                    self.say(f"{self.name} has sent nothing for {_SILENT_S:g} s; waiting")
                continue
            except OSError as error:
                self._end = f"the connection broke off: {reason(error)}"
                break
            if not more:
                self._end = "the sender closed the connection"
                break
            heard_s, silent = time.monotonic(), False
            data += more
            yield from self._cut(data)
        if not over.is_set():
            self._integrity.fault("trailing_bytes", len(data))

    def _cut(self, data: bytearray) -> Iterator[bytes]:
        """The whole packets at the beginning of `data`, taken out of it."""
        while len(data) >= 8:
            number, length = struct.unpack_from("<ii", data)
            # Without a right length there is no way to find the next packet.
            if number not in self._streams or not 0 <= length <= _MOST_UNPACKED:
                raise RecordingError(
                    f"{self.name} sent bytes that are not a packet; check the sender and start live again"
                )
            if len(data) < 8 + length:
                return
            yield bytes(data[: 8 + length])
            del data[: 8 + length]

    def _header(self) -> tuple[str, dict[int, aedat4.Stream]]:
        """The name of the compression, and the streams."""
        until_s = time.monotonic() + _PATIENCE_S
        start = self._exactly(4, until_s)
        length = struct.unpack("<I", start)[0]
        if not 8 <= length <= aedat4.MAX_HEADER_BYTES:
            raise self._foreign(f"a header of {length} bytes")
        try:
            kind, _, streams = aedat4.described(start + self._exactly(length, until_s))
        except ValueError as error:
            raise self._foreign(f"its header: {error}") from None
        if not 0 <= kind < len(aedat4.COMPRESSIONS):
            raise self._foreign(f"the unknown compression {kind}")
        return aedat4.COMPRESSIONS[kind], streams

    def _exactly(self, n: int, until_s: float) -> bytes:
        data = b""
        while len(data) < n:
            try:
                self._socket.settimeout(max(until_s - time.monotonic(), 0.001))
                more = self._socket.recv(n - len(data))
            except TimeoutError:
                raise self._foreign(f"no header within {_PATIENCE_S:g} s") from None
            except OSError as error:
                raise self._foreign(reason(error)) from None
            if not more:
                raise self._foreign("closed before the end of its header")
            data += more
        return data

    def _foreign(self, why: str) -> RecordingError:
        return RecordingError(
            f"{self.name} is not a stream of dv-processing ({why}); check the address, and that the sender is not "
            "encrypted and takes more readers"
        )

    @property
    def heard_s(self) -> float | None:
        return self._arrivals.heard_s

    def losses(self) -> dict[str, int]:
        return {}

    def notes(self) -> tuple[str, ...]:
        end = (self._end,) if self._end else ()
        return (f"{self._packets} packets", *end, *self._integrity.notes())

    def close(self) -> None:
        self._socket.close()


def _keep_alive(connection: socket.socket) -> None:
    """The system finds out where the other side is gone without a word, such as by a cable that was pulled."""
    if connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        if hasattr(socket, name):  # not on every system
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
