"""`velocell live` from packets: the rows of detect, and what is done with odd packets and senders."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from itertools import pairwise
from threading import Event, Thread

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from live_streams import BANDS, Collected, packets

from velocell.calibration.search import Search
from velocell.errors import OptionError, RecordingError
from velocell.formats import read
from velocell.live import Settings, loop, open_source, run, spif, udp
from velocell.live.timeline import Timeline
from velocell.network import Network

# --- words ------------------------------------------------------------------------------------------


def test_words_decode_as_they_were_packed(made):
    recording = read(made / "rec.npz")
    for timed in (True, False):
        sent = list(packets(recording, timed=timed))
        assert {spif.has_times(data) for data in sent} == {timed}
        events = spif.decode(b"".join(sent), timed)
        np.testing.assert_array_equal(events.x, recording.x)
        np.testing.assert_array_equal(events.y, recording.y)
        np.testing.assert_array_equal(events.p, recording.p)
        np.testing.assert_array_equal(events.t_us, recording.t_us if timed else 0)


@pytest.mark.parametrize("data", [b"", b"abc", b"\0\0\0\0", b"\0\0\0\x80" + b"\0\0\0\0", bytes(8) + b"\0\0\0\x80" * 2])
def test_a_packet_of_no_one_kind_is_none(data):
    assert spif.has_times(data) is None


def test_times_go_on_over_a_turn_and_back_a_little():
    true = np.array([2**32 - 5, 2**32 - 1, 2**32 + 3, 2**32 - 2, 2**32 + 9])
    np.testing.assert_array_equal(spif.unwrapped(true % 2**32, None)[:2], true[:2])
    np.testing.assert_array_equal(spif.unwrapped(true % 2**32, 2**32 - 9), true)
    np.testing.assert_array_equal(spif.unwrapped(true % 2**32, 2**33 - 9), true + 2**32)


STEPS_US = st.integers(-30_000, 2_000_000) | st.sampled_from([-10_000_001, -10_000_000, 10_000_000, 10_000_001])


def words(times, x=3, y=9):
    return np.column_stack((np.full(len(times), x << 16 | y), np.array(times) % 2**32)).astype("<u4").tobytes()


@given(
    st.integers(0, 2**33),
    st.lists(st.lists(STEPS_US, min_size=1, max_size=6), min_size=1, max_size=6),
    st.sampled_from([None, b"", b"abcd", words([7]) + b"\0\0\0\x80" + bytes(4)]),
)
def test_packets_at_once_are_as_one_by_one(start_us, steps, odd):
    ends = np.cumsum(sum(steps, [start_us])).tolist()
    cuts = np.cumsum([1, *map(len, steps)]).tolist()
    sent = [(0.0, words(ends[a:b], x=a, y=b)) for a, b in pairwise(cuts)]
    lines = [Timeline(True, 0.0, 2**31, lambda text: None) for _ in range(2)]
    for line in lines:
        line.times([(0.0, words([start_us]))])
    if odd is not None:
        assert lines[0].in_step([*sent, (0.0, odd)]) is None
    together = lines[0].in_step(sent)
    newest = np.maximum.accumulate([start_us, *ends])[:-1]
    assert (together is None) == bool(np.abs(np.array(ends) - newest).max() > 10_000_000)
    if together is None:
        return
    one_by_one = np.concatenate(lines[1].times(sent))
    np.testing.assert_array_equal(together.events.t_us, one_by_one)
    data = spif.decode(b"".join(data for _, data in sent), True)
    for got, want in zip(together.events[1:], data[1:], strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)
    assert together.back_steps == np.count_nonzero(np.diff(one_by_one) < 0)
    assert together.size == (data.x.max() + 1, data.y.max() + 1)
    assert lines[0].newest_us == lines[1].newest_us
    assert lines[0].of_sender(5) == lines[1].of_sender(5)


# --- UDP --------------------------------------------------------------------------------------------------


def listen(made, sent, *, pause_s=0.0005, polarity="merge", wait_s=0.3, first=(), beside=()):
    """Send packets to a source on a free port; the summary and the output."""
    port = free_port()
    source = open_source(f"udp://127.0.0.1:{port}", size=(160, 120))
    stop, output, done = Event(), Collected(), []
    settings = Settings(Search.of(BANDS, 5.0, network=Network.from_toml(made / "net.toml"), polarity=polarity))
    thread = Thread(target=lambda: done.append(run(source, settings, output, stop)))
    thread.start()
    strangers = iter(beside)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
    ):
        for data in first:
            other.sendto(data, ("127.0.0.1", port))
            time.sleep(0.05)
        for k, data in enumerate(sent):
            sender.sendto(data, ("127.0.0.1", port))
            if k >= 5 and (odd := next(strangers, None)) is not None:
                other.sendto(odd, ("127.0.0.1", port))
            time.sleep(pause_s)
    time.sleep(wait_s)
    stop.set()
    thread.join(10)
    source.close()
    return done[0], output


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_packets_with_times_give_the_rows_of_detect(made, expected):
    recording = read(made / "rec.npz")
    summary, output = listen(made, packets(recording, timed=True))
    assert summary.events == len(recording)
    assert "; 0 packets lost by the system" in str(summary)
    assert (summary.late, summary.dropped_ticks) == (0, 0)
    np.testing.assert_array_equal(output.column("t_us"), expected.t_us)
    np.testing.assert_allclose(output.column("x_px"), expected.x_px, atol=6e-4)
    assert output.meta["time"] == "of the sender"


def test_rows_go_out_once_an_event_after_their_instant_has_come(made, expected, monkeypatch):
    """Nothing but the time that is due ends the gathering of packets here."""
    monkeypatch.setattr(udp, "_DUE_S", 1e9)
    recording = read(made / "rec.npz")
    last = (1 << 16 | 1).to_bytes(4, "little") + recording.stop_us.to_bytes(4, "little")
    summary, output = listen(made, [*packets(recording, timed=True), last], pause_s=0.001)
    assert summary.events == len(recording) + 1
    t_us = expected.t_us[expected.t_us < recording.stop_us]
    np.testing.assert_array_equal(output.column("t_us")[: t_us.size], t_us)
    assert len(output.lines) > 0.8 * np.unique(t_us).size, "as they came, not all at the end"


@given(st.integers(0, 10**7), st.integers(1, 20_000), st.integers(1, 3_000))
def test_what_is_due_is_the_first_event_that_completes_an_interval(tick, every_us, dt_us):
    next_us = tick * dt_us
    due_us = loop.due_us(next_us, every_us, dt_us)

    def completes(newest_us):
        return newest_us // dt_us * dt_us // every_us > next_us // every_us

    assert completes(due_us)
    assert due_us > next_us
    assert not completes(due_us - 1)


def test_times_of_the_stream_are_known_as_the_sender_has_them():
    line = Timeline(True, 0.0, None, lambda text: None)
    assert line.of_sender(5) is None
    word = (5).to_bytes(4, "little")
    for sent_us in (2**32 - 10, 2**32 - 1, 20, *[2**31] * 65, *range(1000, 1100)):
        (t_us,) = line.times([(0.0, word + sent_us.to_bytes(4, "little"))])
        if t_us.size:
            assert line.of_sender(int(t_us[0])) == sent_us
    assert line.of_sender(int(t_us[0]) + 2**32) == 1099
    assert Timeline(False, 0.0, 7, lambda text: None).of_sender(9) is None


def test_packets_without_times_count_when_they_arrive(made):
    recording = read(made / "rec.npz")
    sent = list(packets(recording, timed=False))
    summary, output = listen(made, sent, pause_s=recording.duration_us / 1e6 / len(sent))
    assert summary.events == len(recording)
    assert output.meta["time"] == "of arrival"
    assert abs(output.column("t_us").max() / 1e6 - time.time()) < 60


def test_late_and_damaged_packets_are_counted_and_left_out(made, expected):
    sent = list(packets(read(made / "rec.npz"), timed=True))
    odd = [sent[0], b"abc", b"\0\0\0\x80", (5).to_bytes(4, "little") + (2**31 - 1).to_bytes(4, "little")]
    summary, output = listen(made, [*sent, *odd])
    assert summary.late == len(sent[0]) // 8
    assert "1 damaged packets; left out" in str(summary)
    assert "1 with times among those without, or the other way round" in str(summary)
    assert "1 with a time far off, left out" in str(summary)
    np.testing.assert_array_equal(output.column("t_us"), expected.t_us)


def far(start_us):
    return [(5).to_bytes(4, "little") + (start_us + 1000 * k).to_bytes(4, "little") for k in range(200)]


def test_a_long_silence_is_gone_over(made):
    summary, _ = listen(made, [*far(1_000_000), *far(1_000_000_000)])
    assert 300 < summary.events < 400
    assert summary.events + 64 == 400


def heard(sent, before=(), **how):
    """Blocks of packets, and what is said; `before`: packets that strangers send first."""
    stop, blocks, said = Event(), [], []
    source = open_source(f"udp://127.0.0.1:{(port := free_port())}", size=(160, 120), **how)
    source.say = said.append

    def listen_():
        blocks.extend(block for block in source.blocks(stop) if len(block))

    thread = Thread(target=listen_)
    thread.start()
    with ExitStack() as stack:
        for part in (*([data] for data in before), sent):
            sender = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            for data in part:
                sender.sendto(data, ("127.0.0.1", port))
                time.sleep(0.0002)
    time.sleep(0.3)
    stop.set()
    thread.join(10)
    source.close()
    return blocks, said


UNTIMED = [(1 << 31 | 5).to_bytes(4, "little")]


def test_a_clock_that_went_back_goes_on_from_where_it_was():
    blocks, said = heard([*far(1_000_000_000)[:20], *far(1_000_000)])
    t = np.concatenate([block.t_us for block in blocks])
    assert len(t) == 20 + 200 - 64
    assert (np.diff(t) >= 0).all()
    assert t[20] - t[19] < 1_000
    assert "the sender's clock went back by 99" in said[0]


def test_times_ahead_and_one_behind_do_not_end_the_stream(made):
    near, ahead = far(1_000_000_000), far(2_000_000_000)
    summary, _ = listen(made, [*near[:20], *ahead[:60], *far(1_000_000)[:30], *UNTIMED * 30, *near[20:40]])
    assert summary.events == 40
    assert "90 with a time far off" in str(summary)
    assert "30 with times among those without, or the other way round" in str(summary)
    assert "damaged" not in str(summary)


@pytest.mark.parametrize("first", [True, False])
def test_packets_of_the_other_kind_are_followed_once_many_agree(first):
    timed, untimed = far(1_000_000), UNTIMED * 200
    one, other = (timed, untimed) if first else (untimed, timed)
    blocks, said = heard([*one[:5], *other[:30], *one[5:10], *other])
    t = np.concatenate([block.t_us for block in blocks])
    assert len(t) == 10 + 200 - 64
    assert (np.diff(t) >= 0).all()
    assert f"come {'without' if first else 'with'} times now" in said[0]


def random_packets(n, rng=None):
    rng = rng or np.random.default_rng(5)
    return [rng.bytes(int(rng.integers(1, 200))) for _ in range(n)]


ATTACKS = {
    "one stray packet first": lambda: ([far(3_000_000_000)[0]], []),
    "others far ahead": lambda: ([], far(3_000_000_000)),
    "others without times": lambda: ([], UNTIMED * 200),
    "random packets": lambda: (random_packets(3), random_packets(300)),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_strangers_change_no_row(made, expected, attack):
    recording = read(made / "rec.npz")
    first, beside = ATTACKS[attack]()
    sent = list(packets(recording, timed=True))
    summary, output = listen(made, sent, first=first, beside=beside)
    assert summary.events == len(recording)
    np.testing.assert_array_equal(output.column("t_us"), expected.t_us)
    np.testing.assert_allclose(output.column("x_px"), expected.x_px, atol=6e-4)
    if beside:
        assert "packets of other senders, left out" in str(summary)


def test_a_named_sender_alone_is_followed():
    near = far(1_000_000)[:50]
    blocks, _ = heard(near, before=far(2_000_000)[:3], sender="127.0.0.1")
    assert sum(map(len, blocks)) == 50
    blocks, _ = heard(near, sender="127.0.0.2")
    assert not blocks
    for wrong in ("nobody", "127.0.0.1:99999", "1.2.3:5"):
        with pytest.raises(OptionError, match="is not an address"):
            open_source("udp://127.0.0.1:9", size=(9, 9), sender=wrong)
    with pytest.raises(OptionError, match="drop it"):
        open_source("tcp://127.0.0.1:9", size=(9, 9), sender="127.0.0.1")


def test_another_sender_takes_over_after_silence(monkeypatch):
    monkeypatch.setattr("velocell.live.udp._SILENT_S", 0.1)
    stop, blocks, said = Event(), [], []
    source = open_source(f"udp://127.0.0.1:{(port := free_port())}", size=(160, 120))
    source.say = said.append
    thread = Thread(target=lambda: blocks.extend(block for block in source.blocks(stop) if len(block)))
    thread.start()
    for start_us in (50_000_000, 1_000_000):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for data in far(start_us)[:20]:
                sender.sendto(data, ("127.0.0.1", port))
            time.sleep(0.4)
    stop.set()
    thread.join(10)
    source.close()
    t = np.concatenate([block.t_us for block in blocks])
    assert len(t) == 40
    assert (np.diff(t) > 0).all()
    assert "fell silent" in said[0]


def test_a_socket_that_fails_is_told():
    source = open_source(f"udp://localhost:{free_port()}", size=(160, 120))
    assert source._socket.family == socket.AF_INET
    source._socket.close()
    source._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)  # gives no packets
    with pytest.raises(RecordingError, match="gives no more packets"):
        list(source.blocks(Event()))
    source.close()
