"""Well-formed files that ask for more than they hold, for `benchmarks/fuzz.py`: bombs, jumps, claims, programs.

Unlike the damaged ones every part of these is right; what is wrong is how much, how deep, how far or where to. Each
maker takes the source of chance and gives the content of one file.
"""

from __future__ import annotations

import io
import random
import sqlite3
import struct
import sys
import tempfile
import zipfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fuzz_seeds import Archive, recording
from velocell import formats


def _zstd(data: bytes) -> bytes:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    packed: bytes = zstd.compress(data)
    return packed


Make = Callable[[random.Random], bytes]
_SIZES = (1, 1_000, 60_000, 1 << 20)  # elements of what unfolds
_TIMES = (0, 1, 1 << 31, 36_000_000_000, 1_700_000_000_000_000, 1 << 55, (1 << 62) - 1, (1 << 63) - 1)


def written(write: Callable[[Path], object], suffix: str = "") -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"made{suffix}"
        write(path)
        return path.read_bytes()


def jumping(rng: random.Random, n: int = 40) -> dict[str, np.ndarray[Any, Any]]:
    """Events whose time rests or jumps."""
    t = np.cumsum(np.array([rng.choice((0, 1, 900, 1 << 20, rng.choice(_TIMES) % (1 << 57))) for _ in range(n)]))
    kind = rng.choice((np.int64, np.uint64, np.float64, np.int64))
    x = np.array([rng.randrange(1 << rng.choice((4, 8, 12, 16))) for _ in range(n)], rng.choice((np.uint16, np.int64)))
    return {"t": t.astype(kind), "x": x, "y": x[::-1].copy()}


def npz(rng: random.Random) -> bytes:
    """Zeros that unfold, headers that claim, shapes of booleans, any compression, names that surprise."""
    data = io.BytesIO()
    packing = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    n = rng.choice(_SIZES)
    if packing in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        n = min(n, rng.choice((60_000, 60_000, 60_000, n)))  # they take seconds to make
    with Archive(data, "w", packing) as archive:
        arrays = jumping(rng) if rng.random() < 0.4 else {key: np.zeros(n, np.int64) for key in "txy"}
        for key, array in arrays.items():
            member = io.BytesIO()
            np.save(member, array)
            content = member.getvalue()
            if rng.random() < 0.2:
                claimed = rng.choice(("(True, 4)", "(4611686018427387904,)", "(-1,)", "()", "(1,) * 9", "(3, 4)"))
                text = f"{{'descr': '<i8', 'fortran_order': False, 'shape': {claimed}}}".encode()
                text += b" " * rng.choice((0, 100, 200_000))
                content = b"\x93NUMPY\x02\x00" + struct.pack("<I", rng.choice((len(text), 1 << 30))) + text
            archive.put(f"{key}.npy", content)
        for k in range(rng.choice((0, 0, 1, 3_000))):
            archive.put(f"more{k}.npy" if k % 2 else f"inner{k}.zip", b"PK")
        for name in ("width", "height", "start_us", "stop_us"):
            if rng.random() < 0.2:
                member = io.BytesIO()
                np.save(member, np.array(rng.choice((0, -1, 3, 4096, 65536, 1 << 40, 2.5, 1e300))))
                archive.put(f"{name}.npy", member.getvalue())
    return data.getvalue()


def npy(rng: random.Random) -> bytes:
    shape = rng.choice(("(True, 4)", "(2, 4)", "(1, 1, 4)", "(1152921504606846976,)", "(0,)", "(0, 4)"))
    descr = rng.choice(("'<i8'", "'<f8'", "[('t', '<i8'), ('x', '<u2'), ('y', '<u2')]", "[('t', '<i8', (99999999,))]",
                        "'|O'", "'|V1000000000'", "'<M8[us]'"))  # fmt: skip
    text = f"{{'descr': {descr}, 'fortran_order': {rng.choice(('True', 'False'))}, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(rng.choice((0, 24, 32, 64)))


