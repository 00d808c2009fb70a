"""One row for each object: its way, mean speed, crossings, and the real units."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from velocell.data.tracks import Tracks
from velocell.results.counting import Line
from velocell.results.object_table import object_table, write_objects
from velocell.results.plane import Plane, with_real_units


@pytest.fixture
def tracks():
    """Object 4 goes 2 s at 100 px/s, is not seen for half of a second in between, and jitters; 9 is seen once."""
    chance = np.random.default_rng(0)
    t = np.arange(0, 2_000_001, 5_000)
    t = t[(t <= 800_000) | (t >= 1_300_000)]
    moving = {
        "t_us": t, "id": np.full(t.size, 4), "x_px": 10 + 100 * t / 1e6 + chance.normal(0, 1.0, t.size),
        "y_px": np.full(t.size, 20.0), "speed_px_s": np.full(t.size, 100.0), "speed_err_px_s": np.full(t.size, 3.0),
        "band": np.where(t < 100_000, 0, 1), "radius_px": np.full(t.size, 5.0), "heading_deg": np.zeros(t.size),
    }  # fmt: skip
    single = {
        "t_us": [7], "id": [9], "x_px": [1.0], "y_px": [1.0], "speed_px_s": [50.0], "speed_err_px_s": [np.nan],
        "band": [-1], "radius_px": [np.nan], "heading_deg": [0.0],
    }  # fmt: skip
    return Tracks.from_columns({name: np.concatenate([moving[name], single[name]]) for name in moving})


def test_figures_of_each_object(tracks):
    table = object_table(tracks, [Line(100, 0, 100, 50), Line(0, 40, 300, 40)])
    assert table["id"].tolist() == [4, 9]
    assert (table["first_us"][0], table["last_us"][0], table["rows"][0]) == (0, 2_000_000, len(tracks) - 1)
    assert table["path_px"] == pytest.approx([200.0, 0.0])  # the jitter of 1 px would add 400 px
    assert table["speed_px_s"] == pytest.approx([100.0, 50.0])
    np.testing.assert_allclose(table["speed_err_px_s"], [3.0, np.nan])
    assert table["band"].tolist() == [1, -1]
    assert table["crossings_0"].tolist() == [1, 0]
    assert table["crossings_1"].tolist() == [0, 0]


def test_real_units(tracks):
    table = object_table(with_real_units(tracks, Plane.of_scale(4.0), (320, 240)))
    assert table["path_mm"] == pytest.approx([50.0, 0.0])
    assert table["speed_mm_s"] == pytest.approx([25.0, 12.5])


def test_as_csv_missing_values_are_empty(tracks, tmp_path):
    assert write_objects(tmp_path / "o.csv", tracks) == 2
    first, second = csv.DictReader((tmp_path / "o.csv").read_text().splitlines())
    assert (first["path_px"], first["speed_px_s"]) == ("200.000", "100.000")
    assert (second["speed_err_px_s"], second["radius_px"]) == ("", "")


def test_no_objects(tmp_path):
    assert write_objects(tmp_path / "o.csv", Tracks.empty(), [Line(0, 0, 1, 1)]) == 0
    assert (tmp_path / "o.csv").read_text().count("\n") == 1
