"""The tracker's rules: documented, within limits, the same names in both layers, and each with the effect it states."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import Field, FrozenInstanceError, dataclass, fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from velocell import _native
from velocell.calibration import calibrate
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.data.tracks import Tracks
from velocell.errors import OptionError
from velocell.network import Network
from velocell.simulate import Occluder, Scene, SceneObject, random_scene, simulate
from velocell.tracking.detector import Detector
from velocell.tracking.online import Online, respond
from velocell.tracking.rules import DEFAULTS, UNITS, Rules

EDGES = (20.0, 80.0, 320.0)
RULES = fields(Rules)
TRACKERS = [rule for rule in RULES if rule.metadata["group"] != "networks"]
every_rule = pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])


@dataclass(frozen=True, eq=False)
class Stream:
    """A recording with its spikes; what follows it depends on the rules alone."""

    networks: Sequence[Network]
    recording: Recording
    spikes: Spikes

    @staticmethod
    def of(recording: Recording, *networks: Network) -> Stream:
        # As if calibrated on it: else the neurons have the last word on bands.
        networks = tuple(replace(one, origin=replace(one.origin, basis="measured")) for one in networks)
        online = Online(networks, recording.size)
        answers = [part for _, part, _ in respond(online, recording.blocks())]
        return Stream(networks, recording, Spikes.concatenate(answers))

    def follow(self, rules: Rules = DEFAULTS, every_us: int = 2_000) -> tuple[Tracks, np.ndarray]:
        detector = Detector(self.networks, self.recording.size, every_us, rules=rules)
        columns = detector.step(self.recording, self.spikes, self.recording.stop_us - 1)
        return Tracks.from_columns(columns), detector.passages()

    def tracks(self, **rules: float) -> Tracks:
        return self.follow(Rules(**rules))[0]

    def digest(self, rules: Rules = DEFAULTS) -> bytes:
        tracks, passages = self.follow(rules)
        return b"".join(values.tobytes() for values in tracks.columns().values()) + passages.tobytes()


def disk(radius: float, speed: float, **values: Any) -> SceneObject:
    where = {"x_px": 20.0, "y_px": 25.0, "heading_deg": 0.0, "contrast": 3.0}
    return SceneObject(radius_px=radius, speed_px_s=speed, **{**where, **values})


@pytest.fixture(scope="module")
def streams() -> list[Stream]:
    """Crossing disks of several contrasts, disks of several sizes, and objects of a wrong size, shape and speed."""
    bands = (*EDGES, 1280.0)
    noisy: dict[str, Any] = {"contrast": (1.0, 6.0), "noise_hz": 5.0, "separate": False}
    scene = random_scene(8, width=110, height=90, duration_us=600_000, speeds=(30, 900), seed=5, **noisy)
    crossing, _ = simulate(scene)
    noisy = {"radius": (4.0, 9.0), "noise_hz": 1.0}
    scene = random_scene(5, width=140, height=110, duration_us=400_000, speeds=(60, 900), seed=6, **noisy)
    sizes, _ = simulate(scene)
    odd = (
        disk(6.5, 150, id=0, heading_deg=20, contrast=2.0, shape="square"),
        disk(5.0, 40, id=1, x_px=60, heading_deg=70, contrast=1.0, stop_us=400_000),
        disk(5.0, 310, id=2, y_px=60),
    )
    wrong, _ = simulate(Scene(90, 80, 700_000, seed=8, noise_hz=0.5, objects=odd))
    passing = SceneObject(radius_px=5, path=((0, 20, 25), (225_000, 65, 25), (766_000, 130, 25)))
    post = Occluder(50, -1, 80, 60)
    hidden, _ = simulate(Scene(140, 50, 750_000, seed=9, noise_hz=0.5, objects=(passing,), occluders=(post,)))
    stops = SceneObject(radius_px=5, path=((0, 20, 25), (300_000, 80, 25), (600_000, 80, 25)))
    resting, _ = simulate(Scene(110, 50, 600_000, seed=10, noise_hz=0.5, objects=(stops,)))
    clear, shadow = disk(5.0, 150, id=0), disk(5.5, 150, id=1, y_px=39, contrast=1.0, edge_px=4.0, dark=True)
    shadows, _ = simulate(Scene(140, 60, 500_000, seed=11, noise_hz=0.5, objects=(clear, shadow)))
    return [
        Stream.of(resting, calibrate(EDGES, 5.0, crossing_share=0.9)),
        Stream.of(crossing, calibrate(bands, 5.0, crossing_share=1.0)),
        Stream.of(sizes, *(calibrate(bands, radius, crossing_share=1.0) for radius in (4.0, 5.5, 7.0, 9.0))),
        Stream.of(wrong, calibrate(EDGES, 5.0, crossing_share=0.9)),
        Stream.of(hidden, calibrate(EDGES, 5.0, crossing_share=0.9)),
        Stream.of(sizes.with_polarity("on"), calibrate(bands, 6.0, crossing_share=0.5)),
        Stream.of(sizes.with_polarity("drop"), calibrate(bands, 6.0, crossing_share=1.0, polarity=False)),
        Stream.of(shadows, calibrate(EDGES, 5.0, crossing_share=0.85)),
    ]


@pytest.fixture(scope="module")
def lone() -> Stream:
    """A disk of radius 5 at 100 px/s, for a second; it vanishes at 700 ms."""
    item = disk(5.0, 100, stop_us=700_000)
    return Stream.of(
        simulate(Scene(140, 50, 1_000_000, seed=4, objects=(item,)))[0], calibrate(EDGES, 5.0, crossing_share=1.0)
    )


# --- the table ------------------------------------------------------------------------------------------


@every_rule
def test_a_rule_is_documented_and_its_default_lies_within_its_limits(rule: Field[Any]):
    about = rule.metadata
    assert about["group"] in {
        "memories",
        "fits",
        "gates",
        "turns",
        "evidence",
        "births",
        "shadows",
        "deaths",
        "rows",
        "networks",
        "measuring",
    }
    assert re.fullmatch(r"[A-Za-z_]\w*,? .{10,}\.", about["doc"])
    assert about["least"] < about["most"]
    assert about["least"] <= rule.default <= about["most"]
    ending = UNITS[about["unit"]]
    others = tuple(other for other in UNITS.values() if other)
    assert rule.name.endswith(ending) if ending else not rule.name.endswith(others)


def test_both_layers_have_the_same_names_in_the_same_order():
    assert _native.Rules.names() == [rule.name for rule in RULES]


# --- reading and writing --------------------------------------------------------------------------------


def test_rules_survive_a_dictionary():
    rules = Rules(coast_px=8, confirm_spikes=7)
    assert Rules.from_dict(rules.to_dict()) == rules != DEFAULTS
    assert Rules.from_dict({}) == DEFAULTS
    assert Rules.from_dict({"coast_px": np.float32(8), "confirm_spikes": 7.0}) == rules
    assert type(rules.to_dict()["coast_px"]) is float
    assert type(Rules(confirm_spikes=7.0).confirm_spikes) is int


@pytest.mark.parametrize(
    "texts", [("coast_px=8", "confirm_spikes=7"), "coast_px=8,confirm_spikes=7", [" coast_px = 8e0 ,confirm_spikes=7"]]
)
def test_rules_are_read_from_texts(texts):
    assert Rules.parse(texts) == Rules(coast_px=8, confirm_spikes=7)
    assert Rules.parse(()) == DEFAULTS


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        ("coats_px=6", "there is no rule 'coats_px'; the closest name is coast_px"),
        ("confirm_spike=6", "there is no rule 'confirm_spike'; the closest name is confirm_spikes"),
        ("=6", "rule '=6' is not of the form NAME=VALUE; write it as coast_px=6"),
        ("coast_px", "rule 'coast_px' is not of the form NAME=VALUE; write it as coast_px=6"),
        ("coast_px=", "rule 'coast_px=' is not of the form NAME=VALUE; write it as coast_px=6"),
        ("", "rule '' is not of the form NAME=VALUE; write it as coast_px=6"),
        ("coast_px=six", "rule coast_px is 'six'; it must be a finite number"),
        ("coast_px=inf", "rule coast_px is inf; it must be a finite number"),
        ("coast_px=nan", "rule coast_px is nan; it must be a finite number"),
        ("coast_px=-1", "rule coast_px is -1 px; it must be 0 to 1000 px"),
        ("row_support=2", "rule row_support is 2; it must be 0 to 1"),
        ("confirm_spikes=2.5", "rule confirm_spikes is 2.5 spikes; it must be a whole number"),
        (["coast_px=6", "coast_px=7"], "rule coast_px is given twice; give it once"),
        (
            "short_memory_px=8",
            "rule short_memory_px is 8 and long_memory_px 8; short_memory_px must be the smaller one",
        ),
        (
            "min_event_density=17",
            "rule min_event_density is 17 and max_event_density 16; min_event_density must be the smaller one",
        ),
    ],
)
def test_a_wrong_text_gives_one_sentence(texts, sentence):
    with pytest.raises(OptionError) as error:
        Rules.parse(texts)
    assert str(error.value) == sentence


@every_rule
def test_limits_hold_however_rules_are_made(rule: Field[Any]):
    for value in (rule.metadata["least"] - 1, rule.metadata["most"] + 1, math.nan, math.inf, 10**400, None, "1", True):
        with pytest.raises(OptionError, match=f"^rule {rule.name} is "):
            Rules(**{rule.name: value})
        with pytest.raises(OptionError, match=f"^rule {rule.name} is "):
            replace(DEFAULTS, **{rule.name: value})
    with pytest.raises(FrozenInstanceError):
        setattr(DEFAULTS, rule.name, 1)


def test_an_unknown_name_in_a_dictionary_is_refused():
    with pytest.raises(OptionError, match="there is no rule 'kCoast'"):
        Rules.from_dict({"kCoast": 4})
    with pytest.raises(OptionError, match="there is no rule 4"):
        Rules.from_dict({4: 4})


# --- the core's side ------------------------------------------------------------------------------------


def test_the_core_wants_every_rule_and_no_other():
    values = DEFAULTS.to_dict()
    coast = values.pop("coast_px")
    with pytest.raises(ValueError, match="a rule is missing: coast_px"):
        _native.Rules(values)
    with pytest.raises(ValueError, match="an unknown rule: coats_px"):
        _native.Rules({**DEFAULTS.to_dict(), "coats_px": coast})
    with pytest.raises(ValueError, match="a rule is missing: coast_px"):
        _native.Rules({**values, "coats_px": coast})
    with pytest.raises(TypeError):
        _native.Tracker(width=4, height=4, every_us=1, dt_us=1, radii=[5.0], edges=[1.0, 2.0], offset=0.0)


@given(
    radius=st.floats(0.5, 100),
    gate=st.floats(0.1, 50),
    radii=st.floats(0, 1),
    most=st.floats(0.05, 1),
)
def test_the_wide_gate_is_the_one_stated(radius, gate, radii, most):
    rules = Rules(wide_gate_px=gate, wide_gate_radii=radii, max_wide_gate_radii=most)
    assert rules.wide_gate(radius) == pytest.approx(sorted([gate, radii * radius])[1] if gate < most * radius
                                                    and radii < most else most * radius)  # fmt: skip
    assert DEFAULTS.wide_gate(4) == pytest.approx(2.8)
    assert DEFAULTS.wide_gate(10) == pytest.approx(3.5)
    assert DEFAULTS.wide_gate(40) == pytest.approx(10)


# --- effects --------------------------------------------------------------------------------------------

# Where the limits themselves are no valid value beside the other rules, or change nothing in these streams.
TRIED = {
    "short_memory_px": (7.0,),
    "least_memory_px": (7.0,),
    "long_memory_px": (4.0,),
    "curve_memory_px": (9.0, 100.0),
    "max_event_density": (0.4,),
}


# What other rules must be, so that a value of this one is valid, or matters.
SHORT = {"least_memory_px": 0.3, "short_memory_px": 0.3, "long_memory_px": 0.5}
BESIDE = {
    "min_event_density": {"max_event_density": 10_000},
    "jammed_odds": {"max_tentative_tracks": 1},
    "jammed_travel_px": {"max_tentative_tracks": 1},
    "jammed_scatter": {"max_tentative_tracks": 1},
    "max_speed_edges": SHORT,
    "inherit_radii": {"keep_travel_px": 10_000},  # what has come some way has its id in another way, too
}


# Those of several networks: test_allotment.py.
@pytest.mark.parametrize("rule", TRACKERS, ids=[rule.name for rule in TRACKERS])
def test_every_rule_changes_rows_or_measurements(streams, rule: Field[Any]):
    beside = BESIDE.get(rule.name, {})
    changed = [
        Rules(**{**beside, rule.name: value})
        for value in TRIED.get(rule.name, (rule.metadata["least"], rule.metadata["most"]))
    ]
    same = usual if not beside else lambda stream: stream.digest(Rules(**beside))
    assert any(stream.digest(rules) != same(stream) for rules in changed for stream in streams)


_usual: dict[int, bytes] = {}


def usual(stream: Stream) -> bytes:
    """The digest with the usual rules."""
    return _usual.setdefault(id(stream), stream.digest())


def test_the_usual_rules_need_not_be_named(streams):
    for stream in streams:
        assert len(stream.tracks())
        assert stream.digest(Rules.from_dict(DEFAULTS.to_dict())) == stream.digest()


def test_more_spikes_to_be_confirmed_delay_the_first_row(lone):
    first = [lone.tracks(confirm_spikes=spikes).t_us[0] for spikes in (1, 5, 40, 160)]
    assert first == sorted(first)
    assert first[0] < first[2] < first[3]
    assert len(lone.tracks(confirm_spikes=10_000)) == 0
    # So many spikes have come by then, and fewer two rows before.
    times = np.sort(lone.spikes.final().t_us)
    assert times[39] < first[2]
    assert times[159] < first[3]


@pytest.mark.parametrize("px", [10, 20])
def test_an_object_without_events_is_kept_for_coast_px(lone, px):
    patient = {"quiet_px": 1000, "unsupported_quiet_px": 1000, "misfit_px": 1000, "misfit_quiet_px": 1000}
    tracks = lone.tracks(coast_px=px, row_support=0, row_odds=-100, **patient)
    lasted_s = (tracks.t_us[-1] - 700_000) * 1e-6
    assert lasted_s == pytest.approx(px / 100, abs=0.035)
    assert len(np.unique(tracks.id)) == 1


@pytest.mark.parametrize("px", [6, 12])
def test_an_object_without_spikes_is_kept_for_quiet_px(lone, px):
    early = lone.spikes.t_us < 400_000
    until = lone.spikes.final().t_us[lone.spikes.final().t_us < 400_000].max()
    spikes = lone.spikes
    heard = Spikes(
        **{name: value[early] if isinstance(value, np.ndarray) else value for name, value in vars(spikes).items()}
    )
    tracks = replace(lone, spikes=heard).tracks(quiet_px=px, misfit_quiet_px=px)
    assert (tracks.t_us[-1] - until) * 1e-6 == pytest.approx(px / 100, abs=0.025)


def test_a_radius_is_followed_up_to_its_limit():
    item = disk(6.5, 100)
    stream = Stream.of(
        simulate(Scene(140, 50, 900_000, seed=4, objects=(item,)))[0], calibrate(EDGES, 5.0, crossing_share=1.0)
    )
    assert stream.tracks(max_radius=1.2, max_stretch_radii=0).radius_px.max() == pytest.approx(6.0)
    assert np.median(stream.tracks(max_radius=1.5, max_stretch_radii=0).radius_px) == pytest.approx(6.5, abs=0.3)
    assert stream.tracks(max_radius=1.1, max_stretch_radii=0).radius_px.max() == pytest.approx(5.5)


def test_tracks_are_limited_in_number(streams):
    tracks = streams[1].tracks(max_tracks=1)
    assert len(tracks)
    assert np.unique(tracks.t_us).size == len(tracks)


def test_objects_are_measured_after_measure_px(lone):
    _, usual_passages = lone.follow()
    assert usual_passages.shape == (1, 9)
    assert len(lone.follow(Rules(measure_px=1000))[1]) == 0


@st.composite
def any_rules(draw: st.DrawFn) -> Rules:
    """Some rules anywhere within their limits."""
    names = draw(st.lists(st.sampled_from([rule.name for rule in RULES]), max_size=12, unique=True))
    values = {}
    for rule in (rule for rule in RULES if rule.name in names):
        least, most = rule.metadata["least"], rule.metadata["most"]
        numbers = st.integers(least, most) if isinstance(rule.default, int) else st.floats(least, most)
        values[rule.name] = draw(numbers | st.sampled_from([least, most]))
    shorter = max(values.get("short_memory_px", 3.5), values.get("least_memory_px", 3.0))
    if not shorter < values.get("long_memory_px", 8.0) < values.get("curve_memory_px", 16.0):
        values |= {"least_memory_px": 1.0, "short_memory_px": 2.0, "long_memory_px": 4.0, "curve_memory_px": 8.0}
    if values.get("min_event_density", 0.35) >= values.get("max_event_density", 16.0):
        values |= {"min_event_density": 0.2, "max_event_density": 20.0}
    return Rules(**values)


@given(rules=any_rules())
@settings(deadline=None, max_examples=60)
def test_no_rules_within_their_limits_upset_the_core(streams, rules):
    for stream in streams[1:]:
        tracks, _ = stream.follow(rules)
        assert (np.diff(tracks.t_us) >= 0).all()
        assert ((tracks.confidence >= 0) & (tracks.confidence <= 1)).all()
        radii = [network.radius_px for network in stream.networks]
        assert (tracks.radius_px <= rules.max_radius**2 * max(radii) * (1 + 1e-9)).all()
        assert (tracks.radius_px >= rules.min_radius**2 * min(radii) * (1 - 1e-9)).all()
