#include "lifecycle.hpp"

#include <algorithm>
#include <cmath>

#include "rows.hpp"

namespace velocell {

namespace {

// An object has moved, with spikes all the way and edge events both ahead and behind.
bool confirmed_now(const Track& track, double quiet_px, const Model& model) {
    const Rules& rules = model.rules;
    const double moved = length(track.fast.x - track.birth_x, track.fast.y - track.birth_y);
    const double jam = track.jammed ? track.disorder(rules) : 0;
    if (!track.settled || track.spikes < rules.confirm_spikes || quiet_px > rules.confirm_quiet_px ||
        moved < std::max(jam * rules.jammed_travel_px, rules.confirm_travel_px))
        return false;
    if (track.slow.speed() < rules.min_speed_edges * model.edges.front() || !track.keeps_pace(model)) return false;
    if (track.spike_weight > 0 && length(track.spike_dx, track.spike_dy) >
                                      rules.confirm_offset_radii * track.nominal * track.spike_weight)
        return false;
    const double arrive = std::min(1.0, model.share / model.part());
    if (track.seen < rules.min_event_density * arrive * track.expected ||
        track.seen > rules.max_event_density * track.expected)
        return false;
    if (track.slow.speed() < rules.confirm_sigmas * track.speed_sigma()) return false;
    return track.log_odds(model) > rules.confirm_odds + jam * rules.jammed_odds;
}

// How far a new track begins from where a lost object may be by now, over what is allowed: at rest where it was, or
// hidden on its way, along which it may be anywhere up to where its speed takes it. More than 1: it is another one.
double strangeness(const Track& track, const Lost& lost, const Rules& rules) {
    const double gone_s = seconds(lost.t_us, track.birth_us), v = length(lost.vx, lost.vy);
    // Where it turns back the old track sees, for a moment, what the new one is born from.
    const bool at_once = seconds(track.birth_us, lost.seen_us) * v > lost.radius;
    if (at_once || gone_s > rules.keep_s || v <= 0) return 2;
    if (std::abs(track.nominal / lost.radius - 1) > rules.same_radius) return 2;
    if (std::abs(track.evidence.signature() - lost.signature) > rules.same_signature) return 2;
    const double dx = track.birth_x - lost.x, dy = track.birth_y - lost.y, reach = rules.keep_radii * lost.radius;
    const double rests = length(dx, dy) / reach;
    const double along = (dx * lost.vx + dy * lost.vy) / v, across = std::abs(dx * lost.vy - dy * lost.vx) / v;
    // It comes when its speed takes it there. What its first px tell of its velocity, half hidden, is rough.
    const double sure = track.speed_sigma();
    const double apart = length(track.slow.vx - lost.vx, track.slow.vy - lost.vy) / (rules.keep_velocity * v + sure);
    const double due = v * gone_s;
    const double late = std::abs(along - due) / (reach + rules.keep_speed * due);
    const double hidden = std::max({across / reach, apart, late});
    return std::min(rests, hidden);
}

// The track with an id, given up in this look at all or seen no more, that a new one is most like; null: none is.
Track* left_behind(const Track& track, std::int64_t t, const Model& model, Tracks& tracks) {
    Track* found = nullptr;
    double least = 1;
    for (const int number : tracks.numbers()) {
        Track& other = tracks[number];
        if (!is_kept(other, model) || (!other.dead && other.support(model.rules) > model.rules.lost_support)) continue;
        const double strange = strangeness(track, lost_of(other, t, model), model.rules);
        if (strange > least) continue;
        least = strange;
        found = &other;
    }
    return found;
}

// A new track that is an object that was lost has its id again.
bool recall(Track& track, const Rules& rules, std::vector<Lost>& lost) {
    const auto least = std::min_element(lost.begin(), lost.end(), [&](const Lost& a, const Lost& b) {
        return strangeness(track, a, rules) < strangeness(track, b, rules);
    });
    if (least == lost.end() || strangeness(track, *least, rules) > 1) return false;
    track.id = least->id;
    track.go_on(least->habit);
    lost.erase(least);
    return true;
}

// A new track that grew where an older one was just lost is the same object.
void confirm(Track& track, std::int64_t t, const Model& model, Tracks& tracks, std::vector<Lost>& kept,
             std::int32_t& next_id) {
    const Rules& rules = model.rules;
    track.course = track.slow;
    Track* lost = nullptr;
    double nearest = rules.inherit_radii * track.nominal;
    for (const int number : tracks.numbers()) {
        Track& other = tracks[number];
        if (other.id < 0 || other.dead || other.support(rules) > rules.lost_support) continue;
        const double d = length(other.fast.x - track.fast.x, other.fast.y - track.fast.y);
        if (d < nearest) {
            nearest = d;
            lost = &other;
        }
    }
    if (lost == nullptr) lost = left_behind(track, t, model, tracks);
    if (lost == nullptr) {
        if (!recall(track, rules, kept)) track.id = next_id++;
        return;
    }
    track.id = lost->id;
    track.go_on(lost->left());
    track.crossings += lost->crossings;
    track.crossed_px += lost->crossed_px;
    track.ring_events += lost->ring_events;
    track.odds_sum += lost->odds_sum;
    track.odds_count += lost->odds_count;
    track.around += lost->around;
    lost->id = -1;
    lost->dead = true;
}

// How sure its rows have been on its way so far. Where it brakes its band and its speed part for a while.
void know(Track& track, double odds, const Model& model) {
    const double px = track.travel - track.looked_px, keep = std::exp(-px / model.rules.usual_memory_px);
    track.looked_px = track.travel;
    track.known = keep * track.known + px * confidence(track, track.band(), track.support(model.rules), odds, model);
    track.known_speed = keep * track.known_speed + px * track.slow.speed();
    track.known_px = keep * track.known_px + px;
}

}  // namespace

void look_at(Track& track, std::int64_t t, const Model& model, Tracks& tracks, std::vector<Lost>& lost,
             std::int32_t& next_id) {
    const Rules& rules = model.rules;
    const double silent_px = seconds(track.last_event_us, t) * track.pace(model);
    // Where two objects cross, a faster one silences the neurons of a slower one for a while.
    const double quiet_px = seconds(std::max(track.last_spike_us, track.crowded_until_us), t) * track.pace(model);
    const bool outside =
        track.fast.x < 0 || track.fast.y < 0 || track.fast.x > model.width - 1 || track.fast.y > model.height - 1;
    if (track.id < 0) {
        if (quiet_px > rules.tentative_quiet_px || outside) track.dead = true;
        else if (confirmed_now(track, quiet_px, model)) confirm(track, t, model, tracks, lost, next_id);
        return;
    }
    const double odds = track.log_odds(model);
    if (track.is_measuring(model)) {
        track.odds_sum += odds;
        track.odds_count += 1;
        know(track, odds, model);
    }
    const bool unsupported = track.support(rules) < rules.min_support;
    // What looks like a disk still and is only slow gets time to show that it stops.
    const bool misfit = track.misfit_px > 0 && odds < rules.confirm_odds;
    const double patience = misfit ? rules.misfit_quiet_px : rules.quiet_px;
    track.dead = outside || silent_px > rules.coast_px || quiet_px > patience ||
                 (unsupported && quiet_px > rules.unsupported_quiet_px) ||
                 track.misfit_px > rules.misfit_px + track.nominal;
}

namespace {

// Its outline has begun to leave the picture, and its way takes all of it out.
bool leaves(const Track& track, const Model& model) {
    const auto out = [&](double at, double v, double size) {
        const double then = at + v * model.rules.keep_s, r = track.radius;
        return (at < r && then < -r) || (at > size - 1 - r && then > size - 1 + r);
    };
    return out(track.fast.x, track.last.vx, model.width) || out(track.fast.y, track.last.vy, model.height);
}

// What is hidden loses its events side by side, what stops all at once.
bool stopped(const Track& track, std::int64_t t, const Model& model) {
    const Rules& rules = model.rules;
    return track.last.lean < rules.rest_lean && track.support(rules) < rules.row_support && track.crowded_until_us < t &&
           track.log_odds(model) > rules.row_odds;
}

}  // namespace

bool is_kept(const Track& track, const Model& model) {
    return track.id >= 0 && !track.doubled && track.last.t_us > 0 && track.travel > model.rules.keep_travel_px &&
           (!leaves(track, model) || track.last.lean < model.rules.rest_lean);
}

Lost lost_of(const Track& track, std::int64_t t, const Model& model) {
    const Rules& rules = model.rules;
    const bool rests = length(track.last.vx, track.last.vy) > 0 && stopped(track, t, model);
    // What is left of a ring that is being hidden draws the fit aside: it was right while all of it was seen.
    const Sighting& from = rests || track.whole.t_us == 0 ? track.last : track.whole;
    // At rest the support has faded since the last event, and the path has gone on.
    const double since_px = rests ? rules.support_memory_px * std::log(1 / std::min(from.support, 1.0)) : 0;
    // What goes at once is as sure as it was then; it may have turned.
    const bool brakes = length(track.last.vx, track.last.vy) * track.known_px < rules.brake_share * track.known_speed;
    const double since_s = since_px / std::max(track.pace(model), length(from.vx, from.vy));
    return {track.id,
            from.t_us - static_cast<std::int64_t>(1e6 * since_s),
            track.last.t_us,
            from.x - from.vx * since_s,
            from.y - from.vy * since_s,
            from.vx,
            from.vy,
            track.radius,
            track.evidence.signature(),
            brakes ? track.known / track.known_px : confidence(track, track.band(), 1, track.log_odds(model), model),
            rests && !track.is_shadow(),
            track.left()};
}

bool is_shadow(const Track& track, const Track& other, const Rules& rules) {
    if (track.clearness() > rules.shadow_share * other.clearness() ||
        track.variance() < rules.shadow_scatter * other.variance())
        return false;
    const double apart = length(track.slow.vx - other.slow.vx, track.slow.vy - other.slow.vy);
    return apart < rules.shadow_speed * other.slow.speed() + rules.shadow_sigmas * track.speed_sigma();
}

bool is_double(const Track& first, const Track& second, const Rules& rules) {
    const bool older = (first.id >= 0) != (second.id >= 0) ? first.id >= 0 : first.birth_us < second.birth_us;
    if (!older) return false;
    const double distance = length(first.fast.x - second.fast.x, first.fast.y - second.fast.y);
    if (distance > rules.double_radii * std::min(first.radius, second.radius)) return false;
    const double apart = length(first.slow.vx - second.slow.vx, first.slow.vy - second.slow.vy);
    const bool crossing =
        second.id >= 0 && second.travel > rules.long_memory_px && apart > rules.crossing_speed * first.slow.speed();
    return !crossing;
}

}  // namespace velocell
