"""What the viewer's tests share: scenes, sessions that are ready, a server in a thread, pictures taken apart."""

from __future__ import annotations

import json
import queue
import socket
import struct
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache

import numpy as np

from velocell.calibration.recipe import Recipe
from velocell.calibration.search import Search
from velocell.demo import BANDS
from velocell.filters.chain import Cleaning
from velocell.simulate import notebook_scene, simulate
from velocell.viewer.command import Told
from velocell.viewer.following import STREAM
from velocell.viewer.server import Stage, build_app
from velocell.viewer.session import Session
from velocell.viewer.settings import Settings
from velocell.viewer.source import InMemory
from velocell.viewer.stream import Stream

PATIENCE_S = 60.0


@lru_cache(maxsize=1)
def demo_recording():
    """The notebook's three disks, simulated."""
    return simulate(notebook_scene())[0]


SEARCHED = ("contrast", "dt_us", "polarity", "every_us", "engine", "templates", "networks", "rules")
RECIPE = {name: name for name in ("inside", "veto", "veto_reach", "surround", "centre_px")}
RECIPE["ring_width"] = "ring_width_px"
CLEANED = ("mask_hot", "refractory_us", "denoise_us", "ignore", "camera", "regions")


def looking(bands=BANDS, radius=5.0, *, network=None, network_file=None, **values):
    """Settings by the names of all that they consist of."""
    networks = {} if network is None else {"networks": (network,)}
    recipe = {field: values.pop(name) for name, field in RECIPE.items() if name in values}
    searched = {name: values.pop(name) for name in SEARCHED if name in values}
    cleaned = {name: values.pop(name) for name in CLEANED if name in values}
    told = {} if network_file is None else {"told": Told(network=network_file)}
    search = Search(bands, radius, recipe=Recipe(**recipe), **searched, **networks)
    return Settings(search, Cleaning(**cleaned), **told, **values)


def until(condition, what="that"):
    """Wait for a condition; the value that made it true."""
    stop = time.monotonic() + PATIENCE_S
    while time.monotonic() < stop:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"{what} did not happen within {PATIENCE_S:g} s")


def ready(session):
    """Once all of the recording is analysed with the session's own settings."""

    def done():
        state = session.state()
        assert state["error"] is None, state["error"]
        found = state["analysed"]
        return found and found["complete"] and found["current"] and not state["doing"]

    until(done, "the analysis")
    return session


@contextmanager
def opened(recording=None, settings=None, **more):
    """A session, closed at the end."""
    source = recording if hasattr(recording, "window") else InMemory(recording or demo_recording(), title="demo")
    session = Session(source, settings or looking(), **more)
    try:
        yield session
    finally:
        session.close()


def unpacked(message):
    """Header, plane (H, W) or None, and the spikes of a picture, as wire.py's text describes the bytes."""
    length = struct.unpack_from("<I", message)[0]
    header = json.loads(message[4 : 4 + length])
    at = 4 + length
    assert at % 4 == 0

    def take(kind, n):
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

    name, meta, waits, waited_s, stop_us = "udp://127.0.0.1:3333", {}, True, 0.0, None

    def __init__(self, size=(50, 50)):
        self.size, self.closed = size, False
        self._blocks = queue.Queue()

    def give(self, recording, span_us=5_000):
        """The recording in parts, cut wherever `span_us` is."""
        for part in recording.chunks(span_us):
            self._blocks.put(part)
        self.stop_us = recording.stop_us

    def end(self, how=None):
        self._blocks.put(how)

    def blocks(self, stop):
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

    def notes(self):
        return ("7 packets lost by the system",)

    def close(self):
        self.closed = True


def later(recording, by_us):
    """The same events at later times."""
    return replace(
        recording, t_us=recording.t_us + by_us, start_us=recording.start_us + by_us, stop_us=recording.stop_us + by_us
    )


class Served:
    """A server in a thread; `port` is where it listens."""

    def __init__(self, stage, token=None):
        import uvicorn

        self.stage = stage
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        config = uvicorn.Config(
            build_app(stage, self.port, token), log_level="error", ws="websockets-sansio", lifespan="off",
            ws_per_message_deflate=False, timeout_graceful_shutdown=1,
        )  # fmt: skip
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]}, daemon=True)
        self.thread.start()
        until(lambda: self.server.started, "the server's start")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    def stop(self):
        self.server.should_exit = True
        self.thread.join(20)
        self.socket.close()
        self.stage.close()


@contextmanager
def served(source=None, settings=None, token=None, playing=False, opener=None):
    """A whole viewer on a port of its own."""

    def open_session(on_change):
        made = opener() if opener else source or InMemory(demo_recording(), title="demo")
        if isinstance(made, Stream):
            return Session(made, settings or looking(), kind=STREAM, on_change=on_change)
        return Session(made, settings or looking(), playing=playing, on_change=on_change)

    server = Served(Stage(open_session, "Opening"), token)
    try:
        yield server
    finally:
        server.stop()
