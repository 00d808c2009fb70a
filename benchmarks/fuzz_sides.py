"""Files beside a recording for `benchmarks/fuzz.py --sides`: networks, scenes, cameras, homographies, tables, pictures.

Valid ones to damage, well-formed hostile ones, and how each is read. A kind is its name and the suffix of its files.
"""

from __future__ import annotations

import io
import json
import random
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fuzz_hostile import Make
from benchmarks.fuzz_seeds import Seed
from velocell.calibration import calibrate
from velocell.cli.config import options_of
from velocell.data.bands import Bands
from velocell.data.spikes import Spikes
from velocell.data.tracks import Tracks
from velocell.filters.lens import Camera
from velocell.filters.regions import read_pixels
from velocell.network import Network
from velocell.network.template import Template
from velocell.results.plane import Plane
from velocell.simulate import Scene, SceneObject

READERS: dict[str, Callable[[Path], object]] = {
    "network.toml": Network.from_toml,
    "scene.toml": Scene.from_toml,
    "options.toml": options_of,
    "camera.yml": Camera.read,
    "camera.json": Camera.read,
    "camera.xml": Camera.read,
    "plane.json": Plane.read,
    "plane.csv": Plane.read,
    "plane.npy": Plane.read,
    "pixels.csv": read_pixels,
    "tracks.csv": Tracks.read,
    "tracks.jsonl": Tracks.read,
    "tracks.parquet": Tracks.read,
    "spikes.npz": Spikes.from_npz,
    "template.png": Template.read,
    "template.gif": Template.read,
    "template.npy": Template.read,
}


def read_side(path: Path, rng: random.Random) -> None:
    """By the last word of its name."""
    READERS[path.name.split()[-1]](path)


# --- valid ones ---------------------------------------------------------------------------------------------


def side_seeds() -> Iterator[Seed]:
    network = calibrate(Bands((40.0, 160.0, 640.0)), 5.0)
    yield Seed("network.toml", _written(network.to_toml))
    scene = Scene(64, 48, 100_000, objects=(SceneObject(id=1, x_px=9, y_px=9, speed_px_s=90),))
    yield Seed("scene.toml", _written(scene.to_toml))
    yield Seed("options.toml", b'bands = "40,160,640"\nmask-hot = false\nfiles = ["a.raw"]\n[live]\nradius = [3, 5]\n')
    matrix = [[300.0, 0.0, 160.0], [0.0, 300.0, 120.0], [0.0, 0.0, 1.0]]
    bent = [-0.2, 0.05, 0.001, 0.0, 0.0]
    flat = ", ".join(str(value) for row in matrix for value in row)
    yield Seed("camera.yml", (
        "%YAML:1.0\nimage_width: 320\nimage_height: 240\ncamera_matrix: !!opencv-matrix\n   rows: 3\n   cols: 3\n"
        f"   dt: d\n   data: [ {flat} ]\ndistortion_coefficients: !!opencv-matrix\n   data: {bent}\n"
    ).encode())  # fmt: skip
    yield Seed("camera.json", json.dumps({"camera_matrix": matrix, "dist_coeff": bent, "dist": bent}).encode())
    yield Seed("camera.xml", (
        '<?xml version="1.0"?>\n<opencv_storage>\n<image_width>320</image_width><image_height>240</image_height>\n'
        f"<cameraMatrix><data>{flat.replace(',', '')}</data></cameraMatrix>\n"
        f"<dist_coeffs><data>{' '.join(map(str, bent))}</data></dist_coeffs></opencv_storage>\n"
    ).encode())  # fmt: skip
    plane = np.array([[0.5, 0, 3], [0, 0.5, 4], [0.001, 0, 1]])
    yield Seed("plane.json", json.dumps({"homography": plane.tolist()}).encode())
    yield Seed("plane.csv", "".join(",".join(map(str, row)) + "\n" for row in plane.tolist()).encode())
    yield Seed("plane.npy", _array(plane))
    yield Seed("pixels.csv", b"x,y\n3,4\n17,200\n")
    table = _table()
    for suffix in ("csv", "jsonl", "parquet"):
        yield Seed(f"tracks.{suffix}", _written(table.write, f".{suffix}"))
    n = np.arange(20, dtype=np.int32)
    yield Seed("spikes.npz", _written(Spikes(n.astype(np.int64) * 900, n, n, n % 3, n % 2, layers=2).to_npz, ".npz"))
    disk = np.hypot(*np.mgrid[-9:10, -9:10]) < 7
    for suffix in ("png", "gif"):
        yield Seed(f"template.{suffix}", _picture(disk, suffix))
    yield Seed("template.npy", _array(disk.astype(float)))


