"""Figures of ids and detections against motmetrics and TrackEval, which read the exported files."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from velocell.cli.app import app
from velocell.data.tracks import Tracks
from velocell.pipeline import detect
from velocell.results.evaluate import evaluate
from velocell.results.exports import frames_of, write_mot
from velocell.results.mot import mot_figures
from velocell.simulate import random_scene, simulate

EDGES = (40.0, 160.0, 640.0, 1800.0)


def trackeval_figures(truth: Path, tracks: Path) -> dict[str, float]:
    """TrackEval's metrics of two MOTChallenge files."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metrics = pytest.importorskip("trackeval.metrics", reason="TrackEval is not installed")
    boxes = [np.loadtxt(path, delimiter=",", ndmin=2) for path in (truth, tracks)]
    frames = int(max(table[:, 0].max() for table in boxes))
    numbers = [np.unique(table[:, 1], return_inverse=True)[1] for table in boxes]
    data = {"gt_ids": [], "tracker_ids": [], "similarity_scores": []}
    for frame in range(1, frames + 1):
        at = [table[:, 0] == frame for table in boxes]
        for name, number, here in zip(("gt_ids", "tracker_ids"), numbers, at, strict=True):
            data[name].append(number[here])
        data["similarity_scores"].append(overlap(boxes[0][at[0], 2:6], boxes[1][at[1], 2:6]))
    for name, number in zip(("gt", "tracker"), numbers, strict=True):
        data |= {f"num_{name}_dets": number.size, f"num_{name}_ids": int(number.max()) + 1}
    data["num_timesteps"] = frames
    quiet = {"PRINT_CONFIG": False}
    clear = metrics.CLEAR(quiet).eval_sequence(data)
    return {
        "hota": float(np.mean(metrics.HOTA().eval_sequence(data)["HOTA"])),
        "idf1": float(metrics.Identity(quiet).eval_sequence(data)["IDF1"]),
        "mota": float(clear["MOTA"]),
        "switches": int(clear["IDSW"]),
        "fragmentations": int(clear["Frag"]),
    }


