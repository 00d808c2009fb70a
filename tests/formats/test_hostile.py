"""Well-formed files that ask for more than they hold: one sentence or a right result, within 5 s of CPU and 300 MB.

A row of `FILES` says for each small file of ../shared/cases/hostile what it is; the tests below them make its siblings.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.places import CASES
from velocell import formats
from velocell.calibration import calibrate
from velocell.cli.config import options_of
from velocell.data.bands import Bands
from velocell.data.budget import Budget, Meter
from velocell.data.spikes import Spikes
from velocell.data.tracks import Tracks
from velocell.errors import NetworkError, OptionError, RecordingError, TableError, VelocellError
from velocell.filters.lens import Camera
from velocell.network import Network
from velocell.network.template import Template
from velocell.results.plane import Plane
from velocell.simulate import Scene

CPU_S, MEMORY_BYTES = 5, 300 << 20
RIGHT = ""  # it is read

# By file: what is said, by command where that differs.
FILES = {
    "circle.h5": "parts refer to each other in a circle",
    "external1e9.h5": "has its values in other files, which are not opened",
    "gen.db3": "has columns that are computed",
    "header1GiB.npz": "its header has 1073741824 bytes, more than 65536",
    "jump10h.npz": RIGHT,
    "jumpepoch.npz": {"info": RIGHT, "detect": RIGHT, "convert": "cut it there, or write .npz"},
    "size20000.raw": "asks for a sensor of 20000x20000 px, more than 8390864 px",
    "sparse267M.pt": "asks for 2.67e+08 events",
}
COMMANDS = {
    "info": [],
    "detect": ["--bands", "40,160,640", "--radius", "5", "-o", "out.csv"],
    "convert": ["out.raw"],
}

# A program of its own, since a child counts the memory of the process that it was copied from as well. The limit ends
# what would go on for ever.
MEASURED = f"""
import json, resource, subprocess, sys
resource.setrlimit(resource.RLIMIT_CPU, ({4 * CPU_S}, {4 * CPU_S}))
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({{"code": code, "cpu_s": used.ru_utime + used.ru_stime, "memory_kib": used.ru_maxrss}}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="measured as Linux counts")
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", FILES)
def test_hostile_files(tmp_path: Path, name: str, command: str) -> None:
    file = CASES / "hostile" / name
    if not file.exists():
        pytest.skip(f"{file} is not there")
    program = shutil.which("velocell", path=str(Path(sys.executable).parent))
    assert program is not None
    wanted = FILES[name]
    text = wanted if isinstance(wanted, str) else wanted[command]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, program, command, str(file), *COMMANDS[command]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    used, said = json.loads(done.stdout.splitlines()[-1]), done.stderr
    assert used["cpu_s"] < CPU_S
    assert used["memory_kib"] << 10 < MEMORY_BYTES
    assert used["code"] == (1 if text else 0), said
    assert text in " ".join(said.split())
    assert "internal error" not in said
    assert "Traceback" not in said
    if text:
        assert said.count("\n") == 1
        assert not list(tmp_path.iterdir())


# --- their siblings -----------------------------------------------------------------------------------------


def refused(path: Path, text: str) -> None:
    with pytest.raises(RecordingError, match=text) as caught:
        formats.read(path)
    assert "\n" not in str(caught.value)


BAG = """
CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT, serialization_format TEXT);
CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, data BLOB);
"""


def bag(path: Path, script: str) -> Path:
    with sqlite3.connect(path) as base:
        base.executescript(script)
    base.close()
    return path


@pytest.mark.parametrize(
    ("script", "text"),
    [
        (BAG.replace("CREATE TABLE messages", "CREATE TABLE m")
         + "CREATE VIEW messages AS SELECT a.id, 1 AS topic_id, a.data FROM m a, m b", "not a ROS 2 bag"),
        (BAG.replace("data BLOB", "data BLOB AS (zeroblob(100000000))"), "columns that are computed"),
        (BAG.replace("name TEXT", "name TEXT AS (hex(zeroblob(100000000)))"), "columns that are computed"),
        ("CREATE VIRTUAL TABLE messages USING fts5(id, topic_id, data);"
         + BAG.replace("CREATE TABLE messages", "CREATE TABLE other"), "not a ROS 2 bag"),
        (BAG + "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) "
         "INSERT INTO topics SELECT i, 'a', 'b', 'cdr' FROM n", "more than 10000 topics"),
    ],
)  # fmt: skip
def test_databases_that_compute(tmp_path: Path, script: str, text: str) -> None:
    refused(bag(tmp_path / "a.db3", script), text)


