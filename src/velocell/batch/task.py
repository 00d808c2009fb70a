"""One recording on a worker: in a process of its own, which it may take down with it.

The process serves one recording after the other, so that Python and NumPy are loaded once. It ends with the worker:
its standard input closes then. What it runs is a value of the job; a test may put something else in place.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import Any

from velocell.batch.outcome import Outcome
from velocell.data.meta import version

CHILD = (sys.executable, "-m", "velocell.cli.child")
_here = threading.local()
_lock = threading.Lock()
_children: list[Child] = []


def run_one(job: dict[str, Any], *before: dict[str, Any]) -> dict[str, Any]:
    """Run a job and return its `Outcome` as plain values; whatever happens to the process, there is one.

    job: name, source, folder, options, results; `child`: the process's command, `timeout_s`, `retries`, `velocell`;
    `step`: `whole`, or for a recording in parts `plan`, `part` with its `number`, or `together`.
    before: outcomes of the steps before, of which one that failed, or has found all done, is the outcome of this.
    """
    for earlier in before:
        if earlier["status"] == "failed" or earlier["outputs"]:
            return earlier
    started = time.perf_counter()
    if job["velocell"] != version():
        why = f"its worker runs Velocell {version()}, not {job['velocell']}; install the same one everywhere"
        return _failed(job, why).to_dict()
    outcome = _failed(job, "nothing was tried")
    for attempt in range(1, job["retries"] + 2):
        outcome = _attempt(job)
        outcome = Outcome.of({**outcome.to_dict(), "attempts": attempt})
        if not outcome.again:
            break
    seconds = time.perf_counter() - started
    return {**outcome.to_dict(), "seconds": seconds, "worker": f"{socket.gethostname()}:{os.getpid()}"}


def probe(folder: str) -> dict[str, Any]:
    """What a worker is: its version, and whether it sees the output folder."""
    return {"velocell": version(), "sees": os.path.isdir(folder), "host": socket.gethostname()}  # noqa: PTH112


def leave_interruptions() -> None:
    """In a worker of this machine: Ctrl-C reaches it as well, and its program ends it anyway, without a traceback."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _attempt(job: dict[str, Any]) -> Outcome:
    child = _child(tuple(job["child"]))
    try:
        return Outcome.of(child.ask(job, job["timeout_s"]))
    except TimeoutError:
        return _failed(job, f"it took longer than {job['timeout_s']:g} s; give --timeout more, or a part with --to")
    except ChildProcessError as error:
        return _failed(job, str(error), again=True)


def _failed(job: dict[str, Any], why: str, *, again: bool = False) -> Outcome:
    return Outcome(job["name"], job["source"], "failed", error=why, folder=job["folder"], again=again)


def _child(command: tuple[str, ...]) -> Child:
    """This thread's process, a new one where the last one is gone."""
    child: Child | None = getattr(_here, "child", None)
    if child is None or child.gone or child.command != command:
        if child is not None:
            child.end()
        child = _here.child = Child(command)
        with _lock:
            _children[:] = [other for other in _children if not other.gone] + [child]
    return child


@atexit.register
def _end_all() -> None:
    for child in _children:
        child.end()


class Child:
    """A process that takes a job as a line of JSON and answers with one."""

    def __init__(self, command: tuple[str, ...]) -> None:
        self.command = command
        # Dask lets its workers give memory back at every turn; arrays that come and go would cost half as much again.
        environment = {name: value for name, value in os.environ.items() if name != "MALLOC_TRIM_THRESHOLD_"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=environment,
        )  # fmt: skip

    @property
    def gone(self) -> bool:
        return self._process.poll() is not None

    def ask(self, job: dict[str, Any], timeout_s: float | None) -> dict[str, Any]:
        """Raises ChildProcessError where the process ends before it answers, TimeoutError where it is ended."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        late = threading.Event()

        def end() -> None:
            late.set()
            process.kill()

        timer = None if timeout_s is None else threading.Timer(timeout_s, end)
        if timer is not None:
            timer.start()
        try:
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        finally:
            if timer is not None:
                timer.cancel()
        if answer.endswith("\n"):
            found: dict[str, Any] = json.loads(answer)
            return found
        code = process.wait()
        if late.is_set():
            raise TimeoutError
        raise ChildProcessError(_end_of(code))

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def _end_of(code: int) -> str:
    if code < 0:
        name = signal.Signals(-code).name
        memory = "; there may have been too little memory" if -code == signal.SIGKILL else ""
        return f"its process was ended by {name}{memory}; run velocell detect on it alone to see more"
    return f"its process ended with code {code} without an answer; run velocell detect on it alone to see more"
