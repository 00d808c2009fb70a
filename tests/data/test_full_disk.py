"""Every writer on a full disk, under a quota, and where its folder vanishes: one sentence, and nothing left behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from disks import files_up_to, fill, small_disk

from velocell import calibrate, formats
from velocell.cli.counts import write_counts
from velocell.data import files
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.data.tracks import Tracks
from velocell.demo import BANDS
from velocell.errors import VelocellError
from velocell.pictures.figures.style import grid, save_figure
from velocell.pictures.report import write_report
from velocell.pictures.video.encode import write_video
from velocell.pipeline import detect
from velocell.results.counting import Line
from velocell.results.exports import write_coco, write_mot
from velocell.results.object_table import write_objects
from velocell.simulate import Scene, SceneObject, notebook_scene, simulate
from velocell.studies.tuning import tuning
from velocell.tracking.detection import Detection

N = 20_000
NOISE = np.random.default_rng(0).integers(0, 300, N)
RECORDING = Recording.from_arrays(np.arange(N), NOISE, NOISE, NOISE % 2, width=300, height=300)
TRACKS = Tracks.from_columns(
    {"t_us": np.arange(N), "id": NOISE, "x_px": NOISE, "y_px": NOISE, "radius_px": np.full(N, 3.0), "band": NOISE % 2}
)
SPIKES = Spikes(np.arange(N), *[NOISE.astype(np.int32)] * 4)
PICTURES = np.random.default_rng(0).integers(0, 256, (12, 64, 64, 3), np.uint8)
NETWORK = calibrate(BANDS)


def figure(path: Path) -> None:
    drawn, panels = grid(1, 1, (3, 2))
    panels[0][0].plot(NOISE[:500])
    save_figure(drawn, path)


def report(path: Path) -> None:
    recording, found = detected()
    with pytest.MonkeyPatch.context() as patch:  # pictures take seconds
        for section in ("_clip", "_figures"):
            patch.setattr(f"velocell.pictures.report.{section}", lambda *_: "<p>")
        write_report(path, found, recording, curves=False)


@cache
def detected() -> tuple[Recording, Detection]:
    recording = simulate(Scene(32, 24, 30_000, objects=(SceneObject(id=0, x_px=10, y_px=12, speed_px_s=100),)))[0]
    return recording, detect(recording, BANDS)


Write = Callable[[Path], object]
WRITERS: dict[str, tuple[str, Write]] = {
    "npz": (".npz", lambda path: formats.write_npz(RECORDING, path)),
    "npz packed": (".npz", lambda path: formats.write_npz(RECORDING, path, compress=True)),
    "csv": (".csv", lambda path: formats.write_csv(RECORDING, path)),
    "evt2": (".raw", lambda path: formats.write_evt2(RECORDING, path)),
    "evt3": (".raw", lambda path: formats.write_evt3(RECORDING, path)),
    "dat": (".dat", lambda path: formats.write_dat(RECORDING, path)),
    "aedat4": (".aedat4", lambda path: formats.write_aedat4(RECORDING, path)),
    "hdf5": (".h5", lambda path: formats.write_hdf5(RECORDING, path)),
    "hdf5 plain": (".h5", lambda path: formats.write_hdf5(RECORDING, path, compress=False)),
    "tracks csv": (".csv", TRACKS.write),
    "tracks jsonl": (".jsonl", TRACKS.write),
    "tracks parquet": (".parquet", TRACKS.write),
    "spikes": (".npz", SPIKES.to_npz),
    "objects": (".csv", lambda path: write_objects(path, TRACKS)),
    "counts": (".csv", lambda path: write_counts(path, [(None, [])], [Line(0, 0, 5, 5)], ["slow", "fast"])),
    "mot": (".txt", lambda path: write_mot(path, TRACKS, fps=1000)),
    "coco": (".json", lambda path: write_coco(path, TRACKS, size=(300, 300), fps=1000)),
    "mp4": (".mp4", lambda path: write_video(path, PICTURES, fps=25)),
    "gif": (".gif", lambda path: write_video(path, PICTURES, fps=25)),
    "png": (".png", figure),
    "pdf": (".pdf", figure),
    "svg": (".svg", figure),
    "report": (".html", report),
    "network": (".toml", NETWORK.to_toml),
    "scene": (".toml", lambda path: notebook_scene().to_toml(path)),
    "tuning": (".csv", lambda path: tuning(NETWORK, speeds=[100.0, 200.0]).write(path)),
}
NEEDED = {".h5": "h5py", ".parquet": "pyarrow"}


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with small_disk(tmp_path_factory.mktemp("disk"), 4 << 20) as folder:
        yield folder


@pytest.fixture(params=WRITERS)
def kind(request: pytest.FixtureRequest) -> str:
    suffix = WRITERS[request.param][0]
    pytest.importorskip(NEEDED.get(suffix, "numpy"), reason=f"{suffix} needs an extra that is not installed")
    return str(request.param)


def older(folder: Path, kind: str) -> Path:
    """An older file under the name that is written."""
    path = folder / f"out{WRITERS[kind][0]}"
    path.write_text("old")
    return path


def refused(path: Path, kind: str, message: str) -> None:
    before = sorted(path.parent.iterdir())
    with pytest.raises(VelocellError, match=rf"^cannot write {path}(\.meta\.json)?: {message}$"):
        WRITERS[kind][1](path)
    assert path.read_text() == "old"
    assert sorted(path.parent.iterdir()) == before


@cache
def length(kind: str, folder: Path) -> int:
    """Of the file when all is well."""
    path = folder / f"whole{WRITERS[kind][0]}"
    WRITERS[kind][1](path)
    return path.stat().st_size


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("whole")


@pytest.mark.parametrize("share", [0, 0.6])
def test_quota(tmp_path: Path, whole: Path, kind: str, share: float) -> None:
    most = int(share * length(kind, whole))
    path = older(tmp_path, kind)
    with files_up_to(most):
        refused(path, kind, "file too large; choose another place")


@pytest.mark.parametrize("share", [0, 0.6])
def test_full_disk(disk: Path, whole: Path, kind: str, share: float) -> None:
    path = older(disk, kind)
    fill(disk, int(share * length(kind, whole)))
    refused(path, kind, "no space left on device; free some space or choose another folder")
    path.unlink()


def test_vanished_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    temporary = files._temporary

    def then_gone(target: Path) -> Path:
        part = temporary(target)
        shutil.rmtree(target.parent)
        return part

    monkeypatch.setattr(files, "_temporary", then_gone)
    path = tmp_path / "folder" / f"out{WRITERS[kind][0]}"
    path.parent.mkdir()
    with pytest.raises(VelocellError, match=r"^cannot write .*: (its folder is gone; make it again|no such file)"):
        WRITERS[kind][1](path)
    assert not path.parent.exists()


def test_a_folder_that_vanishes_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()

    def write() -> None:
        with files.replacing(tmp_path / "folder" / "out.csv") as part:
            part.write_text("new")
            shutil.rmtree(tmp_path / "folder")

    with pytest.raises(VelocellError, match="its folder is gone; make it again"):
        write()
