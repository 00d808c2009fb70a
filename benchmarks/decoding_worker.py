"""One library reads one file, once for each line on stdin: `python decoding_worker.py LIBRARY FILE stream|arrays`.

Run by `benchmarks.decoding` with the Python of an environment that has the library, so nothing of Velocell is imported
here at the top. Answers each line with the events read, the seconds it took and the CPU seconds of this process,
of user and system.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any


def velocell(path: str, arrays: bool) -> int:
    from velocell import formats

    return len(formats.read(path)) if arrays else sum(map(len, formats.open_recording(path).blocks()))


def faery(path: str, arrays: bool) -> int:
    import faery

    stream = faery.events_stream_from_file(path)
    return len(stream.to_array()) if arrays else sum(map(len, stream))


def evt3(path: str, arrays: bool) -> int:
    import evt3

    if arrays:
        events = evt3.decode_file(path)
        return min(map(len, (events.t, events.x, events.y, events.p)))
    return sum(map(len, evt3.FileDecoder(path)))


def dv_processing(path: str, arrays: bool) -> int:
    """Its own stores of events are what it streams; as arrays they are joined and converted."""
    import dv_processing as dv

    recording, n, whole = dv.io.MonoCameraRecording(path), 0, dv.EventStore()
    while (batch := recording.getNextEventBatch()) is not None:
        n += len(batch)
        if arrays:
            whole.add(batch)
    return len(whole.numpy()) if arrays else n


def eventcv(path: str, arrays: bool) -> int:
    """Loads a file as a whole; only its own object, or its array of all four columns."""
    import eventcv

    events = eventcv.load(path)
    return len(events.numpy()) if arrays else len(events)


LIBRARIES: dict[str, Callable[[str, bool], int]] = {
    "velocell": velocell, "faery": faery, "evt3": evt3, "dv-processing": dv_processing, "eventcv": eventcv,
}  # fmt: skip


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main(arguments: list[str]) -> None:
    library, path, walk = arguments
    read: Any = LIBRARIES[library]
    for _ in sys.stdin:
        before = cpu_s()
        started = perf_counter()
        n = read(path, walk == "arrays")
        seconds = perf_counter() - started
        print(n, seconds, cpu_s() - before, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
