"""All rivals, found by their modules: `rivals()`. A new one is a module here that exposes `RIVAL`."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module

from benchmarks.rivals.interface import Rival, RivalError


@cache
def rivals() -> dict[str, Rival]:
    """By name, Velocell first, the others as their names sort."""
    found = {}
    for module in pkgutil.iter_modules(__path__):
        rival = import_module(f"{__name__}.{module.name}").RIVAL
        if rival.name != module.name:
            raise RivalError(f"the rival in methods/{module.name}.py calls itself {rival.name}; the names must agree")
        found[rival.name] = rival
    return dict(sorted(found.items(), key=lambda item: (item[0] != "velocell", item[0])))


def rival(name: str) -> Rival:
    """Raises RivalError for a name that no module has."""
    if name not in rivals():
        raise RivalError(f"there is no rival '{name}'; there are: {', '.join(rivals())}")
    return rivals()[name]
