"""Tracks: one table, three file formats, exact times, missing values."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import EPOCH_US, tracks

from velocell.data.tables import COLUMNS
from velocell.data.tracks import Tracks
from velocell.errors import TableError

FILES = settings(max_examples=40)
needs_parquet = pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="pyarrow is not installed")
SUFFIXES = [".csv", ".jsonl", pytest.param(".parquet", marks=needs_parquet)]
ROW: dict[str, Any] = {"t_us": [1], "id": [0], "x_px": [1.5], "y_px": [2.5]}


def assert_same(left: Tracks, right: Tracks) -> None:
    assert list(left.columns()) == list(right.columns())
    for name, values in left.columns().items():
        assert values.dtype.kind == right.columns()[name].dtype.kind, name
        np.testing.assert_array_equal(values, right.columns()[name], err_msg=name)


@pytest.mark.parametrize("suffix", SUFFIXES)
@FILES
@given(table=tracks())
def test_round_trip(tmp_path: Path, suffix: str, table: Tracks) -> None:
    path = tmp_path / f"tracks{suffix}"
    table.write(path)
    back = Tracks.read(path)
    assert_same(back, table)
    assert back.meta == table.meta
    for name, (dtype, _) in COLUMNS.items():
        assert getattr(back, name).dtype == dtype, name


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_times_are_exact(tmp_path: Path, suffix: str) -> None:
    times = [EPOCH_US, EPOCH_US + 1, 2**53 + 1, 2**62 + 1]
    table = Tracks.from_columns({"t_us": times, "id": [0] * 4, "x_px": [0] * 4, "y_px": [0] * 4})
    table.write(tmp_path / f"a{suffix}")
    assert Tracks.read(tmp_path / f"a{suffix}").t_us.tolist() == sorted(times)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_further_columns(tmp_path: Path, suffix: str) -> None:
    table = Tracks.from_columns({**ROW, "x_mm": [0.25], "name": ["cat ä"]})
    table.write(tmp_path / f"a{suffix}")
    back = Tracks.read(tmp_path / f"a{suffix}")
    assert list(back.extra) == ["x_mm", "name"]
    assert back.extra["x_mm"].tolist() == [0.25]
    assert back.extra["name"].tolist() == ["cat ä"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_empty_table(tmp_path: Path, suffix: str) -> None:
    Tracks.empty({"version": "1"}).write(tmp_path / f"a{suffix}")
    back = Tracks.read(tmp_path / f"a{suffix}")
    assert len(back) == 0
    assert back.meta == {"version": "1"}


def test_missing_values_as_the_contract_says(tmp_path: Path) -> None:
    table = Tracks.from_columns(ROW, {"version": "1"})
    table.write(tmp_path / "a.csv")
    header, row = csv.reader((tmp_path / "a.csv").read_text().splitlines())
    assert header == list(COLUMNS)
    assert dict(zip(header, row, strict=True)) == {
        **dict.fromkeys(COLUMNS, ""), "t_us": "1", "id": "0", "x_px": "1.500", "y_px": "2.500", "band": "-1",
    }  # fmt: skip
    assert json.loads((tmp_path / "a.csv.meta.json").read_text()) == {"version": "1"}
    table.write(tmp_path / "a.jsonl")
    (event,) = map(json.loads, (tmp_path / "a.jsonl").read_text().splitlines())
    assert json.loads((tmp_path / "a.jsonl.meta.json").read_text()) == {"version": "1"}
    assert event["speed_px_s"] is None
    assert event["band"] == -1


@needs_parquet
def test_missing_values_in_parquet(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    Tracks.from_columns(ROW).write(tmp_path / "a.parquet")
    table = pq.read_table(tmp_path / "a.parquet")
    assert table["speed_px_s"].null_count == 1
    assert table["t_us"].type == "int64"


def test_tables_of_other_programs(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\ufefft_us,id,x_px,y_px,speed_px_s\r\n7,2,1,2,\r\n\r\n3,1,1e1,2,5\r\n", "utf-8")
    table = Tracks.read(tmp_path / "a.csv")
    assert table.t_us.tolist() == [3, 7]
    assert table.x_px.tolist() == [10, 1]
    np.testing.assert_array_equal(table.speed_px_s, [5, np.nan])
    assert table.meta == {}


def test_sorted_by_time_and_id() -> None:
    columns = {"t_us": [5, 3, 5, 3], "id": [1, 2, 0, 1], "x_px": [0, 1, 2, 3], "y_px": [0] * 4, "name": list("abcd")}
    table = Tracks.from_columns(columns)
    assert table.x_px.tolist() == [3, 1, 2, 0]
    assert table.extra["name"].tolist() == ["d", "b", "c", "a"]
    assert table.where(table.t_us == 5).extra["name"].tolist() == ["c", "a"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"t_us": [1], "id": [1], "x_px": [1]}, "needs the column 'y_px', got t_us, id, x_px"),
        ({}, "needs the column 't_us', got none"),
        ({**ROW, "band": [1, 2]}, "column 'band' has 2 entries where 't_us' has 1"),
        ({**ROW, "id": [3e9]}, "column 'id' holds numbers beyond 2147483647"),
        ({**ROW, "id": [-(2**31) - 1]}, "column 'id' holds numbers beyond"),
        ({**ROW, "id": [1.5]}, "column 'id' must hold whole numbers"),
        ({**ROW, "t_us": [1.5]}, "column 't_us' must hold whole numbers"),
        ({**ROW, "t_us": [np.nan]}, "column 't_us' must hold whole numbers"),
        ({**ROW, "t_us": [1e300]}, "column 't_us' holds numbers beyond"),
        ({**ROW, "band": [np.inf]}, "column 'band' holds numbers beyond"),
    ],
)
def test_columns_refused(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(TableError, match=message):
        Tracks.from_columns(columns)


def test_a_band_that_is_missing_is_outside_all_bands() -> None:
    assert Tracks.from_columns({**ROW, "band": [np.nan]}).band.tolist() == [-1]


HEAD = "t_us,id,x_px,y_px\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "without a header line"),
        ("a.csv", "t_us,id\n1,2\n", "needs the column 'x_px'"),
        ("a.csv", HEAD + "1,2,3\n", "row 2 has 3 fields where the header has 4"),
        ("a.csv", HEAD + "1,2,3,x\n", "not a readable table"),
        ("a.csv", HEAD + "1.5,2,3,4\n", "not a readable table"),
        ("a.csv", HEAD + ",2,3,4\n", "not a readable table"),
        ("a.csv", HEAD + f"{10**30},2,3,4\n", "not a readable table"),
        ("a.csv", HEAD + "1,2.5,3,4\n", "column 'id' must hold whole numbers"),
        ("a.csv", "t_us,id,x_px,y_px,id\n1,2,3,4,5\n", "names a column twice"),
        ("a.jsonl", "", "the table is empty"),
        ("a.jsonl", '{"meta": {}}\n{"t_us": 1, "id": 2', "not a readable table"),
        ("a.jsonl", '{"meta": {}}\n[1, 2]\n', "not a readable table"),
        ("a.jsonl", '{"meta": 5}\n', "not a readable table"),
        ("a.jsonl", '{"t_us": null, "id": 1, "x_px": 1, "y_px": 1}\n', "not a readable table"),
        ("a.jsonl", '{"t_us": 1.5, "id": 1, "x_px": 1, "y_px": 1}\n', "'t_us' must hold whole numbers"),
        ("a.jsonl", '{"t_us": 1, "id": 1, "x_px": 1, "y_px": 1}\n{"t_us": 2}\n', "not a readable table"),
        pytest.param("a.parquet", "PAR1 no", "not a readable table", marks=needs_parquet),
        ("a.txt", "x", r"the suffix must be .csv, .jsonl or .parquet"),
    ],
)
def test_files_refused(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(TableError, match=message) as caught:
        Tracks.read(tmp_path / name)
    assert name in str(caught.value)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_truncated_or_mutated(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Tracks.from_columns({**ROW, "name": ["a"]}, {"version": "1"}).write(path)
    content = path.read_bytes()
    generator = np.random.default_rng(0)
    variants = [content[:length] for length in range(len(content))] if suffix != ".parquet" else []
    for _ in range(200):
        mutated = bytearray(content)
        mutated[generator.integers(len(mutated))] = generator.integers(256)
        variants.append(bytes(mutated))
    for variant in variants:
        path.write_bytes(variant)
        try:
            table = Tracks.read(path)
        except TableError as error:
            assert path.name in str(error)  # noqa: PT017 - most variants are readable
        else:
            assert len(table) <= 2


def test_places(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="does not exist or is not a file"):
        Tracks.read(tmp_path / "nowhere.csv")
    with pytest.raises(TableError, match=r"cannot write tracks to .*a\.txt"):
        Tracks.empty().write(tmp_path / "a.txt")


def test_parquet_without_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    message = 'needs pyarrow; install it with: pip install "pyarrow'
    with pytest.raises(TableError, match=message):
        Tracks.empty().write(tmp_path / "a.parquet")
    (tmp_path / "a.parquet").touch()
    with pytest.raises(TableError, match=message):
        Tracks.read(tmp_path / "a.parquet")


@settings(max_examples=40)
@given(tracks(), st.integers(0, 3))
def test_where(table: Tracks, number: int) -> None:
    part = table.where(table.id == number)
    assert (part.id == number).all()
    assert len(part) == np.count_nonzero(table.id == number)
    assert part.meta == table.meta


def test_jsonl_of_earlier_versions_is_read(tmp_path: Path) -> None:
    table = Tracks.from_columns(ROW, {"version": "1"})
    with (tmp_path / "a.jsonl").open("w") as handle:
        table.write_jsonl(handle)
    back = Tracks.read(tmp_path / "a.jsonl")
    assert back.meta == {"version": "1"}
    assert back.x_px.tolist() == [1.5]


# --- in other libraries' hands ---------------------------------------------------------------------------------------

MANY = {
    "t_us": [1_600_000_000_000_001, 2_000_000_000_000_000, 2_000_000_000_000_000], "id": [3, 3, 7],
    "x_px": [1.25, 2.0, 3.0], "y_px": [4.0, 5.0, 6.0], "speed_px_s": [7.0, np.nan, 9.0], "name": ["a", "b", "c"],
}  # fmt: skip


def many() -> Tracks:
    return Tracks.from_columns(MANY, {"version": "1"})


def test_short_repr_and_the_objects() -> None:
    assert repr(many()) == "Tracks(3 rows, 2 objects, 1.6e+09 to 2e+09 s, name)"
    assert repr(Tracks.empty()) == "Tracks(no rows)"
    assert [(id_, each.x_px.tolist()) for id_, each in many().by_object()] == [(3, [1.25, 2.0]), (7, [3.0])]
    assert list(Tracks.empty().by_object()) == []


def test_pandas_gets_the_table_and_its_meta_data(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    frame = many().to_pandas()
    assert list(frame.columns) == [*COLUMNS, "name"]
    assert frame["t_us"].tolist() == MANY["t_us"]  # exact: no double in between
    assert frame["speed_px_s"].isna().tolist() == [False, True, False]
    assert frame.attrs == {"version": "1"}
    many().write(tmp_path / "a.jsonl")
    read = pd.read_json(tmp_path / "a.jsonl", lines=True)
    assert list(read.columns) == [*COLUMNS, "name"]
    assert len(read) == 3
    assert read["id"].tolist() == [3, 3, 7]


def test_polars_gets_it_by_name_and_by_arrows_interface() -> None:
    pl = pytest.importorskip("polars")
    pytest.importorskip("pyarrow")
    for frame in (many().to_polars(), pl.DataFrame(many())):
        assert frame.columns == [*COLUMNS, "name"]
        assert frame["t_us"].to_list() == MANY["t_us"]
        assert frame["speed_px_s"].to_list() == [7.0, None, 9.0]
        assert frame["id"].dtype == pl.Int32


@needs_parquet
def test_arrow_is_what_a_parquet_file_holds(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    many().write(tmp_path / "a.parquet")
    assert pq.read_table(tmp_path / "a.parquet").equals(many().to_arrow())
    assert pa.table(many()).equals(many().to_arrow())
    assert json.loads(many().to_arrow().schema.metadata[b"velocell"]) == {"version": "1"}


def test_what_is_not_installed_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from velocell.data import arrow

    monkeypatch.setattr(arrow.importlib.util, "find_spec", lambda name: None)
    for method, package in (("to_pandas", "pandas"), ("to_polars", "polars"), ("to_arrow", '"pyarrow')):
        with pytest.raises(TableError, match=f"pip install {package}"):
            getattr(many(), method)()
