"""The very end of a stream: the last tick is run and its rows are written, wherever the stream is cut."""

from __future__ import annotations

from threading import Event

import numpy as np
import pytest

from velocell import pipeline
from velocell.calibration.measure import network_for
from velocell.calibration.search import Search
from velocell.data.bands import Bands
from velocell.data.recording import Recording
from velocell.data.tables import COLUMNS
from velocell.live import Settings, run
from velocell.simulate import Scene, SceneObject, simulate

BANDS = Bands((60.0, 240.0, 960.0))
EVERY_US = 100  # many instants in a tick


class Cut:
    """A source that gives a recording in blocks; its end is known or not."""

    name, meta, waits, waited_s, stop_us = "cut", {"time": "of a test"}, True, 0.0, None

    def __init__(self, recording, *, tells_end):
        self._recording, self._tells_end, self.size = recording, tells_end, recording.size

    def blocks(self, stop):
        yield from self._recording.chunks(7_300)
        if self._tells_end:
            self.stop_us = self._recording.stop_us

    def notes(self):
        return ()


class Kept:
    def __init__(self):
        self.parts = []

    def write(self, columns, meta):
        self.parts.append(columns)

    def finish(self, meta):
        pass

    def column(self, name):
        return np.concatenate([part[name] for part in self.parts])


@pytest.fixture(scope="module")
def scene():
    """A disk that is in the picture from the start to the very end, and the network for it (ticks of 1 ms)."""
    item = SceneObject(id=0, x_px=10, y_px=20, speed_px_s=400, contrast=3.0)
    recording = simulate(Scene(100, 40, 160_000, seed=1, noise_hz=0.2, objects=(item,)))[0]
    return recording, network_for(recording, BANDS, 5.0, dt_us=1_000)


def with_an_event(recording, t_us):
    t, x, y, p = recording.t_us, recording.x, recording.y, recording.p
    columns = [np.append(values, last) for values, last in ((t, t_us), (x, 99), (y, 39), (p, 1))]
    return Recording.from_arrays(*columns, width=100, height=40)


# Within a tick, one instant into it, right before and at its end.
@pytest.mark.parametrize("last_us", [150_437, 150_100, 150_101, 150_999, 151_000, 151_001])
@pytest.mark.parametrize("tells_end", [True, False])
def test_rows_go_on_to_the_very_end_as_in_detect(scene, last_us, tells_end):
    whole, network = scene
    recording = whole.between(stop_us=last_us)
    if not tells_end:  # such a stream ends right after its last event
        recording = with_an_event(recording, last_us - 1)
    expected = pipeline.detect(recording, network=network, every_us=EVERY_US).tracks
    # The last instant before the end has its row: the test can tell.
    assert expected.t_us.max() == (recording.stop_us - 1) // EVERY_US * EVERY_US
    kept = Kept()
    summary = run(
        Cut(recording, tells_end=tells_end),
        Settings(Search.of(BANDS, 5.0, network=network, every_us=EVERY_US)),
        kept,
        Event(),
    )
    assert (summary.events, summary.rows, summary.late) == (len(recording), len(expected), 0)
    for name in COLUMNS:
        np.testing.assert_array_equal(kept.column(name), getattr(expected, name), name)
