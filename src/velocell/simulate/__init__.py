"""Scenes of moving shapes -> events and ground truth: `simulate(scene) -> (Recording, Tracks)`.

`scene` describes (and reads and writes TOML), `presets` makes whole scenes, `shapes` is the
table of what can move, `paths` moves the objects, `events` turns motion into events.
"""

from velocell.simulate.events import simulate
from velocell.simulate.presets import notebook_scene, random_scene
from velocell.simulate.scene import Flicker, Scene, SceneObject

__all__ = ["Flicker", "Scene", "SceneObject", "notebook_scene", "random_scene", "simulate"]
