// Track: what is known of one object, and how it is followed from its events and spikes.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include "evidence.hpp"
#include "fit.hpp"
#include "grid.hpp"
#include "model.hpp"
#include "scatter.hpp"

namespace velocell {

struct Spike {
    std::int64_t t_us;  // when it is known
    double x, y;
    int channel;
    double radius;  // px, of the disks it stands for
};

// What a followed object tells about the recording: share of its edge crossings seen, radius (px), events per edge
// crossing; its weight, the crossings seen, less where noise is as frequent; after its first event, how long on
// average until the other ON and OFF events of a crossing, 0 for none; the log odds that it is what is looked for, on
// average; how far its events lie from the ring, px; and its mean speed, px/s.
struct Passage {
    double crossing_share, radius, contrast, weight, trail_on_s, trail_off_s, odds, off_px, speed = 0;
};

// Where an object was, and how it moved, when most of its ring was last seen. support: then; lean: how far the directions
// of its newest events were off the usual ones, 0 for all around, towards 1 where a side was missing.
struct Sighting {
    std::int64_t t_us = 0;
    double x = 0, y = 0, vx = 0, vy = 0, support = 1, lean = 0;
};

// What happened at an event's pixel before it.
struct Before {
    std::int64_t silent_us;
    std::int64_t since_us;  // since the last crossing began there
    bool flipped;           // the last event there had the other polarity

    // As an object sees it whose edge moves at edge_speed, px/s: see Track.
    bool rests(double edge_speed, const Rules& rules) const {
        return static_cast<double>(silent_us) * 1e-6 * edge_speed >= rules.silence_px;
    }
    bool flips(double edge_speed, double radius, const Rules& rules) const {
        return flipped && static_cast<double>(since_us) * 1e-6 * edge_speed >= rules.flip_radii * radius;
    }
    // Whether the event is the first of an edge crossing: of other polarity than the one before it, or after a silence.
    bool begins(double edge_speed, double radius, const Rules& rules) const {
        return rests(edge_speed, rules) || flips(edge_speed, radius, rules);
    }
};

// An event as one of an edge crossing. p: polarity, 2 where there is none.
struct Crossing {
    bool begins;
    bool passes;     // the network's trail filter
    double since_s;  // its beginning
    int p;
};

// Where an event lies against the centre, px, and how far off.
struct Offset {
    double dx, dy, d;
};

// How its speed has changed along its way so far: the field, and the axis and the place that it was left at.
struct Habit {
    Field field;
    double axis_x, axis_y, x, y;
};

struct Track {
    std::int32_t id = -1;  // -1 until confirmed
    Fit fast;              // short memory: where it is
    Curve slow, course;    // long memory: its speed and heading; longer: what its acceleration is expected to be
    TwoSums fresh;         // of the events since they were moved, about the slow fit and the fast one,
    int fresh_count = 0;   // and how many the latter has
    double nominal = 0, gate = 0, narrow_gate = 0;  // px: radius that is stated (or settled on), its gates
    double radius;                                  // px, measured
    OutlineFit extent;
    double heading_x = 0, heading_y = 0;  // unit vector, as of the last step; none where it is not known
    std::vector<double> votes;
    int most_voted = -1, voted = -1;  // band(); as of the last step
    double birth_x, birth_y;
    std::int64_t birth_us, last_spike_us, last_event_us;
    std::int64_t crowded_until_us = 0;  // its ring crosses that of another object: hold on to the path
    int spikes = 1;
    double spike_dx = 0, spike_dy = 0, spike_weight = 0;  // spikes against the fit
    double seen = 0, expected = 0;                        // ring events against px of travel, short
    double seen_long = 0, expected_long = 0;              // the same over a longer way
    double lean_x = 0, lean_y = 0, lean_long_x = 0, lean_long_y = 0;  // directions of the events that are seen
    // What it tells of the recording: edge crossings, travel up to the last of them, travel since, events, crossings in
    // the band around it; of the events that trail, OFF and ON, how long after their crossing began, and how many.
    double crossings = 0, crossed_px = 0, coasted_px = 0, ring_events = 0, around = 0;
    std::array<double, 2> trail_s{}, trailing{};
    double odds_sum = 0, odds_count = 0;  // log odds whenever it was looked at and measured
    // Over its way, faded: confidence, speed (px/s), px. Travel at the last look.
    double known = 0, known_speed = 0, known_px = 0, looked_px = 0;
    Shift shift;           // of the newest events against the fast fit, over a fraction of a px: turns
    double shift_px2 = 0;  // its squares
    Evidence evidence;
    Scatter spread;  // of the fits
    double axis_x = 1, axis_y = 0;  // of its heading or against it, as of when that was clear
    Frame steady;                // acceleration by the longer memory, as far as it is significant
    Changes changes;             // of the acceleration
    Field field;                 // along its axis
    double steady_error = std::numeric_limits<double>::infinity();  // of that along, one sigma
    double late = 0;             // by how much its speed is off, over what the field's gain is off by, px s
    double doubt = 0;            // by how much more than by scatter its events show another acceleration, px/s^2
    Frame free;                  // its variance about what is expected, for events with a variance of 1
    double memory_px;            // of the long fit
    double solved_px = 0, anew_px = 0;  // travel when they were solved, and when they began anew
    double misfit_px = 0;                       // travel for which the evidence was against it
    double scatter, scatter_weight;  // squared distance of the events from the ring, px^2
    double travel = 0, measured = 0;  // px; events that measured it
    double pace_floor = 0, pace_until = 0;  // after a restart: the speed before it, for a while
    Sighting last, whole;  // whole: the last one in which no side was missing
    Place place;
    double shadow_until_px = 0;  // travel until which it is taken for a shadow
    bool jammed = false;  // while it was tentative its place was too full for others
    bool settled = false, dead = false, doubled = false;  // doubled: it was a second track on one disk

