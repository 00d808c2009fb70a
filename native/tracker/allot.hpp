// Which of several networks, each for disks of a radius, are given an event. What lies on the ring of an object that is
// followed goes to those for about its size, everything else to all: most events of a scene are then seen once or
// twice and not by every network.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "grid.hpp"

namespace velocell {

// An object as of t_us: where it is and how it goes on (px, px/s, px/s^2), between which distances from its centre its
// events lie, and between which radii it is looked for (px).
struct Followed {
    std::int64_t t_us;
    double x, y, vx, vy, ax, ay;
    double least, most;
    double smallest, largest;
};

class Allotment {
  public:
    static constexpr std::size_t kMost = 64;  // networks, a bit each

    // radii: of the networks, at most kMost. For events of [start, stop) in microseconds.
    Allotment(int width, int height, const std::vector<double>& radii, std::int64_t start_us, std::int64_t stop_us,
              const std::vector<Followed>& followed);

    std::size_t networks() const { return networks_; }

    // The networks that see an event of that span.
    std::uint64_t of(std::int64_t t, int x, int y) const;

  private:
    struct Ring {
        std::int64_t t_us;
        double x, y, vx, vy, half_ax, half_ay, least2, most2;
        std::uint64_t networks;

        // Its centre s seconds behind t_us.
        double x_at(double s) const { return x + (vx + half_ax * s) * s; }
        double y_at(double s) const { return y + (vy + half_ay * s) * s; }
    };

    Place place_of(const Ring& ring, double most, std::int64_t start_us, std::int64_t stop_us) const;

    int width_, height_;
    std::size_t networks_;
    std::uint64_t all_;
    std::vector<Ring> rings_;
    Grid grid_;  // of these, by number
};

}  // namespace velocell
