"""`Cleaning`: what is taken out of a recording before anything looks at it, in one order for files, streams and page.

Ignored pixels go first (they could hide a hot one among their neighbours), then hot ones (they would vouch for the
noise beside them), flicker (its comb needs each pixel's raw events), the refractory filter, the background-activity
filter: all of the camera's own pixels. Then the lens is corrected, and regions are cut out of the picture that comes
out.

A new filter is a function or a class in a file beside this one, a field here, and its line in `_filters`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.data.optional import number_text, optional
from velocell.data.recording import Recording
from velocell.data.units import format_time
from velocell.filters.flicker import LOOK_US, LOOKED_AT, Flicker, Lamp, check_flicker, find_lamps, told
from velocell.filters.hot_pixels import hot_pixels, mask_pixels
from velocell.filters.lens import Camera, Undistortion
from velocell.filters.noise import BackgroundActivity, Refractory
from velocell.filters.regions import Region, crop_to

Step = Callable[[Recording], Recording]
Note = Callable[[int, int], str]  # in words: how many events came, and were left


def _no_pixels() -> NDArray[np.int64]:
    return np.empty((0, 2), np.int64)


@dataclass(frozen=True, eq=False)
class Cleaning:
    """ignore: pixels (k, 2), rows (x, y). mask_hot: measure hot pixels and leave them out. refractory_us,
    denoise_us: dead time and window of the filters, None for none. camera: the lens to correct. regions:
    (x, y, w, h) in px, none for the whole picture. flicker: `auto` finds lamps and filters them, a frequency in Hz is
    filtered, `off`. Raises OptionError.
    """

    ignore: NDArray[np.int64] = optional(
        "--ignore", lambda v: [f"{len(v)} pixels"] if len(v) else [], factory=_no_pixels
    )
    mask_hot: bool = optional("--no-mask-hot", lambda v: [] if v else [None], default=True)
    refractory_us: int | None = optional("--refractory", lambda v: _time_texts(v), default=None)
    denoise_us: int | None = optional("--denoise", lambda v: _time_texts(v), default=None)
    camera: Camera | None = optional("--camera", lambda v: [] if v is None else [v.source], default=None)
    regions: tuple[Region, ...] = optional("--roi", lambda v: [",".join(map(str, r)) for r in v], default=())
    flicker: float | str = optional("--flicker", lambda v: [] if v == "auto" else [_flicker_text(v)], default="auto")

    def __post_init__(self) -> None:
        check_flicker(self.flicker)

    def check(self, recording: Recording) -> None:
        """Raise VelocellError for pixels or regions that lie outside the sensor, before any work."""
        nothing = recording.slice(0, 0)
        mask_pixels(nothing, self.ignore)
        if self.regions:
            crop_to(nothing, self.regions)

    def apply(self, recording: Recording, hot: NDArray[np.int64] | None = None) -> Recording:
        """A whole recording, cleaned; its notes say what each step left. hot: pixels (k, 2) known already, instead
        of those measured here."""
        return self.picture(self.pixels(recording, hot))

    def pixels(
        self, recording: Recording, hot: NDArray[np.int64] | None = None, lamps: Sequence[Lamp] | None = None
    ) -> Recording:
        """The first half, of the camera's own pixels: what is left by the filters. lamps: known already, and all there
        are, instead of those that are looked for here."""
        recording = self.without_ignored(recording)
        if self.mask_hot:
            recording = _without(recording, hot_pixels(recording) if hot is None else hot, "hot")
        known = self.lamps(recording) if lamps is None else lamps
        flicker = Flicker(recording.size, self.flicker, looks=lamps is None)
        flicker.know(known)
        steady = flicker(recording)
        if steady is not recording:
            recording = _noted(steady, recording, told(flicker.lamps))
        for name, step in self._filters(recording.size):
            recording = _noted(step(recording), recording, name)
        return recording

    def picture(self, recording: Recording) -> Recording:
        """The second half: lens and regions."""
        for step in self._picture(recording.size):
            recording = step(recording)
        return recording

    def without_ignored(self, recording: Recording) -> Recording:
        """The first step alone: what hot pixels are measured on."""
        return _without(recording, self.ignore, "ignored")

    def lamps(self, first: Recording) -> tuple[Lamp, ...]:
        """Those in the first second of what is there before it is played, without ignored and hot pixels."""
        if self.flicker != "auto" or not len(first):
            return ()
        first = first.between(stop_us=first.start_us + LOOK_US)
        return find_lamps([first.slice(0, min(len(first), LOOKED_AT))])

    def stream(self, size: tuple[int, int]) -> Stream:
        """For consecutive blocks of a sensor of (width, height)."""
        filters = [(partial(_left, name), step) for name, step in self._filters(size)]
        return Stream(self, size, [*filters, *((getattr(step, "note", None), step) for step in self._picture(size))])

    @property
    def lead_us(self) -> int:
        """How much of the time before a part its cleaning depends on, beside that of lamps that are found."""
        comb_us = 0 if isinstance(self.flicker, str) else Lamp(self.flicker, None).lead_us
        return comb_us + (self.refractory_us or 0) + (self.denoise_us or 0)

    def _filters(self, size: tuple[int, int]) -> Iterator[tuple[str, Step]]:
        """What follows after the pixels to leave out, each with its name in notes."""
        if self.refractory_us is not None:
            yield f"refractory filter of {format_time(self.refractory_us)}", Refractory(size, self.refractory_us)
        if (window_us := self.denoise_us) is not None:
            yield f"background-activity filter of {format_time(window_us)}", BackgroundActivity(size, window_us)

    def _picture(self, size: tuple[int, int]) -> Iterator[Step]:
        if self.camera is not None:
            yield Undistortion(self.camera, size)
        if regions := self.regions:
            yield lambda block: crop_to(block, regions)

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for the results' side."""
        camera = self.camera
        return {
            "roi": self.regions or None,
            "ignored_pixels": len(self.ignore),
            "mask_hot": self.mask_hot,
            "flicker": self.flicker,
            "refractory_us": self.refractory_us,
            "denoise_us": self.denoise_us,
            "camera": None
            if camera is None
            else {"matrix": camera.matrix.tolist(), "distortion": camera.distortion.tolist()},
        }


