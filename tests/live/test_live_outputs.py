"""The files that `velocell live` writes: whole at any time, replaced in one step, gone on with."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
import time

import numpy as np
import pandas
import pytest
from typer.testing import CliRunner

from velocell.calibration.measure import network_for
from velocell.cli.app import app
from velocell.data.bands import Bands
from velocell.data.tables import COLUMNS
from velocell.data.tracks import Tracks
from velocell.errors import OptionError, TableError, VelocellError
from velocell.formats import write_npz
from velocell.live import open_output, outputs
from velocell.live.rotation import Rotation
from velocell.simulate import Scene, SceneObject, simulate

META = {"velocell": "0", "command": "live"}
BANDS = Bands((60.0, 240.0, 960.0))


def rows(*ids, t_us=5_000):
    n = len(ids)
    return {"t_us": [t_us] * n, "id": list(ids), "x_px": [1.5] * n, "y_px": [2.5] * n}


def written(path, *parts, **more):
    output = open_output(str(path), **more)
    for part in parts:
        output.write(part, META)
    output.close()


def texts(path):
    return path.read_text().splitlines(keepends=True)


# --- a file under its name is whole -------------------------------------------------------------------


def test_an_earlier_file_stays_until_the_first_lines_are_ready(tmp_path):
    out = tmp_path / "out.jsonl"
    out.write_text("precious")
    output = open_output(str(out))
    assert out.read_text() == "precious"
    output.write(rows(0), META)
    assert len(Tracks.read(out)) == 1
    output.write(rows(), META)
    output.write(rows(1, t_us=10_000), META)
    assert Tracks.read(out).id.tolist() == [0, 1]
    output.close()
    assert list(tmp_path.iterdir()) == [out]
    assert [list(json.loads(line)) for line in texts(out)] == [[*COLUMNS, "meta"], list(COLUMNS)]


def test_the_first_lines_are_under_the_name_all_at_once(tmp_path, monkeypatch):
    """Whatever stands under the name while the first lines go out, byte by byte."""
    out = tmp_path / "out.jsonl"
    out.write_text("precious")
    seen = set()
    write = os.write

    def byte_by_byte(handle, data):
        seen.add(out.read_bytes())
        return write(handle, data[:1])

    monkeypatch.setattr(os, "write", byte_by_byte)
    written(out, rows(0, 1))
    assert seen == {b"precious"}
    assert len(Tracks.read(out)) == 2


def test_a_full_disk_leaves_whole_lines(tmp_path, monkeypatch):
    out = tmp_path / "out.jsonl"
    output = open_output(str(out))
    output.write(rows(0), META)
    before, write, left = out.read_bytes(), os.write, [30]

    def full(handle, data):
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken, left[0] = min(len(data), left[0]), 0
        return write(handle, data[:taken])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left") as caught:
        output.write(rows(1), META)
    assert caught.value.filename == str(out)
    assert out.read_bytes() == before
    monkeypatch.undo()
    output.close()


def test_a_folder_that_is_gone_is_told(tmp_path):
    output = open_output(str(tmp_path / "none" / "out.jsonl"))
    with pytest.raises(VelocellError, match="make the folder first"):
        output.write(rows(0), META)
    output.close()


def test_pandas_reads_the_rows_and_nothing_else(tmp_path):
    """Also where a second run went on with the first; and a table of earlier versions is read as ever."""
    out = tmp_path / "out.jsonl"
    written(out, rows(), rows(0, 1), rows(2, t_us=10_000))
    written(out, rows(), rows(0, t_us=15_000), append=True)
    frame = pandas.read_json(out, lines=True)
    assert frame["id"].tolist() == [0, 1, 2, 3]
    assert frame["t_us"].dtype == np.int64
    assert frame["meta"][0] == META
    table = Tracks.read(out)
    earlier = tmp_path / "earlier.jsonl"
    lines = [json.loads(line) for line in texts(out)]
    metas = [line.pop("meta", None) for line in lines]
    apart = [
        each for meta, line in zip(metas, lines, strict=True) for each in ([{"meta": meta}] if meta else []) + [line]
    ]
    earlier.write_text("".join(json.dumps(line) + "\n" for line in apart))
    again = Tracks.read(earlier)
    assert again.meta == table.meta
    assert again.meta["appended"] == [{**META, "first_id": 3}]
    np.testing.assert_array_equal(again.id, table.id)
    written(earlier, rows(0, t_us=20_000), append=True)
    assert Tracks.read(earlier).id.tolist() == [0, 1, 2, 3, 4]


def test_before_the_first_row_the_file_is_there_and_empty(tmp_path):
    out, rotation = tmp_path / "out.jsonl", Rotation()
    out.write_text("earlier")
    output = open_output(str(out), rotation=rotation)
    output.write(rows(), META)
    assert out.read_bytes() == b""
    rotation.now.set()
    output.write(rows(), META)  # nothing to rotate
    output.finish(META)
    output.close()
    assert list(tmp_path.iterdir()) == [out]
    assert Tracks.read(out).meta == META
    out.write_bytes(b"")  # as kill -9 leaves it
    written(out, rows(0), append=True)
    assert len(Tracks.read(out)) == 1


# --- what a killed program left -------------------------------------------------------------------------


def test_a_torn_last_line_is_left_out_and_told(tmp_path):
    out = tmp_path / "out.jsonl"
    written(out, rows(0), rows(1), rows(2))
    data = out.read_bytes()
    last = len(texts(out)[-1])
    for cut in (1, last // 2, last - 1):
        torn = tmp_path / "torn.jsonl"
        torn.write_bytes(data[:-cut])
        if cut == 1:  # only the line break is missing: nothing is lost
            assert len(Tracks.read(torn)) == 3
            continue
        with pytest.warns(
            UserWarning, match=f"torn.jsonl: the last line was incomplete and left out \\({last - cut} bytes"
        ):
            tracks = Tracks.read(torn)
        assert tracks.id.tolist() == [0, 1]
        assert str(last - cut) in tracks.meta["notes"][0]


def test_a_damaged_line_elsewhere_or_of_other_tables_is_an_error(tmp_path):
    out = tmp_path / "out.jsonl"
    written(out, rows(0), rows(1))
    lines = texts(out)
    out.write_text(lines[0] + lines[1][:20] + "\n" + lines[1])
    with pytest.raises(TableError, match="not a readable table"):
        Tracks.read(out)
    out.write_text(json.dumps({"meta": {"command": "detect"}}) + "\n" + lines[1][:20])
    with pytest.raises(TableError, match="not a readable table"):
        Tracks.read(out)


# --- going on -----------------------------------------------------------------------------------------------


def test_append_goes_on_after_the_largest_id(tmp_path):
    out, told = tmp_path / "out.jsonl", []
    written(out, rows(7), rows(3, t_us=10_000))
    before = out.read_bytes()
    written(out, rows(0, 2, t_us=15_000), append=True, say=told.append)
    assert out.read_bytes().startswith(before)
    assert told == []
    tracks = Tracks.read(out)
    assert tracks.id.tolist() == [7, 3, 8, 10]
    assert tracks.meta["appended"] == [{**META, "first_id": 8}]
    assert {name: value for name, value in tracks.meta.items() if name != "appended"} == META
    written(out, rows(0, t_us=1), append=True, say=told.append)  # another clock: the table is sorted, ids tell apart
    tracks = Tracks.read(out)
    assert tracks.id.tolist() == [11, 7, 3, 8, 10]
    assert [more["first_id"] for more in tracks.meta["appended"]] == [8, 11]


@pytest.mark.parametrize("left", [1, 40])
def test_append_cuts_a_torn_line_off_and_says_so(tmp_path, left):
    out, told = tmp_path / "out.jsonl", []
    written(out, rows(0), rows(9))
    whole = out.read_bytes()[: -len(texts(out)[-1])]
    out.write_bytes(whole + texts(out)[-1][:left].encode())
    written(out, rows(0), append=True, say=told.append)
    assert told == [f"{out}: the last line was incomplete; its {left} bytes were cut off"]
    assert out.read_bytes().startswith(whole)
    assert Tracks.read(out).id.tolist() == [0, 1]


def test_append_to_what_is_not_there_starts_a_file(tmp_path):
    written(tmp_path / "out.jsonl", rows(0), append=True)
    assert "first_id" not in Tracks.read(tmp_path / "out.jsonl").meta


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"meta": {"velocell": "0"', "it has no complete line"),
        (b"t_us,id\n1,2\n", "line 1 is not a row of JSON Lines"),
        (b'{"meta": {}}\n', "line 1 was not written by velocell live"),
        (b'{"meta": {"velocell": "0"}}\n{"t_us": 1, "id": 2}\n', "line 2 was not written by velocell live"),
        (b'{"meta": {"velocell": "0"}}\n[1]\n', "line 2 was not written by velocell live"),
        (b'{"meta": {"velocell": "0"}}\n\xff\n', "line 2 is not a row of JSON Lines"),
        (b'{"meta": {"velocell": "0"}}\n7\n', "line 2 is not a row of JSON Lines"),
    ],
)
def test_append_refuses_what_is_no_such_table_and_leaves_it(tmp_path, content, words):
    out = tmp_path / "out.jsonl"
    out.write_bytes(content)
    with pytest.raises(OptionError, match=f"cannot continue .*{words}.*; name another file or drop --append"):
        open_output(str(out), append=True)
    assert out.read_bytes() == content


@pytest.mark.parametrize("target", ["-", "udp://127.0.0.1:9"])
def test_append_needs_a_file(target):
    with pytest.raises(OptionError, match=r"--append continues a file.*drop it"):
        open_output(target, append=True)


def test_append_to_a_fifo_is_refused(tmp_path):
    os.mkfifo(tmp_path / "out.jsonl")
    with pytest.raises(OptionError, match="not a regular file"):
        open_output(str(tmp_path / "out.jsonl"), append=True)


def test_the_command_goes_on_with_its_own_output(tmp_path):
    item = SceneObject(id=0, x_px=10, y_px=30, speed_px_s=400)
    recording = simulate(Scene(80, 60, 150_000, seed=1, noise_hz=0.2, objects=(item,)))[0]
    write_npz(recording, tmp_path / "rec.npz")
    network_for(recording, BANDS, 5.0).to_toml(tmp_path / "net.toml")
    out = tmp_path / "out.jsonl"
    command = ["live", f"replay:{tmp_path / 'rec.npz'}", "--network", str(tmp_path / "net.toml"), "--speed", "max"]
    assert CliRunner().invoke(app, [*command, "-o", str(out)]).exit_code == 0
    once = Tracks.read(out)
    assert len(once) > 10
    out.write_bytes(out.read_bytes() + b'{"t_us": 17')
    result = CliRunner().invoke(app, [*command, "-o", str(out), "--append"])
    assert result.exit_code == 0, result.stderr
    assert "the last line was incomplete; its 11 bytes were cut off" in result.stderr
    twice = Tracks.read(out)
    first_id = int(once.id.max()) + 1
    assert [more["first_id"] for more in twice.meta["appended"]] == [first_id]
    for shift in (0, first_id):
        part = twice.where((twice.id >= shift) & (twice.id < shift + first_id))
        np.testing.assert_array_equal(part.id, once.id + shift)
        np.testing.assert_array_equal(part.x_px, once.x_px)
    result = CliRunner().invoke(app, [*command, "-o", "-", "--append"])
    assert (result.exit_code, result.stdout) == (1, "")


# --- the lines themselves ---------------------------------------------------------------------------------


def test_lines_are_those_of_json(tmp_path):
    """Each line is what json makes of the row's dict, extra columns, odd names and values included."""
    columns = {
        "t_us": np.array([2**53 + 1, 2**53 + 3]),
        "id": np.array([1, 2], np.int32),
        "x_px": np.array([1.23456, np.nan]),
        "y_px": np.array([-0.0, np.inf]),
        "speed_px_s": np.array([1e22, 5e-324]),
        '50 % "x"': np.array([True, False]),
        "name": np.array(['a "b" é', "{}"]),
        "count": np.array([3, 4], np.uint8),
    }
    table = Tracks.from_columns(columns, {})
    table.write(tmp_path / "a.jsonl")
    expected = []
    for k in range(2):
        row = {}
        for name, values in table.columns().items():
            value = values[k].item()
            if isinstance(value, float):
                value = None if np.isnan(value) else round(value, 6 if name == "confidence" else 3)
            row[name] = value
        expected.append(json.dumps(row) + "\n")
    assert texts(tmp_path / "a.jsonl") == expected


