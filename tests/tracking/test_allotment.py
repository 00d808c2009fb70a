"""Which of several networks see an event: those for about the size of the object on whose ring it is, else all."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from velocell._native import Allotment
from velocell.calibration.formulas import calibrate
from velocell.data.recording import Recording
from velocell.data.tables import COLUMNS
from velocell.data.tracks import Tracks
from velocell.engines import native
from velocell.errors import EngineError
from velocell.network import Network
from velocell.results.evaluate import evaluate
from velocell.simulate import random_scene, simulate
from velocell.tracking import online as module
from velocell.tracking.detector import Detector
from velocell.tracking.online import Online, follow
from velocell.tracking.rules import DEFAULTS, Rules

BANDS = (40.0, 160.0, 640.0, 1800.0)
RADII = (4.0, 5.0, 6.2, 7.7)


@pytest.fixture(scope="module")
def networks() -> list[Network]:
    return [calibrate(BANDS, radius, crossing_share=1.0, dt_us=500) for radius in RADII]


@pytest.fixture(scope="module")
def scene() -> tuple[Recording, Tracks]:
    return simulate(
        random_scene(7, width=200, height=160, duration_us=400_000, radius=(4, 7.5), speeds=(60, 900), noise_hz=0.5,
                     seed=41, separate=False)
    )  # fmt: skip


def rows_of(parts: Iterator[dict[str, np.ndarray]]) -> Tracks:
    parts = list(parts)
    return Tracks.from_columns({name: np.concatenate([part[name] for part in parts]) for name in COLUMNS})


def of_file(networks, recording: Recording, rules: Rules = DEFAULTS) -> Tracks:
    online = Online(networks, recording.size, rules=rules, final_only=True)
    return rows_of(rows for rows, _ in follow(online, recording.blocks()))


def assert_same(one: Tracks, other: Tracks) -> None:
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def of_stream(networks, recording: Recording, step_us: int) -> Tracks:
    online = Online(networks, recording.size, final_only=True)
    times = [*range(step_us, recording.stop_us, step_us), recording.stop_us]
    return rows_of(
        online.step(recording.between(start, stop), stop, at_end=stop == recording.stop_us)[0]
        for start, stop in zip([0, *times], times, strict=False)
    )


# --- what an allotment says ---------------------------------------------------------------------------------


@st.composite
def objects(draw: st.DrawFn) -> list[float]:
    number = lambda low, high: draw(st.floats(low, high, width=32))  # noqa: E731
    radius, gate = number(2, 16), number(0.5, 3)
    speed, bend = number(0, 2000), number(0, 20_000)
    return [
        number(-10, 110), number(-10, 70), speed, -speed / 3, bend, bend / 2, radius - gate, radius + gate,
        radius / 1.2, radius * 1.2,
    ]  # fmt: skip


@given(
    followed=st.lists(objects(), max_size=6),
    seed=st.integers(0, 1 << 30),
    signs=st.booleans(),
    radii=st.lists(st.floats(2, 20), min_size=1, max_size=8, unique=True).map(sorted),
)
def test_each_network_sees_what_the_rings_say(followed, seed, signs, radii):
    rng = np.random.default_rng(seed)
    start_us, stop_us, now_us, n = 1_020_000, 1_040_000, 1_000_000, 300
    t_us = np.sort(rng.integers(start_us, stop_us, n))
    x, y = (rng.integers(0, size, n).astype(np.uint16) for size in (100, 60))
    p = rng.integers(0, 2, n).astype(np.uint8) if signs else None
    allotment = Allotment(width=100, height=60, radii=radii, start_us=start_us, stop_us=stop_us, t_us=now_us,
                          followed=followed)  # fmt: skip
    found = allotment.columns(t_us, x, y, p)

    seen = np.zeros((len(radii), n), bool)
    s = (t_us - now_us) * 1e-6
    for at_x, at_y, vx, vy, ax, ay, least, most, smallest, largest in followed:
        d = np.hypot(x - (at_x + (vx + ax / 2 * s) * s), y - (at_y + (vy + ay / 2 * s) * s))
        about = [smallest <= radius <= largest for radius in radii]
        about[int(np.argmin(np.abs(np.log(np.array(radii) ** 2 / (smallest * largest)))))] = True
        seen |= np.outer(about, (max(least, 0.0) <= d) & (d <= most))
    seen[:, ~seen.any(axis=0)] = True
    assert len(found) == len(radii)
    for mine, columns in zip(seen, found, strict=True):
        for values, whole in zip(columns, (t_us, x, y, p), strict=True):
            if whole is None:
                assert values is None
            else:
                np.testing.assert_array_equal(values, whole[mine])


def test_an_allotment_of_too_many_networks_is_refused():
    assert module.MOST_ALLOTTED == Allotment.MOST
    with pytest.raises(ValueError, match="1 to 64 networks"):
        Allotment(width=9, height=9, radii=[3.0] * 65, start_us=0, stop_us=1, t_us=0, followed=[])


# --- what follows ------------------------------------------------------------------------------------------


@pytest.fixture
def given_events(monkeypatch) -> dict[float, int]:
    """How many events each network was given, by radius."""
    counts: dict[float, int] = {}
    step = native.step

    def counting(network, state, events, *more, **how):
        counts[network.radius_px] = counts.get(network.radius_px, 0) + len(events)
        return step(network, state, events, *more, **how)

    monkeypatch.setattr(native, "step", counting)
    return counts


def test_what_is_followed_is_given_to_the_networks_of_its_size_alone(networks, scene, given_events):
    recording, truth = scene
    tracks = of_file(networks, recording)
    shares = np.array([given_events[radius] for radius in RADII]) / len(recording)
    given_events.clear()
    everything = of_file(networks, recording, DEFAULTS.for_all_networks())
    assert [given_events[radius] for radius in RADII] == [len(recording)] * len(RADII)
    assert shares.sum() < 0.7 * len(RADII)
    assert shares.min() < 0.5
    mine, theirs = (evaluate(one, truth, BANDS) for one in (tracks, everything))
    assert mine.recall > theirs.recall - 0.01
    assert mine.precision > theirs.precision - 0.01
    assert mine.id_switches <= theirs.id_switches


def test_what_is_not_sure_is_given_to_all(networks, scene, given_events):
    recording, _ = scene
    of_file(networks, recording, Rules(allot_confidence=1.0))
    assert set(given_events.values()) == {len(recording)}


# What is silent, of how long: as long as it is decided ahead, and for one and more stretches, once and again and again.
SILENCES = {
    "long": lambda t_us: (t_us < 150_000) | (t_us > 230_000),
    "one stretch": lambda t_us: t_us // 20_000 % 4 != 2,
    "three stretches": lambda t_us: t_us // 20_000 % 7 < 4,
    "lone stretches": lambda t_us: t_us // 20_000 % 2 == 0,
}


@pytest.mark.parametrize("silence", SILENCES)
def test_whether_it_is_decided_follows_from_the_events_alone(networks, scene, monkeypatch, given_events, silence):
    """Whatever is decided: here, that the first network sees everything; and a detector may come late to it."""
    recording = scene[0].mask(SILENCES[silence](scene[0].t_us))

    def allotted(*_):
        time.sleep(0.01)
        return lambda events: [events, *[events.slice(0, 0)] * (len(networks) - 1)]

    monkeypatch.setattr(Detector, "allotment", allotted)
    of_file(networks, recording)
    counts = dict(given_events)
    assert (counts[RADII[1]] < len(recording)) == (silence != "lone stretches")
    for step_us in (1_000, 20_000, 100_000):
        given_events.clear()
        of_stream(networks, recording, step_us)
        assert given_events == counts


@pytest.mark.parametrize("silence", SILENCES)
@pytest.mark.parametrize("step_us", [1_000, 7_300, 20_000, 100_000, 10_000_000])
def test_a_stream_gives_the_rows_of_the_file_however_it_is_cut(
    networks, scene, step_us, silence, monkeypatch, given_events
):
    recording, _ = scene
    recording = recording.mask(SILENCES[silence](recording.t_us))
    whole = of_file(networks, recording)
    counts = dict(given_events)
    given_events.clear()
    # A detector that comes late to where it is decided.
    allotment = Detector.allotment
    monkeypatch.setattr(Detector, "allotment", lambda *told: time.sleep(0.01) or allotment(*told))
    assert_same(of_file(networks, recording), whole)
    assert given_events == counts
    given_events.clear()
    stream = of_stream(networks, recording, step_us)
    assert_same(stream, whole)
    assert given_events == counts
    assert len(whole) > 100


def test_networks_may_be_given_in_any_order(networks, scene):
    recording, _ = scene
    whole, turned = of_file(networks, recording), of_file(networks[::-1], recording)
    np.testing.assert_array_equal(whole.x_px, turned.x_px)


def test_networks_may_be_exchanged_for_others_in_any_order(networks, scene):
    recording, _ = scene
    found = []
    for others in (networks, networks[::-1]):
        online = Online(networks, recording.size, final_only=True)
        online.adopt(others, 150_000)
        found.append(rows_of(rows for rows, _ in follow(online, recording.blocks())))
    assert_same(*found)
    assert found[0].t_us.max() > 300_000


def test_no_more_threads_work_than_are_allowed(networks, scene, monkeypatch):
    given = []
    init = native.init
    monkeypatch.setattr(native, "init", lambda *told, threads: given.append(threads) or init(*told, threads=threads))
    for threads, each in ((1, 1), (3, 1), (9, 2)):
        monkeypatch.setenv("VELOCELL_THREADS", str(threads))
        Online(networks, scene[0].size)
        assert given == [each] * len(networks)
        given.clear()


def test_more_networks_than_bits_see_everything(networks, scene, monkeypatch):
    recording, _ = scene
    monkeypatch.setattr(module, "MOST_ALLOTTED", 3)
    online = Online(networks, recording.size)
    assert online.stretch_us is None
    assert len(rows_of(rows for rows, _ in follow(online, recording.blocks()))) > 100


def test_networks_side_by_side_give_the_same(networks, scene, monkeypatch):
    recording, _ = scene
    monkeypatch.setenv("VELOCELL_THREADS", "1")
    one = of_file(networks, recording)
    monkeypatch.setenv("VELOCELL_THREADS", "3")
    assert_same(of_file(networks, recording), one)
    monkeypatch.setenv("VELOCELL_THREADS", "many")
    with pytest.raises(EngineError, match="VELOCELL_THREADS='many' must be a number of threads"):
        of_file(networks, recording)
