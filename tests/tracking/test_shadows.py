"""What is softer and fainter than an object beside it, and moves with it, is its shadow and has no rows."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from velocell.data.tracks import Tracks
from velocell.pipeline import detect
from velocell.results.evaluate import evaluate
from velocell.simulate import Scene, SceneObject, simulate
from velocell.tracking.rules import Rules

BANDS = (40.0, 160.0, 640.0, 1800.0)
SHADOW = {"radius_px": 5.5, "contrast": 1.0, "edge_px": 4.0, "dark": True}


@lru_cache
def disks(seed: int) -> tuple[SceneObject, ...]:
    return tuple(
        SceneObject(id=i, x_px=40 + 10 * i, y_px=30 + 60 * i, radius_px=5, speed_px_s=v, contrast=3, bounce=True)
        for i, v in enumerate((60.0 + seed, 250.0 + 10 * seed, 110.0 + seed))
    )


def beside(item: SceneObject, **changed: object) -> SceneObject:
    return replace(item, id=400 + item.id, **{"y_px": item.y_px + 14, **SHADOW, **changed})  # type: ignore[arg-type]


def found(*objects: SceneObject, seed: int = 1, **rules: float) -> tuple[Tracks, Tracks]:
    """Rows and truth."""
    recording, truth = simulate(Scene(320, 200, 1_200_000, seed=seed, noise_hz=0.1, objects=objects))
    return detect(recording, BANDS, 5.0, rules=Rules(**rules), keep_spikes=False).tracks, truth


def recall(tracks: Tracks, truth: Tracks, of: int) -> float:
    return evaluate(tracks, truth.where(truth.id == of), BANDS).recall


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_shadows_have_no_rows(seed):
    objects = disks(seed)
    shadows = [replace(beside(item), target=False) for item in objects]
    tracks, truth = found(*objects, *shadows, seed=seed)
    scores = evaluate(tracks, truth, BANDS)
    assert scores.recall >= 0.97
    assert scores.precision >= 0.97
    assert scores.band_accuracy >= 0.97


def test_they_have_rows_where_that_is_asked_for():
    objects = disks(1)
    shadows = [replace(beside(item), target=False) for item in objects]
    tracks, truth = found(*objects, *shadows, shadow_radii=0)
    assert evaluate(tracks, truth, BANDS).precision < 0.7


@pytest.mark.parametrize(
    "changed",
    [
        {"speed_px_s": 170.0},
        {"heading_deg": 180.0, "x_px": 250.0},
        {"edge_px": 1.0, "radius_px": 5.0},
        {"contrast": 3.0},
        {"y_px": 120.0},
    ],
    ids=["slower", "the other way", "sharp", "strong", "far"],
)
def test_what_lacks_one_of_their_marks_has_rows(changed):
    item = replace(disks(1)[1], y_px=60.0)
    other = beside(item, **changed)
    tracks, truth = found(disks(1)[0], item, other)
    assert recall(tracks, truth, item.id) >= 0.97
    assert recall(tracks, truth, other.id) >= 0.9


def test_a_soft_and_faint_disk_alone_has_rows():
    tracks, truth = found(beside(disks(1)[1]))
    assert evaluate(tracks, truth, BANDS).recall >= 0.9
    assert np.unique(tracks.id).size == 1


@pytest.mark.parametrize(("seed", "below_px"), [(2, 14), (1, 12)])
def test_a_shadow_that_stops_with_its_object_has_no_rows_at_rest(seed, below_px):
    def until_it_rests(y: float) -> tuple[tuple[float, float, float], ...]:
        return ((0, 40, y), (1_250_000, 190, y), (2_150_000, 190, y))

    disk = SceneObject(id=0, contrast=3, radius_px=5, path=until_it_rests(60))
    shadow = SceneObject(id=1, target=False, path=until_it_rests(60 + below_px), **SHADOW)  # type: ignore[arg-type]
    recording, _ = simulate(Scene(260, 120, 2_150_000, seed=seed, noise_hz=0.1, objects=(disk, shadow)))
    tracks = detect(recording, BANDS, 5.0, keep_spikes=False).tracks
    assert tracks.flagged("at_rest").any()
    assert (np.abs(tracks.y_px - 60) < below_px / 2).all()
