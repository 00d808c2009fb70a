"""The viewer's players by themselves, with a clock that the test turns; no session, no analysis."""

from __future__ import annotations

import pytest

from velocell.data.recording import Recording
from velocell.errors import OptionError
from velocell.viewer.player import Follower, Player
from velocell.viewer.source import InMemory


class Clock:
    def __init__(self):
        self.now = 8.0

    def __call__(self):
        return self.now


class Stream:
    """What a player needs to know of a stream."""

    growing, start_us, stop_us = True, 0, 1_000_000


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def told():
    return []


@pytest.fixture
def player(clock, told):
    """Of a recording from 2 s to 12 s, played in real time."""
    recording = Recording.from_arrays([2_000_000], [0], [0], width=2, height=2, stop_us=12_000_000)
    return Player(InMemory(recording), playing=False, clock=clock, on_change=lambda: told.append(1))


@pytest.fixture
def follower(clock, told):
    stream = Stream()
    made = Follower(stream, lambda: stream.stop_us - 50_000, clock=clock, on_change=lambda: told.append(1))
    return stream, made


def test_it_plays_by_the_clock_and_begins_again(player, clock, told):
    assert (player.at_us(), player.playing, player.speed) == (2_000_000, False, 1.0)
    player.play()
    clock.now += 3
    assert player.at_us() == 5_000_000
    clock.now += 9
    assert player.at_us() == 4_000_000  # 12 s into 10
    player.set_speed(0.5)
    clock.now += 2
    assert player.at_us() == 5_000_000
    player.pause()
    clock.now += 2
    assert player.at_us() == 5_000_000
    assert len(told) == 3


def test_a_part_is_played_over_and_over_until_one_looks_elsewhere(player, clock):
    player.loop(True, 3_000_000, 4_000_000)
    player.play()
    clock.now += 2.25
    assert (player.at_us(), player.span) == (3_250_000, (3_000_000, 4_000_000))
    assert player.state() == {
        "playing": True, "t_us": 3_250_000, "speed": 1.0, "loop": True, "span": [3_000_000, 4_000_000], "part": True,
    }  # fmt: skip
    player.seek(9_000_000)
    assert player.span == (2_000_000, 12_000_000)
    for wrong in (lambda: player.loop(True, 5, 5), lambda: player.seek("x"), lambda: player.set_speed(11)):
        before = player.state()
        with pytest.raises(OptionError):
            wrong()
        assert player.state() == before


def test_without_a_loop_it_stops(player, clock):
    player.loop(False)
    player.play()
    clock.now += 99
    assert (player.at_us(), player.playing) == (12_000_000, False)
    player.play()
    assert player.at_us() == 2_000_000


def test_along_a_stream_it_is_at_the_newest_instant(follower, clock):
    stream, player = follower
    assert (player.at_us(), player.playing, player.following) == (950_000, True, True)
    stream.stop_us = 2_000_000
    clock.now += 99
    assert player.at_us() == 1_950_000
    with pytest.raises(OptionError, match="a live stream cannot be played faster"):
        player.set_speed(2)
    assert player.following


def test_looking_back_the_clock_counts_and_what_is_caught_up_with_is_followed(follower, clock):
    stream, player = follower
    player.seek(400_000)
    assert not player.following
    clock.now += 0.125
    assert player.at_us() == 525_000
    player.pause()  # where it has come to, not where it began
    assert (player.at_us(), player.playing) == (525_000, False)
    player.play()
    player.set_speed(10)
    clock.now += 1
    assert player.at_us() == 950_000
    assert (player.following, player.speed) == (True, 1.0)
    player.set_speed(0.1)  # slower than the stream: it falls behind
    assert not player.following
    clock.now += 1
    assert player.at_us() == 950_000
    stream.stop_us = 2_000_000
    clock.now += 1
    assert player.at_us() == 1_050_000
    player.follow()
    assert player.at_us() == 1_950_000


def test_what_a_stream_forgets_is_left_and_its_end_stops_the_cursor(follower, clock):
    stream, player = follower
    player.seek(100_000)
    player.pause()
    stream.start_us = 300_000
    assert player.at_us() == 300_000
    player.play()
    clock.now += 0.25
    stream.start_us = 500_000  # it has moved on to 550 ms, which is held
    assert player.at_us() == 550_000
    player.follow()
    stream.growing = False
    player._newest_us = lambda: stream.stop_us
    assert player.at_us() == 1_000_000
    assert (player.following, player.playing) == (False, False)


def test_each_says_what_a_page_may_ask_of_it(player, follower):
    assert follower[1].commands - player.commands == {"follow"}
    for one in (player, follower[1]):
        assert all(callable(getattr(one, name)) for name in one.commands)
