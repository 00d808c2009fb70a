"""`velocell batch` with real workers: kill -9 of the program and of a worker, an address, and what a user sees."""

from __future__ import annotations

import gc
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from urllib.error import HTTPError
from urllib.request import urlopen

import psutil
import pytest
from commands import call

import velocell
from velocell.batch import Outcome, task
from velocell.batch.cluster import dashboard_on_demand
from velocell.cli import guard
from velocell.cli.batch import _OWN
from velocell.cli.given import given, words
from velocell.formats import write_evt3, write_npz
from velocell.simulate import random_scene, simulate

pytest.importorskip("distributed")
pytest.importorskip("pyarrow")
BANDS = "40,160,640"
COMMAND = [sys.executable, "-c", "from velocell.cli import main; main()", "batch"]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Six recordings, one of them cut off, and a damaged one."""
    folder = tmp_path_factory.mktemp("in")
    for k in range(6):
        scene = random_scene(2, width=120, height=90, duration_us=500_000, speeds=(50, 400), seed=20 + k)
        recording = simulate(scene)[0]
        if k < 5:
            write_npz(recording, folder / f"r{k}.npz")
    write_evt3(recording, folder / "r5.raw")
    cut = (folder / "r5.raw").read_bytes()
    (folder / "r5.raw").write_bytes(cut[:-3])
    (folder / "bad.npz").write_bytes((folder / "r0.npz").read_bytes()[:2000])
    return folder


def start(*arguments, **more):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*COMMAND, *map(str, arguments)], **pipes, **more)


def finished(*arguments):
    process = start(*arguments)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def contents(folder):
    """Everything but the log of attempts, which has times."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name not in ("log.jsonl", ".lock")
    }


@pytest.fixture(scope="module")
def whole(recordings, tmp_path_factory):
    """What an undisturbed batch makes, and what it said."""
    out = tmp_path_factory.mktemp("whole") / "out"
    code, printed, said = finished(recordings, "-o", out, "--bands", BANDS, "--also", "spikes", "--json")
    assert code == 1, said
    return out, json.loads(printed), said


def test_one_bad_file_loses_no_other(whole):
    out, printed, said = whole
    status = {each["name"]: each["status"] for each in printed["recordings"]}
    assert status == {"bad.npz": "failed", "r5.raw": "done", **{f"r{k}.npz": "done" for k in range(5)}}
    assert [line for line in said.splitlines() if "warning: r" in line] == [
        "velocell: warning: r5.raw: 1 bytes after the last whole entry; left out"
    ]
    assert "bad.npz is a zip archive that is damaged" in said
    assert "1 of 7 recordings failed" in said.splitlines()[-1]
    assert re.search(r"dashboard at http://127\.0\.0\.1:\d+/status", said)
    lines = [json.loads(line) for line in (out / "batch.jsonl").read_text().splitlines()]
    assert [line["name"] for line in lines] == sorted(status)


def wait_for(ready, process):
    """Until something is there that this test's own processes make."""
    until = time.monotonic() + 60
    while not ready():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)


def test_killed_and_resumed_it_makes_the_same_bytes(recordings, whole, tmp_path):
    out = tmp_path / "out"
    arguments = (recordings, "-o", out, "--bands", BANDS, "--also", "spikes")
    process = start(*arguments)
    wait_for(lambda: list(out.glob("recordings/*/done.json")), process)
    # By its number: the workers and their children end with it.
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    kept = set(out.glob("recordings/*/done.json"))
    assert kept
    code, _, said = finished(*arguments)
    assert code == 1
    assert re.search(rf"6 of 7 recordings done, [{len(kept)}-6] of them in an earlier run", said), said
    assert contents(out) == contents(whole[0])


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM that can be caught")
@pytest.mark.parametrize("by", ["SIGTERM to it", "SIGINT to all"])
def test_stopped_it_says_how_far_it_came_and_leaves_dask_nothing_elsewhere(recordings, tmp_path, monkeypatch, by):
    out, here = tmp_path / "out", tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("TMPDIR", str(here))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
    process = start(recordings, "-o", out, "--bands", BANDS, "--workers", 1, start_new_session=True)
    signal.signal(signal.SIGINT, before)
    wait_for(lambda: list(out.glob("recordings/*/done.json")), process)
    assert list(out.glob(".work/dask-scratch-space*"))
    if by == "SIGTERM to it":
        process.send_signal(signal.SIGTERM)
    else:  # as a terminal does it
        os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=120)
    done = len(list(out.glob("recordings/*/done.json")))
    assert (process.returncode, said.splitlines()[-1]) == (
        130, f"velocell: stopped; {done} of 7 done, the same command resumes"
    )  # fmt: skip
    assert "Traceback" not in said
    assert (out / "batch.jsonl").read_text().count("\n") in range(1, done + 2)  # the damaged one may be in it
    assert not list(here.glob("dask*"))
    assert not (out / ".work").exists()


