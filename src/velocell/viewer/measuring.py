"""What the recording itself tells: how many edge crossings arrive, and the true radius."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from velocell.calibration.formulas import CROSSING_SHARE
from velocell.calibration.measure import PROBE_US, network_for
from velocell.data.recording import Recording
from velocell.data.stamps import NO_STEP, Step, time_step
from velocell.filters import CameraMotion, camera_motion
from velocell.network import Network
from velocell.viewer.settings import Settings
from velocell.viewer.source import Source

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Measured:
    """As `pipeline.network_for` measures it for the settings `key`; `radius` stands in for the `stated` one. step: of
    the time stamps. motion: of the camera, None where nothing was looked at yet. ring_width_px: what suits the objects,
    None where that was not measured."""

    key: Key
    share: float
    stated: float
    radius: float
    too_sparse: bool = False
    step: Step = NO_STEP
    motion: CameraMotion | None = None
    ring_width_px: float | None = None

    def radius_for(self, settings: Settings) -> float:
        """The measured radius, but only in place of the one that it was measured for."""
        return self.radius if measurable(settings) and settings.radius == self.stated else settings.radius

    def agrees(self, other: Measured, settings: Settings) -> bool:
        """Whether the same network follows from both."""
        same_share = abs(self.share / other.share - 1) < 0.01
        same_ring = self.radius == other.radius_for(settings) and self.ring_width_px == other.ring_width_px
        return same_share and same_ring and self.step == other.step

    def network(self, settings: Settings, *, polarity: bool) -> Network:
        """The network for these settings. Raises VelocellError."""
        width = self.ring_width_px if measurable(settings) else None
        return settings.build(
            polarity=polarity,
            share=self.share,
            radius=self.radius_for(settings),
            step=self.step,
            ring_width_px=width,
        )


def unmeasured(settings: Settings, source: Source | None = None) -> Measured:
    """What is assumed until there is a measurement. source: where the stamps and the camera are looked at already."""
    assumed = Measured((), CROSSING_SHARE, settings.radius, settings.radius)
    if source is None:
        return assumed
    probe = source.window(source.start_us, source.start_us + PROBE_US)
    return replace(assumed, step=time_step(probe), motion=camera_motion(probe))


def measurable(settings: Settings) -> bool:
    """Whether contrast and radius are left to the recording."""
    return settings.contrast is None and settings.network is None


def key_of(settings: Settings) -> Key:
    """What a measurement depends on."""
    return (settings.bands.edges, settings.radius, settings.dt_us, settings.region, settings.polarity)


def measure(source: Source, settings: Settings) -> Measured:
    """On the recording's first second, as the command line does it. Raises VelocellError."""
    window = source.window(source.start_us, source.start_us + PROBE_US)
    probe = seen(window, settings)
    network = network_for(probe, settings.bands, settings.radius, dt_us=settings.dt_us)
    share, radius = network.origin.crossings, network.radius_px
    sparse = network.origin.too_sparse
    stated = settings.radius
    return Measured(
        key_of(settings),
        share or CROSSING_SHARE,
        stated,
        radius or stated,
        sparse,
        time_step(probe),
        camera_motion(window),
        network.origin.ring_width_px,
    )


def seen(events: Recording, settings: Settings) -> Recording:
    """What the network sees of them: region and polarity, as the command line takes them."""
    if settings.region is not None:
        events = events.crop(*settings.region)
    return events if settings.polarity in ("merge", "both") else events.with_polarity(settings.polarity)


class Measuring(threading.Thread):
    """A measurement beside the work; `done` is called with what was measured or with the error."""

    def __init__(self, source: Source, settings: Settings, done: Callable[[Measured | Exception], None]) -> None:
        super().__init__(name="velocell-measuring", daemon=True)
        self._source, self._settings, self._done = source, settings, done
        self.start()

    def run(self) -> None:
        try:
            self._done(measure(self._source, self._settings))
        except Exception as error:
            self._done(error)
