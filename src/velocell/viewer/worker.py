"""A thread that does one piece of work after the other, and waits in between."""

from __future__ import annotations

import threading
from collections.abc import Callable

from velocell.errors import VelocellError, internal

_MOST_JOBS = 8
_PATIENCE_S = 0.5


def failed(error: Exception) -> str:
    """An error as the page says it."""
    if isinstance(error, VelocellError):
        return str(error)
    if isinstance(error, MemoryError):
        return "there is not enough memory for this; choose a shorter part or a smaller region"
    return internal(error)


class Worker:
    """once: does a piece of work; returns how long nothing else is to be done (0: until woken), None: go on.
    due: whether there is something to do, asked with `lock` held. fail: gets a sentence about what went wrong.
    """

    def __init__(
        self, once: Callable[[], float | None], due: Callable[[], bool], fail: Callable[[str], object], name: str
    ) -> None:
        self.lock = threading.Condition()
        self._once, self._due, self._fail = once, due, fail
        self._jobs: list[Callable[[], None]] = []
        self._closed = False
        self.thread = threading.Thread(target=self._work, name=name, daemon=True)

    def start(self) -> None:
        self.thread.start()

    def submit(self, job: Callable[[], None]) -> None:
        """Do something else, between two pieces of work. Raises VelocellError where too much waits already."""
        with self.lock:
            if len(self._jobs) >= _MOST_JOBS:
                raise VelocellError("too much is waiting to be done; wait a moment")
            self._jobs.append(job)
            self.lock.notify()

    def wake(self) -> None:
        """There may be something to do."""
        with self.lock:
            self.lock.notify()

    def close(self) -> None:
        """End after the piece that is being done; a long one is not waited for."""
        with self.lock:
            self._closed = True
            self.lock.notify()
        self.thread.join(_PATIENCE_S)

    def _work(self) -> None:
        while not self._closed:
            with self.lock:
                job = self._jobs.pop(0) if self._jobs else None
            try:
                if job is not None:
                    job()
                    continue
                waited = self._once()
            except Exception as error:
                self._fail(failed(error))
                continue
            if waited is not None:
                with self.lock:
                    if not (self._closed or self._jobs or self._due()):
                        self.lock.wait(waited or None)
