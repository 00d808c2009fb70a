"""The harness of the public benchmark: planted advantages are noticed, wrong input is one sentence, figures add up."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from places import ROOT

pytest.importorskip("velocell._native", reason="the C++ core is not built (pip install .)")
pytest.importorskip("cv2", reason="OpenCV is not installed (pip install opencv-python-headless)")
sys.path.insert(0, str(ROOT))

from benchmarks.rivals import audit, dataset, page, results, tuning
from benchmarks.rivals.__main__ import main
from benchmarks.rivals.interface import EVERY_US, Choice, Rival, RivalError
from benchmarks.rivals.measure import run
from benchmarks.rivals.methods import rival, rivals
from benchmarks.rivals.scenes import disks
from benchmarks.rivals.tasks import FAMILIES, STANDING, TASKS, TRAINING, Task, of_test, training
from velocell.data.tracks import Tracks

SHORT = Task("short", "short", "plain", disks(count=2, duration_us=200_000))
SCENE = SHORT.scene("of these tests", 0)


def leaking(noise_px=0.0, share=1.0):
    """A rival that has the truth in its pocket, and says it with some noise."""

    def follow(recording, radius_px, bands, values):
        truth = SCENE.made[1]
        rng = np.random.default_rng(0)
        rows = truth.where((truth.t_us % EVERY_US == 0) & (truth.t_us > 0) & (rng.random(len(truth)) < share))
        noise = rng.normal(0, noise_px, (2, len(rows))) if noise_px else np.zeros((2, len(rows)))
        band = bands.of_speed(rows.speed_px_s)
        return Tracks.from_columns({
            **rows.columns(), "x_px": rows.x_px + noise[0], "y_px": rows.y_px + noise[1], "band": band,
            "speed_px_s": rows.speed_px_s * (1 + noise_px / 10),
        })  # fmt: skip

    return Rival("leaking", "Leaking", "-", "-", "-", "-", follow)


# --- an advantage that is planted -----------------------------------------------------------------------


def test_rows_that_are_the_truth_are_better_than_events_allow():
    found = {"rival": "leaking", "task": "short", **run(leaking(), SCENE, {})}
    assert found["quality"] == 1
    assert "which events cannot give" in audit.too_good(found)
    honest = {"rival": "velocell", "task": "short", **run(rival("velocell"), SCENE, {})}
    assert honest["recall"] > 0.9
    assert audit.too_good(honest) is None


@pytest.mark.parametrize("hidden", [{"noise_px": 0.3}, {"noise_px": 0.3, "share": 0.5}])
def test_a_truth_that_is_hidden_in_noise_does_not_move_with_the_events(hidden):
    assert audit.too_good(run(leaking(**hidden), SCENE, {})) is None
    assert "it has the truth from elsewhere" in audit.leak(leaking(**hidden), SCENE, {})


@pytest.mark.parametrize("name", ["velocell", "blob", "aeb"])
def test_honest_rivals_find_only_what_events_show(name):
    assert audit.leak(rival(name), SCENE, rival(name).defaults) is None


@pytest.fixture
def tuned_blob(tmp_path, monkeypatch):
    """Blob, tuned on a short scene, with its file in a folder of this test."""
    monkeypatch.setattr(tuning, "FOLDER", tmp_path)
    monkeypatch.setattr(tuning, "training", lambda family: [SCENE])
    blob = rival("blob")
    entry = tuning.tune(blob, "plain", [SCENE], 3)
    return blob, tuning.write(blob, {"plain": entry})


def test_the_tuner_keeps_the_best_of_its_log_and_continues(tuned_blob):
    blob, path = tuned_blob
    entry = json.loads(path.read_text())["families"]["plain"]
    assert len(entry["log"]) == 3
    assert entry["log"][0]["values"] == blob.defaults
    assert entry["quality"] == max(one["quality"] for one in entry["log"] if one["quality"] is not None) > 0.3
    assert tuning.tuned(blob, "plain") == entry["values"]
    assert audit.scrambled(blob, "plain") is None
    more = tuning.tune(blob, "plain", [SCENE], 4, before=entry)
    assert more["log"][:3] == entry["log"]
    assert more["log"] == tuning.tune(blob, "plain", [SCENE], 4)["log"]


def test_parameters_that_were_changed_afterwards_are_noticed(tuned_blob):
    blob, path = tuned_blob
    content = json.loads(path.read_text())
    entry = content["families"]["plain"]
    worse = blob.draw(np.random.default_rng(99))
    for changes in ({"values": worse}, {"values": worse, "digest": tuning.digest(worse)}, {"quality": 0.99}):
        path.write_text(json.dumps({**content, "families": {"plain": {**entry, **changes}}}))
        with pytest.raises(RivalError, match=r"not the best of the log; tune blob again"):
            tuning.tuned(blob, "plain")


def test_a_rival_whose_parameters_mean_something_else_now_is_noticed(tuned_blob):
    blob, path = tuned_blob
    other = replace(blob, follow=lambda r, radius, bands, v: blob.follow(r, radius, bands, {**v, "window_ms": 80.0}))
    assert "differs by" in audit.scrambled(other, "plain")
    content = json.loads(path.read_text())
    entry = content["families"]["plain"]
    scrambled = blob.draw(np.random.default_rng(99))
    log = [{**one, "values": scrambled} if one["values"] == entry["values"] else one for one in entry["log"]]
    entry = {**entry, "values": scrambled, "digest": tuning.digest(scrambled), "log": log}
    path.write_text(json.dumps({**content, "families": {"plain": entry}}))
    assert "differs by" in audit.scrambled(blob, "plain")


def test_files_that_are_missing_or_torn_are_one_sentence(tuned_blob):
    blob, path = tuned_blob
    path.write_text("{")
    with pytest.raises(RivalError, match="not a file of the tuner"):
        tuning.tuned(blob, "plain")
    path.unlink()
    with pytest.raises(RivalError, match="has not been tuned"):
        tuning.tuned(blob, "plain")
    assert tuning.tuned(rival("velocell"), "plain") == {}


def test_the_values_in_the_tree_are_those_of_their_logs():
    for one in rivals().values():
        if one.parameters and (tuning.FOLDER / f"{one.name}.json").exists():
            known = json.loads((tuning.FOLDER / f"{one.name}.json").read_text())["families"]
            assert {family: len(entry["log"]) for family, entry in known.items()} == {
                family: tuning.TRIALS[family] for family in known
            }, one.name
            assert all(tuning.tuned(one, family) for family in known), one.name


# --- tasks ------------------------------------------------------------------------------------------------


def test_scenes_follow_from_their_draw_and_training_is_never_a_test():
    seeds = {scene.seed for task in TASKS.values() for scene in of_test(task, STANDING, 3)}
    trained = {scene.seed for family in FAMILIES for scene in training(family)}
    assert not seeds & trained
    assert not seeds & {scene.seed for task in TASKS.values() for scene in of_test(task, "2027-01", 3)}
    assert len(seeds) == sum(1 if task.file else 3 for task in TASKS.values())
    again = replace(SHORT).scene("of these tests", 0).made[0]
    assert np.array_equal(again.t_us, SCENE.made[0].t_us)
    with pytest.raises(RivalError, match="tuned on"):
        of_test(SHORT, TRAINING, 1)
    assert all(training(family) for family in FAMILIES)


def test_a_recording_that_is_not_there_is_one_sentence():
    away = replace(TASKS["course"], file="nowhere.dat")
    assert "nowhere.dat is not in" in away.missing()
    with pytest.raises(RivalError, match=r"nowhere.dat is not in"):
        _ = away.scene(STANDING, 0).made


# --- results ----------------------------------------------------------------------------------------------


def a_run(name, task, scene, **figures):
    base = dict.fromkeys((*results.SHOWN,), None)
    entries = {"latency_ms": [10.0], "rows": 9, "matched_rows": 9, "objects": 1, "cpu_s": 0.5, "events": 1_000}
    return {"rival": name, "task": task, "scene": scene, **base, **entries, **figures}


def test_a_lead_counts_only_beyond_the_spread():
    def runs(theirs):
        ours = (0.90, 0.92, 0.91)
        return [
            a_run(name, "separate", k, recall=value, precision=1.0, quality=value)
            for name, values in (("velocell", ours), ("blob", theirs))
            for k, value in enumerate(values)
        ]

    assert [(one["figure"], one["rival"]) for one in results.ahead(runs((0.95, 0.97, 0.95)))] == [("recall", "blob")]
    assert results.ahead(runs((0.99, 0.86, 0.93))) == []  # ahead on the mean, by less than the spread
    assert results.ahead(runs((0.80, 0.80, 0.80))) == []


def test_ranks_follow_the_means_and_equals_share():
    runs = [
        a_run(name, task, k, quality=value)
        for task in ("separate", "octaves", "crossing")
        for name, value in (("velocell", 0.9), ("blob", 0.9), ("hough", 0.5))
        for k in range(2)
    ]
    found = {one["rival"]: one for one in results.ranks(runs, ["velocell", "blob", "hough"])}
    assert found["velocell"]["mean"] == found["blob"]["mean"] == 1.5
    assert found["hough"] == {"rival": "hough", "mean": 3, "low": 3, "high": 3}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A benchmark on very little."""
    folder = tmp_path_factory.mktemp("rivals")
    main([
        "--quick", "--tasks", "contrast1,nothing", "--rivals", "velocell,blob", "--out", str(folder), "--page",
        str(folder / "rivals.md"),
    ])  # fmt: skip
    return folder


