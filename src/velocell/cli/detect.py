"""`velocell detect`: recordings -> a table of objects."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from velocell import engines, hygiene, pipeline, provenance
from velocell.cli import options as o
from velocell.cli.guard import say
from velocell.cli.outputs import TABLES, check_distinct, check_output
from velocell.cli.progress import detection_progress, speed_text, working
from velocell.cli.values import Sought, read_events, sought
from velocell.errors import OptionError, RecordingError
from velocell.recording import Recording
from velocell.tracks import COLUMNS, Tracks
from velocell.units import format_time, parse_region, parse_time_us

_VIDEO_S = 5.0  # a shorter recording is slowed down to about this length


def detect(
    files: o.Files,
    out: o.Table,
    bands: o.BandEdges = None,
    band_names: o.BandNames = None,
    radius: o.Radius = None,
    template: o.Template = None,
    contrast: o.Contrast = "auto",
    dt: o.Dt = "auto",
    network: o.NetworkFile = None,
    polarity: o.Polarity = "merge",
    size: o.Size = None,
    frame_time: o.FrameTime = "1ms",
    start: o.From = None,
    stop: o.To = None,
    roi: o.Region = None,
    mask_hot: o.MaskHot = False,
    refractory: o.Refractory = None,
    denoise: o.Denoise = None,
    every: o.Every = "5ms",
    video: o.Video = None,
    fps: o.Fps = 25.0,
    slow_motion: o.SlowMotion = None,
    spikes: o.SpikeFile = None,
    engine: o.Engine = "native",
) -> None:
    """Find the objects in recordings: where is each, in which band and how fast does it move?"""
    job = _Job(
        files=tuple(files),
        wanted=sought(bands, band_names, radius, contrast, dt, network, template),
        part=_Part(
            size=size,
            frame_time=frame_time,
            from_us=None if start is None else parse_time_us(start),
            to_us=None if stop is None else parse_time_us(stop),
            roi=None if roi is None else parse_region(roi),
            mask_hot=mask_hot,
            refractory_us=None if refractory is None else parse_time_us(refractory),
            denoise_us=None if denoise is None else parse_time_us(denoise),
        ),
        polarity=polarity,
        every_us=parse_time_us(every),
        engine=engine,
        out=None if out == "-" else Path(out),
        video=video,
        fps=fps,
        slow_motion=slow_motion,
        spikes=spikes,
    )
    job.check()
    _write_table(job, [_detect_one(job, file) for file in job.files])


@dataclass(frozen=True)
class _Part:
    """How to read a recording and which part of it to use; times from its start."""

    size: str | None
    frame_time: str
    from_us: int | None
    to_us: int | None
    roi: tuple[int, int, int, int] | None
    mask_hot: bool
    refractory_us: int | None
    denoise_us: int | None

    def read(self, file: Path) -> Recording:
        """Raises RecordingError where nothing is left."""
        recording = read_events(file, self.size, self.frame_time)
        start_us, from_us = recording.start_us, self.from_us or 0
        if from_us >= recording.duration_us:
            raise RecordingError(
                f"--from {format_time(from_us)} lies after the end of {file}, which lasts "
                f"{format_time(recording.duration_us)}; choose an earlier time"
            )
        part = recording.between(start_us + from_us, None if self.to_us is None else start_us + self.to_us)
        part = part if self.roi is None else part.crop(*self.roi)
        if not len(part):
            raise RecordingError(f"{file} has no events in that part; choose a longer time or a larger region")
        part = self.clean(part)
        if not len(part):
            raise RecordingError(f"the filters leave no events of {file}; use fewer, or a longer --denoise")
        return part

    def clean(self, recording: Recording) -> Recording:
        """Without what the filters take out; the notes tell what each of them left."""
        steps: list[tuple[str, Callable[[Recording], Recording]]] = []
        if self.mask_hot:
            hot = hygiene.hot_pixels(recording)
            steps.append((f"without {len(hot)} hot pixels", lambda events: hygiene.mask_pixels(events, hot)))
        if (dead_us := self.refractory_us) is not None:
            name = f"refractory filter of {format_time(dead_us)}"
            steps.append((name, lambda events: hygiene.refractory_filter(events, dead_us)))
        if (window_us := self.denoise_us) is not None:
            name = f"background-activity filter of {format_time(window_us)}"
            steps.append((name, lambda events: hygiene.background_activity_filter(events, window_us)))
        for name, step in steps:
            cleaned = step(recording)
            note = f"{name}: {len(cleaned)} of {len(recording)} events left"
            recording = replace(cleaned, notes=(*cleaned.notes, note))
        return recording


@dataclass(frozen=True)
class _Job:
    """The whole command, in values."""

    files: tuple[Path, ...]
    wanted: Sought
    part: _Part
    polarity: o.PolarityChoice
    every_us: int
    engine: str
    out: Path | None
    video: Path | None
    fps: float
    slow_motion: float | None
    spikes: Path | None

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
        )
        for path, suffixes, what in outputs:
            if path is not None:
                check_output(path, suffixes, what)
        check_distinct([path for path, _, _ in outputs if path is not None], self.files)
        if len(self.files) > 1 and (self.video or self.spikes):
            raise OptionError("--video and --spikes are for one recording; run the files one by one")

    def settings(self) -> dict[str, Any]:
        """What the command was told, for the results' side."""
        wanted, part = self.wanted, self.part
        return {
            "radius_px": wanted.radius,
            "contrast": "auto" if wanted.contrast is None else wanted.contrast,
            "dt_us": "auto" if wanted.dt_us is None else wanted.dt_us,
            "every_us": self.every_us,
            "polarity": self.polarity,
            "size": part.size,
            "frame_time": part.frame_time,
            "from_us": part.from_us,
            "to_us": part.to_us,
            "roi": part.roi,
            "mask_hot": part.mask_hot,
            "refractory_us": part.refractory_us,
            "denoise_us": part.denoise_us,
            "engine": self.engine,
        }


