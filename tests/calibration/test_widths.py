"""The width of the ring follows from the recording: wider where edges are blurred, as ever where they are sharp."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from velocell.calibration import calibrate
from velocell.calibration.measure import networks_for
from velocell.calibration.passes import Passes
from velocell.calibration.recipe import Recipe
from velocell.calibration.search import Search
from velocell.calibration.widths import WIDTHS_PX, Settled, judged, suited
from velocell.data.recording import Recording
from velocell.data.tracks import Tracks
from velocell.pipeline import detect
from velocell.results.evaluate import evaluate
from velocell.simulate import random_scene, simulate
from velocell.tracking.rules import Rules

WIDE = (40.0, 160.0, 640.0, 2200.0)


def made(edge_px: float, contrast: float, radius: float = 6.0, seed: int = 301) -> tuple[Recording, Tracks]:
    scene = random_scene(
        4, width=200, height=150, radius=radius, speeds=(60, 1500), contrast=contrast, noise_hz=0.2, seed=seed,
        duration_us=600_000,
    )  # fmt: skip
    blurred = tuple(replace(item, edge_px=edge_px) for item in scene.objects)
    return simulate(replace(scene, objects=blurred, threshold_mismatch=0.2))


@pytest.mark.parametrize(("edge_px", "contrast"), [(4.0, 3.0), (6.0, 4.0)])
def test_blurred_disks_get_a_wider_ring_and_the_right_band(edge_px, contrast):
    recording, truth = made(edge_px, contrast)
    found = detect(recording, WIDE, 6.0)
    scores = evaluate(found.tracks, truth, WIDE)
    # Edges of 4 px may do with the usual one, where its bands agree with the speeds.
    assert found.network.origin.ring_width_px in ((2.0, *WIDTHS_PX) if edge_px < 5 else WIDTHS_PX)
    assert scores.recall >= 0.93
    assert scores.band_accuracy >= 0.97
    if edge_px < 5:
        return
    # A search with a recipe of its own keeps its ring: what the usual one does here.
    narrow = Search.of(WIDE, 6.0, recipe=replace(Search.of(WIDE).recipe, hold=0.4001))
    answers = detect(recording, network=networks_for(recording, narrow), rules=Rules().by_neurons()).tracks
    assert evaluate(answers, truth, WIDE).band_accuracy < 0.8


@pytest.mark.parametrize(("radius", "contrast"), [(4.0, 1.0), (6.0, 3.0), (8.0, 10.0)])
def test_sharp_disks_keep_the_usual_ring(radius, contrast):
    recording, _ = made(1.0, contrast, radius, seed=311)
    assert networks_for(recording, Search.of(WIDE, radius))[0].origin.ring_width_px == 2.0


def test_rows_are_judged_by_their_own_speed():
    recording, _ = made(1.0, 3.0)
    search = Search.of(WIDE, 6.0)
    network = networks_for(recording, search)[0]
    seen = Passes(search).see(network, recording)
    tracks = detect(recording, network=network).tracks
    tracks = tracks.where(tracks.t_us <= seen.stop_us)
    edges = np.array(WIDE)
    off = np.abs(tracks.speed_px_s[:, None] - edges)
    near = ((off <= 0.1 * edges) | (off <= 1.5 * tracks.speed_err_px_s[:, None])).any(axis=1)
    assert near[tracks.speed_err_px_s > 100].any(), "errors matter here"
    own = np.array([np.flatnonzero(speed >= edges)[-1] if speed >= edges[0] else -2 for speed in tracks.speed_px_s])
    expected = int(((own == tracks.band) & ~near).sum()), int(((own != tracks.band) & ~near).sum())
    assert judged(Settled(network, seen)) == expected
    assert expected[0] > 100
    early = tracks.t_us <= 100_000
    assert judged(Settled(network, seen), 100_000)[0] == ((own == tracks.band) & ~near & early).sum()


def test_other_widths_are_tried_only_where_bands_and_speeds_disagree():
    asked = []
    for edge_px in (1.0, 6.0):
        recording, _ = made(edge_px, 3.0)
        passes = Passes(Search.of(WIDE, 6.0))
        network = calibrate(WIDE, 6.0, crossing_share=1.08)

        def wider(width, edge_px=edge_px):
            asked.append((edge_px, width))
            return calibrate(WIDE, 6.0, crossing_share=1.08, recipe=Recipe(ring_width_px=width))

        found = Settled(network, passes.see(network, recording))
        best = suited(found, wider, recording, passes)
        assert (best is found) is (edge_px == 1)
        assert passes.made == 1 + sum(blurred == edge_px for blurred, _ in asked)
    assert asked
    assert all(blurred == 6 for blurred, _ in asked)


def test_a_wider_ring_that_follows_nothing_is_not_taken():
    recording, _ = made(4.0, 3.0)
    passes = Passes(Search.of(WIDE, 6.0))
    network = calibrate(WIDE, 6.0, crossing_share=1.08)
    found = Settled(network, passes.see(network, recording))
    deaf = calibrate(WIDE, 6.0, crossing_share=50.0)
    assert suited(found, lambda width: deaf, recording, passes) is found
    assert passes.made == 1 + len(WIDTHS_PX)
