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

    // Whether a memory's way has been gone, and the speed is to be compared with the one before it:
    bool is_far(double px, const Rules& rules);
    // the speed v +- sigma (of independent events), to and fro, which the acceleration has changed meanwhile.
    void compare(std::int64_t t, double v, double sigma, double acceleration, const Rules& rules);
    void restart();  // what comes is not to be compared with what was

    double short_way() const { return pulls_ / pulled_; }      // variance over that of independent events, by pulls
    double evenness(const Rules& rules) const;                 // standard deviation over theirs, by all

  private:
    double sum_ = 0, info_ = 0, px_ = 0;  // since the last comparison
    double last_pull_ = std::numeric_limits<double>::quiet_NaN();
    double pulls_, pulled_;               // ratios of variances, faded, and their number
    std::int64_t last_us_ = 0;
    double speeds_ = 0, compared_ = 0, way_px_ = 0, last_speed_ = 0, last_sigma_ = 0, last_acceleration_ = 0;
};

// How much an acceleration changes: how much of what the events alone say of it, beyond what was expected, comes true.
// A path with each goes on for some px; where the object then is lies on one of them, or between. Rejected: how far the
// events' acceleration is off what was expected, over what scatter makes of it; where events err together, as on blurred
// edges, that is never small.
class Changes {
  public:
    // Two paths of one time, held to what was expected and free; (hx, hy): unit vector along.
    // error2: variance of the free one's acceleration, px^2/s^4.
    void expect(const Curve& held, const Curve& free, const Frame& error2, double hx, double hy, double travel);
    // Whether it is time to say where the object is, and that.
    bool is_due(double travel, const Rules& rules) const { return !waits_ || travel - since_px_ >= rules.forecast_px; }
    void compare(std::int64_t t, double x, double y, double gain, const Rules& rules);
    void restart() { waits_ = false; }  // what comes is not on those paths

    // Mean square of what the acceleration changes by, over that of its error.
    Frame excess(const Rules& rules) const { return {along_.excess(rules), across_.excess(rules)}; }

  private:
    // Sums, faded: squares of how far the object was from the held path, and the free one from it, and their product.
    struct Axis {
        double came = 0, apart = 0, both = 0, count = 0;
        void add(double came_px, double apart_px, double sigma_px, double keep);
        double excess(const Rules& rules) const;
    };
    struct Path {
        double x, y, vx, vy, ax, ay;
    };
    Axis along_, across_;
    bool waits_ = false;
    std::int64_t t_us_ = 0;
    double since_px_ = 0, hx_ = 1, hy_ = 0;
    Path held_{}, free_{};
    Frame error2_{};
};

// How likely it is that a figure is not zero that is so many (squared) of its standard errors away; at `even` of them as
// likely as not.
double believed(double squares, double even);

// How the acceleration of a speed depends on the place along the path: it is the same everywhere where something falls
// or brakes, and changes in proportion on a spring, on a pendulum, and where a fluid slows things down. A line through
// what the fits made of it at each place so far, which fades. What a fit makes of it lags by what its events' information
// says (Surprise::late_px), so that each value belongs to a place a little before. Rejected: a shorter memory alone,
// which cannot be short enough near a turning point and then scatters; a third derivative of the path, which must be
// learned anew at every place.
class Field {
  public:
    void go(double px) { place_ += px; }  // to and fro
    // An acceleration that the events of the last memory show, px/s^2, its variance, and how it lags, see Surprise.
    void add(double acceleration, double variance, double late_px, double memory_px, const Rules& rules);
    void restart();
    double gain() const { return gain_; }  // of the acceleration per px, 1/s^2, as far as it is significant
    double belief() const { return belief_; }                  // that there is one
    double sigma() const { return sigma_; }                    // of the gain, 1/s^2
    double here() const { return belief_ * mean_ + gain_ * (place_ - at_); }  // the acceleration by that, px/s^2

  private:
    double place_ = 0;  // px
    double w_ = 0, s_ = 0, a_ = 0, ss_ = 0, sa_ = 0, aa_ = 0, count_ = 0;
    double gain_ = 0, belief_ = 0, sigma_ = 0, at_ = 0, mean_ = 0;  // the line goes through there
};

}  // namespace velocell
