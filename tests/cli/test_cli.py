"""The command line from outside: what is written, what is said, and the exit codes."""

from __future__ import annotations

import json
import os
import pickle
import pty
import resource
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from commands import call, ok
from places import SHARED

from velocell import pipeline
from velocell.data.meta import version
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.data.tracks import Tracks
from velocell.formats import read, write_npz
from velocell.network import Network
from velocell.simulate import Flicker, Scene, SceneObject, notebook_scene, simulate

BANDS = "16,62,177,500"
MAIN = "from velocell.cli import main; main()"


def shell(*arguments, code=MAIN, **kwargs):
    """The same in a process of its own, as a user's shell would; `code` may first put something else in place."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=kwargs.pop("stdout", subprocess.PIPE),
        stderr=kwargs.pop("stderr", subprocess.PIPE),
        text=True,
        **kwargs,
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with the notebook's scene as rec.npz and truth.csv."""
    folder = tmp_path_factory.mktemp("made")
    ok("simulate", "notebook", "-o", folder / "rec.npz", "--truth", folder / "truth.csv")
    return folder


@pytest.fixture(scope="module")
def tracks(made):
    """The notebook's scene detected, as tracks.csv and spikes.npz beside it."""
    ok("detect", made / "rec.npz", "--bands", BANDS, "-o", made / "tracks.csv", "--spikes", made / "spikes.npz")
    return made / "tracks.csv"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to stand in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- results ---------------------------------------------------------------------------------------


def test_detect_finds_the_three_disks_and_evaluate_says_so(made, tracks):
    result = ok("evaluate", tracks, made / "truth.csv", "--bands", BANDS, "--spikes", made / "spikes.npz", "--json")
    scores = json.loads(result.stdout)
    assert scores["recall"] > 0.95
    assert scores["precision"] > 0.95
    assert scores["band_accuracy"] > 0.9
    assert scores["objects"] == 3
    assert len(scores["purity"]) == 3
    table = ok("evaluate", tracks, made / "truth.csv", "--bands", BANDS).stdout
    assert f"{scores['recall']:.4f}" in table
    assert "medium" in table


def test_detect_gives_the_same_table_as_the_library(made, tracks):
    expected = pipeline.detect(read(made / "rec.npz"), (16, 62, 177, 500), 5.0)
    found = Tracks.read(tracks)
    np.testing.assert_array_equal(found.t_us, expected.tracks.t_us)
    np.testing.assert_array_equal(found.band, expected.tracks.band)
    np.testing.assert_allclose(found.x_px, expected.tracks.x_px, atol=0.0006)
    assert Spikes.from_npz(made / "spikes.npz").same_as(expected.spikes)


def test_a_table_tells_where_it_came_from(made, tracks):
    meta = Tracks.read(tracks).meta
    assert meta["velocell"] == version()
    assert meta["settings"]["every_us"] == 5_000
    assert meta["settings"]["engine"] == "native"
    (source,) = meta["inputs"]
    assert source["recording"]["file"] == str(made / "rec.npz")
    assert source["recording"]["notes"]
    assert source["network"]["bands"]["edges_px_s"] == [16, 62, 177, 500]
    assert source["network"]["origin"]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_every_kind_of_table_reads_back(made, here, suffix):
    ok("detect", made / "rec.npz", "--bands", BANDS, "--to", "100ms", "-o", f"out{suffix}")
    found = Tracks.read(f"out{suffix}")
    expected = pipeline.detect(read(made / "rec.npz").between(0, 100_000), (16, 62, 177, 500)).tracks
    assert len(found) > 20
    np.testing.assert_array_equal(found.id, expected.id)
    np.testing.assert_allclose(found.speed_px_s, expected.speed_px_s, atol=0.0006)
    assert found.meta["settings"]["to_us"] == 100_000


def test_dash_writes_the_table_and_nothing_else_on_stdout(made, tracks):
    result = ok("detect", made / "rec.npz", "--bands", BANDS, "-o", "-")
    assert result.stdout == tracks.read_text()
    assert result.stderr.splitlines() == [line for line in result.stderr.splitlines() if line.startswith("velocell: ")]
    assert "3 objects (1 slow, 1 medium, 1 fast)" in result.stderr


