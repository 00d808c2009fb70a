"""`velocell detect`: recordings -> a table of objects."""

from __future__ import annotations

import shlex
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import ArrayLike

from velocell import engines, filters, pipeline
from velocell.calibration.search import Search
from velocell.cli import options as o
from velocell.cli.counts import write_counts
from velocell.cli.guard import say
from velocell.cli.outputs import TABLES, check_distinct, check_output
from velocell.cli.progress import detection_progress, speed_text, working
from velocell.cli.reading import read_cleaned
from velocell.cli.spread import spread
from velocell.data.bands import Bands
from velocell.data.meta import made_by
from velocell.data.recording import Recording
from velocell.data.tables import COLUMNS
from velocell.data.tracks import Tracks
from velocell.errors import OptionError
from velocell.filters.chain import Cleaning
from velocell.network.origin import told_by_stamps
from velocell.results.counting import Crossing, Line, crossings
from velocell.results.object_table import write_objects
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
    objects: Annotated[
        Path | None,
        o.output("--objects", metavar="CSV", help="A table of one row per object: its way, mean speed, crossings."),
    ] = None


@spread
def detect(
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
    job = _Job(
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
    found = [_detect_one(job, file) for file in job.files]
    _write_table(job, [tracks for tracks, _ in found])
    if job.counts is not None:
        crossed = [crossed for _, crossed in found]
        named = [file if len(job.files) > 1 else None for file in job.files]
        write_counts(job.counts, list(zip(named, crossed, strict=True)), job.lines, job.bands.names)
        say(f"{sum(map(len, crossed))} crossings in {job.counts}")


@dataclass(frozen=True)
class _Job:
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
        check_distinct([path for path, _, _ in outputs if path is not None], self.files)
        if len(self.files) > 1 and (more.video or more.spikes or more.report or more.objects):
            raise OptionError(
                "--video, --spikes, --report and --objects are for one recording; use velocell batch for many"
            )

    @property
    def bands(self) -> Bands:
        assert self.search.bands is not None  # the options bring them, or the network
        return self.search.bands

    @property
    def counts(self) -> Path | None:
        """Where the crossings of the lines are counted; nowhere beside a table on stdout."""
        return Path(f"{self.out}.counts.csv") if self.lines and self.out is not None else None

    def settings(self) -> dict[str, Any]:
        """The command's options, for the results' side."""
        look_for, (from_us, to_us) = self.search.to_dict(), self.part.times_us()
        engine = look_for.pop("engine")
        return {
            **look_for,
            "size": self.part.size,
            "frame_time": self.part.frame_time,
            "strict": self.strict,
            "from_us": None if self.part.start is None else from_us,
            "to_us": to_us,
            **self.cleaning.to_dict(),
            "homography": None if self.plane is None else self.plane.homography.tolist(),
            "count_lines": [str(line) for line in self.lines],
            "engine": engine,
        }


def _detect_one(job: _Job, file: Path) -> tuple[Tracks, list[Crossing]]:
    """Run one file, write its video and spikes; the table comes back, and who crossed a line."""
    from velocell.cli.show import crossed_text, found_text
    from velocell.pictures.video.clip import automatic_slow_motion, write_overlay
    from velocell.pictures.video.overlay import overlay_length

    more, bands = job.more, job.bands
    recording = read_cleaned(file, job.part, job.cleaning, job.strict)
    for line in job.lines:
        line.check(recording.size)
    slower = automatic_slow_motion(recording) if more.slow_motion is None else more.slow_motion
    overlay_length(recording, fps=more.fps, slow_motion=slower)  # a wrong value is refused before the work
    started = time.perf_counter()
    with detection_progress(recording) as on_block:
        keep_spikes = any((more.video, more.spikes, more.report))
        found = pipeline.find(recording, job.search, keep_spikes=keep_spikes, on_block=on_block)
    seconds = time.perf_counter() - started
    tracks = found.tracks
    if job.plane is not None:
        tracks = with_real_units(tracks, job.plane, recording.size)
    if more.spikes is not None:
        found.spikes.to_npz(more.spikes)
    if more.video is not None:
        with working(f"writing {more.video}"):
            names = bands.names
            write_overlay(
                more.video, recording, tracks, found.spikes, band_names=names, fps=more.fps, slow_motion=slower
            )
    if more.objects is not None:
        say(f"{write_objects(more.objects, tracks, job.lines)} objects in {more.objects}")
    if more.report is not None:
        _write_report(job, more.report, replace(found, tracks=tracks), recording)
    for note in recording.notes[1:]:
        say(f"note: {file}: {note}")
    _warn(file, recording, found)
    speed = speed_text(len(recording), recording.duration_us, seconds)
    say(f"{file}: {found_text(tracks, bands)}; {speed}")
    crossed = crossings(tracks, job.lines)
    for number, line in enumerate(job.lines):
        say(f"{file}: line {line}: {crossed_text(crossed, number, bands)}")
    return tracks, crossed


def _warn(file: Path, recording: Recording, detection: Detection) -> None:
    """Say why the table may not be what it looks like."""
    if (motion := filters.camera_motion(recording)).moves:
        say(f"warning: {file}: {motion.reason}")
    if (stamps := told_by_stamps(detection.networks[0])) is not None:
        say(f"note: {file}: {stamps}")
    if detection.crowding.told is not None:
        say(f"note: {file}: {detection.crowding.told}")
    if detection.too_sparse:
        say(
            f"warning: {file}: too sparse to measure contrast and radius, so both are assumed; "
            "check --radius and --bands, or give --contrast"
        )


def _write_table(job: _Job, tables: list[Tracks]) -> None:
    meta = made_by("detect", settings=job.settings(), inputs=[table.meta for table in tables])
    if len(tables) == 1:
        whole = replace(tables[0], meta=meta)
    else:
        names = [*COLUMNS, *tables[0].extra]
        columns: dict[str, ArrayLike] = {
            name: np.concatenate([table.columns()[name] for table in tables]) for name in names
        }
        columns["file"] = np.repeat([str(file) for file in job.files], [len(table) for table in tables])
        whole = Tracks.from_columns(columns, meta)
    if job.out is None:
        whole.write_csv(sys.stdout)
    else:
        whole.write(job.out)
        say(f"{len(whole)} rows in {job.out}")


def _write_report(job: _Job, path: Path, detection: Detection, recording: Recording) -> None:
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
