"""`velocell view` with the options of detect and live: the command that is shown makes the very table that is saved."""

from __future__ import annotations

import json
import shlex
from dataclasses import fields

import numpy as np
import pytest
from PIL import Image, ImageDraw
from typer.testing import CliRunner
from viewer_tools import Feed, demo_recording, looking, opened, ready, served, until

from velocell.cli import options as o
from velocell.cli import view
from velocell.cli.app import app
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks
from velocell.demo import BANDS
from velocell.errors import EngineError, OptionError, RecordingError, VelocellError
from velocell.filters.chain import Cleaning
from velocell.filters.lens import Camera
from velocell.formats import read, write_npz
from velocell.results.counting import Line
from velocell.simulate import Flicker, Scene, random_scene, simulate
from velocell.viewer import measuring, opening
from velocell.viewer.following import STREAM
from velocell.viewer.opening import open_source
from velocell.viewer.session import Session
from velocell.viewer.stream import Stream


@pytest.fixture(scope="module")
def noisy():
    """The demo with noise, a hot pixel, and an offset of its clock."""
    demo, rng = demo_recording(), np.random.default_rng(4)
    n = 3000
    t = np.concatenate([demo.t_us, rng.integers(0, 500_000, n), np.arange(0, 500_000, 700)])
    hot = t.size - len(demo) - n
    x = np.concatenate([demo.x, rng.integers(0, 50, n), np.full(hot, 7)])
    y = np.concatenate([demo.y, rng.integers(0, 50, n), np.full(hot, 3)])
    p = np.concatenate([demo.p, rng.random(n) < 0.5, np.ones(hot, bool)])
    order = np.argsort(t, kind="stable")
    return Recording.from_arrays(
        t[order] + 40_000, x[order], y[order], p[order], width=50, height=50, start_us=40_000, stop_us=540_000
    )


@pytest.fixture
def folder(tmp_path, monkeypatch, noisy):
    """Where the commands run: a recording, and files for their options."""
    monkeypatch.chdir(tmp_path)
    write_npz(noisy, tmp_path / "r.npz")
    (tmp_path / "ignore.csv").write_text("x,y\n8,3\n9,9\n")
    (tmp_path / "plane.json").write_text(json.dumps([[0.21, 0.01, 0], [0, 0.2, 3], [0.001, 0, 1]]))
    lens = {"camera_matrix": [[60, 0, 24.5], [0, 60, 24.5], [0, 0, 1]], "dist_coeffs": [-0.1, 0.02, 0, 0]}
    (tmp_path / "lens.json").write_text(json.dumps(lens))
    picture = Image.new("L", (15, 15), 255)
    ImageDraw.Draw(picture).ellipse((2, 2, 12, 12), fill=0)
    picture.save(tmp_path / "round.png")
    return tmp_path


def session_of(*words):
    """A session as the command opens it."""
    groups = {kind: {} for kind in (o.LookFor, o.Part, o.Clean, o.Measures)}
    names = {"from": "start", "to": "stop"}
    parts = iter(words)
    for word in parts:
        name = word.removeprefix("--").replace("-", "_")
        name = names.get(name, name)
        kind = next(kind for kind in groups if name.removeprefix("no_") in kind.__dataclass_fields__)
        if name == "no_mask_hot":
            groups[kind]["mask_hot"] = False
            continue
        value = next(parts)
        if name in ("roi", "count_line", "template", "rule"):
            groups[kind].setdefault(name, []).append(value)
        else:
            groups[kind][name] = float(value) if name in ("px_per_mm", "budget") else value
    made = [kind(**values) for kind, values in groups.items()]
    return view._opening("r.npz", view._settings(*made), made[1])(lambda: None)


def ran(session):
    """The table that the command on show writes, and the counts beside it."""
    words = shlex.split(session.state()["command"])
    assert words[0] == "velocell"
    result = CliRunner().invoke(app, words[1:])
    assert result.exit_code == 0, result.stderr
    return words


def settled(session):
    """Once contrast and radius are measured for the settings that hold, and all is analysed with that."""
    ready(session)
    if measuring.measurable(session.settings):
        until(lambda: session._analysis.measured.key == measuring.key_of(session.settings), "the measurement")
    return ready(session)


