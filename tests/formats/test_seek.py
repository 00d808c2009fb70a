"""The seek index: a part opened by it is that part of the whole, and an index of anything else is not taken."""

from __future__ import annotations

import json
import os
import shutil
import struct

import numpy as np
import pytest

from velocell.data.recording import Recording
from velocell.formats import WRITERS, open_recording, seek, source, write_dat, write_evt2, write_evt3, write_npz
from velocell.formats.aedat import aedat2, aedat4
from velocell.formats.prophesee import header
from velocell.formats.seek import Marks

COLUMNS = ("t_us", "x", "y", "p")
BASE_US = (1 << 24) - 50_000  # EVT3's clock wraps in the middle


def events(n: int = 30_000) -> Recording:
    rng = np.random.default_rng(5)
    t = BASE_US + np.sort(rng.integers(0, 900_000, n))
    return Recording.from_arrays(
        t, rng.integers(0, 128, n), rng.integers(0, 128, n), rng.integers(0, 2, n), width=128, height=128
    )


def write_aedat2(recording: Recording, path) -> None:
    """Of a DVS128, whose clock wraps in the middle."""
    x, y = 127 - recording.x.astype(np.uint32), 127 - recording.y.astype(np.uint32)
    address = (x << 1) | (y << 8) | (~recording.p).astype(np.uint32)
    stamps = (recording.t_us + (1 << 32) - BASE_US - 400_000) % (1 << 32)
    words = np.column_stack([address, stamps.astype(np.uint32)]).astype(">u4")
    path.write_bytes(b"#!AER-DAT2.0\r\n# AEChip: DVS128\r\n#End Of ASCII Header\r\n" + words.tobytes())


