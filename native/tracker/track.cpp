#include "track.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace velocell {

namespace {

// What does not vary is as sure as numbers allow.
constexpr double kCertain = 1e6;
double sureness(double unit, double variance) { return std::min(unit / std::max(variance, 1e-300), kCertain); }

double square(double x) { return x * x; }

double biweight(double u) { return square(1 - u * u); }  // Tukey's

}  // namespace

Track::Track(const Spike& first, const Model& model)
    : radius(first.radius),
      extent{first.radius},
      votes(model.edges.size() - 1, 0.0),
      birth_x(first.x),
      birth_y(first.y),
      birth_us(first.t_us),
      last_spike_us(first.t_us),
      last_event_us(first.t_us),
      spread(model.rules),
      scatter(model.rules.scatter_prior_px2 * model.rules.scatter_prior_events),
      scatter_weight(model.rules.scatter_prior_events) {
    be_about(first.radius, model.rules);
    memory_px = model.rules.long_memory_px;
    votes[first.channel] = 1;
    count_votes(model.rules);
    voted = first.channel;
    fast.reset(first.t_us, first.x, first.y, model.rules.birth_sigma_px, model.edges[first.channel + 1]);
    const double edge = model.edges[first.channel + 1];
    slow.reset(fast, edge * edge / model.rules.long_memory_px);
    course = slow;
}

void Track::count_votes(const Rules& rules) {
    const auto best = std::max_element(votes.begin(), votes.end());
    most_voted = *best > rules.min_votes ? static_cast<int>(best - votes.begin()) : -1;
}

// A fit that lost its disk may stand still; the neurons' answer tells how fast the disk must be going at least.
double Track::pace(const Model& model) const {
    return std::max({slow.speed(), pace_floor, model.rules.min_pace_edges * model.lower_edge(band())});
}

// Whatever the neurons take for a moving disk must move, or have moved a memory ago; what flickers in its place does not.
bool Track::keeps_pace(const Model& model) const {
    if (pace_floor > 0) return true;  // after a turn the speed must be seen anew
    const double v = slow.speed(), gained = 2 * length(slow.ax, slow.ay) * model.rules.long_memory_px;
    const double reached = std::sqrt(v * v + gained) / model.rules.min_speed_edges;
    return reached > model.lower_edge(band()) || (reached > model.edges.front() && goes_on(model));
}

// As it did when its rows were sure, and surely slower than what the neurons answer to: that is something that passes by.
bool Track::goes_on(const Model& model) const {
    const Rules& rules = model.rules;
    return known_px > rules.long_memory_px && known > rules.rest_confidence * known_px &&
           slow.speed() * known_px > rules.brake_share * known_speed &&
           slow.speed() + rules.own_band_sigmas * speed_sigma() < model.lower_edge(band());
}

double Track::log_odds(const Model& model) const {
    return evidence.log_odds(fast.x, fast.y, radius, gate, model);
}

Passage Track::passage(const Model& model) const {
    const double pixels = 4 * radius * model.crossings * crossed_px;
    // Noise is at most as frequent on the ring as around it; objects that it leaves alone tell more, and clear ones.
    const double noise = around * Evidence::area_share(radius, gate, model.rules);
    const double clear = crossings > 0 ? std::max(0.0, 1 - noise / crossings) : 0;
    return {crossings / pixels, radius, ring_events / pixels, crossings * clear * clear,
            trail_s[1] / std::max(trailing[1], 1.0), trail_s[0] / std::max(trailing[0], 1.0), 
            odds_sum / std::max(odds_count, 1.0), std::sqrt(variance())};
}

