#include "evidence.hpp"

#include <algorithm>
#include <cmath>

namespace velocell {

namespace {

// Beyond these a figure says no more; the regression that gave the weights had the same limits.
constexpr double kLeastExcess = -0.5, kMostExcess = 1, kLeastIsolation = -1.5, kMostIsolation = 2.5;
constexpr double kLeastInside = 0.25;  // of the band around, in the sensor's corner

}  // namespace

void Evidence::add(double cosine, double weight, int p) {
    const double w = weight * std::abs(cosine);
    const bool front = cosine > 0;
    (front ? ahead : behind) += w;
    if (p == 1) (front ? ahead_on : behind_on) += w;
    if (p == 0) (front ? ahead_off : behind_off) += w;
}

void Evidence::fade(double keep, double px) {
    for (double* sum : {&ahead_on, &ahead_off, &behind_on, &behind_off, &ahead, &behind, &near, &around, &lasted})
        *sum *= keep;
    way = keep * way + px;
}

double Evidence::signature() const {
    const double all = ahead + behind;
    return all > 0 ? (ahead_on - ahead_off + behind_off - behind_on) / all : 0;
}

double Evidence::area_share(double radius, double gate, const Rules& rules) {
    const double inner = std::max(0.0, radius - gate), outer = radius + gate, far = outer + rules.around_px;
    return (outer * outer - inner * inner) / (far * far - outer * outer);
}

namespace {

// Share of a circle that lies on the sensor.
double share_inside(double x, double y, double r, const Model& model) {
    double outside = 0;
    for (const double border : {x + 0.5, y + 0.5, model.width - 0.5 - x, model.height - 0.5 - y})
        if (border < r) outside += std::acos(std::max(border / r, -1.0)) / kPi;
    return std::max(1 - outside, kLeastInside);
}

}  // namespace

double Evidence::log_odds(double x, double y, double radius, double gate, const Model& model) const {
    const Rules& rules = model.rules;
    // What the ring's gate would hold if it were as busy as what is around it.
    const double inside = share_inside(x, y, radius + gate + rules.around_px / 2, model);
    // Noise that came to a pixel before an edge hides a crossing, unless it had the other polarity; and behind an edge,
    // whose pixels have just been crossed, it begins none itself, which is half of the gate.
    const double begins = model.noise.passing(way > 0 ? rules.silence_px * lasted / way : 0);
    const double gate_px2 = 4 * kPi * radius * std::min(gate, radius) * inside;
    const double hidden = model.noise.hz * lasted * gate_px2 * (begins - model.noise.flips) / 2;
    const double elsewhere = std::max(around * area_share(radius, gate, rules) / inside - hidden, 0.0);
    // Edge pixels that a disk crosses and shows; where all events have one polarity, at most those of one side.
    const double due = 4 * radius * model.crossings * std::min(model.part(), model.share) * std::max(way, 1.0) * begins;
    const double excess = std::clamp((near - elsewhere) / due, kLeastExcess, kMostExcess);
    const double prior = rules.evidence_prior_events;
    const double isolation =
        std::clamp(std::log((near + prior) / (elsewhere + prior)), kLeastIsolation, kMostIsolation);
    const double own = std::max(near - elsewhere, rules.least_share * due);
    double faces = rules.one_face;
    if (!model.polarity) faces = rules.unknown_faces * 2 * std::min(ahead, behind) / std::max(ahead + behind, 1e-9);
    else if (!model.one_polarity) faces = std::clamp(dipole() / own, -1.0, 1.0);
    return rules.odds_base + rules.odds_excess * excess + rules.odds_isolation * isolation + rules.odds_faces * faces;
}

// By how many crossings one polarity is ahead and the other behind, on the weaker side; of all that a disk has, since
// pi / 4 is the mean of |cosine| over its crossings. Noise has both polarities on both sides and adds nothing.
double Evidence::dipole() const {
    const double front = ahead_on - ahead_off, back = behind_on - behind_off;
    return (front > back ? std::min(front, -back) : std::min(-front, back)) * 8 / kPi;
}

}  // namespace velocell
