"""Velocell: where is each disk-like object in an event camera's view, and how fast does it move?

The data flow: file -> Recording -> engine -> Spikes -> Detector -> Tracks. `pipeline.py` tells it on one page.
"""

from velocell.calibrate import Recipe, calibrate
from velocell.engines import run
from velocell.errors import VelocellError
from velocell.evaluate import Scores, evaluate
from velocell.formats import open_recording, read
from velocell.frames import events_to_frames, superimpose
from velocell.kernels import centre_surround_kernel, circular_kernel, disk_kernel, template_kernel
from velocell.network import Bands, Layer, Network, TrailFilter
from velocell.neurons import LIFBox
from velocell.pipeline import Detection, detect
from velocell.provenance import version
from velocell.recording import Recording, time_surface
from velocell.simulate import Scene, SceneObject, notebook_scene, random_scene, simulate
from velocell.spikes import Spikes
from velocell.tracks import Tracks
from velocell.video import animate, animate_frames

__version__ = version()

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
