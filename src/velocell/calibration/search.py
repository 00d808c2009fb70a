"""`Search`: what to look for, in one value that the library, the command line, streams and the page share."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from velocell.calibration.recipe import Recipe, bank_radii, bank_recipe
from velocell.data.bands import Bands
from velocell.data.optional import Text, number_text, optional
from velocell.data.recording import Polarity, Recording
from velocell.data.units import format_time
from velocell.errors import CalibrationError, OptionError
from velocell.network import Network
from velocell.network.template import Template
from velocell.tracking.detector import as_networks
from velocell.tracking.online import EVERY_US, Online
from velocell.tracking.rules import DEFAULTS, Rules


@dataclass(frozen=True)
class Search:
    """What to look for, and how.

    bands: speeds in px/s. radius: of the disks in px, or a range (smallest, largest). templates: other shapes to look
    for, instead of disks, one after the other. contrast: events per pixel and edge crossing, None to measure it and
    the radius on the recording. dt_us: the tick, None to follow the bands. recipe: the free choices of the
    calibration. networks: ready ones, instead of calibrating. polarity: which events count (`seen`).
    every_us: reporting interval. engine: by name. rules: of the tracker.

    Raises VelocellError for values from which nothing can follow.
    """

    bands: Bands | None
    radius: float | tuple[float, float] = 5.0
    contrast: float | None = None
    dt_us: int | None = None
    templates: tuple[Template, ...] = ()
    networks: tuple[Network, ...] = ()
    polarity: Polarity = optional("--polarity", lambda v: [] if v == "merge" else [v], default="merge")
    every_us: int = optional("--every", lambda v: [] if v == EVERY_US else [format_time(v)], default=EVERY_US)
    rules: Rules = optional("--rule", lambda v: _rule_texts(v), default=DEFAULTS)
    engine: str = optional("--engine", lambda v: [] if v == "native" else [v], default="native")
    recipe: Recipe = Recipe()

    def __post_init__(self) -> None:
        if self.every_us < 1:
            raise OptionError(f"the reporting interval must be at least 1 us, got {self.every_us}")
        if self.bands is None and not self.networks:
            raise OptionError("detection needs speed bands or a network; give --bands or --network")
        if isinstance(self.radius, tuple):
            bank_radii(*self.radius)  # a wrong range is told before the work

    @staticmethod
    def of(
        bands: Bands | Sequence[float] | None,
        radius: float | tuple[float, float] = 5.0,
        *,
        template: Template | None = None,
        network: Network | Sequence[Network] | None = None,
        keep_s: float | None = None,
        **more: Any,
    ) -> Search:
        """From values as users write them; more: further fields by name. A network brings its own bands, and keep_s
        goes before that of the rules."""
        networks = () if network is None else as_networks(network)
        wanted = bands if bands is None or isinstance(bands, Bands) else Bands(tuple(bands))
        known = networks[0].bands if networks else wanted
        templates = () if template is None else (template,)
        if keep_s is not None:
            more["rules"] = replace(more.get("rules", DEFAULTS), keep_s=keep_s)
        return Search(known, radius, templates=templates, networks=networks, **more)

    @property
    def measures(self) -> bool:
        """Whether contrast and radius are to be measured on the recording."""
        return not self.networks and self.contrast is None

    @property
    def template(self) -> Template | None:
        """The one shape to look for, None for disks; of several, see `each`."""
        return self.templates[0] if self.templates else None

    @property
    def start_px(self) -> float:
        """The stated radius, from which the measured one may differ; 0 where none is measured: for a template or a
        range."""
        return 0.0 if self.templates or isinstance(self.radius, tuple) else self.radius

    def check_size(self, width: int, height: int) -> None:
        """Raise CalibrationError where the largest disks' kernel does not fit the sensor; before any work, which for
        networks of that size takes long."""
        if self.networks or self.templates:
            return  # these have kernels of their own
        radii = self.radius if isinstance(self.radius, tuple) else (self.radius,)
        recipe = bank_recipe(max(radii)) if len(radii) > 1 else self.recipe
        reach = max(radii) + recipe.ring_width_px * (1.5 if recipe.outside else 0.5)
        side = 2 * math.ceil(reach - 0.5) + 1
        if side > min(width, height):
            raise CalibrationError(
                f"a radius of {max(radii):g} px needs kernels of {side}x{side} px, larger than the {width}x{height} "
                "sensor; choose a smaller radius, or the largest of a range smaller"
            )

    def each(self) -> Iterator[Search]:
        """A search for each of the templates; just this one for disks."""
        for template in self.templates:
            yield replace(self, templates=(template,))
        if not self.templates:
            yield self

    def one_radius(self, user: str = "a network is for one radius") -> float:
        """The radius, where no range will do. user: why not. Raises OptionError."""
        if isinstance(self.radius, tuple):
            raise OptionError(f"{user}; give --radius one number of pixels, such as 5")
        return self.radius

    def seen(self, recording: Recording) -> Recording:
        """The events that count. `both` and `merge`: all of them, with their polarity where they have one: one input
        map sees them all, but a trail filter uses polarity to tell two edges apart. `on` and `off`: those alone.
        `drop`: all, without polarity.
        """
        return recording if self.polarity in ("both", "merge") else recording.with_polarity(self.polarity)

    def online(
        self, networks: Network | Sequence[Network], size: tuple[int, int], *, final_only: bool = False
    ) -> Online:
        """Engine and detector for networks that this search led to, on a sensor of (width, height). final_only: as of
        `Online`."""
        return Online(
            networks,
            size,
            every_us=self.every_us,
            template=self.template,
            engine=self.engine,
            rules=self.rules,
            final_only=final_only,
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for the results' side; rules and recipe as far as they are not usual."""
        shape: dict[str, Any] = {"radius_px": self.radius}
        if self.templates:
            shape = {"templates": [item.name for item in self.templates]}
        rules = _changed(self.rules)
        recipe = {name: value for name, value in asdict(self.recipe).items() if value != getattr(Recipe(), name)}
        return {
            **shape,
            "contrast": "auto" if self.contrast is None else self.contrast,
            "dt_us": "auto" if self.dt_us is None else self.dt_us,
            "every_us": self.every_us,
            "polarity": self.polarity,
            "engine": self.engine,
            **({"rules": rules} if rules else {}),
            **({"recipe": recipe} if recipe and not self.networks else {}),
        }


def _changed(rules: Rules) -> dict[str, float]:
    usual = DEFAULTS.to_dict()
    return {name: value for name, value in rules.to_dict().items() if value != usual[name]}


def _rule_texts(rules: Rules) -> list[Text]:
    changed = _changed(rules)
    keep_us = round(1e6 * rules.keep_s)
    keep: list[Text] = (
        [("--keep", format_time(keep_us))] if "keep_s" in changed and keep_us / 1e6 == rules.keep_s else []
    )
    return keep + [f"{name}={number_text(value)}" for name, value in changed.items() if not (keep and name == "keep_s")]