bool Track::take(std::int64_t t, const Offset& offset, const Crossing& crossing, double v, const Model& model) {
    const Rules& rules = model.rules;
    // What trails behind an edge says that something is there, not where.
    if (crossing.since_s * v <= rules.crossing_px) {
        if (offset.d >= rules.centre_px) add(t, offset, crossing, model);
        last_event_us = t;
    }
    if (is_measuring(model)) {
        ring_events += 1;
        crossings += crossing.passes;
        if (!crossing.begins && crossing.p < 2) {
            trail_s[crossing.p] += crossing.since_s;
            trailing[crossing.p] += 1;
        }
        crossed_px += std::exchange(coasted_px, 0.0);
    }
    return fresh_count >= rules.refit_events || seconds(fast.t_us, t) * v > rules.refit_px;
}

void Track::add(std::int64_t t, const Offset& offset, const Crossing& crossing, const Model& model) {
    const auto [dx, dy, d] = offset;
    double ux = dx / d, uy = dy / d, norm = 1, distance = d;
    Edge edge;
    const bool disk = model.outline.empty();
    if (!disk) {
        // The outline's normal: that of a disk points from its centre.
        edge = model.edge_towards(dx, dy);
        const double tilt = edge.slope * radius / d, x = ux, y = uy;
        norm = std::sqrt(1 + tilt * tilt);
        ux = (x + tilt * y) / norm;
        uy = (y - tilt * x) / norm;
        distance = d / edge.distance;
    }
    const double s = seconds(fast.t_us, t), cosine = ux * heading_x + uy * heading_y;
    const double bend = (slow.ax * ux + slow.ay * uy) * s * s / 2;
    const double outside = d - extent.at(cosine) * edge.distance;
    const double residual = (disk ? outside : outside / norm) - bend;
    // The paths of the two fits are so near to each other that the direction is the same.
    const double apart_x = slow.x - fast.x + (slow.vx - fast.vx) * s;
    const double apart_y = slow.y - fast.y + (slow.vy - fast.vy) * s;
    const double apart = apart_x * ux + apart_y * uy, slow_residual = residual - (disk ? apart : apart / norm);
    const Two residuals = two(slow_residual, residual), off = residuals / two(narrow_gate, gate);
    const bool near = std::abs(slow_residual) < narrow_gate, at_all = std::abs(residual) < gate;
    const double weight = at_all ? biweight(off[1]) : 0;
    if (near || at_all) fresh.add(s, ux, uy, residuals, two(near ? biweight(off[0]) : 0, weight));
    if (!at_all) return;
    ++fresh_count;
    shift.add(ux, uy, residual);
    shift_px2 += square(residual);
    extent.add(distance, cosine, weight);
    scatter += weight * residual * residual;
    scatter_weight += weight;
    measured += weight;
    if (!crossing.begins) return;
    seen += weight;
    seen_long += weight;
    lean_x += weight * ux;
    lean_y += weight * uy;
    lean_long_x += weight * ux;
    lean_long_y += weight * uy;
    evidence.near += 1;
    if (heading_x != 0 || heading_y != 0) evidence.add(cosine, weight, crossing.p);
}

void Track::share(std::int64_t t, const Model& model) {
    crowded_until_us = t + static_cast<std::int64_t>(1e6 * model.rules.crowded_px / pace(model));
    last_event_us = t;
    seen += model.rules.shared_event;
}

void Track::answer(const Spike& spike, double dx, double dy, const Model& model) {
    ++spikes;
    // A neuron for another size takes an object for faster or slower than it is.
    const double misfit = model.radii.size() > 1 ? (spike.radius / radius - 1) / model.rules.size_vote_radii : 0;
    votes[spike.channel] += misfit == 0 ? 1 : std::exp(-misfit * misfit);
    count_votes(model.rules);
    last_spike_us = spike.t_us;
    spike_weight += 1;
    spike_dx += dx;
    spike_dy += dy;
}

