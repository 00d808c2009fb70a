"""UDP with strangers beside the true sender: its rows must be those without attack.

    python -m benchmarks.attacks [--seconds 60]

Four attacks: one stray packet first; packets far ahead; packets without times; random packets. Each goes on for as long
as the true stream does, a scene of four disks that is sent at its own pace.
"""

from __future__ import annotations

import argparse
import itertools
import socket
import sys
import time
from collections.abc import Iterator
from threading import Event, Thread
from typing import Any

import numpy as np

from velocell.calibration.measure import network_for
from velocell.calibration.search import Search
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.filters.chain import Cleaning
from velocell.live import Output, Settings, open_source, run
from velocell.simulate import Scene, SceneObject, simulate

BANDS = Bands((40.0, 160.0, 640.0))
_PACKET_EVENTS = 64


def scene(seconds: float) -> Recording:
    items = tuple(
        SceneObject(
            id=k, x_px=30 + 60 * k, y_px=40 + 30 * k, speed_px_s=70 * (k + 1), heading_deg=30 + 70 * k, bounce=True
        )
        for k in range(4)
    )
    return simulate(Scene(320, 240, int(seconds * 1e6), seed=3, objects=items, noise_hz=0.1))[0]


def packets(events: Recording) -> Iterator[tuple[float, bytes]]:
    """When each is sent, in seconds from the start, and what it holds."""
    assert events.p is not None
    words = np.empty(2 * len(events), "<u4")
    words[::2] = events.x.astype("<u4") << 16 | events.p.astype("<u4") << 15 | events.y
    words[1::2] = events.t_us
    for first in range(0, len(events), _PACKET_EVENTS):
        last = min(first + _PACKET_EVENTS, len(events))
        yield float(events.t_us[last - 1]) * 1e-6, words[2 * first : 2 * last].tobytes()


def attack(name: str, port: int, over: Event) -> None:
    rng = np.random.default_rng(1)
    to = ("127.0.0.1", port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for k in itertools.count():
            if over.is_set():
                return
            if name == "far ahead":
                data = np.array([5, 3_000_000_000 + k], "<u4").tobytes()
            elif name == "without times":
                data = np.array([1 << 31 | 5], "<u4").tobytes()
            elif name == "random":
                data = rng.bytes(int(rng.integers(1, 400)))
            else:
                return
            stranger.sendto(data, to)
            time.sleep(0.001)


def rows(events: Recording, settings: Settings, name: str) -> tuple[list[Any], str]:
    """Of the stream with this attack; and what is said at the end."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    source = open_source(f"udp://127.0.0.1:{port}", size=events.size)
    # What a busy machine has to leave out is not what strangers change, so nothing is left out here.
    source.waits = True
    stop, over = Event(), Event()
    found: list[Any] = []
    said: list[str] = []
    output = Output(
        lambda lines: found.extend(line.partition(', "meta": ')[0].strip("}") for line in lines.splitlines()),
        lambda: None,
    )
    listening = Thread(target=lambda: said.append(str(run(source, settings, output, stop, lambda text: None))))
    listening.start()
    time.sleep(0.5)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        if name == "stray first":
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                stranger.sendto(np.array([5, 3_000_000_000], "<u4").tobytes(), ("127.0.0.1", port))
            time.sleep(0.2)
        begun = time.monotonic()
        attacking: Thread | None = None
        for at, data in packets(events):
            time.sleep(max(0.0, begun + at - time.monotonic()))
            sender.sendto(data, ("127.0.0.1", port))
            if attacking is None and at > 0.1:
                attacking = Thread(target=attack, args=(name, port, over))
                attacking.start()
    time.sleep(0.5)
    over.set()
    stop.set()
    listening.join(30)
    source.close()
    if attacking is not None:
        attacking.join()
    return found, said[0] if said else "it did not end"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    events = scene(parser.parse_args().seconds)
    network = network_for(events.between(0, 1_000_000), BANDS, 5.0)
    settings = Settings(Search.of(BANDS, 5.0, network=network), Cleaning(mask_hot=False))
    expected, said = rows(events, settings, "none")
    print(f"none: {len(expected)} rows; {said}")
    wrong = False
    for name in ("stray first", "far ahead", "without times", "random"):
        found, said = rows(events, settings, name)
        same = found == expected
        wrong |= not same
        print(f"{name}: {len(found)} rows, {'the same' if same else 'OTHERS'}; {said}", flush=True)
    sys.exit(wrong)


if __name__ == "__main__":
    main()
