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
};

// Append the rows of all confirmed tracks that have support, and of those that are lost because they rest, by id.
void report(const std::vector<Track>& tracks, const std::vector<Lost>& lost, std::int64_t t, const Model& model,
            std::vector<Row>& rows);

// How probable it is that the object is there and in its band: by the evidence for a disk, and by the support, the
// agreement of the votes, and that of the speed with the band.
double confidence(const Track& track, int band, double support, const Model& model);

}  // namespace velocell
