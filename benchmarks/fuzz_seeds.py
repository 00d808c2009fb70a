"""Small valid files of every format that is read, for `benchmarks/fuzz.py` to damage.

Made by Velocell's writers, by the packages that write a format (h5py, rosbags, scipy, torch), or by hand. A
seed may be the inside of a file: it is damaged first and then packed, so that the checksums around it are right.
"""

from __future__ import annotations

import io
import struct
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from velocell import formats
from velocell.data.recording import Recording

WIDTH, HEIGHT = 320, 240


@dataclass(frozen=True)
class Seed:
    """format: its row in the table. content: what is damaged. pack: makes a file of it (None: it is the file)."""

    format: str
    content: bytes
    pack: Callable[[bytes], bytes] | None = None

    def file(self, content: bytes) -> bytes:
        return content if self.pack is None else self.pack(content)


def recording(n: int = 24) -> Recording:
    rng = np.random.default_rng(n)
    t = 5_000 + np.sort(rng.integers(0, 30_000, n))
    x, y = rng.integers(0, WIDTH, n), rng.integers(0, HEIGHT, n)
    return Recording.from_arrays(t, x, y, rng.integers(0, 2, n), width=WIDTH, height=HEIGHT)


def rows(events: Recording, side: int = 1 << 15) -> list[tuple[int, int, int, int]]:
    """(t, x, y, p) of the events; coordinates stay below `side`."""
    assert events.p is not None
    columns = (events.t_us, events.x % side, events.y % side, events.p.astype(int))
    return list(zip(*(column.tolist() for column in columns), strict=True))


def all_seeds() -> tuple[list[Seed], list[str]]:
    """The seeds, and what there is none of because a package is missing."""
    seeds: list[Seed] = []
    without: list[str] = []
    for make in (prophesee, aedat, event_streams, texts, arrays, aedat4, hdf5, bags, torch_tensors, matlab, packed):
        try:
            seeds += make()
        except ImportError as error:
            without.append(f"{make.__name__} ({error.name})")
    return seeds, without


