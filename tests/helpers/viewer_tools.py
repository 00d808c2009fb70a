"""What the viewer's tests share: scenes, sessions that are ready, a server in a thread, pictures taken apart."""

from __future__ import annotations

import json
import queue
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from velocell.calibration.recipe import Recipe
from velocell.calibration.search import Search
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.demo import BANDS
from velocell.filters.chain import Cleaning
from velocell.network.network import Network
from velocell.simulate import notebook_scene, simulate
from velocell.viewer.command import CommandParts
from velocell.viewer.following import STREAM
from velocell.viewer.server import Door, Stage, build_app
from velocell.viewer.server import settings as settings_of_server
from velocell.viewer.session import Session
from velocell.viewer.settings import Settings
from velocell.viewer.source import InMemory, Source
from velocell.viewer.stream import Stream

PATIENCE_S = 60.0
T = TypeVar("T")


@lru_cache(maxsize=1)
def demo_recording() -> Recording:
    """The notebook's three disks, simulated."""
    return simulate(notebook_scene())[0]


SEARCHED = ("contrast", "dt_us", "polarity", "every_us", "engine", "templates", "networks", "rules")
RECIPE = {name: name for name in ("inside", "veto", "veto_reach", "surround", "centre_px")}
RECIPE["ring_width"] = "ring_width_px"
CLEANED = ("mask_hot", "refractory_us", "denoise_us", "ignore", "camera", "regions")


def looking(
    bands: Bands = BANDS,
    radius: float = 5.0,
    *,
    network: Network | None = None,
    network_file: str | None = None,
    **values: Any,
) -> Settings:
    """Settings by the names of all that they consist of."""
    networks: dict[str, Any] = {} if network is None else {"networks": (network,)}
    recipe: dict[str, Any] = {field: values.pop(name) for name, field in RECIPE.items() if name in values}
    searched: dict[str, Any] = {name: values.pop(name) for name in SEARCHED if name in values}
    cleaned: dict[str, Any] = {name: values.pop(name) for name in CLEANED if name in values}
    parts: dict[str, Any] = {} if network_file is None else {"command_parts": CommandParts(network=network_file)}
    search = Search(bands, radius, recipe=Recipe(**recipe), **searched, **networks)
    return Settings(search, Cleaning(**cleaned), **parts, **values)


def until(condition: Callable[[], T], what: str = "that") -> T:
    """Wait for a condition; the value that made it true."""
    stop = time.monotonic() + PATIENCE_S
    while time.monotonic() < stop:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"{what} did not happen within {PATIENCE_S:g} s")


def ready(session: Session) -> Session:
    """Once all of the recording is analysed with the session's own settings."""

    def done() -> object:
        state = session.state()
        assert state["error"] is None, state["error"]
        found = state["analysed"]
        return found and found["complete"] and found["current"] and not state["doing"]

    until(done, "the analysis")
    return session


@contextmanager
def opened(recording: Any = None, settings: Settings | None = None, **more: Any) -> Iterator[Session]:
    """A session, closed at the end; of a Recording, a viewer's Source or, with None, the demo's."""
    source = recording if hasattr(recording, "window") else InMemory(recording or demo_recording(), title="demo")
    session = Session(source, settings or looking(), **more)
    try:
        yield session
    finally:
        session.close()


def unpacked(message: bytes) -> tuple[dict[str, Any], NDArray[np.uint8] | None, dict[str, NDArray[Any]]]:
    """Header, plane (H, W) or None, and the spikes of a picture, as wire.py's text describes the bytes."""
    length = struct.unpack_from("<I", message)[0]
    header = json.loads(message[4 : 4 + length])
    at = 4 + length
    assert at % 4 == 0

    def take(kind: str, n: int) -> NDArray[Any]:
        nonlocal at
        values = np.frombuffer(message, kind, n, at)
        at += values.nbytes
        return values

    width, height = header["size"]
    plane = None
    if header["plane"] == "sparse":
        pixels, plane = take("<u4", header["n"]), np.zeros(width * height, np.uint8)
        plane[pixels] = take("u1", header["n"])
    elif header["plane"] == "dense":
        plane = take("u1", header["n"])
    at += -at % 4
    tails = take("<f4", 2 * header["tails"]).reshape(-1, 2)
    for item in header.get("objects", []):
        item["tail"], tails = tails[: item["tail"]], tails[item["tail"] :]
    assert not len(tails)
    n = header["spikes"]
    spikes = {"x": take("<u2", n), "y": take("<u2", n), "index": take("u1", n), "age": take("u1", n)}
    assert at == len(message)
    return header, None if plane is None else plane.reshape(height, width), spikes


class Feed:
    """A live source that gives what it is handed, to its end (None) or to an error."""

    meta: dict[str, Any]
    stop_us: int | None
    name, meta, waits, waited_s, stop_us = "udp://127.0.0.1:3333", {}, True, 0.0, None
    heard_s = None

    def __init__(self, size: tuple[int, int] = (50, 50)) -> None:
        self.size, self.closed = size, False
        self._blocks: queue.Queue[Recording | Exception | None] = queue.Queue()

    def give(self, recording: Recording, span_us: int = 5_000) -> None:
        """The recording in parts, cut wherever `span_us` is."""
        for part in recording.chunks(span_us):
            self._blocks.put(part)
        self.stop_us = recording.stop_us

    def end(self, how: Exception | None = None) -> None:
        self._blocks.put(how)

    def blocks(self, stop: threading.Event) -> Iterator[Recording]:
        while not stop.is_set():
            try:
                block = self._blocks.get(timeout=0.02)
            except queue.Empty:
                continue
            if block is None:
                return
            if isinstance(block, Exception):
                raise block
            yield block

    def notes(self) -> tuple[str, ...]:
        return ("7 packets lost by the system",)

    def close(self) -> None:
        self.closed = True


def later(recording: Recording, by_us: int) -> Recording:
    """The same events at later times."""
    return replace(
        recording, t_us=recording.t_us + by_us, start_us=recording.start_us + by_us, stop_us=recording.stop_us + by_us
    )


class Served:
    """A server in a thread; `port` is where it listens."""

    def __init__(self, stage: Stage, door: Door) -> None:
        import uvicorn

        self.stage = stage
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        config = uvicorn.Config(build_app(stage, self.port, door), **settings_of_server())
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]}, daemon=True)
        self.thread.start()
        until(lambda: self.server.started, "the server's start")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(20)
        self.socket.close()
        self.stage.close()


@contextmanager
def served(
    source: Source | None = None,
    settings: Settings | None = None,
    token: str | None = None,
    playing: bool = False,
    opener: Callable[[], Source] | None = None,
    hosts: Sequence[str] = (),
    root: str = "",
) -> Iterator[Served]:
    """A whole viewer on a port of its own."""

    def open_session(on_change: Callable[[], None]) -> Session:
        made = opener() if opener else source or InMemory(demo_recording(), title="demo")
        if isinstance(made, Stream):
            return Session(made, settings or looking(), kind=STREAM, on_change=on_change)
        return Session(made, settings or looking(), playing=playing, on_change=on_change)

    server = Served(Stage(open_session, "Opening"), Door(token, tuple(hosts), root))
    try:
        yield server
    finally:
        server.stop()