NOTHING = Cleaning(mask_hot=False, flicker="off")
"""A cleaning that leaves a recording as it is."""


class Stream:
    """Cleans consecutive blocks. hot: pixels (k, 2) that are left out from now on; hot_events: how many of theirs
    were. flicker: the lamps that are filtered, found as the stream comes, or known before (`Flicker.know`)."""

    def __init__(self, cleaning: Cleaning, size: tuple[int, int], steps: Sequence[tuple[Note | None, Step]]) -> None:
        self._ignore = cleaning.ignore
        self.flicker = Flicker(size, cleaning.flicker)
        # What is left of how many events is counted for each.
        self._steps: list[tuple[Note | None, Step]] = [
            (lambda before, left: _left(f"without {len(self._ignore)} ignored pixels", before, left), self._unignored),
            (lambda before, left: _left(f"without {len(self.hot)} hot pixels", before, left), self._cool),
            (lambda before, left: _left(told(self.flicker.lamps), before, left), self.flicker),
            *steps,
        ]
        self._counts = [[0, 0] for _ in self._steps]
        self.hot = _no_pixels()

    @property
    def hot_events(self) -> int:
        before, left = self._counts[1]
        return before - left

    def __call__(self, block: Recording) -> Recording:
        """The block's events that stay; a block must follow the one before in time."""
        for (_, step), count in zip(self._steps, self._counts, strict=True):
            count[0] += len(block)
            block = step(block)
            count[1] += len(block)
        return block

    def notes(self) -> tuple[str, ...]:
        """What each step has left so far, in the words of `Cleaning.apply`."""
        first = (len(self._ignore) > 0, len(self.hot) > 0, self.flicker.left_out > 0)
        used = (*first, *(True for _ in self._steps[len(first) :]))
        steps = zip(used, self._steps, self._counts, strict=True)
        return tuple(note(*count) for does, (note, _), count in steps if does and note is not None)

    def _unignored(self, block: Recording) -> Recording:
        return mask_pixels(block, self._ignore) if len(self._ignore) else block

    def _cool(self, block: Recording) -> Recording:
        return mask_pixels(block, self.hot) if len(self.hot) else block


def _flicker_text(wanted: float | str) -> str:
    return wanted if isinstance(wanted, str) else f"{number_text(wanted)}Hz"


def _time_texts(us: int | None) -> list[str | None]:
    return [] if us is None else [format_time(us)]


def _without(recording: Recording, pixels: NDArray[np.int64], kind: str) -> Recording:
    if not len(pixels):
        return recording
    return _noted(mask_pixels(recording, pixels), recording, f"without {len(pixels)} {kind} pixels")


def _noted(left: Recording, before: Recording, name: str) -> Recording:
    return replace(left, notes=(*left.notes, _left(name, len(before), len(left))))


def _left(name: str, before: int, left: int) -> str:
    return f"{name}: {left} of {before} events left"
