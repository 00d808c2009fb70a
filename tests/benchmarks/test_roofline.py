"""What the roofline counts, against slow loops over the same events."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("velocell._native", reason="the C++ core is not built (pip install .)")

from benchmarks import roofline
from velocell.data.recording import Recording
from velocell.network import TrailFilter


@pytest.fixture(scope="module")
def recording() -> Recording:
    rng = np.random.default_rng(1)
    n, width, height = 400, 40, 21
    t = np.sort(rng.integers(0, 5_000, n))
    x, y = rng.integers(0, width, n), rng.integers(0, height, n)
    return Recording.from_arrays(t, x, y, rng.integers(0, 2, n), width=width, height=height)


@pytest.mark.parametrize("flips", [False, True])
def test_ranks(recording: Recording, flips: bool) -> None:
    trail = TrailFilter((300, 900, 2_000), flips)
    last: dict[tuple[int, int], tuple[int, bool]] = {}
    expected = []
    for t, x, y, on in zip(recording.t_us, recording.x, recording.y, recording.p, strict=True):
        before = last.get((x, y))
        passes = before is None or (flips and before[1] != on)
        expected.append(3 if passes else sum(t - before[0] >= silence for silence in trail.silence_us))
        last[x, y] = (t, on)
    assert roofline.ranks(recording, trail).tolist() == expected
    assert len(set(expected)) == 4


def test_blocks(recording: Recording) -> None:
    which = np.arange(len(recording)) % 3 > 0
    kernel = np.zeros((5, 7), np.float32)
    kernel[0, 3:] = kernel[1:4, 0] = kernel[4, 2] = 1
    touched = {
        (int(t) // 1_000, row // 4, column // 4)
        for t, x, y in zip(
            recording.t_us[which], recording.x[which].astype(int), recording.y[which].astype(int), strict=True
        )
        for i, j in np.argwhere(kernel != 0)
        for row, column in [(int(y - i + 2), int(x - j + 3))]
        if 0 <= row < 24 and 0 <= column < 40  # the last line of blocks ends beyond the sensor
    }
    assert roofline.blocks(recording, which, 1_000, kernel) == len(touched)