def torch(rng: random.Random) -> bytes:
    """A tensor of very many equal values, sparse or dense, or of a shape that claims."""
    n = rng.choice(_SIZES)
    value = rng.choice((0, 1, 1000, 1 << 40))
    shape = rng.choice(((n, 1, 1), (1, 1, n), (n, 4096, 4096), (1 << 40, 9, 9), (4, 2, n, 3)))

    def lengths(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(b"\x8a\x08" + struct.pack("<q", one) for one in values) + b"t"

    def storage(key: str) -> bytes:
        return (b"(" + b"X\x07\x00\x00\x00storage" + b"ctorch\nLongStorage\n" + b"X\x01\x00\x00\x00" + key.encode()
                + b"X\x03\x00\x00\x00cpu" + b"\x8a\x08" + struct.pack("<q", counts[key]) + b"tQ")  # fmt: skip

    def tensor(key: str, view: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
        return (b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage(key) + b"K\x00" + lengths(view) + lengths(strides)
                + b"\x89ccollections\nOrderedDict\n)RtR")  # fmt: skip

    axes = len(shape)
    counts = {"0": n, "1": n * axes}
    if rng.random() < 0.5:
        strides = rng.choice(((1, 1, 1), (0, 0, 0), (0, 0, 1)))
        described = tensor("0", shape[:3], strides)
    else:
        described = (b"ctorch._utils\n_rebuild_sparse_tensor\n(ctorch.serialization\n_get_layout\n"
                     b"X\x10\x00\x00\x00torch.sparse_coo\x85R(" + tensor("1", (axes, n), (n, 1))
                     + tensor("0", (n,), (1,)) + lengths(shape) + b"ttR")  # fmt: skip
    data = io.BytesIO()
    with Archive(data, "w", rng.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED if n < 1 << 20 else 8))) as made:
        made.put("a/data.pkl", b"\x80\x02" + described + b".")
        made.put("a/data/0", np.full(n, value, np.int64).tobytes())
        made.put("a/data/1", bytes(8 * n * axes))
    return data.getvalue()


_TOPICS = "CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT, serialization_format TEXT)"
_MESSAGES = "CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, data BLOB)"
_COUNT = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {})"


def sqlite(rng: random.Random) -> bytes:
    """Views, triggers, generated columns, virtual tables, topics that stand twice, large blobs, no keys."""
    n = rng.choice((1, 100, 12_000))
    topics, messages, more = _TOPICS, _MESSAGES, []
    if rng.random() < 0.3:
        topics = topics.replace("id INTEGER PRIMARY KEY", "id INTEGER")
    if rng.random() < 0.3:
        messages = messages.replace("id INTEGER PRIMARY KEY", rng.choice(("id INTEGER", "id TEXT PRIMARY KEY")))
    kind = rng.randrange(7)
    if kind == 0:
        messages = messages.replace(
            "data BLOB", f"data BLOB AS (zeroblob({rng.choice((10, 10**7))})) {rng.choice(('', 'STORED'))}"
        )
    elif kind == 1:
        topics = topics.replace("type TEXT", "type TEXT AS (hex(zeroblob(1000)))")
    elif kind == 2:
        messages = messages.replace("TABLE messages", "TABLE m")
        more.append("CREATE VIEW messages AS SELECT a.id, 1 AS topic_id, a.data FROM m a, m b, m c")
    elif kind == 3:
        more.append(f"CREATE VIEW v AS {_COUNT.format(10**12)} SELECT i FROM n")
        more.append("CREATE TRIGGER x AFTER INSERT ON messages BEGIN SELECT count(*) FROM v; END")
    elif kind == 4:
        messages += " WITHOUT ROWID" if "PRIMARY KEY" in messages else ""
    target = "m" if kind == 2 else "messages"
    name = "'a'" if kind != 5 else "hex(zeroblob(2000))"
    columns = "id, name, serialization_format" if kind == 1 else "id, name, type, serialization_format"
    values = f"i, {name}, 'cdr'" if kind == 1 else f"i, {name}, 'event_camera_msgs/msg/EventPacket', 'cdr'"
    fill = [f"{_COUNT.format(rng.choice((1, 3, n)))} INSERT OR IGNORE INTO topics({columns}) SELECT {values} FROM n"]
    if kind not in (0, 3):
        blob = rng.choice(("x'00010000'", "zeroblob(1000)", "NULL", "'text'", "3.5"))
        fill.append(f"{_COUNT.format(n)} INSERT OR IGNORE INTO {target}(id, topic_id, data) SELECT i, 1, {blob} FROM n")

    def write(path: Path) -> None:
        base = sqlite3.connect(path)
        for statement in (topics, messages, *more, *fill):
            base.execute(statement)
        base.commit()
        base.close()

    return written(write)


