"""The rules of the tracker: every threshold and memory, with its value, unit, meaning and limits.

Only this package has them: those by which one object is followed in `following`, those by which there are objects
and something is reported of them in `reporting`; here they are one, with what is made of them. The C++ core
(`native/tracker/rules.hpp`) lists the names alone and is given the values, so that a new rule is a field here, a name
there, and the line that uses it. The formulas that several rules make (`Rules.wide_gate`) are written in the core and
asked for from here.

Most lengths are pixels of travel and not times: an object ten times as fast is followed by the same rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from velocell.errors import OptionError
from velocell.tracking.rules.following import Following
from velocell.tracking.rules.reporting import EVERY_RATIO, NEVER_SIGMAS, Reporting
from velocell.tracking.rules.rule import UNITS, checked

__all__ = ["ANSWER_SPIKES", "DEFAULTS", "EVERY_RATIO", "JUDGED_PX", "NEVER_SIGMAS", "UNITS", "Rules"]

ANSWER_SPIKES = 2
"""Spikes of a channel over `vote_memory_px` of travel that count as an answer, where answers are counted: a lone one
does not. The tracker has no such limit, it weighs all votes."""

JUDGED_PX = 10.0
"""`quiet_px`, at most, where networks are judged by what they answer, and where these were not calibrated."""


# The first must be less than the second, whatever their own limits allow.
_INCREASING = (
    ("short_memory_px", "long_memory_px"),
    ("least_memory_px", "long_memory_px"),
    ("long_memory_px", "curve_memory_px"),
    ("min_event_density", "max_event_density"),
)


@dataclass(frozen=True)
class Rules(Reporting, Following):  # in this order the fields of the last come first
    """Thresholds and memories of the tracker; `dataclasses.fields` gives each with group, unit, limits and meaning.

    A memory is the travel (px) after which a weight has fallen to 1/e. A track is tentative until it is confirmed:
    only then does it get an id and rows. Support is the number of events on its ring lately, as a share of its usual
    number per px of travel. Raises OptionError where a value is not a finite number or beyond its limits.
    """

    def __post_init__(self) -> None:
        for rule in fields(self):
            object.__setattr__(self, rule.name, checked(rule, getattr(self, rule.name)))
        for less, more in _INCREASING:
            if getattr(self, less) >= getattr(self, more):
                raise OptionError(
                    f"rule {less} is {getattr(self, less):g} and {more} {getattr(self, more):g}; "
                    f"{less} must be the smaller one"
                )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Rules:
        """Rules by name, the others as usual. Raises OptionError for a name that no rule has, and for a bad value."""
        return replace(cls(), **{_known(name): value for name, value in values.items()})

    def to_dict(self) -> dict[str, float]:
        """All rules by name."""
        return {rule.name: getattr(self, rule.name) for rule in fields(self)}

    @classmethod
    def parse(cls, texts: str | Sequence[str]) -> Rules:
        """Rules from texts such as "coast_px=6", or several in one, "coast_px=6,confirm_spikes=8"; the others as usual.

        Raises OptionError for a text of another form, a rule given twice, and as `from_dict`.
        """
        found: dict[str, float] = {}
        for name, value in _pairs([texts] if isinstance(texts, str) else texts):
            if name in found:
                raise OptionError(f"rule {name} is given twice; give it once")
            found[name] = value
        return cls.from_dict(found)

    def by_neurons(self, quiet_px: float | None = None) -> Rules:
        """The same, but a row has the band that the neurons voted for, whatever its speed: to compare networks.
        quiet_px: at most; where the answers are judged, an object of which they say nothing any more has no rows."""
        quiet_px = self.quiet_px if quiet_px is None else min(self.quiet_px, quiet_px)
        return replace(self, own_band_sigmas=NEVER_SIGMAS, changed_band_sigmas=NEVER_SIGMAS, quiet_px=quiet_px)

    def for_all_networks(self) -> Rules:
        """The same, but each of several networks sees all events, whatever is followed."""
        return replace(self, allot_ratio=EVERY_RATIO)

    def wide_gate(self, radius_px: float) -> float:
        """px from the ring of an object of this radius within which an event is the object's."""
        return float(_native(self).wide_gate(radius_px))


@lru_cache(maxsize=16)
def _native(rules: Rules) -> Any:
    """The core's own. Calibration asks thousands of times."""
    from velocell._native import Rules as NativeRules

    return NativeRules(rules.to_dict())


def _known(name: str) -> str:
    """The name, if it is a rule's."""
    names = [rule.name for rule in fields(Rules)]
    if name not in names:
        closest = get_close_matches(str(name), names, 1, cutoff=0)[0]
        raise OptionError(f"there is no rule {name!r}; the closest name is {closest}")
    return name


def _pairs(texts: Iterable[str]) -> Iterable[tuple[str, float]]:
    for text in (part for whole in texts for part in whole.split(",")):
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise OptionError(f"rule {text!r} is not of the form NAME=VALUE; write it as coast_px=6")
        try:
            yield _known(name), float(value)
        except ValueError:
            raise OptionError(f"rule {name} is {value!r}; it must be a finite number") from None


DEFAULTS = Rules()
