"""The rows of the world's table: scenes that are what their names say, and figures that notice what is wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.world import SECTIONS, SENSORS, WORLDS, Run, World, figures, four, row, run, stray
from velocell.simulate import simulate


@pytest.mark.parametrize("sensor", SENSORS)
@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_every_scene_has_four_targets_at_a_time_and_no_other(world, sensor):
    objects = world.scene(5, sensor).objects
    targets = [item for item in objects if item.target]
    for when in {item.start_us for item in targets}:
        assert sum(item.start_us <= when < (item.stop_us or 1 << 60) for item in targets) == 4
    assert {item.id for item in objects if not item.target} >= world.lookalikes


def test_a_stray_event_comes_first_and_everything_else_so_much_later():
    recording, truth = simulate(four(5, "ideal", seconds=0.1))
    shifted, moved = stray(recording, truth, 3.0)
    assert shifted.t_us[0] == 0
    np.testing.assert_array_equal(shifted.t_us[1:], recording.t_us + 3_000_000)
    np.testing.assert_array_equal(moved.t_us, truth.t_us + 3_000_000)


def test_figures_notice_missing_false_and_wrong_rows():
    truth = simulate(four(5, "ideal", seconds=0.3))[1]
    rows = replace(truth.where(truth.t_us % 5_000 == 0), band=np.array([0, 1, 2, 0])[truth.id[truth.t_us % 5_000 == 0]])
    whole = Run(rows, truth, None, 1.0, 2.0)
    world = World("four", four)
    assert figures(world, whole) == pytest.approx([1, 1, 1, 0.5])
    assert figures(world, replace(whole, tracks=rows.where(rows.id > 0)))[0] == pytest.approx(0.75, abs=0.02)
    assert figures(world, replace(whole, tracks=replace(rows, band=np.zeros_like(rows.band))))[2] == pytest.approx(0.5)
    lost = truth.where(truth.id > 0)
    assert figures(world, replace(whole, truth=lost))[1] == pytest.approx(0.75)
    assert figures(world, replace(whole, truth=lost, lookalikes=truth))[1] == 1


def test_a_row_of_the_table_is_that_of_a_run():
    world = World("short", lambda seed, sensor: four(seed, sensor, seconds=0.3))
    assert len(run(world, 5, "ideal").tracks)
    assert row(SECTIONS[0], world, [5], "ideal").startswith("| short | ideal | ")
