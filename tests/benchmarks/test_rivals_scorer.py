"""The scorer that shares no code with Velocell: against closed forms, `velocell.evaluate`, and by itself."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from places import ROOT

sys.path.insert(0, str(ROOT))

from benchmarks.rivals.scorer.disk_scores import ScoreError, Table, score
from velocell.data.bands import Bands
from velocell.data.tracks import Tracks
from velocell.results.evaluate import evaluate

SCORER = ROOT / "benchmarks" / "rivals" / "scorer"
EDGES = (40.0, 160.0, 640.0)
SPAN = (0, 600_000)
NAMES = ("t_us", "id", "x_px", "y_px", "speed_px_s", "heading_deg", "radius_px")


def disks(speeds=(100.0, 300.0), every_us=1_000):
    """Two disks on their own rows, from the left to the right."""
    t = np.arange(0, SPAN[1], every_us)
    parts = [
        {"t_us": t, "id": np.full(t.size, k), "x_px": 10 + v * t * 1e-6, "y_px": np.full(t.size, 20.0 + 40 * k),
         "speed_px_s": np.full(t.size, v), "heading_deg": np.zeros(t.size), "radius_px": np.full(t.size, 6.0)}
        for k, v in enumerate(speeds)
    ]  # fmt: skip
    return {name: np.concatenate([part[name] for part in parts]) for name in NAMES}


def rows(**changes):
    found = disks(every_us=5_000)
    found = {name: values[found["t_us"] > 0] for name, values in found.items()}
    return {**found, "band": Bands(EDGES).of_speed(found["speed_px_s"]), **changes}


def scored(columns, truth=None, **settings):
    return score(Table.of(columns), Table.of(truth or disks()), EDGES, span_us=SPAN, **settings)


def test_perfect_rows_have_perfect_scores():
    figures = scored(rows(speed_err_px_s=np.full(rows()["id"].size, 1.0)))
    for name in ("quality", "recall", "precision", "band_accuracy", "coverage", "idf1", "hota"):
        assert figures[name] == pytest.approx(1.0, abs=0.01), name
    assert figures["localisation_px"] == figures["speed_error"] == figures["false_tracks_per_10s"] == 0
    assert figures["first_row_ms"] == 5.0


@pytest.mark.parametrize(
    ("spoil", "figure", "value"),
    [
        (lambda r: r.update(x_px=r["x_px"] + 1.5), "localisation_px", 1.5),
        (lambda r: r.update(x_px=r["x_px"] + 3.5), "recall", 0.0),
        (lambda r: r.update(speed_px_s=r["speed_px_s"] * 1.25), "speed_error", 0.25),
        (lambda r: r.update(heading_deg=r["heading_deg"] - 350), "heading_error_deg", 10.0),
        (lambda r: r.update(band=1 - r["band"]), "band_accuracy", 0.0),
        (lambda r: r.update(y_px=np.where(r["id"] == 0, r["y_px"], 500.0)), "precision", 0.5),
        (lambda r: r.update(y_px=np.where(r["id"] == 0, r["y_px"], 500.0)), "false_tracks_per_10s", 1 / 0.06),
        (lambda r: r.update(id=np.where(r["t_us"] < 300_000, r["id"], r["id"] + 2)), "idf1", 0.5),
    ],
)
def test_what_is_spoilt_shows_in_its_figure(spoil, figure, value):
    columns = rows()
    spoil(columns)
    assert scored(columns)[figure] == pytest.approx(value, rel=0.02, abs=1e-9)


def test_of_two_rows_on_one_object_one_is_false():
    columns = {name: np.concatenate((values, values)) for name, values in rows().items()}
    columns["id"] = np.concatenate((rows()["id"], rows()["id"] + 2))
    columns["x_px"] = np.concatenate((rows()["x_px"], rows()["x_px"] + 0.5))
    figures = scored(columns)
    assert figures["precision"] == 0.5
    assert figures["recall"] == 1.0
    assert figures["localisation_px"] == 0


def test_without_radii_nothing_is_said_of_boxes_and_a_stated_one_serves_all():
    truth = {name: values for name, values in disks().items() if name != "radius_px"}
    columns = {name: values for name, values in rows().items() if name != "radius_px"}
    assert scored(columns, truth)["idf1"] is None
    assert scored(columns, truth)["recall"] == 1
    assert scored(columns, truth, radius_px=6.0)["idf1"] == pytest.approx(1, abs=0.01)


def test_what_is_spared_need_not_be_found_and_rows_there_are_neither():
    truth = disks()
    hidden = (truth["id"] == 0) & (truth["t_us"] >= 300_000)
    columns = rows()
    before = {name: values[~((columns["id"] == 0) & (columns["t_us"] >= 300_000))] for name, values in columns.items()}
    for found in (columns, before):
        figures = scored(found, {**truth, "spared": hidden.astype(int)})
        assert figures["recall"] == figures["precision"] == 1
        assert figures["idf1"] == pytest.approx(1, abs=0.02)
    assert scored(before)["recall"] < 0.8


def test_no_rows_and_no_objects_have_no_figures():
    empty = {name: np.empty(0) for name in NAMES}
    assert scored(empty)["recall"] == scored(empty)["quality"] == 0
    assert scored(empty)["precision"] == 1
    nothing_there = scored(rows(), empty, radius_px=6.0)
    assert nothing_there["recall"] is nothing_there["idf1"] is nothing_there["quality"] is None
    assert nothing_there["false_tracks_per_10s"] == pytest.approx(2 / 0.06, rel=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_it_agrees_with_velocell_evaluate(seed):
    rng = np.random.default_rng(seed)
    columns = rows()
    n = columns["id"].size
    keep = rng.random(n) > 0.2
    columns["x_px"] = columns["x_px"] + rng.normal(0, 1.0, n)
    columns["y_px"] = columns["y_px"] + np.where(rng.random(n) < 0.1, 90.0, 0.0)
    columns["speed_px_s"] = columns["speed_px_s"] * rng.lognormal(0, 0.3, n)
    columns["heading_deg"] = rng.normal(0, 9, n)
    columns["band"] = Bands(EDGES).of_speed(columns["speed_px_s"])
    columns["id"] = columns["id"] + 2 * rng.integers(0, 2, n)
    columns = {name: values[keep] for name, values in columns.items()}
    meta = {"recording": {"start_us": SPAN[0], "stop_us": SPAN[1]}}
    theirs = evaluate(Tracks.from_columns(columns, meta), Tracks.from_columns(disks(), meta), EDGES)
    ours = scored(columns)
    same = {
        "recall": theirs.recall, "precision": theirs.precision, "band_accuracy": theirs.band_accuracy,
        "localisation_px": theirs.localisation_median_px, "speed_error": theirs.speed_error_median,
        "heading_error_deg": theirs.heading_error_median_deg, "idf1": theirs.idf1, "hota": theirs.hota,
    }  # fmt: skip
    for name, value in same.items():
        # Theirs have one more frame, at the start of the recording.
        assert ours[name] == pytest.approx(value, abs=5e-3 if name in ("idf1", "hota") else 2e-3), name


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"t_us": [1]}, "'id' is missing"),
        ({"t_us": [1], "id": [0], "x_px": [np.nan], "y_px": [1]}, "row 1 has no x_px"),
        ({"t_us": [1, 1], "id": [0, 0], "x_px": [1, 2], "y_px": [1, 1]}, "two rows at 1 us"),
        ({"t_us": [900_000], "id": [0], "x_px": [1], "y_px": [1]}, "outside the recording"),
    ],
)
def test_wrong_tables_are_one_sentence(columns, words):
    with pytest.raises(ScoreError, match=words) as caught:
        scored(columns)
    assert "\n" not in str(caught.value)


def write(path, columns):
    lines = [",".join(columns), *(",".join(map(str, line)) for line in zip(*columns.values(), strict=True))]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def alone(*arguments):
    """The scorer as somebody has it who has nothing else of this project."""
    script = (
        "import sys; from disk_scores.command import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: assert not any(m.partition('.')[0] in ('velocell', 'benchmarks') for m in sys.modules)"
    )
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=SCORER, check=False)


def test_the_command_scores_csv_without_our_code(tmp_path):
    found, true = write(tmp_path / "rows.csv", rows()), write(tmp_path / "truth.csv", disks())
    done = alone(found, true, "--bands", "40,160,640", "--span", "0,600000")
    assert json.loads(done.stdout) == json.loads(json.dumps(scored(rows())))
    for arguments, words in (
        ((found, str(tmp_path / "none.csv"), "--bands", "40,160"), "cannot be read"),
        ((found, true, "--bands", "forty"), "not a list of numbers"),
        ((found, true, "--bands", "160,40"), "rising edges"),
        ((found, true, "--bands", "40,160", "--every", "5"), "not a time"),
    ):
        failed = alone(*arguments)
        assert failed.returncode == 1
        assert words in failed.stderr
        assert failed.stderr.count("\n") == 1
