"""Velocell: where is each disk-like object in an event camera's view, and how fast does it move?

The data flow: file -> Recording -> filters -> engine -> Spikes -> tracking -> Tracks. `pipeline.py` shows it on
one page; each folder is a room of the house, and imports those above it only (`tests/house/test_imports.py`).
"""

from typing import Any

from velocell import _moved
from velocell.batch import batch
from velocell.calibration.formulas import calibrate
from velocell.calibration.recipe import Recipe
from velocell.data.bands import Bands
from velocell.data.meta import version
from velocell.data.recording import Recording, time_surface
from velocell.data.spikes import Spikes
from velocell.data.tracks import Tracks
from velocell.engines import run
from velocell.errors import VelocellError
from velocell.formats import open_recording, read
from velocell.network.kernels import centre_surround_kernel, circular_kernel, disk_kernel, template_kernel
from velocell.network.layers import Layer, TrailFilter
from velocell.network.network import Network
from velocell.network.neurons import LIFBox
from velocell.pictures import cards as _cards  # noqa: F401 (data shows itself in a notebook once it is imported)
from velocell.pictures.video.clip import animate, animate_frames
from velocell.pictures.video.frames import events_to_frames, superimpose
from velocell.pipeline import detect
from velocell.results.evaluate import evaluate
from velocell.results.scores import Scores
from velocell.simulate import Scene, SceneObject, notebook_scene, random_scene, simulate
from velocell.tracking.detection import Detection

__all__ = [
    "Bands",
    "Detection",
    "LIFBox",
    "Layer",
    "Network",
    "Recipe",
    "Recording",
    "Scene",
    "SceneObject",
    "Scores",
    "Spikes",
    "Tracks",
    "TrailFilter",
    "VelocellError",
    "animate",
    "animate_frames",
    "batch",
    "calibrate",
    "centre_surround_kernel",
    "circular_kernel",
    "detect",
    "disk_kernel",
    "evaluate",
    "events_to_frames",
    "notebook_scene",
    "open_recording",
    "random_scene",
    "read",
    "run",
    "simulate",
    "superimpose",
    "template_kernel",
    "time_surface",
]

_moved.install()


def __getattr__(name: str) -> Any:
    # Looked up when asked for: to read the package's metadata takes a tenth of the whole import.
    return version() if name == "__version__" else _moved.stand_in(name)
