"""HDF5: files written by h5py in the layouts of public data sets, filters, round trips, and damage."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import EPOCH_US, assert_same_recording, recordings

from velocell import formats
from velocell.data import apart
from velocell.data.recording import Recording
from velocell.errors import RecordingError, VelocellError
from velocell.formats.hdf5 import read as hdf5
from velocell.formats.hdf5.write import write_hdf5

h5py = pytest.importorskip("h5py", reason="the extra 'hdf5' is not installed")
FILES = settings(max_examples=25)


def recording(n: int = 500, start_us: int = 0) -> Recording:
    rng = np.random.default_rng(5)
    t = np.sort(rng.integers(0, 100_000, n)) + start_us
    x, y, p = rng.integers(0, 320, n), rng.integers(0, 240, n), rng.integers(0, 2, n)
    x[0], y[0] = 319, 239
    return Recording.from_arrays(t, x, y, p, width=320, height=240)


def saved(path: Path, datasets: dict[str, Any], attributes: dict[str, Any] | None = None, **packing: Any) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            values = np.asarray(values)
            file.create_dataset(name, data=values, **(packing if values.ndim and values.size else {}))
        file.attrs.update(attributes or {})
    return path


def columns(events: Recording, group: str = "events", offset_us: int = 0) -> dict[str, Any]:
    return {
        f"{group}/t": (events.t_us - offset_us).astype(np.uint32),
        f"{group}/x": events.x,
        f"{group}/y": events.y,
        f"{group}/p": events.p.astype(np.uint8),
    }


def table(events: Recording) -> np.ndarray:
    return np.stack([events.x, events.y, events.t_us / 1e6, np.where(events.p, 1, -1)], axis=1)


def refused(path: Path, message: str) -> None:
    with pytest.raises(RecordingError, match=message) as caught:
        formats.read(path)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


# --- layouts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["t_offset", "events/t_offset"])
def test_dsec_adds_its_offset(tmp_path: Path, where: str) -> None:
    events = recording(start_us=49_599_300_000)
    datasets = columns(events, offset_us=49_599_300_000) | {where: np.int64(49_599_300_000), "ms_to_idx": np.arange(9)}
    source = formats.open_recording(saved(tmp_path / "a", datasets))
    assert_same_recording(source.read(), events)
    assert any("t_offset = 49599300000 us is added" in note for note in source.notes)


def test_mvsec(tmp_path: Path) -> None:
    events = recording(start_us=1_506_117_915_500_000)
    others = {"davis/left/imu": np.zeros((7, 6)), "davis/left/image_raw": np.zeros((3, 2, 2), np.uint8)}
    datasets = {"davis/right/events": table(recording(9)), "davis/left/events": table(events), **others}
    source = formats.open_recording(saved(tmp_path / "a", datasets, chunks=True, compression="gzip"))
    assert_same_recording(source.read(), events)
    assert source.integrity.facts == {"imu_samples": 7, "frames": 3, "other": 9}
    assert any("davis/left/events are read; those in davis/right/events" in note for note in source.notes)


def test_arrays_with_names_come_before_tables(tmp_path: Path) -> None:
    """A table that could be read in several ways is then no obstacle."""
    events = recording()
    source = formats.open_recording(saved(tmp_path / "a", columns(events) | {"a/events": np.zeros((6, 4))}))
    assert source.read().t_us.tolist() == events.t_us.tolist()
    assert source.integrity.facts == {"other": 6}


def test_metavision(tmp_path: Path) -> None:
    events = recording()
    rows = np.zeros(len(events), [("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])
    rows["x"], rows["y"], rows["p"], rows["t"] = events.x, events.y, events.p, events.t_us
    triggers = np.zeros(4, [("p", "<i2"), ("t", "<i8"), ("id", "<i2")])
    path = saved(tmp_path / "a", {"CD/events": rows, "EXT_TRIGGER/events": triggers}, {"geometry": "320x240"})
    source = formats.open_recording(path)
    assert_same_recording(source.read(), events)
    assert source.integrity.facts == {"triggers": 4}
    assert "geometry" in source.size_from


def test_seconds_with_decimals(tmp_path: Path) -> None:
    """As e2vid saves them: the first times may all be whole."""
    events = recording(20_000)
    t = events.t_us / 1e6
    t[:6_000] = 0.0
    datasets = {"events/ts": t, "events/xs": events.x, "events/ys": events.y, "events/ps": events.p}
    path = saved(tmp_path / "a", datasets, {"sensor_resolution": (240, 320)})
    read = formats.read(path)
    assert read.t_us[6_000:].tolist() == events.t_us[6_000:].tolist()
    assert read.size == (320, 240)
    np.testing.assert_array_equal(read.p, events.p)


def test_size_beside_the_events(tmp_path: Path) -> None:
    events = recording()
    datasets = columns(events, "prophesee/left") | {"prophesee/left/calib/resolution": np.array([1280, 720])}
    assert formats.read(saved(tmp_path / "a", datasets)).size == (1280, 720)
    assert formats.read(saved(tmp_path / "a", columns(events), {"width": 400, "height": 300})).size == (400, 300)


def test_events_at_the_root_without_polarity(tmp_path: Path) -> None:
    read = formats.read(
        saved(tmp_path / "a", {"t_s": [0.5, 0.75], "x": [1, 2], "y": [3, 4], "other": np.zeros((2, 2))})
    )
    assert read.t_us.tolist() == [500_000, 750_000]
    assert read.p is None
    assert read.size == (3, 5)


@pytest.mark.parametrize("filter_", ["Blosc", "Blosc2", "Bitshuffle", "LZ4", "Zstd"])
def test_filters_of_hdf5plugin(tmp_path: Path, filter_: str) -> None:
    plugin = pytest.importorskip("hdf5plugin", reason="the extra 'hdf5' is not installed")
    packing = getattr(plugin, filter_)()
    events = recording()
    assert_same_recording(formats.read(saved(tmp_path / "a", columns(events), chunks=True, **packing)), events)


# --- blocks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [10, 64, 400])
def test_blocks_and_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(hdf5, "_BLOCK", 64)  # which the copy of this process has too
    events = recording()
    path = saved(tmp_path / "a", columns(events), chunks=(chunk,))
    assert_same_recording(formats.read(path), events)
    part = formats.open_recording(path).read(40_000, 70_000)
    expected = events.between(40_000, 70_000)
    assert part.t_us.tolist() == expected.t_us.tolist()
    np.testing.assert_array_equal(part.x, expected.x)


# --- writing --------------------------------------------------------------------------------------------------


@FILES
@given(events=recordings(), compress=st.booleans())
def test_round_trip(tmp_path: Path, events: Recording, compress: bool) -> None:
    path = tmp_path / "a.h5"
    write_hdf5(events, path, compress=compress)
    assert_same_recording(formats.read(path), events)
    write_hdf5(events.chunks(1_000), path, compress=compress)
    assert_same_recording(formats.read(path), events)


def test_what_is_written_is_dsec(tmp_path: Path) -> None:
    events = recording(start_us=EPOCH_US)
    write_hdf5(events.chunks(10_000), tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        t, offset, index = file["events/t"][:], int(file["t_offset"][()]), file["ms_to_idx"][:]
        assert offset == events.start_us
        np.testing.assert_array_equal(t + offset, events.t_us)
        np.testing.assert_array_equal(file["events/p"][:], events.p)
        for ms, first in enumerate(index):
            assert t[first] >= ms * 1_000
            assert first == 0 or t[first - 1] < ms * 1_000
        assert len(index) == t[-1] // 1_000 + 1


def test_a_long_recording_has_no_index(tmp_path: Path) -> None:
    events = Recording.from_arrays([5, 86_400_000_000 * 400], [1, 2], [3, 4], width=9, height=9)
    write_hdf5(events, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        assert "ms_to_idx" not in file
    assert_same_recording(formats.read(tmp_path / "a.h5"), events)


def test_refusals_of_the_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecordingError, match="there is nothing to write"):
        write_hdf5([], tmp_path / "a.h5")
    with pytest.raises(VelocellError, match="make the folder first"):
        write_hdf5(recording(), tmp_path / "nowhere" / "a.h5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(RecordingError, match=r'pip install "h5py.*" "hdf5plugin'):
        write_hdf5(recording(), tmp_path / "a.h5")
    assert list(tmp_path.iterdir()) == []


# --- damage -----------------------------------------------------------------------------------------------


def test_without_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a", columns(recording()))
    monkeypatch.setitem(sys.modules, "h5py", None)
    refused(path, 'an HDF5 file, needs h5py .*pip install "h5py')


@pytest.mark.parametrize(
    ("number", "message"),
    [(0x8ECF, "Metavision's ECF filter, .* name its folder in HDF5_PLUGIN_PATH, or give the RAW file"),
     (32_111, 'the HDF5 filter number 32111, which is missing; .* pip install "h5py')],
)  # fmt: skip
def test_missing_filters_are_named(tmp_path: Path, number: int, message: str) -> None:
    with h5py.File(tmp_path / "a", "w") as file:
        for name in "txyp":
            plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plist.set_chunk((4,))
            plist.set_filter(number, h5py.h5z.FLAG_OPTIONAL, ())
            space = h5py.h5s.create_simple((4,))
            h5py.h5d.create(file.id, name.encode(), h5py.h5t.NATIVE_INT64, space, plist)
    refused(tmp_path / "a", message)


def test_more_values_than_the_file_holds(tmp_path: Path) -> None:
    """Nothing is stored for them, so a file of 2 kB could claim any number."""
    with h5py.File(tmp_path / "a", "w") as file:
        for name in "txy":
            file.create_dataset(name, (1 << 60,), np.uint8, chunks=(1_000,))
    refused(tmp_path / "a", f"has {1 << 60} values, but the file holds 0 of them")


def test_chunks_that_are_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hdf5, "_MAX_CHUNK_BYTES", 1 << 20)
    zeros = np.zeros(1 << 20, np.int64)
    path = saved(tmp_path / "a", dict.fromkeys("txy", zeros), chunks=(1 << 20,), compression="gzip")
    refused(path, "pieces of more than 1 MiB; write it again in smaller chunks")


@pytest.mark.parametrize(
    ("datasets", "message"),
    [
        ({"events/t": [1], "events/x": [1]}, "without arrays t, x and y of one length"),
        ({"events/t": [1], "events/x": [1, 2], "events/y": [1]}, "without arrays t, x and y of one length"),
        ({"t": [1.5, float("nan")], "x": [1, 2], "y": [1, 2]}, "times that are not numbers"),
        ({"t": [1, 2], "x": [1.5, 2], "y": [1, 2]}, "x must be whole numbers of pixels"),
        ({"t": [1, 2], "x": [1, 2], "y": [1, 2], "p": [0, 7]}, "p must hold only 0 and 1, or only -1 and 1"),
        ({"t": [1, 2], "x": [1, 2], "y": [1, 2], "p": [0, -1]}, "p must hold only 0 and 1, or only -1 and 1"),
        ({"t": np.array([1, 2**63], np.uint64), "x": [1, 2], "y": [1, 2]}, "times beyond 2.62"),
        ({"t": [1], "x": [1], "y": [1], "t_offset": [1.5]}, "t_offset is not a whole number of microseconds"),
        ({"t": [1], "x": [1], "y": [1], "t_offset": 2**62}, "t_offset is beyond 2.62 us"),
        ({"a/events": np.array([[1.0, 2, 3, 4], [1, 2, 2, 4]])}, "cannot tell which columns"),
    ],
)
def test_what_cannot_be_events(tmp_path: Path, datasets: dict[str, Any], message: str) -> None:
    refused(saved(tmp_path / "a", datasets), message)


def test_cut_off(tmp_path: Path) -> None:
    path = saved(tmp_path / "a", columns(recording()), chunks=(100,))
    whole = path.read_bytes()
    for length in range(8, len(whole), len(whole) // 17):
        path.write_bytes(whole[:length])
        refused(path, "an HDF5 file that is damaged or cut off")


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux is a copy of the process a safe place")
def test_groups_in_a_circle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The HDF5 library would follow the addresses for ever."""
    monkeypatch.setattr(apart, "FIRST_CPU_S", 0)
    path = saved(tmp_path / "a", columns(recording()))
    data = bytearray(path.read_bytes())
    root = data.index(b"TREE")
    data[root + 8 : root + 24] = struct.pack("<QQ", root, root)  # the nodes to its left and right
    path.write_bytes(data)
    refused(path, r"damaged \(its parts refer to each other in a circle, or .*\); copy it again")


