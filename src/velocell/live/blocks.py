"""What the sources share: decoded events -> blocks in order of time, and their parts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from velocell.data.blocks import Events, in_order, on_sensor, take
from velocell.data.integrity import Integrity
from velocell.data.recording import Recording

POLL_S = 0.05  # a stop is noticed within this time


def pieces(block: Recording, span_us: int) -> Iterator[Recording]:
    """The block cut at those multiples of `span_us` between which events lie."""
    cuts = np.flatnonzero(np.diff(block.t_us // span_us)) + 1
    for first, last in zip([0, *cuts], [*cuts, len(block)], strict=True):
        yield block.slice(int(first), int(last))


def as_blocks(events: Events, size: tuple[int, int], integrity: Integrity) -> Iterator[Recording]:
    """What lies on the sensor, in order of time; the rest is counted."""
    if not len(events.t_us):
        return
    inside = on_sensor(events, *size)
    if inside is not None:
        integrity.fault("out_of_bounds", int(np.count_nonzero(~inside)))
        events = take(events, inside)
    back = int(np.count_nonzero(np.diff(events.t_us) < 0))
    integrity.fault("back_steps", back)
    t, x, y, p = in_order(events) if back else events
    if len(t):
        yield Recording.from_arrays(t, x, y, p, width=size[0], height=size[1])
