"""What a scene is: a sensor, moving objects, flickering patches and disturbances; TOML round trip."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import tomli_w

from velocell.data.files import replacing
from velocell.data.recording import MAX_SENSOR_PX
from velocell.errors import SceneError, unreadable

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SHAPES = ("disk", "square", "bar", "edge")


@dataclass(frozen=True)
class SceneObject:
    """One moving object.

    id: appears in the truth; must be unique.
    shape: `disk`; `square` (sides along the axes, half a side = radius_px); `bar` (a stripe 2 radius_px
        thick, across the whole sensor, at right angles to the first heading); `edge` (one straight
        edge across the whole sensor, the object lies behind it).
    x_px, y_px: the centre (of an edge: any point on it) at `start_us`.
    speed_px_s, heading_deg: 0 = +x, 90 = +y (down).
    contrast: events per pixel and edge crossing; a fraction is met in expectation.
    edge_px: width of the linear ramp at the outline (optical blur).
    dark: darker than the background, so OFF events lead.
    bounce: reflect, so that the outline stays inside `bounds` (x0, y0, x1, y1) in px; without `bounds`
        inside the sensor, which reaches from -0.5 to width - 0.5.
    start_us, stop_us: it is there in [start, stop); without `stop_us` to the end. Appearing and
        vanishing make no events.
    orbit_radius_px: not 0: a circle of this radius, clockwise on the screen (positive) or the other
        way round (negative), instead of a straight line; `speed_px_s` is along it.
    target: listed in the truth. False for what a detector should leave alone; bars and edges never are listed.
    """

    id: int = 0
    shape: str = "disk"
    x_px: float = 0.0
    y_px: float = 0.0
    radius_px: float = 5.0
    speed_px_s: float = 100.0
    heading_deg: float = 0.0
    contrast: float = 3.0
    edge_px: float = 1.0
    dark: bool = False
    bounce: bool = False
    bounds: tuple[float, float, float, float] | None = None
    start_us: int = 0
    stop_us: int | None = None
    orbit_radius_px: float = 0.0
    target: bool = True

    def __post_init__(self) -> None:
        where = f"object {self.id}"
        _check(self.shape in SHAPES, f"shape of {where} is '{self.shape}'; use one of {', '.join(SHAPES)}")
        for name in ("radius_px", "contrast", "edge_px"):
            _positive(getattr(self, name), name, where)
        for name in ("x_px", "y_px", "heading_deg", "orbit_radius_px"):
            _finite(getattr(self, name), name, where)
        _not_negative(self.speed_px_s, "speed_px_s", where)
        _not_negative(self.start_us, "start_us", where)
        _check(
            self.stop_us is None or self.stop_us > self.start_us,
            f"stop_us of {where} is {self.stop_us}; it must be later than start_us = {self.start_us}",
        )
        _check(self.bounds is None or self.bounce, f"bounds of {where} have no effect without bounce = true")
        _check(not (self.bounce and self.orbit_radius_px), f"{where} cannot both bounce and orbit; drop one of the two")


@dataclass(frozen=True)
class Flicker:
    """A patch that stays where it is while its brightness swings: it makes events but nothing moves.

    shape: `disk` or `square`, of `radius_px` (half a side) around x_px, y_px, with a ramp of `edge_px`.
    contrast: events per pixel and half swing. frequency_hz: swings per second (a sine).
    """

    x_px: float
    y_px: float
    radius_px: float = 5.0
    shape: str = "disk"
    contrast: float = 3.0
    frequency_hz: float = 50.0
    edge_px: float = 1.0

    def __post_init__(self) -> None:
        where = "a flicker patch"
        _check(self.shape in ("disk", "square"), f"shape of {where} is '{self.shape}'; use disk or square")
        for name in ("radius_px", "contrast", "frequency_hz", "edge_px"):
            _positive(getattr(self, name), name, where)
        for name in ("x_px", "y_px"):
            _finite(getattr(self, name), name, where)


@dataclass(frozen=True)
class Scene:
    """A sensor and what happens in front of it for `duration_us`, from time 0.

    noise_hz: background events per pixel and second. hot_pixels: so many pixels fire at hot_rate_hz.
    jitter_us: standard deviation of the time noise. event_loss: share of the events dropped at random
    (not of the noise). threshold_mismatch: relative standard deviation of the pixels' contrast.
    The same scene, seed included, gives the same events.
    """

    width: int
    height: int
    duration_us: int
    seed: int = 0
    noise_hz: float = 0.0
    hot_pixels: int = 0
    hot_rate_hz: float = 100.0
    jitter_us: float = 0.0
    event_loss: float = 0.0
    threshold_mismatch: float = 0.0
    objects: tuple[SceneObject, ...] = field(default=())
    flicker: tuple[Flicker, ...] = field(default=())

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            value = getattr(self, name)
            _check(1 <= value <= MAX_SENSOR_PX, f"{name} is {value}; it must be between 1 and {MAX_SENSOR_PX} px")
        _check(self.duration_us >= 1, f"duration_us is {self.duration_us}; it must be at least 1")
        for name in ("seed", "noise_hz", "hot_pixels", "hot_rate_hz", "jitter_us", "threshold_mismatch"):
            _not_negative(getattr(self, name), name, "the scene")
        _check(0 <= self.event_loss <= 1, f"event_loss is {self.event_loss}; it must be between 0 and 1")
        pixels = self.width * self.height
        _check(self.hot_pixels <= pixels, f"hot_pixels is {self.hot_pixels}; the sensor has only {pixels} pixels")
        for number, times in Counter(item.id for item in self.objects).items():
            _check(times == 1, f"object id {number} is used {times} times; ids must be unique")
        for item in self.objects:
            self._check_box(item)

    def _check_box(self, item: SceneObject) -> None:
        if not item.bounce:
            return
        x0, y0, x1, y1 = centre_box(self, item)
        _check(
            x0 < x1 and y0 < y1,
            f"object {item.id} of radius {item.radius_px:g} px has no room to move inside its bounds; widen them",
        )
        _check(
            x0 <= item.x_px <= x1 and y0 <= item.y_px <= y1,
            f"object {item.id} starts at ({item.x_px:g}, {item.y_px:g}), outside the box of its centre, "
            f"x {x0:g} to {x1:g} and y {y0:g} to {y1:g}; move it inside",
        )

    @staticmethod
    def from_toml(path: str | Path) -> Scene:
        """Read a scene: the fields of `Scene`, tables [[objects]] (`SceneObject`) and [[flicker]]
        (`Flicker`). Raises SceneError that names the key and what is allowed."""
        try:
            with Path(path).open("rb") as handle:
                table = tomllib.load(handle)
        except OSError as error:
            raise SceneError(unreadable(path, error)) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SceneError(f"{path} is not valid TOML: {error}") from None
        try:
            return Scene.from_dict(table)
        except SceneError as error:
            raise SceneError(f"{path}: {error}") from None

    @staticmethod
    def from_dict(table: Mapping[str, Any]) -> Scene:
        """The inverse of `to_dict`."""
        values = dict(table)
        for name, kind in (("objects", SceneObject), ("flicker", Flicker)):
            entries = values.pop(name, [])
            _check(
                isinstance(entries, list) and all(isinstance(entry, Mapping) for entry in entries),
                f"'{name}' must be tables written as [[{name}]]",
            )
            values[name] = tuple(_build(kind, entry, f"[[{name}]] number {i}") for i, entry in enumerate(entries, 1))
        scene: Scene = _build(Scene, values, "the scene")
        return scene

    def to_dict(self) -> dict[str, Any]:
        """Plain values by name; what is unset is left out."""
        table = asdict(self)
        for name in ("objects", "flicker"):
            table[name] = [_plain(entry) for entry in table[name]]
        return table

    def to_toml(self, path: str | Path) -> None:
        with replacing(path) as part:
            part.write_text(tomli_w.dumps(self.to_dict()))


def centre_box(scene: Scene, item: SceneObject) -> tuple[float, float, float, float]:
    """Where the centre of a bouncing object may be: x0, y0, x1, y1 in px."""
    reach = 0.0 if item.shape == "edge" else item.radius_px
    x0, y0, x1, y1 = item.bounds or (-0.5, -0.5, scene.width - 0.5, scene.height - 0.5)
    return x0 + reach, y0 + reach, x1 - reach, y1 - reach


def _plain(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in entry.items() if value is not None
    }


# Annotations are strings under `from __future__ import annotations`; here they are the schema.
_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "int": ((int,), "a whole number"),
    "int | None": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "true or false"),
    "str": ((str,), "a text"),
}


def _build(kind: Any, table: Mapping[str, Any], where: str) -> Any:
    """An instance of the dataclass `kind` from plain values, checked by name and type."""
    known = {f.name: f for f in fields(kind)}
    values: dict[str, Any] = {}
    for name, value in table.items():
        _check(name in known, f"unknown key '{name}' in {where}; allowed are {', '.join(known)}")
        values[name] = _convert(value, str(known[name].type), name, where)
    for name, spec in known.items():
        required = spec.default is MISSING and spec.default_factory is MISSING
        _check(not required or name in values, f"{where} lacks the key '{name}'")
    return kind(**values)


def _convert(value: Any, annotation: str, name: str, where: str) -> Any:
    if annotation.startswith("tuple[SceneObject") or annotation.startswith("tuple[Flicker"):
        return value
    if annotation.startswith("tuple[float"):
        numbers = isinstance(value, list | tuple) and all(
            isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in value
        )
        _check(numbers and len(value) == 4, f"'{name}' in {where} must be four numbers [x0, y0, x1, y1]")
        return tuple(float(v) for v in value)
    types, words = _KINDS[annotation]
    fits = isinstance(value, types) and isinstance(value, bool) == (annotation == "bool")
    _check(fits, f"'{name}' in {where} must be {words}, got {value!r}")
    return float(value) if annotation == "float" else value


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise SceneError(message)


def _finite(value: float, name: str, where: str) -> None:
    _check(math.isfinite(value), f"{name} of {where} is {value}; it must be a finite number")


def _positive(value: float, name: str, where: str) -> None:
    _check(math.isfinite(value) and value > 0, f"{name} of {where} is {value}; it must be above 0")


def _not_negative(value: float, name: str, where: str) -> None:
    _check(math.isfinite(value) and value >= 0, f"{name} of {where} is {value}; it must be 0 or more")
