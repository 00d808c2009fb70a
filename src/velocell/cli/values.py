"""What the texts of options mean."""

from __future__ import annotations

from pathlib import Path

from velocell.calibration.recipe import bank_radii
from velocell.data.bands import Bands
from velocell.data.units import parse_numbers, parse_time_us
from velocell.errors import NetworkError, OptionError
from velocell.network import Network


def bands_of(edges: str, names: str | None = None) -> Bands:
    """`16,62,177,500` and `slow,medium,fast`. Raises VelocellError."""
    named = tuple(name.strip() for name in names.split(",")) if names is not None else ()
    return Bands(parse_numbers(edges, "--bands"), named)


def network_of(path: Path) -> Network:
    """A network that says what it looks for. Raises NetworkError."""
    network = Network.from_toml(path)
    if network.bands is None or network.radius_px is None:
        raise NetworkError(f"{path} states neither bands nor radius; write a network with velocell calibrate")
    return network


def radius_of(text: str) -> float | tuple[float, float]:
    """`5`, or a range `3:15`. Raises VelocellError."""
    what = " of pixels, such as 5, or a range, such as 3:15"
    if ":" not in text:
        return number_of(text, "--radius", what)
    smallest, _, largest = text.partition(":")
    bounds = number_of(smallest, "--radius", what), number_of(largest, "--radius", what)
    bank_radii(*bounds)  # a wrong range is refused before the work
    return bounds


def number_of(text: str, option: str, more: str) -> float:
    """more: end of the sentence for a text that is not a number. Raises OptionError."""
    try:
        return float(text)
    except ValueError:
        raise OptionError(f"{option} '{text}' must be a number{more}") from None


def time_of(text: str, option: str) -> int:
    """`2s` in microseconds. Raises OptionError, which names the option."""
    try:
        return parse_time_us(text)
    except OptionError as error:
        raise OptionError(f"{option} {error}") from None