def test_what_was_warned_of_is_bounded():
    from velocell.cli.batch import _tell

    outcomes = [
        Outcome(f"r{k:02}", f"/in/r{k:02}", "done", said=(f"warning: /in/r{k:02}: cut", "note: a", "warning: b"))
        for k in range(13)
    ]
    said: list[str] = []
    with guard.heard_by(said.append):
        _tell(outcomes, Path("out"), as_json=False, quiet=True)
    assert said[0] == "warning: r00: cut (and 1 more)"
    assert said[10:] == ["warning: 13 recordings had warnings, the first 10 are named; all: out/batch.jsonl"]


def test_a_worker_killed_in_the_middle_changes_nothing(recordings, whole, tmp_path):
    out = tmp_path / "out"
    process = start(recordings, "-o", out, "--bands", BANDS, "--also", "spikes")
    wait_for(lambda: list(out.glob("recordings/*/done.json")), process)
    children = [p for p in psutil.Process(process.pid).children(recursive=True) if "velocell.cli.child" in p.cmdline()]
    children[0].parent().kill()
    process.communicate(timeout=120)
    assert process.returncode == 1
    assert contents(out) == contents(whole[0])


def test_futures_compose_with_a_users_own_graph(recordings, tmp_path):
    from distributed import Client, LocalCluster

    # In this process: what is tested is the graph, the processes are above.
    options = {"processes": False, "n_workers": 1, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(**options, scheduler_kwargs={"dashboard": False}) as cluster, Client(cluster) as client:
        cluster.sync(dashboard_on_demand, cluster.scheduler)
        pages = f"http://127.0.0.1:{cluster.scheduler.services['dashboard'].port}"
        with pytest.raises(HTTPError, match="404"):  # the second application is asked, and does not call itself
            urlopen(f"{pages}/nothing", timeout=60)
        assert b"bokeh" in urlopen(f"{pages}/status", timeout=60).read().lower()
        inputs = [recordings / "r0.npz", recordings / "bad.npz"]
        futures = velocell.batch(inputs, tmp_path / "out", scheduler=client, bands=(40, 160, 640))
        rows = client.submit(lambda outcomes: [each["rows"] for each in outcomes], futures).result()
        bad, good = (Outcome.of(future.result()) for future in futures)
    assert (good.status, bad.status) == ("done", "failed")
    assert rows == [None, len(good.tracks())]
    with pytest.raises(velocell.VelocellError, match="damaged"):
        bad.tracks()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("gone", "-o", "out", "--bands", BANDS), "no recordings match gone"),
        ((".", "-o", "out"), "detection needs speed bands or a network"),
        ((".", "-o", "out", "--bands", BANDS, "--also", "tea"), "'tea' is not a result of a batch"),
        ((".", "-o", "out", "--bands", BANDS, "--timeout", "0s"), "--timeout must be more than 0"),
        (("r0.npz", "-o", ".", "--bands", BANDS), "holds other files than results"),
        ((".", "-o", "out", "--bands", BANDS, "--scheduler", "tcp://127.0.0.1:9"), "no Dask scheduler answers at tcp"),
        ((".", "-o", "out", "--bands", BANDS, "--scheduler", "x"), "no Dask scheduler answers at x"),
    ],
)
def test_bad_input_is_one_sentence(recordings, tmp_path, monkeypatch, arguments, words):
    from velocell.batch import cluster

    monkeypatch.setattr(cluster, "PATIENCE_S", 0.2)
    shutil.copyfile(recordings / "r0.npz", tmp_path / "r0.npz")
    monkeypatch.chdir(tmp_path)
    result = call("batch", *arguments)
    assert result.exit_code == 1, result.stderr
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_client_that_cannot_start_is_not_left_open(tmp_path):
    from distributed import Client

    from velocell.batch import cluster

    def clients():
        return [each for each in gc.get_objects() if issubclass(type(each), Client)]

    before = {id(each) for each in clients()}
    with pytest.raises(velocell.VelocellError, match="no Dask scheduler answers") as kept:
        cluster.connect("nowhere", None, tmp_path)
    after = [each for each in clients() if id(each) not in before]
    assert [each.status for each in after] in ([], ["closed"])
    assert kept.value.__context__ is not None  # which holds the frames, and so the client


