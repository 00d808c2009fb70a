"""The benchmarks of `velocell live`, short: they run, they tell what they should, and they find what is wrong."""

from __future__ import annotations

import re

import numpy as np
import pytest
from live_streams import a_disk, written

from benchmarks import killed, live
from velocell.data.tracks import Tracks


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """0.3 s of a disk on 160x120, and its network."""
    path = tmp_path_factory.mktemp("live")
    written(path, a_disk(300_000, noise_hz=2), live.BANDS)
    return path


@pytest.fixture(scope="module")
def watched(folder):
    return live.run(folder, [(0.4, 1.0), (0.2, 20.0), (0.4, 1.0)])


def test_what_is_sent_comes_and_is_told(watched):
    assert watched.code == 0
    assert watched.count("packets lost") == watched.count("packets dropped") == 0
    assert watched.count("packets") == len(watched.sent) > 20
    assert (np.diff(watched.sent, axis=0) > 0).all()
    when, late = watched.latencies_ms().T
    assert late.size > 100
    assert (late > 0).all()
    assert (np.diff(when) >= 0).all()
    steady, overload = live.steady_lines(watched), live.overload_lines(watched, 4.0, 1.0)
    assert any(re.search(r"p50, p99, max \| \d+\.\d+, \d+\.\d+, \d+\.\d+ ms", line) for line in steady)
    assert f"| packets lost by the system, dropped | 0, {watched.count('packets dropped')} |" in overload


def test_the_latency_is_that_of_the_last_packet_before_the_instant():
    sent = np.array([[0, 10], [600, 20], [1_000, 35], [1_700, 50]]) * [1, 1_000_000]
    lines = np.array([[1_000, 41], [1_000, 44], [2_000, 70]]) * [1, 1_000_000]
    watched = live.Watched(sent, lines, np.zeros((0, 2)), "", 0)
    np.testing.assert_allclose(watched.latencies_ms(), [[0.01, 24], [0.04, 20]])


def test_recovery_is_counted_from_the_end_of_the_overload():
    when = np.arange(0, 2, 0.001)
    late = np.where((when > 0.5) & (when < 1.25), 300.0, 2.0)
    assert live.recovery_s(when, late, 1.0) == pytest.approx(0.25, abs=0.002)
    assert live.recovery_s(when, np.full(when.size, 6.0), 1.0) == np.inf


def test_file_replay_and_udp_give_the_same_rows(folder, monkeypatch):
    told = live.same_rows(folder)
    assert re.search(r"where nothing was lost: the same rows up to \d+ us \((\d\d+)\)", told), told
    tables = [Tracks.read(folder / f"{name}.jsonl") for name in ("detect", "udp")]
    assert live.equal(tables[0], tables[0])
    other = tables[0].columns()
    other["x_px"] = other["x_px"].copy()
    other["x_px"][3] += 0.001
    assert not live.equal(tables[0], Tracks.from_columns(other))


def test_losses_are_told_and_not_compared(folder, monkeypatch):
    monkeypatch.setattr(live, "by_udp", lambda folder: "3 ticks (9 events) dropped; 0 packets lost; 0 packets dropped")
    assert "not compared, since each time something was lost or dropped: 3 ticks" in live.same_rows(folder)


def test_no_kill_leaves_a_corrupt_file(tmp_path):
    counts, wrong = killed.run(tmp_path, 3, seed=1)
    assert wrong == []
    assert sum(n for what, n in counts["live"].items() if what.endswith(("file", "line", "lines"))) == 3
    # What the check can find.
    for name, damage in (
        ("x.csv", lambda data: data[: len(data) // 2]),
        ("s.npz", lambda data: data[:-30]),
        ("v.mp4", lambda data: data[: len(data) // 2]),
    ):
        killed.reset(tmp_path)
        assert killed.check_detect(tmp_path) == []
        (tmp_path / name).write_bytes(damage((tmp_path / name).read_bytes()))
        with pytest.raises(Exception, match=r"\w"):
            killed.check_detect(tmp_path)
    killed.reset(tmp_path)
    lines = (tmp_path / "x.jsonl").read_bytes().splitlines(keepends=True)
    for damaged, words in (
        (b"".join(lines[:10] + lines[11:]), "not the first ones"),
        (b"".join(lines[:10]) + lines[10][:20] + b"\n" + lines[11], "not a readable table"),
    ):
        (tmp_path / "x.jsonl").write_bytes(damaged)
        with pytest.raises(Exception, match=words):
            killed.check_live(tmp_path)
