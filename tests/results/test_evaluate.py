"""Scoring: hand-made tables with known answers, planted errors, and a plain second scorer."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from velocell.data.spikes import Spikes
from velocell.data.tracks import Tracks
from velocell.errors import OptionError, TableError
from velocell.results.evaluate import evaluate
from velocell.results.scores import Scores
from velocell.simulate import notebook_scene, random_scene, simulate

EDGES = (16.0, 62.0, 177.0, 500.0)


def lines(*, last_ms: int = 500, step_ms: int = 1, headings: bool = True, **changes: object) -> Tracks:
    """Three disks of radius 5 on rows 10, 30 and 50 at 31.25, 125 and 250 px/s to the right."""
    t = np.repeat(np.arange(0, last_ms, step_ms) * 1000, 3)
    number = np.tile(np.arange(3), t.size // 3)
    speed = np.array([31.25, 125.0, 250.0])[number]
    columns = {
        "t_us": t, "id": number, "x_px": 10 + speed * t * 1e-6, "y_px": 10.0 + 20 * number,
        "speed_px_s": speed, "radius_px": np.full(t.size, 5.0), "band": number,
        "heading_deg": np.zeros(t.size) if headings else np.full(t.size, np.nan),
    }  # fmt: skip
    return Tracks.from_columns({**columns, **changes})


TRUTH = replace(lines(), band=np.full(1500, -1, np.int32))


def told() -> Tracks:
    return lines(step_ms=5)


def change(tracks: Tracks, rows: np.ndarray, **values: object) -> Tracks:
    """A copy with some columns changed in some rows."""
    columns = tracks.columns()
    for name, value in values.items():
        columns[name] = columns[name].copy()
        columns[name][rows] = value
    return Tracks.from_columns(columns)


def add(tracks: Tracks, **values: object) -> Tracks:
    extra = Tracks.from_columns({name: np.atleast_1d(value) for name, value in values.items()})
    return Tracks.from_columns({n: np.concatenate([tracks.columns()[n], v]) for n, v in extra.columns().items()})


def test_the_truth_itself_scores_perfectly() -> None:
    scores = evaluate(told(), TRUTH, EDGES)
    assert (scores.recall, scores.precision, scores.band_accuracy) == (1.0, 1.0, 1.0)
    assert scores.confusion == ((100, 0, 0, 0), (0, 100, 0, 0), (0, 0, 100, 0), (0, 0, 0, 0))
    assert scores.localisation_rms_px < 1e-9
    assert scores.speed_error_median < 1e-9
    assert scores.heading_error_median_deg == 0
    assert (scores.id_switches, scores.false_tracks) == (0, 0)
    assert scores.ids_per_object == {0: 1, 1: 1, 2: 1}
    assert (scores.rows, scores.matched_rows, scores.objects) == (300, 300, 3)
    # Rows at 35, 40, ... 495 ms; steps from 30 ms on, for the slow disk from 64 ms (2 px) on.
    assert scores.scored_rows == 3 * 93
    assert scores.steps == 43 + 47 + 47
    assert "1.0000  (279 of 279 rows after 30 ms)" in scores.table()
    assert "1.0000  (300 of 300 matching rows)" in scores.table()
    assert scores.purity == ()


def test_swapped_bands_show_in_accuracy_and_confusion_only() -> None:
    tracks = told()
    scores = evaluate(change(tracks, tracks.id == 1, band=2), TRUTH, EDGES)
    assert scores.band_accuracy == pytest.approx(2 / 3)
    assert scores.confusion == ((100, 0, 0, 0), (0, 0, 100, 0), (0, 0, 100, 0), (0, 0, 0, 0))
    assert (scores.recall, scores.precision) == (1.0, 1.0)
    outside = evaluate(change(tracks, tracks.id == 0, band=-1), TRUTH, EDGES)
    assert outside.confusion[0] == (0, 0, 0, 100)


def test_a_speed_outside_all_bands_wants_band_minus_one() -> None:
    edges = (50.0, 177.0, 200.0)
    tracks = told()
    right = change(change(change(tracks, tracks.id == 0, band=-1), tracks.id == 1, band=0), tracks.id == 2, band=-1)
    scores = evaluate(right, TRUTH, edges)
    assert scores.band_accuracy == 1.0
    assert scores.confusion == ((100, 0, 0), (0, 0, 0), (0, 0, 200))


def test_objects_near_an_edge_are_left_out_of_band_accuracy() -> None:
    wrong = change(told(), told().id == 1, band=0)
    near = (16.0, 120.0, 500.0)  # 125 px/s is 4 % from 120
    assert evaluate(change(wrong, wrong.id == 2, band=1), TRUTH, near).band_accuracy == 1.0
    assert evaluate(change(wrong, wrong.id == 2, band=1), TRUTH, near, edge_margin=0.02).band_accuracy == pytest.approx(
        2 / 3
    )


@pytest.mark.parametrize(("shift", "matches"), [(1.5, True), (2.49, True), (2.51, False)])
def test_a_shifted_position_counts_until_half_a_radius(shift: float, matches: bool) -> None:
    tracks = told()
    scores = evaluate(change(tracks, tracks.id == 0, y_px=10 + shift), TRUTH, EDGES)
    assert scores.precision == pytest.approx(1.0 if matches else 2 / 3)
    assert scores.recall == pytest.approx(1.0 if matches else 94 / 137)
    assert scores.matched_rows == (300 if matches else 200)
    assert scores.localisation_rms_px == pytest.approx(shift / math.sqrt(3) if matches else 0.0, abs=1e-9)
    assert scores.false_tracks == (0 if matches else 1)


def test_a_small_or_unknown_radius_still_leaves_two_pixels() -> None:
    tracks = change(told(), told().id == 0, y_px=11.9)
    small = change(TRUTH, np.ones(1500, bool), radius_px=1.0)
    unknown = change(TRUTH, np.ones(1500, bool), radius_px=np.nan)
    assert evaluate(tracks, small, EDGES).matched_rows == 300
    assert evaluate(tracks, unknown, EDGES).matched_rows == 300
    assert evaluate(change(tracks, tracks.id == 0, y_px=12.1), small, EDGES).matched_rows == 200


def test_localisation_median_and_rms() -> None:
    tracks = told()
    shifted = change(tracks, np.arange(300) < 120, x_px=tracks.x_px[:120] + 2.0)
    scores = evaluate(shifted, TRUTH, EDGES)
    assert scores.localisation_median_px == pytest.approx(0.0, abs=1e-9)
    assert scores.localisation_rms_px == pytest.approx(2 * math.sqrt(0.4))


def test_further_rows_on_one_object_are_false() -> None:
    extra = add(told(), t_us=100_000, id=7, x_px=10 + 3.125 + 0.5, y_px=10.0, band=0)
    scores = evaluate(extra, TRUTH, EDGES)
    assert scores.matched_rows == 300
    assert scores.precision == pytest.approx(279 / 280)
    assert scores.false_tracks == 1
    assert scores.localisation_rms_px < 1e-9, "the nearer of the two rows keeps the object"
    before = add(told(), t_us=20_000, id=7, x_px=40.0, y_px=40.0)
    assert evaluate(before, TRUTH, EDGES).precision == 1.0, "the first 30 ms are not held against it"
    assert evaluate(add(told(), t_us=100_000, id=7, x_px=40.0, y_px=40.0), TRUTH, EDGES).precision < 1


@pytest.mark.parametrize(("lost_from_us", "false"), [(240_000, 1), (290_000, 0)])
def test_a_track_is_false_where_most_of_its_rows_match_nothing(lost_from_us: int, false: int) -> None:
    tracks = told()
    scores = evaluate(change(tracks, (tracks.id == 1) & (tracks.t_us > lost_from_us), y_px=0.0), TRUTH, EDGES)
    assert scores.false_tracks == false


def test_id_switches_are_counted_by_object() -> None:
    tracks = told()
    swapped = change(tracks, (tracks.id == 1) & (tracks.t_us >= 200_000), id=9)
    back = change(swapped, (swapped.id == 9) & (swapped.t_us >= 300_000), id=1)
    scores = evaluate(back, TRUTH, EDGES)
    assert scores.id_switches == 2
    assert scores.switches_per_object == {0: 0, 1: 2, 2: 0}
    assert scores.ids_per_object == {0: 1, 1: 2, 2: 1}


def test_a_gap_costs_the_steps_without_a_row_within_10_ms() -> None:
    tracks = told()
    gap = tracks.where(~((tracks.id == 2) & (tracks.t_us > 200_000) & (tracks.t_us < 300_000)))
    # Rows at 200 and 300 ms serve the steps 210 and 290 ms; 220 to 280 ms are lost.
    assert evaluate(gap, TRUTH, EDGES).recall == pytest.approx(1 - 7 / 137)


def test_speed_and_heading_errors() -> None:
    tracks = told()
    wrong = replace(tracks, speed_px_s=tracks.speed_px_s * 1.04, heading_deg=np.full(300, 357.0))
    scores = evaluate(wrong, TRUTH, EDGES)
    assert scores.speed_error_median == pytest.approx(0.04)
    assert scores.heading_error_median_deg == pytest.approx(3.0)
    assert math.isnan(evaluate(wrong, lines(headings=False), EDGES).heading_error_median_deg)
    assert math.isnan(evaluate(change(wrong, wrong.id >= 0, speed_px_s=np.nan), TRUTH, EDGES).speed_error_median)


def test_a_speed_that_the_truth_lacks_comes_from_its_positions() -> None:
    rounded = replace(TRUTH, x_px=np.round(TRUTH.x_px, 3), speed_px_s=np.full(1500, np.nan))
    scores = evaluate(told(), rounded, EDGES)
    assert scores.band_accuracy == 1.0
    assert scores.speed_error_median < 0.002
    assert sum(map(sum, scores.confusion)) == 300


def test_truth_is_interpolated_and_lives_one_sample_longer() -> None:
    coarse = lines(step_ms=20)  # last sample at 480 ms
    scores = evaluate(told(), coarse, EDGES)
    assert scores.matched_rows == 300
    assert scores.localisation_rms_px < 1e-9
    late = add(told(), t_us=500_000, id=0, x_px=10 + 31.25 * 0.5, y_px=10.0, band=0)
    assert evaluate(late, coarse, EDGES).matched_rows == 300
    assert evaluate(late, lines(last_ms=501), EDGES).matched_rows == 301


def test_an_object_out_of_sight_is_not_there() -> None:
    away = TRUTH.where(~((TRUTH.id == 1) & (TRUTH.t_us > 200_000) & (TRUTH.t_us < 300_000)))
    scores = evaluate(told(), away, EDGES)
    assert scores.matched_rows == 300 - 19  # rows at 205, 210, ... 295 ms
    assert scores.steps == 137 - 9
    assert scores.recall == 1.0


def spikes_of(tracks: Tracks, channel: np.ndarray, layer: int = 1) -> Spikes:
    x, y = np.round(tracks.x_px).astype(np.int32), np.round(tracks.y_px).astype(np.int32)
    return Spikes(tracks.t_us, x, y, channel.astype(np.int32), np.full(len(tracks), layer, np.int32))


def test_purity_looks_at_the_final_layer_after_100_ms() -> None:
    tracks = told()
    assert evaluate(tracks, TRUTH, EDGES, spikes=spikes_of(tracks, tracks.id)).purity == (1.0, 1.0, 1.0)
    wrong_before = np.where(tracks.t_us <= 100_000, 2, tracks.id)
    assert evaluate(tracks, TRUTH, EDGES, spikes=spikes_of(tracks, wrong_before)).purity == (1.0, 1.0, 1.0)
    first_layer = spikes_of(tracks, np.zeros(300), layer=0)
    both = Spikes.concatenate([spikes_of(tracks, tracks.id), first_layer])
    assert evaluate(tracks, TRUTH, EDGES, spikes=both).purity == (1.0, 1.0, 1.0)
    # All of them in channel 0: a third is right; channels 1 and 2 are silent.
    assert evaluate(tracks, TRUTH, EDGES, spikes=spikes_of(tracks, np.zeros(300))).purity == (
        pytest.approx(1 / 3), None, None,
    )  # fmt: skip
    far = replace(spikes_of(tracks, tracks.id), y=np.round(tracks.y_px).astype(np.int32) + 4)
    assert evaluate(tracks, TRUTH, EDGES, spikes=far).purity == (0.0, 0.0, 0.0)
    assert evaluate(tracks, TRUTH, EDGES, spikes=Spikes.empty()).purity == (None, None, None)


def test_no_rows_and_no_truth() -> None:
    nothing = evaluate(Tracks.empty(), TRUTH, EDGES)
    assert (nothing.recall, nothing.precision, nothing.false_tracks) == (0.0, 1.0, 0)
    assert math.isnan(nothing.band_accuracy)
    assert math.isnan(nothing.localisation_median_px)
    ghosts = evaluate(told(), Tracks.empty(), EDGES, spikes=spikes_of(told(), told().id))
    assert (ghosts.precision, ghosts.false_tracks, ghosts.objects) == (0.0, 3, 0)
    assert ghosts.purity == (0.0, 0.0, 0.0)
    assert math.isnan(ghosts.recall)
    both = evaluate(Tracks.empty(), Tracks.empty(), EDGES)
    assert (both.precision, both.false_tracks) == (1.0, 0)
    early = told().where(told().t_us < 20_000)
    assert math.isnan(evaluate(early, TRUTH, EDGES).precision), "rows, but none that could be judged"


def test_clocks_of_a_camera_are_no_trouble() -> None:
    offset = 1_633_953_690_975_950
    shifted = [replace(table, t_us=table.t_us + offset) for table in (told(), TRUTH)]
    assert evaluate(*shifted, EDGES) == evaluate(told(), TRUTH, EDGES)


def test_json_and_table() -> None:
    scores = evaluate(Tracks.empty(), TRUTH, EDGES, spikes=Spikes.empty())
    read = json.loads(scores.to_json())
    assert read == json.loads(json.dumps(scores.to_dict()))
    assert read["recall"] == 0.0
    assert read["band_accuracy"] is None
    assert read["purity"] == [None, None, None]
    assert set(read) == set(Scores.__dataclass_fields__)
    text = str(evaluate(told(), TRUTH, EDGES, spikes=spikes_of(told(), told().id)))
    assert "recall         1.0000  (3 objects, 137 steps)" in text
    assert "purity         1.0000, 1.0000, 1.0000" in text
    assert text.splitlines()[-4].split() == ["0", "100", "0", "0", "0"]
    assert "-" in scores.table()


@pytest.mark.parametrize("edges", [(), (16,), (16, 16), (62, 16), (16, math.nan), (16, math.inf), (-1, 10)])
def test_edges_must_rise(edges: tuple[float, ...]) -> None:
    with pytest.raises(OptionError, match="must be at least two rising speeds"):
        evaluate(told(), TRUTH, edges)


def test_bad_tables_are_refused() -> None:
    first = np.arange(300) == 3
    with pytest.raises(TableError, match="1 rows of the tracks have no position, the first at 5000 us"):
        evaluate(change(told(), first, x_px=np.nan), TRUTH, EDGES)
    with pytest.raises(TableError, match="1 rows of the truth have no position"):
        evaluate(told(), change(TRUTH, np.arange(1500) == 3, y_px=np.inf), EDGES)
    with pytest.raises(TableError, match="use band 3, but there are 3 bands"):
        evaluate(change(told(), first, band=3), TRUTH, EDGES)
    with pytest.raises(TableError, match="object 0 appears twice in the truth at 0 us"):
        evaluate(told(), change(TRUTH, np.arange(1500) == 1, id=0), EDGES)


def plain_scores(tracks: Tracks, truth: Tracks) -> tuple[float, float, float, int]:
    """Recall, precision, band accuracy and switches, by loops straight from the contract. The truth must have
    a sample at every row's time and no pauses."""
    at = {(int(t), int(i)): k for k, (t, i) in enumerate(zip(truth.t_us, truth.id, strict=True))}
    ids = sorted(set(truth.id.tolist()))
    found: dict[tuple[int, int], list[tuple[float, int]]] = {}
    for row, t in enumerate(tracks.t_us.tolist()):
        choices = []
        for i in ids:
            if (k := at.get((t, i))) is not None:
                d = math.dist((tracks.x_px[row], tracks.y_px[row]), (truth.x_px[k], truth.y_px[k]))
                if d <= max(2.0, truth.radius_px[k] / 2):
                    choices.append((d, i))
        if choices:
            d, i = min(choices)
            found.setdefault((t, i), []).append((d, row))
    taken = {min(rows)[1]: key for key, rows in found.items()}
    start = int(truth.t_us[0])
    judged = [row for row, t in enumerate(tracks.t_us.tolist()) if t > start + 30_000]
    right = total = 0
    for row, key in taken.items():
        speed = float(truth.speed_px_s[at[key]])
        if all(abs(speed - edge) > 0.1 * edge for edge in EDGES):
            band = next((k for k in range(3) if EDGES[k] <= speed < EDGES[k + 1]), -1)
            total, right = total + 1, right + (tracks.band[row] == band)
    hits = steps = switches = 0
    for i in ids:
        mine = sorted((t, row) for row, (t, j) in taken.items() if j == i)
        names = [tracks.id[row] for _, row in mine]
        switches += sum(a != b for a, b in pairwise(names))
        own = [k for k in range(len(truth)) if truth.id[k] == i]
        times = truth.t_us[own].tolist()
        moved = 0.0
        for previous, k, t in zip([own[0], *own], own, times, strict=False):
            moved += math.dist((truth.x_px[previous], truth.y_px[previous]), (truth.x_px[k], truth.y_px[k]))
            if (t - times[0]) % 10_000 == 0 and t - times[0] >= 30_000 and moved >= 2.0:
                steps += 1
                hits += any(abs(row_t - t) <= 10_000 for row_t, _ in mine)
    precision = sum(row in taken for row in judged) / len(judged)
    return hits / steps, precision, right / total, switches


