"""A recording cut in parts: exactly the spikes of the whole, and its objects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from velocell.batch import cut
from velocell.calibration.search import Search
from velocell.data.recording import Recording
from velocell.filters.chain import Cleaning
from velocell.filters.reading import FilePart
from velocell.formats import open_recording, write_npz
from velocell.pipeline import find
from velocell.simulate import random_scene, simulate
from velocell.tracking.detection import Findings
from velocell.tracking.online import follow
from velocell.tracking.rules import Rules

BANDS = (150, 400, 1000)
SEARCH = Search.of(BANDS, contrast=3.0)


def scene(seconds: float, seed: int, size: tuple[int, int] = (120, 90), count: int = 5) -> Recording:
    made = random_scene(
        count, width=size[0], height=size[1], duration_us=int(seconds * 1e6), speeds=(160, 900), noise_hz=2.0, seed=seed
    )
    return simulate(made)[0]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Disks, noise, a hot pixel, and a lamp that is lit after a second."""
    whole = scene(4.0, 3)
    rng = np.random.default_rng(1)
    hot = np.arange(0, 4_000_000, 700) + rng.integers(0, 300, 5_715)
    lit = np.arange(1_200_000, 4_000_000, 5_000)  # 100 Hz: brightens and dims
    xs, ys = np.meshgrid(np.arange(64, 80), np.arange(16, 32))
    t_lamp = (lit[:, None] + rng.integers(0, 400, (lit.size, xs.size))).ravel()
    p_lamp = np.repeat(np.arange(lit.size) % 2 == 0, xs.size)
    t = np.concatenate([whole.t_us, hot, t_lamp])
    x = np.concatenate([whole.x, np.full(hot.size, 20), np.tile(xs.ravel(), lit.size)])
    y = np.concatenate([whole.y, np.full(hot.size, 70), np.tile(ys.ravel(), lit.size)])
    p = np.concatenate([whole.p, hot % 2 == 0, p_lamp])
    order = np.argsort(t, kind="stable")
    path = tmp_path_factory.mktemp("cut") / "a.npz"
    write_npz(Recording.from_arrays(t[order], x[order], y[order], p[order], width=120, height=90), path)
    return path


def whole_of(file, search=SEARCH, cleaning=None):
    return find(FilePart(open_recording(file), cleaning or Cleaning()), search)


def cut_of(file, place, parts, search=SEARCH, cleaning=None, run_in_us=None):
    """What the parts make, each opened anew as a worker does, and how often one was run again."""
    cleaning = cleaning or Cleaning()
    reading = FilePart(open_recording(file), cleaning)
    cut.make_plan(reading, search, parts, {"of": "test"}).save(place / "plan")
    plan = cut.Plan.load(place / "plan")
    again = []

    def run(number, run_in):
        part = FilePart(open_recording(file), cleaning, decision=plan.decision)
        cut.run_part(part, search, plan, number, cut.part_place(place, number), run_in_us=run_in)

    for number in range(plan.parts):
        run(number, run_in_us)
    made = cut.put_together(place, plan, search, lambda number, us: (again.append((number, us)), run(number, us)))
    return made.findings.whole(FilePart(open_recording(file), cleaning, decision=plan.decision)), plan, made, again


CLEANINGS = {
    "usual": Cleaning(),
    "all": Cleaning(refractory_us=300, denoise_us=20_000, regions=((4, 4, 110, 80),), flicker=100.0),
}


@pytest.fixture(scope="module")
def wholes(file):
    return {name: whole_of(file, cleaning=cleaning) for name, cleaning in CLEANINGS.items()}


def test_spikes_are_exactly_those_of_the_whole_also_where_membranes_keep_their_phase(file, wholes, tmp_path):
    whole = wholes["usual"]
    found, plan, made, again = cut_of(file, tmp_path, 4)
    assert plan.parts == made.about["parts"] == 4
    assert plan.run_in_us < 400_000
    assert found.spikes.same_as(whole.spikes)
    assert len(whole.spikes) > 10_000
    assert found.tracks.meta == whole.tracks.meta
    assert len(plan.decision.hot) == 1
    # A lamp that came later, in the second of four parts, and drove membranes evenly until it was found: what they
    # do depends on how it began, so that no run-in behind that would do.
    assert not plan.decision.lamps
    assert plan.decision.found[0][0] == 2_000_000
    assert {number for number, _ in again} == {2}
    assert max(made.about["run_in_us"]) > plan.run_in_us


def test_filters_with_a_memory_agree(file, wholes, tmp_path):
    found, plan, made, again = cut_of(file, tmp_path, 4, cleaning=CLEANINGS["all"])
    assert found.spikes.same_as(wholes["all"].spikes)
    assert len(found.spikes) > 2_000
    assert found.tracks.meta == wholes["all"].tracks.meta
    assert not again
    assert set(made.about["run_in_us"]) == {plan.run_in_us}


def test_a_run_in_that_is_too_short_is_seen_and_mended(file, wholes, tmp_path):
    found, _, _, again = cut_of(file, tmp_path, 2, cleaning=CLEANINGS["all"], run_in_us=10_000)
    assert {number for number, _ in again} == {1}
    assert found.spikes.same_as(wholes["all"].spikes)


def test_without_looking_at_the_cuts_it_would_be_wrong(file, wholes, tmp_path, monkeypatch):
    monkeypatch.setattr(cut, "settled", lambda *_: True)
    found, _, _, again = cut_of(file, tmp_path, 2, cleaning=CLEANINGS["all"], run_in_us=10_000)
    assert not again
    assert not found.spikes.same_as(wholes["all"].spikes)


