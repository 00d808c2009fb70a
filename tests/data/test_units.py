"""Times, sizes and regions as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from velocell.data.units import format_time, parse_numbers, parse_region, parse_size, parse_time_us
from velocell.errors import OptionError


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("5ms", 5_000),
        ("1.2s", 1_200_000),
        ("250us", 250),
        ("250µs", 250),
        (" 1 min ", 60_000_000),
        (".5ms", 500),
        ("3.s", 3_000_000),
        ("-2ms", -2_000),
        ("+2ms", 2_000),
        ("0s", 0),
        ("0.1ms", 100),
        ("1.1s", 1_100_000),
        ("2.3ms", 2_300),
        # A double cannot hold this product.
        ("1605537493.718345s", 1_605_537_493_718_345),
        ("9007199254740993us", 9_007_199_254_740_993),
    ],
)
def test_times(text: str, us: int) -> None:
    parsed = parse_time_us(text)
    assert parsed == us
    assert isinstance(parsed, int)


@pytest.mark.parametrize("text", ["5", "", "ms", "5 m", "5sec", "1e3us", "1,5ms", "nan ms", "five ms", "5ms later"])
def test_times_without_a_meaning(text: str) -> None:
    with pytest.raises(OptionError, match="is not a time; write a number with us, ms, s or min"):
        parse_time_us(text)


@pytest.mark.parametrize("text", ["0.5us", "1.0001ms", "1605537493.7183451s"])
def test_times_between_microseconds(text: str) -> None:
    with pytest.raises(OptionError, match="is not a whole number of microseconds"):
        parse_time_us(text)


@given(st.integers(-(2**62), 2**62))
def test_format_time_reads_back(us: int) -> None:
    assert parse_time_us(format_time(us)) == us


@pytest.mark.parametrize(
    ("us", "text"), [(0, "0s"), (5_000, "5ms"), (1_200_000, "1200ms"), (7, "7us"), (-3_000_000, "-3s")]
)
def test_format_time_is_short(us: int, text: str) -> None:
    assert format_time(us) == text


def test_numbers() -> None:
    assert parse_numbers("16, 62,177.5", "bands") == (16.0, 62.0, 177.5)
    for text, message in (
        ("16,,62", "must be numbers"),
        ("", "must be numbers"),
        ("1,inf", "finite"),
        ("nan", "finite"),
    ):
        with pytest.raises(OptionError, match=rf"bands '{text}' .*{message}"):
            parse_numbers(text, "bands")


def test_sizes() -> None:
    assert parse_size("640x480") == (640, 480)
    assert parse_size(" 1280 X 720 ") == (1280, 720)
    for text in ("640", "640x", "0x480", "640x0", "640*480", "6.5x4", "-6x4", "x"):
        with pytest.raises(OptionError, match="must be WIDTHxHEIGHT in pixels, such as 640x480"):
            parse_size(text)


def test_regions() -> None:
    assert parse_region("1,2,30,40") == (1, 2, 30, 40)
    for text in ("1,2,3", "1,2,3,4,5", "1,2,0,4", "1,2,3,-4", "1.5,2,3,4"):
        with pytest.raises(OptionError, match="must be x,y,w,h in whole pixels"):
            parse_region(text)