def test_values_in_other_files_are_refused(tmp_path: Path) -> None:
    """They would carry any file of this machine into the events."""
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(range(100)))
    path = tmp_path / "a"
    with h5py.File(path, "w") as file:
        for name in "txy":
            file.create_dataset(f"events/{name}", (100,), np.uint8, external=[(str(secret), 0, h5py.h5f.UNLIMITED)])
    refused(path, "events/[txy] has its values in other files, which are not opened")
    saved(tmp_path / "other", {"v": np.arange(5)})
    with h5py.File(path, "w") as file:
        layout = h5py.VirtualLayout((5,), np.int64)
        layout[:] = h5py.VirtualSource(str(tmp_path / "other"), "v", (5,))
        for name in "txy":
            file.create_virtual_dataset(f"events/{name}", layout)
    refused(path, "events/[txy] has its values in other files, which are not opened")


def test_links_to_other_files_are_not_followed(tmp_path: Path) -> None:
    saved(tmp_path / "other", {"t_offset": 1_000_000, "resolution": np.array([9, 9])})
    path = saved(tmp_path / "a", {f"events/{name}": np.arange(5) for name in "txy"})
    with h5py.File(path, "a") as file:
        file["t_offset"] = h5py.ExternalLink(str(tmp_path / "other"), "t_offset")
        file["events/calib"] = h5py.ExternalLink(str(tmp_path / "other"), "/")
    assert formats.read(path).t_us.tolist() == [0, 1, 2, 3, 4]
    assert formats.read(path).size == (5, 5)


