// Scatter: how far off the speed of a track is, from how it has scattered so far.
#pragma once

#include <cstdint>
#include <limits>

#include "fit.hpp"
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
    double last_pull_ = std::numeric_limits<double>::quiet_NaN();
    double pulls_, pulled_;               // ratios of variances, faded, and their number
    std::int64_t last_us_ = 0;
    double speeds_ = 0, compared_ = 0, way_px_ = 0, last_speed_ = 0, last_sigma_ = 0;
};

// How much an acceleration changes: squares of what it was off by so far, over what scatter makes of them.
class Changes {
  public:
    // unit: variance that an event has in it.
    void add(const Surprise& surprise, double unit, const Rules& rules);
    // Mean square beyond that of scatter, in units of it.
    Frame excess(const Rules& rules) const { return {along_.excess(rules), across_.excess(rules)}; }
    Frame variance() const { return variance_; }  // of the acceleration, px^2/s^4, by the last surprise

  private:
    struct Axis {
        double squares = 0, count = 0;
        void add(double square, double keep);
        double excess(const Rules& rules) const;
    };
    Axis along_, across_;
    Frame variance_;
};

}  // namespace velocell
