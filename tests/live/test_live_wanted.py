"""What `velocell live` looks for and what it leaves out, as `detect` does: shapes, several radii, hot pixels."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from velocell.calibration import learning
from velocell.cli.app import app
from velocell.data.recording import Recording
from velocell.data.tables import COLUMNS
from velocell.data.tracks import Tracks
from velocell.formats import write_npz
from velocell.live import loop
from velocell.simulate import Occluder, Scene, SceneObject, simulate

BANDS = ["--bands", "60,240,960"]
HOT = (70, 50)


def call(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.stderr
    return result


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A square in 200 ms, and its picture."""
    folder = tmp_path_factory.mktemp("wanted")
    item = SceneObject(id=0, x_px=12, y_px=20, speed_px_s=300, shape="square")
    write_npz(simulate(Scene(90, 80, 200_000, seed=1, noise_hz=0.2, objects=(item,)))[0], folder / "rec.npz")
    np.save(folder / "square.npy", np.pad(np.ones((10, 10)), 3))
    return folder


@pytest.mark.parametrize("wanted", [["--template", "square.npy"], ["--radius", "4:7"]])
def test_shapes_and_ranges_give_the_rows_of_detect(short, tmp_path, monkeypatch, wanted):
    monkeypatch.chdir(short)
    live, detect = tmp_path / "live.jsonl", tmp_path / "detect.jsonl"
    call("live", "replay:rec.npz", *BANDS, *wanted, "--contrast", "1", "--speed", "max", "-o", live)
    call("detect", "rec.npz", *BANDS, *wanted, "--contrast", "1", "-o", detect)
    found, expected = Tracks.read(live), Tracks.read(detect)
    assert len(expected) > 10
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)
    assert found.meta["settings"]["template"] == ("square" if wanted[0] == "--template" else None)
    assert len(found.meta.get("radii_px", [])) == (0 if wanted[0] == "--template" else 4)


def test_one_shape_at_a_time(short):
    square = ["--template", str(short / "square.npy")]
    result = CliRunner().invoke(app, ["live", f"replay:{short / 'rec.npz'}", *BANDS, *square, *square])
    assert result.exit_code == 1
    assert "live looks for one shape at a time; give one --template" in result.stderr


@pytest.fixture(scope="module")
def hot(tmp_path_factory):
    """1.6 s with a disk, and one pixel that never rests; where it lies nothing else happens."""
    folder = tmp_path_factory.mktemp("hot")
    item = SceneObject(id=0, x_px=15, y_px=25, speed_px_s=200, bounce=True)
    scene = simulate(Scene(80, 60, 1_600_000, seed=2, noise_hz=0.2, objects=(item,)))[0]
    t = np.concatenate([scene.t_us, np.arange(0, 1_600_000, 1_300)])
    x, y, p = (
        np.append(values, np.full(t.size - len(scene), value))
        for values, value in ((scene.x, HOT[0]), (scene.y, HOT[1]), (scene.p, 1))
    )
    order = np.argsort(t, kind="stable")
    recording = Recording.from_arrays(t[order], x[order], y[order], p[order], width=80, height=60)
    write_npz(recording, folder / "rec.npz")
    return folder, recording


@pytest.mark.parametrize("contrast", ["auto", "1"])
def test_hot_pixels_are_masked_once_they_are_known(hot, tmp_path, monkeypatch, contrast):
    folder, recording = hot
    measured, calibrate = [], loop.networks_for

    def networks_for(probe, *arguments, **more):
        measured.append(probe)
        return calibrate(probe, *arguments, **more)

    monkeypatch.setattr(loop, "networks_for", networks_for)
    monkeypatch.setattr(loop, "Replay", Recording)  # of a stream nothing is known ahead
    out, options = tmp_path / "out.jsonl", [*BANDS, "--contrast", contrast, "--speed", "max"]
    told = call("live", f"replay:{folder / 'rec.npz'}", *options, "-o", out).stderr
    since_us = int(re.search(r"from (\d+) us on 1 hot pixels are masked", told)[1])
    assert 1_000_000 <= since_us <= 1_100_000
    at = (recording.x == HOT[0]) & (recording.y == HOT[1]) & (recording.t_us >= since_us)
    assert f"; 1 hot pixels masked, {np.count_nonzero(at)} events;" in told
    # What is measured is measured without them.
    probes = [probe for probe in measured if len(probe)]
    assert len(probes) == (contrast == "auto")
    assert not any(((probe.x == HOT[0]) & (probe.y == HOT[1])).any() for probe in probes)
    assert Tracks.read(out).meta["settings"]["mask_hot"] is True
    assert Tracks.read(out).t_us.max() > 1_500_000


