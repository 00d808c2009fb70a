"""`Outcome`: what happened to one recording."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path, PurePath
from typing import Any, Literal

from velocell.data.tracks import Tracks
from velocell.errors import VelocellError

Status = Literal["done", "failed"]


@dataclass(frozen=True)
class Outcome:
    """What happened to one recording of a batch.

    name: under which it stands in the output folder. source: its path or address. status: done or failed. error: the
    sentence that says why it failed. sha256, bytes, etag: of the file; the last one as its server states it.
    events, rows, objects, duration_us: what was found.
    outputs: files by kind, relative to the output folder. said: warnings and notes of `detect`. again: whether another
    attempt might succeed. resumed: whether an earlier run had done it. seconds, attempts, worker: of this run; they are
    no part of what `batch.jsonl` says, which is the same whenever and wherever a recording was done.
    """

    name: str
    source: str
    status: Status
    error: str | None = None
    sha256: str | None = None
    bytes: int | None = None
    etag: str | None = None
    events: int | None = None
    duration_us: int | None = None
    rows: int | None = None
    objects: int | None = None
    outputs: dict[str, str] = field(default_factory=dict)
    said: tuple[str, ...] = ()
    folder: str = ""
    again: bool = False
    resumed: bool = False
    seconds: float = 0.0
    attempts: int = 1
    worker: str = ""

    @staticmethod
    def of(values: dict[str, Any]) -> Outcome:
        """From plain values; names that it does not know are left out."""
        known = {f.name for f in fields(Outcome)}
        values = {name: value for name, value in values.items() if name in known}
        return Outcome(**{**values, "said": tuple(values.get("said", ()))})

    def to_dict(self) -> dict[str, Any]:
        """All of it, as plain values."""
        return {**asdict(self), "said": list(self.said)}

    def line(self) -> dict[str, Any]:
        """What `batch.jsonl` says of it."""
        left_out = ("folder", "again", "resumed", "seconds", "attempts", "worker")
        return {name: value for name, value in self.to_dict().items() if name not in left_out}

    def warnings(self) -> tuple[str, ...]:
        """Those of `said`, without the recording's name before them."""
        texts = [text.removeprefix("warning: ") for text in self.said if text.startswith("warning: ")]
        shown = (self.source, PurePath(self.source).name)  # a copy of what is at an address goes by its name alone
        return tuple(next((text.removeprefix(f"{name}: ") for name in shown if text.startswith(f"{name}: ")), text)
                     for text in texts)  # fmt: skip

    def tracks(self) -> Tracks:
        """Its table. Raises VelocellError where it failed."""
        if self.status != "done":
            raise VelocellError(f"{self.source}: {self.error}")
        return Tracks.read(Path(self.folder) / self.outputs["tracks"])
