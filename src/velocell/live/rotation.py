"""When an output's file ends and a new one begins."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from threading import Event

from velocell.data.units import parse_time_us
from velocell.errors import OptionError

_BYTES = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


@dataclass
class Rotation:
    """every_s, bytes: a file's longest time and size, None for any. now: set where it has to be at once (SIGHUP)."""

    every_s: float | None = None
    bytes: int | None = None
    now: Event = field(default_factory=Event)

    @staticmethod
    def parse(text: str | None) -> Rotation:
        """`1h`, `30min`, `1GB`, or both: `1h,1GB`. Raises OptionError."""
        every_s: float | None = None
        most: int | None = None
        for part in [] if text is None else text.split(","):
            size = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(kB|MB|GB|TB)\s*", part)
            hours = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(h|d)\s*", part)
            if size is not None:
                most = round(float(size[1]) * _BYTES[size[2]])
            elif hours is not None:
                every_s = float(hours[1]) * (3600 if hours[2] == "h" else 86400)
            else:
                try:
                    every_s = parse_time_us(part) / 1e6
                except OptionError:
                    raise OptionError(f"--rotate '{text}' must be a time or a size, such as 1h or 1GB") from None
        if every_s == 0 or most == 0:
            raise OptionError(f"--rotate '{text}' must be more than 0")
        return Rotation(every_s, most)

    @property
    def asked(self) -> bool:
        return self.every_s is not None or self.bytes is not None

    def due(self, size: int, age_s: float) -> bool:
        """Whether a file of that size and age has to end; that it was asked for is forgotten then."""
        if self.now.is_set():
            self.now.clear()
            return True
        return (self.bytes is not None and size >= self.bytes) or (self.every_s is not None and age_s >= self.every_s)
