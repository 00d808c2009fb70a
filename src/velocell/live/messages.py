"""One message for each object and event: appeared, crossed a line, left."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from velocell.data.tracks import Tracks
from velocell.results.counting import Crossing

_FIELDS = ("x_px", "y_px", "speed_px_s", "speed_err_px_s", "heading_deg", "radius_px", "confidence")
_REAL = ("x_mm", "y_mm", "speed_mm_s")


class Messages:
    """Fed with consecutive rows and the crossings that they complete; `send` gets lines of JSON.

    A message has: message (appeared, crossed or left), t_us, id, band, name of the band, the fields of its row and, of
    a crossing, line and direction. `left` comes once the object has been away for `gone_us`, with its last row; reason:
    `gone`, or `stopped` where the stream ended before that.
    """

    def __init__(self, send: Callable[[str], object], bands: Sequence[str], gone_us: int) -> None:
        self._send, self._bands, self._gone_us = send, tuple(bands), gone_us
        self._last: dict[int, tuple[int, dict[str, Any]]] = {}

    def feed(self, tracks: Tracks, crossed: Sequence[Crossing], now_us: int) -> None:
        lines: list[str] = []
        columns = tracks.columns()
        for row in range(len(tracks)):
            id_ = int(tracks.id[row])
            values = self._values(columns, row)
            if id_ not in self._last:
                lines.append(_line("appeared", int(tracks.t_us[row]), id_, values))
            self._last[id_] = int(tracks.t_us[row]), values
        lines += [self._crossing(crossing) for crossing in crossed]
        lines += self._gone(now_us - self._gone_us, "gone")
        if lines:
            self._send("".join(lines))

    def finish(self, crossed: Sequence[Crossing] = ()) -> None:
        """The end of the stream: nobody knows of an object that has not left whether it would have."""
        lines = [self._crossing(crossing) for crossing in crossed]
        newest_us = max((t for t, _ in self._last.values()), default=0)
        lines += self._gone(newest_us + 1, "stopped")
        if lines:
            self._send("".join(lines))

    def _gone(self, before_us: int, reason: str) -> list[str]:
        gone = sorted((t, id_) for id_, (t, _) in self._last.items() if t < before_us)
        return [_line("left", t, id_, {"reason": reason, **self._last.pop(id_)[1]}) for t, id_ in gone]

    def _crossing(self, crossing: Crossing) -> str:
        values = dict(self._last.get(crossing.id, (0, {}))[1])
        values |= {"x_px": round(crossing.x_px, 3), "y_px": round(crossing.y_px, 3), **self._band(crossing.band)}
        more = {"line": crossing.line, "direction": crossing.direction}
        return _line("crossed", round(crossing.t_us), crossing.id, {**more, **values})

    def _values(self, columns: dict[str, np.ndarray[Any, Any]], row: int) -> dict[str, Any]:
        values: dict[str, Any] = self._band(int(columns["band"][row]))
        for name in (*_FIELDS, *_REAL):
            if name in columns:
                value = float(columns[name][row])
                values[name] = round(value, 3) if math.isfinite(value) else None
        return values

    def _band(self, band: int) -> dict[str, Any]:
        return {"band": band, "name": self._bands[band] if 0 <= band < len(self._bands) else "outside"}


def _line(message: str, t_us: int, id_: int, values: dict[str, Any]) -> str:
    return json.dumps({"message": message, "t_us": t_us, "id": id_, **values}) + "\n"
