"""One rule: a number with its unit, its limits and what it means."""

from __future__ import annotations

import math
import numbers
from dataclasses import Field, field
from typing import Any

from velocell.errors import OptionError

UNITS = {
    "px": "_px",
    "px^2": "_px2",
    "s": "_s",
    "radii": "_radii",
    "edges": "_edges",
    "sigmas": "_sigmas",
    "events": "_events",
    "spikes": "_spikes",
    "tracks": "_tracks",
    "": "",
}
"""Units of rules and how the names of such rules end. radii: of the object; edges: of the band edge."""


def rule_field(default: float, unit: str, least: float, most: float, doc: str, *, group: str) -> Any:
    """A field of `Rules`. unit: of `UNITS`. least, most: limits, both allowed. doc: one sentence."""
    return field(
        default=default,
        metadata={"group": group, "unit": unit, "least": least, "most": most, "doc": " ".join(doc.split())},
    )


def checked(rule: Field[Any], value: Any) -> float:
    """The value as that rule's, an int or a float as its default is."""
    about = rule.metadata
    unit = f" {about['unit']}" if about["unit"] else ""
    try:
        number = float(value) if isinstance(value, numbers.Real) and not isinstance(value, bool) else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise OptionError(f"rule {rule.name} is {value!r}; it must be a finite number")
    if not about["least"] <= number <= about["most"]:
        raise OptionError(
            f"rule {rule.name} is {number:g}{unit}; it must be {about['least']:g} to {about['most']:g}{unit}"
        )
    if not isinstance(rule.default, int):
        return number
    if not number.is_integer():
        raise OptionError(f"rule {rule.name} is {number:g}{unit}; it must be a whole number")
    return int(number)