@pytest.fixture(scope="module")
def scheduler():
    """A scheduler with a worker, in this process: what is tested is what is said to its user."""
    from distributed import LocalCluster

    options = {"processes": False, "n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**options, protocol="tcp", host="127.0.0.1") as cluster:
        yield cluster.scheduler_address


def test_a_scheduler_that_is_there_is_used(recordings, scheduler, tmp_path):
    result = call("batch", recordings / "r0.npz", "-o", tmp_path / "out", "--bands", BANDS, "--scheduler", scheduler)
    assert result.exit_code == 0, result.stderr
    assert "1 of 1 recordings done" in result.stderr
    refused = call(
        "batch", recordings, "-o", tmp_path / "o", "--bands", BANDS, "--scheduler", scheduler, "--workers", 2
    )
    assert "--workers is for this machine" in refused.stderr


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("version", lambda: "9.9", "runs Velocell 9.9, and this is"),
        ("os", SimpleNamespace(path=SimpleNamespace(isdir=lambda path: False), getpid=os.getpid), "does not see the"),
        ("version", lambda: 1 / 0, r"the workers cannot run Velocell \(ZeroDivisionError"),
    ],
)
def test_workers_that_cannot_do_it_are_refused_at_once(
    recordings, scheduler, tmp_path, monkeypatch, name, value, words
):
    monkeypatch.setattr(task, name, value)
    result = call("batch", recordings, "-o", tmp_path / "out", "--bands", BANDS, "-q", "--scheduler", scheduler)
    assert result.exit_code == 1
    assert re.search(words, result.stderr)
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out" / "batch.jsonl").exists()


def test_a_worker_that_comes_later_with_another_version_does_nothing(recordings, tmp_path):
    job = {"velocell": "9.9", "name": "r0", "source": str(recordings / "r0.npz"), "folder": str(tmp_path)}
    outcome = Outcome.of(task.run_one(job))
    assert outcome.status == "failed"
    assert outcome.error.startswith("its worker runs Velocell")


@pytest.mark.parametrize("says", [b"", b"SSH-2.0-OpenSSH_9.2\r\n"])
def test_something_else_at_the_schedulers_port_is_one_sentence(recordings, tmp_path, monkeypatch, says):
    """It takes the connection, and says nothing, or something else; Dask's own client waits for ever then."""
    from velocell.batch import cluster

    monkeypatch.setattr(cluster, "PATIENCE_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"tcp://127.0.0.1:{other.getsockname()[1]}"

        def speak():
            with other.accept()[0] as connection, suppress(ConnectionError):
                connection.sendall(says)
                connection.recv(1)  # until it is given up

        speaking = Thread(target=speak, daemon=True)
        speaking.start()
        result = call("batch", recordings, "-o", tmp_path / "out", "--bands", BANDS, "--scheduler", address)
        speaking.join(10)
    assert result.exit_code == 1
    assert f"no Dask scheduler answers at {address} within 0.5 s" in result.stderr
    assert result.stderr.count("\n") == 1


def test_options_go_to_the_workers_as_they_were_given():
    import typer

    from velocell.cli import detect
    from velocell.cli.app import app

    command = typer.main.get_command(app).commands["batch"]
    given_words = [
        "in", "-o", "out", "--bands", "40,160", "--no-mask-hot", "--strict", "--roi", "0,0,9,9", "--roi=5,5,9,9",
        "--rule", "a=1", "--fps", "30", "--workers", "1", "-q",
    ]  # fmt: skip
    context = command.make_context("batch", given_words)
    options = given(context, _OWN)
    assert options == {
        "bands": "40,160", "mask-hot": False, "strict": True, "roi": ["0,0,9,9", "5,5,9,9"], "rule": ["a=1"],
        "fps": 30.0,
    }  # fmt: skip
    alone = typer.Typer()
    alone.command()(detect.detect)
    again = typer.main.get_command(alone)
    parsed = again.make_context("detect", ["in", "-o", "x.csv", *words(again, options)])
    assert given(parsed, ("files", "out")) == options
