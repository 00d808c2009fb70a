"""A clock that was set back is refused, alike in a small and in a large file and in every format; late events are
sorted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from velocell import formats
from velocell.errors import RecordingError
from velocell.formats import source

SMALL, LARGE = 300, 3 * source.SMALLEST_BLOCK


def saved(path: Path, t: np.ndarray) -> Path:
    place = np.arange(len(t)) % 50
    if path.suffix == ".npz":
        np.savez(path, t_us=t, x=place, y=place)
    elif path.suffix == ".npy":
        np.save(path, np.stack([place, place, t], 1))
    else:
        np.savetxt(path, np.stack([t, place, place], 1), "%d", ",", header="t_us,x,y", comments="")
    return path


@pytest.mark.parametrize("suffix", [".npz", ".csv"])
@pytest.mark.parametrize("n", [SMALL, LARGE])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_reset_is_refused(tmp_path: Path, suffix: str, n: int, share: float) -> None:
    t = np.arange(n) * 4_000
    at = int(share * n)
    # From the last time on, 0.2 s back or to the beginning.
    for back in (200_000 if share == 0.9 else int(t[at]) - 5, int(t[at]) - 5):
        reset = np.where(np.arange(n) < at, t, t - back)
        path = saved(tmp_path / f"a{suffix}", reset)
        message = f"steps back from {t[at - 1]} to {reset[at]} us and goes on from there: its clock was set back"
        with pytest.raises(RecordingError, match=message):
            formats.read(path)
        # What stands before it can be read.
        part = formats.open_recording(path).read(None, int(t[at - 2]))
        assert part.t_us.tolist() == t[: at - 2].tolist()


@pytest.mark.parametrize("n", [SMALL, LARGE])
def test_late_events_are_sorted(tmp_path: Path, n: int) -> None:
    """A packet that comes 0.15 s late, and stamps that are some milliseconds out of order."""
    t = np.arange(n) * 1_000
    late = np.r_[t[:20], t[40:200], t[20:40], t[200:]]
    assert np.diff(late).min() < -150_000
    found = formats.open_recording(saved(tmp_path / "a.npz", late))
    assert found.read().t_us.tolist() == t.tolist()
    assert found.integrity.faults == {"back_steps": 1}
    shaken = t + np.random.default_rng(1).integers(0, 9_000, n)
    assert formats.read(saved(tmp_path / "a.npz", shaken)).t_us.tolist() == np.sort(shaken).tolist()


def test_an_array_that_was_never_in_order_is_sorted(tmp_path: Path) -> None:
    t = np.random.default_rng(1).permutation(SMALL) * 1_000
    assert formats.read(saved(tmp_path / "a.npz", t)).t_us.tolist() == sorted(t.tolist())


@pytest.mark.parametrize("n", [SMALL, LARGE])
def test_what_stands_before_a_reset_is_in_order(tmp_path: Path, n: int) -> None:
    t = 2_000_000 + np.arange(n) * 4_000
    shaken = t + np.random.default_rng(1).integers(0, 20_000, n)
    path = saved(tmp_path / "a.npz", np.r_[shaken, np.arange(20) * 4_000])
    last = int(t[-6])
    part = formats.open_recording(path).read(None, last)
    assert part.t_us.tolist() == np.sort(shaken[shaken < last]).tolist()
