"""Reading in a process of its own: what it says arrives, however it ends."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest

from velocell.data import apart
from velocell.errors import RecordingError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits are those of POSIX")
ROOM = 256 << 20


def echo(request: dict[str, Any]) -> Iterator[apart.Message]:
    yield request, []
    yield {"numbers": 3}, [np.arange(200_000), np.zeros(0, np.uint16), np.array([True, False])]


def fail(request: dict[str, Any]) -> Iterator[apart.Message]:
    yield {}, []
    match request["how"]:
        case "refuse":
            raise RecordingError("no such thing")
        case "raise":
            raise KeyError("x")
        case "memory":
            np.ones(1 << 28)
        case "loop":
            while True:
                pass
        case "print":
            print("of no use")
        case name:
            os.kill(os.getpid(), signal.Signals[name])
            time.sleep(5)


@pytest.fixture(params=["copied", "started"])
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """Beside another thread no copy of the process is safe."""
    if request.param == "copied":
        yield request.param
        return
    done = Event()
    thread = Thread(target=done.wait)
    thread.start()
    try:
        yield request.param
    finally:
        done.set()
        thread.join()


def test_what_is_sent_arrives(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here(monkeypatch)
    (said, nothing), (more, arrays) = apart.messages(echo, {"a": [1, "b"]}, ROOM, ())
    assert (said, nothing, more) == ({"a": [1, "b"]}, [], {"numbers": 3})
    np.testing.assert_array_equal(arrays[0], np.arange(200_000))
    assert [array.dtype.str for array in arrays] == ["<i8", "<u2", "|b1"]
    assert arrays[2].tolist() == [True, False]


@pytest.mark.parametrize(
    ("how", "error", "text"),
    [
        ("refuse", RecordingError, "no such thing"),
        ("raise", apart.Died, "KeyError: 'x'"),
        ("memory", apart.Died, "too much memory"),
        ("loop", apart.Died, "in a circle"),
        ("SIGSEGV", apart.Died, "crashes"),
        ("SIGKILL", apart.Died, "ends early"),
    ],
)
def test_ends(way: str, monkeypatch: pytest.MonkeyPatch, how: str, error: type[Exception], text: str) -> None:
    here(monkeypatch)
    monkeypatch.setattr(apart, "NEXT_CPU_S", 0)
    if way == "started" and how == "loop":
        pytest.skip("a new process has the limit of the file, 20 s")
    messages = apart.messages(fail, {"how": how}, ROOM, ())
    assert next(messages)[0] == {}
    with pytest.raises(error, match=text):
        next(messages)


def test_what_a_library_takes_to_load_is_not_the_files(
    way: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here(monkeypatch)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / f"large_{way}.py").write_text("import numpy\nrows = numpy.ones(1 << 24)\n")
    assert len(list(apart.messages(echo, {}, 64 << 20, (f"large_{way}",)))) == 2


def test_nothing_reaches_the_files_of_this_process(capfd: pytest.CaptureFixture[str]) -> None:
    assert len(list(apart.messages(fail, {"how": "print"}, ROOM, ()))) == 1
    assert capfd.readouterr().out == ""


def test_whoever_wants_no_more_ends_it(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here(monkeypatch)
    before = children()
    messages = apart.messages(fail, {"how": "SIGSTOP"}, ROOM, ())
    next(messages)
    assert len(children() - before) == 1
    messages.close()
    assert children() <= before


def test_a_silent_one_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    here(monkeypatch)
    messages = apart.messages(fail, {"how": "SIGSTOP"}, ROOM, ())
    next(messages)
    monkeypatch.setattr(apart, "_LONGEST_S", 0.1)
    with pytest.raises(apart.Died, match="takes more than"):
        next(messages)


def children() -> set[str]:
    """Processes of this one; other tests may have left some that go on."""
    return {pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new process finds this module."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    monkeypatch.setattr(echo, "__module__", "test_apart")
    monkeypatch.setattr(fail, "__module__", "test_apart")
