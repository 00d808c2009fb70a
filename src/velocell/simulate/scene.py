"""What a scene is: a sensor, moving objects, flickering patches and disturbances; TOML round trip."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from velocell.data.files import replacing
from velocell.data.recording import MAX_SENSOR_PX
from velocell.data.side_files import read_toml
from velocell.errors import SceneError, unreadable
from velocell.simulate.checks import check, not_negative, positive
from velocell.simulate.motion import Motion
from velocell.simulate.objects import Flicker, Occluder, SceneObject
from velocell.simulate.sensor import Sensor, sensor_named
from velocell.simulate.shapes import SHAPES
from velocell.simulate.tables import build, plain

BACKGROUNDS = ("flat", "gradient", "texture")
_LISTS: tuple[tuple[str, Any], ...] = (("objects", SceneObject), ("flicker", Flicker), ("occluders", Occluder))


@dataclass(frozen=True)
class Scene:
    """A sensor and what happens in front of it for `duration_us`, from time 0.

    noise_hz: background events per pixel and second. hot_pixels: this many pixels fire at hot_rate_hz.
    jitter_us: standard deviation of the time noise. event_loss: share of the events dropped at random
    (not of the noise). threshold_mismatch: relative standard deviation of the pixels' contrast.
    The same scene, seed included, gives the same events.

    sensor: `ideal`, or one of `sensor.PRESETS`, whose pixels see light. sensor_settings: what differs from the
        preset, by the names of `sensor.Pixel` and `sensor.Readout`; for the ideal pixel those of the readout only.
    occluders: what stands in front of the objects.

    What only real pixels see:
    light_lux: illuminance of the scene; cutoff and noise depend on it.
    background: `flat`, `gradient` (brighter to the right) or `texture` (blurred noise). background_ratio: brightest
        by darkest of a gradient, e to the power of two standard deviations of ln(brightness) of a texture.
        background_px: size of the texture's spots. background_seed: another one, another texture.
    lens_blur_px: standard deviation of the lens's blur.
    lamp_hz, lamp_depth: the light is 1 + depth sin(2 pi hz t) times light_lux; lamps at the mains have 100 or 120 Hz.
    vibration_px, vibration_hz: amplitude of the camera's trembling, along x and, a little faster, along y; the truth
        does not tremble.
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
    sensor: str = "ideal"
    sensor_settings: dict[str, Any] = field(default_factory=dict)
    light_lux: float = 300.0
    background: str = "flat"
    background_ratio: float = 2.0
    background_px: float = 8.0
    background_seed: int = 0
    lens_blur_px: float = 0.0
    lamp_hz: float = 100.0
    lamp_depth: float = 0.0
    vibration_px: float = 0.0
    vibration_hz: float = 20.0
    occluders: tuple[Occluder, ...] = field(default=())

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            value = getattr(self, name)
            check(1 <= value <= MAX_SENSOR_PX, f"{name} is {value}; it must be between 1 and {MAX_SENSOR_PX} px")
        check(self.duration_us >= 1, f"duration_us is {self.duration_us}; it must be at least 1")
        for name in ("seed", "noise_hz", "hot_pixels", "hot_rate_hz", "jitter_us", "threshold_mismatch"):
            not_negative(getattr(self, name), name, "the scene")
        check(0 <= self.event_loss <= 1, f"event_loss is {self.event_loss}; it must be between 0 and 1")
        pixels = self.width * self.height
        check(self.hot_pixels <= pixels, f"hot_pixels is {self.hot_pixels}; the sensor has only {pixels} pixels")
        for number, times in Counter(item.id for item in self.objects).items():
            check(times == 1, f"object id {number} is used {times} times; ids must be unique")
        for item in self.objects:
            self._check_box(item)
        self._check_light()
        if self.chip.pixel is None:
            self._check_ideal()
        else:
            check(
                not self.threshold_mismatch,
                f"threshold_mismatch is for the ideal pixel; give {self.sensor} a mismatch in sensor_settings",
            )

    @property
    def chip(self) -> Sensor:
        """The sensor with its settings."""
        return sensor_named(self.sensor, self.sensor_settings)

    def _check_light(self) -> None:
        check(self.light_lux > 0, f"light_lux is {self.light_lux}; a scene without light has no events, give it more")
        positive(self.light_lux, "light_lux", "the scene")
        check(
            self.background in BACKGROUNDS,
            f"background of the scene is '{self.background}'; use one of {', '.join(BACKGROUNDS)}",
        )
        for name in ("background_px", "lamp_hz", "vibration_hz"):
            positive(getattr(self, name), name, "the scene")
        for name in ("lens_blur_px", "vibration_px", "background_seed"):
            not_negative(getattr(self, name), name, "the scene")
        for name, most in (("lens_blur_px", 50), ("vibration_px", 50), ("lamp_hz", 10_000), ("vibration_hz", 10_000)):
            value = getattr(self, name)
            check(value <= most, f"{name} of the scene is {value:g}; it must be at most {most}")
        check(
            1 <= self.background_ratio <= 1000,
            f"background_ratio is {self.background_ratio}; it is the brightest by the darkest, between 1 and 1000",
        )
        check(0 <= self.lamp_depth < 1, f"lamp_depth is {self.lamp_depth}; it must be at least 0 and below 1")

    def _check_ideal(self) -> None:
        seen = {
            "background": self.background != "flat",
            "lens_blur_px": self.lens_blur_px > 0,
            "lamp_depth": self.lamp_depth > 0,
            "vibration_px": self.vibration_px > 0,
        }
        for item in self.objects:
            seen[f"brightness of object {item.id}"] = item.brightness is not None
            seen[f"profile of object {item.id}"] = item.profile != "flat"
        for what, asked in seen.items():
            check(not asked, f"the ideal pixel does not see light, so it takes no {what}; choose another sensor")

    def _check_box(self, item: SceneObject) -> None:
        if not item.bounce:
            return
        x0, y0, x1, y1 = centre_box(self, item)
        check(
            x0 < x1 and y0 < y1,
            f"object {item.id} of radius {item.radius_px:g} px has no room to move inside its bounds; widen them",
        )
        check(
            x0 <= item.x_px <= x1 and y0 <= item.y_px <= y1,
            f"object {item.id} starts at ({item.x_px:g}, {item.y_px:g}), outside the box of its centre, "
            f"x {x0:g} to {x1:g} and y {y0:g} to {y1:g}; move it inside",
        )

    @staticmethod
    def from_toml(path: str | Path) -> Scene:
        """Read a scene: the fields of `Scene`, tables [[objects]] (`SceneObject`) and [[flicker]]
        (`Flicker`). Raises SceneError that names the key and what is allowed."""
        try:
            table = read_toml(path)
        except OSError as error:
            raise SceneError(unreadable(path, error)) from None
        except ValueError as error:
            raise SceneError(f"{path} is not valid TOML: {error}") from None
        try:
            return Scene.from_dict(table)
        except SceneError as error:
            raise SceneError(f"{path}: {error}") from None

    @staticmethod
    def from_dict(table: Mapping[str, Any]) -> Scene:
        """The inverse of `to_dict`."""
        values = dict(table)
        for name, kind in _LISTS:
            entries = values.pop(name, [])
            check(
                isinstance(entries, list) and all(isinstance(entry, Mapping) for entry in entries),
                f"'{name}' must be tables written as [[{name}]]",
            )
            values[name] = tuple(_entry(kind, entry, f"[[{name}]] number {i}") for i, entry in enumerate(entries, 1))
        scene: Scene = build(Scene, values, "the scene")
        return scene

    def to_dict(self) -> dict[str, Any]:
        """Plain values by name; what is unset is left out."""
        return plain(asdict(self))

    def to_toml(self, path: str | Path) -> None:
        with replacing(path) as part:
            part.write_text(tomli_w.dumps(self.to_dict()))


def _entry(kind: Any, entry: Mapping[str, Any], where: str) -> Any:
    if kind is SceneObject and "motion" in entry:
        check(isinstance(entry["motion"], Mapping), f"'motion' in {where} must be a table")
        entry = {**entry, "motion": build(Motion, entry["motion"], f"the motion of {where}")}
    return build(kind, entry, where)


def centre_box(scene: Scene, item: SceneObject) -> tuple[float, float, float, float]:
    """Where the centre of a bouncing object may be: x0, y0, x1, y1 in px."""
    reach = SHAPES[item.shape].kept * item.radius_px
    x0, y0, x1, y1 = item.bounds or (-0.5, -0.5, scene.width - 0.5, scene.height - 0.5)
    return x0 + reach, y0 + reach, x1 - reach, y1 - reach
