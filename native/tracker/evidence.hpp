// Evidence: what tells a moving disk from anything else that makes events.
#pragma once

#include "model.hpp"

namespace velocell {

// Sums over the first events of edge crossings, which fade over some way of travel.
struct Evidence {
    // On the ring, by side and polarity, each by the |cosine| of its direction to the heading: as many as a disk
    // crosses there.
    double ahead_on = 0, ahead_off = 0, behind_on = 0, behind_off = 0, ahead = 0, behind = 0;
    double near = 0, around = 0;  // within the gate of the ring; in a band outside it, if no other object's
    double way = 0, lasted = 0;   // px of travel, and the time it took, s

    void add(double cosine, double weight, int p);
    void fade(double keep, double px);

    // 1 where all crossings ahead are ON and all behind OFF, a bright object; -1 for a dark one; 0 where nothing tells.
    double signature() const;

    // Area of the ring's gate over that of the band around it.
    static double area_share(double radius, double gate, const Rules& rules);

    // Log odds that it is a disk of this radius at (x, y), whose ring has its gate.
    double log_odds(double x, double y, double radius, double gate, const Model& model) const;

  private:
    double dipole() const;
};

}  // namespace velocell