@given(seed=st.integers(0, 10_000))
@settings(max_examples=12, deadline=None)
def test_a_plain_second_scorer_agrees(seed: int) -> None:
    scene = random_scene(
        8, width=90, height=70, duration_us=300_000, radius=(3, 7), speeds=(20, 900), seed=seed, separate=False
    )
    scene = replace(scene, noise_hz=0.0, objects=tuple(replace(o, contrast=0.01) for o in scene.objects))
    _, truth = simulate(scene)
    rng = np.random.default_rng(seed)
    rows = truth.where((truth.t_us % 5000 == 0) & (rng.random(len(truth)) < 0.6))
    n = len(rows)
    twice = {name: np.concatenate([v, v[: n // 4]]) for name, v in rows.columns().items()}
    twice["x_px"] = twice["x_px"] + rng.normal(0, 1.5, twice["x_px"].size)
    twice["y_px"] = twice["y_px"] + rng.normal(0, 1.5, twice["y_px"].size)
    twice["band"] = rng.integers(-1, 3, twice["band"].size)
    twice["id"] = np.where(rng.random(twice["id"].size) < 0.1, 99, twice["id"])
    tracks = Tracks.from_columns(twice)
    scores = evaluate(tracks, truth, EDGES)
    expected = plain_scores(tracks, truth)
    assert (scores.recall, scores.precision, scores.band_accuracy) == pytest.approx(expected[:3], abs=1e-12)
    assert scores.id_switches == expected[3]
    assert 0 < scores.precision < 1


def test_the_notebook_scene_scored_against_its_own_truth_bounces_included() -> None:
    _, truth = simulate(notebook_scene())
    rows = truth.where(truth.t_us % 5000 == 0)
    coarse = truth.where(truth.t_us % 4000 == 0)
    scores = evaluate(replace(rows, band=rows.id), coarse, EDGES)
    assert (scores.recall, scores.precision, scores.band_accuracy, scores.id_switches) == (1.0, 1.0, 1.0, 0)
    assert scores.localisation_median_px < 1e-6
    assert scores.localisation_rms_px < 0.1


def test_tables_of_different_times_are_refused():
    truth = lines()
    later = replace(truth, t_us=truth.t_us + 500_000)
    for tracks, other in ((later, truth), (truth, later)):
        with pytest.raises(TableError, match=r"us and the truth from .* us; give the truth of the same recording"):
            evaluate(tracks, other, EDGES)
    evaluate(replace(truth, t_us=truth.t_us + 499_000), truth, EDGES)
