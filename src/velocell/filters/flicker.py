"""Lamps: found by the spectrum of the event rate, and filtered by a comb of their period at each pixel.

A lamp at the mains flickers at twice their frequency (100 or 120 Hz), a display at its own, a dimmed one at up to
kHz. It lights a whole region at once: there many pixels repeat their events with its period, and all in the same phase.
That sets it apart from what moves. A disk passes a pixel once, and what passes again and again (a wheel, parts on a
belt) passes one pixel after the other, in all phases. So a frequency counts as a lamp's where

1. the rate of the ON or the OFF events of busy pixels has a line there, in the whole picture or in a cell of 16 px,
2. pixels repeat their events with that period (`_native.Comb`), so many that they make up a part of a cell, and
3. in cells that touch each other they do so in one phase.

Seconds of a recording are looked at (`LOOK_US`) for what comes after them: the first ones, and then every second,
fourth, eighth as long as nothing new is found. Where all is there before it is played, the first second is looked at in
advance. Around the cells that a lamp lights, and only there, the events of
its comb are left out; the others of the same pixels stay, so that what moves through its light is still seen, with the
events that it makes while the lamp neither brightens nor dims.

Tried and rejected: masking the pixels, which hides all that moves before a lamp; the phase of each pixel as a running
mean, which needs the frequency to a part in a thousand; spectra of all pixels, in which a small lamp drowns.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from velocell.data.arrays import Floats
from velocell.data.blocks import apart, changes, joined
from velocell.data.recording import Recording
from velocell.data.stamps import time_step
from velocell.errors import OptionError

BAND_HZ = (40.0, 1000.0)
LOOK_US = 1_000_000
"""A recording is looked at in pieces that begin at multiples of this."""
LOOKED_AT = 1 << 21
"""Of a second only this many events are looked at."""
_HELD_EVENTS = 1 << 14  # together; a millisecond's one by one take Python's lock from the steps for longer
PERIODS = 8
"""So many periods before an event its comb depends on."""

_LEAST_PERIODS = 4  # of the seven before it, in which an event must have been to be the lamp's
_MOST_LAMPS, _MOST_TRIED = 4, 8
_ENOUGH = 1 << 17  # of busy pixels; beyond, those of every second, third... pixel are looked at
_LONGEST_REST = 8  # seconds, between two looks where nothing is found
_SHORTEST_US = 200_000
_BIN_US = 250  # of the rate
_BUSY_HZ = 20.0  # of a pixel and polarity; a lamp's pixel has an event in a good part of the periods
_CELL_EVENTS = 400  # of busy pixels, per second and polarity
_LINE = 30.0  # times the noise around it
_AROUND_HZ = 50.0  # so far the noise around a line is looked for
_DEPTH = 0.1  # amplitude of a line, by the mean rate
_CELL_LOCKED = 50  # events of a cell that its comb must take in a second,
_FEWEST = _CELL_LOCKED * _SHORTEST_US * 1e-6  # events in which a lamp may show
_CELL_SHARE = 0.3  # and of those of the cell's busy pixels
_IN_PHASE = 0.4  # mean of e^(i phase) over the cells that touch; events all through half a period have .64
_SAME_HZ = 2.0
_FINE_EVENTS = 4_000  # for the exact frequency

Cell = tuple[int, int]


@dataclass(frozen=True)
class Lamp:
    """A light that flickers. hz: its frequency. cells: (column, row) of the cells of 16 px around which its comb looks,
    None for all of the picture."""

    hz: float
    cells: frozenset[Cell] | None

    @property
    def lead_us(self) -> int:
        """How much of the time before an event says whether it is the lamp's."""
        return math.ceil(1e6 * PERIODS / self.hz)


Found = tuple[int, tuple[Lamp, ...]]


def parse_flicker(text: str) -> float | str:
    """`auto`, `off`, or a frequency such as `100Hz` -> itself, or Hz. Raises OptionError."""
    if text in ("auto", "off"):
        return text
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(k?hz)?\s*", text, re.IGNORECASE)
    if match is None or match[2] is None:
        raise OptionError(
            f"--flicker '{text}' is not a frequency with its unit; write auto, off, or one such as 100Hz or 1kHz"
        )
    return check_flicker(float(match[1]) * (1000 if match[2].lower() == "khz" else 1))


def check_flicker(wanted: float | str) -> float | str:
    """The same. Raises OptionError for a frequency beyond the band."""
    if wanted in ("auto", "off"):
        return wanted
    low, high = BAND_HZ
    if isinstance(wanted, str) or not low <= wanted <= high:
        raise OptionError(
            f"a flicker of {wanted if isinstance(wanted, str) else f'{wanted:g} Hz'} cannot be filtered; "
            f"choose auto, off, or a frequency between {low:g} and {high:g} Hz"
        )
    return wanted


