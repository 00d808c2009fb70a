"""The output folder of a batch, which resumes.

    parts/NAME/, index/NAME.json       a recording that is worked on in parts, until it is done; its seek index
    settings.json                      what made it; another command is refused
    batch.jsonl                        a line for each recording: what happened to it, the same bytes wherever done
    counts.csv                         with --count-line: the counts of all recordings
    log.jsonl                          a line for each attempt: when, where, how long
    tracks/recording=NAME/tracks.parquet   the tables; the folder `tracks` is one partitioned dataset
    recordings/NAME/                   done.json, written last, and further results

A recording is done where `done.json` holds its content's digest, for the settings of the folder, and all that it names
is there. Results are made in `.work` and take their places by renaming, so nothing half-written stands there.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from velocell.batch.fetch import digest_of
from velocell.batch.inputs import Input, is_address, safe_name, short_digest
from velocell.batch.outcome import Outcome
from velocell.data.files import replacing
from velocell.errors import OptionError, reason

SETTINGS, DONE, TABLE = "settings.json", "done.json", "batch.jsonl"
KINDS = {
    "tracks": "tracks.parquet", "table": "", "spikes": "spikes.npz", "report": "report.html", "video": "video.mp4",
    "objects": "objects.csv", "counts": "counts.csv",
}  # fmt: skip


class Folder:
    """A batch's output folder; made by `opened`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def work(self) -> Path:
        return self.path / ".work"

    def parts(self, name: str) -> Path:
        """Where the parts of a recording stand until it is done."""
        return self.path / "parts" / name

    def index(self, name: str) -> Path:
        """A recording's seek index."""
        return self.path / "index" / f"{name}.json"

    def done_file(self, name: str) -> Path:
        return self.path / "recordings" / name / DONE

    def place(self, name: str, file: str) -> str:
        """Where a result stands, relative to the folder. The joined dataset has one partition a recording."""
        if file == KINDS["tracks"]:
            return f"tracks/recording={name}/{file}"
        return f"recordings/{name}/{file}"

    def done(self, name: str) -> Outcome | None:
        """What is done under a name, where all of it is there."""
        try:
            kept = json.loads(self.done_file(name).read_text(encoding="utf-8"))
            sizes = kept["sizes"]
            if all((self.path / place).stat().st_size == size for place, size in sizes.items()):
                return Outcome.of({**kept, "folder": str(self.path), "resumed": True})
        except (OSError, ValueError, TypeError, LookupError):
            pass
        return None

    def keep(self, outcome: Outcome, made: Path) -> Outcome:
        """Move the results from the folder `made` to their places, the record of it last."""
        done = self.done_file(outcome.name)
        done.parent.mkdir(parents=True, exist_ok=True)
        done.unlink(missing_ok=True)
        sizes: dict[str, int] = {}
        outputs: dict[str, str] = {}
        kinds = {file: kind for kind, file in KINDS.items()}
        for file in sorted(made.iterdir()):
            place = self.place(outcome.name, file.name)
            (self.path / place).parent.mkdir(parents=True, exist_ok=True)
            sizes[place] = file.stat().st_size
            file.replace(self.path / place)
            if kind := kinds.get(file.name, "table" if file.stem == "table" else ""):
                outputs[kind] = place
        kept = Outcome.of({**outcome.to_dict(), "outputs": outputs, "folder": str(self.path)})
        with self._placed(done) as part:
            part.write_text(json.dumps({**kept.line(), "sizes": sizes}, indent=1) + "\n", encoding="utf-8")
        return kept

    @contextmanager
    def _placed(self, place: Path) -> Iterator[Path]:
        """As `replacing`, but made in `.work`: a program that is killed leaves nothing beside the results."""
        self.work.mkdir(exist_ok=True)
        made = self.work / f"{uuid.uuid4().hex}-{place.name}"
        with replacing(made) as part:
            yield part
        made.replace(place)

    def named(self, inputs: Sequence[Input]) -> list[tuple[Input, str]]:
        """Each input with its name: that of its earlier results, else the one it would like, else that with a digest of
        its source behind it."""
        earlier = {outcome.source: outcome.name for outcome in self.all_done()}
        taken = {name: source for source, name in earlier.items()}
        result = []
        for item in inputs:
            name = earlier.get(item.source) or safe_name(item.wanted)
            if taken.get(name, item.source) != item.source and not self._moved(name, item):
                name = f"{name}~{short_digest(item.source)}"
            taken[name] = item.source
            result.append((item, name))
        return result

    def _moved(self, name: str, item: Input) -> bool:
        """Whether the recording that is done under a name is this one, which lies somewhere else now."""
        done = self.done(name)
        if done is None or is_address(item.source) or Path(done.source).exists():
            return False
        return digest_of(Path(item.source)) == done.sha256

    def all_done(self) -> Iterator[Outcome]:
        """All that is done, in order of the names."""
        for file in sorted((self.path / "recordings").glob(f"*/{DONE}")):
            if (outcome := self.done(file.parent.name)) is not None:
                yield outcome

    def write_table(self, outcomes: Iterable[Outcome]) -> None:
        """`batch.jsonl`, in order of the names."""
        with self._placed(self.path / TABLE) as part, part.open("w", encoding="utf-8") as handle:
            for outcome in sorted(outcomes, key=lambda outcome: outcome.name):
                handle.write(json.dumps(outcome.line()) + "\n")

    def write_counts(self, outcomes: Iterable[Outcome]) -> None:
        """`counts.csv`: the recordings' counts of crossings, with a column `recording` before them; none, no file."""
        counted = sorted((each for each in outcomes if "counts" in each.outputs), key=lambda outcome: outcome.name)
        if not counted:
            return
        with self._placed(self.path / KINDS["counts"]) as part, part.open("w", encoding="utf-8", newline="") as handle:
            writer = csv.writer(handle, lineterminator="\n")
            for number, outcome in enumerate(counted):
                with (self.path / outcome.outputs["counts"]).open(encoding="utf-8", newline="") as one:
                    heading, *rows = csv.reader(one)
                if number == 0:
                    writer.writerow(["recording", *heading])
                writer.writerows([outcome.name, *row] for row in rows)

    def log(self, outcome: Outcome) -> None:
        line = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "name": outcome.name, "status": outcome.status,
            "resumed": outcome.resumed, "seconds": round(outcome.seconds, 3), "attempts": outcome.attempts,
            "worker": outcome.worker, "error": outcome.error,
        }  # fmt: skip
        with (self.path / "log.jsonl").open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(line) + "\n")


