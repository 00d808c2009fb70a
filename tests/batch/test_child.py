"""One recording of a batch, without a cluster: what stands in the folder, and when it is done again."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
from bags import Bag
from commands import ok

from velocell.batch.folder import opened
from velocell.batch.inputs import find_inputs
from velocell.batch.run import Batch
from velocell.cli.child import answer
from velocell.data.tracks import Tracks
from velocell.errors import OptionError
from velocell.formats import read, write_evt3, write_npz
from velocell.simulate import notebook_scene, random_scene, simulate

pytest.importorskip("pyarrow")
OPTIONS = {"bands": "16,62,177,500", "count-line": ["25,0,25,50"]}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("in")
    write_npz(simulate(notebook_scene())[0], folder / "a.npz")
    write_npz(simulate(random_scene(2, width=100, height=80, duration_us=400_000, seed=7))[0], folder / "b.npz")
    (folder / "c.npz").write_bytes((folder / "a.npz").read_bytes()[:3000])
    return folder


def run(source, out, **more):
    job = Batch(OPTIONS, **more)
    with opened(out, job.settings()) as made:
        return [answer(each) for each in job.jobs(made, find_inputs([source], out))]


def contents(folder):
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name not in ("log.jsonl", ".lock")
    }


def test_results_are_those_of_detect_alone(recordings, tmp_path):
    results = ("csv", "spikes", "objects", "jsonl", "report")
    good, other, bad = run(recordings, tmp_path / "out", results=results)
    assert [good.status, other.status, bad.status] == ["done", "done", "failed"]
    alone = tmp_path / "alone.csv"
    options = ("--bands", OPTIONS["bands"], "--count-line", OPTIONS["count-line"][0])
    files = ("--spikes", tmp_path / "s.npz", "--objects", tmp_path / "o.csv")
    ok("detect", recordings / "a.npz", "-o", alone, *options, *files)
    place = tmp_path / "out"
    assert (place / good.outputs["table"]).with_suffix(".csv").read_bytes() == alone.read_bytes()
    assert (place / good.outputs["spikes"]).read_bytes() == (tmp_path / "s.npz").read_bytes()
    assert (place / good.outputs["objects"]).read_bytes() == (tmp_path / "o.csv").read_bytes()
    assert (place / good.outputs["counts"]).read_bytes() == (tmp_path / "alone.csv.counts.csv").read_bytes()
    whole = Tracks.read(alone)
    assert (good.rows, good.objects) == (len(whole), np.unique(whole.id).size)
    np.testing.assert_array_equal(good.tracks().t_us, whole.t_us)
    assert good.tracks().meta["settings"] == whole.meta["settings"]
    assert "damaged or incomplete" in bad.error
    assert not list((place / ".work").iterdir()) if (place / ".work").exists() else True


def test_the_joined_dataset_is_one_table(recordings, tmp_path):
    import pyarrow.dataset as ds

    good, other, _ = run(recordings, tmp_path / "out")
    table = ds.dataset(tmp_path / "out" / "tracks", partitioning="hive").to_table()
    assert table.num_rows == good.rows + other.rows
    assert set(table["recording"].to_pylist()) == {"a.npz", "b.npz"}


def test_counts_of_all_recordings_are_joined(recordings, tmp_path):
    job, out = Batch(OPTIONS), tmp_path / "out"
    with opened(out, job.settings()) as made:
        outcomes = [answer(each) for each in job.jobs(made, find_inputs([recordings], out))]
        made.write_counts(reversed(outcomes))
    heading, *rows = (out / "counts.csv").read_text().splitlines()
    apart = [(each.name, *(out / each.outputs["counts"]).read_text().splitlines()) for each in outcomes[:2]]
    assert heading == f"recording,{apart[0][1]}"
    assert rows == [f"{name},{row}" for name, _, *one in apart for row in one]
    assert {row.partition(",")[0] for row in rows} == {"a.npz", "b.npz"}


def test_done_work_is_recognised_by_content_not_by_name(recordings, tmp_path):
    source = tmp_path / "in"
    shutil.copytree(recordings, source)
    out = tmp_path / "out"
    run(source, out, results=("spikes",))
    before = contents(out)
    again = run(source, out, results=("spikes",))
    assert [outcome.resumed for outcome in again] == [True, True, False]
    assert contents(out) == before
    # The same name and time, other contents.
    stamp = (source / "a.npz").stat()
    shutil.copyfile(source / "b.npz", source / "a.npz")
    os.utime(source / "a.npz", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    changed, kept, _ = run(source, out, results=("spikes",))
    assert (changed.resumed, kept.resumed) == (False, True)
    assert changed.rows == kept.rows
    # A result that is gone, or was cut short, is made again.
    spikes = out / kept.outputs["spikes"]
    spikes.write_bytes(spikes.read_bytes()[:100])
    assert [outcome.resumed for outcome in run(source, out, results=("spikes",))] == [True, False, False]
    assert spikes.stat().st_size > 100


def test_a_recording_that_moved_is_known_again_and_another_of_its_name_gets_its_own(recordings, tmp_path):
    first, second, out = tmp_path / "first", tmp_path / "second", tmp_path / "out"
    for folder in (first, second):
        folder.mkdir()
    shutil.copyfile(recordings / "a.npz", first / "a.npz")
    shutil.copyfile(recordings / "b.npz", second / "a.npz")
    assert run(first, out)[0].name == "a.npz"
    other = run(second, out)[0]
    assert other.name.startswith("a.npz~")
    (first / "a.npz").rename(tmp_path / "a.npz")
    moved = run(tmp_path / "a.npz", out)[0]
    assert (moved.name, moved.resumed) == ("a.npz", True)


def test_a_folder_of_other_settings_or_other_files_is_refused(recordings, tmp_path):
    run(recordings / "a.npz", tmp_path / "out")
    for other, words in (
        (Batch({**OPTIONS, "radius": "4"}), "--radius not given there, 4 here"),
        (Batch(OPTIONS, ("spikes",)), "other settings: --also not given there, spikes here"),
        (Batch(OPTIONS, contents={"--network net.toml": "1"}), "other contents of --network net.toml"),
    ):
        with pytest.raises(OptionError, match=words), opened(tmp_path / "out", other.settings()):
            pass
    with pytest.raises(OptionError, match="holds other files"), opened(recordings, Batch(OPTIONS).settings()):
        pass
    settings = Batch(OPTIONS).settings()
    with opened(tmp_path / "out", settings), pytest.raises(OptionError, match="another velocell batch is writing"):
        opened(tmp_path / "out", settings).__enter__()


def test_a_wrong_option_is_the_recordings_outcome(recordings, tmp_path):
    job = Batch({"bands": "16,62", "contrast": "many"})
    with opened(tmp_path / "out", job.settings()) as made:
        (outcome,) = [answer(each) for each in job.jobs(made, find_inputs([recordings / "a.npz"], tmp_path / "out"))]
    assert "--contrast 'many' must be a number" in outcome.error


def run_in_parts(source, out, number=3, stop_after=None, **more):
    """The steps of a recording in parts, one after the other, as the futures of a cluster hand them on."""
    job = Batch({"bands": "150,400,1000", "contrast": "3"}, parts=number, **more)
    with opened(out, job.settings()) as made:
        (each,) = job.jobs(made, find_inputs([source], out))
        steps = [("plan", 0), *(("part", k) for k in range(number)), ("together", 0)]
        for step, k in steps[:stop_after]:
            outcome = answer({**each, "step": step, "number": k})
            if outcome.outputs or outcome.error:
                return outcome
    return outcome


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    scene = random_scene(3, width=100, height=80, duration_us=1_500_000, speeds=(160, 900), seed=2)
    path = tmp_path_factory.mktemp("long") / "long.raw"
    write_evt3([simulate(scene)[0]], path)
    return path


def test_a_recording_in_parts_has_the_spikes_of_detect(long, tmp_path):
    results = ("spikes", "objects", "csv")
    outcome = run_in_parts(long, tmp_path / "out", results=results)
    assert (outcome.status, outcome.error) == ("done", None)
    options = ("--bands", "150,400,1000", "--contrast", "3")
    ok("detect", long, "-o", tmp_path / "a.csv", *options, "--spikes", tmp_path / "s.npz")
    assert (tmp_path / "out" / outcome.outputs["spikes"]).read_bytes() == (tmp_path / "s.npz").read_bytes()
    whole, found = Tracks.read(tmp_path / "a.csv"), outcome.tracks()
    assert found.meta["settings"] == whole.meta["settings"]
    told = found.meta["inputs"][0].pop("cut")
    assert found.meta["inputs"] == whole.meta["inputs"]
    assert (told["parts"], len(told["cuts_us"]), len(told["run_in_us"])) == (3, 2, 2)
    assert np.unique(found.id).size == np.unique(whole.id).size
    assert not (tmp_path / "out" / "parts" / outcome.name).exists()
    assert (tmp_path / "out" / "index" / f"{outcome.name}.json").exists()
    again = run_in_parts(long, tmp_path / "out", results=results)
    assert again.resumed


def test_a_bag_of_ros_2_is_a_folder_and_one_recording_also_in_parts(long, tmp_path):
    whole, files = read(long), tmp_path / "in" / "drive"
    files.mkdir(parents=True)
    names = []
    for number, part in enumerate((whole.slice(0, len(whole) // 2), whole.slice(len(whole) // 2, len(whole)))):
        (tmp_path / str(number)).mkdir()
        bag = Bag(tmp_path / str(number), "sqlite")
        for first in range(0, len(part), 2_000):
            bag.array(part.slice(first, first + 2_000), height=80, width=100)
        names.append(f"drive_{number}.db3")
        bag.close().rename(files / names[-1])
    listed = "".join(f"    - {name}\n" for name in names)
    (files / "metadata.yaml").write_text(f"bag:\n  relative_file_paths:\n{listed}")
    found = find_inputs([tmp_path / "in"], tmp_path / "out").found
    assert [(item.wanted, item.source) for item in found] == [("drive", str(files))]
    assert [item.wanted for item in find_inputs([files, f"{tmp_path}/in/dri*"], tmp_path / "out").found] == ["drive"]
    outcome = run_in_parts(files, tmp_path / "out", results=("spikes",))
    assert (outcome.status, outcome.error) == ("done", None)
    options = ("--bands", "150,400,1000", "--contrast", "3")
    ok("detect", files, "-o", tmp_path / "a.csv", *options, "--spikes", tmp_path / "s.npz")
    assert (tmp_path / "out" / outcome.outputs["spikes"]).read_bytes() == (tmp_path / "s.npz").read_bytes()
    assert run_in_parts(files, tmp_path / "out", results=("spikes",)).resumed
    (files / names[1]).unlink()
    (left,) = run(files, tmp_path / "other")
    assert left.status == "failed"
    assert "lacks its file 'drive_1.db3'; copy the whole folder" in left.error


def test_parts_go_on_from_wherever_they_were_killed(long, tmp_path):
    run_in_parts(long, tmp_path / "whole")
    wanted = contents(tmp_path / "whole")
    for after in (1, 3):
        out = tmp_path / f"killed-{after}"
        run_in_parts(long, out, stop_after=after)
        place = out / "parts" / long.name
        (place / ".part-0002-abc").mkdir()  # as kill -9 leaves it
        before = {file: file.stat().st_mtime_ns for file in place.rglob("*.json")}
        assert len(before) == after
        run_in_parts(long, out, stop_after=4)
        assert {file: file.stat().st_mtime_ns for file in before} == before  # nothing is done twice
        run_in_parts(long, out)
        assert contents(out) == wanted


def test_a_recording_that_changes_between_its_parts_is_refused(long, tmp_path):
    path, out = tmp_path / "a.raw", tmp_path / "out"
    shutil.copyfile(long, path)
    run_in_parts(path, out, stop_after=2)
    os.utime(path, ns=(0, 0))
    job = Batch({"bands": "150,400,1000", "contrast": "3"}, parts=3)
    with opened(out, job.settings()) as made:
        (each,) = job.jobs(made, find_inputs([path], out))
        assert "changed while it was worked on" in (answer({**each, "step": "part", "number": 1}).error or "")
    assert run_in_parts(path, out).status == "done"  # which plans anew
    with pytest.raises(OptionError, match="other settings: --parts 3 there, 4 here"):
        run_in_parts(path, out, 4)