template <typename T>
void Track::move_fits(Paths<T>& paths, std::int64_t t, const Model& model) {
    constexpr bool kHasCourse = Paths<T>::kPaths > 1;
    const Rules& rules = model.rules;
    const double s = seconds(fast.t_us, t), max_speed = model.max_speed();
    // First: while the processor waits for its divisions, it can work on what follows.
    std::array<double, 2> moved{};
    if (fresh_count > 0) moved = fast.solve(fresh.of(kFast), max_speed);
    const Sums events = fresh.of(kSlow);
    spread.pull(events.p[0] * heading_x + events.p[1] * heading_y,
                events.pp[0] * heading_x * heading_x + 2 * events.pp[1] * heading_x * heading_y +
                    events.pp[2] * heading_y * heading_y);
    paths.take(events);
    // What begins is as far off as the short fit is.
    const bool begins = !settled || travel - anew_px < rules.change_px;
    if (begins || travel - solved_px >= rules.curve_solve_px) {
        if constexpr (kHasCourse) paths.solve({{}, foreseen()}, max_speed);
        else paths.solve({foreseen()}, max_speed);
        solved_px = travel;
    }
    forget_fresh();
    fast.advance(t, rules.short_memory_px, paths.ax(), paths.ay());
    const double less_x = shift.pp[0] * moved[0] + shift.pp[1] * moved[1];
    const double less_y = shift.pp[1] * moved[0] + shift.pp[2] * moved[1];
    shift_px2 += moved[0] * (less_x - 2 * shift.p[0]) + moved[1] * (less_y - 2 * shift.p[1]);
    shift.p[0] -= less_x;
    shift.p[1] -= less_y;
    const double along = (paths.vx() * axis_x + paths.vy() * axis_y) * s;
    field.go(along);
    steady.along += field.gain() * along;
    if constexpr (kHasCourse) paths.advance(t, {rules.curve_memory_px, memory_px}, rules.swing_px, field.gain());
    else paths.advance(t, {memory_px}, rules.swing_px, field.gain());
}

double Track::move(std::int64_t t, const Model& model) {
    const Rules& rules = model.rules;
    const double s = seconds(fast.t_us, t);
    // Nothing asks what a tentative track's acceleration is expected to be.
    if (id >= 0) {
        Paths<Two> both({&course, &slow});
        move_fits(both, t, model);
    } else {
        Paths<double> one({&slow});
        move_fits(one, t, model);
    }
    const bool silent = seconds(last_event_us, t) * pace(model) > rules.rest_error_px;
    if (silent && field.gain() >= 0 && slow.vx * last.vx + slow.vy * last.vy < 0) stop();
    const double v = slow.speed();
    heading_x = v > 0 ? slow.vx / v : 0;
    heading_y = v > 0 ? slow.vy / v : 0;
    if (v > 0 && !slow.turns_round(rules.swing_px)) {
        // To and fro is one axis.
        const double sign = heading_x * axis_x + heading_y * axis_y < 0 ? -1 : 1;
        axis_x = sign * heading_x;
        axis_y = sign * heading_y;
    }
    const double px = std::min(pace(model) * s, rules.max_step_px);
    travel += px;
    if (!settled && measured > rules.settle_events) {
        // A spike is placed to a pixel or two only; movement counts from where the events lie.
        settled = true;
        birth_x = fast.x;
        birth_y = fast.y;
    }
    if (travel > pace_until) pace_floor = 0;
    if (is_measuring(model)) {
        last = {t, fast.x, fast.y, slow.vx, slow.vy, support(rules), lean()};
        if (last.lean < rules.rest_lean) whole = last;
    }
    return px;
}

void Track::go_on(const Habit& before) {
    const double sign = axis_x * before.axis_x + axis_y * before.axis_y < 0 ? -1 : 1;
    axis_x *= sign;
    axis_y *= sign;
    field = before.field;
    field.go((fast.x - before.x) * axis_x + (fast.y - before.y) * axis_y);
    steady = {field.here(), 0};
}

// What braked and is silent stands still: its acceleration would take it back.
void Track::stop() {
    for (Curve* fit : {&slow, &course}) fit->vx = fit->vy = fit->ax = fit->ay = 0;
    fast.vx = fast.vy = 0;
    steady = {};
    field.restart();
}

