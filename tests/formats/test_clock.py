"""Units of time are told apart alike in every format that leaves them open, or refused; 32-bit clocks are unwrapped."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from velocell import formats
from velocell.data.recording import Recording
from velocell.errors import RecordingError
from velocell.formats.clock import inferred_unit
from velocell.formats.columns import Unwrapped

KINDS = ("npz", "npy", "csv", "h5")
EPOCH_US = 1_700_000_000_123_457


def times_us(n: int = 2_000, first: int = 0, span: int = 3_000_000) -> NDArray[np.int64]:
    return np.sort(np.random.default_rng(3).integers(first, first + span, n))


def saved(folder: Path, kind: str, t: NDArray[Any]) -> Path:
    n = len(t)
    x, y, p = np.arange(n) * 7 % 50, np.arange(n) * 11 % 40, np.arange(n) % 2
    path = folder / f"cam.{kind}"
    if kind == "npz":
        np.savez(path, t=t, x=x, y=y, p=p)
    elif kind == "npy":
        table = np.zeros(n, [("t", t.dtype), ("x", "i4"), ("y", "i4"), ("p", "i4")])
        table["t"], table["x"], table["y"], table["p"] = t, x, y, p
        np.save(path, table)
    elif kind == "csv":
        rows = zip(t.tolist(), x.tolist(), y.tolist(), p.tolist(), strict=True)
        path.write_text("t,x,y,p\n" + "".join(f"{a!r},{b},{c},{d}\n" for a, b, c, d in rows))
    else:
        h5py = pytest.importorskip("h5py", reason="h5py is not installed")
        with h5py.File(path, "w") as file:
            for name, column in zip("txyp", (t, x, y, p), strict=True):
                file[f"events/{name}"] = column
    return path


def read(folder: Path, kind: str, t: NDArray[Any], **options: Any) -> Recording:
    return formats.read(saved(folder, kind, t), **options)


@pytest.mark.parametrize("kind", KINDS)
class TestUnits:
    @pytest.mark.parametrize("first", [0, EPOCH_US])
    def test_microseconds(self, tmp_path: Path, kind: str, first: int) -> None:
        t = times_us(first=first)
        assert read(tmp_path, kind, t).t_us.tolist() == t.tolist()

    def test_seconds_with_six_decimals(self, tmp_path: Path, kind: str) -> None:
        t = times_us()
        assert read(tmp_path, kind, t / 1e6).t_us.tolist() == t.tolist()

    def test_nanoseconds_since_1970(self, tmp_path: Path, kind: str) -> None:
        t = times_us(first=EPOCH_US)
        assert read(tmp_path, kind, t * 1_000).t_us.tolist() == t.tolist()

    @pytest.mark.parametrize(
        ("unit", "factor", "why"),
        [
            ("ms", 1e-3, "with 3 decimals"),
            ("us", 1 + 1e-7 / 3, "numbers with decimals that run over"),
            ("ns", 1_000, "multiples of 1000"),
        ],
    )
    def test_doubtful_ones_are_refused_and_the_option_settles_them(
        self, tmp_path: Path, kind: str, unit: str, factor: float, why: str
    ) -> None:
        t = times_us()
        with pytest.raises(RecordingError, match=f"unit of its times is unclear.*{why}.*--time-unit"):
            read(tmp_path, kind, t * factor)
        got = read(tmp_path, kind, t * factor, time_unit=unit).t_us
        assert np.abs(got - t).max() <= 1

    def test_nanoseconds_of_a_fine_clock_are_not_taken_for_a_quiet_hour(self, tmp_path: Path, kind: str) -> None:
        t = times_us() * 1_000 + 7
        with pytest.raises(RecordingError, match=r"2000 events in 2\d\d\d s if they are in us; they may be in ns"):
            read(tmp_path, kind, t + np.arange(len(t)))

    def test_more_than_a_day(self, tmp_path: Path, kind: str) -> None:
        with pytest.raises(RecordingError, match="more than a day if they are in us"):
            read(tmp_path, kind, times_us(span=100_000_000_000) | 1)

    @pytest.mark.parametrize("n", [2_000, 70_000])
    def test_a_clock_of_32_bits_is_unwrapped(self, tmp_path: Path, kind: str, n: int) -> None:
        t = times_us(n, first=(1 << 32) - 1_500_000)
        recording = read(tmp_path, kind, (t % (1 << 32)).astype(np.int64 if kind == "csv" else np.uint32))
        assert recording.t_us.tolist() == t.tolist()
        assert "1 wraps of the time counter, undone" in recording.notes
        assert not any("back" in note for note in recording.notes)


def test_formats_that_state_their_unit_refuse_another(tmp_path: Path) -> None:
    path = tmp_path / "a.dat"
    formats.write_dat([Recording.from_arrays([1, 2], [3, 4], [5, 6], [0, 1], width=9, height=9)], path)
    with pytest.raises(RecordingError, match=r"sets the unit of its times; drop --time-unit"):
        formats.read(path, time_unit="ms")


@given(
    t=st.lists(st.integers(0, 1 << 28), min_size=1, max_size=200).map(lambda gaps: np.cumsum([0, *gaps])),
    first=st.integers(0, (1 << 32) - 1),
    seed=st.integers(0, 99),
)
def test_unwrapping_gives_back_any_clock_in_any_pieces(t: NDArray[np.int64], first: int, seed: int) -> None:
    whole = t + first
    cuts = sorted(random.Random(seed).choices(range(len(t) + 1), k=3))
    unwrap = Unwrapped()
    pieces = [unwrap((piece % (1 << 32)).astype(np.uint32)) for piece in np.split(whole, cuts)]
    assert np.concatenate([piece.astype(np.int64) for piece in pieces]).tolist() == whole.tolist()
    assert unwrap.wraps == int(whole[-1] >> 32)


@given(st.lists(st.integers(0, 80_000_000_000), min_size=2, max_size=50, unique=True).map(sorted))
def test_seconds_are_never_taken_for_another_unit(t: list[int]) -> None:
    """Of a clock of 1 us, written in seconds: right, or refused."""
    try:
        assert inferred_unit(np.array(t) / 1e6, "cam")[0] == "s" or not any(value % 1_000_000 for value in t)
    except RecordingError as error:
        assert "--time-unit" in str(error)  # noqa: PT017
