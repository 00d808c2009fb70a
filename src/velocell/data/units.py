"""Times, sizes and bands as people write them; time itself is always integer microseconds."""

import re
import time
from decimal import Decimal

import numpy as np

from velocell.errors import OptionError

_TIME_UNITS_US = {"us": 1, "µs": 1, "ms": 1_000, "s": 1_000_000, "min": 60_000_000}


def utc_now() -> str:
    """The time of day, such as `2026-11-29T04:15:00.123Z`."""
    seconds, ms = divmod(time.time_ns() // 1_000_000, 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{ms:03d}Z"


def parse_time_us(text: str) -> int:
    """`"5ms"`, `"1.2s"`, `"250us"` -> microseconds (int). A number without a unit is refused."""
    match = re.fullmatch(r"\s*([+-]?\d{1,25}(?:\.\d{0,25})?|\.\d{1,25})\s*(us|µs|ms|s|min)\s*", text)
    if match is None:
        raise OptionError(f"'{text}' is not a time; write a number with us, ms, s or min, such as 5ms")
    # Decimal: a double has no room for microseconds since 1970 written in seconds.
    value_us = Decimal(match[1]) * _TIME_UNITS_US[match[2]]
    rounded = round(value_us)
    if value_us != rounded:
        raise OptionError(f"'{text}' is not a whole number of microseconds; round it to 1us")
    return rounded


def format_time(us: int) -> str:
    """Microseconds -> the shortest exact text that `parse_time_us` reads back."""
    for unit in ("s", "ms"):
        if us % _TIME_UNITS_US[unit] == 0:
            return f"{us // _TIME_UNITS_US[unit]}{unit}"
    return f"{us}us"


def parse_numbers(text: str, what: str) -> tuple[float, ...]:
    """`"16,62,177"` -> floats; `what` names the option in the error."""
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise OptionError(f"{what} '{text}' must be numbers separated by commas") from None
    if not np.all(np.isfinite(values)):
        raise OptionError(f"{what} '{text}' must be finite numbers")
    return values


def parse_size(text: str) -> tuple[int, int]:
    """`"640x480"` -> (width, height) in pixels."""
    match = re.fullmatch(r"\s*(\d{1,9})\s*[xX]\s*(\d{1,9})\s*", text)
    if match is None or int(match[1]) < 1 or int(match[2]) < 1:
        raise OptionError(f"sensor size '{text}' must be WIDTHxHEIGHT in pixels, such as 640x480")
    return int(match[1]), int(match[2])


def parse_region(text: str) -> tuple[int, int, int, int]:
    """`"x,y,w,h"` -> four ints, in pixels."""
    values = parse_numbers(text, "region")
    if len(values) != 4 or any(v != int(v) for v in values) or values[2] < 1 or values[3] < 1:
        raise OptionError(f"region '{text}' must be x,y,w,h in whole pixels with w, h of at least 1")
    x, y, w, h = (int(v) for v in values)
    return x, y, w, h
