"""The rows of the table of clutter: what their names say, run as the command line runs them."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.clutter import BANDS, CASES, COLUMNS, Case, lamp, row, run, texture
from velocell.calibration import calibrate
from velocell.calibration.passes import Passes
from velocell.calibration.search import Search
from velocell.data.recording import Recording
from velocell.filters.chain import Cleaning
from velocell.filters.flicker import find_lamps
from velocell.formats import write_npz
from velocell.pipeline import find
from velocell.simulate import Scene, simulate


def test_a_texture_moves_with_the_speed_that_it_has():
    """What one column of pixels sees, the next one sees a pixel's way later."""
    recording, _ = texture(0.4, speed=100.0)
    right, left = (recording.mask(recording.x == x) for x in (200, 190))
    later = right.mask(right.t_us < 300_000)
    again = set(zip(left.t_us.tolist(), left.y.tolist(), left.p.tolist(), strict=True))  # type: ignore[union-attr]
    shared = [
        any((t + 100_000 + off, y, p) in again for off in (-1, 0, 1))
        for t, y, p in zip(later.t_us.tolist(), later.y.tolist(), later.p.tolist(), strict=True)  # type: ignore[union-attr]
    ]
    assert len(shared) > 500
    assert np.mean(shared) == 1
    assert find_lamps([texture(1.0)[0]]) == ()


@pytest.fixture
def small(monkeypatch) -> Recording:
    """A second of the texture on a small sensor: 400 000 events."""
    monkeypatch.setattr("benchmarks.clutter.WIDTH", 120)
    monkeypatch.setattr("benchmarks.clutter.HEIGHT", 90)
    return texture(1.0)[0]


def test_a_texture_gives_no_tracks(small):
    """Taken for noise, it would be taken off what is around a ring: five tracks."""
    search = Search.of(BANDS, 5.0)
    found = find(small, search)
    assert np.unique(found.tracks.id).size <= 1
    assert found.too_sparse
    assert found.crowding.told is not None
    passes = Passes(search)
    passes.see(calibrate(BANDS, 5.0), small)
    assert passes.blind


def test_a_run_measures_what_it_says(tmp_path):
    path = tmp_path / "lamp.npz"
    recording, _ = lamp(0.5)
    write_npz(recording, path)
    cost = run(path, 5.0)
    assert cost.total_s == pytest.approx(cost.opened_s + cost.calibrated_s + cost.followed_s)
    assert min(cost.opened_s, cost.calibrated_s, cost.followed_s) >= 0
    assert run(path, 5.0, cleaning=Cleaning(flicker="off")).crowding != cost.crowding


def test_a_row_has_a_cell_for_each_column(tmp_path):
    short = Case("short", lambda seconds: simulate(Scene(60, 40, round(1e6 * seconds), seed=1, noise_hz=5.0)))
    assert row(short, 0.3, 1, tmp_path).count("|") == len(COLUMNS) + 1
    assert len({case.name for case in CASES}) == len(CASES)
