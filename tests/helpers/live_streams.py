"""What the tests of `velocell live` share: packets as a camera's computer sends them, and what takes the results."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.calibration.measure import network_for
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.data.tables import COLUMNS
from velocell.data.tracks import Tracks
from velocell.formats import write_npz
from velocell.network import Network
from velocell.simulate import Scene, SceneObject, simulate

BANDS = Bands((60.0, 240.0, 960.0))


def a_disk(duration_us: int, noise_hz: float) -> Scene:
    """At 400 px/s on 160x120."""
    item = SceneObject(id=0, x_px=10, y_px=60, speed_px_s=400)
    return Scene(160, 120, duration_us, seed=1, noise_hz=noise_hz, objects=(item,))


def written(folder: Path, scene: Scene, bands: Bands | tuple[float, ...] = BANDS) -> tuple[Recording, Tracks, Network]:
    """What is seen of it as rec.npz, and a network for that as net.toml; with the truth."""
    recording, truth = simulate(scene)
    write_npz(recording, folder / "rec.npz")
    network = network_for(recording, bands, 5.0)
    network.to_toml(folder / "net.toml")
    return recording, truth, network


class Collected:
    """An output that keeps the lines."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.meta: dict[str, Any] | None = None
        self.started = False

    def write(self, columns: dict[str, Any], meta: dict[str, Any]) -> None:
        self.meta = self.meta or meta
        self.lines.append(columns)

    def finish(self, meta: dict[str, Any]) -> None:
        self.meta = self.meta or meta

    def column(self, name: str) -> NDArray[Any]:
        return np.concatenate([part[name] for part in self.lines if name in part])


class Source:
    """Gives the blocks that it is made of, then waits for the end; the losses are what a test says."""

    name, size, waits, waited_s, stop_us = "udp://somewhere", (160, 120), False, 0.001, None
    heard_s: float | None = None

    def __init__(self, *blocks: Recording, error: Exception | None = None, stays: bool = False) -> None:
        self.meta: dict[str, Any] = {}
        self.lost: dict[str, int] = {}
        self._blocks, self._error, self._stays = blocks, error, stays
        self.closed = False

    def blocks(self, stop: Event) -> Iterator[Recording]:
        yield from self._blocks
        if self._error is not None:
            raise self._error
        if self._stays:
            stop.wait()

    def losses(self) -> dict[str, int]:
        return self.lost

    def notes(self) -> tuple[str, ...]:
        return ()

    def close(self) -> None:
        self.closed = True


def free_port() -> int:
    """Of TCP."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def same_rows(found: Tracks, expected: Tracks) -> None:
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)


def packets(recording: Recording, *, timed: bool, events: int = 60) -> Iterator[bytes]:
    """As AEStream packs them, written here a second time: x, y, polarity, and the times in words of their own."""
    assert recording.p is not None
    for first in range(0, len(recording), events):
        data = b""
        for k in range(first, min(first + events, len(recording))):
            word = int(recording.x[k]) << 16 | int(recording.p[k]) << 15 | int(recording.y[k])
            if timed:
                data += word.to_bytes(4, "little") + (int(recording.t_us[k]) % 2**32).to_bytes(4, "little")
            else:
                data += (word | 1 << 31).to_bytes(4, "little")
        yield data
