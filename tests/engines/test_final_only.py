"""A step that gives the spikes of the last layer alone: the same as those of all layers give."""

from __future__ import annotations

import numpy as np
import pytest

from velocell import engines
from velocell.calibration.formulas import calibrate
from velocell.calibration.search import Search
from velocell.simulate import notebook_scene, simulate
from velocell.tracking.online import Online

RECORDING = simulate(notebook_scene())[0].between(stop_us=60_000)
NETWORK = calibrate((16, 62, 177, 500), 5.0)


@pytest.mark.parametrize("name", engines.ENGINES)
def test_every_engine_gives_the_last_layer_alone(name: str) -> None:
    if name == "norse":
        pytest.importorskip("norse")
    engine, whole = engines.load(name), engines.run(NETWORK, RECORDING, engine=name)
    state = engine.init(NETWORK, RECORDING.size)
    parts = []
    for start_us, stop_us in ((0, 25_000), (25_000, 60_000)):
        events = RECORDING.between(start_us, stop_us)
        state, spikes = engine.step(NETWORK, state, events, stop_us, final_only=True)
        parts.append(spikes)
    final = whole.final()
    assert len(whole) > len(final) > 0
    for column in ("t_us", "x", "y", "channel", "layer"):
        np.testing.assert_array_equal(np.concatenate([getattr(part, column) for part in parts]), getattr(final, column))


def test_the_rows_are_the_same() -> None:
    search = Search.of((16, 62, 177, 500), 5.0, network=NETWORK)
    found = []
    for online in (search.online(NETWORK, RECORDING.size, final_only=only) for only in (False, True)):
        assert isinstance(online, Online)
        found.append(online.step(RECORDING, RECORDING.stop_us, at_end=True))
    (rows, whole), (same, final) = found
    assert len(rows["id"]) > 0
    assert len(final) < len(whole)
    for name, values in rows.items():
        np.testing.assert_array_equal(values, same[name])
