"""The rules by which there are objects, and by which something is reported of them: births, shadows, deaths, rows; what
networks see of them, and what is measured on them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from velocell.tracking.rules.rule import rule_field

NEVER_SIGMAS = 1e6
"""Standard errors that never come: with `own_band_sigmas` and `changed_band_sigmas` so large, bands are the neurons'
own."""

EVERY_RATIO = 1000.0
"""`allot_ratio` at which each of several networks sees all events."""

_birth = partial(rule_field, group="births")
_shadow = partial(rule_field, group="shadows")
_death = partial(rule_field, group="deaths")
_row = partial(rule_field, group="rows")
_allot = partial(rule_field, group="networks")
_measure = partial(rule_field, group="measuring")


@dataclass(frozen=True)
class Reporting:
    """The second half of `Rules`, which says what they have in common."""

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
    measure_px: float = _measure(5.0, "px", 0, 1000, "Travel after which an object shows contrast and radius.")
