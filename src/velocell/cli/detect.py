"""`velocell detect`: recordings -> a table of objects."""

from __future__ import annotations

import csv
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from velocell import engines, filters, pipeline
from velocell.cli import options as o
from velocell.cli.guard import say
from velocell.cli.outputs import TABLES, check_distinct, check_output
from velocell.cli.progress import detection_progress, speed_text, working
from velocell.cli.values import Sought, sought
from velocell.data.files import replacing
from velocell.data.meta import version
from velocell.data.recording import Recording
from velocell.data.tables import COLUMNS
from velocell.data.tracks import Tracks
from velocell.data.units import parse_region, parse_time_us
from velocell.errors import OptionError
from velocell.filters.chain import Part
from velocell.filters.lens import Camera
from velocell.filters.regions import read_pixels
from velocell.results.counting import Crossing, Line, count, crossings
from velocell.results.plane import Plane, with_real_units
from velocell.tracking.detection import Detection


def detect(
    files: o.Files,
    out: o.Table,
    bands: o.BandEdges = None,
    band_names: o.BandNames = None,
    radius: o.Radius = None,
    template: o.Templates = None,
    contrast: o.Contrast = "auto",
    dt: o.Dt = "auto",
    network: o.NetworkFile = None,
    polarity: o.Polarity = "merge",
    size: o.Size = None,
    frame_time: o.FrameTime = "1ms",
    strict: o.Strict = False,
    start: o.From = None,
    stop: o.To = None,
    roi: o.Regions = None,
    ignore: o.Ignore = None,
    mask_hot: o.MaskHot = True,
    refractory: o.Refractory = None,
    denoise: o.Denoise = None,
    camera: o.CameraFile = None,
    px_per_mm: o.PxPerMm = None,
    homography: o.Homography = None,
    count_line: o.CountLines = None,
    every: o.Every = "5ms",
    video: o.Video = None,
    fps: o.Fps = 25.0,
    slow_motion: o.SlowMotion = None,
    spikes: o.SpikeFile = None,
    report: o.Report = None,
    engine: o.Engine = "native",
) -> None:
    """Find the objects in recordings: where is each, in which band and how fast does it move?"""
    job = _Job(
        files=tuple(files),
        wanted=sought(bands, band_names, radius, contrast, dt, network, template),
        part=Part(
            size=size,
            frame_time=frame_time,
            strict=strict,
            from_us=None if start is None else parse_time_us(start),
            to_us=None if stop is None else parse_time_us(stop),
            regions=tuple(parse_region(text) for text in roi or ()),
            ignore=np.empty((0, 2), np.int64) if ignore is None else read_pixels(ignore),
            mask_hot=mask_hot,
            refractory_us=None if refractory is None else parse_time_us(refractory),
            denoise_us=None if denoise is None else parse_time_us(denoise),
            camera=None if camera is None else Camera.read(camera),
        ),
        plane=_plane(px_per_mm, homography),
        lines=tuple(Line.parse(text) for text in count_line or ()),
        polarity=polarity,
        every_us=parse_time_us(every),
        engine=engine,
        out=None if out == "-" else Path(out),
        video=video,
        fps=fps,
        slow_motion=slow_motion,
        spikes=spikes,
        report=report,
    )
    job.check()
    found = [_detect_one(job, file) for file in job.files]
    _write_table(job, [tracks for tracks, _ in found])
    if job.counts is not None:
        _write_counts(job, job.counts, [crossed for _, crossed in found])


def _plane(px_per_mm: float | None, homography: Path | None) -> Plane | None:
    if px_per_mm is not None and homography is not None:
        raise OptionError("--px-per-mm and --homography both tell the scale; give one of them")
    if px_per_mm is not None:
        return Plane.of_scale(px_per_mm)
    return None if homography is None else Plane.read(homography)


