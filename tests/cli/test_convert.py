"""`velocell convert` and what it may do on the way, against the same on whole arrays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import SHARED
from strategies import EPOCH_US, assert_same_recording, recordings
from typer.testing import CliRunner, Result

from velocell import formats
from velocell.cli.app import app
from velocell.data.recording import Recording
from velocell.errors import OptionError, RecordingError
from velocell.filters.reshape import cut_out, downsample, flip
from velocell.formats import read, write_csv, write_evt2, write_npz

CORE = (".npz", ".csv", ".raw", ".dat")


def convert(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["convert", *map(str, arguments)])


def ok(*arguments: object) -> Result:
    result = convert(*arguments)
    assert result.exit_code == 0, result.stderr
    return result


def refused(*arguments: object) -> str:
    result = convert(*arguments)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    return result.stderr


@pytest.fixture
def recording() -> Recording:
    rng = np.random.default_rng(8)
    n = 2_000
    return Recording.from_arrays(
        EPOCH_US + np.sort(rng.integers(0, 1_000_000, n)), rng.integers(0, 64, n), rng.integers(0, 48, n),
        rng.integers(0, 2, n), width=64, height=48, start_us=EPOCH_US - 5, stop_us=EPOCH_US + 1_000_100,
    )  # fmt: skip


# --- the picture --------------------------------------------------------------------------------------


@settings(deadline=None)
@given(recording=recordings(), data=st.data())
def test_reshaping_moves_every_event_alike(recording: Recording, data: st.DataObject) -> None:
    width, height = recording.size
    picture = recording.to_dense(recording.stop_us)  # all in one frame or two
    assert_same_recording(flip(flip(recording, "x"), "x"), recording)
    np.testing.assert_array_equal(flip(recording, "x").to_dense(recording.stop_us), picture[..., ::-1])
    np.testing.assert_array_equal(flip(recording, "y").to_dense(recording.stop_us), picture[..., ::-1, :])
    np.testing.assert_array_equal(flip(recording, "xy").to_dense(recording.stop_us), picture[..., ::-1, ::-1])
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    w, h = data.draw(st.integers(1, width - x)), data.draw(st.integers(1, height - y))
    part = cut_out(recording, x, y, w, h)
    np.testing.assert_array_equal(part.to_dense(recording.stop_us), picture[..., y : y + h, x : x + w])
    factor = data.draw(st.integers(1, 25))
    small = downsample(recording, factor)
    assert len(small) == len(recording)
    assert small.size == (-(-width // factor), -(-height // factor))
    np.testing.assert_array_equal(small.x, recording.x // factor)
    np.testing.assert_array_equal(small.y, recording.y // factor)
    for made in (part, small):
        assert made.x.dtype == made.y.dtype == np.uint16
        assert (made.start_us, made.stop_us) == (recording.start_us, recording.stop_us)


def test_reshaping_refuses(recording: Recording) -> None:
    with pytest.raises(RecordingError, match="reaches outside the 64x48 sensor"):
        cut_out(recording, 60, 0, 5, 5)
    with pytest.raises(OptionError, match="--flip 'z' must be x, y or xy"):
        flip(recording, "z")
    with pytest.raises(OptionError, match="--downsample must be at least 1, got 0"):
        downsample(recording, 0)


# --- from format to format ----------------------------------------------------------------------------


def test_round_and_round_without_loss(tmp_path: Path, recording: Recording) -> None:
    write_npz(recording, tmp_path / "0.npz")
    before = tmp_path / "0.npz"
    for k, suffix in enumerate([".raw", ".csv", ".dat", ".raw", ".npz", ".dat", ".csv", ".npz"]):
        after = tmp_path / f"{k + 1}{suffix}"
        ok(before, after, *(["--evt", "2"] if k == 3 else []))
        assert_same_recording(read(after, strict=True), recording)
        before = after
    without = replace(recording, p=None)
    write_csv(without, tmp_path / "none.csv")
    ok(tmp_path / "none.csv", tmp_path / "none.raw")
    ok(tmp_path / "none.raw", tmp_path / "none.dat")
    assert_same_recording(read(tmp_path / "none.dat"), without)


def test_evt_chooses_the_words(tmp_path: Path, recording: Recording) -> None:
    write_npz(recording, tmp_path / "a.npz")
    for version in ("2", "3"):
        ok(tmp_path / "a.npz", tmp_path / "a.raw", "--evt", version)
        assert formats.open_recording(tmp_path / "a.raw").format == f"Prophesee RAW EVT{version}"
    ok(tmp_path / "a.npz", tmp_path / "a.RAW")
    assert formats.open_recording(tmp_path / "a.RAW").format == "Prophesee RAW EVT3"


def test_everything_on_the_way(tmp_path: Path, recording: Recording) -> None:
    write_npz(recording, tmp_path / "a.npz")
    result = ok(tmp_path / "a.npz", tmp_path / "a.raw", "--from", "100ms", "--to", "0.4s", "--crop", "8,4,40,40",
                "--flip", "x", "--downsample", "3")  # fmt: skip
    start = recording.start_us
    part = recording.between(start + 100_000, start + 400_000)
    expected = downsample(flip(cut_out(part, 8, 4, 40, 40), "x"), 3)
    assert_same_recording(read(tmp_path / "a.raw"), expected)
    assert f"{len(expected)} events in 300ms on 14x14 px in " in result.stderr


@pytest.mark.parametrize("suffix", CORE)
def test_repairs_are_told_or_refused(tmp_path: Path, suffix: str, recording: Recording) -> None:
    write_evt2(recording, tmp_path / "a.raw")
    (tmp_path / "b.raw").write_bytes((tmp_path / "a.raw").read_bytes() + b"\1\2\3")
    out = tmp_path / f"out{suffix}"
    assert "note: " in (told := ok(tmp_path / "b.raw", out).stderr)
    assert "3 bytes after the last whole entry; left out" in told
    np.testing.assert_array_equal(read(out).t_us, recording.t_us)
    out.unlink()
    assert "without --strict" in refused(tmp_path / "b.raw", out, "--strict")
    assert not out.exists()


def test_an_empty_recording(tmp_path: Path) -> None:
    empty = Recording.from_arrays([], [], [], width=4, height=3, start_us=5, stop_us=9)
    write_npz(empty, tmp_path / "a.npz")
    ok(tmp_path / "a.npz", tmp_path / "a.raw")
    assert_same_recording(read(tmp_path / "a.raw"), empty)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.npz", "a.txt"], "suffix must be .npz"),
        (["a.npz", "a.npz"], "is used twice"),
        (["a.npz", "no/a.raw"], "no folder no"),
        (["none.npz", "a.raw"], "no such file"),
        (["a.npz", "a.raw", "--evt", "4"], "--evt 4 does not fit a.raw; use 2 or 3, with a .raw file"),
        (["a.npz", "a.dat", "--evt", "2"], "--evt 2 does not fit a.dat"),
        (["a.npz", "a.raw", "--from", "2s"], "a.npz has no events in that part"),
        (["a.npz", "a.raw", "--from", "2s", "--to", "1s"], "--to must be later"),
        (["a.npz", "a.raw", "--crop", "60,0,9,9"], "reaches outside the 64x48 sensor"),
        (["a.npz", "a.raw", "--crop", "1,2"], "x,y,w,h"),
        (["a.npz", "a.raw", "--flip", "left"], "--flip 'left' must be x, y or xy"),
        (["a.npz", "a.raw", "--downsample", "0"], "--downsample must be at least 1"),
        (["a.npz", "a.raw", "--size", "5x5"], "outside the 5x5 sensor"),
    ],
)
def test_bad_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recording: Recording, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_npz(recording, "a.npz")
    assert message in refused(*arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_a_real_recording(tmp_path: Path) -> None:
    path = SHARED / "sparklers_evt2.raw"
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    ok(path, tmp_path / "a.raw")
    ok(tmp_path / "a.raw", tmp_path / "a.dat")
    assert_same_recording(read(tmp_path / "a.dat", strict=True), read(path))
