"""A camera that begins to move while a stream goes on: said when it does, not only in the first second."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from commands import ok
from moving_pictures import panned

from velocell.data import blocks
from velocell.data.recording import Recording
from velocell.filters import camera_motion
from velocell.formats import write_npz
from velocell.live import motion
from velocell.live.motion import CameraWatch

STILL = Recording.from_arrays([], [], [], width=150, height=100, start_us=0, stop_us=1_000_000)


def at(second: int, recording: Recording) -> Recording:
    shift = second * 1_000_000
    return replace(recording, t_us=recording.t_us + shift, start_us=shift, stop_us=recording.stop_us + shift)


def test_it_is_said_when_the_camera_begins_to_move_and_when_that_is_over():
    said: list[str] = []
    moving = panned(duration_us=500_000)
    looked: list[int] = []

    def prepare(recording: Recording) -> Recording:
        looked.append(recording.start_us)
        return recording

    with ThreadPoolExecutor(max_workers=1) as thread:
        watch = CameraWatch(thread, said.append, prepare)
        for second in range(42):
            moves = second in (5, 20, 30)  # the first of them is not looked at
            for part in at(second, moving if moves else STILL).between().blocks():
                watch.feed(replace(part, stop_us=second * 1_000_000 + 1_000_000), wait=True)
            if second in (19, 20, 39, 40):
                assert len(said) == {19: 0, 20: 1, 39: 1, 40: 2}[second]
    assert [start // 1_000_000 for start in looked] == [10, 20, 30, 40]
    assert said[0].startswith("warning: the picture as a whole shifts")
    assert said[1] == "note: the picture as a whole does not move any more"


@pytest.mark.parametrize("moving", [True, False])
def test_a_look_beside_the_steps_gives_what_the_whole_second_does(monkeypatch, moving):
    pauses: list[float] = []
    monkeypatch.setattr(blocks.time, "sleep", pauses.append)
    second = panned(duration_us=1_000_000) if moving else STILL
    parts = list(replace(second, stop_us=1_000_000).chunks(1_000))
    said: list[str] = []
    with ThreadPoolExecutor(max_workers=1) as thread:
        watch = CameraWatch(thread, said.append, lambda part: part)
        watch.first_us = 0
        for part in parts:
            watch.feed(part, wait=False)
        thread.submit(int).result()  # behind the look
        assert bool(pauses) is moving  # the other has no event
        watch.feed(replace(STILL, start_us=1_000_000, stop_us=1_001_000), wait=False)
    assert said == ([f"warning: {camera_motion(second).reason}"] if moving else [])


def test_live_says_it_too(tmp_path, monkeypatch):
    monkeypatch.setattr(motion, "EVERY_US", 1_000_000)
    write_npz(panned(2_000_000, 3_100_000), tmp_path / "rec.npz")
    result = ok("live", f"replay:{tmp_path / 'rec.npz'}", "--bands", "60,240,960", "--contrast", "1",
                "--speed", "max", "-o", tmp_path / "x.jsonl")  # fmt: skip
    assert result.stderr.count("warning: the picture as a whole shifts") == 1