@pytest.mark.parametrize("filter_", ["LZ4", "Bitshuffle", "Blosc"])
def test_a_chunk_that_states_a_wrong_length(tmp_path: Path, filter_: str) -> None:
    """The filters believe it; some crash. The last of ten chunks, which no sample looks at."""
    plugin = pytest.importorskip("hdf5plugin", reason="hdf5plugin is not installed")
    events = recording(10_000)
    path = saved(tmp_path / "a", columns(events), chunks=(1_000,), **getattr(plugin, filter_)())
    assert_same_recording(formats.read(path), events)
    whole = path.read_bytes()
    with h5py.File(path) as file:
        at = file["events/x"].id.get_chunk_info(9).byte_offset
    places = [(4, "<I"), (12, "<I")] if filter_ == "Blosc" else [(0, ">Q")]
    for place, format_ in places:
        for value in (0, 1, 2_001, 2**31, 2**32 - 1):
            data = bytearray(whole)
            struct.pack_into(format_, data, at + place, value)
            path.write_bytes(data)
            refused(path, "a chunk states a wrong length")


def test_a_damaged_chunk(tmp_path: Path) -> None:
    path = saved(tmp_path / "a", columns(recording()), chunks=(100,), compression="gzip", fletcher32=True)
    with h5py.File(path) as file:
        at = file["events/x"].id.get_chunk_info(2).byte_offset
    data = bytearray(path.read_bytes())
    data[at : at + 20] = bytes(20)
    path.write_bytes(data)
    refused(path, "an HDF5 file that is damaged or cut off")


# --- tables of other tools --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["data", "events/block0_values", "events"])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("width", [3, 4])
def test_a_table_under_any_single_name(tmp_path: Path, name: str, turned: bool, width: int) -> None:
    n = 700
    table = np.stack([np.arange(n) * 100, np.arange(n) % 40, np.arange(n) % 30, np.arange(n) % 2], 1)[:, :width]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset(name, data=table.T if turned else table, chunks=(width, 64) if turned else (64, width))
    found = formats.read(tmp_path / "a.h5")
    for values, expected in zip((found.t_us, found.x, found.y), table.T[:3], strict=True):
        np.testing.assert_array_equal(values, expected)
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["poses"] = np.zeros((5, 4))
    if name == "events":
        assert len(formats.read(tmp_path / "a.h5")) == n
    else:
        with pytest.raises(RecordingError, match="without arrays t, x and y"):
            formats.read(tmp_path / "a.h5")


def test_frames_are_refused_by_what_they_are(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["grids/voxels"] = np.zeros((5, 6, 7), np.float32)
    with pytest.raises(RecordingError, match=r"grids/voxels is an array of shape \(5, 6, 7\), a voxel grid"):
        formats.read(tmp_path / "a.h5")
