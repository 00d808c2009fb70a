"""Band edges that lie beside where they were asked for are put there by the speeds of the rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from velocell.calibration import calibrate
from velocell.calibration.edges import moved, scaled
from velocell.calibration.passes import Passes
from velocell.calibration.search import Search
from velocell.calibration.widths import Settled, judged, settled_edges
from velocell.simulate import random_scene, simulate

BANDS = (40.0, 160.0, 640.0, 1800.0)


def test_thresholds_that_are_too_high_come_down_again():
    scene = random_scene(9, width=300, height=220, speeds=(60, 1500), noise_hz=0.1, seed=62, duration_us=600_000)
    recording = simulate(scene)[0]
    right = calibrate(BANDS, 5.0, crossing_share=1.0)
    spoiled = replace(scaled(right, np.array([1.0, 1.4, 1.4, 1.0])), origin=right.origin)
    passes = Passes(Search.of(BANDS, 5.0))

    def seen(network):
        return Settled(network, passes.see(network, recording))

    agree, differ = judged(seen(spoiled))
    found = settled_edges(seen(spoiled), recording, passes)
    better, worse = judged(found)
    assert differ > 0.02 * (agree + differ)
    assert worse < differ
    assert better > agree
    assert min(found.network.origin.edge_factors) < 1
    made = passes.made
    other = simulate(replace(scene, seed=63))[0]
    settled = Settled(right, passes.see(right, other))
    assert settled_edges(settled, other, passes) is settled
    assert passes.made == made + 1, "what was seen already is not looked at again"


@pytest.mark.parametrize("told", [(0, 0, 1, 1), (0, 1, 1, 1)])
def test_an_edge_is_moved_between_the_speeds_that_are_told_apart(told):
    speed, band = np.array([70.0, 150.0, 300.0, 500.0]), np.array(told, np.int32)
    network = calibrate(BANDS, 5.0)
    factors = moved(network, speed, band).origin.edge_factors
    # 150 px/s, below the edge of 160, is told to lie above it in the second case: the threshold must rise.
    assert factors[1] == 1 if told[1] == 0 else factors[1] > 1
    assert factors[0] == factors[1], "the lowest edge goes with its neighbour"
    assert factors[2] == factors[3] == 1


def test_rows_that_are_far_off_move_nothing():
    speed, band = np.array([30.0, 50.0, 1500.0]), np.array([1, 1, 1], np.int32)
    assert moved(calibrate(BANDS, 5.0), speed, band).origin.edge_factors == (1, 1, 1, 1)
