"""Whether the camera moves, looked at again and again while a stream goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace

from velocell.calibration.stretch import PROBE_US
from velocell.data.blocks import apart
from velocell.data.recording import Recording
from velocell.filters import CameraMotion
from velocell.filters.camera_motion import MotionWatch

EVERY_US = 10_000_000  # a twentieth of a second of work each time
_MOST_EVENTS = 1 << 22


class CameraWatch:
    """Takes a stream in consecutive parts and looks at the first second of each ten; says when the picture as a whole
    begins to move, and when that is over.

    thread: what does the work where the sender does not wait; the answer comes with a later part then. prepare: leaves
    out what must not count.
    """

    def __init__(
        self, thread: Executor, say: Callable[[str], object], prepare: Callable[[Recording], Recording]
    ) -> None:
        self._thread, self._say, self._prepare = thread, say, prepare
        self.first_us = EVERY_US  # from the start to the first look; before that, those who measure know it
        self._moves = False
        self._held: list[Recording] = []
        self._events = 0  # of these
        self._begin_us: int | None = None  # of the second that is looked at next
        self._look: Future[CameraMotion] | None = None

    def know(self, motion: CameraMotion) -> None:
        """What is so now; it is said where it differs."""
        if motion.moves:
            if not self._moves:
                self._say(f"warning: {motion.reason}")
        elif self._moves:
            self._say("note: the picture as a whole does not move any more")
        self._moves = motion.moves

    def feed(self, part: Recording, *, wait: bool) -> None:
        """The next part; wait: for the answer, where there is one to come."""
        if self._begin_us is None:
            self._begin_us = part.start_us + self.first_us
        if self._look is None and part.stop_us > self._begin_us:
            self._held.append(part.between(max(part.start_us, self._begin_us), None))
            self._events += len(self._held[-1])
            enough = part.stop_us - self._begin_us >= PROBE_US or self._events > _MOST_EVENTS
            if enough:
                second, self._held, self._events = self._held, [], 0
                self._begin_us = max(self._begin_us + EVERY_US, part.stop_us)
                self._look = self._thread.submit(self._moved, second, wait)
        if self._look is not None and (wait or self._look.done()):
            look, self._look = self._look, None
            self.know(look.result())

    def _moved(self, second: Sequence[Recording], wait: bool) -> CameraMotion:
        watch = watch_over(second)
        for part in second if wait else apart(second):
            watch.add(self._prepare(part))
        return watch.motion()


def watch_over(blocks: Sequence[Recording]) -> MotionWatch:
    """For all that these hold, at least one; they are to be added."""
    some = next((block for block in blocks if len(block)), blocks[0])  # others say nothing of polarity
    return MotionWatch(replace(some.slice(0, 0), start_us=blocks[0].start_us, stop_us=blocks[-1].stop_us))
