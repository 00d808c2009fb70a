"""Whether the picture as a whole moves: then the camera does, or everything before it moves alike.

Three things are looked at, each in parts of the recording that are spread evenly over it.

Shift: between two instants most parts of the picture shift by the same way. The polarities of two slices of 20 ms, as
pictures, are correlated at all shifts (by FFT); at the best of them, and not without a shift, most of 5x5 cells must
agree. Noise has no sign in common and cancels; several objects agree in their own cells only.

Trembling: the way is too short to be seen, but the events of all cells come in the same rhythm, as many ON as OFF: the
texture's edges have both. Where a light flickers, the polarities of a cell go together.

Busy: most of the sensor is active, as with much noise.

Rejected: contrast maximisation (Gallego 2018) over a grid of velocities: as clear where edges are few, but five times
the work, and lost in dense texture, of which it can afford few events.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np

from velocell.data.arrays import Floats
from velocell.data.blocks import joined
from velocell.data.recording import Recording

_MOVING_TIME = 0.2  # a flash, a vehicle that passes close by, are shorter

# Shift
_SLICE_US = 20_000
_LAGS_US = (20_000, 60_000, 180_000)  # fast and slow movement
_SHIFTS_A_SECOND, _MOST_SHIFTS = 5, 60
_SIDE = 128  # px: larger pictures are binned
_FARTHEST = 0.45  # of the picture
_FFT = 3 * _SIDE // 2  # so that shifts up to there do not wrap around
_CELLS = 5
_MOST_COUNT = 3.0  # events of a pixel in a slice: hot ones must not decide
_AGREE_SIGMAS, _AGREE_TIMES = 3.0, 1.5  # over chance, over no shift
_SHIFTED_CELLS = 0.55

# Trembling
_SPAN_US, _MOST_SPANS, _MOST_EVENTS, _HELD_EVENTS = 500_000, 20, 100_000, 1 << 19
_RHYTHM_US, _SLOW_US, _SYNC_US = 5_000, 100_000, 1_000
_SHORTEST_SPAN = 20  # intervals of _RHYTHM_US
_FEWEST_EVENTS = 200
_RHYTHM_SIGMAS, _RHYTHM_CELLS = 3.0, 0.65
_RHYTHM = 0.4  # correlation of a cell with the others, median
_BURST = 0.95  # rates beyond this quantile of a cell count as that: one flash does not make a rhythm
_SYNC = 0.22  # shared polarity within 1 ms: 0 for independent signs, 1 for one sign at a time

# Busy
_BUSY_US, _MOST_BUSY, _BUSY_BLOCK_PX = 50_000, 60, 16
_BUSY_PIXELS, _BUSY_BLOCKS = 0.25, 0.5  # of a block: noise of 6 Hz/px

Kind = Literal["still", "shifts", "trembles", "busy"]
_REASONS: dict[Kind, str] = {
    "still": "the picture as a whole does not move",
    "shifts": "the picture as a whole shifts, as where the camera moves; use a camera that stands still",
    "trembles": "the whole picture trembles, as where the camera vibrates; fix the camera",
    "busy": "most of the sensor is active, as where noise is high or the light flickers; try --denoise",
}


@dataclass(frozen=True)
class CameraMotion:
    """share: of the time, 0 to 1, in which it is so. kind: what is so for the largest share of it."""

    share: float
    kind: Kind

    @property
    def moves(self) -> bool:
        """Whether it lasts for more than a fifth of the time: then tracks are not to be trusted."""
        return self.share > _MOVING_TIME

    @property
    def reason(self) -> str:
        """What is seen, in words."""
        return _REASONS[self.kind if self.moves else "still"]


def camera_motion(recording: Recording) -> CameraMotion:
    """How much of the time the picture as a whole shifts, trembles or is busy.

    About 50 ms of work for a second of recording. Shifts are seen in recordings of 40 ms and more, trembling in 100 ms
    and more and with polarity only.
    """
    watch = MotionWatch(recording)
    watch.add(recording)
    return watch.motion()


def is_moving_camera(recording: Recording) -> bool:
    """Whether the picture as a whole moves for more than a fifth of the time; see `camera_motion`."""
    return camera_motion(recording).moves


class _Look:
    """At the events of [begin, end) us, of more than `most` at every second, fourth, ...: whether it is so there."""

    def __init__(
        self, kind: Kind, begin_us: int, end_us: int, holds: Callable[[Recording], bool], most: int | None = None
    ) -> None:
        self.kind, self.begin_us, self.end_us = kind, begin_us, end_us
        self._holds, self._most = holds, most
        self._parts: list[Recording] = []
        self._events = self._kept = 0
        self._stride = 1

    def add(self, block: Recording) -> None:
        first, last = np.searchsorted(block.t_us, [self.begin_us, self.end_us])
        if first == last:
            return
        part = block.slice(int(first), int(last))
        begin, self._events = -self._events % self._stride, self._events + len(part)
        self._keep([*self._parts, _every(part, begin, self._stride)])
        while self._most is not None and self._kept > self._most:
            self._stride *= 2
            self._keep([_every(joined(self._parts), 0, 2)])

    def holds(self, span: tuple[int, int]) -> bool:
        """Once all blocks have come; span: of the recording."""
        if not self._parts:
            return False
        begin, end = max(self.begin_us, span[0]), min(self.end_us, span[1])
        return self._holds(replace(joined(self._parts), start_us=begin, stop_us=end))

    def _keep(self, parts: list[Recording]) -> None:
        self._parts, self._kept = parts, sum(map(len, parts))


def _every(part: Recording, first: int, stride: int) -> Recording:
    if stride == 1:
        return part
    some = slice(first, None, stride)
    p = None if part.p is None else part.p[some].copy()
    return replace(part, t_us=part.t_us[some].copy(), x=part.x[some].copy(), y=part.y[some].copy(), p=p)


class MotionWatch:
    """`camera_motion` of what comes in consecutive blocks; it holds the events of some 100 ms.

    outline: its span and sensor, and whether events have a polarity; its events are not looked at.
    """

    def __init__(self, outline: Recording) -> None:
        looks = (*_trembling_looks(outline), *_shifting_looks(outline), *_busy_looks(outline))
        self._looks = sorted(looks, key=lambda look: look.begin_us)
        self._number = Counter(look.kind for look in looks)
        self._holds: Counter[Kind] = Counter()
        self._span = (outline.start_us, outline.stop_us)

    def add(self, block: Recording) -> None:
        """A block, which must follow the one before."""
        if len(block):
            for look in itertools.takewhile(lambda look: look.begin_us <= block.t_us[-1], self._looks):
                look.add(block)
            self._finish(int(block.t_us[-1]))

    def motion(self) -> CameraMotion:
        """What was seen, once all blocks have come."""
        self._finish(None)
        kinds: tuple[Kind, ...] = ("trembles", "shifts", "busy")
        # What trembles may seem to shift, and what moves is busy too: the first that holds says most.
        found = [CameraMotion(self._holds[kind] / max(self._number[kind], 1), kind) for kind in kinds]
        likeliest = next((motion for motion in found if motion.moves), max(found, key=lambda motion: motion.share))
        return likeliest if likeliest.share else CameraMotion(0.0, "still")

    def _finish(self, until_us: int | None) -> None:
        """What is complete before `until_us`; None: all."""
        done = [look for look in self._looks if until_us is None or look.end_us <= until_us]
        if done:
            self._holds.update(look.kind for look in done if look.holds(self._span))
            self._looks = [look for look in self._looks if look not in done]


# --- shift ------------------------------------------------------------------------------------------


def _shifting_looks(outline: Recording) -> Iterator[_Look]:
    lags = [lag for lag in _LAGS_US if lag + _SLICE_US <= outline.duration_us]
    if not lags:
        return
    longest = lags[-1] + _SLICE_US
    wanted = max(1, round(outline.duration_us * 1e-6 * _SHIFTS_A_SECOND))
    instants = np.linspace(outline.start_us, outline.stop_us - longest, min(wanted, _MOST_SHIFTS))
    for instant in np.unique(instants.astype(np.int64)).tolist():
        yield _Look("shifts", instant, instant + longest, partial(_shifts, at_us=instant, lags=lags))


def _shifts(recording: Recording, at_us: int, lags: list[int]) -> bool:
    """Whether most cells agree on one shift between the slice at `at_us` and one that comes later."""
    first = _slice(recording, at_us)
    if not _may_agree(first):
        return False
    spectrum = np.conj(np.fft.rfft2(first, (_FFT, _FFT)))
    best, shift, other = 0.0, (0, 0), first
    for lag in lags:
        later = _slice(recording, at_us + lag)
        height, width = (round(_FARTHEST * side) for side in first.shape)
        whole = np.fft.fftshift(np.fft.irfft2(spectrum * np.fft.rfft2(later, (_FFT, _FFT)), (_FFT, _FFT)))
        middle = _FFT // 2
        near = _summed(whole)[middle - height : middle + height + 1, middle - width : middle + width + 1]
        still = max(float(near[height - 1 : height + 2, width - 1 : width + 2].max()), 0.0)
        near[height - 2 : height + 3, width - 2 : width + 3] = -np.inf
        peak = float(near.max())
        clear = (peak - still) / (float(near[np.isfinite(near)].std()) or np.inf)
        if clear > best:
            row, column = np.unravel_index(int(near.argmax()), near.shape)
            best, shift, other = clear, (int(row) - height, int(column) - width), later
    return best > 0 and _share_of_cells(first, _summed(other), *shift) > _SHIFTED_CELLS


def _may_agree(first: Floats) -> bool:
    """Whether so many cells have enough pixels: n products are never more than sqrt(n) times the root of their squares,
    which is chance."""
    pixels = _by_cell((first != 0).astype(np.float64))
    return bool(np.mean(pixels > _AGREE_SIGMAS**2) > _SHIFTED_CELLS)


def _slice(recording: Recording, at_us: int) -> Floats:
    """The polarities of 20 ms, summed up in bins of k x k px; without polarity, the events against their mean."""
    k = -(-max(recording.size) // _SIDE)
    width, height = (-(-side // k) for side in recording.size)
    begin, end = np.searchsorted(recording.t_us, [at_us, at_us + _SLICE_US])
    part = recording.slice(int(begin), int(end))
    place = (part.y // k).astype(np.int32) * np.int32(width) + part.x // k
    signs = None if part.p is None else np.where(part.p, 1.0, -1.0)
    picture = np.bincount(place, signs, width * height).reshape(height, width).clip(-_MOST_COUNT, _MOST_COUNT)
    return picture - picture.mean() if signs is None else picture


def _summed(picture: Floats) -> Floats:
    """Over 3 x 3 px: parts of the picture may differ a little in their way."""
    padded = np.pad(picture, 1)
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    summed: Floats = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    return summed


def _share_of_cells(first: Floats, later: Floats, down: int, right: int) -> float:
    """The share of cells in which `first` is found again in `later`, shifted by (right, down)."""
    product, still = first * _shifted(later, down, right), first * later
    agree, chance = _by_cell(product), np.sqrt(_by_cell(product * product))
    follows = (agree > _AGREE_SIGMAS * chance) & (agree > _AGREE_TIMES * _by_cell(still))
    return float(np.mean(follows))


def _shifted(picture: Floats, down: int, right: int) -> Floats:
    """(x, y) holds what is at (x + right, y + down); 0 beyond the border."""
    height, width = picture.shape
    shifted = np.zeros_like(picture)
    rows = slice(max(0, -down), min(height, height - down))
    columns = slice(max(0, -right), min(width, width - right))
    shifted[rows, columns] = picture[max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)]
    return shifted


def _by_cell(picture: Floats) -> Floats:
    height, width = picture.shape
    if min(height, width) < _CELLS:
        return np.full((1, 1), picture.sum())
    rows = np.add.reduceat(picture, np.arange(_CELLS) * height // _CELLS, axis=0)
    cells: Floats = np.add.reduceat(rows, np.arange(_CELLS) * width // _CELLS, axis=1)
    return cells


# --- trembling --------------------------------------------------------------------------------------


def _trembling_looks(outline: Recording) -> Iterator[_Look]:
    if outline.p is None:
        return
    count = max(1, outline.duration_us // _SPAN_US)
    for number in np.unique(np.linspace(0, count - 1, min(count, _MOST_SPANS)).astype(np.int64)).tolist():
        begin = outline.start_us + number * _SPAN_US
        yield _Look("trembles", begin, begin + _SPAN_US, _trembles, _HELD_EVENTS)


def _trembles(part: Recording) -> bool:
    """Whether the events of all cells come in one rhythm, with both polarities at a time."""
    intervals = part.duration_us // _RHYTHM_US
    if intervals < _SHORTEST_SPAN or len(part) < _FEWEST_EVENTS:
        return False
    if len(part) > _MOST_EVENTS:  # every so many of them keep the rhythm
        part = _every(part, 0, -(-len(part) // _MOST_EVENTS))
    counts, _ = _counts(part, _RHYTHM_US)
    rates = np.sqrt(counts + 0.375)  # of about equal noise (Anscombe 1948)
    rates -= _slowly(rates, _SLOW_US // _RHYTHM_US)  # what comes and goes slowly does not tremble
    rates = np.minimum(rates, np.quantile(rates, _BURST, axis=1, keepdims=True))
    others = rates.sum(axis=0) - rates
    norm = np.linalg.norm(rates, axis=1) * np.linalg.norm(others, axis=1)
    follows = (rates * others).sum(axis=1) / np.maximum(norm, 1e-9)
    one_rhythm = np.mean(follows > _RHYTHM_SIGMAS / np.sqrt(intervals)) > _RHYTHM_CELLS
    return bool(one_rhythm and np.median(follows) > _RHYTHM) and _sync(part) < _SYNC


def _sync(part: Recording) -> float:
    """How much the polarities of a cell go together within 1 ms: the excess of the sum's square over that of
    independent signs, as a share of the largest possible."""
    counts, signs = _counts(part, _SYNC_US)
    total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    signs = signs - counts * (signs.sum(axis=1, keepdims=True) / total)
    return float((signs * signs - counts).sum() / max((counts * counts - counts).sum(), 1.0))


def _counts(part: Recording, step_us: int) -> tuple[Floats, Floats]:
    """(cells, intervals): events, and ON less OFF events."""
    intervals = part.duration_us // step_us
    interval = (part.t_us - part.start_us) // step_us
    cell = (part.y.astype(np.int64) * _CELLS // part.height) * _CELLS + part.x.astype(np.int64) * _CELLS // part.width
    place = (cell * (intervals + 1) + np.minimum(interval, intervals)).astype(np.int64)
    shape, size = (_CELLS * _CELLS, intervals + 1), _CELLS * _CELLS * (intervals + 1)
    assert part.p is not None  # trembling is not looked for without
    events: Floats = np.bincount(place, minlength=size).astype(np.float64)
    signs: Floats = np.bincount(place, np.where(part.p, 1.0, -1.0), size).astype(np.float64)
    return events.reshape(shape)[:, :-1], signs.reshape(shape)[:, :-1]


def _slowly(rates: Floats, length: int) -> Floats:
    """The mean over `length` intervals around each."""
    length = min(length, rates.shape[1] // 2) // 2 * 2
    padded = np.pad(rates, ((0, 0), (length // 2, length // 2)), mode="reflect")
    total = np.cumsum(np.pad(padded, ((0, 0), (1, 0))), axis=1)
    means: Floats = (total[:, length:] - total[:, :-length])[:, : rates.shape[1]] / length
    return means


# --- busy -------------------------------------------------------------------------------------------


def _busy_looks(outline: Recording) -> Iterator[_Look]:
    """Time is cut at the multiples of 50 ms, the sensor into blocks of 16x16 px. A block is active while a quarter of
    its pixels have events; the sensor is busy while more than half of its blocks are."""
    first, stop = outline.start_us // _BUSY_US, -(-outline.stop_us // _BUSY_US)
    width, height = outline.size
    columns, rows = np.arange(0, width, _BUSY_BLOCK_PX), np.arange(0, height, _BUSY_BLOCK_PX)
    needed = _BUSY_PIXELS * np.outer(np.diff(rows, append=height), np.diff(columns, append=width))
    busy = partial(_busy, needed=needed)
    for number in np.unique(np.linspace(first, stop - 1, min(stop - first, _MOST_BUSY)).astype(np.int64)).tolist():
        yield _Look("busy", number * _BUSY_US, (number + 1) * _BUSY_US, busy)


def _busy(part: Recording, needed: Floats) -> bool:
    # So many events a window needs at the very least; the quiet ones, most of all, are not looked at.
    if len(part) < np.sort(needed, axis=None)[: needed.size // 2 + 1].sum():
        return False
    active = np.zeros(part.height * part.width, np.bool_)
    active[part.pixels()] = True
    row, column = np.divmod(np.flatnonzero(active).astype(np.int32), np.int32(part.width))
    block = row // _BUSY_BLOCK_PX * np.int32(needed.shape[1]) + column // _BUSY_BLOCK_PX
    pixels = np.bincount(block, minlength=needed.size)
    return bool(np.mean(pixels >= needed.ravel()) > _BUSY_BLOCKS)
