"""Small inputs that people stumbled over, each with its right value."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.helpers.places import CASES, needs
from velocell import formats
from velocell.data.recording import Recording
from velocell.errors import RecordingError


def polarities(recording: Recording) -> None:
    assert len(recording) == 99
    assert recording.t_us[:2].tolist() == [51, 93]
    assert recording.p is not None
    assert recording.p[:4].tolist() == [False, True, True, False]


def bare_line(recording: Recording) -> None:
    assert recording.size == (96, 64)
    assert len(recording) == 686
    assert recording.t_us[[0, 1, -1]].tolist() == [51, 93, 25267]


RIGHT: dict[str, Callable[[Recording], None]] = {
    "truefalse.csv": polarities,
    "bare_percent_line.raw": bare_line,
}
REFUSED = {
    "f3.npy": r"array of shape \(10, 20, 30\)",
    "unk.aedat": "DVS1280x720SD",
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs(CASES / name)) for name in RIGHT])
def test_read_right(name: str) -> None:
    RIGHT[name](formats.read(CASES / name))


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs(CASES / name)) for name in REFUSED])
def test_refused_with_its_reason(name: str) -> None:
    with pytest.raises(RecordingError, match=REFUSED[name]):
        formats.read(CASES / name)
