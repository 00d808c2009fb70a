"""The loop: blocks of events -> ticks of the network -> rows, at each reporting interval.

An interval is done once an event of a later tick has come. Only the events of ticks not yet run are kept.
Where the sender does not wait and packets wait too long for us, whole ticks are left out, the oldest first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell import engines, filters
from velocell.calibration.measure import PROBE_US, networks_for
from velocell.data.bands import Bands
from velocell.data.blocks import joined
from velocell.data.meta import version
from velocell.data.recording import Polarity, Recording
from velocell.data.spikes import Spikes
from velocell.errors import OptionError
from velocell.live.blocks import pieces
from velocell.live.outputs import Output
from velocell.live.sources import Replay, Source
from velocell.network import Network
from velocell.network.origin import of_networks
from velocell.network.template import Template
from velocell.tracking.detector import Detector, as_networks
from velocell.tracking.online import BLOCK_US

LAG_S = 0.1  # packets that waited longer mean overload
_PROBE_EVENTS = 1 << 22
_TOO_SPARSE = "warning: too sparse to measure contrast and radius, so both stay assumed; or give --contrast"

Say = Callable[[str], object]


@dataclass(frozen=True)
class Settings:
    """What to look for: a ready `network`, or bands (px/s) and radius (px), as of `pipeline.detect`.

    Without `contrast` the network assumes what is usual, until the first second has been measured. Hot pixels
    are measured on it too, and masked from then on. template: the shape to look for, instead of disks.
    """

    bands: Bands
    radius: float | tuple[float, float]
    contrast: float | None = None
    dt_us: int | None = None
    network: Network | None = None
    every_us: int = 5_000
    polarity: Polarity = "merge"
    engine: str = "native"
    template: Template | None = None
    mask_hot: bool = True


@dataclass
class Summary:
    """What was done. late: events of ticks already run, left out. dropped_*: left out under overload.
    hot_*: the pixels that were masked, and their events since then.
    """

    events: int = 0
    rows: int = 0
    objects: int = 0
    late: int = 0
    dropped_ticks: int = 0
    dropped_events: int = 0
    hot_pixels: int = 0
    hot_events: int = 0
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        counts = (
            f"{self.events} events, {self.rows} rows, {self.objects} objects; {self.late} events late, left out; "
            f"{self.dropped_ticks} ticks ({self.dropped_events} events) dropped under overload"
        )
        hot = (f"{self.hot_pixels} hot pixels masked, {self.hot_events} events",) if self.hot_pixels else ()
        return "; ".join((counts, *hot, *self.notes))


def run(source: Source, settings: Settings, output: Output, stop: Event, say: Say = print) -> Summary:
    """Detect in what `source` gives until it ends or `stop` is set; the output is complete then.

    say: is told, in words, when the network changes. Raises VelocellError.
    """
    if settings.every_us < 1:
        raise OptionError("--every must be at least 1us")
    with ThreadPoolExecutor(max_workers=1) as thread:
        loop = _Loop(source, settings, output, thread, say)
        for block in source.blocks(stop):
            # What a sender that waits sends at once may last long; what overload leaves out is decided at once.
            for part in pieces(block, BLOCK_US) if source.waits else (block,):
                loop.feed(part)
        loop.finish()
    loop.summary.notes = source.notes()
    return loop.summary


class _Loop:
    def __init__(self, source: Source, settings: Settings, output: Output, thread: ThreadPoolExecutor, say: Say):
        self._source, self._settings, self._output = source, settings, output
        self._thread, self._say = thread, say
        self.summary = Summary()
        self._pending: list[Recording] = []
        self._next_us: int | None = None  # the first microsecond of the first tick not yet run
        self._newest_us = 0
        self._probe: list[Recording] | None = None
        self._measured: Future[tuple[NDArray[np.int64], tuple[Network, ...] | None]] | None = None
        self._hot = np.empty((0, 2), np.int64)
        self._assumed = settings.network is None and settings.contrast is None
        self._first_id = 0
        self._told: dict[str, Any] | None = None
        if isinstance(source, Replay) and (self._assumed or settings.mask_hot):
            self._know(*source.known(PROBE_US))
        elif settings.network is not None:
            self._use(as_networks(settings.network))
        else:
            # Of no events nothing can be measured, so this is what is assumed.
            width, height = source.size
            self._use(self._calibrated(Recording.from_arrays([], [], [], width=width, height=height)))
            if self._assumed:
                say("calibrated for the usual share of edge crossings until the first second is measured")
        if self._assumed or (settings.mask_hot and not isinstance(source, Replay)):
            self._probe = []

    def _know(self, hot: NDArray[np.int64], first: Recording) -> None:
        """Of a file, all that `detect` would measure on it; so both give the same rows."""
        settings = self._settings
        if settings.mask_hot:
            self._hot = hot
            self.summary.hot_pixels = len(hot)
        if settings.network is not None:
            self._use(as_networks(settings.network))
            return
        if settings.polarity in ("on", "off"):
            first = first.with_polarity(settings.polarity)
        networks = self._calibrated(filters.mask_pixels(first, self._hot))
        if networks[0].origin.too_sparse:
            self._say(_TOO_SPARSE)
        self._assumed = False
        self._use(networks)

    def feed(self, block: Recording) -> None:
        """Take a block, and run the ticks that it completes as far as a reporting instant is among them."""
        if self._settings.polarity in ("on", "off"):
            block = block.with_polarity(self._settings.polarity)
        newest_us = int(block.t_us[-1]) if len(block) else block.start_us
        dt = self._networks[0].dt_us
        if self._next_us is None:
            if not len(block):
                return
            self._next_us = int(block.t_us[0]) // dt * dt
        late = int(np.searchsorted(block.t_us, self._next_us))
        self.summary.events += len(block)
        self.summary.late += late
        self._newest_us = max(self._newest_us, newest_us)
        self._pending.append(block.slice(late, len(block)))
        until_us = self._newest_us // dt * dt
        if not self._source.waits and self._source.waited_s > LAG_S:
            self._drop(until_us)
        every = self._settings.every_us
        if until_us // every > self._next_us // every:
            self._advance(until_us, until_us)
            self._calibrate()

    def finish(self) -> None:
        """Run the last ticks, also one that is cut short."""
        if self._next_us is None:
            self._write({}, 0)
            return
        dt = self._networks[0].dt_us
        stop_us = max(self._source.stop_us or 0, self._newest_us + 1)
        # The instant at which the stream stops is no part of it and gets no row.
        self._advance(-(-stop_us // dt) * dt, stop_us - 1)

    def _drop(self, until_us: int) -> None:
        """Leave out all ticks but the one that is still open."""
        assert self._next_us is not None
        if until_us <= self._next_us:
            return
        before = sum(map(len, self._pending))
        self._pending = [part.mask(part.t_us >= until_us) for part in self._pending]
        self.summary.dropped_events += before - sum(map(len, self._pending))
        self.summary.dropped_ticks += (until_us - self._next_us) // self._networks[0].dt_us

    def _advance(self, until_us: int, report_us: int) -> None:
        """Run the ticks before `until_us` and write the rows of all instants up to `report_us`."""
        ready, self._pending = self._cut(until_us)
        if len(self._hot):
            before, ready = len(ready), filters.mask_pixels(ready, self._hot)
            self.summary.hot_events += before - len(ready)
        answers = []
        for i, network in enumerate(self._networks):
            self._states[i], spikes = self._engine.step(network, self._states[i], ready, until_us)
            answers.append(spikes if network.radius_px is None else spikes.for_radius(network.radius_px))
        spikes = answers[0] if len(answers) == 1 else Spikes.concatenate(answers)
        self._write(self._detector.step(ready, spikes, report_us), self._first_id)
        self._next_us = until_us
        if self._probe is not None:
            self._probe.append(ready)

    def _cut(self, until_us: int) -> tuple[Recording, list[Recording]]:
        """The waiting events before `until_us`, in order of time, and the rest."""
        whole = joined(self._pending)
        if (np.diff(whole.t_us) < 0).any():
            order = np.argsort(whole.t_us, kind="stable")
            p = None if whole.p is None else whole.p[order]
            width, height = whole.size
            whole = Recording.from_arrays(
                whole.t_us[order], whole.x[order], whole.y[order], p, width=width, height=height
            )
        k = int(np.searchsorted(whole.t_us, until_us))
        return whole.slice(0, k), [whole.slice(k, len(whole))]

    def _write(self, columns: dict[str, Any], first_id: int) -> None:
        columns = columns or {name: [] for name in ("t_us", "id", "x_px", "y_px")}
        ids = np.asarray(columns["id"], np.int32) + first_id
        self.summary.rows += len(ids)
        self.summary.objects = max(self.summary.objects, int(ids.max(initial=-1)) + 1)
        if self._told is None:  # once: the version alone takes a millisecond
            self._told = self._meta()
        self._output.write({**columns, "id": ids}, self._told)

    def _meta(self) -> dict[str, Any]:
        settings, networks = self._settings, self._networks
        return {
            "velocell": version(),
            "command": "live",
            "source": self._source.name,
            "size": list(self._source.size),
            **self._source.meta,
            "settings": {
                "every_us": settings.every_us,
                "polarity": settings.polarity,
                "engine": settings.engine,
                "contrast": self._contrast_told(),
                "template": None if settings.template is None else settings.template.name,
                "mask_hot": settings.mask_hot,
            },
            **of_networks(networks),
        }

    def _contrast_told(self) -> float | str | None:
        if self._settings.network is not None or self._settings.contrast is not None:
            return self._settings.contrast
        return "measured on the first second" + (", assumed until then" if self._assumed else "")

    def _calibrated(self, recording: Recording) -> tuple[Network, ...]:
        s = self._settings
        return networks_for(
            recording, s.bands, s.radius, contrast=s.contrast, dt_us=s.dt_us, template=s.template, engine=s.engine
        )

    def _use(self, networks: Sequence[Network]) -> None:
        self._networks = tuple(networks)
        self._engine = engines.load(self._settings.engine)
        self._states = [self._engine.init(network, self._source.size) for network in networks]
        self._detector = Detector(networks, self._source.size, self._settings.every_us, self._settings.template)
        self._first_id = self.summary.objects

    def _measure(self, probe: Recording) -> tuple[NDArray[np.int64], tuple[Network, ...] | None]:
        """The hot pixels, and the networks for what the others show where they are not given."""
        hot = filters.hot_pixels(probe) if self._settings.mask_hot else self._hot
        return hot, self._calibrated(filters.mask_pixels(probe, hot)) if self._assumed else None

    def _calibrate(self) -> None:
        """Once the first second is there, measure it; once that is done, go on with what it gives."""
        if self._probe is not None and self._next_us is not None:
            seen = [part for part in self._probe if len(part)]
            enough = sum(map(len, seen)) > _PROBE_EVENTS
            if seen and (enough or self._next_us - seen[0].start_us >= PROBE_US):
                self._probe = None
                self._measured = self._thread.submit(self._measure, joined(seen))
        if self._measured is None or not (self._source.waits or self._measured.done()):
            return
        (self._hot, networks), self._measured = self._measured.result(), None
        self.summary.hot_pixels = len(self._hot)
        if len(self._hot):
            self._say(f"from {self._next_us} us on {len(self._hot)} hot pixels are masked, found in the first second")
        if networks is None:
            return
        if networks[0].origin.too_sparse:
            self._say(_TOO_SPARSE)
            return
        # A network starts where a tick of its own does.
        self._use(networks)
        self._say(f"at {self._next_us} us the network was replaced, calibrated on the first second; ids go on")
