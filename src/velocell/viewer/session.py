"""`Session`: everything the page shows and can change, without any transport.

All tabs share one session: what is changed in one is seen in the others, and a page that is loaded
again finds what it left. A page asks for pictures one at a time, so a slow or lost one holds nothing up.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from velocell.data.bands import Bands
from velocell.data.meta import version
from velocell.errors import OptionError, VelocellError
from velocell.network import Network
from velocell.network.origin import told_by_stamps
from velocell.results.objects import objects
from velocell.studies.tuning import tuning
from velocell.viewer import describe, export
from velocell.viewer.analysis import Analysis, Results
from velocell.viewer.marks import Labels
from velocell.viewer.object_table import object_paths, object_table
from velocell.viewer.settings import Settings, number, within
from velocell.viewer.source import Source
from velocell.viewer.view import View, paint

SPEEDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_FRAME_S = 0.012  # a picture this young serves every tab

COMMANDS = frozenset(
    ("play", "pause", "seek", "step", "set_speed", "loop", "show", "select", "jump", "tune", "reset", "measure_curves",
     "mark", "unmark")
)  # fmt: skip


class Session:
    """One recording on show. Its methods are what a page can ask for; `handle` calls them by name.

    Wrong values raise VelocellError and change nothing. Times in microseconds of the file's clock.
    `revision` grows with every change; `on_change` is called then, from any thread.
    """

    commands = COMMANDS

    def __init__(
        self, source: Source, settings: Settings, *, playing: bool = False,
        on_change: Callable[[], None] = lambda: None, clock: Callable[[], float] = time.monotonic,
        analysis: Callable[[Any, Callable[[], None]], Any] = Analysis,
    ) -> None:  # fmt: skip
        self.source, self.initial, self.settings = source, settings, settings
        self.revision, self.view, self.speed = 0, View(channels=_final_channels(settings.bands)), _start_speed(source)
        self.playing, self.looping = playing, True
        self._part: tuple[int, int] | None = None
        self.selected: int | None = None
        self.labels = Labels(source.size)
        self._on_change, self._clock = on_change, clock
        self._at_us, self._since_s = source.start_us, clock()
        self._lock, self._painting = threading.RLock(), threading.Lock()
        self._painted: tuple[tuple[Any, ...], float, bytes] | None = None
        self._curves: tuple[Network | None, dict[str, Any]] = (None, {})
        self._measured_curves: tuple[Network | None, dict[str, Any]] = (None, {})
        self._found: tuple[Results | None, dict[str, Any]] = (None, {})
        self._file_state: str | None = None
        settings.build(polarity=source.polarity).check_size(*source.size)
        self._analysis: Analysis = analysis(source, self._changed)
        self._analysis.request(settings, self._at_us)

    def close(self) -> None:
        """Stop the background work."""
        self._analysis.close()

    # --- playing ------------------------------------------------------------------------------------

    @property
    def span(self) -> tuple[int, int]:
        """The part [start, stop) that is played: one that was chosen, or all."""
        return self._part or (self.source.start_us, self.source.stop_us)

    def at_us(self) -> int:
        """Where the cursor stands now."""
        with self._lock:
            if not self.playing:
                return self._at_us
            start, stop = self.span
            t = self._at_us + (self._clock() - self._since_s) * 1e6 * self.speed
            if t >= stop:
                if not self.looping:
                    self.playing, self._at_us = False, stop
                    self._changed()
                    return stop
                t = start + (t - start) % max(stop - start, 1)
                self._at_us, self._since_s = int(t), self._clock()
            return int(t)

    def play(self) -> None:
        with self._lock:
            if self._at_us >= self.span[1] or self._at_us < self.span[0]:
                self._at_us = self.span[0]
            self.playing, self._since_s = True, self._clock()
            self._changed()

    def pause(self) -> None:
        with self._lock:
            self._at_us = self.at_us()
            self.playing = False
            self._changed()

    def seek(self, t_us: float) -> None:
        """Put the cursor somewhere; what plays goes on from there."""
        with self._lock:
            self._at_us = int(min(max(number(t_us, "time"), self.source.start_us), self.source.stop_us))
            self._since_s = self._clock()
            if not self.span[0] <= self._at_us <= self.span[1]:
                self._part = None
            self._changed()
        self._analysis.watch(self._at_us)

    def step(self, steps: int, fine: bool = False) -> None:
        """Pause, and move by reporting intervals, or by ticks (`fine`)."""
        self.pause()
        network = self._network()
        step_us = network.dt_us if fine and network is not None else self.settings.every_us
        self.seek((self._at_us // step_us + int(number(steps, "step"))) * step_us)

    def set_speed(self, speed: float) -> None:
        with self._lock:
            self._at_us, self._since_s = self.at_us(), self._clock()
            self.speed = within(speed, (SPEEDS[0], SPEEDS[-1]), "speed")
            self._changed()

    def loop(self, on: bool, start_us: float | None = None, stop_us: float | None = None) -> None:
        """Whether to begin again at the end, of a part [start, stop) or of everything."""
        with self._lock:
            self._at_us, self._since_s = self.at_us(), self._clock()
            start = (
                self.source.start_us if start_us is None else max(int(number(start_us, "time")), self.source.start_us)
            )
            stop = self.source.stop_us if stop_us is None else min(int(number(stop_us, "time")), self.source.stop_us)
            if stop <= start and (start_us, stop_us) != (None, None):
                raise OptionError("a part to loop over must have a length; drag over the timeline")
            self.looping = bool(on)
            self._part = None if start_us is None and stop_us is None else (start, stop)
            self._at_us = min(max(self._at_us, start), stop)
            self._changed()

    # --- what is shown ------------------------------------------------------------------------------

    def show(self, **values: Any) -> None:
        """Change the view: any of mode, span_us, events, polarity, tracks, tail_us, channels, membrane."""
        with self._lock:
            self.view = self.view.changed(values, self._network())
            self._changed()

    def select(self, id: int | None) -> None:
        """Highlight an object, or none."""
        with self._lock:
            self.selected = None if id is None else int(id)
            self._changed()

    def jump(self, id: int) -> None:
        """Select an object and put the cursor on it."""
        for item in self.results().get("objects", []):
            if item["id"] == id:
                self.select(id)
                if not item["from_us"] <= self.at_us() <= item["to_us"]:
                    self.seek(min(item["from_us"] + 20_000, item["to_us"]))
                return
        raise OptionError(f"object {id} is not in the table any more")

    def picture(self) -> bytes:
        """What is to be seen now, as `wire.pack` packs it."""
        with self._painting:
            with self._lock:
                at_us, view, results = self.at_us(), self.view, self._analysis.results
                region = self.settings.region
                key = (self.revision if self.playing else (at_us, view, id(results)), region)
            now = self._clock()
            if (
                self._painted is not None
                and self._painted[0] == key
                and (not self.playing or now - self._painted[1] < _FRAME_S)
            ):
                return self._painted[2]
            self._analysis.watch(at_us)
            message = paint(self.source, view, results, at_us)
            self._painted = (key, now, message)
            return message

    # --- tuning -------------------------------------------------------------------------------------

    def tune(self, **values: Any) -> None:
        """Change settings: the knobs by name, edges and names of bands, region. Raises VelocellError."""
        with self._lock:
            wanted = self.settings.changed(values, self.source.size)
            if wanted == self.settings and wanted.network is self.settings.network:
                return
            self._analysis.network(wanted).check_size(*self.source.size)
            if len(wanted.bands) != len(self.settings.bands):
                self.view = replace(self.view, channels=_final_channels(wanted.bands), membrane=None)
            self.settings = wanted
            self._changed()
            self._analysis.request(wanted, self.at_us())

    def reset(self) -> None:
        """Back to the settings it was started with; the region stays."""
        with self._lock:
            first = replace(self.initial, region=self.settings.region)
            self.view = replace(self.view, channels=_final_channels(first.bands), membrane=None)
            self.settings = first
            self._changed()
            self._analysis.request(first, self.at_us())

    def measure_curves(self) -> None:
        """Measure the tuning curves on simulated disks, in the background."""
        network = self._network()
        if network is None:
            raise OptionError("there is no network yet; wait for the first results")

        def job() -> None:
            self._analysis.doing = "measuring tuning curves"
            self._changed()
            try:
                self._measured_curves = network, describe.measured_curves(tuning(network))
            except Exception as error:  # the analysis itself goes on
                self._analysis.error = failed(error)
            self._analysis.doing = ""
            self._changed()

        self._analysis.submit(job)

    # --- labels -------------------------------------------------------------------------------------

    def mark(self, id: int, x: float, y: float, radius: float | None = None) -> None:
        """Say where the centre of an object is now."""
        with self._lock:
            size = self.settings.radius if radius is None else number(radius, "radius")
            self.labels.add(int(id), self.at_us(), number(x, "x"), number(y, "y"), size)
            self._changed()

    def unmark(self, id: int | None = None, undo: bool = False) -> None:
        """Forget the marks of an object, take the last change back, or forget all."""
        with self._lock:
            if undo:
                self.labels.undo()
            elif id is None:
                self.labels.clear()
            else:
                self.labels.remove(int(id))
            self._changed()

    # --- what a page is told ------------------------------------------------------------------------

    def facts(self) -> dict[str, Any]:
        """What does not change."""
        return describe.facts(self.source, SPEEDS)

    def state(self) -> dict[str, Any]:
        """What changes, in short."""
        with self._lock:
            analysis, results, network = self._analysis, self._analysis.results, self._network()
            settings = self.settings
            return {
                "revision": self.revision,
                "playing": self.playing,
                "t_us": self.at_us(),
                "speed": self.speed,
                "loop": self.looping,
                "span": list(self.span),
                "part": self._part is not None,
                "view": {**asdict(self.view), "channels": [list(pair) for pair in self.view.channels]},
                "settings": settings.to_dict(),
                "command": settings.command(self.source.name),
                "bands": describe.bands(settings.bands),
                "channels": describe.channels(settings.bands, network),
                "network": describe.network_facts(network),
                "measured": describe.measured(analysis.measured),
                "stamps": None if network is None else told_by_stamps(network),
                "analysed": describe.analysed(results, settings),
                "selected": self.selected,
                "labels": self.labels.to_dict(),
                "next_label": self.labels.next_id(),
                "doing": analysis.doing,
                "error": analysis.error,
                "file": self._file_state,
            }

    def results(self) -> dict[str, Any]:
        """Objects, their paths, and the activity of the bands."""
        results = self._analysis.whole
        if results is None:
            return {}
        if self._found[0] is not results:
            tracks = results.tracks()
            found = objects(tracks)
            shown = {
                "objects": object_table(found),
                "paths": object_paths(tracks, found),
                "activity": results.activity.tolist(),
            }
            self._found = (results, shown)
        return self._found[1]

    def timeline(self) -> dict[str, Any]:
        """What moves of the timeline: of a recording, nothing."""
        return {}

    def curves(self) -> dict[str, Any]:
        """Predicted tuning curves of the network on show, and the measured ones where they are its own."""
        network = self._network()
        if network is None or network.bands is None or network.radius_px is None:
            return {}
        if self._curves[0] is not network:
            self._curves = network, describe.predicted_curves(network)
        measured = self._measured_curves
        return {**self._curves[1], "measured": measured[1] if measured[0] is network else None}

    def save(self, what: str, kind: str) -> bytes:
        """A file to save: table, clip, network or labels. Raises VelocellError."""
        results = self._analysis.whole
        if what == "network":
            return export.network_toml(self._analysis.network(self.settings), self.settings, self.source)
        if what == "labels":
            meta = {"velocell": version(), "command": "view", "labels": self.source.name}
            return export.table_bytes(self.labels.tracks(self.settings.bands, self.settings.every_us, meta), kind)
        if results is None:
            raise OptionError("nothing is found yet; wait for the first results")
        if what == "table":
            return export.table(self.source, results, kind)
        if what == "clip":
            return export.clip(self.source, results, kind, *self.span, self.speed)
        raise OptionError(f"there is no '{what}' to save; use table, clip, network or labels")

    def look_after(self) -> None:
        """See whether the file is still there; to be called now and then."""
        found = self.source.check()
        if found != self._file_state:
            self._file_state = found
            self._changed()

    def handle(self, message: Any) -> None:
        """Carry out {"do": name, ...arguments}. Raises VelocellError for what cannot be understood."""
        name = message.get("do") if isinstance(message, dict) else None
        if not isinstance(name, str) or name not in self.commands:
            raise OptionError(f"the page asked for {name!r}, which is unknown; reload it")
        arguments = {key: value for key, value in message.items() if key != "do"}
        try:
            getattr(self, name)(**arguments)
        except (TypeError, ValueError, OverflowError) as error:
            raise OptionError(
                f"'{name}' was asked for with values that do not fit ({error}); reload the page"
            ) from None

    # --- inner --------------------------------------------------------------------------------------

    def _network(self) -> Network | None:
        results = self._analysis.results
        return None if results is None else results.network

    def _changed(self) -> None:
        self.revision += 1
        self._on_change()


def _final_channels(bands: Bands) -> tuple[tuple[int, int], ...]:
    """The responses that are shown at first: all bands."""
    return tuple((1, channel) for channel in range(len(bands)))


def _start_speed(source: Source) -> float:
    """Real time, or slow enough that the recording lasts five seconds."""
    seconds = (source.stop_us - source.start_us) * 1e-6
    return max((speed for speed in SPEEDS if speed <= 1 and seconds / speed >= 5), default=SPEEDS[0])


def failed(error: Exception) -> str:
    """An error as the page says it."""
    if isinstance(error, VelocellError):
        return str(error)
    if isinstance(error, MemoryError):
        return "there is not enough memory for this; choose a shorter part or a smaller region"
    return f"an internal error ({type(error).__name__}: {error}); please report it"
