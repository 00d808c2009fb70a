"""`.npz` recordings: round trips, other people's arrays, and archives that are damaged or hostile."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import EPOCH_US, assert_same_recording, read_or_refused, recordings

from velocell import formats
from velocell.data.recording import Recording
from velocell.errors import RecordingError, VelocellError

EVENTS: dict[str, Any] = {"t": np.array([5, 6, 6]), "x": np.array([1, 2, 3]), "y": np.array([4, 0, 0])}
# One folder serves all examples of a test.


def saved(folder: Path, **arrays: Any) -> Path:
    path = folder / "cam.npz"
    np.savez(path, **arrays)
    return path


@given(recording=recordings(), compress=st.booleans())
def test_round_trip(tmp_path: Path, recording: Recording, compress: bool) -> None:
    path = tmp_path / "cam.npz"
    formats.write_npz(recording, path, compress=compress)
    assert_same_recording(formats.read(path), recording)
    with zipfile.ZipFile(path) as members:
        packed = {member.compress_type for member in members.infolist()}
    assert packed == {zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED}


def test_the_contract(tmp_path: Path) -> None:
    recording = formats.read(saved(tmp_path, **EVENTS, p=np.array([0, 1, 1]), width=640, height=480))
    assert recording.size == (640, 480)
    assert recording.p.tolist() == [False, True, True]
    assert (recording.start_us, recording.stop_us) == (5, 7)
    assert recording.source == str(tmp_path / "cam.npz")
    assert not any("inferred" in note for note in recording.notes)


def test_without_polarity_and_size(tmp_path: Path) -> None:
    recording = formats.read(saved(tmp_path, **EVENTS))
    assert recording.p is None
    assert recording.size == (4, 5)
    assert any("4x5 inferred" in note for note in recording.notes)


def test_given_size_wins_and_is_noted(tmp_path: Path) -> None:
    recording = formats.read(saved(tmp_path, **EVENTS, width=640, height=480), size=(10, 8))
    assert recording.size == (10, 8)
    assert "sensor size 10x8 as given; the file says 640x480" in recording.notes


@pytest.mark.parametrize("names", ["t_us x y polarity", "ts x y pol", "timestamps xs ys ps", "timestamp x y p"])
def test_other_names(tmp_path: Path, names: str) -> None:
    columns = [*EVENTS.values(), np.array([1, 0, 1])]
    path = saved(tmp_path, **dict(zip(names.split(), columns, strict=True)))
    recording = formats.read(path)
    assert recording.t_us.tolist() == [5, 6, 6]
    assert recording.p.tolist() == [True, False, True]


def test_the_name_t_wins_and_unused_arrays_are_named(tmp_path: Path) -> None:
    objects = np.array([{"a": 1}], dtype=object)
    recording = formats.read(saved(tmp_path, **EVENTS, ts=np.arange(3), frames=np.zeros((2, 2)), meta=objects))
    assert recording.t_us.tolist() == [5, 6, 6]
    assert "arrays not used: frames, meta, ts" in recording.notes


def test_other_number_types(tmp_path: Path) -> None:
    path = saved(
        tmp_path,
        t=np.array([EPOCH_US - 2, EPOCH_US - 1, EPOCH_US], ">u8"),
        x=np.array([1, 2, 3], ">i2"),
        y=np.array([1.0, 2.0, 3.0], np.float32),
        p=np.array([-1, 1, 1], np.int8),
        width=np.array([20], np.uint16),
        height=np.float64(9),
    )
    recording = formats.read(path)
    assert recording.t_us.tolist() == [EPOCH_US - 2, EPOCH_US - 1, EPOCH_US]
    assert recording.x.tolist() == [1, 2, 3]
    assert recording.p.tolist() == [False, True, True]
    assert recording.size == (20, 9)


def test_without_events(tmp_path: Path) -> None:
    none = np.empty(0)
    recording = formats.read(saved(tmp_path, t=none, x=none, y=none, width=30, height=20))
    assert len(recording) == 0
    assert recording.size == (30, 20)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"t": np.array([1, "a", None], dtype=object)}, "array 't' holds Python objects, which could run code"),
        ({"t": np.array(["a", "b", "c"])}, "array 't' holds <U1, not numbers"),
        ({"t": None}, "has no array 't', only x, y; save t, x"),
        ({"t": None, "ts": np.arange(3), "timestamps": np.arange(3)}, "several arrays for t: timestamps, ts"),
        ({"x": np.arange(2)}, "one entry per event, got lengths t 3, x 2, y 3"),
        ({"p": np.ones(4)}, "one entry per event, got lengths t 3, x 3, y 3, p 4"),
        ({"y": np.zeros((3, 1))}, r"y must be one-dimensional, got shape \(3, 1\)"),
        ({"t": np.array([-5, 7, 8])}, "the first time is -5 us"),
        ({"t": np.array([0.5, 7, 8])}, "unit of its times is unclear: with 1 decimals.* --time-unit s, ms, us or ns"),
        ({"t": np.array([5, np.nan, 8])}, "not numbers"),
        ({"x": np.array([5, np.nan, 8])}, "must be whole numbers"),
        ({"p": np.array([0, 1, 7])}, "must hold only 0 and 1"),
        ({"width": 10}, "only one of 'width' and 'height'"),
        ({"width": 10.5, "height": 4}, "'width' must be one whole number"),
        ({"width": np.nan, "height": 4}, "'width' must be one whole number"),
        ({"width": np.arange(2), "height": 4}, "'width' must be one whole number"),
        ({"width": 0, "height": 4}, "sensor size 0x4"),
        ({"start_us": 6}, "only one of 'start_us' and 'stop_us'"),
        ({"t": None, "t_us": np.arange(3), "channel": np.arange(3), "layer": np.arange(3)}, "holds spikes"),
    ],
)
def test_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    arrays = {name: value for name, value in {**EVENTS, **changes}.items() if value is not None}
    path = saved(tmp_path, **arrays)
    with pytest.raises(RecordingError, match=message) as caught:
        formats.read(path)
    assert "cam.npz" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("compress", [False, True])
def test_truncated_anywhere(tmp_path: Path, compress: bool) -> None:
    path = tmp_path / "cam.npz"
    formats.write_npz(Recording.from_arrays([1, 2], [3, 4], [5, 6]), path, compress=compress)
    whole = path.read_bytes()
    # Every third byte, and every one of the directory's end, without which nothing is an archive.
    for length in (*range(0, len(whole), 3), *range(len(whole) - 25, len(whole))):
        path.write_bytes(whole[:length])
        with pytest.raises(RecordingError, match=r"cam\.npz"):
            formats.read(path)


@given(data=st.data())
def test_mutated_anywhere(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "cam.npz"
    formats.write_npz(Recording.from_arrays([1, 2], [3, 4], [5, 6]), path, compress=data.draw(st.booleans()))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    read_or_refused(path)


def test_a_flipped_data_byte_is_noticed(tmp_path: Path) -> None:
    path = saved(tmp_path, t=np.arange(100) + 2**40, x=np.zeros(100, np.uint16), y=np.zeros(100, np.uint16))
    content = bytearray(path.read_bytes())
    at = content.find((2**40 + 50).to_bytes(8, "little"))
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(RecordingError, match="damaged or incomplete"):
        formats.read(path)


def with_header(text: str, data: bytes) -> bytes:
    """An array member with the header `text`, as numpy.lib.format writes it."""
    header = text.ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


@pytest.mark.parametrize(
    "shape", ["(10**15,)", "(1000000000000000,)", "(-3,)", "(4,)", "(True,)", "'a'", "(4611686018427387904, 4)"]
)
def test_shapes_that_do_not_fit(tmp_path: Path, shape: str) -> None:
    path = saved(tmp_path, x=np.arange(3), y=np.arange(3))
    with zipfile.ZipFile(path, "a") as members:
        header = f"{{'descr': '<i8', 'fortran_order': False, 'shape': {shape}}}"
        members.writestr("t.npy", with_header(header, bytes(24)))
    tracemalloc.start()
    with pytest.raises(RecordingError, match="damaged or incomplete"):
        formats.read(path)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_a_header_that_python_finds_odd(tmp_path: Path) -> None:
    """Python 2 wrote shapes such as (3L,); NumPy reads them, and warns."""
    path = saved(tmp_path, x=np.arange(3), y=np.arange(3))
    with zipfile.ZipFile(path, "a") as members:
        header = "{'descr': '<i8', 'fortran_order': False, 'shape': (3L,)}"
        members.writestr("t.npy", with_header(header, bytes(24)))
    assert formats.read(path).t_us.tolist() == [0, 0, 0]


def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cam.npz"
    zeros = np.zeros(200_000, np.int64)
    np.savez_compressed(path, t=zeros, x=zeros, y=zeros)
    assert len(formats.read(path)) == 200_000
    monkeypatch.setattr("velocell.data.budget._EVENTS", 1 << 10)
    with pytest.raises(RecordingError, match=r"asks for 2e\+05 events, more than .* allow more with --budget"):
        formats.read(path)
    assert len(formats.read(path, budget=1000)) == 200_000
    np.savez(path, t=zeros, x=zeros, y=zeros)
    assert len(formats.read(path)) == 200_000


def test_encrypted(tmp_path: Path) -> None:
    path = saved(tmp_path, **EVENTS)
    content = bytearray(path.read_bytes())
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = 0
        while (start := content.find(signature, start)) >= 0:
            content[start + at] |= 1
            start += 1
    path.write_bytes(content)
    with pytest.raises(RecordingError, match="encrypted"):
        formats.read(path)


@pytest.mark.parametrize(
    ("changes", "told", "times"),
    [
        ({"t": np.array([5, 7, 6])}, "1 steps back in time", [5, 6, 7]),
        ({"x": np.array([5, -1, 8])}, "1 events outside the sensor", [5, 6]),
        ({"x": np.array([5, 10, 8]), "width": 10, "height": 10}, "1 events outside the sensor", [5, 6]),
        ({"start_us": 6, "stop_us": 7}, "1 events outside the span", [5, 6, 6]),
        ({"start_us": 5, "stop_us": 6}, "2 events outside the span", [5, 6, 6]),
    ],
)
def test_repaired_and_told(tmp_path: Path, changes: dict[str, Any], told: str, times: list[int]) -> None:
    path = saved(tmp_path, **{**EVENTS, **changes})
    recording = formats.read(path)
    assert recording.t_us.tolist() == times
    assert told in "; ".join(recording.notes)
    with pytest.raises(RecordingError, match="read it without --strict"):
        formats.open_recording(path, strict=True).read()


@pytest.mark.parametrize("compress", [False, True])
def test_memory(tmp_path: Path, compress: bool) -> None:
    n = 2_000_000
    zeros = np.zeros(n, np.uint16)
    path = tmp_path / "cam.npz"
    formats.write_npz(Recording.from_arrays(np.arange(n), zeros, zeros, zeros > 0), path, compress=compress)
    tracemalloc.start()
    events = sum(map(len, formats.open_recording(path).blocks()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert events == n
    # 13 bytes an event would be the recording itself.
    assert peak < 13 * n / 2


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cam.npz"
    first = Recording.from_arrays([1], [2], [3])
    formats.write_npz(first, path)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(VelocellError, match="no space left on device; free some space"):
        formats.write_npz(Recording.from_arrays([9], [9], [9]), path)
    assert_same_recording(formats.read(path), first)
    assert list(tmp_path.iterdir()) == [path]


def test_readable_with_numpy_alone(tmp_path: Path) -> None:
    formats.write_npz(Recording.from_arrays([1], [2], [3], [1], width=7, height=8), tmp_path / "cam.npz")
    with np.load(io.BytesIO((tmp_path / "cam.npz").read_bytes()), allow_pickle=False) as arrays:
        assert {name: arrays[name].tolist() for name in arrays} == {
            "t": [1], "x": [2], "y": [3], "p": [True], "width": 7, "height": 8, "start_us": 1, "stop_us": 2,
        }  # fmt: skip


# --- as people have them ------------------------------------------------------------------------------------


def five_thousand() -> dict[str, np.ndarray]:
    random = np.random.default_rng(4)
    return {
        "t": np.sort(random.integers(10, 3_000_000, 5_000)),
        "x": random.integers(0, 80, 5_000),
        "y": random.integers(0, 60, 5_000),
        "p": random.integers(0, 2, 5_000),
    }


FIELDS = [("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "i1")]


def as_fields(events: dict[str, np.ndarray]) -> np.ndarray:
    table = np.zeros(5_000, FIELDS)
    for name in "txyp":
        table[name] = events[name]
    return table


LAYOUTS: dict[str, Any] = {
    "upper case": lambda e: {name.upper(): e[name] for name in "txyp"},
    "seconds by name": lambda e: {"t_s": e["t"] / 1e6, "x": e["x"], "y": e["y"], "p": e["p"]},
    "nanoseconds by name": lambda e: {"t_ns": e["t"] * 1000, "x": e["x"], "y": e["y"], "p": e["p"]},
    "decimals without a name": lambda e: {**e, "t": e["t"] * 1e-6},
    "xy": lambda e: {"t": e["t"], "xy": np.stack([e["x"], e["y"]], 1), "p": e["p"]},
    "xy by column": lambda e: {"t": e["t"], "xy": np.stack([e["x"], e["y"]]).T, "p": e["p"]},
    "fields": lambda e: {"events": as_fields(e)},
    "fields under another name, beside frames": lambda e: {"data": as_fields(e), "frames": np.zeros((3, 4, 5))},
    "table": lambda e: {"arr_0": np.stack([e["t"], e["x"], e["y"], e["p"]], 1)},
    "table by column": lambda e: {"event_data": np.stack([e["x"], e["y"], e["t"], e["p"]]).T},
    "table turned": lambda e: {"events": np.stack([e["x"], e["y"], e["t"], e["p"]])},
    "table in seconds": lambda e: {"events": np.stack([e["t"] / 1e6, e["x"], e["y"], e["p"] * 2 - 1], 1)},
}


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(tmp_path: Path, layout: str, compress: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("velocell.formats.arrays.npz._BLOCK", 1_500)
    events = five_thousand()
    path = tmp_path / "cam.npz"
    (np.savez_compressed if compress else np.savez)(path, **LAYOUTS[layout](events))
    recording = formats.read(path)
    assert recording.p is not None
    for name, column in zip("txyp", (recording.t_us, recording.x, recording.y, recording.p), strict=True):
        assert column.tolist() == events[name].tolist(), name


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"voxels": np.zeros((5, 20, 30), np.float32)}, r"'voxels' is .* \(5, 20, 30\), a voxel grid, or frames"),
        ({"frames": np.zeros((5, 20, 30), np.uint8)}, r"'frames' is .* a stack of frames"),
        ({"a": np.ones((9, 4)), "b": np.ones((9, 4))}, "several arrays that may hold events: a, b"),
        ({"events": np.ones((0, 4))}, "a table without rows"),
        ({"events": np.ones((9, 4))}, "cannot tell which columns"),
    ],
)
def test_what_is_no_list_of_events(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(RecordingError, match=message):
        formats.read(saved(tmp_path, **arrays))
