"""`velocell detect`: recordings -> a table of objects."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer

from velocell import engines, pipeline
from velocell.calibration.search import Search
from velocell.cli import options as o
from velocell.cli.counts import write_counts
from velocell.cli.guard import say
from velocell.cli.outputs import TABLES, check_distinct, check_folder, check_output
from velocell.cli.progress import detection_progress, speed_text, working
from velocell.cli.reading import open_part
from velocell.cli.spread import spread
from velocell.data.bands import Bands
from velocell.data.heap import share_heap
from velocell.data.integrity import is_warning
from velocell.data.meta import made_by
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes, write_spikes
from velocell.data.spool import Spool
from velocell.data.tables import joined_columns, write_csv, write_table
from velocell.data.tracks import Tracks
from velocell.data.units import format_time
from velocell.errors import OptionError, printable
from velocell.filters.chain import Cleaning
from velocell.filters.reading import FilePart
from velocell.network.origin import of_detection, told_by_radius, told_by_stamps, too_sparse_text
from velocell.results.counting import Crossing, Gate, Line
from velocell.results.object_table import write_objects
from velocell.results.objects import BandVotes
from velocell.results.plane import Plane, with_real_units
from velocell.tracking.detection import Detection


@dataclass(frozen=True)
class Outputs:
    """What detect writes beside its table."""

    video: Annotated[Path | None, o.output("--video", metavar="MP4", help="Tracks over the events: .mp4, .gif.")] = None
    fps: Annotated[float, o.output("--fps", help="Frames per second of the video.")] = 25.0
    slow_motion: Annotated[
        float | None,
        o.output("--slow-motion", metavar="N", help="Slow the video down N times; by default enough to last 5 s."),
    ] = None
    spikes: Annotated[Path | None, o.output("--spikes", metavar="NPZ", help="Spikes of all layers.")] = None
    report: Annotated[
        Path | None,
        o.output("--report", metavar="HTML", help="One HTML page with figures, a clip, the table and the settings."),
    ] = None
    figures: Annotated[
        Path | None,
        o.output("--figures", metavar="DIR", help="Figures into this folder: tracks, speeds, positions, network."),
    ] = None
    figure_type: Annotated[
        Literal["pdf", "svg", "png"],
        o.output("--figure-type", help="What --figures writes; pdf and svg are sharp in print."),
    ] = "pdf"
    objects: Annotated[
        Path | None,
        o.output("--objects", metavar="CSV", help="A table of one row per object: its way, mean speed, crossings."),
    ] = None


@spread
def detect(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Recordings in any supported format.")],
    out: Annotated[
        str, o.output("--out", "-o", metavar="OUT", help="Table: .csv, .jsonl, .parquet; - is CSV on stdout.")
    ],
    look_for: o.LookFor,
    part: o.Part,
    clean: o.Clean,
    measures: o.Measures,
    more: Outputs,
    strict: o.Strict = False,
) -> None:
    """Find the objects in recordings: where each is, in which band, and how fast it moves."""
    job = Job(
        files=tuple(files),
        search=look_for.search(),
        part=part,
        strict=strict,
        cleaning=clean.cleaning(),
        plane=measures.plane(),
        lines=measures.lines(),
        out=None if out == "-" else Path(out),
        more=more,
    )
    job.check()
    do: Callable[[Job], None] = context.obj or run
    do(job)


class Way:
    """How a recording is opened and searched: here and as a whole. about: what else its metadata are to say."""

    def open(self, job: Job, file: Path) -> FilePart:
        return open_part(file, job.part, job.cleaning, job.strict)

    def findings(
        self, job: Job, part: FilePart, keep_spikes: bool, on_block: Callable[[Recording], object] | None
    ) -> pipeline.Findings:
        return pipeline.findings(part, job.search, keep_spikes=keep_spikes, on_block=on_block)

    @property
    def about(self) -> dict[str, Any]:
        return {}


def run(job: Job, way: Way | None = None) -> None:
    """The whole command. Raises VelocellError."""
    way = way or Way()
    share_heap()
    with ExitStack() as stack:
        found = []
        for file in job.files:
            rows = stack.enter_context(Spool())
            with Spool() as spikes:
                found.append(_detect_one(job, file, rows, spikes, way))
        if len(found) > 1:
            _write_table(job, found)
    if job.counts is not None:
        crossed = [one.crossed for one in found]
        named = [file if len(job.files) > 1 else None for file in job.files]
        write_counts(job.counts, list(zip(named, crossed, strict=True)), job.lines, job.bands.names)
        say(f"{sum(map(len, crossed))} crossings in {job.counts}")


@dataclass(frozen=True)
class Job:
    """The whole command, in values."""

    files: tuple[Path, ...]
    search: Search
    part: o.Part
    strict: bool
    cleaning: Cleaning
    plane: Plane | None
    lines: tuple[Line, ...]
    out: Path | None
    more: Outputs

    def check(self) -> None:
        """Raise VelocellError for what is wrong, before any work."""
        engines.load(self.search.engine)
        self.part.times_us()
        more = self.more
        outputs = (
            (self.out, TABLES, "tracks"),
            (more.video, (".mp4", ".gif"), "a video"),
            (more.spikes, (".npz",), "spikes"),
            (more.report, (".html",), "a report"),
            (self.counts, (".csv",), "counts"),
            (more.objects, (".csv",), "objects"),
        )
        for path, suffixes, what in outputs:
            if path is not None:
                check_output(path, suffixes, what)
        if more.figures is not None:
            check_folder(more.figures, "figures")
        check_distinct([path for path, _, _ in outputs if path is not None], self.files)
        if len(self.files) > 1 and any((more.video, more.spikes, more.report, more.objects, more.figures)):
            raise OptionError(
                "--video, --spikes, --report, --objects and --figures are for one recording; velocell batch takes many"
            )

    @property
    def bands(self) -> Bands:
        assert self.search.bands is not None  # the options bring them, or the network
        return self.search.bands

    @property
    def counts(self) -> Path | None:
        """Where the crossings of the lines are counted; nowhere beside a table on stdout."""
        return Path(f"{self.out}.counts.csv") if self.lines and self.out is not None else None

    @property
    def keeps_spikes(self) -> bool:
        """Whether anything but the table is made of them."""
        return any((self.more.video, self.more.spikes, self.more.report, self.more.figures))

    def settings(self) -> dict[str, Any]:
        """The command's options, for the results' side."""
        look_for, (from_us, to_us) = self.search.to_dict(), self.part.times_us()
        engine = look_for.pop("engine")
        return {
            **look_for,
            "size": self.part.size,
            "frame_time": self.part.frame_time,
            "time_unit": self.part.time_unit,
            "strict": self.strict,
            "from_us": None if self.part.start is None else from_us,
            "to_us": to_us,
            **self.cleaning.to_dict(),
            "homography": None if self.plane is None else self.plane.homography.tolist(),
            "count_lines": [str(line) for line in self.lines],
            "engine": engine,
        }


@dataclass(frozen=True)
class _Found:
    """What was found in one file: rows of the table, what they were made from, who crossed a line."""

    file: Path
    rows: Spool
    meta: dict[str, Any]
    crossed: list[Crossing]

    def tracks(self) -> Tracks:
        """All rows, in memory."""
        return Tracks.from_columns(self.rows.whole(), self.meta)


def _detect_one(job: Job, file: Path, rows: Spool, spikes: Spool, way: Way) -> _Found:
    """Run one file, write its video and spikes. rows, spikes: what takes them as they come."""
    from velocell.cli.show import crossed_text, found_text
    from velocell.pictures.video.clip import automatic_slow_motion
    from velocell.pictures.video.overlay import overlay_length

    more, bands = job.more, job.bands
    part = way.open(job, file)
    span, _ = part.outline()
    for line in job.lines:
        line.check(part.size)
    slower = automatic_slow_motion(span) if more.slow_motion is None else more.slow_motion
    overlay_length(span, fps=more.fps, slow_motion=slower)  # a wrong value is refused before the work
    started = time.perf_counter()
    gate, votes = Gate(job.lines), BandVotes()
    crossed: list[Crossing] = []
    keep_spikes = job.keeps_spikes
    with detection_progress(span) as on_block:
        found = way.findings(job, part, keep_spikes, on_block)
        for columns, answers in found.pieces:
            tracks = Tracks.from_columns(columns)
            if job.plane is not None:
                tracks = with_real_units(tracks, job.plane, part.size)
            rows.add(tracks.columns())
            crossed += gate.feed(tracks)
            votes.add(tracks)
            if keep_spikes:
                spikes.add(answers.columns())
    seconds = time.perf_counter() - started
    span, events = part.outline()
    crossed = sorted([*crossed, *gate.finish()], key=lambda one: (one.t_us, one.line, one.id))
    whole = _Found(file, rows, {**of_detection(span, events, found.networks, found.changes), **way.about}, crossed)
    if len(job.files) == 1:
        _write_table(job, [whole])  # first: what fails below loses nothing of it
    _write_more(job, part, whole, found, spikes, slower)
    for note in span.notes[1:]:
        say(f"{'warning' if is_warning(note) else 'note'}: {file}: {note}")
    _warn(file, part, found)
    _warn_of_options(file, job.search, span.duration_us)
    say(
        f"{file}: {found_text(votes.bands(), bands, votes.doubtful())}; {speed_text(events, span.duration_us, seconds)}"
    )
    for number, line in enumerate(job.lines):
        say(f"{file}: line {line}: {crossed_text(crossed, number, bands)}")
    return whole


def _write_more(
    job: Job, part: FilePart, whole: _Found, found: pipeline.Findings, spikes: Spool, slower: float
) -> None:
    """Spikes; and what is made of all rows, events and spikes at once: the objects, the video, the report."""
    more = job.more
    layers = max(len(network.layers) for network in found.networks)
    if more.spikes is not None:
        write_spikes(more.spikes, spikes, layers)
    if more.objects is not None:
        say(f"{write_objects(more.objects, whole.tracks(), job.lines)} objects in {more.objects}")
    if more.video is None and more.report is None and more.figures is None:
        return
    from velocell.pictures.video.clip import write_overlay
    from velocell.pictures.video.overlay import SILENCE_S, frame_ends

    recording, tracks = part.whole(), whole.tracks()
    answers = Spikes(**spikes.whole(), layers=layers)
    if more.video is not None:
        with working(f"writing {more.video}"):
            names = job.bands.names
            write_overlay(more.video, recording, tracks, answers, band_names=names, fps=more.fps, slow_motion=slower)
        left_out = sum(1 for _ in frame_ends(recording, tracks, fps=more.fps, slow_motion=slower)) - 1
        if left_out:
            say(f"note: {more.video} leaves out {left_out} silences, each from {SILENCE_S:g} s of video on")
    detection = Detection(tracks, answers, found.networks, found.too_sparse, found.crowding)
    if more.report is not None:
        _write_report(job, more.report, detection, recording)
    if more.figures is not None:
        from velocell.pictures.figures.all import write_figures

        with working(f"writing figures into {more.figures}"):
            drawn = write_figures(more.figures, detection, recording, more.figure_type, curves=not job.search.templates)
        say(f"{', '.join(drawn)} in {more.figures}")


def _warn(file: Path, part: FilePart, found: pipeline.Findings) -> None:
    """Say why the table may not be what it looks like."""
    if part.motion.moves:
        say(f"warning: {file}: {part.motion.reason}")
    if (stamps := told_by_stamps(found.networks[0])) is not None:
        say(f"note: {file}: {stamps}")
    if (size := told_by_radius(found.networks[0])) is not None:
        say(f"warning: {file}: {size}")
    if found.crowding.told is not None:
        say(f"note: {file}: {found.crowding.told}")
    if found.too_sparse:
        say(f"warning: {file}: {too_sparse_text(found.networks)}")


def _warn_of_options(file: Path, search: Search, duration_us: int) -> None:
    """Say what does not fit the recording."""
    if search.every_us > duration_us:
        say(
            f"warning: {file}: --every {format_time(search.every_us)} is longer than the recording "
            f"({format_time(duration_us)}), so nothing is reported; give a shorter time"
        )
    if search.polarity in ("on", "off") and not search.templates:
        say(
            f"warning: {file}: with --polarity {search.polarity} only one edge of a disk is seen, so objects are "
            "missed; --polarity merge uses all events"
        )


def _write_table(job: Job, found: list[_Found]) -> None:
    """Of one file as it comes; the rows of several are put in order of time, all of them in memory."""
    meta = made_by("detect", settings=job.settings(), inputs=[one.meta for one in found])
    parts, rows = found[0].rows.parts(), len(found[0].rows)
    if len(found) > 1:
        tables = [one.tracks().columns() for one in found]
        columns = joined_columns(tables)
        columns["file"] = np.repeat([printable(str(one.file)) for one in found], [len(one.rows) for one in found])
        whole = Tracks.from_columns(columns)
        parts, rows = whole.parts(), len(whole)
    if job.out is None:
        write_csv(sys.stdout, parts)
    else:
        write_table(job.out, parts, meta)
        say(f"{rows} rows in {job.out}")


def _write_report(job: Job, path: Path, detection: Detection, recording: Recording) -> None:
    """The page; tuning curves are measured with disks, so that a network for other shapes gets none."""
    from velocell.pictures.report import write_report

    with working(f"writing {path}"):
        write_report(
            path,
            detection,
            recording,
            settings=job.settings(),
            command=shlex.join(o.given_words()),
            fps=job.more.fps,
            slow_motion=job.more.slow_motion,
            curves=not job.search.templates,
        )
    say(f"report in {path}")
