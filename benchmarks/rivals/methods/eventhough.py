"""An event-based Hough transform of circles, and linking."""

from __future__ import annotations

from benchmarks.rivals.interface import Choice, Rival, Values
from benchmarks.rivals.parts import linking
from benchmarks.rivals.parts.pictures import correlated, faded, peaks, ring_kernel
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks


def follow(recording: Recording, radius_px: float, bands: Bands, values: Values) -> Tracks:
    """Each event votes for all centres from which it lies a radius away; votes fade. A vote is linear in the events, so
    that the accumulator at an instant is the faded events' picture, correlated with the circle."""
    circle = ring_kernel(radius_px, float(values["width_px"]), 0.0)
    circle /= circle.max()
    tau_us = float(values["tau_ms"]) * 1e3
    linker = linking.Linker(radius_px, bands, values)
    for t, picture in faded(recording, tau_us):
        votes = correlated(picture, circle)
        found = peaks(votes, float(values["votes"]), float(values["apart_radii"]) * radius_px)
        linker.step(t, found, float(values["lag_taus"]) * tau_us)
    return linker.table()


RIVAL = Rival(
    name="eventhough",
    title="Event-based Hough circles",
    source="Ni et al., Asynchronous event-based high speed vision for microparticle tracking, J. Microscopy 245 "
    "(2012), https://doi.org/10.1111/j.1365-2818.2011.03565.x",
    licence="Apache-2.0",
    version="1",
    how="reimplemented from its description; votes fade instead of leaving a list, and linking of our own takes the "
    "place of theirs to the nearest particle",
    parameters={
        "tau_ms": Choice(10.0, 2.0, 50.0, log=True),
        "width_px": Choice(2.0, 1.0, 4.0),
        "votes": Choice(25.0, 4.0, 150.0, log=True),
        "apart_radii": Choice(1.5, 0.8, 2.5),
        "lag_taus": Choice(0.8, 0.0, 1.2),
        **linking.PARAMETERS,
    },
    user_set=3,
    follow=follow,
)
