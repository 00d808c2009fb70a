// Tracker: final-layer spikes and raw events -> where each disk is and how fast it moves.
//
// Spikes of the network's final layer start a track, keep it alive and vote for its band. Raw
// events then place it: an event at e of a disk with centre c(t) = c + v t and radius R obeys
// |e - c(t)| = R, so every event is one measurement of (c, v). They are summed as normal equations
// of a least-squares fit with fading memory (Fit), so nothing has to be stored or revisited and
// the work per event is constant. Everything is driven by event and spike times alone: however a
// stream is cut, the rows are the same.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "fit.hpp"

namespace velocell {

struct TrackerConfig {
    int width = 0, height = 0;
    std::int64_t every_us = 5000;  // reporting interval
    std::int64_t dt_us = 1000;     // tick of the network: a spike is known at the end of its tick
    std::vector<double> radii;     // px, what spikes stand for
    std::vector<double> edges;     // N+1 band edges, px/s
    // Of objects that are no disks: distance of the outline from the centre for each of equal angles from +x
    // towards +y, over its mean; edge pixels crossed per px of travel, over those of a disk.
    std::vector<double> outline;
    double crossings = 1;
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

struct Row {
    std::int64_t t_us;
    std::int32_t id, band;
    double x, y, speed, speed_err, heading, radius, confidence;
};

// What a followed object tells about the recording: share of its edge crossings seen, radius (px),
// events per edge crossing.
struct Passage {
    double crossing_share, radius, contrast;
};

struct Track {
    std::int32_t id = -1;  // -1 until confirmed
    Fit slow, fast;        // long and short memory
    double nominal = 0, radius = 0;  // px: stated (or settled on), measured
    double radius_sum = 0, radius_weight = 0;
    std::vector<double> votes;
    double birth_x = 0, birth_y = 0;
    std::int64_t birth_us = 0, last_spike_us = 0, last_event_us = 0;
    std::int64_t crowded_until_us = 0;  // its ring crosses that of another object: hold on to the path
    int spikes = 0;
    double spike_dx = 0, spike_dy = 0, spike_weight = 0;  // spikes against the fit
    double seen = 0, expected = 0;                        // ring events against px of travel, short
    double seen_long = 0, expected_long = 0;              // the same over a longer way
    // For the contrast estimate: edge crossings, travel up to the last of them, travel since, events.
    double crossings = 0, crossed_px = 0, coasted_px = 0, ring_events = 0;
    std::array<double, 3> shift_info{};                   // shift of the events against the fast fit,
    double shift_x = 0, shift_y = 0;                      // over the last fraction of a px: turns
    Shape shape;
    double bend = 0;       // rad by which the short memory's heading is ahead of the long one's
    double misfit_px = 0;  // travel for which the shape was not a disk's
    double variance = 0.3, variance_weight = 4;
    double travel = 0;
    double pace_floor = 0, pace_until = 0;  // after a restart: the speed before it, for a while
    double grid_x = 0, grid_y = 0;
    bool settled = false, dead = false;

    double gate() const;       // px from the ring within which an event belongs to the slow fit,
    double wide_gate() const;  // to the fast fit
    double reach() const;      // px from the centre within which a spike belongs to it
    int band() const;          // most voted, -1 without votes
    Passage passage(double crossed_per_px) const;
    double support() const;  // ring events lately, against the track's usual number per px of travel
};

class Tracker {
  public:
    explicit Tracker(TrackerConfig config);

    // Feed events and final-layer spikes in time order and report every multiple of every_us up to until_us.
    void step(const EventSpan& events, const SpikeSpan& spikes, std::int64_t until_us, std::vector<Row>& rows);

    std::size_t sizes() const { return config_.radii.size(); }

    // One per confirmed track that travelled far enough.
    std::vector<Passage> passages() const;

  private:
    // Where the outline lies in the direction (dx, dy): distance over the mean, and its slope per radian.
    struct Edge {
        double distance = 1, slope = 0;
    };
    Edge edge_towards(double dx, double dy) const;
    void on_event(std::int64_t t, int x, int y, int p);
    void on_spike(std::int64_t t, double x, double y, int channel, double radius);
    void upkeep(std::int64_t t);
    void report(std::int64_t t, std::vector<Row>& rows) const;
    void advance(Track& track, std::int64_t t);
    void start(std::int64_t t, double x, double y, int channel, double radius);
    void resize(Track& track);
    void relocate(Track& track, std::int64_t t);
    bool turned(Track& track, std::int64_t t);
    void restart(Track& track, std::int64_t t, double x, double y, double vx, double vy);
    template <typename Visit>
    void each_cell(const Track& track, Visit visit);
    void enter(int index);
    void leave(int index);
    void rebuild_grid();
    bool confirmed_now(const Track& track, double quiet_px) const;
    bool keeps_pace(const Track& track) const;
    bool disk_like(const Track& track, double slack) const;
    void confirm(Track& track);
    double pace(const Track& track) const;
    Row row_of(const Track& track, std::int64_t t) const;
    void drop_dead();
    void drop_doubles();

    TrackerConfig config_;
    std::vector<Track> tracks_;
    std::vector<std::vector<int>> grid_;  // tracks that may own events of a cell
    int grid_w_ = 0, grid_h_ = 0;
    std::vector<std::int64_t> last_us_;  // per pixel near a track: time of its last event
    std::vector<std::uint8_t> last_p_;
    std::vector<Passage> finished_;
    std::int64_t next_report_us_ = 0, next_upkeep_us_ = 0, upkeep_us_ = 0;
    std::int32_t next_id_ = 0;
    double top_speed_ = 1000;
};

}  // namespace velocell
