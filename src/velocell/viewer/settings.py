"""Everything that can be tuned on the page, with its limits, and the network and command that follow."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from velocell.calibration.formulas import CROSSING_SHARE, calibrate
from velocell.calibration.recipe import Recipe
from velocell.data.bands import Bands
from velocell.data.recording import Polarity
from velocell.data.stamps import NO_STEP, Step
from velocell.data.units import format_time
from velocell.errors import OptionError
from velocell.network import Network
from velocell.network.neurons import LIFBox

Region = tuple[int, int, int, int]

MOST_BANDS = 8
_RECIPE = Recipe()


@dataclass(frozen=True)
class Knob:
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
        """The value as a number. Raises OptionError where it is none or lies outside the limits."""
        if value is None and self.auto:
            return None
        unit = f" {self.unit}" if self.unit else ""
        inside = within(value, (self.low, self.high), self.label, unit)
        return round(inside) if self.whole else inside


KNOBS: dict[str, Knob] = {
    "radius": Knob("radius", "px", 1.5, 40, True, "Disk", "Radius of the disks looked for."),
    "ring_width": Knob("ring width", "px", 0.5, 8, True, "Disk", "Width of the ring in which edges count."),
    "inside": Knob("weight inside", "", -3, 0, False, "Disk", "What an event inside the ring counts."),
    "contrast": Knob(
        "contrast", "", 0.2, 30, True, "Neurons", "Events per pixel and edge crossing; auto measures it.", auto=True
    ),
    "dt_us": Knob(
        "tick dt", "us", 5, 5_000, True, "Neurons", "Time step; auto follows the fastest band.", whole=True, auto=True
    ),
    "threshold": Knob("threshold", "x", 0.3, 3, True, "Neurons", "Factor on the calibrated thresholds."),
    "memory": Knob("time constant", "x", 0.3, 4, True, "Neurons", "Factor on the calibrated time constants."),
    "veto": Knob("inhibition", "", -10, 0, False, "Selection", "What a spike of a faster channel counts."),
    "veto_reach": Knob("its reach", "R", 0.5, 4, False, "Selection", "How far it acts, in radii."),
    "surround": Knob("smoothing", "", -1, 0, False, "Selection", "What a spike around the centre counts."),
    "centre_px": Knob("its centre", "px", 0.8, 5, True, "Selection", "Spikes this near count for the centre."),
    "hold": Knob("hold", "x", 0.2, 4, True, "Selection", "Factor on how long inhibition lasts."),
}


@dataclass(frozen=True)
class Settings:
    """What is looked for. Factors (threshold, memory, hold) are 1 as calibrated; the rest as in `Recipe`.

    region: (x, y, w, h) px, None = everywhere. every_us: reporting interval. mask_hot: whether the recording is
    shown without its hot pixels. network: a given one, used
    as it stands until something that it fixes is tuned.
    """

    bands: Bands
    radius: float = 5.0
    contrast: float | None = None
    dt_us: int | None = None
    ring_width: float = _RECIPE.ring_width_px
    inside: float = _RECIPE.inside
    threshold: float = 1.0
    memory: float = 1.0
    veto: float = _RECIPE.veto
    veto_reach: float = _RECIPE.veto_reach
    surround: float = _RECIPE.surround
    centre_px: float = _RECIPE.centre_px
    hold: float = 1.0
    region: Region | None = None
    polarity: Polarity = "merge"
    every_us: int = 5_000
    mask_hot: bool = True
    network: Network | None = field(default=None, compare=False)
    network_file: str = ""

    def changed(self, values: Mapping[str, Any], size: tuple[int, int]) -> Settings:
        """With new values by name: the knobs, `edges`, `names`, `region`. Raises VelocellError."""
        new: dict[str, Any] = {}
        for name, value in values.items():
            if name in KNOBS:
                new[name] = KNOBS[name].checked(name, value)
            elif name == "region":
                new["region"] = None if value is None else _region(value, size)
            elif name not in ("edges", "names"):
                raise OptionError(f"there is no setting '{name}'; reload the page")
        if "edges" in values:
            new["bands"] = _bands(values["edges"], values.get("names"), self.bands)
        if any(name != "region" and value != getattr(self, name) for name, value in new.items()):
            new |= {"network": None, "network_file": ""}
        return replace(self, **new)

    def recipe(self) -> Recipe:
        return replace(
            _RECIPE,
            ring_width_px=self.ring_width,
            inside=self.inside,
            memory=_RECIPE.memory * self.memory,
            hold=_RECIPE.hold * self.hold,
            centre_px=self.centre_px,
            surround=self.surround,
            veto=self.veto,
            veto_reach=self.veto_reach,
        )

    def is_plain(self) -> bool:
        """Whether the command line's own options say all of it."""
        return self.network is None and self.recipe() == _RECIPE and self.threshold == 1

    def build(
        self,
        *,
        polarity: bool,
        share: float = CROSSING_SHARE,
        radius: float | None = None,
        step: Step = NO_STEP,
        ring_width_px: float | None = None,
    ) -> Network:
        """The network. share, radius, step of the stamps, width of the ring: as measured on the recording (`radius`
        and a ring that was set by hand: as stated).

        Raises VelocellError where none follows.
        """
        if self.network is not None:
            return self.network
        recipe = self.recipe()
        if ring_width_px is not None and self.ring_width == _RECIPE.ring_width_px:
            recipe = replace(recipe, ring_width_px=ring_width_px)
        seen = step.for_speeds(self.bands.edges[-1])
        network = calibrate(
            self.bands,
            self.radius if radius is None else radius,
            contrast=self.contrast,
            dt_us=self.dt_us,
            polarity=polarity,
            crossing_share=share,
            recipe=recipe,
            step_us=seen.us,
            scanned=bool(seen.scanned),
        )
        return network if self.threshold == 1 else _with_thresholds(network, self.threshold)

    def command(self, file: str, live_size: tuple[int, int] | None = None) -> str:
        """The command line that makes the same table of a file, or, given the sensor's size, of a live source
        (there without the region)."""
        words = ["velocell", "detect" if live_size is None else "live", file]
        if live_size is not None and not file.startswith("replay:"):
            words += ["--size", "{}x{}".format(*live_size)]
        if self.is_plain():
            words += ["--bands", ",".join(f"{edge:g}" for edge in self.bands.edges)]
            if self.bands.names != Bands(self.bands.edges).names:
                words += ["--band-names", ",".join(self.bands.names)]
            words += ["--radius", f"{self.radius:g}"]
            if self.contrast is not None:
                words += ["--contrast", f"{self.contrast:g}"]
            if self.dt_us is not None:
                words += ["--dt", format_time(self.dt_us)]
        else:
            words += ["--network", self.network_file or "net.toml"]
        if self.polarity != "merge":
            words += ["--polarity", self.polarity]
        if not self.mask_hot:
            words.append("--no-mask-hot")
        if self.region is not None and live_size is None:
            words += ["--roi", ",".join(map(str, self.region))]
        if self.every_us != 5_000:
            words += ["--every", format_time(self.every_us)]
        return shlex.join([*words, "-o", "tracks.csv" if live_size is None else "tracks.jsonl"])

    def to_dict(self) -> dict[str, Any]:
        """Plain values by name, for the page and for provenance."""
        named: dict[str, Callable[[], Any]] = {
            "bands": lambda: {"edges": list(self.bands.edges), "names": list(self.bands.names)},
            "network": lambda: None,
            "region": lambda: None if self.region is None else list(self.region),
        }
        plain = {f.name: named.get(f.name, lambda f=f: getattr(self, f.name))() for f in fields(self)}
        del plain["network"]
        return plain