@pytest.mark.parametrize("more", [[], ["--radius", "5"], ["--polarity", "on"], ["--no-mask-hot"]])
def test_a_replay_gives_the_rows_of_detect(hot, tmp_path, more):
    folder, _ = hot
    live, detect = tmp_path / "live.jsonl", tmp_path / "detect.jsonl"
    told = call("live", f"replay:{folder / 'rec.npz'}", *BANDS, *more, "--speed", "max", "-o", live).stderr
    call("detect", folder / "rec.npz", *BANDS, *more, "-o", detect)
    found, expected = Tracks.read(live), Tracks.read(detect)
    assert len(expected) > (1 if "on" in more else 100)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)
    assert ("1 hot pixels masked" in told) == ("--no-mask-hot" not in more)
    assert found.meta["settings"]["contrast"] == "measured on the first second"


@pytest.fixture(scope="module")
def late(tmp_path_factory):
    """A disk that appears after 2.3 s of noise; from 4.5 s on hardly half of its edge crossings are seen."""
    path = tmp_path_factory.mktemp("late") / "rec.npz"
    item = SceneObject(id=0, x_px=15, y_px=25, speed_px_s=200, bounce=True, start_us=2_300_000, contrast=4)
    bright = simulate(Scene(80, 60, 7_000_000, seed=3, noise_hz=0.5, objects=(item,)))[0]
    faint = Scene(80, 60, 7_000_000, seed=4, event_loss=0.45, objects=(replace(item, contrast=1.0),))
    parts = bright.between(stop_us=4_500_000), simulate(faint)[0].between(4_500_000)
    columns = [np.concatenate([getattr(part, name) for part in parts]) for name in ("t_us", "x", "y", "p")]
    write_npz(Recording.from_arrays(*columns, width=80, height=60, start_us=0, stop_us=7_000_000), path)
    return path


def test_a_late_start_and_fading_light_give_the_rows_of_detect(late, tmp_path, monkeypatch):
    monkeypatch.setattr(learning, "RENEW_US", 1_000_000)
    monkeypatch.setattr(learning, "PER_LOOK", 0)
    live, detect = tmp_path / "live.jsonl", tmp_path / "detect.jsonl"
    told = call("live", f"replay:{late}", *BANDS, "--speed", "max", "-o", live).stderr
    call("detect", late, *BANDS, "-o", detect)
    found, expected = Tracks.read(live), Tracks.read(detect)
    assert len(expected) > 500
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)
    assert "the scene has changed: from " in told


def test_a_stream_is_measured_once_something_is_in_it(late, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "Replay", Recording)  # of a stream nothing is known ahead
    out = tmp_path / "out.jsonl"
    told = call("live", f"replay:{late}", *BANDS, "--speed", "max", "-o", out).stderr
    assert "warning: nothing that is clearly a disk of R = " in told
    at_us = int(re.search(r"contrast could be measured: from (\d+) us on", told)[1])
    assert 3_300_000 < at_us <= 4_500_000
    assert len(Tracks.read(out))


def test_hot_pixels_stay_where_that_is_asked_for(hot, tmp_path):
    folder, _ = hot
    out, options = tmp_path / "out.jsonl", [*BANDS, "--contrast", "1", "--speed", "max", "--no-mask-hot"]
    told = call("live", f"replay:{folder / 'rec.npz'}", *options, "-o", out).stderr
    assert "hot pixels" not in told
    assert Tracks.read(out).meta["settings"]["mask_hot"] is False


CLEANED = ["--denoise", "20ms", "--refractory", "1ms", "--roi", "5,5,70,50", "--from", "100ms", "--to", "900ms"]
MEASURED = ["--px-per-mm", "4", "--count-line", "40,0,40,59", "--count-line", "0,30,79,30"]


def test_cleaning_units_and_lines_give_what_detect_gives(hot, tmp_path):
    folder, _ = hot
    (tmp_path / "bad.csv").write_text("x,y\n20,25\n")
    live, detect = tmp_path / "live.jsonl", tmp_path / "detect.jsonl"
    options = [*BANDS, *CLEANED, *MEASURED, "--ignore", tmp_path / "bad.csv", "--rule", "coast_px=6"]
    call("live", f"replay:{folder / 'rec.npz'}", *options, "--speed", "max", "-o", live)
    call("detect", folder / "rec.npz", *options, "-o", detect)
    found, expected = Tracks.read(live), Tracks.read(detect)
    assert len(expected) > 50
    for name, values in expected.columns().items():
        np.testing.assert_array_equal(found.columns()[name], values, name)
    assert {"x_mm", "y_mm", "speed_mm_s"} <= set(found.extra)
    counted = (tmp_path / "live.jsonl.counts.csv").read_text()
    assert counted == (tmp_path / "detect.jsonl.counts.csv").read_text()
    assert sum(int(line.rsplit(",", 1)[1]) for line in counted.splitlines()[1:]) >= 2
    told = found.meta["settings"]
    assert (told["denoise_us"], told["refractory_us"], told["ignored_pixels"]) == (20_000, 1_000, 1)
    assert told["count_lines"] == ["40,0,40,59", "0,30,79,30"]
    assert told["rules"] == {"coast_px": 6.0}


