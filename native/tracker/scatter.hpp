// Scatter: how far off the speed of a track is, from how it has scattered so far.
#pragma once

#include <cstdint>

#include "rules.hpp"

namespace velocell {

// The events of a fit err together, or make up for each other: their error bar is not that of independent ones. Two
// things are compared with what independent events would give: how the events of a few px pull on the fit along its
// heading, which says something soon, and how the speed changes from one memory to the next, which says more.
class Scatter {
  public:
    explicit Scatter(const Rules& rules) : pulls_(rules.even_pull * rules.even_pulls), pulled_(rules.even_pulls) {}

    // Pull of new events and their information. True where some way's worth of them was compared.
    void pull(double sum, double info);
    bool pulled(double px, double variance, const Rules& rules);
    bool coasts(const Rules& rules) const { return px_ >= rules.cluster_px && info_ <= 0; }

    // The speed v +- sigma (of independent events), which a steady acceleration would have changed.
    void compare(std::int64_t t, double px, double v, double sigma, double acceleration, const Rules& rules);
    void restart();  // what comes is not to be compared with what was

    double short_way() const { return pulls_ / pulled_; }      // variance over that of independent events, by pulls
    double evenness(const Rules& rules) const;                 // standard deviation over theirs, by all

  private:
    double sum_ = 0, info_ = 0, px_ = 0;  // since the last comparison
    double pulls_, pulled_;               // ratios of variances, faded, and their number
    std::int64_t last_us_ = 0;
    double speeds_ = 0, compared_ = 0, way_px_ = 0, last_speed_ = 0, last_sigma_ = 0;
};

}  // namespace velocell