def test_several_files_make_one_table_with_a_column_file(made, tracks, here):
    quiet = here / "quiet.npz"
    write_npz(read(made / "rec.npz").crop(0, 0, 50, 17), quiet)
    ok("detect", made / "rec.npz", quiet, "--bands", BANDS, "-o", "both.csv")
    both, whole = Tracks.read("both.csv"), Tracks.read(tracks)
    files = both.extra["file"]
    assert set(files) == {str(made / "rec.npz"), str(quiet)}
    assert len(both.meta["inputs"]) == 2
    of_first = both.where(files == str(made / "rec.npz"))
    np.testing.assert_array_equal(of_first.x_px, whole.x_px)
    np.testing.assert_array_equal(of_first.id, whole.id)
    of_second = both.where(files == str(quiet))
    assert len(of_second) > 50
    assert (of_second.y_px < 17).all()
    result = call("evaluate", "both.csv", made / "truth.csv", "--bands", BANDS)
    assert result.exit_code == 1
    assert "several files" in result.stderr


def test_times_count_from_the_start_and_rows_keep_the_files_clock(here):
    recording, _ = simulate(notebook_scene())
    begin = 1_605_537_493_718_345
    later = Recording.from_arrays(recording.t_us + begin, recording.x, recording.y, width=50, height=50)
    np.savez("late.npz", t=later.t_us, x=later.x, y=later.y)
    asked = ["--bands", BANDS, "--from", "0.2s", "--to", "400ms", "--every", "10ms"]
    result = ok("detect", "late.npz", *asked, "-o", "t.csv")
    assert "velocell: note: late.npz: sensor size" in result.stderr
    t_us = Tracks.read("t.csv").t_us
    first = later.start_us + 200_000
    assert t_us.size
    assert (t_us % 10_000 == 0).all()
    assert first < t_us.min() < first + 100_000
    assert first + 180_000 < t_us.max() < first + 200_000


def test_a_region_keeps_what_moves_in_it(made, here):
    ok("detect", made / "rec.npz", "--bands", BANDS, "--roi", "0,17,50,15", "-o", "t.csv")
    found = Tracks.read("t.csv")
    assert len(found) > 50
    assert (np.abs(found.y_px - 24.5) < 2).all()


def test_a_network_replaces_the_calibration(made, here):
    result = ok(
        "calibrate", "--bands", "30,300", "--band-names", "any", "--radius", "4.5", "--dt", "500us", "-o", "net.toml"
    )
    assert "net.toml" in result.stderr
    network = Network.from_toml("net.toml")
    assert (network.dt_us, network.radius_px, network.bands.names) == (500, 4.5, ("any",))
    assert network.trail_filter is not None
    assert not network.trail_filter.flips
    assert network.origin["velocell"] == version()
    ok("detect", made / "rec.npz", "--network", "net.toml", "-o", "t.csv")
    found = Tracks.read("t.csv")
    assert set(found.band.tolist()) <= {-1, 0}
    assert len(found)
    assert found.meta["inputs"][0]["network"]["dt_us"] == 500


def test_calibrate_with_a_recording_gives_the_network_that_detect_makes(made, here):
    ok("calibrate", "--bands", BANDS, "--recording", made / "rec.npz", "-o", "net.toml")
    ok("calibrate", "--bands", BANDS, "--contrast", "6", "--polarity", "both", "-o", "fixed.toml")
    network, fixed = Network.from_toml("net.toml"), Network.from_toml("fixed.toml")
    expected = pipeline.detect(read(made / "rec.npz"), (16, 62, 177, 500)).network
    np.testing.assert_array_equal(network.layers[0].neurons.v_th, expected.layers[0].neurons.v_th)
    assert network.origin["settings"]["recording"] == str(made / "rec.npz")
    assert network.trail_filter == expected.trail_filter
    assert fixed.trail_filter is None


def test_a_video_of_a_short_recording_is_slowed_down(made, here):
    import av

    arguments = ["detect", made / "rec.npz", "--bands", BANDS, "--to", "0.1s", "-o", "t.csv", "--fps", "4"]
    ok(*arguments, "--video", "auto.mp4")
    ok(*arguments, "--video", "real.gif", "--slow-motion", "5")
    frames = {}
    for name in ("auto.mp4", "real.gif"):
        with av.open(name) as container:
            frames[name] = sum(1 for _ in container.decode(video=0))
    assert frames == {"auto.mp4": 20, "real.gif": 2}