def test_who_is_hidden_for_longer_than_a_second_crosses_a_line_once(tmp_path):
    slow = SceneObject(x_px=20, y_px=25, radius_px=5, speed_px_s=45, contrast=3.0)
    post = Occluder(60, -1, 120, 51)
    recording, _ = simulate(Scene(160, 50, 2_900_000, seed=4, noise_hz=0.1, objects=(slow,), occluders=(post,)))
    write_npz(recording, tmp_path / "rec.npz")
    lines = [word for x in (50, 62, 90, 119, 128) for word in ("--count-line", f"{x},0,{x},49")]
    options = [f"replay:{tmp_path / 'rec.npz'}", "--bands", "20,80,320", "--radius", "5", *lines, "--speed", "max"]
    call("live", *options, "-o", tmp_path / "out.jsonl")
    counted = (tmp_path / "out.jsonl.counts.csv").read_text().splitlines()[1:]
    assert [sum(int(row.rsplit(",", 1)[1]) for row in counted if row.startswith(f"{k},")) for k in range(5)] == [1] * 5
    # Nobody waits for who would come back as another one.
    call("live", *options, "--keep", "0s", "-o", tmp_path / "other.jsonl")
    assert set(Tracks.read(tmp_path / "other.jsonl").id.tolist()) == {0, 1}


def test_an_output_with_millimetres_can_be_gone_on_with(hot, tmp_path):
    folder, _ = hot
    out = tmp_path / "live.jsonl"
    options = [f"replay:{folder / 'rec.npz'}", *BANDS, "--px-per-mm", "4", "--speed", "max", "-o", out]
    call("live", *options)
    first = len(Tracks.read(out))
    call("live", *options, "--append")
    assert len(Tracks.read(out)) == 2 * first


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["udp://127.0.0.1:9", "--size", "80x60", "--from", "1s"],
            "--from and --to choose a part of a recording, but udp:",
        ),
        (
            ["udp://127.0.0.1:9", "--size", "80x60", "--to", "1s"],
            "--from and --to choose a part of a recording, but udp:",
        ),
        (["{rec}", "--count-line", "900,0,900,9"], "the counting line 900,0,900,9 lies outside the 80x60 sensor"),
        (["{rec}", "--roi", "0,0,90,10"], "reaches outside the 80x60 sensor"),
        (["{rec}", "--to", "2s", "--from", "3s"], "--to must be later"),
        (["{rec}", "--px-per-mm", "0"], "--px-per-mm must be a number above 0"),
        (["{rec}", "--rule", "nonsense=1"], "there is no rule 'nonsense'"),
    ],
)
def test_what_a_stream_cannot_honour_is_one_sentence(hot, tmp_path, options, words):
    rec = f"replay:{hot[0] / 'rec.npz'}"
    out = tmp_path / "out.jsonl"
    result = CliRunner().invoke(app, ["live", *(o.format(rec=rec) for o in options), *BANDS, "-o", str(out)])
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert words in line
    assert not out.exists()


def test_polarity_drop_forgets_it_and_merge_keeps_it(hot, tmp_path):
    folder, _ = hot
    rows = {}
    for polarity in ("merge", "both", "drop"):
        live, detect = tmp_path / f"{polarity}.live.jsonl", tmp_path / f"{polarity}.jsonl"
        call("live", f"replay:{folder / 'rec.npz'}", *BANDS, "--polarity", polarity, "--speed", "max", "-o", live)
        call("detect", folder / "rec.npz", *BANDS, "--polarity", polarity, "-o", detect)
        rows[polarity] = Tracks.read(detect).columns()
        np.testing.assert_array_equal(Tracks.read(live).x_px, rows[polarity]["x_px"])
    for name in COLUMNS:
        np.testing.assert_array_equal(rows["merge"][name], rows["both"][name])
    assert (
        len(rows["drop"]["t_us"]) != len(rows["merge"]["t_us"]) or (rows["drop"]["x_px"] != rows["merge"]["x_px"]).any()
    )