def _with_thresholds(network: Network, factor: float) -> Network:
    """The first layer fires at, and resets to, `factor` times as much."""
    first, *rest = network.layers
    old = first.neurons
    neurons = LIFBox(old.tau_mem_inv, factor * old.v_th, old.v_leak, factor * old.v_reset)
    origin = replace(network.origin, threshold_factor=factor * network.origin.threshold_factor)
    return replace(network, layers=(replace(first, neurons=neurons), *rest), origin=origin)


def knobs() -> list[dict[str, Any]]:
    """The knobs as the page needs them, in order, each with the value that a calibration uses."""
    defaults = Settings(Bands((1.0, 2.0)))
    return [
        {"name": name, "default": getattr(defaults, name), **{f.name: getattr(knob, f.name) for f in fields(Knob)}}
        for name, knob in KNOBS.items()
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


def _region(value: Any, size: tuple[int, int]) -> Region:
    if not isinstance(value, list) or len(value) != 4 or not all(isinstance(v, int | float) for v in value):
        raise OptionError(f"a region is x, y, width, height in px, got {value!r}")
    x, y, w, h = (math.floor(number(v, "a region's edge")) for v in value)
    if w < 1 or h < 1 or x < 0 or y < 0 or x + w > size[0] or y + h > size[1]:
        raise OptionError(f"region {x},{y},{w},{h} reaches outside the {size[0]}x{size[1]} sensor; choose it within")
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
        raise OptionError(f"{what} {value:g}{unit} is outside {low:g} to {high:g}{unit}; choose it within")
    return float(value)
