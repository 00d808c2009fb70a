"""`Session`: everything the page shows and can change, without any transport.

All tabs share one session: what is changed in one is seen in the others, and a page that is loaded
again finds what it left. A page asks for pictures one at a time, so a slow or lost one holds nothing up.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from velocell.errors import OptionError
from velocell.viewer import describe, export
from velocell.viewer.curves import Curves
from velocell.viewer.kind import RECORDING, Kind
from velocell.viewer.marks import Labels
from velocell.viewer.object_table import ObjectTable
from velocell.viewer.player import SPEEDS, Clock
from velocell.viewer.settings import Settings, number
from velocell.viewer.source import Source
from velocell.viewer.tuning import Tuning
from velocell.viewer.view import Shown

COMMANDS = ("step", "jump", "mark", "unmark")
"""What a page can ask of the session; the rest it asks of what the session holds."""


class Session:
    """One source on show. `handle` carries out what a page asks for.

    Wrong values raise VelocellError and change nothing. Times in microseconds of the file's clock.
    `revision` grows with every change; `on_change` is called then, from any thread.
    """

    def __init__(
        self,
        source: Source,
        settings: Settings,
        *,
        kind: Kind = RECORDING,
        playing: bool = False,
        on_change: Callable[[], None] = lambda: None,
        clock: Clock = time.monotonic,
    ) -> None:
        settings.check(source.size)
        self.source, self.revision, self.labels = source, 0, Labels(source.size)
        self._on_change, self._lock = on_change, threading.RLock()
        self._file_state: str | None = None
        settings.networks(polarity=source.polarity)[-1].check_size(*source.size)
        self._analysis = kind.analysis(source, self._changed)
        self._page = kind.page(source)
        self.player = kind.player(source, self._analysis, playing=playing, clock=clock, on_change=self._changed)
        self.shown = Shown(source, self._analysis, settings.bands, clock=clock, on_change=self._changed)
        self.tuning = Tuning(settings, source.size, self._analysis, self.shown, self._use)
        self._curves, self._table = Curves(self._analysis, self._changed), ObjectTable(self._page.table_s)
        held: tuple[tuple[Any, Iterable[str]], ...] = (
            (self, COMMANDS), (self.player, self.player.commands), (self.shown, Shown.commands),
            (self.tuning, Tuning.commands), (self._curves, Curves.commands),
        )  # fmt: skip
        self._commands = {name: getattr(holder, name) for holder, names in held for name in names}
        self._use(settings)

    def close(self) -> None:
        """Stop the background work."""
        self._page.close()
        self._analysis.close()

    @property
    def settings(self) -> Settings:
        """Those that hold."""
        return self.tuning.settings

    def at_us(self) -> int:
        """Where the cursor stands now."""
        return self.player.at_us()

    def step(self, steps: int, fine: bool = False) -> None:
        """Pause, and move by reporting intervals, or by ticks (`fine`)."""
        self.player.pause()
        results = self._analysis.results
        network = None if results is None else results.network
        step_us = network.dt_us if fine and network is not None else self.settings.search.every_us
        self.player.seek((self.at_us() // step_us + int(number(steps, "step"))) * step_us)
        self._watch()

    def jump(self, id: int) -> None:
        """Select an object and put the cursor on it."""
        for item in self.results().get("objects", []):
            if item["id"] == id:
                self.shown.select(id)
                if not item["from_us"] <= self.at_us() <= item["to_us"]:
                    self.player.seek(min(item["from_us"] + 20_000, item["to_us"]))
                    self._watch()
                return
        raise OptionError(f"object {id} is not in the table any more")

    def picture(self) -> bytes:
        """What is to be seen now, as `wire.pack` packs it."""
        return self.shown.picture(self.player, self.settings, self.revision)

    def mark(self, id: int, x: float, y: float, radius: float | None = None) -> None:
        """Say where the centre of an object is now."""
        with self._lock:
            size = self.settings.radius if radius is None else number(radius, "radius")
            self.labels.add(int(id), self.at_us(), number(x, "x"), number(y, "y"), size)
            self._changed()

    def unmark(self, id: int | None = None, undo: bool = False) -> None:
        """Forget the marks of an object, take the last change back, or forget all."""
        with self._lock:
            self.labels.forget(id, undo)
            self._changed()

    # --- what a page gets ---------------------------------------------------------------------------

    def facts(self) -> dict[str, Any]:
        """What does not change."""
        return {**describe.facts(self.source, self.settings, SPEEDS), **self._page.facts(self._analysis.whole)}

    def state(self) -> dict[str, Any]:
        """What changes, in short."""
        with self._lock:
            return {
                "revision": self.revision,
                **self.player.state(),
                **self.shown.state(),
                **describe.analysis(self._analysis, self.settings),
                "labels": self.labels.to_dict(),
                "next_label": self.labels.next_id(),
                "file": self._file_state,
                **self._page.state(self.settings, self.player, self._analysis),
            }

    def results(self) -> dict[str, Any]:
        """Objects, their paths, and the activity of the bands."""
        return self._table.of(self._analysis.whole, (self.player.following, self.settings), self.source.size)

    def timeline(self) -> dict[str, Any]:
        """What moves of the timeline."""
        return self._page.timeline(self._analysis.whole)

    def curves(self) -> dict[str, Any]:
        """Predicted tuning curves of the network on show, and the measured ones where they are its own."""
        return self._curves.of(self._analysis.results)

    def save(self, what: str, kind: str) -> bytes:
        """A file to save: table, counts, clip, network or labels. Raises VelocellError."""
        results, settings = self._analysis.whole, self.settings
        if what == "network":
            return export.network_toml(self._analysis.networks(settings), settings, self.source)
        if what == "labels":
            return export.labels(self.labels, settings, self.source, kind)
        return export.found(what, kind, self.source, results, self.player.span, self.player.speed)

    def look_after(self) -> None:
        """See whether the file is still there; to be called now and then."""
        found = self.source.check()
        if found != self._file_state:
            self._file_state = found
            self._changed()

    def handle(self, message: Any) -> None:
        """Carry out {"do": name, ...arguments}. Raises VelocellError for what cannot be understood."""
        name = message.get("do") if isinstance(message, dict) else None
        if not isinstance(name, str) or name not in self._commands:
            raise OptionError(f"the page sent the unknown command {name!r}; reload it")
        arguments = {key: value for key, value in message.items() if key != "do"}
        try:
            self._commands[name](**arguments)
        except (TypeError, ValueError, OverflowError) as error:
            raise OptionError(f"the command '{name}' has wrong values ({error}); reload the page") from None
        self._watch()

    # --- inner --------------------------------------------------------------------------------------

    def _use(self, settings: Settings) -> None:
        self._changed()
        at_us = self.at_us()
        self._analysis.request(settings, None if self.player.following else at_us)

    def _watch(self) -> None:
        at_us = self.at_us()
        self._analysis.watch(None if self.player.following else at_us)

    def _changed(self) -> None:
        self.revision += 1
        self._on_change()
