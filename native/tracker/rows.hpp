// Row: what is reported of a track at one instant.
#pragma once

#include <cstdint>
#include <vector>

#include "track.hpp"

namespace velocell {

struct Row {
    std::int64_t t_us;
    std::int32_t id, band;
    double x, y, speed, speed_err, heading, radius, confidence;
};

// Append the rows of all confirmed tracks that have support, by id.
void report(const std::vector<Track>& tracks, std::int64_t t, const Model& model, std::vector<Row>& rows);

}  // namespace velocell