GIVEN = ["--bands", "16,62,177,500"]
CASES = {
    "as it comes": [*GIVEN],
    "names and radius": [*GIVEN, "--band-names", "a,b b,c", "--radius", "5.3"],
    "contrast and tick": [*GIVEN, "--contrast", "3.25", "--dt", "500us"],
    "polarity": [*GIVEN, "--polarity", "drop"],
    "on": [*GIVEN, "--polarity", "on"],
    "interval and rule": [*GIVEN, "--every", "7ms", "--rule", "coast_px=5.5"],
    "keep": [*GIVEN, "--keep", "3s"],
    "denoise": [*GIVEN, "--denoise", "4ms", "--no-mask-hot"],
    "all filters": [
        *GIVEN,
        "--flicker",
        "120Hz",
        "--denoise",
        "8ms",
        "--refractory",
        "500us",
        "--ignore",
        "ignore.csv",
    ],
    "lens": [*GIVEN, "--camera", "lens.json"],
    "one region": [*GIVEN, "--roi", "0,20,50,30"],
    "regions": [*GIVEN, "--roi", "0,30,50,20", "--roi", "0,0,50,20"],
    "part": [*GIVEN, "--from", "100ms", "--to", "400ms", "--size", "52x51"],
    "budget": [*GIVEN, "--budget", "2"],
    "unit": [*GIVEN, "--time-unit", "us"],
    "scale": [*GIVEN, "--px-per-mm", "3.7"],
    "plane": [*GIVEN, "--homography", "plane.json"],
    "lines": [*GIVEN, "--count-line", "25.5,0,25.5,49", "--count-line", "0,20,49,20"],
    "range": [*GIVEN, "--radius", "4:6.5"],
    "template": [*GIVEN, "--template", "round.png", "--px-per-mm", "2"],
    "reference": [*GIVEN, "--engine", "reference", "--to", "120ms"],
}


def test_no_option_is_left_out():
    """A new option needs its words in viewer/command.py, and a case above."""
    names = {field.name for kind in (o.LookFor, o.Part, o.Clean, o.Measures) for field in fields(kind)}
    given = {word.removeprefix("--").removeprefix("no-").replace("-", "_") for case in CASES.values() for word in case}
    # start and stop are --from and --to; a recipe is a file of its own.
    assert names - given == {"network", "recipe", "frame_time", "start", "stop"}


@pytest.mark.parametrize("name", CASES)
def test_the_command_on_show_makes_the_table_byte_for_byte(folder, name):
    session = session_of(*CASES[name])
    try:
        settled(session)
        words = ran(session)
        saved = session.save("table", "csv")
        assert saved == (folder / "tracks.csv").read_bytes()
        assert len(saved.splitlines()) > (4 if name == "on" else 20)
        given = CASES[name]
        for word in (word for word in given if word.startswith("--")):
            assert words.count(word) == given.count(word)
        if "--count-line" in given:
            assert session.save("counts", "csv") == (folder / "tracks.csv.counts.csv").read_bytes()
        ours = json.loads(session.save("table", "meta.json"))
        theirs = json.loads((folder / "tracks.csv.meta.json").read_text())
        both = ours["settings"].keys() & theirs["settings"].keys()
        assert both >= {"contrast", "dt_us", "every_us", "polarity", "roi", "denoise_us", "count_lines", "homography"}
        assert {n: ours["settings"][n] for n in both} == {n: theirs["settings"][n] for n in both}
        assert (ours["inputs"], ours["velocell"]) == (theirs["inputs"], theirs["velocell"])
    finally:
        session.close()


