"""The step of a recording's clock: how it is measured, and events spread within it.

A camera that is read out in frames stamps all events of a frame alike; one that scans its lines, all events of a
line since its last turn. Where an object moves visibly in that time, the stamps say less than they seem to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from velocell.data.recording import Recording

COARSE_PX = 0.5
"""Travel within one step from which on the step matters: a quarter of a ring, the shift that a tracker takes for a
turn."""

_WINDOWS = 20
_WINDOW_EVENTS = 10_000
_GROUP = 5  # differences; of random multiples of a step so many hardly ever have a larger divisor in common
_FEWEST_GROUPS = 5
_ALIKE = 0.5  # of the groups
_FAINT = 0.25  # of the usual number of events in a stamp: such a stamp is an odd one
_ROUNDED = 0.95  # of the differences
_SHORTEST_ROUNDED_US = 20  # below, a difference within 1 us of a multiple says nothing
_NEAR = 8  # steps; a period known to a fraction of a microsecond is not followed for longer


def is_coarse(step_us: int, fastest_px_s: float) -> bool:
    """Whether what moves so fast is smeared visibly within a step."""
    return step_us > 1 and step_us * 1e-6 * fastest_px_s > COARSE_PX


@dataclass(frozen=True)
class Step:
    """us: the largest step of which almost all differences between stamps are multiples; 1 where there is none.
    scanned: only between stamps of one row or one column, since lines are read out in turn, each at its own time."""

    us: int = 1
    scanned: Literal["", "row", "column"] = ""

    def for_speeds(self, fastest_px_s: float) -> Step:
        """What matters for objects up to this speed: a scan in which they hardly move does not count, since a tick
        may begin anywhere in it."""
        return NO_STEP if self.scanned and not is_coarse(self.us, fastest_px_s) else self


NO_STEP = Step()


def time_step(recording: Recording) -> Step:
    """The step of a recording's stamps.

    From the greatest common divisors of five differences each, in up to 20 places, so that a few odd stamps do not
    count and ten million events take milliseconds. A step that is not a whole number of microseconds, whose stamps are
    rounded, is found too. Recordings of too few different stamps have none.
    """
    n = len(recording)
    begins = [0]
    if n > _WINDOWS * _WINDOW_EVENTS:
        begins = np.linspace(0, n - _WINDOW_EVENTS, _WINDOWS).astype(np.int64).tolist()
    length = n if len(begins) == 1 else _WINDOW_EVENTS
    parts = [slice(begin, begin + length) for begin in begins]
    t_us = recording.t_us
    whole_us = _step_us(np.concatenate([np.diff(_clear(t_us[part])) for part in parts]))
    lines: tuple[tuple[Literal["row", "column"], NDArray[np.uint16]], ...]
    lines = (("row", recording.y), ("column", recording.x))
    for name, line in lines:
        step_us = _step_us(np.concatenate([_within_lines(t_us[part], line[part]) for part in parts]))
        if step_us > whole_us and step_us >= _SHORTEST_ROUNDED_US:
            return Step(step_us, name)
    return Step(whole_us)


def _clear(t_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """The different stamps, without odd ones that hardly any event has."""
    stamps, events = np.unique(t_us, return_counts=True)
    if not stamps.size:
        return stamps
    order = np.sort(events)
    usual = order[np.searchsorted(np.cumsum(order), t_us.size / 2)]  # that half of the events share a stamp with
    clear: NDArray[np.int64] = stamps[events >= _FAINT * usual]
    return clear


def _within_lines(t_us: NDArray[np.int64], line: NDArray[np.uint16]) -> NDArray[np.int64]:
    """Differences above 0 between stamps that follow each other in one line."""
    order = np.argsort(line, kind="stable")
    gaps, same = np.diff(t_us[order]), np.diff(line[order].astype(np.int32)) == 0
    within: NDArray[np.int64] = gaps[same & (gaps > 0)]
    return within


def _step_us(gaps: NDArray[np.int64]) -> int:
    groups = gaps[: gaps.size // _GROUP * _GROUP].reshape(-1, _GROUP)
    if len(groups) < _FEWEST_GROUPS:
        return 1
    values, times = np.unique(np.gcd.reduce(groups, axis=1), return_counts=True)
    # Groups whose members happen to share a factor have a multiple of the step.
    for value in values[values > 1][::-1].tolist():
        if times[values % value == 0].sum() >= _ALIKE * len(groups):
            return int(value)
    return _rounded_step_us(gaps)


def _rounded_step_us(gaps: NDArray[np.int64]) -> int:
    """A step between whole microseconds, such as 204.08 us: found from the shortest of the usual differences."""
    step = float(np.quantile(gaps, 0.05))
    if step < _SHORTEST_ROUNDED_US:
        return 1
    near = gaps[gaps < (_NEAR + 0.5) * step]
    for _ in range(3):  # each round the multiples it holds for tell it better
        multiple = np.maximum(np.rint(near / step), 1)
        step = float((near * multiple).sum() / (multiple * multiple).sum())
    fits = np.abs(near - np.maximum(np.rint(near / step), 1) * step) <= 1.5
    return round(step) if fits.mean() >= _ROUNDED and near.size >= gaps.size / 2 else 1


class Spread:
    """Gives the events of one stamp times within [t, t + step), for consecutive blocks of a stream.

    Frames say nothing about when within a frame an event came, and their order mostly is that of the pixels. So each
    pixel delays its events by a part of the step that looks random, but always the same one: even over the step, and
    times between the events of one pixel stay as they are. Events that end up beyond a block are handed on with the
    next.
    """

    def __init__(self, step_us: int) -> None:
        self._step_us = step_us
        self._later: Recording | None = None

    def __call__(self, block: Recording, stop_us: int, *, at_end: bool = False) -> Recording:
        """The events before `stop_us`, where the block stops, in the order of their new times; at_end: all of them."""
        t = block.t_us + _mixed(block) * self._step_us // (1 << 24)
        x, y, p = block.x, block.y, block.p
        if (kept := self._later) is not None:
            t, x, y = np.concatenate([kept.t_us, t]), np.concatenate([kept.x, x]), np.concatenate([kept.y, y])
            p = None if p is None or kept.p is None else np.concatenate([kept.p, p])
        order = np.argsort(t, kind="stable")
        whole = replace(block, t_us=t[order], x=x[order], y=y[order], p=None if p is None else p[order])
        if at_end:
            self._later = None
            return whole
        now = int(np.searchsorted(whole.t_us, stop_us))
        self._later = whole.slice(now, len(whole))
        return whole.slice(0, now)


def _mixed(block: Recording) -> NDArray[np.int64]:
    """(n,): numbers below 2^24 that look random, from the place (the finalizer of MurmurHash3, A. Appleby)."""
    h = block.x.astype(np.uint32) | (block.y.astype(np.uint32) << np.uint32(16))
    h ^= h >> np.uint32(16)
    h *= np.uint32(0x85EBCA6B)
    h ^= h >> np.uint32(13)
    h *= np.uint32(0xC2B2AE35)
    h ^= h >> np.uint32(16)
    return (h >> np.uint32(8)).astype(np.int64)
