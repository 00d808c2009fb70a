"""Recordings longer than memory, and mostly silent ones: work follows events, memory follows neither."""

from __future__ import annotations

import weakref
from dataclasses import replace

import numpy as np
import pytest

from velocell.calibration.search import Search
from velocell.data.blocks import joined
from velocell.data.recording import Recording
from velocell.demo import BANDS
from velocell.filters.chain import NOTHING
from velocell.filters.reading import FilePart
from velocell.formats import Source, open_recording, write_evt3, write_npz
from velocell.pipeline import detect, findings
from velocell.simulate import notebook_scene, simulate
from velocell.tracking import online

YEAR_US = 365 * 86_400_000_000


@pytest.fixture(scope="module")
def scene() -> Recording:
    return simulate(notebook_scene())[0]


def later(recording: Recording, by_us: int) -> Recording:
    start_us, stop_us = recording.start_us + by_us, recording.stop_us + by_us
    return replace(recording, t_us=recording.t_us + by_us, start_us=start_us, stop_us=stop_us)


@pytest.fixture(scope="module")
def network(scene):
    return detect(scene, BANDS).network


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_a_year_of_silence_is_one_step(scene, network, engine, monkeypatch):
    steps = []
    respond = online.Online.respond
    monkeypatch.setattr(online.Online, "respond", lambda *a, **k: steps.append(1) or respond(*a, **k))
    scene = scene.between(stop_us=100_000) if engine == "reference" else scene
    before = detect(scene, network=network, engine=engine)
    once = len(steps)
    both = detect(joined([scene, later(scene, YEAR_US)]), network=network, engine=engine)
    assert len(steps) - once <= 2 * once + 1
    first, second = (both.tracks.where(side) for side in (both.tracks.t_us < YEAR_US, both.tracks.t_us >= YEAR_US))
    assert len(second) == len(before.tracks)  # the rows that end the first one are those of objects that coast
    np.testing.assert_array_equal(second.t_us - YEAR_US, before.tracks.t_us)
    for name in ("x_px", "y_px", "band", "speed_px_s"):
        np.testing.assert_array_equal(getattr(first, name)[: len(before.tracks)], getattr(before.tracks, name))
    # What the tracker has learned of the whole scene, which polarities there are, it still knows.
    np.testing.assert_allclose(second.x_px, before.tracks.x_px, atol=0.1)
    np.testing.assert_array_equal(second.band, before.tracks.band)


def test_a_silence_has_no_rows_once_nothing_lives(scene, network):
    found = detect(joined([scene, later(scene, YEAR_US)]), network=network).tracks
    silent = (found.t_us >= scene.stop_us + 20_000_000) & (found.t_us < YEAR_US)
    assert not silent.any()
    assert len(found) < 20 * len(detect(scene, network=network).tracks)


def test_a_file_gives_the_rows_of_the_recording_in_memory(scene, tmp_path):
    whole = joined([scene, later(scene, 40_000_000), later(scene, 80_000_000)])
    write_npz(whole, tmp_path / "a.npz")
    in_memory, from_file = detect(whole, BANDS), detect(tmp_path / "a.npz", BANDS)
    for name, values in in_memory.tracks.columns().items():
        np.testing.assert_array_equal(values, from_file.tracks.columns()[name])
    assert from_file.spikes.same_as(in_memory.spikes)
    assert from_file.tracks.meta["recording"]["events"] == len(whole)


def test_nothing_of_a_step_outlives_the_next_ones(scene, network, tmp_path, monkeypatch):
    """Counted, since the arrays of the core are no memory that Python could trace."""
    write_evt3((later(scene, k * 500_000) for k in range(60)), tmp_path / "a.raw")
    monkeypatch.setattr("velocell.formats.source.SMALLEST_BLOCK", 1 << 13)
    part = FilePart(open_recording(tmp_path / "a.raw", size=scene.size), NOTHING)
    seen: dict[str, list[weakref.ref]] = {"blocks": [], "events": [], "spikes": [], "rows": []}
    blocks, respond, locate = Source.blocks, online.Online.respond, online.Online.locate

    def watched_blocks(self, *span):
        for block in blocks(self, *span):
            seen["blocks"].append(weakref.ref(block.t_us))
            yield block

    def watched_respond(self, events, *more, **how):
        seen["events"].append(weakref.ref(events.t_us))
        spikes = respond(self, events, *more, **how)
        seen["spikes"].append(weakref.ref(spikes.t_us))
        return spikes

    def watched_locate(self, *more, **how):
        rows = locate(self, *more, **how)
        seen["rows"].append(weakref.ref(rows["x_px"]))
        return rows

    monkeypatch.setattr(Source, "blocks", watched_blocks)
    monkeypatch.setattr(online.Online, "respond", watched_respond)
    monkeypatch.setattr(online.Online, "locate", watched_locate)
    alive = dict.fromkeys(seen, 0)
    for _ in findings(part, Search.of(None, network=network)).pieces:
        for name, made in seen.items():
            alive[name] = max(alive[name], sum(one() is not None for one in made))
    assert min(map(len, seen.values())) > 15
    assert max(alive.values()) <= 6, alive
