"""What a thread takes in while the rest works; what waits is bounded."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sized
from threading import Condition, Event, Thread
from typing import Generic, TypeVar

from velocell.live.blocks import POLL_S

_GATHER_S = 0.0005  # work per item would cost more than work per event

Item = TypeVar("Item", bound=Sized)


class Arrivals(Generic[Item]):
    """What the generator `receive` gives, until it ends or its argument is set; it looks at that every POLL_S.

    most: this much may wait, as `len` measures it. Then `receive` is not called for more or, with `leave_out`,
    what has waited longest goes, and `left_out` counts the items.
    """

    def __init__(self, receive: Callable[[Event], Iterator[Item]], most: int, *, leave_out: bool = False):
        self._receive, self._most, self._leave_out = receive, most, leave_out
        self._queue: deque[tuple[float, Item]] = deque()
        self._waiting = 0
        self._changed = Condition()
        self._over = Event()
        self._ended = False
        self._error: BaseException | None = None
        self.left_out = 0
        self.heard_s: float | None = None  # when something was received last

    def taken(self, stop: Event) -> Iterator[tuple[float, list[Item]]]:
        """All that waits, again and again, and for how many seconds the first has waited.

        Ends once `receive` has, raises what it raised, or ends within POLL_S of `stop`, after what waits then.
        """
        thread = Thread(target=self._run, daemon=True)
        thread.start()
        try:
            while not stop.is_set():
                with self._changed:
                    if not self._queue and not self._ended:
                        self._changed.wait(POLL_S)
                    if self._ended:
                        break
                    if not self._queue:
                        continue
                time.sleep(_GATHER_S)
                yield self._take()
        finally:
            self._over.set()
            thread.join()
        if self._queue:
            yield self._take()
        if self._error is not None:
            raise self._error

    def _take(self) -> tuple[float, list[Item]]:
        with self._changed:
            waited_s = time.monotonic() - self._queue[0][0]
            items = [item for _, item in self._queue]
            self._queue.clear()
            self._waiting = 0
            self._changed.notify_all()
        return waited_s, items

    def _run(self) -> None:
        try:
            for item in self._receive(self._over):
                self._put(item)
        except Exception as error:  # raised again where the items are taken
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _put(self, item: Item) -> None:
        self.heard_s = time.monotonic()
        with self._changed:
            while self._queue and self._waiting + len(item) > self._most and not self._over.is_set():
                if self._leave_out:
                    self._waiting -= len(self._queue.popleft()[1])
                    self.left_out += 1
                else:
                    self._changed.wait(POLL_S)
            self._queue.append((time.monotonic(), item))
            self._waiting += len(item)
            self._changed.notify_all()
