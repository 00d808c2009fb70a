"""The objects of a table, from its rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from velocell.cli.show import found_text
from velocell.data.bands import Bands
from velocell.data.tracks import Tracks
from velocell.results.objects import BandVotes, objects, rows_by_object


def table(**columns):
    n = len(columns["id"])
    return Tracks.from_columns({"t_us": np.arange(n), "x_px": np.zeros(n), "y_px": np.zeros(n), **columns})


def test_an_object_has_the_medians_of_its_rows():
    one, two = objects(
        table(
            id=[7, 3, 7, 7, 3],
            band=[2, 0, 1, 2, -1],
            speed_px_s=[10, 5, np.nan, 30, np.nan],
            speed_err_px_s=[1, np.nan, 3, 2, np.nan],
            radius_px=[4, 5, 6, 9, np.nan],
        )
    )
    assert (one.id, one.rows, one.first_us, one.last_us) == (3, 2, 1, 4)
    assert (one.speed_px_s, one.radius_px) == (5, 5)
    assert np.isnan(one.speed_err_px_s)
    assert (two.id, two.rows, two.first_us, two.last_us, two.band) == (7, 3, 0, 3, 2)
    assert (two.speed_px_s, two.speed_err_px_s, two.radius_px) == (20, 2, 6)


@pytest.mark.parametrize(
    ("headings", "mean"),
    [
        ([359, 1], 0),
        ([350, 350], 350),
        ([80, 100, np.nan], 90),
        ([-1e-15], 0),
        ([0, 180], None),
        ([0, 90], None),
        ([np.nan], None),
    ],
)
def test_headings_are_directions(headings, mean):
    [found] = objects(table(id=np.zeros(len(headings)), heading_deg=headings))
    if mean is None:
        assert np.isnan(found.heading_deg)
    else:
        assert 0 <= found.heading_deg < 360
        assert abs((found.heading_deg - mean + 180) % 360 - 180) < 1e-9


def test_rows_come_by_object_and_time():
    rows = rows_by_object(table(id=[2, 1, 2, 1, 0]))
    assert [part.tolist() for part in rows] == [[4], [1, 3], [0, 2]]
    assert rows_by_object(Tracks.empty()) == []
    assert list(objects(Tracks.empty())) == []


def test_all_at_once_says_what_a_loop_would():
    rng = np.random.default_rng(3)
    n = 400
    values = {name: np.where(rng.random(n) < 0.2, np.nan, rng.random(n)) for name in ("speed_px_s", "radius_px")}
    tracks = table(id=rng.integers(0, 30, n), band=rng.integers(-1, 3, n), confidence=rng.random(n), **values)
    for item in objects(tracks):
        mine = tracks.where(tracks.id == item.id)
        assert item.speed_px_s == pytest.approx(np.nanmedian(mine.speed_px_s))
        assert item.radius_px == pytest.approx(np.nanmedian(mine.radius_px))
        assert item.confidence == pytest.approx(np.median(mine.confidence))
        assert item.band == np.bincount(mine.band + 1).argmax() - 1


def test_rows_at_rest_say_only_that_it_was_there():
    names = {"band": [1, 1, -1, -1, -1], "speed_px_s": [200, 210, 0, 0, 0], "heading_deg": [0, 2, 90, 90, 90]}
    [found] = objects(table(id=[4] * 5, confidence=[1, 0.8, 0.1, 0.1, 0.1], **names))
    assert (found.band, found.speed_px_s, found.heading_deg, found.confidence) == (1, 205, pytest.approx(1), 0.9)
    assert (found.rows, found.first_us, found.last_us) == (5, 0, 4)
    [resting] = objects(table(id=[4] * 2, speed_px_s=[0, 0], band=[-1, -1]))
    assert (resting.speed_px_s, resting.band, resting.rows) == (0, -1, 2)


IDS, BANDS, SPEEDS = st.sampled_from([0, 1, 2**31 - 1]), st.integers(-1, 2), st.sampled_from([0, 9])


@given(st.lists(st.tuples(IDS, BANDS, SPEEDS), min_size=1, max_size=30))
def test_the_commonest_band_is_the_same_in_parts(rows):
    votes = BandVotes()
    columns = dict(zip(("id", "band", "speed_px_s"), map(list, zip(*rows, strict=True)), strict=True))
    whole = table(**columns)
    for first in (0, 1, 2):
        if part := {name: values[first::3] for name, values in columns.items() if values[first::3]}:
            votes.add(table(**part))
    assert votes.bands() == [one.band for one in objects(whole)]


def test_who_is_never_sure_is_counted_over_parts():
    votes = BandVotes()
    first = table(t_us=[0, 0, 0, 0], id=[0, 1, 2, 3], confidence=[0.2, 0.4, 0.9, np.nan])
    votes.add(first)
    assert votes.doubtful() == 2
    votes.add(table(t_us=[1, 1, 1], id=[0, 1, 2], confidence=[0.49, 0.5, 0.1]))
    assert votes.doubtful() == 1  # only the first has never been at .5
    bands = Bands((1.0, 2.0, 3.0))
    assert found_text([0, 0, 1], bands, 1) == "3 objects (2 slow, 1 fast), 1 of them below confidence .5"
    assert found_text([0, 0, 1], bands) == "3 objects (2 slow, 1 fast)"
    assert found_text([0], bands, 1) == "1 object (1 slow), below confidence .5"
