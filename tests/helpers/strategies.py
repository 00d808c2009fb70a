"""Hypothesis strategies that several test files share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from velocell import formats
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.data.tracks import Tracks
from velocell.errors import RecordingError

# Microseconds since 1970, in the year 2027: larger than a float of 32 bits or a careless double can hold.
EPOCH_US = 1_800_000_000_123_457


@st.composite
def recordings(
    draw: st.DrawFn,
    *,
    polarity: bool | None = None,
    max_events: int = 40,
    max_size: int = 20,
    max_span_us: int = 30_000,
) -> Recording:
    """Small recordings: any start, quiet time at both ends, several events at one time and pixel, or none."""
    width, height = draw(st.integers(1, max_size)), draw(st.integers(1, max_size))
    start = draw(st.sampled_from([0, 1, 999, 1_000, EPOCH_US])) + draw(st.integers(0, 5_000))
    span = draw(st.integers(1, max_span_us))
    event = st.tuples(
        st.integers(start, start + span - 1),
        st.integers(0, width - 1),
        st.integers(0, height - 1),
        st.booleans(),
    )
    events = sorted(draw(st.lists(event, max_size=max_events)))
    t, x, y, p = (list(column) for column in zip(*events, strict=True)) if events else ([], [], [], [])
    with_polarity = draw(st.booleans()) if polarity is None else polarity
    return Recording.from_arrays(
        t,
        x,
        y,
        np.array(p, np.bool_) if with_polarity else None,
        width=width,
        height=height,
        start_us=start,
        stop_us=start + span,
    )


@st.composite
def tracks(draw: st.DrawFn, *, max_rows: int = 6) -> Tracks:
    """Small tables with missing values; numbers have as many digits as the files keep."""
    n = draw(st.integers(0, max_rows))

    def column(elements: st.SearchStrategy[float]) -> list[float]:
        return draw(st.lists(elements, min_size=n, max_size=n))

    def tenths(low: int, high: int) -> st.SearchStrategy[float]:
        return st.integers(low * 10, high * 10).map(lambda value: value / 10)

    position, missing = tenths(-50, 1_300), st.just(float("nan"))
    return Tracks.from_columns(
        {
            "t_us": np.array(column(st.integers(0, 2**62)), np.int64),
            "id": column(st.integers(0, 5)),
            "x_px": column(position),
            "y_px": column(position),
            "band": column(st.integers(-1, 4)),
            "speed_px_s": column(tenths(0, 20_000) | missing),
            "speed_err_px_s": column(tenths(0, 100) | missing),
            "heading_deg": column(tenths(-180, 180) | missing),
            "radius_px": column(tenths(1, 15) | missing),
            "confidence": column(tenths(0, 1) | missing),
        },
        {"version": "0", "settings": {"bands": [16, 62]}},
    )


@st.composite
def spikes(draw: st.DrawFn, *, max_spikes: int = 30) -> Spikes:
    """Spikes of two layers with four channels, sorted; that there are two may be unknown."""
    spike = st.tuples(
        st.integers(0, 2**62), st.integers(0, 1_279), st.integers(0, 719), st.integers(0, 3), st.integers(0, 1)
    )
    rows = draw(st.lists(spike, max_size=max_spikes, unique=True))
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), (), ()]
    t, *others = columns
    x, y, channel, layer = (np.array(column, np.int32) for column in others)
    return Spikes(np.array(t, np.int64), x, y, channel, layer, draw(st.sampled_from([0, 2]))).sorted()


def assert_same_recording(left: Recording, right: Recording) -> None:
    """The same events on the same sensor over the same span, in the same types."""
    assert (left.size, left.start_us, left.stop_us) == (right.size, right.start_us, right.stop_us)
    assert (left.p is None) == (right.p is None)
    for name in ("t_us", "x", "y", "p"):
        one, other = getattr(left, name), getattr(right, name)
        if one is not None:
            assert one.dtype == other.dtype, name
            np.testing.assert_array_equal(one, other, err_msg=name)


def read_or_refused(path: Path) -> Recording | None:
    """For damaged files: a recording, or one sentence that names the file; anything else fails."""
    try:
        return formats.read(path)
    except RecordingError as error:
        message = str(error)
    assert path.name in message
    assert "\n" not in message
    return None
