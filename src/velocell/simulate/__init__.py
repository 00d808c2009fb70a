"""Scenes of moving shapes -> events and ground truth: `simulate(scene) -> (Recording, Tracks)`.

`scene` describes (and reads and writes TOML), `presets` makes whole scenes, `shapes` is the
table of what can move, `paths` moves the objects, `events` turns motion into events.
"""

from velocell.simulate.events import simulate
from velocell.simulate.motion import Motion
from velocell.simulate.objects import Flicker, Occluder, SceneObject
from velocell.simulate.presets import notebook_scene, random_scene
from velocell.simulate.scene import Scene

__all__ = ["Flicker", "Motion", "Occluder", "Scene", "SceneObject", "notebook_scene", "random_scene", "simulate"]
