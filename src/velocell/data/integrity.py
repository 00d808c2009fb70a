"""`Integrity`: what a file holds beside events, what is wrong with it, and what was done about that."""

from __future__ import annotations

from dataclasses import dataclass, field

from velocell.errors import RecordingError

# Nothing wrong with these: they are counted, so that nothing in a file is lost silently.
FACTS = {
    "wraps": "wraps of the time counter, undone",
    "triggers": "external triggers",
    "imu_samples": "IMU samples",
    "frames": "frames",
    "other": "other entries that are not events",
    "unended": "last line without an end: its last number may be cut",
}

# What was done is certain, not guessed; `--strict` refuses instead.
FAULTS = {
    "back_steps": "steps back in time; the events were sorted by time",
    "out_of_bounds": "events outside the sensor; left out",
    "outside_span": "events outside the span that the file states; the span was widened",
    "unplaced": "events before the first word with a time or row; left out",
    "unknown": "words of an unknown kind; skipped",
    "unclosed": "recording that was cut off or not closed: there is no index at its end; read as far as it goes",
    "damaged": "damaged packets; left out",
    "trailing_bytes": "bytes after the last whole entry; left out",
}


GAP_US = 100_000  # silence of this length is reported
_CUT_OFF = ": cut off?"


def is_warning(note: str) -> bool:
    """Whether a sentence of `Integrity.notes` is about one of FAULTS, or about a silent end."""
    return note.partition(" ")[2] in FAULTS.values() or note.endswith(_CUT_OFF)


@dataclass
class Integrity:
    """Counts by name, filled while blocks are read; they cover the part that was read.

    facts: of the names in FACTS, only those found. faults: of the names in FAULTS, the same.
    strict: a fault is refused with a RecordingError instead. silent_end: in words, where the events end long before
    the span that the file states; that may be right, and is not counted as a fault.
    """

    source: str = ""
    strict: bool = False
    facts: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    silent_end: str = ""

    def clear(self) -> None:
        """Begin anew."""
        self.facts.clear()
        self.faults.clear()
        self.silent_end = ""

    def ends(self, last_us: int, span: tuple[int, int], until_us: int) -> None:
        """The last event of a file, the span that the file states, and until when within it was read."""
        if until_us - last_us > GAP_US:
            stated, found = ((at - span[0]) / 1e6 for at in (span[1], last_us))
            self.silent_end = f"the file states {stated:.6g} s, the events end at {found:.6g} s{_CUT_OFF}"

    def fact(self, name: str, n: int = 1) -> None:
        """Count n more of one of FACTS; 0 is nothing."""
        if name not in FACTS:
            raise KeyError(name)
        if n:
            self.facts[name] = self.facts.get(name, 0) + n

    def fault(self, name: str, n: int = 1, at: str = "") -> None:
        """Count n more of one of FAULTS, 0 is nothing; `at` says where the first of them is.

        Raises RecordingError where the reading is strict.
        """
        words = FAULTS[name]
        if not n:
            return
        if self.strict:
            what = words.partition(";")[0]
            where = f" ({at})" if at else ""
            raise RecordingError(f"{self.source} has {n} {what}{where}; read it without --strict to repair that")
        self.faults[name] = self.faults.get(name, 0) + n

    def notes(self) -> tuple[str, ...]:
        """One sentence each, in the order of the tables."""
        notes = [f"{found[name]} {words}" for table, found in ((FACTS, self.facts), (FAULTS, self.faults)) if found
                for name, words in table.items() if found.get(name)]  # fmt: skip
        return (*notes, self.silent_end) if self.silent_end else tuple(notes)

    def to_dict(self) -> dict[str, int]:
        """Every name of FACTS and FAULTS, 0 where nothing was found."""
        return {name: (self.facts | self.faults).get(name, 0) for name in (*FACTS, *FAULTS)}
