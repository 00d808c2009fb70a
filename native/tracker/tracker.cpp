#include "tracker.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>

namespace velocell {

namespace {

constexpr int kCell = 16;             // px, side of a grid cell
constexpr double kMargin = 2.0;       // px a track may move before it is entered anew
constexpr double kLongMemory = 8.0;   // px of travel: speed and heading
constexpr double kShortMemory = 3.5;  // px of travel: turns
constexpr double kTurnMemory = 0.7;   // px of travel: detection of a turn
constexpr double kShapeMemory = 4.0;  // px of travel: is it a disk?
constexpr double kVoteMemory = 8.0;   // px of travel: band
constexpr double kStep = 0.4;         // px of travel between two solutions
constexpr int kStepEvents = 8;        // or so many events
constexpr double kTurnShift = 0.5;    // px
constexpr double kResize = 0.08;      // of the radius
constexpr double kSmaller = 0.75;     // of the radius: so much smaller a ring sees parts of a disk only
constexpr double kSizeVote = 0.1;     // of the radius: spikes for another size count less
constexpr double kUnclear = 1.0;      // px: an event this much nearer to one ring than to another is of either
constexpr double kCrowded = 3.0;      // px of travel after the last unclear event
constexpr double kInside = 0.5;       // radii
constexpr double kFewest = 0.35;      // events per pixel and edge crossing: fewer are noise,
constexpr double kMost = 16.0;        // more are flicker
constexpr double kSettled = 8.0;      // events after which a new fit has left its first spike
constexpr double kMeasured = 5.0;     // px of travel before a track tells of contrast and radius
constexpr double kReported = 0.55;     // of the usual events; below, a track has no row
constexpr double kTurnLag = 0.5;      // px
constexpr double kCoast = 4.0;        // px of travel reported without support
constexpr double kMisfit = 4.0;       // px of travel, and a radius, before a shape that is no disk is given up
constexpr double kSlower = 0.5;       // of the band's lower edge: so slow an object cannot be in the band
constexpr double kUpkeep = 4.0;       // px of travel at the fastest edge between two looks at births and deaths
constexpr int kMaxTracks = 1 << 14;
constexpr double kPi = 3.14159265358979323846;

}  // namespace

double Track::gate() const { return std::min(2.0, 0.5 * nominal); }

double Track::wide_gate() const { return std::min(std::max(3.5, 0.25 * nominal), 0.7 * nominal); }

double Track::reach() const { return std::max(2.5, 0.8 * nominal); }

int Track::band() const {
    const auto best = std::max_element(votes.begin(), votes.end());
    return *best > 0.05 ? static_cast<int>(best - votes.begin()) : -1;
}

Passage Track::passage(double crossed_per_px) const {
    const double pixels = 4 * radius * crossed_per_px * crossed_px;
    return {crossings / pixels, radius, ring_events / pixels};
}

double Track::support() const {
    if (expected < 1 || seen_long <= 0) return 1.0;
    return seen / expected * expected_long / seen_long;
}

Tracker::Tracker(TrackerConfig config) : config_(std::move(config)) {
    grid_w_ = (config_.width + kCell - 1) / kCell;
    grid_h_ = (config_.height + kCell - 1) / kCell;
    grid_.resize(static_cast<std::size_t>(grid_w_) * grid_h_);
    const auto pixels = static_cast<std::size_t>(config_.width) * config_.height;
    last_us_.assign(pixels, std::numeric_limits<std::int64_t>::min() / 2);
    last_p_.assign(pixels, 2);
    top_speed_ = 2.0 * config_.edges.back();
    const auto upkeep_us = static_cast<std::int64_t>(1e6 * kUpkeep / config_.edges.back());
    upkeep_us_ = std::clamp<std::int64_t>(upkeep_us, std::min(config_.dt_us, config_.every_us), config_.every_us);
}

void Tracker::step(const EventSpan& events, const SpikeSpan& spikes, std::int64_t until_us, std::vector<Row>& rows) {
    std::int64_t e = 0, s = 0;
    const std::int64_t never = std::numeric_limits<std::int64_t>::max();
    while (true) {
        const std::int64_t te = e < events.n ? events.t[e] : never;
        const std::int64_t ts = s < spikes.n ? spikes.t[s] + config_.dt_us : never;
        const std::int64_t next = std::min(te, ts);
        if (tracks_.empty()) {  // nothing to say until the next spike
            const std::int64_t from = std::min(next, until_us);
            next_report_us_ = std::max(next_report_us_, (from + config_.every_us - 1) / config_.every_us * config_.every_us);
            next_upkeep_us_ = std::max(next_upkeep_us_, (from + upkeep_us_ - 1) / upkeep_us_ * upkeep_us_);
        }
        const std::int64_t instant = std::min(next_report_us_, next_upkeep_us_);
        // Spikes that become known exactly at an instant still count for it, events do not.
        if (instant <= until_us && instant <= te && instant < ts) {
            upkeep(instant);
            if (instant == next_report_us_) {
                report(instant, rows);
                next_report_us_ += config_.every_us;
            }
            if (instant == next_upkeep_us_) next_upkeep_us_ += upkeep_us_;
        } else if (next == never) {
            break;
        } else if (ts <= te) {
            on_spike(ts, spikes.x[s] + config_.offset, spikes.y[s] + config_.offset, spikes.channel[s],
                     config_.radii[spikes.size[s]]);
            ++s;
        } else {
            on_event(te, events.x[e], events.y[e], events.p ? events.p[e] : 2);
            ++e;
        }
    }
}

Tracker::Edge Tracker::edge_towards(double dx, double dy) const {
    if (config_.outline.empty()) return {};
    const auto n = static_cast<double>(config_.outline.size());
    double at = std::atan2(dy, dx) / (2 * kPi) * n;
    if (at < 0) at += n;
    const std::size_t i = static_cast<std::size_t>(at) % config_.outline.size(), j = (i + 1) % config_.outline.size();
    const double part = at - std::floor(at), a = config_.outline[i], b = config_.outline[j];
    return {a + part * (b - a), (b - a) * n / (2 * kPi)};
}

void Tracker::on_event(std::int64_t t, int x, int y, int p) {
    if (x >= config_.width || y >= config_.height) throw std::out_of_range("an event lies outside the sensor");
    const auto& cell = grid_[static_cast<std::size_t>(y / kCell) * grid_w_ + x / kCell];
    if (cell.empty()) return;
    const std::size_t pixel = static_cast<std::size_t>(y) * config_.width + x;
    const std::int64_t silent_us = t - last_us_[pixel];
    const bool flipped = p != 2 && p != last_p_[pixel];
    last_us_[pixel] = t;
    last_p_[pixel] = static_cast<std::uint8_t>(p);

    Track *owner = nullptr, *rival = nullptr;
    double best = 1, second = 1;  // in gates
    for (const int index : cell) {
        Track& track = tracks_[index];
        const double s = seconds(track.fast.t_us, t);
        const double dx = x - (track.fast.x + track.fast.vx * s), dy = y - (track.fast.y + track.fast.vy * s);
        const double d = std::sqrt(dx * dx + dy * dy);
        if (d < kInside * track.radius) track.shape.inside += 1;
        const double off = std::abs(d - track.radius * edge_towards(dx, dy).distance) / track.wide_gate();
        if (off < best) {
            if (owner != nullptr && owner->id >= 0) {
                second = best;
                rival = owner;
            }
            best = off;
            owner = &track;
        } else if (off < second && track.id >= 0) {
            second = off;
            rival = &track;
        }
    }
    if (owner == nullptr) return;
    Track& track = *owner;
    if (rival != nullptr && track.id >= 0 && (second - best) * track.wide_gate() < kUnclear) {
        for (Track* each : {&track, rival}) {
            each->crowded_until_us = t + static_cast<std::int64_t>(1e6 * kCrowded / pace(*each));
            each->last_event_us = t;
            each->seen += 0.5;
        }
        return;
    }
    for (Fit* fit : {&track.fast, &track.slow}) {
        const double gate = fit == &track.fast ? track.wide_gate() : track.gate();
        const double s = seconds(fit->t_us, t);
        const double dx = x - (fit->x + fit->vx * s), dy = y - (fit->y + fit->vy * s);
        const double d = std::sqrt(dx * dx + dy * dy);
        if (d < 0.5) continue;
        // The outline's normal (that of a disk points from its centre), and how far outside it the event is.
        const Edge edge = edge_towards(dx, dy);
        const double tilt = edge.slope * track.radius / d, norm = std::sqrt(1 + tilt * tilt);
        const double ux = (dx + tilt * dy) / (d * norm), uy = (dy - tilt * dx) / (d * norm);
        const double residual = (d - track.radius * edge.distance) / norm;
        const double u = residual / gate;
        if (u * u >= 1) continue;
        const double weight = (1 - u * u) * (1 - u * u);  // Tukey's biweight
        fit->add(s, ux, uy, residual, weight);
        if (fit == &track.fast) {
            track.shift_info[0] += ux * ux;
            track.shift_info[1] += ux * uy;
            track.shift_info[2] += uy * uy;
            track.shift_x += residual * ux;
            track.shift_y += residual * uy;
            track.seen += weight;
            track.seen_long += weight;
            track.radius_sum += weight * d / edge.distance;
            track.radius_weight += weight;
            track.variance += weight * residual * residual;
            track.variance_weight += weight;
            track.shape.add(ux, uy, weight);
        }
    }
    track.last_event_us = t;
    const double v = track.slow.speed();
    if (track.id >= 0 && track.support() > 0.5) {  // else the disk has gone and noise would count
        track.ring_events += 1;
        track.crossings += flipped || static_cast<double>(silent_us) * 1e-6 * v >= 3.0;
        track.crossed_px += std::exchange(track.coasted_px, 0.0);
    }
    if (track.fast.count >= kStepEvents || seconds(track.fast.t_us, t) * v > kStep) advance(track, t);
}

void Tracker::advance(Track& track, std::int64_t t) {
    const double s = seconds(track.fast.t_us, t);
    const auto moved = track.fast.advance(t, kShortMemory, top_speed_);
    track.shift_x -= track.shift_info[0] * moved[0] + track.shift_info[1] * moved[1];
    track.shift_y -= track.shift_info[1] * moved[0] + track.shift_info[2] * moved[1];
    track.slow.advance(t, kLongMemory, top_speed_);
    const double px = std::min(pace(track) * s, 4.0);
    track.travel += px;
    if (!track.settled && track.seen_long > kSettled) {
        // A spike is placed to a pixel or two only; movement counts from where the events lie.
        track.settled = true;
        track.birth_x = track.fast.x;
        track.birth_y = track.fast.y;
    }
    if (track.travel > track.pace_until) track.pace_floor = 0;
    const double perimeter = 4 * track.radius * config_.crossings;  // edge pixels crossed per px of travel
    const double keep = std::exp(-px / 2.0), keep_long = std::exp(-px / 20.0);
    track.seen *= keep;
    track.expected = keep * track.expected + perimeter * px;
    track.seen_long *= keep_long;
    track.expected_long = keep_long * track.expected_long + perimeter * px;
    const bool crowded = track.crowded_until_us > t;
    if (!crowded) {
        const bool fits = disk_like(track, 1.6) && keeps_pace(track);
        track.misfit_px = fits ? std::max(0.0, track.misfit_px - px) : track.misfit_px + px;
    }
    track.shape.fade(std::exp(-px / kShapeMemory));
    if (track.id >= 0) track.coasted_px += px;
    // What appears gives many events at once and seems fast: the first votes are soon forgotten.
    const double keep_vote = std::exp(-px / std::clamp(0.5 * track.travel, 0.5, kVoteMemory));
    for (double& vote : track.votes) vote *= keep_vote;
    const double keep_spikes = std::exp(-px);
    track.spike_weight *= keep_spikes;
    track.spike_dx *= keep_spikes;
    track.spike_dy *= keep_spikes;
    track.variance *= keep_long;
    track.variance_weight *= keep_long;
    // The true radius may differ from the stated one; a fifth either way is followed.
    track.radius_sum *= keep_long;
    track.radius_weight *= keep_long;
    const double prior = 2 * perimeter;
    const double measured = (track.radius_sum + prior * track.nominal) / (track.radius_weight + prior);
    track.radius = std::clamp(measured, 0.8 * track.nominal, 1.2 * track.nominal);
    if (config_.radii.size() > 1 && std::abs(track.radius - track.nominal) > kResize * track.nominal) resize(track);

    // After a turn the long memory is wrong: take the short one.
    const double apart = length(track.slow.x - track.fast.x, track.slow.y - track.fast.y);
    if (apart > std::max(1.0, track.radius / 5)) track.slow = track.fast;
    if (!crowded && !turned(track, t) && track.spike_weight > 2) relocate(track, t);
    // On a curved path both fits lag, by about twice their memories; their difference tells how much.
    const double cross = track.slow.vx * track.fast.vy - track.slow.vy * track.fast.vx;
    const double dot = track.slow.vx * track.fast.vx + track.slow.vy * track.fast.vy;
    const double keep_bend = std::exp(-px / kLongMemory);
    track.bend = keep_bend * track.bend + (1 - keep_bend) * std::atan2(cross, dot);
    const double keep_shift = std::exp(-px / kTurnMemory);
    track.shift_x *= keep_shift;
    track.shift_y *= keep_shift;
    for (double& info : track.shift_info) info *= keep_shift;
    if (length(track.fast.x - track.grid_x, track.fast.y - track.grid_y) > kMargin) {
        const int index = static_cast<int>(&track - tracks_.data());
        leave(index);
        enter(index);
    }
}

// Among several sizes the first spike may have come from a neighbour of the right one.
void Tracker::resize(Track& track) {
    const int index = static_cast<int>(&track - tracks_.data());
    leave(index);
    track.nominal = std::clamp(track.radius, 0.8 * config_.radii.front(), 1.2 * config_.radii.back());
    enter(index);
}

// Spikes that keep coming from beside the fit show that it lost the disk: begin again at the spikes.
void Tracker::relocate(Track& track, std::int64_t t) {
    const double dx = track.spike_dx / track.spike_weight, dy = track.spike_dy / track.spike_weight;
    if (length(dx, dy) < std::max(1.5, 0.45 * track.radius)) return;
    restart(track, t, track.fast.x + dx, track.fast.y + dy, 0, 0);
}

// The newest events lie to one side of where the fit expects them: the disk has turned.
bool Tracker::turned(Track& track, std::int64_t t) {
    const auto& m = track.shift_info;
    const double a = m[0] + 1, c = m[2] + 1, det = a * c - m[1] * m[1];  // + 1: a weak prior of no shift
    const double dx = (c * track.shift_x - m[1] * track.shift_y) / det;
    const double dy = (a * track.shift_y - m[1] * track.shift_x) / det;
    const double shift = length(dx, dy);
    const double variance = track.variance / track.variance_weight;
    const double sigma = std::sqrt(variance * 2 / (m[0] + m[2] + 1));
    if (shift < std::max(kTurnShift, 4 * sigma)) return false;
    // Whatever turns an object mostly leaves its speed as it is. Then the change of velocity, which
    // has the direction of the shift, is a reflection. The events averaged are a little old.
    const double along = (track.slow.vx * dx + track.slow.vy * dy) / shift;
    const double vx = track.slow.vx - std::min(0.0, 2 * along) * dx / shift;
    const double vy = track.slow.vy - std::min(0.0, 2 * along) * dy / shift;
    const double lag = track.slow.speed() > 0 ? kTurnLag * std::max(0.0, -2 * along) / track.slow.speed() / shift : 0;
    restart(track, t, track.fast.x + dx * (1 + lag), track.fast.y + dy * (1 + lag), vx, vy);
    return true;
}

// Keep the object but forget its path: where it goes from here must be seen anew.
void Tracker::restart(Track& track, std::int64_t t, double x, double y, double vx, double vy) {
    track.pace_floor = std::max(0.7 * track.slow.speed(), track.pace_floor);
    track.pace_until = track.travel + kLongMemory;
    const double sigma_v = std::max(track.pace_floor, config_.edges.front());
    track.fast.reset(t, x, y, 0.7, sigma_v, vx, vy);
    track.slow = track.fast;
    track.bend = 0;
    track.spike_weight = track.spike_dx = track.spike_dy = 0;
    track.shift_info = {};
    track.shift_x = track.shift_y = 0;
}

void Tracker::on_spike(std::int64_t t, double x, double y, int channel, double radius) {
    if (channel < 0 || channel + 1 >= static_cast<int>(config_.edges.size())) return;
    Track *owner = nullptr, *lost = nullptr;
    double best = 1, nearest_lost = 2, ox = 0, oy = 0;  // in reaches, in radii
    bool covered = false;
    const int cx = std::clamp(static_cast<int>(x) / kCell, 0, grid_w_ - 1);
    const int cy = std::clamp(static_cast<int>(y) / kCell, 0, grid_h_ - 1);
    for (const int index : grid_[static_cast<std::size_t>(cy) * grid_w_ + cx]) {
        Track& track = tracks_[index];
        const double s = seconds(track.fast.t_us, t);
        const double dx = x - (track.fast.x + track.fast.vx * s), dy = y - (track.fast.y + track.fast.vy * s);
        const double d = length(dx, dy);
        // A small ring answers to the edge of a large disk; that says nothing new.
        if (track.id >= 0 && radius < kSmaller * track.radius) {
            covered |= d < track.radius + radius;
            continue;
        }
        if (d < best * track.reach()) {
            best = d / track.reach();
            owner = &track;
            ox = dx;
            oy = dy;
        } else if (d < nearest_lost * track.nominal && track.id >= 0 && track.support() < 0.6) {
            nearest_lost = d / track.nominal;
            lost = &track;
        }
    }
    if (owner == nullptr && covered) return;
    if (owner == nullptr && lost != nullptr) {
        restart(*lost, t, x, y, 0, 0);
        owner = lost;
        ox = oy = 0;
    }
    if (owner == nullptr) {
        start(t, x, y, channel, radius);
        return;
    }
    Track& track = *owner;
    ++track.spikes;
    // A neuron for another size takes an object for faster or slower than it is.
    const double misfit = config_.radii.size() > 1 ? (radius / track.radius - 1) / kSizeVote : 0;
    track.votes[channel] += std::exp(-misfit * misfit);
    track.last_spike_us = t;
    track.spike_weight += 1;
    track.spike_dx += ox;
    track.spike_dy += oy;
}

void Tracker::start(std::int64_t t, double x, double y, int channel, double radius) {
    if (tracks_.size() >= kMaxTracks) return;
    Track track;
    track.nominal = track.radius = radius;
    track.votes.assign(config_.edges.size() - 1, 0.0);
    track.votes[channel] = 1;
    track.spikes = 1;
    track.birth_x = x;
    track.birth_y = y;
    track.birth_us = track.last_spike_us = track.last_event_us = t;
    track.fast.reset(t, x, y, 1.0, config_.edges[channel + 1]);
    track.slow = track.fast;
    tracks_.push_back(std::move(track));
    enter(static_cast<int>(tracks_.size()) - 1);
}

// Speed by which memory fades and support is judged. A fit that lost its disk may stand still; the
// neurons' answer tells how fast the disk must be going at least.
double Tracker::pace(const Track& track) const {
    const int band = track.band();
    return std::max({track.slow.speed(), track.pace_floor, 0.7 * config_.edges[band < 0 ? 0 : band]});
}

// Whatever the neurons take for a moving disk must move; what flickers in its place does not.
bool Tracker::keeps_pace(const Track& track) const {
    if (track.pace_floor > 0) return true;  // after a turn the speed must be seen anew
    const int band = track.band();
    return track.slow.speed() > kSlower * config_.edges[band < 0 ? 0 : band];
}

// A new track that grew where an older one was just lost is the same object.
void Tracker::confirm(Track& track) {
    Track* lost = nullptr;
    double nearest = 2.5 * track.nominal;
    for (Track& other : tracks_) {
        if (other.id < 0 || other.dead || other.support() > 0.6) continue;
        const double d = length(other.fast.x - track.fast.x, other.fast.y - track.fast.y);
        if (d < nearest) {
            nearest = d;
            lost = &other;
        }
    }
    if (lost == nullptr) {
        track.id = next_id_++;
        return;
    }
    track.id = lost->id;
    track.crossings += lost->crossings;
    track.crossed_px += lost->crossed_px;
    track.ring_events += lost->ring_events;
    lost->id = -1;
    lost->dead = true;
}

bool Tracker::disk_like(const Track& track, double slack) const {
    if (!config_.outline.empty()) return true;  // the neurons and the number of events must do
    const double along = track.shape.along(track.slow.vx, track.slow.vy);
    // Inside against ring, for events that are everywhere.
    const double uniform = kInside * kInside * track.nominal / (2 * track.wide_gate() * 16 / 15);
    return track.shape.imbalance() < 0.33 * slack && track.shape.filling(uniform) < 0.36 * slack &&
           along > 2.0 / 3 - 0.17 * slack && along < 2.0 / 3 + 0.15 * slack;
}

// An object has moved, with spikes all the way and edge events both ahead and behind.
bool Tracker::confirmed_now(const Track& track, double quiet_px) const {
    const double moved = length(track.fast.x - track.birth_x, track.fast.y - track.birth_y);
    if (!track.settled || track.spikes < 5 || quiet_px > 1.5 || moved < 1.2) return false;
    if (track.slow.speed() < kSlower * config_.edges.front() || !keeps_pace(track)) return false;
    if (track.spike_weight > 0 &&
        length(track.spike_dx, track.spike_dy) > 0.5 * track.nominal * track.spike_weight) return false;
    if (track.seen < kFewest * track.expected || track.seen > kMost * track.expected) return false;
    return disk_like(track, 1.0);
}

// Births and deaths.
void Tracker::upkeep(std::int64_t t) {
    for (Track& track : tracks_) {
        advance(track, t);
        if (track.dead) continue;
        const double silent_px = seconds(track.last_event_us, t) * pace(track);
        // Where two objects cross, a faster one silences the neurons of a slower one for a while.
        const double quiet_px = seconds(std::max(track.last_spike_us, track.crowded_until_us), t) * pace(track);
        const bool outside = track.fast.x < 0 || track.fast.y < 0 || track.fast.x > config_.width - 1 ||
                             track.fast.y > config_.height - 1;
        const bool unsupported = track.support() < 0.2;
        if (track.id < 0) {
            if (quiet_px > 3 || outside) track.dead = true;
            else if (confirmed_now(track, quiet_px)) confirm(track);
        } else {
            const double patience = track.misfit_px > 0 ? 6 : 10;
            track.dead = outside || silent_px > kCoast || quiet_px > patience || (unsupported && quiet_px > 4) ||
                         track.misfit_px > kMisfit + track.nominal;
        }
    }
    drop_doubles();
    drop_dead();
}

void Tracker::report(std::int64_t t, std::vector<Row>& rows) const {
    const auto first = static_cast<std::ptrdiff_t>(rows.size());
    for (const Track& track : tracks_)
        if (track.id >= 0 && track.support() > kReported && keeps_pace(track)) rows.push_back(row_of(track, t));
    std::sort(rows.begin() + first, rows.end(), [](const Row& a, const Row& b) { return a.id < b.id; });
}

Row Tracker::row_of(const Track& track, std::int64_t t) const {
    // The events of one crossing come one after the other, evenly, so that they err less together than
    // independent ones would; fitted to simulated tracks of contrast 1 to 10.
    const double each = track.crossings > 0 ? std::clamp(track.ring_events / track.crossings, 1.0, 20.0) : 1.0;
    const double evenness = 0.52 * std::pow(each, -0.4);
    const double variance = track.variance / track.variance_weight;
    const int band = track.band();
    double sum = 0;
    for (const double vote : track.votes) sum += vote;
    const double speed = track.slow.speed();
    const bool agrees = band >= 0 && speed > 0.9 * config_.edges[band] && speed < 1.1 * config_.edges[band + 1];
    const double support = std::min(1.0, track.support());
    const double unanimity = band >= 0 ? track.votes[band] / sum : 0.0;
    const double lag = track.bend * kLongMemory / (kLongMemory - kShortMemory);
    double heading = (std::atan2(track.slow.vy, track.slow.vx) + lag) * 180 / kPi;
    heading -= 360 * std::floor(heading / 360);
    return {t,
            track.id,
            band,
            track.fast.x,
            track.fast.y,
            speed,
            length(evenness * track.slow.speed_sigma(variance), speed * lag * lag / 16),  // a bend shortens the way
            heading,
            track.radius,
            std::clamp(support * unanimity * (agrees ? 1.0 : 0.5), 0.0, 1.0)};
}

// Two tracks on one disk: the older one stays.
void Tracker::drop_doubles() {
    for (std::size_t i = 0; i < tracks_.size(); ++i) {
        Track& a = tracks_[i];
        if (a.dead) continue;
        const int cx = std::clamp(static_cast<int>(a.fast.x) / kCell, 0, grid_w_ - 1);
        const int cy = std::clamp(static_cast<int>(a.fast.y) / kCell, 0, grid_h_ - 1);
        for (const int j : grid_[static_cast<std::size_t>(cy) * grid_w_ + cx]) {
            Track& b = tracks_[j];
            if (&b == &a || b.dead) continue;
            const bool a_first = (a.id >= 0) != (b.id >= 0) ? a.id >= 0 : a.birth_us < b.birth_us;
            if (!a_first || length(a.fast.x - b.fast.x, a.fast.y - b.fast.y) > 0.6 * std::min(a.radius, b.radius)) continue;
            const double apart = length(a.slow.vx - b.slow.vx, a.slow.vy - b.slow.vy);
            const bool crossing = b.id >= 0 && b.travel > kLongMemory && apart > 0.3 * a.slow.speed();
            if (!crossing) b.dead = true;
        }
    }
}

void Tracker::drop_dead() {
    const std::size_t before = tracks_.size();
    for (const Track& track : tracks_)
        if (track.dead && track.crossed_px > kMeasured) finished_.push_back(track.passage(config_.crossings));
    std::erase_if(tracks_, [](const Track& track) { return track.dead; });
    if (tracks_.size() != before) rebuild_grid();
}

std::vector<Passage> Tracker::passages() const {
    std::vector<Passage> all = finished_;
    for (const Track& track : tracks_)
        if (track.id >= 0 && track.crossed_px > kMeasured) all.push_back(track.passage(config_.crossings));
    return all;
}

// The cells in which events of the track may lie before it is entered anew.
template <typename Visit>
void Tracker::each_cell(const Track& track, Visit visit) {
    const double reach = 1.2 * track.nominal + track.wide_gate() + kMargin + 2;
    const auto cell = [](double px, int count) {
        return std::clamp(static_cast<int>(std::floor(px / kCell)), 0, count - 1);
    };
    for (int cy = cell(track.grid_y - reach, grid_h_); cy <= cell(track.grid_y + reach, grid_h_); ++cy)
        for (int cx = cell(track.grid_x - reach, grid_w_); cx <= cell(track.grid_x + reach, grid_w_); ++cx)
            visit(grid_[static_cast<std::size_t>(cy) * grid_w_ + cx]);
}

void Tracker::enter(int index) {
    Track& track = tracks_[index];
    track.grid_x = track.fast.x;
    track.grid_y = track.fast.y;
    each_cell(track, [index](std::vector<int>& cell) { cell.push_back(index); });
}

void Tracker::leave(int index) {
    each_cell(tracks_[index], [index](std::vector<int>& cell) { std::erase(cell, index); });
}

void Tracker::rebuild_grid() {
    for (auto& cell : grid_) cell.clear();
    for (int i = 0; i < static_cast<int>(tracks_.size()); ++i) enter(i);
}

}  // namespace velocell
