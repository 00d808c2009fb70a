"""The C++ core's receiver of packets: nothing lost, order kept, memory bounded."""

from __future__ import annotations

import math
import socket
import time
from contextlib import contextmanager

import numpy as np
import pytest

from velocell._native import UdpReceiver


@contextmanager
def pair(most_bytes=1 << 20, most_wait_s=math.inf, silent_s=math.inf):
    """A receiver and a function that sends to it."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        listener.bind(("127.0.0.1", 0))
        receiver = UdpReceiver(listener.fileno(), most_bytes, most_wait_s, silent_s)
        try:
            yield receiver, lambda data, by=sender: by.sendto(data, listener.getsockname())
        finally:
            receiver.stop()


def taken(receiver, n, limit_s=10):
    """`n` packets, or as many as came."""
    packets, until = [], time.monotonic() + limit_s
    while len(packets) < n and time.monotonic() < until:
        receiver.wait(0.05)
        packets += receiver.take(1 << 30)
    return packets


def test_packets_come_whole_in_order_and_with_their_time():
    sent = [bytes([k % 251]) * (k % 700) for k in range(2_000)]
    before = time.monotonic()
    with pair() as (receiver, send):
        packets = []
        for first in range(0, len(sent), 100):
            for data in sent[first : first + 100]:
                send(data)
            packets += taken(receiver, 100)
    assert [data for _, _, data in packets] == sent
    times = [at for at, _, _ in packets]
    assert times == sorted(times)
    assert before <= times[0] <= times[-1] <= time.monotonic()
    assert (receiver.lost, receiver.overflow) == (0, 0)


def test_nothing_comes_where_nothing_is_sent():
    with pair() as (receiver, _):
        assert receiver.wait(0.01) is False
        assert receiver.take(100) == []


@pytest.mark.parametrize("due", [0, 1, 5_000, 2**32 - 1])
def test_it_gathers_until_a_packet_reaches_the_time_that_is_due(due):
    """Times wrap around; what has none, or belongs to nobody that is followed, is no sign."""
    event = 7 << 16 | 9

    def packet(*times):
        return np.array([[event, t % 2**32] for t in times], "<u4").tobytes()

    with pair() as (receiver, send):
        for data in (b"", packet(due - 2, due - 1), np.array([event | 1 << 31] * 2, "<u4").tobytes(), b"\0" * 5):
            send(data)
            assert receiver.wait(10)
            assert not receiver.gather(0.02, due)
            assert not receiver.gather(0.02)
        send(packet(due - 1, due))
        began = time.monotonic()
        assert receiver.gather(60, due)
        assert time.monotonic() - began < 30
        assert receiver.gather(60, (due - 3) % 2**32)
        assert not receiver.gather(0.02, (due + 1) % 2**32)
        assert len(taken(receiver, 5)) == 5


@pytest.mark.parametrize("due", [1, 5_000, 2**32 - 1])
def test_a_packet_that_is_overtaken_is_no_less_there(due):
    def packet(t_us):
        return np.array([[7 << 16 | 9, t_us % 2**32]], "<u4").tobytes()

    with pair() as (receiver, send):
        for t_us in (due - 2, due, due - 1):
            send(packet(t_us))
        time.sleep(0.1)
        assert receiver.gather(10, due)
        assert len(taken(receiver, 3)) == 3
        # What was taken is not waited for again, whatever its time.
        send(packet(due - 1))
        assert receiver.wait(10)
        assert not receiver.gather(0.02, due)
        assert receiver.gather(0.02, due - 1)


def test_the_oldest_give_way_where_too_many_wait():
    with pair(most_bytes=10_000) as (receiver, send):
        for k in range(40):
            send(bytes([k]) * 1_000)
        for _ in range(400):
            if receiver.overflow >= 31:
                break
            time.sleep(0.01)
        packets = taken(receiver, 1)
        left = [data[0] for _, _, data in packets]
        assert left == list(range(40))[-len(left) :]
        assert 5 <= len(left) < 10
        assert receiver.overflow == 40 - len(left)
        send(b"again")
        assert taken(receiver, 1)[0][2] == b"again"


def until(true, limit_s=10):
    end = time.monotonic() + limit_s
    while not true() and time.monotonic() < end:
        time.sleep(0.005)
    assert true()


def test_what_has_waited_too_long_gives_way_to_what_comes():
    with pair(most_wait_s=0.2) as (receiver, send):
        for _ in range(5):
            send(b"old")
        time.sleep(0.5)
        assert receiver.overflow == 0  # as long as nothing comes there is no hurry
        send(b"new")
        until(lambda: receiver.overflow == 5)
        assert [data for _, _, data in taken(receiver, 1)] == [b"new"]


def test_when_something_was_heard_last_is_known_though_nobody_takes_it():
    with pair() as (receiver, send):
        assert receiver.heard_s == 0
        for _ in range(2):
            before = time.monotonic()
            send(b"a")
            until(lambda: receiver.heard_s >= before)  # noqa: B023
            assert receiver.heard_s <= time.monotonic()


def test_a_part_can_be_taken():
    with pair() as (receiver, send):
        for k in range(20):
            send(bytes([k]) * 1_000)
        packets = []
        while len(packets) < 20:
            assert receiver.wait(10)
            part = receiver.take(2_500)
            assert 1 <= len(part) <= 3
            packets += part
    assert [data[0] for _, _, data in packets] == list(range(20))


def test_one_sender_can_be_kept():
    with pair() as (receiver, send), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        send(b"mine")
        ((_, mine, _),) = taken(receiver, 1)
        assert (mine[:10], mine[10:16]) == (bytes(10), b"\xff\xff\x7f\0\0\x01")
        assert receiver.keeps_all
        receiver.keep_only(mine, time.monotonic())
        assert not receiver.keeps_all
        send(b"again")
        for _ in range(5):
            send(b"stranger", other)
        send(b"last")
        assert [data for _, _, data in taken(receiver, 2)] == [b"again", b"last"]
        assert receiver.others == 5
        with pytest.raises(ValueError, match="an address and a port"):
            receiver.keep_only(b"x", 0.0)


def test_another_sender_is_kept_once_the_one_is_silent_though_its_packets_still_wait():
    with pair(silent_s=0.3) as (receiver, send), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        send(b"mine")
        ((at_s, mine, _),) = taken(receiver, 1)
        receiver.keep_only(mine, at_s)
        send(b"waits")
        send(b"stranger", other)
        until(lambda: receiver.others == 1)
        time.sleep(0.5)
        assert not receiver.keeps_all
        send(b"next", other)
        until(lambda: receiver.keeps_all)
        assert [data for _, _, data in taken(receiver, 2)] == [b"waits", b"next"]
        # What was heard of it when it was chosen counts, not what others sent since.
        receiver.keep_only(mine, at_s)
        send(b"again", other)
        until(lambda: receiver.keeps_all)
        assert receiver.others == 1


def test_it_can_be_stopped_twice_and_takes_nothing_more():
    with pair() as (receiver, send):
        receiver.stop()
        receiver.stop()
        send(b"late")
        assert receiver.wait(0.05) is False


def test_a_socket_that_is_none_ends_the_thread():
    receiver = UdpReceiver(10_000, 1_000, 1.0, 1.0)
    assert receiver.wait(0.1) is False
    receiver.stop()
    with pytest.raises(TypeError):
        UdpReceiver("no socket", 1_000, 1.0, 1.0)