class Flicker:
    """Leaves the events of lamps out of consecutive blocks of a sensor of (width, height).

    wanted: `auto` looks for lamps in each second, for what comes after it; a frequency in Hz is filtered in all of the
    picture; `off`. known: lamps that are filtered from the start. looks: False for those alone.
    lamps: those that are filtered. left_out: how many events were. found: which came when, (time from which they are
    filtered, lamps), as `follow` takes them. thread: does the looking where blocks must not wait for it; a lamp is
    filtered from the first block on that comes when it was found.
    """

    def __init__(
        self, size: tuple[int, int], wanted: float | str = "auto", known: Sequence[Lamp] = (), *, looks: bool = True
    ) -> None:
        stated = () if isinstance(check_flicker(wanted), str) else (Lamp(float(wanted), None),)
        self._size, self._looks = size, looks and wanted == "auto"
        self.lamps: tuple[Lamp, ...] = ()
        self.left_out = 0
        self.found: list[Found] = []
        self._coming: list[Found] = []
        self._combs: list[Any] = []
        self._second: int | None = None
        self._seen = _Held()
        self._rest = 1
        self._next: int | None = None  # second that is looked at
        self.thread: Executor | None = None
        self._look: tuple[int, Future[tuple[Lamp, ...]]] | None = None
        self._ahead = bool(known)
        self._add(stated if wanted != "auto" else known)

    def __call__(self, block: Recording) -> Recording:
        """The block's events that stay; the block itself where all do. Blocks must follow each other in time."""
        if not (self._looks or self._combs or self._coming) or not len(block):
            return block
        parts = self._looked(block) if self._looks else self._followed(block)
        keep = [(len(part), self._kept(part) if self._combs else None) for part in parts]
        if all(kept is None for _, kept in keep):
            return block
        stays = np.concatenate([np.ones(n, np.bool_) if kept is None else kept for n, kept in keep])
        if stays.all():
            return block
        left = block.mask(stays)
        self.left_out += len(block) - len(left)
        return left

    def know(self, lamps: Sequence[Lamp]) -> None:
        """Filter these from now on, in addition: those of the first second, which then need not be looked at."""
        self._ahead = True
        self._add(lamps)

    def follow(self, found: Sequence[Found]) -> None:
        """Filter what was found before in all of the recording, each from its own time on, and look no more."""
        self._looks, self._coming = False, list(found)

    def _add(self, lamps: Sequence[Lamp]) -> None:
        joined = _joined(self.lamps, lamps)
        for number, lamp in enumerate(joined):
            if number == len(self._combs):
                self._combs.append(_comb(self._size, lamp.hz))
            before = self.lamps[number].cells if number < len(self.lamps) else frozenset()
            for column, row in _cells(lamp, self._size) - (before or frozenset()):
                self._combs[number].add_cell(column, row)
        self.lamps = joined

    def _kept(self, part: Recording) -> NDArray[np.bool_]:
        keep = np.ones(len(part), np.bool_)
        for comb in self._combs:
            keep &= _stays(comb, part)
        return keep

    def _looked(self, block: Recording) -> Iterator[Recording]:
        """Its parts, second by second; what no look comes to is not cut."""
        starts = np.append(0, changes(block.t_us, LOOK_US))
        numbers, k = block.t_us[starts] // LOOK_US, 0
        while k < numbers.size:
            second, first = int(numbers[k]), int(starts[k])
            self._turn(second)
            wanted = second if self._next is None else max(second, self._next)
            looks = wanted == second
            k = k + 1 if looks else int(np.searchsorted(numbers, wanted))
            last = int(starts[k]) if k < numbers.size else len(block)
            part = block if last - first == len(block) else block.slice(first, last)
            room = LOOKED_AT - self._seen.events
            if looks and room > 0:
                self._seen.take(part if len(part) <= room else part.slice(0, room))
            yield part

    def _followed(self, block: Recording) -> Iterator[Recording]:
        """Its parts, cut where a lamp that was found before comes."""
        first = 0
        while self._coming and (last := int(np.searchsorted(block.t_us, self._coming[0][0]))) < len(block):
            if last > first:
                yield block.slice(first, last)
            first = last
            self._add(self._coming.pop(0)[1])
        yield block.slice(first, len(block)) if first else block

    def _turn(self, second: int) -> None:
        """Once a second is over, look at it; more and more seldom where no new lamp is found."""
        if self._look is not None and self._look[1].done():
            looked, found = self._look
            self._look = None
            self._learn(looked, second, found.result())
        if second == self._second:
            return
        if self._second is None and self._ahead:
            self._rest, self._next = 2, second + 1
        if self._seen.events:
            assert self._second is not None
            seen = self._seen
            if seen.events < _FEWEST:
                self._learn(self._second, second, ())
            elif self.thread is None:
                self._learn(self._second, second, find_lamps(seen))
            elif self._look is None:
                self._next = second + 1
                seen.pauses = True
                self._look = self._second, self.thread.submit(find_lamps, seen)
        self._second, self._seen = second, _Held()

    def _learn(self, looked: int, second: int, fresh: tuple[Lamp, ...]) -> None:
        """What the look at a second showed, in another one."""
        before = len(self.lamps)
        self._add(fresh)
        if fresh:
            self.found.append((second * LOOK_US, fresh))
        self._rest = 1 if len(self.lamps) > before else min(2 * self._rest, _LONGEST_REST)
        self._next = max(looked + self._rest, self._next or 0)
        if self._next > second:
            self._seen = _Held()  # a part of a second shows nothing