def test_a_topic_that_stands_twice_multiplies_nothing(tmp_path: Path) -> None:
    script = BAG.replace("id INTEGER PRIMARY KEY, name", "id INTEGER, name") + (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) "
        "INSERT INTO topics SELECT 1, 'a', 'x/y', 'cdr' FROM n;"
        "INSERT INTO messages SELECT NULL, 1, 0, x'00' FROM topics"
    )
    refused(bag(tmp_path / "a.db3", script), "holds no events .it holds messages of x/y")


def test_work_inside_the_database_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("velocell.data.budget._CPU_S", 1e-9)
    monkeypatch.setattr("velocell.data.budget._CPU_S_A_BYTE", 0.0)
    monkeypatch.setattr("velocell.formats.ros.sqlite._STEPS", 10)
    script = BAG + (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) "
        "INSERT INTO messages SELECT NULL, i, 0, NULL FROM n"
    )
    refused(bag(tmp_path / "a.db3", script), "of work, more than 0 s")


def test_an_archive_with_a_long_list_of_members(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for k in range(12_000):
            archive.writestr(f"{k:040}.npy", b"")
    refused(path, "list of members has .* bytes, more than 1048576")


def test_a_shape_of_booleans(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    header = b"{'descr': '<i8', 'fortran_order': False, 'shape': (True, 4)}\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(32))
    refused(path, "cannot tell|table")


def test_the_largest_size_by_default_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    for width, text in ((4096, ""), (4098, "asks for a sensor of 4098x2048 px")):
        path.write_bytes(f"% evt 2.0\n% geometry {width}x2048\n% end\n".encode() + bytes(8))
        if text:
            refused(path, text)
            assert formats.open_recording(path, budget=2).width == width
        else:
            assert formats.open_recording(path).width == width


def test_a_longer_file_may_have_a_larger_sensor() -> None:
    Budget("a", 64 << 20).check_size(4096, 4096)
    with pytest.raises(RecordingError, match="4096x4096 px, more than 8388733 px"):
        Budget("a", 1000).check_size(4096, 4096)


def test_a_budget_must_be_positive(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("1,2,3\n")
    for times in (0.0, -1.0, float("nan")):
        with pytest.raises(RecordingError, match="must be above 0"):
            formats.read(path, budget=times)


def test_the_budget_that_a_sentence_names_is_enough() -> None:
    for times in (0.5, 1.0, 3.0):
        budget = Budget("a", 1000, times)
        for n in (budget.events + 1, 17 * budget.events, 1000 * budget.events):
            with pytest.raises(RecordingError) as caught:
                budget.check_events(n)
            named = float(str(caught.value).split("--budget ")[1].split()[0])
            Budget("a", 1000, named).check_events(n)
            assert named <= 4 * max(1.0, times * n / budget.events)


def test_unpacked_bytes_add_up() -> None:
    meter = Meter(Budget("a", 1, 1.0))
    unpack = meter.unpacking(lambda data: bytes(len(data) << 20))
    for _ in range(51):
        assert len(unpack(bytes(10))) == 10 << 20
    with pytest.raises(RecordingError, match="asks for unpacked data of 545 MB, more than"):
        unpack(bytes(10))


# --- files beside the recording -----------------------------------------------------------------------------

DEEP = "[" * 200_000


@pytest.mark.parametrize(
    ("name", "content", "read", "text"),
    [
        ("a.toml", f"a = {DEEP}", Network.from_toml, "nested too deeply"),
        ("a.toml", f"a = {DEEP}", Scene.from_toml, "nested too deeply"),
        ("a.toml", "#" * (5 << 20), Network.from_toml, "larger than 4 MiB"),
        ("a.json", DEEP, Camera.read, "nested too deeply"),
        ("a.xml", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', Camera.read, "declarations"),
        ("a.yml", "image_width: nan\nimage_height: 3\n", Camera.read, "not a readable camera file"),
        ("a.toml", "a." * 20_000 + "a = 1", Network.from_toml, "nested too deeply"),
        ("a.toml", f"a = {DEEP}", options_of, "nested too deeply"),
        ("a.yml", "image_width: inf\nimage_height: 3\n", Camera.read, "not a readable camera file"),
    ],
)  # fmt: skip
def test_side_files(tmp_path: Path, name: str, content: str, read: object, text: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    assert callable(read)
    with pytest.raises(VelocellError, match=text) as caught:
        read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("error")
def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    """In a sentence, without a warning beside it."""
    path = tmp_path / "a.toml"
    calibrate(Bands((40.0, 160.0)), 3).to_toml(path)
    text = path.read_text()
    path.write_text(text.replace('"0 ', '"1e39 ', 1))
    assert path.read_text() != text
    with pytest.raises(NetworkError, match="finite weights"):
        Network.from_toml(path)


def test_an_array_of_complex_numbers(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.eye(3) * 1j)
    for read in (Plane.read, Template.read):
        with pytest.raises(OptionError, match="complex128, not numbers"):
            read(tmp_path / "a.npy")


def test_spikes_that_unfold_or_claim(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    few = np.zeros(3, np.int64)
    np.savez_compressed(path, t_us=np.zeros(10_000_000, np.int64), x=few, y=few, channel=few, layer=few)
    with pytest.raises(TableError, match=r"unpacks to 7. MB, more than the 6. MB"):
        Spikes.from_npz(path)
    np.savez(path, t_us=few, x=few, y=few, channel=few, layer=few)
    path.write_bytes(path.read_bytes().replace(b"(3,)", b"(9,)"))
    with pytest.raises(TableError, match=r"claims an array of shape .9,|is not a table of spikes"):
        Spikes.from_npz(path)


def test_tables_in_parquet(tmp_path: Path) -> None:
    """Rows without number take no place in a file."""
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "a.parquet"

    def refused_table(columns: dict[str, object], text: str) -> None:
        parquet.write_table(arrow.table(columns), path)
        with pytest.raises(TableError, match=text) as caught:
            Tracks.read(path)
        assert str(path) in str(caught.value)
        assert str(caught.value).isprintable()

    ones = arrow.repeat(arrow.scalar(1), 1 << 20)
    refused_table(dict.fromkeys(("t_us", "id", "x_px", "y_px"), ones), "unpacks to 96 MB or more")
    assert path.stat().st_size < 100_000
    few: dict[str, object] = {key: [1, 2] for key in ("t_us", "id", "x_px", "y_px")}
    refused_table({**few, "a": ["x" * 10_000_000, ""]}, "unpacks to")
    refused_table({**few, "a": [[1], []]}, "the column 'a' holds list")
    refused_table(few | {f"a{k}": [1, 2] for k in range(1_000)}, "has 1004 columns")
    parquet.write_table(arrow.table({**few, "a": ["x", "yz"], "b": [True, None]}), path)
    assert Tracks.read(path).extra["a"].tolist() == ["x", "yz"]
    data = bytearray(path.read_bytes())
    data[4:24] = b"\xff" * 20
    path.write_bytes(data)
    with pytest.raises(TableError, match="is not a readable table of tracks") as caught:
        Tracks.read(path)
    assert str(caught.value).isprintable()


def test_a_camera_file_takes_time_in_proportion(tmp_path: Path) -> None:
    """A pattern took the square of the length: an hour for this one."""
    path = tmp_path / "a.yml"
    path.write_text("a:\n" + "\n \n" * 200_000 + "b: -" + "1" * 200_000 + "\n 2\n")
    with pytest.raises(OptionError, match="has no camera_matrix"):
        Camera.read(path)


def test_templates(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("1", (20_000, 20_000)).save(path)
    assert path.stat().st_size < 100_000
    with pytest.raises(OptionError, match=r"400000000 pixels. exceeds limit|20000x20000 px, more than"):
        Template.read(path)
    edge = np.zeros((800, 800), np.uint8)
    edge[5:-5, 5:-5] = 255
    Image.fromarray(edge).save(path)
    with pytest.raises(OptionError, match="790x790 px; an object may have up to 512 px a side"):
        Template.read(path)
    data = io.BytesIO()
    np.lib.format.write_array_header_1_0(data, {"descr": "<f8", "fortran_order": False, "shape": (1 << 20, 1 << 20)})
    (tmp_path / "a.npy").write_bytes(data.getvalue())
    with pytest.raises(OptionError, match="is not a picture"):
        Template.read(tmp_path / "a.npy")
    (tmp_path / "a.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(OptionError, match="is not a picture"):
        Template.read(tmp_path / "a.eps")


def test_deep_meta_data_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("t_us,id,x_px,y_px\n1,1,1,1\n")
    (tmp_path / "a.csv.meta.json").write_text(json.dumps({}) + DEEP)
    with pytest.raises(VelocellError, match=r"a\.csv"):
        Tracks.read(path)
