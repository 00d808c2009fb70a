"""How values show themselves in a notebook: the one way from data to pictures.

Imports go from pictures to data. A notebook asks the data itself to be shown, so this looks the pictures
up by name, and only when asked.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from velocell.recording import Recording
    from velocell.video import Clip


def shown(value: object) -> str:
    """HTML of a Recording, Network, Tracks or Spikes (`display.html_of`)."""
    display: Any = importlib.import_module("velocell.display")
    html: str = display.html_of(value)
    return html


def animated(recording: Recording, *arguments: Any, **settings: Any) -> Clip:
    """`video.animate`."""
    video: Any = importlib.import_module("velocell.video")
    clip: Clip = video.animate(recording, *arguments, **settings)
    return clip
