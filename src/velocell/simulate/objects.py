"""What is in a scene: moving objects, patches that flicker, and what stands in front of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from velocell.simulate.checks import check, finite, not_negative, positive
from velocell.simulate.motion import Motion
from velocell.simulate.shapes import SHAPES, closed_shapes

PROFILES = ("flat", "ball")


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
    motion: how the speed changes (`Motion`): braking, gravity, swinging, stop and go.
    path: [[t_us, x_px, y_px], ...], rising in time: straight from one to the next, at rest before the first and
        after the last. It takes the place of x_px, y_px, speed_px_s and heading_deg.
    aspect: below 1 an ellipse: radius_px is the long half-axis, aspect times that the short one.
    axis_deg: direction of the long half-axis; the object does not turn.

    The ideal pixel takes `contrast`, `edge_px` and `dark`. Real ones see light:
    brightness: of the object, as a multiple of the background's; above 1 it is brighter (ON events lead). Without
        it `contrast` average thresholds brighter, or darker where `dark`.
    profile: `flat`, or `ball`: shaded towards its rim, lit from the upper left.
    highlight: brightness that the reflex of the lamp adds to a ball.
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
    motion: Motion | None = None
    path: tuple[tuple[float, float, float], ...] = ()
    aspect: float = 1.0
    axis_deg: float = 0.0
    brightness: float | None = None
    profile: str = "flat"
    highlight: float = 0.0

    def __post_init__(self) -> None:
        where = f"object {self.id}"
        check(self.shape in SHAPES, f"shape of {where} is '{self.shape}'; use one of {', '.join(SHAPES)}")
        for name in ("radius_px", "contrast", "edge_px"):
            positive(getattr(self, name), name, where)
        for name in ("x_px", "y_px", "heading_deg", "orbit_radius_px"):
            finite(getattr(self, name), name, where)
        not_negative(self.speed_px_s, "speed_px_s", where)
        not_negative(self.start_us, "start_us", where)
        check(
            self.stop_us is None or self.stop_us > self.start_us,
            f"stop_us of {where} is {self.stop_us}; it must be later than start_us = {self.start_us}",
        )
        check(self.bounds is None or self.bounce, f"bounds of {where} have no effect without bounce = true")
        check(not (self.bounce and self.orbit_radius_px), f"{where} cannot both bounce and orbit; drop one of the two")
        self._check_motion(where)
        self._check_look(where)

    def _check_motion(self, where: str) -> None:
        turns = self.bounce or self.orbit_radius_px
        check(
            not (self.motion and self.motion.bends and turns),
            f"{where} cannot fall (ax_px_s2, ay_px_s2) and bounce or orbit at once; drop one of the two",
        )
        check(
            not (self.path and (self.motion or turns)),
            f"{where} has a path as well as a motion, bounce or orbit; drop one of the two",
        )
        check(len(self.path) != 1, f"path of {where} has one point; give two or more [t_us, x_px, y_px]")
        for (before, *_), (after, *_) in pairwise(self.path):
            check(before < after, f"path of {where} goes back in time from {before:g} to {after:g} us; sort it")

    def _check_look(self, where: str) -> None:
        finite(self.axis_deg, "axis_deg", where)
        check(
            0 < self.aspect <= 1,
            f"aspect of {where} is {self.aspect}; it is the short half-axis by the long one, above 0 and at most 1",
        )
        check(self.aspect == 1 or self.shape == "disk", f"aspect of {where} is for disks only")
        check(self.profile in PROFILES, f"profile of {where} is '{self.profile}'; use one of {', '.join(PROFILES)}")
        check(self.profile == "flat" or self.shape == "disk", f"profile of {where} is for disks; use flat")
        if self.brightness is not None:
            positive(self.brightness, "brightness", where)
        not_negative(self.highlight, "highlight", where)
        check(not self.highlight or self.profile == "ball", f"highlight of {where} needs profile = 'ball'")


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
        patches = closed_shapes()
        check(self.shape in patches, f"shape of {where} is '{self.shape}'; use {' or '.join(patches)}")
        for name in ("radius_px", "contrast", "frequency_hz", "edge_px"):
            positive(getattr(self, name), name, where)
        for name in ("x_px", "y_px"):
            finite(getattr(self, name), name, where)


@dataclass(frozen=True)
class Occluder:
    """A rectangle (a post, a wall, a frame) at rest in front of the objects, x0 to x1 and y0 to y1 in px.

    It hides what is behind it and makes no events itself. brightness: as a multiple of the background's.
    """

    x0_px: float
    y0_px: float
    x1_px: float
    y1_px: float
    brightness: float = 0.5

    def __post_init__(self) -> None:
        for name in ("x0_px", "y0_px", "x1_px", "y1_px"):
            finite(getattr(self, name), name, "an occluder")
        check(
            self.x0_px < self.x1_px and self.y0_px < self.y1_px,
            f"an occluder from ({self.x0_px:g}, {self.y0_px:g}) to ({self.x1_px:g}, {self.y1_px:g}) has no area; "
            "give x0_px < x1_px and y0_px < y1_px",
        )
        positive(self.brightness, "brightness", "an occluder")
