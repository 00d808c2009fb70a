"""Reading in a process of its own, for libraries that damaged bytes can crash, hang or fill the memory of.

The other process has limits of time and memory and is killed when it is no longer wanted. It is a copy of this one
where that is safe (on Linux, while no other thread runs), which takes milliseconds, else a new one, which takes a third
of a second. What it says comes through a pipe: lengths, then JSON, then plain arrays; nothing of it is run.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.errors import RecordingError, VelocellError

Message = tuple[dict[str, Any], list["NDArray[Any]"]]
# Called in the other process with its request; its messages are sent.
Work = Callable[[dict[str, Any]], Iterator[Message]]

FIRST_CPU_S, NEXT_CPU_S = 2.0, 20.0  # of work for the first message, for each one after it
_LONGEST_S = 120.0  # for a message, by the clock: a slow disk is not damage
_POLL_S = 0.2
_LARGEST_MESSAGE = 1 << 20
_CRASHES = ("SIGSEGV", "SIGABRT", "SIGFPE", "SIGILL", "SIGBUS")
_CODE = """import sys, json; sys.path[:] = json.loads(sys.argv[1])
from {} import {} as work
from velocell.data.apart import main
main(work)"""


class Died(Exception):
    """The other process did not end well; the text says how, as it fits into a sentence."""


def messages(work: Work, request: dict[str, Any], memory_bytes: int, needs: Sequence[str]) -> Iterator[Message]:
    """What `work`, a function of a module, gives for `request` in the other process, as it comes.

    memory_bytes: what it may use beside what it has at its start. needs: the modules that it imports; they are there
    before its limits are set, since what a library takes to load is not a fault of the file. Raises Died, and
    RecordingError that `work` raises.
    """
    child = _forked(work, request, memory_bytes, needs) if _may_fork() else _started(work, request, memory_bytes, needs)
    try:
        while (message := child.message()) is not None:
            yield message
    finally:
        child.end()


def _may_fork() -> bool:
    return sys.platform == "linux" and threading.active_count() == 1


class _Child:
    def __init__(self, pid: int, out: int, process: subprocess.Popen[bytes] | None = None) -> None:
        self._pid, self._out, self._process = pid, out, process
        self._ended = False

    def message(self) -> Message | None:
        """The next one; None once all have come. Raises Died, RecordingError."""
        lead = self._bytes(4, at_end=True)
        if not lead:
            self._say_how_it_ended()
            return None
        n = struct.unpack("<I", lead)[0]
        if n > _LARGEST_MESSAGE:
            raise Died("reading it fails")
        said = json.loads(self._bytes(n))
        if "refused" in said:
            raise RecordingError(said["refused"])
        if "failed" in said:
            raise Died(said["failed"])
        arrays = []
        for kind, length in said.pop("arrays"):
            arrays.append(np.frombuffer(self._bytes(np.dtype(kind).itemsize * length), kind))
        return said, arrays

    def _bytes(self, n: int, at_end: bool = False) -> bytearray:
        """The next n; none at the end of all, where that may be."""
        data = bytearray(n)
        view, filled = memoryview(data), 0
        until_s = time.monotonic() + _LONGEST_S
        while filled < n:
            if self._ready():
                got = os.readv(self._out, [view[filled:]]) if hasattr(os, "readv") else self._read(view[filled:])
                if not got and at_end and not filled:
                    return bytearray()
                if not got:
                    self._say_how_it_ended()
                    raise Died("reading it stops halfway")
                filled += got
            elif time.monotonic() > until_s:
                raise Died(f"reading it takes more than {_LONGEST_S:g} s")
        return data

    def _read(self, view: memoryview) -> int:
        data = os.read(self._out, len(view))
        view[: len(data)] = data
        return len(data)

    def _ready(self) -> bool:
        if sys.platform == "win32":  # where pipes cannot be waited for
            return True
        import select

        waiting = select.poll()
        waiting.register(self._out, select.POLLIN)
        return bool(waiting.poll(_POLL_S * 1000))

    def _say_how_it_ended(self) -> None:
        """Wait for the end. Raises Died where it was none of its own."""
        code = self._wait()
        if sys.platform == "win32" or code == 0:
            return
        if code < 0 and signal.Signals(-code) == signal.SIGXCPU:
            raise Died("its parts refer to each other in a circle, or are packed to take for ever")
        if code < 0 and signal.Signals(-code).name in _CRASHES:
            raise Died("reading it crashes")
        raise Died("reading it ends early")

    def _wait(self) -> int:
        self._ended = True
        if self._process is not None:
            return self._process.wait()
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def end(self) -> None:
        if not self._ended:
            if self._process is not None:
                self._process.kill()
            else:
                os.kill(self._pid, signal.SIGKILL)
            self._wait()
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()
        else:
            os.close(self._out)


def _forked(work: Work, request: dict[str, Any], memory_bytes: int, needs: Sequence[str]) -> _Child:
    for name in needs:
        importlib.import_module(name)  # here, so that the next copy has it
    ours, theirs = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads that libraries have started
        pid = os.fork()
    if pid:
        os.close(theirs)
        return _Child(pid, ours)
    try:
        os.close(ours)
        null = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(null, stream)
        sys.stdout = sys.stderr = Path(os.devnull).open("w")  # which may be others  # noqa: SIM115
        _serve(work, request, memory_bytes, theirs)
    finally:
        # Nothing of the parent is flushed or cleaned up here.
        os._exit(0)


def _started(work: Work, request: dict[str, Any], memory_bytes: int, needs: Sequence[str]) -> _Child:
    code = _CODE.format(work.__module__, work.__name__)
    process = subprocess.Popen(
        [sys.executable, "-c", code, json.dumps([str(Path(place).absolute()) for place in sys.path])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    child = _Child(process.pid, process.stdout.fileno(), process)
    try:
        with process.stdin:
            process.stdin.write(json.dumps([request, memory_bytes, list(needs)]).encode())
    except OSError:
        child.end()
        raise Died("no other process can be started") from None
    return child


def main(work: Work) -> None:
    """What a new process runs; its standard input has the request, the memory it may use and the modules it needs."""
    request, memory_bytes, needs = json.loads(sys.stdin.buffer.read())
    out = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for name in needs:
        importlib.import_module(name)
    _serve(work, request, memory_bytes, out)


def _serve(work: Work, request: dict[str, Any], memory_bytes: int, out: int) -> None:
    """Send what the work gives, or why it failed."""
    try:
        _limit(memory_bytes)
        for said, arrays in work(request):
            _send(out, said, arrays)
            _limit_cpu(NEXT_CPU_S)
    except VelocellError as error:
        _send(out, {"refused": str(error)}, [])
    except MemoryError:
        _send(out, {"failed": "reading it takes too much memory"}, [])
    except BrokenPipeError:
        pass
    except Exception as error:
        _send(out, {"failed": f"{type(error).__name__}: {error}"[:200]}, [])


def _send(out: int, said: dict[str, Any], arrays: list[NDArray[Any]]) -> None:
    text = json.dumps({**said, "arrays": [(array.dtype.str, len(array)) for array in arrays]}).encode()
    parts: list[Any] = [struct.pack("<I", len(text)), text]
    for view in (memoryview(data).cast("B") for data in (*parts, *map(np.ascontiguousarray, arrays))):
        while len(view):
            view = view[os.write(out, view) :]


def _limit(memory_bytes: int) -> None:
    """Default signals, and limits of CPU and memory where the system has them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asked ends this
    if sys.platform == "win32":
        return
    import resource

    for number in (signal.SIGTERM, signal.SIGSEGV, signal.SIGXCPU, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _limit_cpu(FIRST_CPU_S)
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        _lower(resource.RLIMIT_AS, pages * resource.getpagesize() + memory_bytes)


def _limit_cpu(more_s: float) -> None:
    """From now on; not by the clock: a slow disk is not a circle."""
    if sys.platform != "win32":
        import resource

        _lower(resource.RLIMIT_CPU, int(time.process_time() + more_s) + 1)


def _lower(limit: int, to: int) -> None:
    import resource

    _, most = resource.getrlimit(limit)
    resource.setrlimit(limit, (to if most == resource.RLIM_INFINITY else min(to, most), most))
