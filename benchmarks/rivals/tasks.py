"""The tasks: what is to be found, with which radius and bands, in scenes of which seeds.

A seed follows from the name of a draw, the task and the scene's number by SHA-256, so that anyone can draw new scenes,
one set a month, say: `--seeds 2027-01`. Training scenes come from a draw of their own and are never in a test.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmarks.rivals import scenes
from benchmarks.rivals.interface import RivalError
from benchmarks.rivals.scenes import DATA, RADIUS, Maker, disks
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks

STANDING, TRAINING = "standing", "training"
WIDE, OCTAVES = (40.0, 160.0, 640.0, 1800.0), (42.0, 85.0, 170.0, 340.0, 680.0, 1360.0)

FAMILIES = {
    "plain": "ideal pixels, one to ten events an edge",
    "fast": "thousands of px/s, or stamps in steps of 1 ms",
    "hard": "most of the events lost, noise, clutter",
    "sensors": "pixels of real sensors, and recordings",
}


@dataclass(frozen=True)
class Task:
    """name: a slug. family: of `FAMILIES`; rivals have one set of parameters a family. make: the scene. radius: that is
    stated, by the scene's number. trains: its training scenes are among those on which the family is tuned. file: of
    `../shared/data` that it needs; then there is one scene only. empty: there is no disk. partial: the truth knows some
    of the time only."""

    name: str
    title: str
    family: str
    make: Maker
    edges: tuple[float, ...] = WIDE
    radii: tuple[float, ...] = (RADIUS,)
    trains: bool = False
    file: str = ""
    empty: bool = False
    partial: bool = False

    @property
    def bands(self) -> Bands:
        return Bands(self.edges)

    def missing(self) -> str | None:
        if self.file and not (DATA / self.file).exists():
            return f"the recording {self.file} is not in ../shared/data beside the checkout"
        return None

    def scene(self, draw: str, number: int) -> SceneOf:
        return SceneOf(self, draw, number)


@dataclass(frozen=True)
class SceneOf:
    """A scene of a task, made when it is asked for."""

    task: Task
    draw: str
    number: int

    @property
    def seed(self) -> int:
        return int(hashlib.sha256(f"{self.draw}/{self.task.name}/{self.number}".encode()).hexdigest()[:8], 16)

    @property
    def radius(self) -> float:
        return self.task.radii[self.number % len(self.task.radii)]

    @property
    def name(self) -> str:
        return f"{self.task.name}-{self.draw}-{self.number}"

    @cached_property
    def made(self) -> tuple[Recording, Tracks]:
        """Recording and truth. Raises RivalError where its file is missing."""
        reason = self.task.missing()
        if reason:
            raise RivalError(reason)
        return self.task.make(np.random.default_rng(self.seed))


def _wrong(share: float) -> tuple[float, ...]:
    return RADIUS * (1 + share), RADIUS * (1 - share)


TASKS = {
    task.name: task
    for task in (
        Task("separate", "separate disks", "plain", disks(), trains=True),
        Task("octaves", "octave bands", "plain", disks(speeds=(46, 1240)), OCTAVES),
        Task("contrast1", "contrast 1", "plain", disks(contrast=1.0), trains=True),
        Task("contrast10", "contrast 10", "plain", disks(contrast=10.0, speeds=(60, 500))),
        Task("mixed", "radii 4 to 9, 6 stated", "plain", disks(radius=(4.0, 9.0))),
        Task("crossing", "crossings", "plain", scenes.crossing, trains=True),
        Task("appearing", "appearing", "plain", scenes.appearing),
        Task(
            "slow", "slow, 12 to 60 px/s", "plain", disks(speeds=(12, 60), duration_us=1_000_000), (8.0, 24.0, 72.0)
        ),
        Task("accelerated", "acceleration", "plain", scenes.accelerated),
        Task("occluded", "occlusion", "plain", scenes.occluded),
        Task("radius15", "radius wrong by 15 %", "plain", disks(), radii=_wrong(0.15)),
        Task("radius30", "radius wrong by 30 %", "plain", disks(), radii=_wrong(0.30)),
        Task("radius50", "radius wrong by 50 %", "plain", disks(), radii=_wrong(0.50)),
        Task("squares", "squares", "plain", disks(item={"shape": "square"})),
        Task("orbit", "orbit, 4000 px/s", "fast", scenes.orbit, (1000.0, 2500.0, 6000.0), (10.0,), trains=True),
        Task(
            "frames", "stamps of 1 ms, to 2200 px/s", "fast",
            disks(speeds=(150, 2200), sensor_settings={"stamp_us": 1_000}), (100.0, 400.0, 1000.0, 2500.0), trains=True,
        ),
        Task("sparse", "half the events lost, contrast 1", "hard", disks(contrast=1.0, event_loss=0.5), trains=True),
        Task("sparse75", "75 % lost, contrast 1", "hard", disks(contrast=1.0, event_loss=0.75, speeds=(150, 900))),
        Task("noise3", "noise 3 Hz/px", "hard", disks(noise_hz=3.0), trains=True),
        Task("noise10", "noise 10 Hz/px", "hard", disks(noise_hz=10.0)),
        Task("clutter", "clutter", "hard", scenes.cluttered, trains=True),
        Task("pan", "camera pans at 100 px/s", "hard", scenes.panned),
        Task("nothing", "no disk: clutter", "hard", scenes.nothing, empty=True),
        Task("davis346", "DAVIS346", "sensors", scenes.sensed("davis346", 200, 160), trains=True),
        Task("davis_dim", "DAVIS346, 20 lux", "sensors", scenes.sensed("davis346", 200, 160, 20.0)),
        Task("dvs128", "DVS128", "sensors", scenes.sensed("dvs128", 128, 128), trains=True),
        Task("dvxplorer", "DVXplorer", "sensors", scenes.sensed("dvxplorer", 200, 160)),
        Task("gen4", "Gen4", "sensors", scenes.sensed("gen4", 200, 160)),
        Task(
            "texture", "Gen4 before texture", "sensors",
            scenes.sensed("gen4", 200, 160, background="texture"),
        ),
        Task("trails", "trails, other generator", "sensors", scenes.trailing, radii=(8.0,), trains=True),
        Task(
            "course", "the course's recording", "sensors", scenes.real("2404_circle.dat", "2404_circle.truth.csv"),
            (16.0, 62.0, 177.0, 500.0), (5.0,), file="2404_circle.dat",
        ),
        Task(
            "pendulum", "a real pendulum", "sensors",
            scenes.real("pendulum_dvs128.aedat", "pendulum_dvs128.truth.csv", 5_000_000),
            (40.0, 160.0, 640.0), (5.5,), file="pendulum_dvs128.aedat", partial=True,
        ),
        *(
            Task(
                name, f"no disk: {title}", "sensors", scenes.real(file, span_us=span), radii=(5.0,), file=file,
                empty=True,
            )
            for name, title, file, span in (
                ("gestures", "hands", "gestures_dvs128.aedat4", 3_000_000),
                ("walking", "a person walks", "walking_dvs128.aedat", 4_000_000),
                ("cup", "a shaken cup", "cup_dvs128.aedat", 4_000_000),
                ("moving", "a moving camera", "moving_camera_davis.aedat", 1_000_000),
            )
        ),
    )
}  # fmt: skip


def training(family: str) -> list[SceneOf]:
    """The scenes on which the rivals are tuned for a family."""
    return [task.scene(TRAINING, 0) for task in TASKS.values() if task.family == family and task.trains]


def of_test(task: Task, draw: str, count: int) -> list[SceneOf]:
    """A recording is always the same: one scene is all there is."""
    if draw == TRAINING:
        raise RivalError(f"the draw '{TRAINING}' is what rivals are tuned on; give --seeds another name")
    return [task.scene(draw, number) for number in range(1 if task.file else count)]
