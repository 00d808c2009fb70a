"""A recording, its network and what `detect` finds in it, for what is read while it comes."""

from __future__ import annotations

import pytest
from live_streams import a_disk, written

from velocell import pipeline
from velocell.data.tracks import Tracks
from velocell.simulate import Scene, SceneObject


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with one disk at 400 px/s on 160x120 in 350 ms as rec.npz, a network, and what detect finds."""
    folder = tmp_path_factory.mktemp("live")
    recording, _, network = written(folder, a_disk(350_000, noise_hz=0.2))
    pipeline.detect(recording, network=network).tracks.write(folder / "expected.jsonl")
    return folder


@pytest.fixture(scope="module")
def expected(made):
    tracks = Tracks.read(made / "expected.jsonl")
    assert len(tracks) > 40
    return tracks


@pytest.fixture(scope="module")
def passing(tmp_path_factory):
    """A folder with three disks that pass x = 80 in 600 ms as rec.npz, and a network."""
    folder = tmp_path_factory.mktemp("supervised")
    disks = [SceneObject(id=k, x_px=10, y_px=25 + 35 * k, speed_px_s=200 + 90 * k, bounce=False) for k in range(3)]
    _, truth, _ = written(folder, Scene(160, 120, 600_000, seed=1, noise_hz=0.2, objects=tuple(disks)))
    truth.write(folder / "truth.csv")
    return folder