def test_what_is_tuned_on_the_page_goes_into_the_command(folder):
    session = session_of(*GIVEN, "--roi", "0,20,50,30", "--roi", "0,0,50,15", "--denoise", "6ms")
    try:
        settled(session)
        session.tuning.tune(edges=[16.123456789, 60, 500], radius=5.2, region=[5, 5, 40, 30])
        settled(session)
        words = ran(session)
        assert [words[k + 1] for k, word in enumerate(words) if word == "--roi"] == ["5,20,40,15", "5,5,40,10"]
        assert session.save("table", "csv") == (folder / "tracks.csv").read_bytes()
        with pytest.raises(OptionError, match="region 0,16,9,3 lies outside those given with --roi"):
            session.tuning.tune(region=[0, 16, 9, 3])
        # What the options cannot say goes through a file.
        session.tuning.tune(region=None, veto=-5.0, threshold=1.1)
        settled(session)
        (folder / "net.toml").write_bytes(session.save("network", "toml"))
        assert "--network net.toml" in " ".join(ran(session))
        assert session.save("table", "csv") == (folder / "tracks.csv").read_bytes()
    finally:
        session.close()


def test_the_picture_and_the_network_see_cleaned_events(folder, noisy):
    session = session_of(*GIVEN, "--denoise", "2ms")
    try:
        window = session.source.window(100_000, 200_000)
        assert 0 < len(window) < len(noisy.between(100_000, 200_000))
        assert not ((window.x == 7) & (window.y == 3)).any()
        assert any("background-activity filter of 2ms" in note for note in session.facts()["notes"])
        settled(session)
        assert session._analysis.whole.events == session.source.events
    finally:
        session.close()


# --- windows of a large file --------------------------------------------------------------------------

FILTERS = Cleaning(
    ignore=np.array([[9, 9]]), flicker=400.0, refractory_us=900, denoise_us=3_000, regions=((0, 10, 50, 40),),
    camera=Camera.of([[60.0, 0, 24.5], [0, 60, 24.5], [0, 0, 1]], [-0.1, 0.02, 0, 0]),
)  # fmt: skip


