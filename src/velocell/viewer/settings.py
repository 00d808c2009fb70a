"""Everything that can be tuned on the page, with its limits, and the networks and command that follow."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from velocell.calibration.formulas import CROSSING_SHARE
from velocell.calibration.measure import networks_from
from velocell.calibration.recipe import Recipe
from velocell.calibration.search import Search
from velocell.data.bands import Bands
from velocell.data.optional import number_text, option_words
from velocell.data.recording import Recording
from velocell.data.stamps import NO_STEP, Step
from velocell.errors import OptionError
from velocell.filters.chain import Cleaning
from velocell.filters.regions import Region
from velocell.network import Network
from velocell.network.neurons import LIFBox
from velocell.results.counting import Line
from velocell.results.plane import Plane
from velocell.viewer.command import CommandParts, line_words, shape_words, source_words

MOST_BANDS = 8
_SCALE = (1e-6, 1e6)  # px per mm
_RECIPE = Recipe()
_IN_RECIPE = {
    "ring_width": "ring_width_px", "inside": "inside", "veto": "veto", "veto_reach": "veto_reach",
    "surround": "surround", "centre_px": "centre_px",
}  # fmt: skip
_FACTORS = ("threshold", "memory", "hold")
ONE_RADIUS = (*_IN_RECIPE, *_FACTORS)
"""Sliders that rest while a range of radii or a template is looked for: each of its networks has its own ring, and a
network in a file has one radius."""


@dataclass(frozen=True)
class Slider:
    """One number that can be tuned: limits, scale of its slider, and what it does, for the page."""

    label: str
    unit: str
    low: float
    high: float
    log: bool
    group: str
    hint: str
    whole: bool = False
    auto: bool = False

    def checked(self, name: str, value: Any) -> float | None:
        """The value as a number. Raises OptionError where it is not a number or lies outside the limits."""
        if value is None and self.auto:
            return None
        unit = f" {self.unit}" if self.unit else ""
        inside = within(value, (self.low, self.high), self.label, unit)
        return round(inside) if self.whole else inside


SLIDERS: dict[str, Slider] = {
    "radius": Slider("radius", "px", 1.5, 40, True, "Disk", "Radius of the disks to find."),
    "ring_width": Slider("ring width", "px", 0.5, 8, True, "Disk", "Width of the ring in which edges count."),
    "inside": Slider("weight inside", "", -3, 0, False, "Disk", "Weight of an event inside the ring."),
    "contrast": Slider(
        "contrast", "", 0.2, 30, True, "Neurons", "Events per pixel and edge crossing; auto measures it.", auto=True
    ),
    "dt_us": Slider(
        "tick dt", "us", 5, 5_000, True, "Neurons", "Time step; auto follows the fastest band.", whole=True, auto=True
    ),
    "threshold": Slider("threshold", "x", 0.3, 3, True, "Neurons", "Factor on the calibrated thresholds."),
    "memory": Slider("time constant", "x", 0.3, 4, True, "Neurons", "Factor on the calibrated time constants."),
    "veto": Slider("inhibition", "", -10, 0, False, "Selection", "Weight of a spike from a faster channel."),
    "veto_reach": Slider("its reach", "R", 0.5, 4, False, "Selection", "How far it acts, in radii."),
    "surround": Slider("smoothing", "", -1, 0, False, "Selection", "Weight of a spike around the centre."),
    "centre_px": Slider("its centre", "px", 0.8, 5, True, "Selection", "Spikes this near count for the centre."),
    "hold": Slider("hold", "x", 0.2, 4, True, "Selection", "Factor on how long inhibition lasts."),
}


@dataclass(frozen=True)
class Settings:
    """What is looked for, in which events, and what is made of it.

    search: with one template at most; its networks are used as they stand until something that they fix is tuned.
    cleaning: what the source has left out; it stays. region: (x, y, w, h) px that is tuned, None = everywhere.
    threshold, memory, hold: factors, 1 as calibrated. plane: adds real units to the table. lines: objects that cross
    them are counted. command_parts: names and words of the command line that the values do not hold. assumed: which of
    `bands` and `radius` nobody chose.
    """

    search: Search
    cleaning: Cleaning = field(default_factory=Cleaning)
    region: Region | None = None
    threshold: float = 1.0
    memory: float = 1.0
    hold: float = 1.0
    plane: Plane | None = None
    lines: tuple[Line, ...] = ()
    command_parts: CommandParts = field(default_factory=CommandParts)
    assumed: tuple[str, ...] = ()

    @property
    def bands(self) -> Bands:
        assert self.search.bands is not None  # the options bring them, or the network
        return self.search.bands

    @property
    def radius(self) -> float:
        """In px; of a range the middle, of a template the mean."""
        search = self.search
        if search.template is not None:
            return search.template.radius_px
        return math.sqrt(math.prod(search.radius)) if isinstance(search.radius, tuple) else search.radius

    @property
    def shape(self) -> str | None:
        """What is looked for in words, where it is not disks of one radius."""
        search = self.search
        if search.networks:
            return None
        if search.template is not None:
            return search.template.name
        return "{:g} to {:g} px".format(*search.radius) if isinstance(search.radius, tuple) else None

    def value(self, name: str) -> Any:
        """What a slider stands at; None leaves it to the recording."""
        if name in _IN_RECIPE:
            return getattr(self.search.recipe, _IN_RECIPE[name])
        return getattr(self.search if name in ("contrast", "dt_us") else self, name)

    def changed(self, values: Mapping[str, Any], size: tuple[int, int]) -> Settings:
        """With new values by name: the sliders, `edges`, `names`, `region`, `px_per_mm`. Raises VelocellError."""
        new: dict[str, Any] = {}
        for name, value in values.items():
            if name in SLIDERS:
                new[name] = SLIDERS[name].checked(name, value)
            elif name not in ("edges", "names", "region", "px_per_mm"):
                raise OptionError(f"there is no setting '{name}'; reload the page")
        bands = _bands(values["edges"], values.get("names"), self.bands) if "edges" in values else self.bands
        search = self._searched(new, bands)
        factors = {name: new[name] for name in _FACTORS if name in new}
        chosen = {"bands": "edges" in values, "radius": "radius" in values}
        assumed = tuple(name for name in self.assumed if not chosen[name])
        settings = replace(self, search=search, assumed=assumed, **factors)
        if "px_per_mm" in values:
            settings = settings._scaled(values["px_per_mm"])
        if "region" in values:
            region = None if values["region"] is None else _region(values["region"], size)
            settings = replace(settings, region=region)
            if region is not None and not settings.regions():
                where = ",".join(map(str, region))
                raise OptionError(f"region {where} lies outside those given with --roi; choose one inside them")
        return settings

    def _scaled(self, px_per_mm: Any) -> Settings:
        """With another scale, None for none."""
        if px_per_mm is None:
            return replace(self, plane=None, command_parts=replace(self.command_parts, plane=()))
        scale = within(px_per_mm, _SCALE, "the scale", " px/mm")
        words = ("--px-per-mm", number_text(scale))
        return replace(self, plane=Plane.of_scale(scale), command_parts=replace(self.command_parts, plane=words))

    def _searched(self, new: Mapping[str, Any], bands: Bands) -> Search:
        """The search with new values of sliders; where one changes, a given network is given up."""
        search = self.search
        if bands == search.bands and all(value == self.value(name) for name, value in new.items()):
            # A range is left for one radius by any move of its slider, if only to where it stands.
            return replace(search, radius=new["radius"], templates=()) if self.shape and "radius" in new else search
        if self.shape and "radius" not in new:
            fixed = [SLIDERS[name].label for name in new if name in ONE_RADIUS and new[name] != self.value(name)]
            if fixed:
                raise OptionError(f"{fixed[0]} can only be tuned for disks of one radius; move the radius first")
        recipe = replace(search.recipe, **{_IN_RECIPE[name]: new[name] for name in new if name in _IN_RECIPE})
        direct = {name: new[name] for name in ("radius", "contrast", "dt_us") if name in new}
        templates = () if "radius" in new else search.templates
        return replace(search, bands=bands, recipe=recipe, networks=(), templates=templates, **direct)

    def recipe(self) -> Recipe:
        """The calibration's choices, factors included."""
        recipe = self.search.recipe
        return replace(recipe, memory=recipe.memory * self.memory, hold=recipe.hold * self.hold)

    def is_plain(self) -> bool:
        """Whether the command line's own options say all of it."""
        return not self.search.networks and self.recipe() == _RECIPE and self.threshold == 1

    def networks(
        self,
        *,
        polarity: bool,
        share: float = CROSSING_SHARE,
        radius: float | None = None,
        step: Step = NO_STEP,
        ring_width_px: float | None = None,
    ) -> tuple[Network, ...]:
        """The network, or those of a range. share, radius, step of the stamps, width of the ring: as measured on the
        recording (`radius` left out: as stated).

        Raises VelocellError where none follows.
        """
        if self.search.networks:
            return self.search.networks
        recipe, size = self.recipe(), self.radius if radius is None else radius
        if ring_width_px is not None and self.search.recipe.ring_width_px == _RECIPE.ring_width_px:
            recipe = replace(recipe, ring_width_px=ring_width_px)
        search = replace(self.search, recipe=recipe)
        found = networks_from(search, size, polarity=polarity, share=share, step=step)
        return found if self.threshold == 1 else tuple(_with_thresholds(network, self.threshold) for network in found)

    def check(self, size: tuple[int, int]) -> None:
        """Raise VelocellError for regions, pixels or lines outside a sensor of (width, height)."""
        nothing = Recording.from_arrays([], [], [], width=size[0], height=size[1])
        self.cleaning.check(nothing)
        self.within(nothing)
        for line in self.lines:
            line.check(size)

    def within(self, events: Recording) -> Recording:
        """Those in the region."""
        return events if self.region is None else events.crop(*self.region)

    def seen(self, events: Recording) -> Recording:
        """What the network sees of cleaned events: region and polarity, as the command line takes them."""
        return self.search.seen(self.within(events))

    def regions(self) -> tuple[Region, ...]:
        """What is left of the cleaning's regions inside the one that is tuned; none for everywhere."""
        if self.region is None or not self.cleaning.regions:
            return self.cleaning.regions if self.region is None else (self.region,)
        both = (_common(self.region, other) for other in self.cleaning.regions)
        return tuple(region for region in both if region is not None)

    def command(self, file: str, live_size: tuple[int, int] | None = None) -> str:
        """The command line that makes the same table of a file, or, given the sensor's size, of a live source."""
        search, parts = self.search, self.command_parts
        words = source_words(file, parts, live_size)
        words += shape_words(search, parts) if self.is_plain() else ["--network", parts.network]
        named = {"--ignore": parts.ignore}
        words += option_words(search, named)
        words += option_words(replace(self.cleaning, regions=self.regions()), named)
        words += [*parts.plane, *line_words(self.lines)]
        return shlex.join([*words, "-o", "tracks.csv" if live_size is None else "tracks.jsonl"])

    def to_dict(self) -> dict[str, Any]:
        """Plain values by name, for the page and for provenance."""
        return {
            "bands": {"edges": list(self.bands.edges), "names": list(self.bands.names)},
            **{name: self.value(name) for name in SLIDERS},
            "region": None if self.region is None else list(self.region),
            "polarity": self.search.polarity,
            "every_us": self.search.every_us,
            "engine": self.search.engine,
            "mask_hot": self.cleaning.mask_hot,
            "network_file": self.command_parts.network if self.search.networks else "",
        }


