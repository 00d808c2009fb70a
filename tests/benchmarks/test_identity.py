"""The scenes of ids are what their names say, and their figures notice what is wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.identity import COLUMNS, EVERY_US, KINDS, covered, id_figures, lines_of, post
from velocell.data.tracks import Tracks
from velocell.simulate import Scene, simulate


def told(truth: Tracks) -> Tracks:
    return truth.where(truth.t_us % EVERY_US == 0)


def scores(scene: Scene, tracks: Tracks, truth: Tracks) -> dict[str, float]:
    return dict(zip(COLUMNS, id_figures(scene, tracks, truth), strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_the_truth_itself_scores_perfectly_in_every_scene(kind):
    scene = KINDS[kind](5, "ideal")
    truth = simulate(scene)[1]
    figures = scores(scene, told(truth), truth)
    assert figures.pop("lines counted once") == 1 or not scene.occluders
    perfect = {"IDF1": 1, "recall": 1, "precision": 1, "switches": 0, "fragments": 0, "one id each": 1}
    assert figures == pytest.approx(perfect)


def test_a_new_id_behind_the_post_shows_in_each_figure():
    scene = post(5, "ideal")
    truth = simulate(scene)[1]
    rows = told(truth)
    seen = rows.where(~covered(scene, rows))
    whole = scores(scene, seen, truth)
    assert (whole["recall"], whole["IDF1"], whole["lines counted once"]) == (1, 1, 1)
    item = scene.occluders[0]
    other = replace(seen, id=np.where(seen.x_px > item.x1_px, 7, seen.id).astype(np.int32))
    broken = scores(scene, other, truth)
    assert broken["switches"] == 1
    assert broken["one id each"] == 0
    assert broken["IDF1"] < 0.7
    # Those under the post are crossed by neither; the one before it is.
    assert broken["lines counted once"] < 0.5


def test_lines_lie_before_under_and_behind_the_post():
    scene = post(6, "ideal")
    item = scene.occluders[0]
    at = np.array([line.x0 for line in lines_of(scene)])
    assert (np.diff(at) > 0).all()
    assert at[0] < item.x0_px < at[2]
    assert at[-3] < item.x1_px < at[-1]