def write_es(recording: Recording, path) -> None:
    steps = np.diff(recording.t_us, prepend=recording.t_us[0])
    rows = zip(steps.tolist(), recording.x.tolist(), (127 - recording.y).tolist(), recording.p.tolist(), strict=True)
    body = b"".join(b"\xff" * (s // 127) + struct.pack("<BHH", (s % 127) << 1 | p, x, y) for s, x, y, p in rows)
    path.write_bytes(b"Event Stream" + struct.pack("<4B2H", 2, 0, 0, 1, 128, 128) + body)


KINDS = {
    "evt2.raw": lambda whole, path: write_evt2([whole], path),
    "evt3.raw": lambda whole, path: write_evt3([whole], path),
    "a.dat": lambda whole, path: write_dat([whole], path),
    "a.aedat": write_aedat2,
    "a.es": write_es,
    "a.npz": write_npz,
    **{f"a{suffix}": (lambda whole, path, write=WRITERS[suffix]: write([whole.slice(k, k + 3_000) for k in
       range(0, len(whole), 3_000)], path)) for suffix in (".aedat4", ".csv", ".h5")},
}  # fmt: skip


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    from velocell.formats.arrays import npz
    from velocell.formats.hdf5 import read
    from velocell.formats.hdf5 import write as hdf5_write
    from velocell.formats.text import text

    monkeypatch.setattr(seek, "SPACING", 500)
    for module, name, value in (
        (source, "SMALLEST_BLOCK", 300), (source, "LARGEST_BLOCK", 900), (header, "_READ_BYTES", 4_001),
        (aedat2, "_READ_ENTRIES", 700), (aedat4, "_BLOCK", 300),
        (npz, "_BLOCK", 1_000), (text, "_BLOCK_BYTES", 9_000), (read, "_BLOCK", 1_000),
        (hdf5_write, "_CHUNK", 1_000),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr("velocell.formats.event_stream._READ_BYTES", 4_001)


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_is_that_part_of_the_whole(tmp_path, kind):
    path, index = tmp_path / kind, tmp_path / "index.json"
    KINDS[kind](events(), path)
    first = open_recording(path)
    assert first.unindexed is None
    whole = first.read()
    assert first.marks.complete
    assert len(first.marks.places) >= 8
    first.keep_index(index)
    for share in (0.0, 0.1, 0.52, 0.9, 0.999):
        start_us = whole.start_us + int(share * whole.duration_us)
        again = open_recording(path, index=index)
        met = decoded(again)
        part, wanted = again.read(start_us), whole.between(start_us)
        for name in COLUMNS:
            np.testing.assert_array_equal(getattr(part, name), getattr(wanted, name))
        assert (part.start_us, part.stop_us, part.size) == (wanted.start_us, wanted.stop_us, whole.size)
        assert sum(met) <= len(wanted) + 6_000  # of the blocks in which the part begins


def decoded(opened):
    """Counts what is decoded from now on."""
    met, resume = [], opened._opened.resume

    def counted(integrity, place):
        for found, behind in resume(integrity, place):
            met.append(len(found.t_us))
            yield found, behind

    object.__setattr__(opened._opened, "resume", counted)
    return met


def test_events_out_of_order_are_found_where_they_stand(tmp_path):
    whole = events(4_000)
    t = whole.t_us.copy()
    t[1_000:2_000:50] -= 9_000  # late by more than a block between two marks
    path = tmp_path / "a.csv"
    path.write_text("t_us,x,y,p\n" + "".join(f"{a},{b},{c},{int(d)}\n" for a, b, c, d in
                                            zip(t, whole.x, whole.y, whole.p, strict=True)))  # fmt: skip
    first = open_recording(path, size=(128, 128))
    sorted_ = first.read()
    first.keep_index(tmp_path / "i")
    assert first.marks.before_us == sorted(first.marks.before_us)
    for start_us in range(int(t[900]), int(t[2_100]), 9_000):
        part = open_recording(path, size=(128, 128), index=tmp_path / "i").read(start_us)
        np.testing.assert_array_equal(part.t_us, sorted_.between(start_us).t_us)


def test_an_index_of_anything_else_is_not_taken(tmp_path):
    path, index = tmp_path / "a.raw", tmp_path / "index.json"
    write_evt3([events()], path)
    first = open_recording(path)
    first.read()
    first.keep_index(index)

    def taken(**more) -> bool:
        return bool(open_recording(path, index=index, **more).marks.places)

    assert taken()
    assert not taken(size=(200, 200))  # read with other options
    stamp = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert not taken()  # another time
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert not taken()  # the same length and time, other bytes: this one is among the samples
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert taken()
    for damage in (b"", b"{", index.read_bytes()[:-200], b'{"velocell_seek_index": 1}'):
        index.write_bytes(damage)
        assert not taken()


def test_a_wrong_mark_would_be_seen(tmp_path):
    path, index = tmp_path / "a.npz", tmp_path / "index.json"
    write_npz(events(), path)
    first = open_recording(path)
    whole = first.read()
    first.keep_index(index)
    values = json.loads(index.read_text())
    start_us = values["before_us"][4] + 1
    values["places"][4]["row"] += 1
    index.write_text(json.dumps(values))
    assert len(open_recording(path, index=index).read(start_us)) == len(whole.between(start_us)) - 1


def test_a_state_from_elsewhere_is_refused():
    from velocell import _native

    for name in ("Evt2Decoder", "Evt21Decoder", "Evt3Decoder", "Dat1Decoder", "Dat2Decoder", "DvsStreamDecoder"):
        decoder = getattr(_native, name)()
        state = decoder.state()
        decoder.restore(state)
        for wrong in ([], state[:-1], [*state, 0], [-1, *state[1:]], [1 << 60, *state[1:]]):
            with pytest.raises(ValueError, match="not the state"):
                decoder.restore(wrong)
    # A time that is not within what its high part tells.
    decoder = _native.Evt3Decoder()
    for high_us, now_us in ((4096, 4095), (4096, 8192), (4000, 4000)):
        with pytest.raises(ValueError, match="not the state"):
            decoder.restore([high_us, now_us, *decoder.state()[2:]])


def test_what_cannot_be_indexed_says_so_and_is_read_from_the_start(tmp_path):
    path = tmp_path / "a.npz"
    write_npz(events(), path, compress=True)
    opened = open_recording(path)
    assert "compressed" in (opened.unindexed or "")
    whole = opened.read()
    opened.keep_index(tmp_path / "index.json")
    again = open_recording(path, index=tmp_path / "index.json")
    middle_us = whole.start_us + 450_000
    np.testing.assert_array_equal(again.read(middle_us).t_us, whole.between(middle_us).t_us)


def test_a_copy_of_another_time_makes_its_own(tmp_path):
    path = tmp_path / "a.npz"
    write_npz(events(), path)
    first = open_recording(path)
    first.read()
    first.keep_index(tmp_path / "i")
    shutil.copyfile(path, tmp_path / "b.npz")
    os.utime(tmp_path / "b.npz", ns=(0, 0))
    assert open_recording(tmp_path / "b.npz", index=tmp_path / "i").marks.places == Marks().places