def told(lamps: Sequence[Lamp]) -> str:
    """What is filtered, in words."""
    return "flicker of " + " and ".join(f"{lamp.hz:.1f} Hz" for lamp in lamps)


def _joined(known: tuple[Lamp, ...], more: Sequence[Lamp]) -> tuple[Lamp, ...]:
    """Known lamps keep their place and their frequency, and get further cells."""
    lamps = list(known)
    for lamp in more:
        for k, old in enumerate(lamps):
            if abs(old.hz - lamp.hz) < _SAME_HZ:
                if old.cells is not None:
                    lamps[k] = replace(old, cells=None if lamp.cells is None else old.cells | lamp.cells)
                break
        else:
            if len(lamps) < _MOST_LAMPS:
                lamps.append(lamp)
    return tuple(lamps)


def _comb(size: tuple[int, int], hz: float) -> Any:
    from velocell._native import Comb

    return Comb(width=size[0], height=size[1], period_us=1e6 / hz, least=_LEAST_PERIODS)


def _stays(comb: Any, part: Recording) -> NDArray[np.bool_]:
    p = None if part.p is None else np.ascontiguousarray(part.p).view(np.uint8)
    kept: NDArray[np.bool_] = comb.kept(
        np.ascontiguousarray(part.t_us), np.ascontiguousarray(part.x), np.ascontiguousarray(part.y), p
    )
    return kept


def _cells(lamp: Lamp, size: tuple[int, int]) -> frozenset[Cell]:
    """Those that its comb looks at, on the sensor."""
    columns, rows = _grid(size)
    if lamp.cells is None:
        return frozenset((column, row) for column in range(columns) for row in range(rows))
    return frozenset((column, row) for column, row in lamp.cells if 0 <= column < columns and 0 <= row < rows)


