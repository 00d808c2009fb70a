"""Velocell as a user runs it: nothing is given but radius and bands, nothing is tuned."""

from __future__ import annotations

from benchmarks.rivals.interface import EVERY_US, Rival, Values
from velocell import __version__
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks
from velocell.errors import VelocellError
from velocell.pipeline import detect


def follow(recording: Recording, radius_px: float, bands: Bands, values: Values) -> Tracks:
    try:
        return detect(recording, bands, radius_px, every_us=EVERY_US, keep_spikes=False).tracks
    except VelocellError as error:  # a recording from which nothing can follow: no rows, and why
        return Tracks.empty({"refused": str(error)})


RIVAL = Rival(
    name="velocell",
    title="Velocell",
    source="this project",
    licence="Apache-2.0",
    version=__version__,
    how="as published, with its defaults; not tuned",
    follow=follow,
)