@pytest.mark.parametrize("part_us", [(0, None), (60_000, 410_000)])
def test_a_window_of_a_large_file_is_the_cleaned_whole_cut(folder, monkeypatch, part_us):
    whole = open_source("r.npz", cleaning=FILTERS, part_us=part_us)
    monkeypatch.setattr(opening, "WINDOWED_BYTES", 10)
    large = open_source("r.npz", cleaning=FILTERS, part_us=part_us)
    assert (large.start_us, large.stop_us) == (whole.start_us, whole.stop_us)
    assert whole.start_us == 40_000 + part_us[0]
    for start, stop in ((0, 1 << 40), (200_000, 240_000), (203_017, 203_900), (whole.start_us, whole.start_us + 900)):
        found, expected = large.window(start, stop), whole.window(start, stop)
        assert (found.start_us, found.stop_us) == (expected.start_us, expected.stop_us)
        for name in ("t_us", "x", "y", "p"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert len(whole.window(200_000, 240_000)) > 100
    assert any(", by the first " in note for note in large.notes)


def test_a_part_that_is_not_there_is_refused(folder, monkeypatch):
    for least in (1 << 40, 10):
        monkeypatch.setattr(opening, "WINDOWED_BYTES", least)
        with pytest.raises(RecordingError, match=r"--from 2s lies after the end of r\.npz, which lasts 500ms"):
            open_source("r.npz", part_us=(2_000_000, None))


def test_filters_that_leave_nothing_are_told(folder):
    with pytest.raises(RecordingError, match=r"the filters leave no events of r\.npz"):
        open_source("r.npz", cleaning=Cleaning(refractory_us=10_000_000, denoise_us=1))


# --- ranges and templates -------------------------------------------------------------------------------


def test_a_range_is_left_by_its_slider_and_come_back_to(folder):
    session = session_of(*GIVEN, "--radius", "4:6.5")
    try:
        state = settled(session).state()
        assert state["shape"] == "4 to 6.5 px"
        assert state["settings"]["radius"] == pytest.approx(26**0.5)
        assert len(state["network"]["radii_px"]) == 4
        assert "veto" in state["fixed"]
        with pytest.raises(
            OptionError, match="threshold can only be tuned for disks of one radius; move the radius first"
        ):
            session.tuning.tune(threshold=1.2)
        with pytest.raises(OptionError, match=r"a file holds one network .* the search is for 4 to 6\.5 px"):
            session.save("network", "toml")
        with pytest.raises(OptionError, match="membranes are shown of one network"):
            session.shown.show(membrane=0)
        session.tuning.tune(edges=[16, 62, 177, 600], contrast=3.0)
        assert session.settings.shape == "4 to 6.5 px"
        session.tuning.tune(radius=5)
        state = settled(session).state()
        assert (state["shape"], state["fixed"], state["settings"]["radius"]) == (None, [], 5)
        assert "--radius 5 " in state["command"]
        session.tuning.tune(threshold=1.2)
        session.tuning.reset()
        assert settled(session).state()["shape"] == "4 to 6.5 px"
    finally:
        session.close()


def test_disks_of_all_sizes_are_found_with_their_radii():
    scene = random_scene(6, width=200, height=160, radius=(4, 8), speeds=(60, 900), duration_us=400_000, seed=3)
    recording, truth = simulate(scene)
    with opened(recording, looking(BANDS.__class__((40.0, 160.0, 1000.0)), (3.5, 9.0))) as session:
        found = ready(session).results()["objects"]
        radii = sorted(item["radius"] for item in found if item["rows"] > 20)
        expected = sorted({int(i): float(r) for i, r in zip(truth.id, truth.radius_px, strict=True)}.values())
        assert radii == pytest.approx(expected, rel=0.12)


def test_a_template_is_named_and_has_no_curves(folder):
    session = session_of(*GIVEN, "--template", "round.png")
    try:
        assert settled(session).state()["shape"] == "round"
        assert session.curves() == {}
        with pytest.raises(OptionError, match="measured with disks"):
            session.handle({"do": "measure_curves"})
        (folder / "saved.jsonl").write_bytes(session.save("table", "jsonl"))
        assert set(Tracks.read(folder / "saved.jsonl").extra["name"]) == {"round"}
        session.tuning.tune(radius=5.5)
        settled(session)
        assert session.curves()["drive"]
        assert "--template" not in session.state()["command"]
    finally:
        session.close()


# --- millimetres and lines ------------------------------------------------------------------------------


def test_objects_have_millimetres_beside_pixels(folder):
    session = session_of(*GIVEN, "--px-per-mm", "4")
    try:
        settled(session)
        assert session.state()["mm"]
        found = session.results()["objects"]
        assert len(found) >= 3
        for item in found:
            assert item["speed_mm"] == pytest.approx(item["speed"] / 4, abs=0.03)
    finally:
        session.close()
    with opened() as plain:
        assert "speed_mm" not in ready(plain).results()["objects"][0]
        assert not plain.state()["mm"]


def test_lines_are_told_and_counted(folder):
    session = session_of(*GIVEN, "--count-line", "25.5,0,25.5,49")
    try:
        settled(session)
        assert session.facts()["lines"] == [[25.5, 0, 25.5, 49]]
        counts = session.state()["counts"]
        assert {row["direction"] for row in counts} == {"to_right", "to_left"}
        assert sum(row["crossings"] for row in counts) >= 2
        session.tuning.tune(edges=[16, 500])
        assert {row["name"] for row in settled(session).state()["counts"]} == {
            session.settings.bands.names[0],
            "outside",
        }
    finally:
        session.close()
    with opened() as plain:
        ready(plain)
        assert plain.state()["counts"] == []
        with pytest.raises(OptionError, match="start velocell view with --count-line"):
            plain.save("counts", "csv")


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"lines": (Line(90, 0, 90, 40),)}, "counting line 90,0,90,40 lies outside the 50x50 sensor"),
        ({"region": (0, 0, 60, 9)}, "region 0,0,60,9 reaches outside the 50x50 sensor"),
        ({"regions": ((0, 0, 9, 9), (45, 0, 9, 9))}, "region 45,0,9,9 reaches outside"),
    ],
)
def test_what_lies_outside_the_sensor_is_refused_at_once(settings, text):
    with pytest.raises(VelocellError, match=text), opened(settings=looking(**settings)):
        pass


# --- engines --------------------------------------------------------------------------------------------


