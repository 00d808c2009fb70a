// Fit: where a disk is and how fast it moves, from its events alone.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

namespace velocell {

inline double length(double x, double y) { return std::sqrt(x * x + y * y); }  // hypot guards against overflow, slowly

// What events say of a path: sums over symmetric 2x2 blocks (xx, xy, yy), about the path's position and velocity at its
// time.
struct Sums {
    std::array<double, 3> pp{}, pv{}, vv{};  // information
    std::array<double, 2> p{}, v{};          // how they pull on the path
    int count = 0;

    // An event `residual` px beyond the path in the direction (ux, uy), s seconds after its time.
    void add(double s, double ux, double uy, double residual, double weight);
};

// Least squares for (x, y, vx, vy) at time t_us with exponentially fading memory.
struct Fit {
    std::int64_t t_us = 0;
    double x = 0, y = 0, vx = 0, vy = 0;
    std::array<double, 3> pp{}, pv{}, vv{};  // information
    Sums fresh;                              // since the last solution

    void reset(std::int64_t t, double px, double py, double sigma_p, double sigma_v, double pvx = 0, double pvy = 0);
    // Solve, move to t under the acceleration (px/s^2), fade; by how much the solution moved.
    std::array<double, 2> advance(std::int64_t t, double memory_px, double max_speed, double ax, double ay);
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

// The same with an acceleration (px/s^2) that turns with the path: exact for a steady one and on a circle.
struct Curve {
    std::int64_t t_us = 0;
    double x = 0, y = 0, vx = 0, vy = 0, ax = 0, ay = 0;
    std::array<double, 3> pp{}, pv{}, pa{}, vv{}, va{}, aa{};  // information
    std::array<double, 6> pull{};  // of the events on the path; none where they alone made it
    std::array<double, 2> pg{}, vg{}, ag{};  // information shared with the gain of `advance`
    Sums fresh;                    // since the last advance

    void reset(const Fit& start, double sigma_a);
    void take(const Curve& other);  // the fresh events of another one
    // gain: of its acceleration per px that it goes, 1/s^2.
    void advance(std::int64_t t, double memory_px, double swing_px, double gain);
    // Its acceleration turns it round within so many px, or has done so.
    bool turns_round(double swing_px) const { return vx * vx + vy * vy < 2 * length(ax, ay) * swing_px; }
    // To the path that the events and what is expected make.
    void solve(const Expected& expected, double max_speed);
    Surprise surprise(const Expected& expected) const;
    // Standard deviations for events with a variance of 1: of the speed, and of the acceleration along the heading.
    std::array<double, 2> sigmas(const Expected& expected) const;
    double speed() const;
};

// Size of an outline, at the distance radius + stretch (|cos| - its mean) from its centre, by the angle to the heading.
// An ellipse has a stretch, and so has a disk whose edge ahead is seen sooner or later than the one behind it.
struct Extent {
    explicit Extent(double r) : radius(r) {}

    double radius, stretch = 0;  // px; radius: the mean distance of the events

    void add(double distance, double cosine, double weight);
    void fade(double keep);
    // What the sums say, where so many events say that the radius is `nominal` and that there is no stretch.
    void solve(double nominal, double radius_prior, double stretch_prior);

    double at(double cosine) const { return radius + stretch * (std::abs(cosine) - mean_); }

  private:
    double w_ = 0, wc_ = 0, wcc_ = 0, d_ = 0, dc_ = 0, mean_ = 0;
};

inline double seconds(std::int64_t from_us, std::int64_t to_us) { return static_cast<double>(to_us - from_us) * 1e-6; }

}  // namespace velocell