def _written(write: Callable[..., None], suffix: str, **options: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"seed{suffix}"
        write(recording(), path, **options)
        return path.read_bytes()


def prophesee() -> Iterator[Seed]:
    yield Seed("EVT2", _written(formats.write_evt2, ".raw"))
    yield Seed("EVT3", _written(formats.write_evt3, ".raw"))
    yield Seed("DAT 2", _written(formats.write_dat, ".dat"))
    vectors = [0xE000, 0x8001, 0x6010, 0x0003, 0x2005, 0x3010, 0x4FFF, 0x50AA, 0x6011, 0xA001, 0x2805, 0x8002]
    header = b"% format EVT3;height=240;width=320\n% end\n"
    yield Seed("EVT3", header + struct.pack("<12H", *vectors) * 3)
    words = [0x8 << 60 | 1 << 32]
    words += [p << 60 | (t & 63) << 54 | (x & ~31) << 43 | y << 32 | 5 << 8 for t, x, y, p in rows(recording())]
    header = b"% evt 2.1\n% geometry 320x240\n% system_ID 49\n% end\n"
    yield Seed("EVT2.1", header + struct.pack(f"<{len(words)}Q", *words))
    entries = b"".join(struct.pack("<II", t, x | y << 9 | p << 17) for t, x, y, p in rows(recording(), 200))
    header = b"% Data file containing Event2D events.\n% Version 1\n% Height 240\n% Width 304\n% end\n"
    yield Seed("DAT 1", header + bytes([0, 8]) + entries)


def aedat() -> Iterator[Seed]:
    events = rows(recording(), 128)
    entries = [struct.pack(">II", (127 - y) << 8 | (127 - x) << 1 | p, t) for t, x, y, p in events]
    header = b"#!AER-DAT2.0\r\n# AEChip: ch.unizh.ini.jaer.chip.retina.DVS128\r\n"
    yield Seed("AEDAT 2", header + b"".join(entries))
    polarity = b"".join(struct.pack("<Ii", x << 17 | y << 2 | p << 1 | 1, t) for t, x, y, p in events)
    n = len(events)
    packet = struct.pack("<hhiiiiii", 1, 1, 8, 4, 0, n, n, n) + polarity
    special = struct.pack("<hhiiiiii", 0, 1, 8, 4, 0, 1, 1, 1) + bytes(8)
    header = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DAVIS240C\r\n#Start-Time: 2020-01-01\r\n#!END-HEADER\r\n"
    yield Seed("AEDAT 3.1", header + packet + special + packet)


def event_streams() -> Iterator[Seed]:
    events = rows(recording())
    for kind, shift in ((1, 1), (2, 2)):
        body = b"".join(struct.pack("<BHH", 20 << shift | p << (shift - 1), x, y) for _, x, y, p in events)
        yield Seed("Event Stream", b"Event Stream" + struct.pack("<4B2H", 2, 0, 0, kind, WIDTH, HEIGHT) + body)


def texts() -> Iterator[Seed]:
    yield Seed("CSV", _written(formats.write_csv, ".csv"))
    events = rows(recording())
    yield Seed("CSV", "".join(f"{t / 1e6:.6f} {x} {y} {p}\n" for t, x, y, p in events).encode())
    yield Seed("CSV", ("x;y;polarity;t_ns\n" + "".join(f"{x};{y};{p};{t * 1_000}\n" for t, x, y, p in events)).encode())


def arrays() -> Iterator[Seed]:
    events = recording()
    small = rows(events, 34)
    yield Seed("N-MNIST", b"".join((x << 32 | y << 24 | p << 23 | t).to_bytes(5, "big") for t, x, y, p in small))
    yield Seed("NPY", _npy(np.array(rows(events))))
    fields = np.array(rows(events), [("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "?")])
    yield Seed("NPY", _npy(fields))
    for compress in (False, True):
        archive = _written(formats.write_npz, ".npz", compress=compress)
        yield Seed("NPZ", archive)
        yield from _members("NPZ", archive, ("t.npy", "x.npy", "p.npy", "width.npy", "stop_us.npy"))


def _npy(array: np.ndarray[Any, Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _members(name: str, archive: bytes, wanted: Iterable[str]) -> Iterator[Seed]:
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        members = {info.filename: file.read(info) for info in file.infolist()}
        how = file.infolist()[0].compress_type
    for member in members:
        if member.endswith(tuple(wanted)):
            yield Seed(name, members[member], partial(zipped, members, member, how))


class Archive(zipfile.ZipFile):
    """Its members do not tell when they were written: the same input is the same bytes."""

    def put(self, name: str, data: bytes) -> None:
        told = zipfile.ZipInfo(name)
        told.compress_type = self.compression
        self.writestr(told, data)


def zipped(members: dict[str, bytes], changed: str, how: int, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with Archive(buffer, "w", how) as file:
        for name, data in members.items():
            file.put(name, content if name == changed else data)
    return buffer.getvalue()


def aedat4() -> Iterator[Seed]:
    for compression in ("none", "lz4", "zstd"):
        yield Seed("AEDAT4", _written(formats.write_aedat4, ".aedat4", compression=compression))


# --- HDF5 -------------------------------------------------------------------------------------------------


_TYPES = ("<i8", "<u8", "<f8", "<u2", "<i4", "<f4", "?", "S4")


def hdf5() -> Iterator[Seed]:
    import h5py  # noqa: F401 (is it there?)

    yield Seed("HDF5", _written(formats.write_hdf5, ".h5"))
    events = recording()
    columns = {f"events/{name}": column for name, column in zip("txyp", zip(*rows(events), strict=True), strict=True)}
    yield Seed("HDF5", hdf5_file({"t_offset": 9, **columns}, {}))
    fields = np.array(rows(events), [("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "<i2")])
    yield Seed("HDF5", hdf5_file({"CD/events": fields}, {"CD/events": {"geometry": b"320x240"}}))
    table = np.array([(x, y, t / 1e6, 2 * p - 1) for t, x, y, p in rows(events)])
    yield Seed("HDF5", hdf5_file({"davis/left/events": table, "davis/left/imu": np.zeros((3, 6))}, {}))
    inside = b"\0\3\3\6" + struct.pack("<q", 1_000) + b"320x240\0" + events.t_us.tobytes() + bytes(64)
    yield Seed("HDF5", inside, hdf5_inside)
    for packed in hdf5_chunks():
        yield Seed("HDF5", packed, hdf5_chunk)


def hdf5_file(datasets: dict[str, Any], attributes: dict[str, dict[str, Any]]) -> bytes:
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, data in datasets.items():
            dataset = file.create_dataset(name, data=data)
            for key, value in attributes.get(name, {}).items():
                dataset.attrs[key] = value
    return buffer.getvalue()


def hdf5_inside(content: bytes) -> bytes:
    """Bytes 0 to 3 choose the number types, then come t_offset, geometry and what all datasets hold."""
    content = content.ljust(20, b"\0")
    data = content[20:]
    n = len(data) // 8
    datasets: dict[str, Any] = {}
    for name, choice in zip("txyp", content, strict=False):
        dtype = np.dtype(_TYPES[choice % len(_TYPES)])
        datasets[f"events/{name}"] = np.frombuffer(data, dtype, n)
    datasets["t_offset"] = np.frombuffer(content[4:12], "<i8")[0]
    return hdf5_file(datasets, {"events/t": {"geometry": np.bytes_(content[12:20].rstrip(b"\0") or b"-")}})


def hdf5_chunks() -> list[bytes]:
    """The number of the filter as one byte, then a chunk that it has packed."""
    import zlib

    import h5py

    plain = recording().t_us.tobytes()
    found = [b"\0" + zlib.compress(plain)]
    try:
        import hdf5plugin
    except ImportError:
        return found
    filters = (hdf5plugin.Blosc(), hdf5plugin.LZ4(), hdf5plugin.Zstd(), hdf5plugin.Bitshuffle())
    for k, options in enumerate(filters, 1):
        with h5py.File(io.BytesIO(), "w") as file:
            dataset = file.create_dataset("t", data=recording().t_us, chunks=(24,), **options)
            found.append(bytes([k]) + dataset.id.read_direct_chunk((0,))[1])
    return found


def hdf5_chunk(content: bytes) -> bytes:
    import h5py

    filters: list[Any] = [{"compression": "gzip"}]
    if content[:1] != b"\0":
        import hdf5plugin

        filters += [hdf5plugin.Blosc(), hdf5plugin.LZ4(), hdf5plugin.Zstd(), hdf5plugin.Bitshuffle()]
    options = filters[(content or b"\0")[0] % len(filters)]
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        times = file.create_dataset("events/t", (24,), "<i8", chunks=(24,), **options)
        times.id.write_direct_chunk((0,), content[1:] or b"\0")
        for name in "xyp":
            file[f"events/{name}"] = np.zeros(24, np.uint8)
    return buffer.getvalue()


# --- ROS --------------------------------------------------------------------------------------------------


def bags() -> Iterator[Seed]:
    for kind in ("none", "bz2", "lz4"):
        yield Seed("ROS 1 bag", _bag(kind, _messages(False)))
    for kind in ("sqlite", "sqlite-message"):
        yield Seed("ROS 2 bag", _bag(kind, _messages(True)))
    for kind in ("mcap", "mcap-zstd"):
        yield Seed("MCAP", _bag(kind, _messages(True)))
    mono = b"".join(struct.pack("<IHH", t, x, y | p << 15) for t, x, y, p in rows(recording()))
    for encoding, words in ((b"mono", mono), (b"evt2", _words(formats.write_evt2))):
        yield Seed("ROS 1 bag", _bag("none", [_packet(False, encoding, words)]))
    libcaer = b"".join(struct.pack("<Ii", x << 17 | y << 2 | p << 1 | 1, t) for t, x, y, p in rows(recording()))
    short = b"".join(
        struct.pack("<6H", t >> 12, 0x1000 | t & 0xFFF, 0x2000 | x, 0x3000 | p << 11 | y, 0x4000 | y, 0x5055)
        for t, x, y, p in rows(recording())
    )
    for encoding, words in ((b"libcaer", libcaer), (b"libcaer_cmp", short)):
        yield Seed("ROS 2 bag", _bag("sqlite", [_packet(True, encoding, words)] * 2))


def _words(write: Callable[..., None]) -> bytes:
    return _written(write, ".raw").partition(b"% end\n")[2]


def _messages(cdr: bool) -> list[tuple[str, bytes]]:
    words = _words(formats.write_evt3)
    return [_packet(cdr, b"evt3", words), _array(cdr), _packet(cdr, b"evt3", words)]


def _head(cdr: bool) -> bytes:
    return (
        b"\0\1\0\0" + struct.pack("<III8s", 1, 2, 7, b"camera")
        if cdr
        else struct.pack("<IIII6s", 1, 1, 2, 6, b"camera")
    )


def _packet(cdr: bool, encoding: bytes, words: bytes) -> tuple[str, bytes]:
    fields = struct.pack("<II4xQQ" if cdr else "<IIQQ", HEIGHT, WIDTH, 3, 5_000)
    name = encoding + b"\0" if cdr else encoding
    fields += struct.pack("<I", len(name)) + name + b"\0"
    fields += bytes(-len(fields) % 4 if cdr else 0) + struct.pack("<I", len(words)) + words
    return "event_camera_msgs/msg/EventPacket", _head(cdr) + fields


def _array(cdr: bool) -> tuple[str, bytes]:
    entry = "<HHIIB3x" if cdr else "<HHIIB"
    events = rows(recording())
    body = b"".join(struct.pack(entry, x, y, 1, t * 1_000, p) for t, x, y, p in events)
    body = body[:-3] if cdr else body
    return "dvs_msgs/msg/EventArray", _head(cdr) + struct.pack("<III", HEIGHT, WIDTH, len(events)) + body


def _bag(kind: str, messages: list[tuple[str, bytes]]) -> bytes:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        writer, path = (_rosbag1 if kind in ("none", "bz2", "lz4") else _rosbag2)(folder, kind)
        writer.open()
        topics: dict[str, Any] = {}
        hashes = {"md5sum": "0" * 32} if path.suffix == ".bag" else {"rihs01": "0" * 64}
        for k, (type_, data) in enumerate(messages):
            if type_ not in topics:
                topics[type_] = writer.add_connection(f"/{len(topics)}", type_, msgdef="uint8 a\n", **hashes)
            writer.write(topics[type_], k, data)
        writer.close()
        return path.read_bytes()


def _rosbag1(folder: Path, kind: str) -> tuple[Any, Path]:
    from rosbags.rosbag1 import Writer

    path = folder / "a.bag"
    writer = Writer(path)
    if kind != "none":
        writer.set_compression(Writer.CompressionFormat[kind.upper()])
    return writer, path


def _rosbag2(folder: Path, kind: str) -> tuple[Any, Path]:
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

    mcap = kind.startswith("mcap")
    writer = Writer(folder / "a", version=9, storage_plugin=StoragePlugin.MCAP if mcap else StoragePlugin.SQLITE3)
    if "-" in kind:
        writer.set_compression(CompressionMode.STORAGE if mcap else CompressionMode.MESSAGE, CompressionFormat.ZSTD)
    return writer, folder / "a" / f"a.{'mcap' if mcap else 'db3'}"


# --- torch ------------------------------------------------------------------------------------------------


def torch_tensors() -> Iterator[Seed]:
    import torch

    counts = torch.zeros((4, 2, 6, 8), dtype=torch.long)
    counts[1, 0, 2, 3] = counts[2, 1, 5, 7] = 2
    for tensor in (counts, counts.to_sparse(), counts[:, 0].float()):
        buffer = io.BytesIO()
        torch.save(tensor, buffer)
        yield Seed("torch tensor", buffer.getvalue())
        yield from _members("torch tensor", buffer.getvalue(), ("data.pkl", "data/0", "data/1", "byteorder"))


# --- MATLAB, and files that are packed as a whole ---------------------------------------------------------


def matlab() -> Iterator[Seed]:
    import scipy.io

    events = recording()
    assert events.p is not None
    lists: dict[str, Any] = {"ts": events.t_us, "x": events.x, "y": events.y, "p": events.p.astype(np.float64)}
    for variables in ({"TD": lists}, lists, {"events": np.array(rows(events))}):
        for pack in (False, True):
            buffer = io.BytesIO()
            scipy.io.savemat(buffer, variables, do_compression=pack)
            yield Seed("MATLAB 5", buffer.getvalue())
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w", userblock_size=512) as file:
        for name, values in lists.items():
            file.create_dataset(f"TD/{name}", data=values[None], compression="gzip")
    head = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\2IM"
    yield Seed("MATLAB 7.3", head + buffer.getvalue()[len(head) :])


def packed() -> Iterator[Seed]:
    """Damaged as they are, and before they are packed."""
    import bz2
    import gzip
    import lzma

    writers = ((formats.write_csv, ".csv"), (formats.write_evt3, ".raw"), (formats.write_npz, ".npz"))
    plain = [_written(write, suffix) for write, suffix in writers]
    for pack in (gzip.compress, bz2.compress, lzma.compress, _zstd):
        for content in plain:
            yield Seed("packed", pack(content))
        yield Seed("packed", plain[0], pack)
    yield Seed("packed", _bag("mcap", _messages(True)), gzip.compress)


def _zstd(data: bytes) -> bytes:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd.compress(data)
