"""Tables as text: the core's lines against Python's own numbers."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from velocell._native import table_lines
from velocell.data.tables import as_json, as_text, write_csv, write_jsonl, write_table
from velocell.errors import TableError

NAMES = {"x_px": 3, "heading_deg": 2, "accel_px_s2": 1, "an_extra": 6}
# Ties of the decimals, and their neighbours, are where a wrong rounding shows.
TIES = st.integers(-(10**6), 10**6).map(lambda k: (k + 0.5) / 1000)
NEAR_TIES = st.builds(np.nextafter, TIES, st.sampled_from([-np.inf, np.inf])).map(float)
NUMBERS = st.one_of(
    st.floats(), st.floats(-5000, 5000), TIES, NEAR_TIES, st.sampled_from([-0.0, -0.0004, 0.125, 2.5, 3e-5])
)


@given(st.lists(st.tuples(NUMBERS, st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=20))
def test_rows_are_written_as_python_writes_their_numbers(rows: list[tuple[float, int]]) -> None:
    values, whole = np.array([row[0] for row in rows]), np.array([row[1] for row in rows], np.int64)
    columns = {"t_us": whole, **dict.fromkeys(NAMES, values)}
    handle = io.StringIO()
    write_csv(handle, [columns])
    lines = list(csv.reader(io.StringIO(handle.getvalue())))
    assert lines[0] == list(columns)
    for line, value, number in zip(lines[1:], values.tolist(), whole.tolist(), strict=True):
        texts = ["" if np.isnan(value) else f"{value:.{digits}f}" for digits in NAMES.values()]
        assert line == [str(number), *texts]


@given(st.lists(st.one_of(TIES, NEAR_TIES, st.floats(-1e9, 1e9)), min_size=1, max_size=50))
def test_the_core_writes_every_plain_number_itself(values: list[float]) -> None:
    column = np.array(values)
    lines = table_lines([np.arange(column.size), column], [-1, 3], ["", ","], False)
    assert lines == "".join(f"{k},{text}\n" for k, text in enumerate(as_text("x_px", column)))


@given(st.lists(st.tuples(NUMBERS, st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=20))
def test_json_lines_are_written_as_python_writes_their_numbers(rows: list[tuple[float, int]]) -> None:
    values, whole = np.array([row[0] for row in rows]), np.array([row[1] for row in rows], np.int64)
    handle = io.StringIO()
    write_jsonl(handle, [{"t_us": whole, **dict.fromkeys(NAMES, values)}], None)
    expected = [
        {"t_us": number, **{name: None if np.isnan(value) else round(value, digits) for name, digits in NAMES.items()}}
        for value, number in zip(values.tolist(), whole.tolist(), strict=True)
    ]
    assert handle.getvalue() == "".join(f"{json.dumps(row)}\n" for row in expected)


@given(st.lists(st.one_of(TIES, NEAR_TIES, st.floats(-1e9, 1e9)), min_size=1, max_size=50))
def test_the_core_writes_json_of_every_plain_number_itself(values: list[float]) -> None:
    column = np.array([*values, np.nan])
    lines = table_lines([np.arange(column.size), column], [-1, 3], ['{"k": ', ', "v": '], True)
    texts = as_json("x_px", column)
    assert lines == "".join(f'{{"k": {k}, "v": {text}}}\n' for k, text in enumerate(texts))


@pytest.mark.parametrize("meta", [{"text": "a}\nb"}, {}])
@pytest.mark.parametrize("names", [["a", "b"], ["a", "b", "name}\n"]])
def test_the_first_row_has_the_meta_data(meta: dict[str, Any], names: list[str]) -> None:
    """In numbers, and where a column is of texts."""
    columns = {"t_us": np.arange(2), "name": np.array(names[-2:]), names[-1]: np.array([1e-5, 2.0])}
    for part in (columns, {name: values for name, values in columns.items() if name != "name"}):
        handle = io.StringIO()
        write_jsonl(handle, [{name: values[:0] for name, values in part.items()}, part, part], meta)
        rows = [json.loads(line) for line in handle.getvalue().splitlines()]
        plain = [{name: values[k].item() for name, values in part.items()} for k in (0, 1, 0, 1)]
        assert rows == [{**plain[0], "meta": meta}, *plain[1:]]


@pytest.mark.parametrize(("json_lines", "value"), [(True, 9e-5), (True, -4e-5), (False, 1e300), (True, 2.0**52 / 1e6)])
def test_it_leaves_numbers_with_an_exponent_to_python(json_lines: bool, value: float) -> None:
    assert table_lines([np.array([value])], [6], [""], json_lines) is None


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e300, 2.0**52 / 1000])
def test_it_leaves_other_numbers_to_python(value: float) -> None:
    assert table_lines([np.array([1.0, value]), np.array([1.0, 2.0])], [3, 3], ["", ","], False) is None


@pytest.mark.parametrize(
    ("columns", "decimals"),
    [([], []), ([np.zeros(2)], [3, 3]), ([np.zeros(2), np.zeros(3)], [3, 3]), ([np.zeros(2), np.zeros(2)], [3, 10])],
)
def test_columns_that_do_not_fit_are_refused(columns: list[np.ndarray], decimals: list[int]) -> None:
    with pytest.raises(ValueError, match="column"):
        table_lines(columns, decimals, [""] * len(columns), False)


PART = {"t_us": np.arange(3), "x_px": np.arange(3) / 4, "name": np.array(["a", "b", "c"])}


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_part_without_columns_is_of_no_rows(tmp_path: Path, suffix: str) -> None:
    for name, parts in (("one", [PART]), ("more", [{}, PART, {}])):
        write_table(tmp_path / f"{name}{suffix}", parts, {"a": 1})
    one, more = ((tmp_path / f"{name}{suffix}").read_bytes() for name in ("one", "more"))
    assert one == more


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ([], "a table without columns cannot be written"),
        ([{}], "a table without columns cannot be written"),
        ([PART, {"t_us": np.arange(3), "x_px": np.arange(3)}], "has the columns t_us, x_px, the first one t_us, x_px"),
        ([PART, dict(reversed(PART.items()))], "has the columns name, x_px, t_us, the first one t_us, x_px, name"),
    ],
    ids=["no part", "no columns", "fewer columns", "another order"],
)
def test_parts_that_make_no_table_are_refused(tmp_path: Path, suffix: str, parts: list[Any], told: str) -> None:
    with pytest.raises(TableError, match=told):
        write_table(tmp_path / f"a{suffix}", parts, {})
    assert not list(tmp_path.iterdir())