# --- others at the same file, and readers that stall ----------------------------------------------------------


def test_two_writers_of_one_file_are_refused(tmp_path):
    out = tmp_path / "out.jsonl"
    first = open_output(str(out))
    first.write(rows(0), META)
    with pytest.raises(OptionError, match="another program is writing"):
        open_output(str(out), append=True)
    first.close()
    second = open_output(str(out), append=True)
    with pytest.raises(OptionError, match="another program is writing"):
        open_output(str(out), append=True)
    second.write(rows(0), META)
    second.close()
    assert Tracks.read(out).id.tolist() == [0, 1]


@pytest.mark.parametrize("how", ["moved", "deleted", "replaced"])
def test_a_file_that_is_gone_is_noticed_once(tmp_path, monkeypatch, how):
    monkeypatch.setattr(outputs, "_LOOK_S", 0.0)
    out, said = tmp_path / "out.jsonl", []
    output = open_output(str(out), say=said.append)
    output.write(rows(0), META)
    output.write(rows(1), META)
    assert not said
    if how == "deleted":
        out.unlink()
    else:
        out.rename(tmp_path / "moved.jsonl")
    if how == "replaced":
        out.write_text("another")
    for number in (2, 3):
        output.write(rows(number), META)
    output.close()
    assert len(said) == 1
    assert "was moved, replaced or deleted" in said[0]


