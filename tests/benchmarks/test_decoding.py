"""The benchmark of decoding on small files: every case is written, read in full and stands in the report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import decoding, decoding_others
from velocell import formats

CORE = [case for case in decoding.CASES if case.name in ("EVT2", "EVT3", "DAT 2", "NPZ")]


def test_every_case_has_a_row_with_figures() -> None:
    text = decoding.report(CORE, 2_000, 1, 0)
    rows = {line.split(" | ")[0].strip("| "): line for line in text.splitlines() if line.startswith("| ")}
    assert set(rows) == {"format", *(case.name for case in CORE)}
    for case in CORE:
        assert float(rows[case.name].split(" | ")[2].split(" ")[0]) >= 0
    assert {case.suffix for case in decoding.CASES} == set(formats.WRITERS) - {".h5"}


def test_a_reader_that_loses_events_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "read", lambda path: decoding.events(1_999))
    with pytest.raises(AssertionError):
        decoding.report(CORE[:1], 2_000, 1, 0)


def test_memory_is_measured_on_a_file_of_the_size_asked_for(tmp_path: Path) -> None:
    (row,) = decoding.memory(CORE[:1], tmp_path, 5)[4:]
    name, events, _, peak = row.strip("| ").split(" | ")
    assert (name, float(events)) == ("EVT2", 1)
    assert 10 < float(peak) < 150
    blocks = list(decoding._repeated(decoding.events(10), 3))
    assert np.all(np.diff(np.concatenate([block.t_us for block in blocks])) >= 0)


def test_the_end_of_a_file_is_read_alone(tmp_path: Path) -> None:
    rows = decoding.skipping(CORE[:3], tmp_path, 5, 1)[4:]
    assert [row.split(" | ")[0] for row in rows] == ["| EVT2", "| EVT3", "| DAT 2"]
    assert all(float(figure) > 0 for row in rows for figure in row.strip("| ").split(" | ")[1:])
    assert list(tmp_path.iterdir()) == []


def test_other_sections_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    assert decoding.other_sections(path) == ""
    path.write_text("# Title\n\nold\n\n## More\n\nkept\n")
    assert decoding.other_sections(path) == "\n## More\n\nkept\n"
    path.write_text("# Title\n")
    assert decoding.other_sections(path) == ""


def test_other_readers_stand_beside_ours_or_are_named_with_the_reason(tmp_path: Path) -> None:
    both = [case for case in decoding.CASES if case.name in ("EVT3", "AEDAT4")]
    lines = decoding.beside_others(both, tmp_path, tmp_path / "nowhere", 2_000, 1)
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")][1:]
    assert [row[:2] for row in rows if row[1] == "velocell"] == [["EVT3", "velocell"], ["AEDAT4", "velocell"]]
    assert all((row[2] == "-") == (row[1] != "velocell") for row in rows)
    assert "EVT3: evt3 is left out, no environment evt3 in the folder; --install makes it." in lines
    assert list(tmp_path.iterdir()) == []


def test_a_reader_of_another_number_of_events_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "cam.raw"
    formats.write_evt3([decoding.events(2_000)], path)
    (reader,) = decoding_others._walked(tmp_path, ["velocell"], path, "stream", 2_001, 1)
    assert reader.reason == "it gives 2000 events of 2001"
