"""SPIF words by UDP. A thread takes packets off the socket while the rest works; memory is bounded.

Anyone can send to a port. So one sender is followed, the first whose packets agree, or the one that is named; packets
of others are counted, and cannot crowd it out. Where it falls silent, the next whose packets agree takes its place.

The thread is the C++ core's: one of Python's would wait for the lock at each packet, for longer than packets take. It
knows of losses, silence and another sender by what arrives, however much of it still waits to be decoded.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import time
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import numpy as np

from velocell.data.blocks import Events
from velocell.data.integrity import Integrity
from velocell.data.recording import Recording
from velocell.errors import OptionError, RecordingError, reason
from velocell.live import spif
from velocell.live.address import parse_address, resolved
from velocell.live.blocks import POLL_S, as_blocks
from velocell.live.timeline import FAR_US, Packet, Timeline, Together

_HELD_BYTES = 1 << 25  # of packets that wait; the oldest give way,
_HELD_S = 0.5  # and those that have waited for so long: their ticks would be left out anyway (`loop.LAG_S`)
_BLOCK_BYTES = 1 << 22  # taken at once: what overload leaves out is decoded first, and needs memory for that
_GATHER_S = 0.0005  # work per packet would cost more than work per event
_DUE_S = 0.002  # so long where it is known which packet is waited for
_RECEIVE_BUFFER = 1 << 23
_CONFIRMED = 3  # packets that must agree before a sender is followed
_SILENT_S = 2.0  # after so long, another sender may take its place
_MOST_CANDIDATES = 64
_SO_RXQ_OVFL = 40  # Linux: each packet comes with the count of those the system dropped


class Udp:
    """Listens on HOST:PORT; `size` is needed, since the packets do not hold it. sender: ADDRESS or ADDRESS:PORT of the
    only sender to follow. Raises OptionError.

    Whether events carry times is decided by the first packets; without, the time of arrival counts, in us since 1970.
    `say` gets a sentence when another sender is followed, or the time jumps. due_us: what comes at this time of the
    stream or later is handed on at once, where events carry times.
    """

    waits = False
    stop_us: int | None = None
    due_us: int | None = None

    def __init__(self, text: str, size: tuple[int, int] | None, sender: str | None = None):
        host, port = parse_address(text)
        if size is None:
            raise OptionError(f"{text} does not state the sensor's size; give it with --size, such as 640x480")
        self.name, self.size = text, size
        self.meta: dict[str, Any] = {}
        self.waited_s = 0.0
        self.say: Callable[[str], object] = lambda sentence: None
        self._wanted = None if sender is None else _packed(sender)
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
        self._followed: bytes | None = None
        self._line: Timeline | None = None
        self._seeking = True
        self._candidates: dict[bytes, list[Packet]] = {}
        self._packets = self._others = self._astray = self._other_kind = 0
        # Arrival in us since 1970, of a clock that never steps.
        self._epoch_s = time.time() - time.monotonic()

    def blocks(self, stop: Event) -> Iterator[Recording]:
        from velocell._native import UdpReceiver

        self._receiver = receiver = UdpReceiver(self._socket.fileno(), _HELD_BYTES, _HELD_S, _SILENT_S)
        while not stop.is_set():
            arrived = receiver.wait(POLL_S)
            if not arrived:
                if receiver.error:
                    why = os.strerror(receiver.error).lower()
                    raise RecordingError(f"{self.name} gives no more packets: {why}; start live again")
                if self._line is not None and not self._line.timed and self._line.newest_us is not None:
                    now = int((time.monotonic() + self._epoch_s - POLL_S) * 1e6)
                    yield Recording.from_arrays([], [], [], width=self.size[0], height=self.size[1], start_us=now)
                continue
            due = None if self.due_us is None or self._line is None else self._line.of_sender(self.due_us)
            receiver.gather(_GATHER_S if due is None else _DUE_S, due)
            yield from self._taken(receiver.take(_BLOCK_BYTES))
        receiver.stop()
        while packets := receiver.take(_BLOCK_BYTES):
            yield from self._taken(packets)
        if self._line is None and self._candidates:
            # Too few packets to agree, and no more will come.
            sender = max(self._candidates, key=lambda name: len(self._candidates[name]))
            yield from self._decoded(self._follow(sender))

    def _taken(self, packets: list[tuple[float, bytes, bytes]]) -> Iterator[Recording]:
        """Packets, as one block."""
        self.waited_s = time.monotonic() - packets[0][0]
        self._packets += len(packets)
        self._seeking = self._seeking or self._receiver.keeps_all
        if self._seeking:
            # What one sender sent before another was followed goes out before the rest.
            for at, sender, data in packets:
                yield from self._decoded(self._considered(at, sender, data))
            return
        mine = [(at, data) for at, sender, data in packets if sender == self._followed]
        self._others += len(packets) - len(mine)
        yield from self._decoded(mine)

    def _decoded(self, packets: list[Packet]) -> Iterator[Recording]:
        if not packets:
            return
        assert self._line is not None
        if (together := self._line.in_step(packets)) is not None:
            yield from self._block(together)
            return
        other_kind = self._line.other
        good = self._line.alike(packets)
        self._integrity.fault("damaged", len(packets) - len(good) - (self._line.other - other_kind))
        times = self._line.times(good)
        events = spif.decode(
            b"".join(data for (_, data), t in zip(good, times, strict=True) if t.size), self._line.timed
        )
        if len(events.x):
            t_us = np.concatenate(times)
            yield from as_blocks(Events(t_us, events.x, events.y, events.p), self.size, self._integrity)

    def _block(self, together: Together) -> Iterator[Recording]:
        """Usually there is nothing to leave out or to sort."""
        (t_us, x, y, p), (width, height) = together.events, self.size
        if together.back_steps or together.size[0] > width or together.size[1] > height or t_us[0] < 0:
            yield from as_blocks(together.events, self.size, self._integrity)
        else:
            start_us, stop_us = int(t_us[0]), int(t_us[-1]) + 1
            yield Recording(t_us, x.view(np.uint16), y.view(np.uint16), p, width, height, start_us, stop_us)

    def _considered(self, at_s: float, sender: bytes, data: bytes) -> list[Packet]:
        """Packets that continue the stream, while it is open whom to follow."""
        if sender == self._followed:
            self._settle(at_s)
            return [(at_s, data)]
        if self._wanted is not None and not sender.startswith(self._wanted):
            self._others += 1
            return []
        if spif.has_times(data) is None:
            self._integrity.fault("damaged")
            return []
        held = self._candidates.get(sender, [])
        if not held and len(self._candidates) >= _MOST_CANDIDATES:
            self._others += len(self._candidates.pop(next(iter(self._candidates))))
        near = [packet for packet in held if _agree(packet[1], data)]
        unlike = sum(spif.has_times(packet[1]) is not spif.has_times(data) for packet in held)
        self._other_kind += unlike
        self._astray += len(held) - len(near) - unlike
        held = near
        self._candidates[sender] = [*held, (at_s, data)]
        return self._follow(sender) if len(held) + 1 >= _CONFIRMED else []

    def _follow(self, sender: bytes) -> list[Packet]:
        """From here on; what was held back of it."""
        packets = self._candidates.pop(sender)
        timed = spif.has_times(packets[0][1]) is True
        before = None if self._line is None else self._line.newest_us
        if self._line is not None:
            self._astray += self._line.astray
            self._other_kind += self._line.other
            self.say(f"{_shown(self._followed or b'')} fell silent; {_shown(sender)} is followed from here on")
        self._followed = sender
        self._line = Timeline(timed, self._epoch_s, before, lambda text: self.say(f"{self.name}: {text}"))
        self.meta = {"time": "of the sender" if timed else "of arrival", "sender": _shown(sender)}
        self._settle(packets[-1][0])
        return packets

    def _settle(self, heard_s: float) -> None:
        """It is known whom to follow, until it has been silent for long after `heard_s`."""
        self._seeking = False
        self._others += sum(map(len, self._candidates.values()))
        self._candidates.clear()
        self._receiver.keep_only(self._followed, heard_s)

    @property
    def heard_s(self) -> float | None:
        return None if self._receiver is None else self._receiver.heard_s or None

    @property
    def _all_astray(self) -> int:
        return self._astray + (0 if self._line is None else self._line.astray)

    @property
    def _all_of_other_kind(self) -> int:
        return self._other_kind + (0 if self._line is None else self._line.other)

    def losses(self) -> dict[str, int]:
        waited = self._receiver
        lost, overflow = (waited.lost, waited.overflow) if waited else (0, 0)
        return {
            "packets lost by the system": lost,
            "packets dropped": overflow,
            "packets astray": self._all_astray,
            "packets with or without times, unlike the others": self._all_of_other_kind,
            "packets damaged": self._integrity.faults.get("damaged", 0),
        }

    def notes(self) -> tuple[str, ...]:
        waited = self._receiver
        lost, overflow, others = (waited.lost, waited.overflow, waited.others) if waited else (0, 0, 0)
        losses = "packets lost by the system: unknown, this system does not count them"
        if self._counts_losses:
            losses = f"{lost} packets lost by the system"
        dropped = f"{overflow} packets dropped, too many waited; {self._all_astray} with a time far off, left out"
        unasked = others + self._others + sum(map(len, self._candidates.values()))
        strangers = (f"{unasked} packets of other senders, left out",) if unasked else ()
        unlike = self._all_of_other_kind
        other_kind = (f"{unlike} with times among those without, or the other way round, left out",) if unlike else ()
        return (f"{self._packets} packets", losses, dropped, *other_kind, *strangers, *self._integrity.notes())

    def close(self) -> None:
        if self._receiver is not None:
            self._receiver.stop()
        self._socket.close()


def _agree(one: bytes, other: bytes) -> bool:
    """Whether two packets may be of one stream: with times or without, and those close to each other."""
    timed = spif.has_times(one)
    if timed is not spif.has_times(other):
        return False
    if not timed:
        return True
    ends = [int(spif.decode(data, True).t_us[0]) for data in (one, other)]
    return abs(int(spif.unwrapped(np.array(ends[1:], np.int64), ends[0])[0]) - ends[0]) <= FAR_US


def _packed(sender: str) -> bytes:
    """`ADDRESS` or `ADDRESS:PORT`, as packets have it. Raises OptionError."""
    host, _, port = sender.rpartition(":") if sender.count(":") == 1 or "]:" in sender else (sender, "", "")
    try:
        address = ipaddress.ip_address(host.strip("[]"))
        number = int(port).to_bytes(2, "big") if port else b""
    except (ValueError, OverflowError):
        raise OptionError(f"--sender '{sender}' is not an address; write it such as 192.168.0.7 or 192.168.0.7:3333"
                          ) from None  # fmt: skip
    packed = address.packed if address.version == 6 else bytes(10) + b"\xff\xff" + address.packed
    return packed + number


def _shown(sender: bytes) -> str:
    address = ipaddress.IPv6Address(sender[:16])
    port = int.from_bytes(sender[16:], "big")
    return f"[{address}]:{port}" if address.ipv4_mapped is None else f"{address.ipv4_mapped}:{port}"
