#include "scatter.hpp"

#include <cmath>

#include "fit.hpp"

namespace velocell {

namespace {

// Two speeds a memory apart share some of their events: variance of their difference over the sum of theirs.
constexpr double kDifference = 0.75;

}  // namespace

void Scatter::pull(double sum, double info) {
    sum_ += sum;
    info_ += info;
}

bool Scatter::pulled(double px, double variance, const Rules& rules) {
    px_ += px;
    if (px_ < rules.cluster_px || info_ <= 0) return false;
    const double keep = std::exp(-px_ / rules.clustering_memory_px);
    pulls_ = keep * pulls_ + sum_ * sum_ / (variance * info_);
    pulled_ = keep * pulled_ + 1;
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
}

double Scatter::evenness(const Rules& rules) const {
    const double prior = rules.clustering_prior;
    return std::sqrt((prior * short_way() + speeds_) / (prior + compared_));
}

}  // namespace velocell
