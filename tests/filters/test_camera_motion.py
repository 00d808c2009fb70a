"""The camera that moves, against pictures made to move and against recordings of which it is known."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from moving_pictures import panned, trembling
from places import SHARED

from velocell.data.recording import Recording
from velocell.filters import camera_motion, is_moving_camera
from velocell.formats import read
from velocell.simulate import Scene, random_scene, simulate


def test_where_cells_cannot_agree_no_shift_is_looked_for(monkeypatch):
    """A moving hand in a corner; of the pictures that do shift, none is passed over."""
    module = sys.modules[camera_motion.__module__]
    scene = panned()
    scene = replace(scene, p=(scene.x + scene.t_us * 200 // 1_000_000) // 8 % 2 == 0)  # that of the texture's edges
    corner = scene.mask((scene.x < scene.width // 3) & (scene.y < scene.height // 3))
    found = camera_motion(scene)
    assert found.kind == "shifts"
    monkeypatch.setattr(module, "_may_agree", lambda first: bool(first.any()))
    assert camera_motion(scene) == found
    assert camera_motion(corner).kind != "shifts"
    monkeypatch.undo()
    monkeypatch.setattr(np.fft, "rfft2", None)
    assert not camera_motion(corner).moves


def test_a_moving_camera_is_seen_and_for_how_long():
    whole = camera_motion(panned())
    assert (whole.kind, whole.moves) == ("shifts", True)
    assert whole.share > 0.9
    assert camera_motion(panned(speed_px_s=60)).kind == "shifts"
    late = camera_motion(panned(from_us=500_000))
    assert late.share == pytest.approx(0.5, abs=0.21)  # five windows of 200 ms
    assert is_moving_camera(panned(from_us=500_000))
    assert not is_moving_camera(panned(from_us=900_000))


@pytest.mark.parametrize(("amplitude_px", "hz"), [(0.5, 20), (0.5, 9), (1.0, 37)])
def test_a_camera_that_trembles_before_a_texture_is_seen(amplitude_px, hz):
    found = camera_motion(trembling(amplitude_px, hz))
    assert (found.kind, found.moves) == ("trembles", True), found
    assert "vibrates" in found.reason


def test_a_lamp_that_flickers_is_no_camera_that_moves():
    for recording in (trembling(0.0, lamp=0.3), trembling(0.0, lamp=0.9)):
        found = camera_motion(recording)
        assert len(recording) > 10_000
        assert found.kind in ("still", "busy"), found


def test_a_standing_camera_is_left_alone():
    busy, _ = simulate(random_scene(12, width=160, height=120, radius=6, speeds=(100, 900), contrast=5, seed=3))
    noise, _ = simulate(Scene(160, 120, 500_000, seed=3, noise_hz=3.0))
    for recording in (busy, busy.with_polarity("drop"), noise, trembling(0.0)):
        assert not camera_motion(recording).moves
    nothing = camera_motion(Recording.from_arrays([], [], [], width=4, height=3))
    assert (nothing.share, nothing.kind) == (0.0, "still")
    assert nothing.reason == "the picture as a whole does not move"


def test_noise_all_over_the_sensor_is_said_to_be_that():
    noise, _ = simulate(Scene(160, 120, 300_000, seed=3, noise_hz=10.0))
    found = camera_motion(noise)
    assert (found.kind, found.moves) == ("busy", True)
    assert "--denoise" in found.reason


@pytest.mark.skipif(not SHARED.is_dir(), reason="no recordings in ../shared/data")
@pytest.mark.parametrize(
    ("name", "moves"),
    [
        ("moving_camera_davis.aedat", True),
        ("cup_dvs128.aedat", False),
        ("gestures_dvs128.aedat4", False),
        ("walking_dvs128.aedat", False),
        ("pendulum_dvs128.aedat", False),
        ("davis_346x260.aedat4", False),
        ("dvx_320x240.aedat4", False),
        ("hd_evt3.raw", False),
        ("plane_circle.es", False),
        ("ros1_evt3.bag", False),
        ("2404_circle.dat", False),
    ],
)
def test_real_cameras_that_move_and_that_stand(name, moves):
    recording = read(SHARED / name)
    assert is_moving_camera(recording) is moves
    if moves:
        assert camera_motion(recording).kind == "shifts"
