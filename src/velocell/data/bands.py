"""Speed bands: what a user asks for and a channel stands for."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from velocell.errors import NetworkError

if sys.version_info >= (3, 11):
    pass
else:
    pass


@dataclass(frozen=True)
class Bands:
    """Speed bands: N+1 edges in px/s make N bands, the slowest is band 0."""

    edges: tuple[float, ...]
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        edges = tuple(float(edge) for edge in self.edges)
        object.__setattr__(self, "edges", edges)
        if len(edges) < 2 or not all(np.isfinite(edges)) or edges[0] <= 0 or any(np.diff(edges) <= 0):
            raise NetworkError(
                "bands must be at least two increasing speeds above 0 px/s, got "
                + (", ".join(f"{edge:g}" for edge in edges) or "none")
            )
        names = tuple(self.names) or default_band_names(len(edges) - 1)
        object.__setattr__(self, "names", names)
        if len(names) != len(edges) - 1 or len(set(names)) != len(names):
            raise NetworkError(f"{len(edges) - 1} bands need as many different names, got {', '.join(names)}")

    def __len__(self) -> int:
        return len(self.edges) - 1

    def of_speed(self, speed_px_s: ArrayLike) -> NDArray[np.int32]:
        """Band of each speed, -1 outside all of them (and for NaN)."""
        return band_of(speed_px_s, self.edges)

    def name(self, band: int) -> str:
        return self.names[band] if 0 <= band < len(self) else "outside"


def default_band_names(count: int) -> tuple[str, ...]:
    """Names of bands that nobody named."""
    return {1: ("band 0",), 2: ("slow", "fast"), 3: ("slow", "medium", "fast")}.get(
        count, tuple(f"band {i}" for i in range(count))
    )


def band_of(speed_px_s: ArrayLike, edges: ArrayLike) -> NDArray[np.int32]:
    """Band of each speed: k where edges[k] <= speed < edges[k + 1], -1 outside all of them (and for NaN)."""
    speed, bounds = np.asarray(speed_px_s, np.float64), np.asarray(edges, np.float64)
    band = np.searchsorted(bounds, speed, side="right") - 1
    return np.where((band >= 0) & (band < bounds.size - 1) & (speed == speed), band, -1).astype(np.int32)
