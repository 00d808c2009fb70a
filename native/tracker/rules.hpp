// The rules of the tracker by name. What each means, its value, unit and limits: src/velocell/tracking/rules/.
#pragma once

#include <algorithm>

namespace velocell {

// A new rule is a line here, one in rules.py, and where it is used.
#define VELOCELL_TRACKER_RULES(RULE) \
    /* memories */                   \
    RULE(long_memory_px)             \
    RULE(least_memory_px)            \
    RULE(short_memory_px)            \
    RULE(turn_memory_px)             \
    RULE(curve_memory_px)            \
    RULE(field_memory_px)            \
    RULE(evidence_memory_px)         \
    RULE(cluster_px)                 \
    RULE(clustering_memory_px)       \
    RULE(vote_memory_px)             \
    RULE(min_vote_memory_px)         \
    RULE(vote_memory_growth)         \
    RULE(support_memory_px)          \
    RULE(usual_memory_px)            \
    RULE(spike_memory_px)            \
    /* fits */                       \
    RULE(refit_px)                   \
    RULE(refit_events)               \
    RULE(max_step_px)                \
    RULE(max_speed_edges)            \
    RULE(min_pace_edges)             \
    RULE(settle_events)              \
    RULE(birth_sigma_px)             \
    RULE(restart_sigma_px)           \
    RULE(restart_pace)               \
    RULE(scatter_prior_px2)          \
    RULE(scatter_prior_events)       \
    RULE(curve_solve_px)             \
    RULE(acceleration_sigmas)        \
    RULE(start_error_px)             \
    RULE(steady_prior)               \
    RULE(change_px)                  \
    RULE(forecast_px)                \
    RULE(clustering_prior)           \
    RULE(even_pull)                  \
    RULE(even_pulls)                 \
    RULE(radius_prior_px)            \
    RULE(stretch_prior)              \
    RULE(max_stretch_radii)          \
    RULE(min_radius)                 \
    RULE(max_radius)                 \
    RULE(resize)                     \
    /* gates */                      \
    RULE(narrow_gate_px)             \
    RULE(narrow_gate_radii)          \
    RULE(wide_gate_px)               \
    RULE(wide_gate_radii)            \
    RULE(max_wide_gate_radii)        \
    RULE(centre_px)                  \
    RULE(unclear_px)                 \
    RULE(crowded_px)                 \
    RULE(shared_event)               \
    RULE(reach_px)                   \
    RULE(reach_radii)                \
    RULE(smaller_ring_radii)         \
    RULE(size_vote_radii)            \
    RULE(grid_margin_px)             \
    RULE(grid_spare_px)              \
    /* turns */                      \
    RULE(turn_shift_px)              \
    RULE(turn_scatter)               \
    RULE(turn_others)                \
    RULE(turn_sigmas)                \
    RULE(turn_prior_events)          \
    RULE(turn_lag_px)                \
    RULE(swing_px)                   \
    RULE(split_px)                   \
    RULE(split_radii)                \
    RULE(relocate_spikes)            \
    RULE(relocate_px)                \
    RULE(relocate_radii)             \
    /* evidence */                   \
    RULE(silence_px)                 \
    RULE(flip_radii)                 \
    RULE(crossing_px)                \
    RULE(around_px)                  \
    RULE(evidence_prior_events)      \
    RULE(least_share)                \
    RULE(usual_share)                \
    RULE(unknown_faces)              \
    RULE(one_face)                   \
    RULE(one_polarity_share)         \
    RULE(odds_base)                  \
    RULE(odds_excess)                \
    RULE(odds_isolation)             \
    RULE(odds_faces)                 \
    /* births */                     \
    RULE(confirm_spikes)             \
    RULE(confirm_quiet_px)           \
    RULE(confirm_travel_px)          \
    RULE(confirm_offset_radii)       \
    RULE(min_event_density)          \
    RULE(max_event_density)          \
    RULE(min_speed_edges)            \
    RULE(confirm_odds)               \
    RULE(confirm_sigmas)             \
    RULE(lost_support)               \
    RULE(recapture_radii)            \
    RULE(inherit_radii)              \
    RULE(keep_s)                     \
    RULE(keep_travel_px)             \
    RULE(keep_radii)                 \
    RULE(keep_speed)                 \
    RULE(keep_velocity)              \
    RULE(same_radius)                \
    RULE(same_signature)             \
    RULE(rest_lean)                  \
    RULE(max_tracks)                 \
    RULE(max_tentative_tracks)       \
    RULE(give_way_px)                \
    RULE(jammed_odds)                \
    RULE(jammed_travel_px)           \
    RULE(jammed_scatter)             \
    /* shadows */                    \
    RULE(shadow_radii)               \
    RULE(shadow_share)               \
    RULE(shadow_scatter)             \
    RULE(shadow_speed)               \
    RULE(shadow_sigmas)              \
    /* deaths */                     \
    RULE(upkeep_px)                  \
    RULE(coast_px)                   \
    RULE(tentative_quiet_px)         \
    RULE(quiet_px)                   \
    RULE(misfit_quiet_px)            \
    RULE(unsupported_quiet_px)       \
    RULE(min_support)                \
    RULE(misfit_odds)                \
    RULE(misfit_px)                  \
    RULE(double_radii)               \
    RULE(crossing_speed)             \
    /* rows */                       \
    RULE(row_support)                \
    RULE(row_odds)                   \
    RULE(rest_error_px)              \
    RULE(rest_confidence)            \
    RULE(brake_share)                \
    RULE(support_min_events)         \
    RULE(min_votes)                  \
    RULE(band_tolerance)             \
    RULE(off_band_confidence)        \
    RULE(off_band_sigmas)            \
    RULE(own_band_sigmas)            \
    RULE(changed_band_sigmas)        \
    RULE(confidence_odds_slope)      \
    RULE(even_odds)                  \
    RULE(confidence_standing_slope)  \
    RULE(even_standing)              \
    RULE(bend_error)                 \
    RULE(doubt_sigmas)               \
    RULE(response_s)                 \
    /* several networks */           \
    RULE(allot_ratio)                \
    RULE(allot_confidence)           \
    /* measuring */                  \
    RULE(measure_support)            \
    RULE(measure_px)

struct Rules {
#define VELOCELL_RULE(name) double name;
    VELOCELL_TRACKER_RULES(VELOCELL_RULE)
#undef VELOCELL_RULE

    // px from the ring of an object of this radius within which an event belongs to the long fit,
    double narrow_gate(double radius) const { return std::min(narrow_gate_px, narrow_gate_radii * radius); }

    // to the short fit and so to the object,
    double wide_gate(double radius) const {
        return std::min(std::max(wide_gate_px, wide_gate_radii * radius), max_wide_gate_radii * radius);
    }

    // px from its centre within which a spike belongs to it.
    double reach(double radius) const { return std::max(reach_px, reach_radii * radius); }
};

struct NamedRule {
    const char* name;
    double Rules::*value;
};

inline constexpr NamedRule kRules[] = {
#define VELOCELL_RULE(name) {#name, &Rules::name},
    VELOCELL_TRACKER_RULES(VELOCELL_RULE)
#undef VELOCELL_RULE
};

#undef VELOCELL_TRACKER_RULES

}  // namespace velocell
