"""The comparison of connectivities: the smoke test of the command, its networks and its figures on known answers."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import architectures, differences
from benchmarks.architectures import OCTAVES, OURS, Answers
from benchmarks.band_edges import spikes_per_px
from benchmarks.connectivities import GROUPS
from benchmarks.differences import DIFFERENCES, Difference
from velocell.calibration.formulas import calibrate
from velocell.data.spikes import Spikes
from velocell.network.kernels import circular_kernel
from velocell.studies.passages import LEAD_PX, TRAVEL_PX, Lanes

WANTED = {wanted.name: wanted for group in GROUPS.values() for wanted in group}
SPEEDS = np.geomspace(25, 1100, 60)


def test_the_quick_run_writes_table_and_figure(tmp_path, capsys):
    architectures.main(["--quick", "--out", str(tmp_path / "a.md")])
    text = (tmp_path / "a.md").read_text()
    assert capsys.readouterr().out.strip() == text.strip()
    assert "images/a.png" in text
    assert (tmp_path / "images" / "a.png").read_bytes().startswith(b"\x89PNG")
    rows = {line.split(" | ")[0].removeprefix("| "): line.split(" | ") for line in text.splitlines()}
    assert set(architectures.SHOWN) <= set(rows)
    right = {name: float(rows[name][1].split(" / ")[1]) for name in architectures.SHOWN}
    assert right[OURS] > 0.9
    assert right["one layer"] < 0.4
    assert right["both directions"] < 0.4
    # The last table has a line for a given contrast and one for an unknown one.
    assert {"5, given", "5, not given"} <= set(rows)


def test_every_connectivity_differs_from_ours_and_builds():
    networks = {name: wanted.build(OCTAVES, 6.0, 0.9) for name, wanted in WANTED.items()}
    ours = networks.pop(OURS)
    assert [len(networks[name].layers) for name in ("one layer", "inhibition, then smoothing", "next faster")] == [
        1,
        3,
        2,
    ]
    assert ours.layers[1].kernel.shape[:2] == (4, 5)
    for name, network in networks.items():
        assert network.layers[-1].channels >= 4
        arrays = [
            (layer.kernel, layer.neurons.v_th, layer.neurons.v_reset, layer.neurons.tau_mem_inv)
            for layer in ours.layers
        ]
        others = [
            (layer.kernel, layer.neurons.v_th, layer.neurons.v_reset, layer.neurons.tau_mem_inv)
            for layer in network.layers
        ]
        same = len(arrays) == len(others) and all(
            np.array_equal(a, b) for one, two in zip(arrays, others, strict=True) for a, b in zip(one, two, strict=True)
        )
        assert not same, name


@pytest.mark.parametrize(
    ("name", "pairs"),
    [
        ("next faster", {(0, 1), (1, 2), (2, 3), (3, 4)}),
        ("all slower", {(1, 0), (2, 0), (3, 0), (2, 1), (3, 1), (3, 2)}),
        ("nobody", set()),
    ],
)
def test_who_inhibits_whom(name, pairs):
    kernel = WANTED[name].build(OCTAVES, 6.0, 0.9).layers[1].kernel
    found = {(k, j) for k in range(4) for j in range(5) if j != k and kernel[k, j].any()}
    assert found == pairs
    both = WANTED["both directions"].build(OCTAVES, 6.0, 0.9).layers[1].kernel
    assert all(both[k, j].min() == -3 for k in range(4) for j in range(5) if j != k)
    assert all(kernel[k, k].max() == 1 for k in range(4))


def test_limit_kernel_times_keep_the_edge_of_the_fastest_channel():
    ours = calibrate(OCTAVES, 6.0, crossing_share=0.9).layers[0].neurons
    other = WANTED["time constants of a limit kernel, c = sqrt 2"].build(OCTAVES, 6.0, 0.9).layers[0].neurons
    assert other.v_th[-1] == pytest.approx(ours.v_th[-1], rel=1e-5)
    tau = -1 / np.log1p(-other.decay(1_000).astype(float))
    np.testing.assert_allclose(tau[:-1] / tau[1:], np.sqrt(2), rtol=1e-3)


def answers(low: float, high: float, turn: float = 0.0) -> Answers:
    """Channels that answer from low to high times their band, pure; in one of two directions by `turn` weaker."""
    edges = np.array(OCTAVES)
    on = (low * edges[:-1, None] <= SPEEDS) & (high * edges[1:, None] > SPEEDS)
    counts = np.stack([on, on * (1 - turn)], axis=2).astype(float)
    return Answers(counts, on / np.maximum(on.sum(axis=0), 1), np.ones(4))


def test_figures_of_known_answers():
    right, wrong, purity, off, turned = architectures._figures(SPEEDS, answers(1, 1))
    assert (right, wrong, purity, turned) == (1, 0, 1, 0)
    assert off < 0.04  # a step between two speeds
    right, wrong, _, off, turned = architectures._figures(SPEEDS, answers(0.5, 1, turn=0.5))
    assert right < 0.8
    assert wrong > 0.3
    assert 0.2 < off < 0.6
    assert turned == pytest.approx(0.25 / 0.75)
    silent = answers(1, 1)
    silent.counts[:] = 0
    assert architectures._figures(SPEEDS, silent)[3] == np.inf


def test_spikes_are_counted_per_px_and_purity_by_place():
    lanes = Lanes.plan(np.array([60.0, 120.0]), 6.0, (0.0,), 1)
    travel = np.arange(LEAD_PX + 0.5, TRAVEL_PX, 1.0)
    fast = 2  # the first lane at 120 px/s
    x, y = np.rint(lanes.x0[fast] + travel).astype(np.int32), np.full(travel.size, round(lanes.y0[fast]), np.int32)
    t_us = (travel / 120 * 1e6).astype(np.int64)
    zero = np.zeros(travel.size, np.int32)

    def spikes(channel: int, aside: int = 0) -> Spikes:
        return Spikes(t_us, x, y + np.int32(aside), zero + channel, zero + 1, layers=2)

    counts = spikes_per_px(lanes, spikes(1), 4)
    assert counts[1].tolist() == [0, 0, 1, 0]
    assert counts.sum() == 1
    purity = [architectures._purity(lanes, spikes(*given)) for given in ((1,), (0,), (1, 5))]
    assert [purity[0][1], purity[1][0], purity[2][1]] == [1, 0, 0]
    assert np.isnan(purity[0][0])


def test_chains_of_stages_are_the_recursion_they_stand_for():
    rng = np.random.default_rng(1)
    current, stages = rng.random((200, 3)), np.array([4.0, 9.0])
    v, impulse = np.zeros((2, 3)), np.zeros(2)
    highest, largest = np.zeros(3), 0.0
    keep = np.exp(-1 / stages)
    for tick in range(600):
        into, pulse = (current[tick] if tick < 200 else np.zeros(3)), float(tick == 0)
        for stage in range(2):
            v[stage] = keep[stage] * v[stage] + (1 - keep[stage]) * into
            impulse[stage] = keep[stage] * impulse[stage] + (1 - keep[stage]) * pulse
            into, pulse = v[stage], impulse[stage]
        highest, largest = np.maximum(highest, v[1]), max(largest, impulse[1])
    np.testing.assert_allclose(differences._peaks(current, stages), highest / largest, rtol=1e-6)


def test_no_linear_difference_separates_an_octave():
    kernel = circular_kernel(6.0)
    widths = {wanted.name: differences.octaves(wanted, kernel, 6.0) for wanted in DIFFERENCES}
    assert min(widths.values()) > 2.5
    # A point that is passed over for one moment: 1 - exp(-1/L) against half of the memory, known in closed form.
    lengths = np.geomspace(1e-3, 1e3, 20_000)
    wide = lengths * -np.expm1(-1 / lengths)
    law = wide - np.interp(lengths / 2, lengths, wide)
    above = lengths[law >= law.max() / 2]
    box = np.ones((1, 1, 1, 1), np.float32)
    found = differences.octaves(Difference("leaky", (1.0,), 2.0), box, 0.5)
    assert found == pytest.approx(np.log2(above[-1] / above[0]), abs=0.6)
