"""Is an advantage honest? A rival that knows the truth, or that is not what was tuned, is noticed.

`leak`: the events of a scene are moved by some px, which the rival does not get to know. An honest one's rows move with
the events; rows that lie where the objects were before come from elsewhere. And where the events are shuffled over the
sensor there is nothing to find.
`too_good`: places, speeds or headings that agree with the truth better than the stamps of events allow.
`scrambled`: a rival that does not reach, on its first training scene, what its log says.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.rivals.interface import Rival, Values
from benchmarks.rivals.measure import Run, scored
from benchmarks.rivals.tasks import SceneOf
from benchmarks.rivals.tuning import replayed
from velocell.data.recording import Recording

SHIFT_PX = (9, 7)
# Stamps are whole microseconds, pixels whole: a median place nearer than this, or a speed, is not from events.
LEAST_PX, LEAST_SPEED_ERROR = 0.002, 2e-5
SAME_QUALITY = 0.02


def moved(recording: Recording) -> Recording:
    """All events by SHIFT_PX; what leaves the sensor is lost."""
    x, y = recording.x.astype(np.int64) + SHIFT_PX[0], recording.y.astype(np.int64) + SHIFT_PX[1]
    inside = (x < recording.width) & (y < recording.height)
    part = recording.mask(inside)
    return replace(part, x=x[inside].astype(np.uint16), y=y[inside].astype(np.uint16))


def shuffled(recording: Recording) -> Recording:
    """The same times and polarities, at pixels drawn at random."""
    rng = np.random.default_rng(0)
    n = len(recording)
    return replace(
        recording, x=rng.integers(0, recording.width, n).astype(np.uint16),
        y=rng.integers(0, recording.height, n).astype(np.uint16),
    )  # fmt: skip


def leak(rival: Rival, scene: SceneOf, values: Values) -> str | None:
    """A sentence where the rival finds what its events do not show, None where it is honest."""
    recording, truth = scene.made
    where = truth.where(
        (truth.x_px + SHIFT_PX[0] < recording.width - 1) & (truth.y_px + SHIFT_PX[1] < recording.height - 1)
    )
    for change, words in ((moved, "moved by 9 and 7 px"), (shuffled, "shuffled over the sensor")):
        rows = rival.track(change(recording), scene.radius, scene.task.bands, values)
        found = scored(scene, recording, rows, where)["recall"] or 0.0
        # A place that chance meets: a few % of the steps.
        if found > 0.2:
            return (
                f"{rival.title} finds {found:.0%} of the objects of {scene.name} where they were before its events "
                f"were {words}; it has the truth from elsewhere"
            )
    return None


def too_good(run: Run) -> str | None:
    """A sentence where figures are better than events allow."""
    for figure, least in (("localisation_px", LEAST_PX), ("speed_error", LEAST_SPEED_ERROR)):
        value = run[figure]
        if value is not None and value < least and run["matched_rows"] > 20:
            return (
                f"{figure} of {run.get('rival', 'the rows')} on {run.get('task', 'the scene')} is {value:g}, below "
                f"{least:g}, which events cannot give; look for the truth among what the rival sees"
            )
    return None


def scrambled(rival: Rival, family: str) -> str | None:
    """A sentence where the rival is not what was tuned. Raises RivalError where its file is not the tuner's."""
    off = replayed(rival, family)
    if off <= SAME_QUALITY:
        return None
    return f"{rival.title} differs by {off:.3f} in quality from its own log of '{family}'; tune {rival.name} again"