def test_an_engine_is_named_and_one_that_cannot_run_says_so(monkeypatch):
    tiny = demo_recording().between(0, 40_000)
    with opened(tiny, looking(engine="reference", contrast=3.0)) as session:
        state = ready(session).state()
        assert state["settings"]["engine"] == "reference"
        assert state["command"].endswith("--engine reference -o tracks.csv")

    def refuses(network, size, **how):
        raise EngineError("the reference engine cannot run this network; use native")

    monkeypatch.setattr("velocell.engines.reference.init", refuses)
    with opened(tiny, looking(engine="reference", contrast=3.0)) as session:
        assert "cannot run this network; use native" in until(lambda: session.state()["error"], "the sentence")


# --- streams --------------------------------------------------------------------------------------------


def given(recording, cleaning, settings=None):
    feed = Feed()
    feed.give(recording, 1_300)
    feed.end()
    return Session(Stream(feed, cleaning), settings or looking(contrast=3.0), kind=STREAM)


def test_a_stream_is_cleaned_as_a_file_is(noisy):
    cleaning = Cleaning(ignore=np.array([[9, 9]]), mask_hot=False, refractory_us=900, denoise_us=3_000)
    session = given(noisy, cleaning)
    try:
        until(lambda: not session.source.growing, "the end")
        held, expected = session.source.window(0, 1 << 40), cleaning.apply(noisy)
        for name in ("t_us", "x", "y", "p"):
            np.testing.assert_array_equal(getattr(held, name), getattr(expected, name))
        assert 0 < len(expected) < len(noisy)
    finally:
        session.close()


def test_lamps_of_a_stream_are_filtered_and_noted():
    lamp = Flicker(25, 25, 8, shape="square", contrast=2.0, frequency_hz=100.0)
    recording, _ = simulate(Scene(50, 50, 1_600_000, seed=3, noise_hz=0.5, flicker=(lamp,)))
    cleaning = Cleaning(mask_hot=False)
    session = given(recording, cleaning)
    try:
        until(lambda: not session.source.growing, "the end")
        held, expected = session.source.window(0, 1 << 40), cleaning.stream(recording.size)(recording)
        np.testing.assert_array_equal(held.t_us, expected.t_us)
        assert len(held) < 0.8 * len(recording)
        (note,) = (note for note in session.source.notes if "flicker" in note)
        assert note == f"flicker of 100.0 Hz filtered, {len(recording) - len(held)} events"
    finally:
        session.close()


def test_hot_pixels_of_a_stream_are_looked_for_before_other_filters(noisy):
    feed = Feed()
    settings = looking(contrast=3.0, denoise_us=1)
    session = Session(Stream(feed, settings.cleaning), settings, kind=STREAM)
    try:
        for k in range(4):
            moved = noisy.t_us + 500_000 * k
            feed.give(Recording.from_arrays(moved, noisy.x, noisy.y, noisy.p, width=50, height=50))
        until(lambda: len(session.source.hot), "the hot pixel")
        assert session.source.hot.tolist() == [[7, 3]]
    finally:
        session.close()


def test_lines_and_millimetres_of_a_stream(noisy):
    lines = (Line(25.5, 0, 25.5, 49),)
    settings = looking(contrast=3.0, lines=lines)
    session = given(noisy, Cleaning(mask_hot=False), settings)
    try:
        until(lambda: (session.state()["analysed"] or {}).get("complete"), "the end")
        assert sum(row["crossings"] for row in session.state()["counts"]) >= 2
        assert "--count-line 25.5,0,25.5,49" in session.state()["command"]
        assert session.save("counts", "csv").startswith(b"line,x0,y0,x1,y1,direction,band,name,crossings")
    finally:
        session.close()


