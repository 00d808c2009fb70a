// Fit: where a disk is and how fast it moves, from its events alone.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

#include "two.hpp"

namespace velocell {

inline double length(double x, double y) { return std::sqrt(x * x + y * y); }  // hypot guards against overflow, slowly

// What events say of a path: sums over symmetric 2x2 blocks (xx, xy, yy), about the path's position and velocity at its
// time.
struct Sums {
    std::array<double, 3> pp{}, pv{}, vv{};  // information
    std::array<double, 2> p{}, v{};          // how they pull on the path
};

// The sums of two paths of one time that see the same events.
class TwoSums {
  public:
    // An event `residual` px beyond the paths in the direction (ux, uy), s seconds after their time; of no weight, it is
    // none of that path's.
    void add(double s, double ux, double uy, Two residual, Two weight) {
        const Two wx = weight * two(ux, ux), wy = weight * two(uy, uy);
        const Two info[3] = {wx * two(ux, ux), wx * two(uy, uy), wy * two(uy, uy)};
        const Two late = two(s, s), later = late * late;
        for (int i = 0; i < 3; ++i) {
            pp_[i] += info[i];
            pv_[i] += late * info[i];
            vv_[i] += later * info[i];
        }
        const Two pull = weight * residual, px = pull * two(ux, ux), py = pull * two(uy, uy);
        p_[0] += px;
        p_[1] += py;
        v_[0] += late * px;
        v_[1] += late * py;
    }

    Sums of(int path) const {
        Sums sums;
        for (int i = 0; i < 3; ++i) {
            sums.pp[i] = pp_[i][path];
            sums.pv[i] = pv_[i][path];
            sums.vv[i] = vv_[i][path];
        }
        for (int i = 0; i < 2; ++i) {
            sums.p[i] = p_[i][path];
            sums.v[i] = v_[i][path];
        }
        return sums;
    }

  private:
    Two pp_[3]{}, pv_[3]{}, vv_[3]{}, p_[2]{}, v_[2]{};
};

// The sums of a place alone.
struct Shift {
    std::array<double, 3> pp{};
    std::array<double, 2> p{};

    void add(double ux, double uy, double residual) {
        pp[0] += ux * ux;
        pp[1] += ux * uy;
        pp[2] += uy * uy;
        p[0] += residual * ux;
        p[1] += residual * uy;
    }
};

// Least squares for (x, y, vx, vy) at time t_us with exponentially fading memory.
struct Fit {
    std::int64_t t_us = 0;
    double x = 0, y = 0, vx = 0, vy = 0;
    std::array<double, 3> pp{}, pv{}, vv{};  // information

    void reset(std::int64_t t, double px, double py, double sigma_p, double sigma_v, double pvx = 0, double pvy = 0);
    // Take what events say of it, if there were any since the last solution, and solve; by how much that moved it.
    std::array<double, 2> solve(const Sums& events, double max_speed);
    // Move to t under the acceleration (px/s^2), fade.
    void advance(std::int64_t t, double memory_px, double ax, double ay);
    double speed() const;
};

// Along a heading and across it.
struct Frame {
    double along = 0, across = 0;
};

// What is expected of an acceleration, px/s^2, and how sure that is, as information of events.
struct Expected {
    double hx = 1, hy = 0;  // unit vector along
    Frame value, sure;
};

// How far an acceleration was off what was expected of it, by the events alone, and its variance for events with a
// variance of 1.
struct Surprise {
    Frame off, variance;
    // Along: what a gain of the acceleration per px that was left out has taken from it, and from the speed, over the gain.
    double late_px, late_px_s;
};

// An acceleration turns a velocity round within so many px, or has done so.
inline bool turns_round(double vx, double vy, double ax, double ay, double swing_px) {
    return vx * vx + vy * vy < 2 * length(ax, ay) * swing_px;
}

// The same with an acceleration (px/s^2) that turns with the path: exact for a steady one and on a circle.
struct Curve {
    std::int64_t t_us = 0;
    double x = 0, y = 0, vx = 0, vy = 0, ax = 0, ay = 0;
    std::array<double, 3> pp{}, pv{}, pa{}, vv{}, va{}, aa{};  // information
    std::array<double, 6> pull{};  // of the events on the path; none where they alone made it
    std::array<double, 2> pg{}, vg{}, ag{};  // information shared with the gain of `advance`

    void reset(const Fit& start, double sigma_a);
    bool turns_round(double swing_px) const { return velocell::turns_round(vx, vy, ax, ay, swing_px); }
    // To the path that the events and what is expected make.
    void solve(const Expected& expected, double max_speed);
    Surprise surprise(const Expected& expected) const;
    // Standard deviations for events with a variance of 1: of the speed, and of the acceleration along the heading.
    std::array<double, 2> sigmas(const Expected& expected) const;
    double speed() const { return length(vx, vy); }
};

// The numbers of a path, or of two at once.
template <typename T>
struct Lanes {
    T x, y, vx, vy, ax, ay;
    T pp[3], pv[3], pa[3], vv[3], va[3], aa[3];
    T pull[6], pg[2], vg[2], ag[2];
};

// One path, or two of one time of which the same is asked, which takes hardly longer. The curves are told by `advance`
// what has become of them.
template <typename T>
class Paths {
  public:
    static constexpr int kPaths = sizeof(T) / sizeof(double);

    explicit Paths(const std::array<Curve*, kPaths>& curves);

    void take(const Sums& events);  // what they say of the last one
    // To the paths that the events and what is expected make.
    void solve(const Expected (&expected)[kPaths], double max_speed);
    // gain: of their acceleration per px that they go, 1/s^2.
    void advance(std::int64_t t, const std::array<double, kPaths>& memory_px, double swing_px, double gain);
    // Of the last one.
    double vx() const { return last(lanes_.vx); }
    double vy() const { return last(lanes_.vy); }
    double ax() const { return last(lanes_.ax); }
    double ay() const { return last(lanes_.ay); }

  private:
    static double last(const T& numbers) { return get(numbers, kPaths - 1); }
    void put_back();

    std::array<Curve*, kPaths> curves_;
    Lanes<T> lanes_;
};

// An outline that lies radius + stretch (|cos| - its mean) px from its centre, by the angle to the heading.
struct Oval {
    double radius = 0, stretch = 0, mean = 0;

    double at(double cosine) const { return radius + stretch * (std::abs(cosine) - mean); }
};

// Size of an outline. An ellipse has a stretch, and so has a disk whose edge ahead is seen sooner or later than the one
// behind it.
struct OutlineFit {
    explicit OutlineFit(double r) : radius(r) {}

    double radius, stretch = 0;  // px; radius: the mean distance of the events

    Oval oval() const { return {radius, stretch, mean_}; }
    void add(double distance, double cosine, double weight) {
        const double c = std::abs(cosine);
        w_ += weight;
        wc_ += weight * c;
        wcc_ += weight * c * c;
        d_ += weight * distance;
        dc_ += weight * c * distance;
    }
    void fade(double keep);
    // What the sums say, where so many events say that the radius is `nominal` and that there is no stretch.
    void solve(double nominal, double radius_prior, double stretch_prior);

    double at(double cosine) const { return oval().at(cosine); }

  private:
    double w_ = 0, wc_ = 0, wcc_ = 0, d_ = 0, dc_ = 0, mean_ = 0;
};

inline double seconds(std::int64_t from_us, std::int64_t to_us) { return static_cast<double>(to_us - from_us) * 1e-6; }

}  // namespace velocell
