"""What a session holds for one kind of source: `RECORDING` here, `STREAM` in `following.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from velocell.viewer.analysis import Analysis, Recorded
from velocell.viewer.player import Clock, OnChange, Player, Plays
from velocell.viewer.run import Results
from velocell.viewer.settings import Settings
from velocell.viewer.source import Source


class Page(Protocol):
    """What a page gets of one kind of source. table_s: while the cursor follows, the table is made at most so
    often."""

    table_s: float

    def facts(self, results: Results | None) -> dict[str, Any]: ...
    def state(self, settings: Settings, player: Plays, analysis: Analysis) -> dict[str, Any]: ...
    def timeline(self, results: Results | None) -> dict[str, Any]:
        """What moves of the timeline."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Kind:
    """What a session holds for one kind of source: an analysis, a player, a page."""

    analysis: Callable[[Any, Callable[[], None]], Analysis]
    player: Callable[..., Plays]
    page: Callable[[Any], Page]


class RecordingPage:
    """Of a recording nothing moves."""

    table_s = 0.0

    def __init__(self, source: Source) -> None:
        self._source = source

    def facts(self, results: Results | None) -> dict[str, Any]:
        return {}

    def state(self, settings: Settings, player: Plays, analysis: Analysis) -> dict[str, Any]:
        return {"command": settings.command(self._source.name)}

    def timeline(self, results: Results | None) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        pass


def _analysis(source: Source, on_change: Callable[[], None]) -> Analysis:
    return Analysis(source, Recorded(source), on_change)


def _player(source: Source, analysis: Analysis, *, playing: bool, clock: Clock, on_change: OnChange) -> Plays:
    return Player(source, playing=playing, clock=clock, on_change=on_change)


RECORDING = Kind(_analysis, _player, RecordingPage)
