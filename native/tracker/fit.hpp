// Fit: where a disk is and how fast it moves, from its events alone.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

namespace velocell {

// Least squares for (x, y, vx, vy) at time t_us with exponentially fading memory.
struct Fit {
    std::int64_t t_us = 0;
    double x = 0, y = 0, vx = 0, vy = 0;
    // Information about position, position-velocity and velocity: symmetric 2x2 blocks (xx, xy, yy).
    std::array<double, 3> pp{}, pv{}, vv{};
    // Sums of the events since the last solve.
    std::array<double, 3> npp{}, npv{}, nvv{};
    double bx = 0, by = 0, bvx = 0, bvy = 0;
    int count = 0;

    void reset(std::int64_t t, double px, double py, double sigma_p, double sigma_v, double pvx = 0, double pvy = 0);
    void add(double s, double ux, double uy, double residual, double weight);
    // Solve, move to t under the acceleration (px/s^2), fade; by how much the solution moved.
    std::array<double, 2> advance(std::int64_t t, double memory_px, double max_speed, double ax, double ay);
    double speed() const;
    double speed_sigma(double variance) const;
};

// The same with an acceleration (px/s^2) that turns with the path: exact for a steady one and on a circle, but more
// noisy. It takes the events of a Fit, so that they are summed once.
struct Curve {
    double x = 0, y = 0, vx = 0, vy = 0, ax = 0, ay = 0;
    std::array<double, 3> pp{}, pv{}, pa{}, vv{}, va{}, aa{};  // information, as in Fit
    std::array<double, 6> b{};                                 // since the last solution, with their information
    std::array<double, 3> fresh{};                             // about position

    void reset(const Fit& start, double sigma_a);
    // Before the Fit does; solves only where it is asked to, which is dear.
    void advance(const Fit& events, std::int64_t t, double memory_px, double max_speed, bool solve_now);
    // How the events since the last solution pull along a direction, and their information there.
    std::array<double, 2> pull(double cx, double cy) const;
    // Standard deviations of speed and acceleration; variance: px^2, of an event.
    std::array<double, 2> sigmas(double variance) const;
    double speed() const;

  private:
    void settle(double memory_px, double max_speed);
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

inline double length(double x, double y) { return std::sqrt(x * x + y * y); }  // hypot guards against overflow, slowly

inline double seconds(std::int64_t from_us, std::int64_t to_us) { return static_cast<double>(to_us - from_us) * 1e-6; }

}  // namespace velocell