def call(*arguments):
    return CliRunner().invoke(app, ["view", *map(str, arguments), "--no-browser"])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ("udp://127.0.0.1:3333", "--size", "50x50", "--from", "1s"),
            "--from and --to choose a part of a recording, but udp:",
        ),
        (("udp://127.0.0.1:3333", "--size", "50x50", "--to", "1s"), "is a stream; drop them"),
        (("demo", "--from", "2s"), "--from 2s lies after the end of the demo, which lasts 500ms"),
        (("demo", "--from", "3ms", "--to", "2ms"), "--to must be later"),
        (("demo", "--count-line", "1,2,3"), "--count-line '1,2,3' must be x0,y0,x1,y1"),
        (("demo", "--count-line", "90,0,90,9"), "lies outside the 50x50 sensor"),
        (("demo", "--px-per-mm", "0"), "--px-per-mm must be a number above 0"),
        (("demo", "--denoise", "2"), "'2' is not a time"),
        (("demo", "--denoise", "0us"), "must be at least 1 us"),
        (("demo", "--roi", "0,0,60,10"), "reaches outside the 50x50 sensor"),
        (("demo", "--engine", "abacus"), "engine 'abacus' is unknown"),
        (("demo", "--template", "none.png"), "template 'none.png' does not exist"),
        (("demo", "--radius", "9:3"), "from a smaller to a larger one"),
        (("demo", "--camera", "x.yml"), "cannot read x.yml"),
    ],
)
def test_what_cannot_be_is_told_in_the_terminal(arguments, text):
    result = call(*arguments)
    assert result.exit_code == 1
    assert text in result.stderr
    assert result.stderr.count("\n") == 1


def test_two_templates_are_refused(folder):
    result = call("r.npz", "--template", "round.png", "--template", "round.png")
    assert "give one --template, or run view once for each" in result.stderr


def test_a_replay_is_cut_and_its_command_says_so(folder):
    part = o.Part(start="100ms", stop="300ms")
    settings = view._settings(o.LookFor(bands="16,62,177,500", contrast="3"), part, o.Clean(), o.Measures())
    session = view._opening("replay:r.npz", settings, part, folder / "kept.raw")(lambda: None)
    try:
        until(lambda: not session.source.growing, "the end")
        assert (session.source.first_us, session.source.stop_us) == (140_000, 340_000)
        assert session.state()["command"] == (
            "velocell live replay:r.npz --from 100ms --to 300ms --bands 16,62,177,500 --radius 5 --contrast 3 "
            "-o tracks.jsonl"
        )
    finally:
        session.close()
    kept, whole = read("kept.raw"), read("r.npz")
    np.testing.assert_array_equal(kept.t_us, whole.between(140_000, 340_000).t_us)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("r.npz", "--record", "kept.raw"), "--record keeps a stream, and r.npz is a recording already"),
        (("replay:r.npz", "--record", "kept.npz"), "the suffix must be .raw"),
        (("replay:r.npz", "--record", "gone/kept.raw"), "there is no folder gone"),
    ],
)
def test_a_stream_that_cannot_be_recorded_is_refused(folder, words, told):
    result = call(*words)
    assert result.exit_code == 1
    assert told in result.stderr
    assert not (folder / "kept.raw").exists()


def test_the_live_command_on_show_runs_and_finds_the_rows(folder):
    """The rows of `live` on the same replay, with filters, a region and lines."""
    words = ["--contrast", "3", "--denoise", "5ms", "--roi", "0,20,50,30", "--no-mask-hot"]
    part = o.Part()
    settings = view._settings(
        o.LookFor(bands="16,62,177,500", contrast="3"), part,
        o.Clean(denoise="5ms", roi=["0,20,50,30"], mask_hot=False), o.Measures(),
    )  # fmt: skip
    session = view._opening("replay:r.npz", settings, part)(lambda: None)
    try:
        until(lambda: (session.state()["analysed"] or {}).get("complete"), "the end")
        command = ran(session)
        assert all(word in command for word in words)
        ours, theirs = session._analysis.whole.tracks(), Tracks.read(folder / "tracks.jsonl")
        np.testing.assert_array_equal(ours.t_us, theirs.t_us)
        np.testing.assert_allclose(ours.x_px, theirs.x_px, atol=0.0006)
    finally:
        session.close()


def test_the_pages_of_a_cleaned_session_are_served(folder):
    with served(opener=lambda: open_source("r.npz", cleaning=Cleaning(denoise_us=3_000))) as server:
        until(lambda: server.stage.session, "the session")
        assert ready(server.stage.session).results()["objects"]
