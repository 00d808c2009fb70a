// What a track knows of its disk, from events alone: Fit (where and how fast) and Shape (is it a disk?).
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
    std::array<double, 2> advance(std::int64_t t, double memory_px, double max_speed);  // solve, move to t, fade
    double speed() const;
    double speed_sigma(double variance) const;
};

constexpr double kDiskAlong = 2.0 / 3;  // share of cos^2 to the path over the events on a disk's ring

// How the events lie around the fit, over the last few px: a disk has them on both sides of its
// path's normal, most ahead and behind, few at the flanks, none inside.
struct Shape {
    double weight = 0, ux = 0, uy = 0, uxx = 0, uxy = 0, uyy = 0, inside = 0;

    void add(double x, double y, double w);
    void fade(double keep);
    double imbalance() const;                    // 0: as many on each side, 1: all on one
    double along(double vx, double vy) const;    // share of cos^2 to the path
    double filling(double uniform) const;        // 0: hollow, 1: as dense inside as on the ring
};

inline double length(double x, double y) { return std::sqrt(x * x + y * y); }  // hypot guards against overflow, slowly

inline double seconds(std::int64_t from_us, std::int64_t to_us) { return static_cast<double>(to_us - from_us) * 1e-6; }

}  // namespace velocell