def test_the_command_writes_a_result_and_a_page_that_begins_with_where_we_lose(made):
    result = results.read(made / "rivals.json")
    assert {(row["rival"], row["task"]) for row in result["rows"]} == {
        (name, task) for name in ("velocell", "blob") for task in ("contrast1", "nothing")
    }
    assert result["suspicious"] == []
    text = (made / "rivals.md").read_text()
    assert text.splitlines()[2].startswith(("**Where a rival is ahead", "No rival is ahead"))
    assert (made / "images" / "rivals.png").stat().st_size > 10_000
    assert all(one["peak_mb"] >= 0 and one["events_per_s"] > 0 for one in result["rivals"])


def test_the_page_of_a_lead_names_it(made):
    result = results.read(made / "rivals.json")
    lead = {
        "task": "contrast1", "figure": "recall", "rival": "blob", "ours": 0.5, "theirs": 0.75, "rivals_ahead": 1,
        "lead": 0.25,
    }  # fmt: skip
    lines = list(page.lines({**result, "ahead": [lead]}, "x.png"))
    assert "*contrast 1*: recall 0.750 (Blob + linking) against 0.500" in lines[2]
    assert any("--tasks contrast1 --rivals velocell,blob" in line for line in lines)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda r: r.pop("ranks"), "ranks"),
        (lambda r: r["runs"][0].update(recall=1.5), "runs/0/recall"),
        (lambda r: r["rows"][0]["figures"].update(beauty={}), "rows/0/figures"),
        (lambda r: r["rows"][0].update(rival="nobody"), "rows of 'nobody'"),
    ],
)
def test_a_result_that_does_not_follow_the_schema_is_one_sentence(made, tmp_path, spoil, words, capsys):
    result = json.loads((made / "rivals.json").read_text())
    spoil(result)
    path = tmp_path / "spoilt.json"
    path.write_text(json.dumps(result))
    with pytest.raises(SystemExit) as caught:
        main(["--from", str(path), "--page", str(tmp_path / "page.md")])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "page.md").exists()


