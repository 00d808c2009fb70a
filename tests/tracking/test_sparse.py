"""Where most events are lost, an object shows a share of its crossings; what is asked of it follows that share."""

from __future__ import annotations

import numpy as np
import pytest

from velocell.data.recording import Recording
from velocell.data.tracks import Tracks
from velocell.pipeline import detect
from velocell.results.evaluate import evaluate
from velocell.simulate import random_scene, simulate
from velocell.tracking.rules import Rules

BANDS = (40.0, 160.0, 640.0, 1800.0)


@pytest.fixture(scope="module")
def sparse() -> tuple[Recording, Tracks]:
    """Four disks of contrast 1, of whose events three of four are lost."""
    scene = random_scene(
        4, width=240, height=160, radius=6, speeds=(150, 900), contrast=1.0, seed=131_500, duration_us=500_000
    )
    recording, truth = simulate(scene)
    return recording.mask(np.random.default_rng(5).random(len(recording)) < 0.25), truth


def test_disks_of_which_a_quarter_arrives_are_found(sparse):
    recording, truth = sparse
    found = detect(recording, BANDS, 6.0)
    assert found.network.origin.crossings == pytest.approx(0.25, abs=0.05)
    scores = evaluate(found.tracks, truth, BANDS)
    assert scores.recall > 0.95
    assert scores.precision > 0.97
    assert scores.band_accuracy > 0.8


def test_as_much_as_of_others_is_not_to_be_asked_of_them(sparse):
    recording, truth = sparse
    # As if nothing less than that were usual.
    found = detect(recording, BANDS, 6.0, rules=Rules(usual_share=0.01))
    assert evaluate(found.tracks, truth, BANDS).recall < 0.5


def test_noise_of_as_many_events_is_nothing(sparse):
    recording, _ = sparse
    rng = np.random.default_rng(6)
    places = rng.permutation(len(recording))
    noise = Recording.from_arrays(
        recording.t_us, recording.x[places], recording.y[places], recording.p, width=240, height=160
    )
    assert len(detect(noise, BANDS, 6.0).tracks) == 0