// What is summed over some way fades with it.
void Track::fade(std::int64_t t, double px, const Model& model) {
    const Rules& rules = model.rules;
    const double perimeter = 4 * radius * model.crossings;  // edge pixels crossed per px of travel
    const double keep = std::exp(-px / rules.support_memory_px), keep_long = std::exp(-px / rules.usual_memory_px);
    seen *= keep;
    expected = keep * expected + perimeter * px;
    seen_long *= keep_long;
    expected_long = keep_long * expected_long + perimeter * px;
    for (double* sum : {&lean_x, &lean_y}) *sum *= keep;
    for (double* sum : {&lean_long_x, &lean_long_y}) *sum *= keep_long;
    if (crowded_until_us <= t) {
        const bool fits = log_odds(model) > rules.misfit_odds && keeps_pace(model);
        misfit_px = fits ? std::max(0.0, misfit_px - px) : misfit_px + px;
    }
    const double keep_evidence = std::exp(-px / rules.evidence_memory_px);
    evidence.fade(keep_evidence, px);
    judge_curve(t, px, model);
    if (id >= 0) coasted_px += px;
    // What appears gives many events at once and seems fast: the first votes are soon forgotten.
    const double vote_memory =
        std::clamp(rules.vote_memory_growth * travel, rules.min_vote_memory_px, rules.vote_memory_px);
    const double keep_vote = vote_memory == rules.evidence_memory_px ? keep_evidence : std::exp(-px / vote_memory);
    for (double& vote : votes) vote *= keep_vote;
    count_votes(rules);
    voted = band();
    const double keep_spikes = std::exp(-px / rules.spike_memory_px);
    spike_weight *= keep_spikes;
    spike_dx *= keep_spikes;
    spike_dy *= keep_spikes;
    scatter *= keep_long;
    scatter_weight *= keep_long;
    extent.fade(keep_long);
}

// What the longer memory says of the acceleration, and how far that has been from what the shorter one says.
Expected Track::foreseen() const {
    return {axis_x, axis_y, steady, {sureness(1, free.along), sureness(1, free.across)}};
}

// How good the speed is, and whether the path is bent or the speed changes.
void Track::judge_curve(std::int64_t t, double px, const Model& model) {
    const Rules& rules = model.rules;
    if (spread.is_far(px, rules))
        spread.compare(t, slow.vx * axis_x + slow.vy * axis_y, speed_sigma(), slow.ax * axis_x + slow.ay * axis_y, rules);
    // What has just appeared is followed as moving steadily: a few events make any acceleration.
    if (!spread.pulled(px, variance(), rules) || id < 0) return;
    const double unit = variance() * spread.short_way();
    const Surprise lately = course.surprise({axis_x, axis_y, {}, {}});
    const Frame &found = lately.off, &error = lately.variance;
    const double start2 = start_error2(rules.curve_memory_px, rules);
    const auto sure = [&](double value, double squared, double assumed) {
        const double off = value - assumed;
        return assumed + off * believed(off * off / (unit * squared + start2), rules.acceleration_sigmas);
    };
    steady = {sure(found.along, error.along, field.here()), sure(found.across, error.across, 0)};
    steady_error = std::sqrt(unit * error.along);
    const auto [off, alone, late_px, late_px_s] = slow.surprise({axis_x, axis_y, {slow.ax * axis_x + slow.ay * axis_y, 0}, {}});
    doubt = std::sqrt(std::max(0.0, square(off.along) - square(rules.doubt_sigmas) * unit * alone.along));
    // Over less than a memory, where it began weighs more than how it goes on.
    if (travel - anew_px < rules.change_px) return;
    const double error2 = unit * alone.along + start_error2(memory_px, rules);
    field.add(off.along + slow.ax * axis_x + slow.ay * axis_y, error2, late_px, memory_px, rules);
    late = late_px_s;
    if (changes.is_due(travel, rules)) {
        changes.compare(t, fast.x, fast.y, field.gain(), rules);
        const auto path = [&](double sure_of_it) {
            Curve one = slow;
            one.solve({axis_x, axis_y, steady, {sure_of_it, sure_of_it}}, model.max_speed());
            return one;
        };
        changes.expect(path(kCertain), path(0), {unit * alone.along, unit * alone.across}, axis_x, axis_y, travel);
    }
    const Frame excess = changes.excess(rules);
    free = {excess.along * alone.along, excess.across * alone.across};
    fit_memory(rules);
}

