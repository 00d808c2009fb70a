"""The rules by which one object is followed: memories, fits, gates, turns, and the evidence that it is a disk."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from velocell.tracking.rules.rule import rule_field

_memory = partial(rule_field, group="memories")
_fit = partial(rule_field, group="fits")
_gate = partial(rule_field, group="gates")
_turn = partial(rule_field, group="turns")
_evidence = partial(rule_field, group="evidence")


@dataclass(frozen=True)
class Following:
    """The first half of `Rules`, which says what they have in common."""

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
        shift that they can make is not a turn.""",
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
    around_px: float = _evidence(3.0, "px", 0.5, 100, "Width of the band outside the gate that shows what is around.")
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
