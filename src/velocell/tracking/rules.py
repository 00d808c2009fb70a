"""The rules of the tracker: every threshold and memory, with its value, unit, meaning and limits.

This is the only place that has them. The C++ core (`native/tracker/rules.hpp`) lists the names alone and is given
the values, so that a new rule is a field here, a name there, and the line that uses it. The formulas that several
rules make (`Rules.wide_gate`) are written in the core and asked for from here.

Most lengths are pixels of travel and not times: an object ten times as fast is followed by the same rules.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields, replace
from difflib import get_close_matches
from functools import lru_cache, partial
from typing import Any

from velocell.errors import OptionError

UNITS = {
    "px": "_px",
    "px^2": "_px2",
    "s": "_s",
    "radii": "_radii",
    "edges": "_edges",
    "sigmas": "_sigmas",
    "events": "_events",
    "spikes": "_spikes",
    "tracks": "_tracks",
    "": "",
}
"""Units of rules and how the names of such rules end. radii: of the object; edges: of the band edge."""

ANSWER_SPIKES = 2
"""Spikes of a channel over `vote_memory_px` of travel that count as an answer, where answers are counted: a lone one
is none. The tracker has no such limit, it weighs all votes."""

JUDGED_PX = 10.0
"""`quiet_px`, at most, where networks are judged by what they answer, and where these were not calibrated."""

NEVER_SIGMAS = 1e6
"""Standard errors that never come: with `own_band_sigmas` and `changed_band_sigmas` so large, bands are the neurons'
own."""

EVERY_RATIO = 1000.0
"""`allot_ratio` at which each of several networks sees all events."""


def _rule(default: float, unit: str, least: float, most: float, doc: str, *, group: str) -> Any:
    """A field of `Rules`. unit: of `UNITS`. least, most: limits, both allowed. doc: one sentence."""
    return field(
        default=default,
        metadata={"group": group, "unit": unit, "least": least, "most": most, "doc": " ".join(doc.split())},
    )


_memory = partial(_rule, group="memories")
_fit = partial(_rule, group="fits")
_gate = partial(_rule, group="gates")
_turn = partial(_rule, group="turns")
_evidence = partial(_rule, group="evidence")
_birth = partial(_rule, group="births")
_shadow = partial(_rule, group="shadows")
_death = partial(_rule, group="deaths")
_row = partial(_rule, group="rows")
_allot = partial(_rule, group="networks")
_measure = partial(_rule, group="measuring")

# The first must be less than the second, whatever their own limits allow.
_INCREASING = (
    ("short_memory_px", "long_memory_px"),
    ("least_memory_px", "long_memory_px"),
    ("long_memory_px", "curve_memory_px"),
    ("min_event_density", "max_event_density"),
)


@dataclass(frozen=True)
class Rules:
    """Thresholds and memories of the tracker; `dataclasses.fields` gives each with group, unit, limits and meaning.

    A memory is the travel (px) after which a weight has fallen to 1/e. A track is tentative until it is confirmed:
    only then does it get an id and rows. Support is the number of events on its ring lately, as a share of its usual
    number per px of travel. Raises OptionError where a value is no finite number or beyond its limits.
    """

    # --- memories: how soon what is known of an object fades ---
    long_memory_px: float = _memory(
        8.0,
        "px",
        0.5,
        1000,
        "Memory of the long fit, which gives speed and heading; a restart counts as over after it.",
    )
    least_memory_px: float = _memory(
        3.0, "px", 0.2, 1000, "To how little the memory of the long fit is cut where the acceleration changes."
    )
    short_memory_px: float = _memory(
        3.5,
        "px",
        0.2,
        999,
        "Memory of the short fit, which gives the position and decides which events are the object's.",
    )
    turn_memory_px: float = _memory(
        0.7, "px", 0.05, 100, "Memory of the shift of the newest events against the fit, which shows a turn."
    )
    curve_memory_px: float = _memory(
        16.0,
        "px",
        1,
        1000,
        "Memory of the longest fit, which gives the acceleration that the long fit expects; longer than that one's.",
    )
    field_memory_px: float = _memory(
        40.0, "px", 1, 10_000, "Memory of how the acceleration depends on the place along the path."
    )
    evidence_memory_px: float = _memory(8.0, "px", 0.2, 1000, "Memory of the evidence that an object is a disk.")
    cluster_px: float = _memory(2.0, "px", 0.1, 100, "Travel over which the pull of the events on a fit is summed.")
    clustering_memory_px: float = _memory(
        40.0, "px", 1, 10_000, "Memory of how the pulls and the speeds scatter, which gives the error of a speed."
    )
    vote_memory_px: float = _memory(8.0, "px", 1, 1000, "Memory of the spikes' votes for a band, at most.")
    min_vote_memory_px: float = _memory(0.5, "px", 0.05, 1, "Memory of the votes of an object that has just appeared.")
    vote_memory_growth: float = _memory(
        0.5, "", 0, 10, "By how much the memory of the votes grows per px of travel, until vote_memory_px."
    )
    support_memory_px: float = _memory(2.0, "px", 0.1, 1000, "Memory of the number of events lately.")
    usual_memory_px: float = _memory(
        20.0,
        "px",
        1,
        10_000,
        "Memory of the usual number of events, of their scatter across the ring and of the radius.",
    )
    spike_memory_px: float = _memory(1.0, "px", 0.05, 100, "Memory of where the spikes lie against the fit.")

    # --- fits: when they are solved, and what they start from ---
    refit_px: float = _fit(0.4, "px", 0.01, 10, "Travel after which the fits are solved again.")
    refit_events: int = _fit(
        8, "events", 1, 10_000, "Events after which the fits are solved again, if they come first."
    )
    max_step_px: float = _fit(4.0, "px", 0.5, 100, "Travel that one step counts at most, as after a silence.")
    max_speed_edges: float = _fit(2.0, "edges", 1, 100, "Fastest speed of a fit, as a multiple of the fastest edge.")
    min_pace_edges: float = _fit(
        0.7, "edges", 0.01, 10, "Slowest speed at which memories fade, as a multiple of the lower edge of its band."
    )
    settle_events: float = _fit(
        8.0,
        "events",
        0,
        1000,
        "Events after which a fit has left the pixel of its first spike and its movement counts.",
    )
    birth_sigma_px: float = _fit(1.0, "px", 0.05, 50, "How far off the position of a first spike may be, one sigma.")
    restart_sigma_px: float = _fit(0.7, "px", 0.05, 50, "How far off the position after a restart may be, one sigma.")
    restart_pace: float = _fit(
        0.7, "", 0, 1, "Share of the speed before a restart at which memories fade at least until it is over."
    )
    scatter_prior_px2: float = _fit(
        0.075, "px^2", 0.0001, 100, "Variance of the events across the ring that is assumed at first."
    )
    scatter_prior_events: float = _fit(
        4.0, "events", 0.01, 1000, "Events that the assumed variance across the ring weighs as much as."
    )
    curve_solve_px: float = _fit(
        0.3, "px", 0.01, 10, "Travel after which the fit with an acceleration is solved again."
    )
    acceleration_sigmas: float = _fit(
        4.0, "sigmas", 0, 100, "Standard errors below which a measured acceleration is taken for none."
    )
    start_error_px: float = _fit(
        2.0,
        "px",
        0,
        100,
        """Standard error of an acceleration that the first diameter of travel shows, beside that by scatter, for a
        memory of 1 px at 1 px/s: until the edge behind meets pixels that the one ahead has crossed, what real pixels
        show shifts along the path, by .2 to .5 px.""",
    )
    steady_prior: float = _fit(
        1.0,
        "",
        0.01,
        1000,
        "How many comparisons the assumption weighs as much as that an acceleration does not change.",
    )
    change_px: float = _fit(
        8.0, "px", 0, 1000, "Travel since a fit began after which a change of its acceleration can be seen."
    )
    forecast_px: float = _fit(
        4.0,
        "px",
        0.5,
        100,
        "Travel after which it is seen which of two paths an object took: with the acceleration that was expected, or "
        "with that which its events showed.",
    )
    clustering_prior: float = _fit(
        0.5, "", 0.01, 1000, "Weight of the scatter of pulls, in comparisons of one speed with the next."
    )
    even_pull: float = _fit(
        0.3, "", 0.001, 100, "Variance of the pulls over that of independent events that is assumed at first."
    )
    even_pulls: float = _fit(4.0, "", 0.01, 1000, "How many pulls the assumed variance weighs as much as.")
    radius_prior_px: float = _fit(
        2.0, "px", 0.01, 1000, "Travel whose edge crossings, all seen, weigh as much as the stated radius."
    )
    stretch_prior: float = _fit(
        0.1, "", 0.001, 1000, "Weight of the assumption that an object is round, over that of the stated radius."
    )
    max_stretch_radii: float = _fit(
        0.5, "radii", 0, 0.9, "By how much an object may be longer or shorter along its heading, at each end."
    )
    min_radius: float = _fit(0.8, "", 0.2, 1, "Smallest radius that is followed, as a share of the stated one.")
    max_radius: float = _fit(1.2, "", 1, 5, "Largest radius that is followed, as a multiple of the stated one.")
    resize: float = _fit(
        0.08,
        "",
        0.001,
        1,
        "Share by which a measured radius differs when it becomes the stated one, among several sizes.",
    )

    # --- gates: which events and spikes belong to an object ---
    narrow_gate_px: float = _gate(
        2.0, "px", 0.1, 50, "Largest distance from the ring within which an event enters the long fit."
    )
    narrow_gate_radii: float = _gate(
        0.5, "radii", 0.02, 1, "narrow_gate_px in radii of the object; the smaller of the two holds."
    )
    wide_gate_px: float = _gate(3.5, "px", 0.1, 50, "Distance from the ring within which an event is the object's.")
    wide_gate_radii: float = _gate(
        0.25, "radii", 0, 1, "wide_gate_px in radii of the object; the larger of the two holds."
    )
    max_wide_gate_radii: float = _gate(0.7, "radii", 0.05, 1, "Distance that the wide gate never exceeds.")
    centre_px: float = _gate(
        0.5, "px", 0.001, 10, "Events nearer to the centre than this give no direction and enter no fit."
    )
    unclear_px: float = _gate(
        1.0,
        "px",
        0,
        50,
        "An event that is nearer to one ring than to another by less than this is of both and fits neither.",
    )
    crowded_px: float = _gate(
        3.0, "px", 0, 100, "Travel after an unclear event for which a path is held and no turn is seen."
    )
    shared_event: float = _gate(0.5, "", 0, 1, "What an unclear event counts for the support of either object.")
    reach_px: float = _gate(
        4.0,
        "px",
        0.1,
        50,
        "Distance from the centre within which a spike is the object's: how far it has gone aside when the neurons "
        "answer after a turn.",
    )
    reach_radii: float = _gate(0.8, "radii", 0, 2, "reach_px in radii of the object; the larger of the two holds.")
    smaller_ring_radii: float = _gate(
        0.75,
        "radii",
        0,
        1,
        "Spikes for a smaller radius than this see parts of an object only; the other way round, too.",
    )
    size_vote_radii: float = _gate(
        0.1, "radii", 0.001, 100, "Spikes for a radius that is off by so many radii vote with a weight of 1/e."
    )
    grid_margin_px: float = _gate(
        2.0, "px", 0.01, 100, "Way after which an object is entered in the grid of cells anew."
    )
    grid_spare_px: float = _gate(
        2.0, "px", 0, 100, "Distance beyond gate and margin at which cells still list an object."
    )

    # --- turns: when a fit begins anew ---
    turn_shift_px: float = _turn(
        0.5, "px", 0.01, 50, "Shift of the newest events against the fit from which on it is a turn."
    )
    turn_scatter: float = _turn(
        1.0, "", 0, 100, "Shift that a turn must have as well, in standard deviations of the events across the ring."
    )
    turn_others: float = _turn(
        1.0,
        "",
        0,
        10,
        """How far from the ring, in gates, events beyond the usual number may lie, as those of a drop that passes by: a
        shift that they can make is no turn.""",
    )
    turn_sigmas: float = _turn(
        3.0, "sigmas", 0, 100, "Shift that a turn must have as well, in standard errors of the shift."
    )
    turn_prior_events: float = _turn(
        1.0, "events", 0.01, 1000, "Events that the assumption of no shift weighs as much as."
    )
    turn_lag_px: float = _turn(0.5, "px", 0, 10, "Travel since a turn when it is seen, on average.")
    swing_px: float = _turn(
        2.0,
        "px",
        0,
        100,
        "Way to or from the point at which its acceleration turns an object round, within which no other turn is seen.",
    )
    split_px: float = _turn(
        1.0, "px", 0.01, 100, "Distance between the two fits beyond which the long one begins anew from the short one."
    )
    split_radii: float = _turn(0.2, "radii", 0, 10, "split_px in radii of the object; the larger of the two holds.")
    relocate_spikes: float = _turn(
        2.0, "spikes", 0, 1000, "Spikes, less those that have faded, beyond which they can show that a fit is lost."
    )
    relocate_px: float = _turn(
        1.5,
        "px",
        0.01,
        100,
        "Distance of the spikes from the fit, on average, from which on it is lost and restarts at them.",
    )
    relocate_radii: float = _turn(
        0.45, "radii", 0, 10, "relocate_px in radii of the object; the larger of the two holds."
    )

    # --- evidence: is it a disk? Weights from a regression over simulated and real recordings (docs/real.md) ---
    silence_px: float = _evidence(
        3.0, "px", 0, 100, "Travel for which a pixel was silent where its next event is a new edge crossing."
    )
    flip_radii: float = _evidence(
        0.3, "radii", 0, 10, "Travel since a crossing began after which a change of polarity begins another one."
    )
    crossing_px: float = _evidence(
        2.0,
        "px",
        0,
        100,
        "Travel since a crossing began up to which its events measure the object; later ones trail behind the edge.",
    )
    around_px: float = _evidence(3.0, "px", 0.5, 100, "Width of the band outside the gate that tells what is around.")
    evidence_prior_events: float = _evidence(
        2.0, "events", 0.01, 1000, "Crossings that are added on the ring and around it, before they are compared."
    )
    least_share: float = _evidence(
        0.8, "", 0.01, 1, "Share of its crossings that an object is taken to show at least, where sides are compared."
    )
    usual_share: float = _evidence(
        0.85,
        "",
        0.01,
        1,
        "Share of its crossings that an object usually shows; where calibration measured fewer, as much less is asked "
        "of an object (least_share, min_event_density, the excess).",
    )
    unknown_faces: float = _evidence(0.5, "", -1, 1, "What is assumed of the two sides where events have no polarity.")
    one_face: float = _evidence(0.33, "", -1, 1, "What is assumed of the two sides where all events have one polarity.")
    one_polarity_share: float = _evidence(
        0.01, "", 0, 1, "Share of the other polarity's events below which events have one polarity."
    )
    odds_base: float = _evidence(-2.9, "", -100, 100, "Log odds of an object of which nothing is known.")
    odds_excess: float = _evidence(
        2.4, "", 0, 100, "By how much a ring raises the odds that has all its crossings beyond those around it."
    )
    odds_isolation: float = _evidence(
        0.4, "", 0, 100, "By how much it raises the odds to be e times as busy as what is around."
    )
    odds_faces: float = _evidence(
        4.5, "", 0, 100, "By how much it raises the odds that ahead is one polarity and behind the other."
    )

    # --- births: when a track is confirmed, and found again ---
    confirm_spikes: int = _birth(5, "spikes", 1, 10_000, "Spikes a tentative track needs to be confirmed.")
    confirm_quiet_px: float = _birth(
        1.5, "px", 0.01, 100, "Travel since its last spike up to which a tentative track is confirmed."
    )
    confirm_travel_px: float = _birth(
        1.2, "px", 0, 1000, "Distance from its start that a tentative track must have gone."
    )
    confirm_offset_radii: float = _birth(
        0.5, "radii", 0, 10, "How far the spikes of a tentative track may lie from its fit on average."
    )
    min_event_density: float = _birth(
        0.35, "", 0, 100, "Events per edge crossing that a tentative track needs; fewer are noise."
    )
    max_event_density: float = _birth(
        16.0, "", 0.01, 10_000, "Events per edge crossing that a tentative track may have; more are flicker."
    )
    min_speed_edges: float = _birth(
        0.5,
        "edges",
        0,
        1,
        "Slowest speed of a moving object and of its rows, as a multiple of the lower edge of its band.",
    )
    confirm_odds: float = _birth(1.5, "", -100, 100, "Log odds of a disk that a tentative track needs.")
    confirm_sigmas: float = _birth(
        3.0, "sigmas", 0, 100, "Standard errors by which a tentative track's speed must differ from none."
    )
    lost_support: float = _birth(0.6, "", 0, 1, "Support below which an object may have been lost.")
    recapture_radii: float = _birth(
        2.0, "radii", 0, 10, "A spike within so many radii of a lost object finds it again."
    )
    inherit_radii: float = _birth(
        2.5, "radii", 0, 100, "A track that is confirmed within so many radii of a lost object takes over its id."
    )
    keep_s: float = _birth(
        2.0, "s", 0, 100_000, "How long an object that rests or is hidden is known again under its id; 0 never."
    )
    keep_travel_px: float = _birth(
        12.0, "px", 0, 10_000, "Travel for which an object must have been followed for that."
    )
    keep_radii: float = _birth(
        1.5, "radii", 0, 100, "Distance from where an object rests, or from its way, within which it is known again."
    )
    keep_speed: float = _birth(
        0.3,
        "",
        0,
        10,
        "Share by which the way of an object that was hidden may differ from what its speed makes.",
    )
    keep_velocity: float = _birth(
        0.8,
        "",
        0,
        10,
        "Share of its speed by which its velocity over the first px may differ from what it was.",
    )
    same_radius: float = _birth(0.25, "", 0, 10, "Share by which its radius may differ.")
    same_signature: float = _birth(
        1.0,
        "",
        0,
        2,
        "How far its polarity signature may differ: 1 where ON is ahead and OFF behind, -1 the other way round.",
    )
    rest_lean: float = _birth(
        0.4,
        "",
        0,
        2,
        "How far the directions of its last events may be off the usual ones where it stopped: if one side went first, "
        "it is hidden.",
    )
    max_tracks: int = _birth(16_384, "tracks", 1, 100_000, "Tracks at one time; further spikes start none.")
    max_tentative_tracks: int = _birth(
        8,
        "tracks",
        1,
        100_000,
        """Tentative tracks that may have one place (16 px) in their surroundings; a spike there that belongs to none of
        them starts one only instead of the weakest.""",
    )
    give_way_px: float = _birth(
        5.0, "px", 0, 1000, "Travel after which a tentative track may have to give way to another."
    )

    jammed_odds: float = _birth(
        2.0,
        "",
        0,
        100,
        """Log odds that a tentative track needs beyond `confirm_odds` where its place has been too full for others:
        spikes that come from everywhere say less, and of many candidates some look like a disk by chance.""",
    )
    jammed_travel_px: float = _birth(
        8.0,
        "px",
        0,
        1000,
        """Distance from its start that such a track must have gone, beside `confirm_travel_px`: what looks like a disk
        by chance does so for less than the memory of the evidence.""",
    )

    jammed_scatter: float = _birth(
        0.5,
        "",
        0.001,
        1000,
        """Variance of its events across the ring, over that of events that come anywhere in its gate, from which on
        such a track needs all of that; below, as much less: what looks like a disk by chance has few close to its
        ring.""",
    )

    # --- shadows: what is softer and fainter than an object beside it, and moves with it, has no rows ---
    shadow_radii: float = _shadow(
        4.0, "radii", 0, 100, "Largest distance between an object and its shadow; at 0 shadows have rows, too."
    )
    shadow_share: float = _shadow(
        0.5, "", 0, 1, "Events per edge crossing that a shadow shows at most, over those of its object."
    )
    shadow_scatter: float = _shadow(
        2.0, "", 0.001, 1000, "Variance of a shadow's events across its ring at least, over that of its object's."
    )
    shadow_speed: float = _shadow(
        0.1, "", 0, 10, "Share of its object's speed by which a shadow's velocity may differ, beside shadow_sigmas."
    )
    shadow_sigmas: float = _shadow(
        2.0, "sigmas", 0, 100, "Standard errors of a shadow's speed by which its velocity may differ, too."
    )

    # --- deaths: when a track is given up ---
    upkeep_px: float = _death(
        4.0, "px", 0.01, 100, "Travel at the fastest edge between two looks at births and deaths."
    )
    coast_px: float = _death(4.0, "px", 0, 1000, "Travel without an event for which an object is kept.")
    tentative_quiet_px: float = _death(
        3.0, "px", 0, 1000, "Travel without a spike for which a tentative track is kept."
    )
    quiet_px: float = _death(
        40.0,
        "px",
        0,
        1000,
        """Travel without a spike for which an object is kept whose events look like a disk, at most 10 px with a
        network that was not calibrated on the recording. Neurons miss weak edges:
        on a DAVIS346, of disks 1.6 times as bright as the background, 10 px lose .1 more of the rows and keep no false
        track away.""",
    )
    misfit_quiet_px: float = _death(
        6.0, "px", 0, 1000, "Travel without a spike for which an object is kept that was a misfit lately."
    )
    unsupported_quiet_px: float = _death(
        4.0, "px", 0, 1000, "Travel without a spike for which an object is kept whose support is below min_support."
    )
    min_support: float = _death(0.2, "", 0, 1, "Support below which an object is unsupported.")
    misfit_odds: float = _death(0.0, "", -100, 100, "Log odds of a disk below which an object is a misfit.")
    misfit_px: float = _death(
        4.0, "px", 0, 1000, "Travel, beside one radius, for which an object may be a misfit or too slow."
    )
    double_radii: float = _death(
        0.6, "radii", 0, 2, "Distance within which two tracks are one object, of which the older one is kept."
    )
    crossing_speed: float = _death(
        0.3,
        "",
        0,
        10,
        "Difference of two velocities, over the speed of the older track, beyond which its object and another cross.",
    )

    # --- rows: what is reported of an object ---
    row_support: float = _row(0.35, "", 0, 1, "Support that an object needs to have a row.")
    row_odds: float = _row(0.0, "", -100, 100, "Log odds of a disk that an object needs to have a row.")
    rest_error_px: float = _row(
        1.0,
        "px",
        0,
        100,
        "Way that shows by events: an object that made none for it may rest, and then has this error, over the time.",
    )
    rest_confidence: float = _row(
        0.5, "", 0, 1, "Confidence that an object must have had when it was last seen, to have rows where it rests."
    )
    brake_share: float = _row(
        0.5,
        "",
        0,
        10,
        "Share of its speed so far below which an object brakes: at rest it is as sure as on its way before.",
    )
    support_min_events: float = _row(
        1.0, "events", 0, 1000, "Edge crossings that must be expected lately before support says anything."
    )
    min_votes: float = _row(0.05, "", 0, 100, "Votes, less those that have faded, beyond which a track has a band.")
    band_tolerance: float = _row(
        0.1, "", 0, 0.9, "Share of an edge by which a measured speed may lie outside its band and still agree with it."
    )
    off_band_confidence: float = _row(0.5, "", 0, 1, "Factor of the agreement where speed and band do not agree.")
    off_band_sigmas: float = _row(
        2.0,
        "sigmas",
        0,
        100,
        "Errors by which a speed must lie outside the band that the neurons voted for to be marked as against it.",
    )
    own_band_sigmas: float = _row(
        2.0,
        "sigmas",
        0,
        NEVER_SIGMAS,
        """The same, without `band_tolerance`, so that the row has the band of the speed, where the network was
        calibrated on the recording. Fewer where the speed is known better than to `band_tolerance`, which is how well
        the neurons know an edge.""",
    )
    changed_band_sigmas: float = _row(
        0.0,
        "sigmas",
        0,
        NEVER_SIGMAS,
        "own_band_sigmas of a speed that changes: the neurons' votes are a few px old.",
    )
    confidence_odds_slope: float = _row(2.4, "", 0.01, 100, "Slope of the confidence's log odds over those of a disk.")
    even_odds: float = _row(1.0, "", -100, 100, "Log odds of a disk at which the confidence is half of what it can be.")
    confidence_standing_slope: float = _row(
        15.0, "", 0.01, 1000, "Slope of the confidence's log odds over support times agreement."
    )
    even_standing: float = _row(
        0.5, "", 0, 1, "Support times agreement at which the confidence is half of what it can be."
    )
    bend_error: float = _row(
        0.04, "", 0, 10, "Error of a speed on a curved path, as a share of it, per squared radian of turn in a memory."
    )

    doubt_sigmas: float = _row(
        2.0,
        "sigmas",
        0,
        100,
        "Errors by which its events must show another acceleration than its speed has; beyond, the stated error grows.",
    )

    response_s: float = _row(
        0.0005,
        "s",
        0,
        1,
        "How late pixels may answer, one sigma: what they show of a speed that changes is as old. A DAVIS346 in good "
        "light is 0.8 ms late.",
    )

    # --- several networks: which of them see the events of an object that is followed ---
    allot_ratio: float = _allot(
        1.16,
        "",
        1,
        EVERY_RATIO,
        "Of two radii, an object's and a network's: beyond it the network does not see the events on the ring of the "
        "object. 1000: every network sees all events.",
    )
    allot_confidence: float = _allot(
        0.5, "", 0, 1, "Confidence in an object at which the networks for other radii see no more of it."
    )

    # --- measuring: what objects tell of the recording ---
    measure_support: float = _measure(0.5, "", 0, 1, "Support above which events and edge crossings are counted.")
    measure_px: float = _measure(5.0, "px", 0, 1000, "Travel after which an object tells of contrast and radius.")

    def __post_init__(self) -> None:
        for rule in fields(self):
            object.__setattr__(self, rule.name, _checked(rule, getattr(self, rule.name)))
        for less, more in _INCREASING:
            if getattr(self, less) >= getattr(self, more):
                raise OptionError(
                    f"rule {less} is {getattr(self, less):g} and {more} {getattr(self, more):g}; "
                    f"{less} must be the smaller one"
                )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Rules:
        """Rules by name, the others as usual. Raises OptionError for a name that is no rule's, and for a bad value."""
        return replace(cls(), **{_known(name): value for name, value in values.items()})

    def to_dict(self) -> dict[str, float]:
        """All rules by name."""
        return {rule.name: getattr(self, rule.name) for rule in fields(self)}

    @classmethod
    def parse(cls, texts: str | Sequence[str]) -> Rules:
        """Rules from texts such as "coast_px=6", or several in one, "coast_px=6,confirm_spikes=8"; the others as usual.

        Raises OptionError for a text of another form, a rule given twice, and as `from_dict`.
        """
        found: dict[str, float] = {}
        for name, value in _pairs([texts] if isinstance(texts, str) else texts):
            if name in found:
                raise OptionError(f"rule {name} is given twice; give it once")
            found[name] = value
        return cls.from_dict(found)

    def by_neurons(self, quiet_px: float | None = None) -> Rules:
        """The same, but a row has the band that the neurons voted for, whatever its speed: to compare networks.
        quiet_px: at most; where the answers are judged, an object of which they say nothing any more has no rows."""
        quiet_px = self.quiet_px if quiet_px is None else min(self.quiet_px, quiet_px)
        return replace(self, own_band_sigmas=NEVER_SIGMAS, changed_band_sigmas=NEVER_SIGMAS, quiet_px=quiet_px)

    def for_all_networks(self) -> Rules:
        """The same, but each of several networks sees all events, whatever is followed."""
        return replace(self, allot_ratio=EVERY_RATIO)

    def wide_gate(self, radius_px: float) -> float:
        """px from the ring of an object of this radius within which an event is the object's."""
        return float(_native(self).wide_gate(radius_px))