// Variance of an acceleration, px^2/s^4, by how what real pixels show shifts where a way begins: until the edge behind
// meets pixels that the one ahead has crossed, and then for as long as that is remembered.
double Track::start_error2(double memory, const Rules& rules) const {
    const double after_px = std::max(0.0, travel - anew_px - 2 * radius), v = slow.speed();
    return square(rules.start_error_px * square(v / memory) * std::exp(-after_px / memory));
}

// How long the memory of the long fit should be. Where the acceleration changes by j a second, a memory of T puts the
// speed off by 3 j T^2 and the acceleration by 3 j T: that is what a fading fit of the second degree makes of the third.
// Scatter puts the speed off by sqrt(5) T times as much as the acceleration, and falls with T^-3/2. So that the stated
// errors hold, the first is to be half of the second.
void Track::fit_memory(const Rules& rules) {
    const Frame excess = changes.excess(rules);
    const double most = 4.0 / 5 * std::max(excess.along, excess.across) * square(lagging(rules));
    if (most > 0) memory_px = std::clamp(memory_px * std::pow(most, -1.0 / 7), rules.least_memory_px, rules.long_memory_px);
}

// What the acceleration lags, over what it differs from that of the longer memory: both grow with the memory.
double Track::lagging(const Rules& rules) const { return memory_px / (rules.curve_memory_px - memory_px); }

// The true radius may differ from the stated one and is followed within limits. Among several sizes the first
// spike may have come from a neighbour of the right one: then the stated radius gives way.
bool Track::measure(const Model& model) {
    const Rules& rules = model.rules;
    const double prior = rules.radius_prior_px * (4 * radius * model.crossings);
    extent.solve(nominal, prior, rules.stretch_prior * prior);
    radius = extent.radius = std::clamp(extent.radius, rules.min_radius * nominal, rules.max_radius * nominal);
    const double most = rules.max_stretch_radii * radius;
    extent.stretch = std::clamp(extent.stretch, -most, most);
    const bool another = model.radii.size() > 1 && std::abs(radius - nominal) > rules.resize * nominal;
    if (!another) return false;
    be_about(std::clamp(radius, rules.min_radius * model.radii.front(), rules.max_radius * model.radii.back()), rules);
    return true;
}

// Where the events or the spikes say that the fits are wrong, they begin anew.
void Track::correct(std::int64_t t, double px, const Model& model) {
    const Rules& rules = model.rules;
    // After a turn the long memory is wrong: take the short one.
    const double apart = length(slow.x - fast.x, slow.y - fast.y);
    if (apart > std::max(rules.split_px, rules.split_radii * radius)) {
        follow_anew(square(std::max(fast.speed(), model.edges.front())) / rules.long_memory_px);
    }
    const bool crowded = crowded_until_us > t;
    if (!crowded && !turned(t, model) && spike_weight > rules.relocate_spikes) relocate(t, model);
    const double keep_shift = std::exp(-px / rules.turn_memory_px);
    shift_px2 *= keep_shift;
    for (double& sum : shift.p) sum *= keep_shift;
    for (double& info : shift.pp) info *= keep_shift;
}

// A turn makes no more events than before: the share of the newest ones beyond the usual number is of something that
// passes by, and shifts their mean. On a blurred edge that cannot be known.
double Track::others(const Rules& rules) const {
    if (disorder(rules) >= 1) return 0;
    const double shown = -std::expm1(-travel / rules.usual_memory_px) * rules.usual_memory_px;  // px, remembered
    return std::max(0.0, 1 - scatter_weight / shown * rules.turn_memory_px / (shift.pp[0] + shift.pp[2]));
}

