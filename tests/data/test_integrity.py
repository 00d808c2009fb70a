"""What `velocell info` tells: counted again from whole recordings, and faults of every kind, told or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import SHARED
from strategies import recordings
from typer.testing import CliRunner

from velocell.cli.app import app
from velocell.data.integrity import FACTS, FAULTS, Integrity
from velocell.data.recording import Recording
from velocell.errors import RecordingError
from velocell.filters.hot_pixels import hot_pixels
from velocell.formats import open_recording, write_aedat4, write_csv, write_dat, write_evt3, write_npz
from velocell.formats import source as sources
from velocell.simulate import notebook_scene, simulate
from velocell.studies.summary import MOST_RATES, summarise


def told(*arguments: object) -> Any:
    result = CliRunner().invoke(app, ["info", "--json", *map(str, arguments)])
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def refused(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["info", *map(str, arguments)])
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    return result.stderr


# --- the counts ---------------------------------------------------------------------------------------


def test_every_name_has_words() -> None:
    assert not FACTS.keys() & FAULTS.keys()
    integrity = Integrity("cam.raw")
    assert integrity.notes() == ()
    assert set(integrity.to_dict().values()) == {0}
    for name in FACTS:
        integrity.fact(name, 2)
        integrity.fact(name, 0)
    for name in FAULTS:
        integrity.fault(name, 3)
        integrity.fault(name, 0)
    assert integrity.to_dict() == dict.fromkeys(FACTS, 2) | dict.fromkeys(FAULTS, 3)
    assert len(integrity.notes()) == len(FACTS) + len(FAULTS)
    for wrong in (integrity.fact, integrity.fault):
        with pytest.raises(KeyError):
            wrong("surprise")


@pytest.mark.parametrize("name", FAULTS)
def test_strict_refuses_faults_only(name: str) -> None:
    strict = Integrity("cam.raw", strict=True)
    strict.fact("triggers", 5)
    strict.fault(name, 0)
    with pytest.raises(RecordingError, match=r"cam.raw has 2 .* \(at the end\); read it without --strict"):
        strict.fault(name, 2, "at the end")


# --- the figures --------------------------------------------------------------------------------------


@given(recording=recordings(), block=st.integers(1, 9))
def test_block_by_block_or_at_once(tmp_path: Path, recording: Recording, block: int) -> None:
    write_evt3(recording, tmp_path / "cam.raw")
    whole = summarise(recording).to_dict()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sources, "SMALLEST_BLOCK", 1)
        patched.setattr(sources, "LARGEST_BLOCK", block)
        parts = summarise(open_recording(tmp_path / "cam.raw")).to_dict()
    for name in ("file", "format", "format_from", "size_from", "notes"):
        whole.pop(name), parts.pop(name)
    assert parts == whole


@settings(deadline=None)
@given(times=st.lists(st.integers(0, 1 << 40), min_size=1, max_size=60), polarity=st.booleans())
def test_rates_over_time(times: list[int], polarity: bool) -> None:
    t = np.sort(np.array(times))
    zeros = np.zeros(t.size, np.int64)
    summary = summarise(Recording.from_arrays(t, zeros, zeros, zeros if polarity else None, width=1, height=1))
    assert 1 <= len(summary.rates) <= MOST_RATES
    width, span = summary.rates_bin_us, int(t[-1] - t[0]) + 1
    edges = t[0] + np.minimum(np.arange(len(summary.rates) + 1) * width, span)
    expected = np.histogram(t, edges)[0] / np.diff(edges) * 1e6
    np.testing.assert_allclose(summary.rates, expected, rtol=1e-12)
    assert width == 10_000 or len(summary.rates) > MOST_RATES // 2
    assert summary.on_share == (0.0 if polarity else None)


def test_pixels_of_a_sensor_too_large_to_keep(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    n = 90_000
    x, y = rng.integers(0, 60_000, n), rng.integers(0, 50_000, n)
    x[:5_000], y[:5_000] = 7, 9
    recording = Recording.from_arrays(np.arange(n), x, y, width=60_000, height=50_000)
    expected = {(int(a), int(b)) for a, b in zip(x, y, strict=True)}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sources, "LARGEST_BLOCK", 20_000)
        write_npz(recording, tmp_path / "cam.npz")
        summary = summarise(open_recording(tmp_path / "cam.npz", budget=400))
    assert summary.active_pixels == len(expected)
    assert summary.hot_pixels == len(hot_pixels(recording)) == 1


# --- the command --------------------------------------------------------------------------------------


def evt2_words(*words: int) -> bytes:
    return b"% evt 2.0\n% geometry 64x48\n% end\n" + np.array(words, "<u4").tobytes()


HIGH = 0x8 << 28


def test_info_tells_what_a_damaged_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "cam.raw"
    words = [0, HIGH | 9, 1 << 28 | 5 << 11 | 5, 0xA << 28, 0xE << 28, 2000, HIGH | 8, 3 << 11 | 3, 0x7 << 28]
    path.write_bytes(evt2_words(*words) + b"\1\2\3")
    report = told(path)
    found = {name: n for name, n in report["integrity"].items() if n}
    once = ("triggers", "other", "back_steps", "out_of_bounds", "unplaced", "unknown")
    assert found == dict.fromkeys(once, 1) | {"trailing_bytes": 3}
    assert (report["events"], report["format"]) == (2, "Prophesee RAW EVT2")
    assert report["format_from"] == "as the header's line 'evt 2.0' says"
    assert report["size_from"] == "as the header's line 'geometry' says"
    text = CliRunner().invoke(app, ["info", str(path)], env={"COLUMNS": "200"}).stdout
    for name in found:
        assert (FACTS | FAULTS)[name] in text
    assert "faults" not in text
    message = refused(path, "--strict")
    assert "cam.raw has 1 events before the first word with a time or row (between bytes 33 and 72)" in message


def test_info_of_a_sound_file_has_no_faults(tmp_path: Path) -> None:
    recording = Recording.from_arrays([0, 5_000_000_000], [1, 2], [3, 4], [0, 1], width=64, height=48)
    write_evt3(recording, tmp_path / "cam.raw")
    report = told(tmp_path / "cam.raw", "--strict")
    assert {name: n for name, n in report["integrity"].items() if n} == {"wraps": 5_000_000_000 >> 24}
    assert (report["gaps"], report["longest_gap_us"], report["longest_gap_at_us"]) == (1, 5_000_000_000, 0)
    text = CliRunner().invoke(app, ["info", str(tmp_path / "cam.raw")]).stdout
    assert "wraps of the time counter, undone" in " ".join(text.split())
    assert "none" in next(line for line in text.splitlines() if "faults" in line)


@pytest.mark.parametrize("path", [path for path in sorted(SHARED.glob("*.*")) if path.suffix not in (".md", ".csv")],
                         ids=lambda path: path.name)  # fmt: skip
def test_info_of_every_format(path: Path) -> None:
    try:
        source = open_recording(path)
    except RecordingError as error:
        pytest.skip(str(error))
    report = told(path)
    recording = source.read()
    assert (report["events"], report["width"], report["height"]) == (len(recording), *recording.size)
    assert report["rates"]
    assert set(report["integrity"]) == {*FACTS, *FAULTS}


def test_a_dat_file_with_wraps(tmp_path: Path) -> None:
    start = (1 << 32) - 1_000
    recording = Recording.from_arrays(start + np.arange(0, 2_000, 100), [1] * 20, [1] * 20, [1] * 20)
    write_dat(recording, tmp_path / "cam.dat")
    report = told(tmp_path / "cam.dat")
    assert report["integrity"]["wraps"] == 1
    assert (report["first_us"], report["last_us"]) == (start, start + 1_900)


# --- a span that is stated ----------------------------------------------------------------------------

WRITERS = {"a.raw": write_evt3, "a.dat": write_dat, "a.npz": write_npz, "a.csv": write_csv, "a.aedat4": write_aedat4}


def spanned(t: np.ndarray, stop_us: int) -> Recording:
    zeros = np.zeros(t.size, int)
    return Recording.from_arrays(t, zeros, zeros, zeros, width=8, height=8, start_us=0, stop_us=stop_us)


@pytest.mark.parametrize("name", WRITERS)
def test_a_silent_end_is_a_gap_and_a_warning(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    t = np.arange(0, 2_003_001, 1_000)
    WRITERS[name](spanned(t, 4_000_000), path)
    report = told(path)
    assert (report["gaps"], report["longest_gap_us"], report["longest_gap_at_us"]) == (1, 1_997_000, 2_003_000)
    words = "the file states 4 s, the events end at 2.003 s: cut off?"
    assert report["notes"][-1] == words
    text = CliRunner().invoke(app, ["info", str(path)], env={"COLUMNS": "200"}).stdout
    assert "faults" not in text
    assert any(line.split()[:1] == ["warning"] and words in line for line in text.splitlines())
    source = open_recording(path)
    assert words in source.read().notes
    source.read(stop_us=1_000_000)
    assert words not in source.notes  # what was asked for is there
    source.read(stop_us=2_050_000)
    assert words not in source.notes


@pytest.mark.parametrize("name", WRITERS)
def test_an_end_that_is_quiet_for_some_ms_is_none(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    t = np.arange(90_000, 2_000_001, 1_000)
    WRITERS[name](spanned(t, 2_090_000), path)
    report = told(path)
    assert (report["gaps"], report["longest_gap_us"]) == (0, 0)
    assert not any("cut off" in note for note in report["notes"])


def test_a_silent_start_is_a_gap(tmp_path: Path) -> None:
    late = Recording.from_arrays([150_000, 160_000], [1, 1], [1, 1], width=8, height=8, start_us=0, stop_us=170_000)
    write_npz(late, tmp_path / "a.npz")
    report = told(tmp_path / "a.npz")
    assert (report["gaps"], report["longest_gap_us"], report["longest_gap_at_us"]) == (1, 150_000, 0)


def test_detect_warns_of_a_raw_cut_in_half(tmp_path: Path) -> None:
    write_evt3(simulate(notebook_scene())[0], tmp_path / "c.raw")
    whole = (tmp_path / "c.raw").read_bytes()
    (tmp_path / "half.raw").write_bytes(whole[: len(whole) // 4 * 2])
    for name, cut in (("c.raw", False), ("half.raw", True)):
        arguments = ["detect", tmp_path / name, "-o", tmp_path / "t.csv", "--bands", "16,62,177,500"]
        result = CliRunner().invoke(app, [str(each) for each in arguments])
        assert result.exit_code == 0, result.stderr
        assert (": cut off?" in result.stderr) == cut
        assert ("warning: " in result.stderr) == cut
