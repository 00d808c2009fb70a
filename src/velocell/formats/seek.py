"""The seek index: places in a file from which its format goes on decoding, so that a part is opened in milliseconds.

A format that can go on in the middle has `Opened.resume`; each block of events comes with the place behind it. Any pass
over a file from its start collects the places (`Marks`). `keep` writes them beside an output, and `kept` takes them up
for the same file: of the same length and time of change, with the same bytes in 64 places, read with the same options.
The index of any other file is not taken. A folder, such as a bag of ROS 2, is all of its files.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from velocell.data.files import replacing

Place = dict[str, Any]
"""Where to go on, as JSON has it: what that is knows the format."""

SPACING = 1 << 17
"""Events between two marks: a few milliseconds of decoding."""
_FORMAT = 1
_SAMPLES, _SAMPLE_BYTES = 64, 1 << 12


@dataclass
class Marks:
    """before_us: for each place, the latest time that stands before it in the file; it never falls. complete: the file
    was read to its end. size, start_us: of the sensor and the recording, where they were found by reading."""

    before_us: list[int] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    complete: bool = False
    size: tuple[int, int] | None = None
    start_us: int | None = None
    _latest_us: int = -1
    _since: int = 0

    def add(self, n: int, latest_us: int, place: Place | None) -> None:
        """The next n events of the file, at least one, the latest time among them, and the place behind them; None
        where nothing can go on from there."""
        self._latest_us = max(self._latest_us, latest_us)
        self._since += n
        if self._since >= SPACING and place is not None:
            self.before_us.append(self._latest_us)
            self.places.append(place)
            self._since = 0

    def place(self, start_us: int) -> Place | None:
        """The last one before which all events are earlier than `start_us`; None for the start of the file."""
        k = bisect_left(self.before_us, start_us)
        return self.places[k - 1] if k else None

    def keep(self, file: Path, key: dict[str, Any]) -> None:
        """Write it. key: of the recording (`key_of`). Raises VelocellError where it cannot be written."""
        values = {
            "velocell_seek_index": _FORMAT, "of": key, "complete": self.complete, "size": self.size,
            "start_us": self.start_us, "before_us": self.before_us, "places": self.places,
        }  # fmt: skip
        with replacing(file) as part:
            part.write_text(json.dumps(values), encoding="utf-8")


def kept(file: Path, key: dict[str, Any]) -> Marks | None:
    """The index that `Marks.keep` wrote for this very recording; None where there is none, or it is of another one."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        if values["velocell_seek_index"] != _FORMAT or values["of"] != json.loads(json.dumps(key)):
            return None
        before_us, places = [int(t) for t in values["before_us"]], list(values["places"])
        if len(before_us) != len(places) or before_us != sorted(before_us):
            return None
        size = values["size"]
        return Marks(before_us, places, bool(values["complete"]), size and (size[0], size[1]), values["start_us"])
    except (OSError, ValueError, TypeError, LookupError):
        return None


def key_of(path: Path, reading: dict[str, Any]) -> dict[str, Any]:
    """By what a recording is known again without reading all of it. reading: the options with which it is read."""
    files = sorted(each for each in path.iterdir() if each.is_file()) if path.is_dir() else [path]
    stats = [file.stat() for file in files]
    digest, samples = hashlib.blake2b(digest_size=16), max(2, _SAMPLES // max(len(files), 1))
    for file, stat in zip(files, stats, strict=True):
        if path.is_dir():
            digest.update(f"{file.name} {stat.st_size} {stat.st_mtime_ns} ".encode())
        with file.open("rb") as handle:
            for k in range(samples):
                handle.seek(max(stat.st_size - _SAMPLE_BYTES, 0) * k // (samples - 1))
                digest.update(handle.read(_SAMPLE_BYTES))
    size, mtime_ns = sum(stat.st_size for stat in stats), max((stat.st_mtime_ns for stat in stats), default=0)
    return {"bytes": size, "mtime_ns": mtime_ns, "samples": digest.hexdigest(), "reading": reading}
