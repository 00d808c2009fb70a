"""Columns that grow, in memory or in temporary files."""

from __future__ import annotations

import tempfile

import numpy as np
import pytest

from velocell.data import spool
from velocell.data.spool import Spool
from velocell.errors import VelocellError


def pieces(n: int, rows: int = 100) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(5)
    return [{"t": rng.integers(0, 9, rows), "x": rng.random(rows), "name": np.full(rows, "ab")} for _ in range(n)]


@pytest.mark.parametrize("held", [1 << 30, 5_000])
def test_all_rows_come_back_as_often_as_asked(monkeypatch, held):
    monkeypatch.setattr(spool, "HELD_BYTES", held)
    made = pieces(9)
    with Spool() as rows:
        for piece in made:
            rows.add(piece)
            whole = rows.whole()  # reading in between moves nothing
        assert len(rows) == 900
        for name, values in whole.items():
            np.testing.assert_array_equal(values, np.concatenate([piece[name] for piece in made]))
        parts = list(rows.parts(400))
        assert [len(part["t"]) for part in parts] == [400, 400, 100]
        np.testing.assert_array_equal(np.concatenate([part["x"] for part in parts]), whole["x"])
        np.testing.assert_array_equal(np.concatenate(list(rows.column("t"))), whole["t"])


def test_columns_without_rows_keep_their_types():
    with Spool() as rows:
        rows.add({"t": np.zeros(0, np.int64), "x": np.zeros(0, np.float32)})
        ((part),) = rows.parts()
    assert {name: values.dtype for name, values in part.items()} == {"t": np.int64, "x": np.float32}


@pytest.mark.parametrize("names", [("t",), ("t", "x", "name", "more")])
def test_a_piece_with_other_columns_is_refused(names):
    with Spool() as rows:
        rows.add(pieces(1)[0])
        with pytest.raises(ValueError, match="a piece has the columns t"):
            rows.add(dict.fromkeys(names, np.zeros(3)))


def test_memory_does_not_grow_with_the_rows(monkeypatch):
    monkeypatch.setattr(spool, "HELD_BYTES", 10_000)
    with Spool() as rows:
        for piece in pieces(50):
            rows.add(piece)
            assert sum(values.nbytes for held in rows._held for values in held.values()) <= 10_000


def test_a_full_disk_is_told(monkeypatch):
    monkeypatch.setattr(spool, "HELD_BYTES", 10)

    class Full:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def seek(self, *_):
            pass

        def write(self, _):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", Full)
    with Spool() as rows, pytest.raises(VelocellError, match="free some space, or set TMPDIR"):
        rows.add(pieces(1)[0])
