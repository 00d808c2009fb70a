"""The adapter to motmetrics and the figures of the tracking benchmark, on tables whose figures are known."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("motmetrics", reason="motmetrics is not installed")

from benchmarks.mot import pair, travelled
from benchmarks.tracking import CASES, figures, first_radii, firsts
from velocell.data.tracks import Tracks
from velocell.errors import TableError
from velocell.simulate import simulate

EVERY = 5_000
SPEED = 400.0


def truth(n=201, objects=2):
    """Objects of R = 5, 100 px below each other, moving along x at 400 px/s; rows every ms for 200 ms."""
    t = np.tile(np.arange(n) * 1_000, objects)
    name = np.repeat(np.arange(objects), n)
    return Tracks.from_columns({
        "t_us": t, "id": name, "x_px": t * SPEED / 1e6, "y_px": 100.0 * name, "speed_px_s": np.full(t.size, SPEED),
        "heading_deg": np.zeros(t.size), "radius_px": np.full(t.size, 5.0),
    })  # fmt: skip


def found(of=None, **changes):
    """What a perfect detector would tell, ids from 10; `changes` replace columns, by functions of the table."""
    whole = truth() if of is None else of
    whole = whole.where(whole.t_us % EVERY == 0)
    columns = {
        **whole.columns(),
        "id": whole.id + 10,
        "band": np.ones(len(whole)),
        "speed_err_px_s": np.full(len(whole), 4.0),
    }
    return Tracks.from_columns({**columns, **{name: change(whole) for name, change in changes.items()}})


def scored(tracks):
    return pair(tracks, truth(), EVERY).figures


def test_perfect_tracks_score_perfectly():
    paired = pair(found(), truth(), EVERY)
    assert paired.figures == {
        "recall": 1, "precision": 1, "idf1": 1, "mota": 1, "num_switches": 0, "num_fragmentations": 0
    }  # fmt: skip
    # Instants from 35 to 200 ms, two objects.
    assert paired.rows.size == paired.truth_rows.size == 2 * 34
    assert paired.object_s == pytest.approx(2 * 34 * 0.005)


def test_false_missing_and_swapped_rows_are_counted():
    def late(table):
        return table.t_us >= 120_000  # 17 of 34 instants

    far = scored(found(y_px=lambda t: t.y_px + np.where(late(t) & (t.id == 1), 3.0, 0)))
    assert (far["recall"], far["precision"]) == (51 / 68, 51 / 68)
    table = found()
    missing = scored(table.where(~((table.t_us >= 120_000) & (table.id == 11))))
    assert (missing["recall"], missing["precision"]) == (51 / 68, 1)
    swapped = scored(found(id=lambda t: np.where(late(t), 1 - t.id, t.id) + 10))
    assert (swapped["recall"], swapped["num_switches"], swapped["idf1"]) == (1, 2, 0.5)
    near = scored(found(y_px=lambda t: t.y_px + 2.4))
    assert near["recall"] == 1


def test_what_cannot_be_seen_yet_may_be_missing_or_there():
    slow = truth()
    slow = Tracks.from_columns({**slow.columns(), "x_px": slow.x_px * 20 / SPEED})  # 2 px after 100 ms
    assert travelled(slow)[0].max() == pytest.approx(4)
    whole = pair(found(slow), slow, EVERY).figures
    assert (whole["recall"], whole["precision"]) == (1, 1)
    late = found(slow)
    late = pair(late.where(late.t_us >= 100_000), slow, EVERY).figures
    assert (late["recall"], late["precision"]) == (1, 1)
    later = found(slow)
    later = pair(later.where(later.t_us >= 150_000), slow, EVERY).figures
    assert later["recall"] == pytest.approx(11 / 21)


def test_tables_of_different_recordings_are_refused():
    table = found()
    other = Tracks.from_columns({**table.columns(), "t_us": table.t_us + 10**9})
    with pytest.raises(TableError, match="no instant in common; they are not of the same recording"):
        pair(other, truth(), EVERY)
    assert pair(Tracks.empty(), truth(), EVERY).figures["recall"] == 0


def told(tracks):
    names = ["recall", "precision", "idf1", "switches", "median", "rms", "speed", "coverage", "heading", "radius"]
    return dict(zip(names, figures(pair(tracks, truth(), EVERY), tracks, truth()), strict=True))


def test_figures_of_the_rows():
    off = found(
        x_px=lambda t: t.x_px + np.where(t.id == 0, 0.3, 0.4),
        speed_px_s=lambda t: t.speed_px_s + np.where(t.id == 0, 3, 8),
        heading_deg=lambda t: np.where(t.id == 0, 358.0, 2.0),
        radius_px=lambda t: t.radius_px * 1.1,
    )
    found_ = told(off)
    assert found_["median"] == pytest.approx(0.35)
    assert found_["rms"] == pytest.approx(np.sqrt((0.09 + 0.16) / 2))
    assert found_["speed"] == pytest.approx(5.5 / 400)
    assert found_["coverage"] == 0.5
    assert found_["heading"] == pytest.approx(2)
    assert found_["radius"] == pytest.approx(0.1)
    assert found_["switches"] == 0
    # Before 20 px of travel, 50 ms, speed and heading may be anything.
    early = found(speed_px_s=lambda t: np.where(t.t_us < 50_000, 9.0, 400.0))
    assert told(early)["coverage"] == 1


def test_switches_are_per_object_and_ten_seconds():
    swapped = told(found(id=lambda t: np.where(t.t_us >= 120_000, 1 - t.id, t.id) + 10))
    assert swapped["switches"] == pytest.approx(2 / (2 * 0.17) * 10)


def test_the_first_sight_needs_the_right_band():
    edges = np.array([100.0, 200.0, 800.0])
    tracks = found(band=lambda t: np.where((t.id == 1) & (t.t_us < 60_000), 0, 1))
    # Object 0 is seen at 35 ms, after 14 px; object 1 at 60 ms, after 24 px.
    assert firsts(pair(tracks, truth(), EVERY), tracks, truth(), edges) == [pytest.approx((2.8 + 4.8) / 2), 0]
    never = found(band=lambda t: np.zeros(len(t)))
    assert firsts(pair(never, truth(), EVERY), never, truth(), edges) == [np.inf, 0]


def test_the_first_row_of_each_object_is_found_by_its_place_and_then_its_band():
    edges = np.array([100.0, 200.0, 800.0])
    tracks = found(
        y_px=lambda t: t.y_px + np.where((t.id == 0) & (t.t_us < 10_000), 2.6, 2.4),
        band=lambda t: np.where((t.id == 0) & (t.t_us < 20_000), 0, 1),
    )
    # In radii: 400 px/s for 10 and 20 ms; the other one at once.
    np.testing.assert_allclose(first_radii(tracks, truth(), edges), [[0.8, 1.6], [0, 0]])
    far = found(y_px=lambda t: np.where(t.id == 0, 40.0, t.y_px))
    np.testing.assert_allclose(first_radii(far, truth(), edges), [[np.inf, np.inf], [0, 0]])
    # Where an object is no more, what is there is none of it.
    short = truth().where((truth().id == 1) | (truth().t_us < 50_000))
    late = found().where(found().t_us >= 50_000)
    np.testing.assert_allclose(first_radii(late, short, edges), [[np.inf, np.inf], [4, 4]])


@pytest.mark.parametrize(
    "case", [case for case in CASES[2:] if "apart" in case.name or "orbit" in case.name], ids=lambda case: case.name
)
def test_the_scenes_are_what_their_names_say(case):
    scene = case.scene(1)
    assert scene.noise_hz == 0.2
    np.testing.assert_allclose([item.contrast for item in scene.objects], 3)
    if "orbit" in case.name:
        _, told_truth = simulate(scene)
        np.testing.assert_allclose(np.hypot(told_truth.x_px - 160, told_truth.y_px - 140), 107, atol=1e-6)
        assert scene.objects[0].speed_px_s == pytest.approx(13_031, abs=1)