// The newest events lie to one side of where the fit expects them: the disk has turned.
bool Track::turned(std::int64_t t, const Model& model) {
    const Rules& rules = model.rules;
    // Where it turns round by itself, its edges are seen late on the other side.
    if (slow.turns_round(rules.swing_px)) return false;
    const auto& m = shift.pp;
    const double prior = rules.turn_prior_events;  // of no shift
    const double a = m[0] + prior, c = m[2] + prior, det = a * c - m[1] * m[1];
    const double dx = (c * shift.p[0] - m[1] * shift.p[1]) / det;
    const double dy = (a * shift.p[1] - m[1] * shift.p[0]) / det;
    const double size = length(dx, dy), events = m[0] + m[2] + prior;
    // A few stray events do not agree with each other.
    const double apart = (shift_px2 - dx * shift.p[0] - dy * shift.p[1]) / events;
    const double sigma = std::sqrt(std::max(variance(), apart) * 2 / events);
    const double least = std::max({rules.turn_shift_px, rules.turn_scatter * std::sqrt(variance()),
                                   rules.turn_others * others(rules) * gate});
    if (size < std::max(least, rules.turn_sigmas * sigma)) return false;
    // Whatever turns an object mostly leaves its speed as it is. Then the change of velocity, which
    // has the direction of the shift, is a reflection. The events averaged are a little old.
    const double along = (slow.vx * dx + slow.vy * dy) / size;
    const double vx = slow.vx - std::min(0.0, 2 * along) * dx / size;
    const double vy = slow.vy - std::min(0.0, 2 * along) * dy / size;
    const double lag = slow.speed() > 0 ? rules.turn_lag_px * std::max(0.0, -2 * along) / slow.speed() / size : 0;
    if (along < 0) field.restart();
    restart(t, fast.x + dx * (1 + lag), fast.y + dy * (1 + lag), vx, vy, model);
    return true;
}

// Spikes that keep coming from beside the fit show that it lost the disk: begin again at the spikes. Where its events
// are there as usual, on its ring, it did not, and something passes by.
void Track::relocate(std::int64_t t, const Model& model) {
    if (id >= 0 && support(model.rules) > model.rules.lost_support && disorder(model.rules) < 1) return;
    const double dx = spike_dx / spike_weight, dy = spike_dy / spike_weight;
    if (length(dx, dy) < std::max(model.rules.relocate_px, model.rules.relocate_radii * radius)) return;
    field.restart();
    restart(t, fast.x + dx, fast.y + dy, 0, 0, model);
}

// The longer fits begin where the short one is.
void Track::follow_anew(double sigma_a) {
    steady = {field.here(), 0};
    slow.reset(fast, sigma_a);
    slow.ax = steady.along * axis_x;
    slow.ay = steady.along * axis_y;
    course = slow;
    anew_px = travel;
}

// Keep the object but forget its path: where it goes from here must be seen anew.
void Track::restart(std::int64_t t, double x, double y, double vx, double vy, const Model& model) {
    const Rules& rules = model.rules;
    pace_floor = std::max(rules.restart_pace * slow.speed(), pace_floor);
    pace_until = travel + rules.long_memory_px;
    const double sigma_v = std::max(pace_floor, model.edges.front());
    const double unit = std::sqrt(variance());  // of the fits, px
    fast.reset(t, x, y, rules.restart_sigma_px / unit, sigma_v / unit, vx, vy);
    forget_fresh();
    memory_px = rules.long_memory_px;
    follow_anew(sigma_v * sigma_v / rules.long_memory_px / unit);
    spread.restart();
    changes.restart();
    spike_weight = spike_dx = spike_dy = 0;
    shift = {};
    shift_px2 = 0;
}

}  // namespace velocell
