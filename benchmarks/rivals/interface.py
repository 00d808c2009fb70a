"""What a rival is: one function behind one interface, with where it comes from and what may be tuned.

A rival is a module `benchmarks/rivals/methods/NAME.py` that exposes `RIVAL`; `methods.rivals()` finds all of them.

The rules that are the same for all of them:

- A row at the instant t uses events up to t only. Rows come every `EVERY_US`, at its multiples on the recording's own
  clock, one an object that is followed.
- A rival knows the recording, one radius in px, and the bands in px/s. Everything else is a parameter: it is tuned on
  training scenes or has its default.
- It runs on one thread and takes the same seed's result twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks

EVERY_US = 5_000

Value = float | int | str | bool
Values = Mapping[str, Value]
Follow = Callable[[Recording, float, Bands, Values], Tracks]


class RivalError(Exception):
    """What is wrong with a rival, its parameters, a scene or a table, in one sentence."""


@dataclass(frozen=True)
class Choice:
    """What a parameter may be: a range from `low` to `high` (log: drawn evenly in its logarithm; whole: integers
    only), or one of `options`."""

    default: Value
    low: float = math.nan
    high: float = math.nan
    log: bool = False
    whole: bool = False
    options: tuple[Value, ...] = ()

    def __post_init__(self) -> None:
        if not self.options and not (self.low < self.high and (self.low > 0 or not self.log)):
            raise RivalError(f"a range from {self.low:g} to {self.high:g} is not one to draw from; give low < high")
        if not self.holds(self.default):
            raise RivalError(f"the default {self.default!r} lies outside its own range; widen the range")

    def holds(self, value: Value) -> bool:
        if self.options:
            return value in self.options
        if isinstance(value, str | bool):
            return False
        return self.low <= value <= self.high and (not self.whole or value == round(value))

    def draw(self, rng: np.random.Generator) -> Value:
        if self.options:
            return self.options[int(rng.integers(len(self.options)))]
        if self.whole and not self.log:
            return int(rng.integers(round(self.low), round(self.high) + 1))
        value = math.exp(rng.uniform(math.log(self.low), math.log(self.high))) if self.log else rng.uniform(
            self.low, self.high
        )  # fmt: skip
        # Four digits, so that the file of the tuned values is what was run.
        value = min(max(float(f"{value:.4g}"), self.low), self.high)
        return round(value) if self.whole else value


def _never() -> str | None:
    return None


@dataclass(frozen=True)
class Rival:
    """A method, where it comes from, and how it is run.

    name: of the module and of its files, such as `hough`. title: in tables.
    source: citation and address. licence, version: of what is run.
    how: "as published", or "reimplemented from its description", and what was changed.
    parameters: by name. user_set: how many of them a user must set for other objects or another camera, beside radius
        and bands.
    follow: (recording, radius_px, bands, values) -> Tracks. Its `meta` may hold `cpu_s` and `peak_mb`, where the method
        runs in a process of its own: they then count instead of what the harness measures, which would include
        the start.
    missing: a sentence why it cannot run here, None where it can.
    """

    name: str
    title: str
    source: str
    licence: str
    version: str
    how: str
    follow: Follow
    parameters: Mapping[str, Choice] = field(default_factory=dict)
    user_set: int = 0
    missing: Callable[[], str | None] = _never

    def available(self) -> str | None:
        """A sentence why it cannot run here, None where it can."""
        return self.missing()

    @property
    def defaults(self) -> dict[str, Value]:
        return {name: choice.default for name, choice in self.parameters.items()}

    def draw(self, rng: np.random.Generator) -> dict[str, Value]:
        """Every parameter at random."""
        return {name: choice.draw(rng) for name, choice in self.parameters.items()}

    def checked(self, values: Values) -> dict[str, Value]:
        """All parameters, those that are not given at their defaults. Raises RivalError for others than it has."""
        for name, value in values.items():
            if name not in self.parameters:
                names = ", ".join(self.parameters) or "none"
                raise RivalError(f"{self.name} has no parameter '{name}'; it has: {names}")
            if not self.parameters[name].holds(value):
                raise RivalError(
                    f"{self.name}: {name} = {value!r} lies outside what the parameter may be; tune it again"
                )
        return {**self.defaults, **values}

    def track(self, recording: Recording, radius_px: float, bands: Bands, values: Values | None = None) -> Tracks:
        """One row per object and instant: t_us, id, x_px, y_px, band, speed_px_s, heading_deg (and speed_err_px_s,
        radius_px, confidence where it has them). Raises RivalError where it cannot run here."""
        reason = self.available()
        if reason:
            raise RivalError(f"{self.title}: {reason}")
        return self.follow(recording, radius_px, bands, self.checked(values or {}))


def instants(recording: Recording) -> np.ndarray:
    """The reporting instants (n,), us: all multiples of EVERY_US after the start of the recording and up to its end."""
    first = recording.start_us // EVERY_US + 1
    return np.arange(first, recording.stop_us // EVERY_US + 1, dtype=np.int64) * EVERY_US
