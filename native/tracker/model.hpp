// What a tracker knows before the first event: its rules, and what the objects are like that it looks for.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "rules.hpp"

namespace velocell {

constexpr double kPi = 3.14159265358979323846;

// Where the outline lies in some direction: distance over the mean, and its slope per radian.
struct Edge {
    double distance = 1, slope = 0;
};

// Events where nothing moves, per pixel and second; the share of them that change a pixel's polarity. Of events that come
// at random times, `passing` is the share whose pixel was silent for so long before, or had the other polarity.
struct Noise {
    double hz = 0, flips = 0;

    double passing(double silent_s) const { return flips + (1 - flips) * std::exp(-hz * silent_s); }
};

struct Model {
    Rules rules;
    int width = 0, height = 0;  // px, of the sensor
    std::vector<double> radii;  // px, what spikes stand for
    std::vector<double> edges;  // N+1 band edges, px/s
    // Of objects that are no disks: distance of the outline from the centre for each of equal angles from +x
    // towards +y, over its mean; edge pixels crossed per px of travel, over those of a disk.
    std::vector<double> outline;
    double crossings = 1;
    bool polarity = true, one_polarity = false;  // whether events have one, and all the same
    Noise noise{};
    double share = 1;  // of its crossings that an object shows where events get lost, over the usual

    // Of its crossings that an object shows where no event gets lost.
    double part() const { return one_polarity ? 0.5 : 1; }

    Edge edge_towards(double dx, double dy) const { return outline.empty() ? Edge{} : outline_towards(dx, dy); }

    // Lower edge of a band, px/s; of the slowest one where the band is not known.
    double lower_edge(int band) const { return edges[band < 0 ? 0 : band]; }

    double max_speed() const { return rules.max_speed_edges * edges.back(); }

  private:
    Edge outline_towards(double dx, double dy) const {
        const auto n = static_cast<double>(outline.size());
        double at = std::atan2(dy, dx) / (2 * kPi) * n;
        if (at < 0) at += n;
        const std::size_t i = static_cast<std::size_t>(at) % outline.size(), j = (i + 1) % outline.size();
        const double part = at - std::floor(at), a = outline[i], b = outline[j];
        return {a + part * (b - a), (b - a) * n / (2 * kPi)};
    }
};

}  // namespace velocell