@lru_cache(maxsize=16)
def _native(rules: Rules) -> Any:
    """The core's own. Calibration asks thousands of times."""
    from velocell._native import Rules as NativeRules

    return NativeRules(rules.to_dict())


def _known(name: str) -> str:
    """The name, if it is a rule's."""
    names = [rule.name for rule in fields(Rules)]
    if name not in names:
        closest = get_close_matches(str(name), names, 1, cutoff=0)[0]
        raise OptionError(f"there is no rule {name!r}; the closest name is {closest}")
    return name


def _checked(rule: Field[Any], value: Any) -> float:
    """The value as that rule's, an int or a float as its default is."""
    about = rule.metadata
    unit = f" {about['unit']}" if about["unit"] else ""
    try:
        number = float(value) if isinstance(value, numbers.Real) and not isinstance(value, bool) else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise OptionError(f"rule {rule.name} is {value!r}; it must be a finite number")
    if not about["least"] <= number <= about["most"]:
        raise OptionError(
            f"rule {rule.name} is {number:g}{unit}; it must be {about['least']:g} to {about['most']:g}{unit}"
        )
    if not isinstance(rule.default, int):
        return number
    if not number.is_integer():
        raise OptionError(f"rule {rule.name} is {number:g}{unit}; it must be a whole number")
    return int(number)


def _pairs(texts: Iterable[str]) -> Iterable[tuple[str, float]]:
    for text in (part for whole in texts for part in whole.split(",")):
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise OptionError(f"rule {text!r} is not of the form NAME=VALUE; write it as coast_px=6")
        try:
            yield _known(name), float(value)
        except ValueError:
            raise OptionError(f"rule {name} is {value!r}; it must be a finite number") from None


DEFAULTS = Rules()