def _lock(handle: int) -> None:
    """Until it is closed. Raises OSError where another program has it."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def opened(path: Path, settings: dict[str, Any]) -> Iterator[Folder]:
    """The folder, made where it is not there, and this program's alone while it works. Raises OptionError where it
    holds something else, or results of other settings."""
    folder = Folder(path.resolve())
    kept = folder.path / SETTINGS
    try:
        if not kept.exists() and path.is_dir() and any(p.name != ".lock" for p in path.iterdir()):
            raise OptionError(f"{path} holds other files than results of velocell batch; name a new or empty folder")
        folder.path.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder.path / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise OptionError(f"cannot write to {path}: {reason(error)}; choose another folder") from None
    try:
        try:
            _lock(lock)
        except OSError:
            raise OptionError(f"another velocell batch is writing to {path}; wait for its end") from None
        if kept.exists():
            _check_same(path, kept, settings)
        else:
            with replacing(kept) as part:
                part.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
        shutil.rmtree(folder.work, ignore_errors=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder.work, ignore_errors=True)
    finally:
        os.close(lock)


def _check_same(path: Path, kept: Path, settings: dict[str, Any]) -> None:
    try:
        before = json.loads(kept.read_text(encoding="utf-8"))
        if not isinstance(before, dict):
            raise ValueError
    except (OSError, ValueError):
        raise OptionError(f"{kept} cannot be read; choose another folder for the results") from None
    settings = json.loads(json.dumps(settings))
    for name in ("velocell", "options", "results", "contents", "parts"):
        old, new = before.get(name, 1 if name == "parts" else {}), settings[name]
        if old == new:
            continue
        if name == "velocell":
            what = f"Velocell {old}, and this is {new}"
        elif name == "contents":
            what = f"other contents of {', '.join(sorted(k for k in {*old, *new} if old.get(k) != new.get(k)))}"
        elif name == "parts":
            what = f"other settings: --parts {old} there, {new} here"
        else:
            what = f"other settings: {_differences(old, new)}"
        raise OptionError(f"{path} holds results of {what}; choose another folder, or remove this one first")


def _differences(old: Any, new: Any) -> str:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        old, new = {"also": ", ".join(old) or None}, {"also": ", ".join(new) or None}
    keys = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
    return ", ".join(f"--{key} {_said(old.get(key))} there, {_said(new.get(key))} here" for key in keys)


def _said(value: Any) -> str:
    return "not given" if value is None else str(value)