def _table() -> Tracks:
    n = np.arange(40)
    columns = {"t_us": n // 2 * 10_000, "id": n % 2, "x_px": n * 1.5, "y_px": np.sqrt(n), "band": n % 3}
    return Tracks.from_columns({**columns, "speed_px_s": n * 7.25}, {"version": "1", "note": "a table"})


def _written(write: Callable[[Path], object], suffix: str = ".toml") -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"seed{suffix}"
        write(path)
        return path.read_bytes()


def _array(values: np.ndarray[Any, Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def _picture(mask: np.ndarray[Any, Any], suffix: str) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.uint8(255) * mask).save(buffer, suffix.upper())
    return buffer.getvalue()


# --- hostile ones -------------------------------------------------------------------------------------------

_NUMBERS = ("0", "-1", "1e308", "nan", "inf", "1e-320", "99999999999999999999999", "true", '"x"', "[]", "{}")


def deep(rng: random.Random) -> str:
    """An expression that is nested, long, or neither."""
    n = rng.choice((1, 30, 900, 200_000))
    return rng.choice(("[" * n + "]" * n, "[" * n, "{a=" * n, '"' + "x" * n + '"', "[" + "0," * n + "]", *_NUMBERS))


def toml(rng: random.Random) -> bytes:
    names = rng.choice(("velocell_network = 1\ndt_us = ", "width = 64\nheight = 48\nduration_us = ", "bands = "))
    lines = "".join(f"{rng.choice(('a', 'kernels', 'layers', 'objects'))}{k} = {deep(rng)}\n" for k in range(3))
    keys = ".".join("a" * rng.choice((1, 9)) for _ in range(rng.choice((1, 50, 20_000))))
    return f"{names}{deep(rng)}\n{lines}{keys} = 1\n".encode()


def network(rng: random.Random) -> bytes:
    """Shapes that claim, kernels of many kinds."""
    shape = rng.choice(([1, 1, 3, 3], [1 << 20, 1, 9, 9], [1 << 40, 1 << 40, 1, 1], [3, 1, 1025, 1025], [0, 1, 1, 1]))
    n = rng.choice((1, 3, 100_000))
    values = ", ".join([rng.choice(_NUMBERS[:7])] * n)
    row = " ".join([rng.choice(("1", "nan", "1e39", "x"))] * rng.choice((3, 100_000)))
    return (
        f"velocell_network = 1\ndt_us = {rng.choice((0, 1, 1 << 62, 1000))}\n[kernels]\nk = ['{row}', '{row}']\n"
        f"[[layers]]\ngroups = {rng.choice((0, 1, 1 << 40))}\nshape = {shape}\ntau_mem_inv = [{values}]\n"
        f"v_th = [{values}]\nv_leak = [{values}]\nv_reset = [{values}]\n"
        "connections = [{out = 0, in = 0, kernel = 'k'}]\n"
    ).encode()


def yaml(rng: random.Random) -> bytes:
    n = rng.choice((1, 1_000, 200_000))
    piece = rng.choice(("\n", " \n", "-1\n", "data: [", "- 1\n", "a:\n", "]", "data : - 1 "))
    return ("camera_matrix: " + piece * n + f"\nimage_width: {rng.choice(_NUMBERS)}\nd: [" + "1," * n + "]\n").encode()


def xml(rng: random.Random) -> bytes:
    n = rng.choice((1, 1_000, 200_000))
    inside = rng.choice(("<a>" * n + "</a>" * n, "<a>" * n, "&#x41;" * n, "<d><data>" + "1 " * n + "</data></d>"))
    head = rng.choice(("", '<?xml version="1.0" encoding="utf-16"?>', '<!DOCTYPE a [<!ENTITY b "c">]>'))
    return f"{head}<x>{inside}</x>".encode()


def pairs(rng: random.Random) -> bytes:
    """JSON."""
    names = ('"homography"', '"camera_matrix"', '"dist_coeffs"', '"image_width"')
    entries = ", ".join(f"{name}: {deep(rng).replace('{a=', '[').replace('nan', 'NaN')}" for name in names)
    return f"{{{entries}}}".encode()


def comma(rng: random.Random) -> bytes:
    """CSV: long rows, long cells, quotes that do not end."""
    head = rng.choice(("", "t_us,id,x_px,y_px\n", "t_us,id,x_px,y_px,t_us\n", "x,y\n"))
    n = rng.choice((1, 1_000, 300_000))
    return (head + rng.choice(("1,1,1,1\n", "1,", '"', "9" * 30, "nan,1,1,1\n", "1e300,1,1,1\n", "\r")) * n).encode()


def lines(rng: random.Random) -> bytes:
    """JSON Lines."""
    row = {"t_us": 1, "id": 1, "x_px": 1.0, "y_px": 2.0, rng.choice(("a", "band")): rng.choice((1, "x", [1], None))}
    text = rng.choice(
        (json.dumps(row), '{"meta": {"command": "live"}}', '{"meta": 3}', "[1]", "7", deep(rng), '"meta"')
    )
    return ((text + "\n") * rng.choice((1, 3, 5_000)))[: 1 << 22].encode()


def parquet(rng: random.Random) -> bytes:
    """Rows without number that take no place, long texts, nested columns, deep meta data."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    n = rng.choice((1, 1_000, 1 << 20, 1 << 22))
    columns: dict[str, Any] = {name: pa.repeat(pa.scalar(1), n) for name in ("t_us", "id", "x_px", "y_px")}
    more = rng.choice(("none", "text", "list", "dictionary", "null", "many"))
    if more == "text":
        columns["a"] = pa.array(["x" * rng.choice((1, 1 << 20))] + ["y"] * (n - 1))
    elif more == "list":
        columns["a"] = pa.array([[1, 2]] * min(n, 1000) + [None] * (n - min(n, 1000)))
    elif more == "dictionary":
        columns["x_px"] = pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0), n), pa.array(["x" * 100_000]))
    elif more == "null":
        columns[rng.choice(("t_us", "x_px"))] = pa.nulls(n)
    elif more == "many":
        columns |= {f"a{k}": columns["id"] for k in range(20 if n > 1000 else 2_000)}
    meta = rng.choice((b"{}", b"[" * 100_000, b"\xff", b"7"))
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns).replace_schema_metadata({b"velocell": meta}), buffer,
                   compression=rng.choice(("zstd", "snappy", "none")))  # fmt: skip
    return buffer.getvalue()


def spikes(rng: random.Random) -> bytes:
    """Arrays that unfold, headers that claim."""
    buffer = io.BytesIO()
    n = rng.choice((1, 1_000, 1 << 22))
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("t_us", "x", "y", "channel", "layer", "layers", "radius_px"):
            content = _array(np.zeros(rng.choice((n, n, n, 3)), np.int64))
            if rng.random() < 0.1:
                content = content[:10] + content[10:128].replace(b"(", b"(9999999") + content[128:]
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def png(rng: random.Random) -> bytes:
    """Sizes that claim, texts and profiles that unfold, more rows than there are."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    side = rng.choice((1, 30, 2_000, 20_000, (1 << 31) - 1))
    bits, kind = rng.choice(((1, 0), (8, 0), (16, 2), (8, 6), (8, 3)))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, rng.choice((1, side)), bits, kind, 0, 0, rng.choice((0, 1))))
    unfolds = zlib.compress(bytes(rng.choice((10, 1 << 20, 1 << 26))))
    more = rng.choice(
        (b"", chunk(b"zTXt", b"a\0\0" + unfolds), chunk(b"iCCP", b"a\0\0" + unfolds), chunk(b"PLTE", b""))
    )
    return b"\x89PNG\r\n\x1a\n" + head + more * rng.choice((1, 3)) + chunk(b"IDAT", unfolds) + chunk(b"IEND", b"")


def npy(rng: random.Random) -> bytes:
    shape = rng.choice(("(3, 3)", "(1099511627776,)", "(True, 4)", "(-1,)", "()", "(0, 3)", "(3, 3, 1)"))
    descr = rng.choice(("'<f8'", "'|O'", "'|V1000000000'", "[('a', '<f8', (99999999,))]", "'<c16'", "'|S9'"))
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(rng.choice((0, 72)))


MAKERS: dict[str, Make] = {
    "hostile network.toml": network,
    **{f"hostile {name}": toml for name in ("scene.toml", "options.toml")},
    "hostile camera.yml": yaml,
    "hostile camera.xml": xml,
    **{f"hostile {name}": pairs for name in ("camera.json", "plane.json")},
    **{f"hostile {name}": comma for name in ("plane.csv", "pixels.csv", "tracks.csv")},
    "hostile tracks.jsonl": lines,
    "hostile tracks.parquet": parquet,
    "hostile spikes.npz": spikes,
    "hostile template.png": png,
    **{f"hostile {name}": npy for name in ("plane.npy", "template.npy")},
}
