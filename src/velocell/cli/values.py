"""What the texts of the options mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from velocell import formats
from velocell.errors import NetworkError, OptionError, RecordingError
from velocell.network import Bands, Network
from velocell.recording import Recording
from velocell.units import parse_numbers, parse_size, parse_time_us


def read_events(file: Path, size: str | None, frame_time: str) -> Recording:
    """The recording in a file. Raises RecordingError where it holds no events."""
    wanted = None if size is None else parse_size(size)
    recording = formats.read(file, size=wanted, frame_time_us=parse_time_us(frame_time))
    if not len(recording):
        raise RecordingError(f"{file} holds no events; check that it was recorded and saved in full")
    return recording


@dataclass(frozen=True)
class Sought:
    """What to look for, from which a network follows, or a ready `network` that brings its own."""

    bands: Bands
    radius: float
    contrast: float | None
    dt_us: int | None
    network: Network | None = None


def sought(
    bands: str | None,
    names: str | None,
    radius: str | None,
    contrast: str,
    dt: str,
    network: Path | None = None,
    template: str | None = None,
) -> Sought:
    """The texts of the options -> values. Raises VelocellError."""
    if template is not None:
        raise OptionError("--template is not available yet; give the radius of a disk with --radius")
    if network is not None:
        given = {"--bands": bands, "--band-names": names, "--radius": radius}
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
    )


def _of_network(path: Path) -> Sought:
    network = Network.from_toml(path)
    if network.bands is None or network.radius_px is None:
        raise NetworkError(f"{path} says neither bands nor radius; write a network with velocell calibrate")
    return Sought(network.bands, network.radius_px, None, network.dt_us, network)


def _radius(text: str) -> float:
    if ":" in text:
        raise OptionError(f"a range of radii is not available yet; give one instead of --radius {text}")
    return _number(text, "--radius", " of pixels, such as 5")


def _number(text: str, option: str, more: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise OptionError(f"{option} '{text}' must be a number{more}") from None
