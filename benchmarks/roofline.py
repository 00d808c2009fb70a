"""What an event costs at least: `python -m benchmarks.roofline`, on HD-300 with the network of `detect`.

Counted, not timed: which channels events pass, and how many numbers the engine adds and updates. Layer 1 adds a patch
of 13x13 weights an event, counted in 16 bits, to 4 times 4 blocks of 4x4 px; then every block that weights of the tick
have reached is updated in each channel that saw an event there (`native/engine/patch_body.hpp`). From that follow bytes
and operations, and what they take at least on a processor and on a GPU of stated rates.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.engine import BANDS, hd_300
from velocell.calibration.formulas import calibrate
from velocell.data.recording import Recording
from velocell.network import TrailFilter
from velocell.simulate import simulate

Counts = NDArray[np.int64]
SIDE = 4  # px, of a block
SPAN_US = 200_000

# One core with AVX2 at 3 GHz: two vectors of 8 floats added, two read and one written in a cycle, from the first cache.
CORE_ADDS_PER_S, CORE_BYTES_PER_S = 48e9, 288e9
# The memory of an H200, by its data sheet.
GPU_BYTES_PER_S = 4.8e12


def ranks(recording: Recording, trail: TrailFilter) -> Counts:
    """How many channels each event passes, (n,): an event passes those whose silence its pixel has kept, or all where
    it is the pixel's first or, with flips, of the other polarity than the one before."""
    t, p = recording.t_us, recording.p
    pixel = recording.y.astype(np.int64) * recording.width + recording.x
    order = np.argsort(pixel, kind="stable")
    first = np.diff(pixel[order], prepend=-1) != 0
    quiet_us = np.diff(t[order], prepend=0)
    fresh = first.copy()
    if trail.flips and p is not None:
        fresh[1:] |= p[order][1:] != p[order][:-1]
    passed = (quiet_us[:, None] >= np.asarray(trail.silence_us)).sum(axis=1)
    found = np.empty(len(recording), np.int64)
    found[order] = np.where(fresh, len(trail.silence_us), passed)
    return found


def blocks(recording: Recording, which: NDArray[np.bool_], dt_us: int, kernel: NDArray[np.float32]) -> int:
    """Blocks of 4x4 px that weights of these events' patches reach, tick by tick. kernel: (h, w), odd sides."""
    reached = kernel[::-1, ::-1] != 0
    columns, rows = -(-recording.width // SIDE), -(-recording.height // SIDE)
    tick = recording.t_us[which] // dt_us
    left = recording.x[which].astype(np.int64) - reached.shape[1] // 2
    top = recording.y[which].astype(np.int64) - reached.shape[0] // 2
    dy, dx = np.nonzero(reached)
    keys = []
    for begin in range(SIDE * SIDE):  # where in a block a patch begins
        above, before = divmod(begin, SIDE)
        here = (top % SIDE == above) & (left % SIDE == before)
        for line, column in np.unique(np.stack([(above + dy) // SIDE, (before + dx) // SIDE], axis=1), axis=0):
            row, at = top[here] // SIDE + line, left[here] // SIDE + column
            inside = (row >= 0) & (row < rows) & (at >= 0) & (at < columns)
            keys.append(((tick[here] * rows + row) * columns + at)[inside])
    return int(np.unique(np.concatenate(keys)).size)


def figures(recording: Recording) -> dict[str, Any]:
    """Counts for each event, of layer 1."""
    network = calibrate(BANDS, 5.0, crossing_share=1.0)
    trail = network.trail_filter
    assert trail is not None
    rank, channels = ranks(recording, trail), len(trail.silence_us)
    share = np.bincount(rank, minlength=channels + 1) / len(recording)
    n = len(recording)
    # The channels by rising silence: the k-th sees what passes more than k.
    kernel = network.layers[0].kernel[0, 0]
    updated = sum(blocks(recording, rank > k, network.dt_us, kernel) for k in range(channels)) * SIDE * SIDE / n
    lines, across = (-(-(side + SIDE - 1) // SIDE) for side in kernel.shape)
    patch = lines * across * SIDE * SIDE * float((rank > 0).mean())
    size = recording.width * recording.height * channels
    return {"events": n, "channels": channels, "share": share, "added": patch, "updated": updated,
            "neurons": size, "ticks": recording.duration_us // network.dt_us}  # fmt: skip


def main() -> None:
    recording, _ = simulate(hd_300(SPAN_US))
    found = figures(recording)
    share, added, updated = found["share"], found["added"], found["updated"]
    print(f"{found['events']} events, {found['channels']} channels")
    print("share of the events by how many channels they pass: " + ", ".join(f"{s:.1%}" for s in share))
    print(f"an event: {added:.0f} numbers added, {updated:.0f} neurons updated (multiplied, added, compared)")
    # Count, weight, count; membrane, membrane, and the count once for all channels, which is then cleared.
    moved = 6 * added + (8 + 4 / found["channels"]) * updated
    operations = added / 2 + 3 * updated  # two of 16 bits in the place of one of 32
    print(f"an event: {moved:.0f} bytes to and from the first cache, {operations:.0f} operations of 32 bits")
    core = max(operations / CORE_ADDS_PER_S, moved / CORE_BYTES_PER_S)
    print(f"one core, at least: {1e9 * core:.0f} ns an event, {1e-6 / core:.0f} Mev/s")
    # Every tick sweeps over all neurons: membranes read and written, currents read.
    sweep_s = 12 * found["neurons"] / GPU_BYTES_PER_S
    real = recording.duration_us * 1e-6 / (sweep_s * found["ticks"])
    tick = added * found["events"] / found["ticks"]
    print(f"a GPU that sweeps over all {found['neurons']} neurons: {1e6 * sweep_s:.1f} us a tick at least, {real:.0f} "
          f"times real time; between two sweeps {1e-3 * tick:.0f} thousand additions, in any order")  # fmt: skip


if __name__ == "__main__":
    main()
