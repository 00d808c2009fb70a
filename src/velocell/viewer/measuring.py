"""What is measured on the recording: how many edge crossings arrive, and the true radius."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from velocell.calibration.formulas import CROSSING_SHARE
from velocell.calibration.measure import networks_on
from velocell.calibration.recipe import Recipe
from velocell.calibration.stretch import stretches
from velocell.data.recording import Recording
from velocell.data.stamps import NO_STEP, Step, time_step
from velocell.filters import CameraMotion, camera_motion
from velocell.network import Network
from velocell.viewer.settings import Settings

Key = tuple[Any, ...]

_MEASURING = "measuring contrast and radius"


@dataclass(frozen=True)
class Measured:
    """As `calibration.networks_for` measures it for the settings `key`; `radius` stands in for the `stated` one.
    networks: those that it gives for these settings, where nothing but they is tuned. step: of the time stamps.
    motion: of the camera, None where nothing was looked at yet. ring_width_px: what suits the objects, None where that
    was not measured."""

    key: Key
    share: float
    stated: float
    radius: float
    too_sparse: bool = False
    networks: tuple[Network, ...] = field(default=(), compare=False)
    step: Step = NO_STEP
    motion: CameraMotion | None = field(default=None, compare=False)
    ring_width_px: float | None = None

    def radius_for(self, settings: Settings) -> float:
        """The measured radius, but only in place of the one that it was measured for."""
        same = measurable(settings) and settings.shape is None and settings.radius == self.stated
        return self.radius if same else settings.radius

    def agrees(self, other: Measured, settings: Settings) -> bool:
        """Whether nearly the same network follows from both."""
        same_share = abs(self.share / other.share - 1) < 0.01
        same_ring = self.radius == other.radius_for(settings) and self.ring_width_px == other.ring_width_px
        return same_share and same_ring and self.step == other.step

    def networks_for(self, settings: Settings, *, polarity: bool) -> tuple[Network, ...]:
        """The networks for these settings. Raises VelocellError."""
        if self.networks and self.key == key_of(settings) and measurable(settings) and settings.is_plain():
            return self.networks
        return settings.networks(
            polarity=polarity,
            share=self.share,
            radius=self.radius_for(settings),
            step=self.step,
            ring_width_px=self.ring_width_px if measurable(settings) else None,
        )


def unmeasured(settings: Settings) -> Measured:
    """What is assumed until there is a measurement."""
    return Measured((), CROSSING_SHARE, settings.radius, settings.radius)


def measurable(settings: Settings) -> bool:
    """Whether contrast and radius are left to the recording."""
    return settings.search.measures


def key_of(settings: Settings) -> Key:
    """What a measurement depends on."""
    search = settings.search
    return (search.bands, search.radius, search.templates, search.dt_us, settings.region, search.polarity)


def measure(first: Recording, parts: Iterable[Recording], settings: Settings) -> Measured:
    """As the command line does it: on the first stretch that has objects of these consecutive parts. first: the first
    second. Raises VelocellError."""
    places = stretches(map(settings.seen, parts))
    networks = networks_on(places, settings.seen(first), replace(settings.search, recipe=Recipe()))
    origin, radius = networks[0].origin, settings.radius
    found = radius if settings.shape is not None else networks[0].radius_px or radius
    share, (step, motion) = origin.crossings or CROSSING_SHARE, looked_at(first)
    ring = origin.ring_width_px
    return Measured(key_of(settings), share, radius, found, origin.too_sparse, networks, step, motion, ring)


def looked_at(first: Recording) -> tuple[Step, CameraMotion]:
    """What can be seen without any network: the step of the time stamps, how the camera moves."""
    return time_step(first), camera_motion(first)


class Probing(Protocol):
    """When and on what contrast and radius are measured. measures_first: nothing is shown before."""

    measures_first: bool

    def probe(self) -> Recording:
        """The first or the newest second."""
        ...

    def parts(self) -> Iterable[Recording]:
        """Consecutive parts to look for something to measure on."""
        ...

    def measures_at(self, known: Measured, wanted: Settings, asked_s: float, tried_s: float) -> float | None:
        """When to measure again, by `time.perf_counter`, where the settings were requested and the last measurement
        began then; None: it need not be."""
        ...

    def keeps(self, fresh: Measured, known: Measured, wanted: Settings) -> bool:
        """Whether a run goes on although something else was measured since."""
        ...


class Meter:
    """Measures: at first where nothing may be shown before, and again in a thread beside the work.

    known: what was measured, or is assumed. say: gets a sentence about the work. wake: called for a result.
    """

    def __init__(self, probing: Probing, say: Callable[[str], object], wake: Callable[[], object]) -> None:
        self.known: Measured | None = None
        self._probing, self._say, self._wake = probing, say, wake
        self._thread: threading.Thread | None = None
        self._fresh: Measured | Exception | None = None
        self._tried_s = 0.0

    @property
    def due(self) -> bool:
        """Whether something was found that is not yet known."""
        return self._fresh is not None

    def networks_for(self, settings: Settings, *, polarity: bool) -> tuple[Network, ...]:
        """The networks for these settings, with what is known. Raises VelocellError."""
        return (self.known or unmeasured(settings)).networks_for(settings, polarity=polarity)

    def begin(self, wanted: Settings) -> None:
        """Before the first run: what is shown first should be right."""
        if self.known is not None:
            return
        self.known = unmeasured(wanted)
        if not self._probing.measures_first:
            return
        first = self._probing.probe()
        step, motion = looked_at(first)
        self.known = replace(self.known, step=step, motion=motion)
        if measurable(wanted):
            self._say(_MEASURING)
            self.known = measure(first, self._probing.parts(), wanted)
            self._say("")

    def take(self, wanted: Settings) -> bool:
        """Take what was found; whether another run is needed for it. Raises what the measurement raised."""
        fresh, self._fresh = self._fresh, None
        if fresh is None or self.known is None:
            return False
        self._thread = None
        if isinstance(fresh, Exception):
            raise fresh
        if fresh.key != key_of(wanted):
            return False
        known, self.known = self.known, fresh
        keeps = self._probing.keeps(fresh, known, wanted)
        self._say("" if keeps else "applying the measurement")
        return not keeps

    def again(self, wanted: Settings, asked_s: float) -> float | None:
        """Measure where it is time; returns in how many seconds it will be, None where it need not be."""
        if self._thread is not None or self.known is None or not measurable(wanted):
            return None
        at_s = self._probing.measures_at(self.known, wanted, asked_s, self._tried_s)
        if at_s is None:
            return None
        left_s = at_s - time.perf_counter()
        if left_s <= 0:
            self._tried_s = time.perf_counter()
            self._say(_MEASURING)
            self._thread = threading.Thread(target=self._run, args=(wanted,), name="velocell-measuring", daemon=True)
            self._thread.start()
        return left_s if left_s > 0 else None

    @property
    def measuring(self) -> bool:
        return self._thread is not None

    def close(self) -> None:
        thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self, wanted: Settings) -> None:
        try:
            self._fresh = measure(self._probing.probe(), self._probing.parts(), wanted)
        except Exception as error:
            self._fresh = error
        self._wake()
