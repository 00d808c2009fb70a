"""Import paths of before there were packages: they still work, with a DeprecationWarning that names the new one.

A stand-in for each old module waits in `sys.modules`. An import hook would not do: for `velocell.calibrate`,
`velocell.detect` and `velocell.evaluate` Python would put the module that it found in place of the function.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

# Old module -> where its names are now; the first place is the one that is recommended.
MOVED: dict[str, tuple[str, ...]] = {
    "architectures": ("network.architectures",),
    "calibrate": ("calibration", "calibration.formulas"),
    "colors": ("pictures.colors",),
    "counting": ("results.counting",),
    "detect": ("tracking.detector",),
    "display": ("pictures.cards", "pictures.words"),
    "evaluate": ("results.evaluate", "results.scores"),
    "exports": ("results.exports",),
    "figures": ("pictures.figures.style",),
    "files": ("data.files",),
    "fitting": ("calibration.fitting",),
    "formats.aedat2": ("formats.aedat.aedat2",),
    "formats.aedat31": ("formats.aedat.aedat31",),
    "formats.aedat4": ("formats.aedat.aedat4",),
    "formats.aedat4_write": ("formats.aedat.write",),
    "formats.dat": ("formats.prophesee.dat",),
    "formats.hdf5_write": ("formats.hdf5.write",),
    "formats.npy": ("formats.arrays.npy",),
    "formats.npz": ("formats.arrays.npz",),
    "formats.prophesee_write": ("formats.prophesee.write",),
    "formats.rosbag": ("formats.ros.events",),
    "formats.torch_tensor": ("formats.arrays.torch",),
    "frames": ("pictures.video.frames",),
    "geometry": ("results.plane",),
    "hygiene": ("filters",),
    "integrity": ("data.integrity",),
    "kernels": ("network.kernels",),
    "labels": ("calibration.labelled",),
    "lens": ("filters.lens",),
    "neurons": ("network.neurons",),
    "objects": ("results.objects",),
    "overlay": ("pictures.video.overlay",),
    "painting": ("pictures.video.painter",),
    "passages": ("studies.passages",),
    "plots": ("pictures.figures",),
    "plots_network": ("pictures.figures", "pictures.figures.neurons"),
    "provenance": ("data.meta", "network.origin"),
    "receptive": ("studies.membranes",),
    "recording": ("data.recording",),
    "regions": ("filters.regions",),
    "report": ("pictures.report",),
    "reshape": ("filters.reshape",),
    "shapes": ("network.template",),
    "spikes": ("data.spikes",),
    "summary": ("studies.summary",),
    "tracks": ("data.tracks", "data.tables"),
    "tuning": ("studies.tuning",),
    "units": ("data.units",),
    "video": ("pictures.video", "pictures.video.clip", "pictures.video.encode", "data.meta"),
}


class _StandIn(ModuleType):
    """What is left of a module: each name is looked up where it is now."""

    def __init__(self, old: str) -> None:
        super().__init__(f"velocell.{old}", f"Moved to {_listed(MOVED[old])}.")
        self.__spec__ = ModuleSpec(self.__name__, None)
        self.__dict__["_old"] = old

    def __getattr__(self, name: str) -> Any:
        old: str = self.__dict__["_old"]
        # The import system and notebooks ask every module for such names.
        if not name.startswith("_"):
            for place in MOVED[old]:
                module = importlib.import_module(f"velocell.{place}")
                if hasattr(module, name):
                    warnings.warn(
                        f"velocell.{old} has moved; import '{name}' from velocell.{place}",
                        DeprecationWarning,
                        stacklevel=2,
                    )
                    return getattr(module, name)
        raise AttributeError(f"velocell.{old} has moved to {_listed(MOVED[old])}, where there is no '{name}'")


def _listed(places: tuple[str, ...]) -> str:
    return " and ".join(f"velocell.{place}" for place in places)


def install() -> None:
    """Put the stand-ins where imports find them; once the package itself has been imported."""
    for old in MOVED:
        sys.modules[f"velocell.{old}"] = _StandIn(old)


def stand_in(name: str) -> ModuleType:
    """For `velocell.NAME` and `from velocell import NAME`. Raises AttributeError for what never was there."""
    if name in MOVED:
        return sys.modules[f"velocell.{name}"]
    raise AttributeError(f"velocell has no '{name}'; velocell.__all__ lists its names")
