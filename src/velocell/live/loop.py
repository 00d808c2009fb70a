"""The loop: blocks of events -> ticks of the network -> rows, at each reporting interval.

An interval is done once an event of a later tick has come. Only the events of ticks not yet run are kept.
Where the sender does not wait and packets wait too long for us, whole ticks are left out, the oldest first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.calibration.learning import AFTER_US, Learner
from velocell.calibration.measure import networks_for, networks_on
from velocell.calibration.search import Search
from velocell.calibration.stretch import PROBE_US, stretches
from velocell.data.blocks import apart, cut_at, joined
from velocell.data.meta import made_by
from velocell.data.recording import Recording
from velocell.data.stamps import is_coarse, time_step
from velocell.data.tracks import Tracks
from velocell.filters import CameraMotion, PixelCounts, camera_motion
from velocell.filters.chain import Cleaning
from velocell.filters.flicker import told
from velocell.filters.hot_pixels import mask_pixels
from velocell.live.blocks import pieces
from velocell.live.messages import Messages
from velocell.live.motion import CameraWatch, watch_over
from velocell.live.outputs import Output
from velocell.live.sources import Replay, Source
from velocell.live.supervised import Watch
from velocell.live.tcp import Tcp
from velocell.live.udp import Udp
from velocell.network import Network
from velocell.network.origin import of_networks, told_by_radius, told_by_stamps, too_sparse_text
from velocell.results.counting import Gate, Line, totals
from velocell.results.plane import Plane, with_real_units
from velocell.tracking.detector import NO_CROWDING, Crowding
from velocell.tracking.online import BLOCK_US, Online
from velocell.tracking.rules import Rules

LAG_S = 0.1  # packets that waited longer mean overload
_PROBE_EVENTS = 1 << 22
GONE_US = 1_000_000  # beyond the time for which it keeps its id: an object without a row for so long has left

Say = Callable[[str], object]


@dataclass(frozen=True, eq=False)
class Seen:
    """What the first second shows: hot pixels (k, 2), networks where they follow from it, how the camera moves."""

    hot: NDArray[np.int64]
    networks: tuple[Network, ...] | None
    motion: CameraMotion


@dataclass(frozen=True, eq=False)
class Settings:
    """search: what to look for, with one template at most. cleaning: what is taken out before. plane: adds real units
    to the rows. lines: objects that cross them are counted.

    Where the search measures contrast and radius, the network assumes what is usual until the first second has been
    measured. Hot pixels are measured on it too, and masked from then on.
    """

    search: Search
    cleaning: Cleaning = field(default_factory=Cleaning)
    plane: Plane | None = None
    lines: tuple[Line, ...] = ()


def gone_us(rules: Rules) -> int:
    """An object without a row for so long crosses no line any more: it would come back as another one."""
    return GONE_US + round(1e6 * rules.keep_s)


@dataclass
class Summary:
    """What was done. late: events of ticks already run, left out. dropped_*: left out under overload.
    hot_*: the pixels that were masked, and their events since then. flicker, flicker_events: what lamps were
    filtered, and their events. crowding: how often candidates for objects were too many. lines: who crosses them is
    counted; crossings: of each line its number and how many went `to_right` and `to_left` since the start.
    """

    events: int = 0
    rows: int = 0
    objects: int = 0
    objects_now: int = 0
    late: int = 0
    dropped_ticks: int = 0
    dropped_events: int = 0
    hot_pixels: int = 0
    hot_events: int = 0
    flicker: str = ""
    flicker_events: int = 0
    crowding: Crowding = NO_CROWDING
    notes: tuple[str, ...] = ()
    lines: tuple[Line, ...] = ()
    crossings: Sequence[dict[str, int]] = ()

    def __str__(self) -> str:
        counts = (
            f"{self.events} events, {self.rows} rows, {self.objects} objects; {self.late} events late, left out; "
            f"{self.dropped_ticks} ticks ({self.dropped_events} events) dropped under overload"
        )
        hot = (f"{self.hot_pixels} hot pixels masked, {self.hot_events} events",) if self.hot_pixels else ()
        lamps = (f"{self.flicker} filtered, {self.flicker_events} events",) if self.flicker_events else ()
        crowded = () if self.crowding.told is None else (self.crowding.told,)
        crossed = (
            f"line {line}: {each['to_right']} to the right, {each['to_left']} to the left"
            for line, each in zip(self.lines, self.crossings, strict=True)
        )
        return "; ".join((counts, *hot, *lamps, *crowded, *crossed, *self.notes))


def run(
    source: Source,
    settings: Settings,
    output: Output,
    stop: Event,
    say: Say = print,
    on_count: Callable[[Gate], object] | None = None,
    messages: Messages | None = None,
    watch: Watch | None = None,
) -> Summary:
    """Detect in what `source` gives until it ends or `stop` is set; the output is complete then.

    say: gets a sentence when the network changes. on_count: is called when a line was crossed, and once at the end.
    messages: get the rows and the crossings too. watch: looks at it while it runs. Raises VelocellError.
    """
    for line in settings.lines:
        line.check(source.size)
    width, height = source.size
    settings.cleaning.check(Recording.from_arrays([], [], [], width=width, height=height))
    with ThreadPoolExecutor(max_workers=1) as thread:
        loop = _Loop(source, settings, output, thread, say, on_count, messages)
        if isinstance(source, Udp | Tcp):
            source.say = say
        if watch is not None:
            watch.counts = lambda: loop.summary
        for block in source.blocks(stop):
            # What a sender that waits sends at once may last long; what overload leaves out is decided at once.
            for part in pieces(block, BLOCK_US) if source.waits else (block,):
                loop.feed(part)
        loop.finish()
    loop.summary.notes = source.notes()
    return loop.summary


def due_us(next_us: int, every_us: int, dt_us: int) -> int:
    """The time of the first event that completes an interval, where the first tick not yet run begins at `next_us`."""
    ends_us = (next_us // every_us + 1) * every_us
    return -(-ends_us // dt_us) * dt_us


class _Loop:
    def __init__(
        self,
        source: Source,
        settings: Settings,
        output: Output,
        thread: ThreadPoolExecutor,
        say: Say,
        on_count: Callable[[Gate], object] | None,
        messages: Messages | None,
    ):
        self._messages = messages
        self._source, self._settings, self._output = source, settings, output
        self._thread, self._say, self._on_count = thread, say, on_count
        self._search, self._clean = settings.search, settings.cleaning.stream(source.size)
        self._clean.flicker.thread = None if source.waits else thread
        self._gate = Gate(settings.lines)
        self.summary = Summary(lines=settings.lines, crossings=totals(self._gate.counts, settings.lines))
        self._pending: list[Recording] = []
        self._next_us: int | None = None  # the first microsecond of the first tick not yet run
        self._newest_us = 0
        self._probe: list[Recording] | None = None  # what the first second showed, blocks with events
        self._probed = 0  # events
        self._measured: Future[Seen] | None = None
        self._learner: Learner | None = None  # once the first second was measured
        self._renewed: tuple[Recording, Future[tuple[Network, ...] | None]] | None = None
        self._motion: CameraMotion | None = None
        self._camera = CameraWatch(thread, say, settings.cleaning.without_ignored)
        self._assumed = self._search.measures
        self._first_id = 0
        self._sent_meta: dict[str, Any] = {}
        self._sent_for: tuple[Network, ...] | None = None
        masks = settings.cleaning.mask_hot
        if isinstance(source, Replay) and (self._assumed or masks or settings.cleaning.flicker == "auto"):
            self._know(source, *source.known(PROBE_US, settings.cleaning.without_ignored))
        elif self._search.networks:
            self._use(self._search.networks)
        else:
            # Of no events nothing can be measured, so this is what is assumed.
            width, height = source.size
            self._use(networks_for(Recording.from_arrays([], [], [], width=width, height=height), self._search))
            if self._assumed:
                say("calibrated for a typical share of edge crossings until the first second is measured")
        if self._assumed or (masks and not isinstance(source, Replay)):
            self._probe = []
        elif self._motion is None:
            self._camera.first_us = 0
        self._meta()  # what it imports takes 10 ms, which the first rows need not wait for

    def _know(self, source: Replay, hot: NDArray[np.int64], first: Recording) -> None:
        """Of a file, all that `detect` would measure on it; so both give the same rows."""
        cleaning = self._settings.cleaning
        if cleaning.mask_hot:
            self._clean.hot = hot
            self.summary.hot_pixels = len(hot)
        self._clean.flicker.know(cleaning.lamps(mask_pixels(cleaning.without_ignored(first), self._clean.hot)))
        self._watch(camera_motion(self._settings.cleaning.without_ignored(first)))
        if self._search.networks:
            self._use(self._search.networks)
            return
        clean = cleaning.stream(source.size)
        clean.hot = self._clean.hot
        clean.flicker.know(self._clean.flicker.lamps)
        seen = self._search.seen(cleaning.apply(first, hot))
        networks = networks_on(
            stretches(self._search.seen(clean(block)) for block in source.ahead()), seen, self._search
        )
        if networks[0].origin.too_sparse:
            self._say(f"warning: {too_sparse_text(networks)}")
        self._assumed = False
        self._use(networks)
        self._learner = Learner(self._search, networks)

    def feed(self, block: Recording) -> None:
        """Take a block, and run the ticks that it completes as far as a reporting instant is among them."""
        newest_us = int(block.t_us[-1]) if len(block) else block.start_us
        dt = self._online.dt_us
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
        every = self._search.every_us
        if until_us // every > self._next_us // every:
            self._advance(until_us)
            self._calibrate()
        if isinstance(self._source, Udp):
            self._source.due_us = due_us(self._next_us, every, dt)

    def finish(self) -> None:
        """Run the last ticks, also one that is cut short."""
        if self._next_us is None:
            self._write({}, 0)
        else:
            self._advance(max(self._source.stop_us or 0, self._newest_us + 1), at_end=True)
        self._output.finish(self._sent_meta)
        crossed = self._gate.finish()
        if self._messages is not None:
            self._messages.finish(crossed)
        self._counted()

    def _drop(self, until_us: int) -> None:
        """Leave out all ticks but the one that is still open."""
        assert self._next_us is not None
        if until_us <= self._next_us:
            return
        before = sum(map(len, self._pending))
        self._pending = [part.mask(part.t_us >= until_us) for part in self._pending]
        self.summary.dropped_events += before - sum(map(len, self._pending))
        self.summary.dropped_ticks += (until_us - self._next_us) // self._online.dt_us

    def _advance(self, stop_us: int, *, at_end: bool = False) -> None:
        """Run the ticks before `stop_us`, a tick's end or the stream's, and write the rows of all instants up to it."""
        ready, self._pending = cut_at(self._pending, stop_us)
        cleaned = self._clean(ready)
        self.summary.hot_events = self._clean.hot_events
        self._tell_lamps()
        start_us = stop_us if self._next_us is None else self._next_us
        seen = replace(self._search.seen(cleaned), start_us=start_us, stop_us=stop_us)
        self._learn(seen)
        rows, _ = self._online.step(seen, stop_us, at_end=at_end)
        self.summary.crowding = self._online.detector.crowding
        self._write(rows, self._first_id)
        self._next_us = stop_us
        self._camera.feed(replace(ready, start_us=start_us, stop_us=stop_us), wait=self._source.waits)
        if self._probe is not None and len(ready):
            self._probe.append(ready)
            self._probed += len(ready)

    def _tell_lamps(self) -> None:
        """Say it where others are filtered than before."""
        flicker, summary = self._clean.flicker, self.summary
        summary.flicker_events = flicker.left_out
        if flicker.lamps and summary.flicker != told(flicker.lamps):
            summary.flicker = told(flicker.lamps)
            self._say(f"from {self._next_us} us on {summary.flicker} is filtered")

    def _write(self, columns: dict[str, Any], first_id: int) -> None:
        columns = columns or {name: [] for name in ("t_us", "id", "x_px", "y_px")}
        columns = {**columns, "id": np.asarray(columns["id"], np.int32) + first_id}
        settings = self._settings
        self.summary.rows += len(columns["id"])
        self.summary.objects = max(self.summary.objects, int(columns["id"].max(initial=-1)) + 1)
        self.summary.objects_now = len(set(columns["id"].tolist()))
        if settings.plane is not None or self._messages is not None or (settings.lines and len(columns["id"])):
            tracks = Tracks.from_columns(columns)
            if settings.plane is not None:
                tracks = with_real_units(tracks, settings.plane, self._source.size)
                columns = tracks.columns()
            crossed = self._gate.feed(tracks) + self._gate.finish(self._newest_us - gone_us(self._search.rules))
            if crossed:
                self._counted()
            if self._messages is not None:
                self._messages.feed(tracks, crossed, self._newest_us)
        if self._sent_for is not self._online.networks:  # once for each: it takes a part of a millisecond
            self._sent_meta, self._sent_for = self._meta(), self._online.networks
        self._output.write(columns, self._sent_meta)

    def _counted(self) -> None:
        self.summary.crossings = totals(self._gate.counts, self._gate.lines)
        if self._on_count is not None:
            self._on_count(self._gate)

    def _meta(self) -> dict[str, Any]:
        search, settings = self._search, self._settings
        wanted = search.to_dict()
        more = {name: wanted[name] for name in ("rules",) if name in wanted}
        cleaning = {name: value for name, value in settings.cleaning.to_dict().items() if value}
        cleaning["mask_hot"] = settings.cleaning.mask_hot
        if settings.plane is not None:
            more["homography"] = settings.plane.homography.tolist()
        if settings.lines:
            more["count_lines"] = [str(line) for line in settings.lines]
        motion = self._motion
        return made_by(
            "live",
            source=self._source.name,
            size=list(self._source.size),
            **self._source.meta,
            camera="looked at in the first second" if motion is None else motion.reason,
            settings={
                "every_us": search.every_us,
                "polarity": search.polarity,
                "engine": search.engine,
                "contrast": self._stated_contrast(),
                "template": None if search.template is None else search.template.name,
                **cleaning,
                **more,
            },
            **of_networks(self._online.networks),
        )

    def _stated_contrast(self) -> float | str | None:
        if not self._search.measures:
            return self._search.contrast
        return "measured on the first second" + (", assumed until then" if self._assumed else "")

    def _calibrated(self, first: Recording, hot: NDArray[np.int64]) -> tuple[Network, ...]:
        """On the first second, as it came."""
        return networks_for(self._search.seen(self._settings.cleaning.apply(first, hot)), self._search)

    def _use(self, networks: Sequence[Network]) -> None:
        self._online: Online = self._search.online(networks, self._source.size, final_only=True)
        if not self._source.waits:
            self._online.prepare()
        self._first_id = self.summary.objects
        if (stamps := told_by_stamps(self._online.networks[0])) is not None:
            self._say(f"note: {stamps}")
        if (size := told_by_radius(self._online.networks[0])) is not None:
            self._say(f"warning: {size}")

    def _watch(self, motion: CameraMotion) -> None:
        """What the first second shows of the camera."""
        self._motion = motion
        self._camera.know(motion)

    def _measure(self, blocks: Sequence[Recording]) -> Seen:
        """The hot pixels; the networks for what the others show, where they are not given and what was assumed of
        contrast or stamps may be wrong."""
        cleaning, search, hot = self._settings.cleaning, self._search, self._clean.hot
        counts, watch = PixelCounts(*self._source.size), watch_over(blocks)
        for block in blocks if self._source.waits else apart(blocks):
            whole = cleaning.without_ignored(block)
            counts.add(whole)
            watch.add(whole)
        if cleaning.mask_hot:
            hot = counts.hot()
        bands = None if search.networks else search.bands
        networks = None
        if self._assumed or bands is not None:
            probe = joined(blocks)
            coarse = bands is not None and is_coarse(time_step(probe).us, bands.edges[-1])
            networks = self._calibrated(probe, hot) if self._assumed or coarse else None
        return Seen(hot, networks, watch.motion())

    def _learn(self, seen: Recording) -> None:
        """Measure again where it is time, beside the work where the sender does not wait, and use what differs."""
        if self._learner is None:
            return
        for stretch in self._learner.due(seen):
            if self._renewed is None:
                self._renewed = stretch, self._thread.submit(self._learner.measure, stretch)
        if self._renewed is None or not (self._source.waits or self._renewed[1].done()):
            return
        (stretch, found), self._renewed = self._renewed, None
        networks = found.result()
        if networks is not None:
            at_us = max(stretch.stop_us + AFTER_US, seen.start_us)
            self._online.adopt(networks, at_us)
            why = "contrast could be measured" if self._assumed else "the scene has changed"
            self._assumed = False
            self._say(f"{why}: from {at_us} us on the network is one calibrated on what came last")

    def _calibrate(self) -> None:
        """Once the first second is there, measure it; once that is done, use the result."""
        if self._probe is not None and self._next_us is not None:
            seen = self._probe
            if seen and (self._probed > _PROBE_EVENTS or self._next_us - seen[0].start_us >= PROBE_US):
                self._probe = None
                self._measured = self._thread.submit(self._measure, seen)
        if self._measured is None or not (self._source.waits or self._measured.done()):
            return
        seen_now, self._measured = self._measured.result(), None
        hot, networks = seen_now.hot, seen_now.networks
        self._watch(seen_now.motion)
        self._clean.hot = hot
        self.summary.hot_pixels = len(hot)
        if len(hot):
            self._say(
                f"from {self._next_us} us on {len(hot)} hot pixels are masked; they were found in the first second"
            )
        if networks is None:
            return
        self._learner = Learner(self._search, networks)
        if networks[0].origin.too_sparse:
            self._say(f"warning: {too_sparse_text(networks)}")
            if networks[0].origin.step_us is None:
                return
        # A network starts where a tick of its own does.
        self._use(networks)
        self._say(f"at {self._next_us} us the network was replaced by one calibrated on the first second; ids continue")
