"""Which part of a recording is used, and how it is cleaned before anything looks at it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell import filters
from velocell.cli.reading import read_events
from velocell.data.recording import Recording
from velocell.data.units import format_time
from velocell.errors import RecordingError
from velocell.filters.lens import Camera, undistort
from velocell.filters.regions import Region, crop_to


@dataclass(frozen=True)
class Part:
    """How to read a recording and which part of it to use; times from its start.

    Defective pixels and the filters are of the camera's own pixels; `regions` are of the picture that
    comes out, with the lens corrected, as are the table and the counting lines.
    """

    size: str | None
    frame_time: str
    strict: bool
    from_us: int | None
    to_us: int | None
    regions: tuple[Region, ...]
    ignore: NDArray[np.int64]
    mask_hot: bool
    refractory_us: int | None
    denoise_us: int | None
    camera: Camera | None

    def read(self, file: Path) -> Recording:
        """Raises RecordingError where nothing is left."""
        part = read_events(file, self.size, self.frame_time, self.from_us or 0, self.to_us, self.strict)
        if self.regions:
            crop_to(part.slice(0, 0), self.regions)  # wrong regions are told before the work
        if len(part):
            part = self.clean(part)
            if not len(part):
                raise RecordingError(f"the filters leave no events of {file}; use fewer, or a longer --denoise")
        part = part if self.camera is None else undistort(part, self.camera)
        part = crop_to(part, self.regions) if self.regions else part
        if not len(part):
            raise RecordingError(f"{file} has no events in that part; choose a longer time or a larger region")
        return part

    def clean(self, recording: Recording) -> Recording:
        """Without what the filters take out; the notes tell what each of them left."""
        # Ignored pixels first: they could hide a hot one among their neighbours.
        if len(self.ignore):
            recording = _without(recording, self.ignore, "ignored")
        if self.mask_hot and len(hot := filters.hot_pixels(recording)):
            recording = _without(recording, hot, "hot")
        steps: list[tuple[str, Callable[[Recording], Recording]]] = []
        if (dead_us := self.refractory_us) is not None:
            name = f"refractory filter of {format_time(dead_us)}"
            steps.append((name, lambda events: filters.refractory_filter(events, dead_us)))
        if (window_us := self.denoise_us) is not None:
            name = f"background-activity filter of {format_time(window_us)}"
            steps.append((name, lambda events: filters.background_activity_filter(events, window_us)))
        for name, step in steps:
            recording = _noted(step(recording), recording, name)
        return recording

    def settings(self) -> dict[str, Any]:
        """As plain values, for the results' side."""
        camera = self.camera
        return {
            "size": self.size,
            "frame_time": self.frame_time,
            "strict": self.strict,
            "from_us": self.from_us,
            "to_us": self.to_us,
            "roi": self.regions or None,
            "ignored_pixels": len(self.ignore),
            "mask_hot": self.mask_hot,
            "refractory_us": self.refractory_us,
            "denoise_us": self.denoise_us,
            "camera": None
            if camera is None
            else {"matrix": camera.matrix.tolist(), "distortion": camera.distortion.tolist()},
        }


def _without(recording: Recording, pixels: NDArray[np.int64], kind: str) -> Recording:
    return _noted(filters.mask_pixels(recording, pixels), recording, f"without {len(pixels)} {kind} pixels")


def _noted(left: Recording, before: Recording, name: str) -> Recording:
    return replace(left, notes=(*left.notes, f"{name}: {len(left)} of {len(before)} events left"))
