"""The settings that hold, and how a page changes them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from velocell.viewer.analysis import Analysis
from velocell.viewer.settings import Settings
from velocell.viewer.view import Shown


class Tuning:
    """initial: the settings it was started with. use: is called with others; analyses with them."""

    commands = ("tune", "reset")

    def __init__(
        self,
        settings: Settings,
        size: tuple[int, int],
        analysis: Analysis,
        shown: Shown,
        use: Callable[[Settings], object],
    ) -> None:
        self.initial = self.settings = settings
        self._size, self._analysis, self._shown, self._use = size, analysis, shown, use
        self._lock = threading.Lock()

    def tune(self, **values: Any) -> None:
        """Change settings: values of the sliders by name, edges and names of bands, region. Raises VelocellError."""
        with self._lock:
            wanted = self.settings.changed(values, self._size)
            if wanted == self.settings:
                return
            self._analysis.networks(wanted)[-1].check_size(*self._size)
            if len(wanted.bands) != len(self.settings.bands):
                self._shown.answers(wanted.bands)
            self.settings = wanted
            self._use(wanted)

    def reset(self) -> None:
        """Back to the settings it was started with; the region stays."""
        with self._lock:
            first = replace(self.initial, region=self.settings.region)
            self._shown.answers(first.bands)
            self.settings = first
            self._use(first)
