"""A run by itself: which rows, how far, what it keeps, who crosses a line; no thread and no session."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from viewer_tools import demo_recording, looking

from velocell.calibration import learning
from velocell.calibration.measure import network_for
from velocell.data.recording import Recording
from velocell.data.tables import COLUMNS
from velocell.demo import BANDS
from velocell.errors import EngineError
from velocell.pipeline import detect, find
from velocell.results.counting import Line, count, crossings
from velocell.simulate import Scene, SceneObject, simulate
from velocell.viewer import run as run_module
from velocell.viewer.analysis import Recorded
from velocell.viewer.measuring import measure
from velocell.viewer.run import Along, Run, Whole
from velocell.viewer.source import InMemory


@pytest.fixture(scope="module")
def network():
    return network_for(demo_recording(), BANDS, 5.0)


class Growing(InMemory):
    """A recording that is not over as long as a test says so; of it `held` is there."""

    growing = True


def whole(settings, network, recording=None, stop_us=None, **more):
    source = InMemory(recording or demo_recording())
    return Run(source, settings, (network,), source.start_us, Whole(stop_us or source.stop_us), **more)


def finished(run):
    while run.goes_on(run.until_us):
        run.step()
    return run.results()


def same_rows(found, expected):
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)


def test_its_rows_are_those_of_detect(network):
    results = finished(whole(looking(), network))
    expected = detect(demo_recording(), network=network)
    assert results.complete
    assert (results.from_us, results.until_us, results.events) == (0, 500_000, len(demo_recording()))
    same_rows(results.tracks(), expected.tracks)
    assert results.activity.sum() == len(expected.spikes.of_layer(1))


def test_a_provisional_run_ends_early_and_is_never_complete(network):
    run = whole(looking(), network, stop_us=200_000, provisional=True)
    results = finished(run)
    assert run.complete
    assert (results.provisional, results.complete, results.until_us) == (True, False, 200_000)


def test_it_goes_on_for_a_while_beyond_the_cursor(network, monkeypatch):
    monkeypatch.setattr(run_module, "AHEAD_US", 150_000)
    run = whole(looking(), network)
    while run.goes_on(0):
        run.step()
    assert run.until_us == 200_000
    assert run.goes_on(100_000)


def test_beyond_the_memory_it_forgets_what_lies_behind_the_cursor(network, monkeypatch):
    monkeypatch.setattr(run_module, "RESULT_BYTES", 12_000)
    monkeypatch.setattr(run_module, "LEAD_US", (0, 50_000))
    run = whole(looking(), network)
    while run.goes_on(0):
        run.step()
    assert run.until_us < 500_000  # what lies before the cursor is kept
    assert run.from_us == 0
    at_us = run.until_us
    assert run.goes_on(at_us)
    run.step()
    assert 0 < run.from_us < at_us
    assert run.results().events == len(demo_recording().between(run.from_us, run.until_us))


def test_lines_are_counted_as_detect_counts_them(network):
    lines = (Line(25, 0, 25, 49), Line(0, 25, 49, 25))
    results = finished(whole(looking(lines=lines), network))
    expected = crossings(detect(demo_recording(), network=network).tracks, lines)
    assert len(expected) >= 2
    assert count(results.crossed, lines, BANDS.names) == count(expected, lines, BANDS.names)
    assert sum(results.crossed.values()) == len(expected)


@pytest.mark.parametrize("engine", ["reference", "norse"])
def test_any_engine_gives_its_rows(network, engine):
    try:
        run = whole(looking(engine=engine), network, demo_recording().between(0, 60_000))
    except EngineError as error:
        pytest.skip(str(error))
    same_rows(finished(run).tracks(), detect(demo_recording().between(0, 60_000), network=network).tracks)


def test_along_a_source_it_runs_whole_ticks_and_joins_its_steps(network):
    source = Growing(demo_recording().between(0, 208_400))
    settings = looking()
    run = Run(source, settings, (network,), 0, Along(source, settings.search, network.dt_us))
    results = finished(run)
    assert (results.complete, results.until_us) == (False, 208_400 // network.dt_us * network.dt_us)
    # Blocks of 100 ms, however short the steps were, and what has begun since.
    assert [block.stop_us for block in results.blocks] == [100_000, 200_000, results.until_us]
    source.__class__.growing = False
    try:
        assert finished(run).complete
        same_rows(run.results().tracks(), detect(demo_recording().between(0, 208_400), network=network).tracks)
    finally:
        source.__class__.growing = True


def test_a_late_start_and_fading_light_are_measured_as_detect_does(monkeypatch):
    monkeypatch.setattr(learning, "RENEW_US", 1_000_000)
    monkeypatch.setattr(learning, "PER_LOOK", 0)
    item = SceneObject(id=0, x_px=15, y_px=25, speed_px_s=300, bounce=True, start_us=1_300_000, contrast=4)
    bright = simulate(Scene(80, 60, 7_000_000, seed=3, noise_hz=0.5, objects=(item,)))[0]
    faint = Scene(80, 60, 7_000_000, seed=4, event_loss=0.3, objects=(replace(item, contrast=1.0),))
    parts = bright.between(stop_us=3_500_000), simulate(faint)[0].between(3_500_000)
    columns = [np.concatenate([getattr(part, name) for part in parts]) for name in ("t_us", "x", "y", "p")]
    recording = Recording.from_arrays(*columns, width=80, height=60, start_us=0, stop_us=7_000_000)
    settings, way = looking(), Recorded(InMemory(recording))
    measured = measure(way.probe(), way.parts(), settings)
    assert not measured.too_sparse
    assert measured.networks[0].origin.measured_us[0] >= 1_200_000
    results = finished(whole(settings, measured.networks[0], recording))
    same_rows(results.tracks(), find(recording, settings.search, keep_spikes=False).tracks)
    assert results.network is not measured.networks[0], "the light has changed"
