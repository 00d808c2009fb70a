"""What the texts of the options mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from velocell.calibration.recipe import bank_radii
from velocell.data.bands import Bands
from velocell.data.units import parse_numbers, parse_time_us
from velocell.errors import NetworkError, OptionError
from velocell.network import Network
from velocell.network.template import Template


@dataclass(frozen=True)
class Sought:
    """What to look for, from which a network follows, or a ready `network` that brings its own."""

    bands: Bands
    radius: float | tuple[float, float]
    contrast: float | None
    dt_us: int | None
    network: Network | None = None
    templates: tuple[Template, ...] = ()

    def one_radius(self, user: str = "a network is for one radius") -> float:
        """The radius, where no range will do. user: why not. Raises OptionError."""
        if isinstance(self.radius, tuple):
            raise OptionError(f"{user}; give --radius one number of pixels, such as 5")
        return self.radius


def sought(
    bands: str | None,
    names: str | None,
    radius: str | None,
    contrast: str,
    dt: str,
    network: Path | None = None,
    templates: Sequence[Path] | None = None,
) -> Sought:
    """The texts of the options -> values. Raises VelocellError."""
    if templates and radius is not None:
        raise OptionError("--template brings its own size; drop --radius")
    if network is not None:
        given = {"--bands": bands, "--band-names": names, "--radius": radius}
        given["--template"] = ", ".join(map(str, templates)) if templates else None
        given |= {name: text for name, text in (("--dt", dt), ("--contrast", contrast)) if text != "auto"}
        extra = [name for name, text in given.items() if text is not None]
        if extra:
            raise OptionError(f"{network} already says what {' and '.join(extra)} would; drop either")
        return _of_network(network)
    if bands is None:
        raise OptionError("detection needs speed bands or a network; give --bands 16,62,177,500 or --network net.toml")
    named = tuple(name.strip() for name in names.split(",")) if names is not None else ()
    return Sought(
        bands=Bands(parse_numbers(bands, "--bands"), named),
        radius=_radius(radius or "5"),
        contrast=None if contrast == "auto" else _number(contrast, "--contrast", " or auto"),
        dt_us=None if dt == "auto" else parse_time_us(dt),
        templates=tuple(Template.read(path) for path in templates or ()),
    )


def _of_network(path: Path) -> Sought:
    network = Network.from_toml(path)
    if network.bands is None or network.radius_px is None:
        raise NetworkError(f"{path} says neither bands nor radius; write a network with velocell calibrate")
    return Sought(network.bands, network.radius_px, None, network.dt_us, network)


def _radius(text: str) -> float | tuple[float, float]:
    what = " of pixels, such as 5, or a range, such as 3:15"
    if ":" not in text:
        return _number(text, "--radius", what)
    smallest, _, largest = text.partition(":")
    bounds = _number(smallest, "--radius", what), _number(largest, "--radius", what)
    bank_radii(*bounds)  # a wrong range is told before the work
    return bounds


def _number(text: str, option: str, more: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise OptionError(f"{option} '{text}' must be a number{more}") from None