def test_a_rival_that_cannot_run_has_a_row_that_says_so(monkeypatch, tmp_path):
    absent = replace(rival("blob"), missing=lambda: "OpenCV is not installed; pip install opencv-python-headless")
    monkeypatch.setattr("benchmarks.rivals.__main__.peak_mb", lambda name, values: 1.0)
    monkeypatch.setattr("benchmarks.rivals.__main__.rivals", lambda: {"velocell": rival("velocell"), "blob": absent})
    main(["--quick", "--tasks", "sparse", "--out", str(tmp_path), "--page", str(tmp_path / "page.md")])
    entry = results.read(tmp_path / "rivals.json")["rivals"][1]
    assert "OpenCV is not installed" in entry["missing"]
    assert "Blob + linking (OpenCV is not installed" in (tmp_path / "page.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--tasks", "everything"], "there is no task 'everything'"),
        (["--rivals", "nobody"], "there is no rival 'nobody'"),
        (["--seeds", TRAINING, "--tasks", "separate", "--rivals", "velocell"], "tuned on"),
        (["--scenes", "0"], "not a number of scenes"),
        (["--from", "nowhere.json"], "cannot be read"),
    ],
)
def test_wrong_arguments_are_one_sentence(arguments, words, tmp_path):
    with pytest.raises(SystemExit, match=words) as caught:
        main([*arguments, "--out", str(tmp_path)])
    assert "\n" not in str(caught.value)


# --- the dataset ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed (pip install h5py)")
    assert h5py
    folder = tmp_path_factory.mktemp("scenes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset, "_scenes", lambda draw, count: [("test", SHORT.scene(draw, k)) for k in range(count)])
        dataset.write(folder, "of these tests", 2)
    return folder


def test_the_dataset_holds_events_and_truth_and_is_the_same_again(scenes, tmp_path):
    import h5py

    with h5py.File(scenes / f"{SCENE.name}.h5") as file:
        assert np.array_equal(file["events/t"][:], SCENE.made[0].t_us)
        assert file.attrs["radius_px"] == 6
    assert dataset.check(scenes) == 6
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset, "_scenes", lambda draw, count: [("test", SHORT.scene(draw, k)) for k in range(count)])
        dataset.write(tmp_path, "of these tests", 2)
    assert (tmp_path / "SHA256SUMS").read_text() == (scenes / "SHA256SUMS").read_text()


def test_rows_of_somebody_else_are_scored_as_ours(scenes, tmp_path):
    rows = rival("velocell").track(SCENE.made[0], SCENE.radius, SHORT.bands)
    with (tmp_path / f"{SCENE.name}.csv").open("w") as handle:
        rows.write_csv(handle)
    figures = dataset.scores(tmp_path, scenes)[SCENE.name]
    own = run(rival("velocell"), SCENE, {})
    for name in ("recall", "precision", "band_accuracy", "idf1"):
        assert figures[name] == pytest.approx(own[name], abs=1e-3)


def test_a_checksum_that_differs_is_one_sentence(scenes, tmp_path):
    for path in scenes.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    truth = tmp_path / f"{SCENE.name}.truth.csv"
    truth.write_text(truth.read_text().replace("6.0000", "6.0001", 1))
    with pytest.raises(RivalError, match=r"checksum of .*truth.csv differs"):
        dataset.check(tmp_path)
    with pytest.raises(SystemExit, match="checksum"):
        dataset.main(["--check", str(tmp_path)])
    truth.unlink()
    with pytest.raises(RivalError, match="is missing"):
        dataset.check(tmp_path)


def test_choices_of_rivals_are_tunable():
    assert all(isinstance(choice, Choice) for one in rivals().values() for choice in one.parameters.values())
