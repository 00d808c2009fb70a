"""What reading one file may cost: so much for any file, and so much more for each byte that it has.

A file of some kB can ask for gigabytes, or for hours of work. Readers ask here before they set memory aside and
while they unpack; what goes beyond is refused with a sentence that names the option that allows more.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from velocell.errors import RecordingError

# For any file, and for each of its bytes. The densest format packs 6 events into a byte, text compresses 30-fold.
_EVENTS, _EVENTS_A_BYTE = 1 << 24, 32
_UNPACKED, _UNPACKED_A_BYTE = 512 << 20, 128
_HELD, _HELD_A_BYTE = 64 << 20, 2
_CPU_S, _CPU_S_A_BYTE = 5.0, 4e-6
# Where each neighbourhood has an event, an engine of three bands and the tracker hold some 25 bytes a pixel.
_PIXELS, _PIXELS_A_BYTE = 1 << 23, 1 / 8


@dataclass(frozen=True)
class Budget:
    """path: of the file. times: how many times the usual (`--budget`). file_bytes: its length.

    Each check raises RecordingError.
    """

    path: str
    file_bytes: int
    times: float = 1.0

    @staticmethod
    def of(path: Path, times: float = 1.0) -> Budget:
        if not times > 0:
            raise RecordingError(f"a budget must be above 0, got {times:g}; 1 is the usual one")
        files = [file for file in path.iterdir() if file.is_file()] if path.is_dir() else [path]
        return Budget(str(path), sum(file.stat().st_size for file in files), times)

    @property
    def held(self) -> int:
        """Bytes that may be held at once."""
        return int(self.times * (_HELD + _HELD_A_BYTE * self.file_bytes))

    def piece(self, most_bytes: int) -> int:
        """Bytes that one piece may unpack to: it is held twice for a moment. At most `most_bytes` by default."""
        return min(self.held // 2, int(max(1.0, self.times) * most_bytes))

    @property
    def unpacked(self) -> int:
        """Bytes that may be unpacked in all."""
        return int(self.times * (_UNPACKED + _UNPACKED_A_BYTE * self.file_bytes))

    @property
    def events(self) -> int:
        """Events that may come out."""
        return int(self.times * (_EVENTS + _EVENTS_A_BYTE * self.file_bytes))

    @property
    def cpu_s(self) -> float:
        """Seconds of CPU that decoding may take."""
        return self.times * (_CPU_S + _CPU_S_A_BYTE * self.file_bytes)

    def check_held(self, n_bytes: int, what: str) -> None:
        """Before memory is set aside for `what`."""
        if n_bytes > self.held:
            raise self.refusal(f"{what} of {_amount(n_bytes)}", _amount(self.held), n_bytes / self.held)

    def check_unpacked(self, n_bytes: int, what: str) -> None:
        """Before `what` is unpacked."""
        if n_bytes > self.unpacked:
            raise self.refusal(f"{what} of {_amount(n_bytes)}", _amount(self.unpacked), n_bytes / self.unpacked)

    def check_events(self, n: float) -> None:
        if n > self.events:
            raise self.refusal(f"{n:.3g} events", f"{self.events:.3g}", n / self.events)

    def check_size(self, width: int, height: int) -> None:
        """Before a sensor of this size is believed."""
        most = int(self.times * (_PIXELS + _PIXELS_A_BYTE * self.file_bytes))
        if width * height > most:
            more = "give the true size with --size, or allow more"
            raise self.refusal(f"a sensor of {width}x{height} px", f"{most} px", width * height / most, more)

    def refusal(self, has: str, most: str, factor: float, remedy: str = "allow more") -> RecordingError:
        """The sentence for a file that asks for too much."""
        wanted = 2 ** max(1, int(factor * self.times).bit_length())
        return RecordingError(
            f"{self.path} asks for {has}, more than {most}, which a file of {_amount(self.file_bytes)} may; "
            f"{remedy} with --budget {wanted} if you trust it"
        )


Packed = bytes | memoryview
Unpack = Callable[[Packed], Packed]

_EXACTLY_FROM = 0.5  # of the work that is allowed


class Meter:
    """What one reading of a file has cost so far. Raises RecordingError once it is too much.

    The clock on the wall costs a hundredth of the processor's and never counts less: it is enough until half of what
    is allowed might have been done.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget, self._most_unpacked, self._most_cpu_s = budget, budget.unpacked, budget.cpu_s
        self._unpacked = self._events = 0
        self._cpu_s, self._begun_s, self._clock = 0.0, time.thread_time(), time.perf_counter
        self._since_s, self._thread = self._clock(), threading.get_ident()

    def unpacked(self, n_bytes: int) -> None:
        """So much more was unpacked, or passed over in a way that takes as long."""
        self._unpacked += n_bytes
        if self._unpacked > self._most_unpacked:
            self._budget.check_unpacked(self._unpacked, "unpacked data")
        self.work()

    def unpacking(self, unpack: Unpack) -> Unpack:
        """The same function, whose results are counted."""

        def counted(packed: Packed) -> Packed:
            data = unpack(packed)
            self.unpacked(len(data))
            return data

        return counted

    def events(self, n: int) -> None:
        """So many more events came out."""
        self._events += n
        self._budget.check_events(self._events)

    def start(self) -> None:
        """From here on, time counts."""
        self._since_s = self._clock()

    def work(self) -> None:
        """Count the time since the last call, or since `start`."""
        now_s = self._clock()
        self._cpu_s += now_s - self._since_s
        self._since_s = now_s
        most = self._most_cpu_s
        if self._cpu_s <= _EXACTLY_FROM * most:
            return
        if self._clock is time.perf_counter:
            self._clock = time.thread_time
            self.start()
            if self._thread == threading.get_ident():
                self._cpu_s = min(self._cpu_s, self._since_s - self._begun_s)
        if self._cpu_s > most:
            raise self._budget.refusal(f"{self._cpu_s:.0f} s of work", f"{most:.0f} s", self._cpu_s / most)


def _amount(n_bytes: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}" if unit != "bytes" else f"{n_bytes:.0f} bytes"
        n_bytes /= 1000
    return f"{n_bytes:.3g} GB"
