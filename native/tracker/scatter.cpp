#include "scatter.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "fit.hpp"

namespace velocell {

namespace {

// Two speeds a memory apart share some of their events: variance of their difference over the sum of theirs.
constexpr double kDifference = 0.75;

// One glitch is not to free the acceleration for long.
constexpr double kMostSquare = 100;

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

void Changes::Axis::add(double square, double keep) {
    squares = keep * squares + std::min(square, kMostSquare);
    count = keep * count + 1;
}

double Changes::Axis::excess(const Rules& rules) const {
    const double prior = rules.steady_prior;
    return std::max(0.0, (squares + prior) / (count + prior) - 1);
}

void Changes::add(const Surprise& surprise, double unit, const Rules& rules) {
    const double keep = std::exp(-rules.cluster_px / rules.clustering_memory_px);
    const Frame& off = surprise.off;
    const Frame error2 = {unit * surprise.variance.along, unit * surprise.variance.across};
    along_.add(off.along * off.along / error2.along, keep);
    across_.add(off.across * off.across / error2.across, keep);
    const Frame more = excess(rules);
    variance_ = {more.along * error2.along, more.across * error2.across};
}

}  // namespace velocell
