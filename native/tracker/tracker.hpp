// Tracker: final-layer spikes and raw events -> where each disk is and how fast it moves.
//
// Spikes of the network's final layer start a track, keep it alive and vote for its band. Raw
// events then place it: an event at e of a disk with centre c(t) = c + v t and radius R obeys
// |e - c(t)| = R, so every event is one measurement of (c, v). They are summed as normal equations
// of a least-squares fit with fading memory (Fit), so nothing has to be stored or revisited and
// the work per event is constant. Everything is driven by event and spike times alone: however a
// stream is cut, the rows are the same.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "allot.hpp"
#include "engine/portable.hpp"
#include "grid.hpp"
#include "lifecycle.hpp"
#include "model.hpp"
#include "past.hpp"
#include "rows.hpp"
#include "track.hpp"
#include "tracks.hpp"

namespace velocell {

struct TrackerConfig {
    int width = 0, height = 0;
    std::int64_t every_us = 5000;  // reporting interval
    std::int64_t dt_us = 1000;     // tick of the network: a spike is known at the end of its tick
    double offset = 0;             // where a spike's centre lies within its pixel: 0 or 0.5 px
};

struct EventSpan {
    const std::int64_t* t;
    const std::uint16_t* x;
    const std::uint16_t* y;
    const std::uint8_t* p;  // null without polarity
    std::int64_t n;
};

struct SpikeSpan {  // final layer only, sorted by time
    const std::int64_t* t;
    const std::int32_t* x;
    const std::int32_t* y;
    const std::int32_t* channel;
    const std::int32_t* size;  // index of the radius
    std::int64_t n;
};

// What every event and spike must know of each track around it, as a track is large: the first line of a processor's
// memory. And what an event must know that is not far from one: the second.
struct alignas(64) Near {
    std::int64_t t_us;
    double x, y, vx, vy;   // px, px/s
    double least2, most2;  // px^2, of the distance from the centre: elsewhere an event means nothing to it
    std::int32_t id;
    float answers2;  // px^2, no less: a spike beyond it is no answer to a tentative one

    float around2, far2;  // px^2: between these an event lies around it for sure, whatever the outline is there
    double gate, edge_speed;
    double heading_x, heading_y;
    Oval oval;

    struct Way {
        double dx, dy, d2;
    };
    // From where its centre is by now.
    Way to(std::int64_t t, double px, double py) const {
        const double s = seconds(t_us, t), dx = px - (x + vx * s), dy = py - (y + vy * s);
        return {dx, dy, dx * dx + dy * dy};
    }

    // How far from its centre the outline is, at this distance from it.
    double outline(const Offset& at, const Model& model) const {
        if (at.d == 0) return oval.radius;
        const double mean = oval.at((at.dx * heading_x + at.dy * heading_y) / at.d);
        return model.outline.empty() ? mean : mean * model.edge_towards(at.dx, at.dy).distance;
    }
};

// How often a spike found that tentative tracks were too many around it, of all that were to start one.
struct Crowding {
    std::int64_t crowded = 0, births = 0;
};

class Tracker {
  public:
    Tracker(const TrackerConfig& config, Model model);

    // Feed events and final-layer spikes in time order and report every multiple of every_us up to until_us.
    void step(const EventSpan& events, const SpikeSpan& spikes, std::int64_t until_us, std::vector<Row>& rows);

    // From now on.
    void expect(const Noise& noise) { model_.noise = noise; }
    // Of its crossings that an object shows, as it was measured.
    void expect_share(double share) { model_.share = std::min(1.0, share / model_.rules.usual_share); }
    // As many: what spikes stand for from now on.
    void expect_radii(std::vector<double> radii) { model_.radii = std::move(radii); }

    std::size_t sizes() const { return model_.radii.size(); }

    // One per confirmed track that travelled far enough.
    std::vector<Passage> passages() const;

    // Which networks see the events of [start, stop), by what is followed now.
    Allotment allotment(std::int64_t start_us, std::int64_t stop_us) const;

    const Crowding& crowding() const { return crowding_; }

  private:
    static constexpr std::int64_t kAhead = 12, kSoon = 5;  // events

    // Whose ring an event is nearest to, and the confirmed track that comes next, by number.
    struct Claim {
        int owner = kNobody, rival = kNobody;
        double away = 0, gate = 1;  // px, of the owner
        double second = 1;          // how far the rival is, in gates
        Offset offset{};            // from the owner

        double best() const { return away / gate; }  // that is asked of few
    };
    static constexpr int kNobody = -1;

    // In time order, up to the first at `until` or later; which that is.
    std::int64_t feed(const EventSpan& events, std::int64_t first, std::int64_t until);
    void claim(std::span<const int> candidates, std::int64_t t, int x, int y, const Before& before, Claim& found);
    void on_event(std::int64_t t, int x, int y, int p);
    // Asks the memory for what an event will need: its pixel and its cell,
    VELOCELL_INLINE void ask_for_pixel(int x, int y) const {
        if (x >= config_.width || y >= config_.height) return;
        prefetch(&past_[static_cast<std::size_t>(y) * config_.width + x]);
        prefetch(grid_.place_of(x, y));
    }
    // and when that is there, the track that is first in it.
    VELOCELL_INLINE void ask_for_track(int x, int y) const {
        if (x >= config_.width || y >= config_.height) return;
        const auto number = static_cast<std::size_t>(grid_.first_at(x, y));
        if (number < near_.size()) {
            const auto* lines = reinterpret_cast<const char*>(&near_[number]);
            prefetch(lines);
            prefetch(lines + 64);
        }
    }
    void on_spike(const Spike& spike);
    void start(const Spike& spike);
    Track* weakest(std::span<const int> around, std::int64_t t);
    // To be called whenever the track has changed.
    void surround(const Track& track);
    void advance(Track& track, std::int64_t t);
    void enter(Track& track);
    void enter_anew(Track& track);
    Place place_of(const Track& track) const;
    void upkeep(std::int64_t t);
    Passage passage_of(const Track& track) const;
    void find_shadow(Track& track);
    void drop_doubles();
    void drop_dead(std::int64_t t);

    TrackerConfig config_;
    Model model_;
    Tracks tracks_;
    std::vector<Near> near_;                         // of each track, by its number
    double nearest_edge_ = 1, farthest_edge_ = 1;    // of the outline, over its mean
    std::vector<Lost> lost_;
    bool resting_ = false;  // any of them
    Grid grid_;
    std::vector<int> around_;                   // tracks in whose surroundings the event lies
    std::array<std::int64_t, 3> polarities_{};  // events near tracks that are OFF, ON, without polarity
    Pasts past_;                                // per pixel; written near tracks only
    std::vector<Passage> finished_;
    std::int64_t next_report_us_ = 0, next_upkeep_us_ = 0, upkeep_us_ = 0;
    std::int32_t next_id_ = 0;
    Crowding crowding_;
};

}  // namespace velocell