def overlap(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes left, top, width, height."""
    low = np.maximum(one[:, None, :2], other[:, :2])
    high = np.minimum(one[:, None, :2] + one[:, None, 2:], other[:, :2] + other[:, 2:])
    both = np.prod(np.clip(high - low, 0, None), axis=2)
    return both / (np.prod(one[:, 2:], axis=1)[:, None] + np.prod(other[:, 2:], axis=1) - both)


def motmetrics_figures(truth: Path, tracks: Path) -> dict[str, float]:
    """What motmetrics makes of them, with the threshold of its own comparison of boxes."""
    motmetrics = pytest.importorskip("motmetrics", reason="motmetrics is not installed")
    with warnings.catch_warnings():
        # Its reader subtracts a tuple from a table, which pandas will read otherwise one day.
        warnings.simplefilter("ignore")
        true, told = (motmetrics.io.loadtxt(str(path), fmt="mot15-2D").reset_index() for path in (truth, tracks))
    accumulator = motmetrics.MOTAccumulator()
    for frame in sorted({*true["FrameId"], *told["FrameId"]}):
        one, other = (table[table["FrameId"] == frame] for table in (true, told))
        boxes = [part[["X", "Y", "Width", "Height"]].to_numpy(float) for part in (one, other)]
        apart = 1 - overlap(*boxes)
        apart[apart > 0.5] = np.nan
        accumulator.update(one["Id"].tolist(), other["Id"].tolist(), apart, frameid=frame)
    names = {"idf1": "idf1", "mota": "mota", "switches": "num_switches", "fragmentations": "num_fragmentations"}
    values = motmetrics.metrics.create().compute(accumulator, metrics=list(names.values()), return_dataframe=False)
    return {ours: float(values[theirs]) for ours, theirs in names.items()}


def broken(truth: Tracks, seed: int) -> Tracks:
    """Rows with what goes wrong: jitter, gaps, ids that change or are taken over, false rows."""
    rng = np.random.default_rng(seed)
    rows = truth.where((truth.t_us % 5_000 == 0) & (rng.random(len(truth)) < rng.uniform(0.5, 1)))
    at = rng.integers(0, len(rows), 3)
    ids = np.where(rows.t_us > rows.t_us[at[0]], rows.id + 100 * (rows.id == rows.id[at[0]]), rows.id)
    swapped = (rows.t_us > rows.t_us[at[1]]) & (rows.id < 2)
    ids = np.where(swapped, 1 - rows.id, ids).astype(np.int32)
    jitter = rng.normal(0, rng.uniform(0, 2), (2, len(rows)))
    false = rng.random(len(rows)) < 0.05
    x = np.where(false, rng.uniform(0, 150, len(rows)), rows.x_px + jitter[0])
    return rounded(replace(rows, id=ids, x_px=x, y_px=rows.y_px + jitter[1], meta={}))


def rounded(tracks: Tracks) -> Tracks:
    """To what the files hold."""
    return replace(tracks, x_px=tracks.x_px.round(3), y_px=tracks.y_px.round(3))


@pytest.fixture(scope="module")
def truth() -> Tracks:
    """Six disks that cross."""
    scene = random_scene(
        6, width=150, height=120, duration_us=300_000, radius=5, speeds=(60, 900), seed=3, separate=False
    )
    return rounded(simulate(scene)[1])


@given(seed=st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_figures_are_those_of_trackeval(truth, tmp_path_factory, seed):
    folder = tmp_path_factory.mktemp("mot")
    tracks = broken(truth, seed)
    told = write_mot(folder / "t.txt", tracks, origin_us=0)
    true = write_mot(folder / "g.txt", truth, like=told)
    ours = mot_figures(told, true)
    theirs = trackeval_figures(folder / "g.txt", folder / "t.txt")
    for name, value in theirs.items():
        assert getattr(ours, name) == pytest.approx(value, abs=1e-9), name
    assert ours.idf1 == pytest.approx(motmetrics_figures(folder / "g.txt", folder / "t.txt")["idf1"], abs=1e-9)


def test_known_answers(truth):
    told = frames_of(truth.where(truth.t_us % 5_000 == 0), origin_us=0)
    true = frames_of(truth, like=told)
    perfect = mot_figures(told, true)
    assert (perfect.mota, perfect.idf1, perfect.hota) == pytest.approx((1, 1, 1))
    assert (perfect.switches, perfect.fragmentations) == (0, 0)
    half = told.rows.t_us >= 150_000
    renamed = replace(told.rows, id=np.where(half & (told.rows.id == 2), 50, told.rows.id).astype(np.int32))
    switched = mot_figures(replace(told, rows=renamed), true)
    assert (switched.switches, switched.fragmentations) == (1, 0)
    # One object of six counts with the longer half of its rows.
    assert switched.idf1 == pytest.approx(1 - 1 / 12, abs=0.01)
    assert switched.hota < 1
    assert switched.mota == pytest.approx(1 - 1 / len(true.rows))


@pytest.mark.parametrize("start_us", [0, 913_716_224])
def test_exported_tables_score_as_evaluate_does(tmp_path, start_us):
    """Tracks and truth of one recording, each exported by the command alone, by default."""
    scene = random_scene(4, width=150, height=120, duration_us=500_000, radius=5, speeds=(60, 900), seed=9_201)
    recording, truth = simulate(scene)
    found = detect(recording, EDGES, 5.0).tracks
    assert found.t_us[0] > 0
    if start_us:
        # As of a camera's clock, which no table of truth states.
        found = replace(found, t_us=found.t_us + start_us // 5_000 * 5_000)
        truth = replace(truth, t_us=truth.t_us + start_us // 5_000 * 5_000, meta={})
        found.meta["recording"] |= {"start_us": start_us // 5_000 * 5_000, "stop_us": start_us + 500_000}
    found.write(tmp_path / "found.csv")
    truth.write(tmp_path / "truth.csv")
    more = ["--fps", "200", "--origin", f"{start_us // 5_000 * 5_000}us"] if start_us else []
    for name in ("found", "truth"):
        result = CliRunner().invoke(
            app, ["export", str(tmp_path / f"{name}.csv"), "-o", str(tmp_path / f"{name}.txt"), *more]
        )
        assert result.exit_code == 0, result.stderr
    scores = evaluate(Tracks.read(tmp_path / "found.csv"), Tracks.read(tmp_path / "truth.csv"), EDGES)
    assert scores.recall == 1
    for figures in (trackeval_figures, motmetrics_figures):
        theirs = figures(tmp_path / "truth.txt", tmp_path / "found.txt")
        assert theirs.pop("switches") == scores.id_switches
        for name, value in theirs.items():
            assert getattr(scores, name) == pytest.approx(value, abs=2e-3), (figures.__name__, name)
        assert theirs["mota"] > 0.9


def test_without_radii_or_rows_there_is_nothing_to_pair(truth):
    told = truth.where(truth.t_us % 5_000 == 0)
    bare = evaluate(replace(told, radius_px=np.full(len(told), np.nan)), truth, EDGES)
    assert np.isnan([bare.mota, bare.idf1, bare.hota]).all()
    assert bare.to_dict()["hota"] is None
    none = evaluate(Tracks.empty(), truth, EDGES)
    assert (none.mota, none.idf1, none.hota) == (0, 0, 0)
    assert np.isnan(evaluate(Tracks.empty(), Tracks.empty(), EDGES).hota)