def test_objects_keep_their_ids_over_the_cuts(file, wholes, tmp_path):
    found, _, made, _ = cut_of(file, tmp_path, 4, cleaning=CLEANINGS["all"])
    one, other = found.tracks, wholes["all"].tracks
    assert min(made.about["objects_over_cuts"]) >= 2
    assert abs(np.unique(one.id).size - np.unique(other.id).size) <= 1
    # Each row has its counterpart, but for some behind the cuts.
    ways = {(t, i): (x, y) for t, i, x, y in zip(one.t_us, one.id, one.x_px, one.y_px, strict=True)}
    near = [
        np.hypot(ways[t, i][0] - x, ways[t, i][1] - y) < 2 if (t, i) in ways else False
        for t, i, x, y in zip(other.t_us, other.id, other.x_px, other.y_px, strict=True)
    ]
    assert np.mean(near) > 0.95
    assert abs(len(one) - len(other)) < 0.03 * len(other)


@pytest.mark.parametrize("at_us", [500_000, 940_000], ids=["in a part", "in a run-in"])
def test_networks_that_are_exchanged_are_so_in_each_part(tmp_path, at_us):
    path = tmp_path / "a.npz"
    write_npz(scene(1.2, 5), path)
    reading = FilePart(open_recording(path), Cleaning())
    plan = cut.make_plan(reading, SEARCH, 2)
    assert plan.cuts_us[1] - plan.run_in_us < 940_000 or at_us == 500_000
    (first,) = plan.first
    layer = first.layers[0]
    neurons = type(layer.neurons)(layer.neurons.tau_mem_inv, 0.8 * layer.neurons.v_th, 0, layer.neurons.v_reset)
    other = replace(first, layers=(replace(layer, neurons=neurons), *first.layers[1:]))
    plan = replace(
        plan, cuts_us=(plan.start, 1_000_000, plan.cuts_us[-1]), networks=(*plan.networks, (at_us, (other,)))
    )
    online = SEARCH.online(plan.first, reading.size)
    online.adopt(other, at_us)
    whole = Findings(plan.first, follow(online, reading.blocks()), (online,)).whole(reading)
    for number in range(2):
        part = FilePart(open_recording(path), Cleaning(), decision=plan.decision)
        cut.run_part(part, SEARCH, plan, number, cut.part_place(tmp_path, number))
    made = cut.put_together(tmp_path, plan, SEARCH, lambda *_: pytest.fail("run again"))
    found = made.findings.whole(reading)
    assert found.spikes.same_as(whole.spikes)
    assert found.tracks.meta == whole.tracks.meta
    assert found.changes == whole.changes == ((at_us, (other,)),)


@pytest.fixture(scope="module")
def sizes(tmp_path_factory):
    """Disks of several sizes."""
    path = tmp_path_factory.mktemp("sizes") / "a.npz"
    made = random_scene(
        6, width=160, height=120, duration_us=1_500_000, radius=(4, 7.5), speeds=(160, 900), noise_hz=1.0, seed=7,
        separate=False,
    )  # fmt: skip
    write_npz(simulate(made)[0], path)
    return path


@pytest.mark.parametrize("contrast", [3.0, None], ids=["stated contrast", "measured contrast"])
@pytest.mark.parametrize("parts", [1, 2])
def test_of_a_range_each_network_sees_all_events_whatever_the_rules_state(sizes, tmp_path, parts, contrast):
    """Also where the contrast is measured."""
    by_rule = [Search.of(BANDS, (4.0, 7.5), contrast=contrast, rules=Rules(allot_ratio=r)) for r in (1.05, 1000)]
    stated, whole = (whole_of(sizes, search) for search in by_rule)
    found, plan, _, again = cut_of(sizes, tmp_path, parts, by_rule[0])
    assert plan.parts == parts
    assert not again
    assert found.spikes.same_as(whole.spikes)
    assert found.spikes.radius_px is not None
    pieces = cut.put_together(tmp_path, plan, by_rule[0], lambda *_: None).findings.pieces
    assert all("radius_px" in answers.columns() for _, answers in pieces)  # as a file of spikes takes them
    assert not whole.spikes.same_as(stated.spikes)
    assert found.tracks.meta == whole.tracks.meta
    if parts == 1:  # else the tracker begins at another time
        for name, values in whole.tracks.columns().items():
            np.testing.assert_array_equal(found.tracks.columns()[name], values, err_msg=name)


def test_what_cannot_be_cut_so_often_is_cut_more_seldom(file):
    plan = cut.make_plan(FilePart(open_recording(file), Cleaning(), 0, 900_000), SEARCH, 50)
    assert 1 < plan.parts < 6
    assert min(np.diff(plan.cuts_us)) >= 0.5 * plan.run_in_us


def test_of_networks_that_come_twice_within_a_long_silence_both_are_used():
    """A step is as long as a silence; the later decision counts from its own time on."""
    from velocell.calibration import calibrate
    from velocell.data.bands import Bands

    one, two, three = (calibrate(Bands(BANDS), radius) for radius in (5.0, 4.0, 3.0))
    online = SEARCH.online(one, (64, 48))
    none = replace(scene(0.01, 1, (64, 48), 0).slice(0, 0), start_us=0)
    online.adopt(two, 1_000_000)
    online.adopt(three, 2_000_000)
    online.respond(replace(none, stop_us=1_500_000), 1_500_000)
    assert online.networks == (two,)
    online.respond(replace(none, start_us=1_500_000, stop_us=3_000_000), 3_000_000)
    assert online.networks == (three,)
    online.adopt(two, 6_000_000)
    online.adopt(one, 5_000_000)
    online.respond(replace(none, start_us=3_000_000, stop_us=7_000_000), 7_000_000)
    assert online.networks == (one,)
