"""Blocks of events: taken apart, put in order, joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from velocell.data.recording import Recording


class Events(NamedTuple):
    """Decoded events, not yet checked. Arrays (n,): t_us int64, x and y unsigned or signed integers, p bool."""

    t_us: NDArray[np.int64]
    x: NDArray[np.integer[Any]]
    y: NDArray[np.integer[Any]]
    p: NDArray[np.bool_] | None


def on_sensor(events: Events, width: int, height: int) -> NDArray[np.bool_] | None:
    """Which events lie on the sensor; None where all do."""
    x, y = events.x, events.y
    if all(v.max() < side and (v.dtype.kind == "u" or v.min() >= 0) for v, side in ((x, width), (y, height))):
        return None
    inside: NDArray[np.bool_] = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return inside


def in_order(events: Events) -> Events:
    """By time; events of one time keep their order."""
    return take(events, np.argsort(events.t_us, kind="stable"))


def take(events: Events, which: Any) -> Events:
    """The events that an index, a mask or a slice selects."""
    p = None if events.p is None else events.p[which]
    return Events(events.t_us[which], events.x[which], events.y[which], p)


def joined(blocks: Sequence[Recording]) -> Recording:
    """Consecutive blocks, at least one, as one Recording over the span of all."""
    t, x, y, p = join_events([Events(block.t_us, block.x, block.y, block.p) for block in blocks])
    return replace(
        blocks[0],
        t_us=t,
        x=x.astype(np.uint16, copy=False),
        y=y.astype(np.uint16, copy=False),
        p=p,
        stop_us=blocks[-1].stop_us,
        notes=blocks[-1].notes,
    )


def join_events(blocks: list[Events]) -> Events:
    """One after the other. Whether events have a polarity is for blocks with events to say."""
    blocks = [block for block in blocks if len(block.t_us)] or blocks[:1]
    if len(blocks) == 1:
        return blocks[0]
    t, x, y = (np.concatenate([block[k] for block in blocks]) for k in range(3))
    p = None if blocks[0].p is None else np.concatenate([block.p for block in blocks if block.p is not None])
    return Events(t, x, y, p)


def cut_at(blocks: Sequence[Recording], until_us: int) -> tuple[Recording, list[Recording]]:
    """The events before `until_us` of blocks (at least one) that may overlap in time, in order of time, and the rest,
    which may be a block without events."""
    whole = joined(blocks)
    if (np.diff(whole.t_us) < 0).any():
        order = np.argsort(whole.t_us, kind="stable")
        p = None if whole.p is None else whole.p[order]
        whole = replace(whole, t_us=whole.t_us[order], x=whole.x[order], y=whole.y[order], p=p)
    k = int(np.searchsorted(whole.t_us, until_us))
    return whole.slice(0, k), [whole.slice(k, len(whole))]
