#include "scatter.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "fit.hpp"

namespace velocell {

namespace {

// Two speeds a memory apart share some of their events: variance of their difference over the sum of theirs.
constexpr double kDifference = 0.75;

// Of what the events say of an acceleration. More is no better, and its inverse must be a number.
constexpr double kMostShare = 0.99;

// Of one comparison, so that a turning point does not outweigh all others.
constexpr double kMostSigmas = 3;

}  // namespace

void Scatter::pull(double sum, double info) {
    sum_ += sum;
    info_ += info;
}

bool Scatter::pulled(double px, double variance, const Rules& rules) {
    px_ += px;
    if (px_ < rules.cluster_px || info_ <= 0) return false;
    const double keep = std::exp(-px_ / rules.clustering_memory_px);
    const double pull = sum_ / std::sqrt(variance * info_);
    // A path that is wrong pulls alike again and again; only what changes from one to the next is scatter.
    if (!std::isnan(last_pull_)) {
        const double change = pull - last_pull_;
        pulls_ = keep * pulls_ + change * change / 2;
        pulled_ = keep * pulled_ + 1;
    }
    last_pull_ = pull;
    sum_ = info_ = px_ = 0;
    return true;
}

bool Scatter::is_far(double px, const Rules& rules) {
    way_px_ += px;
    if (way_px_ < rules.long_memory_px) return false;
    way_px_ = 0;
    return true;
}

void Scatter::compare(std::int64_t t, double v, double sigma, double acceleration, const Rules& rules) {
    if (last_us_ > 0 && sigma < std::abs(v)) {
        const double off = v - last_speed_ - (acceleration + last_acceleration_) / 2 * seconds(last_us_, t);
        const double keep = std::exp(-rules.long_memory_px / rules.clustering_memory_px);
        speeds_ = keep * speeds_ + off * off / (kDifference * (sigma * sigma + last_sigma_ * last_sigma_));
        compared_ = keep * compared_ + 1;
    }
    last_us_ = t;
    last_speed_ = v;
    last_sigma_ = sigma;
    last_acceleration_ = acceleration;
}

void Scatter::restart() {
    last_us_ = 0;
    way_px_ = 0;
    last_pull_ = std::numeric_limits<double>::quiet_NaN();
}

double Scatter::evenness(const Rules& rules) const {
    const double prior = rules.clustering_prior;
    return std::sqrt((prior * short_way() + speeds_) / (prior + compared_));
}

void Changes::expect(const Curve& held, const Curve& free, const Frame& error2, double hx, double hy, double travel) {
    const auto path = [](const Curve& c) { return Path{c.x, c.y, c.vx, c.vy, c.ax, c.ay}; };
    waits_ = true;
    error2_ = error2;
    t_us_ = held.t_us;
    since_px_ = travel;
    hx_ = hx;
    hy_ = hy;
    held_ = path(held);
    free_ = path(free);
}

void Changes::compare(std::int64_t t, double x, double y, double gain, const Rules& rules) {
    if (!std::exchange(waits_, false)) return;
    const double s = seconds(t_us_, t), keep = std::exp(-rules.forecast_px / rules.clustering_memory_px);
    // As Curve::advance.
    const auto gone_on = [&](const Path& one) {
        const double more = gain * s / 3;
        return std::pair{one.x + (one.vx + (one.ax + more * one.vx) * s / 2) * s,
                         one.y + (one.vy + (one.ay + more * one.vy) * s / 2) * s};
    };
    const auto [held_x, held_y] = gone_on(held_);
    const auto [free_x, free_y] = gone_on(free_);
    const auto from_held = [&](double at_x, double at_y) {
        const double dx = at_x - held_x, dy = at_y - held_y;
        return Frame{dx * hx_ + dy * hy_, dy * hx_ - dx * hy_};
    };
    const Frame came = from_held(x, y), apart = from_held(free_x, free_y);
    const double reach = s * s / 2;
    along_.add(came.along, apart.along, reach * std::sqrt(error2_.along), keep);
    across_.add(came.across, apart.across, reach * std::sqrt(error2_.across), keep);
}

// Each comparison counts by what scatter makes of it, and none for all.
void Changes::Axis::add(double came_px, double apart_px, double sigma_px, double keep) {
    const double unit = std::max(sigma_px, std::abs(apart_px) / kMostSigmas);
    if (!(unit > 0)) return;
    came_px /= unit;
    apart_px /= unit;
    came = keep * came + came_px * came_px;
    apart = keep * apart + apart_px * apart_px;
    both = keep * both + came_px * apart_px;
    count = keep * count + 1;
}

// The share of it that comes true is what a least squares fit gives, and what is best to believe of it: that of the
// acceleration's own variance in both.
double Changes::Axis::excess(const Rules& rules) const {
    if (apart <= 0 || both <= 0) return 0;
    // Of one comparison nothing is left, which says nothing.
    const double left = (came - both * both / apart * std::max(0.0, 1 - 1 / count)) / count;
    const double share = std::min(both / (apart + rules.steady_prior * left), kMostShare);
    return share / (1 - share);
}

// That of two models which nothing favours beforehand but that the richer one must show `even` standard errors: half of
// their square is the logarithm of the ratio of their likelihoods.
double believed(double squares, double even) { return 1 / (1 + std::exp((even * even - squares) / 2)); }

void Field::add(double acceleration, double variance, double late_px, double memory_px, const Rules& rules) {
    if (!(variance > 0) || !std::isfinite(variance)) return;
    const double keep = std::exp(-rules.cluster_px / rules.field_memory_px);
    const double s = place_ - late_px, a = acceleration - gain_ * late_px, w = 1 / variance;
    for (double* sum : {&w_, &s_, &a_, &ss_, &sa_, &aa_, &count_}) *sum *= keep;
    w_ += w;
    s_ += w * s;
    a_ += w * a;
    ss_ += w * s * s;
    sa_ += w * s * a;
    aa_ += w * a * a;
    count_ += 1;
    const double spread = ss_ - s_ * s_ / w_, both = sa_ - s_ * a_ / w_, all = aa_ - a_ * a_ / w_;
    at_ = s_ / w_;
    mean_ = a_ / w_;
    if (count_ < 3 || spread <= 0) return;
    const double slope = both / spread, left = std::max(0.0, all - slope * both);
    // Accelerations within a memory of each other have the same events.
    const double alike = 2 * memory_px / rules.cluster_px, scatter = std::max(1.0, left / (count_ - 2)) * alike;
    belief_ = believed(slope * both / scatter, rules.acceleration_sigmas);
    gain_ = slope * belief_;
    // Of a mixture: within, and between.
    sigma_ = std::sqrt(belief_ * (scatter / spread + (1 - belief_) * slope * slope));
}

void Field::restart() { *this = Field{}; }

}  // namespace velocell