def hdf5(rng: random.Random) -> bytes:
    """Every kind of storage: contiguous, chunked and packed, external, virtual; links, fill values, deep groups."""
    import h5py

    n = rng.choice(_SIZES)

    def write(path: Path) -> None:
        with h5py.File(path, "w", libver=rng.choice(("earliest", "latest"))) as file:
            group = file
            for _ in range(rng.choice((0, 1, 1, 200))):
                group = group.create_group("g")
            plain = rng.random() < 0.4
            for name in "txy":
                kind = rng.choice((5, 8)) if plain else rng.randrange(8)
                if kind == 0:
                    group.create_dataset(name, (n,), "u2", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])
                elif kind == 1:
                    layout = h5py.VirtualLayout((n,), "u2")
                    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (n,))
                    group.create_virtual_dataset(name, layout)
                elif kind == 2:
                    group[name] = h5py.ExternalLink("/etc/passwd", "/")
                elif kind == 3:
                    group[name] = h5py.SoftLink("/")
                elif kind == 4:
                    group.create_dataset(name, (1 << 50,), "i8", chunks=(1 << rng.choice((10, 20, 28)),), fillvalue=7)
                elif kind == 5:
                    group.create_dataset(name, data=np.zeros(n, "i8"), chunks=(max(1, n // rng.choice((1, 7))),),
                                         compression="gzip", shuffle=rng.random() < 0.5)  # fmt: skip
                elif kind == 6:
                    group.create_dataset(name, data=np.array(["x" * 5_000] * 20, object), dtype=h5py.string_dtype())
                else:
                    group.create_dataset(
                        name, data=jumping(rng)["t"].astype("i8") if name == "t" else np.arange(40) % 9
                    )
            if rng.random() < 0.3:
                file["t_offset"] = rng.choice((0, 1 << 61, (1 << 63) - 1))
            if rng.random() < 0.3:
                file.attrs["geometry"] = rng.choice(("640x480", "99999x99999", "x" * 60_000))
            if rng.random() < 0.2:
                file["loop"] = file["/"]

    return written(write)


def aedat4(rng: random.Random) -> bytes:
    """Many packets that unfold to much and hold little."""
    seed = written(lambda path: formats.write_aedat4([recording()], path), ".aedat4")
    n = struct.unpack_from("<I", seed, 14)[0]
    first = 18 + n
    number, length = struct.unpack_from("<ii", seed, first)
    inside = bytes(rng.choice((100, 1 << 20, 1 << 24)))
    packed = _zstd(seed[first + 8 : first + 8 + length] + inside) if rng.random() < 0.5 else _zstd(inside)
    return seed[:first] + (struct.pack("<ii", number, len(packed)) + packed) * rng.choice((1, 20, 300))


def bag(rng: random.Random) -> bytes:
    """A ROS 1 bag with very many connections, or chunks that unfold."""
    n, longest, more = rng.choice((1, 1_000, 30_000)), rng.choice((1, 9)), rng.choice((0, 0, 1 << 20, 1 << 25))
    return b"#ROSBAG V2.0\n" + _connections(n, longest, more) * rng.choice((1, 3))


@lru_cache  # they take a second to pack
def _connections(n: int, longest: int, more: int) -> bytes:
    import bz2

    def record(op: int, data: bytes, **fields: bytes) -> bytes:
        header = b"".join(
            struct.pack("<I", len(key) + 1 + len(value)) + key.encode() + b"=" + value
            for key, value in {"op": bytes([op]), **fields}.items()
        )
        return struct.pack("<I", len(header)) + header + struct.pack("<I", len(data)) + data

    about = struct.pack("<I", 13) + b"type=std/Bool"
    inside = b"".join(record(7, about, conn=struct.pack("<I", k), topic=b"t" * longest) for k in range(n)) + bytes(more)
    return record(5, bz2.compress(inside), compression=b"bz2", size=struct.pack("<I", len(inside)))


def mcap(rng: random.Random) -> bytes:
    """Very many channels and schemas, records of no kind, chunks in chunks."""

    def text(value: bytes) -> bytes:
        return struct.pack("<I", len(value)) + value

    def record(kind: int, data: bytes) -> bytes:
        return struct.pack("<BQ", kind, len(data)) + data

    name = b"n" * rng.choice((3, 3, 5_000))
    body = b"".join(
        record(3, struct.pack("<H", k) + text(name) + text(b"ros2msg") + text(b""))
        + record(4, struct.pack("<HH", k, k) + text(name) + text(b"cdr") + struct.pack("<I", 0))
        for k in range(rng.choice((1, 300, 20_000 if len(name) < 10 else 30)))
    )
    body += record(5, struct.pack("<HIQQ", 0, 0, 0, 0) + bytes(rng.choice((0, 9, 1 << 24))))
    packed = _zstd(body)
    chunk = record(
        6, struct.pack("<QQQI", 0, 0, len(body), 0) + text(b"zstd") + struct.pack("<Q", len(packed)) + packed
    )
    return b"\x89MCAP0\r\n" + (chunk if rng.random() < 0.5 else body[: 1 << 21]) * rng.choice((1, 5))


def claims(rng: random.Random) -> bytes:
    """Prophesee headers: sizes without end, contradictions, spans beyond time; then jumping words."""
    side = rng.choice((1, 640, 4096, 20_000, 65_536, 10**17))
    lines = [
        rng.choice(("evt 3.0", "evt 2.0", "evt 2.1", "format EVT3;height=9;width=9", "Data file containing CD events"))
    ]
    lines += [f"geometry {side}x{rng.choice((side, 480))}"] * rng.choice((0, 1, 1, 500))
    lines += [f"velocell_span_us {rng.choice(_TIMES)}:{rng.choice(_TIMES)}"] * rng.choice((0, 1))
    lines += [f"velocell_time_base_us {rng.choice(_TIMES)}"] * rng.choice((0, 1))
    words = struct.pack("<4H", 0x8000, 0x6000, 0x0000, 0x2000 | rng.randrange(2048)) * rng.choice((1, 500))
    return "".join(f"% {line}\n" for line in [*lines, "end"]).encode() + words


def text(rng: random.Random) -> bytes:
    """Long lines, numbers without end, times that jump."""
    table = jumping(rng, rng.choice((4, 400)))
    body = "".join(f"{t},{x},{y},{k % 2}\n" for k, (t, x, y) in enumerate(zip(*table.values(), strict=True)))
    extra = rng.choice(
        ("", "9" * 5_000 + ",1,1,1\n", "1," * 200_000 + "\n", "# " + "x" * 300_000 + "\n", "1e308,1,1,1\n", "\0" * 99)
    )
    return (rng.choice(("", "t,x,y,p\n", "x,y,t,p\n")) + body + extra).encode()


def event_stream(rng: random.Random) -> bytes:
    head = b"Event Stream" + struct.pack("<4B2H", 2, 0, 0, 1, rng.choice((1, 320, 65535)), rng.choice((1, 240, 65535)))
    return head + (b"\xff" * rng.choice((1, 9, 100_000)) + b"\x00\x00\x00\x00\x00") * rng.choice((1, 20))


def triples(rng: random.Random) -> bytes:
    """N-MNIST: nothing but overflows, so that time goes on for ever."""
    entry = bytes([1, 240, 0x80, 0, 0])
    return bytes([1, 1, 0, 0, 1]) + entry * rng.choice((10, 100_000)) + bytes([1, 1, 0, 0, 9])


MAKERS: dict[str, Make] = {
    "npz, hostile": npz,
    "npy, hostile": npy,
    "torch, hostile": torch,
    "SQLite, hostile": sqlite,
    "HDF5, hostile": hdf5,
    "AEDAT4, hostile": aedat4,
    "ROS 1, hostile": bag,
    "MCAP, hostile": mcap,
    "Prophesee, hostile": claims,
    "text, hostile": text,
    "Event Stream, hostile": event_stream,
    "N-MNIST, hostile": triples,
}