def test_info_says_what_a_recording_is(here):
    scene = Scene(
        40, 30, 1_000_000, seed=1, noise_hz=0.05, hot_pixels=2, hot_rate_hz=300.0,
        objects=(SceneObject(x_px=10, y_px=15, speed_px_s=50, stop_us=300_000),),
    )  # fmt: skip
    recording, _ = simulate(scene)
    write_npz(recording, "rec.npz")
    told = json.loads(ok("info", "rec.npz", "--json").stdout)
    assert (told["events"], told["width"], told["height"]) == (len(recording), 40, 30)
    assert told["hot_pixels"] == 2
    assert told["start_us"] == 0
    assert told["stop_us"] == 1_000_000
    assert told["on_share"] == pytest.approx(recording.p.mean())
    assert told["mean_rate"] == pytest.approx(len(recording))
    counts = np.bincount(recording.t_us // 10_000)
    assert told["peak_rate"] == pytest.approx(100 * counts.max())
    text = ok("info", "rec.npz").stdout
    assert "NumPy" in text
    assert "40x30" in text
    assert "2 hot" in text


def test_info_tells_gaps_and_how_the_size_was_found(here):
    t = np.array([1_000, 1_500, 250_000, 600_000])
    np.savez("rec.npz", t=t, x=np.array([3, 4, 5, 19]), y=np.array([1, 2, 3, 9]))
    told = json.loads(ok("info", "rec.npz", "--json").stdout)
    assert (told["width"], told["height"]) == (20, 10)
    assert "inferred" in told["size_from"]
    assert (told["gaps"], told["longest_gap_us"], told["longest_gap_at_us"]) == (2, 350_000, 250_000)
    assert told["on_share"] is None
    assert told["peak_rate"] == 200
    assert "inferred" not in json.loads(ok("info", "rec.npz", "--size", "32x32", "--json").stdout)["size_from"]


def test_the_scene_of_a_simulation_goes_with_its_truth(here):
    scene = Scene(60, 40, 50_000, seed=7, objects=(SceneObject(id=4, x_px=20, y_px=20, bounce=True),))
    scene.to_toml("scene.toml")
    ok("simulate", "scene.toml", "-o", "rec.csv", "--truth", "truth.jsonl")
    recording, truth = simulate(scene)
    again = read("rec.csv")
    np.testing.assert_array_equal(again.t_us, recording.t_us)
    np.testing.assert_array_equal(again.p, recording.p)
    table = Tracks.read("truth.jsonl")
    np.testing.assert_allclose(table.x_px, truth.x_px, atol=0.001)
    assert Scene.from_dict(table.meta["scene"]) == scene


def test_where_nothing_moves_the_table_is_empty(here):
    scene = Scene(60, 40, 300_000, seed=3, noise_hz=0.1, flicker=(Flicker(x_px=30, y_px=20, radius_px=9),))
    write_npz(simulate(scene)[0], "rec.npz")
    result = ok(
        "detect", "rec.npz", "--bands", BANDS, "-o", "t.csv", "--spikes", "s.npz", "--video", "v.gif", "--fps", "2"
    )
    assert "no objects" in result.stderr
    assert len(Tracks.read("t.csv")) == 0
    # The case that matters: layer 0 saw the flicker, the final layer did not believe it.
    assert set(Spikes.from_npz("s.npz").layer.tolist()) == {0}


@pytest.mark.skipif(
    not (SHARED / "2404_circle.dat").is_file(), reason="the notebook's recording is not in ../shared/data"
)
def test_the_notebooks_recording(here):
    ok("detect", SHARED / "2404_circle.dat", "--radius", "5", "--bands", BANDS, "-o", "t.csv", "--spikes", "s.npz")
    result = ok("evaluate", "t.csv", SHARED / "2404_circle.truth.csv", "--bands", BANDS, "--spikes", "s.npz", "--json")
    scores = json.loads(result.stdout)
    assert scores["recall"] >= 0.99
    assert scores["precision"] == 1.0
    assert scores["band_accuracy"] == 1.0
    assert scores["localisation_median_px"] <= 0.5
    assert scores["localisation_rms_px"] <= 1.0
    assert scores["speed_error_median"] <= 0.05
    assert scores["id_switches"] == 0
    assert all(purity >= 0.99 for purity in scores["purity"])


# --- bad input -------------------------------------------------------------------------------------


class _Bomb:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch exploded",)


@pytest.fixture
def bad(here, made):
    """A folder with a good recording and everything that is wrong with others."""
    good = (made / "rec.npz").read_bytes()
    (here / "good.npz").write_bytes(good)
    (here / "good.csv").write_text("t_us,id,x_px,y_px\n0,0,1,1\n")
    (here / "empty.npz").touch()
    (here / "noise.bin").write_bytes(bytes(range(1, 32)) * 9)
    (here / "cut.npz").write_bytes(good[: len(good) // 2])
    (here / "bomb.dat").write_bytes(pickle.dumps(_Bomb(), protocol=2))
    with zipfile.ZipFile(here / "bomb_in_zip.dat", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(_Bomb(), protocol=2))
        archive.writestr("archive/version", "3\n")
    n = np.arange(4)
    np.savez(here / "unsorted.npz", t=n[::-1], x=n, y=n)
    np.savez(here / "negative.npz", t=n - 2, x=n, y=n)
    np.savez(here / "outside.npz", t=n, x=n + 8, y=n, width=10, height=10)
    np.savez(here / "none.npz", t=n[:0], x=n[:0], y=n[:0], width=10, height=10)
    (here / "folder.csv").mkdir()
    (here / "scene.toml").write_text("width = 5\n")
    (here / "broken.toml").write_text("width = = 5\n")
    return here


GOOD = ["detect", "good.npz", "--bands", BANDS, "-o", "out.csv"]


def detecting(name):
    return ["detect", name, "--bands", BANDS, "-o", "out.csv"]


BAD_INPUT = [
    (detecting("missing.npz"), "missing.npz: no such file"),
    (["info", "missing.npz"], "missing.npz: no such file"),
    (detecting("empty.npz"), "empty.npz is empty"),
    (detecting("noise.bin"), "unknown format"),
    (detecting("cut.npz"), "cut.npz is a zip archive that is damaged"),
    (detecting("bomb.dat"), "could run code"),
    (detecting("bomb_in_zip.dat"), "bomb_in_zip.dat"),
    ([*detecting("unsorted.npz"), "--strict"], "has 3 steps back in time"),
    (detecting("negative.npz"), "must not be negative"),
    ([*detecting("outside.npz"), "--strict"], "has 2 events outside the sensor (the 10x10 sensor"),
    (detecting("none.npz"), "holds no events"),
    (detecting("."), "is a folder"),
    (["detect", "good.npz", "-o", "out.csv"], "--bands"),
    (["detect", "good.npz", "--bands", "62,16", "-o", "out.csv"], "increasing"),
    (["detect", "good.npz", "--bands", "16", "-o", "out.csv"], "at least two"),
    (["detect", "good.npz", "--bands", "slow,fast", "-o", "out.csv"], "numbers separated by commas"),
    ([*GOOD, "--band-names", "a,b"], "3 bands need as many"),
    ([*GOOD, "--radius", "0"], "radius must be above 0"),
    ([*GOOD, "--radius", "-5"], "radius must be above 0"),
    ([*GOOD, "--radius", "big"], "--radius 'big' must be a number"),
    ([*GOOD, "--radius", "15:3"], "a range of radii runs from a smaller to a larger one above 0 px, got 15:3"),
    ([*GOOD, "--radius", "3:big"], "--radius 'big' must be a number"),
    ([*GOOD, "--radius", "40"], "larger than the 50x50 sensor"),
    ([*GOOD, "--template", "t.png"], "template 't.png' does not exist; check the path"),
    ([*GOOD, "--template", "good.npz"], "template 'good.npz' is not a picture"),
    ([*GOOD, "--template", "good.npz", "--radius", "5"], "--template brings its own size; drop --radius"),
    ([*GOOD, "--dt", "20ms"], "dt = 20000 us"),
    ([*GOOD, "--dt", "1"], "'1' is not a time"),
    ([*GOOD, "--contrast", "0"], "contrast must be 0.001"),
    ([*GOOD, "--contrast", "much"], "must be a number or auto"),
    ([*GOOD, "--every", "0us"], "--every"),
    ([*GOOD, "--size", "big"], "WIDTHxHEIGHT"),
    ([*GOOD, "--size", "5x5"], "outside the 5x5 sensor"),
    ([*GOOD, "--roi", "1,2,3"], "x,y,w,h"),
    ([*GOOD, "--roi", "40,40,20,20"], "outside the 50x50 sensor"),
    ([*GOOD, "--from", "10s"], "after the end of good.npz, which lasts 500ms"),
    ([*GOOD, "--from", "200ms", "--to", "100ms"], "--to must be later"),
    ([*GOOD, "--from", "-1s"], "--from must not be negative"),
    ([*GOOD, "--roi", "0,0,1,1"], "no events in that part"),
    ([*GOOD, "--engine", "magic"], "engine 'magic' is unknown"),
    ([*GOOD, "--network", "net.toml"], "already sets what --bands would set"),
    (["detect", "good.npz", "--network", "missing.toml", "-o", "out.csv"], "missing.toml does not exist"),
    (["detect", "good.npz", "--network", "scene.toml", "-o", "out.csv"], "scene.toml"),
    (["detect", "good.npz", "--bands", BANDS, "-o", "out.txt"], "suffix must be .csv or .jsonl or .parquet"),
    (["detect", "good.npz", "--bands", BANDS, "-o", "no/out.csv"], "no folder no"),
    (["detect", "good.npz", "--bands", BANDS, "-o", "folder.csv"], "it is a folder"),
    ([*GOOD, "--spikes", "s.csv"], "suffix must be .npz"),
    ([*GOOD, "--spikes", "good.npz"], "good.npz is used twice"),
    ([*GOOD, "--video", "v.avi"], "suffix must be .mp4 or .gif"),
    ([*GOOD, "--video", "v.mp4", "--fps", "0"], "frame rate"),
    ([*GOOD, "--spikes", "s.npz", "--video", "v.mp4", "--slow-motion", "0"], "slow motion"),
    (["detect", "good.npz", "good.npz", "--bands", BANDS, "-o", "out.csv", "--spikes", "s.npz"], "for one recording"),
    (["simulate", "missing.toml", "-o", "rec.npz"], "missing.toml: no such file"),
    (["simulate", "broken.toml", "-o", "rec.npz"], "not valid TOML"),
    (["simulate", "scene.toml", "-o", "rec.npz"], "lacks the key"),
    (["simulate", "notebook", "-o", "rec.raw"], "suffix must be .npz or .csv"),
    (["simulate", "notebook", "-o", "rec.csv", "--truth", "rec.csv"], "used twice"),
    (["evaluate", "missing.csv", "good.csv", "--bands", BANDS], "missing.csv does not exist"),
    (["evaluate", "good.csv", "scene.toml", "--bands", BANDS], "suffix must be"),
    (["evaluate", "good.csv", "good.csv", "--bands", "5,4"], "increasing"),
    (["evaluate", "good.csv", "good.csv", "--bands", BANDS, "--spikes", "good.npz"], "not a table of spikes"),
    (["calibrate", "--bands", BANDS, "-o", "net.json"], "suffix must be .toml"),
    (["calibrate", "--bands", "1,1e9", "-o", "net.toml"], "dt below 1 us"),
    (["calibrate", "--bands", BANDS, "--recording", "none.npz", "-o", "net.toml"], "holds no events"),
    (["demo", "--out", "good.npz"], "cannot make the folder good.npz"),
]


@pytest.mark.parametrize(
    ("arguments", "part"), BAD_INPUT, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_bad_input_gives_one_sentence_and_leaves_nothing(bad, arguments, part):
    before = sorted(path.name for path in bad.iterdir())
    result = call(*arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("velocell: error: ")
    assert part.lower() in line.lower()
    assert sorted(path.name for path in bad.iterdir()) == before


def test_a_truncated_tensor_is_refused(here):
    source = SHARED / "2404_circle.dat"
    if not source.is_file():
        pytest.skip("the notebook's recording is not in ../shared/data")
    (here / "cut.dat").write_bytes(source.read_bytes()[:-500])
    result = call(*detecting("cut.dat"))
    assert result.exit_code == 1
    assert "cut.dat" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [[], ["detect", "good.npz"], ["detect", "-o", "t.csv"], ["fly"], ["info"], ["info", "a", "--fast"],
     ["detect", "a", "-o", "b.csv", "--polarity", "blue"], ["evaluate", "a", "b"]],
)  # fmt: skip
def test_wrong_usage_is_exit_code_2(here, arguments):
    assert call(*arguments).exit_code == 2


def test_an_internal_error_asks_for_a_report_and_debug_shows_it(bad, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(pipeline, "findings", broken)
    result = call(*GOOD)
    (line,) = result.stderr.splitlines()
    assert result.exit_code == 1
    assert "ZeroDivisionError: a bug" in line
    assert "report" in line
    shown = call("--debug", *GOOD)
    assert isinstance(shown.exception, ZeroDivisionError)
    assert shown.exit_code == 1
    assert call(*GOOD).stderr == result.stderr


def test_a_file_name_with_a_line_break_stays_on_one_line(here):
    result = call("info", "two\nlines.npz")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1


# --- as a process ----------------------------------------------------------------------------------


def test_version_help_and_completion():
    for arguments, expected in ([["--version"], f"velocell {version()}\n"], [["--help"], "detect"]):
        process = shell(*arguments)
        out, err = process.communicate()
        assert (process.returncode, err) == (0, "")
        assert expected in out
    completing = {**os.environ, "_VELOCELL_COMPLETE": "complete_bash", "COMP_WORDS": "velocell det", "COMP_CWORD": "1"}
    assert shell(env=completing).communicate()[0].split() == ["detect"]


def test_help_loads_nothing_heavy():
    heavy = "matplotlib av scipy torch PIL pyarrow rich.progress velocell._native velocell.pictures.figures.tracks"
    check = f"import sys, velocell.cli.app; print([m for m in {heavy.split()} if m in sys.modules])"
    assert shell(code=check).communicate()[0] == "[]\n"
    # The check can fail.
    assert shell(code=f"import PIL; {check}").communicate()[0] == "['PIL']\n"


ON_STDOUT = {
    "help": ["--help"],
    "version": ["--version"],
    "json": ["info", "{made}/rec.npz", "--json"],
    "rich": ["info", "{made}/rec.npz"],
    "table": ["detect", "{made}/rec.npz", "--bands", BANDS, "-o", "-"],
}


def writing(made, what, buffered, **kwargs):
    environment = {**os.environ, "PYTHONUNBUFFERED": "" if buffered else "1"}
    return shell(*(text.format(made=made) for text in ON_STDOUT[what]), env=environment, **kwargs)


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("what", ["help", "json"])
def test_a_reader_that_stops_early_is_no_error(made, what, buffered):
    process = writing(made, what, buffered)
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate()
    assert (process.returncode, err) == (1, "")


@pytest.mark.parametrize(
    ("what", "buffered"), [("version", True), ("version", False), ("rich", True), ("rich", False), ("table", True)]
)
def test_a_full_disk_behind_stdout_is_told_once(made, what, buffered):
    with Path("/dev/full").open("w") as full:
        process = writing(made, what, buffered, stdout=full)
        _, err = process.communicate()
    (line,) = [line for line in err.splitlines() if "rec.npz: 3 objects" not in line]
    assert process.returncode == 1
    assert line.startswith("velocell: error: no space left")


SIMULATE = ["simulate", "notebook", "-o", "rec.npz"]
DETECT = ["detect", "{made}/rec.npz", "--bands", BANDS, "-o", "t.csv"]


@pytest.mark.parametrize(
    "arguments",
    [SIMULATE, [*SIMULATE, "--truth", "truth.csv"], [*DETECT, "--video", "v.mp4", "--fps", "4"]],
    ids=["recording", "table", "video"],
)
def test_a_full_disk_leaves_nothing_half_written(made, here, arguments):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))

    process = shell(*(text.format(made=made) for text in arguments), preexec_fn=limit)
    _, err = process.communicate()
    last = err.splitlines()[-1]
    assert process.returncode == 1
    assert "Traceback" not in err
    assert last.startswith("velocell: error: cannot write ")
    assert "too large" in last
    assert list(here.iterdir()) == []


# Stops in the middle of writing the table, and says so.
STUCK = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from velocell.data import tables
def stuck(handle, parts):
    handle.write("t_us,id\\n")
    handle.flush()
    print("ready", file=sys.stderr, flush=True)
    time.sleep(60)
tables.write_csv = stuck
from velocell.cli import main
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_is_130_and_leaves_nothing(here, number):
    process = shell(*SIMULATE, "--truth", "truth.csv", code=STUCK)
    assert process.stderr.readline() == "ready\n"
    assert {".csv"} <= {path.suffix for path in here.iterdir()}  # its parts, and its side file's
    process.send_signal(number)
    assert process.communicate()[1] == ""
    assert process.returncode == 130
    assert list(here.iterdir()) == []


def test_progress_goes_to_a_terminal_only(made, here):
    arguments = ["detect", made / "rec.npz", "--bands", BANDS, "-o", "t.csv"]
    leader, follower = pty.openpty()
    process = shell(*arguments, stderr=follower, env={**os.environ, "TERM": "xterm", "COLUMNS": "100"})
    os.close(follower)
    shown = b""
    try:
        while piece := os.read(leader, 65_536):
            shown += piece
    except OSError:
        pass  # the other end is closed: Linux says so with an error
    os.close(leader)
    out, _ = process.communicate()
    assert process.returncode == 0
    assert out == ""
    assert b"calibrating" in shown
    assert b"100 %" in shown