def _grid(size: tuple[int, int]) -> tuple[int, int]:
    return -(-size[0] // _CELL_PX), -(-size[1] // _CELL_PX)


_CELL_PX = 16  # as the comb's
_SLANT = 7  # px to the right a row, so that no row or column of a cell is left out as a whole


# --- finding them -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Busy:
    """The events of busy pixels, or of a share of them: seconds from the start, number of the cell, polarity (0 and 1,
    or all 0); how long it was looked."""

    events: Recording
    t_s: Floats
    cell: NDArray[np.int64]
    sign: NDArray[np.int64]
    seconds: float
    share: float


def find_lamps(parts: Sequence[Recording]) -> tuple[Lamp, ...]:
    """The lamps in consecutive parts of a recording, together about a second long, the strongest first."""
    busy = _busy(parts)
    if busy is None:
        return ()
    found: list[Lamp] = []
    tried: list[float] = []
    for line in _candidates(busy):
        if any(abs(line - other) < _SAME_HZ for other in tried):
            continue
        hz = _exact(busy, line)
        tried += [line, hz]
        if any(_multiple(hz, lamp.hz) or _multiple(lamp.hz, hz) for lamp in found):
            continue
        cells = _lit(busy, hz)
        if cells:
            found.append(Lamp(round(hz, 2), cells))
        if len(found) == _MOST_LAMPS or len(tried) >= 2 * _MOST_TRIED:
            break
    return tuple(found)


def _multiple(hz: float, of: float) -> bool:
    return abs(hz - round(hz / of) * of) < _SAME_HZ


class _Held(Sequence[Recording]):
    """Consecutive parts of a second, as Recordings whenever they are asked for. Held in 9 bytes an event, a third
    less than they come in: of a second there are millions."""

    def __init__(self) -> None:
        self._parts: list[tuple[Recording, NDArray[np.uint32]]] = []
        self._open: list[Recording] = []  # too small to be gone through one by one
        self.events = self._waiting = 0
        self.pauses = False  # as they are gone through

    def take(self, part: Recording) -> None:
        """A part with events, of less than an hour. Its arrays are copied, so that the block that they are of can
        go."""
        self._open.append(part)
        self._waiting += len(part)
        self.events += len(part)
        if self._waiting >= _HELD_EVENTS:
            self._pack()

    def _pack(self) -> None:
        if not self._open:
            return
        part = joined(self._open)
        if len(self._open) == 1:  # several are copied by being joined
            p = None if part.p is None else part.p.copy()
            part = replace(part, x=part.x.copy(), y=part.y.copy(), p=p)
        self._open, self._waiting = [], 0
        t = (part.t_us - part.t_us[0]).astype(np.uint32)
        self._parts.append((replace(part, t_us=part.t_us[:1].copy()), t))

    def __len__(self) -> int:
        self._pack()
        return len(self._parts)

    @overload
    def __getitem__(self, place: int) -> Recording: ...
    @overload
    def __getitem__(self, place: slice) -> list[Recording]: ...
    def __getitem__(self, place: int | slice) -> Recording | list[Recording]:
        self._pack()
        if isinstance(place, slice):
            return [self[k] for k in range(len(self))[place]]
        part, t = self._parts[place]
        return replace(part, t_us=part.t_us[0] + t.astype(np.int64))

    def __iter__(self) -> Iterator[Recording]:
        parts = (self[k] for k in range(len(self)))
        return apart(parts) if self.pauses else parts


def _busy(parts: Sequence[Recording]) -> _Busy | None:
    """None where nothing flickers or too little was seen. The parts are gone through several times: arrays for all of
    them would take as much memory as the events."""
    ends = [(int(part.t_us[0]), int(part.t_us[-1]) + 1, len(part), part.size) for part in parts if len(part)]
    if not ends:
        return None
    start, stop = ends[0][0], ends[-1][1]
    if stop - start < _SHORTEST_US:
        return None
    if sum(n for _, _, n, _ in ends) < _CELL_LOCKED * (stop - start) * 1e-6:
        return None
    width, height = ends[0][3]
    least = max(3.0, _BUSY_HZ * (stop - start) * 1e-6)
    busy = np.zeros(width * height, np.bool_)
    for on in (False, True):
        counts = np.zeros(width * height, np.int32)
        for part in parts:
            number = part.pixels()
            its = number[part.p == on] if part.p is not None else number[: 0 if on else None]
            np.add.at(counts, its, np.int32(1))  # of another type it takes 15 times as long
        busy |= counts >= least
        del counts
    every = max(-(-sum(int(busy[part.pixels()].sum()) for part in parts) // _ENOUGH), 1)
    found = []
    for part in (part for part in parts if len(part)):
        keep = busy[part.pixels()]
        if every > 1:
            keep &= (part.x + np.int32(_SLANT) * part.y) % every == 0
        found.append(part.mask(keep))
    if not any(map(len, found)):
        return None
    t, x, y = (np.concatenate([getattr(part, name) for part in found]) for name in ("t_us", "x", "y"))
    p = None if found[0].p is None else np.concatenate([part.p for part in found if part.p is not None])
    events = Recording(t, x, y, p, width, height, start, stop)
    columns, _ = _grid((width, height))
    cell = (y // _CELL_PX).astype(np.int64) * columns + x // _CELL_PX
    sign = np.zeros(t.size, np.int64) if p is None else p.astype(np.int64)
    return _Busy(events, (t - start) * 1e-6, cell, sign, (stop - start) * 1e-6, 1 / every)


def _candidates(busy: _Busy) -> list[float]:
    """Frequencies of lines, the strongest first: of all, and of cells with enough events."""
    step_us = time_step(busy.events).us or 1
    highest = min(BAND_HZ[1], 1e6 / (4 * step_us))
    bins = max(int(busy.seconds * 1e6 / _BIN_US), 1)
    at = np.minimum((busy.t_s * (1e6 / _BIN_US)).astype(np.int64), bins - 1)
    length = 1 << (bins - 1).bit_length()  # a power of two is fast
    hz = np.fft.rfftfreq(length, _BIN_US * 1e-6)
    wanted = np.flatnonzero((hz >= BAND_HZ[0]) & (hz <= highest))
    lines: dict[int, float] = {}
    if wanted.size < 8:
        return []
    for sign in np.unique(busy.sign):
        of_sign = np.flatnonzero(busy.sign == sign)
        counts = np.bincount(busy.cell[of_sign])
        order = of_sign[np.argsort(busy.cell[of_sign], kind="stable")]
        ends = np.cumsum(counts)
        series = [of_sign, *(order[ends[c] - counts[c] : ends[c]] for c in
                             np.flatnonzero(counts >= _CELL_EVENTS * busy.seconds * busy.share))]  # fmt: skip
        for rows in series:
            rate = np.bincount(at[rows], minlength=bins).astype(np.float32)
            for k, strength in _lines(np.abs(np.fft.rfft(rate, length))[wanted], hz[1], rows.size):
                lines[int(wanted[k])] = lines.get(int(wanted[k]), 0.0) + strength
    return [float(hz[k]) for k in sorted(lines, key=lambda k: -lines[k])]


def _lines(amplitude: NDArray[Any], step_hz: float, events: int) -> list[tuple[int, float]]:
    """Lines that stand out, as (place, amplitude). amplitude: of the rate's spectrum; at 0 Hz it is `events`."""
    strong = np.flatnonzero(amplitude >= _DEPTH * events)
    found = []
    reach = max(round(_AROUND_HZ / step_hz / 2), 4)
    for k in strong[np.argsort(-amplitude[strong])][:8].tolist():
        around = amplitude[max(k - reach, 0) : k + reach + 1]
        middle = float(np.partition(around, around.size // 2)[around.size // 2])
        if amplitude[k] ** 2 > _LINE * middle**2 / math.log(2):
            found.append((k, float(amplitude[k])))
    return found


def _exact(busy: _Busy, hz: float) -> float:
    """The frequency at which the events of one polarity are most in phase."""
    which = busy.sign == int(busy.sign.mean() >= 0.5)
    t = busy.t_s[which]
    t = t[:: max(t.size // _FINE_EVENTS, 1)]
    near = hz + np.arange(-1.5, 1.5001, 0.1) / busy.seconds
    return float(near[np.argmax([np.abs(np.exp(2j * np.pi * f * t).sum()) for f in near])])


def _lit(busy: _Busy, hz: float) -> frozenset[Cell]:
    """The cells that a lamp of this frequency lights, and those beside them; none where it is not a lamp."""
    width, height = busy.events.size
    columns, rows = _grid((width, height))
    comb = _comb((width, height), hz)
    for cell in np.unique(busy.cell).tolist():
        comb.add_cell(cell % columns, cell // columns)
    locked = ~_stays(comb, busy.events)
    all_of = np.bincount(busy.cell, minlength=columns * rows)
    taken = np.bincount(busy.cell[locked], minlength=columns * rows)
    lit = (taken >= _CELL_LOCKED * busy.seconds * busy.share) & (taken >= _CELL_SHARE * all_of)
    turn = np.exp(2j * np.pi * hz * busy.t_s[locked])
    phases, counts = np.zeros((2, columns * rows), complex), np.zeros((2, columns * rows))
    for sign in (0, 1):
        of_sign = busy.sign[locked] == sign
        for part, take in ((1, np.real), (1j, np.imag)):
            phases[sign] += part * np.bincount(
                busy.cell[locked][of_sign], take(turn[of_sign]), minlength=columns * rows
            )
        counts[sign] = np.bincount(busy.cell[locked][of_sign], minlength=columns * rows)
    found: set[Cell] = set()
    for group in _touching(set(np.flatnonzero(lit).tolist()), columns):
        of_group = [(abs(phases[sign, group].sum()), counts[sign, group].sum()) for sign in (0, 1)]
        if all(length >= _IN_PHASE * count for length, count in of_group):
            found |= {(cell % columns + dx, cell // columns + dy) for cell in group for dx in (-1, 0, 1)
                      for dy in (-1, 0, 1)}  # fmt: skip
    return frozenset((c, r) for c, r in found if 0 <= c < columns and 0 <= r < rows)


def _touching(cells: set[int], columns: int) -> Iterator[list[int]]:
    """The cells in groups that touch each other, if only at a corner."""
    while cells:
        edge, group = [cells.pop()], []
        while edge:
            cell = edge.pop()
            group.append(cell)
            x = cell % columns
            steps = [(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if 0 <= x + dx < columns]
            beside = {cell + dx + columns * dy for dx, dy in steps} & cells
            cells -= beside
            edge += beside
        yield group