def _with_thresholds(network: Network, factor: float) -> Network:
    """The first layer fires at, and resets to, `factor` times as much."""
    first, *rest = network.layers
    old = first.neurons
    neurons = LIFBox(old.tau_mem_inv, factor * old.v_th, old.v_leak, factor * old.v_reset)
    origin = replace(network.origin, threshold_factor=factor * network.origin.threshold_factor)
    return replace(network, layers=(replace(first, neurons=neurons), *rest), origin=origin)


def sliders() -> list[dict[str, Any]]:
    """The sliders as the page needs them, in order, each with the value that a calibration uses."""
    defaults = Settings(Search(Bands((1.0, 2.0))))
    return [
        {"name": name, "default": defaults.value(name), **{f.name: getattr(slider, f.name) for f in fields(Slider)}}
        for name, slider in SLIDERS.items()
    ]


def _bands(edges: Any, names: Any, now: Bands) -> Bands:
    if not isinstance(edges, list):
        raise OptionError(f"bands must be a list of speeds in px/s, got {edges!r}")
    edges = [number(edge, "an edge of a band") for edge in edges]
    if len(edges) > MOST_BANDS + 1:
        raise OptionError(f"the page shows at most {MOST_BANDS} bands, got {len(edges) - 1}; remove an edge")
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return Bands(tuple(edges), tuple(names))
    return Bands(tuple(edges), now.names if len(edges) == len(now.edges) else ())


