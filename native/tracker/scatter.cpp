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

void Scatter::compare(std::int64_t t, double px, double v, double sigma, double acceleration, const Rules& rules) {
    way_px_ += px;
    if (way_px_ < rules.long_memory_px) return;
    way_px_ = 0;
    if (last_us_ > 0 && sigma < v) {
        const double off = v - last_speed_ - acceleration * seconds(last_us_, t);
        const double keep = std::exp(-rules.long_memory_px / rules.clustering_memory_px);
        speeds_ = keep * speeds_ + off * off / (kDifference * (sigma * sigma + last_sigma_ * last_sigma_));
        compared_ = keep * compared_ + 1;
    }
    last_us_ = t;
    last_speed_ = v;
    last_sigma_ = sigma;
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

void Changes::expect(const Curve& held, const Curve& free, double hx, double hy, double travel) {
    const auto path = [](const Curve& c) { return Path{c.x, c.y, c.vx, c.vy, c.ax, c.ay}; };
    waits_ = true;
    t_us_ = held.t_us;
    since_px_ = travel;
    hx_ = hx;
    hy_ = hy;
    held_ = path(held);
    free_ = path(free);
}

void Changes::compare(std::int64_t t, double x, double y, const Rules& rules) {
    if (!std::exchange(waits_, false)) return;
    const double s = seconds(t_us_, t), keep = std::exp(-rules.forecast_px / rules.clustering_memory_px);
    const auto from_held = [&](double at_x, double at_y) {
        const double dx = at_x - (held_.x + (held_.vx + held_.ax * s / 2) * s);
        const double dy = at_y - (held_.y + (held_.vy + held_.ay * s / 2) * s);
        return Frame{dx * hx_ + dy * hy_, dy * hx_ - dx * hy_};
    };
    const Frame came = from_held(x, y);
    const Frame apart = from_held(free_.x + (free_.vx + free_.ax * s / 2) * s, free_.y + (free_.vy + free_.ay * s / 2) * s);
    along_.add(came.along, apart.along, keep);
    across_.add(came.across, apart.across, keep);
}

void Changes::Axis::add(double came_px, double apart_px, double keep) {
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

}  // namespace velocell
