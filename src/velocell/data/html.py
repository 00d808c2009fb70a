"""How values show themselves in a notebook, without knowing how they are drawn.

Imports go from pictures to data; so data offers two functions here, and `pictures/cards.py` and
`pictures/video/clip.py` register what draws each type when `velocell` is imported.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any


@singledispatch
def shown(value: Any) -> str:
    """HTML of a Recording, Network, Tracks or Spikes. Raises TypeError for a type that nothing draws."""
    raise TypeError(f"cannot draw a {type(value).__name__}")


@singledispatch
def animated(value: Any, *arguments: Any, **settings: Any) -> Any:
    """A Recording as a clip; further arguments are those of `velocell.animate`. Raises TypeError for other types."""
    raise TypeError(f"cannot animate a {type(value).__name__}")
