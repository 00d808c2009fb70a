"""Small inputs that people stumbled over, each with its right value."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path

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


def unwrapped(recording: Recording) -> None:
    assert recording.t_us.tolist() == list(range(4294952296, 4294952296 + 300 * 100, 100))
    assert "1 wraps of the time counter, undone" in recording.notes


def fields(recording: Recording) -> None:
    assert len(recording) == 300
    assert recording.p is not None


def nanoseconds(recording: Recording) -> None:
    assert recording.t_us.tolist() == list(range(1_700_000_000_000_000, 1_700_000_000_030_000, 100))


def libcaer(recording: Recording) -> None:
    assert recording.size == (640, 480)
    events = plain_libcaer(CASES / "ros2_libcaer.db3")
    assert len(recording) == 334331
    assert list(zip(*(getattr(recording, name).tolist() for name in ("t_us", "x", "y", "p")), strict=True)) == events


def plain_libcaer(path: Path) -> list[tuple[int, int, int, bool]]:
    """One event after the other; where the camera's time goes back within a message, its clock began anew."""
    events = []
    base = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    for (data,) in base.execute("SELECT data FROM messages"):
        at = data.index(b"libcaer\0")
        high = struct.unpack_from("<Q", data, at - 12)[0]
        n = struct.unpack_from("<I", data, at + 12)[0]
        last = 0
        for word, low in struct.iter_unpack("<II", data[at + 16 : at + 16 + n]):
            high += (low < last) * (1000 << 31)
            last = low
            events.append(((high + 1000 * low) // 1000, word >> 17, word >> 2 & 0x7FFF, word >> 1 & 1 == 1))
    base.close()
    return events


RIGHT: dict[str, Callable[[Recording], None]] = {
    "truefalse.csv": polarities,
    "bare_percent_line.raw": bare_line,
    "u32_wrap.npz": unwrapped,
    "structured.npz": fields,
    "ns_since_1970.npz": nanoseconds,
    "ros2_libcaer.db3": libcaer,
}
REFUSED = {
    "f3.npy": r"array of shape \(10, 20, 30\)",
    "ms_decimals.csv": "unit of its times is unclear: with 3 decimals.* --time-unit s, ms, us or ns",
    "unk.aedat": "DVS1280x720SD",
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs(CASES / name)) for name in RIGHT])
def test_read_right(name: str) -> None:
    RIGHT[name](formats.read(CASES / name))


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs(CASES / name)) for name in REFUSED])
def test_refused_with_its_reason(name: str) -> None:
    with pytest.raises(RecordingError, match=REFUSED[name]):
        formats.read(CASES / name)


@needs(CASES / "ms_decimals.csv")
@pytest.mark.parametrize(("unit", "last_us"), [("ms", 7_400), ("s", 7_400_000)])
def test_the_option_settles_the_unit(unit: str, last_us: int) -> None:
    recording = formats.read(CASES / "ms_decimals.csv", time_unit=unit)
    assert (recording.t_us[0], recording.t_us[-1]) == (51 * last_us // 7_400, last_us)
