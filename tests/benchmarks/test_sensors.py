"""The comparison of simulated and real sensors: what it measures, on events whose answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from places import ROOT

from benchmarks import sensors
from velocell.data.recording import Recording
from velocell.simulate.sensor import PRESETS


def recording(rows: list[tuple[int, int, int, bool]]) -> Recording:
    t, x, y, p = zip(*sorted(rows), strict=True)
    return Recording.from_arrays(np.array(t), np.array(x), np.array(y), np.array(p), width=40, height=30)


def row_of(values: list[str], name: str) -> str:
    return values[sensors.ROWS.index(name)]


def test_trains_end_with_the_polarity_and_with_silence() -> None:
    on = [(t, 5, 5, True) for t in (0, 1_000, 4_000, 30_000)]  # three in 4 ms, then alone
    off = [(t, 5, 5, False) for t in (5_000, 7_000)]
    repeated = [(4_003, 5, 5, True)]
    beside = [(2_000, 5, 6, True)]
    values = sensors.measured(recording(on + off + repeated + beside))
    assert row_of(values, "events a train, ON") == f"{(3 + 1 + 1) / 3:.1f}"
    assert row_of(values, "events a train, OFF") == "2.0"
    assert row_of(values, "train, ON (ms)").startswith("4.00 ")
    assert row_of(values, "train, OFF (ms)").startswith("2.00 ")
    assert row_of(values, "repeated within 5 us") == f"{1 / 8:.3f}"
    assert row_of(values, "share of ON") == f"{6 / 8:.2f}"


def test_noise_is_what_has_no_neighbour() -> None:
    pair = [(0, 10, 10, True), (9_000, 11, 11, False)]
    late = [(100_000, 20, 10, True), (111_000, 21, 10, True)]
    edge = [(200_000, 39, 3, True), (200_000, 0, 4, True)]  # neighbours in memory, not on the sensor
    same = [(300_000, 7, 7, False), (300_500, 7, 7, False)]  # its own events are no neighbours
    values = sensors.measured(recording(pair + late + edge + same))
    assert row_of(values, "noise (Hz/px)") == f"{6 / 0.3005 / 1200:.3f}"
    assert row_of(values, "share of ON in the noise") == f"{4 / 6:.2f}"
    assert row_of(values, "noise from the busiest 1 %") == "1.00"


def test_stamps_are_measured() -> None:
    values = sensors.measured(recording([(200 * (k // 3), k % 40, k % 3, True) for k in range(90)]))
    assert row_of(values, "events a stamp") == "3.00"
    assert row_of(values, "smallest step of stamps (us)") == "200"


def test_every_preset_has_a_table_and_the_page_holds_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert {case.sensor for case in sensors.CASES} == set(PRESETS) - {"ideal"}
    text = (ROOT / "docs" / "sensors.md").read_text()
    for case in sensors.CASES:
        assert f"### {case.sensor}: {case.like}" in text
    for row in sensors.ROWS:
        assert text.count(f"| {row} |") == len(sensors.CASES)
    page = tmp_path / "page.md"
    page.write_text(f"before\n{sensors.BEGIN}\nold\n{sensors.END}\nafter\n")
    monkeypatch.setattr(sensors, "tables", lambda: ["new"])
    monkeypatch.setattr("sys.argv", ["sensors", "--out", str(page)])
    sensors.main()
    assert page.read_text() == f"before\n{sensors.BEGIN}\nnew\n{sensors.END}\nafter\n"
