"""What a batch runs on."""

from __future__ import annotations

import pytest

from velocell.batch.inputs import find_inputs, safe_name
from velocell.errors import OptionError


@pytest.fixture
def data(tmp_path):
    """A folder with recordings at two depths, a table, a hidden file and an output folder inside it."""
    for name in ("a.raw", "day 1/a.raw", "day 1/b.npz", "day 1/truth.csv", ".hidden.raw", ".trash/c.raw", "out/d.raw"):
        file = tmp_path / "data" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    return tmp_path / "data"


def names(data, *texts):
    return [item.wanted for item in find_inputs(texts, data / "out").found]


def test_a_folder_gives_its_recordings_and_says_what_it_left(data):
    found = find_inputs([data], data / "out")
    assert [item.wanted for item in found.found] == ["a.raw", "day 1/a.raw", "day 1/b.npz"]
    assert found.left_out == {".csv": 1}


def test_what_is_named_is_taken_whatever_its_suffix(data):
    assert names(data, data / "day 1" / "truth.csv") == ["truth.csv"]
    assert names(data, f"{data}/*/*.csv") == ["day 1/truth.csv"]
    assert names(data, f"{data}/**/a.raw") == ["a.raw", "day 1/a.raw"]


def test_each_once_in_one_order(data):
    both = names(data, data / "day 1" / "b.npz", data, data / "a.raw")
    assert sorted(both) == ["a.raw", "b.npz", "day 1/a.raw"]
    assert both == names(data, data / "a.raw", data / "day 1" / "b.npz", data)


def test_a_list_is_relative_to_its_own_folder(data):
    (data / "todo.txt").write_text("# all of day 1\nday 1  # a folder\n\na.raw\n")
    assert names(data, f"@{data / 'todo.txt'}") == ["a.raw", "a.raw", "b.npz"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nothing*.raw", "no recordings match .*nothing"),
        ("gone.raw", "no recordings match .*gone.raw"),
        ("@gone.txt", "cannot read the list"),
        ("@bad.txt", "line 2: no recordings match gone.raw"),
        ("nowhere://a/b.raw", "cannot open nowhere"),
    ],
)
def test_what_is_not_there_is_one_sentence(data, monkeypatch, text, words):
    monkeypatch.chdir(data)
    (data / "bad.txt").write_text("a.raw\ngone.raw\n")
    with pytest.raises(OptionError, match=words):
        find_inputs([text], data / "out")


def test_a_folder_without_recordings_says_what_it_holds(data):
    (data / "only").mkdir()
    (data / "only" / "a.csv").write_text("")
    with pytest.raises(OptionError, match=r"the folder holds \.csv"):
        find_inputs([data / "only"], data / "out")


def test_names_are_those_of_folders_and_partitions():
    assert safe_name("day 1/a=b.raw") == "day%201%2Fa=b.raw"
    long = [safe_name("x" * 300 + end) for end in "ab"]
    assert long[0] != long[1]
    assert all(len(name) < 150 for name in long)
    assert not safe_name(".hidden.raw").startswith(".")
