"""Crossings of lines: exact on straight ways, once for who jitters, and consistent on random ones."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from velocell.cli.examples import EXAMPLES
from velocell.data.tracks import Tracks
from velocell.errors import OptionError
from velocell.results.counting import Gate, Line, count, crossings, read_counts, totals, write_counts

UPRIGHT = Line(50, 0, 50, 100)  # walked down the screen: its right is where x < 50


def way(x, y=50.0, *, name=0, every_us=5_000, band=1, t0=0):
    n = len(x)
    return {
        "t_us": t0 + np.arange(n) * every_us, "id": np.full(n, name), "x_px": np.asarray(x, float),
        "y_px": np.broadcast_to(y, n).astype(float), "band": np.broadcast_to(band, n),
    }  # fmt: skip


def table(*ways):
    return Tracks.from_columns({name: np.concatenate([one[name] for one in ways]) for name in ways[0]})


def directions(x, line=UPRIGHT, **more):
    return [crossing.direction for crossing in crossings(table(way(x, **more)), [line])]


def test_on_a_line_drawn_upwards_right_is_right():
    upwards = next(text for text in EXAMPLES["live"] if "--count-line" in text).rpartition("--count-line ")[2]
    line = Line.parse(upwards.split()[0])
    assert (line.x0, line.x1) == (320, 320)
    assert directions(np.arange(300.0, 340), line) == ["to_right"]
    assert directions(np.arange(340.0, 300, -1), line) == ["to_left"]


def test_the_crossing_is_interpolated():
    # From (40, 20) at 1000 px/s along x and 200 along y: x = 50 after 10 ms, between two rows.
    t = np.arange(0, 30, 4)
    found = crossings(table(way(40 + t, 20 + 0.2 * t, every_us=4_000, name=7, t0=10**15)), [UPRIGHT])
    assert len(found) == 1
    one = found[0]
    assert (one.t_us, one.line, one.id, one.band, one.direction) == (10**15 + 10_000, 0, 7, 1, "to_left")
    np.testing.assert_allclose((one.x_px, one.y_px), (50, 22))


def test_a_row_on_the_line_is_where_it_crosses():
    found = crossings(table(way([40, 50, 53, 60], every_us=1_000)), [UPRIGHT])
    assert [(one.t_us, one.x_px) for one in found] == [(1_000, 50)]


def test_directions_are_of_who_walks_along_the_line():
    there, back = np.arange(40, 61), np.arange(60, 39, -1)
    assert directions(there) == ["to_left"]
    assert directions(back) == ["to_right"]
    assert directions(there, Line(50, 100, 50, 0)) == ["to_right"]
    # Along +x, with y downwards, the right is below.
    level = Line(0, 50, 100, 50)
    below = crossings(table(way([50] * 21, there)), [level])
    assert [one.direction for one in below] == ["to_right"]
    assert directions([*there, *back]) == ["to_left", "to_right"]


@pytest.mark.parametrize("seed", range(5))
def test_who_jitters_on_the_line_counts_once(seed):
    jitter = np.random.default_rng(seed).uniform(-0.9, 0.9, 200)
    assert (np.diff(np.sign(jitter)) != 0).sum() > 50
    assert directions([45, 48, *(50 + jitter), 52, 55]) == ["to_left"]
    assert directions([45, 48, *(50 + jitter), 48, 45]) == []
    last = crossings(table(way([45, *(50 + jitter), 55])), [UPRIGHT])[0]
    assert last.t_us >= 5_000 * (1 + np.flatnonzero(jitter < 0)[-1])


def test_the_ends_of_a_track_count_as_they_are():
    assert directions([49.8, 50.2]) == ["to_left"]
    assert directions([49.8, 50.2, 49.9]) == []
    assert directions([50, 50, 51]) == []
    assert directions([50.0]) == []


def test_who_rests_at_the_line_crosses_once_in_the_band_it_moves_in():
    speed, band = [200, 200, 0, 0, 0, 200, 200], [1, 1, -1, -1, -1, 1, 1]
    rows = {**way([45, 48, 49.9, 49.9, 49.9, 52, 55], band=band), "speed_px_s": np.array(speed, float)}
    (one,) = crossings(table(rows), [UPRIGHT])
    assert (one.band, one.direction) == (1, "to_left")


def test_who_was_hidden_crosses_once_between_its_rows():
    rows = {**way([30, 34, 38, 62, 66, 70])}
    rows["t_us"] = rows["t_us"] + np.repeat([0, 2_000_000], 3)
    assert len(crossings(table(rows), [Line(at, 0, at, 100) for at in (37, 39, 50, 61, 63)])) == 5


def test_beside_the_line_nobody_crosses():
    x = [40, 60]
    assert directions(x, y=100.0) == ["to_left"]
    assert directions(x, y=100.1) == []
    assert directions(x, y=-0.1) == []
    # Across the end of the line and back over it: one crossing.
    found = crossings(table(way([40, 60, 40], [101, 101, 50])), [Line(50, 0, 50, 80)])
    assert [one.direction for one in found] == ["to_right"]


def test_rows_without_a_position_are_left_out():
    assert directions([40, np.nan, 44, np.nan, 56]) == ["to_left"]


@given(st.lists(st.floats(40, 60), min_size=2, max_size=40), st.floats(0, 5))
def test_crossings_take_turns_and_add_up_to_the_change_of_side(x, margin):
    found = crossings(table(way(x)), [UPRIGHT], margin)
    told = [one.direction for one in found]
    assert all(a != b for a, b in pairwise(told))
    times = [one.t_us for one in found]
    assert times == sorted(times)
    assert all(one.x_px == pytest.approx(50) for one in found)
    sides = np.sign(np.array(x) - 50)
    sides = sides[[0, -1]] if sides[0] and sides[-1] else np.zeros(2)
    if sides.all():
        assert told.count("to_left") - told.count("to_right") == (sides[1] - sides[0]) / 2
    # Nobody counts more often than the sign changes.
    signs = np.sign(np.array(x) - 50)
    assert len(found) <= (np.diff(signs[signs != 0]) != 0).sum()


def test_counts_per_line_direction_and_band():
    there = np.arange(40, 61)
    tracks = table(
        way(there, name=1, band=0),
        way(there, name=2, band=2),
        way(there[::-1], name=3, band=2),
        way(there, name=4, band=-1),
        way(there, name=5, band=[0] * 10 + [2] * 11),
    )
    lines = [UPRIGHT, Line(0, 0, 100, 1)]
    rows = count(crossings(tracks, lines), lines, ("slow", "medium", "fast"))
    assert len(rows) == 2 * 2 * 4
    told = {(row["line"], row["direction"], row["name"]): row["crossings"] for row in rows if row["crossings"]}
    assert told == {
        (0, "to_left", "slow"): 1, (0, "to_left", "fast"): 2, (0, "to_left", "outside"): 1, (0, "to_right", "fast"): 1,
    }  # fmt: skip
    assert [rows[0][name] for name in ("x0", "y0", "x1", "y1", "band")] == [50, 0, 50, 100, 0]


def test_counts_are_read_as_they_were_written(tmp_path):
    path, lines, bands = tmp_path / "counts.csv", [UPRIGHT, Line(0, 0, 100.123456789, 1)], ("slow", "fast, very")
    counts = Counter({(0, "to_left", 1): 12, (1, "to_right", -1): 3})
    with path.open("w", newline="") as handle:
        write_counts(handle, count(counts, lines, bands))
    assert read_counts(path, lines, bands) == counts
    assert totals(counts, lines) == [
        {"line": 0, "to_right": 0, "to_left": 12},
        {"line": 1, "to_right": 3, "to_left": 0},
    ]
    text = path.read_text()
    for other, words in (
        (text.replace("100.123456789", "100"), "it counts other lines or bands"),
        (text.replace("slow", "fast"), "it counts other lines or bands"),
        (text[: text.rindex("1,")], "it counts other lines or bands"),
        (text.replace(",12\n", ",x\n"), "it is not a table of crossings"),
        (text.replace(",12\n", ",-1\n"), "it holds a negative count"),
        ("file," + text, "it is not a table of crossings"),
        ("", "it is not a table of crossings"),
    ):
        path.write_text(other)
        with pytest.raises(OptionError, match=f"cannot continue .*: {words}"):
            read_counts(path, lines, bands)


def test_an_empty_table_crosses_nothing():
    assert crossings(Tracks.empty(), [UPRIGHT]) == []
    assert sum(row["crossings"] for row in count([], [UPRIGHT], ["a"])) == 0


@pytest.mark.parametrize("text", ["1,2,3", "1,2,1,2", "1,2,3,four", "1,2,3,inf", ""])
def test_what_is_no_line_is_told(text):
    with pytest.raises(OptionError, match="--count-line"):
        Line.parse(text)


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("0,0,10,10", True), ("-50,20,150,20", True), ("-5,5,5,-5", True), ("99.5,0,99.5,9", True),
        ("100,0,100,50", False), ("-5,2,2,-5", False), ("120,10,300,20", False),
        ("0,-9,50,-2", False), ("50,90,60,80", False),
    ],
)  # fmt: skip
def test_a_line_off_the_sensor_is_refused(text, inside):
    line = Line.parse(text)
    assert str(line) == text
    if inside:
        line.check((100, 60))
    else:
        with pytest.raises(OptionError, match=rf"counting line {text} lies outside the 100x60 sensor"):
            line.check((100, 60))


@given(st.integers(0, 10**6), st.lists(st.integers(0, 200_000), max_size=5))
def test_a_table_in_parts_gives_the_crossings_of_the_whole(seed, cuts):
    rng = np.random.default_rng(seed)
    ways = [
        way(50 + np.cumsum(rng.normal(0, 1.5, 30)), 50 + np.cumsum(rng.normal(0, 1, 30)), name=k, t0=k * 7_000)
        for k in range(4)
    ]
    tracks, lines = table(*ways), [UPRIGHT, Line(0, 48, 100, 55)]
    gate, found = Gate(lines), []
    for start, stop in pairwise([0, *sorted(cuts), 10**9]):
        found += gate.feed(tracks.where((tracks.t_us >= start) & (tracks.t_us < stop)))
    found += gate.finish()
    whole = crossings(tracks, lines)
    assert sorted(found, key=lambda one: (one.t_us, one.line, one.id)) == whole
    assert count(gate.counts, lines, ("slow", "fast")) == count(whole, lines, ("slow", "fast"))


def test_who_has_left_is_forgotten_and_its_end_counts():
    # The last row lies beyond the line by less than the margin: it counts once the object has gone.
    gate = Gate([UPRIGHT])
    assert gate.feed(table(way([40, 45, 50.5], name=3))) == []
    assert gate.finish(before_us=10_000) == []  # its last row is not older than that
    (one,) = gate.finish(before_us=10_001)
    assert (one.id, one.direction) == (3, "to_left")
    assert gate.finish() == []
    assert sum(gate.counts.values()) == 1
