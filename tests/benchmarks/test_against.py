"""Two states of Velocell compared: what is measured, what is written; and what counts of instructions say."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("velocell._native", reason="the C++ core is not built (pip install .)")

from benchmarks import against, instructions, works

LITTLE = {"disks": 3, "size": (100, 80), "duration_us": 20_000, "rows": 50}


def test_every_work_is_done(tmp_path: Path) -> None:
    assert works.make(tmp_path, **LITTLE) > 100
    for name, prepare in works.works(tmp_path, threads=1).items():
        assert prepare()() is not None or name == "CSV, written"


def test_the_same_state_twice_in_turns(tmp_path: Path) -> None:
    result = against.compared("the same", None, tmp_path, 1, LITTLE, least_s=0.01)
    assert [row["threads"] for row in result["rows"]] == [1, 1, 1, 1, 1, 2, 2]
    for row in result["rows"]:
        assert row["least"] <= row["ratio"] <= row["most"]
    text = against.section(result)
    assert text.count("\n| ") == 1 + len(result["rows"])
    assert f"{result['machine']['processor']}, {result['machine']['cores']} cores." in text


def test_a_commit_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="--against nothing-such names no commit here"):
        against.built("nothing-such", tmp_path)


def test_a_page_gets_the_section_once() -> None:
    first, second = (against.HEADING + f"\n\n{word}\n" for word in ("one", "two"))
    page = against.with_section("# Page\n\ntext\n", first)
    assert page == "# Page\n\ntext\n\n" + first
    page = page + "\n## Next\n\nmore\n"
    assert against.with_section(page, second) == "# Page\n\ntext\n\n" + second + "\n## Next\n\nmore\n"


ENTRY = {"commit": "b", "compiler": "GCC 1", "instruction_set": "avx2", "python": "3", "numpy": "2",
         "counts": {"engine": 1000, "CSV": 50}}  # fmt: skip


def entry(commit: str, **changes: object) -> dict:
    return {**ENTRY, "commit": commit, **changes}


def test_the_last_entry_of_the_same_kind_is_compared_with(tmp_path: Path) -> None:
    history = tmp_path / "history.jsonl"
    assert instructions.last_like(ENTRY, history) is None
    for made in (entry("a"), entry("c", counts={"engine": 990}), entry("d", compiler="Clang 2")):
        instructions.append(made, instructions.last_like(made, history), history)
    last = instructions.last_like(ENTRY, history)
    assert last is not None
    assert last["commit"] == "c"
    instructions.append(last, last, history)
    assert len(history.read_text().splitlines()) == 3
    assert "| engine | 0.00 | 1.010 |" in instructions.table(ENTRY, last)
    assert "| CSV | 0.00 | - |" in instructions.table(ENTRY, last)


@pytest.mark.parametrize(("count", "found"), [(1050, []), (1051, ["engine"]), (10, [])])
def test_more_than_five_percent_more_is_found(count: int, found: list[str]) -> None:
    assert instructions.beyond(entry("e", counts={"engine": count, "new": 9}), ENTRY) == found
    assert instructions.beyond(entry("e", counts={"engine": count}), None) == []


def run_main(monkeypatch: pytest.MonkeyPatch, history: Path, count: int, *options: str) -> int:
    monkeypatch.setattr(instructions, "missing", lambda: "")
    monkeypatch.setattr(instructions, "counted", lambda: entry(str(count), counts={"engine": count}))
    monkeypatch.setattr(sys, "argv", ["instructions", "--history", str(history), *options])
    with pytest.raises(SystemExit) as ended:
        instructions.main()
    return int(ended.value.code or 0)


def test_what_takes_more_fails_and_is_kept_only_where_it_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    history = tmp_path / "history.jsonl"
    assert run_main(monkeypatch, history, 1000) == 0
    assert run_main(monkeypatch, history, 1100) == 1
    assert "engine takes more than 5 % more than at 1000" in capsys.readouterr().err
    assert [json.loads(line)["commit"] for line in history.read_text().splitlines()] == ["1000"]
    assert run_main(monkeypatch, history, 1100, "--accept") == 0
    assert run_main(monkeypatch, history, 1100) == 0
    assert [json.loads(line)["commit"] for line in history.read_text().splitlines()] == ["1000", "1100"]


def test_without_valgrind_the_reason_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    for options, code in (([], 1), (["--if-possible"], 0)):
        monkeypatch.setattr(sys, "argv", ["instructions", *options])
        with pytest.raises(SystemExit) as ended:
            instructions.main()
        assert ended.value.code == code
        assert "skipped, no valgrind; on Debian: apt-get install valgrind" in capsys.readouterr().err


def test_a_dump_of_callgrind_is_read(tmp_path: Path) -> None:
    dump = tmp_path / "out.1"
    dump.write_text(
        "version: 1\ndesc: Trigger: Client Request: EVT3, decoded\n\nevents: Ir\nfn=(1)\n0 5\ntotals: 12345\n"
    )
    assert instructions.count_of(dump) == ("EVT3, decoded", 12_345)
    dump.write_text("version: 1\ndesc: Trigger: Program termination\ntotals: 1\n")
    with pytest.raises(ValueError, match="no dump of callgrind"):
        instructions.count_of(dump)


def test_the_history_in_the_tree_can_be_read() -> None:
    for line in instructions.HISTORY.read_text().splitlines():
        assert set(json.loads(line)) == set(ENTRY)
