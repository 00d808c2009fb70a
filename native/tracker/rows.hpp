// Row: what is reported of a track at one instant.
#pragma once

#include <cstdint>
#include <vector>

#include "lifecycle.hpp"
#include "track.hpp"

namespace velocell {

struct Row {
    std::int64_t t_us;
    std::int32_t id, band;
    double x, y, speed, speed_err, heading, radius, confidence;
    double acceleration;  // px/s^2 along the heading; NaN where it is not significant
    std::int32_t flags;
};

// What a row's flags say, one bit each; names: src/velocell/data/tables.py.
enum Flag : std::int32_t {
    kOffBand = 1,  // the neurons answer for another band than that of the speed, beyond its error
    kAtRest = 2,
    kCrowded = 4,  // its ring crosses that of another object
};

// Append the rows of all confirmed tracks that have support, and of those that rest or are lost because they do, by id.
void report(const Tracks& tracks, const std::vector<Lost>& lost, std::int64_t t, const Model& model,
            std::vector<Row>& rows);

// How probable it is that the object is there and in its band: by the evidence for a disk, and by the support, the
// agreement of the votes, and that of the speed with the band.
double confidence(const Track& track, int band, double support, double odds, const Model& model);

}  // namespace velocell
