"""The list of public names: nothing comes or goes without a change here."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from importlib import metadata

import pytest

import velocell

NAMES = [
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


def test_the_list_is_the_one_below():
    assert velocell.__all__ == NAMES
    assert sorted(NAMES) == NAMES
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_can_be_imported_and_says_what_it_is(name):
    item = getattr(velocell, name)
    assert inspect.isclass(item) or inspect.isfunction(item)
    assert item.__module__.startswith("velocell.")
    text = inspect.getdoc(item) or ""
    # A dataclass without a docstring gets its signature for one.
    assert len(text) > 20, f"{name} has no docstring"
    assert not text.startswith(f"{name}("), f"{name} has no docstring of its own"


def test_star_import_gives_the_list():
    scope: dict[str, object] = {}
    exec("from velocell import *", scope)
    assert sorted(set(scope) - {"__builtins__"}) == sorted(NAMES)


def test_functions_are_not_hidden_by_modules_of_the_same_name():
    # detect, calibrate, evaluate and simulate are modules, too; loading all modules must not put them in front.
    for module in pkgutil.walk_packages(velocell.__path__, "velocell."):
        if not module.name.startswith(("velocell.engines.norse", "velocell.cli", "velocell.__main__")):
            importlib.import_module(module.name)
    for name in NAMES:
        assert not inspect.ismodule(getattr(velocell, name)), name


def test_the_version_is_the_installed_one():
    assert velocell.__version__ == metadata.version("velocell")