@dataclass(frozen=True)
class _Job:
    """The whole command, in values."""

    files: tuple[Path, ...]
    wanted: Sought
    part: Part
    plane: Plane | None
    lines: tuple[Line, ...]
    polarity: o.PolarityChoice
    every_us: int
    engine: str
    out: Path | None
    video: Path | None
    fps: float
    slow_motion: float | None
    spikes: Path | None
    report: Path | None

    def check(self) -> None:
        """Raise VelocellError for what is wrong, before any work."""
        engines.load(self.engine)
        from_us, to_us = self.part.from_us or 0, self.part.to_us
        if from_us < 0 or (to_us is not None and to_us <= from_us):
            raise OptionError("--from must not be negative and --to must be later than it")
        if self.every_us < 1:
            raise OptionError("--every must be at least 1us")
        outputs = (
            (self.out, TABLES, "tracks"),
            (self.video, (".mp4", ".gif"), "a video"),
            (self.spikes, (".npz",), "spikes"),
            (self.report, (".html",), "a report"),
            (self.counts, (".csv",), "counts"),
        )
        for path, suffixes, what in outputs:
            if path is not None:
                check_output(path, suffixes, what)
        check_distinct([path for path, _, _ in outputs if path is not None], self.files)
        if len(self.files) > 1 and (self.video or self.spikes or self.report):
            raise OptionError("--video, --spikes and --report are for one recording; run the files one by one")

    @property
    def counts(self) -> Path | None:
        """Where the crossings of the lines are counted; nowhere beside a table on stdout."""
        return Path(f"{self.out}.counts.csv") if self.lines and self.out is not None else None

    def settings(self) -> dict[str, Any]:
        """What the command was told, for the results' side."""
        wanted = self.wanted
        return {
            **(
                {"templates": [item.name for item in wanted.templates]}
                if wanted.templates
                else {"radius_px": wanted.radius}
            ),
            "contrast": "auto" if wanted.contrast is None else wanted.contrast,
            "dt_us": "auto" if wanted.dt_us is None else wanted.dt_us,
            "every_us": self.every_us,
            "polarity": self.polarity,
            **self.part.settings(),
            "homography": None if self.plane is None else self.plane.homography.tolist(),
            "count_lines": [str(line) for line in self.lines],
            "engine": self.engine,
        }


def _detect_one(job: _Job, file: Path) -> tuple[Tracks, list[Crossing]]:
    """Run one file, write its video and spikes; the table comes back, and who crossed a line."""
    from velocell.cli.show import crossed_text, found_text
    from velocell.pictures.video.clip import automatic_slow_motion, write_overlay
    from velocell.pictures.video.overlay import overlay_length

    recording = job.part.read(file)
    wanted = job.wanted
    for line in job.lines:
        line.check(recording.size)
    slower = job.slow_motion
    if slower is None:
        slower = automatic_slow_motion(recording)
    overlay_length(recording, fps=job.fps, slow_motion=slower)  # a wrong value is told before the work
    started = time.perf_counter()
    with detection_progress(recording) as on_block:
        settings: dict[str, Any] = {
            "contrast": wanted.contrast,
            "dt_us": wanted.dt_us,
            "every_us": job.every_us,
            "polarity": job.polarity,
            "engine": job.engine,
            "keep_spikes": any((job.video, job.spikes, job.report)),
            "on_block": on_block,
        }
        if wanted.templates:
            detection = pipeline.detect_shapes(recording, wanted.bands, wanted.templates, **settings)
        else:
            detection = pipeline.detect(recording, wanted.bands, wanted.radius, network=wanted.network, **settings)
    seconds = time.perf_counter() - started
    tracks = detection.tracks
    if job.plane is not None:
        tracks = with_real_units(tracks, job.plane, recording.size)
    if job.spikes is not None:
        detection.spikes.to_npz(job.spikes)
    if job.video is not None:
        with working(f"writing {job.video}"):
            names = wanted.bands.names
            answers = detection.spikes
            write_overlay(job.video, recording, tracks, answers, band_names=names, fps=job.fps, slow_motion=slower)
    if job.report is not None:
        _write_report(job, job.report, replace(detection, tracks=tracks), recording)
    for note in recording.notes[1:]:
        say(f"note: {file}: {note}")
    _warn(file, recording, detection)
    speed = speed_text(len(recording), recording.duration_us, seconds)
    say(f"{file}: {found_text(tracks, wanted.bands)}; {speed}")
    crossed = crossings(tracks, job.lines)
    for number, line in enumerate(job.lines):
        say(f"{file}: line {line}: {crossed_text(crossed, number, wanted.bands)}")
    return tracks, crossed


def _warn(file: Path, recording: Recording, detection: Detection) -> None:
    """Say why the table may not be what it looks like."""
    if filters.is_moving_camera(recording):
        say(
            f"warning: {file}: most of the sensor is active, as where the camera moves or noise is high; "
            "use a camera that stands still, or --denoise"
        )
    if detection.too_sparse:
        say(
            f"warning: {file}: too sparse to measure contrast and radius, so both are assumed; "
            "check --radius and --bands, or give --contrast"
        )


def _write_table(job: _Job, tables: list[Tracks]) -> None:
    meta = {
        "velocell": version(),
        "command": "detect",
        "settings": job.settings(),
        "inputs": [table.meta for table in tables],
    }
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
            command=shlex.join(["velocell", *sys.argv[1:]]),
            fps=job.fps,
            slow_motion=job.slow_motion,
            curves=not job.wanted.templates,
        )
    say(f"report in {path}")


def _write_counts(job: _Job, path: Path, found: Sequence[list[Crossing]]) -> None:
    """One row per line, direction and band; of several recordings, one set of rows for each."""
    rows = [
        {**({"file": str(file)} if len(job.files) > 1 else {}), **row}
        for file, crossed in zip(job.files, found, strict=True)
        for row in count(crossed, job.lines, job.wanted.bands.names)
    ]
    with replacing(path) as part, part.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    say(f"{sum(map(len, found))} crossings in {path}")
