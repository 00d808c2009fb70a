#include "rows.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

namespace velocell {

namespace {

// One sigma, px/s. independent: that of independent events.
double speed_error(const Track& track, double independent, const Rules& rules) {
    const double v = track.slow.speed(), random = track.spread.evenness(rules) * independent;
    // Pixels answer late: what they show of a speed is that of a moment ago.
    const double response = rules.response_s * (track.slow.ax * track.axis_x + track.slow.ay * track.axis_y);
    if (track.slow.turns_round(rules.swing_px)) return length(random, response);
    // An acceleration that changes lags behind, see Track::fit_memory, or is not believed yet.
    const double changes = std::sqrt(track.variance() * track.spread.short_way() * track.free.along);
    const double unknown = (1 - track.field.belief()) * changes * track.lagging(rules);
    const double lag = std::max(unknown, track.doubt) * track.memory_px / v;
    const double field = track.late * track.field.sigma();
    // Within a memory a bend shortens the way.
    const double turn = length(track.slow.ax, track.slow.ay) * track.memory_px / (v * v);
    return length(length(length(random, lag), length(field, response)), rules.bend_error * turn * turn * v);
}

// Its speed lies outside a band by more than a share of the edge, and that is no accident.
bool contradicts(double v, int band, double tolerance, double allowed, const Model& model) {
    return band >= 0 && (v + allowed < (1 - tolerance) * model.edges[band] ||
                         v - allowed > (1 + tolerance) * model.edges[band + 1]);
}

double logistic(double x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

double confidence(const Track& track, int band, double support, double odds, const Model& model) {
    const Rules& rules = model.rules;
    if (band < 0) return 0;
    double sum = 0;
    for (const double vote : track.votes) sum += vote;
    const bool off = contradicts(track.slow.speed(), band, rules.band_tolerance, 0, model);
    const double standing = std::min(1.0, support) * track.votes[band] / sum * (off ? rules.off_band_confidence : 1.0);
    return logistic(rules.confidence_odds_slope * (odds - rules.even_odds)) *
           logistic(rules.confidence_standing_slope * (standing - rules.even_standing));
}

namespace {

double degrees(double vx, double vy) {
    const double heading = std::atan2(vy, vx) * 180 / kPi;
    return heading - 360 * std::floor(heading / 360);
}

// Of the speed, where the path shows one.
double acceleration(const Track& track, double sigma, const Rules& rules) {
    const double along = track.slow.ax * track.heading_x + track.slow.ay * track.heading_y;
    const double unit = track.variance() * track.spread.short_way();
    const double error = std::max(std::sqrt(unit) * sigma, track.steady_error);
    const bool shown = std::abs(along) > rules.acceleration_sigmas * error;
    return shown ? along : std::numeric_limits<double>::quiet_NaN();
}

// The neurons' votes are those of its last px: where its speed is seen to change they are out of date. What trembles, or
// gives another number of events than most, makes them answer for another speed, and near an edge, which they know to a
// tolerance, a fit of many events knows better. Then the band is that of the speed.
int band_now(const Track& track, double speed_err, double acceleration, const Model& model) {
    const Rules& rules = model.rules;
    const double v = track.slow.speed();
    const int voted = track.band();
    const double sigmas = std::isnan(acceleration) ? rules.own_band_sigmas : rules.changed_band_sigmas;
    const double better = std::min(1.0, speed_err / (rules.band_tolerance * v + 1e-9));
    if (!contradicts(v, voted, 0, sigmas * better * speed_err, model)) return voted;
    const auto above = std::upper_bound(model.edges.begin(), model.edges.end(), v) - model.edges.begin();
    const bool inside = above > 0 && above < static_cast<std::ptrdiff_t>(model.edges.size());
    return inside ? static_cast<int>(above) - 1 : voted;
}

Row row_of(const Track& track, std::int64_t t, double odds, const Model& model) {
    const Rules& rules = model.rules;
    const auto [of_speed, of_acceleration] = track.slow.sigmas(track.foreseen());
    const double error = speed_error(track, std::sqrt(track.variance()) * of_speed, rules);
    const double accel = acceleration(track, of_acceleration, rules);
    const int band = band_now(track, error, accel, model);
    const bool off = contradicts(track.slow.speed(), track.band(), rules.band_tolerance, rules.off_band_sigmas * error,
                                 model);
    return {t,
            track.id,
            band,
            track.fast.x,
            track.fast.y,
            track.slow.speed(),
            error,
            degrees(track.slow.vx, track.slow.vy),
            track.radius,
            confidence(track, track.band(), track.support(rules), odds, model),
            accel,
            (off || band != track.band() ? kOffBand : 0) | (track.crowded_until_us > t ? kCrowded : 0)};
}

// Moving, it would have made an event by now. What has braked still makes some, as it turns round, or of noise.
bool seems_at_rest(const Track& track, std::int64_t t, const Model& model) {
    return track.slow.turns_round(model.rules.swing_px) || !track.keeps_pace(model) ||
           seconds(track.last_event_us, t) * track.pace(model) > model.rules.rest_error_px;
}

// It keeps the heading it stopped with. By so much that it would have made events it has not moved.
Row row_at_rest(const Lost& lost, std::int64_t t, const Rules& rules) {
    const double gone_s = seconds(lost.t_us, t);
    return {t,
            lost.id,
            -1,
            lost.x,
            lost.y,
            0,
            std::min(rules.rest_error_px / gone_s, length(lost.vx, lost.vy)),
            degrees(lost.vx, lost.vy),
            lost.radius,
            lost.confidence * std::max(0.0, 1 - gone_s / rules.keep_s),
            std::numeric_limits<double>::quiet_NaN(),
            kAtRest};
}

}  // namespace

void report(const Tracks& tracks, const std::vector<Lost>& lost, std::int64_t t, const Model& model,
            std::vector<Row>& rows) {
    const auto first = static_cast<std::ptrdiff_t>(rows.size());
    const auto rest = [&](const Lost& one) {
        if (one.rests && one.confidence > model.rules.rest_confidence && seconds(one.t_us, t) <= model.rules.keep_s)
            rows.push_back(row_at_rest(one, t, model.rules));
    };
    for (const int number : tracks.numbers()) {
        const Track& track = tracks[number];
        if (track.is_shadow()) continue;
        double odds = 0;
        if (track.id >= 0 && track.support(model.rules) > model.rules.row_support && track.keeps_pace(model) &&
            (odds = track.log_odds(model)) > model.rules.row_odds) {
            // Right after a sharp turn it has no speed yet.
            if (track.slow.speed() > 0) rows.push_back(row_of(track, t, odds, model));
        } else if (seems_at_rest(track, t, model) && is_kept(track, model)) rest(lost_of(track, t, model));
    }
    for (const Lost& one : lost) rest(one);
    std::sort(rows.begin() + first, rows.end(), [](const Row& a, const Row& b) { return a.id < b.id; });
}

}  // namespace velocell
