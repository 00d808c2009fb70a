"""A source whose stream is kept in a file as it comes, before anything is taken out of it."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np

from velocell.data.recording import Recording
from velocell.errors import OptionError, VelocellError
from velocell.formats.prophesee.write import write_evt3
from velocell.live.sources import Source

_MOST_BLOCKS = 4096


class Recorded:
    """`source`, with its events in `path` (Prophesee RAW, EVT3). A thread writes; where it falls behind, or the disk is
    full, what it cannot take is counted as lost to the recording, and the stream goes its way.

    The file has its name once the stream has ended; until then it grows beside it, under a hidden name.
    """

    def __init__(self, source: Source, path: Path) -> None:
        if path.suffix.lower() != ".raw":
            raise OptionError(f"cannot record to '{path}': the suffix must be .raw")
        if not path.parent.is_dir():
            raise OptionError(f"cannot record to {path}: there is no folder {path.parent}; make it first")
        self._source, self._path = source, path
        self.name, self.size, self.waits = source.name, source.size, source.waits
        self._queue: queue.Queue[Recording | None] = queue.Queue(_MOST_BLOCKS)
        self._lost = 0
        self._newest_us = -1
        self._error = ""
        self._thread = Thread(target=self._write, daemon=True)
        self._thread.start()

    @property
    def meta(self) -> dict[str, Any]:
        return self._source.meta

    @property
    def waited_s(self) -> float:
        return self._source.waited_s

    @property
    def heard_s(self) -> float | None:
        return self._source.heard_s

    @property
    def stop_us(self) -> int | None:
        return self._source.stop_us

    def blocks(self, stop: Event) -> Iterator[Recording]:
        for block in self._source.blocks(stop):
            self._keep(block)
            yield block

    def _keep(self, block: Recording) -> None:
        first = int(np.searchsorted(block.t_us, self._newest_us))  # a file holds events in order
        self._lost += first
        block = block.slice(first, len(block))
        if not len(block):
            return
        self._newest_us = int(block.t_us[-1])
        try:
            if self._error:
                raise queue.Full
            self._queue.put(block, block=self.waits)
        except queue.Full:
            self._lost += len(block)

    def _write(self) -> None:
        try:
            write_evt3(iter(self._queue.get, None), self._path)
        except (VelocellError, OSError) as error:
            self._error = str(error)
            while self._queue.get() is not None:
                pass

    def losses(self) -> dict[str, int]:
        return {**self._source.losses(), "events not recorded": self._lost}

    def notes(self) -> tuple[str, ...]:
        kept = f"recording failed: {self._error}" if self._error else f"recorded in {self._path}"
        return (*self._source.notes(), kept)

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()
        self._source.close()
