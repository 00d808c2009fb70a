// Births and deaths: when a new track is taken for an object, and when one is given up.
#pragma once

#include <cstdint>
#include <vector>

#include "track.hpp"
#include "tracks.hpp"

namespace velocell {

// What is kept of an object that was lost, so that it is known again. (x, y) at t_us: the end of its events.
struct Lost {
    std::int32_t id;
    std::int64_t t_us, seen_us;  // seen_us: when its track was last sure of it, a little later
    double x, y, vx, vy, radius, signature, confidence;
    bool rests;  // it stopped, and has rows; else it is hidden, or a shadow
    Habit habit;
};

// Whether a dead track is to be known again: the object was followed for long enough and did not leave the picture.
bool is_kept(const Track& track, const Model& model);
// t: now.
Lost lost_of(const Track& track, std::int64_t t, const Model& model);

// Give a new track that has earned it an id, mark it as dead where it has gone. It must stand at t.
// tracks: all of them; lost: those that may come back; next_id: counts up with every new object.
void look_at(Track& track, std::int64_t t, const Model& model, Tracks& tracks, std::vector<Lost>& lost,
             std::int32_t& next_id);

// Whether the first, which is near the second, is a shadow of it: softer and fainter, and with it at one speed.
bool is_shadow(const Track& track, const Track& other, const Rules& rules);

// Two tracks on one disk, of which the first stays.
bool is_double(const Track& first, const Track& second, const Rules& rules);

// Whether it travelled far enough to tell of the recording.
inline bool is_measured(const Track& track, const Rules& rules) { return track.crossed_px > rules.measure_px; }

}  // namespace velocell