STALLED = """
import signal, sys
from velocell.cli import main
main()
"""


@pytest.mark.parametrize("command", ["live", "detect"])
def test_a_reader_that_stalls_does_not_hold_up_the_end(tmp_path, command):
    """It takes nothing; a pipe holds 64 kB, far less than the rows."""
    items = tuple(SceneObject(id=k, x_px=20 + 24 * (k % 6), y_px=20 + 40 * (k // 6), speed_px_s=70) for k in range(12))
    scene = Scene(160, 120, 1_500_000, seed=1, objects=items)
    write_npz(simulate(scene)[0], tmp_path / "rec.npz")
    source = "rec.npz" if command == "detect" else "replay:rec.npz"
    arguments = [sys.executable, "-c", STALLED, command, source, "--bands", "40,240,960", "-o", "-", "--every", "500us"]
    with subprocess.Popen(
        arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as program:
        try:
            until_s, waiting, before = time.monotonic() + 60, 0, -1
            while not 0 < waiting == before and time.monotonic() < until_s:  # until the pipe takes no more
                time.sleep(0.5)
                before = waiting
                waiting = int.from_bytes(fcntl.ioctl(program.stdout, termios.FIONREAD, bytes(4)), sys.byteorder)
            assert waiting > 10_000
            assert program.poll() is None
            program.send_signal(signal.SIGTERM)
            assert program.wait(20) == (0 if command == "live" else 130)
        finally:
            program.kill()