def _common(one: Region, other: Region) -> Region | None:
    """Where both are."""
    x0, y0 = (max(one[k], other[k]) for k in (0, 1))
    x1, y1 = (min(one[k] + one[k + 2], other[k] + other[k + 2]) for k in (0, 1))
    return (x0, y0, x1 - x0, y1 - y0) if x1 > x0 and y1 > y0 else None


def _region(value: Any, size: tuple[int, int]) -> Region:
    if not isinstance(value, list) or len(value) != 4 or not all(isinstance(v, int | float) for v in value):
        raise OptionError(f"a region is x, y, width, height in px, got {value!r}")
    x, y, w, h = (math.floor(number(v, "a region's edge")) for v in value)
    if w < 1 or h < 1 or x < 0 or y < 0 or x + w > size[0] or y + h > size[1]:
        raise OptionError(
            f"region {x},{y},{w},{h} reaches outside the {size[0]}x{size[1]} sensor; choose one inside it"
        )
    return x, y, w, h


def number(value: Any, what: str) -> float:
    """A finite number. Raises OptionError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise OptionError(f"{what} must be a number, got {value!r}")
    return float(value)


def within(value: Any, limits: tuple[float, float], what: str, unit: str = "") -> float:
    """A number within its limits. Raises OptionError."""
    low, high = limits
    if not low <= number(value, what) <= high:
        raise OptionError(f"{what} {value:g}{unit} is outside {low:g} to {high:g}{unit}; choose a value in that range")
    return float(value)
