"""The free choices of a calibration, for one radius and for a range of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from velocell.data.files import replacing
from velocell.data.side_files import read_toml
from velocell.errors import CalibrationError

RING_WIDTH_PX = 2.0


@dataclass(frozen=True)
class Recipe:
    """The free choices of a calibration; the defaults were studied in benchmarks/architectures.

    ring_width_px W, inside, outside: the kernel. memory: tau of an edge channel, in units of Lc / v_c with
    Lc = pi W / 2. Thresholds take the factor margin + (margin_peaks / (sqrt(R) (1 + v dt / W)) + margin_blur) / n
    + margin_px / R, since a potential of few events has peaks above its mean, which a long tick
    averages, and since few events show an edge blurred; behind a trail filter times margin_trail.
    trail_px: travel for which a pixel must have been silent, at the channel's own edge. hold: memory of
    layer 2, in Lc / v of the next edge. reset, refractory: where layer 1 and layer 2 restart after a
    spike, in thresholds; low, so that one passage is one answer and the number of spikes hardly grows
    with speed within a band.
    centre_px: radius of layer 2's centre; surround: its weight out to R. veto, veto_reach:
    weight and reach (in R) of the inhibition by faster channels.
    """

    ring_width_px: float = RING_WIDTH_PX
    inside: float = -0.5
    outside: float = 0.0
    memory: float = 0.3
    margin: float = 0.98
    margin_peaks: float = 0.574
    margin_blur: float = -0.16
    margin_px: float = -0.35
    margin_trail: float = 1.045
    trail_px: float = 3.0
    reset: float = -3.0
    hold: float = 0.4
    refractory: float = -10.0
    centre_px: float = 1.6
    surround: float = -0.15
    veto: float = -3.0
    veto_reach: float = 2.0

    def to_toml(self, path: str | Path, made: dict[str, Any] | None = None) -> None:
        """Write a file that `from_toml` reads back bit by bit. made: how it was made, for people."""
        import tomli_w

        numbers = {f.name: float(getattr(self, f.name)) for f in fields(self)}
        with replacing(path) as part:
            part.write_text(tomli_w.dumps({"velocell_recipe": 1, **numbers, **({"made": made} if made else {})}))

    @staticmethod
    def from_toml(path: str | Path) -> Recipe:
        """What a file does not name stays as usual. Raises CalibrationError."""
        try:
            data = read_toml(path)
        except (OSError, ValueError) as error:
            raise CalibrationError(
                f"{path} is not a readable recipe ({error}); write one with velocell train"
            ) from None
        if data.pop("velocell_recipe", None) != 1:
            raise CalibrationError(f"{path} is not a recipe (key velocell_recipe); write one with velocell train")
        data.pop("made", None)
        known = {f.name for f in fields(Recipe)}
        for name, value in data.items():
            if name not in known:
                raise CalibrationError(f"{path} sets '{name}', which is unknown; known are {', '.join(sorted(known))}")
            if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
                raise CalibrationError(f"{path}: {name} must be a number, got {value!r}")
        return Recipe(**data)


LARGEST_RADIUS_PX = 256.0
"""The second layer looks twice as far, with kernels of 1025 px a side."""

# Of simulated disks of ideal, DVS128, DAVIS346 and Gen4 pixels, 1.15 and 1.22 find the same share, the latter at .8 of
# the cost; 1.3 loses up to a fifth of those of real pixels that lie between two radii.
_BANK_STEP = 1.22
_BANK_WIDTH_PX, _BANK_WIDTH = 2.0, 0.4  # px, of the radius: disks between two radii stay on the ring


def bank_radii(smallest: float, largest: float) -> tuple[float, ...]:
    """Radii (px) of the networks that together answer to all disks from `smallest` to `largest`."""
    if largest > LARGEST_RADIUS_PX:
        raise CalibrationError(
            f"a range of radii reaches {largest:g} px, more than {LARGEST_RADIUS_PX:g}; a kernel of that size would "
            "fill the memory: give a smaller one, or downsample the recording"
        )
    if not (math.isfinite(largest) and 0 < smallest < largest):
        raise CalibrationError(
            f"a range of radii runs from a smaller to a larger one above 0 px, got {smallest:g}:{largest:g}"
        )
    steps = max(1, math.ceil(math.log(largest / smallest) / math.log(_BANK_STEP)))
    return tuple(float(radius) for radius in np.geomspace(smallest, largest, steps + 1))


def bank_recipe(radius: float) -> Recipe:
    """For one of several radii at once: its ring must not answer to the edge of a larger disk."""
    width = max(_BANK_WIDTH_PX, _BANK_WIDTH * radius)
    # A disk between two radii answers a little less; the thresholds meet in the middle.
    return Recipe(ring_width_px=width, outside=-0.6, margin=0.91)