def _detect_one(job: _Job, file: Path) -> Tracks:
    """Run one file, write its video and spikes; the table comes back with where it came from."""
    from velocell.cli.show import found_text
    from velocell.overlay import overlay_length
    from velocell.video import write_overlay

    recording = job.part.read(file)
    wanted = job.wanted
    slower = job.slow_motion
    if slower is None:
        slower = max(1, math.ceil(_VIDEO_S * 1e6 / recording.duration_us))
    overlay_length(recording, fps=job.fps, slow_motion=slower)  # a wrong value is told before the work
    started = time.perf_counter()
    with detection_progress(recording) as on_block:
        detection = pipeline.detect(
            recording,
            wanted.bands,
            wanted.radius,
            contrast=wanted.contrast,
            dt_us=wanted.dt_us,
            every_us=job.every_us,
            polarity=job.polarity,
            network=wanted.network,
            engine=job.engine,
            keep_spikes=job.video is not None or job.spikes is not None,
            on_block=on_block,
        )
    seconds = time.perf_counter() - started
    tracks = detection.tracks
    if job.spikes is not None:
        detection.spikes.to_npz(job.spikes)
    if job.video is not None:
        with working(f"writing {job.video}"):
            names = wanted.bands.names
            answers = detection.spikes
            write_overlay(job.video, recording, tracks, answers, band_names=names, fps=job.fps, slow_motion=slower)
    for note in recording.notes[1:]:
        say(f"note: {file}: {note}")
    _warn(file, recording, detection)
    speed = speed_text(len(recording), recording.duration_us, seconds)
    say(f"{file}: {found_text(tracks, wanted.bands)}; {speed}")
    return tracks


def _warn(file: Path, recording: Recording, detection: pipeline.Detection) -> None:
    """Say why the table may not be what it looks like."""
    if hygiene.is_moving_camera(recording):
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
        "velocell": provenance.version(),
        "command": "detect",
        "settings": job.settings(),
        "inputs": [table.meta for table in tables],
    }
    if len(tables) == 1:
        whole = replace(tables[0], meta=meta)
    else:
        columns: dict[str, ArrayLike] = {
            name: np.concatenate([getattr(table, name) for table in tables]) for name in COLUMNS
        }
        columns["file"] = np.repeat([str(file) for file in job.files], [len(table) for table in tables])
        whole = Tracks.from_columns(columns, meta)
    if job.out is None:
        whole.write_csv(sys.stdout)
    else:
        whole.write(job.out)
        say(f"{len(whole)} rows in {job.out}")
