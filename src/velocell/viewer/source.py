"""Where the viewer's events come from: what it needs of a recording, and a recording in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from velocell.data.recording import Recording


class Source(Protocol):
    """What the viewer needs of a recording; `name` as a command line takes it, `title` for the page.

    Times in microseconds, sizes in pixels.
    """

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def start_us(self) -> int: ...
    @property
    def stop_us(self) -> int: ...
    @property
    def events(self) -> int: ...
    @property
    def polarity(self) -> bool: ...
    @property
    def notes(self) -> tuple[str, ...]: ...
    @property
    def growing(self) -> bool:
        """Whether more is to come; start and stop move then."""
        ...

    def window(self, start_us: int, stop_us: int) -> Recording:
        """The events in [start, stop), with that span. Raises RecordingError where the file is gone."""
        ...

    def count(self, edges_us: NDArray[np.int64]) -> NDArray[np.int64]:
        """Events between consecutive edges (n,) -> (n - 1,)."""
        ...

    def check(self) -> str | None:
        """What has happened to the file since it was opened, in a sentence."""
        ...


@dataclass(frozen=True)
class OnDisk:
    """A file as it stood when it was opened."""

    path: Path
    mark: tuple[int, ...]

    @classmethod
    def now(cls, path: Path) -> OnDisk:
        return cls(path, cls._mark(path))

    @staticmethod
    def _mark(path: Path) -> tuple[int, ...]:
        found = path.stat()
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

    def changed(self, goes_on_with: str) -> str | None:
        """What has happened to it since, in a sentence."""
        try:
            same = self._mark(self.path) == self.mark
        except OSError:
            return f"{self.path} is no longer there; the page continues with {goes_on_with}"
        if same:
            return None
        return f"{self.path} was replaced by another file or changed; start velocell view again to see that"


@dataclass(frozen=True)
class InMemory:
    """A recording that was read as a whole; `file` is where from, None where it was made here."""

    recording: Recording
    file: OnDisk | None = None
    title: str = ""
    growing: ClassVar[bool] = False

    @property
    def name(self) -> str:
        return self.recording.source or "recording"

    @property
    def size(self) -> tuple[int, int]:
        return self.recording.size

    @property
    def start_us(self) -> int:
        return self.recording.start_us

    @property
    def stop_us(self) -> int:
        return self.recording.stop_us

    @property
    def events(self) -> int:
        return len(self.recording)

    @property
    def polarity(self) -> bool:
        return self.recording.p is not None

    @property
    def notes(self) -> tuple[str, ...]:
        return self.recording.notes

    def window(self, start_us: int, stop_us: int) -> Recording:
        return self.recording.between(start_us, stop_us)

    def count(self, edges_us: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.diff(np.searchsorted(self.recording.t_us, edges_us))

    def check(self) -> str | None:
        return None if self.file is None else self.file.changed("what was already read")
