"""Single NumPy arrays and N-MNIST's binary files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import SHARED
from strategies import assert_same_recording, read_or_refused

from velocell import formats
from velocell.data.recording import Recording
from velocell.errors import RecordingError
from velocell.formats import nmnist
from velocell.formats.arrays import npy

DIGIT = SHARED / "nmnist.bin"
FILES = settings(max_examples=25)


def recording(n: int = 500, side: int = 240) -> Recording:
    rng = np.random.default_rng(5)
    t = np.sort(rng.integers(1, 100_000, n))
    x, y, p = rng.integers(0, side, n), rng.integers(0, side, n), rng.integers(0, 2, n)
    return Recording.from_arrays(t, x, y, p, width=side, height=side)


def refused(path: Path, message: str) -> None:
    with pytest.raises(RecordingError, match=message) as caught:
        formats.read(path)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


# --- NumPy ----------------------------------------------------------------------------------------------


def saved(path: Path, array: Any) -> Path:
    with path.open("wb") as handle:
        np.save(handle, array)
    return path


@pytest.mark.parametrize(
    "fields",
    [
        [("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("p", "?")],
        [("x", "<i2"), ("y", "<i2"), ("p", "i1"), ("timestamp", "<i8"), ("extra", "S3")],
        [("timestamps", "<u8"), ("x_coords", "<u2"), ("y_coords", "<u2"), ("polarities", "?")],
        [("time", "<u8"), ("xCoordinate", "<u2"), ("yCoordinate", "<u2"), ("pol", "?")],
        [("ts", ">u4"), ("xs", ">u2"), ("ys", ">u2"), ("on", "u1")],
    ],
)
def test_fields(tmp_path: Path, fields: list[tuple[str, str]]) -> None:
    events, rows = recording(), np.zeros(500, fields)
    for name in rows.dtype.names or ():
        source = {"t": events.t_us, "x": events.x, "y": events.y, "p": events.p, "o": events.p}
        if name != "extra":
            rows[name] = source[name[0]]
    source = formats.open_recording(saved(tmp_path / "a", rows), size=(240, 240))
    assert_same_recording(source.read(), events)


@pytest.mark.parametrize("order", ["txyp", "xypt", "xytp"])
@pytest.mark.parametrize("by_column", [False, True])
@pytest.mark.parametrize("seconds", [False, True])
def test_tables(tmp_path: Path, order: str, by_column: bool, seconds: bool) -> None:
    events = recording(7_000)
    # The first rows alone do not tell which column is the time.
    t, p = events.t_us.copy(), np.where(events.p, 1, -1)
    t[:1_000], p[:1_000] = 1, 1
    columns = {"t": t / 1e6 if seconds else t, "x": events.x, "y": events.y, "p": p}
    table = np.stack([columns[name] for name in order], axis=1)
    path = saved(tmp_path / "a", np.asfortranarray(table) if by_column else np.ascontiguousarray(table))
    source = formats.open_recording(path, size=(240, 240))
    read = source.read()
    for name, values in (("t_us", t), ("x", events.x), ("y", events.y), ("p", p == 1)):
        np.testing.assert_array_equal(getattr(read, name), values)
    assert any("seconds" in note or "times read as" in note for note in source.notes)


@pytest.mark.parametrize(("unit", "factor"), [("s", 1e-6), ("ms", 1e-3), ("us", 1), ("ns", 1e3)])
def test_units_by_name(tmp_path: Path, unit: str, factor: float) -> None:
    rows = np.zeros(2, [(f"t_{unit}", "<f8"), ("x", "u1"), ("y", "u1")])
    rows[f"t_{unit}"] = np.array([1_000_000, 3_000_000]) * factor
    read = formats.read(saved(tmp_path / "a", rows))
    assert read.t_us.tolist() == [1_000_000, 3_000_000]
    assert read.p is None


def test_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npy, "_BLOCK", 7)
    events = recording(100)
    for order in "CF":
        table = np.stack([events.t_us, events.x, events.y, events.p], axis=1).copy(order)
        assert_same_recording(formats.open_recording(saved(tmp_path / "a", table), size=(240, 240)).read(), events)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 5)), r"of shape \(2, 5\), not a list of events; save an array with the fields"),
        (np.zeros(3), r"of shape \(3,\), not a list of events"),
        (np.array(3), r"bytes for an array of shape \(\)"),
        (np.zeros((0, 4)), "a table without rows"),
        (np.array([[1, 2, 3, 9], [0, 2, 3, 8]]), "cannot tell which columns .* save an array with the fields"),
        (np.zeros(3, [("t", "<i8"), ("x", "<u2")]), "with the fields t, x; save an array"),
        (np.zeros((3, 2), [("t", "<i8"), ("x", "<u2"), ("y", "<u2")]), r"of shape \(3, 2\) with the fields t, x, y"),
        (np.zeros(3, [("t", "<M8[us]"), ("x", "<u2"), ("y", "<u2")]), "fields that are not numbers"),
        (np.zeros(3, "S5"), "not numbers"),
        (np.array([1, None]), "Python objects, which could run code"),
    ],
)
def test_other_arrays(tmp_path: Path, array: np.ndarray, message: str) -> None:
    path = tmp_path / "a"
    with path.open("wb") as handle:
        np.save(handle, array, allow_pickle=True)
    refused(path, message)


def test_a_shape_that_the_file_does_not_hold(tmp_path: Path) -> None:
    path = saved(tmp_path / "a", np.zeros((4, 4), np.int64))
    whole = path.read_bytes()
    for shape in (b"(5, 4)", b"(3, 4)", b"(1 << 60, 4)", b"(9223372036854775807, 4)"):
        path.write_bytes(whole.replace(b"(4, 4)", shape))
        refused(path, "copy or save it again|damaged header")
    path.write_bytes(whole[:-1])
    refused(path, "copy or save it again")


@FILES
@given(data=st.data())
def test_mutations_end_in_a_recording_or_one_sentence(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(saved(tmp_path / "a", np.array([[1, 2, 3, 0], [5, 2, 3, 1]])).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(6, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "a").write_bytes(content)
    read_or_refused(tmp_path / "a")


# --- N-MNIST --------------------------------------------------------------------------------------------


def entries(events: Recording) -> bytes:
    """8 bits x, 8 bits y, 1 bit polarity, 23 bits time."""
    assert events.p is not None
    rows = zip(*(column.tolist() for column in (events.t_us, events.x, events.y, events.p)), strict=True)
    return b"".join((x << 32 | y << 24 | p << 23 | t).to_bytes(5, "big") for t, x, y, p in rows)


def test_digest() -> None:
    if not DIGIT.exists():
        pytest.skip("the recording nmnist.bin is not here")
    events = formats.read(DIGIT)
    sums = (int(column.sum()) for column in (events.t_us - events.t_us[0], events.x, events.y, events.p))
    assert (len(events), *sums) == (4325, 687658855, 74457, 71931, 2145)
    assert events.size == (34, 34)


@pytest.mark.parametrize("side", [34, 240])
@pytest.mark.parametrize("piece", [3, 100_000])
def test_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: int, piece: int) -> None:
    monkeypatch.setattr(nmnist, "_READ_ENTRIES", piece)
    events = recording(side=side)
    (tmp_path / "a").write_bytes(entries(events))
    read = formats.open_recording(tmp_path / "a", size=(side, side) if side > 34 else None).read()
    assert_same_recording(read, events)


@pytest.mark.parametrize("piece", [1, 4, 100_000])
def test_overflow_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    """As in N-Caltech101: 2^13 us go by at each entry in row 240."""
    monkeypatch.setattr(nmnist, "_READ_ENTRIES", piece)
    t = [1, 8_000, 8_191, 5, 9, 11, 8_100, 0, 1, 2, 3]
    y = [1, 2, 240, 2, 2, 2, 240, 1, 1, 1, 200]
    rows = b"".join((7 << 32 | row << 24 | stamp).to_bytes(5, "big") for stamp, row in zip(t, y, strict=True))
    (tmp_path / "a").write_bytes(rows)
    source = formats.open_recording(tmp_path / "a")
    assert source.read().t_us.tolist() == [1, 8_000, 8_197, 8_201, 8_203, 16_384, 16_385, 16_386, 16_387]
    assert source.integrity.facts == {"wraps": 2}


@pytest.mark.parametrize(
    "data", [bytes(50), bytes(500), entries(recording(9, 34)), entries(recording(20, 34))[:-1], bytes(range(1, 251))]
)
def test_other_bytes_are_no_entries(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a").write_bytes(data)
    refused(tmp_path / "a", "of an unknown format")


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("names", ["txyp", "xytp", "txy"])
def test_a_table_whose_columns_are_rows(tmp_path: Path, names: str, order: Any) -> None:
    n = 300
    values = {"t": np.arange(n) * 100, "x": np.arange(n) % 40, "y": np.arange(n) % 30, "p": np.arange(n) % 2}
    np.save(tmp_path / "a.npy", np.array([values[name] for name in names], order=order))
    found = formats.read(tmp_path / "a.npy")
    assert found.t_us.tolist() == values["t"].tolist()
    assert found.x.tolist() == values["x"].tolist()
    assert found.y.tolist() == values["y"].tolist()
    assert (found.p is not None) == ("p" in names)