    Track(const Spike& first, const Model& model);

    // --- what is known of it ---
    int band() const { return most_voted; }  // -1 without votes
    double pace(const Model& model) const;  // px/s by which memory fades and support is judged
    bool keeps_pace(const Model& model) const;
    bool goes_on(const Model& model) const;
    double support(const Rules& rules) const;  // ring events lately, against its usual number per px of travel
    bool is_supported(double least, const Rules& rules) const;  // more than so
    double log_odds(const Model& model) const;  // that it is what is looked for
    double lean() const;         // as in Sighting, now
    double variance() const { return scatter / scatter_weight; }  // px^2, of an event across the ring
    // 0 where its events lie on the ring, 1 where they lie about as those that come anywhere in the gate: by the fit's
    // weights, these have a seventh of the gate's square for their variance.
    double disorder(const Rules& rules) const {
        return std::min(1.0, 7 * variance() / (gate * gate * rules.jammed_scatter));
    }
    // Events that measured it, over its edge crossings: how clear it is.
    double clearness() const { return scatter_weight / std::max(expected_long, 1e-9); }
    double speed_sigma() const { return std::sqrt(variance()) * slow.sigmas(foreseen())[0]; }  // of independent events
    bool is_shadow() const { return travel < shadow_until_px; }
    double lagging(const Rules& rules) const;
    Expected foreseen() const;  // of its acceleration
    Passage passage(const Model& model) const;

    // --- events and spikes ---
    double edge_speed(const Model& model) const { return std::max(slow.speed(), model.lower_edge(voted)); }
    // The first event of a crossing in the band around it.
    void passes_by(const Model& model) {
        evidence.around += 1;
        if (is_measuring(model)) around += 1;
    }
    // Else the disk has gone and noise would count.
    bool is_measuring(const Model& model) const { return id >= 0 && is_supported(model.rules.measure_support, model.rules); }
    // An event on its ring alone. True where it is time to advance.
    // v: edge_speed, px/s.
    bool take(std::int64_t t, const Offset& offset, const Crossing& crossing, double v, const Model& model);
    void share(std::int64_t t, const Model& model);  // an event on its ring and on another's
    void answer(const Spike& spike, double dx, double dy, const Model& model);  // (dx, dy): from the fit

    // --- following it: one after the other ---
    double move(std::int64_t t, const Model& model);  // solve both fits and go to t; px of travel
    void fade(std::int64_t t, double px, const Model& model);
    bool measure(const Model& model);  // the radius; true where the stated one gave way to it
    void correct(std::int64_t t, double px, const Model& model);
    void restart(std::int64_t t, double x, double y, double vx, double vy, const Model& model);
    Habit left() const { return {field, axis_x, axis_y, slow.x, slow.y}; }
    void go_on(const Habit& before);  // as another one that was this object

  private:
    static constexpr int kSlow = 0, kFast = 1;  // of `fresh`

    void add(std::int64_t t, const Offset& offset, const Crossing& crossing, const Model& model);
    void forget_fresh() {
        fresh = {};
        fresh_count = 0;
    }
    void be_about(double px, const Rules& rules) {
        nominal = px;
        gate = rules.wide_gate(px);
        narrow_gate = rules.narrow_gate(px);
    }
    template <typename T>
    void move_fits(Paths<T>& paths, std::int64_t t, const Model& model);
    void count_votes(const Rules& rules);
    void judge_curve(std::int64_t t, double px, const Model& model);
    double others(const Rules& rules) const;
    bool turned(std::int64_t t, const Model& model);
    double start_error2(double memory, const Rules& rules) const;
    void fit_memory(const Rules& rules);
    void follow_anew(double sigma_a);
    void stop();
    void relocate(std::int64_t t, const Model& model);
};

inline double Track::support(const Rules& rules) const {
    if (expected < rules.support_min_events || seen_long <= 0) return 1.0;
    return seen / expected * expected_long / seen_long;
}

// Every event asks, and a division takes long: only where a product does not tell.
inline bool Track::is_supported(double least, const Rules& rules) const {
    constexpr double kRounding = 1e-9;
    if (expected >= rules.support_min_events && seen_long > 0) {
        const double much = seen * expected_long, needed = least * expected * seen_long;
        if (much > (1 + kRounding) * needed) return true;
        if (much < (1 - kRounding) * needed) return false;
    }
    return support(rules) > least;
}

inline double Track::lean() const {
    if (seen <= 0 || seen_long <= 0) return 0;
    return length(lean_x / seen - lean_long_x / seen_long, lean_y / seen - lean_long_y / seen_long);
}

}  // namespace velocell
