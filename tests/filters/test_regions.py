"""Regions and lists of pixels."""

from __future__ import annotations

import numpy as np
import pytest

from velocell.data.recording import Recording
from velocell.errors import OptionError, RecordingError
from velocell.filters.regions import crop_to, read_pixels

WIDTH, HEIGHT = 12, 9


def everywhere():
    y, x = (values.ravel() for values in np.mgrid[:HEIGHT, :WIDTH])
    return Recording.from_arrays(np.arange(x.size), x, y, width=WIDTH, height=HEIGHT, start_us=0, stop_us=200)


def test_events_inside_any_region_stay():
    regions = [(0, 0, 2, 3), (1, 1, 4, 2), (11, 8, 1, 1)]
    found = crop_to(everywhere(), regions)
    wanted = [
        (x, y)
        for y in range(HEIGHT)
        for x in range(WIDTH)
        if any(a <= x < a + w and b <= y < b + h for a, b, w, h in regions)
    ]
    assert list(zip(found.x.tolist(), found.y.tolist(), strict=True)) == wanted
    assert (found.size, found.start_us, found.stop_us) == ((WIDTH, HEIGHT), 0, 200)


def test_one_region_is_a_crop():
    found, crop = crop_to(everywhere(), [(3, 2, 5, 4)]), everywhere().crop(3, 2, 5, 4)
    np.testing.assert_array_equal(found.t_us, crop.t_us)
    assert len(found) == 20


@pytest.mark.parametrize("wrong", [(0, 0, 13, 1), (-1, 0, 2, 2), (0, 8, 1, 2)])
@pytest.mark.parametrize("others", [[], [(0, 0, 1, 1)]])
def test_a_region_outside_is_refused(wrong, others):
    with pytest.raises(RecordingError, match=r"region .* reaches outside the 12x9 sensor"):
        crop_to(everywhere(), [*others, wrong])


@pytest.mark.parametrize("text", ["3,4\n0,11\n", "x,y\n3,4\n\n0,11\n", "\ufeffX, Y\r\n 3, 4\r\n0,11"])
def test_lists_of_pixels(tmp_path, text):
    path = tmp_path / "hot.csv"
    path.write_text(text, encoding="utf-8")
    assert read_pixels(path).tolist() == [[3, 4], [0, 11]]


def test_an_empty_list_is_no_pixel(tmp_path):
    (tmp_path / "hot.csv").write_text("x,y\n")
    assert read_pixels(tmp_path / "hot.csv").shape == (0, 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("3,4\n5\n", r"line 2 of .*hot.csv is '5'; write x,y of one pixel per line"),
        ("3,4,5\n", "line 1 of"),
        ("3,-4\n", "line 1 of .* is '3,-4'"),
        ("3,4.5\n", "line 1 of"),
        ("3,4\nx,y\n", "line 2 of .* is 'x,y'"),
        ("²,4\n", "line 1 of"),
        ("3,99999999999999999999\n", "line 1 of"),
    ],
)
def test_what_is_no_list_is_told_with_its_line(tmp_path, text, words):
    path = tmp_path / "hot.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(OptionError, match=words):
        read_pixels(path)


def test_a_file_that_is_none(tmp_path):
    with pytest.raises(OptionError, match=r"cannot read .*none.csv: no such file"):
        read_pixels(tmp_path / "none.csv")
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(OptionError, match=r"b.csv is not a CSV file of pixels"):
        read_pixels(tmp_path / "b.csv")
