"""The steps of a recording in parts, each for the options of a `detect`: the plan, a part, all of them together."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from velocell.batch.cut import Plan, Whole, is_run, make_plan, part_place, put_together, run_part
from velocell.batch.folder import Folder
from velocell.cli import detect
from velocell.cli.guard import say
from velocell.cli.reading import open_events
from velocell.data.heap import share_heap
from velocell.data.recording import Recording
from velocell.errors import RecordingError
from velocell.filters.reading import FilePart
from velocell.formats import Source
from velocell.pipeline import Findings


def plan(job: detect.Job, kept: Folder, name: str, sha256: str, parts: int) -> None:
    """Make the plan of a recording and its seek index, unless they are there. Raises VelocellError."""
    share_heap()
    source = _opened(job, kept, name)
    about = {"sha256": sha256, "parts": parts, "key": source.key()}
    place = kept.parts(name) / "plan"
    before = Plan.load(place)
    if before is not None and before.about == json.loads(json.dumps(about)):
        return
    footage = FilePart(source, job.cleaning, *job.part.times_us())
    for line in job.lines:
        line.check(footage.size)
    made = make_plan(footage, job.search, parts, about)
    kept.index(name).parent.mkdir(parents=True, exist_ok=True)
    source.keep_index(kept.index(name))
    made.save(place)


def part(job: detect.Job, kept: Folder, name: str, number: int, run_in_us: int | None = None) -> None:
    """Run a part of the plan, unless it is there or the plan has fewer. Raises VelocellError."""
    share_heap()
    found, footage = _planned(job, kept, name)
    place = part_place(kept.parts(name), number)
    if number < found.parts and (run_in_us is not None or not is_run(place, found)):
        run_part(footage, job.search, found, number, place, keep_spikes=job.keeps_spikes, run_in_us=run_in_us)


class Together(detect.Way):
    """A recording whose parts have been run: what they found is put together."""

    def __init__(self, kept: Folder, name: str) -> None:
        self._kept, self._name = kept, name
        self._whole: Whole | None = None

    @property
    def sha256(self) -> str:
        """Of the recording."""
        return str(_plan_of(self._kept, self._name).about["sha256"])

    @property
    def about(self) -> dict[str, Any]:
        return {} if self._whole is None else {"cut": self._whole.about}

    def open(self, job: detect.Job, file: Path) -> FilePart:
        return _planned(job, self._kept, self._name)[1]

    def findings(
        self, job: detect.Job, part_: FilePart, keep_spikes: bool, on_block: Callable[[Recording], object] | None
    ) -> Findings:
        found = _plan_of(self._kept, self._name)

        def again(number: int, run_in_us: int) -> None:
            part(job, self._kept, self._name, number, run_in_us)

        self._whole = put_together(self._kept.parts(self._name), found, job.search, again)
        wanted = _plan_of(self._kept, self._name).about["parts"]
        if found.parts < wanted:
            say(f"note: cut in {found.parts} parts; with {wanted}, one would be shorter than its run-in")
        return self._whole.findings


def _opened(job: detect.Job, kept: Folder, name: str) -> Source:
    (file,) = job.files
    return open_events(file, job.part, job.strict, kept.index(name))


def _plan_of(kept: Folder, name: str) -> Plan:
    found = Plan.load(kept.parts(name) / "plan")
    if found is None:
        raise RecordingError(f"the plan of {name} is gone from {kept.parts(name)}; run the same command again")
    return found


def _planned(job: detect.Job, kept: Folder, name: str) -> tuple[Plan, FilePart]:
    """The plan, and the recording as it says. Raises RecordingError where that has changed since."""
    found, source = _plan_of(kept, name), _opened(job, kept, name)
    if json.loads(json.dumps(source.key())) != found.about["key"]:
        raise RecordingError(f"{source.path} changed while it was worked on; run the same command again")
    return found, FilePart(source, job.cleaning, *job.part.times_us(), decision=found.decision)
